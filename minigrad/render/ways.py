"""The ways of links between panels: over a gutter, or by tracks beside columns and under bands.  Imports `paths`.

Links that only cross the gutter between two panels swing over it.  All others turn at verticals beside the columns and
at corridors under the bands, each on a track of its own, so that no link runs over a box.  Tracks are given out before
the places are known: their number decides how much room there has to be.
"""

from __future__ import annotations

from typing import Any

from minigrad.render import style
from minigrad.render.paths import Path, Point, joined, rounded, straight, swing
from minigrad.render.picture import Link

Grid = Any  # `grid.Grid`, which is built on these functions
TRACK = 6.0
OVER = -1  # in place of a level: the corridor over all bands of a line
Side = tuple[int, bool]  # a column, and whether it is its right side; column -1: right of all
Turn = tuple[
    str, tuple[int, Any], int
]  # "x" at a side of a column or "y" in a corridor (line, level); its track


def plan(grid: Grid, link: Link) -> list[Turn]:
    """Where a link turns on its way; nowhere if it only swings over a gutter, or rises into the panel above."""
    value: Any = (link.source, link.state)
    bar, end, out = link.source in grid.bars, len(grid.columns) - 1, grid.exit(link)
    if link.target in grid.bars:
        over: Turn = ("y", (grid.lines[out[0]], OVER), list(grid.bars).index(link.target))
        return [] if bar else [beside(grid, out, link), over][: 1 + bool(grid.per_row)]
    target = grid.places[link.target.panel]
    corridor, below = (target.line, target.panel[0].level), (grid.lines[out[0]], 0)
    if link.target.kind == "delay":
        return [beside(grid, out, link), under(grid, corridor, out[0], target.column, link)]
    if grid.is_beside(link):
        entry = grid.side(link.target.panel, False)
        if bar:
            return [beside(grid, entry, value)]
        if link.source.outside or below[0] == target.line:
            return []
        gap = min(below[0], target.line), 0  # between the two lines
        return [
            beside(grid, out, value),
            under(grid, gap, 0, end, value),
            beside(grid, entry, value),
        ]
    if rises(grid, link):
        upright = link.source.kind == "input" or len(target.ins) == 1
        return [] if upright else [under(grid, corridor, target.column, target.column, value)]
    turns = [] if bar and grid.per_row else [beside(grid, out, value)]
    if turns and below[0] != target.line:  # around the end of the lines
        turns += [under(grid, below, out[0], end, value), beside(grid, (-1, True), value)]
        out = (end, True)
    return [*turns, under(grid, corridor, out[0], target.column, value)]


def rises(grid: Grid, link: Link) -> bool:
    """Whether a link leaves the top of a column of boxes, or an input, straight into the panel above it."""
    if link.source.outside:
        return link.source.kind == "input" and link.source.panel == link.target.panel
    source, target = grid.places.get(link.source.panel), grid.places.get(link.target.panel)
    if (
        source is None
        or target is None
        or source.column != target.column
        or not source.shape.column
    ):
        return False
    above = target.panel[0].level == source.panel[0].level + 1 and link.source is source.boxes[-1]
    return above and not any(
        box.outside and box.kind == "input" for box in grid.picture.panels[target.panel]
    )


def beside(grid: Grid, side: Side, value: Any) -> Turn:
    """A track beside a column; links of one value share theirs."""
    tracks = grid.tracks[side]
    return "x", side, tracks.setdefault(value, len(tracks))


def under(grid: Grid, corridor: tuple[int, int], a: int, b: int, value: Any) -> Turn:
    """A track of a corridor that is free from column a to column b; links of one value share theirs."""
    span = [grid.taken[(*corridor, k)] for k in range(min(a, b), max(a, b) + 1)]
    used = {n for taken in span for other, n in taken.items() if other != value}
    n = next(n for n in range(len(used) + 1) if n not in used)
    for taken in span:
        taken[value] = n
    return "y", corridor, n


def track_x(grid: Grid, side: Side, n: int) -> float:
    """The x of a track beside a column."""
    return grid.edge + 24 + 5.0 * n if side[0] < 0 else grid.border(side, 8 + 5.0 * n)


def track_y(grid: Grid, corridor: tuple[int, int], n: int) -> float:
    """The y of a track of a corridor."""
    line, level = corridor
    y = max(grid.tops.values()) + 7 + 8 * n if level == OVER else grid.strips[level] - 7 - TRACK * n
    return y - grid.line_height * line


def leave(grid: Grid, link: Link) -> Path:
    """The way from a box to the border that it leaves its panel by."""
    place, border = grid.places[link.source.panel], grid.border(grid.side(link.source.panel, True))
    path = place.way("out", link.state, place.boxes.index(link.source))
    return joined(path, [(border, path[-1][1])])


def whole(grid: Grid, link: Link) -> Path:
    """The whole way of a link between panels."""
    begin, turns = start(grid, link), grid.turns[link]
    if link.target in grid.bars:
        (left, bottom), _ = grid.corners[link.target]
        x, y = corners(grid, begin[-1], turns)[-1]
        return turned(
            grid, begin, turns, (left, y) if len(turns) > 1 else (x, bottom), upright=True
        )
    target = grid.places[link.target.panel]
    side = -1 if target.panel[0].reverse else 1
    if link.target.kind == "delay":
        x, y = grid.at[link.target]
        x -= side * style.size("delay", link.target.label)[0] / 2
        return joined(turned(grid, begin, turns, (x - side * (12 + 5 * turns[-1][2]), y)), [(x, y)])
    port = target.port(link)
    leg = target.way("in", port, target.boxes.index(link.target))
    border = grid.border(grid.side(link.target.panel, False))
    entry = (border if port.left else target.channel(port), leg[0][1])
    return joined(turned(grid, begin, turns, entry, upright=not port.left), leg)


def start(grid: Grid, link: Link) -> Path:
    """Where a link begins, on the way out of its panel if it is in one."""
    box, up = link.source, rises(grid, link)
    if box in grid.bars:
        (left, bottom), (right, top) = grid.corners[box]
        if link.target in grid.bars:
            return [(right - 6, top)]
        if grid.per_row:
            return [((left + right) / 2, bottom)]
        x = corners(grid, (right, top), grid.turns[link][:1])[-1][
            0
        ]  # straight down where that is under the bar
        return [(x, bottom)] if left < x < right else [(right, (bottom + top) / 2)]
    if not up and not box.outside:
        return leave(grid, link)
    (x, y), outline = grid.at[box], grid.outlines[box]
    if up:
        return [(x, y + outline.height / 2 + outline.tag_height)]
    to_right = grid.exit(link)[1] if box.kind == "input" else not box.panel[0].reverse
    return [(x + outline.width / 2 * (1 if to_right else -1), y)]


def turned(grid: Grid, begin: Path, turns: list[Turn], end: Point, upright: bool = False) -> Path:
    """From the end of `begin` by all turns to `end`; without any, over a gutter, or straight up."""
    if not turns:
        return joined(begin, straight(begin[-1], end) if upright else swing(begin[-1], end))
    points = corners(grid, begin[-1], turns)
    x, y = points[-1]
    return joined(begin, rounded(*points, (end[0], y) if turns[-1][0] == "y" else (x, end[1]), end))


def corners(grid: Grid, begin: Point, turns: list[Turn]) -> Path:
    """The points where a way turns, from its first point on."""
    points = [begin]
    for axis, where, n in turns:
        x, y = points[-1]
        points.append((track_x(grid, where, n), y) if axis == "x" else (x, track_y(grid, where, n)))
    return points


def gutter_middle(grid: Grid, link: Link) -> Point:
    """Where the name of a state stands: in the middle of the gutter that its link swings over, free of tracks."""
    target, (far, y) = grid.places[link.target.panel], start(grid, link)[-1]
    entry = grid.side(link.target.panel, False)
    if not link.source.outside:
        out = grid.exit(link)[0], not entry[1]
        far = grid.border(out, 5 * len(grid.tracks[out]))
    near = grid.border(entry, 5 * len(grid.tracks[entry]))
    return (near + far) / 2, max(y, target.port_y(target.port(link)))
