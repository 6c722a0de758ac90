"""Edits of a graph: cut, truncate, or limit what flows back along chosen edges.  Imports `graph`, `clip`, `naming`.

An edit returns a new graph on the same nodes.  On each crossing (all chosen edges from one source into one time step)
stands an identity node, `cut` or `clip`, whose rule acts on the *sum* of the gradients that cross.  It exists in the
adjacency of the new graph alone, so the backward loop and the pictures know nothing of edits.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from minigrad import naming
from minigrad.clip import check_limit, norm
from minigrad.graph import Edge, Graph
from minigrad.primitive import Primitive, primitive
from minigrad.reports import open_report, record
from minigrad.scope import Axis, recorded
from minigrad.tensor import Tensor

G = TypeVar("G", bound=Graph)
Edges = Edge | Iterable[Edge] | Callable[[Edge], bool] | None
Constants = Callable[[Edge], dict[str, Any]]  # of the identity node on an edge
MOST = 8  # choices that an error names one by one
TRAITS = (
    "name",
    "op",
    "t",
    "axis",
    "scope",
)  # by which edges are chosen: of the source, but for t and axis
NO_TIME = "the graph has no time labels: loop over mg.timesteps(xs), write `with mg.time_step(t):`, or use nn.Unroll"


@primitive
def cut(x: Any, *, rows: Any = None) -> Any:
    """The identity, through which no gradient flows back; with rows, only into those that are False."""
    return x


cut.blocks = True


@cut.gradient
def cut_dx(dy: Any, y: Any, x: Any, *, rows: Any) -> Any:
    """Zero, or zero in the chosen rows."""
    return None if rows is None else np.where(rows, 0, dy)


@primitive
def clip_gradient(x: Any, *, max_norm: Any, max_value: Any, rows: Any, what: Any) -> Any:
    """The identity, through which a limited gradient flows back; with rows, each row that is True by itself."""
    return x


@clip_gradient.gradient
def clip_gradient_dx(
    dy: Any, y: Any, x: Any, *, max_norm: Any, max_value: Any, rows: Any, what: Any
) -> Any:
    """Each entry into [-max_value, max_value], then the norm down to max_norm; what is within passes bit for bit."""
    peak = float(np.max(np.abs(getattr(dy, "_array", dy)), initial=0.0)) or 1.0
    if not np.isfinite(peak):
        raise FloatingPointError(
            f"clip_edges: the gradient that crosses by {what[0]} is not finite"
        )
    dx = dy if max_value is None else np.clip(dy, -max_value, max_value)
    if max_norm is not None:
        scaled = dx.astype(np.float64) / peak  # so that no square leaves the range
        square = np.sum(
            scaled * scaled, axis=None if rows is None else tuple(range(1, dy.ndim)), keepdims=True
        )
        over, least = (
            square > (max_norm / peak) ** 2,
            1 - 2 * np.finfo(dy.dtype).eps,
        )  # rounding leaves it in the limit
        if getattr(over, "_array", over).any():
            dx = dx * np.where(
                over, least * max_norm / peak / np.sqrt(np.where(over, square, 1)), 1
            )
    dx = dx if rows is None else np.where(rows, dx, dy)
    if open_report.get() is not None:  # norms cost time
        arrays = (getattr(d, "_array", d) for d in (dy, dx))
        record(*what, *[norm([d if rows is None else np.where(rows, d, 0)]) for d in arrays])
    return dx


clip_gradient.name = (
    "clip"  # what it is called in a graph; the function `np.clip` is the other one of that name
)


# the edits


def cut_edges(graph: G, edges: Edges = None, *, mask: Any = None, **where: Any) -> G:
    """See `Graph.cut`."""
    rows = _rows(graph, mask)

    def constants(edge: Edge) -> dict[str, Any]:
        chosen = rows(edge)
        return {"rows": None if chosen is None or chosen.all() else chosen}

    return _warned(graph, rewire(graph, select(graph, edges, **where), cut, constants))


def truncate(graph: G, k: int) -> G:
    """See `Graph.truncate`."""
    return _warned(graph, rewire(graph, windows(graph, k, "truncate"), cut))


def windows(graph: Graph, k: int, who: str) -> list[Edge]:
    """The edges between windows of k steps, which are counted back from the last step of each axis."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(
            f"{who}: k, the number of steps that a gradient may go back, must be ≥ 1, found {k!r}"
        )
    if not graph.axes:
        raise ValueError(f"{who}: {NO_TIME}")
    last = {
        axis: position for (axis, _), position in graph._positions.items()
    }  # which are in order

    def window(node: Tensor) -> tuple[Axis, int]:
        axis, position = graph.position(node)  # type: ignore[misc]  # asked of timed nodes only
        return axis, (last[axis] - position) // k

    between = (
        (edge, window(edge.source), window(edge.target))
        for edge in graph._between_steps()
        if edge.source.op
    )
    return [e for e, a, b in between if a[0] is b[0] and a != b and not graph._accumulates_loss(e)]


def clip_edges(
    graph: G, edges: Edges, max_norm: Any, max_value: Any, mask: Any = None, **where: Any
) -> G:
    """See `Graph.clip_edges`."""
    if max_norm is None and max_value is None:
        raise ValueError("clip_edges: a limit is needed, max_norm= or max_value=")
    limits = {"max_norm": max_norm, "max_value": max_value}
    limits = {
        name: None if value is None else check_limit(name, value) for name, value in limits.items()
    }
    rows, name_of, names = (
        _rows(graph, mask),
        state_names(graph),
        {axis: name for name, axis in graph.axes.items()},
    )

    def constants(edge: Edge) -> dict[str, Any]:
        axis = f"{names[edge.target.time.axis]}." if edge.target.time and len(names) > 1 else ""
        return {**limits, "rows": rows(edge), "what": (axis + name_of(edge.source), edge.target.t)}

    return rewire(graph, select(graph, edges, **where), clip_gradient, constants)


def rewire(
    graph: G,
    edges: list[Edge],
    op: Primitive,
    constants: Constants = lambda edge: {"rows": None},
) -> G:
    """The graph with one identity node for all chosen edges from one source into one time step."""
    crossings: dict[tuple[Tensor, Any], list[Edge]] = {}
    for edge in edges:
        if edge.source._requires_grad:
            crossings.setdefault((edge.source, graph.position(edge.target)), []).append(edge)
    name_of = state_names(graph)
    rewired = dict(graph.rewired)
    for (source, _), group in crossings.items():
        first = min((edge.target for edge in group), key=lambda target: target.serial)
        with recorded(enabled=True, time=first.time, scope=first._scope):
            node = op(source, **constants(group[0]))
        node._code, node.name = (
            None,
            f"{op.name}({name_of(source)})",
        )  # no line of the program made it
        node.serial = (
            max(source.serial, first.serial - 1) + first.serial
        ) / 2  # after its source, before its users
        for target, position in [edge[1:] for edge in group]:
            inputs = rewired.get(target, target.inputs)
            rewired[target] = (*inputs[:position], node, *inputs[position + 1 :])
    return graph.edited(rewired) if crossings else graph


def _warned(before: G, after: G) -> G:
    """The graph after a cut; warns of parameters that get no gradient any more."""
    missed = before.reached - after.reached
    if lost := [name for name, leaf in before.parameters.items() if leaf in missed]:
        warnings.warn(f"cut: no gradient reaches {', '.join(lost)} any more", stacklevel=4)
    return after


# which edges


def select(graph: Graph, edges: Edges = None, **where: Any) -> list[Edge]:
    """The edges that are given (by default all that carry state) and match the rest; see `Graph.cut`."""
    if edges is None and not graph.axes:
        raise ValueError(f"edit: {NO_TIME}")
    if strange := [key for key in where if key not in TRAITS]:
        raise TypeError(
            f"edit: edges are chosen by {', '.join(TRAITS)}; found {', '.join(strange)}"
        )
    names, name_of = {axis: name for name, axis in graph.axes.items()}, state_names(graph)

    def traits(edge: Edge) -> dict[str, Any]:
        source, target = edge.source, edge.target
        axis = target.time and names[target.time.axis]
        return dict(
            zip(
                TRAITS,
                (name_of(source), source.op and source.op.name, target.t, axis, source.scope),
            )
        )

    if edges is None or callable(edges):
        chosen = [
            edge
            for edge in (graph.edges if edges else graph.state_edges)
            if edges is None or edges(edge)
        ]
    else:
        chosen, there = (
            [edges] if isinstance(edges, Edge) or not isinstance(edges, Iterable) else [*edges],
            {*graph.edges},
        )
        for edge in chosen:
            if not isinstance(edge, Edge):
                raise TypeError(
                    f"edit: an Edge, several, a function of an edge or None is needed, found {edge!r:.50}"
                )
            if edge not in there:
                link = f"{name_of(edge.source)} → {name_of(edge.target)} of step {edge.target.t}"
                raise ValueError(
                    f"edit: the edge {link} is not in this graph; take some of graph.edges"
                )
    chosen = [
        e
        for e in chosen
        if not where or all(_matches(traits(e)[k], wanted, k) for k, wanted in where.items())
    ]
    if not chosen and (where or edges is not None):
        asked = ", ".join(f"{key}={wanted!r}" for key, wanted in where.items()) or "what was given"
        known = {
            key: [*dict.fromkeys(str(traits(edge)[key]) for edge in graph.state_edges)]
            for key in TRAITS
        }
        known = {
            key: v if len(v) <= MOST else [*v[:2], "...", v[-1]]
            for key, v in known.items()
            if any(v)
        }
        lines = [f"{key} {', '.join(v)}" for key, v in known.items()]
        raise ValueError(
            f"edit: no edge matches {asked}; state crosses at: {'; '.join(lines) or 'no edge'}"
        )
    return chosen


def _matches(value: Any, wanted: Any, key: str) -> bool:
    """Whether a trait is the wanted one, or one of those; a scope holds those below it."""
    options = wanted if isinstance(wanted, list | tuple | set | range) else [wanted]
    return value in options or (
        key == "scope" and value.startswith(tuple(f"{option}." for option in options))
    )


def state_names(graph: Graph, roles: bool = True) -> Callable[[Tensor], str]:
    """A function that tells what a node is called, as a state if it is one; it reads each line of the program once."""
    known: dict[Any, str] = graph.__dict__.setdefault("_labels", {})

    def name_of(node: Tensor) -> str:
        if roles and node.role is not None:
            return node.role.name
        key = (
            node.name,
            node._code,
            node._instruction,
            node.call and node.call.which,
            node.op,
            node.role,
        )
        if key not in known:
            known[key] = naming.label(graph, node)
        return known[key]

    return name_of


def _rows(graph: Graph, mask: Any) -> Callable[[Edge], Any]:
    """The rows of a batch that an edit is for, shaped like the state: from a mask (B), or (T, B) in the order of t."""
    table, steps = (
        np.asarray(mask),
        functools.cache(lambda axis: sorted(t for a, t in graph._positions if a is axis)),
    )

    def rows(edge: Edge) -> Any:
        if mask is None:
            return None
        time, batch = edge.target.time, edge.source.shape[:1]
        by_step = (len(steps(time and time.axis)), *batch)
        if table.dtype != bool or not batch or table.shape not in (batch, by_step):
            wanted = f"{batch} or {by_step}" if batch else "(B,), and a state that has rows,"
            found = f"found {table.dtype} of shape {table.shape} for a state of shape {edge.source.shape}"
            raise ValueError(f"mask: bool of shape {wanted} is needed, {found}")
        chosen = table if table.ndim == 1 or time is None else table[steps(time.axis).index(time.t)]
        return chosen.reshape(-1, *[1] * (edge.source.ndim - 1))

    return rows
