"""Vectors for tokens."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from nn import init
from nn.checks import positive
from nn.module import Module
from nn.parameter import Parameter


class Embedding(Module):
    """
    y = W[x]

    Shapes: x (...) integers in 0...V−1, y (..., D), W (V, D).
    W starts normal with standard deviation 1; row `padding`, if given, is 0 and gets no gradient.

    >>> import nn
    >>> nn.Embedding(10, 3)([[1, 2], [3, 4]]).shape
    (2, 2, 3)
    """

    def __init__(
        self, count: int, size: int, padding: int | None = None, rng: init.Rng = None
    ) -> None:
        positive("Embedding", count=count, size=size)
        if padding is not None and not 0 <= padding < count:
            raise ValueError(f"Embedding: padding in 0...{count - 1} is needed, found {padding}")
        self.count, self.size, self.padding = count, size, padding
        W = init.normal(count, size, rng=rng)
        if padding is not None:
            W[padding] = 0
        self.W = Parameter(W)

    def forward(self, x: Any) -> mg.Tensor:
        """Integers (...) to vectors (..., D)."""
        x = np.asarray(x.data if isinstance(x, mg.Tensor) else x)
        if x.dtype.kind not in "iu":
            raise TypeError(f"{self.scope_name}: tokens are integers, found {x.dtype}")
        if x.size and not (x.min() >= 0 and x.max() < self.count):
            found = x.min() if x.min() < 0 else x.max()
            raise ValueError(
                f"{self.scope_name}: tokens in 0...{self.count - 1} are needed, found {found}"
            )
        y = self.W[x]
        if self.padding is None:
            return y
        return mg.where((x != self.padding)[..., None], y, 0)

    def describe(self) -> str:
        """The sizes."""
        return f"{self.count}, {self.size}"
