"""Curves: the Bézier splines of links, how they end at a box, join, turn corners and cross.  Imports nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

Point = tuple[float, float]
TAG = 14.5  # the height of a tag, with its distance
ARROW = 6.0  # the length of an arrowhead


class Outline(NamedTuple):
    """The outline of a box around its centre."""

    width: float
    height: float
    round: bool = False
    tags: float = 0.0  # the width of the tags on top

    def holds(self, x: float, y: float) -> bool:
        """Whether a point, relative to the centre, lies inside."""
        a, b = self.width / 2, self.height / 2
        if self.tags and abs(x) < self.tags / 2 and b <= y < b + TAG:
            return True
        return (x / a) ** 2 + (y / b) ** 2 < 1 if self.round else abs(x) < a and abs(y) < b


class Path:
    """A spline of 3n + 1 points from a source to a target."""

    __slots__ = ("points",)

    def __init__(self, points: Sequence[Point]) -> None:
        self.points = list(points)

    def moved(self, dx: float, dy: float, mirror: float | None = None) -> Path:
        """The path shifted, and before that mirrored inside a tile of width `mirror`."""
        if mirror is not None:
            return Path([(mirror - x + dx, y + dy) for x, y in self.points])
        return Path([(x + dx, y + dy) for x, y in self.points])

    def clipped(self, tail: Outline | None, start: Point, head: Outline | None, end: Point) -> Path:
        """Without the parts inside the outlines of its source at `start` and its target at `end`."""
        points = self.points
        if head is not None:
            points = _cut_end(points, head, end)
        if tail is not None:
            points = _cut_end(points[::-1], tail, start)[::-1]
        return Path(points)

    def shortened(self, length: float = ARROW) -> tuple[Path, Point]:
        """The path up to where its arrowhead begins, and the tip."""
        a, b, tip = self.points[-4], self.points[-3], self.points[-1]
        far = math.dist(a, tip)
        if far > length and 3 * math.dist(a, b) - far < 0.001 > math.dist(
            _toward(a, tip, far / 3), b
        ):  # a straight end
            return Path([*self.points[:-4], *straight(a, _toward(tip, a, length)).points]), tip
        return Path(_cut_end(self.points, Outline(2 * length, 2 * length, True), tip)), tip

    def then(self, other: Path) -> Path:
        """This path, a straight line to the next, and the next."""
        a, b = self.points[-1], other.points[0]
        between = [] if math.dist(a, b) < 0.01 else straight(a, b).points[1:]
        return Path([*self.points, *between, *other.points[1:]])

    def reversed(self) -> Path:
        """The same way back."""
        return Path(self.points[::-1])


def straight(*corners: Point) -> Path:
    """A line through points, as a spline."""
    points = [corners[0]]
    for (ax, ay), (bx, by) in pairwise(corners):
        points += [(ax + (bx - ax) / 3, ay + (by - ay) / 3), (ax + (bx - ax) * 2 / 3, ay + (by - ay) * 2 / 3), (bx, by)]
    return Path(points)


def swing(a: Point, b: Point) -> Path:
    """From a to b, leaving and arriving horizontally."""
    middle = (a[0] + b[0]) / 2
    return straight(a, b) if abs(a[1] - b[1]) < 0.01 else Path([a, (middle, a[1]), (middle, b[1]), b])


def rounded(*corners: Point, radius: float = 7.0) -> Path:
    """A line through points whose corners are rounded."""
    points = [c for k, c in enumerate(corners) if k == 0 or math.dist(c, corners[k - 1]) > 0.01]
    if len(points) < 3:
        return straight(*points) if len(points) > 1 else Path([points[0]] * 4)
    path, start = Path(points[:1]), points[0]
    for before, corner, after in zip(points, points[1:], points[2:]):
        r = min(radius, math.dist(before, corner) / 2, math.dist(corner, after) / 2)
        a, b = _toward(corner, before, r), _toward(corner, after, r)
        path = path.then(straight(start, a)).then(
            Path([a, _toward(corner, before, r * 0.45), _toward(corner, after, r * 0.45), b])
        )
        start = b
    return path.then(straight(start, points[-1]))


def _toward(a: Point, b: Point, length: float) -> Point:
    f = length / (math.dist(a, b) or 1.0)
    return a[0] + (b[0] - a[0]) * f, a[1] + (b[1] - a[1]) * f


def _cut_end(points: list[Point], outline: Outline, center: Point) -> list[Point]:
    """A spline cut where it enters an outline for good."""
    last = len(points) - 4
    while last > 0 and outline.holds(points[last][0] - center[0], points[last][1] - center[1]):
        last -= 3
    a, b, c, d = points[last : last + 4]
    if outline.holds(a[0] - center[0], a[1] - center[1]):
        return points[: last + 4]
    low, high = 0.0, 1.0
    for _ in range(12):
        t = (low + high) / 2
        x, y = point(a, b, c, d, t)
        low, high = (low, t) if outline.holds(x - center[0], y - center[1]) else (t, high)
    return [*points[:last], *split(a, b, c, d, low)]


def point(a: Point, b: Point, c: Point, d: Point, t: float) -> Point:
    """The point of a cubic curve at parameter t."""
    s = 1 - t
    p, q, r, w = s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t
    return p * a[0] + q * b[0] + r * c[0] + w * d[0], p * a[1] + q * b[1] + r * c[1] + w * d[1]


def split(a: Point, b: Point, c: Point, d: Point, t: float) -> tuple[Point, Point, Point, Point]:
    """The first part, up to parameter t, of a cubic curve."""

    def mix(p: Point, q: Point) -> Point:
        return p[0] + (q[0] - p[0]) * t, p[1] + (q[1] - p[1]) * t

    ab, bc, cd = mix(a, b), mix(b, c), mix(c, d)
    abc, bcd = mix(ab, bc), mix(bc, cd)
    return a, ab, abc, mix(abc, bcd)


def sampled(path: Path, pieces: int = 6) -> list[Point]:
    """Points along a path, close enough to stand for it."""
    points, found = path.points, [path.points[0]]
    for k in range(0, len(points) - 3, 3):
        found += [
            point(points[k], points[k + 1], points[k + 2], points[k + 3], n / pieces) for n in range(1, pieces + 1)
        ]
    return found


def crossings(paths: Sequence[Path]) -> int:
    """How many pairs of paths cross away from their ends."""
    lines = [sampled(path)[1:-1] for path in paths]
    count = 0
    for k, first in enumerate(lines):
        for second in lines[:k]:
            count += any(_cross(a, b, c, d) for a, b in pairwise(first) for c, d in pairwise(second))
    return count


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
