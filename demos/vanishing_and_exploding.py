"""Vanishing and exploding: what happens to a gradient on its way back through time, in one figure.

Every step back multiplies the gradient by W_hh and by φ′.  The inputs are ordinary numbers, N(0, 1)
times --scale, and the cells are as they come: vanilla RNNs whose W_hh has gain 0.5, 1 and 3, an
LSTM and a GRU, and the same two with one bias changed, so that they keep their state.  The backward
pass of each is walked once, and what every step does to ‖∂loss/∂state‖ is measured and drawn on
one scale, that of the data.  The RNN of gain 3 is drawn once more with its gradients clipped at
every boundary between steps.

Then an RNN, an LSTM and a GRU are trained to say at the end what sign the first number had, and
measured again: which of them has learnt to keep a gradient?

--frames DIR makes a flip-book of one backward pass, a picture for each step back.  --cell
module:Class adds the strip of your own cell, made as Class(D, H).  --quick trains hardly at all:
its trained rows are no results.
"""

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.tasks import load_cell
from demos.training import descend

INPUT, HIDDEN, BATCH = 2, 16, 4
TRAINED = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}


def rnn(gain: float) -> nn.Cell:
    """A vanilla cell whose W_hh is a rotation times `gain`: every direction is stretched alike."""
    cell = nn.RNNCell(INPUT, HIDDEN)
    cell.W_hh.data = gain * cell.W_hh.data
    return cell


def lstm(forget_bias: float = 0.0) -> nn.Cell:
    """An LSTM; a forget bias of 2 opens its forget gates to f ≈ σ(2) = 0.88."""
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


def state_of(graph: mg.Graph) -> object:
    """The path to show: the memory c of an LSTM, else the state."""
    paths = graph.gradient_flow(jacobians=False).paths
    return next((path for path in paths if path.state == "c"), paths[0])


def verdict(path, clipped: bool) -> str:
    """The path in a few words."""
    if clipped:
        return f"crossings ≤ {path.crossing[:-1].max():.2g}"
    return f"{path.verdict} (×{path.mean_ratio:.2f} a step)"


def ends(path) -> list[str]:
    """The gradient at the first and the last step."""
    return [f"{path.total[k]:.1e}" for k in (0, -1)]


def untrained(args, T: int) -> dict[str, mg.Graph]:
    """The graphs of the cells as they come, and of those with one bias changed."""
    cells = {f"RNN {gain:g}": rnn(gain) for gain in (0.5, 1, 3)}
    cells |= {"LSTM": lstm(), "LSTM, b_f = 2": lstm(2), "GRU": gru(), "GRU, b_z = 4": gru(4)}
    if args.cell:
        cells[args.cell.rpartition(":")[2]] = load_cell(args.cell, (INPUT, HIDDEN))
    graphs = {title: graph_of(cell, T, args.seed, args.scale) for title, cell in cells.items()}
    graphs["RNN 3 clipped"] = graphs["RNN 3"].clip_edges(max_norm=1)
    return graphs


def main(args) -> None:
    T = args.T or (8 if args.quick else 30)
    if T < 2:
        problem = "at least 2 steps are needed, for something to flow between them"
        raise cli.UsageError(f"-T {T}: {problem}")
    graphs, scores = untrained(args, T), dict[str, float]()
    for name in TRAINED:
        graphs[f"{name} trained"], scores[f"{name} trained"] = trained(name, args, T)
    paths = {title: state_of(graph) for title, graph in graphs.items()}
    sizes = np.concatenate([path.total[path.total > 0] for path in paths.values()])
    scale = sizes.min(), sizes.max()
    words = {title: verdict(path, "clip" in title) for title, path in paths.items()}
    words |= {title: f"{words[title]}, {right:.0%} right" for title, right in scores.items()}
    rows = [
        [title, path.state, cli.bars(path.total, 30, scale), *ends(path), words[title]]
        for title, path in paths.items()
    ]
    bars = f"‖∂loss/∂state‖ over t, log scale {scale[0]:.0e} to {scale[1]:.0e}"
    cli.table(["", "", bars, "at t = 0", f"at t = {T - 1}", ""], rows)
    print("\n" + " | ".join(f"{title} {text}" for title, text in words.items()))
    if args.quick:
        print("--quick: the trained rows have seen 5 updates and are no results")

    def draw(axes) -> None:
        for title, path in paths.items():
            axes.semilogy(path.t, path.total, ".-", label=title)
        axes.set(xlabel="t", ylabel="‖∂loss/∂state‖", title="from the loss, at the right, to t = 0")
        axes.legend(fontsize="small")
        axes.grid(alpha=0.3)

    args.out.plot("curves.png", draw)
    args.out.graph("flow.svg", mg.compare(graphs))
    if args.frames:
        book = graph_of(rnn(0.5), min(T, 12), args.seed, args.scale)
        args.out.frames(args.frames, book, view="cells")


if __name__ == "__main__":
    steps = ("-T", {"type": cli.positive, "metavar": "T", "help": "steps (default 30)"})
    frames = ("--frames", {"metavar": "DIR", "help": "folder for a flip-book of one backward pass"})
    cell = ("--cell", {"metavar": "module:Class", "help": "a cell of yours, made as Class(D, H)"})
    size = ("--scale", {"type": float, "default": 1.0, "help": "of the inputs (default 1)"})
    cli.run(main, "vanishing_and_exploding", __doc__, steps, frames, cell, size)
