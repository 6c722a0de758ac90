"""How large the gradient is on every link, tap and box of a picture: one backward pass of its own.

It never writes `.grad`.  Where a box stands for several operations, the gradients along a link are added up first.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from minigrad.backward import backward_steps, begin
from minigrad.clip import norm
from minigrad.primitive import Scatter
from minigrad.render.picture import Box, Link, Picture, Tap
from minigrad.render.places import PARTED, op_name

DEEPEST = 12  # orders of magnitude that one scale spans at most


class Flow(NamedTuple):
    """The norms of a backward pass by what is drawn; a thing that no gradient reaches is missing."""

    of: dict[Box | Link | Tap, float]
    parameters: dict[Any, float]

    @property
    def scale(self) -> tuple[float, float]:
        """The decades that hold every norm but exact zeros: (lo, hi), at most twelve of them."""
        norms = [n for n in self.of.values() if 0 < n < math.inf] or [1.0]
        hi = math.ceil(math.log10(max(norms)) - 1e-9)
        return float(
            max(min(math.floor(math.log10(min(norms)) + 1e-9), hi - 1), hi - DEEPEST)
        ), float(hi)


def measure(picture: Picture, limit: int | None = None) -> Flow:
    """Run the backward pass of the picture's graph, all of it or so many steps, and measure."""
    things: list[Link | Tap] = [
        *picture.links,
        *(tap for box in picture.boxes for tap in box.taps.values()),
    ]
    owners = {end: thing for thing in things for end in thing.ends}
    speakers = {speaker(box): box for box in picture.boxes if box.nodes}
    # beside a loss, outputs that are not scalars (gradients, as a rule) are seeded with zeros
    mixed = len({y.size == 1 for y in picture.graph.outputs}) == 2
    seed = (
        tuple(np.full(y.shape, float(y.size == 1)) for y in picture.graph.outputs)
        if mixed
        else None
    )
    of, sums, totals = dict[Any, float](), dict[Any, Any](), dict[Any, Any]()
    for step in itertools.islice(backward_steps(picture.graph, begin(picture.graph, seed)), limit):
        if step.node in speakers:
            of[speakers[step.node]] = norm([step.grad])
        parts = op_name(step.node) in PARTED
        if parts and (step.node, 0) in owners:
            of[owners[step.node, 0]] = norm([step.grad])
        for k, (x, dx) in enumerate(zip(step.inputs, step.contributions(), strict=True)):
            thing = owners.get((step.node, k))
            if dx is not None and x.op is None:
                total = totals.setdefault(x, np.zeros(x.shape))
                (dx if isinstance(dx, Scatter) else Scatter(..., dx)).add_into(total)
            if dx is not None and thing is not None and not parts:
                part = dx.value if isinstance(dx, Scatter) else dx
                if len(thing.ends) > 1:
                    whole = dx.dense(x) if isinstance(dx, Scatter) else dx
                    part = sums[thing] = _added(sums.get(thing), np.asarray(whole, np.float64))
                of[thing] = norm([part])
    for link in picture.links:
        if link.target.kind == "delay" and not link.ends:
            of[link] = max(
                [of.get(other, 0.0) for other in picture.links if other.source is link.target]
            )
    parameters = {x: norm([total]) for x, total in totals.items()}
    return Flow(
        of | {speakers[x]: size for x, size in parameters.items() if x in speakers}, parameters
    )


def speaker(box: Box) -> Any:
    """The node whose gradient stands for a box: its state (h before c), else its last."""
    for node in reversed(box.nodes):
        if (
            node.role is not None
            and node.role.kind == "state"
            and not node.role.name.startswith("c")
        ):
            return node
    return box.nodes[-1]


def _added(before: Any, dx: Any) -> Any:
    """The sum of two gradients of one value; of pieces of it, laid side by side."""
    if before is None:
        return dx
    return before + dx if before.shape == dx.shape else np.concatenate([before.ravel(), dx.ravel()])
