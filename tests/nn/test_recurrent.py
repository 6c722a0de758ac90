"""RNN, LSTM, GRU, stacked and bidirectional: axes, scopes, dropout, shapes, printing, bad input."""

import numpy as np
import pytest

import minigrad as mg
import nn

XS = np.random.default_rng(0).standard_normal((4, 2, 3)).astype(np.float32)


def test_layers_and_directions_have_axes_and_scopes_of_their_own():
    net = nn.Sequential(nn.GRU(3, 4, num_layers=2, bidirectional=True))
    y, _ = net(XS)
    graph = mg.Graph(y.sum())
    names = ["0.l0", "0.l0_reverse", "0.l1", "0.l1_reverse"]
    assert list(graph.axes) == names
    assert {node.scope for node in graph.find(name="h")} == {f"Sequential.{name}" for name in names}
    assert len(graph.crossings) == 4 * 3
    assert [leaf.name for leaf in graph.leaves if leaf.requires_grad][:4] == [
        f"0.l0.{n}" for n in ("W_xh", "W_hh", "b_h", "b_hn")
    ]


def test_both_directions_see_the_same_inputs():
    y, _ = nn.RNN(3, 4, bidirectional=True)(XS)
    graph = mg.Graph(y.sum())
    assert len(graph.find(name="x")) == 4
    assert all(len(graph.users[x]) == 2 for x in graph.find(name="x"))


def test_a_stack_of_cells_is_one_axis_and_equals_layer_after_layer():
    cells = [nn.LSTMCell(3, 4), nn.GRUCell(4, 5), nn.RNNCell(5, 2)]
    y, state = nn.Unroll(nn.Stacked(cells))(XS)
    graph = mg.Graph(y.sum())
    assert list(graph.axes) == ["cell"]
    assert {source.role.name for source, _ in graph.crossings} == {"h", "c"}
    x = XS
    for cell, final in zip(cells, state, strict=True):
        x, s = nn.Unroll(cell)(x)
        assert all(
            np.array_equal(a.data, b.data)
            for a, b in zip(
                *[(v if isinstance(v, tuple) else (v,)) for v in (s, final)], strict=True
            )
        )
    assert np.array_equal(x.data, y.data)
    again, _ = nn.Unroll(nn.Stacked(cells))(XS, state)
    assert not np.array_equal(again.data, y.data)


def test_the_same_network_by_hand():
    net = nn.RNN(3, 4, num_layers=2, bidirectional=True)
    deep = nn.Stacked(
        [nn.Bidirectional(net.l0, net.l0_reverse), nn.Bidirectional(net.l1, net.l1_reverse)]
    )
    y, h_n = net(XS)
    z, states = deep(XS)
    assert np.array_equal(y.data, z.data)
    assert np.array_equal(h_n.data, np.stack([s.data for pair in states for s in pair]))
    assert np.array_equal(deep(XS, states)[0].data, net(XS, h_n)[0].data)


def test_dropout_between_layers_works_in_training_alone():
    for make in (
        lambda p: nn.GRU(3, 4, num_layers=2, dropout=p),
        lambda p: nn.Unroll(nn.Stacked([nn.GRUCell(3, 4), nn.GRUCell(4, 4)], p)),
    ):
        net, plain = make(0.5), make(0.0)
        plain.load_state_dict(net.state_dict())
        wanted = plain(XS)[0].data
        mg.seed(1)
        first = net(XS)[0].data
        assert not np.array_equal(first, wanted)
        mg.seed(1)
        assert np.array_equal(net(XS)[0].data, first)
        net.eval()
        assert np.array_equal(net(XS)[0].data, wanted)
    with pytest.warns(UserWarning, match=r"GRU: dropout=0.5 drops outputs between layers"):
        one = nn.GRU(3, 4, dropout=0.5)
    assert np.array_equal(one(XS)[0].data, one(XS)[0].data)


def test_the_teachers_line():
    y, h = nn.RNN(1, 8)(np.random.default_rng(0).standard_normal((6, 1, 1)))
    loss = (y[-1] ** 2).mean()
    assert y.dtype == np.float32
    assert h.shape == (1, 1, 8)
    assert repr(mg.Graph(loss)).startswith(
        "Graph: 6 time steps, 34 operations, 3 parameters: l0.W_xh (1, 8) used 6 times"
    )


def test_the_engineers_lines(tmp_path):
    source = nn.LSTM(4, 6)
    arrays = nn.to_torch_state_dict(source)
    np.savez(tmp_path / "bad.npz", x=np.ones((5, 2, 4)), y=np.zeros((2, 6)), **arrays)
    bad = np.load(tmp_path / "bad.npz")
    net = nn.LSTM(4, 6)
    nn.load_torch_state_dict(net, {k: bad[k] for k in bad if k not in "xy"})
    y, _ = net(bad["x"])
    loss = nn.mse_loss(y[-1], bad["y"])
    loss.backward()
    assert loss.dtype == np.float32
    (h,) = mg.Graph(loss).find(name="h", t=3)
    assert (h.scope, h.source.expression) == ("LSTM.l0", "o * mg.tanh(c)")
    assert "test_recurrent.py" in str(h._scope.called_from)


def test_printing():
    text = repr(nn.LSTM(3, 4, num_layers=2, bidirectional=True, dropout=0.1))
    assert text.splitlines()[0] == "LSTM(3, 4, num_layers=2, bidirectional, dropout=0.1)"
    assert "l1_reverse: LSTMCell(8, 4)" in text
    assert "c = f ∘ c_prev + i ∘ g" in text


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: nn.RNN(3, 4, num_layers=0),
            ValueError,
            "RNN: num_layers must be a positive integer, found 0",
        ),
        (
            lambda: nn.LSTM(3, 4, dropout=1.0),
            ValueError,
            r"LSTM: dropout must be in \[0, 1\), found 1.0",
        ),
        (
            lambda: nn.LSTM(3, 4, dropout="a"),
            ValueError,
            r"LSTM: dropout must be in \[0, 1\), found 'a'",
        ),
        (
            lambda: nn.GRU(3, 4, bidirectional="yes"),
            TypeError,
            "GRU: bidirectional must be True or False, found 'yes'",
        ),
        (
            lambda: nn.RNN(3, 4, bidirectional=2),
            TypeError,
            "RNN: bidirectional must be True or False, found 2",
        ),
        (
            lambda: nn.LSTM(3, 4, batch_first=True)([[1.0, 2.0, 3.0]]),
            TypeError,
            "batch_first needs an array",
        ),
        (lambda: nn.RNN(3, 4, nonlinearity="sin"), ValueError, "nonlinearity"),
        (
            lambda: nn.GRU(3, 4)(np.ones((2, 2, 5))),
            ValueError,
            r"x \(B, 3\) or \(3,\) is needed at each step",
        ),
        (lambda: nn.GRU(3, 4)(np.ones((0, 2, 3))), ValueError, "at least one step"),
        (
            lambda: nn.GRU(3, 4)(XS, np.ones((2, 2, 4))),
            ValueError,
            r"GRU: state \(1, 2, 4\) is needed, found \(2, 2, 4\)",
        ),
        (
            lambda: nn.LSTM(3, 4)(XS, np.ones((1, 2, 4))),
            ValueError,
            r"LSTM: state must be a tuple \(h, c\)",
        ),
        (
            lambda: nn.LSTM(3, 4)(XS, (np.ones((1, 2, 4)), np.ones((1, 1, 4)))),
            ValueError,
            r"LSTM: state.c \(1, 2, 4\)",
        ),
        (
            lambda: nn.GRU(3, 4)(XS[:, 0], lengths=[3]),
            ValueError,
            "one length for each row of a batch",
        ),
        (
            lambda: nn.Bidirectional(nn.RNN(3, 4), nn.RNNCell(3, 4)),
            TypeError,
            "an nn.Cell is needed, found RNN",
        ),
        (
            lambda: nn.Bidirectional(nn.RNNCell(3, 4), nn.RNNCell(3, 4))(XS, XS),
            ValueError,
            "a pair",
        ),
        (lambda: nn.Stacked([]), TypeError, "found nothing"),
        (lambda: nn.Stacked([nn.RNNCell(3, 4), nn.RNN(4, 4)]), TypeError, "found RNNCell, RNN"),
        (
            lambda: nn.Unroll(nn.Stacked([nn.RNNCell(3, 4), nn.RNNCell(5, 4)]))(XS),
            ValueError,
            r"l1: x \(B, 5\)",
        ),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call()
