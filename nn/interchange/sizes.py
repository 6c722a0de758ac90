"""One program for every T and B, out of programs that were written at a few of them.

A number that differs between the runs must follow from the sizes; the program computes it.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from nn.interchange.tidy import tidy
from nn.interchange.writing import Array, Block, Constant, Step, Writer

Sizes = dict[str, int]  # the length of each axis whose length is free, by name: T, B, ...
MAX_EXPLAINED = 64  # entries of a constant that may follow from the sizes


class Formula(NamedTuple):
    """factor · (product of sizes) + offset."""

    symbols: tuple[str, ...]
    factor: int
    offset: int


class Dims(NamedTuple):
    """An input or output with the lengths of its axes: numbers, or names of sizes."""

    name: str
    dtype: np.dtype[Any]
    dims: list[int | str]


def formula(values: list[Any], runs: list[Sizes]) -> Formula | None:
    """How one number follows from the sizes, with whole factor and offset; None if it does not."""
    if len(set(values)) == 1:
        return Formula((), 0, int(values[0])) if values[0] == int(values[0]) else None
    symbols = list(runs[0])
    for count in (1, 2):
        for chosen in itertools.combinations(symbols, count):
            products = [int(np.prod([sizes[name] for name in chosen])) for sizes in runs]
            found = linear(values, products)
            if found is not None:
                return Formula(chosen, *found)
    return None


def linear(values: list[Any], products: list[int]) -> tuple[int, int] | None:
    """(factor, offset), whole numbers, with value = factor · product + offset in all runs."""
    span = products[1] - products[0]
    if not span or (values[1] - values[0]) % span:
        return None
    factor = int((values[1] - values[0]) // span)
    offset = values[0] - factor * products[0]
    if offset != int(offset):
        return None
    fits = all(factor * m + offset == value for m, value in zip(products, values, strict=True))
    return (factor, int(offset)) if fits else None


class Merged:
    """The program that all runs have in common; it starts by computing what follows from the sizes.

    writers: one for each run, which must have written the same operators.  shape_of: for each size,
    the input and the axis from which it is read when the program runs.
    """

    def __init__(
        self, writers: list[Writer], runs: list[Sizes], shape_of: dict[str, tuple[str, int]]
    ) -> None:
        self.runs, self.shape_of = runs, shape_of
        self.writer = writers[0]
        self.main = [writer.blocks[0] for writer in writers]
        self.start: list[Step] = []
        self.constants: dict[str, Array] = {}
        self._sizes: dict[str, str] = {}
        check_same(self.main)
        taken = set.union(*[tidy(block) for block in self.main])
        for name, first in self.writer.constants.items():
            if name not in taken:
                continue
            arrays = [writer.constants[name].array for writer in writers]
            self._add(name, arrays, first)

    def dims(self, ports: list[Any]) -> Dims:
        """One input or output, as it was in each run."""
        columns = zip(*[port.shape for port in ports], strict=True)
        return Dims(ports[0].name, ports[0].dtype, [self._dim(list(column)) for column in columns])

    def _dim(self, lengths: list[int]) -> int | str:
        found = formula(lengths, self.runs)
        if found is None:
            return "?"
        if not found.symbols:
            return found.offset
        text = "*".join(found.symbols)
        text = text if found.factor == 1 else f"{found.factor}*{text}"
        return text if not found.offset else f"{text}{found.offset:+d}"

    def _add(self, name: str, arrays: list[Array], first: Constant) -> None:
        """A constant, or the operators that compute it."""
        shapes = {array.shape for array in arrays}
        same = len(shapes) == 1 and all(equal(array, arrays[0]) for array in arrays)
        if same:
            self.constants[name] = arrays[0]
        elif len(shapes) == 1 and arrays[0].size <= MAX_EXPLAINED:
            self._numbers(name, arrays, first)
        else:
            self._repeated(name, arrays, first)

    def _numbers(self, name: str, arrays: list[Array], first: Constant) -> None:
        """An array whose entries follow from the sizes."""
        entries = zip(*[array.ravel().tolist() for array in arrays], strict=True)
        formulas = [formula(list(values), self.runs) for values in entries]
        pieces = [self._computed(found, name) for found in formulas if found is not None]
        if len(pieces) < len(formulas):
            raise changing(name, first)
        vector = self._write("Concat", *pieces, axis=0)
        shape = self._constant(np.array(arrays[0].shape, np.int64), "shape")
        value = self._write("Reshape", vector, shape)
        self.start.append(Step("Cast", (value,), (name,), {"to": arrays[0].dtype}, first.origin))

    def _repeated(self, name: str, arrays: list[Array], first: Constant) -> None:
        """An array that repeats one row along the axes whose lengths follow from the sizes."""
        if len({array.ndim for array in arrays}) > 1:
            raise changing(name, first)
        lengths = list(zip(*[array.shape for array in arrays], strict=True))
        free = [k for k, column in enumerate(lengths) if len(set(column)) > 1]
        index = tuple(slice(0, 1) if k in free else slice(None) for k in range(arrays[0].ndim))
        row = arrays[0][index]
        if not all(equal(array, np.broadcast_to(row, array.shape)) for array in arrays):
            raise changing(name, first)
        formulas = [formula(list(column), self.runs) for column in lengths]
        pieces = [self._computed(found, name) for found in formulas if found is not None]
        if len(pieces) < len(formulas):
            raise changing(name, first)
        shape = self._write("Concat", *pieces, axis=0)
        row_name = self._constant(row, f"{name}_row")
        self.start.append(Step("Expand", (row_name, shape), (name,), {}, first.origin))

    def _computed(self, found: Formula, name: str) -> str:
        """The name of a vector of one integer with the value of a formula."""
        if not found.symbols:
            return self._constant(np.array([found.offset], np.int64), f"{name}_part")
        value, *others = [self._size(symbol) for symbol in found.symbols]
        for other in others:
            value = self._write("Mul", value, other)
        if found.factor != 1:
            value = self._write(
                "Mul", value, self._constant(np.array([found.factor], np.int64), "factor")
            )
        if found.offset:
            value = self._write(
                "Add", value, self._constant(np.array([found.offset], np.int64), "offset")
            )
        return value

    def _size(self, symbol: str) -> str:
        """The name of a vector of one integer: the length of an axis of an input."""
        if symbol not in self._sizes:
            name, axis = self.shape_of[symbol]
            output = self.writer.name(f"size/{symbol}")
            bounds = {"start": axis, "end": axis + 1}
            self.start.append(Step("Shape", (name,), (output,), bounds, symbol))
            self._sizes[symbol] = output
        return self._sizes[symbol]

    def _write(self, op: str, *inputs: str, **attributes: Any) -> str:
        output = self.writer.name(f"size/{op.lower()}")
        self.start.append(Step(op, inputs, (output,), attributes, "sizes"))
        return output

    def _constant(self, array: Array, word: str) -> str:
        name = self.writer.name(word if "/" in word else f"size/{word}")
        self.constants[name] = array
        return name


def equal(a: Array, b: Array) -> bool:
    """Whether two arrays hold the same, NaN included."""
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def changing(name: str, constant: Constant) -> NotImplementedError:
    """The error for a constant that differs from run to run and does not follow from the sizes."""
    return NotImplementedError(
        f"to_onnx: {name} changes with the input, but no recorded operation computes it (a value "
        f"taken out by .data, item() or an index, a random number, or a length that does not "
        f"follow from T and B): {constant.origin}"
    )


def check_same(blocks: list[Block]) -> None:
    """Raise at the first operator that differs between the runs."""
    for steps in itertools.zip_longest(*[block.steps for block in blocks]):
        if None in steps or len({signature(step) for step in steps}) > 1:
            step = next(step for step in steps if step is not None)
            raise NotImplementedError(
                f"to_onnx: the network runs another program at another T or B, from here on: "
                f"{step.origin}\n  a loop over time must stand in an nn.Cell under nn.Unroll, "
                f"and nothing may branch on values"
            )
        if "body" in steps[0].attributes:
            check_same([step.attributes["body"] for step in steps])


def signature(step: Step) -> tuple[Any, ...]:
    """What must be the same in every run."""
    attributes = {key: value for key, value in step.attributes.items() if key != "body"}
    return step.op, step.inputs, step.outputs, repr(attributes)
