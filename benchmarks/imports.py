"""What `import minigrad, nn` costs above NumPy's own import, each in a fresh interpreter."""

import statistics
import subprocess
import sys

from benchmarks.measure import table, verdict

PROGRAM = """
import time
start = time.perf_counter()
import numpy
middle = time.perf_counter()
import minigrad, nn
print(middle - start, time.perf_counter() - middle)
"""


def main(quick: bool = False) -> None:
    """Start interpreters, print the best and the middle one."""
    runs = [
        [
            float(x)
            for x in subprocess.check_output([sys.executable, "-c", PROGRAM], text=True).split()
        ]
        for _ in range(3 if quick else 15)
    ]
    rows = [
        [name, f"{min(column) * 1e3:.1f}", f"{statistics.median(column) * 1e3:.1f}"]
        for name, column in zip(("numpy", "minigrad and nn above it"), zip(*runs))
    ]
    table("import time (milliseconds)", ["", "best", "median"], rows)
    print(f"  {verdict(min(ours for _, ours in runs) * 1e3, 60)}")
