"""How much of NumPy can be differentiated: for each call pattern, is the gradient correct, wrong or refused?

    python -m benchmarks numpy_coverage

Every pattern is evaluated with plain `numpy` on arrays for central differences, then on the tensors of each library
that is installed: minigrad and MyGrad under plain `numpy`, autograd with its own `autograd.numpy` in place of it, since
it knows no other.  "wrong" counts a gradient that differs from central differences, a value that differs from NumPy's,
and a result that has silently dropped out of the graph.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.columns import columns

RNG = np.random.default_rng(5)
INPUTS = {
    "x": RNG.permutation(np.linspace(-1.87, 2.13, 6)).reshape(2, 3),
    "y": RNG.permutation(np.linspace(-1.7, 1.6, 3)),
    "z": RNG.permutation(np.linspace(-2.2, 1.8, 12)).reshape(2, 3, 2),
    "p": RNG.permutation(np.linspace(0.4, 2.3, 6)).reshape(2, 3),
    "u": RNG.permutation(np.linspace(-0.8, 0.85, 6)).reshape(2, 3),
    "v": RNG.permutation(np.linspace(-1.5, 2.0, 5)),
    "q": RNG.permutation(np.linspace(0.5, 1.9, 3)),
    "s": np.array([[3.0, 0.4, -0.2], [0.4, 2.0, 0.3], [-0.2, 0.3, 1.0]]),
    "c": np.array(0.7),
}
CONSTANTS = {
    "M": np.array([[True, False, True], [False, True, True]]),
    "N": np.array([1.0, np.nan, 2.0]),
}
UNARY = "negative positive exp exp2 expm1 sin cos sinh cosh tanh arctan arcsinh square absolute fabs cbrt sinc deg2rad "
UNARY += "rad2deg degrees radians sign floor ceil rint trunc fix nan_to_num conjugate real copy"
POSITIVE = "log log2 log10 log1p sqrt reciprocal"
BINARY = "add subtract multiply divide true_divide maximum minimum fmax fmin hypot arctan2 logaddexp logaddexp2 copysign"  # noqa: E501
REDUCE = "sum mean max min amax amin prod var std ptp median nansum nanmean nanmax nanmin nanprod nanvar nanstd average"
FAMILIES: dict[str, list[str]] = {
    "elementwise": [
        *[f"np.{name}({x})" for name in UNARY.split() for x in ("x", "c")],
        *[f"np.{name}(p)" for name in POSITIVE.split()],
        *[f"np.{name}(u)" for name in ["arcsin", "arccos", "arctanh", "tan"]],
        *[
            "np.arccosh(1 + p)",
            "np.round(x, 1)",
            "np.around(x)",
            "np.clip(x, -1, 1)",
            "np.clip(x, None, y)",
        ],
        *[
            "np.clip(x, a_min=-1, a_max=None)",
            "np.modf(x)[0]",
            "np.ldexp(x, 2)",
            "np.unwrap(4 * v)",
            "np.i0(x)",
        ],
        *[
            "np.nan_to_num(np.where(M, x, np.nan))",
            "np.heaviside(x, y)",
            "np.real_if_close(x)",
            "np.angle(x)",
            "np.frexp(x)[0]",
        ],
    ],
    "two operands": [
        *[f"np.{name}({a})" for name in BINARY.split() for a in ("x, y", "x, 0.3", "c, x")],
        *[
            "np.power(p, y)",
            "np.power(p, 2)",
            "np.power(2.0, x)",
            "np.float_power(p, x)",
            "x ** 2",
            "p ** -0.5",
        ],
        *[
            "np.remainder(p, q)",
            "np.mod(x, 0.7)",
            "np.fmod(x, q)",
            "np.floor_divide(x, q)",
            "np.divmod(p, q)[1]",
        ],
        *[
            "x + y",
            "y - x",
            "x * 2",
            "1 / p",
            "abs(x)",
            "-x",
            "np.maximum(x, x)",
            "np.minimum(x, x)",
            "x @ y",
        ],
        *[
            "np.where(M, x, y)",
            "np.where(x > 0, x, 0.0)",
            "np.select([M, ~M], [x, 2 * x], 0.0)",
            "np.fmax(x, N)",
        ],
    ],
    "reductions": [
        *[
            f"np.{name}({a})"
            for name in REDUCE.split()
            for a in ("z", "z, axis=0", "z, axis=(0, -1)")
        ],
        *[f"np.{name}(x, axis=1, keepdims=True)" for name in REDUCE.split()],
        *[f"np.{name}(x, axis=-1, where=M)" for name in ("sum", "mean", "prod", "var", "std")],
        *[
            "np.max(x, axis=1, where=M, initial=-9)",
            "np.min(x, where=M, initial=9)",
            "np.sum(x, initial=2)",
        ],
        *[
            "np.nansum(np.where(M, x, np.nan))",
            "np.nanmean(np.where(M, x, np.nan), axis=1)",
            "np.nanstd(np.where(M, x, np.nan))",
            "np.nanmax(np.where(M, x, np.nan), axis=1)",
        ],
        *[
            "np.var(x, ddof=1)",
            "np.std(x, axis=0, ddof=1)",
            "np.average(x, axis=1, weights=q)",
            "np.quantile(x, 0.3)",
        ],
        *[
            "np.percentile(x, [20, 60], axis=1)",
            "np.cumsum(x)",
            "np.cumsum(x, axis=1)",
            "np.cumprod(x)",
        ],
        *[
            "np.cumprod(x, axis=0)",
            "np.nancumsum(np.where(M, x, np.nan), axis=1)",
            "np.linalg.norm(x)",
            "np.linalg.norm(x, axis=1)",
        ],
        *[
            "np.linalg.norm(y, 1)",
            "np.linalg.norm(y, np.inf)",
            "np.linalg.norm(y, 3)",
            "np.linalg.norm(x, 'fro')",
        ],
        *[
            "np.trapezoid(v)",
            "np.trapezoid(x, dx=0.5)",
            "np.diff(v)",
            "np.diff(x, 2, axis=1)",
            "np.gradient(v)",
        ],
        *[
            "np.add.reduce(x)",
            "np.multiply.reduce(x, axis=1)",
            "np.maximum.reduce(x)",
            "np.minimum.reduce(x, axis=1)",
        ],
        *["np.add.accumulate(x)", "np.multiply.accumulate(x, axis=1)", "np.maximum.accumulate(v)"],
        *["x.sum()", "x.mean(axis=0)", "x.max(axis=1)", "x.std()", "x.prod()", "x.cumsum(axis=0)"],
    ],
    "shape and order": [
        *[
            "np.reshape(x, (3, 2))",
            "np.reshape(x, -1)",
            "x.reshape(3, 2)",
            "np.ravel(x)",
            "x.flatten()",
            "x.ravel()",
        ],
        *[
            "np.transpose(z)",
            "np.transpose(z, (2, 0, 1))",
            "z.transpose(1, 0, 2)",
            "x.T",
            "np.swapaxes(z, 0, -1)",
        ],
        *[
            "np.moveaxis(z, 0, -1)",
            "np.rollaxis(z, 2)",
            "np.matrix_transpose(z)",
            "np.expand_dims(x, (0, -1))",
        ],
        *[
            "np.squeeze(x[None])",
            "np.broadcast_to(y, (4, 3))",
            "np.broadcast_arrays(x, y)[1]",
            "np.flip(x)",
        ],
        *[
            "np.flip(z, (0, 2))",
            "np.fliplr(x)",
            "np.flipud(x)",
            "np.rot90(x)",
            "np.roll(x, 2)",
            "np.roll(x, 1, axis=1)",
        ],
        *[
            "np.roll(x, (1, 2), (0, 1))",
            "np.repeat(x, 2)",
            "np.repeat(x, [1, 2, 0], axis=1)",
            "np.tile(x, 2)",
        ],
        *[
            "np.tile(y, (2, 2))",
            "np.resize(x, (3, 3))",
            "np.pad(x, 1)",
            "np.pad(x, ((1, 0), (0, 2)), 'edge')",
        ],
        *[
            "np.pad(y, 2, mode='reflect')",
            "np.pad(y, 2, mode='wrap')",
            "np.atleast_1d(c)",
            "np.atleast_2d(y)",
        ],
        *[
            "np.atleast_3d(x)",
            "np.diag(y)",
            "np.diag(s, 1)",
            "np.diagonal(s)",
            "np.diagflat(x)",
            "np.tril(s)",
        ],
        *[
            "np.triu(s, 1)",
            "np.meshgrid(y, v)[0]",
            "np.sort(x)",
            "np.sort(x, axis=None)",
            "np.partition(v, 2)[2]",
        ],
        *["np.unique(v)", "np.astype(x, np.float64)", "x.astype(np.float64)", "np.trim_zeros(v)"],
    ],
    "join, split, pick": [
        *[
            "np.concatenate([x, 2 * x])",
            "np.concatenate([x, x], axis=1)",
            "np.concatenate([x, y], axis=None)",
        ],
        *[
            "np.stack([x, p])",
            "np.stack([x, x], axis=-1)",
            "np.hstack([x, p])",
            "np.vstack([x, y])",
            "np.dstack([x, p])",
        ],
        *[
            "np.column_stack([x, x])",
            "np.append(x, y)",
            "np.append(x, p, axis=0)",
            "np.block([[x, p], [p, x]])",
        ],
        *[
            "np.insert(x, 1, 3.0, axis=1)",
            "np.delete(x, 1, axis=1)",
            "np.split(z, 3, axis=1)[1]",
            "np.split(v, [1, 3])[1]",
        ],
        *[
            "np.array_split(v, 2)[0]",
            "np.hsplit(x, 3)[0]",
            "np.vsplit(x, 2)[1]",
            "np.dsplit(z, 2)[0]",
            "np.unstack(x)[1]",
        ],
        *[
            "x[0]",
            "x[:, 1:]",
            "x[..., None]",
            "x[::-1, ::2]",
            "x[[0, 0, 1]]",
            "x[M]",
            "x[x > 0]",
            "x[[1, 0], [2, 2]]",
        ],
        *[
            "np.take(x, [0, 4])",
            "np.take(x, [0, 2, 2], axis=1)",
            "np.take_along_axis(x, np.argsort(INDEX, 1), 1)",
        ],
        *[
            "np.compress([True, False, True], x, axis=1)",
            "np.extract(M, x)",
            "np.choose([0, 1, 0], [y, q])",
        ],
        *["np.interp([0.1, 0.5], [0.0, 1.0, 2.0], y)", "list(x)[0]", "[row for row in x][1]"],
    ],
    "products": [
        *[
            "np.dot(x, y)",
            "np.dot(x, s)",
            "np.dot(c, x)",
            "np.matmul(x, s)",
            "np.matmul(y, s)",
            "z.transpose(0, 2, 1) @ s",
        ],
        *[
            "np.inner(x, y)",
            "np.inner(x, p)",
            "np.outer(y, v)",
            "np.vdot(x, p)",
            "np.vecdot(x, y)",
            "np.tensordot(x, s, 1)",
        ],
        *[
            "np.tensordot(x, p, ([0, 1], [0, 1]))",
            "np.einsum('ij,jk->ik', x, s)",
            "np.einsum('ij,j', x, y)",
        ],
        *[
            "np.einsum('ii->i', s)",
            "np.einsum('ii', s)",
            "np.einsum('...ij,j->...i', z.transpose(0, 2, 1), y)",
        ],
        *[
            "np.kron(x, y)",
            "np.kron(s, x)",
            "np.cross(x, y)",
            "np.trace(s)",
            "np.trace(z, axis1=0, axis2=2)",
        ],
        *[
            "np.convolve(v, y)",
            "np.convolve(v, y, 'valid')",
            "np.correlate(v, y)",
            "np.cov(x)",
            "np.corrcoef(x)",
        ],
        *[
            "np.polyval(y, v)",
            "np.multiply.outer(y, v)",
            "np.add.outer(y, v)",
            "np.maximum.outer(y, v)",
        ],
        *[
            "np.linalg.multi_dot([x, s, y])",
            "np.linalg.matrix_power(s, 3)",
            "np.linalg.inv(s)",
            "np.linalg.det(s)",
        ],
        *[
            "np.linalg.slogdet(s)[1]",
            "np.linalg.solve(s, y)",
            "np.linalg.solve(s, x.T)",
            "np.linalg.cholesky(s)",
        ],
        *[
            "np.linalg.eigh(s)[0]",
            "np.linalg.eigh(s)[1] ** 2",
            "np.linalg.eigvalsh(s)",
            "np.linalg.pinv(x)",
        ],
        *[
            "np.linalg.svd(x)[1]",
            "np.linalg.qr(s)[1]",
            "np.linalg.lstsq(s, y)[0]",
            "np.linalg.cond(s)",
        ],
    ],
    "array API": [
        *[
            "np.linalg.vecdot(x, y)",
            "np.linalg.vector_norm(x, axis=1)",
            "np.linalg.matrix_norm(x, ord='nuc')",
            "np.linalg.matmul(x, s)",
            "np.linalg.outer(y, v)",
            "np.linalg.cross(x, y)",
            "np.linalg.tensordot(x, s, axes=1)",
            "np.linalg.trace(s)",
            "np.linalg.diagonal(z)",
            "np.linalg.matrix_transpose(x)",
            "np.linalg.svdvals(x)",
            "np.linalg.tensorinv(s, 1)",
            "np.linalg.tensorsolve(s, y)",
            "np.linalg.cholesky(s, upper=True)",
            "np.linalg.eigh(s, 'U')[0]",
            "np.linalg.norm(x, 'nuc')",
        ],
        *[
            "x.mT",
            "np.cumulative_sum(v)",
            "np.cumulative_sum(x, axis=1, include_initial=True)",
            "np.cumulative_prod(v)",
            "np.permute_dims(x, (1, 0))",
            "np.concat([x, p])",
            "np.logaddexp.reduce(x)",
            "np.logaddexp.reduce(x, axis=1)",
            "np.logaddexp.accumulate(v)",
            "np.lib.stride_tricks.sliding_window_view(v, 3)",
            "np.lib.stride_tricks.sliding_window_view(x, 2, axis=1)",
            "np.einsum(x, [0, 1], s, [1, 2], [0, 2])",
            "np.linspace(c, y, 4)",
            "np.gradient(x, 0.5, axis=1)",
        ],
    ],
    "has to refuse": [
        *[
            "np.fft.fft(v).real",
            "np.fft.rfft(v).real",
            "np.add(x, 1, out=np.zeros((2, 3)))",
            "np.sum(x, out=np.zeros(()))",
        ],
        *["np.asarray(x) * 2", "np.array([v[0], v[1]]) * 2", "np.exp(1j * x).real", "np.array(x)"],
        *[
            "np.apply_along_axis(np.sum, 0, x)",
            "np.copyto(np.zeros((2, 3)), x)",
            "np.fill_diagonal(s, 0)",
        ],
    ],
}


def plain(text: str, values: dict[str, Any], module: Any = np) -> Any:
    """The pattern evaluated with these inputs."""
    index = INPUTS["x"]
    return eval(text, {"np": module, **CONSTANTS, "INDEX": index}, values)


def used(text: str) -> list[str]:
    """The inputs that a pattern uses."""
    return [
        name
        for name in INPUTS
        if name in compile(text, "", "eval").co_names or name in _inner_names(text)
    ]


def _inner_names(text: str) -> set[str]:
    codes = [
        constant
        for constant in compile(text, "", "eval").co_consts
        if hasattr(constant, "co_names")
    ]
    return {name for code in codes for name in code.co_names}


def differences(text: str, names: list[str]) -> tuple[Any, dict[str, Any]]:
    """NumPy's value, and the gradient of Σ w y² by central differences."""
    y = np.asarray(plain(text, INPUTS), float)
    w = weights(y.shape)
    grads = {}
    for name in names:
        x = INPUTS[name]
        grads[name] = np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            ends = []
            for sign in (1, -1):
                moved = x.copy()
                moved[index] += sign * 1e-6
                ends.append(
                    np.sum(w * np.asarray(plain(text, {**INPUTS, name: moved}), float) ** 2)
                )
            grads[name][index] = (ends[0] - ends[1]) / 2e-6
    return y, grads


def weights(shape: tuple[int, ...]) -> Any:
    """Fixed weights, so that every element of a result matters."""
    return np.random.default_rng(9).uniform(0.5, 1.5, shape)


Answer = tuple[Any, dict[str, Any]]  # value, gradients (None: not in the graph)


def minigrad_answer(text: str, names: list[str]) -> Answer:
    import minigrad as mg

    tensors = {name: mg.tensor(INPUTS[name], requires_grad=True) for name in names}
    y = plain(text, tensors)
    if not isinstance(y, mg.Tensor) or not y.requires_grad:
        return y, dict.fromkeys(names)
    total = (y * y * weights(y.shape)).sum()
    found = mg.grad(total, list(tensors.values()), allow_unused=True)
    return y.data, {
        name: None if dx is None else dx.data for name, dx in zip(names, found, strict=True)
    }


def mygrad_answer(text: str, names: list[str]) -> Answer:
    import mygrad

    tensors = {name: mygrad.tensor(INPUTS[name], constant=False) for name in names}
    y = plain(text, tensors)
    if not isinstance(y, mygrad.Tensor) or y.constant:
        return np.asarray(y), dict.fromkeys(names)
    (y * y * weights(y.shape)).sum().backward()
    return y.data, {name: x.grad for name, x in tensors.items()}


def autograd_answer(text: str, names: list[str]) -> Answer:
    import autograd
    import autograd.numpy

    values: list[Any] = []

    def total(*inputs: Any) -> Any:
        y = plain(text, dict(zip(names, inputs, strict=True)), autograd.numpy)
        values.append(getattr(y, "_value", y))
        return autograd.numpy.sum(weights(np.shape(values[-1])) * y**2)

    found = autograd.grad(total, tuple(range(len(names))))(*[INPUTS[name] for name in names])
    return values[-1], dict(zip(names, found, strict=True))


LIBRARIES: dict[str, Callable[[str, list[str]], Answer]] = {
    "minigrad": minigrad_answer,
    "autograd": autograd_answer,
    "mygrad": mygrad_answer,
}


def same(found: Any, expected: Any, tolerance: float) -> bool:
    """Whether two arrays have the same shape and numbers."""
    try:
        array = np.asarray(found, float)
    except (TypeError, ValueError):  # an array of boxes: neither numbers nor part of the graph
        return False
    return array.shape == expected.shape and np.allclose(
        array, expected, tolerance, tolerance, equal_nan=True
    )


def judge(text: str, library: str) -> str:
    """correct, wrong or refused."""
    names = used(text)
    try:
        value, expected = differences(text, names)
    except Exception:
        value, expected = None, {}  # not a real function of its inputs
    try:
        y, found = LIBRARIES[library](text, names)
    except Exception:
        return "refused"
    if value is None or not same(y, value, 1e-9):
        return "wrong"
    for name, dx in expected.items():
        dx = np.zeros(dx.shape) if found[name] is None else found[name]
        if not same(dx, expected[name], 1e-5):
            return "wrong"
    return "correct"


def main(quick: bool = False) -> None:
    """Print the table, and what each library gets wrong."""
    libraries = [name for name in LIBRARIES if importlib.util.find_spec(name)]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        verdicts = {
            library: {text: judge(text, library) for text in all_patterns()}
            for library in libraries
        }
    kinds = ("correct", "wrong", "refused")
    rows = [
        ["", *(text for name in libraries for text in (name, "", ""))],
        ["numpy call patterns", *kinds * len(libraries)],
    ]
    for family, texts in [*FAMILIES.items(), ("all", all_patterns())]:
        rows.append([family])
        for library in libraries:
            counts = Counter(verdicts[library][text] for text in texts)
            rows[-1] += [str(counts[kind]) for kind in kinds]
    print(columns(rows, headings=2))
    for library in libraries:
        print(
            f"wrong in {library}: "
            + (", ".join(t for t, v in verdicts[library].items() if v == "wrong") or "none")
        )
    print(
        "refused by minigrad: "
        + ", ".join(t for t, v in verdicts["minigrad"].items() if v == "refused")
    )


def all_patterns() -> list[str]:
    """The patterns of all families."""
    return [text for texts in FAMILIES.values() for text in texts]
