"""Losses against values and gradients that PyTorch computed; strict shapes."""

from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import nn
from tests.nn.torch_cases import numbers

STORED = np.load(Path(__file__).parent / "torch_sequences.npz")

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


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_gradients(name):
    x = mg.tensor(numbers("logits", (5, 4)), requires_grad=True)
    loss = LOSSES[name](x)
    loss.backward()
    found = np.concatenate([[loss.item()], x.grad.data.ravel()])
    np.testing.assert_allclose(found, STORED[f"loss_{name}"], rtol=0, atol=1e-10)
    assert mg.gradcheck(LOSSES[name], numbers("logits", (5, 4)))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: nn.mse_loss(np.ones((3, 1)), np.ones(3)),
            ValueError,
            r"found \(3, 1\) and \(3,\)",
        ),
        (lambda: nn.mse_loss(np.ones(0), np.ones(0)), ValueError, "nothing to average"),
        (
            lambda: nn.cross_entropy(np.ones((3, 4)), np.ones((3, 1), int)),
            ValueError,
            r"found \(3, 4\) and \(3, 1\)",
        ),
        (
            lambda: nn.cross_entropy(np.ones((3, 4)), [0.0, 1.0, 2.0]),
            TypeError,
            "integers; found float64",
        ),
        (
            lambda: nn.cross_entropy(np.ones((3, 4)), [0, 4, 1]),
            ValueError,
            "targets in 0...3 are needed, found 4",
        ),
        (lambda: nn.cross_entropy(np.ones((3, 4)), [0, -1, 1]), ValueError, "found -1"),
        (
            lambda: nn.cross_entropy(np.ones((1, 4)), [9], ignore_index=9),
            ValueError,
            "all of them ignored",
        ),
        (
            lambda: nn.nll_loss(np.ones((1, 4)), [0], weight=[1.0]),
            ValueError,
            r"one for each class \(4,\)",
        ),
        (
            lambda: nn.binary_cross_entropy_with_logits(np.ones(2), [0.0, 2.0]),
            ValueError,
            r"\[0, 1\] are needed, found 0.0 to 2.0",
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


def test_weights_that_leave_nothing_to_average_are_named():
    with pytest.raises(
        ValueError, match="weights of the targets must sum to more than 0, found 0.0"
    ):
        nn.cross_entropy(np.zeros((2, 3)), [0, 0], weight=[0, 1, 1])
