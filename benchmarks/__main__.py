"""Runs the benchmarks named on the command line, or all of them.  One thread on every side."""

import argparse
import importlib
import os
import sys

BENCHMARKS = {
    "chain": "tiny operations (4 x 4), forward and backward, everything on",
    "lstm": "an LSTM written out, and nn.LSTM, forward and backpropagation through time",
    "compile": "compiled training steps of custom cells, beside PyTorch, JAX and NumPy by hand",
    "growth": "time and memory against the number of steps, up to 10 000",
    "numpy_coverage": "how many of NumPy's call patterns are differentiated correctly, wrongly, or refused",
    "pictures": "CPU seconds and bytes of pictures of an LSTM, up to 10 000 steps",
    "page": "the page one plays: bytes, seconds to make and to open, milliseconds for a step",
    "debugger": "opening a long graph in the debugger, its commands, and breakpoints that are not hit",
    "scaling": "training shared by N processes: measured steps and all-reduces, and what follows",
    "imports": "what `import minigrad, nn` costs above NumPy's own import",
}


def main() -> int:
    """Parse the command line, run, print the tables."""
    listing = "\n".join(f"  {name:15} {line}" for name, line in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description=f"Benchmarks:\n{listing}\n\nPeers are measured where they are installed: pip install -e '.[peers]'",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones (default: all)")
    parser.add_argument(
        "--quick", action="store_true", help="few repeats: to see that it runs, not how fast"
    )
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"  # before NumPy is imported and starts its threads
    for name in args.names or BENCHMARKS:
        importlib.import_module(f"benchmarks.{name}").main(args.quick)
    return 0


if __name__ == "__main__":
    sys.exit(main())
