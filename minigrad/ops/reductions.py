"""Sums, means, extremes and products along axes."""

from __future__ import annotations

import math
from typing import Any

from minigrad.operators import Operand
from minigrad.ops.elementwise import part_of
from minigrad.ops.signatures import (
    averaging,
    deviation,
    finite,
    np,
    reduction,
    with_reduced_axes,
)
from minigrad.primitive import Primitive, primitive
from minigrad.tensor import Tensor

__all__ = ["cumsum", "max", "mean", "min", "prod", "std", "sum", "var"]


@primitive(numpy=reduction, linear=True)
def sum(a, *, axis=None, keepdims=False):
    """y = Σ a over the axis (an int, several, or None for all).

    >>> import minigrad as mg
    >>> mg.sum(mg.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    tensor([4., 6.])
    """
    return np.sum(a, axis=axis, keepdims=keepdims)


@sum.gradient
def sum_da(dy, y, a, axis=None, keepdims=False):
    return np.broadcast_to(with_reduced_axes(dy, axis, keepdims), a.shape)


@primitive(numpy=averaging, linear=True)
def mean(a, *, axis=None, keepdims=False):
    """y = Σ a / n over the axis, n the number of elements.

    >>> import minigrad as mg
    >>> mg.mean(mg.tensor([[1.0, 3.0], [4.0, 2.0]]), axis=0)
    tensor([2.5, 2.5])
    """
    return np.mean(a, axis=axis, keepdims=keepdims)


@mean.gradient
def mean_da(dy, y, a, axis=None, keepdims=False):
    return np.broadcast_to(
        with_reduced_axes(dy, axis, keepdims) * (dy.size / (a.size or 1)), a.shape
    )


@primitive(numpy=deviation)
def var(a, *, axis=None, ddof=0, keepdims=False):
    """Variance over the axis:  y = Σ (a − mean a)² / (n − ddof).

    >>> import minigrad as mg
    >>> mg.var(mg.tensor([1.0, 3.0]))
    tensor(1)
    """
    return np.var(a, axis=axis, ddof=ddof, keepdims=keepdims)


@var.gradient
def var_da(dy, y, a, axis=None, ddof=0, keepdims=False):
    if not a.size:
        return np.zeros_like(a)
    n = a.size / dy.size - ddof
    return (
        with_reduced_axes(dy, axis, keepdims) * (a - np.mean(a, axis=axis, keepdims=True)) * (2 / n)
    )


@primitive(numpy=deviation)
def std(a, *, axis=None, ddof=0, keepdims=False):
    """Standard deviation over the axis:  y = √var a; where it is 0, so is its derivative.

    >>> import minigrad as mg
    >>> mg.std(mg.tensor([1.0, 3.0]))
    tensor(1)
    """
    return np.std(a, axis=axis, ddof=ddof, keepdims=keepdims)


@std.gradient
def std_da(dy, y, a, axis=None, ddof=0, keepdims=False):
    if not a.size:
        return np.zeros_like(a)
    n = a.size / dy.size - ddof
    length = with_reduced_axes(finite(y), axis, keepdims)
    part = part_of(a - np.mean(a, axis=axis, keepdims=True), length)
    return with_reduced_axes(dy, axis, keepdims) * part / n


@primitive(numpy=reduction)
def max(a, *, axis=None, keepdims=False):
    """The greatest element over the axis; ties share the gradient evenly.

    >>> import minigrad as mg
    >>> mg.max(mg.tensor([[1.0, 3.0], [4.0, 2.0]]), axis=1)
    tensor([3., 4.])
    """
    return np.max(a, axis=axis, keepdims=keepdims)


@primitive(numpy=reduction)
def min(a, *, axis=None, keepdims=False):
    """The smallest element over the axis; ties share the gradient evenly.

    >>> import minigrad as mg
    >>> mg.min(mg.tensor([[1.0, 3.0], [4.0, 2.0]]), axis=1)
    tensor([1., 2.])
    """
    return np.min(a, axis=axis, keepdims=keepdims)


@max.gradient
@min.gradient
def extreme_da(dy, y, a, axis=None, keepdims=False):
    top, dtop = with_reduced_axes(y, axis, keepdims), with_reduced_axes(dy, axis, keepdims)
    chosen = a == top
    share = dtop / np.maximum(np.sum(chosen, axis=axis, keepdims=True), 1)
    lost = np.isnan(top) & (dtop != 0)  # of a NaN nobody knows where the extreme lies
    return np.where(lost, np.nan, np.where(chosen, share, 0))


@primitive(numpy=reduction)
def prod(a, *, axis=None, keepdims=False):
    """y = Π a over the axis.

    >>> import minigrad as mg
    >>> mg.prod(mg.tensor([2.0, 3.0, 4.0]))
    tensor(24)
    """
    return np.prod(a, axis=axis, keepdims=keepdims)


@prod.gradient
def prod_da(dy, y, a, axis=None, keepdims=False):
    if can_be_divided(y, a):
        return with_reduced_axes(dy * y, axis, keepdims) / a
    return with_reduced_axes(dy, axis, keepdims) * product_of_others(a, axis)


def can_be_divided(y: Any, a: Any) -> bool:
    """Whether y / a is the product of the others: no zero is in it, nothing has left the range,
    and of a second derivative no rounding error is divided by something tiny."""
    if not np.all((y != 0) & np.isfinite(y)):
        return False
    if not isinstance(a, Tensor):
        return True
    sizes = np.abs(a.data)
    return a.size != y.size and np.min(sizes, initial=np.inf) > 1e-4 * np.max(sizes, initial=0)


def product_of_others(a: Any, axis: Any) -> Any:
    """For each element the product of the other elements over the axis; takes n² memory.

    Unlike Π a / a, it is right where elements are 0.
    """
    axes = tuple(range(a.ndim)) if axis is None else tuple(np.atleast_1d(axis).tolist())
    last = tuple(range(-len(axes), 0))
    moved = np.moveaxis(a, axes, last)
    count = math.prod(a.shape[k] for k in axes)
    rows = np.reshape(moved, (*moved.shape[: a.ndim - len(axes)], 1, count))
    itself = np.eye(rows.shape[-1], dtype=bool)
    others = np.prod(np.where(itself, 1, rows), axis=-1)
    return np.moveaxis(np.reshape(others, moved.shape), last, axes)


def cumsum_like_numpy(op: Primitive, a: Operand, axis: int | None = None) -> Tensor:
    """yₖ = a₀ + … + aₖ along the axis (None: of the flattened array).

    >>> import minigrad as mg
    >>> mg.cumsum(mg.tensor([1.0, 2.0, 3.0]))
    tensor([1., 3., 6.])
    """
    return op.record(a, axis=axis)


@primitive(numpy=cumsum_like_numpy)
def cumsum(a, *, axis=None):
    return np.cumsum(a, axis=axis)


@cumsum.gradient
def cumsum_da(dy, y, a, axis=None):
    where = 0 if axis is None else axis
    return np.reshape(np.flip(np.cumsum(np.flip(dy, where), where), where), a.shape)
