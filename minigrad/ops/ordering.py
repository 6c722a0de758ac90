"""Sorting, running extremes, and what is found in sorted values."""

from __future__ import annotations

import math
from typing import Any

from minigrad.operators import Axes, Operand
from minigrad.ops.indexing import getitem, take, take_along_axis
from minigrad.ops.reductions import mean
from minigrad.ops.signatures import arrays_of, as_tensor, np
from minigrad.tensor import Tensor

__all__ = ["cummax", "cummin", "median", "partition", "percentile", "quantile", "sort", "unique"]


def sort(a: Operand, axis: int | None = -1, kind: Any = None) -> Tensor:
    """In ascending order along the axis (None: the flattened array).

    The gradient goes back to where each element came from.

    >>> import minigrad as mg
    >>> mg.sort(mg.tensor([3.0, 1.0, 2.0]))
    tensor([1., 2., 3.])
    """
    return take_along_axis(a, np.argsort(arrays_of(a), axis=axis, kind=kind), axis)


def partition(a: Operand, kth: Any, axis: int | None = -1) -> Tensor:
    """Element number kth in its sorted place, smaller ones before it, greater ones after it."""
    return take_along_axis(a, np.argpartition(arrays_of(a), kth, axis=axis), axis)


def unique(ar: Operand) -> Tensor:
    """The different values in ascending order; the gradient goes to the first of equal ones."""
    _, places = np.unique(arrays_of(ar), return_index=True)
    return getitem(np.reshape(as_tensor(ar), -1), index=places)


def cummax(a: Operand, axis: int = 0) -> Tensor:
    """Running maximum; of equal elements the latest gets the gradient.

    >>> import minigrad as mg
    >>> mg.cummax(mg.tensor([1.0, 3.0, 2.0]))
    tensor([1., 3., 3.])
    """
    x = as_tensor(a).data
    top = np.maximum.accumulate(x, axis=axis)
    others = [k for k in range(x.ndim) if k != axis % x.ndim]
    counter = np.expand_dims(np.arange(x.shape[axis]), others)
    reached = (x == top) | (np.isnan(x) & np.isnan(top))
    places = np.where(reached, counter, 0)
    y = take_along_axis(a, np.maximum.accumulate(places, axis=axis), axis)
    return unless_nan(y, np.isnan(top), np.cumsum(a, axis))


def cummin(a: Operand, axis: int = 0) -> Tensor:
    """Running minimum; of equal elements the latest gets the gradient.

    >>> import minigrad as mg
    >>> mg.cummin(mg.tensor([2.0, 3.0, 1.0]))
    tensor([2., 2., 1.])
    """
    return -cummax(-as_tensor(a), axis)


def quantile(a: Operand, q: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The value below which the fraction q lies, linear between neighbours.

    The axes of q come first in the result's shape.
    """
    x, q = as_tensor(a), np.asarray(q)
    axes = tuple(range(x.ndim)) if axis is None else np.atleast_1d(axis).tolist()
    ordered = sorted_over(x, axis)
    place = q * (ordered.shape[-1] - 1)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, ordered.shape[-1] - 1)
    low, high = take(ordered, below, -1), take(ordered, above, -1)
    y = between(low, high, (place - below).astype(x.dtype))
    whole = np.expand_dims(np.sum(ordered, -1), tuple(range(-q.ndim, 0)))
    y = unless_nan(y, np.isnan(ordered.data).any(-1).reshape(whole.shape), whole)
    y = np.moveaxis(y, tuple(range(y.ndim - q.ndim, y.ndim)), tuple(range(q.ndim)))
    return np.expand_dims(y, tuple(k % x.ndim + q.ndim for k in axes)) if keepdims else y


def between(low: Tensor, high: Tensor, t: Any) -> Tensor:
    """low + t (high − low), from the nearer end, so that an infinite neighbour does no harm."""
    gap = high - low
    return np.where(t < 0.5, low + gap * t, high - gap * (1 - t))


def unless_nan(y: Tensor, lost: Any, sources: Tensor) -> Tensor:
    """y, and where it is lost NaN, with every derivative to what the sources are made of."""
    return np.where(lost, np.exp(sources) * np.nan, y) if np.any(lost) else y


def percentile(a: Operand, q: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """As `quantile`, with q in percent."""
    return quantile(a, np.asarray(q) / 100, axis, keepdims)


def median(a: Operand, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The middle value; of an even number, the mean of the two in the middle."""
    x = as_tensor(a)
    ordered = sorted_over(x, axis)
    n = ordered.shape[-1]
    middle = mean(ordered[..., (n - 1) // 2 : n // 2 + 1], -1)
    y = unless_nan(middle, np.isnan(ordered.data).any(-1), np.sum(ordered, -1))
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis).tolist()
    return np.expand_dims(y, tuple(k % x.ndim for k in axes)) if keepdims else y


def sorted_over(x: Tensor, axis: Axes) -> Tensor:
    """The elements of some axes (None: all) in ascending order, in one last axis."""
    axes = tuple(range(x.ndim)) if axis is None else np.atleast_1d(axis).tolist()
    last = np.moveaxis(x, axes, tuple(range(-len(axes), 0)))
    count = math.prod(x.shape[k] for k in axes)
    return sort(np.reshape(last, (*last.shape[: x.ndim - len(axes)], count)))
