"""Operations of one's own: checked, drawn and stepped like the built-in ones."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import minigrad as mg


@mg.primitive
def blend(a, b, *, weight=0.5):
    """y = w a + (1 − w) b²,  two inputs and a keyword."""
    return weight * a + (1 - weight) * b**2


@blend.gradient
def blend_da(dy, y, a, b, weight=0.5):
    return dy * weight


@blend.gradient
def blend_db(dy, y, a, b, weight=0.5):
    return dy * (1 - weight) * 2 * b


@mg.primitive
def straight_through(x):
    """Rounded in the forward pass, the identity in the backward pass (Bengio et al., 2013)."""
    return np.round(x)


@straight_through.gradient
def straight_through_dx(dy, y, x):
    return dy


@mg.primitive
def reversed_gradient(x, *, strength=1.0):
    """The identity in the forward pass, −strength in the backward pass (Ganin and Lempitsky, 2015)."""
    return x


@reversed_gradient.gradient
def reversed_gradient_dx(dy, y, x, strength=1.0):
    return -strength * dy


def test_two_inputs_and_a_keyword_pass_the_checks_and_broadcast():
    a, b = np.linspace(-1, 1, 6).reshape(2, 3), np.array([0.5, -0.3, 0.9])
    for weight in (0.5, 0.2):
        assert mg.gradcheck(lambda a, b, w=weight: blend(a, b, weight=w), (a, b), full=True)
        assert mg.gradgradcheck(lambda a, b, w=weight: blend(a, b, weight=w), (a, b), full=True)
    x = mg.tensor(b, requires_grad=True)
    blend(a, x).sum().backward()
    np.testing.assert_allclose(x.grad.data, 2 * b)
    assert blend(a, x, 0.25).shape == (2, 3)  # a keyword may also come by position, as in NumPy


def test_it_stands_in_the_graph_and_is_stepped_like_any_other():
    w = mg.tensor(2.0, requires_grad=True, name="w")
    with mg.time_step(0):
        y = blend(w, 3.0)
    graph = mg.Graph(y)
    (node,) = graph.find(op="blend", t=0)
    assert node.constants == {"weight": 0.5}
    (step,) = graph.backward_steps()
    assert step.node is node
    assert str(step).startswith("t=0  y = blend(w, 3.0)   dy 1 -> dw 0.5")


def test_straight_through_and_gradient_reversal():
    x = mg.tensor([0.2, 1.7], requires_grad=True)
    y = straight_through(x) * 3
    assert y.data.tolist() == [0, 6]
    assert mg.grad(y.sum(), x)[0].data.tolist() == [3, 3]
    assert mg.grad(reversed_gradient(x, strength=2).sum(), x)[0].data.tolist() == [-2, -2]
    with pytest.raises(mg.GradcheckError):  # that is the point of them
        mg.gradcheck(straight_through, np.array([0.2, 1.7]))


def test_a_forgotten_rule_names_the_input():
    @mg.primitive
    def half_done(a, b):
        return a * b

    @half_done.gradient
    def half_done_da(dy, y, a, b):
        return dy * b

    a, b = mg.tensor(2.0, requires_grad=True), mg.tensor(3.0, requires_grad=True)
    with pytest.raises(
        NotImplementedError, match="half_done has no gradient rule for its input 'b'"
    ):
        half_done(a, b).backward()
    assert a.grad is None
    half_done(a, 3.0).backward()
    assert a.grad.item() == 3


def test_a_tensor_as_a_keyword_is_a_constant_and_must_not_need_a_gradient():
    a, w = mg.tensor(2.0, requires_grad=True), mg.tensor(0.25)
    assert blend(a, 1.0, weight=w).item() == 1.25
    with pytest.raises(TypeError, match="weight has no gradient"):
        blend(a, 1.0, weight=mg.tensor(0.25, requires_grad=True))


@pytest.mark.parametrize("result", [None, "abc", [None, 1.0], 1j, np.array([1j])], ids=repr)
def test_a_forward_gives_real_numbers(result):
    @mg.primitive
    def odd(x):
        return result

    with pytest.raises(TypeError, match="odd returned .*real numbers"):
        odd(mg.tensor([1.0]))


def test_a_primitive_that_a_function_makes_anew_cannot_be_found_in_a_saved_graph():
    def scaled(factor):
        @mg.primitive
        def scale(x):
            return factor * x

        @scale.gradient
        def scale_dx(dy, y, x):
            return factor * dy

        return scale

    x = mg.tensor(1.0, requires_grad=True)
    graph = mg.Graph(scaled(2.0)(x))
    scaled(5.0)
    with pytest.raises(pickle.PicklingError, match="make it outside of functions"):
        pickle.dumps(graph)
    again = copy.deepcopy(graph)
    again.backward()
    assert again.leaves[0].grad.item() == 2.0
