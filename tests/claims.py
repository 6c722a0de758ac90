"""What the project says about vanishing, exploding, gates and cures, held against measurements.

`python -m tests.claims` prints the table: every claim, the cells, and how many of the runs (5 seeds, 3 scales of the
inputs) bear it out.  A claim that holds under conditions only names them.  The suite asserts that every row holds.

The verdict itself is held against its definition: the geometric mean, over the steps, of what one step back does to the
length of the gradient of the whole state (h, c), measured here with `mg.grad`, without the flow's own code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
import nn
from demos import truncation
from demos.training import follow, stepper
from demos.vanishing_and_exploding import Recall, graph_of, gru, lstm, rnn
from minigrad.columns import columns
from minigrad.reports import verdict

SEEDS, SCALES, T, TRAINED_STEPS = range(5), (0.1, 1.0, 3.0), 30, 10
TRAINED = {"RNN, trained": nn.RNNCell, "LSTM, trained": nn.LSTMCell, "GRU, trained": nn.GRUCell}

CELLS: dict[str, Callable[[], nn.Cell]] = {
    "RNN, gain 0.5": lambda: rnn(0.5),
    "RNN, gain 1": lambda: rnn(1.0),
    "RNN, gain 1.5": lambda: rnn(1.5),
    "RNN, gain 3": lambda: rnn(3.0),
    "LSTM": lambda: nn.LSTMCell(2, 16),
    "LSTM, b_f = 0": lambda: lstm(0.0),
    "LSTM, b_f = 2": lambda: lstm(2.0),
    "GRU": lambda: nn.GRUCell(2, 16),
    "GRU, b_z = 4": lambda: gru(4.0),
}


def trained(kind: type[nn.Cell], seed: int) -> mg.Graph:
    """The loss of a network that has learnt to say what sign the first of ten numbers had."""
    net, rng = Recall(kind(2, 16)), np.random.default_rng(seed)

    def loss(net: Recall, xs: np.ndarray, positive: np.ndarray) -> mg.Tensor:
        return nn.binary_cross_entropy_with_logits(net(xs), positive)

    def batch() -> tuple[np.ndarray, np.ndarray]:
        return net.batch(TRAINED_STEPS, 32, 1.0, rng)

    step = stepper(loss, compiled=True)
    follow(net, lambda: step(net, *batch()), 150, 0.01, "")
    return mg.Graph(loss(net, *batch()))


class Run(NamedTuple):
    """One cell, seed and scale of the inputs: what the flow says, and the definition."""

    cell: str
    seed: int
    scale: float
    words: str
    ratio: float
    defined: float
    steps: int
    crossing: float  # the largest norm that crosses a step
    clipped: float  # the same after clip_edges(max_norm=1)
    gate: float  # how far an LSTM's forget gates are open, the mean; NaN of other cells

    @property
    def left(self) -> float:
        """What the first step gets of what the last one but one got."""
        return self.ratio**self.steps


def runs() -> Iterator[Run]:
    """Every cell with every seed and scale."""
    for name, make in CELLS.items():
        for seed in SEEDS:
            for scale in SCALES:
                mg.seed(seed)
                yield run(name, graph_of(make(), T, seed, scale), seed, scale)
    for name, kind in TRAINED.items():
        for seed in SEEDS:
            mg.seed(seed)
            yield run(name, trained(kind, seed), seed, 1.0)


def run(name: str, graph: mg.Graph, seed: int, scale: float) -> Run:
    """Measure one network."""
    flow = graph.gradient_flow(jacobians=False)
    clipped = graph.clip_edges(max_norm=1).gradient_flow(jacobians=False)
    return Run(
        name,
        seed,
        scale,
        flow.paths[0].verdict,
        flow.paths[0].mean_ratio,
        defined_ratio(graph),
        len(graph.time_steps) - 1,
        max(float(path.crossing[:-1].max()) for path in flow.paths),
        max(float(path.crossing[:-1].max()) for path in clipped.paths),
        float(graph.values_by_step("f").mean()) if name.startswith("LSTM") else math.nan,
    )


def defined_ratio(graph: mg.Graph) -> float:
    """(‖∂loss/∂s_0‖ / ‖∂loss/∂s_{T−2}‖)^(1/(T−2)), s_t = (h_t, c_t) the whole state of the cell.

    The last step is left out: there the loss enters, at h alone.
    """
    sizes, last = [], len(graph.time_steps) - 2
    for t in (0, last):
        nodes = [state.nodes[t,] for state in graph.states]
        grads = mg.grad(graph.outputs[0], nodes)
        sizes.append(math.hypot(*[float(np.linalg.norm(g.data)) for g in grads if g is not None]))
    return float((sizes[0] / sizes[1]) ** (1 / last))


class Claim(NamedTuple):
    """A sentence, the cells and the scales that it speaks of, and what must be true of each run."""

    sentence: str
    cells: tuple[str, ...]
    holds: Callable[[Run], bool]
    scales: tuple[float, ...] = SCALES


CLAIMS = [
    Claim(
        "the verdict's ratio is that of its definition, within 1 %",
        (*CELLS, *TRAINED),
        lambda r: abs(r.ratio / r.defined - 1) < 0.01,
    ),
    Claim(
        "the verdict's word is that of the ratio by definition, 2 % beside the thresholds",
        (*CELLS, *TRAINED),
        lambda r: r.words in {verdict(r.defined * factor, r.steps) for factor in (0.98, 1, 1.02)},
    ),
    Claim(
        "a vanilla RNN of gain 0.5 loses its gradient",
        ("RNN, gain 0.5",),
        lambda r: r.words == "vanishing" and r.ratio < 0.51,
    ),
    Claim(
        "gain 1 vanishes with ordinary inputs, N(0, 1): φ′ is below 1",
        ("RNN, gain 1",),
        lambda r: r.words == "vanishing",
        (1.0,),
    ),
    Claim(
        "gain 1 vanishes more slowly than gain 0.5",
        ("RNN, gain 1",),
        lambda r: r.ratio > 0.55,
    ),
    Claim(
        "of gain 0.5, the first of thirty steps gets less than a billionth, with ordinary inputs",
        ("RNN, gain 0.5",),
        lambda r: r.left < 1e-9,
        (1.0,),
    ),
    Claim(
        "of gain 3, the first of thirty steps gets far more, fifty times as much at least",
        ("RNN, gain 3",),
        lambda r: r.left > 50,
        (1.0,),
    ),
    Claim(
        "gain 1.5 is nearly in balance with ordinary inputs",
        ("RNN, gain 1.5",),
        lambda r: 0.85 < r.ratio < 1.15,
        (1.0,),
    ),
    Claim(
        "gain 1 keeps its gradient while inputs are small (scale 0.1)",
        ("RNN, gain 1",),
        lambda r: r.words == "healthy",
        (0.1,),
    ),
    Claim(
        "gain 3 explodes, and by less than 3 a step",
        ("RNN, gain 3",),
        lambda r: r.words == "exploding" and r.ratio < 2,
    ),
    Claim(
        "a GRU as it comes and an LSTM of forget bias 0 forget, three to four tenths a step",
        ("LSTM, b_f = 0", "GRU"),
        lambda r: r.words == "vanishing" and 0.6 < r.ratio < 0.8,
    ),
    Claim(
        "an LSTM as it comes (forget bias 1) keeps its gradient while inputs are small",
        ("LSTM",),
        lambda r: r.words == "healthy",
        (0.1,),
    ),
    Claim(
        "an LSTM as it comes forgets slowly with ordinary inputs, a tenth a step",
        ("LSTM",),
        lambda r: 0.85 < r.ratio < 0.92,
        (1.0,),
    ),
    Claim(
        "an LSTM with forget bias 2 keeps its gradient with ordinary inputs",
        ("LSTM, b_f = 2",),
        lambda r: r.words == "healthy",
        (1.0,),
    ),
    Claim(
        "of large inputs (scale 3) an LSTM with forget bias 2 loses up to a tenth a step",
        ("LSTM, b_f = 2",),
        lambda r: 0.88 < r.ratio < 1,
        (3.0,),
    ),
    Claim(
        "a GRU with update bias 4 keeps its gradient",
        ("GRU, b_z = 4",),
        lambda r: r.words == "healthy",
    ),
    Claim(
        "an RNN, an LSTM and a GRU that have learnt to remember ten steps do not vanish any more",
        tuple(TRAINED),
        lambda r: r.words in ("healthy", "exploding"),
        (1.0,),
    ),
    Claim(
        "clip_edges(max_norm=1) bounds what crosses, whatever the cell",
        (*CELLS, *TRAINED),
        lambda r: r.clipped <= 1 + 1e-6,
    ),
    Claim(
        "clipping does not cure forgetting: what was below the limit stays as it was",
        ("RNN, gain 0.5", "LSTM", "LSTM, b_f = 0", "GRU"),
        lambda r: r.crossing > 1 or abs(r.clipped - r.crossing) <= 1e-6 * r.crossing,
    ),
]


GATES = {"LSTM, b_f = 0": 0.5, "LSTM": 0.73, "LSTM, b_f = 2": 0.88}
CLAIMS += [
    Claim(
        "forget gates of bias 0, 1, 2 are open by 0.5, 0.73, 0.88",
        tuple(GATES),
        lambda r: abs(r.gate - GATES[r.cell]) < 0.06,
        (0.1, 1.0),
    ),
]
WINDOW = 8


def cut_off(seed: int) -> dict[float, float]:
    """By gain, the error of W_hh's gradient that is cut off after 8 of 64 steps."""
    mg.seed(seed)
    rng = np.random.default_rng(seed)
    graphs = {gain: truncation.graph_of(gain, 64, rng) for gain in (0.5, 1.0)}
    return {gain: truncation.bias(graph, WINDOW)[0] for gain, graph in graphs.items()}


CUT_CLAIMS: dict[str, Callable[[dict[float, float]], bool]] = {
    "an RNN that forgets (gain 0.5) loses little by truncation: a hundredth in a window of 8": (
        lambda error: error[0.5] < 0.01
    ),
    "an RNN that does not (gain 1) loses much: a tenth or more in a window of 8": (
        lambda error: error[1.0] > 0.1
    ),
}


SENTENCES = [*(claim.sentence for claim in CLAIMS), *CUT_CLAIMS]


class Row(NamedTuple):
    """A claim and how many of its runs bear it out."""

    sentence: str
    holding: int
    runs: int
    failing: list[Any]


def table() -> list[Row]:
    """Each claim against its runs."""
    measured = list(runs())
    rows = []
    for claim in CLAIMS:
        own = [r for r in measured if r.cell in claim.cells and r.scale in claim.scales]
        failing = [r for r in own if not claim.holds(r)]
        rows.append(Row(claim.sentence, len(own) - len(failing), len(own), failing))
    errors = [cut_off(seed) for seed in SEEDS]
    for sentence, holds in CUT_CLAIMS.items():
        wrong = [error for error in errors if not holds(error)]
        rows.append(Row(sentence, len(errors) - len(wrong), len(errors), wrong))
    return rows


def main() -> None:
    """Print the table."""
    rows = [["claim", "holds in"]]
    rows += [[row.sentence, f"{row.holding} of {row.runs}"] for row in table()]
    print(columns(rows))


if __name__ == "__main__":
    main()
