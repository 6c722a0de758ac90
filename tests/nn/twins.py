"""The numbers with which the cells of papers are compared with their twins in PyTorch."""

from typing import NamedTuple

import numpy as np

import minigrad as mg
from nn.structure import flatten
from tests.nn.paper_cells import CELLS, CHILDREN, SHAPES, B, D, T
from tests.nn.torch_cases import numbers


class Case(NamedTuple):
    """Parameters by name, x (T, B, ...), and the leaves of the first state."""

    weights: dict[str, np.ndarray]
    x: np.ndarray
    first: list[np.ndarray]


def case(name):
    """Numbers for one cell: those that count or normalise are set so that they make sense."""
    cell = CELLS[name]()
    weights = {key: numbers(f"{name} {key}", p.shape) for key, p in cell.named_parameters()}
    x = numbers(f"{name} x", (T, B, *SHAPES.get(name, (D,))))
    shapes = [s.shape for s in flatten(cell.initial_state(B))]
    first = [numbers(f"{name} s{k}", shape) for k, shape in enumerate(shapes)]
    if name == "sLSTM":
        first[2] = 1 + first[2] ** 2  # the normaliser is positive
    if name == "tree-LSTM":
        first = [np.zeros(shape) for shape in shapes]
    return Case(weights, x, first)


def sequence(name, x):
    """x as the cell takes it."""
    return {"x": x, "children": CHILDREN} if name == "tree-LSTM" else x


def _cases():
    before = mg.get_default_dtype()
    mg.set_default_dtype(np.float64)
    try:
        return {name: case(name) for name in CELLS}
    finally:
        mg.set_default_dtype(before)


CASES = _cases()
