"""State dictionaries of PyTorch, both ways."""

import numpy as np
import pytest

import minigrad as mg
import nn
from tests.nn.torch_cases import B, D, H, T, make, numbers


@pytest.fixture(autouse=True)
def _double():
    mg.set_default_dtype(np.float64)
    yield
    mg.set_default_dtype(np.float32)


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
        not value.any()
        for name, value in nn.to_torch_state_dict(net).items()
        if "bias_hh" in name and kind != "GRU"
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
    names = [
        "embed.weight",
        "rnn.weight_ih_l0",
        "norm.weight",
        "norm.bias",
        "out.0.weight",
        "out.2.weight",
        "k",
    ]
    assert set(names) <= set(arrays)
    assert arrays["out.0.weight"].shape == (3, H)
    other = Net()
    nn.load_torch_state_dict(other, arrays)
    for name, value in net.state_dict().items():
        assert np.array_equal(value, other.state_dict()[name])


def test_pytorch_has_no_gru_that_resets_before():
    with pytest.raises(ValueError, match="reset='after'"):
        nn.to_torch_state_dict(nn.GRU(D, H, reset="before"))
