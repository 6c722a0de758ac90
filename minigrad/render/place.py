"""A panel with its tile and its place on the page.  Imports `tiles`, `picture`."""

from __future__ import annotations

from dataclasses import dataclass, field

from minigrad.render import style
from minigrad.render.paths import Path, Point
from minigrad.render.picture import Box, Link, Panel
from minigrad.render.tiles import Shape, Tile


@dataclass(eq=False, slots=True)
class Port:
    """Where links enter a panel."""

    links: list[Link]
    left: bool  # from the gutter; else from below, through a channel


@dataclass(eq=False, slots=True)
class Place:
    """A panel with its tile and its place: `x`, `y` is the lower left corner of the tile."""

    panel: Panel
    column: int
    ins: list[Port]
    outs: list[tuple[Box, str]]  # the box, and the state that leaves it ("" for other values)
    shape: Shape
    mirrored: bool
    x: float = 0.0
    y: float = 0.0
    tile: Tile = None  # type: ignore[assignment]
    used: list[float] = field(default_factory=list)  # x of the verticals through its heading

    def center(self, box: Box) -> Point:
        """The centre of a box of the panel."""
        return self.point(self.tile.centers[self.panel.boxes.index(box)])

    def point(self, p: Point) -> Point:
        """A point of the tile on the page."""
        return (self.x + (self.tile.width - p[0] if self.mirrored else p[0]), self.y + p[1])

    def path(self, path: Path) -> Path:
        """A path of the tile on the page."""
        return path.moved(self.x, self.y, self.tile.width if self.mirrored else None)

    def leave(self, box: Box, lane: str) -> Path:
        """The way from a box to the border that it leaves the panel by."""
        k = self.outs.index((box, lane))
        return self.path(self.tile.outs[k])

    def channel(self, port: int) -> float:
        """The x of the vertical by which an in-port is reached from below."""
        return self.point((self.tile.channels[port], 0))[0]

    def top(self, box: Box) -> float:
        """The y above a box and its tags."""
        k = self.panel.boxes.index(box)
        tags = style.TAG_HEIGHT if self.shape.tags[k] else 0.0
        return self.center(box)[1] + self.shape.outlines[k].height / 2 + tags

    def is_clear(self, box: Box, x: float, up: bool = True, margin: float = 3.0) -> bool:
        """Whether no other box of the panel stands over (or under) a box at x."""
        y = self.center(box)[1]
        for other, outline, tag in zip(self.panel.boxes, self.shape.outlines, self.shape.tags, strict=True):
            cx, cy = self.center(other)
            if other is not box and (cy > y) is up and abs(cx - x) < max(outline.width, tag) / 2 + margin:
                return False
        return True
