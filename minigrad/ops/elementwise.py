"""Functions of one or two numbers, applied to every element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.operators import Operand
from minigrad.ops.signatures import as_tensor, np, safe_divide, safe_multiply
from minigrad.primitive import Primitive, primitive
from minigrad.tensor import Tensor

Rule = Callable[..., Any]

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
    "logaddexp",
    "logaddexp2",
    "negative",
    "positive",
    "rad2deg",
    "reciprocal",
    "remainder",
    "rint",
    "round",
    "sign",
    "sin",
    "sinc",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "trunc",
]


@primitive(elementwise=True)
def exp(x: Operand) -> Any:
    """y = eˣ.

    >>> import minigrad as mg
    >>> mg.exp(mg.tensor([0.0, 1.0]))
    tensor([1.    , 2.7183])
    """
    return np.exp(x)


@exp.gradient
def exp_dx(dy, y, x):
    return safe_multiply(dy, y)


@primitive(elementwise=True)
def tanh(x: Operand) -> Any:
    """Hyperbolic tangent:  y = tanh(x).

    >>> import minigrad as mg
    >>> mg.tanh(mg.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.7616,  0.    ,  0.7616])
    """
    return np.tanh(x)


@tanh.gradient
def tanh_dx(dy, y, x):
    return dy * (1 - y * y)


def unary(name: str, equation: str, dx: Rule, linear: bool = False) -> Primitive[Tensor, [Operand]]:
    """NumPy's function of that name of one number, and its rule: (dy, y, x)."""
    function = getattr(np, name)

    def forward(x: Any) -> Any:
        return function(x)

    return named(forward, name, equation, (dx,), linear)


def binary(
    name: str, equation: str, da: Rule, db: Rule, linear: bool = False
) -> Primitive[Tensor, [Operand, Operand]]:
    """NumPy's function of that name of two numbers, and the rule of each: (dy, y, a, b)."""
    function = getattr(np, name)

    def forward(a: Any, b: Any) -> Any:
        return function(a, b)

    return named(forward, name, equation, (da, db), linear)


def named(
    forward: Rule, name: str, equation: str, rules: tuple[Rule, ...], linear: bool
) -> Primitive:
    """The primitive of a forward and its rules under their names."""
    forward.__name__ = forward.__qualname__ = name
    forward.__doc__ = f"{equation}, elementwise."
    op = Primitive(forward, elementwise=True, linear=linear)
    for rule, x in zip(rules, op.inputs, strict=True):
        rule.__name__ = f"{name}_d{x}"
        op.gradient(rule)
    return op


def zeros(x: Any) -> Any:
    """The derivative of what is constant between jumps."""
    return np.zeros_like(x)


def within(domain: Any, x: Any) -> Any:
    """x, and NaN outside of the domain, to every order: there a function has no derivative."""
    return x * np.where(domain, np.ones_like(x), np.nan)


log = unary("log", "y = ln x", lambda dy, y, x: safe_divide(dy, within(x >= 0, x)))
sqrt = unary("sqrt", "y = √x", lambda dy, y, x: safe_divide(0.5 * dy, y))
square = unary("square", "y = x²", lambda dy, y, x: dy * (2 * x))
absolute = unary("absolute", "y = |x|, with derivative 0 at 0", lambda dy, y, x: dy * np.sign(x))
negative = unary("negative", "y = −x", lambda dy, y, x: -dy, linear=True)
sin = unary("sin", "y = sin x", lambda dy, y, x: dy * np.cos(x))
cos = unary("cos", "y = cos x", lambda dy, y, x: -dy * np.sin(x))
tan = unary("tan", "y = tan x", lambda dy, y, x: dy * (1 + y * y))
arcsin = unary("arcsin", "sin y = x", lambda dy, y, x: safe_divide(dy, np.sqrt(1 - x * x)))
arccos = unary("arccos", "cos y = x", lambda dy, y, x: -safe_divide(dy, np.sqrt(1 - x * x)))
arctan = unary("arctan", "tan y = x", lambda dy, y, x: dy / (1 + x * x))
sinh = unary(
    "sinh",
    "y = (eˣ − e⁻ˣ) / 2",
    lambda dy, y, x: dy * np.cosh(np.where((dy == 0) & np.isinf(y), 0, x)),
)
cosh = unary(
    "cosh",
    "y = (eˣ + e⁻ˣ) / 2",
    lambda dy, y, x: dy * np.sinh(np.where((dy == 0) & np.isinf(y), 0, x)),
)
arcsinh = unary("arcsinh", "sinh y = x", lambda dy, y, x: dy / np.hypot(x, 1))
arccosh = unary(
    "arccosh", "cosh y = x", lambda dy, y, x: safe_divide(dy, np.sqrt(x - 1) * np.sqrt(x + 1))
)
arctanh = unary(
    "arctanh",
    "tanh y = x",
    lambda dy, y, x: safe_divide(dy, within(np.abs(x) <= 1, (1 - x) * (1 + x))),
)
exp2 = unary("exp2", "y = 2ˣ", lambda dy, y, x: safe_multiply(dy, y) * np.log(2).item())
expm1 = unary("expm1", "y = eˣ − 1, exact for small x", lambda dy, y, x: safe_multiply(dy, y + 1))
log1p = unary(
    "log1p",
    "y = ln(1 + x), exact for small x",
    lambda dy, y, x: safe_divide(dy, within(x >= -1, 1 + x)),
)
log2 = unary(
    "log2", "2ʸ = x", lambda dy, y, x: safe_divide(dy, within(x >= 0, x)) / np.log(2).item()
)
log10 = unary(
    "log10", "10ʸ = x", lambda dy, y, x: safe_divide(dy, within(x >= 0, x)) / np.log(10).item()
)
cbrt = unary("cbrt", "y³ = x", lambda dy, y, x: safe_divide(dy, 3 * y * y))
reciprocal = unary("reciprocal", "y = 1 / x", lambda dy, y, x: -safe_divide(safe_divide(dy, x), x))
deg2rad = unary("deg2rad", "y = π x / 180", lambda dy, y, x: dy * (np.pi / 180))
rad2deg = unary("rad2deg", "y = 180 x / π", lambda dy, y, x: dy * (180 / np.pi))
positive = unary("positive", "y = x", lambda dy, y, x: dy)
abs = fabs = absolute
copy = conjugate = positive

floor = unary("floor", "y = ⌊x⌋, with derivative 0", lambda dy, y, x: zeros(x))
ceil = unary("ceil", "y = ⌈x⌉, with derivative 0", lambda dy, y, x: zeros(x))
trunc = unary("trunc", "x without its fraction, with derivative 0", lambda dy, y, x: zeros(x))
rint = unary("rint", "The nearest whole number, with derivative 0", lambda dy, y, x: zeros(x))
sign = unary("sign", "−1, 0 or 1, with derivative 0", lambda dy, y, x: zeros(x))
fix = trunc


def sinc(x: Operand) -> Tensor:
    """y = sin(πx) / (πx), and 1 at 0, where the first derivatives are those of its series."""
    z = np.pi * as_tensor(x)
    small = np.abs(z) < 1e-3
    near, far = np.where(small, z, 0.0), np.where(small, 1.0, z)
    series = 1 - near * near / 6 + near * near * near * near / 120
    return np.where(small, series, sin(far) / far)


def round_like_numpy(op: Primitive, a: Operand, decimals: int = 0) -> Tensor:
    """Rounded to so many decimals, with derivative 0."""
    return op.record(a, decimals=decimals)


@primitive(numpy=round_like_numpy)
def round(a, *, decimals=0):
    return np.round(a, decimals)


@round.gradient
def round_da(dy, y, a, decimals=0):
    return np.zeros_like(a)


floor_divide = binary(
    "floor_divide",
    "y = ⌊a / b⌋, with derivative 0",
    lambda dy, y, a, b: zeros(a),
    lambda dy, y, a, b: zeros(b),
)
remainder = binary(
    "remainder",
    "y = a − b ⌊a / b⌋",
    lambda dy, y, a, b: dy,
    lambda dy, y, a, b: -dy * np.floor_divide(a, b),
)
fmod = binary(
    "fmod",
    "y = a − b trunc(a / b)",
    lambda dy, y, a, b: dy,
    lambda dy, y, a, b: -dy * np.trunc(a / b),
)
heaviside = binary(
    "heaviside",
    "0 where a < 0, b where a = 0, 1 where a > 0",
    lambda dy, y, a, b: zeros(a),
    lambda dy, y, a, b: np.where(a == 0, dy, 0),
)
copysign = binary(
    "copysign",
    "|a| with the sign of b",
    lambda dy, y, a, b: dy * np.sign(a) * np.copysign(1.0, b),
    lambda dy, y, a, b: zeros(b),
)


@primitive(elementwise=True)
def share(a: Operand, r: Operand) -> Any:
    """y = a / r, and 0 where r is 0.  This is the derivative of a length r by a coordinate a.

    At the origin, where a length has no derivative, it is 0 by convention.  The derivative of
    `share` itself is not finite there, so that no second derivative is invented.
    """
    origin = r == 0
    return np.where(origin, 0, a / np.where(origin, 1, r))


@share.gradient
def share_da(dy, y, a, r):
    with np.errstate(divide="ignore", invalid="ignore"):
        return dy / r


@share.gradient
def share_dr(dy, y, a, r):
    with np.errstate(divide="ignore", invalid="ignore"):
        return -dy * a / (r * r)


def part_of(a: Any, r: Any) -> Any:
    """`share` for rules, which get arrays or tensors: of arrays it makes an array."""
    return share(a, r) if isinstance(a, Tensor) or isinstance(r, Tensor) else share.forward(a, r)


arctan2 = binary(
    "arctan2",
    "The angle of the point (b, a):  tan y = a / b",
    lambda dy, y, a, b: dy * part_of(b, a * a + b * b),
    lambda dy, y, a, b: -dy * part_of(a, a * a + b * b),
)
hypot = binary(
    "hypot",
    "y = √(a² + b²), with derivative 0 at the origin",
    lambda dy, y, a, b: dy * part_of(a, y),
    lambda dy, y, a, b: dy * part_of(b, y),
)


def share_of(x: Any, y: Any) -> Any:
    """e^(x − y), y being the logarithm of a sum that holds eˣ; 0 where the whole sum is 0."""
    with np.errstate(invalid="ignore"):  # ∞ − ∞ is NaN: the share is not known
        return np.exp(x - np.where(y == -np.inf, 0, y))


logaddexp = binary(
    "logaddexp",
    "y = ln(eᵃ + eᵇ), stable for any input",
    lambda dy, y, a, b: dy * share_of(a, y),
    lambda dy, y, a, b: dy * share_of(b, y),
)


def logaddexp2(a: Any, b: Any) -> Tensor:
    """y = log₂(2ᵃ + 2ᵇ), stable for any input."""
    ln2 = np.log(2).item()
    return logaddexp(a * ln2, b * ln2) / ln2
