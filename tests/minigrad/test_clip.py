import json
import math
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import minigrad as mg

TORCH = json.loads(Path(__file__).with_name("torch_clip.json").read_text())


def leaves(grads):
    made = []
    for k, grad in enumerate(grads):
        leaf = mg.tensor(np.zeros_like(np.asarray(grad)), requires_grad=True, name=f"w{k}")
        leaf.grad = np.asarray(grad)
        made.append(leaf)
    return made


class Module:
    def __init__(self, **parameters):
        self.table = parameters

    def named_parameters(self):
        return iter(self.table.items())

    def parameters(self):
        return iter(self.table.values())


@pytest.mark.parametrize("case", TORCH["cases"], ids=lambda case: f"{case['p']}-{case['limit']}")
def test_the_norm_and_what_is_left_are_those_of_pytorch(case):
    parameters = leaves(TORCH["grads"])
    norm = mg.clip_grad_norm_(parameters, case["limit"], norm_type=float(case["p"]))
    assert norm == pytest.approx(case["norm"], rel=1e-12)
    for leaf, after in zip(parameters, case["after"], strict=True):
        np.testing.assert_allclose(leaf.grad.data, after, rtol=1e-12, atol=1e-15)


def test_clipping_by_value_is_that_of_pytorch():
    parameters = leaves(TORCH["grads"])
    mg.clip_grad_value_(parameters, TORCH["value"])
    for leaf, after in zip(parameters, TORCH["by_value"], strict=True):
        np.testing.assert_array_equal(leaf.grad.data, after)


def test_gradients_within_the_limit_stay_bit_for_bit():
    (w,) = leaves([np.array([0.1, 0.2], np.float32)])
    before = w.grad
    assert mg.clip_grad_norm_([w], math.inf) == pytest.approx(math.sqrt(0.05), rel=1e-7)
    assert w.grad is before


def test_any_target_names_the_same_gradients():
    w = mg.tensor([3.0, 4.0], requires_grad=True, name="w")
    loss = (w * w).sum() / 2
    for target in (w, [w], (p for p in [w, w]), Module(w=w), loss, mg.Graph(loss)):
        w.grad = np.array([3.0, 4.0], np.float32)
        assert mg.clip_grad_norm_(target, 1.0) == 5.0
        np.testing.assert_allclose(w.grad.data, [0.6, 0.8], rtol=1e-6)
        assert w.grad.dtype == np.float32


def test_no_gradients_are_a_norm_of_zero():
    w = mg.tensor([3.0], requires_grad=True)
    assert mg.clip_grad_norm_([w], 1.0) == 0.0
    assert mg.clip_grad_norm_([], 1.0) == 0.0
    assert w.grad is None
    mg.clip_grad_value_([w], 1.0)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_extreme_gradients_have_a_norm(scale):
    (w,) = leaves([np.array([3.0, 4.0]) * scale])
    assert mg.clip_grad_norm_([w], math.inf) == pytest.approx(5 * scale, rel=1e-12)


def test_the_sum_is_made_in_float64():
    (w,) = leaves([np.full(10_000, 1e20, np.float32)])  # the squares are beyond float32
    assert mg.clip_grad_norm_([w], 1.0) == pytest.approx(1e22, rel=1e-6)


CLIPPERS = {
    "norm": lambda target: mg.clip_grad_norm_(target, 1.0),
    "value": lambda target: mg.clip_grad_value_(target, 1.0),
    "per parameter": lambda target: mg.clip_grad_norm_(target, 1.0, per_parameter=True),
}


@pytest.mark.parametrize("clip", CLIPPERS.values(), ids=CLIPPERS.keys())
@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_raises_with_its_name_and_changes_nothing(clip, wrong):
    parameters = leaves([np.array([30.0]), np.array([1.0, wrong, wrong])])
    before = [leaf.grad for leaf in parameters]
    module = Module(W_xh=parameters[0], W_hh=parameters[1])
    with pytest.raises(
        FloatingPointError, match=r"W_hh is not finite: 2 of 3 entries .* no gradient was changed"
    ):
        clip(module)
    assert all(leaf.grad is grad for leaf, grad in zip(parameters, before, strict=True))


def infinite_at_step_2() -> tuple[mg.Tensor, mg.Tensor]:
    """A parameter whose gradient is infinite from step 2 on, and the loss after its backward pass."""
    w, h = mg.tensor(0.0, requires_grad=True, name="w"), mg.tensor(1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        for t in range(4):
            with mg.time_step(t):
                h = np.sqrt(w) + h if t == 2 else w + h
        h.backward()
    return w, h


def test_the_first_time_step_with_such_a_gradient_is_told():
    w, h = infinite_at_step_2()
    for target in (h, mg.Graph(h)):
        with pytest.raises(FloatingPointError) as error:
            mg.clip_grad_norm_(target, 1.0)
        assert "gradient of w is not finite" in str(error.value)
        assert "first time step with such a gradient is t = 2" in str(error.value)
        assert "sqrt(w)" in str(error.value)
    assert np.isinf(w.grad.data)


def test_a_norm_beyond_float64_raises():
    parameters = leaves([np.full(4, 1.7e308)])
    before = parameters[0].grad
    with pytest.raises(FloatingPointError, match="beyond float64"):
        mg.clip_grad_norm_(parameters, 1.0, norm_type=1)
    assert parameters[0].grad is before


@pytest.mark.parametrize("limit", [-1.0, math.nan])
@pytest.mark.parametrize("call", ["clip_grad_norm_", "clip_grad_value_"])
def test_a_negative_or_nan_limit_is_an_error(call, limit):
    (w,) = leaves([np.array([3.0])])
    with pytest.raises(ValueError, match="≥ 0 is needed"):
        getattr(mg, call)([w], limit)
    assert w.grad.item() == 3.0


@pytest.mark.parametrize("p", [-1.0, 0.0, math.nan])
def test_the_type_of_the_norm_is_positive(p):
    with pytest.raises(ValueError, match="norm_type"):
        mg.clip_grad_norm_(leaves([np.array([3.0])]), 1.0, norm_type=p)


def test_what_is_not_a_parameter_is_an_error():
    with pytest.raises(TypeError, match="a module, a loss or a Graph is needed, found ndarray"):
        mg.clip_grad_norm_([np.ones(2)], 1.0)
    with pytest.raises(TypeError, match="max_norm: a number is needed, found str"):
        mg.clip_grad_norm_([], "1")


def test_each_parameter_has_a_limit_of_its_own():
    parameters = leaves([np.array([3.0, 4.0]), np.array([0.5])])
    norm = mg.clip_grad_norm_(parameters, 1.0, per_parameter=True)
    assert norm == pytest.approx(math.hypot(3, 4, 0.5))
    np.testing.assert_allclose(parameters[0].grad.data, [0.6, 0.8], rtol=1e-5)
    assert parameters[1].grad.item() == 0.5


def test_a_report_tells_what_was_clipped_by_how_much_and_how_often():
    parameters = leaves([np.array([3.0, 4.0])])
    with mg.clip_report() as report:
        for _ in range(3):
            mg.clip_grad_norm_(parameters, 2.5)
    mg.clip_grad_norm_(parameters, 0.1)  # the report is closed
    assert [entry.before for entry in report] == pytest.approx([5.0, 2.5, 2.5], rel=1e-5)
    assert str(report).splitlines()[1].split() == ["parameters", "1", "of", "3", "2.5", "5", "0.5"]


def test_an_empty_report_says_so():
    with mg.clip_report() as report:
        pass
    assert "no clipping ran" in str(report)


def test_a_report_is_drawn():
    matplotlib.use("Agg")
    with mg.clip_report() as report:
        mg.clip_grad_norm_(leaves([np.array([3.0, 4.0])]), 2.5)
    lines = report.plot().get_lines()
    assert [line.get_ydata()[0] for line in lines] == pytest.approx([5.0, 2.5], rel=1e-6)


def test_parameters_are_clipped_all_or_none():
    a, b = leaves([np.array([3.0, 4.0]), np.array([1.0, np.inf])])
    before = a.grad
    with pytest.raises(FloatingPointError, match="w1 is not finite"):
        mg.clip_grad_norm_([a, b], 1.0, per_parameter=True)
    a, b = leaves([np.array([3.0, 4.0]), np.full(4, 1.7e308)])
    before = a.grad
    with pytest.raises(FloatingPointError, match="beyond float64"):
        mg.clip_grad_norm_([a, b], 1.0, norm_type=1, per_parameter=True)
    assert a.grad is before


def test_a_module_is_told_the_time_step_of_the_last_loss():
    w, _loss = infinite_at_step_2()
    with pytest.raises(
        FloatingPointError, match="gradient of w is not finite.*first time step .* is t = 2"
    ):
        mg.clip_grad_norm_([w], 1.0)
    with pytest.raises(FloatingPointError, match="gradient of W_hh is not finite.*t = 2"):
        mg.clip_grad_value_(Module(W_hh=w), 1.0)


def test_a_norm_that_overflows_names_the_largest_gradient():
    parameters = leaves([np.ones(2), np.full(4, 1.7e308)])
    with pytest.raises(
        FloatingPointError, match=r"the largest gradient is that of w1 \(4,\), up to 1.7e\+308"
    ):
        mg.clip_grad_norm_(parameters, 1.0, norm_type=1)


@pytest.mark.parametrize("wrong", [3, None, "w"])
def test_a_target_that_holds_no_parameters_is_named(wrong):
    with pytest.raises(
        TypeError, match=f"a module, a loss or a Graph is needed, found {type(wrong).__name__}"
    ):
        mg.clip_grad_norm_(wrong, 1.0)


def test_a_norm_of_tiny_order_that_overflows_is_refused():
    w = mg.tensor([3.0, 4.0], requires_grad=True)
    (w * w).sum().backward()
    before = w.grad
    with pytest.raises(FloatingPointError, match="the norm is beyond float64"):
        mg.clip_grad_norm_([w], 1.0, norm_type=1e-4)
    assert w.grad is before
