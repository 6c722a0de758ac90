"""What is written later into an array that a user has given never changes a result.

Doors, through which arrays come in, times aliases, through which they are changed afterwards.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import minigrad as mg
import nn
from tests.minigrad.ops.test_derivatives import CHECKS, COMPOSED

Array = np.ndarray
TABLE = {**CHECKS, **COMPOSED}


# an array like `a` that a user gives, and the array through which it is changed later


def itself(a: Array) -> tuple[Array, Array]:
    given = a.copy()
    return given, given


def older_view(a: Array) -> tuple[Array, Array]:
    given = a.copy()
    view = given[...]
    given.setflags(write=False)
    return given, view


def locked_view(a: Array) -> tuple[Array, Array]:
    owner = a.copy()
    given = owner[...]
    given.setflags(write=False)
    return given, owner


def buffer(a: Array) -> tuple[Array, Array]:
    memory = bytearray(a.tobytes())
    given, other = (np.frombuffer(memory, a.dtype).reshape(a.shape) for _ in range(2))
    given.setflags(write=False)
    return given, other


def memory_view(a: Array) -> tuple[Array, Array]:
    given = a.copy()
    other = np.asarray(memoryview(given))
    given.setflags(write=False)
    return given, other


def broadcast(a: Array) -> tuple[Array, Array]:
    owner = a.copy()
    return np.broadcast_to(owner, a.shape), owner


def strided(a: Array) -> tuple[Array, Array]:
    owner = a.copy()
    return as_strided(owner, a.shape, owner.strides, writeable=False), owner


def unlocked_later(a: Array) -> tuple[Array, Array]:
    given = a.copy()
    given.setflags(write=False)
    return given, given


ALIASES = [itself, older_view, locked_view, buffer, memory_view, broadcast, strided, unlocked_later]


# What the author of an operation computes in it is kept and locked, or copied if it is a view; of
# a view that the author unlocks on purpose, or hides in other memory, nobody can know.
OF_AUTHORS = ("the result of a primitive", "the gradient of a rule")
KNOWN_TO_NUMPY = [itself, locked_view, buffer, broadcast]


def overwrite(array: Array) -> None:
    """Write other numbers, as far as NumPy allows it."""
    try:
        array.setflags(write=True)
        array[...] = ~array if array.dtype.kind == "b" else 1 - array
    except ValueError:
        pass


# doors: each takes the array and gives a function that computes numbers from what has come in


def weights() -> mg.Tensor:
    return mg.tensor(np.array([0.3, -0.7, 1.1]), requires_grad=True)


def slope(y: Any, w: Any) -> Callable[[], list[Any]]:
    return lambda: [y.data, *(dx.data for dx in mg.grad((y * y).sum(), w))]


def of(function: Callable[[Any, Any], Any]) -> Callable[[Array], Callable[[], list[Any]]]:
    """The door of an expression of a parameter w and the array."""

    def door(a: Array) -> Callable[[], list[Any]]:
        w = weights()
        return slope(function(w, a), w)

    return door


def assigned(a: Array) -> Callable[[], list[Any]]:
    w = weights()
    w.data = a
    return lambda: [w.data]


def assigned_grad(a: Array) -> Callable[[], list[Any]]:
    w = weights()
    w.grad = a
    (w * w).sum().backward()
    return lambda: [w.grad.data]


def seed(a: Array) -> Callable[[], list[Any]]:
    w = weights()
    (1 * w).backward(grad=a)
    return lambda: [w.grad.data]


def seed_of_grad(a: Array) -> Callable[[], list[Any]]:
    w = weights()
    found = mg.grad(1 * w, w, grad_outputs=a)
    return lambda: [found[0].data]


def hook(a: Array) -> Callable[[], list[Any]]:
    w = weights()
    w.register_hook(lambda grad: a)
    (2 * w).sum().backward()
    return lambda: [w.grad.data]


def changes(a: Array) -> Callable[[], list[Any]]:
    w, made = weights(), mg.Changes()
    made.data(w, a)
    made.grad(w, a)

    def commit() -> list[Any]:
        made.commit()
        return [w.data, w.grad.data]

    return commit


def vjp(a: Array) -> Callable[[], list[Any]]:
    y, dx = mg.vjp(lambda x: 2 * x, a, np.ones(3))
    return lambda: [y.data, dx.data]


def seed_of_vjp(a: Array) -> Callable[[], list[Any]]:
    found = mg.vjp(lambda x: 1 * x, np.ones(3), a)[1]
    return lambda: [found.data]


def tangent(a: Array) -> Callable[[], list[Any]]:
    found = mg.jvp(lambda x: 1 * x, np.ones(3), a)
    return lambda: [found[1].data]


def custom_constant(a: Array) -> Callable[[], list[Any]]:
    @mg.primitive
    def scaled(x, *, table):
        return x * table

    @scaled.gradient
    def scaled_dx(dy, y, x, table):
        return dy * table

    w = weights()
    return slope(scaled(w, table=a), w)


def custom_result(a: Array) -> Callable[[], list[Any]]:
    @mg.primitive
    def shown(x):
        return a[...]

    @shown.gradient
    def shown_dx(dy, y, x):
        return dy * y

    w = weights()
    return slope(shown(w), w)


def custom_gradient(a: Array) -> Callable[[], list[Any]]:
    @mg.primitive
    def odd(x):
        return 1 * x

    @odd.gradient
    def odd_dx(dy, y, x):
        return a[...]

    w = weights()
    odd(w).sum().backward()
    return lambda: [w.grad.data]


def parameter(a: Array) -> Callable[[], list[Any]]:
    w = nn.Parameter(a)
    return slope(w * w, w)


class Net(nn.Module):
    """A recurrent network with what else a module has."""

    def __init__(self) -> None:
        mg.seed(0)
        self.rnn, self.scale = nn.LSTM(3, 3), nn.Buffer(np.ones(3))


def loaded(a: Array) -> Callable[[], list[Any]]:
    net = Net()
    net.load_state_dict({**net.state_dict(), "scale": a})
    return lambda: [net.scale.data]


def optimiser_state(a: Array) -> Callable[[], list[Any]]:
    w = nn.Parameter(np.ones(3))
    adam = nn.Adam([w])
    w.grad = np.ones(3)
    adam.step()
    state = adam.state_dict()
    name = next(key for key, value in state.items() if np.shape(value) == (3,))
    adam.load_state_dict({**state, name: a})
    return lambda: [adam.state_dict()[name]]


def initial_state(a: Array) -> Callable[[], list[Any]]:
    net = Net().rnn
    state = np.broadcast_to(a, (1, 2, 3)), np.broadcast_to(a, (1, 2, 3))
    y, _ = net(np.ones((2, 2, 3)), state)
    return slope(y, net.parameters())


def sequence(a: Array) -> Callable[[], list[Any]]:
    net = Net().rnn
    y, _ = net(np.broadcast_to(a, (2, 2, 3)))
    return slope(y, net.parameters())


def steps(a: Array) -> Callable[[], list[Any]]:
    w = weights()
    h = w
    for _, x in mg.timesteps(a):
        h = h * x
    return slope(h, w)


def list_of_steps(a: Array) -> Callable[[], list[Any]]:
    w = weights()
    h = w
    for _, x in mg.timesteps([a, a]):
        h = h * x
    return slope(h, w)


DOORS: dict[str, Callable[[Array], Callable[[], list[Any]]]] = {
    "mg.tensor": of(lambda w, a: w * mg.tensor(a)),
    "mg.tensor of a list": of(lambda w, a: w * mg.tensor([a, a])),
    "an operand": of(lambda w, a: w * a),
    "an operand on the left": of(lambda w, a: a * w),
    "np.concatenate": of(lambda w, a: np.concatenate([w, a])),
    "np.where": of(lambda w, a: np.where(a > 0, w, a)),
    "np.interp": of(lambda w, a: np.interp(w, np.arange(3), a)),
    "np.einsum": of(lambda w, a: np.einsum("i,i->i", w, a)),
    "t.astype": of(lambda w, a: w * mg.tensor(a).astype(np.float64)),
    "t.detach": of(lambda w, a: w * mg.tensor(a).detach()),
    "t.data =": assigned,
    "t.grad =": assigned_grad,
    "backward(grad=)": seed,
    "mg.grad(grad_outputs=)": seed_of_grad,
    "a hook": hook,
    "mg.Changes": changes,
    "mg.vjp": vjp,
    "a seed of vjp": seed_of_vjp,
    "mg.jvp": tangent,
    "a constant of a primitive": custom_constant,
    "the result of a primitive": custom_result,
    "the gradient of a rule": custom_gradient,
    "nn.Parameter": parameter,
    "nn.Buffer": of(lambda w, a: w * nn.Buffer(a)),
    "load_state_dict": loaded,
    "the state of an optimiser": optimiser_state,
    "an initial state": initial_state,
    "a sequence": sequence,
    "mg.timesteps": steps,
    "mg.timesteps of a list": list_of_steps,
    "nn.windows": of(lambda w, a: w * nn.windows(np.concatenate([a, a]), 3)[:, 0]),
    "targets of mse_loss": of(lambda w, a: nn.mse_loss(w, a)),
}

# the same for whole numbers and masks
INDEX_DOORS: dict[str, Callable[[Array], Callable[[], list[Any]]]] = {
    "t[k]": of(lambda w, k: w[k]),
    "t[m]": of(lambda w, k: w[k.view(np.bool_)[:3]] if k.dtype.kind == "b" else w[k > 0]),
    "t[k, None]": of(lambda w, k: w[k, None]),
    "t.take": of(lambda w, k: w.take(k)),
    "np.take_along_axis": of(lambda w, k: np.take_along_axis(w, k, 0)),
    "np.repeat": of(lambda w, k: np.repeat(w, k)),
    "np.roll": of(lambda w, k: np.roll(w, tuple(k), (0, 0, 0))),
    "np.choose": of(lambda w, k: np.choose(k, [w, w * 2, w * 3])),
    "mg.one_hot": of(lambda w, k: mg.one_hot(k, 3) * w),
    "nn.cross_entropy": of(lambda w, k: nn.cross_entropy(np.stack([w, w, w]), k)),
    "a table of vectors": of(lambda w, k: nn.Embedding(3, 3)(k) * w),
    "the lengths of a batch": of(
        lambda w, k: nn.RNN(3, 3)(w * np.ones((4, 3, 3)), lengths=np.maximum(k, 1))[0]
    ),
}


def check(door: Callable[[Array], Callable[[], list[Any]]], a: Array, alias: Any) -> None:
    mg.seed(0)
    wanted = door(a.copy())()
    given, other = alias(a)
    mg.seed(0)
    compute = door(given)
    overwrite(other)
    for x, y in zip(compute(), wanted, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("door", DOORS)
def test_a_write_into_an_array_that_was_given_changes_nothing(door, alias):
    if door not in OF_AUTHORS or alias in KNOWN_TO_NUMPY:
        check(DOORS[door], np.array([0.5, 0.2, -0.4]), alias)


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("door", INDEX_DOORS)
def test_a_write_into_indices_that_were_given_changes_nothing(door, alias):
    check(INDEX_DOORS[door], np.array([2, 0, 1]), alias)


def arrays_in(value: Any) -> Iterator[Array]:
    if isinstance(value, Array):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from arrays_in(part)


def arrays_of_user(fn: Any, inputs: Any) -> list[Array]:
    """The arrays that a check uses: its inputs, and those in its lambda's closure and module."""
    cells = [cell.cell_contents for cell in getattr(fn, "__closure__", None) or ()]
    values = [*inputs, *cells, *(getattr(fn, "__defaults__", None) or ())]
    return [*arrays_in(values), *arrays_in(list(getattr(fn, "__globals__", {}).values()))]


@pytest.mark.parametrize("name", TABLE)
def test_no_operation_keeps_an_array_of_the_user(name):
    for fn, *inputs in TABLE[name]:
        assert not kept_arrays(fn, inputs), name


def kept_arrays(fn: Any, inputs: Any) -> list[Any]:
    """The operations that keep an array of the user, in the graph of one check."""
    given = arrays_of_user(fn, inputs)
    with warnings.catch_warnings(), mg.tracing():
        warnings.simplefilter("ignore")
        results = fn(*[mg.tensor(inputs[0], requires_grad=True), *inputs[1:]])
    found = results if isinstance(results, tuple | list) else [results]
    graph = mg.Graph(*[y for y in found if isinstance(y, mg.Tensor)])
    return [
        x.op for x in graph.nodes for a in held(x) if any(np.shares_memory(a, b) for b in given)
    ]


def held(node: Any) -> list[Array]:
    """All arrays that a node keeps."""
    outputs = node.call.outputs if node.call else ()
    constants = list(node.constants.values())
    return [node._array, *outputs, *arrays_in(node.arrays), *arrays_in(constants)]


def test_an_array_that_a_tensor_gives_cannot_be_unlocked():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    y.sum().backward()
    for array in (x.data, y.data, y.numpy(), x.grad.data, nn.Linear(2, 2).state_dict()["W"]):
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.setflags(write=True)
