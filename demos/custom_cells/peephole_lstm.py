"""The LSTM with peepholes: the gates see the memory c itself, not only the output h."""

import numpy as np

import minigrad as mg
import nn
from nn import Parameter
from nn.init import glorot, orthogonal, zeros


class PeepholeLSTMCell(nn.Cell):
    """
    i = σ(x W_xi + h_prev W_hi + c_prev ∘ p_i + b_i)
    f = σ(x W_xf + h_prev W_hf + c_prev ∘ p_f + b_f)
    g = tanh(x W_xg + h_prev W_hg + b_g)
    c = f ∘ c_prev + i ∘ g
    o = σ(x W_xo + h_prev W_ho + c ∘ p_o + b_o)
    h = o ∘ tanh(c)

    Shapes: x (B, D), h and c (B, H), W_x· (D, H), W_h· (H, H), p_· and b_· (H).
    Gers & Schmidhuber, Recurrent nets that time and count, 2000.
    """

    def __init__(self, D: int, H: int) -> None:
        self.input_size, self.state_size = D, nn.LSTMState(H, H)
        self.W_xi, self.W_hi, self.b_i = (
            Parameter(glorot(D, H)),
            Parameter(orthogonal(H, H)),
            Parameter(zeros(H)),
        )
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
        self.p_i, self.p_f, self.p_o = Parameter(zeros(H)), Parameter(zeros(H)), Parameter(zeros(H))

    def forward(self, x, state):
        h_prev, c_prev = state
        i = mg.sigmoid(x @ self.W_xi + h_prev @ self.W_hi + c_prev * self.p_i + self.b_i)
        f = mg.sigmoid(x @ self.W_xf + h_prev @ self.W_hf + c_prev * self.p_f + self.b_f)
        g = np.tanh(x @ self.W_xg + h_prev @ self.W_hg + self.b_g)
        c = f * c_prev + i * g
        o = mg.sigmoid(x @ self.W_xo + h_prev @ self.W_ho + c * self.p_o + self.b_o)
        h = o * np.tanh(c)
        return h, nn.LSTMState(h, c)
