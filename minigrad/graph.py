"""The computation graph of one or more outputs, as an immutable object.  Imports `naming`, `tensor`, `scope`.

Tools are functions of it; `public.Graph` is it, with the tools as methods.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple, Self

import numpy as np

from minigrad import naming
from minigrad.scope import Axis
from minigrad.tensor import Tensor

Tensors = Tensor | Iterable[Tensor]
Wanted = str | None  # a name to look for; None: any


class Edge(NamedTuple):
    """A value that flows from its producer `source` into input number `position` of `target`."""

    source: Tensor
    target: Tensor
    position: int


class Graph:
    """Everything that `outputs` were computed from.

    rewired: what flows into a node where an edit has put something in between; else its own inputs.
    """

    def __init__(
        self, *outputs: Tensor, rewired: Mapping[Tensor, tuple[Tensor, ...]] | None = None
    ) -> None:
        if not outputs or not all(isinstance(y, Tensor) for y in outputs):
            found = ", ".join(type(y).__name__ for y in outputs) or "nothing"
            raise TypeError(f"Graph(loss, ...): tensors are needed, found {found}")
        self.outputs, self.rewired = outputs, rewired or {}
        self.nodes: tuple[Tensor, ...] = tuple(self._walk())

    def inputs(self, node: Tensor) -> tuple[Tensor, ...]:
        """The tensors that flow into a node."""
        return self.rewired.get(node, node.inputs) if self.rewired else node.inputs

    def edited(self, rewired: Mapping[Tensor, tuple[Tensor, ...]]) -> Self:
        """The same outputs, with something put in between; of the class that this graph is of."""
        return type(self)(*self.outputs, rewired=rewired)

    def _walk(self) -> list[Tensor]:
        """All nodes, inputs before users: creation order."""
        found = list(dict.fromkeys(self.outputs))
        seen = set(found)
        for node in found:  # grows while it is walked
            for x in self.inputs(node):
                if x not in seen:
                    seen.add(x)
                    found.append(x)
        found.sort(key=attrgetter("serial"))
        return found

    # what it holds

    @cached_property
    def order(self) -> list[Tensor]:
        """The nodes that the backward loop visits: operations on the way to a gradient, last first."""
        order = [
            node for node in reversed(self.nodes) if node.op is not None and node._requires_grad
        ]
        return [node for node in order if node in self.reached] if self.cuts else order

    @cached_property
    def cuts(self) -> set[Tensor]:
        """The nodes through which no gradient flows back."""
        return {
            x
            for xs in self.rewired.values()
            for x in xs
            if x.op and x.op.blocks and x.constants["rows"] is None
        }

    @cached_property
    def reached(self) -> set[Tensor]:
        """The nodes from which a path that is not cut leads to an output."""
        found = set(self.outputs)
        for node in reversed(self.nodes):
            if node in found and node not in self.cuts:
                found.update(self._taken(node))
        return found

    def _taken(self, node: Tensor) -> Iterable[Tensor]:
        """The inputs that a gradient other than zero may reach: of a stack that is only indexed, the parts taken."""
        inputs, op = self.inputs(node), node.op and node.op.name
        if op != "stack" or node.constants["axis"] != 0 or node in {*self.outputs}:
            return inputs
        indices = [edge.target.constants.get("index") for edge in self.users[node]]
        firsts = [
            index[0] if isinstance(index, tuple) and index else index for index in indices
        ]  # None: no `getitem`
        if not all(isinstance(first, int | slice | np.ndarray) for first in firsts):
            return inputs
        return [inputs[k] for first in firsts for k in np.atleast_1d(np.arange(len(inputs))[first])]

    @cached_property
    def _first_siblings(self) -> set[Tensor]:
        return {
            *{id(node.call.outputs): node for node in self.order if node.call is not None}.values()
        }

    def is_first(self, node: Tensor) -> bool:
        """Whether the node is the earliest of those outputs of its call that are in the graph (or its only one)."""
        return node.call is None or node in self._first_siblings

    @cached_property
    def masking(self) -> bool:
        """Whether some `where` hides values that are not finite."""
        wheres = [node for node in self.order if node.op.name == "where"]
        return not all(
            np.isfinite(v).all()
            for y in wheres
            for x, v in zip(y.inputs, y.arrays)
            if x._requires_grad
        )

    @cached_property
    def leaves(self) -> tuple[Tensor, ...]:
        """The nodes that no operation made."""
        return tuple(node for node in self.nodes if node.op is None)

    @cached_property
    def parameters(self) -> dict[str, Tensor]:
        """The leaves that require grad, by name."""
        return naming.unique(
            (naming.label(self, leaf), leaf) for leaf in self.leaves if leaf._requires_grad
        )

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """All edges, in the order of their targets."""
        return tuple(
            Edge(x, node, k) for node in self.nodes for k, x in enumerate(self.inputs(node))
        )

    @cached_property
    def users(self) -> dict[Tensor, tuple[Edge, ...]]:
        """The edges out of each node."""
        table: dict[Tensor, list[Edge]] = {node: [] for node in self.nodes}
        for edge in self.edges:
            table[edge.source].append(edge)
        return {node: tuple(edges) for node, edges in table.items()}

    # time

    @cached_property
    def _positions(self) -> dict[tuple[Axis, int], int]:
        """The position of each step of each axis, axis by axis, in the order of their first visits in this graph."""
        visits: dict[Axis, dict[int, int]] = {}
        for node in self.nodes:
            if node.time is not None:
                visits.setdefault(node.time.axis, {}).setdefault(node.time.t, node.time.position)
        return {
            (axis, t): k
            for axis, at in visits.items()
            for k, t in enumerate(sorted(at, key=at.__getitem__))
        }

    @cached_property
    def axes(self) -> dict[str, Axis]:
        """The time axes by name, in order of appearance."""
        return naming.unique(
            (axis.name, axis) for axis in dict.fromkeys(axis for axis, _ in self._positions)
        )

    @cached_property
    def time_steps(self) -> tuple[int, ...]:
        """The steps that some node belongs to, axis by axis, in the order in which they were visited."""
        return tuple(dict.fromkeys(t for _, t in self._positions))

    def position(self, node: Tensor) -> tuple[Axis, int] | None:
        """The axis of a node and the position of its step there; None for a node outside of time."""
        return (
            None
            if node.time is None
            else (node.time.axis, self._positions[node.time.axis, node.time.t])
        )

    def at(self, t: int, axis: str | None = None) -> tuple[Tensor, ...]:
        """The nodes of one time step, of one axis or of all."""
        if axis is not None and axis not in self.axes:
            raise KeyError(
                f"axis {axis!r} is not in the graph; its axes: {', '.join(self.axes) or 'none'}"
            )
        return tuple(
            n for n in self.find(t=t) if axis is None or (n.time and n.time.axis is self.axes[axis])
        )

    def find(
        self, *, op: Wanted = None, name: Wanted = None, t: int | None = None, scope: Wanted = None
    ) -> tuple[Tensor, ...]:
        """The nodes that match all that is given: operation, label, time step, a prefix of the scope's path."""
        prefix = "" if scope is None else f"{scope.rstrip('.')}."
        found = (
            n
            for n in self.nodes
            if op in (None, _op(n)) and t in (None, n.t) and f"{n.scope}.".startswith(prefix)
        )
        return tuple(node for node in found if name is None or naming.label(self, node) == name)

    @cached_property
    def state_edges(self) -> tuple[Edge, ...]:
        """The edges that carry state: they join consecutive positions of one axis.

        Edges that only accumulate the losses of the steps, and edges between axes, are not among them.
        """
        return tuple(
            e
            for e in self._between_steps()
            if self._is_consecutive(e) and not self._accumulates_loss(e)
        )

    def _between_steps(self) -> Generator[Edge, None, None]:
        """The edges between steps: few of all, so that `edges` need not be made."""
        for node in self.nodes:
            if node.time is not None:
                for k, x in enumerate(self.inputs(node)):
                    if x.time is not None and x.time is not node.time:
                        yield Edge(x, node, k)

    @cached_property
    def crossings(self) -> dict[tuple[Tensor, int], tuple[Edge, ...]]:
        """The state edges from one source into one step, taken together: (source, position of the step) → edges."""
        table: dict[tuple[Tensor, int], tuple[Edge, ...]] = {}
        for edge in self.state_edges:
            crossing = edge.source, self.position(edge.target)[1]  # type: ignore[index]  # state is in time
            table[crossing] = (*table.get(crossing, ()), edge)
        return table

    def _is_consecutive(self, edge: Edge) -> bool:
        source, target = self.position(edge.source), self.position(edge.target)
        return source is not None and target == (source[0], source[1] + 1)

    @cached_property
    def _summed(self) -> set[Tensor]:
        """The nodes whose every path to an output only sums: add, subtract, sum, mean, negative, constant factors."""
        summed: set[Tensor] = set()
        for node in reversed(self.nodes):
            last = node.size == 1  # what the total goes through after the last step does not matter
            if all(
                e.target in summed and _sums(e)
                for e in self.users[node]
                if not (last and e.target.time is None)
            ):
                summed.add(node)
        return summed

    def _accumulates_loss(self, edge: Edge) -> bool:
        """Whether an edge between steps only adds to a total: another loss is added to it, and nothing else done.

        What an unroller calls a state is one, and so is what its next step reads in another way, scales, or what has
        several features.  A hand-written `h = h + w` of one number with a linear readout looks like a total, and counts
        as one.
        """
        source, node, position = edge
        return (
            (
                _op(node) in ("add", "concatenate", "stack")
                or (_op(node), position) == ("subtract", 0)
            )
            and source.role is None
            and (source.ndim < 2 or source.shape[-1] < 2)
            and all(
                _sums(e) and e.target in self._summed
                for e in self.users[source]
                if e.target.time == node.time
            )
            and all(x.op is not None or x._requires_grad for x in self.inputs(node))
        )

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        operations = sum(node.op is not None for node in self.nodes)
        steps = len(self._positions)
        parts = [naming.count(steps, "time step")] if steps else []
        if len(self.axes) > 1:
            parts[0] += f" on {len(self.axes)} axes ({', '.join(self.axes)})"
        parts.append(naming.count(operations, "operation"))
        uses = {name: len(self.users[leaf]) for name, leaf in self.parameters.items()}
        shown = [
            f"{n} {self.parameters[n].shape} used {naming.count(k, 'time')}"
            for n, k in list(uses.items())[:8]
        ]
        more = f", and {len(uses) - 8} more" if len(uses) > 8 else ""
        parts.append(
            naming.count(len(uses), "parameter") + (": " if uses else "") + ", ".join(shown) + more
        )
        edits = Counter(
            x.op.name
            for x in dict.fromkeys(x for xs in self.rewired.values() for x in xs)
            if x.name and x._code is None and x.op
        )
        edited = (
            "; edited: " + ", ".join(f"{name} × {count}" for name, count in edits.items())
            if edits
            else ""
        )
        return f"Graph: {', '.join(parts)}{edited}"


def _op(node: Tensor) -> str:
    return node.op.name if node.op else ""


def _sums(edge: Edge) -> bool:
    """Whether the target only sums: it is linear with constant factors, and reduces or adds."""
    name, k = _op(edge.target), edge.position
    if name == "multiply" or (name, k) == ("divide", 0):
        return not edge.target.inputs[1 - k]._requires_grad
    return name in (
        "add",
        "subtract",
        "negative",
        "sum",
        "mean",
        "stack",
        "concatenate",
        "reshape",
        "expand_dims",
    )
