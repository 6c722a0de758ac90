"""Compare gradients with central differences, in float64.  Imports `functional` and the engine."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from minigrad.functional import call, flatten, is_real, real_leaves, rebuild, takes_nothing
from minigrad.graph import Graph, grad
from minigrad.naming import unique
from minigrad.ops.reductions import sum as sum_of
from minigrad.primitive import Scatter
from minigrad.tensor import Array, Tensor


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
    fn: Callable[..., Any],
    inputs: Any,
    *,
    full: bool = False,
    eps: float = 1e-6,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> Report:
    """Check the gradients of fn(*inputs) against  (f(x + εv) − f(x − εv)) / 2ε  in float64.

    inputs: one argument or a tuple of them: arrays, tensors, or nested tuples, lists and dicts; every floating one is
    checked, as a float64 copy.  A function without parameters uses the given tensors by itself: the parameters of a
    module, as in `gradcheck(lambda: loss(net(x)), net)`; they hold float64 copies while the check runs.
    full: compare every entry; otherwise random directions, and every entry only to name the worst one on failure.
    Raises GradcheckError with the worst entry (input, index, time step, analytic, numeric) when the error is above the
    tolerance (relative where the derivative is greater than 1), or when two calls of fn give different numbers.

    >>> import minigrad as mg, numpy as np
    >>> mg.gradcheck(lambda x, w: np.tanh(x @ w), (np.eye(2), np.ones((2, 3)))).checked
    6
    """
    with _float64(fn, inputs) as (arguments, leaves):
        check = _Check(fn, arguments, leaves, eps, seed)
        entries = list(check.every_entry() if full else check.directions())
        worst = max(entries, key=lambda entry: entry.error, default=Entry("nothing", None, None, 0.0, 0.0))
        if worst.error > tolerance and not full:
            worst = max(worst, *check.every_entry(), key=lambda entry: (entry.at is not None, entry.error))
        worst = check.with_time_step(worst)
    if worst.error > tolerance:
        raise GradcheckError(f"gradients disagree with central differences, worst {worst}")
    return Report(worst, len(entries))


def gradgradcheck(fn: Callable[..., Any], inputs: Any, **options: Any) -> Report:
    """Check the second derivatives of fn(*inputs): `gradcheck` of its gradients.

    >>> import minigrad as mg, numpy as np
    >>> bool(mg.gradgradcheck(np.tanh, np.linspace(-1, 1, 5)))
    True
    """

    @functools.wraps(fn)
    def gradients(*arguments: Any) -> list[Tensor]:
        outputs = fn(*arguments)
        total = _projected(outputs, np.random.default_rng(1))
        leaves = [x for x in real_leaves(arguments if arguments else inputs) if x.requires_grad]
        total = total + 0.0 * sum(sum_of(x) for x in leaves)  # so that each has a gradient, be it 0
        found = grad(total, leaves, create_graph=True)
        return [dx for dx in found if dx is not None]

    return gradcheck(gradients, inputs, **options)


def _projected(outputs: Any, rng: np.random.Generator) -> Tensor:
    """Σ w · y over all outputs with fixed random w: one number that every element matters to."""
    ys = real_leaves(outputs)
    if not ys:
        raise TypeError("gradcheck: the function gave no floating tensor")
    total = sum_of(ys[0] * rng.standard_normal(ys[0].shape))
    for y in ys[1:]:
        total = total + sum_of(y * rng.standard_normal(y.shape))
    return total


@contextmanager
def _float64(fn: Callable[..., Any], inputs: Any) -> Iterator[tuple[Any, dict[str, Tensor]]]:
    """The inputs with float64 tensors that require grad, and those by name; what was in place is put back."""
    named = _named(fn, inputs)
    if not takes_nothing(fn):
        named = {name: Tensor(x, name=name) if is_real(x) else x for name, x in named.items()}
        inputs = rebuild(inputs, iter(named.values()))
    leaves = {name: x for name, x in named.items() if is_real(x)}
    before = [(x, x._array, x._requires_grad) for x in leaves.values()]
    try:
        for x in leaves.values():
            x._array, x._requires_grad = _locked(x._array.astype(np.float64)), True
        yield inputs, leaves
    finally:
        for x, data, requires_grad in before:
            x._array, x._requires_grad = data, requires_grad


def _named(fn: Callable[..., Any], inputs: Any) -> dict[str, Any]:
    """The leaves of the inputs by name: the argument's and the path in it, or the tensor's own."""
    if takes_nothing(fn):
        return unique((getattr(x, "name", None) or path or "input", x) for path, x in flatten(inputs))
    arguments = inputs if type(inputs) in (tuple, list) else (inputs,)
    try:
        names = list(inspect.signature(fn).bind(*arguments).arguments)
    except (TypeError, ValueError):
        names = []
    names = names if len(names) == len(arguments) else [f"input {k}" for k in range(len(arguments))]
    return unique(leaf for name, x in zip(names, arguments, strict=True) for leaf in flatten(x, name))


def _locked(numbers: Any) -> Any:
    array = np.asarray(numbers)  # a sum of 0-d arrays is no array
    array.setflags(write=False)
    return array


class _Check:
    """One function at one point."""

    def __init__(self, fn: Callable[..., Any], inputs: Any, leaves: dict[str, Tensor], eps: float, seed: int) -> None:
        self.fn, self.inputs, self.leaves, self.eps = fn, inputs, leaves, eps
        self.rng = np.random.default_rng(seed)
        self.loss = self.value()
        again = self.value()
        if not np.array_equal(self.loss.data, again.data, equal_nan=True):
            raise GradcheckError(
                f"the function is not deterministic: two calls gave {self.loss.item():.10g} and {again.item():.10g}; "
                "seed its random numbers inside it, or switch dropout off"
            )
        grads = grad(self.loss, list(leaves.values()), allow_unused=True) if self.loss.requires_grad else ()
        self.grads = {
            name: np.zeros(x.shape) if dx is None else dx.data
            for (name, x), dx in zip(leaves.items(), grads or [None] * len(leaves), strict=True)
        }

    def value(self) -> Tensor:
        """The function at the point where its inputs are now, as one number."""
        return _projected(call(self.fn, self.inputs), np.random.default_rng(2))

    def slope(self, name: str, direction: Any) -> float:
        """The derivative along a direction in one input, by central differences."""
        x = self.leaves[name]
        here, values = x._array, []
        try:
            for sign in (1, -1):
                x._array = _locked(here + sign * self.eps * direction)
                values.append(self.value().item())
        finally:
            x._array = here
        return float(values[0] - values[1]) / (2 * self.eps)

    def directions(self, count: int = 3) -> Iterator[Entry]:
        """Some random directions in each input."""
        for name, x in self.leaves.items():
            for _ in range(count):
                v = np.asarray(self.rng.standard_normal(x.shape))
                v = v / np.maximum(np.linalg.norm(v), 1e-300)
                yield Entry(name, None, x.t, float(np.sum(self.grads[name] * v)), self.slope(name, v))

    def every_entry(self) -> Iterator[Entry]:
        """All entries of all inputs."""
        for name, x in self.leaves.items():
            for index in np.ndindex(x.shape):
                v = np.zeros(x.shape)
                v[index] = 1
                yield Entry(name, index, x.t, float(self.grads[name][index]), self.slope(name, v))

    def with_time_step(self, entry: Entry) -> Entry:
        """The entry with the time step that is most wrong: each step's use of the input changed alone, and replayed."""
        if entry.at is None:
            return entry
        x, graph = self.leaves[entry.name], Graph(self.loss)
        steps: dict[Any, float] = {edge.target.time: 0.0 for edge in graph.users.get(x, ()) if edge.target.time}
        if len(steps) < 2:
            return entry
        for step in graph.backward_steps():
            for source, dx in zip(step.inputs, step.contributions(), strict=True):
                if source is x and dx is not None and step.node.time:
                    buffer = np.zeros(x.shape)
                    (dx if isinstance(dx, Scatter) else Scatter(..., dx)).add_into(buffer)
                    steps[step.node.time] += float(buffer[entry.at])
        change = np.zeros(x.shape)
        change[entry.at] = self.eps
        for time in steps:
            slope = (_replay(graph, x, change, time) - _replay(graph, x, -change, time)) / (2 * self.eps)
            steps[time] = abs(steps[time] - slope)
        return entry._replace(t=max(steps, key=lambda time: steps[time]).t)


def _replay(graph: Graph, leaf: Tensor, change: Any, time: Any) -> float:
    """The output of a graph when one leaf is changed where it is used at one time step, and nowhere else."""
    values: dict[Tensor, Any] = {}
    for node in graph.nodes:
        changed = change if node.time == time else 0
        arrays = [
            (values[x] + changed if x is leaf else values[x]) if isinstance(value, Array) else value
            for x, value in zip(node.inputs, node.arrays, strict=True)
        ]
        result = node.op.forward(*arrays, **node.constants) if node.op else node._array
        values[node] = result[node.call.which] if node.call else result
    return float(values[graph.outputs[0]])
