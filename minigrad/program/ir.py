"""The one form of a program: statements, each the same line of the loop body in every time step.

A statement is one operation on operands.  Inside of time it stands for its values at all steps, an
array (T, ...); its operands are other statements at t + offset.  Outside of time it is one value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minigrad.primitive import Primitive
from minigrad.tensor import Tensor


class Size(NamedTuple):
    """A whole number that depends on lengths of sequences:  constant + Σ factor · length.

    lengths: pairs (name, factor).  With inverse, the number is 1 / that.
    """

    constant: int
    lengths: tuple[tuple[str, int], ...]
    inverse: bool = False

    def at(self, values: dict[str, int]) -> float:
        """The number where the lengths are known."""
        total = self.constant + sum(factor * values[name] for name, factor in self.lengths)
        return 1 / total if self.inverse else total

    def __str__(self) -> str:
        terms = [name if factor == 1 else f"{name} * {factor}" for name, factor in self.lengths]
        text = " + ".join(terms + ([str(self.constant)] if self.constant else []))
        text = text.replace("+ -", "- ")
        return f"1 / ({text})" if self.inverse else text


class Moving(NamedTuple):
    """A whole number that moves with the time step:  factor · t + constant."""

    factor: int
    constant: int


class Ref(NamedTuple):
    """A statement as operand: its value at t + offset, or, with offset None, all that it is."""

    statement: Statement
    offset: int | None = None


class Row(NamedTuple):
    """One step of a statement, seen from outside of time: counted from the start, or (< 0) the end."""

    statement: Statement
    step: int


class Every(NamedTuple):
    """All steps of a statement as one array: t + offset for t from `skipped` to `left` before the end."""

    statement: Statement
    skipped: int = 0
    left: int = 0
    offset: int = 0


class Number(NamedTuple):
    """A Python number, which does not widen what it meets."""

    value: Any


Operand = Ref | Row | Every | Number
OPERANDS = (Ref, Row, Every, Number)
STEPS = "steps"  # the place of parts that go each to the step with its number
NOTHING = Number(0)  # a gradient that nothing has reached yet


@dataclass(eq=False)
class Statement:
    """One operation, in every step of a loop or outside of time.

    op: None for an argument.  shape: of one step.  steps: how many there are; None outside of time.
    absent: how many steps at the start and at the end do not have it.  before, after: its values in
    steps that it does not have, counted from the first step (−1, ...) and from the end (0, ...).
    period: every so many steps, counted back from the end, it is 0 (a gradient that is cut there),
    but not in the first one: what it starts from is no step.
    """

    op: Primitive | None
    constants: dict[str, Any]
    shape: tuple[Any, ...]
    dtype: np.dtype[Any]
    steps: Any = None
    node: Tensor | None = None
    which: int | None = None
    name: str = ""
    operands: list[Operand] = field(default_factory=list)
    before: dict[int, Operand] = field(default_factory=dict)
    after: dict[int, Operand] = field(default_factory=dict)
    absent: tuple[int, int] = (0, 0)
    period: int | None = None

    @property
    def timed(self) -> bool:
        """Whether it belongs to the body of a loop."""
        return self.steps is not None

    @property
    def kind(self) -> str:
        """The name of the operation; "argument" without one."""
        return self.op.name if self.op else "argument"

    @property
    def is_elementwise(self) -> bool:
        """Whether each element of the result comes from the elements at its place."""
        plain = self.kind == "add_up" and self.constants.get("places") is None
        return plain or bool(getattr(self.op, "elementwise", False))

    def edges(self) -> Iterator[Operand]:
        """Everything that it is computed from, and what stands before its first and after its last step."""
        yield from self.operands
        yield from self.before.values()
        yield from self.after.values()
        yield from in_constants(self.constants)

    def needs(self) -> Iterator[Statement]:
        """The statements that it is computed from, those of its first and last rows too."""
        for operand in self.edges():
            if not isinstance(operand, Number):
                yield operand.statement

    def replace(self, change: Any) -> None:
        """Put change(operand) in place of every operand."""
        self.operands = [change(operand) for operand in self.operands]
        self.before = {t: change(operand) for t, operand in self.before.items()}
        self.after = {t: change(operand) for t, operand in self.after.items()}
        self.constants = with_operands(self.constants, change)

    def __repr__(self) -> str:
        steps = "" if self.steps is None else f" × {self.steps}"
        operands = ", ".join(map(written, self.operands))
        return f"{self.name} = {self.kind}({operands}) {self.shape}{steps}"


def in_constants(value: Any) -> Iterator[Operand]:
    """The operands that stand in constants: index arrays."""
    if isinstance(value, OPERANDS):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from in_constants(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from in_constants(part)


def parts_of(index: Any) -> tuple[Any, ...]:
    """The parts of an index, one for each axis."""
    return index if type(index) is tuple else (index,)


def is_basic(index: Any) -> bool:
    """Whether an index only makes a view: whole numbers, slices, None and ... ."""
    return all(
        part is None or part is ... or isinstance(part, int | slice) for part in parts_of(index)
    )


def moves(value: Any) -> bool:
    """Whether a constant is another one in each step."""
    if isinstance(value, Moving):
        return True
    if isinstance(value, dict):
        return any(moves(part) for part in value.values())
    if isinstance(value, tuple | list):
        return any(moves(part) for part in value)
    return False


def with_operands(value: Any, change: Any) -> Any:
    """Constants with change(operand) in place of the operands in them."""
    if isinstance(value, OPERANDS):
        return change(value)
    if isinstance(value, dict):
        return {key: with_operands(part, change) for key, part in value.items()}
    if type(value) in (tuple, list):
        return type(value)([with_operands(part, change) for part in value])
    return value


def written(operand: Operand) -> str:
    """An operand in a few characters."""
    if isinstance(operand, Number):
        return str(operand.value)
    name = operand.statement.name
    if isinstance(operand, Every):
        return f"{name}[:]"
    if isinstance(operand, Row):
        return f"{name}[{operand.step}]"
    if operand.offset is None:
        return name
    return f"{name}[t{operand.offset:+d}]" if operand.offset else f"{name}[t]"


@dataclass
class Program:
    """The statements, operands before users; what is returned; the random numbers, in their order."""

    statements: list[Statement]
    arguments: list[Statement]
    results: list[Operand]
    draws: list[Any] = field(default_factory=list)  # `draws.Draws`

    def readers(self) -> dict[Statement, list[tuple[Statement | None, Operand]]]:
        """Who reads each statement, and how; None stands for what is returned."""
        found: dict[Statement, list[tuple[Statement | None, Operand]]] = {}
        pairs: list[tuple[Statement | None, Operand]] = [
            (s, x) for s in self.statements for x in s.edges()
        ]
        for reader, x in [*pairs, *((None, x) for x in self.results)]:
            if not isinstance(x, Number):
                found.setdefault(x.statement, []).append((reader, x))
        return found
