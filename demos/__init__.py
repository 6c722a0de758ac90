"""One readable script for each thing worth seeing: `python -m demos` lists them."""

import os
import sys
from pathlib import Path

# Matrices as small as these gain nothing from threads, and on a busy machine lose a lot by waiting for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

HERE = Path(__file__).parent
NAMES = (
    "sunspots",
    "feed_forward",
    "stock_price",
    "translation",
    "sentiment",
    "speech",
    "next_word",
    "language_model",
    "vanishing_and_exploding",
    "long_memory",
    "clipping",
    "truncation",
    "custom_cells",
    "debugger_tour",
    "bptt_is_the_chain_rule",
)


def refuse_unknown(name: str) -> None:
    """End with status 2 and the list when there is no such demo."""
    if name not in NAMES:
        print(f"demos: there is no demo {name!r}; there are: {', '.join(NAMES)}", file=sys.stderr)
        sys.exit(2)


if sys.argv[:1] == ["-m"]:  # so it is while Python looks for the module of `python -m demos.NAME`
    asked = next(
        (sys.orig_argv[k:] for k, word in enumerate(sys.orig_argv) if word == "-m"), ["-m", "demos"]
    )[1]
    module = asked.removeprefix("demos.").split(".")[0]
    if module not in ("demos", "__main__", "medians"):
        refuse_unknown(module)
