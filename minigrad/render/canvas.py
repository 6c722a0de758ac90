"""Pinned items and their DOT text: a real graphviz.Digraph with every position given."""

from __future__ import annotations

import math
import re
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
from minigrad.render.splines import Path, Point, beside_tip, shortened
from minigrad.render.typeset import quoted

FEW = 1000  # items, up to which curves are measured with care
ORDER = {"frame": 0, "node": 1, "edge": 2, "line": 2}


class Item(NamedTuple):
    """A pinned thing.

    kind: "node", "edge" (with an arrowhead), "line" (an edge without), or "frame".
    ids: of a node; of an edge its tail and head; of a frame, whose members follow.
    points: of an edge its spline, of all others two opposite corners.
    style: how it looks, as DOT attributes.  sign: beside an arrowhead, which operand is subtracted;
    right: on its right.
    """

    kind: str
    ids: tuple[str, ...]
    points: Path
    style: str
    label_at: Point | None = None
    sign: str = ""
    right: bool = False

    @property
    def text_width(self) -> float:
        """How wide the text of an edge is, as its style has it."""
        found = re.search(r' label=(?:"([^"]*)"|<(.*?)> fontsize)', self.style)
        text = re.sub("<[^<>]*>", "", (found[1] or found[2] or "") if found else "")
        return look.text_width(text, 11)

    @property
    def is_edge(self) -> bool:
        """Whether it joins two nodes."""
        return self.kind in ("edge", "line")

    def moved(self, dx: float, dy: float, prefix: str = "") -> Item:
        """The item shifted; its ids get a prefix."""
        at = self.label_at and (self.label_at[0] + dx, self.label_at[1] + dy)
        points = [(x + dx, y + dy) for x, y in self.points]
        ids = tuple(prefix + name for name in self.ids) if prefix else self.ids
        return Item(self.kind, ids, points, self.style, at, self.sign, self.right)

    def text(self) -> str:
        """One line of DOT."""
        at = f'lp="{_at(self.label_at)}" ' if self.label_at else ""
        if self.is_edge:
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
        place = _at(beside_tip(self.points, self.right))
        style = f'labelfontsize=12 labelfontcolor="{look.GREY}" '
        return f'headlabel="{self.sign}" head_lp="{place}" {style}'


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
    below, above = beyond(scale, found)
    text = f"{say('gradient norm (log scale)')}   {below}{look.power(lo)}"
    items = [text_item("scale", (-78 - look.text_width(text, 12), 0.0), text, 12)]
    items += [swatch(f"scale{k}", -72 + 9 * k, 9, look.ramp(k / 15)) for k in range(16)]
    items.append(text_item("scale_end", (78, 0.0), f"{above}{look.power(hi)}", 12))
    if not all(map(math.isfinite, found)):
        items.append(text_item("not_finite", (140, 0.0), "NaN or ∞", 12))
        items.append(swatch("not_finite_colour", 212, 18, look.NOT_FINITE))
    return items


def beyond(scale: tuple[float, float], norms: Sequence[float]) -> tuple[str, str]:
    """What stands before the two ends of a scale, where norms lie outside of it."""
    lo, hi = scale
    below = any(0 < norm < 10.0**lo * 0.999 for norm in norms)
    above = any(10.0**hi * 1.001 < norm < math.inf for norm in norms)
    return "≤ " if below else "", "≥ " if above else ""


def swatch(name: str, x: float, width: float, colour: str) -> Item:
    """A piece of the colour bar."""
    style = f'label="" style=filled fillcolor="{colour}" pencolor=none'
    return Item("frame", (name,), [(x, -5.0), (x + width, 5.0)], style)


def bounds(items: Sequence[Item]) -> tuple[float, float, float, float]:
    """Left, bottom, right, top of some items; of few with all that steers a curve, which may go
    beyond its ends."""
    step = 1 if len(items) < FEW else 3
    points = [point for item in items for point in item.points[:: step if item.is_edge else 1]]
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
        notes = ";  ".join(self.notes)
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


def wrapped(text: str, width: float, font: float) -> list[str]:
    """A text in lines of about a width."""
    return textwrap.wrap(text, max(24, int(width / look.text_width("n", font))))
