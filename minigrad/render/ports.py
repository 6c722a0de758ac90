"""The columns and lines of a picture, and where values enter and leave a panel.  Imports `tiles`, `ways`, `style`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from minigrad.render import style
from minigrad.render.paths import Outline, Path, Point
from minigrad.render.picture import Box, Link, Panel, Picture, Row, Tap
from minigrad.render.tiles import Port, Shape, Tile
from minigrad.render.ways import Side

TEXTBOOK = ("cell", "output", "loss")  # the kinds of box that one step has in the view of cells


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


class Ports:
    """Panels in columns and lines, each with the shape that its boxes and its ports give it."""

    def __init__(self, picture: Picture, railed: dict[Any, int], per_row: Any) -> None:
        self.picture, self.railed, self.per_row = picture, railed, per_row
        self.into: defaultdict[Panel, list[Link]] = defaultdict(list)
        self.out_of: defaultdict[Box, list[Link]] = defaultdict(list)
        for link in picture.links:
            self.into[link.target.panel].append(link)
            self.out_of[link.source].append(link)
        self.bars = {box: links for box in picture.boxes if (links := self.gathered(box))}
        inside = {
            p: [b for b in boxes if not b.outside and b not in self.bars]
            for p, boxes in picture.panels.items()
        }
        inside = {panel: boxes for panel, boxes in inside.items() if boxes}
        self.columns = sorted({(row.segment, t) for row, t in inside})
        self.column = {key: k for k, key in enumerate(self.columns)}
        self.lines = self.break_lines()
        self.settle_levels(list(dict.fromkeys(row for row, _ in inside)))
        labels = [box.label for box in picture.boxes if box.kind == "cell"]
        if any(
            "\n|d" in label for label in labels
        ):  # strips of several networks stand in the same columns
            labels.append("|dh| 0.00012")
        self.cell = [
            max((style.size("cell", label)[n] for label in labels), default=0.0) for n in (0, 1)
        ]
        self.inner = set[Link]()  # what does not leave its panel
        self.outlines = {box: self.outline(box) for box in picture.boxes}
        self.places = {panel: self.plan(panel, boxes) for panel, boxes in inside.items()}

    def gathered(self, box: Box) -> list[Link]:
        """What a box outside of time gathers from several steps, over which it is drawn as a bar."""
        bare = self.picture.graph.axes and not box.panel[0].timed and not box.outside
        links = (
            [k for k in self.into[box.panel] if k.target is box and k.source.panel[0].timed]
            if bare
            else []
        )
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
                sources = [
                    link.source.panel[0]
                    for (r, _), links in self.into.items()
                    if r is row
                    for link in links
                ]
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
        leaving = [
            (link.source, link.state)
            for box in boxes
            for link in self.out_of[box]
            if link.target not in local
        ]
        outs = list(
            dict.fromkeys([*((box, lane) for box in boxes for lane in box.lanes), *leaving])
        )
        ins: dict[Port, list[Link]] = {}
        order = sorted(
            ports.items(), key=lambda item: (not item[0][2], not style.is_memory(item[0][1]))
        )
        for (source, lane, left), links in order:
            skips = source.kind == "delay" and source.label[1:] not in (
                "−1",
                "+1",
            )  # no state comes from further away
            port = Port(
                lane * (not skips), tuple(dict.fromkeys(local[link.target] for link in links)), left
            )
            like = sum(port == other._replace(again=0) for other in ins)
            ins[port._replace(again=like)] = links
        shape = Shape(
            tuple(self.outlines[box] for box in boxes),
            tuple(dict.fromkeys((local[link.source], local[link.target]) for link in inner)),
            tuple(ins),
            tuple((local[box], lane) for box, lane in outs),
            self.picture.view == "cells"
            and (len(boxes) == 1 or any(box.kind in TEXTBOOK for box in boxes)),
        )
        column = self.column[panel[0].segment, panel[1]]
        return Place(panel, boxes, column, self.lines[column], ins, shape)

    def is_beside(self, link: Link) -> bool:
        """Whether a link comes over the gutter beside its target's panel."""
        if link.source.outside:
            return link.source.kind != "input" and link.source.panel == link.target.panel
        (a, right), (b, left) = self.exit(link), self.side(link.target.panel, False)
        adjacent = right is not left and b - a == (1 if right else -1)
        full = any(
            box.outside and box.kind != "input" for box in self.picture.panels[link.target.panel]
        )
        return adjacent and not full and not (link.source in self.bars and bool(self.per_row))

    def side(self, panel: Panel, out: bool) -> Side:
        """The column of a panel, and whether links leave it (or enter it) at its right."""
        return self.column[panel[0].segment, panel[1]], panel[0].reverse is not out

    def exit(self, link: Link) -> Side:
        """The side of a column where a link begins."""
        if link.source in self.bars:
            return max(
                self.side(part.source.panel, True)[0] for part in self.bars[link.source]
            ), True
        if link.source.outside and link.source.kind == "input":
            return self.side(link.source.panel, True)[0], not link.target.panel[0].reverse
        return self.side(link.source.panel, not link.source.outside)

    def outline(self, box: Box) -> Outline:
        """The size of a box, and the tags on it; all cells have one size."""
        tags = [tap.width + 2 for tap in self.tags(box)]
        width, height = self.cell if box.kind == "cell" else style.size(box.kind, box.label)
        round_ = style.LOOKS[box.kind].shape == "circle"
        return Outline(
            width, height, round_, max(sum(tags) - 2, 0.0), style.TAG_HEIGHT * bool(tags)
        )

    def tags(self, box: Box) -> list[Tap]:
        """The parameters of a box that are drawn as tags on it."""
        return [
            tap
            for tap in box.taps.values()
            if tap.parameter not in self.railed and box.kind != "cell"
        ]
