"""Text tables: every table that the project prints is laid out here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def columns(rows: Iterable[Sequence[str]], headings: int = 0, rule: str = "-") -> str:
    """Rows of words as lines: the first column to the left, the others to the right.

    headings: how many of the rows are headings; a line made of `rule` stands under them.  Raises
    ValueError if the rows have not the same length.

    >>> print(columns([["name", "size"], ["W_xh", "12"], ["b", "4"]], headings=1))
    name  size
    ----  ----
    W_xh    12
    b        4
    """
    lines = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if headings:
        lines.insert(headings, [rule * width for width in widths])
    return "\n".join(one_line(line, widths) for line in lines)


def one_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """One row, without spaces at its end."""
    others = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "  ".join([cells[0].ljust(widths[0]), *others]).rstrip()
