"""ONNX operators written one after the other, with names, constants and the bodies of loops.

Nothing here needs the package `onnx`: what is written are plain records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from nn.interchange.table import REASONS, TABLE

Array = np.ndarray[Any, Any]


class Step(NamedTuple):
    """One operator on named values; `origin` says which line of the program it is for."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    origin: str


class Port(NamedTuple):
    """An input or output of a block: its name, dtype and shape."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class Constant(NamedTuple):
    """An array in the file, and the line of the program that it comes from."""

    array: Array
    origin: str


class Block:
    """The main program, or the body of a loop, in which tensors from number `first` on are made."""

    def __init__(self, first: float) -> None:
        self.first = first
        self.steps: list[Step] = []
        self.inputs: list[Port] = []
        self.outputs: list[Port] = []


class Writer:
    """Writes what a network did with its inputs, once, as ONNX operators.

    A tensor becomes a value with a name when `value` asks for it.  Called as `write("Add", a, b)`,
    it appends an operator to the current block and returns the name of its output, or a tuple of
    names with `outputs=`.

    scope: what the names of operators begin with.  parameters: the tensors that keep their names in
    the file.
    """

    def __init__(self, scope: str, parameters: dict[mg.Tensor, str]) -> None:
        self.scope, self.origin, self.parameters = scope, "", parameters
        self.constants: dict[str, Constant] = {}
        self.blocks = [Block(0)]
        self.block = self.blocks[0]
        self._values: dict[mg.Tensor, str] = {}
        self._calls: dict[int, tuple[str, ...]] = {}
        self._kept: list[Any] = []  # tuples whose identity is a key above
        self._names: Counter[str] = Counter()
        self._pinned: Block | None = None  # where the forward of a user's primitive is written

    # names

    def name(self, wanted: str) -> str:
        """The name, with _2, _3, ... behind it where it is taken."""
        self._names[wanted] += 1
        count = self._names[wanted]
        return wanted if count == 1 else self.name(f"{wanted}_{count}")

    def local(self, word: str) -> str:
        """A new name in the scope of the moment."""
        return self.name(f"{self.scope}/{word}")

    # operators and constants

    def __call__(
        self, op: str, *inputs: str, outputs: int = 0, name: str = "", **attributes: Any
    ) -> Any:
        """Append an operator; the name of its output, or the names of several."""
        names = tuple(self.local(name or op.lower()) for _ in range(outputs or 1))
        self.block.steps.append(Step(op, inputs, names, attributes, self.origin))
        return names if outputs else names[0]

    def copy(self, x: mg.Tensor, name: str) -> None:
        """Give the value of a tensor this name: for the outputs of a block."""
        step = Step("Identity", (self.value(x),), (name,), {}, x.describe())
        self.block.steps.append(step)
        self.block.outputs.append(Port(name, x.dtype, x.shape))

    def constant(self, value: Any, dtype: Any = None, word: str = "constant") -> str:
        """The name of an array in the file."""
        name = self.local(word)
        self.constants[name] = Constant(np.array(value, dtype), self.origin)
        return name

    def ints(self, values: Any, word: str = "shape") -> str:
        """The name of a vector of integers (a number stays a number)."""
        return self.constant(values, np.int64, word)

    # tensors

    def bind(self, x: mg.Tensor, name: str) -> None:
        """From here on, the tensor is the value of this name."""
        self._values[x] = name

    def bound(self, example: Array, name: str) -> mg.Tensor:
        """A tensor that stands for the value of this name, and holds an example of it."""
        x = mg.tensor(example)
        self.bind(x, name)
        return x

    def value(self, x: mg.Tensor) -> str:
        """The name of a tensor's value; what it was computed from is written first."""
        if x not in self._values:
            for node in mg.Graph(x).nodes:  # inputs before users
                if node not in self._values and node.op is not None:
                    self._translate(node)
        if x not in self._values:
            self._values[x] = self._leaf(x)
        return self._values[x]

    def operand(self, x: mg.Tensor, dtype: np.dtype[Any]) -> str:
        """The value of a tensor in this dtype: ONNX has no promotion."""
        if x.dtype == dtype:
            return self.value(x)
        if x.op is None and x not in self._values and x not in self.parameters:
            return self.constant(x.data, dtype)
        return str(self("Cast", self.value(x), to=dtype))

    def _leaf(self, x: mg.Tensor) -> str:
        if x not in self.parameters:
            return self.constant(x.data, None, x.name or "constant")
        name = self.parameters[x]
        self.constants[name] = Constant(np.array(x.data), name)
        return name

    def _translate(self, node: mg.Tensor) -> None:
        """Write the operators of one node; of a call with several outputs, all outputs at once."""
        call = node.call
        if call is not None and id(call.outputs) in self._calls:
            self._values[node] = self._calls[id(call.outputs)][call.which]
            return
        with self._at(node):
            own = node.op.forward.__module__.split(".")[0] == mg.__name__
            if not own:
                result = self._by_its_forward(node)
            elif node.op.name in TABLE:
                result = TABLE[node.op.name](self, node)
            else:
                raise self.refusal(node)
            result = self._renamed(result, node)
        if call is not None:
            self._calls[id(call.outputs)] = result
            self._kept.append(call.outputs)
            result = result[call.which]
        self._values[node] = result

    def _by_its_forward(self, node: mg.Tensor) -> Any:
        """A primitive of the user's: what its forward does with tensors, written in its place."""
        before, self._pinned = self._pinned, self.block
        try:
            with mg.tracing():
                result = node.op.forward(*node.inputs, **node.constants)
            several = isinstance(result, tuple)
            parts = result if several else (result,)
            if any(inner.op is node.op for inner in mg.Graph(*parts).nodes):
                raise self.refusal(node, "its forward calls itself")
            names = tuple(self("Identity", self.operand(part, part.dtype)) for part in parts)
        except TypeError as error:  # of NumPy's functions that take no tensors
            raise self.refusal(node, f"of its forward on tensors: {error}") from error
        finally:
            self._pinned = before
        return names if several else names[0]

    def _renamed(self, result: Any, node: mg.Tensor) -> Any:
        """The result under the names of the user's variables, if the last operator made it."""
        names = result if isinstance(result, tuple) else (result,)
        last = self.block.steps[-1]
        if last.outputs != names:
            return result
        places = range(len(names)) if isinstance(result, tuple) else (None,)
        words = [node.source.variable(k) for k in places]
        renamed = tuple(
            self.local(word) if word else name for word, name in zip(words, names, strict=True)
        )
        self.block.steps[-1] = last._replace(outputs=renamed)
        return renamed if isinstance(result, tuple) else renamed[0]

    def refusal(self, node: mg.Tensor, why: str = "") -> NotImplementedError:
        """The error for a node that cannot be written, which names its operation and its line."""
        reason = why or REASONS.get(node.op.name, "no translation is known")
        return NotImplementedError(
            f"to_onnx: {node.op.name} cannot be written in ONNX ({reason}): {node.describe()}"
        )

    @contextmanager
    def _at(self, node: mg.Tensor) -> Iterator[None]:
        """Write into the block in which the node was made, under its scope."""
        before = self.block, self.scope, self.origin
        made_in = [block for block in self.blocks if block.first <= node.serial][-1]
        self.block = self._pinned or made_in
        self.scope = node.scope.replace(".", "/") or self.scope
        self.origin = node.describe()
        try:
            yield
        finally:
            self.block, self.scope, self.origin = before

    @contextmanager
    def body(self) -> Iterator[Block]:
        """Inside, operators go into the body of a loop, which may use the values around it."""
        before, block = self.block, Block(mg.tensor(0.0).serial)
        self.blocks.append(block)
        self.block = block
        try:
            yield block
        finally:
            self.blocks.pop()
            self.block = before

    def within(self, name: str) -> AbstractContextManager[None]:
        """Inside, names stand one scope deeper."""
        return self.named(f"{self.scope}/{name}", self.origin)

    @contextmanager
    def named(self, scope: str, origin: str) -> Iterator[None]:
        """Inside, operators are written for the module of this scope."""
        before = self.scope, self.origin
        self.scope, self.origin = scope.replace(".", "/"), origin
        try:
            yield
        finally:
            self.scope, self.origin = before


def operands(write: Writer, node: mg.Tensor) -> list[str]:
    """The inputs of a node, in the dtype of its result."""
    return [write.operand(x, node.dtype) for x in node.inputs]


def number(write: Writer, node: mg.Tensor, value: float) -> str:
    """A constant in the dtype of a node."""
    return write.constant(value, node.dtype)
