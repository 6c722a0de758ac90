"""Find the operation that produced the first NaN or infinity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from minigrad import naming
from minigrad.backward import Step, backward_steps, begin, driver
from minigrad.grad_table import GradTable
from minigrad.graph import Graph
from minigrad.history import last_loss
from minigrad.norms import array_of, is_finite
from minigrad.primitive import Primitive
from minigrad.scope import recorded
from minigrad.tensor import Tensor

Driver = Callable[[Graph, GradTable], Iterable[Step]]


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
    token = driver.set(checked(driver.get()))
    try:
        with recorded(check=check_results), np.errstate(all="ignore"):  # the error tells more
            yield
    finally:
        driver.reset(token)


# forward


def check_results(op: Primitive, arrays: tuple[Any, ...], results: Any) -> None:
    """Raise if an operation made something that is not finite out of what is."""
    made = results if isinstance(results, tuple) else (results,)
    if is_finite(*made) or not is_finite(*arrays):
        return
    node = next(y for y in made if not is_finite(y))
    where = f"in {op.name}, {node.source}"
    if node.op:
        where = naming.describe(Graph(node), node, "in ")
    raise _error(op.name, node, where, zip(input_names(op, arrays), arrays))


# backward


def checked(outer: Driver) -> Driver:
    """A driver that looks at each gradient once; after a find, a second pass finds the producer."""

    def steps(graph: Graph, table: GradTable) -> Iterator[Step]:
        seeds = tuple([table.grads[y] for y in graph.outputs])
        searched = False
        for step in outer(graph, table):
            if not searched and not is_finite(step.grad):
                raise_at_producer(graph, seeds)
                searched = True
            yield step
        if not searched and not is_finite(*table.grads.values()):
            raise_at_producer(graph, seeds)

    return steps


class BadGradient(NamedTuple):
    """A gradient that is not finite.

    k: the number of the input that the node sends it to; None where it is the sum of what arrived
    at the node.  dy: the gradient that the rules of the node got.
    """

    node: Tensor
    k: int | None
    value: Any
    dy: Any = None


def bad_gradients(graph: Graph, seeds: Any) -> Iterator[BadGradient]:
    """The gradients of a backward pass that are not finite, in its order."""
    table = begin(graph, seeds)
    for step in backward_steps(graph, table):
        if not is_finite(step.grad):
            yield BadGradient(step.node, None, step.grad, step.grad)
        for k, dx in enumerate(step.sparse_input_grads()):
            if not is_finite(dx):
                yield BadGradient(step.node, k, dx, step.grad)
    for leaf, dx in table.grads.items():
        if not is_finite(dx):
            yield BadGradient(leaf, None, dx)


def raise_at_producer(graph: Graph, seeds: Any) -> None:
    """Raise with the rule, the sum or the hook that made the first gradient that is not finite."""
    explained: set[Tensor] = set()  # nodes that were sent such a gradient
    for bad in bad_gradients(graph, seeds):
        if bad.k is None:
            if bad.node not in explained:
                raise _error_in_sum(graph, bad)
            explained.add(bad.node)
            continue
        if is_finite(bad.dy, *bad.node.arrays, *_results(bad.node)):
            raise _error_in_rule(graph, bad)
        explained.add(graph.inputs(bad.node)[bad.k])
    came = [naming.label(graph, leaf) for leaf in graph.leaves if not is_finite(leaf)]
    if explained and came:
        names = ", ".join(came)
        raise FloatingPointError(
            f"the gradients are not finite: {names} came in with NaN or infinity"
        )


def _results(node: Tensor) -> tuple[Any, ...]:
    return (node._array,) if node.call is None else node.call.outputs


def _error_in_sum(graph: Graph, bad: BadGradient) -> FloatingPointError:
    node = bad.node
    what = "the sum over its uses"
    where = f"as the gradient of {node!r}"
    if node.op:
        what, where = "the sum of gradients", naming.describe(graph, node, "at ")
    return _error("a hook" if node._hooks else what, bad.value, where)


def _error_in_rule(graph: Graph, bad: BadGradient) -> FloatingPointError:
    node, names = bad.node, input_names(bad.node.op, bad.node.arrays)
    what = f"the gradient {node.op.name}_d{names[bad.k or 0]}"
    where = naming.describe(graph, node, "in ")
    return _error(what, bad.value, where, zip(["dy", *names], [bad.dy, *node.arrays]))


def origin(graph: Graph | None, leaf: Tensor) -> str:
    """Where in a backward pass the first gradient that is not finite appears, as a clause.

    graph: that of the pass; None: of the last loss that ran backward.
    """
    loss = last_loss() if graph is None else None
    graph = Graph(loss) if loss is not None else graph
    if graph is None or leaf not in graph.users:
        return ""
    seeds = tuple([np.ones(y.shape, y.dtype) for y in graph.outputs])
    with np.errstate(all="ignore"):
        found = [bad.node for bad in bad_gradients(graph, seeds)]
    if not found:
        return "; the backward pass of this graph alone is finite"
    first = naming.describe(graph, found[0], "; it appeared first in the backward pass of ")
    steps = [node.t for node in found if node.op and node.t is not None]
    if not steps:
        return first
    return f"; the first time step with such a gradient is t = {steps[0]}{first}"


# what the errors say


def input_names(op: Primitive, arrays: Iterable[Any]) -> list[str]:
    """What the inputs of an operation are called: x, or 0, 1, ... where it takes any number."""
    names = [op.input_name(k) for k, _ in enumerate(arrays)]
    return [name.strip("'").removeprefix("number ") for name in names]


def _error(
    what: str, result: Any, where: str, operands: Iterable[tuple[str, Any]] = ()
) -> FloatingPointError:
    array = array_of(result)
    wrong = array[~np.isfinite(array)]
    count = f"{wrong.size} of {array.size} entries"
    lines = [f"{what} made {wrong.flat[0]} out of finite inputs ({count}), {where}"]
    for name, value in operands:
        x = array_of(value)
        if x.size:
            lines.append(f"  {name} {x.shape} {x.dtype} in [{x.min():.6g}, {x.max():.6g}]")
    return FloatingPointError("\n".join(lines))
