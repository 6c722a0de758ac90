from __future__ import annotations

import itertools

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.backward import begin
from minigrad.debugger.session import FIRST_INTERVAL, MAX_SNAPSHOTS, Session


def lstm(steps: int = 40) -> mg.Graph:
    mg.seed(1)
    net = nn.LSTM(3, 4)
    xs = mg.tensor(
        np.random.default_rng(0).standard_normal((steps, 2, 3)), requires_grad=True, name="xs"
    )
    y, _ = net(xs)
    return mg.Graph((y**2).mean())


def expected(graph: mg.Graph) -> dict[str, np.ndarray]:
    pending = begin(graph)
    for _ in mg.backward.backward_steps(graph, pending):
        pass
    return {name: pending.grads[leaf].copy() for name, leaf in graph.parameters.items()}


def run(session: Session) -> dict[str, np.ndarray]:
    while next(session.steps, None):
        pass
    return {name: session.pending.grads[leaf] for name, leaf in session.graph.parameters.items()}


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_to_the_end_gives_bit_for_bit_the_gradients_of_backward() -> None:
    graph = lstm()
    assert same(run(Session(graph, begin(graph))), expected(graph))


@pytest.mark.parametrize("index", [0, 1, 130, 400, 650])
def test_going_back_finds_the_same_gradients_and_changes_nothing(index: int) -> None:
    graph = lstm()
    session = Session(graph, begin(graph))
    grads = []
    while (step := next(session.steps, None)) is not None and step.index < 660:
        grads.append(step.grad)
    session.go(index)
    assert session.step.index == session.index == index
    assert np.array_equal(session.step.grad, grads[index])
    session.go(index - 1 if index else 0)
    session.go(index + 5)
    assert same(run(session), expected(graph))
    session.go(index)  # and from beyond the end
    assert np.array_equal(session.step.grad, grads[index])
    assert same(run(session), expected(graph))


def test_rules_are_run_again_from_a_snapshot_not_from_the_start() -> None:
    runs = [0]

    @mg.primitive
    def counted(x):
        return x * 1.01

    @counted.gradient
    def counted_dx(dy, y, x):
        runs[0] += 1
        return dy * 1.01

    x = mg.tensor(1.0, requires_grad=True)
    for t in range(4000):
        with mg.time_step(t):
            x = counted(x)
    graph = mg.Graph(x)
    session = Session(graph, begin(graph))
    session.go(3900)
    assert len(session._snapshots) <= MAX_SNAPSHOTS
    runs[0] = 0
    session.go(3899)
    assert runs[0] <= 4000 / (MAX_SNAPSHOTS / 2)


def test_hooks_run_once_however_often_the_pass_comes_by() -> None:
    calls = []
    w, h = mg.tensor(2.0, requires_grad=True), mg.tensor(1.0)
    for t in range(4):
        with mg.time_step(t):
            h = w * h
            h.register_hook(lambda dh, t=t: calls.append(t) or dh * 10)
    graph = mg.Graph(h)
    session = Session(graph, begin(graph))
    session.go(3)
    session.go(0)
    assert same(run(session), expected(graph))
    assert calls == [3, 2, 1, 0] * 2  # once here, once in `expected`


def test_a_changed_gradient_stays_changed_after_going_back() -> None:
    w, h = mg.tensor(2.0, requires_grad=True, name="w"), mg.tensor(1.0)
    for t in range(4):
        with mg.time_step(t):
            h = w * h
    graph = mg.Graph(h)
    session = Session(graph, begin(graph))
    session.go(1)
    session.change(np.zeros((), np.float32))
    assert run(session)["w"] == 8  # only the last step's contribution: dh_3 * h_2
    session.go(0)
    assert run(session)["w"] == 8
    session.changes.clear()
    session.edit(session.graph)
    assert run(session)["w"] == 32
    with pytest.raises(ValueError, match="shape"):
        session.go(2)
        session.change(np.zeros(3))


def test_an_edit_leads_to_the_same_node_of_the_edited_pass() -> None:
    graph = lstm(10)
    session = Session(graph, begin(graph))
    session.go(60)
    node = session.step.node
    session.edit(graph.clip_edges(max_norm=1e-6))
    assert session.step.node is node
    clipped = run(session)
    assert same(clipped, expected(graph.clip_edges(max_norm=1e-6)))
    assert not same(clipped, expected(graph))


def test_higher_orders_are_walked_too() -> None:
    x = mg.tensor(3.0, requires_grad=True)
    graph = mg.Graph(x * x * x)
    session = Session(graph, begin(graph, create_graph=True))
    session.go(1)
    session.go(0)
    while next(session.steps, None):
        pass
    (dx,) = [session.pending.grads[x]]
    assert mg.grad(dx, x)[0].item() == 18


def test_snapshots_are_few_however_long_the_pass_is(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    take = Session._take_snapshot
    monkeypatch.setattr(
        Session, "_take_snapshot", lambda self, step: (taken.append(step.index), take(self, step))
    )
    for steps in (100, 200):
        taken.clear()
        graph = lstm(steps)
        run(Session(graph, begin(graph)))
        assert 4 < len(taken) <= 2 * MAX_SNAPSHOTS
        assert min(b - a for a, b in itertools.pairwise(taken)) >= FIRST_INTERVAL


def test_after_an_interruption_the_loop_goes_on_from_where_the_pass_stood() -> None:
    graph = lstm(10)
    session = Session(graph, begin(graph))
    for index in (-1, 0, 50):
        session.go(index)
        with pytest.raises(KeyboardInterrupt):
            session.steps.throw(KeyboardInterrupt)
        session.recover()
        assert session.index == index
    assert same(run(session), expected(graph))
