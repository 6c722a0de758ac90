"""`mg.explain` names the operation, the time step and the line where a gradient became what it is."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg


def unrolled(w, spoil=None, T=5):
    h = w
    for t in range(T):
        with mg.time_step(t):
            h = spoil(h) if spoil and t == 2 else h * w
    return h


@pytest.mark.parametrize(
    ("spoil", "kind", "op"),
    [
        (lambda h: np.sqrt(h * 0), "nan", "multiply"),
        (lambda h: np.sqrt(h), "infinite", "sqrt"),
        (lambda h: mg.relu(-h), "zero", "relu"),
        (lambda h: h * 1e6, "huge", "multiply"),
    ],
)
def test_the_culprit_its_step_and_its_line(spoil, kind, op):
    with np.errstate(all="ignore"):
        h = mg.tensor(
            [0.0, 0.5] if kind == "infinite" else [0.5, 0.5], requires_grad=True, name="h_init"
        )
        w = mg.tensor([1.0, 1.0])
        state = h
        for t in range(5):
            with mg.time_step(t):
                state = spoil(state) if t == 2 else state * w
        found = mg.explain(h, state.sum())
    assert found.kind == kind
    assert found.culprit.node.op.name == op
    assert found.culprit.t == 2
    assert f"{found.culprit.node.source}" in str(found)
    assert found.path[0].node.op.name == "sum"
    assert len(found.path) >= 6
    assert h.grad is None


def test_no_gradient_at_all():
    x, y = mg.tensor(2.0, requires_grad=True, name="x"), mg.tensor(3.0, requires_grad=True)
    assert mg.explain(x, y * 2).text.startswith(
        "the gradient of x is None: no recorded operation leads from it"
    )
    assert mg.explain(mg.tensor(1.0), y * 2).kind == "none"
    assert "does not require grad" in mg.explain(mg.tensor(1.0), y * 2).text


def test_contributions_that_cancel_are_said_to():
    x = mg.tensor(2.0, requires_grad=True, name="x")
    y = x * 3
    assert "the contributions to y cancel" in mg.explain(x, (y - y) * 2).text
    assert "the contributions to x cancel" in mg.explain(x, x * 3 - x * 3).text


def test_a_healthy_gradient_and_the_last_backward_pass():
    w = mg.tensor([0.5, 2.0], requires_grad=True, name="w")
    loss = unrolled(w).sum()
    loss.backward()
    found = mg.explain(w)
    assert found.kind == "finite"
    assert found.norm == pytest.approx(float(np.linalg.norm(w.grad.data)))
    assert str(found) == str(mg.explain(w, mg.Graph(loss)))
    del loss, found
    with pytest.raises(ValueError, match=r"write explain\(x, loss\)"):
        mg.explain(w)


def test_values_behind_the_culprit_are_shown():
    x = mg.tensor([0.0, 4.0], requires_grad=True, name="x")
    with np.errstate(divide="ignore"):
        text = mg.explain(x, np.sqrt(x).sum()).text
    assert "infinite (2 operations from the loss): first so at sqrt" in text
    assert text.endswith("x: 0 to 4")


def test_ten_thousand_steps_without_recursion():
    h = w = mg.tensor(1.0, requires_grad=True, name="w")
    for t in range(10_000):
        with mg.time_step(t):
            h = h * 1.0
    assert len(mg.explain(w, h).path) == 10_000


def test_swapped_arguments_are_told():
    x = mg.tensor(2.0, requires_grad=True, name="x")
    loss = x * x
    assert "swapped?  write explain(x, loss)" in mg.explain(loss, x).text
    other = mg.tensor(1.0, requires_grad=True)
    assert "no recorded operation leads from it" in mg.explain(other, loss).text
