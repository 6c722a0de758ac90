"""`python -m minigrad.debugger script.py`: run a program, and stop in its backward passes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from minigrad.debugger.facts import FIELDS
from minigrad.debugger.shell import Debugger
from minigrad.running import print_error, run_program

REPEATED = ("-b", "-c")  # the options that may also stand behind the program


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program that the command line names; the exit status is the program's."""
    parser = _parser()
    options = parser.parse_args(arguments)
    own = _own_arguments(parser, options)
    try:
        debugger = Debugger(options.breakpoints, options.commands)
    except ValueError as error:
        parser.error(str(error))
    if not options.module and not os.path.isfile(options.program):
        parser.error(f"there is no file {options.program}")
    try:
        with debugger:
            run_program(options.program, own, module=options.module)
    except Exception as error:
        print_error(error, __file__)
        return 1
    if not debugger.stops:
        passes = "pass" if debugger.passes == 1 else "passes"
        number = f"{debugger.passes} backward {passes}"
        print(f"{options.program} finished: {number}, and no breakpoint was hit")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m minigrad.debugger",
        description="Run a program and stop at the first step of its first backward pass, "
        "or where -b says.",
        epilog=f"conditions compare: {', '.join(FIELDS)}; at the prompt, help says more",
        allow_abbrev=False,
    )
    condition: dict[str, Any] = {"metavar": "CONDITION", "help": "stop there"}
    commands: dict[str, Any] = {"metavar": "COMMANDS", "help": "typed first"}
    module = "the program is the name of a module"
    own = "its own arguments; -b and -c may stand among them, up to a --"
    parser.add_argument("-b", dest="breakpoints", action="append", default=[], **condition)
    parser.add_argument("-c", dest="commands", action="append", default=[], **commands)
    parser.add_argument("-m", dest="module", action="store_true", help=module)
    parser.add_argument("program", help="script.py, or with -m a module")
    parser.add_argument("own", nargs="...", help=own)
    return parser


def _own_arguments(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[str]:
    """The program's arguments; -b and -c among them, up to a --, are taken out as options."""
    given = dict(zip(REPEATED, (options.breakpoints, options.commands), strict=True))
    own, words = list[str](), iter(options.own)
    for word in words:
        if word == "--":
            own += words
        elif word not in given:
            own.append(word)
        elif (value := next(words, None)) is not None:
            given[word].append(value)
        else:
            parser.error(f"{word} needs a text behind it")
    return own


if __name__ == "__main__":
    sys.exit(main())
