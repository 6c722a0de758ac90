"""How large the gradient is on every link, tap and box of a picture: one backward pass of its own.

It never writes `.grad`.  Where a box stands for several operations, the gradients along a link are added up first.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.primitive import Scatter
from minigrad.render.picture import Box, Link, Picture, Tap

DEEPEST = 12  # orders of magnitude that one scale spans at most


@dataclass(slots=True)
class Flow:
    """The norms of a backward pass by what is drawn; a thing that no gradient reaches is missing."""

    links: dict[Link, float] = field(default_factory=dict)
    taps: dict[Tap, float] = field(default_factory=dict)
    boxes: dict[Box, float] = field(default_factory=dict)
    nodes: dict[Any, float] = field(default_factory=dict)
    parameters: dict[Any, float] = field(default_factory=dict)

    @property
    def scale(self) -> tuple[float, float]:
        """The decades that hold every norm but exact zeros: (lo, hi), at most twelve of them."""
        norms = [n for table in (self.links, self.taps, self.boxes) for n in table.values() if 0 < n < math.inf]
        if not norms:
            return -1.0, 0.0
        hi = math.ceil(math.log10(max(norms)) - 1e-9)
        return float(max(min(math.floor(math.log10(min(norms)) + 1e-9), hi - 1), hi - DEEPEST)), float(hi)


def measure(picture: Picture, limit: int | None = None) -> Flow:
    """Run the backward pass of the picture's graph, all of it or so many steps, and measure."""
    flow = Flow()
    sums: dict[Any, Any] = {}
    drawn: list[Link | Tap] = [*picture.links, *picture.taps]
    owners: dict[Any, Link | Tap] = {end: thing for thing in drawn for end in thing.ends}
    boxes = {
        node: box for row in picture.rows for panel in row.panels.values() for box in panel.boxes for node in box.nodes
    }
    totals: dict[Any, Any] = {}
    outputs = picture.graph.outputs
    seed = None  # beside a loss, outputs that are not scalars (gradients, as a rule) are seeded with zeros
    if len({y.size == 1 for y in outputs}) == 2:
        seed = tuple(np.full(y.shape, float(y.size == 1)) for y in outputs)
    for step in itertools.islice(picture.graph.backward_steps(seed), limit):
        node = step.node
        flow.nodes[node] = _norm(step.grad)
        box = boxes.get(node)
        if box is not None and speaker(box) is node:
            flow.boxes[box] = flow.nodes[node]
        for k, (x, dx) in enumerate(zip(step.inputs, step.contributions(), strict=True)):
            if dx is not None and x.op is None:
                totals[x] = _into(totals.get(x), dx, x)
            thing = owners.get((node, k))
            if thing is None or dx is None:
                continue
            if len(thing.ends) > 1:
                sums[thing] = dx = _added(sums.get(thing), dx)
            table: dict[Any, float] = flow.taps if isinstance(thing, Tap) else flow.links
            table[thing] = _norm(dx)
    for link in picture.links:
        if link.target.kind == "delay":
            on = [flow.links[other] for other in picture.links if other.source is link.target and other in flow.links]
            flow.links.update({link: max(on)} if on else {})
    flow.parameters = {x: _norm(total) for x, total in totals.items()}
    return flow


def speaker(box: Box) -> Any:
    """The node whose gradient stands for a box: its state (h before c), else its last."""
    for node in reversed(box.nodes):
        if node.role is not None and node.role.kind == "state" and not node.role.name.startswith("c"):
            return node
    return box.nodes[-1]


def _into(total: Any, dx: Any, x: Any) -> Any:
    total = np.zeros(x.shape) if total is None else total
    (dx if isinstance(dx, Scatter) else Scatter(..., dx)).add_into(total)
    return total


def _added(before: Any, dx: Any) -> Any:
    """The sum of two gradients of one value; of pieces of it, laid side by side."""
    dx = np.asarray(dx.value if isinstance(dx, Scatter) else dx, np.float64)
    if before is None:
        return dx
    return before + dx if before.shape == dx.shape else np.concatenate([before.ravel(), dx.ravel()])


def _norm(dx: Any) -> float:
    if isinstance(dx, Scatter):
        dx = dx.value
    flat = np.asarray(dx, np.float64).ravel()
    return math.sqrt(float(flat.dot(flat)))
