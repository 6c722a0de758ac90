"""Numbers that stop being finite, found where they do.  Imports `backward`, `history`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad import naming
from minigrad.backward import GradTable, Step, backward_steps, begin, walk
from minigrad.graph import Graph
from minigrad.history import last_loss
from minigrad.primitive import Primitive
from minigrad.scope import recorded
from minigrad.tensor import Array, Tensor


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Stop at the first result that is not finite although its inputs are, forward or backward.

    Raises FloatingPointError with the operation that *made* it: time step, scope, shapes, the range
    of each input, line and expression.  Says nothing while all is finite, and costs nothing outside
    of the block.

    >>> import numpy as np, minigrad as mg
    >>> x = mg.tensor([0.5, 0.0], requires_grad=True)
    >>> with mg.detect_anomaly(), mg.time_step(3):
    ...     y = np.log(x)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    FloatingPointError: log made -inf out of finite inputs ...
    """
    driver = walk.set(_checked_walk(walk.get()))
    try:
        with recorded(check=_check_results), np.errstate(all="ignore"):  # the error tells more
            yield
    finally:
        walk.reset(driver)


def _check_results(op: Primitive, arrays: tuple[Any, ...], results: Any) -> None:
    """Raise if an operation made something that is not finite out of what is."""
    made = results if isinstance(results, tuple) else (results,)
    if _finite(*made) or not _finite(*arrays):
        return
    node = next(y for y in made if not _finite(y))
    where = naming.describe(Graph(node), node, "in ") if node.op else f"in {op.name}, {node.source}"
    raise _error(op.name, node, where, zip(_names(op, arrays), arrays))


def _checked_walk(
    outside: Callable[[Graph, GradTable], Iterable[Step]],
) -> Callable[[Graph, GradTable], Iterator[Step]]:
    """A walk through a backward pass that looks at each gradient once; the second walk, after a find, at each part."""

    def steps(graph: Graph, pending: GradTable) -> Iterator[Step]:
        seeds, clean = tuple(pending.grads[y] for y in graph.outputs), True
        for step in outside(graph, pending):
            if clean and not _finite(step.grad):
                clean = _find_producer(graph, seeds)
            yield step
        if clean and not _finite(*pending.grads.values()):
            _find_producer(graph, seeds)

    return steps


def _find_producer(graph: Graph, seeds: Any) -> bool:
    """Raise with the rule that made something not finite out of what is, or with the sum; False if none did."""
    passed_on: set[Tensor] = set()
    for node, k, dx, dy in not_finite(graph, seeds):
        outputs = (node._array,) if node.call is None else node.call.outputs
        if k is None and node not in passed_on:
            what = "the sum of gradients" if node.op else "the sum over its uses"
            where = f"as the gradient of {node!r}"
            if node.op:
                where = naming.describe(graph, node, "at ")
            raise _error("a hook" if node._hooks else what, dx, where)
        if k is not None and _finite(dy, *node.arrays, *outputs):
            names, where = _names(node.op, node.arrays), naming.describe(graph, node, "in ")
            operands = zip(["dy", *names], [dy, *node.arrays])
            raise _error(f"the gradient {node.op.name}_d{names[k]}", dx, where, operands)
        passed_on.add(node if k is None else graph.inputs(node)[k])
    came = [naming.label(graph, leaf) for leaf in graph.leaves if not _finite(leaf)]
    if passed_on and came:
        raise FloatingPointError(
            f"the gradients are not finite: {', '.join(came)} came in with NaN or infinity"
        )
    return False


def not_finite(graph: Graph, seeds: Any) -> Iterator[tuple[Tensor, int | None, Any, Any]]:
    """What is not finite in a backward pass, in its order: (node, number of the input, gradient sent, gradient got).

    The number is None where the sum of what a node gets is not finite.
    """
    pending = begin(graph, seeds)
    for step in backward_steps(graph, pending):
        for k, dx in ((None, step.grad), *enumerate(step.contributions())):
            if not _finite(dx):
                yield step.node, k, dx, step.grad
    yield from ((leaf, None, dx, None) for leaf, dx in pending.grads.items() if not _finite(dx))


def origin(graph: Graph | None, leaf: Tensor) -> str:
    """Where in the backward pass of a graph, or of the last loss, the first gradient that is not finite appears."""
    loss = last_loss() if graph is None else None
    graph = Graph(loss) if loss is not None else graph
    if graph is None or leaf not in graph.users:
        return ""
    with np.errstate(all="ignore"):
        found = [
            node
            for node, *_ in not_finite(
                graph, tuple(np.ones(y.shape, y.dtype) for y in graph.outputs)
            )
        ]
    if not found:
        return "; the backward pass of this graph alone is finite"
    first = naming.describe(graph, found[0], "; it appeared first in the backward pass of ")
    t = next((node.t for node in found if node.op and node.t is not None), None)
    return first if t is None else f"; the first time step with such a gradient is t = {t}{first}"


def _names(op: Any, arrays: Iterable[Any]) -> list[str]:
    """What the inputs of an operation are called."""
    return [op.input_name(k).strip("'").replace("number ", "") for k, _ in enumerate(arrays)]


def _array(x: Any) -> Any:
    """The numbers of a tensor, of a scatter, or of what NumPy makes an array of."""
    return np.asarray(getattr(x, "_array", getattr(x, "value", x)))


def _finite(*values: Any) -> bool:
    """Whether all floats are finite; the sum of squares tells it fast, unless it overflows."""
    for value in values:
        x = value if type(value) is Array else _array(value)
        if x.dtype.kind == "f" and not math.isfinite(np.vdot(x, x)) and not np.isfinite(x).all():
            return False
    return True


def _error(
    what: str, result: Any, where: str, operands: Iterable[tuple[str, Any]] = ()
) -> FloatingPointError:
    array = _array(result)
    wrong = array[~np.isfinite(array)]
    lines = [
        f"{what} made {wrong.flat[0]} out of finite inputs ({wrong.size} of {array.size} entries), {where}"
    ]
    for name, x in [(name, _array(x)) for name, x in operands if np.size(x)]:
        lines.append(f"  {name} {x.shape} {x.dtype} in [{x.min():.6g}, {x.max():.6g}]")
    return FloatingPointError("\n".join(lines))
