"""Joining tensors, and taking one apart into several.  Imports `primitive` and `front`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.ops.front import named, sequence
from minigrad.primitive import primitive

__all__ = ["array_split", "concatenate", "split", "stack", "unstack"]


@sequence
@primitive
def concatenate(*xs, axis=0):
    """Joined along an axis that exists (None: flattened first)."""
    return np.concatenate(xs, axis)


@concatenate.gradients
def concatenate_dxs(dy, y, *xs, axis=0):
    if axis is None:
        parts = pieces(dy, [x.size for x in xs], 0)
        return tuple(np.reshape(part, x.shape) for part, x in zip(parts, xs, strict=True))
    return pieces(dy, [x.shape[axis] for x in xs], axis)


def pieces(x: Any, lengths: Any, axis: Any) -> Any:
    """x cut along the axis into pieces of these lengths."""
    before = (slice(None),) * (axis % x.ndim)
    ends = np.cumsum(lengths).tolist()
    return tuple(x[(*before, slice(end - n, end))] for end, n in zip(ends, lengths, strict=True))


@sequence
@primitive
def stack(*xs, axis=0):
    """Joined along a new axis."""
    return np.stack(xs, axis)


@stack.gradients
def stack_dxs(dy, y, *xs, axis=0):
    before = (slice(None),) * (axis % dy.ndim)
    return tuple(dy[(*before, k)] for k in range(len(xs)))


def all_given(dy: Any, y: Any) -> Any:
    """The gradients of all outputs, zeros for those that do not reach the loss: they take no memory."""
    return [
        np.broadcast_to(np.zeros((), v.dtype), v.shape) if d is None else d
        for d, v in zip(dy, y, strict=True)
    ]


@primitive
def unstack(x, *, axis=0):
    """The slices along an axis, as a tuple; the backward pass puts them together once, so it is linear in T.

    Shapes: (T, ...) → T times (...).
    """
    return tuple(np.moveaxis(x, axis, 0))


@unstack.gradients
def unstack_dx(dy, y, x, axis=0):
    return (np.stack(all_given(dy, y), axis),)


@primitive
@named("split")
def split_at(x, *, ends, axis):
    """The pieces of x along the axis that end at these positions, as a tuple."""
    before = (slice(None),) * (axis % x.ndim)
    parts, start = [], 0
    for end in ends:
        parts.append(x[(*before, slice(start, end))])
        start = end
    return tuple(parts)


@split_at.gradients
def split_dx(dy, y, x, ends, axis):
    return (np.concatenate(all_given(dy, y), axis),)


def split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    """The pieces of an array along an axis, as a tuple: a number of equal ones, or cut before each given index."""
    n = ary.shape[axis]
    if not hasattr(indices_or_sections, "__len__") and n % indices_or_sections:
        raise ValueError(
            f"split: axis {axis} of length {n} has no {indices_or_sections} equal parts; see array_split"
        )
    return array_split(ary, indices_or_sections, axis)


def array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    """As `split`, where the number of pieces need not divide the length: the first ones are longer by one."""
    n, k = ary.shape[axis], indices_or_sections
    if hasattr(k, "__len__"):
        ends: Any = (*k, n)
    else:  # of equal parts a range, which costs nothing
        ends = (
            range(n // k, n + 1, n // k)
            if n and n % k == 0
            else [n // k * j + min(j, n % k) for j in range(1, k + 1)]
        )
    return split_at(ary, ends=ends, axis=axis)
