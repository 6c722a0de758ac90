"""The debugger that one talks to: it drives a pass in place of the plain loop, and stops."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextvars import Token
from functools import partial
from types import FrameType
from typing import Any, NamedTuple, TextIO

import numpy as np

from minigrad import graph as core
from minigrad import naming
from minigrad.backward import Step, backward_steps, driver
from minigrad.checkup import checkup
from minigrad.debugger import change, navigate, passes, program, show, stops  # noqa: F401
from minigrad.debugger.conditions import Condition, any_may_hold
from minigrad.debugger.facts import PassInfo, StepInfo
from minigrad.debugger.prompt import Move, Prompt, Quit
from minigrad.debugger.session import Session
from minigrad.debugger.texts import callers
from minigrad.differences import Difference, row_difference
from minigrad.edits import clip_gradient
from minigrad.grad_table import GradTable
from minigrad.norms import is_finite, norm
from minigrad.public import Graph
from minigrad.recorder import open_recorder
from minigrad.runs import Run
from minigrad.scope import caller, in_engine
from minigrad.tensor import Tensor

Conditions = Iterable["Condition | str"]
Stream = TextIO | None
CHECKED_NODES = 3000  # a larger graph is not checked up unasked
_RUNNERS = ("<frozen", "runpy.py")  # files whose frames are not the program's


class Stop(NamedTuple):
    """Why the pass stops, and at which node; an empty reason: the user has asked for this place."""

    reason: str
    node: Tensor | None = None


class Debugger(Prompt):
    """Stops backward passes at breakpoints, or at the first step of the first pass without any.

    As a context manager it drives every pass that starts inside, in this thread and this process.
    Ctrl-C stops at the next step of a backward pass.
    record: a file in which each pass is recorded, as `mg.record` does; else only the last passes
    are remembered.
    """

    def __init__(
        self,
        breakpoints: Conditions = (),
        commands: Iterable[str] = (),
        stdin: Stream = None,
        stdout: Stream = None,
        record: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(commands, stdin, stdout, record)
        given = (b if isinstance(b, Condition) else Breakpoint(b) for b in breakpoints)
        self.breakpoints = dict(enumerate(given, 1))
        self.stops = 0
        self.start = Move() if self.breakpoints else Move(_anywhere)
        self.expected: Run | None = None  # what the passes should be like: another recording
        self.replay_to = 0  # the pass to stop in; none before it stops
        self._process = os.getpid()
        self._interrupted = self._reading = self._has_quit = self._announced = False

    def __enter__(self) -> Debugger:
        outer = open_recorder()
        drive = self.drive if outer is None else partial(outer.observe, self.drive)
        self._token: Token[Any] = driver.set(drive)
        self.recorder.__enter__()
        own = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        self._handles = own and threading.current_thread() is threading.main_thread()
        if self._handles:
            signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *error: object) -> None:
        self.recorder.__exit__(*error)
        driver.reset(self._token)
        if self._handles:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _interrupt(self, *_: Any) -> None:
        """Stop at the next step; at the prompt, and when asked for once more, break off as ever."""
        if self._reading or self._interrupted or os.getpid() != self._process:
            raise KeyboardInterrupt
        self._interrupted = True
        if not hasattr(self, "session"):  # between passes
            then = "the next backward pass stops at its first step; once more ends the program"
            self.write(f"\ninterrupted: {then}")

    def again(self, number: int) -> Debugger:
        """A debugger for the same program, started anew: it stops in pass `number`, not before.

        It expects the passes that this one has seen, and goes on with what is left to be done.
        """
        new = Debugger(self.breakpoints.values(), (), record=self.recorder.path)
        new.stdin, new.stdout, new.use_rawinput = self.stdin, self.stdout, self.use_rawinput
        new.cmdqueue, new.displayed, new.can_replay = self.cmdqueue, self.displayed, True
        new.recorder.program = self.recorder.program
        new.expected, new.replay_to = Run(self.recorder.table), number
        return new

    # one pass

    def drive(self, graph: core.Graph, pending: GradTable) -> Iterator[Step]:
        """The loop of a pass: the steps of `backward_steps`, with stops before some of them."""
        if os.getpid() != self._process:  # a forked child has no terminal of its own
            yield from backward_steps(graph, pending)
            return
        if self._has_quit:  # the program has caught what `quit` raised
            raise Quit
        self.passes += 1
        if self.passes < self.replay_to:
            self._parted()
            yield from backward_steps(graph, pending)
            return
        self.session, self.info = (
            Session(graph, pending),
            PassInfo(graph, self.passes, self.recorder),
        )
        self.stack, self.selected = _program_frames(sys._getframe(1)), 0
        self.edits, self.stood, self.failure, self._announced = [], [], None, False
        plain = driver.set(backward_steps)  # a pass that is started from the prompt is not stepped
        try:
            yield from self._stopping_steps(pending)
        except Quit:
            self._has_quit = True
            if threading.current_thread() is not threading.main_thread():
                _end_from_a_thread()
            raise
        finally:
            driver.reset(plain)
            self.stack = []
            del self.session, self.info  # they hold the graph

    def _stopping_steps(self, pending: GradTable) -> Iterator[Step]:
        """The steps of the pass; in between, what the user wants."""
        self._tell_missing()
        move, self.start = self.start, Move()
        if self.passes == self.replay_to:
            move = Move(_anywhere)
        parted = self._parted()
        stop = Stop(parted) if parted and not self.replay_to else self._birth()
        if not self.session.graph.order and move.goal is not None:
            stop = Stop("stop: no operation leads to the loss, so there is no step at all")
        while True:
            if stop is not None:
                move = self.interact(stop)
            if move.leave:
                pending.grads = {}
                return
            if self.session.step is not None:
                yield self.session.step
            stop = yield from self._advance(move)
            if stop is None:
                break
        if self._announced:
            self.write(_finished(self.session, self.info))
        if self.session.went_back:  # what was yielded before may have changed
            yield from self.session.replay()
        pending.grads = self.session.pending.grads

    def _advance(self, move: Move) -> Generator[Step, None, Stop | None]:
        """Yield the steps before the next stop, which is returned; None at the end of the pass."""
        active = [c for c in self.breakpoints.values() if c.enabled and c.about != "pass"]
        try:
            for step in self.session.steps:
                asked = not step.index or move.goal is not None or self._interrupted
                if asked or any_may_hold(active, step):
                    stop = self._stop_at(step, move, active)
                    if stop is not None:
                        return stop
                yield step
        except Exception as error:  # of a rule or a hook
            return self._failed(error)
        return self._at_end(move)

    def _stop_at(self, step: Step, move: Move, active: list[Condition]) -> Stop | None:
        """Whether to stop at a step, and why; a condition that raises stops too."""
        info = StepInfo(self.info, step.node, step)
        try:
            if step.index == 0:
                active = [c for c in self.breakpoints.values() if c.enabled]
            for condition in active:
                if condition.test(info) and self._hit(condition, info):
                    return Stop(f"stop: {condition.reason(info)} at", step.node)
            if self._interrupted:
                self._interrupted = False
                return Stop("interrupted at", step.node)
            if move.goal is not None and move.goal(step):
                return Stop("", step.node)
        except Exception as error:
            text = next((c.text for c in active if _raises(c, info)), "")
            condition_text = f"condition {text!r}" if text else "the condition"
            problem = f"{condition_text} raised {type(error).__name__}: {error}"
            return Stop(f"stop: {problem} at", step.node)
        return None

    def _hit(self, condition: Condition, info: StepInfo) -> bool:
        """Note a hit; whether it stops: once for each occasion, and if it is not to be ignored."""
        occasion = condition.occasion(info)
        if self.info.met.get(condition) == occasion:
            return False
        self.info.met[condition] = occasion
        condition.hits += 1
        if condition.ignored:
            condition.ignored -= 1
            return False
        if condition.once:
            kept = self.breakpoints.items()
            self.breakpoints = {number: other for number, other in kept if other is not condition}
        self.queue(condition.commands)
        return True

    def _at_end(self, move: Move) -> Stop | None:
        """At the end of the pass: back, if the goal has not come; else nothing more to ask."""
        if not self._announced or move.goal is None:
            return None
        if move.back_to is None:
            remedy = "continue finishes it; undo and goto go back into it"
            return Stop(f"the pass is at its end: {remedy}")
        self.session.go(move.back_to)
        answer = "that does not come in the rest of the pass: it stands where it stood"
        return Stop(f"{answer}; continue finishes it")

    def _failed(self, error: Exception) -> Stop:
        """A rule or a hook has failed: stand before it once more; going on tries it again, once."""
        index = self.session.index
        if self.failure and self.failure[0] == index:
            raise error
        self.failure = index, error
        self.session.recover()
        notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
        node = self.session.step.node if self.session.step else None
        where = "after" if node is not None else "before its first step"
        text = f"{type(error).__name__}: {error}{notes}\nstop: the pass failed {where}"
        return Stop(text, node)

    def _parted(self) -> str:
        """Where the passes part from those that are expected, told once; "" if they do not."""
        if self.expected is None:
            return ""
        rows = {row["pass"]: row for row in self.expected.rows}
        for row in list(self.recorder.rows)[-2:]:  # the pass before is complete
            found = row_difference(rows.get(row["pass"], {}), row)
            if found is not None:
                self.expected = None
                return self._parting_text(found)
        return ""

    def _parting_text(self, found: Difference) -> str:
        if self.replay_to:
            text = f"the recorded run is not met again: {found}"
            self.write(f"{text}; the program is not deterministic: seed its generators")
            return text
        back = "" if found.number == self.passes else f"; replay {found.number} goes back to it"
        return f"stop: the runs part in {found}{back}"

    def _tell_missing(self) -> None:
        """At the first pass: what breakpoints name that the graph has not."""
        for number, condition in self.breakpoints.items() if self.passes == 1 else ():
            if missing := condition.missing(self.info):
                self.write(f"breakpoint {number}, {condition.text}: {missing}")

    def _birth(self) -> Stop | None:
        """With a breakpoint on `nonfinite`: where in the forward pass the first is born."""
        losses = [y.data for y in self.session.graph.outputs if not is_finite(y.data)]
        if not losses:  # -inf in a mask is meant
            return None
        kind, wrong = ("NaN", np.isnan) if np.isnan(losses[0]).any() else ("infinity", np.isinf)
        guilty = next(node for node in self.session.graph.nodes if wrong(node.data).any())
        info = self.info.node(guilty)
        for number, condition in self.breakpoints.items():
            asks = condition.enabled and _asks_at_birth(condition)
            if asks and condition.test(info):
                if condition.once:
                    del self.breakpoints[number]
                users = self.session.graph.users[guilty]
                made = guilty.op is not None or not users
                self.focus = guilty if made else users[0].target  # data have no line
                verb = "was born in" if guilty.op else "came into"
                return Stop(f"stop: {kind} {verb} the forward pass at", self.focus)
        return None

    # at the prompt

    def interact(self, stop: Stop) -> Move:
        """Say where the pass stands and why, then do what is asked until the pass moves."""
        self.stops += 1
        self._announce()
        self.stood.append(self.session.index)
        if not stop.reason:
            self.write(self.status())
        else:
            place = "" if stop.node is None else f" {_place(self.info, stop.node)}"
            self.write(self.bold(stop.reason + place))
            self.write(self.displays())
        self._reading = True
        try:
            return self.read_and_run()
        finally:
            self._reading, self.focus = False, None

    def _announce(self) -> None:
        """Once in a pass: its number, line, loss and size."""
        if self._announced:
            return
        self._announced = True
        graph = self.session.original
        line = loss = steps = ""
        if self.stack:
            frame = self.stack[0]
            line = f" from {os.path.relpath(frame.f_code.co_filename)}:{frame.f_lineno}"
        if graph.outputs[0].size == 1:
            loss = f", loss {graph.outputs[0].item():.4g}"
        if graph.time_steps:
            steps = f", T = {len(graph.time_steps)}"
        self.write(f"backward pass {self.passes}{line}{loss}{steps}, {len(graph)} nodes")
        if self.stops == 1 and self.focus is None and len(graph) <= CHECKED_NODES:
            self.write(self._checkup_line())

    def _checkup_line(self) -> str:
        """At the first stop: what is most suspicious about the pass; "" for nothing."""
        frame = self.stack[0] if self.stack else None
        found = checkup(self.session.original, frame=frame, careful=True)
        if not found:
            return ""
        more = f"; {len(found) - 1} more by typing checkup" if len(found) > 1 else ""
        return f"checkup: {found[0].text}{more}"


class Breakpoint(Condition):
    """A condition that, as a context manager, stops every backward pass inside."""

    def __init__(self, condition: Any = "", *, once: bool = False, **equal: Any) -> None:
        super().__init__(condition, once=once, **equal)
        self._entered: list[Debugger] = []

    def __enter__(self) -> Breakpoint:
        self._entered.append(Debugger([self]).__enter__())
        return self

    def __exit__(self, *error: object) -> None:
        self._entered.pop().__exit__(*error)


def _end_from_a_thread() -> None:
    """End the program from a thread, where SystemExit would end the thread alone."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a job in the background
        sys.stdout.flush()
        os._exit(1)
    _thread.interrupt_main()


def _program_frames(frame: FrameType | None) -> list[FrameType]:
    """The frames of the program that led here, innermost first."""
    found, frame = list[FrameType](), caller(frame)
    while frame is not None:
        file = frame.f_code.co_filename
        if not in_engine[file] and not file.startswith(_RUNNERS) and not file.endswith(_RUNNERS):
            found.append(frame)
        frame = frame.f_back
    return found


def _asks_at_birth(condition: Condition) -> bool:
    """Whether a condition is about what is not finite, and about nothing else of the pass."""
    return "nonfinite" in condition.fields and not condition.fields & {"norm", "fraction", "index"}


def _raises(condition: Condition, info: StepInfo) -> bool:
    try:
        condition.test(info)
    except Exception:
        return True
    return False


def _place(run: PassInfo, node: Tensor) -> str:
    """Time step, role, forward line and where that line is: the text behind "stop"."""
    name = run.name_of(node)
    layer = run.layer(node)
    of_layer = f" of {layer}" if layer else ""
    parts = [] if node.t is None else [f"t = {node.t}{of_layer}"]
    if node in run.states:
        in_scope = f" of {node.scope}" if node.scope else ""
        parts.append(f"state {name}{in_scope}")
    made = naming.equation(run.graph, node, name)
    lines = str(node.source) + "".join(f", called from {line}" for line in callers(node)[:1])
    head = f"{', '.join(parts)}:   " if parts else ""
    return f"{head}{made}   ({lines})"


def _finished(session: Session, run: PassInfo) -> str:
    """What to print at the end; of an edited pass, the largest gradients of the states."""
    text = f"finished after {session.index} steps"
    if session.graph is session.original:
        changes = len(session.changes)
        return f"{text}, {changes} of them changed by hand" if changes else text
    largest, clipped = dict[str, float](), list[bool]()
    for step in session.replay():
        if state := run.states.get(step.node):
            largest[state] = max(largest.get(state, 0.0), norm(step.grad))
        elif step.node.op is clip_gradient:
            clipped.append(norm(step.input_grads[0]) < norm(step.grad) * (1 - 1e-6))
    text += "".join(f"; max |d{state}| = {norm:.2f}" for state, norm in largest.items())
    if clipped:
        text += f"; {sum(clipped)} of {len(clipped)} crossings clipped"
    return text


def _anywhere(step: Step) -> bool:
    """The goal of a debugger without breakpoints: the first step."""
    return True


def debug(
    loss_or_graph: Any,
    *breakpoints: Condition | str | Callable[[Step], Any],
    grad: Any = None,
    commands: Iterable[str] = (),
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
) -> None:
    """The backward pass of a loss or a graph, in the debugger: `backward()`, with stops.

    breakpoints: conditions to stop at (without any: at the first step).
    grad: as in `backward`.
    commands: typed before the keyboard is.

    To its end, the pass writes the `.grad` that `backward()` writes, bit for bit.  After `leave`
    nothing is written; `quit`, or the end of the input, ends the program with status 1.

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
    conditions = [b if isinstance(b, Condition) else Breakpoint(b) for b in breakpoints]
    with Debugger(conditions, commands, stdin, stdout) as debugger:
        graph.backward(grad)
        if not debugger.stops:
            debugger.write("the pass is finished, and no breakpoint was hit")
