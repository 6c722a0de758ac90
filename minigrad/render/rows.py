"""Where each value of a graph stands: its row (a layer, or what lies outside of time) and its
column (a time step)."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import Any

from minigrad.paths import Axis
from minigrad.render.picture import Column, Row, Tile
from minigrad.render.read import Reading, Value, forward_of, path_of, role_of

LONGEST = 60  # operations in one column of a graph without time
WHOLE = 150  # values of a graph without time that is laid out as a whole

Key = tuple[
    Any, ...
]  # what a row is known by: an axis and a layer of it, or a place outside of time


def set_rows(reading: Reading) -> None:
    """Give each value its row and its column."""
    layout = _Rows(reading)
    rows = layout.make_rows()
    tiles: dict[tuple[Key, Column], Tile] = {}
    for value in reading.values:
        place = layout.key[value], layout.column[value]
        if place not in tiles:
            tiles[place] = Tile(rows[place[0]], place[1])
        value.tile = tiles[place]


class _Rows:
    """The key of each value's row, and its column."""

    def __init__(self, reading: Reading) -> None:
        self.reading, self.graph = reading, reading.graph
        self.layers = _layers(reading)
        self.segments = _segments(reading)
        self.layer_of: dict[Any, str | None] = {}
        self.key: dict[Value, Key] = {}
        self.column: dict[Value, Column] = {}
        self.segment: dict[Key, float] = {}
        self.reached: dict[Value, float] = {}  # the segment up to which a value has come
        self.inner = _after_inner_loops(reading)
        self.grids = _grids(reading)
        if self.graph.axes:
            for value in reading.values:
                self.place(value)
        else:
            self.place_untimed()

    def place(self, value: Value) -> None:
        """The row and the column of one value of a graph with time."""
        backward = forward_of(value.node) is not None
        if value.time:
            key, segment = self.timed_key(value)
        else:
            after = [self.reached[feed.source] for feed in value.feeds]
            latest = max(after, default=-1.0)
            if backward:
                latest = max(latest, max(self.segments.values(), default=0))
            segment = max(math.floor(latest) + 0.5, latest)
            key = ("between", segment)
        if backward:
            key = (*key, "backward")
        self.segment[key] = self.segment.setdefault(key, segment)
        self.reached[value] = segment
        self.key[value] = key
        inner = (math.inf,) if value in self.inner else ()
        steps = tuple(float(t) for _, t in value.time) or (0.0,)
        if value.time and value.time[-1][0] in self.grids:
            steps = steps[-1:]
        self.column[value] = (segment, *steps, *inner)

    def timed_key(self, value: Value) -> tuple[Key, float]:
        """The row of a value in time: its layer's; else that of what it is made from in its
        step."""
        axis = value.time[-1][0]
        layer = self.layer(value, axis)
        if axis is not None and layer is not None:
            around = value.time[:-1] if axis in self.grids else ()
            return (axis, layer, *around), self.segments[value.time[0][0] or axis]
        ts = [t for _, t in value.time]
        sources = [feed.source for feed in value.feeds if feed.source.node.op is not None]
        below = [s for s in sources if [t for _, t in s.time] == ts]
        keys = list(dict.fromkeys(self.key[s] for s in below if "backward" not in self.key[s]))
        keys = [key for key in keys if key[0] != "between"]
        if len(keys) == 1 or (keys and axis is not None and self.layers.get(axis)):
            return keys[-1], self.segment[keys[-1]]
        if axis is not None:
            after = "after" if self.layers.get(axis) else ""
            return (axis, after), self.segments[value.time[0][0] or axis]
        segment = max((self.segment[key] for key in keys), default=0.0)
        return ("joint", segment), segment

    def layer(self, value: Value, axis: Axis | None) -> str | None:
        """The layer of an axis that a value is part of: the scope of a state; an input is part of
        the first one."""
        node, layers = value.node, self.layers.get(axis, []) if axis is not None else []
        known = axis, node._scope, role_of(node) == "input"
        if known not in self.layer_of:
            inside = (path for path in layers if known[2] or _is_inside(node.scope, path))
            self.layer_of[known] = next(inside, None)
        return self.layer_of[known]

    def place_untimed(self) -> None:
        """Without time, a column for each stretch of one scope; where several of them begin, as in
        a tree, one tile, in which dot finds the order.  A traced backward pass stands above."""
        number: dict[Value, int] = {}
        scope: Any = None
        column, count = 0, 0
        for value in self.reading.values:
            backward = forward_of(value.node) is not None
            if value.node.op is not None:
                count += 1
                here = (value.node._scope, backward)
                if here != scope or count > LONGEST:
                    column, count = column + (scope is not None), 0
                scope = here
            number[value] = column
            self.key[value] = ("all", "backward") if backward else ("all",)
            self.segment[self.key[value]] = 0.5
        whole = len(number) <= WHOLE and self.begins_often(number)
        for value, column in number.items():
            self.column[value] = (0.5, 0.0 if whole else float(column))

    def begins_often(self, column: dict[Value, int]) -> bool:
        """Whether several columns of a forward pass take nothing from another one."""
        later: set[int] = set()
        every: set[int] = set()
        for value in self.reading.drawn:
            if forward_of(value.node) is None:
                here = column[value]
                every.add(here)
                sources = [feed.source for feed in value.feeds if feed.source.node.op is not None]
                if any(column[source] != here for source in sources):
                    later.add(here)
        return len(every - later) > 1

    # rows

    def make_rows(self) -> dict[Key, Row]:
        """A row for each key: layers from the bottom up, a traced backward pass above them."""
        sources = self.sources()
        level: dict[Key, int] = {}
        count = Counter[Any]()
        keys = list(dict.fromkeys(self.key.values()))
        for key in sorted(keys, key=lambda key: "backward" in key):
            top = self.top(level) if "backward" in key else 0
            if key[0] in ("between", "all"):
                found = [level[k] for k in sources[key] if k in level and "backward" not in k]
                level[key] = max(top, max(found, default=0))
            else:
                level[key] = max(top, count[self.segment[key]])
                count[self.segment[key]] = level[key] + 1
        order = sorted(set(level.values()))
        return {key: self.make_row(key, order.index(level[key])) for key in keys}

    def top(self, level: dict[Key, int]) -> int:
        """The first level above all forward rows."""
        return max((n + 1 for key, n in level.items() if "backward" not in key), default=0)

    def sources(self) -> dict[Key, set[Key]]:
        """The rows that each row takes values from."""
        found = defaultdict[Key, set[Key]](set)
        for value in self.reading.drawn:
            found[self.key[value]].update(self.key[feed.source] for feed in value.feeds)
        return found

    def make_row(self, key: Key, level: int) -> Row:
        """The row of a key."""
        backward = "backward" in key
        axis = key[0] if isinstance(key[0], Axis) else None
        name = self.graph.axis_name(axis) if axis is not None else ""
        if axis is not None and len(self.layers.get(axis, ())) > 1:
            name = key[1]
        steps = self.steps_of(axis)
        reverse = axis is not None and len(steps) > 1 and steps == sorted(steps)[::-1]
        timed = key[0] not in ("between", "all")
        around = [one for one in key[2:] if isinstance(one, tuple)]
        step = tuple((self.graph.axis_name(one), t) for one, t in around)
        axes = tuple(self.graph.axis_name(one) for one in (axis.chain if axis else ()))
        return Row(
            name, level, timed, reverse is not backward, backward, len(steps) or 1,
            axes[len(step) :], step,
        )  # fmt: skip

    def steps_of(self, axis: Axis | None) -> list[int]:
        """The steps of an axis; of what has none, those of the longest one."""
        timeline = self.graph.timeline
        runs = [timeline.steps_of(one) for one in ([axis] if axis else timeline.axes)]
        return max(runs, key=len, default=[])


def _layers(reading: Reading) -> dict[Axis, list[str]]:
    """For each axis the scopes whose states it carries: each is a layer, a row of its own."""
    found = defaultdict[Axis, dict[str, None]](dict)
    for edge in reading.graph.state_edges:
        axis = path_of(edge.target)[-1][0]
        assert axis is not None
        found[axis][_common(edge.source.scope, edge.target.scope)] = None
    timeline = reading.graph.timeline
    single = {axis for axis in timeline.axes if len(timeline.steps_of(axis)) == 1}
    for (
        value
    ) in reading.drawn:  # a single step carries nothing; the unroller still tells its states
        axis = value.time[-1][0] if value.time else None
        if axis in single and role_of(value.node) == "state":
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
    outer = [axis for axis in reading.graph.axes.values() if axis in _outer_axes(reading)]
    for value in reading.values if len(outer) > 1 else ():
        axis, t = value.time[0] if value.time else (None, None)
        came: dict[Axis, int | None] = {}  # the axes that it depends on, and the step if it is one
        for feed in value.feeds:
            for a, s in reach.get(feed.source, {}).items():
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


def _outer_axes(reading: Reading) -> set[Axis | None]:
    """The axes that are outermost for some node."""
    return {path_of(node)[0][0] for node in reading.graph.nodes if node.time is not None}


def _after_inner_loops(reading: Reading) -> set[Value]:
    """The values that follow an inner loop within their step of the outer one."""
    found: set[Value] = set()
    deepest = max((len(value.time) for value in reading.values), default=0)
    for value in reading.values if deepest > 1 else ():
        depth = len(value.time)
        for feed in value.feeds:
            source = feed.source
            same = source.time[:depth] == value.time and bool(value.time)
            if same and (len(source.time) > depth or source in found):
                found.add(value)
    return found


def _common(a: str, b: str) -> str:
    """The scope that two scopes have in common."""
    found = []
    for one, other in zip(a.split("."), b.split(".")):
        if one != other:
            break
        found.append(one)
    return ".".join(found)


def _is_inside(scope: str, prefix: str) -> bool:
    """Whether a scope is another one, or lies within it."""
    return not prefix or scope == prefix or scope.startswith(f"{prefix}.")
