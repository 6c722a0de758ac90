"""The same elements in another shape or order.  Imports `primitive` and `front`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.ops.front import named, shaped
from minigrad.primitive import primitive
from minigrad.tensor import constant

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


@shaped
@primitive
def reshape(a, *, shape):
    """The elements in another shape; one length may be −1."""
    return np.reshape(a, shape)


@primitive
def ravel(a):
    """The elements in one axis."""
    return np.ravel(a)


flatten = ravel


@primitive
def expand_dims(a, *, axis):
    """With a new axis of length 1 at each place of `axis`."""
    return np.expand_dims(a, axis)


@primitive
def squeeze(a, *, axis=None):
    """Without the axes of length 1 (all of them, or those given)."""
    return np.squeeze(a, axis)


@reshape.gradient
@ravel.gradient
@expand_dims.gradient
@squeeze.gradient
def reshaped_da(dy, y, a, **constants):
    return np.reshape(dy, a.shape)


@shaped
@primitive
def transpose(a, *, axes=None):
    """The axes in another order; by default reversed."""
    return np.transpose(a, axes)


@transpose.gradient
def transpose_da(dy, y, a, axes=None):
    return np.transpose(
        dy, None if axes is None else np.argsort([k % a.ndim for k in axes]).tolist()
    )


@primitive
def swapaxes(a, *, axis1, axis2):
    """Two axes exchanged."""
    return np.swapaxes(a, axis1, axis2)


@swapaxes.gradient
def swapaxes_da(dy, y, a, axis1, axis2):
    return np.swapaxes(dy, axis1, axis2)


@primitive
def moveaxis(a, *, source, destination):
    """Axes moved to other places."""
    return np.moveaxis(a, source, destination)


@moveaxis.gradient
def moveaxis_da(dy, y, a, source, destination):
    return np.moveaxis(dy, destination, source)


@primitive
def broadcast_to(a, *, shape):
    """Repeated along axes of length 1 and new leading axes."""
    return np.broadcast_to(a, shape)


@broadcast_to.gradient
def broadcast_to_da(dy, y, a, shape):
    return dy


@primitive
def flip(m, *, axis=None):
    """The order of the elements reversed along the axis (None: all)."""
    return np.flip(m, axis)


@flip.gradient
def flip_dm(dy, y, m, axis=None):
    return np.flip(dy, axis)


@primitive
def roll(a, *, shift, axis=None):
    """The elements shifted along the axis; those that leave at the end come back at the start."""
    return np.roll(a, shift, axis)


@roll.gradient
def roll_da(dy, y, a, shift, axis=None):
    return np.roll(dy, np.negative(shift).tolist(), axis)


@primitive
@named("astype")
def cast(x, *, dtype):
    """The elements in another floating dtype; the gradient comes back in the old one."""
    return x.astype(dtype)


@cast.gradient
def astype_dx(dy, y, x, dtype):
    return dy


def astype(x: Any, dtype: Any, copy: Any = True) -> Any:
    """The elements in another dtype; if it is not a floating one, the result has no history."""
    if np.dtype(dtype).kind == "f":
        return x if x.dtype == dtype and not copy else cast(x, dtype=np.dtype(dtype))
    return constant(x.data.astype(dtype))


@primitive
@named("pad")
def padded(a, *, pad_width, value):
    """Surrounded by a constant: pad_width[k] elements before and after along axis k."""
    return np.pad(a, pad_width, constant_values=value)


@padded.gradient
def pad_da(dy, y, a, pad_width, value):
    return dy[
        tuple(slice(before, before + n) for (before, _), n in zip(pad_width, a.shape, strict=True))
    ]


def pad(array: Any, pad_width: Any, mode: Any = "constant", constant_values: Any = 0) -> Any:
    """Surround with elements: a constant, or copies in one of NumPy's modes edge, reflect, symmetric, wrap."""
    widths = np.broadcast_to(pad_width, (array.ndim, 2)).tolist()
    if mode == "constant":
        return padded(array, pad_width=widths, value=constant_values)
    from minigrad.ops.indexing import take

    for axis, width in enumerate(widths):
        array = take(array, np.pad(np.arange(array.shape[axis]), width, mode), axis)
    return array
