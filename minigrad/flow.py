"""What gradients do on their way back through time, measured.  Imports `graph`, `edits`, `clip` (norms).

Each function runs a backward pass of its own and never writes `.grad`.
"""

from __future__ import annotations

import json
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigrad.backward import backward_steps
from minigrad.clip import norm
from minigrad.edits import NO_TIME, EditedGraph, cut, rewire, state_names, truncate
from minigrad.graph import Edge, Graph
from minigrad.primitive import Scatter
from minigrad.scope import Axis
from minigrad.tensor import Tensor, constant

Numbers = NDArray[np.float64]
LOST = 1e-3  # what is left of a gradient that counts as forgotten
HEALTHY = 0.9, 1.1  # factors per step between which a gradient neither vanishes nor explodes
JACOBIANS = 0.2  # of the rule calls of a backward pass may be spent on Jacobians

# φ′ of the activations, from their output
SLOPES: dict[str, Callable[[Any], Any]] = {
    "tanh": lambda y: 1 - y * y,
    "sigmoid": lambda y: y * (1 - y),
    "relu": lambda y: y > 0,
    "softplus": lambda y: 1 - np.exp(-y),
}


@dataclass(frozen=True)
class Path:
    """One state on its way back along one axis; arrays with one entry per step, in the order of the steps' visits.

    total: ‖∂loss/∂s_t‖.  crossing: the norm of that part of it which came back over the boundary of the next step.
    ratio: crossing_t / total_{t+1}, what one step does to the gradient.  jacobian: the root mean square gain of
    ∂s_t/∂s_{t−1} over all directions (estimated from a random one; "exact": its largest gain), NaN where not asked.
    slopes: the mean φ′ of each activation of the axis.
    """

    axis: str
    state: str
    t: list[int]
    total: Numbers
    crossing: Numbers
    jacobian: Numbers
    slopes: dict[str, Numbers]

    @property
    def ratio(self) -> Numbers:
        """What each step does to the gradient; NaN at the last step, and where nothing arrives."""
        later = np.append(self.total[1:], math.nan)
        return np.divide(self.crossing, later, out=np.full(len(later), math.nan), where=later > 0)

    @property
    def mean_ratio(self) -> float:
        """The geometric mean of the ratios; NaN without any."""
        ratios = self.ratio[self.ratio > 0]
        return float(np.exp(np.mean(np.log(ratios)))) if len(ratios) else math.nan

    @property
    def memory(self) -> float:
        """The steps after which less than 1e-3 of the gradient is left; beyond the graph, at the mean ratio."""
        left = np.cumprod([r for r in self.ratio[::-1] if not math.isnan(r)])
        gone = np.flatnonzero(left < LOST)
        if len(gone):
            return float(gone[0] + 1)
        return math.ceil(round(math.log(LOST) / math.log(self.mean_ratio), 9)) if self.mean_ratio < 1 else math.inf

    @property
    def verdict(self) -> str:
        """One of: vanishing, exploding, healthy, cut, not finite, unknown."""
        ratios = self.ratio[~np.isnan(self.ratio)]
        if not np.isfinite(self.total).all():
            return "not finite"
        if not len(ratios) or not (ratios > 0).any():
            return "cut" if len(ratios) else "unknown"
        change = self.mean_ratio ** np.count_nonzero(ratios)
        if self.mean_ratio < HEALTHY[0] or change < LOST:
            return "vanishing"
        return "exploding" if self.mean_ratio > HEALTHY[1] or change > 1 / LOST else "healthy"

    @property
    def evidence(self) -> str:
        """The verdict with the numbers that it rests on."""
        seen = np.flatnonzero(self.total)
        if not len(seen):
            return f"{self.state}: {self.verdict}, no gradient arrives"
        first, last = seen[-1], seen[0]
        slopes = ", ".join(f"{name} {np.nanmean(slope):.2g}" for name, slope in self.slopes.items())
        memory = "more steps than can be told" if self.memory == math.inf else f"{self.memory:.0f} steps"
        return (
            f"{self.state}: {self.verdict}, ×{self.mean_ratio:.3g} a step; |d{self.state}| {self.total[first]:.3g} at "
            f"t={self.t[first]}, {self.total[last]:.3g} at t={self.t[last]}; memory {memory}"
            + (f"; mean φ′ {slopes}" if slopes else "")
            + (f"; cut {np.count_nonzero(self.ratio == 0)} times" if (self.ratio == 0).any() else "")
        )

    def columns(self) -> dict[str, Numbers]:
        """The columns of the table by title."""
        table = {"total": self.total, "crossing": self.crossing, "ratio": self.ratio, "jacobian": self.jacobian}
        return {title: values for title, values in (table | self.slopes).items() if not np.isnan(values).all()}

    def __str__(self) -> str:
        columns, count = self.columns(), len(self.t)
        rows = range(count) if count <= 12 else [*range(3), *np.linspace(3, count - 4, 6).astype(int), *range(-3, 0)]
        lines = [f"axis {self.axis}", "".join(f"{title:>10}" for title in ("t", *columns))]
        for k in reversed(rows):
            cells = [
                f"{values[k]:>10.3g}" if not math.isnan(values[k]) else f"{'·':>10}" for values in columns.values()
            ]
            lines.append(f"{self.t[k]:>10}" + "".join(cells))
        return "\n".join([*lines, self.evidence])


def _width(title: str) -> int:
    return max(10, len(title) + 2)


class GradientFlow:
    """The paths of all states of a graph: print it, index it by the name of a state, `plot`, `to_json`."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self.paths = paths

    def __getitem__(self, state: str) -> Path:
        """The path of a state, "h"; where several axes have it, "axis.h"."""
        found = [path for path in self.paths if state in (path.state, f"{path.axis}.{path.state}")]
        if len(found) != 1:
            choices = ", ".join(f"{path.axis}.{path.state}" for path in self.paths)
            raise KeyError(f"{state!r} names {len(found)} paths; there are: {choices}")
        return found[0]

    @property
    def verdict(self) -> str:
        """The verdict on the whole: a gradient lives that has one healthy path, unless another one explodes."""
        found = {path.verdict for path in self.paths}
        return next(
            word for word in ("not finite", "exploding", "healthy", "vanishing", "cut", "unknown") if word in found
        )

    def __str__(self) -> str:
        return "\n\n".join(str(path) for path in self.paths)

    def to_json(self) -> str:
        """All numbers and verdicts as JSON; null where there is no number."""
        table = [
            {"axis": p.axis, "state": p.state, "t": p.t, "mean_ratio": p.mean_ratio, "memory": p.memory}
            | {"verdict": p.verdict, "evidence": p.evidence}
            | {title: values.tolist() for title, values in p.columns().items()}
            for p in self.paths
        ]
        return json.dumps({"verdict": self.verdict, "paths": _without_nan(table)}, ensure_ascii=False, indent=1)

    def plot(self, ax: Any = None) -> Any:
        """Draw ‖∂loss/∂s_t‖ over t for each state (needs matplotlib: the extra `plot`); returns the axes."""
        ax = ax or _pyplot().subplots()[1]
        for path in self.paths:
            ax.plot(path.t, path.total, ".-", label=f"{path.axis}.{path.state} ×{path.mean_ratio:.3g}: {path.verdict}")
        ax.set(yscale="log", xlabel="t", ylabel="‖∂loss/∂state‖")
        ax.legend()
        return ax


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("plot() needs matplotlib: pip install 'minigrad-bptt[plot]'") from error
    return pyplot


# the flow


def gradient_flow(graph: Graph, jacobians: bool | str = True) -> GradientFlow:
    """See `Graph.gradient_flow`."""
    lines = _state_lines(graph)
    nodes = {node for _, _, line in lines for node in line.values()}
    crossings: dict[Tensor, list[Edge]] = {}
    for edge in graph.state_edges:
        if edge.source in nodes:
            crossings.setdefault(edge.target, []).append(edge)
    total, crossing, calls = dict.fromkeys(nodes, 0.0), dict[Tensor, Any](), 0
    for step in graph.backward_steps():
        calls += 1 if step.node.op.joint else sum(x._requires_grad for x in step.inputs)  # type: ignore[union-attr]
        for edge in crossings.get(step.node, ()):
            dx = step.input_grads[edge.position]
            if dx is not None:
                dx = dx.dense(edge.source) if isinstance(dx, Scatter) else dx
                crossing[edge.source] = crossing[edge.source] + dx if edge.source in crossing else dx
        if step.node in nodes:
            total[step.node] = norm([step.grad])
    slopes = _slopes(graph)
    measure = _jacobians(graph, lines, calls, jacobians)
    paths = []
    for axis, state, line in lines:
        positions = sorted(line)
        path = [line[p] for p in positions]
        steps = [node.t for node in path if node.t is not None]
        arriving = [norm([crossing[node]]) if node in crossing else 0.0 for node in path[:-1]]
        gates = {
            name: np.array([by.get(p, math.nan) for p in positions]) for (a, name), by in slopes.items() if a is axis
        }
        jacobian = np.array([measure.get(node, math.nan) for node in path])
        name = next(name for name, a in graph.axes.items() if a is axis)
        paths.append(
            Path(
                name, state, steps, np.array([total[n] for n in path]), np.array([*arriving, math.nan]), jacobian, gates
            )
        )
    return GradientFlow(tuple(paths))


def _state_lines(graph: Graph) -> list[tuple[Axis, str, dict[int, Tensor]]]:
    """For each state of each axis: its node at each position, up to the last one that the graph has."""
    if not graph.axes:
        raise ValueError(f"gradient_flow: {NO_TIME}")
    name_of = state_names(graph)
    lines: dict[tuple[Axis, str, str], dict[int, Tensor]] = {}
    for source, position in graph.crossings:
        if source.op is not None and source._requires_grad and source.time is not None:
            lines.setdefault((source.time.axis, source.scope, name_of(source)), {})[position - 1] = source
    if not lines:
        raise ValueError("gradient_flow: no state crosses a time step in this graph, so there is no flow to measure")
    ends: dict[Any, list[Tensor]] = {(line[0], max(found) + 1): [] for line, found in lines.items()}
    for node in graph.nodes:
        where = graph.position(node)
        if where in ends and node.op is not None and node._requires_grad:
            ends[where].append(node)
    for (axis, scope, name), found in lines.items():
        end = max(found) + 1
        for node in ends[axis, end]:
            if node.scope == scope and name_of(node) == name:
                found[end] = node
    return [(axis, name, found) for (axis, _, name), found in lines.items()]


def _slopes(graph: Graph) -> dict[tuple[Axis, str], dict[int, float]]:
    """The mean φ′ of each activation by axis, name and position."""
    name_of = state_names(graph)
    table: dict[tuple[Axis, str], dict[int, float]] = {}
    for node in graph.nodes:
        where = graph.position(node)
        if where is not None and node.op is not None and node.op.name in SLOPES and node._requires_grad:
            mean = float(np.mean(SLOPES[node.op.name](node._data), dtype=np.float64))
            table.setdefault((where[0], name_of(node)), {})[where[1]] = mean
    return table


def _jacobians(graph: Graph, lines: Any, calls: int, jacobians: bool | str) -> dict[Tensor, float]:
    """The gain of ∂s_t/∂s_{t−1} by s_t: at as many steps, evenly spread, as the budget allows; or at all."""
    if jacobians not in (True, False, "all", "exact"):
        raise ValueError(f"gradient_flow: jacobians= is True, False, 'all' or 'exact', found {jacobians!r}")
    gains: dict[Tensor, float] = {}
    if not jacobians:
        return gains
    members: dict[Any, list[Tensor]] = {}
    for node in graph.nodes:
        members.setdefault(graph.position(node), []).append(node)
    for axis, _, line in lines:
        pairs = [(line[p - 1], line[p], members[axis, p]) for p in sorted(line) if p - 1 in line]
        count = len(pairs)
        if jacobians is True and pairs:
            cost = len([node for node in _between(*pairs[-1]).nodes if node.op is not None])
            count = min(count, max(1, int(JACOBIANS * calls / len(lines) / cost)))
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


# by step


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
        for x, dx in zip(step.inputs, step.input_grads):
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
    if len(scopes := {n.scope for n in found}) != 1:
        raise ValueError(f"values_by_step: {name} occurs in scopes {sorted(scopes)}; choose one with scope=")
    by_step = {n.t: n._data for n in found}  # of several in one step the last, as a variable would have it
    return np.stack([by_step[t] for t in sorted(by_step)])  # type: ignore[type-var]


def _one_axis(graph: Graph, nodes: Iterable[Tensor], what: str, axis: str | None) -> Axis:
    """The axis of that name, or the only one that the nodes are on."""
    names = {a: name for name, a in graph.axes.items()}
    found = {names[node.time.axis]: node.time.axis for node in nodes if node.time}
    if not found:
        raise ValueError(f"{what} outside of all time steps" if graph.axes else f"{what}, but {NO_TIME}")
    if axis is None and len(found) > 1:
        raise ValueError(f"{what} on several axes; choose one with axis=: {', '.join(found)}")
    if axis is not None and axis not in found:
        raise ValueError(f"{what} on {', '.join(found)}, not on an axis {axis!r}")
    return found[axis or next(iter(found))]


class Credit(NamedTuple):
    """norms[k, j] = ‖∂loss_{t[k]}/∂s_{t[j]}‖: what the loss of each step says to the state of each earlier step."""

    state: str
    t: list[int]
    norms: Numbers

    def plot(self, ax: Any = None) -> Any:
        """Draw it as a heat map (needs matplotlib: the extra `plot`); returns the axes."""
        ax = ax or _pyplot().subplots()[1]
        with np.errstate(divide="ignore"):
            image = ax.imshow(np.log10(self.norms), extent=(self.t[0], self.t[-1] + 1, self.t[-1] + 1, self.t[0]))
        ax.figure.colorbar(image, label=f"log₁₀ ‖∂loss/∂{self.state}‖")
        ax.set(xlabel=f"t of {self.state}", ylabel="t of the loss")
        return ax


def credit(graph: Graph, state: str | None = None) -> Credit:
    """See `Graph.credit`."""
    lines = [line for line in _state_lines(graph) if state in (None, line[1], f"{line[0]}.{line[1]}")]
    if len(lines) != 1:
        raise ValueError(f"credit: choose a state: {', '.join(f'{a}.{name}' for a, name, _ in _state_lines(graph))}")
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
        for k, (x, dx) in enumerate(zip(step.inputs, step.input_grads)):
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


class TruncationBias(NamedTuple):
    """What truncation to k steps does to the gradient: ‖truncated‖ / ‖full‖, and the angle between them in degrees."""

    k: int
    norm_ratio: float
    angle: float
    parameters: dict[str, tuple[float, float]]

    def __str__(self) -> str:
        rows = {"all": (self.norm_ratio, self.angle)} | self.parameters
        lines = [f"{name:<20}{ratio:>12.4g}{angle:>9.1f}°" for name, (ratio, angle) in rows.items()]
        return "\n".join([f"{f'truncated to {self.k}':<20}{'norm ratio':>12}{'angle':>10}", *lines])


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
