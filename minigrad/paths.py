"""Places in time: a path of coordinates, one for each loop around a node, outermost first."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from minigrad.cached import cached_property


class Axis:
    """One direction of time: the steps that one loop labels; of an inner loop, inside the steps of
    its `parent`.

    All runs of an inner loop are on one axis.  Give one `Axis` to several loops over `timesteps` to
    continue the first with the others.

    >>> import minigrad as mg
    >>> axis = mg.Axis("time")
    >>> for start in (0, 2):
    ...     for t, x in mg.timesteps([1.0, 2.0], axis, start=start): print(mg.tensor(x).time)
    time = 0
    time = 1
    time = 2
    time = 3
    """

    __slots__ = ("__weakref__", "_inner", "name", "parent", "visits")

    def __init__(self, name: str, parent: Axis | None = None) -> None:
        self.name, self.parent = name, parent
        self.visits = itertools.count()  # numbers the steps in the order of their visits
        self._inner: WeakValueDictionary[Any, Axis] | None = (
            None  # an inner axis lives with its nodes
        )

    @property
    def chain(self) -> tuple[Axis, ...]:
        """This axis and those around it, outermost first."""
        return (*(self.parent.chain if self.parent else ()), self)

    def inner(self, key: Any, name: str) -> Axis:
        """The axis of the inner loop that `key` identifies: the same one in every step."""
        if self._inner is None:
            self._inner = WeakValueDictionary()
        axis = self._inner.get(key)
        if axis is None:
            taken = {other.name for other in self.chain}
            names = itertools.chain([name], (f"{name}_{k}" for k in itertools.count(2)))
            axis = Axis(next(n for n in names if n not in taken), self)
            self._inner[key] = axis
        return axis

    def __reduce__(self) -> Any:
        return Axis, (self.name, self.parent)

    def __repr__(self) -> str:
        return self.name


class Coordinate(NamedTuple):
    """Step `t` of `axis`.  Positions are only compared: `Graph` numbers the steps it contains from
    0."""

    axis: Axis
    t: int
    position: int


Steps = tuple[tuple[Axis, int], ...]


class Path(tuple[Coordinate, ...]):
    """Where in time a node was made: a coordinate for each loop around it, outermost first."""

    @cached_property
    def steps(self) -> Steps:
        """The path without positions: equal for all nodes of one step, however often it was
        visited."""
        return tuple([(axis, t) for axis, t, _ in self])

    @property
    def axis(self) -> Axis:
        """The outermost axis."""
        return self[0].axis

    @property
    def t(self) -> int:
        """The step of the outermost axis."""
        return self[0].t

    def extended(self, coordinate: Coordinate) -> Path:
        """The path of an inner step."""
        return Path((*self, coordinate))

    def __str__(self) -> str:
        return ", ".join(f"{axis} = {t}" for axis, t, _ in self)


class Role(NamedTuple):
    """What a tensor is to the recurrence along `axis`.

    kind: "input", "state" or "mask".  name: as in the equations.  leaf: the number of the leaf in
    the state of the unrolled cell.  memory: whether it is a gated memory, as an LSTM's c.  also:
    the role on the axis around, where the last state of an inner loop is the state of an outer one
    too.
    """

    kind: str
    name: str
    axis: Axis | None = None
    leaf: int = 0
    memory: bool = False
    also: Role | None = None

    def on(self, axis: Axis) -> Role | None:
        """This role, or the one on an axis around, as a state of that axis; None if there is
        none."""
        role: Role | None = self
        while role is not None and not (role.kind == "state" and role.axis is axis):
            role = role.also
        return role


Place = tuple[tuple[Axis, int], ...]  # axes and positions, outermost first; () outside of time


class Timeline:
    """The steps of a graph, numbered: each run of an axis counts its steps from 0 in the order of
    their first visits.

    A run is what an axis does within one step of the axis around it; an outermost axis has one run.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        first_visits: dict[tuple[Steps, Axis], dict[int, int]] = {}
        for path in paths:
            for depth, (axis, t, position) in enumerate(path):
                run = first_visits.setdefault((path.steps[:depth], axis), {})
                run.setdefault(t, position)
        self._visits = first_visits
        self._runs = {
            run: {t: k for k, t in enumerate(sorted(visits, key=visits.__getitem__))}
            for run, visits in first_visits.items()
        }
        self._places: dict[Path, Place] = {}
        self.axes: tuple[Axis, ...] = tuple(dict.fromkeys(axis for _, axis in self._runs))

    @cached_property
    def outermost(self) -> dict[tuple[Axis, int], int]:
        """The position of each step of the outermost axes, axis by axis, in the order of their
        first visits."""
        return {
            (axis, t): k
            for (around, axis), run in self._runs.items()
            if not around
            for t, k in run.items()
        }

    def place(self, path: Path | None) -> Place:
        """The positions of a path, outermost first; () for a path whose steps are not in the
        graph."""
        if path is None:
            return ()
        found = self._places.get(path)
        if found is None:
            found = self._places[path] = self._numbered(path.steps)
        return found

    def _numbered(self, steps: Steps) -> Place:
        place = []
        for depth, (axis, t) in enumerate(steps):
            run = self._runs.get((steps[:depth], axis), {})
            if t not in run:
                return ()
            place.append((axis, run[t]))
        return tuple(place)

    @cached_property
    def _by_place(self) -> dict[tuple[Place, Axis], list[Coordinate]]:
        """The coordinates of each run in the order of its positions."""
        table = {}
        for (around, axis), run in self._runs.items():
            visits = self._visits[around, axis]
            table[self._numbered(around), axis] = [Coordinate(axis, t, visits[t]) for t in run]
        return table

    def last(self, around: Place, axis: Axis) -> int:
        """The last position of the run of an axis within one step of those around it."""
        return len(self._by_place[around, axis]) - 1

    def path(self, place: Place) -> Path:
        """The path of a place: the other way round."""
        found = []
        for depth, (axis, position) in enumerate(place):
            found.append(self._by_place[place[:depth], axis][position])
        return Path(found)

    def steps_of(self, axis: Axis) -> list[int]:
        """The steps t of all runs of an axis, in the order of their first visits."""
        return list(self._by_axis.get(axis, ()))

    @cached_property
    def _by_axis(self) -> dict[Axis, dict[int, None]]:
        """The steps t of each axis, run by run, as the keys of a table."""
        table: dict[Axis, dict[int, None]] = {}
        for (_, axis), run in self._runs.items():
            table.setdefault(axis, {}).update(dict.fromkeys(run))
        return table
