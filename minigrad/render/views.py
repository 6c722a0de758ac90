"""A graph as an abstract picture, in the view asked for: operations, affine sums, or whole cells.  Imports `places`.

A view is a grouping: each box stands for the operations that were gathered into it.  Then edges become links, or taps
where they come from a parameter.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minigrad import naming
from minigrad.render import style
from minigrad.render.picture import Box, Link, Panel, Picture, Tap
from minigrad.render.places import Places, forward_of

if TYPE_CHECKING:
    from minigrad.graph import Graph
    from minigrad.tensor import Tensor

VIEWS = ("ops", "affine", "cells")
MANY = 2  # a node that gathers more steps than this says how many


class Viewer(Places):
    """Turns a graph into a picture; shown: which steps are drawn; rolled: the one that is stands for all."""

    def __init__(self, graph: Graph, view: str, shown: Callable[[Any, int], bool], rolled: bool, first: int) -> None:
        super().__init__(graph)
        self.view, self.shown, self.rolled, self.first = view, shown, rolled, first
        self.outputs = set(graph.outputs)
        self.crossing = {(edge.target, edge.position) for edge in graph.state_edges}
        places = dict.fromkeys((x._code, x._instruction) for x, _ in graph.crossings if x.op and x.role is None)
        made = {place: x for x, _ in reversed(graph.crossings) if (place := (x._code, x._instruction)) in places}
        named = naming.unique((naming.variable(graph, made[p]) or made[p].name or "h", p) for p in places)
        self.states = {place: name for name, place in named.items()}  # of hand-written loops, by where they are made
        self.slots = {  # which state an input of an operation is, in this step or another
            (node._code, node._instruction, k): self.state(self.alias[x])
            for node in graph.nodes
            for k, x in enumerate(graph.inputs(node))
            if self.carried(node, k)
        }
        self.whole: dict[Tensor, list[Tensor]] = {}  # what is gathered into one box, by its last operation
        self.kinds: dict[Tensor, tuple[str, str]] = {}  # kind and label of such boxes
        self.box: dict[Tensor, Box] = {}
        self.panels: defaultdict[Panel, list[Box]] = defaultdict(list)
        self.links: dict[Any, Link] = {}
        self.taps: dict[tuple[Tensor, Box], Tap] = {}

    def picture(self) -> Picture:
        """All of it."""
        drawn = [node for node in self.graph.nodes if self.alias[node] is node and node.op and self.users[node]]
        self.find_twins(drawn)
        drawn = [node for node in drawn if self.is_shown(node)]
        self.whole = {node: [node] for node in drawn}
        self.gather_sums(drawn)
        if self.view == "affine":
            self.gather_affine(drawn)
        elif self.view == "cells":
            self.gather_cells()
        for node in sorted(self.whole, key=lambda node: node.serial):
            self.add_box(*self.kinds.get(node) or self.describe(node), self.whole[node], self.panel(node))
        for node in drawn:
            for k, x in enumerate(self.graph.inputs(node)):
                self.add_link(node, k, x)
        rows = sorted(self.rows.values(), key=lambda row: (row.depth, row.segment))
        panels = {
            panel: self.panels[panel] for row in rows for panel in sorted(self.panels, key=_column) if panel[0] is row
        }
        return Picture(self.graph, self.view, self.rolled, panels, list(self.links.values()))

    def find_twins(self, drawn: list[Tensor]) -> None:
        """The same key for nodes of different steps that are made in the same way, so that one may stand for all."""
        count: Counter[Any] = Counter()
        self.twin: dict[Tensor, Any] = {}
        for node in drawn if self.rolled else ():
            key = (self.row[node], node._code, node._instruction, node.op, node.call and node.call.which)
            count[self.panel(node), key] += 1
            self.twin[node] = (*key, count[self.panel(node), key])
        self.stand_in = {twin: node for node, twin in self.twin.items() if self.is_shown(node)}

    def panel(self, node: Tensor) -> Panel:
        """The panel that a node is drawn in."""
        return self.row[node], self.step[node][1] if node in self.step else 0

    def is_shown(self, node: Tensor) -> bool:
        """Whether the step of a node is drawn."""
        return node not in self.step or self.shown(*self.step[node])

    def carried(self, node: Tensor, k: int) -> bool:
        """Whether an edge carries state, before its value was sliced, reshaped, clipped or cut."""
        x = self.graph.inputs(node)[k]
        return (node, k) in self.crossing or (self.alias[x] is not x and self.carried(x, 0))

    def state(self, node: Tensor) -> str:
        """The name of the state that a node is, or "" if it is none."""
        name = "" if forward_of(node) is not None else self.states.get((node._code, node._instruction), "")
        if node.role is not None and node.role.kind == "state":
            own = naming.variable(self.graph, node) if re.fullmatch(r"s\d+", node.role.name) else ""
            name = own or node.role.name  # a state that has no names of its own is called s0, s1
        return name

    # groups

    def gather(self, nodes: list[Tensor], kind: str, label: str) -> None:
        """One box for several operations, where the last of them stands."""
        parts = [part for node in nodes for part in self.whole.pop(node)]
        self.whole[nodes[-1]] = parts
        self.kinds[nodes[-1]] = kind, label

    def gather_sums(self, drawn: list[Tensor]) -> None:
        """A running sum outside of time, as the sum of all losses is one, becomes one box."""
        chains: dict[Tensor, list[Tensor]] = {}
        for node in drawn:
            if node.op.name == "add" and node not in self.step:  # type: ignore[union-attr]  # operations are drawn
                before = next((x for x in self.inputs(node) if x in chains and self.users[x] == 1), None)
                chains[node] = [*(chains.pop(before) if before else ()), node]
        for node, chain in chains.items():
            if len(chain) >= MANY:
                name = self.variable(node) or ("L" if node in self.outputs else "")
                count = len(chain) + (not any(self.numbers(chain[0])))
                self.gather(chain, "loss" if node in self.outputs else "bar", f"Σ of {count}  {name}".strip())

    def gather_affine(self, drawn: list[Tensor]) -> None:
        """Each sum of products with parameters becomes one box: x W + h U + b."""
        affine: set[Tensor] = set()
        for node in drawn:
            inputs = self.inputs(node)
            parts = [x for x in inputs if x in self.whole]
            weights = [x for x in inputs if x.op is None and x._requires_grad]
            ours = all(x in affine and self.panel(x) == self.panel(node) and self.users[x] == 1 for x in parts)
            if (node.op.name == "matmul" and weights) or (  # type: ignore[union-attr]
                node.op.name == "add" and parts and ours and len(parts) + len(weights) == len(inputs)  # type: ignore[union-attr]
            ):
                affine.add(node)
                parts = parts if node.op.name == "add" else []  # type: ignore[union-attr]
                self.gather([*dict.fromkeys(parts), node], "matmul", f"affine {self.variable(node)}".strip())

    def gather_cells(self) -> None:
        """In each step one box for all that the states are made of, one for the output, one for the loss."""
        panels: defaultdict[Panel, list[Tensor]] = defaultdict(list)
        for node in sorted(self.whole, key=lambda node: node.serial):
            if node.op.name not in ("stack", "concatenate") and self.kinds.get(node, ("",))[0] != "bar":  # type: ignore[union-attr]
                panels[self.panel(node)].append(node)
        core = self.find_core(panels)
        for (row, column), nodes in panels.items():
            cell = [node for node in nodes if node in core]
            if not self.graph.axes:
                scalar = next((k for k, node in enumerate(nodes) if node.size == 1), len(nodes))
                cell, nodes = nodes[:scalar], nodes[scalar:]
            after = [node for node in nodes if node not in core]
            first = next((k for k, node in enumerate(after) if node.size == 1), len(after))
            number = self.number(column) if row.timed and self.graph.axes else ""
            for part, kind, name in ((cell, "cell", ""), (after[:first], "output", "o"), (after[first:], "loss", "L")):
                if part:
                    label = self.cell_name(part) if kind == "cell" else f"{self.outer_name(part) or name}{number}"
                    self.gather(part, kind, label)

    def find_core(self, panels: dict[Panel, list[Tensor]]) -> set[Tensor]:
        """The operations that lead to a state in their step; in a step without one, those alike in other steps."""
        core: set[Tensor] = set()
        for nodes in panels.values():
            here, front = set(nodes), [node for node in nodes if self.state(node)]
            while front:
                node = front.pop()
                if node in here and node not in core:
                    core.add(node)
                    front += self.inputs(node)
        alike = {(self.row[node], node._code, node._instruction) for node in core}
        bare = [nodes for nodes in panels.values() if not core.intersection(nodes)]
        return core.union(n for nodes in bare for n in nodes if (self.row[n], n._code, n._instruction) in alike)

    # names

    def variable(self, node: Tensor) -> str:
        """The variable that a node was assigned to; a traced backward pass has only its caller's."""
        return "" if forward_of(node) is not None else node.name or naming.variable(self.graph, node)

    def outer_name(self, nodes: list[Tensor]) -> str:
        """The variable that the module call was assigned to in which the last of some nodes was made; else its own."""
        for node in reversed(nodes):
            scope, name = node._scope, "" if node._scope is not None else self.variable(node)
            while scope is not None:
                scope, name = scope.parent, scope.called_from.variable() or name
            if name:
                return name
        return ""

    def cell_name(self, nodes: list[Tensor]) -> str:
        """What a cell is called: the class whose `forward` made its state, else the last name of its scope."""
        for node in reversed(nodes):
            parts = (node._code.co_qualname if node._code else "").split(".")
            if len(parts) > 1 and parts[-1] == "forward" and self.graph.axes:
                return parts[-2].removesuffix("Cell") or parts[-2]
        last = nodes[-1]
        return last.scope.split(".")[-1] or (
            "cell" if self.graph.axes else self.variable(last) or self.describe(last)[1]
        )

    def numbers(self, node: Tensor) -> list[str]:
        """For each input the number that it is, or "" where it is not a bare number."""
        return [f"{x.item():g}" if is_number(x) else "" for x in self.graph.inputs(node)]

    def number(self, t: int) -> str:
        """The number of a step as a subscript."""
        return "ₜ" if self.rolled else style.subscript(t + self.first)

    def describe(self, node: Tensor) -> tuple[str, str]:
        """Kind and label of an operation."""
        assert node.op is not None
        op, lane, numbers = node.op.name, self.state(node), self.numbers(node)
        symbol = style.SYMBOLS.get(op, op)
        if node.role is not None and node.role.kind == "input":
            return "input", f"{node.role.name}{self.number(self.panel(node)[1])}"
        if op == "power" and numbers[1:] == ["2"]:
            symbol = "x²"
        elif any(numbers) and op in ("add", "subtract", "multiply", "divide", "power"):
            left, right = numbers
            symbol = f"x^{right}" if op == "power" and right else f"{left}{symbol}{right}"
        elif op in ("stack", "concatenate") and len(node.inputs) > MANY:
            symbol = f"{symbol} of {len(node.inputs)}"
        elif op == "add_up" and forward_of(node) is not None:
            symbol = f"Σ d{naming.label(self.graph, forward_of(node)).split('.')[-1]}"
        name = "" if lane else self.variable(node)
        if node in self.outputs and node.size == 1 and not lane and forward_of(node) is None:
            return "loss", name or "L"
        kind = "nonlinear" if op in style.NONLINEAR else "matmul" if op in style.PRODUCTS else "operation"
        if op in style.ELEMENTWISE and len(symbol) == 1 and not name:
            kind = "elementwise"
        if lane:
            round_ = len(symbol) == 1 and op in style.ELEMENTWISE
            kind = "state box" if not round_ else "cell state" if lane.startswith("c") else "state"
        return kind, style.shorten(f"{symbol} {name}" if name and name != op else symbol)

    # links

    def add_box(
        self, kind: str, label: str, nodes: list[Tensor], panel: Panel, lanes: Any = (), outside: bool = False
    ) -> Box:
        """A box in its panel."""
        lanes = lanes or dict.fromkeys(filter(None, map(self.state, nodes)))
        box = Box(kind, label, nodes, panel, tuple(lanes), outside)
        self.panels[panel].append(box)
        self.box.update(dict.fromkeys(nodes, box))
        return box

    def add_link(self, node: Tensor, k: int, x: Tensor) -> None:
        """One edge of the graph, added to the link or tap that it belongs to."""
        target, origin = self.box[node], self.alias[x]
        if is_number(origin):
            return
        hidden, slot = 0, "" if forward_of(node) is not None else self.slots.get((node._code, node._instruction, k), "")
        given = origin.role.kind if origin.role is not None else ""
        if origin.op is not None:
            source = self.box.get(origin)
            if source is None:  # in a step that is not drawn
                source, hidden = self.delayed(origin, target) if self.rolled else self.last_shown(origin, target)
        elif given or slot or (origin.time is not None and not origin._requires_grad):
            source = self.leaf(origin, node, k, target, slot)
        elif origin._requires_grad or self.users[origin] > MANY:  # a parameter, or a constant like a mask
            tap = self.taps.get((origin, target))
            if tap is None:
                tap = self.taps[origin, target] = Tap(origin, [])
                target.taps.append(tap)
            tap.ends.append((node, k))
            return
        else:
            source = self.leaf(origin, node, k, target, slot)
        if source is None or source is target:
            return
        state = self.state(origin) if not source.outside else ""
        lane = source.lanes[0] if source.outside and source.lanes else state if self.carried(node, k) or hidden else ""
        if not lane and source.panel[0] is not target.panel[0]:
            lane = slot
        mark = self.marks.get(x, "") if not self.rolled or source.kind != "delay" else self.marked(lane)
        key = (source, target, lane or state)
        self.links.setdefault(key, Link(source, target, [], lane, state, hidden, mark)).ends.append((node, k))

    def marked(self, lane: str) -> str:
        """In a rolled picture: the mark of a state's crossings, and at how many of the steps it is."""
        every = [
            self.marks.get(n.inputs[k] if n.op else n, self.marks.get(self.graph.inputs(n)[k], ""))
            for n, k in self.crossing
            if self.state(self.alias[self.graph.inputs(n)[k]]) == lane
        ]
        found = [mark for mark in every if mark]
        return f"{found[0]} at {len(found)} of {len(every)}" if 0 < len(found) < len(every) else "".join(found[:1])

    def leaf(self, leaf: Tensor, node: Tensor, k: int, target: Box, slot: str) -> Box | None:
        """The box of a leaf: an input below its panel, an initial state left of it, a constant among the others."""
        role, name = leaf.role.kind if leaf.role else "", naming.label(self.graph, leaf)
        known = self.box.get(leaf)
        if known is not None and (known.panel == target.panel or role == "input"):
            return known
        if role == "input" or (leaf.time is not None and name == "x"):
            number = self.number(leaf.t if leaf.t is not None else target.panel[1])
            return self.add_box("input", f"{name}{number}", [leaf], target.panel, outside=True)
        if role == "state" or slot:
            lane = slot or re.sub(r"_init$", "", name)
            name = f"{lane}_init" if name == "constant" or re.fullmatch(r"s\d+_init", name) else name
            return self.add_box("constant", style.shorten(name), [leaf], target.panel, [lane], outside=True)
        if not self.graph.axes and node.op is not None and node.op.name in style.PRODUCTS:
            return self.add_box("input", "x" if name == "constant" else style.shorten(name), [leaf], target.panel)
        if self.view == "cells":
            return None  # targets and masks are part of what the output and the loss stand for
        if leaf.dtype.kind == "b":
            name = f"mask {int(leaf.data.sum())} of {leaf.size}"
        elif name == "constant":
            name = operand(node, k) or "×".join(map(str, leaf.shape)) or f"{leaf.item():g}"
        return self.add_box("constant", style.shorten(name), [leaf], target.panel)

    def last_shown(self, origin: Tensor, target: Box) -> tuple[Box | None, int]:
        """In place of a hidden state: the same state in the last step drawn before, and how many steps lie between."""
        lane, row = self.state(origin), target.panel[0]
        if lane and self.row[origin] is row and origin.time is not None:
            at = self.positions[origin.time.axis]
            before = [
                (at[t], box)
                for (r, t), boxes in self.panels.items()
                if r is row
                for box in boxes
                if lane in box.lanes and not box.outside and at[t] < at[target.panel[1]]
            ]
            if before:
                position, box = max(before, key=lambda pair: pair[0])
                return box, at[target.panel[1]] - position - 1
        return None, 0

    def delayed(self, origin: Tensor, target: Box) -> tuple[Box | None, int]:
        """In a rolled picture: the box that stands for a value in all steps; in its own panel, through a delay."""
        maker = self.box.get(self.stand_in.get(self.twin.get(origin), origin))
        if maker is None or maker.panel != target.panel or origin.time is None:
            return maker, 0
        at = self.positions[origin.time.axis]
        steps, lane = at[target.panel[1]] - at[origin.time.t], self.state(origin) or naming.label(self.graph, origin)
        label = f"t{'−' if steps > 0 else '+'}{abs(steps)}"
        delays = [
            box
            for box in self.panels[target.panel]
            if box.kind == "delay" and box.lanes == (lane,) and box.label == label
        ]
        delay = delays[0] if delays else self.add_box("delay", label, [], target.panel, [lane], outside=True)
        self.links.setdefault((maker, delay, ""), Link(maker, delay, [], lane, self.state(origin)))
        return delay, 0


def operand(node: Tensor, k: int) -> str:
    """The source text of input k of an operation, where there is any: what to call a plain array."""
    try:
        tree = ast.parse(node.source.expression, mode="eval").body
    except SyntaxError:
        return ""
    parts = [tree.left, tree.right] if isinstance(tree, ast.BinOp) else tree.args if isinstance(tree, ast.Call) else []
    return ast.unparse(parts[k]) if k < len(parts) and not isinstance(parts[k], ast.Constant) else ""


def is_number(x: Tensor) -> bool:
    """Whether a leaf is an operand that the program wrote as a number."""
    return x.op is None and x._code is None and x.size == 1 and x.role is None and not x._requires_grad


def _column(panel: Panel) -> int:
    return panel[1]
