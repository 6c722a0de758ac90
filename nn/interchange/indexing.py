"""NumPy's x[index] as ONNX operators: Slice, Gather, GatherND, Unsqueeze."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from nn.interchange.table import translates
from nn.interchange.writing import Writer

LAST, FIRST = np.iinfo(np.int64).max, np.iinfo(np.int64).min


@translates("getitem")
def getitem(write: Writer, node: mg.Tensor) -> Any:
    """x[index]: first all slices, then integers and integer arrays, then new axes."""
    (x,) = node.inputs
    parts = full_index(node.constants["index"], x.ndim)
    new_axes = [part is None for part in parts]
    kept = [part for part in parts if part is not None]
    value = sliced(write, write.value(x), kept)
    arrays = {k: part for k, part in enumerate(kept) if not isinstance(part, slice)}
    if not all(np.ndim(part) == 0 for part in arrays.values()):
        if any(new_axes) and len(arrays) > 1:
            raise write.refusal(node, "new axes beside several integer arrays")
        value = gathered(write, value, arrays, x.ndim)
    else:
        for k in sorted(arrays, reverse=True):  # each takes an axis away
            value = write("Gather", value, write.ints(int(arrays[k]), "index"), axis=k)
    axes = new_positions(parts)
    return write("Unsqueeze", value, write.ints(axes, "axes")) if axes else write("Identity", value)


def full_index(index: Any, ndim: int) -> list[Any]:
    """The index with one slice, integer or integer array for each axis, and None for new ones."""
    parts: list[Any] = []
    for part in index if isinstance(index, tuple) else (index,):
        if isinstance(part, np.ndarray | list) and np.asarray(part).dtype == np.bool_:
            parts += np.nonzero(part)  # a mask is an integer array for each of its axes
        else:
            parts.append(np.asarray(part) if isinstance(part, list) else part)
    used = sum(part is not None and part is not Ellipsis for part in parts)
    place = next((k for k, part in enumerate(parts) if part is Ellipsis), len(parts))
    return [*parts[:place], *[slice(None)] * (ndim - used), *parts[place + 1 :]]


def sliced(write: Writer, value: str, kept: list[Any]) -> str:
    """The Slice of all axes that have one."""
    chosen = [(k, part) for k, part in enumerate(kept) if isinstance(part, slice)]
    chosen = [(k, part) for k, part in chosen if part != slice(None)]
    if not chosen:
        return value
    bounds = [slice_bounds(part) for _, part in chosen]
    starts, ends, steps = ([bound[k] for bound in bounds] for k in range(3))
    columns = {"starts": starts, "ends": ends, "axes": [k for k, _ in chosen], "steps": steps}
    return str(write("Slice", value, *[write.ints(v, word) for word, v in columns.items()]))


def slice_bounds(part: slice) -> tuple[int, int, int]:
    """Start, end and step of a slice, as numbers."""
    step = 1 if part.step is None else part.step
    first, last = (0, LAST) if step > 0 else (LAST, FIRST)
    start = first if part.start is None else part.start
    return start, last if part.stop is None else part.stop, step


def gathered(write: Writer, value: str, arrays: dict[int, Any], ndim: int) -> str:
    """Integer arrays: one by Gather, several by GatherND with their axes in front."""
    axes = list(arrays)
    if len(axes) == 1:
        return str(write("Gather", value, write.ints(arrays[axes[0]], "indices"), axis=axes[0]))
    rest = [k for k in range(ndim) if k not in arrays]
    places = np.stack(np.broadcast_arrays(*arrays.values()), -1)
    value = write("Transpose", value, perm=[*axes, *rest])
    value = write("GatherND", value, write.ints(places, "indices"))
    wide = places.ndim - 1
    if axes != list(range(axes[0], axes[-1] + 1)):
        return value  # not side by side: NumPy leaves their result in front
    before = list(range(wide, wide + axes[0]))
    behind = list(range(wide + axes[0], wide + len(rest)))
    return str(write("Transpose", value, perm=[*before, *range(wide), *behind]))


def new_positions(parts: list[Any]) -> list[int]:
    """Where the new axes stand in the result."""
    positions, axis, joined = [], 0, False
    for part in parts:
        if part is None:
            positions.append(axis)
            axis += 1
        elif isinstance(part, slice):
            axis += 1
        elif not joined and np.ndim(part):
            axis, joined = axis + np.ndim(part), True
    return positions
