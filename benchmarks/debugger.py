"""What the debugger costs: opening a long graph, commands at its prompt, and breakpoints that are not hit.

In seconds of the processor, best of some runs that take turns: a busy machine disturbs those least.
"""

import gc
import io
import time
from collections.abc import Callable

import numpy as np

import minigrad as mg
import nn
from benchmarks.measure import table, verdict
from minigrad.debugger import Debugger

T, B, D, H = 1000, 32, 40, 64
CONDITIONS = ("t == 5000", "h[5000]", "norm > 1e9", "op == tan and t > 0", "pass == 7", "nonfinite")
COMMANDS = (
    "step",
    "flow",
    "contributions",
    "pending",
    "where",
    "until h[500]",
    "undo",
    "goto t=900",
    "restart",
)


def seconds(run: Callable[[], object]) -> float:
    """Processor seconds of one run."""
    gc.collect()
    start = time.process_time()
    run()
    return time.process_time() - start


class Clocked(io.StringIO):
    """Lines typed one after the other; notes how long each took to be answered."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("\n".join((*lines, "quit")) + "\n")
        self.asked: list[tuple[str, float]] = [("(open)", time.process_time())]

    def readline(self, *_: object) -> str:
        """The next line; the one before it has been answered."""
        line, now = super().readline(), time.process_time()
        name, start = self.asked[-1]
        self.asked[-1] = name, now - start
        self.asked.append((line.strip(), now))
        return line


def main(quick: bool = False) -> None:
    """Measure and print."""
    mg.seed(0)
    y, _ = nn.LSTM(D, H)(np.random.default_rng(0).standard_normal((T, B, D)))
    graph = mg.Graph((y[-1] ** 2).mean())

    def debugged(condition: str) -> None:
        with Debugger([condition], stdin=io.StringIO(), stdout=io.StringIO()):
            graph.backward()

    runs: dict[str, Callable[[], object]] = {"no debugger": graph.backward}
    runs |= {condition: lambda condition=condition: debugged(condition) for condition in CONDITIONS}
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(2 if quick else 9):
        for name, run in runs.items():
            best[name] = min(best[name], seconds(run))
    plain = best["no debugger"]
    rows = [[name, f"{1e3 * s:.0f}", verdict(s / plain, 1.5)] for name, s in best.items()]
    table(
        f"breakpoints that are not hit, LSTM, T = {T}, {len(graph)} nodes",
        ("condition", "ms", "ratio"),
        rows,
    )
    clock = Clocked(COMMANDS)
    mg.debug(graph, stdin=clock, stdout=io.StringIO())
    answers = [[name, f"{1e3 * s:.0f}"] for name, s in clock.asked[:-1]]
    table("at the prompt (open: target <= 2000 ms)", ("command", "ms"), answers)
