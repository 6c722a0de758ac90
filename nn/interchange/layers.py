"""The layers that are written as a whole: recurrent ones over all steps, and Embedding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg
from nn.embedding import Embedding
from nn.interchange.recurrence import (
    Names,
    Run,
    Sequence,
    has_operator,
    operator,
    scan,
    sequence,
    tensor_of,
)
from nn.interchange.writing import Writer
from nn.layers import Bidirectional
from nn.recurrent import RNN
from nn.structure import flatten
from nn.unroll import Unroll

Layer = Callable[..., Names]  # (run, module, arguments of forward) → the names of the leaves


def direction(
    run: Run, cell: Any, xs: Sequence, state: Any, reverse: bool = False, extras: Any = None
) -> tuple[list[mg.Tensor], list[mg.Tensor]]:
    """One cell in one direction: the leaves of y (T, B, ...), and of its last state (B, ...)."""
    write = run.write
    if not has_operator(cell):
        state = cell.initial_state(xs.batch) if state is None else state
        return scan(run, cell, xs, cell.check_state(state, xs.batch), reverse, extras)
    axis = write.ints([0], "axes")
    initial = [] if state is None else [write.value(s) for s in flatten(state)]
    y, last = operator(write, [cell], xs, [write("Unsqueeze", s, axis) for s in initial], reverse)
    T, B, H = xs.xs.shape[0], xs.batch, cell.hidden_size
    shown = np.zeros((T, B, H), cell.dtype)
    rows = [write("Squeeze", s, axis, name="last") for s in last]
    return [write.bound(shown, y)], [write.bound(shown[0], s) for s in rows]


def write_unroll(
    run: Run,
    module: Any,
    xs: Any,
    state: Any = None,
    lengths: Any = None,
    reverse: bool = False,
    **extras: Any,
) -> Names:
    """`nn.Unroll`."""
    ys, last = direction(run, module.cell, sequence(xs, lengths), state, reverse, extras)
    return [run.write.value(part) for part in (*ys, *last)]


def write_bidirectional(
    run: Run, module: Any, xs: Any, state: Any = None, lengths: Any = None, **extras: Any
) -> Names:
    """`nn.Bidirectional`: both directions, joined."""
    taken = sequence(xs, lengths)
    first, last = (None, None) if state is None else state
    ys, first = direction(run, module.forwards, taken, first, False, extras)
    zs, last = direction(run, module.backwards, taken, last, True, extras)
    joint = [joined_steps(module.join, y, z) for y, z in zip(ys, zs, strict=True)]
    return [run.write.value(part) for part in (*joint, *first, *last)]


def joined_steps(join: Any, y: mg.Tensor, z: mg.Tensor) -> mg.Tensor:
    """The outputs of both directions (T, B, ...), joined as those of one step (B, ...) are.

    A function is called with all steps as rows of one batch.
    """
    if not callable(join):
        axis = -1 if join is None else join
        return mg.concatenate([y, z], axis=axis + 1 if axis >= 0 else axis)
    T, B = y.shape[:2]
    result = join(*[mg.reshape(x, (T * B, *x.shape[2:])) for x in (y, z)])
    return mg.reshape(result, (T, B, *result.shape[1:]))


def write_recurrent(run: Run, module: Any, x: Any, state: Any = None, lengths: Any = None) -> Names:
    """`nn.RNN`, `nn.LSTM`, `nn.GRU`: one operator for each layer."""
    write, xs = run.write, sequence(x, lengths, module.batch_first)
    rows = [] if state is None else [write.value(s) for s in flatten(state)]
    finals: list[Names] = []
    for number, names in enumerate(module.layers):
        cells = [getattr(module, name) for name in names]
        first = number * len(cells)
        with write.within(names[0]):
            y, last = layer(run, cells, xs, [chosen(write, s, first, len(cells)) for s in rows])
        finals.append(last)
        shape = (*xs.xs.shape[:2], module.hidden_size * len(cells))
        example = run.rng.standard_normal(shape).astype(module.dtype)
        xs = Sequence(write.bound(example, y), xs.lengths)
    if module.batch_first:
        y = write("Transpose", y, perm=[1, 0, 2], name="y")
    return [y, *[joined(write, parts) for parts in zip(*finals, strict=True)]]


def layer(run: Run, cells: list[Any], xs: Sequence, initial: Names) -> tuple[str, Names]:
    """One layer of `nn.RNN`, `nn.LSTM` or `nn.GRU`; states have the shape (directions, B, H)."""
    write = run.write
    if has_operator(*cells):
        return operator(write, cells, xs, initial)
    axis = write.ints([0], "axes")
    ys, finals = [], []
    for k, cell in enumerate(cells):
        state = cell.initial_state(xs.batch)
        for s, rows in zip(flatten(state), initial, strict=bool(initial)):
            write.bind(s, write("Gather", rows, write.ints(k, "index"), axis=0))
        (y,), last = scan(run, cell, xs, state, reverse=bool(k))
        ys.append(write.value(y))
        finals.append([write("Unsqueeze", write.value(s), axis) for s in last])
    return joined(write, ys, axis=-1), [joined(write, parts) for parts in zip(*finals, strict=True)]


def chosen(write: Writer, rows: str, first: float, count: int) -> str:
    """The rows of one layer of a state (layers · directions, B, H)."""
    bounds = [write.ints([k], word) for k, word in ((first, "start"), (first + count, "end"))]
    return str(write("Slice", rows, *bounds, write.ints([0], "axes")))


def joined(write: Writer, parts: Any, axis: int = 0) -> str:
    """The values side by side; one alone as it is."""
    return parts[0] if len(parts) == 1 else str(write("Concat", *parts, axis=axis))


def write_embedding(run: Run, module: Any, x: Any) -> Names:
    """`nn.Embedding`: Gather; the row for padding is 0."""
    write, tokens = run.write, tensor_of(x)
    indices = write.operand(tokens, np.dtype(np.int64))
    y = write("Gather", write.value(module.W), indices, axis=0, name="vectors")
    if module.padding is None:
        return [y]
    padded = write("Equal", indices, write.ints(module.padding, "padding"))
    padded = write("Unsqueeze", padded, write.ints([-1], "axes"))
    return [write("Where", padded, write.constant(0, module.dtype, "zero"), y)]


LAYERS: dict[Any, Layer] = {
    Unroll.forward: write_unroll,
    Bidirectional.forward: write_bidirectional,
    RNN.forward: write_recurrent,
    Embedding.forward: write_embedding,
}  # the forward of a module → what writes it
