from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.backward import backward_steps, begin


def recurrence() -> tuple[mg.Tensor, mg.Tensor, mg.Graph]:
    rng = np.random.default_rng(0)
    W = mg.tensor(rng.standard_normal((3, 3)), requires_grad=True, name="W")
    b = mg.tensor(np.zeros(3), requires_grad=True, name="b")
    h = mg.tensor(rng.standard_normal((2, 3)))
    for t in range(4):
        with mg.time_step(t):
            h = np.tanh(h @ W + b)
    return W, b, mg.Graph((h * h).sum())


def test_bptt_emerges_from_the_graph() -> None:
    W, b, graph = recurrence()
    graph.backward()
    dW, db = np.zeros((3, 3)), np.zeros(3)  # the same by hand
    hs = [
        next(n for n in graph.leaves if n.shape == (2, 3)).data,
        *[n.data for n in graph.find(name="h")][-4:],
    ]
    dh = 2 * hs[-1]
    for h_prev, h in zip(hs[-2::-1], hs[:0:-1], strict=True):
        da = dh * (1 - h * h)
        dW += h_prev.T @ da
        db += da.sum(0)
        dh = da @ W.data.T
    np.testing.assert_allclose(W.grad.data, dW, rtol=1e-12)
    np.testing.assert_allclose(b.grad.data, db, rtol=1e-12)


def gated() -> tuple[dict[str, mg.Tensor], mg.Graph]:
    """Operations of one, two and more inputs, with constants, several outputs and broadcasting."""
    rng = np.random.default_rng(1)
    W = mg.tensor(rng.standard_normal((3, 6)), requires_grad=True, name="W")
    b = mg.tensor(rng.standard_normal(6), requires_grad=True, name="b")
    h = mg.tensor(rng.standard_normal((2, 3)))
    for t in range(3):
        with mg.time_step(t):
            z, a = np.split(h @ W + b, 2, axis=1)
            h = np.where(a.data > 0, mg.sigmoid(z) * np.tanh(a), h) / (1 + h.mean())
    return {"W": W, "b": b}, mg.Graph(np.concatenate([h, h * h]).sum())


def test_a_pass_that_is_looked_at_gives_the_same_bits() -> None:
    parameters, graph = gated()
    graph.backward()
    looked_at = begin(graph)
    for step in backward_steps(graph, looked_at):
        assert len(step.input_grads) == len(step.inputs)
    for x in parameters.values():
        assert x.grad is not None
        np.testing.assert_array_equal(x.grad.data, looked_at.grads[x])


def test_rules_that_are_written_out_give_what_the_loop_over_all_rules_gives() -> None:
    parameters, graph = gated()
    graph.backward()
    table = begin(graph)
    table.guards = True  # now every rule runs in `GradTable._any_rules`
    for _ in backward_steps(graph, table):
        pass
    for x in parameters.values():
        assert x.grad is not None
        np.testing.assert_array_equal(x.grad.data, table.grads[x])


def test_a_step_is_yielded_before_its_rule_runs() -> None:
    log: list[str] = []

    @mg.primitive
    def twice(x: Any) -> Any:
        return 2 * x

    @twice.gradient
    def twice_dx(dy: Any, y: Any, x: Any) -> Any:
        log.append("rule")
        return 2 * dy

    x = mg.tensor(1.0, requires_grad=True)
    for step in mg.Graph(twice(twice(x))).backward_steps():
        log.append(f"step {step.index}")
        if step.index == 0:
            assert step.input_grads[0] == 2
            assert step.input_grads[0] == 2
            log.append("looked")
    assert log == ["step 0", "rule", "looked", "step 1", "rule"]


def test_every_node_that_needs_a_gradient_gives_exactly_one_step() -> None:
    _, _, graph = recurrence()
    visited = [step.node for step in graph.backward_steps()]
    assert visited == [n for n in reversed(graph.nodes) if n.op is not None and n.requires_grad]


def test_steps_never_write_grad_and_stopping_midway_writes_nothing() -> None:
    W, b, graph = recurrence()
    for step in graph.backward_steps():
        if step.t == 1:
            break
    for _ in graph.backward_steps():
        pass
    assert W.grad is None
    assert b.grad is None


def test_an_assigned_gradient_goes_on() -> None:
    x = mg.tensor(1.0, requires_grad=True)
    h = x * 3
    graph = mg.Graph(h * 2)
    seen = {}
    for step in graph.backward_steps():
        if step.node is h:
            assert step.input_grads[0] == 6
            step.grad = 100.0
            seen["dx"] = step.input_grads[0]
    assert seen["dx"] == 300
    with pytest.raises(ValueError, match=r"gradient of shape \(\) is needed, found \(2,\)"):
        for step in graph.backward_steps():
            step.grad = np.ones(2)


def test_gradients_are_read_only_and_an_exposed_one_never_changes() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    h = x * 2
    seen = []
    for step in mg.Graph((h * 3 + h * 4 + h * 5).sum()).backward_steps():
        for g in (step.grad, *(d for d in step.input_grads if d is not None)):
            with pytest.raises(ValueError, match="read-only"):
                g[...] = 0
            seen.append((g, g.copy()))
    for now, then in seen:
        np.testing.assert_array_equal(now, then)


def test_leaves_accumulate_and_a_second_backward_is_exact() -> None:
    w = mg.tensor(3.0, requires_grad=True)
    loss = w * w
    loss.backward()
    first = w.grad
    loss.backward()
    assert w.grad.item() == 12
    assert first.item() == 6


def test_interior_nodes_keep_gradients_only_on_request_and_never_add() -> None:
    w = mg.tensor(3.0, requires_grad=True)
    h = w * 2
    loss = h * h
    loss.backward()
    assert h.grad is None
    for _ in range(2):
        loss.backward(retain_grads=True)
        assert h.grad.item() == 12
    assert w.grad.item() == 72


def test_broadcasting_is_undone_everywhere() -> None:
    a = mg.tensor(np.ones((3, 1, 2)), requires_grad=True)
    b = mg.tensor(np.ones((4, 1)), requires_grad=True)
    c = mg.tensor(np.array(2.0), requires_grad=True)
    (a * b + c).sum().backward()
    assert (a.grad.shape, b.grad.shape, c.grad.shape) == ((3, 1, 2), (4, 1), ())
    assert c.grad.item() == 24
    np.testing.assert_array_equal(a.grad.data, np.full((3, 1, 2), 4))


def test_a_gradient_has_its_inputs_dtype() -> None:
    a = mg.tensor(np.ones(2, np.float32), requires_grad=True)
    b = mg.tensor(np.ones(2, np.float64), requires_grad=True)
    (a * b).sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)


@pytest.mark.parametrize(
    ("make", "seed", "message"),
    [
        (
            lambda x: x * 2,
            None,
            r"x \* 2 has shape \(2,\); reduce it with \.mean\(\) or \.sum\(\), or pass grad=",
        ),
        (lambda x: x * 2, np.ones(3), r"x \* 2 has shape \(2,\), and grad= has shape \(3,\)"),
        (lambda x: x * 2, np.array([1.0, np.nan]), "holds NaN or infinity"),
        (lambda x: (x * 2).sum(), np.inf, "holds NaN or infinity"),
        (
            lambda x: (x.detach() * 2).sum(),
            None,
            "does not depend on any tensor that requires grad",
        ),
    ],
)
def test_where_a_pass_may_start(make: Any, seed: Any, message: str) -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = make(x)
    with pytest.raises(ValueError, match=message):
        y.backward(seed)
    assert x.grad is None


def test_a_failing_pass_changes_nothing() -> None:
    @mg.primitive
    def fragile(x: Any) -> Any:
        return x * 1

    @fragile.gradient
    def fragile_dx(dy: Any, y: Any, x: Any) -> Any:
        raise ZeroDivisionError("in the rule")

    w, v = mg.tensor(1.0, requires_grad=True), mg.tensor(1.0, requires_grad=True)
    with mg.time_step(3), mg.scope("cell"):
        h = fragile(w)
    loss = h + v
    v.grad = np.array(7.0)
    with pytest.raises(ZeroDivisionError, match="in the rule") as caught:
        loss.backward(retain_grads=True)
    note = caught.value.__notes__[0]
    assert "in the backward pass of fragile(()) -> () at t = 3" in note
    assert "scope cell" in note
    assert "h = fragile(w)" in note
    assert (w.grad, v.grad.item(), h.grad) == (None, 7, None)


def test_several_outputs_each_with_its_seed() -> None:
    x = mg.tensor(2.0, requires_grad=True)
    a, b = x * 3, x * x
    mg.Graph(a, b).backward((10.0, 1.0))
    assert x.grad.item() == 34
    with pytest.raises(ValueError, match="one for each of the 2 outputs is needed, found 3"):
        mg.Graph(a, b).backward((1, 2, 3))
    mg.Graph(a, a).backward((1.0, 1.0))
    assert x.grad.item() == 40


def test_grad_of_interior_inputs_and_unused_ones() -> None:
    x, y = mg.tensor(2.0, requires_grad=True), mg.tensor(2.0, requires_grad=True)
    h = x * 3
    dh, dx = mg.grad(h * h, [h, x])
    assert (dh.item(), dx.item()) == (12, 36)
    assert mg.grad(h, [y, h], allow_unused=True)[0] is None
    with pytest.raises(
        ValueError, match="no gradient for input number 0.*the outputs do not depend on it"
    ):
        mg.grad(h, y)
    with pytest.raises(ValueError, match="it does not require grad"):
        mg.grad(h, mg.tensor(1.0))
    assert x.grad is None


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_create_graph_to_any_order(order: int) -> None:
    x = mg.tensor(np.array(0.7), requires_grad=True)
    y: Any = np.tanh(x)
    for _ in range(order):
        (y,) = mg.grad(y, x, create_graph=True)
    t = np.tanh(0.7)
    s = 1 - t * t
    expected = {1: s, 2: -2 * t * s, 3: -2 * s * (1 - 3 * t * t), 4: 8 * t * s * (2 - 3 * t * t)}[
        order
    ]
    assert y.item() == pytest.approx(expected, rel=1e-12)


def test_under_create_graph_all_contributions_to_a_node_join_in_one() -> None:
    x = mg.tensor(np.ones(4), requires_grad=True)
    y = (x[:2] * x[2:] + x[1:3]).sum()
    (dx,) = mg.grad(y, x, create_graph=True)
    assert dx.op.name == "add_up"
    assert len(dx.inputs) == 3
    (d2,) = mg.grad((dx * dx).sum(), x)
    (want,) = mg.grad(((x[2:] ** 2).sum() + (x[:2] ** 2).sum() + 2 * x[3] + 2 * x[0]), x)
    np.testing.assert_allclose(d2.data, want.data)


def test_traced_steps_stand_at_the_time_and_scope_of_their_node() -> None:
    w, h = mg.tensor(0.5, requires_grad=True), mg.tensor(1.0)
    for t in range(3):
        with mg.time_step(t), mg.scope("cell"):
            h = np.tanh(w * h)
    (dw,) = mg.grad(h, w, create_graph=True)
    backward = [n for n in mg.Graph(dw).nodes if n.scope == "cell.backward"]
    assert {n.t for n in backward} == {0, 1, 2}
    assert all(n._scope.node.t == n.t for n in backward)


def test_masks_are_nodes_while_a_pass_is_traced() -> None:
    x = mg.tensor([1.0, -1.0], requires_grad=True)
    (dx,) = mg.grad(mg.relu(x).sum(), x, create_graph=True)
    names = {node.op.name for node in mg.Graph(dx).nodes if node.op}
    assert names & {"greater", "less", "where"}


def test_a_new_axis_by_none_is_differentiated_twice() -> None:
    x = mg.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    (dx,) = mg.grad((x[None] ** 3).sum(), x, create_graph=True)
    (d2,) = mg.grad(dx.sum(), x)
    np.testing.assert_allclose(d2.data, 6 * x.data)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("f", "at", "slope"),
    [
        (lambda p: p * np.log(p), [0.0, 0.5], [0.0, np.log(0.5) + 1]),
        (np.sqrt, [-1.0, 4.0], [0.0, 0.25]),
        (lambda p: p**0.5, [-1.0, 4.0], [0.0, 0.25]),
        (lambda p: 1 / p, [0.0, 2.0], [0.0, -0.25]),
        (lambda p: np.exp(1 / p) * p, [0.0, 2.0], [0.0, np.exp(0.5) * 0.5]),
    ],
)
def test_what_where_hides_has_no_gradient_to_second_order(
    f: Any, at: list[float], slope: list[float]
) -> None:
    p = mg.tensor(np.array(at), requires_grad=True)
    (dp,) = mg.grad(np.where(p.data > 0, f(p), 0).sum(), p, create_graph=True)
    np.testing.assert_allclose(dp.data, slope)
    (d2,) = mg.grad(dp.sum(), p)
    assert np.isfinite(d2.data).all()


def test_a_nan_that_nothing_hides_stays() -> None:
    p = mg.tensor(np.array([0.0, 0.5]), requires_grad=True)
    with np.errstate(all="ignore"):
        hidden = np.where(p.data > 0, p * np.log(p), 0)
        (dp,) = mg.grad(hidden.sum() + np.sqrt(p - 0.25).sum(), p)
    assert np.isnan(dp.data[0])
    assert np.isfinite(dp.data[1])


def test_gradients_of_an_indexing_are_whole_and_locked() -> None:
    x = mg.tensor(np.ones((3, 2)), requires_grad=True)
    (dx,) = next(
        step for step in mg.Graph(x[1].sum()).backward_steps() if step.node.op.name == "getitem"
    ).input_grads
    np.testing.assert_array_equal(dx, [[0, 0], [1, 1], [0, 0]])
    with pytest.raises(ValueError, match="read-only"):
        dx[0] = 1


def test_one_output_takes_its_gradient_bare_or_in_a_sequence() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    (dx,) = mg.grad([x.sum()], [x], [mg.tensor(3.0)])
    assert dx.tolist() == [3, 3]
    (dx,) = mg.grad(x * 1, x, [4.0, 5.0])
    assert dx.tolist() == [4, 5]
