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
