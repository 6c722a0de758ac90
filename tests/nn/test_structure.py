"""Inputs, outputs and states that are tuples, dicts, or both, nested; and any number of axes."""

from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
import nn
from nn.structure import check_like, leaf_names, map_structure

RNG = np.random.default_rng(0)


class Pair(NamedTuple):
    a: Any
    b: Any


class Moody(nn.Cell):
    """Two inputs, two outputs, a nested state: h = tanh(x W + h_prev U);  n = n_prev + dt"""

    def __init__(self, D=3, H=4):
        self.state_size = {"h": H, "count": {"n": 1, "kept": [2, 3]}}
        self.W = nn.Parameter(nn.init.glorot(D, H))
        self.U = nn.Parameter(nn.init.orthogonal(H, H))

    def forward(self, x, state):
        h = np.tanh(x["x"] @ self.W + state["h"] @ self.U)
        n = state["count"]["n"] + x["dt"][:, None]
        kept = state["count"]["kept"] * 0.5 + 1
        return Pair(h, n), {"h": h, "count": {"n": n, "kept": kept}}


def moody_input(T=5, B=2):
    xs = RNG.standard_normal((T, B, 3)).astype(np.float32)
    return {"x": xs, "dt": np.arange(T * B, dtype=np.float32).reshape(T, B)}


def test_inputs_outputs_and_states_may_be_dicts_and_tuples():
    cell, xs = Moody(), moody_input()
    y, state = nn.Unroll(cell)(xs)
    assert isinstance(y, Pair)
    assert (y.a.shape, y.b.shape) == ((5, 2, 4), (5, 2, 1))
    assert state["count"]["kept"].shape == (2, 2, 3)
    np.testing.assert_array_equal(y.b.data[-1, :, 0], xs["dt"].sum(axis=0))
    s = cell.initial_state(2)
    for t in range(5):
        _, s = cell({"x": xs["x"][t], "dt": xs["dt"][t]}, s)
    np.testing.assert_array_equal(s["h"].data, state["h"].data)


def test_a_part_is_named_by_its_key():
    xs = moody_input(T=3)
    y, state = nn.Unroll(Moody())({**xs, "dt": mg.tensor(xs["dt"], requires_grad=True)})
    graph = mg.Graph((y.a * y.b).sum())
    assert (state["h"].role.name, state["count"]["n"].role.name) == ("h", "count.n")
    inputs = {n.role.name: n.time.t for n in graph.nodes if n.role and n.role.kind == "input"}
    assert inputs == {"x": 2, "dt": 2}
    assert {leaf.name for leaf in graph.leaves if leaf.name} == {
        "cell.W",
        "cell.U",
        "h_init",
        "count.n_init",
    }


def test_lengths_stacks_directions_and_windows_take_structures():
    cell, xs = Moody(), moody_input()
    y, state = nn.Unroll(cell)(xs, lengths=[2, 5])
    short = map_structure(lambda x: x[:2, :1], xs)
    y_0, state_0 = nn.Unroll(cell)(short)
    np.testing.assert_allclose(y.a.data[:2, :1], y_0.a.data, atol=1e-6)
    assert not y.b.data[2:, 0].any()
    np.testing.assert_allclose(state["count"]["kept"].data[0], state_0["count"]["kept"].data[0])
    both, _ = nn.Bidirectional(cell, Moody())(xs)
    assert (both.a.shape, both.b.shape) == ((5, 2, 8), (5, 2, 2))
    windows = list(nn.tbptt(nn.Unroll(cell), xs, k1=2))
    np.testing.assert_allclose(
        np.concatenate([w.y.a.data for w in windows]), nn.Unroll(cell)(xs)[0].a.data, atol=1e-6
    )
    first = nn.Unroll(nn.Stacked([cell, First()]))
    assert first(xs)[0].shape == (5, 2, 4)


class First(nn.Cell):
    """Takes the first part of its input."""

    state_size = 1

    def forward(self, x, state):
        return x[0], state + 1


def test_names_of_leaves():
    assert leaf_names(0) == ["h"]
    assert leaf_names((0, 0)) == ["s0", "s1"]
    assert leaf_names({"h": 0, "lstm": nn.LSTMState(0, 0)}) == ["h", "lstm.h", "lstm.c"]
    assert leaf_names(Pair((0, 0), {"s0": 0})) == ["a.s0", "a.s1", "b.s0"]


@pytest.mark.parametrize(
    ("state", "like", "text"),
    [
        ({"h": 1}, {"h": 4, "c": 4}, r"state must be a dict \(h, c\), found a dict \(h\)"),
        (np.zeros((2, 4)), {"h": 4}, r"state must be a dict \(h\), found one ndarray"),
        ((1, 2), {"a": 4, "b": 4}, r"state must be a dict \(a, b\), found 2 parts"),
        ({"a": 1}, Pair(1, 2), r"state must be a tuple \(a, b\), found a dict \(a\)"),
        ({"a": np.zeros((2, 5))}, {"a": 4}, r"state.a \(2, 4\) is needed, found \(2, 5\)"),
        (
            {"a": (np.zeros((2, 1)), np.zeros((2, 3)))},
            {"a": (1, [1, 3])},
            r"state.a.1 \(2, 1, 3\) is needed, found \(2, 3\)",
        ),
    ],
)
def test_a_state_of_another_structure_is_told(state, like, text):
    with pytest.raises(ValueError, match=text):
        check_like(state, like, "state", (2,))


def test_a_state_that_changes_its_structure_later_is_told():
    class Changing(nn.Cell):
        def __init__(self):
            self.state_size = {"h": 2}

        def forward(self, x, state):
            h = state["h"] + x
            return h, {"h": h} if h.t < 2 else {"h": h, "extra": h}

    with pytest.raises(ValueError, match=r"must be a dict \(h\), found a dict \(h, extra\)"):
        nn.Unroll(Changing())(np.ones((4, 1, 2)))


class ConvCell(nn.Cell):
    """h = tanh(x + h_prev shifted by one place + b): a state with three axes"""

    def __init__(self, C=2, H=3, W=4):
        self.state_size = [C, H, W]
        self.b = nn.Parameter(np.zeros((C, H, W), np.float32))

    def forward(self, x, h_prev):
        h = np.tanh(x + np.roll(h_prev, 1, axis=-1) + self.b)
        return h, h


def test_a_step_may_have_any_number_of_axes():
    cell, xs = ConvCell(), RNG.standard_normal((5, 2, 2, 3, 4)).astype(np.float32)
    assert cell.initial_state(7).shape == (7, 2, 3, 4)
    y, h = nn.Unroll(cell)(xs, lengths=[5, 2])
    assert y.shape == (5, 2, 2, 3, 4)
    np.testing.assert_array_equal(h.data[1], y.data[1, 1])
    deep = nn.Unroll(nn.Stacked([cell, ConvCell()]))
    assert [s.shape for s in deep.initial_state(7)] == [(7, 2, 3, 4)] * 2
    assert deep(xs)[0].shape == y.shape
    with pytest.raises(ValueError, match=r"which axis of y_t \(2, 2, 3, 4\) holds the features"):
        nn.Bidirectional(cell, ConvCell())(xs)
    both = nn.Bidirectional(cell, ConvCell(), join=1)
    assert both(xs)[0].shape == (5, 2, 4, 3, 4)
    assert [s.shape for s in both.initial_state(7)] == [(7, 2, 3, 4)] * 2
    total = nn.Bidirectional(cell, ConvCell(), join=np.add)
    assert total(xs)[0].shape == y.shape
    with pytest.raises(TypeError, match="join must be an axis or a function, found 'sum'"):
        nn.Bidirectional(cell, cell, join="sum")


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_layers_have_initial_states(kind):
    net = kind(3, 4, num_layers=2, bidirectional=True)
    x = RNG.standard_normal((5, 2, 3)).astype(np.float32)
    y, _ = net(x, net.initial_state(2))
    np.testing.assert_array_equal(y.data, net(x)[0].data)


def test_batch_sizes_that_differ_are_told():
    xs = {"x": np.zeros((4, 2, 3)), "dt": np.zeros((4, 3))}
    with pytest.raises(ValueError, match=r"one batch size, found \(2, 3\), \(3,\)"):
        nn.Unroll(Moody())(xs)
    with pytest.raises(ValueError, match=r"one number of steps, found \[\(4, 2, 3\), \(3, 2\)\]"):
        nn.Unroll(Moody())({"x": np.zeros((4, 2, 3)), "dt": np.zeros((3, 2))})
    with pytest.raises(TypeError, match="RNN: x must be a tensor or an array, found dict"):
        nn.RNN(3, 4)({"x": np.zeros((4, 2, 3))})


# sequences of different lengths


def test_a_list_of_sequences_is_padded():
    net = nn.LSTM(2, 3, num_layers=2)
    sequences = [RNG.standard_normal((n, 2)).astype(np.float32) for n in (2, 5, 3)]
    y, state = net(sequences)
    for b, x in enumerate(sequences):
        y_b, state_b = net(x[:, None])
        np.testing.assert_allclose(y.data[: len(x), b], y_b.data[:, 0], atol=1e-6)
        np.testing.assert_allclose(state.h.data[:, b], state_b.h.data[:, 0], atol=1e-6)
    again, _ = net(nn.pad(sequences))
    np.testing.assert_array_equal(y.data, again.data)
    with pytest.raises(ValueError, match="have lengths already; leave lengths out"):
        net(nn.pad(sequences), lengths=[2, 5, 3])


def test_padding_keeps_the_history():
    first = mg.tensor(np.ones((2, 1)), requires_grad=True)
    xs, lengths = nn.pad([first, mg.tensor(np.ones((4, 1)))])
    assert (xs.shape, list(lengths)) == ((4, 2, 1), [2, 4])
    y, _ = nn.Unroll(nn.RNNCell(1, 1))([first, mg.tensor(np.ones((4, 1), np.float32))])
    y.sum().backward()
    assert first.grad.shape == (2, 1)


def test_batch_first_takes_padded_sequences():
    net = nn.GRU(2, 3, batch_first=True)
    y, _ = net(nn.pad([np.ones((n, 2), np.float32) for n in (2, 5)]))
    assert y.shape == (2, 5, 3)
    with pytest.raises(TypeError, match=r"write nn.pad\(sequences\)"):
        net([np.ones((2, 2)), np.ones((5, 2))])


@pytest.mark.parametrize(("k1", "k2"), [(3, 3), (3, 5), (4, 2), (9, 9)])
def test_rows_may_end_in_an_earlier_window(k1, k2):
    net = nn.LSTM(1, 4)
    xs, lengths = nn.pad([RNG.standard_normal((n, 1)).astype(np.float32) for n in (9, 5, 2)])
    y, (h, c) = net(xs, lengths=lengths)
    windows = list(nn.tbptt(net, xs, k1, k2, lengths=lengths))
    np.testing.assert_allclose(np.concatenate([w.y.data for w in windows]), y.data, atol=1e-6)
    np.testing.assert_allclose(windows[-1].state.h.data, h.data, atol=1e-6)
    np.testing.assert_allclose(windows[-1].state.c.data, c.data, atol=1e-6)
    with pytest.raises(ValueError, match="lengths up to T = 9 are possible, found 10"):
        next(nn.tbptt(net, xs, k1, lengths=[10, 1, 1]))


def test_a_row_of_length_zero_needs_a_state():
    net = nn.GRU(1, 2)
    xs = np.ones((3, 2, 1), np.float32)
    _, state = net(xs)
    y, after = net(xs, state, lengths=[0, 3])
    np.testing.assert_array_equal(after.data[0, 0], state.data[0, 0])
    assert not y.data[:, 0].any()
    with pytest.raises(ValueError, match="0 means that the row ended in an earlier window"):
        net(xs, lengths=[0, 3])


# one cell in two places


def test_a_cell_that_is_used_twice_is_told_per_use():
    cell = nn.GRUCell(3, 3)
    y, _ = nn.Bidirectional(cell, cell)(RNG.standard_normal((4, 2, 3)))
    graph = mg.Graph((y * y).sum())
    assert list(graph.axes) == ["forwards", "backwards"]
    assert {n.scope for n in graph.find(name="h")} == {
        "Bidirectional.forwards",
        "Bidirectional.backwards",
    }
    shares = [graph.grad_by_step(cell.W_hh, axis=axis).sum(0) for axis in graph.axes]
    graph.backward()
    np.testing.assert_allclose(sum(shares), cell.W_hh.grad.data, rtol=1e-4, atol=1e-6)
    cell.zero_grad()
    y, _ = nn.Unroll(nn.Stacked([cell, cell]))(RNG.standard_normal((4, 2, 3)))
    graph = mg.Graph(y.sum())
    assert {n.scope for n in graph.find(name="h")} == {"Unroll.cell.l0", "Unroll.cell.l1"}
    assert len(graph.parameters) == 4


@pytest.mark.parametrize("name", ["RNNCell", "GRUCell", "LSTMCell"])
def test_a_whole_result_in_place_of_its_state_is_told(name):
    cell = getattr(nn, name)(2, 3)
    x = np.ones((4, 2))
    result = cell(x)
    with pytest.raises((TypeError, ValueError), match=r"write y, state = cell\(x, state\)"):
        cell(x, result)
    cell(x, result[1])


def test_a_state_of_two_parts_that_does_not_fit_is_no_result():
    cell = nn.LSTMCell(2, 3)
    with pytest.raises(ValueError, match=r"\(4, 3\) is needed, found \(4, 5\)$"):
        cell(np.ones((4, 2)), (np.ones((4, 3)), np.ones((4, 5))))
