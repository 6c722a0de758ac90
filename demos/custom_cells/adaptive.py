"""Adaptive computation time: each row thinks as long as it needs before it takes the next input."""

import numpy as np

import minigrad as mg
import nn
from nn import Parameter
from nn.init import glorot, orthogonal, zeros


class AdaptiveCell(nn.Cell):
    """
    s_k = tanh(x W_xs + first_k w_1 + s_{k−1} W_ss + b_s)    s_0 = h_prev
    p_k = σ(s_k w_p + b_p),  the last one  1 − Σ p_j  over all before
    h = Σ p_k s_k

    Shapes: x (B, D), h and s (B, H), p (B, 1); W_xs (D, H), w_1 (H), W_ss (H, H), w_p (H, 1).
    first_k is 1 in the first inner step, else 0.  A row stops where its p would sum to more than
    1 − eps, or after `most` steps; there is no inner step that no row needs.  b_p starts at 1.
    Graves, Adaptive computation time for recurrent neural networks, 2016.
    """

    def __init__(self, D: int, H: int, most: int = 5, eps: float = 0.01) -> None:
        self.input_size, self.state_size = D, H
        self.most, self.eps = most, eps
        self.W_xs, self.w_1 = Parameter(glorot(D, H)), Parameter(zeros(H))
        self.W_ss, self.b_s = Parameter(orthogonal(H, H)), Parameter(zeros(H))
        self.w_p, self.b_p = Parameter(glorot(H, 1)), Parameter(zeros(1) + 1)

    def forward(self, x, h_prev):
        s, h, used, k = h_prev, 0, 0, 0
        running = np.ones((*x.shape[:-1], 1), bool)
        while running.any():
            with mg.time_step(k, axis="ponder"):
                a = x @ self.W_xs + s @ self.W_ss + self.b_s
                s = np.tanh(a + self.w_1 if k == 0 else a)
                p = mg.sigmoid(s @ self.w_p + self.b_p)
                going_on = running & ((used + p).data < 1 - self.eps) & (k + 1 < self.most)
                p = np.where(going_on, p, 1 - used)
                p = np.where(running, p, 0)
                h = h + p * s
                used = used + p
            running, k = going_on, k + 1
        return h, h
