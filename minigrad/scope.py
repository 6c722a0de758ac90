"""What is recorded beside every node: recording or not, the path in time, the module scope.

All of it is one `Recording` in one `ContextVar`, so threads and tasks do not disturb each other.
Every open block (`no_grad`, `scope`, `time_step`, a loop over `timesteps`) is an entry of the
recording.  A block that closes removes its own entry, in whatever order blocks close, and leaves
the others as they are.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import CodeType, FrameType
from typing import Any, TypeVar

from minigrad.paths import Path
from minigrad.source import Source

F = TypeVar("F", bound=Callable[..., Any])
_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep


class _InEngine(dict[str, bool]):
    """File name → whether the file belongs to the engine; remembered, because every operation
    asks."""

    def __missing__(self, file: str) -> bool:
        return self.setdefault(file, os.path.abspath(file).startswith(_FOLDER))


in_engine = _InEngine()


def caller(frame: FrameType | None, skip: str | tuple[str, ...] = ()) -> FrameType | None:
    """The innermost frame that is neither in the engine nor in a folder to skip."""
    while frame is not None and (
        in_engine[frame.f_code.co_filename] or frame.f_code.co_filename.startswith(skip)
    ):
        frame = frame.f_back
    return frame


class Scope:
    """A named part of the program, usually one call of a module, and the user's line that called
    it."""

    __slots__ = ("code", "instruction", "name", "node", "parent", "path")

    def __init__(
        self, name: str, parent: Scope | None, frame: FrameType | None, node: Any = None
    ) -> None:
        self.name, self.parent = name, parent
        self.path: str = f"{parent.path}.{name}" if parent else name
        self.code: CodeType | None = frame.f_code if frame else None
        self.instruction = frame.f_lasti if frame else 0
        self.node = node  # in a traced backward pass: the forward node whose rule ran here

    @property
    def called_from(self) -> Source:
        """The user's line that opened this scope."""
        return Source.at(self.code, self.instruction)


class Recording:
    """How operations are recorded just now.  Blocks make new ones; nobody changes one that is in
    use.

    enabled: False inside `no_grad`.  tracing: inside a backward pass with create_graph=True, where
    masks and indices become nodes too.  building: inside a function that is being differentiated,
    where gradients have a history unasked.  time, scope: where a node that is made now belongs.
    opened: how often each inner loop was opened in the present step.  check: called with each
    operation's results while somebody watches them.  on_read: called when Python reads a tensor's
    value.
    """

    __slots__ = (
        "building",
        "check",
        "enabled",
        "entries",
        "on_read",
        "opened",
        "scope",
        "time",
        "tracing",
    )

    def __init__(
        self,
        enabled: bool = True,
        tracing: bool = False,
        time: Path | None = None,
        scope: Scope | None = None,
        opened: dict[Any, int] | None = None,
        check: Callable[..., None] | None = None,
        on_read: Callable[[Any, str], None] | None = None,
        entries: tuple[Entry, ...] = (),
        building: bool = False,
    ) -> None:
        self.enabled, self.tracing, self.building = enabled, tracing, building
        self.time, self.scope, self.opened = time, scope, opened
        self.check, self.on_read, self.entries = check, on_read, entries

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Recording):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # it may change, where its generator is dropped

    def replaced(self, **changes: Any) -> Recording:
        """A copy with other values."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return Recording(**{**values, **changes})


_NOTHING = Recording()
recording: ContextVar[Recording] = ContextVar("minigrad.recording", default=_NOTHING)


class Entry:
    """One open block: what it changes in the recording.  `close` takes back these changes and no
    others."""

    __slots__ = ("_after", "_before", "block")

    def __init__(self, block: Any = None) -> None:
        self.block = block
        self._before = self._after = recording.get()

    def changed(self, now: Recording) -> Recording:
        """The recording with the changes of this block."""
        raise NotImplementedError

    def open(self) -> Recording:
        """Put the changes in force."""
        self._before = recording.get()
        self._after = self.changed(self._before)
        self._after.entries = (*self._before.entries, self)
        recording.set(self._after)
        return self._after

    def close(self) -> None:
        """Take the changes back, wherever this entry stands among the open ones."""
        now = recording.get()
        if now is self._after:  # the usual case: the block that was opened last
            recording.set(self._before)
        elif self in now.entries:
            recording.set(self._without(now))
        else:  # its loop goes on in another thread or task than it began in
            self._clear(self._after)
        self._before = self._after = (
            _NOTHING  # no reference cycle: a recording refers to its entries
        )

    def close_everywhere(self) -> None:
        """Close a block whose generator was dropped, which another task or thread may do in its own
        context."""
        after = self._after
        self.close()
        self._clear(after)

    def _clear(self, after: Recording) -> None:
        """Take the changes back in a recording that may be in force elsewhere."""
        if self in after.entries:
            rest = self._without(after)
            for name in Recording.__slots__:
                setattr(after, name, getattr(rest, name))

    def inside(self, other: Entry) -> bool:
        """Whether this entry ends with another one that was opened before it."""
        return False

    def _without(self, now: Recording) -> Recording:
        """The recording of the other open blocks alone."""
        rest, after = Recording(), False
        for entry in now.entries:
            if entry is self:
                after = True
            elif not (after and entry.inside(self)):
                entries = rest.entries
                rest = entry.changed(rest)
                rest.entries = (*entries, entry)
        return rest


class _Changes(Entry):
    """A block that sets some values."""

    __slots__ = ("_values",)

    def __init__(self, block: Any, values: dict[str, Any]) -> None:
        super().__init__(block)
        self._values = values

    def changed(self, now: Recording) -> Recording:
        return now.replaced(**self._values)


class Block:
    """A context manager and decorator that opens an entry; many threads may enter one object many
    times."""

    def __init__(self) -> None:
        self._open: list[Entry] = []

    def entry(self) -> Entry:
        """A new entry of this block."""
        raise NotImplementedError

    def __enter__(self) -> None:
        entry = self.entry()
        self._open.append(entry)
        entry.open()

    def __exit__(self, kind: object = None, *error: object) -> None:
        here = [entry for entry in recording.get().entries if entry.block is self]
        entry = (here or self._open)[-1]
        self._open.remove(entry)
        if kind is GeneratorExit:
            entry.close_everywhere()
        else:
            entry.close()

    def __call__(self, function: F) -> F:
        """Decorate a function, a generator function or a coroutine function."""
        if inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{type(self).__name__}: an async generator runs in its caller's context; "
                f"use a `with` block inside {function.__name__}"
            )
        if inspect.isgeneratorfunction(function):
            return self._around_generator(function)  # type: ignore[return-value]
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run_async(*args: Any, **keywords: Any) -> Any:
                with self:
                    return await function(*args, **keywords)

            return run_async  # type: ignore[return-value]

        @functools.wraps(function)
        def run(*args: Any, **keywords: Any) -> Any:
            with self:
                return function(*args, **keywords)

        return run  # type: ignore[return-value]

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The generator function with the block open while its body runs, and closed while it
        waits."""

        @functools.wraps(function)
        def run(*args: Any, **keywords: Any) -> Any:
            generator = function(*args, **keywords)
            resume, value = generator.send, None
            try:
                while True:
                    with self:
                        item = resume(value)
                    try:
                        resume, value = generator.send, (yield item)
                    except Exception as error:
                        resume, value = generator.throw, error
            except StopIteration as stop:
                return stop.value
            finally:
                generator.close()

        return run


class recorded(Block):
    """Run a block, or a function, with some values of the recording changed."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self._changes = changes

    def entry(self) -> Entry:
        """A new entry with these changes."""
        return _Changes(self, self._changes)


def no_grad() -> recorded:
    """Record nothing: results are plain tensors.  A context manager and a decorator.

    >>> import minigrad as mg
    >>> w = mg.tensor(2.0, requires_grad=True)
    >>> with mg.no_grad():
    ...     (w * w).requires_grad
    False
    """
    return recorded(enabled=False)


def is_tracing() -> bool:
    """Whether operations are recorded that need no gradient, as `tracing` and `mg.compile` do.

    Then what a module does must not depend on the values of this call alone.

    >>> import minigrad as mg
    >>> with mg.tracing():
    ...     mg.is_tracing()
    True
    """
    return recording.get().tracing


def tracing() -> recorded:
    """Record everything inside: comparisons, indices and operations on constants are nodes too.

    So it is in a backward pass with create_graph=True; exporters and compilers need it of a
    forward.

    >>> import minigrad as mg
    >>> with mg.tracing():
    ...     (mg.tensor(2.0) > 1).op.name
    'greater'
    """
    return recorded(enabled=True, tracing=True)


class scope(Block):
    """Everything recorded inside belongs to the scope `name`, nested in the current one.

    The scope remembers the line it was opened from: with `outside=` (a folder; `nn.Module` gives
    its own), the innermost line outside of that folder, which is the user's.

    >>> import minigrad as mg
    >>> with mg.scope("encoder"), mg.scope("cell"):
    ...     mg.tensor(1.0).scope
    'encoder.cell'
    """

    def __init__(self, name: str, *, outside: str | tuple[str, ...] = ()) -> None:
        if not isinstance(name, str):
            raise TypeError(f"scope(name): a text is needed, found {type(name).__name__}: {name!r}")
        super().__init__()
        frame = caller(sys._getframe(1), outside)
        self._name = name
        self._place = (frame.f_code, frame.f_lasti) if frame else (None, 0)

    def entry(self) -> Entry:
        """A new entry, in the scope that is open now."""
        return _ScopeEntry(self, self._name, self._place)


class _ScopeEntry(Entry):
    """One open scope."""

    __slots__ = ("_name", "_place")

    def __init__(self, block: Any, name: str, place: Any) -> None:
        super().__init__(block)
        self._name, self._place = name, place

    def changed(self, now: Recording) -> Recording:
        inner = Scope(self._name, now.scope, None)
        inner.code, inner.instruction = self._place
        return now.replaced(scope=inner)
