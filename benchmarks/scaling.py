"""What `nn.Parallel` and sweeps give at 1 to 1000 processes: measurements, and a model.

A step of N processes takes t(B / N) + all-reduce, with t measured at each share of the batch, and

    all-reduce = 2 log₂N · latency + 2 (N − 1) / N · bytes / bandwidth

Gains are those over the slowest link.  It starts `mpiexec -n 2 python -m benchmarks.scaling`.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

import minigrad as mg
import nn
from benchmarks.measure import peer, table
from demos.sweep import chosen_map, grid, in_processes, sweep

BATCH, LONG = 256, 1_000_000
PROCESSES = (1, 2, 4, 10, 32, 100, 1000)
NETWORKS = {"small": (50, 16, 32), "middle": (50, 32, 128), "large": (50, 64, 256)}  # T, D, H
MPIEXEC = Path(sys.executable).parent / "mpiexec"


class Link(NamedTuple):
    """A way between processes: seconds for a message, and bytes a second."""

    name: str
    latency: float
    bandwidth: float

    def all_reduce(self, processes: int, size: int) -> float:
        """Seconds for so many bytes, beside a meeting of a few bytes before."""
        if processes == 1:
            return 0.0
        rounds = 2 * math.log2(processes)
        moved = 2 * (processes - 1) / processes * size
        return 2 * rounds * self.latency + moved / self.bandwidth


ASSUMED = (Link("10 Gb/s Ethernet", 30e-6, 1.1e9), Link("InfiniBand HDR", 2e-6, 20e9))


def best(run: Callable[[], object], repeats: int) -> float:
    """The shortest of some runs, in seconds, after one to warm up."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def processor_times(steps: dict[int, Callable[[], object]], repeats: int) -> dict[int, float]:
    """The shortest processor time of each step, in turn: what else runs here counts little."""
    times = {B: [] for B in steps}
    for k in range(repeats + 1):
        for B, step in steps.items():
            start = time.process_time()
            step()
            if k:  # the first one warms up
                times[B].append(time.process_time() - start)
    return {B: min(found) for B, found in times.items()}


class Net(nn.Module):
    """An LSTM with a line on its last output."""

    def __init__(self, D: int, H: int) -> None:
        self.rnn, self.head = nn.LSTM(D, H), nn.Linear(H, 1)

    def forward(self, x: np.ndarray) -> mg.Tensor:
        """x (T, B, D) -> (B, 1)."""
        return self.head(self.rnn(x)[0][-1])


def step_of(T: int, D: int, H: int, B: int, compiled: bool = False) -> Callable[[], object]:
    """One step of training, of this process alone or of all that mpiexec has started."""
    parallel, rng = nn.Parallel(), np.random.default_rng(0)
    net = parallel.broadcast(Net(D, H))
    optimizer = nn.Adam(net)
    x, y = rng.standard_normal((T, B, D)).astype(np.float32), np.zeros((B, 1), np.float32)
    program = mg.compile(loss_of) if compiled else None

    def step() -> None:
        optimizer.zero_grad()
        if program is None:
            loss_of(net, x, y).backward()
        else:
            program.backward(net, x, y)
        parallel.average(net)
        mg.clip_grad_norm_(net, 1.0)
        optimizer.step()

    return step


def loss_of(net: Net, x: np.ndarray, y: np.ndarray) -> mg.Tensor:
    """The loss of a batch."""
    return nn.mse_loss(net(x), y)


def gradient_bytes(D: int, H: int) -> int:
    """Bytes of all gradients of that network in float32."""
    return sum(p.data.nbytes for p in Net(D, H).parameters())


def two_processes() -> tuple[Link, float] | None:
    """The link between two processes of this machine, and their step; None without MPI."""
    words = [str(MPIEXEC), "-n", "2", sys.executable, "-m", "benchmarks.scaling"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300)
    except (OSError, subprocess.SubprocessError):
        return None
    short, long, step = json.loads(done.stdout)
    return Link("this machine", short / 2, 4 * LONG / (long - short)), step


def one_of_two() -> None:
    """In each process: time a short and a long all-reduce and a step; process 0 prints them."""
    from mpi4py import MPI

    found = []
    for size in (3, LONG):
        given, total = np.ones(size, np.float32), np.empty(size, np.float32)
        found.append(best(partial(MPI.COMM_WORLD.Allreduce, given, total), 20))
    found.append(best(step_of(*NETWORKS["middle"], BATCH // 2), 5))
    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(found))


def sweeps(quick: bool) -> None:
    """What a run of a sweep costs beside itself: a process of its own, or a task of dask's."""
    start = time.perf_counter()
    sweep(abs_of, grid(x=range(1 if quick else 8)), partial(in_processes, 1))
    each = (time.perf_counter() - start) / (1 if quick else 8)
    print(f"\n  a run in a process of its own: {each:.2f} s to start it")
    distributed = peer("distributed")
    if distributed is None or quick:
        return
    with (
        distributed.LocalCluster(1, threads_per_worker=1, dashboard_address=None) as cluster,
        chosen_map(1, cluster.scheduler_address) as map,
    ):
        sweep(abs_of, grid(x=range(10)), map)
        start = time.perf_counter()
        sweep(abs_of, grid(x=range(1000)), map)
        print(f"  a run as a task of dask's: {time.perf_counter() - start:.2f} ms")


def abs_of(x: int) -> int:
    """A run that does nothing."""
    return abs(x)


def rows_of(times: dict[int, float], size: int, links: list[Link]) -> list[list[str]]:
    """What N processes take and gain; the gains are those over the slowest link."""
    rows = []
    for n in PROCESSES:
        B = max(1, BATCH // n)
        reduces = [link.all_reduce(n, size) for link in links]
        same = times[BATCH] / (times[B] + max(reduces))
        more = n * times[BATCH] / (times[BATCH] + max(reduces))
        gains = [f"{same:.1f}" if n <= BATCH else "–", f"{more:.0f}"]
        rows.append([str(n), str(B), f"{1e3 * times[B]:.1f}"])
        rows[-1] += [f"{1e3 * seconds:.2f}" for seconds in reduces] + gains
    return rows


def main(quick: bool) -> None:
    """Measure, and print what follows for each network and link."""
    both = None if quick else two_processes()
    links = [*([both[0]] if both else []), *ASSUMED]
    print("\nscaling: an LSTM, 256 rows in all or 256 for each of N processes; float32")
    for link in links:
        kind = "assumed" if link in ASSUMED else "measured between two processes"
        speed = f"{1e6 * link.latency:.1f} µs, {link.bandwidth / 1e9:.1f} GB/s"
        print(f"  {link.name}: {speed}, {kind}")
    header = ["N", "rows", "step ms", *[f"{link.name} ms" for link in links]]
    header += ["× same batch", "× N batches"]
    shares = dict.fromkeys(max(1, BATCH // n) for n in PROCESSES)
    for name, (T, D, H) in list(NETWORKS.items())[: 1 if quick else None]:
        size = gradient_bytes(D, H)
        for kind in ("eager", "compiled"):
            steps = {B: step_of(T, D, H, B, kind == "compiled") for B in shares}
            times = processor_times(steps, 1 if quick else 9)
            title = f"{name}, {kind}: T={T} D={D} H={H}, gradients {size / 1e6:.2f} MB"
            table(title, header, rows_of(times, size, links))
            if both and (name, kind) == ("middle", "eager"):
                gain = times[BATCH] / both[1]
                print(f"  two processes really: {1e3 * both[1]:.1f} ms, × {gain:.1f}")
    sweeps(quick)


if __name__ == "__main__":
    one_of_two()
