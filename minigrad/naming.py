"""What nodes are called, and short texts about them.  Imports `tensor` for types only."""

from __future__ import annotations

import linecache
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import numpy as np

from minigrad.source import Source
from minigrad.tensor import Tensor

Named = TypeVar("Named")


class Links(Protocol):
    """What names depend on: who uses a node, and what flows into it.  A `Graph` is one."""

    @property
    def users(self) -> Any:
        """The edges out of each node."""

    def inputs(self, node: Tensor) -> tuple[Tensor, ...]:
        """The tensors that flow into a node."""


_OPERATORS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "matmul": "@", "power": "**",
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!=",
}  # fmt: skip
_LONGEST = 24  # characters of an expression that still serves as a label


def unique(named: Iterable[tuple[str, Named]]) -> dict[str, Named]:
    """A table by name, where names that collide get _2, _3 in order."""
    table: dict[str, Named] = {}
    for name, item in named:
        candidate, count = name, 1
        while candidate in table:
            count += 1
            candidate = f"{name}_{count}"
        table[candidate] = item
    return table


def label(graph: Links, node: Tensor) -> str:
    """What to call a node: its name, the variable it was assigned to, its state name, its expression, its op."""
    found = node.name or variable(graph, node) or (node.role.name if node.role else "")
    if found:
        return found
    text = expression(graph, node) if node.op else ""
    return text if 0 < len(text) <= _LONGEST else node.op.name if node.op else "constant"


def variable(graph: Links, node: Tensor) -> str:
    """The variable that the node's expression was assigned to; "" for a part of an expression."""
    if node._code is None:
        return ""
    if node.op is not None and any(
        _same_place(edge.target, node) for edge in graph.users.get(node, ())
    ):
        return ""
    return node.source.variable(node.call.which if node.call else None) or _element(node.source)


def _element(source: Source) -> str:
    """The variable of an element of a tuple: of f(x) in `a, b = f(x), g(x)`."""
    return _elements(source.file).get(source._position, "") if source.line else ""


@lru_cache(maxsize=64)
def _elements(file: str) -> dict[tuple[int, ...], str]:
    """Where the elements of tuples that a file assigns to tuples of variables stand, and the variables."""
    import ast  # for pictures and the debugger, not for training

    try:
        statements = list(ast.walk(ast.parse("".join(linecache.getlines(file)))))
    except SyntaxError:
        return {}
    pairs = [
        (y, node.value) for node in statements if isinstance(node, ast.Assign) for y in node.targets
    ]
    return {
        (value.lineno, value.end_lineno or 0, value.col_offset, value.end_col_offset or 0): name.id
        for names, values in pairs
        if isinstance(names, ast.Tuple)
        and isinstance(values, ast.Tuple)
        and len(names.elts) == len(values.elts)
        for name, value in zip(names.elts, values.elts)
        if isinstance(name, ast.Name)
    }


def _same_place(a: Tensor, b: Tensor) -> bool:
    return (
        a._code is b._code
        and a._instruction == b._instruction
        and a.time == b.time
        and a._scope is b._scope
    )


def expression(graph: Links, node: Tensor, depth: int = 1) -> str:
    """The source expression that made a node; without source text, rebuilt from the operation and its inputs."""
    if node.op is None:
        return label(graph, node)
    text = node.source.expression
    if text and not any(_same_place(edge.target, node) for edge in graph.users.get(node, ())):
        return text.replace("self.", "")
    inputs = []
    for x in graph.inputs(node):
        known = x.name or variable(graph, x) or (x.role.name if x.role else "")
        number = f"{x.item():g}" if not known and x.op is None and x.size == 1 else ""
        rebuilt = (
            f"({expression(graph, x, depth - 1)})"
            if depth and x.op
            else x.op.name
            if x.op
            else "constant"
        )
        inputs.append(known or number or rebuilt)
    if node.op.name in _OPERATORS and len(inputs) == 2:
        return f" {_OPERATORS[node.op.name]} ".join(inputs)
    return f"{node.op.name}({', '.join(inputs)})"


def number(value: Any) -> str:
    """A gradient or value in a few characters: a scalar itself, anything larger as its norm."""
    array = np.asarray(value.data if hasattr(value, "op") else getattr(value, "value", value))
    return (
        f"{array.item():.4g}"
        if array.size == 1
        else f"|{np.linalg.norm(array.astype(np.float64)):.4g}|"
    )


def spaceless(name: str) -> str:
    """The name, in brackets where it has spaces."""
    return name if " " not in name else f"({name})"


def count(n: int, thing: str) -> str:
    """A number of things in words: "1 step", "3 steps"."""
    return f"{n} {thing}{'' if n == 1 else 's'}"


def describe(graph: Links, node: Tensor, before: str) -> str:
    """Where and what a node is, for error messages: op, shapes, time step, scope, the forward line."""
    head = node.describe(before).partition(":  ")[0]
    return f"{head}:  {label(graph, node)} = {expression(graph, node)}"
