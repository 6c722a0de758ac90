"""What test_parallel.py starts under mpiexec: `python two_processes.py CASE FOLDER`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import nn

T, B, D, H = 6, 8, 3, 5


class Net(nn.Module):
    """An LSTM whose last output is read; a parameter that nobody uses."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        mg.set_default_dtype(np.float64)
        self.unroll = nn.Unroll(nn.LSTMCell(D, H, rng=rng))
        self.head = nn.Linear(H, 1, rng=rng)
        self.unused = nn.Parameter(np.ones(2))
        mg.set_default_dtype(np.float32)

    def forward(self, x: Any) -> Any:
        return self.head(self.unroll(x)[0][-1])


def batch() -> tuple[Any, Any]:
    """The whole batch."""
    rng = np.random.default_rng(1)
    return rng.standard_normal((T, B, D)), rng.standard_normal((B, 1))


def train(parallel: nn.Parallel, cut: int | None = None) -> dict[str, Any]:
    """Five steps of Adam with clipping; cut: where uneven shares are cut, else they are even."""
    net = parallel.broadcast(Net(seed=parallel.rank))
    optimizer = nn.Adam(net, lr=0.05)
    x, y = batch()
    if cut is None:
        x, y = parallel.shard(x, axis=1), parallel.shard(y, axis=0)
    elif parallel.size == 2:
        rows = slice(cut, None) if parallel.rank else slice(cut)
        x, y = x[:, rows], y[rows]
    results = {}
    for k in range(5):
        optimizer.zero_grad()
        nn.mse_loss(net(x), y).backward()
        parallel.average(net, weight=len(y))
        mg.clip_grad_norm_(net, 0.5)
        results |= {
            f"{k}.{name}": p.grad.data for name, p in net.named_parameters() if p.grad is not None
        }
        optimizer.step()
    assert net.unused.grad is None
    loss = nn.mse_loss(net(x), y).item()
    means = parallel.average({"loss": loss}, weight=len(y))
    return results | net.state_dict() | means


def even(parallel: nn.Parallel) -> dict[str, Any]:
    """Equal shares."""
    return train(parallel)


def uneven(parallel: nn.Parallel) -> dict[str, Any]:
    """Shares of 3 and 5 rows."""
    return train(parallel, cut=3)


def compiled(parallel: nn.Parallel) -> dict[str, Any]:
    """The gradients of a compiled step, in a dict and in the parameters."""
    net = parallel.broadcast(Net(seed=parallel.rank))
    x, y = batch()
    x, y = parallel.shard(x, axis=1), parallel.shard(y, axis=0)
    step = mg.compile(lambda net, x, y: nn.mse_loss(net(x), y))
    loss, grads = step(net, x, y)
    step.backward(net, x, y)
    parallel.average(net)
    means = parallel.average({"loss": loss, **grads})
    given = {f"p.{name}": p.grad.data for name, p in net.named_parameters() if p.grad is not None}
    assert len(given) == 5
    return {**given, **means}


def raises(parallel: nn.Parallel) -> dict[str, Any]:
    """Process 1 fails on its way."""
    net = parallel.broadcast(Net(0))
    for step in range(3):
        if parallel.rank == 1 and step == 1:
            raise ZeroDivisionError("a bad row in process 1")
        net.head.b.grad = np.ones(1)
        parallel.average(net)
        saved(parallel, step)
    return {}


def exits(parallel: nn.Parallel) -> dict[str, Any]:
    """Process 1 ends early, in good order."""
    net = parallel.broadcast(Net(0))
    net.head.b.grad = np.full(1, 7.0)
    if parallel.rank == 1:
        sys.exit(0)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="process 1 of 2 has ended; nothing was averaged"):
            parallel.average(net)
    assert net.head.b.grad.data == 7
    saved(parallel, 0)
    return {}


def killed(parallel: nn.Parallel) -> dict[str, Any]:
    """Process 1 disappears."""
    net = parallel.broadcast(Net(0))
    if parallel.rank == 1:
        os._exit(9)
    net.head.b.grad = np.ones(1)
    parallel.average(net)
    saved(parallel, 0)
    return {}


def differ(parallel: nn.Parallel) -> dict[str, Any]:
    """The processes have other networks."""
    net = nn.Linear(3, 2 + parallel.rank)
    before = net.W._array
    for meet in (parallel.broadcast, parallel.average):
        with pytest.raises(ValueError, match="other names, shapes or dtypes"):
            meet(net)
        assert net.W._array is before
        saved(parallel, meet.__name__)
    return {}


def saved(parallel: nn.Parallel, word: Any) -> None:
    """Leave a file that says how far a process has come."""
    (FOLDER / f"{parallel.rank}-{word}").touch()


if __name__ == "__main__":
    FOLDER = Path(sys.argv[2])
    processes = nn.Parallel()
    found = globals()[sys.argv[1]](processes)
    np.savez(FOLDER / f"{processes.rank}.npz", **found)
