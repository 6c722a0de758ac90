"""`python -m minigrad.render script.py -o picture.svg`: draw the graph of a program's loss without changing it."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Sequence
from typing import Any

from minigrad.graph import Graph
from minigrad.render import render
from minigrad.render.compose import FITS, TIMES, VIEWS
from minigrad.tensor import Tensor


class FoundError(BaseException):
    """Ends the program when the backward pass to be drawn begins; no `except Exception` of its own stops it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw what the command line asks for; 1 if there is nothing to draw."""
    parser = argparse.ArgumentParser(
        "python -m minigrad.render",
        description="Run a program up to its backward pass and draw the graph of the loss.  A program without a "
        "backward pass is run to its end; then its variable `loss` is drawn.",
    )
    parser.add_argument(
        "-o", dest="path", default="graph.svg", metavar="PATH", help="where to (graph.svg); the suffix is the format"
    )
    parser.add_argument("--pass", dest="number", type=int, default=1, metavar="N", help="the N-th backward pass (1)")
    parser.add_argument("--view", choices=VIEWS, default="ops")
    parser.add_argument("--time", choices=TIMES, default="unrolled")
    parser.add_argument("--steps", default="auto", help='"all", or slices such as "0:2,-2:"')
    parser.add_argument("--fit", choices=tuple(FITS))
    parser.add_argument("--per-row", type=int, metavar="N", help="steps in one row")
    parser.add_argument("--backward", action="store_true", help="gradients as colour and width")
    parser.add_argument("program", help="script.py")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the program's own arguments")
    options = vars(parser.parse_args(arguments))
    program, rest, path, number = (options.pop(key) for key in ("program", "arguments", "path", "number"))
    if not os.path.isfile(program):
        parser.error(f"there is no file {program}")
    sys.argv = [program, *rest]
    sys.path.insert(0, os.path.dirname(os.path.abspath(program)))
    graph = graph_of(program, number)
    if graph is None:
        print(f"{program} ran to its end: no backward pass number {number}, and no variable `loss`", file=sys.stderr)
        return 1
    print(graph)
    try:
        print(render(graph, path, **options))
    except (ValueError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def graph_of(program: str, number: int) -> Graph | None:
    """The graph whose backward pass is the N-th of a program, or that of its variable `loss`."""
    original, count = Graph.backward, 0

    def backward(self: Graph, *args: Any, **options: Any) -> None:
        nonlocal count
        count += 1
        if count == number:
            raise FoundError(self)
        original(self, *args, **options)

    Graph.backward = backward  # type: ignore[method-assign]
    try:
        loss = runpy.run_path(program, run_name="__main__").get("loss")
    except FoundError as found:
        return found.graph
    finally:
        Graph.backward = original  # type: ignore[method-assign]
    return Graph(loss) if isinstance(loss, Tensor) else None


if __name__ == "__main__":
    sys.exit(main())
