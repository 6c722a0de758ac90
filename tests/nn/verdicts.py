"""The verdict on every cell that there is, against its definition.

`python -m tests.nn.verdicts` prints the table: each cell of `tests.nn.every_cell` with 3 seeds and 3
scales of the inputs, and in how many of these runs the word of the verdict and its factor a step are
those of the definition: the geometric mean of what a step back does to the length of the gradient of
the whole state, measured with `mg.grad` alone.  Cells of other gains and biases, and trained ones,
are in `tests.claims`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad.columns import columns
from minigrad.reports import verdict
from nn.structure import map_structure
from tests.nn import every_cell

SEEDS, SCALES, T = range(3), (0.1, 1.0, 3.0), 12
CHAINS = [name for name in every_cell.CELLS if name != "paper tree-LSTM"]  # a tree has no step back
NEAR = (0.98, 1.0, 1.02)  # a factor at a threshold of the verdict may be called by either word


class Run(NamedTuple):
    """A cell, a seed, a scale: what is told, and what is true."""

    cell: str
    seed: int
    scale: float
    word: str
    ratio: float
    defined: float
    steps: int

    @property
    def agrees(self) -> bool:
        """Whether word and factor are those of the definition."""
        if self.defined == 0:
            return self.word in ("vanishing", "unknown")
        words = {verdict(self.defined * factor, self.steps) for factor in NEAR}
        return self.word in words and abs(self.ratio / self.defined - 1) < 0.01


def run(cell: str, seed: int, scale: float) -> Run:
    """Measure one."""
    make, xs = every_cell.CELLS[cell]
    rng = np.random.default_rng(seed)
    if isinstance(xs, np.ndarray):
        xs = rng.standard_normal((T, *xs.shape[1:]))
    graph = in_float64(lambda: every_cell.last_step(lambda: make().eval(), scaled(xs, scale)), seed)
    paths = graph.gradient_flow(jacobians=False).paths
    path = next(path for path in paths if path.verdict != "cancels")
    steps = len(path.t) - 1
    return Run(cell, seed, scale, path.verdict, path.mean_ratio, defined(graph, path), steps)


def in_float64(loss: Callable[[], mg.Tensor], seed: int) -> mg.Graph:
    """The graph of a loss, in the precision in which ratios of small gradients can be told."""
    before = mg.get_default_dtype()
    mg.set_default_dtype(np.float64)
    mg.seed(seed)
    try:
        return mg.Graph(loss())
    finally:
        mg.set_default_dtype(before)


def scaled(xs: Any, scale: float) -> Any:
    """The inputs times the scale, those that are floats."""
    return map_structure(lambda x: mg.tensor(scale * x if x.dtype.kind == "f" else x), xs)


def defined(graph: mg.Graph, path: Any) -> float:
    """(‖∂loss/∂s_0‖ / ‖∂loss/∂s_n‖)^(1/n), s_t all states of the path's cell.

    n is the last step whose state gets a gradient from later steps, and none from the loss.
    """
    cell = path.axis, path.scope
    states = [state for state in graph.states if (state.axis.name, state.scope) == cell]
    sizes, n = [], len(graph.time_steps) - 2
    for t in range(n + 1):
        nodes = [state.nodes[t,] for state in states if (t,) in state.nodes]
        sizes.append(math.hypot(*(every_cell.norm_of(graph, node) for node in nodes)))
    return float((sizes[0] / sizes[n]) ** (1 / n)) if sizes[n] else 0.0


def main() -> None:
    """Print the table."""
    rows = [["cell", "agree", "factors by definition"]]
    for cell in CHAINS:
        found = [run(cell, seed, scale) for seed in SEEDS for scale in SCALES]
        ends = [r.defined for r in found]
        agree = f"{sum(r.agrees for r in found)} of {len(found)}"
        rows.append([cell, agree, f"{min(ends):.2f} to {max(ends):.2f}"])
    print(columns(rows))


if __name__ == "__main__":
    main()
