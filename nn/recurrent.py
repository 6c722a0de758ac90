"""RNN, LSTM and GRU: layers of unrolled cells, with the arguments and shapes of PyTorch's."""

from __future__ import annotations

import operator
import warnings
from typing import Any, Literal

import minigrad as mg
from nn.cell import Cell
from nn.cells import GRUCell, LSTMCell, RNNCell
from nn.checks import flags, in_range, positive
from nn.dropout import dropout_mask
from nn.layers import both_ways
from nn.module import Module
from nn.padding import Padded, Steps, stack_steps, take_apart
from nn.structure import State, is_structure, map_structure
from nn.unroll import unroll


class _Recurrent(Module):
    """Base of RNN, LSTM and GRU: layers of cells, named `l0`, `l0_reverse`, `l1`, ..."""

    l0: Cell

    def __init__(
        self,
        kind: Any,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        **options: Any,
    ) -> None:
        who = type(self).__name__
        positive(who, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        flags(who, bias=bias, batch_first=batch_first, bidirectional=bidirectional)
        in_range(who, 1, dropout=dropout)
        if dropout and num_layers == 1:
            text = f"{who}: dropout={dropout} drops outputs between layers, and there is one layer"
            warnings.warn(f"{text}; write num_layers=2, or nn.Dropout after it", stacklevel=3)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.batch_first = batch_first
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.layers: list[tuple[str, ...]] = []  # the names of the cells of each layer
        for k in range(num_layers):
            names = (f"l{k}", f"l{k}_reverse") if bidirectional else (f"l{k}",)
            size = input_size if k == 0 else hidden_size * len(names)
            self.layers.append(names)
            for name in names:
                setattr(self, name, kind(size, hidden_size, bias, **options))

    def initial_state(self, batch_size: int | None = None) -> State:
        """Zeros: leaves (layers · directions, B, H)."""
        rows = [self.l0.initial_state(batch_size) for names in self.layers for _ in names]
        return map_structure(lambda *same: mg.stack(same), *rows)

    def forward(self, x: Any, state: State = None, lengths: Any = None) -> tuple[mg.Tensor, State]:
        """All layers over all steps; see the class."""
        x, batch_axis = self._time_major(x)
        taken = take_apart(self.scope_name, x, lengths, zero=state is not None)
        if is_structure(taken.steps[0]):
            found = type(taken.steps[0]).__name__
            raise TypeError(f"{self.scope_name}: x must be a tensor or an array, found {found}")
        states = self._rows(state, *taken.steps[0].shape[:-1])
        finals: list[State] = []
        for names in self.layers:
            if finals and self.dropout and self.training:
                shape = (len(taken.steps), *taken.steps[0].shape)
                mask = dropout_mask(shape, self.dropout, taken.steps[0].dtype)
                dropped = [x * mask[t] for t, x in enumerate(taken.steps)]
                taken = Steps(None, dropped, taken.mask)
            first = len(finals)
            ys, last = self._layer(names, taken, states[first : first + len(names)])
            taken = Steps(None, ys, taken.mask)
            finals += last
        y = stack_steps(taken.steps, taken.mask, batch_axis)
        return y, map_structure(lambda *rows: mg.stack(rows), *finals)

    def _layer(self, names: tuple[str, ...], taken: Steps, states: list[State]) -> Any:
        """The outputs of one layer, and the last state of each of its cells."""
        if len(names) == 1:
            ys, last = unroll(getattr(self, names[0]), taken, states[0])
            return ys, [last]
        return both_ways(self, (names[0], names[1]), taken, states)

    def _time_major(self, x: Any) -> tuple[Any, int]:
        """The input with time first, and the axis of y along which the steps are stacked."""
        if not self.batch_first or isinstance(x, Padded):
            return x, int(self.batch_first)
        if not hasattr(x, "ndim"):
            found = type(x).__name__
            raise TypeError(
                f"{self.scope_name}: batch_first needs an array (B, T, D), found {found}; "
                "for sequences of different lengths write nn.pad(sequences)"
            )
        return (mg.swapaxes(x, 0, 1), 1) if x.ndim == 3 else (x, 0)

    def _rows(self, state: State, *batch: int) -> list[State]:
        """The initial state of each cell, in the order of the rows of h_n; None for the default."""
        rows = sum(len(names) for names in self.layers)
        if state is None:
            return [None] * rows
        state = self.l0.check_state(state, rows, *batch, who=self.scope_name)
        return [map_structure(operator.itemgetter(k), state) for k in range(rows)]

    def describe(self) -> str:
        """The sizes, and the arguments that are not the default."""
        options = [f"num_layers={self.num_layers}"] if self.num_layers > 1 else []
        options += [name for name in ("bidirectional", "batch_first") if getattr(self, name)]
        options += [f"dropout={self.dropout}"] if self.dropout else []
        return ", ".join([str(self.input_size), str(self.hidden_size), *options])


class RNN(_Recurrent):
    """The vanilla network: `RNNCell`s over time, with the arguments and shapes of PyTorch's.

    `y, h_n = RNN(D, H)(x, state=None, lengths=None)`

    Shapes: x (T, B, D), or (B, T, D) with batch_first, or (T, D) without a batch axis; y like x,
    but with H features, 2H if bidirectional; h_n and state (layers · directions, B, H), never batch
    first, with rows in the order layer 0 forwards, layer 0 backwards, layer 1 forwards, ...
    lengths, and sequences of different lengths: as in `Unroll`.
    dropout: the probability for the outputs of every layer but the last, in training.

    >>> import numpy as np, nn
    >>> y, h_n = nn.RNN(3, 4, num_layers=2, bidirectional=True)(np.zeros((5, 2, 3)))
    >>> y.shape, h_n.shape
    ((5, 2, 8), (4, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
    ) -> None:
        sizes = (input_size, hidden_size, num_layers)
        super().__init__(
            RNNCell, *sizes, bias, batch_first, dropout, bidirectional, nonlinearity=nonlinearity
        )


class LSTM(_Recurrent):
    """`LSTMCell`s over time; see `RNN` for arguments and shapes, except that states are (h_n, c_n).

    >>> import numpy as np, nn
    >>> y, (h_n, c_n) = nn.LSTM(3, 4, batch_first=True)(np.zeros((2, 5, 3)))
    >>> y.shape, c_n.shape
    ((2, 5, 4), (1, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__(
            LSTMCell, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        )


class GRU(_Recurrent):
    """`GRUCell`s over time; see `RNN` for arguments and shapes.

    reset: "after" or "before", see `GRUCell`.

    >>> import numpy as np, nn
    >>> y, h_n = nn.GRU(3, 4, reset="before")(np.zeros((5, 3)))
    >>> y.shape, h_n.shape
    ((5, 4), (1, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        reset: Literal["after", "before"] = "after",
    ) -> None:
        sizes = (input_size, hidden_size, num_layers)
        super().__init__(GRUCell, *sizes, bias, batch_first, dropout, bidirectional, reset=reset)
