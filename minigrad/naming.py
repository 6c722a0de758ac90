"""The names of nodes, and short texts about them."""

from __future__ import annotations

import linecache
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from minigrad.scope import Scope
from minigrad.source import Source
from minigrad.tensor import Tensor

Named = TypeVar("Named")


class Links(Protocol):
    """What names depend on: who uses a node, and what flows into it.  A `Graph` is one."""

    _remembered: dict[Any, Any]

    @property
    def users(self) -> Any:
        """The edges out of each node."""

    def inputs(self, node: Tensor) -> tuple[Tensor, ...]:
        """The tensors that flow into a node."""


_OPERATORS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "matmul": "@", "power": "**",
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=",
    "equal": "==", "not_equal": "!=",
}  # fmt: skip
_LONGEST = 24  # characters of an expression that still serves as a label


def unique(named: Iterable[tuple[str, Named]]) -> dict[str, Named]:
    """A table by name, where names that collide get _2, _3 in order."""
    table: dict[str, Named] = {}
    counts: dict[str, int] = {}  # how many candidates of each name were tried
    for name, item in named:
        candidate = name
        while candidate in table:
            counts[name] = counts.get(name, 1) + 1
            candidate = f"{name}_{counts[name]}"
        table[candidate] = item
    return table


def equation(graph: Links, node: Tensor, name: str = "") -> str:
    """How a node is made: `h = np.tanh(a)`; where it has no other name, the expression alone.

    name: what to call it, by default its label.
    """
    name, text = name or label(graph, node), expression(graph, node)
    return text if text == name else f"{name} = {text}"


def label(graph: Links, node: Tensor) -> str:
    """What to call a node: its name, the variable it was assigned to, its state name, its
    expression, its op."""
    if found := given_name(graph, node) or _returned_to(graph, node):
        return found
    if node.op is None:
        return "constant"
    text = expression(graph, node)
    return text if 0 < len(text) <= _LONGEST else node.op.name


def given_name(graph: Links, node: Tensor) -> str:
    """What the program calls a node: its name, its variable or its role; "" where it has none.

    Of an input of a step, the role tells how the loop calls it.
    """
    role = node.role.name if node.role else ""
    if role and node.role and node.role.kind == "input":
        return node.name or role
    return node.name or variable(graph, node) or role


def _returned_to(graph: Links, node: Tensor) -> str:
    """The variable that takes what the call of a module returns, where that is a node without a
    name: y of `y = linear(h)`."""
    scope = node._scope
    while scope is not None and scope.node is None:
        if any(_is_within(edge.target, scope) for edge in graph.users.get(node, ())):
            return ""
        if name := scope.called_from.variable():
            return name
        scope = scope.parent
    return ""


def _is_within(node: Tensor, scope: Scope) -> bool:
    """Whether a node was made in a call of a module."""
    inner = node._scope
    while inner is not None and inner is not scope:
        inner = inner.parent
    return inner is scope


def variable(graph: Links, node: Tensor) -> str:
    """The variable that the node's expression was assigned to; "" for a part of an expression."""
    if node._code is None or _is_inner(graph, node):
        return ""
    return node.source.variable(node.call.which if node.call else None) or _element(node.source)


def _is_inner(graph: Links, node: Tensor) -> bool:
    """Whether the node is a part of a larger expression on its line, as x @ W in x @ W + b."""
    if node.op is None:
        return False
    return any(_is_one_execution(edge.target, node) for edge in graph.users.get(node, ()))


def _is_one_execution(a: Tensor, b: Tensor) -> bool:
    """Whether one execution of one instruction made two nodes."""
    if a._code is not b._code or a._instruction != b._instruction or a._scope is not b._scope:
        return False
    if a.time is None or b.time is None:
        return a.time is b.time
    return a.time is b.time or a.time.steps == b.time.steps


def _element(source: Source) -> str:
    """The variable of an element of a tuple: of f(x) in `a, b = f(x), g(x)`."""
    return _elements(source.file).get(source._position, "") if source.line else ""


@lru_cache(maxsize=64)
def _elements(file: str) -> dict[tuple[int, ...], str]:
    """Where the elements of tuples that a file assigns to tuples of variables stand, and the
    variables."""
    import ast  # for pictures and the debugger, not for training

    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return {}
    found = {}
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Tuple):
            for names in statement.targets:
                if isinstance(names, ast.Tuple) and len(names.elts) == len(statement.value.elts):
                    for name, value in zip(names.elts, statement.value.elts):
                        if isinstance(name, ast.Name):
                            found[_position(value)] = name.id
    return found


def _position(node: Any) -> tuple[int, ...]:
    """Where an expression stands, in the order of `Source._position`."""
    return node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0


def expression(graph: Links, node: Tensor, depth: int = 1) -> str:
    """The source expression that made a node; without source text, rebuilt from the operation and
    its inputs."""
    if node.op is None:
        return label(graph, node)
    text = node.source.expression
    if text and not _is_inner(graph, node):
        return text.replace("self.", "")
    inputs = [_input_text(graph, x, depth) for x in graph.inputs(node)]
    if node.op.name in _OPERATORS and len(inputs) == 2:
        return f" {_OPERATORS[node.op.name]} ".join(inputs)
    return f"{node.op.name}({', '.join(inputs)})"


def _input_text(graph: Links, x: Tensor, depth: int) -> str:
    """An input in a rebuilt expression: what it is called, its number, or its own expression in
    brackets."""
    if known := given_name(graph, x):
        return known
    if x.op is None:
        return f"{x.item():g}" if x.size == 1 else "constant"
    return f"({expression(graph, x, depth - 1)})" if depth else str(x.op.name)


def name_of(graph: Links, node: Tensor, roles: bool = True) -> str:
    """What to call a node, as a state if it is one.  Reads each line of the program once for a
    graph.

    roles=False: by its variable even where an unroller named it.
    """
    if roles and node.role is not None:
        return node.role.name
    known = graph._remembered.setdefault(name_of, {})
    key = node.name, node.site, node.role and node.role[:2]
    if key not in known:
        known[key] = label(graph, node)
    name: str = known[key]
    return name


def argument_name(graph: Links, leaf: Tensor) -> str:
    """The program's name of an array that is an operand: q in `q * np.log(p)`; "" without one."""
    import ast  # for the debugger, not for training

    for edge in graph.users.get(leaf, ()):
        named = operands(edge.target)[edge.position : edge.position + 1]
        if named and isinstance(named[0], ast.Name | ast.Attribute | ast.Subscript):
            return ast.unparse(named[0])
    return ""


def operands(node: Tensor) -> list[Any]:
    """The operands of a node as the program writes them, as syntax trees."""
    import ast  # for pictures and the debugger, not for training

    tree = parsed(node.source.expression)
    if isinstance(tree, ast.BinOp):
        return [tree.left, tree.right]
    if isinstance(tree, ast.Compare):
        return [tree.left, *tree.comparators]
    if not isinstance(tree, ast.Call):
        return []
    joins = tree.args and node.op is not None and node.op.name in ("stack", "concatenate")
    return list(getattr(tree.args[0], "elts", tree.args)) if joins else tree.args


@lru_cache(maxsize=4096)
def parsed(expression: str) -> Any:
    """An expression as a syntax tree, or None."""
    import ast  # for pictures and the debugger, not for training

    try:
        return ast.parse(expression, mode="eval").body
    except SyntaxError:
        return None


def spaceless(name: str) -> str:
    """The name, in brackets where it has spaces."""
    return name if " " not in name else f"({name})"


def count(n: int, thing: str) -> str:
    """A number of things in words: "1 step", "3 steps"."""
    return f"{n} {thing}{'' if n == 1 else 's'}"


def describe(graph: Links, node: Tensor, before: str) -> str:
    """Where and what a node is, for error messages: op, shapes, time step, scope, the forward
    line."""
    head = node.describe(before).partition(":  ")[0]
    return f"{head}:  {label(graph, node)} = {expression(graph, node)}"
