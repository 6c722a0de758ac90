"""Which values become one box, in the view asked for: running sums, affine sums, blocks, whole
cells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from minigrad.language import say
from minigrad.render.names import MANY, Names
from minigrad.render.nodes import common_scope, scopes_of
from minigrad.render.picture import Tile
from minigrad.render.read import Value, added_to
from minigrad.scope import Scope

MOST_CALLS = 3  # of modules that the title of a cell lists
SUMMING = {"add", "subtract", "multiply", "divide", "negative"}
Users = Mapping[Value, set[Value]]  # who takes a value
VIEWS = ("ops", "affine", "blocks", "cells")


@dataclass(eq=False, slots=True)
class Group:
    """Values that become one box, which stands where the last of them does.

    kind and label are those of the operation, where none are given.
    """

    values: list[Value]
    kind: str = ""
    label: str = ""

    @property
    def last(self) -> Value:
        """The last value, whose tile the box stands in."""
        return self.values[-1]

    @property
    def tile(self) -> Tile:
        """The tile that the box stands in."""
        return self.values[-1].tile


def group(
    names: Names, drawn: Sequence[Value], core: set[Value], view: str, blocks: str | None
) -> list[Group]:
    """All boxes of operations of a view, in the order of their last operations.

    core: the operations that lead to a state in their step.
    """
    sums = _sums(names, drawn)
    taken = {value for one in sums for value in one.values}
    rest = [value for value in drawn if value not in taken]
    if view == "ops":
        found = [Group([value]) for value in rest]
    elif view == "cells":
        found = _cells(names, rest, core)
    else:
        found = _affine(names, rest, _blocks(names, rest, blocks) if view == "blocks" else {})
    found += sums
    if view in ("blocks", "cells"):  # of a sum, nothing but its end is used outside
        found = _without_cycles(found)
    for one in found:
        if not one.kind:
            one.kind, one.label = names.describe(one.last)
    return sorted(found, key=lambda one: one.last.node.serial)


# sums


def _sums(names: Names, drawn: Sequence[Value]) -> list[Group]:
    """A running sum outside of time, as the sum of all losses is one, becomes one box."""
    chains: dict[Value, list[Value]] = {}
    for value in drawn:
        adds = value.op == "add" or (value.op == "subtract" and value.node.time)
        if adds and not value.time and not value.state:
            before = [s for s in added_to(value) if s in chains and s.uses == 1]
            chains[value] = [*(chains.pop(before[0]) if before else ()), value]
    return [_sum(names, chain) for chain in chains.values() if len(chain) >= MANY]


def _sum(names: Names, chain: list[Value]) -> Group:
    """The box of a running sum, `loss = Σ of 4`; Python's `sum` begins with the number 0."""
    first, last = chain[0].node, chain[-1].node
    from_number = any(x in names.leaves.written for x in names.graph.inputs(first))
    terms = len(chain) if from_number else len(chain) + 1
    label = say("{symbol} of {n}", symbol="Σ", n=terms)
    is_loss = last in names.losses
    if name := names.losses[last] if is_loss else names.variable(last):
        label = f"{names.shown(name)} = {label}"
    return Group(chain, "loss" if is_loss else "bar", label)


# affine sums


def _affine(
    names: Names, drawn: Sequence[Value], blocks: dict[Value, tuple[Any, str]]
) -> list[Group]:
    """Each sum of products with parameters becomes one box, x W + h U + b; so does each block."""
    groups: dict[Any, Group] = {}
    affine: set[Value] = set()
    for value in drawn:
        if value in blocks:
            key, name = blocks[value]
            groups.setdefault(key, Group([], "cell", name)).values.append(value)
            continue
        weights = sum(not s.op and s.node._requires_grad for s in value.sources)
        parts = [s for s in value.sources if s in affine and s.uses == 1 and s.tile == value.tile]
        groups[value] = Group([value])
        product = value.op == "matmul" and weights > 0
        if product or (value.op == "add" and parts and len(parts) + weights == 2):
            affine.add(value)
            held = [] if product else [v for s in parts for v in groups.pop(s).values]
            label = f"affine {names.shown(names.variable(value.node))}".strip()
            groups[value] = Group([*held, value], "matmul", label)
    for one in groups.values():
        if one.kind == "cell" and len(one.values) == 1:
            one.kind = ""
    return list(groups.values())


# blocks


def _blocks(
    names: Names, drawn: Sequence[Value], opened: str | None
) -> dict[Value, tuple[Any, str]]:
    """The block of each value that is in one, and what the block is called: one call of a module,
    or a scope."""
    paths_of = defaultdict[Tile | None, set[str]](set)
    for value in drawn:
        paths_of[value.tile].add(value.node.scope)
    paths_of[None] = set().union(*paths_of.values())
    found: dict[Value, tuple[Any, str]] = {}
    for value in drawn:
        forward, scopes = value.forward, scopes_of(value.node)
        if not scopes or (forward is not None and forward._scope is None):
            continue
        tile, layer = (value.tile, value.tile.row.name) if value.time else (None, "")
        base = common_scope(paths_of[tile])
        below = [scope for scope in scopes if len(scope.path) > len(base) and scope.path != layer]
        if opened is not None:
            closed = [scope for scope in below if not _opens(scope.path, opened)]
            below = closed if len(closed) == len(below) else closed[:1]
        if below:
            scope = _innermost(below)
            found[value] = (tile, scope), _block_name(names, value, scope)
        elif tile is not None and len(paths_of[tile]) == 1 and opened is None:
            title = names.class_of([value], scopes[-1].path) or scopes[-1].name
            found[value] = (tile, scopes[-1].path), title
    return found


def _block_name(names: Names, value: Value, scope: Any) -> str:
    """What a block is called: by its scope; in a traced backward pass by the scope whose gradient
    it computes."""
    if value.forward is None or value.forward._scope is None:
        name = names.class_of([value], scope.path) if scope.name.isdigit() else ""
        return names.shown(name or scope.name)
    return f"∂{value.forward._scope.name}"


def _innermost(scopes: Sequence[Scope]) -> Scope:
    """The first of some scopes; of one that opens itself again, as in a tree, the last."""
    found = scopes[0]
    for scope in scopes[1:]:
        again = (scope.code, scope.instruction) == (found.code, found.instruction)
        if not again and scope.name != found.name:
            break
        found = scope
    return found


def _opens(path: str, opened: str) -> bool:
    """Whether a scope is opened by a name that the reader gave: it, or one around it."""
    return path == opened or path.endswith(f".{opened}") or opened.startswith(f"{path}.")


# cells


def _cells(names: Names, drawn: Sequence[Value], core: set[Value]) -> list[Group]:
    """In each step one box for all that the states are made of; around it one for each named value
    or module."""
    groups: dict[Any, Group] = {}
    group_of: dict[Value, Group] = {}
    users = defaultdict[Value, set[Value]](set)
    for value in reversed(drawn):
        for source in value.sources:
            if source not in core:
                users[source].add(value)
        one = None
        if value in core:
            one = groups.setdefault(value.tile, Group([], "cell"))
        elif value.forward is None and not value.is_input:
            one = _joined(names, value, {group_of[user] for user in users[value]})
        if one is None:
            one = groups[value] = Group([])
        one.values.append(value)
        group_of[value] = one
    for one in groups.values():
        one.values.reverse()
        _title(names, one, users)
    return _mirrored(names, list(groups.values()), group_of)


def find_core(names: Names, drawn: Sequence[Value]) -> set[Value]:
    """The operations that lead to a state in their step; of a single step written out, all but its
    losses."""
    core: set[Value] = set()
    front = [value for value in drawn if value.state and value.time]
    timeline = names.graph.timeline
    if not front and all(len(timeline.steps_of(axis)) == 1 for axis in timeline.axes):
        front = [v for v in drawn if v.time and v.time[0][0] is not None and not _is_scalar(v)]
    while front:
        value = front.pop()
        if value.op and value not in core and value.role != "input" and not value.is_input:
            core.add(value)
            front += [source for source in value.sources if source.tile is value.tile]
    return core


def _joined(names: Names, value: Value, users: set[Group]) -> Group | None:
    """The box that a value belongs to: that of its only user, if it has no name and is no module's
    result."""
    if len(users) != 1 or names.variable(value.node):
        return None
    (one,) = users
    user = one.values[0]
    if one.kind or user.tile != value.tile or user.forward is not None or user.is_input:
        return None
    return one if names.origin(value.node) == names.origin(user.node) else None


def _title(names: Names, one: Group, users: Users) -> None:
    """Kind and label of a box in the view of cells."""
    last = one.last
    kind = _ending(names, last, users)
    if one.kind == "cell":
        one.label = names.shown(_module_of(names, one.values) or "cell")
    elif len(one.values) > 1:
        one.kind = kind
        _title_several(names, one)
    elif last.time and not last.is_input:
        one.kind, one.label = kind, names.describe(last)[1]
        if named := names.result_of(last.node):
            one.label = f"{names.indexed(named, last)}\n{names.symbol(last.node)}"


def _module_of(names: Names, values: Sequence[Value]) -> str:
    """The module that some values are all made in, or up to three calls of modules one after the
    other; "" if some are made outside of all modules."""
    scopes = [scopes_of(value.node) for value in values]
    shared = [call for call, *others in zip(*scopes, strict=False) if {call} >= {*others}]
    if shared:
        return names.class_of(values, shared[-1].path) or shared[-1].name
    made = defaultdict[Scope | None, list[Value]](list)
    for value, calls in zip(values, scopes, strict=True):
        made[calls[0] if calls else None].append(value)
    titles = [names.class_of(made[call], call.path) or call.name for call in made if call]
    return " + ".join(titles) if len(titles) == len(made) <= MOST_CALLS else ""


def _title_several(names: Names, one: Group) -> None:
    """Kind and label of several operations that are no cell: an output, a loss, a module's call."""
    last, values = one.last, one.values
    scope = last.node._scope
    name = names.losses.get(last.node) or names.result_of(last.node)
    if one.kind != "loss" and not last.time and scope is not None:
        one.kind = "cell"
        name = names.class_of(values, scope.path) or name or scope.name
    elif one.kind != "loss":
        name = name or (scope.name if scope is not None else "") or names.function(values)
    text = names.indexed(name, last) if name else ""
    one.label = f"{text}\n{names.operations(values)}".strip()


def _ending(names: Names, last: Value, users: Users) -> str:
    """Whether a box is a loss: a number that is only added up; else it is an output."""
    if last.node in names.losses or (last.time and _is_added_up(names, last, users)):
        return "loss"
    return "output" if last.time else "operation"


def _is_added_up(names: Names, value: Value, users: Users) -> bool:
    """Whether a value is one number of which nothing is made in its step but a weighted sum."""
    if not _is_scalar(value):
        return False
    for user in users.get(value, ()) if value.time else ():
        others = [feed.source for feed in user.feeds if feed.source is not value]
        summing = all(x.op or x.node in names.leaves.written for x in others) and user.op in SUMMING
        if user.time and not (summing and _is_added_up(names, user, users)):
            return False
    return True


def _is_scalar(value: Value) -> bool:
    """Whether a value is one number, in its step."""
    return value.node.ndim == 0 or (value.part is not None and value.node.ndim == 1)


def _mirrored(names: Names, groups: list[Group], group_of: dict[Value, Group]) -> list[Group]:
    """A traced backward pass, grouped as the operations are whose rules made it."""
    of_node = {value.node: one for value, one in group_of.items()}
    found: dict[Any, Group] = {}
    for one in groups:
        forward = one.last.forward
        drawn = None if forward is None else names.reading.folded.get(forward, forward)
        source = of_node.get(drawn) if drawn is not None else None
        if source is None or source.tile.column != one.tile.column or len(source.values) == 1:
            found[one] = one
            continue
        name, _, operations = source.label.partition("\n")
        label = f"∂{name}" if operations or source.kind == "cell" else f"∂({name})"
        mirror = found.setdefault((one.tile, source), Group([], "cell", label))
        mirror.values = sorted([*mirror.values, *one.values], key=lambda value: value.node.serial)
    return list(found.values())


# boxes must not wait for each other


def _taken_apart(one: Group) -> list[Group]:
    """A box in the pieces that edges within it join; if it is one piece, in its operations."""
    piece: dict[Value, list[Value]] = {}
    for value in one.values:
        piece[value] = [value]
        for source in value.sources:
            if source in piece and piece[source] is not piece[value]:
                joined = piece[source] + piece[value]
                piece.update(dict.fromkeys(joined, joined))
    pieces = list({id(values): values for values in piece.values()}.values())
    if len(pieces) == 1:
        pieces = [[value] for value in one.values]
    return [
        Group(values, one.kind, one.label) if len(values) > 1 else Group(values)
        for values in pieces
    ]


def _without_cycles(groups: list[Group]) -> list[Group]:
    """The boxes, with those taken apart that would wait for each other."""
    while True:
        group_of = {value: one for one in groups for value in one.values}
        before = defaultdict[Group, set[Group]](set)
        for value, one in group_of.items():
            sources = {group_of[source] for source in value.sources if source in group_of}
            before[one] |= sources - {one}
        try:
            TopologicalSorter(before).prepare()
        except CycleError as error:
            largest = max(error.args[1], key=lambda one: len(one.values))
            groups = [one for one in groups if one is not largest] + _taken_apart(largest)
        else:
            return groups
