"""Losses: one number, the mean over all examples.

Shapes are strict: (N, 1) against (N,) would broadcast silently, and raises with both shapes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

import minigrad as mg
from nn.module import FOLDER

Array = np.ndarray[Any, Any]
F = TypeVar("F", bound=Callable[..., Any])


def scoped(function: F) -> F:
    """A function whose operations belong to a scope of its name, as those of a module do."""

    @functools.wraps(function)
    def run(*args: Any, **keywords: Any) -> Any:
        with mg.scope(function.__name__, outside=FOLDER):
            return function(*args, **keywords)

    return run  # type: ignore[return-value]


@scoped
def mse_loss(y: Any, target: Any) -> mg.Tensor:
    """Mean squared error:  L = mean((y − target)²).

    Shapes: y and target the same.

    >>> import minigrad as mg, nn
    >>> nn.mse_loss(mg.tensor([1.0, 2.0]), [1.0, 4.0])
    tensor(2)
    """
    y, target = _same_shapes("mse_loss", y, target)
    return ((y - target) ** 2).mean()


@scoped
def binary_cross_entropy_with_logits(logits: Any, target: Any) -> mg.Tensor:
    """Cross-entropy of yes/no answers:  L = mean(softplus(a) − target a).

    A term is −log σ(a) where the target is 1, and −log(1 − σ(a)) where it is 0.
    Shapes: logits and target (floats in [0, 1]) the same.

    >>> import minigrad as mg, nn
    >>> nn.binary_cross_entropy_with_logits(mg.tensor([0.0, 1000.0]), [1.0, 1.0])
    tensor(0.346574)
    """
    a, target = _same_shapes("binary_cross_entropy_with_logits", logits, target)
    if np.any((target.data < 0) | (target.data > 1)):
        found = f"{target.data.min()} to {target.data.max()}"
        raise ValueError(
            f"binary_cross_entropy_with_logits: targets in [0, 1] are needed, found {found}"
        )
    return (mg.softplus(a) - target * a).mean()


@scoped
def cross_entropy(
    logits: Any, target: Any, *, ignore_index: int | None = None, weight: Any = None
) -> mg.Tensor:
    """Cross-entropy of classes:  L = −mean(log softmax(logits)[target]).

    Shapes: logits (..., C), target (...) integers in 0...C−1; weight (C).
    ignore_index: targets of this value do not count (padding).
    weight: the weight of each class, with which the mean is taken.

    >>> import numpy as np, nn
    >>> nn.cross_entropy(np.zeros((2, 4)), [3, 0])
    tensor(1.38629, dtype=float64)
    """
    logits, target = _classes("cross_entropy", logits, target, ignore_index)
    return _nll(mg.log_softmax(logits, axis=-1), target, weight)


@scoped
def nll_loss(
    log_p: Any, target: Any, *, ignore_index: int | None = None, weight: Any = None
) -> mg.Tensor:
    """Negative log-likelihood:  L = −mean(log_p[target]).

    `cross_entropy` is this after log_softmax.
    Shapes: log_p (..., C), target (...) integers in 0...C−1; weight (C).

    >>> import numpy as np, nn
    >>> nn.nll_loss(np.log([[0.5, 0.5]]), [1])
    tensor(0.693147, dtype=float64)
    """
    log_p, target = _classes("nll_loss", log_p, target, ignore_index)
    return _nll(log_p, target, weight)


def _nll(log_p: mg.Tensor, target: Any, weight: Any) -> mg.Tensor:
    if weight is None:
        return -mg.take_along_axis(log_p, target[..., None], axis=-1).mean()
    weight = np.asarray(getattr(weight, "data", weight), log_p.dtype)
    if weight.shape != log_p.shape[-1:]:
        raise ValueError(
            f"weight: one for each class {log_p.shape[-1:]} is needed, found shape {weight.shape}"
        )
    each = weight[target[..., None]]
    if not each.sum() > 0:
        raise ValueError(
            f"weight: the weights of the targets must sum to more than 0, found {each.sum()}"
        )
    return -(mg.take_along_axis(log_p, target[..., None], axis=-1) * each).sum() / each.sum()


def _same_shapes(who: str, y: Any, target: Any) -> tuple[mg.Tensor, mg.Tensor]:
    """Both as tensors; the target in the dtype of y."""
    y = y if isinstance(y, mg.Tensor) else mg.tensor(y)
    target = target if isinstance(target, mg.Tensor) else mg.tensor(target, dtype=y.dtype)
    if y.shape != target.shape:
        raise ValueError(
            f"{who}: y and target must have the same shape, found {y.shape} and {target.shape}"
        )
    if not y.size:
        raise ValueError(f"{who}: there is nothing to average over, found shape {y.shape}")
    return y, target


def _of_probabilities(logits: mg.Tensor, target: Array) -> str:
    """What to write where the targets are probabilities of the classes."""
    if target.shape != logits.shape or target.dtype.kind != "f":
        return ""
    return "; for probabilities write -(target * mg.log_softmax(logits)).sum(axis=-1).mean()"


def _classes(
    who: str, logits: Any, target: Any, ignore_index: int | None
) -> tuple[mg.Tensor, np.ndarray[Any, Any]]:
    """Scores as a tensor and targets as integers, checked, without those that are ignored."""
    logits = logits if isinstance(logits, mg.Tensor) else mg.tensor(logits)
    target = np.asarray(getattr(target, "data", target))
    if not logits.ndim or target.shape != logits.shape[:-1]:
        raise ValueError(
            f"{who}: logits (..., C) and target (...) are needed, "
            f"found {logits.shape} and {target.shape}{_of_probabilities(logits, target)}"
        )
    if target.dtype.kind not in "iu":
        raise TypeError(f"{who}: targets are class numbers, so integers; found {target.dtype}")
    if ignore_index is not None and np.any(target == ignore_index):
        keep = target != ignore_index
        logits, target = logits[keep], target[keep]
    wrong = (target < 0) | (target >= logits.shape[-1])
    if np.any(wrong):
        raise ValueError(
            f"{who}: targets in 0...{logits.shape[-1] - 1} are needed, found {target[wrong][0]}"
        )
    if not target.size:
        raise ValueError(
            f"{who}: there is nothing to average over (no targets, or all of them ignored)"
        )
    return logits, target
