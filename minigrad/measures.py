"""Numbers of a graph by time step: gradients of shared weights, values, the matrix of gradients,
truncation's bias.

Each function runs backward passes of its own and never writes `.grad`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import naming
from minigrad.edges import passages_of, windows
from minigrad.edits import cut_passages
from minigrad.flow import StateTrack, state_lines
from minigrad.graph import Axes, Edge, Graph
from minigrad.norms import norm
from minigrad.paths import Axis
from minigrad.reports import GradientMatrix, TruncationBias
from minigrad.states import NO_TIME
from minigrad.tensor import Tensor
from minigrad.watch import watch

Step = tuple[int, ...]  # the t of an axis and of those around it, outermost first


def grad_by_step(
    graph: Graph, parameter: Tensor | str, norms: bool = False, axis: Axes = None
) -> NDArray[Any]:
    """The gradient that each time step adds to a shared parameter: (T, *shape), in the order of t.

    norms: only their norms (T), without holding T copies.  axis: needed where several outermost
    axes use the parameter, as two layers that share a cell do; with several names, the shares of
    equal t are added up.  For an inner axis the result has one leading axis for each axis of its
    path, (T_outer, T_inner, *shape), with 0 where a run has no such step.  Raises ValueError for a
    parameter that is not used in a time step.  Warns of a part that arises outside of the axis.

    >>> import minigrad as mg
    >>> w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
    >>> for t in range(3):
    ...     with mg.time_step(t): h = w * h
    >>> mg.Graph(h).grad_by_step("w")
    array([0.25, 0.25, 0.25], dtype=float32)
    """
    leaf = graph.parameters.get(parameter) if isinstance(parameter, str) else parameter
    if leaf is None or leaf not in graph.users:
        known = ", ".join(graph.parameters)
        raise ValueError(f"grad_by_step: {parameter!r} is not in the graph; parameters: {known}")
    uses = [edge for edge in graph.users[leaf] if edge.target._requires_grad]
    what = f"grad_by_step: {naming.name_of(graph, leaf)} is used"
    names = [axis] if axis is None or isinstance(axis, str) else list(axis)
    targets = [edge.target for edge in uses]
    chosen = [_one_axis(graph, targets, what, name) for name in names]
    if len({len(own.chain) for own in chosen}) > 1:
        found = ", ".join(str(name) for name in names)
        raise ValueError(f"{what}; axes of one depth can be added up, found {found}")
    keys = {edge: _step_of_one(edge.target, chosen) for edge in uses if _is_on(edge, chosen)}
    rows = _joint_rows(graph, chosen)
    shape = tuple(len(row) for row in rows)
    size, dtype = (shape, np.float64) if norms else ((*shape, *leaf.shape), leaf.dtype)
    table: NDArray[Any] = np.zeros(size, dtype)
    for step, dx in watch(graph, keys):
        if step is None:
            _warn_of_the_rest(dx, chosen[0])
        else:
            index = tuple(row[t] for row, t in zip(rows, step))
            table[index] = norm(dx) if norms else dx
    return table


def _is_on(edge: Edge, axes: list[Axis]) -> bool:
    """Whether a use of a parameter is outside of time, or on the outermost of one of the axes."""
    path = edge.target.time
    return path is None or path.axis in [own.chain[0] for own in axes]


def _step_of_one(node: Tensor, axes: list[Axis]) -> Step | None:
    """The step of a node on the first of the axes that it is on."""
    return next((step for own in axes if (step := _step(node, own)) is not None), None)


def _joint_rows(graph: Graph, axes: list[Axis]) -> list[dict[int, int]]:
    """The rows of the steps of several axes of one depth, joined by t."""
    levels = zip(*[_rows(graph, own) for own in axes], strict=True)
    return [{t: k for k, t in enumerate(sorted({*chain(*level)}))} for level in levels]


def _warn_of_the_rest(dx: Any, axis: Axis) -> None:
    where = f"axis {axis}" if axis.parent else "time"
    arises = f"a gradient of norm {norm(dx):.3g} that arises outside of {where}"
    warnings.warn(f"grad_by_step: {arises} is not in the table", stacklevel=4)


def _step(node: Tensor, axis: Axis) -> Step | None:
    """The step of a node on an axis and those around it; None for a node outside of the axis."""
    depth = len(axis.chain)
    path = node.time or ()
    if len(path) < depth or path[depth - 1].axis is not axis:
        return None
    return tuple(t for _, t, _ in path[:depth])


def _rows(graph: Graph, axis: Axis) -> list[dict[int, int]]:
    """For an axis and each around it: the row of each t, in the order of t."""
    steps = [graph.timeline.steps_of(own) for own in axis.chain]
    return [{t: k for k, t in enumerate(sorted(own))} for own in steps]


def values_by_step(
    graph: Graph, name: str, axis: str | None = None, scope: str | None = None
) -> NDArray[Any]:
    """The values of a variable or state, one row per time step that has it: (T, *shape), in the
    order of t.

    Of stacked layers in which the name occurs: those of the last one, unless `scope` says which.
    For an inner axis the result has one leading axis for each axis of its path, with NaN where a
    run has no such step.

    >>> import minigrad as mg
    >>> w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
    >>> for t in range(3):
    ...     with mg.time_step(t): h = w * h
    >>> mg.Graph(h).values_by_step("h")
    array([0.5  , 0.25 , 0.125], dtype=float32)
    """
    inside = _named(graph, name, scope)
    chosen = _one_axis(graph, inside, f"values_by_step: {name} occurs", axis)
    found = [node for node in inside if _step(node, chosen) is not None]
    last_scope = found[-1].scope  # of stacked layers the one that is nearest to the loss
    by_step = {_step(x, chosen): x._array for x in found if x.scope == last_scope}
    if chosen.parent is None:
        return np.stack([by_step[step] for step in sorted(by_step)])  # type: ignore[type-var]
    rows = _rows(graph, chosen)
    shape = tuple(len(row) for row in rows)
    table = np.full((*shape, *found[-1].shape), np.nan, found[-1].dtype)
    for step, value in by_step.items():
        table[tuple(row[t] for row, t in zip(rows, step or ()))] = value
    return table


def _named(graph: Graph, name: str, scope: str | None) -> list[Tensor]:
    """The nodes of a name, as a state or as a variable, in a scope."""
    found = [
        node
        for node in graph.nodes
        if (node.role is not None and node.role.name == name)
        or (node.time and naming.name_of(graph, node, roles=False) == name)
    ]
    if not found and graph.axes:
        timed = [node for node in graph.nodes if node.time and node.op]
        known = sorted({naming.name_of(graph, node, roles=False) for node in timed})
        problem = f"no node of a time step is called {name!r}"
        raise ValueError(f"values_by_step: {problem}; there are: {', '.join(known)}")
    inside = [node for node in found if scope is None or node.scope == scope]
    if found and not inside:
        scopes = ", ".join(dict.fromkeys(repr(node.scope) for node in found))
        problem = f"{name} does not occur in scope {scope!r}"
        raise ValueError(f"values_by_step: {problem}; it occurs in {scopes}")
    return inside


def _one_axis(graph: Graph, nodes: Iterable[Tensor], what: str, axis: str | None) -> Axis:
    """The axis of that name, or the only outermost one that the nodes are on."""
    found = {
        graph.axis_name(c.axis): c.axis
        for node in nodes
        if graph.place(node)
        for c in node.time or ()
    }
    if not found:
        why = f", but {NO_TIME}"
        if graph.axes:
            why = " outside of all time steps only; ask for the node that they use"
        raise ValueError(what + why)
    outermost = [name for name, own in found.items() if own.parent is None]
    if axis is None and len(outermost) > 1:
        choices = ", ".join(outermost)
        raise ValueError(f"{what} on several axes; choose one with axis=: {choices}")
    if axis is not None and axis not in found:
        raise ValueError(f"{what} on {', '.join(found)}, not on an axis {axis!r}")
    return found[axis or outermost[0]]


# the matrix of gradients


def gradient_matrix(graph: Graph, state: str | None = None) -> GradientMatrix:
    """‖∂loss_t'/∂state_t‖ for all pairs of steps: how strongly the loss of step t' depends on the
    state of step t.

    state: "h", or "axis.h"; may be left out where the graph has one state.  One backward pass for
    each loss.
    """
    track = _one_track(graph, state)
    totals, seeds = _losses_by_step(graph, track)
    alone = cut_passages(graph, [p for edge in totals for p in passages_of(graph, edge)])
    columns = {x: k for k, x in enumerate(track.states)}
    norms = np.zeros((len(track.states), len(track.states)))
    for k, node in enumerate(track.states):
        parts = seeds.get(_step(node, track.axis), {})
        if parts:
            one = Graph(*parts, rewired=alone.rewired)
            for j, dx in watch(one, columns, tuple(parts.values())):
                norms[k, j] = norm(dx)
    return GradientMatrix(track.name, [x.time[-1].t for x in track.states if x.time], norms)


def _one_track(graph: Graph, state: str | None) -> StateTrack:
    known = state_lines(graph, "gradient_matrix")
    names = [f"{graph.axis_name(track.axis)}.{track.name}" for track in known]
    found = [track for track, name in zip(known, names) if state in (None, track.name, name)]
    if len(found) != 1:
        raise ValueError(f"gradient_matrix: choose a state: {', '.join(names)}")
    return found[0]


def _losses_by_step(
    graph: Graph, track: StateTrack
) -> tuple[list[Edge], dict[Step | None, dict[Tensor, Any]]]:
    """The edges that only accumulate losses, and what enters each step from anywhere but the state
    after it."""
    timed = [
        (edge, _step(edge.source, track.axis), _step(edge.target, track.axis))
        for edge in graph.edges
    ]
    totals = [
        edge
        for edge, t, later in timed
        if t is not None and later is not None and t != later and graph.accumulates_loss(edge)
    ]
    enters = [edge for edge, t, later in timed if t is not None and later is None]
    starts = [(y, np.ones(y.shape, y.dtype)) for y in graph.outputs]
    seeds: dict[Step | None, dict[Tensor, Any]] = {}
    keys = {edge: edge.source for edge in enters + totals}
    for x, dx in [*starts, *watch(graph, keys)]:
        parts = seeds.setdefault(_step(x, track.axis), {})
        parts[x] = parts.get(x, 0) + dx
    return totals, seeds


# the bias of truncation


def truncation_bias(graph: Graph, k: int, axis: Axes = None) -> TruncationBias:
    """How much gradient `truncate(k)` throws away: norm ratio and angle to the full gradient, per
    parameter.

    axis: as in `truncate`.
    """
    full = _leaf_grads(graph)
    short = _leaf_grads(cut_passages(graph, windows(graph, k, "truncation_bias", axis)))
    pairs = {name: (dx, short.get(name, np.zeros_like(dx))) for name, dx in full.items()}
    whole = [np.concatenate([np.ravel(pair[j]) for pair in pairs.values()]) for j in (0, 1)]
    by_parameter = {name: _compared(*pair) for name, pair in pairs.items()}
    return TruncationBias(k, *_compared(*whole), by_parameter)


def _leaf_grads(graph: Graph) -> dict[str, Any]:
    """The gradient of each parameter by name."""
    keys = {edge: name for name, leaf in graph.parameters.items() for edge in graph.users[leaf]}
    found = dict(watch(graph, keys))
    return {name: found[name] for name in graph.parameters if name in found}


def _compared(full: Any, short: Any) -> tuple[float, float]:
    """‖short‖ / ‖full‖, and the angle in degrees, from chord lengths: exact where it is small."""
    a, b = norm(full), norm(short)
    if not a:
        return math.nan, math.nan
    if not b:
        return 0.0, math.nan
    chords = [norm(np.ravel(full) / a + sign * np.ravel(short) / b) for sign in (-1, 1)]
    return b / a, math.degrees(2 * math.atan2(*chords))
