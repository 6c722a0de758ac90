"""Every entry of the table of operations, compiled in a loop over time: as the engine has it, or refused."""

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.program.errors import CompileError
from tests.minigrad.ops.test_derivatives import CASES
from tests.minigrad.program.compilers import needs_compiler

FIRST = np.array([1.0, 1.01, 1.02, 1.03, 1.04, 1.05, 1.06])
LATER = np.array([1.03, 1.0, 1.02, 1.01, 1.05, 1.01, 1.02, 1.04])

# They compute arrays of places, of masks or of signs, which a program does not know as functions of
# its arguments.
REFUSED = """
    block, choose, column_stack, compress, corrcoef, cummax, cummin, cumprod, cumulative_prod,
    delete, diag, diagflat, diagonal, dsplit, dstack, eigh, eigvalsh, extract, fliplr, flipud,
    frexp, hsplit, insert, interp, ldexp, matrix_transpose, median, nancumsum, nanmax, nanmean,
    nanmin, nanprod, nanstd, nansum, nanvar, one_hot, partition, percentile, qr, quantile, repeat,
    resize, rollaxis, rot90, select, sliding_window_view, sort, svd, svdvals, trace, tril,
    trim_zeros, triu, unique, unwrap
"""

# So do some of their uses, or they are given arrays that stand in the function.
SOMETIMES_REFUSED = """
    average, cond, einsum, functions of np.linalg, getitem, gradient, hstack, linspace,
    matrix_norm, matrix_power, max, mean, min, nan_to_num, pad, power, prod, sum, take,
    take_along_axis, ufunc methods, var, vector and matrix norms, where
"""


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))


def names(text: str) -> set[str]:
    """The names in a list with commas."""
    return {name.strip() for name in text.split(",")}


def outcome(function: Any, inputs: Any, backend: str) -> str:
    """What becomes of an operation in a compiled step: "right", or the message of the refusal."""

    def loss_fn(xs, us):
        loss = 0.0
        for _, u in mg.timesteps(us):
            y = function(*[x * u for x in xs])
            y = y[0] if isinstance(y, tuple | list) else y
            loss = loss + (y * y).sum()
        return loss

    xs = [mg.tensor(np.asarray(x, float), requires_grad=True) for x in inputs]
    step = mg.compile(loss_fn, backend=backend)
    try:
        step(xs, FIRST)
        loss, grads = step(xs, LATER)
    except CompileError as error:
        return str(error)
    wanted = loss_fn(xs, LATER)
    np.testing.assert_allclose(loss, wanted.data, rtol=1e-9)
    found = mg.grad(wanted, xs, allow_unused=True)
    for k, dx in enumerate(found):
        if dx is not None:
            np.testing.assert_allclose(grads[f"xs[{k}]"], dx.data, rtol=1e-7, atol=1e-9)
    return "right"


def check(part: slice, backend: str) -> tuple[set[str], set[str]]:
    """The names of what is right, and of what is refused, which has to name its line."""
    right: set[str] = set()
    refused: set[str] = set()
    for case in CASES[part]:
        name, function, inputs = case.values
        if name == "cholesky":
            continue  # the table's matrices are positive definite before they are scaled
        with np.errstate(all="ignore"):
            found = outcome(function, inputs, backend)
        if found == "right":
            right.add(name)
            continue
        assert found.startswith("compile: "), (case.id, found)
        assert ".py:" in found, (case.id, found)
        refused.add(name)
    return right, refused


@pytest.mark.slow
def test_every_operation_is_right_or_refused_by_its_line() -> None:
    right, refused = check(slice(None), "numpy")
    assert refused - right == names(REFUSED)
    assert refused & right == names(SOMETIMES_REFUSED)


@pytest.mark.slow
@needs_compiler
def test_every_operation_in_c() -> None:
    _, refused = check(slice(0, None, 6), "c")
    assert refused <= names(REFUSED) | names(SOMETIMES_REFUSED)
