"""Numbers about arrays: their norm, whether they are finite, and how a number is written."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def array_of(x: Any) -> NDArray[Any]:
    """The array of a tensor, the values of a `Scatter`, or what NumPy makes an array of."""
    return np.asarray(getattr(x, "_array", getattr(x, "value", x)))


def norm(x: Any) -> float:
    """√Σ x² over all entries of one array, tensor or scatter, in float64 where x's own precision is
    unsafe."""
    array = x if type(x) is np.ndarray else array_of(x)
    square = float(np.vdot(array, array))
    if 1e-30 < square < 1e30:
        return math.sqrt(square)
    if square == 0 and not np.count_nonzero(array):  # a quarter of the time of array.any()
        return 0.0
    wide = array.astype(np.float64)
    square = float(np.vdot(wide, wide))
    return math.sqrt(square) if 1e-200 < square < math.inf else joint_norm([wide])


def joint_norm(arrays: Iterable[Any], p: float = 2.0) -> float:
    """(Σ |x|^p)^(1/p) over all entries of all arrays, in float64; scaled, so that no power
    overflows."""
    parts = [np.asarray(array_of(x), np.float64) for x in arrays]
    square = sum([float(np.vdot(part, part)) for part in parts])
    if p == 2 and 1e-200 < square < math.inf:
        return math.sqrt(square)
    peak = float(np.max([np.max(np.abs(part), initial=0.0) for part in parts], initial=0.0))
    if p == math.inf or peak == 0 or not math.isfinite(peak):
        return peak
    total = np.sum([np.sum((np.abs(part) / peak) ** p) for part in parts])
    with np.errstate(over="ignore"):  # of a tiny p; then the norm is infinite
        return float(peak * total ** (1 / p))


def is_finite(*values: Any) -> bool:
    """Whether all floats of all values are finite."""
    for value in values:
        x = array_of(value)
        # the sum of squares tells it fast, unless it overflows
        if x.dtype.kind == "f" and not math.isfinite(np.vdot(x, x)) and not np.isfinite(x).all():
            return False
    return True


def short(x: Any) -> str:
    """A gradient or value in a few characters: a scalar itself, anything larger as its norm,
    |0.5|."""
    array = array_of(x)
    return f"{array.item():.4g}" if array.size == 1 else f"|{joint_norm([array]):.4g}|"
