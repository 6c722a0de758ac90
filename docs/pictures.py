"""Makes every picture of the README and of the documentation: `make pictures`."""

import argparse
import contextlib
import doctest
import io
import linecache
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import minigrad as mg  # noqa: E402
import nn  # noqa: E402
from demos.custom_cells.minimal_gated import MinimalGatedCell  # noqa: E402
from demos.vanishing_and_exploding import (  # noqa: E402
    captioned,
    graph_of,
    rnn,
    state_of,
    untrained,
)
from docs import page_pictures  # noqa: E402

FOLDER = ROOT / "docs" / "pictures"
STRIPS = ["RNN 0.5", "RNN 1", "RNN 3", "RNN 3, norm ≤ 1", "LSTM", "LSTM, b_f = 2", "GRU, b_z = 4"]


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


def vanilla(T: int) -> mg.Graph:
    """The textbook's network with a loss at every step."""
    X = np.random.default_rng(0).standard_normal((T, 1, 3))
    outputs, _ = nn.VanillaRNN(3, 4, 2)(X)
    Y = np.zeros((T, 1, 2), np.float32)
    return mg.Graph(sum(nn.mse_loss(outputs[t], Y[t]) for t in range(T)))


def losses(T: int) -> mg.Graph:
    """An LSTM with an output and a loss at every step."""
    ys, _ = nn.LSTM(2, 4)(np.random.default_rng(0).standard_normal((T, 1, 2)))
    head, Y = nn.Linear(4, 1), np.zeros((T, 1, 1), np.float32)
    return mg.Graph(sum(nn.mse_loss(head(ys[t]), Y[t]) for t in range(T)))


def bidirectional(T: int) -> mg.Graph:
    """An RNN that runs both ways, with an output and a loss at every step."""
    ys, _ = nn.RNN(2, 4, bidirectional=True)(np.random.default_rng(0).standard_normal((T, 1, 2)))
    head, Y = nn.Linear(8, 1), np.zeros((T, 1, 1), np.float32)
    return mg.Graph(sum(nn.mse_loss(head(ys[t]), Y[t]) for t in range(T)))


def echo_state(T: int) -> mg.Graph:
    """An echo-state network: only what reads the reservoir is learned."""
    rng = np.random.default_rng(0)
    W_in, W_res = (rng.standard_normal(shape) * 0.3 for shape in ((2, 6), (6, 6)))
    W_out = mg.tensor(rng.standard_normal((6, 1)), requires_grad=True, name="W_out")
    h, loss = mg.tensor(np.zeros((1, 6)), name="h_init"), 0.0
    Y = rng.standard_normal((T, 1, 1))
    for t, x in mg.timesteps(rng.standard_normal((T, 1, 2))):
        h = 0.7 * h + 0.3 * np.tanh(x @ W_in + h @ W_res)
        o = h @ W_out
        loss = loss + ((o - Y[t]) ** 2).sum()
    return mg.Graph(loss)


def attention(T: int) -> mg.Graph:
    """A decoder that looks at all states of an encoder."""
    rng = np.random.default_rng(0)
    keys, state = nn.Unroll(nn.GRUCell(2, 4))(rng.standard_normal((T, 1, 2)))
    queries, _ = nn.Unroll(nn.GRUCell(2, 4))(rng.standard_normal((T, 1, 2)), state)
    weights = mg.softmax(queries.transpose(1, 0, 2) @ keys.transpose(1, 2, 0))
    context = weights @ keys.transpose(1, 0, 2)
    return mg.Graph((context**2).mean())


class Attentive(nn.Cell):
    """h = tanh(mix(score(x) + x, h_prev)): two modules in a cell."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.input_size, self.state_size = input_size, hidden_size
        self.score = nn.Linear(input_size, hidden_size)
        self.mix = nn.Linear(hidden_size, hidden_size)

    def forward(self, x: mg.Tensor, h: mg.Tensor) -> tuple[mg.Tensor, mg.Tensor]:
        """One step."""
        h = np.tanh(mg.softmax(self.score(x)) * h + self.mix(h))
        return h, h


def blocks(T: int) -> mg.Graph:
    """A cell of modules."""
    return last_step(Attentive(2, 4), T)


def inner_loop(T: int) -> mg.Graph:
    """Two small steps inside of each step."""
    W, V = (mg.tensor(np.eye(2) * 0.5, requires_grad=True, name=name) for name in "WV")
    h = mg.tensor(np.ones((1, 2)), name="h_init")
    for _, x in mg.timesteps(np.ones((T, 1, 2))):
        u = h
        for _ in mg.timesteps(np.ones(2), axis="small"):
            u = np.tanh(u @ V + x)
        h = np.tanh(u @ W)
    return mg.Graph((h**2).sum())


def grid(n: int) -> mg.Graph:
    """States that come from the left and from below."""
    W, U = (mg.tensor(np.eye(2) * 0.5, requires_grad=True, name=name) for name in "WU")
    states: dict[tuple[int, int], mg.Tensor] = {}
    for i, _ in mg.timesteps(np.ones(n), axis="row"):
        for j, _ in mg.timesteps(np.ones(n), axis="column"):
            a = mg.tensor(np.ones((1, 2)), requires_grad=True, name="x")
            if i:
                a = a + states[i - 1, j] @ W
            if j:
                a = a + states[i, j - 1] @ U
            states[i, j] = np.tanh(a)
    return mg.Graph(states[n - 1, n - 1].sum())


class Pair(nn.Module):
    """h = tanh(left W + right U): one phrase made of two."""

    def __init__(self, size: int) -> None:
        rng = np.random.default_rng(0)
        self.W, self.U = (nn.Parameter(rng.standard_normal((size, size)) * 0.5) for _ in "WU")

    def forward(self, left: mg.Tensor, right: mg.Tensor) -> mg.Tensor:
        """One node of the tree."""
        return np.tanh(left @ self.W + right @ self.U)


def tree() -> mg.Graph:
    """A sentence as a tree of phrases."""
    rng = np.random.default_rng(0)
    words = ["the", "cat", "sat", "on", "it"]
    the, cat, sat, on, it = (mg.tensor(rng.standard_normal((1, 4)), name=word) for word in words)
    pair = Pair(4)
    sentence = pair(pair(the, cat), pair(sat, pair(on, it)))
    return mg.Graph((sentence**2).sum())


def marked() -> tuple[mg.Graph, dict[str, Any]]:
    """An RNN in a textbook's letters, counted from 1, one of its states pointed out."""
    graph = last_step(nn.RNNCell(2, 4), 3)
    options = {"view": "cells", "count_from": 1, "labels": {"h": "H", "x": "X"}, "legend": True}
    return graph, {**options, "highlight": graph.find(t=1, op="tanh"), "title": "The state H₂"}


def scalars() -> mg.Graph:
    """Three numbers."""
    values = {"a": 2.0, "b": -3.0, "c": 6.5}
    a, b, c = (mg.tensor(v, requires_grad=True, name=name) for name, v in values.items())
    return mg.Graph(np.tanh(a * b + c))


def mirror(graph: mg.Graph) -> mg.Graph:
    """A graph and its own backward pass."""
    (loss,) = graph.outputs
    gradients = mg.grad(loss, list(graph.parameters.values()), create_graph=True)
    return mg.Graph(loss, *[gradient for gradient in gradients if gradient is not None])


def of_page(page: Path) -> None:
    """The PNGs that the code of a page draws: what a page shows is made by what it tells to type."""
    text = page.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "page"}
    lines: list[str] = []
    for language, block in re.findall(r"^```(python|pycon)\n(.*?)^```", text, re.M | re.S):
        typed = doctest.DocTestParser().get_examples(block)
        lines.append(block if language == "python" else "".join(one.source for one in typed))
    program = "\n".join(lines)
    linecache.cache["<page>"] = (len(program), None, program.splitlines(keepends=True), "<page>")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(program, "<page>", "exec"), names)
        for drawn in sorted(Path(folder).glob("*.png")):
            print(shutil.copy(drawn, FOLDER))


def compiled() -> Any:
    """A training step of an RNN as a program."""
    step = mg.compile(lambda net, xs: (net(xs)[0][-1] ** 2).mean(), backend="numpy")
    step(nn.RNN(2, 4), np.ones((10, 1, 2), np.float32))
    return step


def compared() -> None:
    """Seven of the networks that `python -m demos.vanishing_and_exploding` measures, in both
    languages."""
    mg.seed(0)
    graphs = untrained(argparse.Namespace(gain=None, cell=None, seed=0, scale=1.0), 30)
    for language, name in (("en", "compare"), ("vi", "compare-vi")):
        os.environ["MINIGRAD_LANG"] = language
        strips = {captioned(s, state_of(s, graphs[s])): graphs[s] for s in STRIPS}
        print(mg.compare(strips).render(FOLDER / f"{name}.png", steps="0:3,-3:"))
    os.environ["MINIGRAD_LANG"] = "en"


def main() -> None:
    """Draw, and print each path."""
    FOLDER.mkdir(exist_ok=True)
    of_page(ROOT / "README.md")
    mg.seed(0)
    pictures = {
        "multiplication": (multiplication(), {"backward": True}),
        "rnn-backward": (last_step(nn.RNNCell(2, 4), 3), {"backward": True}),
        "lstm-backward": (last_step(nn.LSTMCell(2, 4), 2), {"backward": True}),
        "minimal-gated": (last_step(MinimalGatedCell(2, 4), 3), {"time": "rolled"}),
        "deep": (deep(3), {"view": "cells", "backward": True}),
        "long": (last_step(nn.RNNCell(2, 4), 500), {"view": "cells", "backward": True}),
        "vanilla": (vanilla(4), {"view": "cells", "time": "both", "count_from": 1}),
        "losses": (losses(4), {"view": "cells", "backward": True}),
        "bidirectional": (bidirectional(3), {"view": "cells"}),
        "mirror": (mirror(multiplication()), {}),
        "mirror-cells": (mirror(last_step(nn.RNNCell(2, 4), 3)), {"view": "cells"}),
        "elided": (last_step(nn.LSTMCell(2, 4), 40), {"view": "cells", "steps": "0:2,-2:"}),
        "echo": (echo_state(3), {}),
        "attention": (attention(3), {"view": "cells"}),
        "blocks": (blocks(2), {"view": "blocks", "title": "Attention, opened one level"}),
        "inner": (inner_loop(2), {"backward": True}),
        "grid": (grid(3), {"view": "cells"}),
        "tree": (tree(), {"view": "blocks", "backward": True}),
        "affine": (losses(2), {"view": "affine"}),
        "wrapped": (last_step(nn.GRUCell(2, 4), 8), {"view": "cells", "per_row": 4}),
        "fit": (last_step(nn.LSTMCell(2, 4), 40), {"fit": "slide"}),
        "marked": marked(),
        "scalars": (
            scalars(),
            {"values": True, "backward": True, "legend": True, "title": "tanh(a b + c)"},
        ),
        "clipped": (
            graph_of(rnn(3.0), 8, 0).clip_edges(max_norm=1),
            {"view": "cells", "backward": True},
        ),
    }
    for name, (graph, options) in pictures.items():
        print(graph.render(FOLDER / f"{name}.png", **options))
    print(compiled().render(FOLDER / "plan.png"))
    compared()
    page_pictures.main()


if __name__ == "__main__":
    main()
