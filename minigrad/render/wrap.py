"""A picture in lines of steps, as text is wrapped: an edge that goes on in the next line leaves at the
right margin, goes back between the lines, and comes in at the left margin."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence

from minigrad.render.arrange import Line
from minigrad.render.canvas import Item
from minigrad.render.splines import Path, Point, joined, rounded, straight

APART = 28.0  # between lines of steps
LEVEL = 6.0  # between edges that go back together
MARGIN = 14.0  # from what stands in a line to what goes on in the next one
GAP = 12.0  # between two texts
CAPTION = 8.0  # room for texts over edges that go back


def wrapped(items: Sequence[Item], lines: Sequence[Line], height: float) -> list[Item]:
    """The lines of a picture of a height, one under another."""
    wrapping = _Wrapping(items, lines, height)
    return [
        item.moved(*wrapping.shift[first]) if first == last else wrapping.going_back(item)
        for item, first, last in wrapping.spans
    ]


class _Wrapping:
    """Where each line is moved, and where edges go back from one to the next.

    spans: the things with their first and their last line.
    heights: for each line the heights at which edges leave it.
    """

    def __init__(self, items: Sequence[Item], lines: Sequence[Line], height: float) -> None:
        self.lines, self.splits = lines, [line.left for line in lines[1:]]
        self.left, self.right = [math.inf] * len(lines), [-math.inf] * len(lines)
        leaving = defaultdict[int, set[float]](set)
        self.apart = 28.0  # texts of edges that go back together
        self.spans: list[tuple[Item, int, int]] = []
        for item in items:
            (a, _), (b, _) = item.points[0], item.points[-1]
            if item.is_edge:
                first, last = self.line(a), self.line(b)
            else:
                first = last = self.line((a + b) / 2)
                self.left[first] = min(self.left[first], a)
                self.right[first] = max(self.right[first], b)
            if first != last:
                pieces = self.cut(item.points if first < last else item.points[::-1])
                for number, piece in enumerate(pieces[:-1], min(first, last)):
                    leaving[number].add(piece[-1][1])
                if item.label_at:
                    self.apart = max(self.apart, item.text_width + GAP)
            self.spans.append((item, first, last))
        self.heights = {number: sorted(ys) for number, ys in leaving.items()}
        most = max(map(len, leaving.values()), default=0)
        apart = height + APART + (CAPTION + LEVEL * most if most else 0.0)
        begin = max(line.begin for line in lines)
        self.shift = [(begin - line.begin, -apart * k) for k, line in enumerate(lines)]

    def line(self, x: float) -> int:
        """The number of the line in which a place lies."""
        return bisect_right(self.splits, x)

    def going_back(self, item: Item) -> Item:
        """An edge that goes on in another line."""
        path, at = self.way(item.points)
        return item._replace(points=path, label_at=item.label_at and at)

    # edges

    def cut(self, path: Path) -> list[Path]:
        """A way to a later line, in the pieces of the lines that it passes."""
        pieces = []
        for number in range(self.line(path[0][0]), self.line(path[-1][0])):
            k = next(k for k in range(3, len(path), 3) if self.line(path[k][0]) > number)
            pieces.append(path[: k - 2])
            if self.line(path[k][0]) > number + 1:  # a straight line through the whole of the next
                path = [*straight((self.splits[number], path[k][1]), path[k]), *path[k + 1 :]]
            else:
                path = path[k:]
        return [*pieces, path]

    def way(self, path: Path) -> tuple[Path, Point]:
        """A way through several lines, and where its text stands."""
        first = self.line(path[0][0])
        if first > self.line(path[-1][0]):
            way, at = self.way(path[::-1])
            return way[::-1], at
        piece, *rest = self.cut(path)
        way = self.moved(piece, first)
        for number, onward in enumerate(rest, first):
            right, level, left = self.back(number, piece[-1][1])
            ahead = self.moved(onward, number + 1)
            turns = [(right, way[-1][1]), (right, level), (left, level), (left, ahead[0][1])]
            way = joined(way, rounded(way[-1], *turns, ahead[0]), ahead)
            at = self.text_place(number, piece[-1][1], (left + right) / 2)
            piece = onward
        return way, at

    def back(self, number: int, y: float) -> tuple[float, float, float]:
        """How an edge goes back that leaves a line at a height: its right vertical, its level, its
        left vertical.  The lowest turns first, so that no two cross."""
        heights, (dx, dy), (onward, _) = self.heights[number], *self.shift[number : number + 2]
        rank = bisect_left(heights, y)
        right = max(self.right[number] + MARGIN, self.lines[number].right)
        left = min(self.left[number + 1] - MARGIN, self.lines[number + 1].left)
        left -= LEVEL * (len(heights) - 1 - rank)
        return dx + right + LEVEL * rank, dy - CAPTION - LEVEL * (rank + 1), onward + left

    def text_place(self, number: int, y: float, middle: float) -> Point:
        """Over the highest of the edges that go back, one text beside the other."""
        heights = self.heights[number]
        aside = self.apart * (bisect_left(heights, y) - (len(heights) - 1) / 2)
        return middle + aside, self.shift[number][1] - LEVEL

    def moved(self, points: Path, number: int) -> Path:
        """Some points in their line."""
        dx, dy = self.shift[number]
        return [(x + dx, y + dy) for x, y in points]
