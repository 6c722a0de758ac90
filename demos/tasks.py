"""Made-up sequences whose difficulty is known: adding, copying, echo; and digits read pixel by pixel.

Each task makes batches, (T, B, rng) -> (xs, targets, counts): xs (T, B, D), targets (T, B, 1) floats or (T, B) classes;
`counts` is the slice of steps whose output counts.  `chance` is the loss of the best answer of one without memory.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import nn
from demos import cli


class Task(NamedTuple):
    """A made-up task: what it is, sizes, the loss of ignorance, and the maker of batches."""

    about: str
    inputs: int
    outputs: int
    chance: float
    batch: Callable[[int, int, np.random.Generator], tuple[Any, Any, slice]]

    def loss(self, o: Any, targets: Any) -> Any:
        """Mean squared error of floats, cross entropy of classes."""
        return (
            nn.mse_loss(o, targets) if targets.dtype.kind == "f" else nn.cross_entropy(o, targets)
        )


def adding(T: int, B: int, rng: np.random.Generator) -> tuple[Any, Any, slice]:
    """Two of the T numbers are marked, one in each half: what is their sum?  (Hochreiter & Schmidhuber 1997)"""
    values, marks = rng.random((T, B)), np.zeros((T, B))
    for low, high in ((0, T // 2), (T // 2, T)):
        marks[rng.integers(low, high, B), np.arange(B)] = 1
    return np.stack([values, marks], 2), (values * marks).sum(0)[None, :, None], slice(-1, None)


def copying(
    T: int, B: int, rng: np.random.Generator, symbols: int = 8, length: int = 4
) -> tuple[Any, Any, slice]:
    """Four symbols, then T blanks, then say the four.  (Arjovsky, Shah & Bengio 2016)"""
    shown = rng.integers(0, symbols, (length, B))
    blanks, ask = np.full((T, B), symbols), np.full((length, B), symbols + 1)
    return (
        np.eye(symbols + 2)[np.concatenate([shown, blanks, ask])],
        shown,
        slice(-length, None),
    )


def echo(T: int, B: int, rng: np.random.Generator, delay: int = 3) -> tuple[Any, Any, slice]:
    """Repeat the coin that was thrown three steps ago."""
    coins = rng.integers(0, 2, (T, B))
    return coins[..., None] * 2.0 - 1, coins[:-delay], slice(delay, T)


def digits() -> tuple[Any, Any]:
    """1797 handwritten digits in random order, pixel by pixel: xs (64, 1797, 1) from 0 to 1, labels (1797)."""
    rows = np.array([line.split(",") for line in cli.text("pixel-digits.csv.gz").split()], int)
    rows = np.random.default_rng(0).permutation(rows)
    return rows[:, :64].T[..., None] / 16.0, rows[:, 64]


TASKS = {
    "adding": Task("add two marked numbers", 2, 1, 1 / 6, adding),
    "copying": Task("repeat four symbols after T blanks", 10, 8, math.log(8), copying),
    "echo": Task("repeat the coin of three steps ago", 1, 2, math.log(2), echo),
}


def load_cell(name: str, sizes: tuple[int, int]) -> nn.Cell:
    """The cell that `--cell module:Class` names, made as Class(D, H); modules of the current folder count too."""
    module, _, attribute = name.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        kind = getattr(importlib.import_module(module), attribute)
        cell = kind(*sizes)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        problem = "--cell {}: write module:Class, where Class(D, H) is an nn.Cell; {}"
        raise cli.UsageError(cli.say(problem, name, error)) from None
    finally:
        sys.path.pop(0)
    if not isinstance(cell, nn.Cell):
        raise cli.UsageError(cli.say("--cell {}: {} is not an nn.Cell", name, attribute))
    return cell
