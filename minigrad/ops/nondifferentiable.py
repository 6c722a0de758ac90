"""NumPy's functions without a derivative: they give tensors without history.  Imports `primitive`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.primitive import Primitive, primitive

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "argpartition",
    "argsort",
    "bincount",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "ceil",
    "digitize",
    "equal",
    "floor",
    "floor_divide",
    "greater",
    "greater_equal",
    "heaviside",
    "histogram",
    "invert",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "left_shift",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "nanargmax",
    "nanargmin",
    "not_equal",
    "right_shift",
    "rint",
    "searchsorted",
    "sign",
    "signbit",
    "spacing",
    "trunc",
]


def without_gradient(name: str) -> Primitive:
    """NumPy's function of that name as a primitive whose result never has a history."""
    function = getattr(np, name)

    def forward(*xs: Any, **constants: Any) -> Any:
        return function(*xs, **constants)

    forward.__name__ = name
    forward.__doc__ = f"As `numpy.{name}`; the result has no history."
    return primitive(differentiable=False)(forward)


less = without_gradient("less")
less_equal = without_gradient("less_equal")
greater = without_gradient("greater")
greater_equal = without_gradient("greater_equal")
equal = without_gradient("equal")
not_equal = without_gradient("not_equal")
logical_and = without_gradient("logical_and")
logical_or = without_gradient("logical_or")
logical_xor = without_gradient("logical_xor")
logical_not = without_gradient("logical_not")
bitwise_and = without_gradient("bitwise_and")
bitwise_or = without_gradient("bitwise_or")
bitwise_xor = without_gradient("bitwise_xor")
invert = without_gradient("invert")
left_shift = without_gradient("left_shift")
right_shift = without_gradient("right_shift")
isfinite = without_gradient("isfinite")
isnan = without_gradient("isnan")
isinf = without_gradient("isinf")
signbit = without_gradient("signbit")
sign = without_gradient("sign")
floor = without_gradient("floor")
ceil = without_gradient("ceil")
trunc = without_gradient("trunc")
rint = without_gradient("rint")
floor_divide = without_gradient("floor_divide")
heaviside = without_gradient("heaviside")
spacing = without_gradient("spacing")
isclose = without_gradient("isclose")

argmax = without_gradient("argmax")
argmin = without_gradient("argmin")
nanargmax = without_gradient("nanargmax")
nanargmin = without_gradient("nanargmin")
argsort = without_gradient("argsort")
argpartition = without_gradient("argpartition")
searchsorted = without_gradient("searchsorted")
all = without_gradient("all")
any = without_gradient("any")
digitize = without_gradient("digitize")
bincount = without_gradient("bincount")
histogram = without_gradient("histogram")
