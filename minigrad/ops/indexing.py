"""Picking elements by index.  Imports `primitive` and `front`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.ops.front import named
from minigrad.primitive import Scatter, primitive
from minigrad.tensor import Tensor

__all__ = ["getitem", "repeat", "take", "take_along_axis", "tile"]


@primitive
@named("getitem")
def picked(x, *, index):
    """y = x[index]."""
    return x[index]


@picked.gradient
def getitem_dx(dy, y, x, index):
    return Scatter(index, dy)


def getitem(x: Any, index: Any) -> Any:
    """y = x[index]: slices, integers, boolean and integer arrays, as in NumPy."""
    return picked(x, index=index if type(index) in (int, slice) else kept(index))


def kept(index: Any) -> Any:
    """An index that the graph may keep: copies in place of tensors, and of arrays and lists that may change."""
    if isinstance(index, tuple):
        return tuple(kept(part) for part in index)
    return np.array(index) if isinstance(index, Tensor | np.ndarray | list) else index


def take(a: Any, indices: Any, axis: Any = None, mode: Any = "raise") -> Any:
    """The elements (axis=None: of the flattened array) or slices at these integer indices."""
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    indices = np.asarray(indices)
    if mode == "wrap":
        indices = indices % a.shape[axis]
    elif mode == "clip":
        indices = np.clip(indices, 0, a.shape[axis] - 1)
    return getitem(a, index=(*(slice(None),) * (axis % a.ndim), indices))


def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    """The elements at integer indices that are given for every position of the other axes."""
    indices = np.asarray(indices)
    if axis is None:
        return getitem(np.reshape(arr, -1), index=indices)
    grid = list(np.ogrid[tuple(slice(n) for n in indices.shape)])
    grid[axis] = indices
    return getitem(arr, index=tuple(grid))


def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    """Each element (axis=None: of the flattened array) or slice several times in a row."""
    n = a.size if axis is None else a.shape[axis]
    return take(a, np.repeat(np.arange(n), np.asarray(repeats)), axis)


def tile(A: Any, reps: Any) -> Any:
    """The whole array several times along each axis."""
    reps = tuple(np.atleast_1d(reps).tolist())
    shape = (1,) * (len(reps) - A.ndim) + A.shape
    reps = (1,) * (len(shape) - len(reps)) + reps
    pairs = [k for pair in zip(reps, shape, strict=True) for k in pair]
    with_ones = [k for n in shape for k in (1, n)]
    whole = np.broadcast_to(np.reshape(A, with_ones), pairs)
    return np.reshape(whole, tuple(r * n for r, n in zip(reps, shape, strict=True)))
