"""Why a gradient fades: the factors that a page tells are those of `mg.grad`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.norms import norm
from minigrad.render.options import checked
from minigrad.render.tape import tape
from tests.minigrad.render.networks import NETWORKS


def told(graph: mg.Graph, **options: Any) -> list[dict[str, Any]]:
    found = tape(graph, checked("page", **options)).told["series"]
    assert isinstance(found, list)
    return found


def factors(why: str) -> dict[str, float]:
    """What is told of each operation: "= tanh(a) ×0.7 · h @ W ×1"."""
    parts = [part.rpartition(" ×") for part in why.removeprefix("= ").split(" · ")]
    return {text: float(number) for text, _, number in parts}


def test_the_factor_of_each_operation_is_the_mean_of_its_ratios() -> None:
    rng = np.random.default_rng(0)
    W = mg.tensor(rng.normal(size=(4, 4)), requires_grad=True, name="W", dtype=np.float64)
    h = mg.tensor(rng.normal(size=(1, 4)), name="h_init", dtype=np.float64)
    states, sums = [], []
    for t in range(6):
        with mg.time_step(t):
            a = h @ W
            h = np.tanh(a)
        states.append(h)
        sums.append(a)
    loss = (h**2).sum()
    dh, da = ([norm(g) for g in mg.grad(loss, nodes)] for nodes in (states, sums))
    (one,) = told(mg.Graph(loss))
    known = factors(one["why"])
    tanh = np.exp(np.mean([np.log(da[t] / dh[t]) for t in range(1, 6)]))
    product = np.exp(np.mean([np.log(dh[t - 1] / da[t]) for t in range(1, 6)]))
    assert known == {
        "np.tanh(a)": pytest.approx(tanh, rel=0.06),  # two digits are told
        "h @ W": pytest.approx(product, rel=0.06),
    }
    assert one["peak"] == pytest.approx(np.log10(max(dh)))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_factors_give_the_ratio_of_the_norms(name: str) -> None:
    """What joins from elsewhere is told as other paths, so that nothing is left out."""
    graph = mg.Graph(NETWORKS[name](5))
    names = [state.name for state in graph.states]
    for state in graph.states:
        nodes = [node for node in state.nodes.values() if node.op is not None]
        nodes.sort(key=graph.nodes.index)
        one = next((one for one in told(graph) if one["lane"] == state.name), {})
        if names.count(state.name) > 1 or not one.get("why"):
            continue
        sizes = [norm(g) for g in mg.grad(sum(graph.outputs), nodes)]
        ratio = (sizes[0] / sizes[-1]) ** (1 / (len(sizes) - 1))
        assert np.prod(list(factors(one["why"]).values())) == pytest.approx(ratio, rel=0.3)


def test_a_gradient_that_grows_back_through_time_has_not_faded() -> None:
    mg.seed(0)
    cell = nn.RNNCell(2, 8)
    cell.W_hh.data = 3 * cell.W_hh.data
    ys, _ = nn.Unroll(cell)(0.01 * np.random.default_rng(0).standard_normal((20, 1, 2)))
    (one,) = told(mg.Graph(ys[-1].sum()))
    assert "low" not in one
    assert one["faded"] == "never below a thousandth of its peak"


def test_an_lstm_tells_its_memory_first() -> None:
    assert [one["lane"] for one in told(mg.Graph(NETWORKS["lstm"](4)))] == ["c", "h"]


def test_a_graph_with_steps_but_without_a_state_is_told_as_a_whole() -> None:
    w, total = mg.tensor(0.5, requires_grad=True, name="w"), []
    for t in range(3):
        with mg.time_step(t):
            total.append(w * t)
    (one,) = told(mg.Graph(total[0] + total[1] + total[2]))
    assert one["lane"] == ""


def test_what_is_not_finite_or_zero_has_no_factors() -> None:
    w, h = mg.tensor(0.0, requires_grad=True, name="w"), mg.tensor(1.0)
    for t in range(4):
        with mg.time_step(t):
            h = w * h
    (one,) = told(mg.Graph(h))
    assert one["why"] == ""
    assert one["peak"] == 0
