"""The lines of a written-out pass, and lines that are alike from time step to time step as loops.

A line is a pattern whose holes are variables: plain ones, or those of a time step (`At`).  Two steps
are alike if their lines have the same patterns and if what stands in the holes moves with t, or stays.
A first or last step that differs only in what it starts from is made alike: `h[-1] = h_init`, a
gradient that nothing has reached yet is 0, and one more gradient may be computed.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from minigrad.program.expressions import Pattern, Patterns, hole, numbered, parsed
from minigrad.program.ir import Moving

SET, ADD, MORE, PART, PLACES = "set", "add", "more", "part", "places"  # the forms of a line
SHORTEST = 3  # variables in a row that are written as a comprehension


class At(NamedTuple):
    """A variable of a time step: h at t = 3.  In the model of a loop, t may move."""

    name: str
    t: Any


class Steps(NamedTuple):
    """A list of the variables of all steps, from 0 on."""

    name: str
    number: int


Leaf = str | int | At | Steps


class Line(NamedTuple):
    """One assignment.

    time: axis and step.  form: =, x = x + value, +=, or += at a place.  value, place: patterns.
    leaves: what stands in their holes, the targets first.
    """

    time: tuple[str, int] | None
    form: str
    targets: int
    value: Pattern
    place: Pattern | None
    leaves: tuple[Leaf, ...]
    note: str

    @property
    def target(self) -> Leaf:
        """The variable that it assigns to."""
        return self.leaves[0]

    def is_like(self, other: Line) -> bool:
        """Whether only what stands in the holes may differ."""
        mine, its = (self.form, self.value, self.place), (other.form, other.value, other.place)
        return mine == its and len(self.leaves) == len(other.leaves)


Group = Sequence[Line]  # the lines of one time step


class Writer:
    """Writes lines as text.  given: the sequences among the arguments, whose steps are x[t]."""

    def __init__(self, patterns: Patterns, given: set[str]) -> None:
        self.patterns, self.given = patterns, given

    def unrolled(self, line: Line) -> str:
        """The line with a variable for each step: h_3."""
        return self._text(line, [self.name(leaf) for leaf in line.leaves])

    def looped(self, line: Line) -> str:
        """The line with tables of variables: h[3], h[t]."""
        return self._text(line, [_in_table(leaf) for leaf in line.leaves])

    def name(self, leaf: Leaf) -> str:
        """A variable where each step has its own."""
        if isinstance(leaf, At):
            if leaf.name in self.given:
                return f"{leaf.name}[{leaf.t}]"
            return f"{leaf.name}_{leaf.t}".replace("-", "m")
        if isinstance(leaf, Steps):
            return f"[{', '.join(self.name(At(leaf.name, t)) for t in range(leaf.number))}]"
        return str(leaf)

    def _text(self, line: Line, names: list[str]) -> str:
        key = line.form, line.targets, line.value, line.place
        return self.patterns.made(key, len(names), lambda: _statement(*key)).text(names)


def _statement(form: str, targets: int, value: Pattern, place: Pattern | None) -> ast.stmt:
    """The tree of a line: the holes of its targets come first, then those of its place and value."""
    patterns = [value] if place is None else [place, value]
    *index, right = numbered(patterns, targets)
    first = hole(0)
    if form == MORE:
        return ast.AugAssign(first, ast.Add(), right)
    if form == PART:
        return ast.AugAssign(ast.Subscript(first, index[0], ast.Store()), ast.Add(), right)
    if form == PLACES:
        return ast.Expr(ast.Call(parsed("np.add.at"), [first, index[0], right], []))
    right = ast.BinOp(first, ast.Add(), right) if form == ADD else right
    several = ast.Tuple([hole(k) for k in range(targets)], ast.Store())
    return ast.Assign([first if targets == 1 else several], right, lineno=1)


def _in_table(leaf: Leaf) -> str:
    if isinstance(leaf, At):
        return f"{leaf.name}[{_in_loop(leaf.t)}]"
    if isinstance(leaf, Steps):
        return f"[{leaf.name}[t] for t in range({leaf.number})]"
    return _in_loop(leaf)


def _in_loop(t: Any) -> str:
    """A step, or a number that moves with it."""
    if not isinstance(t, Moving):
        return str(t)
    if not t.constant:
        return "t"
    return f"t {'-' if t.constant < 0 else '+'} {abs(t.constant)}"


def unrolled(forward: Group, backward: Group, writer: Writer) -> list[str]:
    """All lines, each backward line under the forward line it comes from."""
    texts = ["# the forward pass", *map(writer.unrolled, forward), "# the backward pass"]
    time = None
    for (here, note), group in itertools.groupby(backward, key=lambda line: (line.time, line.note)):
        if here is not None and here != time:
            texts.append(f"# t = {here[1]}")
        texts += [f"# {note}", *map(writer.unrolled, group)]
        time = here
    return [f"    {text}" for text in texts]


def looped(
    forward: Group, backward: Group, writer: Writer, seeds: Sequence[Leaf]
) -> list[str] | None:
    """The body of the program with loops; None if no two steps are alike."""
    folder = _Folder(writer)
    start, end = folder.folded(forward), folder.folded(backward)
    if not folder.loops:
        return None
    for name, place in folder.aliases.items():  # right after the line that makes it, or first
        made = next((k + 1 for k, (target, _) in enumerate(start) if target == name), 0)
        start.insert(made, (place, f"{_in_table(place)} = {name}"))
    lines = itertools.chain(forward, backward)
    targets = [leaf for line in lines for leaf in line.leaves[: line.targets]]
    targets += [*folder.aliases.values(), *seeds]
    tables = dict.fromkeys(leaf.name for leaf in targets if isinstance(leaf, At))
    own = [name for name in tables if name not in writer.given]
    rows = [own[k : k + 10] for k in range(0, len(own), 10)]
    body = [f"{', '.join(row)} = {', '.join(['{}'] * len(row))}" for row in rows]
    body += [f"{_in_table(x)} = {writer.name(x)}" for x in seeds if isinstance(x, At)]
    body += ["# the forward pass", *[text for _, text in start], "# the backward pass"]
    body += [f"{_in_table(place)} = 0" for place in folder.zeros]
    return [f"    {text}" for text in [*body, *[text for _, text in end]]]


class _Folder:
    """Writes lines, those of steps that are alike and next to each other as loops.

    aliases: what a state starts from → the state before the first step.  zeros: gradients that
    nothing has reached yet.
    """

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.aliases: dict[str, At] = {}
        self.zeros: dict[At, None] = {}
        self.loops = 0

    def folded(self, lines: Group) -> list[tuple[Leaf | None, str]]:
        """The texts of the lines, each with the variable that it sets."""
        groups: list[Group] = [list(group) for _, group in itertools.groupby(lines, _time)]
        texts: list[tuple[Leaf | None, str]] = []
        for first, end in _runs([_time(group[0]) for group in groups]):
            for same, model in self._alike(groups[first:end]):
                if model is None:
                    texts += [(x.target, self.writer.looped(x)) for group in same for x in group]
                else:
                    self.loops += 1
                    texts += [(None, text) for text in self._loop(model, [_step(g) for g in same])]
        return texts

    def _alike(self, run: list[Group]) -> Iterator[tuple[list[Group], Group | None]]:
        """Steps next to each other that are alike, with the model of them all; others with None."""
        start = done = 0
        while start < len(run):
            end, model = start + 1, None
            if end < len(run):
                model = _model(run[start], run[end])
            while model is not None and end < len(run) and _fits(run[end], model):
                end += 1
            first = start
            if model is None and done < start < len(run) - 1:  # perhaps alone between two ends
                alone = _alone(run[start])
                if self._adapts(run[start - 1], alone) and self._adapts(run[end], alone):
                    model, first, end = alone, start - 1, end + 1
            elif model is not None:
                first -= int(done < start and self._adapts(run[start - 1], model))
                end += int(end < len(run) and self._adapts(run[end], model))
            if model is not None:
                yield from (([group], None) for group in run[done:first])
                yield run[first:end], model
                done = end
            start = end
        yield from (([group], None) for group in run[done:])

    def _adapts(self, group: Group, model: Group) -> bool:
        """Whether a step is as the model but for what it starts from, which is then noted."""
        t = _step(group)
        found, nothing, left = dict(self.aliases), dict(self.zeros), list(group)
        for line in _at(model, t):
            mine = left[0] if left else None
            if mine is not None and _adapted(mine, line, found):
                if mine.form != line.form:
                    nothing[line.target] = None
                left.pop(0)
            elif not isinstance(line.target, At) or line.target.t == t:
                return False
            elif line.form == ADD:
                nothing[line.target] = None
        if not left:
            self.aliases, self.zeros = found, nothing
        return not left

    def _loop(self, model: Group, steps: list[int]) -> list[str]:
        low, high, stride = min(steps), max(steps), abs(steps[1] - steps[0])
        bounds = [low, high + 1, stride]
        if stride == 1:
            bounds = [high + 1] if low == 0 else [low, high + 1]
        span = f"range({', '.join(map(str, bounds))})"
        texts = [f"for t in {span if steps[0] < steps[-1] else f'reversed({span})'}:"]
        for note, lines in itertools.groupby(model, key=lambda line: line.note):
            if note:
                texts.append(f"    # {note}")
            texts += [f"    {self.writer.looped(line)}" for line in lines]
        return texts


def _time(line: Line) -> tuple[str, int]:
    """The axis and step that a line belongs to; one outside of time, that of what it assigns to."""
    if line.time is not None:
        return line.time
    target = line.target
    return (f"outside, {target.name}", target.t) if isinstance(target, At) else ("", 0)


def _step(group: Group) -> int:
    return _time(group[0])[1]


def _runs(times: list[tuple[str, int]]) -> Iterator[tuple[int, int]]:
    """Stretches that go through one axis step by step, as pairs (first, one past the last)."""
    start = 0
    for k in range(1, len(times) + 1):
        if k < len(times) and times[k][0] == times[k - 1][0] != "":
            stride = times[k][1] - times[k - 1][1]
            if k - start < 2 or stride == times[k - 1][1] - times[k - 2][1]:
                continue
        yield start, k
        start = k


def _alone(group: Group) -> Group:
    """The lines of a step relative to t, where no other tells what moves: variables do, numbers stay."""
    t = _step(group)
    steps = [tuple([_relative(leaf, t) for leaf in line.leaves]) for line in group]
    return [line._replace(leaves=own) for line, own in zip(group, steps, strict=True)]


def _model(group: Group, other: Group) -> Group | None:
    """The lines of a step relative to t, as the next step tells what moves; None if it is not alike."""
    t = _step(group)
    if len(group) != len(other) or not all(map(Line.is_like, group, other)):
        return None
    later, model = _step(other), []
    for mine, its in zip(group, other, strict=True):
        leaves = [_moving(a, b, t, later) for a, b in zip(mine.leaves, its.leaves, strict=True)]
        if None in leaves:
            return None
        model.append(mine._replace(leaves=tuple(leaves)))
    return model


def _relative(leaf: Any, t: int) -> Any:
    return At(leaf.name, Moving(1, leaf.t - t)) if type(leaf) is At else leaf


def _moving(mine: Any, its: Any, t: int, later: int) -> Any:
    """What stands in a hole in step t and in a later one, as a function of t; None if none is found."""
    if type(mine) is At and type(its) is At and mine.name == its.name:
        where = _moving(mine.t, its.t, t, later)
        return None if where is None else At(mine.name, where)
    if type(mine) is int and type(its) is int and its - mine == later - t:
        return Moving(1, mine - t)
    return mine if mine == its else None


def _fits(group: Group, model: Group) -> bool:
    """Whether a step is as the model says."""
    if len(group) != len(model):
        return False
    t = _step(group)
    return all(
        mine.is_like(line) and mine.leaves == _leaves_at(line, t)
        for mine, line in zip(group, model, strict=True)
    )


def _at(model: Group, t: int) -> Iterable[Line]:
    """The lines in which t has a value."""
    return [line._replace(leaves=_leaves_at(line, t)) for line in model]


def _leaves_at(line: Line, t: int) -> tuple[Leaf, ...]:
    return tuple([_leaf_at(leaf, t) for leaf in line.leaves])


def _leaf_at(leaf: Any, t: int) -> Any:
    if type(leaf) is At and type(leaf.t) is Moving:
        return At(leaf.name, t + leaf.t.constant)
    return t + leaf.constant if type(leaf) is Moving else leaf


def _adapted(mine: Line, line: Line, aliases: dict[str, At]) -> bool:
    """Whether two lines agree but for names that stand for a state before the first step.

    One that sets a gradient stands for one that adds to it.
    """
    alike = mine.is_like(line) or mine._replace(form=ADD).is_like(line)
    return (
        alike
        and mine.target == line.target
        and all(
            a == b or (type(a) is str and type(b) is At and aliases.setdefault(a, b) == b)
            for a, b in zip(mine.leaves, line.leaves, strict=True)
        )
    )
