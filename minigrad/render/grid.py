"""The time grid: a tile for each panel, placed in a column (step) and a band (layer).  Imports `tiles`, `ways`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from minigrad.render import style, ways
from minigrad.render.paths import Outline, Path, Point
from minigrad.render.picture import Box, Link, Panel, Picture, Row, Tap
from minigrad.render.tiles import Port, Shape, Tile, lay_out, spine_of
from minigrad.render.ways import TRACK, Side

TEXTBOOK = ("cell", "output", "loss")  # the kinds of box that one step has in the view of cells
GUTTER, HEADER, ELLIPSIS, BAR, INPUT = 38.0, 20.0, 110.0, 26.0, 38.0


@dataclass(eq=False, slots=True)
class Place:
    """A panel with its tile and its place: `x`, `y` is the lower left corner of the tile."""

    panel: Panel
    boxes: list[Box]
    column: int
    line: int
    ins: dict[Port, list[Link]]
    shape: Shape
    tile: Tile = None  # type: ignore[assignment]  # all tiles are laid out together
    x: float = 0.0
    y: float = 0.0

    def point(self, p: Point) -> Point:
        """A point of the tile on the page."""
        return (self.x + (self.tile.width - p[0] if self.panel[0].reverse else p[0]), self.y + p[1])

    def way(self, kind: str, a: Any, b: int) -> Path:
        """The path of a link of the tile on the page."""
        return [self.point(p) for p in self.tile.paths[kind, a, b]]

    def port(self, link: Link) -> Port:
        """The in-port of a link."""
        return next(port for port, links in self.ins.items() if link in links)

    def port_y(self, port: Port) -> float:
        """The height of an in-port."""
        return self.y + self.tile.paths["in", port, port.boxes[0]][0][1]

    def channel(self, port: Port) -> float:
        """The x of the vertical by which an in-port is reached from below."""
        return self.point((self.tile.channels[port], 0.0))[0]


class Grid:
    """Columns from left to right, bands from bottom to top, and the places of all panels in them."""

    def __init__(self, picture: Picture, railed: dict[Any, int], headings: dict[Panel, float], per_row: Any) -> None:
        self.picture, self.railed, self.headings, self.per_row = picture, railed, headings, per_row
        self.into: defaultdict[Panel, list[Link]] = defaultdict(list)
        self.out_of: defaultdict[Box, list[Link]] = defaultdict(list)
        for link in picture.links:
            self.into[link.target.panel].append(link)
            self.out_of[link.source].append(link)
        self.bars = {box: links for box in picture.boxes if (links := self.gathered(box))}
        inside = {p: [b for b in boxes if not b.outside and b not in self.bars] for p, boxes in picture.panels.items()}
        inside = {panel: boxes for panel, boxes in inside.items() if boxes}
        self.columns = sorted({(row.segment, t) for row, t in inside})
        self.column = {key: k for k, key in enumerate(self.columns)}
        self.lines = self.break_lines()
        self.settle_levels(list(dict.fromkeys(row for row, _ in inside)))
        labels = [box.label for box in picture.boxes if box.kind == "cell"]
        if any("\n|d" in label for label in labels):  # strips of several networks stand in the same columns
            labels.append("|dh| 0.00012")
        self.cell = [max((style.size("cell", label)[n] for label in labels), default=0.0) for n in (0, 1)]
        self.inner = set[Link]()  # what does not leave its panel
        self.outlines = {box: self.outline(box) for box in picture.boxes}
        self.places = {panel: self.plan(panel, boxes) for panel, boxes in inside.items()}
        tiles = lay_out(dict.fromkeys(place.shape for place in self.places.values()))
        for place in self.places.values():
            place.tile = tiles[place.shape]
        self.spines = {shape: spine_of(shape) for shape in tiles}
        self.tracks: defaultdict[Side, dict[Any, int]] = defaultdict(dict)  # beside a column, by what they belong to
        self.taken: defaultdict[Any, dict[Any, int]] = defaultdict(dict)  # tracks of a corridor at a column, likewise
        self.turns = {link: ways.plan(self, link) for link in picture.links if link not in self.inner}
        self.corridors: defaultdict[int, int] = defaultdict(int)  # how many tracks there are under each level
        for (_, level, _), taken in self.taken.items():
            self.corridors[level] = max(self.corridors[level], 1 + max(taken.values()))
        self.put_columns()
        self.put_bands()
        self.corners: dict[Box, tuple[Point, Point]] = {}
        for k, box in enumerate(self.bars):
            self.corners[box] = self.bar(k, box)
        self.at = {b: p.point(at) for p in self.places.values() for b, at in zip(p.boxes, p.tile.centers)}
        self.at |= {box: at for place in self.places.values() for box, at in self.beside(place)}

    def gathered(self, box: Box) -> list[Link]:
        """What a box outside of time gathers from several steps, over which it is drawn as a bar."""
        bare = self.picture.graph.axes and not box.panel[0].timed and not box.outside
        links = [k for k in self.into[box.panel] if k.target is box and k.source.panel[0].timed] if bare else []
        return links if len({link.source.panel for link in links}) > 1 else []

    def break_lines(self) -> list[int]:
        """The line that each column stands in: a new one after every so many steps."""
        steps, lines = 0, []
        for segment, _ in self.columns:
            timed = segment == int(segment) or not self.picture.graph.axes
            lines.append(max(0, steps - (not timed)) // (self.per_row or len(self.columns)))
            steps += timed
        return lines

    def settle_levels(self, rows: list[Row]) -> None:
        """What stands outside of time faces the topmost layer that it comes from; no level stays empty."""
        for row in rows:
            if not row.timed and not row.depth:
                sources = [link.source.panel[0] for (r, _), links in self.into.items() if r is row for link in links]
                row.level = max((source.level for source in sources if not source.depth), default=0)
        order = sorted({row.level for row in rows})
        for row in rows:
            row.level = order.index(row.level)

    # ports

    def plan(self, panel: Panel, boxes: list[Box]) -> Place:
        """The ports of a panel, and its shape."""
        local = {box: k for k, box in enumerate(boxes)}
        inner = [link for link in self.into[panel] if link.source in local and link.target in local]
        self.inner.update(inner)
        ports: defaultdict[Any, list[Link]] = defaultdict(list)
        for link in self.into[panel]:
            if link.source not in local and link.target in local:
                ports[link.source, link.lane, self.is_beside(link)].append(link)
        leaving = [(link.source, link.state) for box in boxes for link in self.out_of[box] if link.target not in local]
        outs = list(dict.fromkeys([*((box, lane) for box in boxes for lane in box.lanes), *leaving]))
        ins: dict[Port, list[Link]] = {}
        order = sorted(ports.items(), key=lambda item: (not item[0][2], not style.is_memory(item[0][1])))
        for (source, lane, left), links in order:
            skips = source.kind == "delay" and source.label[1:] not in ("−1", "+1")  # no state comes from further away
            port = Port(lane * (not skips), tuple(dict.fromkeys(local[link.target] for link in links)), left)
            like = sum(port == other._replace(again=0) for other in ins)
            ins[port._replace(again=like)] = links
        shape = Shape(
            tuple(self.outlines[box] for box in boxes),
            tuple(dict.fromkeys((local[link.source], local[link.target]) for link in inner)),
            tuple(ins),
            tuple((local[box], lane) for box, lane in outs),
            self.picture.view == "cells" and (len(boxes) == 1 or any(box.kind in TEXTBOOK for box in boxes)),
        )
        column = self.column[panel[0].segment, panel[1]]
        return Place(panel, boxes, column, self.lines[column], ins, shape)

    def is_beside(self, link: Link) -> bool:
        """Whether a link comes over the gutter beside its target's panel."""
        if link.source.outside:
            return link.source.kind != "input" and link.source.panel == link.target.panel
        (a, right), (b, left) = self.exit(link), self.side(link.target.panel, False)
        adjacent = right is not left and b - a == (1 if right else -1)
        full = any(box.outside and box.kind != "input" for box in self.picture.panels[link.target.panel])
        return adjacent and not full and not (link.source in self.bars and bool(self.per_row))

    def side(self, panel: Panel, out: bool) -> Side:
        """The column of a panel, and whether links leave it (or enter it) at its right."""
        return self.column[panel[0].segment, panel[1]], panel[0].reverse is not out

    def border(self, side: Side, away: float = 0.0) -> float:
        """The x of a side of a column, or so far away from it in the gutter."""
        column, right = side
        return self.rights[column] + away if right else self.lefts[column] - away

    def exit(self, link: Link) -> Side:
        """The side of a column where a link begins."""
        if link.source in self.bars:
            return max(self.side(part.source.panel, True)[0] for part in self.bars[link.source]), True
        if link.source.outside and link.source.kind == "input":
            return self.side(link.source.panel, True)[0], not link.target.panel[0].reverse
        return self.side(link.source.panel, not link.source.outside)

    def outline(self, box: Box) -> Outline:
        """The size of a box, and the tags on it; all cells have one size."""
        tags = [tap.width + 2 for tap in self.tags(box)]
        width, height = self.cell if box.kind == "cell" else style.size(box.kind, box.label)
        round_ = style.LOOKS[box.kind].shape == "circle"
        return Outline(width, height, round_, max(sum(tags) - 2, 0.0), style.TAG_HEIGHT * bool(tags))

    def tags(self, box: Box) -> list[Tap]:
        """The parameters of a box that are drawn as tags on it."""
        return [tap for tap in box.taps.values() if tap.parameter not in self.railed and box.kind != "cell"]

    # places

    def straighten(self, places: Iterable[Place]) -> None:
        """Shift each distinct tile up or down so that its states enter where they left the one before."""
        shift: dict[Shape, float] = {}
        heights: dict[str, float] = {}
        for place in places:
            if place.shape.column:  # cells stand at one height
                cell = next((k for k, box in enumerate(place.boxes) if box.kind == "cell"), 0)
                shift[place.shape] = -place.tile.centers[cell][1]
            elif place.shape not in shift:
                ports = [port for port in place.ins if port.left and port.lane in heights]
                gaps = [heights[port.lane] - place.port_y(port) for port in ports]
                shift[place.shape] = sum(gaps) / len(gaps) if gaps else 0.0
            place.y = shift[place.shape]
            for box, lane in place.shape.outs:
                if lane:
                    heights[lane] = place.way("out", lane, box)[-1][1]

    def put_columns(self) -> None:
        """The x of each column, with gutters that hold tracks, initial states and the dots of hidden steps."""
        count = len(self.columns)
        widths, room = [0.0] * count, [0.0] * (count + 1)
        for place in self.places.values():
            widths[place.column] = max(widths[place.column], place.tile.width, self.headings.get(place.panel, 0.0))
            k = place.column + place.panel[0].reverse
            aside = [box for box in self.picture.panels[place.panel] if box.outside and box.kind != "input"]
            loops = sum(box.kind == "delay" for box in aside)
            free, texts = 26 + 25 * (loops > 0) + 5 * loops + self.marked(place), self.marked(place) + 16
            wide = [style.size(box.kind, box.label)[0] + free for box in aside]
            hidden = any(link.hidden for links in place.ins.values() for link in links)
            room[k] = max([room[k], ELLIPSIS * hidden, texts, *wide])
        tracks = [len(self.tracks[k - 1, True]) + len(self.tracks[k, False]) for k in range(count)]
        gaps = [max(GUTTER * (k > 0), room[k]) + 5.0 * tracks[k] for k in range(count)]
        first = [k for k in range(count) if k == 0 or self.lines[k] > self.lines[k - 1]]  # one below another
        self.lefts, self.rights, x = list[float](), list[float](), 0.0
        for k, width in enumerate(widths):
            self.lefts.append(max(gaps[n] for n in first) if k in first else x + gaps[k])
            x = self.lefts[k] + width
            self.rights.append(x)
        self.edge = max(right + wide for right, wide in zip(self.rights, room[1:], strict=True))
        for place in self.places.values():
            left, right = self.lefts[place.column], self.rights[place.column]
            slack = right - left - place.tile.width
            place.x = left + slack * (0.5 if place.shape.column else 1.0 if place.panel[0].reverse else 0.0)

    def put_bands(self) -> None:
        """The y of each band, with a strip under it for corridors and inputs."""
        bands: defaultdict[int, defaultdict[Row, list[Place]]] = defaultdict(lambda: defaultdict(list))
        for place in sorted(self.places.values(), key=lambda place: place.column):
            bands[place.panel[0].level][place.panel[0]].append(place)
        self.strips, self.tops, self.input_y = dict[int, float](), dict[int, float](), dict[int, float]()
        header, y = HEADER * bool(self.headings), 0.0
        for level, rows in sorted(bands.items()):
            places = [place for row in rows.values() for place in row]
            inputs = any(box.outside and box.kind == "input" for p in places for box in self.picture.panels[p.panel])
            self.input_y[level] = y + 14
            y += INPUT * inputs + TRACK * self.corridors[level] + 12.0
            for row, members in rows.items():
                self.straighten(members[::-1] if row.reverse else members)
                aside = [item for place in members for item in self.aside(place).items()]
                lows = [height - style.size(box.kind, box.label)[1] / 2 for box, height in aside]
                low = min([place.y for place in members] + lows)
                for place in members:
                    place.y += y - low + header * bool(self.railed)
            self.strips[level] = y
            self.tops[level] = max(p.y + p.tile.height for p in places) + header * (not self.railed)
            y = self.tops[level] + 12.0
        self.line_height = y + 16 + 8 * len(self.bars)
        for place in self.places.values():
            place.y -= self.line_height * place.line
        for place in self.places.values():
            if not place.panel[0].timed and (self.picture.graph.axes or not place.shape.column):
                self.face_source(place, header)

    def face_source(self, place: Place, header: float) -> None:
        """Move a panel outside of time to the height of what enters it."""
        for port, (link, *_) in place.ins.items():
            source = self.places.get(link.source.panel)
            if port.left and source is not None and link.source in source.boxes:
                y = place.y + ways.leave(self, link)[-1][1] - place.port_y(port)
                place.y = max(self.strip(place), min(self.top(place) - header - place.tile.height, y))
                return

    def strip(self, place: Place) -> float:
        """The bottom of a panel's frame."""
        return self.strips[place.panel[0].level] - self.line_height * place.line

    def top(self, place: Place) -> float:
        """The top of a panel's frame."""
        return self.tops[place.panel[0].level] - self.line_height * place.line

    @property
    def ceiling(self) -> float:
        """Above all bands and bars."""
        return max(self.tops.values()) + BAR * len(self.bars) * (not self.per_row)

    def bar(self, k: int, box: Box) -> tuple[Point, Point]:
        """The corners of a bar: over its steps, or upright at the right of all lines."""
        top = max(self.tops.values())
        if self.per_row:
            x = max([self.edge + 2, *(right for _, (right, _) in self.corners.values())]) + 38  # beside those before
            words = [style.text_width(word, 12) + 6 for word in box.label.split()]
            bottom = min(self.strip(place) for place in self.places.values())
            return (x, bottom - 4), (x + max([style.RAIL_HEIGHT, *words]), top + 14 + 8 * k)
        ends = [ways.track_x(self, *self.turns[link][0][1:]) for link in self.bars[box]]
        ends += [self.rights[self.exit(link)[0]] for link in self.out_of[box] if link.target not in self.bars]
        ends.append(max(ends) + 14 - style.text_width(box.label, 12))
        return (min(ends) - 14, top + 14 + BAR * k), (max(ends) + 14, top + 30 + BAR * k)

    def beside(self, place: Place) -> Iterable[tuple[Box, Point]]:
        """The boxes outside of a panel: inputs under it, initial states and delays at the height of their ports."""
        side, entry = -1 if place.panel[0].reverse else 1, self.side(place.panel, False)
        edge = self.border(entry, 14 + 5 * len(self.tracks[entry]) + self.marked(place))
        for box, y in self.aside(place).items():
            yield box, (edge - side * style.size(box.kind, box.label)[0] / 2, y)
        y, count = self.input_y[place.panel[0].level] - self.line_height * place.line, 0
        for port in sorted(place.ins, key=place.port_y, reverse=True):
            for box in dict.fromkeys(link.source for link in place.ins[port]):
                if box.outside and box.kind == "input" and box.panel == place.panel:
                    yield box, (place.channel(port) + side * 33.0 * count, y)
                    count += 1

    def marked(self, place: Place) -> float:
        """How much room the texts need that stand in front of a panel: marks, and the states of delays."""
        links = [link for links in place.ins.values() for link in links if link.mark or link.source.kind == "delay"]
        return max((style.text_width(link.mark or link.lane, 11) for link in links), default=0.0)

    def aside(self, place: Place) -> dict[Box, float]:
        """The heights of the initial states and delays beside a panel: those of their ports, but one below another."""
        ports = {link.source: port for port, links in reversed(place.ins.items()) for link in links}
        boxes = [box for box in self.picture.panels[place.panel] if box.outside and box.kind != "input"]
        heights = {box: place.port_y(ports[box]) if box in ports else place.y for box in boxes}
        lowest = float("inf")
        for box in sorted(boxes, key=heights.__getitem__, reverse=True):
            height = style.size(box.kind, box.label)[1]
            heights[box] = min(heights[box], lowest - height / 2 - 3)
            lowest = heights[box] - height / 2
        return heights
