"""What the parts of a picture are called: states, gates, gradients, outputs, cells.  Imports `places`, `style`."""

from __future__ import annotations

import ast
import re
from collections import Counter

from minigrad import naming
from minigrad.graph import Graph
from minigrad.render import style
from minigrad.render.places import Places, forward_of, line_of, op_name, role_of
from minigrad.tensor import Tensor

LONGEST = 24  # characters of a call that still serves as a name
MANY = 2  # a node that gathers more steps than this says how many


class Names(Places):
    """Places, and the names of what stands there; rolled: one step stands for all; first: the number of the first."""

    def __init__(self, graph: Graph, rolled: bool, first: int) -> None:
        super().__init__(graph)
        self.rolled, self.first = rolled, first
        # of loops that are written out
        made = {
            line_of(x): x
            for x, _ in reversed(graph.crossings)
            if x.op is not None and x.role is None
        }
        self.states = {line: naming.variable(graph, x) or x.name or "h" for line, x in made.items()}
        last = Counter(name.split(".")[-1] for name in graph.parameters)
        parts = {x: (name.split(".")[-1], name) for name, x in graph.parameters.items()}
        self.short = {
            x: end if last[end] == 1 else name for x, (end, name) in parts.items()
        }  # of parameters
        self.gradient = self.gradients()
        self.totals = {  # values that the same line adds to in the next step, by that line
            line_of(node): self.variable(node) or "total"
            for node in graph.nodes
            for x in self.inputs[node]
            if x._instruction == node._instruction and abs(self.steps_between(x, node)) == 1
            if op_name(node) == "add" and line_of(x) == line_of(node) and not self.lane(node)
        }
        scalars = [y for y in dict.fromkeys(graph.outputs) if y.size == 1 and not self.state(y)]
        self.losses = {
            y: name
            for name, y in naming.unique((self.outer_name([y]) or "L", y) for y in scalars).items()
        }

    def gradients(self) -> dict[Tensor, Tensor]:
        """In a traced backward pass: whose gradient a node is, or is a part of that is added up."""
        found: dict[Tensor, Tensor] = {}
        for node in [node for node in self.graph.nodes if self.row[node].depth]:
            forward, depth = forward_of(node), self.row[node].depth
            if op_name(node) == "add_up":
                found[node] = forward
            for x in self.inputs[node]:
                if self.row[x].depth == depth and forward_of(x) is not forward:
                    found.setdefault(x, forward)
        for y in [
            y for y in self.graph.outputs if forward_of(y) is not None
        ]:  # of what is used once
            sources = [x for x in forward_of(y).inputs if x._requires_grad and x.shape == y.shape]
            if len(sources) == 1:
                found.setdefault(self.alias[y], sources[0])
        return found

    def state(self, node: Tensor) -> str:
        """The name of the state that a node is, or "" if it is none."""
        if role_of(node) != "state":
            return (
                self.states.get(line_of(node), "")
                if self.states and forward_of(node) is None
                else ""
            )
        own = naming.variable(self.graph, node) if re.fullmatch(r"s\d+", node.role.name) else ""  # type: ignore[union-attr]
        return own or node.role.name  # type: ignore[union-attr]  # a state without names is called s0, s1

    def lane(self, node: Tensor) -> str:
        """The state that a node is, or is the gradient of: "h", "dh"."""
        of = self.gradient.get(node)
        return self.state(node) if of is None else f"d{self.state(of)}" * bool(self.state(of))

    def variable(self, node: Tensor) -> str:
        """The variable that a node was assigned to; in a traced backward pass the one whose gradient it is."""
        if forward_of(node) is None:
            return node.name or naming.variable(self.graph, node)
        of = self.gradient.get(node)
        if of is None:
            return ""
        name = self.short.get(of) or of.name or self.state(of) or naming.variable(self.graph, of)
        return f"d{name}" if name else ""

    def number(self, t: int) -> str:
        """The number of a step as a subscript."""
        return "ₜ" if self.rolled else style.subscript(t + self.first)

    def numbers(self, node: Tensor) -> list[str]:
        """For each input the number that it is, or "" where it is not a bare number."""
        numbers = [f"{x.item():g}" if is_number(x) else "" for x in self.graph.inputs(node)]
        return (
            [""] * len(numbers) if op_name(node) == "add" and "0" in numbers else numbers
        )  # what a sum begins with

    def describe(self, node: Tensor) -> tuple[str, str]:
        """Kind and label of an operation."""
        op, lane, numbers = op_name(node), self.state(node), self.numbers(node)
        if self.is_input(node):
            return "input", f"{node.role.name}{self.number(self.panel(node)[1])}"  # type: ignore[union-attr]
        loss = node in self.losses and forward_of(node) is None
        if loss and line_of(node) not in self.totals:
            return "loss", self.losses[node]
        symbol, name = style.SYMBOLS.get(op, op), "" if lane else self.variable(node)
        if op == "power" and numbers[1]:
            symbol = "x²" if numbers[1] == "2" else f"x^{numbers[1]}"
        elif any(numbers) and op in style.ELEMENTWISE:
            symbol = symbol.join(numbers) if len(numbers) > 1 else symbol
        elif op in ("stack", "concatenate") and len(node.inputs) > MANY:
            symbol = f"{symbol} of {len(node.inputs)}"
        states = (
            {self.lane(x) for x in self.inputs[node]}
            if op in ("stack", "concatenate") and not name
            else ()
        )
        name = name or "".join(states) * (len(states) == 1)
        kind = (
            "nonlinear"
            if op in style.NONLINEAR
            else "matmul"
            if op in style.PRODUCTS
            else "operation"
        )
        sign = op in style.ELEMENTWISE and len(symbol) == 1
        if lane:
            kind = "state box" if not sign else "cell state" if style.is_memory(lane) else "state"
        elif sign and not name:
            kind = "elementwise"
        return "loss" if loss else kind, style.shorten(
            f"{symbol} {name}" if name and name != op else symbol
        )

    def part_name(self, kind: str, nodes: list[Tensor]) -> str:
        """What a cell, an output or a loss of several operations is called."""
        last = nodes[-1]
        if kind != "output":
            return (
                self.cell_name(nodes)
                if kind == "cell"
                else self.losses.get(last) or self.outer_name([last]) or "L"
            )
        taken_in = [e.target for e in self.graph.users.get(last, ()) if self.is_input(e.target)]
        name = self.outer_name(nodes) or (str(taken_in[0].role.name) if taken_in else "")  # type: ignore[union-attr]
        alone = (
            len(nodes) == 1 and op_name(last) not in style.ELEMENTWISE and forward_of(last) is None
        )
        return name or (self.describe(last)[1] if alone else "o")

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
        if len(nodes) == 1 and not self.graph.axes:
            return self.describe(nodes[0])[1]
        for node in reversed(nodes):
            parts = (node._code.co_qualname if node._code else "").split(".")
            if len(parts) > 1 and parts[-1] == "forward":
                return parts[-2].removesuffix("Cell") or parts[-2]
        return nodes[-1].scope.split(".")[-1] or (
            "cell" if self.graph.axes else self.variable(nodes[-1]) or "layer"
        )


def constant_name(leaf: Tensor, node: Tensor, k: int, name: str) -> str:
    """What to call a leaf that is no parameter, no input and no state: input k of an operation."""
    if leaf.dtype.kind == "b":
        return f"mask {int(leaf.data.sum())} of {leaf.size}"
    if name != "constant" and (
        leaf.name or leaf.role or forward_of(node) is None
    ):  # else a backward pass starts here
        return name
    return _operand(node, k) or (
        f"{leaf.item():g}" if leaf.size == 1 else "×".join(map(str, leaf.shape))
    )


def _operand(node: Tensor, k: int) -> str:
    """The source text of input k of an operation, where there is any: what to call a plain array."""
    try:
        tree = ast.parse(node.source.expression, mode="eval").body
    except SyntaxError:
        return ""
    parts = (
        [tree.left, tree.right]
        if isinstance(tree, ast.BinOp)
        else tree.args
        if isinstance(tree, ast.Call)
        else []
    )
    if forward_of(node) is not None or k >= len(parts) or isinstance(parts[k], ast.Constant):
        return ""
    part, text = parts[k], ast.unparse(parts[k])
    return ast.unparse(part.func) if isinstance(part, ast.Call) and len(text) > LONGEST else text


def is_number(x: Tensor) -> bool:
    """Whether a leaf is an operand that the program wrote as a number."""
    return (
        x.op is None and x._code is None and x.size == 1 and x.role is None and not x._requires_grad
    )
