"""Which operations become one box, in the view asked for: sums, affine sums, whole cells.  Imports `names`."""

from __future__ import annotations

from collections import defaultdict

from minigrad.render.names import MANY, Names
from minigrad.render.picture import Panel
from minigrad.render.places import forward_of, line_of, op_name
from minigrad.tensor import Tensor

VIEWS = ("ops", "affine", "cells")


class Groups(Names):
    """Gathers operations; each group stands where its last operation does."""

    def group(self, drawn: list[Tensor], view: str) -> None:
        """All groups of a view."""
        self.whole = {node: [node] for node in drawn}  # what is gathered into one box, by its last operation
        self.kinds: dict[Tensor, tuple[str, str]] = {}  # kind and label of such boxes
        self.gather_sums(drawn)
        if view == "affine":
            self.gather_affine(drawn)
        elif view == "cells":
            self.gather_cells()

    def gather(self, nodes: list[Tensor], kind: str, label: str) -> None:
        """One box for several operations."""
        self.whole[nodes[-1]] = [part for node in nodes for part in self.whole.pop(node)]
        self.kinds[nodes[-1]] = kind, label

    def gather_sums(self, drawn: list[Tensor]) -> None:
        """A running sum outside of time, as the sum of all losses is one, becomes one box."""
        chains: dict[Tensor, list[Tensor]] = {}
        for node in drawn:
            if op_name(node) == "add" and node not in self.step:
                before = next((x for x in self.inputs[node] if x in chains and self.users[x] == 1), None)
                chains[node] = [*(chains.pop(before) if before is not None else ()), node]
        for node, chain in chains.items():
            if len(chain) >= MANY:
                count, name = len(chain) + (not any(self.numbers(chain[0]))), self.losses.get(node, self.variable(node))
                self.gather(chain, "loss" if node in self.losses else "bar", f"Σ of {count}  {name}".strip())

    def gather_affine(self, drawn: list[Tensor]) -> None:
        """Each sum of products with parameters becomes one box: x W + h U + b."""
        affine: set[Tensor] = set()
        for node in drawn:
            weights = sum(x.op is None and x._requires_grad for x in self.inputs[node])
            parts = {x: None for x in self.inputs[node] if x in affine and self.users[x] == 1 and x in self.whole}
            parts = {x: None for x in parts if self.panel(x) == self.panel(node)}
            product = op_name(node) == "matmul" and weights
            if product or (op_name(node) == "add" and parts and len(parts) + weights == 2):
                affine.add(node)
                name = f"affine {self.variable(node)}".strip()
                self.gather([*(() if product else parts), node], "matmul", name)

    def gather_cells(self) -> None:
        """In each step one box for all that the states are made of, one for the output, one for the loss."""
        panels: defaultdict[Panel, list[Tensor]] = defaultdict(list)
        for node in sorted(self.whole, key=lambda node: node.serial):
            if node not in self.kinds and not self.is_input(node) and not self.gathers_steps(node):
                panels[self.panel(node)].append(node)
        core, ends = self.find_core(panels), self.find_ends()
        part: dict[Tensor, tuple[Panel, str]] = {}
        groups: defaultdict[tuple[Panel, str], list[Tensor]] = defaultdict(list)
        labels: dict[tuple[Panel, str], str] = {}
        for panel, nodes in panels.items():
            for node in nodes:
                forward = self.mirrored(node)
                kind = "cell" if node in core else "loss" if node in ends else "output" if self.graph.axes else "cell"
                part[node] = panel, kind if forward is None else part.get(forward, (panel, "output"))[1]
                groups[part[node]].append(node)
        for (panel, kind), nodes in groups.items():
            forward = next((f for f in map(self.mirrored, nodes) if f in part), None)
            number = self.number(panel[1]) if panel[0].timed and self.graph.axes and kind != "cell" else ""
            own = f"{self.part_name(kind, nodes)}{number}"
            labels[panel, kind] = own if forward is None else f"d{labels[part[forward]]}"
            self.gather(nodes, "output" if kind == "loss" and panel[0].depth else kind, labels[panel, kind])

    def mirrored(self, node: Tensor) -> Tensor | None:
        """The drawn node whose rule made this one in a traced backward pass."""
        forward = forward_of(node)
        return None if forward is None else self.alias.get(forward, forward)

    def gathers_steps(self, node: Tensor) -> bool:
        """Whether a node puts values of several panels side by side."""
        made = [x for x in self.inputs[node] if x.op is not None]
        aside = ("stack", "concatenate", "" if self.row[node].timed else "add_up")
        return op_name(node) in aside and any(self.row[x] is not self.row[node] for x in made)

    def find_ends(self) -> set[Tensor]:
        """The scalars that only lead to scalars: losses, and what they are made of."""
        ends: set[Tensor] = set()
        for node in reversed(self.graph.nodes):
            users = [edge.target for edge in self.graph.users[node] if forward_of(edge.target) is None]
            if node.ndim == 0 and ends.issuperset(users):
                ends.add(node)
        return ends

    def find_core(self, panels: dict[Panel, list[Tensor]]) -> set[Tensor]:
        """The operations that lead to a state in their step; in a step without one, those alike in other steps."""
        core: set[Tensor] = set()
        for nodes in panels.values():
            here, front = set(nodes), [node for node in nodes if self.state(node)]
            while front:
                node = front.pop()
                if node in here and node not in core:
                    core.add(node)
                    front += self.inputs[node]
        alike = {(self.row[node], line_of(node)) for node in core}
        bare = [nodes for nodes in panels.values() if core.isdisjoint(nodes)]
        return core.union(node for nodes in bare for node in nodes if (self.row[node], line_of(node)) in alike)
