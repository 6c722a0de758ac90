"""How the gradient of each state changes from step to step on its way back through time.

The states of one cell are judged together: from step t + 1 to step t goes the whole gradient of (h,
c), and not that of h or of c alone, since each flows into the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigrad import naming, states
from minigrad.graph import Axes, Edge, Graph
from minigrad.norms import joint_norm, norm
from minigrad.paths import Axis, Place
from minigrad.reports import Floats, GradientFlow, StateFlow
from minigrad.states import NO_TIME, VIEWS
from minigrad.tensor import Tensor, constant
from minigrad.watch import watch

SAMPLED_JACOBIANS = 0.1  # of the steps, unless all are asked for
JACOBIANS = (True, False, "all", "exact")
CANCELS = 64  # rounding errors of a sum, in units of eps · Σ‖addends‖

# Σ φ′ over the entries, from the output
SLOPES: dict[str, Callable[[Any], Any]] = {
    "tanh": lambda y: y.size - np.vdot(y, y),
    "sigmoid": lambda y: np.vdot(y, 1 - y),
    "relu": lambda y: np.count_nonzero(y),
    "softplus": lambda y: y.size - np.exp(-y).sum(),
}


@dataclass(eq=False)
class StateTrack:
    """One state variable in one run of one axis: its node in each step, in the order of the
    visits."""

    axis: Axis
    run: Place  # the step around the run; () for an outermost axis
    scope: str
    name: str
    states: list[Tensor] = field(default_factory=list)

    @property
    def cell(self) -> tuple[Axis, Place, str]:
        """The states of one cell share it."""
        return self.axis, self.run, self.scope


def state_lines(graph: Graph, who: str, axis: Axes = None) -> list[StateTrack]:
    """The tracks of all states of some axes, by default the outermost ones, run by run.

    Raises ValueError, signed by `who`, where the graph has no time labels or no state.
    """
    if not graph.axes:
        raise ValueError(f"{who}: {NO_TIME}")
    chosen = graph.chosen_axes(axis)
    tracks: dict[Any, StateTrack] = {}
    for state in states.find(graph):
        if state.axis not in chosen:
            continue
        for t, node in state.nodes.items():
            run = graph.place(node)[: len(t) - 1]
            key = state, run
            if key not in tracks:
                tracks[key] = StateTrack(state.axis, run, state.scope, state.name)
            tracks[key].states.append(node)
    if not tracks:
        names = ", ".join(graph.axis_name(a) for a in chosen)
        raise ValueError(
            f"{who}: no state crosses a time step of axis {names}, so there is no flow to measure"
        )
    return list(tracks.values())


def gradient_flow(graph: Graph, jacobians: bool | str = True, axis: Axes = None) -> GradientFlow:
    """How ∂loss/∂state changes from step to step, with a verdict for each state: a
    `reports.GradientFlow`.

    jacobians: True estimates the gain of ∂s_t/∂s_{t−1} at some steps, for a tenth of a pass; "all"
    at all steps; "exact" is its largest singular value at all steps; False leaves it out.  axis:
    the name of an axis, or several; by default the outermost ones.  An inner axis has a path for
    each of its runs.  Never writes `.grad`.

    >>> import minigrad as mg
    >>> w, h = mg.tensor(0.5, requires_grad=True), mg.tensor(1.0)
    >>> for t in range(4):
    ...     with mg.time_step(t): h = w * h
    >>> print(mg.Graph(h).gradient_flow(jacobians="all"))
    axis time
    t  total  crossing  ratio  jacobian
    3      1         ·      ·       0.5
    2    0.5       0.5    0.5       0.5
    1   0.25      0.25    0.5       0.5
    0  0.125     0.125    0.5         ·
    h: vanishing, ×0.5 a step; |dh| 1 at t=3, 0.125 at t=0; memory 10 steps
    """
    if jacobians not in JACOBIANS:
        found = f"found {jacobians!r}"
        raise ValueError(f"gradient_flow: jacobians= is True, False, 'all' or 'exact', {found}")
    tracks = state_lines(graph, "gradient_flow", axis)
    gradients = _Gradients(graph, tracks)
    slopes = _slopes(graph)
    return GradientFlow(
        tuple(
            _state_flow(graph, track, gradients, slopes, jacobians, len(tracks)) for track in tracks
        )
    )


def _state_flow(
    graph: Graph,
    track: StateTrack,
    gradients: _Gradients,
    slopes: dict[Any, dict[str, dict[int, float]]],
    jacobians: bool | str,
    tracks: int,
) -> StateFlow:
    """The measured numbers of one track."""
    depth = len(track.axis.chain) - 1
    t = [node.time[depth].t for node in track.states if node.time]
    total = np.array([gradients.total.get(node, 0.0) for node in track.states])
    crossing = np.array([gradients.crossing.get(node, 0.0) for node in track.states])
    crossing[-1] = math.nan
    ratio = gradients.ratios(track)
    has_loss = gradients.losses(track)
    share = 1.0 if isinstance(jacobians, str) else jacobians * SAMPLED_JACOBIANS / tracks
    jacobian = _jacobians(graph, track, share, jacobians == "exact")
    phi = {
        name: np.array([by_step.get(step, math.nan) for step in t])
        for name, by_step in slopes.get((track.axis, track.scope), {}).items()
    }
    cut = {x.inputs[0] for x in graph.cuts}
    cuts = sum(r == 0 and node in cut for r, node in zip(ratio, track.states))
    name = graph.axis_name(track.axis)
    if track.run:
        name += f" ({graph.timeline.path(track.run)})"
    cancels = gradients.cancels(track)
    return StateFlow(
        *(name, track.scope, track.name, t, total, crossing, ratio, has_loss),
        *(jacobian, phi, cuts, cancels),
    )


# gradients of states


class _Gradients:
    """Norms measured in one backward pass, by node.

    total: ‖∂loss/∂s‖.  crossing: of the part that came back over the next boundary.  boundary: of
    the part that came from outside the step, and not from another state of the same cell in it.
    has_loss: whether a part came from a loss by another way than through later steps.  Where a
    `where` keeps rows of ended sequences, the state that the step made is measured: kept rows are
    no evidence.
    """

    def __init__(self, graph: Graph, tracks: Sequence[StateTrack]) -> None:
        self._graph, self._tracks = graph, tracks
        self.total: dict[Tensor, float] = {}
        self.crossing: dict[Tensor, float] = {}
        self.boundary: dict[Tensor, float] = {}
        self.has_loss: dict[Tensor, bool] = {}
        self._addends: dict[Tensor, list[float]] = {}
        self._made = {node: _made(node) for track in tracks for node in track.states}
        self._state_made = {made: node for node, made in self._made.items()}
        self._measure()
        cells = dict.fromkeys(track.cell for track in tracks)
        self._joint = {cell: self._joint_norms(cell) for cell in cells}

    def _measure(self) -> None:
        """Run the pass, and sort what reaches each state by where it comes from."""
        keys = self._keys()
        parts: dict[Tensor, dict[str, list[Any]]] = {}
        for (kind, node, _), dx in watch(self._graph, keys):
            if kind == "total":
                self._finish(node, dx, parts.pop(node, {}))
            else:
                parts.setdefault(node, {}).setdefault(kind, []).append(dx)

    def _keys(self) -> dict[Any, Any]:
        """What to watch: (kind, state, source or edge) for each edge out of a state, and the state
        itself.

        crossing: into a later step.  inside: into another state of the cell in the same step.
        loss: all else.
        """
        keys: dict[Any, Any] = {}
        for edge, node in self._crossing_edges():
            keys[edge] = ("crossing", node, edge.source)
        internal = self._internal_edges()
        for made, node in self._state_made.items():
            keys[made] = ("total", node, None)
            for edge in (*self._graph.users[made], *self._graph.users[node]):
                kept = (
                    edge.target is node
                    or self._made.get(edge.target, edge.target) is not edge.target
                )
                if edge not in keys and not kept:
                    keys[edge] = ("inside" if edge in internal else "loss", node, edge)
        return keys

    def _finish(self, node: Tensor, total: Any, parts: dict[str, list[Any]]) -> None:
        """Take the norms of what a state got, now that all of it has come."""
        crossing, inside = parts.get("crossing", []), parts.get("inside", [])
        self.total[node] = norm(total)
        self.crossing[node] = joint_norm(crossing)
        self.boundary[node] = norm(total - sum(inside)) if inside else self.total[node]
        self.has_loss[node] = any(norm(dx) for dx in parts.get("loss", []))
        self._addends[node] = [norm(dx) for some in parts.values() for dx in some]

    def _crossing_edges(self) -> Iterable[tuple[Edge, Tensor]]:
        """The edges along the axes that leave a state or a view of it, but for those into a `where`
        that keeps rows."""
        names = {self._graph.axis_name(track.axis): None for track in self._tracks}
        for edge in self._graph.edges_along(list(names)):
            if self._made.get(edge.target, edge.target) is edge.target:
                node = edge.source
                while node not in self._made and node.op is not None and node.op.name in VIEWS:
                    node = node.inputs[0]
                if node in self._made:
                    yield edge, node

    def _internal_edges(self) -> set[Edge]:
        """The edges by which one state of a cell flows into another one in the same step: c into h
        = o tanh(c)."""
        steps: dict[Any, list[Tensor]] = {}
        for track in self._tracks:
            depth = len(track.axis.chain)
            for node in track.states:
                step = self._graph.place(node)[:depth]
                steps.setdefault((track.cell, step), []).append(self._made[node])
        found: set[Edge] = set()
        for (_, step), nodes in steps.items():
            if len(nodes) > 1:
                for node in nodes:
                    leads_to_others = self._ancestors(
                        [x for x in nodes if x is not node], node, step
                    )
                    users = self._graph.users[node]
                    found.update(edge for edge in users if edge.target in leads_to_others)
        return found

    def _ancestors(self, nodes: list[Tensor], stop: Tensor, step: Place) -> set[Tensor]:
        """The nodes themselves and what leads to them inside a step, not beyond `stop`."""
        found, todo = set(nodes), list(nodes)
        while todo:
            for x in self._graph.inputs(todo.pop()):
                inside = x.op is not None and self._graph.place(x)[: len(step)] == step
                if inside and x is not stop and x not in found:
                    found.add(x)
                    todo.append(x)
        return found

    def cancels(self, track: StateTrack) -> bool:
        """Whether all gradients of a state are rounding errors of contributions that cancel."""
        seen = [node for node in track.states if any(self._addends.get(node, ()))]
        return bool(seen) and all(self._is_rounding(node) for node in seen)

    def _is_rounding(self, node: Tensor) -> bool:
        addends = self._addends.get(node, [])
        limit = CANCELS * float(np.finfo(node.dtype).eps) * sum(addends)
        return len(addends) > 1 and self.total[node] <= limit

    def ratios(self, track: StateTrack) -> Floats:
        """What the next step did to the gradient of the whole cell, at each step of a track; NaN
        for the last."""
        ratios = self._joint_ratios(track.cell)
        depth = len(track.axis.chain)
        return np.array(
            [ratios.get(self._graph.place(node)[:depth], math.nan) for node in track.states]
        )

    def losses(self, track: StateTrack) -> NDArray[np.bool_]:
        """Whether a loss enters at any state of the cell, at each step of a track."""
        steps, depth = self._joint[track.cell], len(track.axis.chain)
        places = [self._graph.place(node)[:depth] for node in track.states]
        return np.array([place in steps and steps[place].has_loss for place in places])

    def _joint_ratios(self, cell: Any) -> dict[Place, float]:
        """What each step did to the gradient of a whole cell, by the step before it.

        From total to total, √(‖dh‖² + ‖dc‖²) at t over that at t + 1, where no loss enters at t.
        Where one does, only what crossed counts: ‖crossing_t‖ / ‖boundary_{t+1}‖.  NaN where
        nothing comes.
        """
        steps = self._joint[cell]
        ratios: dict[Place, float] = {}
        for step, here in steps.items():
            axis, position = step[-1]
            after = steps.get((*step[:-1], (axis, position + 1)))
            ratios[step] = math.nan if after is None else here.ratio(after)
        return ratios

    def _joint_norms(self, cell: Any) -> dict[Place, _JointNorms]:
        """The norms over all states of a cell, by step; without states whose gradients cancel."""
        nodes: dict[Place, list[Tensor]] = {}
        for track in self._tracks:
            if track.cell == cell and not self.cancels(track):
                for node in track.states:
                    step = self._graph.place(node)[: len(track.axis.chain)]
                    nodes.setdefault(step, []).append(node)
        return {step: self._joined(some) for step, some in nodes.items()}

    def _joined(self, nodes: list[Tensor]) -> _JointNorms:
        def joint(norms: dict[Tensor, float]) -> float:
            return math.hypot(*[norms.get(node, 0.0) for node in nodes])

        has_loss = any(self.has_loss.get(node, False) for node in nodes)
        reach = max(1e3 * float(np.finfo(node.dtype).tiny) for node in nodes)
        return _JointNorms(
            joint(self.total), joint(self.crossing), joint(self.boundary), has_loss, reach
        )


class _JointNorms(NamedTuple):
    """Norms over all states of a cell in one step; `reach`: below it the dtype loses digits."""

    total: float
    crossing: float
    boundary: float
    has_loss: bool
    reach: float

    def ratio(self, after: _JointNorms) -> float:
        """What the step `after` did to the gradient on its way to this one."""
        got = after.boundary if self.has_loss else after.total
        sent = self.crossing if self.has_loss else self.total
        known = got > after.reach and not (math.isinf(got) and math.isinf(sent))
        return sent / got if known else math.nan


def _made(state: Tensor) -> Tensor:
    """The new state before length masking: the unmasked operand of the `where` that keeps finished
    rows."""
    one_per_row = (*state.shape[:1], *[1] * (state.ndim - 1))
    if state.op is None or state.op.name != "where" or np.shape(state.arrays[0]) != one_per_row:
        return state
    steps = state.time.steps if state.time else ()
    depth = len(steps)  # an inner loop may have made it
    here = [x for x in state.inputs[1:] if x.op and x.time and x.time.steps[:depth] == steps]
    return here[0] if len(here) == 1 else state


def _slopes(graph: Graph) -> dict[tuple[Axis, str], dict[str, dict[int, float]]]:
    """The mean φ′ of each activation: by axis and scope, by name, by step."""
    alike: dict[Any, list[Tensor]] = {}
    for node in reversed(graph.order):
        if node.op.name in SLOPES and node.time is not None and node.size:
            alike.setdefault((node.time[-1].axis, node.site, node.name), []).append(node)
    table: dict[tuple[Axis, str], dict[str, dict[int, float]]] = {}
    for (axis, site, _), nodes in alike.items():
        name = naming.name_of(graph, nodes[0])
        by_step = table.setdefault((axis, site.scope), {}).setdefault(name, {})
        for node in nodes:
            total = SLOPES[site.op.name](node._array)
            by_step[node.time[-1].t] = total / node._array.size  # type: ignore[index]
    return table


# what one step does


def _jacobians(graph: Graph, track: StateTrack, share: float, exact: bool) -> Floats:
    """The gain of ∂s_t/∂s_{t−1} at each step t, NaN where not measured: a share of the steps,
    evenly spread.

    ‖Jᵀu‖ / ‖u‖ for a random u, whose square is on average the mean square gain; exact: the largest
    gain of a row.
    """
    pairs = list(zip(track.states, map(_made, track.states[1:])))
    gains = np.full(len(track.states), math.nan)
    count = min(len(pairs), max(1, int(share * len(pairs)))) if share else 0
    chosen = np.linspace(len(pairs), 1, count).round().astype(int).tolist()
    if not chosen:
        return gains
    depth, shape = len(track.axis.chain), track.states[-1].shape
    steps, edges = _steps(graph, [pairs[k - 1] for k in chosen], depth)
    units = _units(shape, exact)
    pulled = []
    for unit in units:
        seeds = tuple(np.broadcast_to(unit, y.shape) for y in steps.outputs)
        pulled.append(dict(watch(steps, edges, seeds)))
    for k, y in zip(chosen, steps.outputs, strict=True):
        step = graph.place(y)[:depth]
        columns = np.stack([dx.get(step, np.zeros(shape)) for dx in pulled], axis=-1)
        gains[k] = _gain(columns, units, exact)
    return gains


def _units(shape: tuple[int, ...], exact: bool) -> Any:
    """The directions in which a Jacobian is tried."""
    if exact:
        return np.eye(shape[-1]) if shape else np.ones(1)
    return [np.random.default_rng(0).standard_normal(shape)]


def _gain(columns: Any, units: Any, exact: bool) -> float:
    if exact:
        return float(np.max(np.linalg.norm(np.atleast_2d(columns), 2, axis=(-2, -1))))
    return joint_norm([columns]) / joint_norm(units)


def _steps(
    graph: Graph, pairs: Sequence[tuple[Tensor, Tensor]], depth: int
) -> tuple[Graph, dict[Edge, Place]]:
    """The graph of what leads from a state to the next inside their step, all else being constant,
    for some pairs.

    And the edges by which the earlier states come into it, with the step of the later ones.
    """
    starts = {
        graph.place(after)[:depth]: (before, Tensor(before._array, requires_grad=True))
        for before, after in pairs
    }
    nodes, other = [after for _, after in pairs], constant(0.0)
    rewired: dict[Tensor, tuple[Tensor, ...]] = {}
    for node in nodes:  # grows while it is walked
        if node in rewired:
            continue
        step = graph.place(node)[:depth] if node.op else ()
        before, start = starts.get(step, (None, other))
        inputs = [_replaced(graph, x, before, start, other, step) for x in node.inputs]
        rewired[node] = tuple(inputs)
        nodes += inputs
    steps = Graph(*[after for _, after in pairs], rewired=rewired)
    edges = {
        edge: step for step, (_, start) in starts.items() for edge in steps.users.get(start, ())
    }
    return steps, edges


def _replaced(
    graph: Graph, x: Tensor, before: Tensor | None, start: Tensor, other: Tensor, step: Place
) -> Tensor:
    """An input in the graph of one step: the earlier state, a node inside the step, or a
    constant."""
    if x is before:
        return start
    return x if x.op is not None and graph.place(x)[: len(step)] == step else other
