"""The boxes of a picture, what they are called, and the links and taps between them.  Imports `placing`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigrad import naming
from minigrad.render import style
from minigrad.render.picture import Box, Link, Panel, Picture, Row, Tap, forward_of, is_backward, is_number, operand
from minigrad.render.placing import Placing

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class Boxing(Placing):
    """One box for each operation; links where values flow."""

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
            visits = sorted(self.steps[axis]) if timed else []
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
        return [f"{x.item():g}" if is_number(x) else "" for x in self.graph.inputs(node)]

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
        if origin.op is None and (is_number(origin) and not origin._requires_grad):
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
            if leaf.dtype.kind == "b":
                name = f"mask {int(leaf.data.sum())} of {leaf.size}"
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
        return "" if is_backward(node) else self.slots.get((node._code, node._instruction, k), "")

    def step_number(self, t: int) -> str:
        """The number of a step as a subscript."""
        return "ₜ" if self.rolled else style.subscript(t + self.count_from)

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
