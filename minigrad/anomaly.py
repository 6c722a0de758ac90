"""What goes wrong unnoticed: numbers that stop being finite, and history that is walked twice.  Imports `graph`."""

from __future__ import annotations

import math
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from minigrad import naming
from minigrad.backward import Numbers, Step, walk
from minigrad.graph import Graph
from minigrad.primitive import Primitive, Scatter
from minigrad.scope import caller
from minigrad.tensor import Tensor

_watching: ContextVar[bool] = ContextVar("minigrad.watching", default=False)
_plain_record, _users, _lock = Primitive._record, [0], threading.Lock()


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Stop at the first result that is not finite although its inputs are, in the forward or the backward pass.

    Raises FloatingPointError with the operation that *made* it: time step, scope, shapes, the range of each input,
    line and expression.  Says nothing while all is finite, and costs nothing outside of the block.

    >>> import numpy as np, minigrad as mg
    >>> x = mg.tensor([0.5, 0.0], requires_grad=True)
    >>> with mg.detect_anomaly(), mg.time_step(3):
    ...     y = np.log(x)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    FloatingPointError: log made -inf out of finite inputs ...
    """
    token, steps = _watching.set(True), walk.set(_checked_walk(walk.get()))
    _swap_in(1)
    try:
        with np.errstate(all="ignore"):  # the error tells more than NumPy's warning
            yield
    finally:
        _swap_in(-1)
        walk.reset(steps)
        _watching.reset(token)


def _swap_in(change: int) -> None:
    """Let operations check their results while some thread watches; else they run the code they always run."""
    with _lock:
        _users[0] += change
        Primitive._record = _checked_record if _users[0] else _plain_record  # type: ignore[assignment, method-assign]


def _checked_record(self: Primitive, results: Any, *call: Any) -> Any:
    made = _plain_record(self, results, *call)
    arrays = call[4]
    if _watching.get() and not _finite(results) and _finite(arrays):
        node = next(y for y in made if not _finite([y]))
        inputs = [(_input(self, k), x) for k, x in enumerate(arrays)]
        where = naming.describe(Graph(node), node, "in ") if node.op else f"in {self.name}, {node.source}"
        raise FloatingPointError(_message(self.name, node._data, where, inputs))
    return made


def _checked_walk(outside: Callable[[Graph, Numbers], Iterable[Step]]) -> Callable[[Graph, Numbers], Iterator[Step]]:
    """A walk through a backward pass that checks the gradients on the way."""

    def steps(graph: Graph, pending: Numbers) -> Iterator[Step]:
        known = None  # the gradient checked last: along a chain it is the one that arrives next
        for step in outside(graph, pending):
            node, op = step.node, step.node.op
            if step.grad is not known and not _finite([step.grad]):  # all its parts were finite
                where = naming.describe(graph, node, "at ")
                raise FloatingPointError(_message("the sum of gradients", step.grad, where, ()))
            yield step
            for k, dx in enumerate(step.input_grads):
                y = [node._data] if node.call is None else node.call.outputs
                if op and not _finite([dx]) and _finite([step.grad, *node.arrays, *y]):
                    what, where = f"the gradient {op.name}_d{_input(op, k)}", naming.describe(graph, node, "in ")
                    inputs = [("dy", step.grad), *((_input(op, j), x) for j, x in enumerate(node.arrays))]
                    raise FloatingPointError(_message(what, dx, where, inputs))
                known = dx
        for leaf, dx in pending.sums.items():
            if not _finite([dx]):
                raise FloatingPointError(_message("the sum over its uses", dx, f"as the gradient of {leaf!r}", ()))

    return steps


def _input(op: Primitive, k: int) -> str:
    return op.input_name(k).strip("'").replace("number ", "")


def _finite(values: Iterable[Any]) -> bool:
    """Whether all floats are finite; the sum of squares tells it fast, unless it overflows."""
    x: Any
    for value in values:
        x = value._data if isinstance(value, Tensor) else value.value if isinstance(value, Scatter) else value
        if hasattr(x, "dtype"):
            if x.dtype.kind == "f" and not math.isfinite(np.vdot(x, x)) and not np.isfinite(x).all():
                return False
        elif isinstance(x, float) and not math.isfinite(x):
            return False
    return True


def _message(producer: str, result: Any, where: str, inputs: Iterable[tuple[str, Any]]) -> str:
    array = np.asarray(getattr(result, "_data", getattr(result, "value", result)))
    wrong = array[~np.isfinite(array)]
    lines = [f"{producer} made {wrong.flat[0]} out of finite inputs ({wrong.size} of {array.size} entries), {where}"]
    for name, x in inputs:
        value = np.asarray(getattr(x, "_data", x))
        if value.size:
            lines.append(f"  {name} {value.shape} {value.dtype} in [{value.min():.6g}, {value.max():.6g}]")
    return "\n".join(lines)


# history that is walked twice

_latest = [0.0]  # the last loss that was walked: what is newer cannot have been walked


def note_walk(graph: Graph) -> None:
    """Remember which nodes a training pass walks; warn, once per network, of time steps that another loss walked."""
    loss, order = graph.outputs[-1].serial, graph.order
    if order and order[-1].serial <= _latest[0]:
        again = [node for node in order if node.time is not None and getattr(node, "walked", loss) != loss]
        if again and not any(hasattr(leaf, "walked") for leaf in graph.parameters.values()):
            _warn_of_history(graph, again)
    for node in order:
        node.walked = loss
    _latest[0] = max(_latest[0], loss)


def _warn_of_history(graph: Graph, again: list[Tensor]) -> None:
    for leaf in graph.parameters.values():
        leaf.walked = math.inf
    state, frame = again[0], caller(sys._getframe(1))
    name = state.role.name if state.role else naming.label(graph, state)
    line = f"{state.source}" + (f", called from {state._scope.called_from}" if state._scope else "")
    steps = len({(node.time.axis, node.time.t) for node in again if node.time})
    text = (
        f"this backward pass walks again through {steps} time steps that another loss has walked already: the state "
        f"{name} ({line}) still carries its history.  Cut it between windows, with state = nn.detach_state(state); "
        f"or, if both losses are meant, add them and call backward once"
    )
    warnings.warn_explicit(text, UserWarning, frame.f_code.co_filename if frame else "", frame.f_lineno if frame else 0)
