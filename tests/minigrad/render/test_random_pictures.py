"""Random programs with random options: no crash, no overlap, no edge through a box, no text outside
of its box, nothing missing."""

from __future__ import annotations

import random

import pytest

import minigrad as mg
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
