"""NumPy's functions that are short formulas of others: they need no rules.  Imports other operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.ops.front import bare
from minigrad.ops.reductions import max, mean, min, prod, std, sum, var
from minigrad.tensor import Tensor

__all__ = [
    "average",
    "broadcast_arrays",
    "corrcoef",
    "cov",
    "cumprod",
    "diff",
    "divmod",
    "float_power",
    "full_like",
]
__all__ += [
    "interp",
    "ldexp",
    "meshgrid",
    "modf",
    "nancumsum",
    "nanmax",
    "nanmean",
    "nanmin",
    "nanprod",
]
__all__ += ["nanstd", "nansum", "nanvar", "polyval", "ptp", "trapezoid", "unwrap"]


def divmod(a: Any, b: Any) -> Any:
    """Quotient ⌊a / b⌋ and remainder."""
    return np.floor_divide(a, b), np.remainder(a, b)


def modf(x: Any) -> Any:
    """The fraction and the whole part of each element, both with the sign of x."""
    return x - np.trunc(x), np.trunc(x)


def ldexp(x: Any, i: Any) -> Any:
    """y = x · 2ⁱ, i whole."""
    return x * np.ldexp(np.ones((), x.dtype), np.asarray(i))


def float_power(a: Any, b: Any) -> Any:
    """y = aᵇ in float64."""
    return np.power(
        np.asarray(a, np.float64) if not isinstance(a, Tensor) else a.astype(np.float64), b
    )


def full_like(a: Any, fill_value: Any, dtype: Any = None) -> Any:
    """One value in the shape and dtype of a; an array where the value is not a tensor."""
    if isinstance(fill_value, Tensor):
        return np.broadcast_to(fill_value, a.shape).astype(dtype or a.dtype)
    return np.full_like(bare(a), fill_value, dtype)


def average(a: Any, axis: Any = None, weights: Any = None, keepdims: bool = False) -> Any:
    """Mean with weights:  y = Σ w a / Σ w; the weights have the shape of a, or of the one axis."""
    if weights is None:
        return mean(a, axis, keepdims=keepdims)
    if np.ndim(weights) == 1 and np.ndim(a) > 1:
        weights = np.reshape(weights, [-1 if k == axis % a.ndim else 1 for k in range(a.ndim)])
    weights = weights * np.ones(
        np.shape(a), weights.dtype if isinstance(weights, Tensor) else a.dtype
    )
    return sum(a * weights, axis, keepdims=keepdims) / sum(weights, axis, keepdims=keepdims)


def ptp(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The greatest element less the smallest."""
    return max(a, axis, keepdims=keepdims) - min(a, axis, keepdims=keepdims)


def nansum(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Sum of what is not NaN."""
    return sum(a, axis, keepdims=keepdims, where=~np.isnan(a))


def nanprod(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Product of what is not NaN."""
    return prod(a, axis, keepdims=keepdims, where=~np.isnan(a))


def nanmean(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Mean of what is not NaN."""
    return mean(a, axis, keepdims=keepdims, where=~np.isnan(a))


def nanvar(a: Any, axis: Any = None, ddof: Any = 0, keepdims: bool = False) -> Any:
    """Variance of what is not NaN."""
    return var(a, axis, ddof=ddof, keepdims=keepdims, where=~np.isnan(a))


def nanstd(a: Any, axis: Any = None, ddof: Any = 0, keepdims: bool = False) -> Any:
    """Standard deviation of what is not NaN."""
    return std(a, axis, ddof=ddof, keepdims=keepdims, where=~np.isnan(a))


def nanmax(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The greatest element that is not NaN; NaN where all are."""
    y = max(a, axis, keepdims=keepdims, where=~np.isnan(a))
    return np.where(np.all(np.isnan(a), axis=axis, keepdims=keepdims), np.nan, y)


def nanmin(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest element that is not NaN; NaN where all are."""
    return -nanmax(-a, axis, keepdims)


def nancumsum(a: Any, axis: Any = None) -> Any:
    """Running sum, NaN counted as 0."""
    return np.cumsum(np.where(np.isnan(a), 0, a), axis)


def cumprod(a: Any, axis: Any = None) -> Any:
    """yₖ = a₀ · … · aₖ along the axis (None: of the flattened array); takes n² memory."""
    a, axis = (np.reshape(a, -1), 0) if axis is None else (a, axis)
    last = np.expand_dims(np.swapaxes(a, axis, -1), -2)
    return np.swapaxes(prod(np.where(np.tri(a.shape[axis], dtype=bool), last, 1), -1), axis, -1)


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours along the axis, n times over."""
    ends = [
        x if x is None or np.ndim(x) else np.full_like(np.take(a, [0], axis), x)
        for x in (prepend, append)
    ]
    a = np.concatenate([x for x in (ends[0], a, ends[1]) if x is not None], axis)
    before = (slice(None),) * (axis % a.ndim)
    for _ in range(n):
        a = a[(*before, slice(1, None))] - a[(*before, slice(None, -1))]
    return a


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Integral by the trapezoidal rule."""
    last = np.moveaxis(y, axis, -1)
    steps = dx if x is None else diff(x if np.ndim(x) == 1 else np.moveaxis(x, axis, -1))
    return sum(steps * (last[..., 1:] + last[..., :-1]) / 2.0, -1)


def cov(m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None) -> Any:
    """Covariances of the rows (rowvar) or columns:  y[i, j] = Σ (mᵢ − mean)(mⱼ − mean) / (n − ddof)."""
    m = m if y is None else np.concatenate([np.atleast_2d(m), np.atleast_2d(y)])
    m = np.atleast_2d(m) if rowvar or m.ndim == 1 else m.T
    m = m - mean(m, 1, keepdims=True)
    return np.squeeze(m @ m.T / (m.shape[1] - (ddof if ddof is not None else 0 if bias else 1)))


def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Any:
    """Correlation coefficients of the rows (rowvar) or columns."""
    c = cov(x, y, rowvar)
    d = np.sqrt(np.diagonal(c)) if c.ndim else c**0.5
    return c / d / (np.expand_dims(d, -1) if c.ndim else d)


def interp(x: Any, xp: Any, fp: Any) -> Any:
    """Linear between the points (xp, fp), xp increasing; constant outside, with derivative 0 to x there."""
    n = len(xp)
    k = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, n - 2)
    t = np.clip((x - np.take(xp, k)) / (np.take(xp, k + 1) - np.take(xp, k)), 0, 1)
    return np.take(fp, k) + t * (np.take(fp, k + 1) - np.take(fp, k))


def broadcast_arrays(*args: Any) -> Any:
    """All in their common shape, as a tuple."""
    shape = np.broadcast_shapes(*[np.shape(x) for x in args])
    return tuple(np.broadcast_to(x, shape) for x in args)


def meshgrid(*xi: Any, indexing: str = "xy", sparse: bool = False) -> Any:
    """Grids of coordinates from vectors, as a tuple."""
    n = len(xi)
    places = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    grids = [
        np.reshape(x, [-1 if k == place else 1 for k in range(n)])
        for x, place in zip(xi, places, strict=True)
    ]
    return tuple(grids) if sparse else broadcast_arrays(*grids)


def polyval(p: Any, x: Any) -> Any:
    """The polynomial with coefficients p, the highest power first, at x."""
    y = 0 * x
    for k in range(len(p)):
        y = y * x + p[k]
    return y


def unwrap(p: Any, axis: int = -1) -> Any:
    """Angles without jumps: whole turns are added, which have no derivative."""
    return p + (np.unwrap(bare(p), axis=axis) - bare(p))
