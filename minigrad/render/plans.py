"""The plan of a compiled step as a picture: what is computed once, for all steps at once, step by
step in a loop, or summed up after it.

Graphviz lays it out: a plan has as many boxes as one step has operations, whatever the number of
steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

from minigrad.render import look, typeset
from minigrad.render.canvas import Drawing

# How each kind of work is filled, and what it is.
WORK = {
    "once": ("#F1F3F4", "once"),
    "batched": ("#D7F0DD", "for all steps at once"),
    "loop": ("#E8F0FE", "step by step"),
    "deferred": ("#FDE3C8", "summed over all steps, after the loop"),
}


class PlanBox(NamedTuple):
    """One operation of a program.  work: a key of `WORK`.  kind: its shape, a key of `look.LOOKS`."""

    id: str
    label: str
    work: str
    kind: str
    tip: str = ""


class PlanPart(NamedTuple):
    """What the program does together, as one loop."""

    title: str
    boxes: tuple[PlanBox, ...]


class PlanLink(NamedTuple):
    """What one operation takes from another.  step: "t−1" where it is of another time step."""

    source: str
    target: str
    step: str = ""


def draw_plan(parts: Sequence[PlanPart], links: Sequence[PlanLink], title: str = "") -> Drawing:
    """The picture of a plan, from top to bottom in the order of the program."""
    font = f"fontname={typeset.quoted(look.FONT)}"
    body = [
        f"\tgraph [newrank=true nodesep=0.2 ranksep=0.28 {font} fontsize=12 labeljust=l"
        f' labelloc=t label={_legend(parts, title)}]\n\tnode [{font} margin="0.08,0.03"'
        f" height=0.3 width=0.3]\n\tedge [{font} arrowsize=0.6 fontsize=11"
        f' color="{look.DATA}"]\n'
    ]
    for k, part in enumerate(parts):
        boxes = [_box(box) for box in part.boxes]
        style = f'style="rounded,filled" fillcolor="{look.PANEL}" color="{look.FRAME}"'
        body += [f"\tsubgraph cluster_{k} {{ label={typeset.label(part.title, 12)} {style}\n"]
        body += [*boxes, "\t}\n"]
    body += [line for pair in pairwise(parts) for line in _below(*pair)]
    order = [box.id for part in parts for box in part.boxes]
    place = {name: k for k, name in enumerate(order)}
    body += [_link(link, place[link.source] < place[link.target]) for link in links]
    return Drawing("plan", body=body)


def _below(upper: PlanPart, lower: PlanPart) -> list[str]:
    """What makes dot put one part under another: an invisible point between them."""
    point = f"below_{lower.boxes[0].id}"
    ends = [f"{box.id} -> {point}" for box in upper.boxes]
    ends += [f"{point} -> {box.id}" for box in lower.boxes]
    lines = [f"\t{point} [style=invis shape=point width=0.01 height=0.01]\n"]
    return lines + [f"\t{edge} [style=invis weight=0]\n" for edge in ends]


def _box(box: PlanBox) -> str:
    style = look.LOOKS[box.kind]._replace(fill=WORK[box.work][0])
    label, tip = typeset.label(box.label, style.font), typeset.quoted(box.tip or box.label)
    return f"\t{box.id} [label={label} {style.attributes()} tooltip={tip}]\n"


def _link(link: PlanLink, onward: bool) -> str:
    """An edge; one that goes back to an earlier box is laid out the other way round."""
    ends = f"{link.source} -> {link.target}" if onward else f"{link.target} -> {link.source}"
    way = "" if onward else " dir=back"
    if not link.step:
        return f"\t{ends} [{way}]\n"
    border = look.LOOKS["state"].border
    style = f'color="{border}" fontcolor="{border}" style=dashed penwidth=1.5'
    return f"\t{ends} [label={typeset.quoted(link.step)} {style}{way}]\n"


def _legend(parts: Sequence[PlanPart], title: str) -> str:
    """What the colours say, and the title, as a table."""
    present = {box.work for part in parts for box in part.boxes}
    cells = "".join(
        f'<td bgcolor="{fill}" border="1" color="{look.GREY}" width="18"> </td><td> {words}   </td>'
        for work, (fill, words) in WORK.items()
        if work in present
    )
    head = f'<tr><td colspan="10"><font point-size="15">{escape(title)}</font></td></tr>'
    table = '<table border="0" cellborder="0" cellspacing="3">'
    return f"<{table}{head if title else ''}<tr>{cells}</tr></table>>"
