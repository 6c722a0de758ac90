"""NumPy's functions without a derivative: they give tensors without history.  Imports `primitive`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.primitive import Primitive, primitive

__all__ = ["equal", "greater", "greater_equal", "isclose", "less", "less_equal", "not_equal"]
__all__ += ["isfinite", "isinf", "isnan", "logical_and", "logical_not", "logical_or", "logical_xor"]
__all__ += ["bitwise_and", "bitwise_or", "bitwise_xor", "invert", "isneginf", "isposinf", "signbit"]
__all__ += ["argmax", "argmin", "bitwise_count", "gcd", "lcm", "left_shift", "right_shift"]
__all__ += [
    "argpartition",
    "argsort",
    "digitize",
    "lexsort",
    "nanargmax",
    "nanargmin",
    "searchsorted",
]
__all__ += ["all", "any", "bincount", "count_nonzero", "histogram", "isin", "unravel_index"]


def without_gradient(name: str) -> Primitive:
    """NumPy's function of that name as a primitive whose result never has a history."""
    function = getattr(np, name)

    def forward(*xs: Any, **constants: Any) -> Any:
        return function(*xs, **constants)

    forward.__name__, forward.__doc__ = name, f"As `numpy.{name}`; the result has no history."
    return primitive(differentiable=False)(forward)


less, less_equal, greater, greater_equal = map(
    without_gradient, ("less", "less_equal", "greater", "greater_equal")
)
equal, not_equal, isclose, logical_and = map(
    without_gradient, ("equal", "not_equal", "isclose", "logical_and")
)
logical_or, logical_xor, logical_not, isfinite = map(
    without_gradient, ("logical_or", "logical_xor", "logical_not", "isfinite")
)
isnan, isinf, isposinf, isneginf = map(without_gradient, ("isnan", "isinf", "isposinf", "isneginf"))
signbit = without_gradient("signbit")

bitwise_and, bitwise_or, bitwise_xor, invert = map(
    without_gradient, ("bitwise_and", "bitwise_or", "bitwise_xor", "invert")
)
left_shift, right_shift, gcd, lcm = map(
    without_gradient, ("left_shift", "right_shift", "gcd", "lcm")
)
bitwise_count = without_gradient("bitwise_count")

argmax, argmin, nanargmax, nanargmin = map(
    without_gradient, ("argmax", "argmin", "nanargmax", "nanargmin")
)
argsort, argpartition, lexsort, searchsorted = map(
    without_gradient, ("argsort", "argpartition", "lexsort", "searchsorted")
)
digitize, all, any, count_nonzero = map(
    without_gradient, ("digitize", "all", "any", "count_nonzero")
)
bincount, histogram, isin, unravel_index = map(
    without_gradient, ("bincount", "histogram", "isin", "unravel_index")
)
