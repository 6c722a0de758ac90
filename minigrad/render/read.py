"""What is drawn of a graph: its values.

Slices, reshapes and casts are folded into the value that they belong to.  A node that holds all
time steps and treats each by itself, as an output layer on stacked states does, is drawn step by
step: it has one value for each step.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from minigrad import states
from minigrad.cached import cached_property
from minigrad.graph import Graph, Move
from minigrad.paths import Axis
from minigrad.render import look
from minigrad.render.picture import End, Part, Tile
from minigrad.scope import Scope
from minigrad.tensor import Array, Tensor, constant

# The coordinates of a time step, outermost first.  The axis is None for what the program computes
# outside of its loop, but for one step alone.
Path = tuple[tuple[Axis | None, int], ...]

TRANSPOSES = {"transpose", "swapaxes", "moveaxis"}
SPLITS = {"unstack", "split"}  # their rule runs once for all the parts that they make
INDEXING = {"getitem", "unstack"}
RESHAPES = {"reshape", "expand_dims", "squeeze", "broadcast_to", "astype", "ravel", "copy", "flip"}
FOLDED = TRANSPOSES | SPLITS | RESHAPES | {"getitem"}
TOTALS = {"sum", "mean", "max", "min", "add_up"}
# Operations that treat each entry along the first axis by itself: all that are elementwise, these,
# and those that work along an axis, if it is another one.
BY_ENTRY = {
    *("where", "relu", "sigmoid", "softplus", "gelu", "clip", "leaky_relu", "elu", "silu"),
    *("reshape", "squeeze", "astype", "copy"),
}
ALONG_AXIS = {
    *("sum", "mean", "max", "min", "prod", "logsumexp", "softmax", "log_softmax"),
    *("concatenate", "expand_dims"),
}


class Feed(NamedTuple):
    """What flows into a value as input number `position` of its node.

    end: the edge of the graph on which its gradient is measured.  turned: it is transposed on its
    way.  mark: what an edit has put there.
    """

    source: Value
    position: int
    end: End
    turned: bool
    mark: str


class Value:
    """A node as it is drawn, or the part of one time step of a node that holds all steps.

    op: the name of the operation that makes it; "" of a leaf.  forward: in a traced backward pass
    the node whose rule made it.  site: the line of the program.  state: the name of the state that
    it is, or "".  uses: how many drawn values use it.  is_input: whether it is an input x_t of its
    step.  tile: set by `rows`, for all at once.
    """

    __slots__ = (
        *("node", "part", "key", "op", "role", "forward", "site", "time", "state", "feeds"),
        *("uses", "is_input", "tile"),
    )
    tile: Tile

    def __init__(self, node: Tensor, part: int | None, time: Path, state: str = "") -> None:
        self.node, self.part, self.key = node, part, Part(node, part)
        self.op, self.role = op_name(node), role_of(node)
        self.forward, self.site = forward_of(node), site_of(node)
        self.time, self.state = time, state
        self.feeds: list[Feed] = []
        self.uses, self.is_input = 0, False

    @property
    def sources(self) -> list[Value]:
        """The values that flow into it."""
        return [feed.source for feed in self.feeds]

    def enters(self) -> bool:
        """Whether it is an x_t, and not itself made of steps as that of a layer above another
        is."""
        picks = self.op in INDEXING and bool(self.node.time) and len(self.feeds) == 1
        if self.role != "input" and not picks:
            return False
        return not any(source.time and source.op for source in self.sources)


class Crossing(NamedTuple):
    """A state that enters another time step.

    steps: how many steps later on the axis of both; 0 if it comes from another axis.
    """

    value: Value
    feed: Feed
    steps: int


@dataclass(eq=False)
class Reading:
    """The values of a graph, inputs before users.

    folded: of each node that has no value of its own, the one that it is drawn as.
    """

    graph: Graph
    values: list[Value]
    outputs: frozenset[Part]
    folded: dict[Tensor, Tensor]

    @cached_property
    def drawn(self) -> list[Value]:
        """The operations that something drawn uses."""
        return [value for value in self.values if value.op and value.uses]

    def move(self, source: Value, value: Value) -> Move | None:
        """The axis along which one value comes to another, and its positions there; None within a
        step, and for what has no time in common."""
        if not (source.time and value.time):
            return None
        return self.graph.move(source.node, value.node)

    @cached_property
    def crossings(self) -> list[Crossing]:
        """Where states enter other steps."""
        found = []
        for value in self.drawn:
            for feed in value.feeds if value.time else ():
                if feed.source.state and feed.source.time != value.time:
                    move = self.move(feed.source, value)
                    found.append(Crossing(value, feed, move.end - move.start if move else 0))
        return found

    @cached_property
    def alike(self) -> dict[Value, list[Value]]:
        """For each drawn value those of all steps that are made in the same way: one of them may
        stand for the others."""
        found: dict[Value, list[Value]] = {}
        every = defaultdict[Any, list[Value]](list)
        count = Counter[Any]()
        for value in self.drawn:
            made_for = site_of(value.forward) if value.forward is not None else None
            row: Any = value.tile.row
            row = (row.name, row.axes) if row.step else row  # all rows of a grid are alike
            way = row, value.state or value.site, made_for
            count[value.tile, way] += 1
            found[value] = every[way, count[value.tile, way]]
            found[value].append(value)
        return found

    @cached_property
    def memories(self) -> frozenset[str]:
        """The states that are gated memories, as an LSTM's c: those that a cell calls so, and of a
        loop by hand those that the next step only multiplies by a gate."""
        told = {_bare(state.name) for state in states.find(self.graph) if state.memory}
        gated, read_otherwise = set[str](), set[str]()
        for value, feed, _ in self.crossings:
            gates = value.op == "multiply" and all(source.op for source in value.sources)
            (gated if gates else read_otherwise).add(feed.source.state)
        return frozenset(told | (gated - read_otherwise))

    def kind_of_state(self, name: str) -> str:
        """The kind of box of an operation that makes a state."""
        return "memory" if name in self.memories else "state"


# what the engine recorded


def op_name(node: Tensor) -> str:
    """The name of a node's operation; "" of a leaf."""
    return node.op.name if node.op is not None else ""


def role_of(node: Tensor) -> str:
    """The kind of a node's role in a recurrence: "input", "state", "mask" or ""."""
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


def common_scope(paths: Iterable[str]) -> str:
    """The scope that several scopes have in common."""
    common = []
    for names in zip(*[path.split(".") for path in paths], strict=False):
        if len(set(names)) > 1:
            break
        common.append(names[0])
    return ".".join(common)


def path_of(node: Tensor) -> Path:
    """Where in time a node was made, outermost axis first."""
    return node.time.steps if node.time is not None else ()


def site_of(node: Tensor) -> tuple[Any, ...]:
    """The line of the program that made a node, and the one that called the module around it: the
    same in every time step."""
    which, scope = node.call.which if node.call is not None else None, node._scope
    called = (scope.path, scope.code, scope.instruction) if scope is not None else None
    return node._code, node._instruction, node.op, which, called


def state_names(graph: Graph) -> dict[Tensor, str]:
    """The names of all nodes that are states; what is a state of two axes is called as that of the
    outer one."""
    found: dict[Tensor, str] = {}
    for state in states.find(graph):
        for node in state.nodes.values():
            found.setdefault(node, _bare(state.name))
    return found


def _bare(name: str) -> str:
    """The name of a state without its step on inner axes, which is told anyway."""
    return name.partition("[")[0]


# values


def read(graph: Graph) -> Reading:
    """The values of a graph, with what flows into each and how often each is used."""
    reader = _Reader(graph)
    outputs = [reader.origins[y][0].value for y in graph.outputs]
    values = sorted(reader.values, key=lambda value: value.node.serial)
    _untime_totals(values)
    _count_uses(values, outputs)
    for value in values:
        value.is_input = value.enters()
        if value.op in look.PRODUCTS and not graph.axes:
            for leaf in value.sources:  # what a network without time takes in
                if not leaf.op and not leaf.node._requires_grad:
                    leaf.role = "input"
    return Reading(graph, values, frozenset(value.key for value in outputs), reader.folded)


def _untime_totals(values: list[Value]) -> None:
    """A running total, as `loss = loss + ...` is one, is a sum over the steps and no state of
    them."""
    sums: dict[Value, list[Value]] = {}  # what a step adds to a value of another one, that first
    sites = set()
    for value in values:
        for source in added_to(value) if value.time and not value.state else ():
            if not source.time or source.state:
                continue
            if source.time == value.time and source not in sums:
                continue
            sums[value] = [*(sums[source] if source.time == value.time else [source]), value]
            if sums[value][0].site == value.site:
                sites |= {one.site for one in sums[value]}
    for value in values if sites else ():
        if value.site in sites:  # also what the first step adds to the number 0
            value.time = ()


def added_to(value: Value) -> list[Value]:
    """To what an operation adds, or from what it subtracts: what it may continue as a total."""
    if value.op == "add":
        return value.sources
    return value.sources[:1] if value.op == "subtract" else []


def _count_uses(values: list[Value], outputs: list[Value]) -> None:
    """How many drawn values use each; a stack from which only single steps are picked has no
    use."""
    for value in outputs:
        value.uses += 1
    for value in reversed(values):
        if value.uses:
            for feed in value.feeds:
                feed.source.uses += 1


class _Times:
    """When the nodes of a graph are made.

    when: the time step of a node that has one.  steps: of a node that holds several along its first
    axis, one by one, which.  picks: of an index that picks one step, its number.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.when: dict[Tensor, Path] = {}
        self.steps: dict[Tensor, tuple[Path, ...]] = {}
        indexed = [node for node in graph.nodes if op_name(node) in INDEXING]
        self.picks = {node: k for node in indexed if (k := _picked(node)) is not None}
        for node in graph.nodes:
            if path := path_of(node):
                self.when[node] = path
            elif node.op is not None and node.inputs and graph.axes:
                if held := self.held_by(node):
                    self.steps[node] = held
                elif alone := self.alone_at(node):
                    self.when[node] = alone
        if self.steps:
            self.keep_stepwise()
        self.keep_alike()

    def parts(self, node: Tensor) -> list[tuple[int | None, Path]]:
        """The parts by which a node is drawn, one for each step that it holds, or the whole; and
        their steps."""
        if node in self.steps:
            return list(enumerate(_untied(path) for path in self.steps[node]))
        return [(None, self.when.get(node, ()))]

    def alone_at(self, node: Tensor) -> Path:
        """The step of a node outside of time that depends on one step only."""
        inputs = self.graph.inputs(node)
        if held := self.steps.get(inputs[0]):
            return held[self.picks[node]] if node in self.picks else ()
        made = [x for x in inputs if x.op is not None]
        found = {_untied(self.when.get(x, ())) for x in made}
        alone = len(found) == 1 and not any(x in self.steps for x in made)
        return found.pop() if alone and forward_of(node) is None else ()

    def held_by(self, node: Tensor) -> tuple[Path, ...]:
        """The steps that a node outside of time holds along its first axis, one by one."""
        inputs = self.graph.inputs(node)
        if _is_stack(node):
            paths = [self.when.get(x, ()) for x in inputs]
            distinct = len({_untied(path) for path in paths}) == len(paths) > 1
            return tuple(paths) if distinct and all(paths) else ()
        holders = [x for x in inputs if x in self.steps]
        if not holders or len({self.steps[x] for x in holders}) != 1:
            return ()
        steps = self.steps[holders[0]]
        if isinstance(_index_of(node), slice):
            return steps[_index_of(node)]
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
        lost += [x for x in self.steps if not all(map(self.takes_steps, users[x]))]
        while lost:
            node = lost.pop()
            if self.steps.pop(node, None) is not None:
                lost += [x for x in (*self.graph.inputs(node), *users[node]) if x in self.steps]

    def takes_steps(self, node: Tensor) -> bool:
        """Whether a node takes single steps of what it is made from, or only adds all of them
        up."""
        if node in self.steps or node in self.picks:
            return True
        total = op_name(node) in TOTALS and node.time is None
        return total and len(self.graph.inputs(node)) == 1

    def keep_alike(self) -> None:
        """Outside of its loops a program computes for one step alone only what it computes for
        others too."""
        loose = [node for node in self.when if node.time is None]
        steps_of = defaultdict[Any, set[Path]](set)
        for node in loose:
            steps_of[site_of(node)].add(self.when[node])
        for node in loose:
            timed = any(x in self.when for x in self.graph.inputs(node))
            alike = timed and len(steps_of[site_of(node)]) > 1
            if not alike and node not in self.picks:
                del self.when[node]


class Origin(NamedTuple):
    """What a node is drawn as; whether it is transposed on the way; the mark of an edit there."""

    value: Value
    turned: bool = False
    mark: str = ""


class _Reader:
    """The values of a graph, made in the order of its nodes.

    origins: what a node is drawn as, or each of the steps that it holds; folded: of a node without
    a value of its own, the node of its origin.  ends: of such a node the edge that tells the
    gradient of the whole value, if there is one.  parts: of the leaves that steps take parts of.
    sequences: the lines that pick one step after another; lookups: those that look up other places
    in each step, as in a table of words.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph, self.times = graph, _Times(graph)
        self.steps, self.picks = self.times.steps, self.times.picks
        self.sequences, self.lookups = _sequences(graph)
        self.values: list[Value] = []
        self.origins: dict[Tensor, list[Origin]] = {}
        self.folded: dict[Tensor, Tensor] = {}
        self.ends: dict[Tensor, tuple[Tensor, int]] = {}
        self.parts: dict[tuple[Tensor, int | None], Value] = {}
        names = state_names(graph)
        for node in graph.nodes:
            if node.op is not None and node.inputs and self.is_folded(node):
                self.fold(node)
            else:
                self.make(node, names.get(node, ""))

    def make(self, node: Tensor, state: str) -> None:
        """The values of a node that is drawn."""
        parts = self.times.parts(node)
        made = [Value(node, part, time, state if part is None else "") for part, time in parts]
        self.origins[node] = [Origin(value) for value in made]
        places = self.places_of(node) if op_name(node) in INDEXING else None
        for value in made:
            value.feeds = [
                Feed(source, k, End(*self.ends.get(x, (node, k)), part), turned, mark)
                for k, x in enumerate(self.graph.inputs(node))
                for part, (source, turned, mark) in self.taken(value, x)
            ]
            if places is not None:
                value.feeds.append(self.index_feed(value, places))
            self.values.append(value)

    def places_of(self, node: Tensor) -> Tensor | None:
        """The places that an index takes, as a leaf."""
        if (found := self.looked_up(node)) is None:
            return None
        leaf = constant(found)
        leaf.time, leaf.serial = node.time, node.serial
        return leaf

    def index_feed(self, value: Value, places: Tensor) -> Feed:
        """How the places that an index takes flow into a value: as one more input."""
        node, k = value.node, len(value.node.inputs)
        by_step = value.part is not None and len(places._array) == len(self.steps[node])
        part = value.part if by_step else None
        return Feed(self.part_of(places, part, value.time), k, End(node, k, part), False, "")

    def taken(self, value: Value, x: Tensor) -> list[tuple[int | None, Origin]]:
        """Which parts of an input a value takes, its own step, all steps, or the whole; and what
        they are drawn as."""
        node, part, found = value.node, value.part, self.origins[x]
        if x in self.steps:
            k = self.picks.get(node) if part is None else part
            return list(enumerate(found)) if k is None else [(k % len(found), found[k])]
        by_step = part is not None and x.op is None and x.ndim == node.ndim
        if by_step and x.shape[0] == node.shape[0] > 1:
            return [(part, Origin(self.part_of(x, part, value.time)))]
        return [(None, found[0])]

    def part_of(self, leaf: Tensor, part: int | None, time: Path) -> Value:
        """What a step takes of a leaf."""
        if (leaf, part) not in self.parts:
            self.parts[leaf, part] = Value(leaf, part, time)
            self.values.append(self.parts[leaf, part])
        return self.parts[leaf, part]

    def looked_up(self, node: Tensor) -> Array | None:
        """The places that an index takes, where they are data: y of `p[np.arange(n), y]`."""
        parts = _index_parts(node)
        arrays = [np.asarray(x) for x in parts if isinstance(x, list | np.ndarray)]
        if arrays:
            return next((x for x in reversed(arrays) if not _counts(x)), arrays[-1])
        known = _indexing_line(node) in self.lookups
        return np.array(_numbers_in(node)[-1]) if known else None

    # folded nodes

    def is_folded(self, node: Tensor) -> bool:
        """Whether a node is an edit, or only rearranges a value.  A stack does whose steps are
        drawn; an index by arrays, or by numbers that are data, does not, since it gathers."""
        name = node.op.name
        if name == "stack":
            return node in self.steps
        rearranges = name in FOLDED and self.looked_up(node) is None and not self.is_x(node)
        return bool(node.op.edit) or rearranges

    def is_x(self, node: Tensor) -> bool:
        """Whether a node is an input x_t: one step of a sequence that was there before the loop
        began."""
        x = self.graph.inputs(node)[0]
        if not node.time or not _numbers_in(node) or x in self.steps:
            return False
        before = self.origins[x][0].value
        told = role_of(node) == "input" and bool(before.op or before.node._requires_grad)
        begun = before.node.time is None and before.op != "stack"
        return begun and (told or _indexing_line(node) in self.sequences)

    def fold(self, node: Tensor) -> None:
        """Note what a folded node is drawn as."""
        inputs, k = self.graph.inputs(node), self.picks.get(node)
        x, index = inputs[0], _index_of(node)
        found = self.origins[x]
        if node.op.name == "stack":
            found = [self.origins[one][0] for one in inputs]
        elif x in self.steps and k is not None:
            found = [found[k]]
        elif x in self.steps and isinstance(index, slice):
            found = found[index]
        elif k is not None and _is_stack(x):
            found = self.origins[self.graph.inputs(x)[k]]
        turns, mark = node.op.name in TRANSPOSES, _mark(node) if node.op.edit else ""
        if turns or mark:
            found = [Origin(value, turned ^ turns, old or mark) for value, turned, old in found]
        self.origins[node] = found
        self.folded[node] = found[0].value.node
        whole = node.op.name in FOLDED - SPLITS and k is None
        sliced = node in self.steps and isinstance(index, slice)
        if whole and not sliced and len(self.graph.users[node]) == 1:
            self.ends[node] = self.ends.get(x, (node, 0))


def _is_stack(node: Tensor) -> bool:
    """Whether a node is a stack of steps, of which single ones can be picked."""
    return op_name(node) == "stack" and node.constants.get("axis", 0) == 0


def _index_of(node: Tensor) -> Any:
    """The index of an indexing; None of all other nodes."""
    return node.constants.get("index") if op_name(node) == "getitem" else None


def _index_parts(node: Tensor) -> tuple[Any, ...]:
    """What an index takes of each axis."""
    index = _index_of(node)
    if index is None:
        return ()
    return index if isinstance(index, tuple) else (index,)


def _picked(node: Tensor) -> int | None:
    """The number of the one step that an index picks along the first axis, or of which it takes
    something; None if it takes more."""
    if op_name(node) == "unstack" and node.constants.get("axis", 0) == 0 and node.call is not None:
        return node.call.which
    first, *_ = _index_parts(node) or (None,)
    return int(first) if _is_integer(first) else None


def _numbers_in(node: Tensor) -> tuple[int, ...]:
    """The whole numbers in an index."""
    parts = (_picked(node),) if op_name(node) == "unstack" else _index_parts(node)
    return tuple(int(x) for x in parts if _is_integer(x))


def _sequences(graph: Graph) -> tuple[set[Any], set[Any]]:
    """The lines that pick different steps of a sequence in different time steps, one after the
    other; and those that look up other places of an array in each step, as in a table of words."""
    found = defaultdict[Any, dict[Any, tuple[int, ...]]](dict)
    for node in graph.nodes:
        if op_name(node) in INDEXING and (numbers := _numbers_in(node)):
            by_step = found[_indexing_line(node)]
            by_step[path_of(node) or ((None, len(by_step)),)] = numbers
    changing = {site: by_step for site, by_step in found.items() if len({*by_step.values()}) > 1}
    lookups = {site for site, by_step in changing.items() if not _goes_on(by_step)}
    return changing.keys() - lookups, lookups


def _indexing_line(node: Tensor) -> tuple[Any, ...]:
    """The line of a node, how many numbers its index has, and how many axes of time: one line of a
    function may serve several."""
    return site_of(node), len(_numbers_in(node)), len(path_of(node))


def _goes_on(by_step: dict[Any, tuple[int, ...]]) -> bool:
    """Whether each number of an index stays, or goes on evenly with the steps of some axis."""
    steps = [[t for _, t in path] for path in by_step]
    axes = [*zip(*steps, strict=True)]
    numbers = zip(*by_step.values(), strict=True)
    return all(
        len({*column}) == 1 or any(_is_even(axis, column) for axis in axes) for column in numbers
    )


def _is_even(steps: Sequence[int], numbers: Sequence[int]) -> bool:
    """Whether numbers grow or fall by the same for each step; two of them by one."""
    pairs = sorted({*zip(steps, numbers, strict=True)})
    slopes = {(b - a) / (t - s) if t > s else None for (s, a), (t, b) in pairwise(pairs)}
    return len(slopes) == 1 and None not in slopes and (len(pairs) > 2 or slopes <= {1, -1})


def _counts(places: Array) -> bool:
    """Whether places are 0, 1, 2 ...: that index takes all."""
    return bool((places.ravel() == np.arange(places.size)).all())


def _is_integer(x: Any) -> TypeGuard[int]:
    return isinstance(x, int | np.integer) and not isinstance(x, bool)


def _untied(path: Path) -> Path:
    """The numbers of some steps, without their axes."""
    return tuple((None, t) for _, t in path)


def _keeps_first_axis(node: Tensor, holders: list[Tensor], others: list[Tensor]) -> bool:
    """Whether an operation treats all that stands along the first axis alike, each by itself."""
    name, axis = op_name(node), node.constants.get("axis")
    if name in ALONG_AXIS:
        ndim = max(node.ndim, holders[0].ndim)
        return axis is not None and all(a % ndim for a in np.atleast_1d(axis))
    if name in ("matmul", "dot"):
        return node.inputs[0] in holders and all(x.ndim <= 2 for x in others)
    if name == "transpose":
        axes = node.constants.get("axes")
        return axes is not None and axes[0] % node.ndim == 0
    if name == "getitem":
        return _indexes_each_step(_index_of(node), len(holders[0]._array))
    return bool(node.op.elementwise) or name in BY_ENTRY


def _indexes_each_step(index: Any, steps: int) -> bool:
    """Whether an index takes something of each step: `x[:, 0]`, or what `take_along_axis` picks."""
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
