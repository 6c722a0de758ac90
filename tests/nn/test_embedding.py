"""Vectors for tokens."""

import numpy as np
import pytest

import nn


def test_embedding():
    embed = nn.Embedding(5, 3, padding=0)
    x = np.array([[1, 0], [2, 1]])
    y = embed(x)
    assert np.array_equal(y.data[0, 1], np.zeros(3))
    (y * y).sum().backward()
    assert np.array_equal(embed.W.grad.data[1], 4 * embed.W.data[1])
    assert not embed.W.grad.data[0].any()
    for tokens, text in (
        (np.array([5]), "0...4 are needed, found 5"),
        (np.array([-1]), "found -1"),
    ):
        with pytest.raises(ValueError, match=text):
            embed(tokens)
    with pytest.raises(TypeError, match="integers, found float"):
        embed(np.ones(3))
