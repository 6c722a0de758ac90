"""What one may ask about a step of a backward pass: its size, its place, whether it is finite.  Imports `naming`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad import naming
from minigrad.backward import Step
from minigrad.tensor import Tensor


def norm_of(grad: Any) -> float:
    """|grad|; summed in float64 where float32 would overflow or vanish."""
    flat = (grad if type(grad) is np.ndarray else array_of(grad)).ravel("K")
    square = float(np.vdot(flat, flat))  # unlike `dot`, silent on overflow
    if not 1e-30 < square < math.inf:
        wide = flat.astype(np.float64)
        square = float(np.vdot(wide, wide))
    return math.sqrt(square)


def is_finite(value: Any) -> bool:
    """Whether no element is NaN or infinite."""
    array = value if type(value) is np.ndarray else array_of(value)
    if array.dtype.kind != "f":
        return True
    flat = array.ravel("K")
    return math.isfinite(np.vdot(flat, flat)) or bool(np.isfinite(flat).all())


def array_of(grad: Any) -> Any:
    """The array of a gradient: itself, a tensor's, or that of the part of an array that it belongs to."""
    return np.asarray(getattr(getattr(grad, "value", grad), "_array", getattr(grad, "value", grad)))


class Facts:
    """What conditions may ask about a step, each found when it is asked for; one object serves a whole pass."""

    step: Step

    def __init__(self, number: int = 1) -> None:
        self.number = number
        self.starts: dict[Any, float] = {}  # the first norm of each state
        self.tainted: set[Tensor] = set()  # whose gradient comes from one that is not finite
        self._norm: tuple[Any, float] = (None, 0.0)
        self._names: dict[Any, str] = {}

    def about(self, step: Step) -> Facts:
        """The same facts, now of `step`."""
        self.step = step
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
        grad = self.step._grad
        if self._norm[0] is not grad:
            self._norm = grad, norm_of(grad)
        return self._norm[1]

    @property
    def op(self) -> str:
        """The name of the operation."""
        return self.step.node.op.name  # type: ignore[union-attr]  # only operations are visited

    @property
    def name(self) -> str:
        """What the node is called."""
        node = self.step.node
        key = node.name, node._code, node._instruction, node.op, node.role, node.call and node.call.which
        if key not in self._names:
            self._names[key] = naming.label(self.step.graph, node)
        return self._names[key]

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
        try:
            grads = step.contributions()
        except Exception:
            return False  # the pass itself is about to tell
        bad = [x for x, dx in zip(step.inputs, grads, strict=True) if dx is not None and not is_finite(dx)]
        self.tainted.update(bad)
        return bool(bad) and (step.node not in self.tainted or is_finite(step._grad))


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
