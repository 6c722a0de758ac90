"""NaN, infinities and arrays of no elements: NumPy's value forward, and no invented gradient backward."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg

NAN, INF = np.nan, np.inf


def grad_of(function, *values):
    xs = [mg.tensor(np.array(value, np.float64), requires_grad=True) for value in values]
    with np.errstate(all="ignore"):
        y = function(*xs)
        return [g.data for g in mg.grad(y if y.ndim == 0 else y.sum(), xs)]


VALUES = {
    "maximum.accumulate": (np.maximum.accumulate, [0.0, NAN, 1.0]),
    "minimum.accumulate": (np.minimum.accumulate, [0.0, NAN, 1.0]),
    "median beside infinity": (np.median, [-100.0, INF, 1e-30]),
    "quantile from infinity": (lambda a: np.quantile(a, 0.25), [0.0, 0.0, -INF]),
}


@pytest.mark.parametrize(("function", "x"), VALUES.values(), ids=VALUES.keys())
def test_the_value_is_numpys(function, x):
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(function(mg.tensor(np.array(x))).data, function(np.array(x)))


NOT_ZERO = {
    "max": (np.max, [NAN, 1.0]),
    "min": (np.min, [NAN, 1.0]),
    "ptp": (np.ptp, [NAN, 1.0]),
    "relu": (mg.relu, NAN),
    "clip": (lambda x: np.clip(x, 0, 1), NAN),
    "maximum": (lambda x: np.maximum(x, 1.0), NAN),
}


@pytest.mark.parametrize(("function", "x"), NOT_ZERO.values(), ids=NOT_ZERO.keys())
def test_a_nan_does_not_become_a_gradient_of_zero(function, x):
    (dx,) = grad_of(function, x)
    assert np.any(dx != 0)


def test_the_share_of_a_sum_is_known_or_not_finite():
    assert not np.isfinite(grad_of(mg.logsumexp, [NAN, 1.0, 2.0])[0]).any()
    np.testing.assert_array_equal(grad_of(mg.logsumexp, [INF, 1.0, 2.0])[0], [NAN, 0, 0])
    np.testing.assert_array_equal(grad_of(mg.logsumexp, [-INF, -INF])[0], [0, 0])
    assert not np.isfinite(grad_of(np.logaddexp, NAN, 5.0)[1])
    assert grad_of(np.logaddexp, INF, 5.0)[1] == 0


EMPTY = {
    "mean": (np.mean, (0,)),
    "mean of rows": (lambda x: np.mean(x, axis=1), (0, 3)),
    "mean of columns": (lambda x: np.mean(x, axis=0), (0, 3)),
    "var": (np.var, (0,)),
    "std": (lambda x: np.std(x, axis=1), (0, 3)),
    "matmul": (np.matmul, (2, 3, 0), (0,)),
    "matmul of matrices": (np.matmul, (2, 3, 0), (0, 4)),
    "matmul without columns": (np.matmul, (2, 3, 4), (4, 0)),
    "dot": (np.dot, (3, 0), (0,)),
    "softmax": (mg.softmax, (0,)),
    "log_softmax": (lambda x: mg.log_softmax(x, axis=0), (0, 3)),
    "logsumexp": (lambda x: mg.logsumexp(x, axis=0), (0, 3)),
    "sum": (np.sum, (0,)),
    "sort": (np.sort, (0,)),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("case", EMPTY.values(), ids=EMPTY.keys())
def test_arrays_without_elements_have_gradients_of_their_shape(case):
    function, *shapes = case
    grads = grad_of(function, *[np.zeros(shape) for shape in shapes])
    assert [g.shape for g in grads] == list(shapes)


def test_a_zero_gradient_behind_a_where_stays_zero():
    x = mg.tensor([1.0, NAN], requires_grad=True)
    y = mg.where([True, False], mg.relu(x), 0.0)
    np.testing.assert_array_equal(mg.grad(y.sum(), x)[0].data, [1, 0])


def test_second_derivatives_of_singular_points_are_not_invented():
    lengths = {
        "norm": np.linalg.norm,
        "hypot": lambda x: np.hypot(x[0], x[1]),
        "angle": lambda x: np.arctan2(x[0], x[1]),
        "norm squared": lambda x: np.linalg.norm(x) ** 2,
    }
    for name, function in lengths.items():
        with np.errstate(all="ignore"):
            assert not np.isfinite(mg.hessian(function, np.zeros(2)).data).all(), name
            assert mg.hessian(function, np.array([3.0, 4.0])).data.any(), name
