"""What each time step adds: gradients of shared weights, values, credit, and what truncation throws away.

Imports `graph`, `edits`, `flow`, `reports`.  Each function runs backward passes of its own and never writes `.grad`.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad.backward import backward_steps
from minigrad.clip import norm
from minigrad.edits import NO_TIME, EditedGraph, cut, rewire, state_names, truncate
from minigrad.flow import by_position, state_lines
from minigrad.graph import Edge, Graph
from minigrad.primitive import Scatter
from minigrad.reports import Credit, TruncationBias
from minigrad.scope import Axis
from minigrad.tensor import Tensor


def grad_by_step(graph: Graph, parameter: Tensor | str, norms: bool = False, axis: str | None = None) -> NDArray[Any]:
    """See `Graph.grad_by_step`."""
    leaf = graph.parameters.get(parameter) if isinstance(parameter, str) else parameter
    if leaf is None or leaf not in graph.users:
        raise ValueError(f"grad_by_step: {parameter!r} is not in the graph; parameters: {', '.join(graph.parameters)}")
    users = [edge.target for edge in graph.users[leaf] if edge.target._requires_grad]
    chosen = _one_axis(graph, users, f"grad_by_step: {state_names(graph)(leaf)} is used", axis)
    steps = sorted(t for a, t in graph._positions if a is chosen)
    rows = {t: k for k, t in enumerate(steps)}
    left = Counter(node.t for node in users if node.time and node.time.axis is chosen)
    table = np.zeros(len(steps) if norms else (len(steps), *leaf.shape), np.float64 if norms else leaf.dtype)
    sums: dict[int | None, Any] = {} if norms else {t: table[k, ...] for t, k in rows.items()}  # None: outside of time
    for step in graph.backward_steps():
        for x, dx in zip(step.inputs, step.contributions()):
            if x is leaf and dx is not None and (step.node.time is None or step.node.time.axis is chosen):
                total = sums.setdefault(step.t, np.zeros(leaf.shape, leaf.dtype))
                (dx if isinstance(dx, Scatter) else Scatter(..., dx)).add_into(total)
                left[step.t] -= 1
                if norms and step.t is not None and not left[step.t]:  # complete: only its norm is kept
                    table[rows[step.t]] = norm([sums.pop(step.t)])
    outside = sums.pop(None, None)
    for t in sums if norms else ():
        table[rows[t]] = norm([sums[t]])  # type: ignore[index]
    if outside is not None:
        text = f"grad_by_step: a gradient of norm {norm([outside]):.3g} that arises outside of time is not in the table"
        warnings.warn(text, stacklevel=3)
    return table


def values_by_step(graph: Graph, name: str, axis: str | None = None, scope: str | None = None) -> NDArray[Any]:
    """See `Graph.values_by_step`."""
    label_of = state_names(graph, roles=False)
    found = [n for n in graph.nodes if n.time and ((n.role is not None and n.role.name == name) or label_of(n) == name)]
    if not found:
        timed = sorted({label_of(n) for n in graph.nodes if n.time and n.op})
        raise ValueError(f"values_by_step: no node of a time step is called {name!r}; there are: {', '.join(timed)}")
    chosen = _one_axis(graph, found, f"values_by_step: {name} occurs", axis)
    found = [n for n in found if n.time and n.time.axis is chosen and (scope is None or n.scope == scope)]
    if not found:
        raise ValueError(f"values_by_step: {name} does not occur in scope {scope!r}")
    top = found[-1].scope  # of stacked layers the one that is nearest to the loss
    by_step = {n.t: n._array for n in found if n.scope == top}  # of several in one step the last, as a variable has it
    return np.stack([by_step[t] for t in sorted(by_step)])  # type: ignore[type-var]


def _one_axis(graph: Graph, nodes: Iterable[Tensor], what: str, axis: str | None) -> Axis:
    """The axis of that name, or the only one that the nodes are on."""
    names = {a: name for name, a in graph.axes.items()}
    found = {names[node.time.axis]: node.time.axis for node in nodes if node.time}
    if not found:
        why = " outside of all time steps only; ask for the node that they use" if graph.axes else f", but {NO_TIME}"
        raise ValueError(what + why)
    if axis is None and len(found) > 1:
        raise ValueError(f"{what} on several axes; choose one with axis=: {', '.join(found)}")
    if axis is not None and axis not in found:
        raise ValueError(f"{what} on {', '.join(found)}, not on an axis {axis!r}")
    return found[axis or next(iter(found))]


def credit(graph: Graph, state: str | None = None) -> Credit:
    """See `Graph.credit`."""
    all_lines = state_lines(graph, by_position(graph))
    lines = [line for line in all_lines if state in (None, line[1], f"{line[0]}.{line[1]}")]
    if len(lines) != 1:
        raise ValueError(f"credit: choose a state: {', '.join(f'{a}.{name}' for a, name, _ in all_lines)}")
    axis, name, line = lines[0]

    def on_axis(node: Tensor) -> bool:
        return node.time is not None and node.time.axis is axis

    sums = [e for e in graph.edges if on_axis(e.source) and on_axis(e.target) and graph._accumulates_loss(e)]
    sums = [e for e in sums if e.source.time != e.target.time]
    enters = {edge for edge in graph.edges if on_axis(edge.source) and not on_axis(edge.target)} | set(sums)
    seeds: dict[int, dict[Tensor, Any]] = {}  # what enters each position from anywhere but the state after it
    for y in graph.outputs:
        if on_axis(y):
            _add(seeds, graph, y, np.ones(y.shape, y.dtype))
    for step in graph.backward_steps():
        for k, (x, dx) in enumerate(zip(step.inputs, step.contributions())):
            if dx is not None and Edge(x, step.node, k) in enters:
                _add(seeds, graph, x, dx.dense(x) if isinstance(dx, Scatter) else dx)
    rewired = getattr(rewire(graph, sums, cut, lambda e: {"rows": None}), "rewired", {})
    columns = {node: k for k, node in enumerate(line[p] for p in sorted(line))}
    norms = np.zeros((len(columns), len(columns)))
    for k, position in enumerate(sorted(line)):
        parts = seeds.get(position, {})
        if parts:
            grads = tuple(parts.values())
            for step in EditedGraph(parts, rewired).backward_steps(grads if len(grads) > 1 else grads[0]):
                if step.node in columns:
                    norms[k, columns[step.node]] = norm([step.grad])
    return Credit(name, [node.t for node in columns if node.t is not None], norms)


def _add(seeds: dict[int, dict[Tensor, Any]], graph: Graph, x: Tensor, dx: Any) -> None:
    where = graph.position(x)
    if where is not None and x._requires_grad:
        parts = seeds.setdefault(where[1], {})
        parts[x] = parts[x] + dx if x in parts else dx


def truncation_bias(graph: Graph, k: int) -> TruncationBias:
    """See `Graph.truncation_bias`."""
    full, short = _leaf_grads(graph), _leaf_grads(truncate(graph, k))
    pairs = {n: (full[p], short.get(p, np.zeros_like(full[p]))) for n, p in graph.parameters.items() if p in full}
    flat = [np.concatenate([np.ravel(pair[j]) for pair in pairs.values()]) for j in (0, 1)]
    return TruncationBias(k, *_compared(flat[0], flat[1]), {name: _compared(*pair) for name, pair in pairs.items()})


def _leaf_grads(graph: Graph) -> dict[Tensor, Any]:
    pending = graph._pending(None, False)
    for _ in backward_steps(graph, pending):
        pass
    return pending.sums


def _compared(full: Any, short: Any) -> tuple[float, float]:
    a, b = norm([full]), norm([short])
    if not a or not b:
        return (math.nan if not a else 0.0), math.nan
    a_unit, b_unit = np.ravel(full) / a, np.ravel(short) / b  # the angle from chord lengths: exact where it is small
    return b / a, math.degrees(2 * math.atan2(norm([a_unit - b_unit]), norm([a_unit + b_unit])))
