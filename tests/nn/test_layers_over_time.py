"""Convolution, batch normalisation and CTC, against PyTorch and against what they mean."""

import itertools
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import nn
from tests.nn.torch_cases import numbers

STORED = np.load(Path(__file__).parent / "torch_sequences.npz")
X = numbers("x", (7, 3, 4))


@pytest.fixture(autouse=True)
def _double():
    mg.set_default_dtype(np.float64)
    yield
    mg.set_default_dtype(np.float32)


def with_gradients(y, leaves):
    grads = mg.grad((y * numbers("out", y.shape)).sum(), leaves)
    return np.concatenate([np.ravel(v.data) for v in (y, *grads)])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("plain", {}),
        ("stride", {"stride": 2, "padding": 2}),
        ("same", {"padding": "same"}),
        ("causal", {"padding": "causal", "dilation": 2}),
    ],
)
def test_convolutions(name, options):
    layer, x = nn.Conv1d(4, 2, 3, **options), mg.tensor(X, requires_grad=True)
    layer.W.data, layer.b.data = numbers("W", (3, 4, 2)), numbers("b", (2,))
    found = with_gradients(layer(x), [x, layer.W, layer.b])
    np.testing.assert_allclose(found, STORED[f"conv_{name}"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(layer(X[:, 0]).data, layer(X).data[:, 0], atol=1e-12)


def test_a_causal_convolution_sees_no_later_step():
    layer = nn.Conv1d(4, 2, 3, padding="causal")
    changed = X.copy()
    changed[4:] += 1
    np.testing.assert_array_equal(layer(X).data[:4], layer(changed).data[:4])


def test_batch_normalisation():
    norm, x = nn.BatchNorm(4), mg.tensor(X, requires_grad=True)
    norm.gain.data, norm.b.data = numbers("weight", (4,)), numbers("bias", (4,))
    found = with_gradients(norm(x), [x, norm.gain, norm.b])
    running = np.concatenate([norm.running_mean.data, norm.running_var.data])
    stored = STORED["batch_norm"]
    np.testing.assert_allclose(np.concatenate([found, running]), stored, rtol=0, atol=1e-10)
    norm.eval()
    wanted = (X - norm.running_mean.data) / np.sqrt(norm.running_var.data + 1e-5)
    wanted = wanted * norm.gain.data + norm.b.data
    np.testing.assert_allclose(norm(X).data, wanted, atol=1e-12)
    assert list(norm.state_dict()) == ["gain", "b", "running_mean", "running_var"]


def test_padding_does_not_count_in_batch_normalisation():
    norm, other = nn.BatchNorm(4), nn.BatchNorm(4)
    mask = nn.lengths_mask([7, 3, 5], 7)
    padded = np.where(mask[..., None], X, 100.0)
    y = norm(padded, mask=mask)
    np.testing.assert_allclose(y.data[mask], other(X[mask]).data, atol=1e-9)
    np.testing.assert_allclose(norm.running_mean.data, other.running_mean.data)


def test_each_step_may_have_statistics_of_its_own():
    class Normalised(nn.Cell):
        """h = tanh(BN(h_prev U) + BN(x W) + b), Cooijmans et al. 2017"""

        def __init__(self, D, H):
            self.input_size, self.state_size = D, H
            self.W = nn.Parameter(nn.init.glorot(D, H))
            self.U = nn.Parameter(nn.init.orthogonal(H, H))
            self.of_x, self.of_h = nn.BatchNorm(H, gain=0.1, steps=3), nn.BatchNorm(H, steps=3)

        def forward(self, x, h_prev):
            h = np.tanh(self.of_x(x @ self.W) + self.of_h(h_prev @ self.U))
            return h, h

    cell = Normalised(4, 2)
    nn.Unroll(cell)(X)
    means = 0.1 * (X[:3] @ cell.W.data).mean(axis=1)
    np.testing.assert_allclose(cell.of_x.running_mean.data[:2], means[:2], atol=1e-12)
    assert nn.check_cell(cell).ok
    nn.testing.check("lengths", lambda: Normalised(4, 2), X)


def paths(log_p, labels, blank):
    """P by summing over all ways."""
    total = 0.0
    for way in itertools.product(range(log_p.shape[1]), repeat=len(log_p)):
        merged = [k for k, _ in itertools.groupby(way)]
        if [k for k in merged if k != blank] == labels:
            total += np.exp(sum(log_p[t, k] for t, k in enumerate(way)))
    return total


def test_ctc_is_the_sum_over_all_ways():
    log_p = mg.log_softmax(numbers("ctc", (5, 4, 3)), axis=-1).data
    labels, lengths = [[1, 2], [], [2, 2], [1]], [5, 3, 4, 2]
    for blank, own in ((0, labels), (1, [[0, 2], [], [2, 2], [0]])):
        wanted = [-np.log(paths(log_p[:n, b], own[b], blank)) for b, n in enumerate(lengths)]
        found = nn.ctc_loss(log_p, own, lengths, blank=blank)
        np.testing.assert_allclose(found.data, np.mean(wanted), atol=1e-10)


def test_ctc_is_pytorchs_and_so_is_its_gradient():
    x = mg.tensor(X, requires_grad=True)
    loss = nn.ctc_loss(mg.log_softmax(x, axis=-1), [[1, 2, 2], [3], [2, 1]], [7, 4, 5])
    np.testing.assert_allclose(with_gradients(loss[None], [x]), STORED["ctc"], rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: nn.Conv1d(4, 2, 0), "kernel_size must be a positive integer, found 0"),
        (lambda: nn.Conv1d(4, 2, 3, padding="all"), "'same' or 'causal', found 'all'"),
        (lambda: nn.Conv1d(4, 2, 9)(X), r"at least 9 steps .* are needed, found \(7, 3, 4\)"),
        (lambda: nn.Conv1d(3, 2, 3)(X), r"x \(..., 3\) is needed, found \(7, 3, 4\)"),
        (lambda: nn.BatchNorm(4)(X[0, :1]), "at least two rows are needed in training, found 1"),
        (lambda: nn.BatchNorm(4)(X, mask=np.ones(7)), r"mask must be bool of shape \(7, 3\)"),
        (lambda: nn.ctc_loss(X, [[1], [2]]), "labels for 3 rows are needed, found 2"),
        (lambda: nn.ctc_loss(X, [[1], [0], [2]]), "without the blank 0 are needed, found 0"),
        (lambda: nn.ctc_loss(X, [[1], [4], [2]]), r"labels in 0...3 .* found 4 in row 1"),
        (lambda: nn.ctc_loss(X[:3], [[1], [2, 2], [2]], [3, 2, 3]), "row 1 need 3 steps, and it"),
        (lambda: nn.ctc_loss(X, [[1], [1.5], [2]]), r"row 1 must be integers \(S,\)"),
        (lambda: nn.ctc_loss(X[0], [[1]]), r"floats \(T, B, C\) are needed"),
        (lambda: nn.ctc_loss(X, [[1]] * 3, blank=9), "blank must be in 0...3, found 9"),
    ],
)
def test_bad_input_is_named(call, text):
    with pytest.raises(ValueError, match=text):
        call()
