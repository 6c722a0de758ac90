"""Graph → picture: a Graphviz drawing of an unrolled graph on a time grid.  Graphviz is imported only when drawing.

The stages, one module each: `views` (what is drawn) → `gradients` (how large) → `tiles` and `grid` (where) → `routes`
(along which ways) → `dress` (in which look) → `emit` (as DOT text) → `engine` (as a file).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from os import PathLike
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import graphviz

    from minigrad.graph import Graph

VIEWS = ("ops", "affine", "cells")
MANY, MANY_CELLS = 400, 40  # operations, or steps of cells, that one picture holds before it leaves steps out


def to_dot(
    graph: Graph,
    *,
    view: str = "ops",
    steps: str = "auto",
    backward: bool = False,
    scale: tuple[float, float] | None = None,
    highlight: Collection[Any] = (),
    count_from: int = 0,
) -> graphviz.Digraph:
    """The graph as a `graphviz.Digraph` with every position pinned.

    view: "ops" every operation; "affine" sums of products with parameters as one; "cells" one box for each cell.
    steps: "all"; slices of the steps as "0:2,-2:"; "auto" leaves out the middle of a graph that is too long to read.
    backward: edges reversed, coloured and widened by the logarithm of the gradient on that very edge.
    scale: the decades (lo, hi) of the colours, else those of the picture.  highlight: nodes with a thick red border.
    count_from: the number that pictures give to the first step.

    >>> import minigrad as mg
    >>> w, h = mg.tensor(0.2, requires_grad=True, name="w"), mg.tensor(0.9)
    >>> for t in range(3):
    ...     with mg.time_step(t): h = w * h
    >>> dot = to_dot(mg.Graph(h), backward=True)
    >>> "layout=" in dot.source, "t = 2" in dot.source
    (True, True)
    """
    from minigrad.render.dress import Dresser
    from minigrad.render.emit import digraph
    from minigrad.render.gradients import measure
    from minigrad.render.views import Viewer

    if view not in VIEWS:
        raise ValueError(f"view: one of {', '.join(VIEWS)} is needed, found {view!r}")
    picture = Viewer(graph, view, shown_steps(graph, view, steps), count_from).picture()
    flow = measure(picture) if backward else None
    options = {"count_from": count_from, "highlight": highlight}
    return digraph(Dresser(picture, flow, scale, options).scene_of(), {})


def shown_steps(graph: Graph, view: str, steps: str) -> Callable[[Any, int], bool]:
    """Which steps of which axis are drawn."""
    of_axis: dict[Any, list[int]] = {}
    for axis, t in graph._positions:
        of_axis.setdefault(axis, []).append(t)
    if steps == "auto":
        longest = max(map(len, of_axis.values()), default=0)
        much = longest > MANY_CELLS if view == "cells" else sum(n.op is not None for n in graph.nodes) > MANY
        steps = "all" if not much else "0:3,-3:" if view == "cells" else "0:2,-2:"
    kept = {axis: set(_chosen(sorted(ts), steps)) for axis, ts in of_axis.items()}
    kept[None] = set().union(*kept.values())
    return lambda axis, t: t in kept[axis]


def _chosen(ts: list[int], steps: str) -> list[int]:
    if steps == "all":
        return ts
    chosen: list[int] = []
    for part in steps.split(","):
        try:
            bounds = [int(bound) if bound.strip() else None for bound in part.split(":")]
            chosen += ts[slice(*bounds)] if len(bounds) > 1 else [ts[bounds[0] or 0]]
        except (ValueError, IndexError, TypeError):
            raise ValueError(f'steps: "auto", "all" or slices such as "0:2,-2:" are needed, found {steps!r}') from None
    return chosen


def render(graph: Graph, path: str | PathLike[str], **options: Any) -> str:
    """Write the picture to a file in the format of its suffix (svg, png, pdf, gv, ...); returns the path.

    The options are those of `to_dot`.  Without a dot program and without pygraphviz the text of the picture is written
    as .gv, and the error says so.
    """
    from minigrad.render import engine

    engine.check(path)
    try:
        text = to_dot(graph, **options).source
    except engine.NoGraphvizError as error:
        raise engine.without_graphviz(path, _unpinned(graph, **options), error) from None
    return engine.write(path, text)


def _unpinned(graph: Graph, view: str = "ops", steps: str = "auto", count_from: int = 0, **others: Any) -> str:
    """The text of the picture without positions, which only Graphviz can find."""
    from minigrad.render.dress import label
    from minigrad.render.plain import unpinned
    from minigrad.render.views import Viewer

    picture = Viewer(graph, view, shown_steps(graph, view, steps), count_from).picture()
    label(picture, None)
    return unpinned(picture)


def mimebundle(graph: Graph, include: Any = None, exclude: Any = None) -> dict[str, Any]:
    """What a notebook shows: the picture as SVG, with the graph's line as text; never raises."""
    from minigrad.render import engine

    text = repr(graph)
    try:
        return {"text/plain": text, "image/svg+xml": engine.run(to_dot(graph).source, "svg").decode()}
    except Exception as error:
        return {"text/plain": f"{text}\n(no picture: {error})"}
