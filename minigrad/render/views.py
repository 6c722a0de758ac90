"""A graph as an abstract picture: rows of panels (layer × time step) that hold boxes and links.  Imports `style`.

Nothing is guessed: time, scopes, roles and names are what the engine recorded.  Slices, reshapes and casts are folded
into the value they belong to; a step picked out of a stack of steps is that step.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType
from typing import TYPE_CHECKING, Any

from minigrad import naming
from minigrad.render import style
from minigrad.source import Source

if TYPE_CHECKING:
    from minigrad.graph import Graph
    from minigrad.scope import Axis
    from minigrad.tensor import Tensor

FOLDED = {"getitem", "reshape", "transpose", "swapaxes", "moveaxis", "expand_dims", "squeeze", "broadcast_to", "astype"}
FOLDED |= {"split", "unstack", "ravel", "copy", "flip"}
VIEWS = ("ops", "affine", "cells")
End = tuple["Tensor", int]  # one edge of the graph: the node it flows into, and the number of the input


@dataclass(eq=False, slots=True, repr=False)
class Box:
    """One thing drawn: usually one operation or leaf, in the folded views several."""

    kind: str
    label: str
    nodes: list[Tensor]
    panel: Panel
    taps: list[Tap] = field(default_factory=list)
    lanes: tuple[str, ...] = ()  # the states that it makes


@dataclass(eq=False, slots=True, repr=False)
class Tap:
    """The use of one parameter by one box."""

    parameter: Tensor
    box: Box
    ends: list[End]
    label: str = ""


@dataclass(eq=False, slots=True, repr=False)
class Link:
    """What flows from one box to another: one edge of the graph, or several where boxes are folded."""

    source: Box
    target: Box
    ends: list[End]
    lane: str = ""  # of a state edge: the state's name
    state: str = ""  # the state that the source is, on any edge
    hidden: int = 0  # how many steps that are not drawn lie between
    mark: str = ""  # of an edited graph: "cut", or "≤ limit"


@dataclass(eq=False, slots=True, repr=False)
class Panel:
    """The boxes of one layer in one time step, or those of a stretch outside of time."""

    row: Row
    column: int  # the time step; in a row outside of time 0
    boxes: list[Box] = field(default_factory=list)
    outer: list[Box] = field(default_factory=list)  # inputs below the panel, initial states left of it
    inner: list[Link] = field(default_factory=list)
    ins: list[Link] = field(default_factory=list)
    outs: list[Link] = field(default_factory=list)


@dataclass(eq=False, slots=True, repr=False)
class Row:
    """The panels of one layer along one axis."""

    key: tuple[Any, ...]
    name: str
    segment: float  # rows with the same segment share their columns; halves lie between
    level: int = 0  # counted from the bottom
    reverse: bool = False
    total: int = 1  # steps, drawn or not
    panels: dict[int, Panel] = field(default_factory=dict)


@dataclass(eq=False, slots=True, repr=False)
class Picture:
    """Rows of panels, and the links between and within them."""

    graph: Graph
    rows: list[Row]
    links: list[Link]
    taps: list[Tap]
    view: str = "ops"


class Viewer:
    """Turns a graph into a picture; the fields are tables that the steps below fill one after the other."""

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

    def picture(self) -> Picture:
        """All of it."""
        self.fold()
        self.outputs = {self.alias[y] for y in self.graph.outputs}
        self.users = self.count_users()
        sources = [self.alias[edge.source] for edge in self.graph.state_edges]
        self.state_places = {(x._code, x._instruction) for x in sources if x.role is None}
        self._segment: dict[Tensor, float] = {}
        self._slots = {
            (node._code, node._instruction, k): self.state_name(self.alias[x])
            for node in self.graph.nodes
            for k, x in enumerate(self.graph.inputs(node))
            if (node, k) in self.state_ends or self.is_carried(x)
        }
        self.place()
        self.prefixes = self.layers()
        self.segments = self.order_axes()
        for node in self.graph.nodes:
            self.add_box(node)
        self.join_sums()
        if self.view != "ops":
            self.join_affine()
        links, taps = self.connect()
        if self.view == "cells":
            self.join_cells(links)
            links, taps = self.connect()
        return self.finish(links, taps)

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
            if states and node.time is not None and len(self.positions_of(node.time.axis)) == 1:
                found[node.time.axis][node.scope] = None
        return {
            axis: [p for p in prefixes if not any(q != p and _inside(p, q) for q in prefixes)]
            for axis, prefixes in found.items()
        }

    def positions_of(self, axis: Any) -> list[tuple[int, int]]:
        """The positions and the steps of an axis."""
        return sorted((position, t) for (a, t), position in self.graph._positions.items() if a is axis)

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

    # boxes

    def add_box(self, node: Tensor) -> None:
        """The box of a node, unless it is folded, hidden, a parameter or a number: those are drawn with their users."""
        self.segment_of(node)
        place = self.column.get(node)
        drawn = self.alias[node] is node and node.op is not None and (self.users[node] or node in self.outputs)
        if not drawn or (place is not None and not self.shown(*place)):
            return
        panel = self.panel(self.row_of(node), place[1] if place else 0)
        box = Box(*self.describe(node), [node], panel)
        box.lanes = tuple(filter(None, [self.state_name(node)]))
        panel.boxes.append(box)
        self.owner[node] = box
        self.stand_ins.setdefault((box.panel.row.key, node._code, node._instruction), box)

    def panel(self, key: tuple[Any, ...], column: int) -> Panel:
        """The panel of a row and a step, made when first asked for."""
        row = self.rows.get(key)
        if row is None:
            axis = key[0]
            timed = not isinstance(axis, str)
            segment = self.segments[axis] if timed else key[1]
            visits = self.positions_of(axis)
            row = self.rows[key] = Row(key, str(key[1] or axis) if timed else "", segment)
            row.reverse = (timed and visits[0][1] > visits[-1][1]) is not (key[-1] == "backward")
            row.total = len(visits)
        if column not in row.panels:
            row.panels[column] = Panel(row, column)
        return row.panels[column]

    def describe(self, node: Tensor) -> tuple[str, str]:
        """Kind and label of an operation."""
        assert node.op is not None
        op, lane = node.op.name, self.state_name(node)
        symbol, numbers = style.SYMBOLS.get(op, op), self.numbers(node)
        if op == "power" and numbers[1:] == ["2"]:
            symbol = "x²"
        elif numbers and op in ("add", "subtract", "multiply", "divide", "power") and any(numbers):
            left, right = (*numbers, "", "")[:2]
            symbol = f"x^{right}" if op == "power" and right else f"{left}{symbol}{right}"
        name = "" if lane else naming.variable(self.graph, node) if node.name is None else node.name
        if node in self.outputs and node.size == 1 and not lane:
            return "loss", name or "L"
        if op == "add_up" and is_backward(node):
            symbol = f"Σ d{naming.label(self.graph, forward_of(node))}"
        if op in ("stack", "concatenate") and len(node.inputs) > 2:
            symbol = f"{symbol} of {len(node.inputs)}"
        kind = "nonlinear" if op in style.NONLINEAR else "matmul" if op in style.PRODUCTS else "operation"
        if op in style.ELEMENTWISE and len(symbol) == 1:
            kind = "elementwise" if not name else "operation"
        if lane:
            kind = "cell state" if lane.startswith("c") else "state"
            kind = kind if symbol in "+×−" else "state box"
        return kind, style.shorten(f"{symbol} {name}" if name and name != op else symbol)

    def numbers(self, node: Tensor) -> list[str]:
        """For each input the number that it is, or "" where it is not a bare number."""
        return [f"{x.item():g}" if _is_number(x) else "" for x in self.graph.inputs(node)]

    def state_name(self, node: Tensor) -> str:
        """The name of the state that a node is, or "" if no state edge leaves it."""
        if node.role is not None and node.role.kind == "state":
            return node.role.name
        if node.op is None or (node._code, node._instruction) not in self.state_places or is_backward(node):
            return ""
        return naming.variable(self.graph, node) or node.name or "h"

    # links

    def connect(self) -> tuple[list[Link], list[Tap]]:
        """All links and taps between the boxes as they are grouped now; boxes for the leaves that they come from."""
        self.links: dict[tuple[Box, Box, str], Link] = {}
        self.taps: dict[tuple[Tensor, Box], Tap] = {}
        for node in self.graph.nodes:
            target = self.owner.get(node)
            if target is None or node.op is None:
                continue
            for k, x in enumerate(self.graph.inputs(node)):
                self.add_link(target, node, k, x)
        for box in self.owner.values():
            box.taps = []
        for tap in self.taps.values():
            tap.box.taps.append(tap)
        return list(self.links.values()), list(self.taps.values())

    def add_link(self, target: Box, node: Tensor, k: int, x: Tensor) -> None:
        """One edge of the graph, added to the link or tap that it belongs to."""
        origin = self.alias[x]
        crosses = (node, k) in self.state_ends or self.is_carried(x)
        hidden = 0
        if origin.op is None and (_is_number(origin) and not origin._requires_grad):
            return
        source = self.owner.get(origin)
        if source is None and origin.op is not None:  # in a step that is not drawn
            source, hidden = self.delayed(origin, target) if self.rolled else self.last_shown(origin, target)
            if source is None:
                return
        elif source is None and self.is_tapped(origin):
            self.taps.setdefault((origin, target), Tap(origin, target, [])).ends.append((node, k))
            return
        if source is None:
            source = self.add_leaf(origin, target, node, k)
        if source is target or source is None:
            return
        state = self.state_name(origin)
        lane = state if crosses or hidden else ""
        if source.kind == "delay":
            lane = source.lanes[0]
        elif source in target.panel.outer:
            lane = source.lanes[0] if source.lanes else ""
        elif source.panel.row is not target.panel.row:
            lane = self.feeds_state(node, k)
        key = (source, target, lane or state)
        if key not in self.links:
            self.links[key] = Link(source, target, [], lane, state, hidden, self.marks.get(x, ""))
        self.links[key].ends.append((node, k))

    def is_carried(self, x: Tensor) -> bool:
        """Whether a value was carried into the step before it was sliced, reshaped, clipped or cut there."""
        while self.alias[x] is not x:
            if (x, 0) in self.state_ends:
                return True
            x = self.graph.inputs(x)[0]
        return False

    def is_tapped(self, leaf: Tensor) -> bool:
        """Whether a leaf is a parameter, or a constant used in many places, as a mask is: drawn with its users."""
        if leaf.role is not None and leaf.role.kind in ("state", "input"):
            return False
        return leaf._requires_grad or (leaf.role is None and leaf not in self.column and self.users[leaf] > 2)

    def last_shown(self, origin: Tensor, target: Box) -> tuple[Box | None, int]:
        """In place of a hidden state: the same state in the last step drawn before, and how many steps lie between."""
        lane, row = self.state_name(origin), target.panel.row
        if not lane or self.row_of(origin) != row.key or origin.time is None:
            return None, 0
        here = self.position(target.panel)
        for panel in reversed(list(row.panels.values())):
            if self.position(panel) < here:
                box = next((box for box in panel.boxes if lane in box.lanes), None)
                return box, here - self.position(panel) - 1
        return None, 0

    def delayed(self, origin: Tensor, target: Box) -> tuple[Box | None, int]:
        """In a rolled picture: the box that stands for a value in all steps; in its own panel, through a delay."""
        key = (self.row_of(origin), origin._code, origin._instruction)
        box = self.stand_ins.get(key)
        if box is None or box.panel is not target.panel or origin.time is None:
            return box and self.owner[box.nodes[-1]], 0
        steps = self.position(target.panel) - self.graph._positions[origin.time.axis, origin.time.t]
        if (key, steps) not in self.delays:
            delay = Box("delay", f"t−{steps}", [], target.panel, lanes=(self.state_name(origin),))
            self.delays[key, steps] = delay
        delay = self.delays[key, steps]
        if delay not in target.panel.outer:
            target.panel.outer.append(delay)
            maker = self.owner[box.nodes[-1]]
            self.links[maker, delay, ""] = Link(maker, delay, [], delay.lanes[0], self.state_name(origin))
        return delay, 0

    def position(self, panel: Panel) -> int:
        """The position of a panel's step on its axis."""
        return self.graph._positions.get((panel.row.key[0], panel.column), panel.column)

    def add_leaf(self, leaf: Tensor, target: Box, node: Tensor, k: int) -> Box | None:
        """The box of a leaf: an input below its panel, an initial state left of it, a constant among the others."""
        panel, name = target.panel, naming.label(self.graph, leaf)
        role = leaf.role.kind if leaf.role else ""
        if role == "input" or (leaf.time is not None and name == "x"):
            t = leaf.t if leaf.t is not None else panel.column
            box = Box("input", f"{name}{self.step_number(t)}", [leaf], panel)
        elif role == "state" or self.feeds_state(node, k):
            name = name if name != "constant" else f"{self.feeds_state(node, k) or 'h'}_init"
            box = Box(
                "constant",
                style.shorten(name),
                [leaf],
                panel,
                lanes=(self.feeds_state(node, k) or name.removesuffix("_init"),),
            )
        elif self.view == "cells":
            return None  # targets and masks are part of what the output and the loss stand for
        else:
            name = f"{leaf.item():g}" if is_backward(node) and leaf.size == 1 else name
            text = name if name != "constant" else operand(node, k) or "×".join(map(str, leaf.shape)) or "constant"
            box = Box("constant", style.shorten(text), [leaf], panel)
            panel.boxes.append(box)
            self.owner[leaf] = box
            return box
        panel.outer.append(box)
        self.owner[leaf] = box
        return box

    def feeds_state(self, node: Tensor, k: int) -> str:
        """The state that enters input k of the same operation in later steps, or ""."""
        return "" if is_backward(node) else self._slots.get((node._code, node._instruction, k), "")

    # folded views

    def join(self, boxes: list[Box], kind: str, label: str) -> Box:
        """One box in place of several, where the last of them stood."""
        panel = boxes[-1].panel
        whole = Box(kind, label, [node for box in boxes for node in box.nodes], panel)
        whole.lanes = tuple(dict.fromkeys(lane for box in boxes for lane in box.lanes))
        gone = set(boxes)
        panel.boxes[:] = [
            whole if box is boxes[-1] else box for box in panel.boxes if box is boxes[-1] or box not in gone
        ]
        self.owner.update((node, whole) for node in whole.nodes)
        return whole

    def join_sums(self) -> None:
        """A running sum outside of time, as the sum of all losses is one, becomes one box."""
        chains: dict[Tensor, list[Box]] = {}
        for node in self.graph.nodes:
            if node.op is None or node.op.name != "add" or node not in self.owner or node in self.column:
                continue
            before = [self.alias[x] for x in self.graph.inputs(node)]
            chain = next((chains.pop(x) for x in before if x in chains and self.users[x] == 1), [])
            chains[node] = [*chain, self.owner[node]]
        for node, chain in chains.items():
            if len(chain) > 2:
                name = naming.variable(self.graph, node)
                label = f"Σ of {len(chain) + (not any(self.numbers(chain[0].nodes[0])))}"
                loss = node in self.outputs
                self.join(chain, "loss" if loss else "bus", f"{label}  {name or 'L'}" if loss or name else label)

    def join_affine(self) -> None:
        """Each sum of products with parameters becomes one box: x W + h U + b."""
        for node in self.graph.nodes:
            box = self.owner.get(node)
            if box is None or node.op is None or node.op.name not in ("matmul", "add"):
                continue
            inputs = [self.alias[x] for x in self.graph.inputs(node)]
            weights = [x for x in inputs if x.op is None and x._requires_grad]
            if node.op.name == "matmul":
                if weights:
                    box.kind = "affine"
                continue
            parts = [self.owner[x] for x in inputs if x in self.owner]
            affine = all(p.kind == "affine" and p.panel is box.panel and self.users[p.nodes[-1]] == 1 for p in parts)
            if affine and parts and len(parts) + len(weights) == len(inputs):
                self.join([*dict.fromkeys(parts), box], "affine", box.label)
        for box in dict.fromkeys(self.owner.values()):
            if box.kind == "affine":
                name = naming.variable(self.graph, box.nodes[-1])
                box.kind, box.label = "matmul", f"affine {name}" if name and not box.lanes else "affine"

    def join_cells(self, links: list[Link]) -> None:
        """In each step one box for all that the states are made of, one for the output, one for the loss."""
        feeds: defaultdict[Box, list[Box]] = defaultdict(list)
        for link in links:
            if link.source.panel is link.target.panel:
                feeds[link.target].append(link.source)
        for row in self.rows.values():
            for panel in row.panels.values():
                if row.key[0] != "joint":
                    self.join_cell(panel, feeds)
                panel.boxes = [box for box in panel.boxes if box.nodes[0].op is not None]
                panel.outer = []
        for node in [node for node in self.owner if node.op is None]:
            del self.owner[node]

    def join_cell(self, panel: Panel, feeds: dict[Box, list[Box]]) -> None:
        """The boxes of one panel."""
        boxes = [box for box in panel.boxes if box.nodes[0].op is not None and " of " not in box.label]
        gathered = [box for box in panel.boxes if " of " in box.label]
        core, front = set(), [box for box in boxes if self.state_name(box.nodes[-1])]
        while front:
            box = front.pop()
            if box not in core:
                core.add(box)
                front += [b for b in feeds[box] if b.panel is panel]
        panel.boxes = [*gathered, *boxes]
        after = [box for box in boxes if box not in core]
        states = [box for box in boxes if box in core]
        scalars = [box for box in after if box.nodes[-1].size == 1]
        first = after.index(scalars[0]) if scalars else len(after)
        columns = self.step_number(panel.column) if panel.row.key[0] != "between" else ""
        if states:
            self.join(states, "cell", self.cell_name(states[-1].nodes[-1], panel.row))
        if after[:first]:
            name = self.last_name(after[:first]) or "o"
            self.join(after[:first], "output", f"{name}{columns}")
        if after[first:]:
            self.join(after[first:], "loss", f"{self.last_name(after[first:]) or 'L'}{columns}")

    def step_number(self, t: int) -> str:
        """The number of a step as a subscript."""
        return "ₜ" if self.rolled else style.subscript(t + self.count_from)

    def last_name(self, boxes: Iterable[Box]) -> str:
        """The variable that the last of some boxes was assigned to."""
        return naming.variable(self.graph, list(boxes)[-1].nodes[-1])

    def cell_name(self, node: Tensor, row: Row) -> str:
        """What a cell is called: the class whose method made its state, else the last name of its scope."""
        parts = (node._code.co_qualname if node._code else "").split(".")
        if len(parts) > 1 and not parts[-2].startswith("<"):
            return parts[-2].removesuffix("Cell") or parts[-2]
        return node.scope.split(".")[-1] or "cell"

    # what remains

    def finish(self, links: list[Link], taps: list[Tap]) -> Picture:
        """The picture: lanes named, links sorted into panels, rows in order."""
        for link in links:
            source, target = link.source.panel, link.target.panel
            if link.target.kind == "delay":
                source.outs.append(link)
            elif source is target and link.source not in source.outer:
                source.inner.append(link)
            else:
                target.ins.append(link)
                if link.source not in source.outer:
                    source.outs.append(link)
        return Picture(self.graph, list(self.rows.values()), links, taps, self.view)


def operand(node: Tensor, k: int) -> str:
    """The source text of input k of an operation, where there is any: what to call a plain array."""
    return _operand(node._code, node._instruction, k)


@lru_cache(maxsize=1024)
def _operand(code: CodeType | None, instruction: int, k: int) -> str:
    try:
        tree = ast.parse(Source(code, instruction).expression, mode="eval").body
    except SyntaxError:
        return ""
    parts: list[ast.expr] = []
    if isinstance(tree, ast.BinOp):
        parts = [tree.left, tree.right]
    elif isinstance(tree, ast.Call):
        parts = tree.args
    return ast.unparse(parts[k]) if k < len(parts) and not isinstance(parts[k], ast.Constant) else ""


def is_backward(node: Tensor) -> bool:
    """Whether a traced backward pass made the node."""
    return forward_of(node) is not None


def forward_of(node: Tensor) -> Any:
    """The node whose rule made this one in a traced backward pass; None for all others."""
    return node._scope.node if node._scope is not None else None


def _is_number(x: Tensor) -> bool:
    """Whether a leaf is an operand that the program wrote as a number."""
    return x.op is None and x._code is None and x.size == 1 and x.role is None


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
