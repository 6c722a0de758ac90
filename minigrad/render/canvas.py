"""What is placed where, and its DOT text: a real graphviz.Digraph with every position pinned.  Imports `engine`.

Nodes, edges and frames are items that differ in how their points are written; an item's look is DOT text already.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from html import escape
from typing import Any, NamedTuple

import graphviz

from minigrad.render import engine, style
from minigrad.render.paths import Path, Point, shortened

TABLE = '<table border="0" cellborder="0" cellspacing="0" cellpadding="0">'


class Item(NamedTuple):
    """A pinned thing.

    ids: of a node; of an edge its tail and head; of a frame, whose members follow.  points: of an edge its spline, of
    all others two opposite corners.
    """

    kind: str  # "node", "edge" (with an arrowhead), "line" (an edge without) or "frame"
    ids: tuple[str, ...]
    points: Path
    look: str
    label_at: Point | None = None
    sign: str = ""  # beside an arrowhead: which operand is subtracted

    def moved(self, dx: float, dy: float, prefix: str) -> Item:
        """The item shifted; its ids get a prefix."""
        at = self.label_at and (self.label_at[0] + dx, self.label_at[1] + dy)
        points = [(x + dx, y + dy) for x, y in self.points]
        return self._replace(
            ids=tuple(prefix + name for name in self.ids), points=points, label_at=at
        )

    def text(self) -> str:
        """One line of DOT."""
        at = f'lp="{_at(self.label_at)}" ' if self.label_at else ""
        if self.kind in ("edge", "line"):
            points, tip = shortened(self.points) if self.kind == "edge" else (self.points, None)
            spline = (f"e,{_at(tip)} " if tip else "") + " ".join(map(_at, points))
            return (
                f'\t{self.ids[0]} -> {self.ids[1]} [pos="{spline}" {at}{self._sign()}{self.look}]\n'
            )
        (left, bottom), (right, top) = self.points
        if self.kind == "node":
            where = f'pos="{(left + right) / 2:.2f},{(bottom + top) / 2:.2f}"'
            size = f"width={(right - left) / 72:.4f} height={(top - bottom) / 72:.4f}"
            return f"\t{self.ids[0]} [{where} {size} {self.look}]\n"
        members = "".join(f"{name}; " for name in self.ids[1:])
        box = f'bb="{left:.2f},{bottom:.2f},{right:.2f},{top:.2f}"'
        return f"\tsubgraph cluster_{self.ids[0]} {{ graph [{box} {at}{self.look}] {members}}}\n"

    def _sign(self) -> str:
        if not self.sign:
            return ""
        (ax, ay), (bx, by) = self.points[-2:]
        length = max(((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5, 1e-6)
        at = (
            bx - (8 * (by - ay) + 5 * (bx - ax)) / length,
            by + (8 * (bx - ax) - 5 * (by - ay)) / length,
        )
        return f'headlabel="{self.sign}" head_lp="{_at(at)}" labelfontsize=12 labelfontcolor="{style.GREY}" '


def _at(point: Point) -> str:
    return f"{point[0]:.2f},{point[1]:.2f}"


@dataclass(slots=True)
class Canvas:
    """Everything of one picture; legend: the colour bar, as rows of an HTML-like table; title: what was left out."""

    items: list[Item] = field(default_factory=list)
    legend: str = ""
    title: str = ""
    columns: int = 0  # how many there are
    tips: bool = True  # whether things say what they are when pointed at

    def node(
        self,
        name: str,
        center: Point,
        size: tuple[float, float],
        label: str,
        look: style.Look,
        tip: str,
    ) -> None:
        """A node around its centre."""
        (x, y), (width, height) = center, (size[0] / 2, size[1] / 2)
        text = f"label={quoted(label)} {look.attributes()}" + (
            f" tooltip={quoted(tip)}" if tip else ""
        )
        self.items.append(
            Item("node", (name,), [(x - width, y - height), (x + width, y + height)], text)
        )

    def text(self, name: str, at: Point, text: str, font: float) -> None:
        """A text alone, written from its left end."""
        width = style.text_width(text, font)
        look = f'label={quoted(text)} fontsize={font:g} fontcolor="{style.INK}" pencolor=none'
        corners = [(at[0], at[1] - font / 2 - 2), (at[0] + width, at[1] + font / 2 + 2)]
        self.items.append(Item("frame", (name,), corners, look, (at[0] + width / 2, at[1])))

    def box(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top of everything."""
        xs = [x for item in self.items for x, _ in item.points]
        ys = [y for item in self.items for _, y in item.points]
        return min(xs), min(ys), max(xs), max(ys)

    def add(self, other: Canvas, dx: float, dy: float, prefix: str) -> None:
        """Another canvas beside what is here."""
        self.items += [item.moved(dx, dy, prefix) for item in other.items]

    def page(self) -> tuple[float, float, float, float]:
        """The box with room for the legend and the title over it."""
        left, bottom, right, top = self.box()
        right = max(right, left + 340.0 * bool(self.legend))
        return (
            left,
            bottom,
            right,
            top + 24 * bool(self.legend) + 16 * len(self.title_lines(right - left)) + 10,
        )

    def title_lines(self, width: float) -> list[str]:
        """The title in lines that fit the page."""
        return wrapped(self.title.strip("; "), width, 12)

    def digraph(self, attributes: dict[str, str]) -> Drawing:
        """The picture; its text is the same for the same items."""
        left, bottom, right, top = self.page()
        lines = self.title_lines(right - left)
        rows = "".join(
            f"<tr><td>{row}</td></tr>"
            for row in [f"{TABLE}{self.legend}</table>", *map(escape, lines)]
        )
        said = f"<{TABLE}{rows}</table>>" if self.legend else quoted("\n".join(lines))
        pinned = {
            "layout": "nop2", "outputorder": "edgesfirst", "notranslate": "true", "splines": "true", "pad": "0.12",
            "bb": f"{left:.2f},{bottom:.2f},{right:.2f},{top:.2f}", "fontname": style.FONT,
        }  # fmt: skip
        header = " ".join(
            f"{name}={quoted(value)}" for name, value in (pinned | attributes).items()
        )
        if self.legend or self.title:
            at = ((left + right) / 2, (self.box()[3] + top) / 2)
            header += f' label={said} lp="{_at(at)}" fontsize=12 fontcolor="{style.INK}"'
        order = {"frame": 0, "node": 1, "edge": 2, "line": 2}
        items = sorted(self.items, key=lambda item: order[item.kind])
        font, page, tip = quoted(style.FONT), quoted(pinned["bb"]), ' tooltip=" "' * self.tips
        return Drawing("minigrad", body=[
            f'\tgraph [{header}]\n\tnode [fontname={font} fixedsize=true margin=0{tip}]\n',
            f'\tedge [fontname={font} arrowsize=0.6 arrowhead=normal{tip}]\n',
            f'\tsubgraph cluster_page {{ graph [bb={page} pencolor=none label=""] }}\n',
            *[item.text() for item in items],
        ])  # fmt: skip


class Drawing(graphviz.Digraph):  # type: ignore[misc]  # graphviz has no types
    """A `graphviz.Digraph` that is drawn, also by a notebook, where there is no dot program but pygraphviz."""

    def pipe(
        self, format: str | None = None, *_: Any, encoding: str | None = None, **options: Any
    ) -> Any:
        """The picture in a format, as bytes or, with an encoding, as text."""
        data = engine.run(self.source, format or self.format)
        return data.decode(encoding) if encoding else data


def wrapped(text: str, width: float, font: float) -> list[str]:
    """A text in lines of about a width."""
    return textwrap.wrap(text, max(24, int(width / style.text_width("n", font))))


def quoted(text: str) -> str:
    """A DOT string that shows exactly this text."""
    return (
        '"'
        + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("&", "&amp;")
        + '"'
    )
