"""Schedules against the rates that PyTorch computed."""

from pathlib import Path

import numpy as np
import pytest

import nn

STORED = np.load(Path(__file__).parent / "torch_sequences.npz")

SCHEDULES = {
    "step": lambda o: nn.StepLR(o, 3, 0.5),
    "exponential": lambda o: nn.ExponentialLR(o, 0.9),
    "cosine": lambda o: nn.CosineAnnealingLR(o, 8, 0.01),
    "linear": lambda o: nn.WarmupLR(o, 6, 0.25),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_twenty_rates(name):
    opt = nn.SGD(nn.Parameter(0.0), lr=0.5)
    schedule, found = SCHEDULES[name](opt), []
    for _ in range(20):
        found.append(opt.param_groups[0]["lr"])
        schedule.step()
    np.testing.assert_allclose(found, STORED[f"schedule_{name}"], rtol=0, atol=1e-10)


def test_a_plateau():
    opt, found = nn.SGD(nn.Parameter(0.0), lr=0.5), []
    schedule = nn.ReduceLROnPlateau(opt, factor=0.3, patience=2, cooldown=1)
    for loss in [
        5,
        4,
        3,
        3,
        3,
        3,
        2.9999,
        2.9999,
        2.9999,
        2.9999,
        2.9999,
        1,
        1,
        1,
        1,
        1,
        1,
        1,
        1,
        1,
    ]:
        schedule.step(loss)
        found.append(opt.param_groups[0]["lr"])
    np.testing.assert_allclose(found, STORED["schedule_plateau"], rtol=0, atol=1e-10)
    assert len(set(found)) >= 4


def test_a_schedule_resumes():
    for make in (*SCHEDULES.values(), lambda o: nn.ReduceLROnPlateau(o, patience=1)):
        opt, again = nn.SGD(nn.Parameter(0.0), lr=0.5), nn.SGD(nn.Parameter(0.0), lr=0.5)
        schedule, other = make(opt), make(again)
        step = (
            (lambda s: s.step(1.0))
            if isinstance(schedule, nn.ReduceLROnPlateau)
            else (lambda s: s.step())
        )
        for _ in range(4):
            step(schedule)
        other.load_state_dict(
            {key: np.asarray(value) for key, value in schedule.state_dict().items()}
        )
        assert other.get_last_lr() == schedule.get_last_lr()
        for _ in range(6):
            step(schedule)
            step(other)
        assert other.get_last_lr() == schedule.get_last_lr()
        with pytest.raises(ValueError, match="missing: base_lrs"):
            other.load_state_dict({"last_epoch": 1})
        before = other.state_dict()
        with pytest.raises(ValueError, match="dtype of base_lrs: numbers are needed"):
            other.load_state_dict({**before, "last_epoch": 99, "base_lrs": ["a"]})
        assert other.state_dict() == before


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda p: nn.StepLR(nn.SGD([p], lr=1.0), 0),
            ValueError,
            "step_size must be a positive integer",
        ),
        (lambda p: nn.StepLR(p, 2), TypeError, "StepLR: an optimiser is needed, found Parameter"),
        (
            lambda p: nn.StepLR(nn.SGD([p], lr=1.0), 2, gamma=-1),
            ValueError,
            "StepLR: gamma must be 0 or more, found -1",
        ),
        (
            lambda p: nn.ExponentialLR(nn.SGD([p], lr=1.0), -1),
            ValueError,
            "gamma must be 0 or more, found -1",
        ),
        (
            lambda p: nn.ReduceLROnPlateau(nn.SGD([p], lr=1.0), factor=1.5),
            ValueError,
            r"factor must be in \(0, 1\)",
        ),
        (
            lambda p: nn.ReduceLROnPlateau(nn.SGD([p], lr=1.0)).step(),
            TypeError,
            "the metric to watch is missing",
        ),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call(nn.Parameter(0.0, name="p"))


def test_a_metric_that_should_rise():
    opt = nn.SGD(nn.Parameter(0.0), lr=1.0)
    schedule = nn.ReduceLROnPlateau(
        opt, mode="max", factor=0.5, patience=0, threshold=0.1, threshold_mode="abs", min_lr=0.3
    )
    rates = []
    for accuracy in (0.5, 0.7, 0.75, 0.75, 0.9):
        schedule.step(accuracy)
        rates += schedule.get_last_lr()
    assert rates == [1.0, 1.0, 0.5, 0.3, 0.3]
    assert schedule.base_lrs == [1.0]
