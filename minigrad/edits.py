"""Edits of a graph: cut, truncate, or limit what flows back along chosen edges.  Imports `graph`, `clip`, `naming`.

An edit returns a new graph on the same nodes.  On each crossing (all chosen edges from one source into one time step)
stands an identity node, `cut` or `clip`, whose rule acts on the *sum* of the gradients that cross.  It exists in the
adjacency of the new graph alone, so the backward loop and the pictures know nothing of edits.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from minigrad import naming
from minigrad.clip import check_limit, norm
from minigrad.graph import Edge, Graph
from minigrad.primitive import Primitive, primitive
from minigrad.reports import record, reporting
from minigrad.scope import Axis, recorded
from minigrad.tensor import Tensor

Edges = Edge | Iterable[Edge] | Callable[[Edge], bool] | None
NO_TIME = (
    "the graph has no time labels, so nothing crosses a time step; loop over mg.timesteps(xs), write "
    "`with mg.time_step(t):` around each step, or unroll a cell with nn.Unroll"
)


@primitive
def cut(x: Any, *, rows: Any = None) -> Any:
    """The identity, through which no gradient flows back; with rows, only into those that are False."""
    return x


@cut.gradient
def cut_dx(dy: Any, y: Any, x: Any, *, rows: Any) -> Any:
    """Zero, or zero in the chosen rows."""
    return None if rows is None else np.where(rows, 0, dy)


@primitive
def clip_gradient(x: Any, *, max_norm: Any, max_value: Any, rows: Any, what: Any) -> Any:
    """The identity, through which a limited gradient flows back; with rows, each row that is True by itself."""
    return x


@clip_gradient.gradient
def clip_gradient_dx(dy: Any, y: Any, x: Any, *, max_norm: Any, max_value: Any, rows: Any, what: Any) -> Any:
    """Each entry into [-max_value, max_value], then the norm down to max_norm."""
    if not np.isfinite(_array(dy)).all():
        raise FloatingPointError(f"clip_edges: the gradient that crosses by {what[0]} is not finite")
    dx = dy if max_value is None else np.clip(dy, -max_value, max_value)
    if max_norm is not None:
        wide = dx.astype(np.float64)
        axes = None if rows is None else tuple(range(1, dy.ndim))
        square = np.sum(wide * wide, axis=axes, keepdims=True)
        over = square > max_norm**2
        if _array(over).any():  # what is within the limit passes bit for bit
            dx = dx * np.where(over, max_norm / np.sqrt(np.where(over, square, 1)), 1)
    dx = dx if rows is None or dx is dy else np.where(rows, dx, dy)
    if reporting():
        record(what[0], what[1], norm([_array(dy)]), norm([_array(dx)]))
    return dx


def _array(x: Any) -> Any:
    return x._array if isinstance(x, Tensor) else x


clip_gradient.name = "clip"  # what it is called in a graph; the function `np.clip` is the other one of that name


class EditedGraph(Graph):
    """A graph in which identity nodes stand on some edges."""

    def __init__(self, outputs: Iterable[Tensor], rewired: Mapping[Tensor, tuple[Tensor, ...]]) -> None:
        self.rewired = rewired  # what flows into a node, where that differs from its own inputs
        super().__init__(*outputs)

    def inputs(self, node: Tensor) -> tuple[Tensor, ...]:
        """The tensors that flow into a node, identity nodes among them."""
        return self.rewired.get(node, node.inputs)

    @cached_property
    def reached(self) -> set[Tensor]:
        """The nodes from which a path that is not cut leads to an output."""
        cuts = {node for node in self.nodes if node.op is cut and node.constants["rows"] is None}
        found = set(self.outputs if cuts else self.nodes)
        for node in reversed(self.nodes if cuts else ()):
            if node in found and node not in cuts:
                found.update(self._indexed(node) if node.op and node.op.name == "stack" else self.inputs(node))
        return found

    def _indexed(self, node: Tensor) -> tuple[Tensor, ...]:
        """The parts of a stack that a gradient other than zero may reach: where it is only indexed, those indices."""
        parts, taken = np.arange(len(self.inputs(node))), list[int]()
        for edge in self.users[node]:
            index = edge.target.constants.get("index")  # None unless it is `getitem`
            first = index[0] if isinstance(index, tuple) and index else index
            if node.constants["axis"] != 0 or not isinstance(first, int | slice | np.ndarray):
                return self.inputs(node)
            taken.extend(np.atleast_1d(parts[first]))
        return self.inputs(node) if any(node is y for y in self.outputs) else tuple(self.inputs(node)[k] for k in taken)

    @cached_property
    def order(self) -> list[Tensor]:
        """The nodes that the backward loop visits: those that a gradient reaches, last first."""
        return [node for node in super().order if node in self.reached]

    def __repr__(self) -> str:
        edits = Counter(node.op.name for node in self.nodes if node.op in (cut, clip_gradient))
        return f"{super().__repr__()}; edited: " + ", ".join(f"{name} × {count}" for name, count in edits.items())


# the edits


def cut_edges(graph: Graph, edges: Edges = None, *, mask: Any = None, **where: Any) -> Graph:
    """See `Graph.cut`."""
    rows = _rows(mask)
    return _without_loss(graph, rewire(graph, select(graph, edges, **where), cut, lambda e: {"rows": rows(e)}))


def truncate(graph: Graph, k: int) -> Graph:
    """See `Graph.truncate`."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(f"truncate: k, the number of steps that a gradient may go back, must be ≥ 1, found {k!r}")
    if not graph.axes:
        raise ValueError(f"truncate: {NO_TIME}")
    last = {axis: max(p for (a, _), p in graph._positions.items() if a is axis) for axis in graph.axes.values()}

    def window(node: Tensor) -> tuple[Axis, int]:
        axis, position = graph.position(node)  # type: ignore[misc]  # asked of timed nodes only
        return axis, (last[axis] - position) // k

    chosen = [
        edge
        for edge in graph._between_steps()
        if edge.source.op and window(edge.source)[0] is window(edge.target)[0]
        if window(edge.source) != window(edge.target) and not graph._accumulates_loss(edge)
    ]
    return _without_loss(graph, rewire(graph, chosen, cut, lambda e: {"rows": None}))


def clip_edges(graph: Graph, edges: Edges, max_norm: Any, max_value: Any, mask: Any = None, **where: Any) -> Graph:
    """See `Graph.clip_edges`."""
    limits = {"max_norm": max_norm, "max_value": max_value}
    limits = {name: None if value is None else check_limit(name, value) for name, value in limits.items()}
    if max_norm is None and max_value is None:
        raise ValueError("clip_edges: a limit is needed, max_norm= or max_value=")
    rows, name_of = _rows(mask), state_names(graph)

    def constants(edge: Edge) -> dict[str, Any]:
        return {**limits, "rows": rows(edge), "what": (name_of(edge.source), edge.target.t)}

    return rewire(graph, select(graph, edges, **where), clip_gradient, constants)


def rewire(graph: Graph, edges: list[Edge], op: Primitive, constants: Callable[[Edge], dict[str, Any]]) -> Graph:
    """The graph with one identity node for all chosen edges from one source into one time step."""
    crossings: dict[tuple[Tensor, Any], list[Edge]] = {}
    for edge in edges:
        if edge.source._requires_grad:
            crossings.setdefault((edge.source, graph.position(edge.target)), []).append(edge)
    name_of = state_names(graph)
    rewired = dict(graph.rewired) if isinstance(graph, EditedGraph) else {}
    for (source, _), group in crossings.items():
        first = min((edge.target for edge in group), key=lambda target: target.serial)
        with recorded(enabled=True, time=first.time, scope=first._scope):
            node = op(source, **constants(group[0]))
        node._code, node.name = None, f"{op.name}({name_of(source)})"  # no line of the program made it
        node.serial = (max(source.serial, first.serial - 1) + first.serial) / 2  # after its source, before its users
        for edge in group:
            inputs = list(rewired.get(edge.target, edge.target.inputs))
            inputs[edge.position] = node
            rewired[edge.target] = tuple(inputs)
    return EditedGraph(graph.outputs, rewired) if crossings else graph


def _without_loss(before: Graph, after: Graph) -> Graph:
    """The graph after a cut; warns of parameters that get no gradient any more."""
    if isinstance(after, EditedGraph) and after is not before:
        reached = before.reached if isinstance(before, EditedGraph) else set(before.nodes)
        lost = [name for name, leaf in before.parameters.items() if leaf in reached and leaf not in after.reached]
        if lost:
            warnings.warn(f"cut: no gradient reaches {', '.join(lost)} any more", stacklevel=4)
    return after


# which edges


def select(graph: Graph, edges: Edges = None, **where: Any) -> list[Edge]:
    """The edges that are given (by default all that carry state) and match the rest; see `Graph.cut`."""
    if edges is None and not graph.axes:
        raise ValueError(f"edit: {NO_TIME}")
    if edges is None or callable(edges):
        chosen = list(graph.state_edges) if edges is None else [edge for edge in graph.edges if edges(edge)]
    else:
        chosen, known = [edges] if isinstance(edges, Edge) else list(edges), set(graph.edges)
        for edge in chosen:
            if edge not in known:
                raise ValueError(f"edit: {edge!r} is not in this graph; take one of graph.edges or graph.state_edges")
    names, name_of = {axis: name for name, axis in graph.axes.items()}, state_names(graph)
    traits: dict[str, Callable[[Edge], Any]] = {
        "name": lambda edge: name_of(edge.source),
        "op": lambda edge: edge.source.op and edge.source.op.name,
        "t": lambda edge: edge.target.t,
        "axis": lambda edge: edge.target.time and names[edge.target.time.axis],
        "scope": lambda edge: edge.source.scope,
    }
    if not where.keys() <= traits.keys():
        raise TypeError(f"edit: edges are chosen by {', '.join(traits)}; found {', '.join(where.keys() - traits)}")
    if where.get("axis") not in (None, *graph.axes):
        raise ValueError(f"edit: axis {where['axis']!r} is not in the graph; its axes: {', '.join(graph.axes)}")
    for key, wanted in where.items():
        inside = f"{wanted}." if key == "scope" else None  # a scope holds those below it
        chosen = [e for e in chosen if (is_ := traits[key](e)) == wanted or (inside and is_.startswith(inside))]
    if not chosen and (where or edges is not None):
        states = {
            " ".join(f"{key} {trait(e)}" for key, trait in traits.items() if key != "t") for e in graph.state_edges
        }
        raise ValueError(f"edit: no edge matches; state crosses at: {'; '.join(sorted(states)) or 'none'}")
    return chosen


def state_names(graph: Graph, roles: bool = True) -> Callable[[Tensor], str]:
    """A function that tells what a node is called, as a state if it is one; it reads each line of the program once."""
    known: dict[Any, str] = {}

    def name_of(node: Tensor) -> str:
        if roles and node.role is not None:
            return node.role.name
        key = node.name, node._code, node._instruction, node.call and node.call.which, node.op, node.role
        if key not in known:
            known[key] = naming.label(graph, node)
        return known[key]

    return name_of


def _rows(mask: Any) -> Callable[[Edge], Any]:
    """The rows of a batch that an edit is for, shaped like the state: from a mask (B), or (T, B) by time step."""
    if mask is None:
        return lambda edge: None
    table = np.asarray(mask.data if isinstance(mask, Tensor) else mask)

    def rows(edge: Edge) -> Any:
        t, shape = edge.target.t, edge.source.shape
        chosen = table[t] if table.ndim == 2 and t is not None and t < len(table) else table
        if table.dtype != bool or not shape or chosen.shape != shape[:1]:
            raise ValueError(
                f"mask: bool of shape (B,) or (T, B) with B = {shape[0] if shape else 'a batch axis'} is needed "
                f"for a state of shape {shape}, found {table.dtype} of shape {table.shape}"
            )
        return chosen.reshape(-1, *[1] * (len(shape) - 1))

    return rows
