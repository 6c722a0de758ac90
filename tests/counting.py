"""Work that is counted instead of timed: the lines of minigrad and nn that a call executes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from tests.floors import ROOT

FOLDERS = (str(ROOT / "minigrad"), str(ROOT / "nn"))


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
    sys.setrecursionlimit(limit)
    try:
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(usual)
    if errors:
        raise errors[0]
