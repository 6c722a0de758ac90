"""The GRU with layer normalisation: what enters each gate has mean 0 and variance 1 over the
features.
"""

import numpy as np

import minigrad as mg
import nn
from nn import Parameter
from nn.init import glorot, orthogonal, zeros


def normalized(a, gain, shift):
    """Each row of a with mean 0 and variance 1, times gain, plus shift."""
    centred = a - a.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) * gain + shift


class LayerNormGRUCell(nn.Cell):
    """
    r = σ(LN(x W_xr) + LN(h_prev W_hr))
    z = σ(LN(x W_xz) + LN(h_prev W_hz))
    n = tanh(LN(x W_xn) + r ∘ LN(h_prev W_hn))
    h = (1 − z) ∘ n + z ∘ h_prev

    Shapes: x (B, D), h (B, H), W_xh (D, 3H) and W_hh (H, 3H) in the order r z n, gains and shifts
    (3H). LN normalises each gate's H features, then scales by its gain and adds its shift. Ba,
    Kiros & Hinton, Layer normalization, 2016.
    """

    def __init__(self, D: int, H: int) -> None:
        self.input_size, self.state_size = D, H
        self.W_xh = Parameter(np.concatenate([glorot(D, H) for _ in "rzn"], axis=1))
        self.W_hh = Parameter(np.concatenate([orthogonal(H, H) for _ in "rzn"], axis=1))
        self.gain_x, self.shift_x = Parameter(zeros(3 * H) + 1), Parameter(zeros(3 * H))
        self.gain_h, self.shift_h = Parameter(zeros(3 * H) + 1), Parameter(zeros(3 * H))

    def forward(self, x, h_prev):
        x_r, x_z, x_n = self.gates(x @ self.W_xh, self.gain_x, self.shift_x)
        h_r, h_z, h_n = self.gates(h_prev @ self.W_hh, self.gain_h, self.shift_h)
        r = mg.sigmoid(x_r + h_r)
        z = mg.sigmoid(x_z + h_z)
        n = np.tanh(x_n + r * h_n)
        h = (1 - z) * n + z * h_prev
        return h, h

    def gates(self, a, gain, shift):
        """The three parts of a, each normalised by itself."""
        parts = zip(np.split(a, 3, axis=-1), np.split(gain, 3), np.split(shift, 3))
        return [normalized(*part) for part in parts]
