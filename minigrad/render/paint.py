"""A layout in its look, as pinned items, and their DOT text: a real graphviz.Digraph with every
position given.

In a backward picture edges are reversed, and colour and width tell the gradient: of an edge the one
that flows along it, of a box that of its value, of a tap the share of its step, of a parameter the
sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from minigrad.language import say
from minigrad.render import look, typeset
from minigrad.render.arrange import Layout, Rect
from minigrad.render.canvas import Canvas, Item, bounds, colour_bar, frame, text_item
from minigrad.render.measure import Norms
from minigrad.render.options import Options
from minigrad.render.picture import Box, Link, Picture, Tag, Tile
from minigrad.render.splines import Path, Point, rounded, straight
from minigrad.render.texts import Texts
from minigrad.render.typeset import quoted
from minigrad.render.wrap import wrapped
from minigrad.tensor import Tensor

SHADES = 63  # steps of a scale
LEGEND = {
    "input": "input", "state": "state", "memory": "memory", "cell": "cell", "output": "output",
    "matmul": "product", "nonlinear": "nonlinearity", "operation": "other operation",
    "loss": "loss, output", "constant": "initial state, constant", "tag": "parameter", "delay": "earlier step",
}  # fmt: skip
OPERATIONS = ("matmul", "nonlinear", "operation")  # which in backward pictures look alike
OWN_BORDER = ("state", "memory", "state box", "loss", "tag")  # in backward pictures too
SHARES = "shares of all parameters of this cell"


class Stroke(NamedTuple):
    """How an edge is drawn; keep_colour: do not recolour by gradient (a cut edge stays red)."""

    colour: str
    pen: float
    dashed: bool = False
    keep_colour: bool = False

    @lru_cache(maxsize=1024)  # noqa: B019  # a stroke is a value of a few words
    def attributes(self) -> str:
        """The stroke as DOT attributes."""
        dashes = " style=dashed" if self.dashed else ""
        return f'color="{self.colour}" penwidth={self.pen:.2f}{dashes}'


TAP = Stroke(look.TAP, 1.0)


@lru_cache(maxsize=4096)
def stroke_of(kind: str, dashed: bool, cut: bool) -> Stroke:
    """How an edge is drawn that carries a kind of state, or none."""
    colour, pen = (look.LOOKS[kind].border, 1.7) if kind else (look.DATA, 1.1)
    return Stroke(look.LOSS, pen, True, keep_colour=True) if cut else Stroke(colour, pen, dashed)


@lru_cache(maxsize=4096)
def node_style(label: str, style: look.Look, tip: str) -> str:
    """The DOT attributes of a node."""
    text = f"label={typeset.label(label, style.font)} {style.attributes()}"
    return f"{text} tooltip={quoted(tip)}" if tip else text


@dataclass(frozen=True)
class Plan:
    """A picture with everything in its place and its norms, ready to be painted.

    marked: the boxes and parameters that are pointed out.  scale: the decades of the colours.
    """

    picture: Picture
    norms: Norms | None
    texts: Texts
    layout: Layout
    options: Options
    marked: set[Any]
    scale: tuple[float, float]


def paint(plan: Plan) -> Canvas:
    """The whole picture."""
    picture, layout, texts, norms = plan.picture, plan.layout, plan.texts, plan.norms
    painter, options = _Painter(plan), plan.options
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
    if len(layout.lines) > 1:
        painter.items = wrapped(painter.items, layout.lines, layout.height)
    painter.draw_parameters()
    if options.legend:
        painter.draw_legend()
    bar = colour_bar(plan.scale, norms.of.values()) if norms is not None else ()
    return Canvas(painter.items, bar, options.title, picture.notes, layout.columns, texts.has_tips)


def unreached(style: look.Look) -> look.Look:
    """A look where no gradient comes to."""
    return style._replace(fill="#F5F6F7", border=look.PALE)


class _Painter:
    """Collects the items of one picture."""

    def __init__(self, plan: Plan) -> None:
        self.picture, self.layout, self.texts = plan.picture, plan.layout, plan.texts
        self.norms, self.marked, self.scale = plan.norms, plan.marked, plan.scale
        self.items: list[Item] = []
        self.captioned: set[Any] = set()
        self.tapped: list[Box] = []  # cells whose taps bear a number
        entering = [box for box in self.picture.boxes if box.kind == "input"]
        self.entering = {node for box in entering for node in box.nodes}

    def node(self, name: str, rect: Rect, label: str, style: look.Look, tip: str) -> None:
        """A node around its centre."""
        tip = tip if self.texts.has_tips else ""
        self.items.append(Item("node", (name,), rect.diagonal, node_style(label, style, tip)))

    # colours

    def norm(self, thing: Any) -> float | None:
        """The norm of the gradient of a thing."""
        return self.norms.get(thing) if self.norms is not None else None

    def colour(self, norm: float) -> str:
        """The colour of a norm on the scale."""
        return look.ramp(self.fraction(norm)) if math.isfinite(norm) else look.NOT_FINITE

    def fraction(self, norm: float) -> float:
        """Where a norm lies on the scale, 0 ... 1, in as many steps as there are shades."""
        lo, hi = self.scale
        if not 0 < norm < math.inf:
            return float(norm != 0)
        return round(min(max((math.log10(norm) - lo) / (hi - lo), 0.0), 1.0) * SHADES) / SHADES

    def coloured(self, style: look.Look, thing: Any) -> look.Look:
        """A look in the colour of a gradient: white and dashed if it is exactly zero, pale if there
        is none."""
        if self.norms is None:
            return style
        norm = self.norm(thing)
        if norm is None:
            return unreached(style)
        fill = self.colour(norm) if norm else "#FFFFFF"
        return style._replace(fill=fill, ink=look.ink_on(fill), dashed=norm == 0)

    def plain(self, kind: str) -> look.Look:
        """The look of a kind of box; in a backward picture white, since colours tell gradients."""
        style = look.LOOKS[kind]
        if self.norms is None or style.shape in ("square", "none"):
            return style
        border = style.border if kind in OWN_BORDER else look.GREY
        return style._replace(fill="#FFFFFF", border=border)

    def look_of(self, box: Box) -> look.Look:
        """How a box is drawn."""
        style = self.plain(box.kind)
        if box.kind not in ("delay", "stub"):
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
        lines = self.layout.bars.get(box)
        if lines is None:
            rect = self.layout.boxes[box]
            self.draw_tags(box)
        else:
            rect = lines[0][0]
            style = style._replace(shape="box")
            texts = [
                (piece, label if k == 0 else "") for line in lines for k, piece in enumerate(line)
            ]
            for k, (piece, text) in enumerate(texts[1:]):
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
            self.node(name, rect, self.texts.tags[tag], style, tip)
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
            fill, border = (look.MASKED if inside else "#D3D6DA"), "#80868B"
        name, text = boxes[0].rsplit("_", 1)[0], self.texts.heading(tile)
        self.items.append(self.draw_frame(name, text, rect, fill, border, boxes))

    # parameters

    def draw_parameters(self) -> None:
        """Under the steps one bar for all parameters; into each cell goes a tap."""
        shown = [x for x in self.texts.parameters if self.is_used(x)]
        if not shown or not self.layout.boxes:
            return
        cells = self.texts.tapped() if len(self.layout.lines) == 1 else []
        left, bottom, right, _ = bounds(self.items)
        if cells:
            frames = [self.layout.frames[box.tile].corners for box in cells]
            low = min(self.tap_x(box) - self.tap_room(box) for box in cells)
            start = low if low < left else math.inf  # the bar reaches under all that stands on it
            left, right = min(start, *(c[0] for c in frames)), max(c[2] for c in frames)
        text = self.texts.list_of(shown, self.marked, max(right - left, 300.0))
        width = max(right - left, look.size("rail", text)[0])
        height = look.BAR_HEIGHT + typeset.further_height(text, look.SMALLEST) + 2
        y = bottom - 14 - height / 2
        rect = Rect((left + right) / 2, y, width, height)
        self.node("weights", rect, text, look.LOOKS["rail"], "parameters")
        self.tapped = [box for box in cells if self.texts.shares(box)]
        for box in cells:
            self.draw_tap(box, y + height / 2)

    def is_used(self, x: Tensor) -> bool:
        """Whether a parameter is one: an input that a gradient is asked for is a box, or a sequence
        of them."""
        inputs = self.picture.sequences | self.entering
        return x not in inputs

    def tap_x(self, box: Box) -> float:
        """Where the tap into a cell stands: at its left, and beside wide inputs."""
        left, bottom, _, _ = self.layout.boxes[box].corners
        boxes = [
            self.layout.boxes[b] for b in self.picture.tiles[box.tile] if b in self.layout.boxes
        ]
        below = [rect.corners for rect in boxes if rect.corners[3] <= bottom]
        wide = [low for low, _, high, _ in below if low - 4 < left + 10 < high + 4]
        return min([left + 10, *(low - 6 for low in wide)])

    def tap_room(self, box: Box) -> float:
        """How much room the text of a tap takes beside it."""
        return 4 + look.text_width(self.texts.shares(box) or " ", 11)

    def draw_tap(self, box: Box, y: float) -> None:
        """From the bar of parameters into a cell."""
        left, bottom, _, _ = self.layout.boxes[box].corners
        x, end, turn = self.tap_x(box), (left + 10, bottom), bottom - 7
        path = rounded((x, y), (x, turn), (end[0], turn), end, radius=3)
        if x == end[0]:
            path = straight((x, y), end)
        text = self.texts.shares(box)
        at = x - 2 - self.tap_room(box) / 2, y + 9
        tip = f"∂θ: {say(SHARES)}" if text else ""
        norm = self.texts.joint(box)
        self.draw_edge(("weights", box.id), path, TAP, norm, text, at, tip=tip)

    def draw_legend(self) -> None:
        """What the looks of boxes and the numbers of parameters stand for, one beside the other."""
        left, bottom, right, _ = bounds(self.items)
        x, y = left, bottom - 26
        for k, (style, label, text) in enumerate(self.legend()):
            room = max(26.0, look.text_width(label, style.font) + 6)
            width = room + 14 + look.text_width(text, 11)
            if x + width > max(right, left + 300):
                x, y = left, y - 26
            size = room if label else min(style.width, 26), min(style.height, 20)
            self.node(f"legend{k}", Rect(x + 1 + room / 2, y, *size), label, style, text)
            self.items.append(text_item(f"legend_text{k}", (x + room + 5, y), text, 11))
            x += width

    def legend(self) -> Iterable[tuple[look.Look, str, str]]:
        """The looks that are there, with a label and what they stand for; what looks alike is one."""
        kinds = {box.kind for box in self.picture.boxes}
        kinds |= {"tag" for box in self.picture.boxes if box.tags}
        alike: dict[tuple[str, ...], tuple[look.Look, list[str]]] = {}
        for kind, text in LEGEND.items():
            if kind in kinds:
                style = self.plain(kind)
                key = style.shape, style.fill, style.border
                word = "operation" if self.norms is not None and kind in OPERATIONS else text
                alike.setdefault(key, (style, []))[1].append(say(word))
        for style, words in alike.values():
            yield style, "", ", ".join(dict.fromkeys(words))
        if self.norms is not None:
            yield from self.legend_of_gradients(self.norms)

    def legend_of_gradients(self, norms: Norms) -> Iterable[tuple[look.Look, str, str]]:
        """What dashes, pale colours and numbers tell in a backward picture that has them."""
        picture, style = self.picture, self.plain("operation")
        boxes = [box for box in picture.boxes if box.parts]
        things: list[Box | Link | Tag] = [*boxes, *picture.tags, *picture.links]
        found = {norms.get(thing) for thing in things}
        if 0 in found:
            yield style._replace(dashed=True), "", say("gradient 0")
        if None in found:
            yield unreached(style), "", say("no gradient reaches it")
        share = "share of this step" if self.texts.timed else "share of this use"
        for tells_share, text in ((True, share), (False, "value | gradient")):
            tags = [tag for tag in self.layout.tags if self.texts.tells_share(tag) is tells_share]
            if told := [tag for tag in tags if tag in norms.of]:
                largest = max(told, key=norms.of.__getitem__)
                yield self.plain("tag"), self.texts.tags[largest], say(text)
        if self.tapped:
            yield look.LOOKS["stub"], "∂θ", say(SHARES)

    # edges

    def draw_edge(
        self, ends: tuple[str, str], path: Path, stroke: Stroke, norm: float | None,
        text: str = "", at: Point | None = None, sign: str = "", tip: str = "", right: bool = False,
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
                if self.texts.has_tips:
                    tip = f"{tip}  {say('gradient norm')} {norm:.3g}".strip()
                stroke = stroke if stroke.keep_colour else self.graded(stroke, norm)
        style = stroke.attributes()
        if kind == "line":
            style += " dir=none"
        if text:
            ink = look.LOSS if is_edit else look.INK
            style += f' label={typeset.label(text, 11)} fontsize=11 fontcolor="{ink}"'
        if tip and self.texts.has_tips:
            style += f" tooltip={quoted(tip)}"
        self.items.append(Item(kind, ends, path, style, at if text else None, sign, right))

    def graded(self, stroke: Stroke, norm: float) -> Stroke:
        """The stroke of an edge along which a gradient flows."""
        if norm == 0:
            return Stroke(look.PALE, 0.9, True)
        return Stroke(self.colour(norm), 0.9 + 2.3 * self.fraction(norm), stroke.dashed)

    def draw_link(self, link: Link) -> None:
        """One link, within a tile or between two."""
        lane = link.lane or self.layout.lanes.get(link, "")
        kind = self.picture.kind_of_state(lane) if lane else ""
        dashed = bool(link.hidden) or link.source.kind == "stub"
        stroke = stroke_of(kind, dashed, link.mark.startswith("✂"))
        ends = link.source.id, link.target.id
        text, at = self.caption(link), self.layout.captions.get(link)
        tip = self.texts.flows(link)
        path = self.layout.links[link]
        right = self.layout.sign_is_right(link)
        self.draw_edge(ends, path, stroke, self.norm(link), text, at, link.sign, tip, right)

    def caption(self, link: Link) -> str:
        """The text of a link: its mark, the steps that it hides, or its state; lines side by side
        have one text."""
        gutter = link in self.layout.gutters and link.source.tile != link.target.tile
        crosses = (link.lane and gutter) or link.source.kind == "delay"
        if link.target.beside == "after":  # the loose end says it
            return ""
        words = [self.texts.hidden(link)] if link.hidden else []
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
