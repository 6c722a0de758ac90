"""What one may ask about a step of a backward pass: its size, its place, whether it is finite.

`PassInfo` is what all steps of a pass share; a `StepInfo` is one step, or one node, with its facts.
`FIELDS` lists the facts that conditions may compare.
"""

from __future__ import annotations

import functools
import math
import os
from typing import Any, Literal, NamedTuple

import numpy as np

from minigrad import naming
from minigrad.backward import Step
from minigrad.cached import cached_property
from minigrad.debugger.texts import did_you_mean, in_brackets
from minigrad.flow import state_lines
from minigrad.graph import Graph
from minigrad.norms import is_finite, norm
from minigrad.paths import Axis
from minigrad.recorder import Recorder
from minigrad.scope import Scope
from minigrad.source import Source
from minigrad.tensor import Tensor


class Field(NamedTuple):
    """A fact that a condition may compare: what it is about, its meaning, an example."""

    about: Literal["node", "step", "pass"]
    meaning: str
    example: str


FIELDS = {
    "t": Field("node", "the time step; of an inner loop rk4 == 1", "t == 3"),
    "norm": Field("step", "the norm of the gradient", "norm > 100"),
    "fraction": Field(
        "step", "a state's gradient, divided by its first one in the pass", "fraction < 1e-3"
    ),
    "nonfinite": Field("step", "NaN or infinity is born here, also in the forward", "nonfinite"),
    "value": Field("node", "the largest absolute element of the node", "value > 10"),
    "name": Field("node", "the node's name", "name == h, or h, or h[3], or l0:h[3]"),
    "op": Field("node", "the operation", "op == tanh"),
    "axis": Field("node", "the time axis", "axis == encoder"),
    "scope": Field("node", "a module scope around the node", "scope == encoder.cell"),
    "layer": Field("node", "a module scope, or the time axis", "layer == l0"),
    "line": Field("node", "the forward line, or a line that called it", "train.py:12"),
    "index": Field("step", "the number of the step in the pass", "index == 40"),
    "pass": Field("pass", "the number of the backward pass", "pass == 812"),
    "loss": Field("pass", "the loss", "loss > 10 * median(loss)"),
    "lr": Field("pass", "the learning rate of the last optimiser step", "lr > 0.1"),
    "update": Field("pass", "‖Δθ‖ / ‖θ‖ of the last optimiser step", "update > 0.1"),
    "max_norm": Field("pass", "the largest ‖∂loss/∂state‖ in the last pass", "max_norm > 100"),
    "grad_norm": Field("pass", "‖∂loss/∂θ‖ of the pass before", "grad_norm > 100"),
    "param": Field("pass", "a parameter: its norm, grad, update", 'param("W").norm > 100'),
}
SERIES = ("loss", "lr", "update", "max_norm", "grad_norm")  # what functions of passes take
MIN_PASSES = 5  # that a median or a mean needs
FUNCTIONS = {  # of the passes before this one
    "median": "the median of the passes before",
    "mean": "the mean of the passes before",
    "rises": "higher than in each of the 10 passes before, or of N: rises(loss, N)",
}
_largest = np.maximum.reduce  # half the time of np.max
MATCHED = {"scope", "layer", "line"}  # fields that several texts are right for


class PassInfo:
    """What the steps of one pass have in common.

    original: the graph of the pass.  graph: the one that is walked now, perhaps edited.
    number: which pass of the program it is, counted from 1.
    starts: the first norm of each state's gradient.
    tainted: the nodes whose gradient comes from one that is not finite.
    met: for each breakpoint, the occasion that it has stopped at last.
    recorder: what the passes before were like.
    """

    def __init__(self, graph: Graph, number: int = 1, recorder: Recorder | None = None) -> None:
        self.original = self.graph = graph
        self.recorder = recorder
        self.number = number
        self.axes = {axis: name for name, axis in graph.axes.items()}
        self.starts: dict[str, float] = {}
        self.tainted: set[Tensor] = set()
        self.met: dict[Any, Any] = {}
        self._known: dict[str, list[Any]] = {}
        self._series: dict[str, list[float]] = {}
        self._arguments: dict[Tensor, str] = {}
        self._paths: dict[Scope | None, tuple[str, ...]] = {}
        self._lines: dict[Scope | None, tuple[str, ...]] = {}

    def begin_again(self, graph: Graph) -> None:
        """Forget what the gradients were: from here on they may be others."""
        if graph is not self.graph:
            self.graph = graph
            self._known.clear()
        self.starts.clear()
        self.tainted.clear()
        self.met.clear()

    def step(self, step: Step) -> StepInfo:
        """The facts of a step."""
        return StepInfo(self, step.node, step)

    def node(self, node: Tensor) -> StepInfo:
        """The facts of a node, wherever the pass is."""
        return StepInfo(self, node, None)

    def known(self, field: str) -> list[Any]:
        """All values that a field has in this graph."""
        if field not in self._known:
            self._known[field] = self._values(field)
        return self._known[field]

    def _values(self, field: str) -> list[Any]:
        if field in MATCHED:
            values = [text for node in self.graph.nodes for text in self.texts(field, node)]
        else:
            values = [getattr(self.node(node), field) for node in self.graph.nodes]
        if field == "axis":  # those of inner loops, too
            values += self.axes.values()
        return [value for value in dict.fromkeys(values) if value == value]

    def name_of(self, node: Tensor) -> str:
        """What the program calls a node, also an array that it has handed to an operation."""
        name = naming.name_of(self.graph, node, roles=False)
        if name != "constant" or node.op is not None:
            return name
        if node not in self._arguments:
            self._arguments[node] = naming.argument_name(self.graph, node) or name
        return self._arguments[node]

    @cached_property
    def loss(self) -> float:
        """The loss; NaN where the pass does not start from one number."""
        outputs = self.original.outputs
        return float(outputs[0].item()) if outputs[0].size == 1 else math.nan

    def series(self, column: str) -> list[float]:
        """A figure in the passes before this one, as far as they are remembered."""
        if column not in self._series:
            known = self.recorder.series(column) if self.recorder is not None else []
            self._series[column] = known
        return self._series[column]

    def last(self, column: str) -> float:
        """A figure of the pass before; NaN if there is none."""
        return next(reversed(self.series(column)), math.nan)

    def parameter(self, name: str, figure: str) -> float:
        """The norm of a parameter now; its grad in the pass before, its last update.

        A name may be shortened from the left: W_hh for l0.W_hh, if only one ends so.
        """
        names = self.original.parameters
        found = [known for known in names if known == name or known.endswith(f".{name}")]
        if len(found) != 1:
            hint = did_you_mean(name, found or names)
            raise ValueError(f"{len(found)} parameters are called {name}{hint}")
        if figure == "norm":
            return norm(names[found[0]])
        return self.last(f"{figure}.{found[0]}")

    @cached_property
    def states(self) -> dict[Tensor, str]:
        """The title of each state: what crosses from one time step to the next."""
        try:
            lines = state_lines(self.original, "the debugger")
        except ValueError:  # nothing crosses
            lines = []
        several = len(self.axes) > 1
        titles = naming.unique(
            (f"{x.name} of {self.axes[x.axis]}" if several else x.name, x) for x in lines
        )
        return {node: title for title, line in titles.items() for node in line.states}

    def texts(self, field: str, node: Tensor) -> tuple[str, ...]:
        """The texts that are right for a field of a node: `scope`, `layer` or `line`."""
        scope = node._scope
        if scope not in self._paths:
            chain = [scope] if scope else []
            while chain and chain[-1].parent is not None:
                chain.append(chain[-1].parent)
            self._paths[scope] = tuple(one.path for one in chain)
            self._lines[scope] = tuple(_line(one.called_from) for one in chain)
        if field == "line":
            return (_line(node.source), *self._lines[scope])
        if field == "layer" and node.time is not None:
            return (self.axes[node.time.axis], *self._paths[scope])
        return self._paths[scope]

    @cached_property
    def layers(self) -> dict[tuple[Axis, str], str]:
        """The places that hold state, (axis, scope), and their short names: l0."""
        places = dict.fromkeys(
            (node.time.axis, node.scope)
            for node in self.original.nodes
            if node.role is not None and node.role.kind == "state" and node.op and node.time
        )
        axes = [axis for axis, _ in places]
        named = (
            (scope.rpartition(".")[2] if axes.count(axis) > 1 else self.axes[axis], (axis, scope))
            for axis, scope in places
        )
        return {place: name for name, place in naming.unique(named).items()}

    def layer(self, node: Tensor) -> str:
        """The short name of the layer that a node belongs to; "" where there is only one."""
        if node.time is None or len(self.layers) < 2:
            return self._axis_title(node)
        axis = node.time.axis
        inside = [
            name
            for (other, scope), name in self.layers.items()
            if other is axis and f"{node.scope}.".startswith(f"{scope}.")
        ]
        return inside[-1] if inside else self._axis_title(node)

    def _axis_title(self, node: Tensor) -> str:
        """The name of a node's axis where there are several; else ""."""
        return self.axes[node.time.axis] if node.time and len(self.axes) > 1 else ""

    def title(self, node: Tensor) -> str:
        """The name of a node with its time step: h[3]."""
        name = in_brackets(self.name_of(node))
        return name if node.time is None else f"{name}[{node.t}]"


class StepInfo(NamedTuple):
    """One step of a pass, or with step=None one node, and the facts that conditions compare."""

    run: PassInfo
    node: Tensor
    step: Step | None

    @property
    def t(self) -> float:
        """The time step; NaN outside of time."""
        time = self.node.time
        return math.nan if time is None else time.t

    @property
    def norm(self) -> float:
        """‖∂loss/∂node‖."""
        return norm(self.step._grad)  # type: ignore[union-attr]  # asked of steps only

    @property
    def fraction(self) -> float:
        """The norm of a state's gradient, divided by the first one of that state; else NaN."""
        state = self.run.states.get(self.node)
        if state is None:
            return math.nan
        start = self.run.starts.setdefault(state, self.norm)
        return self.norm / start if start else math.nan

    @property
    def nonfinite(self) -> bool:
        """Whether NaN or infinity is born here: in the rule, or of a node in its operation."""
        step = self.step
        if step is None:
            return not is_finite(self.node)
        try:
            grads = step.sparse_input_grads()
        except Exception:
            return False  # the pass itself raises it next
        pairs = zip(step.inputs, grads, strict=True)
        bad = [x for x, dx in pairs if dx is not None and not is_finite(dx)]
        tainted = self.run.tainted
        tainted.update(bad)
        return bool(bad) and (step.node not in tainted or is_finite(step._grad))

    @property
    def value(self) -> float:
        """The largest absolute element of the node; NaN if it has none."""
        array = self.node._array
        return float(_largest(np.abs(array), None)) if array.size else math.nan

    @property
    def name(self) -> str:
        """The node's name."""
        return self.run.name_of(self.node)

    @property
    def op(self) -> str:
        """The operation; "" for a leaf."""
        return self.node.op.name if self.node.op else ""

    @property
    def axis(self) -> str:
        """The time axis; "" outside of time."""
        return self.run.axes[self.node.time.axis] if self.node.time else ""

    def coordinate(self, axis: str) -> float:
        """The step on an axis, perhaps of an inner loop; NaN where the node is not on it."""
        steps = self.run.original.coordinates(self.node)
        return steps.get(axis, math.nan)

    @property
    def index(self) -> int:  # type: ignore[override]
        """The number of the step in the pass."""
        return self.step.index  # type: ignore[union-attr]  # asked of steps only

    @property
    def loss(self) -> float:
        """The loss of the pass."""
        return self.run.loss

    def last(self, column: str) -> float:
        """A figure of the pass before: lr, update, max_norm, grad_norm."""
        return self.run.last(column)

    def param(self, name: str, figure: str) -> float:
        """The norm, grad or update of a parameter."""
        return self.run.parameter(name, figure)

    def median(self, column: str) -> float:
        """The median of a figure over the passes before; NaN if there are fewer than 5."""
        values = self.run.series(column)
        return float(np.median(values)) if len(values) >= MIN_PASSES else math.nan

    def mean(self, column: str) -> float:
        """The mean of a figure over the passes before; NaN if there are fewer than 5."""
        values = self.run.series(column)
        return float(np.mean(values)) if len(values) >= MIN_PASSES else math.nan

    def rises(self, column: str, passes: int = 10) -> bool:
        """Whether a figure is higher than in each of so many passes before."""
        values = self.run.series(column)
        values = [*values, self.loss] if column == "loss" else values
        before = values[-passes - 1 : -1]
        return len(before) == passes and values[-1] > max(before)

    @property
    def pass_(self) -> int:
        """The number of the pass."""
        return self.run.number

    def matches(self, field: str, text: str) -> bool:
        """Whether a text is right for a field: it equals one of its texts, or the end of one."""
        wanted = str(text).removeprefix("./")
        ends = ("/" + wanted, "." + wanted)
        return any(x == wanted or x.endswith(ends) for x in self.run.texts(field, self.node))

    @property
    def time_step(self) -> Any:
        """What tells the time step of this node from all others in the pass."""
        time = self.node.time
        return None if time is None else (id(time.axis), time.t)


@functools.lru_cache(maxsize=4096)
def _line(source: Source) -> str:
    """A line of the program: absolute path and number."""
    return f"{os.path.abspath(source.file)}:{source.line}"
