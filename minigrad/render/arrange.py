"""Where everything of a picture stands: its `Layout`.

Columns run from left to right, bands of rows from bottom to top, and lines, if steps are wrapped,
from top to bottom. What gathers values of several time steps is a bar over them.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from minigrad.cached import cached_property
from minigrad.render import look, read
from minigrad.render.picture import Box, Link, Picture, Row, Tag, Tile
from minigrad.render.splines import Outline, Path, Point
from minigrad.render.texts import Texts
from minigrad.render.tiles import Form, Frame, Pattern, Port, lay_out, spine_of

GUTTER, HEADER, ELLIPSIS, BAR, INPUT, BESIDE = 38.0, 20.0, 110.0, 26.0, 38.0, 26.0
RISER = 5.0  # between the vertical lines of a gutter

Side = tuple[int, bool]  # a column, and whether it is its right side


class Rect(NamedTuple):
    """A place on the page: the centre, width and height."""

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def between(cls, left: float, bottom: float, right: float, top: float) -> Rect:
        """From the corners."""
        return cls((left + right) / 2, (bottom + top) / 2, right - left, top - bottom)

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top."""
        half, tall = self.width / 2, self.height / 2
        return self.x - half, self.y - tall, self.x + half, self.y + tall


@dataclass(frozen=True)
class Layout:
    """Where everything stands, in points; y grows upwards.

    boxes, frames: places of boxes, and of the frames of tiles.
    panels: the frames around all inner steps of one step of an outer axis, each with one of their
    tiles.
    scopes: the frames of scopes without time, the outer ones first: title, depth and place.
    bars: the boxes that are bars, with the places of their pieces.  tags: places of the tags on
    boxes.
    links: the splines of links, from source to target.  lanes: of a link within a tile, the state
    on whose way it lies.
    captions: where the text of a link stands.  gutters: the links that only cross a gutter, or the
    end of a line.
    """

    boxes: dict[Box, Rect]
    frames: dict[Tile, Rect]
    panels: list[tuple[Tile, Rect]]
    scopes: list[tuple[str, int, Rect]]
    bars: dict[Box, list[Rect]]
    tags: dict[Tag, Rect]
    links: dict[Link, Path]
    lanes: dict[Link, str]
    captions: dict[Link, Point]
    gutters: set[Link]
    columns: int


@dataclass(eq=False, slots=True)
class Place:
    """A tile with its form, and where its pattern lies: x, y is the lower left corner."""

    tile: Tile
    boxes: list[Box]
    column: int
    ins: dict[Port, list[Link]]
    form: Form
    pattern: Pattern = None  # type: ignore[assignment]  # all patterns are laid out together
    line: int = 0
    x: float = 0.0
    y: float = 0.0

    def point(self, p: Point) -> Point:
        """A point of the pattern on the page; where time runs to the left it is mirrored."""
        x = self.pattern.width - p[0] if self.tile.row.reverse else p[0]
        return self.x + x, self.y + p[1]

    def way(self, kind: str, a: Any, b: int) -> Path:
        """The path of a link of the pattern on the page."""
        return [self.point(p) for p in self.pattern.paths[kind, a, b]]

    def port_of(self, link: Link) -> Port:
        """The port by which a link enters."""
        return next(port for port, links in self.ins.items() if link in links)

    def port_y(self, port: Port) -> float:
        """The height of an in-port."""
        return self.y + self.pattern.paths["in", port, port.boxes[0]][0][1]

    def channel(self, port: Port) -> float:
        """The x of the vertical by which an in-port is reached from below."""
        return self.point((self.pattern.channels[port], 0.0))[0]


@dataclass(eq=False)
class Grid:
    """The places of tiles in columns, bands and lines; what `routes` needs to draw links between
    them."""

    picture: Picture
    texts: Texts
    per_row: int | None
    places: dict[Tile, Place] = field(default_factory=dict)
    lefts: list[float] = field(default_factory=list)
    rights: list[float] = field(default_factory=list)
    strips: dict[int, float] = field(default_factory=dict)  # the bottom of each band
    tops: dict[int, float] = field(default_factory=dict)
    input_y: dict[int, float] = field(default_factory=dict)
    line_height: float = 0.0

    def __post_init__(self) -> None:
        self.into = defaultdict[Tile, list[Link]](list)
        self.out_of = defaultdict[Box, list[Link]](list)
        for link in self.picture.links:
            self.into[link.target.tile].append(link)
            self.out_of[link.source].append(link)
        self.bars = {box: links for box in self.picture.boxes if (links := self.gathered(box))}
        inside = {tile: self.inside(tile) for tile in self.picture.tiles}
        inside = {tile: boxes for tile, boxes in inside.items() if boxes}
        self.columns = sorted({tile.column for tile in inside})
        self.column = {key: k for k, key in enumerate(self.columns)}
        self.level = _levels(inside)
        self.cell = self.cell_size()
        self.outlines = {box: self.outline(box) for box in self.picture.boxes}
        for tile, boxes in inside.items():
            self.places[tile] = self.plan(tile, boxes)
        forms = dict.fromkeys(place.form for place in self.places.values())
        patterns = lay_out(forms, self.picture.memories)
        for place in self.places.values():
            place.pattern = patterns[place.form]
        self.spines = {form: spine_of(form) for form in patterns}

    # what stands where

    def inside(self, tile: Tile) -> list[Box]:
        """The boxes of a tile that stand neither beside it nor over it."""
        return [b for b in self.picture.tiles[tile] if not b.beside and b not in self.bars]

    def beside(self, tile: Tile, where: str) -> list[Box]:
        """The boxes that stand "before", "after" or "below" a tile."""
        return [box for box in self.picture.tiles[tile] if box.beside == where]

    def gathered(self, box: Box) -> list[Link]:
        """What a box outside of time gathers from several steps, over which it is drawn as a
        bar."""
        if not self.picture.graph.axes or box.tile.row.timed or box.beside:
            return []
        into = [link for link in self.into[box.tile] if link.target is box]
        links = [link for link in into if link.source.tile.row.timed]
        return links if len({link.source.tile for link in links}) > 1 else []

    def break_lines(self, per_row: int | None) -> None:
        """Find the line that each column stands in: a new one after every so many steps."""
        self.per_row, self.lefts, self.rights = per_row, [], []
        self.risers = defaultdict[Side, dict[Any, int]](dict)
        steps, lines = 0, list[int]()
        for column in self.columns:
            timed = column[0] == int(column[0]) or not self.picture.graph.axes
            before = steps if timed else max(0, steps - 1)
            lines.append(before // (per_row or len(self.columns)))
            steps += timed
        self.lines = lines
        for place in self.places.values():
            place.line = lines[place.column]

    def cell_size(self) -> tuple[float, float]:
        """All cells have one size."""
        sizes = [look.size("cell", self.texts.labels[box]) for box in self.texts.cells]
        return max((w for w, _ in sizes), default=0.0), max((h for _, h in sizes), default=0.0)

    def outline(self, box: Box) -> Outline:
        """The size of a box, and of the tags on it."""
        widths = [self.texts.tag_widths[tag.parameter] + 2 for tag in self.tags_on(box)]
        size = self.cell if box.kind == "cell" else look.size(box.kind, self.texts.labels[box])
        is_round = look.LOOKS[box.kind].shape == "circle"
        height = look.TAG_HEIGHT if widths else 0.0
        return Outline(*size, is_round, max(sum(widths) - 2, 0.0), height)

    def tags_on(self, box: Box) -> tuple[Tag, ...]:
        """The tags on a box; a cell names its parameters itself."""
        return () if box.kind == "cell" else box.tags

    @property
    def timed(self) -> bool:
        """Whether there are time steps at all."""
        return bool(self.picture.graph.axes)

    @property
    def is_whole(self) -> bool:
        """Whether dot lays out the whole picture, with a frame around each scope."""
        one = len(self.columns) == 1 and not self.timed
        return one and self.picture.view != "cells"

    # ports

    def plan(self, tile: Tile, boxes: list[Box]) -> Place:
        """The ports of a tile, and so its form."""
        local = {box: k for k, box in enumerate(boxes)}
        inner = [n for n in self.into[tile] if n.source in local and n.target in local]
        ins = self.in_ports(tile, local)
        leaving = [(n.source, n.state) for box in boxes for n in self.out_of[box]
                   if n.target not in local]  # fmt: skip
        made = [(box, lane) for box in boxes for lane in box.lanes]
        outs = dict.fromkeys([*made, *leaving])
        form = Form(
            tuple(self.outlines[box] for box in boxes),
            tuple(dict.fromkeys((local[n.source], local[n.target]) for n in inner)),
            tuple(ins),
            tuple((local[box], lane) for box, lane in outs),
            self.is_column(boxes),
            scopes_of(boxes) if self.is_whole else (),
        )
        column = self.column[tile.column]
        return Place(tile, boxes, column, ins, form)

    def is_column(self, boxes: list[Box]) -> bool:
        """Whether the boxes of a tile stand one above another, as in a textbook."""
        if self.picture.view != "cells" or not self.timed:
            return False
        return len(boxes) == 1 or any(box.kind in look.TEXTBOOK for box in boxes)

    def in_ports(self, tile: Tile, local: dict[Box, int]) -> dict[Port, list[Link]]:
        """The links into a tile by the ports that they share: one for each value and state."""
        groups = defaultdict[Any, list[Link]](list)
        for link in self.into[tile]:
            if link.source not in local and link.target in local:
                groups[link.source, link.lane, self.is_near(link)].append(link)
        order = sorted(groups, key=lambda key: (not key[2], key[1] not in self.picture.memories))
        ins: dict[Port, list[Link]] = {}
        for source, lane, left in order:
            links = groups[source, lane, left]
            skips = source.kind == "delay" and source.label[1:] not in ("−1", "+1")
            boxes = tuple(dict.fromkeys(local[link.target] for link in links))
            port = Port("" if skips else lane, boxes, left)
            like = sum(port == other._replace(again=0) for other in ins)
            ins[port._replace(again=like)] = links
        return ins

    def is_near(self, link: Link) -> bool:
        """Whether a link only crosses the gutter beside its target's tile."""
        source, target = link.source, link.target
        if source.beside:
            return source.beside == "before" and source.tile == target.tile
        (a, right), (b, left) = self.exit(link), self.side(target.tile, False)
        adjacent = right is not left and b - a == (1 if right else -1)
        free = not self.beside(target.tile, "before") and not self.beside(source.tile, "after")
        if source in self.bars and (self.per_row or target.tile.row.timed):
            return False
        return adjacent and free

    def side(self, tile: Tile, out: bool) -> Side:
        """The column of a tile, and whether links leave it (or enter it) at its right."""
        return self.column[tile.column], tile.row.reverse is not out

    def exit(self, link: Link) -> Side:
        """The side of a column where a link begins."""
        source = link.source
        if source in self.bars:
            return max(self.column[n.source.tile.column] for n in self.bars[source]), True
        if source.beside == "below":
            return self.side(source.tile, True)[0], not link.target.tile.row.reverse
        return self.side(source.tile, not source.beside)

    def rises(self, link: Link) -> bool:
        """Whether a link goes straight up: from an input, or from the top of a column into the tile
        or bar above."""
        source, target = link.source, link.target
        if source.beside:
            return source.beside == "below" and source.tile == target.tile
        place = self.places.get(source.tile)
        if place is None or not place.form.column or source is not place.boxes[-1]:
            return False
        if target in self.bars:
            return not self.per_row and self.is_top(place)
        above = self.places.get(target.tile)
        if above is None or above.column != place.column or above.line != place.line:
            return False
        next_up = self.level[target.tile.row] == self.level[source.tile.row] + 1
        in_grid = bool(source.tile.row.step and link.lane)
        return next_up and (in_grid or not self.beside(target.tile, "below"))

    def is_top(self, place: Place) -> bool:
        """Whether nothing stands over a tile in its column."""
        return self.level[place.tile.row] == self.highest[place.column]

    @cached_property
    def highest(self) -> dict[int, int]:
        """The highest level in each column."""
        found = defaultdict[int, int](int)
        for place in self.places.values():
            found[place.column] = max(found[place.column], self.level[place.tile.row])
        return found

    # columns

    def border(self, side: Side, away: float = 0.0) -> float:
        """The x of a side of a column, or so far away from it in the gutter."""
        column, right = side
        return self.rights[column] + away if right else self.lefts[column] - away

    def riser(self, side: Side, key: Any) -> int:
        """The number of a vertical line beside a column; what flows from one value shares one."""
        lines = self.risers[side]
        return lines.setdefault(key, len(lines))

    def riser_x(self, side: Side, number: int) -> float:
        """The x of a vertical line beside a column."""
        return self.border(side, 7 + RISER * number)

    def put_columns(self) -> None:
        """The x of each column, with gutters that hold verticals, boxes beside tiles and the dots
        of hidden steps."""
        count, widths, room = len(self.columns), self.column_widths(), self.room_between()
        lines = [len(self.risers[k - 1, True]) + len(self.risers[k, False]) for k in range(count)]
        gaps = [max(GUTTER if k else 0.0, room[k]) + RISER * lines[k] for k in range(count)]
        starts = {k for k in range(count) if k == 0 or self.lines[k] > self.lines[k - 1]}
        margin, x = max(gaps[k] for k in starts), 0.0
        for k, width in enumerate(widths):
            self.lefts.append(margin if k in starts else x + gaps[k])
            x = self.lefts[k] + width
            self.rights.append(x)
        ends = [right + gap for right, gap in zip(self.rights, room[1:], strict=True)]
        self.edge = max(ends) + RISER * len(self.risers[count - 1, True])
        for place in self.places.values():
            slack = self.rights[place.column] - self.lefts[place.column] - place.pattern.width
            if place.form.column:
                slack /= 2
            elif not place.tile.row.reverse:
                slack = 0.0
            place.x = self.lefts[place.column] + slack

    def column_widths(self) -> list[float]:
        """How wide each column is: for its patterns, its headings and its inputs."""
        widths, headings = [0.0] * len(self.columns), self.texts.heading_widths()
        for place in self.places.values():
            below = self.beside(place.tile, "below")
            inputs = sum(self.outlines[box].width + 5 for box in below)
            if inputs and place.form.column:
                inputs = 2 * (inputs - 14)
            needed = place.pattern.width, headings.get(place.tile, 0.0), inputs
            widths[place.column] = max(widths[place.column], *needed)
        return widths

    def room_between(self) -> list[float]:
        """How wide the gutters are: for what enters from both sides, and for loose ends."""
        count = len(self.columns) + 1
        before, after = {True: [0.0] * count, False: [0.0] * count}, [0.0] * count
        for place in self.places.values():
            tile, k = place.tile, place.column
            entry, leaving = (k + 1, k) if tile.row.reverse else (k, k + 1)
            here = before[tile.row.reverse]
            here[entry] = max(here[entry], self.room_before(place))
            stubs = [self.outlines[box].width + 16 for box in self.beside(tile, "after")]
            after[leaving] = max([after[leaving], *stubs])
        return [sum(parts) for parts in zip(*before.values(), after, strict=True)]

    def room_before(self, place: Place) -> float:
        """How wide the gutter before a tile has to be."""
        boxes = self.beside(place.tile, "before")
        loops = sum(box.kind == "delay" for box in boxes)
        marks = self.marks_before(place)
        free = BESIDE + marks + (25 + 5 * loops if loops else 0)
        hidden = any(link.hidden for links in place.ins.values() for link in links)
        texts = [
            self.texts.crossing(link)
            for port, (link, *_) in place.ins.items()
            if port.left and port.lane and not link.source.beside
        ]
        widths = [look.text_width(text, look.SMALLEST) + 12 for text in texts]
        widths += [self.outlines[box].width + free for box in boxes]
        return max([ELLIPSIS if hidden else 0.0, marks + 16, *widths])

    def marks_before(self, place: Place) -> float:
        """How much room the texts need that stand in front of a tile: marks, and the states of
        delays."""
        texts = [
            link.mark or self.texts.crossing(link)
            for links in place.ins.values()
            for link in links
            if link.mark or link.source.kind == "delay"
        ]
        return max((look.text_width(text, 11) for text in texts), default=0.0)

    # bands

    def put_bands(self, gaps: dict[int, float]) -> None:
        """The y of each band; under it there is room for inputs, and a gap for links from
        elsewhere."""
        bands = defaultdict[int, dict[Row, list[Place]]](dict)
        for place in sorted(self.places.values(), key=lambda place: place.column):
            bands[self.level[place.tile.row]].setdefault(place.tile.row, []).append(place)
        header, y = HEADER if self.texts.framed else 0.0, 0.0
        for level, rows in sorted(bands.items()):
            places = [place for row in rows.values() for place in row]
            inputs = [box for p in places for box in self.beside(p.tile, "below")]
            tallest = max((self.outlines[box].height + 10 for box in inputs), default=0.0)
            self.input_y[level] = y + tallest / 2
            y += tallest + gaps.get(level, 0.0) + 12.0
            for row, members in rows.items():
                self.stand(members[::-1] if row.reverse else members, y)
            self.strips[level] = y
            self.tops[level] = max(p.y + p.pattern.height for p in places) + header
            y = self.tops[level] + 12.0
        self.line_height = y + 22 + gaps.get(-1, 0.0)
        for place in self.places.values():
            place.y -= self.line_height * place.line
        for place in self.places.values():
            if not place.tile.row.timed and (self.picture.graph.axes or not place.form.column):
                self.face_source(place, header)

    def stand(self, members: list[Place], bottom: float) -> None:
        """The places of one row, on one bottom."""
        self.straighten(members)
        low = min(place.y for place in members)
        for place in members:
            for box, y in self.heights_beside(place).items():
                low = min(low, y - self.outlines[box].height / 2)
        for place in members:
            place.y += bottom - low

    def straighten(self, places: Iterable[Place]) -> None:
        """Shift each pattern up or down so that states enter where they left the one before."""
        shift: dict[Form, float] = {}
        heights: dict[str, float] = {}
        for place in places:
            if place.form not in shift:
                shift[place.form] = self.shift_of(place, heights)
            place.y = shift[place.form]
            for box, lane in place.form.outs:
                if lane:
                    heights[lane] = place.way("out", lane, box)[-1][1]

    def shift_of(self, place: Place, heights: dict[str, float]) -> float:
        """How far up a pattern stands; cells stand at one height."""
        if place.form.column:
            cells = [k for k, box in enumerate(place.boxes) if box.kind == "cell"]
            return -place.pattern.centers[cells[0] if cells else 0][1]
        ports = [port for port in place.ins if port.left and port.lane in heights]
        gaps = [heights[port.lane] - place.port_y(port) for port in ports]
        return sum(gaps) / len(gaps) if gaps else 0.0

    def face_source(self, place: Place, header: float) -> None:
        """Move a tile outside of time to the height of what enters it."""
        for port, (link, *_) in place.ins.items():
            source = self.places.get(link.source.tile)
            if port.left and source is not None and link.source in source.boxes:
                path = source.way("out", link.state, source.boxes.index(link.source))
                y = place.y + path[-1][1] - place.port_y(port)
                highest = self.top(place) - header - place.pattern.height
                place.y = max(self.strip(place), min(highest, y))
                return

    def strip(self, place: Place) -> float:
        """The bottom of a tile's frame."""
        return self.strips[self.level[place.tile.row]] - self.line_height * place.line

    def top(self, place: Place) -> float:
        """The top of a tile's frame."""
        return self.tops[self.level[place.tile.row]] - self.line_height * place.line

    @cached_property
    def ceiling(self) -> float:
        """Above all bands of the first line; known once the bands have their places."""
        return max(self.tops.values()) + (HEADER if self.outer_steps() else 0.0)

    def outer_steps(self) -> dict[tuple[Any, ...], list[Place]]:
        """The places of each step of an axis with an inner loop, by line."""
        found = defaultdict[tuple[Any, ...], list[Place]](list)
        for place in self.places.values():
            if place.tile.row.timed:
                found[place.line, place.tile.column[:2]].append(place)
        return {key: places for key, places in found.items() if _is_wide(places)}

    def panels(self) -> list[tuple[Tile, Rect]]:
        """The frames around the inner steps of each outer step."""
        found = []
        for places in self.outer_steps().values():
            left = min(self.lefts[p.column] for p in places) - 9
            right = max(self.rights[p.column] for p in places) + 9
            bottom = min(map(self.strip, places)) - 9
            top = max(map(self.top, places)) + HEADER
            found.append((places[0].tile, Rect.between(left, bottom, right, top)))
        return found

    # boxes

    def rects(self) -> dict[Box, Rect]:
        """The places of all boxes but bars."""
        found: dict[Box, Rect] = {}
        for place in self.places.values():
            for box, center in zip(place.boxes, place.pattern.centers, strict=True):
                found[box] = Rect(*place.point(center), *self.outlines[box][:2])
            for box, point in (*self.put_beside(place), *self.put_below(place)):
                found[box] = Rect(*point, *self.outlines[box][:2])
        return found

    def put_beside(self, place: Place) -> Iterable[tuple[Box, Point]]:
        """Initial states, delays and loose ends, at the heights of their ports."""
        side = -1 if place.tile.row.reverse else 1
        entry, leaving = self.side(place.tile, False), self.side(place.tile, True)
        edge = self.border(entry, 14 + RISER * len(self.risers[entry]) + self.marks_before(place))
        far = self.border(leaving, 12 + RISER * len(self.risers[leaving]))
        for box, y in self.heights_beside(place).items():
            half = self.outlines[box].width / 2
            x = edge - side * half if box.beside == "before" else far + side * half
            yield box, (x, y)

    def heights_beside(self, place: Place) -> dict[Box, float]:
        """The heights of the boxes beside a tile: those of their ports, but one below another."""
        ports = {link.source: port for port, links in reversed(place.ins.items()) for link in links}
        heights: dict[Box, float] = {}
        for where in ("before", "after"):
            found: dict[Box, float] = {}
            for box in self.beside(place.tile, where):
                found[box] = self.port_height(place, box, ports)
            lowest = float("inf")
            for box in sorted(found, key=found.__getitem__, reverse=True):
                height = self.outlines[box].height
                heights[box] = min(found[box], lowest - height / 2 - 3)
                lowest = heights[box] - height / 2
        return heights

    def port_height(self, place: Place, box: Box, ports: dict[Box, Port]) -> float:
        """The height at which a link enters a tile from a box before it, or leaves it for one
        behind it."""
        if box in ports:
            return place.port_y(ports[box])
        for link in self.into[place.tile]:
            if link.target is box and link.source in place.boxes:
                return place.way("out", link.state, place.boxes.index(link.source))[-1][1]
        return place.y

    def put_below(self, place: Place) -> Iterable[tuple[Box, Point]]:
        """Inputs under their tile: one alone stands under its channel, several side by side."""
        y = self.input_y[self.level[place.tile.row]] - self.line_height * place.line
        channels: dict[Box, float] = {}
        for port, links in place.ins.items():
            for link in links:
                if link.source.beside == "below" and not port.left:
                    channels.setdefault(link.source, place.channel(port))
        boxes = sorted(self.beside(place.tile, "below"), key=lambda b: channels.get(b, place.x))
        x, limit = self.lefts[place.column] - 8, self.rights[place.column]
        if boxes and place.form.column:  # at its left a tap comes up into the cell
            x = place.point(place.pattern.centers[0])[0] - 14
            limit = min([limit, *self.rising(place)])
            if limit < self.rights[place.column]:
                width = self.outlines[boxes[0]].width
                x = min(x, limit - width, channels.get(boxes[0], limit) - width / 2)
        at: dict[Box, float] = {}
        for box in boxes:
            half = self.outlines[box].width / 2
            at[box] = max(x + half, channels.get(box, x))
            x = at[box] + half + 5
        for box in reversed(boxes):
            half = self.outlines[box].width / 2
            at[box] = min(at[box], limit - half)
            limit = at[box] - half - 5
        return [(box, (at[box], y)) for box in boxes]

    def scopes(self) -> list[tuple[str, int, Rect]]:
        """The frames of scopes, with their titles and how many are around them."""
        found = []
        for place in self.places.values():
            depth: list[int] = []
            for frame, corners in zip(place.form.scopes, place.pattern.scopes, strict=False):
                depth.append(0 if frame.around is None else depth[frame.around] + 1)
                (left, bottom), (right, top) = map(place.point, corners)
                found.append((frame.title, depth[-1], Rect.between(left, bottom, right, top)))
        return found

    def rising(self, place: Place) -> Iterable[float]:
        """The x up to which inputs may stand where states rise into a tile at their right."""
        for port, (link, *_) in place.ins.items():
            if self.rises(link) and not link.source.beside:
                yield place.channel(port) - 5

    def frames(self) -> dict[Tile, Rect]:
        """The frames of all tiles."""
        found = {}
        for tile, place in self.places.items():
            bottom, top = self.strip(place), self.top(place)
            if not tile.row.timed:
                bottom, top = place.y, place.y + place.pattern.height + HEADER
            left, right = self.lefts[place.column], self.rights[place.column]
            found[tile] = Rect.between(left, bottom, right, top)
        return found


def scopes_of(boxes: Sequence[Box]) -> tuple[Frame, ...]:
    """Frames around the boxes of a tile, one for each call of a module or scope."""
    number: dict[Any, int] = {}
    around: list[int | None] = []
    members: list[list[int]] = []
    for k, box in enumerate(boxes):
        parent = None
        for scope in _scopes_around(box):
            if scope not in number:
                number[scope] = len(number)
                around.append(parent)
                members.append([])
            parent = number[scope]
        if parent is not None:
            members[parent].append(k)
    return tuple(
        Frame(look.shorten(scope.name), tuple(members[k]), around[k]) for scope, k in number.items()
    )


def _scopes_around(box: Box) -> list[Any]:
    """The scopes that all of a box was made in, from the outermost in; without that which it
    stands for."""
    chains = [read.scopes_of(node) for node in box.nodes if node.op is not None]
    together = list(itertools.takewhile(lambda pair: len({*pair}) == 1, zip(*chains)))
    found = [scopes[0] for scopes in together]
    return found[:-1] if box.kind == "cell" else found


def _is_wide(places: list[Place]) -> bool:
    """Whether places stand in several columns."""
    return len({place.column for place in places}) > 1


def _levels(tiles: Iterable[Tile]) -> dict[Row, int]:
    """The levels of the rows that are drawn; none stays empty."""
    rows = list(dict.fromkeys(tile.row for tile in tiles))
    order = sorted({row.level for row in rows})
    return {row: order.index(row.level) for row in rows}
