"""What a page plays: the views of one graph as tiles that repeat, and the numbers of every step.

Numbers are packed as float32.  Norms of gradients are packed as their logarithm to the base 10, so
that what has vanished to 1e-60 is still told apart from zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.graph import Graph
from minigrad.language import say
from minigrad.render import look
from minigrad.render.draw import origins
from minigrad.render.infos import Infos
from minigrad.render.link import make_picture
from minigrad.render.measure import Norms, decades, measure_each
from minigrad.render.names import Names
from minigrad.render.options import Options, shown_steps, steps_by_axis
from minigrad.render.picture import Picture
from minigrad.render.read import Reading, read
from minigrad.render.rows import set_rows
from minigrad.render.series import limits, series, states_over_time
from minigrad.render.templates import View, packed
from minigrad.render.words import counted
from minigrad.tensor import Array

HELD = 250_000  # operations; of a longer graph a page holds only the last steps
ENTRIES = 40_000  # numbers of small arrays that a page tells in full
LARGEST = 16  # entries of an array that is told in full
BLOCKS = 4_000  # operations up to which a view of the blocks is made beside the others
ALIKE = 0.7, 1.4  # two views are, if one has so many times as many boxes as the other


@dataclass(frozen=True)
class Tape:
    """All that a page holds of one graph: texts and shapes, what is told of it, and numbers.

    book: what graphs of the same program share.  told: what holds for this one alone.
    scale, limits: the decades of the colours and of the strip; None without a backward pass.
    extremes: the least and the largest norm that has a colour.
    """

    book: dict[str, Any]
    told: dict[str, Any]
    arrays: list[Array]
    scale: tuple[float, float] | None = None
    limits: tuple[int, int] | None = None
    extremes: tuple[float, ...] = ()


def tape(graph: Graph, options: Options) -> Tape:
    """The views of a graph, its texts, and the numbers of every step, template by template."""
    reading = read(graph)
    set_rows(reading)
    pictures, names, notes = _pictures(reading, options)
    first = pictures[0]
    infos = Infos(reading, names, options)
    keep = min(LARGEST, ENTRIES // (2 * len(first.boxes) + 1))
    why_no_pass = _why_no_pass(graph, first)
    notes += filter(None, [why_no_pass, *first.notes])
    told: dict[str, Any] = {
        "summary": _summary(reading), "notes": notes, "at": _opens_at(reading, infos, options),
    }  # fmt: skip
    if why_no_pass:
        norms = [Norms({}, {}, {}, {}, (0.0, 1.0))] * len(pictures)
        told |= {"backward": False, "series": []}
        scale = strip = None
    else:
        norms = measure_each(pictures, keep=keep)
        found = states_over_time(first, norms[0], infos)
        told |= {"backward": True, "series": series(found, first, norms[0], infos)}
        scale, strip = norms[0].scale, limits(found, norms[0])
    told["parameters"] = _parameters(graph, norms[0])
    with np.errstate(all="ignore"):
        views = [
            View(picture, measured, options, infos, keep)
            for picture, measured in zip(pictures, norms, strict=True)
            if picture.boxes
        ]
    book = {
        "views": _placed({view.picture.view: view.as_data() for view in views}),
        "infos": infos.infos.items, "programs": infos.programs(), "rules": infos.rules.items,
    }  # fmt: skip
    arrays = [one.numbers() for view in views for one in view.templates.items]
    return Tape(book, told, arrays, scale, strip, _extremes(norms))


def _extremes(norms: Sequence[Norms]) -> tuple[float, ...]:
    """The least and the largest norm of all views."""
    sizes = [n for one in norms for n in (*one.of.values(), *one.parts.values())]
    known = [n for n in sizes if 0 < n < math.inf]
    return (min(known), max(known)) if known else ()


def _placed(views: dict[str, Any]) -> dict[str, Any]:
    """The views, with the place of each template's numbers among all of the graph's."""
    start = 0
    for template in (one for view in views.values() for one in view["templates"]):
        template["start"] = start
        start += template["count"] * template["width"]
    return views


# pictures


def _pictures(reading: Reading, options: Options) -> tuple[list[Picture], Names, list[str]]:
    """The graph as operations, as cells, in the view asked for and, where they differ, as blocks."""
    graph = reading.graph
    names = Names(reading, options.labels or {}, False, options.count_from)
    steps, notes = "all", []
    operations = _operations(graph)
    if operations > HELD and graph.axes:
        longest = max(map(len, steps_by_axis(reading).values()))
        kept = max(1, longest * HELD // operations)
        steps = f"-{kept}:"
        sentence = (
            "{operations} operations are more than a page holds: it has the last {kept} of {steps} "
            "steps; mg.Graph(loss).truncate(k) or a shorter run shows others"
        )
        notes.append(say(sentence, operations=operations, kept=kept, steps=longest))
    drawn, left_out = shown_steps(reading, "ops", steps)
    views = ["ops", "cells"]
    if len(graph) <= BLOCKS or options.blocks is not None:
        views.append("blocks")
    first, *others = [
        make_picture(names, drawn, view, options.blocks, left_out)
        for view in dict.fromkeys([*views, options.view])
    ]
    found = [first]
    for picture in others:
        if picture.view == options.view or not any(_alike(picture, one) for one in found):
            found.append(picture)
    return found, names, notes


def _alike(picture: Picture, other: Picture) -> bool:
    """Whether two views look alike: blocks often are the cells, or the operations."""
    least, most = ALIKE
    return least <= len(picture.boxes) / (len(other.boxes) or 1) <= most


def _operations(graph: Graph) -> int:
    return sum(node.op is not None for node in graph.nodes)


# what is told of a graph as a whole


def _summary(reading: Reading) -> str:
    """How large a graph is."""
    graph = reading.graph
    size = [
        counted(_operations(graph), "operation"), counted(len(graph.parameters), "parameter")
    ]  # fmt: skip
    if not graph.axes:
        return ", ".join([*size, say("no time steps")])
    steps = sum(map(len, steps_by_axis(reading).values()))
    return ", ".join([counted(steps, "time step"), *size])


def _why_no_pass(graph: Graph, picture: Picture) -> str:
    """Why there is no backward pass to play; "" if there is one."""
    seeds = [y for y in graph.outputs if y._requires_grad]
    if not picture.boxes:
        return say("there is no operation in this graph")
    if not seeds:
        return say("nothing here requires a gradient: there is no backward pass to play")
    if any(y.size == 1 for y in seeds):
        return ""
    shapes = ", ".join(look.shape(y.shape) or say("a number") for y in graph.outputs)
    sentence = (
        "the output has shape {shapes}: only a number has a backward pass; add .sum() or a loss"
    )
    return say(sentence, shapes=shapes)


def _parameters(graph: Graph, norms: Norms) -> list[dict[str, Any]]:
    return [
        {
            "name": name, "shape": look.shape(x.shape), "uses": counted(len(graph.users[x]), "time"),
            "norm": _spelled(packed(norms.parameters.get(x))),
        }
        for name, x in graph.parameters.items()
    ]  # fmt: skip


def _spelled(number: float) -> str:
    """A number as JavaScript reads it; JSON has no word for what is not finite."""
    return str(number).replace("inf", "Infinity").replace("nan", "NaN")


def _opens_at(reading: Reading, infos: Infos, options: Options) -> int | None:
    """Where the page opens: at the first highlighted node, or at the last of the steps asked for."""
    marked = origins(reading, options.highlight)
    if marked:
        return next((k for part, k in infos.order.items() if part.node in marked), None)
    if options.steps in ("auto", "all"):
        return None
    drawn, _ = shown_steps(reading, "ops", options.steps)
    timed = [infos.order[value.key] for value in drawn if value.time]
    return timed[-1] if timed else None


def joint_scale(scales: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """One scale that holds several."""
    if not scales:
        return 0.0, 1.0
    return decades([10.0 ** min(lo for lo, _ in scales), 10.0 ** max(hi for _, hi in scales)])


def joint_limits(limits: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The decades of all strips."""
    lowest = min((lo for lo, _ in limits), default=-1)
    return lowest, max((hi for _, hi in limits), default=0)
