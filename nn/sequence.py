"""Sequences into batches and windows, and decoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import minigrad as mg
from nn import init
from nn.checks import positive
from nn.padding import pad
from nn.structure import State

Array = np.ndarray[Any, Any]
Step = Callable[[Any, State], tuple[Any, State]]


def batches(
    sequences: Sequence[Any], batch_size: int, rng: init.Rng = None, by_length: int = 1
) -> Iterator[tuple[Array, Array, Array]]:
    """One epoch of padded batches (xs, lengths, which) in random order.

    which (B): the numbers of the rows in `sequences`.
    by_length: shuffle, then sort by length within groups of `by_length` batches, so that little is
    padded.

    >>> import nn
    >>> for xs, lengths, which in nn.batches([[1], [2, 3], [4]], 3, rng=0):
    ...     print(xs.shape, sorted(which.tolist()))
    (2, 3) [0, 1, 2]
    """
    positive("batches", batch_size=batch_size, by_length=by_length)
    rng = init.generator(rng)
    order = rng.permutation(len(sequences))
    groups = _chunks(order, batch_size * by_length)
    if by_length > 1:
        lengths = np.array([len(sequence) for sequence in sequences], int)
        groups = [group[np.argsort(lengths[group], kind="stable")] for group in groups]
    chunks = [chunk for group in groups for chunk in _chunks(group, batch_size)]
    if by_length > 1:
        chunks = [chunks[k] for k in rng.permutation(len(chunks))]
    for chunk in chunks:
        xs, lengths = pad([sequences[n] for n in chunk])
        yield xs, lengths, chunk


def _chunks(numbers: Array, size: int) -> list[Array]:
    return [numbers[k : k + size] for k in range(0, len(numbers), size)]


def windows(series: Any, length: int, stride: int = 1) -> Array:
    """All windows of a series, as a read-only view.

    xs[:, b] is series[b · stride : b · stride + length].
    Shapes: (N, ...) gives (length, B, ...), time-major, B = ⌊(N − length) / stride⌋ + 1.

    >>> import numpy as np, nn
    >>> nn.windows(np.arange(5), length=3)
    array([[0, 1, 2], [1, 2, 3], [2, 3, 4]])
    """
    series = np.asarray(series)
    positive("windows", length=length, stride=stride)
    if not series.ndim or len(series) < length:
        raise ValueError(
            f"windows: a series of at least {length} steps is needed, found shape {series.shape}"
        )
    view = np.lib.stride_tricks.sliding_window_view(series, length, axis=0)[::stride]
    return np.moveaxis(view, -1, 0)


def greedy(step: Step, first: Any, state: State, steps: int, end: int | None = None) -> Array:
    """The likeliest token at each step, from the tokens `first`.

    `step(tokens (B), state) -> (logits (B, C), state)`.
    Shapes: first (B), result (T, B), T at most `steps`; a row that has reached `end` stays there.

    >>> import numpy as np, nn
    >>> nn.greedy(lambda x, state: (np.eye(4)[(x + 1) % 4], state), np.array([0]), None, steps=3)
    array([[1], [2], [3]])
    """
    return _decode(step, first, state, steps, end, lambda logits: logits.argmax(axis=-1))


def sample(
    step: Step,
    first: Any,
    state: State,
    steps: int,
    end: int | None = None,
    temperature: float = 1.0,
    rng: init.Rng = None,
) -> Array:
    """Like `greedy`, but each token is drawn from softmax(logits / temperature).

    temperature 0: the likeliest token.

    >>> import numpy as np, nn
    >>> fair = lambda x, state: (np.zeros((len(x), 2)), state)
    >>> nn.sample(fair, np.array([0]), None, steps=4, rng=0).T
    array([[1, 1, 0, 0]])
    """
    if not temperature >= 0:
        raise ValueError(f"sample: a temperature of 0 or more is needed, found {temperature!r}")
    if temperature == 0:
        return greedy(step, first, state, steps, end)
    generator = init.generator(rng)

    def draw(logits: Array) -> Array:
        # the largest of logits with Gumbel noise is a draw from their softmax
        return (logits / temperature + generator.gumbel(size=logits.shape)).argmax(axis=-1)

    return _decode(step, first, state, steps, end, draw)


def _decode(
    step: Step,
    first: Any,
    state: State,
    steps: int,
    end: int | None,
    choose: Callable[[Array], Array],
) -> Array:
    positive("decoding", steps=steps)
    tokens, chosen = np.asarray(first), []
    done = np.zeros(tokens.shape, bool)
    with mg.no_grad():
        for t in range(steps):
            with mg.time_step(t):
                logits, state = step(tokens, state)
            tokens = choose(np.asarray(getattr(logits, "data", logits), np.float64))
            if end is not None:
                tokens = np.where(done, end, tokens)
                done |= tokens == end
            chosen.append(tokens)
            if done.all():
                break
    return np.stack(chosen)
