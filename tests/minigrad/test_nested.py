"""Derivatives of derivatives: every call has variables of its own, and inner results a history."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import minigrad as mg

X = np.array([1.0, 2.0])
SEEDS = range(60)


# nestings with known values


def test_a_tensor_from_around_the_function_is_a_constant():
    x = mg.tensor(X, requires_grad=True)
    np.testing.assert_allclose(mg.jacobian(lambda y: y * x, x).data, np.diag(X))
    np.testing.assert_allclose(mg.vjp(lambda y: y * x, x, np.ones(2))[1].data, X)
    np.testing.assert_allclose(mg.jvp(lambda y: y * x, x, np.ones(2))[1].data, X)
    np.testing.assert_allclose(mg.hessian(lambda y: (x * y**3).sum(), x).data, np.diag(6 * X * X))
    np.testing.assert_allclose(mg.hvp(lambda y: (x * y**3).sum(), x, X)[1].data, 6 * X**3)


@pytest.mark.parametrize(
    ("inner", "wanted"),
    [
        (lambda x: mg.jacobian(lambda y: (y**3).sum(), x).sum(), 6 * X),
        (lambda x: mg.grad((x**3).sum(), [x])[0], np.diag(6 * X)),
        (lambda x: mg.vjp(lambda y: (y**3).sum(), x)[1], np.diag(6 * X)),
        (lambda x: mg.jvp(lambda y: y**3, x, np.ones(2))[1], np.diag(6 * X)),
        (lambda x: mg.hessian(lambda y: (y**4).sum(), x).sum(), 24 * X),
        (lambda x: mg.hvp(lambda y: (y**4).sum(), x, x)[1], np.diag(36 * X**2)),
        (lambda x: mg.hvp(lambda y: (y**4).sum(), X, x)[1], np.diag(12 * X**2)),
        (lambda x: mg.jacobian(lambda y: x * y, X).sum(), np.ones(2)),
    ],
)
def test_every_call_inside_another_has_a_history(inner, wanted):
    np.testing.assert_allclose(mg.jacobian(inner, X).data, wanted)
    np.testing.assert_allclose(
        mg.jvp(inner, X, np.ones(2))[1].data, np.asarray(wanted) @ np.ones(2)
    )


def test_any_depth():
    def derivative(f):
        return lambda x: mg.vjp(f, x)[1]

    f = np.sin
    for wanted in (np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin):
        f = derivative(f)
        assert f(np.array(0.7)).item() == pytest.approx(wanted(0.7))


def test_gradients_written_by_backward_have_a_history_inside():
    def slope(x):
        w = mg.tensor(X, requires_grad=True)
        (x * w**2).sum().backward()
        return w.grad

    np.testing.assert_allclose(mg.jacobian(slope, X).data, np.diag(2 * X))


def test_history_behind_the_inputs_and_beside_the_results():
    w = mg.tensor(X, requires_grad=True, name="w")
    y, dx = mg.vjp(lambda x: (x**3).sum(), w * 2)
    y.backward()  # the output still belongs to w
    np.testing.assert_allclose(w.grad.data, 24 * X**2)
    assert not dx.requires_grad
    _, dx = mg.vjp(lambda x: (x**3).sum(), w * 2, create_graph=True)
    np.testing.assert_allclose(mg.grad(dx.sum(), w)[0].data, 24 * X)
    hessian = mg.hessian(lambda x: (x**4).sum(), w, create_graph=True)
    np.testing.assert_allclose(mg.grad(hessian.sum(), w)[0].data, 24 * X)
    _, product = mg.hvp(lambda x: (x**4).sum(), w, X, create_graph=True)
    np.testing.assert_allclose(mg.grad(product.sum(), w)[0].data, 24 * X * X)


def test_hooks_and_gradients_behind_the_inputs_are_left_alone():
    seen = []
    w = mg.tensor(X, requires_grad=True)
    h = w * 2
    h.register_hook(seen.append)
    np.testing.assert_allclose(mg.jacobian(lambda y: y * y, h).data, np.diag(4 * X))
    assert not seen
    assert w.grad is None


def test_recording_is_on_inside_and_as_before_afterwards():
    with mg.no_grad():
        np.testing.assert_allclose(mg.jacobian(lambda y: y * y, X).data, np.diag(2 * X))
        np.testing.assert_allclose(mg.jvp(lambda y: y * y, X, X)[1].data, 2 * X * X)
        np.testing.assert_allclose(mg.hvp(lambda y: (y**3).sum(), X, X)[1].data, 6 * X * X)
        assert not (mg.tensor(X, requires_grad=True) * 1).requires_grad
    w = mg.tensor(X, requires_grad=True)
    with pytest.raises(ZeroDivisionError):
        mg.jacobian(lambda y: y / (1 // 0), X)
    assert not mg.grad((w**3).sum(), w)[0].requires_grad


def test_what_a_function_drops_on_purpose_is_a_constant():
    def without(x):
        with mg.no_grad():
            slopes = mg.jacobian(lambda y: y * y, x)
        assert not slopes.requires_grad
        return x * (slopes.sum() + mg.jacobian(lambda y: y * y, x.detach()).sum())

    np.testing.assert_allclose(mg.jacobian(without, X).data, 12 * np.eye(2))


def test_parameters_of_a_function_without_arguments_nest_as_well():
    w = mg.tensor(X, requires_grad=True)
    outer = mg.jacobian(lambda: mg.jacobian(lambda: (w**3).sum(), w).sum(), w)
    np.testing.assert_allclose(outer.data, 6 * X)


# random nestings


OURS = SimpleNamespace(
    number=lambda a: mg.tensor(np.array(a)),
    tanh=np.tanh,
    sin=np.sin,
    exp=np.exp,
    vjp=lambda f, x, v: mg.vjp(f, x, v)[1],
    jvp=lambda f, x, v: mg.jvp(f, x, v)[1],
    jacobian=lambda f, x, v: mg.jacobian(f, x) @ v,
    hessian=lambda f, x, v: mg.hessian(lambda y: f(y).sum(), x) @ v,
    hvp=lambda f, x, v: mg.hvp(lambda y: f(y).sum(), x, v)[1],
    grad=lambda f, x, v: mg.grad((f(x) * v).sum(), [x])[0],
)
CALLS = ("vjp", "jvp", "jacobian", "hessian", "hvp", "grad")


def program(seed):
    """build(namespace) → a function R² → R²: calls nested up to four deep, with variables of outer
    levels closed over at every level."""
    rng = np.random.default_rng(seed)
    numbers = rng.uniform(-0.9, 0.9, (40, 2))
    choices = rng.integers(0, 100, 40)
    depth = int(rng.integers(2, 5))

    def build(space):
        def elementwise(k, y, around):
            c = space.number(numbers[k])
            f = (space.tanh, space.sin, lambda a: space.exp(a * 0.5))[choices[k] % 3]
            other = around[choices[k + 1] % len(around)]
            return f(y * c + other) * (y + other * numbers[k + 1][0])

        def level(k, around):
            if k == depth:
                return lambda y: elementwise(4 * k, y, (*around, y))
            name = CALLS[choices[4 * k + 2] % len(CALLS)]

            def f(x):
                inner = level(k + 1, (*around, x))
                point = x  # half of the inner calls are at a point of an outer level
                if around and choices[4 * k + 3] % 2:
                    point = around[0] * 1.5
                if name == "grad":
                    point = point * 1.0
                v = space.number(numbers[4 * k + 3]) if choices[4 * k] % 2 else x * 0.7
                return getattr(space, name)(inner, point, v) + elementwise(4 * k + 1, x, (x,))

            return f

        return level(0, ())

    return build


@pytest.mark.parametrize("seed", SEEDS)
def test_random_nestings_agree_with_central_differences_of_the_level_below(seed):
    f, x = program(seed)(OURS), np.array([0.4, -0.3])
    jacobian, eps = mg.jacobian(f, x).data, 1e-5

    def value(x):
        return mg.vjp(f, x, np.ones(2))[0].data

    columns = [value(x + eps * e) - value(x - eps * e) for e in np.eye(2)]
    numeric = np.stack(columns, axis=1) / (2 * eps)
    scale = max(1.0, np.abs(numeric).max())
    np.testing.assert_allclose(jacobian / scale, numeric / scale, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_nestings_agree_with_pytorch(seed):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    api = torch.autograd.functional
    theirs = SimpleNamespace(
        number=torch.tensor,
        tanh=torch.tanh,
        sin=torch.sin,
        exp=torch.exp,
        vjp=lambda f, x, v: api.vjp(f, x, v, create_graph=True)[1],
        jvp=lambda f, x, v: api.jvp(f, x, v, create_graph=True)[1],
        jacobian=lambda f, x, v: api.jacobian(f, x, create_graph=True) @ v,
        hessian=lambda f, x, v: api.hessian(lambda y: f(y).sum(), x, create_graph=True) @ v,
        hvp=lambda f, x, v: api.hvp(lambda y: f(y).sum(), x, v, create_graph=True)[1],
        grad=lambda f, x, v: torch.autograd.grad((f(x) * v).sum(), x, create_graph=True)[0],
    )
    x = np.array([0.4, -0.3])
    wanted = api.jacobian(program(seed)(theirs), torch.tensor(x)).numpy()
    scale = max(1.0, np.abs(wanted).max())
    found = mg.jacobian(program(seed)(OURS), x).data
    np.testing.assert_allclose(found / scale, wanted / scale, rtol=1e-9, atol=1e-10)
