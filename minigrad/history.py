"""Which loss last ran backward, and a warning when two losses run backward through the same time
steps."""

from __future__ import annotations

import math
import sys
import warnings
import weakref
from contextvars import ContextVar
from typing import NamedTuple

from minigrad import naming
from minigrad.graph import Graph
from minigrad.scope import caller
from minigrad.tensor import Tensor


class LastPass(NamedTuple):
    """The last training pass of this thread or task: its loss, and the newest loss of all
    passes."""

    loss: weakref.ref[Tensor] | None = None
    newest: float = 0.0


_last: ContextVar[LastPass] = ContextVar("minigrad.last_pass", default=LastPass())  # noqa: B039


def last_loss() -> Tensor | None:
    """The loss of the last training pass, if it is still alive."""
    loss = _last.get().loss
    return loss() if loss is not None else None


def note_backward(graph: Graph) -> None:
    """Remember which nodes a training pass visits.

    Warns, once per network, of time steps that another loss has run backward through.
    """
    loss, order = graph.outputs[-1], graph.order
    newest = _last.get().newest
    # nodes that are newer than every loss so far cannot have been visited
    if order and order[-1].serial <= newest:
        again = [node for node in order if _belongs_to_another(node, loss)]
        parameters = [leaf for leaf in graph.leaves if leaf._requires_grad]
        if again and not any(hasattr(leaf, "walked") for leaf in parameters):
            for leaf in parameters:
                leaf.walked = math.inf
            _warn_of_history(graph, again)
    serial = loss.serial
    for node in order:
        node.walked = serial
    _last.set(LastPass(weakref.ref(loss), max(newest, loss.serial)))


def _belongs_to_another(node: Tensor, loss: Tensor) -> bool:
    return node.time is not None and getattr(node, "walked", loss.serial) != loss.serial


def _warn_of_history(graph: Graph, again: list[Tensor]) -> None:
    state, frame = again[0], caller(sys._getframe(1))
    name = naming.name_of(graph, state)
    line = str(state.source)
    if state._scope is not None:
        line += f", called from {state._scope.called_from}"
    steps = len({node.time.steps for node in again if node.time})
    text = (
        f"this backward pass walks again through {naming.count(steps, 'time step')} that another "
        f"loss has walked already: the state {name} ({line}) still carries its history.  If the "
        f"losses are those of successive windows, cut it between them, with "
        f"state = nn.detach_state(state); if both are meant, add them and call backward once"
    )
    file, line_number = (frame.f_code.co_filename, frame.f_lineno) if frame else ("", 0)
    warnings.warn_explicit(text, UserWarning, file, line_number)
