"""Primitives that move elements, join and split, and einsum, as ONNX operators."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from nn.interchange.reductions import axes_of
from nn.interchange.table import translates
from nn.interchange.writing import Writer, number, operands


@translates("reshape")
def reshape(write: Writer, node: mg.Tensor) -> Any:
    """Reshape; 0 is a length, not a copy."""
    shape = np.atleast_1d(node.constants["shape"])
    return write("Reshape", *operands(write, node), write.ints(shape), allowzero=int(0 in shape))


@translates("ravel")
def ravel(write: Writer, node: mg.Tensor) -> Any:
    """Reshape to one axis."""
    return write("Reshape", *operands(write, node), write.ints([-1]))


@translates("expand_dims")
def expand_dims(write: Writer, node: mg.Tensor) -> Any:
    """Unsqueeze."""
    axes = np.atleast_1d(node.constants["axis"])
    return write("Unsqueeze", *operands(write, node), write.ints(axes, "axes"))


@translates("squeeze")
def squeeze(write: Writer, node: mg.Tensor) -> Any:
    """Squeeze the given axes, or those of length 1."""
    axis, shape = node.constants["axis"], node.inputs[0].shape
    axes = [k for k, n in enumerate(shape) if n == 1] if axis is None else np.atleast_1d(axis)
    return write("Squeeze", *operands(write, node), write.ints(axes, "axes"))


@translates("transpose", "swapaxes", "moveaxis")
def transpose(write: Writer, node: mg.Tensor) -> Any:
    """Transpose, in the order that NumPy gives to axes of the lengths 1, 2, 3, ..."""
    marked = np.empty(range(1, node.ndim + 1))
    order = [n - 1 for n in node.op.forward(marked, **node.constants).shape]
    return write("Transpose", *operands(write, node), perm=order)


@translates("broadcast_to")
def broadcast_to(write: Writer, node: mg.Tensor) -> Any:
    """Expand."""
    return write("Expand", *operands(write, node), write.ints(node.shape))


def part(write: Writer, x: str, axis: int, start: int, end: int, step: int = 1) -> str:
    """x[start:end:step] along one axis."""
    bounds = [write.ints([k], word) for k, word in ((start, "start"), (end, "end"), (axis, "axis"))]
    return str(write("Slice", x, *bounds, write.ints([step], "step")))


@translates("flip")
def flip(write: Writer, node: mg.Tensor) -> Any:
    """Slices with step −1."""
    (x,) = operands(write, node)
    for axis in axes_of(node):
        x = part(write, x, axis, -1, np.iinfo(np.int64).min, -1)
    return write("Identity", x)


@translates("roll")
def roll(write: Writer, node: mg.Tensor) -> Any:
    """The last elements before the first ones; axis=None rolls the flattened array."""
    (x,), axis, shape = operands(write, node), node.constants["axis"], node.shape
    if axis is None:
        x, axis, shape = write("Reshape", x, write.ints([-1])), 0, (node.size,)
    for shift, k in np.broadcast(node.constants["shift"], axis):
        first = -int(shift) % shape[k]
        tail = part(write, x, int(k), first, np.iinfo(np.int64).max)
        x = write("Concat", tail, part(write, x, int(k), 0, first), axis=int(k))
    return write("Reshape", x, write.ints(node.shape), allowzero=int(0 in node.shape))


@translates("pad")
def pad(write: Writer, node: mg.Tensor) -> Any:
    """Pad with a constant: first all widths before, then all behind."""
    widths = np.transpose(node.constants["pad_width"]).ravel()
    value = number(write, node, node.constants["value"])
    return write("Pad", *operands(write, node), write.ints(widths, "pads"), value)


# joining and splitting


@translates("concatenate")
def concatenate(write: Writer, node: mg.Tensor) -> Any:
    """Concat; axis=None flattens first."""
    xs, axis = operands(write, node), node.constants["axis"]
    if axis is None:
        xs, axis = [write("Reshape", x, write.ints([-1])) for x in xs], 0
    return write("Concat", *xs, axis=axis)


@translates("stack")
def stack(write: Writer, node: mg.Tensor) -> Any:
    """Unsqueeze each, then Concat."""
    axis = node.constants["axis"] % node.ndim
    parts = [
        write("Unsqueeze", x, write.ints([axis], "axes"), name="part")
        for x in operands(write, node)
    ]
    return write("Concat", *parts, axis=axis)


@translates("unstack")
def unstack(write: Writer, node: mg.Tensor) -> tuple[str, ...]:
    """One Gather for each part."""
    (x,), axis = node.inputs, node.constants["axis"]
    value = write.value(x)
    return tuple(
        write("Gather", value, write.ints(k, "index"), axis=axis) for k in range(x.shape[axis])
    )


@translates("split")
def split(write: Writer, node: mg.Tensor) -> Any:
    """Split at these ends."""
    (x,), ends = node.inputs, list(node.constants["ends"])
    sizes = write.ints(np.diff([0, *ends]), "sizes")
    axis = node.constants["axis"] % x.ndim
    return write("Split", write.value(x), sizes, outputs=len(ends), axis=axis)


@translates("einsum")
def einsum(write: Writer, node: mg.Tensor) -> Any:
    """Einsum with explicit letters; an axis of length 1 that NumPy would broadcast goes away."""
    terms = node.constants["terms"]
    lengths: dict[str, int] = {}
    for x, term in zip(node.inputs, terms, strict=True):
        lengths |= {c: n for c, n in zip(term, x.shape, strict=True) if n != 1}
    values, kept = [], []
    for x, term, value in zip(node.inputs, terms, operands(write, node), strict=True):
        ones = [k for k, c in enumerate(term) if x.shape[k] == 1 and c in lengths]
        axes = write.ints(ones, "axes") if ones else ""
        values.append(write("Squeeze", value, axes) if ones else value)
        kept.append("".join(c for k, c in enumerate(term) if k not in ones))
    return write("Einsum", *values, equation=f"{','.join(kept)}->{node.constants['result']}")
