"""Joining tensors, and taking one apart into several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.operators import Operand
from minigrad.ops.signatures import as_tensor, joining, np
from minigrad.primitive import Primitive, primitive
from minigrad.tensor import Tensor

__all__ = ["array_split", "concatenate", "split", "stack", "unstack"]


@primitive(numpy=joining, linear=True)
def concatenate(*xs, axis=0):
    """Joined along an axis that exists (None: flattened first).

    >>> import minigrad as mg
    >>> mg.concatenate([mg.tensor([1.0]), mg.tensor([2.0, 3.0])])
    tensor([1., 2., 3.])
    """
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
    parts, start = [], 0
    for n in lengths:
        parts.append(x[(*before, slice(start, start + n))])
        start += n
    return tuple(parts)


@primitive(numpy=joining, linear=True)
def stack(*xs, axis=0):
    """Joined along a new axis.

    >>> import minigrad as mg
    >>> mg.stack([mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0])])
    tensor([[1., 2.],
            [3., 4.]])
    """
    return np.stack(xs, axis)


@stack.gradients
def stack_dxs(dy, y, *xs, axis=0):
    before = (slice(None),) * (axis % dy.ndim)
    return tuple(dy[(*before, k)] for k in range(len(xs)))


def all_given(dy: Any, y: Any) -> Any:
    """The gradients of all outputs; of those that do not reach the loss, zeros without memory."""
    return [
        np.broadcast_to(np.zeros((), v.dtype), v.shape) if d is None else d
        for d, v in zip(dy, y, strict=True)
    ]


def unstack_like_numpy(op: Primitive, x: Operand, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis, as a tuple; the backward pass stacks their gradients once.

    So it is linear in T.  Shapes: (T, ...) → T times (...).

    >>> import minigrad as mg
    >>> mg.unstack(mg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    (tensor([1., 2.]), tensor([3., 4.]))
    """
    return op.record(x, axis=axis)


@primitive(numpy=unstack_like_numpy)
def unstack(x, *, axis=0):
    return tuple(np.moveaxis(x, axis, 0))


@unstack.gradients
def unstack_dx(dy, y, x, axis=0):
    return (np.stack(all_given(dy, y), axis),)


Sections = int | Sequence[int]  # how many, or where to cut


def split_like_numpy(
    op: Primitive, ary: Operand, indices_or_sections: Sections, axis: int = 0
) -> tuple[Tensor, ...]:
    """The pieces of an array along an axis, as a tuple.

    indices_or_sections: a number of equal pieces, or the indices before which to cut.

    >>> import minigrad as mg, numpy as np
    >>> [part.shape for part in mg.split(mg.tensor(np.zeros((2, 8))), 4, axis=1)]
    [(2, 2), (2, 2), (2, 2), (2, 2)]
    """
    x = as_tensor(ary)
    n = x._array.shape[axis]
    if not hasattr(indices_or_sections, "__len__") and n % indices_or_sections:
        raise ValueError(
            f"split: axis {axis} of length {n} has no {indices_or_sections} equal parts; "
            "see array_split"
        )
    return op.record(x, ends=ends_of(indices_or_sections, n), axis=axis)


def ends_of(sections: Any, n: int) -> Any:
    """Where the pieces of an axis of length n end; of equal ones a range, which costs nothing."""
    if hasattr(sections, "__len__"):
        return (*sections, n)
    k = int(sections)
    if n and n % k == 0:
        return range(n // k, n + 1, n // k)
    return [n // k * j + min(j, n % k) for j in range(1, k + 1)]


@primitive(numpy=split_like_numpy)
def split(x, *, ends, axis):
    before = (slice(None),) * (axis % x.ndim)
    parts, start = [], 0
    for end in ends:
        parts.append(x[(*before, slice(start, end))])
        start = end
    return tuple(parts)


@split.gradients
def split_dx(dy, y, x, ends, axis):
    return (np.concatenate(all_given(dy, y), axis),)


def array_split(ary: Operand, indices_or_sections: Sections, axis: int = 0) -> tuple[Tensor, ...]:
    """As `split`, where the number of pieces need not divide the length.

    The first pieces are then longer by one.
    """
    x = as_tensor(ary)
    return split.record(x, ends=ends_of(indices_or_sections, x.shape[axis]), axis=axis)
