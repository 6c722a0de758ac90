"""Several graphs as strips on one scale of colours, and one backward pass as a flip-book."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

from minigrad.backward import backward_steps, begin
from minigrad.graph import Graph
from minigrad.render import graphviz_run, look
from minigrad.render.draw import canvas_of, fitted, page_size, plan, save
from minigrad.render.options import Options, PictureOptions, checked
from minigrad.render.page import Page, is_page, make_page
from minigrad.render.paint import Canvas, Drawing, text_item, wrapped
from minigrad.render.texts import colour_bar


class Comparison:
    """Strips one above another, each the backward pass of one graph, all in the colours of one
    scale."""

    def __init__(self, graphs: Mapping[str, Graph]) -> None:
        pairs = graphs.items() if isinstance(graphs, Mapping) else ()
        fine = all(isinstance(title, str) and isinstance(graph, Graph) for title, graph in pairs)
        if not pairs or not fine:
            found = graphs or "none"
            raise ValueError(
                f"compare: mg.Graphs by title are needed, as {{'RNN': graph}}; found {found}"
            )
        self.graphs = dict(graphs)

    def to_dot(self, **options: Unpack[PictureOptions]) -> Drawing:
        """The strips as a `graphviz.Digraph`; the options of a graph's `to_dot`, here with cells
        and backward."""
        asked = checked(**{"view": "cells", "backward": True, **options})
        if asked.time != "unrolled":
            raise ValueError("compare: strips are unrolled; time= is not an option of theirs")
        if asked.fit is None:
            return self.canvas(asked).digraph({"dpi": "144"})
        timed = any(graph.axes for graph in self.graphs.values())
        return fitted(asked, self.canvas, timed)[0].digraph(page_size(asked.fit))

    def canvas(self, options: Options) -> Canvas:
        """All strips and their titles, from the top down."""
        options = replace(options, time="unrolled", title="")
        plans = {title: plan(graph, options) for title, graph in self.graphs.items()}
        scales = [one.scale for one in plans.values()]
        scale = options.scale or (min(lo for lo, _ in scales), max(hi for _, hi in scales))
        whole, y = Canvas(), 0.0
        for k, (title, one) in enumerate(plans.items()):
            canvas = replace(one, scale=scale).canvas()
            left, bottom, right, top = canvas.box
            for n, line in enumerate(wrapped(look.shorten(title, 90), right - left, 14)):
                y -= 18
                whole.items.append(text_item(f"title{k}_{n}", (0.0, y + 8), line, 14))
            whole = whole.beside(canvas, -left, y - 6 - top, f"g{k}_")
            y -= top - bottom + 30
        norms = [n for one in plans.values() if one.norms for n in one.norms.of.values()]
        bar = colour_bar(scale, norms) if norms else ""
        return replace(whole, scale=bar, title=options.title)

    def render(self, path: str | PathLike[str], **options: Unpack[PictureOptions]) -> str:
        """Write the strips to a file in the format of its suffix; returns the path."""
        graphviz_run.check(path, graphviz_run.PAGES)
        if is_page(path):
            return self.page(**options).save(path)
        return save(path, lambda: self.to_dot(**options))

    def page(self, **options: Unpack[PictureOptions]) -> Page:
        """All graphs in one page, played side by side on one scale of colours."""
        return make_page([self.graphs], checked("page", **{"view": "cells", **options}))


def compare(graphs: Mapping[str, Graph]) -> Comparison:
    """Strips one above another, on one scale of colours: `compare({"RNN": graph,
    ...}).render(path)`."""
    return Comparison(graphs)


def frames(
    graph: Graph,
    folder: str | PathLike[str],
    suffix: str = "png",
    **options: Unpack[PictureOptions],
) -> list[str]:
    """A flip-book of a backward pass: one picture for each time step that it has passed; returns
    their paths.

    All pictures have the same layout and the same scale of colours; what the pass has not reached
    yet is pale.
    """
    graphviz_run.check(Path(f"0.{suffix}"))
    asked = checked(**{**options, "backward": True})
    if asked.time != "unrolled":
        raise ValueError("frames: a flip-book is unrolled; time= is not an option of it")
    if Path(folder).is_file():
        raise FileExistsError(f"frames: {str(folder)!r} is a file; a folder is needed")
    Path(folder).mkdir(parents=True, exist_ok=True)
    size, notes = {"dpi": "96"}, tuple[str, ...]()
    if asked.fit:
        size = page_size(asked.fit)
        whole, asked = fitted(asked, lambda tried: canvas_of(graph, tried), bool(graph.axes))
        notes = whole.notes
    asked = replace(asked, scale=asked.scale or plan(graph, asked).scale)
    drawn = list(_pages(graph, asked))
    paths = []
    for k, (t, canvas) in enumerate(drawn):
        place = "outside of time" if t is None else f"back to t = {t + asked.count_from}"
        page = canvas.noted(*notes).noted(f"{k + 1} of {len(drawn)}: {place}")
        path = Path(folder) / f"{k:04}.{suffix}"
        paths.append(save(path, functools.partial(page.digraph, size)))
    return paths


def _pages(graph: Graph, options: Options) -> Iterator[tuple[int | None, Canvas]]:
    """One canvas for each time step that the pass has passed; what happens in steps not drawn makes
    none."""
    times = [step.t for step in backward_steps(graph, begin(graph))]
    ends = [k + 1 for k, t in enumerate(times) if k + 1 == len(times) or times[k + 1] != t]
    before: Any = None
    for end in ends:
        canvas = plan(graph, options, limit=end, quiet=True).canvas()
        if canvas.items != before:
            yield times[end - 1], canvas
        before = canvas.items
