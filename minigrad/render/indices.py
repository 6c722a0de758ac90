"""What an index takes: steps of a sequence one after the other, or places that are data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeGuard

import numpy as np

from minigrad.graph import Graph
from minigrad.render.nodes import INDEXING, op_name, path_of, site_of
from minigrad.tensor import Array, Tensor


def index_of(node: Tensor) -> Any:
    """The index of an indexing; None of all other nodes."""
    return node.constants.get("index") if op_name(node) == "getitem" else None


def _index_parts(node: Tensor) -> tuple[Any, ...]:
    """What an index takes of each axis."""
    index = index_of(node)
    if index is None:
        return ()
    return index if isinstance(index, tuple) else (index,)


def picked(node: Tensor) -> int | None:
    """The number of the one step that an index picks along the first axis, or of which it takes
    something; None if it takes more."""
    if op_name(node) == "unstack" and node.constants.get("axis", 0) == 0 and node.call is not None:
        return node.call.which
    first, *_ = _index_parts(node) or (None,)
    return int(first) if _is_integer(first) else None


def numbers_in(node: Tensor) -> tuple[int, ...]:
    """The whole numbers in an index."""
    parts = (picked(node),) if op_name(node) == "unstack" else _index_parts(node)
    return tuple(int(x) for x in parts if _is_integer(x))


def gathered(node: Tensor, lookups: set[Any]) -> Array | None:
    """The places that an index takes, where they are data: y of `p[np.arange(n), y]`.

    lookups: the lines whose numbers are data.
    """
    parts = _index_parts(node)
    arrays = [np.asarray(x) for x in parts if isinstance(x, list | np.ndarray)]
    if arrays:
        return next((x for x in reversed(arrays) if not _counts(x)), arrays[-1])
    numbers = numbers_in(node)
    return np.array(numbers[-1]) if numbers and indexing_line(node) in lookups else None


def sequences_of(graph: Graph) -> tuple[set[Any], set[Any]]:
    """The lines that pick different steps of a sequence in different time steps, one after the
    other; and those that look up other places of an array in each step, as in a table of words."""
    found = defaultdict[Any, dict[Any, tuple[int, ...]]](dict)
    for node in graph.nodes:
        if op_name(node) in INDEXING and (numbers := numbers_in(node)):
            by_step = found[indexing_line(node)]
            by_step[path_of(node) or ((None, len(by_step)),)] = numbers
    changing = {site: by_step for site, by_step in found.items() if len({*by_step.values()}) > 1}
    lookups = {site for site, by_step in changing.items() if not _goes_on(by_step)}
    return changing.keys() - lookups, lookups


def indexing_line(node: Tensor) -> tuple[Any, ...]:
    """The line of a node, how many numbers its index has, and how many axes of time: one line of a
    function may serve several."""
    return site_of(node), len(numbers_in(node)), len(path_of(node))


def _goes_on(by_step: dict[Any, tuple[int, ...]]) -> bool:
    """Whether each number of an index stays, or goes on evenly with the steps of some axis."""
    steps = [[t for _, t in path] for path in by_step]
    axes = [*zip(*steps, strict=True)]
    numbers = zip(*by_step.values(), strict=True)
    return all(
        len({*column}) == 1 or any(_is_even(axis, column) for axis in axes) for column in numbers
    )


def _is_even(steps: Sequence[int], numbers: Sequence[int]) -> bool:
    """Whether numbers grow or fall by the same for each step; two of them by one."""
    pairs = sorted({*zip(steps, numbers, strict=True)})
    slopes = {(b - a) / (t - s) if t > s else None for (s, a), (t, b) in pairwise(pairs)}
    return len(slopes) == 1 and None not in slopes and (len(pairs) > 2 or slopes <= {1, -1})


def _counts(places: Array) -> bool:
    """Whether places are 0, 1, 2 ...: that index takes all."""
    return bool((places.ravel() == np.arange(places.size)).all())


def _is_integer(x: Any) -> TypeGuard[int]:
    return isinstance(x, int | np.integer) and not isinstance(x, bool)
