"""`python -m minigrad.debugger script.py`: run a program, and stop in its backward passes.  Imports `shell`."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
import traceback
from collections.abc import Sequence

from minigrad.debugger.facts import FIELDS
from minigrad.debugger.shell import Debugger


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program that the command line names; the exit status is the program's."""
    parser = argparse.ArgumentParser(
        "python -m minigrad.debugger",
        description="Run a program and stop at the first step of its first backward pass, or where -b says.",
        epilog="conditions compare: " + ", ".join(FIELDS) + "; at the prompt, help says more",
    )
    parser.add_argument("-b", dest="breakpoints", action="append", default=[], metavar="CONDITION", help="stop there")
    parser.add_argument("-c", dest="commands", action="append", default=[], metavar="COMMANDS", help="typed first")
    parser.add_argument("-m", dest="module", action="store_true", help="the program is the name of a module")
    parser.add_argument(
        "program", help="script.py, or with -m a module; then its own arguments, after -- where they look like ours"
    )
    words = list(sys.argv[1:] if arguments is None else arguments)
    end = words.index("--") if "--" in words else len(words)
    options, own = parser.parse_known_args(words[:end])  # what is not ours, before or after the program, is its own
    try:
        debugger = Debugger(options.breakpoints, options.commands)
    except ValueError as error:
        parser.error(str(error))
    if not options.module and not os.path.isfile(options.program):
        parser.error(f"there is no file {options.program}")
    sys.argv = [options.program, *own, *words[end + 1 :]]
    if not options.module:
        sys.path.insert(0, os.path.dirname(os.path.abspath(options.program)))
    finished = False
    try:
        with debugger:
            if options.module:
                runpy.run_module(options.program, run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(options.program, run_name="__main__")
            finished = True
    except Exception as error:
        _print_from_program(error)
        return 1
    if finished and not debugger.stops:
        passes = f"{debugger.passes} backward pass{'' if debugger.passes == 1 else 'es'}"
        print(f"{options.program} finished: {passes}, and no breakpoint was hit")
    return 0


def _print_from_program(error: Exception) -> None:
    """The traceback as the program alone would print it."""
    trace = error.__traceback__
    while trace and trace.tb_next and trace.tb_frame.f_globals["__name__"] in ("runpy", __name__):
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)


if __name__ == "__main__":
    sys.exit(main())
