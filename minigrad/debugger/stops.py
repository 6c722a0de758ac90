"""Commands that say where the pass is to stop."""

from __future__ import annotations

from minigrad.debugger.conditions import Condition
from minigrad.debugger.prompt import Answer, CommandError, Prompt, command, split


@command("break [CONDITION]", example="break norm > 100 and op == tanh")
def break_(prompt: Prompt, text: str) -> Answer:
    """Stop where it holds; without a condition, list the breakpoints.

    A condition that names a node stops at each; any other once in each time step; one on the pass
    once, at the start of the pass.  Conditions compare fields, joined by and, or, not.
    """
    if text:
        return add_breakpoint(prompt, text, once=False)
    lines = [f"{number}: {condition}" for number, condition in prompt.breakpoints.items()]
    return "\n".join(lines) or "no breakpoints; for example: break norm > 100"


def add_breakpoint(prompt: Prompt, text: str, once: bool) -> str:
    """A new breakpoint, under the next number."""
    number = max(prompt.breakpoints, default=0) + 1
    prompt.breakpoints[number] = prompt.condition(text, once)
    return f"{number}: {prompt.breakpoints[number]}"


@command("delete [N ...]", example="delete 1")
def delete(prompt: Prompt, text: str) -> Answer:
    """Forget breakpoints by number; without one, all."""
    numbers = _numbers(prompt, text)
    return "\n".join(f"deleted {number}: {prompt.breakpoints.pop(number)}" for number in numbers)


@command("disable [N ...]", example="disable 1")
def disable(prompt: Prompt, text: str) -> Answer:
    """Let breakpoints stop nowhere until they are enabled; without a number, all."""
    return _switch(prompt, text, False)


@command("enable [N ...]", example="enable 1")
def enable(prompt: Prompt, text: str) -> Answer:
    """Let disabled breakpoints stop again; without a number, all."""
    return _switch(prompt, text, True)


def _switch(prompt: Prompt, text: str, on: bool) -> str:
    numbers = _numbers(prompt, text)
    for number in numbers:
        prompt.breakpoints[number].enabled = on
    return "\n".join(f"{number}: {prompt.breakpoints[number]}" for number in numbers)


@command("ignore N COUNT", example="ignore 1 5")
def ignore(prompt: Prompt, text: str) -> Answer:
    """Do not stop at the next COUNT hits of breakpoint N."""
    number, _, count = text.partition(" ")
    condition = _breakpoint(prompt, number)
    if not count.strip().isdecimal():
        raise CommandError(f"ignore N COUNT: a count is needed, found {count!r}")
    condition.ignored = int(count)
    return f"{number}: {condition}"


@command("condition N CONDITION", example="condition 1 norm > 50")
def condition(prompt: Prompt, text: str) -> Answer:
    """Give breakpoint N another condition; its number, hits and commands stay."""
    number, _, wanted = text.partition(" ")
    old = _breakpoint(prompt, number)
    new = prompt.condition(wanted.strip(), old.once)
    new.hits, new.ignored = old.hits, old.ignored
    new.enabled, new.commands = old.enabled, old.commands
    prompt.breakpoints[int(number)] = new
    return f"{number}: {new}"


@command("commands N [COMMAND; ...]", example="commands 1 grad; continue")
def commands(prompt: Prompt, text: str) -> Answer:
    """Run commands whenever breakpoint N stops, in place of those before.

    Without commands they are read from the next lines, until one says `end`.
    """
    number, _, listed = text.partition(" ")
    chosen = _breakpoint(prompt, number)
    chosen.commands = split(listed)
    if not listed:
        prompt.collecting = chosen
        return f"type the commands of breakpoint {number}, then end"
    return f"{number}: {chosen}"


def _breakpoint(prompt: Prompt, number: str) -> Condition:
    """The breakpoint of a number."""
    if not number.isdecimal() or int(number) not in prompt.breakpoints:
        there = ", ".join(map(str, prompt.breakpoints)) or "none"
        raise CommandError(f"there is no breakpoint {number}; there are: {there}")
    return prompt.breakpoints[int(number)]


def _numbers(prompt: Prompt, text: str) -> list[int]:
    """The numbers of breakpoints in a text, each once; all of them for an empty text."""
    words = text.replace(",", " ").split()
    for word in words:
        _breakpoint(prompt, word)
    return list(dict.fromkeys(map(int, words))) or list(prompt.breakpoints)
