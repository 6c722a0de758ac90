"""Lines of a program that are alike from time step to time step, as loops.  Imports nothing of minigrad.

`h_3` becomes `h[3]`, and in a loop `h[t]`, `h[t - 1]`.  A first or last step that differs only in what it starts from
is made alike: `h[-1] = h_init`, a gradient that nothing has reached yet is 0, and one more gradient may be computed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

Timed = dict[str, tuple[str, str, int]]  # variable → stem, axis, t


class Line(NamedTuple):
    """One assignment; sign: "=", "+" (target = target + value), "+=", "[]" (target[index] += value) or "at"."""

    time: tuple[str, int] | None
    target: str
    sign: str
    value: str
    at: str
    note: str

    def text(self) -> str:
        """The statement."""
        target, value = self.target, self.value
        match self.sign:
            case "+":
                return f"{target} = {target} + {value}"
            case "[]":
                return f"{target}[{self.at}] += {value}"
            case "at":
                return f"np.add.at({target}, {self.at}, {value})"
            case sign:
                return f"{target} {sign} {value}"


class Group:
    """The lines of one time step, written relative to it."""

    def __init__(self, time: tuple[str, int] | None, lines: list[Line], timed: Timed) -> None:
        self.axis, self.t = time or ("", 0)
        self.lines = [_relative(line, timed, None if time is None else self.t) for line in lines]

    def like(self, other: Group) -> bool:
        """Whether both hold the same lines."""
        return self.axis == other.axis != "" and [x.text() for x in self.lines] == [x.text() for x in other.lines]

    def literal(self) -> list[str]:
        """The lines with this step put in."""
        return [f"    {_comprehended(_at(line.text(), self.t))}" for line in self.lines]


def looped(
    forward: list[Line], backward: list[Line], timed: Timed, given: set[str], seeds: list[str]
) -> list[str] | None:
    """The body of the program with loops; None if no two steps are alike."""
    before, after = _groups(forward, timed), _groups(backward, timed)
    aliases: dict[str, str] = {}  # initial state → h[-1]
    zeros: dict[str, None] = {}
    for groups in (before, after):
        _make_alike(groups, aliases, zeros)
    stems = dict.fromkeys(timed[line.target][0] for line in [*forward, *backward] if line.target in timed)
    stems |= dict.fromkeys([*(alias.split("[")[0] for alias in aliases.values()), *(timed[name][0] for name in seeds)])
    own = [stem for stem in stems if stem not in given]
    if not own:
        return None
    body = [f"    {', '.join(part)} = ({{}} for _ in range({len(part)}))" for part in _rows(own)]
    body += [f"    {timed[name][0]}[{timed[name][2]}] = {name}" for name in seeds]
    start = _folded(before)
    for name, place in aliases.items():  # right after the line that makes it, or first
        made = next((k + 1 for k, text in enumerate(start) if text.startswith(f"    {name} = ")), 0)
        start.insert(made, f"    {place} = {name}")
    middle = [f"    {place} = 0" for place in zeros]
    parts = [*body, "    # the forward pass", *start, "    # the backward pass", *middle, *_folded(after)]
    return parts if any(line.startswith("    for ") for line in parts) else None


def _rows(names: list[str]) -> Iterable[list[str]]:
    for k in range(0, len(names), 10):
        yield [*names[k : k + 10], *(["_"] if len(names) == k + 1 else [])]  # at least two names to unpack into


def _groups(lines: list[Line], timed: Timed) -> list[Group]:
    groups: list[tuple[tuple[str, int] | None, list[Line]]] = []
    for line in lines:
        time = line.time
        if time is None and line.target in timed:
            time = timed[line.target][1:]
        if groups and groups[-1][0] == time and (time is None or line.time == groups[-1][1][-1].time):
            groups[-1][1].append(line)
        else:
            groups.append((time, [line]))
    return [Group(time, part, timed) for time, part in groups]


def _relative(line: Line, timed: Timed, t: int | None) -> Line:
    """h_3 as h[t], h_2 as h[t - 1] in step 3; as h[3] outside of time."""

    def indexed(match: re.Match[str]) -> str:
        if match[0] not in timed:
            return match[0]
        stem, _, at = timed[match[0]]
        return f"{stem}[{at}]" if t is None else f"{stem}[{_offset(at - t)}]"

    def each(text: str) -> str:
        return re.sub(r"\b[A-Za-z_]\w*\b", indexed, text)

    at = line.at if t is None or line.at != str(t) else "t"
    value = each(line.value)
    if t is not None and line.time is None:
        value = re.sub(rf"\[{t}\]", "[t]", value)  # the gradient of a stack: dys[3]
    return line._replace(target=each(line.target), value=value, at=at)


def _offset(k: int) -> str:
    return "t" if k == 0 else f"t {'-' if k < 0 else '+'} {abs(k)}"


def _at(text: str, t: int) -> str:
    """A line in which t has a value."""
    return re.sub(r"\bt(?: ([+-]) (\d+))?\b(?=\])", lambda m: str(t + int(f"{m[1] or ''}{m[2] or 0}")), text)


def _comprehended(text: str) -> str:
    """[h[0], h[1], h[2]] as [h[t] for t in range(3)]."""

    def shorter(match: re.Match[str]) -> str:
        steps = [int(k) for k in re.findall(r"\[(\d+)\]", match[0])]
        alike = steps == list(range(len(steps))) and len(steps) > 2
        return f"[{match[1]}[t] for t in range({len(steps)})]" if alike else match[0]

    return re.sub(r"\[(\w+)\[\d+\](?:, \1\[\d+\])+\]", shorter, text)


def _runs(groups: list[Group]) -> Iterable[tuple[int, int]]:
    """Stretches of groups that go through one axis step by step, as pairs (first, one past the last)."""
    start = 0
    for k in range(1, len(groups) + 1):
        steady = k < len(groups) and groups[k].axis == groups[k - 1].axis != ""
        step = groups[k].t - groups[k - 1].t if steady else 0
        if steady and abs(step) == 1 and (k - start < 2 or step == groups[k - 1].t - groups[k - 2].t):
            continue
        yield start, k
        start = k


def _make_alike(groups: list[Group], aliases: dict[str, str], zeros: dict[str, None]) -> None:
    """Write the first and the last group of each stretch as the ones between, where that is the same."""
    for first, end in _runs(groups):
        if end - first < 3:
            continue
        model = groups[(first + end) // 2]
        for group in (groups[first], groups[end - 1]):
            if not group.like(model):
                _adapt(group, model, aliases, zeros)


def _adapt(group: Group, model: Group, aliases: dict[str, str], zeros: dict[str, None]) -> None:
    found, nothing, k = dict(aliases), dict(zeros), 0
    for line in model.lines:
        mine = group.lines[k] if k < len(group.lines) else None
        if mine is not None and mine.target == line.target and _same(mine, line, found, group.t):
            if mine.sign != line.sign:
                if (mine.sign, line.sign) != ("=", "+"):
                    return
                nothing[_at(mine.target, group.t)] = None
            k += 1
        elif "[t]" in line.target or "[" not in line.target:
            return
        elif line.sign == "+":
            nothing[_at(line.target, group.t)] = None
    if k == len(group.lines):
        aliases.update(found)
        zeros.update(nothing)
        group.lines = model.lines


def _same(mine: Line, line: Line, aliases: dict[str, str], t: int) -> bool:
    """Whether two lines agree but for names that stand for a state before the first step."""
    token = r"\w+(?:\[t(?: [+-] \d+)?\])?|\S"
    ours, theirs = re.findall(token, mine.value), re.findall(token, line.value)
    if len(ours) != len(theirs) or mine.at != line.at:
        return False
    for a, b in zip(ours, theirs, strict=True):
        if a != b and not (
            a.isidentifier() and re.search(r"\[t [+-] \d+\]$", b) and aliases.setdefault(a, _at(b, t)) == _at(b, t)
        ):
            return False
    return True


def _folded(groups: list[Group]) -> list[str]:
    """The groups as text, like ones next to each other as a loop."""
    texts: list[str] = []
    for first, end in _runs(groups):
        k = first
        while k < end:
            last = k
            while last + 1 < end and groups[last + 1].like(groups[k]):
                last += 1
            texts += _loop(groups[k], groups[last]) if last > k else groups[k].literal()
            k = last + 1
    return texts


def _loop(first: Group, last: Group) -> list[str]:
    low, high = sorted((first.t, last.t))
    span = f"range({high + 1})" if low == 0 else f"range({low}, {high + 1})"
    texts = [f"    for t in {span if first.t < last.t else f'reversed({span})'}:"]
    note = ""
    for line in first.lines:
        if line.note and line.note != note:
            texts.append(f"        # {line.note}")
        texts.append(f"        {line.text()}")
        note = line.note
    return texts
