"""Every cell that there is, on every kind of net: what reports and pictures are held against.

`python -m tests.nn.every_cell` prints the table of the suite, cell × property (`nn.testing`), with
one column more: whether every report and picture of every net tells what `mg.grad` gives.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import minigrad as mg  # noqa: E402
import nn  # noqa: E402
from demos import custom_cells  # noqa: E402
from minigrad.render.draw import plan  # noqa: E402
from minigrad.render.group import VIEWS  # noqa: E402
from minigrad.render.look import figure  # noqa: E402
from minigrad.render.options import checked  # noqa: E402
from minigrad.render.texts import Texts  # noqa: E402
from nn.cell import prepared, run_step, step_of  # noqa: E402
from nn.structure import flatten, map_structure  # noqa: E402
from tests.nn import paper_cells, twins  # noqa: E402

D, H, T, B = 3, 4, 4, 2
DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


class TwoState(NamedTuple):
    """The readout stands before the memory that makes it."""

    y: Any
    z: Any


class SwappedCell(nn.Cell):
    """z = z_prev + tanh(x W + y_prev U);  y = y_prev + z / 100: a readout with the louder name."""

    def __init__(self, D: int, H: int) -> None:
        self.input_size, self.state_size = D, TwoState(H, H)
        self.W, self.U = (nn.Parameter(nn.init.glorot(n, H)) for n in (D, H))

    def forward(self, x, state):
        """One step."""
        z = state.z + np.tanh(x @ self.W + state.y @ self.U)
        y = state.y + 0.01 * z
        return y, TwoState(y, z)


class DictCell(nn.Cell):
    """h = tanh(x W + h_prev U + m_prev);  m = 0.9 m_prev + 0.1 h: a state that is a dict."""

    def __init__(self, D: int, H: int) -> None:
        self.input_size, self.state_size = D, {"h": H, "m": H}
        self.W, self.U = (nn.Parameter(nn.init.glorot(n, H)) for n in (D, H))

    def forward(self, x, state):
        """One step."""
        h = np.tanh(x @ self.W + state["h"] @ self.U + state["m"])
        return h, {"h": h, "m": 0.9 * state["m"] + 0.1 * h}


class ViewCell(nn.Cell):
    """i, f = split(x W + h_prev U);  h = tanh(i) + σ(f) h_prev, carried as a column of one tensor."""

    def __init__(self, D: int, H: int) -> None:
        self.input_size, self.state_size = D, H
        self.W, self.U = (nn.Parameter(nn.init.glorot(n, 2 * H)) for n in (D, H))

    def forward(self, x, h_prev):
        """One step."""
        i, f = np.split(x @ self.W + h_prev @ self.U, 2, axis=-1)
        h = (np.tanh(i) + mg.sigmoid(f) * h_prev).reshape(-1, 1, H)
        return h[:, 0], np.squeeze(h, 1)


def of_demos(name: str) -> Callable[[], nn.Cell]:
    """A cell of demos.custom_cells."""
    module = importlib.import_module(f"demos.custom_cells.{name}")
    return lambda: getattr(module, custom_cells.CELLS[name])(D, H)


X = np.random.default_rng(7).standard_normal((T, B, D))
CELLS: dict[str, tuple[Callable[[], nn.Cell], Any]] = {
    "RNN": (lambda: nn.RNNCell(D, H), X),
    "RNN relu": (lambda: nn.RNNCell(D, H, nonlinearity="relu"), X),
    "LSTM": (lambda: nn.LSTMCell(D, H), X),
    "GRU": (lambda: nn.GRUCell(D, H), X),
    "GRU before": (lambda: nn.GRUCell(D, H, reset="before"), X),
    "residual": (lambda: nn.Residual(nn.GRUCell(H, H)), np.concatenate([X, X[..., :1]], -1)),
    "zoneout": (lambda: nn.Zoneout(nn.LSTMCell(D, H), 0.2), X),
    "dropped state": (lambda: nn.RecurrentDropout(nn.RNNCell(D, H), 0.2), X),
    "learned start": (lambda: nn.LearnedInitialState(nn.LSTMCell(D, H)), X),
    "swapped names": (lambda: SwappedCell(D, H), X),
    "dict": (lambda: DictCell(D, H), X),
    "view": (lambda: ViewCell(D, H), X),
    **{f"demo {name}": (of_demos(name), X) for name in custom_cells.CELLS},
    **{
        f"paper {name}": (make, twins.sequence(name, twins.CASES[name].x))
        for name, make in paper_cells.CELLS.items()
    },
}


class Above(nn.Cell):
    """s = (s_prev + mean of all parts of x) / 2: a layer over any other."""

    state_size = 1

    def forward(self, x, s_prev):
        """One step."""
        means = [part.reshape(len(part), -1).mean(axis=1, keepdims=True) for part in flatten(x)]
        s = (s_prev + sum(means) / len(means)) / 2
        return s, s


def total(*trees: Any) -> mg.Tensor:
    """Σ w y² over everything in some structures, with weights of their own."""
    parts = [part for tree in trees for part in flatten(tree)]
    return sum(((k + 1) * part * part).sum() for k, part in enumerate(parts))


def unrolled(make: Any, xs: Any) -> mg.Tensor:
    """A loss at every step, and on the last state."""
    return total(*nn.Unroll(make())(xs))


def last_step(make: Any, xs: Any) -> mg.Tensor:
    """A loss on the last output alone."""
    ys, _ = nn.Unroll(make())(xs)
    return total(map_structure(lambda y: y[-1], ys))


def stacked(make: Any, xs: Any) -> mg.Tensor:
    """A second layer on top."""
    return total(*nn.Unroll(nn.Stacked([make(), Above()]))(xs))


def both_ways(make: Any, xs: Any) -> mg.Tensor:
    """Two directions."""
    layer = nn.Bidirectional(make(), make(), join=lambda y, z: (y, z))
    return total(*layer(xs))


def with_lengths(make: Any, xs: Any) -> mg.Tensor:
    """Rows that end at different steps."""
    steps, rows = flatten(xs)[0].shape[:2]
    lengths = [max(1, steps - b) for b in range(rows)]
    return total(*nn.Unroll(make())(xs, lengths=lengths))


NETS: dict[str, Callable[[Any, Any], mg.Tensor]] = {
    "unrolled": unrolled,
    "last step": last_step,
    "stacked": stacked,
    "both ways": both_ways,
    "lengths": with_lengths,
}


@functools.lru_cache(maxsize=1)
def graph_of(cell: str, net: str) -> mg.Graph:
    """The graph of a net of this cell, in float64."""
    before = mg.get_default_dtype()
    mg.set_default_dtype(np.float64)
    mg.seed(3)
    try:
        make, xs = CELLS[cell]
        return mg.Graph(NETS[net](lambda: make().eval(), map_structure(mg.tensor, xs)))
    finally:
        mg.set_default_dtype(before)


@functools.lru_cache(maxsize=1)
def gradients(graph: mg.Graph) -> dict[mg.Tensor, Any]:
    """∂loss/∂node of every node that has one, by `mg.grad`."""
    nodes = [node for node in graph.nodes if node.requires_grad]
    found = mg.grad(graph.outputs[0], nodes, allow_unused=True)
    return {node: dx.data for node, dx in zip(nodes, found, strict=True) if dx is not None}


def gradient(graph: mg.Graph, x: mg.Tensor) -> Any:
    """∂loss/∂x; zeros where nothing comes."""
    dx = gradients(graph).get(x)
    return np.zeros(x.shape) if dx is None else dx


def norm_of(graph: mg.Graph, x: mg.Tensor) -> float:
    """‖∂loss/∂x‖."""
    return float(np.linalg.norm(gradient(graph, x)))


def is_masked(node: mg.Tensor) -> bool:
    """Whether rows that have ended keep a state here: what the step made is measured then."""
    one_per_row = (*node.shape[:1], *[1] * (node.ndim - 1))
    return node.op.name == "where" and np.shape(node.inputs[0]) == one_per_row


def crosses(graph: mg.Graph, axis: str, node: mg.Tensor) -> float:
    """‖∂loss/∂node‖ of what comes back from later steps: without it, their edges are cut."""
    edges = [edge for edge in graph.state_edges if edge.source is node]
    edges = [edge for edge in edges if edge.target.time[0].axis.name == axis]
    edges = [edge for edge in edges if not is_masked(edge.target)]
    if not edges:
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steps = graph.cut(edges).backward_steps()
    stays = next((s.grad.data for s in steps if s.node is node), np.zeros(node.shape))
    return float(np.linalg.norm(gradient(graph, node) - stays))


def close(found: Any, wanted: Any) -> bool:
    """Equal up to rounding."""
    return np.allclose(found, wanted, rtol=1e-8, atol=1e-11, equal_nan=True)


Finding = tuple[str, Any, Any]  # of what, what is told, what is true


# what each report tells, and what is true


def of_flow(graph: mg.Graph) -> Iterator[Finding]:
    """`gradient_flow`: each ‖∂loss/∂s_t‖; what crosses; the ratio of the whole state."""
    states = {(s.axis.name, s.scope, s.name): s for s in graph.states}
    flow = graph.gradient_flow(jacobians=False)
    told = {(p["axis"], p["scope"], p["state"]): p for p in json.loads(flow.to_json())["paths"]}
    cells: dict[tuple[str, str], list[Any]] = {}
    for path in flow.paths:
        state = states[path.axis, path.scope, path.state]
        nodes = [state.nodes[(t,)] for t in path.t]
        made = [node.inputs[1] if is_masked(node) else node for node in nodes]
        true = [norm_of(graph, node) for node in made]
        crossing = [crosses(graph, path.axis, node) for node in nodes]
        yield f"‖d{path.state}‖ of {path.scope}", path.total, true
        yield f"{path.state} in JSON", told[path.axis, path.scope, path.state]["total"], true
        yield f"what of d{path.state} crosses", path.crossing[:-1], crossing[:-1]
        cells.setdefault((path.axis, path.scope), []).append((path, true))
    for (_, scope), pairs in cells.items():
        path = pairs[0][0]
        if any(p.has_loss.any() or len(p.t) != len(path.t) or p.cancels for p, _ in pairs):
            continue
        joint = np.sqrt(np.sum(np.square([true for _, true in pairs]), axis=0))
        after = 1 if path.t[0] < path.t[-1] else -1
        if after == 1 and np.all(joint > 1e-9):
            yield f"ratio of {scope}", path.ratio[:-1], joint[:-1] / joint[1:]


def of_parameters(graph: mg.Graph) -> Iterator[Finding]:
    """`grad_by_step` adds up to the gradient where all uses are in steps; norms are its norms."""
    for name, leaf in graph.parameters.items():
        for axis in axes_that_use(graph, leaf):
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                rows = graph.grad_by_step(name, axis=axis)
            norms = [np.linalg.norm(row) for row in rows.reshape(-1, leaf.size)]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield f"norms of {name}", graph.grad_by_step(name, True, axis).ravel(), norms
            inner = tuple(range(rows.ndim - leaf.ndim))
            if not told:
                yield f"sum of {name}", rows.sum(inner), gradient(graph, leaf)


def axes_that_use(graph: mg.Graph, leaf: mg.Tensor) -> list[list[str]]:
    """The outermost axes with steps in which a parameter is used, as one list."""
    uses = {edge.target.time[0].axis.name for edge in graph.users[leaf] if edge.target.time}
    return [sorted(uses)] if uses else []


def of_values(graph: mg.Graph) -> Iterator[Finding]:
    """`values_by_step` of a state is the array of that state's node."""
    for state in graph.states:
        named = [n for n in state.nodes.values() if n.name == state.name]
        if len(state.axis.chain) > 1 or len(named) < len(state.nodes):
            continue
        others = [s for s in graph.states if s.name == state.name and s is not state]
        if others or len(graph.find(name=state.name)) != len(named):
            continue
        rows = graph.values_by_step(state.name)
        for (t,), node in state.nodes.items():
            yield f"{state.name} at t = {t}", rows[t], node.data


def of_bias(graph: mg.Graph) -> Iterator[Finding]:
    """`truncation_bias`: the quotient of the norms of what `truncate` leaves, and of the whole."""
    if len({axis.name for axis in graph.axes.values() if axis.parent is None}) > 1:
        return
    bias = graph.truncation_bias(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for leaf in graph.parameters.values():
            leaf.grad = None
        graph.truncate(2).backward()
    for name, leaf in graph.parameters.items():
        whole, short = norm_of(graph, leaf), leaf.grad
        if whole > 1e-9 and name in bias.parameters:
            left = 0.0 if short is None else np.linalg.norm(short.data)
            yield f"bias of {name}", bias.parameters[name][0], left / whole


def of_explain(graph: mg.Graph) -> Iterator[Finding]:
    """`explain` tells the norm of a parameter's gradient."""
    for name, leaf in graph.parameters.items():
        true, told = norm_of(graph, leaf), mg.explain(leaf, graph).norm
        yield f"explain {name}", 0.0 if told is None else told, true


def of_pictures(graph: mg.Graph) -> Iterator[Finding]:
    """Every ‖∂L/∂name‖ in a box, in a tile's heading, under a parameter; every colour."""
    for view in VIEWS:
        made = plan(graph, checked(view=view, backward=True, steps="all"))
        texts = Texts(made.picture, made.norms, {})
        for box in made.picture.boxes:
            for named, number in numbers_in(texts.label(box)):
                yield from number_of_state(graph, view, box, named, number)
        for tile, boxes in made.picture.tiles.items():
            for named, number in numbers_in(texts.heading(tile)) if texts.framed else ():
                owners = [box for box in boxes if lane_of(named) in box.lanes and not box.beside]
                yield f"{view}: a box for {named}", bool(owners), True
                yield from number_of_state(graph, view, owners[-1], named, number)
        for title, leaf in graph.parameters.items():
            right = [(title, figure(norm_of(graph, leaf)))]
            yield f"{view}: {title}", list(numbers_in(texts.parameter(leaf))) == right, True
        for part, norm in made.norms.parts.items():
            yield f"{view}: colour of {part.node.name}", norm, norm_of_part(graph, part)


def norm_of_part(graph: mg.Graph, part: Any) -> float:
    """‖∂loss/∂part‖: a picture may draw a part of a value by itself."""
    dx = gradient(graph, part.node)
    return float(np.linalg.norm(dx if part.part is None else dx[part.part]))


def numbers_in(text: str) -> list[tuple[str, str]]:
    """Every ‖∂L/∂name‖ = number in a text."""
    return re.findall(r"‖∂L/∂([^‖]*)‖ = (\S+)", text)


def lane_of(named: str) -> str:
    """The state's name without the step."""
    return named.rstrip("₀₁₂₃₄₅₆₇₈₉,")


def number_of_state(
    graph: mg.Graph, view: str, box: Any, named: str, number: str
) -> Iterator[Finding]:
    """The number beside a state's name and step is that state's."""
    lane = lane_of(named)
    place = [int(k) for k in named[len(lane) :].translate(DIGITS).split(",")]
    parts = [part for name, part in box.states if name == lane]
    parts = [part for part in parts if [*part.node.coordinates.values()] == place]
    yield f"{view}: {named} is one state", len(parts), 1
    yield f"{view}: ‖d{named}‖", figure(norm_of_part(graph, parts[0])) == number, True


REPORTS: dict[str, Callable[[mg.Graph], Iterator[Finding]]] = {
    "flow": of_flow,
    "parameters": of_parameters,
    "values": of_values,
    "bias": of_bias,
    "explain": of_explain,
    "pictures": of_pictures,
}


def wrong(cell: str, net: str, report: str) -> tuple[list[str], int]:
    """What a report tells wrongly of a net, and how many numbers were compared."""
    graph, count, found = graph_of(cell, net), 0, []
    for what, told, true in REPORTS[report](graph):
        count += 1
        if np.shape(told) != np.shape(true) or not close(told, true):
            found.append(f"{what}: told {told}, true {true}")
    return found, count


# states against the loop that one would write


def by_hand(cell: nn.Cell, xs: Any) -> list[Any]:
    """The state after each step, from a plain loop."""
    steps = [map_structure(lambda x, t=t: x[t], xs) for t in range(len(flatten(xs)[0]))]
    state = cell.initial_state(flatten(steps[0])[0].shape[0])
    context, states = prepared(cell, xs, {}), []
    for t, x in enumerate(steps):
        _, state = run_step(cell, x, state, step_of(context, t))
        states.append(state)
    return states


def main() -> None:
    """Print cell × property, and what is wrong."""
    properties = [*nn.testing.PROPERTIES, "reports"]
    width = max(map(len, CELLS))
    print("  ".join([f"{'cell':{width}}", *properties]))
    counted, failures = 0, []
    for cell, (make, xs) in CELLS.items():
        found = nn.testing.suite(make, xs)
        failures += [f"{cell}, {key}: {text}" for key, text in found.items() if text != "ok"]
        bad = 0
        for net in NETS:
            for report in REPORTS:
                texts, count = wrong(cell, net, report)
                counted, bad = counted + count, bad + len(texts)
                failures += [f"{cell}, {net}, {report}: {text}" for text in texts]
        found["reports"] = "FAILED" if bad else "ok"
        marks = [f"{found[key].partition(':')[0]:{len(key)}}" for key in properties]
        print("  ".join([f"{cell:{width}}", *marks]).rstrip(), flush=True)
    print(f"{len(CELLS)} cells × {len(NETS)} nets: {counted} numbers compared, ", end="")
    print(f"{len(failures)} failures")
    print("\n".join(failures))


if __name__ == "__main__":
    main()
