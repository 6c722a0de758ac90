from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad import render
from minigrad.render import look as style
from minigrad.render.draw import plan
from minigrad.render.group import VIEWS
from minigrad.render.options import checked
from tests.minigrad.render.conftest import plain

NAMES = (
    *("rnn", "lstm", "gru", "gru before", "lstm, loss at every step", "stacked", "bidirectional"),
    *(
        "deep bidirectional",
        "by hand",
        "skips",
        "masked",
        "attention",
        "attention after the loop",
        "translation",
        "embedded",
    ),
)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_overlaps_spills_or_is_crossed(network, drawing, name, view, backward):
    picture = drawing(render.to_dot(network(name, 3), view=view, backward=backward).source)
    assert picture.nodes
    assert picture.overlaps() == []
    assert picture.spilled() == []
    assert picture.crossed() == []
    assert min(picture.fonts()) >= 11


@pytest.mark.parametrize("view", ["ops", "cells"])
@pytest.mark.parametrize("steps", [1, 2, 6])
@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_steps(network, drawing, name, steps, view):
    picture = drawing(
        render.to_dot(network(name, steps), view=view, backward=True, steps="all").source
    )
    assert picture.overlaps() == picture.crossed() == picture.spilled() == []


CELLS = sorted(path.stem for path in Path("demos/custom_cells").glob("[a-z]*.py"))


@pytest.mark.parametrize("time", ["unrolled", "rolled"])
@pytest.mark.parametrize("module", CELLS)
def test_cells_of_the_demos(drawing, module, time):
    cells = importlib.import_module(f"demos.custom_cells.{module}")
    for cell in vars(cells).values():
        if (
            isinstance(cell, type)
            and issubclass(cell, nn.Cell)
            and cell.__module__ == cells.__name__
        ):
            y, _ = nn.Unroll(cell(3, 4))(np.ones((3, 2, 3), np.float32))
            picture = drawing(
                render.to_dot(mg.Graph((y[-1] ** 2).mean()), time=time, backward=True).source
            )
            assert picture.overlaps() == picture.crossed() == picture.spilled() == []


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
        ("l0_t0_k0_w0", "l0_t0_k0"),
        ("l0_t0_k1", "l0_t0_k0"),
        ("l0_t1_k0", "l0_t2_k0"),
        ("l0_t1_k0_w0", "l0_t1_k0"),
        ("l0_t2_k0_w0", "l0_t2_k0"),
    ]
    assert [picture.nodes[f"l0_t{t}_k0_w0"].label for t in range(3)] == ["w"] * 3
    assert picture.nodes["weights"].label == "w"
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
    assert edges["l0_t2_k0", "l0_t1_k0"]["tooltip"] == "h  gradient norm 0.2"
    assert edges["l0_t1_k0", "l0_t0_k0"]["tooltip"] == "h  gradient norm 0.04"
    assert [picture.nodes[f"l0_t{t}_k0_w0"].label for t in range(3)] == ["w 0.036"] * 3
    assert "‖∂L/∂w‖ = 0.11" in picture.nodes["weights"].label
    assert "t = 1   ‖∂L/∂h₁‖ = 0.2" in picture.source
    assert w.grad is None


def test_a_gradient_that_is_zero_is_white_and_dashed(drawing):
    w = mg.tensor([1.0, 2.0], requires_grad=True, name="w")
    with mg.time_step(0):
        a = np.tanh(w) * 0.0
    source = render.to_dot(mg.Graph(a.sum()), backward=True).source
    (tanh,) = [line for line in source.splitlines() if 'label="tanh"' in line]
    assert 'fillcolor="#FFFFFF"' in tanh
    assert "dashed" in tanh


def test_the_colour_bar_holds_what_flows_from_state_to_state_and_says_what_lies_outside(network):
    graph = network("rnn", 12)
    source = render.to_dot(graph, backward=True).source
    found = re.search(r'scale\) *(≤ )?10([⁻⁰¹²³]+)"[^~]*?label="(≥ )?10([⁻⁰¹²³]+)"', source)
    digits = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    lo, hi = (float(found[k].translate(digits)) for k in (2, 4))
    states = [float(n) for n in re.findall(r'tooltip="h  gradient norm ([\d.e+-]+)', source)]
    norms = [float(n) for n in re.findall(r"gradient norm ([\d.e+-]+)", source)]
    assert 10**lo <= min(states)
    assert max(states) <= 10**hi
    assert bool(found[1]) == (min(n for n in norms if n) < 10**lo)
    assert bool(found[3]) == (max(norms) > 10**hi)


def test_one_tile_serves_all_steps_of_a_cell(network, monkeypatch):
    from minigrad.render import graphviz_run as engine

    asked = []
    layouts = engine.layouts
    monkeypatch.setattr(
        engine, "layouts", lambda texts: asked.append(list(texts)) or layouts(texts)
    )
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
    assert "60 times" in cells


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
    assert {"@", "+", "tanh", "x²", "mean loss", "W", "b"} <= {
        node.label for node in picture.nodes.values()
    }
    assert picture.overlaps() == picture.crossed() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"view": "boxes"}, "'ops', 'affine', 'blocks', 'cells'"),
        ({"time": "folded"}, "'unrolled', 'rolled', 'both'"),
        ({"fit": "page"}, "'slide', 'column'"),
        ({"per_row": 0}, "positive"),
        ({"steps": "some"}, '"0:2,-2:"'),
    ],
)
def test_an_unknown_choice_names_the_choices(network, options, message):
    with pytest.raises(ValueError, match=message):
        render.to_dot(network("rnn", 3), **options)


def test_an_unknown_option_names_the_options(network):
    with pytest.raises(TypeError, match="'backwards'.*view, time, steps, backward"):
        render.to_dot(network("rnn", 3), backwards=True)


@pytest.mark.parametrize("name", ["lstm", "by hand", "stacked"])
@pytest.mark.parametrize("view", ["ops", "cells"])
def test_a_rolled_picture_has_one_step_and_delays(network, drawing, name, view):
    picture = drawing(render.to_dot(network(name, 5), time="rolled", view=view).source)
    assert "t−1" in {node.label for node in picture.nodes.values()}
    assert "xₜ" in {node.label for node in picture.nodes.values()}
    assert picture.overlaps() == picture.crossed() == picture.spilled() == []
    assert len(picture.nodes) < len(
        drawing(render.to_dot(network(name, 5), view=view).source).nodes
    )


def test_rolled_and_unrolled_stand_side_by_side_on_one_scale(network, drawing):
    picture = drawing(
        render.to_dot(network("lstm", 4), time="both", view="cells", backward=True).source
    )
    left = [node for name, node in picture.nodes.items() if not name.startswith("u_")]
    right = [node for name, node in picture.nodes.items() if name.startswith("u_")]
    assert max(n.x + n.width / 2 for n in left) < min(n.x - n.width / 2 for n in right)
    assert 'label="="' in picture.source
    assert picture.overlaps() == []


@pytest.mark.parametrize("name", ["lstm", "lstm, loss at every step", "bidirectional"])
@pytest.mark.parametrize("view", ["ops", "cells"])
def test_steps_wrap_like_text(network, drawing, name, view):
    picture = drawing(render.to_dot(network(name, 7), per_row=3, view=view, steps="all").source)
    assert picture.overlaps() == picture.crossed() == []
    columns = {round(n.y) for n in picture.nodes.values() if n.label.startswith("x")}
    assert len(columns) >= 3


@pytest.mark.parametrize(("fit", "width", "height"), [("slide", 1920, 1080), ("column", 800, 1200)])
@pytest.mark.parametrize("name", ["rnn", "lstm, loss at every step"])
def test_no_text_is_under_twelve_pixels_at_the_chosen_fit(
    network, drawing, fit, width, height, name
):
    picture = drawing(render.to_dot(network(name, 12), fit=fit, backward=True).source)
    left, bottom, right, top = map(float, re.search(r' bb="([^"]*)"', picture.source)[1].split(","))
    pixels = min(width / (right - left), height / (top - bottom))
    assert min(picture.fonts()) * pixels >= 12 * 0.99
    assert f'size="{width / 96:g},{height / 96:g}!"' in picture.source


def test_what_a_fit_left_out_is_said(network):
    source = render.to_dot(network("lstm", 30), fit="column").source
    assert "more does not fit" in source.replace("\\l", " ")


def test_cuts_and_limits_are_marked(network):
    graph = network("lstm", 4)
    assert render.to_dot(graph.clip_edges(max_norm=0.5)).source.count("≤ 0.5") == 6
    cut = render.to_dot(graph.truncate(2)).source
    assert cut.count("✂") == 2
    assert '#D93025" penwidth=1.70 style=dashed' in cut


def test_a_traced_backward_pass_stands_in_a_row_above_the_forward_pass(drawing):
    W, h = (
        mg.tensor(np.eye(2) * 0.5, requires_grad=True, name="W"),
        mg.tensor(np.ones((1, 2)), name="h_init"),
    )
    for t in range(3):
        with mg.time_step(t):
            h = np.tanh(h @ W)
    loss = (h**2).sum()
    picture = drawing(render.to_dot(mg.Graph(loss, *mg.grad(loss, W, create_graph=True))).source)
    assert "backward, t = 1" in picture.source
    assert "Σ ∂W" in {node.label for node in picture.nodes.values()}
    assert picture.overlaps() == picture.crossed() == []
    forward = [n for name, n in picture.nodes.items() if name.startswith("l0_t")]
    back = [n for name, n in picture.nodes.items() if name.startswith("l2_t")]
    assert max(n.y for n in forward) < min(n.y for n in back)


def test_strips_share_one_scale(network, drawing, tmp_path):
    graphs = {"short": network("rnn", 3), "long <&>": network("rnn", 9)}
    source = render.compare(graphs).to_dot().source
    assert source.count("log scale") == 1
    assert "long <&amp;>" in source
    assert drawing(source).overlaps() == []
    path = tmp_path / "flow.svg"
    assert render.compare(graphs).render(path, fit="slide") == str(path)
    with pytest.raises(ValueError, match="found none"):
        render.compare({})


def test_a_flip_book_keeps_its_layout_and_colours_step_by_step(network, drawing, tmp_path):
    paths = render.frames(network("rnn", 3), tmp_path / "book", suffix="gv")
    pictures = [drawing(Path(path).read_text()) for path in paths]
    places = [{name: (n.x, n.y) for name, n in p.nodes.items()} for p in pictures]
    assert len(paths) == 4
    assert all(p == places[0] for p in places)
    coloured = [p.source.count("gradient norm 0") for p in pictures]
    assert coloured == sorted(coloured)
    assert "4 of 4: back to t = 0" in pictures[-1].source


@pytest.fixture
def command_line(monkeypatch):
    """The command, with what it changes of the running Python put back."""
    from minigrad.render.__main__ import main

    monkeypatch.setattr("sys.argv", ["render"])
    monkeypatch.setattr("sys.path", list(sys.path))
    return main


def test_the_command_line_draws_a_program_that_it_does_not_change(tmp_path, capsys, command_line):
    program = tmp_path / "train.py"
    program.write_text(
        "import numpy as np, nn, sys\n"
        "y, h = nn.RNN(1, 8)(np.ones((4, 1, 1)))\n"
        "loss = (y[-1] ** 2).mean()\n"
        "if len(sys.argv) > 1: loss.backward(); print('not reached')\n"
    )
    for k, arguments in enumerate(
        [[str(program)], [str(program), "--train"], [str(program), "--", "-o"]]
    ):
        path = tmp_path / f"picture{k}.svg"  # the options before the program or behind it
        own = ["-o", str(path), "--view", "cells"]
        assert command_line([*own, *arguments] if k != 1 else [*arguments, *own]) == 0
        assert path.read_text().startswith("<?xml")
    out = capsys.readouterr().out
    assert "Graph: 4 time steps" in out
    assert "not reached" not in out
    for wrong in (
        ["-o", str(tmp_path / "p.bmpx")],
        ["--steps", "some"],
        ["--pass", "0"],
    ):  # before the program is run
        with pytest.raises(SystemExit):
            command_line([*wrong, str(program)])
    assert "suffix" in (said := capsys.readouterr().err)
    assert "slices" in said
    assert "counts from 1" in said
    assert command_line(["-o", str(tmp_path / "third.svg"), "--pass", "3", str(program)]) == 1
    assert "no backward pass number 3" in capsys.readouterr().err


def test_the_command_line_says_what_it_cannot_draw(tmp_path, capsys, command_line):
    program, path = tmp_path / "train.py", str(tmp_path / "p.svg")
    with pytest.raises(SystemExit):
        command_line([str(program)])
    assert f"there is no file {program}" in capsys.readouterr().err
    program.write_text("a = 1\n")
    assert command_line([str(program), "-o", path]) == 1
    assert "no backward pass, and no variable `loss`" in capsys.readouterr().err
    program.write_text("import minigrad as mg\nloss = mg.tensor(1.0, requires_grad=True)\n")
    assert command_line([str(program), "-o", path]) == 1
    assert "no operation to draw" in capsys.readouterr().err
    assert not (tmp_path / "p.svg").exists()


def test_the_command_line_draws_the_pass_that_is_asked_for(tmp_path, capsys, command_line):
    program = tmp_path / "train.py"
    program.write_text(
        "import minigrad as mg\n"
        "w = mg.tensor(2.0, requires_grad=True)\n"
        "(w * w).backward()\n"
        "print(w.grad.item())\n"
        "(w * w + w).backward()\n"
        "print('not reached')\n"
    )
    path = tmp_path / "p.gv"
    assert command_line(["--pass", "2", "-o", str(path), "--per-row", "3", str(program)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "4.0"
    assert "2 operations" in out
    assert "not reached" not in out


def test_the_command_line_draws_what_mg_grad_walks(tmp_path, capsys, command_line):
    program = tmp_path / "train.py"
    program.write_text(
        "import minigrad as mg\n"
        "w = mg.tensor(2.0, requires_grad=True)\n"
        "try: mg.grad(w * w, w)\n"
        "except: pass\n"
        "print('went on')\n"
    )
    assert command_line(["-o", str(tmp_path / "p.svg"), str(program)]) == 0
    assert "1 operation" in capsys.readouterr().out


def test_a_rolled_picture_tells_apart_what_one_line_makes_twice_in_a_step(drawing):
    W, h = (
        mg.tensor(np.eye(2) * 0.5, requires_grad=True, name="W"),
        mg.tensor(np.ones((1, 2)), name="h_init"),
    )
    for _, x in mg.timesteps(np.ones((3, 1, 2))):
        h = h + x
        for _ in range(2):
            h = np.tanh(h @ W)
    picture = drawing(render.to_dot(mg.Graph((h**2).sum()), time="rolled").source)
    (delay,) = [name for name, node in picture.nodes.items() if node.label == "t−1"]
    (maker,) = [tail for tail, head, *_ in picture.edges if head == delay]
    last = max(
        (n for n in picture.nodes if picture.nodes[n].label == "tanh"),
        key=lambda n: picture.nodes[n].x,
    )
    assert maker == last


def test_a_rolled_picture_has_a_delay_for_every_edge_across_steps(drawing):
    w, hs = mg.tensor(0.5, requires_grad=True, name="w"), [mg.tensor(1.0, name="h_init")] * 3
    for t in range(6):
        with mg.time_step(t):
            hs.append(w * hs[-1] + np.tanh(hs[-3]))
    picture = drawing(render.to_dot(mg.Graph(hs[-1]), time="rolled").source)
    assert {"t−1", "t−3"} <= {node.label for node in picture.nodes.values()}


def test_a_rolled_picture_says_at_how_many_steps_an_edit_stands(network):
    graph = network("rnn", 5)
    assert "✂ at 2 of 4" in render.to_dot(graph.truncate(2), time="rolled").source
    assert "≤ 1" in render.to_dot(graph.clip_edges(max_norm=1), time="rolled").source


def test_an_initial_state_used_often_is_no_parameter(drawing):
    w, hs = mg.tensor(0.5, requires_grad=True, name="w"), [mg.tensor(1.0, name="h_init")] * 3
    for t in range(5):
        with mg.time_step(t):
            h = w * hs[-1] + np.tanh(hs[-3])
            hs.append(h)
    picture = drawing(render.to_dot(mg.Graph(hs[-1])).source)
    assert picture.nodes["weights"].label == "w"
    assert "h_init" in {node.label for node in picture.nodes.values()}


def test_only_the_mask_of_the_unroller_dims_a_step(network):
    assert 'fillcolor="#E8EAED"' in render.to_dot(network("masked", 3)).source
    assert "1 of 2 rows" in render.to_dot(network("masked", 3), view="cells").source
    w, h = mg.tensor(0.5, requires_grad=True), mg.tensor(np.ones(4))
    for t in range(3):
        with mg.time_step(t):
            h = np.where([True, False, True, False], w * h, h)
    assert " rows" not in render.to_dot(mg.Graph(h.sum())).source


def test_a_share_that_is_zero_is_white_and_dashed():
    w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(0.0, name="h_init")
    for t in range(3):
        with mg.time_step(t):
            h = w * h
    source = render.to_dot(mg.Graph(h), backward=True).source
    tags = [line for line in source.splitlines() if re.search(r"_w0 \[pos", line)]
    assert len(tags) == 3
    assert all("dashed" in line and 'fillcolor="#FFFFFF"' in line for line in tags)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_has_a_colour_of_its_own(value):
    w, h = mg.tensor(1.0, requires_grad=True, name="w"), mg.tensor(0.9)
    for t in range(3):
        with mg.time_step(t):
            h = w * h * (value if t == 1 else 1.0)
    source = render.to_dot(mg.Graph(h), backward=True).source
    assert style.NOT_FINITE in source
    assert "NaN or ∞" in source


def test_what_lies_below_the_colour_bar_is_said(network):
    w, h = mg.tensor(1e-3, requires_grad=True, name="w"), mg.tensor(0.9)
    for t in range(9):
        with mg.time_step(t):
            h = w * h
    assert "≤ 10⁻" in re.sub(r"\s", " ", render.to_dot(mg.Graph(h), backward=True).source)


@pytest.mark.parametrize("steps", ["0:2", "3:", "1,3", "-1:"])
def test_steps_that_are_not_drawn_are_always_counted(network, steps):
    source = render.to_dot(network("rnn", 6), steps=steps).source
    drawn = {"0:2": 2, "3:": 3, "1,3": 2, "-1:": 1}[steps]
    assert f"not drawn: {6 - drawn} of 6 steps" in source


def test_steps_that_choose_nothing_are_refused(network):
    with pytest.raises(ValueError, match="none of the 3 steps"):
        render.to_dot(network("rnn", 3), steps="7:9")


def test_what_no_fit_can_show_is_said(drawing):
    x = mg.tensor(np.ones((1, 4)), requires_grad=True)
    for k in range(300):
        x = np.tanh(x) if k % 2 else x * 1.5
    source = render.to_dot(mg.Graph(x.sum()), fit="column", view="cells").source
    left, bottom, right, top = map(float, re.search(r' bb="([^"]*)"', source)[1].split(","))
    pixels = 11 * min(800 / (right - left), 1200 / (top - bottom))
    assert pixels >= 11.8 or "no smaller picture of it is known" in source


def feed_forward() -> mg.Graph:
    mg.seed(0)
    net = nn.Sequential(nn.Linear(3, 8), mg.tanh, nn.Linear(8, 2))
    return mg.Graph(nn.mse_loss(net(np.ones((5, 3), np.float32)), np.zeros((5, 2), np.float32)))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("backward", [False, True])
def test_a_network_without_time_has_a_panel_or_a_cell_for_each_layer(drawing, view, backward):
    source = render.to_dot(feed_forward(), view=view, backward=backward).source
    picture = drawing(source)
    assert picture.overlaps() == picture.crossed() == picture.spilled() == []
    assert "x" in {node.label for node in picture.nodes.values()}
    if view == "cells":
        assert sum(node.label.startswith("Linear\n") for node in picture.nodes.values()) == 2
    else:
        heading = "Sequential" if view == "blocks" else "Sequential.0"
        assert heading in source


def test_rolled_and_unrolled_of_a_network_without_time_is_one_picture():
    assert render.to_dot(feed_forward(), time="both").source == render.to_dot(feed_forward()).source


def test_a_step_that_is_picked_from_a_stack_is_highlighted_where_it_is_made() -> None:
    w, h, states = mg.tensor(0.5, requires_grad=True), mg.tensor(np.ones(2)), []
    for t in range(4):
        with mg.time_step(t):
            h = np.tanh(w * h)
            states.append(h)
    picked = mg.stack(states)[2]
    made = plan(mg.Graph((picked**2).sum() + states[0].sum()), checked(highlight=picked))
    (box,) = made.marked
    assert box.nodes == (states[2],)


def test_highlighted_nodes_that_are_not_drawn_are_counted_and_strangers_refused(network):
    graph = network("rnn", 12)
    hidden = graph.find(t=5)
    assert (
        f"not drawn: {len({*hidden})} of"
        in render.to_dot(graph, steps="0:2,-2:", highlight=hidden).source
    )
    source = plain(render.to_dot(graph, highlight=graph.parameters["l0.W_hh"]).source)
    tags = [line for line in source.splitlines() if re.search(r"_w0 \[.*W_hh", line)]
    assert tags
    assert all('color="#B31412" penwidth=2.40' in tag for tag in tags)
    assert "▶ l0.W_hh" in source
    with pytest.raises(ValueError, match="is no node of the graph"):
        render.to_dot(graph, highlight=mg.tensor(1.0))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "stacked", "bidirectional", "by hand"])
def test_gradients_of_gradients_do_not_overlap(twice, drawing, name, view):
    graph = twice(name)
    total = mg.Graph(sum((y**2).sum() for y in graph.outputs))
    for picture in (
        render.to_dot(graph, view=view),
        render.to_dot(total, view=view, backward=True),
    ):
        found = drawing(picture.source)
        assert found.overlaps() == found.spilled() == found.crossed() == []


def test_an_output_and_a_loss_at_every_step_are_drawn_over_their_cell(network, drawing):
    for name in ("rnn, loss at every step", "by hand", "bidirectional"):
        picture = drawing(render.to_dot(network(name, 3), view="cells").source)
        at = {node.label.split("\n")[0]: node for node in picture.nodes.values()}
        losses = [node for node in picture.nodes.values() if node.label == "− x² mean"]
        losses.sort(key=lambda node: node.x)
        for t, loss in zip("₀₁₂", losses, strict=True):
            output = next(node for label, node in at.items() if label in (f"o{t}", f"Linear{t}"))
            assert output.x == pytest.approx(loss.x, abs=0.1)
            assert loss.y > output.y


def test_a_loss_in_a_loop_of_its_own_stands_with_its_steps(drawing):
    ys, _ = nn.Unroll(nn.RNNCell(3, 4))(np.ones((3, 2, 3), np.float32))
    head, total = nn.Linear(4, 2), 0.0
    for _, y in mg.timesteps(ys):
        total = total + (head(y) ** 2).mean()
    picture = drawing(render.to_dot(mg.Graph(total), view="cells").source)
    cells = [node for node in picture.nodes.values() if node.label == "RNN"]
    losses = [node for node in picture.nodes.values() if node.label == "x² mean"]
    assert sorted(round(n.x) for n in losses) == sorted(round(n.x) for n in cells)


def test_words_enter_as_inputs_with_their_table(network, drawing):
    picture = drawing(render.to_dot(network("embedded", 3)).source)
    labels = {name: node.label for name, node in picture.nodes.items()}
    assert {"x₀", "x₁", "x₂"} <= set(labels.values())
    (lookup,) = [name for name, label in labels.items() if label == "pick" and "_c" in name]
    assert labels[f"{lookup}_w0"] == "W"
    entered = {labels[head] for tail, head, *_ in picture.edges if tail == lookup}
    assert entered == {"x₀", "x₁", "x₂"}


def test_the_sum_of_a_parameters_gradient_is_always_there(network):
    for view in VIEWS:
        for options in ({}, {"per_row": 2}):
            source = render.to_dot(network("gru", 3), view=view, backward=True, **options).source
            assert "‖∂L/∂l0.W_hh‖" in plain(source)


def test_each_state_is_named_once_in_a_gutter(network):
    source = render.to_dot(network("gru", 3)).source
    assert len(re.findall(r' label="h" ', source)) == 2


@pytest.mark.parametrize(
    "text", ['<>{}|"', "yyyyyyyyyy", "ЖЖЖЖ", "l0.W_xh  3×16", "‖∂L/∂h‖ = 0.0123", "tanh g", "Σ dW"]
)
def test_the_width_of_text_is_that_of_the_widest_font(text):
    import json

    from minigrad.render import graphviz_run as engine
    from minigrad.render import typeset

    for font in (11, 12, 13, 14):
        form = f'digraph {{ a [margin=0 width=0 height=0 shape=box fontname="DejaVu Sans" fontsize={font} label=%s] }}'
        (node, *_) = json.loads(engine.run(form % typeset.label(text, font), "json0"))["objects"]
        assert style.text_width(text, font) >= float(node["width"]) * 72 - 3


def test_a_picture_longer_than_four_pages_is_wrapped(network, drawing):
    source = render.to_dot(network("lstm", 40), steps="all", view="cells").source
    left, _, right, _ = map(float, re.search(r' bb="([^"]*)"', source)[1].split(","))
    assert right - left < 4000
    picture = drawing(source)
    assert len({round(n.y) for n in picture.nodes.values() if "LSTM" in n.label}) > 1
    assert picture.overlaps() == picture.crossed() == picture.spilled() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 2}, "steps: .* found 2"),
        ({"scale": 3}, "scale: the decades"),
        ({"scale": (1, 1)}, "scale: the decades"),
        ({"scale": (float("nan"), 1)}, "scale: the decades"),
        ({"highlight": 3}, "highlight: nodes"),
        ({"highlight": "h"}, "highlight: nodes"),
        ({"count_from": 1.5}, "count_from: the number"),
        ({"backward": "no"}, "backward: one of False, True"),
        ({"per_row": True}, "per_row: a positive"),
    ],
)
def test_an_option_that_is_none_says_what_is_needed(network, options, message):
    with pytest.raises(ValueError, match=message):
        render.to_dot(network("rnn", 3), **options)


def test_a_graph_without_operations_says_so():
    with pytest.raises(ValueError, match="no operation to draw"):
        render.to_dot(mg.Graph(mg.tensor(1.0, requires_grad=True)), backward=True)


@pytest.mark.parametrize("graphs", [[1], {"a": mg.tensor(1.0)}, {1: None}])
def test_strips_need_graphs_by_title(graphs):
    with pytest.raises(ValueError, match="mg.Graphs by title"):
        render.compare(graphs)


def test_strips_and_flip_books_are_unrolled(network, tmp_path):
    with pytest.raises(ValueError, match="unrolled"):
        render.compare({"a": network("rnn", 3)}).to_dot(time="rolled")
    with pytest.raises(ValueError, match="unrolled"):
        render.frames(network("rnn", 3), tmp_path, time="both")


def test_inputs_that_only_a_stack_gathers_are_drawn(drawing):
    h, outs = mg.tensor(np.ones((2, 4)), requires_grad=True), []
    for _, x in mg.timesteps(np.ones((3, 2, 4))):
        h = np.tanh(h)
        outs += [h, x]
    picture = drawing(render.to_dot(mg.Graph(np.stack(outs).mean())).source)
    assert {"x₀", "x₁", "x₂"} <= {node.label for node in picture.nodes.values()}


def test_each_part_of_a_sequence_has_its_own_gradient():
    xs = mg.tensor(np.linspace(-1, 1, 24).reshape(3, 2, 4), requires_grad=True, name="E")
    ys, _ = nn.RNN(4, 4)(xs * 2)
    graph = mg.Graph((ys**2).mean())
    source = render.to_dot(graph, backward=True).source
    arriving = {
        step.node.t: step.grad for step in graph.backward_steps() if step.node.op.name == "unstack"
    }
    for t, grad in arriving.items():
        assert f'xs * 2  gradient norm {np.linalg.norm(grad):.3g}"' in source, t


def test_steps_that_hide_are_told_once_for_each_state(network):
    assert render.to_dot(network("gru", 60), steps="0:1,-1:").source.count("… 58 steps") == 1


@pytest.mark.parametrize("name", ["by hand", "lstm", "gru, loss at every step"])
@pytest.mark.parametrize("backward", [False, True])
def test_every_step_looks_alike(network, drawing, name, backward):
    picture = drawing(render.to_dot(network(name, 4), backward=backward).source)
    steps = [
        [
            (node.x, node.y)
            for key, node in picture.nodes.items()
            if re.match(rf"l0_t{t}_k\d+$", key) and "_init" not in node.label
        ]
        for t in range(4)
    ]
    places = [[(round(x - step[0][0], 1), round(y, 1)) for x, y in step] for step in steps]
    assert places[1] == places[2]
    assert sorted(places[0])[:5] == sorted(places[3])[:5] == sorted(places[1])[:5]


@pytest.mark.parametrize("fit", ["column", "slide"])
def test_a_deep_network_without_time_is_wrapped_to_fit(drawing, fit):
    y = mg.tensor(np.ones((2, 3)))
    for _ in range(8):
        y = y + np.tanh(nn.Linear(3, 3)(y))
    source = render.to_dot(mg.Graph((y**2).mean()), fit=fit, backward=True).source
    left, bottom, right, top = map(float, re.search(r' bb="([^"]*)"', source)[1].split(","))
    width, height = (800, 1200) if fit == "column" else (1920, 1080)
    pixels = 11 * min(width / (right - left + 20), height / (top - bottom + 20))
    assert pixels >= 12 or f"text of {pixels:.0f} pixels" in source
    assert pixels > 8


def test_a_picture_speaks_the_language_of_the_environment(network, monkeypatch):
    graph = network("rnn", 8)
    options = {"view": "cells", "backward": True, "steps": "0:2,-2:"}
    assert "4 of 8 steps" in plain(render.to_dot(graph, **options).source)
    monkeypatch.setenv("MINIGRAD_LANG", "vi")
    told = plain(render.to_dot(graph, **options).source)
    for words in ("chuẩn của gradient (thang log)", "4 trong 8 bước", "… 4 bước", "(8 lần)"):
        assert words in told
    assert re.search(r"RNN: \d+ phép tính", told)
    assert "đã gộp: 1 stack" in told
    written = re.sub(r'tooltip="[^"]*"', "", told)
    assert not re.search(r"\b(steps|times|operations|folded|norm)\b", written)
