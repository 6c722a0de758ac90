"""Layers against results that PyTorch computed, in float64: outputs, states, every gradient."""

from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import nn
from tests.nn.torch_cases import B, D, H, T, cases, numbers

STORED = np.load(Path(__file__).parent / "torch_layers.npz")
PARTS = np.split(STORED["values"], STORED["ends"][:-1])


@pytest.fixture(autouse=True)
def _double():
    mg.set_default_dtype(np.float64)
    yield
    mg.set_default_dtype(np.float32)


def make(kind, layers, two, bias, batch_first):
    options = {"nonlinearity": kind} if kind in ("tanh", "relu") else {}
    cls = nn.RNN if options else getattr(nn, kind)
    net = cls(D, H, layers, bias=bias, batch_first=batch_first, bidirectional=two, **options)
    shapes = {name: value.shape for name, value in nn.to_torch_state_dict(net).items()}
    nn.load_torch_state_dict(net, {name: numbers(name, shape) for name, shape in shapes.items()})
    return net, shapes


@pytest.mark.parametrize(
    ("case", "expected"), list(zip(cases(), PARTS, strict=True)), ids=[str(case) for case in cases()]
)
def test_outputs_states_and_gradients(case, expected):
    kind, layers, two, bias, given, batch_first = case
    net, shapes = make(kind, layers, two, bias, batch_first)
    x = mg.tensor(numbers("x", (B, T, D) if batch_first else (T, B, D)), requires_grad=True)
    rows = layers * (1 + two)
    first = [mg.tensor(numbers(name, (rows, B, H)), requires_grad=True) for name in "hc"[: 1 + (kind == "LSTM")]]
    y, last = net(x, (tuple(first) if kind == "LSTM" else first[0]) if given else None)
    last = last if isinstance(last, tuple) else (last,)
    sum((out * numbers("out", out.shape)).sum() for out in (y, *last)).backward()

    found = [y.data, *[s.data for s in last], x.grad.data, *[s.grad.data for s in first if given]]
    for name in shapes:
        part, _, layer = name.partition("_l")
        cell = getattr(net, f"l{layer}")
        found.append(
            {
                "weight_ih": lambda c: c.W_xh.grad.data.T,
                "weight_hh": lambda c: c.W_hh.grad.data.T,
                "bias_ih": lambda c: c.b_h.grad.data,
                "bias_hh": lambda c: (
                    c.b_h.grad.data if kind != "GRU" else np.concatenate([c.b_h.grad.data[: 2 * H], c.b_hn.grad.data])
                ),
            }[part](cell)
        )
    found = np.concatenate([value.ravel() for value in found])
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["tanh", "relu", "LSTM", "GRU"])
def test_without_a_batch_axis_it_is_the_same_as_a_batch_of_one(kind):
    net, _ = make(kind, 2, True, True, False)
    x = numbers("x", (T, D))
    y, last = net(x)
    ys, lasts = net(x[:, None])
    assert np.array_equal(y.data, ys.data[:, 0])
    for s, batch in zip(mg_leaves(last), mg_leaves(lasts), strict=True):
        assert np.array_equal(s.data, batch.data[:, 0])


def mg_leaves(state):
    return list(state) if isinstance(state, tuple) else [state]


@pytest.mark.parametrize("kind", ["tanh", "LSTM", "GRU"])
def test_the_round_trip_through_pytorchs_names_keeps_the_function(kind):
    net, _ = make(kind, 2, True, True, False)
    other, _ = make(kind, 2, True, True, False)
    for p in other.parameters():
        p.data = np.zeros(p.shape)
    nn.load_torch_state_dict(other, nn.to_torch_state_dict(net))
    x = numbers("y", (T, B, D))
    assert np.array_equal(net(x)[0].data, other(x)[0].data)
    assert all(
        not value.any() for name, value in nn.to_torch_state_dict(net).items() if "bias_hh" in name and kind != "GRU"
    )


def test_a_torch_state_dict_that_does_not_fit_is_listed_in_full_and_nothing_is_loaded():
    net, shapes = make("LSTM", 1, False, True, False)
    before = {name: value.copy() for name, value in net.state_dict().items()}
    arrays = {name: numbers("z" + name, shape) for name, shape in shapes.items()}
    arrays["bias_ih_l0"] = np.zeros(3)
    arrays["weight_ih_l1"] = arrays.pop("weight_ih_l0")
    with pytest.raises(ValueError, match="nothing was loaded") as error:
        nn.load_torch_state_dict(net, arrays)
    text = str(error.value)
    assert "missing: weight_ih_l0 (8, 2)" in text
    assert "unexpected: weight_ih_l1 (8, 2)" in text
    assert "shape of bias_ih_l0: (8,) is needed, found (3,)" in text
    assert all(np.array_equal(value, before[name]) for name, value in net.state_dict().items())


def test_torch_weights_of_a_whole_network():
    class Net(nn.Module):
        def __init__(self):
            self.embed = nn.Embedding(5, D)
            self.rnn = nn.GRU(D, H)
            self.norm = nn.LayerNorm(H)
            self.out = nn.Sequential(nn.Linear(H, 3), np.tanh, nn.Linear(3, 1, bias=False))
            self.k = nn.Parameter(np.ones(2))

    net = Net()
    arrays = nn.to_torch_state_dict(net)
    names = ["embed.weight", "rnn.weight_ih_l0", "norm.weight", "norm.bias", "out.0.weight", "out.2.weight", "k"]
    assert set(names) <= set(arrays)
    assert arrays["out.0.weight"].shape == (3, H)
    other = Net()
    nn.load_torch_state_dict(other, arrays)
    for name, value in net.state_dict().items():
        assert np.array_equal(value, other.state_dict()[name])


def test_pytorch_has_no_gru_that_resets_before():
    with pytest.raises(ValueError, match="reset='after'"):
        nn.to_torch_state_dict(nn.GRU(D, H, reset="before"))
