"""A layout in lines of steps, as text is wrapped: a link that goes on in the next line leaves at the
right margin, goes back between the lines, and comes in at the left margin."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any, NamedTuple

from minigrad.render.arrange import RISER, Layout, Rect
from minigrad.render.picture import Box, Link
from minigrad.render.splines import Path, Point, joined, rounded, straight

LEVEL = 6.0  # between level lines that go back together
MARGIN = 14.0  # from what stands in a line to what goes back under it
CAPTION = 8.0  # room for the texts over lines that go back
APART = 28.0  # between lines of steps


class Line(NamedTuple):
    """The part of a layout that becomes one line.

    begin: where its first tile begins; these stand under each other.
    """

    left: float
    right: float
    begin: float

    def part(self, left: float, right: float) -> tuple[float, float]:
        """What of a span lies in the line."""
        return max(left, self.left), min(right, self.right)


class Piece(NamedTuple):
    """The part of a link's way that lies in one line."""

    line: int
    path: Path


def wrapped(layout: Layout, lines: list[Line], height: float) -> Layout:
    """The lines of a layout of a height, one under another."""
    return _Wrapping(layout, lines, height).layout()


class _Wrapping:
    """Where each line is moved, and where links go back from one to the next."""

    def __init__(self, layout: Layout, lines: list[Line], height: float) -> None:
        self.whole, self.lines = layout, lines
        self.splits = [line.left for line in lines[1:]]
        self.pieces = {link: self.cut(path) for link, path in layout.links.items()}
        self.rank = self.ranks()
        most = max(map(len, self.rank.values()), default=0)
        apart = height + APART + (CAPTION + LEVEL * most if most else 0.0)
        begin = max(line.begin for line in lines)
        self.shift = [(begin - line.begin, -apart * k) for k, line in enumerate(lines)]
        self.left, self.right = [math.inf] * len(lines), [-math.inf] * len(lines)
        for rect in (
            *layout.boxes.values(),
            *chain(*layout.bars.values()),
            *layout.frames.values(),
        ):
            number = self.line(rect.x)
            self.left[number] = min(self.left[number], rect.corners[0])
            self.right[number] = max(self.right[number], rect.corners[2])

    def line(self, x: float) -> int:
        """The number of the line in which a place lies."""
        return bisect_right(self.splits, x)

    # links

    def cut(self, path: Path) -> list[Piece]:
        """A way in the pieces of the lines that it passes."""
        first, last = self.line(path[0][0]), self.line(path[-1][0])
        if first > last:
            return [Piece(line, way[::-1]) for line, way in self.cut(path[::-1])[::-1]]
        pieces = []
        for number in range(first, last):
            k = next(k for k in range(3, len(path), 3) if self.line(path[k][0]) > number)
            pieces.append(Piece(number, path[: k - 2]))
            if self.line(path[k][0]) > number + 1:  # a straight line through the whole of the next
                path = [*straight((self.splits[number], path[k][1]), path[k]), *path[k + 1 :]]
            else:
                path = path[k:]
        return [*pieces, Piece(last, path)]

    def ranks(self) -> dict[int, dict[Any, int]]:
        """For each end of a line the values that go on in the next, from the lowest up."""
        heights = defaultdict[int, dict[Any, float]](dict)
        for link, pieces in self.pieces.items():
            for one, other in pairwise(pieces):
                point = one.path[-1] if one.line < other.line else other.path[0]
                heights[min(one.line, other.line)].setdefault(_value(link), point[1])
        return {
            line: {value: k for k, value in enumerate(sorted(ys, key=ys.__getitem__))}
            for line, ys in heights.items()
        }

    def back(self, link: Link, line: int) -> tuple[float, float, float]:
        """How a link goes on after a line: its right vertical, its level, its left vertical."""
        rank, count = self.rank[line][_value(link)], len(self.rank[line])
        (dx, dy), (onward, _) = self.shift[line : line + 2]
        right = max(self.right[line] + MARGIN, self.lines[line].right) + RISER * rank
        left = min(self.left[line + 1] - MARGIN, self.lines[line + 1].left)
        left -= RISER * (count - 1 - rank)
        return dx + right, dy - CAPTION - LEVEL * (rank + 1), onward + left

    def way(self, link: Link) -> Path:
        """The whole way of a link."""
        first, *rest = self.pieces[link]
        path, here = self.moved(first.path, first.line), first.line
        for piece in rest:
            right, level, left = self.back(link, min(here, piece.line))
            onward = self.moved(piece.path, piece.line)
            turns = [(right, path[-1][1]), (right, level), (left, level), (left, onward[0][1])]
            if piece.line < here:
                turns = [(left, path[-1][1]), (left, level), (right, level), (right, onward[0][1])]
            path = joined(path, rounded(path[-1], *turns, onward[0]), onward)
            here = piece.line
        return path

    def caption(self, link: Link, point: Point) -> Point:
        """Where the text of a link stands: where it goes back, one beside the other."""
        pieces = self.pieces[link]
        if len(pieces) == 1:
            return self.moved([point], pieces[0].line)[0]
        line = min(pieces[0].line, pieces[1].line)
        right, level, left = self.back(link, line)
        count = len(self.rank[line])
        apart = max(14.0, min(80.0, (right - left) / 2 / count))
        away = self.rank[line][_value(link)] - (count - 1) / 2
        lowest = level + LEVEL * self.rank[line][_value(link)]
        return (left + right) / 2 + apart * away, lowest + CAPTION

    # everything

    def moved(self, points: Path, line: int) -> Path:
        """Some points in their line."""
        dx, dy = self.shift[line]
        return [(x + dx, y + dy) for x, y in points]

    def rect(self, rect: Rect) -> Rect:
        """A place in its line."""
        dx, dy = self.shift[self.line(rect.x)]
        return rect._replace(x=rect.x + dx, y=rect.y + dy)

    def parts(self, rect: Rect) -> list[Rect]:
        """A place that may span several lines, in its parts."""
        left, bottom, right, top = rect.corners
        inside = self.lines[self.line(left) : self.line(right) + 1]
        spans = [line.part(left, right) for line in inside]
        return [self.rect(Rect.between(a, bottom, b, top)) for a, b in spans]

    def layout(self) -> Layout:
        """The layout in lines."""
        whole = self.whole
        return replace(
            whole,
            boxes={box: self.rect(rect) for box, rect in whole.boxes.items()},
            frames={tile: self.rect(rect) for tile, rect in whole.frames.items()},
            panels=[(tile, part) for tile, rect in whole.panels for part in self.parts(rect)],
            bars={bar: list(map(self.rect, rects)) for bar, rects in whole.bars.items()},
            tags={tag: self.rect(rect) for tag, rect in whole.tags.items()},
            links={link: self.way(link) for link in whole.links},
            captions={link: self.caption(link, at) for link, at in whole.captions.items()},
            bottom=self.shift[-1][1],
            gutters=whole.gutters | {link for link, pieces in self.pieces.items() if pieces[1:]},
        )


def _value(link: Link) -> tuple[Box, str]:
    """What flows along a link: those that carry the same value go back as one line."""
    return link.source, link.state
