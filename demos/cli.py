"""What all demos share: the command line, progress, tables, and where pictures go.  Nothing here knows a network."""

from __future__ import annotations

import argparse
import gzip
import importlib
import itertools
import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from demos.vietnamese import DOCUMENTATION, TEXTS
from minigrad.columns import columns
from minigrad.language import language
from minigrad.language import say as library
from minigrad.render import frames

DATA = Path(__file__).parent / "data"
BLOCKS = " ▁▂▃▄▅▆▇█"
LONGEST = 2000  # steps of a demo


class UsageError(Exception):
    """A request that cannot be met: the message is printed and the exit status is 2."""


class Table(NamedTuple):
    """What a demo has found.

    title: what the rows are about.  columns: each heading, and how its numbers are written, as
    "{:.3f}".  rows: a name, and for each column a number, a word, or None where there is nothing.
    """

    title: str
    columns: dict[str, str]
    rows: list[tuple[Any, ...]]

    def __str__(self) -> str:
        def written(value: Any, form: str) -> str:
            return form.format(value) if isinstance(value, int | float) else value or ""

        forms = self.columns.values()
        rows = [[name, *map(written, values, forms)] for name, *values in self.rows]
        lines = columns([[self.title, *self.columns], *rows], headings=1, rule="─")
        return "\n" + textwrap.indent(lines, "  ")


def say(text: str, *values: Any, **named: Any) -> str:
    """The text in the language in force, with its fields filled in as `str.format` does."""
    if language() == "vi":
        text = TEXTS.get(text) or library.get(text, text)
    return text.format(*values, **named)


def parser_of(name: str, doc: str, options: Sequence[tuple[Any, Any]]) -> argparse.ArgumentParser:
    """The common options and a demo's own: pairs (flag, keywords of add_argument).

    usual: among the keywords, what the help calls the default.
    """
    parser = argparse.ArgumentParser(
        f"python -m demos.{name}",
        description=DOCUMENTATION.get(name, doc) if language() == "vi" else doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for flag, keywords in options:
        given = dict(keywords)
        usual = given.pop("usual", given.get("default"))
        default = "" if usual is None else say(" (default {})", usual)
        parser.add_argument(flag, **given | {"help": say(given["help"]) + default})
    seeds = say("start of all random numbers (default 0)")
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help=seeds)
    folder = say("folder for the pictures (default out/)")
    parser.add_argument("--out", default="out", metavar="DIR", help=folder)
    short = say("seconds instead of a minute: to see that it runs")
    parser.add_argument("--quick", action="store_true", help=short)
    spoken = say("language of what is printed (default: that of LANG)")
    parser.add_argument("--lang", choices=["en", "vi"], default=language(), help=spoken)
    return parser


def run(
    main: Callable[[argparse.Namespace], Any],
    name: str,
    doc: str,
    options: Sequence[tuple[Any, dict[str, Any]]] = (),
) -> None:
    """Parse the options, seed the generators, make the folder, run, say how long it took.

    main gets the options, and in `args.out` an `Out`.  options: pairs (flag, keywords of
    add_argument).
    """
    for flag, value in itertools.pairwise(sys.argv):
        if flag == "--lang":
            os.environ["MINIGRAD_LANG"] = value  # before anything is said
    parser = parser_of(name, doc, options)
    args = parser.parse_args()
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # end where nobody reads on: `| head`
    start = time.perf_counter()
    try:
        args.out = Out(Path(args.out), name)
        mg.seed(args.seed)
        main(args)
    except UsageError as refusal:
        parser.exit(2, f"{parser.prog}: {refusal}\n")
    if args.quick:
        print("\n" + say("--quick: the numbers of so short a run are no results"))
    written = ", ".join(args.out.written) or say("nothing")
    print("\n" + say("{:.0f} s; written: {}", time.perf_counter() - start, written))
    for line in dict.fromkeys(args.out.missing):
        print(line)


COMPILE: tuple[str, dict[str, Any]] = (  # args.compile is None where nobody says
    "--compile",
    {
        "action": argparse.BooleanOptionalAction,
        "help": "train by a program that mg.compile writes, as is usual",
    },
)


def whole(text: str) -> int:
    """An option's value that has to be a whole number from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(say("a whole number is needed, found {!r}", text))
    return int(text)


def positive(text: str) -> int:
    """An option's value that has to be a whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(say("a whole number above 0 is needed, found {!r}", text))
    return int(text)


def updates(usual: Any) -> tuple[str, dict[str, Any]]:
    """The option --updates N."""
    about = {"metavar": "N", "help": "steps of training", "usual": usual}
    return "--updates", {"type": positive, **about}


def length(text: str) -> int:
    """An option's value that has to be a number of steps which a demo can walk."""
    steps = positive(text)
    if steps < 2:
        problem = "at least 2 steps are needed, for something to flow between them"
        raise argparse.ArgumentTypeError(say(problem))
    if steps > LONGEST:
        problem = "more than {} steps take minutes here, found {!r}"
        raise argparse.ArgumentTypeError(say(problem, LONGEST, text))
    return steps


def scale(text: str) -> float:
    """An option's value that has to be a number other than 0, NaN and infinity."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < abs(number) < np.inf:
        problem = "a number other than 0, finite, is needed, found {!r}"
        raise argparse.ArgumentTypeError(say(problem, text))
    return number


def check_finite(what: str, values: Any, back: bool = False) -> None:
    """Refuse a run whose numbers have left the range: which, and from which step (axis 0) on.

    back: the steps are walked from the last one to the first.
    """
    values = np.asarray(values)
    wrong = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
    if len(wrong):
        step = int(wrong[-1] if back else wrong[0])
        problem = "{} is not finite from step {} on; take a smaller scale, gain or number of steps"
        if back:
            problem = "{} is not finite from step {} back; take a smaller scale, gain or length"
        raise UsageError(say(problem, what, step))


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
            problem = "--out {}: cannot write there ({}); name another folder"
            raise UsageError(say(problem, folder, error.strerror)) from None

    def path(self, name: str) -> Path:
        """Where a file of this demo goes: its name with the demo's in front."""
        return self.folder / f"{self.prefix}-{name}"

    def graph(self, name: str, graph: Any, **options: Any) -> None:
        """Render a graph, or whatever else has `render`; without Graphviz the demo goes on and says what to install."""
        try:
            self.written.append(str(graph.render(self.path(name), **options)))
        except RuntimeError as error:
            self.missing.append(say("not drawn: {}: {}", self.path(name), error))

    def frames(self, folder: str, graph: Any, **options: Any) -> None:
        """A flip-book of a backward pass in a folder of its own."""
        book = Out(Path(folder), self.prefix)
        try:
            self.written += frames(graph, book.folder, **options)
        except RuntimeError as error:
            self.missing.append(say("not drawn: {}: {}", folder, error))

    def plot(
        self, name: str, draw: Callable[[Any], None], size: tuple[float, float] = (7, 3.5)
    ) -> None:
        """Let `draw(axes)` plot into a file; without matplotlib the demo goes on and says what to install."""
        try:
            matplotlib = importlib.import_module("matplotlib.figure")
        except ImportError:
            need = "curves are not drawn without matplotlib; install it:  pip install -e '.[plot]'"
            self.missing.append(say(need))
            return
        figure = matplotlib.Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        figure.savefig(self.path(name), dpi=120)
        self.written.append(str(self.path(name)))

    def words(self, name: str, lines: Sequence[Sequence[tuple[str, float]]], title: str) -> None:
        """Draw lines of words, each on a shade: orange up to 1, blue down to −1."""

        def draw(axes: Any) -> None:
            axes.axis("off")
            for k, line in enumerate(lines):
                x = 0.0
                for word, shade in line:
                    colour = (1, 0.45, 0.2) if shade > 0 else (0.2, 0.5, 1)
                    box = {"color": (*colour, 0.8 * abs(float(shade))), "pad": 2}
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


def curve(values: Any) -> str:
    """A curve as one line of text, from its least value to its greatest."""
    values = np.asarray(values, np.float64)
    heights = (values - values.min()) / (np.ptp(values) or 1.0)
    return "".join(BLOCKS[1 + round(7 * float(height))] for height in heights)


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
