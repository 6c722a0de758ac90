"""`python -m minigrad.render script.py -o picture.svg`: draw the graph of a program's loss without
changing it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from minigrad.backward import backward_steps, driver
from minigrad.graph import Graph
from minigrad.render import graphviz_run, render
from minigrad.render.options import Options, checked
from minigrad.render.page import is_page
from minigrad.running import run_program
from minigrad.tensor import Tensor

# How an option of a type is read from the command line; all others are texts.
READ: dict[Any, dict[str, Any]] = {
    "bool": {"action": "store_true"},
    "int": {"type": int},
    "int | None": {"type": int},
    "tuple[float, float] | None": {"type": float, "nargs": 2},
}


class FoundError(BaseException):
    """Ends the program when the backward pass to be drawn begins; no `except Exception` of its own
    stops it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw what the command line asks for; 1 if there is nothing to draw."""
    parser = _parser()
    words = list(sys.argv[1:] if arguments is None else arguments)
    end = words.index("--") if "--" in words else len(words)
    found, own = parser.parse_known_args(words[:end])
    options, own = vars(found), own + words[end + 1 :]
    program, path, number = (options.pop(key) for key in ("program", "path", "number"))
    try:  # before the program is run, which may take its time
        graphviz_run.check(path, graphviz_run.PAGES)
        checked("page" if is_page(path) else "picture", **options)
    except (ValueError, TypeError, OSError) as error:
        parser.error(str(error))
    if number < 1:
        parser.error(f"--pass counts from 1, found {number}")
    if not os.path.isfile(program):
        parser.error(f"there is no file {program}")
    graph = graph_of(program, number, own)
    if graph is None:
        missing = f"no backward pass number {number}"
        if number == 1:
            missing = "no backward pass, and no variable `loss`"
        print(f"{program} ran to its end: {missing}", file=sys.stderr)
        return 1
    print(graph)
    try:
        print(render(graph, path, **options))
    except (ValueError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    """The words of the command line: a program, where the picture goes, and the options of
    pictures."""
    parser = argparse.ArgumentParser(
        "python -m minigrad.render",
        description="Run a program up to its backward pass (`backward` or `mg.grad`) and draw the "
        "graph of the loss.  A program without one is run to its end; then its variable `loss` is "
        "drawn.",
        epilog="the options may stand before or behind the program; what stands behind a -- is "
        "the program's own",
        allow_abbrev=False,
    )
    parser.add_argument(
        "-o", dest="path", default="graph.svg", help="the suffix is the format (graph.svg)"
    )
    parser.add_argument(
        "--pass", dest="number", type=int, default=1, metavar="N", help="the N-th backward pass (1)"
    )
    for one in fields(Options):
        if one.name not in ("highlight", "labels"):
            word, how = f"--{one.name.replace('_', '-')}", READ.get(one.type, {})
            parser.add_argument(word, help=one.metadata["needed"], **how)
    parser.add_argument("program", help="script.py, and its own arguments")
    return parser


def graph_of(program: str, number: int, own: Sequence[str] = ()) -> Graph | None:
    """The graph whose backward pass is the N-th of a program, or that of its variable `loss`."""
    passes: list[Graph] = []

    def noted(graph: Graph, pending: Any) -> Iterator[Any]:
        passes.append(graph)
        if len(passes) == number:
            raise FoundError
        return backward_steps(graph, pending)

    token = driver.set(noted)
    try:
        loss = run_program(program, own).get("loss")
    except FoundError:
        loss = None
    finally:
        driver.reset(token)
    if len(passes) >= number:  # also where the program has caught what ends it
        return passes[number - 1]
    return Graph(loss) if isinstance(loss, Tensor) and number == 1 else None


if __name__ == "__main__":
    sys.exit(main())
