"""Where in the user's program a node was made: file, line, expression, variable.  Imports nothing of minigrad.

A node keeps only `(code, instruction)` of a frame, which costs nothing.  Everything else is found here, on demand.
"""

from __future__ import annotations

import bisect
import dis
import itertools
import linecache
import os
from functools import cached_property, lru_cache
from types import CodeType


@lru_cache(maxsize=512)
def _instructions(code: CodeType) -> tuple[list[int], list[dis.Instruction]]:
    """The instructions of `code` that do something, and their offsets."""
    listing = [step for step in dis.get_instructions(code) if step.opname not in _IDLE]
    return [step.offset for step in listing], listing


_IDLE = ("CACHE", "COPY", "NOP", "EXTENDED_ARG")


class Source:
    """One place in a program: a code object and an instruction in it."""

    def __init__(self, code: CodeType | None, instruction: int) -> None:
        self.code, self.instruction = code, instruction

    @property
    def file(self) -> str:
        """The file's name as Python knows it, or "" where there is none."""
        return self.code.co_filename if self.code else ""

    @cached_property
    def _position(self) -> tuple[int, int, int, int]:
        """First line, last line, first column, last column (in bytes); zeros where unknown."""
        if self.code is None:
            return 0, 0, 0, 0
        for k, (line, end, column, stop) in enumerate(self.code.co_positions()):
            if k == self.instruction // 2:
                return line or 0, end or line or 0, column or 0, stop or 0
        return 0, 0, 0, 0

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
        """Exactly the expression that made the node, on one line; "" where there is no source text."""
        first, last, column, stop = self._position
        lines = [linecache.getline(self.file, n).encode() for n in range(first, last + 1)]
        if not first or not all(lines) or stop == 0:
            return ""
        lines[-1] = lines[-1][:stop]
        lines[0] = lines[0][column:]
        return " ".join(b" ".join(lines).decode(errors="replace").split())

    def variable(self, output: int | None = None) -> str:
        """The variable that the result is assigned to, or ""; `output` chooses one of several results.

        Read from the instructions, so that it works where there is no source text at all.
        """
        if self.code is None:
            return ""
        offsets, listing = _instructions(self.code)
        first = bisect.bisect_right(offsets, self.instruction)  # an offset inside a call's cache belongs to the call
        if first < len(listing) and listing[first].opname == "JUMP_FORWARD":  # x = ... if c else ...
            first = bisect.bisect_left(offsets, listing[first].argval)
        steps = listing[first : first + 40]
        if output is not None:
            if not steps or steps[0].opname != "UNPACK_SEQUENCE":
                return ""
            steps = steps[1:]
        targets = itertools.dropwhile(lambda step: step.opname.startswith("LOAD_"), steps)  # self.h = ... loads self
        if steps and steps[0].opname.startswith("LOAD_"):
            steps = [step for step in itertools.islice(targets, 1) if step.opname == "STORE_ATTR"]
        names: list[str] = []
        for step in steps:
            if not step.opname.startswith("STORE_") or step.opname in ("STORE_SUBSCR", "STORE_SLICE"):
                break
            names += step.argval if isinstance(step.argval, tuple) else [step.argval]
            if step.opname == "STORE_FAST_LOAD_FAST":
                names.pop()
        name = names[output or 0] if len(names) > (output or 0) else ""
        return name if name.isidentifier() else ""  # pytest's own variables are none

    def __str__(self) -> str:
        name = self.file
        if name and not name.startswith("<"):
            parts = os.path.abspath(name).split(os.sep)
            name = "/".join(parts[-2:]) if os.path.abspath(name).startswith(_HERE) else os.path.relpath(name)
        return f"{name}:{self.line}" if name else "unknown line"


_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
