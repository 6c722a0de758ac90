"""How large the gradient is on every link, tag and box of a picture: one backward pass of its own.

It never writes `.grad`.  Where a box stands for several operations, the gradients along a link are
added up first.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.backward import Step, backward_steps, begin
from minigrad.graph import Graph
from minigrad.norms import joint_norm, norm
from minigrad.primitive import Scatter
from minigrad.render.nodes import SPLITS, op_name
from minigrad.render.picture import Box, End, Link, Part, Picture, Tag
from minigrad.tensor import Array, Tensor

DEEPEST = 12  # orders of magnitude that one scale spans at most
OUTLIERS = 0.02  # the share of the gradients that may lie below a scale


@dataclass(frozen=True)
class Norms:
    """Norms of gradients.  What no gradient reaches is missing; `Norms()` are those of a picture
    without a backward pass.

    of: what flows along a link, or into a tag, and for a box the norm over all states that it
    makes, or over its value.
    parts: of single values.  parameters: of the whole gradient of each leaf.
    entries: the gradients themselves that are small enough, as rows of numbers.
    """

    of: dict[Box | Link | Tag, float] = field(default_factory=dict)
    parts: dict[Part, float] = field(default_factory=dict)
    parameters: dict[Tensor, float] = field(default_factory=dict)
    entries: dict[Part, Array] = field(default_factory=dict)
    scale: tuple[float, float] = (0.0, 1.0)

    def get(self, thing: Box | Link | Tag) -> float | None:
        """The norm of a thing; None if no gradient reaches it."""
        return self.of.get(thing)


def measure(picture: Picture) -> Norms:
    """Run the backward pass of the picture's graph, and measure."""
    return measure_each([picture])[0]


def measure_each(pictures: Sequence[Picture], keep: int = 1) -> list[Norms]:
    """Several pictures of one graph, measured in one backward pass.

    keep: up to how many entries a gradient is kept itself.
    """
    meters = [_Meter(picture, keep) for picture in pictures]
    for step in _steps(pictures[0].graph):
        for meter in meters:
            meter.note(step)
    return [meter.norms() for meter in meters]


def measure_by_step(picture: Picture) -> Iterator[tuple[int | None, Norms]]:
    """Whenever the backward pass has passed a time step, the step and what is known by then."""
    meter = _Meter(picture)
    for t, steps in itertools.groupby(_steps(picture.graph), key=lambda step: step.t):
        for step in steps:
            meter.note(step)
        yield t, meter.norms()


def _steps(graph: Graph) -> Iterable[Step]:
    """The steps of a backward pass.

    Beside a loss, outputs that are not scalars (gradients, as a rule) are seeded with zeros.
    """
    mixed = len({y.size == 1 for y in graph.outputs}) == 2
    seed = tuple(np.full(y.shape, float(y.size == 1)) for y in graph.outputs) if mixed else None
    return backward_steps(graph, begin(graph, seed))


class _Meter:
    """Collects the norms while the pass runs."""

    def __init__(self, picture: Picture, keep: int = 1) -> None:
        self.picture, self.keep = picture, max(1, keep)
        self.told = {box: told(box) for box in picture.boxes}
        self.wanted = defaultdict[Tensor, list[Part]](list)
        for part in dict.fromkeys(itertools.chain.from_iterable(self.told.values())):
            self.wanted[part.node].append(part)
        self.owners = defaultdict[Tensor, list[tuple[Link | Tag, End]]](list)
        things: list[Link | Tag] = [*picture.links, *picture.tags]
        for thing in things:
            for end in thing.ends:
                self.owners[end.node].append((thing, end))
        self.parts: dict[Part, float] = {}
        self.entries: dict[Part, Array] = {}
        self.sums = defaultdict[Link | Tag, dict[Any, Array]](dict)
        self.totals: dict[Tensor, Array] = {}
        self.of: dict[Any, float] = {}

    def note(self, step: Step) -> None:
        """Measure one step of the backward pass, and what it adds to each of its inputs."""
        node, contributions = step.node, step.sparse_input_grads()
        for part in self.wanted.get(node, ()):
            self.note_part(part, step.grad)
        splits = op_name(node) in SPLITS  # its rule runs once, for all the parts that it makes
        for thing, end in self.owners.get(node, ()):
            if splits:
                self.add(thing, end, node, step.grad)
            elif (dx := contributions[end.position]) is not None:
                self.add(thing, end, step.inputs[end.position], dx)
        for x, dx in zip(step.inputs, contributions, strict=True):
            if x.op is None and dx is not None:
                self.add_total(x, dx)

    def note_part(self, part: Part, grad: Any) -> None:
        """The gradient of one value."""
        taken = np.asarray(grad if part.part is None else grad[part.part])
        self.parts[part] = _norm(taken)
        if taken.size <= self.keep:
            self.entries[part] = taken.ravel()

    def add_total(self, x: Tensor, dx: Any) -> None:
        """One more contribution to the gradient of a leaf."""
        if x not in self.totals:
            self.totals[x] = np.zeros(x.shape)
        (dx if isinstance(dx, Scatter) else Scatter(..., dx)).add_into(self.totals[x])

    def add(self, thing: Link | Tag, end: End, x: Tensor, dx: Any) -> None:
        """What flows along one edge of a link or a tag, into x: the only one, or one of several."""
        alone = len(thing.ends) == 1 and end.part is None
        if isinstance(dx, Scatter):
            dx = dx.value if alone and not dx.repeats else dx.dense(x)
        if alone:
            self.of[thing] = _norm(dx)
            return
        taken = np.asarray(dx if end.part is None else dx[end.part], np.float64)
        sums, key = self.sums[thing], (_piece(x), taken.shape)
        sums[key] = sums[key] + taken if key in sums else taken

    def norms(self) -> Norms:
        """All norms, and the scale that shows them."""
        for x, total in self.totals.items():
            for part in self.wanted.get(x, ()):
                self.note_part(part, total)
            if x.size == 1:
                self.entries[Part(x)] = total.ravel()
        of: dict[Any, float] = dict(self.of)
        of |= {thing: joint_norm(sums.values()) for thing, sums in self.sums.items()}
        for box, parts in self.told.items():
            found = [self.parts[part] for part in parts if part in self.parts]
            if found:
                of[box] = math.hypot(*found)
        parameters = {x: _norm(total) for x, total in self.totals.items()}
        scale = scale_of(self.picture, of)
        return Norms(of, dict(self.parts), parameters, dict(self.entries), scale)


def told(box: Box) -> list[Part]:
    """The values whose gradients a box tells: all states that it makes; of a box without states its
    result."""
    if not box.parts:
        return []
    makes_states = box.states and not box.beside
    return [part for _, part in box.states] if makes_states else [box.parts[-1]]


def scale_of(picture: Picture, of: dict[Any, float]) -> tuple[float, float]:
    """The decades that hold what the picture is about: the gradients of states, in the boxes that
    make them and on their way to another step; or all where there are none."""
    carried = [link for link in picture.links if link.lane and of.get(link, 0.0) > 0]
    made = [box for box in picture.boxes if box.lanes and of.get(box, 0.0) > 0]
    several = [of[thing] for thing in (*carried, *made)] if len(carried) > 1 else of.values()
    return decades(several)


def decades(norms: Iterable[float]) -> tuple[float, float]:
    """The decades (lo, hi) that hold all norms but the few smallest; at least one, at most
    twelve."""
    finite = sorted(n for n in norms if 0 < n < math.inf) or [1.0]
    lowest = finite[int(OUTLIERS * len(finite))]
    hi = math.ceil(math.log10(finite[-1]) - 1e-9)
    lo = math.floor(math.log10(lowest) + 1e-9)
    return float(max(min(lo, hi - 1), hi - DEEPEST)), float(hi)


def _norm(array: Any) -> float:
    """The norm of one array, in float64."""
    return norm(np.asarray(array, np.float64))


def _piece(x: Tensor) -> Any:
    """Which piece of a value a node takes: the gradients of one piece are added up, those of
    several lie side by side."""
    if op_name(x) in SPLITS and x.call is not None:
        return x.call.which
    return repr(x.constants["index"]) if op_name(x) == "getitem" else None
