"""Compare gradients with central differences, in float64.  Imports `functional`, `flow` (watch) and the engine."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from minigrad.backward import grad
from minigrad.functional import Function, call, flatten, is_real, parameters, real_leaves, rebuild
from minigrad.graph import Graph
from minigrad.naming import unique
from minigrad.norms import array_of
from minigrad.ops.reductions import sum as sum_of
from minigrad.scope import recorded
from minigrad.tensor import Array, Tensor
from minigrad.watch import watch

DIRECTIONS = 3  # random ones in each input
ENTRIES = 1000  # of the worst input, among which the wrong one is looked for


class GradcheckError(AssertionError):
    """A gradient that disagrees with central differences, or a function that is not deterministic."""


class Entry(NamedTuple):
    """One derivative that was compared: of which input, at which index (`at`; None: along a random direction), when."""

    name: str
    at: tuple[int, ...] | None
    t: int | None
    analytic: float
    numeric: float

    @property
    def error(self) -> float:
        """The difference; relative where the derivative is greater than 1."""
        difference = abs(self.analytic - self.numeric) / max(1.0, abs(self.numeric))
        return difference if np.isfinite(difference) else np.inf

    def __str__(self) -> str:
        where = f"{self.name}{list(self.at) if self.at else ''}{'' if self.t is None else f', t = {self.t}'}"
        return f"{self.error:.0e} at {where}: analytic {self.analytic:.10g}, numeric {self.numeric:.10g}"


class Report(NamedTuple):
    """What a check found: the worst entry of all that were compared, and how many those were."""

    worst: Entry
    checked: int

    def __str__(self) -> str:
        return f"{self.checked} derivatives agree, worst {self.worst}"


def gradcheck(
    fn: Function,
    inputs: Any,
    *,
    full: bool = False,
    eps: float = 1e-6,
    tolerance: float = 1e-6,
    seed: int = 0,
    sample: int | None = None,
) -> Report:
    """Check the gradients of fn(*inputs) against  (f(x + εv) − f(x − εv)) / 2ε  in float64.

    inputs: one argument or a tuple of them: arrays, tensors, or nested tuples, lists and dicts; every floating one is
    checked, as a float64 copy.  A function without parameters uses the given tensors by itself: the parameters of a
    module, as in `gradcheck(lambda: loss(net(x)), net)`; they hold float64 copies while the check runs.
    full: compare every entry; otherwise random directions, and on failure entries of the worst input, to name one.
    sample: compare only so many of the inputs, drawn with the seed.
    Raises GradcheckError with the worst entry (input, index, time step, analytic, numeric) when the error is above the
    tolerance (relative where the derivative is greater than 1), or when two calls of fn give different numbers.

    >>> import minigrad as mg, numpy as np
    >>> mg.gradcheck(lambda x, w: np.tanh(x @ w), (np.eye(2), np.ones((2, 3)))).checked
    6
    """
    with _float64(fn, inputs) as (arguments, leaves):
        loss, again = (_evaluated(fn, arguments) for _ in range(2))
        if not np.array_equal(loss.data, again.data, equal_nan=True):
            raise GradcheckError(
                f"the function is not deterministic: two calls gave {loss.item():.10g} and {again.item():.10g}; "
                "seed its random numbers inside it, or switch dropout off"
            )
        found = (
            grad(loss, [*leaves.values()], allow_unused=True)
            if loss.requires_grad
            else [None] * len(leaves)
        )
        grads = {name: 0.0 if dx is None else dx.data for name, dx in zip(leaves, found)}

        def value() -> float:
            return _evaluated(fn, arguments).item()

        def entry(name: str, at: Any, v: Any) -> Entry:
            slope = _slope(leaves[name], eps * v, value) / eps
            return Entry(name, at, leaves[name].t, float(np.sum(grads[name] * v)), slope)

        chosen = _drawn(leaves, sample, seed)
        compared = [entry(*direction) for direction in _directions(chosen, None if full else seed)]
        worst = max(
            compared, key=lambda entry: entry.error, default=Entry("nothing", None, None, 0.0, 0.0)
        )
        if worst.error > tolerance and not full:  # look for the entry that is wrong
            entries = itertools.islice(_directions({worst.name: leaves[worst.name]}, None), ENTRIES)
            single = max(
                (entry(*direction) for direction in entries), key=lambda entry: entry.error
            )
            worst = max(single, worst, key=lambda entry: entry.error > tolerance)
        worst = _with_time_step(worst, Graph(loss), leaves, eps)
    if worst.error > tolerance:
        raise GradcheckError(f"gradients disagree with central differences, worst {worst}")
    return Report(worst, len(compared))


def gradgradcheck(fn: Function, inputs: Any, **options: Any) -> Report:
    """Check the second derivatives of fn(*inputs): `gradcheck` of its gradients.

    >>> import minigrad as mg, numpy as np
    >>> bool(mg.gradgradcheck(np.tanh, np.linspace(-1, 1, 5)))
    True
    """

    @functools.wraps(fn)
    def gradients(*arguments: Any) -> list[Tensor]:
        leaves = [x for x in real_leaves(arguments if arguments else inputs) if x.requires_grad]
        nothing = 0.0 * sum(sum_of(x) for x in leaves)  # so that each has a gradient, be it 0
        total = _projected(fn(*arguments)) + nothing
        return [dx for dx in grad(total, leaves, create_graph=True) if dx is not None]

    return gradcheck(gradients, inputs, **options)


def _evaluated(fn: Function, arguments: Any) -> Tensor:
    """The one number that is checked; derivatives that fn takes inside have a history."""
    with recorded(enabled=True, building=True):
        return _projected(call(fn, arguments))


def _projected(outputs: Any) -> Tensor:
    """Σ w · y over all outputs with fixed random w: one number that every element matters to."""
    ys, rng = real_leaves(outputs), np.random.default_rng(2)
    if not ys:
        raise TypeError("gradcheck: the function gave no floating tensor")
    return functools.reduce(
        lambda a, b: a + b, [sum_of(y * rng.standard_normal(y.shape)) for y in ys]
    )


def _drawn(leaves: dict[str, Tensor], count: int | None, seed: int) -> dict[str, Tensor]:
    """So many of the leaves, drawn at random; all of them without a count."""
    if count is None or count >= len(leaves):
        return leaves
    chosen = np.random.default_rng(seed).choice(len(leaves), max(1, count), replace=False)
    return {name: x for k, (name, x) in enumerate(leaves.items()) if k in chosen}


def _directions(leaves: dict[str, Tensor], seed: int | None) -> Iterator[tuple[str, Any, Any]]:
    """(name, index, v): some random directions in each input, or without a seed each of its entries."""
    rng = np.random.default_rng(seed)
    for name, x in leaves.items():
        for at in np.ndindex(x.shape) if seed is None else [None] * DIRECTIONS:
            v = np.zeros(x.shape) if at is not None else np.asarray(rng.standard_normal(x.shape))
            if at is not None:
                v[at] = 1
            yield name, at, v / np.maximum(np.linalg.norm(v), 1e-300)


def _slope(x: Tensor, change: Any, value: Callable[[], float]) -> float:
    """Half of what the value changes by, while x is moved by the change, there and back."""
    here, values = x._array, []
    for moved in (here + change, here - change, here):
        x._array = np.asarray(moved)  # a sum of 0-d arrays is no array
        x._array.setflags(write=False)
        values.append(value() if moved is not here else 0.0)
    return (values[0] - values[1]) / 2


@contextmanager
def _float64(fn: Function, inputs: Any) -> Iterator[tuple[Any, dict[str, Tensor]]]:
    """The inputs with float64 tensors that require grad, and those by name; what was in place is put back."""
    named = _named(fn, inputs)
    if parameters(fn) != []:
        named = {
            name: Tensor(array_of(x), name=name) if is_real(x) else x for name, x in named.items()
        }
        inputs = rebuild(inputs, named.values())
    leaves = {name: x for name, x in named.items() if is_real(x)}
    before = [(x, x._array, x._requires_grad) for x in leaves.values()]
    try:
        for x in leaves.values():
            x._array, x._requires_grad = x._array.astype(np.float64), True
            x._array.setflags(write=False)
        yield inputs, leaves
    finally:
        for x, data, requires_grad in before:
            x._array, x._requires_grad = data, requires_grad


def _named(fn: Function, inputs: Any) -> dict[str, Any]:
    """The leaves of the inputs by name: the argument's and the path in it, or the tensor's own."""
    if parameters(fn) == []:
        return unique(
            (getattr(x, "name", None) or path or "input", x) for path, x in flatten(inputs)
        )
    arguments = inputs if type(inputs) in (tuple, list) else (inputs,)
    names = parameters(fn) or []
    names += [f"input {k}" for k in range(len(names), len(arguments))]
    return unique(leaf for name, x in zip(names, arguments) for leaf in flatten(x, name))


def _with_time_step(entry: Entry, graph: Graph, leaves: dict[str, Tensor], eps: float) -> Entry:
    """The entry with the time step that is most wrong: each step's use of the input changed alone, and replayed."""
    if entry.at is None:
        return entry
    x, errors = leaves[entry.name], dict[Any, float]()
    times = {edge: edge.target.time.steps for edge in graph.users.get(x, ()) if edge.target.time}
    if len({*times.values()}) < 2:
        return entry
    change = np.zeros(x.shape)
    change[entry.at] = eps
    analytic = dict(watch(graph, times))
    for time in times.values():
        numeric = (_replay(graph, x, change, time) - _replay(graph, x, -change, time)) / (2 * eps)
        errors[time] = abs(float(analytic.get(time, change * 0)[entry.at]) - numeric)
    worst = max(errors, key=errors.__getitem__)
    return entry._replace(t=worst[0][1])


def _replay(graph: Graph, leaf: Tensor, change: Any, time: Any) -> float:
    """The output of a graph when one leaf is changed where it is used at one time step, and nowhere else."""
    values: dict[Tensor, Any] = {}
    for node in graph.nodes:
        arrays = [
            values[x] if isinstance(value, Array) else value
            for x, value in zip(node.inputs, node.arrays)
        ]
        if node.time is not None and node.time.steps == time:
            arrays = [
                array + change if x is leaf else array for x, array in zip(node.inputs, arrays)
            ]
        result = node.op.forward(*arrays, **node.constants) if node.op else node._array
        values[node] = result[node.call.which] if node.call else result
    return float(values[graph.outputs[0]])
