"""The private folder in which programs and compiled code are kept, by content."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "MINIGRAD_CACHE"


def folder() -> Path | None:
    """The folder, made with mode 0700 if need be; None where none can be written.

    It is `$MINIGRAD_CACHE`, else `minigrad` in `$XDG_CACHE_HOME` or `~/.cache`.  One that others can
    write is not used: code is loaded from it.
    """
    given = os.environ.get(VARIABLE)
    path = Path(given) if given else _default()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
        private = not hasattr(os, "getuid") or (
            status.st_uid == os.getuid() and not status.st_mode & 0o022
        )
        return path if private and os.access(path, os.W_OK | os.X_OK) else None
    except OSError:
        return None


def _default() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base) / "minigrad"


def key(*texts: str) -> str:
    """A name for content: the same texts have the same name."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(len(text).to_bytes(8, "little") + text.encode())
    return digest.hexdigest()[:32]


def holds(path: Path, content: bytes) -> bool:
    """Whether a file is there and is whole."""
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def write(path: Path, content: bytes) -> bool:
    """Write a file in one step, so that another process sees all of it or nothing; False if not."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError:
        return False
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        return False
    return True


def clear_cache() -> int:
    """Remove the programs and the compiled code that `mg.compile` has kept; returns how many files went.

    The folder is `$MINIGRAD_CACHE`, else `~/.cache/minigrad`.  Steps that are in use go on.

    >>> import minigrad as mg
    >>> mg.clear_cache() >= 0
    True
    """
    path = folder()
    if path is None:
        return 0
    removed = 0
    for file in path.iterdir():
        if file.name.startswith((".step_", "step_", "loops_", ".loops_")):
            if file.is_dir():
                shutil.rmtree(file, ignore_errors=True)
            else:
                file.unlink(missing_ok=True)
            removed += 1
    return removed
