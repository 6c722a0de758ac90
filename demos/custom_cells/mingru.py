"""The minGRU, and a primitive of our own: the gate looks only at x, the candidate passes through g,
defined here.
"""

import numpy as np

import minigrad as mg
import nn
from nn import Parameter
from nn.init import glorot, zeros


@mg.primitive
def g(x):
    """Above 0, increasing, continuous:  y = x + ½ where x ≥ 0, σ(x) elsewhere."""
    return np.where(x >= 0, x + 0.5, 0.5 * np.tanh(0.5 * np.minimum(x, 0)) + 0.5)


@g.gradient
def g_dx(dy, y, x):
    return dy * np.where(x >= 0, 1.0, y * (1 - y))


class MinGRUCell(nn.Cell):
    """
    z = σ(x W_xz + b_z)
    n = g(x W_xn + b_n)
    h = (1 − z) ∘ h_prev + z ∘ n

    Shapes: x (B, D), h (B, H), W_x· (D, H), b_· (H).  There is no W_hh: what is linear in h_prev
    can be computed for all steps in parallel. Feng, Tung, Ahmed, Bengio & Hajimirsadeghi, Were RNNs
    all we needed?, 2024.
    """

    def __init__(self, D: int, H: int) -> None:
        self.input_size, self.state_size = D, H
        self.W_xz, self.b_z = Parameter(glorot(D, H)), Parameter(zeros(H))
        self.W_xn, self.b_n = Parameter(glorot(D, H)), Parameter(zeros(H))

    def forward(self, x, h_prev):
        z = mg.sigmoid(x @ self.W_xz + self.b_z)
        n = g(x @ self.W_xn + self.b_n)
        h = (1 - z) * h_prev + z * n
        return h, h
