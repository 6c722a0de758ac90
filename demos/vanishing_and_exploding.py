"""Vanishing and exploding: what happens to a gradient on its way back through time, in one figure.

Every step back multiplies the gradient by W_hh and by φ′.  Vanilla RNNs whose W_hh has gain 0.5, 1.0 and 1.5, an LSTM
and a GRU whose gates let the past through, and the RNN of gain 1.5 with its gradients clipped at every boundary between
steps: each is unrolled, its backward pass is walked once, and what every step does to ‖∂loss/∂h_t‖ is measured and
drawn on one scale of colour.

Nothing is trained.  --frames DIR makes a flip-book of one backward pass, a picture for each step back.  --cell
module:Class adds the strip of your own cell, made as Class(D, H).
"""

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.tasks import load_cell

INPUT, HIDDEN, BATCH = 2, 16, 4


def rnn(gain: float) -> nn.Cell:
    """A vanilla cell whose W_hh is a rotation times `gain`: every direction is stretched alike."""
    cell = nn.RNNCell(INPUT, HIDDEN)
    cell.W_hh.data = gain * cell.W_hh.data
    return cell


def lstm() -> nn.Cell:
    """An LSTM that remembers: forget gates nearly open, f ≈ σ(4) = 0.98, and little way for the gradient around c."""
    return remembering(nn.LSTMCell(INPUT, HIDDEN))


def gru() -> nn.Cell:
    """A GRU that remembers: update gates nearly shut to what is new, z ≈ σ(4) = 0.98."""
    return remembering(nn.GRUCell(INPUT, HIDDEN))


def remembering(cell: nn.Cell) -> nn.Cell:
    """The cell with small W_hh and a bias of 4 on its second gate: f of i f g o, z of r z n."""
    cell.W_hh.data = 0.3 * cell.W_hh.data
    cell.b_h.data = np.where(np.arange(cell.b_h.size) // HIDDEN == 1, 4.0, 0.0)
    return cell


def graph_of(cell: nn.Cell, T: int, seed: int) -> mg.Graph:
    """A loss on the last output after T small inputs, the same for every cell."""
    xs = 0.01 * np.random.default_rng(seed).standard_normal((T, BATCH, INPUT))
    ys, _ = nn.Unroll(cell)(xs)
    return mg.Graph(ys[-1].sum(axis=-1).mean())


def clearest(flow) -> object:
    """The path that keeps most: the memory c of an LSTM."""
    return next((path for path in flow.paths if path.state == "c"), flow.paths[0])


def verdict(path, clipped: bool) -> str:
    """The path in a few words."""
    if clipped:
        return f"crossings ≤ {path.crossing[:-1].max():.2g}"
    name = f"{path.state}-path " if path.state == "c" else ""
    return f"{name}{path.verdict} (×{path.mean_ratio:.2f} a step)"


def main(args) -> None:
    T = args.T or (8 if args.quick else 30)
    if T < 2:
        raise cli.UsageError(
            f"-T {T}: at least 2 steps are needed, for something to flow between them"
        )
    cells = {f"RNN {gain}": rnn(gain) for gain in (0.5, 1.0, 1.5)} | {"LSTM": lstm(), "GRU": gru()}
    if args.cell:
        cells[args.cell.rpartition(":")[2]] = load_cell(args.cell, (INPUT, HIDDEN))
    graphs = {title: graph_of(cell, T, args.seed) for title, cell in cells.items()}
    graphs["RNN 1.5 clipped"] = graphs["RNN 1.5"].clip_edges(max_norm=1)
    paths = {
        title: clearest(graph.gradient_flow(jacobians=False)) for title, graph in graphs.items()
    }
    scale = 1e-4, max(path.total.max() for path in paths.values())
    rows = [
        [
            title,
            cli.bars(path.total, 30, scale),
            f"{path.total[0]:.1e}",
            f"{path.total[-1]:.1e}",
            verdict(path, "clip" in title),
        ]
        for title, path in paths.items()
    ]
    cli.table(
        ["", "‖dloss/dh_t‖ over t, log scale from 1e-4", "at t = 0", f"at t = {T - 1}", ""], rows
    )
    print(
        "\n"
        + " | ".join(f"{title} {verdict(path, 'clip' in title)}" for title, path in paths.items())
    )

    def draw(axes) -> None:
        for title, path in paths.items():
            axes.semilogy(path.t, path.total, ".-", label=title)
        axes.set(
            xlabel="t",
            ylabel="‖∂loss/∂state‖",
            title="the gradient, from the loss at the right back to t = 0",
        )
        axes.legend()
        axes.grid(alpha=0.3)

    args.out.plot("curves.png", draw)
    args.out.graph("flow.svg", mg.compare(graphs))
    if args.frames:
        args.out.frames(
            args.frames, graph_of(cells["RNN 0.5"], min(T, 12), args.seed), view="cells"
        )


if __name__ == "__main__":
    steps = ("-T", {"type": cli.positive, "metavar": "T", "help": "steps (default 30)"})
    frames = ("--frames", {"metavar": "DIR", "help": "folder for a flip-book of one backward pass"})
    cell = ("--cell", {"metavar": "module:Class", "help": "a cell of yours, made as Class(D, H)"})
    cli.run(main, "vanishing_and_exploding", __doc__, steps, frames, cell)
