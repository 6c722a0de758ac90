"""`python -m minigrad.debugger script.py`: run a program, and stop in its backward passes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from minigrad.debugger.facts import FIELDS
from minigrad.debugger.passes import Replay
from minigrad.debugger.prompt import Move
from minigrad.debugger.shell import Debugger
from minigrad.running import print_error, run_program
from minigrad.runs import read

REPEATED = ("-b", "-c")  # the options that may also stand behind the program


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program that the command line names; the exit status is the program's."""
    parser = _parser()
    options = parser.parse_args(arguments)
    own = _own_arguments(parser, options)
    try:
        if options.history:
            print(read(options.history))
            return 0
        debugger = _debugger(options)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    if not options.program:
        parser.error("a program is needed: script.py, or with -m a module")
    if not options.module and not os.path.isfile(options.program):
        parser.error(f"there is no file {options.program}")
    return _run(debugger, options, own)


def _debugger(options: argparse.Namespace) -> Debugger:
    """The debugger that the options ask for."""
    breakpoints = [] if options.replay else options.breakpoints
    debugger = Debugger(breakpoints, options.commands, record=options.record)
    debugger.can_replay = True
    debugger.recorder.program = os.path.basename(options.program or "")
    debugger.replay_to = options.replay or 0
    if options.against:
        debugger.expected = read(options.against)
        program = os.path.basename(options.program or "")
        if debugger.expected.program not in ("", program):
            other = f"{options.against} is a recording of {debugger.expected.program}"
            raise ValueError(f"{other}, not of {program}")
        if not breakpoints:
            debugger.start = Move()
    return debugger


def _run(debugger: Debugger, options: argparse.Namespace, own: list[str]) -> int:
    """Run the program, again and again if the user wants to; the exit status."""
    modules = set(sys.modules)
    while True:
        try:
            with debugger:
                run_program(options.program, own, module=options.module)
            break
        except Replay as wanted:
            debugger = debugger.again(wanted.number)
            for name in set(sys.modules) - modules:
                if _is_the_programs(name, options.program):
                    del sys.modules[name]
        except Exception as error:
            print_error(error, __file__)
            return 1
    if not debugger.stops:
        passes = "pass" if debugger.passes == 1 else "passes"
        number = f"{debugger.passes} backward {passes}"
        print(f"{options.program} finished: {number}, and no breakpoint was hit")
    return 0


def _is_the_programs(name: str, program: str) -> bool:
    """Whether a module stands beside the program, so that a new run must import it again."""
    file = getattr(sys.modules[name], "__file__", None)
    folder = os.path.dirname(os.path.abspath(program))
    return file is not None and os.path.abspath(file).startswith(folder + os.sep)


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
    recording: dict[str, Any] = {"metavar": "RUN.npz"}
    parser.add_argument("--record", **recording, help="record each pass there")
    parser.add_argument("--history", **recording, help="show a recording, and run nothing")
    parser.add_argument("--against", **recording, help="stop where the run parts from that one")
    parser.add_argument("--replay", type=int, metavar="N", help="stop in pass N, and not before")
    parser.add_argument("program", nargs="?", help="script.py, or with -m a module")
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
