"""Runs a network on examples of several sizes, and writes it as one ONNX model."""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from nn.cell import Cell
from nn.check import example_input
from nn.embedding import Embedding
from nn.interchange.layers import LAYERS, write_embedding
from nn.interchange.model import build, save, the_package
from nn.interchange.recurrence import Run
from nn.interchange.sizes import Merged, Sizes
from nn.interchange.writing import Array, Constant, Port, Writer
from nn.module import Module
from nn.structure import map_structure, named_leaves

SIZES = ((5, 3, 4), (7, 2, 5), (4, 5, 6), (9, 4, 3))  # of the free axes, in each run
NO_LIMIT = 2**31 - 1  # the default of `lengths`: longer than any sequence


class Argument(NamedTuple):
    """An input: an example, and the names of its free axes (None where the length is fixed)."""

    name: str
    example: Array
    axes: tuple[str | None, ...]


def export(
    module: Module, path: str | os.PathLike[str], example: Any, lengths: bool, state: bool
) -> None:
    """`to_onnx`, with the examples in one tuple."""
    if not isinstance(module, Module):
        raise TypeError(f"to_onnx: an nn.Module is needed, found {type(module).__name__}")
    onnx = the_package()
    root = copy.deepcopy(module).eval()
    names = list(inspect.signature(root.forward).parameters) if example else ["x"]
    arguments = named_arguments(root, names, example or default_example(root))
    options = {"lengths": lengths and takes_lengths(root, arguments), "state": state}
    free = dict.fromkeys(name for argument in arguments for name in argument.axes if name)
    runs = [dict(zip(free, sizes, strict=False)) for sizes in SIZES]
    writers = [written(root, arguments, sizes, k, **options) for k, sizes in enumerate(runs)]
    save(onnx, build(onnx, Merged(writers, runs, places(arguments)), type(module).__name__), path)


# the inputs


def default_example(root: Module) -> tuple[Array]:
    """An input for the first module that says what it takes."""
    T, B, _ = SIZES[0]
    for _, module in root.named_modules():
        if isinstance(module, Embedding):
            return (tokens(module, T, B),)
        if isinstance(module, Cell) and not module.over_time:
            step = example_step(module, B)
            return (step,) if module is root else (np.stack([step] * T),)
        size = getattr(module, "input_size", getattr(module, "size", None))
        if isinstance(size, int):
            shape = (B, T, size) if getattr(root, "batch_first", False) else (T, B, size)
            return (np.zeros(shape, root.dtype),)
    raise ValueError(
        f"to_onnx: no module in {type(root).__name__} says what input it takes; "
        f"pass an example:  nn.to_onnx(net, path, x)"
    )


def example_step(cell: Cell, B: int) -> Array:
    """One step of input for a cell: floats (B, D), or tokens (B) if it holds an Embedding."""
    embeddings = [module for module in cell.modules() if isinstance(module, Embedding)]
    if embeddings and not hasattr(cell, "input_size"):
        return tokens(embeddings[0], B)
    return example_input(cell, B)


def tokens(embedding: Embedding, *shape: int) -> Array:
    """Tokens that an embedding takes."""
    return np.arange(int(np.prod(shape))).reshape(shape) % embedding.count


def named_arguments(root: Module, names: list[str], example: tuple[Any, ...]) -> list[Argument]:
    """The inputs under these names, and their free axes.

    All axes but the last of floats, and all of integers, are free.  Axes of one length are one.
    """
    known: dict[int, str] = {}
    arguments = []
    for name, value in zip(names, example, strict=False):
        array = np.asarray(value.data if isinstance(value, mg.Tensor) else value)
        if array.dtype.kind == "f":
            array = array.astype(root.dtype)
        free = array.shape[:-1] if array.dtype.kind == "f" else array.shape
        if len(set(free)) < len(free):
            raise ValueError(
                f"to_onnx: {name} {array.shape}: pass an example whose T and B differ, "
                f"so that the axes can be told apart"
            )
        words = ["T", "B"] if not getattr(root, "batch_first", False) else ["B", "T"]
        for length, word in zip(free[-2:], words[-len(free) :], strict=False):
            known.setdefault(length, word if word not in known.values() else f"{word}_{name}")
        axes = [known.get(length, f"{name}_{k}") for k, length in enumerate(free)]
        fixed = [None] * (array.ndim - len(free))
        arguments.append(Argument(name, array, (*axes, *fixed)))
    return arguments


def takes_lengths(root: Module, arguments: list[Argument]) -> bool:
    """Whether `forward` takes lengths, of which no example was given."""
    given = [argument.name for argument in arguments]
    if isinstance(root, Cell):
        return root.over_time
    free = {name for argument in arguments for name in argument.axes}
    accepted = inspect.signature(root.forward).parameters
    return {"T", "B"} <= free and "lengths" in accepted and "lengths" not in given


def places(arguments: list[Argument]) -> dict[str, tuple[str, int]]:
    """For each free axis, the input and the axis from which its length is read."""
    table: dict[str, tuple[str, int]] = {}
    for argument in arguments:
        for k, name in enumerate(argument.axes):
            if name is not None:
                table.setdefault(name, (argument.name, k))
    return table


def resized(argument: Argument, sizes: Sizes, run: Run) -> Array:
    """Another example of the same kind, with these lengths of the free axes.

    Signs alternate from run to run, so that a program that branches on one shows it.
    """
    rng = run.rng
    lengths = zip(argument.axes, argument.example.shape, strict=True)
    shape = [n if name is None else sizes[name] for name, n in lengths]
    if argument.name == "lengths":
        return rng.integers(1, sizes["T"] + 1, shape)
    if argument.example.dtype.kind == "f":
        signs = np.random.default_rng(0).choice([-1, 1], shape) * (-1) ** run.number
        return (signs * np.abs(rng.standard_normal(shape))).astype(argument.example.dtype)
    return rng.choice(argument.example.ravel(), shape)


# one run


def written(
    root: Module, arguments: list[Argument], sizes: Sizes, number: int, lengths: bool, state: bool
) -> Writer:
    """What the network does with inputs of these sizes."""
    parameters: dict[mg.Tensor, str] = {p: name for name, p in root.named_parameters()}
    write = Writer(root.scope_name, parameters)
    run = Run(write, number)
    inputs = [placed(write, a.name, resized(a, sizes, run)) for a in arguments]
    options: dict[str, Any] = {}
    one_step = isinstance(root, Cell) and not root.over_time
    if state or one_step:
        _, last = run.compute(root, *inputs)
        names = iter([write.name(f"{name}_init") for name, _ in named_leaves(last)])
        options["state"] = map_structure(lambda s: placed(write, next(names), s.data), last)
    if lengths:
        options["lengths"] = optional_lengths(write, arguments, sizes, run.rng)
    with mg.tracing(), stand_ins(run, root):
        result = root(*inputs, **options)
        for name, y in outputs(root, result):
            if not isinstance(y, mg.Tensor):
                raise TypeError(f"to_onnx: forward must return tensors, found {type(y).__name__}")
            write.copy(y, write.name(name))
    return write


def placed(write: Writer, name: str, array: Array) -> mg.Tensor:
    """An input of the model, as a tensor."""
    x = mg.tensor(array, name=name)
    write.block.inputs.append(Port(name, x.dtype, x.shape))
    write.bind(x, name)
    return x


def optional_lengths(
    write: Writer, arguments: list[Argument], sizes: Sizes, rng: np.random.Generator
) -> mg.Tensor:
    """The input `lengths`: cut to T, one for each row; left out, every row has T steps."""
    x = mg.tensor(rng.integers(1, sizes["T"] + 1, sizes["B"]))
    write.block.inputs.append(Port("lengths", x.dtype, x.shape))
    write.constants["lengths"] = Constant(np.array([NO_LIMIT]), "lengths")
    table = places(arguments)
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
        return map_structure(lambda y: bound(run.write, y.data, next(names)), result)

    return call


def bound(write: Writer, array: Array, name: str) -> mg.Tensor:
    """A tensor that stands for a value."""
    x = mg.tensor(array)
    write.bind(x, name)
    return x


def outputs(root: Module, result: Any) -> list[tuple[str, mg.Tensor]]:
    """The tensors that come out, with their names."""
    layer = LAYERS.get(type(root).forward)
    if isinstance(root, Cell) or layer not in (None, write_embedding):
        y, last = result
        return [("y", y), *[(f"{name}_n", s) for name, s in named_leaves(last)]]
    return [("y", y) for _, y in named_leaves(result)]
