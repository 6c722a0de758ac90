"""The gradient check is itself checked: with wrong rules, with chance, with parameters and time steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg


@mg.primitive
def wrong_slope(x):
    """y = x²  with a rule that is wrong where x > 1."""
    return x * x


@wrong_slope.gradient
def wrong_slope_dx(dy, y, x):
    return dy * np.where(x > 1, 2.002 * x, 2 * x)


@mg.primitive
def wrong_curve(x):
    """y = x³  with a first derivative that is right and a second that is wrong: it treats x as if it were fixed."""
    return x**3


@wrong_curve.gradient
def wrong_curve_dx(dy, y, x):
    return dy * 3 * np.asarray(getattr(x, "data", x)) ** 2


@mg.primitive
def forgets(x):
    """y = 2 x  with a rule that forgets the 2 in the last column of a matrix."""
    return 2 * x


@forgets.gradient
def forgets_dx(dy, y, x):
    return dy * np.array([2.0, 2.0, 1.0])


X = np.array([0.5, -0.7, 2.0, 0.1])


@pytest.mark.parametrize("full", [False, True])
def test_a_wrong_rule_is_found_and_the_worst_entry_named(full):
    with pytest.raises(mg.GradcheckError, match=r"at x\[2\]: analytic .*, numeric") as caught:
        mg.gradcheck(lambda x: wrong_slope(x), X, full=full)
    assert issubclass(mg.GradcheckError, AssertionError)
    analytic, numeric = (
        float(part.split()[1]) for part in str(caught.value).split(": ", 1)[1].split(", ")
    )
    assert analytic / numeric == pytest.approx(1.001, abs=1e-6)


def test_a_right_rule_passes_and_the_report_tells_how_well():
    report = mg.gradcheck(lambda x: x * x, X, full=True)
    assert report
    assert report.checked == 4
    assert report.worst.error < 1e-8
    assert str(report).startswith("4 derivatives agree, worst ")


def test_a_wrong_second_derivative_is_found():
    mg.gradcheck(wrong_curve, X)
    with pytest.raises(mg.GradcheckError):
        mg.gradgradcheck(wrong_curve, X)
    assert mg.gradgradcheck(lambda x: x**3, X)


def test_the_argument_and_the_path_in_it_are_named():
    def loss(a, batch):
        return a.sum() + forgets(batch["rows"][1]).sum()

    inputs = (np.ones(2), {"rows": (np.ones((2, 3)), np.ones((2, 3)))})
    with pytest.raises(mg.GradcheckError, match=r"batch\['rows'\]\[1\]\[\d, 2\]: analytic"):
        mg.gradcheck(loss, inputs)


def test_chance_is_noticed():
    rng = np.random.default_rng(0)
    with pytest.raises(mg.GradcheckError, match="not deterministic"):
        mg.gradcheck(lambda x: x * rng.random(), X)


def test_parameters_are_checked_in_place_and_put_back():
    w = mg.tensor([0.5, 2.0], requires_grad=True, name="w")
    data, b = w._array, mg.tensor([1.0, 1.0], name="b")
    assert mg.gradcheck(lambda: np.tanh(w * 2 + b), {"w": w, "b": b}, full=True).checked == 4
    with pytest.raises(mg.GradcheckError, match=r"at w\[1\]"):
        mg.gradcheck(lambda: wrong_slope(w), [w])
    assert w._array is data
    assert w.dtype == np.float32
    assert w.grad is None
    assert not b.requires_grad


def test_modules_are_dicts_of_parameters():
    class Net:
        def __init__(self):
            self.w = mg.tensor([[0.5, 2.0]], requires_grad=True)

        def named_parameters(self):
            return [("layer.w", self.w)]

    net = Net()
    assert mg.gradcheck(lambda: np.tanh(net.w), net)
    with pytest.raises(mg.GradcheckError, match=r"layer\.w\[0, 1\]"):
        mg.gradcheck(lambda: wrong_slope(net.w), net)


def test_the_time_step_of_the_wrong_use_is_named():
    w = mg.tensor([0.5, 2.0], requires_grad=True, name="w")

    def loss():
        h = mg.tensor(np.array([1.0, 0.5]))
        for t in range(4):
            with mg.time_step(t):
                h = wrong_slope(w) * h if t == 2 else w * h
        return h

    with pytest.raises(mg.GradcheckError, match=r"w\[1\], t = 2: analytic"):
        mg.gradcheck(loss, [w])


def test_float32_inputs_are_checked_in_float64():
    seen = []
    mg.gradcheck(lambda x: seen.append(x.dtype) or x * x, X.astype(np.float32))
    assert set(seen) == {np.dtype(np.float64)}


def test_whole_numbers_pass_through():
    def pick(x, index):
        return x[index] ** 2

    assert mg.gradcheck(pick, (X, np.array([0, 0, 2]))).checked == 3
    assert mg.gradcheck(lambda x, n: x**n, (X, 3), full=True).checked == 4


def test_a_gradient_that_is_not_finite_fails():
    with np.errstate(all="ignore"), pytest.raises(mg.GradcheckError, match="inf at x"):
        mg.gradcheck(lambda x: np.sqrt(x * x) * np.log(np.abs(x)), np.array([0.0, 1.0]), full=True)


def test_outputs_without_a_floating_tensor_are_refused():
    with pytest.raises(TypeError, match="no floating tensor"):
        mg.gradcheck(lambda x: np.argmax(x), X)


def test_a_single_number_is_nudged_as_an_array():
    def slope(x):
        return mg.grad(np.log(x) ** 2, x, create_graph=True)[0]

    assert mg.gradgradcheck(slope, np.array(0.7))


SCALES = (1e-6, 1.0, 1e6)


@pytest.mark.parametrize("of_input", SCALES)
@pytest.mark.parametrize("of_output", SCALES)
@pytest.mark.parametrize("full", [False, True])
def test_the_scale_of_inputs_and_outputs_changes_no_verdict(of_input, of_output, full):
    def checked(factor):
        @mg.primitive
        def wave(x):
            return of_output * np.sin(x / of_input)

        @wave.gradient
        def wave_dx(dy, y, x):
            return factor * dy * of_output / of_input * np.cos(x / of_input)

        return mg.gradcheck(wave, of_input * np.array([0.3, -0.7, 1.1]), full=full)

    assert checked(1.0).checked == 3
    for factor in (1.001, -1.0):
        with pytest.raises(mg.GradcheckError):
            checked(factor)


@mg.primitive
def logistic(x, *, sign):
    """σ(x), whose rule has the given sign."""
    return 1 / (1 + np.exp(-x))


@logistic.gradient
def logistic_dx(dy, y, x, sign):
    return sign * dy * y * (1 - y)


def test_a_wrong_sign_is_found_where_the_curve_is_nearly_flat():
    assert mg.gradcheck(lambda x: logistic(x, sign=1.0), np.array([13.0]))
    with pytest.raises(mg.GradcheckError) as caught:
        mg.gradcheck(lambda x: logistic(x, sign=-1.0), np.array([13.0]))
    assert caught.value.worst.analytic == pytest.approx(-caught.value.worst.numeric, rel=1e-4)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_where_rounding_hides_a_derivative_the_report_says_so(sign):
    report = mg.gradcheck(lambda x: logistic(x, sign=sign), np.array([30.0]))
    assert not report
    assert report.checked == 0
    assert "too flat here to tell, such as x" in str(report)
    some = mg.gradcheck(lambda x: logistic(x, sign=1.0), np.array([0.5, 30.0]), full=True)
    assert some
    assert [e.at for e in some.flat] == [(1,)]
    assert "1 too flat here to tell, such as x[1]" in str(some)


def test_attributes_of_the_function_loosen_nothing() -> None:
    @mg.primitive
    def nearly(x: Any) -> Any:
        """2 x"""
        return 2 * x

    @nearly.gradient
    def nearly_dx(dy: Any, y: Any, x: Any) -> Any:
        return 2.002 * dy

    class Layer:
        hidden_size = 1e12

        def __call__(self, x: Any) -> Any:
            return nearly(x)

    with pytest.raises(mg.GradcheckError):
        mg.gradcheck(Layer(), np.array([1.0, 2.0]))


@mg.primitive
def forgotten(x):
    return np.tanh(x)


@forgotten.gradient
def forgotten_dx(dy, y, x):
    return 0 * dy


@pytest.mark.parametrize("full", [False, True])
def test_zeros_that_agree_show_nothing_where_the_function_has_a_slope_elsewhere(full):
    report = mg.gradcheck(forgotten, np.array([100.0, -100.0]), full=full)
    assert not report
    assert "too flat here to tell" in str(report)
    assert not mg.gradcheck(mg.relu, np.array([-1.0, -2.0]), full=full)
    assert not mg.gradcheck(lambda x: x**2, np.zeros(2), full=full)
    two = mg.gradcheck(lambda x, y: x + forgotten(y), (np.ones(2), np.full(2, 100.0)), full=full)
    assert two.checked == len(two.flat)


@pytest.mark.parametrize("full", [False, True])
def test_zeros_count_where_the_function_is_level_everywhere_or_not_defined_elsewhere(full):
    x = np.array([-1.0, 2.0])
    assert mg.gradcheck(np.sign, x, full=full)
    assert mg.gradcheck(lambda x, y: x * 2, (x, x), full=full)
    assert mg.gradgradcheck(mg.relu, x, full=full)
    assert mg.gradgradcheck(lambda x: 3 * x, x, full=full)
    assert mg.gradcheck(lambda x: 0 * np.log(x), np.ones(2), full=full)
