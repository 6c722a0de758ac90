"""Sequences of different lengths: padding, masks, and the steps of whatever was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from nn.structure import flatten, is_structure, map_structure

Array = np.ndarray[Any, Any]


class Padded(NamedTuple):
    """Sequences of different lengths as one array xs (T, B, ...), and their lengths (B)."""

    xs: Any
    lengths: Any


class Steps(NamedTuple):
    """A sequence that was taken apart.

    xs: the structure of tensors (T, B, ...); steps: the same for each step (B, ...); mask: which
    rows have not ended at each step, bool (T, B), or None without lengths.
    """

    xs: Any
    steps: list[Any]
    mask: Array | None


def pad(sequences: Sequence[Any], value: float = 0) -> Padded:
    """Sequences of different lengths as one array, and their lengths; every layer takes the pair.

    Shapes: B times (T_b, ...) give (T, B, ...) with T the longest, and (B).
    Raises ValueError for sequences that differ in more than their length.

    >>> import nn
    >>> xs, lengths = nn.pad([[1, 2, 3], [4]])
    >>> xs.T, lengths
    (array([[1, 2, 3], [4, 0, 0]]), array([3, 1]))
    """
    traced = any(isinstance(x, mg.Tensor) and x.requires_grad for x in sequences)
    arrays: list[Any] = [x if traced else np.asarray(getattr(x, "data", x)) for x in sequences]
    shapes = [np.shape(a) for a in arrays]
    if not arrays or any(s[1:] != shapes[0][1:] or s[:1] in ((), (0,)) for s in shapes):
        raise ValueError(f"pad: sequences (T, ...) alike in all but T >= 1 needed, found {shapes}")
    lengths = np.array([len(a) for a in arrays])
    if traced:
        return Padded(mg.stack([_longer(a, lengths.max(), value) for a in arrays], 1), lengths)
    xs = np.full((lengths.max(), len(arrays), *arrays[0].shape[1:]), value, np.result_type(*arrays))
    for b, a in enumerate(arrays):
        xs[: len(a), b] = a
    return Padded(xs, lengths)


def lengths_mask(lengths: Any, steps: int, *, zero: bool = False) -> Array:
    """Which rows have not ended at each step: bool (T, B), as attention takes it.

    zero: whether a row may have length 0.
    Raises ValueError unless the lengths are integers (B) from 1 (or 0) to T.

    >>> import nn
    >>> nn.lengths_mask([2, 1], steps=2)
    array([[ True,  True], [ True, False]])
    """
    lengths = np.asarray(lengths.data if isinstance(lengths, mg.Tensor) else lengths)
    if lengths.ndim != 1 or (lengths.size and lengths.dtype.kind not in "iu"):
        found = f"{lengths.dtype} of shape {lengths.shape}"
        raise ValueError(f"lengths: integers of shape (B,) are needed, found {found}")
    least = 0 if zero else 1
    if len(wrong := np.flatnonzero((lengths < least) | (lengths > steps))):
        text = f"{least} to T = {steps} is possible, found {lengths[wrong[0]]} in row {wrong[0]}"
        if lengths[wrong[0]] == 0:
            text += " (0 means that the row ended in an earlier window, whose state is needed)"
        raise ValueError(f"lengths: {text}")
    return np.asarray(np.arange(steps)[:, None] < lengths)


def take_apart(who: str, xs: Any, lengths: Any = None, *, zero: bool = False) -> Steps:
    """The steps of a sequence; where a row has ended, its x is 0.

    xs: a tensor or an array (T, B, ...), or a tuple or dict of them; a list of steps; a list of
    sequences (T_b, ...) of different lengths; or what `pad` returned.
    Raises ValueError for an empty sequence, and for lengths that do not fit.
    """
    if isinstance(xs, list) and lengths is None and _have_different_lengths(xs):
        xs = pad(xs)
    if isinstance(xs, Padded):
        if lengths is not None:
            raise ValueError(f"{who}: the padded sequences have lengths already; leave lengths out")
        xs, lengths = xs
    if isinstance(xs, list):
        steps = [map_structure(_as_tensor, x) for x in xs]
        _check_steps(who, steps)
        if lengths is None:
            return Steps(None, steps, None)
        xs = map_structure(lambda *same: mg.stack(same), *steps)
    xs = map_structure(_as_tensor, xs)
    T = _number_of_steps(who, xs)
    mask = None
    if lengths is not None:
        mask = lengths_mask(lengths, T, zero=zero)
        xs = map_structure(lambda x: _masked(who, x, mask), xs)
    return Steps(xs, _split(xs, T), mask)


def joined(taken: Steps) -> Any:
    """The structure of tensors (T, B, ...) of a sequence that may have been given as steps."""
    if taken.xs is not None:
        return taken.xs
    return map_structure(lambda *same: mg.stack(same), *taken.steps)


def wide_mask(mask: Array, ndim: int) -> mg.Tensor:
    """The mask as a tensor, with axes of length 1 at its end so that it has `ndim` axes."""
    tensor = mg.tensor(mask.reshape(mask.shape + (1,) * (ndim - mask.ndim)))
    tensor.mark("mask", "mask")
    return tensor


def stack_steps(outputs: list[Any], mask: Array | None, axis: int = 0) -> Any:
    """The y_t in one structure of tensors (T, B, ...), 0 where a row has ended."""

    def stacked(*ys: Any) -> mg.Tensor:
        y = mg.stack(ys, axis=axis)
        if mask is None:
            return y
        return mg.where(wide_mask(np.moveaxis(mask, 0, axis), y.ndim), y, 0)

    return map_structure(stacked, *outputs)


def _longer(x: Any, T: int, value: float) -> mg.Tensor:
    """A sequence (T_b, ...) with `value` at its end, in the graph of its tensor."""
    end = np.full((T - len(x), *x.shape[1:]), value, x.dtype)
    return mg.concatenate([x, end])


def _as_tensor(x: Any) -> mg.Tensor:
    return x if isinstance(x, mg.Tensor) else mg.tensor(x)


def _have_different_lengths(xs: list[Any]) -> bool:
    """Whether these are sequences (T_b, ...) that differ in T_b, and in nothing else."""
    if any(is_structure(x) and not isinstance(x, list) for x in xs):
        return False
    shapes = {np.shape(getattr(x, "data", x)) for x in xs}
    return len(shapes) > 1 and () not in shapes and len({s[1:] for s in shapes}) == 1


def _check_steps(who: str, steps: list[Any]) -> None:
    if not steps:
        raise ValueError(f"{who}: a sequence of at least one step is needed, found []")
    shapes = sorted({tuple(leaf.shape for leaf in flatten(x)) for x in steps})
    if len(shapes) > 1:
        found = [s[0] if len(s) == 1 else s for s in shapes]
        raise ValueError(f"{who}: all steps must have the same shape, found {found}")


def _number_of_steps(who: str, xs: Any) -> int:
    shapes = [x.shape for x in flatten(xs)]
    if not shapes or () in shapes or 0 in {shape[0] for shape in shapes}:
        found = shapes[0] if len(shapes) == 1 else shapes
        raise ValueError(f"{who}: a sequence of at least one step is needed, found {found}")
    if len({shape[0] for shape in shapes}) > 1:
        raise ValueError(f"{who}: all parts of xs must have one number of steps, found {shapes}")
    return shapes[0][0]


def _masked(who: str, x: mg.Tensor, mask: Array) -> mg.Tensor:
    """x, 0 where a row has ended: NaN in the padding must not reach a product."""
    if x.ndim < 2 or mask.shape != x.shape[:2]:
        raise ValueError(
            f"{who}: one length for each row of a batch is needed, "
            f"found {mask.shape[1]} for {x.shape}"
        )
    return mg.where(wide_mask(mask, x.ndim), x, 0)


def _split(xs: Any, T: int) -> list[Any]:
    if not is_structure(xs):
        return list(xs)
    columns = [list(x) for x in flatten(xs)]
    steps = []
    for k in range(T):
        parts = iter([column[k] for column in columns])
        steps.append(map_structure(lambda x, parts=parts: next(parts), xs))
    return steps
