"""Operations and constants as expression trees, and trees with holes, which serve for every step.

The forward of a primitive that is one `return` becomes that expression; any other becomes a call of a
copy.  A `Pattern` is a tree whose variables are holes: the same line of the program has the same
pattern in each time step, and other variables in the holes.
"""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad.naming import _OPERATORS
from minigrad.primitive import Primitive
from minigrad.tensor import Tensor

HOLE = "_hole_"  # what the variables of a pattern begin with; no name of a program does


class Pattern:
    """A tree with holes, written as text once: pieces of text, and the number of the hole behind each."""

    def __init__(self, tree: ast.AST, count: int) -> None:
        self.tree, self.count = tree, count
        self.pieces, self.holes = _cut(ast.unparse(ast.fix_missing_locations(_Tidy().visit(tree))))
        self._format = "%s".join(piece.replace("%", "%%") for piece in self.pieces)
        self._ordered = self.holes == list(range(count))

    def text(self, names: Sequence[str]) -> str:
        """The text with these names in the holes."""
        own = names if self._ordered else [names[k] for k in self.holes]
        return self._format % tuple(own)


class Value(NamedTuple):
    """A pattern, and what stands in its holes."""

    pattern: Pattern
    leaves: tuple[Any, ...]


class Patterns:
    """All patterns of a program: equal ones are one object."""

    def __init__(self) -> None:
        self._by_key: dict[Any, Pattern] = {}
        self._same: dict[Any, Pattern] = {}
        self.hole = self.made("a hole", 1, lambda: hole(0))

    def leaf(self, leaf: Any) -> Value:
        """A variable."""
        return Value(self.hole, (leaf,))

    def made(self, key: Any, count: int, build: Callable[[], ast.AST]) -> Pattern:
        """The pattern of a tree with so many holes, which is built once for a key."""
        found = self._by_key.get(key)
        if found is None:
            found = Pattern(build(), count)
            found = self._same.setdefault((*found.pieces, *found.holes, count), found)
            self._by_key[key] = found
        return found

    def joined(self, key: Any, parts: Sequence[Value], build: Callable[..., ast.AST]) -> Value:
        """build(*trees) of the parts: their holes become the holes of one pattern, in order."""
        leaves = [leaf for part in parts for leaf in part.leaves]
        patterns = [part.pattern for part in parts]
        pattern = self.made((key, *patterns), len(leaves), lambda: build(*numbered(patterns)))
        return Value(pattern, tuple(leaves))


def hole(k: int) -> ast.Name:
    """Hole number k of a pattern."""
    return ast.Name(f"{HOLE}{k}", ast.Load())


def numbered(patterns: Sequence[Pattern], start: int = 0) -> list[Any]:
    """The trees of some patterns, their holes numbered one behind the other."""
    found = []
    for pattern in patterns:
        names: dict[str, ast.expr] = {f"{HOLE}{k}": hole(start + k) for k in range(pattern.count)}
        found.append(replaced(pattern.tree, names))
        start += pattern.count
    return found


def _cut(text: str) -> tuple[list[str], list[int]]:
    """A text of one line at its holes, whose places the parser tells."""
    names = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Name) and node.id.startswith(HOLE)
    ]
    names.sort(key=lambda node: node.col_offset)
    line, pieces, start = text.encode(), [], 0
    for name in names:
        pieces.append(line[start : name.col_offset].decode())
        start = name.end_col_offset or 0
    return [*pieces, line[start:].decode()], [int(name.id[len(HOLE) :]) for name in names]


class _Tidy(ast.NodeTransformer):
    """What the general form of a call says, as one writes it: x.T, a:b in brackets."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """x.T for np.transpose(x, None)."""
        self.generic_visit(node)
        called = [ast.unparse(part) for part in (node.func, *node.args[1:])]
        if called == ["np.transpose", "None"]:
            return ast.Attribute(node.args[0], "T", ast.Load())
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """x[a:b] for x[slice(a, b, None)], x[a] for x[a,]."""
        self.generic_visit(node)
        index = node.slice
        if isinstance(index, ast.Tuple) and len(index.elts) == 1:
            index = index.elts[0]
        elif isinstance(index, ast.Tuple):
            index = ast.Tuple([_span(part) for part in index.elts], ast.Load())
        return ast.Subscript(node.value, _span(index), node.ctx)


def _span(index: ast.expr) -> ast.expr:
    """slice(a, b, c) in brackets."""
    if not (isinstance(index, ast.Call) and ast.unparse(index.func) == "slice"):
        return index
    ends = [None if ast.unparse(part) == "None" else part for part in index.args]
    return ast.Slice(*ends)


class Helpers:
    """The functions that the expressions call, each copied with all that it uses in turn; unused: gives free names."""

    def __init__(self, unused: Callable[[str], str]) -> None:
        self.unused = unused
        self.names: dict[Any, str] = {}
        self.texts: list[str] = []

    def call(
        self, op: Primitive, inputs: Sequence[ast.expr], constants: dict[str, ast.expr]
    ) -> ast.expr:
        """One call of an operation as an expression."""
        if op.name in _OPERATORS and len(inputs) == 2:
            return _filled(f"a {_OPERATORS[op.name]} b", {"a": inputs[0], "b": inputs[1]})
        if op.name == "negative":
            return ast.UnaryOp(ast.USub(), inputs[0])
        direct = not op.differentiable and hasattr(np, op.name)  # comparisons, indices
        simple = None if direct else _single_expression(op.forward)
        if simple is None:
            called = parsed(f"np.{op.name}" if direct else self.copied(op.forward))
            keywords = [ast.keyword(name, value) for name, value in constants.items()]
            return ast.Call(called, list(inputs), keywords)
        names = dict(zip(op.inputs, inputs, strict=False)) | constants
        if op.variadic:
            rest = ast.List(list(inputs[len(op.inputs) :]), ast.Load())
            if len(inputs) == 1 and isinstance(inputs[0], ast.Starred):
                rest = inputs[0].value  # type: ignore[assignment]
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
            module = vars(sys.modules[thing.__module__])
            around = module if inspect.isclass(thing) else thing.__globals__
            own = {
                part.id if isinstance(part, ast.Name) else part.arg
                for part in ast.walk(tree)
                if isinstance(part, ast.arg)
                or (isinstance(part, ast.Name) and type(part.ctx) is ast.Store)
            }
            around = {name: value for name, value in around.items() if name not in own}
            closed = _Closed(self, around).visit(tree)
            self.texts.append(ast.unparse(ast.fix_missing_locations(closed)))
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
        if found is Tensor:  # nothing in the program is one: isinstance(x, ()) is never true
            return ast.Tuple([], ast.Load())
        home = getattr(found, "__module__", "numpy").split(".")[0]
        own = home not in ("numpy", *sys.stdlib_module_names)
        copied = own and (inspect.isfunction(found) or inspect.isclass(found))
        return ast.Name(self.helpers.copied(found), node.ctx) if copied else literal(found)


def literal(value: Any, whole: Callable[[int], ast.expr] | None = None) -> ast.expr:
    """A constant as an expression; raises ValueError for what cannot be written down.

    whole: what stands for a whole number, if it is not to be written as it is.
    """
    if whole is not None and type(value) is int:
        return whole(value)
    if value is None or value is ... or isinstance(value, bool | str | bytes | complex):
        return ast.Constant(value)
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, np.generic):
        return literal(_plain(value))
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, slice | range):
        ends = [value.start, value.stop, value.step]
        ends = ends[:2] if isinstance(value, range) and value.step == 1 else ends
        return _call(type(value).__name__, [literal(end, whole) for end in ends])
    if isinstance(value, tuple | list):
        made = ast.Tuple if isinstance(value, tuple) else ast.List
        return made([literal(part, whole) for part in value], ast.Load())
    if isinstance(value, dict):
        return ast.Dict([literal(k) for k in value], [literal(part) for part in value.values()])
    return _named(value)


def _number(value: int | float) -> ast.expr:
    if isinstance(value, float) and not np.isfinite(value):
        infinite = parsed("np.nan" if value != value else "np.inf")
        return ast.UnaryOp(ast.USub(), infinite) if value < 0 else infinite
    if value < 0 or (value == 0 and str(value).startswith("-")):
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


def _plain(value: Any) -> Any:
    """The Python number of a NumPy number, with no more digits than it needs."""
    found = value.item()
    if isinstance(found, np.generic):  # longdouble has no Python number
        return float(found)
    return float(str(value)) if isinstance(found, float) and value.dtype.itemsize < 8 else found


def _array(value: Any) -> ast.expr:
    dtype = parsed(f"np.{value.dtype.type.__name__}")
    if value.size != 1 and len(np.unique(value)) < 2:
        entry = _plain(value.flat[0]) if value.size else 0
        return _call("np.full", [literal(value.shape), literal(entry), dtype])
    nested = np.empty(value.shape, object)
    for place in np.ndindex(value.shape):
        nested[place] = _plain(value[place])
    called = _call("np.array", [literal(nested.tolist())])
    if value.dtype not in (np.float64, np.int64, np.bool_):
        called.keywords = [ast.keyword("dtype", dtype)]
    return called


def _named(value: Any) -> ast.expr:
    """What NumPy or Python has a name for."""
    if isinstance(value, np.dtype):
        return _call("np.dtype", [ast.Constant(str(value))])
    name = getattr(value, "__name__", "")
    if name and getattr(np, name, None) is value:
        return parsed(f"np.{name}")
    if isinstance(value, type) and value.__module__ == "builtins":
        return ast.Name(value.__name__, ast.Load())
    kind = type(value).__name__
    raise ValueError(
        f"backward_source: a constant of type {kind} cannot be written as source: {value!r}"
    )


def _call(name: str, arguments: list[ast.expr]) -> ast.Call:
    return ast.Call(parsed(name), arguments, [])


@functools.cache
def _template(written: str) -> ast.expr:
    return ast.parse(written, mode="eval").body


def parsed(written: str) -> ast.expr:
    """The tree of an expression, whose root is a new node; its parts are shared and never changed."""
    return copy.copy(_template(written))


def _filled(written: str, names: dict[str, ast.expr]) -> ast.expr:
    """The expression with names replaced by expressions."""
    filled: ast.expr = replaced(parsed(written), names)
    return filled


def replaced(tree: Any, names: dict[str, ast.expr]) -> Any:
    """The tree with names replaced; the nodes on the way to one are new, all others are shared."""
    if isinstance(tree, ast.Name):
        return names.get(tree.id, tree)
    changed: dict[str, Any] = {}
    for field, value in ast.iter_fields(tree):
        new = value
        if isinstance(value, ast.AST):
            new = replaced(value, names)
        elif isinstance(value, list) and value:
            parts = [replaced(x, names) if isinstance(x, ast.AST) else x for x in value]
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
    alone = all(isinstance(part, ast.Expr) for part in before)
    if not isinstance(last, ast.Return) or last.value is None or not alone:
        return None
    used = {node.id for node in ast.walk(last) if isinstance(node, ast.Name)}
    known = {*inspect.signature(function).parameters, "np", "tuple"}
    return ast.unparse(last.value) if used <= known else None


def _tree(thing: Any) -> Any:
    """The syntax tree of a function, with what it has from the function around it put in."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    except (OSError, TypeError):
        raise ValueError(
            f"backward_source: there is no source text of {thing.__name__}; define it in a file"
        ) from None
    outside = {} if inspect.isclass(thing) else inspect.getclosurevars(thing).nonlocals
    return replaced(tree, {name: literal(value) for name, value in outside.items()})
