"""Which operations become one box, in the view asked for: sums, affine sums, whole cells.  Imports `names`."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cached_property
from typing import Any

from minigrad.render.names import MANY, Names, is_number
from minigrad.render.picture import Panel
from minigrad.render.places import forward_of, line_of, op_name
from minigrad.tensor import Tensor

VIEWS = ("ops", "affine", "cells")


class Groups(Names):
    """Gathers operations; each group stands where its last operation does."""

    def group(self, drawn: list[Tensor], view: str) -> None:
        """All groups of a view."""
        self.whole = {
            node: [node] for node in drawn
        }  # what is gathered into one box, by its last operation
        self.kinds: dict[Tensor, tuple[str, str]] = {}  # kind and label of such boxes
        self.gather_sums(drawn)
        if view == "affine":
            self.gather_affine()
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
                before = next(
                    (x for x in self.inputs[node] if x in chains and self.users[x] == 1), None
                )
                chains[node] = [*(chains.pop(before) if before is not None else ()), node]
        for node, chain in chains.items():
            if len(chain) >= MANY:
                begun = any(
                    map(is_number, self.graph.inputs(chain[0]))
                )  # Python's sum begins with 0
                count, name = len(chain) + (not begun), self.losses.get(node, self.variable(node))
                self.gather(
                    chain, "loss" if node in self.losses else "bar", f"Σ of {count}  {name}".strip()
                )

    def gather_affine(self) -> None:
        """Each sum of products with parameters becomes one box: x W + h U + b."""
        affine: set[Tensor] = set()
        for node in [node for node in self.whole if node not in self.kinds]:
            weights = sum(x.op is None and x._requires_grad for x in self.inputs[node])
            once = [x for x in self.inputs[node] if x in affine and self.users[x] == 1]
            parts = [x for x in once if self.panel(x) == self.panel(node)]
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
        if not core:  # a single step, written out
            core = {
                node
                for panel, nodes in panels.items()
                if panel[0].timed
                for node in nodes
                if node not in ends
            }
        part: dict[
            Tensor | None, tuple[str, int, Tensor]
        ] = {}  # kind, number, and the last operation of it
        for panel, nodes in panels.items():
            parts: defaultdict[tuple[str, int], list[Tensor]] = defaultdict(list)
            for node in nodes:
                kind = (
                    "cell"
                    if node in core
                    else "loss"
                    if node in ends
                    else "output"
                    if self.graph.axes
                    else "cell"
                )
                of, n, _ = part.get(
                    self.mirrored(node), (kind if forward_of(node) is None else "output", -1, None)
                )
                parts[of, n].append(node)
            for (kind, n), found in parts.items():
                for k, piece in enumerate(self.pieces(found) if n < 0 else [found], max(n, 0)):
                    part |= dict.fromkeys(piece, (kind, k, piece[-1]))
                    label = self.part_label(panel, kind, piece, part.get(self.mirrored(piece[0])))
                    self.gather(
                        piece, "output" if kind == "loss" and panel[0].depth else kind, label
                    )

    def part_label(self, panel: Panel, kind: str, nodes: list[Tensor], forward: Any) -> str:
        """What a part is called; in a traced backward pass after the part that it is the gradient of."""
        if forward is not None:
            return f"d{self.kinds[forward[-1]][1]}"
        row, column = panel
        number = self.number(column) if row.timed and self.graph.axes and kind != "cell" else ""
        return (
            self.describe(nodes[-1])[1] if row.depth else f"{self.part_name(kind, nodes)}{number}"
        )

    def pieces(self, nodes: list[Tensor]) -> list[list[Tensor]]:
        """The nodes in groups: what edges join, what modules make in a step, what a line makes outside of time."""
        if self.row[nodes[0]].timed and all(node._scope is not None for node in nodes):
            return [nodes]
        piece: dict[Tensor, list[Tensor]] = {}
        first: dict[Any, Tensor] = {}
        again: Counter[Any] = Counter()
        for node in nodes:
            line, piece[node] = line_of(node), [node]
            again[line] += 1
            run = node._scope is None and (
                self.kin.get(line, line),
                again[line],
            )  # those of an inner loop differ
            like = first.setdefault(run if self.row[node].timed else line, node)
            for x in [x for x in (*self.inputs[node], like) if x in piece]:
                if piece[x] is not piece[node]:
                    small, large = sorted((piece[x], piece[node]), key=len)
                    large += small
                    piece |= dict.fromkeys(small, large)
        return [
            sorted(found, key=lambda node: node.serial)
            for found in {id(p): p for p in piece.values()}.values()
        ]

    @cached_property
    def kin(self) -> dict[Any, Any]:
        """The lines that states join from step to step, each with one that stands for all of them."""
        found: dict[Any, Any] = {}
        for source, target in {
            (line_of(self.alias[e.source]), line_of(e.target)) for e in self.graph.state_edges
        }:
            a, b = found.setdefault(source, source), found.setdefault(target, target)
            found |= {line: a for line, kin in found.items() if kin == b}
        return found

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
        for node in [
            node
            for node in reversed(self.graph.nodes)
            if node.ndim == 0 or op_name(node) == "stack"
        ]:
            users = [
                edge.target for edge in self.graph.users[node] if forward_of(edge.target) is None
            ]
            if ends.issuperset(users) and not (
                node.ndim and any(x.ndim for x in self.inputs[node])
            ):
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
        return core.union(
            node for nodes in bare for node in nodes if (self.row[node], line_of(node)) in alike
        )
