import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
import nn


def toy(T=3, w=0.2, h=0.9, dtype=np.float32):
    """h_t = w h_{t−1}, loss = h_T."""
    w, h = (
        mg.tensor(np.array(w, dtype), requires_grad=True, name="w"),
        mg.tensor(np.array(h, dtype)),
    )
    for t in range(T):
        with mg.time_step(t):
            h = w * h
    return w, mg.Graph(h)


def lstm(T=12, loss_on="last", **options):
    rng = np.random.default_rng(0)
    mg.seed(0)
    net = nn.LSTM(3, 4, **options)
    y, _ = net(rng.standard_normal((T, 2, 3)))
    return net, mg.Graph((y[-1] ** 2).sum() if loss_on == "last" else (y**2).sum())


def grads(graph):
    """The gradient of each parameter by name, from a pass that leaves no trace."""
    before = {name: leaf.grad for name, leaf in graph.parameters.items()}
    for leaf in graph.parameters.values():
        leaf.grad = None
    graph.backward()
    found = {
        name: None if leaf.grad is None else leaf.grad.data
        for name, leaf in graph.parameters.items()
    }
    for name, leaf in graph.parameters.items():
        leaf.grad = before[name]
    return found


def steps(graph):
    return sum(1 for _ in graph.backward_steps())


def test_truncation_gives_the_toy_numbers():
    w, graph = toy()
    for k, gradient in [(1, 0.036), (2, 0.072), (3, 0.108), (4, 0.108), (10**9, 0.108)]:
        w.grad = None
        graph.truncate(k).backward()
        assert w.grad.item() == pytest.approx(gradient, rel=1e-6)


def test_a_window_that_holds_all_steps_changes_not_one_bit():
    _, graph = lstm(T=7)
    full = grads(graph)
    for k in (7, 8, 100):
        for name, grad in grads(graph.truncate(k)).items():
            np.testing.assert_array_equal(grad, full[name])


def test_truncation_equals_detaching_at_the_boundaries():
    rng, T, k = np.random.default_rng(1), 11, 4
    cell, xs = nn.LSTMCell(3, 4), rng.standard_normal((T, 2, 3)).astype(np.float32)

    def run(detach):
        state, loss = cell.initial_state(2), 0
        for t, x in mg.timesteps(xs):
            if detach and (T - t) % k == 0:
                state = nn.detach_state(state)
            h, state = cell(x, state)
            loss = loss + (h**2).sum()
        return mg.Graph(loss)

    wanted, found = grads(run(detach=True)), grads(run(detach=False).truncate(k))
    assert wanted.keys() == found.keys()
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])


@pytest.mark.parametrize("layer", [nn.RNN, nn.LSTM, nn.GRU])
def test_truncation_makes_a_share_of_the_rule_calls(layer):
    T = 60
    y, _ = layer(3, 4)(np.random.default_rng(0).standard_normal((T, 2, 3)))
    graph = mg.Graph((y[-1] ** 2).sum())
    full = steps(graph)
    for k in (1, 5, 20):
        assert steps(graph.truncate(k)) <= full * k / T + 8


@given(
    T=st.integers(1, 8),
    k=st.integers(1, 9),
    kind=st.sampled_from([nn.RNNCell, nn.LSTMCell, nn.GRUCell]),
)
@settings(max_examples=25, deadline=None)
def test_truncation_equals_detaching_for_any_length_and_window(T, k, kind):
    cell = kind(2, 3)

    def graph(detach):
        state, loss = cell.initial_state(2), 0
        for t, x in mg.timesteps(np.full((T, 2, 2), 0.3, np.float32)):
            state = nn.detach_state(state) if detach and (T - t) % k == 0 else state
            y, state = cell(x, state)
            loss = loss + (y**2).sum()
        return mg.Graph(loss)

    wanted, found = grads(graph(True)), grads(graph(False).truncate(k))
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])


def test_a_stack_that_is_indexed_and_an_output_itself_is_walked_whole():
    ys, _ = nn.RNN(3, 4)(np.ones((6, 2, 3)))
    graph = mg.Graph(ys[-1].sum(), ys)
    seeds = (np.ones((), np.float32), np.ones(ys.shape, np.float32))
    assert {step.t for step in graph.truncate(2).backward_steps(seeds)} >= set(range(6))


def test_no_path_is_longer_than_the_window_even_one_that_skips_steps():
    w = mg.tensor(1.0, requires_grad=True, name="w")
    h = h_before = mg.tensor(1.0)
    for t in range(6):
        with mg.time_step(t):
            h, h_before = w * h + w * h_before, h  # two steps back
    graph = mg.Graph(h)
    for k in range(1, 6):
        reached = {step.t for step in graph.truncate(k).backward_steps()}
        assert reached == set(range(6 - k, 6))


def test_losses_may_be_summed_over_the_boundaries():
    rng = np.random.default_rng(0)
    W, h, loss = mg.tensor(np.eye(3) * 0.5, requires_grad=True), mg.tensor(np.ones(3)), 0
    for _t, x in mg.timesteps(rng.standard_normal((6, 3))):
        h = np.tanh(h @ W + x)
        loss = loss + (h**2).sum()
    by_step = mg.Graph(loss).truncate(1).grad_by_step(W, norms=True)
    assert (by_step > 0).all()  # each step still has a loss of its own


def test_each_axis_counts_back_from_its_own_end():
    _, graph = lstm(T=9, num_layers=2, bidirectional=True)
    cut = graph.truncate(4)
    boundaries = {(str(n.time.axis), n.t) for n in cut.find(op="cut")}
    forward, backward = (
        {5, 1},
        {3, 7},
    )  # the first step of each window; backwards: steps 8, 7, ... at positions 0, 1
    assert boundaries == {(axis, t) for axis in ("l0", "l1") for t in forward} | {
        (axis, t) for axis in ("l0_reverse", "l1_reverse") for t in backward
    }


def test_an_edit_leaves_the_graph_and_its_tensors_alone():
    w, graph = toy()
    nodes, inputs, lines = (
        graph.nodes,
        [n.inputs for n in graph.nodes],
        [str(s) for s in graph.backward_steps()],
    )
    edited = graph.clip_edges(max_norm=0.1)
    with pytest.warns(UserWarning, match="no gradient reaches w"):
        graph.cut(lambda edge: edge.source is w)
    assert graph.nodes is nodes
    assert [n.inputs for n in nodes] == inputs
    assert [str(s) for s in graph.backward_steps()] == lines
    assert type(graph) is mg.Graph
    assert edited is not graph
    w.grad = None
    graph.outputs[0].backward()
    assert w.grad.item() == pytest.approx(0.108)


def test_identity_nodes_stand_between_source_and_users_in_the_order_of_the_nodes():
    _, graph = toy()
    edited = graph.clip_edges(max_norm=0.1).clip_edges(max_value=0.2)
    place = {node: k for k, node in enumerate(edited.nodes)}
    for node in edited.nodes:
        assert all(place[x] < place[node] for x in edited.inputs(node))
    assert [n.op.name for n in edited.nodes if n.op] == ["multiply"] + [
        "clip",
        "clip",
        "multiply",
    ] * 2
    assert [n.t for n in edited.find(op="clip")] == [1, 1, 2, 2]
    assert repr(edited).endswith("; edited: clip × 4")


def test_a_step_line_of_an_edit_reads_like_any_other():
    _, graph = toy()
    lines = [str(step) for step in graph.clip_edges(max_norm=0.1).backward_steps()]
    assert lines[:3] == [
        "t=2  h = w * h   dh 1 -> dw 0.036  dclip(h) 0.2",
        "t=2  clip(h)   dclip(h) 0.2 -> dh_prev 0.1",
        "t=1  h = w * h   dh 0.1 -> dw 0.018  dclip(h) 0.02",
    ]


def crossing_norms(graph):
    return [
        np.linalg.norm(step.input_grads[0].astype(np.float64))
        for step in graph.backward_steps()
        if step.node.op.name == "clip"
    ]


def test_what_crosses_has_at_most_the_norm():
    rng = np.random.default_rng(0)
    mg.seed(0)
    cell = nn.RNNCell(3, 8, nonlinearity="relu")
    cell.W_hh.data = rng.standard_normal((8, 8))
    ys, _ = nn.Unroll(cell)(rng.standard_normal((20, 4, 3)))
    graph = mg.Graph((ys[-1] ** 2).sum())
    edited = graph.clip_edges(max_norm=1)
    norms = crossing_norms(edited)
    assert len(norms) == 19
    assert max(norms) <= 1 + 1e-6
    assert max(norms) > 0.999
    assert max(np.linalg.norm(s.grad.astype(np.float64)) for s in graph.backward_steps()) > 1e3
    assert all(leaf.grad is None for leaf in graph.parameters.values())


def test_values_are_clipped_entry_by_entry_and_before_the_norm():
    _, graph = toy(w=3.0, dtype=np.float64)
    assert crossing_norms(graph.clip_edges(max_value=2)) == [2.0, 2.0]
    both = crossing_norms(graph.clip_edges(max_value=2, max_norm=0.5))
    assert both == pytest.approx([0.5, 0.5], rel=1e-12)


def test_the_limit_is_for_the_sum_of_all_edges_from_one_source_into_one_step():
    w, h = mg.tensor(1.0, requires_grad=True, name="w"), mg.tensor(1.0, requires_grad=True)
    for t in range(2):
        with mg.time_step(t):
            h = h * w + h * 2 + h
    edited = mg.Graph(h * h).clip_edges(max_norm=0.5)
    assert len(edited.find(op="clip")) == 1
    (step,) = [s for s in edited.backward_steps() if s.node.op.name == "clip"]
    assert step.grad == 2 * 16 * 4
    assert step.input_grads[0] == pytest.approx(0.5, rel=1e-6)
    assert step.input_grads[0] <= 0.5


def test_a_gradient_within_the_limit_passes_bit_for_bit():
    _, graph = lstm()
    full = grads(graph)
    for name, grad in grads(graph.clip_edges(max_norm=1e6, max_value=1e6)).items():
        np.testing.assert_array_equal(grad, full[name])


def test_h_and_c_of_an_lstm_are_apart():
    _, graph = lstm(T=6)
    for name in ("h", "c"):
        edited = graph.cut(name=name)
        cuts = edited.find(op="cut")
        assert len(cuts) == 5
        assert all(node.inputs[0].role.name == name for node in cuts)
    flow = graph.cut(name="h").gradient_flow(jacobians=False)
    assert flow["c"].crossing[:-1].min() > 0
    assert (flow["h"].crossing[:-1] == 0).all()


def test_edges_are_chosen_by_time_axis_scope_op_and_predicate():
    _, graph = lstm(T=6, num_layers=2)
    assert len(graph.clip_edges(max_norm=1, t=3).find(op="clip")) == 4
    assert len(graph.clip_edges(max_norm=1, t=3, axis="l1").find(op="clip")) == 2
    assert len(graph.clip_edges(max_norm=1, name="c", scope="LSTM.l0").find(op="clip")) == 5
    assert len(graph.clip_edges(max_norm=1, op="add").find(op="clip")) == 10  # c = f c_prev + i g
    chosen = graph.clip_edges(
        lambda e: e.target.op.name == "matmul" and e.source.t == 2, max_norm=1, t=3
    )
    assert {n.t for n in chosen.find(op="clip")} == {3}
    one = graph.state_edges[0]
    assert len(graph.cut(one).find(op="cut")) == 1
    assert len(graph.cut([one, graph.state_edges[-1]]).find(op="cut")) == 2


def test_rows_of_a_batch_are_edited_one_by_one():
    rng = np.random.default_rng(0)
    xs, cell = rng.standard_normal((5, 3, 2)), nn.RNNCell(2, 4)
    h_init = mg.tensor(np.zeros((3, 4), np.float32), requires_grad=True, name="h_init")
    ys, _ = nn.Unroll(cell)(xs, h_init)
    graph = mg.Graph((ys[-1] ** 2).sum())
    (full,) = [grads(graph)["h_init"]]
    rows = grads(graph.cut(mask=np.array([True, False, True])))["h_init"]
    np.testing.assert_array_equal(rows[[0, 2]], 0)
    np.testing.assert_array_equal(rows[1], full[1])
    by_step = np.zeros((5, 3), bool)
    by_step[2, 1] = True  # row 1 begins anew at step 2
    rows = grads(graph.cut(mask=by_step))["h_init"]
    np.testing.assert_array_equal(rows[1], 0)
    np.testing.assert_array_equal(rows[[0, 2]], full[[0, 2]])
    clipped = graph.clip_edges(max_norm=1e-3, mask=np.array([True, True, False]))
    step = next(s for s in clipped.backward_steps() if s.node.op.name == "clip")
    norms = np.linalg.norm(step.input_grads[0], axis=1)
    np.testing.assert_allclose(norms[:2], 1e-3, rtol=1e-5)
    np.testing.assert_array_equal(step.input_grads[0][2], step.grad[2])


def test_an_edited_pass_can_be_differentiated():
    def gradient(value, edit):
        w, graph = toy(T=4, w=value, dtype=np.float64)
        edit(graph).backward(create_graph=True)
        return w, w.grad

    edits = {
        "truncate": lambda graph: graph.truncate(2),
        "norm": lambda graph: graph.clip_edges(max_norm=0.6),
        "rows": lambda graph: graph.clip_edges(max_value=0.6),
    }
    for edit in edits.values():
        w, dw = gradient(0.7, edit)
        (second,) = mg.grad(dw, w)
        e = 1e-6
        numeric = (gradient(0.7 + e, edit)[1].item() - gradient(0.7 - e, edit)[1].item()) / (2 * e)
        assert second.item() == pytest.approx(numeric, rel=1e-7)


def test_a_zero_gradient_does_not_become_nan_under_create_graph():
    w, h = (
        mg.tensor(np.zeros((2, 2)), requires_grad=True, name="w"),
        mg.tensor(np.ones((2, 2)), requires_grad=True),
    )
    for t in range(2):
        with mg.time_step(t):
            h = w * h
    edited = mg.Graph(h.sum()).clip_edges(max_norm=1, mask=np.array([True, False]))
    edited.backward(create_graph=True)
    (second,) = mg.grad(w.grad.sum(), w)
    assert np.isfinite(second.data).all()


def test_edits_compose():
    w, graph = toy(w=3.0)
    both = graph.clip_edges(max_norm=1).truncate(2)
    assert len(both.find(op="cut")) == 1
    both.backward()
    # steps t = 2 and t = 1, where 1 arrives over the crossing
    assert w.grad.item() == pytest.approx(0.9 * 9 + 0.9 * 3, rel=1e-6)


def test_a_report_counts_the_crossings():
    _, graph = toy(w=3.0, T=5)
    edited = graph.clip_edges(max_norm=10)
    with mg.clip_report() as report:
        edited.backward()
    assert [(entry.what, entry.t) for entry in report] == [("h", 4), ("h", 3), ("h", 2), ("h", 1)]
    assert [entry.before for entry in report] == pytest.approx([3, 9, 27, 30], rel=1e-6)
    assert "2 of 4" in str(report)


def test_a_gradient_that_is_not_finite_does_not_pass_a_limit_in_silence():
    w, graph = toy(w=2.0)
    steps = graph.clip_edges(max_norm=1).backward_steps()
    next(steps).grad = np.array(np.inf, np.float32)
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            FloatingPointError, match=r"gradient that crosses by h is not finite"
        ) as error,
    ):
        list(steps)
    assert "at t = 2" in error.value.__notes__[0]
    assert w.grad is None


def test_bad_edits_say_what_is_wrong():
    _, graph = toy()
    _, other = toy()
    with pytest.raises(ValueError, match="is not in this graph"):
        graph.cut(other.state_edges)
    with pytest.raises(
        ValueError,
        match="no edge matches name='c'; state crosses at: name h; op multiply; t 1, 2; axis time",
    ):
        graph.cut(name="c")
    with pytest.raises(ValueError, match="no edge matches"):
        graph.cut([])
    with pytest.raises(TypeError, match="edges are chosen by name, op, t, axis, scope; found time"):
        graph.cut(time=1)
    with pytest.raises(
        ValueError, match="no edge matches axis='l7'; state crosses at: .*axis time"
    ):
        graph.clip_edges(max_norm=1, axis="l7")
    for k in (0, -1, 1.5, True, None):
        with pytest.raises(ValueError, match="must be ≥ 1"):
            graph.truncate(k)
    with pytest.raises(ValueError, match="a limit is needed"):
        graph.clip_edges()
    for wrong in (-1, math.nan):
        with pytest.raises(ValueError, match="max_norm"):
            graph.clip_edges(max_norm=wrong)
    with pytest.raises(ValueError, match="mask: bool of shape"):
        graph.cut(mask=np.array([True, False]))


def test_a_graph_without_time_says_how_to_label_it():
    w = mg.tensor(1.0, requires_grad=True)
    graph = mg.Graph(w * w)
    for edit in (
        lambda: graph.truncate(1),
        lambda: graph.cut(),
        lambda: graph.clip_edges(max_norm=1),
    ):
        with pytest.raises(ValueError, match=r"no time labels.*mg.timesteps\(xs\)"):
            edit()


def test_one_step_has_nothing_to_edit():
    _, graph = toy(T=1)
    assert graph.clip_edges(max_norm=1) is graph
    assert graph.truncate(1) is graph


def test_a_cut_that_takes_a_parameter_out_warns_with_its_name():
    w, h_init = (
        mg.tensor(0.5, requires_grad=True, name="w"),
        mg.tensor(0.9, requires_grad=True, name="h_init"),
    )
    h = h_init
    for t in range(3):
        with mg.time_step(t):
            h = w * h
    graph = mg.Graph(h)
    with pytest.warns(UserWarning, match="no gradient reaches h_init any more") as caught:
        cut = graph.truncate(2)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cut.clip_edges(max_norm=1)  # said once is enough
    cut.backward()
    assert h_init.grad is None


def test_a_dropped_edited_graph_is_freed_at_once():
    import gc
    import weakref

    gc.disable()
    try:
        _, graph = toy()
        edited = graph.clip_edges(max_norm=1)
        edited.backward()
        node = weakref.ref(edited.find(op="clip")[0])
        del edited
        assert node() is None
    finally:
        gc.enable()


LAST = {
    "batch first": (lambda net, xs: net(np.swapaxes(xs, 0, 1))[0][:, -1], {"batch_first": True}),
    "lengths": (lambda net, xs: net(xs, lengths=[len(xs)] * 2)[0][-1], {}),
    "concatenate": (lambda net, xs: np.concatenate(list(net(xs)[0]))[-2:], {}),
    "unstack": (lambda net, xs: mg.unstack(net(xs)[0])[-1], {}),
    "other axis": (lambda net, xs: np.stack(list(net(xs)[0]), axis=1)[:, -1], {}),
    "astype": (lambda net, xs: net(xs)[0].astype(np.float64)[-1], {}),
    "transpose": (lambda net, xs: np.transpose(net(xs)[0], (1, 0, 2))[:, -1], {}),
    "final state": (lambda net, xs: net(xs)[1][0], {}),
}


@pytest.mark.parametrize("how", LAST)
def test_truncation_saves_work_whatever_picks_the_last_step(how):
    pick, options = LAST[how]
    net = nn.LSTM(3, 4, **options)
    graph = mg.Graph((pick(net, np.random.default_rng(0).standard_normal((60, 2, 3))) ** 2).sum())
    assert steps(graph.truncate(6)) <= steps(graph) * 6 / 60 + 12


@pytest.mark.parametrize(
    ("size", "limit"),
    [(1e180, 1.0), (1e-180, 1e-190), (1e-180, 0.0), (3.0, 0.7), (1e300, math.inf)],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_limit_holds_at_any_scale(size, limit, dtype):
    rng = np.random.default_rng(0)
    with np.errstate(over="ignore"):
        dh = (rng.standard_normal((4, 5)) * size).astype(dtype)
    if not np.isfinite(dh).all() or not dh.any():
        return
    h = mg.tensor(np.ones((4, 5)), dtype=dtype, requires_grad=True, name="h")
    for t in range(2):
        with mg.time_step(t):
            h = h * 1
    for mask in (None, np.ones(4, bool)):
        graph = mg.Graph(h).clip_edges(max_norm=limit, mask=mask)
        (step,) = [s for s in graph.backward_steps(dh) if s.node.op.name == "clip"]
        found = step.input_grads[0].astype(np.longdouble)
        norms = np.sqrt((found**2).sum(axis=None if mask is None else 1))
        assert (norms <= limit).all()
        before = np.sqrt((dh.astype(np.longdouble) ** 2).sum(axis=None if mask is None else 1))
        np.testing.assert_allclose(
            norms.astype(float), np.minimum(before, limit).astype(float), rtol=1e-6, atol=1e-320
        )


def test_a_mask_goes_by_step_in_the_order_of_t():
    for first in (1, 3):
        h = mg.tensor(np.ones((3, 2)), requires_grad=True, name="h_init")
        for t in range(4):
            with mg.time_step(first + t):
                h = h * 2
        graph, mask = mg.Graph(h.sum()), np.zeros((4, 3), bool)
        mask[2, 1] = True  # row 1 begins anew at the third step
        assert grads(graph.cut(mask=mask))["h_init"].tolist() == [[16, 16], [0, 0], [16, 16]]
        for wrong in (
            np.zeros((5, 3), bool),
            np.zeros((3, 3), bool),
            np.zeros(2, bool),
            np.zeros(3),
        ):
            with pytest.raises(
                ValueError, match=r"mask: bool of shape \(3,\) or \(4, 3\) is needed, found"
            ):
                graph.cut(mask=wrong)
    _, number = toy()
    with pytest.raises(
        ValueError, match=r"mask: .* found bool of shape \(1,\) for a state of shape \(\)"
    ):
        number.cut(mask=np.ones(1, bool))


def test_a_mask_of_all_rows_is_a_cut_like_any_other():
    h = h_init = mg.tensor(np.ones((3, 2)), requires_grad=True, name="h_init")
    for t in range(4):
        with mg.time_step(t):
            h = h * 2
    with pytest.warns(UserWarning, match="no gradient reaches h_init"):
        edited = mg.Graph(h.sum()).cut(mask=np.ones(3, bool))
    edited.backward()
    assert h_init.grad is None


def test_several_names_or_steps_may_be_asked_for_and_what_there_is_is_told():
    _, graph = lstm(T=6)
    assert len(graph.cut(name=["h", "c"]).find(op="cut")) == 10
    assert len(graph.cut(name="c", t=[1, 4]).find(op="cut")) == 2
    with pytest.raises(
        ValueError, match=r"no edge matches t=-1; state crosses at: name h, c; .* t 1, 2, 3, 4, 5"
    ):
        graph.cut(t=-1)
    for wrong in (3, [3], "3"):
        with pytest.raises(
            TypeError, match="an Edge, several, a function of an edge or None is needed, found '?3"
        ):
            graph.cut(wrong)
    _, other = lstm(T=3)
    with pytest.raises(
        ValueError, match=r"the edge h → .* of step 1 is not in this graph"
    ) as error:
        graph.cut(other.state_edges[0])
    assert len(str(error.value)) < 200


def test_layers_are_apart_in_a_report_and_rows_count_alone():
    _, graph = lstm(T=5, num_layers=2)
    with mg.clip_report() as report:
        graph.clip_edges(max_norm=1e-3).backward()
        graph.clip_edges(
            max_norm=1e-3, name="h", axis="l0", mask=np.array([True, False])
        ).backward()
    assert {entry.what for entry in report} == {"l0.h", "l0.c", "l1.h", "l1.c"}
    assert all(entry.after <= 1e-3 for entry in report.of("l0.h"))


# edits hold however the outputs are taken

MASK = np.ones((6, 2), bool)
MASK[4:, 1] = False
SUBSCRIPTS = {
    "bool (T, B)": lambda y: y[MASK],
    "bool (T)": lambda y: y[np.array([0, 0, 1, 1, 1, 1], bool)],
    "int (2, 2)": lambda y: y[np.array([[0, 1], [4, 5]])],
    "int (3)": lambda y: y[np.array([5, 0, 3])],
    "rows and steps": lambda y: y[np.array([5, 2]), np.arange(2)],
    "last": lambda y: y[-1],
    "None": lambda y: y[None],
    "feature": lambda y: y[..., 0],
    "features": lambda y: y[..., np.array([1, 0, 0, 1], bool)],
    "bool (T, B, H)": lambda y: y[np.ones((6, 2, 4), bool)],
    "nonzero": lambda y: y[np.nonzero(MASK)],
    "list": lambda y: y[[0, 5]],
    "backwards": lambda y: y[::-2],
    "column": lambda y: y[:, 1],
    "True": lambda y: y[True],
    "take": lambda y: np.take(y, [5, 0], axis=0),
    "compress": lambda y: np.compress([0, 0, 1, 1, 1, 1], y, axis=0),
    "where": lambda y: mg.where(MASK[..., None], y, 0.0),
    "iteration": lambda y: np.stack(list(y)),
    "empty": lambda y: np.concatenate([y[:0], y[3:]]),
}


@pytest.mark.filterwarnings("ignore:cut")
@pytest.mark.parametrize("take", SUBSCRIPTS.values(), ids=SUBSCRIPTS.keys())
def test_edits_hold_under_every_way_of_taking_outputs(take):
    mg.seed(0)
    cell, xs = nn.RNNCell(3, 4), np.random.default_rng(0).standard_normal((6, 2, 3))
    for p in cell.parameters():
        p.data = p.data.astype(np.float64)

    def outputs(window):
        """The stacked outputs, detached by hand between windows that end with the last step."""
        h, ys = cell.initial_state(2), []
        for t, x in mg.timesteps(xs):
            if window and t and (6 - t) % window == 0:
                h = h.detach()
            y, h = cell(x, h)
            ys.append(y)
        return mg.stack(ys)

    def gradient(graph):
        cell.zero_grad()
        graph.backward()
        return cell.W_hh.grad.data

    loss = (take(outputs(None)) ** 2).sum()
    by_hand = (take(outputs(2)) ** 2).sum()
    graph = mg.Graph(loss)
    np.testing.assert_allclose(
        gradient(graph.truncate(2)), gradient(mg.Graph(by_hand)), rtol=1e-12, atol=1e-15
    )
    np.testing.assert_allclose(
        gradient(graph.clip_edges(max_norm=1e9)), gradient(graph), rtol=1e-12, atol=1e-15
    )
    everything = (take(outputs(1)) ** 2).sum()
    np.testing.assert_allclose(
        gradient(graph.cut()), gradient(mg.Graph(everything)), rtol=1e-12, atol=1e-15
    )


def test_a_held_state_crosses_every_step_on_its_way():
    """h of step 0 is used at step 3 only: it crosses steps 1, 2 and 3, each with a limit of its own."""
    w, h = mg.tensor(2.0, requires_grad=True, name="w"), mg.tensor(1.0)
    with mg.time_step(0):
        h = w * h
    others = []
    for t in (1, 2):
        with mg.time_step(t):
            others.append(w * 1.0)
    with mg.time_step(3):
        loss = h * h + others[0] * others[1] * h
    graph = mg.Graph(loss)
    steps = [step[-1][1] for source, step in graph.crossings if source is h]
    assert steps == [1, 2, 3]
    clipped = graph.clip_edges(max_norm=0.5)
    marks = [node for node in clipped.nodes if node.op is not None and node.op.edit]
    assert [node.t for node in marks if "(h)" in node.name] == [1, 2, 3]
    (dh,) = [step.grad for step in clipped.backward_steps() if step.node is h]
    assert dh == pytest.approx(0.5)
    assert mg.grad(loss, h)[0].item() == pytest.approx(8.0)
    at_two = graph.clip_edges(max_norm=0.25, t=2, name="h")
    assert [n.t for n in at_two.nodes if n.op is not None and n.op.edit] == [2]
    (dh,) = [step.grad for step in at_two.backward_steps() if step.node is h]
    assert dh == pytest.approx(0.25)
