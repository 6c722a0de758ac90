"""The table primitive → ONNX operators (opset 18).

A translation is called as `translation(write, node)`: it writes the operators that compute the node from its inputs,
and returns the name of the result (a tuple of names where the primitive has several outputs).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg
from nn.interchange.indexing import getitem
from nn.interchange.writing import Translate, Writer

TABLE: dict[str, Translate] = {"getitem": getitem}


def translates(*names: str) -> Callable[[Translate], Translate]:
    """Register the translation of these primitives."""

    def register(translation: Translate) -> Translate:
        TABLE.update(dict.fromkeys(names, translation))
        return translation

    return register


def operands(write: Writer, node: mg.Tensor) -> list[str]:
    """The inputs, in the dtype of the result."""
    return [write.operand(x, node.dtype) for x in node.inputs]


def number(write: Writer, node: mg.Tensor, value: float) -> str:
    """A constant in the dtype of the result."""
    return write.constant(value, node.dtype)


# one operator for one primitive

DIRECT = {
    "absolute": "Abs", "add": "Add", "add_up": "Sum", "arccos": "Acos", "arccosh": "Acosh",
    "arcsin": "Asin", "arcsinh": "Asinh", "arctan": "Atan", "arctanh": "Atanh", "ceil": "Ceil",
    "clip_gradient": "Identity", "cos": "Cos", "cosh": "Cosh", "cut": "Identity", "det": "Det",
    "divide": "Div", "exp": "Exp", "floor": "Floor", "log": "Log", "matmul": "MatMul",
    "maximum": "Max", "minimum": "Min", "multiply": "Mul", "negative": "Neg",
    "positive": "Identity", "power": "Pow", "reciprocal": "Reciprocal", "relu": "Relu",
    "rint": "Round", "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin", "sinh": "Sinh",
    "softplus": "Softplus", "sqrt": "Sqrt", "subtract": "Sub", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip


@translates(*DIRECT)
def direct(write: Writer, node: mg.Tensor) -> Any:
    """The operator of the table, on inputs of the result's dtype."""
    return write(DIRECT[node.op.name], *operands(write, node))


COMPARISONS = {
    "equal": "Equal", "greater": "Greater", "greater_equal": "GreaterOrEqual", "less": "Less",
    "less_equal": "LessOrEqual",
}  # fmt: skip
LOGIC = {
    "bitwise_and": "And", "bitwise_or": "Or", "bitwise_xor": "Xor", "invert": "Not",
    "logical_and": "And", "logical_not": "Not", "logical_or": "Or", "logical_xor": "Xor",
}  # fmt: skip


@translates(*COMPARISONS)
def compare(write: Writer, node: mg.Tensor) -> Any:
    """A comparison in the common dtype of its operands, where Python's numbers do not count."""
    common = np.result_type(*node.arrays)
    return write(COMPARISONS[node.op.name], *[write.operand(x, common) for x in node.inputs])


@translates("not_equal")
def not_equal(write: Writer, node: mg.Tensor) -> Any:
    """not (a = b)."""
    common = np.result_type(*node.arrays)
    return write("Not", write("Equal", *[write.operand(x, common) for x in node.inputs]))


@translates(*LOGIC)
def logic(write: Writer, node: mg.Tensor) -> Any:
    """Logic on truth values; the bits of integers have no operator."""
    if node.dtype != np.bool_:
        raise write.refusal(node, "of integers; truth values have operators")
    return write(LOGIC[node.op.name], *operands(write, node))


@translates("isnan", "isinf")
def is_special(write: Writer, node: mg.Tensor) -> Any:
    """IsNaN, IsInf."""
    return write({"isnan": "IsNaN", "isinf": "IsInf"}[node.op.name], write.value(node.inputs[0]))


@translates("isfinite")
def is_finite(write: Writer, node: mg.Tensor) -> Any:
    """Neither NaN nor infinite."""
    x = write.value(node.inputs[0])
    return write("Not", write("Or", write("IsNaN", x), write("IsInf", x)))


@translates("where")
def where(write: Writer, node: mg.Tensor) -> Any:
    """Elements of x where the condition holds, of y elsewhere."""
    condition, x, y = node.inputs
    chosen = write.operand(condition, np.dtype(bool))
    return write("Where", chosen, write.operand(x, node.dtype), write.operand(y, node.dtype))


@translates("astype")
def astype(write: Writer, node: mg.Tensor) -> Any:
    """The elements in another dtype."""
    return write("Cast", write.value(node.inputs[0]), to=node.dtype)


# short formulas


@translates("square")
def square(write: Writer, node: mg.Tensor) -> Any:
    """x · x."""
    (x,) = operands(write, node)
    return write("Mul", x, x)


FACTORS = {"deg2rad": np.pi / 180, "rad2deg": 180 / np.pi}
BASES = {"log2": 2.0, "log10": 10.0}


@translates(*FACTORS)
def scaled(write: Writer, node: mg.Tensor) -> Any:
    """x times a constant."""
    return write("Mul", *operands(write, node), number(write, node, FACTORS[node.op.name]))


@translates(*BASES)
def logarithm(write: Writer, node: mg.Tensor) -> Any:
    """ln x / ln base."""
    base = number(write, node, np.log(BASES[node.op.name]))
    return write("Div", write("Log", *operands(write, node)), base)


@translates("exp2")
def exp2(write: Writer, node: mg.Tensor) -> Any:
    """2ˣ."""
    return write("Pow", number(write, node, 2), *operands(write, node))


@translates("expm1")
def expm1(write: Writer, node: mg.Tensor) -> Any:
    """eˣ − 1 = 2 exp(x/2) sinh(x/2), which keeps its digits for small x."""
    half = write("Mul", *operands(write, node), number(write, node, 0.5))
    product = write("Mul", write("Exp", half), write("Sinh", half))
    return write("Add", product, product)


@translates("log1p")
def log1p(write: Writer, node: mg.Tensor) -> Any:
    """ln(1 + x); for |x| < 1/2 as 2 artanh(x / (2 + x)), which keeps its digits for small x."""
    (x,) = operands(write, node)
    small = write("Less", write("Abs", x), number(write, node, 0.5))
    ratio = write("Div", x, write("Add", x, number(write, node, 2)))
    series = write("Mul", number(write, node, 2), write("Atanh", ratio))
    plain = write("Log", write("Add", x, number(write, node, 1)))
    return write("Where", small, series, plain)


@translates("cbrt")
def cbrt(write: Writer, node: mg.Tensor) -> Any:
    """sign(x) |x|^(1/3)."""
    (x,) = operands(write, node)
    return write("Mul", write("Sign", x), write("Pow", write("Abs", x), number(write, node, 1 / 3)))


@translates("trunc")
def trunc(write: Writer, node: mg.Tensor) -> Any:
    """sign(x) ⌊|x|⌋."""
    (x,) = operands(write, node)
    return write("Mul", write("Sign", x), write("Floor", write("Abs", x)))


@translates("round")
def rounded(write: Writer, node: mg.Tensor) -> Any:
    """Round(10ᵈ x) / 10ᵈ."""
    scale = number(write, node, 10.0 ** node.constants["decimals"])
    return write("Div", write("Round", write("Mul", *operands(write, node), scale)), scale)


@translates("fmod")
def fmod(write: Writer, node: mg.Tensor) -> Any:
    """The remainder with the sign of a."""
    return write("Mod", *operands(write, node), fmod=1)


@translates("remainder")
def remainder(write: Writer, node: mg.Tensor) -> Any:
    """The remainder with the sign of b: that of fmod, plus b where the signs differ."""
    a, b = operands(write, node)
    r, zero = write("Mod", a, b, fmod=1), number(write, node, 0)
    differ = write("Xor", write("Less", r, zero), write("Less", b, zero))
    exact = write("Equal", r, zero)
    return write("Where", write("And", differ, write("Not", exact)), write("Add", r, b), r)


@translates("fmax", "fmin")
def skip_nan(write: Writer, node: mg.Tensor) -> Any:
    """Maximum or minimum, where a NaN counts as missing."""
    a, b = operands(write, node)
    both = write({"fmax": "Max", "fmin": "Min"}[node.op.name], a, b)
    return write("Where", write("IsNaN", a), b, write("Where", write("IsNaN", b), a, both))


@translates("heaviside")
def heaviside(write: Writer, node: mg.Tensor) -> Any:
    """b where a = 0, else 0 or 1 (a where that is NaN)."""
    a, b = operands(write, node)
    zero, one = number(write, node, 0), number(write, node, 1)
    y = write("Where", write("Less", a, zero), zero, one)
    y = write("Where", write("Equal", a, zero), b, y)
    return write("Where", write("IsNaN", a), a, y)


@translates("hypot")
def hypot(write: Writer, node: mg.Tensor) -> Any:
    """m √((a/m)² + (b/m)²) with m the greater of |a| and |b|, so that no square overflows."""
    a, b = (write("Abs", x) for x in operands(write, node))
    m, zero = write("Max", a, b), number(write, node, 0)
    spared = write("Where", write("Equal", m, zero), number(write, node, 1), m)
    a, b = write("Div", a, spared), write("Div", b, spared)
    return write("Mul", m, write("Sqrt", write("Add", write("Mul", a, a), write("Mul", b, b))))


@translates("logaddexp")
def logaddexp(write: Writer, node: mg.Tensor) -> Any:
    """max(a, b) + ln(1 + e^−|a − b|); a + ln 2 where both are equal, infinities too."""
    a, b = operands(write, node)
    gap = write("Neg", write("Abs", write("Sub", a, b)))
    y = write("Add", write("Max", a, b), write("Softplus", gap))
    twice = write("Add", a, number(write, node, np.log(2)))
    return write("Where", write("Equal", a, b), twice, y)


@translates("clip")
def clip(write: Writer, node: mg.Tensor) -> Any:
    """Min(Max(x, lo), hi); an open side is left out."""
    x, lo, hi = operands(write, node)
    if not np.all(np.isneginf(node.arrays[1])):
        x = write("Max", x, lo)
    if not np.all(np.isposinf(node.arrays[2])):
        x = write("Min", x, hi)
    return write("Identity", x)


# softmax and its relatives


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
    keepdims = node.constants["keepdims"]
    return reduced(write, "ReduceLogSumExp", *operands(write, node), axes_of(node), keepdims)


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


# shapes


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
    """Einsum with explicit letters."""
    equation = f"{','.join(node.constants['terms'])}->{node.constants['result']}"
    return write("Einsum", *operands(write, node), equation=equation)
