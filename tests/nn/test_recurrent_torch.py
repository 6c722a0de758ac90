"""Layers against results that PyTorch computed, in float64: outputs, states, every gradient."""

from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from tests.nn.torch_cases import B, D, H, T, cases, make, numbers

STORED = np.load(Path(__file__).parent / "torch_layers.npz")
PARTS = np.split(STORED["values"], STORED["ends"][:-1])


@pytest.fixture(autouse=True)
def _double():
    mg.set_default_dtype(np.float64)
    yield
    mg.set_default_dtype(np.float32)


@pytest.mark.parametrize(
    ("case", "expected"),
    list(zip(cases(), PARTS, strict=True)),
    ids=[str(case) for case in cases()],
)
def test_outputs_states_and_gradients(case, expected):
    kind, layers, two, bias, given, batch_first = case
    net, shapes = make(kind, layers, two, bias, batch_first)
    x = mg.tensor(numbers("x", (B, T, D) if batch_first else (T, B, D)), requires_grad=True)
    rows = layers * (1 + two)
    first = [
        mg.tensor(numbers(name, (rows, B, H)), requires_grad=True)
        for name in "hc"[: 1 + (kind == "LSTM")]
    ]
    state = tuple(first) if kind == "LSTM" else first[0]
    y, last = net(x, state if given else None)
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
                    c.b_h.grad.data
                    if kind != "GRU"
                    else np.concatenate([c.b_h.grad.data[: 2 * H], c.b_hn.grad.data])
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
