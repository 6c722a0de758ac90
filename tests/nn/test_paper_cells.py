"""Cells of papers: equal to independent twins in PyTorch, and with every property of a cell."""

from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import nn
from nn.structure import flatten, map_structure
from tests.nn.paper_cells import CELLS
from tests.nn.torch_cases import numbers
from tests.nn.twins import CASES, sequence

STORED = np.load(Path(__file__).parent / "torch_cells.npz")


@pytest.fixture(autouse=True)
def _double():
    mg.set_default_dtype(np.float64)
    yield
    mg.set_default_dtype(np.float32)


@pytest.mark.parametrize("name", CELLS)
def test_outputs_states_and_gradients_are_those_of_the_twin(name):
    case, cell = CASES[name], CELLS[name]()
    for key, p in cell.named_parameters():
        p.data = case.weights[key]
    x = mg.tensor(case.x, requires_grad=True)
    first = [mg.tensor(value, requires_grad=True) for value in case.first]
    parts = iter(first)
    state = map_structure(lambda _: next(parts), cell.initial_state(x.shape[1]))
    y, last = nn.Unroll(cell)(sequence(name, x), state)
    outputs = [y, *flatten(last)]
    loss = sum((out * numbers("out", out.shape)).sum() for out in outputs)
    leaves = [x, *first, *cell.parameters()]
    grads = mg.grad(loss, leaves, allow_unused=True)
    grads = [np.zeros(v.shape) if g is None else g.data for g, v in zip(grads, leaves, strict=True)]
    found = np.concatenate([np.ravel(v) for v in [*(out.data for out in outputs), *grads]])
    np.testing.assert_allclose(found, STORED[name], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("property_name", nn.testing.PROPERTIES)
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_has_every_property(name, property_name):
    nn.testing.check(property_name, CELLS[name], sequence(name, CASES[name].x))


def test_what_a_cell_lacks_is_told():
    class Forgetful(nn.Cell):
        """Its output depends on what it saw in other calls, and on other rows."""

        state_size, calls = 2, 0

        def forward(self, x, h_prev):
            type(self).calls += 1
            h = h_prev + x.mean() + self.calls % 7
            return h, h

    found = nn.testing.suite(Forgetful, np.ones((4, 2, 2)) * np.arange(4)[:, None, None])
    assert found["lengths"].startswith("FAILED: PropertyError: y of row")
    assert found["unroll"].startswith("FAILED: PropertyError: y[0]: differs by")


def test_a_row_that_thinks_longer_costs_only_itself():
    cell = CELLS["adaptive"]()
    cell.w_p.data = np.zeros((4, 1))
    for bias, steps in ((5.0, 1), (0.0, 2), (-5.0, 5)):
        cell.b_p.data = [bias]
        h, _ = cell(np.ones((2, 3)))
        assert len(mg.Graph(h.sum()).find(op="sigmoid")) == steps
