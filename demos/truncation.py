"""Truncation: how wrong is a gradient that only looks k steps back?

Truncated backpropagation through time cuts the graph at every k-th boundary between steps.  What is cut off is a bias:
the gradient no longer points where the loss falls fastest.  For windows of 1, 2, 4, ... steps the cut gradient of W_hh
is compared with the full one, in length and in direction, for an RNN that forgets (gain 0.5) and for one that does
not (gain 1.0).  The one that forgets loses little: what is cut off has vanished already.
"""

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.cli import say

INPUT, HIDDEN, BATCH = 2, 16, 8


def graph_of(gain: float, T: int, rng: np.random.Generator) -> mg.Graph:
    """The mean square of the last output of an RNN whose W_hh is a rotation times `gain`."""
    rnn = nn.RNN(INPUT, HIDDEN)
    rnn.l0.W_hh.data = gain * rnn.l0.W_hh.data
    ys, _ = rnn(0.3 * rng.standard_normal((T, BATCH, INPUT)))
    return mg.Graph((ys[-1] ** 2).mean())


def bias(graph: mg.Graph, window: int) -> tuple[float, float]:
    """|truncated − full| / |full| of ∂loss/∂W_hh, and the angle between the two in degrees."""
    ratio, angle = graph.truncation_bias(window).parameters["l0.W_hh"]
    return float(np.sqrt(max(0.0, 1 + ratio**2 - 2 * ratio * np.cos(np.radians(angle))))), angle


def main(args) -> cli.Table:
    T = args.T or (8 if args.quick else 64)
    rng = np.random.default_rng(args.seed)
    windows = [2**k for k in range(T.bit_length()) if 2**k < T] + [T]
    graphs = {gain: graph_of(gain, T, rng) for gain in (0.5, 1.0)}
    found = {gain: [bias(graph, k) for k in windows] for gain, graph in graphs.items()}
    rows = [
        (say("window k = {}", k), *(value for gain in found for value in found[gain][n]))
        for n, k in enumerate(windows)
    ]
    columns = {}
    for gain in found:
        columns |= {say("gain {}: error", gain): "{:.3f}", say("gain {}: angle", gain): "{:.0f}°"}
    table = cli.Table(say("bias, T = {}", T), columns, rows)
    print(table)

    def draw(axes) -> None:
        for gain, values in found.items():
            errors = [max(error, 1e-9) for error, _ in values[:-1]]  # the whole of T has none
            axes.loglog(windows[:-1], errors, "o-", base=2, label=say("gain {}", gain))
        axes.set(xlabel=say("window k"), ylabel="|truncated − full| / |full|", yscale="log")
        axes.set_ylim(1e-6, 1)
        axes.set_xticks(windows, windows)
        axes.legend()

    args.out.plot("bias.png", draw)
    args.out.graph("cut.svg", graph_of(1.0, 6, rng).truncate(3), view="cells", backward=True)
    return table


OPTIONS = (("-T", {"type": cli.length, "metavar": "T", "help": "steps", "usual": 64}),)

if __name__ == "__main__":
    cli.run(main, "truncation", __doc__, OPTIONS)
