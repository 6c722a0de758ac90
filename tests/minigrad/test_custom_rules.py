"""Rules that are wrong are told by name; hooks are counted; passes are all or nothing."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad.primitive import registry
from tests.counting import interrupted


@pytest.fixture(autouse=True)
def _registry():
    before = dict(registry)
    yield
    registry.clear()
    registry.update(before)


def operation(rule, forward=lambda x: x * 1.0):
    def scaled(x):
        return forward(x)

    op = mg.primitive(scaled)
    op.gradient(rule)
    return op


def forgetful(dy, y, x):
    dy * 2


def forgetful_in_a_branch(dy, y, x):  # noqa: RET503
    if dy.sum() > 1e9:
        return dy
    dy.sum()


def zero_on_purpose(dy, y, x):
    return None


def too_many(dy, y, x):
    return np.ones((3, 2)) * dy


def three(dy, y, x):
    return np.ones(3)


def mask(dy, y, x):
    return x > 0


def half(dy, y, x):
    return dy[:1]


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    ("rule", "x", "message"),
    [
        (forgetful, [1.0, 2.0], "forgetful returned nothing; write return dx"),
        (forgetful_in_a_branch, [1.0, 2.0], "forgetful_in_a_branch returned nothing"),
        (too_many, [1.0, 2.0], r"too_many returned a gradient of shape \(3, 2\)"),
        (three, 1.0, r"three returned a gradient of shape \(3,\) for an input of shape \(\)"),
        (mask, [1.0, 2.0], "mask returned a gradient of dtype bool; write a mask as dy"),
        (half, [1.0, 2.0], r"half returned a gradient of shape \(1,\)"),
    ],
)
def test_a_rule_that_is_wrong_is_named(rule, x, message, create_graph):
    w = mg.tensor(x, requires_grad=True)
    loss = operation(rule)(w).sum()
    with pytest.raises((TypeError, ValueError), match=message):
        loss.backward(create_graph=create_graph)
    assert w.grad is None


def test_none_on_purpose_is_zero():
    w = mg.tensor([1.0], requires_grad=True)
    (operation(zero_on_purpose)(w) + w).sum().backward()
    assert w.grad.tolist() == [1]


def test_shapes_are_undone_along_the_axes_that_the_forward_broadcast():
    @mg.primitive
    def scale_rows(a, b):
        return a * b

    @scale_rows.gradient
    def scale_rows_da(dy, y, a, b):
        return dy * b

    @scale_rows.gradient
    def scale_rows_db(dy, y, a, b):
        return dy * a

    b = mg.tensor([1.0, 2.0], requires_grad=True)
    c = mg.tensor(3.0, requires_grad=True)
    scale_rows(np.ones((3, 2)), b).sum().backward()
    scale_rows(np.ones((3, 2)), c).sum().backward()
    assert b.grad.tolist() == [3, 3]
    assert c.grad.item() == 6


def test_rules_of_several_inputs_say_whose_they_are():
    @mg.primitive
    def ratio(a, b):
        return a / b

    with pytest.raises(
        TypeError, match="first: which input of ratio is it for.*ratio_da, ratio_db"
    ):

        @ratio.gradient
        def first(dy, y, a, b):
            return dy / b


def test_a_hook_registered_twice_is_two_hooks():
    w = mg.tensor([1.0], requires_grad=True)

    def double(grad):
        return grad * 2

    first, second = w.register_hook(double), w.register_hook(double)
    assert mg.grad((w * 1).sum(), w)[0].tolist() == [4]
    first.remove()
    first.remove()
    assert mg.grad((w * 1).sum(), w)[0].tolist() == [2]
    second.remove()
    assert mg.grad((w * 1).sum(), w)[0].tolist() == [1]


# all or nothing


def changed(leaves, before):
    return [leaf.grad is not grad for leaf, grad in zip(leaves, before, strict=True)]


@pytest.mark.parametrize("retain", [False, True])
def test_backward_is_all_or_nothing_at_every_line(retain):
    leaves = [mg.tensor([1.0 + k], requires_grad=True) for k in range(4)]
    hidden = leaves[0] * leaves[1]
    loss = (hidden * leaves[2] + leaves[3]).sum()
    loss.backward(retain_grads=retain)
    watched = [*leaves, hidden] if retain else leaves
    at, states = 1, set()
    while True:
        before = [leaf.grad for leaf in watched]
        came = interrupted(lambda: mg.Graph(loss).backward(retain_grads=retain), at)
        now = changed(watched, before)
        assert len(set(now)) == 1, f"half committed at line event {at}: {now}"
        states.add(now[0])
        if not came:
            break
        at += 1
    assert at > 50
    assert states == {True, False}


@pytest.mark.parametrize("clip", [mg.clip_grad_norm_, mg.clip_grad_value_])
def test_clipping_is_all_or_nothing_at_every_line(clip):
    leaves = [mg.tensor([1.0], requires_grad=True) for _ in range(4)]
    at, came = 1, True
    while came:
        for k, leaf in enumerate(leaves):
            leaf.grad = [3.0 + k]
        before = [leaf.grad for leaf in leaves]
        came = interrupted(lambda: clip(leaves, 0.5), at)
        assert len(set(changed(leaves, before))) == 1
        at += 1
    assert all(changed(leaves, before))


def test_overflow_that_raises_and_warnings_that_are_errors_leave_nothing_behind():
    a, b = (mg.tensor(np.array([1.0]), requires_grad=True) for _ in range(2))
    a.grad, b.grad = [0.0], [1.7e308]
    loss = (a + b * 1.7e308).sum()
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        loss.backward()
    assert (a.grad.item(), b.grad.item()) == (0, 1.7e308)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="overflow"):
            loss.backward()
    assert (a.grad.item(), b.grad.item()) == (0, 1.7e308)
