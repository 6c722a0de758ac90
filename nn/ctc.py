"""Connectionist temporal classification: labels without positions.

Its forward recursion is a cell in log space, unrolled like any other; its gradient is plain
backpropagation through time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import minigrad as mg
from nn.cell import Cell
from nn.padding import lengths_mask, pad
from nn.unroll import Unroll

Array = np.ndarray[Any, Any]


class _CTCCell(Cell):
    """
    a_t(s) = log( e^a(s) + e^a(s−1) + skip(s) e^a(s−2) ) + x_t(s)

    Shapes: x (B, S) log-probabilities of the labels with blanks between them; a (B, S)
    log-probability of all ways to have put out the first s of them by step t; skip (B, S) is 0
    where s may follow s − 2, and log 0 elsewhere.
    """

    def __init__(self, skip: Array, zero: float) -> None:
        self.skip = skip
        self.zero = zero

    def initial_state(self, batch_size: int | None = None) -> mg.Tensor:
        """Nothing has been put out yet: log 1 at s = 0, log 0 elsewhere."""
        start = np.where(np.arange(self.skip.shape[1]) == 0, 0, self.zero)
        start = np.broadcast_to(start, self.skip.shape)
        return mg.tensor(start.astype(self.skip.dtype), name="a_init")

    def forward(self, x: mg.Tensor, a_prev: mg.Tensor) -> tuple[mg.Tensor, mg.Tensor]:
        """One step."""
        one = np.pad(a_prev[:, :-1], ((0, 0), (1, 0)), constant_values=self.zero)
        two = np.pad(a_prev[:, :-2], ((0, 0), (2, 0)), constant_values=self.zero) + self.skip
        a = mg.logsumexp(mg.stack([a_prev, one, two]), axis=0) + x
        return a, a


def ctc_loss(log_p: Any, targets: Sequence[Any], lengths: Any = None, blank: int = 0) -> mg.Tensor:
    """L = −mean(log P(labels | sequence)),  P summed over all ways to lay the labels along it.

    A way puts out one label or a blank at each step; repetitions are merged, then blanks left out
    (Graves et al., Connectionist temporal classification, 2006).

    Shapes: log_p (T, B, C) log-probabilities, as `mg.log_softmax` gives them; targets: for each row
    its labels, integers in 0...C−1 without the blank; lengths (B): the steps of each row, T by
    default.  PyTorch's reduction="mean" divides each row by its number of labels first.
    Raises ValueError for labels that do not fit into the steps of their row.

    >>> import minigrad as mg, numpy as np, nn
    >>> log_p = mg.log_softmax(mg.tensor(np.zeros((2, 1, 3))), axis=-1)
    >>> loss = nn.ctc_loss(log_p, [[1]])  # 3 of 9 ways: 1 1, 1 blank, blank 1
    >>> round(float(np.exp(-loss.item())), 6)
    0.333333
    """
    log_p = log_p if isinstance(log_p, mg.Tensor) else mg.tensor(log_p)
    if log_p.ndim != 3 or log_p.dtype.kind != "f":
        found = f"{log_p.dtype} of shape {log_p.shape}"
        raise ValueError(f"ctc_loss: floats (T, B, C) are needed, found {found}")
    T, B, C = log_p.shape
    rows = [np.asarray(getattr(row, "data", row)) for row in targets]
    steps = np.full(B, T) if lengths is None else np.asarray(getattr(lengths, "data", lengths))
    lengths_mask(steps, T)
    _check_targets(rows, steps, B, C, blank)
    zero = float(np.finfo(log_p.dtype).min) / 4  # log 0, finite so that differences are numbers
    labels = _with_blanks(rows, blank)
    follows = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])
    skip = np.full(labels.shape, zero, log_p.dtype)
    skip[:, 2:][follows] = 0
    xs = np.take_along_axis(log_p, np.broadcast_to(labels, (T, *labels.shape)), axis=2)
    _, a = Unroll(_CTCCell(skip, zero))(xs, lengths=steps)
    counts = np.array([len(row) for row in rows])
    # the last label, or the blank after it; of a row without labels the one blank
    ends = np.stack([2 * counts, np.maximum(2 * counts - 1, 0)], axis=1)
    last = np.take_along_axis(a, ends, axis=1)
    last = np.where(np.array([[True, n > 0] for n in counts]), last, zero)
    return -mg.logsumexp(last, axis=1).mean()


def _with_blanks(rows: list[Array], blank: int) -> Array:
    """The labels of each row with blanks before, between and after them: (B, S)."""
    between = [np.full(2 * len(row) + 1, blank) for row in rows]
    for extended, row in zip(between, rows, strict=True):
        extended[1::2] = row
    return pad(between, blank).xs.T


def _check_targets(rows: list[Array], steps: Array, B: int, C: int, blank: int) -> None:
    if len(rows) != B or len(steps) != B:
        raise ValueError(f"ctc_loss: labels for {B} rows are needed, found {len(rows)}")
    if not 0 <= blank < C:
        raise ValueError(f"ctc_loss: blank must be in 0...{C - 1}, found {blank}")
    for b, row in enumerate(rows):
        if row.ndim != 1 or (row.size and row.dtype.kind not in "iu"):
            found = f"{row.dtype} of shape {row.shape}"
            raise ValueError(f"ctc_loss: labels of row {b} must be integers (S,), found {found}")
        if wrong := [int(k) for k in row if not 0 <= k < C or k == blank]:
            text = f"labels in 0...{C - 1} without the blank {blank} are needed"
            raise ValueError(f"ctc_loss: {text}, found {wrong[0]} in row {b}")
        needed = len(row) + int(np.sum(row[1:] == row[:-1]))  # a blank between equal ones
        if needed > steps[b]:
            raise ValueError(
                f"ctc_loss: the labels of row {b} need {needed} steps, and it has {steps[b]}"
            )
