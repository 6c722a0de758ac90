"""Time labels: a block for one step, and the loop over the steps of a sequence."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from minigrad.paths import Axis, Coordinate, Path
from minigrad.scope import Block, Entry, Recording, Scope, recording
from minigrad.source import Source
from minigrad.tensor import Tensor, tensor

_bare: dict[str, Axis] = {}  # outermost axes that `time_step` opened, by name


class _Step(Entry):
    """An open step of a block or a loop; it adds the innermost coordinate to the path."""

    __slots__ = ("coordinate",)

    def __init__(self, block: Any, axis: Axis, t: int) -> None:
        super().__init__(block)
        self.coordinate = Coordinate(axis, t, next(axis.visits))

    def changed(self, now: Recording) -> Recording:
        path = now.time.extended(self.coordinate) if now.time else Path((self.coordinate,))
        return Recording(now.enabled, now.tracing, path, now.scope, {}, now.check, now.on_read)

    def inside(self, other: Entry) -> bool:
        """An inner step ends with the step around it."""
        return isinstance(other, _Step)


class time_step(Block):
    """Everything recorded inside belongs to step `t` of the named axis (by default "time").

    Inside another step it extends the path: the axis is an inner one, and the same one in every
    step around it. Positions count the steps in the order of their visits, so that a loop that runs
    backwards is unrolled backwards. Raises TypeError where t is not an integer.

    >>> import minigrad as mg
    >>> with mg.time_step(3):
    ...     with mg.time_step(1, "rk4"):
    ...         mg.tensor(1.0).coordinates
    {'time': 3, 'rk4': 1}
    """

    def __init__(self, t: int, axis: str | None = None) -> None:
        if not hasattr(t, "__index__"):
            raise TypeError(f"time_step(t): t must be an int, found {type(t).__name__}: {t!r}")
        super().__init__()
        self._t, self._name = operator.index(t), axis or "time"

    def entry(self) -> Entry:
        """A new entry: this step, inside the steps that are open now."""
        around = recording.get().time
        if around:
            return _Step(self, around[-1].axis.inner(self._name, self._name), self._t)
        return _Step(self, _bare.setdefault(self._name, Axis(self._name)), self._t)


def timesteps(
    xs: Any, axis: str | Axis | None = None, *, reverse: bool = False, start: int = 0
) -> Iterator[tuple[int, Any]]:
    """Loop over the first axis of `xs`, labelling what each turn of the loop records with its time
    step.

    Shapes: xs (T, ...) gives T pairs (t, x_t) with x_t (...).  `xs` is a tensor, an array or a
    list; a tensor that requires grad is split once, so the backward pass stays linear in T.
    reverse: from the last step to the first. start: the number of the first step.

    Outside of time the loop opens an axis of its own, named "time" unless `axis` names it.  Inside
    a step it extends the path by an inner axis, which is the same one in every step around it.
    Pass an `mg.Axis` to continue an earlier loop.  Labels are removed when the loop ends, breaks or
    raises; if you keep the iterator in a variable, when it is closed.

    Pictures and the debugger call x_t by the loop's variable, without a last _t; else x.

    >>> import minigrad as mg, numpy as np
    >>> [(t, x_t.t, x_t.item()) for t, x_t in mg.timesteps(np.array([5.0, 6.0]))]
    [(0, 0, 5.0), (1, 1, 6.0)]
    """
    given = isinstance(xs, list | tuple)
    whole = xs if given or isinstance(xs, Tensor) else tensor(xs)
    parts = xs if given else list(whole)
    order = range(len(parts) - 1, -1, -1) if reverse else range(len(parts))
    own: Axis | None = None
    step: _Step | None = None
    name = "x"
    try:
        for t in order:
            if step is not None:
                step.close()
            now = recording.get()
            around = now.time[-1].axis if now.time else None
            if own is None or own.parent is not around:
                own = _axis_of_loop(axis, sys._getframe(1), now)
                name = _loop_variable(sys._getframe(1))
            step = _Step(None, own, start + t)
            opened = step.open()
            if not given or _is_unplaced_input(parts[t]):
                parts[t].mark("input", name, time=opened.time)
            yield start + t, parts[t]
    except GeneratorExit:
        if step is not None:
            step.close_everywhere()
        raise
    finally:
        if step is not None:
            step.close()


def _axis_of_loop(axis: str | Axis | None, frame: FrameType, now: Recording) -> Axis:
    """The axis of a loop that begins.

    Outside of time it is a new axis; inside a step, the axis that the loop had in other steps.
    """
    name = axis.name if isinstance(axis, Axis) else axis or "time"
    if not now.time:
        return axis if isinstance(axis, Axis) else Axis(name)
    around = now.time[-1].axis
    if isinstance(axis, Axis):
        return around.inner(axis, name)
    start = Source.at(frame.f_code, frame.f_lasti).start
    key = (name, frame.f_code, start, *_lines_of(now.scope))
    opened = now.opened if now.opened is not None else {}
    opened[key] = opened.get(key, 0) + 1
    return around.inner((*key, opened[key]), name)


def _loop_variable(frame: FrameType) -> str:
    """What a loop calls x_t, without the t: word in `for t, word in mg.timesteps(words)`; "x"
    where it gives no name."""
    variable = Source.at(frame.f_code, frame.f_lasti).loop_variable
    return variable.removesuffix("_t").strip("_") or "x"


def _lines_of(scope: Scope | None) -> list[Any]:
    """The lines from which the scopes around a loop were opened."""
    found: list[Any] = []
    while scope is not None:
        found += [scope.name, scope.code, scope.instruction]
        scope = scope.parent
    return found


def _is_unplaced_input(x: Any) -> bool:
    """Whether x is an input of its step: a tensor made outside of time that is not a parameter."""
    if not isinstance(x, Tensor) or x.time is not None or x.role is not None:
        return False
    return not (x.is_leaf and x.requires_grad)
