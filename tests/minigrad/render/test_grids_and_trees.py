"""Grids and trees look like grids and trees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad import render
from minigrad.render.draw import plan
from minigrad.render.group import VIEWS
from minigrad.render.options import checked


def tree(depth: int) -> mg.Graph:
    """A function that calls itself, in a scope each time."""
    W, V = (mg.tensor(np.eye(4) * 0.5, requires_grad=True, name=name) for name in "WV")

    def node(depth: int) -> mg.Tensor:
        with mg.scope("node"):
            if depth == 0:
                return np.tanh(mg.tensor(np.ones((1, 4)), name="leaf") @ W)
            return np.tanh(node(depth - 1) @ W + node(depth - 1) @ V)

    return mg.Graph((node(depth) ** 2).sum())


def grid(n: int) -> mg.Graph:
    """States that come from the left and from below."""
    W, U = (mg.tensor(np.eye(2) * 0.5, requires_grad=True, name=name) for name in "WU")
    h: dict[tuple[int, int], Any] = {}
    for i, _ in mg.timesteps(np.ones(n), axis="row"):
        for j, _ in mg.timesteps(np.ones(n), axis="column"):
            x = mg.tensor(np.ones((1, 2)), name="x")
            h[i, j] = np.tanh(x + h.get((i - 1, j), 0.0) @ W + h.get((i, j - 1), 0.0) @ U) \
                if i and j else np.tanh(x @ W)  # fmt: skip
    return mg.Graph(h[n - 1, n - 1].sum())


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("graph", [tree(2), grid(3)], ids=["tree", "grid"])
def test_nothing_overlaps(drawing, graph: mg.Graph, view: str, backward: bool) -> None:
    picture = drawing(render.to_dot(graph, view=view, backward=backward).source)
    assert picture.overlaps() == picture.spilled() == picture.crossed() == []


def test_the_blocks_of_a_tree_stand_by_their_depth(drawing) -> None:
    """Each call is a box; a parent stands right of its children, at a height between them."""
    picture = drawing(render.to_dot(tree(2), view="blocks").source)
    boxes = [node for node in picture.nodes.values() if node.label.startswith("node")]
    assert len(boxes) == 7
    columns = sorted({round(box.x) for box in boxes})
    assert [sum(round(box.x) == x for box in boxes) for x in columns] == [4, 2, 1]
    leaves, (low, high), (root,) = (
        sorted(box.y for box in boxes if round(box.x) == x) for x in columns
    )
    assert leaves[0] <= low <= leaves[1] < leaves[2] <= high <= leaves[3]
    assert low < root < high


def test_scopes_without_time_are_frames_within_frames() -> None:
    source = render.to_dot(tree(1)).source
    assert source.count('label="node" fontsize=12') == 3


def test_a_chain_without_time_stays_a_row_of_panels() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    source = render.to_dot(mg.Graph(net(np.ones((1, 3), np.float32)).sum())).source
    assert "cluster_l0_c0" in source
    assert "cluster_scope" not in source


def test_states_of_a_grid_go_straight_up(drawing) -> None:
    picture = drawing(render.to_dot(grid(3), view="cells").source)
    cells = {name for name, node in picture.nodes.items() if node.label.startswith("cell")}
    vertical = 0
    for tail, head, points, _ in picture.edges:
        if {tail, head} <= cells and picture.nodes[tail].y < picture.nodes[head].y - 1:
            assert max(x for x, _ in points) - min(x for x, _ in points) < 0.1
            vertical += 1
    assert vertical > 0


def test_an_array_that_several_operations_wrap_is_one_box(drawing) -> None:
    W, U, V = (mg.tensor(np.eye(2), requires_grad=True, name=name) for name in "WUV")
    h = np.zeros((1, 2))
    for _, x in mg.timesteps(np.ones((2, 1, 2))):
        gate = mg.sigmoid(x @ W + h @ V)
        h = gate * h + np.tanh(x @ U)
    labels = [n.label for n in drawing(render.to_dot(mg.Graph(h.sum())).source).nodes.values()]
    assert [labels.count(name) for name in ("x₀", "x₁", "h_init")] == [1, 1, 1]


def test_an_element_of_a_grid_is_named_by_its_places(drawing) -> None:
    W = mg.tensor(np.eye(2), requires_grad=True, name="W")
    xs, h = np.ones((2, 2, 1, 2)), mg.tensor(np.zeros((1, 2)))
    for i, _ in mg.timesteps(np.ones(2), axis="row"):
        for j, _ in mg.timesteps(np.ones(2), axis="column"):
            h = np.tanh(xs[i, j] @ W + h)
    picture = drawing(render.to_dot(mg.Graph(h.sum()), view="cells").source)
    labels = {node.label for node in picture.nodes.values()}
    assert {f"x_{{{i},{j}}}" for i in range(2) for j in range(2)} <= labels


def test_a_state_of_a_hidden_row_comes_from_its_own_column() -> None:
    """The stand-in of an inner step is the same inner step of the last row that is drawn."""
    links = plan(grid(4), checked(steps="0:2,-1:")).picture.links
    ends = [(link.source.tile.column, link.target.tile.column, link.hidden) for link in links]
    over = [(source[-1], target[-1], hidden) for source, target, hidden in ends if hidden]
    assert over == [(1.0, 1.0, 1), (2.0, 2.0, 1), (3.0, 3.0, 1)]
