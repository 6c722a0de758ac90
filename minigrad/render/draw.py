"""From a graph and options to a picture on its page: rolled or unrolled, wrapped, made to fit."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from minigrad.graph import Graph
from minigrad.language import language, say, using
from minigrad.render import graphviz_run, look
from minigrad.render.arrange import Grid
from minigrad.render.canvas import Canvas, Drawing, text_item
from minigrad.render.group import VIEWS
from minigrad.render.link import make_picture
from minigrad.render.measure import Norms, measure
from minigrad.render.names import Names
from minigrad.render.notes import merged
from minigrad.render.options import FITS, Options, one_step, shown_steps
from minigrad.render.paint import Plan, paint
from minigrad.render.picture import Picture
from minigrad.render.read import Reading, read
from minigrad.render.routes import Routes
from minigrad.render.rows import set_rows
from minigrad.render.texts import Texts
from minigrad.tensor import Tensor

MAX_WIDTH = 4100.0  # points, about four slides: a longer picture is wrapped, as text is
MOST_LINES = 6  # of steps on a page
SMALLEST_PIXELS = 12.0  # of text, at the size that `fit` asks for


def plan(graph: Graph, options: Options, *, quiet: bool = False) -> Plan:
    """The picture of a graph, and what its backward pass brings.

    quiet: without numbers, as in a flip-book, whose pictures all have one layout.
    """
    reading = read(graph)
    set_rows(reading)
    rolled = options.time == "rolled" and bool(graph.axes)
    names = Names(reading, options.labels, rolled, options.count_from)
    if rolled:
        drawn, notes = one_step(reading, options.count_from)
    else:
        drawn, notes = shown_steps(reading, options.view, options.steps)
    marked = origins(reading, options.highlight)
    picture = make_picture(names, drawn, options.view, options.blocks, notes)
    if not picture.boxes:
        raise ValueError(f"there is no operation to draw in {graph!r}")
    found, lost = _marked(picture, marked)
    if lost:
        text = say("not drawn: {n} of {total} highlighted nodes", n=lost, total=len(marked))
        picture = replace(picture, notes=(text, *picture.notes))
    norms = measure(picture) if options.backward else None
    told = None if quiet else norms
    texts = Texts(picture, told, options.labels, options.count_from, values=options.values)
    routes = Routes(picture, texts)
    options = replace(options, per_row=_per_row(routes.grid, options, rolled))
    scale = options.scale or (norms or Norms()).scale
    return Plan(picture, norms, texts, routes.layout(options.per_row), options, found, scale)


def _per_row(grid: Grid, options: Options, rolled: bool) -> int | None:
    """How many steps stand in one line; without being asked, one that is too long for its page is
    wrapped."""
    lines = math.ceil(max(grid.rights) / MAX_WIDTH)
    if rolled or options.per_row or options.fit or lines == 1 or grid.count <= 2:
        return None if rolled else options.per_row
    return math.ceil((grid.count - 1) / lines)


def origins(reading: Reading, highlight: tuple[Tensor, ...]) -> set[Tensor]:
    """The nodes that highlighted ones are drawn as."""
    known, found = set(reading.graph.nodes), set()
    for node in highlight:
        if node not in known:
            raise ValueError(f"highlight: {node!r} is no node of the graph {reading.graph!r}")
        found.add(reading.folded.get(node, node))
    return found


def _marked(picture: Picture, nodes: set[Tensor]) -> tuple[set[Any], int]:
    """The boxes and parameters that stand for some nodes, and how many of them nothing stands
    for."""
    boxes = {box for box in picture.boxes if nodes.intersection(box.nodes)}
    parameters = {tag.parameter for tag in picture.tags} & nodes
    seen = {node for box in boxes for node in box.nodes} | parameters
    return boxes | parameters, len(nodes - seen)


def canvas_of(graph: Graph, options: Options) -> Canvas:
    """The canvas of a graph: rolled, unrolled, or both side by side."""
    if options.time != "both":
        return paint(plan(graph, options))
    unrolled = plan(graph, replace(options, time="unrolled"))
    if len(graph.timeline.outermost) == len(graph.axes):  # one step, or none
        return paint(unrolled)
    right = paint(unrolled)
    rolled = replace(options, time="rolled", scale=unrolled.scale, title="")
    one_step_plan = plan(graph, rolled)
    left, blocks = paint(one_step_plan), set(merged(one_step_plan.picture.boxes))
    # how many operations a block stands for in all steps holds for the one step, too
    notes = tuple(note for note in left.notes if note in right.notes or note not in blocks)
    (_, bottom, edge, top), (begin, low, _, high) = left.box, right.box
    sign = text_item("equals", (edge + 24, (bottom + top) / 2), "=", 26)
    whole = replace(left, items=[*left.items, sign], title=options.title, notes=notes)
    return whole.beside(right, edge + 72 - begin, (bottom + top - low - high) / 2, "u_")


# pages


@contextmanager
def undisturbed() -> Iterator[None]:
    """In one language, and without the cyclic collector: a drawing makes no cycles, and of a long
    one its scans are 30 % of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        with using(language()):
            yield
    finally:
        if was:
            gc.enable()


@undisturbed()
def draw(graph: Graph, options: Options) -> Drawing:
    """The picture, at the size that is asked for."""
    canvas, _ = fitted(options, partial(canvas_of, graph), bool(graph.axes))
    return canvas.digraph(page_size(options.fit))


def page_size(fit: str | None) -> dict[str, str]:
    """What makes a drawing fill its slide or column."""
    if fit is None:
        return {}
    return {"size": f"{FITS[fit][0] / 96:g},{FITS[fit][1] / 96:g}!"}


def fitted(
    options: Options, canvas_for: Callable[[Options], Canvas], timed: bool
) -> tuple[Canvas, Options]:
    """The picture, and the options that it is drawn with: the first of ever smaller ones whose text
    is readable at the size that is asked for; else the most readable one."""
    if options.fit is None:
        return canvas_for(options), options
    found: list[tuple[float, Canvas, Options]] = []
    for smaller in attempts(options, timed):
        canvas = canvas_for(smaller)
        for tried in (smaller, *_in_lines(smaller, canvas)):
            if tried is not smaller:
                canvas = canvas_for(tried)
            canvas = canvas.noted(changes(options, tried))
            found.append((pixels(canvas, options.fit), canvas, tried))
            if found[-1][0] >= SMALLEST_PIXELS:
                return canvas, tried
    size, canvas, tried = max(found, key=lambda one: one[0])
    text = say("text of {size:.0f} pixels: no smaller picture of it is known", size=size)
    return canvas.noted(text), tried


def pixels(canvas: Canvas, fit: str) -> float:
    """How many pixels the smallest text has at the size of a page."""
    width, height = FITS[fit]
    left, bottom, right, top = canvas.page()
    return min(width / (right - left + 20), height / (top - bottom + 20)) * look.SMALLEST


def _in_lines(options: Options, canvas: Canvas) -> Iterator[Options]:
    """The options with as many steps in a line as fill the page best, if it is a picture of
    one."""
    width, height = FITS[str(options.fit)]
    left, bottom, right, top = canvas.page()
    lines = math.sqrt((right - left) / (top - bottom) * height / width)
    if options.per_row is None and options.time == "unrolled" and 1 < lines < MOST_LINES:
        for count in dict.fromkeys((math.ceil(lines), math.floor(lines))):
            if count > 1:
                yield replace(options, per_row=math.ceil(canvas.columns / count))


def attempts(options: Options, timed: bool) -> Iterator[Options]:
    """The options as asked, then ever smaller pictures: fewer steps, folded operations, cells,
    rolled."""
    views = [view for view in VIEWS if view in (options.view, "affine", "cells")]
    for view in views[views.index(options.view) :]:
        for steps in dict.fromkeys((options.steps, "0:2,-2:", "0:1,-1:") if timed else ("all",)):
            yield replace(options, view=view, steps=steps)
    if timed:
        yield replace(options, view="cells", time="rolled")


def changes(asked: Options, drawn: Options) -> str:
    """What is not as it was asked for, in words."""
    words = [
        f'{name}="{getattr(drawn, name)}"'
        for name in ("time", "view", "steps")
        if getattr(drawn, name) != getattr(asked, name)
    ]
    if not words:
        return ""
    return say("drawn with {options}: more does not fit", options=f" {say('and')} ".join(words))


def save(path: str | PathLike[str], drawing: Callable[[], Drawing]) -> str:
    """Write a drawing in the format of the path's suffix, all or nothing; without Graphviz its
    text, and say so."""
    graphviz_run.check(path)
    text = drawing().source
    try:
        return graphviz_run.write(path, text)
    except graphviz_run.NoGraphvizError as error:
        source = graphviz_run.write(Path(path).with_suffix(".gv"), text)
        raise graphviz_run.NoGraphvizError(
            f"render: {error}.  The picture's text is in {source}"
        ) from None
