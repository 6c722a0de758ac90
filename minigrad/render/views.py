"""A graph as an abstract picture: its groups as boxes, its edges as links, or taps where they come from a parameter.

Imports `groups` and what it stands on.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import cached_property
from typing import Any

from minigrad import naming
from minigrad.graph import Graph
from minigrad.render import style
from minigrad.render.groups import Groups
from minigrad.render.names import MANY, constant_name, is_number
from minigrad.render.picture import Box, End, Link, Panel, Picture, Tap
from minigrad.render.places import FOLDED, PARTED, TURNS, forward_of, line_of, op_name, role_of
from minigrad.tensor import Tensor


class Viewer(Groups):
    """Turns a graph into a picture; rolled: one step is drawn and stands for all."""

    def __init__(self, graph: Graph, view: str, rolled: bool, first: int) -> None:
        super().__init__(graph, rolled, first)
        self.view, self.drawn = (
            view,
            [n for n in graph.nodes if self.alias[n] is n and n.op and self.users[n]],
        )
        self.slots: dict[
            Any, tuple[str, int]
        ] = {}  # of inputs by their place in the program: state, how long before
        for node in graph.nodes:
            for k, origin in enumerate(self.inputs[node]):
                if (steps := self.steps_between(origin, node)) > 0 and (
                    state := self.state(origin)
                ):
                    self.slots[line_of(node), k] = state, steps
        products = [
            node for node in graph.nodes if not graph.axes and op_name(node) in style.PRODUCTS
        ]
        leaves = {x for node in products for x in self.inputs[node] if x.op is None}
        self.data = {
            x for x in leaves if not x._requires_grad
        }  # what a network without time takes in
        self.box, self.links = (
            dict[Any, Box](),
            dict[Any, Link](),
        )  # by the nodes in it; by its two boxes and its state
        self.panels: defaultdict[Panel, list[Box]] = defaultdict(list)

    def picture(self, shown: Callable[[Any, int], bool]) -> Picture:
        """The picture of the steps that are shown."""
        drawn = [node for node in self.drawn if node not in self.step or shown(*self.step[node])]
        if self.rolled:
            self.find_twins(set(drawn))
        self.group(drawn, self.view)
        for node in sorted(self.whole, key=lambda node: node.serial):
            self.add_box(
                *self.kinds.get(node) or self.describe(node), self.whole[node], self.panel(node)
            )
        for node in drawn:
            for k, x in enumerate(self.graph.inputs(node)):
                if not is_number(self.alias[x]):
                    self.add_edge(node, k, x)
        order = sorted(
            self.panels,
            key=lambda panel: (panel[0].depth, panel[0].segment, panel[0].level, panel[1]),
        )
        panels = {panel: self.panels[panel] for panel in order}
        for boxes in panels.values() if self.view == "cells" else ():  # from the bottom up
            boxes.sort(key=lambda box: box.kind != "input")
        outputs: set[Any] = {self.alias[y] for y in self.graph.outputs}
        outputs.update(map(self.stand_in_of, outputs.copy()) if self.rolled else ())
        return Picture(
            self.graph, self.view, self.rolled, panels, list(self.links.values()), outputs
        )

    def add_box(
        self,
        kind: str,
        label: str,
        nodes: list[Tensor],
        panel: Panel,
        lanes: Any = (),
        outside: bool = False,
    ) -> Box:
        """A box in its panel."""
        lanes = tuple(lanes or dict.fromkeys(filter(None, map(self.state, nodes))))
        box = Box(kind, style.shorten(label, 60), nodes, panel, lanes, outside)
        self.panels[panel].append(box)
        self.box.update(dict.fromkeys(nodes, box))
        return box

    # edges

    def is_turned(self, node: Tensor, k: int) -> bool:
        """Whether an input of an operation is the transpose of what is drawn there."""
        turned, x = False, self.graph.inputs(node)[k]
        while self.alias[x] is not x:
            turned ^= op_name(x) in TURNS
            x = self.graph.inputs(x)[0]
        return turned

    def measured_at(self, node: Tensor, k: int) -> End:
        """The edge of the graph that tells the gradient of one as it is drawn: that of the whole value, if it can."""
        origin, x = self.inputs[node][k], self.graph.inputs(node)[k]
        while (
            op_name(x) in FOLDED - PARTED
            and self.inputs[x][0] is origin
            and len(self.graph.users[x]) == 1
        ):
            node, k, x = x, 0, self.graph.inputs(x)[0]
        return node, k

    def add_edge(self, node: Tensor, k: int, x: Tensor) -> None:
        """One edge of the graph, added to the link or tap that it belongs to."""
        target, origin = self.box[node], self.alias[x]
        if origin.op is not None and self.box.get(origin) is target:
            return
        slot = (
            ("", 1) if forward_of(node) is not None else self.slots.get((line_of(node), k), ("", 1))
        )
        plain = (
            not slot[0] and not role_of(origin) and origin.op is None and origin not in self.data
        )
        often = origin.time is None and self.users[origin] > MANY  # a mask, say
        tapped = plain and (
            origin._requires_grad
            or (often and not naming.label(self.graph, origin).endswith("_init"))
        )
        thing: Any = (
            target.taps.setdefault(origin, Tap(origin, []))
            if tapped
            else self.link(node, k, x, target, slot)
        )
        if thing is None:
            return
        thing.turned |= self.is_turned(node, k)
        stands_in = self.rolled and origin.op is not None and origin not in self.box
        if not stands_in or thing.source.kind == "delay":  # else it is another step's edge
            thing.ends.append(self.measured_at(node, k))

    def link(
        self, node: Tensor, k: int, x: Tensor, target: Box, slot: tuple[str, int]
    ) -> Link | None:
        """The link that an edge belongs to; None if it is within a box, or comes from what is not drawn."""
        origin, hidden = self.alias[x], 0
        source = (
            self.box.get(origin)
            if origin.op is not None
            else self.leaf(origin, node, k, target, slot)
        )
        if source is None and origin.op is not None:  # in a step that is not drawn
            source, hidden = (
                self.delayed(node, k, target) if self.rolled else self.last_shown(origin, target)
            )
        if source is None or source is target:
            return None
        steps, state = self.steps_between(origin, node), self.lane(origin)
        total = not state and line_of(origin) in self.totals
        state = self.totals[line_of(origin)] if total else state
        lane = source.lanes[0] if source.outside and source.lanes else state if steps else ""
        if (
            source.panel[0] is not target.panel[0]
        ):  # the state of an encoder, say, where a decoder begins
            lane = lane or slot[0]
        mark = (
            self.marked(lane) if self.rolled and source.kind == "delay" else self.marks.get(x, "")
        )
        found = Link(
            source, target, [], lane, "" if source.outside else state, hidden, mark, total=total
        )
        return self.links.setdefault((source, target, lane or state), found)

    def leaf(
        self, leaf: Tensor, node: Tensor, k: int, target: Box, slot: tuple[str, int]
    ) -> Box | None:
        """The box of a leaf: an input below its panel, an initial state left of it, a constant among the others."""
        role, name, panel, known = (
            role_of(leaf),
            naming.label(self.graph, leaf),
            target.panel,
            self.box.get(leaf),
        )
        if known is not None:
            again = known.outside and (panel[0].depth or known.panel[0] is panel[0])
            if known.panel == panel or role == "input" or leaf in self.data or again:
                return known
        if role == "input" or (leaf.time is not None and name == "x"):
            number = self.number(panel[1] if leaf.t is None else leaf.t)
            return self.add_box(
                "input", f"{style.shorten(name)}{number}", [leaf], panel, outside=panel[0].timed
            )
        if role == "state" or slot[0] or name.endswith("_init"):
            return self.initial(leaf, name, node, panel, *slot)
        if leaf in self.data:
            return self.add_box(
                "input", "x" if name == "constant" else style.shorten(name), [leaf], panel
            )
        if self.view == "cells":
            return None  # targets and masks are part of what the output and the loss stand for
        return self.add_box(
            "constant", style.shorten(constant_name(leaf, node, k, name)), [leaf], panel
        )

    def initial(
        self, leaf: Tensor, name: str, node: Tensor, panel: Panel, lane: str, steps: int
    ) -> Box:
        """The box of an initial state, at the beginning of its row also where only a later step takes it."""
        at, lane = (
            self.positions[node.time.axis] if node.time else {},
            lane or name.removesuffix("_init"),
        )
        index = at.get(panel[1], 0) - steps
        if index < 0:
            panel = min((p for p in self.panels if p[0] is panel[0]), key=lambda p: at.get(p[1], 0))
        if name == "constant" or re.fullmatch(r"s\d+_init", name):
            name = f"{lane}_init" if index == -1 else f"{lane}{self.number(index)}"
        return self.add_box("constant", style.shorten(name), [leaf], panel, [lane], outside=True)

    @cached_property
    def makers(self) -> dict[Any, list[tuple[int, Box]]]:
        """Where a value that each step makes is made in those that are drawn: positions and boxes, by row and name."""
        found: defaultdict[Any, list[tuple[int, Box]]] = defaultdict(list)
        for node, box in self.box.items():
            if node.op is not None and node.time is not None:
                key = self.row[node], self.lane(node) or line_of(node)
                found[key].append((self.positions[node.time.axis][node.time.t], box))
        return found

    def last_shown(self, origin: Tensor, target: Box) -> tuple[Box | None, int]:
        """In place of a hidden value: the same in the nearest step drawn before, and how many steps lie between."""
        row, t = target.panel
        if self.row[origin] is not row or origin.time is None:
            return None, 0
        at = self.positions[origin.time.axis]
        way = 1 if at[origin.time.t] <= at[t] else -1  # a backward pass comes from later steps
        made = self.makers.get((row, self.lane(origin) or line_of(origin)), [])
        found = [(way * p, box) for p, box in made if way * p < way * at[origin.time.t]]
        position, box = max(found, key=lambda pair: pair[0], default=(way * at[t], None))
        drawn = {way * at[s] for r, s in self.panels if r is row}
        return box, way * at[t] - position - sum(position <= p < way * at[t] for p in drawn)

    # rolled

    def find_twins(self, shown: set[Tensor]) -> None:
        """One key for nodes of different steps that are made in the same way: the one that is drawn stands for all."""
        count: Counter[Any] = Counter()
        self.twin: dict[Tensor, Any] = {}
        self.first_twin: dict[Any, Tensor] = {}  # the one of the first step
        for node in self.drawn:
            forward = self.mirrored(node)
            made = line_of(node) if forward is None else self.twin.get(forward)
            key = (self.row[node], made, node.op, node.call and node.call.which)
            count[self.panel(node), key] += 1
            self.twin[node] = (*key, count[self.panel(node), key])
            self.first_twin.setdefault(self.twin[node], node)
        self.stand_in = {twin: node for node, twin in self.twin.items() if node in shown}

    def stand_in_of(self, origin: Tensor) -> Tensor | None:
        """The drawn node that stands for a node in all steps."""
        return self.stand_in.get(self.twin.get(origin))

    def delayed(self, node: Tensor, k: int, target: Box) -> tuple[Box | None, int]:
        """The box that stands for an input in all steps; in its own panel, through a delay."""
        origin = self.inputs[node][k]
        maker, elsewhere = (
            self.box.get(self.stand_in_of(origin)),
            self.row[origin] is not target.panel[0],
        )
        if elsewhere or origin.time is None or (maker is not None and maker.panel != target.panel):
            return maker, 0
        lane, steps = self.lane(origin) or naming.label(self.graph, origin), node.t - origin.t  # type: ignore[operator]
        label, boxes = f"t{'−' if steps > 0 else '+'}{abs(steps)}", self.panels[target.panel]
        like = [
            box for box in boxes if (box.kind, box.label, box.lanes) == ("delay", label, (lane,))
        ]
        delay = (
            like[0]
            if like
            else self.add_box("delay", label, [], target.panel, [lane], outside=True)
        )
        if maker is not None:
            loop = Link(maker, delay, [], lane, self.lane(origin), total=not self.lane(origin))
            self.links.setdefault((maker, delay, ""), loop)
        first = self.first_twin[self.twin[node]]
        begun = [*self.inputs[first], *[first] * k][k]  # what the first step takes in its place
        before = self.box.get(self.stand_in_of(begun))
        if before is not None and before.panel != target.panel:
            begin = Link(before, delay, [], lane, self.lane(begun))
            self.links.setdefault((before, delay, ""), begin).ends.append((first, k))
        return delay, 0

    def marked(self, lane: str) -> str:
        """The mark of a state's crossings, and at how many of the steps there is one."""
        marks: dict[Tensor, str] = {}
        for edge in self.graph.state_edges:
            x = self.inputs[edge.target][edge.position]
            marks[x] = (
                marks.get(x) or self.marks.get(edge.target) or self.marks.get(edge.source, "")
            )
        every = [mark for x, mark in marks.items() if self.state(x) == lane]
        found = [mark for mark in every if mark]
        return (
            f"{found[0]} at {len(found)} of {len(every)}"
            if 0 < len(found) < len(every)
            else "".join(found[:1])
        )
