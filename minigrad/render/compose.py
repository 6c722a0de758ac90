"""One picture from the options: which steps, rolled or not, how it fits.

Imports all stages of the drawing.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

from minigrad.graph import Graph
from minigrad.render import engine, style
from minigrad.render.canvas import Canvas, Drawing
from minigrad.render.gradients import measure
from minigrad.render.groups import VIEWS
from minigrad.render.paint import Painter
from minigrad.render.views import Viewer
from minigrad.tensor import Tensor

Options = dict[str, Any]  # of a picture, by name
FITS = {"slide": (1920.0, 1080.0), "column": (800.0, 1200.0)}  # pixels
HOPELESS = 6.0  # times as much as a page holds: not tried in lines
MANY, MANY_CELLS = (
    400,
    40,
)  # operations, or steps of cells, that one picture holds before it leaves steps out
WIDEST = 24_000.0  # points: at 96 dots an inch what a PNG of 32 767 pixels holds


def _is_scale(scale: Any) -> bool:
    pair = (
        isinstance(scale, tuple | list)
        and len(scale) == 2
        and all(isinstance(n, int | float) for n in scale)
    )
    return scale is None or (pair and -math.inf < scale[0] < scale[1] < math.inf)


def _are_steps(steps: Any) -> bool:
    return isinstance(steps, str) and (
        steps in ("auto", "all") or all(map(_slice, steps.split(",")))
    )


def _slice(part: str) -> slice | None:
    """What is meant by "2", "0:2" or "-2:"; None for any other text."""
    try:
        first, *last = [int(number) if number.strip() else None for number in part.split(":")]
    except ValueError:
        return None
    if last:
        return slice(first, last[0]) if len(last) == 1 else None
    return None if first is None else slice(first, first + 1 or None)


def _any_of(*choices: Any) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in choices, f"one of {', '.join(map(repr, choices))}"


OPTIONS: dict[
    str, tuple[Any, Callable[[Any], bool], str]
] = {  # the default, what is allowed, and that in words
    "view": (VIEWS[0], *_any_of(*VIEWS)),
    "time": ("unrolled", *_any_of("unrolled", "rolled", "both")),
    "steps": ("auto", _are_steps, '"auto", "all" or slices such as "0:2,-2:"'),
    "backward": (False, *_any_of(False, True)),
    "fit": (None, *_any_of(None, *FITS)),
    "per_row": (
        None,
        lambda n: n is None or (type(n) is int and n > 0),
        "a positive number of steps",
    ),
    "scale": (None, _is_scale, "the decades (lo, hi) of the colours, as (-3, 0),"),
    "highlight": (
        (),
        lambda found: all(isinstance(n, Tensor) for n in found),
        "nodes, as graph.find(t=3) gives,",
    ),
    "count_from": (0, lambda n: type(n) is int, "the number of the first step"),
}


def checked(**options: Any) -> Options:
    """All options of a picture; those not given have their defaults.  Raises for what is not one."""
    if unknown := [name for name in options if name not in OPTIONS]:
        raise TypeError(
            f"there is no option {unknown[0]!r} of a picture; the options: {', '.join(OPTIONS)}"
        )
    asked = {name: default for name, (default, *_) in OPTIONS.items()} | options
    if isinstance(asked["highlight"], Tensor) or not isinstance(asked["highlight"], Iterable):
        asked["highlight"] = (asked["highlight"],)
    for name, (_, allowed, needed) in OPTIONS.items():
        if not allowed(asked[name]):
            raise ValueError(f"{name}: {needed} is needed, found {asked[name]!r}")
    return asked


def draw(graph: Graph, options: Options, pixels: bool = False) -> Drawing:
    """The picture; pixels: it has to fit into the 32 767 of a PNG, so that a long one is wrapped."""
    fit = options.pop("fit")
    if fit is not None:
        canvas, _ = fitted(
            fit, options, lambda **asked: canvas_of(graph, **asked), bool(graph.axes)
        )
        return canvas.digraph(sized(fit))
    canvas = canvas_of(graph, **options)
    left, bottom, right, top = canvas.box()
    if pixels and right - left > WIDEST and not options["per_row"]:
        lines = ((right - left) / (top - bottom + 60) / 1.6) ** 0.5
        options["per_row"] = math.ceil(len(graph._positions) / lines)
        canvas = canvas_of(graph, **options)
        canvas.title += f";  drawn with per_row={options['per_row']}: a PNG holds no more than 32 767 pixels in a row"
        left, bottom, right, top = canvas.box()
    longest = max(right - left, top - bottom) + 100
    return canvas.digraph(
        {"dpi": f"{min(144 if longest < 4000 else 96, 32_000 * 72 / longest):.0f}"}
    )


def sized(fit: str) -> dict[str, str]:
    """What makes a drawing fill its slide or column."""
    return {"size": f"{FITS[fit][0] / 96:g},{FITS[fit][1] / 96:g}!"}


def fitted(
    fit: str, options: Options, canvas_for: Callable[..., Canvas], timed: bool
) -> tuple[Canvas, Options]:
    """The largest picture of those with fewer steps or folded operations whose text is readable at a size in pixels.

    With the options that it is drawn with.
    """
    width, height = FITS[fit]
    best: tuple[float, Any, Any] = (0.0, None, None)
    queue = list(attempts(options, timed))
    while queue and best[0] < style.SMALLEST_PIXELS:
        attempt = queue.pop(0)
        canvas = canvas_for(**attempt)
        canvas.title = ";  ".join(filter(None, [changes(options, attempt), canvas.title]))
        left, bottom, right, top = canvas.page()
        found = (
            min(width / (right - left + 20), height / (top - bottom + 20)) * style.SMALLEST,
            canvas,
            attempt,
        )
        best = max(best, found, key=lambda one: one[0])
        fullness = (
            (right - left)
            * (top - bottom)
            * (style.SMALLEST_PIXELS / style.SMALLEST) ** 2
            / (width * height)
        )
        if attempt["per_row"] is None and attempt["time"] == "unrolled" and fullness < HOPELESS:
            row = canvas.columns * math.sqrt((top - bottom) * width / ((right - left) * height))
            queue[:0] = [
                attempt | {"per_row": n}
                for n in (math.ceil(row), math.floor(row))
                if 0 < n < canvas.columns
            ]
    pixels, canvas, attempt = best
    if pixels < style.SMALLEST_PIXELS:
        canvas.title += f";  text of {pixels:.0f} pixels: no smaller picture of it is known"
    return canvas, attempt


def attempts(options: Options, timed: bool) -> Iterator[Options]:
    """The options as asked, then ever smaller pictures: fewer steps, folded operations, cells, rolled."""
    for time in dict.fromkeys((options["time"], "rolled")) if timed else (options["time"],):
        for view in VIEWS[VIEWS.index(options["view"]) :]:
            for steps in (
                dict.fromkeys((options["steps"], "0:2,-2:", "0:1,-1:"))
                if timed
                else (options["steps"],)
            ):
                yield {**options, "time": time, "view": view, "steps": steps}


def changes(asked: Options, drawn: Options) -> str:
    """What is not as it was asked for, in words."""
    words = [
        f'{key}="{drawn[key]}"' for key in ("time", "view", "steps") if drawn[key] != asked[key]
    ]
    return f"drawn with {' and '.join(words)}: more does not fit" if words else ""


def canvas_of(graph: Graph, *, time: str = "unrolled", **options: Any) -> Canvas:
    """The canvas of a graph, rolled, unrolled, or both side by side."""
    if time != "both" or len(graph._positions) == len(graph.axes):  # one step, or none
        return painter(graph, time=time, **options).paint()
    drawn = painter(graph, time="unrolled", **options)
    unrolled = drawn.paint()
    rolled = painter(graph, time="rolled", **options | {"scale": drawn.scale}).paint()
    (_, bottom, right, top), (left, low, _, high) = rolled.box(), unrolled.box()
    rolled.text("equals", (right + 24, (bottom + top) / 2), "=", 26)
    rolled.add(unrolled, right + 72 - left, (bottom + top - low - high) / 2, "u_")
    rolled.title = unrolled.title
    return rolled


def painter(
    graph: Graph,
    *,
    time: str,
    view: str,
    steps: str,
    backward: bool,
    scale: Any,
    limit: int | None = None,
    **look: Any,
) -> Painter:
    """What paints a graph, rolled or unrolled; of the backward pass all, or only the first steps of it."""
    rolled = time == "rolled" and bool(graph.axes)
    look["per_row"] = None if rolled else look["per_row"]
    viewer = Viewer(graph, view, rolled, look["count_from"])
    shown, left_out = one_step(viewer) if rolled else shown_steps(viewer, steps)
    picture, marked = viewer.picture(shown), look["highlight"]
    if strange := [node for node in marked if node not in viewer.alias]:
        raise ValueError(f"highlight: {strange[0]!r} is no node of the graph {graph!r}")
    look["highlight"] = {viewer.alias[node] for node in marked}
    lost = len(look["highlight"].difference(viewer.box, *[box.taps for box in picture.boxes]))
    said = f"not drawn: {lost} of {len(look['highlight'])} highlighted nodes" if lost else ""
    left_out = ";  ".join(filter(None, [left_out, said]))
    if not picture.boxes:
        raise ValueError(f"there is no operation to draw in {graph!r}")
    return Painter(picture, measure(picture, limit) if backward else None, scale, left_out, **look)


def one_step(viewer: Viewer) -> tuple[Callable[[Any, int], bool], str]:
    """The step that stands for all: one that others lead to, which holds most, and has edges of most kinds."""
    at, axes = viewer.graph._positions, viewer.graph.axes
    traced = any(row.depth for row in viewer.rows.values())
    holds: Counter[Any] = Counter()
    joined: defaultdict[Any, set[Any]] = defaultdict(set)
    for node in viewer.drawn:
        here = node.time[:2] if node.time else None
        holds[here] += 1
        for there in [x.time[:2] for x in viewer.inputs[node] if x.time]:
            if here is not None and there != here and there[0] is here[0]:
                joined[here].add((viewer.row[node].depth, at[here] - at[there]))
            elif here is None and not traced:
                joined[there].add("out of time")
    have = {
        t: [axis for axis in axes.values() if (axis, t) in at] for _, t in at
    }  # if there is one, of all

    def rank(t: int) -> tuple[int, ...]:
        found = [(axis, t) for axis in have[t]]
        entered = all(joined[s] - {"out of time"} for s in found)
        most = sum(holds[s] for s in found), sum(len(joined[s]) for s in found)
        return len(found), entered, *most, min(at[s] for s in found), -t

    chosen: dict[Any, int] = {
        axis: max((t for t in have if axis in have[t]), key=rank) for axis in axes.values()
    }
    differ = [
        name for name, axis in axes.items() if len({holds[s] for s in at if s[0] is axis}) > 1
    ]
    words = [f"t = {chosen[axes[name]] + viewer.first} of {name}" for name in differ]
    chosen[None] = next(iter(chosen.values()))
    return (
        lambda axis, t: chosen[axis] == t
    ), f"steps differ, drawn is {', '.join(words)}" if words else ""


def shown_steps(viewer: Viewer, steps: str) -> tuple[Callable[[Any, int], bool], str]:
    """Which steps of which axis are drawn, and what is left out, in words."""
    graph, cells = viewer.graph, viewer.view == "cells"
    of_axis: dict[Any, list[int]] = {axis: sorted(at) for axis, at in viewer.positions.items()}
    if steps == "auto":
        longest = max(map(len, of_axis.values()), default=0)
        much = longest > MANY_CELLS if cells else sum(n.op is not None for n in graph.nodes) > MANY
        steps = "all" if not much else "0:3,-3:" if cells else "0:2,-2:"
    parts = [_slice(part) or slice(None) for part in steps.split(",")]  # "all" is no slice
    kept = {axis: {t for part in parts for t in ts[part]} for axis, ts in of_axis.items()}
    if of_axis and not any(kept.values()):
        raise ValueError(
            f"steps: {steps!r} chooses none of the {max(map(len, of_axis.values()))} steps"
        )
    hidden = {name: len(of_axis[axis]) - len(kept[axis]) for name, axis in graph.axes.items()}
    words = [
        f"{n} of {len(of_axis[graph.axes[name]])} steps of {name}"
        for name, n in hidden.items()
        if n
    ]
    kept[None] = set().union(*kept.values())
    return (
        lambda axis, t: not of_axis or t in kept[axis]
    ), f"not drawn: {', '.join(words)}" if words else ""


def save(path: str | PathLike[str], drawing: Callable[[], Drawing]) -> str:
    """Write a drawing in the format of the path's suffix, all or nothing; without Graphviz its text, and say so."""
    engine.check(path)
    text = drawing().source
    try:
        return engine.write(path, text)
    except engine.NoGraphvizError as error:
        source = engine.write(Path(path).with_suffix(".gv"), text)
        raise engine.NoGraphvizError(
            f"render: {error}.  The picture's text is in {source}"
        ) from None
