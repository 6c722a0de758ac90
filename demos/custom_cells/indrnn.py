"""The independent RNN: each unit remembers only itself, so its gradient through time is a plain
power of one number.
"""

import numpy as np

import minigrad as mg
import nn
from nn import Parameter
from nn.init import glorot, uniform, zeros


class IndRNNCell(nn.Cell):
    """
    h = relu(x W_xh + u ∘ h_prev + b_h)

    Shapes: x (B, D), h (B, H), W_xh (D, H), u and b_h (H).
    Li, Li, Cook, Zhu & Gao, Independently recurrent neural network (IndRNN), 2018.
    """

    def __init__(self, D: int, H: int) -> None:
        self.input_size, self.state_size = D, H
        self.W_xh, self.b_h = Parameter(glorot(D, H)), Parameter(zeros(H))
        self.u = Parameter(
            np.sqrt(uniform(H, low=0.0, high=1.0))
        )  # most units near 1: long memories

    def forward(self, x, h_prev):
        h = mg.relu(x @ self.W_xh + self.u * h_prev + self.b_h)
        return h, h
