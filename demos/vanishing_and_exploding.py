"""Vanishing and exploding: what happens to a gradient on its way back through time, in one figure.

Every step back multiplies the gradient by W_hh and by φ′.  The inputs are ordinary numbers, N(0, 1)
times --scale, and the cells are as they come: vanilla RNNs whose W_hh has gain 0.5, 1 and 3, an
LSTM (whose forget bias is 1) and a GRU, and the same two with one bias changed, so that they forget
or keep their state.  The backward pass of each is walked once, and what every step does to
‖∂loss/∂state‖ is measured and drawn on one scale, that of the data.  The RNN of gain 3 is drawn
once more with its gradients clipped at every boundary between steps.

Then an RNN, an LSTM and a GRU are trained to say at the end what sign the first number had, and
measured again: which of them has learnt to keep a gradient?  In so short a training only the LSTM
has begun to, three answers of four right; over ten steps all three do.

sliders.html is a page in which one plays the passes of an RNN and of an LSTM side by side, with
sliders for the gain, the scale of the inputs and the forget bias.

--gain G adds an RNN of another gain, --cell module:Class the strip of your own cell, made as
Class(D, H).  --frames DIR makes a flip-book of one backward pass, a picture for each step back.
"""

from functools import cache
from typing import Any

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.cli import say
from demos.tasks import load_cell
from demos.training import descend

INPUT, HIDDEN, BATCH = 2, 16, 4
GAINS, SCALES, BIASES = (0.5, 0.8, 1.0, 1.5, 3.0), (0.01, 0.1, 0.3, 1.0, 3.0), (0.0, 1.0, 2.0, 4.0)
TRAINED = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}
CAPTIONS = {
    ("RNN", "fast"): "a row of cups, each hands on a drop: nothing reaches the first",
    ("RNN", "vanishing"): "a long scroll: what was read first is forgotten first",
    ("RNN", "healthy"): "a row of cups, each hands on what it got",
    ("RNN", "exploding"): "a row of cups, each gets too much: they overflow",
    ("LSTM", "fast"): "a notebook that drops a quarter of its notes or more at every step",
    ("LSTM", "vanishing"): "a clever notebook: it keeps some notes and drops others",
    ("LSTM", "healthy"): "a valve on each cup, open: what matters is kept",
    ("GRU", "vanishing"): "a notebook of two parts, notes that matter and notes for now",
    ("GRU", "healthy"): "a valve on each cup, nearly shut: what is in it stays",
    ("", "exploding"): "valves that are too far open: the cups overflow",
    ("", "limited"): "cups of limited size: none gets more than it can hold",
}
FAST = {"RNN": 0.6, "LSTM": 0.75}  # below so much a step there is a caption of its own


def rnn(gain: float) -> nn.Cell:
    """A vanilla cell whose W_hh is a rotation times `gain`: every direction is stretched alike."""
    cell = nn.RNNCell(INPUT, HIDDEN)
    cell.W_hh.data = gain * cell.W_hh.data
    return cell


def lstm(forget_bias: float = 1.0) -> nn.Cell:
    """An LSTM; it comes with a forget bias of 1, and one of 2 opens its gates to f ≈ σ(2) = 0.88."""
    return with_bias(nn.LSTMCell(INPUT, HIDDEN), forget_bias)


def gru(update_bias: float = 0.0) -> nn.Cell:
    """A GRU; an update bias of 4 keeps all but 1 − σ(4) = 2 % of its state from step to step."""
    return with_bias(nn.GRUCell(INPUT, HIDDEN), update_bias)


def with_bias(cell: nn.Cell, bias: float) -> nn.Cell:
    """The cell with a bias on its second gate: f of i f g o, z of r z n."""
    gates = np.arange(cell.b_h.size) // HIDDEN
    cell.b_h.data = np.where(gates == 1, bias, cell.b_h.data)
    return cell


def graph_of(cell: nn.Cell, T: int, seed: int, scale: float = 1.0) -> mg.Graph:
    """A loss on the last output after T inputs, the same for every cell."""
    xs = scale * np.random.default_rng(seed).standard_normal((T, BATCH, INPUT))
    ys, _ = nn.Unroll(cell)(xs)
    return mg.Graph(ys[-1].sum(axis=-1).mean())


class Recall(nn.Module):
    """A cell and a line from its last output: was the first number positive?"""

    def __init__(self, cell: nn.Cell) -> None:
        self.unroll, self.head = nn.Unroll(cell), nn.Linear(HIDDEN, 1)

    def forward(self, xs):
        return self.head(self.unroll(xs)[0][-1])

    def batch(self, T: int, B: int, scale: float, rng):
        """B sequences (T, B, D), and 1.0 where the first number is positive."""
        xs = scale * rng.standard_normal((T, B, INPUT))
        return xs, (xs[0, :, :1] > 0) * 1.0


def trained(name: str, args, T: int) -> tuple[mg.Graph, float]:
    """The graph of a trained network's loss, and the part of its answers that is right."""
    mg.seed(args.seed)
    rng, net = np.random.default_rng(args.seed), Recall(TRAINED[name](INPUT, HIDDEN))

    def loss(B: int = 32) -> mg.Tensor:
        xs, positive = net.batch(T, B, args.scale, rng)
        return nn.binary_cross_entropy_with_logits(net(xs), positive)

    descend(net, loss, 5 if args.quick else 400, 0.01, f"{name}, T = {T}")
    graph = mg.Graph(loss(BATCH))
    with mg.no_grad():
        xs, positive = net.batch(T, 400, args.scale, rng)
        right = float(((net(xs).data > 0) == positive).mean())
    return graph, right


def state_of(title: str, graph: mg.Graph) -> Any:
    """The path to show: the memory c of an LSTM, else the state."""
    with np.errstate(over="ignore", invalid="ignore"):
        paths = graph.gradient_flow(jacobians=False).paths
    path = next((path for path in paths if path.state == "c"), paths[0])
    cli.check_finite(f"{title}: ‖∂loss/∂{path.state}‖", path.total, back=True)
    return path


def untrained(args, T: int) -> dict[str, mg.Graph]:
    """The graphs of the cells as they come, and of those with one bias changed."""
    gains = dict.fromkeys((0.5, 1, 3, *([args.gain] if args.gain else [])))
    cells = {f"RNN {gain:g}": rnn(gain) for gain in gains}
    cells |= {"LSTM, b_f = 0": lstm(0), "LSTM": lstm(), "LSTM, b_f = 2": lstm(2)}
    cells |= {"GRU": gru(), "GRU, b_z = 4": gru(4)}
    if args.cell:
        cells[args.cell.rpartition(":")[2]] = load_cell(args.cell, (INPUT, HIDDEN))
    graphs = {title: graph_of(cell, T, args.seed, args.scale) for title, cell in cells.items()}
    graphs["RNN 3, norm ≤ 1"] = graphs["RNN 3"].clip_edges(max_norm=1)
    return graphs


def captioned(title: str, path) -> str:
    """A strip's title, and the picture in words that explains what was measured."""
    kind, word = title.partition(" ")[0].rstrip(","), path.verdict
    if "≤" in title:
        kind, word = "", "limited"
    elif word == "vanishing" and path.mean_ratio < FAST.get(kind, 0):
        word = "fast"
    caption = CAPTIONS.get((kind, word)) or CAPTIONS.get(("", word))
    return f"{title}: {say(caption)}" if caption else title


def sliders(T: int, seed: int, every: int = 1) -> Any:
    """An RNN and an LSTM side by side, at each gain, input scale and forget bias, or at some."""

    @cache
    def graph(cell: Any, setting: float, scale: float) -> mg.Graph:
        mg.seed(seed)
        return graph_of(cell(setting), T, seed, scale)

    def both(gain: float, input_scale: float, forget_bias: float) -> dict[str, mg.Graph]:
        return {"RNN": graph(rnn, gain, input_scale), "LSTM": graph(lstm, forget_bias, input_scale)}

    gains, scales, biases = (values[::every] for values in (GAINS, SCALES, BIASES))
    return mg.compare(both, gain=gains, input_scale=scales, forget_bias=biases)


def main(args) -> list[cli.Table]:
    T = args.T or (8 if args.quick else 30)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is told below
        graphs, scores = untrained(args, T), dict[str, float]()
    paths = {title: state_of(title, graph) for title, graph in graphs.items()}
    for name in TRAINED:
        title = say("{} trained", name)
        graphs[title], scores[title] = trained(name, args, T)
        paths[title] = state_of(title, graphs[title])
    sizes = np.concatenate([path.total[path.total > 0] for path in paths.values()])
    scale = sizes.min(), sizes.max()
    limits = {title: path.crossing[:-1].max() for title, path in paths.items() if "≤" in title}
    rows = [
        (
            f"{title} {path.state}",
            cli.bars(path.total, 30, scale),
            *path.total[[0, -1]],
            float(path.mean_ratio),
            say("crossings ≤ {:.2g}", limits[title]) if title in limits else say(path.verdict),
        )
        for title, path in paths.items()
    ]
    bars = say("‖∂loss/∂state‖ over t, log scale {:.0e} to {:.0e}", *scale)
    forms = {bars: "", say("at t = 0"): "{:.1e}", say("at t = {}", T - 1): "{:.1e}"}
    forms |= {say("a step back"): "×{:.2f}", "": ""}
    found = cli.Table(say("input scale {:g}", args.scale), forms, rows)
    print(found)
    title = say("the sign of the first of {} numbers", T)
    learnt = cli.Table(title, {say("right"): "{:.0%}"}, list(scores.items()))
    print(learnt)

    def draw(axes) -> None:
        for title, path in paths.items():
            axes.semilogy(path.t, path.total, ".--" if title in scores else ".-", label=title)
        title = say("from the loss, at the right, to t = 0")
        axes.set(xlabel="t", ylabel="‖∂loss/∂state‖", title=title)
        axes.legend(fontsize="small")
        axes.grid(alpha=0.3)

    args.out.plot("curves.png", draw, (8, 5))
    page = sliders(8, args.seed, every=4) if args.quick else sliders(min(T, 30), args.seed)
    strips = mg.compare({captioned(title, paths[title]): graphs[title] for title in graphs})
    args.out.graph("flow.svg", strips, steps="0:4,-4:" if T > 12 else "all")
    args.out.graph("sliders.html", page)
    if args.frames:
        book = graph_of(rnn(0.5), min(T, 12), args.seed, args.scale)
        args.out.frames(args.frames, book, view="cells")
    return [found, learnt]


OPTIONS = (
    ("-T", {"type": cli.length, "metavar": "T", "help": "steps", "usual": 30}),
    ("--frames", {"metavar": "DIR", "help": "folder for a flip-book of one backward pass"}),
    ("--cell", {"metavar": "module:Class", "help": "a cell of yours, made as Class(D, H)"}),
    ("--scale", {"type": cli.scale, "default": 1.0, "metavar": "S", "help": "of the inputs"}),
    ("--gain", {"type": cli.scale, "metavar": "G", "help": "of W_hh of one more RNN"}),
)

if __name__ == "__main__":
    cli.run(main, "vanishing_and_exploding", __doc__, OPTIONS)
