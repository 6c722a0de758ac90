"""The file of a recording while it grows: a journal, in which every pass is on the disk at once.

A record is its kind, the length of what follows, and that.  T: a text that has changed, as its name
and itself.  P: a new pass, and A: figures that are added to the last one; each holds a number for
each of the names that p or a has listed before.
"""

from __future__ import annotations

import json
import math
import os
import struct
from array import array
from collections.abc import Mapping
from os import PathLike
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Row = dict[str, float | str]  # a pass: numbers, and the texts in TEXTS
TEXTS = ("line", "generator", "where")
MAGIC = b"minigrad recording 1\n"
_HEAD = struct.Struct("<cI")
_NO_KIND = (), _HEAD
_KINDS = (b"T", b"P", b"A", b"p", b"a")


def journal_path(path: str | PathLike[str]) -> str:
    """Where the passes are written until the recording is closed."""
    return f"{os.fspath(path)}.journal"


class Journal:
    """A file of records that only grows; each is on the disk as soon as it is written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._kinds: dict[bytes, tuple[tuple[str, ...], struct.Struct]] = {}
        self._texts: dict[str, Any] = {}
        self._added = b""

    @classmethod
    def create(cls, path: str, program: str) -> Journal:
        """A new journal; one that a crash has left there is kept under another name."""
        if os.path.exists(path):
            os.replace(path, f"{path}.old")
        journal = cls(open(path, "wb", buffering=0))  # noqa: SIM115  # closed by `close`
        journal._file.write(MAGIC + _packed(b"T", ["program", program]))
        return journal

    def begin(self, row: Row) -> None:
        """Append a pass."""
        numbers = dict(row)
        records = self._added
        for name in TEXTS:
            text = numbers.pop(name, "")
            if self._texts.get(name) != text:
                self._texts[name] = text
                records += _packed(b"T", [name, text])
        self._file.write(records + self._numbers(b"P", numbers))
        self._added = b""

    def add(self, values: Mapping[str, Any]) -> None:
        """Append figures of the last pass, together with the next one: a write costs time."""
        self._added += self._numbers(b"A", values)

    def _numbers(self, kind: bytes, values: Mapping[str, Any]) -> bytes:
        """A record of numbers, behind one of their names if those have changed."""
        names, packing = self._kinds.get(kind, _NO_KIND)
        records = b""
        if names != tuple(values):
            names = tuple(values)
            packing = struct.Struct(f"<cI{len(names)}d")
            self._kinds[kind] = names, packing
            records = _packed(kind.lower(), names)
        return records + packing.pack(kind, 8 * len(names), *values.values())

    def close(self) -> None:
        """Nothing more follows."""
        self._file.write(self._added)
        self._file.close()


def _packed(kind: bytes, value: Any) -> bytes:
    text = json.dumps(value).encode()
    return _HEAD.pack(kind, len(text)) + text


class Columns(dict[str, Any]):
    """Figures and texts of passes by column, one entry for each pass, in little memory."""

    passes = 0

    def add(self, row: Row) -> None:
        """One pass more."""
        self.passes += 1
        self.extend(row)

    def extend(self, row: Row) -> None:
        """More about the last pass."""
        for name, value in row.items():
            is_text = name in TEXTS
            if name not in self:
                self[name] = [] if is_text else array("d")
            column = self[name]
            if len(column) < self.passes:
                missing: Any = "" if is_text else math.nan
                column.extend([missing] * (self.passes - len(column)))
            column[-1] = value

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Each column as an array; NaN or "" where a pass has no entry."""
        found = {}
        for name, column in self.items():
            missing: Any = [""] if name in TEXTS else [math.nan]
            found[name] = np.array([*column, *missing * (self.passes - len(column))])
        return found


def read_journal(file: BinaryIO) -> tuple[Columns, str, str]:
    """The passes of a journal behind its MAGIC, its program, and where it is damaged, or ""."""
    found = Columns()
    names: dict[bytes, list[str]] = {}
    texts: dict[str, str] = {}
    damage = ""
    while head := file.read(_HEAD.size):
        try:
            kind, length = _HEAD.unpack(head)
            body = file.read(length)
            if len(body) < length or kind not in _KINDS:
                raise ValueError("a record that is not whole")
            if kind == b"T":
                key, text = json.loads(body)
                texts[key] = text
            elif kind.islower():
                names[kind.upper()] = json.loads(body)
            else:
                numbers = struct.unpack(f"<{length // 8}d", body)
                figures: Row = dict(zip(names[kind], numbers, strict=True))
                if kind == b"P":
                    found.add({name: texts[name] for name in TEXTS if name in texts})
                found.extend(figures)
        except (ValueError, KeyError, IndexError, TypeError, struct.error):
            damage = f"cut off or damaged behind pass {found.passes}"
            break
    return found, texts.get("program", ""), damage
