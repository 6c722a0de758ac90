"""When nodes are made, and which hold several time steps along their first axis, one by one."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from minigrad.graph import Graph
from minigrad.render.indices import index_of, picked
from minigrad.render.nodes import INDEXING, Path, forward_of, op_name, path_of, site_of
from minigrad.tensor import Tensor

TOTALS = {"sum", "mean", "max", "min", "add_up"}
# Operations that treat each entry along the first axis by itself: all that are elementwise, these,
# and those that work along an axis, if it is another one.
BY_ENTRY = {
    *("where", "relu", "sigmoid", "softplus", "gelu", "clip", "leaky_relu", "elu", "silu"),
    *("reshape", "squeeze", "astype", "copy"),
}
ALONG_AXIS = {
    *("sum", "mean", "max", "min", "prod", "logsumexp", "softmax", "log_softmax"),
    *("concatenate", "expand_dims"),
}


class Times:
    """When the nodes of a graph are made.

    when: the time step of a node that has one.  steps: of a node that holds several along its first
    axis, one by one, which.  picks: of an index that picks one step, its number.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.when: dict[Tensor, Path] = {}
        self.steps: dict[Tensor, tuple[Path, ...]] = {}
        indexed = [node for node in graph.nodes if op_name(node) in INDEXING]
        self.picks = {node: k for node in indexed if (k := picked(node)) is not None}
        for node in graph.nodes:
            if path := path_of(node):
                self.when[node] = path
            elif node.op is not None and node.inputs and graph.axes:
                if held := self.held_by(node):
                    self.steps[node] = held
                elif alone := self.alone_at(node):
                    self.when[node] = alone
        if self.steps:
            self.keep_stepwise()
        self.keep_alike()

    def parts(self, node: Tensor) -> list[tuple[int | None, Path]]:
        """The parts by which a node is drawn, one for each step that it holds, or the whole; and
        their steps."""
        if node in self.steps:
            return list(enumerate(_untied(path) for path in self.steps[node]))
        return [(None, self.when.get(node, ()))]

    def alone_at(self, node: Tensor) -> Path:
        """The step of a node outside of time that depends on one step only."""
        inputs = self.graph.inputs(node)
        if held := self.steps.get(inputs[0]):
            return held[self.picks[node]] if node in self.picks else ()
        made = [x for x in inputs if x.op is not None]
        found = {_untied(self.when.get(x, ())) for x in made}
        alone = len(found) == 1 and not any(x in self.steps for x in made)
        return found.pop() if alone and forward_of(node) is None else ()

    def held_by(self, node: Tensor) -> tuple[Path, ...]:
        """The steps that a node outside of time holds along its first axis, one by one."""
        inputs = self.graph.inputs(node)
        if is_stack(node):
            paths = [self.when.get(x, ()) for x in inputs]
            distinct = len({_untied(path) for path in paths}) == len(paths) > 1
            return tuple(paths) if distinct and all(paths) else ()
        holders = [x for x in inputs if x in self.steps]
        if not holders or len({self.steps[x] for x in holders}) != 1:
            return ()
        steps = self.steps[holders[0]]
        if isinstance(index_of(node), slice):
            return steps[index_of(node)]
        others = [x for x in inputs if x not in self.steps]
        whole = node.ndim > 0 and node.shape[0] == len(steps)
        ready = whole and all(x.op is None for x in others)
        return steps if ready and _keeps_first_axis(node, holders, others) else ()

    def keep_stepwise(self) -> None:
        """Forget the steps of what is needed as a whole: by an output, or by what looks at several
        steps."""
        users = defaultdict[Tensor, list[Tensor]](list)
        for node in self.graph.nodes:
            for x in self.graph.inputs(node):
                if x in self.steps:
                    users[x].append(node)
        lost = [y for y in self.graph.outputs if y in self.steps]
        lost += [x for x in self.steps if not all(map(self.takes_steps, users[x]))]
        while lost:
            node = lost.pop()
            if self.steps.pop(node, None) is not None:
                lost += [x for x in (*self.graph.inputs(node), *users[node]) if x in self.steps]

    def takes_steps(self, node: Tensor) -> bool:
        """Whether a node takes single steps of what it is made from, or only adds all of them
        up."""
        if node in self.steps or node in self.picks:
            return True
        total = op_name(node) in TOTALS and node.time is None
        return total and len(self.graph.inputs(node)) == 1

    def keep_alike(self) -> None:
        """Outside of its loops a program computes for one step alone only what it computes for
        others too."""
        loose = [node for node in self.when if node.time is None]
        steps_of = defaultdict[Any, set[Path]](set)
        for node in loose:
            steps_of[site_of(node)].add(self.when[node])
        for node in loose:
            timed = any(x in self.when for x in self.graph.inputs(node))
            alike = timed and len(steps_of[site_of(node)]) > 1
            if not alike and node not in self.picks:
                del self.when[node]


def is_stack(node: Tensor) -> bool:
    """Whether a node is a stack of steps, of which single ones can be picked."""
    return op_name(node) == "stack" and node.constants.get("axis", 0) == 0


def _untied(path: Path) -> Path:
    """The numbers of some steps, without their axes."""
    return tuple((None, t) for _, t in path)


def _keeps_first_axis(node: Tensor, holders: list[Tensor], others: list[Tensor]) -> bool:
    """Whether an operation treats all that stands along the first axis alike, each by itself."""
    name, axis = op_name(node), node.constants.get("axis")
    if name in ALONG_AXIS:
        ndim = max(node.ndim, holders[0].ndim)
        return axis is not None and all(a % ndim for a in np.atleast_1d(axis))
    if name in ("matmul", "dot"):
        return node.inputs[0] in holders and all(x.ndim <= 2 for x in others)
    if name == "transpose":
        axes = node.constants.get("axes")
        return axes is not None and axes[0] % node.ndim == 0
    if name == "getitem":
        return _indexes_each_step(index_of(node), len(holders[0]._array))
    return bool(node.op.elementwise) or name in BY_ENTRY


def _indexes_each_step(index: Any, steps: int) -> bool:
    """Whether an index takes something of each step: `x[:, 0]`, or what `take_along_axis` picks."""
    if not isinstance(index, tuple) or not index:
        return False
    first = index[0]
    if isinstance(first, np.ndarray):
        return first.shape[:1] == (steps,) and bool((first.ravel() == np.arange(steps)).all())
    return first is ... or first == slice(None)
