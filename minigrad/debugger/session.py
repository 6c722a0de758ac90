"""One backward pass that can be walked forwards and backwards, changed and edited.  Imports `backward`.

Going back is: take the snapshot of the pending gradients before the place, and run the same loop from there.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from minigrad.backward import Numbers, Step, backward_steps
from minigrad.graph import Graph
from minigrad.tensor import Array, Tensor

_EVERY, _KEPT = 128, 16  # steps between snapshots at first; beyond so many, every other one goes


class Snapshot(NamedTuple):
    """All that the loop needs to go on: the place in `graph.order`, the number of the step, the pending gradients."""

    start: int
    done: int
    pending: Numbers


class Session:
    """A pass over `graph` that starts from the gradients in `pending`, which is left alone.

    step: where the pass stands (None past its end).  steps: the loop underneath.  due: the number of the step that
    needs a snapshot.  changes: the gradients that were replaced by hand.
    """

    def __init__(self, graph: Graph, pending: Numbers) -> None:
        self.original = self.graph = graph
        self.step: Step | None = None
        self._last: int | None = None
        self.changes: dict[Tensor, Any] = {}
        self.went_back = False
        self._snapshots: list[Snapshot] = []
        self._hooked: dict[Tensor, tuple[Any, Any]] = {}
        self._first = self._copy(pending)
        self._begin(graph)

    # moving

    def advance(self) -> Step | None:
        """On to the next step; None past the last one."""
        step = next(self.steps, None)
        if step is not None:
            self.arrive(step)
        else:
            self.end()
        return step

    def arrive(self, step: Step) -> None:
        """Stand at a step that the loop has yielded."""
        self.step = step
        if step.index >= self.due:
            self._take_snapshot(step)
        self._changed(step)

    def end(self) -> None:
        """The loop has yielded its last step."""
        self._last, self.step = self.standing, None

    @property
    def standing(self) -> int | None:
        """The number of the present step, or of the last one past the end; None before the first."""
        return self._last if self.step is None else self.step.index

    def go(self, index: int) -> Step | None:
        """Stand at step number `index`, from the nearest snapshot if that is behind."""
        if self.step is None or index <= self.step.index:
            self.went_back = True
            self._resume([s for s in self._snapshots if s.done <= index][-1])
        while (self.step is None or self.step.index < index) and self.advance():
            pass
        return self.step

    def replay(self, node: Tensor | None = None) -> Iterator[Step]:
        """The steps up to the present one once more, on a copy; from the last snapshot before `node`, if given.

        Rules run again, hooks do not.
        """
        if self.standing is None:  # the pass has not begun
            return
        place = 0 if node is None else self._places.get(node, 0)
        snapshot = [s for s in self._snapshots if s.start <= place][-1]
        for step in backward_steps(self.graph, self._copy(snapshot.pending), snapshot.start, snapshot.done):
            self._changed(step)
            if self.step is not None and step.index >= self.step.index:
                return
            yield step

    @functools.cached_property
    def _places(self) -> dict[Tensor, int]:
        return {node: k for k, node in enumerate(self.graph.order)}

    # changing

    def change(self, grad: Any) -> None:
        """Replace the gradient of the present step, also whenever the pass comes here again."""
        if self.step is None:
            raise ValueError("the pass is over; undo or goto a step first")
        self.step.grad = grad
        self.note_change()

    def note_change(self) -> None:
        """Remember that the gradient of the present step was assigned to."""
        assert self.step is not None
        self.changes[self.step.node] = self.step.grad
        self._snapshots = [s for s in self._snapshots if s.done <= self.step.index]

    def forget_changes(self) -> None:
        """The pass as it is without changes by hand, at the same step."""
        self.changes.clear()
        self.edit(self.graph)

    def edit(self, graph: Graph) -> None:
        """The same pass over another graph of the same tensors, up to the same node."""
        here = self.step.node if self.step else None
        self.went_back = True
        self._begin(graph)
        while self.advance() and self.step and self.step.node is not here:
            pass

    # the loop underneath

    def _begin(self, graph: Graph) -> None:
        self.graph, self._every = graph, _EVERY
        self.__dict__.pop("_places", None)
        self._snapshots = [Snapshot(0, 0, self._first)]
        self._resume(self._snapshots[0])

    def _resume(self, snapshot: Snapshot) -> None:
        self.step = self._last = None
        self.pending = self._copy(snapshot.pending)
        self.steps = backward_steps(self.graph, self.pending, snapshot.start, snapshot.done)
        self.due = self._snapshots[-1].done + self._every

    def _take_snapshot(self, step: Step) -> None:
        pending = self._copy(self.pending)
        before = self._hooked.get(step.node, (None, None))[0]
        pending.sums[step.node] = step.grad if before is None else before  # the loop has just taken it out
        self._snapshots.append(Snapshot(self._places[step.node], step.index, pending))
        if len(self._snapshots) > _KEPT:
            del self._snapshots[1::2]
            self._every *= 2
        self.due = step.index + self._every

    def _changed(self, step: Step) -> None:
        if step.node in self.changes:
            step.grad = self.changes[step.node]

    def _copy(self, pending: Numbers) -> Numbers:
        """The same pending gradients; sums that the loop adds to in place are copied."""
        new = type(pending)()
        new.__dict__.update(pending.__dict__, sums={})
        new.owned = {x for x in pending.sums if x in pending.owned}
        for x, dx in pending.sums.items():
            owned = x in new.owned and isinstance(dx, Array)
            new.sums[x] = np.array(dx) if owned else list(dx) if isinstance(dx, list) else dx
        new.siblings = {key: list(group) for key, group in pending.siblings.items()}
        new.hooked = functools.partial(self._hook_once, new)  # type: ignore[method-assign]
        return new

    def _hook_once(self, pending: Numbers, x: Tensor, dy: Any) -> Any:
        """Hooks run once for the same gradient, however often the pass comes by."""
        before, after = self._hooked.get(x, (None, None))
        if before is None or not np.array_equal(_array(before), _array(dy), equal_nan=True):
            after = type(pending).hooked(pending, x, dy)
            self._hooked[x] = dy, after
        return after


def _array(grad: Any) -> Any:
    return grad._array if isinstance(grad, Tensor) else grad
