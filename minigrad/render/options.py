"""The options of a picture: their types, their checks, and which time steps they choose."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypedDict

from minigrad.language import Language, language
from minigrad.render.group import VIEWS
from minigrad.render.read import Reading, Value
from minigrad.tensor import Tensor

FITS = {"slide": (1920.0, 1080.0), "column": (800.0, 1200.0)}  # pixels
AUTO_ELIDE_OPS, AUTO_ELIDE_STEPS = 400, 40  # more operations, or steps of cells, are not all drawn


class PictureOptions(TypedDict, total=False):
    """The options of `Graph.to_dot` and `Graph.render`; each is described there."""

    view: Literal["ops", "affine", "blocks", "cells"]
    time: Literal["unrolled", "rolled", "both"]
    steps: str
    backward: bool
    fit: Literal["slide", "column"] | None
    per_row: int | None
    scale: tuple[float, float] | None
    highlight: Tensor | Iterable[Tensor]
    count_from: int
    blocks: str | None
    title: str
    legend: bool
    labels: Mapping[str, str]
    values: bool
    lang: Literal["en", "vi"]


@dataclass(frozen=True)
class Options:
    """All options, checked.  See `Graph.to_dot`."""

    view: str = "ops"
    time: str = "unrolled"
    steps: str = "auto"
    backward: bool = False
    fit: str | None = None
    per_row: int | None = None
    scale: tuple[float, float] | None = None
    highlight: tuple[Tensor, ...] = ()
    count_from: int = 0
    blocks: str | None = None
    title: str = ""
    legend: bool = False
    labels: Mapping[str, str] | None = None
    values: bool = False
    lang: Language = field(default_factory=language)


def _choices(*choices: Any) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in choices, f"one of {', '.join(map(repr, choices))}"


def _is_scale(scale: Any) -> bool:
    if scale is None:
        return True
    pair = isinstance(scale, tuple | list) and len(scale) == 2
    numbers = pair and all(isinstance(n, int | float) for n in scale)
    return numbers and -math.inf < scale[0] < scale[1] < math.inf


def _are_steps(steps: Any) -> bool:
    if not isinstance(steps, str):
        return False
    return steps in ("auto", "all") or all(map(_slice, steps.split(",")))


def _are_labels(labels: Any) -> bool:
    if labels is None:
        return True
    return isinstance(labels, Mapping) and all(
        isinstance(x, str) for x in (*labels, *labels.values())
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


# What each option may be, and that in words.
ALLOWED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "view": _choices(*VIEWS),
    "time": _choices("unrolled", "rolled", "both"),
    "steps": (_are_steps, '"auto", "all" or slices such as "0:2,-2:"'),
    "backward": _choices(False, True),
    "fit": _choices(None, *FITS),
    "per_row": (
        lambda n: n is None or (type(n) is int and n > 0),
        "a positive number of steps",
    ),
    "scale": (_is_scale, "the decades (lo, hi) of the colours, as (-3, 0),"),
    "highlight": (
        lambda found: all(isinstance(n, Tensor) for n in found),
        "nodes, as graph.find(t=3) gives,",
    ),
    "count_from": (lambda n: type(n) is int, "the number of the first step"),
    "blocks": (
        lambda name: name is None or isinstance(name, str),
        "the scope of a block to open",
    ),
    "title": (lambda text: isinstance(text, str), "a text"),
    "legend": _choices(False, True),
    "labels": (_are_labels, 'names in place of names, as {"h": "H"},'),
    "values": _choices(False, True),
    "lang": _choices("en", "vi"),
}


# what a page decides itself, and what only a page has
OTHERS = {"picture": "; a page has: render to a file ending in .html", "page": "; pictures have"}
ONLY = {"picture": ("time", "fit", "per_row", "legend", "values"), "page": ("lang",)}


def checked(kind: Literal["picture", "page"] = "picture", /, **options: Any) -> Options:
    """All options of a picture or a page; those not given have their defaults.

    Raises TypeError for a name that is none, ValueError for a value that is none, or for an option
    of pictures given to a page or the other way round.
    """
    names = [one.name for one in fields(Options)]
    if unknown := [name for name in options if name not in names]:
        raise TypeError(
            f"there is no option {unknown[0]!r} of a picture; the options: {', '.join(names)}"
        )
    asked: dict[str, Any] = vars(Options()) | options
    marked = asked["highlight"]
    if isinstance(marked, Tensor) or not isinstance(marked, Iterable):
        asked["highlight"] = (marked,)
    else:
        asked["highlight"] = tuple(marked)
    for name, (allowed, needed) in ALLOWED.items():
        if not allowed(asked[name]):
            value = marked if name == "highlight" else asked[name]
            raise ValueError(f"{name}: {needed} is needed, found {value!r}")
    found = Options(**asked)
    for name in ONLY["page" if kind == "picture" else "picture"]:
        if getattr(found, name) != getattr(Options(), name):
            raise ValueError(f"{name}: a {kind} has no such option{OTHERS[kind]}")
    return found


# which steps


def shown_steps(reading: Reading, view: str, steps: str) -> tuple[Callable[[Value], bool], str]:
    """Which values are drawn, by their steps, and in words which steps are not."""
    of_axis = _steps_by_axis(reading)
    if steps == "auto":
        steps = _chosen(reading, view, max(map(len, of_axis.values()), default=0))
    parts = [_slice(part) or slice(None) for part in steps.split(",")]  # "all" is no slice
    kept = {axis: {t for part in parts for t in ts[part]} for axis, ts in of_axis.items()}
    if of_axis and not any(kept.values()):
        longest = max(map(len, of_axis.values()))
        raise ValueError(f"steps: {steps!r} chooses none of the {longest} steps")
    any_axis = set().union(*kept.values())

    def shown(value: Value) -> bool:
        if not value.time or not of_axis:
            return True
        axis, t = value.time[0]
        return t in (any_axis if axis is None else kept[axis])

    return shown, _left_out(reading, of_axis, kept)


def _left_out(reading: Reading, of_axis: dict[Any, list[int]], kept: dict[Any, set[int]]) -> str:
    """In words, how many steps of each axis are not drawn."""
    words = []
    for name, axis in reading.graph.axes.items():
        hidden = len(of_axis.get(axis, ())) - len(kept.get(axis, ()))
        if hidden:
            words.append(f"{hidden} of {len(of_axis[axis])} steps of {name}")
    return f"not drawn: {', '.join(words)}" if words else ""


def _chosen(reading: Reading, view: str, longest: int) -> str:
    """All steps, or of a graph that is too long to read the first and the last ones."""
    if view in ("cells", "blocks"):
        return "0:3,-3:" if longest > AUTO_ELIDE_STEPS else "all"
    operations = sum(node.op is not None for node in reading.graph.nodes)
    return "0:2,-2:" if operations > AUTO_ELIDE_OPS else "all"


def _steps_by_axis(reading: Reading) -> dict[Any, list[int]]:
    """The time steps of each outermost axis, in the order of their numbers."""
    found: dict[Any, set[int]] = {}
    for value in reading.values:
        for axis, t in value.time[:1]:
            if axis is not None:
                found.setdefault(axis, set()).add(t)
    return {axis: sorted(ts) for axis, ts in found.items()}


def one_step(reading: Reading, first: int) -> tuple[Callable[[Value], bool], str]:
    """The step that stands for all, one that others lead to and that holds most; in words where
    steps differ."""
    of_axis = _steps_by_axis(reading)
    holds = Counter[Any]()
    entered: set[Any] = set()
    leaves: set[Any] = set()
    for value in reading.drawn:
        here = value.time[:1]
        holds[here] += 1
        for feed in value.feeds:
            there = feed.source.time[:1]
            if here and there and there != here and there[0][0] is here[0][0]:
                entered.add(here)
            elif not here and there:
                leaves.add(there)

    def rank(t: int) -> tuple[int, ...]:
        """How well a step stands for all, on all axes that have it."""
        here = [((axis, t),) for axis in of_axis]
        counts = [[step in entered, holds[step], step in leaves] for step in here]
        return (*map(sum, zip(*counts, strict=True)), -t)

    chosen = {axis: max(ts, key=rank) for axis, ts in of_axis.items()}
    differ = [
        f"t = {chosen[axis] + first} of {name}"
        for name, axis in reading.graph.axes.items()
        if axis in of_axis and len({holds[((axis, t),)] for t in of_axis[axis]}) > 1
    ]
    loose = next(iter(chosen.values()), 0)

    def shown(value: Value) -> bool:
        if not value.time:
            return True
        axis, t = value.time[0]
        return t == (loose if axis is None else chosen[axis])

    return shown, f"steps differ, drawn is {', '.join(differ)}" if differ else ""
