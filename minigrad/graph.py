"""The computation graph of one or more outputs, as an immutable object: nodes, edges, time.

Tools are functions of it; `public.Graph` is this class with the tools as methods.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np

from minigrad import naming
from minigrad.cached import cached_property
from minigrad.memory import collector_paused
from minigrad.paths import Axis, Path, Place, Timeline
from minigrad.tensor import Tensor

Tensors = Tensor | Iterable[Tensor]
Axes = str | Iterable[str] | None  # names of axes; None: the outermost ones
Rewired = Mapping[Tensor, tuple[Tensor, ...]]
T = TypeVar("T")


class Edge(NamedTuple):
    """A value that flows from its producer `source` into input number `position` of `target`."""

    source: Tensor
    target: Tensor
    position: int

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Edge) or self.source is not other.source:
            return False
        return self.target is other.target and self.position == other.position

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return tuple.__hash__(self)


class Move(NamedTuple):
    """Along which axis an edge goes, and from which position to which.  depth: of the axis in the
    path of both ends."""

    axis: Axis
    depth: int
    start: int
    end: int


class Crossing(NamedTuple):
    """What one source sends into one step.

    step: the place of the step; it ends with the axis that is crossed.
    """

    source: Tensor
    step: Place


class Nodes(tuple[Tensor, ...]):
    """Nodes in order, compared by identity: `node in nodes`, `nodes.index(node)`."""

    __slots__ = ()

    def __contains__(self, node: object) -> bool:
        return any(node is other for other in self)

    def index(self, node: Any, *bounds: Any) -> int:
        """The place of a node; ValueError if it is not among them."""
        for k in range(*slice(*(bounds or (None,))).indices(len(self))):
            if self[k] is node:
                return k
        raise ValueError(f"{node!r} is not among these {len(self)} nodes")


def per_graph(function: Callable[[Any], T]) -> Callable[[Any], T]:
    """Remember the result of a function of a graph on the graph, which is immutable."""

    def remembered(graph: Graph) -> T:
        if function not in graph._remembered:
            graph._remembered[function] = function(graph)
        result: T = graph._remembered[function]
        return result

    remembered.__name__, remembered.__doc__ = function.__name__, function.__doc__
    return remembered


class Graph:
    """Everything that `outputs` were computed from.

    rewired: what flows into a node where an edit has put something in between; elsewhere its own
    inputs.
    """

    def __init__(self, *outputs: Tensor, rewired: Rewired | None = None) -> None:
        if not outputs or not all(isinstance(y, Tensor) for y in outputs):
            found = ", ".join(type(y).__name__ for y in outputs) or "nothing"
            raise TypeError(f"Graph(loss, ...): tensors are needed, found {found}")
        self.outputs = outputs
        self.rewired: Rewired = rewired or {}
        self.nodes: tuple[Tensor, ...] = Nodes(self._collected())
        self._remembered: dict[Any, Any] = {}

    def inputs(self, node: Tensor) -> tuple[Tensor, ...]:
        """The tensors that flow into a node."""
        return self.rewired.get(node, node.inputs) if self.rewired else node.inputs

    def edited(self, rewired: Rewired) -> Self:
        """A graph with these outputs, and of this class, in which some nodes have other inputs."""
        return type(self)(*self.outputs, rewired=rewired)

    def _collected(self) -> list[Tensor]:
        """All nodes, inputs before users: creation order."""
        found = list(dict.fromkeys(self.outputs))
        seen = set(found)
        rewired = self.rewired
        for node in found:  # grows while it is walked
            for x in rewired.get(node, node.inputs) if rewired else node.inputs:
                if x not in seen:
                    seen.add(x)
                    found.append(x)
        found.sort(key=attrgetter("serial"))
        return found

    # nodes and edges

    @cached_property
    def leaves(self) -> tuple[Tensor, ...]:
        """The nodes that no operation made."""
        return Nodes(node for node in self.nodes if node.op is None)

    @cached_property
    def parameters(self) -> dict[str, Tensor]:
        """The leaves that require grad, by name."""
        leaves = [leaf for leaf in self.leaves if leaf._requires_grad]
        return naming.unique((naming.label(self, leaf), leaf) for leaf in leaves)

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """All edges, in the order of their targets."""
        new, rewired = tuple.__new__, self.rewired  # half the time of Edge(...) and self.inputs
        return tuple(
            [
                new(Edge, (x, node, k))
                for node in self.nodes
                for k, x in enumerate(rewired.get(node, node.inputs) if rewired else node.inputs)
            ]
        )

    @cached_property
    def users(self) -> dict[Tensor, tuple[Edge, ...]]:
        """The edges out of each node."""
        with collector_paused():
            table: dict[Tensor, list[Edge]] = {node: [] for node in self.nodes}
            for edge in self.edges:
                table[edge.source].append(edge)
            return {node: tuple(edges) for node, edges in table.items()}

    def find(
        self,
        *,
        op: str | None = None,
        name: str | None = None,
        t: int | None = None,
        scope: str | None = None,
    ) -> tuple[Tensor, ...]:
        """The nodes that match all that is given: operation, label, outermost step, a prefix of the
        scope's path."""
        prefix = "" if scope is None else f"{scope.rstrip('.')}."
        found = [
            node
            for node in self.nodes
            if op in (None, _op_name(node))
            and t in (None, node.t)
            and f"{node.scope}.".startswith(prefix)
        ]
        return Nodes(node for node in found if name is None or naming.label(self, node) == name)

    # what the backward loop visits

    @cached_property
    def order(self) -> list[Tensor]:
        """The nodes that the backward loop visits: operations on the way to a gradient, last
        first."""
        order = [x for x in reversed(self.nodes) if x.op is not None and x._requires_grad]
        return [node for node in order if node in self.reached] if self.cuts else order

    @cached_property
    def cuts(self) -> set[Tensor]:
        """The nodes through which no gradient flows back."""
        inserted = {x for inputs in self.rewired.values() for x in inputs if x.op and x.op.blocks}
        return {node for node in inserted if node.constants["rows"] is None}

    @cached_property
    def reached(self) -> set[Tensor]:
        """The nodes from which a path that is not cut leads to an output."""
        found = set(self.outputs)
        for node in reversed(self.nodes):
            if node in found and node not in self.cuts:
                found.update(self._taken(node))
        return found

    def _taken(self, node: Tensor) -> Iterable[Tensor]:
        """The inputs that a nonzero gradient may reach.

        If a stack is only indexed, these are the parts that the indices take.
        """
        inputs = self.inputs(node)
        if _op_name(node) != "stack" or node.constants["axis"] != 0:
            return inputs
        users = [edge.target for edge in self.users[node]]
        if any(node is y for y in self.outputs) or any(_op_name(y) != "getitem" for y in users):
            return inputs
        column = np.arange(len(inputs)).reshape(-1, *[1] * (node.ndim - 1))
        numbers = np.broadcast_to(column, node.shape)
        taken = {k for y in users for k in np.unique(numbers[y.constants["index"]]).tolist()}
        return [inputs[k] for k in sorted(taken)]

    @cached_property
    def first_outputs(self) -> set[Tensor]:
        """The first output in the graph of each call with several outputs; its rule runs there."""
        siblings = {id(node.call.outputs): node for node in self.order if node.call is not None}
        return set(siblings.values())

    def is_first_output(self, node: Tensor) -> bool:
        """False for an output whose rule runs at an earlier output of the same call."""
        return node.call is None or node in self.first_outputs

    @cached_property
    def guards_infinities(self) -> bool:
        """Whether a `where`, or a choice like `x[mask]`, hides values that are not finite.

        Then a gradient of 0 must stay 0 in the operations behind it, where a rule computes 0 · ∞.
        """
        for node in [node for node in self.order if node.op.name in ("where", "getitem")]:
            if node.op.name == "getitem" and not _picks_by_array(node):
                continue
            for x, value in zip(node.inputs, node.arrays):
                if x._requires_grad and not np.isfinite(value).all():
                    return True
        return False

    # time: steps and axes

    @cached_property
    def timeline(self) -> Timeline:
        """The steps of the graph, numbered.  A leaf without history, as `h.detach()` gives, is no
        step."""
        paths: dict[Path, None] = {}
        for node in self.nodes:
            if node.time is not None and (node.op is not None or node.role is not None):
                paths[node.time] = None
        return Timeline(paths)

    @cached_property
    def axes(self) -> dict[str, Axis]:
        """The time axes by name, in order of appearance; an inner one (`axis.parent`) after those
        around it."""
        return naming.unique((axis.name, axis) for axis in self.timeline.axes)

    @cached_property
    def _axis_names(self) -> dict[Axis, str]:
        return {axis: name for name, axis in self.axes.items()}

    def axis_name(self, axis: Axis) -> str:
        """The name of an axis in this graph, where axes of one name are told apart."""
        return self._axis_names[axis]

    def chosen_axes(self, axis: Axes) -> list[Axis]:
        """The axes of these names, by default the outermost ones.

        Raises KeyError for a name that is not in the graph.
        """
        if axis is None:
            return [a for a in self.axes.values() if a.parent is None]
        names = [axis] if isinstance(axis, str) else list(axis)
        for name in names:
            if name not in self.axes:
                known = ", ".join(self.axes) or "none"
                raise KeyError(f"axis {name!r} is not in the graph; its axes: {known}")
        return [self.axes[name] for name in names]

    @cached_property
    def time_steps(self) -> tuple[int, ...]:
        """The steps of the outermost axes, axis by axis, in the order in which they were
        visited."""
        outermost = self.chosen_axes(None)
        return tuple(dict.fromkeys(t for a in outermost for t in self.timeline.steps_of(a)))

    def place(self, node: Tensor) -> Place:
        """The axes around a node with its positions there, outermost first; () outside of time."""
        return self.timeline.place(node.time)

    def coordinates(self, node: Tensor) -> dict[str, int]:
        """The steps of a node, by the names that the axes have in this graph."""
        return {self.axis_name(axis): t for axis, t, _ in node.time or () if self.place(node)}

    def at(self, t: int | Mapping[str, int], axis: str | None = None) -> tuple[Tensor, ...]:
        """The nodes of one step, inner loops included.

        t: a step of the outermost axes, or of the named axis in all of its runs; or coordinates, as
        of a node: `graph.at({"time": 3, "rk4": 1})`.
        """
        if isinstance(t, Mapping):
            self.chosen_axes(t)
            wanted = t.items()
            return Nodes(node for node in self.nodes if wanted <= self.coordinates(node).items())
        axes = self.chosen_axes(axis)
        return Nodes(
            node
            for node in self.nodes
            if any(c.t == t and c.axis in axes for c in node.time or ()) and self.place(node)
        )

    # time: edges

    def move(self, source: Tensor, target: Tensor) -> Move | None:
        """The axis along which an edge goes: the first coordinate in which its ends differ.

        None within a step, into and out of an inner loop, between axes, and outside of time.
        Raises ValueError where the steps of two axes nest in both orders.
        """
        if source.time is target.time:
            return None
        here, there = self.place(source), self.place(target)
        for depth, ((axis, start), (other, end)) in enumerate(zip(here, there)):
            if axis is not other:
                self._check_nesting(here, there, target)
                return None
            if start != end:
                return Move(axis, depth, start, end)
        return None

    def _check_nesting(self, here: Place, there: Place, target: Tensor) -> None:
        inner_first = [[axis.name for axis, _ in reversed(place)] for place in (here, there)]
        one, other = inner_first
        if one != other and sorted(one) == sorted(other):
            orders = f"{' inside '.join(one)} and {' inside '.join(other)}"
            label = naming.label(self, target)
            problem = f"steps are nested in two orders, {orders}; use one order for all"
            raise ValueError(f"{problem}\n  {target.source}:  {label}")

    @cached_property
    def _forward_edges(self) -> dict[Axis, list[tuple[Edge, Move]]]:
        """The edges forward along each axis, without those that only accumulate losses."""
        table: dict[Axis, list[tuple[Edge, Move]]] = {axis: [] for axis in self.axes.values()}
        for edge in self.between_steps():
            move = self.move(edge.source, edge.target)
            if move and move.end > move.start and not self.accumulates_loss(edge, move.depth):
                table[move.axis].append((edge, move))
        return table

    def between_steps(self) -> Iterator[Edge]:
        """Edges between different steps.  Does not build `edges`, which is much larger."""
        for node in self.nodes:
            if node.time is not None:
                for k, x in enumerate(self.inputs(node)):
                    if x.time is not None and x.time is not node.time:
                        yield Edge(x, node, k)

    @cached_property
    def state_edges(self) -> tuple[Edge, ...]:
        """The edges that carry state: they go forward along an axis, in the order of their targets.

        Edges that only accumulate the losses of the steps, and edges between axes, are not among
        them.
        """
        return self.edges_along(self.axes)

    def edges_along(self, axis: Axes = None) -> tuple[Edge, ...]:
        """The edges that carry state along some axes, by default the outermost ones."""
        axes = self.chosen_axes(axis)
        found = [edge for a in axes for edge, _ in self._forward_edges[a]]
        return tuple(sorted(found, key=lambda edge: (edge.target.serial, edge.position)))

    @cached_property
    def crossings(self) -> dict[Crossing, tuple[Edge, ...]]:
        """For each source and each step that it reaches, the edges that enter the step or cross it.

        A value that is used more than one position later crosses every step in between.
        """
        table: dict[Crossing, list[Edge]] = {}
        for edge in self.state_edges:
            for crossing in self.crossings_of(edge):
                table.setdefault(crossing, []).append(edge)
        return {crossing: tuple(edges) for crossing, edges in table.items()}

    def crossings_of(self, edge: Edge) -> list[Crossing]:
        """The steps that an edge enters, in order.

        An edge that goes along no axis enters the step of its target alone.
        """
        place = self.place(edge.target)
        move = self.move(edge.source, edge.target)
        if move is None or move.end < move.start:
            return [Crossing(edge.source, place)]
        around = place[: move.depth]
        positions = range(move.start + 1, move.end + 1)
        return [Crossing(edge.source, (*around, (move.axis, p))) for p in positions]

    def accumulates_loss(self, edge: Edge, depth: int = 0) -> bool:
        """True for the total in `total = total + loss_t`.

        False for a source with a role, with more than one feature, or that is used for more than
        adding.  Known limit: a scalar `h = h + w` with a linear readout cannot be told from a
        running loss.
        """
        source, node, position = edge
        if (
            not _adds(node, position)
            or source.role is not None
            or (source.ndim > 1 and source.shape[-1] > 1)
        ):
            return False
        if any(x.op is None and not x._requires_grad for x in self.inputs(node)):
            return False
        step = self.place(node)[: depth + 1]
        uses = [e for e in self.users[source] if self.place(e.target)[: depth + 1] == step]
        return all(_sums(e) and e.target in self._loss_sums for e in uses)

    @cached_property
    def _loss_sums(self) -> set[Tensor]:
        """The nodes whose every path to an output only sums: additions, means, constant factors."""
        found: set[Tensor] = set()
        for node in reversed(self.nodes):
            depth = max(len(node.time or ()), 1)
            users = self.users[node]
            if node.size == 1:  # what the total goes through after its loop does not matter
                users = tuple(e for e in users if len(e.target.time or ()) >= depth)
            if all(e.target in found and _sums(e) for e in users):
                found.add(node)
        return found

    # how it looks

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        text = f"Graph: {', '.join(self._counts())}"
        edits = Counter(x.op.name for x in self.nodes if x.op is not None and x.op.edit)
        if edits:
            text += "; edited: " + ", ".join(f"{name} × {n}" for name, n in edits.items())
        return text

    def _counts(self) -> Iterator[str]:
        """Steps, operations, parameters and how often each is used, in words."""
        outermost = self.chosen_axes(None)
        if outermost:
            steps = sum(len(self.timeline.steps_of(axis)) for axis in outermost)
            axes = [
                f"{a} inside {self.axis_name(x.parent)}" if x.parent else a
                for a, x in self.axes.items()
            ]
            several = f" on {len(axes)} axes ({', '.join(axes)})"
            yield naming.count(steps, "time step") + (several if len(axes) > 1 else "")
        yield naming.count(sum(node.op is not None for node in self.nodes), "operation")
        shown = list(self.parameters.items())[:8]
        uses = [
            f"{name} {leaf.shape} used {naming.count(len(self.users[leaf]), 'time')}"
            for name, leaf in shown
        ]
        number = len(self.parameters)
        if number > len(shown):
            uses.append(f"and {number - len(shown)} more")
        yield naming.count(number, "parameter") + (": " + ", ".join(uses) if uses else "")


def _op_name(node: Tensor) -> str:
    return node.op.name if node.op else ""


def _picks_by_array(node: Tensor) -> bool:
    """Whether an indexing chooses elements by a mask or by numbers."""
    index = node.constants["index"]
    return any(isinstance(x, np.ndarray) for x in (index if type(index) is tuple else (index,)))


def _adds(node: Tensor, position: int) -> bool:
    """Whether a node adds this input to others."""
    op = node.op
    return bool(op.linear) and op.arity != 1 and (position == 0 or op.name != "subtract")


def _sums(edge: Edge) -> bool:
    """Whether the target only sums this input, reduces it, or multiplies it by a constant."""
    op, k = edge.target.op, edge.position
    if op.name in ("multiply", "divide"):
        others = [x for j, x in enumerate(edge.target.inputs) if j != k]
        return (op.name == "multiply" or k == 0) and not any(x._requires_grad for x in others)
    return bool(op.linear)
