"""No door recurses: modules inside of modules, and scopes inside of scopes, 1100 deep, under a recursion limit of 200.

A door that is public and missing here fails.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.cached import cached_property
from tests.counting import under_limit
from tests.test_growth import boxes

DEPTH = 1100


def scopes(n: int) -> mg.Tensor:
    """The loss of three steps, computed inside of n scopes."""
    w, h = mg.tensor([0.5, 2.0], requires_grad=True, name="w"), mg.tensor([1.0, 1.0])
    with contextlib.ExitStack() as stack:
        for k in range(n):
            stack.enter_context(mg.scope(f"s{k}"))
        for _, x in mg.timesteps(np.ones((3, 2))):
            h = np.tanh(w * h + x)
        return (h * h).sum()


OF_MODULES: dict[str, Callable[[Any, Path], Any]] = {
    "apply": lambda net, folder: net.apply(lambda module: None),
    "buffers": lambda net, folder: net.buffers(),
    "children": lambda net, folder: net.children(),
    "describe": lambda net, folder: net.describe(),
    "dtype": lambda net, folder: net.dtype,
    "equations": lambda net, folder: net.equations(),
    "eval": lambda net, folder: net.eval(),
    "full_name": lambda net, folder: net.full_name,
    "load_state_dict": lambda net, folder: net.load_state_dict(net.state_dict()),
    "match_load": lambda net, folder: net.match_load(net.state_dict()),
    "modules": lambda net, folder: net.modules(),
    "named_buffers": lambda net, folder: [*net.named_buffers()],
    "named_children": lambda net, folder: [*net.named_children()],
    "named_modules": lambda net, folder: [*net.named_modules()],
    "named_parameters": lambda net, folder: [*net.named_parameters()],
    "parameters": lambda net, folder: net.parameters(),
    "prepare_load": lambda net, folder: net.prepare_load(net.state_dict(), mg.Changes()),
    "scope_name": lambda net, folder: net.scope_name,
    "state_dict": lambda net, folder: net.state_dict(),
    "train": lambda net, folder: net.train(),
    "training": lambda net, folder: net.training,
    "zero_grad": lambda net, folder: net.zero_grad(),
    "assignment": lambda net, folder: setattr(nn.Module(), "inner", net),
    "pickle": lambda net, folder: pickle.loads(pickle.dumps(net)),
    "copy": lambda net, folder: copy.copy(net),
    "deepcopy": lambda net, folder: copy.deepcopy(net),
    "repr": lambda net, folder: repr(net),
    "summary": lambda net, folder: nn.summary(net),
    "save .npz": lambda net, folder: (
        nn.save(net, folder / "a.npz"),
        nn.load(net, folder / "a.npz"),
    ),
    "save .safetensors": lambda net, folder: nn.save(net, folder / "a.safetensors"),
    "an optimiser": lambda net, folder: nn.Adam(net).step(),
    "clipping": lambda net, folder: mg.clip_grad_norm_(net.parameters(), 1.0),
}

OF_GRAPHS: dict[str, Callable[[Any, Path], Any]] = {
    "accumulates_loss": lambda g, folder: [g.accumulates_loss(edge) for edge in g.edges],
    "at": lambda g, folder: g.at(1),
    "axis_name": lambda g, folder: [g.axis_name(axis) for axis in g.axes.values()],
    "backward": lambda g, folder: g.backward(),
    "backward_source": lambda g, folder: str(g.backward_source()),
    "backward_steps": lambda g, folder: [str(step) for step in g.backward_steps()],
    "between_steps": lambda g, folder: [*g.between_steps()],
    "checkup": lambda g, folder: str(g.checkup()),
    "chosen_axes": lambda g, folder: g.chosen_axes(None),
    "clip_edges": lambda g, folder: g.clip_edges(max_norm=1.0).backward(),
    "coordinates": lambda g, folder: [g.coordinates(node) for node in g.nodes],
    "crossings_of": lambda g, folder: [g.crossings_of(edge) for edge in g.edges],
    "cut": lambda g, folder: g.cut(t=1).backward(),
    "edited": lambda g, folder: g.edited({}).backward(),
    "edges_along": lambda g, folder: g.edges_along(),
    "find": lambda g, folder: g.find(scope="s0"),
    "grad_by_step": lambda g, folder: g.grad_by_step("w"),
    "gradient_flow": lambda g, folder: str(g.gradient_flow()),
    "gradient_matrix": lambda g, folder: str(g.gradient_matrix()),
    "inputs": lambda g, folder: [g.inputs(node) for node in g.nodes],
    "is_first_output": lambda g, folder: [g.is_first_output(node) for node in g.nodes],
    "move": lambda g, folder: [g.move(edge.source, edge.target) for edge in g.edges],
    "page": lambda g, folder: g.page().save(folder / "a.html"),
    "place": lambda g, folder: [g.place(node) for node in g.nodes],
    "render": lambda g, folder: g.render(str(folder / "a.svg")),
    "to_dot": lambda g, folder: g.to_dot(),
    "truncate": lambda g, folder: g.truncate(1).backward(),
    "truncation_bias": lambda g, folder: g.truncation_bias(1),
    "values_by_step": lambda g, folder: g.values_by_step("h"),
    "pickle": lambda g, folder: pickle.loads(pickle.dumps(g)),
    "deepcopy": lambda g, folder: copy.deepcopy(g),
    "repr": lambda g, folder: repr(g),
    "describe": lambda g, folder: [node.describe() for node in g.nodes],
    "mg.explain": lambda g, folder: str(mg.explain(g.outputs[0], g.leaves[0])),
    "mg.grad to second order": lambda g, folder: mg.grad(
        mg.grad(g.outputs[0], g.parameters["w"], create_graph=True)[0].sum(), g.parameters["w"]
    ),
    "mg.first_difference": lambda g, folder: mg.first_difference(g, g),
}


def public(kind: type, what: type) -> set[str]:
    """The public names of a class that are functions, or properties."""
    names = {name for name in dir(kind) if not name.startswith("_")}
    return {name for name in names if isinstance(inspect.getattr_static(kind, name), what)}


def test_every_public_door_is_in_the_table():
    assert {name for name in dir(nn.Module) if not name.startswith("_")} <= OF_MODULES.keys()
    assert public(mg.Graph, types.FunctionType) <= OF_GRAPHS.keys()


@pytest.mark.parametrize("door", OF_MODULES)
def test_modules_inside_of_modules(door, tmp_path):
    def use() -> None:
        net = boxes(DEPTH)
        made = OF_MODULES[door](net, tmp_path)
        if isinstance(made, nn.Module):
            assert [*made.state_dict()] == [*net.state_dict()]

    under_limit(use)


@pytest.mark.parametrize("door", OF_GRAPHS)
def test_scopes_inside_of_scopes(door, tmp_path):
    graph = mg.Graph(scopes(DEPTH))
    with mg.no_grad():
        under_limit(lambda: OF_GRAPHS[door](graph, tmp_path))


def test_properties_of_graphs_of_scopes_inside_of_scopes():
    graph = mg.Graph(scopes(DEPTH))
    names = public(mg.Graph, cached_property)
    assert {"users", "crossings"} <= names
    for name in names:
        under_limit(lambda name=name: getattr(graph, name))


class Deep(nn.Module):
    """Calls the module inside of it."""

    def __init__(self, inner: nn.Module | None) -> None:
        self.w, self.inner = nn.Parameter(np.ones(2)), inner

    def forward(self, x: Any) -> Any:
        return self.inner(x * self.w) if self.inner else x * self.w


def test_calls_inside_of_calls_say_where_python_ends():
    net = Deep(None)
    for _ in range(99):
        net = Deep(net)
    assert net(np.ones(2)).shape == (2,)
    with pytest.raises(
        RecursionError, match="inner: calls of modules.*limit, 200; .*setrecursionlimit"
    ):
        under_limit(lambda: net(np.ones(2)))
    assert mg.tensor(1.0).scope == ""


def test_copies_of_modules_keep_who_is_who():
    net = nn.Sequential(nn.LSTM(2, 3), nn.Linear(3, 1))
    net.again = {"shared": [net.children()[1]]}
    net.children()[1].parent = [net]
    for copied in (lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy):
        inner, outer, adam = copied((net.children()[1], net, nn.Adam(net)))
        assert outer.children()[1] is inner
        assert outer.again["shared"][0] is inner
        assert inner.parent[0] is outer
        assert adam.param_groups[0]["params"][0] is outer.parameters()[0]
    assert copy.copy(net).children()[0] is net.children()[0]


class Cached(nn.Module):
    """Leaves out of its pickle what cannot be kept."""

    def __init__(self) -> None:
        self.w, self.cache = nn.Parameter(np.ones(2)), nn.Module()
        self.cache.function = lambda: None

    def __getstate__(self) -> Any:
        return {"w": self.w}


def test_what_a_class_says_of_its_pickle_is_heard():
    net = nn.Sequential(nn.Linear(2, 2))
    net.inner = Cached()
    for copied in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert "cache" not in vars(copied.inner)
    assert "cache" not in vars(copy.copy(net.inner))


@pytest.mark.parametrize("at", [0, 1, DEPTH // 2, -1])
def test_an_error_within_a_pickle_leaves_the_next_one_alone(at):
    net = boxes(DEPTH)
    module = net.modules()[at]
    module.wrong = lambda: None
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(net)
    del module.wrong
    assert len(pickle.loads(pickle.dumps(net)).parameters()) == DEPTH
    other = boxes(DEPTH)
    assert len(pickle.loads(pickle.dumps(other)).parameters()) == DEPTH
    assert sys.getrecursionlimit() >= 1000
