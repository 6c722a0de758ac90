"""From an abstract picture to a scene: everything placed, routed, painted, and given its heading.  Imports `rails`."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from minigrad import naming
from minigrad.render import style
from minigrad.render.gradients import Flow
from minigrad.render.grid import HEADER, Grid
from minigrad.render.picture import Box, Panel, Picture
from minigrad.render.place import Place
from minigrad.render.rails import Rails
from minigrad.render.routes import Router
from minigrad.render.scene import Frame, Scene


def label(picture: Picture, flow: Flow | None, wrapped: bool = False) -> None:
    """The texts of tags: the parameter's short name and its share of the gradient; and the second lines of cells."""
    names = {leaf: name for name, leaf in picture.graph.parameters.items()}
    in_row: defaultdict[Any, set[Any]] = defaultdict(set)  # the parameters of a row by the last part of their names
    for tap in picture.taps:
        in_row[tap.box.panel.row, names.get(tap.parameter, "").split(".")[-1]].add(tap.parameter)
    for tap in picture.taps:
        full = names.get(tap.parameter) or naming.label(picture.graph, tap.parameter)
        last = full.split(".")[-1]
        tap.name = last if len(in_row[tap.box.panel.row, last]) < 2 else full
        share = flow.taps.get(tap) if flow else None
        tap.label = style.shorten(tap.name, 20) + (f" {share:.2g}" if share is not None else "")
    boxes = dict.fromkeys(box for row in picture.rows for panel in row.panels.values() for box in panel.boxes)
    cells = [box for box in boxes if box.kind == "cell"]
    stacked = wrapped or len({box.panel.row for box in cells}) > 1
    for box in cells:
        weights = " ".join(tap.name for tap in box.taps)
        if stacked and weights:
            box.label += f"\n{weights}" if len(weights) < 20 else f"\n{len(box.taps)} weights"
        if flow is not None and box in flow.boxes:
            box.label += f"\n|d{main_lane(box)}| {flow.boxes[box]:.2g}"


def main_lane(box: Box) -> str:
    """Of several states that a box makes, the one whose gradient is told: not the memory c."""
    return min(box.lanes, key=lambda name: name.startswith("c"), default="")


def mask_of(place: Place) -> tuple[int, int]:
    """How many rows of the batch a padded step still computes, and of how many."""
    for box in place.panel.boxes:
        node = box.nodes[-1] if box.nodes else None
        if node is not None and node.op is not None and node.op.name == "where" and box.lanes:
            mask = node.inputs[0].data
            return (int(mask.sum()), mask.size) if mask.dtype.kind == "b" else (1, 1)
    return 1, 1


class Dresser(Rails):
    """Builds the scene of one picture."""

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
        self.picture.release()
        return self.scene

    def arrange(self, railed: Any) -> None:
        """Place everything; the shared parameters as rails or as tags."""
        rows = self.picture.rows if self.picture.view != "cells" else []
        panels = [panel for row in rows for panel in row.panels.values()]
        quiet = self.options.get("quiet")  # all pictures of a flip-book have the same widths
        texts = {
            p: f"t = {p.column}   ‖∂L/∂h‖ = 0.0001" if quiet else self.heading(p) for p in panels if len(panels) > 1
        }
        headings = {panel: style.text_width(text, 12) + 12 for panel, text in texts.items()}
        self.grid = Grid(self.picture, railed, headings, self.options.get("per_row"))
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

    def place_buses(self) -> None:
        """The bars stand above all bands."""
        top = max(self.grid.tops.values())
        for k, box in enumerate(self.grid.buses):
            self.router.bus_y[box] = top + 22 + 26 * k
        self.top = top + 26 * len(self.grid.buses)

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
            text = self.heading(place.panel) if visible else ""
            frame = Frame(f"l{self.picture.rows.index(row)}_t{place.column}", left, bottom, right, top, text, (0, 0))
            frame.visible = visible
            frame.label_at = (self.heading_x(place, text, left, right), bottom + 9 if self.grid.low else top - 10)
            inside, rows = mask_of(place)
            if inside < rows:
                frame.label, frame.dimmed = f"{text}   {inside} of {rows} rows", True
            frame.members = [self.ids[box] for box in place.panel.boxes]
            if row.key[0] == "between" and not self.grid.low:
                self.hug(frame, place)
            self.scene.frames.append(frame)

    def hug(self, frame: Frame, place: Place) -> None:
        """A panel outside of time is no higher than what it holds."""
        frame.bottom, frame.top = place.y, place.y + place.tile.height + HEADER
        frame.label_at = (frame.label_at[0], frame.top - 10)

    def heading(self, panel: Panel) -> str:
        """What stands over a panel: its step, and the gradient of its state."""
        if panel.row.key[-1] == "backward":
            return f"backward, t = {panel.column}" if panel.row.key[0] != "between" else "backward"
        if panel.row.key[0] == "between":
            return "loss" if any(box.kind == "loss" for box in panel.boxes) else ""
        row, first = panel.row, self.options.get("count_from", 0)
        text = f"t = {panel.column + first}"
        if self.options.get("rolled") and row.total > 1:
            text += f", one of {row.total} steps" if self.flow else f" of {row.total} steps"
            text = text if self.flow else f"t = {first} … {first + row.total - 1}"
        if row.name and len({other.key[0] for other in self.picture.rows if other.name}) > 1:
            text = f"{row.name}   {text}"
        if self.flow is not None:
            for box in panel.boxes:
                lane = main_lane(box)
                if lane.startswith("c") and len({name for b in panel.boxes for name in b.lanes}) > 1:
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
            bottom = min(self.grid.strips.values()) - self.grid.line_height * self.grid.lines[-1]
            top = max(y for _, y in ends)
            center = (self.router.bar_x(box), (bottom + top) / 2 + 4)
            self.draw_box(box, center, self.router.bar_width(box), top - bottom + 12)
        else:
            left, right = min(x for x, _ in ends) - 14, self.router.bus_right(box)
            self.draw_box(box, ((left + right) / 2, self.router.bus_y[box]), right - left, style.RAIL_HEIGHT)
        bar = self.scene.nodes[-1]
        bar.look = bar.look._replace(shape="box")
        bar.label = "\n".join(box.label.split()) if self.grid.wrapped else box.label

    def legend(self) -> str:
        """The colour bar with its two exponents."""
        lo, hi = self.scale
        cells = "".join(
            f'<td bgcolor="{style.ramp(0.12 + 0.88 * k / 15)}" width="9" height="10"></td>' for k in range(16)
        )
        text = "gradient norm (log scale)&#160;&#160; "
        table = '<table border="0" cellborder="0" cellspacing="0" cellpadding="0">'
        return f"<{table}<tr><td>{text}1e{lo:g} </td>{cells}<td> 1e{hi:g}</td></tr></table>>"
