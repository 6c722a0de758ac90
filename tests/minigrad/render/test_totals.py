"""`loss = loss + ...` in a loop is a sum in every picture, however it is typed; a recurrence is none."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
import nn

X = np.random.default_rng(0).standard_normal((4, 1, 3)).astype(np.float32)
Y = np.zeros((4, 1, 2), np.float32)

SUMS = {
    "from 0": (0, lambda total, loss, t: total + loss),
    "from a tensor": (mg.tensor(0.0), lambda total, loss, t: total + loss),
    "from nothing": (None, lambda total, loss, t: loss if total is None else total + loss),
    "the other way": (0, lambda total, loss, t: loss + total),
    "a mean": (0, lambda total, loss, t: total + loss / 4),
    "weighted": (0, lambda total, loss, t: total + 0.5 * loss),
    "by step": (0, lambda total, loss, t: total + loss * np.float32(t)),
    "with a penalty": (0, lambda total, loss, t: total + loss + 0.1 * loss**2),
    "taken away": (0, lambda total, loss, t: total - loss),
}


def graph_of(start, add) -> mg.Graph:
    """An RNN over four steps; `add` says what becomes of the total."""
    mg.seed(0)
    cell, head = nn.RNNCell(3, 4), nn.Linear(4, 2)
    h, total = cell.initial_state(1), start
    for t, x in mg.timesteps(X):
        _, h = cell(x, h)
        total = add(total, nn.mse_loss(head(h), Y[t]), t)
    return mg.Graph(total)


@pytest.mark.parametrize("view", ["ops", "cells"])
@pytest.mark.parametrize("name", SUMS)
def test_a_running_total_is_a_sum(name, view):
    graph = graph_of(*SUMS[name])
    assert [state.name for state in graph.states] == ["h"]
    whole, rolled = (graph.to_dot(view=view, time=time).source for time in ("unrolled", "rolled"))
    count = {"with a penalty": 8, "from a tensor": 5}.get(name, 4)
    assert f"Σ of {count}" in whole
    one = graph_of(None, lambda total, loss, t: loss).to_dot(view=view, time="rolled").source
    assert rolled.count("t−1") == one.count("t−1") > 0


def test_a_total_that_fades_is_a_recurrence():
    graph = graph_of(0, lambda total, loss, t: 0.9 * total + loss)
    assert len(graph.states) == 2
    assert "Σ of" not in graph.to_dot(view="cells").source
