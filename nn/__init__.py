"""nn: recurrent networks whose unrolled graph stays plain, on minigrad's public names only."""

from typing import TYPE_CHECKING

from nn import habits, init, testing
from nn.attention import AdditiveAttention, DotAttention, GeneralAttention, attend
from nn.cell import Cell, each_step
from nn.cells import GRUCell, LSTMCell, LSTMState, RNNCell
from nn.check import CellReport, check_cell
from nn.checkpoint import load, save
from nn.convolution import Conv1d
from nn.ctc import ctc_loss
from nn.dropout import Dropout
from nn.embedding import Embedding
from nn.interchange import to_onnx
from nn.layers import Bidirectional, Stacked
from nn.linear import Linear, Sequential
from nn.loss import binary_cross_entropy_with_logits, cross_entropy, mse_loss, nll_loss
from nn.module import Module
from nn.normalization import BatchNorm, LayerNorm
from nn.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from nn.padding import Padded, lengths_mask, pad
from nn.parallel import Parallel
from nn.parameter import Buffer, Parameter
from nn.recurrent import GRU, LSTM, RNN
from nn.schedule import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LRScheduler,
    ReduceLROnPlateau,
    StepLR,
    WarmupLR,
)
from nn.sequence import batches, greedy, sample, windows
from nn.structure import detach_state, map_structure
from nn.summary import summary
from nn.torch_weights import load_torch_state_dict, to_torch_state_dict
from nn.truncated import Window, tbptt
from nn.unroll import Unroll
from nn.vanilla import VanillaRNN
from nn.wrappers import LearnedInitialState, RecurrentDropout, Residual, Wrapper, Zoneout

__all__ = [
    "GRU", "LSTM", "RNN", "SGD", "Adam", "AdamW", "AdditiveAttention", "BatchNorm",
    "Bidirectional", "Buffer", "Cell", "CellReport", "Conv1d", "CosineAnnealingLR",
    "DotAttention", "Dropout", "Embedding", "ExponentialLR", "GRUCell", "GeneralAttention",
    "LRScheduler", "LSTMCell", "LSTMState", "LambdaLR", "LayerNorm", "LearnedInitialState",
    "Linear", "Module", "Optimizer", "Padded", "Parallel", "Parameter", "RMSprop", "RNNCell",
    "RecurrentDropout", "ReduceLROnPlateau", "Residual", "Sequential", "Stacked", "StepLR",
    "Unroll", "VanillaRNN", "WarmupLR", "Window", "Wrapper", "Zoneout", "attend", "batches",
    "binary_cross_entropy_with_logits", "check_cell", "cross_entropy", "ctc_loss", "detach_state",
    "each_step", "greedy", "init", "lengths_mask", "load", "load_torch_state_dict",
    "map_structure", "mse_loss", "nll_loss", "pad", "sample", "save", "summary", "tbptt",
    "testing", "to_onnx", "to_torch_state_dict", "windows",
]  # fmt: skip

if not TYPE_CHECKING:  # so that type checkers still reject unknown names

    def __getattr__(name: str) -> object:
        raise AttributeError(f"nn has no {name!r}{habits.advice(habits.OF_PACKAGE, name)}")

    for _name in __all__:
        globals()[_name] = habits.explained(globals()[_name])
