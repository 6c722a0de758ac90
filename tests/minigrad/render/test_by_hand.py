"""What programs of nn's modules in loops by hand look like: titles, kinds, states, ways."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad import render
from minigrad.render.draw import plan
from minigrad.render.look import text_width
from minigrad.render.options import checked
from minigrad.render.picture import Picture

RNG = np.random.default_rng(0)
XS = RNG.normal(size=(3, 1, 2)).astype(np.float32)


def picture_of(loss: mg.Tensor, **options: Any) -> Picture:
    return plan(mg.Graph(loss), checked(**options)).picture


def kinds(picture: Picture) -> dict[str, str]:
    return {box.label.split("\n")[0]: box.kind for box in picture.boxes}


def stacked() -> mg.Tensor:
    """Two cells of one kind, one above the other."""
    mg.seed(0)
    lower, upper, h, g = nn.RNNCell(2, 3), nn.RNNCell(3, 3), None, None
    for _, x in mg.timesteps(XS):
        y, h = lower(x, h)
        y, g = upper(y, g)
    return (y**2).sum()


def autoregressive() -> mg.Tensor:
    """What a step puts out is the input of the next one."""
    mg.seed(0)
    cell, readout, state, y = nn.LSTMCell(2, 3), nn.Linear(3, 2), None, np.zeros((1, 2), np.float32)
    loss = 0
    for t in range(3):
        with mg.time_step(t):
            h, state = cell(y, state)
            y = readout(h)
            loss = loss + nn.mse_loss(y, XS[t])
    return loss


def with_attention() -> mg.Tensor:
    """A decoder that looks at its encoder by operations of its own."""
    mg.seed(0)
    keys, _ = nn.GRU(2, 3)(XS)
    cell, s = nn.GRUCell(5, 3), keys[-1]
    for _, x in mg.timesteps(XS, "decoder"):
        weights = mg.softmax((s * keys).sum(axis=-1), axis=0)
        _, s = cell(mg.concatenate([x, (weights[..., None] * keys).sum(axis=0)], axis=-1), s)
    return (s**2).sum()


@pytest.mark.parametrize(
    ("program", "title"),
    [(stacked, "RNN + RNN"), (autoregressive, "LSTM + Linear"), (with_attention, "cell")],
)
def test_a_cell_is_called_after_all_that_it_holds(program, title):
    assert kinds(picture_of(program(), view="cells"))[title] == "cell"


def test_a_state_that_a_module_returns_bears_the_programs_name():
    graph = mg.Graph(autoregressive())
    assert {state.name for state in graph.states} == {"c", "h", "y"}
    assert "y_init" in kinds(picture_of(autoregressive()))


def test_states_keep_their_places_from_step_to_step(drawing):
    for program in (stacked, autoregressive):
        picture = drawing(render.to_dot(mg.Graph(program()), view="cells").source)
        levels: dict[str, set[float]] = {}
        for _, _, points, attributes in picture.edges:
            if attributes.get("label") in ("h", "h_2", "c", "y"):
                found = levels.setdefault(attributes["label"], set())
                found |= {round(y, 1) for _, y in points}
        assert levels
        assert all(len(heights) == 1 for heights in levels.values())
        heights = sorted(height for found in levels.values() for height in found)
        assert min(np.diff(heights)) > 14  # room for a name


def test_an_output_of_one_number_is_no_loss():
    w, v = (
        mg.tensor(0.5, requires_grad=True, name="w"),
        mg.tensor(0.3, requires_grad=True, name="v"),
    )
    h, total, targets = 1.0, 0.0, [0.1, 0.2, 0.3]
    for t in range(3):
        with mg.time_step(t):
            h = np.tanh(w * h)
            o = v * h
            e = (o - targets[t]) ** 2
            total = total + 0.5 * e
    found = kinds(picture_of(total, view="cells"))
    assert found["o₀"] == "output"
    assert found["e₀"] == "loss"


def test_several_losses_of_a_step_are_told_apart_by_their_operations():
    w, h, fit, size = mg.tensor(0.5, requires_grad=True, name="w"), 1.0, 0, 0
    for t in range(2):
        with mg.time_step(t):
            h = np.tanh(w * h)
            fit = fit + (h - 0.3) ** 2
            size = size + 0.1 * h**2
    found = kinds(picture_of(fit + size, view="cells"))
    assert {name for name, kind in found.items() if kind == "loss" and name != "L"} == {
        *("−0.3 x²", "x² 0.1×"),
        "L = Σ of 3",
    }


def test_readouts_without_a_recorded_state_are_outputs_and_losses():
    W_out = mg.tensor(RNG.normal(size=(4, 1)), requires_grad=True, name="W_out")
    W, r, loss = RNG.normal(size=(4, 4)), np.ones((1, 4)), 0
    for t in range(3):
        with mg.time_step(t):
            r = np.tanh(r @ W)
            o = r @ W_out
            loss = loss + ((o - XS[t, :, :1]) ** 2).sum()
    found = kinds(picture_of(loss, view="cells"))
    assert [found[name] for name in ("o₀", "− x² Σ", "r₀")] == ["output", "loss", "input"]


def test_a_matrix_that_is_not_trained_is_a_constant_of_all_steps():
    W_in, W_res = mg.tensor(RNG.normal(size=(2, 4)), requires_grad=True), RNG.normal(size=(4, 4))
    r = mg.tensor(np.ones((1, 4)), requires_grad=True)
    for _, u in mg.timesteps(XS):
        r = np.tanh(u @ W_in + r @ W_res)
    for view in ("ops", "cells"):
        found = kinds(picture_of(r.sum(), view=view))
        assert found["W_res"] == "constant"
        assert {"u₀", "u₁", "u₂"} <= {name for name, kind in found.items() if kind == "input"}


def test_an_input_that_is_a_target_too_stands_below_its_cell(drawing):
    mg.seed(0)
    cell, readout, h, loss = nn.RNNCell(2, 3), nn.Linear(3, 2), None, 0
    for _, x in mg.timesteps(XS):
        _, h = cell(x, h)
        loss = loss + nn.mse_loss(readout(h), x)
    picture = drawing(render.to_dot(mg.Graph(loss), view="cells").source)
    inputs = [node for node in picture.nodes.values() if node.label.startswith("x")]
    cells = [node for node in picture.nodes.values() if node.label.startswith("RNN")]
    assert [node.x for node in inputs] == pytest.approx([node.x for node in cells], abs=1)


def test_what_a_loop_in_a_module_makes_is_not_what_the_module_returns():
    class Decoder(nn.Module):
        def __init__(self) -> None:
            self.cell, self.out = nn.GRUCell(2, 3), nn.Linear(3, 4)

        def forward(self, words: Any) -> mg.Tensor:
            s, found = None, []
            for _, word in mg.timesteps(words):
                _, s = self.cell(word, s)
                found.append(self.out(s))
            return mg.stack(found)

    mg.seed(0)
    logits = Decoder()(XS)
    found = kinds(picture_of(nn.cross_entropy(logits, np.array([[0], [1], [3]])), view="cells"))
    assert {"out₀", "out₁", "out₂"} <= set(found)


def test_a_number_that_several_steps_use_tells_the_share_of_each(drawing):
    w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
    for t in range(2):
        with mg.time_step(t):
            h = w * h
    source = render.to_dot(mg.Graph(h**2), backward=True, values=True).source
    found = {node.label for node in drawing(source).nodes.values()}
    assert {"w = 0.5 | ‖0.25‖"} == {text for text in found if text.startswith("w =")}
    assert "w   ‖∂L/∂w‖ = 0.5" in found
    once = {node.label for node in drawing(render.to_dot(
        mg.Graph(w * 3.0), backward=True, values=True).source).nodes.values()}  # fmt: skip
    assert "w = 0.5 | 3" in once


def test_taps_pass_beside_wide_inputs(drawing):
    graph = mg.Graph(stacked())
    for options in ({"values": True}, {"labels": {"x": "a very long name"}}):
        picture = drawing(render.to_dot(graph, view="cells", **options).source)
        assert picture.crossed() == picture.overlaps() == []


def test_texts_of_lines_that_go_back_together_stand_beside_each_other():
    mg.seed(0)
    y, _ = nn.LSTM(2, 3)(RNG.normal(size=(30, 1, 2)).astype(np.float32))
    graph = mg.Graph((y[-1] ** 2).mean())
    source = render.to_dot(graph, view="cells", steps="0:2,-2:", per_row=2, backward=True).source
    found = re.findall(r'lp="([\d.-]+),([\d.-]+)"[^\n]* label="(… 26 steps[^"]*)"', source)
    (a, height, text), (b, same, other) = found
    assert height == same
    assert abs(float(a) - float(b)) > max(text_width(text, 11), text_width(other, 11))


@pytest.mark.parametrize("view", ["ops", "cells"])
def test_hidden_steps_tell_how_far_the_gradient_falls(view):
    mg.seed(0)
    y, _ = nn.RNN(2, 3)(RNG.normal(size=(9, 1, 2)).astype(np.float32))
    graph = mg.Graph((y[-1] ** 2).sum())
    source = render.to_dot(graph, view=view, steps="0:2,-2:", backward=True).source
    early, late = (np.linalg.norm(mg.grad(graph.outputs[0], [state])[0].data)
                   for state in (graph.states[0].nodes[1,], graph.states[0].nodes[7,]))  # fmt: skip
    assert f"… 5 steps, ‖∂L/∂h‖ ×{early / late:.2g}" in source


def test_a_named_axis_is_told_over_its_steps():
    h = mg.tensor(1.0, requires_grad=True)
    for k in range(2):
        with mg.time_step(k, "layer"):
            h = np.tanh(h)
    assert "layer   t = 0" in render.to_dot(mg.Graph(h)).source
    mg.seed(0)
    y, _ = nn.RNN(2, 3)(XS)
    assert 'label="t = 0' in render.to_dot(mg.Graph(y.sum())).source


def test_blocks_of_a_sequence_are_called_after_their_classes():
    net = nn.Sequential(nn.Linear(2, 3), mg.relu, nn.Linear(3, 1))
    found = kinds(picture_of(nn.mse_loss(net(XS[0]), XS[1, :, :1]), view="blocks"))
    assert "Linear" in found
    assert "0" not in found
    assert "mse_loss" in found


def test_the_list_of_parameters_stands_below_all_lines():
    from tests.minigrad.render.conftest import Drawing

    class Head(nn.Module):
        def __init__(self) -> None:
            self.q, self.k, self.v = nn.Linear(4, 2), nn.Linear(4, 2), nn.Linear(4, 2)

        def forward(self, x: Any) -> mg.Tensor:
            return mg.softmax(self.q(x) @ np.swapaxes(self.k(x), -1, -2)) @ self.v(x)

    x = RNG.normal(size=(5, 4)).astype(np.float32)
    heads = [Head(), Head()]
    y = mg.concatenate([head(x) for head in heads], axis=-1)
    picture = Drawing(render.to_dot(mg.Graph((y**2).sum())).source)
    bar = picture.nodes["weights"]
    lowest = min(y for _, _, points, _ in picture.edges for _, y in points)
    assert bar.y + bar.height / 2 < lowest


def test_a_sign_stands_by_its_own_line(drawing):
    """Beside the arrowhead of what is subtracted, and not between it and another one."""
    W = mg.tensor(RNG.normal(size=(4, 1)), requires_grad=True, name="W")
    r, loss = RNG.normal(size=(3, 1, 4)), 0
    for t in range(3):
        with mg.time_step(t):
            loss = loss + ((r[t] @ W - XS[t, :, :1]) ** 2).sum()
    graph = mg.Graph(loss)
    picture = drawing(render.to_dot(graph).source)
    for tail, head, points, attributes in picture.edges:
        if attributes.get("headlabel") == "−" and picture.nodes[head].label == "−":
            x, y = map(float, attributes["head_lp"].split(","))
            others = [p[-1] for t, h, p, _ in picture.edges if h == head and t != tail]
            own = np.hypot(x - points[-1][0], y - points[-1][1])
            assert all(np.hypot(x - a, y - b) > own for a, b in others)


def test_what_enters_a_loss_from_the_side_keeps_clear_of_what_leaves_it(drawing):
    graph = mg.Graph(autoregressive())
    picture = drawing(render.to_dot(graph, view="cells", time="rolled").source)
    (name,) = [name for name, node in picture.nodes.items() if node.label == "− x² mean"]
    right = picture.nodes[name].x + picture.nodes[name].width / 2
    coming = [points[-1] for _, head, points, _ in picture.edges if head == name]
    (y,) = [y for x, y in coming if abs(x - right) < 8]
    (leaving,) = [points[1][1] for tail, _, points, _ in picture.edges if tail == name]
    assert abs(y - leaving) > 5  # more than half of an arrowhead, at a box of one line
