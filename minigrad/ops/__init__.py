"""Differentiable functions under NumPy's names, by family.

Operators and methods of tensors find them in `operators.functions`; `protocol` leads NumPy's own
functions here, so that every one of them is `np.name(t)`.  `minigrad` itself shows those that
NumPy lacks and those that cells are written with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad.operators import functions
from minigrad.ops import (
    activations,
    arithmetic,
    composite,
    decompositions,
    elementwise,
    indexing,
    joining,
    linalg,
    nondifferentiable,
    ordering,
    products,
    protocol,
    rearrange,
    reductions,
    selection,
    shaping,
)

FAMILIES = (
    *(activations, arithmetic, composite, decompositions, elementwise, indexing, joining, linalg),
    *(nondifferentiable, ordering, products, rearrange, reductions, selection, shaping),
)
differentiable: dict[str, Callable[..., Any]] = {
    name: getattr(family, name) for family in FAMILIES for name in family.__all__
}

protocol.fill(differentiable, linalg.OF_LINALG)
functions |= {name: protocol.direct(function) for name, function in differentiable.items()}
functions |= {
    "call_ufunc": protocol.call_ufunc,
    "call_function": protocol.call_function,
}

globals().update(differentiable)
__all__ = list(differentiable)
