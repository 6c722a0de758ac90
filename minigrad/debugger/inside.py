"""Plain pdb inside the rule of one step.  Imports nothing of minigrad but types and `naming`."""

from __future__ import annotations

import pdb
import sys
from bdb import BdbQuit
from collections.abc import Sequence
from types import CodeType, FrameType
from typing import Any, TextIO

from minigrad import naming
from minigrad.backward import Step


class _RuleDebugger(pdb.Pdb):
    """Starts at the first line of one of the rules; beside each frame of the engine it says which node it is about."""

    def __init__(self, rules: Sequence[Any], about: str, stdin: Any, stdout: TextIO) -> None:
        plain = stdin is None
        super().__init__(stdin=stdin, stdout=None if plain else stdout, nosigint=True, readrc=False)
        self.use_rawinput = plain
        self.codes: set[CodeType] = {rule.__code__ for rule in rules}
        self.about, self.entered = about, False

    def stop_here(self, frame: FrameType) -> bool:
        """From the first line of a rule on, where pdb would."""
        self.entered = self.entered or frame.f_code in self.codes
        return self.entered and super().stop_here(frame)

    def user_call(self, frame: FrameType, argument_list: Any) -> None:
        """Not at the `def` of a rule: its first line comes next."""
        if frame.f_code not in self.codes:
            super().user_call(frame, argument_list)

    def print_stack_entry(self, frame_lineno: Any, prompt_prefix: str = "\n-> ") -> None:
        """The frame, and which node it is about."""
        super().print_stack_entry(frame_lineno, prompt_prefix)
        if frame_lineno[0].f_code.co_name in ("rules", "contributions"):
            self.message(f"   {self.about}")


def inside_rule(step: Step, rules: Sequence[Any], stdin: Any, stdout: Any) -> None:
    """Run the rules of `step` under pdb; they leave no trace, for the loop runs them again."""
    about = f"{naming.step_line(step, ())}   ({step.node.source})"
    debugger = _RuleDebugger(rules, about, stdin, stdout)
    debugger.reset()
    step._input_grads = None
    sys.settrace(debugger.trace_dispatch)
    try:
        step.contributions()
    except BdbQuit:
        pass
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=stdout)
    finally:
        sys.settrace(None)
        step._input_grads = None
