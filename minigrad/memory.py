"""How Python and the C library keep memory, for programs with large graphs."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's mallopt(3)
_GLIBC_DEFAULT = 128 * 1024


class MemoryPolicy:
    """What was changed; `restore` or leaving a `with` block puts it back."""

    def __init__(self, collector: int | None, keep: int | None) -> None:
        self._thresholds = gc.get_threshold()
        self._keeps = keep is not None and _keep_freed_memory(keep, min(keep, 32 << 20))
        if collector is not None:
            gc.set_threshold(collector, *self._thresholds[1:])

    def restore(self) -> None:
        """Put the thresholds back: Python's as they were, the C library's to its defaults."""
        gc.set_threshold(*self._thresholds)
        if self._keeps:
            _keep_freed_memory(_GLIBC_DEFAULT, _GLIBC_DEFAULT)

    def __enter__(self) -> MemoryPolicy:
        return self

    def __exit__(self, *error: object) -> None:
        self.restore()

    def __repr__(self) -> str:
        freed = "kept" if self._keeps else "as the C library does"
        return f"<memory policy: collector {gc.get_threshold()}, freed memory {freed}>"


def memory_policy(*, collector: int | None = 200_000, keep: int | None = 1 << 30) -> MemoryPolicy:
    """Spend memory to save time in programs whose graphs are large; it takes effect at once.

    collector: so many new objects until Python's cycle collector runs (Python: 700 or 2000).  A
    graph has no cycles, so the collector finds nothing in it, but walks all of it again and again:
    of an LSTM over 10 000 steps, a quarter of the forward pass.  None: leave it.
    keep: freed bytes that the C library keeps for the next pass instead of giving them back to the
    system, which hands them out again one page at a time (glibc on Linux only; elsewhere nothing
    happens).  None: leave it.

    Use it as a context manager, or call it once at the start of a program.

    >>> import gc, minigrad as mg
    >>> with mg.memory_policy(collector=50_000):
    ...     gc.get_threshold()[0]
    50000
    """
    return MemoryPolicy(collector, keep)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Let the cycle collector rest: many small objects that live on make it walk all there are."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _keep_freed_memory(trim: int, mmap: int) -> bool:
    """Set glibc's thresholds, in bytes; False where there are none to set."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_TRIM_THRESHOLD, min(trim, 2**31 - 1)) and mallopt(_MMAP_THRESHOLD, mmap))
