"""What all demos share: the command line, progress, tables, and where pictures go.  Nothing here knows a network."""

from __future__ import annotations

import argparse
import gzip
import importlib
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.columns import columns
from minigrad.render import frames

DATA = Path(__file__).parent / "data"
BLOCKS = " ▁▂▃▄▅▆▇█"


class UsageError(Exception):
    """A request that cannot be met: the message is printed and the exit status is 2."""


def run(
    main: Callable[[argparse.Namespace], None],
    name: str,
    doc: str,
    *options: tuple[Any, dict[str, Any]],
) -> None:
    """Parse the common options and the demo's own, seed the generators, make the folder, run, say how long it took.

    main gets the options, and in `args.out` an `Out`.  options: pairs (flag, keywords of add_argument).
    """
    parser = argparse.ArgumentParser(
        f"python -m demos.{name}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for flag, keywords in options:
        parser.add_argument(flag, **keywords)
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="start of all random numbers (default 0)"
    )
    parser.add_argument(
        "--out", default="out", metavar="DIR", help="folder for the pictures (default out/)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="seconds instead of a minute: to see that it runs"
    )
    args = parser.parse_args()
    start = time.perf_counter()
    try:
        args.out = Out(Path(args.out), name)
        mg.seed(args.seed)
        main(args)
    except UsageError as refusal:
        parser.exit(2, f"{parser.prog}: {refusal}\n")
    print(
        f"\n{time.perf_counter() - start:.0f} s; written: {', '.join(args.out.written) or 'nothing'}"
    )
    for line in dict.fromkeys(args.out.missing):
        print(line)


def positive(text: str) -> int:
    """An option's value that has to be a whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"a whole number above 0 is needed, found {text!r}")
    return int(text)


class Out:
    """The folder that pictures go to, the paths written so far, and what could not be drawn for want of an extra."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self.folder, self.prefix = folder, prefix
        self.written: list[str] = []
        self.missing: list[str] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".{prefix}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UsageError(
                f"--out {folder}: cannot write there ({error.strerror}); name another folder"
            ) from None

    def path(self, name: str) -> Path:
        """Where a file of this demo goes: its name with the demo's in front."""
        return self.folder / f"{self.prefix}-{name}"

    def graph(self, name: str, graph: Any, **options: Any) -> None:
        """Render a graph, or whatever else has `render`; without Graphviz the demo goes on and says what to install."""
        try:
            self.written.append(str(graph.render(self.path(name), **options)))
        except RuntimeError as error:
            self.missing.append(f"not drawn: {self.path(name)}: {error}")

    def frames(self, folder: str, graph: Any, **options: Any) -> None:
        """A flip-book of a backward pass in a folder of its own."""
        book = Out(Path(folder), self.prefix)
        try:
            self.written += frames(graph, book.folder, **options)
        except RuntimeError as error:
            self.missing.append(f"not drawn: {folder}: {error}")

    def plot(
        self, name: str, draw: Callable[[Any], None], size: tuple[float, float] = (7, 3.5)
    ) -> None:
        """Let `draw(axes)` plot into a file; without matplotlib the demo goes on and says what to install."""
        try:
            matplotlib = importlib.import_module("matplotlib.figure")
        except ImportError:
            self.missing.append(
                "curves are not drawn without matplotlib; install it:  pip install -e '.[plot]'"
            )
            return
        figure = matplotlib.Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        figure.savefig(self.path(name), dpi=120)
        self.written.append(str(self.path(name)))

    def words(self, name: str, lines: Sequence[Sequence[tuple[str, float]]], title: str) -> None:
        """Draw lines of words, each on a shade between 0 and 1."""

        def draw(axes: Any) -> None:
            axes.axis("off")
            for k, line in enumerate(lines):
                x = 0.0
                for word, shade in line:
                    box = {"color": (1, 0.45, 0.2, 0.8 * float(shade)), "pad": 2}
                    axes.text(x, -k, word, family="monospace", va="center", bbox=box)
                    x += 0.0084 * len(word) + 0.016
            axes.set(xlim=(0, 1), ylim=(-len(lines) + 0.4, 0.6), title=title)

        self.plot(name, draw, (11, 0.45 * len(lines) + 0.6))


def progress(items: Iterable[Any], what: str, total: int | None = None) -> Iterator[Any]:
    """Loop with a progress bar: tqdm's if it is installed, else a line of text that rewrites itself.

    Without a title there is none.
    """
    if not what:
        yield from items
        return
    total = len(items) if total is None and hasattr(items, "__len__") else total
    shown = sys.stderr.isatty()
    try:
        tqdm = importlib.import_module("tqdm").tqdm
    except ImportError:
        for k, item in enumerate(items, 1):
            yield item
            end = "\r" if shown else "\n"
            if shown or k == total:
                print(
                    f"{what}: {k}/{total}",
                    end=end if k != total else "\n",
                    file=sys.stderr,
                    flush=True,
                )
        return
    yield from tqdm(items, what, total, mininterval=0.1 if shown else 5, leave=True)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print columns, the first one to the left; floats with three decimals."""
    text = [
        [f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows
    ]
    lines = columns([header, *text], headings=1, rule="─")
    print("\n" + textwrap.indent(lines, "  "))


def bars(values: Any, width: int = 60, scale: tuple[float, float] | None = None) -> str:
    """A curve as one line of text on a logarithmic scale: from `scale[0]` to `scale[1]`, else from least to most."""
    values = np.asarray(values, np.float64)
    chosen = values[np.linspace(0, len(values) - 1, min(width, len(values))).round().astype(int)]
    low, high = scale or (chosen[chosen > 0].min(initial=chosen.max()), chosen.max())
    span = max(np.log10(high / low), 1.0)  # less than a decade is not blown up to look like more
    heights = np.clip(np.log10(np.maximum(chosen, 1e-300) / low) / span, 0, 1)
    return "".join(BLOCKS[1 + round(7 * float(height))] for height in heights)


def text(name: str) -> str:
    """A compressed text file from demos/data."""
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        return file.read()
