"""Copies and pickles: a tensor as a leaf without history, a graph as a flat list that is drawn and stepped again."""

from __future__ import annotations

import copy
import pickle
import sys

import numpy as np
import pytest

import minigrad as mg
from minigrad.primitive import registry


def unrolled(T=4):
    w = mg.tensor(np.array([[0.5, 0.1], [-0.2, 0.9]]), requires_grad=True, name="w")
    xs, h = mg.tensor(np.arange(2.0 * T).reshape(T, 2) / 10), mg.tensor(np.full(2, 0.1))
    with mg.scope("encoder"), mg.scope("cell"):
        for _, x in mg.timesteps(xs):
            a, b = np.split(np.concatenate([x, h @ w]), 2)
            h = np.clip(np.tanh(a * b + h), -0.5, 0.5)
            h.mark("state", "h")
    loss = (h * h).sum()
    return mg.Graph(loss)


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_leaf_comes_back_as_a_leaf(again):
    w = mg.tensor([1.0, 2.0], requires_grad=True, name="w")
    for x, requires_grad in ((w, True), (w.detach(), False)):
        found = again(x)
        assert found.is_leaf
        assert found.requires_grad is requires_grad
        assert found.name == x.name
        assert found.dtype == x.dtype
        assert not found.data.flags.writeable
        np.testing.assert_array_equal(found.data, x.data)


def test_the_output_of_an_operation_loses_its_history_only_in_a_pickle():
    w = mg.tensor([1.0, 2.0], requires_grad=True, name="w")
    h = w * 2
    again = pickle.loads(pickle.dumps(h))
    assert again.is_leaf
    assert not again.requires_grad
    np.testing.assert_array_equal(mg.grad((w * copy.copy(h)).sum(), w)[0].data, [4, 8])
    for value in (h, {"h": h}):
        with pytest.raises(TypeError, match=r"copy\.deepcopy.*write t\.copy\(\)"):
            copy.deepcopy(value)
    with mg.no_grad():
        assert copy.deepcopy(w * 2).is_leaf


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_graph_comes_back_whole(again):
    graph = unrolled()
    found = again(graph)
    assert repr(found) == repr(graph)
    assert len(found) == len(graph)
    assert [node.op and node.op.name for node in found.nodes] == [
        node.op and node.op.name for node in graph.nodes
    ]
    assert [node.scope for node in found.nodes] == [node.scope for node in graph.nodes]
    assert [node.t for node in found.nodes] == [node.t for node in graph.nodes]
    assert len(found.state_edges) == len(graph.state_edges) > 0
    assert not set(found.nodes) & set(graph.nodes)
    assert not any(node.data.flags.writeable for node in found.nodes)
    found.backward()
    graph.backward()
    np.testing.assert_array_equal(found.parameters["w"].grad.data, graph.parameters["w"].grad.data)
    steps, expected = (list(g.backward_steps()) for g in (found, graph))
    assert [step.node.op.name for step in steps] == [step.node.op.name for step in expected]


def test_it_can_be_differentiated_again_and_drawn():
    graph = pickle.loads(pickle.dumps(unrolled()))
    (w,) = graph.parameters.values()
    (dw,) = mg.grad(graph.outputs, w, create_graph=True)
    assert mg.grad(dw.sum(), w)[0].shape == (2, 2)
    assert "tanh" in graph.to_dot(view="ops").source


def test_ten_thousand_steps_without_recursion():
    h = mg.tensor(1.0, requires_grad=True, name="w")
    for t in range(10_000):
        with mg.time_step(t), mg.scope("cell"):
            h = h * 1.0
    graph, limit = mg.Graph(h), sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(1000)
        found = pickle.loads(pickle.dumps(graph))
    finally:
        sys.setrecursionlimit(limit)
    assert len(found) == len(graph)
    assert found.time_steps == graph.time_steps


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_an_edited_graph_keeps_its_edits(again):
    graph = unrolled()
    edited = graph.cut(graph.state_edges[:1]).clip_edges(max_norm=0.1)
    found = again(edited)
    assert repr(found) == repr(edited)
    expected = [(step.t, step.node.op.name) for step in edited.backward_steps()]
    assert [(step.t, step.node.op.name) for step in found.backward_steps()] == expected
    edited.backward()
    found.backward()
    np.testing.assert_array_equal(found.parameters["w"].grad.data, edited.parameters["w"].grad.data)


@mg.primitive
def here_today(x):
    return x * 1


here_today.gradient(lambda dy, y, x: dy)


def test_a_primitive_that_is_not_loaded_is_named(monkeypatch):
    text = pickle.dumps(mg.Graph(here_today(mg.tensor(1.0, requires_grad=True))))
    monkeypatch.delitem(registry, here_today.qualified_name)
    with pytest.raises(ValueError, match="primitive here_today; import the module"):
        pickle.loads(text)
