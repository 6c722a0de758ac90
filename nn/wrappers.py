"""Wrappers that fit any cell; each is a cell again."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from nn import init
from nn.cells import Cell, State, leaves, map_state
from nn.dropout import check_probability, dropout_mask
from nn.parameter import Parameter
from nn.unroll import checked_cell


class Wrapper(Cell):
    """Base of the wrappers: input and state are those of the cell inside."""

    def __init__(self, cell: Cell) -> None:
        self.cell = checked_cell(type(self).__name__, cell)
        if hasattr(cell, "state_size"):
            self.state_size = cell.state_size
        self.memory = cell.memory

    def initial_state(self, batch_size: int | None = None) -> State:
        """That of the cell inside."""
        return self.cell.initial_state(batch_size)

    def check_input(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """As the cell inside asks."""
        self.cell.check_input(shape, dtype)

    def forward(self, x: mg.Tensor, state: State) -> tuple[mg.Tensor, State]:
        """One step of the cell inside."""
        return self.cell(x, state)


class Residual(Wrapper):
    """
    y = x + cell(x)

    The state is untouched; the cell's y must have the shape of x (He et al. 2016).

    >>> import numpy as np, nn
    >>> nn.Unroll(nn.Residual(nn.GRUCell(4, 4)))(np.ones((5, 2, 4)))[0].shape
    (5, 2, 4)
    """

    def forward(self, x: mg.Tensor, state: State) -> tuple[mg.Tensor, State]:
        """One step."""
        y, new = self.cell(x, state)
        if y.shape != x.shape:
            raise ValueError(
                f"{self.scope_name}: x and y must have the same shape, found {x.shape} and {y.shape}"
            )
        return x + y, new


class Zoneout(Wrapper):
    """
    s = m ∘ s_prev + (1 − m) ∘ s

    Each unit of the state keeps its old value with probability p in training, where m is 0 or 1; in
    evaluation m = p (Krueger et al. 2017).  p: a number, or one for each leaf of the state, in its
    structure.

    >>> import numpy as np, nn
    >>> cell = nn.Zoneout(nn.LSTMCell(3, 4), p=nn.LSTMState(h=0.05, c=0.5), rng=0)
    >>> nn.Unroll(cell)(np.zeros((5, 2, 3)))[0].shape
    (5, 2, 4)
    """

    def __init__(self, cell: Cell, p: Any = 0.1, rng: init.Rng = None) -> None:
        super().__init__(cell)
        self.p = map_state(lambda share: check_probability("Zoneout", share), p)
        self.rng = None if rng is None else init.generator(rng)

    def forward(self, x: mg.Tensor, state: State) -> tuple[mg.Tensor, State]:
        """One step."""
        y, new = self.cell(x, state)
        p = self.p if isinstance(self.p, tuple) else map_state(lambda s: self.p, state)
        kept = map_state(self._kept, p, new, state)
        shown = {id(s): k for (_, s), (_, k) in zip(leaves(new), leaves(kept), strict=True)}
        return shown.get(id(y), y), kept

    def _kept(self, p: float, s: mg.Tensor, s_prev: mg.Tensor) -> mg.Tensor:
        if not self.training:
            return p * s_prev + (1 - p) * s
        return mg.where(init.generator(self.rng).random(s.shape) < p, s_prev, s)


class DroppedState(NamedTuple):
    """A state, and the mask of its sequence."""

    h: Any
    mask: Any


class RecurrentDropout(Wrapper):
    """
    h_prev = h_prev ∘ mask

    One mask for all steps of a sequence (Gal & Ghahramani 2016), drawn with the initial state, of
    which it is a part: 0 with probability p, else 1 / (1 − p).  of: the leaf that is dropped, "h"
    of an LSTM.  Only in training.

    >>> import numpy as np, nn
    >>> y, (state, mask) = nn.Unroll(nn.RecurrentDropout(nn.LSTMCell(3, 4), p=0.5, rng=0))(np.zeros((5, 2, 3)))
    >>> y.shape, mask.shape
    ((5, 2, 4), (2, 4))
    """

    def __init__(self, cell: Cell, p: float = 0.25, of: str = "h", rng: init.Rng = None) -> None:
        self.cell = checked_cell("RecurrentDropout", cell)
        self.memory = cell.memory
        self.p, self.of = check_probability("RecurrentDropout", p), of
        self.rng = None if rng is None else init.generator(rng)
        names = [name for name, _ in leaves(cell.initial_state())]
        if names.count(of) != 1:
            raise ValueError(
                f"RecurrentDropout: one leaf {of!r} in the state is needed; there are {', '.join(names)}"
            )

    def initial_state(self, batch_size: int | None = None) -> State:
        """That of the cell inside, and a new mask."""
        state = self.cell.initial_state(batch_size)
        h = next(s for name, s in leaves(state) if name == self.of)
        return DroppedState(
            state, dropout_mask(h.shape, self.p if self.training else 0.0, h.dtype, self.rng)
        )

    def forward(self, x: mg.Tensor, state: DroppedState) -> tuple[mg.Tensor, DroppedState]:
        """One step."""
        names = iter([name for name, _ in leaves(state.h)])
        dropped = state.h
        if self.training:
            dropped = map_state(lambda s: s * state.mask if next(names) == self.of else s, state.h)
        y, new = self.cell(x, dropped)
        return y, DroppedState(new, state.mask)


class LearnedInitialState(Wrapper):
    """The initial state is trained: a parameter for each leaf, `h_init`, `c_init`, ..., the same
    for each row.

    >>> import nn
    >>> cell = nn.LearnedInitialState(nn.LSTMCell(3, 4))
    >>> [name for name, _ in cell.named_parameters()][-2:]
    ['h_init', 'c_init']
    """

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        with mg.no_grad():
            first = list(leaves(cell.initial_state()))
        self.names: list[str] = []
        for name, s in first:
            same = sum(known.startswith(f"{name}_init") for known in self.names)
            self.names.append(f"{name}_init_{same + 1}" if same else f"{name}_init")
            setattr(self, self.names[-1], Parameter(s.data))

    def initial_state(self, batch_size: int | None = None) -> State:
        """The parameters, for each row of the batch."""
        with mg.no_grad():
            like = self.cell.initial_state()
        batch = () if batch_size is None else (batch_size,)
        names = iter(self.names)
        return map_state(
            lambda s: mg.broadcast_to(getattr(self, next(names)), (*batch, *s.shape)), like
        )
