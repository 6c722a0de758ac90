"""The shape and dtype of a gradient: broadcasting is undone here, and nowhere else."""

from __future__ import annotations

import dis
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np

from minigrad.primitive import Scatter
from minigrad.scope import recording
from minigrad.source import Source
from minigrad.tensor import Array, Tensor

Rule = Callable[..., Any]


def fit(dx: Any, x: Tensor, node: Tensor, rule: Rule) -> Any:
    """What a rule of the node gave for its input x, with the shape and dtype of x.

    It is summed over the axes along which the forward broadcast x.  Raises TypeError or ValueError
    for what no rule may give, with the name of the rule.
    """
    array = x._array
    if type(dx) is Array and dx.dtype is array.dtype and dx.shape == array.shape:
        return dx
    if dx is None:
        check_returns(rule)
        return None
    if isinstance(dx, Scatter):
        return dx
    if recording.get().tracing:
        dx = dx if isinstance(dx, Tensor) else Tensor(dx)
    elif type(dx) is not Array:  # a rule may have called a function of tensors on its arrays
        dx = dx._array if isinstance(dx, Tensor) else np.asarray(dx)
    if dx.dtype.kind not in "fiu":
        found = f"a gradient of dtype {dx.dtype}"
        raise TypeError(f"{rule.__name__} returned {found}; write a mask as dy * mask")
    if dx.shape != array.shape:
        dx = summed(dx, x, node, rule)
    return dx if dx.dtype == array.dtype else dx.astype(array.dtype)


def summed(dx: Any, x: Tensor, node: Tensor, rule: Rule) -> Any:
    """A gradient of x, summed over the axes along which the forward broadcast x."""
    result = None if node.op.variadic else node.shape
    axes = stretched_axes(dx.shape, x.shape, result)
    if (
        result is None and axes
    ):  # axes of einsum meet by letter: their lengths are those of some input
        lengths = {n for y in (node, *node.inputs) for n in y.shape}
        axes = axes if all(dx.shape[k] in lengths for k in axes) else None
    if axes is None:
        found = f"a gradient of shape {dx.shape} for an input of shape {x.shape}"
        raise ValueError(f"{rule.__name__} returned {found}")
    if dx.size != x.size:
        dx = dx.sum(axis=axes)
    return dx if dx.shape == x.shape else dx.reshape(x.shape)


@lru_cache(maxsize=4096)
def stretched_axes(
    found: tuple[int, ...], wanted: tuple[int, ...], result: tuple[int, ...] | None
) -> tuple[int, ...] | None:
    """The axes of a gradient of shape `found` along which an input of shape `wanted` was broadcast.

    None where the gradient is not that of an input that was broadcast to the shape `result`.
    """
    shape = (1,) * (len(found) - len(wanted)) + wanted
    if len(shape) != len(found):
        return None
    axes = tuple([k for k, n in enumerate(shape) if n != found[k]])
    if any(shape[k] != 1 for k in axes):
        return None
    if result is None:
        return axes
    result = (1,) * (len(found) - len(result)) + result
    result = result[len(result) - len(found) :]
    return axes if all(result[k] == found[k] for k in axes) else None


def check_returns(rule: Rule) -> None:
    """Raise TypeError for a rule that gave None because its `return` is missing."""
    if forgets_to_return(rule):
        hint = "write return dx, or return None for a gradient of zero"
        raise TypeError(f"{rule.__name__} returned nothing; {hint}")


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
