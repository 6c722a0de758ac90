"""Choosing between values: maximum, minimum, where, clip.  Imports `primitive` and `front`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.ops.elementwise import ufunc
from minigrad.ops.front import named
from minigrad.primitive import primitive

__all__ = ["clip", "fmax", "fmin", "maximum", "minimum", "nan_to_num", "select", "where"]


def chosen(dy: Any, y: Any, a: Any, b: Any) -> Any:
    """The gradient of a: all of dy where a was taken, half of it where both were equal."""
    return np.where(y == a, np.where(a == b, 0.5 * dy, dy), 0)


maximum, minimum, fmax, fmin = (
    ufunc(
        name,
        equation,
        lambda dy, y, a, b: chosen(dy, y, a, b),
        lambda dy, y, a, b: chosen(dy, y, b, a),
    )
    for name, equation in (
        ("maximum", "The greater of two"),
        ("minimum", "The smaller of two"),
        ("fmax", "The greater of two, where a NaN counts as missing"),
        ("fmin", "The smaller of two, where a NaN counts as missing"),
    )
)


@primitive
def where(condition, x, y):
    """Elements of x where the condition holds, of y elsewhere."""
    return np.where(condition, x, y)


@where.gradient
def where_dcondition(dz, z, condition, x, y):
    return None


@where.gradient
def where_dx(dz, z, condition, x, y):
    return np.where(condition, dz, 0)


@where.gradient
def where_dy(dz, z, condition, x, y):
    return np.where(condition, 0, dz)


@primitive
@named("clip")
def between(x, lo, hi):
    """x limited to lo ≤ y ≤ hi; on the boundary the gradient is that of x."""
    return np.clip(x, None if lo is LOWEST else lo, None if hi is HIGHEST else hi)


@between.gradient
def clip_dx(dy, y, x, lo, hi):
    return np.where((x >= lo) & (x <= hi), dy, 0)


@between.gradient
def clip_dlo(dy, y, x, lo, hi):
    return np.where((x < lo) & (lo <= hi), dy, 0)


@between.gradient
def clip_dhi(dy, y, x, lo, hi):
    return np.where((hi < x) | (hi < lo), dy, 0)


LOWEST, HIGHEST = -np.inf, np.inf  # the bounds of an open side: found again by identity


def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """Limit values:  a_min ≤ y ≤ a_max, either side may be None; the derivative on the boundary is 1."""
    lo, hi = a_min if min is None else min, a_max if max is None else max
    return between(a, LOWEST if lo is None else lo, HIGHEST if hi is None else hi)


def nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """NaN and infinities replaced by numbers; their gradient is 0."""
    limits = np.finfo(x.dtype)
    x = where(np.isnan(x), nan, x)
    x = where(x == np.inf, np.asarray(limits.max if posinf is None else posinf, x.dtype), x)
    return where(x == -np.inf, np.asarray(limits.min if neginf is None else neginf, x.dtype), x)


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """For each element the choice whose condition is the first to hold."""
    y = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        y = where(condition, choice, y)
    return y
