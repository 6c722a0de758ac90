"""Where each value of a graph stands: its row (a layer, or what lies outside of time) and its
column (a time step)."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import NamedTuple

from minigrad.paths import Axis
from minigrad.render.nodes import Path, common_scope, path_of
from minigrad.render.picture import Column, Row, Tile
from minigrad.render.read import Reading, Value

LONGEST = 60  # operations in one column of a graph without time
WHOLE = 150  # values of a graph without time that is laid out as a whole


class Key(NamedTuple):
    """What a row is known by.

    name: the layer of its axis; "after" of what is no layer.  Without an axis, the segment.
    around: of a row of a grid, the steps around.
    """

    axis: Axis | None
    name: str | float
    timed: bool = True
    backward: bool = False
    around: Path = ()


def set_rows(reading: Reading) -> None:
    """Give each value its row and its column."""
    layout = _Rows(reading)
    rows = layout.make_rows()
    tiles: dict[tuple[Key, Column], Tile] = {}
    for value, place in layout.places.items():
        if place not in tiles:
            tiles[place] = Tile(rows[place[0]], place[1])
        value.tile = tiles[place]


class _Rows:
    """The key of each value's row, and its column."""

    def __init__(self, reading: Reading) -> None:
        self.reading, self.graph = reading, reading.graph
        self.layers = _layers(reading)
        self.segments = _segments(reading)
        self.layer_of: dict[tuple[Axis, str, bool], str | None] = {}
        self.places: dict[Value, tuple[Key, Column]] = {}
        self.segment: dict[Key, float] = {}
        self.inner: set[Value] = set()  # what follows an inner loop within its step
        self.deepest = max((len(axis.chain) for axis in self.graph.axes.values()), default=0)
        self.grids = _grids(reading)
        if self.graph.axes:
            for value in reading.values:
                self.place(value)
        else:
            self.place_untimed()

    def place(self, value: Value) -> None:
        """The row and the column of one value of a graph with time."""
        key, segment = self.timed_key(value) if value.time else self.untimed_key(value)
        self.segment.setdefault(key, segment)
        steps = [float(t) for _, t in value.time] or [0.0]
        if value.time and value.time[-1][0] in self.grids:
            steps = steps[-1:]
        if self.follows_inner_loop(value):
            self.inner.add(value)
            steps.append(math.inf)
        self.places[value] = key, (segment, *steps)

    def untimed_key(self, value: Value) -> tuple[Key, float]:
        """The row of a value outside of time: after all that it is made from."""
        reached = [self.places[source][1][0] for source in value.sources]
        if value.forward is not None:
            reached += [0, *self.segments.values()]
        segment = math.floor(max(reached, default=-1.0)) + 0.5
        return Key(None, segment, False, value.forward is not None), segment

    def timed_key(self, value: Value) -> tuple[Key, float]:
        """The row of a value in time: its layer's; else that of what it is made from in its
        step."""
        axis, backward = value.time[-1][0], value.forward is not None
        outermost = value.time[0][0] or axis
        segment: float = self.segments[outermost] if outermost is not None else 0
        layer = self.layer(value, axis) if axis is not None else None
        if layer is not None:
            around = value.time[:-1] if axis in self.grids else ()
            return Key(axis, layer, True, backward, around), segment
        keys = self.keys_below(value)
        if len(keys) == 1 or (keys and self.layers.get(axis)):
            return keys[-1]._replace(backward=backward), self.segment[keys[-1]]
        if axis is not None:
            return Key(axis, "after" if self.layers.get(axis) else "", True, backward), segment
        segment = max((self.segment[key] for key in keys), default=0.0)
        return Key(None, segment, True, backward), segment

    def keys_below(self, value: Value) -> list[Key]:
        """The forward rows in time of what a value is made from in its step."""
        ts = [t for _, t in value.time]
        below = [s for s in value.sources if s.op and [t for _, t in s.time] == ts]
        keys = dict.fromkeys(self.places[source][0] for source in below)
        return [key for key in keys if key.timed and not key.backward]

    def layer(self, value: Value, axis: Axis) -> str | None:
        """The layer of an axis that a value is part of: the scope of a state; an input is part of
        the first one."""
        scope, is_input = value.node.scope, value.role == "input"
        key = axis, scope, is_input
        if key not in self.layer_of:
            layers = self.layers.get(axis, [])
            around = (layer for layer in layers if is_input or _is_inside(scope, layer))
            self.layer_of[key] = next(around, None)
        return self.layer_of[key]

    def follows_inner_loop(self, value: Value) -> bool:
        """Whether a value follows an inner loop within its step of the outer one."""
        depth = len(value.time)
        if not 0 < depth < self.deepest:
            return False
        within = [source for source in value.sources if source.time[:depth] == value.time]
        return any(len(source.time) > depth or source in self.inner for source in within)

    def place_untimed(self) -> None:
        """Without time, a column for each stretch of one scope; where several of them begin, as in
        a tree, one tile, in which dot finds the order.  A traced backward pass stands above."""
        number: dict[Value, int] = {}
        scope = None
        column, count = 0, 0
        for value in self.reading.values:
            if value.op:
                count += 1
                here = value.node._scope, value.forward is not None
                if here != scope or count > LONGEST:
                    column, count = column + (scope is not None), 0
                scope = here
            number[value] = column
        whole = len(number) <= WHOLE and self.begins_often(number)
        for value, column in number.items():
            key = Key(None, 0.5, False, value.forward is not None)
            self.places[value] = key, (0.5, 0.0 if whole else float(column))

    def begins_often(self, column: dict[Value, int]) -> bool:
        """Whether several columns of a forward pass take nothing from another one."""
        drawn = [value for value in self.reading.drawn if value.forward is None]
        later = {
            column[value]
            for value in drawn
            for source in value.sources
            if source.op and column[source] != column[value]
        }
        return len({column[value] for value in drawn} - later) > 1

    # rows

    def make_rows(self) -> dict[Key, Row]:
        """A row for each key: layers from the bottom up, a traced backward pass above them."""
        sources = self.sources()
        level: dict[Key, int] = {}
        count = Counter[float]()
        keys = list(dict.fromkeys(key for key, _ in self.places.values()))
        for backward in (False, True):
            top = max(level.values(), default=-1) + 1 if backward else 0
            for key in [key for key in keys if key.backward is backward]:
                if key.timed:
                    level[key] = max(top, count[self.segment[key]])
                    count[self.segment[key]] = level[key] + 1
                elif backward:
                    level[key] = top
                else:
                    level[key] = max((level[k] for k in sources[key] if k in level), default=0)
        order = sorted(set(level.values()))
        return {key: self.make_row(key, order.index(level[key])) for key in keys}

    def sources(self) -> dict[Key, set[Key]]:
        """The rows that each row outside of time takes values from."""
        found = defaultdict[Key, set[Key]](set)
        for value in self.reading.drawn:
            key, _ = self.places[value]
            if not key.timed:
                found[key].update(self.places[source][0] for source in value.sources)
        return found

    def make_row(self, key: Key, level: int) -> Row:
        """The row of a key."""
        axis, name = key.axis, ""
        if axis is not None:
            several = len(self.layers.get(axis, ())) > 1
            name = str(key.name) if several else self.graph.axis_name(axis)
        steps = self.steps_of(axis)
        reverse = axis is not None and len(steps) > 1 and steps == sorted(steps)[::-1]
        step = tuple((self.graph.axis_name(one), t) for one, t in key.around if one)
        axes = tuple(self.graph.axis_name(one) for one in (axis.chain if axis else ()))
        return Row(
            name, level, key.timed, reverse is not key.backward, key.backward, len(steps) or 1,
            axes[len(step) :], step,
        )  # fmt: skip

    def steps_of(self, axis: Axis | None) -> list[int]:
        """The steps of an axis; of what has none, those of the longest one."""
        timeline = self.graph.timeline
        runs = [timeline.steps_of(one) for one in ([axis] if axis else timeline.axes)]
        return max(runs, key=len, default=[])


def _layers(reading: Reading) -> dict[Axis | None, list[str]]:
    """For each axis the scopes whose states it carries: each is a layer, a row of its own."""
    found = defaultdict[Axis | None, dict[str, None]](dict)
    for edge in reading.graph.state_edges:
        axis, _ = path_of(edge.target)[-1]
        found[axis][common_scope((edge.source.scope, edge.target.scope))] = None
    timeline = reading.graph.timeline
    single = {axis for axis in timeline.axes if len(timeline.steps_of(axis)) == 1}
    for value in reading.drawn if single else ():
        # a single step carries nothing; the unroller still tells its states
        axis = value.time[-1][0] if value.time else None
        if axis in single and value.role == "state":
            found[axis][value.node.scope] = None
    return {axis: _outermost(list(paths)) for axis, paths in found.items()}


def _grids(reading: Reading) -> set[Axis | None]:
    """The inner axes that are sides of a grid: states cross to the same inner step of another outer
    one."""
    found: set[Axis | None] = set()
    for edge in reading.graph.state_edges:
        here, there = path_of(edge.source), path_of(edge.target)
        if len(here) == len(there) > 1 and here[:-1] != there[:-1] and here[-1] == there[-1]:
            found.add(here[-1][0])
    return found


def _outermost(paths: list[str]) -> list[str]:
    """Without the scopes that lie within another one."""
    return [p for p in paths if not any(q != p and _is_inside(p, q) for q in paths)]


def _segments(reading: Reading) -> dict[Axis, int]:
    """Axes that run side by side share a segment; one that starts when another has ended comes
    after it."""
    votes = Counter[tuple[Axis, Axis]]()
    reach: dict[Value, dict[Axis, int | None]] = {}
    outer = list(dict.fromkeys(axis for axis, _ in reading.graph.timeline.outermost))
    for value in reading.values if len(outer) > 1 else ():
        axis, t = value.time[0] if value.time else (None, None)
        came: dict[Axis, int | None] = {}  # the axes that it depends on, and the step if it is one
        for source in value.sources:
            for a, s in reach.get(source, {}).items():
                came[a] = s if came.get(a, s) == s else None
        if axis is not None:
            for a, s in came.items():
                if a is not axis:
                    votes[a, axis] += 1 if s == t else -1
        reach[value] = came if axis is None else {axis: t}
    segments: dict[Axis, int] = {}
    for axis in outer:
        after = [segments[a] + (votes[a, axis] <= 0) for a in segments if (a, axis) in votes]
        again = [
            segments[a] + 1 for a in segments if a.name == axis.name and (a, axis) not in votes
        ]
        segments[axis] = max([0, *after, *again])
    return segments


def _is_inside(scope: str, prefix: str) -> bool:
    """Whether a scope is another one, or lies within it."""
    return not prefix or scope == prefix or scope.startswith(f"{prefix}.")
