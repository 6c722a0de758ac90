"""The prompt: how a line becomes a command or Python, and what both can see.

A command is a function (prompt, text) that `@command` puts into the table.  It returns what is to
be printed, or a `Move`: how the pass goes on.
"""

from __future__ import annotations

import cmd
import contextlib
import os
import re
import sys
import types
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, NamedTuple, TextIO

import numpy as np

from minigrad.backward import Step
from minigrad.debugger import history_file
from minigrad.debugger.conditions import Condition
from minigrad.debugger.facts import FIELDS, PassInfo
from minigrad.debugger.session import Session
from minigrad.debugger.texts import did_you_mean, value_text
from minigrad.public import Graph
from minigrad.recorder import Recorder
from minigrad.tensor import Tensor


class CommandError(Exception):
    """A command that cannot be done; its text is all that is printed."""


class Quit(SystemExit):
    """The user has quit: nothing of this pass is written, and the program ends with status 1."""

    def __init__(self, message: str | int = 1) -> None:
        super().__init__(message)


class Move(NamedTuple):
    """How the pass goes on from the prompt.

    goal: it stops at the next step for which this is true; None: only breakpoints stop it.
    back_to: the number of the step to return to if the goal never comes; None: it may end.
    leave: it ends here, and writes nothing.
    """

    goal: Callable[[Step], Any] | None = None
    back_to: int | None = None
    leave: bool = False


Answer = str | Move | None


class Command(NamedTuple):
    """A command as `help` shows it, and the function that does it."""

    usage: str
    example: str
    family: str
    run: Callable[[Prompt, str], Answer]

    @property
    def name(self) -> str:
        """Its first word."""
        return self.usage.split()[0]

    @property
    def needs_text(self) -> bool:
        """Whether something must stand behind it."""
        return " " in self.usage and "[" not in self.usage

    @property
    def help(self) -> str:
        """Usage, meaning and example."""
        text = " ".join((self.run.__doc__ or "").split())
        return f"{self.usage}: {text[:1].lower()}{text[1:]}\nExample: {self.example}"


COMMANDS: dict[str, Command] = {}
ALIASES = {
    "s": "step", "n": "step", "e": "earlier", "c": "continue", "cont": "continue", "u": "up",
    "d": "down", "b": "break", "w": "where", "p": "print", "q": "quit", "exit": "quit",
    "?": "help", "EOF": "quit", "rc": "reverse-continue", "backtrace": "bt",
}  # fmt: skip
_OPERATOR = re.compile(r"(=|[-+*/@%<>&|^]+=?|==|!=)\s")  # `c = 3` is no command


def command(usage: str, *, example: str) -> Callable[[Any], Any]:
    """Put a function (prompt, text) into the table of commands; usage begins with its name."""

    def register(function: Callable[[Prompt, str], Answer]) -> Callable[[Prompt, str], Answer]:
        family = function.__module__.rpartition(".")[2]
        made = Command(usage, example, family, function)
        COMMANDS[made.name] = made
        return function

    return register


class Queued(str):
    """A line that nobody types now; it is printed behind the prompt, so that output reads alike."""

    __slots__ = ()


class Prompt(cmd.Cmd):
    """Reads lines and does what they say, until one of them moves the pass.

    session, info: of the pass.
    stack, selected: the program's frames that led to the pass, innermost first, and which of them
    names are looked up in.
    focus: a node to look at in place of the present step's.
    failure: the number of the step whose rule has failed, and the error.
    stood: the numbers of the steps where the user was asked.
    recorder: what the passes so far were like.
    """

    session: Session
    info: PassInfo
    focus: Tensor | None = None
    stack: list[FrameType]
    selected = 0
    failure: tuple[int, Exception] | None = None
    stood: list[int]
    edits: list[tuple[str, str, dict[str, Any]]]  # clip or cut, as it was typed, what that means
    passes = 0
    can_replay = False  # whether the program was started by the debugger, which can do it again
    recorder: Recorder

    def __init__(
        self,
        commands: Iterable[str],
        stdin: TextIO | None,
        stdout: TextIO | None,
        record: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(stdin=stdin, stdout=stdout)
        self.cmdqueue = [Queued(part) for line in commands for part in split(line)]
        self.use_rawinput = stdin is None and _asks_a_person()
        self.recorder = Recorder(record)
        self.breakpoints: dict[int, Condition] = {}
        self.displayed: list[str] = []
        self.own: dict[str, Any] = {}  # what the user has assigned at the prompt
        self.collecting: Condition | None = None  # the breakpoint that lines are noted for
        self.stack = []
        self._move = Move()

    # the loop

    @property
    def prompt(self) -> str:  # type: ignore[override]
        """What stands before a line: the number of the pass, a star where it was changed."""
        if self.collecting is not None:
            return "(com) "
        number = f" {self.passes}" if self.passes > 1 else ""
        return f"(bptt{number}{'*' if self.session.changed else ''}) "

    def read_and_run(self) -> Move:
        """Do what lines say until one of them moves the pass."""
        while True:
            try:
                with history_file.open_for(self.use_rawinput):
                    self.cmdloop()
                return self._move
            except KeyboardInterrupt:
                self.write("\ninterrupted; quit ends the program")
            except (OSError, ValueError, AttributeError, RuntimeError) as error:
                problem = f"no commands can be read here ({type(error).__name__}: {error})"
                remedy = "give commands=, -c, a terminal, or under pytest the option -s"
                raise Quit(f"the debugger stopped, but {problem}; {remedy}") from error

    def precmd(self, line: str) -> str:
        """Print a line that is not typed at a terminal; put back what follows a semicolon."""
        if line == "EOF" and not isinstance(line, Queued):
            self.write("\nend of input")
            return line
        if isinstance(line, Queued):
            self.write(self.prompt + line)
            return line
        if not self.use_rawinput:
            self.write(line)
            line = line.split("  #")[0]
        first, *rest = split(line) or [""]
        self.queue(rest)
        return first

    def onecmd(self, line: str) -> Move | None:  # type: ignore[override]
        """Do one command; what is wrong with it is printed, and changes nothing."""
        try:
            answer = self.execute(line)
        except CommandError as error:
            answer = str(error)
        except Quit:
            raise
        except SystemExit:  # exit() at the prompt
            COMMANDS["quit"].run(self, "")
        except KeyboardInterrupt:
            answer = "interrupted; quit ends the program"
        except Exception as error:  # a mistake at the prompt, or in what was evaluated there
            answer = f"{type(error).__name__}: {error}"
        self.session.recover()
        if isinstance(answer, Move):
            return answer
        self.write(answer)
        return None

    def postcmd(self, stop: Any, line: str) -> bool:
        """End the loop at a command that moves the pass."""
        self._move = stop or self._move
        return stop is not None

    def queue(self, lines: Iterable[str]) -> None:
        """Let these lines be done next, as if they were typed."""
        self.cmdqueue[:0] = map(Queued, lines)

    def write(self, text: str | None) -> None:
        """Print one message."""
        if text:
            print(text, file=self.stdout, flush=True)

    def bold(self, text: str) -> str:
        """Bold, on a terminal."""
        if not self.stdout.isatty() or "NO_COLOR" in os.environ:
            return text
        return f"\033[1m{text}\033[0m"

    # one line

    def execute(self, line: str) -> Answer:
        """Do one command, or evaluate the line as Python.

        At a terminal an empty line repeats the last one, if that was a command.
        """
        if self.collecting is not None:
            self._collect(line)
            return None
        if not line.strip():
            line = self.lastcmd if self.use_rawinput else ""
        word, rest = _first_word(line)
        self.lastcmd = line if word in COMMANDS else ""
        if not line or line.startswith("#"):
            return None
        if word not in COMMANDS or _OPERATOR.match(rest):
            return self._run_python(line)
        found = COMMANDS[word]
        if rest and " " not in found.usage:
            raise CommandError(f"{word} takes no argument, found {rest!r}")
        if not rest and found.needs_text:
            raise CommandError(f"{found.usage}?  for example: {found.example}")
        return found.run(self, rest)

    def _run_python(self, line: str) -> str | None:
        word = line.split()[0]
        try:
            return self.python(line.removeprefix("!").strip())
        except (NameError, SyntaxError) as error:
            if not word.isidentifier() or word in self.namespace():
                raise
            hint = did_you_mean(word, COMMANDS)
            raise CommandError(f"{word}: neither a command nor a name here{hint}") from error

    def _collect(self, line: str) -> None:
        """Note a line as a command of a breakpoint, until `end`."""
        assert self.collecting is not None
        if line in ("end", "EOF"):
            self.collecting = None
        elif line:
            self.collecting.commands.append(line)

    # completion

    def completenames(self, text: str, *_: Any) -> list[str]:
        """Commands, fields, nodes, what one can evaluate; behind a dot attributes."""
        if "." in text:
            from rlcompleter import Completer

            return Completer(self.namespace()).attr_matches(text)
        known = dict.fromkeys([*COMMANDS, *FIELDS, *self.info.known("name"), *self.namespace()])
        return [name for name in known if name.startswith(text) and (text or name[0] != "_")]

    completedefault = completenames

    # Python

    def python(self, text: str) -> str | None:
        """Evaluate an expression, or execute a statement.

        An assignment to `step.grad` changes the pass, as the command `change` does.
        """
        names, step = self.namespace(), self.session.step
        before, grad, result = dict(names), step and step.grad, None
        try:
            code = compile(text, "<bptt>", "eval")
        except SyntaxError:
            exec(compile(f"{text}\n", "<bptt>", "single"), names)
        else:
            result = eval(code, names)
        names.pop("__builtins__", None)
        new = {name: x for name, x in names.items() if before.get(name, names) is not x}
        self.own |= new
        if step and step.grad is not grad:
            answer = COMMANDS["change"].run(self, "bptt.step.grad")
            return answer if isinstance(answer, str) else None
        return None if result is None else value_text(result)

    def evaluate(self, text: str, *, step_first: bool = False) -> Any:
        """The value of a Python expression; step_first: `grad` is the step's, whatever else is."""
        names = self.namespace()
        return eval(text, names | self.step_names() if step_first else names)

    def step_names(self) -> dict[str, Any]:
        """The names that the debugger adds: those of the step, and of the node and its inputs."""
        graph, step, node = self.session.graph, self.session.step, self.node
        names: dict[str, Any] = {"np": np, "loss": graph.outputs[0]}
        known = isinstance(graph, Graph)
        names["graph"] = graph if known else Graph(*graph.outputs, rewired=graph.rewired)
        if node is not None:
            names |= {self.info.name_of(x): x for x in (*graph.inputs(node), node)}
            names |= {"node": node, "value": node.data, "inputs": node.inputs, "t": node.t}
        if step is not None and step.node is node:
            names |= {"step": step, "grad": step.grad}
            names[f"d{self.info.name_of(node)}"] = step.grad
        return names

    def namespace(self) -> dict[str, Any]:
        """The names one can use: the step's, hidden by the program's, hidden by one's own.

        Those of the step are never lost: `bptt.grad` is the step's gradient.
        """
        names = self.step_names()
        names["bptt"] = types.SimpleNamespace(session=self.session, **names)
        if self.stack:
            frame = self.stack[self.selected]
            names |= {**frame.f_globals, **frame.f_locals}
        return names | self.own

    def displays(self) -> str:
        """The displayed expressions and their values."""
        lines = []
        for text in self.displayed if self.node is not None else ():
            try:
                lines.append(f"  {text}: {value_text(self.evaluate(text))}")
            except Exception as error:
                lines.append(f"  {text}: {type(error).__name__}: {error}")
        return "\n".join(lines)

    # what commands are about

    @property
    def node(self) -> Tensor | None:
        """The node that is looked at."""
        if self.focus is not None or self.session.step is None:
            return self.focus
        return self.session.step.node

    @property
    def here(self) -> Step:
        """The present step; raises CommandError before the first and past the last."""
        if self.session.step is not None:
            return self.session.step
        if self.session.over:
            raise CommandError("no step is here: the pass is over; undo or goto goes back into it")
        raise CommandError("no step is here: the pass has not begun; step begins it")

    def status(self) -> str:
        """The present step on one line, and what is displayed."""
        step = self.session.step
        if step is None:
            return "the pass is over"
        changed = "   (changed by hand)" if step.node in self.session.changes else ""
        return "\n".join(filter(None, [self.step_text(step) + changed, self.displays()]))

    def step_text(self, step: Step) -> str:
        """A step on one line; where there are several axes or layers, with the name of its own."""
        text, node = repr(step), step.node
        if node.time is None or len(self.info.layers) < 2:
            return text
        place, _, rest = text.partition("  ")
        return f"{place} of {self.info.layer(node)}  {rest}"

    def condition(self, text: str, once: bool = False) -> Condition:
        """A condition; also a node or its gradient as they are printed: `d(a - 0.1)[3]`."""
        base, at = _split_time(text)
        names = self.info.known("name")
        plain = [word[1:-1] if word[:1] == "(" else word for word in (base, base.removeprefix("d"))]
        name = next((name for name in (base, *plain) if name in names and name not in FIELDS), None)
        try:
            equal: Any = {"name": name, **({"t": int(at)} if at else {})}
            condition = Condition(once=once, **equal) if name else Condition(text, once=once)
            condition.text = text
        except ValueError as error:
            raise CommandError(str(error)) from None
        if missing := condition.missing(self.info):
            raise CommandError(missing)
        return condition

    def matching(self, condition: Condition) -> list[Tensor]:
        """The nodes that a condition holds for, in the order of the pass."""
        nodes = self.session.graph.nodes[::-1]
        return [node for node in nodes if condition.test(self.info.node(node))]

    def find(self, text: str) -> Tensor:
        """The node that is called so; without a text, the present one.

        Of nodes in several layers or axes the one is meant where the pass stands, else the user is
        asked; without a time step, the one of the present step.  Of several in one time step, the
        one that the pass meets first.
        """
        if not text:
            return self.node if self.node is not None else self.here.node
        condition = self.condition(text)
        if condition.needs_step:
            raise CommandError(f"{text} is about steps of the pass; name a node, such as h[3]")
        found = self.matching(condition)
        if not found:
            raise CommandError(f"no node of this pass is {text}")
        found = self.here_or_asked(text, found, condition)
        if "t" not in condition.fields and self.node is not None:
            step = self.info.node(self.node).time_step
            now = [node for node in found if self.info.node(node).time_step == step]
            found = now or found
        return found[0]

    def here_or_asked(self, text: str, nodes: list[Tensor], condition: Condition) -> list[Tensor]:
        """Those of the nodes with a name that are in the layer where the pass stands.

        Raises CommandError with the choices if they are in several layers, and none in this one.
        """
        if "name" not in condition.fields or condition.fields & {"layer", "axis", "scope", "line"}:
            return nodes
        by_layer: dict[str, list[Tensor]] = {}
        for node in nodes:
            by_layer.setdefault(self.info.layer(node) or node.scope, []).append(node)
        here = self.node
        own = (self.info.layer(here) or here.scope) if here is not None else ""
        if len(by_layer) < 2:
            return nodes
        if own in by_layer:
            return by_layer[own]
        choices = ", ".join(f"{layer}:{text}" for layer in by_layer if layer)
        raise CommandError(f"{text} is in several layers: which one?  {choices}")


def _asks_a_person() -> bool:
    """Whether `input` reaches somebody: at a terminal, or in a notebook, which replaces it."""
    stdin = sys.stdin
    if not isinstance(input, types.BuiltinFunctionType):
        return True
    with contextlib.suppress(ValueError):  # a closed file
        return stdin is not None and stdin.isatty()
    return False


def _first_word(line: str) -> tuple[str, str]:
    """The command of a line, with its alias resolved, and the rest."""
    word, _, rest = line.strip().partition(" ")
    if word[:1] == "?" and word != "?":
        word, rest = "help", f"{word[1:]} {rest}"
    return ALIASES.get(word, word), rest.strip()


def _split_time(text: str) -> tuple[str, str | None]:
    """`h[3]` as ("h", "3"); a text without a time step as it is."""
    found = re.fullmatch(r"(.*?)(?:\[(-?\d+)\])?", text, re.DOTALL)
    assert found is not None
    return found[1], found[2]


def split(line: str) -> list[str]:
    """The commands of a line, which `;` separates outside of brackets and quotes.

    Behind `!` all is one statement, behind `commands` all belongs to that breakpoint.
    """
    if line.lstrip().startswith(("!", "commands ")):
        return [line.strip()]
    parts = re.findall(r"(?:[^;\"'(\[]|\"[^\"]*\"|'[^']*'|\([^)]*\)|\[[^\]]*\]|[\"'(\[])+", line)
    return [part.strip() for part in parts if part.strip()]
