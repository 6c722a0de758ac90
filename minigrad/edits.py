"""Edits of a graph: cut, truncate, or limit what flows back along chosen edges.

An edit returns a new graph on the same nodes.  On each crossing (all chosen edges from one source
into one time step) stands an identity node, `cut` or `clip`, whose rule acts on the *sum* of the
gradients that cross.  It exists in the adjacency of the new graph alone, so the backward loop and
the pictures know nothing of edits.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from minigrad import naming
from minigrad.clip import check_limit
from minigrad.edges import Edges, Passage, Rows, select, windows
from minigrad.graph import Axes, Crossing, Edge, Graph
from minigrad.norms import array_of, norm
from minigrad.primitive import Primitive, primitive
from minigrad.reports import open_report, record
from minigrad.scope import recorded
from minigrad.states import whole
from minigrad.tensor import Tensor

G = TypeVar("G", bound=Graph)
Constants = Callable[[Passage], dict[str, Any]]  # of the identity node on a passage


@primitive(edit=True, blocks=True)
def cut(x: Any, *, rows: Any = None) -> Any:
    """The identity, through which no gradient flows back; with rows, only into those that are
    False."""
    return x


@cut.gradient
def cut_dx(dy: Any, y: Any, x: Any, *, rows: Any) -> Any:
    """Zero, or zero in the chosen rows."""
    return None if rows is None else np.where(rows, 0, dy)


@primitive(name="clip", edit=True)  # the function `np.clip` is another one of that name
def clip_gradient(x: Any, *, max_norm: Any, max_value: Any, rows: Any, what: Any) -> Any:
    """The identity, through which a limited gradient flows back; with rows, each row that is True
    by itself."""
    return x


@clip_gradient.gradient
def clip_gradient_dx(
    dy: Any, y: Any, x: Any, *, max_norm: Any, max_value: Any, rows: Any, what: Any
) -> Any:
    """Each entry into [-max_value, max_value], then the norm down to max_norm; what is within
    passes bit for bit."""
    peak = float(np.max(np.abs(array_of(dy)), initial=0.0)) or 1.0
    if not np.isfinite(peak):
        problem = f"clip_edges: the gradient that crosses by {what[0]} is not finite"
        raise FloatingPointError(problem)
    dx = dy if max_value is None else np.clip(dy, -max_value, max_value)
    if max_norm is not None:
        dx = _limited(dx, peak, max_norm, None if rows is None else tuple(range(1, dy.ndim)))
    if rows is not None:
        dx = np.where(rows, dx, dy)
    if open_report.get() is not None:  # norms cost time
        chosen = [array_of(d) if rows is None else np.where(rows, array_of(d), 0) for d in (dy, dx)]
        record(what[0], what[1], norm(chosen[0]), norm(chosen[1]))
    return dx


def _limited(dx: Any, peak: float, max_norm: float, axis: tuple[int, ...] | None) -> Any:
    """dx scaled so that its norm over the axes is at most max_norm; peak: the largest |dx|."""
    scaled = (
        dx.astype(np.float64) / peak
    )  # scaled first, so that squares neither overflow nor underflow
    square = np.sum(scaled * scaled, axis=axis, keepdims=True)
    over = square > (max_norm / peak) ** 2
    if not array_of(over).any():
        return dx
    below = 1 - 2 * np.finfo(dx.dtype).eps  # so that rounding cannot exceed the limit
    factor = below * max_norm / peak / np.sqrt(np.where(over, square, 1))
    return dx * np.where(over, factor, 1)


# the edits


def cut_edges(graph: G, edges: Edges = None, *, mask: Any = None, **where: Any) -> G:
    """The graph with no gradient along the chosen edges.

    edges: an `Edge`, several, a function of an edge, or None: all that carry state.  where: which
    of them, by name= or op= of the source (an LSTM's "h" or "c"), t= of the step that is entered,
    axis= (by default the outermost axes), scope= of the source.  mask: bool (B), or (T, B) by time
    step: cut those rows of the batch only. Warns of parameters that get no gradient any more.

    >>> import minigrad as mg
    >>> w, h = mg.tensor(3.0, requires_grad=True), mg.tensor(1.0)
    >>> for t in range(3):
    ...     with mg.time_step(t): h = w * h
    >>> mg.Graph(h).cut(t=2).backward(); w.grad
    tensor(9)
    """
    rows = Rows(graph, mask)

    def constants(passage: Passage) -> dict[str, Any]:
        chosen = rows.of(passage)
        return {"rows": None if chosen is None or chosen.all() else chosen}

    return _warned(graph, rewire(graph, select(graph, edges, **where), cut, constants))


def truncate(graph: G, k: int, axis: Axes = None) -> G:
    """The graph in which no gradient path has more than k steps of an axis within one run:
    truncated BPTT.

    Crossings are cut at every k-th boundary, counted back from the last step of each run; k ≥ T
    changes nothing. axis: the name of an axis, or several; by default the outermost ones.  Raises
    ValueError for k < 1 and for a graph without time labels, KeyError for an axis that is not in
    the graph. (Williams and Peng 1990, An efficient gradient-based algorithm for on-line training
    of recurrent networks.)

    >>> import minigrad as mg
    >>> w, h = mg.tensor(3.0, requires_grad=True), mg.tensor(1.0)
    >>> for t in range(3):
    ...     with mg.time_step(t): h = w * h
    >>> mg.Graph(h).truncate(2).backward(); w.grad
    tensor(18)
    """
    return _warned(graph, cut_passages(graph, windows(graph, k, "truncate", axis)))


def cut_passages(graph: G, passages: list[Passage]) -> G:
    """The graph with no gradient along some passages."""
    return rewire(graph, passages, cut, lambda passage: {"rows": None})


def clip_edges(
    graph: G,
    edges: Edges = None,
    max_norm: float | None = None,
    max_value: float | None = None,
    *,
    mask: Any = None,
    **where: Any,
) -> G:
    """The graph in which the gradient that crosses into each step has at most this norm, or these
    values.

    edges, where, mask=: as in `cut`; with mask= the limit holds for each chosen row by itself.  All
    edges from one source into one step are one crossing: the limit is for their sum.  A value that
    is used several steps later crosses every step in between.  The backward pass raises
    FloatingPointError for a gradient that is not finite.

    >>> import minigrad as mg
    >>> w, h = mg.tensor(3.0, requires_grad=True), mg.tensor(1.0)
    >>> for t in range(3):
    ...     with mg.time_step(t): h = w * h
    >>> graph = mg.Graph(h)
    >>> graph.backward(); w.grad
    tensor(27)
    >>> w.grad = None; graph.clip_edges(max_norm=1).backward(); w.grad
    tensor(13)
    """
    if max_norm is None and max_value is None:
        raise ValueError("clip_edges: a limit is needed, max_norm= or max_value=")
    limits = {
        name: None if value is None else check_limit(name, value)
        for name, value in (("max_norm", max_norm), ("max_value", max_value))
    }
    rows = Rows(graph, mask)

    def constants(passage: Passage) -> dict[str, Any]:
        return {**limits, "rows": rows.of(passage), "what": _crossing_name(graph, passage)}

    return rewire(graph, select(graph, edges, **where), clip_gradient, constants)


def _crossing_name(graph: Graph, passage: Passage) -> tuple[str, int | None]:
    """What a clip report calls a crossing: the state, with its axis if there are several, and the
    step entered."""
    name = naming.name_of(graph, whole(graph, passage.edge.source))
    path = graph.timeline.path(passage.crossing.step)
    if not path:
        return name, None
    axis, t, _ = path[-1]
    return (f"{graph.axis_name(axis)}.{name}" if len(graph.axes) > 1 else name), t


def rewire(graph: G, passages: list[Passage], op: Primitive, constants: Constants) -> G:
    """The graph with one identity node on each chosen crossing.

    An edge that crosses several chosen steps goes through the nodes of all of them, one after the
    other.
    """
    ways: dict[Edge, list[Passage]] = {}
    for passage in passages:
        if passage.edge.source._requires_grad:
            ways.setdefault(passage.edge, []).append(passage)
    inserted: dict[tuple[Crossing, ...], Tensor] = {}
    rewired = dict(graph.rewired)
    for edge in sorted(ways, key=lambda edge: edge.target.serial):
        node, way = edge.source, [passage.crossing for passage in ways[edge]]
        for k, passage in enumerate(ways[edge]):
            so_far = tuple(way[: k + 1])
            if so_far not in inserted:
                made = _identity(graph, op, node, passage, constants(passage))
                earliest = max(
                    node.serial, edge.target.serial - 1
                )  # after its source, before its users
                made.serial = earliest + (edge.target.serial - earliest) / (len(way) - k + 1)
                inserted[so_far] = made
            node = inserted[so_far]
        inputs = rewired.get(edge.target, edge.target.inputs)
        rewired[edge.target] = (*inputs[: edge.position], node, *inputs[edge.position + 1 :])
    return graph.edited(rewired) if ways else graph


def _identity(
    graph: Graph, op: Primitive, source: Tensor, passage: Passage, constants: dict[str, Any]
) -> Tensor:
    """An identity node in the step that is entered, outside of its inner loops."""
    path, target = graph.timeline.path(passage.crossing.step), passage.edge.target
    time = path if passage.crossing.step else target.time
    with recorded(enabled=True, time=time, scope=target._scope):
        node: Tensor = op(source, **constants)
    node._code = None  # no line of the program made it
    node.name = f"{op.name}({naming.name_of(graph, whole(graph, passage.edge.source))})"
    return node


def _warned(before: G, after: G) -> G:
    """The graph after a cut; warns of parameters that get no gradient any more."""
    reached = before.reached if before.cuts else set(before.nodes)
    missed = reached - after.reached if after.cuts else set()
    lost = [name for name, leaf in before.parameters.items() if leaf in missed]
    if lost:
        warnings.warn(f"cut: no gradient reaches {', '.join(lost)} any more", stacklevel=4)
    return after
