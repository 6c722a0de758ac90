"""Names with subscripts: W_xh, h_init and h_{t−1} are set as in a book; all else stays as it is.

A name is set if it is one letter (d before it for a gradient) with letters below it; the number of
its step follows these.  A number below is left as it is, since h_2 is another h and not the one of
step 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from typing import NamedTuple

SMALL = 0.85  # the size of a subscript
TALL = 1.25  # of lines that follow each other, where something hangs below them
_NAME = re.compile(
    r"(?<![A-Za-z0-9_])(d?[A-Za-zα-ωΑ-Ω])_([A-Za-z][A-Za-z0-9_]{0,5})"
    r"([₀-₉₋ₜ\0]+(?:,[₀-₉₋ₜ\0]+)*)?(?![A-Za-z0-9_.(₀-₉])"  # \0 stands for a step of a page
    r"|_\{([^{}]*)\}|([₀-₉ₜ]+(?:,[₀-₉ₜ]+)+)"
)
# what no XML may hold, as the signs that Unicode has to show it
_CONTROLS = {k: 0x2400 + k for k in range(32) if chr(k) not in "\t\n"} | {0x7F: 0x2421}
_CONTROLS |= dict.fromkeys((0xFFFE, 0xFFFF, *range(0xD800, 0xE000)), 0xFFFD)
_DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉₋ₜ", "0123456789−t")


class Piece(NamedTuple):
    """A piece of a line, on it or below it."""

    text: str
    below: bool


@lru_cache(maxsize=4096)
def pieces(line: str) -> tuple[Piece, ...]:
    """A line in pieces on it and below it.

    >>> [*map(tuple, pieces("∂W_xh 2×4"))]
    [('∂W', False), ('xh', True), (' 2×4', False)]
    >>> [*map(tuple, pieces("y_prev₀"))]
    [('y', False), ('prev,0', True)]
    """
    found, end = [], 0
    for match in _NAME.finditer(line):
        stem, letters, step, braced, steps = match.groups(default="")
        parts = [letters.replace("_", ","), braced, (step or steps).translate(_DIGITS)]
        below = ",".join(filter(None, parts))
        found += [Piece(line[end : match.start()] + stem, False), Piece(below, True)]
        end = match.end()
    found.append(Piece(line[end:], False))
    return tuple(piece for piece in found if piece.text)


def renamed(name: str, labels: Mapping[str, str]) -> str:
    """A name as the reader wants to see it; h_init follows h.

    >>> renamed("h_init", {"h": "H"})
    'H_init'
    """
    stem = name.removesuffix("_init")
    if name not in labels and stem in labels:
        return f"{labels[stem]}_init"
    return labels.get(name, name)


def indexed(name: str, index: str) -> str:
    """A name with the number of its step; the t of a variable H_t gives way to it.

    >>> indexed("H_t", "₃"), indexed("H_t", "")
    ('H₃', 'H_t')
    """
    return f"{name.removesuffix('_t')}{index}" if index else name


def further_height(text: str, font: float) -> float:
    """How high all lines of a text after the first are."""
    lines = text.split("\n")
    hangs = any(piece.below for line in lines for piece in pieces(line))
    return (len(lines) - 1) * (1.2 * TALL * font if hangs else font + 2)


@lru_cache(maxsize=4096)
def label(text: str, font: float) -> str:
    """A text as the value of a DOT label of a font size."""
    text = text.translate(_CONTROLS)
    lines = [pieces(line) for line in text.split("\n")]
    if not any(piece.below for line in lines for piece in line):
        return quoted(text)
    small = f'<sub><font point-size="{font * SMALL:.3g}">'
    rows = []
    for line in lines:
        parts = []
        for piece in line:
            shown = escape(piece.text, quote=False)
            parts.append(f"{small}{shown}</font></sub>" if piece.below else shown)
        rows.append("".join(parts))
    if len(rows) > 1:  # room between the lines for what hangs below
        rows = [f'{row}<font point-size="{font * TALL:.3g}"> </font>' for row in rows]
    return f"<{'<br/>'.join(rows)}>"


def quoted(text: str) -> str:
    """A DOT string that shows exactly this text."""
    text = text.translate(_CONTROLS).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + text.replace("&", "&amp;") + '"'
