"""Which layers are compared with PyTorch, and with what numbers: shared by the script and the
tests.
"""

import itertools
import zlib

import numpy as np

T, B, D, H = 3, 2, 2, 2
KINDS = ("tanh", "relu", "LSTM", "GRU")


def cases():
    """kind, layers, bidirectional, bias, initial state given, batch_first."""
    yes_no = (False, True)
    return list(itertools.product(KINDS, (1, 2, 3), yes_no, yes_no, yes_no, yes_no))


def numbers(name, shape):
    """Numbers in (-1, 1) that depend on the name and nothing else."""
    start = zlib.crc32(name.encode()) % 1000
    return np.sin(start + 1.7 * np.arange(np.prod(shape))).reshape(shape)


def make(kind, layers, two, bias, batch_first):
    """Our layer with those numbers for weights, and the shapes under PyTorch's names."""
    import nn  # not where PyTorch computes the results

    options = {"nonlinearity": kind} if kind in ("tanh", "relu") else {}
    cls = nn.RNN if options else getattr(nn, kind)
    net = cls(D, H, layers, bias=bias, batch_first=batch_first, bidirectional=two, **options)
    shapes = {name: value.shape for name, value in nn.to_torch_state_dict(net).items()}
    nn.load_torch_state_dict(net, {name: numbers(name, shape) for name, shape in shapes.items()})
    return net, shapes
