"""The lines that were typed at earlier prompts, kept in a file for the arrow keys.

`MINIGRAD_HISTORY` names the file (by default ~/.minigrad_history); set it to "" to keep none.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

MAX_LINES = 1000
_loaded: list[str] = []


def path() -> str:
    """Where the lines are kept; "" for nowhere."""
    given = os.environ.get("MINIGRAD_HISTORY")
    return os.path.expanduser("~/.minigrad_history") if given is None else given


@contextlib.contextmanager
def open_for(a_person: bool) -> Iterator[None]:
    """While a person types, the arrow keys know earlier lines; then the file gets the new ones."""
    readline = _readline() if a_person else None
    if readline is not None and not _loaded:
        _loaded.append(path())
        with contextlib.suppress(OSError):
            readline.read_history_file(path())
    try:
        yield
    finally:
        if readline is not None and path():
            readline.set_history_length(MAX_LINES)
            with contextlib.suppress(OSError):
                readline.write_history_file(path())


def _readline() -> Any:
    """The module, where Python has it."""
    try:
        import readline
    except ImportError:
        return None
    return readline
