from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.render import look as style

Point = tuple[float, float]


def recurrent(cell: str, steps: int, every_step: bool = False, **options: Any) -> mg.Tensor:
    """The loss of a small network of the library."""
    mg.seed(0)
    xs = np.linspace(-1, 1, steps * 2 * 3).reshape(steps, 2, 3).astype(np.float32)
    y, _ = getattr(nn, cell)(3, 4, **options)(xs)
    if not every_step:
        return nn.mse_loss(nn.Linear(y.shape[-1], 2)(y[-1]), np.zeros((2, 2), np.float32))
    readout = nn.Linear(y.shape[-1], 2)
    return (
        sum(nn.mse_loss(readout(y[t]), np.zeros((2, 2), np.float32)) for t in range(steps)) / steps
    )


def by_hand(steps: int) -> mg.Tensor:
    """A network with an output and a running loss in every step, in plain operators."""
    rng = np.random.default_rng(0)
    W_xh, W_hh, W_hq = (
        mg.tensor(rng.normal(size=shape), requires_grad=True, name=name)
        for name, shape in (("W_xh", (3, 4)), ("W_hh", (4, 4)), ("W_hq", (4, 2)))
    )
    h, total = mg.tensor(np.zeros((2, 4)), name="h_init"), 0.0
    targets = rng.normal(size=(steps, 2, 2))
    for t, x in mg.timesteps(rng.normal(size=(steps, 2, 3))):
        h = np.tanh(x @ W_xh + h @ W_hh)
        o = h @ W_hq
        total = total + ((o - targets[t]) ** 2).mean()
    return total


def skips(steps: int) -> mg.Tensor:
    """Edges across two steps."""
    w = mg.tensor(0.5, requires_grad=True, name="w")
    states = [mg.tensor(1.0), mg.tensor(0.5)]
    for t in range(steps):
        with mg.time_step(t):
            h = w * states[-1] + np.tanh(states[-2])
            states.append(h)
    return states[-1]


def masked(steps: int) -> mg.Tensor:
    """Rows of different lengths, in both directions."""
    xs = np.ones((steps, 2, 3), np.float32)
    y, _ = nn.GRU(3, 4, bidirectional=True)(xs, lengths=[steps, 1])
    return (y**2).mean()


def attention(steps: int) -> mg.Tensor:
    """A decoder that looks at all states of an encoder in each of its steps."""
    xs = np.ones((steps, 2, 3), np.float32)
    y, h = nn.Unroll(nn.RNNCell(3, 4))(xs)
    decoder, total = nn.RNNCell(3, 4), 0.0
    for _, x in mg.timesteps(xs, axis="decoder"):
        _, h = decoder(x, h)
        a = mg.softmax((y * h).sum(axis=-1), axis=0)
        total = total + ((np.expand_dims(a, -1) * y).sum(axis=0) ** 2).mean()
    return total


def attention_after_the_loop(steps: int) -> mg.Tensor:
    """A decoder whose states look at those of the encoder, all at once."""
    xs = np.ones((steps, 2, 3), np.float32)
    ys, state = nn.LSTM(3, 4)(xs)
    zs, _ = nn.LSTM(3, 4)(xs, state)
    scores = mg.softmax(zs.transpose(1, 0, 2) @ ys.transpose(1, 2, 0))
    context = (scores @ ys.transpose(1, 0, 2)).transpose(1, 0, 2)
    logits = nn.Linear(8, 5)(mg.concatenate([zs, context], axis=-1))
    return nn.cross_entropy(logits, np.zeros((steps, 2), int))


def translation(steps: int) -> mg.Tensor:
    """A decoder that starts where an encoder has ended."""
    xs = np.ones((steps, 2, 3), np.float32)
    _, state = nn.Unroll(nn.LSTMCell(3, 4))(xs)
    y, _ = nn.Unroll(nn.LSTMCell(3, 4))(xs, state)
    return nn.mse_loss(nn.Linear(4, 2)(y), np.zeros((steps, 2, 2), np.float32))


def embedded(steps: int) -> mg.Tensor:
    """Words in, words out, two layers with dropout between them."""
    words = np.arange(steps * 2).reshape(steps, 2) % 5
    y, _ = nn.GRU(3, 4, num_layers=2, dropout=0.2)(nn.Embedding(5, 3)(words))
    return nn.cross_entropy(nn.Linear(4, 5)(y), words)


NETWORKS: dict[str, Callable[[int], mg.Tensor]] = {
    "rnn": lambda T: recurrent("RNN", T),
    "lstm": lambda T: recurrent("LSTM", T),
    "gru": lambda T: recurrent("GRU", T),
    "gru before": lambda T: recurrent("GRU", T, reset="before"),
    "rnn, loss at every step": lambda T: recurrent("RNN", T, every_step=True),
    "lstm, loss at every step": lambda T: recurrent("LSTM", T, every_step=True),
    "gru, loss at every step": lambda T: recurrent("GRU", T, every_step=True),
    "stacked": lambda T: recurrent("GRU", T, num_layers=2),
    "bidirectional": lambda T: recurrent("RNN", T, every_step=True, bidirectional=True),
    "deep bidirectional": lambda T: recurrent(
        "LSTM", T, every_step=True, bidirectional=True, num_layers=2
    ),
    "by hand": by_hand,
    "masked": masked,
    "attention": attention,
    "attention after the loop": attention_after_the_loop,
    "translation": translation,
    "embedded": embedded,
    "skips": skips,
}


class Node(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    label: str
    font: float
    shape: str


class Drawing:
    """The pinned positions of a picture, read back from its DOT text."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.nodes: dict[str, Node] = {}
        self.edges: list[tuple[str, str, list[Point], dict[str, str]]] = []
        for line in source.splitlines():
            found = re.match(r"\t(\w+)(?: -> (\w+))? \[(.*)\]$", line)
            if not found or found[1] in ("graph", "node", "edge"):
                continue
            attributes = {
                k: v.strip('"')
                for k, v in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|[^\s"]+)', found[3])
            }
            if found[2]:
                self.edges.append((found[1], found[2], self.points(attributes["pos"]), attributes))
            else:
                x, y = map(float, attributes["pos"].split(","))
                size = float(attributes["width"]) * 72, float(attributes["height"]) * 72
                label = attributes["label"].replace("\\n", "\n").replace("&amp;", "&")
                self.nodes[found[1]] = Node(
                    x, y, *size, label, float(attributes["fontsize"]), attributes["shape"]
                )

    @staticmethod
    def points(text: str) -> list[Point]:
        return [tuple(map(float, part.split(",")[-2:])) for part in text.split()]  # type: ignore[misc]

    def overlaps(self) -> list[tuple[str, str]]:
        """Pairs of nodes that lie on one another by more than a border's width."""
        items = sorted(self.nodes.items(), key=lambda item: item[1].x - item[1].width / 2)
        found = []
        for k, (a, p) in enumerate(items):
            for b, q in items[k + 1 :]:
                if q.x - q.width / 2 > p.x + p.width / 2:
                    break
                dx = (p.width + q.width) / 2 - abs(p.x - q.x)
                dy = (p.height + q.height) / 2 - abs(p.y - q.y)
                if min(dx, dy) > 1.0:
                    found.append((a, b))
        return found

    def spilled(self) -> list[str]:
        """Nodes whose text is wider than they are."""
        return [
            n.label
            for n in self.nodes.values()
            if style.text_width(n.label, n.font) > n.width + 0.1
        ]

    def crossed(self) -> list[tuple[str, str, str]]:
        """Edges that run over a node that is not one of their ends; rails and bars hide what passes behind them."""
        hidden = ("rail", "bar", "weights")
        names = [
            name
            for name in self.nodes
            if not name.split("_", 1)[-1].startswith(hidden) and not name.startswith(hidden)
        ]
        if not names:
            return []
        boxes = np.array([self.nodes[name][:4] for name in names])
        found = []
        for tail, head, points, _ in self.edges:
            if re.search(r"_w\d+$", tail + " " + head) or re.search(r"_w\d+ ", tail + " "):
                continue
            away = np.abs(np.array(sampled(points))[:, None, :] - boxes[:, :2]) - boxes[:, 2:] / 2
            under = [names[k] for k in np.flatnonzero((away.max(axis=2) < -2.0).any(axis=0))]
            found += [
                (tail, head, name)
                for name in under
                if not re.match(f"({tail}|{head})(_w\\d+)?$", name)
            ]
        return found

    def fonts(self) -> list[float]:
        """Every font size in the picture."""
        return [float(size) for size in re.findall(r"fontsize=([\d.]+)", self.source)]


def sampled(points: list[Point]) -> Any:
    """Points along a spline; the first of an arrow is its tip."""
    spline = np.array(points[len(points) % 3 == 2 :])
    a, b, c, d = (spline[k : len(spline) - 3 + k : 3, None] for k in range(4))
    t = np.linspace(0, 1, 9)[:, None]
    curves = a * (1 - t) ** 3 + 3 * b * t * (1 - t) ** 2 + 3 * c * t * t * (1 - t) + d * t**3
    return curves.reshape(-1, 2)


@pytest.fixture
def network() -> Callable[[str, int], mg.Graph]:
    """Builds a graph by the name of its network and its number of steps."""
    return lambda name, steps=3: mg.Graph(NETWORKS[name](steps))


@pytest.fixture
def twice(network: Callable[[str, int], mg.Graph]) -> Callable[[str, int], mg.Graph]:
    """A loss and, traced, the gradients of all its parameters."""

    def graph(name: str, steps: int = 2) -> mg.Graph:
        first = network(name, steps)
        (loss,) = first.outputs
        return mg.Graph(loss, *mg.grad(loss, list(first.parameters.values()), create_graph=True))

    return graph


@pytest.fixture
def drawing() -> type[Drawing]:
    return Drawing
