"""The texts of a picture: ids, tags, headings, tooltips, the colour bar.  Imports `gradients` and `places`."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from minigrad import naming
from minigrad.render import style
from minigrad.render.gradients import Flow, speaker
from minigrad.render.names import constant_name
from minigrad.render.picture import Box, Link, Panel, Picture
from minigrad.render.places import op_name, role_of

TOOLTIPS = 5000  # in a graph of more nodes an SVG with tooltips takes half a minute to load
WIDEST = "0.00012"  # a norm in as many letters as any


class Labels:
    """What is written into one picture; quiet: it is one of a flip-book, whose pictures all have the same widths."""

    def __init__(self, picture: Picture, flow: Flow | None, look: dict[str, Any]) -> None:
        self.picture, self.flow, self.highlight = picture, flow, set(look["highlight"])
        self.per_row, self.count_from, self.quiet = (
            look["per_row"],
            look["count_from"],
            look.get("quiet", False),
        )
        self.norms = flow.of if flow else {}
        self.names = {leaf: name for name, leaf in picture.graph.parameters.items()}
        self.tips = len(picture.graph) <= TOOLTIPS
        self.axes = len({row.key[0] for row, _ in picture.panels if row.name})
        several = bool(picture.graph.axes) or len(picture.panels) > 1
        self.framed = picture.view != "cells" and several  # whether panels have frames and headings

    def write_texts(self) -> None:
        """Ids (l0_t3_k5 is box 5 of step 3 in row 0), the texts of tags and of cells."""
        rows = list(dict.fromkeys(row for row, _ in self.picture.panels))
        for (row, t), boxes in self.picture.panels.items():
            for k, box in enumerate(boxes):
                box.name = f"l{rows.index(row)}_{'t' if row.timed else 'c'}{t}_k{k}".replace(
                    "-", "m"
                )
        self.write_tags()
        self.write_cells()

    def write_tags(self) -> None:
        """The names of parameters, as short as is clear, and their shares."""
        same: defaultdict[Any, set[Any]] = defaultdict(set)
        taps = [(box, tap) for box in self.picture.boxes for tap in box.taps.values()]
        for box, tap in taps:
            tap.name = style.shorten(
                constant_name(tap.parameter, *tap.ends[0], self.called(tap.parameter)), 40
            )
            same[box.panel[0], tap.name.split(".")[-1]].add(tap.parameter)
        widths: defaultdict[Any, float] = defaultdict(float)
        for box, tap in taps:
            last = tap.name.split(".")[-1]
            short = (
                style.shorten(last if len(same[box.panel[0], last]) < 2 else tap.name, 20)
                + "ᵀ" * tap.turned
            )
            tap.label = f"{short} {self.told(self.norms.get(tap))}".strip()
            widths[tap.parameter] = max(widths[tap.parameter], style.size("tag", tap.label)[0])
        for _, tap in taps:  # as wide in all steps, which then look alike
            tap.width = widths[tap.parameter]

    def write_cells(self) -> None:
        """The further lines of cells: their row, weights, gradients, and how many rows of the batch they compute."""
        cells, dotted = (
            [box for box in self.picture.boxes if box.kind == "cell"],
            not self.picture.graph.axes,
        )
        several = {box.panel[0] for box in cells if not box.panel[0].depth}
        stacked = self.per_row or len({box.panel[0] for box in cells}) > 1
        for box in cells:
            row, names = box.panel[0], [tap.name for tap in box.taps.values() if stacked or dotted]
            weights = " ".join(names if dotted else [name.split(".")[-1] for name in names])
            lines = [
                box.label,
                style.shorten(row.name.split(".")[-1])
                if len(several) > 1 and not row.depth
                else "",
            ]
            lines.append(weights if len(weights) < 20 else f"{len(box.taps)} weights")
            if box in self.norms and not self.quiet:
                where = f" at t = {speaker(box).t}" if self.picture.rolled else ""
                lines.append(f"|d{main_lane(box) or 'y'}| {style.figure(self.norms[box])}{where}")
            share = self.told(self.joint(box)) if stacked else ""
            lines.append(f"|dθ| {share}" if share else "")
            inside, all_rows = mask_of([box])
            lines.append(f"{inside} of {all_rows} rows" if inside < all_rows else "")
            box.label = "\n".join(filter(None, lines))

    def joint(self, box: Box) -> float | None:
        """The norm of all shares of a box together: of the gradient of its parameters θ in its step."""
        shares = [
            self.norms[tap] for x, tap in box.taps.items() if tap in self.norms and x in self.names
        ]
        return math.hypot(*shares) if shares else None

    def told(self, norm: float | None) -> str:
        """The text beside a tap: its share of the gradient; nothing in a flip-book."""
        return "" if norm is None or self.quiet else style.figure(norm)

    def heading(self, panel: Panel, widest: bool = False) -> str:
        """What stands over a panel: its step, and the gradient of its state; widest: as wide as it may get."""
        (row, t), boxes, first = panel, self.picture.panels[panel], self.count_from
        if not row.timed or not self.picture.graph.axes:
            scope = next(
                (
                    box.nodes[-1].scope
                    for box in boxes
                    if box.nodes and box.nodes[-1].op is not None
                ),
                "",
            )
            text = (
                "backward"
                if row.depth
                else "loss"
                if any(box.kind == "loss" for box in boxes)
                else ""
            )
            return text or style.shorten(scope * (not self.picture.graph.axes))
        text = f"{'backward, ' * row.depth}t = {t + first}"
        if self.picture.rolled and row.total > 1:
            text = (
                f"{text}, one of {row.total} steps"
                if self.flow
                else f"t = {first} … {first + row.total - 1}"
            )
        if row.name and self.axes > 1:
            text = f"{style.shorten(row.name)}   {text}"
        states = [
            box for box in boxes if box.lanes and not box.outside and (box in self.norms or widest)
        ]
        if states and self.flow and not row.depth:
            box = min(states, key=lambda box: style.is_memory(main_lane(box)))
            norm = WIDEST if widest and self.quiet else style.figure(self.norms.get(box, 0.0))
            text += f"   ‖∂L/∂{main_lane(box)}‖ = {norm}"
        inside, rows = mask_of(boxes)
        return text + f"   {inside} of {rows} rows" * (inside < rows)

    def tooltip(self, box: Box) -> str:
        """What a box says when pointed at: expression, shape, gradient, line."""
        if not box.nodes or not self.tips:
            return "" if box.nodes else f"{box.lanes[0]} of an earlier step"
        node, graph = speaker(box), self.picture.graph
        text = (
            naming.expression(graph, node)
            if len(box.nodes) == 1
            else f"{len(box.nodes)} operations"
        )
        norm = (
            f"  ‖∂L/∂{naming.label(graph, node)}‖ = {self.norms[box]:.3g}"
            if box in self.norms
            else ""
        )
        line = f"  {node.source}" if node.op else ""
        return style.shorten(f"{style.shorten(text, 200)}  {node.shape}{norm}{line}", 300)

    def name_of(self, link: Link) -> str:
        """What a link says when pointed at: what flows along it."""
        nodes = link.source.nodes if self.tips else ()
        return style.shorten(
            link.state or (naming.label(self.picture.graph, nodes[-1]) if nodes else link.lane), 60
        )

    def called(self, x: Any) -> str:
        """What a parameter is called."""
        return style.shorten(self.names.get(x) or naming.label(self.picture.graph, x), 40)

    def about(self, x: Any) -> str:
        """A parameter's name, its shape, how often it is used where that is not seen, and the sum of its gradients."""
        total = self.flow.parameters.get(x) if self.flow and not self.quiet else None
        unseen = self.picture.rolled or any(link.hidden for link in self.picture.links)
        count = len(self.picture.graph.users[x]) if unseen else 1
        text = (
            "▶ " * (x in self.highlight)
            + f"{self.called(x)}  {'×'.join(map(str, x.shape))}".strip()
        )
        text += f" ({count} times)" * (count > 1)
        return text if total is None else f"{text}   ‖∂L/∂{self.called(x)}‖ = {style.figure(total)}"

    def listed(self, parameters: list[Any], width: float) -> str:
        """Several parameters, in lines of at most this width."""
        lines = [""]
        for text in map(self.about, parameters):
            if lines[-1] and style.text_width(f"{lines[-1]}  ·  {text}", style.SMALLEST) > width:
                lines.append("")
            lines[-1] += f"  ·  {text}" if lines[-1] else text
        return "\n".join(lines)


def legend(scale: tuple[float, float], norms: Iterable[float]) -> str:
    """The colour bar with its two exponents, and what lies outside of it."""
    (lo, hi), found = scale, [norm for norm in norms if norm > 0 or not math.isfinite(norm)]
    below = "≤ " * any(norm < 10.0**lo * 0.999 for norm in found)
    above = "≥ " * any(10.0**hi * 1.001 < norm < math.inf for norm in found)
    cells = "".join(
        f'<td bgcolor="{style.ramp(k / 15)}" width="9" height="10"></td>' for k in range(16)
    )
    odd = not all(map(math.isfinite, found))
    end = (
        f'<td>&#160;&#160; NaN or ∞ </td><td bgcolor="{style.NOT_FINITE}" width="18"></td>'
        if odd
        else ""
    )
    text = f"gradient norm (log scale)&#160;&#160; {below}1e{lo:g} "
    return f"<tr><td>{text}</td>{cells}<td> {above}1e{hi:g}</td>{end}</tr>"


def main_lane(box: Box) -> str:
    """Of several states that a box makes, the one whose gradient is told: not the memory c."""
    return min(box.lanes, key=style.is_memory, default="")


def mask_of(boxes: list[Box]) -> tuple[int, int]:
    """How many rows of the batch a padded step still computes, and of how many: the unroller's mask tells."""
    for node in [node for box in boxes for node in box.nodes]:
        if node.time is not None and op_name(node) == "where" and role_of(node.inputs[0]) == "mask":
            return int(node.inputs[0].data.sum()), node.inputs[0].size
    return 1, 1
