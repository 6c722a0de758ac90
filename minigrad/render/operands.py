"""What the program writes where an array enters an operation: the name that the array has there.

Of a function of the library it is what the program hands to it: `targets[t]` for the parameter
`target` of a loss.
"""

from __future__ import annotations

import ast
import os
import re
from functools import lru_cache
from types import CodeType
from typing import Any

from minigrad import naming
from minigrad.tensor import Tensor

LONGEST = 24  # characters of an expression that still serves as a name
LONGEST_CALL = 16  # and of a call, whose arguments are left out where it is longer
LIBRARY = os.path.join(os.path.abspath(__file__).rsplit(os.sep, 3)[0], "nn", "")
MAKERS = {"tensor", "Tensor", "Parameter"}


def in_library(code: CodeType | None) -> bool:
    """Whether a function is one of the library's."""
    return code is not None and _in_library(code.co_filename)


@lru_cache(maxsize=4096)
def _in_library(file: str) -> bool:
    return os.path.abspath(file).startswith(LIBRARY)


def is_private(code: CodeType | None) -> bool:
    """Whether a function is one of the library's, other than the equations of its cells: the names
    of its variables are nobody's business."""
    if code is None or not in_library(code):
        return False
    return "Cell." not in code.co_qualname or code.co_qualname.startswith("_")


def singular(name: str) -> str:
    """One of several: x of xs."""
    return name.removesuffix("s") if len(name) > 1 else name


def operand(node: Tensor, k: int) -> str:
    """The text of input k of an operation in the program: what to call a plain array; "" where it
    has none.  The input after the last one is its index."""
    axes = len(node.time.steps) if node.time is not None else 1
    return _text(_written(node, k), axes)


def is_taken(node: Tensor, k: int) -> bool:
    """Whether input k of an operation is written as an element of an array: y[t]."""
    tree = _written(node, k)
    if not isinstance(tree, ast.Subscript):
        return False
    return not (isinstance(tree.slice, ast.Constant) and isinstance(tree.slice.value, str))


def _written(node: Tensor, k: int) -> Any:
    """What the program writes for input k of an operation; None where that is not known."""
    tree = _tree(node, k)
    if in_library(node._code):
        given = _argument(node, tree)
        if given is not None or is_private(node._code):
            return given
    return tree


def _tree(node: Tensor, k: int) -> Any:
    """The source of input k of an operation, as a tree; None where there is none."""
    parts, tree = naming.operands(node), naming.parsed(node.source.expression)
    if isinstance(tree, ast.Subscript):
        parts = [tree.value, _index(tree.slice)]
    return parts[k] if k < len(parts) else None


def _index(tree: ast.expr) -> ast.expr | None:
    """The part of an index that is no slice and no number: y of `p[np.arange(n), y]`."""
    parts = tree.elts if isinstance(tree, ast.Tuple) else [tree]
    return next((x for x in reversed(parts) if not isinstance(x, ast.Slice | ast.Constant)), None)


def _argument(node: Tensor, tree: Any) -> Any:
    """What the program gives for the parameter of a library's function that an expression in it is
    about; None where that is not known."""
    scope, code = node._scope, node._code
    if scope is None or code is None or tree is None:
        return None
    around = scope.parent
    if around and (around.code, around.instruction) == (scope.code, scope.instruction):
        return None  # the library itself called it
    call = naming.parsed(scope.called_from.expression)
    parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    used = {x.id for x in ast.walk(tree) if isinstance(x, ast.Name)} & {*parameters}
    if not isinstance(call, ast.Call) or len(used) != 1:
        return None
    (name,) = used
    position = parameters.index(name) - (parameters[0] == "self")
    by_name = {keyword.arg: keyword.value for keyword in call.keywords}
    given = call.args[position : position + 1]
    if name in by_name or not given:
        return by_name.get(name)
    return None if any(isinstance(x, ast.Starred) for x in call.args) else given[0]


def _text(tree: Any, axes: int) -> str:
    """The text of an operand in so many axes of time, as short as serves for a name."""
    if isinstance(tree, ast.List) and len(tree.elts) == 1:
        tree = tree.elts[0]
    if isinstance(tree, ast.Starred):
        tree = tree.value
    if tree is None or isinstance(tree, ast.Constant):
        return ""
    if isinstance(tree, ast.Call) and ast.unparse(tree.func).split(".")[-1] in MAKERS:
        return ""
    if isinstance(tree, ast.Subscript) and _takes_a_step(tree.slice, axes):
        if not any(isinstance(x, ast.Name) for x in ast.walk(tree.slice)):  # a view of all of it
            return _text(tree.value, axes)
        whole = ast.unparse(tree.value).replace("self.", "")
        if whole.replace(".", "").isidentifier():
            return singular(whole)
    text = re.sub(r"\b(?:self|np|numpy|mg|minigrad)\.", "", ast.unparse(tree))
    if isinstance(tree, ast.Call) and len(text) > LONGEST_CALL:
        return f"{ast.unparse(tree.func).split('.')[-1]}(…)"
    return text if len(text) <= LONGEST else ""


def _takes_a_step(index: ast.expr, axes: int) -> bool:
    """Whether an index is a variable for each axis of time, or fewer, beside all of the other axes:
    x[t], x[:, t] and x[:, None]; in two axes also x[i, j]."""
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    rest = [ast.unparse(part) for part in parts if not isinstance(part, ast.Name)]
    return len(parts) - len(rest) <= axes and {*rest} <= {":", "...", "None"}
