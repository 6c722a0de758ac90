"""A graph as an abstract picture, in the view asked for: operations, affine sums, or whole cells.  Imports `boxes`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from minigrad import naming
from minigrad.render.boxes import Boxing
from minigrad.render.picture import Box, Link, Panel, Picture

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class Viewer(Boxing):
    """Turns a graph into a picture."""

    def picture(self) -> Picture:
        """All of it."""
        self.fold()
        self.outputs = {self.alias[y] for y in self.graph.outputs}
        self.users = self.count_users()
        sources = [self.alias[edge.source] for edge in self.graph.state_edges]
        self.state_places = {(x._code, x._instruction) for x in sources if x.role is None}
        self.slots = {
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

    # folded views

    def join(self, boxes: list[Box], kind: str, label: str) -> Box:
        """One box in place of several, where the last of them stood."""
        panel = boxes[-1].panel
        whole = Box(kind, label, [node for box in boxes for node in box.nodes], panel)
        whole.lanes = tuple(dict.fromkeys(lane for box in boxes for lane in box.lanes))
        gone = set(boxes)
        for box in gone:
            box.taps.clear()  # each tap points at its box
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
            self.join(states, "cell", self.cell_name([node for box in states for node in box.nodes]))
        if after[:first]:
            name = self.last_name(after[:first]) or "o"
            self.join(after[:first], "output", f"{name}{columns}")
        if after[first:]:
            self.join(after[first:], "loss", f"{self.last_name(after[first:]) or 'L'}{columns}")

    def last_name(self, boxes: Iterable[Box]) -> str:
        """The variable that the last of some boxes was assigned to."""
        return naming.variable(self.graph, list(boxes)[-1].nodes[-1])

    def cell_name(self, nodes: list[Tensor]) -> str:
        """What a cell is called: the class whose `forward` made its state, else the last name of its scope."""
        for node in reversed(nodes):
            parts = (node._code.co_qualname if node._code else "").split(".")
            if len(parts) > 1 and parts[-1] == "forward":
                return parts[-2].removesuffix("Cell") or parts[-2]
        return nodes[-1].scope.split(".")[-1] or "cell"
