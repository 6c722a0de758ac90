"""Compare gradients with central differences, in float64."""

from __future__ import annotations

import functools
import itertools
import operator
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

DIRECTIONS = 3  # random directions that are compared in each input
ENTRIES = 1000  # entries of the worst input that are compared after a failure, to name one
ROUNDING = 16 * float(np.finfo(np.float64).eps)  # of a sum, relative to the sum of the sizes
CANCELLING = "_size_of_what_cancels"  # told by `gradgradcheck` to `gradcheck`, on its function


class GradcheckError(AssertionError):
    """A gradient differs from the central difference, or two calls of the function differ.

    worst: the entry with the greatest error, if a gradient differs.
    """

    worst: Entry | None = None


class Entry(NamedTuple):
    """One derivative that was compared.

    name: of which input.  at: the index of the entry, or None for a random direction.  t: the time
    step in which the input was used, where it is known.  doubt: by how much the central difference
    may be wrong itself: rounding, and what twice the step would change; 0 where nobody had to ask.
    """

    name: str
    at: tuple[int, ...] | None
    t: int | None
    analytic: float
    numeric: float
    doubt: float = 0.0

    @property
    def error(self) -> float:
        """The difference of the two numbers, relative to the larger one."""
        if self.analytic == self.numeric:
            return 0.0
        largest = max(abs(self.analytic), abs(self.numeric))
        error = abs(self.analytic - self.numeric) / largest
        return error if np.isfinite(error) and np.isfinite(largest) else np.inf

    @property
    def flat(self) -> bool:
        """Whether a difference shows nothing here: it is smaller than the doubt."""
        return abs(self.analytic - self.numeric) <= self.doubt < np.inf

    def __str__(self) -> str:
        where = self.name
        if self.at:
            where += str(list(self.at))
        if self.t is not None:
            where += f", t = {self.t}"
        both = f"analytic {self.analytic:.10g}, numeric {self.numeric:.10g}"
        return f"{self.error:.0e} at {where}: {both}"


class Report(NamedTuple):
    """The result of a check.

    worst: of the derivatives that agree, the one with the greatest error.  checked: how many agree.
    flat: those of which a difference can tell nothing, because rounding hides them, or because all
    of an input are 0 here and not elsewhere.  A report that could tell nothing at all is false.
    """

    worst: Entry
    checked: int
    flat: tuple[Entry, ...] = ()

    def __bool__(self) -> bool:
        return self.checked > 0 or not self.flat

    def __str__(self) -> str:
        text = f"{self.checked} derivatives agree, worst {self.worst}"
        if self.flat:
            one = str(self.flat[0]).partition(" at ")[2]
            text += f"; {len(self.flat)} too flat here to tell, such as {one}"
        return text


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

    The error is relative: a factor of 1.001 is found in a derivative of 10⁻⁹ as in one of 10⁹, as
    long as rounding does not hide it.  Where it does, the report says so (`report.flat`).

    inputs: one argument or a tuple of arguments; each may be an array, a tensor, or a nested tuple,
    list or dict.  Every floating array is checked, as a float64 copy.  If fn has no parameters, it
    uses the given tensors by itself, such as the parameters of a module in
    `gradcheck(lambda: loss(net(x)), net)`; they hold float64 copies while the check runs.
    full: compare every entry.  Otherwise random directions are compared and, after a failure, the
    entries of the worst input, so that the error names one.
    sample: compare only so many of the inputs, drawn with the seed.  eps: the step, relative to the
    size of an element, or where that is less than 1, also as it is.
    Raises GradcheckError with the worst entry (input, index, time step, analytic, numeric) if its
    error is above the tolerance, or if two calls of fn give different numbers.

    >>> import minigrad as mg, numpy as np
    >>> mg.gradcheck(lambda x, w: np.tanh(x @ w), (np.eye(2), np.ones((2, 3)))).checked
    6
    """
    with _float64(fn, inputs) as (arguments, leaves):
        loss, again = (_evaluated(fn, arguments) for _ in range(2))
        if not np.array_equal(loss.data, again.data, equal_nan=True):
            both = f"{loss.item():.10g} and {again.item():.10g}"
            raise GradcheckError(
                f"the function is not deterministic: two calls gave {both}; "
                "seed its random numbers inside it, or switch dropout off"
            )
        grads = dict.fromkeys(leaves, np.zeros(()))
        if loss.requires_grad:
            for name, dx in zip(leaves, grad(loss, [*leaves.values()], allow_unused=True)):
                if dx is not None:
                    grads[name] = dx.data

        rounding = ROUNDING * (_size(call(fn, arguments)) + getattr(fn, CANCELLING, 0.0)) / eps

        def value() -> float:
            return _evaluated(fn, arguments).item()

        def compared_along(v: Any, name: str, at: Any, size: Any) -> Entry:
            x, d = leaves[name], v * size
            length = float(np.linalg.norm(d)) or 1.0
            analytic, slope = float(np.sum(grads[name] * d)), _slope(x, eps * d, value) / eps
            found = Entry(name, at, x.t, analytic / length, slope / length)
            if found.error <= tolerance or not np.isfinite(found.error):
                return found
            change = abs(_slope(x, 2 * eps * d, value) / (2 * eps) - slope)
            return found._replace(doubt=(rounding + 2 * change) / length)

        def entry(name: str, at: Any, v: Any) -> Entry:
            """As compared with the step that leaves the least doubt."""
            best = None
            for size in _sizes(leaves[name]._array):
                found = compared_along(v, name, at, size)
                if found.error <= tolerance:
                    return found
                if best is None or found.doubt < best.doubt:
                    best = found
            assert best is not None
            return best

        chosen = _drawn(leaves, sample, seed)
        compared = [entry(*direction) for direction in _directions(chosen, None if full else seed)]
        flat = tuple([e for e in compared if e.error > tolerance and e.flat])
        level = {
            name for name in chosen if _is_level(name, compared) and _slopes(leaves[name], value)
        }
        flat += tuple([e for e in compared if e.name in level])
        compared = [e for e in compared if e not in flat]
        worst = _worst(compared)
        if worst.error > tolerance and not full:  # compare every entry, to name the wrong one
            entries = itertools.islice(_directions({worst.name: leaves[worst.name]}, None), ENTRIES)
            single = _worst([e for e in itertools.starmap(entry, entries) if not e.flat])
            if single.error > tolerance:
                worst = single
        worst = _with_time_step(worst, Graph(loss), leaves, eps)
    if worst.error > tolerance:
        error = GradcheckError(f"gradients disagree with central differences, worst {worst}")
        error.worst = worst
        raise error
    return Report(worst, len(compared), flat)


def gradgradcheck(fn: Function, inputs: Any, **options: Any) -> Report:
    """Check the second derivatives of fn(*inputs): `gradcheck` of its gradients.

    >>> import minigrad as mg, numpy as np
    >>> bool(mg.gradgradcheck(np.tanh, np.linspace(-1, 1, 5)))
    True
    """

    @functools.wraps(fn)
    def gradients(*arguments: Any) -> list[Tensor]:
        leaves = [x for x in real_leaves(arguments if arguments else inputs) if x.requires_grad]
        zero = 0.0 * sum(sum_of(x) for x in leaves)  # every leaf gets a gradient, though it be 0
        outputs = fn(*arguments)
        largest = max((float(np.max(np.abs(x._array), initial=0)) for x in leaves), default=0)
        setattr(gradients, CANCELLING, _size(outputs) / (largest or 1.0))
        total = _projected(outputs) + zero
        return [dx for dx in grad(total, leaves, create_graph=True) if dx is not None]

    return gradcheck(gradients, inputs, **options)


def _worst(entries: list[Entry]) -> Entry:
    """The entry with the greatest error."""
    nothing = Entry("nothing", None, None, 0.0, 0.0)
    return max(entries, key=lambda entry: entry.error, default=nothing)


def _evaluated(fn: Function, arguments: Any) -> Tensor:
    """The number that is checked.  Derivatives that fn takes itself have a history."""
    with recorded(enabled=True, building=True):
        return _projected(call(fn, arguments))


def _size(outputs: Any) -> float:
    """Σ |w · y| over all outputs: what rounding is relative to."""
    rng = np.random.default_rng(2)
    terms = [y._array * rng.standard_normal(y.shape) for y in real_leaves(outputs)]
    return float(sum(np.sum(np.abs(term)) for term in terms))


def _sizes(x: Array) -> Iterator[Array]:
    """Of what size a step in each element may be: at least 1; then like the element."""
    sizes = np.abs(x)
    yield np.maximum(sizes, 1.0)
    if np.any((sizes > 0) & (sizes < 1)):
        typical = float(np.median(sizes[sizes > 0]))
        yield np.where(sizes > 0, sizes, typical)


def _projected(outputs: Any) -> Tensor:
    """Σ w · y over all outputs, with fixed random w: one number that depends on every element."""
    ys, rng = real_leaves(outputs), np.random.default_rng(2)
    if not ys:
        raise TypeError("gradcheck: the function gave no floating tensor")
    terms = [sum_of(y * rng.standard_normal(y.shape)) for y in ys]
    return functools.reduce(operator.add, terms)


def _drawn(leaves: dict[str, Tensor], count: int | None, seed: int) -> dict[str, Tensor]:
    """`count` of the leaves, drawn at random; all leaves if count is None."""
    if count is None or count >= len(leaves):
        return leaves
    chosen = np.random.default_rng(seed).choice(len(leaves), max(1, count), replace=False)
    return {name: x for k, (name, x) in enumerate(leaves.items()) if k in chosen}


def _directions(leaves: dict[str, Tensor], seed: int | None) -> Iterator[tuple[str, Any, Any]]:
    """(name, index, v): random directions in each input; without a seed, each of its entries."""
    rng = np.random.default_rng(seed)
    for name, x in leaves.items():
        if seed is None:
            for at in np.ndindex(x.shape):
                v = np.zeros(x.shape)
                v[at] = 1
                yield name, at, v
        else:
            for _ in range(DIRECTIONS):
                v = np.asarray(rng.standard_normal(x.shape))
                yield name, None, v / np.maximum(np.linalg.norm(v), 1e-300)


def _slope(x: Tensor, change: Any, value: Callable[[], float]) -> float:
    """(value at x + change  −  value at x − change) / 2.  Afterwards x is as before."""
    here, values = x._array, []
    for moved in (here + change, here - change, here):
        x._array = np.asarray(moved)  # the sum of two 0-d arrays is a NumPy scalar
        x._array.setflags(write=False)
        values.append(value() if moved is not here else 0.0)
    return (values[0] - values[1]) / 2


def _is_level(name: str, entries: list[Entry]) -> bool:
    """Whether all derivatives by one input are 0, by the rules and by differences."""
    of_input = [e for e in entries if e.name == name]
    return bool(of_input) and all(e.analytic == 0 == e.numeric for e in of_input)


def _slopes(x: Tensor, value: Callable[[], float]) -> bool:
    """Whether the function has a slope in x elsewhere: then a slope of 0 here shows little of a
    rule, which may say 0 everywhere."""
    here, rng = x._array, np.random.default_rng(3)
    try:
        for scale in (1.0, 0.1, 10.0):
            x._array = np.asarray(scale * rng.standard_normal(x.shape))
            v = scale * rng.standard_normal(x.shape)
            with np.errstate(all="ignore"):
                slope, size = _slope(x, 1e-6 * v, value), abs(value())
            if np.isfinite(slope) and abs(slope) > 1e-12 * max(size, 1e-300):
                return True
        return False
    except Exception:  # it is not defined there
        return False
    finally:
        x._array = here


@contextmanager
def _float64(fn: Function, inputs: Any) -> Iterator[tuple[Any, dict[str, Tensor]]]:
    """The inputs as float64 tensors that require grad, and these tensors by name.

    Tensors that the function uses by itself get their arrays back at the end.
    """
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
    """The leaves of the inputs by name: the argument and the path in it, or the tensor's name."""
    if parameters(fn) == []:
        return unique(
            (getattr(x, "name", None) or path or "input", x) for path, x in flatten(inputs)
        )
    arguments = inputs if type(inputs) in (tuple, list) else (inputs,)
    names = parameters(fn) or []
    names += [f"input {k}" for k in range(len(names), len(arguments))]
    return unique(leaf for name, x in zip(names, arguments) for leaf in flatten(x, name))


def _with_time_step(entry: Entry, graph: Graph, leaves: dict[str, Tensor], eps: float) -> Entry:
    """The entry with the time step whose use of the input has the greatest error.

    For each step, the graph is replayed with the input changed in that step alone.
    """
    if entry.at is None:
        return entry
    x, errors = leaves[entry.name], dict[Any, float]()
    times = {edge: edge.target.time.steps for edge in graph.users.get(x, ()) if edge.target.time}
    if len({*times.values()}) < 2:
        return entry
    change = np.zeros(x.shape)
    change[entry.at] = eps * max(1.0, abs(float(x._array[entry.at])))
    analytic = dict(watch(graph, times))
    for time in times.values():
        numeric = (_replay(graph, x, change, time) - _replay(graph, x, -change, time)) / 2
        errors[time] = abs(float(np.sum(analytic.get(time, 0 * change) * change)) - numeric)
    worst = max(errors, key=errors.__getitem__)
    return entry._replace(t=worst[0][1])


def _replay(graph: Graph, leaf: Tensor, change: Any, time: Any) -> float:
    """The output of a graph if one leaf is changed, but only where one time step uses it."""
    values: dict[Tensor, Any] = {}
    for node in graph.nodes:
        inside = node.time is not None and node.time.steps == time
        arrays = []
        for x, value in zip(node.inputs, node.arrays):
            value = values[x] if isinstance(value, Array) else value
            arrays.append(value + change if inside and x is leaf else value)
        result = node.op.forward(*arrays, **node.constants) if node.op else node._array
        values[node] = result[node.call.which] if node.call else result
    return float(values[graph.outputs[0]])
