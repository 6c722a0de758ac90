"""Layer normalisation against PyTorch."""

from pathlib import Path

import numpy as np

import minigrad as mg
import nn
from tests.nn.torch_cases import numbers

STORED = np.load(Path(__file__).parent / "torch_sequences.npz")


def test_layer_norm():
    norm = nn.LayerNorm(4)
    norm.gain, norm.b = nn.Parameter(numbers("weight", (4,))), nn.Parameter(numbers("bias", (4,)))
    x = mg.tensor(numbers("logits", (5, 4)), requires_grad=True)
    loss = (norm(x) * x).sum()
    loss.backward()
    found = np.concatenate([[loss.item()], x.grad.data.ravel()])
    np.testing.assert_allclose(found, STORED["loss_layer_norm"], rtol=0, atol=1e-10)
