"""What the debugger costs: opening a long graph, its commands, conditions not hit, recording.

In seconds of the processor, best of some runs that take turns: a busy machine disturbs those least.
"""

import gc
import io
import tempfile
import time
from collections.abc import Callable
from contextvars import copy_context

import numpy as np

import minigrad as mg
import nn
from benchmarks.measure import table, verdict
from minigrad.backward import backward_steps, driver
from minigrad.debugger import Debugger

T, B, D, H = 1000, 32, 40, 64
LONG = 5000  # steps of the graph that is opened
CONDITIONS = (
    *("t == 5000", "h[5000]", "norm > 1e9", "op == tan and t > 0", "pass == 7", "nonfinite"),
    *("loss > 10 * median(loss)", "value > 1e9", 'param("l0.W_hh").norm > 1e9'),
)
COMMANDS = (
    *("step", "where", "value h[400]", "inputs", "contributions", "pending", "check", "rule"),
    *("until t == 4900", "flow", "undo", "goto t=4990", "goto h[4950]", "reverse-continue"),
    *("history", "explain h[4900]", "checkup"),
)
TRAINED = ((nn.RNN, 20, 4, 3, 8), (nn.LSTM, 20, 32, 40, 64), (nn.GRU, 100, 8, 8, 16))


def seconds(run: Callable[[], object]) -> float:
    """Processor seconds of one run."""
    gc.collect()
    start = time.process_time()
    run()
    return time.process_time() - start


class Clocked(io.StringIO):
    """Lines typed one after the other; notes how long each took to be answered."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("\n".join((*lines, "leave")) + "\n")
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
    conditions_not_hit(2 if quick else 9)
    recording(20 if quick else 600)
    commands(LONG // 5 if quick else LONG)


def conditions_not_hit(repeats: int) -> None:
    """Passes under conditions that never hold, beside a pass without a debugger."""
    mg.seed(0)
    y, _ = nn.LSTM(D, H)(np.random.default_rng(0).standard_normal((T, B, D)))
    graph = mg.Graph((y[-1] ** 2).mean())

    def debugged(condition: str) -> None:
        with Debugger([condition], stdin=io.StringIO(), stdout=io.StringIO()):
            graph.backward()

    runs: dict[str, Callable[[], object]] = {"no debugger": graph.backward}
    runs |= {condition: lambda condition=condition: debugged(condition) for condition in CONDITIONS}
    best = fastest(runs, repeats)
    plain = best["no debugger"]
    rows = [[name, f"{1e3 * s:.0f}", verdict(s / plain, 1.3)] for name, s in best.items()]
    title = f"breakpoints that are not hit, LSTM, T = {T}, {len(graph)} nodes"
    table(title, ("condition", "ms", "ratio"), rows)


def fastest(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The best of some runs of each, which take turns."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(repeats):
        for name, run in runs.items():
            best[name] = min(best[name], seconds(run))
    return best


def recording(passes: int) -> None:
    """A pass (forward, backward and update), recorded into a file, and not.

    Single passes of both take turns, and the lower quartiles are compared: what else the machine
    does disturbs long blocks of passes more than single ones.
    """
    rows = []
    for kind, steps, batch, features, hidden in TRAINED:
        train = training(kind, steps, batch, features, hidden)
        seconds: dict[bool, list[float]] = {False: [], True: []}
        with tempfile.TemporaryDirectory() as folder:
            with mg.record(f"{folder}/run.npz") as run, mg.memory_policy():
                plain = copy_context()
                plain.run(driver.set, backward_steps)
                for k in range(2 * passes):
                    recorded = k % 4 in (1, 2)
                    start = time.process_time()
                    if recorded:
                        train()
                    else:
                        plain.run(train)
                    seconds[recorded].append(time.process_time() - start)
            assert len(run) == passes
        plain_time, recorded_time = (float(np.quantile(seconds[k], 0.25)) for k in (False, True))
        name = f"{kind.__name__}, T = {steps}, B = {batch}, H = {hidden}"
        ratio = verdict(recorded_time / plain_time, 1.05)
        rows.append([name, f"{1e3 * plain_time:.2f}", ratio])
    table("recording", ("network", "ms a pass", "ratio"), rows)


def training(kind: type, steps: int, batch: int, features: int, hidden: int) -> Callable[[], None]:
    """One training step of a network."""
    mg.seed(0)
    net = kind(features, hidden)
    opt = nn.SGD(net, lr=1e-3)
    x = np.random.default_rng(0).standard_normal((steps, batch, features)).astype(np.float32)

    def run() -> None:
        y, _ = net(x)
        loss = (y**2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()

    return run


def commands(steps: int) -> None:
    """How long the prompt takes to come, and to answer, in a long graph."""
    mg.seed(0)
    y, _ = nn.LSTM(4, 16)(np.random.default_rng(0).standard_normal((steps, 4, 4)))
    graph = mg.Graph((y[-1] ** 2).mean())
    clock = Clocked(COMMANDS if steps == LONG else COMMANDS[:2])
    mg.debug(graph, stdin=clock, stdout=io.StringIO())
    rows = []
    for name, s in clock.asked[:-1]:
        target = 0.5 if name == "(open)" else 1.0
        rows.append([name, f"{1e3 * s:.0f}", "kept" if s <= target else "MISSED"])
    title = f"at the prompt, LSTM, T = {steps}, {len(graph)} nodes (open <= 500 ms, answers <= 1 s)"
    table(title, ("command", "ms", "target"), rows)
