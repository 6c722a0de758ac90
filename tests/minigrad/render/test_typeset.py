"""Names with subscripts, and what is left as it is written."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad import render
from minigrad.render import typeset


@pytest.mark.parametrize(
    ("text", "below"),
    [
        ("W_xh", ["xh"]),
        ("cell.b_h 4", ["h"]),
        ("∂W_xh_2", ["xh,2"]),
        ("dW_hq", ["hq"]),
        ("h_init", ["init"]),
        ("h_{t−1} and c_{t−1}", ["t−1", "t−1"]),
        ("x₂,₁", ["2,1"]),
        ("‖∂L/∂y_prev₀‖", ["prev,0"]),
        ("y_prev₁₂,₃", ["prev,12,3"]),
        ("h_init₋₁", ["init,−1"]),
        ("y_prevₜ", ["prev,t"]),
        ("y_prev\0", ["prev,\0"]),
        ("x₃", []),
        ("h_2₃", []),
        ("h_2", []),  # another h: a number below would be a step
        ("Linear_2", []),
        ("hidden_size", []),
        ("log_softmax", []),
        ("s_t.h", []),
        ("f_x(1)", []),
        ("a_longer_name", []),
        ("x_", []),
    ],
)
def test_what_hangs_below_the_line(text: str, below: list[str]) -> None:
    assert [piece.text for piece in typeset.pieces(text) if piece.below] == below


@pytest.mark.parametrize(
    "name", ["W_<b>", "W_xh<br/>", "a&b W_x", 'W_x"', "W_x\\N", "]]>W_x", "Ж_x"]
)
def test_names_are_data(drawing, name: str) -> None:
    W = mg.tensor(np.ones((2, 2)), requires_grad=True, name=name)
    dot = render.to_dot(mg.Graph((W @ W).sum()), title=name)
    svg = dot.pipe("svg", encoding="utf-8")
    assert "<b>" not in svg.lower()
    labels = [node.label for node in drawing(dot.source).nodes.values()]
    assert any(name in label for label in labels)


def test_the_t_of_a_variable_gives_way_to_its_number(drawing) -> None:
    W = mg.tensor(np.eye(2), requires_grad=True, name="W")
    H_t = np.zeros((1, 2))
    for _, x_t in mg.timesteps(np.ones((2, 1, 2))):
        H_t = np.tanh(x_t + H_t @ W)
    source = render.to_dot(mg.Graph(H_t.sum()), view="cells", backward=True).source
    labels = "\n".join(node.label for node in drawing(source).nodes.values())
    assert {"H_init", "x₀", "x₁"} <= set(labels.split("\n"))
    assert "‖∂L/∂H₁‖" in labels
    assert ' label="H" ' in source


def test_a_name_with_a_subscript_and_its_step_share_one(drawing) -> None:
    W = mg.tensor(np.eye(2), requires_grad=True, name="W")
    h = np.zeros((1, 2))
    for t in range(2):
        with mg.time_step(t):
            y_prev = mg.tensor(np.full((1, 2), float(t)))
            h = np.tanh(y_prev + h @ W)
    source = render.to_dot(mg.Graph(h.sum())).source
    small = '<sub><font point-size="11">prev,{}</font></sub>'
    assert all(f"<y{small.format(t)}>" in source for t in range(2))
