"""One view of a page: columns that look alike share a template, and each has numbers of its own.

Places are relative to the column, in points; y grows downwards, as in SVG.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minigrad.render import look
from minigrad.render.arrange import Rect
from minigrad.render.infos import STEP, Infos, Numbered, is_made
from minigrad.render.measure import Norms, told
from minigrad.render.options import Options
from minigrad.render.picture import Box, Column, Link, Part, Picture, Tag, Tile
from minigrad.render.routes import Routes
from minigrad.render.splines import Path, beside_tip, shortened
from minigrad.render.texts import Texts
from minigrad.render.typeset import pieces
from minigrad.tensor import Array

NEVER = 1e7  # an order that no pass comes to
UNREACHED = 1e9  # in place of a norm: no gradient reaches it
WIDEST = 8.8e-88  # the norm whose text is the longest
STEEP = 400.0  # how far a line to a bar may lead from its column
MARGIN = 16.0
NOISE = 1e-5  # added before rounding: no error of arithmetic tells like columns apart
BELOW = "\x01"  # stands before and behind what hangs below the line
STEP_BELOW = "\x02"  # the number of the step there

Place = tuple[float, ...]  # the centre of a rectangle, its width and height; or a point
Ref = tuple[int | str, int]  # a column, counted from the one that refers to it, and a box in it


# What columns share.  A number among those of a column is told by its place.


class TagShape(NamedTuple):
    """A tag; in a cell it has no place."""

    label: str
    name: str
    grad: bool
    at: Place | None
    norm: int


class BoxShape(NamedTuple):
    """A box.

    info: the number of its texts.  stop: whether a pass stops there.  order: when that is.
    values: how many entries are told, with as many of the gradient; if none, there are the mean,
    the least and the largest.
    """

    kind: str
    label: str
    info: int
    at: Place
    lanes: tuple[str, ...]
    row: str
    stop: bool
    output: bool
    order: int
    norm: int
    states: tuple[int, ...]
    tags: tuple[TagShape, ...]
    values: int
    value: int


class LinkShape(NamedTuple):
    """A link.  sign: which operand it is, beside the arrowhead.  mark: how it is edited.  text: the
    state that it carries to another step."""

    source: Ref
    target: Ref
    path: tuple[Place, ...]
    lane: str
    dashed: bool
    mark: str
    text: str
    text_at: Place | None
    sign: str
    sign_at: Place | None
    norm: int


class FrameShape(NamedTuple):
    """A frame with its heading.  told: the boxes whose states it tells."""

    at: Place
    text: str
    fill: str = look.PANEL
    told: tuple[int, ...] = ()


class Shape(NamedTuple):
    """All that stands in a column."""

    boxes: tuple[BoxShape, ...]
    links: tuple[LinkShape, ...]
    frames: tuple[FrameShape, ...]


class Numbers(list[float]):
    """The numbers of one column."""

    def put(self, *numbers: float) -> int:
        """Add some numbers; returns the place of the first."""
        place = len(self)
        self.extend(numbers)
        return place


@dataclass(eq=False)
class Template:
    """What columns share, and the numbers of each of them."""

    shape: Shape
    rows: list[Numbers] = field(default_factory=list)

    @property
    def span(self) -> tuple[float, float]:
        """From its left to its right end."""
        places = [box.at for box in self.shape.boxes] + [frame.at for frame in self.shape.frames]
        places = places or [(0.0,) * 4]
        return (
            round(min(x - width / 2 for x, _, width, _ in places), 1),
            round(max(x + width / 2 for x, _, width, _ in places), 1),
        )

    def as_data(self) -> dict[str, Any]:
        """What the page draws."""
        boxes = [
            {**box._asdict(), "tags": [tag._asdict() for tag in box.tags]}
            for box in self.shape.boxes
        ]
        links = [{**link._asdict(), **_drawn(link.path)} for link in self.shape.links]
        frames = [frame._asdict() for frame in self.shape.frames]
        sizes = {"span": self.span, "count": len(self.rows), "width": len(self.rows[0])}
        return {"boxes": boxes, "links": links, "frames": frames, **sizes}

    def numbers(self) -> Array:
        """All numbers, quantity by quantity; orders as differences, of which most are alike."""
        rows = np.array(self.rows)
        orders = [box.order for box in self.shape.boxes]
        rows[:, orders] = np.diff(rows[:, orders], axis=0, prepend=0.0)
        with np.errstate(over="ignore"):
            return rows.T.astype(np.float32)


@dataclass(eq=False)
class PageColumn:
    """What stands in one column: at one time step, outside of time, or (number None) over many."""

    key: Column
    number: int | None
    boxes: list[Box] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    frames: list[tuple[Tile, Rect]] = field(default_factory=list)
    x: float = 0.0
    t: int | None = None


class View:
    """One view of a graph.

    placed: of each column its template, place, time step, key and step in words, and whether it
    spans many.
    """

    def __init__(
        self, picture: Picture, norms: Norms, options: Options, infos: Infos, keep: int
    ) -> None:
        self.picture, self.norms, self.infos, self.keep = picture, norms, infos, keep
        names, first = options.labels, options.count_from
        self.room = Texts(picture, _widest(picture), names, first)
        self.texts = Texts(picture, None, names, first)
        self.layout = Routes(picture, self.room).layout()
        bars = self.layout.bars.items()
        longest = {bar: max(pieces, key=lambda piece: piece.width) for bar, (pieces,) in bars}
        self.rects = self.layout.boxes | longest
        rects = [*self.rects.values(), *self.layout.frames.values()]
        rects += [rect for _, rect in self.layout.panels]
        rects += [rect for _, _, rect in self.layout.scopes]
        corners = [rect.corners for rect in rects]
        self.left, self.right = min(c[0] for c in corners), max(c[2] for c in corners)
        ys = [y for path in self.layout.links.values() for _, y in path]
        ys += [y for c in corners for y in c[1::2]]
        self.bottom, self.top = min(ys) - MARGIN, max(ys) + MARGIN
        self.orders = _orders(picture, infos)
        self.templates = Numbered[Template]()
        self.placed: list[tuple[Any, ...]] = []
        self.home_of: dict[Box, tuple[PageColumn, int]] = {}
        for column in self.columns():
            self.add(column)

    def as_data(self) -> dict[str, Any]:
        """Templates and columns."""
        templates = [one.as_data() for one in self.templates.items]
        span, height = [_near(self.left), _near(self.right)], _near(self.top - self.bottom)
        return {"height": height, "span": span, "templates": templates, "columns": self.placed}

    # columns

    def columns(self) -> list[PageColumn]:
        """All columns from left to right, at last what spans many."""
        boxes, bars = self.picture.boxes, self.layout.bars
        keys = sorted({box.tile.column for box in boxes if box not in bars})
        found = {key: PageColumn(key, k) for k, key in enumerate(keys)}
        whole = PageColumn((math.inf,), None)
        for box in boxes:
            column = whole if box in bars else found[box.tile.column]
            self.home_of[box] = column, len(column.boxes)
            column.boxes.append(box)
        for link in self.picture.links:
            (self.home(link) or whole).links.append(link)
        for tile, rect in self.layout.frames.items() if self.texts.framed else ():
            found[tile.column].frames.append((tile, rect))
        for column in found.values():
            column.x = self.rects[column.boxes[0]].x
            if self.picture.graph.axes and column.boxes[0].tile.row.timed:
                column.t = int(column.key[1]) + self.texts.first
        return [*found.values(), whole]

    def home(self, link: Link) -> PageColumn | None:
        """The column that a link belongs to: that of its target; None if it spans many."""
        (source, _), (target, _) = self.home_of[link.source], self.home_of[link.target]
        if source.number is None:
            return None
        if target.number is None:
            xs = [x for x, _ in self.layout.links[link]]
            return source if max(xs) - min(xs) < STEEP else None
        return target if abs(target.number - source.number) <= 1 else None

    def ref(self, box: Box, column: PageColumn) -> Ref:
        """A box as a column refers to it."""
        home, slot = self.home_of[box]
        return ("g" if home.number is None else home.number - (column.number or 0)), slot

    def add(self, column: PageColumn) -> None:
        """One column, as an instance of a template."""
        numbers = Numbers()
        shape = Shape(
            tuple(self.box(box, column, numbers) for box in column.boxes),
            tuple(self.link(link, column, numbers) for link in column.links),
            tuple(self.frames(column)),
        )
        if not any(shape):
            return
        number = self.templates.number(shape, lambda: Template(shape))
        self.templates.items[number].rows.append(numbers)
        key = ",".join(f"{c:g}" for c in column.key)
        when = self.infos.when(column.key) if column.t is not None else ""
        spans = column.number is None
        self.placed.append((number, round(column.x, 1), column.t, key, when, spans))

    def point(self, x: float, y: float, column: PageColumn) -> Place:
        """A point relative to a column."""
        return _near(x - column.x), _near(self.top - y)

    def path(self, path: Path, column: PageColumn) -> tuple[Place, ...]:
        """A spline relative to a column."""
        left, top = column.x - NOISE, self.top + NOISE
        return tuple([(round(x - left, 2), round(top - y, 2)) for x, y in path])

    def place(self, rect: Rect, column: PageColumn) -> Place:
        """A rectangle relative to a column."""
        return *self.point(rect.x, rect.y, column), _near(rect.width), _near(rect.height)

    # what stands in a column

    def box(self, box: Box, column: PageColumn, numbers: Numbers) -> BoxShape:
        """A box, with what is told of it in one step."""
        label = self.label(box, column.t)
        order, norm = numbers.put(self.orders[box]), numbers.put(self.log(box))
        states = (norm,) * len(box.states)
        if len(box.states) > 1:
            logs = [packed(self.norms.parts.get(part)) for _, part in box.states]
            states = tuple(map(numbers.put, logs))
        tags = tuple(self.tag(tag, column, numbers) for tag in box.tags)
        value, count = self.value(told(box)[-1]) if box.parts else ([], 0)
        return BoxShape(
            kind=box.kind,
            label=_typeset(label),
            info=self.infos.info(box, label),
            at=self.place(self.rects[box], column),
            lanes=tuple(map(self.texts.name, box.lanes)),
            row=box.tile.row.name,
            stop=is_made(box),
            output=not self.picture.outputs.isdisjoint(box.parts),
            order=order,
            norm=norm,
            states=states,
            tags=tags,
            values=count,
            value=numbers.put(*value),
        )

    def label(self, box: Box, t: int | None) -> str:
        """What stands in a box; in a cell, there is a line for the gradient of each state."""
        label = self.texts.labels[box]
        if t is not None:
            label = label.replace(look.subscript(t), STEP)
        return label + "\n" * len(box.lanes) if box.kind == "cell" else label

    def tag(self, tag: Tag, column: PageColumn, numbers: Numbers) -> TagShape:
        """A tag of a box."""
        rect, label = self.layout.tags.get(tag), _typeset(self.texts.tags[tag])
        at = self.place(rect, column) if rect is not None else None
        grad = tag.parameter._requires_grad
        return TagShape(label, tag.name, grad, at, numbers.put(self.log(tag)))

    def value(self, part: Part) -> tuple[list[float], int]:
        """The entries of a small array and of its gradient, and how many there are; of a large one
        the mean, the least and the largest."""
        array = part.node._array if part.part is None else part.node._array[part.part]
        if 0 < array.size <= max(1, self.keep):
            unknown = np.full(array.size, math.nan)
            grad = self.norms.entries.get(part, unknown)
            return [*map(float, array.ravel()), *grad.tolist()], array.size
        if not array.size or array.dtype.kind not in "biuf":
            return [math.nan] * 3, 0
        return [float(array.mean(dtype=np.float64)), float(array.min()), float(array.max())], 0

    def link(self, link: Link, column: PageColumn, numbers: Numbers) -> LinkShape:
        """A link with the norm of what flows along it."""
        path = self.layout.links[link]
        tip = beside_tip(path, self.layout.sign_is_right(link))
        lane = link.lane or self.layout.lanes.get(link, "")
        crosses = link.lane and link.source.tile != link.target.tile
        text = self.texts.name(link.lane) if crosses else ""
        dashed = bool(link.hidden) or "stub" in (link.source.kind, link.target.kind)
        return LinkShape(
            source=self.ref(link.source, column),
            target=self.ref(link.target, column),
            path=self.path(path, column),
            lane=self.picture.kind_of_state(lane) if lane else "",
            dashed=dashed,
            mark=link.mark,
            text=text,
            text_at=self.point(*self.layout.captions[link], column) if link.mark or text else None,
            sign=link.sign,
            sign_at=self.point(*tip, column) if link.sign else None,
            norm=numbers.put(self.log(link)),
        )

    def frames(self, column: PageColumn) -> Iterator[FrameShape]:
        """The frames of tiles; of scopes, in the one column of what has no time; around the steps
        of an outer axis."""
        for tile, rect in column.frames:
            yield self.frame(tile, rect, column)
        if column.number is None:
            for tile, rect in self.layout.panels:
                yield FrameShape(
                    self.place(rect, column), self.texts.outer_heading(tile), fill="none"
                )
        if column.number == 0:
            for name, _, rect in self.layout.scopes:
                yield FrameShape(self.place(rect, column), name)

    def frame(self, tile: Tile, rect: Rect, column: PageColumn) -> FrameShape:
        """The frame of a tile."""
        boxes, text = self.picture.tiles[tile], self.texts.heading(tile)
        if column.t is not None:
            text = text.replace(self.texts.time_of(tile), STEP, 1)
        shown = [box for box in boxes if self.room.gradients(box)]
        shown.sort(key=lambda box: self.picture.memories.isdisjoint(box.lanes))
        inside, rows = self.texts.mask_of(boxes)
        slots = tuple(self.home_of[box][1] for box in shown)
        fill = look.MASKED if inside < rows else look.PANEL
        return FrameShape(self.place(rect, column), text, fill, slots)

    def log(self, thing: Box | Link | Tag) -> float:
        """The norm of the gradient of a thing, as it is packed."""
        return packed(self.norms.get(thing))


def _orders(picture: Picture, infos: Infos) -> dict[Box, float]:
    """When a pass comes to what makes a box, or first to what takes one that no operation makes."""
    made = {box: float(infos.order_of(box)) for box in picture.boxes if is_made(box)}
    found = dict.fromkeys(picture.boxes, NEVER) | made
    for link in picture.links:
        if link.source not in made:
            found[link.source] = min(found[link.source], made.get(link.target, NEVER))
    return found


def _widest(picture: Picture) -> Norms:
    """In place of the norms, of which only the page tells those that a pass has come to: the one
    that takes most room."""
    parts = {part: WIDEST for box in picture.boxes for _, part in box.states}
    return Norms({}, parts, {}, {}, (0.0, 1.0))


def packed(norm: float | None) -> float:
    """The logarithm of a norm, as it is packed."""
    if norm is None:
        return UNREACHED
    if norm == 0:
        return -math.inf
    return math.log10(norm) if norm > 0 else math.nan


def _near(number: float) -> float:
    """A length, rounded."""
    return round(number + NOISE, 2)


@lru_cache(maxsize=1024)
def _typeset(text: str) -> str:
    """A text whose pieces that hang below the line are marked."""
    lines = [
        [
            f"{BELOW}{one.text.replace(STEP, STEP_BELOW)}{BELOW}" if one.below else one.text
            for one in pieces(line)
        ]
        for line in text.split("\n")
    ]
    return "\n".join(map("".join, lines))


def _drawn(path: tuple[Place, ...]) -> dict[str, Any]:
    """How far a spline reaches, and its SVG with the arrowhead at either end."""
    xs, points = [x for x, _ in path], [(x, y) for x, y in path]
    return {"span": [min(xs), max(xs)], "path": [_arrow(points), _arrow(points[::-1])]}


def _arrow(path: Path) -> list[str]:
    """A spline and the arrowhead at its end, as paths of SVG."""
    (first, *rest), (tx, ty) = shortened(path)
    bx, by = rest[-1]
    dx, dy = 0.45 * (tx - bx), 0.45 * (ty - by)
    corners = [(tx, ty), (bx - dy, by + dx), (bx + dy, by - dx)]
    return [
        f"M{_pair(first)}C{' '.join(map(_pair, rest))}",
        f"M{'L'.join(map(_pair, corners))}Z",
    ]


def _pair(point: tuple[float, float]) -> str:
    return ",".join(f"{c:.1f}".removesuffix(".0") for c in point)
