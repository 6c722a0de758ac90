"""The inputs of an exported network: examples, the names of their free axes, other examples."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from nn.cell import Cell
from nn.check import example_input
from nn.embedding import Embedding
from nn.interchange.recurrence import Run
from nn.interchange.sizes import Sizes
from nn.interchange.writing import Array
from nn.module import Module
from nn.structure import map_structure, named_leaves

SIZES = ((5, 3, 4), (7, 2, 5), (4, 5, 6), (9, 4, 3))  # of the free axes, in each run


class Argument(NamedTuple):
    """An input: an example, and the names of its free axes (None where the length is fixed)."""

    name: str
    example: Array
    axes: tuple[str | None, ...]


class Inputs:
    """The arguments that `forward` is called with.

    example, more: examples of its positional and of its keyword arguments.  Without a positional
    one, there is one called x, which the first module takes that says what it takes.
    """

    def __init__(self, root: Module, example: tuple[Any, ...], more: dict[str, Any]) -> None:
        names = list(inspect.signature(root.forward).parameters)
        if not example:
            names, example = ["x"], default_example(root)
        self.settings = {name: value for name, value in more.items() if is_setting(value)}
        more = {name: value for name, value in more.items() if name not in self.settings}
        named = {**dict(zip(names, example, strict=False)), **more}
        self.root, self.count = root, len(example)
        self.examples = {name: as_arrays(root, value) for name, value in named.items()}
        self.names = list(named)
        self._known: dict[int, str] = {}  # the free axis of each length
        self.arguments = [
            self._argument(name, leaf, array)
            for name, value in self.examples.items()
            for leaf, array in named_leaves(value, name)
        ]
        free = dict.fromkeys(axis for argument in self.arguments for axis in argument.axes)
        self.axes = [axis for axis in free if axis is not None]
        if len(self.axes) > len(SIZES[0]):
            raise ValueError(f"to_onnx: at most {len(SIZES[0])} free axes, found {self.axes}")

    def _argument(self, name: str, leaf: str, array: Array) -> Argument:
        """An input; axes of one length are one axis."""
        free = array.shape[: self._leading(array)]
        if name == "state":  # whose first axis may be that of the layers
            axes = [self._known.get(length) for length in array.shape[:-1]]
            return Argument(leaf, array, (*axes, None))
        if len(set(free)) < len(free):
            raise ValueError(
                f"to_onnx: {leaf} {array.shape}: pass an example whose T and B differ, so that the "
                f"axes can be told apart"
            )
        words = ["B", "T"] if getattr(self.root, "batch_first", False) else ["T", "B"]
        for length, word in zip(free, words[-len(free) :], strict=False):
            taken = word in self._known.values()
            self._known.setdefault(length, f"{word}_{leaf}" if taken else word)
        fixed = [None] * (array.ndim - len(free))
        return Argument(leaf, array, (*[self._known[length] for length in free], *fixed))

    def _leading(self, array: Array) -> int:
        """How many axes are free: those of time and batch, before the features of floats."""
        if isinstance(self.root, Cell) and not self.root.over_time:
            return 1
        return min(2, array.ndim - (array.dtype.kind == "f"))

    def takes_lengths(self) -> bool:
        """Whether `forward` takes lengths, of which no example was given."""
        if "lengths" in self.examples or not {"T", "B"} <= set(self.axes):
            return False
        if isinstance(self.root, Cell):
            return self.root.over_time
        return "lengths" in inspect.signature(self.root.forward).parameters

    def places(self) -> dict[str, tuple[str, int]]:
        """For each free axis, the input and the axis from which its length is read."""
        table: dict[str, tuple[str, int]] = {}
        for argument in self.arguments:
            for k, axis in enumerate(argument.axes):
                if axis is not None:
                    table.setdefault(axis, (argument.name, k))
        return table

    def call(self, make: Callable[[Argument], Any]) -> tuple[list[Any], dict[str, Any]]:
        """The positional and the keyword arguments of a call, with a tensor for each input."""
        arguments = iter(self.arguments)
        values = map_structure(lambda _: make(next(arguments)), self.examples)
        given = [values[name] for name in self.names[: self.count]]
        more = {name: values[name] for name in self.names[self.count :]}
        return given, {**more, **self.settings}


def is_setting(value: Any) -> bool:
    """Whether a keyword argument is no input, but a number or word that the model is made for."""
    return value is None or isinstance(value, bool | int | float | str)


def as_arrays(root: Module, value: Any) -> Any:
    """An example as arrays; floats in the dtype of the module, lists as arrays."""

    def as_array(leaf: Any) -> Array:
        array = np.asarray(leaf.data if isinstance(leaf, mg.Tensor) else leaf)
        return array.astype(root.dtype) if array.dtype.kind == "f" else array

    if isinstance(value, list):
        return as_array([leaf.data if isinstance(leaf, mg.Tensor) else leaf for leaf in value])
    return map_structure(as_array, value)


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
    try:
        return example_input(cell, B)
    except ValueError as error:
        name = type(cell).__name__
        raise ValueError(
            f"to_onnx: what {name} takes could not be found by trying; pass an example of x, whose "
            f"first axes are T and B:  nn.to_onnx(net, path, x)"
        ) from error


def tokens(embedding: Embedding, *shape: int) -> Array:
    """Tokens that an embedding takes."""
    return np.arange(int(np.prod(shape))).reshape(shape) % embedding.count
