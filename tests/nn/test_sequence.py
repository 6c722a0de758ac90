"""Padding, batches, windows, truncated BPTT, decoding."""

import gc

import numpy as np
import pytest

import minigrad as mg
import nn


def test_padding_and_its_lengths():
    xs, lengths = nn.pad([np.ones((2, 3)), np.ones((4, 3))], value=-1)
    assert xs.shape == (4, 2, 3)
    assert np.array_equal(lengths, [2, 4])
    assert (xs[2:, 0] == -1).all()
    for bad in ([], [[]], [np.ones((2, 3)), np.ones((2, 4))]):
        with pytest.raises(ValueError, match="pad: sequences"):
            nn.pad(bad)


@pytest.mark.parametrize("by_length", [1, 3])
def test_an_epoch_has_every_sequence_once_in_an_order_that_the_seed_decides(by_length):
    sequences = [list(range(1 + k % 7)) for k in range(25)]
    run = list(nn.batches(sequences, 4, rng=5, by_length=by_length))
    again = list(nn.batches(sequences, 4, rng=5, by_length=by_length))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(run, again, strict=True))
    which = np.concatenate([w for _, _, w in run])
    assert sorted(which) == list(range(25))
    assert list(which) != list(range(25))
    for xs, lengths, rows in run:
        assert all(
            np.array_equal(xs[:n, b], sequences[k])
            for b, (n, k) in enumerate(zip(lengths, rows, strict=True))
        )


def test_sorting_by_length_pads_less():
    sequences = [np.zeros(n) for n in np.random.default_rng(0).integers(1, 50, 200)]
    sizes = [
        sum(xs.size for xs, _, _ in nn.batches(sequences, 10, rng=0, by_length=n)) for n in (1, 20)
    ]
    assert sizes[1] < 0.7 * sizes[0]


def test_windows_over_a_series():
    series = np.arange(20).reshape(10, 2)
    w = nn.windows(series, 4, stride=3)
    assert w.shape == (4, 3, 2)
    assert np.array_equal(w[:, 1], series[3:7])
    with pytest.raises(ValueError, match="at least 4 steps is needed, found shape"):
        nn.windows(series[:3], 4)


# truncated BPTT


class Linear(nn.Cell):
    """h = w h_prev"""

    state_size = 1

    def __init__(self):
        self.w = nn.Parameter([0.2], dtype=np.float64)

    def forward(self, x, h_prev):
        h = self.w * h_prev
        return h, h


@pytest.mark.parametrize(
    ("k1", "k2", "gradient"),
    [(1, 1, 0.036), (1, 2, 0.072), (1, 3, 0.108), (3, 3, 0.108), (3, 2, 0.072)],
)
def test_the_loss_of_the_last_step_reaches_back_k2_steps(k1, k2, gradient):
    net = nn.Unroll(Linear())
    for window in nn.tbptt(
        net, np.zeros((3, 1, 1)), k1, k2, state=mg.tensor([[0.9]], dtype=np.float64)
    ):
        net.zero_grad()
        window.y[-1].sum().backward()
    assert net.cell.w.grad.item() == pytest.approx(gradient, abs=1e-12)
    assert window.state.data.item() == pytest.approx(0.0072)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.LSTM(2, 3, num_layers=2),
        lambda: nn.Unroll(nn.GRUCell(2, 3)),
        lambda: nn.RNN(2, 3),
    ],
)
@pytest.mark.parametrize(("k1", "k2"), [(4, 4), (2, 5), (5, 2), (3, 7), (1, 1), (12, 12), (5, 4)])
def test_outputs_states_and_labels_go_on(make, k1, k2):
    mg.set_default_dtype(np.float64)
    net, xs = make(), np.random.default_rng(0).standard_normal((12, 2, 2))
    whole, last = net(xs)
    ys, stops = [], []
    for window in nn.tbptt(net, xs, k1, k2):
        graph = mg.Graph(window.y.sum())
        assert max(graph.time_steps) == window.stop - 1
        assert len(graph.axes) == (2 if isinstance(net, nn.LSTM) else 1)  # of its layers
        assert min(graph.time_steps) == (
            max(0, window.stop - k2) if k2 > window.stop - window.start else window.start
        )
        assert not any(
            s.requires_grad
            for s in (window.state if isinstance(window.state, tuple) else [window.state])
        )
        ys.append(window.y.data)
        stops.append((window.start, window.stop))
    np.testing.assert_allclose(np.concatenate(ys), whole.data, atol=1e-12)
    assert stops == [(t, min(t + k1, 12)) for t in range(0, 12, k1)]
    state = window.state
    for s, wanted in zip(
        *[(a if isinstance(a, tuple) else (a,)) for a in (state, last)], strict=True
    ):
        np.testing.assert_allclose(s.data, wanted.data, atol=1e-12)


def test_one_window_is_the_whole_gradient():
    net, xs = nn.LSTM(2, 3), np.random.default_rng(0).standard_normal((6, 2, 2))
    net(xs)[0].sum().backward()
    whole = [p.grad.data for p in net.parameters()]
    net.zero_grad()
    for window in nn.tbptt(net, xs, 2, 6):
        if window.stop == 6:
            before = net.state_dict()
            window.y.sum().backward()
            assert before.keys() == net.state_dict().keys()
    last_two = [p.grad.data for p in net.parameters()]
    net.zero_grad()
    net(xs)[0][4:].sum().backward()
    for a, b in zip(last_two, net.parameters(), strict=True):
        np.testing.assert_allclose(a, b.grad.data, rtol=1e-5, atol=1e-6)
    assert any(not np.allclose(a, b) for a, b in zip(whole, last_two, strict=True))


def live_tensors():
    return sum(issubclass(type(thing), mg.Tensor) for thing in gc.get_objects())


@pytest.mark.parametrize(("k1", "k2"), [(10, 10), (10, 20), (10, 5)])
def test_memory_is_flat(k1, k2):
    net, most = nn.LSTM(1, 2), []
    gc.collect()
    others = live_tensors()
    gc.disable()
    try:
        for T in (60, 300):
            alive = []
            for window in nn.tbptt(net, np.ones((T, 1, 1), np.float32), k1, k2):
                alive.append(live_tensors() - others)
                window.y.sum().backward()
                net.zero_grad()
                del window
            most.append(max(alive))
    finally:
        gc.enable()
    assert most[0] == most[1]
    assert most[0] < 25 * max(k1, k2) + 60


def test_a_window_of_several_pieces_is_one_axis_for_the_measures():
    net = nn.RNN(2, 3)
    *_, window = nn.tbptt(net, np.random.default_rng(0).standard_normal((12, 1, 2)), k1=3, k2=7)
    graph = mg.Graph((window.y[-1] ** 2).sum())
    flow = graph.gradient_flow()
    assert flow["h"].t == list(range(5, 12))
    assert (flow["h"].total > 0).all()
    assert graph.grad_by_step("l0.W_hh").shape == (7, 3, 3)


def test_a_detached_state_keeps_what_is_no_tensor():
    h = mg.tensor([1.0], requires_grad=True) * 2
    state = nn.detach_state({"h": h, "steps": 3.0, "parts": (h, None)})
    assert state["steps"] == 3.0
    assert state["parts"][1] is None
    assert not state["h"].requires_grad


def test_windows_over_the_batch_or_backwards_are_refused():
    xs = np.ones((4, 3, 2))
    for net, flag in (
        (nn.RNN(2, 3, batch_first=True), "batch_first"),
        (nn.GRU(2, 3, bidirectional=True), "bidirectional"),
    ):
        with pytest.raises(ValueError, match=f"tbptt: .* must not be {flag}"):
            next(nn.tbptt(net, xs, 2))


def test_bad_windows_are_named():
    with pytest.raises(ValueError, match="tbptt: k1 must be a positive integer, found 0"):
        next(nn.tbptt(nn.RNN(1, 1), np.ones((3, 1, 1)), 0))
    with pytest.raises(ValueError, match="tbptt: k2 must be a positive integer, found 1.5"):
        next(nn.tbptt(nn.RNN(1, 1), np.ones((3, 1, 1)), 1, 1.5))


# decoding


def step(tokens, state):
    """Counts up modulo 5, with a state that counts the steps."""
    return 10.0 * np.eye(5)[(tokens + 1) % 5], state + 1


def test_greedy_decoding_stops_rows_at_their_end():
    out = nn.greedy(step, np.array([0, 2]), 0, steps=10, end=4)
    assert out.T.tolist() == [[1, 2, 3, 4], [3, 4, 4, 4]]
    assert nn.greedy(step, np.array([0]), 0, steps=3).T.tolist() == [[1, 2, 3]]


def test_sampling_follows_the_probabilities_and_the_seed():
    def fair(tokens, state):
        return np.log(np.tile([0.5, 0.3, 0.2], (len(tokens), 1))), state

    first = np.zeros(4000, int)
    out = nn.sample(fair, first, None, steps=1, rng=0)
    assert np.array_equal(out, nn.sample(fair, first, None, steps=1, rng=0))
    np.testing.assert_allclose(np.bincount(out[0]) / 4000, [0.5, 0.3, 0.2], atol=0.02)
    cold = nn.sample(fair, first, None, steps=1, rng=0, temperature=0.05)
    assert (cold == 0).mean() > 0.99
    assert np.array_equal(
        nn.sample(step, np.array([0]), 0, 3, temperature=0), nn.greedy(step, np.array([0]), 0, 3)
    )
    with pytest.raises(ValueError, match="a temperature of 0 or more is needed, found -1"):
        nn.sample(fair, first, None, steps=1, temperature=-1)


def test_decoding_records_nothing():
    net = nn.LSTM(1, 2)
    out = nn.Linear(2, 3)

    def decode(tokens, state):
        y, state = net(tokens[None, :, None].astype(np.float32), state)
        logits = out(y[0])
        assert not logits.requires_grad
        return logits, state

    assert nn.greedy(decode, np.array([0, 1]), None, steps=3).shape == (3, 2)
