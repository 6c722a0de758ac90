"""Curves: the Bézier splines of links, how they end at a box and how they turn corners.

A path is a list of 3n + 1 points from a source to a target.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

Point = tuple[float, float]
Path = list[Point]
ARROW = 6.0  # the length of an arrowhead


class Outline(NamedTuple):
    """The outline of a box around its centre."""

    width: float
    height: float
    round: bool = False
    tags: float = 0.0  # the width of the tags on top of it
    tag_height: float = 0.0

    def holds(self, x: float, y: float) -> bool:
        """Whether a point, relative to the centre, lies inside."""
        a, b = self.width / 2, self.height / 2
        if abs(x) < self.tags / 2 and b <= y < b + self.tag_height:
            return True
        return (x / a) ** 2 + (y / b) ** 2 < 1 if self.round else abs(x) < a and abs(y) < b


def straight(*corners: Point) -> Path:
    """A line through points, as a spline."""
    points = [corners[0]]
    for (ax, ay), (bx, by) in pairwise(corners):
        points += [
            (ax + (bx - ax) / 3, ay + (by - ay) / 3),
            (ax + (bx - ax) * 2 / 3, ay + (by - ay) * 2 / 3),
            (bx, by),
        ]
    return points


def swing(a: Point, b: Point) -> Path:
    """From a to b, leaving and arriving horizontally."""
    middle = (a[0] + b[0]) / 2
    return straight(a, b) if abs(a[1] - b[1]) < 0.01 else [a, (middle, a[1]), (middle, b[1]), b]


def joined(*paths: Path) -> Path:
    """One path after the other, with straight lines between them; level ones that go on are one."""
    whole, *others = paths
    for path in others:
        if math.dist(whole[-1], path[0]) > 0.01:
            path = [*straight(whole[-1], path[0]), *path[1:]]
        if _is_level([*whole[-4:], *path[1:4]]):
            whole, path = whole[:-3], [*straight(whole[-4], path[3]), *path[4:]]
        whole = [*whole, *path[1:]]
    return whole


def _is_level(points: Path) -> bool:
    """Whether the points of two curves go on to the left, or to the right, at one height."""
    if len(points) < 7 or any(abs(y - points[0][1]) > 0.01 for _, y in points):
        return False
    xs = [x for x, _ in points]
    return xs == sorted(xs) or xs == sorted(xs, reverse=True)


def rounded(*corners: Point, radius: float = 7.0) -> Path:
    """A line through points whose corners are rounded."""
    points = [c for k, c in enumerate(corners) if k == 0 or math.dist(c, corners[k - 1]) > 0.01]
    path, start = points[:1], points[0]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        r = min(radius, math.dist(before, corner) / 2, math.dist(corner, after) / 2)
        ends = [
            _toward(corner, end, r * f)
            for end, f in ((before, 1), (before, 0.45), (after, 0.45), (after, 1))
        ]
        path, start = joined(path, straight(start, ends[0]), ends), ends[3]
    return joined(path, straight(start, points[-1]))


def _toward(a: Point, b: Point, length: float) -> Point:
    f = length / (math.dist(a, b) or 1.0)
    return a[0] + (b[0] - a[0]) * f, a[1] + (b[1] - a[1]) * f


def clipped(
    path: Path, tail: Outline | None, start: Point, head: Outline | None, end: Point
) -> Path:
    """Without the parts inside the outlines of its source at `start` and its target at `end`."""
    path = path if head is None else _cut_end(path, head, end)
    return path if tail is None else _cut_end(path[::-1], tail, start)[::-1]


def shortened(path: Path) -> tuple[Path, Point]:
    """The path up to where its arrowhead begins, and the tip."""
    tip = path[-1]
    before = next((p for p in path[-2::-1] if math.dist(p, tip) > 0.01), tip)
    base = _toward(tip, before, ARROW)
    return [*path[:-2], path[-2] if math.dist(path[-2], tip) > ARROW else base, base], tip


def beside_tip(path: Path, right: bool = False) -> Point:
    """A place for a sign: beside the arrowhead, on its left or right."""
    (ax, ay), (bx, by) = path[-2:]
    length = max(math.dist((ax, ay), (bx, by)), 1e-6)
    dx, dy = (bx - ax) / length, (by - ay) / length
    way = -8 if right else 8
    return bx - way * dy - 5 * dx, by + way * dx - 5 * dy


def is_crowded(path: Path, others: Iterable[Path]) -> bool:
    """Whether the sign of a line would stand nearer to the end of another one on its left than on
    its right."""
    ends = [point for other in others for point in other[-2:]]
    sides = [beside_tip(path, right) for right in (False, True)]
    left, right = (min((math.dist(at, end) for end in ends), default=0.0) for at in sides)
    return left < right


def _cut_end(points: Path, outline: Outline, center: Point) -> Path:
    """A spline cut where it enters an outline for good."""
    last = len(points) - 4
    while last > 0 and outline.holds(points[last][0] - center[0], points[last][1] - center[1]):
        last -= 3
    curve, low, high = points[last : last + 4], 0.0, 1.0
    for _ in range(10):
        t = (low + high) / 2
        x, y = _split(curve, t)[3]
        low, high = (low, t) if outline.holds(x - center[0], y - center[1]) else (t, high)
    return [*points[:last], *_split(curve, low)]


def _split(curve: Path, t: float) -> Path:
    """The first part of a cubic curve, up to its point at parameter t."""

    def mix(p: Point, q: Point) -> Point:
        return p[0] + (q[0] - p[0]) * t, p[1] + (q[1] - p[1]) * t

    ab, bc, cd = (mix(p, q) for p, q in pairwise(curve))
    abc, bcd = mix(ab, bc), mix(bc, cd)
    return [curve[0], ab, abc, mix(abc, bcd)]
