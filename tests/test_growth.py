"""Nothing is quadratic and nothing recurses: twice as much takes twice the lines that run.

`python -m tests.full_size` runs the same cases at full size: 20 000 parameters, 2 million nodes, T = 100 000,
1000 axes, scopes and modules 1100 deep.
"""

from __future__ import annotations

import contextlib
import copy
import pickle
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

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


def nodes(n: int) -> mg.Tensor:
    """n operations, outside of time."""
    w, h = mg.tensor(0.999999, requires_grad=True, name="w"), mg.tensor(1.0)
    for _ in range(n):
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


def searched(loss: mg.Tensor) -> None:
    with mg.detect_anomaly():
        loss.backward()


def saved(box: nn.Module, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        nn.save(box, Path(folder) / f"a{suffix}")
        nn.load(box, Path(folder) / f"a{suffix}")


def trained(kind: Callable[..., nn.Optimizer], box: nn.Module) -> None:
    """Two steps, and the state of the optimiser read and set again."""
    optimiser = kind(box, lr=0.1)
    for _ in range(2):
        for p in box.parameters():
            p.grad = np.ones(p.shape)
        optimiser.step()
    optimiser.load_state_dict(optimiser.state_dict())
    optimiser.zero_grad()


OPTIMISERS = [nn.SGD, nn.Adam, nn.AdamW, nn.RMSprop]

# what is made with n, and what is then done with it
CASES: dict[str, tuple[Callable[[int], object], Callable[..., object]]] = {
    "backward to leaves of one name": (lambda n: total(leaves(n)), lambda loss: loss.backward()),
    "parameters of one name": (lambda n: total(leaves(n)), lambda y: mg.Graph(y).parameters),
    "a graph's one line": (lambda n: total(leaves(n)), lambda y: repr(mg.Graph(y))),
    "clipping": (leaves, lambda ws: (total(ws).backward(), mg.clip_grad_norm_(ws, 1.0))),
    "axes": (loops, lambda loss: (mg.Graph(loss).axes, repr(mg.Graph(loss)))),
    "edits of axes": (
        loops,
        lambda loss: (
            mg.Graph(loss).truncate(2).backward(),
            mg.Graph(loss).clip_edges(max_norm=1).backward(),
        ),
    ),
    "states of axes": (loops, lambda loss: (mg.Graph(loss).states, mg.Graph(loss).timeline)),
    "pickling of axes": (loops, lambda loss: pickle.loads(pickle.dumps(mg.Graph(loss)))),
    "nodes": (nodes, lambda loss: loss.backward()),
    "mg.grad of nodes": (nodes, lambda loss: mg.grad(loss, mg.Graph(loss).leaves[0])),
    "steps of nodes": (nodes, lambda loss: [*mg.Graph(loss).backward_steps()]),
    "users of nodes": (nodes, lambda loss: mg.Graph(loss).users),
    "second order of nodes": (
        nodes,
        lambda loss: mg.grad(loss, mg.Graph(loss).leaves[0], create_graph=True)[0].backward(),
    ),
    "mg.grad of many": (leaves, lambda ws: mg.grad(total(ws), ws)),
    "a chain": (chain, lambda loss: loss.backward()),
    "a chain, recorded in search of anomalies": (chain, searched),
    "cut": (chain, lambda loss: mg.Graph(loss).cut(t=3).backward()),
    "crossings": (chain, lambda loss: (mg.Graph(loss).crossings, mg.Graph(loss).states)),
    "explain": (chain, lambda loss: str(mg.explain(loss, mg.Graph(loss).parameters["w"]))),
    "checkup": (chain, lambda loss: str(mg.Graph(loss).checkup())),
    "pickling": (chain, lambda loss: pickle.loads(pickle.dumps(mg.Graph(loss)))),
    "copying": (chain, lambda loss: copy.deepcopy(mg.Graph(loss))),
    "first_difference": (chain, lambda loss: mg.first_difference(mg.Graph(loss), mg.Graph(loss))),
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
    "pickled modules": (wide, lambda box: pickle.loads(pickle.dumps(box))),
    "copied modules": (wide, lambda box: copy.deepcopy(box)),
    "printed modules": (wide, lambda box: (repr(box), nn.summary(box))),
    "modules saved in .npz": (wide, lambda box: saved(box, ".npz")),
    "modules saved in .safetensors": (wide, lambda box: saved(box, ".safetensors")),
    "modules inside of modules": (boxes, lambda box: (box.modules(), box.eval(), repr(box))),
    "pickled modules inside of modules": (boxes, lambda box: pickle.loads(pickle.dumps(box))),
    **{kind.__name__: (wide, partial(trained, kind)) for kind in OPTIMISERS},
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
