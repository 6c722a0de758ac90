"""Layers of cells: two directions, and one above the other."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import minigrad as mg
from nn.cell import Cell, prepared, run_step
from nn.dropout import Dropout
from nn.module import FOLDER, Module
from nn.padding import Steps, stack_steps, take_apart
from nn.structure import Layers, State, flatten, map_structure
from nn.unroll import checked_cell, unroll

Join = int | Callable[[Any, Any], Any] | None


def both_ways(
    module: Module,
    names: tuple[str, str],
    taken: Steps,
    state: State,
    extras: Mapping[str, Any] | None = None,
    join: Join = None,
) -> tuple[list[Any], tuple[State, State]]:
    """Two cells of a module, one in each direction of time; the list of their joined outputs."""
    prefix = f"{module.full_name}." if module.full_name else ""
    first, last = (None, None) if state is None else state
    forwards, backwards = names
    cell = getattr(module, forwards)
    own = _extras_of(cell, extras)
    ys, first = unroll(cell, taken, first, False, own, forwards, prefix + forwards)
    cell = getattr(module, backwards)
    own = _extras_of(cell, extras)
    zs, last = unroll(cell, taken, last, True, own, backwards, prefix + backwards)
    if callable(join):
        return [join(y, z) for y, z in zip(ys, zs, strict=True)], (first, last)
    axis = _join_axis(module.scope_name, ys[0], join)

    def joined(y: mg.Tensor, z: mg.Tensor) -> mg.Tensor:
        return mg.concatenate([y, z], axis=axis)

    return [map_structure(joined, y, z) for y, z in zip(ys, zs, strict=True)], (first, last)


def _join_axis(who: str, y: Any, join: int | None) -> int:
    """The axis along which outputs are joined: the last one, if it holds the features."""
    if join is not None:
        return join
    shape = next((leaf.shape for leaf in flatten(y) if leaf.ndim > 2), None)
    if shape is not None:
        raise ValueError(
            f"{who}: which axis of y_t {shape} holds the features?  Write join=-1 for the last, "
            "join=1 for the one after the batch, or a function of both outputs"
        )
    return -1


class Bidirectional(Module):
    """Two cells, one for each direction of time (Schuster & Paliwal 1997).

    `y, (state_forwards, state_backwards) = Bidirectional(cell, cell)(xs, state=None, lengths=None)`

    Shapes: xs (T, B, D), y (T, B, H + H); lengths and further arguments as in `Unroll`.  y[t] has
    seen all steps: those up to t in its first half, those from t on in its second.
    join: the axis of y_t (B, ...) along which the two outputs are joined, or a function of both.
    By default it is the last one; for outputs with more axes than (B, H) it must be given.

    >>> import numpy as np, nn
    >>> xs = np.zeros((6, 2, 3))
    >>> y, state = nn.Bidirectional(nn.GRUCell(3, 4), nn.GRUCell(3, 5))(xs)
    >>> y.shape
    (6, 2, 9)
    >>> nn.Bidirectional(nn.GRUCell(3, 4), nn.GRUCell(3, 4), join=np.add)(xs)[0].shape
    (6, 2, 4)
    """

    def __init__(self, forward: Cell, backward: Cell, join: Join = None) -> None:
        self.forwards = checked_cell("Bidirectional", forward)
        self.backwards = checked_cell("Bidirectional", backward)
        if not (join is None or callable(join) or isinstance(join, int)):
            raise TypeError(f"Bidirectional: join must be an axis or a function, found {join!r}")
        self.join = join

    def initial_state(self, batch_size: int | None = None) -> State:
        """The pair of the cells' initial states."""
        return self.forwards.initial_state(batch_size), self.backwards.initial_state(batch_size)

    def takes_extra(self, name: str) -> bool:
        """Whether a cell's `prepare` takes this extra."""
        return self.forwards.takes_extra(name) or self.backwards.takes_extra(name)

    def forward(
        self, xs: Any, state: State = None, lengths: Any = None, **extras: Any
    ) -> tuple[Any, State]:
        """All steps, both ways."""
        if state is not None and not (isinstance(state, tuple | list) and len(state) == 2):
            found = type(state).__name__
            raise ValueError(
                f"{self.scope_name}: state must be a pair (forwards, backwards), found {found}"
            )
        _check_extras(self, extras)
        taken = take_apart(self.scope_name, xs, lengths, zero=state is not None)
        names = "forwards", "backwards"
        ys, state = both_ways(self, names, taken, state, extras, self.join)
        return stack_steps(ys, taken.mask), state


class Stacked(Cell):
    """One above the other: what one layer puts out, the next takes in (Graves 2013).

    A stack of cells is a cell: all layers take step t before any takes step t + 1, and the state is
    the tuple of theirs.  In `prepare`, the lowest cell gets the sequence, the others get None.
    A stack of layers over time (`Unroll`, `Bidirectional`) is such a layer, and takes lengths.
    dropout: the probability for the outputs between the layers, in training.

    >>> import numpy as np, nn
    >>> deep = nn.Unroll(nn.Stacked([nn.LSTMCell(3, 4), nn.GRUCell(4, 5)]))
    >>> y, ((h0, c0), h1) = deep(np.zeros((6, 2, 3)))
    >>> y.shape, c0.shape, h1.shape
    ((6, 2, 5), (2, 4), (2, 5))
    """

    def __init__(self, layers: Any, dropout: float = 0.0) -> None:
        layers = list(layers)
        cells = {isinstance(layer, Cell) and not layer.over_time for layer in layers}
        if len(cells) != 1 or not all(isinstance(layer, Module) for layer in layers):
            found = ", ".join(type(layer).__name__ for layer in layers) or "nothing"
            raise TypeError(f"Stacked: either cells or layers over time are needed, found {found}")
        self.over_time = not cells.pop()
        self.num_layers = len(layers)
        for k, layer in enumerate(layers):
            setattr(self, f"l{k}", layer)
        self.dropout = Dropout(dropout)

    @property
    def layers(self) -> list[Any]:
        """The layers, from the input up: the attributes `l0`, `l1`, ..."""
        return [getattr(self, f"l{k}") for k in range(self.num_layers)]

    @property
    def memory(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of the memories in all layers."""
        return tuple(name for layer in self.layers for name in layer.memory)

    @property
    def prepare(self) -> Any:  # type: ignore[override]
        """The contexts of the layers; None if no cell has `prepare`."""
        if self.over_time or all(layer.prepare is None for layer in self.layers):
            return None
        return self._prepare

    def _prepare(self, xs: Any, **extras: Any) -> list[Any]:
        contexts = []
        for k, layer in enumerate(self.layers):
            contexts.append(prepared(layer, xs if k == 0 else None, _extras_of(layer, extras)))
        return contexts

    def takes_extra(self, name: str) -> bool:
        """Whether some layer takes this extra."""
        return any(_takes_extra(layer, name) for layer in self.layers)

    def initial_state(self, batch_size: int | None = None) -> State:
        """The tuple of the layers' initial states."""
        return Layers(layer.initial_state(batch_size) for layer in self.layers)

    def check_input(self, x: Any) -> None:
        """Raise if the first cell does not take this input."""
        self.layers[0].check_input(x)

    def __call__(self, x: Any, state: State = None, *args: Any, **options: Any) -> Any:
        """`forward`; of cells, after checking x and the state."""
        kind = Module if self.over_time else Cell
        return kind.__call__(self, x, state, *args, **options)

    def forward(
        self, x: Any, state: State = None, context: Any = None, **options: Any
    ) -> tuple[Any, State]:
        """Through all layers."""
        if self.over_time:
            _check_extras(self, options)
        new = []
        for k, layer in enumerate(self.layers):
            below = x if k == 0 else self.dropout(x)
            s = None if state is None else state[k]
            if self.over_time:
                x, s = layer(below, s, **_extras_of(layer, options))
            else:
                x, s = self._cell_step(k, layer, below, s, context and context[k])
            new.append(s)
        return x, Layers(new)

    def _cell_step(self, k: int, cell: Cell, x: Any, state: State, context: Any) -> Any:
        """One cell's step in a scope of this layer, though the cell may be used in several."""
        cell.check_input(x)
        with mg.scope(f"l{k}", outside=FOLDER):
            return cell.check_result(run_step(cell, x, state, context))


def _takes_extra(layer: Any, name: str) -> bool:
    """Whether a layer takes this keyword argument, for its cell's `prepare` or for itself."""
    if name == "lengths" and not isinstance(layer, Cell):
        return True
    takes = getattr(layer, "takes_extra", None)
    if takes is not None and takes(name):
        return True
    return not isinstance(layer, Cell) and name in inspect.signature(layer.forward).parameters


def _extras_of(layer: Any, extras: Mapping[str, Any] | None) -> dict[str, Any]:
    """Those of the keyword arguments that a layer takes."""
    return {name: v for name, v in (extras or {}).items() if _takes_extra(layer, name)}


def _check_extras(module: Any, extras: Mapping[str, Any]) -> None:
    """Raise TypeError for a keyword argument that no part of a module takes."""
    for name in extras:
        if name != "lengths" and not module.takes_extra(name):
            raise TypeError(f"{module.scope_name}: no cell's prepare takes {name!r}")
