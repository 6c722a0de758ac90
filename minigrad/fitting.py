"""The shape and dtype of a gradient: broadcasting is undone here, and nowhere else."""

from __future__ import annotations

import dis
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from minigrad.primitive import Scatter
from minigrad.scope import recording
from minigrad.source import Source
from minigrad.tensor import Tensor

Rule = Callable[..., Any]


def fit(dx: Any, x: Tensor, node: Tensor, rule: Rule | None) -> Any:
    """What a rule of the node gave for its input x, with the shape and dtype of x.

    It is summed over the axes along which the forward broadcast x.  Raises TypeError or ValueError
    for what no rule may give, with the name of the rule.
    """
    if isinstance(dx, Scatter):
        return dx
    name = getattr(rule, "__name__", node.op.name)
    if dx is None:
        if rule is not None and forgets_to_return(rule):
            hint = "write return dx, or return None for a gradient of zero"
            raise TypeError(f"{name} returned nothing; {hint}")
        return dx
    if recording.get().tracing:
        dx = dx if isinstance(dx, Tensor) else Tensor(dx)
    else:  # a rule may have called a function of tensors on its arrays
        dx = dx._array if isinstance(dx, Tensor) else np.asarray(dx)
    if dx.dtype.kind not in "fiu":
        found = f"a gradient of dtype {dx.dtype}"
        raise TypeError(f"{name} returned {found}; write a mask as dy * mask")
    if dx.shape != x.shape:
        stretched = stretched_axes(dx.shape, x.shape, node)
        if stretched is None:
            found = f"a gradient of shape {dx.shape} for an input of shape {x.shape}"
            raise ValueError(f"{name} returned {found}")
        dx = dx.sum(axis=stretched).reshape(x.shape)
    return dx if dx.dtype == x.dtype else dx.astype(x.dtype)


def stretched_axes(
    found: tuple[int, ...], wanted: tuple[int, ...], node: Tensor
) -> tuple[int, ...] | None:
    """The axes of a gradient along which the forward broadcast an input of shape `wanted`.

    None where the gradient is not that of an input that was broadcast.
    """
    shape = (1,) * (len(found) - len(wanted)) + wanted
    if len(shape) != len(found):
        return None
    axes = tuple([k for k, n in enumerate(shape) if n != found[k]])
    if any(shape[k] != 1 for k in axes):
        return None
    if node.op.variadic:  # as einsum, whose axes meet by letter
        lengths = {n for x in (node, *node.inputs) for n in x.shape}
        return axes if all(found[k] in lengths for k in axes) else None
    result = (1,) * (len(found) - node.ndim) + node.shape
    result = result[len(result) - len(found) :]
    return axes if all(result[k] == found[k] for k in axes) else None


@cache
def forgets_to_return(rule: Rule) -> bool:
    """Whether a rule can come to its end without a return, and nowhere says `return None`."""
    code = getattr(rule, "__code__", None)
    if code is None:
        return False
    steps = list(dis.get_instructions(code))
    ends = []
    for step, following in zip(steps, [*steps[1:], None]):
        loads = step.opname == "LOAD_CONST" and following is not None
        returns = loads and following is not None and following.opname == "RETURN_VALUE"
        if step.argval is None and (returns or step.opname == "RETURN_CONST"):
            ends.append(Source(code, step.offset).expression)
    return bool(ends) and not any(end in ("", "None", "return", "return None") for end in ends)
