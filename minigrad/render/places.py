"""Where each node of a graph belongs in its picture: folded into another, its row, its column.  Imports `picture`.

Nothing is guessed: time, scopes, roles and names are what the engine recorded.  Slices, reshapes and casts are folded
into the value they belong to; a step picked out of a stack of steps is that step.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import Any

from minigrad.graph import Graph
from minigrad.render.picture import Panel, Row
from minigrad.scope import Axis
from minigrad.tensor import Tensor

PARTED = {
    "unstack",
    "split",
}  # whose rule runs once, for all the parts; along each edge flows its part's gradient
TURNS = {"transpose", "swapaxes", "moveaxis"}
FOLDED = {
    "getitem",
    "reshape",
    "expand_dims",
    "squeeze",
    "broadcast_to",
    "astype",
    "ravel",
    "copy",
    "flip",
}
FOLDED |= TURNS | PARTED
MOST = 60  # operations in one column of a graph without time


class Places:
    """Tables about the nodes of a graph, filled one after the other."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.alias: dict[Tensor, Tensor] = {}  # what a node is drawn as
        self.inputs: dict[Tensor, list[Tensor]] = {}  # what flows into a node, as it is drawn
        self.marks: dict[
            Tensor, str
        ] = {}  # of nodes that an edit has put in, and of what is folded onto them
        self.step: dict[Tensor, tuple[Axis | None, int]] = {}
        self.rows: dict[tuple[Any, ...], Row] = {}
        self.row: dict[Tensor, Row] = {}
        self.inside: dict[
            tuple[Any, ...], str | None
        ] = {}  # the layer that a scope of an axis belongs to
        self.positions: defaultdict[Axis, dict[int, int]] = defaultdict(dict)  # t → position
        for (axis, t), position in graph._positions.items():
            self.positions[axis][t] = position
        self.fold()
        self.users = self.count_users()
        self.find_steps()
        self.layers = self.find_layers()
        self.segments = self.order_axes()
        self.find_rows()
        self.put_levels()

    def fold(self) -> None:
        """What each node is drawn as: itself, or the node whose value it only rearranges."""
        for node in self.graph.nodes:
            self.alias[node], self.inputs[node] = (
                node,
                [self.alias[x] for x in self.graph.inputs(node)],
            )
            if node.op is None or not node.inputs:
                continue
            (x, *_), source = self.graph.inputs(node), self.inputs[node][0]
            if node.op.forward.__module__ == "minigrad.edits":
                limits = [
                    f"≤ {node.constants[key]:g}"
                    for key in ("max_norm", "max_value")
                    if node.constants.get(key)
                ]
                rows = " some rows" if node.constants.get("rows") is not None else ""
                self.marks[node], self.alias[node] = (", ".join(limits) or "✂") + rows, source
            elif node.op.name in FOLDED:
                found = self.picked(node, source)
                made = found.op is not None or found._requires_grad
                if not (
                    made and found.time is None and role_of(node) == "input"
                ):  # a step made outside: it is x_t
                    self.alias[node] = found
                    if x in self.marks:
                        self.marks[node] = self.marks[x]

    def picked(self, node: Tensor, source: Tensor) -> Tensor:
        """The one step that an index picks out of a stack of steps; else the whole."""
        stacked = op_name(source) == "stack" and source.constants.get("axis", 0) == 0
        if (
            not stacked
            or self.graph.inputs(node)[0] is not source
            or node.constants.get("axis", 0) != 0
        ):
            return source
        which = node.call.which if node.call is not None else node.constants.get("index")
        return self.inputs[source][which] if isinstance(which, int) else source

    def count_users(self) -> Counter[Tensor]:
        """How many drawn operations use each drawn node; a stack from which only single steps are picked has none."""
        users: Counter[Tensor] = Counter(self.alias[y] for y in self.graph.outputs)
        for node in reversed(self.graph.nodes):
            if self.alias[node] is node and node.op is not None and users[node]:
                users.update(self.inputs[node])
        return users

    def find_steps(self) -> None:
        """The step of each node; results that the program made outside of a loop, one for each step, have one too."""
        loose: defaultdict[Any, set[int]] = defaultdict(set)
        for node in self.graph.nodes:
            if node.time is not None:
                self.step[node] = (node.time.axis, node.time.t)
            elif node.op is not None and self.alias[node] is node and self.graph.axes:
                inputs = self.inputs[node]
                steps = {self.step[x][1] for x in inputs if x in self.step}
                if len(steps) == 1 and all(x in self.step or x.op is None for x in inputs):
                    self.step[node] = (None, steps.pop())
                    loose[node.op, line_of(node)].add(self.step[node][1])
        for node in [node for node, (axis, _) in self.step.items() if axis is None]:
            if len(loose[node.op, line_of(node)]) < 2 or not any(
                x in self.step for x in self.inputs[node]
            ):
                del self.step[node]

    def find_layers(self) -> dict[Axis, list[str]]:
        """For each axis the scopes whose states it carries: each is a layer, a row of its own."""
        found: defaultdict[Axis, dict[str, None]] = defaultdict(dict)
        for edge in self.graph.state_edges:
            assert edge.target.time is not None
            found[edge.target.time.axis][_common(edge.source.scope, edge.target.scope)] = None
        for node in (
            self.graph.nodes
        ):  # a single step carries nothing; the unroller still says what its states are
            if (
                role_of(node) == "state"
                and node.op
                and node.time
                and len(self.positions[node.time.axis]) == 1
            ):
                found[node.time.axis][node.scope] = None
        return {
            a: [p for p in paths if not any(q != p and _inside(p, q) for q in paths)]
            for a, paths in found.items()
        }

    def order_axes(self) -> dict[Axis, int]:
        """Axes that run side by side share a segment; one that starts when another has ended comes after it."""
        votes: Counter[tuple[Axis, Axis]] = Counter()
        reach: dict[
            Tensor, dict[Axis, int | None]
        ] = {}  # the axes that a node depends on, and the step if it is one
        for node in self.graph.nodes if len(self.graph.axes) > 1 else ():
            axis, t = self.step.get(node, (None, None))
            came: dict[Axis, int | None] = {}
            for x in self.inputs[node]:
                for a, s in reach.get(x, {}).items():
                    came[a] = s if came.get(a, s) == s else None
            for a, s in came.items() if axis is not None else ():
                if a is not axis:
                    votes[a, axis] += 1 if s == t else -1  # type: ignore[index]
            reach[node] = came if axis is None else {axis: t}
        segments: dict[Axis, int] = {}
        for axis in self.graph.axes.values():
            after = [segments[a] + (votes[a, axis] <= 0) for a in segments if (a, axis) in votes]
            again = [
                segments[a] + 1 for a in segments if a.name == axis.name and (a, axis) not in votes
            ]
            segments[axis] = max([0, *after, *again])
        return segments

    def find_rows(self) -> None:
        """The row of each node, and of a node outside of time its column."""
        scope, column, count = None, 0, 0
        reached: dict[Tensor, float] = {}
        start = max(self.segments.values(), default=-1) + 0.5  # of a backward pass
        for node in self.graph.nodes:
            forward, segment = forward_of(node), 0.0
            mirrored = (
                self.row.get(forward) if forward is not None and forward.op is not None else None
            )
            if (
                not self.graph.axes
            ):  # a column for each stretch of one scope; the backward pass over it
                if self.alias[node] is node and node.op is not None and mirrored is None:
                    count += 1
                    if (node._scope, forward is None) != scope or count > MOST:
                        column, count = column + (scope is not None), 0
                    scope = (node._scope, forward is None)
                self.step[node] = (None, column) if mirrored is None else self.step[forward]
            timed = node in self.step and self.graph.axes
            row = mirrored or (self.row_in_time(node, *self.step[node]) if timed else None)
            if row is None or forward is not None:
                latest = max(
                    [reached[x] for x in self.graph.inputs(node)],
                    default=-1.0 if forward is None else start,
                )
                segment = (
                    math.floor(latest) + 0.5
                    if forward is not None
                    else max(math.floor(latest) + 0.5, latest)
                )
            row = row or self.make_row(("between", segment), segment)
            reached[node] = row.segment
            if forward is not None:
                row = self.make_row((*row.key, "backward"), row.segment, row.depth + 1)
                reached[node] = segment + 0.01 * row.depth
            self.row[node] = row

    def panel(self, node: Tensor) -> Panel:
        """The panel that a node is drawn in."""
        return self.row[node], self.step[node][1] if node in self.step else 0

    def steps_between(self, origin: Tensor, node: Tensor) -> int:
        """How many steps of their axis lie from one node to another; 0 if they have none in common."""
        if origin.time is None or node.time is None or origin.time.axis is not node.time.axis:
            return 0
        at = self.positions[node.time.axis]
        return at[node.time.t] - at[origin.time.t]

    def is_input(self, node: Tensor) -> bool:
        """Whether a node is an x_t, and not itself made of steps as that of a layer above another is."""
        return role_of(node) == "input" and not any(
            x in self.step and x.op for x in self.inputs.get(node, ())
        )

    def row_in_time(self, node: Tensor, axis: Axis | None, t: int) -> Row:
        """The row of the layer that the node is part of; else that of what it is made from in its step."""
        layers = self.layers.get(axis, []) if axis is not None else []
        known = axis, node._scope, role_of(node) == "input"
        if known not in self.inside:
            self.inside[known] = next(
                (path for path in layers if known[2] or _inside(node.scope, path)), None
            )
        if (inside := self.inside[known]) is not None:
            return self.make_row((axis, inside), self.segments[axis])  # type: ignore[index]
        below = [
            self.row[x]
            for x in self.inputs[node]
            if x.op is not None and self.step.get(x, (0, None))[1] == t
        ]
        rows = list(dict.fromkeys(row for row in below if row.timed and row.depth == 0))
        if len(rows) == 1 or (rows and layers):
            return rows[-1]
        if axis is not None:
            return self.make_row((axis, "after" if layers else ""), self.segments[axis])
        segment = max((row.segment for row in rows), default=0.0)
        return self.make_row(("joint", segment), segment)

    def make_row(self, key: tuple[Any, ...], segment: float, depth: int = 0) -> Row:
        """The row of a key, made when first asked for."""
        if key not in self.rows:
            axis, layer = key[:2]
            axes = {one: name for name, one in self.graph.axes.items()}
            name = layer if len(self.layers.get(axis, ())) > 1 else axes.get(axis, "")
            positions = self.positions.get(axis, {})
            visits = sorted(positions, key=positions.__getitem__)
            reverse = visits[:1] > visits[-1:]
            longest = max(map(len, self.positions.values()), default=1) if axis == "joint" else 1
            total = len(visits) or longest
            self.rows[key] = Row(key, name, segment, depth, reverse is not (depth % 2 == 1), total)
        return self.rows[key]

    def put_levels(self) -> None:
        """The level of each row: layers from the bottom up, a traced backward pass above them as a mirror image."""
        layers = max(
            Counter(row.segment for row in self.rows.values() if row.depth == 0).values(), default=1
        )
        count: Counter[tuple[int, float]] = Counter()
        for row in self.rows.values():
            n = count[row.depth, row.segment]
            count[row.depth, row.segment] += 1
            row.level = row.depth * layers + (layers - 1 - n if row.depth % 2 else n)


def forward_of(node: Tensor) -> Any:
    """The node whose rule made this one in a traced backward pass; None for all others."""
    return node._scope.node if node._scope is not None else None


def role_of(node: Tensor) -> str:
    """The kind of a node's role in a recurrence: "input", "state", or ""."""
    return node.role.kind if node.role is not None else ""


def op_name(node: Tensor) -> str:
    """The name of a node's operation; "" of a leaf."""
    return node.op.name if node.op is not None else ""


def line_of(node: Tensor) -> tuple[Any, int]:
    """Where in the program a node was made: the same for what one line makes in all steps."""
    return node._code, node._instruction


def _common(a: str, b: str) -> str:
    parts = a.split(".")
    same = [x == y for x, y in zip(parts, b.split("."))]
    return ".".join(parts[: [*same, False].index(False)])


def _inside(scope: str, prefix: str) -> bool:
    return not prefix or scope == prefix or scope.startswith(f"{prefix}.")
