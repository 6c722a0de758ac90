"""The stack RNN: beside h, its state is a stack of vectors, pushed and popped softly."""

import numpy as np

import minigrad as mg
import nn
from nn import Parameter
from nn.init import glorot, orthogonal, zeros


class StackCell(nn.Cell):
    """
    h = tanh(x W_xh + top(S_prev) W_sh + h_prev W_hh + b_h)
    a = softmax(h W_ha + b_a)                                     how much to push, to pop, to keep
    v = tanh(h W_hv + b_v)                                        what to push
    S = a_push ∘ push(S_prev, v) + a_pop ∘ pop(S_prev) + a_keep ∘ S_prev

    Shapes: x (B, D), h (B, H), S (B, depth, width), top of it (B, width); W_xh (D, H), W_sh (width,
    H), W_hh (H, H), W_ha (H, 3), W_hv (H, width).  The state is (h, S). Joulin & Mikolov, Inferring
    algorithmic patterns with stack-augmented recurrent nets, 2015.
    """

    def __init__(self, D: int, H: int, depth: int = 6, width: int = 4) -> None:
        self.input_size, self.sizes = D, (H, depth, width)
        self.W_xh, self.W_hh, self.b_h = (
            Parameter(glorot(D, H)),
            Parameter(orthogonal(H, H)),
            Parameter(zeros(H)),
        )
        self.W_sh = Parameter(glorot(width, H))
        self.W_ha, self.b_a = Parameter(glorot(H, 3)), Parameter(zeros(3))
        self.W_hv, self.b_v = Parameter(glorot(H, width)), Parameter(zeros(width))

    def initial_state(self, batch_size=None):
        (H, depth, width), rows = self.sizes, () if batch_size is None else (batch_size,)
        h, S = np.zeros((*rows, H)), np.zeros((*rows, depth, width))
        return mg.tensor(h, dtype=self.dtype, name="h_init"), mg.tensor(
            S, dtype=self.dtype, name="S_init"
        )

    def forward(self, x, state):
        h_prev, S_prev = state
        h = np.tanh(x @ self.W_xh + S_prev[..., 0, :] @ self.W_sh + h_prev @ self.W_hh + self.b_h)
        a = mg.softmax(h @ self.W_ha + self.b_a, axis=-1)
        v = np.tanh(h @ self.W_hv + self.b_v)
        pushed = np.concatenate([np.expand_dims(v, -2), S_prev[..., :-1, :]], axis=-2)
        popped = np.concatenate([S_prev[..., 1:, :], 0 * S_prev[..., :1, :]], axis=-2)
        push, pop, keep = (a[..., k : k + 1, None] for k in range(3))
        S = push * pushed + pop * popped + keep * S_prev
        return h, (h, S)
