"""Where each node of a graph belongs in its picture: folded into another, its row, its step.  Imports `picture`.

Nothing is guessed: time, scopes, roles and names are what the engine recorded.  Slices, reshapes and casts are folded
into the value they belong to; a step picked out of a stack of steps is that step.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from minigrad.render.picture import Box, Row, forward_of, is_backward

if TYPE_CHECKING:
    from minigrad.graph import Graph
    from minigrad.scope import Axis
    from minigrad.tensor import Tensor

FOLDED = {"getitem", "reshape", "transpose", "swapaxes", "moveaxis", "expand_dims", "squeeze", "broadcast_to", "astype"}
FOLDED |= {"split", "unstack", "ravel", "copy", "flip"}


class Placing:
    """Tables about the nodes of a graph, filled one after the other."""

    def __init__(self, graph: Graph, view: str, shown: Any, count_from: int = 0, rolled: bool = False) -> None:
        self.graph, self.view, self.count_from, self.rolled = graph, view, count_from, rolled
        self.stand_ins: dict[Any, Box] = {}  # in a rolled picture: the box that is drawn for all steps
        self.delays: dict[Any, Box] = {}
        self.shown = shown  # (axis, t) -> bool
        self.alias: dict[Tensor, Tensor] = {}
        self.marks: dict[Tensor, str] = {}
        self.column: dict[Tensor, tuple[Axis | None, int]] = {}
        self.owner: dict[Tensor, Box] = {}
        self.rows: dict[tuple[Any, ...], Row] = {}
        self.state_ends = {(edge.target, edge.position): edge for edge in graph.state_edges}
        self.outputs = set(graph.outputs)
        self.steps: defaultdict[Axis, list[tuple[int, int]]] = defaultdict(list)  # (position, t) of each axis
        for (axis, t), position in graph._positions.items():
            self.steps[axis].append((position, t))
        self.users: Counter[Tensor] = Counter()
        self.prefixes: dict[Axis, list[str]] = {}
        self.segments: dict[Axis | None, float] = {}
        self._segment: dict[Tensor, float] = {}
        self.state_places: set[Any] = set()
        self.slots: dict[Any, str] = {}

    # folding

    def fold(self) -> None:
        """What each node is drawn as: itself, or the node whose value it only rearranges."""
        for node in self.graph.nodes:
            inputs = self.graph.inputs(node)
            self.alias[node] = node
            if node.op is None or not inputs:
                continue
            if node.op.forward.__module__ == "minigrad.edits":
                limits = [f"≤ {node.constants[key]:g}" for key in ("max_norm", "max_value") if node.constants.get(key)]
                self.marks[node] = ", ".join(limits) or "cut"
                self.alias[node] = self.alias[inputs[0]]
            elif node.op.name in FOLDED:
                self.alias[node] = self.picked(node, self.alias[inputs[0]])
                if inputs[0] in self.marks:
                    self.marks[node] = self.marks[inputs[0]]

    def picked(self, node: Tensor, source: Tensor) -> Tensor:
        """The one step that an index picks out of a stack of steps; else the whole."""
        if source.op is None or source.op.name != "stack" or source.constants.get("axis", 0) != 0:
            return source
        inputs, k = self.graph.inputs(source), None
        if node.op is not None and node.op.name == "unstack" and node.constants.get("axis", 0) == 0:
            k = node.call.which if node.call else 0
        elif node.op is not None and node.op.name == "getitem":
            k = node.constants.get("index", None)
            k = k if isinstance(k, int) else None
        return source if k is None or self.graph.inputs(node)[0] is not source else self.alias[inputs[k]]

    def count_users(self) -> Counter[Tensor]:
        """How many drawn operations use each drawn node; a stack from which only single steps are picked has none."""
        users: Counter[Tensor] = Counter()
        for node in reversed(self.graph.nodes):
            if self.alias[node] is node and node.op is not None and (users[node] or node in self.outputs):
                users.update(self.alias[x] for x in self.graph.inputs(node))
        return users

    # places

    def place(self) -> None:
        """The axis and step of each node; results that the program made outside of a loop, one for each step, too."""
        loose: defaultdict[Any, list[tuple[Tensor, int]]] = defaultdict(list)
        for node in self.graph.nodes:
            if node.time is not None:
                self.column[node] = (node.time.axis, node.time.t)
            elif node.op is not None:
                inputs = [self.alias[x] for x in self.graph.inputs(node)]
                steps = {self.column[x][1] for x in inputs if x in self.column}
                if (
                    len(steps) == 1
                    and self.alias[node] is node
                    and all(x in self.column or x.op is None for x in inputs)
                ):
                    (t,) = steps
                    self.column[node] = (None, t)
                    loose[node.op.name, node._code, node._instruction].append((node, t))
        for found in loose.values():
            if len({t for _, t in found}) < 2:
                for node, _ in found:
                    del self.column[node]
        for node in self.graph.nodes:  # without its own inputs in place, a node is not in place either
            if node.time is None and node in self.column:
                inputs = [self.alias[x] for x in self.graph.inputs(node)]
                if not any(x in self.column for x in inputs):
                    del self.column[node]

    def layers(self) -> dict[Axis, list[str]]:
        """For each axis the scopes whose states it carries, each one a layer: a row of its own."""
        found: defaultdict[Axis, dict[str, None]] = defaultdict(dict)
        for edge in self.graph.state_edges:
            assert edge.target.time is not None
            found[edge.target.time.axis][_common(edge.source.scope, edge.target.scope)] = None
        for node in self.graph.nodes:  # a single step carries nothing; the unroller still says what its states are
            states = node.role is not None and node.role.kind == "state" and node.op is not None
            if states and node.time is not None and len(self.steps[node.time.axis]) == 1:
                found[node.time.axis][node.scope] = None
        return {
            axis: [p for p in prefixes if not any(q != p and _inside(p, q) for q in prefixes)]
            for axis, prefixes in found.items()
        }

    def order_axes(self) -> dict[Axis | None, float]:
        """Axes that run side by side share a segment; one that starts when another has ended comes after it."""
        same: Counter[tuple[Axis, Axis]] = Counter()
        other: Counter[tuple[Axis, Axis]] = Counter()
        reach: dict[Tensor, frozenset[tuple[Axis, int]]] = {}
        for node in self.graph.nodes:
            place = self.column.get(node)
            if place is not None and place[0] is not None:
                reach[node] = frozenset([place])  # type: ignore[list-item]
            else:
                reach[node] = frozenset().union(*(reach[x] for x in self.graph.inputs(node)))
                if len(reach[node]) > 64:  # a stack of many steps: its ends tell enough
                    reach[node] = frozenset(sorted(reach[node], key=lambda p: p[1])[:: max(1, len(reach[node]) - 1)])
                continue
            for x in self.graph.inputs(node):
                for axis, t in reach[x]:
                    if axis is not place[0]:
                        (same if t == place[1] else other)[axis, place[0]] += 1
        segments: dict[Axis | None, float] = {}
        for axis in self.graph.axes.values():
            before = [a for a in segments if a is not None and same[a, axis] + other[a, axis]]
            segments[axis] = max([0.0, *(segments[a] + (same[a, axis] <= other[a, axis]) for a in before)])
        return segments

    def row_of(self, node: Tensor) -> tuple[Any, ...]:
        """The key of the row that a node stands in."""
        place, back = self.column.get(node), ("backward",) * is_backward(node)
        if place is None:
            return ("between", self.segment_of(node), *back)
        axis = place[0]
        if axis is None:
            return ("joint", self.segment_of(node) - 0.5, *back)
        prefixes = self.prefixes.get(axis, [""])
        if len(prefixes) < 2:
            return (axis, "", *back)
        scope = node.scope
        inside = next((p for p in prefixes if _inside(scope, p)), None)
        return (axis, inside if inside is not None else "after", *back)

    def segment_of(self, node: Tensor) -> float:
        """Where a node outside of time stands: half a segment after all that it depends on."""
        if node not in self._segment:
            place = self.column.get(node)
            if place is not None and place[0] is not None:
                self._segment[node] = self.segments[place[0]]
            else:
                before = (*self.graph.inputs(node), forward_of(node))
                known = [self._segment[x] for x in before if x in self._segment]
                self._segment[node] = max((int(s) + 0.5 if s >= 0 else -0.5 for s in known), default=-0.5)
        return self._segment[node]


def _common(a: str, b: str) -> str:
    parts = zip(a.split("."), b.split("."), strict=False)
    common = []
    for x, y in parts:
        if x != y:
            break
        common.append(x)
    return ".".join(common)


def _inside(scope: str, prefix: str) -> bool:
    return not prefix or scope == prefix or scope.startswith(f"{prefix}.")
