from __future__ import annotations

import numpy as np

import minigrad as mg
from minigrad import render


def labels(drawing, *outputs, **options) -> list[str]:
    return [
        node.label
        for node in drawing(render.to_dot(mg.Graph(*outputs), **options).source).nodes.values()
    ]


def test_values_of_a_tuple_assignment_bear_their_variables():
    a = b = mg.tensor(np.ones((2, 3)))
    W = mg.tensor(np.eye(3), requires_grad=True, name="W")
    for _ in mg.timesteps(np.ones((3, 2))):
        a, b = np.tanh(a @ W + b), mg.sigmoid(b @ W) - a
    source = render.to_dot(mg.Graph((a * b).sum())).source
    assert 'label="a" fontsize=11' in source
    assert 'label="b" fontsize=11' in source


def test_an_initial_state_is_called_as_the_reader_calls_the_state(drawing):
    W = mg.tensor(np.eye(2), requires_grad=True, name="W")
    h = mg.tensor(np.ones((1, 2)), name="h_init")
    for _ in mg.timesteps(np.ones((2, 2))):
        h = np.tanh(h @ W)
    assert {"H_init", "h_init"} & set(labels(drawing, h.sum(), labels={"h": "H"})) == {"H_init"}
    assert "start" in labels(drawing, h.sum(), labels={"h": "H", "h_init": "start"})


def test_a_transpose_is_marked(drawing):
    W = mg.tensor(np.ones((3, 4)), requires_grad=True, name="W")
    h = np.tanh(np.ones((2, 3)) @ W)
    assert {"W", "Wᵀ"} <= set(labels(drawing, (h @ W.T).sum()))
    assert 'headlabel="ᵀ"' in render.to_dot(mg.Graph((h.T @ np.tanh(h)).sum())).source


def test_several_losses_have_names_of_their_own_and_other_outputs_a_red_border(drawing):
    w = mg.tensor(np.ones(3), requires_grad=True, name="w")
    picture = render.to_dot(mg.Graph((w**2).sum(), (w**3).sum(), w * 2)).source
    assert {"Σ L", "Σ L_2"} <= {node.label for node in drawing(picture).nodes.values()}
    (double,) = [line for line in picture.splitlines() if 'label="×2"' in line]
    assert 'color="#D93025"' in double


def test_sums_in_a_traced_backward_pass_are_called_after_what_they_are_the_gradient_of(
    twice, drawing
):
    found = labels(drawing, *twice("rnn").outputs)
    assert {"Σ ∂W_xh", "Σ ∂W_hh", "Σ ∂b_h"} <= set(found)  # of the steps together


def test_an_initial_value_is_called_after_the_step_it_stands_for(drawing):
    W, U = (mg.tensor(np.eye(2), requires_grad=True, name=name) for name in "WU")
    states = [mg.tensor(np.full((1, 2), k)) for k in (1.0, 2.0, 3.0)]
    for _, x in mg.timesteps(np.ones((4, 1, 2))):
        h = np.tanh(x + states[-1] @ W + states[-3] @ U)
        states.append(h)
    for view in ("ops", "cells"):
        picture = drawing(render.to_dot(mg.Graph(h.sum()), view=view).source)
        where = {node.label: node.x for node in picture.nodes.values()}
        first = min(node.x for node in picture.nodes.values() if node.label in ("cell", "@"))
        assert max(where[name] for name in ("h_init", "h₋₂", "h₋₃")) < first


def test_a_traced_gradient_of_a_vector_stands_beside_its_loss(drawing):
    w = mg.tensor(2.0, requires_grad=True, name="w")
    loss = ((w * mg.tensor(np.ones(3), requires_grad=True)) ** 2).sum()
    (gradient,) = mg.grad(loss, [w], create_graph=True)
    assert "Σ loss" in labels(drawing, loss, gradient)


def test_a_gradient_is_not_called_after_another_value_of_its_shape():
    W = mg.tensor(np.eye(2), requires_grad=True, name="W")
    h = np.tanh(mg.tensor(np.ones((2, 2)), requires_grad=True, name="x"))
    loss = ((h @ W) ** 2).sum()
    graph = mg.Graph(loss, *mg.grad(loss, [h], create_graph=True))
    assert not any("dW" in render.to_dot(graph, view=view).source for view in ("ops", "cells"))


def test_one_line_may_take_steps_of_several_axes(drawing) -> None:
    """A helper that indexes serves a loop, and a loop in a loop, with more numbers there."""

    def take(array: mg.Tensor, *index: int) -> mg.Tensor:
        return array[index]

    xs = mg.tensor(np.ones((2, 3)), requires_grad=True, name="xs")
    ys = mg.tensor(np.ones((2, 2, 3)), requires_grad=True, name="ys")
    h = mg.tensor(np.zeros(3), name="h_init")
    for t, _ in mg.timesteps(np.ones(2), axis="outer"):
        h = np.tanh(take(xs, 1 - t) + h)
        for i, _ in mg.timesteps(np.ones(2), axis="inner"):
            h = np.tanh(take(ys, t, i) * h)
    picture = drawing(render.to_dot(mg.Graph(h.sum()), backward=True).source)
    labels = [node.label for node in picture.nodes.values()]
    assert sum(label.startswith("x") for label in labels) == 2
    assert sum(label.startswith("y") for label in labels) == 4
