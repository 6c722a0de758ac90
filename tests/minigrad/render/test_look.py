"""The palette: text that one can read, kinds that one can tell apart, in grey print and to the
colour blind."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import minigrad as mg
from minigrad.render import look
from minigrad.render.draw import plan
from minigrad.render.options import checked
from minigrad.render.read import read

# How the three kinds of dichromats see linear RGB (Machado, Oliveira & Fernandes 2009, severity 1).
BLINDNESS = {
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
SHADES = [look.ramp(k / 20) for k in range(21)]


def linear(colour: str) -> np.ndarray:
    parts = np.array(look.rgb(colour)) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    """CIELAB of linear RGB."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.array(to_xyz) @ np.clip(light, 0, 1) / np.array([0.9505, 1.0, 1.089])
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


def distance(a: str, b: str, blindness: str = "") -> float:
    """How different two colours look: about 2 can just be seen, 10 at a glance."""
    seen = np.eye(3) if not blindness else np.array(BLINDNESS[blindness])
    return float(np.linalg.norm(lab(seen @ linear(a)) - lab(seen @ linear(b))))


def contrast(a: str, b: str) -> float:
    low, high = sorted((look.luminance(a), look.luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("kind", look.LOOKS)
def test_every_text_can_be_read(kind: str) -> None:
    style = look.LOOKS[kind]
    assert contrast(style.fill, style.ink) >= 4.5


def test_text_on_a_gradient_and_on_the_page_can_be_read() -> None:
    assert min(contrast(shade, look.ink_on(shade)) for shade in SHADES) >= 4.5
    for ink in (look.INK, look.GREY, look.LOSS):
        assert contrast(look.PANEL, ink) >= 4.4
        assert contrast("#FFFFFF", ink) >= 4.5


def test_a_larger_gradient_is_darker_also_in_grey_print() -> None:
    light = [look.luminance(shade) for shade in SHADES]
    assert all(a > b for a, b in itertools.pairwise(light))
    assert contrast(look.PANEL, SHADES[0]) >= 1.5


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_a_larger_gradient_is_darker_to_the_colour_blind(blindness: str) -> None:
    seen = [lab(np.array(BLINDNESS[blindness]) @ linear(shade))[0] for shade in SHADES]
    assert all(a > b for a, b in itertools.pairwise(seen))


@pytest.mark.parametrize("blindness", ["", *BLINDNESS])
def test_a_parameter_is_no_gradient(blindness: str) -> None:
    tag = look.LOOKS["tag"]
    assert min(distance(tag.fill, shade, blindness) for shade in SHADES) >= 10
    assert min(distance(tag.border, shade, blindness) for shade in SHADES) >= 10


@pytest.mark.parametrize("blindness", ["", *BLINDNESS])
def test_kinds_of_one_shape_differ_in_fill_or_border(blindness: str) -> None:
    kinds = ("matmul", "nonlinear", "operation", "cell", "output", "tag", "constant", "loss")
    for a, b in itertools.combinations(kinds, 2):
        one, other = look.LOOKS[a], look.LOOKS[b]
        fill = distance(one.fill, other.fill, blindness)
        border = distance(one.border, other.border, blindness)
        assert max(fill, border) >= 8, (a, b, fill, border)


def test_what_is_not_finite_has_a_colour_of_its_own() -> None:
    assert min(distance(look.NOT_FINITE, shade) for shade in SHADES) >= 40


def lstm_by_hand(memory: str) -> mg.Graph:
    """The equations in plain operators; the memory bears a name of the reader's choice."""
    W, U = ({g: mg.tensor(np.full((4, 4), 0.1), requires_grad=True) for g in "ifgo"} for _ in "WU")
    h, c = mg.tensor(np.zeros((1, 4))), mg.tensor(np.zeros((1, 4)))
    for _, x in mg.timesteps(np.ones((3, 1, 4))):
        i, f, o = (mg.sigmoid(x @ W[g] + h @ U[g]) for g in "ifo")
        c = f * c + i * np.tanh(x @ W["g"] + h @ U["g"])
        c.name = memory
        h = o * np.tanh(c)
    return mg.Graph(h.sum())


@pytest.mark.parametrize("memory", ["c", "memory"])
def test_a_memory_is_known_by_what_it_does(memory):
    assert read(lstm_by_hand(memory)).memories == {memory}


def test_a_state_is_no_memory_because_of_its_name():
    W = mg.tensor(np.eye(2), requires_grad=True, name="W")
    c = mg.tensor(np.ones((1, 2)))
    for _ in mg.timesteps(np.ones((3, 2))):
        c = np.tanh(c @ W)
    assert read(mg.Graph(c.sum())).memories == frozenset()


@mg.primitive(elementwise=True)
def cubed(x):
    return x**3


@pytest.mark.parametrize("function", [np.tanh, np.sinh, np.log1p, np.cbrt, cubed])
def test_every_function_of_each_element_is_a_nonlinearity(function):
    w = mg.tensor([0.5, 0.7], requires_grad=True, name="w")
    picture = plan(mg.Graph(function(w).sum()), checked()).picture
    assert [box.kind for box in picture.boxes] == ["nonlinear", "loss"]


@pytest.mark.parametrize("function", [np.negative, np.deg2rad, np.sum, np.add])
def test_what_only_scales_or_adds_is_none(function):
    w = mg.tensor([0.5, 0.7], requires_grad=True, name="w")
    y = function(w, w) if function is np.add else function(w)
    assert not look.is_nonlinear(y.op)
