"""The DOT text of pictures without coordinates: which boxes, edges, texts and looks there are.

Compared with stored text; UPDATE_GOLDEN=1 stores it anew, to be read before committing.  The layout
is held by `overlaps`, `crossed` and `spilled` of the other tests.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import minigrad as mg
from minigrad import render

FOLDER = Path(__file__).with_name("golden")
CASES = {
    "rnn ops": ("rnn, loss at every step", {}),
    "lstm affine": ("lstm, loss at every step", {"view": "affine"}),
    "gru cells": ("gru, loss at every step", {"view": "cells"}),
    "lstm rolled": ("lstm, loss at every step", {"time": "rolled"}),
    "lstm elided": ("lstm, loss at every step", {"steps": "0:1,-1:"}),
    "bidirectional": ("bidirectional", {}),
}


def unpinned(source: str) -> str:
    """The text without what Graphviz computed: another version of it lays out a little
    differently."""
    source = re.sub(r'\b(pos|lp|bb|head_lp|dpi)="[^"]*"', r"\1", source)
    source = re.sub(r"\S+\.py:\d+", "file:line", source)
    return re.sub(
        r"width=(\d+)\.\d+(?= height)", lambda m: m[0] if int(m[1]) < 2 else "width", source
    )  # rails and bars


def compare(name: str, source: str) -> None:
    path = FOLDER / f"{name.replace(' ', '_')}.gv"
    if os.environ.get("UPDATE_GOLDEN"):
        FOLDER.mkdir(exist_ok=True)
        path.write_text(unpinned(source))
    assert unpinned(source) == path.read_text()


@pytest.mark.parametrize("name", CASES)
def test_text(network, name):
    net, options = CASES[name]
    compare(name, render.to_dot(network(net, 3), **options).source)


def test_backward_text():
    w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(0.75, name="h_init")
    for t in range(3):
        with mg.time_step(t):
            h = w * h
    compare("backward", render.to_dot(mg.Graph(h), backward=True).source)
