"""The options of a picture: their types, their checks, and which time steps they choose."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypedDict

from minigrad.language import language, say
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


def _choices(*choices: Any) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in choices, f"one of {', '.join(map(repr, choices))}"


def _is_number(value: Any) -> bool:
    return type(value) is int


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_scale(scale: Any) -> bool:
    pair = isinstance(scale, tuple | list) and len(scale) == 2
    numbers = pair and all(isinstance(n, int | float) for n in scale)
    return numbers and -math.inf < scale[0] < scale[1] < math.inf


def _are_steps(steps: Any) -> bool:
    if not _is_text(steps):
        return False
    return steps in ("auto", "all") or all(map(_slice, steps.split(",")))


def _are_nodes(highlight: Any) -> bool:
    return all(isinstance(node, Tensor) for node in highlight)


def _are_labels(labels: Any) -> bool:
    return isinstance(labels, Mapping) and all(map(_is_text, (*labels, *labels.values())))


def _slice(part: str) -> slice | None:
    """What is meant by "2", "0:2" or "-2:"; None for any other text."""
    try:
        first, *last = [int(number) if number.strip() else None for number in part.split(":")]
    except ValueError:
        return None
    if last:
        return slice(first, last[0]) if len(last) == 1 else None
    return None if first is None else slice(first, first + 1 or None)


def _option(default: Any, allowed: Callable[[Any], bool], needed: str, only: str = "") -> Any:
    """An option: its default or what makes one, what it may be, that in words, and whether only a
    "picture" or only a "page" has it."""
    make = default if callable(default) else lambda: default
    rule = {"allowed": allowed, "needed": needed, "only": only}
    return field(default_factory=make, metadata=rule)


@dataclass(frozen=True)
class Options:
    """All options, checked.  See `Graph.to_dot`."""

    view: str = _option("ops", *_choices(*VIEWS))
    time: str = _option("unrolled", *_choices("unrolled", "rolled", "both"), "picture")
    steps: str = _option("auto", _are_steps, '"auto", "all" or slices such as "0:2,-2:"')
    backward: bool = _option(False, *_choices(False, True))
    fit: str | None = _option(None, *_choices(*FITS), "picture")
    per_row: int | None = _option(
        None, lambda n: _is_number(n) and n > 0, "a positive number of steps", "picture"
    )
    scale: tuple[float, float] | None = _option(
        None, _is_scale, "the decades (lo, hi) of the colours, as (-3, 0),"
    )
    highlight: tuple[Tensor, ...] = _option((), _are_nodes, "nodes, as graph.find(t=3) gives,")
    count_from: int = _option(0, _is_number, "the number of the first step")
    blocks: str | None = _option(None, _is_text, "the scope of a block to open")
    title: str = _option("", _is_text, "a text")
    legend: bool = _option(False, *_choices(False, True), "picture")
    labels: Mapping[str, str] = _option(
        dict, _are_labels, 'names in place of names, as {"h": "H"},'
    )
    values: bool = _option(False, *_choices(False, True), "picture")
    lang: Literal["en", "vi"] = _option(language, *_choices("en", "vi"), "page")


# what is said of an option that only the other kind has
OTHERS = {"picture": "; a page has: render to a file ending in .html", "page": "; pictures have"}


def checked(kind: Literal["picture", "page"] = "picture", /, **options: Any) -> Options:
    """All options of a picture or a page; those not given, or None, have their defaults.

    Raises TypeError for a name that is none, ValueError for a value that is none, or for an option
    of pictures given to a page or the other way round.
    """
    rules = {one.name: one.metadata for one in fields(Options)}
    if unknown := [name for name in options if name not in rules]:
        raise TypeError(
            f"there is no option {unknown[0]!r} of a picture; the options: {', '.join(rules)}"
        )
    given = {name: value for name, value in options.items() if value is not None}
    if "highlight" in given:
        marked = given["highlight"]
        alone = isinstance(marked, Tensor) or not isinstance(marked, Iterable)
        given["highlight"] = (marked,) if alone else tuple(marked)
    for name, value in given.items():
        if not rules[name]["allowed"](value):
            needed = rules[name]["needed"]
            raise ValueError(f"{name}: {needed} is needed, found {options[name]!r}")
        if rules[name]["only"] not in ("", kind) and value != getattr(Options(), name):
            raise ValueError(f"{name}: a {kind} has no such option{OTHERS[kind]}")
    return Options(**given)


# which steps


def shown_steps(reading: Reading, view: str, steps: str) -> tuple[list[Value], list[str]]:
    """The values that are drawn, by their steps, and in words which steps are not."""
    of_axis = steps_by_axis(reading)
    if not of_axis:
        return reading.drawn, []
    longest = max(map(len, of_axis.values()))
    if steps == "auto":
        steps = _chosen(reading, view, longest)
    parts = [_slice(part) or slice(None) for part in steps.split(",")]  # "all" is no slice
    kept = {axis: {t for part in parts for t in ts[part]} for axis, ts in of_axis.items()}
    if not any(kept.values()):
        raise ValueError(f"steps: {steps!r} chooses none of the {longest} steps")
    left_out = [
        say("{n} of {total} steps of {axis}", n=hidden, total=len(of_axis[axis]), axis=name)
        for name, axis in reading.graph.axes.items()
        if axis in of_axis and (hidden := len(of_axis[axis]) - len(kept[axis]))
    ]
    notes = [say("not drawn: {steps}", steps=", ".join(left_out))] if left_out else []
    return _at(reading, kept, set().union(*kept.values())), notes


def _at(reading: Reading, kept: dict[Any, set[int]], loose: set[int]) -> list[Value]:
    """The drawn values at some steps of each axis; loose: those of what belongs to no axis."""
    return [
        value
        for value in reading.drawn
        if all(t in (loose if axis is None else kept[axis]) for axis, t in value.time[:1])
    ]


def _chosen(reading: Reading, view: str, longest: int) -> str:
    """All steps, or of a graph that is too long to read the first and the last ones."""
    if view in ("cells", "blocks"):
        return "0:3,-3:" if longest > AUTO_ELIDE_STEPS else "all"
    operations = sum(node.op is not None for node in reading.graph.nodes)
    return "0:2,-2:" if operations > AUTO_ELIDE_OPS else "all"


def steps_by_axis(reading: Reading) -> dict[Any, list[int]]:
    """The time steps of each outermost axis, in the order of their numbers."""
    found = defaultdict[Any, set[int]](set)
    for value in reading.values:
        for axis, t in value.time[:1]:
            if axis is not None:
                found[axis].add(t)
    return {axis: sorted(ts) for axis, ts in found.items()}


def one_step(reading: Reading, first: int) -> tuple[list[Value], list[str]]:
    """The values of the step that stands for all, one that others lead to and that holds most; and
    in words, where steps differ."""
    of_axis = steps_by_axis(reading)
    holds = Counter(value.time[:1] for value in reading.drawn)
    entered = {
        value.time[:1]
        for value, feed, steps in reading.crossings
        if steps and feed.source.time[:1] != value.time[:1]
    }
    untimed = [value for value in reading.drawn if not value.time]
    leaves = {feed.source.time[:1] for value in untimed for feed in value.feeds}

    def rank(t: int) -> tuple[int, ...]:
        """How well a step stands for all, on all axes that have it."""
        here = [((axis, t),) for axis in of_axis]
        return (
            sum(step in entered for step in here),
            sum(holds[step] for step in here),
            sum(step in leaves for step in here),
            -t,
        )

    chosen = {axis: max(ts, key=rank) for axis, ts in of_axis.items()}
    differ = [
        say("t = {t} of {axis}", t=chosen[axis] + first, axis=name)
        for name, axis in reading.graph.axes.items()
        if axis in of_axis and len({holds[((axis, t),)] for t in of_axis[axis]}) > 1
    ]
    notes = [say("steps differ, drawn is {steps}", steps=", ".join(differ))] if differ else []
    loose = set(list(chosen.values())[:1] or [0])
    return _at(reading, {axis: {t} for axis, t in chosen.items()}, loose), notes
