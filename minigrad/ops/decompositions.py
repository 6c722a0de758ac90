"""Decompositions of matrices on the last two axes, and what is computed from them.

Where singular values meet or the rank changes, a factor has no derivative: the gradient is not
finite there, unless what reaches it is 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from minigrad.operators import Operand
from minigrad.ops.joining import concatenate
from minigrad.ops.signatures import arrays_of, as_tensor, np, safe_divide
from minigrad.primitive import Primitive, primitive
from minigrad.tensor import Tensor

__all__ = ["lstsq", "pinv", "qr", "svd", "svdvals"]


def mT(a):
    """The last two axes exchanged."""
    return np.swapaxes(a, -1, -2)


def known(a):
    """0 for each matrix of finite numbers, NaN for another: it has no inverse, and no gradient."""
    return 0 * np.sum(a - a, axis=(-2, -1), keepdims=True)


def equal_up_to_rounding(values):
    """Which pairs of eigenvalues or singular values nobody can tell apart."""
    w = arrays_of(values)
    rounding = w.shape[-1] * np.finfo(w.dtype).eps * np.max(np.abs(w), -1, initial=0)
    return np.abs(w[..., None, :] - w[..., :, None]) <= rounding[..., None, None]


def zero_up_to_rounding(s):
    """Which singular values nobody can tell from 0."""
    values = arrays_of(s)
    largest = np.max(values, -1, keepdims=True, initial=0)
    return values <= values.shape[-1] * np.finfo(values.dtype).eps * largest


class SVD(NamedTuple):
    """Singular vectors and values: the columns of U, S in descending order, the rows of Vh."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class QR(NamedTuple):
    """Orthonormal columns, and an upper triangular matrix."""

    Q: Tensor
    R: Tensor


def svd_like_numpy(
    op: Primitive, a: Operand, full_matrices: bool = True, compute_uv: bool = True
) -> SVD | Tensor:
    """U, S, Vh with  a = U diag(S) Vh,  or S alone without compute_uv.

    Shapes: a (..., m, n), k = min(m, n) → U (..., m, k), S (..., k), Vh (..., k, n).  By default
    the columns of U or the rows of Vh are filled up to a square matrix; what is filled in is not
    unique, so a loss that uses U and Vh needs full_matrices=False.  Rule: Townsend (2016).
    """
    y = SVD(*op.record(a, full_matrices=full_matrices))
    return y if compute_uv else y.S


@primitive(numpy=svd_like_numpy)
def svd(a, *, full_matrices):
    if not np.isfinite(a).all():  # LAPACK may never end
        raise np.linalg.LinAlgError("svd: the matrix must be finite")
    return tuple(np.linalg.svd(a, full_matrices))


@svd.gradients
def svd_da(dy, y, a, full_matrices):
    (du, ds, dv), (m, n) = dy, a.shape[-2:]
    if full_matrices and m != n:
        if not (du is dv is None):
            raise NotImplementedError(
                "svd: the vectors that fill U or Vh up to a square matrix have no derivative; "
                "write np.linalg.svd(a, full_matrices=False)"
            )
        y = np.linalg.svd(a, full_matrices=False)
    (u, s, v), k = y, min(m, n)
    s = np.where(zero_up_to_rounding(s), 0, s)
    one = np.eye(k, dtype=a.dtype)
    row, column = np.expand_dims(s, -2), np.expand_dims(s, -1)
    gaps = np.where(equal_up_to_rounding(s), 0, row * row - column * column) + one
    inner = 0.0 if ds is None else np.expand_dims(ds, -1) * one
    if du is not None:
        turn = mT(u) @ du
        inner = inner + safe_divide((turn - mT(turn)) * (1 - one), gaps) * row
    if dv is not None:
        turn = v @ mT(dv)
        inner = inner + column * safe_divide((turn - mT(turn)) * (1 - one), gaps)
    da = u @ inner @ v
    if du is not None and m > k:
        da = da + (du - u @ (mT(u) @ du)) / row @ v
    if dv is not None and n > k:
        da = da + u @ ((dv - dv @ mT(v) @ v) / column)
    return (da + known(a),)


def svdvals(x: Operand) -> Tensor:
    """Singular values in descending order.  Shapes: x (..., m, n) → (..., min(m, n))."""
    return SVD(*svd.record(x, full_matrices=False)).S


def pinv_like_numpy(
    op: Primitive, a: Operand, rcond: Any = None, *, rtol: float | None = None
) -> Tensor:
    """The pseudo-inverse y:  a y a = a,  y a y = y,  a y and y a symmetric.

    Singular values up to rcond (or rtol) times the greatest count as 0.  Shapes: (..., m, n) →
    (..., n, m).  Rule for matrices whose rank stays: Golub and Pereyra (1973).
    """
    return op.record(a, rcond=rcond if rtol is None else rtol)


@primitive(numpy=pinv_like_numpy)
def pinv(a, *, rcond=None):
    if not np.isfinite(a).all():  # LAPACK may never end
        raise np.linalg.LinAlgError("pinv: the matrix must be finite")
    return np.linalg.pinv(a, rcond)


@pinv.gradient
def pinv_da(dy, y, a, rcond=None):
    left, right = mT(dy) @ y @ mT(y), mT(y) @ y @ mT(dy)
    return left - a @ (y @ left) + right - right @ y @ a - mT(y) @ dy @ mT(y) + known(a)


def qr_like_numpy(op: Primitive, a: Operand, mode: str = "reduced") -> QR | Tensor:
    """Q, R with  a = Q R,  or R alone with mode="r".

    Shapes: a (..., m, n), k = min(m, n) → Q (..., m, k), R (..., k, n).  The first k columns of a
    must be independent.  Rule: Walter and Lehmann (2012).
    """
    if mode not in ("reduced", "r"):
        raise NotImplementedError(
            f"qr: mode={mode!r} has no gradient rule; write mode='reduced' or mode='r'"
        )
    x = as_tensor(a)
    m, n = x.shape[-2:]
    q, r = op.record(x[..., :m] if n > m else x)
    if n > m:
        r = concatenate([r, mT(q) @ x[..., m:]], -1)
    return QR(q, r) if mode == "reduced" else r


@primitive(numpy=qr_like_numpy)
def qr(a):
    return tuple(np.linalg.qr(a))


@qr.gradients
def qr_da(dy, y, a):
    (dq, dr), (q, r) = dy, y
    dq = np.zeros_like(q) if dq is None else dq
    sizes = np.abs(arrays_of(r))
    rounding = (
        r.shape[-1] * np.finfo(r.dtype).eps * np.max(sizes, (-1, -2), keepdims=True, initial=0)
    )
    dependent = np.eye(r.shape[-1], dtype=bool) & (sizes <= rounding)
    r = np.where(dependent, 0, r)  # then solving raises
    inner = -mT(dq) @ q
    if dr is not None:
        inner = inner + r @ mT(dr)
    symmetric = np.tril(inner) + mT(np.tril(inner, -1))
    return (mT(np.linalg.solve(r, mT(dq + q @ symmetric))) + known(a),)


def lstsq(a: Operand, b: Operand, rcond: float | None = None) -> tuple[Tensor, Tensor, int, Tensor]:
    """The shortest x with the least ‖a x − b‖², the least squares, the rank, the singular values.

    Singular values up to rcond times the greatest count as 0; by default ε max(m, n).
    Shapes: a (m, n), b (m) or (m, k) → x (n) or (n, k), squares () or (k), as a vector.
    """
    x, z = as_tensor(a), as_tensor(b)
    m, n = x.shape
    if rcond is None:
        rcond = float(np.finfo(x.dtype).eps) * max(m, n)
    s = svdvals(x)
    rank = int(np.sum(s.data > rcond * np.max(s.data, initial=0)))
    solution = pinv(x, rcond) @ z + 0 * np.sum(z - z, 0)  # NaN where b is not finite
    squares = np.atleast_1d(np.sum((x @ solution - z) ** 2, 0))
    return solution, squares if rank == n < m else squares[:0], rank, s
