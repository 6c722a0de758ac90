"""Makes every picture of the README and of the documentation: `make pictures`."""

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import minigrad as mg  # noqa: E402
import nn  # noqa: E402
from demos.custom_cells.minimal_gated import MinimalGatedCell  # noqa: E402
from demos.vanishing_and_exploding import graph_of, gru, lstm, rnn  # noqa: E402
from docs import page_pictures  # noqa: E402

FOLDER = ROOT / "docs" / "pictures"


def multiplication() -> mg.Graph:
    """h = w * h, three times: the smallest recurrence."""
    w, h = mg.tensor(0.2, requires_grad=True, name="w"), mg.tensor(0.9, name="h_init")
    for t in range(3):
        with mg.time_step(t):
            h = w * h
    return mg.Graph(h)


def last_step(cell: nn.Cell, T: int) -> mg.Graph:
    """The cell unrolled, with a loss at the end."""
    ys, _ = nn.Unroll(cell)(np.random.default_rng(0).standard_normal((T, 1, cell.input_size)))
    return mg.Graph((ys[-1] ** 2).mean())


def deep(T: int) -> mg.Graph:
    """Two LSTMs, one on top of the other."""
    ys, _ = nn.LSTM(2, 4, num_layers=2)(np.ones((T, 1, 2)))
    return mg.Graph((ys[-1] ** 2).mean())


def losses(T: int) -> mg.Graph:
    """An LSTM with an output and a loss at every step."""
    ys, _ = nn.LSTM(2, 4)(np.random.default_rng(0).standard_normal((T, 1, 2)))
    head = nn.Linear(4, 1)
    return mg.Graph(sum(nn.mse_loss(head(y), np.zeros((1, 1), np.float32)) for y in ys))


def bidirectional(T: int) -> mg.Graph:
    """An RNN that runs both ways, with an output and a loss at every step."""
    ys, _ = nn.RNN(2, 4, bidirectional=True)(np.random.default_rng(0).standard_normal((T, 1, 2)))
    head = nn.Linear(8, 1)
    return mg.Graph(sum(nn.mse_loss(head(y), np.zeros((1, 1), np.float32)) for y in ys))


def mirror(graph: mg.Graph) -> mg.Graph:
    """A graph and its own backward pass."""
    (loss,) = graph.outputs
    gradients = mg.grad(loss, list(graph.parameters.values()), create_graph=True)
    return mg.Graph(loss, *[gradient for gradient in gradients if gradient is not None])


def main() -> None:
    """Draw, and print each path."""
    mg.seed(0)
    FOLDER.mkdir(exist_ok=True)
    pictures = {
        "multiplication": (multiplication(), {"backward": True}),
        "rolled": (last_step(nn.RNNCell(2, 4), 4), {"view": "cells", "time": "both"}),
        "rnn-backward": (last_step(nn.RNNCell(2, 4), 3), {"backward": True}),
        "lstm-backward": (last_step(nn.LSTMCell(2, 4), 2), {"backward": True}),
        "minimal-gated": (last_step(MinimalGatedCell(2, 4), 3), {"time": "rolled"}),
        "deep": (deep(3), {"view": "cells", "backward": True}),
        "long": (last_step(nn.RNNCell(2, 4), 500), {"view": "cells", "backward": True}),
        "losses": (losses(4), {"view": "cells", "backward": True}),
        "bidirectional": (bidirectional(3), {"view": "cells"}),
        "mirror": (mirror(multiplication()), {}),
        "mirror-cells": (mirror(last_step(nn.LSTMCell(2, 4), 3)), {"view": "cells"}),
        "clipped": (
            graph_of(rnn(3.0), 8, 0).clip_edges(max_norm=1),
            {"view": "cells", "backward": True},
        ),
    }
    for name, (graph, options) in pictures.items():
        print(graph.render(FOLDER / f"{name}.png", **options))
    cells = {f"RNN, gain {gain}": rnn(gain) for gain in (0.5, 1.0, 3.0)}
    cells |= {"LSTM": lstm(), "LSTM, forget bias 2": lstm(2), "GRU, update bias 4": gru(4)}
    strips = {title: graph_of(cell, 12, 0) for title, cell in cells.items()}
    strips["RNN, gain 3.0, clipped"] = strips["RNN, gain 3.0"].clip_edges(max_norm=1)
    print(mg.compare(strips).render(FOLDER / "compare.png"))
    page_pictures.main()


if __name__ == "__main__":
    main()
