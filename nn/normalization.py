"""Normalisation over the features of a row, and over the rows of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from nn import init
from nn.checks import check_features, in_range, positive
from nn.module import Module
from nn.parameter import Buffer, Parameter


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


class BatchNorm(Module):
    """
    m = mean(x)    v = mean((x − m)²)
    y = (x − m) / √(v + eps) ∘ gain + b

    The means are over all axes but the last: the rows of a batch, and the steps of a sequence that
    is given whole (Ioffe & Szegedy 2015).  Training also moves `running_mean` and `running_var`
    towards m and v by the share `momentum`; in evaluation these take their place.
    Shapes: x and y (..., H), gain (H) starts at 1, b (H) at 0; the running ones (H).

    steps: inside a cell, where x (B, H) is one step, each of the first `steps` time steps has
    running statistics of its own, (steps, H), and later steps use the last of them (Cooijmans et
    al., Recurrent batch normalization, 2017, where the gain starts at 0.1).

    >>> import numpy as np, nn
    >>> norm = nn.BatchNorm(1)
    >>> norm(np.array([[1.0], [3.0]])).data.T, norm.running_mean
    (array([[-0.999995,  0.999995]], dtype=float32), tensor([0.2], name='running_mean'))
    """

    def __init__(
        self,
        size: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        gain: float = 1.0,
        steps: int | None = None,
    ) -> None:
        positive("BatchNorm", size=size, **({} if steps is None else {"steps": steps}))
        in_range("BatchNorm", eps=eps, momentum=momentum)
        self.size, self.eps, self.momentum, self.steps = size, eps, momentum, steps
        shape = (size,) if steps is None else (steps, size)
        self.gain = Parameter(init.constant(size, value=gain))
        self.b = Parameter(init.zeros(size))
        self.running_mean = Buffer(init.zeros(*shape))
        self.running_var = Buffer(init.ones(*shape))

    def forward(self, x: mg.Tensor, mask: Any = None) -> mg.Tensor:
        """The same shape.  mask: bool (...), which rows count, as `lengths_mask` gives it."""
        check_features(self, x, self.size)
        if not self.training:
            where = self._place(x)
            return self._normalised(x, self.running_mean[where], self.running_var[where])
        share = self._shares(x, mask)
        axes = tuple(range(x.ndim - 1))
        m = (x * share).sum(axis=axes)
        v = ((x - m) ** 2 * share).sum(axis=axes)
        self._remember(self._place(x), m.data, v.data, int(np.count_nonzero(share)))
        return self._normalised(x, m, v)

    def _normalised(self, x: mg.Tensor, m: mg.Tensor, v: mg.Tensor) -> mg.Tensor:
        return (x - m) / mg.sqrt(v + self.eps) * self.gain + self.b

    def _shares(self, x: mg.Tensor, mask: Any) -> np.ndarray[Any, Any]:
        """The weight of each row in the means: (..., 1)."""
        counted = np.ones(x.shape[:-1], bool)
        if mask is not None:
            counted = np.asarray(getattr(mask, "data", mask))
        if counted.dtype.kind != "b" or counted.shape != x.shape[:-1]:
            found = f"{counted.dtype} of shape {counted.shape}"
            text = f"mask must be bool of shape {x.shape[:-1]}, found {found}"
            raise ValueError(f"{self.scope_name}: {text}")
        count = np.count_nonzero(counted)
        if count < 2:
            raise ValueError(
                f"{self.scope_name}: at least two rows are needed in training, found {count}"
            )
        return (counted[..., None] / count).astype(x.dtype)

    def _place(self, x: mg.Tensor) -> Any:
        """Which running statistics belong to x: all, or those of its time step."""
        return ... if self.steps is None else min(x.t or 0, self.steps - 1)

    def _remember(self, where: Any, m: Any, v: Any, count: int) -> None:
        """Move the running statistics towards those of a batch, with its unbiased variance."""
        for buffer, new in ((self.running_mean, m), (self.running_var, v * count / (count - 1))):
            moved = np.array(buffer.data)
            moved[where] = (1 - self.momentum) * moved[where] + self.momentum * new
            buffer.data = moved

    def describe(self) -> str:
        """The size."""
        return f"{self.size}"
