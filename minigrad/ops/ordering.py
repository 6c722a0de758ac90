"""Sorting, running extremes, and what is found in sorted values.  Imports other operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.ops.front import bare
from minigrad.ops.indexing import getitem, take, take_along_axis

__all__ = ["cummax", "cummin", "median", "partition", "percentile", "quantile", "sort", "unique"]


def sort(a: Any, axis: Any = -1, kind: Any = None) -> Any:
    """In ascending order along the axis (None: the flattened array); the gradient goes back to where each came from."""
    return take_along_axis(a, np.argsort(bare(a), axis=axis, kind=kind), axis)


def partition(a: Any, kth: Any, axis: Any = -1) -> Any:
    """Element number kth in its sorted place, smaller ones before it, greater ones after it."""
    return take_along_axis(a, np.argpartition(bare(a), kth, axis=axis), axis)


def unique(ar: Any) -> Any:
    """The different values in ascending order; the gradient goes to the first of equal ones."""
    return getitem(np.reshape(ar, -1), index=np.unique(bare(ar), return_index=True)[1])


def cummax(a: Any, axis: int = 0) -> Any:
    """Running maximum; of equal elements the latest gets the gradient."""
    x = bare(a)
    top = np.maximum.accumulate(x, axis=axis)
    counter = np.expand_dims(
        np.arange(x.shape[axis]), [k for k in range(x.ndim) if k != axis % x.ndim]
    )
    return take_along_axis(
        a, np.maximum.accumulate(np.where(x == top, counter, 0), axis=axis), axis
    )


def cummin(a: Any, axis: int = 0) -> Any:
    """Running minimum; of equal elements the latest gets the gradient."""
    return -cummax(-a, axis)


def quantile(a: Any, q: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The value below which the fraction q lies, linear between neighbours; q comes first in the result's shape."""
    axes = tuple(range(a.ndim)) if axis is None else np.atleast_1d(axis).tolist()
    last = np.moveaxis(a, axes, tuple(range(-len(axes), 0)))
    ordered = sort(np.reshape(last, (*last.shape[: a.ndim - len(axes)], -1)))
    place = np.asarray(q) * (ordered.shape[-1] - 1)
    below = np.clip(np.floor(place).astype(int), 0, ordered.shape[-1] - 1)
    above = np.minimum(below + 1, ordered.shape[-1] - 1)
    low, high = take(ordered, below, -1), take(ordered, above, -1)
    y = low + (high - low) * (place - below).astype(a.dtype)
    y = np.moveaxis(y, tuple(range(y.ndim - place.ndim, y.ndim)), tuple(range(place.ndim)))
    return np.expand_dims(y, tuple(k % a.ndim + place.ndim for k in axes)) if keepdims else y


def percentile(a: Any, q: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """As `quantile`, with q in percent."""
    return quantile(a, np.asarray(q) / 100, axis, keepdims)


def median(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The middle value; of an even number, the mean of the two in the middle."""
    return quantile(a, 0.5, axis, keepdims)
