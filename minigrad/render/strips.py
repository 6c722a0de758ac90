"""Several graphs as strips on one scale of colours, and one backward pass as a flip-book."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Unpack, overload

from minigrad.graph import Graph
from minigrad.language import say
from minigrad.render import graphviz_run, look
from minigrad.render.canvas import Canvas, Drawing, colour_bar, text_item, wrapped
from minigrad.render.draw import canvas_of, fitted, page_size, plan, save, undisturbed
from minigrad.render.measure import measure_by_step
from minigrad.render.options import Options, PictureOptions, checked
from minigrad.render.page import Knob, Page, is_page, make_page
from minigrad.render.paint import Plan, paint

SETTINGS = 400  # of the sliders of one page


class Sweep:
    """Graphs at each setting of a grid: a page with a slider for each setting."""

    def __init__(self, make: Callable[..., Any], grid: Mapping[str, Iterable[Any]]) -> None:
        self.knobs = [_knob(name, values) for name, values in grid.items()]
        sizes = [len(knob.values) for knob in self.knobs]
        if math.prod(sizes) > SETTINGS:
            raise ValueError(
                f"compare: {' × '.join(map(str, sizes))} values are {math.prod(sizes)} settings, "
                f"more than the {SETTINGS} that a page holds; give fewer values"
            )
        combinations = itertools.product(*(knob.values for knob in self.knobs))
        self.settings = [
            _made(make, dict(zip(grid, values, strict=True))) for values in combinations
        ]
        first = list(self.settings[0])
        if other := next((list(one) for one in self.settings if list(one) != first), None):
            raise ValueError(
                "compare: the function must give graphs of the same titles at every setting; "
                f"found {first} and {other}"
            )

    def render(self, path: str | PathLike[str], **options: Unpack[PictureOptions]) -> str:
        """Write a page, or strips to a file in the format of its suffix; returns the path."""
        return write(path, lambda: self.page(**options), lambda: self.to_dot(**options))

    def to_dot(self, **options: Unpack[PictureOptions]) -> Drawing:
        """Is refused: pictures have no sliders."""
        raise ValueError("compare: sliders are on a page: render to a file ending in .html")

    def page(self, **options: Unpack[PictureOptions]) -> Page:
        """All graphs in one page, side by side on one scale of colours; it opens at the middle of
        each slider."""
        asked = checked("page", **{"view": "cells", **options})
        return make_page(self.settings, asked, self.knobs)


class Comparison(Sweep):
    """Strips one above another, each the backward pass of one graph, all in the colours of one
    scale."""

    def __init__(self, graphs: Mapping[str, Graph]) -> None:
        if not _are_by_title(graphs):
            found = graphs or "none"
            raise ValueError(
                f"compare: mg.Graphs by title are needed, as {{'RNN': graph}}; found {found}"
            )
        self.knobs, self.settings = [], [dict(graphs)]

    @undisturbed()
    def to_dot(self, **options: Unpack[PictureOptions]) -> Drawing:
        """The strips as a `graphviz.Digraph`; the options of a graph's `to_dot`, here with cells
        and backward."""
        asked = checked(**{"view": "cells", "backward": True, **options})
        if asked.time != "unrolled":
            raise ValueError("compare: strips are unrolled; time= is not an option of theirs")
        timed = any(graph.axes for graph in self.settings[0].values())
        canvas, _ = fitted(asked, self.canvas, timed)
        return canvas.digraph(page_size(asked.fit))

    def canvas(self, options: Options) -> Canvas:
        """All strips and their titles, from the top down."""
        untitled = replace(options, title="")
        plans = {title: plan(graph, untitled) for title, graph in self.settings[0].items()}
        lows, highs = zip(*(one.scale for one in plans.values()), strict=True)
        scale = options.scale or (min(lows), max(highs))
        whole, y = Canvas(), 0.0
        for k, (title, one) in enumerate(plans.items()):
            canvas = paint(replace(one, scale=scale))
            left, bottom, right, top = canvas.box
            for n, line in enumerate(wrapped(look.shorten(title, 90), right - left, 14)):
                y -= 18
                whole.items.append(text_item(f"title{k}_{n}", (0.0, y + 8), line, 14))
            whole = whole.beside(canvas, -left, y - 6 - top, f"g{k}_")
            y -= top - bottom + 30
        norms = [n for one in plans.values() if one.norms for n in one.norms.of.values()]
        bar = colour_bar(scale, norms) if norms else ()
        return replace(whole, scale=bar, title=options.title)


def write(
    path: str | PathLike[str], page: Callable[[], Page], drawing: Callable[[], Drawing]
) -> str:
    """Write a page or a drawing, as the suffix of the path asks; returns the path."""
    graphviz_run.check(path, graphviz_run.PAGES)
    return page().save(path) if is_page(path) else save(path, drawing)


def _knob(name: str, values: Iterable[Any]) -> Knob:
    """A slider that stands in its middle."""
    knob = Knob(name, tuple(values))
    if not knob.values or isinstance(values, str):
        raise ValueError(
            f"compare: {name}= takes the values of a slider, as [0.5, 1, 2]; found {values!r}"
        )
    return knob._replace(at=(len(knob.values) - 1) // 2)


def _made(make: Callable[..., Any], setting: dict[str, Any]) -> dict[str, Graph]:
    """The graphs by title at one setting."""
    made = make(**setting)
    graphs = {"": made} if isinstance(made, Graph) else made
    if not _are_by_title(graphs):
        raise ValueError(
            f"compare: the function must give an mg.Graph, or mg.Graphs by title; at {setting} "
            f"it gave {made!r}"
        )
    return dict(graphs)


def _are_by_title(graphs: Any) -> bool:
    """Whether these are graphs by title, one at least."""
    pairs = graphs.items() if isinstance(graphs, Mapping) else ()
    fine = all(isinstance(title, str) and isinstance(graph, Graph) for title, graph in pairs)
    return bool(pairs) and fine


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


@undisturbed()
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
    whole, asked = fitted(asked, functools.partial(canvas_of, graph), bool(graph.axes))
    size = page_size(asked.fit)
    drawn = list(_pages(plan(graph, asked, quiet=True)))
    paths = []
    for k, (t, canvas) in enumerate(drawn):
        place = say("outside of time")
        if t is not None:
            place = say("back to t = {t}", t=t + asked.count_from)
        text = say("{k} of {total}: {place}", k=k + 1, total=len(drawn), place=place)
        page = canvas.noted(*whole.notes).noted(text)
        path = Path(folder) / f"{k:04}.{suffix}"
        paths.append(save(path, functools.partial(page.digraph, size)))
    return paths


def _pages(whole: Plan) -> Iterator[tuple[int | None, Canvas]]:
    """One canvas for each time step that the pass has passed; what happens in steps not drawn makes
    none."""
    before: Any = None
    for t, norms in measure_by_step(whole.picture):
        canvas = paint(replace(whole, norms=norms))
        if canvas.items != before:
            yield t, canvas
        before = canvas.items
