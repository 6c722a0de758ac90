"""Dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from nn import init
from nn.checks import in_range
from nn.module import Module


def check_probability(who: str, p: float) -> float:
    """Return p; raise ValueError unless it is in [0, 1)."""
    in_range(who, 1, p=p)
    return p


def dropout_mask(
    shape: tuple[int, ...], p: float, dtype: np.dtype[np.generic], rng: init.Rng = None
) -> mg.Tensor:
    """0 with probability p, else 1 / (1 − p), so that x ∘ mask has the mean of x."""
    kept: Any = init.generator(rng).random(shape) >= p
    mask = (kept / (1 - p)).astype(dtype)
    return mask if isinstance(mask, mg.Tensor) else mg.tensor(mask)  # recorded by `mg.compile`


class Dropout(Module):
    """
    y = x ∘ mask

    mask is 0 with probability p, else 1 / (1 − p)  (Srivastava et al. 2014).
    Only in training: after `eval()`, or with p = 0, y is x.  rng: a generator or a seed.

    >>> import numpy as np, nn
    >>> nn.Dropout(0.5, rng=0)(np.ones(4)).data
    array([2., 0., 0., 0.])
    """

    def __init__(self, p: float = 0.5, rng: init.Rng = None) -> None:
        self.p = check_probability("Dropout", p)
        self.rng = None if rng is None else init.generator(rng)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """The same shape."""
        if not self.training or self.p == 0:
            return x
        return x * dropout_mask(x.shape, self.p, x.dtype, self.rng)

    def describe(self) -> str:
        """The probability."""
        return f"{self.p}"
