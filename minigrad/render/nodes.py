"""What the engine recorded of the nodes of a graph, and kinds of operations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigrad.paths import Axis
from minigrad.scope import Scope
from minigrad.tensor import Tensor

# The coordinates of a time step, outermost first.  The axis is None for what the program computes
# outside of its loop, but for one step alone.
Path = tuple[tuple[Axis | None, int], ...]

TRANSPOSES = {"transpose", "swapaxes", "moveaxis"}
SPLITS = {"unstack", "split"}  # their rule runs once for all the parts that they make
INDEXING = {"getitem", "unstack"}
RESHAPES = {"reshape", "expand_dims", "squeeze", "broadcast_to", "astype", "ravel", "copy", "flip"}
FOLDED = TRANSPOSES | SPLITS | RESHAPES | {"getitem"}


def op_name(node: Tensor) -> str:
    """The name of a node's operation; "" of a leaf."""
    return node.op.name if node.op is not None else ""


def role_of(node: Tensor) -> str:
    """The kind of a node's role in a recurrence: "input", "state", "mask" or ""."""
    return node.role.kind if node.role is not None else ""


def forward_of(node: Tensor) -> Tensor | None:
    """The node whose rule made this one in a traced backward pass; None for all others."""
    return node._scope.node if node._scope is not None else None


def scopes_of(node: Tensor) -> list[Scope]:
    """The scopes that a node was made in, from the outermost in."""
    scope, found = node._scope, list[Scope]()
    while scope is not None:
        found.append(scope)
        scope = scope.parent
    return found[::-1]


def common_scope(paths: Iterable[str]) -> str:
    """The scope that several scopes have in common."""
    common = []
    for names in zip(*[path.split(".") for path in paths], strict=False):
        if len(set(names)) > 1:
            break
        common.append(names[0])
    return ".".join(common)


def path_of(node: Tensor) -> Path:
    """Where in time a node was made, outermost axis first."""
    return node.time.steps if node.time is not None else ()


def site_of(node: Tensor) -> tuple[Any, ...]:
    """The line of the program that made a node, and the one that called the module around it: the
    same in every time step."""
    which, scope = node.call.which if node.call is not None else None, node._scope
    called = (scope.path, scope.code, scope.instruction) if scope is not None else None
    return node._code, node._instruction, node.op, which, called
