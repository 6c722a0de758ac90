"""The loop over time: labels, axes, lengths; the length of a sequence costs nothing but itself."""

import gc
import sys
import tracemalloc

import numpy as np
import pytest

import minigrad as mg
import nn

RNG = np.random.default_rng(0)


def sequence(T, B=2, D=3):
    return RNG.standard_normal((T, B, D)).astype(np.float32)


def test_it_is_the_loop_that_one_would_write():
    cell, xs = nn.LSTMCell(3, 4), sequence(5)
    y, state = nn.Unroll(cell)(xs)
    s, ys = cell.initial_state(2), []
    for x in xs:
        y_t, s = cell(x, s)
        ys.append(y_t.data)
    assert np.array_equal(y.data, np.stack(ys))
    assert np.array_equal(state.c.data, s.c.data)


def test_labels_axes_roles_and_scopes():
    y, _ = nn.Unroll(nn.LSTMCell(3, 4))(sequence(3))
    graph = mg.Graph(y[2].sum())
    assert list(graph.axes) == ["cell"]
    assert graph.time_steps == (0, 1, 2)
    assert {leaf.name for leaf in graph.leaves if leaf.name} == {
        "cell.W_xh",
        "cell.W_hh",
        "cell.b_h",
        "h_init",
        "c_init",
    }
    assert [node.role.kind for node in graph.find(name="x")] == ["input"] * 3
    (h,) = graph.find(name="h", t=1)
    assert (h.role.kind, h.role.name, h.scope) == ("state", "h", "Unroll.cell")
    assert len(graph.crossings) == 4  # h and c, twice
    assert str(h.source).startswith("nn/cells.py")
    assert "test_unroll.py" in str(h._scope.called_from)


def test_a_reversed_layer_counts_its_positions_from_the_end():
    y, last = nn.Unroll(nn.RNNCell(3, 4))(sequence(3), reverse=True)
    graph = mg.Graph(y.sum())
    assert graph.time_steps == (2, 1, 0)
    assert np.array_equal(y.data[0], last.data)


def test_two_calls_open_two_axes():
    layer = nn.Unroll(nn.RNNCell(3, 4))
    y, _ = layer(sequence(2))
    z, _ = layer(sequence(2))
    assert list(mg.Graph((y + z).sum()).axes) == ["cell", "cell_2"]


def test_a_list_of_steps_and_tokens_and_no_batch_axis():
    cell, xs = nn.GRUCell(3, 4), sequence(4)
    layer = nn.Unroll(cell)
    y = layer(xs)[0].data
    assert np.array_equal(layer(list(xs))[0].data, y)
    np.testing.assert_allclose(layer(xs[:, 1])[0].data, y[:, 1], atol=1e-6)

    assert np.array_equal(nn.GRU(3, 4)(list(xs))[0].shape, (4, 2, 4))

    class Listed(nn.Cell):
        state_size = (3, 3)

        def forward(self, x, state):
            return x, [state[1], state[0] + x]

    _, state = nn.Unroll(Listed())(xs, lengths=[4, 2])
    assert np.array_equal(state[0].data[1], xs[0, 1])

    class Embedded(nn.Cell):
        def __init__(self):
            self.embed, self.cell, self.state_size = nn.Embedding(5, 3), cell, 4

        def forward(self, x, h_prev):
            return self.cell(self.embed(x), h_prev)

    tokens = np.array([[1, 2], [3, 4], [0, 0]])
    net = Embedded()
    assert np.array_equal(nn.Unroll(net)(tokens)[0].data, layer(net.embed(tokens))[0].data)


# lengths

LAYERS = {
    "unroll": lambda: nn.Unroll(nn.LSTMCell(3, 4)),
    "reverse": lambda: nn.Unroll(nn.LSTMCell(3, 4)),
    "stacked": lambda: nn.Unroll(nn.Stacked([nn.GRUCell(3, 4), nn.LSTMCell(4, 4)])),
    "bidirectional": lambda: nn.Bidirectional(nn.GRUCell(3, 4), nn.RNNCell(3, 4)),
    "stacked bidirectional": lambda: nn.Stacked(
        [
            nn.Bidirectional(nn.GRUCell(3, 4), nn.GRUCell(3, 4)),
            nn.Bidirectional(nn.GRUCell(8, 4), nn.GRUCell(8, 4)),
        ]
    ),
    "RNN": lambda: nn.RNN(3, 4, num_layers=2, bidirectional=True),
    "LSTM": lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True),
}


def flat(state):
    return [leaf for part in state for leaf in flat(part)] if isinstance(state, tuple) else [state]


@pytest.mark.parametrize("kind", LAYERS)
def test_lengths_are_each_row_alone_and_padding_changes_nothing(kind):
    mg.set_default_dtype(np.float64)
    layer = LAYERS[kind]()
    options = {"reverse": True} if kind == "reverse" else {}
    lengths, T = [3, 6, 1, 4], 6
    xs = RNG.standard_normal((T, 4, 3))

    def run(value):
        padded = xs.copy()
        for b, n in enumerate(lengths):
            padded[n:, b] = value
        x = mg.tensor(padded, requires_grad=True)
        y, state = layer(x, lengths=lengths, **options)
        layer.zero_grad()
        (y * y).sum().backward()
        leaves = [p for p in layer.parameters() if p.grad is not None]
        return y.data, [s.data for s in flat(state)], [x.grad.data, *[p.grad.data for p in leaves]]

    y, state, grads = run(0.0)
    for value in (np.nan, np.inf, 1e30):
        other = run(value)
        assert np.array_equal(y, other[0])
        assert all(
            np.array_equal(a, b) for a, b in zip(state + grads, other[1] + other[2], strict=True)
        )
    batch_axis = 1 if kind in ("RNN", "LSTM") else 0
    for b, n in enumerate(lengths):
        y_b, state_b = layer(xs[:n, b : b + 1], **options)
        np.testing.assert_allclose(y[:n, b : b + 1], y_b.data, rtol=0, atol=1e-12)
        assert not y[n:, b].any()
        for s, s_b in zip(state, flat(state_b), strict=True):
            np.testing.assert_allclose(np.take(s, [b], batch_axis), s_b.data, rtol=0, atol=1e-12)
        assert not grads[0][n:, b].any()
    mg.set_default_dtype(np.float32)


def test_steps_where_every_row_is_inside_are_not_masked():
    y, state = nn.Unroll(nn.LSTMCell(3, 4))(sequence(6), lengths=[4, 6])
    graph = mg.Graph(y.sum(), *state)
    assert [len(graph.find(op="where", t=t)) for t in range(6)] == [0, 0, 0, 0, 2, 2]


# the length of a sequence


def alive():
    return sum(issubclass(type(thing), mg.Tensor) for thing in gc.get_objects())


def test_ten_thousand_steps_under_a_small_recursion_limit_freed_at_once():
    net, limit = nn.LSTM(1, 2), sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    gc.collect()
    tensors = alive()
    gc.disable()
    try:
        x = mg.tensor(np.ones((10_000, 1, 1), np.float32), requires_grad=True)
        y, state = net(x)
        loss = y[-1].sum()
        loss.backward()
        graph = mg.Graph(loss)
        assert "10000 time steps" in repr(graph)
        assert len(graph) > 10_000 * 17
        assert x.grad.data.any()
        del x, y, state, loss, graph
        net.zero_grad()
        assert alive() == tensors
    finally:
        gc.enable()
        sys.setrecursionlimit(limit)


def test_work_and_memory_are_linear_in_the_number_of_steps():
    net, calls, memory, kept = nn.LSTM(1, 2), [], [], []
    for T in (100, 200, 400):
        x = mg.tensor(np.ones((T, 1, 1), np.float32), requires_grad=True)
        tracemalloc.start()
        y, _ = net(x)
        kept.append(y)  # what is freed would be used again, and not be counted
        memory.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        calls.append(sum(1 for _ in mg.Graph(y[-1].sum()).backward_steps()))
    assert calls[2] - calls[1] == 2 * (calls[1] - calls[0])
    assert memory[2] - memory[1] == pytest.approx(2 * (memory[1] - memory[0]), rel=0.1)


# bad input


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda layer: layer(np.zeros((0, 2, 3))),
            ValueError,
            "at least one step is needed, found \\(0, 2, 3\\)",
        ),
        (lambda layer: layer([]), ValueError, "at least one step is needed"),
        (
            lambda layer: layer(np.zeros((5, 2, 4))),
            ValueError,
            r"x \(B, 3\) or \(3,\) is needed at each step",
        ),
        (
            lambda layer: layer(sequence(5), lengths=[5]),
            ValueError,
            "one length for each row of a batch",
        ),
        (
            lambda layer: layer(sequence(5), lengths=[0, 2]),
            ValueError,
            "1 to T = 5 is possible, found 0 in row 0",
        ),
        (
            lambda layer: layer(sequence(5), lengths=[5, 6]),
            ValueError,
            "1 to T = 5 is possible, found 6 in row 1",
        ),
        (lambda layer: layer(sequence(5), lengths=[1.5, 2.0]), ValueError, "integers of shape"),
        (
            lambda layer: layer(sequence(5), np.zeros((3, 4))),
            ValueError,
            r"state \(2, 4\) is needed, found \(3, 4\)",
        ),
        (
            lambda layer: layer([np.zeros((2, 3)), np.zeros((2, 4))]),
            ValueError,
            "all steps must have the same shape",
        ),
        (lambda layer: nn.Unroll(nn.Linear(3, 4)), TypeError, "an nn.Cell is needed, found Linear"),
        (
            lambda layer: nn.Unroll(nn.Stacked([layer])),
            TypeError,
            "an nn.Cell is needed, found Stacked",
        ),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call(nn.Unroll(nn.RNNCell(3, 4)))


def test_a_cell_whose_state_changes_its_form_is_named():
    class Growing(nn.Cell):
        state_size = 2

        def forward(self, x, h_prev):
            return h_prev, np.concatenate([h_prev, h_prev], axis=-1)

    with pytest.raises(
        ValueError, match=r"the state that forward returns \(2, 2\) is needed, found \(2, 4\)"
    ):
        nn.Unroll(Growing())(np.zeros((3, 2, 2)))


def test_an_error_in_a_cell_restores_the_labels():
    class Broken(nn.Cell):
        state_size = 2

        def forward(self, x, h_prev):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        nn.Unroll(Broken())(np.zeros((3, 2, 2)))
    assert (mg.tensor(1.0).t, mg.tensor(1.0).scope) == (None, "")


def test_an_empty_batch_may_have_an_empty_list_of_lengths():
    y, h = nn.Unroll(nn.RNNCell(3, 4))(np.ones((5, 0, 3)), lengths=[])
    assert (y.shape, h.shape) == ((5, 0, 4), (0, 4))
