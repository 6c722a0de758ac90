from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import nn
from tests.minigrad.ops.test_derivatives import CASES


@pytest.fixture(autouse=True)
def _float64():
    mg.set_default_dtype(np.float64)
    yield
    mg.set_default_dtype(np.float32)


def programs(graph: mg.Graph, grad: Any = None) -> tuple[str, dict[str, Any]]:
    """The source, and the gradients of each function in it; checked against `backward`."""
    source, names = graph.backward_source(grad), {}
    exec(compile(source, "backward_source", "exec"), names)
    with np.errstate(all="ignore"):
        found = {
            name: names[name](**source.arguments)
            for name in ("backward", "backward_loop")
            if name in names
        }
    for parameter in graph.parameters.values():
        parameter.grad = None
    graph.backward(grad)
    for grads in found.values():
        assert grads.keys() == {name for name, p in graph.parameters.items() if p.grad is not None}
        for name, dx in grads.items():
            wanted = graph.parameters[name].grad.data
            assert dx.shape == wanted.shape
            np.testing.assert_allclose(dx, wanted, rtol=1e-12, atol=1e-12)
    return source, found


def chain(steps: int) -> mg.Graph:
    w, h = mg.tensor(0.2, requires_grad=True, name="w"), mg.tensor(0.9)
    for t in range(steps):
        with mg.time_step(t):
            z = w * h
            h = np.tanh(z)
    return mg.Graph(h)


def test_names_are_those_of_the_program_and_each_line_stands_under_its_forward_line() -> None:
    source, found = programs(chain(4))
    assert found.keys() == {"backward", "backward_loop"}
    assert re.search(
        r"# h = np\.tanh\(z\)   \(.*:\d+\)\n    dz_3 = dh_3 \* \(1 - h_3 \* h_3\)\n", source
    )
    assert re.search(
        r"# z = w \* h   \(.*\)\n    dw \+= dz_3 \* h_2\n    dh_2 = dz_3 \* w\n", source
    )
    assert "minigrad" not in source


def test_the_loop_reads_like_a_textbook() -> None:
    source, _ = programs(chain(7))
    loop = source.partition("def backward_loop")[2]
    code = [
        line.strip()
        for line in loop.splitlines()
        if line.strip() and not line.strip().startswith("#")
    ]
    start = code.index("for t in reversed(range(7)):")
    assert code[start + 1 : start + 4] == [
        "dz[t] = dh[t] * (1 - h[t] * h[t])",
        "dw += dz[t] * h[t - 1]",
        "dh[t - 1] = dz[t] * w",
    ]


@pytest.mark.parametrize("steps", [3, 4, 9])
def test_a_first_and_a_last_step_that_only_start_otherwise_are_in_the_loop(steps: int) -> None:
    mg.seed(1)
    x = np.random.default_rng(0).standard_normal((steps, 2, 3))
    source, _ = programs(mg.Graph((nn.LSTM(3, 4)(x)[0] ** 2).mean()))
    loop = source.partition("def backward_loop")[2]
    assert f"for t in range({steps}):" in loop
    assert f"for t in reversed(range({steps})):" in loop
    assert f"dc[{steps - 1}] = 0" in loop
    assert "h[-1] = h_init" in loop


def networks() -> dict[str, Callable[[], mg.Tensor]]:
    """Losses of many shapes; each is made anew."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 2, 3))

    def recurrent(kind: Any, **options: Any) -> Callable[[], mg.Tensor]:
        return lambda: (kind(3, 4, **options)(x)[0] ** 2).mean()

    def last(kind: Any) -> Callable[[], mg.Tensor]:
        return lambda: nn.mse_loss(kind(3, 4)(x)[0][-1], rng.standard_normal((2, 4)))

    def lengths() -> mg.Tensor:
        return (nn.GRU(3, 4)(x, lengths=[6, 3])[0] ** 2).sum()

    def words() -> mg.Tensor:
        tokens, targets = rng.integers(0, 5, (6, 2)), rng.integers(0, 5, (6, 2))
        embedding, net, out = nn.Embedding(5, 3), nn.RNN(3, 4), nn.Linear(4, 5)
        return nn.cross_entropy(out(net(embedding(tokens))[0]), targets)

    def learned_start() -> mg.Tensor:
        h = mg.tensor(rng.standard_normal((1, 2, 4)), requires_grad=True, name="h0")
        return (nn.RNN(3, 4)(x, h)[0] ** 2).mean()

    def loss_at_every_step() -> mg.Tensor:
        w, h, loss = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0), mg.tensor(0.0)
        for t in range(6):
            with mg.time_step(t):
                h = mg.sigmoid(w * h)
                loss = loss + (h - 0.3) ** 2
        return loss

    def inputs_need_grad() -> mg.Tensor:
        xs = mg.tensor(x, requires_grad=True, name="xs")
        return (nn.LSTM(3, 4)(xs)[0] ** 2).mean()

    def reused() -> mg.Tensor:
        a = mg.tensor(rng.standard_normal((3, 3)), requires_grad=True, name="a")
        b = a[0] * a[1] + np.where(a > 0, a, 0.1 * a)[2]
        return np.sum(np.concatenate([b, a[:, 1], np.exp(b)]) / (1 + np.abs(b)).sum())

    def picked_twice() -> mg.Tensor:
        a = mg.tensor(rng.standard_normal(4), requires_grad=True, name="a")
        return (a[np.array([0, 0, 2])] * a[1:4]).sum()

    def nothing_in_common() -> mg.Tensor:
        w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
        for t in range(6):
            with mg.time_step(t):
                h = np.tanh(w * h) if t % 3 else np.sin(h) * w
        return h

    def many_terms() -> mg.Tensor:
        w = mg.tensor(0.5, requires_grad=True, name="w")
        return sum(w * k for k in range(400))

    def constant_at_first() -> mg.Tensor:
        w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(np.ones(3))
        for t in range(5):
            with mg.time_step(t):
                s = mg.tensor(np.ones(3)) if t == 0 else s + h * w  # noqa: F821
                h = np.tanh(s * w)
        return h.sum()

    def negative_steps() -> mg.Tensor:
        w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
        for t in range(-3, 3):
            with mg.time_step(t):
                h = np.tanh(h * w)
        return h

    def steps_inside_steps() -> mg.Tensor:
        w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
        for t in range(3):
            with mg.time_step(t, axis="outer"):
                g = h
                for s in range(3):
                    with mg.time_step(s, axis="inner"):
                        g = np.tanh(w * g)
                h = h + g
        return h

    def every_other_step() -> mg.Tensor:
        w, h = mg.tensor(np.arange(1.0, 13.0), requires_grad=True, name="w"), mg.tensor(1.0)
        for t in range(0, 12, 2):
            with mg.time_step(t):
                h = np.tanh(h * w[t + 1] + w[3])
        return h

    def two_axes_of_one_name() -> mg.Tensor:
        _, state = nn.LSTM(3, 4)(x)
        return (nn.LSTM(3, 4)(x[:5], state)[0] ** 2).mean()

    def twice_differentiated() -> mg.Tensor:
        net = nn.LSTM(3, 4)
        grads = mg.grad((net(x)[0] ** 2).mean(), list(net.parameters()), create_graph=True)
        return sum((dx * dx).sum() for dx in grads)

    def twice_through_indices() -> mg.Tensor:
        xs = mg.tensor(x, requires_grad=True, name="xs")
        (dx,) = mg.grad((nn.GRU(3, 4)(xs)[0] ** 2).mean(), [xs], create_graph=True)
        return (dx * dx).sum()

    def hidden_infinity() -> mg.Tensor:
        a = mg.tensor([-1.0, 0.0, 1000.0], requires_grad=True, name="a")
        return np.where(a.data < 500, np.exp(a) * np.exp(a) / (1 + np.exp(a)), a).sum()

    def names_that_python_has() -> mg.Tensor:
        range_, h = mg.tensor(0.5, requires_grad=True, name="range"), mg.tensor(1.0)
        h_3, part_1 = (mg.tensor(0.7, requires_grad=True, name=name) for name in ("h_3", "part_1"))
        for t in range(5):
            with mg.time_step(t):
                slice = np.sqrt(h * range_) / h_3
                h = np.tanh(slice / part_1)
        return h

    made = {"rnn": recurrent(nn.RNN), "lstm": recurrent(nn.LSTM), "gru": recurrent(nn.GRU)}
    made |= {
        "gru before": recurrent(nn.GRU, reset="before"),
        "relu": recurrent(nn.RNN, nonlinearity="relu"),
    }
    made |= {
        "deep": recurrent(nn.LSTM, num_layers=2),
        "bidirectional": recurrent(nn.GRU, bidirectional=True),
    }
    made |= {"last rnn": last(nn.RNN), "last lstm": last(nn.LSTM), "last gru": last(nn.GRU)}
    local = (
        lengths,
        words,
        learned_start,
        loss_at_every_step,
        inputs_need_grad,
        reused,
        picked_twice,
    )
    local += (
        constant_at_first,
        negative_steps,
        steps_inside_steps,
        every_other_step,
        two_axes_of_one_name,
        twice_differentiated,
    )
    local += (
        twice_through_indices,
        hidden_infinity,
        names_that_python_has,
        nothing_in_common,
        many_terms,
    )
    return made | {f.__name__: f for f in local}


@pytest.mark.parametrize("name", networks())
def test_gradients_are_those_of_backward(name: str) -> None:
    mg.seed(1)
    with np.errstate(all="ignore"):
        _, found = programs(mg.Graph(networks()[name]()))
    alike = name not in ("reused", "picked_twice", "many_terms", "hidden_infinity")
    assert ("backward_loop" in found) == alike


@pytest.mark.parametrize("name", ["lstm", "gru", "loss_at_every_step", "deep"])
def test_alike_steps_are_one_loop_each_way(name: str) -> None:
    mg.seed(1)
    source, _ = programs(mg.Graph(networks()[name]()))
    loop = source.partition("def backward_loop")[2]
    assert "reversed(range(6))" in loop
    assert not re.search(
        r"^    d\w+\[\d\] = .*@", loop, re.M
    )  # no step is left outside of the loops


@pytest.mark.slow
def test_every_primitive_can_be_written() -> None:
    written = 0
    for case in CASES:
        _, function, inputs = case.values
        xs = [
            mg.tensor(np.asarray(x, float), requires_grad=True, name=f"x{k}")
            for k, x in enumerate(inputs)
        ]
        outputs = function(*xs)
        first = outputs[0] if isinstance(outputs, tuple | list) else outputs
        graph = mg.Graph((first * first).sum())
        with np.errstate(all="ignore"):
            programs(graph)
        written += 1
    assert written > 500


def test_edited_graphs_and_given_gradients() -> None:
    graph = chain(6)
    programs(graph.cut(t=3))
    programs(graph.clip_edges(max_norm=0.01))
    programs(graph, np.array(3.0))
    x = mg.tensor(np.ones((2, 3)), requires_grad=True, name="x")
    programs(mg.Graph(x * x), np.arange(6.0).reshape(2, 3))
    programs(mg.Graph(x.sum(), (x * x).sum()), (np.array(1.0), np.array(2.0)))
    y = (x * x).sum()
    programs(mg.Graph(y, y))


def test_rules_in_arbitrary_python_are_copied() -> None:
    @mg.primitive(once=True)
    def softsign(x):
        return x / (1 + np.abs(x))

    @softsign.gradient
    def softsign_dx(dy, y, x):
        dx = np.empty_like(x)
        dx[...] = dy / (1 + np.abs(x)) ** 2
        return dx

    x = mg.tensor([1.0, -2.0], requires_grad=True, name="x")
    source, _ = programs(mg.Graph(softsign(x).sum()))
    assert "def softsign_dx(dy, y, x):" in source

    @mg.primitive(once=True)
    def scaled(a, b):
        return a * b

    @scaled.gradients
    def scaled_both(dy, y, a, b):
        parts = [helper(part, dy) for part in (b, a)]  # a name that the module has otherwise
        return tuple(parts)

    w = mg.tensor(3.0, requires_grad=True, name="w")
    source, _ = programs(mg.Graph(scaled(x, w).sum()))
    assert "def helper(part, dy):" in source


def test_a_rule_that_decides_by_values_is_written_with_its_question() -> None:
    @mg.primitive
    def steep(x):
        return np.where(np.sum(x) > 0, x, 2 * x)

    @steep.gradient
    def steep_dx(dy, y, x):
        return dy if np.sum(x) > 0 else 2 * dy

    for values in ([1.0, 2.0], [-1.0, -2.0]):
        x = mg.tensor(values, requires_grad=True, name="x")
        source, _ = programs(mg.Graph((steep(x) * x).sum()))
        assert "dsteep if np.sum(x) > 0 else" in source


part = "what the module calls so"
SCALE = np.array(1.0)


class Odd:
    factor = 2

    def __repr__(self) -> str:
        return "Odd(2)"


def helper(part: Any, dy: Any) -> Any:
    return part * dy * SCALE


def test_functions_of_one_name_are_two() -> None:
    def made(power: int) -> Any:
        @mg.primitive
        def curve(x):
            y = x**power
            return y + 0

        @curve.gradient
        def curve_dx(dy, y, x):
            return dy * power * x ** (power - 1)

        return curve

    x = mg.tensor([1.0, 2.0], requires_grad=True, name="x")
    source, _ = programs(mg.Graph((made(2)(x) * made(3)(x) * made(2)(x)).sum()))
    assert source.count("def curve") == 3


def test_the_program_runs_alone_and_can_be_stepped_as_a_file(tmp_path) -> None:
    source = chain(3).backward_source()
    path = tmp_path / "bptt.py"
    path.write_text(source + "\nprint(backward()['w'])\n")
    ran = subprocess.run([sys.executable, "-I", path], capture_output=True, text=True, check=True)
    graph = chain(3)
    graph.backward()
    assert float(ran.stdout) == pytest.approx(graph.parameters["w"].grad.item(), rel=1e-12)


@pytest.mark.slow
def test_a_long_graph_is_written_without_recursion() -> None:
    source, found = programs(chain(3000))
    assert found.keys() == {"backward", "backward_loop"}
    assert len(source.partition("def backward_loop")[2].splitlines()) < 30


def test_what_cannot_be_written_is_refused_by_name() -> None:
    graph = chain(2)
    graph.find(op="tanh")[0].register_hook(lambda dh: dh)
    with pytest.raises(ValueError, match="h_0 has a hook"):
        graph.backward_source()
    names: dict[str, Any] = {"mg": mg}
    exec(
        "@mg.primitive\ndef f(x): return x * 2\n@f.gradient\ndef f_dx(dy, y, x): return dy * 2",
        names,
    )
    x = mg.tensor(1.0, requires_grad=True)
    with pytest.raises(ValueError, match="no source text of f"):
        mg.Graph(names["f"](names["f"](x) * x)).backward_source()

    @mg.primitive
    def odd(x, *, how):
        y = x * how.factor
        return y + 0

    @odd.gradient
    def odd_dx(dy, y, x, how):
        return odd(dy, how=how)

    with pytest.raises(
        ValueError, match=r"a constant of type Odd cannot be written as source: Odd\(2\)"
    ):
        mg.Graph(odd(x, how=Odd())).backward_source()


def test_float32_stays_float32() -> None:
    mg.set_default_dtype(np.float32)
    mg.seed(0)
    net = nn.LSTM(3, 4)
    source = mg.Graph((net(np.ones((3, 2, 3), np.float32))[0] ** 2).mean()).backward_source()
    names: dict[str, Any] = {}
    exec(source, names)
    for function in ("backward", "backward_loop"):
        assert {dx.dtype for dx in names[function](**source.arguments).values()} == {
            np.dtype(np.float32)
        }


def test_a_name_never_becomes_code(tmp_path) -> None:
    victim = tmp_path / "made by a name"
    w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
    for t in range(5):
        with mg.time_step(t):
            h = w * h
            h.name = (
                f"a\n    open({str(victim)!r}, 'w')\r\x0b\x85\u2028    open({str(victim)!r}, 'w')"
            )
    odd = mg.tensor(2.0, requires_grad=True, name="x): import os #\n'\"")
    programs(mg.Graph(h * odd))
    assert not victim.exists()
