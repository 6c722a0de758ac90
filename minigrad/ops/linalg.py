"""Linear algebra on the last two axes, batched over the others.  Imports `primitive`, `front`, other operations.

`cholesky` and `eigh` read the lower triangle only, as NumPy's do; so their gradients are lower triangular too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.ops.front import named, over, restored
from minigrad.primitive import primitive

__all__ = [
    "cholesky",
    "det",
    "eigh",
    "eigvalsh",
    "inv",
    "matrix_power",
    "multi_dot",
    "norm",
    "slogdet",
    "solve",
]


def mT(a):
    """The last two axes exchanged."""
    return np.swapaxes(a, -1, -2)


def lower(a):
    """What counts when only the lower triangle is read: both gradients of a pair in the lower one."""
    return np.tril(a + mT(a)) - a * np.eye(a.shape[-1], dtype=a.dtype)


@primitive
def inv(a):
    """y = a⁻¹."""
    return np.linalg.inv(a)


@inv.gradient
def inv_da(dy, y, a):
    return -mT(y) @ dy @ mT(y)


@primitive
def solve(a, b):
    """y with a y = b.  Shapes: a (..., n, n), b (n) or (..., n, k) → y like b."""
    return np.linalg.solve(a, b)


@solve.gradient
def solve_da(dy, y, a, b):
    db = np.linalg.solve(mT(a), dy)
    return -(np.expand_dims(db, -1) * np.expand_dims(y, -2) if b.ndim == 1 else db @ mT(y))


@solve.gradient
def solve_db(dy, y, a, b):
    return np.linalg.solve(mT(a), dy)


@primitive
def det(a):
    """y = det a; the gradient is written with a⁻¹, so that of a singular a raises."""
    return np.linalg.det(a)


@det.gradient
def det_da(dy, y, a):
    return np.expand_dims(dy * y, (-1, -2)) * mT(np.linalg.inv(a))


@primitive
def slogdet(a):
    """The sign of det a and ln |det a|, as a tuple."""
    return tuple(np.linalg.slogdet(a))


@slogdet.gradients
def slogdet_da(dy, y, a):
    return (None if dy[1] is None else np.expand_dims(dy[1], (-1, -2)) * mT(np.linalg.inv(a)),)


@primitive
def cholesky(a):
    """The lower triangular y with y yᵀ = a."""
    return np.linalg.cholesky(a)


@cholesky.gradient
def cholesky_da(dy, y, a):
    inner = np.tril(mT(y) @ dy)
    inner = inner - 0.5 * inner * np.eye(y.shape[-1], dtype=y.dtype)
    inverse = np.linalg.inv(y)
    da = mT(inverse) @ inner @ inverse
    return lower(0.5 * (da + mT(da)))


@primitive
def eigh(a):
    """Eigenvalues in ascending order and eigenvectors (columns) of symmetric matrices:  a v = v diag(w)."""
    return tuple(np.linalg.eigh(a))


@eigh.gradients
def eigh_da(dy, y, a):
    (dw, dv), (w, v) = dy, y
    inner = 0.0 if dw is None else np.expand_dims(dw, -1) * np.eye(a.shape[-1], dtype=a.dtype)
    if dv is not None:
        gaps = np.expand_dims(w, -2) - np.expand_dims(w, -1) + np.eye(a.shape[-1], dtype=a.dtype)
        inner = inner + over((mT(v) @ dv) * (1 - np.eye(a.shape[-1], dtype=a.dtype)), gaps)
    da = v @ inner @ mT(v)
    return (lower(0.5 * (da + mT(da))),)


def eigvalsh(a: Any) -> Any:
    """Eigenvalues of symmetric matrices, in ascending order."""
    return eigh(a)[0]


@primitive
@named("norm")
def euclidean(x, *, axis=None, keepdims=False):
    """y = √Σ x² over the axis; where it is 0, so is its derivative."""
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))


@euclidean.gradient
def norm_dx(dy, y, x, axis=None, keepdims=False):
    return restored(dy / np.where(y == 0, 1, y), axis, keepdims) * x


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Norm of a vector (ord 1, 2, inf, −inf or any p > 0) or of a matrix ("fro", 1, −1, inf, −inf)."""
    axes = tuple(range(x.ndim)) if axis is None else tuple(np.atleast_1d(axis).tolist())
    if ord is None or (ord == "fro" and len(axes) == 2) or (ord == 2 and len(axes) == 1):
        return euclidean(x, axis=axis, keepdims=keepdims)
    size = np.abs(x)
    if isinstance(ord, int | float) and len(axes) == 2 and abs(ord) in (1, np.inf):
        inner = axes[0] if abs(ord) == 1 else axes[1]
        extreme = np.max if ord > 0 else np.min
        return extreme(np.sum(size, inner, keepdims=True), axes, keepdims=keepdims)
    if not isinstance(ord, int | float) or len(axes) != 1 or not ord:
        raise TypeError(
            f"np.linalg.norm: ord={ord!r} over {len(axes)} axes has no gradient rule; see its docstring"
        )
    if abs(ord) == np.inf:
        return (np.max if ord > 0 else np.min)(size, axes, keepdims=keepdims)
    total = np.sum(size**ord, axes, keepdims=keepdims)
    return np.where(total == 0, 0, np.where(total == 0, 1, total) ** (1 / ord))


def matrix_power(a: Any, n: int) -> Any:
    """a multiplied by itself n times; n = 0 gives the unit matrix, n < 0 powers of the inverse."""
    if n == 0:
        return a * 0 + np.eye(a.shape[-1], dtype=a.dtype)
    base = inv(a) if n < 0 else a
    half = base if abs(n) < 2 else matrix_power(base, abs(n) // 2)
    return base if abs(n) == 1 else half @ half @ base if n % 2 else half @ half


def multi_dot(arrays: Any) -> Any:
    """The matrix product of several, from the left."""
    y, *others = arrays
    for b in others:
        y = y @ b
    return y
