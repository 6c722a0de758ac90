"""The matrix LSTM: a memory of pairs of key and value, with exponential gates."""

from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
import nn
from nn import Parameter
from nn.init import glorot, zeros


class MLSTMState(NamedTuple):
    """The memory, its normaliser, and the logarithm by which both are scaled."""

    C: Any
    n: Any
    m: Any


class MLSTMCell(nn.Cell):
    """
    q = x W_q    k = x W_k / √H    v = x W_v
    i = x w_i + b_i    f = log σ(x w_f + b_f)    o = σ(x W_o)
    m = max(f + m_prev, i)
    C = exp(f + m_prev − m) C_prev + exp(i − m) v kᵀ
    n = exp(f + m_prev − m) n_prev + exp(i − m) k
    h = o ∘ C q / max(|n · q|, exp(−m))

    Shapes: x (B, D), C (B, H, H), n (B, H), m (B, 1), h (B, H); W_· (D, H), w_· (D, 1), b_· (1).
    The state is (C, n, m): h is put out, and is not part of it.  m keeps the exponentials in range.
    Beck et al., xLSTM: extended long short-term memory, 2024.
    """

    memory = ("C", "n", "m")

    def __init__(self, D: int, H: int) -> None:
        self.input_size = D
        self.state_size = MLSTMState([H, H], H, 1)
        self.W_q = Parameter(glorot(D, H))
        self.W_k = Parameter(glorot(D, H))
        self.W_v = Parameter(glorot(D, H))
        self.W_o = Parameter(glorot(D, H))
        self.w_i, self.b_i = Parameter(glorot(D, 1)), Parameter(zeros(1))
        self.w_f, self.b_f = Parameter(glorot(D, 1)), Parameter(zeros(1) + 3)

    def forward(self, x, state):
        C_prev, n_prev, m_prev = state
        q = x @ self.W_q
        k = x @ self.W_k / np.sqrt(self.state_size.n)
        v = x @ self.W_v
        i = x @ self.w_i + self.b_i
        f = -mg.softplus(-(x @ self.w_f + self.b_f))
        o = mg.sigmoid(x @ self.W_o)
        m = np.maximum(f + m_prev, i)
        keep = np.exp(f + m_prev - m)
        write = np.exp(i - m)
        C = keep[..., None] * C_prev + write[..., None] * v[..., :, None] * k[..., None, :]
        n = keep * n_prev + write * k
        read = (C * q[..., None, :]).sum(axis=-1)
        size = np.maximum(np.abs((n * q).sum(axis=-1, keepdims=True)), np.exp(-m))
        h = o * read / size
        return h, MLSTMState(C, n, m)
