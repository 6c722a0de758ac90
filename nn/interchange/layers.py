"""The layers that are written as a whole: recurrent ones over all steps, and Embedding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

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
from nn.structure import named_leaves
from nn.unroll import Unroll

Layer = Callable[..., Names]  # (run, module, arguments of forward) → the names of the leaves


def direction(
    run: Run, cell: Any, xs: Sequence, state: Any, reverse: bool = False
) -> tuple[str, Names]:
    """One cell in one direction: y (T, B, ...), and the leaves (B, size) of its last state."""
    write = run.write
    if not has_operator(cell):
        state = cell.initial_state(len(xs.step)) if state is None else state
        return scan(run, cell, xs, cell.check_state(state, len(xs.step)), reverse)
    axis = write.ints([0], "axes")
    initial = [] if state is None else [write.value(s) for _, s in named_leaves(state)]
    y, last = operator(write, [cell], xs, [write("Unsqueeze", s, axis) for s in initial], reverse)
    return y, [write("Squeeze", s, axis, name="last") for s in last]


def both_directions(run: Run, cells: list[Any], xs: Sequence, states: Any) -> tuple[str, Names]:
    """Two cells, one in each direction: y (T, B, H + H), and the leaves of both last states."""
    pairs = zip(cells, states, (False, True), strict=True)
    (y, first), (z, last) = [direction(run, cell, xs, state, back) for cell, state, back in pairs]
    return str(run.write("Concat", y, z, axis=-1, name="y")), [*first, *last]


def write_unroll(
    run: Run, module: Any, xs: Any, state: Any = None, lengths: Any = None, reverse: bool = False
) -> Names:
    """`nn.Unroll`."""
    y, last = direction(run, module.cell, sequence(run, xs, lengths), state, reverse)
    return [y, *last]


def write_bidirectional(
    run: Run, module: Any, xs: Any, state: Any = None, lengths: Any = None
) -> Names:
    """`nn.Bidirectional`."""
    cells = [module.forwards, module.backwards]
    states = (None, None) if state is None else state
    y, last = both_directions(run, cells, sequence(run, xs, lengths), states)
    return [y, *last]


def write_recurrent(run: Run, module: Any, x: Any, state: Any = None, lengths: Any = None) -> Names:
    """`nn.RNN`, `nn.LSTM`, `nn.GRU`: one operator for each layer."""
    write, xs = run.write, sequence(run, x, lengths, module.batch_first)
    rows = [] if state is None else [write.value(s) for _, s in named_leaves(state)]
    finals: list[Names] = []
    for number, names in enumerate(module.layers):
        cells = [getattr(module, name) for name in names]
        first = number * len(cells)
        with write.within(names[0]):
            y, last = layer(run, cells, xs, [chosen(write, s, first, len(cells)) for s in rows])
        finals.append(last)
        features = module.hidden_size * len(cells)
        step = run.rng.standard_normal((len(xs.step), features)).astype(module.dtype)
        xs = Sequence(y, step, xs.lengths)
    if module.batch_first:
        y = write("Transpose", y, perm=[1, 0, 2], name="y")
    return [y, *[joined(write, parts) for parts in zip(*finals, strict=True)]]


def layer(run: Run, cells: list[Any], xs: Sequence, initial: Names) -> tuple[str, Names]:
    """One layer of `nn.RNN`, `nn.LSTM` or `nn.GRU`; states have the shape (directions, B, H)."""
    if has_operator(*cells):
        return operator(run.write, cells, xs, initial)
    write, axis = run.write, run.write.ints([0], "axes")
    results = []
    for k, cell in enumerate(cells):
        state = cell.initial_state(len(xs.step))
        for (_, s), rows in zip(named_leaves(state), initial, strict=bool(initial)):
            write.bind(s, write("Gather", rows, write.ints(k, "index"), axis=0))
        results.append(scan(run, cell, xs, state, reverse=bool(k)))
    finals = [[write("Unsqueeze", s, axis) for s in last] for _, last in results]
    y = joined(write, [y for y, _ in results], axis=-1)
    return y, [joined(write, parts) for parts in zip(*finals, strict=True)]


def chosen(write: Writer, rows: str, first: int, count: int) -> str:
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
