"""NaN, infinities and arrays of no elements: NumPy's value forward, and no invented gradient backward.

The table is `tests/special_numbers.py`; here are its rows, and what it cannot see.
"""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from tests import special_numbers

NAN, INF = np.nan, np.inf


def grad_of(function, *values):
    xs = [mg.tensor(np.array(value, np.float64), requires_grad=True) for value in values]
    with np.errstate(all="ignore"):
        y = function(*xs)
        return [g.data for g in mg.grad(y if y.ndim == 0 else y.sum(), xs)]


@pytest.mark.parametrize("name", special_numbers.operations())
def test_every_operation_at_every_special_number(name):
    found = list(special_numbers.table([name], 1, special_numbers.QUICK))
    assert len(found) > 5
    assert not [row for row in found if row.verdict in special_numbers.BAD]


def test_an_operation_that_has_no_check_yet_is_in_the_table():
    @mg.primitive
    def doubled(x):
        return 2 * x

    @doubled.gradient
    def doubled_dx(dy, y, x):
        return np.where(np.isfinite(x), 2 * dy, 0)  # a NaN made clean

    points = special_numbers.rows("doubled", 0, doubled, [np.array([0.3, -0.7])])
    bad = {(row.label, row.order) for row in points if row.verdict in special_numbers.BAD}
    assert ("NaN", 1) in bad
    assert not [label for label, _ in bad if "inf" not in label and "NaN" not in label]


WRONG_RULES = {
    "a mask by multiplication": (np.log, lambda dy, y, x: dy / x * (x > 0), ("-1", 1)),
    "an invented second derivative": (
        np.sqrt,
        lambda dy, y, x: 0.5 * dy / np.where(y == 0, 1, y),
        ("0", 1),
    ),
    "infinity times zero": (np.tanh, lambda dy, y, x: dy * (1 - y * y) * x / x, ("0", 1)),
    "a comparison that NaN fails": (np.abs, lambda dy, y, x: np.where(x > 0, dy, -dy), ("NaN", 1)),
    "a sign": (np.sin, lambda dy, y, x: dy * np.where(x == 0, -1, np.cos(x)), ("0", 1)),
}


@pytest.mark.parametrize("name", WRONG_RULES)
def test_the_table_rejects_a_wrong_rule(name):
    function, rule, (label, order) = WRONG_RULES[name]

    @mg.primitive
    def wrong(x):
        return function(x)

    wrong.gradient("x")(rule)
    found = special_numbers.rows("wrong", 0, wrong, [np.array([0.3, 0.7])])
    assert (label, order) in {
        (row.label, row.order) for row in found if row.verdict in special_numbers.BAD
    }


def test_every_exception_is_about_an_operation():
    names = " ".join(e.names for e in special_numbers.EXCEPTIONS).split()
    known = {name.replace(" ", "-") for name in special_numbers.operations()}
    assert set(names) <= known


def test_the_page_tells_the_exceptions():
    assert special_numbers.documented() == special_numbers.PAGE.read_text("utf-8")


SECOND = {
    "logarithm outside": (lambda x: np.log(x), -1.0),
    "running maximum": (lambda x: np.maximum.accumulate(np.stack([x, 2 * x])), NAN),
    "interp": (lambda x: np.interp(x, [0.0, 1.0], [0.0, 3.0]), NAN),
    "relu of a logarithm": (lambda x: mg.relu(np.log(x)), -1.0),
}


@pytest.mark.parametrize("name", SECOND)
def test_no_derivative_of_a_nan_is_a_number(name):
    function, value = SECOND[name]
    x = mg.tensor(np.array(value), requires_grad=True)
    with np.errstate(all="ignore"):
        y = function(x).sum()
        (dx,) = mg.grad(y, x, create_graph=True)
        assert np.isnan(y.data)
        assert np.isnan(dx.data)
        assert np.isnan(mg.grad(dx, x)[0].data)


def test_what_a_mask_does_not_choose_stays_out_of_the_gradient():
    x = mg.tensor([-1.0, 4.0, 0.0], requires_grad=True)
    with np.errstate(all="ignore"):
        y = np.log(x)
        np.testing.assert_array_equal(mg.grad(y[x > 0].sum(), x)[0].data, [0, 0.25, 0])
        np.testing.assert_array_equal(mg.grad(y[[1]].sum(), x)[0].data, [0, 0.25, 0])


def test_the_determinant_of_a_singular_matrix_has_derivatives():
    for a in ([[1.0, 2], [2, 4]], np.zeros((2, 2)), [[1.0, 2, 3], [2, 4, 6], [1, 0, 1]]):
        a = np.array(a)
        mg.gradcheck(np.linalg.det, a, full=True)
        mg.gradgradcheck(np.linalg.det, a, full=True)
    np.testing.assert_array_equal(grad_of(np.linalg.det, [[1.0, 2], [2, 4]])[0], [[4, -2], [-2, 1]])


def test_an_extreme_of_nothing_has_its_initial_value():
    x = mg.tensor(np.zeros((0, 3)), requires_grad=True)
    y = np.max(x, axis=0, initial=-1.0)
    np.testing.assert_array_equal(y.data, [-1, -1, -1])
    assert mg.grad(y.sum(), x)[0].shape == (0, 3)
    with pytest.raises(ValueError, match="zero-size"):
        np.min(x)


def test_a_matrix_that_is_not_finite_ends_at_once():
    for function in (np.linalg.svd, np.linalg.pinv, np.linalg.cond):
        with pytest.raises(np.linalg.LinAlgError, match="must be finite"):
            function(mg.tensor(np.array([[1.0, -INF], [0, 1]])))


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


def test_mixed_derivatives_of_a_power_with_exponent_zero():
    x = mg.tensor(np.array(0.0), requires_grad=True)
    y = (x * x + 1) ** (0.3 * x)  # 1 + 0.3 x³ + …
    for wanted in (0, 0, 1.8):
        (y,) = mg.grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(wanted, abs=1e-12)
    a, b = (mg.tensor(np.array(v), requires_grad=True) for v in (2.0, 0.0))
    (da,) = mg.grad(a**b, a, create_graph=True)
    assert mg.grad(da, b)[0].item() == pytest.approx(0.5)  # ∂²aᵇ/∂a∂b = 1/a at b = 0
