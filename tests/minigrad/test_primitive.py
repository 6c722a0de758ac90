from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg


@pytest.fixture
def scaled() -> mg.Primitive:
    @mg.primitive
    def scaled(a: Any, b: Any, *, factor: Any = 1.0) -> Any:
        return factor * a * b

    @scaled.gradient
    def scaled_da(dy: Any, y: Any, a: Any, b: Any, *, factor: Any = 1.0) -> Any:
        return dy * factor * b

    @scaled.gradient
    def scaled_db(dy: Any, y: Any, a: Any, b: Any, *, factor: Any = 1.0) -> Any:
        return dy * factor * a

    return scaled


def test_two_inputs_and_a_keyword(scaled: mg.Primitive) -> None:
    a = mg.tensor(np.array([1.0, 2.0]), requires_grad=True)
    b = mg.tensor(np.array(3.0), requires_grad=True)
    y = scaled(a, b, factor=2.0)
    assert y.op is scaled
    assert y.constants == {"factor": 2.0}
    da, db = mg.grad(y, [a, b], np.ones(2))
    np.testing.assert_array_equal(da.data, [6, 6])
    assert db.item() == 6  # broadcasting is undone by the loop, not by the rule
    assert mg.gradgradcheck(lambda a, b: scaled(a, b, factor=2.0), [a, b])


def test_rules_get_the_defaults_of_the_forward() -> None:
    @mg.primitive
    def scale(x: Any, *, factor: Any = 3.0) -> Any:
        return factor * x

    @scale.gradient
    def scale_dx(dy: Any, y: Any, x: Any, *, factor: Any) -> Any:
        return factor * dy

    x = mg.tensor(1.0, requires_grad=True)
    assert mg.grad(scale(x), x)[0].item() == 3
    assert mg.grad(scale(x, factor=5.0), x)[0].item() == 5


def test_positional_arguments_beyond_the_inputs_fill_the_constants(scaled: mg.Primitive) -> None:
    assert scaled(1.0, 2.0, 3.0).item() == 6
    assert scaled(1.0, b=2.0).item() == 2
    with pytest.raises(TypeError, match=r"scaled: input 'b' is missing; it takes \(a.*factor"):
        scaled(1.0)
    with pytest.raises(TypeError, match="too many positional arguments"):
        scaled(1.0, 2.0, 3.0, 4.0)


def test_an_operand_of_the_wrong_kind_is_named(scaled: mg.Primitive) -> None:
    with pytest.raises(
        TypeError, match="scaled: input 'b': a tensor holds real numbers; found str"
    ):
        scaled(1.0, "two")


def test_an_error_in_the_forward_gets_a_note_with_shapes_and_place() -> None:
    with mg.time_step(4), mg.scope("cell"), pytest.raises(ValueError, match="matmul") as caught:
        mg.tensor(np.ones((2, 3))) @ mg.tensor(np.ones((2, 3)))
    assert any(
        "matmul(a (2, 3), b (2, 3)) at t = 4" in note and "scope cell" in note
        for note in caught.value.__notes__
    )


def test_a_forgotten_rule_names_the_input() -> None:
    @mg.primitive
    def blend(x: Any, weight: Any) -> Any:
        return x * weight

    @blend.gradient
    def blend_dx(dy: Any, y: Any, x: Any, weight: Any) -> Any:
        return dy * weight

    x, w = mg.tensor(1.0, requires_grad=True), mg.tensor(2.0, requires_grad=True)
    assert mg.grad(blend(x, 2.0), x)[0].item() == 2
    with pytest.raises(
        NotImplementedError,
        match=r"blend has no gradient rule for its input 'weight'.*blend_dweight",
    ):
        blend(x, w).backward()
    assert x.grad is None


def test_rules_are_checked_when_they_are_registered(scaled: mg.Primitive) -> None:
    with pytest.raises(TypeError, match=r"third: which input of scaled .*scaled_da, scaled_db"):

        @scaled.gradient
        def third(dy: Any, y: Any, a: Any, b: Any, *, factor: Any) -> Any:
            return dy

    with pytest.raises(TypeError, match=r"scaled.gradient\('c'\): its inputs are a, b"):

        @scaled.gradient("c")
        def scaled_dc(dy: Any, y: Any, a: Any, b: Any, *, factor: Any) -> Any:
            return dy

    @mg.primitive
    def halve(x: Any) -> Any:
        return x / 2

    with pytest.raises(TypeError, match=r"halve_dx: a rule of halve is called as \(dy, y, x\)"):

        @halve.gradient
        def halve_dx(dy: Any) -> Any:
            return dy / 2


def test_a_rule_by_name_goes_to_its_input_whatever_the_order() -> None:
    @mg.primitive
    def minus(a: Any, b: Any) -> Any:
        return a - b

    @minus.gradient
    def minus_db(dy: Any, y: Any, a: Any, b: Any) -> Any:
        return -dy

    @minus.gradient("a")
    def any_name(dy: Any, y: Any, a: Any, b: Any) -> Any:
        return dy

    a, b = mg.tensor(1.0, requires_grad=True), mg.tensor(2.0, requires_grad=True)
    assert [g.item() for g in mg.grad(minus(a, b), [a, b])] == [1, -1]


def test_a_wrong_shape_from_a_rule_is_refused_with_a_note() -> None:
    @mg.primitive
    def wrong(x: Any) -> Any:
        return x

    @wrong.gradient
    def wrong_dx(dy: Any, y: Any, x: Any) -> Any:
        return np.ones(7)

    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(
        ValueError, match=r"gradient of shape \(7,\) for an input of shape \(2,\)"
    ) as caught:
        wrong(x).sum().backward()
    assert "in the backward pass of wrong((2,)) -> (2,)" in caught.value.__notes__[0]
    assert "wrong(x)" in caught.value.__notes__[0]


def test_once_refuses_to_be_differentiated_twice_and_names_itself() -> None:
    @mg.primitive(once=True)
    def loop(x: Any) -> Any:
        return x**2

    @loop.gradient
    def loop_dx(dy: Any, y: Any, x: Any) -> Any:
        dx = np.empty_like(x)
        for k in range(x.size):  # arbitrary Python on arrays, never on tensors
            dx.flat[k] = 2 * x.flat[k] * dy.flat[k]
        return dx

    x = mg.tensor([1.0, 2.0], requires_grad=True)
    (dx,) = mg.grad(loop(x).sum(), x, create_graph=True)
    np.testing.assert_array_equal(dx.data, [2, 4])
    with pytest.raises(NotImplementedError, match="loop is a primitive\\(once=True\\)"):
        mg.grad(dx.sum(), x)


@pytest.mark.parametrize("used", [[0, 1], [0], [1]])
def test_once_with_several_outputs_under_create_graph(used: list[int]) -> None:
    @mg.primitive(once=True)
    def square_and_cube(x: Any) -> Any:
        return x**2, x**3

    @square_and_cube.gradients
    def square_and_cube_dx(dy: Any, y: Any, x: Any) -> Any:
        return (
            sum(
                float(k) * d * np.power(x, k - 1)
                for k, d in zip((2, 3), dy, strict=True)
                if d is not None
            ),
        )

    x = mg.tensor(np.array([0.0, 2.0]), requires_grad=True)
    (dx,) = mg.grad(sum(square_and_cube(x)[k].sum() for k in used), x, create_graph=True)
    np.testing.assert_array_equal(dx.data, np.sum(np.array([[0, 4], [0, 12]])[used], axis=0))
    with pytest.raises(NotImplementedError, match="square_and_cube is a primitive\\(once=True\\)"):
        mg.grad(dx.sum(), x)


@pytest.fixture
def min_and_max() -> mg.Primitive:
    @mg.primitive
    def min_and_max(a: Any, b: Any) -> Any:
        return np.minimum(a, b), np.maximum(a, b)

    @min_and_max.gradients
    def min_and_max_dab(dy: Any, y: Any, a: Any, b: Any) -> Any:
        calls.append(dy)
        low, high = (np.zeros_like(a) if d is None else d for d in dy)
        return np.where(a < b, low, high), np.where(a < b, high, low)

    calls: list[Any] = []
    min_and_max.calls = calls  # type: ignore[attr-defined]
    return min_and_max


def test_several_outputs_share_one_call_of_the_rule(min_and_max: mg.Primitive) -> None:
    a, b = (mg.tensor(np.array(v), requires_grad=True) for v in ([1.0, 5.0], [3.0, 2.0]))
    low, high = min_and_max(a, b)
    da, db = mg.grad((low * 10 + high).sum(), [a, b])
    assert len(min_and_max.calls) == 1  # type: ignore[attr-defined]
    np.testing.assert_array_equal(da.data, [10, 1])
    np.testing.assert_array_equal(db.data, [1, 10])


@pytest.mark.parametrize("which", [0, 1])
def test_an_output_that_is_not_used_is_none(min_and_max: mg.Primitive, which: int) -> None:
    a, b = (mg.tensor(np.array(v), requires_grad=True) for v in ([1.0, 5.0], [3.0, 2.0]))
    (da,) = mg.grad(min_and_max(a, b)[which].sum(), a)
    (dy,) = min_and_max.calls  # type: ignore[attr-defined]
    assert dy[1 - which] is None
    np.testing.assert_array_equal(da.data, [1, 0] if which == 0 else [0, 1])


def test_each_sibling_is_a_step_and_a_changed_gradient_reaches_the_rule(
    min_and_max: mg.Primitive,
) -> None:
    a = mg.tensor(np.array([1.0, 5.0]), requires_grad=True)
    low, high = min_and_max(a, np.array([3.0, 2.0]))
    graph = mg.Graph((low + high).sum())
    nodes = []
    for step in graph.backward_steps():
        nodes.append(step.node)
        if step.node is high:
            step.grad = np.array([7.0, 7.0])
        if step.node is low:
            np.testing.assert_array_equal(step.input_grads[0], [1, 7])
    assert [sum(node is part for node in nodes) for part in (low, high)] == [1, 1]


def test_a_sibling_without_gradient_does_not_hide_the_others(min_and_max: mg.Primitive) -> None:
    a = mg.tensor(np.array([1.0, 5.0]), requires_grad=True)
    low, high = min_and_max(a, np.array([3.0, 2.0]))

    @mg.primitive
    def stop(x: Any) -> Any:
        return x

    @stop.gradient
    def stop_dx(dy: Any, y: Any, x: Any) -> None:
        return None

    (da,) = mg.grad((stop(low) + high).sum(), a)
    np.testing.assert_array_equal(da.data, [0, 1])


def test_several_outputs_under_create_graph() -> None:
    @mg.primitive
    def square_and_cube(x: Any) -> Any:
        return x**2, x**3

    @square_and_cube.gradients
    def square_and_cube_dx(dy: Any, y: Any, x: Any) -> Any:
        terms = [d * k * x ** (k - 1) for k, d in zip((2, 3), dy, strict=True) if d is not None]
        return (sum(terms),)

    x = mg.tensor(np.array(2.0), requires_grad=True)
    square, cube = square_and_cube(x)
    (d1,) = mg.grad(square + cube, x, create_graph=True)
    (d2,) = mg.grad(d1, x)
    assert (d1.item(), d2.item()) == (16, 14)


def test_a_rule_may_call_functions_of_tensors() -> None:
    @mg.primitive
    def swish(x: Any) -> Any:
        return x / (1 + np.exp(-x))

    @swish.gradient
    def swish_dx(dy: Any, y: Any, x: Any) -> Any:
        s = mg.sigmoid(x)
        return dy * (s + y * (1 - s))

    x = mg.tensor(np.linspace(-2, 2, 5), requires_grad=True)
    assert mg.gradcheck(swish, [x])
    assert mg.gradgradcheck(swish, [x])


def test_a_shared_array_returned_for_two_inputs_is_not_added_to_in_place() -> None:
    @mg.primitive
    def plus(a: Any, b: Any) -> Any:
        return a + b

    @plus.gradients
    def plus_dab(dy: Any, y: Any, a: Any, b: Any) -> Any:
        shared = dy * 1.0
        return shared, shared

    a, b = (mg.tensor(np.ones(2), requires_grad=True) for _ in range(2))
    da, db = mg.grad((plus(a, b) + a * 2 + a * 3).sum(), [a, b])
    np.testing.assert_array_equal(da.data, [6, 6])
    np.testing.assert_array_equal(db.data, [1, 1])
