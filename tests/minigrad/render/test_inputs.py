"""What enters a step is an input, and bears the program's name for it."""

from __future__ import annotations

import re

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad import render

RNG = np.random.default_rng(0)
SEQUENCE = RNG.normal(size=(3, 2))
VIEWS = ("ops", "cells")


def texts(drawing, output, **options) -> set[str]:
    """What stands in the boxes of a picture."""
    source = render.to_dot(mg.Graph(output), **options).source
    return {node.label for node in drawing(source).nodes.values()}


SEQUENCES = {
    "an array": lambda: SEQUENCE,
    "a tensor": lambda: mg.tensor(SEQUENCE),
    "a tensor with gradient": lambda: mg.tensor(SEQUENCE, requires_grad=True),
    "a list of arrays": lambda: [*SEQUENCE],
    "a list of tensors": lambda: [mg.tensor(x) for x in SEQUENCE],
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("kind", SEQUENCES)
def test_an_input_bears_the_variable_of_its_loop(drawing, kind, view):
    W, h = mg.tensor(np.eye(2), requires_grad=True, name="W"), np.zeros(2)
    for _, word in mg.timesteps(SEQUENCES[kind]()):
        h = np.tanh(word @ W + h)
    found = texts(drawing, h.sum(), view=view)
    assert {"word₀", "word₁", "word₂"} <= found
    assert not {"x₀", "t", "word"} & found


def test_the_t_of_a_loop_variable_gives_way_to_the_number_of_the_step(drawing):
    W, h = mg.tensor(np.eye(2), requires_grad=True, name="W"), np.zeros(2)
    for _, x_t in mg.timesteps(SEQUENCE):
        h = np.tanh(x_t @ W + h)
    assert {"x₀", "x₁", "x₂"} <= texts(drawing, h.sum())


def test_an_input_that_the_loop_gives_no_name_is_x(drawing):
    W, h = mg.tensor(np.eye(2), requires_grad=True, name="W"), np.zeros(2)
    for pair in mg.timesteps(SEQUENCE):
        h = np.tanh(pair[1] @ W + h)
    assert {"x₀", "x₁", "x₂"} <= texts(drawing, h.sum())


def scalar_network(xs, ys) -> mg.Tensor:
    """A recurrence of numbers with a loss at every step."""
    w, u = (mg.tensor(v, requires_grad=True, name=name) for name, v in (("w", 0.5), ("u", -0.3)))
    h = loss = 0.0
    for t in range(3):
        with mg.time_step(t):
            h = np.tanh(w * h + u * xs[t])
            loss = loss + 0.5 * (h - ys[t]) ** 2
    return loss


@pytest.mark.parametrize("view", VIEWS)
def test_a_number_out_of_an_array_is_an_input_and_one_that_is_written_stands_in_its_box(
    drawing, view
):
    found = texts(drawing, scalar_network([0.1, 0.2, 0.3], np.ones(3)), view=view)
    assert {"x₀", "x₁", "x₂", "y₀", "y₁", "y₂", "h_init"} <= found
    assert any("0.5×" in text for text in found)
    assert not any("0.1" in text for text in found)


def test_a_number_that_changes_from_step_to_step_is_an_input(drawing):
    w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
    for t in range(3):
        with mg.time_step(t):
            h = w * h * 0.9**t
    assert {"(0.9 ** t)₀", "(0.9 ** t)₁", "(0.9 ** t)₂"} <= texts(drawing, h)


def test_an_index_other_than_the_step_stays_in_the_name(drawing):
    W, h = mg.tensor(np.eye(2), requires_grad=True, name="W"), np.zeros((1, 2))
    batch_first = SEQUENCE[None]
    for t in range(1, 3):
        with mg.time_step(t):
            h = np.tanh(h @ W + SEQUENCE[t - 1] + batch_first[:, t])
    found = texts(drawing, ((h - SEQUENCE[-1]) ** 2).sum())
    assert {"(SEQUENCE[t - 1])₁", "batch_first₁", "SEQUENCE[-1]"} <= found


def test_values_of_a_rolled_picture_say_whose_they_are():
    source = scalar_network([0.1, 0.2, 0.3], np.ones(3))
    source = render.to_dot(mg.Graph(source), time="rolled", values=True).source
    assert "t = 1, one of 3 steps" in source
    assert "t = 0 … 2" not in source


@pytest.mark.parametrize("view", VIEWS)
def test_what_is_taken_from_a_total_has_a_minus_in_every_step(view):
    w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
    total = 0
    for t in range(3):
        with mg.time_step(t):
            h = w * h
            total = total - h**2
    source = render.to_dot(mg.Graph(total), view=view).source
    assert "total = Σ of 3" in source
    assert source.count('headlabel="−"') == 3


def test_one_step_stands_for_as_many_as_each_axis_has():
    mg.seed(0)
    encoder, decoder = nn.Unroll(nn.GRUCell(2, 4)), nn.Unroll(nn.GRUCell(2, 4))
    _, state = encoder(np.ones((3, 1, 2), np.float32))

    def note(steps: int) -> str:
        y, _ = decoder(np.ones((steps, 1, 2), np.float32), state)
        source = render.to_dot(mg.Graph((y[-1] ** 2).sum()), time="rolled").source
        return re.search(r"one step stands for ([^;\\\"]*)", source)[1]

    assert note(4) == "3 of cell, 4 of cell_2"
    assert note(3) == "3"
