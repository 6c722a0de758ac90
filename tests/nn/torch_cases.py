"""Which layers are compared with PyTorch, and with what numbers: shared by the script and the tests."""

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
