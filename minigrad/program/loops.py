"""Lines of a program that are alike from time step to time step, as loops.  Imports nothing of minigrad.

A variable of a time step is written h⟦3⟧: unrolled that is h_3, in a loop h[t], h[t - 1].  A first or last step that
differs only in what it starts from is made alike: `h[-1] = h_init`, a gradient that nothing has reached yet is 0, and
one more gradient may be computed.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

SET, ADD = "{0} = {1}", "{0} = {0} + {1}"  # forms of assignments
TIMED = re.compile(r"(\w+)⟦(-?\d+)⟧")
_STEP = re.compile(
    r"(?<=⟦)-?\d+(?=⟧)|(?<=[\[(:])\d+(?=[\]),:])|(?<=, )\d+(?=[\]),])"
)  # may move with t
_MOVING = re.compile(r"\bt(?: ([+-]) (\d+))?(?=[⟧\]),:])")
_TOKEN = re.compile(r"\w+(?:⟦-?\d+⟧)?|\S")


class Line(NamedTuple):
    """One assignment of a value to a target, and the forward line that it comes from; time: axis and step."""

    time: tuple[str, int] | None
    target: str
    form: str
    value: str
    note: str

    def text(self) -> str:
        """The statement."""
        return self.form.format(self.target, self.value)


Group = list[Line]  # the lines of one time step


def looped(forward: Group, backward: Group, given: set[str], seeds: list[str]) -> list[str] | None:
    """The body of the program with loops; None if no two steps are alike."""
    aliases: dict[str, str] = {}  # initial state → h⟦-1⟧
    zeros: dict[str, None] = {}
    start, end = _folded(forward, aliases, zeros), _folded(backward, aliases, zeros)
    names = ", ".join([line.target for line in (*forward, *backward)] + [*aliases.values(), *seeds])
    own = dict.fromkeys(stem for stem, _ in TIMED.findall(names) if stem not in given)
    if not any(text.startswith("for ") for text in (*start, *end)):
        return None
    for name, place in aliases.items():  # right after the line that makes it, or first
        made = next((k + 1 for k, text in enumerate(start) if text.startswith(f"{name} = ")), 0)
        start.insert(made, f"{place} = {name}")
    rows = [list(own)[k : k + 10] for k in range(0, len(own), 10)]
    body = [f"{', '.join(row)} = {', '.join(['{}'] * len(row))}" for row in rows]
    body += [f"{name} = {unrolled(name)}" for name in seeds if TIMED.fullmatch(name)]
    body += [
        "# the forward pass",
        *start,
        "# the backward pass",
        *[f"{place} = 0" for place in zeros],
        *end,
    ]
    return [f"    {_comprehended(text).replace('⟦', '[').replace('⟧', ']')}" for text in body]


def unrolled(text: str, given: set[str] | None = None) -> str:
    """h_3 for h⟦3⟧; x[3] where x is a sequence that is given."""
    if given and not text.startswith("#"):
        text = TIMED.sub(lambda m: f"{m[1]}[{m[2]}]" if m[1] in given else m[0], text)
    return TIMED.sub(lambda m: f"{m[1]}_{m[2]}".replace("-", "m"), text)


def _folded(lines: Group, aliases: dict[str, str], zeros: dict[str, None]) -> list[str]:
    """The lines as text, steps that are alike and next to each other as loops."""
    groups = [list(group) for _, group in itertools.groupby(lines, _time)]
    texts: list[str] = []
    for first, end in _runs([_time(group[0]) for group in groups]):
        middle = (first + end) // 2
        model = _model(groups[middle], groups[middle + 1 if middle + 1 < end else first])
        same = [_alike(groups[k], model) for k in range(first, end)]
        for k in (0, -1):
            same[k] = same[k] or (
                end - first > 2 and _adapts(groups[range(first, end)[k]], model, aliases, zeros)
            )
        for alike, steps in itertools.groupby(range(first, end), key=lambda k: same[k - first]):
            chosen = [groups[k] for k in steps]
            if alike and len(chosen) > 1:
                texts += _loop(model, [_time(group[0])[1] for group in chosen])
            else:
                texts += [line.text() for group in chosen for line in group]
    return texts


def _time(line: Line) -> tuple[str, int]:
    """The axis and step that a line belongs to; one outside of time, that of what it assigns to."""
    found = TIMED.fullmatch(line.target)
    return line.time or ((f"outside, {found[1]}", int(found[2])) if found else ("", 0))


def _runs(times: list[tuple[str, int]]) -> Iterator[tuple[int, int]]:
    """Stretches that go through one axis step by step, as pairs (first, one past the last)."""
    start = 0
    for k in range(1, len(times) + 1):
        steady = k < len(times) and times[k][0] == times[k - 1][0] != ""
        if steady and (
            k - start < 2 or times[k][1] - times[k - 1][1] == times[k - 1][1] - times[k - 2][1]
        ):
            continue
        yield start, k
        start = k


def _model(group: Group, other: Group) -> Group:
    """The lines of a step written relative to t; `other` tells which of their numbers move with t."""
    t, later = _time(group[0])[1], _time(other[0])[1]

    def relative(text: str, twin: str) -> str:
        numbers = iter(_STEP.findall(twin))

        def moved(match: re.Match[str]) -> str:
            number, there = int(match[0]), int(next(numbers, match[0]))
            moves = match.string[match.start() - 1] == "⟦" or (
                there - later == number - t and there != number
            )
            return _offset(number - t) if moves else match[0]

        return _STEP.sub(moved, text)

    twins = other if len(other) == len(group) else group
    model = []
    for line, twin in zip(group, twins, strict=True):
        target, form, value = (
            relative(mine, its) for mine, its in zip(line[1:4], twin[1:4], strict=True)
        )
        model.append(Line(line.time, target, form, value, line.note))
    return model


def _offset(k: int) -> str:
    return "t" if k == 0 else f"t {'-' if k < 0 else '+'} {abs(k)}"


def _at(model: Group, t: int) -> Group:
    """The lines in which t has a value."""

    def put(text: str) -> str:
        return _MOVING.sub(lambda m: str(t + int(f"{m[1] or ''}{m[2] or 0}")), text)

    return [
        line._replace(target=put(line.target), form=put(line.form), value=put(line.value))
        for line in model
    ]


def _alike(group: Group, model: Group) -> bool:
    return [line[1:4] for line in group] == [line[1:4] for line in _at(model, _time(group[0])[1])]


def _adapts(group: Group, model: Group, aliases: dict[str, str], zeros: dict[str, None]) -> bool:
    """Whether a step is as the model but for what it starts from, which is then noted."""
    t = _time(group[0])[1]
    found, nothing, left = dict(aliases), dict(zeros), list(group)
    for line in _at(model, t):
        same = left and left[0].target == line.target and _same(left[0].value, line.value, found)
        if same and (left[0].form == line.form or (left[0].form, line.form) == (SET, ADD)):
            if left.pop(0).form != line.form:
                nothing[line.target] = None
        elif f"⟦{t}⟧" in line.target or "⟦" not in line.target:
            return False
        elif line.form == ADD:
            nothing[line.target] = None
    if not left:
        aliases.update(found)
        zeros.update(nothing)
    return not left


def _same(mine: str, its: str, aliases: dict[str, str]) -> bool:
    """Whether two values agree but for names that stand for a state before the first step."""
    ours, theirs = _TOKEN.findall(mine), _TOKEN.findall(its)
    return len(ours) == len(theirs) and all(
        a == b or (a.isidentifier() and TIMED.fullmatch(b) and aliases.setdefault(a, b) == b)
        for a, b in zip(ours, theirs, strict=True)
    )


def _loop(model: Group, steps: list[int]) -> list[str]:
    low, high, stride = min(steps), max(steps), abs(steps[1] - steps[0])
    bounds = (
        [high + 1]
        if low == 0 and stride == 1
        else [low, high + 1]
        if stride == 1
        else [low, high + 1, stride]
    )
    span = f"range({', '.join(map(str, bounds))})"
    texts = [f"for t in {span if steps[0] < steps[-1] else f'reversed({span})'}:"]
    for note, lines in itertools.groupby(model, key=lambda line: line.note):
        texts += [f"    # {note}"] * bool(note) + [f"    {line.text()}" for line in lines]
    return texts


def _comprehended(text: str) -> str:
    """[h⟦0⟧, h⟦1⟧, h⟦2⟧] as [h⟦t⟧ for t in range(3)]."""

    def shorter(match: re.Match[str]) -> str:
        steps = [int(t) for _, t in TIMED.findall(match[0])]
        alike = steps == list(range(len(steps))) and len(steps) > 2
        return f"[{match[1]}⟦t⟧ for t in range({len(steps)})]" if alike else match[0]

    return re.sub(r"\[(\w+)⟦\d+⟧(?:, \1⟦\d+⟧)+\]", shorter, text)
