"""The minimal gated unit: one gate does the work of the GRU's two."""

import numpy as np

import minigrad as mg
import nn
from nn import Parameter
from nn.init import glorot, orthogonal, zeros


class MinimalGatedCell(nn.Cell):
    """
    f = σ(x W_xf + h_prev W_hf + b_f)
    n = tanh(x W_xn + (f ∘ h_prev) W_hn + b_n)
    h = (1 − f) ∘ h_prev + f ∘ n

    Shapes: x (B, D), h (B, H), W_x· (D, H), W_h· (H, H), b_· (H).
    Zhou, Wu, Zhang & Zhou, Minimal gated unit for recurrent neural networks, 2016.
    """

    def __init__(self, D: int, H: int) -> None:
        self.input_size, self.state_size = D, H
        self.W_xf, self.W_hf, self.b_f = (
            Parameter(glorot(D, H)),
            Parameter(orthogonal(H, H)),
            Parameter(zeros(H)),
        )
        self.W_xn, self.W_hn, self.b_n = (
            Parameter(glorot(D, H)),
            Parameter(orthogonal(H, H)),
            Parameter(zeros(H)),
        )

    def forward(self, x, h_prev):
        f = mg.sigmoid(x @ self.W_xf + h_prev @ self.W_hf + self.b_f)
        n = np.tanh(x @ self.W_xn + (f * h_prev) @ self.W_hn + self.b_n)
        h = (1 - f) * h_prev + f * n
        return h, h
