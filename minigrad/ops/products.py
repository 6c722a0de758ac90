"""Sums of products: einsum and what NumPy builds on it."""

from __future__ import annotations

import math
from typing import Any

from minigrad.operators import Operand, functions
from minigrad.ops.arithmetic import matmul, multiply
from minigrad.ops.shaping import reshape, transpose
from minigrad.ops.signatures import as_tensor, np
from minigrad.primitive import Primitive, primitive
from minigrad.tensor import Tensor

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

# written out, because importing the module `string` would add 2 ms to the start
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
LARGE = 4096  # elements from which matrix products are worth the search for them


def einsum_like_numpy(
    op: Primitive, subscripts: str | Operand, *operands: Operand, optimize: Any = False
) -> Tensor:
    """Einstein summation, as NumPy's: with a string, or with lists of numbers; `...` broadcasts.

    >>> import minigrad as mg, numpy as np
    >>> x, W = mg.tensor(np.ones((5, 2, 3))), mg.tensor(np.ones((3, 4)))
    >>> mg.einsum("tbd,dh->tbh", x, W).shape
    (5, 2, 4)
    """
    if not isinstance(subscripts, str):
        subscripts, operands = as_text((subscripts, *operands))
    inputs = [as_tensor(x) for x in operands]
    terms, result = explicit_letters(subscripts, [x.ndim for x in inputs])
    for k, term in enumerate(terms):
        inputs[k], terms[k] = without_twins(inputs[k], term)
    return op.record(*inputs, terms=tuple(terms), result=result)


def as_text(arguments: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """The subscripts as a string, and the operands, of `einsum(a, [0, 1], b, [1, 2], [0, 2])`."""
    count = len(arguments) // 2
    operands, lists = arguments[: 2 * count : 2], list(arguments[1 : 2 * count : 2])
    if not count or not all(isinstance(labels, list | tuple) for labels in lists):
        examples = "einsum('ij,jk->ik', a, b) or einsum(a, [0, 1], b, [1, 2], [0, 2])"
        raise TypeError(f"einsum: subscripts are needed, as in {examples}")
    result: Any = arguments[-1] if len(arguments) % 2 else labels_once(lists)
    texts = [
        "".join("..." if k is Ellipsis else LETTERS[k] for k in labels)
        for labels in (*lists, result)
    ]
    return f"{','.join(texts[:-1])}->{texts[-1]}", operands


def labels_once(lists: list[Any]) -> list[Any]:
    """The labels of the result where none are given: those that stand once, in order."""
    labels = [k for part in lists for k in part]
    numbers = sorted({k for k in labels if k is not Ellipsis})
    dots = [Ellipsis] if Ellipsis in labels else []
    return [*dots, *[k for k in numbers if labels.count(k) == 1]]


def explicit_letters(subscripts: str, ndims: list[int]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with `...` and `->` written out."""
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        problem = f"has {len(terms)} terms for {len(ndims)} operands"
        raise ValueError(f"einsum: {subscripts!r} {problem}")
    if not arrow:  # letters that stand once, in alphabetical order
        letters = left.replace(",", "").replace(".", "")
        once = [c for c in sorted(set(letters)) if letters.count(c) == 1]
        result = "".join(["..." if "..." in left else "", *once])
    dotted = [ndim - len(term) + 3 for term, ndim in zip(terms, ndims) if "..." in term]
    free = [c for c in LETTERS if c not in subscripts]
    dots = "".join(free[: max(dotted, default=0)])
    explicit = []
    for term, ndim in zip(terms, ndims):
        width = ndim - len(term) + 3
        explicit.append(term.replace("...", dots[len(dots) - width :] if width else ""))
    return explicit, result.replace("...", dots)


def without_twins(x: Tensor, term: str) -> tuple[Tensor, str]:
    """The diagonal over every letter that stands twice in a term."""
    for c in dict.fromkeys(term):
        while term.count(c) > 1:
            i = term.index(c)
            j = term.index(c, i + 1)
            x = functions["diagonal"](x, 0, i, j)
            term = term[:i] + term[i + 1 : j] + term[j + 1 :] + c
    return x, term


@primitive(numpy=einsum_like_numpy)
def einsum(*xs, terms, result):
    text = f"{','.join(terms)}->{result}"
    return np.einsum(text, *xs, optimize=len(xs) > 2 or np.size(xs[0]) > LARGE)


@einsum.gradients
def einsum_dxs(dy, y, *xs, terms, result):
    grads = []
    for k, (x, term) in enumerate(zip(xs, terms, strict=True)):
        others = [t for j, t in enumerate(terms) if j != k]
        kept = [
            c for c in term if any(c in t for t in (result, *others))
        ]  # others: summed in x alone
        values = [v for j, v in enumerate(xs) if j != k]
        text = f"{','.join([result, *others])}->{''.join(kept)}"
        dx = np.einsum(text, dy, *values, optimize=len(xs) > 2 or dy.size > LARGE)
        dx = dx[tuple(slice(None) if c in kept else None for c in term)]
        shape = [n if m == 1 else m for m, n in zip(dx.shape, x.shape, strict=True)]
        grads.append(np.broadcast_to(dx, shape))
    return tuple(grads)


def tensordot(a: Operand, b: Operand, axes: Any = 2) -> Tensor:
    """Sum of products over pairs of axes.

    axes: how many: the last of a with the first of b; or two lists of axes.

    >>> import minigrad as mg, numpy as np
    >>> mg.tensordot(mg.tensor(np.ones((2, 3))), mg.tensor(np.ones((3, 4))), 1).shape
    (2, 4)
    """
    x, z = as_tensor(a), as_tensor(b)
    over_x, over_z = (range(-axes, 0), range(axes)) if np.ndim(axes) == 0 else axes
    over_x = [k % x.ndim for k in np.atleast_1d(over_x).tolist()]
    over_z = [k % z.ndim for k in np.atleast_1d(over_z).tolist()]
    free_x = [k for k in range(x.ndim) if k not in over_x]
    free_z = [k for k in range(z.ndim) if k not in over_z]
    rows, columns = [x.shape[k] for k in free_x], [z.shape[k] for k in free_z]
    n = math.prod(x.shape[k] for k in over_x)
    left = reshape(transpose(x, [*free_x, *over_x]), (math.prod(rows), n))
    right = reshape(transpose(z, [*over_z, *free_z]), (n, math.prod(columns)))
    return reshape(matmul(left, right), rows + columns)


def dot(a: Operand, b: Operand) -> Tensor:
    """NumPy's dot product.

    Of numbers the product, of vectors and matrices `matmul`, else the sum over the last axis of a
    and the last but one of b.

    >>> import minigrad as mg
    >>> mg.dot(mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0]))
    tensor(11)
    """
    if not np.ndim(a) or not np.ndim(b):
        return multiply(a, b)
    x, z = as_tensor(a), as_tensor(b)
    if z.ndim == 1 or x.ndim <= 2 >= z.ndim:
        return matmul(x, z)
    return tensordot(x, z, (-1, -2))


def outer(a: Operand, b: Operand) -> Tensor:
    """The products of all pairs:  y[i, j] = a[i] b[j], of the flattened arrays."""
    return multiply(reshape(a, (-1, 1)), reshape(b, (1, -1)))


def inner(a: Operand, b: Operand) -> Tensor:
    """Sum of products over the last axis of both."""
    return tensordot(a, b, (-1, -1)) if np.ndim(a) and np.ndim(b) else multiply(a, b)


def vdot(a: Operand, b: Operand) -> Tensor:
    """Sum of products of the flattened arrays."""
    return matmul(reshape(a, -1), reshape(b, -1))


def vecdot(a: Operand, b: Operand, axis: int = -1) -> Tensor:
    """Sum of products over one axis, broadcasting the others."""
    return np.sum(multiply(a, b), axis)


def matvec(a: Operand, b: Operand) -> Tensor:
    """Matrices times vectors:  (..., n, k), (..., k) → (..., n)."""
    return matmul(a, np.expand_dims(as_tensor(b), -1))[..., 0]


def vecmat(a: Operand, b: Operand) -> Tensor:
    """Vectors times matrices:  (..., n), (..., n, k) → (..., k)."""
    return matmul(np.expand_dims(as_tensor(a), -2), b)[..., 0, :]


def kron(a: Operand, b: Operand) -> Tensor:
    """Kronecker product: each element of a times the whole of b."""
    n = max(np.ndim(a), np.ndim(b))
    x = reshape(a, (1,) * (n - np.ndim(a)) + np.shape(a))
    z = reshape(b, (1,) * (n - np.ndim(b)) + np.shape(b))
    rows = np.expand_dims(x, tuple(range(1, 2 * n, 2)))
    columns = np.expand_dims(z, tuple(range(0, 2 * n, 2)))
    shape = tuple(i * j for i, j in zip(x.shape, z.shape, strict=True))
    return reshape(multiply(rows, columns), shape)


def cross(
    a: Operand,
    b: Operand,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Tensor:
    """Vector product of vectors of length 3.

    axisa, axisb, axisc: the axis of the vectors in a, in b and in the result.  axis: all three.
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x, z = np.moveaxis(as_tensor(a), axisa, -1), np.moveaxis(as_tensor(b), axisb, -1)
    if x.shape[-1] != 3 or z.shape[-1] != 3:
        found = f"found shapes {np.shape(a)} and {np.shape(b)}"
        raise ValueError(f"cross: vectors of length 3 are needed, {found}")
    x1, x2, z1, z2 = (np.roll(v, k, -1) for v in (x, z) for k in (-1, -2))
    return np.moveaxis(x1 * z2 - x2 * z1, -1, axisc)


def trace(a: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Sum of a diagonal."""
    return np.sum(np.diagonal(as_tensor(a), offset, axis1, axis2), -1)


def convolve(a: Operand, v: Operand, mode: str = "full") -> Tensor:
    """Convolution of two vectors:  y[k] = Σⱼ a[j] v[k − j]."""
    x, z = as_tensor(a), as_tensor(v)
    n, m = len(x), len(z)
    if not n or not m:
        raise ValueError(f"convolve: neither may be empty, found lengths {n} and {m}")
    pairs = np.pad(multiply(reshape(x, (-1, 1)), reshape(z, (1, -1))), ((0, 0), (0, n)))
    shifted = reshape(reshape(pairs, -1)[: n * (n + m - 1)], (n, n + m - 1))  # each row by one more
    full = np.sum(shifted, 0)
    lengths = {"full": n + m - 1, "same": max(n, m), "valid": max(n, m) - min(n, m) + 1}
    starts = {"full": 0, "same": (min(n, m) - 1) // 2, "valid": min(n, m) - 1}
    return full[starts[mode] : starts[mode] + lengths[mode]]


def correlate(a: Operand, v: Operand, mode: str = "valid") -> Tensor:
    """Correlation of two vectors:  y[k] = Σⱼ a[j + k] v[j], as a convolution with v reversed."""
    return convolve(a, np.flip(as_tensor(v)), mode)
