"""Sums of products: einsum and what NumPy builds on it.  Imports `primitive`, `front` and other operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.ops.arithmetic import matmul, multiply
from minigrad.ops.front import named
from minigrad.ops.shaping import reshape, transpose
from minigrad.primitive import primitive

__all__ = [
    "convolve",
    "correlate",
    "cross",
    "dot",
    "einsum",
    "inner",
    "kron",
    "matvec",
    "outer",
    "tensordot",
    "trace",
]
__all__ += ["vdot", "vecdot", "vecmat"]

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"  # the module `string` would cost start-up 2 ms
LARGE = 4096  # elements from which matrix products are worth the search for them


@primitive
@named("einsum")
def sum_of_products(*xs, terms, result):
    """Einstein summation with explicit letters: Σ over the letters that are not in the result."""
    return np.einsum(
        f"{','.join(terms)}->{result}", *xs, optimize=len(xs) > 2 or np.size(xs[0]) > LARGE
    )


@sum_of_products.gradients
def einsum_dxs(dy, y, *xs, terms, result):
    grads = []
    for k, (x, term) in enumerate(zip(xs, terms, strict=True)):
        others = [t for j, t in enumerate(terms) if j != k]
        kept = [
            c for c in term if any(c in t for t in (result, *others))
        ]  # the rest is summed over in x alone
        values = [v for j, v in enumerate(xs) if j != k]
        text = f"{','.join([result, *others])}->{''.join(kept)}"
        dx = np.einsum(text, dy, *values, optimize=len(xs) > 2 or dy.size > LARGE)
        dx = dx[tuple(slice(None) if c in kept else None for c in term)]
        grads.append(
            np.broadcast_to(dx, [max(m, n) for m, n in zip(dx.shape, x.shape, strict=True)])
        )
    return tuple(grads)


def einsum(subscripts: Any, *operands: Any, optimize: Any = False) -> Any:
    """Einstein summation, as NumPy's with a string:  `einsum("tbd,dh->tbh", x, W)`; `...` broadcasts."""
    if not isinstance(subscripts, str):
        raise TypeError(
            "einsum: the subscripts are needed as a string first, as in einsum('ij,jk->ik', a, b)"
        )
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise ValueError(
            f"einsum: {subscripts!r} has {len(terms)} terms for {len(operands)} operands"
        )
    free = [c for c in LETTERS if c not in subscripts]
    widths = [
        np.ndim(x) - len(term.replace("...", "")) for x, term in zip(operands, terms, strict=True)
    ]
    dots = "".join(
        free[: max([0, *[w for w, term in zip(widths, terms, strict=True) if "..." in term]])]
    )
    if not arrow:
        letters = left.replace(",", "").replace(".", "")
        result = "..." * ("..." in left) + "".join(
            c for c in sorted(set(letters)) if letters.count(c) == 1
        )
    terms = [
        t.replace("...", dots[len(dots) - w :] if w else "")
        for t, w in zip(terms, widths, strict=True)
    ]
    inputs = list(operands)
    fresh = iter(free[len(dots) :])
    for k, term in enumerate(
        terms
    ):  # a letter twice in one term is a diagonal: the sum with a unit matrix
        for j, c in enumerate(term):
            if c in term[:j]:
                other = next(fresh)
                terms[k] = terms[k][:j] + other + terms[k][j + 1 :]
                terms.append(c + other)
                inputs.append(np.eye(operands[k].shape[j], dtype=operands[k].dtype))
    return sum_of_products(*inputs, terms=tuple(terms), result=result.replace("...", dots))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sum of products over pairs of axes: the last `axes` of a with the first of b, or two lists of them."""
    pair = (range(-axes, 0), range(axes)) if np.ndim(axes) == 0 else axes
    over_a, over_b = (
        [k % x.ndim for k in np.atleast_1d(p).tolist()] for x, p in zip((a, b), pair, strict=True)
    )
    free_a = [k for k in range(a.ndim) if k not in over_a]
    free_b = [k for k in range(b.ndim) if k not in over_b]
    n = int(np.prod([a.shape[k] for k in over_a]))
    left = reshape(transpose(a, [*free_a, *over_a]), (-1, n))
    right = reshape(transpose(b, [*over_b, *free_b]), (n, -1))
    return reshape(
        matmul(left, right), (*[a.shape[k] for k in free_a], *[b.shape[k] for k in free_b])
    )


def dot(a: Any, b: Any) -> Any:
    """NumPy's dot: the product of numbers, matmul of vectors and matrices, else over a's last and b's last but one."""
    if not np.ndim(a) or not np.ndim(b):
        return multiply(a, b)
    if b.ndim == 1 or a.ndim <= 2 >= b.ndim:
        return matmul(a, b)
    return tensordot(a, b, (-1, -2))


def outer(a: Any, b: Any) -> Any:
    """The products of all pairs:  y[i, j] = a[i] b[j], of the flattened arrays."""
    return multiply(reshape(a, (-1, 1)), reshape(b, (1, -1)))


def inner(a: Any, b: Any) -> Any:
    """Sum of products over the last axis of both."""
    return tensordot(a, b, (-1, -1)) if np.ndim(a) and np.ndim(b) else multiply(a, b)


def vdot(a: Any, b: Any) -> Any:
    """Sum of products of the flattened arrays."""
    return matmul(reshape(a, -1), reshape(b, -1))


def vecdot(a: Any, b: Any, axis: int = -1) -> Any:
    """Sum of products over one axis, broadcasting the others."""
    return np.sum(multiply(a, b), axis)


def matvec(a: Any, b: Any) -> Any:
    """Matrices times vectors:  (..., n, k), (..., k) → (..., n)."""
    return matmul(a, np.expand_dims(b, -1))[..., 0]


def vecmat(a: Any, b: Any) -> Any:
    """Vectors times matrices:  (..., n), (..., n, k) → (..., k)."""
    return matmul(np.expand_dims(a, -2), b)[..., 0, :]


def kron(a: Any, b: Any) -> Any:
    """Kronecker product: each element of a times the whole of b."""
    n = max(np.ndim(a), np.ndim(b))
    a, b = (reshape(x, (1,) * (n - np.ndim(x)) + np.shape(x)) for x in (a, b))
    pairs = multiply(
        np.expand_dims(a, tuple(range(1, 2 * n, 2))), np.expand_dims(b, tuple(range(0, 2 * n, 2)))
    )
    return reshape(pairs, tuple(i * j for i, j in zip(a.shape, b.shape, strict=True)))


def cross(a: Any, b: Any, axis: int = -1) -> Any:
    """Vector product of vectors of length 3 along the axis."""
    if np.shape(a)[axis] != 3 or np.shape(b)[axis] != 3:
        raise ValueError(
            f"cross: vectors of length 3 are needed, found shapes {np.shape(a)} and {np.shape(b)}"
        )
    a1, a2, b1, b2 = (np.roll(x, k, axis) for x in (a, b) for k in (-1, -2))
    return a1 * b2 - a2 * b1


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Sum of a diagonal."""
    return np.sum(np.diagonal(a, offset, axis1, axis2), -1)


def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """Convolution of two vectors:  y[k] = Σⱼ a[j] v[k − j]."""
    n, m = len(a), len(v)
    pairs = np.pad(multiply(reshape(a, (-1, 1)), reshape(v, (1, -1))), ((0, 0), (0, n)))
    full = np.sum(
        reshape(reshape(pairs, -1)[: n * (n + m - 1)], (n, n + m - 1)), 0
    )  # each row shifted by one more
    first = {"full": 0, "same": (min(n, m) - 1) // 2, "valid": min(n, m) - 1}[mode]
    return full[
        first : first
        + {"full": n + m - 1, "same": max(n, m), "valid": max(n, m) - min(n, m) + 1}[mode]
    ]


def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    """Correlation of two vectors:  y[k] = Σⱼ a[j + k] v[j], as a convolution with v reversed."""
    return convolve(a, np.flip(v), mode)
