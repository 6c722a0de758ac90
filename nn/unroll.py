"""The one loop over time.

No page of this package "does" backpropagation through time: it is the one backward loop of the
engine, run on the graph that the `for` loop below leaves behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import numpy as np

import minigrad as mg
from nn.cells import Cell, State, leaves, map_state
from nn.module import FOLDER, Module

Array = np.ndarray[Any, Any]
_begin: ContextVar[Any] = ContextVar(
    "nn.begin", default=lambda cell: (0, cell.full_name or cell.scope_name)
)


@contextmanager
def starting_at(t: int, axes: dict[Cell, mg.Axis]) -> Iterator[None]:
    """Inside, sequences begin with step `t`, not 0; a cell goes on with its axis, which is made if
    need be.
    """
    token = _begin.set(
        lambda cell: (t, axes.setdefault(cell, mg.Axis(cell.full_name or cell.scope_name)))
    )
    try:
        yield
    finally:
        _begin.reset(token)


def unroll(
    cell: Cell,
    xs: list[mg.Tensor],
    state: State = None,
    mask: Array | None = None,
    reverse: bool = False,
) -> tuple[list[mg.Tensor], State]:
    """Call the cell for each x_t; returns the list of the y_t, and the last state.

    mask: which rows have not ended at each step, bool (T, B); the others keep their state.
    Each call opens an axis of its own, which bears the path of the cell.
    """
    state, (start, axis) = _checked(cell, xs, state), _begin.get()(cell)
    ys: list[Any] = [None] * len(xs)
    masks = {} if mask is None else _masks_by_step(mask)
    first = len(xs) - 1 if reverse else 0
    with mg.scope(
        cell.scope_name, outside=FOLDER
    ):  # opened once, so that a step costs no more than its equations
        for t, x_t in mg.timesteps(xs, axis, reverse=reverse, start=start):
            result = cell.forward(x_t, state)
            y, new = cell.check_result(result, state) if t - start == first else result
            if t - start in masks:
                kept: dict[Any, Any] = {}
                new = map_state(partial(_kept, masks[t - start], kept), new, state)
                # a y_t that is the state stays it, so that one value has the whole gradient of step t
                y = kept.get(y, y)
            for name, leaf in leaves(new):
                leaf.place("state", name, memory=name in cell.memory)
            ys[t - start], state = y, new
    return ys, state


class Unroll(Module):
    """A cell, applied to each step of a sequence.

    `y, state = Unroll(cell)(xs, state=None, lengths=None, reverse=False)`

    Shapes: xs (T, B, D), or (T, D) without a batch axis, or a list of T steps; y (T, B, ...); each
    leaf of the state (B, size).  lengths (B) integers in 1...T: from step lengths[b] on, row b
    keeps its state, its y is 0, and its x is not looked at, NaN included.  reverse: the steps T−1
    ... 0, so that with lengths each row starts at its own end.

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
        xs, mask = steps(self.scope_name, xs, lengths)
        ys, state = unroll(self.cell, xs, state, mask, reverse)
        return stacked(ys, mask), state


def checked_cell(who: str, cell: Any) -> Cell:
    """The cell, if it is one."""
    if not isinstance(cell, Cell) or cell.over_time:
        raise TypeError(f"{who}: an nn.Cell is needed, found {type(cell).__name__}")
    return cell


def steps(who: str, xs: Any, lengths: Any = None) -> tuple[list[mg.Tensor], Array | None]:
    """The x_t of a sequence, 0 where a row has ended, and the mask of its rows (T, B), if any."""
    if isinstance(xs, list | tuple):
        xs = [x_t if isinstance(x_t, mg.Tensor) else mg.tensor(x_t) for x_t in xs]
        xs = mg.stack(xs) if xs and lengths is not None else xs
    elif not isinstance(xs, mg.Tensor):
        xs = mg.tensor(xs)
    if getattr(xs, "shape", None) == () or not len(xs):
        raise ValueError(
            f"{who}: a sequence of at least one step is needed, found {getattr(xs, 'shape', xs)}"
        )
    if lengths is None:
        return list(xs), None
    mask = lengths_mask(lengths, len(xs))
    if xs.ndim < 2 or mask.shape != xs.shape[:2]:
        raise ValueError(
            f"{who}: one length for each row of a batch is needed, "
            f"found {mask.shape[1]} for {xs.shape}"
        )
    # NaN in the padding must not reach a product, so it is replaced before any
    return list(mg.where(_mask(mask, xs.ndim), xs, 0)), mask


def _checked(cell: Cell, xs: list[mg.Tensor], state: State) -> State:
    """The state to begin with; raises if it or the input does not fit the cell."""
    x = xs[0]
    cell.check_input(x.shape, x.dtype)
    if len(shapes := sorted({x_t.shape for x_t in xs})) > 1:
        raise ValueError(f"{cell.scope_name}: all steps must have the same shape, found {shapes}")
    batch = x.shape[: 1 if x.dtype.kind != "f" else -1]
    state = cell.initial_state(*batch) if state is None else cell.check_state(state, *batch)
    for name, leaf in leaves(state):
        if leaf.is_leaf and leaf.role is None and not leaf.requires_grad:
            leaf.place("state", f"{name}_init", memory=name in cell.memory)
    return state


def lengths_mask(lengths: Any, steps: int) -> Array:
    """Which rows have not ended at each step: bool (T, B), as attention takes it.

    >>> import nn
    >>> nn.lengths_mask([2, 1], steps=2)
    array([[ True,  True], [ True, False]])
    """
    lengths = np.asarray(lengths.data if isinstance(lengths, mg.Tensor) else lengths)
    if lengths.ndim != 1 or (lengths.size and lengths.dtype.kind not in "iu"):
        raise ValueError(
            f"lengths: integers of shape (B,) are needed, found {lengths.dtype} of shape {lengths.shape}"
        )
    if len(wrong := np.flatnonzero((lengths < 1) | (lengths > steps))):
        raise ValueError(
            f"lengths: 1 to T = {steps} is possible, found {lengths[wrong[0]]} in row {wrong[0]}"
        )
    return np.asarray(np.arange(steps)[:, None] < lengths)


def stacked(ys: list[mg.Tensor], mask: Array | None, axis: int = 0) -> mg.Tensor:
    """The y_t in one tensor, 0 where a row has ended."""
    y: mg.Tensor = mg.stack(ys, axis=axis)
    if mask is None:
        return y
    return mg.where(_mask(np.moveaxis(mask, 0, axis), y.ndim), y, 0)


def _kept(mask: mg.Tensor, kept: dict[Any, Any], s: mg.Tensor, s_prev: mg.Tensor) -> Any:
    """The new state where the mask (B, 1) is True; rows that have ended keep the old one.  Also
    noted in a table.
    """
    if s is not s_prev:
        kept[s] = mg.where(mask if s.ndim == 2 else _mask(mask.data[:, 0], s.ndim), s, s_prev)
    return kept.get(s, s)


def _masks_by_step(mask: Array) -> dict[int, mg.Tensor]:
    """The mask (B, 1) of each step in which some row has ended."""
    return {k: _mask(row, 2) for k, row in enumerate(mask) if not row.all()}


def _mask(mask: Array, ndim: int) -> mg.Tensor:
    """The mask as a tensor, with axes of length 1 at its end so that it has `ndim` axes."""
    tensor = mg.tensor(mask.reshape(mask.shape + (1,) * (ndim - mask.ndim)))
    tensor.place("mask", "mask")
    return tensor
