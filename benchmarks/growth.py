"""Time and memory against the number of steps, parameters and axes: both grow in proportion."""

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
    """A loss at every one of the T steps of `nn.LSTM`."""
    return (lstm_outputs(T) ** 2).mean()


def last_step_loss(T: int) -> mg.Tensor:
    """A loss at the last of the T steps alone.

    Its gradient vanishes into subnormal numbers, which processors compute with slowly.
    """
    return (lstm_outputs(T)[-1] ** 2).mean()


def lstm_outputs(T: int) -> mg.Tensor:
    """What `nn.LSTM` gives for T steps of ones."""
    mg.seed(0)
    y, _ = nn.LSTM(D, H)(np.ones((T, B, D), np.float32))
    return y


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


def leaves(n: int) -> mg.Tensor:
    """A sum of n parameters that all have one name."""
    return np.stack([mg.tensor(1.0, requires_grad=True, name="w") for _ in range(n)]).sum()


def loops(n: int) -> mg.Tensor:
    """n loops over two steps, one after another: n axes."""
    h = mg.tensor(1.0, requires_grad=True, name="w")
    for _ in range(n):
        for _, x in mg.timesteps(np.ones(2, np.float32)):
            h = h * x
    return h


def scalar_chain(n: int) -> mg.Tensor:
    """n steps of h = w * h on single numbers."""
    w, h = mg.tensor(0.9, requires_grad=True, name="w"), mg.tensor(1.0)
    for t in range(n):
        with mg.time_step(t):
            h = w * h
    return h


# what there is much of: how to make it, and the sizes
MUCH = {
    "parameters of one name": (leaves, (2_000, 20_000)),
    "axes": (loops, (100, 1000)),
    "scalar steps": (scalar_chain, (10_000, 100_000)),
    "nodes": (scalar_chain, (20_000, 2_000_000)),
}


def much(make: object, n: int) -> list[str]:
    """A row: milliseconds of the forward, of backward and of `repr(graph)`, for n of something."""
    start = time.perf_counter()
    loss = make(n)
    forward = time.perf_counter()
    loss.backward()
    backward = time.perf_counter()
    repr(mg.Graph(loss))
    end = time.perf_counter()
    times = (forward - start, backward - forward, end - backward)
    each = (end - start) / n * 1e6
    return [f"{n:,}", *(f"{1e3 * seconds:,.1f}" for seconds in times), f"{each:.2f}"]


def measure(make: object, T: int, repeats: int) -> list[str]:
    """A row: the best milliseconds forward and backward, bytes and time of a node and of a step."""
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
    sizes = STEPS[:2] if quick else STEPS
    for title, make in {
        "nn.LSTM(8, 16), a loss at every step": lstm_loss,
        "nn.LSTM(8, 16), a loss at the last step": last_step_loss,
        "a (T, B, D) tensor sliced in a loop": sliced_loss,
    }.items():
        rows = [measure(make, T, 1 if quick else 5) for T in sizes]
        table(f"growth with T: {title}", header, rows)
    with mg.memory_policy():
        rows = [measure(lstm_loss, T, 1 if quick else 5) for T in sizes]
    table(
        "growth with T: nn.LSTM(8, 16), a loss at every step, inside mg.memory_policy()",
        header,
        rows,
    )
