"""The same elements in another shape or order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import DTypeLike

from minigrad.operators import Axes, Operand, functions
from minigrad.ops.signatures import as_tensor, np, some_axes
from minigrad.primitive import Primitive, primitive
from minigrad.tensor import Tensor, constant

__all__ = [
    "astype",
    "broadcast_to",
    "expand_dims",
    "flatten",
    "flip",
    "moveaxis",
    "pad",
    "ravel",
    "reshape",
]
__all__ += ["roll", "squeeze", "swapaxes", "transpose"]


def reshape_like_numpy(op: Primitive, a: Operand, *lengths: Any, shape: Any = None) -> Tensor:
    """The elements in another shape; one length may be −1.

    The shape is one argument, as in NumPy, or several: `reshape(a, 2, 3)`.

    >>> import minigrad as mg
    >>> mg.reshape(mg.tensor([1.0, 2.0, 3.0, 4.0]), (2, -1))
    tensor([[1., 2.],
            [3., 4.]])
    """
    return op.record(a, shape=one_or_several(lengths, shape))


def one_or_several(values: tuple[Any, ...], value: Any) -> Any:
    """What is given by name, else as one argument, else as several."""
    if not values:
        return value
    return values[0] if len(values) == 1 else values


@primitive(numpy=reshape_like_numpy, linear=True)
def reshape(a, *, shape):
    return np.reshape(a, shape)


@primitive
def ravel(a: Operand) -> Any:
    """The elements in one axis."""
    return np.ravel(a)


flatten = ravel


def expand_dims_like_numpy(op: Primitive, a: Operand, axis: int | Sequence[int]) -> Tensor:
    """With a new axis of length 1 at each place of `axis`.

    >>> import minigrad as mg
    >>> mg.expand_dims(mg.tensor([1.0, 2.0]), 1).shape
    (2, 1)
    """
    return op.record(a, axis=axis)


@primitive(numpy=expand_dims_like_numpy, linear=True)
def expand_dims(a, *, axis):
    return np.expand_dims(a, axis)


@primitive(numpy=some_axes)
def squeeze(a, *, axis=None):
    """Without the axes of length 1 (all of them, or those given).

    >>> import minigrad as mg
    >>> mg.squeeze(mg.tensor([[1.0, 2.0]])).shape
    (2,)
    """
    return np.squeeze(a, axis)


@reshape.gradient
@ravel.gradient
@expand_dims.gradient
@squeeze.gradient
def reshaped_da(dy, y, a, **constants):
    return np.reshape(dy, a.shape)


def transpose_like_numpy(op: Primitive, a: Operand, *order: Any, axes: Any = None) -> Tensor:
    """The axes in another order; by default reversed.

    The order is one argument, as in NumPy, or several: `transpose(a, 1, 0)`.

    >>> import minigrad as mg, numpy as np
    >>> mg.transpose(mg.tensor(np.zeros((2, 3, 4))), (2, 0, 1)).shape
    (4, 2, 3)
    """
    chosen = one_or_several(order, axes)
    if len(order) == 2 and np.ndim(a) != 2:
        raise ValueError(
            f"transpose: shape {np.shape(a)} has {np.ndim(a)} axes, found the order {order}; to "
            f"exchange two of them write t.swapaxes{order}"
        )
    return op.record(a, axes=chosen)


@primitive(numpy=transpose_like_numpy)
def transpose(a, *, axes=None):
    return np.transpose(a, axes)


@transpose.gradient
def transpose_da(dy, y, a, axes=None):
    inverse = None if axes is None else np.argsort([k % a.ndim for k in axes]).tolist()
    return np.transpose(dy, inverse)


def swapaxes_like_numpy(op: Primitive, a: Operand, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged.

    >>> import minigrad as mg, numpy as np
    >>> mg.swapaxes(mg.tensor(np.zeros((2, 3, 4))), 0, 2).shape
    (4, 3, 2)
    """
    return op.record(a, axis1=axis1, axis2=axis2)


@primitive(numpy=swapaxes_like_numpy)
def swapaxes(a, *, axis1, axis2):
    return np.swapaxes(a, axis1, axis2)


@swapaxes.gradient
def swapaxes_da(dy, y, a, axis1, axis2):
    return np.swapaxes(dy, axis1, axis2)


def moveaxis_like_numpy(
    op: Primitive, a: Operand, source: int | Sequence[int], destination: int | Sequence[int]
) -> Tensor:
    """Axes moved to other places.

    >>> import minigrad as mg, numpy as np
    >>> mg.moveaxis(mg.tensor(np.zeros((2, 3, 4))), 0, -1).shape
    (3, 4, 2)
    """
    return op.record(a, source=source, destination=destination)


@primitive(numpy=moveaxis_like_numpy)
def moveaxis(a, *, source, destination):
    return np.moveaxis(a, source, destination)


@moveaxis.gradient
def moveaxis_da(dy, y, a, source, destination):
    return np.moveaxis(dy, destination, source)


def broadcast_to_like_numpy(op: Primitive, a: Operand, shape: int | Sequence[int]) -> Tensor:
    """Repeated along axes of length 1 and new leading axes.

    >>> import minigrad as mg
    >>> mg.broadcast_to(mg.tensor([1.0, 2.0]), (2, 2))
    tensor([[1., 2.],
            [1., 2.]])
    """
    return op.record(a, shape=shape)


@primitive(numpy=broadcast_to_like_numpy)
def broadcast_to(a, *, shape):
    return np.broadcast_to(a, shape)


@broadcast_to.gradient
def broadcast_to_da(dy, y, a, shape):
    return dy


@primitive(numpy=some_axes)
def flip(m, *, axis=None):
    """The order of the elements reversed along the axis (None: all).

    >>> import minigrad as mg
    >>> mg.flip(mg.tensor([1.0, 2.0, 3.0]))
    tensor([3., 2., 1.])
    """
    return np.flip(m, axis)


@flip.gradient
def flip_dm(dy, y, m, axis=None):
    return np.flip(dy, axis)


def roll_like_numpy(
    op: Primitive, a: Operand, shift: int | Sequence[int], axis: Axes = None
) -> Tensor:
    """The elements shifted along the axis; those that leave at the end come back at the start.

    >>> import minigrad as mg
    >>> mg.roll(mg.tensor([1.0, 2.0, 3.0]), 1)
    tensor([3., 1., 2.])
    """
    return op.record(a, shift=shift, axis=axis)


@primitive(numpy=roll_like_numpy)
def roll(a, *, shift, axis=None):
    return np.roll(a, shift, axis)


@roll.gradient
def roll_da(dy, y, a, shift, axis=None):
    return np.roll(dy, np.negative(shift).tolist(), axis)


def astype_like_numpy(op: Primitive, x: Operand, dtype: DTypeLike, copy: bool = True) -> Tensor:
    """The elements in another dtype; if it is not a floating one, the result has no history."""
    x = as_tensor(x)
    if np.dtype(dtype).kind != "f":
        return constant(x.data.astype(dtype))
    return x if x.dtype == dtype and not copy else op.record(x, dtype=np.dtype(dtype))


@primitive(numpy=astype_like_numpy)
def astype(x, *, dtype):
    return x.astype(dtype)


@astype.gradient
def astype_dx(dy, y, x, dtype):
    return dy


COPYING = ("edge", "reflect", "symmetric", "wrap")  # the modes of `pad` that repeat elements


def pad_like_numpy(
    op: Primitive,
    array: Operand,
    pad_width: Any,
    mode: str = "constant",
    constant_values: float = 0,
) -> Tensor:
    """Surround with elements: a constant, or copies.

    mode: constant, or one of NumPy's that copy: edge, reflect, symmetric, wrap.

    >>> import minigrad as mg
    >>> mg.pad(mg.tensor([1.0, 2.0]), 1)
    tensor([0., 1., 2., 0.])
    """
    if mode not in COPYING and mode != "constant":
        raise TypeError(
            f"pad: mode={mode!r} has no gradient rule; there are constant, {', '.join(COPYING)}"
        )
    x = as_tensor(array)
    widths = np.broadcast_to(pad_width, (x.ndim, 2)).tolist()
    if mode == "constant":
        return op.record(x, pad_width=widths, value=constant_values)
    for axis, width in enumerate(widths):
        places = np.pad(np.arange(x.shape[axis]), width, mode)
        x = functions["take"](x, places, axis)
    return x


@primitive(numpy=pad_like_numpy)
def pad(a, *, pad_width, value):
    return np.pad(a, pad_width, constant_values=value)


@pad.gradient
def pad_da(dy, y, a, pad_width, value):
    inside = [slice(before, before + n) for (before, _), n in zip(pad_width, a.shape, strict=True)]
    return dy[tuple(inside)]
