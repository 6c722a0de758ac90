"""The textbook's network: its equations, its letters, its picture."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
import nn
from tests.minigrad.render.conftest import plain

T, n, d, h, q = 4, 2, 3, 5, 2
X = np.random.default_rng(0).standard_normal((T, n, d)).astype(np.float32)
Y = np.random.default_rng(1).standard_normal((T, n, q)).astype(np.float32)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_it_is_its_equations(nonlinearity):
    net = nn.VanillaRNN(d, h, q, nonlinearity, rng=0)
    net.b_h.data = np.linspace(-1, 1, h, dtype=np.float32)
    net.b_q.data = np.array([0.5, -0.5], np.float32)
    first = np.random.default_rng(2).standard_normal((n, h)).astype(np.float32)
    O, H = net(X, first)
    φ = np.tanh if nonlinearity == "tanh" else lambda a: np.maximum(a, 0)
    W = {name: p.data for name, p in net.named_parameters()}
    state = first
    for t in range(T):
        state = φ(X[t] @ W["W_xh"] + state @ W["W_hh"] + W["b_h"])
        np.testing.assert_allclose(O.data[t], state @ W["W_hq"] + W["b_q"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(H.data, state, rtol=1e-5)


def test_it_is_a_layer_with_a_head():
    net, layer, head = nn.VanillaRNN(d, h, q), nn.RNN(d, h), nn.Linear(h, q)
    weights = net.state_dict()
    layer.load_state_dict({f"l0.{name}": weights[name] for name in ("W_xh", "W_hh", "b_h")})
    head.load_state_dict({"W": weights["W_hq"], "b": weights["b_q"]})
    ours = mg.grad(nn.mse_loss(net(X)[0], Y), net.parameters())
    twin = mg.grad(nn.mse_loss(head(layer(X)[0]), Y), [*layer.parameters(), *head.parameters()])
    for one, other in zip(ours, twin, strict=True):
        np.testing.assert_allclose(one.data, other.data, rtol=1e-4, atol=1e-6)


def losses(net):
    """A loss at every step, added up as one types it."""
    O, _ = net(X)
    loss = 0
    for O_t, Y_t in zip(O, Y, strict=True):
        loss = loss + nn.mse_loss(O_t, Y_t)
    return loss


@pytest.mark.parametrize("time", ["unrolled", "rolled"])
def test_the_picture_has_the_letters_of_the_textbook(time):
    net = nn.VanillaRNN(d, h, q)
    source = plain(mg.Graph(losses(net)).to_dot(view="cells", time=time, count_from=1).source)
    letters = ["W_xh", "W_hh", "b_h", "W_hq", "b_q", "VanillaRNN", f"loss = Σ of {T}"]
    steps = ["₁", "₂", "₃", "₄"] if time == "unrolled" else ["ₜ"]
    letters += [f"{name}{step}" for name in ("X", "O") for step in steps]
    for letter in letters:
        assert letter in source
    assert source.count('label="− x² mean"') == len(steps)  # the program gives a loss no name
    assert "constant" not in source
    assert "X₀" not in source


def test_the_sum_of_losses_is_no_state():
    graph = mg.Graph(losses(nn.VanillaRNN(d, h, q)))
    assert [state.name for state in graph.states] == ["H"]


@pytest.mark.parametrize(
    ("inputs", "state", "message"),
    [
        (X[..., :2], None, r"X \(T, n, 3\) is needed, found 4 steps of shape \(2, 2\)"),
        (X[0], None, r"found 2 steps of shape \(3,\)"),
        ([], None, "found no steps"),
        (X, np.zeros((n, h + 1)), r"H \(2, 5\) is needed, found \(2, 6\); write None for zeros"),
    ],
)
def test_what_does_not_fit_is_told(inputs, state, message):
    with pytest.raises(ValueError, match=message):
        nn.VanillaRNN(d, h, q)(inputs, state)


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="output_size"):
        nn.VanillaRNN(d, h, 0)
    assert "3, 5, 2" in repr(nn.VanillaRNN(d, h, q))


def test_a_loose_parameter_bears_the_name_of_its_variable():
    gain = nn.Parameter([2.0])
    loss = sum(((x * gain) ** 2).mean() for _, x in mg.timesteps(X))
    source = mg.Graph(loss).to_dot().source
    assert "gain" in source
    assert "constant" not in source
