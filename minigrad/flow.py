"""What gradients do on their way back through time, measured.  Imports `graph`, `edits`, `clip` (norms), `reports`.

Each function runs a backward pass of its own and never writes `.grad`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.clip import norm
from minigrad.edits import NO_TIME, EditedGraph, state_names
from minigrad.graph import Edge, Graph
from minigrad.primitive import Scatter
from minigrad.reports import GradientFlow, Path
from minigrad.scope import Axis
from minigrad.tensor import Tensor, constant

JACOBIANS = 0.1  # of the rule calls of a backward pass may be spent on Jacobians, each of which costs a small graph

# φ′ of the activations, from their output
SLOPES: dict[str, Callable[[Any], Any]] = {
    "tanh": lambda y: 1 - y * y,
    "sigmoid": lambda y: y * (1 - y),
    "relu": lambda y: y > 0,
    "softplus": lambda y: 1 - np.exp(-y),
}


def gradient_flow(graph: Graph, jacobians: bool | str = True) -> GradientFlow:
    """See `Graph.gradient_flow`."""
    members = by_position(graph)
    lines = state_lines(graph, members)
    nodes = {node for _, _, line in lines for node in line.values()}
    crossings: dict[Tensor, list[Edge]] = {}
    for edge in graph.state_edges:
        if edge.source in nodes:
            crossings.setdefault(edge.target, []).append(edge)
    total, crossing = dict.fromkeys(nodes, 0.0), dict[Tensor, Any]()
    for step in graph.backward_steps():
        for edge in crossings.get(step.node, ()):
            dx = step.contributions()[edge.position]
            if dx is not None:
                dx = dx.dense(edge.source) if isinstance(dx, Scatter) else dx
                crossing[edge.source] = crossing[edge.source] + dx if edge.source in crossing else dx
        if step.node in nodes:
            total[step.node] = norm([step.grad])
    gains, slopes = _jacobians(graph, lines, members, jacobians), _slopes(graph, members)
    names = {axis: name for name, axis in graph.axes.items()}
    paths = []
    for axis, state, line in lines:
        path = [line[p] for p in sorted(line)]
        totals = np.array([total[node] for node in path])
        arriving = np.array([norm([crossing[node]]) if node in crossing else 0.0 for node in path[:-1]] + [math.nan])
        gained = np.array([gains.get(node, math.nan) for node in path])
        gates = {g: np.array([by.get(p, math.nan) for p in sorted(line)]) for (a, g), by in slopes.items() if a is axis}
        t = [node.t for node in path if node.t is not None]
        paths.append(Path(names[axis], state, t, totals, arriving, gained, gates))
    return GradientFlow(tuple(paths))


Members = dict[tuple[Axis, int], list[Tensor]]


def by_position(graph: Graph) -> Members:
    """The nodes at each position of each axis."""
    members: Members = {}
    for node in graph.nodes:
        if (where := graph.position(node)) is not None:
            members.setdefault(where, []).append(node)
    return members


def state_lines(graph: Graph, members: Members) -> list[tuple[Axis, str, dict[int, Tensor]]]:
    """For each state of each axis: its node at each position, up to the last one that the graph has."""
    if not members:
        raise ValueError(f"gradient_flow: {NO_TIME}")
    name_of = state_names(graph)
    lines: dict[tuple[Axis, str, str], dict[int, Tensor]] = {}
    for source, position in graph.crossings:
        if source.op is not None and source._requires_grad and source.time is not None:
            lines.setdefault((source.time.axis, source.scope, name_of(source)), {})[position - 1] = source
    if not lines:
        raise ValueError("gradient_flow: no state crosses a time step in this graph, so there is no flow to measure")
    for (axis, scope, name), line in lines.items():
        end = max(line) + 1  # the last state crosses nothing: it is known by its name
        last = [node for node in members[axis, end] if node.op and node._requires_grad and node.scope == scope]
        line.update((end, node) for node in last if name_of(node) == name)
    return [(axis, name, line) for (axis, _, name), line in lines.items()]


def _slopes(graph: Graph, members: Members) -> dict[tuple[Axis, str], dict[int, float]]:
    """The mean φ′ of each activation by axis, name and position."""
    name_of = state_names(graph)
    found: dict[tuple[Axis, str, str], dict[int, Any]] = {}
    for (axis, position), nodes in members.items():
        for node in nodes:
            if node.op is not None and node.op.name in SLOPES and node._requires_grad and node.size:
                found.setdefault((axis, name_of(node), node.op.name), {})[position] = node._array.ravel()
    table = {}
    for (axis, name, op), arrays in found.items():  # all steps at once: a call for each would cost more than the pass
        sizes = [len(y) for y in arrays.values()]
        slope = SLOPES[op](np.concatenate([*arrays.values()]))
        means = np.add.reduceat(slope, np.cumsum([0, *sizes[:-1]]), dtype=np.float64) / sizes
        table[axis, name] = dict(zip(arrays, means.tolist(), strict=True))
    return table


def _jacobians(graph: Graph, lines: Any, members: Members, jacobians: bool | str) -> dict[Tensor, float]:
    """The gain of ∂s_t/∂s_{t−1} by s_t: at as many steps, evenly spread, as the budget allows; or at all."""
    if jacobians not in (True, False, "all", "exact"):
        raise ValueError(f"gradient_flow: jacobians= is True, False, 'all' or 'exact', found {jacobians!r}")
    gains: dict[Tensor, float] = {}
    budget = JACOBIANS * len(graph.order) / len(lines)  # a node costs a rule call at least
    for axis, _, line in lines if jacobians else ():
        pairs = [(line[p - 1], line[p], members[axis, p]) for p in sorted(line) if p - 1 in line]
        count = len(pairs)
        if jacobians is True and pairs:
            cost = len([node for node in _between(*pairs[-1]).nodes if node.op is not None])
            count = min(count, max(1, int(budget / cost)))
        for k in np.linspace(len(pairs) - 1, 0, count).round().astype(int):
            before, after, nodes = pairs[k]
            gains[after] = _gain(before, after, nodes, jacobians == "exact")
    return gains


def _between(before: Tensor, after: Tensor, members: list[Tensor]) -> EditedGraph:
    """The graph of what leads from one state to the next inside one step, everything else taken as constant."""
    reached, other = {before}, constant(0.0)
    rewired: dict[Tensor, tuple[Tensor, ...]] = {before: ()}
    for node in members:
        if node not in rewired:
            rewired[node] = tuple(x if x in reached else other for x in node.inputs)
            if not reached.isdisjoint(node.inputs):
                reached.add(node)
    return EditedGraph((after,), rewired)


def _gain(before: Tensor, after: Tensor, members: list[Tensor], exact: bool) -> float:
    """‖Jᵀu‖ / ‖u‖ for a random u, whose square is on average the mean square gain; exact: the largest gain of a row."""
    graph = _between(before, after, members)

    def pull(u: Any) -> Any:
        return next((step.grad for step in graph.backward_steps(u) if step.node is before), np.zeros(before.shape))

    if not exact:
        u = np.random.default_rng(0).standard_normal(after.shape).astype(after.dtype)
        return norm([pull(u)]) / norm([u])
    units = np.eye(after.shape[-1], dtype=after.dtype) if after.ndim else np.ones(1, after.dtype)
    columns = [pull(np.broadcast_to(unit, after.shape)) for unit in units]
    return float(np.max(np.linalg.norm(np.atleast_2d(np.stack(columns, axis=-1)), 2, axis=(-2, -1))))
