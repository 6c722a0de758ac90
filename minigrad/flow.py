"""What gradients do on their way back through time, measured.  Imports `graph`, `edits`, `clip` (norms), `reports`.

Each function runs a backward pass of its own and never writes `.grad`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad import naming
from minigrad.backward import backward_steps, begin
from minigrad.clip import norm
from minigrad.edits import NO_TIME, state_names
from minigrad.graph import Edge, Graph
from minigrad.primitive import Scatter
from minigrad.reports import GradientFlow, Numbers, Path
from minigrad.scope import Axis
from minigrad.tensor import Tensor, constant

JACOBIANS = 0.1  # of the steps are walked once more to estimate Jacobians, unless all are asked for

# Σ φ′ over the entries, from the output
SLOPES: dict[str, Callable[[Any], Any]] = {
    "tanh": lambda y: y.size - np.vdot(y, y),
    "sigmoid": lambda y: np.vdot(y, 1 - y),
    "relu": lambda y: np.count_nonzero(y),
    "softplus": lambda y: y.size - np.exp(-y).sum(),
}


def watch(graph: Graph, keys: Mapping[Any, Any], seeds: Any = None) -> Iterator[tuple[Any, Any]]:
    """The gradients that a backward pass brings to some tensors, and sends along some edges, summed by their keys.

    Yields (key, sum) as soon as a sum is complete, so that nobody needs to hold all of them.
    """
    wanted: dict[Tensor, list[tuple[int | None, Any]]] = {}
    for thing, key in keys.items():
        node, position = (
            (thing.target, thing.position) if isinstance(thing, Edge) else (thing, None)
        )
        wanted.setdefault(node, []).append((position, key))
    left, sums = Counter(keys.values()), dict[Any, Any]()
    for step in backward_steps(graph, begin(graph, seeds)):
        for position, key in wanted.get(step.node, ()):
            dx = step.grad if position is None else step.contributions()[position]
            if dx is not None:
                dx = dx.dense(step.inputs[position or 0]) if isinstance(dx, Scatter) else dx
                sums[key] = sums[key] + dx if key in sums else dx
            left[key] -= 1
            if not left[key] and key in sums:
                yield key, sums.pop(key)
    yield from sums.items()


@dataclass(eq=False)
class Line:
    """One state on its way through one axis: the node of each step that crosses into the next one, up to `end`."""

    axis: Axis
    scope: str
    name: str
    states: list[Tensor]
    end: int = -1  # the position that the last of them crosses into


def _made(state: Tensor) -> Tensor:
    """What a step made of a state: where a `where` kept the rows of ended sequences, what it chose the others from."""
    one_per_row = (*state.shape[:1], *[1] * (state.ndim - 1))
    if state.op is None or state.op.name != "where" or np.shape(state.arrays[0]) != one_per_row:
        return state
    here = [x for x in state.inputs[1:] if x.op is not None and x.time == state.time]
    return here[0] if len(here) == 1 else state


def state_lines(graph: Graph, who: str) -> list[Line]:
    """The states of all axes, followed along the crossings, each to the last step that it reaches."""
    if not graph.axes:
        raise ValueError(f"{who}: {NO_TIME}")
    crossing: dict[tuple[Axis, int], list[Tensor]] = {}  # into each step
    for source, position in graph.crossings:
        if source.op is not None and source._requires_grad and source.time is not None:
            crossing.setdefault((source.time.axis, position), []).append(source)
    if not crossing:
        raise ValueError(
            f"{who}: no state crosses a time step in this graph, so there is no flow to measure"
        )
    lines, name_of, names = (
        list[Line](),
        state_names(graph),
        {axis: name for name, axis in graph.axes.items()},
    )
    for (axis, position), states in sorted(crossing.items(), key=lambda item: item[0][1]):
        known = _successors(
            [x for x in lines if (x.axis, x.end) == (axis, position - 1)], states, name_of
        )
        for state in states:
            if state not in known:
                known[state] = Line(axis, state.scope, name_of(state), [])
                lines.append(known[state])
            known[state].states.append(state)
            known[state].end = position
    for axis, position in {
        (line.axis, line.end): None for line in lines
    }:  # the last state crosses nothing
        ended = [line for line in lines if (line.axis, line.end) == (axis, position)]
        t = graph.crossings[ended[0].states[-1], position][0].target.t
        nodes = [node for node in graph.at(t, names[axis]) if node.op and node._requires_grad]  # type: ignore[arg-type]
        for state, line in _successors(ended, nodes, name_of).items():
            line.states.append(state)
    for axis in names:
        for name, line in naming.unique(
            (line.name, line) for line in lines if line.axis is axis
        ).items():
            line.name = name
    return lines


def _successors(
    lines: list[Line], nodes: list[Tensor], name_of: Callable[[Tensor], str]
) -> dict[Tensor, Line]:
    """Which of a step's nodes continues which line: by name and scope; else the last that is made alike."""
    heads, as_many = [line.states[-1] for line in lines], len(lines) == len(nodes)
    if [(name_of(x), x._scope) for x in heads] == [(name_of(x), x._scope) for x in nodes]:
        return dict(zip(nodes, lines, strict=True))
    found: dict[Tensor, Line] = {}
    for key in dict.fromkeys((name_of(x), x.scope) for x in heads):
        named = [line for line, x in zip(lines, heads) if (name_of(x), x.scope) == key]
        alike = [x for x in nodes if (name_of(x), x.scope) == key]
        for j, line in enumerate(named if len(alike) >= len(named) else ()):  # of several, in order
            found[alike[(j + 1) * len(alike) // len(named) - 1]] = line
    for line, head in zip(lines, heads):
        rest = [
            x
            for x in nodes
            if x not in found and x.shape == head.shape and (as_many or x.op is head.op)
        ]
        if rest and line not in found.values():
            found[rest[-1]] = line
    return found


def gradient_flow(graph: Graph, jacobians: bool | str = True) -> GradientFlow:
    """See `Graph.gradient_flow`."""
    lines = state_lines(graph, "gradient_flow")
    shares = {True: JACOBIANS / len(lines), False: 0.0, "all": 1.0, "exact": 1.0}
    if jacobians not in shares:
        raise ValueError(
            f"gradient_flow: jacobians= is True, False, 'all' or 'exact', found {jacobians!r}"
        )
    seen, slopes, names = (
        _norms(graph, lines),
        _slopes(graph),
        {axis: name for name, axis in graph.axes.items()},
    )
    cuts, paths = {x.inputs[0] for x in graph.cuts}, list[Path]()
    for line in lines:
        t, gates = (
            [x.time.t for x in line.states if x.time],
            slopes.get((line.axis, line.scope), {}),
        )
        total, crossing = (
            np.array([seen.get((what, x), 0.0) for x in line.states])
            for what in ("total", "crossing")
        )
        crossing[-1] = math.nan
        with np.errstate(invalid="ignore"):  # where both are infinite
            later = np.append(total[1:], 0)
            ratio = np.divide(crossing, later, out=np.full(len(t), math.nan), where=later > 0)
        columns = total, crossing, ratio, _jacobians(line, shares[jacobians], jacobians == "exact")
        phi = {name: np.array([*map(by.get, t)], np.float64) for name, by in gates.items()}
        cut = sum(r == 0 and x in cuts for r, x in zip(ratio, line.states))
        paths.append(Path(names[line.axis], line.scope, line.name, t, *columns, phi, cut))
    return GradientFlow(tuple(paths))


def _norms(graph: Graph, lines: list[Line]) -> dict[tuple[str, Tensor], float]:
    """The norms of what arrives at each state and of what crosses to it, without what a `where` just keeps."""
    made = {state: _made(state) for line in lines for state in line.states}
    keys: dict[Any, Any] = {x: ("total", state) for state, x in made.items()}
    between = [
        e
        for e in graph.state_edges
        if e.source in made and made.get(e.target, e.target) is e.target
    ]
    keys |= {edge: ("crossing", edge.source) for edge in between}
    return {key: _norm(dx) for key, dx in watch(graph, keys)}


def _norm(x: Any) -> float:
    """As `clip.norm`, in x's own precision where that is safe: it is called at every step."""
    square = float(np.vdot(x, x))
    return math.sqrt(square) if 1e-30 < square < 1e30 else norm([x])


def _slopes(graph: Graph) -> dict[tuple[Axis, str], dict[str, dict[int, float]]]:
    """The mean φ′ of each activation: by axis and scope, by name, by step."""
    places: dict[Any, list[Tensor]] = {}
    for node in reversed(graph.order):
        if node.op.name in SLOPES and node.time is not None and node.size:
            place = node.time.axis, node._scope, node.op, node._code, node._instruction, node.name
            places.setdefault(place, []).append(node)
    name_of, table = state_names(graph), dict[tuple[Axis, str], dict[str, dict[int, float]]]()
    for (axis, scope, op, *_), nodes in places.items():
        by = table.setdefault((axis, scope.path if scope else ""), {}).setdefault(
            name_of(nodes[0]), {}
        )
        by |= {node.time.t: SLOPES[op.name](node._array) / node._array.size for node in nodes}  # type: ignore[union-attr]  # timed
    return table


# what one step does


def _jacobians(line: Line, share: float, exact: bool) -> Numbers:
    """The gain of ∂s_t/∂s_{t−1} at each step t, NaN where not measured: a share of the steps, evenly spread.

    ‖Jᵀu‖ / ‖u‖ for a random u, whose square is on average the mean square gain; exact: the largest gain of a row.
    """
    pairs, gains = (
        [*zip(line.states, map(_made, line.states[1:]))],
        np.full(len(line.states), math.nan),
    )
    count = min(len(pairs), max(1, int(share * len(pairs)))) if share else 0
    chosen = np.linspace(len(pairs), 1, count).round().astype(int).tolist()
    if chosen:
        graph, edges = _steps([pairs[k - 1] for k in chosen])
        shape, random = line.states[-1].shape, np.random.default_rng(0)
        units = (
            (np.eye(shape[-1]) if shape else np.ones(1))
            if exact
            else [random.standard_normal(shape)]
        )
        seeds = [tuple(np.broadcast_to(unit, y.shape) for y in graph.outputs) for unit in units]
        pulled = [dict(watch(graph, edges, us)) for us in seeds]
        for k, y in zip(chosen, graph.outputs, strict=True):
            columns = np.stack([dx.get(y.time, np.zeros(shape)) for dx in pulled], axis=-1)
            largest = (
                np.linalg.norm(np.atleast_2d(columns), 2, axis=(-2, -1))
                if exact
                else norm([columns])
            )
            gains[k] = np.max(largest) / (1 if exact else norm(units))
    return gains


def _steps(pairs: Sequence[Any]) -> tuple[Graph, dict[Edge, Any]]:
    """The graph of what leads from a state to the next inside their step, all else being constant, for some pairs.

    And the edges by which the earlier states come into it, with the time of the later ones.
    """
    starts = {
        after.time: (before, Tensor(before._array, requires_grad=True)) for before, after in pairs
    }
    nodes, other, rewired = (
        [after for _, after in pairs],
        constant(0.0),
        dict[Tensor, tuple[Tensor, ...]](),
    )
    for node in nodes:  # grows while it is walked
        if node not in rewired:
            before, start = starts.get(node.time, (None, other))
            inside = (
                start if x is before else x if x.op and x.time == node.time else other
                for x in node.inputs
            )
            rewired[node] = tuple(inside)
            nodes += rewired[node]
    graph = Graph(*[after for _, after in pairs], rewired=rewired)
    return graph, {
        edge: time for time, (_, start) in starts.items() for edge in graph.users.get(start, ())
    }
