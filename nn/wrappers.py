"""Wrappers that fit any cell; each is a cell again."""

from __future__ import annotations

from typing import Any, NamedTuple

import minigrad as mg
from nn import init
from nn.cell import Cell
from nn.dropout import check_probability, dropout_mask
from nn.parameter import Parameter
from nn.structure import State, flatten, is_structure, leaf_names, map_structure, named_leaves
from nn.unroll import checked_cell


class Wrapper(Cell):
    """Base of the wrappers: input, state and context are those of the cell inside."""

    def __init__(self, cell: Cell) -> None:
        self.cell = checked_cell(type(self).__name__, cell)
        if hasattr(cell, "state_size"):
            self.state_size = cell.state_size
        self.memory = cell.memory

    @property
    def prepare(self) -> Any:  # type: ignore[override]
        """The `prepare` of the cell inside; None if it has none."""
        return self.cell.prepare

    def initial_state(self, batch_size: int | None = None) -> State:
        """The initial state of the cell inside."""
        return self.cell.initial_state(batch_size)

    def check_input(self, x: Any) -> None:
        """Raise if the cell inside does not take this input."""
        self.cell.check_input(x)

    def forward(self, x: Any, state: State, context: Any = None) -> tuple[Any, State]:
        """One step of the cell inside."""
        return self.cell(x, state, context)


class Residual(Wrapper):
    """
    y = x + cell(x)

    The state is that of the cell; its y must have the shape of x (He et al. 2016).

    >>> import numpy as np, nn
    >>> nn.Unroll(nn.Residual(nn.GRUCell(4, 4)))(np.ones((5, 2, 4)))[0].shape
    (5, 2, 4)
    """

    def forward(self, x: Any, state: State, context: Any = None) -> tuple[Any, State]:
        """One step."""
        y, new = self.cell(x, state, context)
        return map_structure(self._sum, x, y), new

    def _sum(self, x: mg.Tensor, y: mg.Tensor) -> mg.Tensor:
        if y.shape != x.shape:
            found = f"{x.shape} and {y.shape}"
            raise ValueError(f"{self.scope_name}: x and y must have the same shape, found {found}")
        return x + y


class Zoneout(Wrapper):
    """
    s = m ∘ s_prev + (1 − m) ∘ s

    Each unit of the state keeps its old value with probability p in training, where m is 0 or 1; in
    evaluation m = p (Krueger et al. 2017).
    p: a number, or one for each leaf of the state, in its structure.

    >>> import numpy as np, nn
    >>> cell = nn.Zoneout(nn.LSTMCell(3, 4), p=nn.LSTMState(h=0.05, c=0.5), rng=0)
    >>> nn.Unroll(cell)(np.zeros((5, 2, 3)))[0].shape
    (5, 2, 4)
    """

    def __init__(self, cell: Cell, p: Any = 0.1, rng: init.Rng = None) -> None:
        super().__init__(cell)
        self.p = map_structure(lambda share: check_probability("Zoneout", share), p)
        self.rng = None if rng is None else init.generator(rng)

    def forward(self, x: Any, state: State, context: Any = None) -> tuple[Any, State]:
        """One step."""
        y, new = self.cell(x, state, context)
        p = self.p if is_structure(self.p) else map_structure(lambda s: self.p, state)
        kept = map_structure(self._kept, p, new, state)
        # where y is a leaf of the state, it is the leaf that was kept
        shown = {id(s): k for s, k in zip(flatten(new), flatten(kept), strict=True)}
        return map_structure(lambda part: shown.get(id(part), part), y), kept

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
    which it is a part: 0 with probability p, else 1 / (1 − p).  Only in training.
    of: the name of the leaf that is dropped, "h" of an LSTM.

    >>> import numpy as np, nn
    >>> cell = nn.RecurrentDropout(nn.LSTMCell(3, 4), p=0.5, rng=0)
    >>> y, (state, mask) = nn.Unroll(cell)(np.zeros((5, 2, 3)))
    >>> y.shape, mask.shape
    ((5, 2, 4), (2, 4))
    """

    def __init__(self, cell: Cell, p: float = 0.25, of: str = "h", rng: init.Rng = None) -> None:
        self.cell = checked_cell("RecurrentDropout", cell)
        self.memory = cell.memory
        self.p = check_probability("RecurrentDropout", p)
        self.of = of
        self.rng = None if rng is None else init.generator(rng)
        first = named_leaves(cell.initial_state())
        sizes = [list(s.shape) for name, s in first if name == of]
        if len(sizes) != 1:
            found = ", ".join(name for name, _ in first)
            raise ValueError(
                f"RecurrentDropout: one leaf {of!r} in the state is needed; there are {found}"
            )
        if hasattr(cell, "state_size"):  # states are checked by it, without drawing a mask
            self.state_size = DroppedState(cell.state_size, sizes[0])

    def initial_state(self, batch_size: int | None = None) -> State:
        """The initial state of the cell inside, and a new mask."""
        state = self.cell.initial_state(batch_size)
        h = dict(named_leaves(state))[self.of]
        p = self.p if self.training else 0.0
        return DroppedState(state, dropout_mask(h.shape, p, h.dtype, self.rng))

    def forward(self, x: Any, state: DroppedState, context: Any = None) -> tuple[Any, DroppedState]:
        """One step."""
        dropped = state.h
        if self.training:
            names = iter(leaf_names(state.h))
            dropped = map_structure(
                lambda s: s * state.mask if next(names) == self.of else s, state.h
            )
        y, new = self.cell(x, dropped, context)
        return y, DroppedState(new, state.mask)


class LearnedInitialState(Wrapper):
    """A trained initial state, the same for each row: parameters `h_init`, `c_init`, ...

    >>> import nn
    >>> cell = nn.LearnedInitialState(nn.LSTMCell(3, 4))
    >>> [name for name, _ in cell.named_parameters()][-2:]
    ['h_init', 'c_init']
    """

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        with mg.no_grad():
            first = named_leaves(cell.initial_state())
        self.names: list[str] = []
        for name, s in first:
            own = f"{name.replace('.', '_')}_init"
            same = sum(known.startswith(own) for known in self.names)
            self.names.append(f"{own}_{same + 1}" if same else own)
            setattr(self, self.names[-1], Parameter(s.data))

    def initial_state(self, batch_size: int | None = None) -> State:
        """The parameters, for each row of the batch."""
        with mg.no_grad():
            like = self.cell.initial_state()
        batch = () if batch_size is None else (batch_size,)
        names = iter(self.names)

        def of_batch(s: mg.Tensor) -> mg.Tensor:
            return mg.broadcast_to(getattr(self, next(names)), (*batch, *s.shape))

        return map_structure(of_batch, like)
