"""Commands about the passes before this one: their history, and running the program again."""

from __future__ import annotations

from minigrad.debugger.prompt import Answer, CommandError, Prompt, command


class Replay(BaseException):
    """The user wants the program to run again from its start, up to a pass."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@command("history [COLUMN]", example="history")
def history(prompt: Prompt, text: str) -> Answer:
    """What the passes so far were like, drawn, and the first that is unlike those before it.

    With a column: its figures in the last passes.
    """
    if not text:
        return str(prompt.recorder)
    try:
        values = prompt.recorder[text]
    except KeyError as error:
        raise CommandError(str(error.args[0])) from None
    numbers = prompt.recorder["pass"]
    return "\n".join(f"pass {n:.0f}  {v:.6g}" for n, v in zip(numbers[-20:], values[-20:]))


@command("replay N", example="replay 404")
def replay(prompt: Prompt, text: str) -> Answer:
    """Run the program again from its start, with the same seeds, and stop in pass N.

    Where the recorded losses are not met again, the program is not deterministic: that is told.
    """
    if not prompt.can_replay:
        remedy = "python -m minigrad.debugger script.py"
        raise CommandError(f"only the debugger's own program can run again: start it with {remedy}")
    if not text.isdecimal() or not int(text):
        raise CommandError(f"replay N: the number of a pass is needed, found {text!r}")
    raise Replay(int(text))
