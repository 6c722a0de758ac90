"""A small recurrence, and what the debugger says to lines on its standard input."""

from __future__ import annotations

import contextlib
import io
import re

import numpy as np

import minigrad as mg
from minigrad.debugger import Quit


def chain(steps: int = 4) -> tuple[mg.Graph, mg.Tensor]:
    w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
    for t in range(steps):
        with mg.time_step(t):
            a = w * h
            h = np.tanh(a)
    return mg.Graph(h), w


def talk(graph: mg.Graph, *commands: str, at: tuple[str, ...] = ()) -> str:
    """What the debugger says to these lines on its standard input, perhaps up to `quit`."""
    out = io.StringIO()
    with contextlib.suppress(Quit):
        mg.debug(graph, *at, stdin=io.StringIO("\n".join(commands) + "\n"), stdout=out)
    return out.getvalue()


def said(text: str, command: str) -> str:
    """What followed one command."""
    return re.split(r"^\(bptt[^)]*\) ", text.partition(f") {command}\n")[2], flags=re.M)[0].strip()
