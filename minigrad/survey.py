"""One look at a backward pass, and the findings that several checks make of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from minigrad import naming
from minigrad.backward import backward_steps, begin
from minigrad.grad_table import GradTable
from minigrad.graph import Graph
from minigrad.norms import array_of, norm
from minigrad.tensor import Tensor


class Finding(NamedTuple):
    """One thing that is suspicious: what kind of thing, what was found, and the line of it."""

    kind: str
    text: str
    line: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" + (f"   ({self.line})" if self.line else "")


class Checkup(tuple[Finding, ...]):
    """The findings of `Graph.checkup`; printed one on each line."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "nothing suspicious was found"

    def __repr__(self) -> str:
        return str(self)

    def of(self, kind: str) -> tuple[Finding, ...]:
        """The findings of one kind."""
        return tuple(finding for finding in self if finding.kind == kind)


class Survey:
    """One backward pass over a graph, and what several checks want to know of it.

    arrives: the size of each node's gradient.  sends: whether anything but zeros goes on from it.
    grads: the gradients of the leaves.  states: the nodes that carry state, last step first.
    rows: for a state of each scope, which rows of the batch get a gradient at some step.
    padding: for each `where` that puts a constant into ended rows, those that the loss reads.
    hooked: the hooks that reverse a gradient or make zeros of it, and what they do, by tensor.
    failure: the error that the pass ended with, or "".
    ran: whether there was a pass; a careful one runs nothing that the program has written.
    """

    def __init__(self, graph: Graph, *, careful: bool = False) -> None:
        self.graph = graph
        self.arrives: dict[Tensor, float] = {}
        self.sends: dict[Tensor, bool] = {}
        self.grads: dict[Tensor, Any] = {}
        self.states = _states(graph)
        self.rows: dict[Tensor, Any] = {}
        self.padding: dict[Tensor, PaddingRead] = {}
        self.hooked: dict[Tensor, tuple[Any, str]] = {}
        self.failure = ""
        self.ran = not (careful and any(map(_is_the_programs, graph.order)))
        if self.ran:
            with np.errstate(all="ignore"):
                self._run(graph)

    def _run(self, graph: Graph) -> None:
        table = begin(graph, sparse=True)
        table.hooked = self._hook  # type: ignore[method-assign]
        try:
            self._look(graph, table)
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"

    def _look(self, graph: Graph, table: GradTable) -> None:
        first: dict[Any, Tensor] = {}
        batches = {
            node: first.setdefault((node.scope, node.shape), node)
            for node in self.states
            if node.role is not None and node.ndim > 1
        }
        for step in backward_steps(graph, table):
            node, dy = step.node, step._grad
            self.arrives[node] = _size(dy)
            if self.arrives[node]:
                self.sends[node] = _goes_on(step.sparse_input_grads())
            if node.op.name == "where" and _fills_padding(node) and dy.ndim > 1:
                rows = _rows_of_padding(np.asarray(node.arrays[0], bool), dy)
                if rows.all and any(e.target.time is None for e in graph.users[node]):
                    self.padding[node] = rows
            if node in batches:
                self._note_rows(batches[node], dy)
        self.grads = table.grads
        self.arrives |= {leaf: _size(array_of(dx)) for leaf, dx in table.grads.items()}

    def _note_rows(self, state: Tensor, dy: Any) -> None:
        """Which rows of the batch a gradient reaches."""
        known = self.rows.setdefault(state, np.zeros(len(dy), bool))
        if not known.all():
            known |= dy.any(axis=tuple(range(1, dy.ndim)))

    def _hook(self, x: Tensor, dy: Any) -> Any:
        """Run the hooks of a tensor as a pass does, and note what is suspicious about them."""
        for hook in x._hooks:
            changed = hook(dy)
            if changed is not None:
                before, dy = dy, np.asarray(array_of(changed), dy.dtype)
                if dy.shape != before.shape:
                    raise ValueError(f"a hook returned shape {dy.shape} for {before.shape}")
                if before.any() and not dy.any():
                    self.hooked[x] = hook, "makes zeros of its gradient"
                elif np.vdot(before, dy) < 0:
                    self.hooked[x] = hook, "turns its gradient round"
        return dy

    def name_of(self, node: Tensor) -> str:
        """What the program calls a node, also an array that it has handed to an operation."""
        name = naming.name_of(self.graph, node)
        if name == "constant" and node.op is None:
            return naming.argument_name(self.graph, node) or name
        return name

    def place(self, node: Tensor) -> str:
        """The user's line of a node: where it was made, and where its module was called."""
        line, scope = str(node.source), node._scope
        if scope is not None and str(scope.called_from) != line:
            return f"{line}, called from {scope.called_from}"
        return line

    def title(self, node: Tensor) -> str:
        """A node's name with its time step."""
        return self.name_of(node) + ("" if node.t is None else f"[{node.t}]")


def _size(array: Any) -> float:
    """Σ x²: zero only for zeros, not finite only for what is not."""
    square = float(np.vdot(array, array))
    if 0 < square < math.inf:
        return square
    if square == 0 and not np.count_nonzero(array):
        return 0.0
    size = norm(array)
    return max(size * size, 1e-300)


def _goes_on(grads: Iterable[Any]) -> bool:
    """Whether a rule has sent something that is not zero; also where it has nothing to send."""
    sent = [dx if type(dx) is np.ndarray else array_of(dx) for dx in grads if dx is not None]
    return not sent or any(x.size and (x.item(0) or np.count_nonzero(x)) for x in sent)


def _is_the_programs(node: Tensor) -> bool:
    """Whether a pass over this node runs code of the program: a rule, or a hook."""
    return bool(node._hooks) or not module_of(node.op).startswith("minigrad.")


def module_of(op: Any) -> str:
    """The module in which an operation is written."""
    return str(getattr(op.forward, "__module__", ""))


class PaddingRead(NamedTuple):
    """Rows of the batch whose padding a loss reads: all, and those where it certainly matters."""

    all: list[int]
    certain: list[int]


def _states(graph: Graph) -> list[Tensor]:
    """The nodes that carry state from step to step, in the order of the backward pass."""
    named = [x for x in graph.order if x.role is not None and x.role.kind == "state"]
    if not named:  # the unroller was not there to say so
        sources = {source for source, _ in graph.crossings}
        named = [node for node in graph.order if node in sources]
    return named


def _rows_of_padding(inside: Any, dy: Any) -> PaddingRead:
    """The rows of the batch whose padding matters to a loss, from its gradient (T, B, ...).

    Padding matters where a loss reads nothing else of the row (`y[-1]`), or reads each step in
    another way (a difference to a target).  A sum over all steps treats them alike: it adds zeros.
    """
    ended = np.broadcast_to(~inside, dy.shape)
    other = tuple(axis for axis in range(dy.ndim) if axis != 1)
    reads = np.any(ended & (dy != 0), axis=other)
    nothing_else = ~np.any(~ended & (dy != 0), axis=other)
    low = np.where(ended, dy, np.inf).min(axis=0)
    high = np.where(ended, dy, -np.inf).max(axis=0)
    unlike = np.any(high > low, axis=tuple(range(1, high.ndim)))
    certain = reads & (nothing_else | unlike)
    return PaddingRead(*(np.flatnonzero(rows).tolist() for rows in (reads, certain)))


def _fills_padding(node: Tensor) -> bool:
    """Whether it puts a constant in place of the rows that have ended."""
    mask, stacked, filling = node.inputs
    if mask.role is None or mask.role.kind != "mask":
        return False
    is_output = stacked.op is not None and stacked.op.name == "stack"
    return is_output and filling.op is None and not filling.requires_grad
