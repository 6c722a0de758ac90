"""The prompt: how a line becomes a command or Python, and what both can see.  Imports `session`, `breakpoints`.

A command is a function (prompt, text) that returns what is to be said.  Its docstring is its help, the last line of
that an example; the module that it stands in is its heading.  `shell` fills the table of them.
"""

from __future__ import annotations

import cmd
import contextlib
import inspect
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, TextIO

import numpy as np

from minigrad.backward import Step
from minigrad.debugger.conditions import Condition
from minigrad.debugger.facts import FIELDS, OF_STEPS, Facts, array_text, nearest
from minigrad.debugger.session import Session
from minigrad.public import Graph
from minigrad.tensor import Tensor

Command = Callable[
    ["Prompt", Any], "str | None"
]  # the second is the node for `[NODE]`, else the rest of the line
Edit = tuple[str, str, dict[str, Any]]  # clip or cut, as it was typed, what that means
COMMANDS: dict[str, Command] = {}
SHORT = {
    "s": "step", "e": "earlier", "c": "continue", "u": "undo", "b": "break", "w": "where", "l": "list", "p": "print",
    "q": "quit", "exit": "quit", "EOF": "quit", "?": "help",
}  # fmt: skip


class Refused(Exception):  # noqa: N818
    """A command that cannot be done; its text is all that is said."""


class Prompt(cmd.Cmd):
    """Reads lines and does what they say.  A subclass says when a pass stops.

    session, facts: of the pass.  focus: a node to look at in place of the present step's.  frame: of the program that
    started the pass.  goal: where the pass is to stop next; origin: the step to come back to if that is nowhere.
    failure: the step whose rule has failed, and the error.  talking: whether the user has the word; left: for good.
    """

    session: Session
    facts: Facts
    focus: Tensor | None = None
    frame: FrameType | None
    goal: Callable[[Step], Any] | None
    origin: int | None = None
    failure: tuple[int, Exception] | None = None
    edits: list[Edit]
    passes = 0
    talking = left = False

    def __init__(
        self, commands: Iterable[str], stdin: TextIO | None, stdout: TextIO | None
    ) -> None:
        super().__init__(stdin=stdin, stdout=stdout)
        self.queue = deque(part for line in commands for part in split(line))
        self.typed = stdin is None and sys.stdin is not None and sys.stdin.isatty()
        self.breakpoints: dict[int, Condition] = {}
        self.watched: list[str] = []
        self.own: dict[str, Any] = {}  # what `!name = ...` has made
        self._last = ""
        if self.typed:
            with contextlib.suppress(ImportError):
                import readline

                readline.set_completer(self.complete)  # type: ignore[arg-type]  # cmd's own annotation is too wide
                readline.parse_and_bind("tab: complete")

    # from a line to a command

    def say(self, text: str | None) -> None:
        """One message."""
        if text:
            print(text, file=self.stdout, flush=True)

    def bold(self, text: str) -> str:
        """Bold, on a terminal."""
        return (
            f"\033[1m{text}\033[0m"
            if self.stdout.isatty() and "NO_COLOR" not in os.environ
            else text
        )

    def obey(self) -> None:
        """Read one line and do it."""
        try:
            self.say(self.do(self._read()))
        except KeyboardInterrupt:
            self.say("\ninterrupted; quit leaves the debugger")
        except Refused as refusal:
            self.say(str(refusal))
        except SystemExit:
            self.queue.appendleft("quit")
        except Exception as error:  # a mistake at the prompt, or in what was evaluated there
            self.say(f"{type(error).__name__}: {error}")
        self.session.mend()

    def _read(self) -> str:
        """The next command; what nobody types is repeated, so that the output is a transcript."""
        changed = self.session.changes or self.session.graph is not self.session.original
        ask = f"(bptt{f' {self.passes}' if self.passes > 1 else ''}{'*' if changed else ''}) "
        if self.queue:
            line = self.queue.popleft()
            self.say(ask + line)
            return line
        try:
            line = input(ask) + "\n" if self.typed else self.stdin.readline()
        except (EOFError, ValueError, AttributeError):  # at its end, closed, or none at all
            line = ""
        if not line:
            self.say("\nend of input")
            return "quit"
        if not self.typed:
            self.say(ask + line.rstrip())
            line = line.split("  #")[0]
        first, *rest = split(line) or [""]
        self.queue.extendleft(reversed(rest))
        return first

    def do(self, line: str) -> str | None:
        """Do one command; whatever is none is Python.  On a terminal, an empty line is the last one again."""
        self._last = line = line or (self._last if self.typed else "#")
        word, _, rest = line.partition(" ")
        name, rest = SHORT.get(word, word), rest.strip()
        if line.startswith("#"):
            return None
        if name in COMMANDS and not re.match(
            r"(=|[-+*/@%<>&|^]+=?|==|!=)\s", rest
        ):  # `c = 3` is no command
            usage, example = usage_of(COMMANDS[name])
            if rest and usage == name:
                raise Refused(f"{name} takes no argument, found {rest!r}")
            if not rest and usage != name and "[" not in usage:
                raise Refused(f"{usage}?  for example: {example}")
            return COMMANDS[name](self, self.find(rest) if usage.endswith("[NODE]") else rest)
        try:
            return self.python(line.removeprefix("!").strip())
        except (NameError, SyntaxError) as error:
            if not word.isidentifier() or word in self.namespace():
                raise
            raise Refused(
                f"{word}: neither a command nor a name here{nearest(word, COMMANDS)}"
            ) from error

    def completenames(self, text: str, *_: Any) -> list[str]:
        """Commands, what one can evaluate, the fields of conditions, and nodes."""
        known = dict.fromkeys([*COMMANDS, *FIELDS, *self.facts.known("name"), *self.namespace()])
        return [name for name in known if name.startswith(text) and (text or name[0] != "_")]

    completedefault = completenames

    # Python

    def python(self, text: str) -> str | None:
        """Evaluate an expression, or execute a statement; a gradient that this assigns to is changed by hand."""
        names, step = self.namespace(), self.session.step
        before, grad, result = dict(names), step and step.grad, None
        try:
            code = compile(text, "<bptt>", "eval")
        except SyntaxError:
            exec(compile(f"{text}\n", "<bptt>", "single"), names)
        else:
            result = eval(code, names)
        names.pop("__builtins__", None)
        self.own |= {
            name: value for name, value in names.items() if before.get(name, names) is not value
        }
        if step and step.grad is not grad:
            return COMMANDS["change"](self, "step.grad")
        return None if result is None else shown(result)

    def evaluate(self, text: str) -> Any:
        """The value of a Python expression."""
        return eval(text, self.namespace())

    def namespace(self) -> dict[str, Any]:
        """The names one can use: the program's, hidden by those of the step, hidden by those made at the prompt."""
        graph, step, node = self.session.graph, self.session.step, self.node
        names: dict[str, Any] = {"np": np, "bptt": self.session, "loss": graph.outputs[0]}
        if self.frame is not None:
            names |= {**self.frame.f_globals, **self.frame.f_locals}
        names["graph"] = Graph(*graph.outputs, rewired=graph.rewired)
        if node is not None:
            names |= {self.facts.of(x).name: x for x in (*graph.inputs(node), node)}
            names |= {"node": node, "value": node.data, "inputs": node.inputs, "t": node.t}
        if step is not None and step.node is node:
            names |= {"step": step, "grad": step.grad, f"d{self.facts.of(node).name}": step.grad}
        return names | self.own

    def watches(self) -> str:
        """The watched expressions and their values."""
        lines = []
        for text in self.watched if self.node is not None else ():
            try:
                lines.append(f"  {text}: {shown(self.evaluate(text))}")
            except Exception as error:
                lines.append(f"  {text}: {type(error).__name__}: {error}")
        return "\n".join(lines)

    # what commands are about

    @property
    def node(self) -> Tensor | None:
        """The node that is looked at."""
        return (
            self.focus
            if self.focus is not None or self.session.step is None
            else self.session.step.node
        )

    @property
    def here(self) -> Step:
        """The present step."""
        if self.session.step is None:
            over = self.session.over
            text = (
                "is over: undo or goto goes back into it"
                if over
                else "has not begun: step begins it"
            )
            raise Refused(f"no step is here, for the pass {text}")
        return self.session.step

    def place(self) -> str:
        """The present step on one line, and what is watched."""
        step = self.session.step
        mark = "   (changed by hand)" if step and step.node in self.session.changes else ""
        return "\n".join(
            filter(None, [f"{step!r}{mark}" if step else "the pass is over", self.watches()])
        )

    def find(self, text: str) -> Tensor:
        """The node that is called so, of several the one that the pass meets first; without a text, the present one."""
        if not text:
            return self.node if self.node is not None else self.here.node
        condition = self.condition(text)
        if condition.fields & OF_STEPS:
            raise Refused(f"{text} is about steps of the pass; a node is needed here, such as h[3]")
        found = self.matching(condition)
        if not found:
            raise Refused(f"no node of this pass is {text}")
        return found[0]

    def condition(self, text: str, once: bool = False) -> Condition:
        """A condition; also a node or its gradient as they are printed: `(a - 0.1)[3]`, `d(a - 0.1)[3]`."""
        base, at = re.fullmatch(r"(.*?)(?:\[(-?\d+)\])?", text, re.DOTALL).groups()  # type: ignore[union-attr]
        names = self.facts.known("name")
        plain = (word[1:-1] if word[:1] == "(" else word for word in (base, base.removeprefix("d")))
        name = next((name for name in (base, *plain) if name in names and name not in FIELDS), None)
        try:
            equal: Any = {"name": name, **({"t": int(at)} if at else {})}
            condition = Condition(once=once, **equal) if name else Condition(text, once=once)
            condition.text = text
        except ValueError as error:
            raise Refused(str(error)) from None
        missing = condition.missing(self.facts)
        if missing:
            raise Refused(missing)
        return condition

    def matching(self, condition: Condition) -> list[Tensor]:
        """The nodes that a condition holds for, in the order of the pass."""
        return [
            node for node in self.session.graph.nodes[::-1] if condition.test(self.facts.of(node))
        ]


def usage_of(function: Command) -> tuple[str, str]:
    """What a command is written like, and an example: from the first and the last line of its help."""
    first, *_, last = (inspect.getdoc(function) or "").splitlines()
    return first.split(":")[0], last.removeprefix("Example: ")


def split(line: str) -> list[str]:
    """The commands of a line, which `;` separates outside of brackets and quotes; after ! all is one."""
    if line.lstrip().startswith("!"):
        return [line.strip()]
    parts = re.findall(r"(?:[^;\"'(\[]|\"[^\"]*\"|'[^']*'|\([^)]*\)|\[[^\]]*\]|[\"'(\[])+", line)
    return [part.strip() for part in parts if part.strip()]


def shown(value: Any) -> str:
    """A value as it is, a large array by its shape, norm and range."""
    return (
        array_text("array", value)
        if isinstance(value, np.ndarray) and value.size > 24
        else repr(value)
    )
