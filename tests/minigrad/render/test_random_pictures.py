"""Random programs with random options: no crash, no overlap, no edge through a box, no text outside
of its box, nothing missing."""

from __future__ import annotations

import itertools
import random

import pytest

import minigrad as mg
from minigrad import render
from minigrad.render.arrange import Rect
from minigrad.render.routes import pieces
from tests.minigrad.render.fuzz import faults
from tests.minigrad.render.programs import random_graph


@pytest.mark.parametrize("seed", range(30))
def test_random_pictures(seed: int) -> None:
    assert faults(seed) == []


def test_the_programs_are_of_all_kinds() -> None:
    graphs = [random_graph(random.Random(seed)) for seed in range(30)]
    assert any(not graph.axes for graph in graphs)
    assert any(len(graph.axes) > 1 for graph in graphs)
    assert any(isinstance(node, mg.Tensor) and len(node.time or ()) > 1
               for graph in graphs for node in graph.nodes)  # fmt: skip


@pytest.mark.parametrize(
    ("holes", "text"),
    [
        ([130.0], (135.0, 200.0)),  # the widest piece
        ([120.0, 140.0, 160.0, 175.0], (180.0, 230.0)),  # past the right end
        ([120.0, 140.0, 160.0, 180.0, 210.0], (65.0, 115.0)),  # past the left one
        ([85.0, 120.0, 140.0, 160.0, 180.0, 210.0], (215.0, 265.0)),
        ([50.0, 110.0, 130.0, 150.0, 170.0, 190.0], (55.0, 105.0)),
    ],
)
def test_the_text_of_a_bar_stands_where_no_line_passes(
    holes: list[float], text: tuple[float, float]
) -> None:
    bar = Rect.between(100.0, 0.0, 200.0, 16.0)
    first, *rest = pieces(bar, holes, 50.0, (30.0, 300.0))
    assert (first.corners[0], first.corners[2]) == text
    spans = sorted((piece.corners[0], piece.corners[2]) for piece in [first, *rest])
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    assert not any(left < x < right for x in holes for left, right in spans)
    assert spans[0][0] >= 30.0
    assert spans[-1][1] <= 300.0


def test_the_text_of_a_bar_has_room_also_where_no_piece_has() -> None:
    bar = Rect.between(100.0, 0.0, 120.0, 16.0)
    first, *_ = pieces(bar, [], 50.0, (90.0, 130.0))
    assert first.width >= 50.0


def test_a_bar_reaches_no_further_than_half_of_the_way_to_the_next_one() -> None:
    bar = Rect.between(100.0, 0.0, 200.0, 16.0)
    holes = [120.0, 140.0, 160.0, 175.0]
    first, *_ = pieces(bar, holes, 50.0, (30.0, 220.0))
    assert (first.corners[0], first.corners[2]) == (65.0, 115.0)


def test_a_bar_stands_in_each_line_that_adds_to_it(drawing) -> None:
    """Also where a line holds one part of the sum alone."""
    w, h, total = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(0.3), mg.tensor(0.0)
    for t in range(4):
        with mg.time_step(t):
            h = w * h
            if t >= 1:
                total = total + h**2
    picture = drawing(render.to_dot(mg.Graph(total), per_row=2).source)
    assert picture.source.count('label="total = Σ of') == 2
