from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref

import numpy as np
import pytest

import minigrad as mg


def toy(steps: int = 3) -> tuple[mg.Tensor, mg.Tensor]:
    w, h = mg.tensor(0.2, requires_grad=True, name="w"), mg.tensor(0.9)
    for t in range(steps):
        with mg.time_step(t):
            h = w * h
    return w, h


def test_the_teachers_graph() -> None:
    w, h = toy()
    graph = mg.Graph(h)
    assert repr(graph) == "Graph: 3 time steps, 3 operations, 1 parameter: w () used 3 times"
    assert len(graph) == 5
    assert graph.parameters == {"w": w}
    assert graph.time_steps == (0, 1, 2)
    assert [node.item() for node in graph.find(name="h", t=1)] == [pytest.approx(0.036)]
    assert [edge.target.t for edge in graph.state_edges] == [1, 2]
    assert all(edge.target.inputs[edge.position] is edge.source for edge in graph.edges)
    assert len(set(graph.edges)) == 6


def test_nodes_are_inputs_before_users_and_the_same_every_time() -> None:
    _, h = toy(6)
    loss = (h * h + h).sum()
    graph = mg.Graph(loss)
    place = {node: k for k, node in enumerate(graph.nodes)}
    assert all(place[edge.source] < place[edge.target] for edge in graph.edges)
    assert mg.Graph(loss).nodes == graph.nodes


def test_leaves_and_parameters_with_colliding_names() -> None:
    first = mg.tensor(1.0, requires_grad=True, name="W")
    second = mg.tensor(1.0, requires_grad=True, name="W")
    graph = mg.Graph(first * second * 2.0)
    assert list(graph.parameters) == ["W", "W_2"]
    assert len(graph.leaves) == 3


def test_find_and_at() -> None:
    x = mg.tensor([1.0], requires_grad=True)
    with mg.scope("enc"), mg.scope("cell"), mg.time_step(0, axis="words"):
        a = np.tanh(x)
    with mg.scope("encoder"), mg.time_step(0, axis="letters"):
        b = np.tanh(a)
    graph = mg.Graph(b)
    assert graph.find(op="tanh") == (a, b)
    assert graph.find(scope="enc") == (a,)
    assert graph.find(scope="enc.cell", op="tanh", name="a") == (a,)
    assert graph.at(0) == (a, b)
    assert graph.at(0, axis="letters") == (b,)
    assert list(graph.axes) == ["words", "letters"]
    with pytest.raises(
        KeyError, match="axis 'chars' is not in the graph; its axes: words, letters"
    ):
        graph.at(0, axis="chars")


def test_labels_name_variable_role_expression_op() -> None:
    from minigrad import naming

    xs = mg.tensor(np.ones((2, 1, 1)), requires_grad=True)
    W = mg.tensor(np.ones((1, 1)), requires_grad=True, name="W_xh")
    for _, x in mg.timesteps(xs):
        h = np.tanh(x @ W + 1)
    graph = mg.Graph(h)
    assert [naming.label(graph, n) for n in graph.nodes] == [
        "xs",
        "W_xh",
        "x",
        "x @ W",
        "constant",
        "x @ W + 1",
        "h",
    ]


def test_state_edges_leave_out_the_sum_of_losses() -> None:
    w, h, loss = mg.tensor(0.5, requires_grad=True), mg.tensor([1.0, 2.0]), mg.tensor(0.0)
    states = []
    for t in range(4):
        with mg.time_step(t):
            h = np.tanh(w * h)
            states.append(h)
            loss = loss + (h * h).mean() * 0.5
    graph = mg.Graph(loss / 4)
    assert {edge.source for edge in graph.state_edges} == set(states[:-1])


def test_a_plain_linear_recurrence_is_state() -> None:
    h = mg.tensor(np.ones(2), requires_grad=True)
    for t in range(3):
        with mg.time_step(t):
            h = 0.5 * h
    assert len(mg.Graph(h.sum()).state_edges) == 2


def test_edges_between_axes_are_not_state() -> None:
    w = mg.tensor(0.5, requires_grad=True)
    hs = []
    for t in range(3):
        with mg.time_step(t, axis="encoder"):
            hs.append(w * (hs[-1] if hs else 1.0) + (hs[0] if t == 2 else 0.0))
    with mg.time_step(0, axis="decoder"):
        s = w * hs[1] * hs[2]
    graph = mg.Graph(s)
    assert [(e.source, e.target.t) for e in graph.state_edges] == [
        (hs[0], 1),
        (hs[1], 2),
        (hs[0], 2),
    ]


def test_a_crossing_joins_all_edges_from_one_source_into_one_step() -> None:
    w, h = mg.tensor(0.5, requires_grad=True), mg.tensor(1.0)
    for t in range(3):
        with mg.time_step(t):
            gate = mg.sigmoid(w * h)
            h = gate * h
    graph = mg.Graph(h)
    assert len(graph.state_edges) == 4
    assert [len(edges) for edges in graph.crossings.values()] == [2, 2]


def test_a_loss_loop_over_the_same_steps_shares_their_positions() -> None:
    w, h, hs = mg.tensor(0.5, requires_grad=True), mg.tensor(1.0), []
    for t in range(3):
        with mg.time_step(t):
            h = np.tanh(w * h)
            hs.append(h)
    loss = mg.tensor(0.0)
    for t in range(3):
        with mg.time_step(t):
            loss = loss + hs[t] ** 2
    graph = mg.Graph(loss)
    assert graph.time_steps == (0, 1, 2)
    assert {(edge.source.t, edge.target.t) for edge in graph.state_edges} == {(0, 1), (1, 2)}


def test_graph_needs_tensors() -> None:
    with pytest.raises(TypeError, match="tensors are needed, found nothing"):
        mg.Graph()
    with pytest.raises(TypeError, match="found float"):
        mg.Graph(1.0)  # type: ignore[arg-type]


# size and memory


def test_ten_thousand_steps_without_recursion() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200 + len(__import__("inspect").stack()))
    gc.disable()
    try:
        w, h = toy(10_000)
        graph = mg.Graph(h)
        assert (
            repr(graph)
            == "Graph: 10000 time steps, 10000 operations, 1 parameter: w () used 10000 times"
        )
        assert sum(1 for _ in graph.backward_steps()) == 10_000
        graph.backward()
        watch = weakref.ref(graph.nodes[5_000])
        del graph, h
        assert watch() is None
    finally:
        gc.enable()
        sys.setrecursionlimit(limit)
    assert w.grad is not None


def test_dropping_the_loss_frees_everything_without_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        w = mg.tensor(np.ones(3), requires_grad=True)
        a, b = np.split(mg.tensor(np.ones(6), requires_grad=True) * 2, 2)
        loss = (np.tanh(w * a) + b[1:].sum()).sum()
        loss.backward()
        mg.Graph(loss).backward()
        list(mg.Graph(loss).backward_steps())
        watched = [weakref.ref(node) for node in mg.Graph(loss).nodes if node is not w]
        del loss, a, b
        assert [ref() for ref in watched if ref() is not None] == []
    finally:
        gc.enable()


def test_create_graph_leaves_one_documented_cycle_that_clearing_the_gradient_breaks() -> None:
    gc.disable()
    try:
        w = mg.tensor(2.0, requires_grad=True)
        loss = w * w * w
        watch = weakref.ref(loss)
        loss.backward(create_graph=True)
        del loss
        w.grad = None
        assert watch() is None
    finally:
        gc.enable()


def peak(steps: int) -> int:
    xs = mg.tensor(np.ones((steps, 8)), requires_grad=True)
    tracemalloc.start()
    total = mg.tensor(0.0)
    for t in range(steps):
        total = total + xs[t].sum()
    total.backward()
    size = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert xs.grad is not None
    return size


def test_slicing_one_tensor_in_a_loop_is_linear_in_memory() -> None:
    small, large = peak(200), peak(2_000)
    assert large < 13 * small  # quadratic would be 100 times


@pytest.mark.parametrize("steps", [10, 100, 1_000])
def test_rule_calls_are_linear_in_time(steps: int) -> None:
    calls = 0

    @mg.primitive
    def cell(x: object, h: object) -> object:
        return np.tanh(x + h)  # type: ignore[operator]

    @cell.gradients
    def cell_dxh(dy: object, y: object, x: object, h: object) -> object:
        nonlocal calls
        calls += 1
        dx = dy * (1 - y * y)  # type: ignore[operator]
        return dx, dx

    h = mg.tensor(0.0)
    for _, x in mg.timesteps(mg.tensor(np.ones(steps), requires_grad=True)):
        h = cell(x, h)
    h.backward()
    assert calls == steps


def test_the_steps_of_several_axes_come_axis_by_axis() -> None:
    w, out = mg.tensor(0.5, requires_grad=True), []
    for reverse in (False, True):
        h = mg.tensor(1.0)
        for _, x in mg.timesteps(
            np.ones(3), axis="backward" if reverse else "forward", reverse=reverse
        ):
            h = np.tanh(w * h + x)
        out.append(h)
    forward, backward = out
    assert mg.Graph(forward + backward).time_steps == (0, 1, 2)
    assert mg.Graph(backward).time_steps == (2, 1, 0)


def test_bare_steps_inside_any_block_are_one_axis() -> None:
    w, h = mg.tensor(0.2, requires_grad=True), mg.tensor(0.9)
    for t in range(3):
        with mg.scope("cell"), mg.time_step(t):
            h = w * h
    graph = mg.Graph(h)
    assert list(graph.axes) == ["time"]
    assert len(graph.state_edges) == 2


def test_steps_without_a_node_leave_no_hole() -> None:
    w, h = mg.tensor(0.2, requires_grad=True), mg.tensor(0.9)
    for t in range(5):
        with mg.time_step(t):
            h = w * h if t % 2 == 0 else h
    graph = mg.Graph(h)
    assert graph.time_steps == (0, 2, 4)
    assert [graph.place(node)[0][1] for node in graph.find(op="multiply")] == [0, 1, 2]
    assert len(graph.state_edges) == 2


def test_a_loss_that_goes_through_a_function_at_the_end_is_still_no_state() -> None:
    w, h, loss = mg.tensor(0.5, requires_grad=True), mg.tensor(np.zeros(2)), mg.tensor(0.0)
    for _, x in mg.timesteps(np.ones((6, 2))):
        h = np.tanh(w * h + x)
        loss = loss + ((h - 0.3) ** 2).sum()
    assert {edge.source.shape for edge in mg.Graph(np.sqrt(loss / 6)).state_edges} == {(2,)}


def test_losses_of_two_axes_are_no_state() -> None:
    w, h, loss = mg.tensor(0.5, requires_grad=True), mg.tensor(np.zeros((3, 2))), 0.0
    for _, x in mg.timesteps(np.ones((5, 3, 2))):
        h = np.tanh(w * h + x)
        loss = loss + (h.sum(axis=1, keepdims=True) - 1.0) ** 2
    assert len(mg.Graph(loss.mean()).state_edges) == 4


def test_a_residual_state_is_state_to_its_last_edge() -> None:
    w, h = mg.tensor(0.5, requires_grad=True), mg.tensor(0.3)
    for t in range(6):
        with mg.time_step(t):
            h = h + 0.1 * np.tanh(w * h)
    assert {edge.target.t for edge in mg.Graph(h).state_edges} == {1, 2, 3, 4, 5}
    assert {step.t for step in mg.Graph(h).truncate(1).backward_steps()} == {5}


@pytest.mark.parametrize("style", ["scaled", "one number", "added"])
def test_a_recurrence_that_only_scales_or_adds_carries_state(style: str) -> None:
    rng = np.random.default_rng(0)
    U, h = mg.tensor(np.eye(4), requires_grad=True), mg.tensor(np.zeros((2, 4)), requires_grad=True)
    h = mg.tensor(1.0, requires_grad=True) if style == "one number" else h
    for _t, x in mg.timesteps(rng.standard_normal((6, 2, 4))):
        if style == "added":
            h = h + np.tanh(x @ U)
        elif style == "one number":
            h = 0.5 * h + x[0, 0]
        else:
            h = 0.5 * h + x
    graph = mg.Graph(h.sum())
    assert len(graph.state_edges) == 5
    if style != "added":
        np.testing.assert_allclose(graph.gradient_flow()["h"].ratio[:-1], 0.5, rtol=1e-6)
    with pytest.warns(UserWarning, match="no gradient reaches h"):
        graph.truncate(1)


def test_a_list_of_losses_that_grows_is_no_state() -> None:
    w, h, losses = mg.tensor(0.5, requires_grad=True), mg.tensor(np.ones(3)), mg.tensor(np.zeros(1))
    for _t, x in mg.timesteps(np.ones((5, 3))):
        h = np.tanh(h * w + x)
        losses = np.concatenate([losses, (h**2).mean(keepdims=True)])
    assert {edge.source.shape for edge in mg.Graph(losses.sum()).state_edges} == {(3,)}
    assert len(mg.Graph(losses.sum()).state_edges) == 4


def test_finding_the_state_of_a_long_chain_is_linear() -> None:
    h = mg.tensor(1.0, requires_grad=True)
    for t in range(20_000):
        with mg.time_step(t):
            h = h * 0.999
    assert len(mg.Graph(h).state_edges) == 19_999
