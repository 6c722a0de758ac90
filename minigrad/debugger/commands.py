"""What one can say to the debugger.  Imports `session`, `looking`, `breakpoints`.

Every command is a method `do_...`; its docstring is its help, and the last line of that an example.
"""

from __future__ import annotations

import cmd
import contextlib
import inspect
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Any, TextIO

import numpy as np

from minigrad import naming
from minigrad.backward import Step
from minigrad.debugger import looking
from minigrad.debugger.breakpoints import FIELDS, Breakpoint, nearest
from minigrad.debugger.facts import Facts, norm_of
from minigrad.debugger.inside import inside_rule
from minigrad.debugger.session import Session
from minigrad.edits import state_names
from minigrad.graph import Graph
from minigrad.tensor import Tensor

GROUPS = {
    "moving": "step earlier until continue undo goto restart into",
    "stopping": "break tbreak delete",
    "looking": "grad value inputs contributions where rule pending watch list flow draw print",
    "doing": "change clip cut check quit help",
}
SHORT = {
    "s": "step", "e": "earlier", "c": "continue", "u": "undo", "b": "break", "w": "where", "l": "list",
    "p": "print", "q": "quit", "exit": "quit", "?": "help", "EOF": "quit",
}  # fmt: skip


class Commands(cmd.Cmd):
    """The commands, and how a line becomes one.  A subclass says when the pass stops."""

    session: Session
    facts: Facts
    focus: Tensor | None  # looked at in place of the present step
    frame: FrameType | None  # of the program that started the pass
    goal: Callable[[Step], Any] | None
    edits: list[str]
    passes: int

    def __init__(
        self, breakpoints: Iterable[Breakpoint | str], commands: Iterable[str], stdin: Any, stdout: TextIO | None
    ) -> None:
        super().__init__(stdin=stdin, stdout=stdout)
        given = (b if isinstance(b, Breakpoint) else Breakpoint(b) for b in breakpoints)
        self.breakpoints = dict(enumerate(given, 1))
        self.queue = deque(part for line in commands for part in split(line))
        self.typed = stdin is None and sys.stdin is not None and sys.stdin.isatty()
        self.watched: list[str] = []
        self.own: dict[str, Any] = {}  # what `!name = ...` has made
        self._last = ""
        if self.typed:
            self._prepare_line_editing()

    # from a line to a command

    def say(self, text: str) -> None:
        """One message."""
        print(text, file=self.stdout, flush=True)

    def bold(self, text: str) -> str:
        """Bold, on a terminal."""
        return f"\033[1m{text}\033[0m" if self.stdout.isatty() and "NO_COLOR" not in os.environ else text

    def obey(self) -> bool:
        """Read one line and do it; True when the pass is to move on."""
        try:
            line = self._read()
            return bool(self.onecmd(line))
        except KeyboardInterrupt:
            self.say("\ninterrupted; quit leaves the debugger")
        except Exception as error:  # a mistake at the prompt, or in what was evaluated there
            self.say(f"{type(error).__name__}: {error}" if not isinstance(error, Refused) else str(error))
        return False

    @property
    def ask(self) -> str:
        """The prompt: the number of the pass from the second on, a star if the pass was changed."""
        changed = "*" if self.session.changes or self.edits else ""
        return f"(bptt{f' {self.passes}' if self.passes > 1 else ''}{changed}) "

    def _read(self) -> str:
        if self.queue:
            line = self.queue.popleft()
            self.say(self.ask + line)
            return line
        try:
            line = input(self.ask) if self.typed else self._read_plain()
        except (EOFError, ValueError):  # a closed stream raises ValueError
            self.say("\nend of input")
            return "quit"
        first, *rest = split(line) or [""]
        self.queue.extendleft(reversed(rest))
        return first

    def _read_plain(self) -> str:
        """A line that nobody typed is repeated, so that the output is a transcript."""
        line = self.stdin.readline() if self.stdin else ""
        if not line:
            raise EOFError
        self.say(self.ask + line.rstrip())
        return line.split("  #")[0].strip()

    def onecmd(self, line: str) -> bool:
        """Do one command; whatever is none is Python."""
        line = line.strip() or (self._last if self.typed else "#")
        self._last = line
        word, _, rest = line.partition(" ")
        method = getattr(self, f"do_{SHORT.get(word, word)}", None)
        if line.startswith("#"):
            return False
        if line.startswith("!") or method is None:
            return self.default(line)
        return bool(method(rest.strip()))

    def default(self, line: str) -> bool:  # type: ignore[override]  # cmd ignores what it returns
        """Python, in the program's variables and those of the step."""
        text = line.removeprefix("!").strip()
        try:
            self._run_python(text)
        except (NameError, SyntaxError) as error:
            word = text.split(" ")[0]
            if line.startswith("!") or not word.isidentifier() or word in self.namespace():
                raise
            raise Refused(f"{word}: neither a command nor a name here{nearest(word, self._all())}") from error
        return False

    def _run_python(self, text: str) -> None:
        names = self.namespace()
        before = dict(names)
        step = self.session.step
        grad = step.grad if step else None
        try:
            code = compile(text, "<bptt>", "eval")
        except SyntaxError:
            exec(compile(text, "<bptt>", "single"), names)
        else:
            result = eval(code, names)
            if result is not None:
                self.say(_shown(result))
        names.pop("__builtins__", None)
        self.own.update({k: v for k, v in names.items() if k not in before or before[k] is not v})
        if step and step.grad is not grad:
            self.session.note_change()
            self._say_changed()

    def evaluate(self, text: str) -> Any:
        """The value of a Python expression."""
        return eval(text, self.namespace())

    def namespace(self) -> dict[str, Any]:
        """The names one can use: the step's own, hidden by the program's, hidden by those made at the prompt."""
        session, graph = self.session, self.session.graph
        names: dict[str, Any] = {
            "np": np,
            "bptt": session,
            "graph": graph,
            "loss": graph.outputs[0],
            "pass_": self.passes,
        }
        node = self.node
        if node is not None:
            for x in (*graph.inputs(node), node):
                names[naming.label(graph, x)] = x
            names |= {"node": node, "value": node.data, "inputs": node.inputs, "t": node.t}
        if session.step is not None and self.focus is None:
            grad = session.step.grad
            names |= {"step": session.step, "grad": grad, f"d{naming.label(graph, session.step.node)}": grad}
        if self.frame is not None:
            names |= {**self.frame.f_globals, **self.frame.f_locals}
        return names | self.own

    @property
    def node(self) -> Tensor | None:
        """The node that is looked at."""
        return self.focus if self.focus is not None else self.session.step.node if self.session.step else None

    def _here(self) -> Step:
        if self.session.step is None:
            begun = self.focus is None
            text = "is over: undo or goto goes back into it" if begun else "has not begun: step begins it"
            raise Refused(f"no step is here, for the pass {text}")
        return self.session.step

    def _node(self, text: str) -> Tensor:
        """The node called `text`, or the present one."""
        if text:
            return self._found(text, self.session.graph.nodes[::-1])[0]
        return self.node if self.node is not None else self._here().node

    def _found(self, text: str, nodes: Sequence[Tensor]) -> list[Tensor]:
        try:
            return looking.find(self.session.graph, nodes, text)
        except KeyError as error:
            raise Refused(error.args[0]) from None

    def show_place(self) -> None:
        """The present step on one line."""
        step = self.session.step
        self.say(repr(step) + self._mark() if step else "the pass is over")

    def _mark(self) -> str:
        step = self.session.step
        return "   (changed by hand)" if step and step.node in self.session.changes else ""

    def show_watched(self) -> None:
        """The watched expressions and their values."""
        for text in self.watched if self.node is not None else ():
            try:
                self.say(f"  {text}: {_shown(self.evaluate(text))}")
            except Exception as error:
                self.say(f"  {text}: {type(error).__name__}: {error}")

    def finished(self) -> str:
        """What to say at the end of a pass."""
        session = self.session
        text = f"finished after {session.standing + 1 if session.standing is not None else 0} steps"
        if not self.edits:
            return text + (f", {len(session.changes)} of them changed by hand" if session.changes else "")
        largest: dict[str, float] = {}
        for (_, name), norms in looking.norms_by_state(session).items():
            largest[name] = max(largest.get(name, 0.0), *norms.values())
        clipped = crossings = 0
        for step in session.replay():
            if step.node.op is not None and step.node.op.name == "clip":
                crossings += 1
                (dx,) = step.input_grads
                clipped += norm_of(dx) < norm_of(step.grad) * (1 - 1e-6)
        text += "".join(f"; max |d{name}| = {norm:.2f}" for name, norm in largest.items())
        return text + (f"; {clipped} of {crossings} crossings clipped" if crossings else "")

    # moving

    def do_step(self, text: str) -> bool:
        """step [N]: on to the next node, or N nodes on.

        Example: step 5
        """
        left = _count(text)
        end = left + (self.session.standing if self.session.standing is not None and self.focus is None else -1)
        if self.session.step is None and self.focus is None:
            raise Refused("the pass is over: there is no next step; undo goes back into it, continue finishes it")
        return self._forward(lambda step: step.index >= end)

    def do_earlier(self, _: str) -> bool:
        """earlier: on to the time step before this one (the backward pass goes from later steps to earlier ones).

        Example: earlier
        """
        time = self._here().node.time
        if not self.session.graph.time_steps:
            raise Refused("the graph has no time steps; label them with mg.timesteps(xs), or unroll a cell")
        return self._forward(lambda step: step.node.time is not None and step.node.time[:2] != (time and time[:2]))

    def do_until(self, text: str) -> bool:
        """until NODE or CONDITION: on to a node, or until a condition holds.  See: help break

        Example: until h[3]
        """
        return self._forward(self._goal(text, ahead=True))

    def do_continue(self, _: str) -> bool:
        """continue: on to the next breakpoint, or to the end of the pass.

        Example: continue
        """
        self.goal = None
        return True

    def do_undo(self, text: str) -> None:
        """undo [N]: one node back, or N nodes back.  Gradients are exactly what they were; changes by hand stay.

        Example: undo 3
        """
        count, standing = _count(text), self.session.standing
        index = -1 if standing is None else standing + (self.session.step is None) - count
        if index < 0:
            raise Refused(f"the pass begins at step 0, {standing or 0} steps back from here")
        self._back(index)

    def do_goto(self, text: str) -> bool:
        """goto NODE, CONDITION or number of a step: to where that first holds in the pass, back or forward.

        Example: goto t=3
        """
        if text.isdigit():
            text = f"index == {text}"
        goal = self._goal(text, ahead=False)
        for step in self.session.replay():
            if goal(step):
                self._back(step.index)
                return False
        here = self.session.step
        if here is not None and goal(here):
            self.show_place()
            return False
        return self._forward(goal)

    def do_restart(self, _: str) -> None:
        """restart: to the first step of the pass.

        Example: restart
        """
        self._back(0)

    def do_into(self, _: str) -> None:
        """into: plain pdb inside the rule of this node; dy, y and the inputs are local variables, c comes back.

        Example: into
        """
        inside_rule(self._here(), looking.rules(self._here().node), None if self.typed else self.stdin, self.stdout)

    def _forward(self, goal: Callable[[Step], Any]) -> bool:
        self.goal = goal
        return True

    def _back(self, index: int) -> None:
        self.focus = None
        self.session.go(index)
        self.show_place()
        self.show_watched()

    def _goal(self, text: str, ahead: bool) -> Callable[[Step], Any]:
        """When a step is the one that was asked for; refuses what this pass cannot reach."""
        if not text:
            raise Refused("where to?  for example: until h[3], goto t=3, until norm > 10")
        if re.fullmatch(r"[^<>=!\s]+(\[-?\d+\])?", text) and text.split("[")[0] not in (*FIELDS, "not"):
            nodes = set(self._found(text, self.session.graph.order))
            passed = {step.node for step in self.session.replay()} if ahead else set()
            if nodes <= passed | {self.node}:
                raise Refused(f"{text} is here" if nodes - passed else f"{text} has been passed; goto {text} goes back")
            return lambda step: step.node in nodes and (not ahead or step.node not in passed)
        condition = self._condition(text)
        return lambda step: condition.test(self.facts.about(step))

    def _condition(self, text: str, once: bool = False) -> Breakpoint:
        """A breakpoint; refused with the nearest name if no node of this graph is called so."""
        try:
            condition = Breakpoint(text, once=once)
        except ValueError as error:
            raise Refused(str(error)) from None
        missing = self._missing(condition)
        if missing:
            raise Refused(missing)
        return condition

    def _missing(self, condition: Breakpoint) -> str:
        """What a condition names that no node of this pass has, with the nearest that there is."""
        graph = self.session.graph
        there: dict[str, Callable[[], list[str]]] = {
            "name": self._names,
            "op": lambda: list(dict.fromkeys(node.op.name for node in graph.order if node.op)),
            "axis": lambda: list(graph.axes),
            "scope": lambda: list(dict.fromkeys(scope for node in graph.nodes for scope in _prefixes(node.scope))),
            "t": lambda: [str(t) for t in graph.time_steps],
        }
        for field, word in condition.words:
            known = there[field]()
            if word not in known:
                return f"nothing in this pass has {field} {word}{nearest(word, known)}"
        return ""

    # stopping

    def do_break(self, text: str, once: bool = False) -> None:
        """break [CONDITION]: stop wherever it holds; without one, list the breakpoints.

        A condition compares fields and may use and, or, not:
        {fields}
        Example: break norm > 100 and op == tanh
        """
        if not text:
            lines = [f"{number}: {condition}" for number, condition in self.breakpoints.items()]
            return self.say("\n".join(lines) or "no breakpoints; for example: break norm > 100")
        number = max(self.breakpoints, default=0) + 1
        self.breakpoints[number] = self._condition(text, once)
        return self.say(f"{number}: {self.breakpoints[number]}")

    def do_tbreak(self, text: str) -> None:
        """tbreak CONDITION: stop the first time it holds, then forget it.

        Example: tbreak nonfinite
        """
        self.do_break(text, once=bool(text))

    def do_delete(self, text: str) -> None:
        """delete [N ...]: forget breakpoints by number; without one, all.

        Example: delete 1
        """
        numbers = [int(n) for n in text.replace(",", " ").split()] if re.fullmatch(r"[\d, ]*", text) else [-1]
        unknown = [n for n in numbers if n not in self.breakpoints]
        if unknown:
            raise Refused(
                f"there is no breakpoint {text}; there are: {', '.join(map(str, self.breakpoints)) or 'none'}"
            )
        for number in numbers or list(self.breakpoints):
            self.say(f"deleted {number}: {self.breakpoints.pop(number)}")

    # looking

    def do_grad(self, text: str) -> None:
        """grad [NODE]: the gradient of this node, or one that is pending.

        Example: grad h[3]
        """
        node = self._node(text)
        step, name = self.session.step, f"d{looking.called(self.session.graph, node)}"
        if step is not None and step.node is node:
            return self.say(looking.array_text(f"d{naming.label(step.graph, node)}", step.grad) + self._mark())
        waiting = self.session.pending.sums.get(node)
        if waiting is None:
            passed = any(step.node is node for step in self.session.replay(node))
            raise Refused(
                f"{name} has been used; goto {text} goes back to it" if passed else f"{name}: nothing has arrived yet"
            )
        parts = waiting if isinstance(waiting, list) else [waiting]
        return self.say("\n".join(looking.array_text(f"{name}, so far", part) for part in parts))

    def do_value(self, text: str) -> None:
        """value [NODE]: what a node holds since the forward pass.

        Example: value h[3]
        """
        node = self._node(text)
        self.say(looking.array_text(looking.called(self.session.graph, node), node))

    def do_inputs(self, text: str) -> None:
        """inputs [NODE]: what flows into the node, and the gradients that go on to it (this runs the rule).

        Example: inputs
        """
        self.say(looking.inputs(self.session, self._node(text)))

    def do_contributions(self, text: str) -> None:
        """contributions [NODE]: who has added what to the gradient.

        Example: contributions
        """
        self.say(looking.contributions(self.session, self._node(text)))

    def do_where(self, text: str) -> None:
        """where [NODE]: the forward line with its expression underlined, the lines that called it, scope and time step.

        Example: where
        """
        self.say(looking.where(self.session, self._node(text)))

    def do_rule(self, text: str) -> None:
        """rule [NODE]: the source of the gradient rules, with the actual shapes.

        Example: rule
        """
        self.say(looking.rule(self._node(text)))

    def do_pending(self, _: str) -> None:
        """pending: the gradients that have arrived and wait, the next one first.

        Example: pending
        """
        self.say(looking.pending(self.session))

    def do_watch(self, text: str) -> None:
        """watch [EXPRESSION]: show its value at every stop; without one, forget all.

        Example: watch abs(grad).max()
        """
        if text:
            compile(text, "<watch>", "eval")
        self.watched = [*self.watched, text] if text else []
        self.show_watched()

    def do_list(self, text: str) -> None:
        """list [NODE]: the program around the forward line.

        Example: list
        """
        self.say(looking.listing(self._node(text)))

    def do_flow(self, _: str) -> None:
        """flow: the norm of each state's gradient by time step so far, drawn, and how it changes from step to step.

        Example: flow
        """
        self.say(looking.flow(self.session))

    def do_draw(self, text: str) -> None:
        """draw [PATH]: a picture of the neighbourhood with this node lit (by default backward.svg).

        Example: draw here.png
        """
        node = self._node("")
        steps = "auto" if node.t is None else f"{max(0, node.t - 1)}:{node.t + 2}"
        self.say(f"written: {self.session.graph.render(text or 'backward.svg', steps=steps, highlight=[node])}")

    def do_print(self, text: str) -> None:
        """print EXPRESSION: evaluate Python; so does a line that is no command, and any line after !.

        Example: print grad.max()
        """
        self._run_python(text)

    # doing

    def do_change(self, text: str) -> None:
        """change EXPRESSION: replace this gradient and go on with it; change off: as if nothing had been changed.

        Example: change grad * 0.1
        """
        if text == "off":
            self.session.forget_changes()
            return self.show_place()
        self._here()
        if not text:
            raise Refused("change to what?  for example: change grad * 0.1")
        self.session.change(self.evaluate(text))
        return self._say_changed()

    def _say_changed(self) -> None:
        self.facts.tainted.clear()
        self.say(f"changed: {self.session.step!r}{self._mark()}")

    def do_clip(self, text: str) -> None:
        """clip max_norm=N or max_value=N: this pass, with every gradient that crosses a time step limited; clip off.

        The pass runs again from its start to the present node: the graph is graph.clip_edges(max_norm=N).
        Example: clip max_norm=1
        """
        options = dict(re.findall(r"(max_norm|max_value)\s*=\s*([\d.eE+-]+)", text))
        if not options and text != "off":
            options = {"max_norm": text} if re.fullmatch(r"[\d.eE+-]+", text) else {}
            if not options:
                raise Refused("clip to what?  for example: clip max_norm=1")
        limits: dict[str, Any] = {name: float(value) for name, value in options.items()}
        self._edit("clip " + text, lambda graph: graph.clip_edges(**limits), text == "off")

    def do_cut(self, text: str) -> None:
        """cut [t=N]: let no gradient flow from time step N (by default this one) to the step before; cut off.

        Example: cut t=380
        """
        match = re.fullmatch(r"(?:t\s*=+\s*)?(-?\d+)", text)
        if text and text != "off" and not match:
            raise Refused("cut where?  for example: cut t=3, or cut off")
        t = int(match[1]) if match else self._node("").t
        if text != "off" and not any(edge.target.t == t for edge in self.session.graph.state_edges):
            raise Refused(f"no state comes into t = {t} from the step before")
        self._edit(f"cut t={t}", lambda graph: graph.cut(t=t), text == "off")

    def _edit(self, text: str, edit: Callable[[Graph], Graph], off: bool) -> None:
        """The same pass on an edited graph, or on the original one again."""
        self.focus = None
        graph = self.session.original if off else edit(self.session.graph)
        self.session.edit(graph)
        self.edits = [] if off else [*self.edits, text]
        self.facts.tainted.clear()
        self.facts.starts.clear()
        self.say(f"edited: {', '.join(self.edits)}" if self.edits else "no edits: the graph as it was recorded")
        self.show_place()

    def do_check(self, _: str) -> None:
        """check: the rules of this node against finite differences of its forward, here and now.

        Example: check
        """
        self.say(looking.check(self._here().node, self._here().grad))

    def do_quit(self, _: str) -> None:
        """quit: leave the pass; nothing is written.

        Example: quit
        """
        from minigrad.debugger.shell import Quit

        self.say("quit: nothing is written")
        raise Quit

    def do_help(self, text: str) -> None:
        """help [COMMAND]: all commands, or one.

        Example: help goto
        """
        if text:
            name = SHORT.get(text, text)
            method = getattr(self, f"do_{name}", None)
            if method is None:
                raise Refused(f"there is no command {text!r}{nearest(text, self._all())}")
            fields = "\n".join(f"  {field:<10} {meaning}" for field, meaning in FIELDS.items())
            return self.say((inspect.getdoc(method) or "").replace("{fields}", fields))
        for group, commands in GROUPS.items():
            self.say(f"{group}:")
            for name in commands.split():
                first, *_, example = (inspect.getdoc(getattr(self, f"do_{name}")) or "").splitlines()
                self.say(f"  {first.split(':')[0]:<30} {example.removeprefix('Example: ')}")
        return self.say("anything else is Python; !c is a variable even where a command is called so")

    # completion

    def _names(self) -> list[str]:
        graph = self.session.graph
        name_of = state_names(graph, roles=False)  # reads each line of the program once
        return list(dict.fromkeys(map(name_of, graph.order)))

    def _all(self) -> list[str]:
        return " ".join(GROUPS.values()).split()

    def _prepare_line_editing(self) -> None:
        with contextlib.suppress(ImportError):
            import readline

            readline.set_completer(self.complete)  # type: ignore[arg-type]  # cmd's own annotation is too wide
            readline.parse_and_bind("tab: complete")

    def completenames(self, text: str, *_: Any) -> list[str]:
        """Commands, then the names one can evaluate."""
        return [name for name in [*self._all(), *self.namespace()] if name.startswith(text)]

    def completedefault(self, text: str, line: str, *_: Any) -> list[str]:
        """Nodes and fields after a command that takes one, else Python names."""
        word = SHORT.get(line.split()[0], line.split()[0])
        fields = [*FIELDS] if word in ("break", "tbreak", "until", "goto") else []
        known = self._all() if word == "help" else [*fields, *self._names(), *self.namespace()]
        return [name for name in dict.fromkeys(known) if name.startswith(text)]


class Refused(Exception):  # noqa: N818 - not an error: a command declined
    """A command that cannot be done; its text is all that is said."""


def split(line: str) -> list[str]:
    """The commands of a line, which `;` separates outside of brackets and quotes; after ! all is one."""
    if line.lstrip().startswith("!"):
        return [line.strip()]
    parts = re.findall(r"(?:[^;\"'(\[]|\"[^\"]*\"|'[^']*'|\([^)]*\)|\[[^\]]*\]|[\"'(\[])+", line)
    return [part.strip() for part in parts if part.strip()]


def _shown(value: Any) -> str:
    """A value as it is, a large array by its shape, norm and range."""
    large = isinstance(value, np.ndarray) and value.size > 24
    return looking.array_text("array", value) if large else repr(value)


def _count(text: str) -> int:
    if text and not (text.isdigit() and int(text)):
        raise Refused(f"a number of steps above 0 is needed, found {text!r}")
    return int(text or 1)


def _prefixes(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[: k + 1]) for k in range(len(parts))]
