"""Linear algebra on the last two axes, batched over the others.

`cholesky` and `eigh` read the lower triangle only, as NumPy's do; so their gradients are lower triangular too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.operators import Axes, Operand
from minigrad.ops.elementwise import part_of
from minigrad.ops.signatures import as_tensor, np, safe_divide, with_reduced_axes
from minigrad.primitive import Primitive, primitive
from minigrad.tensor import Tensor

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
def inv(a: Operand) -> Any:
    """y = a⁻¹."""
    return np.linalg.inv(a)


@inv.gradient
def inv_da(dy, y, a):
    return -mT(y) @ dy @ mT(y)


@primitive
def solve(a: Operand, b: Operand) -> Any:
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
def det(a: Operand) -> Any:
    """y = det a; the gradient is written with a⁻¹, so that of a singular a raises."""
    return np.linalg.det(a)


@det.gradient
def det_da(dy, y, a):
    return np.expand_dims(dy * y, (-1, -2)) * mT(np.linalg.inv(a))


def pair(op: Primitive, a: Operand) -> tuple[Tensor, Tensor]:
    """Two results, as a tuple."""
    return op.record(a)


@primitive(numpy=pair)
def slogdet(a):
    """The sign of det a and ln |det a|, as a tuple."""
    return tuple(np.linalg.slogdet(a))


@slogdet.gradients
def slogdet_da(dy, y, a):
    return (None if dy[1] is None else np.expand_dims(dy[1], (-1, -2)) * mT(np.linalg.inv(a)),)


@primitive
def cholesky(a: Operand) -> Any:
    """The lower triangular y with y yᵀ = a."""
    return np.linalg.cholesky(a)


@cholesky.gradient
def cholesky_da(dy, y, a):
    inner = np.tril(mT(y) @ dy)
    inner = inner - 0.5 * inner * np.eye(y.shape[-1], dtype=y.dtype)
    inverse = np.linalg.inv(y)
    da = mT(inverse) @ inner @ inverse
    return lower(0.5 * (da + mT(da)))


@primitive(numpy=pair)
def eigh(a):
    """Eigenvalues in ascending order and eigenvectors (columns) of symmetric matrices:  a v = v diag(w)."""
    return tuple(np.linalg.eigh(a))


@eigh.gradients
def eigh_da(dy, y, a):
    (dw, dv), (w, v) = dy, y
    inner = 0.0 if dw is None else np.expand_dims(dw, -1) * np.eye(a.shape[-1], dtype=a.dtype)
    if dv is not None:
        gaps = np.expand_dims(w, -2) - np.expand_dims(w, -1) + np.eye(a.shape[-1], dtype=a.dtype)
        inner = inner + safe_divide((mT(v) @ dv) * (1 - np.eye(a.shape[-1], dtype=a.dtype)), gaps)
    da = v @ inner @ mT(v)
    return (lower(0.5 * (da + mT(da))),)


def eigvalsh(a: Operand) -> Tensor:
    """Eigenvalues of symmetric matrices, in ascending order."""
    return eigh(a)[0]


def norm_like_numpy(
    op: Primitive, x: Operand, ord: Any = None, axis: Axes = None, keepdims: bool = False
) -> Tensor:
    """Norm of a vector (ord 1, 2, inf, −inf or any p > 0) or of a matrix ("fro", 1, −1, inf, −inf)."""
    x = as_tensor(x)
    axes = tuple(range(x.ndim)) if axis is None else tuple(np.atleast_1d(axis).tolist())
    if ord is None or (ord == "fro" and len(axes) == 2) or (ord == 2 and len(axes) == 1):
        return op.record(x, axis=axis, keepdims=keepdims)
    if not isinstance(ord, int | float) or not ord or len(axes) > 2:
        raise unknown_norm(ord, axes)
    extreme = np.max if ord > 0 else np.min
    if len(axes) == 2:
        if abs(ord) not in (1, np.inf):
            raise unknown_norm(ord, axes)
        summed = axes[0] if abs(ord) == 1 else axes[1]
        return extreme(np.sum(np.abs(x), summed, keepdims=True), axes, keepdims=keepdims)
    if abs(ord) == np.inf:
        return extreme(np.abs(x), axes, keepdims=keepdims)
    total = np.sum(np.abs(x) ** ord, axes, keepdims=keepdims)
    return np.where(total == 0, 0, np.where(total == 0, 1, total) ** (1 / ord))


def unknown_norm(ord: Any, axes: tuple[int, ...]) -> TypeError:
    """What to say of a norm that has no rule."""
    over = f"{len(axes)} axes" if len(axes) != 1 else "1 axis"
    return TypeError(
        f"np.linalg.norm: ord={ord!r} over {over} has no gradient rule; see its docstring"
    )


@primitive(numpy=norm_like_numpy)
def norm(x, *, axis=None, keepdims=False):
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))


@norm.gradient
def norm_dx(dy, y, x, axis=None, keepdims=False):
    length = with_reduced_axes(y, axis, keepdims)
    return with_reduced_axes(dy, axis, keepdims) * part_of(x, length)


def matrix_power(a: Operand, n: int) -> Tensor:
    """a multiplied by itself n times; n = 0 gives the unit matrix, n < 0 powers of the inverse."""
    x = as_tensor(a)
    if n == 0:
        return x * 0 + np.eye(x.shape[-1], dtype=x.dtype)
    base = inv(x) if n < 0 else x
    if abs(n) == 1:
        return base
    half = matrix_power(base, abs(n) // 2)
    return half @ half @ base if n % 2 else half @ half


def multi_dot(arrays: Sequence[Operand]) -> Tensor:
    """The matrix product of several, from the left."""
    y = as_tensor(arrays[0])
    for b in arrays[1:]:
        y = y @ b
    return y
