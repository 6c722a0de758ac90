"""NumPy's functions that are short formulas of others: they need no rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import DTypeLike

from minigrad.operators import Axes, Operand
from minigrad.ops.elementwise import floor_divide, remainder
from minigrad.ops.ordering import unless_nan
from minigrad.ops.reductions import max, mean, min, prod, std, sum, var
from minigrad.ops.signatures import arrays_of, as_tensor, np
from minigrad.tensor import Tensor

__all__ = [
    "angle",
    "average",
    "broadcast_arrays",
    "corrcoef",
    "cov",
    "cumprod",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
    "divmod",
    "float_power",
    "frexp",
    "full_like",
    "gradient",
    "interp",
    "ldexp",
    "linspace",
    "meshgrid",
    "modf",
    "nancumsum",
    "nanmax",
    "nanmean",
    "nanmin",
    "nanprod",
    "nanstd",
    "nansum",
    "nanvar",
    "polyval",
    "ptp",
    "trapezoid",
    "trim_zeros",
    "unwrap",
]


def divmod(a: Operand, b: Operand) -> tuple[Tensor, Tensor]:
    """Quotient ⌊a / b⌋ and remainder."""
    return floor_divide(a, b), remainder(a, b)


def modf(x: Operand) -> tuple[Tensor, Tensor]:
    """The fraction and the whole part of each element, both with the sign of x."""
    x = as_tensor(x)
    whole = np.trunc(x)
    finite = np.where(np.isinf(x), 0, x)
    return finite - np.trunc(finite), whole


def ldexp(x: Operand, i: Operand) -> Tensor:
    """y = x · 2ⁱ, i whole."""
    x = as_tensor(x)
    return x * np.ldexp(np.ones((), x.dtype), np.asarray(i))


def frexp(x: Operand) -> tuple[Tensor, Any]:
    """m and i with  x = m · 2ⁱ, ½ ≤ |m| < 1; i is an array of whole numbers, without a history."""
    x = as_tensor(x)
    i = np.frexp(x.data)[1]
    if not np.isfinite(x.data).all():  # no derivative is known there
        x = x * np.where(np.isfinite(x.data), np.ones_like(x.data), np.abs(x.data))
    half = -i // 2  # 2⁻ⁱ alone would overflow for the smallest x
    return ldexp(ldexp(x, half), -i - half), i


def angle(z: Operand, deg: bool = False) -> Tensor:
    """The angle of real numbers: 0, or π (180 in degrees) where they are negative."""
    x = as_tensor(z)
    y = np.arctan2(np.zeros(x.shape, x.dtype), x)
    return y * (180 / np.pi) if deg else y


def float_power(a: Operand, b: Operand) -> Tensor:
    """y = aᵇ in float64."""
    base = a.astype(np.float64) if isinstance(a, Tensor) else np.asarray(a, np.float64)
    return np.power(base, b)


def full_like(a: Operand, fill_value: Operand, dtype: DTypeLike | None = None) -> Any:
    """One value in the shape and dtype of a; an array where the value is not a tensor."""
    like = as_tensor(a).data
    if isinstance(fill_value, Tensor):
        return np.broadcast_to(fill_value, like.shape).astype(dtype or like.dtype)
    return np.full_like(like, fill_value, dtype)


def average(
    a: Operand, axis: Any = None, weights: Operand | None = None, keepdims: bool = False
) -> Tensor:
    """Mean with weights:  y = Σ w a / Σ w; the weights have the shape of a, or of the one axis."""
    if weights is None:
        return mean(a, axis, keepdims=keepdims)
    x = as_tensor(a)
    w = weights if isinstance(weights, Tensor) else np.asarray(weights, x.dtype)
    if w.ndim == 1 and x.ndim > 1:
        w = np.reshape(w, [-1 if k == axis % x.ndim else 1 for k in range(x.ndim)])
    w = w * np.ones(x.shape, w.dtype)
    total = sum(w, axis, keepdims=keepdims)
    if np.any(total == 0):
        raise ZeroDivisionError("average: the weights sum to zero")
    return sum(x * w, axis, keepdims=keepdims) / total


def ptp(a: Operand, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The greatest element less the smallest."""
    return max(a, axis, keepdims=keepdims) - min(a, axis, keepdims=keepdims)


def is_number(a: Operand) -> Any:
    """Where the elements are not NaN, as an array."""
    return ~np.isnan(arrays_of(a))


def nansum(a: Operand, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Sum of what is not NaN."""
    return sum(a, axis, keepdims=keepdims, where=is_number(a))


def nanprod(a: Operand, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Product of what is not NaN."""
    return prod(a, axis, keepdims=keepdims, where=is_number(a))


def nanmean(a: Operand, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Mean of what is not NaN."""
    return mean(a, axis, keepdims=keepdims, where=is_number(a))


def nanvar(a: Operand, axis: Axes = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
    """Variance of what is not NaN."""
    return var(a, axis, ddof=ddof, keepdims=keepdims, where=is_number(a))


def nanstd(a: Operand, axis: Axes = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
    """Standard deviation of what is not NaN."""
    return std(a, axis, ddof=ddof, keepdims=keepdims, where=is_number(a))


def nanmax(a: Operand, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The greatest element that is not NaN; NaN where all are."""
    known = is_number(a)
    y = max(a, axis, keepdims=keepdims, where=known)
    return np.where(np.any(known, axis=axis, keepdims=keepdims), y, np.nan)


def nanmin(a: Operand, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The smallest element that is not NaN; NaN where all are."""
    return -nanmax(-as_tensor(a), axis, keepdims)


def nancumsum(a: Operand, axis: int | None = None) -> Tensor:
    """Running sum, NaN counted as 0."""
    return np.cumsum(np.where(is_number(a), as_tensor(a), 0), axis)


def cumprod(a: Operand, axis: int | None = None) -> Tensor:
    """yₖ = a₀ · … · aₖ along the axis (None: of the flattened array); takes n² memory."""
    x: Any = as_tensor(a)
    if axis is None:
        x, axis = np.reshape(x, -1), 0
    rows = np.expand_dims(np.swapaxes(x, axis, -1), -2)
    up_to_k = np.tri(x.shape[axis], dtype=bool)
    return np.swapaxes(prod(np.where(up_to_k, rows, 1), -1), axis, -1)


def cumulative_sum(
    x: Operand,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    include_initial: bool = False,
) -> Tensor:
    """Running sums along the axis, which may be left out where there is one.

    include_initial: begin with 0, so that there is one element more.
    """
    return _cumulative("cumulative_sum", np.cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(
    x: Operand,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    include_initial: bool = False,
) -> Tensor:
    """Running products along the axis, which may be left out where there is one.

    include_initial: begin with 1, so that there is one element more.
    """
    return _cumulative("cumulative_prod", cumprod, 1, x, axis, dtype, include_initial)


def _cumulative(
    name: str,
    along: Any,
    initial: int,
    x: Operand,
    axis: int | None,
    dtype: DTypeLike | None,
    include_initial: bool,
) -> Tensor:
    """`along`, with the arguments of the array API standard."""
    y = as_tensor(x)
    if axis is None and y.ndim != 1:
        raise ValueError(f"{name}: write axis=, which of the axes of an array of shape {y.shape}")
    k = axis or 0
    y = along(y if dtype is None else y.astype(dtype), k)
    if not include_initial:
        return y
    shape = [1 if place == k % y.ndim else n for place, n in enumerate(y.shape)]
    return np.concatenate([np.full(shape, initial, y.dtype), y], k)


def gradient(
    f: Operand, *varargs: Operand, axis: Axes = None, edge_order: int = 1
) -> Tensor | tuple[Tensor, ...]:
    """Slopes along each axis, by differences of the neighbours on both sides; at the edges of one.

    varargs: the spacing, one for all axes or one for each: a number, or the coordinates.
    edge_order: 2 takes two neighbours at the edges (Fornberg 1988).  One tensor for one axis, else
    a tuple.
    """
    y = as_tensor(f)
    axes = range(y.ndim) if axis is None else [k % y.ndim for k in np.atleast_1d(axis).tolist()]
    steps = varargs or (1.0,)
    if len(steps) == 1:
        steps *= len(axes)
    if len(steps) != len(axes):
        found = f"found {len(varargs)} spacings for {len(axes)} axes"
        raise TypeError(f"gradient: one spacing is needed for each axis or one for all, {found}")
    slopes = [_slopes(y, h, k, edge_order) for h, k in zip(steps, axes, strict=True)]
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def _slopes(y: Tensor, h: Any, axis: int, edge_order: int) -> Tensor:
    """∂y along one axis, from the parabola through each element and its two neighbours."""
    if y.shape[axis] <= edge_order:
        raise ValueError(
            f"gradient: edge_order={edge_order} needs {edge_order + 1} elements along axis {axis}, "
            f"found shape {y.shape}"
        )
    y, h = np.moveaxis(y, axis, -1), lists_as_floats(y, h)[1]
    d = diff(h) if np.ndim(h) else h * np.ones(y.shape[-1] - 1, y.dtype)
    rise = diff(y) / d
    if not np.ndim(h):
        inner = (y[..., 2:] - y[..., :-2]) / (2 * h)
    else:
        inner = (d[1:] * rise[..., :-1] + d[:-1] * rise[..., 1:]) / (d[:-1] + d[1:])
    first, last = rise[..., :1], rise[..., -1:]
    if edge_order == 2:
        first, last = first - (inner[..., :1] - first), last - (inner[..., -1:] - last)
    return np.moveaxis(np.concatenate([first, inner, last], -1), -1, axis)


def linspace(
    start: Operand,
    stop: Operand,
    num: int = 50,
    endpoint: bool = True,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> Tensor:
    """num numbers at equal distances from start to stop."""
    low, high = np.broadcast_arrays(*map(as_tensor, lists_as_floats(start, stop)))
    share = np.linspace(0, 1, num, endpoint, dtype=np.result_type(low.dtype, high.dtype))
    share = np.reshape(share, (-1,) + (1,) * low.ndim)
    y = low + share * (high - low)
    if endpoint and num > 1:
        y = np.concatenate([y[:-1], high[None]])
    y = np.moveaxis(y, 0, axis)
    return y if dtype is None else y.astype(dtype)


def trim_zeros(filt: Operand, trim: str = "fb") -> Tensor:
    """A vector without the zeros at its front ("f") and its back ("b")."""
    x = as_tensor(filt)
    if x.ndim != 1:
        raise ValueError(f"trim_zeros: a vector is needed, found shape {x.shape}")
    kept = np.flatnonzero(x._read("trim_zeros"))
    if not len(kept):
        return x[:0]
    start = kept[0] if "f" in trim.lower() else 0
    return x[start : kept[-1] + 1 if "b" in trim.lower() else None]


def diff(
    a: Operand,
    n: int = 1,
    axis: int = -1,
    prepend: Operand | None = None,
    append: Operand | None = None,
) -> Tensor:
    """Differences of neighbours along the axis, n times over."""
    y = as_tensor(a)
    parts = [_end(prepend, y, axis), y, _end(append, y, axis)]
    y = np.concatenate([x for x in parts if x is not None], axis)
    before = (slice(None),) * (axis % y.ndim)
    for _ in range(n):
        y = y[(*before, slice(1, None))] - y[(*before, slice(None, -1))]
    return y


def _end(x: Operand | None, a: Tensor, axis: int) -> Any:
    """What is put before or after a; a number stands for a whole slice."""
    if x is None or np.ndim(x):
        return x
    shape = [1 if k == axis % a.ndim else n for k, n in enumerate(a.shape)]
    return np.full_like(np.empty(shape, a.dtype), x)


def trapezoid(y: Operand, x: Operand | None = None, dx: Operand = 1.0, axis: int = -1) -> Tensor:
    """Integral by the trapezoidal rule."""
    last = np.moveaxis(as_tensor(y), axis, -1)
    steps: Any = dx
    if x is not None:
        steps = diff(x if np.ndim(x) == 1 else np.moveaxis(as_tensor(x), axis, -1))
    return sum(steps * (last[..., 1:] + last[..., :-1]) / 2.0, -1)


def cov(
    m: Operand,
    y: Operand | None = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: float | None = None,
) -> Tensor:
    """Covariances of the rows (rowvar) or columns:

    y[i, j] = Σ (mᵢ − mean)(mⱼ − mean) / (n − ddof),  ddof by default 1, or 0 with bias.
    """
    x = as_tensor(m)
    if y is not None:
        x = np.concatenate([np.atleast_2d(x), np.atleast_2d(as_tensor(y))])
    x = np.atleast_2d(x) if rowvar or x.ndim == 1 else x.T
    if ddof is None:
        ddof = 0 if bias else 1
    x = x - mean(x, 1, keepdims=True)
    return np.squeeze(x @ x.T / np.maximum(x.shape[1] - ddof, 0))


def corrcoef(x: Operand, y: Operand | None = None, rowvar: bool = True) -> Tensor:
    """Correlation coefficients of the rows (rowvar) or columns."""
    c = cov(x, y, rowvar)
    if not c.ndim:
        return c / c
    d = np.sqrt(np.diagonal(c))
    return c / d / np.expand_dims(d, -1)


def lists_as_floats(*operands: Operand) -> list[Operand]:
    """Lists and numbers as arrays in the dtype of the floating tensors beside them."""
    floats = [x.dtype for x in operands if isinstance(x, Tensor) and x.dtype.kind == "f"]
    if not floats:
        return list(operands)
    dtype = np.result_type(*floats)
    return [
        np.asarray(x, dtype) if isinstance(x, list | tuple | float | int) else x for x in operands
    ]


def interp(x: Operand, xp: Operand, fp: Operand) -> Tensor:
    """Linear between the points (xp, fp), xp increasing.

    Constant outside of them, with derivative 0 to x there.
    """
    x, xp, fp = map(as_tensor, lists_as_floats(x, xp, fp))
    if np.isnan(xp.data).any():
        raise ValueError("interp: xp must increase, and holds NaN")
    k = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, len(xp) - 2)
    here, there = np.take(xp, k), np.take(xp, k + 1)
    low, high = np.take(fp, k), np.take(fp, k + 1)
    slope = (high - low) / (there - here)
    y = low + slope * (x - here)
    y = np.where(np.isnan(y) | (x == there), high + slope * (x - there), y)  # from the finite end
    y = np.where(np.isnan(y) & (x == here), low, y)
    y = np.where(np.isnan(y) & ((x == there) | (low == high)), high, y)
    y = np.where(x < xp[0], fp[0], np.where(x > xp[-1], fp[-1], y))
    return unless_nan(y, np.isnan(x), x + sum(fp) + sum(xp))


def broadcast_arrays(*args: Operand) -> tuple[Tensor, ...]:
    """All in their common shape, as a tuple."""
    shape = np.broadcast_shapes(*[np.shape(x) for x in args])
    return tuple([np.broadcast_to(as_tensor(x), shape) for x in args])


def meshgrid(*xi: Operand, indexing: str = "xy", sparse: bool = False) -> tuple[Tensor, ...]:
    """Grids of coordinates from vectors, as a tuple."""
    n = len(xi)
    places = list(range(n))
    if indexing == "xy" and n > 1:
        places[:2] = [1, 0]
    grids = []
    for x, place in zip(xi, places, strict=True):
        grids.append(np.reshape(as_tensor(x), [-1 if k == place else 1 for k in range(n)]))
    return tuple(grids) if sparse else broadcast_arrays(*grids)


def polyval(p: Sequence[Operand] | Tensor, x: Operand) -> Tensor:
    """The polynomial with coefficients p, the highest power first, at x."""
    x = as_tensor(x)
    y = 0 * x
    for k in range(len(p)):
        y = y * x + p[k]
    return y


def unwrap(p: Operand, axis: int = -1) -> Tensor:
    """Angles without jumps: whole turns are added, which have no derivative."""
    array = arrays_of(p)
    unwrapped = np.unwrap(array, axis=axis)
    turns = np.where(unwrapped == array, 0, unwrapped - array)
    return as_tensor(p) + turns
