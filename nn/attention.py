"""Attention: a query looks at a sequence.

`context, weights = attention(query, keys, values=None, mask=None)`, time-major as everywhere:
query (B, Q), or (T, B, Q) for T queries at once; keys (S, B, K); values (S, B, V), by default the
keys; weights (S, B), or (T, S, B), which sum to 1 over S; context (B, V), or (T, B, V).
mask: bool (S, B), True where a row may look, as `lengths_mask(lengths, S)` gives it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg
from nn import init
from nn.checks import positive
from nn.module import Module
from nn.parameter import Parameter


def attend(scores: mg.Tensor, values: mg.Tensor, mask: Any = None) -> tuple[mg.Tensor, mg.Tensor]:
    """weights = softmax of the scores over S,  context = Σ weights values.

    Shapes: scores (..., S, B), values (S, B, V), mask (S, B); context (..., B, V),
    weights (..., S, B).
    Raises ValueError for a mask of another shape or dtype, or one that is False in a whole row.

    >>> import minigrad as mg, nn
    >>> values = mg.tensor([[[1.0, 2.0]], [[3.0, 6.0]]])
    >>> context, weights = nn.attend(mg.tensor([[0.0], [0.0]]), values)
    >>> context
    tensor([[2., 4.]])
    """
    if mask is not None:
        mask = np.asarray(getattr(mask, "data", mask))
        if mask.dtype.kind != "b" or mask.shape != scores.shape[-2:]:
            found = f"{mask.dtype} of shape {mask.shape}"
            raise ValueError(
                f"attention: mask must be bool of shape (S, B) = {scores.shape[-2:]}, found {found}"
            )
        if not mask.any(axis=0).all():
            row = int(np.argmin(mask.any(axis=0)))
            raise ValueError(f"attention: row {row} of the mask allows no step at all")
        scores = mg.where(mask, scores, -np.inf)
    weights = mg.softmax(scores, axis=-2)
    context = (weights[..., None] * values).sum(axis=-3)
    return context, weights


class _Attention(Module):
    """Base of the kinds of attention, each of which writes `scores(query, keys)`.

    Shapes: query (..., 1, B, Q), keys (S, B, K), scores (..., S, B).
    """

    scores: Callable[..., mg.Tensor]

    def forward(
        self, query: mg.Tensor, keys: mg.Tensor, values: mg.Tensor | None = None, mask: Any = None
    ) -> tuple[mg.Tensor, mg.Tensor]:
        """The context and the weights."""
        values = keys if values is None else values
        if keys.ndim != 3 or query.ndim not in (2, 3) or query.shape[-2] != keys.shape[1]:
            found = f"{query.shape} and {keys.shape}"
            raise ValueError(
                f"{self.scope_name}: query (B, Q) or (T, B, Q) and keys (S, B, K) are needed, "
                f"found {found}"
            )
        if values.shape[:2] != keys.shape[:2]:
            raise ValueError(
                f"{self.scope_name}: values {values.shape} and keys {keys.shape} differ in S or B"
            )
        return attend(self.scores(mg.expand_dims(query, -3), keys), values, mask)


class DotAttention(_Attention):
    """
    e_s = query · key_s / √K

    Vaswani et al. 2017; scaled=False leaves the root out (Luong et al. 2015).  Q = K.

    >>> import numpy as np, nn
    >>> context, weights = nn.DotAttention()(np.zeros((2, 4)), np.ones((5, 2, 4)))
    >>> context.shape, weights.shape
    ((2, 4), (5, 2))
    """

    def __init__(self, scaled: bool = True) -> None:
        self.scaled = scaled

    def scores(self, query: mg.Tensor, keys: mg.Tensor) -> mg.Tensor:
        """One number for each key."""
        if query.shape[-1] != keys.shape[-1]:
            raise ValueError(
                f"{self.scope_name}: query and keys need the same size, "
                f"found {query.shape} and {keys.shape}"
            )
        e = (query * keys).sum(axis=-1)
        return e / float(np.sqrt(keys.shape[-1])) if self.scaled else e


class GeneralAttention(_Attention):
    """
    e_s = query W · key_s

    Luong et al. 2015.  W (Q, K) starts as `init.glorot`.

    >>> import numpy as np, nn
    >>> mask = nn.lengths_mask([5, 2], steps=5)
    >>> context, weights = nn.GeneralAttention(3, 4)(np.ones((2, 3)), np.ones((5, 2, 4)), mask=mask)
    >>> weights.data[:, 1]
    array([0.5, 0.5, 0. , 0. , 0. ], dtype=float32)
    """

    def __init__(self, query_size: int, key_size: int, rng: init.Rng = None) -> None:
        positive("GeneralAttention", query_size=query_size, key_size=key_size)
        self.W = Parameter(init.glorot(query_size, key_size, rng=rng))

    def scores(self, query: mg.Tensor, keys: mg.Tensor) -> mg.Tensor:
        """One number for each key."""
        return (query @ self.W * keys).sum(axis=-1)


class AdditiveAttention(_Attention):
    """
    e_s = tanh(query W + key_s U) · v

    Bahdanau et al. 2015.  W (Q, A), U (K, A), v (A) start as `init.glorot`.

    >>> import numpy as np, nn
    >>> context, weights = nn.AdditiveAttention(3, 4, 8)(np.ones((7, 2, 3)), np.ones((5, 2, 4)))
    >>> context.shape, weights.shape
    ((7, 2, 4), (7, 5, 2))
    """

    def __init__(self, query_size: int, key_size: int, size: int, rng: init.Rng = None) -> None:
        positive("AdditiveAttention", query_size=query_size, key_size=key_size, size=size)
        rng = init.generator(rng)
        self.W = Parameter(init.glorot(query_size, size, rng=rng))
        self.U = Parameter(init.glorot(key_size, size, rng=rng))
        self.v = Parameter(init.glorot(size, 1, rng=rng)[:, 0])

    def scores(self, query: mg.Tensor, keys: mg.Tensor) -> mg.Tensor:
        """One number for each key."""
        return mg.tanh(query @ self.W + keys @ self.U) @ self.v
