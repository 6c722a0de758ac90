"""Several graphs as strips on one scale of colours, and one backward pass as a flip-book.  Imports `compose`."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigrad.render import engine, style
from minigrad.render.compose import FITS, defaults, dresser, fits, page
from minigrad.render.emit import digraph
from minigrad.render.scene import Frame, Scene

if TYPE_CHECKING:
    import graphviz

    from minigrad.graph import Graph


class Comparison:
    """Strips one above another, each the backward pass of one graph, all in the colours of one scale."""

    def __init__(self, graphs: Mapping[str, Graph]) -> None:
        if not graphs:
            raise ValueError("compare: graphs by title are needed, as compare({'RNN': graph, ...}); found none")
        self.graphs = dict(graphs)

    def to_dot(self, fit: str | None = None, **options: Any) -> graphviz.Digraph:
        """The strips as a `graphviz.Digraph`; the options of a graph's `to_dot`, here with cells and backward."""
        asked = defaults(**{"view": "cells", "backward": True, **options, "fit": fit})
        asked.pop("fit")
        for steps in dict.fromkeys((asked["steps"], "0:4,-4:", "0:2,-2:", "0:1,-1:")):
            scene = self.scene({**asked, "steps": steps})
            if fit is None or fits(scene, *FITS[fit]):
                break
        return digraph(scene, page(fit))

    def scene(self, options: dict[str, Any]) -> Scene:
        """All strips and their titles, from the top down."""
        strips = {title: dresser(graph, **options) for title, graph in self.graphs.items()}
        scales = [strip.scale for strip in strips.values()]
        scale = options["scale"] or (min(lo for lo, _ in scales), max(hi for _, hi in scales))
        whole, y = Scene(), 0.0
        for k, (title, strip) in enumerate(strips.items()):
            strip.scale = scale
            scene = strip.scene_of()
            left, bottom, _, top = scene.box()
            text = style.shorten(title, 60)
            width = style.text_width(text, 14)
            frame = Frame(
                f"title{k}", 0, y - 20, width, y, text, (width / 2, y - 10), visible=False, font=14, ink=style.INK
            )
            whole.frames.append(frame)
            whole.add(scene, -left, y - 24 - top, f"g{k}_")
            whole.legend = scene.legend
            y -= top - bottom + 48
        return whole

    def render(self, path: str | PathLike[str], **options: Any) -> str:
        """Write the strips to a file in the format of its suffix; returns the path."""
        engine.check(path)
        return engine.write(path, self.to_dot(**options).source)


def frames(graph: Graph, folder: str | PathLike[str], suffix: str = "png", **options: Any) -> list[str]:
    """A flip-book of a backward pass: one picture for each time step that it has passed; returns their paths.

    All pictures have the same layout and the same scale of colours; what the pass has not reached yet is pale.
    """
    engine.check(Path(f"0.{suffix}"))
    Path(folder).mkdir(parents=True, exist_ok=True)
    asked = defaults(**{**options, "backward": True})
    size, scale, paths = page(asked.pop("fit")), asked.pop("scale") or dresser(graph, **asked).scale, []
    times = [step.t for step in graph.backward_steps()]
    ends = [k + 1 for k, t in enumerate(times) if k + 1 == len(times) or times[k + 1] != t]
    for k, end in enumerate(ends):
        scene = dresser(graph, **asked, scale=scale, limit=end).scene_of()
        place = "outside of time" if times[end - 1] is None else f"back to t = {times[end - 1]}"
        scene.title = f"{k + 1} of {len(ends)}: {place}"
        paths.append(engine.write(Path(folder) / f"{k:04}.{suffix}", digraph(scene, size).source))
    return paths
