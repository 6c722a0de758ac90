"""Runs a network on examples of several sizes, and writes it as one ONNX model."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import minigrad as mg
from nn.cell import Cell
from nn.interchange.inputs import SIZES, Inputs, resized
from nn.interchange.layers import LAYERS, write_embedding
from nn.interchange.model import build, save, the_package
from nn.interchange.recurrence import Run
from nn.interchange.sizes import Merged, Sizes
from nn.interchange.writing import Constant, Port, Writer
from nn.module import Module
from nn.structure import map_structure, named_leaves

SWITCHES = ("lengths", "state")  # True or False, or an example
NO_LIMIT = 2**31 - 1  # the default of `lengths`: longer than any sequence


def export(
    module: Module, path: str | os.PathLike[str], example: tuple[Any, ...], options: dict[str, Any]
) -> None:
    """`to_onnx`, with its positional and keyword arguments."""
    if not isinstance(module, Module):
        raise TypeError(f"to_onnx: an nn.Module is needed, found {type(module).__name__}")
    onnx = the_package()
    root = copy.deepcopy(module).eval()
    switches = {name: options[name] for name in SWITCHES if isinstance(options[name], bool)}
    more = {name: value for name, value in options.items() if name not in switches}
    inputs = Inputs(root, example, more)
    runs = [dict(zip(inputs.axes, sizes, strict=False)) for sizes in SIZES]
    writers = [written(inputs, sizes, k, **switches) for k, sizes in enumerate(runs)]
    model = build(onnx, Merged(writers, runs, inputs.places()), type(module).__name__)
    save(onnx, model, path)


# one run


def written(
    inputs: Inputs, sizes: Sizes, number: int, lengths: bool = False, state: bool = False
) -> Writer:
    """What the network does with inputs of these sizes."""
    root = inputs.root
    write = Writer(root.scope_name, {p: name for name, p in root.named_parameters()})
    run = Run(write, number)
    given, more = inputs.call(lambda a: placed(write, a.name, resized(a, sizes, run)))
    one_step = isinstance(root, Cell) and not root.over_time
    if state or (one_step and len(given) == 1 and "state" not in more):
        _, last = run.compute(root, *given, **more)
        names = iter([write.name(f"{name}_init") for name, _ in named_leaves(last)])
        more["state"] = map_structure(lambda s: placed(write, next(names), s.data), last)
    if lengths and inputs.takes_lengths():
        more["lengths"] = optional_lengths(write, inputs, sizes, run)
    with mg.tracing(), stand_ins(run, root):
        result = root(*given, **more)
        for name, y in outputs(root, result):
            if not isinstance(y, mg.Tensor):
                raise TypeError(f"to_onnx: forward must return tensors, found {type(y).__name__}")
            write.copy(y, write.name(name))
    return write


def placed(write: Writer, name: str, array: np.ndarray[Any, Any]) -> mg.Tensor:
    """An input of the model, as a tensor."""
    x = mg.tensor(array, name=name)
    write.block.inputs.append(Port(name, x.dtype, x.shape))
    write.bind(x, name)
    return x


def optional_lengths(write: Writer, inputs: Inputs, sizes: Sizes, run: Run) -> mg.Tensor:
    """The input `lengths`: cut to T, one for each row; left out, every row has T steps."""
    x = mg.tensor(run.rng.integers(1, sizes["T"] + 1, sizes["B"]))
    write.block.inputs.append(Port("lengths", x.dtype, x.shape))
    write.constants["lengths"] = Constant(np.array([NO_LIMIT]), "lengths")
    table = inputs.places()
    T, B = (size_of(write, word, *table[word]) for word in ("T", "B"))
    write.bind(x, write("Expand", write("Min", "lengths", T), B, name="lengths"))
    return x


def size_of(write: Writer, word: str, name: str, axis: int) -> str:
    """A vector of one integer: the length of an axis of an input."""
    return str(write("Shape", name, start=axis, end=axis + 1, name=word))


@contextmanager
def stand_ins(run: Run, root: Module) -> Iterator[None]:
    """Inside, layers that ONNX has operators for write these when they are called."""
    replaced = []
    try:
        for path, module in root.named_modules():
            layer = LAYERS.get(type(module).forward)
            if layer is not None:
                scope = f"{root.scope_name}.{path}" if path else root.scope_name
                object.__setattr__(module, "forward", stand_in(run, module, layer, scope))
                replaced.append(module)
        yield
    finally:
        for module in replaced:
            del module.forward


def stand_in(run: Run, module: Module, layer: Any, scope: str) -> Callable[..., Any]:
    """A forward that writes the layer, and returns tensors that stand for what was written."""
    forward = module.forward

    def call(*inputs: Any, **options: Any) -> Any:
        if run.computing:
            return forward(*inputs, **options)
        result = run.compute(forward, *inputs, **options)
        with run.write.named(scope, f"{scope} = {type(module).__name__}({module.describe()})"):
            names = iter(layer(run, module, *inputs, **options))
        return map_structure(lambda y: run.write.bound(y.data, next(names)), result)

    return call


def outputs(root: Module, result: Any) -> list[tuple[str, mg.Tensor]]:
    """The tensors that come out, with their names."""
    layer = LAYERS.get(type(root).forward)
    if isinstance(root, Cell) or layer not in (None, write_embedding):
        y, last = result
        return [*named_leaves(y, "y"), *[(f"{name}_n", s) for name, s in named_leaves(last)]]
    return [("y", y) for _, y in named_leaves(result)]
