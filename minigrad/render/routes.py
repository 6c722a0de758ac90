"""The ways of links.  There are four: within a tile, as dot has drawn it; over the gutter between
two tiles; straight up; all others by verticals in gutters and a level line under a band.

The verticals and levels of a link are taken before the places are known, since they need room.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from minigrad.render import look
from minigrad.render.arrange import RISER, Grid, Layout, Line, Rect, tags_on
from minigrad.render.picture import Box, Link, Picture, Tag
from minigrad.render.splines import Path, Point, joined, rounded, straight, swing
from minigrad.render.texts import Texts

LINE = 6.0  # between level lines that share a gap
BEND = 16.0  # under a tile, for lines that go up into it with a bend
OVER, BETWEEN = 14.0, 10.0  # between bars and what is under them, and between bars
END = 14.0  # by how much a bar is longer than what enters it
HOLE = 5.0  # half of the gap where a line passes through a bar

Vertical = tuple[float, float, float]  # its x, and where it begins and ends
Number = Callable[[], float]  # an x or y that is known once everything has its place


class Routes:
    """The ways of all links of a picture."""

    def __init__(self, picture: Picture, texts: Texts) -> None:
        self.grid = Grid(picture, texts)
        self.picture, self.texts = picture, texts
        self.used = defaultdict[float, dict[Any, int]](dict)
        self.kind = self.grid.kind
        self.turns = {
            link: self.turns_of(link) for link, kind in self.kind.items() if kind == "around"
        }
        self.grid.put_columns()
        self.stack_bars()

    def layout(self, per_row: int | None = None) -> Layout:
        """Everything in its place, in lines of so many steps."""
        grid = self.grid
        grid.put_bands(self.gaps())
        self.rects = grid.rects()
        top = self.put_bars()
        paths, lanes, captions = {}, {}, {}
        for link, kind in self.kind.items():
            if kind == "inner":
                place = grid.place_of[link.target]
                key = "inner", place.boxes.index(link.source), place.boxes.index(link.target)
                path, lanes[link] = place.way(*key), grid.spines[place.form].get(key, "")
                at = _level_middle(path) if link.mark else None
            else:
                path, at = self.way(link, kind)
            paths[link] = path
            if at is not None:
                captions[link] = at
        self.turns.clear()  # its functions hold this object
        lines = grid.lines(per_row)
        near = {link for link, kind in self.kind.items() if kind == "near"}
        return Layout(
            self.rects, grid.frames(), grid.panels(lines), grid.scopes(), self.pieces(paths, lines),
            dict(self.tags()), paths, lanes, captions, near, grid.count, lines, top,
        )  # fmt: skip

    def tags(self) -> Iterable[tuple[Tag, Rect]]:
        """The places of tags, side by side on their boxes."""
        for box, rect in self.rects.items():
            x = rect.x - self.grid.outlines[box].tags / 2
            y = rect.corners[3] + look.TAG_HEIGHT / 2 + 0.5
            for tag in tags_on(box):
                width = self.texts.tag_widths[tag.parameter]
                yield tag, Rect(x + width / 2, y, width, look.TAG_HEIGHT)
                x += width + 2

    # which way

    def turns_of(self, link: Link) -> tuple[list[Number], list[Number]]:
        """The verticals that a link takes, and the levels between them."""
        grid, value = self.grid, (link.source, link.state)
        source, place = grid.place_of.get(link.source), grid.place_of.get(link.target)
        if link.source in grid.bars and place is None:
            return [], []
        verticals = [self.vertical(grid.exit(link), value)]
        levels: list[Number] = []
        if source is not None and source.beside == "below":  # up, over the other inputs
            up, level = verticals[0], self.level(source.level + 0.5, value)
            verticals = [lambda: self.rects[link.source].x]
            levels = [level]
            if place is None or place.level != source.level + 0.5:
                verticals.append(up)
        if place is None:
            return verticals, levels
        entry = grid.side(place, False)
        if place.beside or place.port[link].left:
            if sum(grid.exit(link)) != sum(entry):  # else in one gutter
                levels.append(self.level(place.level, value))
                verticals.append(self.vertical(entry, value))
        else:
            if len(levels) < len(verticals):
                levels.append(self.level(place.level, value))
            port = place.port[link]
            verticals.append(lambda: place.channel(port))
        return verticals, levels

    def vertical(self, side: tuple[int, bool], value: Any) -> Number:
        """Take a vertical beside a column."""
        self.grid.riser(side, value)
        return lambda: self.grid.riser_x(side, value)

    def level(self, level: float, value: Any) -> Number:
        """Take a level in the gap under a band."""
        number = self.used[level].setdefault(value, len(self.used[level]))
        return lambda: self.grid.strips[level] - 6 - LINE * number

    def gaps(self) -> dict[float, float]:
        """How much room links need under each band."""
        need = defaultdict[float, float](float)
        for level, values in self.used.items():
            need[level] = 8 + LINE * len(values)
        for link, kind in self.kind.items():
            if kind == "rise" and link.target not in self.grid.bars:
                level = self.grid.place_of[link.target].level
                need[level] = max(need[level], 0.0 if self.is_straight(link) else BEND)
        return need

    def is_straight(self, link: Link) -> bool:
        """Whether a link that rises does so without a bend."""
        source, target = self.grid.place_of[link.source], self.grid.place_of[link.target]
        return len(source.boxes if source.beside else set(target.port.values())) == 1

    # ways

    def way(self, link: Link, kind: str) -> tuple[Path, Point]:
        """The way of a link between two tiles, and where its text stands: over the middle of its
        gutter, over its longest level, or where it goes straight up over the tile that it leaves."""
        leave, enter = self.leave(link), self.enter(link)
        start, end = leave[-1], enter[0]
        if kind == "near":
            path = joined(leave, swing(start, end), enter)
            return path, (self.gutter_middle(link), max(start[1], end[1]) + 8)
        if kind == "rise":
            path = joined(_bend(start, end), enter)
            top = self.grid.tops[self.grid.place_of[link.source].level]
            return path, (start[0], top + 8)
        verticals, levels = ([number() for number in turn] for turn in self.turns[link])
        corners = [start]
        for x, y in zip(verticals, [*levels, end[1]], strict=False):
            corners += [(x, corners[-1][1]), (x, y)]
        path = joined(leave, rounded(*corners, end), enter)
        return path, _level_middle(path)

    def gutter_middle(self, link: Link) -> float:
        """The middle of the gutter that a link crosses, between the verticals at its sides."""
        grid = self.grid
        sides = grid.side(grid.place_of[link.target], False), grid.exit(link)
        return sum(grid.border(side, RISER * len(grid.risers[side])) for side in sides) / 2

    def leave(self, link: Link) -> Path:
        """The first piece of a way, to the border of the tile."""
        grid, box = self.grid, link.source
        if box in grid.bars:
            rect = self.bar_rects[box]
            if link.target in grid.bars:
                return [(self.bar_x(link), rect.corners[3])]
            return [(grid.riser_x(grid.exit(link), (box, link.state)), rect.corners[1])]
        place, rect = grid.place_of[box], self.rects[box]
        left, _, right, top = rect.corners
        if self.kind[link] == "rise" or place.beside == "below":
            x = rect.x
            if self.kind[link] == "rise" and not place.beside:
                end = self.enter(link)[0][0]
                x = end if abs(end - x) < rect.width / 2 - 12 else x
            return [(x, top + grid.outlines[box].tag_height)]
        if place.beside:
            return [(left if box.tile.row.reverse else right, rect.y)]
        path = place.leaving(link)
        return joined(path, [(grid.border(grid.side(place, True)), path[-1][1])])

    def enter(self, link: Link) -> Path:
        """The last piece of a way, from the border of the tile."""
        grid, box = self.grid, link.target
        if box in grid.bars:
            return [(self.bar_x(link), self.bar_rects[box].corners[1])]
        place = grid.place_of[box]
        if place.beside:
            left, _, right, _ = self.rects[box].corners
            return [(right if box.tile.row.reverse else left, self.rects[box].y)]
        port = place.port[link]
        leg = place.entering(link)
        if port.left:
            return joined([(grid.border(grid.side(place, False)), leg[0][1])], leg)
        x = place.channel(port)
        return joined([(x, grid.strips[place.level])], [(x, leg[0][1])], leg)

    # bars

    def bar_x(self, link: Link) -> float:
        """The x at which a link enters a bar."""
        grid = self.grid
        if link.source in grid.bars:
            return min(self.spans[bar][1] for bar in (link.source, link.target)) - 6
        if self.kind[link] == "rise":
            place = grid.place_of[link.source]
            k = place.boxes.index(link.source)
            x, _ = place.moved([place.pattern.centers[k]])[0]
            beside = [n for n in grid.out_of[link.source] if n.target in grid.bars]
            away = beside.index(link) - (len(beside) - 1) / 2
            return x + 2.4 * HOLE * away
        return grid.riser_x(grid.exit(link), (link.source, link.state))

    def stack_bars(self) -> None:
        """The span of each bar, and its height: the lowest where it lies over no other, and over
        all that enter it."""
        grid = self.grid
        self.spans: dict[Box, tuple[float, float]] = {}
        self.ends: dict[Box, list[float]] = {}
        self.bar_level: dict[Box, int] = {}
        for bar in grid.bars:
            into = [link for link in grid.into[bar.tile] if link.target is bar]
            ends = [self.bar_x(link) for link in into if link.source not in grid.bars]
            for link in grid.out_of[bar]:
                x = grid.rights[grid.exit(link)[0]] + 7
                if link.target not in grid.bars:
                    x = grid.riser_x(grid.exit(link), (bar, link.state))
                ends.append(x)
            width = look.text_width(self.texts.labels[bar], 12)
            self.ends[bar] = ends
            self.spans[bar] = min(min(ends), max(ends) - width) - END, max(ends) + END
            lowest = [self.bar_level[n.source] + 1 for n in into if n.source in self.bar_level]
            taken = {level for other, level in self.bar_level.items() if self.meet(bar, other)}
            level = max(lowest, default=0)
            while level in taken:
                level += 1
            self.bar_level[bar] = level

    def meet(self, bar: Box, other: Box) -> bool:
        """Whether two bars would lie on each other at one height."""
        (left, right), (other_left, other_right) = self.spans[bar], self.spans[other]
        return left < other_right and other_left < right

    def put_bars(self) -> float:
        """Put the bars over the bands, one height over another; the top of all."""
        bars = defaultdict[int, list[Box]](list)
        for bar, level in self.bar_level.items():
            bars[level].append(bar)
        self.bar_rects: dict[Box, Rect] = {}
        top = self.grid.ceiling
        for _, members in sorted(bars.items()):
            height = max(look.size("bar", self.texts.labels[bar])[1] for bar in members)
            low = top + OVER
            for bar in members:
                left, right = self.spans[bar]
                self.bar_rects[bar] = Rect.between(left, low, right, low + height)
            top += height + BETWEEN
        return top

    def pieces(self, paths: dict[Link, Path], lines: list[Line]) -> dict[Box, list[list[Rect]]]:
        """The pieces of each bar in each line: it is open where lines pass."""
        bars = self.bar_rects.items()
        passing = [one for path in paths.values() for one in _verticals(path)] if bars else []
        found = defaultdict[Box, list[list[Rect]]](list)
        for bar, rect in bars:
            needed = look.text_width(self.texts.labels[bar], 12) + 10
            holes = [x for x, low, high in passing if low < rect.y < high]
            for line in lines:
                if any(line.left <= x <= line.right for x in self.ends[bar]):
                    left, right = line.part(*self.spans[bar])
                    part = rect._replace(x=(left + right) / 2, width=right - left)
                    limits = line.part(*self.limits(bar))
                    found[bar].append(pieces(part, holes, needed, limits))
        return found

    def limits(self, bar: Box) -> tuple[float, float]:
        """How far a bar may reach: half of the way to the next ones at its height."""
        left, right = self.spans[bar]
        level = self.bar_level[bar]
        others = [span for other, span in self.spans.items()
                  if other is not bar and self.bar_level[other] == level]  # fmt: skip
        lows = [(b + left) / 2 for _, b in others if b <= left]
        highs = [(right + a) / 2 for a, _ in others if a >= right]
        return max(lows, default=-math.inf), min(highs, default=math.inf)


def pieces(
    rect: Rect, holes: Iterable[float], needed: float, limits: tuple[float, float]
) -> list[Rect]:
    """The pieces of a bar that is open at some x; the first of them has room for its text.

    Where no piece has, the bar goes on, within its limits, to the nearest place that does.
    """
    left, bottom, right, top = rect.corners
    cuts = sorted({x for x in holes if limits[0] < x < limits[1]})
    lefts, rights = [limits[0], *(x + HOLE for x in cuts)], [*(x - HOLE for x in cuts), limits[1]]
    gaps = list(zip(lefts, rights, strict=True))

    def order(gap: tuple[float, float]) -> tuple[float, float]:
        """By how much longer the bar gets; then the widest in it."""
        longer = max(0.0, left - (gap[1] - needed), gap[0] + needed - right)
        return longer, max(gap[0], left) - min(gap[1], right)

    a, b = min(
        (gap for gap in gaps if gap[1] - gap[0] >= needed),
        key=order,
        default=(left, max(right, left + needed)),
    )
    left, right = min(left, b - needed), max(right, a + needed)
    text = max(a, left), min(b, right)
    spans = [(max(a, left), min(b, right)) for a, b in gaps]
    rest = [(a, b) for a, b in spans if b - a > 2 * HOLE and (b <= text[0] or a >= text[1])]
    return [Rect.between(a, bottom, b, top) for a, b in [text, *rest]]


def _verticals(path: Path) -> Iterable[Vertical]:
    """The verticals in a path."""
    for k in range(0, len(path) - 3, 3):
        (ax, ay), (bx, by) = path[k], path[k + 3]
        if abs(ax - bx) < 0.01:
            yield ax, min(ay, by), max(ay, by)


def _bend(start: Point, end: Point) -> Path:
    """Up to a point: straight, or with one bend under it."""
    if abs(start[0] - end[0]) < 0.01:
        return straight(start, end)
    low = max(start[1], end[1] - BEND)
    middle = (low + end[1]) / 2
    curve = [(start[0], low), (start[0], middle), (end[0], middle), end]
    return joined(straight(start, (start[0], low)), curve) if low > start[1] + 0.01 else curve


def _level_middle(path: Path) -> Point:
    """Over the middle of the widest piece of a path, rather of a level one than of a curve."""
    widest, best = -1.0, path[0]
    for k in range(0, len(path) - 3, 3):
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = path[k : k + 4]
        level = abs(ay - dy) < 0.01 and abs(ay - by) < 0.01
        width = abs(dx - ax) if level else abs(dx - ax) / 4
        if width > widest:
            widest, best = width, ((ax + 3 * bx + 3 * cx + dx) / 8, (ay + 3 * by + 3 * cy + dy) / 8)
    return best[0], best[1] + 8
