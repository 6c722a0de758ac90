"""Dropout."""

import numpy as np
import pytest

import minigrad as mg
import nn


def test_dropout():
    drop = nn.Dropout(0.25, rng=0)
    y = drop(np.ones((100, 100))).data
    assert set(np.unique(y).round(6)) == {0.0, round(1 / 0.75, 6)}
    assert y.mean() == pytest.approx(1, abs=0.02)
    x = mg.tensor(np.ones(1000), requires_grad=True)
    z = drop(x)
    z.sum().backward()
    assert np.array_equal(x.grad.data, z.data)
    drop.eval()
    assert drop(x) is x
    for p in (1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"Dropout: p must be in \[0, 1\)"):
            nn.Dropout(p)
