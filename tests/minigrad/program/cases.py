"""Training steps of many shapes: networks, and functions of them, for programs to be made of."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
import nn

B, D, H, Q = 2, 3, 4, 3
rng = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(mg.get_default_dtype())


class Case(NamedTuple):
    """A function, the network it trains, and its other arguments for T steps."""

    loss_fn: Callable[..., Any]
    network: Callable[[], Any]
    arguments: Callable[[int], tuple[Any, ...]]


class Net(nn.Module):
    """A recurrent layer and a readout."""

    def __init__(self, layer: nn.Module, size: int = H) -> None:
        self.layer, self.out = layer, nn.Linear(size, Q)

    def forward(self, x):
        return self.out(self.layer(x)[0])


class Words(nn.Module):
    """Tokens, a layer, a readout of tokens."""

    def __init__(self, layer: nn.Module) -> None:
        self.embedding, self.layer, self.out = nn.Embedding(11, D), layer, nn.Linear(H, 11)

    def forward(self, x):
        return self.out(self.layer(self.embedding(x))[0])


class Oscillator(nn.Cell):
    """A leaky, coupled oscillator with a learned rate and a brake that depends on its state."""

    def __init__(self, input_size: int, size: int) -> None:
        self.input_size, self.state_size = input_size, (size, size)
        self.W_xh = nn.Parameter(0.3 * normal(input_size, 2 * size))
        self.W_hh = nn.Parameter(0.3 * normal(size, 2 * size))
        self.b, self.s = nn.Parameter(0.1 * normal(2 * size)), nn.Parameter(normal(size))
        self.d = nn.Parameter(normal(size))

    def forward(self, x, state):
        h, v = state
        a, q = mg.split(x @ self.W_xh + h @ self.W_hh + self.b, 2, axis=-1)
        k = mg.sigmoid(q)
        v = v * k + (mg.tanh(a) - self.s * h * mg.tanh(h)) * (1 - k)
        h = 0.9 * h + 0.3 * v * mg.tanh(self.d * h) + 0.1 * v
        return h, (h, v)


class Translator(nn.Module):
    """Encoder and decoder with attention."""

    def __init__(self) -> None:
        self.encoder, self.cell = nn.GRU(D, H), nn.GRUCell(D + H, H)
        self.attention, self.out = nn.DotAttention(), nn.Linear(H, Q)

    def forward(self, xs, zs):
        ys, h = self.encoder(xs)
        h, out = h[0], []
        for _, z in mg.timesteps(zs):
            context, _ = self.attention(h, ys)
            _, h = self.cell(np.concatenate([z, context], axis=1), h)
            out.append(self.out(h))
        return mg.stack(out)


def every(net, xs, ys):
    return nn.mse_loss(net(xs), ys)


def last(net, xs, ys):
    return nn.mse_loss(net(xs)[-1], ys)


def words(net, xs, ys):
    return nn.cross_entropy(net(xs), ys)


def running(cell, xs, ys):
    state, loss = cell.initial_state(B), 0.0
    for t, x in mg.timesteps(xs):
        y, state = cell(x, state)
        loss = loss + ((y - ys[t]) ** 2).mean()
    return loss / len(xs)


def listed(net, xs, ys):
    y, _ = net(xs)
    return sum(((y[t] - ys[t]) ** 2).mean() for t in range(len(xs))) / len(xs)


def layer_only(net, xs, ys):
    return nn.mse_loss(net(xs)[0], ys)


def carried(net, xs, ys, state):
    y, state = net(xs, state)
    return nn.mse_loss(y, ys), state


def started(net, xs, ys, state):
    return nn.mse_loss(net(xs, state)[0], ys)


def translated(net, xs, zs, ys):
    return nn.mse_loss(net(xs, zs), ys)


def clipped(net, xs, ys):
    return mg.Graph(every(net, xs, ys)).clip_edges(max_norm=1e-3)


def cut_memory(net, xs, ys):
    return mg.Graph(every(net, xs, ys)).cut(name="c")


def truncated(net, xs, ys):
    return mg.Graph(every(net, xs, ys)).truncate(3)


def rows_that_end(net, xs, lengths):
    y, (h, _) = net(xs, lengths=lengths)
    return (y * y).mean() + (h * h).sum()


def with_lengths(T: int) -> tuple[Any, ...]:
    return normal(T, B, D), np.array([T, max(1, T - 3)])


def dropped(net, xs, ys, rng):
    y, _ = net(xs)
    return nn.mse_loss(y * (rng.random(y.shape) > 0.3) / 0.7, ys)


def noisy_steps(cell, xs, ys, rng):
    h, out = cell.initial_state(B), []
    for _, x in mg.timesteps(xs):
        noise = rng.standard_normal(x.shape).astype(xs.dtype)
        y, h = cell(x + 0.1 * noise, h)
        h = h * (rng.random(h.shape) < 0.8)
        out.append(y)
    return nn.mse_loss(mg.stack(out), ys)


def with_generator(T: int) -> tuple[Any, ...]:
    return *states(T), np.random.default_rng(T)


class Dropped(Net):
    """As `Net`, with dropout between the layer and the readout."""

    def __init__(self, layer: nn.Module, size: int = H) -> None:
        super().__init__(layer, size)
        self.dropout = nn.Dropout(0.3, rng=1)

    def forward(self, x):
        return self.out(self.dropout(self.layer(x)[0]))


def padded_words(net, xs, ys):
    return nn.cross_entropy(net(xs), ys)


class PaddedWords(Words):
    """Tokens of which 0 is padding."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__(layer)
        self.embedding = nn.Embedding(11, D, padding=0)


def plain_tensors(p, xs):
    h = mg.tensor(np.zeros((B, H)), dtype=xs.dtype)
    for _, x in mg.timesteps(xs):
        h = np.tanh(x @ p["W"] + h @ p["U"])
    return (h * h).sum()


def weights() -> dict[str, mg.Tensor]:
    return {
        "W": mg.tensor(0.3 * normal(D, H), requires_grad=True),
        "U": mg.tensor(0.3 * normal(H, H), requires_grad=True),
    }


def leaf(*shape: int, name: str) -> mg.Tensor:
    return mg.tensor(normal(*shape), requires_grad=True, name=name)


def each_step(T: int) -> tuple[Any, ...]:
    return normal(T, B, D), normal(T, B, Q)


def last_step(T: int) -> tuple[Any, ...]:
    return normal(T, B, D), normal(B, Q)


def states(T: int) -> tuple[Any, ...]:
    return normal(T, B, D), normal(T, B, H)


def tokens(T: int) -> tuple[Any, ...]:
    return rng.integers(0, 11, (T, B)), rng.integers(0, 11, (T, B))


def with_state(T: int) -> tuple[Any, ...]:
    return *states(T), (normal(1, B, H), normal(1, B, H))


def with_learned_state(T: int) -> tuple[Any, ...]:
    return *states(T), (leaf(1, B, H, name="h0"), leaf(1, B, H, name="c0"))


def cells() -> dict[str, Callable[[], nn.Module]]:
    return {
        "rnn": lambda: nn.RNN(D, H),
        "rnn relu": lambda: nn.RNN(D, H, nonlinearity="relu"),
        "lstm": lambda: nn.LSTM(D, H),
        "lstm without bias": lambda: nn.LSTM(D, H, bias=False),
        "gru": lambda: nn.GRU(D, H),
        "gru before": lambda: nn.GRU(D, H, reset="before"),
        "oscillator": lambda: nn.Unroll(Oscillator(D, H)),
        "deep": lambda: nn.LSTM(D, H, num_layers=2),
        "stacked": lambda: nn.Unroll(nn.Stacked([nn.LSTMCell(D, H), nn.GRUCell(H, H)])),
    }


def named(name: str) -> Case:
    """One case, whose random numbers are the same whatever ran before."""
    rng.bit_generator.state = np.random.default_rng(zlib.crc32(name.encode())).bit_generator.state
    mg.seed(0)
    return cases()[name]


def cases() -> dict[str, Case]:
    """All of them by name."""
    found: dict[str, Case] = {}
    for name, made in cells().items():
        found[f"{name}, loss at every step"] = Case(every, lambda made=made: Net(made()), each_step)
        found[f"{name}, one loss"] = Case(last, lambda made=made: Net(made()), last_step)
    two = nn.Bidirectional
    return found | {
        "bidirectional": Case(
            every, lambda: Net(nn.GRU(D, H, bidirectional=True), 2 * H), each_step
        ),
        "bidirectional and deep": Case(
            last, lambda: Net(nn.LSTM(D, H, num_layers=2, bidirectional=True), 2 * H), last_step
        ),
        "two cells, two directions": Case(
            every, lambda: Net(two(nn.GRUCell(D, H), nn.RNNCell(D, H)), 2 * H), each_step
        ),
        "words": Case(words, lambda: Words(nn.GRU(D, H)), tokens),
        "running sum of losses": Case(running, lambda: nn.LSTMCell(D, H), states),
        "list of losses": Case(listed, lambda: nn.LSTM(D, H), states),
        "carried state": Case(carried, lambda: nn.LSTM(D, H), with_state),
        "learned start": Case(started, lambda: nn.LSTM(D, H), with_learned_state),
        "gradient of the input": Case(
            layer_only, lambda: nn.GRU(D, H), lambda T: (leaf(T, B, D, name="xs"), normal(T, B, H))
        ),
        "no batch": Case(
            layer_only, lambda: nn.LSTM(D, H), lambda T: (normal(T, D), normal(T, H))
        ),
        "attention": Case(
            translated, Translator, lambda T: (normal(T + 3, B, D), normal(T, B, D), normal(T, B, Q))
        ),
        "clipped edges": Case(clipped, lambda: Net(nn.LSTM(D, H)), each_step),
        "truncated": Case(truncated, lambda: Net(nn.LSTM(D, H)), each_step),
        "truncated, one loss": Case(
            lambda net, xs, ys: mg.Graph(last(net, xs, ys)).truncate(3),
            lambda: Net(nn.GRU(D, H)),
            last_step,
        ),
        "lengths": Case(rows_that_end, lambda: nn.LSTM(D, H), with_lengths),
        "lengths, two directions": Case(
            rows_that_end, lambda: nn.LSTM(D, H, num_layers=2, bidirectional=True), with_lengths
        ),
        "padded words": Case(padded_words, lambda: PaddedWords(nn.GRU(D, H)), tokens),
        "dropout": Case(every, lambda: Dropped(nn.LSTM(D, H)), each_step),
        "dropout between layers": Case(
            every, lambda: Net(nn.GRU(D, H, num_layers=3, dropout=0.4)), each_step
        ),
        "dropout, two directions": Case(
            every,
            lambda: Net(nn.LSTM(D, H, num_layers=2, dropout=0.4, bidirectional=True), 2 * H),
            each_step,
        ),
        "recurrent dropout": Case(
            every, lambda: Net(nn.Unroll(nn.RecurrentDropout(nn.LSTMCell(D, H), rng=2))), each_step
        ),
        "zoneout": Case(every, lambda: Net(nn.Unroll(nn.Zoneout(nn.LSTMCell(D, H)))), each_step),
        "a generator as argument": Case(dropped, lambda: nn.LSTM(D, H), with_generator),
        "noise in each step": Case(noisy_steps, lambda: nn.GRUCell(D, H), with_generator),
        "cut memory": Case(cut_memory, lambda: Net(nn.LSTM(D, H)), each_step),
        "plain tensors": Case(plain_tensors, weights, lambda T: (normal(T, B, D),)),
        "no time": Case(
            every,
            lambda: nn.Sequential(nn.Linear(D, H), nn.Linear(H, Q)),
            lambda T: (normal(7, D), normal(7, Q)),
        ),
    }  # fmt: skip
