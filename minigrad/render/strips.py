"""Several graphs as strips on one scale of colours, and one backward pass as a flip-book.  Imports `compose`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from minigrad.backward import backward_steps, begin
from minigrad.graph import Graph
from minigrad.render import engine, style
from minigrad.render.canvas import Canvas, Drawing, wrapped
from minigrad.render.compose import canvas_of, checked, fitted, painter, save, sized
from minigrad.render.labels import legend


class Comparison:
    """Strips one above another, each the backward pass of one graph, all in the colours of one scale."""

    def __init__(self, graphs: Mapping[str, Graph]) -> None:
        pairs = graphs.items() if isinstance(graphs, Mapping) else ()
        if not pairs or not all(
            isinstance(title, str) and isinstance(graph, Graph) for title, graph in pairs
        ):
            raise ValueError(
                f"compare: mg.Graphs by title are needed, as {{'RNN': graph}}; found {graphs or 'none'}"
            )
        self.graphs = dict(graphs)

    def to_dot(self, fit: str | None = None, **options: Any) -> Drawing:
        """The strips as a `graphviz.Digraph`; the options of a graph's `to_dot`, here with cells and backward."""
        asked = checked(**{"view": "cells", "backward": True, **options, "fit": fit})
        if asked["time"] != "unrolled":
            raise ValueError("compare: strips are unrolled; time= is not an option of theirs")
        if asked.pop("fit") is None:
            return self.canvas(**asked).digraph({"dpi": "144"})
        timed = any(graph.axes for graph in self.graphs.values())
        return fitted(str(fit), asked, self.canvas, timed)[0].digraph(sized(str(fit)))

    def canvas(self, **options: Any) -> Canvas:
        """All strips and their titles, from the top down."""
        strips = {
            title: painter(graph, **options | {"time": "unrolled"})
            for title, graph in self.graphs.items()
        }
        scales = [strip.scale for strip in strips.values()]
        scale = options["scale"] or (min(lo for lo, _ in scales), max(hi for _, hi in scales))
        whole, y = Canvas(), 0.0
        for k, (title, strip) in enumerate(strips.items()):
            strip.scale = scale
            canvas = strip.paint()
            left, bottom, right, top = canvas.box()
            note = f"   ({canvas.title})" if canvas.title else ""
            for n, line in enumerate(wrapped(style.shorten(title, 60) + note, right - left, 14)):
                y -= 18
                whole.text(f"title{k}_{n}", (0.0, y + 8), line, 14)
            whole.add(canvas, -left, y - 6 - top, f"g{k}_")
            y -= top - bottom + 30
        norms = [norm for strip in strips.values() for norm in strip.norms.values()]
        whole.legend = legend(scale, norms) if norms else ""
        return whole

    def render(self, path: str | PathLike[str], **options: Any) -> str:
        """Write the strips to a file in the format of its suffix; returns the path."""
        return save(path, lambda: self.to_dot(**options))


def frames(
    graph: Graph, folder: str | PathLike[str], suffix: str = "png", **options: Any
) -> list[str]:
    """A flip-book of a backward pass: one picture for each time step that it has passed; returns their paths.

    All pictures have the same layout and the same scale of colours; what the pass has not reached yet is pale.
    """
    engine.check(Path(f"0.{suffix}"))
    asked = checked(**{**options, "backward": True})
    if asked["time"] != "unrolled":
        raise ValueError("frames: a flip-book is unrolled; time= is not an option of it")
    if Path(folder).is_file():
        raise FileExistsError(f"frames: {str(folder)!r} is a file; a folder is needed")
    Path(folder).mkdir(parents=True, exist_ok=True)
    said, size, paths = "", {"dpi": "96"}, list[str]()
    if fit := asked.pop("fit"):
        whole, asked = fitted(
            fit, asked, lambda **tried: canvas_of(graph, quiet=True, **tried), bool(graph.axes)
        )
        said, size = whole.title, sized(fit)
    asked["scale"] = asked["scale"] or painter(graph, **asked).scale
    times = [step.t for step in backward_steps(graph, begin(graph))]
    ends = [k + 1 for k, t in enumerate(times) if k + 1 == len(times) or times[k + 1] != t]
    drawn: list[tuple[Any, Canvas]] = []
    for end in ends:  # what happens in steps that are not drawn makes no picture
        canvas = painter(graph, **asked, limit=end, quiet=True).paint()
        if not drawn or canvas.items != drawn[-1][1].items:
            drawn.append((times[end - 1], canvas))
    for k, (t, canvas) in enumerate(drawn):
        place = "outside of time" if t is None else f"back to t = {t}"
        canvas.title = ";  ".join(filter(None, [f"{k + 1} of {len(drawn)}: {place}", said]))
        paths.append(
            save(Path(folder) / f"{k:04}.{suffix}", functools.partial(canvas.digraph, size))
        )
    return paths
