"""The recurrent highway network: several gated layers inside each step of time."""

import numpy as np

import minigrad as mg
import nn
from nn import Parameter
from nn.init import glorot, orthogonal, zeros


class HighwayCell(nn.Cell):
    """
    s_0 = h_prev, and for l = 1 … L, where x counts only in the first:
    n_l = tanh(x W_xn + s_{l−1} W_hn_l + b_n_l)
    k_l = σ(x W_xk + s_{l−1} W_hk_l + b_k_l)
    s_l = k_l ∘ n_l + (1 − k_l) ∘ s_{l−1}
    h = s_L

    Shapes: x (B, D), h (B, H), W_x· (D, H), W_h·_l (H, H), b_·_l (H).  b_k starts at −1: at first
    the state is carried. Zilly, Srivastava, Koutník & Schmidhuber, Recurrent highway networks,
    2017.
    """

    def __init__(self, D: int, H: int, depth: int = 2) -> None:
        self.input_size, self.state_size = D, H
        self.W_xn, self.W_xk = Parameter(glorot(D, H)), Parameter(glorot(D, H))
        self.W_hn, self.W_hk = ([Parameter(orthogonal(H, H)) for _ in range(depth)] for _ in "nk")
        self.b_n, self.b_k = (
            [Parameter(zeros(H) + start) for _ in range(depth)] for start in (0, -1)
        )

    def forward(self, x, h_prev):
        s, from_n, from_k = h_prev, x @ self.W_xn, x @ self.W_xk
        for W_hn, b_n, W_hk, b_k in zip(self.W_hn, self.b_n, self.W_hk, self.b_k):
            n = np.tanh(s @ W_hn + b_n + from_n)
            k = mg.sigmoid(s @ W_hk + b_k + from_k)
            s = k * n + (1 - k) * s
            from_n = from_k = 0
        return s, s
