"""Numbers that depend on how long the sequences are: found by recording at other lengths.

A program is recorded at a few lengths, each once longer by one step than at first.  A whole number
that moves with a length is taken as `constant + factor · length`, its reciprocal too; a number that
moves otherwise, or that moves though no length has changed, is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.program.errors import CompileError
from minigrad.program.ir import OPERANDS, Moving, Number, Operand, Program, Size, Statement
from minigrad.program.record import RuleScope


class Merger:
    """Compares the recordings statement by statement, and writes sizes into the first one."""

    def __init__(self, lengths: dict[str, int], programs: Sequence[Program]) -> None:
        self.lengths, self.programs = lengths, programs
        self.numbers = [{s: k for k, s in enumerate(p.statements)} for p in programs]
        self.here: Statement | None = None

    def program(self) -> Program:
        """The first program, with its sizes as functions of the lengths."""
        counts = {len(p.statements) for p in self.programs}
        if len(counts) > 1:
            raise CompileError(
                "compile: the operations outside of time depend on how long the sequence is "
                f"({', '.join(map(str, sorted(counts)))} statements); loop over the steps with "
                "mg.timesteps, or use nn.Unroll"
            )
        for same in zip(*(p.statements for p in self.programs), strict=True):
            self._statement(same)
        results = zip(*(p.results for p in self.programs), strict=True)
        self.programs[0].results = [self._value(r) for r in results]
        plans = {tuple([len(d.statements) for d in p.draws]) for p in self.programs}
        if len(plans) > 1:
            raise CompileError(
                "compile: how often random numbers are drawn outside of time depends on how long the "
                "sequence is; draw them in the steps, or all at once"
            )
        first = self.programs[0]
        first.draws = [
            draws if draws.steps is None else draws._replace(steps=draws.statements[0].shape[0])
            for draws in first.draws
        ]
        return first

    def _statement(self, same: Sequence[Statement]) -> None:
        first = self.here = same[0]
        if len({(s.op, s.which, s.dtype, len(s.operands), s.period) for s in same}) > 1:
            self._refuse("is another operation when the sequence is longer")
        for name in ("shape", "steps", "constants", "operands", "before", "after"):
            setattr(first, name, self._value([getattr(s, name) for s in same]))

    def _value(self, values: Any) -> Any:
        first = values[0]
        kinds = {type(v) for v in values}
        if len(kinds) > 1:
            self._refuse(f"is made with {values[0]!r}, and with {values[1]!r} another time")
        if isinstance(first, OPERANDS):
            return self._operand(values)
        if isinstance(first, Moving):
            if len({v.factor for v in values}) > 1:
                self._refuse("moves otherwise from step to step when the sequence is longer")
            return Moving(first.factor, self._value([v.constant for v in values]))
        if isinstance(first, tuple | list):
            if len({len(v) for v in values}) > 1:
                self._refuse("depends on the number of steps")
            return type(first)(self._value(parts) for parts in zip(*values, strict=True))
        if isinstance(first, dict):
            if len({tuple(v) for v in values}) > 1:
                self._refuse("depends on the number of steps")
            return {key: self._value([v[key] for v in values]) for key in first}
        if isinstance(first, slice):
            return slice(*self._value([(v.start, v.stop, v.step) for v in values]))
        if all(v == first or (v != v and first != first) for v in values):
            return first
        return self._size(values)

    def _operand(self, values: Sequence[Operand]) -> Operand:
        first = values[0]
        if isinstance(first, Number):
            return Number(self._value([v.value for v in values]))  # type: ignore[union-attr]
        named = {numbers[v.statement] for numbers, v in zip(self.numbers, values, strict=True)}  # type: ignore[union-attr]
        if len(named) > 1 or len({tuple(v)[1:] for v in values}) > 1:
            self._refuse("reads another step when the sequence is longer")
        return first

    def _size(self, values: Sequence[Any]) -> Size:
        """A number that has moved, as a function of the lengths."""
        inverse = any(v != int(v) for v in values if np.isfinite(v))
        whole = [_whole(v, inverse) for v in values]
        if not self.lengths or None in whole:
            self._refuse(
                f"is made with the number {values[0]!r}, and with {values[1]!r} another time; what "
                "changes from call to call must be an argument, used as it is"
            )
        factors = {name: n - whole[0] for name, n in zip(self.lengths, whole[1:], strict=True)}
        rest = whole[0] - sum(factors[name] * n for name, n in self.lengths.items())
        found = tuple((name, f) for name, f in factors.items() if f)
        return Size(rest, found, inverse)

    def _refuse(self, what: str) -> None:
        node = self.here.node if self.here else None
        if node is not None and isinstance(node._scope, RuleScope):
            node = node._scope.node  # the line of the user's program
        raise CompileError(
            f"compile: an operation {what}:\n  {'' if node is None else node.describe()}"
        )


def _whole(value: Any, inverse: bool) -> Any:
    """A number as a whole one, or the whole number that it is the reciprocal of; None if neither."""
    if not np.isfinite(value) or not value:
        return None
    if not inverse:
        return int(value)
    n = round(1 / value)
    return n if n and 1 / n == value else None
