"""The ways of links between panels: over a gutter, or by tracks beside columns and under bands.  Imports `paths`.

Links that only cross the gutter between two panels swing over it.  All others turn at verticals beside the columns and
at corridors under the bands, each on a track of its own, so that no link runs over a box.  Tracks are given out before
the places are known: their number decides how much room there has to be.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from minigrad.render import style
from minigrad.render.paths import Path, Point, joined, rounded, straight, swing
from minigrad.render.picture import Link

if TYPE_CHECKING:
    from minigrad.render.grid import Grid, Place

TRACK = 6.0
OVER = -1  # in place of a level: the corridor over all bands of a line
Side = tuple[int, bool]  # a column, and whether it is its right side; column -1: right of all
Turn = tuple[str, tuple[int, Any], int]  # "x" at a side of a column or "y" in a corridor (line, level); its track


class Ways:
    """Plans the turns of each link, and draws its path when all places are known."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.tracks: defaultdict[Side, dict[Any, int]] = defaultdict(dict)  # by source
        self.taken: defaultdict[Any, dict[Any, int]] = defaultdict(dict)  # of a corridor at a column, by source
        self.turns = {link: self.plan(link) for link in grid.picture.links if self.is_between(link)}
        self.corridors: defaultdict[int, int] = defaultdict(int)
        for (_, level, _), taken in self.taken.items():
            self.corridors[level] = max(self.corridors[level], 1 + max(taken.values()))

    def is_between(self, link: Link) -> bool:
        """Whether a link leaves its panel."""
        place = self.grid.places.get(link.target.panel)
        return place is None or not (link.source in place.boxes and link.target in place.boxes)

    # tracks

    def plan(self, link: Link) -> list[Turn]:
        """Where a link turns on its way; nowhere if it only swings over a gutter, or rises into the panel above."""
        grid, value, bar = self.grid, (link.source, link.state), link.source in self.grid.bars
        if link.target in grid.bars and bar:
            return []
        out = grid.exit(link)
        if link.target in grid.bars:
            turn = self.beside(out, value)
            return (
                [turn, ("y", (grid.lines[out[0]], OVER), list(grid.bars).index(link.target))]
                if grid.per_row
                else [turn]
            )
        target, end = grid.places[link.target.panel], len(grid.columns) - 1
        corridor = target.line, target.panel[0].level
        if link.target.kind == "delay":
            return [self.beside(out, link), self.under(corridor, out[0], out[0], link)]
        entry = grid.side(link.target.panel, False)
        if grid.is_beside(link):
            if bar:
                return [self.beside(entry, value)]
            if link.source.outside or grid.lines[out[0]] == target.line:
                return []
            return [
                self.beside(out, value),
                self.under((grid.lines[out[0]], 0), 0, end, value),
                self.beside(entry, value),
            ]
        if self.rises(link):
            straight_up = link.source.kind == "input" or len(target.ins) == 1
            return [] if straight_up else [self.under(corridor, target.column, target.column, value)]
        turns = [] if bar and grid.per_row else [self.beside(out, value)]
        if turns and grid.lines[out[0]] != target.line:  # around the end of the lines
            turns += [self.under((grid.lines[out[0]], 0), out[0], end, value), self.beside((-1, True), value)]
            out = (end, True)
        return [*turns, self.under(corridor, out[0], target.column, value)]

    def rises(self, link: Link) -> bool:
        """Whether a link leaves the top of a column of boxes, or an input, straight into the panel above it."""
        if link.source.outside:
            return link.source.kind == "input" and link.source.panel == link.target.panel
        source, target = self.grid.places.get(link.source.panel), self.grid.places.get(link.target.panel)
        if source is None or target is None or source.column != target.column or not source.shape.column:
            return False
        return target.panel[0].level == source.panel[0].level + 1 and link.source is source.boxes[-1]

    def beside(self, side: Side, value: Any) -> Turn:
        """A track beside a column; links of one value share theirs."""
        tracks = self.tracks[side]
        return "x", side, tracks.setdefault(value, len(tracks))

    def under(self, corridor: tuple[int, int], a: int, b: int, value: Any) -> Turn:
        """A track of a corridor that is free from column a to column b; links of one value share theirs."""
        span = [self.taken[(*corridor, k)] for k in range(min(a, b), max(a, b) + 1)]
        used = {n for taken in span for other, n in taken.items() if other != value}
        n = next(n for n in range(len(used) + 1) if n not in used)
        for taken in span:
            taken[value] = n
        return "y", corridor, n

    # paths

    def x(self, turn: Turn) -> float:
        """The x of a track beside a column."""
        grid, (_, (column, right), n) = self.grid, turn
        if column < 0:
            return max(grid.rights) + 24 + 5.0 * n
        return grid.rights[column] + 8 + 5.0 * n if right else grid.lefts[column] - 8 - 5.0 * n

    def y(self, turn: Turn) -> float:
        """The y of a track of a corridor."""
        grid, (_, (line, level), n) = self.grid, turn
        over = level == OVER
        return (
            max(grid.tops.values()) + 7 + 8 * n if over else grid.strips[level] - 7 - TRACK * n
        ) - grid.line_height * line

    def leave(self, link: Link) -> Path:
        """The way from a box to the border that it leaves its panel by."""
        place, (column, right) = self.grid.places[link.source.panel], self.grid.side(link.source.panel, True)
        path = place.path(place.tile.outs[place.outs.index((link.source, link.state))])
        return joined(path, [((self.grid.rights if right else self.grid.lefts)[column], path[-1][1])])

    def path(self, link: Link) -> Path:
        """The whole way of a link between panels."""
        grid, start = self.grid, self.start(link)
        if link.target in grid.bars:
            (left, bottom), _ = grid.bar(link.target)
            if link.source in grid.bars:
                return straight(start[-1], (start[-1][0], bottom))
            turns = self.turns[link]
            return self.turned(start, turns, (left, self.y(turns[1])) if grid.per_row else (self.x(turns[0]), bottom))
        target = grid.places[link.target.panel]
        side = -1 if target.panel[0].reverse else 1
        if link.target.kind == "delay":
            x, y = grid.outer[link.target]
            x -= side * style.size("delay", link.target.label)[0] / 2
            return joined(self.turned(start, self.turns[link], (x - side * 12, y)), [(x, y)])
        k = next(k for k, links in enumerate(target.ins) if link in links)
        leg = target.path(target.tile.ins[k][target.shape.ins[k][1].index(target.boxes.index(link.target))])
        edge = (grid.rights if side < 0 else grid.lefts)[target.column]
        entry = (edge if target.shape.left[k] else target.channel(k), leg[0][1])
        return joined(self.turned(start, self.turns[link], entry, not target.shape.left[k]), leg)

    def start(self, link: Link) -> Path:
        """Where a link begins, on the way out of its panel if it is in one."""
        grid, box = self.grid, link.source
        if box in grid.bars:
            (left, bottom), (right, top) = grid.bar(box)
            if link.target in grid.bars:
                return [(right - 6, top)]
            return [((left + right) / 2, bottom)] if grid.per_row else [(right, (bottom + top) / 2)]
        if box in grid.outer:
            (x, y), (width, height) = grid.outer[box], style.size(box.kind, box.label)
            up = self.rises(link)
            return [(x, y + height / 2)] if up else [(x + width / 2 * (1 if grid.exit(link)[1] else -1), y)]
        if self.rises(link):
            (x, y), outline = grid.places[box.panel].center(box), grid.outline(box)
            return [(x, y + outline.height / 2 + outline.tag_height)]
        return self.leave(link)

    def turned(self, start: Path, turns: list[Turn], end: Point, upright: bool = False) -> Path:
        """From the end of `start` by all turns to `end`; without any, over a gutter, or straight up."""
        if not turns:
            return joined(start, straight(start[-1], end) if upright else swing(start[-1], end))
        points = [start[-1]]
        for turn in turns:
            x, y = points[-1]
            points.append((self.x(turn), y) if turn[0] == "x" else (x, self.y(turn)))
        x, y = points[-1]
        return joined(start, rounded(*points, (end[0], y) if turns[-1][0] == "y" else (x, end[1]), end))


def gutter_middle(grid: Grid, link: Link, target: Place) -> Point | None:
    """Where the name of a state stands: in the middle of the gutter that its link swings over, free of tracks."""
    source, right = grid.places.get(link.source.panel), target.panel[0].reverse
    side = -1 if right else 1
    k = next(k for k, links in enumerate(target.ins) if link in links)
    near = (grid.rights if right else grid.lefts)[target.column] - side * 5 * len(
        grid.ways.tracks[target.column, right]
    )
    if link.source in grid.outer:
        far = grid.outer[link.source][0] + side * style.size(link.source.kind, link.source.label)[0] / 2
    elif source is not None:
        far = (grid.lefts if right else grid.rights)[source.column]
        far += side * 5 * len(grid.ways.tracks[source.column, not right])
    else:
        return None
    return (near + far) / 2, target.port_y(k)
