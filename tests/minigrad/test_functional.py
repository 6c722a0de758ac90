"""vjp, jvp, jacobian, hessian and hvp agree with each other, with formulas and with central differences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import minigrad as mg

A = np.array([[1.0, 2.0, 0.5], [-1.0, 0.3, 2.0]])
X = np.array([0.3, -0.2, 0.9])


def curve(x):
    return np.tanh(A @ x) ** 2


class Pair(NamedTuple):
    h: object
    c: object


def test_jacobian_is_that_of_the_formula():
    jacobian = mg.jacobian(lambda x: A @ x, X)
    np.testing.assert_allclose(jacobian.data, A)
    y = np.tanh(A @ X)
    np.testing.assert_allclose(mg.jacobian(curve, X).data, (2 * y * (1 - y**2))[:, None] * A)


def test_forward_and_reverse_mode_are_transposes():
    jacobian = mg.jacobian(curve, X).data
    v, u = np.array([1.0, -2.0, 0.5]), np.array([0.7, -1.1])
    y, ju = mg.vjp(curve, X, u)
    np.testing.assert_allclose(ju.data, u @ jacobian)
    np.testing.assert_allclose(mg.jvp(curve, X, v)[1].data, jacobian @ v)
    np.testing.assert_allclose(y.data, np.tanh(A @ X) ** 2)
    eps = 1e-6
    np.testing.assert_allclose(
        mg.jvp(curve, X, v)[1].data,
        (np.tanh(A @ (X + eps * v)) ** 2 - np.tanh(A @ (X - eps * v)) ** 2) / (2 * eps),
        rtol=1e-8,
    )


def test_hessian_and_hvp():
    def energy(x):
        return (curve(x) * x[:2]).sum()

    hessian = mg.hessian(energy, X).data
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-14)
    slope = lambda x: mg.vjp(energy, x)[1].data  # noqa: E731
    eps = 1e-6
    numeric = [(slope(X + eps * e) - slope(X - eps * e)) / (2 * eps) for e in np.eye(3)]
    np.testing.assert_allclose(hessian, numeric, atol=1e-8)
    v = np.array([1.0, 2.0, -1.0])
    np.testing.assert_allclose(mg.hvp(energy, X, v)[1].data, hessian @ v, rtol=1e-12)


def test_several_arguments_and_nested_structures():
    def cell(x, state):
        h = np.tanh(x + state.h * state.c)
        return {"y": h * 2}, Pair(h, state.c + x)

    inputs = (np.array(0.5), Pair(np.array(0.2), np.array(-0.4)))
    _, dx = mg.vjp(cell, inputs, ({"y": np.array(1.0)}, Pair(np.array(0.0), np.array(3.0))))
    h = np.tanh(0.5 - 0.08)
    assert isinstance(dx[1], Pair)
    assert dx[0].item() == pytest.approx(2 * (1 - h * h) + 3)
    assert dx[1].h.item() == pytest.approx(2 * (1 - h * h) * -0.4)
    blocks = mg.jacobian(cell, inputs)
    assert blocks[1].c[1].c.item() == 1
    assert blocks[1].c[1].h.item() == 0
    assert blocks[0]["y"][0].shape == ()
    tangents = mg.jvp(cell, inputs, (np.array(1.0), Pair(np.array(0.0), np.array(1.0))))[1]
    assert tangents[1].c.item() == pytest.approx(2)
    assert tangents[0]["y"].item() == pytest.approx(2 * (1 - h * h) * 1.2)


def test_parameters_of_a_module_are_used_in_place():
    class Net:
        w = mg.tensor(np.array([1.0, 2.0]), requires_grad=True)

        def named_parameters(self):
            return [("w", self.w)]

    net = Net()
    hessian = mg.hessian(lambda: (net.w**3).sum(), net)
    np.testing.assert_allclose(hessian["w"]["w"].data, np.diag([6.0, 12.0]))
    assert mg.hvp(lambda: (net.w**3).sum(), net, {"w": np.array([1.0, 0.0])})[1][
        "w"
    ].data.tolist() == [6.0, 0.0]
    assert net.w.grad is None
    with pytest.raises(ValueError, match="number 0"):
        mg.vjp(lambda: (net.w**3).sum(), mg.tensor([1.0]))


def test_results_can_be_differentiated_again():
    x = mg.tensor(np.array(0.7), requires_grad=True)
    third = mg.jacobian(
        lambda v: mg.jacobian(lambda z: np.exp(2 * z), v, create_graph=True), x, create_graph=True
    )
    assert third.item() == pytest.approx(4 * np.exp(1.4))
    assert mg.grad(third, x)[0].item() == pytest.approx(8 * np.exp(1.4))
    _, tangent = mg.jvp(np.sin, x, np.array(1.0), create_graph=True)
    assert mg.grad(tangent, x)[0].item() == pytest.approx(-np.sin(0.7))


def test_what_does_not_depend_gives_zeros_and_whole_numbers_none():
    _, (dx, dz, dn) = mg.vjp(lambda x, z, n: (x**n).sum(), (X, np.ones(2), 2))
    np.testing.assert_allclose(dx.data, 2 * X)
    assert dz.data.tolist() == [0, 0]
    assert dn is None
    assert mg.jvp(lambda x: x * 0 + np.sign(x), X, X)[1].data.tolist() == [0, 0, 0]
    assert mg.hessian(lambda x: x.sum(), X).data.tolist() == np.zeros((3, 3)).tolist()


def test_bad_shapes_are_named():
    with pytest.raises(ValueError, match=r"shape of its input, \(3,\), found \(2,\)"):
        mg.jvp(curve, X, np.ones(2))
    with pytest.raises(ValueError, match="shape"):
        mg.vjp(curve, X, np.ones(3))
    with pytest.raises(ValueError, match="reduce it"):
        mg.vjp(curve, X)


@pytest.mark.parametrize("T", [1, 5])
def test_forward_mode_bptt_hand_written_bptt_and_differences_agree(T):
    rng = np.random.default_rng(3)
    W, xs, h0 = rng.normal(size=(3, 3)) * 0.5, rng.normal(size=(T, 3)), rng.normal(size=3)

    def loss(W):
        h, total = h0, 0.0
        for t, x in mg.timesteps(xs):
            h = np.tanh(x + h @ W)
            total = total + (h * (t + 1)).sum()
        return total

    hs, direction = [h0], rng.normal(size=(3, 3))
    for x in xs:
        hs.append(np.tanh(x + hs[-1] @ W))
    dW, dh = np.zeros_like(W), np.zeros(3)
    for t in reversed(range(T)):
        dh = dh + (t + 1)
        da = dh * (1 - hs[t + 1] ** 2)
        dW += np.outer(hs[t], da)
        dh = da @ W.T
    by_hand = np.sum(dW * direction)
    values = [mg.Tensor.item(loss(mg.tensor(W + s * 1e-6 * direction))) for s in (1, -1)]
    assert np.sum(mg.vjp(loss, W)[1].data * direction) == pytest.approx(by_hand, rel=1e-12)
    assert mg.jvp(loss, W, direction)[1].item() == pytest.approx(by_hand, rel=1e-12)
    assert (values[0] - values[1]) / 2e-6 == pytest.approx(by_hand, rel=1e-7)


def test_what_has_no_derivative_is_refused():
    with pytest.raises(TypeError, match="only floating numbers have derivatives, found int64"):
        mg.jacobian(lambda x: x * 2, np.array([1, 2]))
    with pytest.raises(
        TypeError, match="must return tensors computed from its inputs, found float"
    ):
        mg.jacobian(lambda x: 5.0, np.ones(3))
    with pytest.raises(TypeError, match="the inputs must be tensors, found str"):
        mg.grad(mg.tensor(1.0, requires_grad=True) * 2, "a")
    singular = mg.tensor(np.array([[1.0, 2.0], [2.0, 4.0]]), requires_grad=True)
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix") as caught:
        mg.grad(np.linalg.slogdet(singular)[1], singular)
    assert "in the backward pass of slogdet((2, 2))" in caught.value.__notes__[0]


def test_derivatives_of_what_is_empty_are_empty():
    assert mg.hessian(lambda x: (x**3).sum(), np.zeros((0,))).shape == (0, 0)
    assert mg.jacobian(lambda x: 2 * x, np.zeros((0, 2))).shape == (0, 2, 0, 2)
    assert mg.jacobian(lambda x: x[:0], np.ones(3)).shape == (0, 3)
    y, dy = mg.jvp(lambda x: 2 * x, np.zeros((0,)), np.zeros((0,)))
    assert y.shape == dy.shape == (0,)
