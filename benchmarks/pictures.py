"""Pictures of an unrolled LSTM against the number of steps: CPU seconds with those of Graphviz, bytes, runs of dot.

Time and bytes have to grow in proportion to the steps; the layout of a step is made once, however many there are.
Beside it the peers that draw an LSTM of PyTorch's elementary operations, where they and a dot program are installed.
"""

import os
import resource
import shutil
import tempfile
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

import minigrad as mg
import nn
from benchmarks.growth import H, lstm_loss, lstm_outputs
from benchmarks.measure import peer, table
from minigrad.render import graphviz_run, to_dot

CASES: tuple[tuple[str, dict[str, Any], dict[int, float]], ...] = (
    ("operations, svg", {"steps": "all"}, {10: 0.15, 100: 0.3, 1000: 2.5, 10_000: 25}),
    ("cells, svg", {"steps": "all", "view": "cells"}, {10: 0.15, 1000: 0.5, 10_000: 25}),
    ("cells with outputs and losses, svg", {"steps": "all", "view": "cells"}, {1000: 0.8}),
    ("wrapped, pdf", {"steps": "all", "per_row": 20}, {1000: 3}),
    ("wrapped, png", {"steps": "all", "per_row": 20}, {1000: 15}),
    ("middle left out, svg", {}, {10_000: 25}),
)


PEERS = {"torchviz": (3, 10), "torchview": (3, 10), "torchlens": (3, 10)}  # T beyond takes minutes


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


def measure(
    graph: mg.Graph, form: str, options: dict[str, Any], repeats: int
) -> tuple[float, int, int]:
    """The least CPU seconds, the bytes of the picture, and how often a layout was asked for."""
    sizes: list[int] = []

    def draw() -> None:
        sizes.append(len(graphviz_run.run(to_dot(graph, **options).source, form)))

    seconds = min(cpu(draw) for _ in range(repeats))
    with mock.patch.object(graphviz_run, "layouts", wraps=graphviz_run.layouts) as layouts:
        to_dot(graph, **options)
    return seconds, sizes[-1], layouts.call_count


def readout_loss(T: int) -> mg.Tensor:
    """An LSTM with an output layer and a loss at each of the T steps."""
    outputs, readout = lstm_outputs(T), nn.Linear(H, 2)
    target = np.zeros((1, 2), np.float32)
    losses = [nn.mse_loss(readout(outputs[t]), target) for t in range(T)]
    return mg.stack(losses).mean()


def torch_lstm(T: int) -> tuple[Any, Any]:
    """An elementary LSTM of PyTorch as a module, and its input."""
    torch = peer("torch")

    class LSTM(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.x, self.h = torch.nn.Linear(8, 64), torch.nn.Linear(16, 64)

        def forward(self, xs: Any) -> Any:
            h = c = torch.zeros(1, 16)
            for x in xs:
                i, f, g, o = (self.x(x) + self.h(h)).chunk(4, dim=1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
            return (h**2).mean()

    return LSTM(), torch.ones(T, 1, 8)


def draw_with(name: str, net: Any, xs: Any, folder: str) -> int:
    """The bytes of the SVG that a peer draws."""
    if name == "torchviz":
        return len(peer(name).make_dot(net(xs), dict(net.named_parameters())).pipe("svg"))
    if name == "torchview":
        return len(peer(name).draw_graph(net, input_data=xs, depth=1).visual_graph.pipe("svg"))
    path = os.path.join(folder, "graph")
    peer(name).trace(net, xs).draw(vis_outpath=path, vis_save_only=True, vis_fileformat="svg")
    return os.path.getsize(f"{path}.svg")


def peers(quick: bool) -> list[list[str]]:
    """Rows of the peers; one that cannot draw says why."""
    rows = []
    found = [module for module in PEERS if shutil.which("dot") and peer("torch") and peer(module)]
    for name, T in [(module, T) for module in found for T in PEERS[module] if T <= 10 or not quick]:
        net, xs = torch_lstm(T)
        sizes: list[int] = []
        with tempfile.TemporaryDirectory() as folder:
            try:
                seconds = f"{cpu(lambda: sizes.append(draw_with(name, net, xs, folder))):.2f}"  # noqa: B023
            except Exception as error:  # of a peer, whose names change from version to version
                seconds = type(error).__name__
        rows.append(
            [name, f"{T:,}", seconds, "", *(f"{size / 1000:,.0f}" for size in sizes or [0]), ""]
        )
    return rows


def main(quick: bool = False) -> None:
    """Measure and print, each beside its target."""
    rows = []
    for title, options, targets in CASES:
        for T, target in targets.items():
            if quick and T > 100:
                continue
            graph = mg.Graph(readout_loss(T) if "losses" in title else lstm_loss(T))
            seconds, size, runs = measure(graph, title[-3:], options, 1 if quick or T > 1000 else 3)
            kept = "kept" if seconds <= target else "MISSED"
            rows.append(
                [
                    f"{title}",
                    f"{T:,}",
                    f"{seconds:.2f}",
                    f"{target:g} {kept}",
                    f"{size / 1000:,.0f}",
                    f"{runs}",
                ]
            )
    rows += peers(quick)
    table("pictures of nn.LSTM", ["picture", "T", "CPU s", "target", "kB", "layouts"], rows)
    if not rows[len(rows) - 1][0].startswith("torch"):
        print(
            "  with a dot program and:  pip install -e '.[peers]'  torchviz, torchview and torchlens stand beside it"
        )
