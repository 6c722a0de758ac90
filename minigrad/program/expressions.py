"""Operations and constants as Python expressions: the forward of a primitive, with its arguments put in.

Imports `primitive`.  A forward that is one `return` becomes that expression; any other becomes a call of a copy.
"""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.naming import _OPERATORS
from minigrad.primitive import Primitive

_TIDY = (  # what `repr` and the general form of a call say, and what one writes
    (r"np\.transpose\((\w+(?:⟦-?\d+⟧)?), None\)", r"\1.T"),
    (r"(?<![\w.])slice\((\w+|-\d+), (\w+|-\d+), (\w+|-\d+)\)(?=[^()]*\])", r"\1:\2:\3"),
    (r"\bNone:|:None\b", ":"),
    (r"(?<=:):(?=[\],])|(?<=\w),(?=\])", ""),
)


def text(tree: ast.expr) -> str:
    """An expression as one writes it."""
    found = ast.unparse(tree)
    for general, short in _TIDY:
        found = re.sub(general, short, found)
    return found


class Helpers:
    """The functions that the expressions call, each copied with all that it uses in turn; unused: gives free names."""

    def __init__(self, unused: Callable[[str], str]) -> None:
        self.unused = unused
        self.names: dict[Any, str] = {}
        self.texts: list[str] = []

    def call(
        self, op: Primitive, inputs: Sequence[ast.expr], constants: dict[str, Any]
    ) -> ast.expr:
        """One call of an operation as an expression."""
        if op.name in _OPERATORS and len(inputs) == 2:
            return _filled(f"a {_OPERATORS[op.name]} b", {"a": inputs[0], "b": inputs[1]})
        if op.name == "negative":
            return ast.UnaryOp(ast.USub(), inputs[0])
        given = {name: literal(value) for name, value in constants.items()}
        direct = not op.differentiable and hasattr(
            np, op.name
        )  # comparisons and indices are NumPy's own
        simple = None if direct else _single_expression(op.forward)
        if simple is None:
            called = _parsed(f"np.{op.name}" if direct else self.copied(op.forward))
            return ast.Call(
                called, list(inputs), [ast.keyword(name, value) for name, value in given.items()]
            )
        names = dict(zip(op.inputs, inputs, strict=False)) | given
        if op.variadic:
            rest = ast.List(list(inputs[len(op.inputs) :]), ast.Load())
            names[inspect.getfullargspec(op.forward).varargs or ""] = rest
        tree = _filled(simple, names)
        if isinstance(tree, ast.Call):  # np.sum(x, axis=None, keepdims=False) is np.sum(x)
            tree.keywords = [
                k for k in tree.keywords if ast.unparse(k.value) not in ("None", "False")
            ]
        return tree

    def copied(self, thing: Any) -> str:
        """The name of the copy of a function or a class that the program uses."""
        if thing not in self.names:
            self.names[thing] = self.unused(thing.__name__)
            tree = _tree(thing)
            tree.name, tree.decorator_list = self.names[thing], []
            around = (
                vars(sys.modules[thing.__module__]) if inspect.isclass(thing) else thing.__globals__
            )
            stored = {
                part.id
                for part in ast.walk(tree)
                if isinstance(part, ast.Name) and type(part.ctx) is ast.Store
            }
            stored |= {part.arg for part in ast.walk(tree) if isinstance(part, ast.arg)}
            around = {name: value for name, value in around.items() if name not in stored}
            self.texts.append(
                ast.unparse(ast.fix_missing_locations(_Closed(self, around).visit(tree)))
            )
        return self.names[thing]


class _Closed(ast.NodeTransformer):
    """Copies all that a function takes from its module, and leaves out the annotations."""

    def __init__(self, helpers: Helpers, around: dict[str, Any]) -> None:
        self.helpers, self.around = helpers, around

    def visit_arg(self, node: ast.arg) -> ast.arg:
        """Without its type."""
        return ast.arg(node.arg)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Without the type of its result."""
        node.returns = None
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """logsumexp.forward is the function below the operation."""
        return self.visit(node.value) if node.attr == "forward" else self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A copy of what the module has under this name."""
        found = self.around.get(node.id, np)
        found = found.forward if isinstance(found, Primitive) else found
        if inspect.ismodule(found):
            return node
        own = getattr(found, "__module__", "numpy").split(".")[0] not in (
            "numpy",
            *sys.stdlib_module_names,
        )
        copied = own and (inspect.isfunction(found) or inspect.isclass(found))
        return ast.Name(self.helpers.copied(found), node.ctx) if copied else literal(found)


def literal(value: Any) -> ast.expr:
    """A constant as an expression; raises ValueError for what cannot be written down."""
    if isinstance(value, np.ndarray) and value.size != 1 and len(np.unique(value)) < 2:
        return _parsed(
            f"np.full({value.shape}, {_repr(value.flat[0]) if value.size else 0}, np.{value.dtype})"
        )
    written = _repr(value)
    if not _is_constant(written):
        kind = type(value).__name__
        raise ValueError(
            f"backward_source: a constant of type {kind} cannot be written as source: {value!r}"
        )
    return _parsed(written)


@functools.cache
def _is_constant(written: str) -> bool:
    """Whether the program, too, can make something of it."""
    try:
        eval(written, {"np": np})
    except Exception:
        return False
    return True


def _repr(value: Any) -> str:
    """`repr` in the names of the program, which knows NumPy as np."""
    if isinstance(value, type):
        return value.__name__ if value.__module__ == "builtins" else f"np.{value.__name__}"
    name = getattr(value, "__name__", "")
    if name and getattr(np, name, None) is value:
        return f"np.{name}"
    value = value.item() if isinstance(value, np.generic) else value
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):
        return re.sub(
            r"(?<![\w.'])(array(?=\()|dtype(?=\()|nan\b|inf\b|float\d+|u?int\d+)",
            r"np.\1",
            repr(value),
        )


@functools.cache
def _template(written: str) -> ast.expr:
    return ast.parse(written, mode="eval").body


def _parsed(written: str) -> ast.expr:
    """The tree of an expression, whose root is a new node; its parts are shared and never changed."""
    return copy.copy(_template(written))


def _filled(written: str, names: dict[str, ast.expr]) -> ast.expr:
    """The expression with names replaced by expressions."""
    filled: ast.expr = _replaced(_parsed(written), names)
    return filled


def _replaced(tree: Any, names: dict[str, ast.expr]) -> Any:
    """The tree with names replaced; the nodes on the way to one are new, all others are shared."""
    if isinstance(tree, ast.Name):
        return names.get(tree.id, tree)
    changed: dict[str, Any] = {}
    for field, value in ast.iter_fields(tree):
        new = value
        if isinstance(value, ast.AST):
            new = _replaced(value, names)
        elif isinstance(value, list) and value:
            parts = [_replaced(x, names) if isinstance(x, ast.AST) else x for x in value]
            new = parts if any(p is not x for p, x in zip(parts, value, strict=True)) else value
        if new is not value:
            changed[field] = new
    if not changed:
        return tree
    tree = copy.copy(tree)
    for field, new in changed.items():
        setattr(tree, field, new)
    return tree


@functools.cache
def _single_expression(function: Callable[..., Any]) -> str | None:
    """What a function returns, if that is all it does with nothing but its arguments and NumPy."""
    *before, last = _tree(function).body
    if (
        not isinstance(last, ast.Return)
        or last.value is None
        or not all(isinstance(part, ast.Expr) for part in before)
    ):
        return None
    used = {node.id for node in ast.walk(last) if isinstance(node, ast.Name)}
    return (
        ast.unparse(last.value)
        if used <= {*inspect.signature(function).parameters, "np", "tuple"}
        else None
    )


def _tree(thing: Any) -> Any:
    """The syntax tree of a function, with what it has from the function around it put in."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    except (OSError, TypeError):
        raise ValueError(
            f"backward_source: there is no source text of {thing.__name__}; define it in a file"
        ) from None
    outside = {} if inspect.isclass(thing) else inspect.getclosurevars(thing).nonlocals
    return _replaced(tree, {name: literal(value) for name, value in outside.items()})
