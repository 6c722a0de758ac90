"""Time and memory of an LSTM against the number of steps: both have to grow in proportion, also when one tensor of
all inputs is sliced in a loop."""

import gc
import sys
import time
import tracemalloc

import numpy as np

import minigrad as mg
import nn
from benchmarks.measure import table

STEPS = (100, 1000, 10_000)
B, D, H = 1, 8, 16


def lstm_loss(T: int) -> mg.Tensor:
    """The loss of `nn.LSTM` over T steps."""
    mg.seed(0)
    y, _ = nn.LSTM(D, H)(np.ones((T, B, D), np.float32))
    return (y[-1] ** 2).mean()


def sliced_loss(T: int) -> mg.Tensor:
    """A recurrence on a tensor that requires grad and is sliced once a step."""
    xs, h = (
        mg.tensor(np.ones((T, B, D), np.float32), requires_grad=True),
        mg.tensor(np.zeros((B, D), np.float32)),
    )
    for t in range(T):
        with mg.time_step(t):
            h = np.tanh(0.5 * h + xs[t])
    return (h**2).mean()


def measure(make: object, T: int, repeats: int) -> list[str]:
    """A row: milliseconds forward and backward (the best of some runs), bytes and time of a node and of a step."""
    forward, backward = [], []
    for _ in range(repeats):
        gc.collect()
        start = time.perf_counter()
        loss = make(T)
        middle = time.perf_counter()
        loss.backward()
        forward.append(middle - start)
        backward.append(time.perf_counter() - middle)
        del loss
    tracemalloc.start()
    loss = make(T)
    held = tracemalloc.get_traced_memory()[0]
    loss.backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    nodes = len(mg.Graph(loss))
    total = min(forward) + min(backward)
    figures = [
        min(forward) * 1e3,
        min(backward) * 1e3,
        total / T * 1e6,
        total / nodes * 1e6,
        held / nodes,
        peak / held,
    ]
    return [f"{T:,}", f"{nodes:,}", *(f"{x:,.{d}f}" for x, d in zip(figures, (1, 1, 1, 2, 0, 2)))]


def main(quick: bool = False) -> None:
    """Measure and print; the recursion limit stays at Python's own 1000."""
    sys.setrecursionlimit(1000)
    header = [
        "T",
        "nodes",
        "forward ms",
        "backward ms",
        "µs/step",
        "µs/node",
        "bytes/node",
        "peak/held",
    ]
    for title, make in {
        "nn.LSTM(8, 16)": lstm_loss,
        "a (T, B, D) tensor sliced in a loop": sliced_loss,
    }.items():
        rows = [measure(make, T, 1 if quick else 5) for T in (STEPS[:2] if quick else STEPS)]
        table(f"growth with T: {title}", header, rows)
