"""The ways of links.  There are three kinds: within a tile, as dot has drawn it; over the gutter
between two tiles; all others by one arc under or over the bands, the deeper the further it goes.

Which way a link takes is decided before the places are known, since the verticals in a gutter need
room there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from minigrad.render import look
from minigrad.render.arrange import BAR, RISER, Grid, Layout, Place, Rect
from minigrad.render.picture import Box, Link, Picture, Tag
from minigrad.render.splines import Path, Point, joined, rounded, straight, swing
from minigrad.render.texts import Texts

CAPTION = 8.0  # room for the texts over lines that go on in the next line of steps
LINE = 6.0  # between horizontal lines that share a gap
SHALLOW, DEEP, SLOPE = (
    16.0,
    70.0,
    0.05,
)  # of arcs: the least and the most depth, and how it grows with the span
HOLE = 5.0  # half of the gap where a line passes through a bar


class Routes:
    """The ways of all links of a picture.

    width: of one line, known before all else.  known: a grid of the same tiles in other lines.
    """

    def __init__(
        self, picture: Picture, texts: Texts, per_row: int | None, known: Grid | None = None
    ) -> None:
        self.grid = grid = known or Grid(picture, texts, per_row)
        grid.break_lines(per_row)
        self.picture = picture
        self.kind = {link: self.kind_of(link) for link in self.picture.links}
        self.number: dict[Link, int] = {}  # of its vertical line beside the column that it leaves
        self.entry: dict[Link, int] = {}  # of its vertical line beside the column that it enters
        self.slot: dict[Link, int] = {}  # of its horizontal line in the gap that it runs through
        self.used = defaultdict[Any, dict[Any, int]](dict)
        for link, kind in self.kind.items():
            self.reserve(link, kind)
        grid.put_columns()
        self.width = max(grid.rights, default=0.0)

    # which way

    def kind_of(self, link: Link) -> str:
        """The way that a link takes."""
        grid, source, target = self.grid, link.source, link.target
        if target in grid.bars:
            return "bar"
        if target.beside == "after":
            return "stub"
        if target.kind == "delay":
            return "delay"
        if source.tile == target.tile and not source.beside and source not in grid.bars:
            return "inner"
        if grid.is_near(link):
            same = (
                source.beside or source in grid.bars or self.lines(link)[0] == self.lines(link)[1]
            )
            return "near" if same else "wrap"
        if grid.rises(link):
            return "rise"
        if source in grid.bars and grid.per_row:
            return "side"
        return "arc" if self.lines(link)[0] == self.lines(link)[1] else "far"

    def lines(self, link: Link) -> tuple[int, int]:
        """The lines in which a link begins and ends."""
        grid = self.grid
        return grid.lines[grid.exit(link)[0]], grid.lines[grid.column[link.target.tile.column]]

    def reserve(self, link: Link, kind: str) -> None:
        """Take the lines beside columns, and in gaps, that a link needs; links of one value share
        theirs."""
        grid, value = self.grid, (link.source, link.state)
        if kind in ("delay", "arc", "wrap", "far") or (kind == "bar" and self.leaves_aside(link)):
            self.number[link] = grid.riser(grid.exit(link), value)
        if kind == "wrap" or (kind == "near" and link.source in grid.bars):
            self.entry[link] = grid.riser(grid.side(link.target.tile, False), value)
        if kind in ("delay", "far", "side"):
            place = grid.places[link.target.tile]
            gap = place.line, grid.level[place.tile.row]
            self.slot[link] = self.take(gap, link.target if kind == "delay" else value)
        if kind in ("wrap", "far"):
            self.entry.setdefault(link, self.take("edge", value))
            self.slot.setdefault(link, 0)
            self.take((self.lines(link)[0], -1), value)
        if kind == "bar" and grid.per_row:
            self.take((self.lines_of_bar(link), -1), link.target)

    def leaves_aside(self, link: Link) -> bool:
        """Whether a link to a bar leaves its tile at the side, and not from the top."""
        return link.source not in self.grid.bars and not self.grid.rises(link)

    def lines_of_bar(self, link: Link) -> int:
        """The line that a link into a bar begins in."""
        return self.grid.lines[self.grid.exit(link)[0]]

    def take(self, gap: Any, key: Any) -> int:
        """The number of a horizontal line in a gap."""
        lines = self.used[gap]
        return lines.setdefault(key, len(lines))

    def gaps(self) -> dict[int, float]:
        """How much room links need under each level, and between lines (−1)."""
        need = defaultdict[int, float](float)
        for (_, level), lines in ((k, v) for k, v in self.used.items() if k != "edge"):
            text = CAPTION if level == -1 else 0.0  # of what goes on in the next line
            need[level] = max(need[level], 8 + text + LINE * len(lines))
        for link, kind in self.kind.items():
            place = self.grid.places.get(link.target.tile)
            if place is None:
                continue
            level = self.grid.level[place.tile.row]
            if link.source.beside == "below" and kind != "rise":
                own = self.grid.level[link.source.tile.row]
                need[own] = max(need[own], 14.0)
            if kind == "arc":
                need[level] = max(need[level], self.depth(link) + 4)
            elif kind == "rise" and not self.is_straight(link, place):
                need[level] = max(need[level], SHALLOW)
        return dict(need)

    def is_straight(self, link: Link, place: Place) -> bool:
        """Whether a link that rises does so without a bend."""
        one = len(self.grid.beside(place.tile, "below")) == 1
        return one if link.source.beside else len(place.ins) == 1

    def depth(self, link: Link) -> float:
        """How deep an arc goes."""
        grid = self.grid
        x = grid.riser_x(grid.exit(link), self.number[link])
        return min(SHALLOW + SLOPE * abs(self.channel(link) - x), DEEP)

    def channel(self, link: Link) -> float:
        """The x at which a link enters its target's tile from below."""
        place = self.grid.places[link.target.tile]
        return place.channel(place.port_of(link))

    # ways

    def path(self, link: Link) -> Path:
        """The whole way of a link."""
        way = {
            "inner": self.inner, "near": self.near, "wrap": self.wrap, "rise": self.rise,
            "stub": self.to_stub, "delay": self.to_delay, "bar": self.to_bar, "arc": self.arc,
            "far": self.far, "side": self.from_side,
        }[self.kind[link]]  # fmt: skip
        return way(link)

    def inner(self, link: Link) -> Path:
        """Within a tile."""
        place = self.grid.places[link.target.tile]
        return place.way("inner", place.boxes.index(link.source), place.boxes.index(link.target))

    def leg(self, link: Link) -> Path:
        """The last piece of a way, from a port to the box."""
        place = self.grid.places[link.target.tile]
        return place.way("in", place.port_of(link), place.boxes.index(link.target))

    def leave(self, link: Link) -> Path:
        """The first piece of a way, to the border of the tile; of a box beside a tile its own
        border."""
        grid, box = self.grid, link.source
        if box.beside == "below":  # up, over the other inputs
            top = self.rects[box].corners[3] + grid.outlines[box].tag_height
            x, y = self.rects[box].x, grid.strip(grid.places[box.tile]) - 4
            return straight((x, top), (x, y))
        if box.beside or box in grid.bars:
            left, _, right, _ = self.rects[box].corners
            return [(left if box.tile.row.reverse else right, self.rects[box].y)]
        place = grid.places[box.tile]
        path = place.way("out", link.state, place.boxes.index(box))
        return joined(path, [(grid.border(grid.side(box.tile, True)), path[-1][1])])

    def near(self, link: Link) -> Path:
        """Over the gutter."""
        grid, leg = self.grid, self.leg(link)
        border = grid.border(grid.side(link.target.tile, False)), leg[0][1]
        begin = self.leave(link)
        if link.source in grid.bars:
            x = grid.riser_x(grid.side(link.target.tile, False), self.entry[link])
            return joined(rounded(begin[-1], (x, begin[-1][1]), (x, border[1]), border), leg)
        return joined(begin, swing(begin[-1], border), leg)

    def wrap(self, link: Link) -> Path:
        """From the end of one line to the beginning of the next."""
        grid, leg, begin = self.grid, self.leg(link), self.leave(link)
        side = grid.side(link.target.tile, False)
        border = grid.border(side), leg[0][1]
        x, y = begin[-1]
        down = grid.riser_x(grid.exit(link), self.number[link])
        up = grid.riser_x(side, self.entry[link])
        low = self.between_lines(min(self.lines(link)), (link.source, link.state))
        turn = rounded((x, y), (down, y), (down, low), (up, low), (up, border[1]), border)
        return joined(begin, turn, leg)

    def between_lines(self, line: int, key: Any) -> float:
        """The y of a horizontal line under a line of steps."""
        return -self.grid.line_height * line - 6 - CAPTION - LINE * self.used[line, -1].get(key, 0)

    def rise(self, link: Link) -> Path:
        """Straight up into the tile above, or with one bend in the gap under it."""
        grid, leg = self.grid, self.leg(link)
        place = grid.places[link.target.tile]
        box, x, y = self.rects[link.source], self.channel(link), grid.strip(place)
        tags = grid.outlines[link.source].tag_height
        start = box.x, box.corners[3] + tags
        if abs(x - box.x) < box.width / 2 - 12 and not link.source.beside:
            start = x, start[1]
        low = y - (12 if link.source.beside else SHALLOW)
        return joined(
            _bend(start, (x, y), max(low, start[1])), straight((x, y), (x, leg[0][1])), leg
        )

    def arc(self, link: Link) -> Path:
        """By an arc under the band of the target."""
        grid, begin, leg = self.grid, self.leave(link), self.leg(link)
        place, x = grid.places[link.target.tile], self.channel(link)
        down = grid.riser_x(grid.exit(link), self.number[link])
        high, (begun, y) = grid.strip(place), begin[-1]
        from_bar = link.source in grid.bars
        if from_bar:
            begun, y = down, self.rects[link.source].corners[1]
        upwards = y < high - SHALLOW and not from_bar  # it comes from a lower band
        low = high - SHALLOW if upwards else high
        first = rounded((begun, y), (down, y), (down, low))
        if not from_bar:
            first = joined(begin, first)
        deep = self.depth(link) * 4 / 3
        if link.source.beside == "below" and not upwards:
            low = high = y
            first = joined(begin, straight((begun, y), (down, y)))
        bow = [(down, high), (down, high - deep), (x, high - deep), (x, high)]
        if upwards:
            bow = _bend((down, low), (x, high), low)
        return joined(first, bow, straight((x, high), (x, leg[0][1])), leg)

    def far(self, link: Link) -> Path:
        """Around the end of the lines into another line."""
        grid, begin, leg = self.grid, self.leave(link), self.leg(link)
        place, x = grid.places[link.target.tile], self.channel(link)
        down = grid.riser_x(grid.exit(link), self.number[link])
        low = self.between_lines(self.lines(link)[0], (link.source, link.state))
        edge = grid.edge + 10 + RISER * self.entry[link]
        under = grid.strip(place) - 6 - LINE * self.slot[link]
        y = begin[-1][1]
        corners = (down, y), (down, low), (edge, low), (edge, under), (x, under), (x, leg[0][1])
        return joined(begin, rounded(begin[-1], *corners), leg)

    def from_side(self, link: Link) -> Path:
        """From a bar at the right of all lines."""
        grid, leg = self.grid, self.leg(link)
        place, x = grid.places[link.target.tile], self.channel(link)
        under = grid.strip(place) - 6 - LINE * self.slot[link]
        left = self.rects[link.source].corners[0]
        return joined(rounded((left, under), (x, under), (x, leg[0][1])), leg)

    def to_stub(self, link: Link) -> Path:
        """To a loose end behind the tile."""
        begin, rect = self.leave(link), self.rects[link.target]
        left, _, right, _ = rect.corners
        x = right if link.target.tile.row.reverse else left
        return joined(begin, swing(begin[-1], (x, rect.y)))

    def to_delay(self, link: Link) -> Path:
        """Back under the tile into a delay before it."""
        grid, begin, rect = self.grid, self.leave(link), self.rects[link.target]
        side = -1 if link.target.tile.row.reverse else 1
        place = grid.places[link.target.tile]
        down = grid.riser_x(grid.exit(link), self.number[link])
        low = grid.strip(place) - 6 - LINE * self.slot[link]
        end = rect.x - side * rect.width / 2, rect.y
        beside = [self.rects[box] for box in grid.beside(link.target.tile, "before")]
        first = min(side * r.x - r.width / 2 for r in beside)
        back = side * (first - 12 - 5 * self.slot[link])
        x, y = begin[-1]
        return joined(
            begin, rounded((x, y), (down, y), (down, low), (back, low), (back, end[1]), end)
        )

    def to_bar(self, link: Link) -> Path:
        """Up into the bar over the steps, or to the one at the right of all lines."""
        grid, rect = self.grid, self.rects[link.target]
        left, bottom, _, _ = rect.corners
        if link.source in grid.bars:
            return self.bar_to_bar(link)
        if grid.rises(link):
            box, x = self.rects[link.source], self.bar_x(link)
            top = box.corners[3] + grid.outlines[link.source].tag_height
            return straight((x, top), (x, bottom))
        begin = self.leave(link)
        (x, y), up = begin[-1], grid.riser_x(grid.exit(link), self.number[link])
        if not grid.per_row:
            return joined(begin, rounded((x, y), (up, y), (up, bottom)))
        line = self.lines_of_bar(link)
        slot = self.used[line, -1][link.target]
        over = grid.ceiling - grid.line_height * line + 6 + LINE * slot
        return joined(begin, rounded((x, y), (up, y), (up, over), (left, over)))

    def bar_to_bar(self, link: Link) -> Path:
        """From one bar into another."""
        a, b = self.rects[link.source], self.rects[link.target]
        if self.grid.per_row:
            return straight((a.corners[2], b.y), (b.corners[0], b.y))
        x = min(a.corners[2], b.corners[2]) - 6
        return straight((x, a.corners[3]), (x, b.corners[1]))

    # bars

    def bar_ends(self, bar: Box) -> list[float]:
        """The x of all lines into a bar and out of it."""
        grid = self.grid
        into = [n for n in grid.into[bar.tile] if n.target is bar and n.source not in grid.bars]
        ends = [self.bar_x(link) for link in into]
        arcs = [link for link in grid.out_of[bar] if self.kind[link] == "arc"]
        return ends + [grid.riser_x(grid.exit(link), self.number[link]) for link in arcs]

    def bar_x(self, link: Link) -> float:
        """The x at which a link enters a bar."""
        grid = self.grid
        if grid.rises(link):
            beside = [n for n in grid.out_of[link.source] if n.target in grid.bars]
            away = beside.index(link) - (len(beside) - 1) / 2
            return self.rects[link.source].x + 2.4 * HOLE * away
        return grid.riser_x(grid.exit(link), self.number[link])

    def stack_bars(self) -> tuple[dict[Box, int], dict[Box, tuple[float, float]]]:
        """The height of each bar: the lowest where it lies over no other, and over all that enter
        it; and its span."""
        level: dict[Box, int] = {}
        spans: dict[Box, tuple[float, float]] = {}
        if self.grid.per_row:
            return {bar: k for k, bar in enumerate(self.grid.bars)}, spans
        for bar in self.grid.bars:
            ends = self.bar_ends(bar)
            width = look.text_width(self.grid.texts.labels[bar], 12)
            spans[bar] = min(min(ends), max(ends) - width) - 14, max(ends) + 14
        for bar, (left, right) in spans.items():
            before = [n.source for n in self.grid.into[bar.tile] if n.target is bar]
            lowest = max([level[b] + 1 for b in before if b in level], default=0)
            taken = {
                level[b] for b, (a, z) in spans.items() if b in level and a < right and left < z
            }
            level[bar] = next(n for n in range(lowest, lowest + len(taken) + 1) if n not in taken)
        return level, spans

    def bar_rect(self, bar: Box) -> Rect:
        """The place of a bar: over its steps, or upright at the right of all lines."""
        grid, top = self.grid, self.grid.ceiling
        if not grid.per_row:
            left, right = self.bar_span[bar]
            below = range(self.bar_level[bar])
            low = top + 14 + sum(BAR - look.BAR_HEIGHT + self.bar_height(n) for n in below)
            return Rect.between(left, low, right, low + self.bar_height(self.bar_level[bar]))
        widths = [
            max(
                [
                    look.BAR_HEIGHT,
                    *(look.text_width(w, 12) + 6 for w in grid.texts.labels[b].split()),
                ]
            )
            for b in grid.bars
        ]
        k = self.bar_level[bar]
        edge = grid.edge + 30 + RISER * len(self.used["edge"])
        left = edge + sum(widths[:k]) + 24 * k
        bottom = min(grid.strip(place) for place in grid.places.values())
        return Rect.between(left, bottom - 12, left + widths[k], top + 14 + 8 * k)

    def bar_height(self, level: int) -> float:
        """How high the bars of a level are: for as many lines as the longest of their texts."""
        labels = [self.grid.texts.labels[bar] for bar, n in self.bar_level.items() if n == level]
        return look.BAR_HEIGHT + 15 * max(label.count("\n") for label in labels)

    def bar_pieces(self, paths: dict[Link, Path]) -> dict[Box, list[Rect]]:
        """The pieces of each bar: it is open where lines to and from higher bars pass."""
        found: dict[Box, list[Rect]] = {}
        for bar in self.grid.bars:
            label, rect = self.grid.texts.labels[bar], self.rects[bar]
            ends = [
                path[0] if link.source in self.grid.bars else path[-1]
                for link, path in paths.items()
                if self.highest(link) > self.bar_level[bar]
                and bar not in (link.source, link.target)
            ]
            if self.grid.per_row:  # upright
                turned = Rect(rect.y, rect.x, rect.height, rect.width)
                needed = 14.0 * len(label.split()) + 10
                parts = pieces(turned, [y for _, y in ends], needed)
                found[bar] = [Rect(y, x, height, width) for x, y, width, height in parts]
            else:
                found[bar] = pieces(rect, [x for x, _ in ends], look.text_width(label, 12) + 10)
        return found

    def highest(self, link: Link) -> int:
        """The height of the highest bar at an end of a link; −1 if there is none."""
        return max(self.bar_level.get(link.source, -1), self.bar_level.get(link.target, -1))

    # the whole

    def layout(self) -> Layout:
        """Everything in its place."""
        grid = self.grid
        grid.put_bands(self.gaps())
        self.rects = grid.rects()
        self.bar_level, self.bar_span = self.stack_bars()
        for bar in grid.bars:
            self.rects[bar] = self.bar_rect(bar)
        paths = {link: self.path(link) for link in self.picture.links}
        lanes, captions = {}, {}
        for link, kind in self.kind.items():
            if kind == "inner":
                place = grid.places[link.target.tile]
                pair = place.boxes.index(link.source), place.boxes.index(link.target)
                lanes[link] = grid.spines[place.form].get(("inner", *pair), "")
            if kind != "inner" or link.mark:
                captions[link] = self.caption(link, paths[link])
        boxes = {box: rect for box, rect in self.rects.items() if box not in grid.bars}
        crossing = {link for link, kind in self.kind.items() if kind in ("near", "wrap")}
        return Layout(
            boxes, grid.frames(), grid.panels(), grid.scopes(), self.bar_pieces(paths), dict(self.tags()), paths,
            lanes,
            captions, crossing, len(grid.columns),
        )  # fmt: skip

    def tags(self) -> Iterable[tuple[Tag, Rect]]:
        """The places of tags, side by side on their boxes."""
        for box, rect in self.rects.items():
            outline = self.grid.outlines[box]
            x = rect.x - outline.tags / 2
            y = rect.corners[3] + look.TAG_HEIGHT / 2 + 0.5
            for tag in self.grid.tags_on(box):
                width = self.grid.texts.tag_widths[tag.parameter]
                yield tag, Rect(x + width / 2, y, width, look.TAG_HEIGHT)
                x += width + 2

    def caption(self, link: Link, path: Path) -> Point:
        """Where the text of a link stands: in the middle of its gutter; else on its longest
        level."""
        grid = self.grid
        if self.kind[link] == "wrap":  # one beside the other
            x, y = _level_middle(path)
            line = self.used[self.lines(link)[0], -1][link.source, link.state]
            return x + 110 * line, y + LINE * line
        if self.kind[link] != "near" or link.source in grid.bars:
            return _level_middle(path)
        entry = grid.side(link.target.tile, False)
        start = self.leave(link)[-1]
        far = start[0]
        if not link.source.beside:
            out = grid.exit(link)
            far = grid.border(out, RISER * len(grid.risers[out]))
        near = grid.border(entry, RISER * len(grid.risers[entry]))
        return (near + far) / 2, max(start[1], self.leg(link)[0][1]) + 8


def pieces(rect: Rect, holes: Iterable[float], needed: float) -> list[Rect]:
    """The pieces of a bar that is open at some x; the first of them has room for its text."""
    left, bottom, right, top = rect.corners
    cuts = sorted({hole for hole in holes if left - HOLE < hole < right + HOLE})
    lefts, rights = [left, *(x + HOLE for x in cuts)], [*(x - HOLE for x in cuts), right]
    spans = [(a, b) for a, b in zip(lefts, rights, strict=True) if b - a > 2 * HOLE]
    widest = max(spans, key=lambda span: span[1] - span[0], default=(left, right))
    if widest[1] - widest[0] < needed:
        widest = spans[0][1] - needed, spans[0][1]
        spans = [widest, *spans[1:]]
    order = [widest, *(span for span in spans if span != widest)]
    return [Rect.between(a, bottom, b, top) for a, b in order]


def _bend(start: Point, end: Point, low: float) -> Path:
    """Up to a height, and from there with one bend to a point above."""
    if abs(start[0] - end[0]) < 0.01:
        return straight(start, end)
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
