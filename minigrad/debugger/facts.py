"""What one may ask about a step of a backward pass: its size, its place, whether it is finite.  Imports `flow`.

The properties of `Facts` are the fields of conditions; what stands below each is its help, with an example.
"""

from __future__ import annotations

import difflib
import functools
import math
import os
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad import naming
from minigrad.backward import Step
from minigrad.edits import state_names
from minigrad.flow import state_lines
from minigrad.graph import Graph
from minigrad.primitive import Scatter
from minigrad.scope import Scope
from minigrad.source import Source
from minigrad.tensor import Tensor


def norm_of(grad: Any) -> float:
    """|grad|; summed in float64 where float32 would overflow or vanish."""
    array = grad if type(grad) is np.ndarray else array_of(grad)
    square = np.vdot(array, array)  # unlike `dot`, silent on overflow
    if not 1e-30 < square < math.inf:
        wide = array.astype(np.float64)
        square = np.vdot(wide, wide)
    return math.sqrt(square)


def is_finite(value: Any) -> bool:
    """Whether no element is NaN or infinite."""
    flat = array_of(value).ravel("K")
    return (
        flat.dtype.kind != "f"
        or math.isfinite(np.vdot(flat, flat))
        or bool(np.isfinite(flat).all())
    )


def array_of(grad: Any) -> Any:
    """The array of a gradient: itself, a tensor's, or that of the part of an array that it belongs to."""
    if type(grad) is np.ndarray:
        return grad
    return np.asarray(getattr(getattr(grad, "value", grad), "_array", getattr(grad, "value", grad)))


class Facts:
    """What conditions may ask about a step of a pass over `graph`, or about a node; one object serves a whole pass."""

    step: Step | None
    node: Tensor

    def __init__(self, graph: Graph, number: int = 1) -> None:
        self.original = self.graph = graph
        self.number = number
        self.axes = {axis: name for name, axis in graph.axes.items()}
        self.starts: dict[str, float] = {}  # the first norm of each state
        self.tainted: set[Tensor] = set()  # whose gradient comes from one that is not finite
        self._scopes: dict[Scope | None, tuple[Several, Several]] = {}
        self._name_of = state_names(graph, roles=False)

    def about(self, step: Step) -> Facts:
        """The same facts, now of `step`."""
        self.step, self.node = step, step.node
        return self

    def of(self, node: Tensor) -> Facts:
        """The same facts, now of a node, wherever the pass is."""
        self.step, self.node = None, node
        return self

    def known(self, field: str) -> list[Any]:
        """All that a field of nodes is in this graph."""
        values = dict.fromkeys(getattr(self.of(node), field) for node in self.graph.nodes)
        return [value for value in values if value is not math.nan]  # outside of time

    def forget(self, graph: Graph) -> None:
        """The pass runs otherwise from here on, perhaps over an edited graph."""
        self.graph = graph
        self.starts.clear()
        self.tainted.clear()

    @functools.cached_property
    def states(self) -> dict[Tensor, str]:
        """The name of each state: what crosses from one time step to the next, and its like in the last step."""
        try:
            lines = state_lines(self.original, "the debugger")
        except ValueError:  # nothing crosses
            lines = []
        several = len(self.axes) > 1
        titles = naming.unique(
            (f"{x.name} of {self.axes[x.axis]}" if several else x.name, x) for x in lines
        )
        return {node: title for title, line in titles.items() for node in line.states}

    @property
    def t(self) -> float:
        """the time step:  t == 3"""
        time = self.node.time
        return math.nan if time is None else time.t

    @property
    def norm(self) -> float:
        """the size of the gradient:  norm > 100"""
        return norm_of(self.step._grad)  # type: ignore[union-attr]  # asked of steps only

    @property
    def fraction(self) -> float:
        """a state's gradient, compared with the first one of that state in the pass:  fraction < 1e-3"""
        state = self.states.get(self.node)
        return (
            math.nan
            if state is None
            else self.norm / (self.starts.setdefault(state, self.norm) or math.nan)
        )

    @property
    def nonfinite(self) -> bool:
        """NaN or infinity is born here, in the forward pass too:  nonfinite"""
        step = self.step
        if step is None:  # asked of a node: its value
            return not is_finite(self.node)
        try:
            grads = step.contributions()
        except Exception:
            return False  # the pass itself is about to tell
        bad = [
            x
            for x, dx in zip(step.inputs, grads, strict=True)
            if dx is not None and not is_finite(dx)
        ]
        self.tainted.update(bad)
        return bool(bad) and (step.node not in self.tainted or is_finite(step._grad))

    @property
    def name(self) -> str:
        """the node's name:  name == h, or just h, or h[3]"""
        return self._name_of(self.node)

    @property
    def op(self) -> str:
        """the operation:  op == tanh"""
        return self.node.op.name if self.node.op else ""

    @property
    def axis(self) -> str:
        """the time axis:  axis == encoder"""
        return self.axes[self.node.time.axis] if self.node.time else ""

    @property
    def scope(self) -> Several:
        """the module scope and all inside it:  scope == encoder.cell"""
        return self._around()[0]

    @property
    def line(self) -> Several:
        """the forward line, or a line that called it:  train.py:12"""
        return Several(_line(self.node._code, self.node._instruction) + self._around()[1])

    def _around(self) -> tuple[Several, Several]:
        """The paths of the scopes around the node, and the lines that opened them."""
        scope = self.node._scope
        if scope not in self._scopes:
            chain = [scope] if scope else []
            while chain and chain[-1].parent is not None:
                chain.append(chain[-1].parent)
            paths, lines = (
                (f"/{one.path}\n" for one in chain),
                (_line(one.code, one.instruction) for one in chain),
            )
            self._scopes[scope] = Several("".join(paths)), Several("".join(lines))
        return self._scopes[scope]

    @property
    def index(self) -> int:
        """the number of the step in the pass:  index == 40"""
        return self.step.index  # type: ignore[union-attr]

    @property
    def pass_(self) -> int:
        """the number of the backward pass:  pass == 812"""
        return self.number


FIELDS = {
    name.rstrip("_"): str(fact.__doc__)
    for name, fact in vars(Facts).items()
    if isinstance(fact, property)
}
OF_STEPS = {"norm", "fraction", "nonfinite", "index"}  # the fields that only a pass can answer


class Several(str):
    """Several texts, each on a line after a slash: equal to each of them, of a file also to the end of its path."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return f"/{str(other).lstrip('/')}\n" in str(self)

    def __ne__(self, other: object) -> bool:
        return not self == other


@functools.lru_cache(maxsize=4096)
def _line(code: Any, instruction: int) -> str:
    """A line of the program as an entry of `Several`."""
    source = Source(code, instruction)
    return f"{os.path.abspath(source.file)}:{source.line}\n"


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a name that matches nothing: "; did you mean h?" or the names there are."""
    names = [name for name in dict.fromkeys(known) if name]
    close = difflib.get_close_matches(word, names, 1, 0.5)
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"; did you mean {close[0]}?" if close else f"; there are: {shown}" if names else ""


def spelled(name: str) -> str:
    """A name, or an expression in brackets."""
    return name if re.fullmatch(r"[\w.]+", name) else f"({name})"


def called(facts: Facts, node: Tensor) -> str:
    """The name of a node with its time step: h[3]."""
    return spelled(facts.of(node).name) + ("" if node.t is None else f"[{node.t}]")


def callers(node: Tensor) -> list[Source]:
    """The lines that opened the scopes of a node, innermost first, without the node's own line."""
    lines, scope = {str(node.source): node.source}, node._scope
    while scope is not None:
        lines.setdefault(str(scope.called_from), scope.called_from)
        scope = scope.parent
    return [line for line in list(lines.values())[1:] if line.code]


def array_text(name: str, value: Any) -> str:
    """An array in a few lines: shape, dtype, norm, range, what is not finite; small ones in full."""
    if isinstance(value, Scatter):
        return f"{name}: only at {value.index!r}: " + array_text("value", value.value)
    array = array_of(value)
    text = f"{name}: {array.shape} {array.dtype}"
    if array.size and array.dtype.kind == "f":
        text += f", norm {norm_of(array):.4g}"
        wrong = np.argwhere(~np.isfinite(array))
        if len(wrong):
            first = wrong[0].tolist()
            text += f", {len(wrong)} of {array.size} not finite, the first at {first}: {array[tuple(first)]}"
        elif array.size > 1:
            text += f", from {array.min():.4g} to {array.max():.4g}"
    return text + (
        "" if array.size > 24 else "\n" + np.array2string(array, precision=6, separator=", ")
    )
