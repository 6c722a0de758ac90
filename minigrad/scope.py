"""What the engine writes beside every node: recording or not, time step, module scope.  Imports only `source`.

All of it is one immutable `Recording` in one `ContextVar`, so threads and tasks do not disturb each other.
"""

from __future__ import annotations

import itertools
import operator
import os
import sys
from collections.abc import Callable
from contextlib import ContextDecorator
from contextvars import ContextVar
from types import CodeType, FrameType
from typing import Any, NamedTuple

from minigrad.source import Source

_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep


class _InEngine(dict[str, bool]):
    """File name → whether it is one of the engine's; remembered, because every operation asks."""

    def __missing__(self, file: str) -> bool:
        return self.setdefault(file, os.path.abspath(file).startswith(_FOLDER))


in_engine = _InEngine()


class Axis:
    """One run over time: everything that one unrolling, or one loop over `timesteps`, has labelled.

    Give one to several loops over `timesteps` that go on with each other.
    """

    __slots__ = ("name", "visits")

    def __init__(self, name: str) -> None:
        self.name, self.visits = name, itertools.count()

    def __repr__(self) -> str:
        return self.name


class TimeLabel(NamedTuple):
    """Where in time a node was made: step `t` of `axis`, visited as number `position`.

    Only the order of positions counts; a graph numbers the steps that it holds from 0.
    """

    axis: Axis
    t: int
    position: int


class Scope:
    """A named part of the program, usually one call of a module, and the user's line that called it."""

    __slots__ = ("code", "instruction", "name", "node", "parent")

    def __init__(
        self, name: str, parent: Scope | None, frame: FrameType | None, node: Any = None
    ) -> None:
        self.name, self.parent = name, parent
        self.code: CodeType | None = frame.f_code if frame else None
        self.instruction = frame.f_lasti if frame else 0
        self.node = node  # in a traced backward pass: the forward node whose rule ran here

    @property
    def path(self) -> str:
        """Dotted names from the outermost scope to this one."""
        return f"{self.parent.path}.{self.name}" if self.parent else self.name

    @property
    def called_from(self) -> Source:
        """The user's line that opened this scope."""
        return Source(self.code, self.instruction)


class Role(NamedTuple):
    """What a tensor is to a recurrence: kind "input", "state" or "mask", and its name there.

    memory: whether a state is a memory that the cell keeps to itself, as c of an LSTM.
    """

    kind: str
    name: str
    memory: bool = False


class Recording(NamedTuple):
    """How operations are recorded just now."""

    enabled: bool = True  # False inside `no_grad`
    tracing: bool = (
        False  # inside a backward pass with create_graph=True: masks and indices become nodes too
    )
    time: TimeLabel | None = None
    scope: Scope | None = None
    on_read: Callable[[Any, str], None] | None = None  # told when Python reads a tensor's value


recording: ContextVar[Recording] = ContextVar("minigrad.recording", default=Recording())  # noqa: B039
_axes: dict[
    str, Axis
] = {}  # of bare time steps, by name; a graph looks only at the order of their visits


class recorded(ContextDecorator):
    """Run a block, or a function, with some fields of the recording changed; restored on exit and on error."""

    def __init__(self, **changes: Any) -> None:
        self._changes = changes
        self._before: list[Recording] = []  # one for each time that it was entered

    def __enter__(self) -> None:
        self._before.append(recording.get())
        recording.set(self._before[-1]._replace(**self._changes))

    def __exit__(self, *error: object) -> None:
        recording.set(self._before.pop())


def no_grad() -> recorded:
    """Record nothing: results are plain tensors.  A context manager and a decorator.

    >>> import minigrad as mg
    >>> w = mg.tensor(2.0, requires_grad=True)
    >>> with mg.no_grad():
    ...     (w * w).requires_grad
    False
    """
    return recorded(enabled=False)


def tracing() -> recorded:
    """Record everything inside: comparisons, indices and operations on constants are nodes too.

    So it is in a backward pass with create_graph=True; exporters and compilers need it of a forward.

    >>> import minigrad as mg
    >>> with mg.tracing():
    ...     (mg.tensor(2.0) > 1).op.name
    'greater'
    """
    return recorded(enabled=True, tracing=True)


def caller(frame: FrameType | None, skip: str | tuple[str, ...] = ()) -> FrameType | None:
    """The innermost frame that is neither in the engine nor in a folder to skip."""
    while frame is not None and (
        in_engine[frame.f_code.co_filename] or frame.f_code.co_filename.startswith(skip)
    ):
        frame = frame.f_back
    return frame


def scope(name: str, *, outside: str | tuple[str, ...] = ()) -> recorded:
    """Everything recorded inside belongs to the scope `name`, nested in the current one.

    The scope remembers the line it was opened from: with `outside=` (a folder; `nn.Module` gives its own), the
    innermost line outside of that folder, which is the user's.

    >>> import minigrad as mg
    >>> with mg.scope("encoder"), mg.scope("cell"):
    ...     mg.tensor(1.0).scope
    'encoder.cell'
    """
    return recorded(scope=Scope(name, recording.get().scope, caller(sys._getframe(1), outside)))


def time_step(t: int, axis: str | None = None) -> recorded:
    """Everything recorded inside belongs to time step `t` of the named axis (by default "time").

    Positions count the steps in the order visited, so that a loop that runs backwards is unrolled backwards.

    >>> import minigrad as mg
    >>> with mg.time_step(3):
    ...     mg.tensor(1.0).t
    3
    """
    if not hasattr(t, "__index__"):
        raise TypeError(f"time_step(t): t must be an int, found {type(t).__name__}: {t!r}")
    own = _axes.setdefault(axis or "time", Axis(axis or "time"))
    return recorded(time=TimeLabel(own, operator.index(t), next(own.visits)))
