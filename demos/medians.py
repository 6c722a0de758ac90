"""`python -m demos.medians NAME ...`: demos with the seeds 0 to 4, and the medians of what they find.

Options of the demos may follow, as --quick; --jobs N runs so many at once, each in a process of its
own.  The result of a demo is the table (or the tables) that its `main` returns.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import statistics
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import minigrad as mg
from demos import cli, refuse_unknown
from demos.sweep import Failed, chosen_map, grid, sweep

SEEDS = range(5)


def tables(name: str, seed: int, words: tuple[str, ...] = ()) -> list[cli.Table]:
    """What a demo finds with a seed; what it prints is dropped, and its pictures too."""
    suffix = ".__main__" if name == "custom_cells" else ""
    demo = importlib.import_module(f"demos.{name}{suffix}")
    args = cli.parser_of(name, "", demo.OPTIONS).parse_args([*words, "--seed", str(seed)])
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        args.out = cli.Out(Path(folder), name)
        mg.seed(seed)
        found = demo.main(args)
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
    words, jobs = sys.argv[1:], 1
    if "--jobs" in words:
        place = words.index("--jobs")
        jobs = int(words[place + 1])
        del words[place : place + 2]
    count = next((k for k, word in enumerate(words) if word.startswith("-")), len(words))
    names, options = words[:count], tuple(words[count:])
    for name in names:
        refuse_unknown(name)
    with chosen_map(jobs, None) as map:
        for name in names:
            runs = sweep(tables, grid(name=[name], seed=SEEDS, words=[options]), map)
            found = [run for run in runs if not isinstance(run, Failed)]
            print(f"\n{name}: medians over {len(found)} seeds")
            for same in zip(*found, strict=True):
                print(median(list(same)), flush=True)
            for run in runs:
                if isinstance(run, Failed):
                    print(run)


if __name__ == "__main__":
    main()
