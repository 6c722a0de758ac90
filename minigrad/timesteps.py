"""The labelled loop over time.  Imports `tensor` and `scope`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minigrad.scope import Axis, TimeLabel, recorded, recording
from minigrad.tensor import Tensor, tensor

Pairs = Iterator[tuple[int, Any]]


def timesteps(
    xs: Any, axis: str | Axis | None = None, *, reverse: bool = False, start: int = 0
) -> Pairs:
    """Loop over the first axis of `xs`, labelling what each turn of the loop records with its time step.

    Shapes: xs (T, ...) gives T pairs (t, x_t) with x_t (...).  `xs` is a tensor, an array or a list; a tensor that
    requires grad is split once, so the backward pass stays linear in T.  An outermost loop opens an axis of its own
    (named "time" unless `axis` says otherwise); a nested one keeps the labels of the loop around it unless it is
    given an axis; a loop that is given an `mg.Axis` goes on with those that had it before.  The labels end with the
    loop, also after `break` or an error (of an iterator that is kept in a variable: when that is closed or dropped).
    start: the number of the first step.

    >>> import minigrad as mg, numpy as np
    >>> [(t, x_t.t, x_t.item()) for t, x_t in mg.timesteps(np.array([5.0, 6.0]))]
    [(0, 0, 5.0), (1, 1, 6.0)]
    """
    before = recording.get()
    labelled = before.time is None or axis is not None
    own = axis if isinstance(axis, Axis) else Axis(axis or "time")
    made_here = not isinstance(xs, list | tuple)
    parts = list(xs if isinstance(xs, Tensor) else tensor(xs)) if made_here else xs
    order = range(len(parts))
    with recorded():
        for t in reversed(order) if reverse else order:
            if labelled:
                label = TimeLabel(own, start + t, next(own.visits))
                recording.set(before._replace(time=label))
                if made_here or _unplaced(parts[t]):
                    parts[t].place("input", "x", label)
            yield start + t, parts[t]


def _unplaced(x: Any) -> bool:
    """Whether x is a tensor of no time yet, and nobody's parameter: as an element of a sequence, it is an input."""
    return (
        hasattr(x, "place")
        and x.time is None
        and x.role is None
        and not (x.is_leaf and x.requires_grad)
    )
