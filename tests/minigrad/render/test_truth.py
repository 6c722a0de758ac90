"""What a picture says is true: every node is drawn or counted, and every number is the gradient of
what it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.render.draw import plan
from minigrad.render.group import VIEWS
from minigrad.render.look import figure
from minigrad.render.options import checked
from minigrad.render.picture import Box, Part, Picture
from minigrad.render.texts import Texts
from tests.minigrad.render import networks
from tests.minigrad.render.accounting import counted, nodes_in
from tests.minigrad.render.networks import NETWORKS

DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"steps": "0:1,-1:"},
    {"time": "rolled"},
    {"per_row": 2},
)


def picture_of(graph: mg.Graph, **options: Any) -> Picture:
    return plan(graph, checked(**options)).picture


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_node_is_drawn_or_counted(
    network: Callable[..., mg.Graph], name: str, view: str, options: dict[str, Any]
) -> None:
    graph = network(name, 4)
    picture = picture_of(graph, view=view, **options)
    reasons = counted(graph, picture, checked(view=view, **options))
    drawn = nodes_in(picture)
    indices = drawn - set(graph.nodes)  # what an index takes is no node, but drawn as an input
    assert all(x.op is None and x.dtype.kind in "iub" for x in indices)
    assert (drawn - indices).union(*reasons.values()) == set(graph.nodes)
    words = "; ".join(picture.notes)
    folded = [node for node in reasons["folded"] if node.op is not None]
    assert sum(map(int, re.findall(r"(\d+) [a-z_]+", folded_part(words)))) == len(folded)
    if reasons["hidden"]:
        assert "not drawn: " in words or "one step stands for 4" in words


def folded_part(words: str) -> str:
    found = re.search(r"folded: ([^;]*)", words)
    return found[1] if found else ""


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", NETWORKS)
def test_no_node_is_in_two_boxes(network: Callable[..., mg.Graph], name: str, view: str) -> None:
    picture = picture_of(network(name, 3), view=view)
    made = [part for box in picture.boxes for part in box.parts if part.node.op is not None]
    assert len(made) == len(set(made))


def gradient(graph: mg.Graph, part: Part) -> Any:
    """∂loss/∂value, by `mg.grad`."""
    (loss,) = graph.outputs
    (found,) = mg.grad(loss, [part.node], allow_unused=True)
    if found is None:
        return None
    return found.data if part.part is None else found.data[part.part]


def numbers_in(text: str) -> Iterator[tuple[str, str]]:
    """Every ‖∂L/∂name‖ = number in a text."""
    yield from re.findall(r"‖∂L/∂([^‖]*)‖ = (\S+)", text)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_state_and_every_parameter_has_its_own_number(
    network: Callable[..., mg.Graph], name: str, view: str
) -> None:
    graph = network(name, 3)
    made = plan(graph, checked(view=view, backward=True))
    texts = Texts(made.picture, made.norms, {})
    for box in made.picture.boxes:
        for named, number in numbers_in(texts.label(box)):
            check_state(graph, box, named, number)
    for tile, boxes in made.picture.tiles.items():
        for named, number in numbers_in(texts.heading(tile)) if texts.framed else ():
            owners = [box for box in boxes if named.rstrip("₀₁₂₃") in box.lanes and not box.beside]
            assert owners
            check_state(graph, owners[-1], named, number)
    for title, leaf in graph.parameters.items():
        text = texts.parameter(leaf)
        (loss,) = graph.outputs
        (found,) = mg.grad(loss, [leaf])
        assert list(numbers_in(text)) == [(title, figure(np.linalg.norm(found.data)))]


def check_state(graph: mg.Graph, box: Box, named: str, number: str) -> None:
    state = named.rstrip("₀₁₂₃₄₅₆₇₈₉")
    t = int(named[len(state) :].translate(DIGITS))
    (part,) = [part for lane, part in box.states if lane == state and part.node.t == t]
    assert number == figure(np.linalg.norm(gradient(graph, part)))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_box_has_the_colour_of_its_own_gradient(
    network: Callable[..., mg.Graph], name: str, view: str
) -> None:
    graph = network(name, 3)
    made = plan(graph, checked(view=view, backward=True))
    assert made.norms is not None
    for part, norm in made.norms.parts.items():
        found = gradient(graph, part)
        assert norm == pytest.approx(0.0 if found is None else np.linalg.norm(found), rel=1e-5)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "by hand", "skips", "stacked"])
def test_a_tag_tells_the_share_of_its_step(network: Callable[..., mg.Graph], name: str) -> None:
    graph = network(name, 3)
    made = plan(graph, checked(backward=True))
    assert made.norms is not None
    for title, leaf in graph.parameters.items():
        uses = [(box.tile.t, tag) for box in made.picture.boxes for tag in box.tags
                if tag.parameter is leaf and box.tile.row.timed]  # fmt: skip
        if len(uses) == 3:  # one in each step
            shares = graph.grad_by_step(title, norms=True)
            told = [made.norms.get(tag) or 0.0 for _, tag in sorted(uses, key=lambda use: use[0])]
            assert told == pytest.approx(shares, rel=1e-5)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_link_tells_the_gradient_that_flows_along_it(
    network: Callable[..., mg.Graph], name: str, view: str
) -> None:
    """Where a value has one user, all of its gradient comes along one link."""
    graph = network(name, 3)
    made = plan(graph, checked(view=view, backward=True))
    assert made.norms is not None
    for link in made.picture.links:
        source = link.source
        alone = [n for n in made.picture.links if n.source is source]
        if len(alone) == len(source.parts) == 1 and source.parts[0].node.op is not None:
            found = gradient(graph, source.parts[0])
            if source.parts[0] in made.picture.outputs or found is None:
                continue
            assert made.norms.get(link) == pytest.approx(np.linalg.norm(found), rel=1e-5)


def test_parts_of_one_operation_for_all_steps_tell_no_share() -> None:
    """What one product adds to its weights is not known step by step, so no step tells the whole as
    its own."""
    mg.seed(0)
    ys, _ = nn.RNN(2, 4)(np.ones((3, 1, 2)))
    graph = mg.Graph((nn.Linear(4, 3)(ys) ** 2).mean())
    made = plan(graph, checked(view="cells", backward=True))
    tags = [tag for box in made.picture.boxes for tag in box.tags if tag.name == "W"]
    assert len(tags) == 3
    assert made.norms is not None
    assert [made.norms.get(tag) for tag in tags] == [None] * 3


def flows_from(graph: mg.Graph, node: mg.Tensor) -> list[float | None]:
    """The norms along the links that come from the box of a node."""
    made = plan(graph, checked(backward=True))
    assert made.norms is not None
    links = [link for link in made.picture.links if node in set(link.source.nodes)]
    return [made.norms.get(link) for link in links]


def test_pieces_of_one_value_that_one_box_takes_lie_side_by_side() -> None:
    w = mg.tensor([1.0, 2.0, 3.0, 5.0], requires_grad=True, name="w")
    a = w * 3
    i, f = np.split(a, 2)
    assert flows_from(mg.Graph((i * f).sum()), a) == [pytest.approx(np.linalg.norm(a.data))]
    b = w * 3
    assert flows_from(mg.Graph(b[0] * b[1]), b) == [pytest.approx(np.linalg.norm(b.data[:2]))]
    c = w * 3  # one piece, twice: 2 c₀
    assert flows_from(mg.Graph(c[0] * c[0]), c) == [pytest.approx(2 * c.data[0])]


def test_what_an_index_takes_twice_gets_the_gradients_of_both() -> None:
    w = mg.tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True, name="w")
    a = np.tanh(w)
    graph = mg.Graph((a[np.array([1, 1])] * 3).sum())
    (found,) = mg.grad(graph.outputs[0], [a])
    assert found.tolist() == [[0, 0], [6, 6]]
    assert flows_from(graph, a) == [pytest.approx(np.linalg.norm(found.data))]


@pytest.mark.parametrize("view", ["ops", "cells"])
@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_a_line_into_a_delay_tells_all_that_the_next_step_sends_back(
    network: Callable[..., mg.Graph], name: str, view: str
) -> None:
    """With a loss at the end, all of the gradient of h comes from the next step."""
    graph = network(name, 4)
    made = plan(graph, checked(view=view, time="rolled", backward=True))
    assert made.norms is not None
    links = [link for link in made.picture.links if link.target.kind == "delay"]
    (back,) = [link for link in links if link.lane == "h" and not link.source.beside]
    (h,) = {end.node.inputs[end.position] for end in back.ends}
    (total,) = mg.grad(graph.outputs[0], [h])
    assert made.norms.get(back) == pytest.approx(np.linalg.norm(total.data), rel=1e-5)


def test_the_scale_holds_what_the_boxes_of_states_tell() -> None:
    """Cells of losses at every step differ in colour: their whole gradient, not only what crosses."""
    w, h, total = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0), mg.tensor(0.0)
    for t in range(4):
        with mg.time_step(t):
            h = w * h
            total = total + 40.0 * h
    source = mg.Graph(total).to_dot(view="cells", backward=True).source
    cells = [line for line in source.splitlines() if 'label="cell' in line]
    fills = {line.partition("fillcolor=")[2][:9] for line in cells}
    assert len(cells) == len(fills) == 4
    assert "≥" not in source


def notes_of(graph: mg.Graph, **options: Any) -> str:
    return ";  ".join(picture_of(graph, **options).notes)


BEGINNINGS: dict[str, tuple[Callable[[int], Any], str]] = {
    "by hand": (networks.by_hand, "at t = 0: h_init in place of hₜ₋₁"),
    "LSTM": (
        lambda T: networks.recurrent("LSTM", T, every_step=True),
        "at t = 0: h_init in place of hₜ₋₁, c_init in place of cₜ₋₁",
    ),
    "attention": (networks.attention, "at t = 0 of cell: h_init in place of hₜ₋₁"),
}


@pytest.mark.parametrize("view", ["ops", "cells"])
@pytest.mark.parametrize("name", BEGINNINGS)
def test_a_rolled_picture_says_with_what_its_states_begin(name: str, view: str) -> None:
    make, beginning = BEGINNINGS[name]
    graph = mg.Graph(make(3))
    assert beginning in notes_of(graph, view=view, time="rolled")
    assert "in place of" not in notes_of(graph, view=view)
    counted = notes_of(graph, view=view, time="rolled", count_from=1)
    assert beginning.replace("t = 0", "t = 1") in counted


def test_a_rolled_picture_says_with_what_a_state_of_several_steps_before_begins() -> None:
    W, U = (mg.tensor(np.eye(2), requires_grad=True, name=name) for name in "WU")
    states = [mg.tensor(np.full((1, 2), k)) for k in (1.0, 2.0)]
    for _, x in mg.timesteps(np.ones((4, 1, 2))):
        h = np.tanh(x + states[-1] @ W + states[-2] @ U)
        states.append(h)
    found = notes_of(mg.Graph(h.sum()), time="rolled")
    assert "at t = 0: h_init in place of hₜ₋₁, h₋₂ in place of hₜ₋₂" in found
    assert "at t = 1: h_init in place of hₜ₋₂" in found


def test_a_reversed_layer_begins_at_its_last_step(monkeypatch: pytest.MonkeyPatch) -> None:
    ys, _ = nn.RNN(2, 3, bidirectional=True)(np.ones((3, 1, 2), np.float32))
    graph = mg.Graph((ys**2).sum())
    assert "at t = 2: h_init in place of hₜ₊₁" in notes_of(graph, time="rolled")
    monkeypatch.setenv("MINIGRAD_LANG", "vi")
    assert "ở t = 2: h_init thay cho hₜ₊₁" in notes_of(graph, time="rolled")
