"""nn: recurrent networks whose unrolled graph stays plain, built on minigrad's public names only."""

from nn import init
from nn.attention import AdditiveAttention, DotAttention, GeneralAttention, attend
from nn.cells import Cell, GRUCell, LSTMCell, LSTMState, RNNCell, detach_state
from nn.check import CellReport, check_cell, summary
from nn.checkpoint import load, save
from nn.dropout import Dropout
from nn.embedding import Embedding
from nn.linear import Linear, Sequential
from nn.loss import binary_cross_entropy_with_logits, cross_entropy, mse_loss, nll_loss
from nn.module import Buffer, Module, Parameter
from nn.normalization import LayerNorm
from nn.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from nn.recurrent import GRU, LSTM, RNN, Bidirectional, Stacked
from nn.schedule import CosineLR, ExponentialLR, LambdaLR, PlateauLR, StepLR, WarmupLR
from nn.sequence import Window, batches, greedy, pad, sample, tbptt, windows
from nn.torch_weights import load_torch_state_dict, to_torch_state_dict
from nn.unroll import Unroll, lengths_mask
from nn.wrappers import LearnedInitialState, RecurrentDropout, Residual, Wrapper, Zoneout

__all__ = [
    "GRU", "LSTM", "RNN", "SGD", "Adam", "AdamW", "AdditiveAttention", "Bidirectional", "Buffer", "Cell", "CellReport",
    "CosineLR", "DotAttention", "Dropout", "Embedding", "ExponentialLR", "GRUCell", "GeneralAttention", "LSTMCell",
    "LSTMState", "LambdaLR", "LayerNorm", "LearnedInitialState", "Linear", "Module", "Optimizer", "Parameter",
    "PlateauLR", "RMSprop", "RNNCell", "RecurrentDropout", "Residual", "Sequential", "Stacked", "StepLR", "Unroll",
    "WarmupLR", "Window", "Wrapper", "Zoneout", "attend", "batches", "binary_cross_entropy_with_logits", "check_cell",
    "cross_entropy", "detach_state", "greedy", "init", "lengths_mask", "load", "load_torch_state_dict", "mse_loss",
    "nll_loss", "pad", "sample", "save", "summary", "tbptt", "to_torch_state_dict", "windows",
]  # fmt: skip
