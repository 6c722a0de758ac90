"""What one may ask about a step of a backward pass: its size, its place, whether it is finite.  Imports `naming`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad import naming
from minigrad.backward import Step
from minigrad.tensor import Tensor


def norm_of(grad: Any) -> float:
    """|grad|, summed in float64: float32 would overflow and vanish too soon."""
    flat = array_of(grad).ravel().astype(np.float64)
    with np.errstate(over="ignore"):
        return math.sqrt(flat.dot(flat))


def is_finite(value: Any) -> bool:
    """Whether no element is NaN or infinite."""
    array = array_of(value)
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def array_of(grad: Any) -> Any:
    """The array of a gradient: itself, a tensor's, or that of the part of an array that it belongs to."""
    return np.asarray(getattr(getattr(grad, "value", grad), "_data", getattr(grad, "value", grad)))


class Facts:
    """What conditions may ask about a step, each found when it is asked for; one object serves a whole pass."""

    def __init__(self, number: int = 1) -> None:
        self.number = number
        self.starts: dict[Any, float] = {}  # the first norm of each state
        self.tainted: set[Tensor] = set()  # whose gradient comes from one that is not finite

    def about(self, step: Step) -> Facts:
        """The same facts, now of `step`."""
        self.step, self._norm = step, -1.0
        return self

    @property
    def t(self) -> float:
        """The time step; nan outside of time."""
        t = self.step.node.t
        return math.nan if t is None else t

    @property
    def index(self) -> int:
        """The number of the step."""
        return self.step.index

    @property
    def norm(self) -> float:
        """|dy|."""
        if self._norm < 0:
            self._norm = norm_of(self.step._grad)
        return self._norm

    @property
    def op(self) -> str:
        """The name of the operation."""
        return self.step.node.op.name if self.step.node.op else ""

    @property
    def name(self) -> str:
        """What the node is called."""
        return naming.label(self.step.graph, self.step.node)

    @property
    def axis(self) -> str:
        """The name of the time axis, or ""."""
        return self.step.node.time.axis.name if self.step.node.time else ""

    @property
    def scope(self) -> _Prefix:
        """The path of the module scopes, equal to each of its beginnings."""
        return _Prefix(self.step.node.scope)

    @property
    def lines(self) -> _Lines:
        """The program lines that led to the node."""
        return _Lines(self.step.node)

    @property
    def fraction(self) -> float:
        """|dy| of a state over the first |dy| of that state in the pass; nan for other nodes."""
        key = states(self.step.graph).get(self.step.node)
        return self.norm / (self.starts.setdefault(key, self.norm) or math.nan) if key else math.nan

    @property
    def nonfinite(self) -> bool:
        """Whether NaN or infinity is born here: in the rule of this step, or in the sum that arrives."""
        step = self.step
        if not is_finite(step._grad):
            born = step.node not in self.tainted
            self.tainted.update(step.inputs)
            return born
        try:
            grads = step._run()
        except Exception:
            return False  # the pass itself is about to tell
        bad = [x for x, dx in zip(step.inputs, grads, strict=True) if dx is not None and not is_finite(dx)]
        self.tainted.update(bad)
        return bool(bad)


class _Prefix(str):
    """A scope's path, equal to every scope that it lies in."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return f"{self}.".startswith(f"{other}.")

    def __ne__(self, other: object) -> bool:
        return not self == other


class _Lines:
    """The places (file, line) in the program that lead to a node."""

    def __init__(self, node: Tensor) -> None:
        self.node = node

    def __contains__(self, place: tuple[str, int]) -> bool:
        file, line = place
        scope, sources = self.node._scope, [self.node.source]
        while scope is not None:
            sources.append(scope.called_from)
            scope = scope.parent
        return any(f"/{s.file}".endswith(f"/{file}") and s.line == line for s in sources if s.code)


def states(graph: Any) -> dict[Tensor, tuple[str, str]]:
    """The nodes that are states, with (axis, name): what crosses time steps, and its like in the last step."""
    known: dict[Tensor, tuple[str, str]] = graph.__dict__.get("_debugger_states", {})
    if not known:
        crossing = {edge.source: None for edge in graph.state_edges if edge.source.op is not None}
        places = {(x._code, x._instruction): None for x in crossing}
        names: dict[Any, str] = {}
        graph.__dict__["_debugger_states"] = known
        for node in graph.nodes:
            if node.op is not None and node.time and (node in crossing or (node._code, node._instruction) in places):
                key = (node._code, node._instruction, node.role, node.op.name)
                name = names.get(key) or names.setdefault(key, naming.label(graph, node))
                known[node] = (node.time.axis.name, name)
    return known
