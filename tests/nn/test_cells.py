"""The equations of the docstrings, evaluated in plain NumPy; derivatives to second order; labels;
bad input.
"""

import numpy as np
import pytest

import minigrad as mg
import nn


def sigma(x):
    return 1 / (1 + np.exp(-x))


def numbers(cell, seed=0):
    """The cell with random float64 parameters, and x, h, c."""
    rng = np.random.default_rng(seed)
    for p in cell.parameters():
        p.data = rng.standard_normal(p.shape)
    return [rng.standard_normal(shape) for shape in ((2, 3), (2, 4), (2, 4))]


@pytest.fixture(autouse=True)
def _double():
    mg.set_default_dtype(np.float64)
    yield
    mg.set_default_dtype(np.float32)


def rnn(cell, x, h_prev, c_prev):
    a = (
        x @ cell.W_xh.data
        + h_prev @ cell.W_hh.data
        + (cell.b_h.data if cell.b_h is not None else 0)
    )
    return np.tanh(a) if cell.nonlinearity == "tanh" else a * (a > 0)


def lstm(cell, x, h_prev, c_prev):
    H = 4
    W = [cell.W_xh.data[:, k * H : (k + 1) * H] for k in range(4)]
    U = [cell.W_hh.data[:, k * H : (k + 1) * H] for k in range(4)]
    b = [cell.b_h.data[k * H : (k + 1) * H] if cell.b_h is not None else 0 for k in range(4)]
    a_i, a_f, a_g, a_o = (x @ W[k] + h_prev @ U[k] + b[k] for k in range(4))
    i, f, g, o = sigma(a_i), sigma(a_f), np.tanh(a_g), sigma(a_o)
    c = f * c_prev + i * g
    h = o * np.tanh(c)
    return h, c


def gru(cell, x, h_prev, c_prev):
    W_xr, W_xz, W_xn = np.split(cell.W_xh.data, 3, axis=1)
    W_hr, W_hz, W_hn = np.split(cell.W_hh.data, 3, axis=1)
    b_r, b_z, b_n = np.split(cell.b_h.data, 3) if cell.b_h is not None else (0, 0, 0)
    b_hn = cell.b_hn.data if cell.b_hn is not None else 0
    r = sigma(x @ W_xr + h_prev @ W_hr + b_r)
    z = sigma(x @ W_xz + h_prev @ W_hz + b_z)
    if cell.reset == "after":
        n = np.tanh(x @ W_xn + b_n + r * (h_prev @ W_hn + b_hn))
    else:
        n = np.tanh(x @ W_xn + (r * h_prev) @ W_hn + b_n)
    return (1 - z) * n + z * h_prev


CELLS = {
    "tanh": (lambda: nn.RNNCell(3, 4), rnn),
    "tanh, no bias": (lambda: nn.RNNCell(3, 4, bias=False), rnn),
    "relu": (lambda: nn.RNNCell(3, 4, nonlinearity="relu"), rnn),
    "LSTM": (lambda: nn.LSTMCell(3, 4), lstm),
    "LSTM, no bias": (lambda: nn.LSTMCell(3, 4, bias=False), lstm),
    "GRU after": (lambda: nn.GRUCell(3, 4), gru),
    "GRU after, no bias": (lambda: nn.GRUCell(3, 4, bias=False), gru),
    "GRU before": (lambda: nn.GRUCell(3, 4, reset="before"), gru),
    "GRU before, no bias": (lambda: nn.GRUCell(3, 4, reset="before", bias=False), gru),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_step_is_the_equations_of_the_docstring(name):
    make, equations = CELLS[name]
    cell = make()
    x, h, c = numbers(cell)
    state = nn.LSTMState(h, c) if name.startswith("LSTM") else h
    y, new = cell(x, state)
    wanted = equations(cell, x, h, c)
    wanted_h = wanted[0] if isinstance(wanted, tuple) else wanted
    np.testing.assert_allclose(y.data, wanted_h, rtol=0, atol=1e-14)
    if isinstance(wanted, tuple):
        assert isinstance(new, nn.LSTMState)
        assert new.h is y
        np.testing.assert_allclose(new.c.data, wanted[1], rtol=0, atol=1e-14)
    else:
        assert new is y


@pytest.mark.parametrize("name", CELLS)
def test_derivatives_to_second_order(name):
    cell = CELLS[name][0]()
    report = nn.check_cell(cell)
    assert report.ok, repr(report)


@pytest.mark.parametrize("name", CELLS)
def test_a_vector_is_a_row_of_a_batch(name):
    cell = CELLS[name][0]()
    x, h, c = numbers(cell)
    pick = (lambda k: nn.LSTMState(h[k], c[k])) if name.startswith("LSTM") else (lambda k: h[k])
    rows = [cell(x[k], pick(k))[0].data for k in range(2)]
    whole = cell(x, nn.LSTMState(h, c) if name.startswith("LSTM") else h)[0].data
    np.testing.assert_allclose(np.stack(rows), whole, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("make", "labels", "operations"),
    [
        (lambda: nn.RNNCell(3, 4), ["a", "h"], 5),
        (
            lambda: nn.LSTMCell(3, 4),
            ["a", "a_i", "a_f", "a_g", "a_o", "i", "f", "g", "o", "c", "h"],
            17,
        ),
        (
            lambda: nn.GRUCell(3, 4),
            ["a", "a_r", "a_z", "a_n", "u_r", "u_z", "u_n", "r", "z", "n", "h"],
            21,
        ),
        (lambda: nn.GRUCell(3, 4, reset="before"), ["r", "z", "n", "h"], 22),
    ],
)
def test_nodes_bear_the_letters_of_the_equations_and_there_are_few(make, labels, operations):
    y, _ = nn.Unroll(make())(np.ones((3, 2, 3)))
    graph = mg.Graph(y[2].sum())
    for label in labels:
        assert len(graph.find(name=label, t=1)) == 1, label
    assert sum(node.op is not None for node in graph.at(1)) == operations


def test_the_start_is_as_documented():
    cell = nn.LSTMCell(3, 4, rng=0)
    assert np.array_equal(cell.b_h.data, [0] * 4 + [1] * 4 + [0] * 8)
    for gate in np.split(cell.W_hh.data, 4, axis=1):
        np.testing.assert_allclose(gate @ gate.T, np.eye(4), atol=1e-12)
    limit = np.sqrt(6 / (3 + 4))
    assert np.abs(cell.W_xh.data).max() <= limit
    assert np.abs(cell.W_xh.data).max() > 0.8 * limit
    assert np.array_equal(cell.W_hh.data, nn.LSTMCell(3, 4, rng=0).W_hh.data)
    mg.seed(5)
    first = nn.GRUCell(3, 4).W_xh.data
    mg.seed(5)
    assert np.array_equal(first, nn.GRUCell(3, 4).W_xh.data)


def test_printing_shows_the_equations_with_shapes():
    text = repr(nn.GRUCell(3, 4))
    assert text.splitlines()[0] == "GRUCell(3, 4)"
    assert "n = tanh(x W_xn + b_n + r ∘ (h_prev W_hn + b_hn))" in text
    assert "W_xh (3, 12)  W_hh (4, 12)  b_h (12,)  b_hn (4,)" in text
    assert "(r ∘ h_prev) W_hn" in repr(nn.GRUCell(3, 4, reset="before"))


def test_a_state_without_history_in_any_structure():
    h = mg.tensor([1.0], requires_grad=True) * 2
    state = nn.detach_state((nn.LSTMState(h, h), [h], {"h": h}))
    assert isinstance(state[0], nn.LSTMState)
    assert not any(s.requires_grad for s in (*state[0], *state[1], state[2]["h"]))
    assert np.array_equal(state[0].h.data, h.data)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: nn.RNNCell(0, 4),
            ValueError,
            "RNNCell: input_size must be a positive integer, found 0",
        ),
        (
            lambda: nn.LSTMCell(3, 2.5),
            ValueError,
            "LSTMCell: hidden_size must be a positive integer, found 2.5",
        ),
        (lambda: nn.RNNCell(3, 4, nonlinearity="elu"), ValueError, "'tanh' or 'relu', found 'elu'"),
        (lambda: nn.GRUCell(3, 4, reset="never"), ValueError, "'after' or 'before', found 'never'"),
        (
            lambda: nn.RNNCell(3, 4)(np.ones((2, 5))),
            ValueError,
            r"x \(B, 3\) or \(3,\) is needed at each step, found \(2, 5\)",
        ),
        (
            lambda: nn.RNNCell(3, 4)(np.ones((2, 3), int)),
            TypeError,
            "x must hold floats, found int64",
        ),
        (
            lambda: nn.RNNCell(3, 4)(np.ones((2, 3)), np.ones((3, 4))),
            ValueError,
            r"state \(2, 4\) is needed, found \(3, 4\)",
        ),
        (
            lambda: nn.LSTMCell(3, 4)(np.ones((2, 3)), np.ones((2, 4))),
            ValueError,
            r"state must be a tuple \(h, c\)",
        ),
        (
            lambda: nn.LSTMCell(3, 4)(np.ones((2, 3)), (np.ones((2, 4)), np.ones((2, 5)))),
            ValueError,
            r"state.c \(2, 4\) is needed, found \(2, 5\)",
        ),
        (
            lambda: nn.GRUCell(3, 4)(np.ones((2, 3)), (np.ones((2, 4)),)),
            TypeError,
            r"a tensor \(2, 4\), found tuple",
        ),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_cell_that_returns_its_state_alone_is_told_what_to_return():
    class Alone(nn.Cell):
        state_size = 4

        def forward(self, x, h_prev):
            return h_prev + x

    for call in (lambda: nn.Unroll(Alone())(np.ones((3, 2, 4))), lambda: Alone()(np.ones((2, 4)))):
        with pytest.raises(
            TypeError, match=r"Alone.forward must return \(y, state\), found one Tensor"
        ):
            call()


def test_a_cell_without_a_size_is_told_to_set_it():
    class NoSize(nn.Cell):
        def forward(self, x, h_prev):
            return h_prev, h_prev

    with pytest.raises(TypeError, match="NoSize: set self.state_size, or write initial_state"):
        nn.Unroll(NoSize())(np.ones((3, 2, 4)))


def test_no_state_stays_no_state_when_it_is_detached():
    h = mg.tensor([1.0], requires_grad=True) * 2
    assert nn.detach_state(None) is None
    first, (second, third) = nn.detach_state((None, [{"a": None, "b": h}, h]))
    assert first is None
    assert second["a"] is None
    assert second["b"].is_leaf
    assert third.is_leaf
