"""The lines of minigrad and nn that a call executes: counted instead of timed, and interrupted at each."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np

from tests.floors import ROOT

FOLDERS = (str(ROOT / "minigrad"), str(ROOT / "nn"))


@contextmanager
def no_collection() -> Iterator[None]:
    """No garbage collection: its callbacks, which other libraries register, must not meet our interrupts and limits."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def lines_executed(run: Callable[[], object]) -> int:
    """How many lines of the engine and the networks run; a loop's lines count in each round."""
    executed = 0

    def each(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal executed
        executed += event == "line"
        return each

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        return each if frame.f_code.co_filename.startswith(FOLDERS) else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        run()
    finally:
        sys.settrace(before)
    return executed


def interrupted(action: Callable[[], object], number: int) -> bool:
    """Run an action with a KeyboardInterrupt at one of the lines of ours that it runs; whether it came so far.

    A traced interrupt, unlike a real one, can come between the end of a block and its `__exit__`: the error state
    of NumPy is put back here.

    """
    count = 0

    def each(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        if event == "line" and count == number:
            sys.settrace(None)
            raise KeyboardInterrupt
        return each

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        return each if frame.f_code.co_filename.startswith(FOLDERS) else None

    before = sys.gettrace()
    with no_collection(), np.errstate():
        sys.settrace(enter)
        try:
            action()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
    return False


def under_limit(run: Callable[[], object], limit: int = 200) -> None:
    """Run under a small recursion limit, in a thread of its own; raises what it raises."""
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            run()
        except BaseException as error:
            errors.append(error)

    usual = sys.getrecursionlimit()
    thread = threading.Thread(target=guarded)
    with no_collection():
        sys.setrecursionlimit(limit)
        try:
            thread.start()
            thread.join()
        finally:
            sys.setrecursionlimit(usual)
    if errors:
        raise errors[0]
