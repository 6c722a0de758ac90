from __future__ import annotations

import re

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad import render
from tests.minigrad.render.conftest import plain


def skips(steps: int) -> mg.Graph:
    """Edges across one and across three steps."""
    W, U = (mg.tensor(np.eye(2), requires_grad=True, name=name) for name in "WU")
    states = [mg.tensor(np.full((1, 2), k)) for k in (1.0, 2.0, 3.0)]
    for _, x in mg.timesteps(np.ones((steps, 1, 2))):
        states.append(np.tanh(x + states[-1] @ W + states[-3] @ U))
    return mg.Graph(states[-1].sum())


def test_an_input_that_skips_layers_is_one_box(drawing):
    x, layers = mg.tensor(np.ones((2, 3))), [nn.Linear(3, 3) for _ in range(3)]
    y = np.tanh(layers[0](x) + x)
    y = layers[1](y) + x
    picture = drawing(render.to_dot(mg.Graph((layers[2](y) + x).sum())).source)
    (name,) = [name for name, node in picture.nodes.items() if node.label == "x"]
    assert sum(tail == name for tail, *_ in picture.edges) == 4


def test_what_a_layer_takes_from_two_directions_is_no_input(network, drawing):
    for view in ("ops", "cells"):
        picture = drawing(render.to_dot(network("deep bidirectional", 2), view=view).source)
        names = [node.label for node in picture.nodes.values()]
        assert (names.count("x₀"), names.count("x₁"), names.count("concat h")) == (1, 1, 4)


@pytest.mark.parametrize("view", ["ops", "cells"])
def test_edges_from_hidden_steps_come_from_the_last_one_drawn_before_theirs(drawing, view):
    picture = drawing(render.to_dot(skips(12), steps="0:2,-2:", view=view).source)
    dashed = [
        (tail, head, more.get("label"))
        for tail, head, _, more in picture.edges
        if "dashed" in more.get("style", "")
    ]
    steps = {(re.search(r"t\d+", tail)[0], re.search(r"t\d+", head)[0]) for tail, head, _ in dashed}
    assert steps == {("t1", "t10"), ("t1", "t11")}
    assert {label for *_, label in dashed if label} == {"… 8 steps"}
    assert not picture.crossed()


@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_the_state_of_a_padded_step_has_the_whole_gradient_that_its_edges_tell(drawing, cell):
    mg.seed(0)
    y, _ = getattr(nn, cell)(3, 4)(np.ones((3, 2, 3), np.float32), lengths=[3, 2])
    graph = mg.Graph((y**2).mean())
    picture = drawing(render.to_dot(graph, backward=True, view="cells").source)
    told = [
        float(re.search(r"‖∂L/∂h.‖ = ([\d.e-]+)", node.label)[1])
        for node in picture.nodes.values()
        if "‖∂L/∂h" in node.label and node.label.startswith(cell)
    ]
    states = {
        step.node.t: step.grad
        for step in graph.backward_steps()
        if step.node.role and step.node.role.name == "h"
    }
    assert told == [float(f"{np.linalg.norm(states[t]):.2g}") for t in range(3)]
    assert min(told) > 0


def test_a_panel_outside_of_time_is_never_padded(network):
    mg.seed(0)
    words = np.arange(6).reshape(3, 2) % 5
    y, _ = nn.GRU(3, 4)(nn.Embedding(5, 3)(words), lengths=[3, 2])
    source = render.to_dot(mg.Graph(nn.cross_entropy(nn.Linear(4, 5)(y), words))).source
    assert source.count("of 2 rows") == 1
    assert "of 6 rows" not in source


def test_one_step_is_drawn_once_though_both_are_asked_for(network):
    assert (
        render.to_dot(network("lstm", 1), time="both").source
        == render.to_dot(network("lstm", 1)).source
    )


def test_views_of_one_value_are_one_edge_with_the_whole_gradient():
    H = mg.tensor([1.0, 3.0, 2.0, 5.0], requires_grad=True, name="H")
    G = np.tanh(H)
    B = mg.tensor(np.arange(9.0).reshape(3, 3) ** 1.5, requires_grad=True, name="B")
    C = np.tanh(B / 9)
    for loss, value in ((((G[1:] - G[:-1]) ** 2).sum(), G), (((C - C.T) ** 2).sum(), C)):
        (gradient,) = mg.grad(loss, [value])
        source = render.to_dot(mg.Graph(loss), backward=True).source
        assert f"gradient norm {np.linalg.norm(gradient.data):.3g}" in source


def test_a_running_total_is_a_sum_over_all_steps(network, drawing):
    picture = drawing(
        render.to_dot(network("by hand", 12), view="cells", steps="0:2,-2:", backward=True).source
    )
    dashed = {
        (tail, head) for tail, head, _, more in picture.edges if "dashed" in more.get("style", "")
    }
    assert len(dashed) == 1  # of the state
    assert picture.source.count("… 8 steps") == 1
    assert "total = Σ of 12" in {node.label for node in picture.nodes.values()}


@pytest.mark.parametrize("view", ["ops", "cells"])
def test_a_rolled_picture_joins_what_an_encoder_leaves_to_where_a_decoder_begins(
    network, drawing, view
):
    picture = drawing(render.to_dot(network("translation", 3), time="rolled", view=view).source)
    delays = {name for name, node in picture.nodes.items() if node.label == "t−1"}
    into = [(tail, head) for tail, head, *_ in picture.edges if head in delays]
    assert len(delays) == 4
    assert len(into) == 6  # a loop into each, and both states of the encoder into the decoder's


def test_a_rolled_picture_of_a_traced_pass_has_a_delay_both_ways(twice, drawing):
    picture = drawing(render.to_dot(twice("rnn", 4), time="rolled", view="cells").source)
    assert {"t−1", "t+1"} <= {node.label for node in picture.nodes.values()}


def test_a_rolled_edge_tells_the_step_that_is_shown():
    W, h, losses = (
        mg.tensor(np.eye(2), requires_grad=True, name="W"),
        mg.tensor(np.ones((1, 2))),
        [],
    )
    for _, x in mg.timesteps(np.ones((4, 1, 2))):
        h = np.tanh(h @ W + x)
        losses.append((h**2).sum())
    source = render.to_dot(mg.Graph(sum(losses)), time="rolled", backward=True).source
    assert 'gradient norm 1"' in source
    assert 'gradient norm 4"' not in source


def test_each_delay_leads_to_what_reads_that_step(drawing):
    picture = drawing(render.to_dot(skips(6), time="rolled").source)
    tags = {
        name.removesuffix("_w0"): node.label
        for name, node in picture.nodes.items()
        if name.endswith("_w0")
    }
    read = {(picture.nodes[tail].label, tags[head]) for tail, head, *_ in picture.edges
            if picture.nodes[tail].label.startswith("t−")}  # fmt: skip
    assert read == {("t−1", "W"), ("t−3", "U")}


def test_how_often_each_parameter_is_used_is_told_where_it_is_not_seen(network):
    source = plain(render.to_dot(network("lstm", 6), time="rolled", view="cells").source)
    assert "l0.W_xh  3×16 (6 times)" in source
    assert "W  4×2  ·  b  2" in source


def test_a_rolled_picture_of_attention_over_the_past_has_a_delay_for_each_step_back(drawing):
    W, states = mg.tensor(np.eye(2), requires_grad=True, name="W"), [mg.tensor(np.ones((1, 2)))]
    for _, x in mg.timesteps(np.ones((4, 1, 2))):
        past = np.stack(states)
        shares = mg.softmax((past * states[-1]).sum(axis=-1), axis=0)
        states.append(np.tanh(x + (np.expand_dims(shares, -1) * past).sum(axis=0) @ W))
    picture = drawing(render.to_dot(mg.Graph(states[-1].sum()), time="rolled").source)
    assert {"t−1", "t−2", "t−3"} <= {node.label for node in picture.nodes.values()}


def test_a_rolled_state_comes_back_from_where_the_drawn_step_makes_it(drawing) -> None:
    """In the first step, where no row has ended, another line makes it."""
    ys, _ = nn.RNN(2, 3)(np.ones((2, 2, 2), np.float32), lengths=[2, 1])
    picture = drawing(render.to_dot(mg.Graph((ys**2).sum()), time="rolled").source)
    label = {name: node.label for name, node in picture.nodes.items()}
    assert [label[tail] for tail, head, *_ in picture.edges if label[head] == "t−1"] == ["where"]


def test_a_reversed_layer_takes_its_state_from_the_step_after(network, drawing):
    for view in ("ops", "cells"):
        picture = drawing(
            render.to_dot(network("bidirectional", 4), time="rolled", view=view).source
        )
        assert {"t−1", "t+1"} <= {node.label for node in picture.nodes.values()}


def test_a_rolled_picture_shows_the_step_that_the_loss_enters(network, drawing):
    source = render.to_dot(network("lstm", 4), time="rolled", view="cells", backward=True).source
    assert "‖∂L/∂h₃‖" in source
    assert "dir=none" not in next(
        line for line in source.splitlines() if "-> l0_t3_k1 [" in line and "l1_" in line
    )


def test_a_rolled_picture_says_where_steps_differ(network):
    w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0, name="h_init")
    for t in range(4):
        with mg.time_step(t):
            h = np.tanh(w * h) if t % 2 else w * h
    assert "steps differ, drawn is t" in render.to_dot(mg.Graph(h), time="rolled").source
    assert "steps differ" not in render.to_dot(network("gru", 4), time="rolled").source


def test_the_edge_from_an_encoder_tells_the_gradient_that_it_has_unrolled(network):
    graph = network("translation", 3)
    (h,) = [
        x
        for x in graph.nodes
        if x.role and x.role.name == "h" and x.op and x.t == 2 and x.scope.endswith("cell")
    ][:1]
    (gradient,) = [step.grad for step in graph.backward_steps() if step.node is h]
    for time in ("rolled", "unrolled"):
        source = render.to_dot(graph, time=time, view="cells", backward=True).source
        assert f'tooltip="h  gradient norm {np.linalg.norm(gradient):.3g}"' in source


def test_a_learned_initial_state_is_listed_though_its_step_is_not_drawn():
    W = mg.tensor(np.eye(2), requires_grad=True, name="W")
    h = mg.tensor(np.ones((1, 2)), requires_grad=True, name="h_init")
    for _ in mg.timesteps(np.ones((5, 1))):
        h = np.tanh(h @ W)
    graph = mg.Graph(h.sum())
    for options in ({"time": "rolled"}, {"steps": "2:"}, {"view": "cells"}):
        assert "h_init  1×2   ‖∂L/∂h_init‖" in plain(
            render.to_dot(graph, backward=True, **options).source
        )


def test_a_single_step_that_is_written_out_is_a_cell_too(drawing):
    W, U = (mg.tensor(np.eye(2), requires_grad=True, name=name) for name in "WU")
    h, c = mg.tensor(np.ones((1, 2)), name="h_init"), mg.tensor(np.ones((1, 2)), name="c_init")
    for _, x in mg.timesteps(np.ones((1, 1, 2))):
        c = np.tanh(h @ W) * c + x @ U
        h = np.tanh(c)
    picture = drawing(render.to_dot(mg.Graph((h**2).sum()), view="cells").source)
    assert {"cell", "h_init", "c_init", "x₀"} <= {node.label for node in picture.nodes.values()}


def nested() -> mg.Graph:
    """A loop of two steps inside of each step."""
    W, V = (mg.tensor(np.eye(2), requires_grad=True, name=name) for name in "WV")
    h = mg.tensor(np.ones((1, 2)), name="h_init")
    for _, x in mg.timesteps(np.ones((3, 1, 2))):
        u = h
        for _ in mg.timesteps(np.ones(2), axis="inner"):
            u = np.tanh(u @ V + x)
        h = np.tanh(u @ W)
    return mg.Graph((h**2).sum())


@pytest.mark.parametrize("view", ["ops", "cells"])
def test_an_inner_loop_has_a_frame_around_its_steps(drawing, view):
    source = render.to_dot(nested(), view=view).source
    picture = drawing(source)
    assert picture.overlaps() == picture.crossed() == picture.spilled() == []
    for t in range(3):
        assert f'label="time = {t}"' in source
    if view == "ops":
        assert "time = 2, inner = 1" in source


def test_a_rolled_picture_of_an_inner_loop_shows_its_steps_and_one_delay(drawing):
    picture = drawing(render.to_dot(nested(), time="rolled").source)
    assert sum(node.label == "t−1" for node in picture.nodes.values()) == 1
    assert "inner = 1" in picture.source
    assert picture.overlaps() == picture.crossed() == []


@pytest.mark.parametrize("view", ["ops", "cells"])
def test_a_grid_is_a_grid(drawing, view):
    W, U = (mg.tensor(np.eye(2), requires_grad=True, name=name) for name in "WU")
    states = {}
    for i, _ in mg.timesteps(np.ones(3), axis="row"):
        for j, _ in mg.timesteps(np.ones(3), axis="col"):
            a = mg.tensor(np.ones((1, 2)), requires_grad=True, name="x")
            a = a + states[i - 1, j] @ W if i else a
            a = a + states[i, j - 1] @ U if j else a
            states[i, j] = np.tanh(a)
    picture = drawing(render.to_dot(mg.Graph(states[2, 2].sum()), view=view).source)
    assert picture.overlaps() == picture.crossed() == []
    kind = "cell" if view == "cells" else "tanh"
    ids = [name for name, node in picture.nodes.items() if node.label.startswith(kind)]
    rows = {row: [picture.nodes[n] for n in ids if n.startswith(row)] for row in ("l0", "l1", "l2")}
    assert [len(nodes) for nodes in rows.values()] == [3, 3, 3]
    lows = [min(node.y for node in nodes) for nodes in rows.values()]
    assert lows == sorted(lows)
    assert all(nodes == sorted(nodes, key=lambda node: node.x) for nodes in rows.values())
