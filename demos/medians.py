"""`python -m demos.medians NAME ...`: runs demos with the seeds 0, 1, 2 and prints their first tables with medians."""

import re
import statistics
import subprocess
import sys
import tempfile

from demos import refuse_unknown

SEEDS = (0, 1, 2)
NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*\.?\d*")


def rows(name: str, seed: int, *options: str) -> list[str]:
    """The lines of a demo's first table."""
    with tempfile.TemporaryDirectory() as folder:
        words = [
            sys.executable,
            "-m",
            f"demos.{name}",
            "--seed",
            str(seed),
            "--out",
            folder,
            *options,
        ]
        text = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    lines = text.splitlines()
    start = next(k for k, line in enumerate(lines) if "──" in line)
    return lines[
        start - 1 : next((k for k in range(start, len(lines)) if not lines[k]), len(lines))
    ]


def median(lines: tuple[str, ...]) -> str:
    """One line for several that differ in their numbers only: each number the median, with as many decimals."""

    def middle(column: tuple[str, ...]) -> str:
        if len(set(column)) == 1:
            return column[0]
        value = statistics.median(float(text.replace(",", "")) for text in column)
        decimals = len(column[0].partition(".")[2])
        return f"{value:{'+' if column[0][0] in '+-' else ''}.{decimals}f}".rjust(len(column[0]))

    columns = zip(*(NUMBER.findall(line) for line in lines), strict=True)
    found = iter([middle(column) for column in columns])
    return NUMBER.sub(lambda match: next(found), lines[0])


def main() -> None:
    """Run what the command line names."""
    names = [word for word in sys.argv[1:] if not word.startswith("-")]
    options = [word for word in sys.argv[1:] if word.startswith("-")]
    for name in names:
        refuse_unknown(name)
        print(f"\n{name}, medians over the seeds {', '.join(map(str, SEEDS))}")
        for lines in zip(*(rows(name, seed, *options) for seed in SEEDS), strict=True):
            print(median(lines), flush=True)


if __name__ == "__main__":
    main()
