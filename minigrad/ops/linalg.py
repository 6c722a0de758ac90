"""Linear algebra on the last two axes, batched over the others.

`cholesky` and `eigh` read the lower triangle only, as NumPy's do; so their gradients are lower
triangular too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numpy.typing import DTypeLike

from minigrad.operators import Axes, Operand
from minigrad.ops.decompositions import equal_up_to_rounding, known, mT, svdvals
from minigrad.ops.elementwise import part_of
from minigrad.ops.products import outer, trace
from minigrad.ops.rearrange import diagonal
from minigrad.ops.signatures import (
    arrays_of,
    as_tensor,
    finite,
    np,
    safe_divide,
    with_reduced_axes,
)
from minigrad.primitive import Primitive, primitive
from minigrad.tensor import Tensor

__all__ = [
    "cholesky",
    "cond",
    "det",
    "eigh",
    "eigvalsh",
    "inv",
    "matrix_norm",
    "matrix_power",
    "multi_dot",
    "norm",
    "slogdet",
    "solve",
    "tensorinv",
    "tensorsolve",
    "vector_norm",
]


class Slogdet(NamedTuple):
    """The sign of a determinant, and the logarithm of its absolute value."""

    sign: Tensor
    logabsdet: Tensor


class Eigh(NamedTuple):
    """Eigenvalues in ascending order, and eigenvectors in columns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


def lower(a):
    """The gradient of an input of which only the lower triangle is read.

    The entries a[i, j] and a[j, i] are one number: the lower one gets the gradients of both.
    """
    return np.tril(a) + np.tril(mT(a), -1)


@primitive
def inv(a: Operand) -> Any:
    """y = a⁻¹."""
    return np.linalg.inv(a)


@inv.gradient
def inv_da(dy, y, a):
    return -mT(y) @ dy @ mT(y) + known(a)


@primitive
def solve(a: Operand, b: Operand) -> Any:
    """y with a y = b.  Shapes: a (..., n, n), b (n) or (..., n, k) → y like b."""
    return np.linalg.solve(a, b)


@solve.gradient
def solve_da(dy, y, a, b):
    db = np.linalg.solve(mT(a), dy)
    da = np.expand_dims(db, -1) * np.expand_dims(y, -2) if b.ndim == 1 else db @ mT(y)
    return known(a) - da


@solve.gradient
def solve_db(dy, y, a, b):
    db = np.linalg.solve(mT(a), dy)
    return db + (known(a)[..., 0] if b.ndim == 1 else known(a))


@primitive
def det(a: Operand) -> Any:
    """y = det a; of a singular a, too, the gradient is the matrix of the cofactors."""
    return np.linalg.det(a)


@det.gradient
def det_da(dy, y, a):
    if well_conditioned(arrays_of(a)):
        return np.expand_dims(dy * y, (-1, -2)) * mT(np.linalg.inv(a))
    return np.expand_dims(dy, (-1, -2)) * cofactors(a) + known(a)


def well_conditioned(a):
    """Whether the inverse of every matrix is accurate enough to be multiplied by another one."""
    try:
        inverse = np.linalg.inv(a)
    except np.linalg.LinAlgError:
        return False
    sizes = np.abs(a).sum(-1).max(-1, initial=0) * np.abs(inverse).sum(-1).max(-1, initial=0)
    return bool(np.all(sizes < 1e5))


def cofactors(a):
    """Of each element, with its sign, the determinant without its row and its column."""
    n = a.shape[-1]
    if n == 1:
        return np.ones_like(a)
    others = [[j for j in range(n) if j != k] for k in range(n)]
    rows = []
    for i in range(n):
        minors = [a[..., others[i], :][..., others[j]] for j in range(n)]
        signs = [(-1.0) ** (i + j) for j in range(n)]
        rows.append(np.stack([s * np.linalg.det(m) for s, m in zip(signs, minors)], -1))
    return np.stack(rows, -2)


def slogdet_like_numpy(op: Primitive, a: Operand) -> Slogdet:
    """The sign of det a and ln |det a|, as a named tuple."""
    return Slogdet(*op.record(a))


@primitive(numpy=slogdet_like_numpy)
def slogdet(a):
    return tuple(np.linalg.slogdet(a))


@slogdet.gradients
def slogdet_da(dy, y, a):
    if dy[1] is None:
        return (None,)
    return (np.expand_dims(dy[1], (-1, -2)) * mT(np.linalg.inv(a)) + known(a),)


def cholesky_like_numpy(op: Primitive, a: Operand, *, upper: bool = False) -> Tensor:
    """The lower triangular y with  y yᵀ = a,  or the upper one with  yᵀ y = a."""
    return mT(op.record(mT(as_tensor(a)))) if upper else op.record(a)


@primitive(numpy=cholesky_like_numpy)
def cholesky(a):
    return np.linalg.cholesky(a)


@cholesky.gradient
def cholesky_da(dy, y, a):
    inner = np.tril(mT(y) @ dy)
    inner = inner - 0.5 * inner * np.eye(y.shape[-1], dtype=y.dtype)
    inverse = np.linalg.inv(y)
    da = mT(inverse) @ inner @ inverse
    return lower(0.5 * (da + mT(da))) + known(a)


def eigh_like_numpy(op: Primitive, a: Operand, UPLO: str = "L") -> Eigh:
    """Eigenvalues w, ascending, and eigenvectors v in columns:  a v = v diag(w),  a symmetric.

    UPLO: "L" or "U", the triangle that is read.
    """
    return Eigh(*op.record(a, UPLO=UPLO.upper()))


@primitive(numpy=eigh_like_numpy)
def eigh(a, *, UPLO):
    return tuple(np.linalg.eigh(a, UPLO))


@eigh.gradients
def eigh_da(dy, y, a, UPLO):
    (dw, dv), (w, v) = dy, y
    inner = 0.0 if dw is None else np.expand_dims(dw, -1) * np.eye(a.shape[-1], dtype=a.dtype)
    if dv is not None:
        gaps = np.expand_dims(w, -2) - np.expand_dims(w, -1)
        gaps = np.where(equal_up_to_rounding(w), 0, gaps) + np.eye(a.shape[-1], dtype=a.dtype)
        inner = inner + safe_divide((mT(v) @ dv) * (1 - np.eye(a.shape[-1], dtype=a.dtype)), gaps)
    da = v @ inner @ mT(v)
    read = lower(0.5 * (da + mT(da)))
    return ((read if UPLO == "L" else mT(read)) + known(a),)


def eigvalsh(a: Operand, UPLO: str = "L") -> Tensor:
    """Eigenvalues of symmetric matrices, in ascending order; UPLO as in `eigh`."""
    return eigh(a, UPLO).eigenvalues


def norm_like_numpy(
    op: Primitive, x: Operand, ord: Any = None, axis: Axes = None, keepdims: bool = False
) -> Tensor:
    """Norm of a vector or a matrix.

    ord: of a vector 1, 2, inf, −inf or any p > 0; of a matrix "fro", "nuc", ±1, ±2 or ±inf.
    """
    x = as_tensor(x)
    axes = tuple(range(x.ndim)) if axis is None else tuple(np.atleast_1d(axis).tolist())
    if ord is None or (ord == "fro" and len(axes) == 2) or (ord == 2 and len(axes) == 1):
        return op.record(x, axis=axis, keepdims=keepdims)
    if len(axes) == 2 and ord in ("nuc", 2, -2):
        return of_singular_values(x, ord, axes, keepdims)
    if not isinstance(ord, int | float) or not ord or len(axes) > 2:
        raise unknown_norm(ord, axes)
    extreme = np.max if ord > 0 else np.min
    if not x.size:
        return np.sum(x, axis, keepdims=keepdims) + np.linalg.norm(x.data, ord, axis, keepdims)
    if len(axes) == 2:
        if abs(ord) not in (1, np.inf):
            raise unknown_norm(ord, axes)
        summed = axes[0] if abs(ord) == 1 else axes[1]
        return extreme(np.sum(np.abs(x), summed, keepdims=True), axes, keepdims=keepdims)
    if abs(ord) == np.inf:
        return extreme(np.abs(x), axes, keepdims=keepdims)
    return rooted(np.sum(np.abs(x) ** ord, axes, keepdims=keepdims), x, ord, axes)


def rooted(total: Tensor, x: Tensor, ord: float, axes: tuple[int, ...]) -> Tensor:
    """The norm of order `ord` from its sum of powers.

    At the origin the gradient is 0 and the next one not finite; of a sum that has left the range no
    gradient is known.
    """
    origin, lost = total.data == 0, np.isinf(total.data) & (ord > 0)
    if ord == 1:
        return total
    if not (origin.any() or lost.any()):
        return total ** (1 / ord)
    y = np.where(origin | lost, 1, total) ** (1 / ord)
    length = norm(x, axis=axes, keepdims=total.ndim == x.ndim)
    if lost.any():
        y = np.where(lost, np.where(lost, total, 1) * np.inf, y)
    return np.where(origin, 0 * length, y)


def of_singular_values(x: Tensor, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """The sum of the singular values ("nuc"), the greatest (2) or the smallest (−2)."""
    s = svdvals(np.moveaxis(x, axes, (-2, -1)))
    which = 0 if ord == 2 else -1
    y = np.sum(s, -1) if ord == "nuc" else s[..., which]
    return np.expand_dims(y, tuple(k % x.ndim for k in axes)) if keepdims else y


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
    length = with_reduced_axes(finite(y), axis, keepdims)
    return with_reduced_axes(dy, axis, keepdims) * part_of(x, length)


def matrix_power(a: Operand, n: int) -> Tensor:
    """a multiplied by itself n times; n = 0 gives the unit matrix, n < 0 powers of the inverse."""
    x = as_tensor(a)
    if n == 0:
        return x**0 * np.eye(x.shape[-1], dtype=x.dtype)
    base = inv(x) if n < 0 else x
    if abs(n) == 3:
        return base @ base @ base
    y, square, bits = None, base, abs(n)
    while bits:  # in NumPy's order, which matters where numbers overflow
        if bits % 2:
            y = square if y is None else y @ square
        bits //= 2
        square = square @ square if bits else square
    assert y is not None
    return y


def multi_dot(arrays: Sequence[Operand]) -> Tensor:
    """The matrix product of several, from the left."""
    y = as_tensor(arrays[0])
    for b in arrays[1:]:
        y = y @ b
    return y


def vector_norm(x: Operand, axis: Axes = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """Norm of the vectors along the axis (an int, several, or None for all); ord as in `norm`."""
    x = as_tensor(x)
    axes = range(x.ndim) if axis is None else [k % x.ndim for k in np.atleast_1d(axis).tolist()]
    rest = [k for k in range(x.ndim) if k not in axes]
    count = math.prod(x.shape[k] for k in axes)
    rows = np.reshape(np.transpose(x, (*rest, *axes)), (*[x.shape[k] for k in rest], count))
    y = norm(rows, ord, -1)
    return np.expand_dims(y, tuple(axes)) if keepdims else y


def matrix_norm(x: Operand, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """Norm of the matrices on the last two axes; ord as in `norm`."""
    return norm(x, ord, (-2, -1), keepdims)


def cond(x: Operand, p: Any = None) -> Tensor:
    """How much solving amplifies errors:  ‖a‖ ‖a⁻¹‖,  of 2-norms by default."""
    if p in (None, 2, -2):
        s = svdvals(x)
        top, bottom = (s[..., -1], s[..., 0]) if p == -2 else (s[..., 0], s[..., -1])
        return np.where((top == 0) & (bottom == 0), 1 / bottom, top / bottom)
    return norm(x, p, (-2, -1)) * norm(inv(x), p, (-2, -1))


def tensorinv(a: Operand, ind: int = 2) -> Tensor:
    """The inverse of `tensordot` with a over its first `ind` axes."""
    x = as_tensor(a)
    shape = (*x.shape[ind:], *x.shape[:ind])
    return np.reshape(inv(np.reshape(x, (int(np.prod(x.shape[:ind])), -1))), shape)


def tensorsolve(a: Operand, b: Operand, axes: Sequence[int] | None = None) -> Tensor:
    """x with  tensordot(a, x, x.ndim) = b;  axes: of a, moved to its end first."""
    x, z = as_tensor(a), as_tensor(b)
    if axes is not None:
        x = np.moveaxis(x, axes, range(-len(axes), 0))
    shape = x.shape[z.ndim :]
    return np.reshape(solve(np.reshape(x, (z.size, -1)), np.reshape(z, -1)), shape)


def linalg_outer(x1: Operand, x2: Operand) -> Tensor:
    """The products of all pairs of two vectors."""
    if np.ndim(x1) != 1 or np.ndim(x2) != 1:
        found = f"found shapes {np.shape(x1)} and {np.shape(x2)}"
        raise ValueError(f"linalg.outer: two vectors are needed, {found}; write np.outer(a, b)")
    return outer(x1, x2)


def linalg_trace(x: Operand, offset: int = 0, dtype: DTypeLike | None = None) -> Tensor:
    """Sum of a diagonal of the last two axes."""
    y = trace(x, offset, -2, -1)
    return y if dtype is None else y.astype(dtype)


def linalg_diagonal(x: Operand, offset: int = 0) -> Tensor:
    """A diagonal of the last two axes."""
    return diagonal(x, offset, -2, -1)


# where `np.linalg.name` means something else than `np.name`
OF_LINALG: dict[str, Callable[..., Any]] = {
    "diagonal": linalg_diagonal,
    "outer": linalg_outer,
    "trace": linalg_trace,
}
