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
        allow_abbrev=False,
    )
    parser.add_argument(
        "-b",
        dest="breakpoints",
        action="append",
        default=[],
        metavar="CONDITION",
        help="stop there",
    )
    parser.add_argument(
        "-c", dest="commands", action="append", default=[], metavar="COMMANDS", help="typed first"
    )
    parser.add_argument(
        "-m", dest="module", action="store_true", help="the program is the name of a module"
    )
    parser.add_argument("program", help="script.py, or with -m a module")
    parser.add_argument(
        "own", nargs="...", help="its own arguments; -b and -c may stand among them, up to a --"
    )
    options = parser.parse_args(arguments)
    given, own, words = (
        {"-b": options.breakpoints, "-c": options.commands},
        list[str](),
        iter(options.own),
    )
    for word in words:
        if word == "--":
            own += words
        elif word not in given:
            own.append(word)
        elif (value := next(words, None)) is not None:
            given[word].append(value)
        else:
            parser.error(f"{word} needs a text behind it")
    try:
        debugger = Debugger(options.breakpoints, options.commands)
    except ValueError as error:
        parser.error(str(error))
    if not options.module and not os.path.isfile(options.program):
        parser.error(f"there is no file {options.program}")
    sys.argv = [options.program, *own]
    folder = os.getcwd() if options.module else os.path.dirname(os.path.abspath(options.program))
    sys.path.insert(0, folder)
    try:
        with debugger:
            if options.module:
                runpy.run_module(options.program, run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(options.program, run_name="__main__")
    except Exception as error:
        trace = error.__traceback__
        while trace and trace.tb_frame.f_code.co_filename in (
            __file__,
            "<frozen runpy>",
            runpy.__file__,
        ):
            trace = trace.tb_next  # as the program alone would print it
        traceback.print_exception(type(error), error, trace)
        return 1
    if not debugger.stops:
        passes = f"{debugger.passes} backward pass{'' if debugger.passes == 1 else 'es'}"
        print(f"{options.program} finished: {passes}, and no breakpoint was hit")
    return 0


if __name__ == "__main__":
    sys.exit(main())
