"""Where in the user's program a node was made: file, line, expression, variable.

A node keeps only `(code, instruction)` of a frame, which costs nothing.  Everything else is found
here, on demand.
"""

from __future__ import annotations

import dis
import linecache
import os
from bisect import bisect_left, bisect_right
from functools import lru_cache
from itertools import islice, takewhile
from operator import attrgetter
from types import CodeType
from typing import Any

from minigrad.cached import cached_property

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_IDLE = ("CACHE", "COPY", "NOP", "EXTENDED_ARG")  # instructions that do nothing to a result
_OFFSET = attrgetter("offset")


@lru_cache(maxsize=512)
def _instructions(code: CodeType) -> list[dis.Instruction]:
    """The instructions of `code` that do something."""
    return [step for step in dis.get_instructions(code) if step.opname not in _IDLE]


class Source:
    """One place in a program: a code object and an instruction in it.

    What is asked of a place is found once, and `Source.at` gives all its nodes one place.
    """

    def __init__(self, code: CodeType | None, instruction: int) -> None:
        self.code, self.instruction = code, instruction

    @staticmethod
    def at(code: CodeType | None, instruction: int) -> Source:
        """The place of an instruction."""
        return _place(code, code.co_filename if code else "", instruction)

    @property
    def file(self) -> str:
        """The file's name as Python knows it, or "" where there is none."""
        return self.code.co_filename if self.code else ""

    @cached_property
    def _position(self) -> tuple[int, ...]:
        """First line, last line, first column, last column (in bytes); zeros where unknown."""
        positions = self.code.co_positions() if self.code else ()
        return tuple(
            n or 0 for n in next(islice(positions, self.instruction // 2, None), (0, 0, 0, 0))
        )

    @property
    def line(self) -> int:
        """Line number, counted from 1; 0 where unknown."""
        return self._position[0]

    @property
    def text(self) -> str:
        """The whole source line, stripped; "" where there is no source text (plain REPL, `-c`)."""
        return linecache.getline(self.file, self.line).strip()

    @cached_property
    def expression(self) -> str:
        """Exactly the expression that made the node, on one line; "" where there is no source
        text."""
        first, last, column, stop = self._position
        lines = [linecache.getline(self.file, n).encode() for n in range(first, last + 1)]
        if not stop or not all(lines):
            return ""
        lines[-1] = lines[-1][:stop]
        lines[0] = lines[0][column:]
        return " ".join(b" ".join(lines).decode(errors="replace").split())

    def variable(self, output: int | None = None) -> str:
        """The variable that the result is assigned to, or ""; `output` chooses one of several
        results.

        Read from the instructions, so that it works where there is no source text at all.
        """
        return _variable(self.code, self.instruction, output) if self.code else ""

    @property
    def loop_variable(self) -> str:
        """The variable of the second of a pair that a loop takes: x in `for t, x in ...`, in
        `for (t, x), y in zip(...)` and in `for k, (t, x) in enumerate(...)`; "" in other loops."""
        return _loop_variable(self.code, self.instruction) if self.code else ""

    @property
    def start(self) -> int:
        """Where the instruction begins: of one that is met often, Python may tell a place within
        it."""
        listing = _instructions(self.code) if self.code else []
        first = bisect_right(listing, self.instruction, key=_OFFSET)
        return listing[first - 1].offset if first else self.instruction

    def __str__(self) -> str:
        return f"{_shown(self.file, os.getcwd())}:{self.line}" if self.file else "unknown line"


@lru_cache(maxsize=4096)
def _place(code: CodeType | None, file: str, instruction: int) -> Source:
    """The place of an instruction; file: that of the code, as equal code may be in two files."""
    return Source(code, instruction)


@lru_cache(maxsize=256)
def _shown(file: str, folder: str) -> str:
    """A file as one reads it who works in a folder."""
    if file.startswith("<"):
        return file
    path = os.path.abspath(file)
    if path.startswith(_HERE):
        return "/".join(path.split(os.sep)[-2:])
    return os.path.relpath(path, folder)


@lru_cache(maxsize=4096)
def _variable(code: CodeType, instruction: int, output: int | None) -> str:
    """The variable that an instruction's result is assigned to, or one of its results."""
    listing = _instructions(code)
    first = bisect_right(listing, instruction, key=_OFFSET)
    # an offset in a call's cache belongs to the call; where a builtin was called often, PRECALL
    # calls it
    first += first > 0 and listing[first - 1].opname == "PRECALL"
    if listing[first:] and listing[first].opname == "JUMP_FORWARD":  # x = ... if c else ...
        first = bisect_left(listing, listing[first].argval, key=_OFFSET)
    steps = listing[first : first + 40]
    if output is not None:
        steps = steps[1:] if steps and steps[0].opname == "UNPACK_SEQUENCE" else []
    if steps and _loads(steps[0]):
        return _stored_part(steps)
    names = [name for step in takewhile(_stores, steps) for name in _targets(step)]
    names = names[output or 0 :]
    return _identifier(names[0]) if names else ""


@lru_cache(maxsize=512)
def _loop_variable(code: CodeType, instruction: int) -> str:
    listing = _instructions(code)
    first = bisect_right(listing, instruction, key=_OFFSET)
    pattern = []  # of each pair that is unpacked the variables that follow
    for step in takewhile(lambda s: _unpacks(s) or _stores(s), listing[first : first + 12]):
        if _unpacks(step):
            pattern.append(list[str]())
        elif pattern:
            pattern[-1] += _targets(step)
    match pattern:
        case [[_, x, *_]] | [[], [_, x, *_]] | [[_], [_, x]]:
            return _identifier(x)
    return ""


def _unpacks(step: dis.Instruction) -> bool:
    return step.opname == "UNPACK_SEQUENCE"


def _stored_part(steps: list[dis.Instruction]) -> str:
    """The name in `self.h = ...`, `s["h"] = ...` (the key h) and `h[i, j] = ...` (the container
    h)."""
    loads = list(takewhile(_loads, steps))
    rest = [step for step in steps[len(loads) :] if step.opname != "BUILD_TUPLE"]
    kind = rest[0].opname if rest else ""
    if kind == "STORE_ATTR":
        return _identifier(rest[0].argval)
    if kind != "STORE_SUBSCR" or len(loads) < 2:
        return ""
    key = loads[-1]
    if key.opname == "LOAD_CONST" and isinstance(key.argval, str):
        return _identifier(key.argval)
    attributes = [step for step in loads if step.opname == "LOAD_ATTR"]
    return _identifier((attributes or loads)[0].argval)


def _identifier(name: Any) -> str:
    """The name if a program can use it; pytest rewrites asserts into variables such as
    @py_assert1."""
    return name if isinstance(name, str) and name.isidentifier() else ""


def _loads(step: dis.Instruction) -> bool:
    return step.opname.startswith("LOAD_")


def _stores(step: dis.Instruction) -> bool:
    return step.opname.startswith("STORE_") and step.opname not in ("STORE_SUBSCR", "STORE_SLICE")


def _targets(step: dis.Instruction) -> tuple[str, ...]:
    """The variables that an instruction stores; newer Pythons store two at once, or store one and
    load one."""
    names = step.argval if isinstance(step.argval, tuple) else (step.argval,)
    return names[:1] if step.opname == "STORE_FAST_LOAD_FAST" else names
