"""From places and ways to a scene: looks, headings, tags, rails, bars, gradients as colour and width."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import Any

from minigrad import naming
from minigrad.render import style
from minigrad.render.gradients import Flow
from minigrad.render.grid import HEADER, Grid, Place
from minigrad.render.paths import Path, straight
from minigrad.render.routes import Router
from minigrad.render.scene import Frame, Line, Node, Scene
from minigrad.render.views import Box, Link, Picture, Tap

RAILS = 3  # more parameters than this are drawn as tags


def label(picture: Picture, flow: Flow | None, wrapped: bool = False) -> None:
    """The texts of tags: the parameter's short name and its share of the gradient; and the second lines of cells."""
    last = Counter(name.split(".")[-1] for name in picture.graph.parameters)
    short = {
        leaf: name.split(".")[-1] if last[name.split(".")[-1]] == 1 else name
        for name, leaf in picture.graph.parameters.items()
    }
    for tap in picture.taps:
        name = short.get(tap.parameter) or naming.label(picture.graph, tap.parameter)
        share = flow.taps.get(tap) if flow else None
        tap.label = style.shorten(name, 20) + (f" {share:.2g}" if share is not None else "")
    boxes = dict.fromkeys(box for row in picture.rows for panel in row.panels.values() for box in panel.boxes)
    cells = [box for box in boxes if box.kind == "cell"]
    stacked = wrapped or len({box.panel.row for box in cells}) > 1
    for box in cells:
        names = " ".join(short.get(tap.parameter, "constant") for tap in box.taps)
        if stacked and names:
            box.label += f"\n{names}" if len(names) < 20 else f"\n{len(box.taps)} weights"
        if flow is not None and box in flow.boxes:
            box.label += f"\n|d{main_lane(box)}| {flow.boxes[box]:.2g}"


def main_lane(box: Box) -> str:
    """Of several states that a box makes, the one whose gradient is told: not the memory c."""
    return min(box.lanes, key=lambda name: name.startswith("c"), default="")


class Dresser:
    """Builds the scene of one picture."""

    def __init__(
        self, picture: Picture, flow: Flow | None, scale: tuple[float, float] | None, options: dict[str, Any]
    ) -> None:
        self.picture, self.flow, self.options = picture, flow, options
        self.highlight = set(options.get("highlight", ()))
        self.scale = scale or (flow.scale if flow else (0.0, 1.0))
        self.scene = Scene()
        self.ids: dict[Box, str] = {}

    def scene_of(self) -> Scene:
        """The whole scene; rails where they fit, else tags."""
        label(self.picture, None if self.options.get("quiet") else self.flow, bool(self.options.get("per_row")))
        railed = {} if self.options.get("per_row") else self.shared_parameters()
        self.arrange(railed)
        rails = self.plan_rails() if railed else None
        if railed and rails is None:
            self.arrange({})
        self.name_boxes()
        for place in self.grid.places.values():
            self.draw_panel(place)
        self.draw_links()
        if rails:
            self.draw_rails(rails)
        self.draw_weights()
        self.draw_frames()
        if self.flow is not None:
            self.scene.legend = self.legend()
        return self.scene

    def shared_parameters(self) -> dict[Any, None]:
        """The parameters that several panels use, if they are few enough to be drawn as rails."""
        panels: defaultdict[Any, set[Any]] = defaultdict(set)
        for tap in self.picture.taps:
            panels[tap.parameter].add(tap.box.panel)
        shared = {x: None for x, found in panels.items() if len(found) > 1}
        rows = {tap.box.panel.row for tap in self.picture.taps if tap.parameter in shared}
        return shared if len(shared) <= RAILS and len(rows) == 1 and self.picture.view != "cells" else {}

    def arrange(self, railed: Any) -> None:
        """Place everything; the shared parameters as rails or as tags."""
        self.grid = Grid(self.picture, railed, self.options.get("per_row"))
        self.router = Router(self.grid)
        self.place_buses()
        self.paths = self.router.routes()

    # ids

    def name_boxes(self) -> None:
        """Stable ids: l0_t3_k5 is box 5 of step 3 in row 0."""
        for r, row in enumerate(self.picture.rows):
            for panel in row.panels.values():
                place = f"t{panel.column}" if row.key[0] != "between" else "all"
                where = f"l{r}_{place}".replace("-", "m")
                for k, box in enumerate([*panel.boxes, *panel.outer]):
                    self.ids[box] = f"{where}_k{k}"
        for k, box in enumerate(self.grid.buses):
            self.ids[box] = f"bar{k}"

    # boxes

    def place_buses(self) -> None:
        """The bars stand above all bands."""
        top = max(self.grid.tops.values())
        for k, box in enumerate(self.grid.buses):
            self.router.bus_y[box] = top + 22 + 26 * k
        self.top = top + 26 * len(self.grid.buses)

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
        look = style.LOOKS[box.kind]
        fill, border, pen, ink, dashed = look.fill, look.border, look.pen, look.ink, False
        if self.flow is not None and box.kind != "delay":
            norm = self.flow.boxes.get(box)
            border = look.border if box.kind in ("loss", "state", "state box", "cell state") else style.GREY
            if norm is None:
                fill, border = "#F5F6F7", style.PALE
            else:
                fill, dashed = (self.colour(norm), False) if norm else ("#FFFFFF", True)
                ink = style.ink_on(fill)
        if self.highlight and any(node in self.highlight for node in box.nodes):
            border, pen = "#B31412", 3.2
        self.scene.nodes.append(
            Node(
                self.ids[box],
                center,
                width,
                height,
                box.label,
                look.shape,
                fill,
                border,
                pen,
                ink,
                look.font,
                self.tooltip(box),
                dashed,
            )
        )

    def draw_tags(self, place: Place, box: Box) -> None:
        """The parameters of a box, as tags on it."""
        taps = self.grid.tags(box)
        cx, cy = place.center(box)
        x = cx - self.grid.tags_width(box) / 2
        y = cy + self.grid.outline(box).height / 2 + style.TAG_HEIGHT / 2 + 0.5
        for k, tap in enumerate(taps):
            text = tap.label
            width, height = style.size("tag", text)
            look = style.LOOKS["tag" if tap.parameter._requires_grad else "constant"]
            norm = self.flow.taps.get(tap) if self.flow else None
            fill = look.fill if norm is None else self.colour(norm) if norm else "#FFFFFF"
            ink = look.ink if norm is None else style.ink_on(fill)
            tip = f"{naming.label(self.picture.graph, tap.parameter)} {tap.parameter.shape}"
            name = f"{self.ids[box]}_w{k}"
            font = style.SMALLEST
            self.scene.nodes.append(
                Node(
                    name,
                    (x + width / 2, y),
                    width,
                    height,
                    text,
                    "box",
                    fill,
                    look.border,
                    look.pen,
                    ink,
                    font,
                    tip,
                    norm == 0,
                )
            )
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
        return "−" if node.op.name == "subtract" else "÷"

    # rails

    def plan_rails(self) -> dict[Tap, Path] | None:
        """A clear way from each rail to each operation; None if there is not one for all."""
        order = {x: k for k, x in enumerate(self.grid.railed)}
        if max(row.level for row in self.picture.rows) > 0:
            return None
        ways: dict[Tap, Path] = {}
        for place in self.grid.places.values():
            taps = [tap for box in place.panel.boxes for tap in box.taps if tap.parameter in order]
            xs: list[float] = []
            for tap in taps:
                found = self.tap_way(place, tap, xs, order)
                if found is None:
                    return None
                ways[tap] = found
        return ways

    def tap_way(self, place: Place, tap: Tap, xs: list[float], order: dict[Any, int]) -> Path | None:
        """Straight down into the box, else down beside it and in from its side."""
        cx, cy = place.center(tap.box)
        outline = self.grid.outline(tap.box)
        share = self.flow.taps.get(tap, 0.0) if self.flow else 0.0
        text = "0.0000" if self.options.get("quiet") else f"{share:.2g}"
        apart = 6 + style.text_width(text, style.SMALLEST) if self.flow else 6.0
        top = self.rail_y(order[tap.parameter]) - style.RAIL_HEIGHT / 2
        for dx in (0.0, 6.0, -6.0, 9.0, -9.0):
            x = cx + dx
            if abs(dx) < outline.width / 2 - 2 and place.is_clear(tap.box, x) and all(abs(x - o) >= apart for o in xs):
                xs.append(x)
                rise = outline.height / 2
                if outline.round:
                    rise *= math.sqrt(1 - (2 * dx / outline.width) ** 2)
                return straight((x, top), (x, cy + rise))
        side = cx + outline.width / 2 + 11
        if all(abs(side - o) >= apart for o in xs) and all(
            abs(place.center(b)[0] - side) >= self.grid.outline(b).width / 2 + 3
            for b in place.panel.boxes
            if b is not tap.box and place.center(b)[1] > cy - 14
        ):
            xs.append(side)
            return straight((side, top), (side, cy - 4), (cx + outline.width / 2, cy - 4))
        return None

    def rail_y(self, k: int) -> float:
        """The height of rail number k."""
        return self.top + (32 if self.flow else 14) + 20.0 * k

    def draw_rails(self, ways: dict[Tap, Path]) -> None:
        """The shared parameters as rails, with a tap into each step."""
        order = {x: k for k, x in enumerate(self.grid.railed)}
        names = {leaf: name for name, leaf in self.picture.graph.parameters.items()}
        columns = [self.grid.places[tap.box.panel].column for tap in ways]
        uses: defaultdict[Any, int] = defaultdict(int)
        for tap in ways:
            uses[tap.parameter] += 1
        left, right = self.grid.lefts[min(columns)], self.grid.rights[max(columns)]
        for x, k in order.items():
            total = self.flow.parameters.get(x) if self.flow else None
            shape = "×".join(map(str, x.shape))
            text = f"  {names.get(x, 'constant')}" + (f"  {shape}" if shape else "")
            text += f"   ‖∂L/∂{names.get(x, '')}‖ = {total:.2g}" if total is not None else ""
            look, fill = style.LOOKS["rail"], style.LOOKS["rail"].fill
            tip = f"{text.strip()}, used {uses[x]} times"
            center = ((left + right) / 2, self.rail_y(k))
            width = max(right - left, style.text_width(text, style.SMALLEST) + 12)
            self.scene.nodes.append(
                Node(
                    f"rail{k}",
                    center,
                    width,
                    style.RAIL_HEIGHT,
                    text.strip(),
                    "box",
                    fill,
                    look.border,
                    look.pen,
                    look.ink,
                    look.font,
                    tip,
                )
            )
        for tap, path in ways.items():
            line = Line(f"rail{order[tap.parameter]}", self.ids[tap.box], path, style.TAP, 1.0)
            self.grid.places[tap.box.panel].used.append(path.points[0][0])
            norm = self.flow.taps.get(tap) if self.flow else None
            if norm is not None:
                line.tail, line.head, line.path = line.head, line.tail, path.reversed()
                line.colour, line.pen = self.colour(norm), 0.9 + 2.3 * self.fraction(norm)
                line.label, line.ink = f"{norm:.2g}", style.INK
                width = style.text_width(line.label, 11)
                line.label_at = (path.points[0][0] + width / 2 + 3, self.top + 12)
            self.scene.lines.append(line)

    def draw_weights(self) -> None:
        """The parameters of a cell as one rail below its steps, with a tap into each."""
        cells = [
            box for place in self.grid.places.values() for box in place.panel.boxes if box.kind == "cell" and box.taps
        ]
        if not cells or self.options.get("per_row") or len({box.panel.row for box in cells}) > 1:
            return
        names = {leaf: name for name, leaf in self.picture.graph.parameters.items()}
        parameters = list(dict.fromkeys(tap.parameter for box in cells for tap in box.taps))
        totals = {x: self.flow.parameters.get(x) for x in parameters} if self.flow else {}
        text = "   ".join(
            names.get(x, "constant") + (f" ‖∂L‖ = {totals[x]:.2g}" if totals.get(x) is not None else "")
            for x in parameters
        )
        uses = len(self.picture.graph.users[parameters[0]])
        hidden = self.options.get("rolled") or any(link.hidden for link in self.picture.links)
        text += f"   (used {uses} times)" if hidden else ""
        columns = [self.grid.places[box.panel].column for box in cells]
        left, right = self.grid.lefts[min(columns)], self.grid.rights[max(columns)]
        y = self.scene.box()[1] - 22
        look = style.LOOKS["rail"]
        center, width = ((left + right) / 2, y), max(right - left, style.size("rail", text)[0])
        self.scene.nodes.append(
            Node(
                "weights",
                center,
                width,
                style.RAIL_HEIGHT,
                text,
                "box",
                look.fill,
                look.border,
                look.pen,
                look.ink,
                look.font,
            )
        )
        for box in cells:
            cx, cy = self.grid.places[box.panel].center(box)
            outline = self.grid.outline(box)
            x = cx - outline.width / 2 + 10
            path = straight((x, y + style.RAIL_HEIGHT / 2), (x, cy - outline.height / 2))
            line = Line("weights", self.ids[box], path, style.TAP, 1.0)
            if self.flow is not None:
                shares = [self.flow.taps[tap] for tap in box.taps if tap in self.flow.taps]
                norm = math.sqrt(sum(share * share for share in shares))
                line.tail, line.head, line.path = line.head, line.tail, path.reversed()
                line.colour, line.pen = (
                    (self.colour(norm), 0.9 + 2.3 * self.fraction(norm)) if shares else (style.PALE, 0.9)
                )
            self.scene.lines.append(line)

    # frames

    def draw_frames(self) -> None:
        """Panels with their headings, and the bars."""
        for box in self.grid.buses:
            self.draw_bus(box)
        for place in self.grid.places.values():
            row = place.panel.row
            left, right = self.grid.lefts[place.column], self.grid.rights[place.column]
            bottom, top = self.grid.strip(place), self.grid.ceiling(place)
            visible = self.picture.view != "cells" and len(self.grid.columns) > 1
            text = self.heading(place) if visible else ""
            frame = Frame(f"l{self.picture.rows.index(row)}_t{place.column}", left, bottom, right, top, text, (0, 0))
            frame.visible = visible
            frame.label_at = (self.heading_x(place, text, left, right), bottom + 9 if self.grid.low else top - 10)
            frame.members = [self.ids[box] for box in place.panel.boxes]
            if row.key[0] == "between" and not self.grid.low:
                self.hug(frame, place)
            self.scene.frames.append(frame)

    def hug(self, frame: Frame, place: Place) -> None:
        """A panel outside of time is no higher than what it holds."""
        frame.bottom, frame.top = place.y, place.y + place.tile.height + HEADER
        frame.label_at = (frame.label_at[0], frame.top - 10)

    def heading(self, place: Place) -> str:
        """What stands over a panel: its step, and the gradient of its state."""
        if place.panel.row.key[-1] == "backward":
            return f"backward, t = {place.panel.column}" if place.panel.row.key[0] != "between" else "backward"
        if place.panel.row.key[0] == "between":
            return "loss" if any(box.kind == "loss" for box in [*place.panel.boxes, *self.grid.buses]) else ""
        row, first = place.panel.row, self.options.get("count_from", 0)
        text = f"t = {place.panel.column + first}"
        if self.options.get("rolled") and row.total > 1:
            text += f", one of {row.total} steps" if self.flow else f" of {row.total} steps"
            text = text if self.flow else f"t = {first} … {first + row.total - 1}"
        if row.name and len({other.key[0] for other in self.picture.rows if other.name}) > 1:
            text = f"{row.name}   {text}"
        if self.flow is not None:
            for box in place.panel.boxes:
                lane = main_lane(box)
                if lane.startswith("c") and len({name for b in place.panel.boxes for name in b.lanes}) > 1:
                    continue
                if lane and box in self.flow.boxes:
                    text += f"   ‖∂L/∂{lane}‖ = {self.flow.boxes[box]:.2g}"
                    break
        return text

    def heading_x(self, place: Place, text: str, left: float, right: float) -> float:
        """The place nearest to the middle where no line passes through a heading."""
        half, middle = style.text_width(text, 12) / 2 + 3, (left + right) / 2
        for k in range(int(right - left)):
            x = middle + (k // 2) * (1 if k % 2 else -1)
            if left + half <= x <= right - half and all(abs(x - used) > half for used in place.used):
                return x
        return middle

    def draw_bus(self, box: Box) -> None:
        """A box that gathers many steps, as a bar over them."""
        ends = [path.points[-1] for link, path in self.paths.items() if link.target is box]
        if self.grid.wrapped:
            bottom, top = (
                -self.grid.line_height * self.grid.lines[-1] + min(self.grid.strips.values()),
                max(y for _, y in ends),
            )
            center = (self.router.bar_x(box), (bottom + top) / 2 + 4)
            self.draw_box(box, center, self.router.bar_width(box), top - bottom + 12)
            self.scene.nodes[-1].label, self.scene.nodes[-1].shape = "\n".join(box.label.split()), "box"
            return
        xs = [x for x, _ in ends]
        left, right = min(xs) - 14, self.router.bus_right(box)
        text = f"{box.label}"
        self.draw_box(box, ((left + right) / 2, self.router.bus_y[box]), right - left, style.RAIL_HEIGHT)
        self.scene.nodes[-1].label, self.scene.nodes[-1].shape = text, "box"

    def legend(self) -> str:
        """The colour bar with its two exponents."""
        lo, hi = self.scale
        cells = "".join(
            f'<td bgcolor="{style.ramp(0.12 + 0.88 * k / 15)}" width="9" height="10"></td>' for k in range(16)
        )
        text = "gradient norm (log scale)&#160;&#160; "
        table = '<table border="0" cellborder="0" cellspacing="0" cellpadding="0">'
        return f"<{table}<tr><td>{text}1e{lo:g} </td>{cells}<td> 1e{hi:g}</td></tr></table>>"
