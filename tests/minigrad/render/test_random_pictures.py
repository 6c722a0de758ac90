"""Random programs with random options: no crash, no overlap, no edge through a box, no text outside
of its box."""

from __future__ import annotations

import random
from typing import Any

import pytest

import minigrad as mg
from minigrad import render
from minigrad.render.draw import plan
from minigrad.render.options import checked
from tests.minigrad.render.programs import random_graph, random_options


def faults(seed: int, drawing: type[Any]) -> list[Any]:
    """What is wrong with one picture."""
    r = random.Random(seed)
    graph, options = random_graph(r), random_options(r)
    if not any(node.op is not None for node in graph.nodes):
        return []
    picture = drawing(render.to_dot(graph, **options).source)
    found = [*picture.overlaps(), *picture.spilled(), *picture.crossed()]
    if "fit" not in options and options["time"] != "both":
        found += plan(graph, checked(**options)).picture.counted["other"]
    return [(options, fault) for fault in found]


@pytest.mark.parametrize("seed", range(60))
def test_random_pictures(drawing: type[Any], seed: int) -> None:
    assert faults(seed, drawing) == []


def test_the_programs_are_of_all_kinds() -> None:
    graphs = [random_graph(random.Random(seed)) for seed in range(60)]
    assert any(not graph.axes for graph in graphs)
    assert any(len(graph.axes) > 1 for graph in graphs)
    assert any(isinstance(node, mg.Tensor) and len(node.time or ()) > 1
               for graph in graphs for node in graph.nodes)  # fmt: skip
