"""Nothing is quadratic and nothing recurses: twice as much takes twice the lines that run.

The full sizes (20 000 parameters, T = 10 000) are timed in `benchmarks`.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable

import numpy as np
import pytest

import minigrad as mg
import nn
from tests.counting import lines_executed, under_limit


def leaves(n: int) -> list[mg.Tensor]:
    return [mg.tensor(1.0, requires_grad=True, name="w") for _ in range(n)]


def total(tensors: list[mg.Tensor]) -> mg.Tensor:
    return np.stack(tensors).sum()


def chain(n: int) -> mg.Tensor:
    w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
    for t in range(n):
        with mg.time_step(t):
            h = w * h
    return h


def loops(n: int) -> mg.Tensor:
    """One loop over two steps after another, each with an axis of its own."""
    h = mg.tensor(1.0, requires_grad=True, name="w")
    for _ in range(n):
        for _, x in mg.timesteps(np.ones(2)):
            h = h * x
    return h


def nested_scopes(n: int) -> mg.Tensor:
    w = mg.tensor(2.0, requires_grad=True, name="w")
    with contextlib.ExitStack() as stack:
        for k in range(n):
            stack.enter_context(mg.scope(f"s{k}"))
        return w * w


class Box(nn.Module):
    """A module with a parameter."""

    def __init__(self) -> None:
        self.w = nn.Parameter(np.ones(1))


def boxes(n: int) -> Box:
    """n modules, each inside the one before."""
    outermost = inner = Box()
    for _ in range(n - 1):
        inner.inside = Box()
        inner = inner.inside
    return outermost


def wide(n: int) -> nn.Module:
    """One module with n parameters."""
    box = nn.Module()
    for k in range(n):
        setattr(box, f"w{k}", nn.Parameter(np.ones(1)))
    return box


def drain(loss: mg.Tensor) -> None:
    for step in mg.Graph(loss).backward_steps():
        str(step)


# what is made with n, and what is then done with it
CASES: dict[str, tuple[Callable[[int], object], Callable[..., object]]] = {
    "backward to leaves of one name": (lambda n: total(leaves(n)), lambda loss: loss.backward()),
    "parameters of one name": (lambda n: total(leaves(n)), lambda y: mg.Graph(y).parameters),
    "a graph's one line": (lambda n: total(leaves(n)), lambda y: repr(mg.Graph(y))),
    "clipping": (leaves, lambda ws: (total(ws).backward(), mg.clip_grad_norm_(ws, 1.0))),
    "axes": (loops, lambda loss: (mg.Graph(loss).axes, repr(mg.Graph(loss)))),
    "mg.grad of many": (leaves, lambda ws: mg.grad(total(ws), ws)),
    "a chain": (chain, lambda loss: loss.backward()),
    "printing every step": (chain, drain),
    "edges": (chain, lambda loss: (mg.Graph(loss).edges, mg.Graph(loss).state_edges)),
    "grad_by_step": (chain, lambda loss: mg.Graph(loss).grad_by_step("w", norms=True)),
    "values_by_step": (chain, lambda loss: mg.Graph(loss).values_by_step("h")),
    "truncate": (chain, lambda loss: mg.Graph(loss).truncate(3).backward()),
    "clip_edges": (chain, lambda loss: mg.Graph(loss).clip_edges(max_norm=1).backward()),
    "gradient_flow": (chain, lambda loss: mg.Graph(loss).gradient_flow(jacobians=False)),
    "find": (chain, lambda loss: mg.Graph(loss).find(t=1)),
    "backward_source": (chain, lambda loss: mg.Graph(loss).backward_source()),
    "backward over axes": (loops, lambda loss: loss.backward()),
    "scopes inside of scopes": (nested_scopes, lambda y: (y.scope, y.backward())),
    "a wide module": (wide, lambda box: list(box.named_parameters())),
    "a state dict": (wide, lambda box: box.load_state_dict(box.state_dict())),
    "an optimiser": (wide, lambda box: nn.Adam(box.parameters(), lr=0.1).zero_grad()),
}


@pytest.mark.parametrize("name", CASES)
def test_twice_as_much_takes_twice_the_work(name: str) -> None:
    make, use = CASES[name]
    use(make(20))  # what is made once is made now
    made = [make(n) for n in (100, 200)]
    few, many = (lines_executed(lambda thing=thing: use(thing)) for thing in made)
    assert many <= 2.2 * few


@pytest.mark.parametrize("make", [chain, lambda n: total(leaves(n)), nested_scopes, loops])
def test_long_graphs_are_used_under_a_small_recursion_limit(make) -> None:
    def use() -> None:
        loss = make(1100)
        loss.backward()
        graph = mg.Graph(loss)
        repr(graph)
        list(graph.parameters)
        list(graph.edges)
        assert loss.scope is not None or len(graph.find(scope="s0")) == 0
        again = pickle.loads(pickle.dumps(graph))
        assert [node.scope for node in again.nodes] == [node.scope for node in graph.nodes]
        drain(loss)

    under_limit(use)


def test_modules_inside_of_modules_are_walked_under_a_small_recursion_limit() -> None:
    def use() -> None:
        box = boxes(400)
        names = [name for name, _ in box.named_parameters()]
        assert len(names) == 400
        assert names[-1].count("inside.") == 399
        box.load_state_dict(box.state_dict())
        box.eval().train()
        box.zero_grad()

    under_limit(use)


def test_errors_deep_inside_of_scopes_name_the_whole_path() -> None:
    def use() -> None:
        with contextlib.ExitStack() as stack:
            for k in range(1100):
                stack.enter_context(mg.scope(f"s{k}"))
            w = mg.tensor(np.ones(3), requires_grad=True)
            with pytest.raises(ValueError, match="s0") as caught:
                w + np.ones(2)
            assert "s1099" in "\n".join([str(caught.value), *caught.value.__notes__])

    under_limit(use)
