"""Why a gradient is None, zero, NaN, infinite or huge: where it became so.  Imports the engine and `naming`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigrad import naming
from minigrad.backward import backward_steps, begin
from minigrad.graph import Edge, Graph
from minigrad.history import last_loss
from minigrad.tensor import Tensor


class Link(NamedTuple):
    """One operation on the way of a gradient: what arrives at it, and what it sends on (norms; None for nothing)."""

    node: Tensor
    t: int | None
    arrives: float | None
    sends: float | None
    line: str

    def __str__(self) -> str:
        place = "" if self.t is None else f"t = {self.t}, "
        return f"{place}{self.line}:  gradient {_text(self.arrives)} -> {_text(self.sends)}"


class Explanation(NamedTuple):
    """What a gradient is ("none", "zero", "nan", "infinite", "huge" or "finite"), its norm, and how it came about.

    path: the operations from the loss to the tensor.  culprit: the one where it first became so (of a finite or huge
    one: where it grew most).  text: the same for people.
    """

    kind: str
    norm: float | None
    path: tuple[Link, ...]
    culprit: Link | None
    text: str

    def __str__(self) -> str:
        return self.text


def explain(x: Tensor, loss: Tensor | Graph | None = None, huge: float = 1e4) -> Explanation:
    """Why the gradient of `loss` (by default of the last backward pass) with respect to `x` is what it is.

    Walks a backward pass of its own and writes no `.grad`.  Of several ways to the loss it follows the one that sends
    what is not finite, else the most.  huge: the norm from which a gradient is called that.

    >>> import minigrad as mg, numpy as np
    >>> x = mg.tensor([0.0, 4.0], requires_grad=True, name="x")
    >>> y = np.sqrt(x)
    >>> with np.errstate(divide="ignore"):
    ...     print(mg.explain(x, y.sum()))
    the gradient of x is infinite (2 operations from the loss): first so at sqrt
      y = np.sqrt(x)  (<doctest minigrad.explain.explain[2]>:1):  gradient of norm 1.41 -> infinite
      x: 0 to 4
    """
    loss = loss if loss is not None else last_loss()
    if loss is None:
        raise ValueError(
            "explain(x): there was no backward pass yet, or its loss is gone; write explain(x, loss)"
        )
    graph = loss if isinstance(loss, Graph) else Graph(loss)
    name = x.name or (naming.label(graph, x) if x in graph.users else "the tensor")
    if not x.requires_grad or x not in graph.users:
        why = "no recorded operation leads from it to the loss: .data, detach, no_grad or a comparison cut the way"
        why = why if x.requires_grad else "it does not require grad"
        return Explanation("none", None, (), None, f"the gradient of {name} is None: {why}")
    path, norm = _path(graph, x)
    kind = _kind(norm, huge)
    grows = kind in ("finite", "huge")
    what = f"{kind}, {_text(norm)}" if grows else _text(norm)
    text = f"the gradient of {name} is {what} ({len(path)} operations from the loss)"
    found = (
        sorted(path, key=_growth)
        if grows
        else [link for link in path if _kind(link.sends, huge) == kind]
    )
    if kind == "zero" and (not found or found[0].arrives == 0):
        text += f": what the users of {naming.label(graph, found[0].node) if found else name} send to it cancels"
    elif found:
        inputs = "".join(f"\n  {_range(graph, v)}" for v in graph.inputs(found[0].node))
        verb = "grows most" if grows else "first so"
        text += f": {verb} at {found[0].node.op.name}\n  {found[0]}{inputs}"
    return Explanation(kind, norm, tuple(path), found[0] if found else None, text)


def _path(graph: Graph, x: Tensor) -> tuple[list[Link], float | None]:
    """The operations between the loss and x, the loss first, along the edges that send most; and the norm at x."""
    arrived, sent, pending = dict[Tensor, float](), dict[Edge, float](), begin(graph)
    with np.errstate(all="ignore"):
        for step in backward_steps(graph, pending):
            arrived[step.node] = _norm(step.grad)
            edges = enumerate(zip(step.inputs, step.contributions()))
            sent |= {Edge(y, step.node, k): _norm(dx) for k, (y, dx) in edges if dx is not None}
        arrived |= {leaf: _norm(dx) for leaf, dx in pending.grads.items()}

    def weight(edge: Edge) -> tuple[float, ...]:
        sends, arrives = sent.get(edge, -1.0), arrived.get(edge.target, -1.0)
        return (np.isnan(sends), sends, np.isnan(arrives), arrives)

    path, node = list[Link](), x
    while graph.users[node]:
        edge = max(graph.users[node], key=weight)
        node = edge.target
        line = f"{naming.label(graph, node)} = {naming.expression(graph, node)}  ({node.source})"
        path.append(Link(node, node.t, arrived.get(node), sent.get(edge), line))
    return path[::-1], arrived.get(x)


def _norm(dx: Any) -> float:
    return float(np.linalg.norm(np.asarray(getattr(dx, "value", dx), np.float64)))


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
    return {"none": "None", "nan": "NaN", "finite": f"of norm {norm:.3g}" if norm else ""}.get(
        kind, kind
    )


def _range(graph: Graph, v: Tensor) -> str:
    values = v.data[np.isfinite(v.data)]
    found = f"{values.min():.3g} to {values.max():.3g}" if values.size else "no finite number"
    wrong = v.size - values.size
    return f"{naming.label(graph, v)}: {found}" + (f", {wrong} not finite" if wrong else "")
