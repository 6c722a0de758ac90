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


def test_an_input_bears_its_variable_where_loops_run_side_by_side(drawing):
    W = mg.tensor(np.eye(2), requires_grad=True, name="W")

    def network(steps) -> mg.Tensor:
        h = np.zeros(2)
        for word in steps:
            h = np.tanh(word @ W + h)
        return h.sum()

    loops = [
        (word for (_, word), _ in zip(mg.timesteps(SEQUENCE), SEQUENCE, strict=True)),
        (word for _, (_, word) in enumerate(mg.timesteps(SEQUENCE))),
        (word for _, (_, word) in zip(SEQUENCE, mg.timesteps(SEQUENCE), strict=True)),
    ]
    for steps in loops:
        assert {"word₀", "word₁", "word₂"} <= texts(drawing, network(steps))
    both = zip(mg.timesteps(SEQUENCE), mg.timesteps(SEQUENCE, "other"), strict=True)
    found = texts(drawing, network(word + tag for (_, word), (_, tag) in both))
    assert not {"tag₀", "word₀"} & found


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


# the library's functions


TARGETS = RNG.normal(size=(3, 1, 2)).astype(np.float32)
LABELS = np.array([[0], [1], [1]])
LOSSES = {
    "mse_loss": (nn.mse_loss, TARGETS),
    "binary": (nn.binary_cross_entropy_with_logits, (TARGETS > 0).astype(np.float32)),
    "cross_entropy": (nn.cross_entropy, LABELS),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize("kind", LOSSES)
def test_what_a_loss_compares_with_bears_the_programs_name(drawing, kind, each, view):
    mg.seed(0)
    loss_of, answers = LOSSES[kind]
    y, _ = nn.RNN(2, 2)(RNG.normal(size=(3, 1, 2)).astype(np.float32))
    risk = sum(loss_of(y[t], answers[t]) for t in range(3)) if each else loss_of(y, answers)
    found = texts(drawing, risk, view=view)
    assert {"answer₀", "answer₁", "answer₂"} <= found
    assert not {text for text in found if "target" in text or "index" in text}
    assert any("risk" in text for text in found)


def test_what_a_module_takes_bears_the_programs_name(drawing):
    mg.seed(0)
    cell, embed, state = nn.GRUCell(3, 4), nn.Embedding(5, 3), None
    for t in range(2):
        with mg.time_step(t):
            h, state = cell(embed(LABELS[t + 1]), state)
    assert {"(LABELS[t + 1])₀", "(LABELS[t + 1])₁"} <= texts(drawing, h.sum())
    state = None
    for _, word in mg.timesteps([*RNG.normal(size=(2, 1, 3)).astype(np.float32)]):
        h, state = cell(word, state)
    assert {"word₀", "word₁"} <= texts(drawing, h.sum())


def test_a_constant_that_is_the_same_in_all_steps_is_no_input(drawing):
    mg.seed(0)
    y, _ = nn.RNN(2, 2)(RNG.normal(size=(3, 1, 2)).astype(np.float32))
    loss = sum(nn.mse_loss(y[t], np.zeros((1, 2), np.float32)) for t in range(3))
    assert "zeros(…)" in texts(drawing, loss)


# what is looked up


def language_model(look_up, words=((3,), (1,), (4,), (1,))) -> mg.Tensor:
    """The negative log-likelihood of each next word."""
    E, W, V = (mg.tensor(RNG.normal(size=shape), requires_grad=True, name=name)
               for name, shape in (("E", (5, 3)), ("W", (3, 3)), ("V", (3, 5))))  # fmt: skip
    h, loss = np.zeros((1, 3)), 0
    for t, word in mg.timesteps(words[:-1]):
        h = np.tanh(look_up(E, word) @ W + h)
        p = mg.softmax(h @ V)
        loss = loss - np.log(p[0, words[t + 1][0]])
    return loss


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("look_up", [lambda E, word: E[[*word]], lambda E, word: E[word[0]]])
def test_a_table_is_a_parameter_and_what_is_looked_up_in_it_an_input(drawing, look_up, view):
    loss = language_model(look_up)
    picture = drawing(render.to_dot(mg.Graph(loss), view=view).source)
    found = {node.label for node in picture.nodes.values()}
    assert not {"E₀", "E₁", "E₂"} & found
    assert any("E  5×3" in text for text in found)
    words = {"(words[t + 1][0])₀", "(words[t + 1][0])₂"}
    assert words <= found
    assert {"(word[0])₁", "word₁"} & found


def test_steps_of_a_sequence_are_not_looked_up(drawing):
    W = mg.tensor(np.eye(2), requires_grad=True, name="W")
    xs = mg.tensor(RNG.normal(size=(6, 2)), requires_grad=True)
    for order in (range(4), range(3, -1, -1), range(0, 6, 2)):
        h = np.zeros(2)
        for k, t in enumerate(order):
            with mg.time_step(k):
                h = np.tanh(xs[t] @ W + h)
        found = texts(drawing, h.sum())
        assert {"x₀", "x₁"} <= found
        assert "pick" not in found


SLICES = {"a step": lambda X, t: X[t], "of a batch": lambda X, t: X[0, :, t]}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("kind", SLICES)
def test_an_input_with_gradient_is_no_parameter(drawing, kind, view):
    W = mg.tensor(np.eye(3), requires_grad=True, name="W")
    X, h = mg.tensor(RNG.normal(size=(3, 3, 3)), requires_grad=True, name="X"), np.zeros((3, 3))
    for t in range(3):
        with mg.time_step(t):
            h = np.tanh(SLICES[kind](X, t) @ W + h)
    found = texts(drawing, h.sum(), view=view, backward=True)
    assert {"X₀", "X₁", "X₂"} <= found
    assert not any("X  3×3×3" in text for text in found)


def test_what_is_looked_up_after_a_loop_stands_in_its_step(drawing):
    V, h, hs = mg.tensor(RNG.normal(size=(2, 5)), requires_grad=True, name="V"), np.ones(2), []
    for _, x in mg.timesteps(SEQUENCE):
        h = np.tanh(x + h @ V[:, :2])
        hs.append(h)
    log_p, words = mg.log_softmax(mg.stack(hs) @ V), [3, 1, 4]
    for loss in (
        -sum(log_p[t, words[t]] for t in range(3)),
        -log_p[np.arange(3), words].mean(),
    ):
        assert {"word₀", "word₁", "word₂"} <= texts(drawing, loss)


def test_a_page_shows_what_is_looked_up(tmp_path):
    page = tmp_path / "page.html"
    mg.Graph(language_model(lambda E, word: E[[*word]])).render(page)
    assert page.stat().st_size > 1000


def test_masks_are_called_by_the_program_and_those_of_dropout_after_it(drawing):
    W, h, mask = (
        mg.tensor(np.eye(2), requires_grad=True),
        np.zeros((2, 2)),
        RNG.random((3, 2)) > 0.5,
    )
    drop = nn.Dropout(0.5)
    for t in range(3):
        with mg.time_step(t):
            new = drop(np.tanh(h @ W + SEQUENCE[t]))
            h = mg.where(mask[t][:, None], new, h)
    found = texts(drawing, h.sum())
    assert {"mask₀", "mask₁", "mask₂", "Dropout₀", "Dropout₁", "Dropout₂"} <= found
    assert not any(text.startswith("array") for text in found)
