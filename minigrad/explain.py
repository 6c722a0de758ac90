"""Why a gradient is None, zero, NaN, infinite or huge: where it became so."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigrad import naming
from minigrad.backward import backward_steps, begin
from minigrad.graph import Edge, Graph
from minigrad.history import last_loss
from minigrad.memory import collector_paused
from minigrad.norms import norm
from minigrad.tensor import Tensor


class Link(NamedTuple):
    """One operation on the way of a gradient: what arrives at it, and what it sends on (norms; None
    for nothing)."""

    node: Tensor
    t: int | None
    arrives: float | None
    sends: float | None
    line: str

    def __str__(self) -> str:
        place = "" if self.t is None else f"t = {self.t}, "
        return f"{place}{self.line}:  gradient {_text(self.arrives)} -> {_text(self.sends)}"


class Explanation(NamedTuple):
    """What a gradient is ("none", "zero", "nan", "infinite", "huge" or "finite"), its norm, and how
    it came about.

    path: the operations from the loss to the tensor.  culprit: the one where it first became so (of
    a finite or huge one: where it grew most).  text: the same for people.
    """

    kind: str
    norm: float | None
    path: tuple[Link, ...]
    culprit: Link | None
    text: str

    def __str__(self) -> str:
        return self.text


def explain(x: Tensor, loss: Tensor | Graph | None = None, huge: float = 1e4) -> Explanation:
    """Why the gradient of `loss` (by default of the last backward pass) with respect to `x` is what
    it is.

    Walks a backward pass of its own and writes no `.grad`.  Of several ways to the loss it follows
    the one that sends what is not finite, else the most.  huge: the norm from which a gradient is
    called that.

    >>> import minigrad as mg, numpy as np
    >>> x = mg.tensor([0.0, 4.0], requires_grad=True, name="x")
    >>> y = np.sqrt(x)
    >>> with np.errstate(divide="ignore"):
    ...     print(mg.explain(x, y.sum()))  # doctest: +ELLIPSIS
    the gradient of x is infinite (2 operations from the loss): first so at sqrt
      y = np.sqrt(x)  (...):  gradient of norm 1.41 -> infinite
      x: 0 to 4
    """
    if loss is None:
        loss = last_loss()
    if loss is None:
        problem = "there was no backward pass yet, or its loss is gone"
        raise ValueError(f"explain(x): {problem}; write explain(x, loss)")
    graph = loss if isinstance(loss, Graph) else Graph(loss)
    name = x.name or (naming.label(graph, x) if x in graph.users else "the tensor")
    if not x.requires_grad or x not in graph.users:
        text = f"the gradient of {name} is None: {_why_none(graph, x)}"
        return Explanation("none", None, (), None, text)
    path, size = _path(graph, x)
    kind = _kind(size, huge)
    culprit = _culprit(path, kind, huge)
    text = _account(graph, name, path, size, kind, culprit)
    return Explanation(kind, size, tuple(path), culprit, text)


def _why_none(graph: Graph, x: Tensor) -> str:
    if not x.requires_grad:
        return "it does not require grad"
    if any(y in Graph(x).users for y in graph.outputs):
        return "it is computed from the loss; swapped?  write explain(x, loss)"
    cut = ".data, detach, no_grad or a comparison cut the way"
    return f"no recorded operation leads from it to the loss: {cut}"


def _culprit(path: list[Link], kind: str, huge: float) -> Link | None:
    """Where the gradient first became NaN, infinite or zero; or else, where it grew most."""
    if kind in ("finite", "huge"):
        return min(path, key=_growth, default=None)
    return next((link for link in path if _kind(link.sends, huge) == kind), None)


def _account(
    graph: Graph, name: str, path: list[Link], size: float | None, kind: str, culprit: Link | None
) -> str:
    """The explanation for people."""
    grows = kind in ("finite", "huge")
    what = f"{kind}, {_text(size)}" if grows else _text(size)
    text = f"the gradient of {name} is {what} ({len(path)} operations from the loss)"
    if kind == "zero" and (culprit is None or culprit.arrives == 0):
        node = name if culprit is None else naming.label(graph, culprit.node)
        return f"{text}: the contributions to {node} cancel each other out"
    if culprit is None:
        return text
    verb = "grows most" if grows else "first so"
    inputs = "".join(f"\n  {_range(graph, v)}" for v in graph.inputs(culprit.node))
    return f"{text}: {verb} at {culprit.node.op.name}\n  {culprit}{inputs}"


def _path(graph: Graph, x: Tensor) -> tuple[list[Link], float | None]:
    """The operations between the loss and x along the edges that send most; and the norm at x."""
    arrived, sent = _sizes(graph, _above(graph, x))

    def weight(edge: Edge) -> tuple[float, ...]:
        sends, arrives = sent.get(edge[1:], -1.0), arrived.get(edge.target, -1.0)
        return (np.isnan(sends), sends, np.isnan(arrives), arrives)

    path, node = list[Link](), x
    while graph.users[node]:
        edge = max(graph.users[node], key=weight)
        node = edge.target
        line = f"{naming.equation(graph, node)}  ({node.source})"
        path.append(Link(node, node.t, arrived.get(node), sent.get(edge[1:]), line))
    return path[::-1], arrived.get(x)


def _above(graph: Graph, x: Tensor) -> set[Tensor]:
    """The tensor, and all that is computed from it."""
    found = {x}
    for node in graph.nodes:
        if not found.isdisjoint(graph.inputs(node)):
            found.add(node)
    return found


def _sizes(graph: Graph, wanted: set[Tensor]) -> tuple[dict[Tensor, float], dict[Any, float]]:
    """The norm of the gradient that arrives at each wanted node, and of that sent along each edge
    between two of them, by its target and number."""
    arrived: dict[Tensor, float] = {}
    sent: dict[Any, float] = {}
    pending = begin(graph)
    with np.errstate(all="ignore"), collector_paused():
        for step in backward_steps(graph, pending):
            node = step.node
            if node not in wanted:
                continue
            arrived[node] = norm(step.grad)
            for k, (y, dx) in enumerate(zip(step.inputs, step.sparse_input_grads())):
                if dx is not None and y in wanted:
                    sent[node, k] = norm(dx)
        arrived |= {leaf: norm(dx) for leaf, dx in pending.grads.items() if leaf in wanted}
    return arrived, sent


def _growth(link: Link) -> float:
    return -(link.sends or 0.0) / max(link.arrives or 0.0, 1e-300)


def _kind(norm: float | None, huge: float) -> str:
    if norm is None or norm == 0:
        return "none" if norm is None else "zero"
    if not np.isfinite(norm):
        return "nan" if np.isnan(norm) else "infinite"
    return "huge" if norm >= huge else "finite"


def _text(norm: float | None) -> str:
    kind = _kind(norm, np.inf)
    if kind == "finite":
        return f"of norm {norm:.3g}"
    return {"none": "None", "nan": "NaN"}.get(kind, kind)


def _range(graph: Graph, v: Tensor) -> str:
    values = v.data[np.isfinite(v.data)]
    found = f"{values.min():.3g} to {values.max():.3g}" if values.size else "no finite number"
    wrong = v.size - values.size
    return f"{naming.label(graph, v)}: {found}" + (f", {wrong} not finite" if wrong else "")
