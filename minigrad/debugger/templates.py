"""Operations and constants as Python expressions: the forward of a primitive, with its arguments put in.

Imports `primitive`.  A forward that is one `return` becomes that expression; any other becomes a call of a helper.
"""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.naming import _OPERATORS
from minigrad.primitive import Primitive


class Helpers:
    """The functions that the expressions call, each copied with all that it calls in turn; taken: names in use."""

    def __init__(self, taken: set[str]) -> None:
        self.taken, self.names = taken, dict[str, str]()
        self.texts: dict[str, str] = {}

    def call(self, op: Primitive, inputs: Sequence[ast.expr], constants: dict[str, Any]) -> ast.expr:
        """One call of an operation as an expression."""
        if op.name in _OPERATORS and len(inputs) == 2:
            return _filled(f"a {_OPERATORS[op.name]} b", {"a": inputs[0], "b": inputs[1]})
        if op.name == "negative":
            return ast.UnaryOp(ast.USub(), inputs[0])
        if not op.differentiable and hasattr(np, op.name):
            given = [ast.keyword(name, literal(value)) for name, value in constants.items()]
            return ast.Call(_parsed(f"np.{op.name}"), list(inputs), given)
        names = dict(zip(op.inputs, inputs, strict=False))
        if op.variadic:
            names[_variadic(op.forward)] = ast.List(list(inputs), ast.Load())
        defaults = {n: p.default for n, p in inspect.signature(op.forward).parameters.items() if n in op.constants}
        names |= {name: literal(constants.get(name, default)) for name, default in defaults.items()}
        simple = _single_expression(op.forward)
        if simple is not None:
            return _tidied(_filled(simple, names))
        given = [ast.keyword(name, literal(value)) for name, value in constants.items()]
        return ast.Call(ast.Name(self.add(op.name, op.forward), ast.Load()), list(inputs), given)

    def add(self, name: str, function: Callable[..., Any]) -> str:
        """Copy a function, and what it calls; its name in the copy."""
        if name not in self.names:
            self.names[name] = f"{name}_function" if name in self.taken else name
            tree = _tree(function)
            tree.name, tree.decorator_list, tree.returns = self.names[name], [], None
            for argument in [
                *tree.args.args,
                *tree.args.kwonlyargs,
                *filter(None, [tree.args.vararg, tree.args.kwarg]),
            ]:
                argument.annotation = None
            tree.body = [self._closed(part, function.__globals__) for part in tree.body]
            self.texts[name] = ast.unparse(ast.fix_missing_locations(tree))
        return self.names[name]

    def _closed(self, node: Any, names: dict[str, Any]) -> Any:
        """The code with everything that it takes from its module copied too."""
        for part in ast.walk(node):
            for field, value in ast.iter_fields(part):
                if isinstance(value, ast.Attribute) and value.attr == "forward" and isinstance(value.value, ast.Name):
                    setattr(part, field, value.value)  # logsumexp.forward(x): the function below the operation
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id in names and part.id != "np":
                found = names[part.id]
                if isinstance(found, Primitive):
                    part.id = self.add(part.id, found.forward)
                elif inspect.isfunction(found):
                    part.id = self.add(part.id, found)
                elif not inspect.ismodule(found):
                    self.texts.setdefault(part.id, f"{part.id} = {ast.unparse(literal(found))}")
        return node


def literal(value: Any) -> ast.expr:
    """A constant as an expression; raises ValueError for what cannot be written down."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or value is Ellipsis or isinstance(value, bool | int | str):
        return ast.Constant(value)
    if isinstance(value, float):
        return _parsed(
            repr(value)
            if np.isfinite(value)
            else f"np.{str(value).lstrip('-')}"
            if value > 0 or value != value
            else "-np.inf"
        )
    if isinstance(value, tuple | list):
        return (ast.Tuple if isinstance(value, tuple) else ast.List)([literal(part) for part in value], ast.Load())
    if isinstance(value, range):
        return _parsed(repr(value))
    if isinstance(value, slice):
        return _parsed(f"slice({value.start}, {value.stop}, {value.step})")
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic | float | int | bool)):
        return _parsed(f"np.{np.dtype(value)}" if np.dtype(value) != bool else "bool")
    if isinstance(value, np.ndarray):
        return _array(value)
    raise ValueError(
        f"backward_source: a constant of type {type(value).__name__} cannot be written as source: {value!r}"
    )


def _array(value: Any) -> ast.expr:
    kind = ast.unparse(literal(value.dtype))
    if not value.size:
        return _parsed(f"np.zeros({value.shape}, {kind})")
    if value.size > 1 and (value == value.flat[0]).all():
        return _parsed(f"np.full({value.shape}, {ast.unparse(literal(value.flat[0]))}, {kind})")
    return ast.Call(_parsed("np.array"), [literal(value.tolist()), _parsed(kind)], [])


def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


@functools.cache
def _template(text: str) -> ast.expr:
    return _parsed(text)


def _filled(text: str, names: dict[str, ast.expr]) -> ast.expr:
    """The expression with names replaced by expressions."""
    return _replaced(copy.deepcopy(_template(text)), names)


def _replaced(tree: Any, names: dict[str, ast.expr]) -> Any:
    class Replace(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return names.get(node.id, node)

    return Replace().visit(tree)


def _tidied(node: ast.expr) -> ast.expr:
    """Without arguments that say what is so anyway; x[slice(0, 3, None)] as x[0:3]."""
    if isinstance(node, ast.Call):
        node.keywords = [k for k in node.keywords if k.arg not in ("axis", "keepdims") or not _is_nothing(k.value)]
        if ast.unparse(node.func) == "np.transpose" and _is_nothing(node.args[-1]):
            return ast.Attribute(node.args[0], "T", ast.Load())
    if isinstance(node, ast.Subscript):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) and node.slice.elts else [node.slice]
        tidy = [_slice(part) for part in parts]
        node.slice = tidy[0] if len(tidy) == 1 else ast.Tuple(tidy, ast.Load())
    return node


def index_text(index: Any) -> str:
    """What stands between the brackets of x[index]."""
    whole = _tidied(ast.Subscript(ast.Name("x", ast.Load()), literal(index), ast.Load()))
    return ast.unparse(whole)[2:-1]


def _slice(part: ast.expr) -> ast.expr:
    if not (isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "slice"):
        return part
    ends = [None if _is_nothing(end) else end for end in part.args]
    return ast.Slice(*ends)


def _is_nothing(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and (node.value is None or node.value is False)


@functools.cache
def _single_expression(function: Callable[..., Any]) -> str | None:
    """What a function returns, if that is all it does with nothing but its arguments and NumPy."""
    body = [part for part in _tree(function).body if not _is_docstring(part)]
    if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None:
        return None
    own = set(inspect.signature(function).parameters)
    used = {node.id for node in ast.walk(body[0]) if isinstance(node, ast.Name)}
    return ast.unparse(body[0].value) if used <= own | {"np", "tuple"} else None


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@functools.cache
def _variadic(function: Callable[..., Any]) -> str:
    return next(n for n, p in inspect.signature(function).parameters.items() if p.kind is p.VAR_POSITIONAL)


def _tree(function: Callable[..., Any]) -> ast.FunctionDef:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError):
        raise ValueError(
            f"backward_source: there is no source text of {function.__name__}; define it in a file"
        ) from None
    assert isinstance(tree, ast.FunctionDef)
    enclosed = {name: _enclosed(value) for name, value in inspect.getclosurevars(function).nonlocals.items()}
    return _replaced(tree, enclosed) if enclosed else tree


def _enclosed(value: Any) -> ast.expr:
    """What a function has from the function around it: one of NumPy's, or a constant."""
    name = getattr(value, "__name__", "")
    return _parsed(f"np.{name}") if getattr(np, name, None) is value else literal(value)
