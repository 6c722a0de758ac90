"""History that two losses walk: it is told once.  Imports `graph`, `naming`."""

from __future__ import annotations

import math
import sys
import warnings
import weakref

from minigrad import naming
from minigrad.graph import Graph
from minigrad.scope import caller
from minigrad.tensor import Tensor

last_loss: list[
    weakref.ref[Tensor]
] = []  # of the last training pass: what `explain` speaks of unless told
_latest = [0.0]  # the last loss that was walked: what is newer cannot have been walked


def note_walk(graph: Graph) -> None:
    """Remember which nodes a training pass walks; warn, once per network, of time steps that another loss walked."""
    last_loss[:] = [weakref.ref(graph.outputs[-1])]
    loss, order, leaves = graph.outputs[-1].serial, graph.order, graph.parameters.values
    if order and order[-1].serial <= _latest[0]:
        again = [
            node
            for node in order
            if node.time is not None and getattr(node, "walked", loss) != loss
        ]
        if again and not any(hasattr(leaf, "walked") for leaf in leaves()):
            for leaf in leaves():
                leaf.walked = math.inf
            _warn_of_history(graph, again)
    for node in order:
        node.walked = loss
    _latest[0] = max(_latest[0], loss)


def _warn_of_history(graph: Graph, again: list[Tensor]) -> None:
    state, frame = again[0], caller(sys._getframe(1))
    name, scope = state.role.name if state.role else naming.label(graph, state), state._scope
    line = f"{state.source}" + (f", called from {scope.called_from}" if scope else "")
    steps = len({node.time[:2] for node in again if node.time})
    text = (
        f"this backward pass walks again through {steps} time step{'s' * (steps > 1)} that another loss has walked "
        f"already: the state {name} ({line}) still carries its history.  If the losses are those of successive "
        f"windows, cut it between them, with state = nn.detach_state(state); if both are meant, add them and call "
        f"backward once"
    )
    warnings.warn_explicit(
        text, UserWarning, frame.f_code.co_filename if frame else "", frame.f_lineno if frame else 0
    )
