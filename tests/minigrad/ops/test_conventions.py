"""What the derivative is where the mathematics leaves a choice, and that no NaN appears where it does not."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg


def slope(fn, *values):
    """The gradients of the sum of fn at some numbers, in float64."""
    inputs = [mg.tensor(np.array(v, np.float64), requires_grad=True) for v in values]
    grads = mg.grad(fn(*inputs).sum(), inputs)
    return [dx.data.tolist() for dx in grads] if len(grads) > 1 else grads[0].data.tolist()


CONVENTIONS = {
    "relu'(0) = 0": (mg.relu, [0.0], [0.0]),
    "|x|' at 0 = 0": (np.abs, [0.0], [0.0]),
    "sign' = 0": (np.sign, [2.0], [0.0]),
    "floor' = 0": (np.floor, [2.5], [0.0]),
    "max shares ties evenly": (np.max, [1.0, 3.0, 3.0], [0.0, 0.5, 0.5]),
    "min shares ties evenly": (np.min, [1.0, 1.0, 1.0, 1.0], [0.25] * 4),
    "maximum(x, x) is x": (lambda x: np.maximum(x, x), [2.0], [1.0]),
    "minimum(x, x) is x": (lambda x: np.minimum(x, x), [2.0], [1.0]),
    "maximum with a number that is equal": (lambda x: np.maximum(x, 2.0), [2.0], [0.5]),
    "fmax prefers a number to NaN": (
        lambda x: np.fmax(x, np.array([np.nan, 3.0])),
        [1.0, 1.0],
        [1.0, 0.0],
    ),
    "clip at its boundary is x": (lambda x: np.clip(x, 0, 1), [0.0, 1.0, 2.0], [1.0, 1.0, 0.0]),
    "norm(0)' = 0": (np.linalg.norm, [0.0, 0.0], [0.0, 0.0]),
    "norm of order 3 at 0": (lambda x: np.linalg.norm(x, 3), [0.0, 0.0], [0.0, 0.0]),
    "hypot(0, 0)' = 0": (lambda x: np.hypot(x, 0.0), [0.0], [0.0]),
    "std of a constant": (np.std, [3.0, 3.0], [0.0, 0.0]),
    "std of a constant, where=": (
        lambda x: np.std(x, where=np.array([True, True, False])),
        [3.0, 3.0, 1.0],
        [0.0] * 3,
    ),
    "x**0 at 0": (lambda x: x**0, [0.0, 2.0], [0.0, 0.0]),
    "x**0 at 0, exponents in an array": (
        lambda x: x ** np.array([0.0, 1.0, 2.0]),
        [0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0],
    ),
    "x**1 at 0": (lambda x: x**1, [0.0], [1.0]),
    "prod with one zero": (np.prod, [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
    "prod with two zeros": (np.prod, [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]),
    "cumprod with a zero": (np.cumprod, [0.0, 2.0, 3.0], [9.0, 0.0, 0.0]),
    "sinc at 0": (np.sinc, [0.0], [0.0]),
    "logsumexp with -inf": (mg.logsumexp, [-np.inf, 0.0, 0.0], [0.0, 0.5, 0.5]),
    "logsumexp of -inf alone": (
        lambda x: np.where(np.isfinite(x), 0, mg.logsumexp(x)),
        [-np.inf, -np.inf],
        [0.0, 0.0],
    ),
    "logaddexp with -inf": (lambda x: np.logaddexp(x, 0.0), [-np.inf], [0.0]),
    "softmax with -inf": (lambda x: mg.softmax(x)[1], [-np.inf, 0.0, 0.0], [0.0, 0.25, -0.25]),
    "log_softmax with -inf": (
        lambda x: mg.log_softmax(x)[1],
        [-np.inf, 0.0, 0.0],
        [0.0, 0.5, -0.5],
    ),
    "sqrt behind where": (lambda x: np.where(x > 0, np.sqrt(x), 0), [0.0, 4.0], [0.0, 0.25]),
    "quotient behind where": (
        lambda x: np.where(x > 0, x, 1.0) / np.where(x > 0, x, 1.0),
        [0.0, 4.0],
        [0.0, 0.0],
    ),
    "sum over what is chosen": (
        lambda x: np.sum(x * x, where=np.array([True, False])),
        [1.0, 3.0],
        [2.0, 0.0],
    ),
    "nan-functions skip NaN": (np.nanmean, [np.nan, 1.0, 3.0], [0.0, 0.5, 0.5]),
    "an index chosen twice counts twice": (
        lambda x: x[[0, 0, 1]],
        [1.0, 1.0, 1.0],
        [2.0, 1.0, 0.0],
    ),
    "sort sends each gradient home": (
        lambda x: np.sort(x) * np.array([1.0, 10.0]),
        [5.0, 2.0],
        [10.0, 1.0],
    ),
}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_convention(name):
    fn, x, expected = CONVENTIONS[name]
    np.testing.assert_allclose(slope(fn, x), expected, rtol=1e-12, atol=1e-12)


INFINITE = (  # the second derivative of a length at the origin
    "norm(0)' = 0",
    "norm of order 3 at 0",
    "hypot(0, 0)' = 0",
    "std of a constant",
    "std of a constant, where=",
)


@pytest.mark.parametrize("name", INFINITE)
def test_the_second_derivative_of_a_length_at_the_origin_is_not_invented(name):
    fn, values, _ = CONVENTIONS[name]
    with np.errstate(all="ignore"):
        hessian = mg.hessian(lambda x: fn(x).sum(), np.array(values, np.float64)).data
    assert not np.isfinite(hessian).all()


@pytest.mark.parametrize("name", [name for name in CONVENTIONS if name not in INFINITE])
def test_second_derivatives_are_finite_there_too(name):
    fn, values, _ = CONVENTIONS[name]
    x = mg.tensor(np.array(values, np.float64), requires_grad=True)
    (dx,) = mg.grad(fn(x).sum(), x, create_graph=True)
    if dx.requires_grad:
        assert np.isfinite(mg.grad((dx * dx).sum(), x)[0].data).all()


def quiet(fn):
    """The function without NumPy's warnings of its forward pass."""

    def call(*inputs):
        with np.errstate(all="ignore"):
            return fn(*inputs)

    return call


@pytest.mark.parametrize(
    ("fn", "x"),
    [
        (np.log, 0.0),
        (np.sqrt, 0.0),
        (np.reciprocal, 0.0),
        (lambda x: 1 / x, 0.0),
        (lambda x: x**-1.5, 0.0),
        (lambda x: x**0.5, 0.0),
        (np.cbrt, 0.0),
        (np.log1p, -1.0),
        (np.log2, 0.0),
        (np.arcsin, 1.0),
        (np.arccos, 1.0),
        (lambda x: np.arccosh(2 - x), 1.0),
        (np.arctanh, 1.0),
        (np.exp, 1000.0),
        (np.exp2, 5000.0),
        (np.expm1, 1000.0),
        (np.sinh, 1000.0),
        (np.cosh, 1000.0),
        (lambda x: np.arctan2(x, 0.0), 0.0),
        (lambda x: np.sqrt(x) * np.exp(x), 0.0),
    ],
)
def test_where_keeps_what_was_not_chosen_out_of_the_gradient(fn, x):
    found = slope(quiet(lambda v: np.where(v == x, 3 * v, fn(v))), [x, 0.5])
    assert found[0] == 3.0
    assert np.isfinite(found[1])
    assert (
        slope(quiet(lambda v: np.where(v == x, 3 * v, fn(v))), x) == 3.0
    )  # 0-d arrays give NumPy scalars on the way


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("fn", "y", "dy"),
    [
        (mg.sigmoid, [0, 1], [0, 0]),
        (mg.softplus, [0, 1000], [0, 1]),
        (np.tanh, [-1, 1], [0, 0]),
        (mg.gelu, [0, 1000], [0, 1]),
        (mg.relu, [0, 1000], [0, 1]),
        (lambda x: mg.logsumexp(np.stack([x, -x]), axis=0), [1000, 1000], [-1, 1]),
        (lambda x: mg.softmax(np.stack([x, 0 * x]), axis=0)[0], [0, 1], [0, 0]),
        (lambda x: mg.log_softmax(np.stack([x, 0 * x]), axis=0)[0], [-1000, 0], [1, 0]),
        (lambda x: np.logaddexp(x, 0), [0, 1000], [0, 1]),
    ],
)
def test_stable_at_a_thousand(fn, y, dy, dtype):
    x = mg.tensor(np.array([-1000, 1000], dtype), requires_grad=True)
    out = fn(x)
    (dx,) = mg.grad(out, x, np.ones(2, dtype))
    np.testing.assert_array_equal(out.data, y)
    np.testing.assert_array_equal(dx.data, dy)
    assert out.dtype == dx.dtype == dtype


def test_sigmoid_is_exact_far_below_zero():
    assert mg.sigmoid(mg.tensor(np.array(-40.0))).item() == pytest.approx(np.exp(-40.0), rel=1e-14)


def test_zero_gradient_does_not_hide_a_second_derivative():
    x = mg.tensor(np.array(4.0), requires_grad=True)
    (dx,) = mg.grad((np.sqrt(x) - 2) ** 2, x, create_graph=True)  # dy = 0 here, f'' = 1 / (2 x)
    assert mg.grad(dx, x)[0].item() == pytest.approx(0.125)
