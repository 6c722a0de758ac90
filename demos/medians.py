"""`python -m demos.medians NAME ...`: demos with the seeds 0 to 4, and the medians of what they find.

Options of the demos may follow, as --quick; --jobs N runs so many at once, each in a process of its
own.  The result of a demo is the table (or the tables) that its `main` returns.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import statistics
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import minigrad as mg
from demos import cli, refuse_unknown
from demos.sweep import Failed, chosen_map, grid, sweep

SEEDS = range(5)


def module_of(name: str) -> Any:
    """The script of a demo."""
    inner = ".__main__" if name == "custom_cells" else ""
    return importlib.import_module(f"demos.{name}{inner}")


def parser_of(name: str) -> argparse.ArgumentParser:
    """What reads the options of a demo."""
    return cli.parser_of(name, "", module_of(name).OPTIONS)


def tables(name: str, seed: int, words: tuple[str, ...] = ()) -> list[cli.Table]:
    """What a demo finds with a seed; what it prints is dropped, and its pictures too."""
    args = parser_of(name).parse_args([*words, "--seed", str(seed)])
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        args.out = cli.Out(Path(folder), name)
        mg.seed(seed)
        found = module_of(name).main(args)
    return [found] if isinstance(found, cli.Table) else found


def median(runs: list[cli.Table]) -> cli.Table:
    """Of tables that differ in their values only: of numbers the median, of words the commonest,
    where more than half of the runs say it."""
    rows = zip(*(table.rows for table in runs), strict=True)
    return runs[0]._replace(rows=[tuple(map(_middle, zip(*same, strict=True))) for same in rows])


def _middle(values: tuple[Any, ...]) -> Any:
    known = [value for value in values if value is not None]
    if all(isinstance(value, int | float) for value in known):
        return statistics.median(known) if known else None
    word, count = Counter(known).most_common(1)[0]
    if count == len(values):
        return word
    return f"{word} ({count} of {len(values)})" if 2 * count > len(values) else None


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser("python -m demos.medians", description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME", help="a demo")
    parser.add_argument("--jobs", type=cli.positive, default=1, metavar="N", help="processes")
    args, options = parser.parse_known_args()
    for name in args.names:
        refuse_unknown(name)
        parser_of(name).parse_args(options)  # what cannot be is told before anything runs
    with chosen_map(args.jobs, None) as map:
        for name in args.names:
            runs = sweep(tables, grid(name=[name], seed=SEEDS, words=[tuple(options)]), map)
            found = [run for run in runs if not isinstance(run, Failed)]
            print(f"\n{name}: medians over {len(found)} seeds")
            for same in zip(*found, strict=True):
                print(median(list(same)), flush=True)
            for run in runs:
                if isinstance(run, Failed):
                    print(run)
    if "--quick" in options:
        print("\n" + cli.say("--quick: the numbers of so short a run are no results"))


if __name__ == "__main__":
    main()
