"""Shared parameters as rails over or under the steps that use them.  Imports `paint`."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

from minigrad.render import style
from minigrad.render.paint import Painter
from minigrad.render.paths import Path, straight
from minigrad.render.picture import Tap
from minigrad.render.place import Place
from minigrad.render.scene import Line, Node

RAILS = 3  # more parameters than this are drawn as tags


class Rails(Painter):
    """Rails where they fit: where each has a clear way to each of its operations."""

    top: float

    def shared_parameters(self) -> dict[Any, None]:
        """The parameters that several panels use, if they are few enough to be drawn as rails."""
        panels: defaultdict[Any, set[Any]] = defaultdict(set)
        for tap in self.picture.taps:
            panels[tap.parameter].add(tap.box.panel)
        shared = {x: None for x, found in panels.items() if len(found) > 1}
        rows = {tap.box.panel.row for tap in self.picture.taps if tap.parameter in shared}
        return shared if len(shared) <= RAILS and len(rows) == 1 and self.picture.view != "cells" else {}

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
            tip = f"{text.strip()}, used {uses[x]} times"
            width = max(right - left, style.text_width(text, style.SMALLEST) + 12)
            place, look = ((left + right) / 2, self.rail_y(k)), style.LOOKS["rail"]
            self.scene.nodes.append(Node(f"rail{k}", place, width, style.RAIL_HEIGHT, text.strip(), look, tip))
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
            names.get(x, "constant") if totals.get(x) is None else f"‖∂L/∂{names[x]}‖ = {totals[x]:.2g}"
            for x in parameters
        )
        uses = len(self.picture.graph.users[parameters[0]])
        hidden = self.options.get("rolled") or any(link.hidden for link in self.picture.links)
        text += f"   (used {uses} times)" if hidden else ""
        columns = [self.grid.places[box.panel].column for box in cells]
        left, right = self.grid.lefts[min(columns)], self.grid.rights[max(columns)]
        y = self.scene.box()[1] - 22
        center, width = ((left + right) / 2, y), max(right - left, style.size("rail", text)[0])
        self.scene.nodes.append(Node("weights", center, width, style.RAIL_HEIGHT, text, style.LOOKS["rail"]))
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
                    (self.colour(norm), 0.9 + 2.3 * self.fraction(norm)) if norm else (style.PALE, 0.9)
                )
                line.dashed, line.arrow = bool(shares) and not norm, bool(shares)
            self.scene.lines.append(line)
