"""Convolution over time."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from nn import init
from nn.checks import check_features, positive
from nn.module import Module
from nn.parameter import Parameter


class Conv1d(Module):
    """
    y_t = Σ_k x_(t·stride + k·dilation − left) W_k + b

    Shapes: x (T, B, D) or (T, D), y (T', B, Q) or (T', Q), W (K, D, Q), b (Q).
    padding: how many steps of zeros there are on both sides; "same" for as many outputs as inputs;
    "causal" for as many, where y_t sees no later x: then left = (K − 1) dilation.
    T' = ⌊(T + left + right − (K − 1) dilation − 1) / stride⌋ + 1.
    W starts as `init.glorot`, b at 0.

    >>> import numpy as np, nn
    >>> nn.Conv1d(3, 4, 5, padding="causal")(np.ones((7, 2, 3))).shape
    (7, 2, 4)
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | str = 0,
        dilation: int = 1,
        bias: bool = True,
        rng: init.Rng = None,
    ) -> None:
        sizes = {"input_size": input_size, "output_size": output_size, "kernel_size": kernel_size}
        positive("Conv1d", **sizes, stride=stride, dilation=dilation)
        if padding not in ("same", "causal") and not (isinstance(padding, int) and padding >= 0):
            raise ValueError(
                f"Conv1d: padding must be a number of steps, 'same' or 'causal', found {padding!r}"
            )
        self.input_size, self.output_size = input_size, output_size
        self.kernel_size, self.stride, self.dilation = kernel_size, stride, dilation
        self.padding = padding
        fans = init.glorot(kernel_size * input_size, output_size, rng=rng)
        self.W = Parameter(fans.reshape(kernel_size, input_size, output_size))
        self.b = Parameter(init.zeros(output_size)) if bias else None

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """(T, B, D) to (T', B, Q)."""
        check_features(self, x, self.input_size)
        left, right = self._sides()
        reach = (self.kernel_size - 1) * self.dilation
        count = (len(x) + left + right - reach - 1) // self.stride + 1
        if x.ndim < 2 or count < 1:
            raise ValueError(
                f"{self.scope_name}: at least {reach + 1 - left - right} steps (T, ..., D) are "
                f"needed, found {x.shape}"
            )
        wide: Any = x
        if left or right:
            wide = np.pad(x, [(left, right)] + [(0, 0)] * (x.ndim - 1))
        last = (count - 1) * self.stride + 1
        y = wide[: last : self.stride] @ self.W[0]
        for k in range(1, self.kernel_size):
            start = k * self.dilation
            y = y + wide[start : start + last : self.stride] @ self.W[k]
        return y if self.b is None else y + self.b

    def _sides(self) -> tuple[int, int]:
        """How many steps of zeros stand before and after the sequence."""
        reach = (self.kernel_size - 1) * self.dilation
        if self.padding == "causal":
            return reach, 0
        if self.padding == "same":
            return reach // 2, reach - reach // 2
        return int(self.padding), int(self.padding)

    def describe(self) -> str:
        """The sizes."""
        return f"{self.input_size}, {self.output_size}, {self.kernel_size}"
