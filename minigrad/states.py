"""The state variables of a graph, one object for each: its name, and its node in each step.

A node is a state if it crosses a step, or if an unroller marked it as one.  It is known by its axis
and, in this order: the leaf of the unrolled cell's state; the variable and scope; the line of the
program that makes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from minigrad import naming
from minigrad.graph import Graph, per_graph
from minigrad.paths import Axis, Place
from minigrad.tensor import Tensor

VIEWS = frozenset(
    [
        "getitem",
        "reshape",
        "squeeze",
        "expand_dims",
        "ravel",
        "swapaxes",
        "transpose",
        "moveaxis",
        "split",
        "unstack",
    ]
)
Key = tuple[Any, ...]  # what a state is known by
NO_TIME = (
    "the graph has no time labels: loop over mg.timesteps(xs), write `with mg.time_step(t):`, or "
    "use nn.Unroll"
)


@dataclass(frozen=True, eq=False)
class State:
    """One state variable of one axis.

    nodes: its node in each step; a step is the t of its axis and of the axes around it, outermost
    first. initial: what the first step of each run starts from, where that is known; the run is the
    step around it. memory: whether it is a gated memory, as an LSTM's c.
    """

    axis: Axis
    scope: str
    name: str
    nodes: Mapping[tuple[int, ...], Tensor]
    initial: Mapping[tuple[int, ...], Tensor] = field(default_factory=dict)
    memory: bool = False

    def __repr__(self) -> str:
        return f"State({self.name} of axis {self.axis}, {naming.count(len(self.nodes), 'step')})"


@per_graph
def find(graph: Graph) -> tuple[State, ...]:
    """The states of a graph, axis by axis, in the order in which they first appear.

    >>> import minigrad as mg
    >>> w, h = mg.tensor(0.5, requires_grad=True), mg.tensor(1.0)
    >>> for t in range(3):
    ...     with mg.time_step(t): h = w * h
    >>> mg.Graph(h).states
    (State(h of axis time, 3 steps),)
    """
    identified, first_steps = _Identified(graph), _first_steps(graph)
    of_axis: dict[Axis, list[dict[Place, list[Tensor]]]] = {}
    for (axis, *_), steps in identified.steps.items():
        of_axis.setdefault(axis, []).append(steps)
    states: list[State] = []
    for axis in graph.axes.values():
        lanes = [
            lane
            for steps in of_axis.get(axis, ())
            for lane in _lanes(graph, axis, steps, identified.followers)
        ]
        for name, (first, nodes) in naming.unique(lanes).items():
            role = first.role.on(axis) if first.role else None
            memory = role is not None and role.memory
            initial = _initial(graph, nodes, first_steps)
            states.append(State(axis, first.scope, name, nodes, initial, memory))
    return tuple(states)


class _Identified:
    """Which nodes are states, which state each is, and in which step.

    steps: state → step (a place) → nodes.  followers: steps whose nodes cross nothing, being the
    last of their run.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._keys: dict[Key, Key] = {}  # each way to recognise a state → what it is known by
        self.steps: dict[Key, dict[Place, list[Tensor]]] = {}
        self.followers: set[Place] = set()
        carried = [
            (node, axis, graph.place(node)[: depth + 1]) for node, axis, depth in _carried(graph)
        ]
        present: dict[Place, dict[Tensor, Key | None]] = {}
        for node, _, step in carried:
            present.setdefault(step, {})[node] = None
        for node, axis, step in carried:
            key = self._key(node, axis, present.get(_before(step), {}), present[step])
            present[step][node] = key
            self._add(key, step, node)
        self._follow()

    def _add(self, key: Key, step: Place, node: Tensor) -> None:
        nodes = self.steps.setdefault(key, {}).setdefault(step, [])
        if not any(node is other for other in nodes):
            nodes.append(node)

    def _key(
        self,
        node: Tensor,
        axis: Axis,
        before: dict[Tensor, Key | None],
        here: dict[Tensor, Key | None],
    ) -> Key:
        """What a state is known by; where it is alone in two successive steps, it stays the same
        state."""
        ways = _ways(self._graph, node, axis)
        key = next((self._keys[way] for way in ways if way in self._keys), None)
        if key is None and len(before) == len(here) == 1:
            key = next(iter(before.values()))
        if key is None:
            key = ways[0]
        for way in ways:
            self._keys.setdefault(way, key)
        return key

    def _follow(self) -> None:
        """Find the node of each state in the last step of a run, from which it crosses into no
        other."""
        graph = self._graph
        ends = {
            _after(step)
            for steps in self.steps.values()
            for step in steps
            if _after(step) not in steps
            and step[-1][1] < graph.timeline.last(step[:-1], step[-1][0])
        }
        for node in graph.nodes if ends else ():
            if node.op is None or not node._requires_grad:
                continue
            place = graph.place(node)
            for depth in range(1, len(place) + 1):
                step = place[:depth]
                if step in ends:
                    self._continue(node, step)

    def _continue(self, node: Tensor, step: Place) -> None:
        """Add a node of a last step to the state that it continues."""
        for way in _ways(self._graph, node, step[-1][0]):
            key = self._keys.get(way)
            if key in self.steps and _before(step) in self.steps[key]:
                self._add(key, step, node)
                self.followers.add(step)
                return


def _before(step: Place) -> Place:
    axis, position = step[-1]
    return (*step[:-1], (axis, position - 1))


def _after(step: Place) -> Place:
    axis, position = step[-1]
    return (*step[:-1], (axis, position + 1))


def _carried(graph: Graph) -> Iterator[tuple[Tensor, Axis, int]]:
    """The nodes that cross, and those that are marked as states: with the axis, and its depth in
    the path."""
    for source, step in graph.crossings:
        node = whole(graph, source)
        if node.op is not None and node._requires_grad:
            yield node, step[-1][0], len(step) - 1
    for node in graph.nodes:
        if node.op is None or node.time is None or node.role is None:
            continue
        for depth, (axis, _, _) in enumerate(node.time):
            if node.role.on(axis):
                yield node, axis, depth


def whole(graph: Graph, node: Tensor) -> Tensor:
    """The state that an unnamed view of it stands for: h in h[0] or h.reshape(-1), within its
    step."""
    while (
        node.role is None
        and node.op is not None
        and node.op.name in VIEWS
        and not _name(graph, node)
    ):
        viewed = graph.inputs(node)[0]
        if viewed.op is None or graph.place(viewed) != graph.place(node):
            break
        node = viewed
    return node


def _name(graph: Graph, node: Tensor) -> str:
    return node.name or naming.variable(graph, node)


def _ways(graph: Graph, node: Tensor, axis: Axis) -> list[Key]:
    """What a node may be known by as a state, the surest first."""
    role = node.role.on(axis) if node.role else None
    if role is not None:
        return [(axis, role.leaf)]
    name = _name(graph, node)
    by_line = (axis, node.scope, node.site)
    return [(axis, node.scope, name), by_line] if name else [by_line]


def _lanes(
    graph: Graph, axis: Axis, steps: dict[Place, list[Tensor]], followers: set[Place]
) -> Iterator[tuple[str, tuple[Tensor, dict[tuple[int, ...], Tensor]]]]:
    """Name and nodes of each lane of a state: several nodes alike in one step are lanes, side by
    side."""
    widths = [len(nodes) for step, nodes in steps.items() if step not in followers]
    several = max(widths, default=1) > 1
    depth = len(axis.chain)
    lanes: dict[tuple[str, int], dict[tuple[int, ...], Tensor]] = {}
    for step in sorted(steps, key=lambda step: [position for _, position in step]):
        nodes = sorted(steps[step], key=lambda node: node.serial)
        for k, node in enumerate(nodes if several else nodes[-1:]):
            inner = _inner_text(graph, node, depth) if several else ""
            lane = lanes.setdefault((inner, 0 if inner else k), {})
            lane[tuple(t for _, t, _ in (node.time or ())[:depth])] = node
    for (inner, _), nodes_of_lane in lanes.items():
        first = next(iter(nodes_of_lane.values()))
        role = first.role.on(axis) if first.role else None
        name = role.name if role else naming.name_of(graph, first)
        yield (f"{name}[{inner}]" if inner else name), (first, nodes_of_lane)


def _inner_text(graph: Graph, node: Tensor, depth: int) -> str:
    """The inner coordinates of a node: "col=2"."""
    inner = list(graph.coordinates(node).items())[depth:]
    return ", ".join(f"{name}={t}" for name, t in inner)


Sites = dict[Any, list[Tensor]]  # the operations of a step, by their lines of the program


def _first_steps(graph: Graph) -> dict[Place, Sites]:
    """The operations of the first step of each run, by step and by site."""
    table: dict[Place, Sites] = {}
    for node in graph.nodes:
        place = graph.place(node) if node.op is not None else ()
        for depth, (_, position) in enumerate(place):
            if position == 0:
                step = table.setdefault(place[: depth + 1], {})
                step.setdefault(node.site, []).append(node)
    return table


def _initial(
    graph: Graph, nodes: Mapping[tuple[int, ...], Tensor], first_steps: dict[Place, Sites]
) -> dict[tuple[int, ...], Tensor]:
    """What each run starts from: the value that stands in its first step where the next step has
    the state."""
    found: dict[tuple[int, ...], Tensor] = {}
    for t, node in nodes.items():
        step = graph.place(node)[: len(t)]
        sites = first_steps.get(step)
        if sites is None:
            continue
        for _, target, position in graph.users[node]:
            move = graph.move(node, target)
            alike = sites.get(target.site, []) if move and move.depth == len(t) - 1 else []
            if len(alike) == 1 and position < len(graph.inputs(alike[0])):
                found[t[:-1]] = graph.inputs(alike[0])[position]
                break
    return found
