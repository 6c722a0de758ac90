from __future__ import annotations

import bdb
import linecache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.program.draws import Rewinder
from tests.minigrad.program import cases as steps

LENGTHS = (9, 4)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))


def worst(grads: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> float:
    """The largest relative difference of a gradient: ‖a − b‖ / ‖b‖."""
    return max(
        float(np.linalg.norm(dx - grads[name]) / max(np.linalg.norm(dx), 1e-30))
        for name, dx in wanted.items()
    )


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, np.float32) for name in steps.cases()]
    + [(name, np.float64) for name in steps.cases() if name.startswith(("lstm", "gru", "att"))],
)
def test_gradients_are_those_of_eager_at_every_length(name: str, dtype: Any) -> None:
    mg.set_default_dtype(dtype)
    try:
        case = steps.named(name)
        net = case.network()
        step = mg.compile(case.loss_fn, backend="numpy")
        for T in LENGTHS:
            arguments = case.arguments(T)
            random = Rewinder(step._bound((net, *arguments), {}))
            loss, grads = step(net, *arguments)[:2]
            random.rewind()
            wanted = step.eager(step._bound((net, *arguments), {}))
            assert grads.keys() == wanted.grads.keys()
            # sums in another order: at worst 7e-7, of the deep bidirectional layers, where eager
            # is 5.5e-7 and the program 3.5e-7 away from the gradients in float64
            limit = 1e-6 if dtype == np.float32 else 1e-12
            assert worst(grads, wanted.grads) <= limit
            assert abs(loss - wanted.loss) <= limit * max(abs(wanted.loss), 1)
            assert all(dx.dtype == dtype for dx in grads.values())
        assert len(step.variants) == 1
    finally:
        mg.set_default_dtype(np.float32)


@pytest.mark.parametrize("name", steps.cases())
def test_exact_is_bit_for_bit(name: str) -> None:
    case = steps.named(name)
    net, step = case.network(), mg.compile(case.loss_fn, backend="numpy", exact=True)
    for T in LENGTHS:
        arguments = case.arguments(T)
        random = Rewinder(step._bound((net, *arguments), {}))
        loss, grads = step(net, *arguments)[:2]
        random.rewind()
        wanted = step.eager(step._bound((net, *arguments), {}))
        assert loss == wanted.loss
        for key, dx in wanted.grads.items():
            np.testing.assert_array_equal(grads[key], dx)


def lstm(T: int = 9) -> tuple[Any, ...]:
    return steps.Net(nn.LSTM(steps.D, steps.H)), *steps.each_step(T)


def test_names_are_those_of_the_network_and_gradients_are_fresh() -> None:
    net, xs, ys = lstm()
    step = mg.compile(steps.every, backend="numpy")
    _, first = step(net, xs, ys)
    assert set(first) == {name for name, _ in net.named_parameters()}
    kept = {name: dx.copy() for name, dx in first.items()}
    step(net, xs + 1, ys)
    for name, dx in first.items():
        np.testing.assert_array_equal(dx, kept[name])


def test_backward_adds_to_grad_and_an_optimiser_follows_it() -> None:
    net, xs, ys = lstm()
    twin = steps.Net(nn.LSTM(steps.D, steps.H))
    twin.load_state_dict(net.state_dict())
    step = mg.compile(steps.every, backend="numpy")
    one, two = nn.SGD(net.parameters(), lr=0.1), nn.SGD(twin.parameters(), lr=0.1)
    for _ in range(5):
        net.zero_grad()
        loss = step.backward(net, xs, ys)
        one.step()
        twin.zero_grad()
        other = steps.every(twin, xs, ys)
        other.backward()
        two.step()
        assert abs(loss - other.item()) < 1e-6
    step.backward(net, xs, ys)
    before = net.out.b.grad.data.copy()
    step.backward(net, xs, ys)
    assert not np.array_equal(net.out.b.grad.data, before)


def test_parameters_are_arguments_also_when_rebound() -> None:
    net, xs, ys = lstm()
    step = mg.compile(steps.every, backend="numpy")
    step(net, xs, ys)
    net.out.W.data = net.out.W.data * 3
    loss, _ = step(net, xs, ys)
    assert abs(loss - steps.every(net, xs, ys).item()) < 1e-6
    other = steps.Net(nn.LSTM(steps.D, steps.H))
    loss, _ = step(other, xs, ys)
    assert abs(loss - steps.every(other, xs, ys).item()) < 1e-6
    assert len(step.variants) == 1


def test_a_decorator_a_structure_and_keywords() -> None:
    @mg.compile(backend="numpy")
    def step(net, xs, *, state, ys):
        y, (h, c) = net(xs, state)
        return nn.mse_loss(y, ys), {"h": h, "c": [c]}

    net = nn.LSTM(steps.D, steps.H)
    xs, ys = steps.states(9)
    state = (np.zeros((1, steps.B, steps.H), np.float32),) * 2
    for _ in range(3):
        _loss, _grads, aux = step(net, xs, ys=ys, state=state)
        _, (h, c) = net(xs, state)
        np.testing.assert_allclose(aux["h"], h.data, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(aux["c"][0], c.data, rtol=1e-5, atol=1e-6)
        state = (aux["h"], aux["c"][0])
    assert step.__name__ == "step"


def test_the_program_is_a_file_that_reads_like_the_textbook() -> None:
    net, xs, ys = lstm()
    step = mg.compile(steps.every, backend="numpy")
    step(net, xs, ys)
    assert Path(step.file).read_text() == step.source
    assert "h[t - 1]" in step.source
    assert "for t in reversed(range(T)):" in step.source
    assert "multiply(o[t], tanh_value[t], h[t])" in step.source.replace(
        "tanh_value_2", "tanh_value"
    )
    mode = Path(step.file).parent.stat().st_mode
    assert mode & 0o077 == 0


def test_a_debugger_stops_in_the_program_and_sees_its_arrays() -> None:
    net, xs, ys = lstm()
    step = mg.compile(steps.every, backend="numpy")
    step(net, xs, ys)
    lines = step.source.splitlines()
    loop = next(k for k, line in enumerate(lines) if "for t in reversed(range(T)):" in line)
    seen = []

    class Debugger(bdb.Bdb):
        def user_line(self, frame: Any) -> None:
            if self.break_here(frame):
                names = frame.f_locals
                seen.append((names["t"], names["h"][names["t"]].shape))
            self.set_continue()

    debugger = Debugger()
    assert debugger.set_break(step.file, loop + 2) is None
    debugger.runcall(step, net, xs, ys)
    assert seen == [(t, (steps.B, steps.H)) for t in reversed(range(len(xs)))]


def test_without_a_cache_the_program_is_still_shown(monkeypatch, tmp_path) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "a file" / "below"))
    net, xs, ys = lstm()
    step = mg.compile(steps.every, backend="numpy")
    step(net, xs, ys)
    assert "".join(linecache.getlines(step.file)) == step.source


def test_the_loops_hold_only_what_needs_the_step_before() -> None:
    net, xs, ys = lstm()
    step = mg.compile(steps.every, backend="numpy")
    step(net, xs, ys)
    loops = list(step.source.split("        for t in "))[1:]
    bodies = [[l for l in part.splitlines()[1:] if l.startswith(" " * 12)] for part in loops]
    assert len(bodies) == 2
    assert all(sum("dot(" in line for line in body) == 1 for body in bodies)
    text = step.explain()
    assert "in a loop, t = T − 1 … 0" in text
    assert "x @ self.W_xh" in text.partition("in a loop")[0]


def test_a_shape_or_dtype_or_flag_makes_another_program_and_a_length_does_not() -> None:
    net, xs, ys = lstm()
    step = mg.compile(steps.every, backend="numpy")
    step(net, xs, ys)
    step(net, xs[:4], ys[:4])
    assert len(step.variants) == 1
    step(net, xs[:, :1], ys[:, :1])
    assert len(step.variants) == 2
    net.eval()
    step(net, xs, ys)
    assert len(step.variants) == 3


def test_a_difference_from_eager_raises() -> None:
    calls = []

    def drifting(w, xs):
        calls.append(1)
        h = mg.tensor(np.zeros(()), dtype=np.float32)
        for t, x in mg.timesteps(xs):
            h = np.tanh(w * h + x) if t < 20 else np.sin(w * h + x)
        return h * h

    w = mg.tensor(0.5, requires_grad=True, name="w")
    step = mg.compile(drifting, backend="numpy")
    step(w, np.linspace(0, 1, 12, dtype=np.float32))
    wanted = r"(?s)differs from eager.*not recorded:  multiply.*t = 20.*w \* h"
    with pytest.raises(RuntimeError, match=wanted):
        step(w, np.linspace(0, 1, 30, dtype=np.float32))


def test_random_numbers_of_a_generator_made_inside_are_refused() -> None:
    def noisy(net, xs):
        noise = np.random.default_rng(0).standard_normal(xs.shape).astype(np.float32)
        return (net(xs + noise)[0] ** 2).mean()

    step = mg.compile(noisy, backend="numpy")
    with pytest.raises(ValueError, match=r"pass it"):
        step(nn.LSTM(steps.D, steps.H), steps.normal(9, 2, 3))


def test_draws_that_no_program_can_repeat_are_refused_by_name() -> None:
    def shuffled(net, xs, rng):
        return (net(xs[rng.permutation(len(xs))])[0] ** 2).mean()

    def scaled(net, xs, rng):
        return (net(xs)[0] * rng.normal(0, np.ones(steps.H, np.float32))).mean()

    def wasted(net, xs, rng):
        rng.random(3)
        return (net(xs)[0] ** 2).mean()

    def sometimes(cell, xs, rng):
        h, loss = cell.initial_state(steps.B), 0.0
        for t, x in mg.timesteps(xs):
            _, h = cell(x * rng.random(x.shape, np.float32) if t > 2 else x, h)
            loss = loss + h.mean()
        return loss

    net, xs, rng = nn.GRU(steps.D, steps.H), steps.normal(9, 2, 3), np.random.default_rng(0)
    state = rng.bit_generator.state
    for function, message in {
        shuffled: r"rng\.permutation cannot be part of a program",
        scaled: r"rng\.normal draws with an array as a parameter",
        wasted: r"(?s)the loss does not need them.*rng\.random\(3\)",
        sometimes: r"step 2 |not drawn in every step|other gradients|is not like the others",
    }.items():
        module = nn.GRUCell(steps.D, steps.H) if function is sometimes else net
        rng.bit_generator.state = state
        with pytest.raises(ValueError, match=message):
            mg.compile(function, backend="numpy")(module, xs, rng)


def test_each_call_draws_the_numbers_that_eager_would_draw() -> None:
    net, xs, ys = lstm()
    net.layer = nn.Unroll(nn.Zoneout(nn.LSTMCell(steps.D, steps.H), rng=0))
    step = mg.compile(steps.every, backend="numpy", exact=True)
    bound = step._bound((net, xs, ys), {})
    random = Rewinder(bound)
    found = [step(net, xs, ys)[0] for _ in range(4)]
    random.rewind()
    assert found == [step.eager(bound).loss for _ in range(4)]
    assert len(set(found)) == 4
    assert "for t in range(T):" in step.source
    assert "random((2, 4))" in step.source


def test_an_array_from_outside_is_refused_with_its_line() -> None:
    kept = steps.normal(steps.B, steps.H)

    def closed(net, xs):
        y, _ = net(xs)
        return (y[-1] * kept).sum()

    with pytest.raises(ValueError, match=r"(?s)pass it as an argument.*y\[-1\] \* kept"):
        mg.compile(closed, backend="numpy")(nn.LSTM(steps.D, steps.H), steps.normal(9, 2, 3))


def test_numbers_that_change_are_refused() -> None:
    schedule = iter(np.linspace(1, 2, 100))

    def annealed(net, xs):
        return (net(xs)[0] ** 2).sum() * float(next(schedule))

    with pytest.raises(ValueError, match="must be an argument|another time"):
        mg.compile(annealed, backend="numpy")(nn.LSTM(steps.D, steps.H), steps.normal(9, 2, 3))


def test_hooks_are_refused() -> None:
    def hooked(net, xs):
        y, _ = net(xs)
        y.register_hook(lambda dy: dy * 2)
        return (y * y).sum()

    with pytest.raises(ValueError, match="hook"):
        mg.compile(hooked, backend="numpy")(nn.LSTM(steps.D, steps.H), steps.normal(9, 2, 3))


def test_a_debugger_or_another_driver_sees_the_eager_pass() -> None:
    from minigrad.backward import backward_steps, driver

    net, xs, ys = lstm()
    step = mg.compile(steps.every, backend="numpy")
    step(net, xs, ys)
    seen = []

    def watched(graph, table):
        for one in backward_steps(graph, table):
            seen.append(one.node)
            yield one

    token = driver.set(watched)
    try:
        step(net, xs, ys)
    finally:
        driver.reset(token)
    assert seen


def test_wrong_uses_say_what_is_right() -> None:
    with pytest.raises(ValueError, match="backend must be"):
        mg.compile(steps.every, backend="rust")
    with pytest.raises(TypeError, match="a function is needed"):
        mg.compile(3)
    with pytest.raises(ValueError, match="call the step once"):
        mg.compile(steps.every).explain()

    def no_loss(net, xs):
        return 3

    with pytest.raises(TypeError, match="must return a loss"):
        mg.compile(no_loss, backend="numpy")(nn.LSTM(3, 4), steps.normal(9, 2, 3))


def test_a_program_file_that_was_changed_is_written_again() -> None:
    net, xs, ys = lstm()
    step = mg.compile(steps.every, backend="numpy")
    step(net, xs, ys)
    Path(step.file).write_text("import nothing")
    again = mg.compile(steps.every, backend="numpy")
    again(net, xs, ys)
    assert again.file == step.file
    assert Path(step.file).read_text() == again.source


def test_rules_in_arbitrary_python_are_called_in_the_loop() -> None:
    @mg.primitive(once=True)
    def bent(x):
        return np.where(x > 0, x, 0.1 * x)

    @bent.gradient
    def bent_dx(dy, y, x):
        dx = np.array(dy)
        dx[x <= 0] *= 0.1
        return dx

    def loss_fn(p, xs):
        h = mg.tensor(np.zeros((2, 4)), dtype=np.float32)
        for _, x in mg.timesteps(xs):
            h = bent(x @ p["W"] + h @ p["U"])
        return (h * h).mean()

    p, step = steps.weights(), mg.compile(loss_fn, backend="numpy")
    for T in LENGTHS:
        xs = steps.normal(T, steps.B, steps.D)
        loss, grads = step(p, xs)
        wanted = step.eager(step._bound((p, xs), {}))
        assert worst(grads, wanted.grads) <= 1e-6
        assert abs(loss - wanted.loss) <= 1e-6
    assert "bent_dx" in step.source or "part(" in step.source


def test_nothing_is_changed_by_a_step_that_is_refused() -> None:
    def branching(net, xs, rng):
        y = net(xs + rng.standard_normal(xs.shape).astype(np.float32))[0]
        return (y * y).mean() * (2.0 if float(y.max()) > 0 else 1.0)

    net, xs, rng = nn.GRU(steps.D, steps.H), steps.normal(9, 2, 3), np.random.default_rng(0)
    before = rng.bit_generator.state
    with pytest.raises(ValueError, match=r"(?s)float\(\) reads the value.*float\(y\.max\(\)\)"):
        mg.compile(branching, backend="numpy").backward(net, xs, rng)
    assert rng.bit_generator.state == before
    assert all(p.grad is None for p in net.parameters())


def test_clear_cache_empties_the_folder() -> None:
    net, xs, ys = lstm()
    step = mg.compile(steps.every, backend="numpy")
    step(net, xs, ys)
    assert mg.clear_cache() == 1
    assert mg.clear_cache() == 0
    loss, _ = step(net, xs, ys)
    assert np.isfinite(loss)


def test_a_number_is_an_argument_and_may_change() -> None:
    def scaled(net, xs, rate):
        return (net(xs)[0] ** 2).mean() * rate

    net, xs = nn.LSTM(steps.D, steps.H), steps.normal(9, 2, 3)
    step = mg.compile(scaled, backend="numpy")
    for rate in (0.5, 0.25, 3.0):
        loss, _ = step(net, xs, rate)
        assert abs(loss - scaled(net, xs, rate).item()) < 1e-6
    assert len(step.variants) == 1
    step(net, xs, 3)  # whole numbers may decide what is done: each has its program
    step(net, xs, 4)
    assert len(step.variants) == 3


def test_a_number_made_of_an_argument_is_refused() -> None:
    def scaled(net, xs, rate):
        return (net(xs)[0] ** 2).mean() * (1 - rate)

    with pytest.raises(ValueError, match=r"(?s)must be an argument.*\(1 - rate\)"):
        mg.compile(scaled, backend="numpy")(nn.LSTM(3, 4), steps.normal(9, 2, 3), 0.5)


def test_python_that_reads_a_value_is_refused_with_its_line() -> None:
    def branching(net, xs):
        loss = (net(xs)[0] ** 2).mean()
        return 2 * loss if loss > 3 else loss

    def printing(net, xs):
        loss = (net(xs)[0] ** 2).mean()
        return loss * loss.item()

    arguments = nn.LSTM(3, 4), steps.normal(9, 2, 3)
    with pytest.raises(ValueError, match=r"(?s)bool\(\) reads the value.*if loss > 3"):
        mg.compile(branching, backend="numpy")(*arguments)
    with pytest.raises(ValueError, match=r"(?s)item\(\) reads the value.*loss\.item\(\)"):
        mg.compile(printing, backend="numpy")(*arguments)


def test_rules_that_decide_by_values_are_called_and_detached_values_are_followed() -> None:
    def product(p, xs):
        h = mg.tensor(np.ones(3), dtype=np.float32)
        for _, x in mg.timesteps(xs):
            h = np.tanh(p * h + x) * np.prod(h) + h.detach() * 0.1
        return h.sum()

    p = mg.tensor(steps.normal(3), requires_grad=True, name="p")
    step = mg.compile(product, backend="numpy")
    for _ in range(2):
        xs = steps.normal(9, 3)
        loss, grads = step(p, xs)
        wanted = step.eager(step._bound((p, xs), {}))
        assert worst(grads, wanted.grads) <= 1e-6
        assert abs(loss - wanted.loss) <= 1e-6


SCALE = 2.0


def test_numbers_from_outside_that_change_are_heeded(monkeypatch) -> None:
    rate = 0.5

    def scaled(net, xs):
        return (net(xs)[0] ** 2).mean() * rate * SCALE

    net, xs = nn.LSTM(steps.D, steps.H), steps.normal(9, 2, 3)
    step = mg.compile(scaled, backend="numpy")
    assert abs(step(net, xs)[0] - scaled(net, xs).item()) < 1e-6
    rate = 0.25
    assert abs(step(net, xs)[0] - scaled(net, xs).item()) < 1e-6
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert abs(step(net, xs)[0] - scaled(net, xs).item()) < 1e-6
    net.l0.factor = 1
    step(net, xs)
    assert len(step.variants) == 4


def test_what_is_returned_beside_the_loss_stays_as_it_is() -> None:
    def with_outputs(net, xs):
        y, (h, _) = net(xs)
        return (y * y).mean(), [y, y[-1], y.reshape((-1, steps.H)), np.swapaxes(y, 0, 1), h]

    net, xs = nn.LSTM(steps.D, steps.H), steps.normal(9, 2, 3)
    step = mg.compile(with_outputs, backend="numpy")
    _, _, outputs = step(net, xs)
    kept = [x.copy() for x in outputs]
    step(net, 2 * xs)
    for x, y in zip(outputs, kept):
        np.testing.assert_array_equal(x, y)


def test_threads_take_turns() -> None:
    from concurrent.futures import ThreadPoolExecutor

    net = steps.Net(nn.LSTM(steps.D, steps.H))
    step = mg.compile(steps.every, backend="numpy")
    batches = [steps.each_step(9) for _ in range(8)]
    step(net, *batches[0])
    wanted = [step(net, *batch)[0] for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda batch: step(net, *batch)[0], batches * 8))
    assert found == wanted * 8


@pytest.mark.parametrize("values", [np.ones((3, 3)), np.eye(3) + 0.5, np.zeros((3, 3))])
def test_a_leaf_that_requires_grad_is_an_argument_or_refused(values):
    W = mg.tensor(values, requires_grad=True, name="W")
    step = mg.compile(lambda x: np.tanh(x @ W).sum(), backend="numpy")
    with pytest.raises(ValueError, match="W of shape .* requires grad and is no argument"):
        step(np.zeros((3, 3)))
    step = mg.compile(lambda x, W: np.tanh(x @ W).sum(), backend="numpy")
    _, grads = step(np.ones((3, 3)), W)
    (dW,) = mg.grad(np.tanh(np.ones((3, 3)) @ W).sum(), [W])
    np.testing.assert_allclose(grads["W"], dW.data)
