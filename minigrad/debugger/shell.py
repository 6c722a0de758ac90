"""The debugger that one talks to: it walks a pass in place of the plain loop, and stops.  Imports `session`, `looking`.

Every command is a method `do_...` of `Commands` or `Debugger`; its docstring is its help, the last line an example.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextvars import Token
from typing import Any, TextIO

import numpy as np

from minigrad.backward import Numbers, Step, backward_steps, walk
from minigrad.debugger import looking
from minigrad.debugger.breakpoints import Breakpoint
from minigrad.debugger.commands import Commands
from minigrad.debugger.facts import Facts, is_finite
from minigrad.debugger.session import Session
from minigrad.graph import Graph
from minigrad.scope import caller
from minigrad.tensor import Tensor


class Quit(BaseException):
    """The user has left a backward pass: nothing was written."""


class Debugger(Commands):
    """Stops backward passes at breakpoints, or at the first step of the first pass if none are given.

    As a context manager it walks every pass that starts inside; `quit` leaves the block.
    """

    def __init__(
        self,
        breakpoints: Iterable[Breakpoint | str] = (),
        commands: Iterable[str] = (),
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
    ) -> None:
        super().__init__(breakpoints, commands, stdin, stdout)
        self.passes = self.stops = 0
        self.goal = None if self.breakpoints else lambda step: True

    def __enter__(self) -> Debugger:
        self._token: Token[Any] = walk.set(self.walk)
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        walk.reset(self._token)
        return isinstance(error, Quit)

    # one pass

    def walk(self, graph: Graph, pending: Numbers) -> Iterator[Step]:
        """The loop of a pass, in place of `backward_steps`: the same steps, with stops before some of them."""
        self.passes += 1
        if self.goal is None and not self.breakpoints:
            yield from backward_steps(graph, pending)
            return
        self.session, self.facts, self.focus = Session(graph, pending), Facts(self.passes), None
        self.frame, self.edits, self._announced, self._failed = caller(sys._getframe(1)), [], False, -1
        outside = walk.set(backward_steps)  # a pass that is started from the prompt is not stepped
        try:
            if self.passes == 1:
                self._note_missing()
            self._stop_at_birth()
            while True:
                try:
                    yield from self._quiet_steps()
                except Exception as error:
                    self._post_mortem(error)
                else:
                    self._stop()
                if self.session.step is None:
                    break
                yield self.session.step
            if self.session.went_back:  # what was yielded before may have changed
                yield from self.session.replay()
            pending.sums = self.session.pending.sums
        finally:
            walk.reset(outside)

    def _quiet_steps(self) -> Iterator[Step]:
        """The steps before the next one that the user wants to see; a condition that raises is one to see."""
        session, facts, goal = self.session, self.facts, self.goal
        tests = [condition.test for condition in self.breakpoints.values()]
        for step in session.steps:
            session.step = facts.step = step
            if session.changes or step.index >= session.due:
                session.arrive(step)
            try:
                if goal is not None and goal(step):
                    return
                for test in tests:
                    if test(facts):
                        return
            except Exception:
                return
            yield step
        session.end()

    def _stop(self) -> None:
        """Talk at the step that the pass has come to, or at its end."""
        step = self.session.step
        if step is not None:
            self._interact(self._reason(step), step.node)
        elif self._announced and self.goal is not None:
            self._interact("the pass is at its end: continue finishes it; undo, goto and restart go back into it")
        if self.session.step is None:
            if self._announced:
                self.say(self.finished())
            self.goal = None

    def _reason(self, step: Step) -> str:
        """Why to stop at the present step; "" after a move that was asked for."""
        facts = self.facts.about(step)
        for number, condition in list(self.breakpoints.items()):
            text = condition.reason(facts)
            if text:
                if condition.once:
                    del self.breakpoints[number]
                return f"stop: {text} at"
        try:
            if self.goal is not None:
                self.goal(step)
            return ""
        except Exception as error:
            return f"stop: the condition raised {type(error).__name__}: {error} at"

    def _note_missing(self) -> None:
        """Say which breakpoints name something that the first pass does not have."""
        for number, condition in self.breakpoints.items():
            missing = self._missing(condition)
            if missing:
                self.say(f"breakpoint {number}, {condition.text}: {missing}")

    def _stop_at_birth(self) -> None:
        """With a breakpoint on nonfinite: stop before the pass where NaN or infinity was born in the forward pass."""
        if not any("nonfinite" in condition.text for condition in self.breakpoints.values()):
            return
        loss = next((y.data for y in self.session.graph.outputs if not is_finite(y.data)), None)
        if loss is None:  # -inf in a mask, say, is meant to be there
            return
        kind, wrong = ("NaN", np.isnan) if np.isnan(loss).any() else ("infinity", np.isinf)
        guilty = next(node for node in self.session.graph.nodes if wrong(node.data).any())
        self.focus = guilty
        how = "was born in" if guilty.op else "came into"
        self._interact(f"stop: {kind} {how} the forward pass at", guilty)
        self.focus = None

    def _post_mortem(self, error: Exception) -> None:
        """A rule or a hook has failed: stand before it once more, and talk.  Going on tries it again, once."""
        index = self.session.standing
        if index is None or index == self._failed:
            raise error
        self._failed = index
        self.session.go(index)
        assert self.session.step is not None
        notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
        self._interact(f"{type(error).__name__}: {error}{notes}\nstop: the pass failed after", self.session.step.node)

    # talking

    def _interact(self, reason: str, node: Tensor | None = None) -> None:
        """Say where the pass stands and why, then do what is asked until that is to move on."""
        session, graph = self.session, self.session.original
        self.goal = None
        self.stops += 1
        if not self._announced:
            self._announced = True
            line = f" from {os.path.relpath(self.frame.f_code.co_filename)}:{self.frame.f_lineno}" if self.frame else ""
            loss = f", loss {graph.outputs[0].item():.4g}" if graph.outputs[0].size == 1 else ""
            steps = f", T = {len(graph.time_steps)}" if graph.time_steps else ""
            self.say(f"backward pass {self.passes}{line}{loss}{steps}, {len(graph)} nodes")
        if reason:
            self.say(self.bold(f"{reason} {looking.place(session.graph, node)}" if node is not None else reason))
        else:
            self.show_place()
        self.show_watched()
        while not self.obey():
            pass


def debug(
    loss_or_graph: Any,
    *breakpoints: Breakpoint | str,
    grad: Any = None,
    commands: Iterable[str] = (),
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
) -> None:
    """The backward pass of a loss or a graph, in the debugger: `backward()`, with stops.

    breakpoints: conditions to stop at (without any: at the first step).  grad: as in `backward`.  commands: typed
    before the keyboard is.  To its end, the pass writes the `.grad` that `backward()` writes, bit for bit; after
    `quit`, nothing is written.

    >>> import minigrad as mg
    >>> w, h = mg.tensor(0.2, requires_grad=True, name="w"), mg.tensor(0.9)
    >>> for t in range(3):
    ...     with mg.time_step(t): h = w * h
    >>> mg.debug(h, "t == 1", commands=["grad", "contributions", "continue"])  # doctest: +ELLIPSIS
    backward pass 1 from ...
    stop: t == 1: |dh| = 0.2 at t = 1, state h:   h = w * h   (...)
    (bptt) grad
    dh: () float32, norm 0.2
    0.2
    (bptt) contributions
    dh at t=1 = 0.2 = 0.2 from w * h (t=2)
    (bptt) continue
    finished after 3 steps
    """
    graph = loss_or_graph if isinstance(loss_or_graph, Graph) else Graph(loss_or_graph)
    with Debugger(breakpoints, commands, stdin, stdout):
        graph.backward(grad)
