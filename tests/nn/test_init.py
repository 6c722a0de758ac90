"""Initial values."""

import numpy as np
import pytest

import nn


def test_initialisers():
    rng = np.random.default_rng(0)
    for shape in ((6, 4), (4, 6), (5, 5)):
        q = nn.init.orthogonal(*shape, gain=2.0, rng=rng).astype(np.float64)
        small = q @ q.T if shape[0] <= shape[1] else q.T @ q
        np.testing.assert_allclose(small, 4 * np.eye(min(shape)), atol=1e-5)
    assert nn.init.he(400, 300, rng=1).std() == pytest.approx(np.sqrt(2 / 400), rel=0.02)
    assert nn.init.normal(10_000, std=3.0, rng=1).std() == pytest.approx(3, rel=0.05)
    u = nn.init.uniform(1000, low=1.0, high=2.0, rng=1)
    assert 1 <= u.min() < u.max() < 2
    assert np.array_equal(nn.init.constant(2, value=3.0), [3, 3])
    assert nn.init.zeros(2, 3).dtype == np.float32
    assert np.array_equal(nn.init.glorot(3, 4, rng=7), nn.init.glorot(3, 4, rng=7))
    for call, text in (
        (lambda: nn.init.glorot(3), "fan_in, fan_out"),
        (lambda: nn.init.orthogonal(2, 3, 4), r"\(n, m\) is needed"),
        (lambda: nn.init.uniform(2, low=1.0, high=0.0), "low <= high"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
