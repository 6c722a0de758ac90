"""Clipping of parameters' gradients after a backward pass.  Imports `graph`, `anomaly`, `functional`, `reports`.

Gradients that cross a time step *during* the pass are the business of `Graph.clip_edges`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import anomaly
from minigrad.functional import flatten
from minigrad.graph import Graph
from minigrad.reports import record
from minigrad.tensor import Tensor

Arrays = NDArray[Any]
Gradients = dict[Tensor, Arrays]
EPSILON = 1e-6  # keeps max_norm / norm finite


def clip_grad_norm_(target: Any, max_norm: float, norm_type: float = 2.0) -> float:
    """Scale all gradients together so that their norm is at most max_norm; returns the norm before.

    norm = (Σ |g|^p)^(1/p) over every entry of every gradient, summed in float64, with p = norm_type (may be inf);
    each gradient is multiplied by min(1, max_norm / (norm + 1e-6)).  target: parameters, a module, a loss or a Graph.
    No gradients: 0.0.  Raises FloatingPointError when the norm is not finite: it names the parameter and, for a loss
    or a Graph, the first time step where the trouble appeared; then every gradient stays as it was.
    (Pascanu, Mikolov, Bengio 2013, On the difficulty of training recurrent neural networks.)

    >>> import minigrad as mg
    >>> w = mg.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> mg.clip_grad_norm_([w], max_norm=1.0), w.grad
    (5.0, tensor([0.6, 0.8]))
    """
    return _scale("clip_grad_norm_", [gradients(target, "clip_grad_norm_")], max_norm, norm_type)[0]


def clip_grad_blocks_(target: Any, max_norm: float, norm_type: float = 2.0) -> list[float]:
    """`clip_grad_norm_` of each parameter by itself; returns their norms before.

    >>> import minigrad as mg
    >>> w, b = mg.tensor([3.0, 4.0], requires_grad=True), mg.tensor(0.5, requires_grad=True)
    >>> ((w * w).sum() / 2 + b / 2).backward()
    >>> mg.clip_grad_blocks_([w, b], max_norm=1.0), w.grad, b.grad
    ([5.0, 0.5], tensor([0.6, 0.8]), tensor(0.5))
    """
    blocks = [{leaf: grad} for leaf, grad in gradients(target, "clip_grad_blocks_").items()]
    return _scale("clip_grad_blocks_", blocks, max_norm, norm_type)


def _scale(what: str, groups: list[Gradients], max_norm: float, norm_type: float) -> list[float]:
    """Each group of gradients down to the limit; returns their norms before."""
    limit, p = check_limit("max_norm", max_norm), check_limit("norm_type", norm_type)
    if p == 0:
        raise ValueError("norm_type: a positive number or inf is needed, found 0")
    norms = [norm(group.values(), p) for group in groups]
    if not all(map(math.isfinite, norms)):
        peak, name = max(
            (np.abs(dx).max(), f"{x.name or 'a parameter'} {x.shape}")
            for g in groups
            for x, dx in g.items()
        )
        largest = f"the largest gradient is that of {name}, up to {peak:.3g}"
        raise FloatingPointError(
            f"{what}: the norm is beyond float64 ({largest}); no gradient was changed"
        )
    for group, before in zip(groups, norms, strict=True):
        factor = min(1.0, limit / (before + EPSILON))
        for leaf, grad in group.items() if factor < 1 else ():
            leaf.grad = grad * factor
        record("parameters", None, before, before * factor)
    return norms


def clip_grad_value_(target: Any, clip_value: float) -> None:
    """Clip every entry of every gradient to [-clip_value, clip_value]; target and errors as in `clip_grad_norm_`.

    >>> import minigrad as mg
    >>> w = mg.tensor([3.0, -4.0], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> mg.clip_grad_value_([w], 3.5); w.grad
    tensor([ 3. , -3.5])
    """
    limit = check_limit("clip_value", clip_value)
    _limit_each(target, "clip_grad_value_", lambda leaf, grad: np.clip(grad, -limit, limit))


def clip_grad_adaptive_(target: Any, ratio: float = 0.01, epsilon: float = 1e-3) -> None:
    """Limit the gradient of each unit to `ratio` times the norm of its weights (at least epsilon).

    A unit is a column of a weight matrix W (D, H) and the whole of a vector: ‖g‖ ≤ ratio · max(‖W‖, epsilon).
    (Brock, De, Smith, Simonyan 2021, High-performance large-scale image recognition without normalization.)

    >>> import minigrad as mg
    >>> W = mg.tensor([[3.0, 0.1], [4.0, 0.0]], requires_grad=True)
    >>> W.sum().backward()
    >>> mg.clip_grad_adaptive_([W], ratio=0.1); W.grad
    tensor([[0.3536, 0.0071],
            [0.3536, 0.0071]])
    """
    limit, least = check_limit("ratio", ratio), check_limit("epsilon", epsilon)

    def limited(leaf: Tensor, grad: Arrays) -> Arrays:
        (weight, weights), (peak, norms) = _unit_norms(leaf.data), _unit_norms(grad)
        longest = limit * np.maximum(weight * weights, least)
        return np.where(
            norms > longest / peak, grad / peak * (longest / np.maximum(norms, 1)), grad
        )

    _limit_each(target, "clip_grad_adaptive_", limited)


def _unit_norms(array: Arrays) -> tuple[Arrays, Arrays]:
    """The largest entry of each unit, and its norm as a multiple of that, so that no square leaves the range."""
    axis = tuple(range(array.ndim - 1)) if array.ndim > 1 else None
    peak = np.max(np.abs(array, dtype=np.float64), axis=axis, keepdims=True, initial=1e-300)
    return peak, np.sqrt(np.sum(np.square(array / peak), axis=axis, keepdims=True))


def _limit_each(target: Any, what: str, limited: Callable[[Tensor, Arrays], Arrays]) -> None:
    found = gradients(target, what)
    clipped = {leaf: limited(leaf, grad) for leaf, grad in found.items()}
    record("parameters", None, norm(found.values()), norm(clipped.values()))
    for leaf, grad in clipped.items():
        leaf.grad = grad


def check_limit(name: str, value: float) -> float:
    """A limit as a float; ValueError if it is negative or NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name}: a number is needed, found {type(value).__name__}: {value!r}")
    if not value >= 0:
        raise ValueError(f"{name}: a number ≥ 0 is needed, found {value}")
    return float(value)


def norm(arrays: Iterable[Any], p: float = 2.0) -> float:
    """(Σ |a|^p)^(1/p) over all entries, in float64; not even the largest floats overflow on the way."""
    parts = [np.asarray(array, np.float64) for array in arrays]
    square = sum([float(np.vdot(part, part)) for part in parts])
    if p == 2 and 1e-200 < square < math.inf:
        return math.sqrt(square)
    peak = float(np.max([np.max(np.abs(part), initial=0.0) for part in parts], initial=0.0))
    if p == math.inf or peak == 0 or not math.isfinite(peak):
        return peak
    return float(peak * sum(float(np.sum((np.abs(part) / peak) ** p)) for part in parts) ** (1 / p))


def gradients(target: Any, what: str) -> Gradients:
    """The gradient of each parameter of the target that has one; FloatingPointError if some entry is not finite."""
    graph = (
        target
        if isinstance(target, Graph)
        else Graph(target)
        if getattr(target, "op", None)
        else None
    )
    named = (
        graph.parameters.items()
        if graph
        else flatten([*target] if isinstance(target, Iterator) else target)
    )
    found: Gradients = {}
    for name, leaf in named:
        if not isinstance(leaf, Tensor):
            raise TypeError(
                f"{what}: parameters, a module, a loss or a Graph is needed, found {type(leaf).__name__}"
            )
        if leaf.grad is not None and leaf not in found:
            found[leaf] = grad = leaf.grad.data
            if wrong := grad.size - np.count_nonzero(np.isfinite(grad)):
                name = name if name[:1] not in ("", "[") else leaf.name or f"parameter {name}"
                text = f"the gradient of {name} is not finite: {wrong} of {grad.size} entries are NaN or infinite"
                raise FloatingPointError(
                    f"{what}: {text}{anomaly.origin(graph, leaf)}; no gradient was changed"
                )
    return found
