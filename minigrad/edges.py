"""Which edges an edit is for, where they cross, and which rows of the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from minigrad import naming
from minigrad.graph import Crossing, Edge, Graph
from minigrad.states import NO_TIME, whole
from minigrad.tensor import Tensor

Edges = Edge | Iterable[Edge] | Callable[[Edge], bool] | None
TRAITS = ("name", "op", "t", "axis", "scope")  # edges are chosen by these
MAX_CHOICES = 8  # choices that an error names one by one


class Passage(NamedTuple):
    """One edge on its way into one step."""

    edge: Edge
    crossing: Crossing


def select(graph: Graph, edges: Edges = None, **where: Any) -> list[Passage]:
    """The passages of the edges that are given (by default all that carry state) and match the
    rest.

    where: name= and op= and scope= of the source, t= and axis= of the step that is entered.
    Without axis=, edges that carry state are those along the outermost axes.
    """
    if edges is None and not graph.axes:
        raise ValueError(f"edit: {NO_TIME}")
    if strange := [key for key in where if key not in TRAITS]:
        problem = f"edit: edges are chosen by {', '.join(TRAITS)}"
        raise TypeError(f"{problem}; found {', '.join(strange)}")
    chosen = _given(graph, edges, where.get("axis"))
    passages = [passage for edge in chosen for passage in passages_of(graph, edge)]
    found = [passage for passage in passages if _matches(graph, passage, where)]
    if not found and (where or edges is not None):
        raise ValueError(_nothing_found(graph, where))
    return found


def passages_of(graph: Graph, edge: Edge) -> list[Passage]:
    """An edge in each step that it enters."""
    return [Passage(edge, crossing) for crossing in graph.crossings_of(edge)]


def _given(graph: Graph, edges: Edges, axis: Any) -> list[Edge]:
    """The edges that are given, checked; for None, those that carry state along the axes."""
    if edges is None:
        names = _options(axis) if axis is not None else None
        known = names is None or all(name in graph.axes for name in names)
        return list(graph.edges_along(names)) if known else []
    if callable(edges):
        return [edge for edge in graph.edges if edges(edge)]
    several = isinstance(edges, Iterable) and not isinstance(edges, Edge)
    given: list[Any] = list(edges) if several else [edges]
    there = set(graph.edges)
    for edge in given:
        if not isinstance(edge, Edge):
            wanted = "an Edge, several, a function of an edge or None is needed"
            raise TypeError(f"edit: {wanted}, found {edge!r:.50}")
        if edge not in there:
            names = [naming.name_of(graph, node) for node in edge[:2]]
            link = f"{names[0]} → {names[1]} of step {edge.target.t}"
            raise ValueError(
                f"edit: the edge {link} is not in this graph; take some of graph.edges"
            )
    return given


def _traits(graph: Graph, passage: Passage) -> dict[str, Any]:
    """What a passage is chosen by."""
    source = passage.edge.source
    step = graph.timeline.path(passage.crossing.step)
    return {
        "name": naming.name_of(graph, whole(graph, source)),
        "op": source.op.name if source.op else None,
        "t": step[-1].t if step else None,
        "axis": graph.axis_name(step[-1].axis) if step else None,
        "scope": source.scope,
    }


def _matches(graph: Graph, passage: Passage, where: dict[str, Any]) -> bool:
    """Whether a passage has all wanted traits; a scope holds those below it."""
    if not where:
        return True
    traits = _traits(graph, passage)
    for key, wanted in where.items():
        options, value = _options(wanted), traits[key]
        below = key == "scope" and value.startswith(tuple(f"{option}." for option in options))
        if value not in options and not below:
            return False
    return True


def _options(wanted: Any) -> list[Any]:
    return list(wanted) if isinstance(wanted, list | tuple | set | range) else [wanted]


def _nothing_found(graph: Graph, where: dict[str, Any]) -> str:
    """What to say when no edge matches: what was asked for, and where state crosses."""
    asked = ", ".join(f"{key}={wanted!r}" for key, wanted in where.items()) or "what was given"
    passages = [Passage(edges[0], crossing) for crossing, edges in graph.crossings.items()]
    traits = [_traits(graph, passage) for passage in passages]
    lines = []
    for key in TRAITS:
        values = list(dict.fromkeys(str(found[key]) for found in traits))
        if any(values):
            shown = values if len(values) <= MAX_CHOICES else [*values[:2], "...", values[-1]]
            lines.append(f"{key} {', '.join(shown)}")
    known = "; ".join(lines) or "no edge"
    return f"edit: no edge matches {asked}; state crosses at: {known}"


def windows(graph: Graph, k: int, who: str, axis: Any = None) -> list[Passage]:
    """The passages between windows of k steps, counted back from the last step of each run of the
    axes."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        wanted = "the number of steps that a gradient may go back, must be ≥ 1"
        raise ValueError(f"{who}: k, {wanted}, found {k!r}")
    if not graph.axes:
        raise ValueError(f"{who}: {NO_TIME}")
    found = []
    for edge in graph.edges_along(axis):
        if edge.source.op is None:
            continue
        for crossing in graph.crossings_of(edge):
            *around, (own, position) = crossing.step
            to_end = graph.timeline.last(tuple(around), own) - position
            if to_end // k != (to_end + 1) // k:
                found.append(Passage(edge, crossing))
    return found


class Rows:
    """The rows of a batch that an edit is for: a mask (B), or (T, B) in the order of t; None:
    all."""

    def __init__(self, graph: Graph, mask: Any) -> None:
        self._graph, self._mask = graph, None if mask is None else np.asarray(mask)

    def of(self, passage: Passage) -> Any:
        """The chosen rows, shaped like the state that crosses; None for all."""
        if self._mask is None:
            return None
        source: Tensor = passage.edge.source
        chosen = self._at_step(passage, source)
        return chosen.reshape(-1, *[1] * (source.ndim - 1))

    def _at_step(self, passage: Passage, source: Tensor) -> Any:
        mask, batch = self._mask, source.shape[:1]
        assert mask is not None  # asked of a mask only
        path = self._graph.timeline.path(passage.crossing.step)
        steps = sorted(self._graph.timeline.steps_of(path[-1].axis)) if path else []
        by_step = (len(steps), *batch)
        if mask.dtype != bool or not batch or mask.shape not in (batch, by_step):
            wanted = f"{batch} or {by_step}" if batch else "(B,), and a state that has rows,"
            found = f"found {mask.dtype} of shape {mask.shape} for a state of shape {source.shape}"
            raise ValueError(f"mask: bool of shape {wanted} is needed, {found}")
        return mask if mask.ndim == 1 or not path else mask[steps.index(path[-1].t)]
