"""The clockwork RNN: groups of units that tick every 1, 2, 4 and 8 steps."""

import numpy as np

import minigrad as mg
import nn
from nn import Parameter
from nn.init import glorot, orthogonal, zeros


class ClockworkCell(nn.Cell):
    """
    a = x W_xh + h_prev (M ∘ W_hh) + b_h
    h = tanh(a) in the groups whose period divides t, h_prev in the others

    Shapes: x (B, D), h (B, H), W_xh (D, H), W_hh (H, H), b_h (H); M (H, H) is 1 where a slower or
    equal group feeds a faster one.  The state is (h, t), where t (B, 1) counts the steps: nothing
    about time is kept on the cell. Koutník, Greff, Gomez & Schmidhuber, A clockwork RNN, 2014.
    """

    def __init__(self, D: int, H: int, periods: tuple[int, ...] = (1, 2, 4, 8)) -> None:
        self.input_size, self.hidden_size = D, H
        self.period = np.repeat(periods, -(-H // len(periods)))[:H]
        self.mask = (self.period[:, None] >= self.period[None, :]).astype(zeros(1).dtype)
        self.W_xh, self.W_hh, self.b_h = (
            Parameter(glorot(D, H)),
            Parameter(orthogonal(H, H)),
            Parameter(zeros(H)),
        )

    def initial_state(self, batch_size=None):
        rows = () if batch_size is None else (batch_size,)
        h, t = np.zeros((*rows, self.hidden_size)), np.zeros((*rows, 1), int)
        return mg.tensor(h, dtype=self.dtype, name="h_init"), mg.tensor(t, name="t_init")

    def forward(self, x, state):
        h_prev, t = state
        a = x @ self.W_xh + h_prev @ (self.mask * self.W_hh) + self.b_h
        h = np.where(t % self.period == 0, np.tanh(a), h_prev)
        return h, (h, t + 1)
