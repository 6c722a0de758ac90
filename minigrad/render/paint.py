"""Boxes, tags and links in their looks; in a backward picture the gradient as colour and width.  Imports `routes`."""

from __future__ import annotations

import math
from typing import Any

from minigrad import naming
from minigrad.render import style
from minigrad.render.gradients import Flow
from minigrad.render.grid import Grid
from minigrad.render.paths import Path, straight
from minigrad.render.picture import Box, Link, Picture, is_number
from minigrad.render.place import Place
from minigrad.render.routes import Router
from minigrad.render.scene import Line, Node, Scene


class Painter:
    """What all parts of a picture are painted with."""

    grid: Grid
    router: Router
    paths: dict[Link, Path]

    def __init__(
        self, picture: Picture, flow: Flow | None, scale: tuple[float, float] | None, options: dict[str, Any]
    ) -> None:
        self.picture, self.flow, self.options = picture, flow, options
        self.highlight = set(options.get("highlight", ()))
        self.scale = scale or (flow.scale if flow else (0.0, 1.0))
        self.scene = Scene()
        self.ids: dict[Box, str] = {}

    # boxes

    def draw_panel(self, place: Place) -> None:
        """The boxes of a panel, their tags, the links between them."""
        for box in place.panel.boxes:
            outline = self.grid.outline(box)
            self.draw_box(box, place.center(box), outline.width, outline.height)
            self.draw_tags(place, box)
        for box in place.panel.outer:
            if box in self.router.outer:
                outline = self.grid.outline(box)
                self.draw_box(box, self.router.outer[box], outline.width, outline.height)
        for link in place.panel.inner:
            self.draw_inner(place, link)

    def draw_box(self, box: Box, center: tuple[float, float], width: float, height: float) -> None:
        """One box; in a backward picture in the colour of its gradient."""
        look, dashed = style.LOOKS[box.kind], False
        if self.flow is not None and box.kind != "delay":
            norm = self.flow.boxes.get(box)
            border = look.border if box.kind in ("loss", "state", "state box", "cell state") else style.GREY
            look, dashed = self.coloured(look._replace(border=border), norm), norm == 0
            if norm is None:
                look = look._replace(fill="#F5F6F7", border=style.PALE)
        if self.highlight and any(node in self.highlight for node in box.nodes):
            look = look._replace(border="#B31412", pen=3.2)
        name, tip = self.ids[box], self.tooltip(box)
        self.scene.nodes.append(Node(name, center, width, height, box.label, look, tip, dashed))

    def coloured(self, look: style.Look, norm: float | None) -> style.Look:
        """A look in the colour of a norm; white for exactly zero, as it is for none."""
        if norm is None:
            return look
        fill = self.colour(norm) if norm else "#FFFFFF"
        return look._replace(fill=fill, ink=style.ink_on(fill))

    def draw_tags(self, place: Place, box: Box) -> None:
        """The parameters of a box, as tags on it."""
        taps = self.grid.tags(box)
        cx, cy = place.center(box)
        x = cx - self.grid.tags_width(box) / 2
        y = cy + self.grid.outline(box).height / 2 + style.TAG_HEIGHT / 2 + 0.5
        for k, tap in enumerate(taps):
            width, height = style.size("tag", tap.label)
            norm = self.flow.taps.get(tap) if self.flow else None
            kind = style.LOOKS["tag" if tap.parameter._requires_grad else "constant tag"]
            look = self.coloured(kind, norm)
            tip = f"{naming.label(self.picture.graph, tap.parameter)} {tap.parameter.shape}"
            name = f"{self.ids[box]}_w{k}"
            self.scene.nodes.append(Node(name, (x + width / 2, y), width, height, tap.label, look, tip, norm == 0))
            anchor = straight((x + width / 2, y), (cx, cy))
            self.scene.lines.append(Line(name, self.ids[box], anchor, look.border, 0.9, arrow=False))
            x += width + 2

    def tooltip(self, box: Box) -> str:
        """What a box says when pointed at: expression, shape, gradient."""
        if not box.nodes:
            return "the value of the step before"
        node = box.nodes[-1]
        if len(self.scene.nodes) > 2000:
            return ""
        own = node.op is not None and len(box.nodes) == 1
        text = naming.expression(self.picture.graph, node) if own else f"{len(box.nodes)} nodes: {box.label}"
        tip = f"{style.shorten(text, 300)}  {node.shape}"
        norm = self.flow.boxes.get(box) if self.flow else None
        return tip + (f"  ‖∂L/∂‖ = {norm:.3g}" if norm is not None else "")

    # lines

    def colour(self, norm: float) -> str:
        """The colour of a norm on the scale."""
        return style.ramp(0.12 + 0.88 * self.fraction(norm))

    def fraction(self, norm: float) -> float:
        """Where a norm lies on the scale, 0 ... 1."""
        lo, hi = self.scale
        if not norm > 0:
            return 0.0
        return min(max((math.log10(norm) - lo) / (hi - lo), 0.0), 1.0) if math.isfinite(norm) else 1.0

    def lane_colour(self, lane: str) -> str:
        """The memory c is blue, h and every other state teal."""
        return style.LANES[1] if lane.startswith("c") else style.LANES[0]

    def draw_inner(self, place: Place, link: Link) -> None:
        """A link inside of a panel; in the colour of a state if it lies on its way."""
        boxes = place.panel.boxes
        pair = boxes.index(link.source), boxes.index(link.target)
        port = place.tile.spine.get(("inner", *pair))
        lane = place.ins[port].links[0].lane if port is not None else ""
        self.draw_line(link, place.path(place.tile.inner[place.shape.inner.index(pair)]), lane)

    def draw_links(self) -> None:
        """The links between panels."""
        for link, path in self.paths.items():
            self.draw_line(link, path, link.lane)

    def draw_line(self, link: Link, path: Path, lane: str) -> None:
        """One link."""
        colour, pen = (self.lane_colour(lane), 1.7) if lane else (style.DATA, 1.1)
        line = Line(self.ids[link.source], self.ids[link.target], path, colour, pen, dashed=bool(link.hidden))
        line.sign = self.sign(link)
        if link.hidden and link in self.router.labels:
            x, y = self.router.labels[link]
            line.label, line.label_at, line.font = f"… {link.hidden} steps", (x, y + 9), 12
        elif link.lane and link in self.router.labels:
            x, y = self.router.labels[link]
            line.label, line.label_at, line.ink = link.lane, (x, y + 8), style.INK
        if link.mark:
            self.mark(link, line)
        if self.flow is not None:
            self.draw_gradient(link, line)
        self.scene.lines.append(line)

    def mark(self, link: Link, line: Line) -> None:
        """The mark of an edited edge: cut, or clipped to a limit."""
        cut = link.mark == "cut"
        line.dashed = cut
        line.colour = style.LOSS if cut else line.colour
        line.label, line.ink, line.font = ("✂" if cut else f"▌{link.mark}"), style.LOSS, 12
        if link not in self.router.labels:
            line.label_at = line.path.points[len(line.path.points) // 2]

    def draw_gradient(self, link: Link, line: Line) -> None:
        """An edge of a backward picture: reversed, its gradient as colour and width."""
        norm = self.flow.links.get(link) if self.flow else None
        if norm is None:
            line.colour, line.pen, line.arrow = style.PALE, 0.9, False
            return
        if link.mark == "cut":
            line.tail, line.head, line.path = line.head, line.tail, line.path.reversed()
            return
        line.tail, line.head, line.path = line.head, line.tail, line.path.reversed()
        f = self.fraction(norm)
        line.colour, line.pen = (self.colour(norm), 0.9 + 2.3 * f) if norm else (style.PALE, 0.9)
        line.dashed, line.sign = line.dashed or norm == 0, ""
        line.tooltip = f"gradient norm {norm:.3g}"

    def sign(self, link: Link) -> str:
        """Beside an edge into − or ÷: which operand it is, if it is the second."""
        node, k = link.ends[0] if link.ends else (link.source.nodes[-1], 0)
        if len(link.ends) > 1 or k != 1 or node.op is None or node.op.name not in ("subtract", "divide"):
            return ""
        if is_number(node.inputs[0]):  # the box itself says 1−
            return ""
        return "−" if node.op.name == "subtract" else "÷"
