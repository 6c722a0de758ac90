"""Where the values of a program live: arrays for all steps, arrays for one step, views of others."""

from __future__ import annotations

from dataclasses import dataclass, field

from minigrad.program.forms import UFUNCS
from minigrad.program.ir import Every, Number, Operand, Program, Ref, Row, Statement, is_basic
from minigrad.program.schedule import Block, Loop

VIEWS = {"split", "transpose", "swapaxes", "moveaxis", "expand_dims", "broadcast_to", "flip"}


@dataclass
class Storage:
    """The decisions, by statement.

    block: the number of the block that computes it.  kept: has an array for all steps.  padding: rows
    before the first step and after the last.  views: of which statement it is a view.  parts: the
    `concatenate` into whose array it is written, with the first and last column.  shared: is written
    to the array of the operation that reads it.  looped: is computed step by step.
    """

    block: dict[Statement, int] = field(default_factory=dict)
    kept: set[Statement] = field(default_factory=set)
    padding: dict[Statement, tuple[int, int]] = field(default_factory=dict)
    views: dict[Statement, Statement] = field(default_factory=dict)
    parts: dict[Statement, tuple[Statement, int, int]] = field(default_factory=dict)
    shared: set[Statement] = field(default_factory=set)
    looped: set[Statement] = field(default_factory=set)


def allocate(program: Program, blocks: list[Block]) -> Storage:
    """Decide for all statements."""
    storage = Storage()
    for number, block in enumerate(blocks):
        for s in block.body if isinstance(block, Loop) else [block]:
            storage.block[s] = number
    looped = storage.looped = {s for b in blocks if isinstance(b, Loop) for s in b.body}
    for s in program.statements:
        _look_for_views(s, storage)
    for s in program.statements:
        _look_for_parts(s, storage, looped)
    for s, readings in program.readers().items():
        for reader, x in readings if s.timed else ():
            _note_reading(reader, x, storage, looped)
    for s in program.statements:
        if s.timed and (s.before or s.after or s.period or s not in looped):
            storage.kept.add(s)
    _keep_what_is_seen_through_views(storage)
    return storage


def _look_for_views(s: Statement, storage: Storage) -> None:
    x = s.operands[0] if s.operands else None
    plain = (
        s.timed and isinstance(x, Ref) and x.offset == 0 and not (s.before or s.after or s.period)
    )
    taken = s.kind == "getitem" and is_basic(s.constants["index"])
    if plain and (taken or s.kind in VIEWS):
        storage.views[s] = x.statement  # type: ignore[union-attr]


def _look_for_parts(s: Statement, storage: Storage, looped: set[Statement]) -> None:
    """The operands of a `concatenate` in a loop are computed right into their place."""
    if (
        s.kind != "concatenate"
        or s not in looped
        or s.constants["axis"] not in (-1, len(s.shape) - 1)
    ):
        return
    start = 0
    for x in s.operands:
        width = _width(x)
        if isinstance(x, Ref) and x.offset == 0 and _may_be_part(x.statement, s, storage, looped):
            storage.parts[x.statement] = s, start, start + width
        start += width


def _width(x: Operand) -> int:
    assert not isinstance(x, Number)
    return int(x.statement.shape[-1])


def _may_be_part(x: Statement, s: Statement, storage: Storage, looped: set[Statement]) -> bool:
    own = x in looped and storage.block[x] == storage.block[s] and x.dtype == s.dtype
    free = x not in storage.views and x not in storage.parts and x.kind != "concatenate"
    return own and free and not (x.before or x.after or x.period)


def _note_reading(
    reader: Statement | None, x: Operand, storage: Storage, looped: set[Statement]
) -> None:
    s = x.statement  # type: ignore[union-attr]
    near = isinstance(x, Ref) and x.offset == 0
    together = reader is not None and storage.block.get(reader) == storage.block[s] and s in looped
    if not (near and together):
        storage.kept.add(s)
    offset = x.offset if isinstance(x, Ref | Every) else 0
    before, after = storage.padding.get(s, (0, 0))
    before = max(before, -(offset or 0), *(-t for t in s.before), 0)
    after = max(after, offset or 0, *(t + 1 for t in s.after), 0)
    storage.padding[s] = before, after
    if isinstance(x, Row):
        storage.kept.add(s)


def _keep_what_is_seen_through_views(storage: Storage) -> None:
    """A view lives where its base lives; what is kept keeps its base."""
    for s in list(storage.kept):
        while s in storage.views or s in storage.parts:
            s = storage.views[s] if s in storage.views else storage.parts[s][0]
            storage.kept.add(s)
    changed = True
    while changed:
        changed = False
        for s in (*storage.views, *storage.parts):
            base = storage.views[s] if s in storage.views else storage.parts[s][0]
            lives = base in storage.kept or not base.timed
            if lives and s not in storage.kept:
                storage.kept.add(s)
                changed = True
    for s in (*storage.views, *storage.parts):
        before, after = storage.padding.get(s, (0, 0))
        while s in storage.views or s in storage.parts:
            s = storage.views[s] if s in storage.views else storage.parts[s][0]
            early, late = storage.padding.get(s, (0, 0))
            storage.padding[s] = before, after = max(before, early), max(after, late)
    for s in reversed([*storage.parts, *storage.views]):
        base = storage.views[s] if s in storage.views else storage.parts[s][0]
        storage.padding[s] = storage.padding.get(base, (0, 0))


IN_PLACE = UFUNCS | {"sigmoid", "relu", "softplus", "add_up"}


def share_arrays(program: Program, storage: Storage) -> None:
    """What only the next operation reads is computed in that one's array, under its name."""
    users = {s: {reader for reader, _ in found} for s, found in program.readers().items()}
    bases = {*storage.views.values(), *(whole for whole, _, _ in storage.parts.values())}
    for s in reversed(program.statements):
        plain = s.timed and s.constants.get("places") is None
        if plain and s.kind in IN_PLACE and s not in storage.views and s not in storage.parts:
            for x in s.operands[:2]:
                if _may_share(x, s, storage, bases) and users[x.statement] == {s}:  # type: ignore[union-attr]
                    _share(x.statement, s, storage)  # type: ignore[union-attr]
                    break


def _may_share(x: Operand, s: Statement, storage: Storage, bases: set[Statement]) -> bool:
    """Whether an operand of an elementwise operation may be written where its result goes."""
    if not isinstance(x, Ref) or x.offset != 0 or not x.statement.timed or x.statement.op is None:
        return False
    y = x.statement
    alike = (y.shape, y.dtype, str(y.steps)) == (s.shape, s.dtype, str(s.steps))
    plain = not (y.before or y.after or y.period or s.period or any(guarded(s)))
    plain &= all(later != x for later in s.operands[2:])  # sums are written before those are read
    together = storage.block[y] == storage.block[s] or not {y, s} & storage.looped
    return alike and plain and together and not _is_tied(y, storage, bases)


def _is_tied(y: Statement, storage: Storage, bases: set[Statement]) -> bool:
    return y in bases or y in storage.views or y in storage.parts or y.kind == "drawn"


def _share(y: Statement, s: Statement, storage: Storage) -> None:
    y.name = s.name
    storage.shared.add(y)
    storage.padding[y] = storage.padding.get(s, (0, 0))
    if s in storage.kept:
        storage.kept.add(y)
    else:
        storage.kept.discard(y)


def guarded(s: Statement) -> tuple[int, int]:
    """How many steps at the start and the end must not be computed: what stands there is given."""
    skipped = max([0, *(t + 1 for t in s.before)])
    left = max([0, *(-t for t in s.after)])
    return skipped, left
