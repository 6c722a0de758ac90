"""The debugger that one talks to: it walks a pass in place of the plain loop, and stops.  Imports the commands."""

from __future__ import annotations

import inspect
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextvars import Token
from typing import Any, TextIO

import numpy as np

from minigrad import graph as core
from minigrad import naming
from minigrad.backward import Numbers, Step, backward_steps, walk
from minigrad.debugger import changing, looking, moving
from minigrad.debugger.conditions import Condition
from minigrad.debugger.facts import OF_STEPS, Facts, callers, is_finite, norm_of
from minigrad.debugger.prompt import COMMANDS, Prompt
from minigrad.debugger.session import Session
from minigrad.edits import clip_gradient
from minigrad.public import Graph
from minigrad.scope import caller
from minigrad.tensor import Tensor

Conditions = Iterable["Condition | str"]
Stream = TextIO | None

for module in (moving, changing, looking):  # every public function of these is a command
    for name, function in vars(module).items():
        if (
            inspect.isfunction(function)
            and function.__module__ == module.__name__
            and not name.startswith("_")
        ):
            COMMANDS[name.rstrip("_")] = function


class Debugger(Prompt):
    """Stops backward passes at breakpoints, or at the first step of the first pass if none are given.

    As a context manager it walks every pass that starts inside; `quit` leaves the block.  Ctrl-C stops at the next step
    of a backward pass.
    """

    def __init__(
        self,
        breakpoints: Conditions = (),
        commands: Iterable[str] = (),
        stdin: Stream = None,
        stdout: Stream = None,
    ) -> None:
        super().__init__(commands, stdin, stdout)
        given = (b if isinstance(b, Condition) else Breakpoint(b) for b in breakpoints)
        self.breakpoints = dict(enumerate(given, 1))
        self.stops = 0
        self.goal = None if self.breakpoints else _anywhere

    def __enter__(self) -> Debugger:
        outer = getattr(walk.get(), "__self__", None)
        self.outer = outer if isinstance(outer, Debugger) else None
        if self.outer:  # that one stops at these breakpoints too
            self.outer.adopt(self)
            return self
        self._token: Token[Any] = walk.set(self.walk)
        own = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        self._handles = own and threading.current_thread() is threading.main_thread()
        if self._handles:
            signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        if self.outer:
            given = set(self.breakpoints.values())
            self.outer.breakpoints = {
                n: b for n, b in self.outer.breakpoints.items() if b not in given
            }
            return False
        walk.reset(self._token)
        if self._handles:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return isinstance(error, moving.Quit)

    def adopt(self, inner: Debugger) -> None:
        """Stop, and do, what a debugger that is entered inside this one is told to."""
        self.goal = self.goal or inner.goal
        self.queue += inner.queue
        self.breakpoints |= dict(
            enumerate(inner.breakpoints.values(), max(self.breakpoints, default=0) + 1)
        )

    def _interrupt(self, *_: Any) -> None:
        """Stop at the next step; at the prompt, and when it is asked for once more, break off as ever."""
        if self.talking or self.goal is _interrupted:
            raise KeyboardInterrupt
        self.goal = _interrupted
        if not hasattr(self, "session"):  # between passes
            self.say(
                "\ninterrupted: the next backward pass stops at its first step; once more ends the program"
            )

    # one pass

    def walk(self, graph: core.Graph, pending: Numbers) -> Iterator[Step]:
        """The loop of a pass, in place of `backward_steps`: the same steps, with stops before some of them."""
        if self.left:  # the program has caught what `quit` raised
            raise moving.Quit
        self.passes += 1
        self.session, self.facts = Session(graph, pending), Facts(graph, self.passes)
        self.frame, self.edits, self._announced, self.failure = (
            caller(sys._getframe(1)),
            [],
            False,
            None,
        )
        outside = walk.set(backward_steps)  # a pass that is started from the prompt is not stepped
        try:
            for number, condition in self.breakpoints.items() if self.passes == 1 else ():
                if missing := condition.missing(self.facts):
                    self.say(f"breakpoint {number}, {condition.text}: {missing}")
            self._stop_at_birth()
            while True:
                if self.session.step is not None:
                    yield self.session.step
                try:
                    yield from self._quiet_steps()
                except Exception as error:
                    self._post_mortem(error)
                else:
                    self._stop()
                if self.session.over:
                    break
            if self.session.went_back:  # what was yielded before may have changed
                yield from self.session.replay()
            pending.sums = self.session.pending.sums
        finally:
            walk.reset(outside)
            self.frame = None
            del self.session, self.facts  # they hold the graph

    def _quiet_steps(self) -> Iterator[Step]:
        """The steps before the next one that the user wants to see; a condition that raises is one to see."""
        facts, tests = self.facts, [condition.test for condition in self.breakpoints.values()]
        for step in self.session.steps:
            facts.step, facts.node = step, step.node
            try:
                if self.goal is not None and self.goal(step):
                    return
                for test in tests:
                    if test(facts):
                        return
            except Exception:
                return
            yield step

    def _stop(self) -> None:
        """Talk at the step that the pass has come to, or at its end."""
        if self.session.step is not None:
            self._talk(self._reason(self.session.step), self.session.step.node)
        elif self._announced and self.goal is not None and self.origin is not None:
            self.session.go(self.origin)
            self._talk(
                "that does not come in the rest of the pass: it stands where it stood; continue finishes it"
            )
        elif self._announced and self.goal is not None:
            self._talk(
                "the pass is at its end: continue finishes it; undo, goto and restart go back into it"
            )
        if self.session.step is None:
            if self._announced:
                self.say(_finished(self.session, self.facts))
            self.goal = self.goal if self.goal is _interrupted else None

    def _reason(self, step: Step) -> str:
        """Why to stop at the present step; "" after a move that was asked for."""
        for number, condition in list(self.breakpoints.items()):
            if text := condition.reason(self.facts.about(step)):
                if condition.once:
                    del self.breakpoints[number]
                return f"stop: {text} at"
        try:
            if self.goal is not None:
                self.goal(step)
            return "interrupted at" if self.goal is _interrupted else ""
        except Exception as error:
            return f"stop: the condition raised {type(error).__name__}: {error} at"

    def _stop_at_birth(self) -> None:
        """With a breakpoint on nonfinite: stop before the pass where NaN or infinity was born in the forward pass."""
        losses = [
            y.data for y in self.session.graph.outputs if not is_finite(y.data)
        ]  # -inf in a mask is meant
        if not losses:
            return
        kind, wrong = ("NaN", np.isnan) if np.isnan(losses[0]).any() else ("infinity", np.isinf)
        guilty = next(node for node in self.session.graph.nodes if wrong(node.data).any())
        about = {
            number: b
            for number, b in self.breakpoints.items()
            if b.fields & OF_STEPS == {"nonfinite"}
        }
        asked = [
            number for number, condition in about.items() if condition.test(self.facts.of(guilty))
        ]
        if asked:
            if self.breakpoints[asked[0]].once:
                del self.breakpoints[asked[0]]
            users = self.session.graph.users[guilty]
            self.focus = guilty if guilty.op or not users else users[0].target  # data have no line
            self._talk(
                f"stop: {kind} {'was born in' if guilty.op else 'came into'} the forward pass at",
                self.focus,
            )

    def _post_mortem(self, error: Exception) -> None:
        """A rule or a hook has failed: stand before it once more, and talk.  Going on tries it again, once."""
        index = self.session.index
        if self.failure and self.failure[0] == index:
            raise error
        self.failure = index, error
        self.session.mend()
        notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
        node = self.session.step.node if self.session.step else None
        where = "after" if node is not None else "before its first step"
        self._talk(f"{type(error).__name__}: {error}{notes}\nstop: the pass failed {where}", node)

    def _talk(self, reason: str, node: Tensor | None = None) -> None:
        """Say where the pass stands and why, then do what is asked until that is to move on."""
        graph = self.session.original
        self.stops += 1
        self.goal, self.origin, self.talking = None, None, True
        if not self._announced:
            self._announced = True
            line = (
                f" from {os.path.relpath(self.frame.f_code.co_filename)}:{self.frame.f_lineno}"
                if self.frame
                else ""
            )
            loss = f", loss {graph.outputs[0].item():.4g}" if graph.outputs[0].size == 1 else ""
            steps = f", T = {len(graph.time_steps)}" if graph.time_steps else ""
            self.say(f"backward pass {self.passes}{line}{loss}{steps}, {len(graph)} nodes")
        if reason:
            self.say(
                self.bold(f"{reason} {_place(self.facts, node)}" if node is not None else reason)
            )
            self.say(self.watches())
        else:
            self.say(self.place())
        try:
            while self.talking:
                self.obey()
        finally:
            self.focus, self.talking = None, False


class Breakpoint(Condition):
    """A condition that, as a context manager, stops every backward pass inside."""

    def __init__(self, condition: Any = "", *, once: bool = False, **equal: Any) -> None:
        super().__init__(condition, once=once, **equal)
        self._entered: list[Any] = []

    def __enter__(self) -> Breakpoint:
        self._entered.append(Debugger([self]).__enter__())
        return self

    def __exit__(self, *error: Any) -> bool:
        return self._entered.pop().__exit__(*error)


def _place(facts: Facts, node: Tensor) -> str:
    """Time step, role, forward line and where that line is: the text after "stop"."""
    name, text = facts.of(node).name, naming.expression(facts.graph, node)
    several = f" of {facts.axis}" if len(facts.axes) > 1 else ""
    parts = [] if node.t is None else [f"t = {node.t}{several}"]
    if node in facts.states:
        parts.append(f"state {name}" + (f" of {node.scope}" if node.scope else ""))
    what = text if text == name else f"{name} = {text}"
    lines = str(node.source) + "".join(f", called from {line}" for line in callers(node)[:1])
    return f"{', '.join(parts)}{':   ' if parts else ''}{what}   ({lines})"


def _finished(session: Session, facts: Facts) -> str:
    """What to say at the end of a pass; of an edited one, how large the gradients of the states were."""
    text = f"finished after {session.index} steps"
    if session.graph is session.original:
        return text + (
            f", {len(session.changes)} of them changed by hand" if session.changes else ""
        )
    largest, clipped = dict[str, float](), list[bool]()
    for step in session.replay():
        if state := facts.states.get(step.node):
            largest[state] = max(largest.get(state, 0.0), norm_of(step.grad))
        elif step.node.op is clip_gradient:
            clipped.append(norm_of(step.input_grads[0]) < norm_of(step.grad) * (1 - 1e-6))
    text += "".join(f"; max |d{state}| = {norm:.2f}" for state, norm in largest.items())
    return text + (f"; {sum(clipped)} of {len(clipped)} crossings clipped" if clipped else "")


def _anywhere(step: Step) -> bool:
    """The goal of a debugger without breakpoints: the first step."""
    return True


def _interrupted(step: Step) -> bool:
    """The goal after Ctrl-C."""
    return True


def debug(
    loss_or_graph: Any,
    *breakpoints: Condition | str,
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
    with Debugger(breakpoints, commands, stdin, stdout) as debugger:
        graph.backward(grad)
        if not debugger.stops and not debugger.outer:
            debugger.say("the pass is finished, and no breakpoint was hit")
