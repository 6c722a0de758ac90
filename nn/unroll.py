"""The one loop over time.  Imports `minigrad`, `cells`, `module`.

No page of this package "does" backpropagation through time: it is the one backward loop of the engine, run on the
graph that the `for` loop below leaves behind.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from nn.cells import Cell, State, leaves, map_state
from nn.module import FOLDER, Module

Array = np.ndarray[Any, Any]


def unroll(
    cell: Cell, xs: Any, state: State = None, lengths: Any = None, reverse: bool = False
) -> tuple[list[mg.Tensor], State]:
    """Call the cell for each x_t of `xs`; returns the list of the y_t, and the last state.

    Each call opens an axis of its own, which bears the path of the cell.  See `Unroll` for the arguments.
    """
    xs, state, inside = _checked(cell, xs, state, lengths)
    ys: list[Any] = [None] * len(xs)
    with mg.scope(cell.name, outside=FOLDER):  # opened once, so that a step costs no more than its equations
        for t, x_t in mg.timesteps(xs, cell.path or cell.name, reverse=reverse):
            y, new = cell.forward(x_t, state)
            if inside is not None and not inside[t].all():
                y, new = _masked(inside[t], y, new, state)
            for name, leaf in leaves(new):
                leaf.place("state", name)
            ys[t], state = y, new
    return ys, state


class Unroll(Module):
    """A cell, applied to each step of a sequence.

    `y, state = Unroll(cell)(xs, state=None, lengths=None, reverse=False)`

    Shapes: xs (T, B, D), or (T, D) without a batch axis, or a list of T steps; y (T, B, ...); each leaf of the state
    (B, size).  lengths (B) integers in 1...T: from step lengths[b] on, row b keeps its state, its y is 0, and its x is
    not looked at, NaN included.  reverse: the steps T−1 ... 0, so that with lengths each row starts at its own end.

    >>> import numpy as np, nn
    >>> y, h = nn.Unroll(nn.RNNCell(3, 4))(np.zeros((5, 2, 3)), lengths=[5, 2])
    >>> y.shape, h.shape
    ((5, 2, 4), (2, 4))
    """

    def __init__(self, cell: Cell) -> None:
        self.cell = checked_cell("Unroll", cell)

    def forward(
        self, xs: Any, state: State = None, lengths: Any = None, reverse: bool = False
    ) -> tuple[mg.Tensor, State]:
        """All steps; the y_t stacked."""
        ys, state = unroll(self.cell, xs, state, lengths, reverse)
        return mg.stack(ys), state


def checked_cell(who: str, cell: Any) -> Cell:
    """The cell, if it is one."""
    if not isinstance(cell, Cell) or cell.over_time:
        raise TypeError(f"{who}: an nn.Cell is needed, found {type(cell).__name__}")
    return cell


def _checked(cell: Cell, xs: Any, state: State, lengths: Any) -> tuple[Any, State, Array | None]:
    """The steps with padding replaced, the initial state, and which rows are inside their length at each step."""
    if not isinstance(xs, list | tuple | mg.Tensor):
        xs = mg.tensor(xs)
    if (isinstance(xs, mg.Tensor) and not xs.ndim) or not len(xs):
        raise ValueError(f"{cell.name}: a sequence of at least one step is needed, found {getattr(xs, 'shape', xs)}")
    shape, dtype = (xs.shape[1:], xs.dtype) if isinstance(xs, mg.Tensor) else (xs[0].shape, xs[0].dtype)
    cell.check_input(shape, dtype)
    batch = shape[: 1 if dtype.kind != "f" else -1]
    state = cell.initial_state(*batch) if state is None else cell.check_state(state, *batch)
    if lengths is None:
        return xs, state, None
    inside = inside_lengths(lengths, len(xs), *batch)
    if isinstance(xs, mg.Tensor):  # a list holds the outputs of a layer below, which are 0 there
        xs = mg.where(inside.reshape(inside.shape[:2] + (1,) * (xs.ndim - 2)), xs, 0)
    return xs, state, inside


def inside_lengths(lengths: Any, steps: int, batch_size: int | None = None) -> Array:
    """Which rows are inside their length at each step: (T, B, 1) of bool."""
    lengths = np.asarray(lengths.data if isinstance(lengths, mg.Tensor) else lengths)
    if batch_size is None or lengths.shape != (batch_size,) or lengths.dtype.kind not in "iu":
        wanted = "an input with a batch axis is" if batch_size is None else f"integers of shape ({batch_size},) are"
        raise ValueError(f"lengths: {wanted} needed, found {lengths.dtype} of shape {lengths.shape}")
    wrong = np.flatnonzero((lengths < 1) | (lengths > steps))
    if len(wrong):
        raise ValueError(f"lengths: 1 to T = {steps} is possible, found {lengths[wrong[0]]} in row {wrong[0]}")
    return (np.arange(steps)[:, None] < lengths)[:, :, None]


def _masked(inside: Array, y: mg.Tensor, new: State, state: State) -> tuple[mg.Tensor, State]:
    """Rows that have ended: their y is 0, and they keep their state."""
    return mg.where(inside, y, 0), map_state(lambda s, s_prev: mg.where(inside, s, s_prev), new, state)
