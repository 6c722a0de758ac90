"""Training steps as people write them: plain Python around a cell, in as many ways as we could think of."""

from __future__ import annotations

import functools
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg
import nn

D, H, V = 4, 5, 7
rng = np.random.default_rng(0)
Make = Callable[[int, int], tuple[Any, ...]]
PROGRAMS: dict[str, tuple[Callable[..., Any], Make]] = {}


def normal(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def leaves(**shapes: tuple[int, ...]) -> dict[str, mg.Tensor]:
    """Parameters by name."""
    return {k: mg.tensor(0.4 * normal(*s), requires_grad=True, name=k) for k, s in shapes.items()}


def program(make: Make) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a step in the table, with what makes its arguments from T and B."""

    def enter(loss_fn: Callable[..., Any]) -> Callable[..., Any]:
        PROGRAMS[loss_fn.__name__] = loss_fn, make
        return loss_fn

    return enter


WEIGHTS = leaves(W=(D, H), U=(H, H), b=(H,), V=(H, 2))
WORDS = leaves(E=(V, H), U=(H, H), b=(H,))
DECODER = leaves(W=(2, H), U=(H, H), b=(H,), V=(H, 2))


def cell(p, x, h):
    return np.tanh(x @ p["W"] + h @ p["U"] + p["b"])


def start(xs):
    return mg.tensor(np.zeros((xs.shape[1], H), np.float32))


def error(p, h, y):
    return ((h @ p["V"] - y) ** 2).mean()


def data(T, B):
    return WEIGHTS, normal(T, B, D), normal(T, B, 2)


def words(T, B):
    return WORDS, rng.integers(0, V, (T, B)), rng.integers(0, V, (T, B))


# loops


@program(data)
def steps_zipped(p, xs, ys):
    h, loss = start(xs), 0
    for (_, x), y in zip(mg.timesteps(xs), ys):
        h = cell(p, x, h)
        loss = loss + error(p, h, y)
    return loss / len(xs)


@program(data)
def steps_counted(p, xs, ys):
    h, losses = start(xs), []
    for t, _ in mg.timesteps(range(len(xs))):
        h = cell(p, xs[t], h)
        losses.append(error(p, h, ys[t]))
    return mg.stack(losses).mean()


@program(data)
def steps_named(p, xs, ys):
    h, hs = start(xs), []
    for t, x in enumerate(xs):
        with mg.time_step(t):
            h = cell(p, x, h)
            hs.append(h)
    return error(p, mg.stack(hs), ys)


@program(data)
def comprehension_over_time(p, xs, ys):
    state = {"h": start(xs)}

    def step(x):
        state["h"] = cell(p, x, state["h"])
        return state["h"]

    return error(p, mg.stack([step(x) for _, x in mg.timesteps(xs)]), ys)


@program(data)
def generator_over_time(p, xs, ys):
    def hs():
        h = start(xs)
        for _, x in mg.timesteps(xs):
            h = cell(p, x, h)
            yield h

    return sum(error(p, h, y) for h, y in zip(hs(), ys))


@program(data)
def without_timesteps(p, xs, ys):
    h = functools.reduce(lambda h, x: cell(p, x, h), xs, start(xs))
    return error(p, h, ys[-1])


# states


@program(data)
def state_in_a_dict(p, xs, ys):
    s = {"h": start(xs), "c": start(xs)}
    for _, x in mg.timesteps(xs):
        a = x @ p["W"] + s["h"] @ p["U"] + p["b"]
        s = {"c": 0.9 * s["c"] + np.tanh(a), "h": mg.sigmoid(a) * s["c"]}
    return (s["h"] ** 2).mean() + (s["c"] ** 2).mean()


@program(data)
def state_nested(p, xs, ys):
    state: Any = ((start(xs), start(xs)), [start(xs)])
    for _, x in mg.timesteps(xs):
        (h, c), [m] = state
        c = 0.5 * c + cell(p, x, h)
        h = mg.sigmoid(c) * m + c
        state = ((h, c), [0.9 * m + 0.1 * h])
    return (h**2).mean() + (state[1][0] ** 2).mean()


State = namedtuple("State", "h c")


@program(data)
def state_named(p, xs, ys):
    s = State(start(xs), start(xs))
    for _, x in mg.timesteps(xs):
        c = s.c * 0.7 + cell(p, x, s.h)
        s = State(np.tanh(c), c)
    return (s.h**2).mean()


@program(data)
def two_steps_back(p, xs, ys):
    h, before = start(xs), start(xs)
    for _, x in mg.timesteps(xs):
        h, before = cell(p, x, h + 0.3 * before), h
    return error(p, h, ys[-1])


@program(data)
def no_state_at_first(p, xs, ys):
    h, loss = None, 0
    for t, x in mg.timesteps(xs):
        h = np.tanh(x @ p["W"] + p["b"]) if h is None else cell(p, x, h)
        loss = loss + error(p, h, ys[t])
    return loss


@program(lambda T, B: ({**WEIGHTS, **leaves(h0=(H,))}, normal(T, B, D)))
def one_start_for_all_rows(p, xs):
    h = np.broadcast_to(p["h0"], (xs.shape[1], H))
    for _, x in mg.timesteps(xs):
        h = cell(p, x, h)
    return (h**2).mean()


@program(lambda T, B: (WEIGHTS, normal(T, D)))
def no_batch(p, xs):
    h = mg.tensor(np.zeros(H, np.float32))
    for _, x in mg.timesteps(xs):
        h = cell(p, x, h)
    return (h**2).sum()


@program(lambda T, B: (*leaves(w=(), u=()).values(), normal(T)))
def numbers(w, u, xs):
    h = mg.tensor(np.float32(0))
    for _, x in mg.timesteps(xs):
        h = np.tanh(w * h + u * x)
    return (h - 1) ** 2


# networks


class Deep(nn.Module):
    def __init__(self) -> None:
        self.cells = [nn.GRUCell(D, H), nn.GRUCell(H, H)]
        self.out = nn.Linear(H, 2)

    def forward(self, xs):
        hs, ys = [c.initial_state(xs.shape[1]) for c in self.cells], []
        for _, x in mg.timesteps(xs):
            for k, c in enumerate(self.cells):
                x, hs[k] = c(x, hs[k])
            ys.append(self.out(x))
        return mg.stack(ys)


@program(lambda T, B, net=Deep(): (net, normal(T, B, D), normal(T, B, 2)))  # noqa: B008
def layers_in_each_step(net, xs, ys):
    return nn.mse_loss(net(xs), ys)


@program(lambda T, B: ([WEIGHTS, DECODER | leaves(W=(H, H))], normal(T, B, D)))
def layers_in_a_list(ps, xs):
    hs = [start(xs) for _ in ps]
    for _, x in mg.timesteps(xs):
        for k, p in enumerate(ps):
            hs[k] = x = cell(p, x, hs[k])
    return (hs[-1] ** 2).sum()


FROZEN = WEIGHTS | {"W": mg.tensor(normal(D, H))}


@program(lambda T, B: (FROZEN, normal(T, B, D), normal(T, B, 2), 0.1))
def frozen_weights_and_decay(p, xs, ys, rate):
    return steps_zipped(p, xs, ys) + rate * (p["U"] ** 2).sum()


# what stands in the data


@program(words)
def words_and_tied_weights(p, xs, ys):
    h, loss = start(xs[..., None].swapaxes(0, 0)), 0
    for (_, x), y in zip(mg.timesteps(xs), ys):
        h = np.tanh(p["E"][x] + h @ p["U"] + p["b"])
        loss = loss + nn.cross_entropy(h @ p["E"].T, y)
    return loss / len(xs)


@program(words)
def words_stacked(p, xs, ys):
    h, hs = mg.tensor(np.zeros((xs.shape[1], H), np.float32)), []
    for _, x in mg.timesteps(xs):
        h = np.tanh(p["E"][x] + h @ p["U"] + p["b"])
        hs.append(h)
    return nn.cross_entropy((mg.stack(hs) @ p["E"].T).reshape((-1, V)), ys.reshape(-1))


@program(words)
def likelihood_by_hand(p, xs, ys):
    h, loss = mg.tensor(np.zeros((xs.shape[1], H), np.float32)), 0
    for (_, x), y in zip(mg.timesteps(xs), ys):
        h = np.tanh(p["E"][x] + h @ p["U"] + p["b"])
        loss = loss - mg.log_softmax(h @ p["E"].T, axis=-1)[np.arange(len(y)), y].mean()
    return loss


@program(lambda T, B: (*data(T, B), rng.integers(0, 2, (T, B))))
def classes(p, xs, ys, labels):
    h, loss = start(xs), 0
    for t, x in mg.timesteps(xs):
        h = cell(p, x, h)
        loss = loss + nn.cross_entropy(h @ p["V"], labels[t])
    return loss


@program(lambda T, B: (*data(T, B), (rng.random((T, B)) < 0.7).astype(np.float32)))
def mask_of_numbers(p, xs, ys, mask):
    h, loss = start(xs), 0
    for t, x in mg.timesteps(xs):
        inside = mask[t][:, None]
        h = inside * cell(p, x, h) + (1 - inside) * h
        loss = loss + inside.mean() * error(p, h, ys[t])
    return loss / mask.sum()


@program(lambda T, B: (*data(T, B), rng.random((T, B)) < 0.7))
def mask_of_truth(p, xs, ys, mask):
    h = start(xs)
    for t, x in mg.timesteps(xs):
        h = np.where(mask[t][:, None], cell(p, x, h), h)
    return error(p, h, ys[-1])


@program(lambda T, B: (*data(T, B), rng.integers(1, T + 1, B)))
def mask_of_lengths(p, xs, ys, lengths):
    h = start(xs)
    for t, x in mg.timesteps(xs):
        h = np.where((t < lengths)[:, None], cell(p, x, h), h)
    return error(p, h, ys[-1])


@program(lambda T, B: (*data(T, B), None))
def no_mask(p, xs, ys, mask=None):
    h = start(xs)
    for t, x in mg.timesteps(xs):
        h = cell(p, x, h) if mask is None else mask[t] * cell(p, x, h)
    return (h**2).mean()


@program(lambda T, B: (DECODER, normal(T, B, 2)))
def teacher_forcing(p, ys):
    h, before, loss = start(ys), np.zeros_like(ys[0]), 0
    for _, y in mg.timesteps(ys):
        h = cell(p, before, h)
        loss, before = loss + error(p, h, y), y
    return loss


@program(lambda T, B: (DECODER, normal(T, B, 2)))
def running_free(p, ys):
    h, out, loss = start(ys), ys[0], 0
    for _, y in mg.timesteps(ys):
        h = cell(p, out, h)
        out = h @ p["V"]
        loss = loss + ((out - y) ** 2).mean()
    return loss


@program(lambda T, B: (DECODER, normal(T, B, 2), rng.random(T) < 0.5))
def scheduled_sampling(p, ys, forced):
    h, out, loss = start(ys), ys[0], 0
    for t, y in mg.timesteps(ys):
        h = cell(p, out, h)
        out = h @ p["V"]
        loss = loss + ((out - y) ** 2).mean()
        out = np.where(forced[t], y, out)
    return loss


@program(lambda T, B: (DECODER, normal(T, B, 2), rng.random(T).astype(np.float32)))
def scheduled_by_numbers(p, ys, drawn):
    h, out, loss = start(ys), ys[0], 0
    for t, y in mg.timesteps(ys):
        h = cell(p, out, h)
        out = h @ p["V"]
        loss = loss + ((out - y) ** 2).mean()
        out = np.where(drawn[t] < 0.5, y, out)
    return loss


@program(data)
def targets_one_step_later(p, xs, ys):
    h, loss = start(xs), 0
    for t, x in mg.timesteps(xs[:-1] if len(xs) > 1 else xs):
        h = cell(p, x, h)
        loss = loss + error(p, h, ys[t])
    return loss


# losses


@program(data)
def from_the_second_step(p, xs, ys):
    h, loss = start(xs), 0
    for t, x in mg.timesteps(xs):
        h = cell(p, x, h)
        if t > 0:
            loss = loss + error(p, h, ys[t])
    return loss + h.mean()


@program(data)
def attention_over_the_past(p, xs, ys):
    h, hs = start(xs), []
    for _, x in mg.timesteps(xs):
        h = cell(p, x, h)
        hs.append(h)
    keys = mg.stack(hs)
    weights = mg.softmax((keys * h).sum(-1), axis=0)
    return error(p, (weights[..., None] * keys).sum(0), ys[-1])


@program(data)
def pooled_and_smooth(p, xs, ys):
    h, hs, total = start(xs), [], 0
    for _, x in mg.timesteps(xs):
        h = cell(p, x, h)
        total = total + h
        hs.append(h)
    all_of_them = mg.stack(hs)
    jumps = all_of_them[1:] - all_of_them[:-1]
    pooled = np.max(all_of_them, axis=0) + total / len(xs)
    return error(p, pooled, ys[-1]) + 0.1 * (jumps**2).sum()


@program(data)
def robust_loss_of_clipped_states(p, xs, ys):
    h, loss = start(xs), 0
    for t, x in mg.timesteps(xs):
        h = np.clip(x @ p["W"] + h @ p["U"] + p["b"], -1, 1)
        e = h @ p["V"] - ys[t]
        loss = loss + np.where(np.abs(e) < 1, 0.5 * e * e, np.abs(e) - 0.5).mean()
    return loss


@program(data)
def cut_in_every_step(p, xs, ys):
    h, loss = start(xs), 0
    for t, x in mg.timesteps(xs):
        h = cell(p, x, h.detach())
        loss = loss + error(p, h, ys[t])
    return loss


@program(data)
def truncated(p, xs, ys):
    return mg.Graph(steps_zipped(p, xs, ys)).truncate(3)


@program(data)
def with_outputs(p, xs, ys):
    h, hs = start(xs), []
    for _, x in mg.timesteps(xs):
        h = cell(p, x, h)
        hs.append(h)
    return error(p, h, ys[-1]), {"h": h, "all": mg.stack(hs)}


# what no program can follow: steps that differ in the middle, and Python that reads values

REFUSED: dict[str, str] = {}


def refused(make: Make, why: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a step that is refused, with a word of the message."""

    def enter(loss_fn: Callable[..., Any]) -> Callable[..., Any]:
        REFUSED[loss_fn.__name__] = why
        return program(make)(loss_fn)

    return enter


@refused(data, r"(?s)give a weight or a mask for each step.*user_programs\.py")
def every_third_step(p, xs, ys):
    h, loss = start(xs), 0
    for t, x in mg.timesteps(xs):
        h = cell(p, x, h)
        if t % 3 == 2:
            loss = loss + error(p, h, ys[t])
    return loss + (h**2).mean()


@refused(data, r"(?s)all steps must do the same.*user_programs\.py")
def even_and_odd_steps(p, xs, ys):
    h = start(xs)
    for t, x in mg.timesteps(xs):
        h = cell(p, x, h) if t % 2 == 0 else mg.sigmoid(x @ p["W"] + h @ p["U"])
    return (h**2).mean()


@refused(data, r"depends on the length of a sequence in a way that no program can follow")
def every_third_of_all(p, xs, ys):
    h, hs = start(xs), []
    for _, x in mg.timesteps(xs):
        h = cell(p, x, h)
        hs.append(h)
    return error(p, mg.stack(hs)[::3], ys[::3])


@refused(data, r"(?s)bool\(\) reads the value.*if h\.mean\(\) > 0")
def branch_on_a_value(p, xs, ys):
    h = start(xs)
    for _, x in mg.timesteps(xs):
        h = cell(p, x, h)
        if h.mean() > 0:
            h = h * 0.5
    return (h**2).mean()


@refused(
    lambda T, B: (WORDS, np.zeros((T, B), int), np.zeros((T, B), int)),
    "cannot be told from a constant",
)
def words_that_are_all_one(p, xs, ys):
    return words_and_tied_weights(p, xs, ys)
