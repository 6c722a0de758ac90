"""Elementwise primitives as ONNX operators: one operator each, or a short formula."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from nn.interchange.table import translates
from nn.interchange.writing import Writer, number, operands

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


OF_TRUTH = {"add": "Or", "maximum": "Or", "minimum": "And", "multiply": "And"}


@translates(*DIRECT)
def direct(write: Writer, node: mg.Tensor) -> Any:
    """The operator of the table, on inputs of the result's dtype; NumPy adds truth values too."""
    table = OF_TRUTH if node.dtype == np.bool_ else DIRECT
    if node.op.name not in table:
        raise write.refusal(node, "of truth values")
    return write(table[node.op.name], *operands(write, node))


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
    """eˣ − 1; for |x| < 1 as 2 exp(x/2) sinh(x/2), which keeps its digits for small x."""
    (x,), one = operands(write, node), number(write, node, 1)
    half = write("Mul", x, number(write, node, 0.5))
    product = write("Mul", write("Exp", half), write("Sinh", half))
    plain = write("Sub", write("Exp", x), one)
    small = write("Less", write("Abs", x), one)
    return write("Where", small, write("Add", product, product), plain)


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
    """m √((a/m)² + (b/m)²) with m the greater of |a| and |b|, so that no square overflows.

    Infinite where one of them is, beside NaN too.
    """
    a, b = (write("Abs", x) for x in operands(write, node))
    infinite = write("Or", write("IsInf", a), write("IsInf", b))
    m, zero = write("Max", a, b), number(write, node, 0)
    spared = write("Where", write("Equal", m, zero), number(write, node, 1), m)
    a, b = write("Div", a, spared), write("Div", b, spared)
    y = write("Mul", m, write("Sqrt", write("Add", write("Mul", a, a), write("Mul", b, b))))
    return write("Where", infinite, number(write, node, np.inf), y)


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
