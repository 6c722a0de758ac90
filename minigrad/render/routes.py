"""The ways of links between panels: through gutters and under bands, never over a box.  Imports `grid`, `paths`."""

from __future__ import annotations

import math
from collections import defaultdict

from minigrad.render import style
from minigrad.render.grid import TRACK, Grid
from minigrad.render.paths import Path, Point, rounded, straight, swing
from minigrad.render.picture import Box, Link
from minigrad.render.place import Place


class Router:
    """Finds the path of each link between two panels; tracks that are taken are not given out twice."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.taken: defaultdict[tuple[int, int], list[tuple[float, float, float, object]]] = defaultdict(list)
        self.verticals: defaultdict[int, dict[object, int]] = defaultdict(dict)
        self.outer: dict[Box, Point] = {}
        self.labels: dict[Link, Point] = {}
        self.bus_y: dict[Box, float] = {}

    def routes(self) -> dict[Link, Path]:
        """The way of every link between panels."""
        links = [link for place in self.grid.places.values() for port in place.ins for link in port.links]
        for place in self.grid.places.values():
            self.place_initials(place)
        found = {link: self.route(link) for link in links if link.source.kind != "input"}
        for box, arriving in self.grid.buses.items():
            found |= {link: self.to_bus(link) for link in arriving if link.source not in box.panel.outer}
        for place in self.grid.places.values():
            found |= {link: self.loop(link, place) for link in place.panel.outs if link.target.kind == "delay"}
        for place in self.grid.places.values():
            self.place_inputs(place)
        return found | {link: self.route(link) for link in links if link not in found}

    def place_initials(self, place: Place) -> None:
        """Initial states stand beside the panel, at the height of their ports, or as near to it as there is room."""
        left, right = self.grid.gutters[self.grid.gutter_in(place.panel)]
        heights = [place.point(point)[1] for point in place.tile.in_points]
        lowest = math.inf
        for k in sorted(range(len(heights)), key=lambda k: -heights[k]):
            for box in dict.fromkeys(link.source for link in place.ins[k].links):
                if box in place.panel.outer and box.kind != "input" and box not in self.outer:
                    width, height = self.grid.outline(box)[:2]
                    y = min(heights[k], lowest - height / 2 - 3)
                    lowest = y - height / 2
                    self.outer[box] = (left + 26 + width / 2 if place.mirrored else right - 18 - width / 2, y)

    def place_inputs(self, place: Place) -> None:
        """Inputs stand under the panel and under all tracks."""
        inputs = [box for box in place.panel.outer if box.kind == "input"]
        y = min([self.grid.strip(place) - 6, *(track[0] for track in self.taken[self.band(place)])]) - 22
        for k, port in enumerate(place.ins):
            for box in [link.source for link in port.links if link.source in inputs]:
                x = place.channel(k) + 33.0 * inputs.index(box) * (-1 if place.mirrored else 1)
                self.outer[box] = (x, y)

    def route(self, link: Link) -> Path:
        """The way of a link, from the border of its source to the border of its target."""
        target = self.grid.places[link.target.panel]
        port = next(k for k, p in enumerate(target.ins) if link in p.links)
        local = target.panel.boxes.index(link.target)
        leg = target.path(target.tile.ins[port][target.shape.ins[port][1].index(local)])
        if link.source in self.outer:
            return self.from_outer(link, target, port, leg)
        if target.ins[port].left:
            return self.across(link, target, port, leg)
        return self.from_below(link, target, port, leg)

    def from_outer(self, link: Link, target: Place, port: int, leg: Path) -> Path:
        """From an input or an initial state."""
        x, y = self.outer[link.source]
        outline = self.grid.outline(link.source)
        entry = leg.points[0]
        if target.ins[port].left:
            side = -1 if target.mirrored else 1
            return swing((x + side * outline.width / 2, y), entry).then(leg)
        channel = target.channel(port)
        cells = self.grid.picture.view == "cells" and link.source.kind == "input"
        if link.source.panel is not target.panel and cells:
            home = self.grid.places[link.source.panel]
            gutter = self.grid.rights[home.column] + 8 + 5 * self.vertical(home.column + 1, link.source)
            track = self.track(target, min(channel, gutter), max(channel, gutter), link.source)
            start = (x + outline.width / 2, y)
            return rounded(start, (gutter, y), (gutter, track), (channel, track), (channel, entry[1]), entry).then(leg)
        middle = self.grid.strip(target) - 7
        return rounded((x, y + outline.height / 2), (x, middle), (channel, middle), (channel, entry[1]), entry).then(
            leg
        )

    def border(self, place: Place, out: bool) -> float:
        """The x of the border of a panel's frame at which links leave or enter."""
        right = place.mirrored != out
        return self.grid.rights[place.column] if right else self.grid.lefts[place.column]

    def across(self, link: Link, target: Place, port: int, leg: Path) -> Path:
        """Across one gutter, or from a bar into the gutter beside it."""
        entry = (self.border(target, False), leg.points[0][1])
        if link.source in self.grid.buses:
            y = self.bus_y[link.source]
            x = entry[0] - 10 - 5 * self.vertical(self.grid.gutter_in(target.panel), link.source)
            return rounded((self.bus_right(link.source), y), (x, y), (x, entry[1]), entry).then(leg)
        source = self.grid.places[link.source.panel]
        out = source.leave(link.source, link.state)
        start = (self.border(source, True), out.points[-1][1])
        if self.grid.lines[source.column] != self.grid.lines[target.column]:
            return out.then(self.wrap(link, source, start, target, entry)).then(leg)
        self.labels[link] = ((start[0] + entry[0]) / 2, (start[1] + entry[1]) / 2)
        return out.then(swing(start, entry)).then(leg)

    def wrap(self, link: Link, source: Place, start: Point, target: Place, entry: Point) -> Path:
        """From the end of one line to the beginning of the next, as text does."""
        key = (link.lane or link.source, source.column)
        k = self.vertical(self.grid.gutter_out(source.panel), key)
        side = -1 if source.mirrored else 1
        y = max(self.grid.tops.values()) - self.grid.line_height * max(
            self.grid.lines[source.column], self.grid.lines[target.column]
        )
        y += 10 + 6 * k + 8 * len(self.grid.buses)
        right, left = start[0] + side * (10 + 6 * k), entry[0] - side * (14 + 6 * k)
        if link.hidden and k == 0:
            self.labels[link] = ((left + right) / 2, y + 8)
        return rounded(start, (right, start[1]), (right, y), (left, y), (left, entry[1]), entry)

    def bus_right(self, box: Box) -> float:
        """Where a bar ends."""
        return self.grid.rights[self.grid.gutter_out(box.panel, box) - 1]

    def from_below(self, link: Link, target: Place, port: int, leg: Path) -> Path:
        """Through the strip under the band, and up a channel."""
        entry, channel = leg.points[0], target.channel(port)
        level = target.panel.row.level
        if link.source in self.grid.buses:
            if self.grid.wrapped:
                x, bottom = self.bar_x(link.source), self.grid.strip(target) - 2
                y = self.track(target, min(x, channel), max(x, channel), link.source)
                start = (x, bottom)
                return rounded(start, (x, y), (channel, y), (channel, entry[1]), entry).then(leg)
            x = self.grid.gutters[self.grid.gutter_out(link.source.panel, link.source)][0] + 8
            y = self.track(target, min(x, channel), max(x, channel), link.source)
            bus = (self.bus_right(link.source), self.bus_y[link.source])
            return rounded(bus, (x, bus[1]), (x, y), (channel, y), (channel, entry[1]), entry).then(leg)
        source = self.grid.places[link.source.panel]
        cx = source.center(link.source)[0]
        above = source.panel.row.level == level - 1 and self.grid.is_simple(link)
        inputs = any(box.kind == "input" for box in target.panel.outer)
        under_input = inputs and any(abs(target.channel(k) - cx) < 20 for k, p in enumerate(target.ins) if not p.left)
        if above and not under_input and source.is_clear(link.source, cx):
            y = self.track(target, min(cx, channel), max(cx, channel), link.source)
            top = source.top(link.source)
            source.used.append(cx)
            return rounded((cx, top), (cx, y), (channel, y), (channel, entry[1]), entry).then(leg)
        out = source.leave(link.source, link.state)
        gutter = self.grid.gutter_out(source.panel)
        k = self.vertical(gutter, link.source)
        x = self.border(source, True) + (8 + 5 * k) * (-1 if source.mirrored else 1)
        bend = [out.points[-1], (x, out.points[-1][1])]
        if self.grid.lines[source.column] != self.grid.lines[target.column]:  # around the right end of the lines
            far = max(self.grid.rights) + 20 + 5 * self.vertical(-1, link.source)
            under = self.track(source, x, far, link.source)
            bend, x = [*bend, (x, under), (far, under)], far
        y = self.track(target, min(x, channel), max(x, channel), link.source)
        bend += [(x, y), (channel, y), (channel, entry[1]), entry]
        return out.then(rounded(*bend)).then(leg)

    def to_bus(self, link: Link) -> Path:
        """Up from a box to the bar that gathers it."""
        y = self.bus_y[link.target] - 8
        if link.source in self.grid.buses:
            x = self.bus_right(link.source) - 12
            return straight((x, self.bus_y[link.source] + 8), (x, y))
        source = self.grid.places[link.source.panel]
        cx = source.center(link.source)[0]
        if self.grid.wrapped:
            return self.to_bar(link, source)
        is_top = source.panel.row.level == max(
            r.level for r in self.grid.picture.rows if r.segment == source.panel.row.segment
        )
        if is_top and source.is_clear(link.source, cx):
            source.used.append(cx)
            return straight((cx, source.top(link.source)), (cx, y))
        out = source.leave(link.source, link.state)
        k = self.vertical(self.grid.gutter_out(source.panel), link.source)
        x = self.border(source, True) + (8 + 5 * k) * (-1 if source.mirrored else 1)
        return out.then(rounded(out.points[-1], (x, out.points[-1][1]), (x, y)))

    def bar_x(self, box: Box) -> float:
        """The x of a bar that stands upright at the right of all lines."""
        return max(self.grid.rights) + 56 + 54 * list(self.grid.buses).index(box)

    def bar_width(self, box: Box) -> float:
        """The width of such a bar: that of the longest word of its label."""
        return max(style.RAIL_HEIGHT, max(style.text_width(word, 12) for word in box.label.split()) + 6)

    def to_bar(self, link: Link, source: Place) -> Path:
        """Up from a box, then right to the upright bar."""
        highest = max(self.grid.tops.values()) - self.grid.line_height * self.grid.lines[source.column]
        y = highest + 7 + 8 * list(self.grid.buses).index(link.target)
        end = (self.bar_x(link.target) - self.bar_width(link.target) / 2, y)
        cx = source.center(link.source)[0]
        is_top = self.grid.ceiling(source) == highest
        if is_top and source.is_clear(link.source, cx):
            source.used.append(cx)
            return rounded((cx, source.top(link.source)), (cx, y), end)
        out = source.leave(link.source, link.state)
        k = self.vertical(self.grid.gutter_out(source.panel), link.source)
        x = self.border(source, True) + (8 + 5 * k) * (-1 if source.mirrored else 1)
        return out.then(rounded(out.points[-1], (x, out.points[-1][1]), (x, y), end))

    def loop(self, link: Link, place: Place) -> Path:
        """In a rolled picture: from a state around the panel, under it, into the delay in front of it."""
        out = place.leave(link.source, link.state)
        side = -1 if place.mirrored else 1
        k = self.vertical(self.grid.gutter_out(place.panel), link)
        far = self.border(place, True) + side * (10 + 6 * k)
        x, y = self.outer[link.target]
        near = x - side * (self.grid.outline(link.target).width / 2 + 10 + 6 * k)
        under = self.track(place, min(near, far), max(near, far), link)
        end = (x - side * self.grid.outline(link.target).width / 2, y)
        start = out.points[-1]
        return out.then(rounded(start, (far, start[1]), (far, under), (near, under), (near, y), end))

    def vertical(self, gutter: int, source: object) -> int:
        """The number of the vertical track in a gutter that belongs to a source."""
        tracks = self.verticals[gutter]
        return tracks.setdefault(source, len(tracks))

    def band(self, place: Place) -> tuple[int, int]:
        """The line and the level of a panel."""
        return self.grid.lines[place.column], place.panel.row.level

    def track(self, place: Place, left: float, right: float, source: object) -> float:
        """The y of a free horizontal track under a panel's band; links from one source share theirs."""
        y, taken = self.grid.strip(place) - 7, self.taken[self.band(place)]
        while any(
            other is not source and abs(height - y) < 1 and left < b + 4 and a < right + 4
            for height, a, b, other in taken
        ):
            y -= TRACK
        taken.append((y, left, right, source))
        return y
