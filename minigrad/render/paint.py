"""A layout in its look, as pinned items, and their DOT text: a real graphviz.Digraph with every
position given.

In a backward picture edges are reversed, and colour and width tell the gradient: of an edge the one
that flows along it, of a box that of its value, of a tap the share of its step, of a parameter the
sum.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import graphviz

from minigrad.cached import cached_property
from minigrad.language import say
from minigrad.render import graphviz_run, look, typeset
from minigrad.render.arrange import Layout, Rect
from minigrad.render.measure import Norms
from minigrad.render.picture import Box, Link, Picture, Tile
from minigrad.render.splines import Path, Point, beside_tip, shortened, straight
from minigrad.render.texts import Texts
from minigrad.render.typeset import quoted
from minigrad.render.words import counted, note
from minigrad.tensor import Tensor

ORDER = {"frame": 0, "node": 1, "edge": 2, "line": 2}
LEGEND = {
    "input": "input", "state": "state", "memory": "memory", "cell": "cell", "output": "output",
    "matmul": "product", "nonlinear": "nonlinearity", "operation": "other operation",
    "loss": "loss, output", "constant": "initial state, constant", "tag": "parameter", "delay": "earlier step",
}  # fmt: skip


class Item(NamedTuple):
    """A pinned thing.

    kind: "node", "edge" (with an arrowhead), "line" (an edge without), or "frame".
    ids: of a node; of an edge its tail and head; of a frame, whose members follow.
    points: of an edge its spline, of all others two opposite corners.
    style: how it looks, as DOT attributes.  sign: beside an arrowhead, which operand is subtracted.
    """

    kind: str
    ids: tuple[str, ...]
    points: Path
    style: str
    label_at: Point | None = None
    sign: str = ""

    def moved(self, dx: float, dy: float, prefix: str) -> Item:
        """The item shifted; its ids get a prefix."""
        at = self.label_at and (self.label_at[0] + dx, self.label_at[1] + dy)
        points = [(x + dx, y + dy) for x, y in self.points]
        ids = tuple(prefix + name for name in self.ids)
        return self._replace(ids=ids, points=points, label_at=at)

    def text(self) -> str:
        """One line of DOT."""
        at = f'lp="{_at(self.label_at)}" ' if self.label_at else ""
        if self.kind in ("edge", "line"):
            points, tip = shortened(self.points) if self.kind == "edge" else (self.points, None)
            numbers = tuple(chain.from_iterable(points))
            spline = (f"e,{_at(tip)} " if tip else "") + _places(len(points)) % numbers
            look_ = f"{at}{self.sign_text()}{self.style}"
            return f'\t{self.ids[0]} -> {self.ids[1]} [pos="{spline}" {look_}]\n'
        (left, bottom), (right, top) = self.points
        if self.kind == "node":
            where = f'pos="{(left + right) / 2:.2f},{(bottom + top) / 2:.2f}"'
            size = f"width={(right - left) / 72:.4f} height={(top - bottom) / 72:.4f}"
            return f"\t{self.ids[0]} [{where} {size} {self.style}]\n"
        members = "".join(f"{name}; " for name in self.ids[1:])
        box = f'bb="{left:.2f},{bottom:.2f},{right:.2f},{top:.2f}"'
        return f"\tsubgraph cluster_{self.ids[0]} {{ graph [{box} {at}{self.style}] {members}}}\n"

    def sign_text(self) -> str:
        """The sign beside the arrowhead, as DOT attributes."""
        if not self.sign:
            return ""
        colour = f'labelfontcolor="{look.GREY}"'
        return f'headlabel="{self.sign}" head_lp="{_at(beside_tip(self.points))}" labelfontsize=12 {colour} '


@lru_cache(maxsize=1024)
def _places(count: int) -> str:
    """The template of so many points."""
    return " ".join(["%.2f,%.2f"] * count)


def _at(point: Point) -> str:
    return f"{point[0]:.2f},{point[1]:.2f}"


def frame(
    name: str, corners: Path, text: str = "", at: Point | None = None, *, font: float = 12.0,
    ink: str = look.INK, fill: str = "", border: str = "", pen: float = 1.0,
    members: Iterable[str] = (),
) -> Item:  # fmt: skip
    """A frame with a text; without fill or border the text alone."""
    style = f'label={typeset.label(text, font)} fontsize={font:g} fontcolor="{ink}"'
    if border:
        filled = f'"rounded,filled" fillcolor="{fill}"' if fill else "rounded"
        style += f' style={filled} color="{border}" penwidth={pen:.2f}'
    else:
        style += " pencolor=none"
    return Item("frame", (name, *members), corners, style, at)


def text_item(name: str, at: Point, text: str, font: float, ink: str = look.INK) -> Item:
    """A text alone, written from its left end."""
    (x, y), width = at, look.text_width(text, font)
    corners = [(x, y - font / 2 - 2), (x + width, y + font / 2 + 2)]
    return frame(name, corners, text, (x + width / 2, y), font=font, ink=ink)


def colour_bar(scale: tuple[float, float], norms: Iterable[float]) -> list[Item]:
    """The colours with the two exponents of the scale, and what lies outside of it, around 0."""
    lo, hi = scale
    found = [norm for norm in norms if norm > 0 or not math.isfinite(norm)]
    below = "≤ " if any(norm < 10.0**lo * 0.999 for norm in found) else ""
    above = "≥ " if any(10.0**hi * 1.001 < norm < math.inf for norm in found) else ""
    text = f"{say('gradient norm (log scale)')}   {below}{look.power(lo)}"
    items = [text_item("scale", (-78 - look.text_width(text, 12), 0.0), text, 12)]
    items += [swatch(f"scale{k}", -72 + 9 * k, 9, look.ramp(k / 15)) for k in range(16)]
    items.append(text_item("scale_end", (78, 0.0), f"{above}{look.power(hi)}", 12))
    if not all(map(math.isfinite, found)):
        items.append(text_item("not_finite", (140, 0.0), "NaN or ∞", 12))
        items.append(swatch("not_finite_colour", 212, 18, look.NOT_FINITE))
    return items


def swatch(name: str, x: float, width: float, colour: str) -> Item:
    """A piece of the colour bar."""
    style = f'label="" style=filled fillcolor="{colour}" pencolor=none'
    return Item("frame", (name,), [(x, -5.0), (x + width, 5.0)], style)


def bounds(items: Iterable[Item]) -> tuple[float, float, float, float]:
    """Left, bottom, right, top of some items."""
    points = [point for item in items for point in item.points]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True)
class Canvas:
    """Everything of one picture.

    scale: the colour bar, around 0.  title: what the reader asked for.  notes: what the picture
    leaves out or folds, written under it.  columns: how many there are.  has_tips: whether things
    say what they are when pointed at.
    """

    items: list[Item] = field(default_factory=list)
    scale: Sequence[Item] = ()
    title: str = ""
    notes: tuple[str, ...] = ()
    columns: int = 0
    has_tips: bool = True

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top of the picture itself."""
        return bounds(self.items)

    def beside(self, other: Canvas, dx: float, dy: float, prefix: str) -> Canvas:
        """With another canvas beside what is here."""
        moved = [item.moved(dx, dy, prefix) for item in other.items]
        notes = tuple(dict.fromkeys((*self.notes, *other.notes)))
        return replace(self, items=[*self.items, *moved], notes=notes)

    def noted(self, *notes: str) -> Canvas:
        """With further notes, which stand first."""
        return replace(self, notes=tuple(dict.fromkeys((*filter(None, notes), *self.notes))))

    @cached_property
    def around(self) -> list[Item]:
        """The colour bar and the title over the picture, the notes under it."""
        left, bottom, right, top = self.box
        width = max(right - left, 340.0 if self.scale else 160.0)
        middle, items = left + width / 2, list[Item]()
        if self.scale:
            items += [item.moved(middle, top + 16, "") for item in self.scale]
            top += 24
        for line in wrapped(self.title, width, 16)[::-1]:
            top += 20
            x = middle - look.text_width(line, 16) / 2
            items.append(text_item(f"title{len(items)}", (x, top - 8), line, 16))
        notes = ";  ".join(map(note, self.notes))
        if lines := wrapped(notes, width, look.SMALLEST):
            wide, high = look.text_width("\n".join(lines), look.SMALLEST), 15.0 * len(lines)
            at = left + 0.46 * wide, bottom - 5 - high / 2  # the width is that of the widest font
            text = quoted("\n".join([*lines, ""])).replace("\\n", "\\l")
            style = f'label={text} fontsize={look.SMALLEST:g} fontcolor="{look.GREY}" pencolor=none'
            corners = [(left, at[1] - high / 2), (left + wide, at[1] + high / 2)]
            items.append(Item("frame", ("notes",), corners, style, at))
        return items

    def page(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top of everything, with a margin."""
        left, bottom, right, top = self.box
        if self.around:
            low, under, high, over = bounds(self.around)
            left, bottom = min(left, low), min(bottom, under)
            right, top = max(right, high), max(top, over)
        return left - 4, bottom - 4, right + 4, top + 4

    def digraph(self, attributes: dict[str, str]) -> Drawing:
        """The picture; its text is the same for the same items."""
        page, font = quoted(",".join(f"{c:.2f}" for c in self.page())), quoted(look.FONT)
        header = f"layout=nop2 outputorder=edgesfirst notranslate=true splines=true pad=0.12 margin=0 bb={page}"
        header += "".join(f" {name}={quoted(text)}" for name, text in attributes.items())
        items = sorted(self.items, key=lambda item: ORDER[item.kind])
        tip = ' tooltip=" "' if self.has_tips else ""
        return Drawing("minigrad", body=[
            f"\tgraph [{header} fontname={font}]\n",
            f"\tnode [fontname={font} fixedsize=true margin=0{tip}]\n",
            f"\tedge [fontname={font} arrowsize=0.6 arrowhead=normal{tip}]\n",
            f'\tsubgraph cluster_page {{ graph [bb={page} pencolor=none label=""] }}\n',
            *[item.text() for item in (*items, *self.around)],
        ])  # fmt: skip


class Drawing(graphviz.Digraph):  # type: ignore[misc]  # graphviz has no types
    """A `graphviz.Digraph` that is drawn, also by a notebook, where there is no dot program but
    pygraphviz."""

    def pipe(
        self, format: str | None = None, *_: Any, encoding: str | None = None, **options: Any
    ) -> Any:
        """The picture in a format, as bytes or, with an encoding, as text."""
        data = graphviz_run.run(self.source, format or self.format)
        return data.decode(encoding) if encoding else data


class Stroke(NamedTuple):
    """How an edge is drawn; keep_colour: do not recolour by gradient (a cut edge stays red)."""

    colour: str
    pen: float
    dashed: bool = False
    keep_colour: bool = False

    def attributes(self) -> str:
        """The stroke as DOT attributes."""
        dashes = " style=dashed" if self.dashed else ""
        return f'color="{self.colour}" penwidth={self.pen:.2f}{dashes}'


TAP = Stroke(look.TAP, 1.0)


def paint(
    picture: Picture, layout: Layout, texts: Texts, norms: Norms | None, options: Any,
    marked: set[Any], scale: tuple[float, float],
) -> Canvas:  # fmt: skip
    """The whole picture.

    marked: the boxes and parameters that are pointed out.  scale: the decades of the colours.
    """
    painter = _Painter(picture, layout, texts, norms, marked, scale)
    for box in picture.boxes:
        painter.draw_box(box)
    for link in picture.links:
        painter.draw_link(link)
    panels = [
        painter.draw_frame(f"outer{k}", texts.outer_heading(tile), rect, "")
        for k, (tile, rect) in enumerate(layout.panels)
    ]
    painter.items[:0] = panels  # drawn before all else
    for tile, rect in layout.frames.items() if texts.framed else ():
        painter.draw_tile(tile, rect)
    for k, (title, depth, rect) in enumerate(layout.scopes):  # pale and white in turn
        fill = "#FFFFFF" if depth % 2 else look.PANEL
        painter.items.append(painter.draw_frame(f"scope{k}", title, rect, fill))
    painter.draw_parameters(wrapped=options.per_row is not None)
    if options.legend:
        painter.draw_legend()
    bar = colour_bar(scale, norms.of.values()) if norms is not None else ()
    return Canvas(painter.items, bar, options.title, picture.notes, layout.columns, texts.has_tips)


class _Painter:
    """Collects the items of one picture."""

    def __init__(
        self, picture: Picture, layout: Layout, texts: Texts, norms: Norms | None,
        marked: set[Any], scale: tuple[float, float],
    ) -> None:  # fmt: skip
        self.picture, self.layout, self.texts = picture, layout, texts
        self.norms, self.marked, self.scale = norms, marked, scale
        self.items: list[Item] = []
        self.captioned: set[Any] = set()
        entering = [box for box in picture.boxes if box.kind == "input"]
        self.entering = {node for box in entering for node in box.nodes}

    def node(self, name: str, rect: Rect, label: str, style: look.Look, tip: str) -> None:
        """A node around its centre."""
        text = f"label={typeset.label(label, style.font)} {style.attributes()}"
        if tip and self.texts.has_tips:
            text += f" tooltip={quoted(tip)}"
        self.items.append(Item("node", (name,), rect.diagonal, text))

    # colours

    def norm(self, thing: Any) -> float | None:
        """The norm of the gradient of a thing."""
        return self.norms.get(thing) if self.norms is not None else None

    def colour(self, norm: float) -> str:
        """The colour of a norm on the scale."""
        return look.ramp(self.fraction(norm)) if math.isfinite(norm) else look.NOT_FINITE

    def fraction(self, norm: float) -> float:
        """Where a norm lies on the scale, 0 ... 1."""
        lo, hi = self.scale
        if not 0 < norm < math.inf:
            return float(norm != 0)
        return min(max((math.log10(norm) - lo) / (hi - lo), 0.0), 1.0)

    def coloured(self, style: look.Look, thing: Any) -> look.Look:
        """A look in the colour of a gradient: white and dashed if it is exactly zero, pale if there
        is none."""
        if self.norms is None:
            return style
        norm = self.norm(thing)
        if norm is None:
            return style._replace(fill="#F5F6F7", border=look.PALE)
        fill = self.colour(norm) if norm else "#FFFFFF"
        return style._replace(fill=fill, ink=look.ink_on(fill), dashed=norm == 0)

    def look_of(self, box: Box) -> look.Look:
        """How a box is drawn."""
        style = look.LOOKS[box.kind]
        if box.kind not in ("delay", "stub"):
            keeps_border = box.kind in ("state", "memory", "state box", "loss")
            if self.norms is not None and not keeps_border:
                style = style._replace(border=look.GREY)
            style = self.coloured(style, box)
        if self.texts.mask_of((box,))[0] == 0:
            style = style._replace(dashed=True)
        if self.picture.outputs.intersection(box.parts):
            style = style._replace(border=look.LOSS, pen=2.0)
        return style._replace(border=look.RED, pen=3.2) if box in self.marked else style

    # boxes

    def draw_box(self, box: Box) -> None:
        """One box where it stands, with its tags; a bar in all its pieces."""
        style, label = self.look_of(box), self.texts.labels[box]
        rects = self.layout.bars.get(box)
        if rects is None:
            rect = self.layout.boxes[box]
            self.draw_tags(box)
        else:
            rect = rects[0]
            style = style._replace(shape="box")
            heights = {rect.y}
            for k, piece in enumerate(rects[1:]):  # the first of each line says what it is
                text = "" if piece.y in heights else label
                heights.add(piece.y)
                self.items.append(frame(
                    f"{box.id}_piece{k}", piece.diagonal, text, (piece.x, piece.y),
                    font=style.font, ink=style.ink, fill=style.fill, border=style.border, pen=style.pen,
                ))  # fmt: skip
        self.node(box.id, rect, label, style, self.texts.tooltip(box))

    def draw_tags(self, box: Box) -> None:
        """The parameters of a box, as tags on it."""
        for k, tag in enumerate(tag for tag in box.tags if tag in self.layout.tags):
            rect = self.layout.tags[tag]
            kind = "tag" if tag.parameter._requires_grad else "constant tag"
            style = self.coloured(look.LOOKS[kind], tag)
            if tag.parameter in self.marked:
                style = style._replace(border=look.RED, pen=2.4)
            name, center = f"{box.id}_w{k}", self.layout.boxes[box]
            tip = f"{tag.name} {look.shape(tag.parameter.shape)}"
            self.node(name, rect, self.texts.tag(tag), style, tip)
            line = f'dir=none color="{style.border}" penwidth=0.9'
            path = straight((rect.x, rect.y), (center.x, center.y))
            self.items.append(Item("line", (name, box.id), path, line))

    def draw_frame(self, name: str, text: str, rect: Rect, fill: str, border: str = look.FRAME,
                   members: Iterable[str] = ()) -> Item:  # fmt: skip
        """A frame with a heading."""
        at = rect.x, rect.corners[3] - 10
        return frame(name, rect.diagonal, text, at, fill=fill, border=border, members=members)

    def draw_tile(self, tile: Tile, rect: Rect) -> None:
        """A tile with its heading."""
        boxes = [box.id for box in self.picture.tiles[tile] if box in self.layout.boxes]
        inside, rows = self.texts.mask_of(self.picture.tiles[tile])
        fill, border = look.PANEL, look.FRAME
        if inside < rows:
            fill, border = ("#E8EAED" if inside else "#D3D6DA"), "#80868B"
        name, text = boxes[0].rsplit("_", 1)[0], self.texts.heading(tile)
        self.items.append(self.draw_frame(name, text, rect, fill, border, boxes))

    # parameters

    def draw_parameters(self, wrapped: bool) -> None:
        """Under the steps one bar for all parameters; into each cell goes a tap."""
        shown = [x for x in self.texts.parameters if self.is_used(x)]
        if not shown or not self.layout.boxes:
            return
        cells = [] if wrapped else self.texts.tapped()
        left, right = self.span(cells)
        text = self.texts.list_of(shown, self.marked, max(right - left, 300.0))
        width = max(right - left, look.size("rail", text)[0])
        height = look.BAR_HEIGHT + typeset.further_height(text, look.SMALLEST) + 2
        y = min(y for item in self.items for _, y in item.points) - 14 - height / 2
        rect = Rect((left + right) / 2, y, width, height)
        self.node("weights", rect, text, look.LOOKS["rail"], "parameters")
        for box in cells:
            self.draw_tap(box, y + height / 2)

    def is_used(self, x: Tensor) -> bool:
        """Whether a parameter is one: an input that a gradient is asked for is a box, or a sequence
        of them."""
        inputs = self.picture.counted["sequences"] | self.entering
        return x not in inputs

    def span(self, cells: list[Box]) -> tuple[float, float]:
        """From the left to the right of what a bar of parameters stands under."""
        frames = [self.layout.frames[box.tile] for box in cells] or list(
            self.layout.frames.values()
        )
        corners = [frame.corners for frame in frames]
        return min(c[0] for c in corners), max(c[2] for c in corners)

    def draw_tap(self, box: Box, y: float) -> None:
        """From the bar of parameters into a cell."""
        left, bottom, _, _ = self.layout.boxes[box].corners
        norm, x = self.texts.joint(box), left + 10
        path = straight((x, y), (x, bottom))
        text = look.figure(norm) if norm is not None else ""
        at = x - 4 - look.text_width(text or " ", 11) / 2, y + 9
        self.draw_edge(("weights", box.id), path, TAP, norm, text, at, tip="share of this step")

    def draw_legend(self) -> None:
        """One of each kind of box, with what it stands for."""
        left, bottom, right, _ = bounds(self.items)
        x, y = left, bottom - 26
        kinds = {box.kind for box in self.picture.boxes}
        kinds |= {"tag" for box in self.picture.boxes if box.tags}
        for k, (kind, words) in enumerate(LEGEND.items()):
            if kind not in kinds:
                continue
            width = 40 + look.text_width(words, 11)
            if x + width > max(right, left + 300):
                x, y = left, y - 26
            style = look.LOOKS[kind]
            size = min(style.width, 26), min(style.height, 20)
            self.node(f"legend{k}", Rect(x + 14, y, *size), "", style, words)
            self.items.append(text_item(f"legend_text{k}", (x + 31, y), words, 11))
            x += width

    # edges

    def draw_edge(
        self, ends: tuple[str, str], path: Path, stroke: Stroke, norm: float | None,
        text: str = "", at: Point | None = None, sign: str = "", tip: str = "",
    ) -> None:  # fmt: skip
        """An edge; in a backward picture reversed, its gradient as colour and width."""
        kind = "edge"
        is_edit = stroke.colour == look.LOSS or "≤" in text
        if self.norms is not None:
            sign = ""
            if norm is None:
                kind = "line"
                stroke = stroke if stroke.keep_colour else Stroke(look.PALE, 0.9, stroke.dashed)
            else:
                ends, path = ends[::-1], path[::-1]
                tip = f"{tip}  gradient norm {norm:.3g}".strip()
                stroke = stroke if stroke.keep_colour else self.graded(stroke, norm)
        style = stroke.attributes()
        if kind == "line":
            style += " dir=none"
        if text:
            ink = look.LOSS if is_edit else look.INK
            style += f' label={typeset.label(text, 11)} fontsize=11 fontcolor="{ink}"'
        if tip and self.texts.has_tips:
            style += f" tooltip={quoted(tip)}"
        self.items.append(Item(kind, ends, path, style, at if text else None, sign))

    def graded(self, stroke: Stroke, norm: float) -> Stroke:
        """The stroke of an edge along which a gradient flows."""
        if norm == 0:
            return Stroke(look.PALE, 0.9, True)
        return Stroke(self.colour(norm), 0.9 + 2.3 * self.fraction(norm), stroke.dashed)

    def draw_link(self, link: Link) -> None:
        """One link, within a tile or between two."""
        lane = link.lane or self.layout.lanes.get(link, "")
        cut = link.mark.startswith("✂")
        colour = look.LOOKS[self.picture.kind_of_state(lane)].border if lane else look.DATA
        dashed = cut or bool(link.hidden) or link.source.kind == "stub"
        pen = 1.7 if lane else 1.1
        stroke = Stroke(look.LOSS if cut else colour, pen, dashed, keep_colour=cut)
        ends = link.source.id, link.target.id
        text, at = self.caption(link), self.layout.captions.get(link)
        tip = self.texts.flows(link)
        path = self.layout.links[link]
        self.draw_edge(ends, path, stroke, self.norm(link), text, at, link.sign, tip)

    def caption(self, link: Link) -> str:
        """The text of a link: its mark, the steps that it hides, or its state; lines side by side
        have one text."""
        gutter = link in self.layout.gutters and link.source.tile != link.target.tile
        crosses = (link.lane and gutter) or link.source.kind == "delay"
        if link.target.beside == "after":  # the loose end says it
            return ""
        words = [self.hidden_text(link)] if link.hidden else []
        if link.mark:
            words.append(link.mark if link.mark.startswith("✂") else f"▌{link.mark}")
        if (
            not words
            and crosses
            and link.source.kind not in ("constant", "stub")
            and link.target.kind != "delay"
        ):
            words = [self.texts.crossing(link)]
        text = "  ".join(words)
        key = link.lane, text, link.source.tile, link.target.tile
        if not text or key in self.captioned:
            return ""
        self.captioned.add(key)
        return text

    def hidden_text(self, link: Link) -> str:
        """How many steps a link hides, and how far the gradient falls over them."""
        text = f"… {counted(link.hidden, 'step')}"
        norms = self.texts.norms.parts
        early = [norms.get(part) for name, part in link.source.states if name == link.state]
        late = [norms.get(part) for name, part in link.target.states if name == link.state]
        if early and late and early[0] and late[0]:
            return f"{text}, ×{look.figure(early[0] / late[0])}"
        return text


def wrapped(text: str, width: float, font: float) -> list[str]:
    """A text in lines of about a width."""
    return textwrap.wrap(text, max(24, int(width / look.text_width("n", font))))
