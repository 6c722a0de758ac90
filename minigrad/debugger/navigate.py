"""Commands that move through the pass, and into its rules."""

from __future__ import annotations

import pdb
import re
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from minigrad.backward import Step, step_line
from minigrad.debugger.prompt import Answer, CommandError, Move, Prompt, Quit, command
from minigrad.debugger.stops import add_breakpoint

_PASS = ("minigrad.backward", "minigrad.grad_table")
_ENGINE = (*_PASS, "minigrad.tensor", "minigrad.debugger.*", "bdb")


@command("step [N]", example="step 5")
def step(prompt: Prompt, text: str) -> Answer:
    """On to the next node, or N nodes on."""
    end = prompt.session.index + _count(text)
    return _forward(prompt, lambda step: step.index >= end, may_end=True)


@command("earlier", example="earlier")
def earlier(prompt: Prompt, _: str) -> Answer:
    """On to the time step before this one: the pass goes from later steps to earlier ones."""
    if not prompt.session.graph.time_steps:
        remedy = "label them with mg.timesteps(xs), or unroll a cell"
        raise CommandError(f"the graph has no time steps; {remedy}")
    here = prompt.info.node(prompt.here.node).time_step

    def is_earlier(step: Step) -> bool:
        there = prompt.info.node(step.node).time_step
        return there is not None and there != here

    return _forward(prompt, is_earlier)


@command("until NODE or CONDITION", example="until h[3]")
def until(prompt: Prompt, text: str) -> Answer:
    """On to a node, or until a condition holds: see `help break`.

    A condition on the pass (`pass == 9`, `loss > 3`) stops at the start of that pass.
    """
    if re.search(r"\bpass\b", text) or prompt.condition(text).about == "pass":
        prompt.write(add_breakpoint(prompt, text, once=True))
        return Move()
    return _forward(prompt, _goal(prompt, text, ahead=True))


@command("continue", example="continue")
def continue_(prompt: Prompt, _: str) -> Answer:
    """On to the next breakpoint, or to the end of the pass."""
    return Move()


@command("undo [N]", example="undo 3")
def undo(prompt: Prompt, text: str) -> Answer:
    """One node back, or N nodes back.

    Gradients are exactly what they were; changes by hand stay.
    """
    return _back(prompt, prompt.session.index - _count(text))


@command("goto NODE, CONDITION or number of a step", example="goto t=3")
def goto(prompt: Prompt, text: str) -> Answer:
    """To where that first holds in the pass, forward or back; `goto 0` is the start."""
    if text.isdigit() and int(text) <= prompt.session.index:
        return _back(prompt, int(text))
    goal = _goal(prompt, f"index == {text}" if text.isdigit() else text, ahead=False)
    for step in prompt.session.replay():
        if goal(step):
            return _back(prompt, step.index)
    if prompt.session.step is not None and goal(prompt.session.step):
        return prompt.status()
    return _forward(prompt, goal)


@command("reverse-continue", example="reverse-continue")
def reverse_continue(prompt: Prompt, _: str) -> Answer:
    """Back to the last stop before here: of a breakpoint, or where one stood; else to the start."""
    here = prompt.session.index
    found = max((index for index in prompt.stood if index < here), default=0)
    prompt.info.begin_again(prompt.session.graph)
    for step in prompt.session.replay():
        info = prompt.info.step(step)
        for condition in prompt.breakpoints.values():
            if condition.enabled and condition.about != "pass" and condition.test(info):
                occasion = condition.occasion(info)
                if prompt.info.met.get(condition) != occasion:
                    prompt.info.met[condition] = occasion
                    found = max(found, step.index)
    return _back(prompt, found)


@command("into", example="into")
def into(prompt: Prompt, _: str) -> Answer:
    """Plain pdb inside the rule of this node: dy, y and the inputs are local variables.

    `c` comes back; the pass runs the rule again when it goes on.
    """
    step = prompt.here
    if not step.graph.is_first_output(step.node):
        problem = "one of several outputs of an operation: its rule runs at the first of them"
        raise CommandError(f"{problem}, with all gradients")
    failed = prompt.failure is not None and prompt.failure[0] == step.index
    error = prompt.failure[1] if failed and prompt.failure else None
    _inside_rule(step, error, None if prompt.use_rawinput else prompt.stdin, prompt.stdout)
    return None


@command("leave", example="leave")
def leave(prompt: Prompt, _: str) -> Answer:
    """End this pass here: nothing of it is written, and the program goes on behind it."""
    prompt.write("left: nothing of this pass is written")
    return Move(leave=True)


@command("quit", example="quit")
def quit_(prompt: Prompt, _: str) -> Answer:
    """End the program, with exit status 1; nothing of this pass is written."""
    prompt.write("quit: nothing is written")
    raise Quit


class _RuleDebugger(pdb.Pdb):
    """Stops only in rules and what they call; beside the engine's frames it names the node."""

    about = ""

    def user_call(self, frame: FrameType, argument_list: Any) -> None:
        """Not at a `def`: the first line below it comes next."""

    def print_stack_entry(self, frame_lineno: Any, prompt_prefix: str = "\n-> ") -> None:
        """The frame, and which node it is about."""
        super().print_stack_entry(frame_lineno, prompt_prefix)
        if frame_lineno[0].f_globals.get("__name__") in _PASS:
            self.message(f"   {self.about}")


def _inside_rule(step: Step, error: Exception | None, stdin: Any, stdout: Any) -> None:
    """Run the rules of `step` under pdb, or look where they failed.

    The result is discarded: the pass runs the rule again when it continues.
    """
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
                debugger.runcall(step.sparse_input_grads)
            else:
                debugger.reset()
                debugger.interaction(None, error.__traceback__)
    finally:
        step._input_grads = None
        sys.settrace(outside)


def _count(text: str) -> int:
    """The number behind a command; 1 if there is none."""
    if text and not (text.isdecimal() and int(text)):
        raise CommandError(f"a number of steps above 0 is needed, found {text!r}")
    return int(text or 1)


def _forward(prompt: Prompt, goal: Callable[[Step], Any], may_end: bool = False) -> Move:
    """The pass goes on, and comes back to the prompt where the goal holds."""
    if prompt.session.over:
        remedy = "undo goes back into it, continue finishes it"
        raise CommandError(f"the pass is over: there is no next step; {remedy}")
    return Move(goal, None if may_end else max(prompt.session.index, 0))


def _back(prompt: Prompt, index: int) -> str:
    """Stand at an earlier step; breakpoints stop there again."""
    if index < 0:
        steps = max(prompt.session.index, 0)
        raise CommandError(f"the pass begins at step 0, {steps} steps back from here")
    prompt.focus = None
    prompt.info.met.clear()
    prompt.session.go(index)
    return prompt.status()


def _goal(prompt: Prompt, text: str, ahead: bool) -> Callable[[Step], Any]:
    """When a step is the one that is wanted.

    Raises CommandError for a node that this pass does not come to, or not any more.
    """
    condition, here = prompt.condition(text), prompt.session.step
    if condition.needs_step:  # only the pass can tell
        return lambda step: condition.test(prompt.info.step(step))
    nodes = [x for x in prompt.matching(condition) if x.op is not None and x.requires_grad]
    if not nodes:
        raise CommandError(f"the pass does not come to {text}")
    wanted = set(prompt.here_or_asked(text, nodes, condition))
    if not ahead or here is None:
        return lambda step: step.node in wanted
    left = {node for node in wanted if node.serial < here.node.serial}
    if not left:
        if here.node in wanted:
            raise CommandError(f"{text} is here")
        raise CommandError(f"{text} has been passed; goto {text} goes back")
    return lambda step: step.node in left
