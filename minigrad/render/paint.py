"""From an abstract picture to a canvas: all in its look, where the grid has placed it.  Imports `labels`, `grid`.

In a backward picture edges are reversed, and colour and width tell the gradient: of an edge the one that flows along
it, of a box that of its value, of a tap the share of its step, of a parameter the sum.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, NamedTuple

from minigrad.render import style, ways
from minigrad.render.canvas import Canvas, Item, quoted
from minigrad.render.gradients import Flow
from minigrad.render.grid import Grid
from minigrad.render.labels import WIDEST, Labels, legend, mask_of
from minigrad.render.names import is_number
from minigrad.render.paths import Path, Point, level_middle, straight
from minigrad.render.picture import Box, Link, Picture, Tap
from minigrad.render.places import op_name
from minigrad.render.ports import Place

RAILS = 3  # more parameters than this are drawn as tags
STATES = ("state", "state box", "cell state")


class Stroke(NamedTuple):
    """How an edge is drawn; fixed: its colour says something else than the gradient does."""

    colour: str
    pen: float
    dashed: bool = False
    fixed: bool = False


TAPPED = Stroke(style.TAP, 1.0)


class Painter(Labels):
    """Paints one picture; scale: the decades of the colours."""

    grid: Grid

    def __init__(
        self, picture: Picture, flow: Flow | None, scale: Any, title: str, **look: Any
    ) -> None:
        super().__init__(picture, flow, look)
        self.scale = scale or (flow.scale if flow else (0.0, 1.0))
        self.canvas = Canvas(title=title, tips=self.tips)
        self.captioned, self.sides = set[Any](), dict[Tap, float]()

    def paint(self) -> Canvas:
        """The whole picture; rails where they fit, else tags."""
        self.write_texts()
        rails = self.arrange(self.shared_parameters())
        if rails is None:
            self.arrange({})
        self.canvas.columns = len(self.grid.columns)
        for box in self.picture.boxes:
            self.draw_box(box)
        for link in self.picture.links:
            self.draw_link(link)
        for place in self.grid.places.values() if self.framed else ():
            self.draw_frame(place)
        self.draw_rails(rails or {})
        self.draw_weights()
        self.canvas.legend = legend(self.scale, self.norms.values()) if self.flow else ""
        return self.canvas

    # places

    def shared_parameters(self) -> dict[Any, int]:
        """The parameters that several panels use, if they are few enough to be drawn as rails."""
        used = [
            dict.fromkeys(x for box in boxes for x in box.taps)
            for boxes in self.picture.panels.values()
        ]
        uses = Counter(x for found in used for x in found)
        shared = {x: k for k, x in enumerate(x for x, count in uses.items() if count > 1)}
        one_row = (
            len({row for row, _ in self.picture.panels if row.timed}) == 1 and not self.per_row
        )
        return shared if one_row and self.picture.view != "cells" and len(shared) <= RAILS else {}

    def arrange(self, railed: dict[Any, int]) -> dict[Tap, tuple[Box, Path]] | None:
        """Place everything; the way of each tap from its rail, or None if some have none."""
        widths = {
            p: style.text_width(self.heading(p, True), 12) + 16
            for p in self.picture.panels
            if self.framed
        }
        self.grid = Grid(self.picture, railed, widths, self.per_row)
        for k, bar in enumerate(self.grid.bars):
            bar.name = f"bar{k}"
        ways_of: dict[Tap, tuple[Box, Path]] = {}
        if railed and self.grid.bars:  # a tap would run behind them
            return None
        for place in self.grid.places.values():
            taken: dict[Tap, float] = {}
            for box, tap in [
                (b, tap) for b in place.boxes for x, tap in b.taps.items() if x in railed
            ]:
                corners = self.way_down(place, box, list(taken.values()))
                if not corners:
                    return None
                taken[tap] = corners[0][0]
                top = self.rail_y(tap.parameter) - style.RAIL_HEIGHT / 2
                ways_of[tap] = box, straight((corners[0][0], top), *corners)
            for tap, x in taken.items():  # its share stands at the side where no other tap is
                share = WIDEST if self.quiet else self.told(self.norms.get(tap))
                width = style.text_width(share or " ", 11) + 5
                right = not any(x < other < x + width for other in taken.values())
                if not right and any(x - 2 * width < other < x for other in taken.values()):
                    return None
                self.sides[tap] = width / 2 if right else -width / 2
        return ways_of

    def way_down(self, place: Place, box: Box, taken: list[float]) -> list[Point]:
        """Straight down into a box, or beside it, where dot leaves room between its ranks, and in from the side."""
        (cx, cy), outline = self.grid.at[box], self.grid.outlines[box]
        others = [(self.grid.at[b], self.grid.outlines[b]) for b in place.boxes if b is not box]
        half = max([outline.width, *(o.width for (x, _), o in others if abs(x - cx) < 3)]) / 2 + 6
        clear = not any(
            y > cy and abs(x - cx) < max(o.width, o.tags) / 2 + 3 for (x, y), o in others
        )
        edge, y = outline.width / 2 * (0.87 if outline.round else 1), cy + outline.height / 4
        sides = [[(cx + s * half, y), (cx + s * edge, y)] for s in (-1, 1)]
        ways_down = [[(cx, cy + outline.height / 2)]] * clear + sides
        return next((way for way in ways_down if all(abs(way[0][0] - x) >= 6 for x in taken)), [])

    def rail_y(self, parameter: Any) -> float:
        """The height of the rail of a parameter."""
        return self.grid.ceiling + (32 if self.flow else 16) + 24.0 * self.grid.railed[parameter]

    # boxes

    def coloured(self, look: style.Look, thing: Any) -> style.Look:
        """A look in the colour of a gradient: white and dashed if it is exactly zero, pale if there is none."""
        norm = self.norms.get(thing)
        if self.flow is None or norm is None:
            return look._replace(fill="#F5F6F7", border=style.PALE) if self.flow else look
        fill = self.colour(norm) if norm else "#FFFFFF"
        return look._replace(fill=fill, ink=style.ink_on(fill), dashed=norm == 0)

    def draw_box(self, box: Box) -> None:
        """One box where it stands, with its tags."""
        grid, look = self.grid, style.LOOKS[box.kind]
        if box.kind != "delay":
            plain = self.flow is None or box.kind in STATES or box.kind == "loss"
            look = self.coloured(look if plain else look._replace(border=style.GREY), box)
        if mask_of([box])[0] == 0:
            look = look._replace(dashed=True)
        if self.picture.outputs.intersection(box.nodes):
            look = look._replace(border=style.LOSS, pen=2.0)
        if self.highlight.intersection(box.nodes):
            look = look._replace(border=style.RED, pen=3.2)
        if box in grid.bars:
            (left, bottom), (right, top) = grid.corners[box]
            center, size = ((left + right) / 2, (bottom + top) / 2), (right - left, top - bottom)
            look, label = (
                look._replace(shape="box"),
                "\n".join(box.label.split()) if self.per_row else box.label,
            )
        else:
            center, size, label = grid.at[box], grid.outlines[box][:2], box.label
            self.draw_tags(box, center)
        self.canvas.node(box.name, center, size, label, look, self.tooltip(box))

    def draw_tags(self, box: Box, center: Point) -> None:
        """The parameters of a box, as tags on it."""
        outline = self.grid.outlines[box]
        x, y = (
            center[0] - outline.tags / 2,
            center[1] + outline.height / 2 + style.TAG_HEIGHT / 2 + 0.5,
        )
        for k, tap in enumerate(self.grid.tags(box)):
            look = self.coloured(
                style.LOOKS["tag" if tap.parameter._requires_grad else "constant tag"], tap
            )
            look = (
                look._replace(border=style.RED, pen=2.4)
                if tap.parameter in self.highlight
                else look
            )
            name, at, size = (
                f"{box.name}_w{k}",
                (x + tap.width / 2, y),
                (tap.width, style.TAG_HEIGHT),
            )
            self.canvas.node(name, at, size, tap.label, look, f"{tap.name} {tap.parameter.shape}")
            line = f'dir=none color="{look.border}" penwidth=0.9'
            self.canvas.items.append(Item("line", (name, box.name), straight(at, center), line))
            x += tap.width + 2

    def draw_frame(self, place: Place) -> None:
        """A panel with its heading: out of the way of taps it stands below."""
        grid, text, (inside, rows) = self.grid, self.heading(place.panel), mask_of(place.boxes)
        left, right = grid.lefts[place.column], grid.rights[place.column]
        bottom, top = grid.strip(place), grid.top(place)
        if not place.panel[0].timed:
            bottom, top = (
                place.y - 20 * bool(grid.railed),
                place.y + place.tile.height + 20 * (not grid.railed),
            )
        fill, border = (
            (style.PANEL, "#DADCE0")
            if inside == rows
            else ("#E8EAED" if inside else "#D3D6DA", "#80868B")
        )
        at = (
            (right - style.text_width(text, 12) / 2 - 8, bottom + 9)
            if grid.railed
            else ((left + right) / 2, top - 10)
        )
        look = f'label={quoted(text)} fontsize=12 fontcolor="{style.INK}" style="rounded,filled"'
        look += f' fillcolor="{fill}" color="{border}"'
        ids = (place.boxes[0].name.rsplit("_", 1)[0], *(box.name for box in place.boxes))
        self.canvas.items.append(Item("frame", ids, [(left, bottom), (right, top)], look, at))

    # parameters

    def draw_rails(self, ways_of: dict[Tap, tuple[Box, Path]]) -> None:
        """The shared parameters as rails, with a tap into each step."""
        grid, names = self.grid, {x: f"rail{k}" for x, k in self.grid.railed.items()}
        columns = [grid.places[box.panel].column for box, _ in ways_of.values()]
        for x, name in names.items():
            left, right, text = grid.lefts[min(columns)], grid.rights[max(columns)], self.about(x)
            size = max(right - left, style.text_width(text, style.SMALLEST) + 12), style.RAIL_HEIGHT
            tip, look = f"used {len(self.picture.graph.users[x])} times", style.LOOKS["rail"]
            look = look._replace(border=style.RED, pen=2.4) if x in self.highlight else look
            self.canvas.node(name, ((left + right) / 2, self.rail_y(x)), size, text, look, tip)
        for tap, (box, path) in ways_of.items():
            at, text = (
                (path[0][0] + self.sides[tap], grid.ceiling + 12),
                self.told(self.norms.get(tap)),
            )
            ends, sign = (names[tap.parameter], box.name), "ᵀ" * tap.turned
            self.draw_edge(*ends, path, TAPPED, self.norms.get(tap), text, at, sign)

    def draw_weights(self) -> None:
        """Under the steps one rail for all parameters that have none: of cells with a tap into each."""
        grid = self.grid
        cells = [
            box
            for box in self.picture.boxes
            if box.kind == "cell" and box.taps and box.panel in grid.places
        ]
        alone = len({box.panel[0] for box in cells}) == 1 and len(
            {box.panel for box in cells}
        ) == len(cells)
        tapped = cells if alone and not self.per_row else []
        shown = [x for x in self.names if x not in grid.railed]
        if not shown or not grid.places:
            return
        columns = [grid.places[box.panel].column for box in tapped] or range(len(grid.columns))
        left, right = min(grid.lefts[k] for k in columns), max(grid.rights[k] for k in columns)
        label = self.listed(shown, max(right - left, 300.0))
        width, height = (
            max(right - left, style.size("rail", label)[0]),
            style.RAIL_HEIGHT + 14.5 * label.count("\n"),
        )
        y = self.canvas.box()[1] - 14 - height / 2
        self.canvas.node(
            "weights",
            ((left + right) / 2, y),
            (width, height),
            label,
            style.LOOKS["rail"],
            "parameters",
        )
        for box in tapped:
            (cx, cy), outline = grid.at[box], grid.outlines[box]
            norm, x = self.joint(box), cx - outline.width / 2 + 10
            path = straight((x, y + height / 2), (x, cy - outline.height / 2))
            text = f"{'|dθ| ' * (len(box.taps) > 1)}{self.told(norm)}" if self.told(norm) else ""
            at = (x - 4 - style.text_width(text or " ", 11) / 2, y + height / 2 + 9)
            self.draw_edge("weights", box.name, path, TAPPED, norm, text, at, tip="of this step")

    # lines

    def colour(self, norm: float) -> str:
        """The colour of a norm on the scale."""
        return style.ramp(self.fraction(norm)) if math.isfinite(norm) else style.NOT_FINITE

    def fraction(self, norm: float) -> float:
        """Where a norm lies on the scale, 0 ... 1."""
        lo, hi = self.scale
        return (
            min(max((math.log10(norm) - lo) / (hi - lo), 0.0), 1.0)
            if 0 < norm < math.inf
            else float(norm != 0)
        )

    def draw_edge(
        self, tail: str, head: str, path: Path, stroke: Stroke, norm: float | None, text: str = "",
        at: Point | None = None, sign: str = "", tip: str = "",
    ) -> None:  # fmt: skip
        """An edge; in a backward picture reversed, its gradient as colour and width."""
        kind, ink = "edge", style.LOSS if stroke.colour == style.LOSS or "≤" in text else style.INK
        sign = sign if self.flow is None else ""
        if self.flow is not None and norm is None:
            kind, stroke = "line", stroke if stroke.fixed else Stroke(style.PALE, 0.9)
        elif norm is not None:
            tail, head, path, tip = (
                head,
                tail,
                path[::-1],
                f"{tip}  gradient norm {norm:.3g}".strip(),
            )
            colour, pen = (
                (self.colour(norm), 0.9 + 2.3 * self.fraction(norm)) if norm else (style.PALE, 0.9)
            )
            stroke = stroke if stroke.fixed else Stroke(colour, pen, stroke.dashed or norm == 0)
        look = f'color="{stroke.colour}" penwidth={stroke.pen:.2f}'
        look += " dir=none" * (kind == "line") + " style=dashed" * stroke.dashed
        look += f' label={quoted(text)} fontsize=11 fontcolor="{ink}"' if text else ""
        look += f" tooltip={quoted(tip)}" if tip and self.tips else ""
        self.canvas.items.append(Item(kind, (tail, head), path, look, at if text else None, sign))

    def draw_link(self, link: Link) -> None:
        """One link, inside a panel or between two."""
        grid, lane = self.grid, link.lane
        if link in grid.turns:
            path = ways.whole(grid, link)
        else:
            place = grid.places[link.target.panel]
            pair = place.boxes.index(link.source), place.boxes.index(link.target)
            path = place.way("inner", *pair)
            lane = lane or grid.spines[place.shape].get(("inner", *pair), "")
        cut = link.mark.startswith("✂")
        lane = "" if link.total else lane
        colour = (
            style.LOOKS["cell state" if style.is_memory(lane) else "state"].border
            if lane
            else style.DATA
        )
        stroke = Stroke(
            style.LOSS if cut else colour, 1.7 if lane else 1.1, cut or bool(link.hidden), cut
        )
        text, at = self.caption(link, path)
        ends = link.source.name, link.target.name
        self.draw_edge(
            *ends, path, stroke, self.norms.get(link), text, at, self.sign(link), self.name_of(link)
        )

    def caption(self, link: Link, path: Path) -> tuple[str, Point | None]:
        """The text of a link that crosses a gutter: its mark, the steps it hides, or its state; that once."""
        text = link.mark if link.mark.startswith("✂") else f"▌{link.mark}" if link.mark else ""
        text = (
            f"… {link.hidden} step{'s' * (link.hidden > 1)}  {text}".strip()
            if link.hidden
            else text
        )
        swings = self.grid.turns.get(link) == []
        silent = link.source.kind == "constant" or (link.total and link.source.kind != "delay")
        where = (
            link.source if swings else text,
            link.lane if swings else link.source.panel,
            link.target.panel,
        )
        where = (link.lane, link.mark, link.target.panel) if link.source.kind == "delay" else where
        if where in self.captioned or not (text or (swings and link.lane and not silent)):
            return "", None  # lines that run side by side have one text
        self.captioned.add(where)
        x, y = ways.gutter_middle(self.grid, link) if swings else level_middle(path)
        return text or link.lane, (x, y + 8)

    def sign(self, link: Link) -> str:
        """Beside an edge into − or ÷: which operand it is, if it is the second."""
        alone = link.ends if len(link.ends) == 1 else []
        ops = [
            op_name(node) for node, k in alone if k == 1 and not is_number(node.inputs[0])
        ]  # else the box says 1−
        return (
            "".join({"subtract": "−", "divide": "÷"}.get(op, "") for op in ops) or "ᵀ" * link.turned
        )
