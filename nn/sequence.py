"""Sequences into batches, windows of truncated BPTT, and decoding."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from nn import init
from nn.cells import Cell, State, detach_state
from nn.checks import positive
from nn.unroll import starting_at

Array = np.ndarray[Any, Any]
Step = Callable[[Any, State], tuple[Any, State]]


def pad(sequences: Sequence[Any], value: float = 0) -> tuple[Array, Array]:
    """Sequences of different lengths as one array, and their lengths.

    Shapes: B times (T_b, ...) give (T, B, ...) with T the longest, and (B).

    >>> import nn
    >>> xs, lengths = nn.pad([[1, 2, 3], [4]])
    >>> xs.T, lengths
    (array([[1, 2, 3], [4, 0, 0]]), array([3, 1]))
    """
    arrays = [np.asarray(sequence) for sequence in sequences]
    if not arrays or any(a.shape[1:] != arrays[0].shape[1:] or not len(a) for a in arrays):
        raise ValueError(
            f"pad: sequences (T, ...) alike in all but T >= 1 needed, found {[a.shape for a in arrays]}"
        )
    lengths = np.array([len(a) for a in arrays])
    xs = np.full((lengths.max(), len(arrays), *arrays[0].shape[1:]), value, np.result_type(*arrays))
    for b, a in enumerate(arrays):
        xs[: len(a), b] = a
    return xs, lengths


def batches(
    sequences: Sequence[Any], batch_size: int, rng: init.Rng = None, by_length: int = 1
) -> Iterator[tuple[Array, Array, Array]]:
    """One epoch of padded batches in random order: (xs, lengths, which), where which (B) are the
    places in `sequences`.

    by_length: so many batches are cut from a sorted draw, so that rows of like length meet and
    little is padded.

    >>> import nn
    >>> [(xs.shape, sorted(which.tolist())) for xs, lengths, which in nn.batches([[1], [2, 3], [4]], 3, rng=0)]
    [((2, 3), [0, 1, 2])]
    """
    positive("batches", batch_size=batch_size, by_length=by_length)
    rng = init.generator(rng)
    order = rng.permutation(len(sequences))
    pool = batch_size * by_length
    chunks = []
    for start in range(0, len(order), pool):
        drawn = order[start : start + pool]
        drawn = (
            drawn[np.argsort([len(sequences[k]) for k in drawn], kind="stable")]
            if by_length > 1
            else drawn
        )
        chunks += [drawn[k : k + batch_size] for k in range(0, len(drawn), batch_size)]
    for k in rng.permutation(len(chunks)) if by_length > 1 else range(len(chunks)):
        yield *pad([sequences[n] for n in chunks[k]]), chunks[k]


def windows(series: Any, length: int, stride: int = 1) -> Array:
    """All windows of a series, a read-only view: xs[:, b] is series[b · stride : b · stride +
    length].

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


class Window(NamedTuple):
    """One window of truncated BPTT: the outputs of the steps start...stop−1, and the state after
    them.
    """

    start: int
    stop: int
    y: mg.Tensor
    state: State


def tbptt(
    net: Any, xs: Any, k1: int, k2: int | None = None, state: State = None
) -> Iterator[Window]:
    """Truncated BPTT (Williams & Peng 1990): every k1 steps a window whose loss reaches back k2
    steps.

    `net(xs, state) -> (y, state)` is any layer over time, time-major.  Call `backward()` on a loss
    of each window's y, and step the optimiser; then ask for the next window.  Each layer has one
    time axis, whose labels go on from window to window.  k2 is k1 if not given. k2 > k1: the steps
    before the window are run again from the state as it was, so that memory stays flat and the
    gradient is exact for the present parameters.  k2 < k1: the window itself is cut at every k2-th
    step from its end.

    >>> import numpy as np, nn
    >>> net, xs = nn.RNN(1, 4), np.ones((6, 2, 1))
    >>> for window in nn.tbptt(net, xs, k1=3):
    ...     print(window.start, window.stop, window.y.shape)
    0 3 (3, 2, 4)
    3 6 (3, 2, 4)
    """
    k2 = k1 if k2 is None else k2
    positive("tbptt", k1=k1, k2=k2)
    if found := [flag for flag in ("batch_first", "bidirectional") if getattr(net, flag, False)]:
        raise ValueError(
            f"tbptt: windows follow each other in time, so the net must not be {found[0]}"
        )
    axes: dict[Cell, mg.Axis] = {}  # each goes on from window to window
    first, begin = (
        0,
        state,
    )  # where this window's graph begins, and the state there, without history
    for start in range(0, len(xs), k1):
        stop, state, ys = min(start + k1, len(xs)), begin, []
        for here, there in itertools.pairwise(
            [first, *reversed(range(stop - k2, start, -k2)), stop]
        ):
            with starting_at(here, axes):
                y, state = net(xs[here:there], state)
            ys.append(y)
            state = detach_state(state)
        following = min(stop + k1, len(xs))
        later = max(
            0, following - max(k2, following - stop)
        )  # where the next window's graph begins
        if first < later < stop:
            with mg.no_grad(), starting_at(first, {}):
                begin = detach_state(net(xs[first:later], begin)[1])
        begin, skipped = state if later == stop else begin, start - first
        first = later
        y = ys[0] if len(ys) == 1 else mg.concatenate(ys)
        yield Window(start, stop, y[skipped:] if skipped else y, state)
        del y, ys, state  # the graph of this window is freed before the next one grows


def greedy(step: Step, first: Any, state: State, steps: int, end: int | None = None) -> Array:
    """The likeliest token at each step: `step(tokens (B), state) -> (logits (B, C), state)`, from
    the tokens `first`.

    Shapes: first (B), result (T, B), T at most `steps`; after `end` a row goes on with `end`.

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
    """As `greedy`, but each token is drawn from softmax(logits / temperature); at temperature 0 it
    is `greedy`.

    >>> import numpy as np, nn
    >>> fair = lambda x, state: (np.zeros((len(x), 2)), state)
    >>> nn.sample(fair, np.array([0]), None, steps=4, rng=0).T
    array([[1, 1, 0, 0]])
    """
    if not temperature >= 0:
        raise ValueError(f"sample: a temperature of 0 or more is needed, found {temperature!r}")
    if temperature == 0:
        return greedy(step, first, state, steps, end)
    rng = init.generator(rng)
    # the largest of logits with Gumbel noise is a draw from their softmax
    return _decode(
        step,
        first,
        state,
        steps,
        end,
        lambda a: (a / temperature + rng.gumbel(size=a.shape)).argmax(-1),
    )


def _decode(
    step: Step, first: Any, state: State, steps: int, end: int | None, choose: Any
) -> Array:
    positive("decoding", steps=steps)
    tokens, chosen = np.asarray(first), []
    done = np.zeros(tokens.shape, bool)
    with mg.no_grad():
        for t in range(steps):
            with mg.time_step(t):
                logits, state = step(tokens, state)
            tokens = choose(np.asarray(getattr(logits, "data", logits), np.float64))
            tokens = tokens if end is None else np.where(done, end, tokens)
            chosen.append(tokens)
            done |= tokens == end if end is not None else False
            if done.all():
                break
    return np.stack(chosen)
