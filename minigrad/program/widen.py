"""Equal operations on neighbouring parts of arrays become one on all of them.

The gates of an LSTM are parts of one product: σ of i, of f and of o, whose columns lie in one array,
are one σ, even if it computes a few columns in between that nobody needs; and so are the products of
their gradients.  The parts of the result are views, which cost nothing.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

from minigrad.ops.joining import split
from minigrad.program.align import reached
from minigrad.program.forms import UFUNCS
from minigrad.program.ir import Number, Operand, Program, Ref, Statement, parts_of
from minigrad.program.names import Names
from minigrad.program.simplify import frozen, replace_everywhere
from minigrad.tensor import Tensor

WIDENED = UFUNCS | {"sigmoid", "relu", "softplus"}
LONGEST = 16  # letters of the name of what is computed together
NEEDED = 2 / 3  # of the columns that an operation computes


class Part(NamedTuple):
    """An operation on the columns start … stop of some arrays."""

    start: int
    stop: int
    statement: Statement


def widen(program: Program, names: Names) -> None:
    """All groups of neighbours, in place; what was made of parts may then be widened too."""
    while _widen_once(program, names):
        program.statements = reached(program.results)


def _widen_once(program: Program, names: Names) -> bool:
    groups: dict[object, list[Part]] = {}
    for s in program.statements:
        found = _columns_of_operands(s)
        if found is not None:
            start, stop, parents = found
            key = s.op, s.dtype, str(s.steps), frozen(parents)
            groups.setdefault(key, []).append(Part(start, stop, s))
    for parts in groups.values():
        run = _run(sorted(parts, key=lambda part: part.start))
        if len(run) > 1:
            _join(program, run, names)
            return True
    return False


def _columns_of_operands(s: Statement) -> tuple[int, int, list[Operand]] | None:
    """The columns that an elementwise operation takes of all its operands, and of which arrays."""
    if s.kind not in WIDENED or not s.timed or s.before or s.after or s.period or not s.shape:
        return None
    parents: list[Operand] = []
    ranges = set()
    for x in s.operands:
        if isinstance(x, Number):
            parents.append(x)
            continue
        found = columns(x)
        if found is None or x.statement.shape != s.shape:
            return None
        ranges.add(found)
        parents.append(x.statement.operands[0])
    shapes = {x.statement.shape for x in parents if not isinstance(x, Number)}
    if len(ranges) != 1 or len(shapes) != 1:
        return None
    ((start, stop),) = ranges
    return start, stop, parents


def columns(x: Operand) -> tuple[int, int] | None:
    """Which columns of another statement an operand is a view of, in the same step."""
    if not isinstance(x, Ref) or x.offset != 0 or x.statement.kind not in ("split", "getitem"):
        return None
    view = x.statement
    parent = view.operands[0]
    if not isinstance(parent, Ref) or parent.offset != 0 or not parent.statement.timed:
        return None
    if view.kind == "getitem":
        return _slice(view, parent.statement)
    if view.constants["axis"] not in (-1, len(view.shape) - 1):
        return None
    ends, which = list(view.constants["ends"]), view.which or 0
    return ends[which - 1] if which else 0, ends[which]


def _slice(view: Statement, parent: Statement) -> tuple[int, int] | None:
    """The columns of an index that takes everything but for them."""
    *others, last = parts_of(view.constants["index"])
    full = all(part is ... or part == slice(None) for part in others)
    reaches = ... in others or len(others) == len(parent.shape) - 1
    if not (full and reaches and isinstance(last, slice)):
        return None
    start, stop, step = last.indices(parent.shape[-1])
    return (start, stop) if step == 1 else None


def _run(parts: list[Part]) -> list[Part]:
    """The longest run of parts, without too many columns between them."""
    best: list[Part] = []
    for first in range(len(parts)):
        for last in range(first + 1, len(parts)):
            run = parts[first : last + 1]
            needed = sum(part.stop - part.start for part in run)
            apart = all(a.stop <= b.start for a, b in itertools.pairwise(run))
            if apart and needed >= NEEDED * (run[-1].stop - run[0].start) and len(run) > len(best):
                best = run
    return best


def _join(program: Program, run: list[Part], names: Names) -> None:
    """One operation for the run; what it was made of becomes views of it."""
    start, stop, first = run[0].start, run[-1].stop, run[0].statement
    operands = [x if isinstance(x, Number) else _taken(x, start, stop) for x in first.operands]
    shape = (*first.shape[:-1], stop - start)
    wide = Statement(first.op, dict(first.constants), shape, first.dtype, first.steps, first.node)
    wide.operands = operands
    table: dict[Statement, Operand] = {}
    for part in run:
        table[part.statement] = Ref(
            _columns(wide, part.start - start, part.stop - start, part.statement.node), 0
        )
    made = {s: x.statement for s, x in table.items() if isinstance(x, Ref)}
    replace_everywhere(program, table)
    for s, view in made.items():
        view.operands = [Ref(wide, 0)]
        names.inherit(view, s)
    names.give(wide, _together([s.name for s in made]))


def _together(parts: list[str]) -> str:
    """A name for a few arrays: of i, f and o, i_f_o."""
    words = [part.split("_") for part in parts]
    shared = 0
    while all(len(own) > shared + 1 and own[shared] == words[0][shared] for own in words):
        shared += 1
    own = ["_".join(part[shared:]) for part in words]
    joined = "_".join(own) if len("".join(own)) <= LONGEST else f"{own[0]}_to_{own[-1]}"
    return "_".join([*words[0][:shared], joined])


def _taken(x: Operand, start: int, stop: int) -> Operand:
    """The columns of the array that a view is made of; the array itself if that is all of them."""
    assert isinstance(x, Ref)
    parent = x.statement.operands[0]
    assert isinstance(parent, Ref)
    if (start, stop) == (0, parent.statement.shape[-1]):
        return parent
    return Ref(_columns(parent.statement, start, stop, parent.statement.node), 0)


def _columns(s: Statement, start: int, stop: int, node: Tensor | None) -> Statement:
    """Some columns of a statement, as a view."""
    last = s.shape[-1]
    which, ends = (1, (start, stop, last)) if start else (0, (stop, last))
    shape = (*s.shape[:-1], stop - start)
    constants = {"ends": ends, "axis": -1}
    operands: list[Operand] = [Ref(s, 0)]
    return Statement(split, constants, shape, s.dtype, s.steps, node, which, operands=operands)
