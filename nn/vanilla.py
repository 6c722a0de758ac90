"""The vanilla network with an output at every step, in the letters of the textbooks."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

import minigrad as mg
from nn import init
from nn.cells import RNNCell
from nn.checks import positive
from nn.module import Module
from nn.parameter import Parameter


class VanillaRNN(Module):
    """
    H_t = φ(X_t W_xh + H_{t−1} W_hh + b_h)
    O_t = H_t W_hq + b_q

    `O, H = VanillaRNN(d, h, q)(X, H=None)`

    Shapes: X (T, n, d) or a list of T steps (n, d), O (T, n, q), H (n, h) before the first step and
    after the last, W_xh (d, h), W_hh (h, h), b_h (h), W_hq (h, q), b_q (q).  φ is tanh, or relu.
    The loop is written out here; `RNN` has PyTorch's arguments, layers and directions, and `Unroll`
    takes any cell.  Raises ValueError if X or H has another shape.
    Elman, Finding structure in time, 1990.

    >>> import numpy as np, nn
    >>> net = nn.VanillaRNN(3, 4, 2)
    >>> O, H = net(np.zeros((5, 1, 3)))
    >>> O.shape, H.shape, [name for name, _ in net.named_parameters()]
    ((5, 1, 2), (1, 4), ['W_xh', 'W_hh', 'b_h', 'W_hq', 'b_q'])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        rng: init.Rng = None,
    ) -> None:
        positive("VanillaRNN", output_size=output_size)
        rng = None if rng is None else init.generator(rng)
        cell = RNNCell(input_size, hidden_size, nonlinearity=nonlinearity, rng=rng)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.output_size, self.nonlinearity = output_size, nonlinearity
        self.W_xh, self.W_hh, self.b_h = cell.W_xh, cell.W_hh, cell.b_h
        self.W_hq = Parameter(init.glorot(hidden_size, output_size, rng=rng))
        self.b_q = Parameter(init.zeros(output_size))

    def initial_state(self, batch_size: int) -> mg.Tensor:
        """Zeros (n, h)."""
        zeros = np.zeros((batch_size, self.hidden_size))
        return mg.tensor(zeros, dtype=self.dtype, name="H_init")

    def forward(self, X: Any, H: Any = None) -> tuple[mg.Tensor, mg.Tensor]:
        """All steps, and an output at each."""
        n = self._batch_size(X)
        if H is None:
            H = self.initial_state(n)
        elif np.shape(H) != (n, self.hidden_size):
            found = f"{np.shape(H)}; write None for zeros"
            raise ValueError(f"VanillaRNN: H {n, self.hidden_size} is needed, found {found}")
        phi = mg.tanh if self.nonlinearity == "tanh" else mg.relu
        outputs = []
        for _, X_t in mg.timesteps(X):
            H = phi(X_t @ self.W_xh + H @ self.W_hh + self.b_h)
            O_t = H @ self.W_hq + self.b_q
            O_t.name = "O"
            outputs.append(O_t)
        return mg.stack(outputs), H

    def _batch_size(self, X: Any) -> int:
        shape: tuple[int, ...] = np.shape(X[0]) if len(X) else ()
        if len(shape) != 2 or shape[1] != self.input_size:
            found = f"{len(X)} steps of shape {shape}" if len(X) else "no steps"
            raise ValueError(f"VanillaRNN: X (T, n, {self.input_size}) is needed, found {found}")
        return int(shape[0])

    def describe(self) -> str:
        """The sizes."""
        return f"{self.input_size}, {self.hidden_size}, {self.output_size}"
