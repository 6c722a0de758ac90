"""Layer normalisation."""

from __future__ import annotations

import minigrad as mg
from nn import init
from nn.checks import check_features, positive
from nn.module import Module
from nn.parameter import Parameter


class LayerNorm(Module):
    """
    m = mean(x)    v = mean((x − m)²)
    y = (x − m) / √(v + eps) ∘ gain + b

    The means are over the last axis, for each row alone (Ba et al. 2016).
    Shapes: x and y (..., H), gain (H) starts at 1, b (H) at 0.

    >>> import numpy as np, nn
    >>> nn.LayerNorm(2)(np.array([[1.0, 3.0]])).data
    array([[-0.999995,  0.999995]], dtype=float32)
    """

    def __init__(self, size: int, eps: float = 1e-5) -> None:
        positive("LayerNorm", size=size)
        self.size, self.eps = size, eps
        self.gain = Parameter(init.ones(size))
        self.b = Parameter(init.zeros(size))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """The same shape."""
        check_features(self, x, self.size)
        centred = x - x.mean(axis=-1, keepdims=True)
        v = (centred * centred).mean(axis=-1, keepdims=True)
        return centred / mg.sqrt(v + self.eps) * self.gain + self.b

    def describe(self) -> str:
        """The size."""
        return f"{self.size}"
