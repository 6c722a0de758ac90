"""Clipping of parameters' gradients after a backward pass.

Gradients that cross a time step *during* the pass are the business of `Graph.clip_edges`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import anomaly
from minigrad.changes import Changes
from minigrad.functional import flatten
from minigrad.graph import Graph
from minigrad.norms import joint_norm
from minigrad.reports import record
from minigrad.tensor import Tensor

Arrays = NDArray[Any]
Gradients = dict[Tensor, Arrays]
EPSILON = 1e-6  # keeps max_norm / norm finite


def clip_grad_norm_(
    target: Any,
    max_norm: float,
    norm_type: float = 2.0,
    *,
    per_parameter: bool = False,
) -> float:
    """Scale all gradients together so that their norm is at most max_norm; returns the norm before.

    norm = (Σ |g|^p)^(1/p) over every entry of every gradient, summed in float64, with p = norm_type
    (may be inf); each gradient is multiplied by min(1, max_norm / (norm + 1e-6)).  per_parameter:
    each gradient by its own norm; the joint norm is returned all the same.  target: parameters, a
    module, a loss or a Graph. No gradients: 0.0.  Raises FloatingPointError when the norm is not
    finite: it names the parameter and, for a loss or a Graph, the first time step where the trouble
    appeared; then every gradient stays as it was. (Pascanu, Mikolov, Bengio 2013, On the difficulty
    of training recurrent neural networks.)

    >>> import minigrad as mg
    >>> w = mg.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> mg.clip_grad_norm_([w], max_norm=1.0), w.grad
    (5.0, tensor([0.6, 0.8]))
    """
    limit, p = check_limit("max_norm", max_norm), check_limit("norm_type", norm_type)
    if p == 0:
        raise ValueError("norm_type: a positive number or inf is needed, found 0")
    found = gradients(target, "clip_grad_norm_")
    groups = [{leaf: grad} for leaf, grad in found.items()] if per_parameter else [found]
    norms = [joint_norm(group.values(), p) for group in groups]
    if not all(map(math.isfinite, norms)):
        raise FloatingPointError(_beyond_float64(found))
    clipped: Gradients = {}
    for group, before in zip(groups, norms, strict=True):
        factor = min(1.0, limit / (before + EPSILON))
        if factor < 1:
            clipped |= {leaf: grad * factor for leaf, grad in group.items()}
        record("parameters", None, before, before * factor)
    assign(clipped)
    return joint_norm(norms, p) if per_parameter else norms[0]


def _beyond_float64(found: Gradients) -> str:
    """What to say when a norm overflows although every entry is finite."""
    peak, name = max(
        (float(np.abs(grad).max()), f"{leaf.name or 'a parameter'} {leaf.shape}")
        for leaf, grad in found.items()
    )
    largest = f"the largest gradient is that of {name}, up to {peak:.3g}"
    return f"clip_grad_norm_: the norm is beyond float64 ({largest}); no gradient was changed"


def clip_grad_value_(target: Any, clip_value: float) -> None:
    """Clip every entry of every gradient to [-clip_value, clip_value]; target and errors as in
    `clip_grad_norm_`.

    >>> import minigrad as mg
    >>> w = mg.tensor([3.0, -4.0], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> mg.clip_grad_value_([w], 3.5); w.grad
    tensor([ 3. , -3.5])
    """
    limit = check_limit("clip_value", clip_value)
    found = gradients(target, "clip_grad_value_")
    clipped = {leaf: np.clip(grad, -limit, limit) for leaf, grad in found.items()}
    record("parameters", None, joint_norm(found.values()), joint_norm(clipped.values()))
    assign(clipped)


def assign(clipped: Gradients) -> None:
    """Put new gradients in place, all or none."""
    changes = Changes()
    for leaf, grad in clipped.items():
        changes.grad(leaf, grad)
    changes.commit()


def check_limit(name: str, value: float) -> float:
    """A limit as a float; ValueError if it is negative or NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name}: a number is needed, found {type(value).__name__}: {value!r}")
    if not value >= 0:
        raise ValueError(f"{name}: a number ≥ 0 is needed, found {value}")
    return float(value)


def gradients(target: Any, what: str) -> Gradients:
    """The gradient of each parameter of the target that has one; FloatingPointError if some entry
    is not finite."""
    graph = target if isinstance(target, Graph) else None
    if graph is None and isinstance(target, Tensor) and target.op is not None:
        graph = Graph(target)
    found: Gradients = {}
    for name, leaf in _named_parameters(target, graph):
        if not isinstance(leaf, Tensor):
            wanted = "parameters, a module, a loss or a Graph is needed"
            raise TypeError(f"{what}: {wanted}, found {type(leaf).__name__}")
        if leaf.grad is None or leaf in found:
            continue
        found[leaf] = grad = leaf.grad.data
        wrong = grad.size - np.count_nonzero(np.isfinite(grad))
        if wrong:
            shown = name if name[:1] not in ("", "[") else leaf.name or f"parameter {name}"
            entries = f"{wrong} of {grad.size} entries are NaN or infinite"
            text = f"the gradient of {shown} is not finite: {entries}"
            where = anomaly.origin(graph, leaf)
            raise FloatingPointError(f"{what}: {text}{where}; no gradient was changed")
    return found


def _named_parameters(target: Any, graph: Graph | None) -> Iterable[tuple[str, Any]]:
    if graph is not None:
        return graph.parameters.items()
    return flatten([*target] if isinstance(target, Iterator) else target)
