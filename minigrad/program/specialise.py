"""From a loss function and its arguments to a program: which arguments are sequences, and recording."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minigrad.program.align import Aligner
from minigrad.program.arguments import Changed, leaves, substituted
from minigrad.program.draws import GLOBAL, Recorder, recorders
from minigrad.program.errors import CompileError
from minigrad.program.ir import Program
from minigrad.program.lengths import Merger
from minigrad.program.record import Recording, record
from minigrad.tensor import Array, Tensor, generator

LENGTHS = ("T", "S", "R", "Q", "P")  # what the lengths of sequences are called
GENERATOR = np.random.Generator
MOST = 32  # guesses which arguments are sequences
SHORT = 8  # steps of the first recording: a first, a last, and enough that are like no end


class Specialised(NamedTuple):
    """A program, and which arguments have which length: path → name of the length."""

    program: Program
    lengths: dict[str, str]
    recording: Recording


def specialise(
    loss_fn: Callable[..., Any], bound: dict[str, Any], steps: set[int], window: int
) -> Specialised:
    """Record the step at a few lengths, and align what was recorded.

    steps: how many steps the loops have with these arguments.  window: after how many the gradient
    is cut, if it is.
    """
    problems: list[Exception] = []
    for as_tensors in (False, True):  # the latter where NumPy computes with the arrays themselves
        for timed in itertools.islice(guesses(bound, steps), MOST):
            try:
                return _recorded(loss_fn, bound, timed, window, as_tensors)
            except Exception as error:
                problems.append(error)
    refusals = [error for error in problems if isinstance(error, CompileError)]
    raise refusals[0] if refusals else problems[-1]


def guesses(bound: dict[str, Any], steps: set[int]) -> Iterator[dict[int, frozenset[str]]]:
    """Which arguments are sequences: all with as many rows as a loop has steps, then fewer, then none."""
    rows: dict[int, list[str]] = {}
    for path, leaf in leaves(bound).items():
        near = _shape(leaf) and steps & {len(leaf), len(leaf) - 1}
        if near and not _in_network(path, bound):
            rows.setdefault(len(leaf), []).append(path)
    groups = [[(n, subset) for subset in _subsets(paths)] for n, paths in rows.items()]
    combined = sorted(itertools.product(*groups), key=lambda c: -sum(len(s) for _, s in c))
    for choice in combined:
        yield {n: frozenset(subset) for n, subset in choice if subset}


def _subsets(paths: list[str]) -> Iterator[tuple[str, ...]]:
    for size in range(len(paths), -1, -1):
        yield from itertools.combinations(paths, size)


def _in_network(path: str, bound: dict[str, Any]) -> bool:
    return hasattr(bound.get(path.partition(".")[0]), "named_parameters")


def _recorded(
    loss_fn: Callable[..., Any],
    bound: dict[str, Any],
    timed: dict[int, frozenset[str]],
    window: int,
    as_tensors: bool,
) -> Specialised:
    """Record with these arguments as sequences: at short lengths, then each one step longer."""
    names = dict(zip(timed, LENGTHS, strict=False))
    base = _short(bound, timed, max(SHORT, 2 * window + 3))
    variants = [base, *({**base, n: base[n] + 1} for n in base)]
    paths = frozenset(path for group in timed.values() for path in group)
    recordings: list[Recording] = []
    programs: list[Program] = []
    for seed, lengths in enumerate(variants if base else [base, base]):
        change = Changed(lengths, paths, seed, as_tensors)

        def changed(path: str, leaf: Any, seed: int = seed, change: Any = change) -> Any:
            return Recorder(path, seed) if isinstance(leaf, GENERATOR) else change(path, leaf)

        with recorders(bound, seed):
            other = {name: substituted(value, changed, name) for name, value in bound.items()}
            known = leaves(other) | {GLOBAL: generator()}
            recordings.append(record(loss_fn, other, known))
        aligner = Aligner(recordings[-1])
        programs.append(aligner.program())
        _check_lengths(aligner, {*lengths.values()}, other, paths)
    merged = Merger({names[n]: base[n] for n in base}, programs).program()
    lengths_of = {path: names[n] for n, group in timed.items() for path in group}
    return Specialised(merged, lengths_of, recordings[0])


def _short(bound: dict[str, Any], timed: dict[int, frozenset[str]], least: int) -> dict[int, int]:
    """The lengths of the first recording: short, and no other size of any argument."""
    taken = {n for leaf in leaves(bound).values() for n in _shape(leaf)}
    base: dict[int, int] = {}
    for n in timed:
        free = (k for k in itertools.count(least) if not {k, k + 1} & taken)
        base[n] = next(free)
        taken |= {base[n], base[n] + 1}
    return base


def _shape(leaf: Any) -> tuple[int, ...]:
    return leaf.shape if isinstance(leaf, Tensor | Array) else ()


def _check_lengths(
    aligner: Aligner, lengths: set[int], bound: dict[str, Any], timed: frozenset[str]
) -> None:
    """Every length is that of a loop, and every loop over an argument has a length that may change."""
    steps = {*aligner.clock.steps.values()}
    if any(not steps & {n, n - 1} for n in lengths):
        raise CompileError("compile: an argument is not walked step by step")
    for path, leaf in leaves(bound).items():
        fixed = path not in timed and isinstance(leaf, Tensor | Array) and np.ndim(leaf)
        if fixed and not _in_network(path, bound) and len(leaf) in steps:
            raise CompileError(
                f"compile: the loop over {path} cannot be compiled for other lengths"
            )
