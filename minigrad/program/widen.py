"""Equal operations on neighbouring parts of an array become one on all of them.

The gates of an LSTM are parts of one product: σ of i and σ of f, side by side, are one σ.  The parts
of the result are views, which cost nothing.
"""

from __future__ import annotations

from minigrad.ops.joining import split
from minigrad.program.align import reached
from minigrad.program.ir import Operand, Program, Ref, Statement
from minigrad.program.simplify import replace_everywhere
from minigrad.tensor import Tensor

UNARY = {"sigmoid", "tanh", "relu", "exp", "softplus", "negative", "square", "sqrt", "sin", "cos"}
Part = tuple[int, int, Statement]  # first and last column, and the operation on them


def widen(program: Program) -> None:
    """All groups of neighbours, in place."""
    groups: dict[tuple[Statement, str], list[Part]] = {}
    for s in program.statements:
        part = _part(s)
        if part is not None:
            parent, start, stop = part
            groups.setdefault((parent, s.kind), []).append((start, stop, s))
    for (parent, _), parts in groups.items():
        for run in _runs(sorted(parts, key=lambda part: part[0])):
            if len(run) > 1:
                _join(program, parent, run)
    program.statements = reached(program.results)


def _part(s: Statement) -> tuple[Statement, int, int] | None:
    """The array of whose columns an operation is, and which they are."""
    if s.kind not in UNARY or not s.timed or s.before or s.after:
        return None
    x = s.operands[0]
    if not isinstance(x, Ref) or x.offset != 0 or x.statement.kind != "split":
        return None
    view, parent = x.statement, x.statement.operands[0]
    if not isinstance(parent, Ref) or parent.offset != 0 or not parent.statement.timed:
        return None
    if view.constants["axis"] not in (-1, len(view.shape) - 1):
        return None
    ends, which = list(view.constants["ends"]), view.which or 0
    return parent.statement, ends[which - 1] if which else 0, ends[which]


def _runs(parts: list[Part]) -> list[list[Part]]:
    """Parts that lie side by side."""
    found: list[list[Part]] = []
    for part in parts:
        if found and found[-1][-1][1] == part[0]:
            found[-1].append(part)
        else:
            found.append([part])
    return found


def _join(program: Program, parent: Statement, run: list[Part]) -> None:
    """One operation for the run; what it was made of becomes views of it."""
    start, stop = run[0][0], run[-1][1]
    first = run[0][2]
    shape = (*parent.shape[:-1], stop - start)
    taken = _columns(parent, start, stop, parent.node)
    wide = Statement(first.op, {}, shape, first.dtype, first.steps, first.node)
    wide.operands = [Ref(taken, 0)]
    table = {}
    for left, right, s in run:
        table[s] = Ref(_columns(wide, left - start, right - start, s.node), 0)
    replace_everywhere(program, dict(table))
    for made in table.values():
        made.statement.operands = [Ref(wide, 0)]


def _columns(s: Statement, start: int, stop: int, node: Tensor | None) -> Statement:
    """Some columns of a statement, as a view."""
    last = s.shape[-1]
    which, ends = (1, (start, stop, last)) if start else (0, (stop, last))
    shape = (*s.shape[:-1], stop - start)
    constants = {"ends": ends, "axis": -1}
    operands: list[Operand] = [Ref(s, 0)]
    return Statement(split, constants, shape, s.dtype, s.steps, node, which, operands=operands)
