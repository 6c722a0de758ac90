"""Optimisers, schedules and losses against sequences that PyTorch computed, in float64."""

from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import nn
from tests.nn.torch_cases import numbers

STORED = np.load(Path(__file__).parent / "torch_sequences.npz")

OPTIMISERS = {
    "sgd": lambda p: nn.SGD(p, lr=0.1),
    "sgd_momentum": lambda p: nn.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "sgd_nesterov": lambda p: nn.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: nn.Adam(p, lr=0.1, weight_decay=0.01),
    "adamw": lambda p: nn.AdamW(p, lr=0.1, betas=(0.8, 0.95), weight_decay=0.1),
    "rmsprop": lambda p: nn.RMSprop(p, lr=0.1),
    "rmsprop_all": lambda p: nn.RMSprop(p, lr=0.1, momentum=0.5, centered=True, weight_decay=0.01),
    "groups": lambda p: nn.Adam([{"params": p[:1], "lr": 0.3}, {"params": p[1:]}], lr=0.01),
}
SCHEDULES = {
    "step": lambda o: nn.StepLR(o, 3, 0.5),
    "exponential": lambda o: nn.ExponentialLR(o, 0.9),
    "cosine": lambda o: nn.CosineLR(o, 8, 0.01),
    "linear": lambda o: nn.WarmupLR(o, 6, 0.25),
}
WEIGHT = [1.0, 2.0, 0.5, 3.0]
TARGET = [0, 3, 2, 3, 1]
LOSSES = {
    "ce": lambda x: nn.cross_entropy(x, TARGET),
    "ce_ignore": lambda x: nn.cross_entropy(x, TARGET, ignore_index=3),
    "ce_weight": lambda x: nn.cross_entropy(x, TARGET, weight=WEIGHT),
    "ce_both": lambda x: nn.cross_entropy(x, TARGET, weight=WEIGHT, ignore_index=2),
    "nll": lambda x: nn.nll_loss(x, TARGET),
    "mse": lambda x: nn.mse_loss(x, numbers("target", (5, 4))),
    "bce": lambda x: nn.binary_cross_entropy_with_logits(x, numbers("target", (5, 4)) ** 2),
}


def train(opt, p, steps):
    found = []
    for _ in range(steps):
        opt.zero_grad()
        (((p[0] - 1) ** 2).sum() + np.sin(3 * p[1]).sum() + (p[0] * p[1]).sum()).backward()
        opt.step()
        found.append(np.concatenate([q.data for q in p]))
    return found


def parameters():
    return [nn.Parameter(numbers(name, (3,)), name=name) for name in "pq"]


@pytest.mark.parametrize("name", OPTIMISERS)
def test_twelve_steps(name):
    p = parameters()
    found = train(OPTIMISERS[name](p), p, 12)
    np.testing.assert_allclose(np.stack(found), STORED[f"optimiser_{name}"], rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_optimiser_resumes_bit_for_bit(name):
    p, q = parameters(), parameters()
    opt = OPTIMISERS[name](p)
    whole = train(opt, p, 5)
    state, values = opt.state_dict(), [x.data for x in p]
    whole += train(opt, p, 5)
    other = OPTIMISERS[name](q)
    other.load_state_dict({key: np.asarray(value) for key, value in state.items()})
    for x, value in zip(q, values, strict=True):
        x.data = value
    assert np.array_equal(train(other, q, 5), whole[5:])


@pytest.mark.parametrize("name", SCHEDULES)
def test_twenty_rates(name):
    opt = nn.SGD(nn.Parameter(0.0), lr=0.5)
    schedule, found = SCHEDULES[name](opt), []
    for _ in range(20):
        found.append(opt.groups[0]["lr"])
        schedule.step()
    np.testing.assert_allclose(found, STORED[f"schedule_{name}"], rtol=0, atol=1e-10)


def test_a_plateau():
    opt, found = nn.SGD(nn.Parameter(0.0), lr=0.5), []
    schedule = nn.PlateauLR(opt, factor=0.3, patience=2, cooldown=1)
    for loss in [5, 4, 3, 3, 3, 3, 2.9999, 2.9999, 2.9999, 2.9999, 2.9999, 1, 1, 1, 1, 1, 1, 1, 1, 1]:
        schedule.step(loss)
        found.append(opt.groups[0]["lr"])
    np.testing.assert_allclose(found, STORED["schedule_plateau"], rtol=0, atol=1e-10)
    assert len(set(found)) >= 4


def test_a_schedule_resumes():
    for make in (*SCHEDULES.values(), lambda o: nn.PlateauLR(o, patience=1)):
        opt, again = nn.SGD(nn.Parameter(0.0), lr=0.5), nn.SGD(nn.Parameter(0.0), lr=0.5)
        schedule, other = make(opt), make(again)
        step = (lambda s: s.step(1.0)) if isinstance(schedule, nn.PlateauLR) else (lambda s: s.step())
        for _ in range(4):
            step(schedule)
        other.load_state_dict({key: np.asarray(value) for key, value in schedule.state_dict().items()})
        assert other.rates == schedule.rates
        for _ in range(6):
            step(schedule)
            step(other)
        assert other.rates == schedule.rates
        with pytest.raises(ValueError, match="needed, found"):
            other.load_state_dict({"count": 1})


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_gradients(name):
    x = mg.tensor(numbers("logits", (5, 4)), requires_grad=True)
    loss = LOSSES[name](x)
    loss.backward()
    found = np.concatenate([[loss.item()], x.grad.data.ravel()])
    np.testing.assert_allclose(found, STORED[f"loss_{name}"], rtol=0, atol=1e-10)
    assert mg.gradcheck(LOSSES[name], numbers("logits", (5, 4)))


def test_layer_norm():
    norm = nn.LayerNorm(4)
    norm.gain, norm.b = nn.Parameter(numbers("weight", (4,))), nn.Parameter(numbers("bias", (4,)))
    x = mg.tensor(numbers("logits", (5, 4)), requires_grad=True)
    loss = (norm(x) * x).sum()
    loss.backward()
    found = np.concatenate([[loss.item()], x.grad.data.ravel()])
    np.testing.assert_allclose(found, STORED["loss_layer_norm"], rtol=0, atol=1e-10)


def test_a_parameter_without_a_gradient_stays():
    p, q = parameters()
    opt = nn.Adam([p, q], lr=0.1)
    (p * 2).sum().backward()
    before = q.data
    opt.step()
    assert q.data is before
    assert not np.array_equal(p.data, numbers("p", (3,)))


def test_the_dtype_of_a_parameter_stays():
    for make in OPTIMISERS.values():
        p = [nn.Parameter(np.ones(3, np.float32)), nn.Parameter(np.ones(3, np.float32))]
        train(make(p), p, 2)
        assert p[0].dtype == np.float32


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda p: nn.SGD([], lr=0.1), ValueError, "SGD: no parameters were given"),
        (lambda p: nn.SGD([p, p], lr=0.1), ValueError, "parameter p is given twice"),
        (lambda p: nn.SGD([p], lr=-1), ValueError, "lr must be 0 or more, found -1"),
        (lambda p: nn.SGD([p], lr=float("nan")), ValueError, "lr must be 0 or more, found nan"),
        (lambda p: nn.SGD([p], lr=0.1, nesterov=True), ValueError, "nesterov needs momentum > 0"),
        (lambda p: nn.Adam([p], betas=(0.9, 1.0)), ValueError, r"betas in \[0, 1\)"),
        (lambda p: nn.Adam([{"params": [p], "rate": 1}]), TypeError, "unknown option 'rate' in a group"),
        (lambda p: nn.Adam([p * 2]), TypeError, "leaves that require grad"),
        (lambda p: nn.Adam([p]).load_state_dict({"1.lr": 0.1}), ValueError, "entry '1.lr' does not fit"),
        (
            lambda p: nn.Adam([p]).load_state_dict({"0.0.m": np.ones(2)}),
            ValueError,
            r"shape \(3,\) is needed, found \(2,\)",
        ),
        (lambda p: nn.StepLR(nn.SGD([p], lr=1.0), 0), ValueError, "every must be a positive integer"),
        (lambda p: nn.PlateauLR(nn.SGD([p], lr=1.0), factor=1.5), ValueError, r"a factor in \(0, 1\)"),
        (lambda p: nn.PlateauLR(nn.SGD([p], lr=1.0)).step(), TypeError, "the loss to watch is missing"),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call(parameters()[0])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nn.mse_loss(np.ones((3, 1)), np.ones(3)), ValueError, r"found \(3, 1\) and \(3,\)"),
        (lambda: nn.mse_loss(np.ones(0), np.ones(0)), ValueError, "nothing to average"),
        (lambda: nn.cross_entropy(np.ones((3, 4)), np.ones((3, 1), int)), ValueError, r"found \(3, 4\) and \(3, 1\)"),
        (lambda: nn.cross_entropy(np.ones((3, 4)), [0.0, 1.0, 2.0]), TypeError, "integers; found float64"),
        (lambda: nn.cross_entropy(np.ones((3, 4)), [0, 4, 1]), ValueError, "targets in 0...3 are needed, found 4"),
        (lambda: nn.cross_entropy(np.ones((3, 4)), [0, -1, 1]), ValueError, "found -1"),
        (lambda: nn.cross_entropy(np.ones((1, 4)), [9], ignore_index=9), ValueError, "all of them ignored"),
        (lambda: nn.nll_loss(np.ones((1, 4)), [0], weight=[1.0]), ValueError, r"one for each class \(4,\)"),
        (
            lambda: nn.binary_cross_entropy_with_logits(np.ones(2), [0.0, 2.0]),
            ValueError,
            r"\[0, 1\] are needed, found 2.0",
        ),
    ],
)
def test_bad_targets_are_named(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_what_is_ignored_may_hold_anything():
    x = mg.tensor([[1.0, 2.0], [np.nan, np.inf]], requires_grad=True)
    loss = nn.cross_entropy(x, [0, -100], ignore_index=-100)
    loss.backward()
    assert np.isfinite(loss.item())
    assert np.array_equal(x.grad.data[1], [0, 0])
    raw = nn.mse_loss(mg.tensor([1.0, 2.0]), np.array([1.0, 2.5]))
    assert raw.dtype == np.float32
