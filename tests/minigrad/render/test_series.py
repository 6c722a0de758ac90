"""Why a gradient fades: the factors that a page tells are those of `mg.grad`."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.language import using
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
    parts = [part.rpartition(" ×") for part in why.partition("= ")[2].split(" · ")]
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
    tanh = np.exp(np.mean([np.log(da[t] / dh[t]) for t in range(1, 5)]))  # the loss enters at 5
    product = np.exp(np.mean([np.log(dh[t - 1] / da[t]) for t in range(1, 5)]))
    assert known == {
        "np.tanh(a)": pytest.approx(tanh, rel=0.06),  # two digits are told
        "h @ W": pytest.approx(product, rel=0.06),
    }
    assert one["peak"] == pytest.approx(np.log10(max(dh)))


def ratio_told(one: dict[str, Any]) -> float:
    """The number before the equals sign."""
    before = one["why"].partition("=")[0] or one["verdict"]
    return float(re.findall(r"×(\S+)", before)[-1])


def running_sum(steps: int) -> mg.Tensor:
    """A loss at every step."""
    w, h, total = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0), mg.tensor(0.0)
    for t in range(steps):
        with mg.time_step(t):
            h = w * h
            total = total + h
    return total


PROGRAMS = {**NETWORKS, "running sum": running_sum}


@pytest.mark.parametrize("lang", ["en", "vi"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_written_is_an_equation(name: str, lang: str) -> None:
    """What joins from elsewhere is told as other paths, so that nothing is left out; what hardly
    changes the gradient is."""
    with using(lang):
        found = [one for one in told(mg.Graph(PROGRAMS[name](6))) if one.get("why")]
    assert found
    for one in found:
        digits = 0.06 if one["why"].startswith("=") else 0.01
        written = [*factors(one["why"]).values()]
        limit = digits * (len(written) + 1) + 0.02
        assert np.prod(written) == pytest.approx(ratio_told(one), rel=limit)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_number_before_the_equation_is_the_ratio_of_the_norms(name: str) -> None:
    graph = mg.Graph(PROGRAMS[name](6))
    flow = {(path.scope, path.state): path for path in graph.gradient_flow(jacobians=False).paths}
    names = [state.name for state in graph.states]
    for one in told(graph):
        path = next((path for key, path in flow.items() if key[1] == one["lane"]), None)
        if path is None or names.count(one["lane"]) > 1 or not one.get("why"):
            continue
        logs = np.diff(np.log(path.total[::-1]))
        alone = logs[~path.has_loss[:0:-1]]
        ratio = np.exp(np.mean(alone if len(alone) else logs))
        assert ratio_told(one) == pytest.approx(ratio, rel=0.06)


def test_a_loss_at_every_step_has_a_verdict_and_a_ratio() -> None:
    (one,) = told(mg.Graph(running_sum(12)))
    assert one["verdict"] == "vanishing ×0.5 a step along the recurrence;"
    assert one["why"] == "‖∂L/∂hₜ‖ ×1.07 a step = w * h ×0.5 · other paths ×2.13"
    assert ratio_told(one) == pytest.approx((2 - 0.5**11) ** (1 / 11), rel=0.005)
    with using("vi"):
        (one,) = told(mg.Graph(running_sum(12)))
    assert one["verdict"].endswith("×0.5 mỗi bước dọc theo hồi quy;")


def test_a_loss_at_the_end_has_one_ratio() -> None:
    (one,) = told(mg.Graph(NETWORKS["rnn"](6)))
    assert one["verdict"] == "vanishing ×0.79 a step"
    assert one["why"].startswith("= tanh(a) ×")


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
