"""What gradients do on their way back through time, measured.  Imports `graph`, `edits`, `clip` (norms).

Each function runs a backward pass of its own and never writes `.grad`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad.clip import norm, pyplot
from minigrad.edits import NO_TIME, EditedGraph, state_names
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
        with np.errstate(invalid="ignore"):  # where both are infinite
            return np.divide(self.crossing, later, out=np.full(len(later), math.nan), where=later > 0)

    @property
    def mean_ratio(self) -> float:
        """The geometric mean of the ratios; NaN without any."""
        ratios = self.ratio[(self.ratio > 0) & np.isfinite(self.ratio)]
        return float(np.exp(np.mean(np.log(ratios)))) if len(ratios) else math.nan

    @property
    def memory(self) -> float:
        """The steps after which less than 1e-3 of the gradient is left; beyond the graph, at the mean ratio."""
        with np.errstate(all="ignore"):
            left = np.cumsum(np.log([r for r in self.ratio[::-1] if not math.isnan(r)]))
        gone = np.flatnonzero(left < math.log(LOST))
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
        change = math.log(self.mean_ratio) * np.count_nonzero(ratios)
        if self.mean_ratio < HEALTHY[0] or change < math.log(LOST):
            return "vanishing"
        return "exploding" if self.mean_ratio > HEALTHY[1] or change > -math.log(LOST) else "healthy"

    @property
    def evidence(self) -> str:
        """The verdict with the numbers that it rests on."""
        seen = np.flatnonzero(self.total)
        if not len(seen):
            return f"{self.state}: {self.verdict}, no gradient arrives"
        first, last = seen[-1], seen[0]
        slopes = ", ".join(f"{name} {np.nanmean(slope):.2g}" for name, slope in self.slopes.items())
        ends = [str(self.t[k + 1]) for k in np.flatnonzero(self.ratio == 0)]
        memory = "more steps than can be told" if self.memory == math.inf else f"{self.memory:.0f} steps"
        return (
            f"{self.state}: {self.verdict}, ×{self.mean_ratio:.3g} a step; |d{self.state}| {self.total[first]:.3g} at "
            f"t={self.t[first]}, {self.total[last]:.3g} at t={self.t[last]}; memory {memory}"
            + (f"; mean φ′ {slopes}" if slopes else "")
            + (f"; nothing gets past t={', '.join(ends)}" if ends else "")
        )

    def columns(self) -> dict[str, Numbers]:
        """The columns of the table by title."""
        table = {"total": self.total, "crossing": self.crossing, "ratio": self.ratio, "jacobian": self.jacobian}
        return {title: values for title, values in (table | self.slopes).items() if not np.isnan(values).all()}

    def __str__(self) -> str:
        columns, count = self.columns(), len(self.t)
        rows = range(count) if count <= 12 else [*range(3), *np.linspace(3, count - 4, 6).astype(int), *range(-3, 0)]
        wide = {title: max(10, len(title) + 2) for title in columns}
        lines = [f"axis {self.axis}", "     t" + "".join(f"{title:>{wide[title]}}" for title in columns)]
        for k in reversed(rows):
            cells = {title: "·" if math.isnan(values[k]) else f"{values[k]:.3g}" for title, values in columns.items()}
            lines.append(f"{self.t[k]:>6}" + "".join(f"{cell:>{wide[title]}}" for title, cell in cells.items()))
        return "\n".join([*lines, self.evidence])


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

    def __repr__(self) -> str:
        return "\n".join(f"axis {path.axis}, {path.evidence}" for path in self.paths)

    def to_json(self) -> str:
        """All numbers and verdicts as JSON; null where there is no number."""

        def plain(value: Any) -> Any:
            if isinstance(value, list):
                return [plain(item) for item in value]
            return value if not isinstance(value, float) or math.isfinite(value) else None

        names = ("axis", "state", "t", "mean_ratio", "memory", "verdict", "evidence")
        paths = [
            {name: plain(getattr(path, name)) for name in names}
            | {title: plain(values.tolist()) for title, values in path.columns().items()}
            for path in self.paths
        ]
        return json.dumps({"verdict": self.verdict, "paths": paths}, ensure_ascii=False, indent=1)

    def plot(self, ax: Any = None) -> Any:
        """Draw ‖∂loss/∂s_t‖ over t for each state (needs matplotlib: the extra `plot`); returns the axes."""
        ax = ax or pyplot().subplots()[1]
        for path in self.paths:
            ax.plot(path.t, path.total, ".-", label=f"{path.axis}.{path.state} ×{path.mean_ratio:.3g}: {path.verdict}")
        ax.set(yscale="log", xlabel="t", ylabel="‖∂loss/∂state‖")
        ax.legend()
        return ax


# the flow


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
            dx = step.input_grads[edge.position]
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
                found.setdefault((axis, name_of(node), node.op.name), {})[position] = node._data.ravel()
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
