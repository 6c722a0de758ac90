"""The page of an LSTM against the number of steps: bytes, seconds to make and to open, milliseconds for a step.

It is opened in the Chromium of the machine, if there is one; to be made it may take twice the time of the SVG of all
steps.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
import nn
from benchmarks.measure import peer, table
from benchmarks.pictures import cpu

LIMITS = {5: 80_000, 50: 250_000, 1000: 1_500_000, 10_000: None}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
REPAINTS = """() => {
    const times = [];
    while (times.length < 200 && !document.getElementById("next").disabled) {
        const begun = performance.now();
        step(1);
        document.body.getBoundingClientRect();
        times.push(performance.now() - begun);
    }
    return times.sort((a, b) => a - b)[times.length >> 1];
}"""


def lstm_loss(T: int) -> mg.Tensor:
    """A loss at every step, after inputs of noise: numbers that pack badly."""
    mg.seed(0)
    xs = np.random.default_rng(0).standard_normal((T, 2, 3)).astype(np.float32)
    return (nn.LSTM(3, 4)(xs)[0] ** 2).mean()


def in_browser(path: Path) -> tuple[str, str]:
    """How long a page takes to open, and the median of a step in it."""
    playwright, program = (
        peer("playwright.sync_api"),
        next(filter(None, map(shutil.which, BROWSERS)), None),
    )
    if playwright is None or program is None:
        return "no browser", "no browser"
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        tab: Any = browser.new_page(viewport={"width": 1280, "height": 800})
        tab.goto(path.as_uri())
        tab.wait_for_selector("body[data-ready]", timeout=60_000)
        opened = tab.evaluate("() => performance.now()") / 1000
        repaint = tab.evaluate(REPAINTS)
        browser.close()
    return f"{opened:.2f}", f"{repaint:.1f}"


def row(T: int, folder: Path) -> list[str]:
    """What a page of T steps costs."""
    graph, path = mg.Graph(lstm_loss(T)), folder / f"{T}.html"
    svg = cpu(lambda: graph.render(folder / f"{T}.svg", steps="all", backward=True))
    made = cpu(lambda: graph.render(path))
    size, limit = path.stat().st_size, LIMITS[T]
    kept = ""
    if limit is not None:
        kept = f"(<= {limit // 1000} kB: {'kept' if size <= limit else 'MISSED'})"
    seconds = f"{made:.2f} ({made / svg:.2f} ×)"
    return [str(T), f"{size / 1000:.0f} kB {kept}", seconds, f"{svg:.2f}", *in_browser(path)]


def main(quick: bool) -> None:
    longest = 50 if quick else 10_000
    lengths = [T for T in LIMITS if longest >= T]
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(T, Path(folder)) for T in lengths]
    table(
        "The page of an LSTM, all steps in it",
        ["T", "bytes", "made, s (<= 2 ×)", "SVG, s", "opens, s (<= 2)", "a step, ms (<= 16)"],
        rows,
    )
