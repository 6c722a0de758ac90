"""JANET, "just another network": an LSTM that has only the forget gate left."""

import numpy as np

import minigrad as mg
import nn
from nn import Parameter
from nn.init import glorot, orthogonal, uniform, zeros


class JANETCell(nn.Cell):
    """
    s = x W_xf + h_prev W_hf + b_f
    g = tanh(x W_xg + h_prev W_hg + b_g)
    h = σ(s) ∘ h_prev + (1 − σ(s − β)) ∘ g

    Shapes: x (B, D), h (B, H), W_x· (D, H), W_h· (H, H), b_· (H); β = 1.
    b_f starts at log U(1, 20), so that the memories last between 1 and 20 steps (chrono
    initialisation). van der Westhuizen & Lasenby, The unreasonable effectiveness of the forget
    gate, 2018.
    """

    def __init__(self, D: int, H: int, beta: float = 1.0) -> None:
        self.input_size, self.state_size, self.beta = D, H, beta
        self.W_xf, self.W_hf = Parameter(glorot(D, H)), Parameter(orthogonal(H, H))
        self.b_f = Parameter(np.log(uniform(H, low=1.0, high=20.0)))
        self.W_xg, self.W_hg, self.b_g = (
            Parameter(glorot(D, H)),
            Parameter(orthogonal(H, H)),
            Parameter(zeros(H)),
        )

    def forward(self, x, h_prev):
        s = x @ self.W_xf + h_prev @ self.W_hf + self.b_f
        g = np.tanh(x @ self.W_xg + h_prev @ self.W_hg + self.b_g)
        h = mg.sigmoid(s) * h_prev + (1 - mg.sigmoid(s - self.beta)) * g
        return h, h
