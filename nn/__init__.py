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

__all__ = ["Buffer", "Dropout", "Embedding", "LayerNorm", "Linear", "Module", "Parameter", "Sequential", "init"]
__all__ += ["Cell", "CellReport", "GRUCell", "LSTMCell", "LSTMState", "RNNCell", "Unroll", "check_cell", "summary"]
__all__ += ["GRU", "LSTM", "RNN", "Bidirectional", "Stacked", "detach_state", "lengths_mask"]
__all__ += ["LearnedInitialState", "RecurrentDropout", "Residual", "Wrapper", "Zoneout"]
__all__ += ["AdditiveAttention", "DotAttention", "GeneralAttention", "attend"]
__all__ += ["binary_cross_entropy_with_logits", "cross_entropy", "mse_loss", "nll_loss"]
__all__ += ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop"]
__all__ += ["CosineLR", "ExponentialLR", "LambdaLR", "PlateauLR", "StepLR", "WarmupLR"]
__all__ += ["Window", "batches", "greedy", "pad", "sample", "tbptt", "windows"]
__all__ += ["load", "load_torch_state_dict", "save", "to_torch_state_dict"]
