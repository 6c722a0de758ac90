"""What each time step adds: gradients of shared weights, values, credit, and what truncation throws away.

Imports `graph`, `edits`, `flow`, `reports`.  Each function runs backward passes of its own and never writes `.grad`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad.clip import norm
from minigrad.edits import NO_TIME, cut, rewire, state_names, windows
from minigrad.flow import state_lines, watch
from minigrad.graph import Graph
from minigrad.reports import Credit, TruncationBias
from minigrad.scope import Axis
from minigrad.tensor import Tensor


def grad_by_step(
    graph: Graph, parameter: Tensor | str, norms: bool = False, axis: str | None = None
) -> NDArray[Any]:
    """See `Graph.grad_by_step`."""
    leaf = graph.parameters.get(parameter) if isinstance(parameter, str) else parameter
    if leaf is None or leaf not in graph.users:
        raise ValueError(
            f"grad_by_step: {parameter!r} is not in the graph; parameters: {', '.join(graph.parameters)}"
        )
    uses = [edge for edge in graph.users[leaf] if edge.target._requires_grad]
    chosen = _one_axis(
        graph, (e.target for e in uses), f"grad_by_step: {state_names(graph)(leaf)} is used", axis
    )
    keys = {
        edge: edge.target.t
        for edge in uses
        if edge.target.time is None or edge.target.time.axis is chosen
    }
    rows = {
        t: k
        for k, t in enumerate(
            sorted({n.time.t for n in graph.nodes if n.time and n.time.axis is chosen})
        )
    }
    table = np.zeros(
        len(rows) if norms else (len(rows), *leaf.shape), np.float64 if norms else leaf.dtype
    )
    for t, dx in watch(graph, keys):
        if t is not None:
            table[rows[t]] = norm([dx]) if norms else dx
        else:
            text = f"grad_by_step: a gradient of norm {norm([dx]):.3g} that arises outside of time is not in the table"
            warnings.warn(text, stacklevel=3)
    return table


def values_by_step(
    graph: Graph, name: str, axis: str | None = None, scope: str | None = None
) -> NDArray[Any]:
    """See `Graph.values_by_step`."""
    label_of = state_names(graph, roles=False)
    found = [
        n
        for n in graph.nodes
        if (n.role is not None and n.role.name == name) or (n.time and label_of(n) == name)
    ]
    if not found and graph.axes:
        timed = sorted({label_of(n) for n in graph.nodes if n.time and n.op})
        raise ValueError(
            f"values_by_step: no node of a time step is called {name!r}; there are: {', '.join(timed)}"
        )
    inside = [n for n in found if scope is None or n.scope == scope]
    if found and not inside:
        scopes = ", ".join(dict.fromkeys(repr(n.scope) for n in found))
        raise ValueError(
            f"values_by_step: {name} does not occur in scope {scope!r}; it occurs in {scopes}"
        )
    chosen = _one_axis(graph, inside, f"values_by_step: {name} occurs", axis)
    found = [n for n in inside if n.time and n.time.axis is chosen]
    top = found[-1].scope  # of stacked layers the one that is nearest to the loss
    by_step = {
        n.t: n._array for n in found if n.scope == top
    }  # of several in one step the last, as a variable has it
    return np.stack([by_step[t] for t in sorted(by_step)])  # type: ignore[type-var]


def _one_axis(graph: Graph, nodes: Iterable[Tensor], what: str, axis: str | None) -> Axis:
    """The axis of that name, or the only one that the nodes are on."""
    names = {a: name for name, a in graph.axes.items()}
    found = {names[node.time.axis]: node.time.axis for node in nodes if node.time}
    if not found:
        why = (
            " outside of all time steps only; ask for the node that they use"
            if graph.axes
            else f", but {NO_TIME}"
        )
        raise ValueError(what + why)
    if axis is None and len(found) > 1:
        raise ValueError(f"{what} on several axes; choose one with axis=: {', '.join(found)}")
    if axis is not None and axis not in found:
        raise ValueError(f"{what} on {', '.join(found)}, not on an axis {axis!r}")
    return found[axis or next(iter(found))]


def credit(graph: Graph, state: str | None = None) -> Credit:
    """See `Graph.credit`."""
    known = state_lines(graph, "credit")
    lines = [line for line in known if state in (None, line.name, f"{line.axis}.{line.name}")]
    if len(lines) != 1:
        raise ValueError(
            f"credit: choose a state: {', '.join(f'{line.axis}.{line.name}' for line in known)}"
        )
    axis, states = lines[0].axis, lines[0].states

    def step_of(node: Tensor) -> int | None:
        return node.time.t if node.time is not None and node.time.axis is axis else None

    timed = [(edge, step_of(edge.source), step_of(edge.target)) for edge in graph.edges]
    totals = [
        e
        for e, t, later in timed
        if None not in (t, later) and t != later and graph._accumulates_loss(e)
    ]
    enters = [e for e, t, later in timed if t is not None and later is None] + totals
    seeds: dict[
        int | None, dict[Tensor, Any]
    ] = {}  # what enters each step from anywhere but the state after it
    starts = [(y, np.ones(y.shape, y.dtype)) for y in graph.outputs]
    for x, dx in [*starts, *watch(graph, {edge: edge.source for edge in enters})]:
        parts = seeds.setdefault(step_of(x), {})
        parts[x] = parts.get(x, 0) + dx
    alone, columns = rewire(graph, totals, cut), {x: k for k, x in enumerate(states)}
    norms = np.zeros((len(states), len(states)))
    for k, node in enumerate(states):
        if parts := seeds.get(step_of(node), {}):
            one = Graph(*parts, rewired=alone.rewired)
            for j, dx in watch(one, columns, tuple(parts.values())):
                norms[k, j] = norm([dx])
    return Credit(lines[0].name, [x.time.t for x in states if x.time], norms)


def truncation_bias(graph: Graph, k: int) -> TruncationBias:
    """See `Graph.truncation_bias`."""
    full, short = (
        _leaf_grads(graph),
        _leaf_grads(rewire(graph, windows(graph, k, "truncation_bias"), cut)),
    )
    pairs = {name: (dx, short.get(name, np.zeros_like(dx))) for name, dx in full.items()}
    flat = [np.concatenate([np.ravel(pair[j]) for pair in pairs.values()]) for j in (0, 1)]
    return TruncationBias(
        k, *_compared(*flat), {name: _compared(*pair) for name, pair in pairs.items()}
    )


def _leaf_grads(graph: Graph) -> dict[str, Any]:
    """The gradient of each parameter by name."""
    found = dict(
        watch(
            graph,
            {edge: name for name, leaf in graph.parameters.items() for edge in graph.users[leaf]},
        )
    )
    return {name: found[name] for name in graph.parameters if name in found}


def _compared(full: Any, short: Any) -> tuple[float, float]:
    """‖short‖ / ‖full‖, and the angle in degrees, from chord lengths: exact where it is small."""
    a, b = norm([full]), norm([short])
    if not a or not b:
        return (math.nan if not a else 0.0), math.nan
    chords = [norm([np.ravel(full) / a + sign * np.ravel(short) / b]) for sign in (-1, 1)]
    return b / a, math.degrees(2 * math.atan2(*chords))
