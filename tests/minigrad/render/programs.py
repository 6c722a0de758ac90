"""Random recurrent programs, and random options of their pictures."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import numpy as np

import minigrad as mg
import nn

B, D, H = 2, 3, 4


def random_graph(r: random.Random) -> mg.Graph:
    """The graph of a random program."""
    mg.seed(r.randint(0, 99))
    kinds = (loop, library, plain, two_axes, grid, tree, gru)
    loss = r.choice(kinds)(r, r.randint(1, 6))
    graph = mg.Graph(loss)
    if r.random() < 0.15 and loss._requires_grad:
        leaves = list(graph.parameters.values())
        found = mg.grad(loss, leaves, create_graph=True, allow_unused=True)
        return mg.Graph(loss, *[dx for dx in found if dx is not None])
    if graph.axes and loss._requires_grad and r.random() < 0.2:
        return graph.truncate(2) if r.random() < 0.5 else graph.clip_edges(max_norm=0.1)
    return graph


def random_options(r: random.Random) -> dict[str, Any]:
    """Random options of a picture."""
    options: dict[str, Any] = {
        "view": r.choice(["ops", "affine", "blocks", "cells"]),
        "time": r.choice(["unrolled", "unrolled", "rolled", "both"]),
        "steps": r.choice(["auto", "all", "0:1,-1:", "0:2", "-1:", "0"]),
        "backward": r.random() < 0.5,
    }
    for chance, name, choices in (
        (0.2, "fit", ["slide", "column"]),
        (0.4, "per_row", [1, 2, 3]),
        (0.15, "legend", [True]),
        (0.15, "values", [True]),
        (0.2, "title", ["A title"]),
        (0.2, "count_from", [1]),
    ):
        if r.random() < chance:
            options[name] = r.choice(choices)
    return options


def parameter(r: random.Random, *shape: int, name: str) -> mg.Tensor:
    """A parameter, or now and then an array that stands still."""
    values = np.random.default_rng(r.randint(0, 9)).normal(size=shape) * 0.5
    return mg.tensor(values, requires_grad=r.random() < 0.9, name=name)


def number(r: random.Random, y: mg.Tensor) -> mg.Tensor:
    """A loss."""
    kind = r.randint(0, 3)
    if kind == 0:
        return (y**2).mean()
    if kind == 1:
        return (y * y).sum()
    return np.tanh(y).max() if kind == 2 else ((y - 1.0) ** 2).mean()


def plain(r: random.Random, T: int) -> mg.Tensor:
    """A network without time."""
    y = mg.tensor(np.ones((B, D)), requires_grad=r.random() < 0.3, name=r.choice([None, "x"]))
    for k in range(r.randint(1, 8)):
        kind = r.randint(0, 5)
        if kind == 0:
            y = np.tanh(y @ parameter(r, y.shape[-1], H, name=f"W{k}"))
        elif kind == 1:
            y = y + parameter(r, y.shape[-1], name=f"b{k}")
        elif kind == 2:
            y = y * mg.sigmoid(y)
        elif kind == 3:
            y = mg.softmax(y, axis=-1)
        elif kind == 4:
            y = nn.Linear(y.shape[-1], H)(y)
        else:
            y = mg.concatenate([y, y], axis=-1)
    return number(r, y @ nn.Linear(y.shape[-1], 2).W)


def library(r: random.Random, T: int) -> mg.Tensor:
    """A network of the library, with losses of many kinds."""
    xs = np.ones((T, B, D), np.float32)
    net = r.choice([nn.RNN, nn.LSTM, nn.GRU])
    rnn = net(D, H, num_layers=r.randint(1, 2), bidirectional=r.random() < 0.3)
    lengths = [r.randint(1, T) for _ in range(B)] if r.random() < 0.3 else None
    ys, _ = rnn(xs, lengths=lengths)
    head, kind = nn.Linear(ys.shape[-1], 3), r.randint(0, 4)
    if kind == 0:
        return number(r, ys[-1])
    if kind == 1:
        return number(r, head(ys))
    if kind == 2:
        return sum(number(r, head(ys[t])) for t in range(T))
    if kind == 3:
        return nn.cross_entropy(head(ys), np.zeros((T, B), int))
    return number(r, mg.stack([number(r, y) for y in ys]))


def grid(r: random.Random, T: int) -> mg.Tensor:
    """Two nested loops whose states go both ways."""
    n, m = r.randint(1, 3), r.randint(1, 3)
    W, U, V = (parameter(r, H, H, name=name) for name in "WUV")
    xs, h = np.ones((n, m, B, H)), {}
    for i, _ in mg.timesteps(np.ones(n), axis="row"):
        for j, _ in mg.timesteps(np.ones(m), axis="column"):
            a = xs[i, j] @ V
            if i:
                a = a + h[i - 1, j] @ W
            if j:
                a = a + h[i, j - 1] @ U
            h[i, j] = np.tanh(a)
    return number(r, h[n - 1, m - 1])


def tree(r: random.Random, T: int) -> mg.Tensor:
    """A function that calls itself for each branch, in a scope or not."""
    W, U = (parameter(r, H, H, name=name) for name in "WU")
    scoped = r.random() < 0.6

    def node(depth: int) -> mg.Tensor:
        if depth == 0 or r.random() < 0.2:
            return mg.tensor(np.ones((1, H)), name=r.choice(["leaf", None]))
        with mg.scope("node") if scoped else contextlib.nullcontext():
            return np.tanh(node(depth - 1) @ W + node(depth - 1) @ U)

    return number(r, node(3) @ W)


def gru(r: random.Random, T: int) -> mg.Tensor:
    """The equations by hand, on plain arrays."""
    names = ("W_xz", "W_xr", "W_xh", "W_hz", "W_hr", "W_hh")
    W = {name: parameter(r, D if "x" in name else H, H, name=name) for name in names}
    H_t = np.zeros((B, H)) if r.random() < 0.5 else mg.tensor(np.zeros((B, H)), name="H_0")
    for _, x_t in mg.timesteps(np.ones((T, B, D))):
        Z = mg.sigmoid(x_t @ W["W_xz"] + H_t @ W["W_hz"])
        R = mg.sigmoid(x_t @ W["W_xr"] + H_t @ W["W_hr"])
        new = np.tanh(x_t @ W["W_xh"] + (R * H_t) @ W["W_hh"])
        H_t = Z * H_t + (1 - Z) * new
    return number(r, H_t)


def two_axes(r: random.Random, T: int) -> mg.Tensor:
    """Two cells one after the other, or both ways; often with attention."""
    cell = r.choice([nn.RNNCell, nn.LSTMCell, nn.GRUCell])
    ys, state = nn.Unroll(cell(D, H))(np.ones((T, B, D), np.float32))
    begin = state if r.random() < 0.7 else None
    xs = np.ones((r.randint(1, 5), B, D), np.float32)
    zs, _ = nn.Unroll(cell(D, H))(xs, begin, reverse=r.random() < 0.3)
    if r.random() < 0.5:
        a = mg.softmax(zs.transpose(1, 0, 2) @ ys.transpose(1, 2, 0), axis=-1)
        return number(r, a @ ys.transpose(1, 0, 2)) + number(r, zs)
    return number(r, zs) + number(r, ys[0])


def loop(r: random.Random, T: int) -> mg.Tensor:
    """A loop in plain operators."""
    W, U, V = (
        parameter(r, *shape, name=name)
        for shape, name in (((D, H), "W"), ((H, H), "U"), ((H, 2), "V"))
    )
    xs = np.random.default_rng(0).normal(size=(T, B, D))
    h = mg.tensor(np.ones((B, H)), name=r.choice([None, "h_init"]))
    named, skips, gated, outputs, mixes, stacks, inner = (r.random() < 0.35 for _ in range(7))
    c, total, states, kept = h, 0.0, [h, h], []
    for t in range(T):
        with mg.time_step(t):
            x = mg.tensor(xs[t], name="x") if named else xs[t]
            a = x @ W + h @ U
            if skips:
                a = a + states[-2] @ U
            if mixes:
                a = a + h.mean()
            if inner:
                for _ in mg.timesteps(np.ones(2), axis="inner"):
                    a = np.tanh(a @ U)
            if gated:
                c = mg.sigmoid(a) * c + np.tanh(a)
                h = np.tanh(c)
            else:
                h = 0.9 * h + 0.1 * np.tanh(a)
            states.append(h)
            if outputs:
                total = total + number(r, h @ V)
            if stacks:
                kept.append(h * h)
    loss = number(r, h) + total
    return loss + mg.stack(kept).mean() if kept else loss
