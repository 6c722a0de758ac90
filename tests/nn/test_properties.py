"""Properties that hold for every shape: rows stand alone, windows join up, files and PyTorch's
names lose nothing.
"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
import nn

KINDS = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
sizes = st.integers(1, 4)


def leaves(state):
    return list(state) if isinstance(state, tuple) else [state]


def sequence(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    sizes,
    sizes,
    st.integers(1, 2),
    st.booleans(),
    st.booleans(),
    st.data(),
)
def test_each_row_stands_alone(kind, D, H, layers, both, batch_first, data):
    mg.set_default_dtype(np.float64)
    lengths = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    T = max(lengths) + data.draw(st.integers(0, 1))
    net = KINDS[kind](D, H, layers, bidirectional=both, batch_first=batch_first)
    xs = sequence(0, T, len(lengths), D)
    y, state = net(xs.swapaxes(0, 1) if batch_first else xs, lengths=lengths)
    y = y.data.swapaxes(0, 1) if batch_first else y.data
    for b, n in enumerate(lengths):
        alone, last = net(xs[:n, b])
        np.testing.assert_allclose(y[:n, b], alone.data, rtol=0, atol=1e-12)
        assert not y[n:, b].any()
        for s, s_alone in zip(leaves(state), leaves(last), strict=True):
            np.testing.assert_allclose(s.data[:, b], s_alone.data, rtol=0, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.integers(1, 12), st.integers(1, 13), st.integers(1, 13))
def test_windows_join_up_and_reach_back_as_far_as_told(kind, T, k1, k2):
    mg.set_default_dtype(np.float64)
    net, xs = KINDS[kind](2, 2), mg.tensor(sequence(1, T, 1, 2), requires_grad=True)
    whole, last = net(xs)
    ys = []
    for window in nn.tbptt(net, xs, k1, k2):
        ys.append(window.y.data)
        xs.grad = None
        window.y[-1].sum().backward()
        reached = np.flatnonzero(np.any(xs.grad.data != 0, axis=(1, 2)))
        assert list(reached) == list(range(max(0, window.stop - k2), window.stop))
    np.testing.assert_allclose(np.concatenate(ys), whole.data, rtol=0, atol=1e-12)
    for s, wanted in zip(leaves(window.state), leaves(last), strict=True):
        np.testing.assert_allclose(s.data, wanted.data, rtol=0, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)), sizes, sizes, st.integers(1, 3), st.booleans(), st.booleans()
)
def test_pytorchs_names_and_back_keep_the_function(kind, D, H, layers, both, bias):
    net, other = (KINDS[kind](D, H, layers, bias=bias, bidirectional=both) for _ in range(2))
    nn.load_torch_state_dict(other, nn.to_torch_state_dict(net))
    xs = sequence(2, 3, 2, D)
    assert np.array_equal(net(xs)[0].data, other(xs)[0].data)
