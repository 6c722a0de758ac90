"""The gradients that pass by chosen places during one backward pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from minigrad.backward import backward_steps, begin
from minigrad.graph import Edge, Graph
from minigrad.primitive import Scatter
from minigrad.tensor import Tensor


def watch(graph: Graph, keys: Mapping[Any, Any], seeds: Any = None) -> Iterator[tuple[Any, Any]]:
    """The gradients of some tensors and along some edges, summed by key.

    keys: for each tensor or edge the key of its sum.  seeds: ∂loss/∂output.  Yields (key, sum) as
    soon as a sum is complete, so that nobody needs to hold all of them.  Never writes `.grad`.
    """
    wanted: dict[Tensor, list[tuple[int | None, Any]]] = {}
    for thing, key in keys.items():
        if isinstance(thing, Edge):
            wanted.setdefault(thing.target, []).append((thing.position, key))
        else:
            wanted.setdefault(thing, []).append((None, key))
    missing, sums = Counter(keys.values()), dict[Any, Any]()
    for step in backward_steps(graph, begin(graph, seeds)):
        places = wanted.get(step.node, ())
        parts = step.sparse_input_grads() if any(k is not None for k, _ in places) else ()
        for position, key in places:
            dx = step.grad if position is None else parts[position]
            if isinstance(dx, Scatter) and position is not None:
                dx = dx.dense(step.inputs[position])
            if dx is not None:
                sums[key] = sums[key] + dx if key in sums else dx
            missing[key] -= 1
            if not missing[key] and key in sums:
                yield key, sums.pop(key)
    yield from sums.items()
