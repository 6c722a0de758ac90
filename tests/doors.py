"""The doors: every way for a tensor to meet Python and NumPy, and what comes of it.

`python -m tests.doors` prints the table.  A door leads on in the graph, with the right gradient; or
it is refused, and the message says what to write; or it gives plain numbers by its very name.
"""

from __future__ import annotations

import array
import copy
import ctypes
import functools
import itertools
import json
import math
import operator
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import minigrad as mg  # noqa: E402

X = np.array([0.3, -0.7, 1.1])
S = np.array(0.6)
GRAPH, NUMBER = "in the graph", "plain numbers"


class Door(NamedTuple):
    """program(x, s) of a tensor (3,) and a number; expected: GRAPH, NUMBER, or what the refusal
    must say."""

    name: str
    program: Callable[[Any, Any], Any]
    expected: str


def stored(x: Any, s: Any) -> Any:
    a = np.zeros(3)
    a[0] = s
    return a


def added(x: Any, s: Any) -> Any:
    a = np.zeros(3)
    a[0] += s
    return a


def stored_slice(x: Any, s: Any) -> Any:
    a = np.zeros(3)
    a[:] = x
    return a


def recursion(x: Any, s: Any) -> Any:
    a = np.zeros(3)
    for t in range(1, 3):
        a[t] = a[t - 1] + x[t]
    return a


def filled(x: Any, s: Any) -> Any:
    a = np.zeros(3)
    a.fill(s)
    return a


def grown(x: Any, s: Any) -> Any:
    a = np.zeros(3)
    a += x
    return a


def swapped(x: Any, s: Any) -> Any:
    a, b, c = x
    return a * b + c


def matched(x: Any, s: Any) -> Any:
    first, *others = x
    return first * np.stack(others)


def with_dict(x: Any, s: Any) -> Any:
    return {"h": x}["h"] * {s: 2.0}[s]


def np_where(x: Any, s: Any) -> Any:
    return x[np.where(x > 0)]


def in_a_flat_view(x: Any, s: Any) -> Any:
    np.zeros(3).flat[0] = s


def unpacked(x: Any, s: Any) -> Any:
    a = np.zeros(3)
    a[0], a[1] = s, 1.0
    return a


def looped(x: Any, s: Any) -> Any:
    a = np.zeros(3)
    for a[0] in x:
        pass
    return a


DOORS = [
    # elements of arrays
    Door("a[i] = t", stored, "np.stack"),
    Door("a[i] += t", added, "np.stack"),
    Door("a[:] = t", stored_slice, "np.stack"),
    Door("a[t] = a[t-1] + x[t]", recursion, "np.stack"),
    Door("a.__setitem__(i, t)", lambda x, s: np.zeros(3).__setitem__(0, s), "np.stack"),
    Door("operator.setitem(a, i, t)", lambda x, s: operator.setitem(np.zeros(3), 0, s), "np.stack"),
    Door(
        "map(a.__setitem__, ...)",
        lambda x, s: list(map(np.zeros(3).__setitem__, [0], [s])),
        "t.item()",
    ),
    Door("a.flat[i] = t", in_a_flat_view, "Error setting"),  # NumPy hides what we say
    Door("a[0], a[1] = t, 1", unpacked, "np.stack"),
    Door("for a[0] in t", looped, "np.stack"),
    Door("np.fill_diagonal(a, t)", lambda x, s: np.fill_diagonal(np.eye(3), s), "t.data"),
    Door("np.put_along_axis", lambda x, s: np.put_along_axis(np.eye(3), [[0]], s, 0), "t.data"),
    Door("array.append(t)", lambda x, s: array.array("d").append(s), "np.stack"),
    Door("a.__iadd__(t)", lambda x, s: np.zeros(3).__iadd__(x), "a = a + t"),
    Door("a.sum(initial=t)", lambda x, s: X.sum(initial=s), "np.sum(array) + t"),
    Door("np.sum(a, initial=t)", lambda x, s: np.sum(X, initial=s), "np.sum(array) + t"),
    Door("np.prod(a, initial=t)", lambda x, s: np.prod(X, initial=s), "np.prod(array) * t"),
    Door("np.max(a, initial=t)", lambda x, s: np.max(X, initial=s), "np.maximum"),
    Door("np.add.reduce(a, initial=t)", lambda x, s: np.add.reduce(X, initial=s), "the result"),
    Door("np.interp(a, left=t)", lambda x, s: np.interp(-1, [0, 1], [0, 3], left=s), "np.interp"),
    Door("np.bincount(k, t)", lambda x, s: np.bincount([0, 1, 1], x), "mg.one_hot"),
    Door("np.bincount(k, weights=t)", lambda x, s: np.bincount([0, 1, 1], weights=x), "mg.one_hot"),
    Door("np.histogram(a, weights=t)", lambda x, s: np.histogram(X, weights=x), "mg.one_hot"),
    Door("np.pad(constant_values=t)", lambda x, s: np.pad(X, 1, constant_values=s), "t.data"),
    Door("a.fill(t)", filled, "np.broadcast_to"),
    Door("a += t", grown, "a = a + t"),
    Door("np.put(a, i, t)", lambda x, s: np.put(np.zeros(3), [0], s), "np.where"),
    Door("a.put(i, t)", lambda x, s: np.zeros(3).put([0], s), "np.where"),
    Door("np.copyto(a, t)", lambda x, s: np.copyto(np.zeros(3), x), "np.where"),
    Door("np.putmask(a, m, t)", lambda x, s: np.putmask(np.zeros(3), X > 0, x), "np.where"),
    Door("np.place(a, m, t)", lambda x, s: np.place(np.zeros(3), X > 0, x), "np.where"),
    Door("np.add.at(a, i, t)", lambda x, s: np.add.at(np.zeros(3), [0], s), "np.stack"),
    Door("np.add(t, t, out=a)", lambda x, s: np.add(x, x, out=np.zeros(3)), "a = a + t"),
    Door("t[i] = v", lambda x, s: operator.setitem(x, 0, 1.0), "np.where"),
    # arrays of tensors
    Door("np.array([t, t])", lambda x, s: np.array([s, s]), "np.stack"),
    Door("np.array(t)", lambda x, s: np.array(x), "t.data"),
    Door("np.asarray([t, t])", lambda x, s: np.asarray([s, s]), "np.stack"),
    Door("np.asarray(t)", lambda x, s: np.asarray(x), "t.data"),
    Door("np.array([t, t], object)", lambda x, s: np.array([s, s], object), "np.stack"),
    Door("mg.tensor([t, t])", lambda x, s: mg.tensor([s, s]), "np.stack"),
    Door("mg.tensor(t)", lambda x, s: mg.tensor(x), "t.detach()"),
    Door("mg.Tensor(t)", lambda x, s: mg.Tensor(x), "t.detach()"),
    Door("mg.Tensor([t, t])", lambda x, s: mg.Tensor([s, s]), "np.stack"),
    Door("np.r_[t, t]", lambda x, s: np.r_[s, s], "np.concatenate"),
    Door("np.c_[t, t]", lambda x, s: np.c_[x, x], "np.column_stack"),
    Door("np.mean([t, t])", lambda x, s: np.mean([s, s]), "np.stack"),
    Door("np.sum([t, t])", lambda x, s: np.sum([s, s]), "np.stack"),
    Door("np.max([t, t])", lambda x, s: np.max([s, s]), "np.stack"),
    Door("np.fromiter(list)", lambda x, s: np.fromiter([s, s], float), "np.stack"),
    Door("np.fromiter(generator)", lambda x, s: np.fromiter((v for v in x), float), "np.stack"),
    Door("array.array('d', t)", lambda x, s: array.array("d", x), "the tensor itself"),
    Door("np.stack([t, t])", lambda x, s: np.stack([s, s]), GRAPH),
    Door("np.concatenate", lambda x, s: np.concatenate([x, X]), GRAPH),
    Door("np.hstack", lambda x, s: np.hstack([s, x]), GRAPH),
    Door("np.vstack", lambda x, s: np.vstack([x, X]), GRAPH),
    Door("np.append(a, t)", lambda x, s: np.append(X, s), GRAPH),
    Door("np.insert(a, i, t)", lambda x, s: np.insert(X, 0, s), GRAPH),
    Door("np.block", lambda x, s: np.block([s, x]), GRAPH),
    Door("np.full(n, t)", lambda x, s: np.full(3, s), "np.broadcast_to"),
    Door("np.full_like(a, t)", lambda x, s: np.full_like(X, s), "np.broadcast_to"),
    Door("np.linspace(0, t, n)", lambda x, s: np.linspace(0, s, 3), GRAPH),
    Door("np.arange(0, t)", lambda x, s: np.arange(0, s), "np.arange(n)"),
    Door("np.eye(3) * t", lambda x, s: np.eye(3) * s, GRAPH),
    Door("np.ma.array(t)", lambda x, s: np.ma.array(x), "t.data"),
    Door("np.ascontiguousarray(t)", lambda x, s: np.ascontiguousarray(x), "t.data"),
    Door("np.ndenumerate(t)", lambda x, s: [*np.ndenumerate(x)], "t.data"),
    Door("np.meshgrid(t, t)", lambda x, s: np.meshgrid(x, X)[0], GRAPH),
    # arrays on the left
    Door("a + t", lambda x, s: X + x, GRAPH),
    Door("a * t", lambda x, s: X * x, GRAPH),
    Door("a @ t", lambda x, s: X @ x, GRAPH),
    Door("a ** t", lambda x, s: np.abs(X) ** x, GRAPH),
    Door("np.float64 * t", lambda x, s: np.float64(2.0) * x, GRAPH),
    Door("a.dot(t)", lambda x, s: X.dot(x), "np.dot(array, t)"),
    Door("np.dot(a, t)", lambda x, s: np.dot(X, x), GRAPH),
    Door("t.dot(a)", lambda x, s: x.dot(X), GRAPH),
    Door("a.clip(t, t)", lambda x, s: X.clip(-s, s), "np.clip(array, low, high)"),
    Door("np.clip(a, t, t)", lambda x, s: np.clip(X, -s, s), GRAPH),
    Door("a.searchsorted(t)", lambda x, s: np.sort(X).searchsorted(s), "t.data"),
    Door("[1, 2, 3] @ t", lambda x, s: [1.0, 2.0, 3.0] @ x, GRAPH),
    Door("[1, 2, 3] * t", lambda x, s: [1.0, 2.0, 3.0] * x, GRAPH),
    Door("t * 1j", lambda x, s: x * 1j, "real numbers"),
    # functions of NumPy
    Door("np.where(m, t, a)", lambda x, s: np.where(X > 0, x, X), GRAPH),
    Door("t[np.where(t > 0)]", np_where, GRAPH),
    Door("np.interp(t, a, b)", lambda x, s: np.interp(s, [0.0, 1.0], [0.0, 3.0]), GRAPH),
    Door("np.polyval(a, t)", lambda x, s: np.polyval([1.0, 2.0], x), GRAPH),
    Door("np.einsum", lambda x, s: np.einsum("i,i", x, x), GRAPH),
    Door("np.outer", lambda x, s: np.outer(x, X), GRAPH),
    Door("np.add.reduce", lambda x, s: np.add.reduce(x), GRAPH),
    Door("np.vectorize(f)(t)", lambda x, s: np.vectorize(math.exp)(x), "on whole arrays"),
    Door("np.frompyfunc(f)(t)", lambda x, s: np.frompyfunc(abs, 1, 1)(x), "@mg.primitive"),
    Door(
        "np.apply_along_axis",
        lambda x, s: np.apply_along_axis(np.sum, 0, x),
        "on whole arrays",
    ),
    Door("np.piecewise", lambda x, s: np.piecewise(x, [X > 0], [1.0]), "np.where"),
    Door("np.fromfunction", lambda x, s: np.fromfunction(lambda i: i * s, (3,)), GRAPH),
    Door("rng.normal(t, 1)", lambda x, s: mg.generator().normal(x, 1), "standard_normal"),
    Door("rng.uniform(0, t)", lambda x, s: mg.generator().uniform(0, x), "rng.random"),
    Door("rng.choice(t)", lambda x, s: mg.generator().choice(x), "rng.integers"),
    Door("np.shape(t)", lambda x, s: np.shape(x), NUMBER),
    Door("np.isnan(t)", lambda x, s: np.isnan(x), NUMBER),
    Door("np.array_equal(t, t)", lambda x, s: np.array_equal(x, x), NUMBER),
    # functions of Python
    Door("sum([t, t])", lambda x, s: sum([s, s]), GRAPH),
    Door("sum(t)", lambda x, s: sum(x), GRAPH),
    Door("max(t, t)", lambda x, s: max(s, s * 2), GRAPH),
    Door("sorted(t)", lambda x, s: np.stack(sorted(x)), GRAPH),
    Door("abs(t)", lambda x, s: abs(x), GRAPH),
    Door("pow(t, 2)", lambda x, s: pow(x, 2), GRAPH),
    Door("round(t, 1)", lambda x, s: round(x * s, 1), GRAPH),
    Door("divmod(t, 1)", lambda x, s: divmod(x, 0.4)[1], GRAPH),
    Door("math.prod([t, t])", lambda x, s: math.prod([s, s]), GRAPH),
    Door("functools.reduce", lambda x, s: functools.reduce(operator.add, x), GRAPH),
    Door("itertools.accumulate", lambda x, s: np.stack([*itertools.accumulate(x)]), GRAPH),
    Door("a, b, c = t", swapped, GRAPH),
    Door("a, *b = t", matched, GRAPH),
    Door("list(t)", lambda x, s: np.stack(list(x)), GRAPH),
    Door("reversed(t)", lambda x, s: np.stack([*reversed(x)]), GRAPH),
    Door("enumerate(t)", lambda x, s: np.stack([k * v for k, v in enumerate(x)]), GRAPH),
    Door("zip(t, t)", lambda x, s: np.stack([a * b for a, b in zip(x, x)]), GRAPH),
    Door("t in a dict", with_dict, GRAPH),
    Door("math.exp(t)", lambda x, s: math.exp(s), "np.exp(t)"),
    Door("math.log(t)", lambda x, s: math.log(s), "np.log(t)"),
    Door("math.sqrt(t)", lambda x, s: math.sqrt(s), "np.sqrt(t)"),
    Door("math.tanh(t)", lambda x, s: math.tanh(s), "np.tanh(t)"),
    Door("math.pow(t, 2)", lambda x, s: math.pow(s, 2), "t ** n"),
    Door("math.atan2(t, t)", lambda x, s: math.atan2(s, s), "np.arctan2"),
    Door("math.hypot(t, t)", lambda x, s: math.hypot(s, s), "np.hypot"),
    Door("math.fsum(t)", lambda x, s: math.fsum(x), "np.sum"),
    Door("math.erf(t)", lambda x, s: math.erf(s), "@mg.primitive"),
    Door("math.gamma(t)", lambda x, s: math.gamma(s), "@mg.primitive"),
    Door("math.erfc(t)", lambda x, s: math.erfc(s), "@mg.primitive"),
    Door("math.ldexp(t, 1)", lambda x, s: math.ldexp(s, 1), "t * 2.0 ** n"),
    Door("math.modf(t)", lambda x, s: math.modf(s), "np.modf(t)"),
    Door("math.frexp(t)", lambda x, s: math.frexp(s), "t.item()"),
    Door("math.remainder(t, 1)", lambda x, s: math.remainder(s, 1), "np.round"),
    Door("math.nextafter(t, 1)", lambda x, s: math.nextafter(s, 1), "t.item()"),
    Door("ctypes.c_double(t)", lambda x, s: ctypes.c_double(s), "t.item()"),
    Door("[1, 2][t]", lambda x, s: [1, 2][s], "write int(t)"),
    Door("range(t)", lambda x, s: range(s), "write int(t)"),
    Door("statistics.fmean", lambda x, s: statistics.fmean([s, s]), "np.sum"),
    Door("math.isnan(t)", lambda x, s: math.isnan(s), NUMBER),
    Door("math.floor(t)", lambda x, s: math.floor(s), NUMBER),
    Door("math.trunc(t)", lambda x, s: math.trunc(s), NUMBER),
    Door("list(map(float, t))", lambda x, s: list(map(float, x)), NUMBER),
    Door("max(t, key=float)", lambda x, s: max(x, key=float), GRAPH),
    Door("float(t)", lambda x, s: float(s), NUMBER),
    Door("int(t)", lambda x, s: int(s), NUMBER),
    Door("bool(t)", lambda x, s: bool(s), NUMBER),
    Door("complex(t)", lambda x, s: complex(s), NUMBER),
    Door("np.float64(t)", lambda x, s: np.float64(s), NUMBER),
    Door("t.item()", lambda x, s: s.item(), NUMBER),
    Door("t.tolist()", lambda x, s: x.tolist(), NUMBER),
    Door("t.numpy()", lambda x, s: x.numpy(), NUMBER),
    Door("t.detach()", lambda x, s: x.detach(), NUMBER),
    Door("f'{t:.2f}'", lambda x, s: f"{s:.2f}", NUMBER),
    Door("'%f' % t", lambda x, s: f"{s:f}", NUMBER),
    Door("t > 0", lambda x, s: x > 0, NUMBER),
    Door("t.argmax(0)", lambda x, s: x.argmax(0), NUMBER),
    Door("(t > 0).any(0)", lambda x, s: (x > 0).any(0), NUMBER),
    Door("json.dumps(t)", lambda x, s: json.dumps(s), "not JSON serializable"),
    # copies and parts
    Door("copy.copy(t * 2)", lambda x, s: copy.copy(x * 2), GRAPH),
    Door("copy.deepcopy(t * 2)", lambda x, s: copy.deepcopy(x * 2), "t.copy()"),
    Door("copy.deepcopy({'h': t * 2})", lambda x, s: copy.deepcopy({"h": x * 2}), "t.copy()"),
    Door("t.copy()", lambda x, s: x.copy(), GRAPH),
    Door("t[1:]", lambda x, s: x[1:], GRAPH),
    Door("t[[0, 0]]", lambda x, s: x[[0, 0]], GRAPH),
    Door("t[t > 0]", lambda x, s: x[x > 0], GRAPH),
    Door("t[..., None]", lambda x, s: x[..., None], GRAPH),
    Door("t.astype(np.float32)", lambda x, s: x.astype(np.float32), GRAPH),
]


def through(door: Door) -> tuple[str, str]:
    """The verdict on a door and what was found: a gradient that is right, a message, a type."""
    x, s = mg.tensor(X, requires_grad=True), mg.tensor(S, requires_grad=True)
    try:
        y = door.program(x, s)
    except Exception as error:
        return "refused", " <- ".join(message(error))
    if not isinstance(y, mg.Tensor) or not y.requires_grad:
        return NUMBER, type(y).__name__
    found = mg.grad(y.sum(), [x, s], allow_unused=True)
    for k, (dx, value) in enumerate(zip(found, (X, S))):
        wanted = slopes(door, k)
        given = np.zeros_like(value) if dx is None else dx.data
        if not np.allclose(given, wanted, rtol=1e-3, atol=1e-3):
            return "WRONG", f"gradient {given}, by differences {wanted}"
    return GRAPH, y.op.name


def message(error: BaseException | None) -> Iterator[str]:
    """What an error says, and its causes: NumPy hides the message of `__float__` in one."""
    while error is not None:
        yield f"{type(error).__name__}: {error}"
        error = error.__cause__


def slopes(door: Door, which: int) -> Any:
    """The derivative of the sum of what the door gives, by central differences."""
    eps, values = 1e-4, [X, S]
    found = np.zeros_like(values[which])
    for at in np.ndindex(found.shape):
        ends = []
        for sign in (1, -1):
            moved = values[which].copy()
            moved[at] += sign * eps
            inputs = [mg.tensor(v) for v in (values[0], values[1])]
            inputs[which] = mg.tensor(moved)
            ends.append(float(door.program(*inputs).sum()))
        found[at] = (ends[0] - ends[1]) / (2 * eps)
    return found


def holds(door: Door) -> bool:
    """Whether a door does what the table says of it."""
    verdict, found = through(door)
    if door.expected in (GRAPH, NUMBER):
        return verdict == door.expected
    return verdict == "refused" and door.expected in found and "<locals>" not in found


def main() -> None:
    """Print each door with its verdict, and how many there are of each."""
    counts: dict[str, int] = {}
    for door in DOORS:
        verdict, found = through(door)
        counts[verdict] = counts.get(verdict, 0) + 1
        remedy = door.expected if verdict == "refused" else found
        mark = " " if holds(door) else "!"
        print(f"{mark} {door.name:28}  {verdict:14}  {remedy}")
    print(f"{len(DOORS)} doors: " + ", ".join(f"{n} {verdict}" for verdict, n in counts.items()))


if __name__ == "__main__":
    main()
