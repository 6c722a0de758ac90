"""Commands about the program around the pass: its frames, its variables, its files."""

from __future__ import annotations

import inspect
import linecache
import os
import pprint
from types import FrameType

import numpy as np

from minigrad.debugger.facts import FIELDS
from minigrad.debugger.prompt import (
    ALIASES,
    COMMANDS,
    Answer,
    CommandError,
    Prompt,
    command,
    split,
)
from minigrad.debugger.texts import did_you_mean

MAX_FRAMES = 20
FAMILIES = ("navigate", "stops", "show", "passes", "change", "program")  # in the order of `help`


@command("up [N]", example="up")
def up(prompt: Prompt, text: str) -> Answer:
    """To the frame that called this one: names are looked up there."""
    return _select(prompt, prompt.selected + int(text or 1), "there is no frame above this one")


@command("down [N]", example="down")
def down(prompt: Prompt, text: str) -> Answer:
    """To the frame that this one called."""
    return _select(prompt, prompt.selected - int(text or 1), "there is no frame below this one")


def _select(prompt: Prompt, number: int, problem: str) -> str:
    if not 0 <= number < len(prompt.stack):
        raise CommandError(problem)
    prompt.selected = number
    return _frame_text(prompt.stack[number])


@command("bt", example="bt")
def bt(prompt: Prompt, _: str) -> Answer:
    """The program's frames that led to this pass; > marks the one that names are looked up in."""
    shown = list(enumerate(prompt.stack[:MAX_FRAMES]))
    lines = [
        ("> " if number == prompt.selected else "  ") + _frame_text(frame).replace("\n", "\n  ")
        for number, frame in reversed(shown)
    ]
    if len(prompt.stack) > MAX_FRAMES:
        lines.insert(0, f"  ... {len(prompt.stack) - MAX_FRAMES} more")
    return "\n".join(lines) or "no frame of the program leads here"


def _frame_text(frame: FrameType) -> str:
    """File, line and function of a frame, and the line itself."""
    file, name = frame.f_code.co_filename, frame.f_code.co_name
    path = file if file.startswith("<") else os.path.relpath(file)
    text = linecache.getline(file, frame.f_lineno).strip()
    return (
        f"{path}:{frame.f_lineno} {name}\n-> {text}" if text else f"{path}:{frame.f_lineno} {name}"
    )


@command("print EXPRESSION", example="print grad.max()")
def print_(prompt: Prompt, text: str) -> Answer:
    """Evaluate Python; so does a line that is no command, and any line behind !."""
    return prompt.python(text)


@command("pp EXPRESSION", example="pp vars(net)")
def pp(prompt: Prompt, text: str) -> Answer:
    """Evaluate Python, and print the value over several lines."""
    return pprint.pformat(prompt.evaluate(text))


@command("display [EXPRESSION]", example="display abs(grad).max()")
def display(prompt: Prompt, text: str) -> Answer:
    """Show the value at every stop; without an expression, show all now."""
    if text:
        compile(text, "<display>", "eval")
        prompt.displayed.append(text)
    return prompt.displays()


@command("undisplay [EXPRESSION]", example="undisplay abs(grad).max()")
def undisplay(prompt: Prompt, text: str) -> Answer:
    """Show an expression no more; without one, none."""
    if text and text not in prompt.displayed:
        raise CommandError(f"{text} is not displayed{did_you_mean(text, prompt.displayed)}")
    prompt.displayed = [shown for shown in prompt.displayed if text and shown != text]
    return None


@command("source FILE or OBJECT", example="source net.forward")
def source(prompt: Prompt, text: str) -> Answer:
    """Run the commands of a file; or print the source of a Python object."""
    if os.path.isfile(text):
        with open(text, encoding="utf-8") as file:
            lines = [part for line in file for part in split(line.split("  #")[0])]
        prompt.queue(lines)
        return None
    found = prompt.evaluate(text)
    try:
        return inspect.getsource(found).rstrip()
    except TypeError:
        return inspect.getsource(type(found)).rstrip()


@command("save FILE.py", example="save repro.py")
def save(prompt: Prompt, text: str) -> Answer:
    """Write this pass as a script that runs without minigrad, with its arrays in an .npz beside it.

    The script is `graph.backward_source()`, and prints the gradients of the parameters.
    """
    if not text.endswith(".py"):
        raise CommandError(f"save FILE.py: a name that ends in .py is needed, found {text!r}")
    from minigrad.program import backward_source

    source = backward_source(prompt.session.graph)
    arrays = f"{text.removesuffix('.py')}.npz"
    np.savez(arrays, **source.arguments)
    where = prompt.status().splitlines()[0]
    with open(text, "w", encoding="utf-8") as file:
        file.write(REPRO.format(where=where, source=source, arrays=os.path.basename(arrays)))
    return f"written: {text}, and its arrays in {arrays}"


REPRO = """# Written by the debugger, which stood at:  {where}
{source}

if __name__ == "__main__":
    import pathlib

    arrays = np.load(pathlib.Path(__file__).with_name("{arrays}"))
    for name, gradient in backward(**arrays).items():
        print(name, gradient)
"""


@command("help [COMMAND]", example="help goto")
def help_(prompt: Prompt, text: str) -> Answer:
    """All commands, or one."""
    name = ALIASES.get(text, text)
    if name in COMMANDS:
        help = COMMANDS[name].help
        return f"{_fields()}\n{help}" if "CONDITION" in COMMANDS[name].usage else help
    if text:
        raise CommandError(f"there is no command {text!r}{did_you_mean(text, COMMANDS)}")
    lines: dict[str, None] = {}
    for each in sorted(COMMANDS.values(), key=lambda each: FAMILIES.index(each.family)):
        lines[f"{each.family}:"] = None
        lines[f"  {each.usage:<42} {each.example}"] = None
    last = "anything else is Python; !c is a variable even where a command is called so"
    return "\n".join([*lines, last])


def _fields() -> str:
    """The fields that conditions compare."""
    rows = [f"  {name:<10} {field.meaning}:  {field.example}" for name, field in FIELDS.items()]
    return "\n".join(["a condition compares these, and may use and, or, not:", *rows])
