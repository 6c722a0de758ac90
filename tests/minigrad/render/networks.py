"""The networks that pictures are tried on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg
import nn


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


def fed_back(steps: int) -> mg.Tensor:
    """An echo state network whose output enters the next step: two states in one cell."""
    rng = np.random.default_rng(0)
    W, W_out, W_back = (
        mg.tensor(rng.normal(size=shape), requires_grad=True, name=name)
        for name, shape in (("W", (4, 4)), ("W_out", (4, 1)), ("W_back", (1, 4)))
    )
    r, y, ys = mg.tensor(np.ones((1, 4))), mg.tensor(np.ones((1, 1))), list[mg.Tensor]()
    for t in range(steps):
        with mg.time_step(t):
            r = np.tanh(r @ W + y @ W_back)
            y = r @ W_out
        ys.append(y)
    return (np.concatenate(ys) ** 2).mean()


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
