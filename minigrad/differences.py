"""Where two graphs, or two recorded runs, part: the first thing that differs."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np

from minigrad import naming
from minigrad.backward import Step, backward_steps, begin
from minigrad.graph import Graph
from minigrad.journal import TEXTS, Row
from minigrad.norms import array_of
from minigrad.runs import Run, read
from minigrad.tensor import Tensor


class Difference(NamedTuple):
    """The first place where two runs part.

    kind: "structure", "value", "gradient", or of recordings "figure".
    name, t, line: of the node, or of the figure and where the pass was started.
    number: the pass, of recordings.  size: the difference, relative to the larger of the two.
    text: the same for people.
    """

    kind: str
    name: str
    t: int | None
    line: str
    number: int | None
    size: float
    text: str

    def __str__(self) -> str:
        return self.text


def first_difference(a: Any, b: Any, tolerance: float = 1e-6) -> Difference | None:
    """The first node, step and line at which two graphs part, or the first pass of two recordings.

    a, b: losses or graphs of one program on two occasions; or recordings, or their files.
    tolerance: differences up to so much, relative to the largest element, are none.

    Of graphs the values are compared, in the order of the forward pass, then the gradients, in the
    order of the backward pass; each graph runs a pass of its own, and no `.grad` is written.
    Returns None where they agree.

    >>> import minigrad as mg
    >>> def run(W):
    ...     h, w = mg.tensor(1.0), mg.tensor(0.5, requires_grad=True, name="w")
    ...     for t in range(4):
    ...         with mg.time_step(t): h = w * h * (W if t == 2 else 1.0)
    ...     return mg.Graph(h)
    >>> print(mg.first_difference(run(1.0), run(1.5)))  # doctest: +ELLIPSIS
    value of 1.5 at t = 2, a constant of w * h * (W if t == 2 else 1.0)   (...): 1 against 1.5
    """
    if isinstance(a, Tensor | Graph) and isinstance(b, Tensor | Graph):
        one, two = (x if isinstance(x, Graph) else Graph(x) for x in (a, b))
        found = next(_parting_nodes(one, two, tolerance), None)
        return found or next(_parting_gradients(one, two, tolerance), None)
    return _first_parting_pass(_recording(a), _recording(b), tolerance)


def _recording(x: Any) -> Run:
    if isinstance(x, Run):
        return x
    if isinstance(x, str | os.PathLike):
        return read(x)
    raise TypeError(f"first_difference: losses, graphs or recordings, found {type(x).__name__}")


# graphs


def _parting_nodes(a: Graph, b: Graph, tolerance: float) -> Iterator[Difference]:
    """Where the nodes of two graphs part, in the order in which they were made."""
    for x, y in zip(a.nodes, b.nodes):
        if _kind(x) != _kind(y):
            text = f"structure: {_described(a, x)} against {_described(b, y)}"
            yield _difference("structure", b, y, math.inf, text)
            return
        size = relative_difference(x._array, y._array)
        if size > tolerance:
            yield _difference("value", b, y, size, _text("value", b, y, x._array, y._array))
    if len(a) != len(b):
        longer = a if len(a) > len(b) else b
        node = longer.nodes[min(len(a), len(b))]
        which = "first" if longer is a else "second"
        text = f"structure: only the {which} goes on with {_described(longer, node)}"
        yield _difference("structure", longer, node, math.inf, text)


def _kind(node: Tensor) -> tuple[Any, ...]:
    """What nodes of the same step of two graphs have in common."""
    return (node.op.name if node.op else None, node.shape, node.t)


def _parting_gradients(a: Graph, b: Graph, tolerance: float) -> Iterator[Difference]:
    """Where the gradients part, in the order of the backward pass; at last those of the leaves."""
    passes = begin(a), begin(b)
    steps = (backward_steps(graph, pending) for graph, pending in zip((a, b), passes))
    for one, two in zip_longest(*steps):
        if one is None or two is None:
            graph, step = (b, two) if one is None else (a, one)
            text = f"gradient: only one of the two reaches {_described(graph, step.node)}"
            yield _difference("gradient", graph, step.node, math.inf, text)
            return
        size = relative_difference(one.grad, two.grad)
        if size > tolerance:
            text = _text("gradient", b, two.node, one.grad, two.grad) + _senders(b, two)
            yield _difference("gradient", b, two.node, size, text)
            return
    for x, y in zip(a.leaves, b.leaves):
        dx, dy = passes[0].grads.get(x), passes[1].grads.get(y)
        size = relative_difference(dx, dy)
        if size > tolerance:
            yield _difference("gradient", b, y, size, _text("gradient", b, y, dx, dy))


def _senders(graph: Graph, step: Step) -> str:
    """The operations whose rules have sent a gradient, which agreed before."""
    users = dict.fromkeys(edge.target for edge in graph.users[step.node])
    rules = [f"{user.op.name} ({user.source})" for user in users]
    return f", sent by {', '.join(rules[:3])}" if rules else ""


def relative_difference(x: Any, y: Any) -> float:
    """max |x − y| / max(|x|, |y|); infinite where one is missing, or not finite alone."""
    if x is None or y is None:
        return 0.0 if x is y else math.inf
    one, two = (np.asarray(array_of(v), np.float64) for v in (x, y))
    if one.shape != two.shape:
        return math.inf
    if np.array_equal(one, two, equal_nan=True):
        return 0.0
    with np.errstate(all="ignore"):
        size = np.max(np.abs(one - two)) / np.max(np.maximum(np.abs(one), np.abs(two)))
    return float(size) if math.isfinite(size) else math.inf


def _difference(kind: str, graph: Graph, node: Tensor, size: float, text: str) -> Difference:
    name, place = naming.label(graph, node), node
    if node._code is None and graph.users[node]:  # a constant: the line that uses it
        place = graph.users[node][0].target
    return Difference(kind, name, node.t, str(place.source), None, size, text)


def _text(kind: str, graph: Graph, node: Tensor, x: Any, y: Any) -> str:
    return f"{kind} of {_described(graph, node)}: {_amount(x, y)}"


def _amount(x: Any, y: Any) -> str:
    """The first element that differs most, in both."""
    if x is None or y is None:
        return "none in one of the two"
    one, two = (np.asarray(array_of(v), np.float64) for v in (x, y))
    with np.errstate(all="ignore"):
        gap = np.nan_to_num(np.abs(one - two), nan=np.inf, posinf=np.inf)
    at = np.unravel_index(int(np.argmax(gap)), gap.shape)
    where = f" at {[int(n) for n in at]}" if at else ""
    return f"{one[at]:.6g} against {two[at]:.6g}{where}"


def _described(graph: Graph, node: Tensor) -> str:
    """A node with step, expression and line; a constant with the operation that uses it."""
    name = naming.label(graph, node)
    at = "" if node.t is None else f" at t = {node.t}"
    if node.op is None and not node.requires_grad and graph.users[node]:
        user = graph.users[node][0].target
        at = "" if user.t is None else f" at t = {user.t}"
        name = f"{node.item():.6g}" if node.size == 1 and name == "constant" else name
        return f"{name}{at}, a constant of {naming.expression(graph, user)}   ({user.source})"
    made = naming.equation(graph, node, name)
    scope = f" of {node.scope}" if node.scope else ""
    return f"{made}{at}{scope}   ({node.source})"


# recordings


def _first_parting_pass(a: Run, b: Run, tolerance: float) -> Difference | None:
    for one, two in zip(a.rows, b.rows):
        if (found := row_difference(one, two, tolerance)) is not None:
            return found
    if len(a) != len(b):
        number = min(len(a), len(b)) + 1
        text = f"one recording ends before pass {number}, the other goes on"
        return Difference("structure", "pass", None, "", number, math.inf, text)
    return None


def row_difference(one: Row, two: Row, tolerance: float = 1e-6) -> Difference | None:
    """The first figure in which two recordings of a pass differ; None if they agree."""
    for column, x in one.items():
        y = two.get(column)
        if column in TEXTS or column.startswith("update") or y is None:
            continue
        size = relative_difference(x, y)
        if size > tolerance:
            number, line = int(two["pass"]), str(two.get("line", ""))
            text = f"pass {number}: {column} {x:.6g} against {y:.6g}   ({line})"
            return Difference("figure", column, None, line, number, size, text)
    return None
