"""Gradient rules against finite differences of the operation, on the arrays of one of its calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.gradcheck import GradcheckError, gradcheck
from minigrad.tensor import Tensor

AGREEMENT = 1e-5  # relative error of a derivative in float64


def rules_of(node: Tensor) -> dict[int, Any]:
    """The rules that run when a pass visits a node, by the number of the input."""
    op = node.op
    if op is None:
        return {}
    rules = [op.joint] * len(node.inputs) if op.joint else op.rules
    pairs = enumerate(zip(node.inputs, rules))
    return {k: rule for k, (x, rule) in pairs if x.requires_grad and rule}


def check_rule(node: Tensor, k: int) -> str:
    """Whether the rule for input k is what finite differences of the forward say.

    First on the arrays of that very call; beside it if there is a kink; and where the operation is
    too flat there to tell, at a point drawn around 0.
    """
    x = np.asarray(node.arrays[k], np.float64)
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        here = _compare(node, k, x)
        if here.startswith("too flat"):
            elsewhere = _compare(node, k, rng.standard_normal(x.shape))
            return f"{elsewhere}, at numbers around 0: it is {here}"
        if here.startswith("DISAGREES"):
            beside = _compare(node, k, x + 1e-3 * rng.uniform(0.5, 1, x.shape))
            if beside.startswith("agrees"):
                return "agrees with finite differences beside a kink"
    return here


def _compare(node: Tensor, k: int, x: Any) -> str:
    """The rule for input k against finite differences at x, the other inputs as they were."""

    def forward(x: Any) -> Any:
        return node.op.record(*node.arrays[:k], x, *node.arrays[k + 1 :], **node.constants)

    y = forward(x)
    if isinstance(y, Tensor) and y.dtype != np.float64:
        return f"cannot be checked: the operation gives {y.dtype}"
    try:
        report = gradcheck(forward, x, tolerance=AGREEMENT)
    except GradcheckError as error:
        worst = error.worst
        assert worst is not None
        both = f"{worst.analytic:.4g} against {worst.numeric:.4g}"
        return f"DISAGREES with finite differences: {both}"
    saturated = x.size and report.worst.analytic == report.worst.numeric == 0
    if saturated or not report:
        return "too flat here to tell"
    return f"agrees with finite differences to {AGREEMENT:g}"
