"""One table of checks in which every primitive of minigrad appears: values, first and second derivatives, dtypes."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import minigrad as mg
from minigrad.ops import elementwise
from minigrad.primitive import registry

NUMPY = vars(np)
RNG = np.random.default_rng(7)
MASK = np.array([[True, False, True], [False, True, True]])


def n(*shape):
    """Normal numbers, no two of them near each other and none near 0, where some functions have kinks."""
    size = int(np.prod(shape))
    return RNG.permutation(np.linspace(-2, 2, 2 * size + 1)[1::2] + 0.013).reshape(shape)


def p(*shape):
    """Positive numbers."""
    return np.abs(n(*shape)) + 0.3


def u(*shape):
    """Numbers between −0.9 and 0.9."""
    return 0.44 * n(*shape)


def s(*shape):
    """Well-conditioned symmetric positive definite matrices with different eigenvalues."""
    a = n(*shape)
    return a @ np.swapaxes(a, -1, -2) + np.diag(np.arange(1.0, shape[-1] + 1))


def a(*shape):
    """Matrices with columns, rows and singular values that are far from each other."""
    return n(*shape) + 2 * np.eye(*shape[-2:]) * np.arange(1, shape[-1] + 1)


def unary(name, *inputs):
    return [
        (getattr(np, name, None) or getattr(mg.ops, name), x)
        for x in inputs or (n(2, 3), n(), n(0), n(4))
    ]


def binary(name, make=n):
    f = getattr(np, name)
    return [
        *[
            (f, make(*a), make(*b) * 0.9)
            for a, b in [((2, 3), (3,)), ((), (2, 2)), ((2, 1), (1, 3)), ((0, 2), (2,))]
        ],
        (lambda x: f(x, 1.7), make(2, 3)),
        (lambda x: f(1.7, x), make(3)),
    ]


def fix(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # NumPy 2.5 has it, and says trunc
        return np.fix(x)


def of_newer_numpy(name):
    """NumPy's function; where its version lacks it, ours."""
    return getattr(np, name, None) or getattr(mg.ops, name)


def reduction(name, make=n):
    f = getattr(np, name)
    axes = [None, 0, -1, (0, 2), (-1, 1), ()]
    cases = [(lambda x, axis=axis: f(x, axis=axis), make(2, 3, 2)) for axis in axes]
    return [
        *cases,
        (lambda x: f(x, 1, keepdims=True), make(2, 3)),
        (f, make()),
        (lambda x: f(x, keepdims=True), make(3, 1)),
        (lambda x: f(x, axis=0, where=np.array([True, False, True])[:, None]), make(3, 2))
        if name not in ("max", "min")
        else (lambda x: f(x, axis=1, where=MASK, initial=-0.5), make(2, 3)),
    ]


CHECKS = {
    # arithmetic
    "add": binary("add"),
    "subtract": binary("subtract"),
    "multiply": binary("multiply"),
    "divide": binary("divide", p),
    "negative": unary("negative"),
    "power": [
        *binary("power", p),
        *[(lambda x, b=b: x**b, n(2, 3)) for b in (0, 1, 2, 3, -1, -2)],
        (lambda x: x**0.5, p(3)),
        (lambda x: 2**x, n(3)),
        (lambda x: x ** np.arange(3, dtype=np.float32), n(2, 3)),
    ],
    "matmul": [
        (np.matmul, n(*a), n(*b))
        for a, b in [
            *[
                ((2, 3), (3, 4)),
                ((3,), (3,)),
                ((3,), (3, 2)),
                ((2, 3), (3,)),
                ((3,), (2, 3, 2)),
                ((2, 2, 3), (3,)),
            ],
            *[
                ((2, 2, 3), (3, 2)),
                ((2, 3), (2, 3, 2)),
                ((2, 1, 2, 3), (2, 3, 2)),
                ((2, 2, 3), (2, 3, 1)),
                ((0, 3), (3, 2)),
            ],
        ]
    ],
    # elementwise
    **{
        name: unary(name)
        for name in [
            "exp",
            "square",
            "tanh",
            "absolute",
            "sin",
            "cos",
            "sinh",
            "cosh",
            "arctan",
            "arcsinh",
            "exp2",
            "expm1",
            "deg2rad",
            "rad2deg",
            "positive",
            "floor",
            "ceil",
            "trunc",
            "rint",
            "sign",
            "sigmoid",
            "relu",
            "softplus",
        ]
    },
    **{
        name: unary(name, p(2, 3), p())
        for name in ["log", "sqrt", "log1p", "log2", "log10", "cbrt", "reciprocal"]
    },
    **{name: unary(name, u(2, 3), u()) for name in ["tan", "arcsin", "arccos", "arctanh"]},
    "arccosh": unary("arccosh", 1 + p(2, 3)),
    "round": [(lambda x: np.round(x, 1), n(2, 3)), (np.round, n(3))],
    **{
        name: binary(name, p)
        for name in [
            "floor_divide",
            "remainder",
            "fmod",
            "heaviside",
            "copysign",
            "arctan2",
            "hypot",
        ]
    },
    "logaddexp": binary("logaddexp"),
    # activations
    "softmax": [(lambda x, k=k: mg.softmax(x, axis=k), n(2, 3)) for k in (-1, 0, (0, 1))],
    "log_softmax": [(lambda x, k=k: mg.log_softmax(x, axis=k), n(2, 3)) for k in (-1, 0, (0, 1))],
    "logsumexp": [(lambda x, k=k: mg.logsumexp(x, axis=k), n(2, 3)) for k in (-1, 0, (0, 1), None)]
    + [(lambda x: mg.logsumexp(x, axis=0, keepdims=True), n(2, 3))],
    # selection
    **{name: binary(name) for name in ["maximum", "minimum", "fmax", "fmin"]},
    "where": [
        (lambda a, b: np.where(MASK, a, b), n(2, 3), n(3)),
        (lambda a: np.where(a > 0, a, 2 * a), n(2, 3)),
        (lambda a: np.where(a > 0, np.sqrt(np.where(a > 0, a, 1.0)), a), n(2, 3)),
        (lambda a: np.where(MASK, a, 0.0), n()),
    ],
    "clip": [
        (lambda x: np.clip(x, -0.5, 1), n(2, 3)),
        (lambda x: np.clip(x, None, 0.5), n(2, 3)),
        (lambda x: np.clip(x, a_min=0.5, a_max=None), n(2, 3)),
        (lambda x: mg.clip(x, min=-1, max=1), n(3)),
        (np.clip, n(2, 3), n(3) - 0.9, n(3) + 1.15),
    ],
    # reductions
    **{name: reduction(name) for name in ["sum", "mean", "var", "prod", "max", "min"]},
    "std": [
        *[case for case in reduction("std") if np.size(case[1]) > 1][:5],
        (lambda x: np.std(x, ddof=1), n(2, 3)),
    ],
    "cumsum": [(lambda x, k=k: np.cumsum(x, k), n(2, 3)) for k in (0, -1, None)],
    # shaping
    "reshape": [
        (lambda x: np.reshape(x, (3, -1)), n(2, 3)),
        (lambda x: x.reshape(3, 2), n(2, 3)),
        (lambda x: x.reshape(()), n(1)),
    ],
    "ravel": [(np.ravel, n(2, 3)), (np.ravel, n())],
    "expand_dims": [(lambda x, k=k: np.expand_dims(x, k), n(2, 3)) for k in (0, -1, (0, 2))],
    "squeeze": [
        (np.squeeze, n(2, 1, 3, 1)),
        (lambda x: np.squeeze(x, -1), n(2, 1)),
        (lambda x: x.squeeze((0, 2)), n(1, 2, 1)),
    ],
    "transpose": [
        (np.transpose, n(2, 3)),
        (lambda x: np.transpose(x, (1, 2, 0)), n(2, 3, 2)),
        (lambda x: x.transpose(-1, 0, 1), n(2, 3, 2)),
        (lambda x: x.T, n(2, 3, 2)),
    ],
    "swapaxes": [(lambda x: np.swapaxes(x, 0, -1), n(2, 3, 2))],
    "moveaxis": [
        (lambda x: np.moveaxis(x, 0, -1), n(2, 3, 2)),
        (lambda x: np.moveaxis(x, (0, 1), (-1, 0)), n(2, 3, 2)),
    ],
    "broadcast_to": [
        (lambda x: np.broadcast_to(x, (2, 2, 3)), n(2, 1)),
        (lambda x: np.broadcast_to(x, (2, 3)), n()),
    ],
    "flip": [(lambda x, k=k: np.flip(x, k), n(2, 3)) for k in (None, 0, (0, -1))],
    "roll": [(lambda x: np.roll(x, 2), n(2, 3)), (lambda x: np.roll(x, (1, -1), (0, 1)), n(2, 3))],
    "astype": [(lambda x: x.astype(np.float64) * x, n(2, 3))],
    "pad": [
        (lambda x: np.pad(x, 1), n(2, 3)),
        (lambda x: np.pad(x, ((1, 0), (0, 2)), constant_values=3), n(2, 3)),
        *[
            (lambda x, m=m: np.pad(x, ((1, 0), (2, 1)), m), n(2, 3))
            for m in ("edge", "reflect", "symmetric", "wrap")
        ],
    ],
    # joining
    "concatenate": [
        (lambda a, b: np.concatenate([a, b], axis=-1), n(2, 3), n(2, 1)),
        (lambda a, b: np.concatenate((a, b), axis=None), n(2, 3), n(2)),
        (lambda a: np.concatenate([a, np.ones((1, 3), np.float32), a]), n(2, 3)),
    ],
    "stack": [(lambda a, b, k=k: np.stack([a, b], k), n(2, 3), n(2, 3)) for k in (0, 1, -1)]
    + [(lambda a, b: np.stack([a, b]), n(), n())],
    "unstack": [
        (lambda x: sum(k * mg.unstack(x)[k] ** 2 for k in range(3)), n(3, 2)),
        (lambda x: mg.unstack(x, axis=-1)[1] ** 2, n(2, 3)),
        (lambda x: sum(row * row for row in x), n(3, 2)),
    ],
    "split": [
        (lambda x: [2 * part**2 for part in np.split(x, 3, axis=-1)], n(2, 6)),
        (lambda x: np.split(x, [1, 3])[1] ** 2, n(4, 2)),
        (lambda x: np.array_split(x, 3)[2], n(4, 2)),
    ],
    # indexing
    "getitem": [
        (lambda x, i=i: x[i], n(3, 4))
        for i in [
            *[
                1,
                -1,
                slice(None, None, 2),
                (slice(1, None), -1),
                (..., None, 0),
                ([0, 0, 2],),
                ([[0, 1], [1, 0]], 2),
            ],
            *[
                np.array([True, False, True]),
                n(3, 4) > 0,
                (None, slice(2), [1, 1, 3]),
                (np.array([2, 2]), np.array([1, 1])),
            ],
        ]
    ],
    # products
    "einsum": [
        (lambda a, b: np.einsum("ij,jk->ik", a, b), n(2, 3), n(3, 2)),
        (lambda a, b: np.einsum("...ij,jk", a, b), n(2, 2, 3), n(3, 2)),
        (lambda a, b: np.einsum("...i,...i->...", a, b), n(2, 1, 3), n(4, 3)),
        (lambda a, b: np.einsum("bi,bj->bij", a, b), n(2, 3), n(1, 2)),
        (lambda a: np.einsum("ii->i", a), n(3, 3)),
        (lambda a: np.einsum("ii", a), n(3, 3)),
        (lambda a: np.einsum("ij->j", a), n(2, 3)),
        (lambda a: np.einsum("ij->ji", a), n(2, 3)),
        (lambda a, b, c: np.einsum("ij,jk,kl->il", a, b, c), n(2, 3), n(3, 2), n(2, 2)),
        (lambda a, b: np.einsum(a, [0, 1], b, [1, 2], [0, 2]), n(2, 3), n(3, 2)),
        (lambda a, b: np.einsum(a, [..., 30, 2], b, [2, 1]), n(2, 2, 3), n(3, 2)),
        (lambda a: np.einsum(a, [1, 1]), n(3, 3)),
    ],
    # linear algebra
    "inv": [(np.linalg.inv, s(3, 3)), (np.linalg.inv, s(2, 2, 2))],
    "solve": [
        (np.linalg.solve, s(3, 3), n(3)),
        (np.linalg.solve, s(3, 3), n(3, 2)),
        (np.linalg.solve, s(2, 2, 2), n(2, 2, 1)),
    ],
    "det": [(np.linalg.det, s(3, 3)), (np.linalg.det, s(2, 2, 2))],
    "slogdet": [
        (lambda a: np.linalg.slogdet(a)[1], s(3, 3)),
        (lambda a: np.linalg.slogdet(-a), s(2, 3, 3)),
    ],
    "cholesky": [
        (np.linalg.cholesky, s(3, 3)),
        (np.linalg.cholesky, s(2, 2, 2)),
        (lambda a: np.linalg.cholesky(a, upper=True), s(3, 3)),
    ],
    "eigh": [
        (lambda a: np.linalg.eigh(a)[0], s(3, 3)),
        (lambda a: np.linalg.eigh(a)[1] ** 2, s(3, 3)),
        (lambda a: [part**2 for part in np.linalg.eigh(a)], s(2, 2, 2)),
        (lambda a: [part**2 for part in np.linalg.eigh(a, "U")], s(3, 3)),
        (lambda a: np.linalg.eigh(a, UPLO="u").eigenvalues, s(2, 2, 2)),
    ],
    "svd": [
        (lambda a: np.linalg.svd(a, full_matrices=False), a(3, 2)),
        (lambda a: np.linalg.svd(a, full_matrices=False), a(2, 2, 3)),
        (lambda a: list(np.linalg.svd(a)), s(3, 3)),
        (lambda a: np.linalg.svd(a).S, a(2, 3)),
        (lambda a: np.linalg.svd(a, compute_uv=False), a(2, 3, 2)),
        (lambda a: np.linalg.svd(a, full_matrices=False).U, a(4, 2)),
        (lambda a: np.linalg.svd(a, full_matrices=False).Vh, a(2, 4)),
    ],
    "pinv": [
        (np.linalg.pinv, a(3, 2)),
        (np.linalg.pinv, a(2, 2, 3)),
        (lambda a: np.linalg.pinv(a, rtol=1e-3), s(2, 2)),
        (lambda a: np.linalg.pinv(a @ np.swapaxes(a, 0, 1), 1e-4), a(3, 2)),
    ],
    "qr": [
        (np.linalg.qr, a(3, 2)),
        (np.linalg.qr, a(2, 3)),
        (lambda a: np.linalg.qr(a, "r"), s(2, 2, 2)),
        (lambda a: np.linalg.qr(a).Q, a(2, 3, 2)),
    ],
    "norm": [
        (np.linalg.norm, n(2, 3)),
        (lambda x: np.linalg.norm(x, axis=-1), n(2, 3)),
        (lambda x: np.linalg.norm(x, "fro", axis=(0, 2), keepdims=True), n(2, 3, 2)),
    ],
    # the engine's own
    "add_up": [(lambda x: x[0] * x + x[1] ** 2 + x[[0, 0]][1], n(3))],
    "share": [
        (
            elementwise.share,
            np.array([[1.0, -2.0], [0.5, 0.3]]),
            np.array([[0.7, 1.5], [2.0, 1.1]]),
        ),
        (elementwise.share, np.array([[1.0, -2.0], [0.5, 0.3]]), np.array([[0.7], [1.5]])),
    ],
}
ENGINE_ONLY = {
    "once_differentiated"
}  # has no derivative by definition: tests of the backward loop show that it raises

# functions that are written with others: name → (function of tensors or arrays, inputs)
COMPOSED = {
    "gelu": [(mg.gelu, n(2, 3))],
    "silu": [(mg.silu, n(2, 3))],
    "elu": [(mg.elu, n(2, 3)), (lambda x: mg.elu(x, 0.3), n(4))],
    "leaky_relu": [(mg.leaky_relu, n(2, 3)), (lambda x: mg.leaky_relu(x, 0.3), n(4))],
    "one_hot": [(lambda x: mg.one_hot([[2, 0]], 3, x.dtype) @ x, n(3, 2))],
    "logcumsumexp": [(lambda x, k=k: mg.logcumsumexp(x, axis=k), n(2, 3)) for k in (-1, 0)],
    "sliding_window_view": [
        (lambda x: sliding_window_view(x, 3), n(5)),
        (lambda x: sliding_window_view(x, (2, 2)), n(3, 4)),
        (lambda x: sliding_window_view(x, 2, axis=-1), n(2, 4)),
    ],
    "cumulative_sum": [
        (of_newer_numpy("cumulative_sum"), n(4)),
        (lambda x: of_newer_numpy("cumulative_sum")(x, axis=-1, include_initial=True), n(2, 3)),
    ],
    "cumulative_prod": [
        (of_newer_numpy("cumulative_prod"), n(4)),
        (lambda x: of_newer_numpy("cumulative_prod")(x, axis=0, include_initial=True), n(2, 3)),
    ],
    "gradient": [
        (np.gradient, n(4)),
        (np.gradient, n(3, 4)),
        (lambda f: np.gradient(f, 0.5, axis=(0, -1), edge_order=2), n(3, 4)),
        (lambda f: np.gradient(f, [0.0, 1.0, 1.5, 3.0]), n(4)),
        (lambda f: np.gradient(f, [0.0, 1.0, 1.5], 2.0, edge_order=2), n(3, 4)),
        (lambda f, x: mg.ops.gradient(f, np.cumsum(x)), n(4), p(4)),
    ],
    "linspace": [
        (lambda x, y: np.linspace(x, y, 5), n(2), n(2)),
        (lambda x: np.linspace(0.0, x, 4, endpoint=False, axis=-1), n(2)),
        (lambda x: np.linspace(x, 1.0, 1), n()),
    ],
    "trim_zeros": [
        (lambda x: np.trim_zeros(np.concatenate([x * 0, x, x * 0])), n(3)),
        (lambda x: np.trim_zeros(np.concatenate([x * 0, x, x * 0]), "f"), n(3)),
        (lambda x: np.trim_zeros(x * 0), n(3)),
    ],
    "frexp": [(lambda x: np.frexp(x)[0], n(2, 3))],
    "angle": [(np.angle, n(2, 3)), (lambda x: np.angle(x, deg=True), n(3))],
    "lstsq": [
        (lambda a, b: np.linalg.lstsq(a, b)[0], a(3, 2), n(3)),
        (lambda a, b: np.linalg.lstsq(a, b)[:2], a(4, 2), n(4, 2)),
        (lambda a, b: np.linalg.lstsq(a, b)[0], a(2, 3), n(2)),
    ],
    "svdvals": [(np.linalg.svdvals, a(2, 3)), (np.linalg.svdvals, a(2, 3, 2))],
    "cond": [
        (lambda a, p=p: np.linalg.cond(a, p), s(3, 3)) for p in (None, 2, -2, 1, "fro", np.inf)
    ],
    "vector_norm": [
        (np.linalg.vector_norm, n(2, 3)),
        (lambda x: np.linalg.vector_norm(x, axis=(0, 2), ord=3, keepdims=True), n(2, 3, 2)),
        (lambda x: np.linalg.vector_norm(x, axis=0, ord=1), n(2, 3)),
    ],
    "matrix_norm": [
        (lambda x, o=o: np.linalg.matrix_norm(x, ord=o), a(2, 3, 2))
        for o in ("fro", "nuc", 1, -1, 2, -2, np.inf)
    ],
    "tensorinv": [(np.linalg.tensorinv, s(4, 4).reshape(2, 2, 2, 2))],
    "tensorsolve": [
        (np.linalg.tensorsolve, s(4, 4).reshape(4, 2, 2), n(4)),
        (
            lambda a, b: np.linalg.tensorsolve(a, b, axes=(0,)),
            np.moveaxis(s(4, 4).reshape(4, 2, 2), 2, 0),
            n(4),
        ),
    ],
    "functions of np.linalg": [
        (np.linalg.vecdot, n(2, 3), n(3)),
        (lambda a, b: np.linalg.vecdot(a, b, axis=0), n(3, 2), n(3, 2)),
        (np.linalg.matmul, n(2, 3), n(3, 2)),
        (np.linalg.outer, n(2), n(3)),
        (np.linalg.cross, n(2, 3), n(2, 3)),
        (lambda a, b: np.linalg.cross(a, b, axis=0), n(3, 2), n(3, 2)),
        (np.linalg.tensordot, n(2, 2, 3), n(2, 3)),
        (lambda a, b: np.linalg.tensordot(a, b, axes=([0], [1])), n(2, 3), n(3, 2)),
        (np.linalg.trace, n(2, 3, 3)),
        (lambda a: np.linalg.trace(a, offset=1), n(3, 3)),
        (np.linalg.diagonal, n(2, 3, 3)),
        (lambda a: np.linalg.diagonal(a, offset=-1), n(3, 3)),
        (np.linalg.matrix_transpose, n(2, 3)),
        (lambda a: a.mT, n(2, 2, 3)),
    ],
    "sinc": [(np.sinc, n(2, 3)), (np.sinc, n(3) * 1e-4)],
    "logaddexp2": binary("logaddexp2"),
    "conjugate": [(np.conjugate, n(2, 3))],
    "copy": [(np.copy, n(2, 3))],
    "fabs": [(np.fabs, n(2, 3))],
    "abs": [(abs, n(2, 3))],
    "flatten": [(lambda x: x.flatten(), n(2, 3))],
    "fix": [(fix, n(2, 3))],
    "array_split": [(lambda x: np.array_split(x, 2, -1)[0], n(2, 3))],
    "take": [
        (lambda x: np.take(x, [[0, 2], [2, 1]], axis=1), n(2, 3)),
        (lambda x: np.take(x, 4), n(2, 3)),
        (lambda x: np.take(x, [0, -7, 9], mode="wrap"), n(2, 3)),
        (lambda x: np.take(x, [0, 9], axis=1, mode="clip"), n(2, 3)),
    ],
    "take_along_axis": [
        (lambda x: np.take_along_axis(x, np.array([[0], [1]]), 1), n(2, 3)),
        (lambda x: np.take_along_axis(x, np.array([[1, 0, 0]]), 0), n(2, 3)),
        (lambda x: np.take_along_axis(x, np.array([1, 5]), None), n(2, 3)),
    ],
    "repeat": [
        (lambda x: np.repeat(x, 2), n(2, 3)),
        (lambda x: np.repeat(x, 3, axis=-1), n(2, 3)),
        (lambda x: np.repeat(x, [2, 0, 1], axis=1), n(2, 3)),
    ],
    "tile": [(lambda x, r=r: np.tile(x, r), n(2, 3)) for r in (2, (2, 1), (2, 1, 2))],
    "sort": [(lambda x, k=k: np.sort(x, axis=k), n(2, 3)) for k in (-1, 0, None)],
    "partition": [(lambda x: np.partition(x, 1)[..., 1], n(2, 3))],
    "unique": [(np.unique, n(2, 3))],
    "median": [
        (np.median, n(2, 3)),
        (lambda x: np.median(x, axis=1), n(2, 4)),
        (lambda x: np.median(x, (0, 2)), n(2, 3, 2)),
    ],
    "quantile": [
        (lambda x: np.quantile(x, 0.3), n(2, 3)),
        (lambda x: np.quantile(x, [0.0, 0.4, 1.0], axis=0, keepdims=True), n(4, 2)),
    ],
    "percentile": [(lambda x: np.percentile(x, 30, axis=-1), n(2, 4))],
    "tensordot": [
        (np.tensordot, n(2, 2, 3), n(2, 3)),
        (lambda a, b: np.tensordot(a, b, 0), n(2), n(3)),
        (lambda a, b: np.tensordot(a, b, ([0, 1], [1, 0])), n(2, 3, 2), n(3, 2)),
    ],
    "dot": [
        (np.dot, n(*a), n(*b))
        for a, b in [
            ((), (2,)),
            ((3,), (3,)),
            ((2, 3), (3,)),
            ((2, 3), (3, 2)),
            ((2, 3), (2, 3, 2)),
            ((2, 2, 3), (3, 2)),
        ]
    ],
    "inner": [(np.inner, n(3), n(3)), (np.inner, n(2, 3), n(4, 3)), (np.inner, n(), n(2))],
    "outer": [(np.outer, n(2), n(3)), (np.outer, n(2, 2), n(3))],
    "vdot": [(np.vdot, n(2, 3), n(2, 3))],
    "vecdot": [
        (np.vecdot, n(2, 3), n(3)),
        (lambda a, b: np.vecdot(a, b, axis=0), n(2, 3), n(2, 3)),
    ],
    "matvec": [(mg.ops.matvec, n(2, 2, 3), n(3))],
    "vecmat": [(mg.ops.vecmat, n(2), n(2, 2, 3))],
    "kron": [(np.kron, n(2, 2), n(2, 3)), (np.kron, n(2), n(3)), (np.kron, n(2, 1, 2), n(2))],
    "cross": [
        (np.cross, n(2, 3), n(3)),
        (lambda a, b: np.cross(a, b, axis=0), n(3, 2), n(3, 2)),
        (lambda a, b: np.cross(a, b, axisa=0, axisb=1, axisc=0), n(3, 2), n(2, 3)),
    ],
    "trace": [(np.trace, n(3, 3)), (lambda x: np.trace(x, 1, 1, 2), n(2, 3, 3))],
    "convolve": [
        (lambda a, v, m=m: np.convolve(a, v, m), n(*a), n(*b))
        for m in ("full", "same", "valid")
        for a, b in [((5,), (3,)), ((2,), (4,)), ((4,), (4,))]
    ],
    "correlate": [
        (lambda a, v, m=m: np.correlate(a, v, m), n(5), n(3)) for m in ("full", "same", "valid")
    ],
    "nan_to_num": [
        (np.nan_to_num, n(2, 3)),
        (lambda x: np.nan_to_num(np.where(MASK, x, np.nan), nan=1.0), n(2, 3)),
    ],
    "select": [(lambda a, b: np.select([MASK, ~MASK], [a, b], 0.0), n(2, 3), n(3))],
    "divmod": [
        (np.divmod, p(2, 3), p(3)),
        (lambda a: divmod(a, 0.7), p(2)),
        (lambda a: divmod(5.0, a), p(2)),
        (lambda a: np.divmod(a, 0.7), p(2)),
    ],
    "modf": [(np.modf, n(2, 3))],
    "ldexp": [(lambda x: np.ldexp(x, np.array([1, 2, -1])), n(2, 3))],
    "float_power": [(np.float_power, p(2, 3), n(3))],
    "full_like": [(lambda v: np.full_like(mg.tensor(np.ones((2, 3), v.dtype)), v), n())],
    "average": [
        (np.average, n(2, 3)),
        (lambda a, w: np.average(a, weights=w), n(2, 3), p(2, 3)),
        (lambda a, w: np.average(a, axis=-1, weights=w), n(2, 3), p(3)),
    ],
    "ptp": [(np.ptp, n(2, 3)), (lambda x: np.ptp(x, axis=0, keepdims=True), n(2, 3))],
    **{
        name: [
            (lambda x, f=NUMPY[name], k=k: f(np.where(MASK, x, np.nan), **k), n(2, 3))
            for k in ({}, {"axis": 1}, {"axis": 1, "keepdims": True})
        ]
        for name in ["nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin"]
    },
    "nancumsum": [(lambda x: np.nancumsum(np.where(MASK, x, np.nan), axis=1), n(2, 3))],
    "cumprod": [(lambda x, k=k: np.cumprod(x, k), n(2, 3)) for k in (0, -1, None)],
    "diff": [
        (np.diff, n(2, 3)),
        (lambda x: np.diff(x, 2, 0), n(4, 2)),
        (lambda x: np.diff(x, prepend=0.0, append=x[:, :1]), n(2, 3)),
    ],
    "trapezoid": [
        (np.trapezoid, n(2, 4)),
        (lambda y, x: np.trapezoid(y, x, axis=0), n(4, 2), n(4)),
        (lambda y: np.trapezoid(y, dx=0.5), n(4)),
    ],
    "cov": [
        (np.cov, n(3, 4)),
        (lambda a, b: np.cov(a, b, ddof=0), n(4), n(4)),
        (lambda a: np.cov(a, rowvar=False, bias=True), n(4, 2)),
        (np.cov, n(4)),
    ],
    "corrcoef": [(np.corrcoef, n(3, 4)), (np.corrcoef, n(4), n(4))],
    "interp": [
        (lambda x, y: np.interp(x, np.array([-1.0, 0.0, 1.5], np.float32), y), n(6), n(3)),
        (
            lambda xp: np.interp(
                np.array([0.1, 0.7], np.float32), np.sort(xp), np.array([1.0, 3.0, 2.0], np.float32)
            ),
            n(3),
        ),
    ],
    "broadcast_arrays": [(lambda a, b: list(np.broadcast_arrays(a, b)), n(2, 1), n(3))],
    "meshgrid": [
        (lambda a, b: list(np.meshgrid(a, b)), n(2), n(3)),
        (lambda a, b: list(np.meshgrid(a, b, indexing="ij", sparse=True)), n(2), n(3)),
    ],
    "polyval": [(np.polyval, n(3), n(2))],
    "unwrap": [(np.unwrap, 3 * n(5))],
    "eigvalsh": [(np.linalg.eigvalsh, s(3, 3))],
    "matrix_power": [
        (lambda a, k=k: np.linalg.matrix_power(a, k), s(2, 2)) for k in (0, 1, 2, 5, -2)
    ],
    "multi_dot": [(lambda a, b, c: np.linalg.multi_dot([a, b, c]), n(2, 3), n(3, 2), n(2, 2))],
    "vector and matrix norms": [
        *[(lambda x, o=o: np.linalg.norm(x, o), n(4)) for o in (1, 2, 3, np.inf, -np.inf)],
        *[
            (lambda x, o=o: np.linalg.norm(x, o, axis=(0, 1)), n(2, 3))
            for o in ("fro", 1, -1, np.inf, -np.inf)
        ],
        *[
            (lambda x, o=o: np.linalg.norm(x, o, axis=(2, 0), keepdims=True), a(2, 2, 3))
            for o in ("nuc", 2, -2)
        ],
    ],
    "cummax": [(lambda x: mg.cummax(x, axis=1), n(2, 5)), (mg.cummax, n(4))],
    "cummin": [(lambda x: mg.cummin(x, axis=-1), n(2, 5))],
    "ufunc methods": [
        (np.add.reduce, n(2, 3)),
        (lambda x: np.multiply.reduce(x, axis=1), n(2, 3)),
        (lambda x: np.maximum.reduce(x, axis=None), n(2, 3)),
        (lambda x: np.minimum.reduce(x, -1, keepdims=True), n(2, 3)),
        (np.add.accumulate, n(3, 2)),
        (lambda x: np.multiply.accumulate(x, axis=1), n(2, 3)),
        (lambda x: np.maximum.accumulate(x, axis=1), n(2, 5)),
        (lambda x: np.minimum.accumulate(x), n(5)),
        *[(lambda x, k=k: np.logaddexp.reduce(x, axis=k), n(2, 3)) for k in (0, None, (0, 1))],
        (lambda x: np.logaddexp.reduce(x, axis=1, where=MASK, initial=0.3), n(2, 3)),
        *[(lambda x, k=k: np.logaddexp.accumulate(x, axis=k), n(2, 3)) for k in (0, -1)],
        *[
            (f.outer, p(2), p(2, 2))
            for f in (np.add, np.multiply, np.maximum, np.subtract, np.power)
        ],
    ],
    # what only moves elements
    **{
        name: [(getattr(np, name), n(2, 3))]
        for name in [
            "fliplr",
            "flipud",
            "diagonal",
            "tril",
            "triu",
            "matrix_transpose",
            "atleast_1d",
            "atleast_2d",
            "atleast_3d",
        ]
    },
    "rot90": [(np.rot90, n(2, 3)), (lambda x: np.rot90(x, -1, (1, 2)), n(2, 3, 2))],
    "rollaxis": [(lambda x: np.rollaxis(x, 2), n(2, 3, 2))],
    "diag": [
        (np.diag, n(3)),
        (lambda x: np.diag(x, 1), n(3, 3)),
        (lambda x: np.diag(x, k=-1), n(2)),
    ],
    "diagflat": [(np.diagflat, n(2, 2))],
    "delete": [(lambda x: np.delete(x, [0, 2], axis=1), n(2, 4))],
    "resize": [(lambda x: np.resize(x, (3, 3)), n(2, 2))],
    **{
        name: [(lambda x, f=NUMPY[name]: list(f(x, 2)), n(2, 2, 4))]
        for name in ["hsplit", "vsplit", "dsplit"]
    },
    **{
        name: [
            (lambda a, b, f=NUMPY[name]: f([a, b]), n(2, 3), n(2, 3)),
            (lambda a, f=NUMPY[name]: f((a, a)), n(3)),
        ]
        for name in ["hstack", "vstack", "dstack", "column_stack"]
    },
    "block": [(lambda a, b: np.block([[a, b], [b, a]]), n(2, 2), n(2, 2))],
    "append": [
        (lambda a, b: np.append(a, b), n(2), n(2, 2)),
        (lambda a, b: np.append(a, b, axis=0), n(1, 2), n(2, 2)),
    ],
    "insert": [(lambda a, b: np.insert(a, 1, b, axis=1), n(2, 3), n(2))],
    "compress": [(lambda a: np.compress([True, False, True], a, axis=1), n(2, 3))],
    "extract": [(lambda a: np.extract(MASK, a), n(2, 3))],
    "choose": [(lambda a, b: np.choose([0, 1, 1], [a, b]), n(3), n(3))],
}
CASES = [
    pytest.param(name, case[0], case[1:], id=f"{name}-{k}")
    for name, cases in [*CHECKS.items(), *COMPOSED.items()]
    for k, case in enumerate(cases)
]
CHANGES_DTYPE = ("astype", "float_power")


def test_every_primitive_of_minigrad_is_in_the_table():
    folder = os.path.dirname(mg.__file__)
    ops = [op for op in registry.values() if op.differentiable and _file(op).startswith(folder)]
    own = {op.__name__ for op in ops}
    acts_on_gradients = {op.__name__ for op in ops if os.path.basename(_file(op)) == "edits.py"}
    assert own - ENGINE_ONLY - acts_on_gradients == set(CHECKS) - acts_on_gradients


def _file(op):
    return op.forward.__code__.co_filename


def test_every_public_function_is_in_a_table():
    differentiable = {
        name
        for name in mg.ops.__all__
        if not name.startswith("call_") and getattr(getattr(mg.ops, name), "differentiable", True)
    }
    assert differentiable - set(CHECKS) == {name for name in COMPOSED if name.isidentifier()}


@pytest.mark.parametrize(("name", "fn", "inputs"), CASES)
def test_value_is_that_of_numpy(name, fn, inputs):
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 2e-5)):
        arrays = [np.asarray(x, dtype) for x in inputs]
        found = fn(*[mg.tensor(x, requires_grad=True) for x in arrays])
        expected = fn(*arrays)
        for y, z in zip(
            *[v if isinstance(v, tuple | list) else [v] for v in (found, expected)], strict=True
        ):
            assert isinstance(y, mg.Tensor)
            assert y.shape == np.shape(z)
            np.testing.assert_allclose(
                y.data, np.asarray(getattr(z, "data", z)), rtol=tolerance, atol=tolerance
            )


@pytest.mark.parametrize(("name", "fn", "inputs"), CASES)
def test_derivatives_agree_with_central_differences(name, fn, inputs):
    mg.gradcheck(fn, inputs, full=True, tolerance=1e-6)
    mg.gradgradcheck(fn, inputs, full=True, tolerance=1e-6)


@pytest.mark.parametrize(
    ("name", "fn", "inputs"), [case for case in CASES if case.id.endswith(("-0", "-1"))]
)
def test_third_derivatives_along_random_directions(name, fn, inputs):
    def slopes(*tensors):
        y = fn(*tensors)
        total = sum(
            (part * part * part).sum() for part in (y if isinstance(y, tuple | list) else [y])
        )
        total = total + sum(0.0 * x.sum() for x in tensors)  # so that there is a gradient, be it 0
        return mg.grad(total, tensors, create_graph=True)

    mg.gradgradcheck(slopes, inputs, tolerance=2e-5)


@pytest.mark.parametrize(
    ("name", "fn", "inputs"), [case for case in CASES if case.values[0] not in CHANGES_DTYPE]
)
def test_float32_is_kept(name, fn, inputs):
    tensors = [mg.tensor(np.asarray(x, np.float32), requires_grad=True) for x in inputs]
    y = fn(*tensors)
    ys = [part for part in (y if isinstance(y, tuple | list) else [y]) if part.requires_grad]
    assert {part.dtype for part in ys} == {np.dtype(np.float32)}
    seeds = [np.ones_like(part.data) for part in ys]
    for dx in mg.grad(
        ys, tensors, seeds if len(ys) > 1 else seeds[0], create_graph=True, allow_unused=True
    ):
        assert dx is None or dx.dtype == np.float32
