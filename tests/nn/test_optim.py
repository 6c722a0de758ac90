"""Optimisers against sequences that PyTorch computed; groups, resuming, bad input."""

from pathlib import Path

import numpy as np
import pytest

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


@pytest.mark.parametrize("make", [nn.Adam, lambda p: nn.SGD(p, lr=0.1, momentum=0.9), nn.RMSprop])
def test_a_scalar_resumes_bit_for_bit_in_float32(make):
    def run(opt, p, steps):
        for _ in range(steps):
            p.grad = np.float32(0.1) * p.data + np.float32(0.3)
            opt.step()
        return p.data

    p, q = nn.Parameter(0.7), nn.Parameter(0.7)
    opt, other = make([p]), make([q])
    q.data = run(opt, p, 7)
    other.load_state_dict({key: np.asarray(value) for key, value in opt.state_dict().items()})
    assert np.array_equal(run(opt, p, 20), run(other, q, 20))
    assert p.dtype == np.float32


def test_a_parameter_without_a_gradient_stays():
    p, q = parameters()
    opt = nn.Adam([p, q], lr=0.1)
    (p * 2).sum().backward()
    before = q._array
    opt.step()
    assert q._array is before
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
        (
            lambda p: nn.Adam([p], betas=(0.9, 1.0)),
            ValueError,
            r"betas must be in \[0, 1\), found 1.0",
        ),
        (
            lambda p: nn.Adam([p], betas=(0.9,)),
            ValueError,
            r"betas must be two numbers, found \(0.9,\)",
        ),
        (lambda p: nn.RMSprop([p], alpha=2), ValueError, r"alpha must be in \[0, 1\), found 2"),
        (lambda p: nn.SGD([p], lr="fast"), ValueError, "lr must be 0 or more, found 'fast'"),
        (
            lambda p: nn.SGD([{"lr": 1}], lr=0.1),
            TypeError,
            "a group of parameters needs 'params', found only 'lr'",
        ),
        (lambda p: nn.Adam([p]).load_state_dict(None), TypeError, "found NoneType"),
        (
            lambda p: nn.Adam([{"params": [p], "rate": 1}]),
            TypeError,
            "unknown option 'rate' in a group",
        ),
        (lambda p: nn.Adam([p * 2]), TypeError, "leaves that require grad"),
        (
            lambda p: nn.Adam([p]).load_state_dict({"1.lr": 0.1}),
            ValueError,
            r"unexpected: 1.lr \(\)",
        ),
        (
            lambda p: nn.Adam([p]).load_state_dict({"0.0.m": np.ones(2)}),
            ValueError,
            r"shape of 0.0.m: \(3,\) is needed, found \(2,\)",
        ),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call(parameters()[0])


WRONG = {
    "missing: 0.lr": {"0.lr": None},
    "missing: 0.1.v": {"0.1.v": None},
    "missing: 0.0.t": {"0.0.t": None},
    "unexpected: 0.0.foo": {"0.0.foo": np.ones(3)},
    "unexpected: 0.-1.m": {"0.-1.m": np.ones(3)},
    "unexpected: lr": {"lr": 1},
    "lr must be 0 or more, found -5": {"0.lr": -5},
    "dtype of 0.lr: numbers are needed, found <U3": {"0.lr": np.array("abc")},
    "dtype of 0.0.m: numbers are needed": {"0.0.m": np.array(["a", "b", "c"])},
    "shape of 0.betas": {"0.betas": 0.9},
    "shape of 0.lr": {"0.lr": np.ones(2)},
}


@pytest.mark.parametrize("text", WRONG)
def test_a_state_with_a_wrong_entry_changes_nothing(text):
    p = parameters()
    opt = nn.Adam(p, lr=0.1)
    train(opt, p, 2)
    before = opt.state_dict()
    wrong = {name: value for name, value in {**before, **WRONG[text]}.items() if value is not None}
    with pytest.raises(ValueError, match=text):
        opt.load_state_dict(wrong)
    assert opt.state_dict().keys() == before.keys()
    assert all(np.array_equal(opt.state_dict()[key], x) for key, x in before.items())


def test_an_optimiser_of_ones_own_may_remember_what_it_likes():
    class Sum(nn.Optimizer):
        def update(self, p, dp, slots, group):
            slots["total"] = slots.get("total", 0) + dp
            return p - group["lr"] * slots["total"]

    p, q = parameters(), parameters()
    opt, other = Sum(p, lr=0.1), Sum(q, lr=0.2)
    train(opt, p, 2)
    other.load_state_dict(opt.state_dict())
    assert other.param_groups[0]["lr"] == 0.1
    assert np.array_equal(other.slots[0][1]["total"], opt.slots[0][1]["total"])


def test_modules_in_a_list_are_trained_together():
    parts = [nn.Linear(2, 3), nn.Linear(3, 1)]
    assert nn.Adam(parts).param_groups[0]["params"] == [
        *parts[0].parameters(),
        *parts[1].parameters(),
    ]


def test_an_option_of_the_groups_is_not_set_on_the_optimiser():
    opt = nn.Adam(nn.Linear(2, 1))
    with pytest.raises(AttributeError, match=r"opt.param_groups\[0\]\['lr'\] = 2.0"):
        opt.lr = 2.0
    with pytest.raises(AttributeError, match=r"write opt.param_groups\[0\]\['betas'\]"):
        _ = opt.betas
    with pytest.raises(AttributeError, match="Adam has no attribute 'speed'"):
        _ = opt.speed
    opt.note = "mine"
    assert (opt.note, opt.param_groups[0]["lr"]) == ("mine", 1e-3)


@pytest.mark.parametrize("make", [nn.Adam, nn.AdamW, lambda p: nn.RMSprop(p, lr=0.1), nn.SGD])
@pytest.mark.parametrize("grad", [[1e-4, 1e-4], [300.0, 1.0], [0.0, 1e-5]])
def test_half_precision_is_stepped_in_single(make, grad):
    make = (lambda p: nn.SGD(p, lr=0.1)) if make is nn.SGD else make
    half, single = nn.Parameter(np.array([1, 2], np.float16)), nn.Parameter([1.0, 2.0])
    for p in (half, single):
        opt = make(p)
        for _ in range(3):
            p.grad = np.asarray(grad, p.dtype)
            opt.step()
    assert half.dtype == np.float16
    np.testing.assert_allclose(half.data, single.data, rtol=2e-3)
