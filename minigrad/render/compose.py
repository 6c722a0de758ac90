"""One picture from the options: which steps, rolled or not, how it fits; strips and flip-books of several.

Imports all stages of the drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.render import engine, style
from minigrad.render.canvas import Canvas, Drawing
from minigrad.render.gradients import measure
from minigrad.render.labels import Look
from minigrad.render.paint import Painter
from minigrad.render.views import VIEWS, Viewer
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    from minigrad.graph import Graph

TIMES = ("unrolled", "rolled", "both")
FITS = {"slide": (1920.0, 1080.0), "column": (800.0, 1200.0)}  # pixels
DEFAULTS = {"view": "ops", "time": "unrolled", "steps": "auto", "backward": False, "fit": None, "per_row": None}
DEFAULTS |= {"scale": None, "highlight": (), "count_from": 0}
MANY, MANY_CELLS = 400, 40  # operations, or steps of cells, that one picture holds before it leaves steps out
WIDEST = 30_000 * 72 / 96  # points: what a PNG of 32 767 pixels holds


def checked(**options: Any) -> dict[str, Any]:
    """All options of a picture; those not given have their defaults.  Raises for what is not one."""
    if unknown := [name for name in options if name not in DEFAULTS]:
        raise TypeError(f"there is no option {unknown[0]!r} of a picture; the options: {', '.join(DEFAULTS)}")
    asked = DEFAULTS | options
    choices: dict[str, tuple[Any, ...]] = {
        "view": VIEWS,
        "time": TIMES,
        "fit": (None, *FITS),
        "backward": (False, True),
    }
    for name, allowed in choices.items():
        if asked[name] not in allowed:
            raise ValueError(f"{name}: one of {', '.join(map(repr, allowed))} is needed, found {asked[name]!r}")
    per_row, scale, steps = asked["per_row"], asked["scale"], asked["steps"]
    if per_row is not None and (type(per_row) is not int or per_row < 1):
        raise ValueError(f"per_row: a positive number of steps is needed, found {per_row!r}")
    if type(asked["count_from"]) is not int:
        raise ValueError(f"count_from: the number of the first step is needed, found {asked['count_from']!r}")
    numbers = isinstance(scale, tuple | list) and len(scale) == 2 and all(isinstance(n, int | float) for n in scale)
    if scale is not None and not (numbers and np.isfinite(scale).all() and scale[0] < scale[1]):
        raise ValueError(f"scale: the decades (lo, hi) of the colours are needed, as (-3, 0), found {scale!r}")
    _chosen([0], steps if steps != "auto" else "all")
    found = (
        asked["highlight"] if isinstance(asked["highlight"], tuple | list | set | frozenset) else (asked["highlight"],)
    )
    if not all(isinstance(node, Tensor) for node in found):
        raise TypeError(
            f"highlight: nodes of the graph are needed, as graph.find(t=3) gives, found {asked['highlight']!r}"
        )
    return asked | {"highlight": tuple(found)}


def draw(graph: Graph, options: dict[str, Any], pixels: bool = False) -> Drawing:
    """The picture; pixels: it has to fit into the 32 767 of a PNG, so that a long one is wrapped."""
    fit = options.pop("fit")
    if fit is not None:
        return fitted(fit, options, lambda **asked: canvas_of(graph, **asked))
    canvas = canvas_of(graph, **options)
    left, bottom, right, top = canvas.box()
    if pixels and right - left > WIDEST and not options["per_row"]:
        steps = len(graph._positions)
        per_row = max(1, int((steps * steps * (top - bottom + 60) * 1.6 / (right - left)) ** 0.5 / 1.0) or 1)
        per_row = min(per_row, max(1, int(steps * WIDEST / (right - left))))
        canvas = canvas_of(graph, **{**options, "per_row": per_row})
        canvas.title = f"{canvas.title}  wrapped: a PNG is at most 32 767 pixels wide; per_row= says otherwise".strip()
    left, bottom, right, top = canvas.box()
    longest = max(right - left, top - bottom) + 100
    return canvas.digraph({"dpi": f"{min(144 if longest < 4000 else 96, 32_000 * 72 / longest):.0f}"})


def fitted(fit: str, options: dict[str, Any], canvas_for: Callable[..., Canvas]) -> Drawing:
    """The largest picture of those with fewer steps or folded operations whose text is readable at a size in pixels."""
    width, height = FITS[fit]
    best: tuple[float, Any] = (0.0, None)
    crowded = False  # more is drawn than even a wrapped picture could show
    for attempt in attempts(options):
        if crowded and attempt["per_row"] and not options["per_row"]:
            continue
        canvas = canvas_for(**attempt)
        left, bottom, right, top = canvas.page()
        crowded = (right - left) * (top - bottom) * (style.SMALLEST_PIXELS / style.SMALLEST) ** 2 > width * height
        canvas.title = "  ".join(filter(None, [changes(options, attempt), canvas.title]))
        best = max(best, (scale_of(canvas, width, height) * style.SMALLEST, canvas), key=lambda found: found[0])
        if best[0] >= style.SMALLEST_PIXELS:
            break
    canvas = best[1]
    if best[0] < style.SMALLEST_PIXELS:
        canvas.title += f"  text of {best[0]:.0f} pixels: no smaller picture of it is known"
    return canvas.digraph({"size": f"{width / 96:g},{height / 96:g}!"})


def attempts(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The options as asked, then ever smaller pictures: fewer steps, wrapped, folded operations, cells, rolled."""
    for time in dict.fromkeys((options["time"], "rolled" if options["time"] == "both" else options["time"], "rolled")):
        for view in VIEWS[VIEWS.index(options["view"]) :]:
            for steps in dict.fromkeys((options["steps"], "0:2,-2:", "0:1,-1:")):
                rows = (options["per_row"],) if options["per_row"] or time != "unrolled" else (None, 6, 4, 3, 2, 1)
                for per_row in rows:
                    yield {**options, "time": time, "view": view, "steps": steps, "per_row": per_row}


def scale_of(canvas: Canvas, width: float, height: float) -> float:
    """Pixels for a point when a canvas fills so many pixels."""
    left, bottom, right, top = canvas.page()
    return min(width / (right - left + 20), height / (top - bottom + 20))


def changes(asked: dict[str, Any], drawn: dict[str, Any]) -> str:
    """What is not as it was asked for, in words."""
    words = [f'{key}="{drawn[key]}"' for key in ("time", "view", "steps") if drawn[key] != asked[key]]
    return f"drawn with {' and '.join(words)}: more does not fit" if words else ""


def canvas_of(graph: Graph, *, time: str = "unrolled", **options: Any) -> Canvas:
    """The canvas of a graph, rolled, unrolled, or both side by side."""
    if time != "both" or not graph.axes:
        return painter(graph, rolled=time == "rolled" and bool(graph.axes), **options).paint()
    drawn = painter(graph, rolled=False, **options)
    unrolled = drawn.paint()
    rolled = painter(graph, rolled=True, **{**options, "scale": drawn.scale}).paint()
    (_, bottom, right, top), (left, low, _, high) = rolled.box(), unrolled.box()
    rolled.text("equals", (right + 24, (bottom + top) / 2), "=", 26)
    rolled.add(unrolled, right + 72 - left, (bottom + top - low - high) / 2, "u_")
    rolled.title = unrolled.title
    return rolled


def painter(
    graph: Graph, *, view: str, steps: str, backward: bool, scale: Any = None, rolled: bool = False,
    limit: int | None = None, **look: Any,
) -> Painter:  # fmt: skip
    """What paints a graph, rolled or unrolled; of the backward pass all, or only the first steps of it."""
    shown, left_out = one_step(graph) if rolled else shown_steps(graph, view, steps)
    picture = Viewer(graph, view, shown, rolled, look.get("count_from", 0)).picture()
    picture.left_out = left_out
    if not picture.boxes:
        raise ValueError(f"there is no operation to draw in {graph!r}")
    return Painter(picture, measure(picture, limit) if backward else None, scale, Look(**look))


def one_step(graph: Graph) -> tuple[Callable[[Any, int], bool], str]:
    """The step that stands for all: on each axis it has as many steps before it as can be."""
    at = graph._positions
    common = set.intersection(*({t for a, t in at if a is axis} for axis in graph.axes.values()))
    best = max(sorted(common), key=lambda t: min(at[axis, t] for axis in graph.axes.values()), default=None)
    last = {axis: max((p, t) for (a, t), p in at.items() if a is axis)[1] for axis in graph.axes.values()}
    chosen = {axis: last[axis] if best is None else best for axis in last}
    chosen[None] = next(iter(chosen.values()))  # type: ignore[index]
    return (lambda axis, t: chosen[axis] == t), ""


def shown_steps(graph: Graph, view: str, steps: str) -> tuple[Callable[[Any, int], bool], str]:
    """Which steps of which axis are drawn, and what is left out, in words."""
    of_axis: dict[Any, list[int]] = {}
    for (axis, t), _ in sorted(graph._positions.items(), key=lambda item: item[1]):
        of_axis.setdefault(axis, []).append(t)
    if steps == "auto":
        longest = max(map(len, of_axis.values()), default=0)
        much = longest > MANY_CELLS if view == "cells" else sum(n.op is not None for n in graph.nodes) > MANY
        steps = "all" if not much else "0:3,-3:" if view == "cells" else "0:2,-2:"
    kept = {axis: set(_chosen(sorted(ts), steps)) for axis, ts in of_axis.items()}
    if of_axis and not any(kept.values()):
        raise ValueError(f"steps: {steps!r} chooses none of the {max(map(len, of_axis.values()))} steps")
    names = {axis: name for name, axis in graph.axes.items()}
    hidden = {names[axis]: len(ts) - len(kept[axis]) for axis, ts in of_axis.items()}
    words = [f"{n} of {len(graph.axes) and n + len(kept[graph.axes[a]])} steps of {a}" for a, n in hidden.items() if n]
    kept[None] = set().union(*kept.values())
    return (lambda axis, t: not of_axis or t in kept[axis]), f"not drawn: {', '.join(words)}" if words else ""


def _chosen(ts: list[int], steps: Any) -> list[int]:
    if steps == "all":
        return ts
    chosen: list[int] = []
    for part in steps.split(",") if isinstance(steps, str) else [None]:
        try:
            bounds = [int(bound) if bound.strip() else None for bound in part.split(":")]
            chosen += ts[slice(*bounds)] if len(bounds) > 1 else ts[bounds[0] : (bounds[0] or 0) + 1 or None]
        except (ValueError, TypeError, AttributeError):
            raise ValueError(f'steps: "auto", "all" or slices such as "0:2,-2:" are needed, found {steps!r}') from None
    return chosen


def save(path: str | PathLike[str], drawing: Callable[[], Drawing]) -> str:
    """Write a drawing in the format of the path's suffix, all or nothing; without Graphviz its text, and say so."""
    engine.check(path)
    text = drawing().source
    try:
        return engine.write(path, text)
    except engine.NoGraphvizError as error:
        source = engine.write(Path(path).with_suffix(".gv"), text)
        raise engine.NoGraphvizError(f"render: {error}.  The picture's text is in {source}") from None


class Comparison:
    """Strips one above another, each the backward pass of one graph, all in the colours of one scale."""

    def __init__(self, graphs: Mapping[str, Graph]) -> None:
        if not isinstance(graphs, Mapping) or not graphs or not all(isinstance(title, str) for title in graphs):
            raise ValueError(
                f"compare: graphs by title are needed, as compare({{'RNN': graph}}); found {graphs if graphs else 'none'}"
            )
        if strangers := [title for title, graph in graphs.items() if not hasattr(graph, "state_edges")]:
            raise ValueError(f"compare: {strangers[0]!r} is no mg.Graph; write mg.Graph(loss)")
        self.graphs = dict(graphs)

    def to_dot(self, fit: str | None = None, **options: Any) -> Drawing:
        """The strips as a `graphviz.Digraph`; the options of a graph's `to_dot`, here with cells and backward."""
        asked = checked(**{"view": "cells", "backward": True, **options, "fit": fit})
        if asked.pop("time") != "unrolled":
            raise ValueError("compare: strips are unrolled; time= is not an option of theirs")
        if asked.pop("fit") is None:
            return self.canvas(**asked).digraph({"dpi": "144"})
        return fitted(str(fit), asked | {"time": "unrolled", "per_row": asked["per_row"] or 10**6}, self.canvas)

    def canvas(self, **options: Any) -> Canvas:
        """All strips and their titles, from the top down."""
        options.pop("time", None)
        strips = {title: painter(graph, **options) for title, graph in self.graphs.items()}
        scales = [strip.scale for strip in strips.values()]
        scale = options["scale"] or (min(lo for lo, _ in scales), max(hi for _, hi in scales))
        whole, y = Canvas(), 0.0
        for k, (title, strip) in enumerate(strips.items()):
            strip.scale = scale
            canvas = strip.paint()
            left, bottom, _, top = canvas.box()
            note = f"   ({canvas.title})" if canvas.title else ""
            whole.text(f"title{k}", (0.0, y - 10), style.shorten(title, 60) + note, 14)
            whole.add(canvas, -left, y - 24 - top, f"g{k}_")
            whole.legend = canvas.legend
            y -= top - bottom + 48
        return whole

    def render(self, path: str | PathLike[str], **options: Any) -> str:
        """Write the strips to a file in the format of its suffix; returns the path."""
        return save(path, lambda: self.to_dot(**options))


def frames(graph: Graph, folder: str | PathLike[str], suffix: str = "png", **options: Any) -> list[str]:
    """A flip-book of a backward pass: one picture for each time step that it has passed; returns their paths.

    All pictures have the same layout and the same scale of colours; what the pass has not reached yet is pale.
    """
    engine.check(Path(f"0.{suffix}"))
    asked = checked(**{**options, "backward": True})
    if asked.pop("time") != "unrolled":
        raise ValueError("frames: a flip-book is unrolled; time= is not an option of it")
    if Path(folder).is_file():
        raise FileExistsError(f"frames: {str(folder)!r} is a file; a folder is needed")
    Path(folder).mkdir(parents=True, exist_ok=True)
    fit, scale, paths = asked.pop("fit"), asked.pop("scale") or painter(graph, **asked).scale, []
    size = {"size": f"{FITS[fit][0] / 96:g},{FITS[fit][1] / 96:g}!"} if fit else {"dpi": "96"}
    times = [step.t for step in graph.backward_steps()]
    ends = [k + 1 for k, t in enumerate(times) if k + 1 == len(times) or times[k + 1] != t]
    for k, end in enumerate(ends):
        canvas = painter(graph, **asked, scale=scale, limit=end, quiet=True).paint()
        place = "outside of time" if times[end - 1] is None else f"back to t = {times[end - 1]}"
        canvas.title = f"{k + 1} of {len(ends)}: {place}"
        paths.append(save(Path(folder) / f"{k:04}.{suffix}", lambda canvas=canvas: canvas.digraph(size)))  # type: ignore[misc]
    return paths
