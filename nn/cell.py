"""The base of all cells: one step of a recurrence, which knows nothing of time; `unroll` does."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import minigrad as mg
from nn.module import FOLDER, Module
from nn.structure import State, check_like, flatten, is_shape, leaf_names, leaf_shape, map_structure


class Cell(Module):
    """Base of all cells: write `forward(x, state) -> (y, state)` and set `state_size`.

    x, y and the state are tensors, or (named) tuples or dicts of them, whose first axis is the
    batch.  Shapes: x (B, ...), y (B, ...), each leaf of the state (B, size).  A cell may also be
    called without a batch axis: x (D), leaves (size).

    state_size: the size of a leaf, or the list of its sizes if it has several axes, or a (named)
    tuple or dict of sizes.  A cell may write `initial_state(batch_size)` instead.
    memory: the names of the leaves that are memories, as c of an LSTM.

    A cell may have `prepare(self, xs, **extras)`, which runs once before the loop, outside of
    time: with the whole sequence xs (T, B, ...), and with the extras that its signature names.
    What it returns is handed to `forward(x, state, context)`.  Inside of it, `nn.each_step(a)`
    stands for a[t] in step t.

    >>> import minigrad as mg, numpy as np, nn
    >>> class Hoisted(nn.Cell):
    ...     '''h = tanh((x W)_t + h_prev U)'''
    ...     def __init__(self, D, H):
    ...         self.state_size = H
    ...         self.W = nn.Parameter(nn.init.glorot(D, H))
    ...         self.U = nn.Parameter(nn.init.orthogonal(H, H))
    ...     def prepare(self, xs):
    ...         return nn.each_step(xs @ self.W)
    ...     def forward(self, x, h_prev, a):
    ...         h = np.tanh(a + h_prev @ self.U)
    ...         return h, h
    >>> y, h = nn.Unroll(Hoisted(3, 4))(np.ones((5, 2, 3)))
    >>> y.shape, len(mg.Graph(y.sum()).find(op="matmul"))
    ((5, 2, 4), 6)
    """

    state_size: Any
    prepare: Callable[..., Any] | None = None
    memory: tuple[str, ...] = ()
    over_time = False  # True if `forward` takes whole sequences, as a stack of layers does

    def initial_state(self, batch_size: int | None = None) -> State:
        """Zeros of the parameters' dtype, named h_init, c_init, ...

        Shapes: leaves (B, size), or (size) without a batch size.
        """
        if not hasattr(self, "state_size"):
            name = type(self).__name__
            raise TypeError(f"{name}: set self.state_size, or write initial_state(batch_size)")
        batch = () if batch_size is None else (batch_size,)
        return self._zeros(batch)

    def _zeros(self, batch: tuple[int, ...]) -> State:
        names = iter(leaf_names(map_sizes(lambda size: 0, self.state_size)))
        dtype = self.dtype

        def zeros(size: Any) -> mg.Tensor:
            array = np.zeros((*batch, *leaf_shape(size)))
            return mg.tensor(array, dtype=dtype, name=f"{next(names)}_init")

        return map_sizes(zeros, self.state_size)

    # checks

    def check_input(self, x: Any) -> None:
        """Raise if one step of input does not fit: if it has not `input_size` features."""
        size = getattr(self, "input_size", None)
        if size is None or not hasattr(x, "shape"):
            return
        if len(x.shape) not in (1, 2) or x.shape[-1] != size:
            raise ValueError(
                f"{self.scope_name}: x (B, {size}) or ({size},) is needed at each step, "
                f"found {x.shape}"
            )
        if x.dtype.kind != "f":
            raise TypeError(
                f"{self.scope_name}: x must hold floats, found {x.dtype}; "
                f"write x.astype(np.{self.dtype})"
            )

    def check_state(self, state: State, *batch: int, who: str = "") -> State:
        """The state as tensors, in the structure of the initial one.

        Raises ValueError or TypeError that names the leaf that does not fit.
        """
        where = f"{who or self.scope_name}: state"
        if hasattr(self, "state_size"):
            like, sizes = self.state_size, batch
        else:
            with mg.no_grad():
                like, sizes = self.initial_state(*batch), ()
        try:
            return check_like(state, like, where, sizes, self.dtype)
        except (TypeError, ValueError) as error:
            if _is_result(state, like, sizes):
                remedy = "a cell returns (y, state): write y, state = cell(x, state)"
                raise type(error)(f"{error}; {remedy}") from None
            raise

    def check_result(self, result: Any, like: State = None) -> tuple[Any, State]:
        """The result of `forward`, if it is (y, state) with a state like the one that went in."""
        if not isinstance(result, tuple) or len(result) != 2:
            parts = f"{len(result)} parts" if isinstance(result, tuple) else ""
            found = parts or f"one {type(result).__name__}"
            raise TypeError(f"{type(self).__name__}.forward must return (y, state), found {found}")
        y, new = result
        if like is not None:
            new = check_like(new, like, f"{self.scope_name}: the state that forward returns")
        return y, new

    # calls

    def __call__(
        self, x: Any, state: State = None, context: Any = None, **extras: Any
    ) -> tuple[Any, State]:
        """One step: `forward` after checking x and the state; from the initial state without one.

        A cell with `prepare` that is given no context prepares this one step.
        """
        x = self._as_tensors(x)
        check_leaves(self.scope_name, x)
        self.check_input(x)
        state = first_state(self, x, self._as_tensors(state))
        with mg.scope(self.scope_name, outside=FOLDER):
            if self.prepare is None or context is None:
                xs = map_structure(lambda leaf: leaf[None], x) if self.prepare is not None else None
                context = step_of(prepared(self, xs, extras), 0)
            return self.check_result(run_step(self, x, state, context))

    def takes_extra(self, name: str) -> bool:
        """Whether the signature of `prepare` names this extra."""
        return self.prepare is not None and (
            name in _parameters(self.prepare) or "**" in _parameters(self.prepare)
        )

    def describe(self) -> str:
        """The sizes."""
        sizes = [getattr(self, name, None) for name in ("input_size", "hidden_size")]
        return ", ".join(str(size) for size in sizes if size is not None)


def run_step(cell: Cell, x: Any, state: State, context: Any = None) -> Any:
    """The cell's `forward`, with the context if the cell has `prepare`."""
    if cell.prepare is None:
        return cell.forward(x, state)
    return cell.forward(x, state, context)


def _is_result(result: Any, like: State, batch: tuple[int, ...]) -> bool:
    """Whether a result (y, state) was given whole, in place of its state."""
    if not isinstance(result, tuple) or len(result) != 2:
        return False
    try:
        check_like(result[1], like, "state", batch)
    except (TypeError, ValueError):
        return False
    return True


def first_state(cell: Cell, x: Any, state: State = None) -> State:
    """The state to begin with at the step x: the one that was given, checked; or the initial."""
    batch = batch_of(cell.scope_name, x)
    if state is None:
        return cell.initial_state(*batch)
    return cell.check_state(state, *batch)


def prepared(cell: Cell, xs: Any, extras: Mapping[str, Any]) -> Any:
    """The context of a sequence, from the cell's `prepare`; None if the cell has none.

    Raises TypeError for an extra that the signature of `prepare` does not name.
    """
    unknown = [name for name in extras if not cell.takes_extra(name)]
    if unknown and cell.prepare is None:
        raise TypeError(
            f"{cell.scope_name}: {type(cell).__name__} has no prepare(xs, ...), "
            f"so it takes no {unknown[0]!r}"
        )
    if unknown:
        known = ", ".join(_parameters(cell.prepare)) or "no extras"
        raise TypeError(
            f"{cell.scope_name}: {type(cell).__name__}.prepare takes no {unknown[0]!r}; "
            f"its signature names {known}"
        )
    return None if cell.prepare is None else cell.prepare(xs, **extras)


def _parameters(prepare: Callable[..., Any] | None) -> list[str]:
    """The names of the extras that `prepare` takes; "**" if it takes all."""
    if prepare is None:
        return []
    _, *rest = inspect.signature(prepare).parameters.values()
    return ["**" if p.kind is p.VAR_KEYWORD else p.name for p in rest]


# the batch


def check_leaves(who: str, x: Any) -> None:
    """Raise TypeError unless all leaves of an input are tensors or arrays."""
    for leaf in flatten(x):
        if not hasattr(leaf, "dtype"):
            found = type(x).__name__
            raise TypeError(f"{who}: x must be a tensor or an array, found {found}")


def batch_of(who: str, x: Any) -> tuple[int, ...]:
    """The batch size at a step, as (B,); () if x has no batch axis.

    Raises ValueError if the leaves of x have different batch sizes.
    """
    leaves = flatten(x)
    if all(leaf.ndim <= (leaf.dtype.kind == "f") for leaf in leaves):
        return ()  # one row: features, or one token
    sizes = sorted({leaf.shape[:1] for leaf in leaves})
    if len(sizes) > 1:
        shapes = ", ".join(str(leaf.shape) for leaf in leaves)
        raise ValueError(f"{who}: all parts of x must have one batch size, found {shapes}")
    return sizes[0]


def map_sizes(function: Callable[[Any], Any], size: Any) -> Any:
    """`function` of each size in a `state_size`; a list of integers is one size."""
    if isinstance(size, dict):
        return {key: map_sizes(function, part) for key, part in size.items()}
    if is_shape(size) or not isinstance(size, tuple | list):
        return function(size)
    parts = [map_sizes(function, part) for part in size]
    return type(size)(*parts) if hasattr(size, "_fields") else type(size)(parts)


# contexts


class EachStep:
    """A part of a context that is another one at each step; see `each_step`."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values


def each_step(a: mg.Tensor) -> EachStep:
    """In the context that `prepare` returns: a (T, ...), of which step t gets a[t].

    It is split once, so that the backward pass stays linear in T.
    """
    return EachStep(list(a))


def step_of(context: Any, k: int) -> Any:
    """The context of the k-th step."""

    def of_step(part: Any) -> Any:
        return part.values[k] if isinstance(part, EachStep) else part

    return map_structure(of_step, context)
