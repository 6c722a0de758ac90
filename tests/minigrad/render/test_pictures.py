from __future__ import annotations

import re

import numpy as np
import pytest

import minigrad as mg
from minigrad import render

NAMES = (
    *("rnn", "lstm", "gru", "gru before", "lstm, loss at every step", "stacked", "bidirectional"),
    *("deep bidirectional", "by hand", "skips"),
)


@pytest.mark.parametrize("view", render.VIEWS)
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_overlaps_spills_or_is_crossed(network, drawing, name, view, backward):
    picture = drawing(render.to_dot(network(name, 3), view=view, backward=backward).source)
    assert picture.nodes
    assert picture.overlaps() == []
    assert picture.spilled() == []
    assert picture.crossed() == []
    assert min(picture.fonts()) >= 11


def test_the_same_program_gives_the_same_text(network):
    first, second = (render.to_dot(network("lstm", 3), backward=True).source for _ in range(2))
    assert first == second
    assert "0x" not in first


def test_every_operation_and_every_edge_of_the_graph_is_drawn_once(drawing):
    w, h = mg.tensor(0.2, requires_grad=True, name="w"), mg.tensor(0.9, name="h_init")
    for t in range(3):
        with mg.time_step(t):
            h = w * h
    picture = drawing(render.to_dot(mg.Graph(h)).source)
    assert sorted((tail, head) for tail, head, *_ in picture.edges) == [
        ("l0_t0_k0", "l0_t1_k0"),
        ("l0_t0_k1", "l0_t0_k0"),
        ("l0_t1_k0", "l0_t2_k0"),
        ("rail0", "l0_t0_k0"),
        ("rail0", "l0_t1_k0"),
        ("rail0", "l0_t2_k0"),
    ]
    assert picture.nodes["rail0"].label == "w"
    assert [picture.nodes[f"l0_t{t}_k0"].label for t in range(3)] == ["×"] * 3


def test_backward_reverses_edges_and_tells_the_norms_of_the_gradients(drawing):
    w, h = mg.tensor(0.2, requires_grad=True, name="w"), mg.tensor(0.9, name="h_init")
    for t in range(3):
        with mg.time_step(t):
            h = w * h
    graph = mg.Graph(h)
    picture = drawing(render.to_dot(graph, backward=True).source)
    edges = {(tail, head): attributes for tail, head, _, attributes in picture.edges}
    assert ("l0_t2_k0", "l0_t1_k0") in edges
    assert ("l0_t1_k0", "l0_t2_k0") not in edges
    assert edges["l0_t2_k0", "l0_t1_k0"]["tooltip"] == "gradient norm 0.2"
    assert edges["l0_t1_k0", "l0_t0_k0"]["tooltip"] == "gradient norm 0.04"
    assert [edges[f"l0_t{t}_k0", "rail0"]["label"] for t in range(3)] == ["0.036"] * 3
    assert "‖∂L/∂w‖ = 0.11" in picture.nodes["rail0"].label
    assert "t = 1   ‖∂L/∂h‖ = 0.2" in picture.source
    assert w.grad is None


def test_a_gradient_that_is_zero_is_white_and_dashed(drawing):
    w = mg.tensor([1.0, 2.0], requires_grad=True, name="w")
    with mg.time_step(0):
        a = np.tanh(w) * 0.0
    source = render.to_dot(mg.Graph(a.sum()), backward=True).source
    (tanh,) = [line for line in source.splitlines() if 'label="tanh"' in line]
    assert 'fillcolor="#FFFFFF"' in tanh
    assert "dashed" in tanh


def test_the_colour_bar_holds_every_norm(network):
    graph = network("rnn", 12)
    source = render.to_dot(graph, backward=True).source
    lo, hi = map(float, re.search(r"scale\).*?1e(-?\d+) .*1e(-?\d+)</td>", source).groups())
    norms = [float(n) for n in re.findall(r"gradient norm ([\d.e+-]+)", source)]
    assert 10**lo <= min(n for n in norms if n)
    assert max(norms) <= 10**hi


def test_one_tile_serves_all_steps_of_a_cell(network, monkeypatch):
    from minigrad.render import engine

    asked = []
    layouts = engine.layouts
    monkeypatch.setattr(engine, "layouts", lambda texts: asked.append(list(texts)) or layouts(texts))
    render.to_dot(network("lstm", 4), steps="all")
    render.to_dot(network("lstm", 40), steps="all")
    assert asked[0] == asked[len(asked) // 2]


def test_a_long_graph_leaves_out_its_middle_and_says_how_much(network, drawing):
    source = render.to_dot(network("lstm", 60)).source
    assert "… 56 steps" in source
    for t in (0, 1, 58, 59):
        assert f"t = {t}" in source
    assert "t = 30" not in source
    assert "t = 30" in render.to_dot(network("lstm", 60), steps="all").source
    cells = render.to_dot(network("lstm", 60), view="cells").source
    assert "… 54 steps" in cells
    assert "used 60 times" in cells


def test_steps_are_chosen_by_slices(network):
    source = render.to_dot(network("rnn", 9), steps="0:1,4,-2:").source
    assert [t for t in range(9) if f"t = {t}" in source] == [0, 4, 7, 8]


def test_a_reversed_layer_runs_from_right_to_left(network, drawing):
    picture = drawing(render.to_dot(network("bidirectional", 3)).source)
    reverse = [k for k in (0, 1) if f"cluster_l{k}_t0" in picture.source]
    lanes = [points for _, _, points, attributes in picture.edges if attributes.get("label") == "h"]
    assert reverse == [0, 1]
    assert sum(points[-1][0] > points[1][0] for points in lanes) == 2
    assert sum(points[-1][0] < points[1][0] for points in lanes) == 2


def test_labels_survive_whatever_is_in_them(tmp_path):
    name = 'a<b>{c}|d"\\e & αβ 数'
    w = mg.tensor(2.0, requires_grad=True, name=name)
    long = mg.tensor(3.0, requires_grad=True, name="n" * 300)
    with mg.time_step(0):
        y = w * long
    svg = tmp_path / "picture.svg"
    render.render(mg.Graph(y), svg)
    text = svg.read_text()
    assert "a&lt;b&gt;{c}|d" in text
    assert "αβ" in text
    assert "nnnn…nnnn" in text


def test_count_from_one_prints_the_numbers_of_the_documents(network):
    source = render.to_dot(network("rnn", 3), count_from=1).source
    assert "x₃" in source
    assert "x₀" not in source
    assert "t = 3" in source


def test_a_subtraction_shows_which_operand_is_subtracted(network):
    assert 'headlabel="−"' in render.to_dot(network("by hand", 2)).source


def test_highlighted_nodes_have_a_thick_red_border(network):
    graph = network("rnn", 3)
    (node,) = graph.find(op="tanh", t=1)
    source = render.to_dot(graph, highlight=[node]).source
    assert len(re.findall(r'color="#B31412" penwidth=3.20', source)) == 1


def test_a_graph_without_time_is_drawn_too(drawing):
    W = mg.tensor(np.ones((3, 2)), requires_grad=True, name="W")
    b = mg.tensor(np.ones(2), requires_grad=True, name="b")
    loss = (np.tanh(np.ones((4, 3)) @ W + b) ** 2).mean()
    picture = drawing(render.to_dot(mg.Graph(loss)).source)
    assert {"@", "+", "tanh", "x²", "loss", "W", "b"} <= {node.label for node in picture.nodes.values()}
    assert picture.overlaps() == picture.crossed() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"view": "boxes"}, "ops, affine, cells"),
        ({"steps": "some"}, '"0:2,-2:"'),
    ],
)
def test_an_unknown_choice_names_the_choices(network, options, message):
    with pytest.raises(ValueError, match=message):
        render.to_dot(network("rnn", 3), **options)
