"""From an abstract picture to a canvas: everything placed, in its look, with its texts.  Imports `grid`, `canvas`.

In a backward picture edges are reversed, and colour and width tell the gradient: of an edge the one that flows along
it, of a box that of its value, of a tap the share of its step, of a parameter the sum.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from minigrad import naming
from minigrad.render import style
from minigrad.render.canvas import TOOLTIPS, Canvas, Item, quoted
from minigrad.render.gradients import Flow, speaker
from minigrad.render.grid import Grid, Place
from minigrad.render.paths import Path, Point, straight
from minigrad.render.picture import Box, Link, Panel, Picture, Tap
from minigrad.render.views import is_number
from minigrad.render.ways import gutter_middle

RAILS = 3  # more parameters than this are drawn as tags


@dataclass(slots=True)
class Options:
    """What changes the look of a picture but not what is in it."""

    per_row: int | None = None
    highlight: Any = ()
    count_from: int = 0
    quiet: bool = False  # one of a flip-book, whose pictures all have the same widths


class Painter:
    """Paints one picture; scale: the decades of the colours."""

    def __init__(self, picture: Picture, flow: Flow | None, scale: Any, options: Options) -> None:
        self.picture, self.flow, self.options = picture, flow, options
        self.scale = scale or (flow.scale if flow else (0.0, 1.0))
        self.canvas, self.norms = Canvas(title=picture.left_out), flow.of if flow else {}
        self.names = {leaf: name for name, leaf in picture.graph.parameters.items()}
        self.highlight, self.captioned = set(options.highlight), set[Any]()

    def paint(self) -> Canvas:
        """The whole picture; rails where they fit, else tags."""
        self.name_boxes()
        self.name_taps()
        self.name_cells()
        shared = self.shared_parameters()
        rails = self.arrange(shared) if shared else None
        if rails is None:
            self.arrange(())
        for box in self.picture.boxes:
            self.draw_box(box)
        for link in self.picture.links:
            self.draw_link(link)
        self.draw_rails(rails or {})
        self.draw_weights()
        for place in self.grid.places.values():
            self.draw_frame(place)
        if self.flow is not None:
            self.canvas.legend = self.legend()
        return self.canvas

    # texts

    def name_boxes(self) -> None:
        """Stable ids: l0_t3_k5 is box 5 of step 3 in row 0."""
        rows = list(dict.fromkeys(row for row, _ in self.picture.panels))
        for (row, t), boxes in self.picture.panels.items():
            for k, box in enumerate(boxes):
                box.name = f"l{rows.index(row)}_{f't{t}' if row.timed else 'all'}_k{k}".replace("-", "m")

    def name_taps(self) -> None:
        """The texts of tags: the parameter's name, short where that is clear, and its share of the gradient."""
        same: defaultdict[Any, set[Any]] = defaultdict(set)
        taps = [(box, tap) for box in self.picture.boxes for tap in box.taps]
        for box, tap in taps:
            tap.name = self.names.get(tap.parameter) or naming.label(self.picture.graph, tap.parameter)
            same[box.panel[0], tap.name.split(".")[-1]].add(tap.parameter)
        for box, tap in taps:
            last = tap.name.split(".")[-1]
            tap.label = style.shorten(last if len(same[box.panel[0], last]) < 2 else tap.name, 20)
            if tap in self.norms and not self.options.quiet:
                tap.label += f" {self.norms[tap]:.2g}"

    def name_cells(self) -> None:
        """The further lines of cells: parameters, where no rail can name them; the gradient; the rows of a mask."""
        cells = [box for box in self.picture.boxes if box.kind == "cell"]
        stacked = self.options.per_row or len({box.panel[0] for box in cells}) > 1 or not self.picture.graph.axes
        for box in cells:
            weights = " ".join(tap.label.split(" ")[0] for tap in box.taps)
            if stacked and weights:
                box.label += f"\n{weights}" if len(weights) < 20 else f"\n{len(box.taps)} weights"
            if box in self.norms and not self.options.quiet:
                where = f" at t = {speaker(box).t}" if self.picture.rolled else ""
                box.label += f"\n|d{main_lane(box) or 'y'}| {self.norms[box]:.2g}{where}"
            inside, rows = mask_of([box])
            box.label += f"\n{inside} of {rows} rows" * (inside < rows)

    def heading(self, panel: Panel) -> str:
        """What stands over a panel: its step, and the gradient of its state."""
        row, t = panel
        boxes, first = self.picture.panels[panel], self.options.count_from
        if not row.timed or not self.picture.graph.axes:
            scope = next((box.nodes[-1].scope for box in boxes if box.nodes and box.nodes[-1].op is not None), "")
            text = "backward" if row.depth else "loss" if any(box.kind == "loss" for box in boxes) else ""
            return text if self.picture.graph.axes else text or style.shorten(scope)
        text = f"{'backward, ' * row.depth}t = {t + first}"
        if self.picture.rolled and row.total > 1:
            text = f"{text}, one of {row.total} steps" if self.flow else f"t = {first} … {first + row.total - 1}"
        if row.name and len({other.key[0] for other, _ in self.picture.panels if other.name}) > 1:
            text = f"{style.shorten(row.name)}   {text}"
        states = [box for box in boxes if box.lanes and box in self.norms]
        if states and not row.depth:
            box = min(states, key=lambda box: main_lane(box).startswith("c"))
            text += f"   ‖∂L/∂{main_lane(box)}‖ = {0.00012 if self.options.quiet else self.norms[box]:.2g}"
        inside, rows = mask_of(boxes)
        return text + f"   {inside} of {rows} rows" * (inside < rows)

    def tooltip(self, box: Box) -> str:
        """What a box says when pointed at: expression, shape, gradient, line."""
        if not box.nodes or len(self.picture.graph) > TOOLTIPS * 5:
            return "" if box.nodes else f"{box.lanes[0]} of an earlier step"
        node, graph = speaker(box), self.picture.graph
        text = naming.expression(graph, node) if len(box.nodes) == 1 else f"{len(box.nodes)} operations"
        norm = f"  ‖∂L/∂{naming.label(graph, node)}‖ = {self.norms[box]:.3g}" if box in self.norms else ""
        return f"{style.shorten(text, 200)}  {node.shape}{style.shorten(norm, 60)}" + f"  {node.source}" * bool(node.op)

    # places

    def shared_parameters(self) -> dict[Any, None]:
        """The parameters that several panels use, if they are few enough to be drawn as rails."""
        panels: defaultdict[Any, set[Panel]] = defaultdict(set)
        for box in self.picture.boxes:
            for tap in box.taps:
                panels[tap.parameter].add(box.panel)
        shared = {x: None for x, found in panels.items() if len(found) > 1}
        rows = {row for row, _ in self.picture.panels if row.timed}
        drawn = len(rows) == 1 and not self.options.per_row and self.picture.view != "cells"
        return shared if drawn and len(shared) <= RAILS else {}

    def arrange(self, railed: Any) -> dict[Tap, tuple[Box, Path]] | None:
        """Place everything; the way of each tap from its rail, or None if some have none."""
        headings = {} if self.picture.view == "cells" else {panel: self.heading(panel) for panel in self.picture.panels}
        widths = {panel: style.text_width(text, 12) + 12 for panel, text in headings.items() if len(headings) > 1}
        self.grid = Grid(self.picture, railed, widths, self.options.per_row)
        ways: dict[Tap, tuple[Box, Path]] = {}
        order = {x: k for k, x in enumerate(railed)}
        for place in self.grid.places.values():
            xs = [self.grid.rights[place.column] - widths.get(place.panel, 0.0) / 2]
            room = [widths.get(place.panel, 0.0) / 2]
            for box, tap in [(box, tap) for box in place.boxes for tap in box.taps if tap.parameter in order]:
                width = style.text_width("0.000001" if self.options.quiet else tap.label.split(" ")[-1], 11) + 5
                corners = self.way_down(place, box, xs, room, width if self.flow else 6.0)
                if not corners:
                    return None
                top = self.rail_y(order[tap.parameter]) - style.RAIL_HEIGHT / 2
                ways[tap] = box, straight((corners[0][0], top), *corners)
        return ways

    def way_down(self, place: Place, box: Box, xs: list[float], room: list[float], width: float) -> list[Point]:
        """Straight down into a box, or down beside it, where dot leaves room between its ranks, and in from the side."""
        (cx, cy), outline = place.center(box), self.grid.outline(box)
        others = [(place.center(b), self.grid.outline(b)) for b in place.boxes if b is not box]
        half = max([outline.width, *(o.width for (x, _), o in others if abs(x - cx) < 3)]) / 2 + 6
        clear = not any(y > cy and abs(x - cx) < max(o.width, o.tags) / 2 + 3 for (x, y), o in others)
        edge, y = outline.width / 2 * (0.87 if outline.round else 1), cy + outline.height / 4
        for x, corners in (
            *([(cx, [(cx, cy + outline.height / 2)])] if clear else []),
            (cx - half, [(cx - half, y), (cx - edge, y)]),
            (cx + half, [(cx + half, y), (cx + edge, y)]),
        ):
            if all(abs(x - other) >= max(width, r) for other, r in zip(xs, room, strict=True)):
                xs.append(x)
                room.append(6.0)
                return corners
        return []

    def rail_y(self, k: int) -> float:
        """The height of rail number k."""
        return self.grid.ceiling + (32 if self.flow else 16) + 20.0 * k

    # boxes

    def coloured(self, look: style.Look, thing: Any) -> style.Look:
        """A look in the colour of a gradient: white and dashed if it is exactly zero, pale if there is none."""
        if self.flow is None:
            return look
        norm = self.norms.get(thing) if not isinstance(thing, float) else thing
        if norm is None:
            return look._replace(fill="#F5F6F7", border=style.PALE)
        fill = self.colour(norm) if norm else "#FFFFFF"
        return look._replace(fill=fill, ink=style.ink_on(fill), dashed=norm == 0)

    def draw_box(self, box: Box) -> None:
        """One box where it stands, with its tags."""
        grid, look = self.grid, style.LOOKS[box.kind]
        place = grid.places.get(box.panel)
        if box.kind != "delay":
            plain = box.kind in ("loss", "state", "state box", "cell state") or self.flow is None
            look = self.coloured(look if plain else look._replace(border=style.GREY), box)
        if mask_of([box])[0] == 0:
            look = look._replace(dashed=True)
        if self.highlight.intersection(box.nodes):
            look = look._replace(border=style.RED, pen=3.2)
        label, tip = style.shorten(box.label, 300) if "\n" not in box.label else box.label, self.tooltip(box)
        if box in grid.bars:
            (left, bottom), (right, top) = grid.bar(box)
            label = "\n".join(label.split()) if self.options.per_row else label
            self.canvas.node(
                box.name,
                ((left + right) / 2, (bottom + top) / 2),
                (right - left, top - bottom),
                label,
                look._replace(shape="box"),
                tip,
            )
        elif box in grid.outer or (place is not None and box in place.boxes):
            outline, center = grid.outline(box), grid.outer.get(box) or place.center(box)  # type: ignore[union-attr]
            self.canvas.node(box.name, center, (outline.width, outline.height), label, look, tip)
            self.draw_tags(box, center)

    def draw_tags(self, box: Box, center: Point) -> None:
        """The parameters of a box, as tags on it."""
        outline = self.grid.outline(box)
        x, y = center[0] - outline.tags / 2, center[1] + outline.height / 2 + style.TAG_HEIGHT / 2 + 0.5
        for k, tap in enumerate(self.grid.tags(box)):
            width, height = style.size("tag", tap.label)
            look = self.coloured(style.LOOKS["tag" if tap.parameter._requires_grad else "constant tag"], tap)
            tip = f"{style.shorten(tap.name, 60)} {tap.parameter.shape}"
            self.canvas.node(f"{box.name}_w{k}", (x + width / 2, y), (width, height), tap.label, look, tip)
            line = Item(
                "line",
                (f"{box.name}_w{k}", box.name),
                straight((x + width / 2, y), center),
                f'dir=none color="{look.border}" penwidth=0.9',
            )
            self.canvas.items.append(line)
            x += width + 2

    def draw_frame(self, place: Place) -> None:
        """A panel with its heading."""
        grid, panel = self.grid, place.panel
        if self.picture.view == "cells" or len(grid.columns) < 2:
            return
        left, right, bottom, top = (
            grid.lefts[place.column],
            grid.rights[place.column],
            grid.strip(place),
            grid.top(place),
        )
        if not panel[0].timed:
            bottom, top = place.y, place.y + place.tile.height + 20
        text = self.heading(panel)
        inside, rows = mask_of(place.boxes)
        fill, border = (style.PANEL, "#DADCE0") if inside == rows else ("#E8EAED" if inside else "#DADCE0", "#80868B")
        look = f'label={quoted(text)} fontsize=12 fontcolor="{style.INK}" style="rounded,filled" fillcolor="{fill}" color="{border}"'
        x = right - style.text_width(text, 12) / 2 - 8 if grid.railed else (left + right) / 2
        name = place.boxes[0].name.rsplit("_", 1)[0]
        ids = (name, *(box.name for box in place.boxes))
        self.canvas.items.append(Item("frame", ids, [(left, bottom), (right, top)], look, (x, top - 10)))

    # parameters

    def draw_rails(self, ways: dict[Tap, tuple[Box, Path]]) -> None:
        """The shared parameters as rails, with a tap into each step."""
        grid = self.grid
        columns = [grid.places[box.panel].column for box, _ in ways.values()]
        for k, x in enumerate(grid.railed):
            text, y = self.about(x), self.rail_y(k)
            left, right = grid.lefts[min(columns)], grid.rights[max(columns)]
            width = max(right - left, style.text_width(text, style.SMALLEST) + 12)
            tip = f"used {len(self.picture.graph.users[x])} times"
            self.canvas.node(
                f"rail{k}", ((left + right) / 2, y), (width, style.RAIL_HEIGHT), text, style.LOOKS["rail"], tip
            )
        order = {x: k for k, x in enumerate(grid.railed)}
        for tap, (box, path) in ways.items():
            norm = self.norms.get(tap)
            text = "" if norm is None else f"{norm:.2g}"
            at = (path[0][0] + style.text_width(text, 11) / 2 + 3, grid.ceiling + 12)
            self.draw_edge(f"rail{order[tap.parameter]}", box.name, path, style.TAP, 1.0, norm, label=text, at=at)

    def about(self, x: Any) -> str:
        """A parameter's name, its shape, and the sum of its gradients."""
        name, shape = (
            style.shorten(self.names.get(x) or naming.label(self.picture.graph, x)),
            "×".join(map(str, x.shape)),
        )
        total = self.flow.parameters.get(x) if self.flow else None
        return f"{name}  {shape}".strip() + ("" if total is None else f"   ‖∂L/∂{name}‖ = {total:.2g}")

    def draw_weights(self) -> None:
        """Under the steps one rail for all parameters that have none: of cells with a tap into each."""
        grid = self.grid
        cells = [box for box in self.picture.boxes if box.kind == "cell" and box.taps and box.panel in grid.places]
        tapped = bool(cells) and not self.options.per_row and len({box.panel[0] for box in cells}) == 1
        boxes = cells if tapped and self.flow is None else self.picture.boxes
        shown = dict.fromkeys(tap.parameter for box in boxes for tap in box.taps if tap.parameter in self.names)
        shown = {x: None for x in shown if x not in grid.railed}
        if not shown or not (tapped or self.flow) or not grid.places:
            return
        left, bottom, right, _ = self.canvas.box()
        texts, lines = [self.about(x) for x in shown], [""]
        if tapped and (self.picture.rolled or any(link.hidden for link in self.picture.links)):
            texts.append(f"(used {len(self.picture.graph.users[cells[0].taps[0].parameter])} times)")
        for text in texts:
            if style.text_width(lines[-1] + text, style.SMALLEST) > max(right - left, 300):
                lines.append("")
            lines[-1] += f"   {text}" if lines[-1] else text
        label = "\n".join(lines)
        height = style.RAIL_HEIGHT + 13 * (len(lines) - 1)
        columns = [grid.places[box.panel].column for box in cells] if tapped else range(len(grid.columns))
        left, right = min(grid.lefts[k] for k in columns), max(grid.rights[k] for k in columns)
        y, width = bottom - 14 - height / 2, max(right - left, style.size("rail", label)[0])
        self.canvas.node(
            "weights", ((left + right) / 2, y), (width, height), label, style.LOOKS["rail"], "all parameters"
        )
        for box in cells if tapped else ():
            (cx, cy), outline = grid.places[box.panel].center(box), grid.outline(box)
            x = cx - outline.width / 2 + 10
            shares = [self.norms[tap] for tap in box.taps if tap in self.norms]
            norm = math.sqrt(sum(share * share for share in shares)) if shares else None
            path = straight((x, y + height / 2), (x, cy - outline.height / 2))
            self.draw_edge("weights", box.name, path, style.TAP, 1.0, norm, tip="the share of this step")

    # lines

    def colour(self, norm: float) -> str:
        """The colour of a norm on the scale."""
        return style.ramp(self.fraction(norm)) if math.isfinite(norm) else style.NOT_FINITE

    def fraction(self, norm: float) -> float:
        """Where a norm lies on the scale, 0 ... 1."""
        lo, hi = self.scale
        return 1.0 if not math.isfinite(norm) else min(max((math.log10(norm or 1e-300) - lo) / (hi - lo), 0.0), 1.0)

    def draw_edge(
        self, tail: str, head: str, path: Path, colour: str, pen: float, norm: float | None, *,
        dashed: bool = False, label: str = "", at: Point | None = None, ink: str = style.INK, sign: str = "", tip: str = "",
        fixed: bool = False,
    ) -> None:  # fmt: skip
        """An edge; in a backward picture reversed, its gradient as colour and width; fixed: its colour says something else."""
        kind = "edge"
        if self.flow is not None and norm is None:
            kind, colour, pen, dashed = "line", colour if fixed else style.PALE, 0.9, dashed and fixed
        elif norm is not None:
            tail, head, path, sign = head, tail, path[::-1], ""
            tip = f"{tip}  gradient norm {norm:.3g}".strip()
            if not fixed:
                dashed, pen = dashed or norm == 0, 0.9 + 2.3 * self.fraction(norm) if norm else 0.9
                colour = self.colour(norm) if norm else style.PALE
        look = f'color="{colour}" penwidth={pen:.2f}' + " dir=none" * (kind == "line") + " style=dashed" * dashed
        if label:
            look += f' label={quoted(label)} fontsize={12 if ink == style.LOSS else 11:g} fontcolor="{ink}"'
        if tip and len(self.picture.graph) <= TOOLTIPS * 5:
            look += f" tooltip={quoted(tip)}"
        self.canvas.items.append(Item(kind, (tail, head), path, look, at if label else None, sign))

    def draw_link(self, link: Link) -> None:
        """One link, inside a panel or between two."""
        grid, lane = self.grid, link.lane
        place = grid.places.get(link.target.panel)
        if place is not None and link.source in place.boxes and link.target in place.boxes:
            pair = place.boxes.index(link.source), place.boxes.index(link.target)
            path = place.path(place.tile.inner[place.shape.inner.index(pair)])
            lane = lane or place.tile.spine.get(("inner", *pair), "")
        elif link in grid.ways.turns:
            path = grid.ways.path(link)
        else:
            return
        colour, pen = (lane_colour(lane), 1.7) if lane else (style.DATA, 1.1)
        text, at = self.caption(link, path)
        norm = self.norms.get(link)
        tip = f"{link.state or naming.label(self.picture.graph, link.source.nodes[-1]) if link.source.nodes else lane}"
        if link.mark.startswith("✂"):
            colour = style.LOSS
        if link.hidden and self.flow:
            colour, pen = style.GREY, 1.4
        self.draw_edge(
            link.source.name, link.target.name, path, colour, pen, norm, dashed=bool(link.hidden) or link.mark.startswith("✂"),
            label=text, at=at, ink=style.LOSS if link.mark else style.INK, sign=self.sign(link), tip=style.shorten(tip, 60), fixed=bool(link.hidden or link.mark.startswith("✂")),
        )  # fmt: skip

    def caption(self, link: Link, path: Path) -> tuple[str, Point | None]:
        """The text of a link that crosses a gutter: its mark, the steps it hides, or its state; that once."""
        target, key = self.grid.places.get(link.target.panel), (link.source, link.lane, link.target.panel)
        text = link.mark if link.mark.startswith("✂") else f"▌{link.mark}" if link.mark else ""
        if link.hidden:
            text = f"… {link.hidden} step{'s' * (link.hidden > 1)}  {text}".strip()
        if target is None or (not text and (key in self.captioned or not link.lane)) or link.source in target.boxes:
            return "", None
        at = None if self.grid.ways.turns[link] else gutter_middle(self.grid, link, target)
        if at is None and not text:
            return "", None
        self.captioned.add(key)
        x, y = at or path[len(path) // 2]
        return text or link.lane, (x, y + 8)

    def sign(self, link: Link) -> str:
        """Beside an edge into − or ÷: which operand it is, if it is the second."""
        if len(link.ends) != 1:
            return ""
        node, k = link.ends[0]
        operation = node.op.name if node.op is not None else ""
        if k != 1 or operation not in ("subtract", "divide") or is_number(node.inputs[0]):  # the box itself says 1−
            return ""
        return "−" if operation == "subtract" else "÷"

    def legend(self) -> str:
        """The colour bar with its two exponents; below its end lie the norms that are smaller still."""
        lo, hi = self.scale
        least = min((n for n in self.norms.values() if n > 0), default=1.0)
        below, odd = "≤ " * (least < 10.0**lo * 0.999), any(not math.isfinite(n) for n in self.norms.values())
        cells = "".join(f'<td bgcolor="{style.ramp(k / 15)}" width="9" height="10"></td>' for k in range(16))
        text = "gradient norm (log scale)&#160;&#160; "
        end = f'<td>&#160;&#160; NaN or ∞ </td><td bgcolor="{style.NOT_FINITE}" width="18"></td>' if odd else ""
        table = '<table border="0" cellborder="0" cellspacing="0" cellpadding="0">'
        return f"<{table}<tr><td>{text}{below}1e{lo:g} </td>{cells}<td> 1e{hi:g}</td>{end}</tr></table>>"


def lane_colour(lane: str) -> str:
    """The memory c is blue, h and every other state teal."""
    return style.LOOKS["cell state" if lane.startswith("c") else "state"].border


def main_lane(box: Box) -> str:
    """Of several states that a box makes, the one whose gradient is told: not the memory c."""
    return min(box.lanes, key=lambda name: name.startswith("c"), default="")


def mask_of(boxes: list[Box]) -> tuple[int, int]:
    """How many rows of the batch a padded step still computes, and of how many: the unroller's mask tells."""
    for node in [node for box in boxes for node in box.nodes]:
        if node.op is not None and node.op.name == "where" and node.inputs[0].name == "inside":
            return int(node.inputs[0].data.sum()), node.inputs[0].size
    return 1, 1
