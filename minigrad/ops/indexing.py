"""Picking elements by index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from minigrad.operators import Operand
from minigrad.ops.signatures import as_tensor, np
from minigrad.primitive import Primitive, Scatter, primitive
from minigrad.tensor import Tensor

__all__ = ["getitem", "repeat", "take", "take_along_axis", "tile"]


def getitem_like_numpy(op: Primitive, x: Operand, index: Any) -> Tensor:
    """y = x[index]: slices, integers, boolean and integer arrays, as in NumPy."""
    return op.record(x, index=index if type(index) in (int, slice) else frozen_index(index))


@primitive(numpy=getitem_like_numpy)
def getitem(x, *, index):
    return x[index]


@getitem.gradient
def getitem_dx(dy, y, x, index):
    return Scatter(index, dy)


def frozen_index(index: Any) -> Any:
    """The index with arrays in place of lists and tensors."""
    if isinstance(index, tuple):
        return tuple(frozen_index(part) for part in index)
    return np.asarray(index) if isinstance(index, Tensor | list) else index


def take(a: Operand, indices: ArrayLike, axis: int | None = None, mode: str = "raise") -> Tensor:
    """The elements (axis=None: of the flattened array) or slices at these integer indices.

    >>> import minigrad as mg
    >>> mg.take(mg.tensor([1.0, 2.0, 3.0]), [2, 0])
    tensor([3., 1.])
    """
    x, places = as_tensor(a), np.asarray(indices)
    if axis is None:
        x, axis = np.reshape(x, -1), 0
    if mode == "wrap":
        places = places % x.shape[axis]
    elif mode == "clip":
        places = np.clip(places, 0, x.shape[axis] - 1)
    return getitem(x, index=(*(slice(None),) * (axis % x.ndim), places))


def take_along_axis(arr: Operand, indices: ArrayLike, axis: int | None = -1) -> Tensor:
    """The elements at integer indices that are given for every position of the other axes.

    >>> import minigrad as mg
    >>> mg.take_along_axis(mg.tensor([[1.0, 2.0], [3.0, 4.0]]), [[1], [0]])
    tensor([[2.],
            [3.]])
    """
    x, places = as_tensor(arr), np.asarray(indices)
    if axis is None:
        return getitem(np.reshape(x, -1), index=places)
    grid = list(np.ogrid[tuple(slice(n) for n in places.shape)])
    grid[axis] = places
    return getitem(x, index=tuple(grid))


def repeat(a: Operand, repeats: ArrayLike, axis: int | None = None) -> Tensor:
    """Each element (axis=None: of the flattened array) or slice several times in a row.

    >>> import minigrad as mg
    >>> mg.repeat(mg.tensor([1.0, 2.0]), 2)
    tensor([1., 1., 2., 2.])
    """
    x = as_tensor(a)
    if axis is not None and not -x.ndim <= axis < x.ndim:
        raise ValueError(
            f"repeat: axis {axis} of shape {x.shape} does not exist; the array as a whole is "
            f"repeated by np.tile(t, {(np.asarray(repeats).tolist(), axis)})"
        )
    n = x.size if axis is None else x.shape[axis]
    return take(x, np.repeat(np.arange(n), np.asarray(repeats)), axis)


def tile(A: Operand, reps: int | Sequence[int]) -> Tensor:
    """The whole array several times along each axis."""
    x, times = as_tensor(A), tuple(np.atleast_1d(reps).tolist())
    shape = (1,) * (len(times) - x.ndim) + x.shape
    times = (1,) * (len(shape) - len(times)) + times
    pairs = [k for pair in zip(times, shape, strict=True) for k in pair]
    with_ones = [k for n in shape for k in (1, n)]
    whole = np.broadcast_to(np.reshape(x, with_ones), pairs)
    return np.reshape(whole, tuple(r * n for r, n in zip(times, shape, strict=True)))
