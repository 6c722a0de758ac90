"""What goes wrong unnoticed: numbers that stop being finite, and history that is walked twice.  Imports `graph`."""

from __future__ import annotations

import math
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from minigrad import naming
from minigrad.backward import Numbers, Step, backward_steps, walk
from minigrad.graph import Graph
from minigrad.primitive import Primitive
from minigrad.scope import caller
from minigrad.tensor import Array, Tensor

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


def _checked_record(self: Primitive, results: Any, outputs: Any, needs_grad: bool, args: Any, *call: Any) -> Any:
    made = _plain_record(self, results, outputs, needs_grad, args, *call)
    if not _finite(results) and _watching.get() and _finite(arrays := call[1]):
        node = next(y for y in made if not _finite([y]))
        where = naming.describe(Graph(node), node, "in ") if node.op else f"in {self.name}, {node.source}"
        raise FloatingPointError(_message(self.name, node._array, where, self, arrays))
    return made


def _checked_walk(outside: Callable[[Graph, Numbers], Iterable[Step]]) -> Callable[[Graph, Numbers], Iterator[Step]]:
    """A walk through a backward pass that looks at each gradient once; the second walk, after a find, at each part."""

    def steps(graph: Graph, pending: Numbers) -> Iterator[Step]:
        start = dict(pending.sums)
        for step in outside(graph, pending):
            if not _finite([step.grad]):
                _find_producer(graph, start, type(pending)())
            yield step
        if not _finite(pending.sums.values()):
            _find_producer(graph, start, type(pending)())

    return steps


def _find_producer(graph: Graph, start: Any, again: Numbers) -> None:
    """Raise with the rule that made the first gradient which is not finite; or the sum, where all parts were."""
    again.sums = start
    for step in backward_steps(graph, again):
        node, op = step.node, step.node.op
        outputs = (node._array,) if node.call is None else node.call.outputs
        if not _finite([step.grad]):
            where = naming.describe(graph, node, "at ")
            raise FloatingPointError(_message("the sum of gradients", step.grad, where))
        for k, dx in enumerate(step.contributions()):
            if op and not _finite([dx]) and _finite([*node.arrays, *outputs]):
                what, where = f"the gradient {op.name}_d{_input(op, k)}", naming.describe(graph, node, "in ")
                raise FloatingPointError(_message(what, dx, where, op, node.arrays, step.grad))
    for leaf, dx in again.sums.items():
        if not _finite([dx]):
            raise FloatingPointError(_message("the sum over its uses", dx, f"as the gradient of {leaf!r}"))


def _input(op: Primitive, k: int) -> str:
    return op.input_name(k).strip("'").replace("number ", "")


def _finite(values: Iterable[Any]) -> bool:
    """Whether all floats are finite; the sum of squares tells it fast, unless it overflows."""
    for x in values:
        if type(x) is not Array:  # a tensor, a scatter, a number, or None
            x = np.asarray(getattr(x, "_array", getattr(x, "value", x)))
        if x.dtype.kind == "f" and not math.isfinite(np.vdot(x, x)) and not np.isfinite(x).all():
            return False
    return True


def _message(what: str, result: Any, where: str, op: Primitive | None = None, arrays: Any = (), dy: Any = None) -> str:
    array = np.asarray(getattr(result, "_array", getattr(result, "value", result)))
    wrong = array[~np.isfinite(array)]
    lines = [f"{what} made {wrong.flat[0]} out of finite inputs ({wrong.size} of {array.size} entries), {where}"]
    for name, x in [("dy", dy), *((_input(op, k), x) for k, x in enumerate(arrays) if op)]:
        value = np.asarray(getattr(x, "_array", x))
        if x is not None and value.size:
            lines.append(f"  {name} {value.shape} {value.dtype} in [{value.min():.6g}, {value.max():.6g}]")
    return "\n".join(lines)


# history that is walked twice

last_loss: list[weakref.ref[Tensor]] = []  # of the last training pass: what `explain` speaks of unless told
_latest = [0.0]  # the last loss that was walked: what is newer cannot have been walked


def note_walk(graph: Graph) -> None:
    """Remember which nodes a training pass walks; warn, once per network, of time steps that another loss walked."""
    last_loss[:] = [weakref.ref(graph.outputs[-1])]
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
