"""Time labels of recorded nodes: the one place of these programs that looks at them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from minigrad.graph import Graph
from minigrad.tensor import Tensor

Place = tuple[Any, int]  # an axis, and the number of a step counted from 0


def window_of(graph: Graph) -> int:
    """After how many steps, counted back from the end, the gradient is cut for the first time; 0: never."""
    last = extreme((x for node in graph.nodes if (x := label_of(node)) is not None), max)
    cuts = [x for node in graph.cuts if (x := label_of(node)) is not None]
    return min((last[axis] + 1 - t for axis, t in cuts), default=0)


def steps_of(nodes: Iterable[Tensor]) -> set[int]:
    """How many steps the labelled loops have."""
    labels = {found for node in nodes if (found := label_of(node)) is not None}
    return set(Counter(axis for axis, _ in labels).values())


def label_of(node: Tensor) -> Place | None:
    """The outermost axis, and the step of it, that a node was labelled with."""
    if not node.time:
        return None
    axis, t, _ = node.time[0]  # steps of inner loops are written out
    return axis, t


def extreme(places: Iterable[Place], choose: Any) -> dict[Any, int]:
    """The first step of each axis, or the last one: `choose` is min or max."""
    found: dict[Any, int] = {}
    for axis, t in places:
        found[axis] = choose(found.get(axis, t), t)
    return found
