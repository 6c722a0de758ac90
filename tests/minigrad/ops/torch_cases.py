"""Functions that minigrad and PyTorch both have: name → (ours, PyTorch's, inputs).  Imports no PyTorch.

PyTorch's side is text, evaluated by `make_torch_results.py` with the inputs as a, b, c.
"""

from __future__ import annotations

import numpy as np

import minigrad as mg

RNG = np.random.default_rng(11)


def n(*shape):
    """Normal numbers."""
    return RNG.standard_normal(shape)


def p(*shape):
    """Positive numbers."""
    return RNG.random(shape) + 0.5


def s(size):
    """A symmetric positive definite matrix."""
    a = n(size, size)
    return a @ a.T + np.diag(np.arange(1.0, size + 1))


ELEMENTWISE = [
    "exp",
    "sin",
    "cos",
    "tan",
    "tanh",
    "sinh",
    "cosh",
    "arctan",
    "arcsinh",
    "expm1",
    "exp2",
    "square",
    "abs",
]
POSITIVE = ["log", "log2", "log10", "log1p", "sqrt", "reciprocal"]
BINARY = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "power",
    "arctan2",
    "hypot",
    "maximum",
    "minimum",
    "logaddexp",
]
SPLIT = "a.split(2, 1)[1] * a.split(2, 1)[0] ** 2"

CASES = {
    **{name: (getattr(mg.ops, name), f"torch.{name}(a)", [n(3, 4)]) for name in ELEMENTWISE},
    **{name: (getattr(mg.ops, name), f"torch.{name}(a)", [p(3, 4)]) for name in POSITIVE},
    **{
        name: (getattr(mg.ops, name), f"torch.{TORCH}(a, b)", [p(3, 1), p(4)])
        for name in BINARY
        for TORCH in [{"power": "pow"}.get(name, name)]
    },
    "sigmoid": (mg.sigmoid, "torch.sigmoid(a)", [3 * n(3, 4)]),
    "relu": (mg.relu, "torch.relu(a)", [n(3, 4)]),
    "softplus": (mg.softplus, "F.softplus(a)", [3 * n(3, 4)]),
    "gelu": (mg.gelu, "F.gelu(a, approximate='tanh')", [n(3, 4)]),
    "softmax": (lambda a: mg.softmax(a, axis=0), "torch.softmax(a, 0)", [n(3, 4)]),
    "log_softmax": (mg.log_softmax, "torch.log_softmax(a, -1)", [n(3, 4)]),
    "logsumexp": (lambda a: mg.logsumexp(a, axis=(0, 1)), "torch.logsumexp(a, (0, 1))", [n(3, 4)]),
    "sinc": (np.sinc, "torch.sinc(a)", [n(3, 4)]),
    "matmul": (np.matmul, "a @ b", [n(2, 1, 3, 4), n(5, 4, 2)]),
    "matmul with a vector": (np.matmul, "a @ b", [n(2, 3, 4), n(4)]),
    "einsum": (
        lambda a, b: np.einsum("bij,bkj->bik", a, b),
        "torch.einsum('bij,bkj->bik', a, b)",
        [n(2, 3, 4), n(2, 2, 4)],
    ),
    "outer": (np.outer, "torch.outer(a, b)", [n(3), n(4)]),
    "tensordot": (np.tensordot, "torch.tensordot(a, b, 2)", [n(2, 3, 4), n(3, 4, 2)]),
    "kron": (np.kron, "torch.kron(a, b)", [n(2, 2), n(2, 3)]),
    "cross": (np.cross, "torch.linalg.cross(a, b)", [n(2, 3), n(2, 3)]),
    "sum": (lambda a: np.sum(a, (0, 2)), "a.sum((0, 2))", [n(2, 3, 4)]),
    "mean": (lambda a: np.mean(a, -1, keepdims=True), "a.mean(-1, keepdim=True)", [n(3, 4)]),
    "var": (lambda a: np.var(a, axis=1, ddof=1), "a.var(1)", [n(3, 4)]),
    "std": (lambda a: np.std(a, axis=0), "a.std(0, correction=0)", [n(3, 4)]),
    "prod": (lambda a: np.prod(a, 1), "a.prod(1)", [n(3, 4)]),
    "prod with a zero": (
        lambda a: np.prod(a, 1),
        "a.prod(1)",
        [np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 2.0]])],
    ),
    "max with ties": (np.max, "a.amax()", [np.array([1.0, 3.0, 3.0])]),
    "max over an axis": (lambda a: np.max(a, 0), "a.amax(0)", [n(3, 4)]),
    "cumsum": (lambda a: np.cumsum(a, 1), "a.cumsum(1)", [n(3, 4)]),
    "cumprod": (lambda a: np.cumprod(a, 0), "a.cumprod(0)", [n(3, 4)]),
    "norm": (lambda a: np.linalg.norm(a, axis=1), "torch.linalg.norm(a, dim=1)", [n(3, 4)]),
    "clip": (lambda a: np.clip(a, -0.5, 0.5), "a.clamp(-0.5, 0.5)", [n(3, 4)]),
    "where": (
        lambda a, b: np.where(a > b, a * b, b),
        "torch.where(a > b, a * b, b)",
        [n(3, 4), n(4)],
    ),
    "getitem": (lambda a: a[[0, 0, 2], 1:], "a[[0, 0, 2], 1:]", [n(3, 4)]),
    "take_along_axis": (
        lambda a: np.take_along_axis(a, np.array([[0, 3], [1, 1], [2, 0]]), 1),
        "a.gather(1, torch.tensor([[0, 3], [1, 1], [2, 0]]))",
        [n(3, 4)],
    ),
    "sort": (lambda a: np.sort(a, 0), "a.sort(0).values", [n(3, 4)]),
    "split": (lambda a: np.split(a, 2, 1)[1] * np.split(a, 2, 1)[0] ** 2, SPLIT, [n(3, 4)]),
    "stack and flip": (
        lambda a, b: np.flip(np.stack([a, b], 1), 0),
        "torch.stack([a, b], 1).flip(0)",
        [n(3), n(3)],
    ),
    "pad": (lambda a: np.pad(a, ((0, 0), (1, 2))), "F.pad(a, (1, 2))", [n(3, 4)]),
    "roll": (lambda a: np.roll(a, 2, 1), "a.roll(2, 1)", [n(3, 4)]),
    "tile": (lambda a: np.tile(a, (2, 3)), "a.tile((2, 3))", [n(2, 2)]),
    "inv": (np.linalg.inv, "torch.linalg.inv(a)", [s(3)]),
    "solve": (np.linalg.solve, "torch.linalg.solve(a, b)", [s(3), n(3, 2)]),
    "det": (np.linalg.det, "torch.linalg.det(a)", [s(3)]),
    "slogdet": (lambda a: np.linalg.slogdet(a)[1], "torch.linalg.slogdet(a)[1]", [s(3)]),
    "cholesky": (
        lambda a: np.linalg.cholesky(a @ a.T),
        "torch.linalg.cholesky(a @ a.T)",
        [n(3, 3) + 2 * np.eye(3)],
    ),
    "eigh": (lambda a: np.linalg.eigh(a + a.T)[0], "torch.linalg.eigh(a + a.T)[0]", [n(3, 3)]),
    "LSTM step": (
        lambda a, b, c: np.tanh(mg.sigmoid(a @ b) * c) * mg.sigmoid(a @ b),
        "torch.tanh(torch.sigmoid(a @ b) * c) * torch.sigmoid(a @ b)",
        [n(2, 3), n(3, 4), n(2, 4)],
    ),
}


def weights(shape, seed):
    """The fixed numbers that results are multiplied with, so that every element matters."""
    return np.random.default_rng(seed).standard_normal(shape)
