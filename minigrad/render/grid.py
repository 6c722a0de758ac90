"""The time grid: a tile for each panel, placed in a column (step) and a band (layer).  Imports `tiles`, `views`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import TYPE_CHECKING

from minigrad.render import style
from minigrad.render.paths import Outline
from minigrad.render.picture import Box, Link, Panel, Picture, Row, Tap
from minigrad.render.place import Place, Port
from minigrad.render.tiles import Shape, lay_out

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

GUTTER, HEADER, TRACK, ELLIPSIS = 34.0, 20.0, 6.0, 92.0
BUS_FROM = 3  # a box outside of time that gathers at least so many steps is drawn as a bar over them


class Grid:
    """Columns from left to right, bands from bottom to top, and the places of all panels in them."""

    def __init__(
        self, picture: Picture, railed: Collection[Tensor], headings: dict[Panel, float], per_row: int | None = None
    ) -> None:
        self.picture, self.railed, self.headings, self.per_row = picture, railed, headings, per_row
        self.low = bool(railed)  # headings stand below, out of the way of the taps
        self.buses: dict[Box, list[Link]] = {}
        self.columns = sorted({(row.segment, t) for row in picture.rows for t in row.panels})
        self.take_buses()
        boxes = [box for row in picture.rows for panel in row.panels.values() for box in panel.boxes]
        labels = [box.label + "\n|dh| 0.0001" * ("|d" in box.label) for box in boxes if box.kind == "cell"]
        self.cell_width = max((style.size("cell", label)[0] for label in labels), default=0.0)
        panels = [panel for row in picture.rows for panel in row.panels.values() if panel.boxes or panel.ins]
        self.columns = sorted({(panel.row.segment, panel.column) for panel in panels})
        self.index = {key: k for k, key in enumerate(self.columns)}
        self.places = {
            panel: self.plan(row, panel)
            for row in picture.rows
            for panel in row.panels.values()
            if panel.boxes or panel.ins
        }
        self.lines = self.break_lines()
        tiles = lay_out(dict.fromkeys(place.shape for place in self.places.values()), style.TAG_HEIGHT)
        for place in self.places.values():
            place.tile = tiles[place.shape]
        self.put_levels()
        self.put_columns()
        self.put_bands()

    # ports

    def take_buses(self) -> None:
        """Boxes that gather many steps leave their panel: they are drawn as bars."""
        for row in self.picture.rows:
            if row.key[0] != "between":
                continue
            for panel in row.panels.values():
                for box in list(panel.boxes):
                    links = [link for link in panel.ins if link.target is box]
                    if len({link.source.panel.column for link in links if link.source.panel is not panel}) >= BUS_FROM:
                        self.take_bus(panel, box, links)

    def take_bus(self, panel: Panel, box: Box, links: list[Link]) -> None:
        """One such box."""
        self.buses[box] = links
        panel.boxes.remove(box)
        panel.ins[:] = [link for link in panel.ins if link.target is not box]
        for link in [link for link in panel.inner if box in (link.source, link.target)]:
            panel.inner.remove(link)
            (panel.ins if link.source is box else links).append(link)

    def break_lines(self) -> list[int]:
        """The line that each column stands in: a new one after every so many steps."""
        steps, lines = 0, []
        for segment, _ in self.columns:
            timed = segment == int(segment)
            lines.append(max(0, steps - (not timed)) // (self.per_row or len(self.columns)))
            steps += timed
        return lines

    @property
    def wrapped(self) -> bool:
        """Whether there is more than one line."""
        return self.lines[-1] > 0

    def gutter_out(self, panel: Panel, box: Box | None = None) -> int:
        """The gutter that a panel is left by; gutter k is left of column k."""
        if box in self.buses:
            return max(k for k, (segment, _) in enumerate(self.columns) if segment < panel.row.segment) + 1
        return self.index[panel.row.segment, panel.column] + (not panel.row.reverse)

    def gutter_in(self, panel: Panel) -> int:
        """The gutter that a panel is entered by."""
        return self.index[panel.row.segment, panel.column] + panel.row.reverse

    def is_adjacent(self, link: Link) -> bool:
        """Whether a link only has to cross one gutter."""
        if link.source in link.source.panel.outer:
            return link.source.kind != "input" and link.source.panel is link.target.panel
        if link.source not in self.buses and self.is_simple(link):
            return False
        if link.source in self.buses and self.per_row:
            return False
        return bool(link.hidden) or self.gutter_out(link.source.panel, link.source) == self.gutter_in(link.target.panel)

    def plan(self, row: Row, panel: Panel) -> Place:
        """The ports of a panel, and its shape."""
        ports: dict[object, Port] = {}
        for link in panel.ins:
            left = self.is_adjacent(link)
            key = link.lane or link.source
            ports.setdefault((key, left), Port([], left)).links.append(link)
        ins = sorted(ports.values(), key=lambda port: (not port.left, not port.links[0].lane.startswith("c")))
        leaving = [(link.source, link.state) for link in panel.outs if link.source in panel.boxes]
        outs = list(dict.fromkeys([*((box, lane) for box in panel.boxes for lane in box.lanes), *leaving]))
        local = {box: k for k, box in enumerate(panel.boxes)}
        lanes = {port.links[0].lane: k for k, port in enumerate(ins) if port.links[0].lane and port.left}
        shape = Shape(
            tuple(self.outline(box) for box in panel.boxes),
            tuple(self.tags_width(box) for box in panel.boxes),
            tuple(dict.fromkeys((local[link.source], local[link.target]) for link in panel.inner)),
            tuple((port.left, tuple(dict.fromkeys(local[link.target] for link in port.links))) for port in ins),
            tuple((local[box], lanes.get(lane, -1)) for box, lane in outs),
            self.picture.view == "cells" and any(box.kind in ("cell", "output", "loss") for box in panel.boxes),
        )
        return Place(panel, self.index[row.segment, panel.column], ins, outs, shape, row.reverse)

    def outline(self, box: Box) -> Outline:
        """The size of a box; all cells are as wide as the widest."""
        if box.kind == "cell":
            return Outline(self.cell_width, style.size(box.kind, box.label)[1])
        return Outline(*style.size(box.kind, box.label), style.LOOKS[box.kind].shape == "circle")

    def tags(self, box: Box) -> list[Tap]:
        """The parameters of a box that are drawn as tags on it."""
        return [tap for tap in box.taps if tap.parameter not in self.railed and box.kind != "cell"]

    def tags_width(self, box: Box) -> float:
        """The width of all tags of a box, side by side."""
        widths = [style.size("tag", tap.label)[0] for tap in self.tags(box)]
        return sum(widths) + 2 * (len(widths) - 1) if widths else 0.0

    # places

    def put_levels(self) -> None:
        """The level of each row in its segment, and the height of tiles in one row so that states run straight."""
        levels: defaultdict[float, int] = defaultdict(int)
        for row in sorted(self.picture.rows, key=lambda row: row.segment):
            places = [self.places[panel] for panel in row.panels.values() if panel in self.places]
            if not places:
                continue
            if row.key[0] == "between":
                beside = [r for r in self.picture.rows if (r.key[-1] == "backward") is (row.key[-1] == "backward")]
                sources = [link.source.panel.row for place in places for link in place.panel.ins]
                row.level = max((r.level for r in sources if r in beside), default=max(r.level for r in beside))
            else:
                row.level = levels[row.segment]
                levels[row.segment] += 1
            self.straighten(sorted(places, key=lambda p: p.column, reverse=row.reverse))

    def straighten(self, places: list[Place]) -> None:
        """Shift each distinct tile up or down so that its states enter where they left the one before."""
        shift: dict[Shape, float] = {}
        heights: dict[str, float] = {}
        for place in places:
            if place.shape not in shift:
                gaps = [
                    heights[port.links[0].lane] - point[1]
                    for port, point in zip(place.ins, place.tile.in_points, strict=True)
                    if port.links[0].lane in heights and port.left
                ]
                shift[place.shape] = sum(gaps) / len(gaps) if gaps else 0.0
            place.y = shift[place.shape]
            for (_, lane), point in zip(place.outs, place.tile.out_points, strict=True):
                if lane:
                    heights[lane] = place.y + point[1]

    def put_columns(self) -> None:
        """The x of each column, and of the gutters between them."""
        widths = [0.0] * len(self.columns)
        for place in self.places.values():
            widths[place.column] = max(widths[place.column], place.tile.width, self.headings.get(place.panel, 0.0))
        self.lefts, self.gutters, gutters = [], [], self.gutter_widths()
        x = 0.0
        for k, width in enumerate(widths):
            gutter = gutters[k]
            if k and self.lines[k] > self.lines[k - 1]:
                x, gutter = 0.0, gutter + 10
            self.gutters.append((x, x + gutter))
            self.lefts.append(x + gutter)
            x += gutter + width
        self.gutters.append((x, x + gutters[-1]))
        self.rights = [left + width for left, width in zip(self.lefts, widths, strict=True)]
        for place in self.places.values():
            place.x = self.rights[place.column] - place.tile.width if place.mirrored else self.lefts[place.column]

    def gutter_widths(self) -> list[float]:
        """Room for what each gutter holds: names of states, initial states, the dots of hidden steps."""
        count = len(self.columns) + 1
        outer, hidden = [0.0] * count, [False] * count
        for place in self.places.values():
            k = self.gutter_in(place.panel)
            for box in place.panel.outer:
                if box.kind != "input":
                    room = (44 if place.mirrored else 20) if box.nodes else 48
                    outer[k] = max(outer[k], style.size(box.kind, box.label)[0] + room)
            hidden[k] = hidden[k] or any(link.hidden for link in place.panel.ins)
        inside = [0.0, *[GUTTER] * (count - 2), 0.0]
        return [o + (ELLIPSIS if h else i) for o, h, i in zip(outer, hidden, inside, strict=True)]

    def strip(self, place: Place) -> float:
        """The top of the strip under a panel: the bottom of its frame."""
        return self.strips[place.panel.row.level] - self.line_height * self.lines[place.column]

    def ceiling(self, place: Place) -> float:
        """The top of a panel's frame."""
        return self.tops[place.panel.row.level] - self.line_height * self.lines[place.column]

    def put_bands(self) -> None:
        """The y of each band, with a strip under it for inputs and for links that come from elsewhere."""
        by_level: defaultdict[int, list[Place]] = defaultdict(list)
        for place in self.places.values():
            by_level[place.panel.row.level].append(place)
        self.strips: dict[int, float] = {}  # the top of the strip under each band
        self.tops: dict[int, float] = {}
        y = 0.0
        for level in sorted(by_level):
            places = by_level[level]
            tracks = max((sum(not port.left for port in place.ins) for place in places), default=0)
            wide = sum(
                not self.is_simple(link)
                for place in places
                for port in place.ins
                for link in port.links
                if not port.left
            )
            inputs = any(box.kind == "input" for place in places for box in place.panel.outer)
            y += 40.0 * inputs + TRACK * (tracks + min(wide, 12)) + 10.0
            rows: defaultdict[Row, list[Place]] = defaultdict(list)
            for place in places:
                rows[place.panel.row].append(place)
            height = 0.0
            for members in rows.values():
                low = min(place.y for place in members)
                for place in members:
                    place.y += y - low + HEADER * self.low
                height = max(height, max(place.y + place.tile.height for place in members) - y - HEADER * self.low)
            self.strips[level], self.tops[level] = y, y + height + HEADER
            y = self.tops[level] + 12.0
        self.line_height = y + 16 + 8 * len(self.buses) + 10 * self.wrapped
        for place in self.places.values():
            place.y -= self.line_height * self.lines[place.column]
        for place in self.places.values():
            if place.panel.row.key[0] == "between":
                self.face_source(place)

    def face_source(self, place: Place) -> None:
        """Move a panel outside of time to the height of what enters it."""
        for port, point in zip(place.ins, place.tile.in_points, strict=True):
            source = self.places.get(port.links[0].source.panel)
            if port.left and source is not None and port.links[0].source in source.panel.boxes:
                out = source.leave(port.links[0].source, port.links[0].state).points[-1]
                lowest, highest = self.strip(place), self.ceiling(place) - HEADER - place.tile.height
                place.y = max(lowest, min(highest, out[1] - point[1]))
                return

    def is_simple(self, link: Link) -> bool:
        """Whether a link from below comes from its own column."""
        source, target = link.source.panel, link.target.panel
        return (source.row.segment, source.column) == (target.row.segment, target.column)
