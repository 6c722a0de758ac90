"""Several graphs as strips on one scale of colours, and one backward pass as a flip-book."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Unpack, overload

from minigrad.graph import Graph
from minigrad.render import graphviz_run, look
from minigrad.render.draw import Plan, canvas_of, fitted, page_size, plan, save
from minigrad.render.measure import measure_by_step
from minigrad.render.options import Options, PictureOptions, checked
from minigrad.render.page import Knob, Page, is_page, make_page
from minigrad.render.paint import Canvas, Drawing, colour_bar, text_item, wrapped

SETTINGS = 400  # of the sliders of one page


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
        bar = colour_bar(scale, norms) if norms else ()
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


class Sweep:
    """Graphs at each setting of a grid: a page with a slider for each setting."""

    def __init__(self, make: Callable[..., Any], grid: Mapping[str, Iterable[Any]]) -> None:
        self.knobs = [Knob(name, tuple(values)) for name, values in grid.items()]
        for knob in self.knobs:
            if not knob.values or isinstance(grid[knob.name], str):
                raise ValueError(
                    f"compare: {knob.name}= takes the values of a slider, as [0.5, 1, 2]; "
                    f"found {grid[knob.name]!r}"
                )
        count = math.prod(len(knob.values) for knob in self.knobs)
        if count > SETTINGS:
            sizes = " × ".join(str(len(knob.values)) for knob in self.knobs)
            raise ValueError(
                f"compare: {sizes} values are {count} settings, more than the {SETTINGS} that a "
                "page holds; give fewer values"
            )
        combinations = itertools.product(*(knob.values for knob in self.knobs))
        self.settings = [self.made(make, values) for values in combinations]
        if len({tuple(setting) for setting in self.settings}) > 1:
            titles = [list(setting) for setting in self.settings]
            raise ValueError(
                "compare: the function must give graphs of the same titles at every setting; "
                f"found {titles[0]} and {next(t for t in titles if t != titles[0])}"
            )

    def made(self, make: Callable[..., Any], values: Sequence[Any]) -> dict[str, Graph]:
        """The graphs by title at one setting."""
        setting = {knob.name: value for knob, value in zip(self.knobs, values, strict=True)}
        made = make(**setting)
        graphs = {"": made} if isinstance(made, Graph) else made
        fine = isinstance(graphs, Mapping) and all(isinstance(g, Graph) for g in graphs.values())
        if not fine or not graphs:
            raise ValueError(
                f"compare: the function must give an mg.Graph, or mg.Graphs by title; at {setting} "
                f"it gave {made!r}"
            )
        return dict(graphs)

    def render(self, path: str | PathLike[str], **options: Unpack[PictureOptions]) -> str:
        """Write the page; returns its path.  A path of a picture is refused: pictures have no
        sliders."""
        graphviz_run.check(path, graphviz_run.PAGES)
        if not is_page(path):
            raise ValueError(f"compare: sliders are on a page, as 'x.html'; found {str(path)!r}")
        return self.page(**options).save(path)

    def page(self, **options: Unpack[PictureOptions]) -> Page:
        """The page with its sliders, which opens at the middle of each."""
        knobs = [knob._replace(at=(len(knob.values) - 1) // 2) for knob in self.knobs]
        asked = checked("page", **{"view": "cells", **options})
        return make_page(self.settings, asked, knobs)


@overload
def compare(graphs: Mapping[str, Graph], /) -> Comparison: ...
@overload
def compare(
    graphs: Callable[..., Graph | Mapping[str, Graph]], /, **grid: Iterable[Any]
) -> Sweep: ...
def compare(graphs: Any, /, **grid: Iterable[Any]) -> Comparison | Sweep:
    """Several graphs on one scale of colours, as strips or side by side; or sliders.

    `compare({"RNN": graph, ...}).render(path)` draws strips one above another, and in a file that
    ends in .html a page that plays all at once.

    `compare(make, gain=[0.5, 1, 2], scale=[0.1, 1]).render("x.html")` is a page with a slider for
    each setting: `make(gain=..., scale=...)` is called once for each combination, and gives a
    graph, or graphs by title to stand side by side.  All are recorded, so the page needs no
    program behind it; a graph that `make` gives again (from a cache) is held once.  Raises
    ValueError for a grid of more than 400 settings or 250 000 operations.

    >>> import minigrad as mg
    >>> def power(w):
    ...     w, h = mg.tensor(w, requires_grad=True, name="w"), mg.tensor(0.9)
    ...     for t in range(3):
    ...         with mg.time_step(t): h = w * h
    ...     return mg.Graph(h)
    >>> len(compare(power, w=[0.5, 1.0, 2.0]).settings)
    3
    """
    if callable(graphs) and not isinstance(graphs, Mapping):
        if not grid:
            raise ValueError("compare: a function needs the values of its settings, as gain=[1, 2]")
        return Sweep(graphs, grid)
    if grid:
        raise TypeError(f"compare: {next(iter(grid))}= takes a function of it in place of graphs")
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
    drawn = list(_pages(plan(graph, asked, quiet=True)))
    paths = []
    for k, (t, canvas) in enumerate(drawn):
        place = "outside of time" if t is None else f"back to t = {t + asked.count_from}"
        page = canvas.noted(*notes).noted(f"{k + 1} of {len(drawn)}: {place}")
        path = Path(folder) / f"{k:04}.{suffix}"
        paths.append(save(path, functools.partial(page.digraph, size)))
    return paths


def _pages(whole: Plan) -> Iterator[tuple[int | None, Canvas]]:
    """One canvas for each time step that the pass has passed; what happens in steps not drawn makes
    none."""
    before: Any = None
    for t, norms in measure_by_step(whole.picture):
        canvas = replace(whole, norms=norms).canvas()
        if canvas.items != before:
            yield t, canvas
        before = canvas.items
