"""Commands that move through the pass, and say where it is to stop.  Imports `prompt`."""

from __future__ import annotations

import pdb
import re
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from minigrad.backward import Step, step_line
from minigrad.debugger.facts import OF_STEPS
from minigrad.debugger.prompt import Prompt, Refused

_ENGINE = ("minigrad.backward", "minigrad.tensor", "minigrad.debugger.*", "bdb")


class Quit(BaseException):
    """The user has left a backward pass: nothing was written."""


def step(prompt: Prompt, text: str) -> None:
    """step [N]: on to the next node, or N nodes on.

    Example: step 5
    """
    end = prompt.session.index + _count(text)
    _forward(prompt, lambda step: step.index >= end, may_end=True)


def earlier(prompt: Prompt, _: str) -> None:
    """earlier: on to the time step before this one (the backward pass goes from later steps to earlier ones).

    Example: earlier
    """
    if not prompt.session.graph.time_steps:
        raise Refused(
            "the graph has no time steps; label them with mg.timesteps(xs), or unroll a cell"
        )
    here = prompt.here.node.time
    _forward(
        prompt,
        lambda step: step.node.time is not None and step.node.time[:2] != (here and here[:2]),
    )


def until(prompt: Prompt, text: str) -> None:
    """until NODE or CONDITION: on to a node, or until a condition holds.  See: help break

    Example: until h[3]
    """
    later = re.search(r"\bpass\b", text) is not None  # another pass, perhaps
    if later:
        prompt.say(_add(prompt, text, once=True))
    _forward(prompt, None if later else _goal(prompt, text, ahead=True))


def continue_(prompt: Prompt, _: str) -> None:
    """continue: on to the next breakpoint, or to the end of the pass.

    Example: continue
    """
    _forward(prompt, None)


def undo(prompt: Prompt, text: str) -> str:
    """undo [N]: one node back, or N nodes back.  Gradients are exactly what they were; changes by hand stay.

    Example: undo 3
    """
    return _back(prompt, prompt.session.index - _count(text))


def goto(prompt: Prompt, text: str) -> str | None:
    """goto NODE, CONDITION or number of a step: to where that first holds in the pass, back or forward.

    Example: goto t=3
    """
    goal = _goal(prompt, f"index == {text}" if text.isdigit() else text, ahead=False)
    for step in prompt.session.replay():
        if goal(step):
            return _back(prompt, step.index)
    if prompt.session.step is not None and goal(prompt.session.step):
        return prompt.place()
    _forward(prompt, goal)
    return None


def restart(prompt: Prompt, _: str) -> str:
    """restart: to the first step of the pass.

    Example: restart
    """
    return _back(prompt, 0)


def into(prompt: Prompt, _: str) -> None:
    """into: plain pdb inside the rule of this node; dy, y and the inputs are local variables, c comes back.

    Example: into
    """
    step = prompt.here
    if not step.graph.is_first(step.node):
        raise Refused(
            "one of several outputs of an operation: its rule runs at the first of them, with all gradients"
        )
    error = prompt.failure[1] if prompt.failure and prompt.failure[0] == step.index else None
    _inside_rule(step, error, None if prompt.typed else prompt.stdin, prompt.stdout)


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


def _inside_rule(step: Step, error: Exception | None, stdin: Any, stdout: Any) -> None:
    """Run the rules of `step` under pdb, or look where they failed; they leave no trace: the loop runs them again."""
    plain, outside = stdin is None, sys.gettrace()
    debugger = _RuleDebugger(
        stdin=stdin, stdout=None if plain else stdout, skip=_ENGINE, nosigint=True, readrc=False
    )
    debugger.use_rawinput = plain
    debugger.about = f"{step_line(step, ())}   ({step.node.source})"
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


def _count(text: str) -> int:
    if text and not (text.isdecimal() and int(text)):
        raise Refused(f"a number of steps above 0 is needed, found {text!r}")
    return int(text or 1)


def _forward(prompt: Prompt, goal: Callable[[Step], Any] | None, may_end: bool = False) -> None:
    """Let the pass go on; it comes back to the prompt where the goal holds."""
    if goal is not None and prompt.session.over:
        raise Refused(
            "the pass is over: there is no next step; undo goes back into it, continue finishes it"
        )
    prompt.origin = None if may_end else max(prompt.session.index, 0)
    prompt.goal, prompt.talking = goal, False


def _back(prompt: Prompt, index: int) -> str:
    if index < 0:
        raise Refused(
            f"the pass begins at step 0, {max(prompt.session.index, 0)} steps back from here"
        )
    prompt.focus = None
    prompt.session.go(index)
    return prompt.place()


def _goal(prompt: Prompt, text: str, ahead: bool) -> Callable[[Step], Any]:
    """When a step is the one that was asked for; refuses a node that this pass does not come to."""
    condition, here = prompt.condition(text), prompt.session.step
    if condition.fields & OF_STEPS:  # only the pass can tell
        return lambda step: condition.test(prompt.facts.about(step))
    nodes = {
        node for node in prompt.matching(condition) if node.op is not None and node.requires_grad
    }
    left = {node for node in nodes if not ahead or here is None or node.serial < here.node.serial}
    if not left:
        where = (
            "is here" if here and here.node in nodes else f"has been passed; goto {text} goes back"
        )
        raise Refused(f"{text} {where}" if nodes else f"the pass does not come to {text}")
    return lambda step: step.node in left


def break_(prompt: Prompt, text: str) -> str:
    """break [CONDITION]: stop wherever it holds; without one, list the breakpoints.

    A condition compares fields and may use and, or, not:
    {fields}
    Example: break norm > 100 and op == tanh
    """
    if text:
        return _add(prompt, text, once=False)
    lines = [f"{number}: {condition}" for number, condition in prompt.breakpoints.items()]
    return "\n".join(lines) or "no breakpoints; for example: break norm > 100"


def tbreak(prompt: Prompt, text: str) -> str:
    """tbreak CONDITION: stop the first time it holds, then forget it.

    Example: tbreak nonfinite
    """
    return _add(prompt, text, once=True)


def _add(prompt: Prompt, text: str, once: bool) -> str:
    number = max(prompt.breakpoints, default=0) + 1
    prompt.breakpoints[number] = prompt.condition(text, once)
    return f"{number}: {prompt.breakpoints[number]}"


def delete(prompt: Prompt, text: str) -> str:
    """delete [N ...]: forget breakpoints by number; without one, all.

    Example: delete 1
    """
    words = text.replace(",", " ").split() or [str(number) for number in prompt.breakpoints]
    unknown = [
        word for word in words if not word.isdecimal() or int(word) not in prompt.breakpoints
    ]
    if unknown:
        there = ", ".join(map(str, prompt.breakpoints)) or "none"
        raise Refused(f"there is no breakpoint {unknown[0]}; there are: {there}")
    return "\n".join(
        f"deleted {word}: {prompt.breakpoints.pop(int(word))}" for word in dict.fromkeys(words)
    )


def quit_(prompt: Prompt, _: str) -> None:
    """quit: leave the pass; nothing is written.

    Example: quit
    """
    prompt.left = True
    prompt.say("quit: nothing is written")
    raise Quit
