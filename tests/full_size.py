"""Full size: 20 000 parameters, 2 million nodes, 100 000 steps, 1000 axes, 1100 levels.

    python -m tests.full_size            every case of tests/test_growth.py, each in a process of its own
    python -m tests.full_size nodes      the cases whose names hold a word

Calls of functions are counted at a twentieth and a tenth of the size: twice as much takes twice the calls.
At full size the seconds and the largest memory of the process are measured, with making the thing.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tests import test_growth  # noqa: E402
from tests.test_growth import CASES  # noqa: E402

SIZES = {
    test_growth.leaves: 20_000,
    test_growth.wide: 20_000,
    test_growth.nodes: 2_000_000,
    test_growth.chain: 100_000,
    test_growth.loops: 1000,
    test_growth.nested_scopes: 1100,
    test_growth.boxes: 1100,
}


def size(name: str) -> int:
    """How much of it there is at full size."""
    made = CASES[name][0]
    return next((n for make, n in SIZES.items() if make is made), SIZES[test_growth.leaves])


def calls(run: Callable[[], object]) -> int:
    """How many functions are called, of Python and of C."""
    count = 0

    def each(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(each)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def measure(name: str) -> None:
    """Run one case and print its line."""
    make, use = CASES[name]
    use(make(20))  # what is made once is made now
    few, many = (calls(lambda n=n: use(make(n))) for n in (size(name) // 20, size(name) // 10))
    start = time.perf_counter()
    use(make(size(name)))
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    numbers = f"{size(name):9,}  {few:10,} {many:10,} ×{many / few:4.2f}"
    print(f"{name:42} {numbers}  {seconds:7.1f} s {memory:6.0f} MB", flush=True)


def main() -> None:
    """Measure each case in a process of its own; exit with 1 if one fails or grows faster."""
    parser = argparse.ArgumentParser(prog="python -m tests.full_size")
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        warnings.simplefilter("ignore")
        measure(arguments.case)
        return
    failed = []
    print(f"{'case':42} {'size':>9}  {'calls, /20':>10} {'/10':>10} twice  full size")
    for name in [name for name in CASES if arguments.word in name]:
        command = [sys.executable, "-m", "tests.full_size", "--case", name]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        print(found.stdout or f"{name:42} FAILED\n{found.stderr[-1500:]}", end="", flush=True)
        ratio = found.stdout.partition("×")[2].split()
        if found.returncode or not ratio or float(ratio[0]) > 2.2:
            failed.append(name)
    print(f"{len(failed)} grow faster, or fail: {', '.join(failed) or 'none'}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
