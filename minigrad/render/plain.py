"""A picture as DOT text without positions: what is written where there is no Graphviz at all.  Imports `views`."""

from __future__ import annotations

from minigrad.render import style
from minigrad.render.emit import SHAPES, quoted
from minigrad.render.picture import Picture


def unpinned(picture: Picture) -> str:
    """DOT text that any dot program lays out, left to right, with one cluster for each panel."""
    ids = {}
    lines = ["digraph minigrad {", f"\tgraph [rankdir=LR fontname={quoted(style.FONT)}]"]
    lines.append(f"\tnode [fontname={quoted(style.FONT)}]")
    for r, row in enumerate(picture.rows):
        for panel in row.panels.values():
            lines.append(f"\tsubgraph cluster_l{r}_t{panel.column} {{".replace("-", "m"))
            lines.append(f"\t\tlabel={quoted('' if row.key[0] == 'between' else f't = {panel.column}')}")
            for k, box in enumerate([*panel.boxes, *panel.outer]):
                ids[box] = f"l{r}_t{panel.column}_k{k}".replace("-", "m")
                look, names = style.LOOKS[box.kind], " ".join(tap.label for tap in box.taps)
                text = quoted(f"{box.label}\n{names}".strip())
                lines.append(f'\t\t{ids[box]} [label={text} {SHAPES[look.shape]} fillcolor="{look.fill}"]')
            lines.append("\t}")
    lines += [f"\t{ids[link.source]} -> {ids[link.target]}" for link in picture.links]
    return "\n".join([*lines, "}\n"])
