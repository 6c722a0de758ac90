"""Recurrent layers over whole sequences: stacked, bidirectional, RNN, LSTM, GRU."""

from __future__ import annotations

import operator
from typing import Any

import minigrad as mg
from nn.cells import Cell, GRUCell, Layers, LSTMCell, RNNCell, State, map_state
from nn.checks import flags, in_range, positive
from nn.dropout import Dropout, dropout_mask
from nn.module import Module
from nn.unroll import checked_cell, stacked, steps, unroll


def both_ways(
    forwards: Cell, backwards: Cell, xs: list[mg.Tensor], state: State, mask: Any
) -> tuple[list[mg.Tensor], State]:
    """One cell from the first step to the last, one from the last to the first; their outputs side
    by side.
    """
    first, last = (None, None) if state is None else state
    ys, first = unroll(forwards, xs, first, mask)
    zs, last = unroll(backwards, xs, last, mask, reverse=True)
    return [mg.concatenate(both, axis=-1) for both in zip(ys, zs, strict=True)], (first, last)


class Bidirectional(Module):
    """Two cells, one for each direction of time (Schuster & Paliwal 1997).

    `y, (state_forwards, state_backwards) = Bidirectional(cell, cell)(xs, state=None, lengths=None)`

    Shapes: xs (T, B, D), y (T, B, H + H); lengths as in `Unroll`.  y[t] has seen all steps: those
    up to t in its first half, those from t on in its second.

    >>> import numpy as np, nn
    >>> y, state = nn.Bidirectional(nn.GRUCell(3, 4), nn.GRUCell(3, 5))(np.zeros((6, 2, 3)))
    >>> y.shape
    (6, 2, 9)
    """

    def __init__(self, forward: Cell, backward: Cell) -> None:
        self.forwards = checked_cell("Bidirectional", forward)
        self.backwards = checked_cell("Bidirectional", backward)

    def forward(self, xs: Any, state: State = None, lengths: Any = None) -> tuple[mg.Tensor, State]:
        """All steps, both ways."""
        xs, mask = steps(self.scope_name, xs, lengths)
        if state is not None and not (isinstance(state, tuple | list) and len(state) == 2):
            raise ValueError(
                f"{self.scope_name}: state must be a pair (forwards, backwards), found {type(state).__name__}"
            )
        ys, state = both_ways(self.forwards, self.backwards, xs, state, mask)
        return stacked(ys, mask), state


class Stacked(Cell):
    """One above the other: what one layer puts out, the next takes in (Graves 2013).

    Of cells, it is a cell, all of whose layers take step t before any takes step t + 1; its state
    is the tuple of theirs.  Of layers over time (`Unroll`, `Bidirectional`), it is such a layer,
    and takes lengths. dropout: the probability for the outputs between the layers, in training.

    >>> import numpy as np, nn
    >>> deep = nn.Unroll(nn.Stacked([nn.LSTMCell(3, 4), nn.GRUCell(4, 5)]))
    >>> y, ((h0, c0), h1) = deep(np.zeros((6, 2, 3)))
    >>> y.shape, c0.shape, h1.shape
    ((6, 2, 5), (2, 4), (2, 5))
    """

    def __init__(self, layers: Any, dropout: float = 0.0) -> None:
        layers = list(layers)
        cells = [isinstance(layer, Cell) and not layer.over_time for layer in layers]
        if (
            not layers
            or not all(isinstance(layer, Module) for layer in layers)
            or len(set(cells)) != 1
        ):
            found = ", ".join(type(layer).__name__ for layer in layers) or "nothing"
            raise TypeError(f"Stacked: either cells or layers over time are needed, found {found}")
        self.over_time, self.num_layers = not cells[0], len(layers)
        for k, layer in enumerate(layers):
            setattr(self, f"l{k}", layer)
        self.dropout = Dropout(dropout)

    @property
    def memory(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of the memories in all layers."""
        return tuple(name for layer in self.layers for name in layer.memory)

    @property
    def layers(self) -> list[Any]:
        """The layers, from the input up: the attributes `l0`, `l1`, ..."""
        return [getattr(self, f"l{k}") for k in range(self.num_layers)]

    def initial_state(self, batch_size: int | None = None) -> State:
        """The tuple of the cells' own."""
        return Layers(layer.initial_state(batch_size) for layer in self.layers)

    def check_input(self, shape: tuple[int, ...], dtype: Any) -> None:
        """Raise if the first cell does not take this input."""
        self.layers[0].check_input(shape, dtype)

    def __call__(self, x: Any, state: State = None, **options: Any) -> Any:
        """`forward`; of cells, after checking x and the state."""
        return (Module if self.over_time else Cell).__call__(self, x, state, **options)

    def forward(self, x: Any, state: State = None, **options: Any) -> tuple[mg.Tensor, State]:
        """Through all layers."""
        new = []
        for k, layer in enumerate(self.layers):
            x, s = layer(
                x if k == 0 else self.dropout(x), None if state is None else state[k], **options
            )
            new.append(s)
        return x, Layers(new)


class _Recurrent(Module):
    """What RNN, LSTM and GRU share: layers of unrolled cells, named `l0`, `l0_reverse`, `l1`, ..."""

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
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.batch_first, self.bidirectional, self.dropout = batch_first, bidirectional, dropout
        self.layers: list[list[str]] = []
        for k in range(num_layers):
            size = input_size if k == 0 else hidden_size * (1 + bidirectional)
            self.layers.append([f"l{k}", f"l{k}_reverse"][: 1 + bidirectional])
            for name in self.layers[-1]:
                setattr(self, name, kind(size, hidden_size, bias, **options))

    def forward(self, x: Any, state: State = None, lengths: Any = None) -> tuple[mg.Tensor, State]:
        """All layers over all steps; see the class."""
        if self.batch_first and not hasattr(x, "ndim"):
            raise TypeError(
                f"{self.scope_name}: batch_first needs an array (B, T, D), found {type(x).__name__}"
            )
        batch_first = self.batch_first and x.ndim == 3
        xs, mask = steps(self.scope_name, mg.swapaxes(x, 0, 1) if batch_first else x, lengths)
        states = self._rows(state, *xs[0].shape[:-1])
        finals: list[State] = []
        for names in self.layers:
            cells = [getattr(self, name) for name in names]
            own = [states[len(finals) + k] for k in range(len(cells))]
            if finals and self.dropout and self.training:
                xs = [x_t * dropout_mask(x_t.shape, self.dropout, x_t.dtype) for x_t in xs]
            if self.bidirectional:
                xs, both = both_ways(cells[0], cells[1], xs, own, mask)
                finals += both
            else:
                xs, final = unroll(cells[0], xs, own[0], mask)
                finals.append(final)
        return stacked(xs, mask, int(batch_first)), map_state(lambda *rows: mg.stack(rows), *finals)

    def _rows(self, state: State, *batch: int) -> list[State]:
        """The initial state of each cell, in the order of the rows of h_n; None where it is the
        default.
        """
        rows = sum(len(names) for names in self.layers)
        if state is None:
            return [None] * rows
        state = self.l0.check_state(state, rows, *batch, who=self.scope_name)
        return [map_state(operator.itemgetter(k), state) for k in range(rows)]

    def describe(self) -> str:
        """The sizes, and what is not the default."""
        options = [f"num_layers={self.num_layers}"] if self.num_layers > 1 else []
        options += [name for name in ("bidirectional", "batch_first") if getattr(self, name)]
        options += [f"dropout={self.dropout}"] if self.dropout else []
        return ", ".join([str(self.input_size), str(self.hidden_size), *options])


class RNN(_Recurrent):
    """The vanilla network: `RNNCell`s over time, with the arguments and shapes of PyTorch's.

    `y, h_n = RNN(D, H)(x, state=None, lengths=None)`

    Shapes: x (T, B, D), or (B, T, D) with batch_first, or (T, D) without a batch axis; y like x but
    with H features, 2H if bidirectional; h_n and state (layers · directions, B, H), never batch
    first, rows in the order layer 0 forwards, layer 0 backwards, layer 1 forwards, ...; lengths as
    in `Unroll`. dropout: the probability for the outputs of every layer but the last, in training.

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
        nonlinearity: str = "tanh",
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
    """`GRUCell`s over time; see `RNN` for arguments and shapes.  reset: "after" or "before", see
    `GRUCell`.

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
        reset: str = "after",
    ) -> None:
        sizes = (input_size, hidden_size, num_layers)
        super().__init__(GRUCell, *sizes, bias, batch_first, dropout, bidirectional, reset=reset)
