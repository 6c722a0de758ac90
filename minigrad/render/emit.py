"""A scene as a real graphviz.Digraph with every position pinned (layout nop2).  Imports graphviz when called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minigrad.render import style
from minigrad.render.scene import Frame, Line, Node, Scene

if TYPE_CHECKING:
    import graphviz

SHAPES = {
    "circle": "shape=ellipse style=filled",
    "box": 'shape=box style="rounded,filled"',
    "square": "shape=box style=filled",
}
TOOLTIPS = 2000  # above so many nodes an SVG with tooltips takes half a minute to load


def digraph(scene: Scene, attributes: dict[str, str]) -> graphviz.Digraph:
    """The picture; its text is the same for the same scene."""
    from graphviz import Digraph

    left, bottom, right, top = scene.box()
    if scene.legend or scene.title:
        top += 34
    font = quoted(style.FONT)
    graph = Digraph("minigrad")
    pinned = {
        "layout": "nop2", "outputorder": "edgesfirst", "notranslate": "true", "splines": "true", "pad": "0.12",
        "bb": f"{left:.2f},{bottom:.2f},{right:.2f},{top:.2f}", "fontname": style.FONT,
    }  # fmt: skip
    header = [f"{name}={quoted(value)}" for name, value in (pinned | attributes).items()]
    if scene.legend or scene.title:
        legend = scene.legend.replace("</tr>", f"<td>&#160;&#160; {html(scene.title)}</td></tr>") or quoted(scene.title)
        header += [
            f"label={legend}",
            f'lp="{(left + right) / 2:.2f},{top - 12:.2f}"',
            "fontsize=12",
            f'fontcolor="{style.GREY}"',
        ]
    tooltips = len(scene.nodes) <= TOOLTIPS
    body = [f"\tgraph [{' '.join(header)}]\n"]
    body.append(f"\tnode [fontname={font} fixedsize=true margin=0]\n")
    body.append(f'\tedge [fontname={font} arrowsize=0.6 arrowhead=normal tooltip=" "]\n')
    body.append(f'\tsubgraph cluster_page {{ graph [bb="{pinned["bb"]}" pencolor=none label=""] }}\n')
    body += [_frame(frame) for frame in scene.frames]
    body += [_node(node, tooltips) for node in scene.nodes]
    body += [_line(line, tooltips) for line in scene.lines]
    graph.body.extend(body)
    return graph


def quoted(text: str) -> str:
    """A DOT string that shows exactly this text."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("&", "&amp;") + '"'


def html(text: str) -> str:
    """A text as it is written inside of an HTML-like label."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _node(node: Node, tooltips: bool) -> str:
    look = node.look
    shape = SHAPES[look.shape]
    if node.dashed:
        shape = shape.replace("rounded,filled", "rounded,filled,dashed").replace(
            "style=filled", 'style="filled,dashed"'
        )
    return (
        f"\t{node.id} [{shape} label={quoted(node.label)} "
        f'pos="{node.center[0]:.2f},{node.center[1]:.2f}" width={node.width / 72:.4f} height={node.height / 72:.4f} '
        f'fillcolor="{look.fill}" color="{look.border}" penwidth={look.pen:.2f} '
        f'fontcolor="{look.ink}" fontsize={look.font:g} '
        f"tooltip={quoted(node.tooltip) if tooltips and node.tooltip else quoted(' ')}]\n"
    )


def _line(line: Line, tooltips: bool) -> str:
    path, end = line.path, ""
    if line.arrow:
        path, (x, y) = path.shortened()
        end = f"e,{x:.2f},{y:.2f} "
    points = " ".join([f"{x:.2f},{y:.2f}" for x, y in path.points])
    text = f'\t{line.tail} -> {line.head} [pos="{end}{points}" color="{line.colour}" penwidth={line.pen:.2f}'
    if not line.arrow:
        text += " dir=none"
    if line.dashed:
        text += " style=dashed"
    if line.label:
        x, y = line.label_at
        text += f' label={quoted(line.label)} lp="{x:.2f},{y:.2f}" fontsize={line.font:g} fontcolor="{line.ink}"'
    if line.sign:
        (ax, ay), (bx, by) = path.points[-2], path.points[-1]
        length = max(((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5, 1e-6)
        x, y = bx - 6 * (by - ay) / length, by + 6 * (bx - ax) / length
        text += (
            f' headlabel={quoted(line.sign)} head_lp="{x:.2f},{y:.2f}" labelfontsize=12 labelfontcolor="{style.GREY}"'
        )
    if tooltips and line.tooltip:
        text += f" tooltip={quoted(line.tooltip)}"
    return text + "]\n"


def _frame(frame: Frame) -> str:
    look = f'style="rounded,filled" fillcolor="{style.PANEL}" color="#DADCE0"' if frame.visible else "pencolor=none"
    if frame.dimmed and frame.visible:
        look = 'style="rounded,filled,dashed" fillcolor="#E8EAED" color="#80868B"'
    x, y = frame.label_at
    return (
        f"\tsubgraph cluster_{frame.id} {{ graph "
        f'[bb="{frame.left:.2f},{frame.bottom:.2f},{frame.right:.2f},{frame.top:.2f}" '
        f'label={quoted(frame.label)} lp="{x:.2f},{y:.2f}" fontsize={frame.font:g} fontcolor="{frame.ink}" {look}] '
        + "".join(f"{member}; " for member in frame.members)
        + "}\n"
    )
