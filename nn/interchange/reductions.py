"""Reductions as ONNX operators; softmax, and what is found along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from nn.interchange.table import translates
from nn.interchange.writing import Writer, number, operands


def axes_of(node: mg.Tensor) -> list[int]:
    """The axes of a reduction, as numbers from 0 on."""
    axis, ndim = node.constants["axis"], node.inputs[0].ndim
    if axis is None:
        return list(range(ndim))
    return sorted(int(k) % ndim for k in np.atleast_1d(axis)) if ndim else []


def reduced(write: Writer, op: str, x: str, axes: list[int], keepdims: bool) -> str:
    """An ONNX reduction; over no axes at all, nothing is reduced."""
    return str(
        write(op, x, write.ints(axes, "axes"), keepdims=int(keepdims), noop_with_empty_axes=1)
    )


@translates("logsumexp")
def logsumexp(write: Writer, node: mg.Tensor) -> Any:
    """ln Σ eˣ."""
    (x,), keepdims = operands(write, node), node.constants["keepdims"]
    return reduced(write, "ReduceLogSumExp", x, axes_of(node), keepdims)


@translates("softmax", "log_softmax")
def softmax(write: Writer, node: mg.Tensor) -> Any:
    """Softmax and LogSoftmax over one axis; x − ln Σ eˣ, or its exponential, over several."""
    (x,), axes = operands(write, node), axes_of(node)
    logarithmic = node.op.name == "log_softmax"
    if len(axes) == 1:
        return write("LogSoftmax" if logarithmic else "Softmax", x, axis=axes[0])
    y = write("Sub", x, reduced(write, "ReduceLogSumExp", x, axes, True))
    return y if logarithmic else write("Exp", y)


# reductions

REDUCTIONS = {
    "max": "ReduceMax",
    "mean": "ReduceMean",
    "min": "ReduceMin",
    "prod": "ReduceProd",
    "sum": "ReduceSum",
}


@translates(*REDUCTIONS)
def reduction(write: Writer, node: mg.Tensor) -> Any:
    """The ONNX reduction of the same name."""
    (x,), keepdims = operands(write, node), node.constants["keepdims"]
    return reduced(write, REDUCTIONS[node.op.name], x, axes_of(node), keepdims)


@translates("norm")
def norm(write: Writer, node: mg.Tensor) -> Any:
    """√Σ x²."""
    (x,), keepdims = operands(write, node), node.constants["keepdims"]
    return write("Sqrt", reduced(write, "ReduceSumSquare", x, axes_of(node), keepdims))


@translates("var", "std")
def variance(write: Writer, node: mg.Tensor) -> Any:
    """Σ (x − mean)² / (n − ddof), and its root."""
    (x,), axes, keepdims = operands(write, node), axes_of(node), node.constants["keepdims"]
    centred = write("Sub", x, reduced(write, "ReduceMean", x, axes, True))
    total = reduced(write, "ReduceSum", write("Mul", centred, centred), axes, keepdims)
    count = int(np.prod([node.inputs[0].shape[k] for k in axes])) - node.constants["ddof"]
    y = write("Div", total, number(write, node, count))
    return write("Sqrt", y) if node.op.name == "std" else y


@translates("cumsum")
def cumsum(write: Writer, node: mg.Tensor) -> Any:
    """CumSum; axis=None runs over the flattened array."""
    (x,), axis = operands(write, node), node.constants["axis"]
    if axis is None:
        x, axis = write("Reshape", x, write.ints([-1])), 0
    return write("CumSum", x, write.ints(axis, "axis"))


@translates("argmax", "argmin")
def extreme_index(write: Writer, node: mg.Tensor) -> Any:
    """ArgMax and ArgMin; axis=None counts in the flattened array."""
    x, *given = node.inputs
    value = write.value(x)
    axis = node.constants.get("axis", given[0].data.item() if given else None)
    keepdims = int(node.constants.get("keepdims", False))
    if axis is None:
        value, axis = write("Reshape", value, write.ints([-1])), 0
    op = {"argmax": "ArgMax", "argmin": "ArgMin"}[node.op.name]
    return write(op, value, axis=int(axis), keepdims=keepdims)
