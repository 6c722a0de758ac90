"""What the variables of a program are called: as in the user's program, d + name for gradients."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

import numpy as np

from minigrad import naming
from minigrad.graph import Graph
from minigrad.program.ir import Program, Statement
from minigrad.program.record import Recording, RuleScope
from minigrad.tensor import Tensor


class Names:
    """Names that are free."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = {*taken, *dir(builtins), *keyword.kwlist, *keyword.softkwlist}
        self.given: set[Statement] = set()
        self.taken |= {"np", "t", "rows", "program", "step", *dir(np)}

    def unused(self, wished: str) -> str:
        """The name, or with a number behind it; it is taken then."""
        name, number = wished, 1
        while name in self.taken:
            number += 1
            name = f"{wished}_{number}"
        self.taken |= {name, f"{name}_all", f"{name}_rows"}
        return name

    def give(self, s: Statement, wished: str) -> None:
        """The name for a statement that is made of others."""
        s.name = self.unused(wished)
        self.given.add(s)

    def inherit(self, s: Statement, other: Statement) -> None:
        """The name of a statement whose place another one takes."""
        s.name = other.name
        self.given.add(s)


def identifier(text: str) -> str:
    """A label as the name of a variable: letters, digits and underscores, whatever it holds."""
    plain = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
    return plain if plain.isidentifier() else f"v_{plain}"


def give_names(program: Program, recording: Recording, names: Names) -> None:
    """A name for every statement: that of the variable, of what it is the gradient of, of its operation."""
    results = [recording.loss, *recording.grads.values()]
    graph = Graph(*results)
    for argument in program.arguments:
        if argument not in names.given:
            argument.name = names.unused(identifier(_short(argument.name)))
            names.given.add(argument)
    for s in sorted(program.statements, key=_when):
        if s not in names.given:
            names.given.add(s)
            s.name = names.unused(identifier(_label(graph, s, recording.answers)))


def _when(s: Statement) -> tuple[bool, float]:
    """Sums of gradients choose their names first; then the others, in the order of the program."""
    return s.kind != "add_up", 0 if s.node is None else s.node.serial


def source_of(s: Statement) -> str:
    """The line of the user's program that a statement comes from, on one line; "" where unknown."""
    node = s.node
    if node is None:
        return ""
    if isinstance(node._scope, RuleScope):
        node = node._scope.node
    if node.op is None or not node.source.line:
        return ""
    return "".join(c if c.isprintable() else " " for c in str(node.source))


def _short(path: str) -> str:
    """The last words of a path: W_hh of net.cell.W_hh."""
    return path.rpartition(".")[2] if path.count(".") else path


def _label(graph: Graph, s: Statement, answered: dict[Tensor, Tensor]) -> str:
    node = s.node
    if node is None:
        return _NOUNS.get(s.kind, s.kind)
    if s.kind == "transpose" and s.operands[0].statement.op is None:  # type: ignore[union-attr]
        return f"{s.operands[0].statement.name}_T"  # type: ignore[union-attr]
    if isinstance(node._scope, RuleScope):
        owner = node._scope.node
        if s.kind == "add_up":
            return f"d{_plain(graph, owner)}"
        if node in answered:
            return f"d{_plain(graph, answered[node])}"
        return f"{_NOUNS.get(s.kind, s.kind)}_of_{_plain(graph, owner)}"
    return _plain(graph, node)


def _plain(graph: Graph, node: Tensor) -> str:
    """A label that is a word, or the name of the operation."""
    role = node.role.name if node.role else ""
    known = node.name or naming.variable(graph, node) or role
    if known:
        return _short(known)
    return _NOUNS.get(node.op.name, f"{node.op.name}_value") if node.op else "constant"


_NOUNS = {
    "add": "total", "subtract": "difference", "multiply": "product", "divide": "quotient",
    "matmul": "product", "negative": "minus", "transpose": "transposed", "power": "power_of",
    "filled": "constant", "counted": "counts", "shaped": "reshaped", "broadcast_to": "spread",
}  # fmt: skip
