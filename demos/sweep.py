"""One function at many points, in one process, in several, or on a cluster; the rows in one order.

    rows = sweep(experiment, grid(cell=["RNN", "LSTM"], seed=range(5)), map=client.map)

`map` is the builtin, a pool's, or that of a dask client; the function and its arguments are plain.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from demos import cli

Point = dict[str, Any]  # the keyword arguments of one run
Map = Callable[[Callable[[Point], Any], list[Point]], Iterable[Any]]


class Failed(NamedTuple):
    """A run that gave no result: its arguments, and why."""

    point: Point
    problem: str

    def __str__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.point.items())
        return f"failed: {arguments}: {self.problem}"


def grid(**axes: Iterable[Any]) -> list[Point]:
    """All combinations; the last axis changes fastest.

    >>> grid(T=[5, 10], seed=range(2))
    [{'T': 5, 'seed': 0}, {'T': 5, 'seed': 1}, {'T': 10, 'seed': 0}, {'T': 10, 'seed': 1}]
    """
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def sweep(function: Callable[..., Any], points: list[Point], map: Map = builtins.map) -> list[Any]:
    """The results of function(**point) in the order of the points; `Failed` where there is none."""
    waiting = iter(map(partial(attempt, function), points))
    results = []
    for point in points:
        try:
            result = next(waiting)
            results.append(result.result() if hasattr(result, "result") else result)
        except Exception as error:  # of the engine, not of the function: a worker is lost
            problem = str(error) or "the engine gave no more results"
            results.append(Failed(point, f"{type(error).__name__}: {problem}"))
    return results


def attempt(function: Callable[..., Any], point: Point) -> Any:
    """function(**point), or `Failed` with what it raised."""
    try:
        return function(**point)
    except Exception as error:
        return Failed(point, f"{type(error).__name__}: {error}")


def in_processes(jobs: int, run: Callable[[Point], Any], points: list[Point]) -> Iterator[Any]:
    """A map with a fresh process for each point, `jobs` at once: one that dies takes no other."""
    with ThreadPoolExecutor(jobs) as threads:
        yield from [threads.submit(in_process, run, point) for point in points]


def in_process(run: Callable[[Point], Any], point: Point) -> Any:
    """The result of one point from a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(run, point).result()


@contextlib.contextmanager
def chosen_map(jobs: int, dask: str | None) -> Iterator[Map]:
    """The map for `--jobs N` and `--dask ADDRESS`."""
    if dask is None:
        yield builtins.map if jobs == 1 else partial(in_processes, jobs)
        return
    try:
        distributed = importlib.import_module("distributed")
    except ImportError:
        need = "--dask needs the extra: pip install 'minigrad-bptt[dask]'"
        raise cli.UsageError(cli.say(need)) from None
    try:
        client = distributed.Client(dask, timeout=10)
    except (OSError, ValueError) as error:
        problem = "--dask {}: no scheduler answers there: {}"
        raise cli.UsageError(cli.say(problem, dask, error)) from None
    with client:
        yield partial(client.map, pure=False)


REPETITION = (
    (
        "--seeds",
        {
            "type": cli.positive,
            "default": 1,
            "metavar": "N",
            "help": "repeat with so many seeds; the table gives medians and extremes",
        },
    ),
    (
        "--jobs",
        {
            "type": cli.positive,
            "default": 1,
            "metavar": "N",
            "help": "so many processes at once",
        },
    ),
    ("--dask", {"metavar": "ADDRESS", "help": "run on the dask cluster of this scheduler"}),
)
