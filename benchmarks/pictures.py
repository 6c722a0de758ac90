"""Pictures of an unrolled LSTM against the number of steps: CPU seconds with those of Graphviz, bytes, runs of dot.

Time and bytes have to grow in proportion to the steps; the layout of a step is made once, however many there are.
"""

import resource
from collections.abc import Callable
from typing import Any
from unittest import mock

import minigrad as mg
from benchmarks.growth import lstm_loss
from benchmarks.measure import table
from minigrad.render import engine, to_dot

CASES: tuple[tuple[str, dict[str, Any], dict[int, float]], ...] = (
    ("operations, svg", {"steps": "all"}, {10: 0.15, 100: 0.3, 1000: 2.5, 10_000: 25}),
    ("cells, svg", {"steps": "all", "view": "cells"}, {10: 0.15, 1000: 0.5, 10_000: 25}),
    ("wrapped, pdf", {"steps": "all", "per_row": 20}, {1000: 3}),
    ("wrapped, png", {"steps": "all", "per_row": 20}, {1000: 15}),
    ("middle left out, svg", {}, {10_000: 25}),
)


def cpu(run: Callable[[], object]) -> float:
    """Seconds of this process and of the programs that it starts."""

    def spent() -> float:
        return sum(
            used.ru_utime + used.ru_stime
            for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )

    before = spent()
    run()
    return spent() - before


def measure(graph: mg.Graph, form: str, options: dict[str, Any], repeats: int) -> tuple[float, int, int]:
    """The least CPU seconds, the bytes of the picture, and how often a layout was asked for."""
    sizes: list[int] = []

    def draw() -> None:
        sizes.append(len(engine.run(to_dot(graph, **options).source, form)))

    seconds = min(cpu(draw) for _ in range(repeats))
    with mock.patch.object(engine, "layouts", wraps=engine.layouts) as layouts:
        to_dot(graph, **options)
    return seconds, sizes[-1], layouts.call_count


def main(quick: bool = False) -> None:
    """Measure and print, each beside its target."""
    rows = []
    for title, options, targets in CASES:
        for T, target in targets.items():
            if quick and T > 100:
                continue
            graph = mg.Graph(lstm_loss(T))
            seconds, size, runs = measure(graph, title[-3:], options, 1 if quick or T > 1000 else 3)
            kept = "kept" if seconds <= target else "MISSED"
            rows.append(
                [f"{title}", f"{T:,}", f"{seconds:.2f}", f"{target:g} {kept}", f"{size / 1000:,.0f}", f"{runs}"]
            )
    table("pictures of nn.LSTM", ["picture", "T", "CPU s", "target", "kB", "layouts"], rows)
