"""Where everything of a picture stands: its `Layout`.

Columns run from left to right, bands of rows from bottom to top.  What stands before, after or below
a tile has a column or a band of its own.  What gathers values of several time steps is a bar over
them.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from minigrad.cached import cached_property
from minigrad.render import look, nodes
from minigrad.render.picture import Box, Link, Picture, Tag, Tile
from minigrad.render.splines import Outline, Path, Point, is_crowded
from minigrad.render.texts import Texts
from minigrad.render.tiles import Form, Frame, Pattern, Port, lay_out, spine_of

GUTTER, NARROW = 38.0, 22.0  # between two tiles, and beside what stands before or after one
HEADER, ELLIPSIS, SPACE = 20.0, 110.0, 12.0
LANE_GAP = 17.0  # between states that pass through a cell, whose names stand between them
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

    @property
    def diagonal(self) -> Path:
        """The lower left and the upper right corner."""
        left, bottom, right, top = self.corners
        return [(left, bottom), (right, top)]


class Line(NamedTuple):
    """The part of a picture that becomes one line of steps.

    begin: where its first tile begins; these stand under each other.
    """

    left: float
    right: float
    begin: float

    def part(self, left: float, right: float) -> tuple[float, float]:
        """What of a span lies in the line."""
        return max(left, self.left), min(right, self.right)


@dataclass(frozen=True)
class Layout:
    """Where everything stands, in points; y grows upwards.

    boxes, frames: places of boxes, and of the frames of tiles.
    panels: the frames around all inner steps of one step of an outer axis, each with one of their
    tiles.
    scopes: the frames of scopes without time, the outer ones first: title, depth and place.
    bars: the boxes that are bars, with the places of their pieces, line by line.  tags: places of the tags on
    boxes.
    links: the splines of links, from source to target.  lanes: of a link within a tile, the state
    on whose way it lies.
    captions: where the text of a link stands.  gutters: the links that only cross a gutter.
    lines: into which it is to be wrapped.  height: of one line.
    """

    boxes: dict[Box, Rect]
    frames: dict[Tile, Rect]
    panels: list[tuple[Tile, Rect]]
    scopes: list[tuple[str, int, Rect]]
    bars: dict[Box, list[list[Rect]]]
    tags: dict[Tag, Rect]
    links: dict[Link, Path]
    lanes: dict[Link, str]
    captions: dict[Link, Point]
    gutters: set[Link]
    columns: int
    lines: list[Line]
    height: float

    @cached_property
    def ending(self) -> dict[Box, list[Link]]:
        """The links that end at each box."""
        found = defaultdict[Box, list[Link]](list)
        for link in self.links:
            found[link.target].append(link)
        return found

    def sign_is_right(self, link: Link) -> bool:
        """Whether the sign of a link stands on the right of its arrowhead, since another line ends
        on its left."""
        if not link.sign:
            return False
        others = [self.links[other] for other in self.ending[link.target] if other is not link]
        return is_crowded(self.links[link], others)


@dataclass(eq=False, slots=True)
class Place:
    """Boxes that stand together: those of a tile in a pattern, or those before, after or below it.

    is_column: whether its boxes stand one above another, as in a textbook.
    port: where each link enters it.  x, y: the lower left corner of the pattern.
    """

    tile: Tile
    beside: str
    boxes: list[Box]
    column: int
    level: float
    is_column: bool
    port: dict[Link, Port] = field(default_factory=dict)
    form: Form = None  # type: ignore[assignment]  # only what is in a tile has a form
    pattern: Pattern = None  # type: ignore[assignment]  # all patterns are laid out together
    x: float = 0.0
    y: float = 0.0

    def moved(self, points: Path) -> Path:
        """Points of the pattern on the page; where time runs to the left it is mirrored."""
        if self.tile.row.reverse:
            right = self.x + self.pattern.width
            return [(right - x, y + self.y) for x, y in points]
        return [(x + self.x, y + self.y) for x, y in points]

    def way(self, kind: str, a: Any, b: int) -> Path:
        """The path of a link of the pattern on the page."""
        return self.moved(self.pattern.paths[kind, a, b])

    def entering(self, link: Link) -> Path:
        """The path of a link from its port to its box."""
        return self.way("in", self.port[link], self.boxes.index(link.target))

    def leaving(self, link: Link) -> Path:
        """The path of a link from its box to the border of the pattern."""
        return self.way("out", link.state, self.boxes.index(link.source))

    @property
    def centers(self) -> list[Point]:
        """Where its boxes stand."""
        return self.moved([*self.pattern.centers])

    def port_y(self, port: Port) -> float:
        """The height of an in-port."""
        return self.y + self.pattern.paths["in", port, port.boxes[0]][0][1]

    def channel(self, port: Port) -> float:
        """The x of the vertical by which an in-port is reached from below."""
        return self.moved([(self.pattern.channels[port], 0.0)])[0][0]


class Grid:
    """The places of a picture in columns and bands."""

    def __init__(self, picture: Picture, texts: Texts) -> None:
        self.picture, self.texts = picture, texts
        self.into = defaultdict[Tile, list[Link]](list)
        self.out_of = defaultdict[Box, list[Link]](list)
        for link in picture.links:
            self.into[link.target.tile].append(link)
            self.out_of[link.source].append(link)
        self.timed = bool(picture.graph.axes)
        self.bars = {box: links for box in picture.boxes if (links := self.gathered(box))}
        sizes = [look.size("cell", texts.labels[box]) for box in texts.cells]
        states = max((len(box.lanes) for box in texts.cells), default=0)
        sizes.append((0.0, LANE_GAP * 2 * (states - 1) if states > 2 else 0.0))
        self.cell = max(width for width, _ in sizes), max(height for _, height in sizes)
        self.outlines = {box: self.outline(box) for box in picture.boxes}
        self.places = self.make_places()
        self.mains = [place for place in self.places.values() if not place.beside]
        self.place_of = {box: place for place in self.places.values() for box in place.boxes}
        self.exits: dict[Box, Side] = {}  # a bar is left at its last step
        for bar, links in self.bars.items():
            self.exits[bar] = max(self.exit(link)[0] for link in links), True
        self.risers = defaultdict[Side, dict[Any, int]](dict)
        self.levels = defaultdict[int, list[float]](list)
        for place in self.places.values():
            self.levels[place.column].append(place.level)
        self.kind = {link: self.kind_of(link) for link in picture.links}
        for place in self.mains:
            place.form = self.form(place)
        patterns = lay_out(dict.fromkeys(place.form for place in self.mains), self.picture.memories)
        for place in self.mains:
            place.pattern = patterns[place.form]
        self.spines = {form: spine_of(form) for form in patterns}

    # what stands where

    def gathered(self, box: Box) -> list[Link]:
        """What a box outside of time gathers from several steps, over which it is drawn as a
        bar."""
        if not self.timed or box.tile.row.timed or box.beside:
            return []
        into = [link for link in self.into[box.tile] if link.target is box]
        links = [link for link in into if link.source.tile.row.timed]
        return links if len({link.source.tile for link in links}) > 1 else []

    def make_places(self) -> dict[tuple[Tile, str], Place]:
        """All places, with the numbers of their columns and bands."""
        members = defaultdict[tuple[Tile, str], list[Box]](list)
        for box in self.picture.boxes:
            if box not in self.bars:
                members[box.tile, box.beside].append(box)
        order = sorted({_column(*key) for key in members})
        self.count = sum(not away for _, away in order)
        self.columns = {column: k for k, column in enumerate(order)}
        rows = sorted({tile.row.level for tile, _ in members})
        places = {}
        for (tile, beside), boxes in members.items():
            column = self.columns[_column(tile, beside)]
            level = rows.index(tile.row.level) - (0.5 if beside == "below" else 0.0)
            textbook = len(boxes) == 1 or any(box.kind in look.TEXTBOOK for box in boxes)
            is_column = not beside and textbook and self.timed and self.picture.view == "cells"
            places[tile, beside] = Place(tile, beside, boxes, column, level, is_column)
        return places

    def outline(self, box: Box) -> Outline:
        """The size of a box, and of the tags on it."""
        widths = [self.texts.tag_widths[tag.parameter] + 2 for tag in tags_on(box)]
        size = self.cell if box.kind == "cell" else look.size(box.kind, self.texts.labels[box])
        is_round = look.LOOKS[box.kind].shape == "circle"
        height = look.TAG_HEIGHT if widths else 0.0
        return Outline(*size, is_round, max(sum(widths) - 2, 0.0), height)

    @property
    def is_whole(self) -> bool:
        """Whether dot lays out the whole picture, with a frame around each scope."""
        return len(self.columns) == 1 and not self.timed and self.picture.view != "cells"

    # ports

    def form(self, place: Place) -> Form:
        """The form of a tile: its boxes, the links between them, and its ports."""
        local = {box: k for k, box in enumerate(place.boxes)}
        into = self.into[place.tile]
        inner = [n for n in into if n.source in local and n.target in local]
        place.port = self.ports(place, into, local)
        leaving = [(n.source, n.state) for box in place.boxes for n in self.out_of[box]
                   if n.target not in local]  # fmt: skip
        made = [(box, lane) for box in place.boxes for lane in box.lanes]
        outs = dict.fromkeys([*made, *leaving])
        return Form(
            tuple(self.outlines[box] for box in local),
            tuple(dict.fromkeys((local[n.source], local[n.target]) for n in inner)),
            tuple(dict.fromkeys(place.port.values())),
            tuple((local[box], lane) for box, lane in outs),
            place.is_column,
            scopes_of(place.boxes) if self.is_whole else (),
        )

    def ports(self, place: Place, into: list[Link], local: dict[Box, int]) -> dict[Link, Port]:
        """The ports by which links enter a place: one for each value and state; into the lowest box
        of a column one of its own."""
        groups = defaultdict[Any, list[Link]](list)
        for link in into:
            if link.source not in local and link.target in local:
                low = place.is_column and link.target is place.boxes[0]
                groups[link.source, link.lane, self.enters_aside(link), low].append(link)
        order = sorted(groups, key=lambda key: (not key[2], key[1] not in self.picture.memories))
        like = Counter[Port]()
        found: dict[Link, Port] = {}
        for source, lane, left, low in order:
            links = groups[source, lane, left, low]
            skips = source.kind == "delay" and source.label[1:] not in ("−1", "+1")
            boxes = tuple(dict.fromkeys(local[link.target] for link in links))
            port = Port("" if skips else lane, boxes, left)
            found |= dict.fromkeys(links, port._replace(again=like[port]))
            like[port] += 1
        return found

    # which way links take

    def kind_of(self, link: Link) -> str:
        """The way that a link takes: within a tile, over a gutter, straight up, or around."""
        place = self.place_of.get(link.target)
        if place is not None and self.place_of.get(link.source) is place:
            return "inner"
        if self.is_near(link):
            return "near"
        return "rise" if self.rises(link) else "around"

    def enters_aside(self, link: Link) -> bool:
        """Whether a link enters its target from the side."""
        target = self.place_of[link.target]
        if link.source in self.bars:
            beside = sum(self.side(target, False)) == sum(self.exit(link))
            return beside and not target.tile.row.timed
        return self.kind[link] == "near"

    def is_near(self, link: Link) -> bool:
        """Whether nothing stands between the sides of two places that face each other."""
        source, target = self.place_of.get(link.source), self.place_of.get(link.target)
        if source is None or target is None or "below" in (source.beside, target.beside):
            return False
        (a, right), (b, left) = self.side(source, True), self.side(target, False)
        if a == b or right is left or (a < b) is not right:
            return False
        low, high = sorted((source.level, target.level))
        between = range(min(a, b) + 1, max(a, b))
        return not any(low <= n <= high for k in between for n in self.levels[k])

    def side(self, place: Place, out: bool) -> Side:
        """The side of a column at which links leave a place (or enter it)."""
        return place.column, place.tile.row.reverse is not out

    def exit(self, link: Link) -> Side:
        """The side of a column where a link begins."""
        if link.source in self.bars:
            return self.exits[link.source]
        place = self.place_of[link.source]
        if place.beside == "below":
            return place.column, not link.target.tile.row.reverse
        return self.side(place, True)

    def rises(self, link: Link) -> bool:
        """Whether a link goes straight up: from an input, or from the top of a column into the tile
        or bar above."""
        source, target = self.place_of.get(link.source), self.place_of.get(link.target)
        if source is None:
            return False
        if not (source.beside == "below" or (source.is_column and link.source is source.boxes[-1])):
            return False
        above = [n for n in self.levels[source.column] if n > source.level]
        if link.target in self.bars:
            return not above
        if target is None or target.column != source.column:
            return False
        between = [n for n in above if n < target.level]
        if source.tile.row.step and link.lane:  # a state of a grid passes at the right of inputs
            between = [n for n in between if n != target.level - 0.5]
        return target.level in above and not target.beside and not between

    # columns

    def border(self, side: Side, away: float = 0.0) -> float:
        """The x of a side of a column, or so far away from it in the gutter."""
        column, right = side
        return self.rights[column] + away if right else self.lefts[column] - away

    def riser(self, side: Side, key: Any) -> Side:
        """Take a vertical line beside a column, which all that flows from one value share."""
        self.risers[side].setdefault(key, len(self.risers[side]))
        return side

    def riser_x(self, side: Side, key: Any) -> float:
        """The x of a vertical line beside a column."""
        return self.border(side, 7 + RISER * self.risers[side][key])

    def put_columns(self) -> None:
        """The x of each column, with gutters that hold the texts and the verticals."""
        count, widths, gaps = len(self.columns), self.column_widths(), self.gutters()
        for k in range(count):
            gaps[k] += RISER * (len(self.risers[k - 1, True]) + len(self.risers[k, False]))
        self.lefts, self.rights = [0.0] * count, [0.0] * count
        x = 0.0
        for k in range(count):
            self.lefts[k] = x + gaps[k]
            self.rights[k] = x = self.lefts[k] + widths[k]
        for place in self.mains:
            slack = self.rights[place.column] - self.lefts[place.column] - place.pattern.width
            if place.is_column:
                slack /= 2
            elif not place.tile.row.reverse:
                slack = 0.0
            place.x = self.lefts[place.column] + slack

    def lines(self, per_row: int | None) -> list[Line]:
        """The lines of so many steps, each from one gutter to another."""
        begins, steps, before = [0], 0, None
        for (column, _), k in self.columns.items():
            if column != before:
                timed = column[0] == int(column[0]) or not self.timed
                if per_row and timed and steps and steps % per_row == 0:
                    begins.append(k)
                steps, before = steps + timed, column
        tiles = [k for (_, away), k in self.columns.items() if not away]
        lefts = [self.edge(k, False) for k in begins[1:]]
        rights = [self.edge(k - 1, True) for k in begins[1:]]
        starts = [self.lefts[next(k for k in tiles if k >= begin)] for begin in begins]
        ends = zip([-math.inf, *lefts], [*rights, math.inf], starts, strict=True)
        return [Line(*end) for end in ends]

    def edge(self, column: int, right: bool) -> float:
        """Where the verticals beside a column end."""
        return self.border((column, right), 7 + RISER * len(self.risers[column, right]))

    def column_widths(self) -> list[float]:
        """How wide each column is: for its patterns, its headings and its inputs."""
        widths, headings = [0.0] * len(self.columns), self.texts.heading_widths()
        for place in self.places.values():
            sizes = [self.outlines[box].width for box in place.boxes]
            needed = max(sizes)
            if not place.beside:
                needed = max(place.pattern.width, headings.get(place.tile, 0.0))
            elif place.beside == "below":
                needed = sum(sizes) + 5 * len(sizes)
                if self.places[place.tile, ""].is_column:
                    needed = 2 * (needed - 14)
            widths[place.column] = max(widths[place.column], needed)
        return widths

    def gutters(self) -> list[float]:
        """How wide the gutter before each column is: for what is written over the links in it."""
        away = [away for _, away in self.columns]
        pairs = zip([0.0, *away], away, strict=False)
        found = [NARROW if a or b else GUTTER for a, b in pairs]
        found[0] = 0.0
        for link in self.picture.links:
            if self.writes_in_gutter(link):
                place = self.place_of[link.target]
                column, right = self.side(place, False)
                text = link.mark or self.texts.crossing(link)
                if link.hidden:
                    text = f"{self.texts.hidden(link)}  {link.mark}"
                width = look.text_width(text, look.SMALLEST) + 16
                if link.hidden:
                    width = max(ELLIPSIS, width)
                k = min(column + right, len(found) - 1)
                found[k] = max(found[k], width)
        return found

    def writes_in_gutter(self, link: Link) -> bool:
        """Whether there is a text over a link where it enters its target's tile."""
        if link.target not in self.place_of or link.target.beside:
            return False
        told = link.mark or link.hidden or link.source.kind == "delay"
        return bool(told or (link.lane and not link.source.beside)) and self.kind[link] == "near"

    # bands

    def put_bands(self, gaps: Mapping[float, float]) -> None:
        """The y of each band; under it is a gap for links."""
        bands = defaultdict[float, dict[Any, list[Place]]](dict)
        for place in sorted(self.places.values(), key=lambda place: place.column):
            if place.beside not in ("before", "after"):
                bands[place.level].setdefault(place.tile.row, []).append(place)
        header, y = HEADER if self.texts.framed else 0.0, 0.0
        self.strips, self.tops = dict[float, float](), dict[float, float]()
        for level, rows in sorted(bands.items()):
            y += gaps.get(level, 0.0) + SPACE
            places = [place for row in rows.values() for place in row]
            self.strips[level] = y
            if places[0].beside:
                self.tops[level] = y + max(self.outlines[b].height for p in places for b in p.boxes)
            else:
                for row, members in rows.items():
                    self.stand(members[::-1] if row.reverse else members, y)
                self.tops[level] = max(p.y + p.pattern.height for p in places) + header
            y = self.tops[level]
        self.ceiling = y + (HEADER if self.outer_steps() else 0.0)
        for place in self.mains:
            if not place.tile.row.timed and (self.timed or not place.is_column):
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
                for k, lane in place.form.outs:
                    if lane:
                        heights[lane] = place.way("out", lane, k)[-1][1]
            place.y = shift[place.form]

    def shift_of(self, place: Place, heights: dict[str, float]) -> float:
        """How far up a pattern stands; cells stand at one height."""
        if place.is_column:
            cells = [k for k, box in enumerate(place.boxes) if box.kind == "cell"]
            return -place.pattern.centers[cells[0] if cells else 0][1]
        ports = {p for p in place.port.values() if p.left and p.lane in heights}
        gaps = [heights[port.lane] - place.port_y(port) for port in ports]
        return sum(gaps) / len(gaps) if gaps else 0.0

    def face_source(self, place: Place, header: float) -> None:
        """Move a tile outside of time to the height of what enters it."""
        for link, port in place.port.items():
            source = self.place_of.get(link.source)
            if port.left and source is not None and not source.beside:
                y = place.y + source.leaving(link)[-1][1] - place.port_y(port)
                highest = self.tops[place.level] - header - place.pattern.height
                place.y = max(self.strips[place.level], min(highest, y))
                return

    def outer_steps(self) -> list[list[Place]]:
        """The places of each step of an axis with an inner loop."""
        found = defaultdict[Any, list[Place]](list)
        for place in self.mains:
            if place.tile.row.timed:
                found[place.tile.column[:2]].append(place)
        return [places for places in found.values() if len({p.column for p in places}) > 1]

    def panels(self, lines: list[Line]) -> list[tuple[Tile, Rect]]:
        """The frames around the inner steps of each outer step, in each line."""
        found = []
        for places in self.outer_steps():
            bottom = min(self.strips[place.level] for place in places) - 9
            top = max(self.tops[place.level] for place in places) + HEADER
            for line in lines:
                left = max(line.left, min(self.lefts[p.column] for p in places) - 9)
                right = min(line.right, max(self.rights[p.column] for p in places) + 9)
                if left < right:
                    found.append((places[0].tile, Rect.between(left, bottom, right, top)))
        return found

    # boxes

    def rects(self) -> dict[Box, Rect]:
        """The places of all boxes but bars."""
        found: dict[Box, Rect] = {}
        for place in self.mains:
            for box, center in zip(place.boxes, place.centers, strict=True):
                found[box] = Rect(*center, *self.outlines[box][:2])
            for box, y in self.heights_beside(place).items():
                column = self.place_of[box].column
                x = (self.lefts[column] + self.rights[column]) / 2
                found[box] = Rect(x, y, *self.outlines[box][:2])
            below = self.places.get((place.tile, "below"))
            if below is not None:
                y = self.strips[below.level] + max(self.outlines[b].height for b in below.boxes) / 2
                for box, x in self.spread_below(place, below).items():
                    found[box] = Rect(x, y, *self.outlines[box][:2])
        return found

    def heights_beside(self, place: Place) -> dict[Box, float]:
        """The heights of the boxes beside a tile: those of their ports, but one below another."""
        keys = [(place.tile, "before"), (place.tile, "after")]
        beside = [self.places[key] for key in keys if key in self.places]
        wanted: dict[Box, float] = {}
        for link, port in place.port.items() if beside else ():
            wanted.setdefault(link.source, place.port_y(port))
        for link in self.into[place.tile] if beside else ():
            if link.target.beside == "after":
                wanted.setdefault(link.target, place.leaving(link)[-1][1])
        heights: dict[Box, float] = {}
        for other in beside:
            sizes = {box: self.outlines[box].height + 3 for box in other.boxes}
            heights |= spread({box: -wanted.get(box, place.y) for box in other.boxes}, sizes)
        return {box: -y for box, y in heights.items()}

    def spread_below(self, place: Place, below: Place) -> dict[Box, float]:
        """The x of inputs under their tile: each under its channel, one beside another."""
        low, high = self.lefts[place.column] - 8, self.rights[place.column]
        channels, rising = dict[Box, float](), False
        for link, port in place.port.items():
            if port.left:
                continue
            if link.source.beside == "below":
                channels.setdefault(link.source, place.channel(port))
            elif self.kind[link] == "rise":  # a state of a grid, which passes behind the inputs
                rising = True
                x = place.channel(port)
                if place.tile.row.reverse:
                    low = max(low, x + 5)
                else:
                    high = min(high, x - 5)
        wanted = {box: channels.get(box, place.x) for box in below.boxes}
        sizes = {box: self.outlines[box].width + 5 for box in below.boxes}
        if place.is_column and not rising:  # at its left a tap comes up
            left = 14 - self.outlines[place.boxes[0]].width / 2
            low = place.centers[0][0] + max(left, -sizes[below.boxes[0]] / 2)
        return spread(wanted, sizes, low, high)

    def scopes(self) -> list[tuple[str, int, Rect]]:
        """The frames of scopes, with their titles and how many are around them."""
        found = []
        for place in self.mains:
            depth: list[int] = []
            for frame, corners in zip(place.form.scopes, place.pattern.scopes, strict=False):
                depth.append(0 if frame.around is None else depth[frame.around] + 1)
                (left, bottom), (right, top) = place.moved([*corners])
                found.append((frame.title, depth[-1], Rect.between(left, bottom, right, top)))
        return found

    def frames(self) -> dict[Tile, Rect]:
        """The frames of all tiles."""
        found = {}
        for place in self.mains:
            bottom, top = self.strips[place.level], self.tops[place.level]
            if not place.tile.row.timed:
                bottom, top = place.y, place.y + place.pattern.height + HEADER
            left, right = self.lefts[place.column], self.rights[place.column]
            found[place.tile] = Rect.between(left, bottom, right, top)
        return found


def _column(tile: Tile, beside: str) -> tuple[Any, float]:
    """The column of a place, to sort by: what stands before or after a tile has one of its own."""
    away = {"before": -0.5, "after": 0.5}.get(beside, 0.0)
    return tile.column, -away if tile.row.reverse else away


def tags_on(box: Box) -> list[Tag]:
    """The tags on a box; a cell names its parameters itself."""
    return [] if box.kind == "cell" else box.tags


def spread(
    wanted: dict[Box, float], sizes: dict[Box, float], low: float = -1e9, high: float = 1e9
) -> dict[Box, float]:
    """Centres near the wanted ones, in their order, that keep the boxes apart and within limits."""
    order = sorted(wanted, key=wanted.__getitem__)
    found: dict[Box, float] = {}
    for box in order:
        found[box] = max(wanted[box], low + sizes[box] / 2)
        low = found[box] + sizes[box] / 2
    for box in reversed(order):
        found[box] = min(found[box], high - sizes[box] / 2)
        high = found[box] - sizes[box] / 2
    return found


MOST_FRAMES = 40  # one inside another; dot itself fails at a thousand


def scopes_of(boxes: Sequence[Box]) -> tuple[Frame, ...]:
    """Frames around the boxes of a tile, one for each call of a module or scope.

    Where more than MOST_FRAMES stand one inside another, those between the outer ones and the
    innermost are left out, and the title of the innermost begins with "…".
    """
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
    scopes, frames = list(number), []
    for k, scope in enumerate(scopes):
        outer = around[k]
        skips = outer is not None and scope.parent is not scopes[outer]
        title = f"… {scope.name}" if skips else scope.name
        frames.append(Frame(look.shorten(title), tuple(members[k]), outer))
    return tuple(frames)


def _scopes_around(box: Box) -> list[Any]:
    """The scopes that all of a box was made in, from the outermost in; without that which it
    stands for."""
    chains = [nodes.scopes_of(node) for node in box.nodes if node.op is not None]
    together = list(itertools.takewhile(lambda pair: len({*pair}) == 1, zip(*chains)))
    found = [scopes[0] for scopes in together]
    if box.kind == "cell":
        found = found[:-1]
    return found if len(found) <= MOST_FRAMES else [*found[: MOST_FRAMES - 1], found[-1]]
