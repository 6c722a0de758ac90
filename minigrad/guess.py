"""The loss of a guess that does not look at the inputs: what a training has to beat.

A squared error and a cross-entropy are known by the operations that they are made of, also where
the program writes them out; of any other loss nothing is said.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad.graph import Graph
from minigrad.norms import array_of
from minigrad.tensor import Tensor

REDUCTIONS = ("mean", "sum")
SCALES = ("negative", "multiply", "divide")


class ConstantGuess:
    """The best constant for the targets of all passes so far.

    For each feature of the targets it pools their number and sum; for classes, how often each is
    wanted.
    """

    def __init__(self) -> None:
        self._count = 0
        self._total: Any = 0.0
        self._classes = np.zeros(0)

    def loss(self, graph: Graph) -> float:
        """What that constant would lose in this pass; NaN for a loss of another kind."""
        loss = graph.outputs[0]
        each, names = _summed(loss)
        if each.op is None or set(REDUCTIONS).isdisjoint(names):
            return math.nan
        if (target := _squared_target(each)) is not None:
            guess = self._squared_error(target)
        elif (classes := _wanted_classes(each)) is not None:
            guess = -self._cross_entropy(classes)  # a sum of logarithms, as `each` holds them
        else:
            return math.nan
        if names == ["mean"]:
            return guess
        if names == ["negative", "mean"]:
            return -guess
        now = float(np.mean(each._array))
        return guess * loss.item() / now if now else math.nan

    def _squared_error(self, target: NDArray[Any]) -> float:
        rows = target.reshape(-1, target.shape[-1] if target.ndim > 1 else 1).astype(np.float64)
        if np.shape(self._total) not in ((), rows.shape[1:]):  # another loss of other targets
            return math.nan
        self._count += len(rows)
        self._total = self._total + np.add.reduce(rows, axis=0)
        gap = rows - self._total / self._count
        return float(np.vdot(gap, gap)) / gap.size

    def _cross_entropy(self, classes: NDArray[Any]) -> float:
        size = max(len(self._classes), int(classes.max()) + 1)
        seen = np.bincount(classes.ravel(), minlength=size).astype(float)
        seen[: len(self._classes)] += self._classes
        self._classes = seen
        return float(np.log(seen.sum()) - np.mean(np.log(seen[classes])))


def _summed(loss: Tensor) -> tuple[Tensor, list[str]]:
    """What a loss is the sum or mean of, and the operations that lead to the loss."""
    node, names = loss, list[str]()
    while node.op is not None and node.op.name in (*SCALES, *REDUCTIONS):
        inner = [x for x in node.inputs if x.requires_grad]
        rest = [x for x in node.inputs if not x.requires_grad]
        if len(inner) != 1 or any(x.size > 1 for x in rest):
            break
        names.append(node.op.name)
        node = inner[0]
    return node, names


def _squared_target(each: Tensor) -> NDArray[Any] | None:
    """The targets of (y − target)², however it is written."""
    name, inputs = each.op.name, each.inputs
    is_square = name == "square" or (name == "multiply" and inputs[0] is inputs[1])
    if name == "power" and inputs[1].size == 1:
        is_square = float(array_of(inputs[1]).item()) == 2
    gap = inputs[0]
    if not is_square or gap.op is None or gap.op.name != "subtract":
        return None
    constants = [x for x in gap.inputs if not x.requires_grad]
    if len(constants) != 1 or constants[0].shape != gap.shape or not gap.ndim:
        return None
    return array_of(constants[0])


def _wanted_classes(each: Tensor) -> NDArray[Any] | None:
    """The classes whose log-probabilities are taken out of a log_softmax over the last axis."""
    if each.op.name != "getitem" or each.inputs[0].op is None:
        return None
    scores, index = each.inputs[0], each.constants["index"]
    if scores.op.name != "log_softmax" or not isinstance(index, tuple):
        return None
    wanted = index[-1]
    is_index = isinstance(wanted, np.ndarray) and wanted.dtype.kind in "iu" and wanted.size > 0
    return wanted if is_index and len(index) == scores.ndim else None
