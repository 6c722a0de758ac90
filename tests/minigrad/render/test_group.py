from __future__ import annotations

from graphlib import TopologicalSorter

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad import render

NAMES = (
    *(
        "rnn",
        "lstm",
        "gru",
        "lstm, loss at every step",
        "stacked",
        "deep bidirectional",
        "by hand",
        "skips",
    ),
    *("masked", "attention", "attention after the loop", "translation", "embedded"),
)


def check_order(picture) -> None:
    before: dict[str, set[str]] = {}
    for tail, head, *_ in picture.edges:
        before.setdefault(head, set()).add(tail)
    TopologicalSorter(before).prepare()  # raises if there is a cycle


@pytest.mark.parametrize("name", NAMES)
def test_cells_do_not_wait_for_each_other(network, drawing, name):
    check_order(drawing(render.to_dot(network(name, 3), view="cells").source))


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "stacked"])
def test_cells_of_a_traced_backward_pass_do_not_wait_for_each_other(twice, drawing, name):
    check_order(drawing(render.to_dot(twice(name), view="cells").source))


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_a_traced_backward_pass_has_a_cell_over_each_cell(twice, drawing, cell):
    picture = drawing(render.to_dot(twice(cell, 3), view="cells").source)
    boxes = {name: node.label.split("\n")[0] for name, node in picture.nodes.items()}
    forward = [picture.nodes[name] for name, label in boxes.items() if label == cell.upper()]
    backward = [picture.nodes[name] for name, label in boxes.items() if label == f"∂{cell.upper()}"]
    assert [node.x for node in forward] == [node.x for node in backward]
    assert max(node.y for node in forward) < min(node.y for node in backward)
    assert {"∂L", "∂Linear", "L", "Linear"} <= set(boxes.values())
    assert list(boxes.values()).count("L") == 1
    steps = [(picture.nodes[tail].x, picture.nodes[head].x) for tail, head, *_ in picture.edges
             if boxes[tail] == boxes[head] == f"∂{cell.upper()}"]  # fmt: skip
    assert steps
    assert all(tail > head for tail, head in steps)


def test_a_scalar_that_leads_to_more_than_scalars_is_no_loss(drawing):
    x = mg.tensor(np.ones(3), requires_grad=True, name="x")
    share = x / x.sum()
    picture = drawing(render.to_dot(mg.Graph((share**2).sum()), view="cells").source)
    assert sum(node.label.startswith("L\n") for node in picture.nodes.values()) == 1


@pytest.mark.parametrize("time", ["unrolled", "rolled"])
@pytest.mark.parametrize("is_scalar", [True, False])
def test_a_loss_of_a_step_without_a_name_shows_its_operations_only(
    drawing, time: str, is_scalar: bool
) -> None:
    """No letter is put in place of a name that the program does not have."""
    W, V = (mg.tensor(np.eye(2), requires_grad=True, name=name) for name in "WV")
    h, E, u = mg.tensor(np.zeros(2), name="h_init"), 0, np.ones((4, 2))
    for t, x in mg.timesteps(np.ones((3, 2))):
        h = np.tanh(h @ W + x)
        y = h @ V
        error = lambda: (y - u[t + 1]) ** 2  # noqa: B023, E731
        E = E + (error().sum() if is_scalar else error())
    graph = mg.Graph(E if is_scalar else E.sum())
    found = drawing(render.to_dot(graph, view="cells", time=time).source)
    labels = [node.label for node in found.nodes.values()]
    assert labels.count("− x² Σ" if is_scalar else "− x²") == (3 if time == "unrolled" else 1)
    assert not [label for label in labels if label.startswith(("o", "L"))]


def test_losses_that_have_nothing_in_common_are_boxes_of_their_own(drawing):
    w = mg.tensor(np.ones((2, 2)), requires_grad=True, name="w")
    h = mg.tensor(np.ones((1, 2)))
    for _ in mg.timesteps(np.ones((2, 1))):
        h = np.tanh(h @ w)
    first = (h @ w).sum()
    second = (h**2).mean()
    picture = drawing(render.to_dot(mg.Graph(first, second), view="cells").source)
    labels = {node.label.split("\n")[0] for node in picture.nodes.values()}
    assert {"first", "second"} <= labels


def test_states_that_feed_each_other_are_one_cell(drawing):
    W = mg.tensor(np.eye(2), requires_grad=True, name="W")
    p, q = mg.tensor(np.ones((1, 2)), name="p_init"), mg.tensor(np.ones((1, 2)), name="q_init")
    for _ in mg.timesteps(np.ones((3, 1))):
        p, q = np.tanh(q @ W), mg.sigmoid(p @ W) * q
    picture = drawing(render.to_dot(mg.Graph(p.sum() + q.sum()), view="cells").source)
    assert sum(node.label == "cell" for node in picture.nodes.values()) == 3
    assert sum(tail == "weights" for tail, *_ in picture.edges) == 3


def test_a_sum_says_of_how_many(network):
    assert "Σ of 3" in render.to_dot(network("rnn, loss at every step", 3), view="cells").source


def test_losses_in_a_list_stand_over_their_cells(drawing):
    ys, _ = nn.RNN(3, 4)(np.ones((3, 2, 3), np.float32))
    head = nn.Linear(4, 2)
    losses = [nn.mse_loss(head(ys[t]), np.zeros((2, 2), np.float32)) for t in range(3)]
    picture = drawing(render.to_dot(mg.Graph(mg.stack(losses).mean()), view="cells").source)
    labels = {node.label.split("\n")[0] for node in picture.nodes.values()}
    assert {"− x² mean", "mean L"} <= labels
    assert not {"L₀", "L₁", "L₂"} & labels


@pytest.mark.parametrize("view", ["ops", "affine"])
def test_a_sum_outside_of_time_may_hold_products(view: str) -> None:
    W, b = (mg.tensor(np.ones((3, 3)), requires_grad=True, name=name) for name in "Wb")
    h, states = mg.tensor(np.ones((2, 3))), []
    for _, x in mg.timesteps(np.ones((3, 2, 3))):
        h = np.tanh(h @ W + x)
        states.append(h)
    mean = mg.stack(states).mean(axis=0)
    y = mean @ W + (mean * 2) @ W + b[0]
    assert "Σ of 3" in render.to_dot(mg.Graph((y**2).sum()), view=view).source


def test_the_gradient_of_a_loss_without_a_name_is_that_of_its_operations(drawing) -> None:
    W = mg.tensor(np.eye(2), requires_grad=True, name="W")
    h, E = mg.tensor(np.ones(2), name="h_init"), 0
    for t in range(2):
        with mg.time_step(t):
            h = np.tanh(h @ W)
            E = E + ((h - 0.3) ** 2).sum()
    graph = mg.Graph(E, *mg.grad(E, [W], create_graph=True))
    labels = [n.label for n in drawing(render.to_dot(graph, view="cells").source).nodes.values()]
    assert labels.count("x² Σ") == labels.count("∂(x² Σ)") == 2
