"""The time grid: a tile for each panel, placed in a column (step) and a band (layer).  Imports `ports`, `ways`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from minigrad.render import style, ways
from minigrad.render.paths import Point
from minigrad.render.picture import Box, Panel, Picture, Row
from minigrad.render.ports import Place, Ports
from minigrad.render.tiles import Shape, lay_out, spine_of
from minigrad.render.ways import TRACK, Side

GUTTER, HEADER, ELLIPSIS, BAR, INPUT = 38.0, 20.0, 110.0, 26.0, 38.0


class Grid(Ports):
    """Columns from left to right, bands from bottom to top, and the places of all panels in them."""

    def __init__(
        self, picture: Picture, railed: dict[Any, int], headings: dict[Panel, float], per_row: Any
    ) -> None:
        super().__init__(picture, railed, per_row)
        self.headings = headings
        tiles = lay_out(dict.fromkeys(place.shape for place in self.places.values()))
        for place in self.places.values():
            place.tile = tiles[place.shape]
        self.spines = {shape: spine_of(shape) for shape in tiles}
        self.tracks: defaultdict[Side, dict[Any, int]] = defaultdict(
            dict
        )  # beside a column, by what they belong to
        self.taken: defaultdict[Any, dict[Any, int]] = defaultdict(
            dict
        )  # tracks of a corridor at a column, likewise
        self.turns = {
            link: ways.plan(self, link) for link in picture.links if link not in self.inner
        }
        self.corridors: defaultdict[int, int] = defaultdict(
            int
        )  # how many tracks there are under each level
        for (_, level, _), taken in self.taken.items():
            self.corridors[level] = max(self.corridors[level], 1 + max(taken.values()))
        self.put_columns()
        self.put_bands()
        self.corners: dict[Box, tuple[Point, Point]] = {}
        for k, box in enumerate(self.bars):
            self.corners[box] = self.bar(k, box)
        self.at = {
            b: p.point(at) for p in self.places.values() for b, at in zip(p.boxes, p.tile.centers)
        }
        self.at |= {box: at for place in self.places.values() for box, at in self.beside(place)}

    def border(self, side: Side, away: float = 0.0) -> float:
        """The x of a side of a column, or so far away from it in the gutter."""
        column, right = side
        return self.rights[column] + away if right else self.lefts[column] - away

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
            widths[place.column] = max(
                widths[place.column], place.tile.width, self.headings.get(place.panel, 0.0)
            )
            k = place.column + place.panel[0].reverse
            aside = [
                box
                for box in self.picture.panels[place.panel]
                if box.outside and box.kind != "input"
            ]
            loops = sum(box.kind == "delay" for box in aside)
            free, texts = (
                26 + 25 * (loops > 0) + 5 * loops + self.marked(place),
                self.marked(place) + 16,
            )
            wide = [style.size(box.kind, box.label)[0] + free for box in aside]
            hidden = any(link.hidden for links in place.ins.values() for link in links)
            room[k] = max([room[k], ELLIPSIS * hidden, texts, *wide])
        tracks = [len(self.tracks[k - 1, True]) + len(self.tracks[k, False]) for k in range(count)]
        gaps = [max(GUTTER * (k > 0), room[k]) + 5.0 * tracks[k] for k in range(count)]
        first = [
            k for k in range(count) if k == 0 or self.lines[k] > self.lines[k - 1]
        ]  # one below another
        self.lefts, self.rights, x = list[float](), list[float](), 0.0
        for k, width in enumerate(widths):
            self.lefts.append(max(gaps[n] for n in first) if k in first else x + gaps[k])
            x = self.lefts[k] + width
            self.rights.append(x)
        self.edge = max(right + wide for right, wide in zip(self.rights, room[1:], strict=True))
        for place in self.places.values():
            left, right = self.lefts[place.column], self.rights[place.column]
            slack = right - left - place.tile.width
            place.x = left + slack * (
                0.5 if place.shape.column else 1.0 if place.panel[0].reverse else 0.0
            )

    def put_bands(self) -> None:
        """The y of each band, with a strip under it for corridors and inputs."""
        bands: defaultdict[int, defaultdict[Row, list[Place]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for place in sorted(self.places.values(), key=lambda place: place.column):
            bands[place.panel[0].level][place.panel[0]].append(place)
        self.strips, self.tops, self.input_y = (
            dict[int, float](),
            dict[int, float](),
            dict[int, float](),
        )
        header, y = HEADER * bool(self.headings), 0.0
        for level, rows in sorted(bands.items()):
            places = [place for row in rows.values() for place in row]
            inputs = any(
                box.outside and box.kind == "input"
                for p in places
                for box in self.picture.panels[p.panel]
            )
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
                place.y = max(
                    self.strip(place), min(self.top(place) - header - place.tile.height, y)
                )
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
            x = (
                max([self.edge + 2, *(right for _, (right, _) in self.corners.values())]) + 38
            )  # beside those before
            words = [style.text_width(word, 12) + 6 for word in box.label.split()]
            bottom = min(self.strip(place) for place in self.places.values())
            return (x, bottom - 4), (x + max([style.RAIL_HEIGHT, *words]), top + 14 + 8 * k)
        ends = [ways.track_x(self, *self.turns[link][0][1:]) for link in self.bars[box]]
        ends += [
            self.rights[self.exit(link)[0]]
            for link in self.out_of[box]
            if link.target not in self.bars
        ]
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
        links = [
            link
            for links in place.ins.values()
            for link in links
            if link.mark or link.source.kind == "delay"
        ]
        return max((style.text_width(link.mark or link.lane, 11) for link in links), default=0.0)

    def aside(self, place: Place) -> dict[Box, float]:
        """The heights of the initial states and delays beside a panel: those of their ports, but one below another."""
        ports = {link.source: port for port, links in reversed(place.ins.items()) for link in links}
        boxes = [
            box for box in self.picture.panels[place.panel] if box.outside and box.kind != "input"
        ]
        heights = {box: place.port_y(ports[box]) if box in ports else place.y for box in boxes}
        lowest = float("inf")
        for box in sorted(boxes, key=heights.__getitem__, reverse=True):
            height = style.size(box.kind, box.label)[1]
            heights[box] = min(heights[box], lowest - height / 2 - 3)
            lowest = heights[box] - height / 2
        return heights
