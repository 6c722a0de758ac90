"""Functions of one or two numbers, applied to every element.  Imports `primitive` and `front`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.ops.front import over, times
from minigrad.primitive import Primitive, primitive

__all__ = [
    "abs",
    "absolute",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "cbrt",
]
__all__ += [
    "ceil",
    "conjugate",
    "copy",
    "copysign",
    "cos",
    "cosh",
    "deg2rad",
    "exp",
    "exp2",
    "expm1",
    "fabs",
]
__all__ += [
    "fix",
    "floor",
    "floor_divide",
    "fmod",
    "heaviside",
    "hypot",
    "log",
    "log1p",
    "log2",
    "log10",
]
__all__ += [
    "logaddexp",
    "logaddexp2",
    "negative",
    "positive",
    "rad2deg",
    "reciprocal",
    "remainder",
    "rint",
]
__all__ += ["round", "sign", "sin", "sinc", "sinh", "sqrt", "square", "tan", "tanh", "trunc"]


@primitive
def exp(x):
    """y = eˣ."""
    return np.exp(x)


@exp.gradient
def exp_dx(dy, y, x):
    return times(dy, y)


@primitive
def tanh(x):
    """Hyperbolic tangent:  y = tanh(x)."""
    return np.tanh(x)


@tanh.gradient
def tanh_dx(dy, y, x):
    return dy * (1 - y * y)


def ufunc(name: str, equation: str, *rules: Callable[..., Any]) -> Primitive:
    """NumPy's function of that name of one or two numbers, with the rule of each: (dy, y, x) or (dy, y, a, b)."""
    function = getattr(np, name)

    def unary(x: Any) -> Any:
        return function(x)

    def binary(a: Any, b: Any) -> Any:
        return function(a, b)

    forward = binary if len(rules) == 2 else unary
    forward.__name__, forward.__doc__ = name, f"{equation}, elementwise."
    op = primitive(forward)
    for rule, x in zip(rules, op.inputs, strict=True):
        rule.__name__ = f"{name}_d{x}"
        op.gradient(rule)
    return op


def flat(x: Any) -> Any:
    """The derivative of what is constant between jumps."""
    return np.zeros_like(x)


log = ufunc("log", "y = ln x", lambda dy, y, x: over(dy, x))
sqrt = ufunc("sqrt", "y = √x", lambda dy, y, x: over(0.5 * dy, y))
square = ufunc("square", "y = x²", lambda dy, y, x: dy * (2 * x))
absolute = ufunc("absolute", "y = |x|, with derivative 0 at 0", lambda dy, y, x: dy * np.sign(x))
negative = ufunc("negative", "y = −x", lambda dy, y, x: -dy)
sin = ufunc("sin", "y = sin x", lambda dy, y, x: dy * np.cos(x))
cos = ufunc("cos", "y = cos x", lambda dy, y, x: -dy * np.sin(x))
tan = ufunc("tan", "y = tan x", lambda dy, y, x: dy * (1 + y * y))
arcsin = ufunc("arcsin", "sin y = x", lambda dy, y, x: over(dy, np.sqrt(1 - x * x)))
arccos = ufunc("arccos", "cos y = x", lambda dy, y, x: -over(dy, np.sqrt(1 - x * x)))
arctan = ufunc("arctan", "tan y = x", lambda dy, y, x: dy / (1 + x * x))
sinh = ufunc(
    "sinh",
    "y = (eˣ − e⁻ˣ) / 2",
    lambda dy, y, x: dy * np.cosh(np.where((dy == 0) & np.isinf(y), 0, x)),
)
cosh = ufunc(
    "cosh",
    "y = (eˣ + e⁻ˣ) / 2",
    lambda dy, y, x: dy * np.sinh(np.where((dy == 0) & np.isinf(y), 0, x)),
)
arcsinh = ufunc("arcsinh", "sinh y = x", lambda dy, y, x: dy / np.hypot(x, 1))
arccosh = ufunc("arccosh", "cosh y = x", lambda dy, y, x: over(dy, np.sqrt(x - 1) * np.sqrt(x + 1)))
arctanh = ufunc("arctanh", "tanh y = x", lambda dy, y, x: over(dy, (1 - x) * (1 + x)))
exp2 = ufunc("exp2", "y = 2ˣ", lambda dy, y, x: times(dy, y) * np.log(2).item())
expm1 = ufunc("expm1", "y = eˣ − 1, exact for small x", lambda dy, y, x: times(dy, y + 1))
log1p = ufunc("log1p", "y = ln(1 + x), exact for small x", lambda dy, y, x: over(dy, 1 + x))
log2 = ufunc("log2", "2ʸ = x", lambda dy, y, x: over(dy, x) / np.log(2).item())
log10 = ufunc("log10", "10ʸ = x", lambda dy, y, x: over(dy, x) / np.log(10).item())
cbrt = ufunc("cbrt", "y³ = x", lambda dy, y, x: over(dy, 3 * y * y))
reciprocal = ufunc("reciprocal", "y = 1 / x", lambda dy, y, x: -over(over(dy, x), x))
deg2rad = ufunc("deg2rad", "y = π x / 180", lambda dy, y, x: dy * (np.pi / 180))
rad2deg = ufunc("rad2deg", "y = 180 x / π", lambda dy, y, x: dy * (180 / np.pi))
positive = ufunc("positive", "y = x", lambda dy, y, x: dy)
abs = fabs = absolute
copy = conjugate = positive

floor = ufunc("floor", "y = ⌊x⌋, with derivative 0", lambda dy, y, x: flat(x))
ceil = ufunc("ceil", "y = ⌈x⌉, with derivative 0", lambda dy, y, x: flat(x))
trunc = ufunc("trunc", "x without its fraction, with derivative 0", lambda dy, y, x: flat(x))
rint = ufunc("rint", "The nearest whole number, with derivative 0", lambda dy, y, x: flat(x))
sign = ufunc("sign", "−1, 0 or 1, with derivative 0", lambda dy, y, x: flat(x))
fix = trunc


def sinc(x: Any) -> Any:
    """y = sin(πx) / (πx), and 1 at 0, where the first derivatives are those of its series."""
    z = np.pi * x
    far = np.where(np.abs(z) < 1e-3, 1.0, z)
    series = 1 - z * z / 6 + z * z * z * z / 120
    return np.where(np.abs(z) < 1e-3, series, sin(far) / far)


@primitive
def round(a, *, decimals=0):
    """Rounded to so many decimals, with derivative 0."""
    return np.round(a, decimals)


@round.gradient
def round_da(dy, y, a, decimals=0):
    return np.zeros_like(a)


floor_divide = ufunc(
    "floor_divide",
    "y = ⌊a / b⌋, with derivative 0",
    lambda dy, y, a, b: flat(a),
    lambda dy, y, a, b: flat(b),
)
remainder = ufunc(
    "remainder",
    "y = a − b ⌊a / b⌋",
    lambda dy, y, a, b: dy,
    lambda dy, y, a, b: -dy * np.floor_divide(a, b),
)
fmod = ufunc(
    "fmod",
    "y = a − b trunc(a / b)",
    lambda dy, y, a, b: dy,
    lambda dy, y, a, b: -dy * np.trunc(a / b),
)
heaviside = ufunc(
    "heaviside",
    "0 where a < 0, b where a = 0, 1 where a > 0",
    lambda dy, y, a, b: flat(a),
    lambda dy, y, a, b: np.where(a == 0, dy, 0),
)
copysign = ufunc(
    "copysign",
    "|a| with the sign of b",
    lambda dy, y, a, b: dy * np.sign(a) * np.copysign(1.0, b),
    lambda dy, y, a, b: flat(b),
)
arctan2 = ufunc(
    "arctan2",
    "The angle of the point (b, a):  tan y = a / b",
    lambda dy, y, a, b: over(dy * b, a * a + b * b),
    lambda dy, y, a, b: -over(dy * a, a * a + b * b),
)
hypot = ufunc(
    "hypot",
    "y = √(a² + b²), with derivative 0 at the origin",
    lambda dy, y, a, b: dy * (a / np.where(y == 0, 1, y)),
    lambda dy, y, a, b: dy * (b / np.where(y == 0, 1, y)),
)
logaddexp = ufunc(
    "logaddexp",
    "y = ln(eᵃ + eᵇ), stable for any input",
    lambda dy, y, a, b: dy * np.exp(a - np.where(np.isfinite(y), y, 0)),
    lambda dy, y, a, b: dy * np.exp(b - np.where(np.isfinite(y), y, 0)),
)


def logaddexp2(a: Any, b: Any) -> Any:
    """y = log₂(2ᵃ + 2ᵇ), stable for any input."""
    ln2 = np.log(2).item()
    return np.logaddexp(a * ln2, b * ln2) / ln2
