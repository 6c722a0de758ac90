"""One backward pass that can be walked forwards and backwards, changed and edited.

To go back, the session takes the pending gradients of the last snapshot before the place that is
wanted, and runs the same loop from there.
"""

from __future__ import annotations

import bisect
import copy
import inspect
import math
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

import numpy as np

from minigrad import naming
from minigrad.backward import Step, backward_steps
from minigrad.grad_table import GradTable
from minigrad.graph import Graph
from minigrad.norms import array_of
from minigrad.tensor import Tensor

FIRST_INTERVAL = 128  # steps between two snapshots; doubled whenever there are too many
MAX_SNAPSHOTS = 16


class Snapshot(NamedTuple):
    """What the loop needs: index in `graph.order`, number of the step, pending gradients."""

    position: int
    done: int
    pending: GradTable


class Session:
    """A pass over `graph` that starts from the gradients in `pending`, which is left alone.

    step: where the pass stands; None before the first step, and past the last.
    index: its number; -1 before the first.
    steps: the loop underneath.
    changes: the gradients that were replaced by hand.
    hooked: for each tensor with hooks, the gradient they were given and the one they returned.
    """

    step: Step | None
    _snapshots: list[Snapshot]

    def __init__(self, graph: Graph, pending: GradTable) -> None:
        self.original = graph
        self.changes: dict[Tensor, Any] = {}
        self.went_back = False
        self.hooked: dict[Tensor, tuple[Any, Any]] = {}
        self.beginning = _copied(pending)
        self.beginning.hooked = self._hook_once  # type: ignore[method-assign]
        self._begin(graph)

    # moving

    @property
    def index(self) -> int:
        """The number of the present step; past the end, the number of steps there were."""
        return self._outside if self.step is None else self.step.index

    @property
    def over(self) -> bool:
        """Whether the pass is past its last step."""
        return self.step is None and self.index >= 0

    @property
    def changed(self) -> bool:
        """Whether the pass differs from the program's own."""
        return bool(self.changes) or self.graph is not self.original

    def _replay(self, snapshot: Snapshot, pending: GradTable) -> Generator[Step, None, None]:
        """The loop underneath: it stands at each step, and keeps what is needed to come back."""
        due = self._snapshots[-1].done + self._interval
        for step in backward_steps(self.graph, pending, snapshot.position, snapshot.done):
            if step.index >= due:
                self._take_snapshot(step)
                due = step.index + self._interval
            self.step = step
            if self.changes and step.node in self.changes:
                step.grad = self.changes[step.node]
            yield step
        self._outside = self.index + 1
        self.step = None

    def go(self, index: int) -> None:
        """Stand at step number `index`; if that is behind, replay from the nearest snapshot."""
        if 0 <= index <= self.index:
            self.went_back = True
            self._resume([s for s in self._snapshots if s.done <= index][-1])
        while self.index < index and next(self.steps, None):
            pass

    def recover(self) -> None:
        """After an error or an interruption inside the loop: stand where the pass stood."""
        if inspect.getgeneratorstate(self.steps) == inspect.GEN_CLOSED:
            if self.step is not None:
                self.go(self.step.index)
            elif self.index < 0:
                self._resume(self._snapshots[0])

    def replay(self, node: Tensor | None = None) -> Iterator[Step]:
        """The steps before the present one once more, on a copy.

        node: begin at the last snapshot before this node.  Rules run again, hooks do not.
        """
        position = 0 if node is None else self._position(node)
        snapshot = [s for s in self._snapshots if s.position <= position][-1]
        pending = _copied(snapshot.pending)
        for step in backward_steps(self.graph, pending, snapshot.position, snapshot.done):
            if step.index >= self.index:
                return
            if step.node in self.changes:
                step.grad = self.changes[step.node]
            yield step

    def _position(self, node: Tensor) -> int:
        """The index in `graph.order` that a node has, or would have."""
        return bisect.bisect_left(self.graph.order, -node.serial, key=lambda other: -other.serial)

    # changing

    def change(self, grad: Any) -> None:
        """Replace the gradient of the present step, also whenever the pass comes here again."""
        assert self.step is not None
        self.step.grad = grad
        self.changes[self.step.node] = self.step.grad
        self._snapshots = [s for s in self._snapshots if s.done <= self.index]

    def edit(self, graph: Graph) -> None:
        """Run the pass over another graph of the same tensors, up to the present node.

        Where that node gets no gradient any more, the pass stands at the next one that gets one.
        """
        index = self.index
        serial = self.step.node.serial if self.step else -math.inf
        self.went_back = True
        self._begin(graph)
        while index >= 0 and next(self.steps, None) and self.step:
            if self.step.node.serial <= serial:
                break

    # the loop underneath

    def _begin(self, graph: Graph) -> None:
        self.graph, self._interval = graph, FIRST_INTERVAL
        self._snapshots = [Snapshot(0, 0, self.beginning)]
        self._resume(self._snapshots[0])

    def _resume(self, snapshot: Snapshot) -> None:
        self.step = None
        self._outside = snapshot.done - 1
        self.pending = _copied(snapshot.pending)
        self.steps = self._replay(snapshot, self.pending)

    def _take_snapshot(self, step: Step) -> None:
        pending = _copied(self.pending)
        before_hooks, _ = self.hooked.get(step.node, (step.grad, None))
        pending.grads[step.node] = before_hooks  # the loop has just taken it out
        self._snapshots.append(Snapshot(self._position(step.node), step.index, pending))
        if len(self._snapshots) > MAX_SNAPSHOTS:
            del self._snapshots[1::2]
            self._interval *= 2

    def _hook_once(self, x: Tensor, dy: Any) -> Any:
        """Run hooks once for the same gradient, however often the pass comes by."""
        before, after = self.hooked.get(x, (None, None))
        if before is None or not np.array_equal(array_of(before), array_of(dy), equal_nan=True):
            try:
                after = type(self.beginning).hooked(self.beginning, x, dy)
            except Exception as error:
                error.add_note(naming.describe(self.graph, x, "in a hook on the gradient of "))
                raise
            self.hooked[x] = dy, after
        return after


def _copied(pending: GradTable) -> GradTable:
    """The pending gradients as they are now; the loop copies before it adds in place to them."""
    pending.owned.clear()
    new = copy.copy(pending)
    new.owned = set()
    new.grads = {x: dx[:] if isinstance(dx, list) else dx for x, dx in pending.grads.items()}
    new.siblings = {key: group[:] for key, group in pending.siblings.items()}
    return new
