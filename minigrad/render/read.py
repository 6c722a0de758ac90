"""What is drawn of a graph: its values.

Slices, reshapes and casts are folded into the value that they belong to.  A node that holds all
time steps and treats
each by itself, as an output layer on stacked states does, is drawn step by step: it has one value
for each step.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minigrad import states
from minigrad.cached import cached_property
from minigrad.graph import Graph
from minigrad.paths import Axis
from minigrad.render.picture import End, Part, Row, Tile
from minigrad.scope import Scope
from minigrad.tensor import Tensor

# The coordinates of a time step, outermost first.  The axis is None for what the program computes
# outside of its loop, but for one step alone.
Path = tuple[tuple[Axis | None, int], ...]

TRANSPOSES = {"transpose", "swapaxes", "moveaxis"}
SPLITS = {"unstack", "split"}  # their rule runs once for all the parts that they make
RESHAPES = {"reshape", "expand_dims", "squeeze", "broadcast_to", "astype", "ravel", "copy", "flip"}
FOLDED = TRANSPOSES | SPLITS | RESHAPES | {"getitem"}
REDUCTIONS = {"sum", "mean", "max", "min", "prod", "logsumexp", "softmax", "log_softmax"}
BY_ENTRY = {"where", "relu", "sigmoid", "softplus", "gelu", "clip", "leaky_relu", "elu", "silu"}
TOTALS = {"sum", "mean", "max", "min", "add_up"}


class Feed(NamedTuple):
    """What flows into a value: from where, and the edge of the graph on which its gradient is
    measured.

    turned: it is transposed on its way.  mark: what an edit has put there.
    """

    source: Value
    end: End
    turned: bool = False
    mark: str = ""


@dataclass(eq=False, slots=True)
class Value:
    """A node as it is drawn, or the part of one time step of a node that holds all steps."""

    node: Tensor
    part: int | None = None
    time: Path = ()
    state: str = ""
    feeds: list[Feed] = field(default_factory=list)
    uses: int = 0
    tile: Tile = None  # type: ignore[assignment]  # set by `rows`, for all values at once

    @property
    def key(self) -> Part:
        """The node and the part."""
        return Part(self.node, self.part)

    @property
    def op(self) -> str:
        """The name of the operation that makes it; "" of a leaf."""
        return op_name(self.node)

    @property
    def t(self) -> int | None:
        """Its (outermost) time step."""
        return self.time[0][1] if self.time else None

    @property
    def row(self) -> Row:
        """The row of its tile."""
        return self.tile.row

    @property
    def is_data(self) -> bool:
        """Whether it is a leaf that no gradient is asked for."""
        return self.node.op is None and not self.node._requires_grad


@dataclass(eq=False)
class Reading:
    """The values of a graph, inputs before users.

    folded: the nodes that have no value of their own.  memories: the states that are gated
    memories, as an LSTM's c.
    """

    graph: Graph
    values: list[Value]
    outputs: frozenset[Part]
    folded: dict[Tensor, Tensor]
    memories: frozenset[str]

    @cached_property
    def drawn(self) -> list[Value]:
        """The operations that something drawn uses."""
        return [value for value in self.values if value.node.op is not None and value.uses]


# what the engine recorded


def op_name(node: Tensor) -> str:
    """The name of a node's operation; "" of a leaf."""
    return node.op.name if node.op is not None else ""


def role_of(node: Tensor) -> str:
    """The kind of a node's role in a recurrence: "input", "state", or ""."""
    return node.role.kind if node.role is not None else ""


def forward_of(node: Tensor) -> Tensor | None:
    """The node whose rule made this one in a traced backward pass; None for all others."""
    return node._scope.node if node._scope is not None else None


def scopes_of(node: Tensor) -> list[Scope]:
    """The scopes that a node was made in, from the outermost in."""
    scope, found = node._scope, list[Scope]()
    while scope is not None:
        found.append(scope)
        scope = scope.parent
    return found[::-1]


def path_of(node: Tensor) -> Path:
    """Where in time a node was made, outermost axis first."""
    return node.time.steps if node.time is not None else ()


def site_of(node: Tensor) -> tuple[Any, ...]:
    """The line of the program that made a node, the same in every time step; cheaper than
    `Tensor.site`."""
    which = node.call.which if node.call is not None else None
    return node._code, node._instruction, node.op, which


def state_names(graph: Graph) -> dict[Tensor, str]:
    """The names of all nodes that are states; what is a state of two axes is called as that of the
    outer one."""
    found: dict[Tensor, str] = {}
    for state in states.find(graph):
        for node in state.nodes.values():
            found.setdefault(node, state.name.partition("[")[0])  # its step is told anyway
    return found


# values


def read(graph: Graph) -> Reading:
    """The values of a graph, with what flows into each and how often each is used."""
    folding = _Folding(graph)
    names = state_names(graph)
    values: dict[Part, Value] = {}
    for node in graph.nodes:
        if node in folding.source:
            continue
        for part in folding.parts(node):
            value = Value(node, part, folding.time_of(node, part))
            value.state = names.get(node, "") if part is None else ""
            value.feeds = list(_feeds(folding, value, values))
            values[value.key] = value
    outputs = [folding.origin(y, None)[0] for y in graph.outputs]
    ordered = sorted(values.values(), key=lambda value: value.node.serial)
    _untime_totals(ordered)
    _count_uses(ordered, [values[part] for part in outputs])
    return Reading(
        graph, ordered, frozenset(outputs), folding.source, _memories(graph, ordered)
    )  # fmt: skip


def _memories(graph: Graph, values: list[Value]) -> frozenset[str]:
    """The states that are gated memories: those that a cell calls so, and of a loop by hand those
    that the next step does nothing with but multiply them by a gate."""
    found = {state.name.partition("[")[0] for state in states.find(graph) if state.memory}
    gated, read_otherwise = set[str](), set[str]()
    for value in values:
        for feed in value.feeds:
            name = feed.source.state
            if name and value.time and feed.source.time != value.time:
                gates = value.op == "multiply" and all(other.source.op for other in value.feeds)
                (gated if gates else read_otherwise).add(name)
    return frozenset(found | (gated - read_otherwise))


def _feeds(folding: _Folding, value: Value, values: dict[Part, Value]) -> Iterator[Feed]:
    """All that flows into a value; the leaves among it get values when they are first used."""
    for k, x in enumerate(folding.graph.inputs(value.node)):
        for part in folding.taken(value.node, value.part, x):
            origin, turned, mark = folding.origin(x, part)
            if origin not in values:  # a part of a leaf
                values[origin] = Value(*origin, time=value.time)
            yield Feed(values[origin], folding.measured_at(value.node, k, part), turned, mark)


def _untime_totals(values: list[Value]) -> None:
    """A running total, as `loss = loss + ...` is one, is a sum over the steps and no state of
    them."""
    totals: set[Value] = set()
    begun: dict[Value, set[Value]] = {}  # what a step has made of a total so far, and of which
    for value in values:
        for source in added_to(value):
            if not (value.time and source.time) or value.state or source.state:
                continue
            if source.time != value.time:
                begun[value] = {source, value}
            elif source in begun:
                begun[value] = {*begun[source], value}
        sites = {site_of(one.node) for one in begun.get(value, ()) if one.time != value.time}
        if site_of(value.node) in sites:
            totals |= begun[value]
    sites = {site_of(value.node) for value in totals}
    for value in values:  # what the first step adds to the number 0 as well
        if value in totals or (added_to(value) and site_of(value.node) in sites):
            value.time = ()


def added_to(value: Value) -> list[Value]:
    """To what an operation adds, or from what it subtracts: what it may continue as a total."""
    if value.op == "add":
        return [feed.source for feed in value.feeds]
    return [value.feeds[0].source] if value.op == "subtract" and value.feeds else []


def _count_uses(values: list[Value], outputs: list[Value]) -> None:
    """How many drawn values use each; a stack from which only single steps are picked has no
    use."""
    for value in outputs:
        value.uses += 1
    for value in reversed(values):
        if value.uses:
            for feed in value.feeds:
                feed.source.uses += 1


class _Folding:
    """Tables about the nodes of a graph.

    source: of a folded node, the input that it only rearranges.
    steps: of a node that holds all time steps one by one, which steps.
    marks: of the nodes that an edit has put in.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.when: dict[Tensor, Path] = {}
        self.steps: dict[Tensor, tuple[Path, ...]] = {}
        self.sequences = _sequences(graph)
        self.find_steps()
        self.keep_stepwise()
        self.keep_alike()
        self.marks: dict[Tensor, str] = {}
        self.source: dict[Tensor, Tensor] = {}
        for node in graph.nodes:
            if node.op is not None and node.inputs:
                self.fold(node)

    # time

    def find_steps(self) -> None:
        """The time step of each node that has one, and the steps of each that holds several."""
        for node in self.graph.nodes:
            if path := path_of(node):
                self.when[node] = path
            elif node.op is not None and node.inputs and self.graph.axes:
                held = self.held_by(node)
                if held:
                    self.steps[node] = held
                elif alone := self.alone_at(node):
                    self.when[node] = alone

    def alone_at(self, node: Tensor) -> Path:
        """The step of a node outside of time that depends on one step only."""
        x = self.graph.inputs(node)[0]
        k = picked(node)
        if x in self.steps:
            return (
                self.steps[x][k]
                if k is not None and -len(self.steps[x]) <= k < len(self.steps[x])
                else ()
            )
        if forward_of(node) is not None:
            return ()
        made = [x for x in self.graph.inputs(node) if x.op is not None]
        found = {tuple(t for _, t in self.when.get(x, ())) for x in made}
        if len(found) != 1 or any(x in self.steps for x in made):
            return ()
        return tuple((None, t) for t in found.pop())

    def held_by(self, node: Tensor) -> tuple[Path, ...]:
        """The steps that a node outside of time holds along its first axis, one by one."""
        inputs = self.graph.inputs(node)
        if op_name(node) == "stack" and node.constants.get("axis", 0) == 0:
            return _distinct([self.when.get(x, ()) for x in inputs])
        holders = [x for x in inputs if x in self.steps]
        if not holders or len({self.steps[x] for x in holders}) != 1:
            return ()
        steps = self.steps[holders[0]]
        index = node.constants.get("index")
        if op_name(node) == "getitem" and isinstance(index, slice):
            return steps[index]
        others = [x for x in inputs if x not in self.steps]
        whole = node.ndim > 0 and node.shape[0] == len(steps)
        ready = whole and all(x.op is None for x in others)
        return steps if ready and _keeps_first_axis(node, holders, others) else ()

    def keep_stepwise(self) -> None:
        """Forget the steps of what is needed as a whole: by an output, or by what looks at several
        steps."""
        users = defaultdict[Tensor, list[Tensor]](list)
        for node in self.graph.nodes:
            for x in self.graph.inputs(node):
                if x in self.steps:
                    users[x].append(node)
        lost = [y for y in self.graph.outputs if y in self.steps]
        lost += [x for x in self.steps if not all(self.takes_steps(node) for node in users[x])]
        while lost:
            node = lost.pop()
            if self.steps.pop(node, None) is None:
                continue
            lost += [x for x in self.graph.inputs(node) if x in self.steps]
            lost += [user for user in users[node] if user in self.steps]

    def takes_steps(self, node: Tensor) -> bool:
        """Whether a node takes single steps of what it is made from, or only adds all of them
        up."""
        if node in self.steps or picked(node) is not None:
            return True
        total = op_name(node) in TOTALS and path_of(node) == ()
        return total and len(self.graph.inputs(node)) == 1

    def keep_alike(self) -> None:
        """Outside of its loops a program computes for one step alone only what it computes for
        others too."""
        loose = [node for node in self.when if node.time is None]
        count = Counter((site_of(node), self.when[node]) for node in loose)
        lines = Counter(site for site, _ in count)
        for node in loose:
            picks = picked(node) is not None
            timed = any(x in self.when for x in self.graph.inputs(node))
            if not picks and (lines[site_of(node)] < 2 or not timed):
                del self.when[node]

    def time_of(self, node: Tensor, part: int | None) -> Path:
        """The time step of a value."""
        if part is None:
            return self.when.get(node, ()) if node.op is not None else path_of(node)
        return tuple((None, t) for _, t in self.steps[node][part])

    # folding

    def fold(self, node: Tensor) -> None:
        """Note what a node is drawn as, if it only rearranges a value or is an edit."""
        x = self.graph.inputs(node)[0]
        name = op_name(node)
        if node.op.forward.__module__ == "minigrad.edits":
            self.marks[node] = _mark(node)
            self.source[node] = x
        else:
            rearranges = name in FOLDED and _is_basic(node) and not self.is_x(node, x)
            if rearranges or (name == "stack" and node in self.steps):
                self.source[node] = x

    def is_x(self, node: Tensor, x: Tensor) -> bool:
        """Whether a node is an input x_t: one step of a sequence that was there before the loop
        began."""
        if not node.time or picked(node) is None or x in self.steps:
            return False
        before = self.origin(x, None)[0].node
        begun = before.time is None and op_name(before) != "stack"
        told = role_of(node) == "input" and (before.op is not None or before._requires_grad)
        return begun and (told or site_of(node) in self.sequences)

    def parts(self, node: Tensor) -> list[int | None]:
        """The parts by which a node is drawn: one for each step that it holds; else it is drawn
        whole."""
        return list(range(len(self.steps[node]))) if node in self.steps else [None]

    def taken(self, node: Tensor, part: int | None, x: Tensor) -> list[int | None]:
        """Which parts of an input a value takes: its own step, all steps, or the whole."""
        if x in self.steps:
            return [part] if part is not None else list(range(len(self.steps[x])))
        by_step = part is not None and x.op is None and x.ndim == node.ndim
        return [part] if by_step and x.shape[0] == node.shape[0] > 1 else [None]

    def origin(self, node: Tensor, part: int | None) -> tuple[Part, bool, str]:
        """The value that a node is drawn as; whether it is transposed on the way; the mark of an
        edit there."""
        turned, mark = False, ""
        while node in self.source:
            mark = self.marks.get(node, mark)
            turned ^= op_name(node) in TRANSPOSES
            x, k = self.source[node], picked(node)
            if op_name(node) == "stack":
                assert part is not None
                x, part = self.graph.inputs(node)[part], None
            elif k is not None and x in self.steps:
                part = k % len(self.steps[x])
            elif k is not None and self.is_stack(x):
                x = self.graph.inputs(x)[k]
            elif part is not None and isinstance(node.constants.get("index"), slice):
                part = range(len(self.steps[x]))[node.constants["index"]][part]
            node = x
        return Part(node, part), turned, mark

    def is_stack(self, node: Tensor) -> bool:
        """Whether a node is a stack of steps, of which single ones can be picked."""
        return op_name(node) == "stack" and node.constants.get("axis", 0) == 0

    def measured_at(self, node: Tensor, k: int, part: int | None) -> End:
        """The edge that tells the gradient of one as it is drawn: that of the whole value, if it
        can."""
        x = self.graph.inputs(node)[k]
        while x in self.source and op_name(x) in FOLDED - SPLITS and picked(x) is None:
            sliced = part is not None and isinstance(x.constants.get("index"), slice)
            if len(self.graph.users[x]) > 1 or sliced:
                break
            node, k, x = x, 0, self.graph.inputs(x)[0]
        return End(node, k, part)


def picked(node: Tensor) -> int | None:
    """The number of the one step that an index picks along the first axis; None if it takes
    more."""
    name = op_name(node)
    if name == "unstack" and node.constants.get("axis", 0) == 0 and node.call is not None:
        return node.call.which
    index = node.constants.get("index") if name == "getitem" else None
    return (
        int(index) if isinstance(index, int | np.integer) and not isinstance(index, bool) else None
    )


def _is_basic(node: Tensor) -> bool:
    """Whether a folded operation only rearranges: an index by arrays gathers, so it is drawn."""
    if op_name(node) != "getitem":
        return True
    index = node.constants.get("index")
    parts = index if isinstance(index, tuple) else (index,)
    return all(x is None or x is ... or isinstance(x, int | np.integer | slice) for x in parts)


def _sequences(graph: Graph) -> set[Any]:
    """The lines that pick different steps of a sequence in different time steps."""
    found = defaultdict[Any, set[int]](set)
    for node in graph.nodes:
        if node.time and (k := picked(node)) is not None:
            found[site_of(node)].add(k)
    return {site for site, which in found.items() if len(which) > 1}


def _distinct(steps: list[Path]) -> tuple[Path, ...]:
    """The steps, if they are several, all known and all different."""
    different = {tuple(t for _, t in path) for path in steps}
    known = len(steps) > 1 and all(steps) and len(different) == len(steps)
    return tuple(steps) if known else ()


def _keeps_first_axis(node: Tensor, holders: list[Tensor], others: list[Tensor]) -> bool:
    """Whether an operation treats all that stands along the first axis alike, each by itself."""
    name = op_name(node)
    axis: Any = node.constants.get("axis")
    if name in ("matmul", "dot"):
        return node.inputs[0] in holders and all(x.ndim <= 2 for x in others)
    if name in REDUCTIONS:
        reduced = axis if isinstance(axis, tuple) else (axis,)
        return axis is not None and all(a % holders[0].ndim for a in reduced)
    if name == "concatenate":
        return not others and axis % node.ndim != 0
    if name in TRANSPOSES:
        axes: Any = node.constants.get("axes")
        return name == "transpose" and axes is not None and axes[0] % node.ndim == 0
    if name == "expand_dims":
        return axis is not None and all(a % node.ndim for a in np.atleast_1d(axis))
    if name == "getitem":
        return _indexes_each_step(node, len(holders[0]._array))
    if name in ("reshape", "squeeze", "astype", "copy"):
        return True
    return bool(node.op.elementwise) or name in BY_ENTRY


def _indexes_each_step(node: Tensor, steps: int) -> bool:
    """Whether an index takes something of each step: `x[:, 0]`, or what `take_along_axis` picks."""
    index = node.constants.get("index")
    if not isinstance(index, tuple) or not index:
        return False
    first = index[0]
    if isinstance(first, np.ndarray):
        return first.shape[:1] == (steps,) and bool((first.ravel() == np.arange(steps)).all())
    return first is ... or first == slice(None)


def _mark(node: Tensor) -> str:
    """How an edit is marked: its limits, or scissors."""
    limits = [node.constants.get(key) for key in ("max_norm", "max_value")]
    text = ", ".join(f"≤ {limit:g}" for limit in limits if limit) or "✂"
    return f"{text} some rows" if node.constants.get("rows") is not None else text
