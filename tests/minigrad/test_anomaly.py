import linecache
import threading
import warnings

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.scope import recording


def raised(run):
    with pytest.raises(FloatingPointError) as error, mg.detect_anomaly():
        run()
    return str(error.value)


def test_the_forward_producer_is_told_with_place_range_and_line():
    x = mg.tensor(np.array([[0.5, 0.0, 0.9]], np.float32), requires_grad=True, name="x")

    def run():
        with mg.scope("encoder"), mg.time_step(3):
            y = np.log(x)
            return y * 2 + 1

    message = raised(run)
    assert message.startswith("log made -inf out of finite inputs (1 of 3 entries)")
    assert "at t = 3 of axis time, scope encoder" in message
    assert "(1, 3)" in message
    assert "x (1, 3) float32 in [0, 0.9]" in message
    assert "test_anomaly.py" in message
    assert "y = np.log(x)" in message


def test_who_passes_it_on_is_not_accused():
    x = mg.tensor(np.array([-np.inf, 1.0]), requires_grad=True)  # as a mask would have it
    with mg.detect_anomaly():
        y = (np.exp(x) * 2 + x * 0).sum()
    assert np.isnan(y.data)


def test_a_nan_is_found_without_history_as_well():
    def run():
        with mg.no_grad():
            mg.tensor(-1.0) ** 0.5

    assert raised(run).startswith("power made nan")


def test_one_of_several_outputs_is_looked_at():
    @mg.primitive
    def halves(x):
        return x * 1, 1 / x

    assert raised(lambda: halves(mg.tensor([0.0, 1.0], requires_grad=True))).startswith(
        "halves made inf"
    )


def test_the_backward_producer_is_told():
    x = mg.tensor([4.0, 0.0], requires_grad=True, name="x")
    with mg.time_step(2):
        y = np.sqrt(x)
    loss = (y * 3).sum()
    message = raised(loss.backward)
    assert message.startswith("the gradient sqrt_dx made inf out of finite inputs (1 of 2 entries)")
    assert "at t = 2 of axis time" in message
    assert "y = np.sqrt(x)" in message
    assert "dy (2,) float32 in [3, 3]" in message
    assert "x (2,) float32 in [0, 4]" in message
    assert x.grad is None


def test_a_traced_backward_pass_is_watched_too():
    x = mg.tensor([4.0, 0.0], requires_grad=True, name="x")
    y = np.sqrt(x).sum()
    with pytest.raises(FloatingPointError, match="divide made inf") as error, mg.detect_anomaly():
        y.backward(create_graph=True)
    assert "in the backward pass of sqrt" in error.value.__notes__[0]


def test_a_sum_that_overflows_is_its_own_producer():
    for through, found in [
        (lambda w: w, "the sum over its uses"),
        (lambda w: w * 1e-10, "the sum of gradients"),
    ]:
        w = mg.tensor(1e-10, requires_grad=True, name="w")
        h = through(w)
        loss = h * 2e38 + h * 2e38
        assert raised(loss.backward).startswith(f"{found} made inf")
        assert w.grad is None


def test_mg_grad_is_watched_and_a_second_order_too():
    x = mg.tensor(0.0, requires_grad=True)
    y = np.sqrt(x)
    assert "sqrt_dx" in raised(lambda: mg.grad(y, x))


def test_nothing_is_said_while_all_is_finite():
    net = nn.LSTM(3, 4)
    xs = np.random.default_rng(0).standard_normal((6, 2, 3)) * 1e3
    results = []
    for watched in (False, True):
        net.zero_grad()
        with mg.detect_anomaly() if watched else warnings.catch_warnings():
            y, _ = net(xs)
            (y**2).sum().backward()
        results.append([p.grad.data for p in net.parameters()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_large_finite_numbers_are_finite():
    big = mg.tensor(np.full(4, 1e30, np.float32), requires_grad=True)  # their squares are not
    with mg.detect_anomaly():
        (big * 2).sum().backward()


def test_outside_of_the_block_nothing_is_checked():
    assert recording.get().check is None
    with mg.detect_anomaly():
        assert recording.get().check is not None
        with mg.detect_anomaly():
            pass
        assert recording.get().check is not None
    assert recording.get().check is None
    assert raised(lambda: np.log(mg.tensor(0.0))).startswith("log")
    assert recording.get().check is None
    with np.errstate(divide="ignore"):
        assert np.log(mg.tensor(0.0)).item() == -np.inf


def test_another_thread_is_not_watched():
    found = []

    def work():
        with np.errstate(divide="ignore"):
            found.append(np.log(mg.tensor(0.0)).item())

    with mg.detect_anomaly():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert found == [-np.inf]


def test_the_walk_of_a_pass_is_put_back():
    with pytest.raises(ZeroDivisionError), mg.detect_anomaly():
        1 / 0
    x = mg.tensor(0.0, requires_grad=True)
    with np.errstate(divide="ignore"):
        np.sqrt(x).backward()
    assert x.grad.item() == np.inf


# history that is walked twice


def windows(net, count, between=lambda state: state):
    rng, state = np.random.default_rng(0), None
    for _ in range(count):
        y, state = net(rng.standard_normal((5, 2, 3)), state)
        (y**2).mean().backward()
        state = between(state)


def test_a_state_that_keeps_its_history_is_told_once():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        windows(nn.LSTM(3, 4), 4)
    (warning,) = caught
    text = str(warning.message)
    assert "walks again through 5 time steps" in text
    assert "the state h (nn/cells.py:" in text
    assert "nn.detach_state" in text
    assert warning.filename == __file__
    assert "(y**2).mean().backward()" in linecache.getline(__file__, warning.lineno)


def test_each_network_is_told_for_itself():
    for _ in range(2):
        with pytest.warns(UserWarning, match="walks again"):
            windows(nn.GRU(3, 4), 2)


def test_a_detached_state_is_no_trap():
    windows(nn.LSTM(3, 4), 4, nn.detach_state)


def test_a_truncated_pass_walks_only_what_it_reaches():
    w = mg.tensor(0.9, requires_grad=True, name="w")
    h = mg.tensor(1.0)
    for t in range(12):
        with mg.time_step(t):
            h = w * h
        if t % 3 == 2:
            mg.Graph(h).truncate(3).backward()
    assert w.grad is not None


def test_the_same_loss_may_be_walked_again():
    net = nn.RNN(3, 4)
    y, _ = net(np.ones((5, 2, 3)))
    loss = (y**2).mean()
    loss.backward()
    loss.backward()
    mg.Graph(loss).clip_edges(max_norm=1).backward()
    list(mg.Graph((y**3).mean()).backward_steps())  # looking is not training


def test_a_loop_by_hand_is_told_its_own_variable_and_line():
    w, h = mg.tensor(0.5, requires_grad=True), mg.tensor(1.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for t in range(4):
            with mg.time_step(t):
                h = w * h
            if t % 2:
                h.backward()
    (text,) = [str(warning.message) for warning in caught]
    assert f"2 time steps that another loss has walked already: the state h ({h.source})" in text


def test_a_warning_that_is_an_error_leaves_all_as_it_was():
    w, h = mg.tensor(0.5, requires_grad=True), mg.tensor(1.0)
    with mg.time_step(0):
        h = w * h
    h.backward()
    before = w.grad
    with pytest.raises(UserWarning, match="walks again"):
        (h * 2).backward()
    assert w.grad is before


def test_what_came_in_is_named_and_no_operation_accused():
    for bad, good in (
        (mg.tensor([np.nan, 1.0], name="x"), mg.tensor([1.0, 2.0], requires_grad=True, name="W")),
    ):
        loss = (bad * good).sum()
        message = raised(loss.backward)
        assert message == "the gradients are not finite: x came in with NaN or infinity"
    W = mg.tensor([np.inf, 1.0], requires_grad=True, name="W")
    loss = (W * W * 0.5).sum() + (W * mg.tensor([1.0, 2.0], requires_grad=True)).sum()
    assert raised(loss.backward).endswith(": W came in with NaN or infinity")


def test_a_hook_that_returns_nan_is_told():
    w = mg.tensor([1.0, 2.0], requires_grad=True, name="w")
    h = w * 2
    h.register_hook(lambda dh: dh * np.nan)
    assert raised((h * 3).sum().backward).startswith("a hook made nan out of finite inputs")


def test_a_find_that_is_excused_is_looked_for_once():
    x, w = mg.tensor(np.nan, name="x"), mg.tensor(1.0, requires_grad=True)
    with mg.detect_anomaly():
        h = w * 1.0
        for _ in range(50):
            h = h * 1.0
        h.register_hook(lambda dh: None)
        with pytest.raises(FloatingPointError, match="x came in"):
            (h * x).backward()
