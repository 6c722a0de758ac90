"""Random cells: equations drawn at random are compiled and compared with the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.program import native

B, D, H = 2, 3, 4


class RandomCell:
    """A few states, a few lines; each line is an operation on what is there already."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.states = int(self.rng.integers(1, 4))
        self.weights = {
            "W": self._leaf(D, 2 * H),
            "U": self._leaf(H, 2 * H),
            "V": self._leaf(H, H),
            "b": self._leaf(2 * H),
            "s": self._leaf(H),
        }
        self.lines = [self._line(k) for k in range(int(self.rng.integers(3, 12)))]
        self.picked = [int(k) for k in self.rng.integers(0, 100, self.states)]
        self.each = bool(self.rng.integers(2))

    def _leaf(self, *shape: int) -> mg.Tensor:
        return mg.tensor(self.rng.uniform(-0.5, 0.5, shape).astype(np.float32), requires_grad=True)

    def _line(self, k: int) -> tuple[int, int, int]:
        return tuple(int(n) for n in self.rng.integers(0, 1000, 3))

    def step(self, p: dict[str, mg.Tensor], x: Any, state: list[Any]) -> list[Any]:
        """One step: the new states."""
        a, q = mg.split(x @ p["W"] + state[0] @ p["U"] + p["b"], 2, axis=-1)
        there = [a, q, *state]
        for which, i, j in self.lines:
            u, v = there[i % len(there)], there[j % len(there)]
            there.append(OPERATIONS[which % len(OPERATIONS)](u, v, p))
        fresh = [0.5 * np.tanh(there[-1 - k % 4]) for k in self.picked]
        return [h + 0.5 * mg.sigmoid(old) + 0.1 * a for h, old in zip(fresh, state)]

    def loss(self, p: dict[str, mg.Tensor], xs: Any, ys: Any) -> Any:
        """The loss of a sequence: at every step, or at the last."""
        state = [mg.tensor(np.zeros((B, H), xs.dtype)) for _ in range(self.states)]
        losses = []
        for t, x in mg.timesteps(xs):
            state = self.step(p, x, state)
            losses.append(((state[-1] - ys[t]) ** 2).mean())
        return mg.stack(losses).mean() if self.each else losses[-1]


OPERATIONS: list[Callable[..., Any]] = [
    lambda u, v, p: u + v,
    lambda u, v, p: u - 0.5 * v,
    lambda u, v, p: u * v,
    lambda u, v, p: np.tanh(u),
    lambda u, v, p: mg.sigmoid(u) * v,
    lambda u, v, p: mg.relu(u - 0.1) + v,
    lambda u, v, p: u @ p["V"],
    lambda u, v, p: u * p["s"] + v,
    lambda u, v, p: np.maximum(u, v + 0.05),
    lambda u, v, p: np.exp(-u * u),
    lambda u, v, p: u / (1 + v * v),
    lambda u, v, p: np.where(u > 0.02, u, 0.1 * v),
    lambda u, v, p: np.concatenate([u[:, :2], v[:, 2:]], axis=1),
    lambda u, v, p: u - u.mean(axis=-1, keepdims=True),
    lambda u, v, p: mg.softmax(u, axis=-1),
    lambda u, v, p: np.sqrt(1 + u * u),
    lambda u, v, p: np.clip(u, -0.3, 0.3) + v,
    lambda u, v, p: (1 - v) * u + v * np.sin(u),
]


def check(cell: RandomCell, step: Any, limit: float) -> None:
    for T in (8, 3):
        xs = cell.rng.standard_normal((T, B, D)).astype(np.float32)
        ys = cell.rng.standard_normal((T, B, H)).astype(np.float32)
        loss, grads = step(cell.weights, xs, ys)
        for leaf in cell.weights.values():
            leaf.grad = None
        wanted = cell.loss(cell.weights, xs, ys)
        wanted.backward()
        assert abs(loss - wanted.item()) <= limit * max(1, abs(wanted.item()))
        for key, dx in grads.items():
            leaf = cell.weights[key.split("'")[1]]
            size = max(np.abs(leaf.grad.data).max(), 1e-6)
            assert np.abs(dx - leaf.grad.data).max() <= limit * size


@pytest.mark.parametrize("seed", range(30))
def test_random_cells_in_numpy(seed: int, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path))
    cell = RandomCell(seed)
    check(cell, mg.compile(cell.loss, backend="numpy"), 3e-6)


@pytest.mark.parametrize("seed", range(30, 40))
def test_random_cells_bit_for_bit(seed: int, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path))
    cell = RandomCell(seed)
    check(cell, mg.compile(cell.loss, backend="numpy", exact=True), 0)


@pytest.mark.parametrize("seed", range(40, 52))
def test_random_cells_in_c(seed: int, tmp_path, monkeypatch) -> None:
    try:
        native.compiler()
    except native.NativeError:
        pytest.skip("there is no C compiler")
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path))
    monkeypatch.setattr(native, "FLAGS", tuple("-O1" if f == "-O3" else f for f in native.FLAGS))
    cell = RandomCell(seed)
    check(cell, mg.compile(cell.loss, backend="c"), 1e-5)
