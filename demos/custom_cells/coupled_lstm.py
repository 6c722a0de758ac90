"""The LSTM with coupled gates: it writes exactly where it forgets, so one gate fewer."""

import numpy as np

import minigrad as mg
import nn
from nn import Parameter
from nn.init import glorot, orthogonal, zeros


class CoupledLSTMCell(nn.Cell):
    """
    f = σ(x W_xf + h_prev W_hf + b_f)
    g = tanh(x W_xg + h_prev W_hg + b_g)
    o = σ(x W_xo + h_prev W_ho + b_o)
    c = f ∘ c_prev + (1 − f) ∘ g
    h = o ∘ tanh(c)

    Shapes: x (B, D), h and c (B, H), W_x· (D, H), W_h· (H, H), b_· (H).
    Greff, Srivastava, Koutník, Steunebrink & Schmidhuber, LSTM: a search space odyssey, 2015
    (CIFG).
    """

    def __init__(self, D: int, H: int) -> None:
        self.input_size, self.state_size = D, nn.LSTMState(H, H)
        self.W_xf, self.W_hf, self.b_f = (
            Parameter(glorot(D, H)),
            Parameter(orthogonal(H, H)),
            Parameter(zeros(H) + 1),
        )
        self.W_xg, self.W_hg, self.b_g = (
            Parameter(glorot(D, H)),
            Parameter(orthogonal(H, H)),
            Parameter(zeros(H)),
        )
        self.W_xo, self.W_ho, self.b_o = (
            Parameter(glorot(D, H)),
            Parameter(orthogonal(H, H)),
            Parameter(zeros(H)),
        )

    def forward(self, x, state):
        h_prev, c_prev = state
        f = mg.sigmoid(x @ self.W_xf + h_prev @ self.W_hf + self.b_f)
        g = np.tanh(x @ self.W_xg + h_prev @ self.W_hg + self.b_g)
        o = mg.sigmoid(x @ self.W_xo + h_prev @ self.W_ho + self.b_o)
        c = f * c_prev + (1 - f) * g
        h = o * np.tanh(c)
        return h, nn.LSTMState(h, c)
