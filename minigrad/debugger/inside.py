"""Plain pdb inside the rule of one step.  Imports nothing of minigrad but types and `naming`."""

from __future__ import annotations

import pdb
import sys
from types import FrameType
from typing import Any

import numpy as np

from minigrad import naming
from minigrad.backward import Step

_ENGINE = ("minigrad.backward", "minigrad.debugger.*", "bdb")


class _RuleDebugger(pdb.Pdb):
    """Stops in no frame but those of rules and what they call; beside the engine's it says which node it is about."""

    about = ""

    def user_call(self, frame: FrameType, argument_list: Any) -> None:
        """Not at a `def`: the first line below it comes next."""

    def print_stack_entry(self, frame_lineno: Any, prompt_prefix: str = "\n-> ") -> None:
        """The frame, and which node it is about."""
        super().print_stack_entry(frame_lineno, prompt_prefix)
        if frame_lineno[0].f_globals.get("__name__") == "minigrad.backward":
            self.message(f"   {self.about}")


def inside_rule(step: Step, error: Exception | None, stdin: Any, stdout: Any) -> None:
    """Run the rules of `step` under pdb, or look where they failed; they leave no trace: the loop runs them again."""
    plain, outside = stdin is None, sys.gettrace()
    debugger = _RuleDebugger(stdin=stdin, stdout=None if plain else stdout, skip=_ENGINE, nosigint=True, readrc=False)
    debugger.use_rawinput = plain
    debugger.about = f"{naming.step_line(step, ())}   ({step.node.source})"
    step._input_grads = None
    try:
        with np.printoptions(threshold=24, edgeitems=2, precision=6):
            if error is None:
                debugger.runcall(step.contributions)
            else:
                debugger.reset()
                debugger.interaction(None, error.__traceback__)
    finally:
        step._input_grads = None
        sys.settrace(outside)
