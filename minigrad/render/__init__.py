"""Graph → picture: a Graphviz drawing of an unrolled graph on a time grid.  Loaded, with Graphviz,
only when drawing.

    Graph ──read, rows──▶ Reading ──group, link──▶ Picture ──measure──▶ Norms
          ──arrange, routes──▶ Layout ──paint, wrap──▶ Canvas ──▶ DOT text ──graphviz_run──▶ file

Each is a value made by one function: a `Picture` says what is drawn (rows, tiles, boxes, links, no
coordinates), a `Layout` where it stands, a `Canvas` in which look.
"""

from __future__ import annotations

import re
from os import PathLike
from typing import Any, Unpack

import graphviz

from minigrad.graph import Graph
from minigrad.render.draw import draw
from minigrad.render.options import PictureOptions, checked
from minigrad.render.page import Page, make_page
from minigrad.render.strips import Comparison, compare, frames, write

__all__ = [
    "Comparison", "Page", "PictureOptions", "compare", "frames", "mimebundle", "page", "render",
    "to_dot",
]  # fmt: skip
LARGEST = 2_000_000  # bytes of SVG that a notebook still shows quickly


def to_dot(graph: Graph, **options: Unpack[PictureOptions]) -> graphviz.Digraph:
    """The graph as a `graphviz.Digraph` with every position pinned.

    view: "ops" every operation; "affine" sums of products with parameters as one; "blocks" one box
    for each module or
    scope; "cells" one box for each cell.
    time: "unrolled"; "rolled" one step for all, its states through delays; "both" side by side.
    steps: "all"; slices of the steps as "0:2,-2:"; "auto" leaves out the middle of a graph that is
    too long to read.
    backward: edges reversed, coloured and widened by the logarithm of the gradient on that very
    edge.
    fit: "slide" (1920 × 1080 pixels) or "column" (800 pixels): no text under 12 pixels there, else
    steps are wrapped,
    folded or left out.  per_row: how many steps stand in one row before the next begins.
    scale: the decades (lo, hi) of the colours, else those of the picture.  highlight: nodes with a
    thick red border.
    count_from: the number that pictures give to the first step.  blocks: the scope of a block that
    is opened.
    title, legend: a line over the picture, and what the shapes mean.  labels: other names, as {"h":
    "H"}.
    values: data and gradient of what is one number, shape and mean of what is not.
    Raises ValueError or TypeError for an option that is none, before anything is drawn.

    >>> import minigrad as mg
    >>> w, h = mg.tensor(0.2, requires_grad=True, name="w"), mg.tensor(0.9)
    >>> for t in range(3):
    ...     with mg.time_step(t): h = w * h
    >>> dot = to_dot(mg.Graph(h), backward=True)
    >>> "layout=" in dot.source, "t = 2" in dot.source
    (True, True)
    """
    return draw(graph, checked(**options))


def render(graph: Graph, path: str | PathLike[str], **options: Unpack[PictureOptions]) -> str:
    """Write the picture to a file in the format of its suffix (svg, png, pdf, gv, html, ...).

    Returns the path.  A file that ends in .html is a page in which one plays the backward pass; its
    words may be Vietnamese (lang="vi").  It holds all steps, and opens at the first highlighted
    node, or at the last of the `steps`.

    The options are those of `to_dot`.  Without a dot program and without pygraphviz the text of the
    picture is written
    as .gv, and the error says so.
    """
    return write(path, lambda: page(graph, **options), lambda: draw(graph, checked(**options)))


def page(graph: Graph, **options: Unpack[PictureOptions]) -> Page:
    """The graph as a page that one plays, for a notebook; `render("x.html")` writes it to a file."""
    return make_page([{"": graph}], checked("page", **options))


def mimebundle(graph: Graph, include: Any = None, exclude: Any = None) -> dict[str, Any]:
    """What a notebook shows: the picture as SVG of at most 2 MB, with a line of text; never
    raises."""
    attempts: tuple[PictureOptions, ...] = (
        {}, {"steps": "0:1,-1:"}, {"view": "cells"}, {"view": "cells", "steps": "0:1,-1:"},
    )  # fmt: skip
    limit = f"more than {LARGEST // 10**6} MB"
    try:
        for options in attempts:
            svg = to_dot(graph, **options).pipe("svg", encoding="utf-8")
            if len(svg) < LARGEST:
                note = f"\ndrawn with {options}: {limit} otherwise" if options else ""
                return {"image/svg+xml": _scaling(svg), "text/plain": f"{graph!r}{note}"}
        return {"text/plain": f"{graph!r}\nno picture: {limit} in every view"}
    except Exception as error:
        return {"text/plain": f"Graph\n(no picture: {type(error).__name__}: {error})"}


def _scaling(svg: str) -> str:
    """An SVG that is as wide as the cell of a notebook, if it is wider than that at its own
    size."""
    size = r'<svg width="[^"]*" height="[^"]*"(\s+viewBox="\S+ \S+ (\S+) \S+")'
    scaling = r'<svg style="max-width: \2pt; height: auto" width="100%"\1'
    return re.sub(size, scaling, svg, count=1)
