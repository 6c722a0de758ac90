"""Choosing between values: maximum, minimum, where, clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.operators import Operand
from minigrad.ops.elementwise import binary
from minigrad.ops.signatures import as_tensor, np
from minigrad.primitive import Primitive, primitive
from minigrad.tensor import Tensor

__all__ = ["clip", "fmax", "fmin", "maximum", "minimum", "nan_to_num", "select", "where"]


def chosen(dy: Any, y: Any, a: Any, b: Any) -> Any:
    """The gradient of a: dy where a was taken, dy / 2 where a equals b, NaN where y is NaN."""
    lost = np.where(np.isnan(y), np.nan, 0)
    return np.where(y == a, np.where(a == b, 0.5 * dy, dy), lost)


def choice(name: str, equation: str) -> Primitive[Tensor, [Operand, Operand]]:
    """NumPy's function of that name, which takes one of two numbers."""
    return binary(
        name,
        equation,
        lambda dy, y, a, b: chosen(dy, y, a, b),
        lambda dy, y, a, b: chosen(dy, y, b, a),
    )


maximum = choice("maximum", "The greater of two")
minimum = choice("minimum", "The smaller of two")
fmax = choice("fmax", "The greater of two, where a NaN counts as missing")
fmin = choice("fmin", "The smaller of two, where a NaN counts as missing")


@primitive(elementwise=True)
def where(condition: Operand, x: Operand, y: Operand) -> Any:
    """Elements of x where the condition holds, of y elsewhere.

    >>> import minigrad as mg, numpy as np
    >>> mg.where(np.array([True, False]), mg.tensor([1.0, 2.0]), 0.0)
    tensor([1., 0.])
    """
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


LOWEST, HIGHEST = -np.inf, np.inf  # sentinels for an open side; compared with `is`


def clip_like_numpy(
    op: Primitive,
    a: Operand,
    a_min: Operand | None = None,
    a_max: Operand | None = None,
    *,
    min: Operand | None = None,
    max: Operand | None = None,
) -> Tensor:
    """Limit values:  a_min ≤ y ≤ a_max, either side may be None.

    The derivative on the boundary is 1.

    >>> import minigrad as mg
    >>> mg.clip(mg.tensor([-2.0, 0.5, 3.0]), -1, 1)
    tensor([-1. ,  0.5,  1. ])
    """
    lo, hi = a_min if min is None else min, a_max if max is None else max
    return op.record(a, LOWEST if lo is None else lo, HIGHEST if hi is None else hi)


@primitive(numpy=clip_like_numpy, elementwise=True)
def clip(x, lo, hi):
    return np.clip(x, None if lo is LOWEST else lo, None if hi is HIGHEST else hi)


@clip.gradient
def clip_dx(dy, y, x, lo, hi):
    return np.where((lo <= x) & (x <= hi), dy, y - y)  # 0, or NaN


@clip.gradient
def clip_dlo(dy, y, x, lo, hi):
    return np.where((x < lo) & (lo <= hi), dy, y - y)


@clip.gradient
def clip_dhi(dy, y, x, lo, hi):
    return np.where((hi < x) | (hi < lo), dy, y - y)


def nan_to_num(
    x: Operand,
    copy: bool = True,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Tensor:
    """NaN and infinities replaced by numbers; their gradient is 0."""
    x = as_tensor(x)
    limits = np.finfo(x.dtype)
    x = where(np.isnan(x), nan, x)
    top = np.asarray(limits.max if posinf is None else posinf, x.dtype)
    x = where(x == np.inf, top, x)
    bottom = np.asarray(limits.min if neginf is None else neginf, x.dtype)
    return where(x == -np.inf, bottom, x)


def select(
    condlist: Sequence[Operand], choicelist: Sequence[Operand], default: Operand = 0
) -> Tensor:
    """For each element the choice whose condition is the first to hold."""
    y: Any = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        y = where(condition, choice, y)
    return y
