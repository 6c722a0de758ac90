"""Run a user's program as `python script.py` or `python -m module` does."""

from __future__ import annotations

import os
import runpy
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_OWN_FILES = (__file__, "<frozen runpy>", runpy.__file__)


def run_program(
    program: str, arguments: Sequence[str] = (), *, module: bool = False
) -> dict[str, Any]:
    """Run a script, or with module=True a module, as `__main__`; return its global names.

    `sys.argv` and the first entry of `sys.path` are those that the program alone would have; they
    are put back afterwards.  What the program raises, SystemExit too, is raised.
    """
    folder = os.getcwd() if module else os.path.dirname(os.path.abspath(program))
    with _as_main([program, *arguments], folder):
        if module:
            return runpy.run_module(program, run_name="__main__", alter_sys=True)
        return runpy.run_path(program, run_name="__main__")


@contextmanager
def _as_main(argv: list[str], folder: str) -> Iterator[None]:
    before = sys.argv, sys.path[:]
    sys.argv, sys.path[:0] = argv, [folder]
    try:
        yield
    finally:
        sys.argv, sys.path[:] = before


def print_error(error: BaseException, *hidden: str) -> None:
    """Print a program's traceback as Python alone would: without the frames that ran it.

    hidden: files of the outer frames to leave out, besides those of this module.
    """
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename in (*_OWN_FILES, *hidden):
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)
