"""What a page plays: the views of one graph as tiles that repeat, and the numbers of every step.

Columns that look alike share one template; what differs from step to step is numbers, packed as
float32.  Norms of gradients are packed as their logarithm to the base 10, so that what has vanished
to 1e-60 is still told apart from zero.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad import naming
from minigrad.graph import Graph
from minigrad.render import look
from minigrad.render.arrange import Rect
from minigrad.render.infos import Infos, PageTexts
from minigrad.render.link import make_picture
from minigrad.render.measure import Norms, decades, measure_each
from minigrad.render.names import Names
from minigrad.render.options import Options, shown_steps
from minigrad.render.picture import Box, Column, Link, Part, Picture, Tile
from minigrad.render.read import Reading, read
from minigrad.render.routes import Routes
from minigrad.render.rows import set_rows
from minigrad.render.series import Teller, limits, series
from minigrad.render.splines import Path
from minigrad.render.typeset import pieces
from minigrad.render.words import note, words
from minigrad.tensor import Array

HELD = 250_000  # operations; of a longer graph a page holds only the last steps
ENTRIES = 40_000  # numbers of small arrays that a page tells in full
LARGEST = 16  # entries of an array that is told in full
BLOCKS = 4_000  # operations up to which a view of the blocks is made beside the others
NEVER = 1e7  # an order that no pass comes to
UNREACHED = 1e9  # in place of a norm: no gradient reaches it
HEAD = 6.0  # the length of an arrowhead
GLOBAL = "g"  # the column of what spans many
Ref = tuple[int | str, int]  # a column, counted from the one that refers to it, and a box in it


@dataclass(eq=False)
class Template:
    """What columns that look alike share; `rows`: the numbers of each of them."""

    number: int
    shape: dict[str, Any]
    rows: list[list[float]] = field(default_factory=list)


@dataclass(frozen=True)
class Tape:
    """All that a page holds of one graph: texts and shapes, what is told of it, and numbers.

    book: what graphs of the same program share.  told: what holds for this one alone.
    """

    book: dict[str, Any]
    told: dict[str, Any]
    arrays: list[Array]
    scale: list[float]
    limits: tuple[int, int]


def tape(graph: Graph, options: Options) -> Tape:
    """The views of a graph, its texts, and the numbers of every step, template by template."""
    reading = read(graph)
    set_rows(reading)
    pictures, names, notes = _pictures(reading, options)
    has_pass = _has_pass(graph) and any(picture.boxes for picture in pictures)
    keep = _entries(pictures[0])
    norms = measure_each(pictures, keep=keep) if has_pass else [None] * len(pictures)
    word = words(options.lang)
    if not has_pass:
        notes.append(_why_no_pass(graph, pictures[0], word))
    texts = Infos(reading, names, options, word)
    views = {
        picture.view: _View(picture, found, options, texts, keep)
        for picture, found in zip(pictures, norms, strict=True)
        if picture.boxes
    }
    teller = _teller(texts, options, word)
    first, measured = pictures[0], norms[0]
    notes += [note(text, options.lang) for text in first.notes]
    told = {
        "summary": _summary(graph, word), "notes": list(dict.fromkeys(notes)),
        "backward": has_pass, "parameters": _parameters(graph, measured),
        "series": series(first, measured, teller) if measured else [],
        "at": _opens_at(reading, texts, options),
    }  # fmt: skip
    book = {
        "views": _placed({name: view.as_data() for name, view in views.items()}),
        "infos": texts.infos, "programs": texts.programs(), "rules": texts.rules,
    }  # fmt: skip
    return Tape(
        book,
        told,
        [array for view in views.values() for array in view.arrays()],
        _scale(norms, options),
        limits(first, measured, teller) if measured else (-1, 0),
    )


def _placed(views: dict[str, Any]) -> dict[str, Any]:
    """The views, with the place of each template's numbers among all of the graph's."""
    start = 0
    for template in (one for view in views.values() for one in view["templates"]):
        template["start"] = start
        start += template["count"] * template["width"]
    return views


def _summary(graph: Graph, word: dict[str, str]) -> str:
    """How large a graph is."""
    return word["summary" if graph.axes else "summary.untimed"].format(
        steps=sum(map(len, _steps(graph).values())),
        operations=sum(node.op is not None for node in graph.nodes),
        parameters=len(graph.parameters),
    )


def _teller(texts: Infos, options: Options, word: dict[str, str]) -> Teller:
    """How what is told of the states names things."""
    labels, first = options.labels or {}, options.count_from

    def operation(box: Box) -> str:
        node = box.parts[-1].node
        return look.shorten(naming.expression(texts.graph, node).removeprefix("mg."), 40)

    def when(box: Box) -> str:
        return _when(box.tile.column, first)

    def lane(name: str) -> str:
        return labels.get(name, name)

    return Teller(lambda box: texts.order[box.parts[-1]], operation, when, lane, word)


def _when(column: Column, first: int) -> str:
    """The step of a column, or the steps of nested axes."""
    return ", ".join(f"{t + first:g}" for t in column[1:] if t != math.inf)


# pictures


def _pictures(reading: Reading, options: Options) -> tuple[list[Picture], Names, list[str]]:
    """The graph as operations, as cells, in the view asked for and, where they differ, as blocks."""
    graph = reading.graph
    names = Names(reading, options.labels or {}, False, options.count_from)
    notes = []
    steps = "all"
    operations = sum(node.op is not None for node in graph.nodes)
    if operations > HELD and graph.axes:
        longest = max(len(axis) for axis in _steps(graph).values())
        kept = max(1, longest * HELD // operations)
        steps = f"-{kept}:"
        sentence = words(options.lang)["too long"]
        notes.append(sentence.format(operations=operations, kept=kept, steps=longest))
    shown, left_out = shown_steps(reading, "ops", steps)
    found = [
        make_picture(names, shown, view, options.blocks, [left_out] if left_out else [])
        for view in _views(graph, options)
    ]
    return [found[0], *_different(found, options.view)], names, notes


def _different(pictures: list[Picture], asked: str) -> list[Picture]:
    """Without views that look like another one: blocks often are the cells, or the operations."""
    sizes = {picture.view: len(picture.boxes) for picture in pictures}
    kept: list[Picture] = []
    for picture in pictures[1:]:
        others = [sizes["ops"], *(sizes[one.view] for one in kept)]
        apart = all(not 0.7 < sizes[picture.view] / (size or 1) < 1.4 for size in others)
        if apart or picture.view == asked:
            kept.append(picture)
    return kept


def _views(graph: Graph, options: Options) -> list[str]:
    """Operations and cells; the view that is asked for; of what is not too long, blocks."""
    views = ["ops", "cells"]
    if len(graph) <= BLOCKS or options.blocks is not None:
        views.append("blocks")
    return list(dict.fromkeys([*views, options.view]))


def _steps(graph: Graph) -> dict[Any, set[int]]:
    found = defaultdict[Any, set[int]](set)
    for axis, t in graph.timeline.outermost:
        found[axis].add(t)
    return found


def _has_pass(graph: Graph) -> bool:
    """Whether there is a backward pass to play: a scalar that depends on something that requires grad."""
    return any(y.size == 1 and y._requires_grad for y in graph.outputs)


def _why_no_pass(graph: Graph, picture: Picture, word: dict[str, str]) -> str:
    if not picture.boxes:
        return word["no operation"]
    if any(y._requires_grad for y in graph.outputs):
        shapes = ", ".join(look.shape(y.shape) or word["number"] for y in graph.outputs)
        return word["no scalar"].format(shapes=shapes)
    return word["no gradient"]


def _entries(picture: Picture) -> int:
    """Up to how many entries an array is told in full."""
    return min(LARGEST, ENTRIES // (2 * len(picture.boxes) + 1))


def _scale(norms: Sequence[Norms | None], options: Options) -> list[float]:
    """The decades of the colours."""
    known = next((one.scale for one in norms if one is not None), (0.0, 1.0))
    return list(options.scale or known)


def joint_scale(scales: Iterable[Sequence[float]]) -> list[float]:
    """One scale that holds several."""
    pairs = list(scales)
    return list(decades([10.0 ** min(lo for lo, _ in pairs), 10.0 ** max(hi for _, hi in pairs)]))


def _parameters(graph: Graph, norms: Norms | None) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "shape": look.shape(x.shape),
            "uses": len(graph.users[x]),
            "norm": _spelled(_log(norms.parameters.get(x) if norms is not None else None)),
        }
        for name, x in graph.parameters.items()
    ]


def _opens_at(reading: Reading, infos: Infos, options: Options) -> int | None:
    """Where the page opens: at the first highlighted node, or at the last of the steps asked for."""
    known = set(reading.graph.nodes)
    for node in options.highlight:
        if node not in known:
            raise ValueError(f"highlight: {node!r} is no node of the graph {reading.graph!r}")
    for node in options.highlight:
        while node in reading.folded:
            node = reading.folded[node]
        return next((k for part, k in infos.order.items() if part.node is node), None)
    if options.steps in ("auto", "all"):
        return None
    shown, _ = shown_steps(reading, "ops", options.steps)
    drawn = [value for value in reading.drawn if value.time and shown(value)]
    return infos.order[drawn[-1].key] if drawn else None


def _log(norm: float | None) -> float:
    """The logarithm of a norm, as it is packed."""
    if norm is None:
        return UNREACHED
    return math.log10(norm) if norm > 0 else (norm and math.nan) or -math.inf


def _spelled(number: float) -> str:
    """A number as JavaScript reads it; JSON has no word for what is not finite."""
    return str(number).replace("inf", "Infinity").replace("nan", "NaN")


# one view


class _View:
    """One view of a graph: templates, and which column looks like which."""

    def __init__(
        self, picture: Picture, norms: Norms | None, options: Options, infos: Infos, keep: int
    ) -> None:
        self.picture, self.norms, self.infos, self.keep = picture, norms, infos, keep
        self.first = options.count_from
        self.texts = PageTexts(picture, None, options.labels or {}, options.count_from)
        self.layout = layout = Routes(picture, self.texts).layout()
        self.bars = set(layout.bars)
        inside = [box for box in picture.boxes if box not in self.bars]
        self.columns = sorted({box.tile.column for box in inside})
        self.at = {column: k for k, column in enumerate(self.columns)}
        self.ref: dict[Box, Ref] = {}
        self.members: dict[int | str, list[Box]] = defaultdict(list)
        for box in picture.boxes:
            where = GLOBAL if box in self.bars else self.at[box.tile.column]
            self.ref[box] = where, len(self.members[where])
            self.members[where].append(box)
        self.links: dict[int | str, list[Link]] = defaultdict(list)
        for link in picture.links:
            self.links[self.home(link)].append(link)
        self.frames: dict[int | str, list[tuple[Tile, Rect]]] = defaultdict(list)
        for tile, frame in layout.frames.items() if self.texts.framed else ():
            if tile.column in self.at:
                self.frames[self.at[tile.column]].append((tile, frame))
        self.due = {box: NEVER for box in picture.boxes if not _is_made(box)}
        for link in picture.links:
            if link.source in self.due and _is_made(link.target):
                order = float(infos.order[link.target.parts[-1]])
                self.due[link.source] = min(self.due[link.source], order)
        self.top = self.highest()
        self.templates: dict[str, Template] = {}
        self.placed: list[list[Any]] = []
        self.before: dict[tuple[int, int], float] = {}
        for k, column in enumerate(self.columns):
            self.add(k, self.left(k), column)
        self.add(GLOBAL, 0.0, (math.inf,))

    # places

    def rect(self, box: Box) -> Rect:
        """Where a box stands; a bar in its longest piece."""
        if box in self.bars:
            return max(self.layout.bars[box], key=lambda piece: piece.width)
        return self.layout.boxes[box]

    def home(self, link: Link) -> int | str:
        """The column that a link belongs to: that of its target, unless it spans many."""
        (a, _), (b, _) = self.ref[link.source], self.ref[link.target]
        if isinstance(a, int) and b == GLOBAL:
            return a if self.is_steep(link) else GLOBAL
        if isinstance(a, int) and isinstance(b, int) and abs(b - a) <= 1:
            return b
        return GLOBAL

    def is_steep(self, link: Link) -> bool:
        """Whether the way to a bar stays in the column where it begins."""
        xs = [x for x, _ in self.layout.links[link]]
        return max(xs) - min(xs) < 400

    def highest(self) -> float:
        """The top of everything; y is turned to grow downwards."""
        tops = [self.rect(box).corners[3] for box in self.picture.boxes]
        tops += [frame.corners[3] for frame in self.layout.frames.values()]
        tops += [y for path in self.layout.links.values() for _, y in path]
        return max(tops) + 16

    def left(self, k: int) -> float:
        """The left border of a column."""
        found = [rect.corners[0] for _, rect in self.frames.get(k, ())]
        found += [self.rect(box).corners[0] for box in self.members.get(k, ()) if not box.beside]
        found = found or [self.rect(box).corners[0] for box in self.members.get(k, ())]
        return min(found, default=0.0)

    # templates

    def add(self, k: int | str, x: float, column: Column) -> None:
        """One column, as an instance of a template."""
        t = int(column[1]) + self.first if self.is_timed(k) else None
        boxes, links = self.members.get(k, []), self.links.get(k, [])
        if not boxes and not links:
            return
        shape = {
            "boxes": [self.box(box, x, t) for box in boxes],
            "links": [self.link(link, k, x) for link in links],
            "frames": [self.frame(tile, frame, x) for tile, frame in self.frames.get(k, ())],
        }
        if k == 0:  # what has scopes for frames has no time, and one column
            scopes = self.layout.scopes
            shape["frames"] += [{"at": self.place(r, x), "text": name} for name, _, r in scopes]
        key = repr(shape)
        template = self.templates.setdefault(key, Template(len(self.templates), shape))
        number = template.number
        numbers: list[float] = []
        for slot, box in enumerate(boxes):
            numbers += self.numbers(box, (number, slot))
        numbers += [_log(self.norm(link)) for link in links]
        template.rows.append(numbers)
        key = ",".join(f"{c:g}" for c in column)
        when = _when(column, self.first) if t is not None else ""
        self.placed.append([number, round(x, 1), t, key, when, int(k == GLOBAL)])

    def is_timed(self, k: int | str) -> bool:
        """Whether a column is a time step."""
        boxes = self.members.get(k, [])
        return bool(boxes) and bool(self.picture.graph.axes) and boxes[0].tile.row.timed

    def box(self, box: Box, x: float, t: int | None) -> dict[str, Any]:
        """A box relative to its column."""
        rect = self.rect(box)
        label = self.texts.labels[box]
        states = len(box.lanes) if box.kind == "cell" else 0  # a line for the gradient of each
        lines = label.split("\n")[: -states or None]
        inside, rows = self.texts.mask_of((box,))
        if inside < rows and box.kind == "cell":
            lines.append(self.infos.word["rows"].format(n=inside, all=rows))
        label = "\n".join(lines + [""] * states)
        if t is not None:
            label = label.replace(look.subscript(t), "\x00")
        found = {
            "kind": box.kind, "label": _typeset(label), "info": self.infos.info(box, label), "at": self.place(rect, x),
            "lanes": [self.texts.name(lane) for lane in box.lanes], "row": box.tile.row.name,
            "stop": int(_is_made(box)),
            "tags": [self.tag(tag, x) for tag in box.tags],
            "values": self.value_count(box),
        }  # fmt: skip
        if self.picture.outputs.intersection(box.parts):
            found["output"] = 1
        return found

    def tag(self, tag: Any, x: float) -> dict[str, Any]:
        """A tag; in a cell it has no place."""
        rect = self.layout.tags.get(tag)
        return {
            "label": _typeset(self.texts.tag(tag)), "name": tag.name,
            "grad": int(tag.parameter._requires_grad),
            "at": self.place(rect, x) if rect is not None else None,
        }  # fmt: skip

    def place(self, rect: Rect, x: float) -> list[float]:
        """Centre, width and height."""
        numbers = rect.x - x, self.top - rect.y, rect.width, rect.height
        return [round(number, 1) for number in numbers]

    def link(self, link: Link, k: int | str, x: float) -> dict[str, Any]:
        """A link relative to its column."""
        found: dict[str, Any] = {
            "from": self.relative(self.ref[link.source], k),
            "to": self.relative(self.ref[link.target], k),
            **self.path(self.layout.links[link], x),
        }
        lane = link.lane or self.layout.lanes.get(link, "")
        if lane:
            found["lane"] = self.picture.kind_of_state(lane)
        marks = {"mark": link.mark, "sign": link.sign}
        if link.lane and link.source.tile != link.target.tile:
            marks["text"] = self.texts.name(link.lane)
        found |= {key: text for key, text in marks.items() if text}
        if link.sign:
            found["sign_at"] = self.sign_place(link, x)
        if "mark" in found or "text" in found:
            px, py = self.layout.captions[link]
            found["text_at"] = [round(px - x, 1), round(self.top - py, 1)]
        if link.hidden or link.source.kind == "stub" or link.target.kind == "stub":
            found["dashed"] = 1
        return found

    def sign_place(self, link: Link, x: float) -> list[float]:
        """Where the sign of an operand stands: beside the arrowhead."""
        (tx, ty), (dx, dy) = _tip([(px - x, self.top - py) for px, py in self.layout.links[link]])
        return [round(tx - 5 * dx + 8 * dy, 1), round(ty - 5 * dy - 8 * dx, 1)]

    def relative(self, ref: Ref, k: int | str) -> Ref:
        """A box as a column refers to it."""
        column, slot = ref
        if isinstance(column, int) and isinstance(k, int):
            return column - k, slot
        return column, slot

    def path(self, path: Path, x: float) -> dict[str, Any]:
        """A spline relative to its column: how far it reaches, and as SVG with the arrowhead of
        either direction."""
        points = _simple([(px - x, self.top - py) for px, py in path])
        xs = [px for px, _ in points]
        span = [round(min(xs), 1), round(max(xs), 1)]
        return {"span": span, "f": _arrow(points), "b": _arrow(points[::-1])}

    def frame(self, tile: Tile, frame: Rect, x: float) -> dict[str, Any]:
        """A frame with its heading, without the step."""
        text = self.texts.heading(tile).replace("t = 88888", "").strip()
        inside, rows = self.texts.mask_of(self.picture.tiles[tile])
        found: dict[str, Any] = {"at": self.place(frame, x), "text": text}
        if tile.row.timed and self.picture.graph.axes:
            found |= {"timed": 1, "told": self.told_in(tile, frame)}
        if inside < rows:
            found["rows"] = f"{inside} of {rows}"
        return found

    def told_in(self, tile: Tile, frame: Rect) -> list[int]:
        """The boxes whose states a heading tells, as many as there is room for."""
        found, room = [], frame.width - 16 - look.text_width(self.texts.heading(tile), 12)
        for box in self.picture.tiles[tile]:
            room -= sum(14 + look.text_width(self.texts.room(name), 12) for name in box.lanes)
            if box.lanes and box.kind != "cell" and room > 0:
                found.append(self.ref[box][1])
        return found

    # numbers

    def norm(self, thing: Any) -> float | None:
        """The norm of the gradient of a thing."""
        return self.norms.get(thing) if self.norms is not None else None

    def value_count(self, box: Box) -> int:
        """How many entries of value and gradient are told: all of a small array, else none."""
        if not box.parts:
            return 0
        size = _array(box.parts[-1]).size
        return size if 0 < size <= max(1, self.keep) else 0

    def numbers(self, box: Box, slot: tuple[int, int]) -> list[float]:
        """What is told of one box in one step."""
        found = [self.order(box, slot), _log(self.norm(box))]
        if len(box.states) > 1:
            for _, part in box.states:
                known = self.norms.parts.get(part) if self.norms is not None else None
                found.append(_log(known))
        found += [_log(self.norm(tag)) for tag in box.tags]
        if not box.parts:
            return found
        array, count = _array(box.parts[-1]), self.value_count(box)
        if not count:
            return found + _range(array)
        found += np.asarray(array, np.float64).ravel().tolist()
        grad = self.norms.entries.get(box.parts[-1]) if self.norms is not None else None
        return found + (grad.tolist() if grad is not None else [math.nan] * count)

    def order(self, box: Box, slot: tuple[int, int]) -> float:
        """When a box is made, as the difference to the step before: so most numbers are alike.

        What no operation makes has the order of the first one that takes it: when a pass has come
        there, it is done with it.
        """
        when = self.due[box] if box in self.due else float(self.infos.order[box.parts[-1]])
        before = self.before.get(slot, 0.0)
        self.before[slot] = when
        return when - before

    # as data

    def as_data(self) -> dict[str, Any]:
        """Templates and columns; the numbers are in `arrays`, one block for each template."""
        bottom = max([self.top - self.rect(box).corners[1] for box in self.picture.boxes])
        frames = [self.top - frame.corners[1] for frame in self.layout.frames.values()]
        templates = [self.template(one) for one in self.templates.values()]
        spans = [(x, templates[number]["span"]) for number, x, *_ in self.placed]
        return {
            "height": round(max([bottom, *frames]) + 16, 1),
            "span": [round(min(x + left for x, (left, _) in spans), 1),
                     round(max(x + right for x, (_, right) in spans), 1)],
            "templates": templates, "columns": self.placed,
        }  # fmt: skip

    def template(self, one: Template) -> dict[str, Any]:
        """A template with how far it reaches, and the place of each of its numbers."""
        places = itertools.count()
        boxes = [
            {
                **box, "order": next(places), "norm": (norm := next(places)),
                "states": [next(places) if len(box["lanes"]) > 1 else norm for _ in box["lanes"]],
                "tags": [{**tag, "norm": next(places)} for tag in box["tags"]],
                "value": _skip(places, 2 * box["values"] or 3) if box["info"] >= 0 else -1,
            }
            for box in one.shape["boxes"]
        ]  # fmt: skip
        links = [{**link, "norm": next(places)} for link in one.shape["links"]]
        rects = [thing["at"] for thing in (*boxes, *one.shape["frames"])]
        span = [
            min([x - w / 2 for x, _, w, _ in rects] + [0]),
            max([x + w / 2 for x, _, w, _ in rects] + [0]),
        ]
        sizes = {"count": len(one.rows), "width": len(one.rows[0])}
        return {**one.shape, "boxes": boxes, "links": links, "span": span, **sizes}

    def arrays(self) -> list[Array]:
        """The numbers of each template, quantity by quantity."""
        with np.errstate(over="ignore"):
            return [np.array(one.rows, np.float32).T for one in self.templates.values()]


def _typeset(text: str) -> str:
    """A text in which a \x01 stands before and behind what hangs below the line."""
    lines = [
        "".join(f"\x01{piece.text}\x01" if piece.below else piece.text for piece in pieces(line))
        for line in text.split("\n")
    ]
    return "\n".join(lines)


def _is_made(box: Box) -> bool:
    """Whether an operation makes it: a pass stops there."""
    return bool(box.parts) and box.parts[-1].node.op is not None


def _array(part: Part) -> Array:
    return part.node._array if part.part is None else part.node._array[part.part]


def _range(array: Array) -> list[float]:
    """Mean, least and largest of an array."""
    if not array.size or array.dtype.kind not in "biuf":
        return [math.nan] * 3
    with np.errstate(all="ignore"):
        return [float(np.mean(array, dtype=np.float64)), float(array.min()), float(array.max())]


def _skip(places: Iterator[int], count: int) -> int:
    """The first of so many places."""
    first, *_ = itertools.islice(places, count)
    return first


def _tip(points: Path) -> tuple[tuple[float, float], tuple[float, float]]:
    """The end of a spline, and the direction in which it gets there."""
    tip = points[-1]
    before = next((p for p in reversed(points) if math.dist(p, tip) > 0.5), points[0])
    length = math.dist(before, tip) or 1.0
    return tip, ((tip[0] - before[0]) / length, (tip[1] - before[1]) / length)


def _arrow(points: Path) -> list[str]:
    """A spline and the arrowhead at its end, as paths of SVG."""
    (tx, ty), (dx, dy) = _tip(points)
    bx, by = tx - HEAD * dx, ty - HEAD * dy
    corners = [(tx, ty), (bx - 2.7 * dy, by + 2.7 * dx), (bx + 2.7 * dy, by - 2.7 * dx)]
    first, *rest = map(_pair, (*points[:-1], (bx, by)))
    return [f"M{first}C{' '.join(rest)}", f"M{'L'.join(map(_pair, corners))}Z"]


def _pair(point: tuple[float, float]) -> str:
    return ",".join(f"{c:.1f}".removesuffix(".0") for c in point)


def _simple(path: Path) -> Path:
    """A spline without the curves that are points."""
    found = path[:1]
    for k in range(0, len(path) - 3, 3):
        if math.dist(path[k], path[k + 3]) > 0.05:
            found += path[k + 1 : k + 4]
    return found if len(found) > 1 else path[:4]
