"""A graph as an abstract picture, in the view asked for: operations, affine sums, or whole cells.  Imports `places`.

A view is a grouping: each box stands for the operations that were gathered into it.  Then edges become links, or taps
where they come from a parameter.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from minigrad import naming
from minigrad.render import style
from minigrad.render.picture import Box, Link, Panel, Picture, Tap
from minigrad.render.places import TURNS, Places, forward_of, op_name, role_of

if TYPE_CHECKING:
    from minigrad.graph import Graph
    from minigrad.tensor import Tensor

VIEWS = ("ops", "affine", "cells")
MANY = 2  # a node that gathers more steps than this says how many
TEXTBOOK = ("cell", "output", "loss")  # the kinds of box that one step has in the view of cells


class Viewer(Places):
    """Turns a graph into a picture; shown: which steps are drawn; rolled: the one that is stands for all."""

    def __init__(self, graph: Graph, view: str, shown: Callable[[Any, int], bool], rolled: bool, first: int) -> None:
        super().__init__(graph)
        self.view, self.shown, self.rolled, self.first = view, shown, rolled, first
        self.gradient = self.gradients()
        self.outputs, self.crossing = set(graph.outputs), {(edge.target, edge.position) for edge in graph.state_edges}
        made = {_line(x): x for x, _ in reversed(graph.crossings) if x.op is not None and x.role is None}
        named = naming.unique((naming.variable(graph, x) or x.name or "h", line) for line, x in reversed(made.items()))
        self.states = {line: name for name, line in named.items()}  # of hand-written loops, by where they are made
        self.slots = {  # which state of how many steps before an input of an operation is, in this step or another
            (_line(node), k): (self.state(origin), steps)
            for node in graph.nodes
            for k, origin in enumerate(self.inputs[node])
            if (steps := self.steps_between(origin, node)) > 0 and self.state(origin)
        }
        self.data = {  # what a network without time takes in
            x
            for node in graph.nodes
            if not graph.axes and op_name(node) in style.PRODUCTS
            for x in self.inputs[node]
            if x.op is None and not x._requires_grad
        }
        scalars = [y for y in dict.fromkeys(graph.outputs) if y.size == 1 and not self.state(y)]
        self.losses = {y: name for name, y in naming.unique((self.variable(y) or "L", y) for y in scalars).items()}
        self.whole: dict[Tensor, list[Tensor]] = {}  # what is gathered into one box, by its last operation
        self.kinds: dict[Tensor, tuple[str, str]] = {}  # kind and label of such boxes
        self.box: dict[Tensor, Box] = {}
        self.panels: defaultdict[Panel, list[Box]] = defaultdict(list)
        self.links: dict[Any, Link] = {}

    def picture(self) -> Picture:
        """All of it."""
        drawn = [node for node in self.graph.nodes if self.alias[node] is node and node.op and self.users[node]]
        self.find_twins(drawn if self.rolled else ())
        drawn = [node for node in drawn if node not in self.step or self.shown(*self.step[node])]
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
        order = sorted(self.panels, key=lambda panel: (panel[0].depth, panel[0].segment, panel[0].level, panel[1]))
        panels = {panel: self.panels[panel] for panel in order}
        return Picture(self.graph, self.view, self.rolled, panels, list(self.links.values()))

    def panel(self, node: Tensor) -> Panel:
        """The panel that a node is drawn in."""
        return self.row[node], self.step[node][1] if node in self.step else 0

    def find_twins(self, drawn: Iterable[Tensor]) -> None:
        """One key for nodes of different steps that are made in the same way: the one that is drawn stands for all."""
        count: Counter[Any] = Counter()
        self.twin: dict[Tensor, Any] = {}
        for node in drawn:
            key = (self.row[node], _line(node), node.op, node.call and node.call.which)
            count[self.panel(node), key] += 1
            self.twin[node] = (*key, count[self.panel(node), key])
        self.stand_in = {twin: n for n, twin in self.twin.items() if n not in self.step or self.shown(*self.step[n])}

    def steps_between(self, origin: Tensor, node: Tensor) -> int:
        """How many steps of their axis lie from one node to another; 0 if they have none in common."""
        if origin.time is None or node.time is None or origin.time.axis is not node.time.axis:
            return 0
        at = self.positions[node.time.axis]
        return at[node.time.t] - at[origin.time.t]

    def is_turned(self, node: Tensor, k: int) -> bool:
        """Whether an input of an operation is the transpose of what is drawn there."""
        turned, x = False, self.graph.inputs(node)[k]
        while self.alias[x] is not x:
            turned ^= op_name(x) in TURNS
            x = self.graph.inputs(x)[0]
        return turned

    def carried(self, node: Tensor, k: int) -> bool:
        """Whether an edge carries state, before its value was sliced, reshaped, clipped or cut."""
        while (node, k) not in self.crossing:
            node, k = self.graph.inputs(node)[k], 0
            if self.alias[node] is node:
                return False
        return True

    def state(self, node: Tensor) -> str:
        """The name of the state that a node is, or "" if it is none."""
        if role_of(node) != "state":
            return "" if forward_of(node) is not None else self.states.get(_line(node), "")
        own = naming.variable(self.graph, node) if re.fullmatch(r"s\d+", node.role.name) else ""  # type: ignore[union-attr]
        return own or node.role.name  # type: ignore[union-attr]  # a state without names is called s0, s1

    def gradients(self) -> dict[Tensor, Tensor]:
        """In a traced backward pass: whose gradient a node is, or is a part of that is added up."""
        found: dict[Tensor, Tensor] = {}
        for node in self.graph.nodes:
            forward, depth = forward_of(node), self.row[node].depth
            if op_name(node) == "add_up" and depth:
                found[node] = forward
            for x in self.inputs[node] if depth else ():
                if self.row[x].depth == depth and forward_of(x) is not forward:
                    found.setdefault(x, forward)
        for y in self.graph.outputs if found else ():  # of a parameter that is used once
            used = forward_of(y).inputs if forward_of(y) is not None else ()
            leaves = [x for x in used if x.op is None and x._requires_grad and x.shape == y.shape]
            if len(leaves) == 1:
                found.setdefault(self.alias[y], leaves[0])
        return found

    # groups

    def gather(self, nodes: list[Tensor], kind: str, label: str) -> None:
        """One box for several operations, where the last of them stands."""
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
                kind, name = (
                    ("loss", self.variable(node) or "L") if node in self.outputs else ("bar", self.variable(node))
                )
                self.gather(chain, kind, f"Σ of {len(chain) + (not any(self.numbers(chain[0])))}  {name}".strip())

    def gather_affine(self, drawn: list[Tensor]) -> None:
        """Each sum of products with parameters becomes one box: x W + h U + b."""
        affine: set[Tensor] = set()
        for node in drawn:
            weights = sum(x.op is None and x._requires_grad for x in self.inputs[node])
            parts = [x for x in self.inputs[node] if x in affine and self.users[x] == 1 and x in self.whole]
            parts = [x for x in parts if self.panel(x) == self.panel(node)]
            product = op_name(node) == "matmul" and weights
            if product or (op_name(node) == "add" and parts and len(parts) + weights == 2):
                affine.add(node)
                self.gather(
                    [*dict.fromkeys(() if product else parts), node], "matmul", f"affine {self.variable(node)}".strip()
                )

    def gather_cells(self) -> None:
        """In each step one box for all that the states are made of, one for the output, one for the loss."""
        panels: defaultdict[Panel, list[Tensor]] = defaultdict(list)
        for node in sorted(self.whole, key=lambda node: node.serial):
            if node not in self.kinds and not self.is_input(node) and not self.gathers_steps(node):
                panels[self.panel(node)].append(node)
        core = self.find_core(panels)
        part: dict[Tensor, tuple[Any, ...]] = {}
        for panel, nodes in panels.items():
            scalar = next((k for k, node in enumerate(nodes) if node.ndim == 0 and node not in core), len(nodes))
            for k, node in enumerate(nodes):
                kind = "loss" if k >= scalar else "output" if self.graph.axes else "cell"
                kind = "cell" if node in core else kind
                if (forward := forward_of(node)) is not None:
                    kind = part.get(self.alias.get(forward, forward), (0, "output"))[1]
                part[node] = panel, kind
        groups: defaultdict[Any, list[Tensor]] = defaultdict(list)
        for node, key in self.untangled(part).items():
            groups[key].append(node)
        labels: dict[Any, str] = {}
        for ((row, column), kind, *_), nodes in groups.items():
            number = self.number(column) if row.timed and self.graph.axes else ""
            forward = next((f for node in nodes if (f := self.alias.get(forward_of(node))) in part), None)
            if forward is not None:
                label = f"d{labels[part[forward][:2]]}"
            elif kind == "cell":
                label = self.cell_name(nodes)
            else:
                label = f"{self.outer_name(nodes) or self.unnamed(kind, nodes)}{number}"
            labels[(row, column), kind] = label
            self.gather(nodes, "output" if forward_of(nodes[-1]) is not None and kind == "loss" else kind, label)

    def gathers_steps(self, node: Tensor) -> bool:
        """Whether a node puts values of several panels side by side."""
        made = [x for x in self.inputs[node] if x.op is not None]
        aside = ("stack", "concatenate", "" if self.row[node].timed else "add_up")
        return op_name(node) in aside and any(self.panel(x)[0] is not self.panel(node)[0] for x in made)

    def unnamed(self, kind: str, nodes: list[Tensor]) -> str:
        """What an output or a loss is called that the program gives no name."""
        if kind == "loss":
            return "L"
        taken_in = [e.target for e in self.graph.users.get(nodes[-1], ()) if self.is_input(e.target)]
        if taken_in:
            return str(taken_in[0].role.name)  # type: ignore[union-attr]
        op = op_name(nodes[0]) if len(nodes) == 1 and forward_of(nodes[0]) is None else ""
        return "o" if not op or op in style.ELEMENTWISE else self.describe(nodes[0])[1]

    def untangled(self, part: dict[Tensor, tuple[Any, ...]]) -> dict[Tensor, tuple[Any, ...]]:
        """The same parts, but those that something both comes from and leads to, in pieces: a picture has no cycle."""
        of: dict[Tensor, Any] = {
            node: part.get(last, (last.serial,)) for last, nodes in self.whole.items() for node in nodes
        }
        links = {(of[x], of[node]) for node in of for x in self.inputs[node] if x in of and of[x] != of[node]}
        knot = {end for link in _peeled(_peeled(links)) for end in link}
        level: dict[Tensor, int] = {}
        for node in sorted((node for node in of if of[node] in knot), key=lambda node: node.serial) if knot else ():
            level[node] = max((level[x] + (of[x] != of[node]) for x in self.inputs[node] if x in level), default=0)
        return {node: (*key, level[node]) if level.get(node) else key for node, key in part.items()}

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
        alike = {(self.row[node], _line(node)) for node in core}
        bare = [nodes for nodes in panels.values() if core.isdisjoint(nodes)]
        return core.union(node for nodes in bare for node in nodes if (self.row[node], _line(node)) in alike)

    # names

    def variable(self, node: Tensor) -> str:
        """The variable that a node was assigned to; in a traced backward pass the one whose gradient it is."""
        if forward_of(node) is None:
            return node.name or naming.variable(self.graph, node)
        of = self.gradient.get(node)
        name = "" if of is None else of.name or self.state(of) or naming.variable(self.graph, of)
        return f"d{name.split('.')[-1]}" if name else ""

    def outer_name(self, nodes: list[Tensor]) -> str:
        """The variable that the module call was assigned to in which the last of some nodes was made; else its own."""
        for node in reversed(nodes):
            scope, name = node._scope, "" if node._scope is not None else self.variable(node)
            while scope is not None:
                name, scope = scope.called_from.variable() or name, scope.parent
            if name:
                return name
        return ""

    def cell_name(self, nodes: list[Tensor]) -> str:
        """What a cell is called: the class whose `forward` made its state, else the last name of its scope."""
        for node in reversed(nodes) if self.graph.axes else ():
            parts = (node._code.co_qualname if node._code else "").split(".")
            if len(parts) > 1 and parts[-1] == "forward":
                return parts[-2].removesuffix("Cell") or parts[-2]
        own = "cell" if self.graph.axes else self.variable(nodes[-1]) or self.describe(nodes[-1])[1]
        return nodes[-1].scope.split(".")[-1] or own

    def numbers(self, node: Tensor) -> list[str]:
        """For each input the number that it is, or "" where it is not a bare number."""
        return [f"{x.item():g}" if is_number(x) else "" for x in self.graph.inputs(node)]

    def number(self, t: int) -> str:
        """The number of a step as a subscript."""
        return "ₜ" if self.rolled else style.subscript(t + self.first)

    def describe(self, node: Tensor) -> tuple[str, str]:
        """Kind and label of an operation."""
        op, lane, numbers = op_name(node), self.state(node), self.numbers(node)
        symbol = style.SYMBOLS.get(op, op)
        if self.is_input(node):
            return "input", f"{node.role.name}{self.number(self.panel(node)[1])}"  # type: ignore[union-attr]
        if op == "power" and numbers[1]:
            symbol = "x²" if numbers[1] == "2" else f"x^{numbers[1]}"
        elif any(numbers) and op in style.ELEMENTWISE:
            symbol = symbol.join(numbers) if len(numbers) > 1 else symbol
        elif op in ("stack", "concatenate") and len(node.inputs) > MANY:
            symbol = f"{symbol} of {len(node.inputs)}"
        name = "" if lane else self.variable(node)
        if node in self.losses and forward_of(node) is None:
            return "loss", self.losses[node]
        kind = "nonlinear" if op in style.NONLINEAR else "matmul" if op in style.PRODUCTS else "operation"
        sign = op in style.ELEMENTWISE and len(symbol) == 1
        if lane:
            kind = "state box" if not sign else "cell state" if lane.startswith("c") else "state"
        elif sign and not name:
            kind = "elementwise"
        return kind, style.shorten(f"{symbol} {name}" if name and name != op else symbol)

    # links

    def add_box(
        self, kind: str, label: str, nodes: list[Tensor], panel: Panel, lanes: Any = (), outside: bool = False
    ) -> Box:
        """A box in its panel."""
        lanes = tuple(lanes or dict.fromkeys(filter(None, map(self.state, nodes))))
        box = Box(kind, label, nodes, panel, lanes, outside)
        self.panels[panel].append(box)
        self.box.update(dict.fromkeys(nodes, box))
        return box

    def add_link(self, node: Tensor, k: int, x: Tensor) -> None:
        """One edge of the graph, added to the link or tap that it belongs to."""
        target, origin, hidden = self.box[node], self.alias[x], 0
        slot, steps = ("", 0) if forward_of(node) is not None else self.slots.get((_line(node), k), ("", 0))
        plain = not slot and not role_of(origin) and origin.op is None and origin not in self.data
        if is_number(origin):
            return
        if plain and (origin._requires_grad or (origin.time is None and self.users[origin] > MANY)):
            tap = next((tap for tap in target.taps if tap.parameter is origin), None)  # a parameter; or a mask, say
            if tap is None:
                target.taps.append(tap := Tap(origin, []))
            tap.ends.append((node, k))
            tap.turned |= self.is_turned(node, k)
            return
        source = self.box.get(origin) if origin.op is not None else self.leaf(origin, node, k, target, slot, steps)
        if source is None and origin.op is not None:  # in a step that is not drawn
            source, hidden = self.delayed(origin, target) if self.rolled else self.last_shown(origin, target)
        if source is None or source is target:
            return
        state = "" if source.outside else self.state(origin)
        if not state and origin in self.gradient and self.state(self.gradient[origin]):
            state = f"d{self.state(self.gradient[origin])}"
        carried = self.carried(node, k) or hidden or (target.panel[0].depth and source.panel[0] is target.panel[0])
        lane = "".join(source.lanes[:1]) if source.outside else state if carried else ""
        if not lane and source.panel[0] is not target.panel[0]:
            lane = slot
        mark = self.marked(lane) if self.rolled and source.kind == "delay" else self.marks.get(x, "")
        link = self.links.setdefault(
            (source, target, lane or state), Link(source, target, [], lane, state, hidden, mark)
        )
        link.ends.append((node, k))
        link.turned |= self.is_turned(node, k)

    def marked(self, lane: str) -> str:
        """In a rolled picture: the mark of a state's crossings, and at how many of the steps there is one."""
        marks: dict[Tensor, str] = {}
        for node, k in self.crossing:
            x = self.inputs[node][k]
            marks[x] = marks.get(x) or self.marks.get(node) or self.marks.get(self.graph.inputs(node)[k], "")
        every = [mark for x, mark in marks.items() if self.state(x) == lane]
        found = [mark for mark in every if mark]
        return f"{found[0]} at {len(found)} of {len(every)}" if 0 < len(found) < len(every) else "".join(found[:1])

    def leaf(self, leaf: Tensor, node: Tensor, k: int, target: Box, slot: str, steps: int) -> Box | None:
        """The box of a leaf: an input below its panel, an initial state left of it, a constant among the others."""
        role, name, panel, known = role_of(leaf), naming.label(self.graph, leaf), target.panel, self.box.get(leaf)
        again = known is not None and known.outside and (panel[0].depth or known.panel[0] is panel[0])
        if known is not None and (known.panel == panel or role == "input" or leaf in self.data or again):
            return known
        if role == "input" or (leaf.time is not None and name == "x"):
            number = self.number(panel[1] if leaf.t is None else leaf.t)
            return self.add_box("input", f"{style.shorten(name)}{number}", [leaf], panel, outside=panel[0].timed)
        if role == "state" or slot:
            lane = slot or name.removesuffix("_init")
            index = self.positions[node.time.axis][node.time.t] - steps if node.time and steps else -1
            if index < 0:  # at the beginning of the row, also for a later step
                shown = [p for p in self.panels if p[0] is panel[0]]
                panel = min(shown, key=lambda p: self.positions[node.time.axis][p[1]])  # type: ignore[union-attr]
            unnamed = name == "constant" or re.fullmatch(r"s\d+_init", name)
            name = name if not unnamed else f"{lane}_init" if index == -1 else f"{lane}{self.number(index)}"
            return self.add_box("constant", style.shorten(name), [leaf], panel, [lane], outside=True)
        if leaf in self.data:
            return self.add_box("input", "x" if name == "constant" else style.shorten(name), [leaf], panel)
        if self.view == "cells":
            return None  # targets and masks are part of what the output and the loss stand for
        if forward_of(node) is not None and not leaf.name and not role:  # what a backward pass starts from
            name = f"{leaf.item():g}" if leaf.size == 1 else "constant"
        if leaf.dtype.kind == "b":
            name = f"mask {int(leaf.data.sum())} of {leaf.size}"
        elif name == "constant":
            name = _operand(node, k) or "×".join(map(str, leaf.shape)) or f"{leaf.item():g}"
        return self.add_box("constant", style.shorten(name), [leaf], panel)

    def last_shown(self, origin: Tensor, target: Box) -> tuple[Box | None, int]:
        """In place of a hidden state: the same state in the last step drawn before, and how many steps lie between."""
        lane, (row, t) = self.state(origin), target.panel
        if not lane or self.row[origin] is not row or origin.time is None:
            return None, 0
        at = self.positions[origin.time.axis]
        drawn = {at[s]: boxes for (r, s), boxes in self.panels.items() if r is row}
        before = [p for p in sorted(drawn) if p < at[origin.time.t]]
        found = [(p, box) for p in before for box in drawn[p] if lane in box.lanes and not box.outside]
        if not found:
            return None, 0
        position, box = found[-1]
        return box, at[t] - position - sum(position <= p < at[t] for p in drawn)

    def delayed(self, origin: Tensor, target: Box) -> tuple[Box | None, int]:
        """In a rolled picture: the box that stands for a value in all steps; in its own panel, through a delay."""
        stand_in = self.stand_in.get(self.twin.get(origin))
        maker = None if stand_in is None else self.box.get(stand_in)
        if self.panel(stand_in if stand_in is not None else origin)[0] is not target.panel[0] or origin.time is None:
            return maker, 0
        if maker is not None and maker.panel != target.panel:
            return maker, 0
        at, lane = self.positions[origin.time.axis], self.state(origin) or naming.label(self.graph, origin)
        steps = at[target.panel[1]] - at[origin.time.t]
        label = f"t{'−' if steps > 0 else '+'}{abs(steps)}"
        like = [
            box for box in self.panels[target.panel] if (box.kind, box.label, box.lanes) == ("delay", label, (lane,))
        ]
        delay = like[0] if like else self.add_box("delay", label, [], target.panel, [lane], outside=True)
        if maker is not None:
            self.links.setdefault((maker, delay, ""), Link(maker, delay, [], lane, self.state(origin)))
        return delay, 0


def _peeled(links: set[tuple[Any, Any]]) -> set[tuple[Any, Any]]:
    """Links without those that come from no cycle; turned round, for the other way."""
    after, count = defaultdict(list), Counter(b for _, b in links)
    for a, b in links:
        after[a].append(b)
    ready = [a for a in after if not count[a]]
    for a in ready:  # grows while it is walked
        count.subtract(after[a])
        ready += [b for b in dict.fromkeys(after[a]) if not count[b]]
    done = set(ready)
    return {(b, a) for a, b in links if a not in done}


def _operand(node: Tensor, k: int) -> str:
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


def _line(node: Tensor) -> tuple[Any, int]:
    """Where in the program a node was made: the same for what one line makes in all steps."""
    return node._code, node._instruction
