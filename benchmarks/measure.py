"""How everything here is timed: contestants take turns in one process, so that noise hits all of them alike."""

import gc
import importlib
import statistics
import textwrap
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import NamedTuple

from minigrad.columns import columns


class Times(NamedTuple):
    """Seconds of one contestant: the best run, and the middle one."""

    best: float
    median: float


def peer(name: str) -> ModuleType | None:
    """A peer if it is installed (one thread, if it has such a switch), else None."""
    try:
        module = importlib.import_module(name)
    except ImportError:
        return None
    if hasattr(module, "set_num_threads"):
        module.set_num_threads(1)
    return module


def race(
    contestants: dict[str, Callable[[], object]],
    repeats: int,
    at_once: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Times]:
    """Run every contestant `repeats` times in turn; the collector runs between the turns, not in them.

    at_once: so many runs make a turn, as in a training loop, which finds its own data in the cache.
    clock: time.process_time leaves out what other processes take, and adds up all threads.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        run()
    gc.collect()
    gc.disable()
    try:
        for _ in range(repeats):
            for name, run in contestants.items():
                for _ in range(at_once):
                    start = clock()
                    run()
                    seconds[name].append(clock() - start)
            gc.collect(0)
    finally:
        gc.enable()
    return {name: Times(min(runs), statistics.median(runs)) for name, runs in seconds.items()}


def verdict(ratio: float, target: float) -> str:
    """A measured ratio beside the bound it has to keep."""
    return f"{ratio:.2f}  (target <= {target:g}: {'kept' if ratio <= target else 'MISSED'})"


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text in columns, the first one to the left."""
    print(f"\n{title}")
    print(textwrap.indent(columns([header, *rows], headings=1), "  "))
