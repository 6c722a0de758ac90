"""The one loop over time.

No page of this package "does" backpropagation through time: it is the one backward loop of the
engine, run on the graph that the `for` loop below leaves behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

import minigrad as mg
from nn.cell import (
    Cell,
    EachStep,
    batch_of,
    check_leaves,
    first_state,
    prepared,
    run_step,
    step_of,
)
from nn.module import FOLDER, Module
from nn.padding import Steps, joined, stack_steps, take_apart, wide_mask
from nn.structure import (
    State,
    check_like,
    flatten,
    is_structure,
    leaf_names,
    map_structure,
    named_leaves,
)

Array = np.ndarray[Any, Any]
# of a cell and the name of its axis: the number of the first step, and the axis or its name
_begin: ContextVar[Any] = ContextVar("nn.begin", default=lambda cell, name: (0, name))


@contextmanager
def starting_at(t: int, axes: dict[tuple[Cell, str], mg.Axis]) -> Iterator[None]:
    """Inside, sequences begin with step `t`, and each use of a cell continues its axis."""

    def begin(cell: Cell, name: str) -> tuple[int, mg.Axis]:
        return t, axes.setdefault((cell, name), mg.Axis(name))

    token = _begin.set(begin)
    try:
        yield
    finally:
        _begin.reset(token)


def unroll(
    cell: Cell,
    taken: Steps,
    state: State = None,
    reverse: bool = False,
    extras: Mapping[str, Any] | None = None,
    use: str = "",
    path: str = "",
) -> tuple[list[Any], State]:
    """Call the cell for each step; returns the list of the y_t, and the last state.

    Rows that have ended keep their state.  Each call opens an axis of its own.
    use, path: the name of this use of the cell for its scope, and its full name for the axis; by
    default the cell's own.
    """
    check_first_step(cell, taken.steps[0])
    state = first_state(cell, taken.steps[0], state)
    names = leaf_names(state)
    _mark_initial(cell, state, names)
    marks = [(name, name in cell.memory) for name in names]
    start, axis = _begin.get()(cell, path or cell.full_name or cell.scope_name)
    ys: list[Any] = [None] * len(taken.steps)
    masks = {} if taken.mask is None else _masks_by_step(taken.mask)
    first = len(ys) - 1 if reverse else 0
    with mg.scope(use or cell.scope_name, outside=FOLDER):  # opened once, not in each step
        xs = joined(taken) if cell.prepare is not None else None
        context = prepared(cell, xs, extras or {})
        changes = any(isinstance(part, EachStep) for part in flatten(context))
        for t, x_t in mg.timesteps(taken.steps, axis, reverse=reverse, start=start):
            k = t - start
            _mark_inputs(x_t)
            result = run_step(cell, x_t, state, step_of(context, k) if changes else context)
            y, new = cell.check_result(result, state) if k == first else result
            if k in masks:
                y, new = _keep_ended(masks[k], y, new, state)
            _mark_state(cell, new, marks, state)
            ys[k] = y
            state = new
    return ys, state


class Unroll(Module):
    """A cell, applied to each step of a sequence.

    `y, state = Unroll(cell)(xs, state=None, lengths=None, reverse=False)`

    Shapes: xs (T, B, ...), or (T, D) without a batch axis, or a tuple or dict of such; or a list of
    T steps; or what `nn.pad` returned; or a list of B sequences (T_b, ...) of different lengths.
    y (T, B, ...); each leaf of the state (B, ...).
    lengths: integers (B) in 1...T.  From step lengths[b] on, row b keeps its state, its y is 0, and
    its x is not looked at, NaN included.  A row may have length 0 if a state is given.
    reverse: the steps T−1 ... 0, so that with lengths each row starts at its own end.
    Further keyword arguments go to the cell's `prepare`, if its signature names them.

    >>> import numpy as np, nn
    >>> y, h = nn.Unroll(nn.RNNCell(3, 4))(np.zeros((5, 2, 3)), lengths=[5, 2])
    >>> y.shape, h.shape
    ((5, 2, 4), (2, 4))
    """

    def __init__(self, cell: Cell) -> None:
        self.cell = checked_cell("Unroll", cell)

    def initial_state(self, batch_size: int | None = None) -> State:
        """The cell's initial state."""
        return self.cell.initial_state(batch_size)

    def takes_extra(self, name: str) -> bool:
        """Whether the cell's `prepare` takes this extra."""
        return self.cell.takes_extra(name)

    def forward(
        self,
        xs: Any,
        state: State = None,
        lengths: Any = None,
        reverse: bool = False,
        **extras: Any,
    ) -> tuple[Any, State]:
        """All steps; the y_t stacked."""
        taken = take_apart(self.scope_name, xs, lengths, zero=state is not None)
        ys, state = unroll(self.cell, taken, state, reverse, extras)
        return stack_steps(ys, taken.mask), state


def checked_cell(who: str, cell: Any) -> Cell:
    """The cell, if it is one."""
    if not isinstance(cell, Cell) or cell.over_time:
        raise TypeError(f"{who}: an nn.Cell is needed, found {type(cell).__name__}")
    return cell


def check_first_step(cell: Cell, x: Any) -> None:
    """Raise if one step of input does not fit the cell."""
    check_leaves(cell.scope_name, x)
    cell.check_input(x)
    batch_of(cell.scope_name, x)


# roles: what the engine is told about the nodes of a recurrence


def _mark_inputs(x: Any) -> None:
    """Name the parts of a structured input; `timesteps` names an input that is one tensor."""
    if not is_structure(x):
        return
    now = mg.tensor(0.0).time
    for name, leaf in named_leaves(x, "x"):
        if leaf.time is None and leaf.role is None and not (leaf.is_leaf and leaf.requires_grad):
            leaf.mark("input", name, time=now)


def _mark_initial(cell: Cell, state: State, names: list[str]) -> None:
    for name, leaf in zip(names, flatten(state), strict=True):
        if leaf.is_leaf and leaf.role is None and not leaf.requires_grad:
            leaf.mark("state", f"{name}_init", memory=name in cell.memory)


def _mark_state(cell: Cell, state: State, marks: list[tuple[str, bool]], before: State) -> None:
    """Say which nodes of this step are states.  Raises if there are not as many as before.

    marks: of each leaf of the state its name, and whether it is a memory.
    """
    leaves = flatten(state)
    if len(leaves) != len(marks):
        check_like(state, before, f"{cell.scope_name}: the state that forward returns")
    for k, leaf in enumerate(leaves):
        if leaf.op is not None or not leaf.requires_grad:  # a parameter stays what it is
            name, memory = marks[k]
            leaf.mark("state", name, leaf=k, memory=memory)


# lengths


def _masks_by_step(mask: Array) -> dict[int, mg.Tensor]:
    """The mask (B, 1) of each step in which some row has ended.

    While a program is traced, which must hold for all lengths, that of each step.
    """
    every = mg.is_tracing()
    return {k: wide_mask(row, 2) for k, row in enumerate(mask) if every or not row.all()}


def _keep_ended(mask: mg.Tensor, y: Any, new: State, state: State) -> tuple[Any, State]:
    """The new state in rows that go on, the old one in rows that have ended.

    If a part of y is a leaf of the state, the masked leaf takes its place, so that one node
    receives the whole gradient of the step.
    """
    kept: dict[int, mg.Tensor] = {}

    def keep(s: mg.Tensor, s_prev: mg.Tensor) -> mg.Tensor:
        if s is s_prev:
            return s
        if id(s) not in kept:
            wide = mask if s.ndim == 2 else wide_mask(mask.data[:, 0], s.ndim)
            kept[id(s)] = mg.where(wide, s, s_prev)
        return kept[id(s)]

    masked = map_structure(keep, new, state)
    return map_structure(lambda part: kept.get(id(part), part), y), masked
