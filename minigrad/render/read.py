"""What is drawn of a graph: its values.

Slices, reshapes and casts are folded into the value that they belong to.  A node that holds all
time steps and treats each by itself, as an output layer on stacked states does, is drawn step by
step: it has one value for each step.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

from minigrad import states
from minigrad.cached import cached_property
from minigrad.graph import Graph, Move
from minigrad.render import look
from minigrad.render.indices import gathered, index_of, indexing_line, numbers_in, sequences_of
from minigrad.render.nodes import (
    FOLDED,
    INDEXING,
    SPLITS,
    TRANSPOSES,
    Path,
    forward_of,
    op_name,
    role_of,
    site_of,
)
from minigrad.render.picture import End, Part, Tile
from minigrad.render.steps import Times, is_stack
from minigrad.tensor import Tensor, constant


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
    for value in [value for value in values if value.time and not value.state]:
        for source in [source for source in added_to(value) if source.time and not source.state]:
            begun = sums.get(source, []) if source.time == value.time else [source]
            if begun:
                sums[value] = [*begun, value]
            if begun and begun[0].site == value.site:
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
        self.graph, self.times = graph, Times(graph)
        self.steps, self.picks = self.times.steps, self.times.picks
        self.sequences, self.lookups = sequences_of(graph)
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
        if (found := gathered(node, self.lookups)) is None:
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

    # folded nodes

    def is_folded(self, node: Tensor) -> bool:
        """Whether a node is an edit, or only rearranges a value.  A stack does whose steps are
        drawn; an index by arrays, or by numbers that are data, does not, since it gathers."""
        name = node.op.name
        if name == "stack":
            return node in self.steps
        rearranges = name in FOLDED and gathered(node, self.lookups) is None and not self.is_x(node)
        return bool(node.op.edit) or rearranges

    def is_x(self, node: Tensor) -> bool:
        """Whether a node is an input x_t: one step of a sequence that was there before the loop
        began."""
        x = self.graph.inputs(node)[0]
        if not node.time or not numbers_in(node) or x in self.steps:
            return False
        before = self.origins[x][0].value
        told = role_of(node) == "input" and bool(before.op or before.node._requires_grad)
        begun = before.node.time is None and before.op != "stack"
        return begun and (told or indexing_line(node) in self.sequences)

    def fold(self, node: Tensor) -> None:
        """Note what a folded node is drawn as."""
        inputs, k = self.graph.inputs(node), self.picks.get(node)
        x, index = inputs[0], index_of(node)
        found = self.origins[x]
        if node.op.name == "stack":
            found = [self.origins[one][0] for one in inputs]
        elif x in self.steps and k is not None:
            found = [found[k]]
        elif x in self.steps and isinstance(index, slice):
            found = found[index]
        elif k is not None and is_stack(x):
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


def _mark(node: Tensor) -> str:
    """How an edit is marked: its limits, or scissors."""
    limits = [node.constants.get(key) for key in ("max_norm", "max_value")]
    text = ", ".join(f"≤ {limit:g}" for limit in limits if limit) or "✂"
    return f"{text} some rows" if node.constants.get("rows") is not None else text
