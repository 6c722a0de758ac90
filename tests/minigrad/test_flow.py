import json
import math

import matplotlib
import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.primitive import registry

matplotlib.use("Agg")


def linear(w, T=12, H=None, dtype=np.float64):
    """h_t = h_{t−1} W with W = w, or w times an orthogonal matrix."""
    rng = np.random.default_rng(0)
    W = w if H is None else w * np.linalg.qr(rng.standard_normal((H, H)))[0]
    W = mg.tensor(np.array(W, dtype), requires_grad=True, name="W")
    h = mg.tensor(np.array(rng.standard_normal(() if H is None else (3, H)), dtype))
    for t in range(T):
        with mg.time_step(t):
            h = h * W if H is None else h @ W
    return W, mg.Graph((h * h).sum())


def recurrent(layer=nn.LSTM, T=20, every=False, **options):
    rng = np.random.default_rng(0)
    mg.seed(0)
    net = layer(3, 5, **options)
    y, _ = net(rng.standard_normal((T, 2, 3)))
    return net, mg.Graph((y**2).sum() if every else (y[-1] ** 2).sum())


def rule_calls(run):
    """How often a gradient rule runs while `run()` does."""
    count = [0]

    def counted(rule):
        def call(*args, **constants):
            count[0] += 1
            return rule(*args, **constants)

        call.__name__ = rule.__name__
        return call

    before = {op: (op.rules, op.joint) for op in registry.values()}
    try:
        for op in before:
            op.rules = [rule and counted(rule) for rule in op.rules]
            op.joint = op.joint and counted(op.joint)
        run()
    finally:
        for op, (rules, joint) in before.items():
            op.rules, op.joint = rules, joint
    return count[0]


# gradient flow


@pytest.mark.parametrize(
    ("w", "verdict"), [(0.5, "vanishing"), (1.0, "healthy"), (1.5, "exploding")]
)
@pytest.mark.parametrize("H", [None, 6])
@pytest.mark.parametrize("T", [3, 12, 60])
def test_the_ratio_of_a_linear_recurrence_is_its_factor(w, verdict, H, T):
    flow = linear(w, T=T, H=H)[1].gradient_flow(jacobians="exact")
    path = flow["h"]
    np.testing.assert_allclose(path.ratio[:-1], w, rtol=1e-9)
    np.testing.assert_allclose(path.jacobian[1:], w, rtol=1e-9)
    assert path.mean_ratio == pytest.approx(w, abs=1e-9)
    assert (path.verdict, flow.verdict) == (verdict, verdict)
    assert verdict in path.evidence
    assert path.memory == {0.5: 10, 1.0: math.inf, 1.5: math.inf}[w] or w == 1.0


def test_many_steps_of_a_mild_factor_vanish_as_well():
    assert linear(0.97, T=50)[1].gradient_flow()["h"].verdict == "healthy"
    assert linear(0.97, T=400)[1].gradient_flow()["h"].verdict == "vanishing"
    assert linear(1.03, T=400)[1].gradient_flow()["h"].verdict == "exploding"


@pytest.mark.parametrize(("w", "verdict"), [(0.5, "vanishing"), (1.5, "not finite")])
def test_a_gradient_that_leaves_the_range_of_floats_has_a_verdict(w, verdict):
    h = mg.tensor(np.float32(1), requires_grad=True)
    with np.errstate(over="ignore"):
        for t in range(400):
            with mg.time_step(t):
                h = h * w
        path = mg.Graph(h).gradient_flow(jacobians=False)["h"]
    assert path.verdict == verdict
    assert ("below the smallest number of its dtype before t=250" in path.evidence) == (w == 0.5)


def test_a_loss_that_no_state_reaches_is_no_verdict():
    path = linear(0.5, T=400, dtype=np.float32)[1].gradient_flow()[
        "h"
    ]  # h is 0 long before the end
    assert path.verdict == "unknown"
    assert path.evidence == "h: unknown, no gradient arrives"


def test_total_and_crossing_are_the_gradients_of_the_states():
    rng, T = np.random.default_rng(0), 6
    cell, xs = nn.LSTMCell(3, 5), rng.standard_normal((T, 2, 3)).astype(np.float32)
    state, states, loss = cell.initial_state(2), [], 0
    for _t, x in mg.timesteps(xs):
        h, state = cell(x, state)
        states.append(state)
        loss = loss + (h**2).sum()
    flow = mg.Graph(loss).gradient_flow()
    for k, name in enumerate("hc"):
        path = flow[name]
        total = [np.linalg.norm(d.data) for d in mg.grad(loss, [s[k] for s in states])]
        np.testing.assert_allclose(path.total, total, rtol=1e-6)
        assert path.t == list(range(T))
    direct = [2 * np.asarray(s.h.data) for s in states]  # ∂(Σ h²)/∂h at its own step
    dh = [d.data for d in mg.grad(loss, [s.h for s in states])]
    share = [np.linalg.norm(a - b) for a, b in zip(dh, direct, strict=True)]
    np.testing.assert_allclose(flow["h"].crossing[:-1], share[:-1], rtol=1e-4)
    assert math.isnan(flow["h"].crossing[-1])


def test_jacobians_are_those_of_one_step():
    rng = np.random.default_rng(0)
    cell = nn.RNNCell(3, 5)
    cell.W_hh.data = rng.standard_normal((5, 5))
    ys, _ = nn.Unroll(cell)(rng.standard_normal((6, 2, 3)))
    graph = mg.Graph((ys[-1] ** 2).sum())
    h = graph.values_by_step("h")
    exact = graph.gradient_flow("exact")["h"].jacobian
    for t in range(1, 6):
        J = [(1 - h[t, b] ** 2)[:, None] * cell.W_hh.data.T for b in range(2)]
        assert exact[t] == pytest.approx(max(np.linalg.norm(j, 2) for j in J), rel=1e-5)
    assert math.isnan(exact[0])
    mean = graph.gradient_flow()["h"].jacobian
    measured = ~np.isnan(mean)
    assert measured.any()
    assert (mean[measured] <= exact[measured] * (1 + 1e-6)).all()
    assert (mean[measured] > 0).all()


def test_saturation_is_the_mean_slope_of_each_gate():
    _, graph = recurrent(nn.LSTM)
    slopes = graph.gradient_flow()["c"].slopes
    f, g = graph.values_by_step("f"), graph.values_by_step("g")
    np.testing.assert_allclose(slopes["f"], (f * (1 - f)).mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(slopes["g"], (1 - g * g).mean(axis=(1, 2)), rtol=1e-5)


def test_paths_of_several_axes_are_apart_and_named():
    _, graph = recurrent(nn.GRU, num_layers=2, bidirectional=True, every=True)
    flow = graph.gradient_flow()
    assert [(p.axis, p.state) for p in flow.paths] == [
        (a, "h") for a in ("l0", "l0_reverse", "l1", "l1_reverse")
    ]
    assert flow["l1_reverse.h"].t == list(range(19, -1, -1))
    with pytest.raises(KeyError, match="'h' names 4 paths; there are: l0.h, l0_reverse.h"):
        flow["h"]


def test_an_edited_graph_shows_what_the_edit_does():
    flow = linear(1.5, T=20)[1].clip_edges(max_norm=1).gradient_flow()["h"]
    assert np.nanmax(flow.crossing) <= 1 + 1e-9
    flow = linear(1.0, T=12)[1].truncate(4).gradient_flow(jacobians=False)["h"]
    assert np.flatnonzero(flow.ratio == 0).tolist() == [7]
    assert flow.memory == 4
    assert "nothing gets past t=8" in flow.evidence
    assert linear(1.0, T=4)[1].cut().gradient_flow()["h"].verdict == "cut"


def test_a_gradient_that_is_not_finite_is_a_verdict_of_its_own():
    w, h = mg.tensor(0.0, requires_grad=True), mg.tensor(0.0, requires_grad=True)
    with np.errstate(all="ignore"):
        for t in range(3):
            with mg.time_step(t):
                h = np.sqrt(w * h)
        assert mg.Graph(h).gradient_flow()["h"].verdict == "not finite"


@pytest.mark.parametrize("layer", [nn.RNN, nn.LSTM, nn.GRU])
def test_the_flow_costs_little_more_than_a_backward_pass(layer):
    _, graph = recurrent(layer, T=50)
    once = rule_calls(lambda: list(graph.backward_steps()))
    assert rule_calls(lambda: graph.gradient_flow(jacobians=False)) <= 1.1 * once
    assert 1.03 * once < rule_calls(graph.gradient_flow) <= 1.3 * once


def test_looking_leaves_no_trace():
    W, graph = linear(0.5)
    graph.gradient_flow()
    graph.grad_by_step(W)
    graph.gradient_matrix()
    graph.truncation_bias(2)
    assert W.grad is None
    graph.backward()
    assert W.grad is not None


def test_the_table_and_json_hold_the_same_numbers():
    flow = linear(0.5, T=40)[1].gradient_flow()
    lines = str(flow).splitlines()
    assert lines[0] == "axis time"
    assert lines[1].split() == ["t", "total", "crossing", "ratio", "jacobian"]
    assert [line.split()[0] for line in lines[2:5]] == ["39", "38", "37"]
    assert len(lines) == 2 + 12 + 1
    assert lines[-1].startswith("h: vanishing, ×0.5 a step")
    assert repr(flow) == f"axis time, {lines[-1]}"
    table = json.loads(flow.to_json())
    (path,) = table["paths"]
    assert table["verdict"] == path["verdict"] == "vanishing"
    assert path["total"] == flow["h"].total.tolist()
    assert path["ratio"][-1] is None


def test_the_flow_is_drawn():
    ax = recurrent(nn.LSTM)[1].gradient_flow().plot()
    assert len(ax.get_lines()) == 2
    assert ax.get_yscale() == "log"


def test_what_has_no_flow_says_why():
    w = mg.tensor(1.0, requires_grad=True)
    with pytest.raises(ValueError, match=r"no time labels.*mg.timesteps"):
        mg.Graph(w * w).gradient_flow()
    with mg.time_step(0):
        y = w * w
    with pytest.raises(ValueError, match="no state crosses a time step"):
        mg.Graph(y).gradient_flow()
    with pytest.raises(ValueError, match="jacobians="):
        linear(0.5)[1].gradient_flow(jacobians="some")


# by step


def test_the_toy_gives_its_gradient_three_times():
    w, h = mg.tensor(0.2, requires_grad=True, name="w"), mg.tensor(0.9)
    for t in range(3):
        with mg.time_step(t):
            h = w * h
    graph = mg.Graph(h)
    assert (
        repr((graph.grad_by_step(w), w.grad))
        == "(array([0.036, 0.036, 0.036], dtype=float32), None)"
    )


@pytest.mark.parametrize("layer", [nn.RNN, nn.LSTM, nn.GRU])
def test_the_steps_sum_to_the_gradient(layer):
    mg.set_default_dtype(np.float64)
    try:
        net, graph = recurrent(layer, every=True)
        graph.backward()
        for name, p in net.named_parameters():
            rows = graph.grad_by_step(name)
            assert rows.shape == (20, *p.shape)
            np.testing.assert_allclose(rows.sum(axis=0), p.grad.data, rtol=1e-12, atol=1e-14)
            norms = np.linalg.norm(rows.reshape(20, -1), axis=1)
            np.testing.assert_allclose(graph.grad_by_step(p, norms=True), norms, rtol=1e-12)
    finally:
        mg.set_default_dtype(np.float32)


def test_a_parameter_that_is_indexed_in_each_step_has_rows_too():
    E = mg.tensor(np.ones((4, 2)), requires_grad=True, name="E")
    words, h = [1, 3, 3], mg.tensor(np.zeros(2))
    for t, word in enumerate(words):
        with mg.time_step(t):
            h = h + E[word] * (t + 1.0)
    rows = mg.Graph((h * h).sum() / 2).grad_by_step(E)
    assert rows[:, :, 0].tolist() == [[0, 6, 0, 0], [0, 0, 0, 12], [0, 0, 0, 18]]


def test_norms_hold_one_step_at_a_time():
    import tracemalloc

    W = mg.tensor(np.eye(200, dtype=np.float32) * 0.9, requires_grad=True)
    h = mg.tensor(np.ones((1, 200), np.float32))
    for _t, x in mg.timesteps(np.zeros((60, 1), np.float32)):
        h = h @ W + x
    graph = mg.Graph((h * h).sum())
    assert graph.order  # made outside of the measurement
    peaks = []
    for norms in (True, False):
        tracemalloc.start()
        graph.grad_by_step(W, norms=norms)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < 16 * W.data.nbytes
    assert peaks[1] > 60 * W.data.nbytes


def test_rows_follow_t_also_where_time_runs_backwards():
    _, graph = recurrent(nn.RNN, T=5, bidirectional=True, every=True)
    assert graph.values_by_step("h", axis="l0_reverse").shape == (5, 2, 5)
    reverse = [
        n for n in graph.nodes if n.t == 4 and n.time.axis.name == "l0_reverse" and n.role and n.op
    ]
    np.testing.assert_array_equal(graph.values_by_step("h", axis="l0_reverse")[4], reverse[-1].data)


def test_a_part_outside_of_time_is_told():
    w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
    for t in range(2):
        with mg.time_step(t):
            h = w * h
    graph = mg.Graph(h + w * 3)
    with pytest.warns(
        UserWarning, match="gradient of norm 3 that arises outside of time"
    ) as caught:
        assert graph.grad_by_step(w).tolist() == [0.5, 0.5]
    assert caught[0].filename == __file__


def test_what_cannot_be_given_by_step_says_why():
    net, graph = recurrent(nn.GRU, T=4, num_layers=2)
    shared = mg.tensor(1.0, requires_grad=True, name="s")
    a, b = mg.tensor(1.0), mg.tensor(1.0)
    for _t, _x in mg.timesteps(np.zeros(3), "one"):
        a = a * shared
    for _t, _x in mg.timesteps(np.zeros(3), "two"):
        b = b * shared
    both = mg.Graph(a * b)
    with pytest.raises(
        ValueError, match="s is used on several axes; choose one with axis=: one, two"
    ):
        both.grad_by_step(shared)
    assert both.grad_by_step(shared, axis="two").shape == (3,)
    with pytest.raises(ValueError, match="not on an axis 'three'"):
        both.grad_by_step("s", axis="three")
    with pytest.raises(ValueError, match=r"'W' is not in the graph; parameters: l0.W_xh"):
        graph.grad_by_step("W")
    with pytest.raises(ValueError, match="is not in the graph"):
        graph.grad_by_step(mg.tensor(1.0, requires_grad=True))
    with pytest.raises(ValueError, match="outside of all time steps"):
        mg.Graph(a * (v := mg.tensor(1.0, requires_grad=True))).grad_by_step(v)
    with pytest.raises(ValueError, match=r"no node of a time step is called 'q'; there are: "):
        graph.values_by_step("q")
    with pytest.raises(ValueError, match="z occurs on several axes; choose one with axis=: l0, l1"):
        graph.values_by_step("z")
    assert graph.values_by_step("z", axis="l1").shape == (4, 2, 5)
    assert len(dict(net.named_parameters())) == 8


def test_a_name_in_two_scopes_of_one_axis_means_the_last_layer_unless_told():
    h = [mg.tensor(np.ones(2)), mg.tensor(np.ones(2))]
    cells = [nn.RNNCell(2, 2), nn.RNNCell(2, 2)]
    for _t, x in mg.timesteps(np.zeros((3, 2), np.float32)):
        for k, cell in enumerate(cells):
            with mg.scope(f"layer{k}"):
                x, h[k] = cell(x, h[k])
    graph = mg.Graph(x.sum())
    scopes = sorted({n.scope for n in graph.find(name="h", t=1)})
    first, last = (graph.values_by_step("h", scope=scope) for scope in scopes)
    assert first.shape == (3, 2)
    np.testing.assert_array_equal(graph.values_by_step("h"), last)
    np.testing.assert_array_equal(last[-1], x.data)
    with pytest.raises(ValueError, match="h does not occur in scope 'layer7'"):
        graph.values_by_step("h", scope="layer7")


# gradient matrix, bias


@pytest.mark.parametrize("style", ["in time", "after", "list"])
def test_the_gradient_matrix_is_the_gradient_of_each_loss_by_itself(style):
    rng = np.random.default_rng(0)
    W, h = (
        mg.tensor(rng.standard_normal((4, 4)) * 0.6, requires_grad=True, name="W"),
        mg.tensor(np.ones((2, 4))),
    )
    hs, losses, loss = [], [], 0
    for _t, x in mg.timesteps(rng.standard_normal((5, 2, 4))):
        h = np.tanh(h @ W + x)
        if style == "in time":
            losses.append((h**2).sum())
            loss = loss + losses[-1] / 5
        hs.append(h)
    if style != "in time":
        losses = [(h**2).sum() for h in hs]
        loss = (np.stack(hs) ** 2).sum() / 5 if style == "after" else sum(losses) / 5
    matrix = mg.Graph(loss).gradient_matrix()
    assert (matrix.state, matrix.t) == ("h", [0, 1, 2, 3, 4])
    for k, one in enumerate(losses):
        found = mg.grad(one / 5, hs[: k + 1])
        np.testing.assert_allclose(
            matrix.norms[k, : k + 1], [np.linalg.norm(d.data) for d in found], rtol=1e-9
        )
        assert (matrix.norms[k, k + 1 :] == 0).all()


def test_the_gradient_matrix_of_an_lstm_asks_for_the_state_and_is_drawn():
    _, graph = recurrent(nn.LSTM, every=True)
    with pytest.raises(ValueError, match=r"choose a state: l0.[hc], l0.[hc]"):
        graph.gradient_matrix()
    matrix = graph.gradient_matrix("c")
    assert matrix.norms.shape == (20, 20)
    assert matrix.plot().images[0].get_array().shape == (20, 20)


def test_the_bias_of_truncation_is_norm_ratio_and_angle():
    W, graph = linear(1.1, T=8, H=4)
    W.grad = None
    graph.backward()
    full = W.grad.data
    W.grad = None
    graph.truncate(3).backward()
    short = W.grad.data
    bias = graph.truncation_bias(3)
    cosine = (full * short).sum() / np.linalg.norm(full) / np.linalg.norm(short)
    assert bias.norm_ratio == pytest.approx(np.linalg.norm(short) / np.linalg.norm(full), rel=1e-12)
    assert bias.angle == pytest.approx(math.degrees(math.acos(cosine)), rel=1e-6)
    assert bias.parameters == {"W": (bias.norm_ratio, bias.angle)}
    assert str(bias).splitlines()[0].split() == ["truncated", "to", "3", "norm", "ratio", "angle"]
    assert graph.truncation_bias(8)[1:3] == (1.0, 0.0)


# states are followed along the crossings


def test_states_of_the_same_name_in_one_step_are_apart():
    rng = np.random.default_rng(0)
    a, b, s1, s2 = nn.LSTMCell(4, 4), nn.LSTMCell(4, 4), None, None
    for _t, x in mg.timesteps(rng.standard_normal((8, 3, 4))):
        y1, s1 = a(x, s1)
        y2, s2 = b(y1, s2)
    flow = mg.Graph((y2**2).sum()).gradient_flow(jacobians=False)
    assert sorted(path.state for path in flow.paths) == ["c", "c_2", "h", "h_2"]
    assert all(path.t == list(range(8)) for path in flow.paths)
    W, hs = (
        mg.tensor(np.eye(2) * 0.5, requires_grad=True),
        [mg.tensor(np.ones(2)), mg.tensor(np.zeros(2))],
    )
    for _t, x in mg.timesteps(rng.standard_normal((5, 2))):
        hs = [np.tanh(h @ W + x) for h in hs]
    assert [len(path.t) for path in mg.Graph((hs[0] * hs[1]).sum()).gradient_flow().paths] == [5, 5]


def test_sequences_on_the_same_steps_are_all_measured():
    w, losses = mg.tensor(0.5, requires_grad=True), []
    for start in (1.0, 2.0, 3.0):
        h = mg.tensor(start)
        for t in range(4):
            with mg.time_step(t):
                h = h * w
        losses.append(h**2)
    paths = mg.Graph(sum(losses)).gradient_flow().paths
    assert [path.state for path in paths] == ["h", "h_2", "h_3"]
    for path in paths:
        np.testing.assert_allclose(path.ratio[:-1], 0.5)


def test_a_state_that_changes_its_name_is_one():
    w, p = mg.tensor(0.5, requires_grad=True), mg.tensor(1.0)
    for t in range(0, 6, 2):
        with mg.time_step(t):
            q = w * p
        with mg.time_step(t + 1):
            p = w * q
    (path,) = mg.Graph(p).gradient_flow().paths
    assert path.t == list(range(6))
    np.testing.assert_allclose(path.ratio[:-1], 0.5)
    h = mg.tensor(np.ones(3))
    for t in range(6):
        with mg.time_step(t):
            if t % 2:
                h = np.tanh(w * h)
            else:
                k = mg.sigmoid(w * h)
                h = k
    assert [len(path.t) for path in mg.Graph((h**2).sum()).gradient_flow().paths] == [6]


def test_the_layers_of_a_stack_have_paths_matrices_and_slopes_of_their_own():
    mg.seed(0)
    net = nn.Unroll(nn.Stacked([nn.LSTMCell(3, 4), nn.LSTMCell(4, 4)]))
    ys, _ = net(np.random.default_rng(0).standard_normal((6, 2, 3)))
    graph = mg.Graph((ys**2).sum())
    flow = graph.gradient_flow()
    assert flow["h"].scope != flow["h_2"].scope
    assert not np.allclose(flow["c"].slopes["f"], flow["c_2"].slopes["f"])
    assert graph.gradient_matrix("h_2").norms.shape == (6, 6)


class Halving(nn.Cell):
    """h = 0.5 h_prev + x w"""

    state_size = 1

    def __init__(self):
        self.w = nn.Parameter([1.0], dtype=np.float64)

    def forward(self, x, h_prev):
        h = 0.5 * h_prev + x * self.w
        return h, h


@pytest.mark.parametrize("reverse", [False, True])
def test_rows_that_have_ended_are_no_evidence(reverse):
    ys, _ = nn.Unroll(Halving())(np.ones((6, 2, 1)), lengths=[6, 3], reverse=reverse)
    path = mg.Graph(ys.sum()).gradient_flow("exact")["h"]
    np.testing.assert_allclose(path.ratio[:-1], 0.5)
    np.testing.assert_allclose(path.jacobian[1:], 0.5)
    if reverse:
        assert path.t == [5, 4, 3, 2, 1, 0]
        rows = np.array([[1, 0], [1, 0], [1, 0], [1, 1], [1, 1], [1, 1]])
        np.testing.assert_allclose(
            path.total, np.linalg.norm(rows, axis=1) * (2 - 0.5 ** np.arange(5, -1, -1))
        )
    else:
        np.testing.assert_allclose(
            path.total, [2.634179, 2.450255, 2.125, 1.75, 1.5, 1.0], rtol=1e-3
        )


@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU, nn.LSTM])
def test_padding_does_not_change_the_verdict(layer):
    mg.seed(0)
    net, xs = layer(3, 5), np.random.default_rng(0).standard_normal((20, 4, 3))
    ys, _ = net(xs, lengths=[20, 15, 10, 5])
    padded = mg.Graph((ys**2).sum()).gradient_flow(jacobians=False)
    for k, n in enumerate([20, 15, 10, 5]):
        alone = mg.Graph((net(xs[:n, k : k + 1])[0] ** 2).sum()).gradient_flow(jacobians=False)
        assert alone.paths[0].verdict == padded.paths[0].verdict
    _, last = net(xs, lengths=[8, 8, 8, 8])  # the last steps compute nothing
    last = last[0] if isinstance(last, tuple) else last
    path = mg.Graph((last**2).sum()).gradient_flow(jacobians=False).paths[0]
    assert (path.total[8:] == 0).all()
    assert np.isnan(path.ratio[7:]).all()


def test_saturation_vanishes_and_a_cut_is_a_cut():
    w, h = mg.tensor(50.0, requires_grad=True), mg.tensor(np.ones(3))
    for t in range(4):
        with mg.time_step(t):
            h = mg.relu(-w * h) if t == 2 else np.tanh(w * h)
    flow = mg.Graph((h + 1).sum()).gradient_flow()
    assert flow.verdict == "vanishing"
    assert linear(0.9, T=5)[1].cut().gradient_flow().verdict == "cut"
    h = mg.tensor(np.ones(3))
    for t in range(5):
        with mg.time_step(t):
            h = mg.relu(h * w - 1e6) + 0.1 * t
    assert mg.Graph(h.sum()).gradient_flow()["h"].verdict == "vanishing"


def test_a_gate_may_be_called_like_a_column():
    h = mg.tensor(np.ones((1, 2)), requires_grad=True)
    for _t, x in mg.timesteps(np.ones((3, 1, 2))):
        ratio = mg.sigmoid(x * h)
        total = np.tanh(h)
        h = ratio * h + total
    path = mg.Graph(h.sum()).gradient_flow()["h"]
    assert path.columns()["ratio"] is path.ratio
    assert {"φ′ ratio", "φ′ total"} <= set(
        json.loads(mg.Graph(h.sum()).gradient_flow().to_json())["paths"][0]
    )


def test_a_scope_chooses_before_the_axis_is_asked_for():
    _, graph = recurrent(nn.LSTM, T=4, num_layers=2)
    assert graph.values_by_step("f", scope="LSTM.l1").shape == (4, 2, 5)
    with pytest.raises(ValueError, match="it occurs in 'LSTM.l0', 'LSTM.l1'"):
        graph.values_by_step("f", scope="l1")


def test_errors_are_signed_by_what_was_called():
    w = mg.tensor(1.0, requires_grad=True)
    h = w * w
    graph = mg.Graph(h)
    with pytest.raises(ValueError, match="gradient_matrix: the graph has no time labels"):
        graph.gradient_matrix()
    with pytest.raises(ValueError, match="truncation_bias: the graph has no time labels"):
        graph.truncation_bias(2)
    with pytest.raises(
        ValueError, match="values_by_step: h occurs, but the graph has no time labels"
    ):
        graph.values_by_step("h")


def test_the_report_tells_where_norms_hold_the_losses_of_the_steps() -> None:
    """The factor is of the recurrence; whole gradients may grow all the same."""
    w, h, total = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0), mg.tensor(0.0)
    for t in range(6):
        with mg.time_step(t):
            h = w * h
            total = total + h
    assert "×0.5 a step; |dh| with what each step adds: 1 at t=5" in str(
        mg.Graph(total).gradient_flow()
    )
    assert "×0.5 a step; |dh| 1 at t=5" in str(mg.Graph(h).gradient_flow())
