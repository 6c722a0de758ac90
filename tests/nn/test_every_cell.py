"""Every number that a report or a picture tells is the gradient, or the value, of the thing named."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
import nn
from nn.structure import flatten, map_structure
from tests.nn.every_cell import CELLS, NETS, REPORTS, by_hand, wrong


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("cell", CELLS)
def test_reports_tell_the_truth(cell, net):
    compared = 0
    for report in REPORTS:
        if report == "pictures" and net not in ("unrolled", "both ways"):
            continue  # the command draws all of them
        texts, count = wrong(cell, net, report)
        assert texts == []
        compared += count
    assert compared > 10


@pytest.mark.parametrize("cell", CELLS)
def test_states_are_those_of_the_loop_that_one_would_write(cell):
    mg.set_default_dtype(np.float64)
    mg.seed(3)
    make, xs = CELLS[cell]
    made, xs = make().eval(), map_structure(mg.tensor, xs)
    ys, last = nn.Unroll(made)(xs)
    graph = mg.Graph(sum((part * part).sum() for part in [*flatten(ys), *flatten(last)]))
    wanted = [flatten(state) for state in by_hand(made, xs)]
    states = [s for s in graph.states if len(s.axis.chain) == 1]
    assert states
    for state in states:
        places = {
            k
            for k in range(len(wanted[0]))
            if all(
                node.shape == wanted[t][k].shape
                and np.allclose(node.data, wanted[t][k].data, rtol=0, atol=1e-12)
                for (t,), node in state.nodes.items()
            )
        }
        assert places, state
    assert len({(s.scope, s.name) for s in states}) == len(states)


@pytest.mark.parametrize("name", nn.testing.PROPERTIES)
@pytest.mark.parametrize("cell", [cell for cell in CELLS if not cell.startswith("paper")])
def test_every_cell_has_every_property(cell, name):
    nn.testing.check(name, *CELLS[cell])


def test_what_is_told_wrongly_is_found(monkeypatch):
    from minigrad import flow

    right = flow.norm
    monkeypatch.setattr(flow, "norm", lambda x: 1.001 * right(x))
    texts, _ = wrong("GRU", "unrolled", "flow")
    assert any("‖dh‖" in text for text in texts)
