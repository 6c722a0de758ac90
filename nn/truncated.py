"""Truncated backpropagation through time: a long sequence, window by window."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from nn.checks import positive
from nn.structure import State, detach_state, flatten, map_structure
from nn.unroll import starting_at


class Window(NamedTuple):
    """The outputs y of the steps start ... stop − 1, and the state after them."""

    start: int
    stop: int
    y: Any
    state: State


def tbptt(
    net: Any,
    xs: Any,
    k1: int,
    k2: int | None = None,
    state: State = None,
    lengths: Any = None,
    **extras: Any,
) -> Iterator[Window]:
    """Truncated BPTT (Williams & Peng 1990): every k1 steps a window whose loss reaches back k2.

    net: any layer over time, time-major, called as `net(xs, state) -> (y, state)`; with lengths as
    `net(xs, state, lengths=...)`, where a row that has ended has length 0.  Extras go to it too.
    Call `backward()` on a loss of each window's y and step the optimiser before the next window.
    Each layer has one time axis, whose labels continue from window to window.

    k2 is k1 if not given.  k2 > k1: the steps before the window are run again from the state as it
    was, so that memory stays flat and the gradient is exact for the present parameters.
    k2 < k1: the window is cut at every k2-th step from its end.

    >>> import numpy as np, nn
    >>> net, xs = nn.RNN(1, 4), np.ones((6, 2, 1))
    >>> for window in nn.tbptt(net, xs, k1=3, lengths=[6, 2]):
    ...     print(window.start, window.stop, window.y.shape)
    0 3 (3, 2, 4)
    3 6 (3, 2, 4)
    """
    k2 = k1 if k2 is None else k2
    positive("tbptt", k1=k1, k2=k2)
    if found := [flag for flag in ("batch_first", "bidirectional") if getattr(net, flag, False)]:
        text = f"windows follow each other in time, so the net must not be {found[0]}"
        raise ValueError(f"tbptt: {text}")
    run = _Runner(net, xs, lengths, extras)
    # `first` is where this window's graph begins, `begin` the state there, without history
    first, begin = 0, state
    for start in range(0, run.T, k1):
        stop = min(start + k1, run.T)
        y, state = run.pieces(_cuts(first, start, stop, k2), begin)
        following = min(stop + k1, run.T)
        later = max(0, following - max(k2, following - stop))  # where the next graph begins
        if first < later < stop:
            with mg.no_grad():
                begin = run.state_after(first, later, begin)
        elif later == stop:
            begin = state
        skipped = start - first
        first = later
        if skipped:
            y = map_structure(lambda part, skipped=skipped: part[skipped:], y)
        yield Window(start, stop, y, state)
        del y, state  # the graph of this window is freed before the next one grows


def _cuts(first: int, start: int, stop: int, k2: int) -> list[int]:
    """Where the pieces of a window's graph begin and end, no piece longer than k2 from the end."""
    return [first, *reversed(range(stop - k2, start, -k2)), stop]


class _Runner:
    """Runs a net on pieces of a sequence; each layer continues its time axis."""

    def __init__(self, net: Any, xs: Any, lengths: Any, extras: dict[str, Any]) -> None:
        self.net = net
        self.xs = xs
        self.extras = extras
        self.axes: dict[Any, mg.Axis] = {}
        self.T = len(xs) if isinstance(xs, list) else len(flatten(xs)[0])
        self.lengths = None
        if lengths is not None:
            self.lengths = np.asarray(getattr(lengths, "data", lengths))
            if self.lengths.size and self.lengths.max() > self.T:
                found = self.lengths.max()
                raise ValueError(f"tbptt: lengths up to T = {self.T} are possible, found {found}")

    def piece(self, here: int, there: int, state: State) -> tuple[Any, State]:
        """The outputs of the steps here ... there − 1, and the state after them."""
        options = dict(self.extras)
        if self.lengths is not None:
            options["lengths"] = np.clip(self.lengths - here, 0, there - here)
        if isinstance(self.xs, list):
            xs: Any = self.xs[here:there]
        else:
            xs = map_structure(lambda x: x[here:there], self.xs)
        return self.net(xs, state, **options)

    def pieces(self, cuts: list[int], state: State) -> tuple[Any, State]:
        """The outputs of several pieces with no gradient between them, and the last state."""
        ys = []
        for here, there in itertools.pairwise(cuts):
            with starting_at(here, self.axes):
                y, state = self.piece(here, there, state)
            ys.append(y)
            state = detach_state(state)
        if len(ys) == 1:
            return ys[0], state
        return map_structure(lambda *parts: mg.concatenate(parts), *ys), state

    def state_after(self, here: int, there: int, state: State) -> State:
        """The state after some steps, without their graph."""
        with starting_at(here, {}):
            return detach_state(self.piece(here, there, state)[1])
