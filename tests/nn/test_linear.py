"""The affine layer, and modules in a row."""

import numpy as np
import pytest

import nn


def test_sequential_and_linear():
    net = nn.Sequential(nn.Linear(3, 4, rng=0), np.tanh, nn.Linear(4, 2, bias=False, rng=1))
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    W, b, V = (p.data for p in net.parameters())
    np.testing.assert_allclose(net(x).data, np.tanh(x @ W + b) @ V, rtol=1e-6)
    with pytest.raises(TypeError, match="number 1 is not callable: 3"):
        nn.Sequential(nn.Linear(1, 1), 3)
    with pytest.raises(ValueError, match=r"x \(..., 3\) is needed, found \(5, 4\)"):
        net(np.ones((5, 4)))
    with pytest.raises(ValueError, match="output_size must be a positive integer, found -1"):
        nn.Linear(3, -1)


def test_a_sequential_is_a_sequence():
    net = nn.Sequential(nn.Linear(3, 4), np.tanh, nn.Linear(4, 2))
    assert (len(net), net[1], net[-1]) == (3, np.tanh, getattr(net, "2"))
    assert next(iter(net)) is net[0]
    tail = net[1:]
    assert (len(tail), tail[1]) == (2, net[2])
    assert net[2].W.name == "2.W"  # the part shares it, and does not rename it
    x = np.ones((5, 3), np.float32)
    np.testing.assert_array_equal(tail(net[0](x)).data, net(x).data)
    with pytest.raises(IndexError):
        net[3]
