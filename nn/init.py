"""Initial values of parameters: arrays of the default dtype.

`rng` is a NumPy generator or a seed; without it the generator that `mg.seed` sets is used.
Constant ones take it too, so that initialisers can change places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

import minigrad as mg
from nn import habits

Array = np.ndarray[Any, Any]
# as text, because numpy.random is loaded when it is first used
Rng: TypeAlias = "np.random.Generator | int | None"


def zeros(*shape: int, rng: Rng = None) -> Array:
    """All 0; for biases.

    >>> import nn
    >>> nn.init.zeros(3)
    array([0., 0., 0.], dtype=float32)
    """
    return np.zeros(shape, mg.get_default_dtype())


def ones(*shape: int, rng: Rng = None) -> Array:
    """All 1; for gains.

    >>> import nn
    >>> nn.init.ones(2)
    array([1., 1.], dtype=float32)
    """
    return np.ones(shape, mg.get_default_dtype())


def constant(*shape: int, value: float, rng: Rng = None) -> Array:
    """All `value`.

    >>> import nn
    >>> nn.init.constant(2, value=0.5)
    array([0.5, 0.5], dtype=float32)
    """
    return np.full(shape, value, mg.get_default_dtype())


def uniform(*shape: int, low: float = -0.1, high: float = 0.1, rng: Rng = None) -> Array:
    """Uniform in [low, high).

    >>> import nn
    >>> bool(abs(nn.init.uniform(100, rng=0)).max() <= 0.1)
    True
    """
    if not low <= high:
        raise ValueError(f"uniform: low <= high is needed, found low={low}, high={high}")
    return generator(rng).uniform(low, high, shape).astype(mg.get_default_dtype())


def normal(*shape: int, std: float = 1.0, rng: Rng = None) -> Array:
    """Normal with mean 0 and standard deviation `std`.

    >>> import nn
    >>> bool(1.9 < nn.init.normal(10_000, std=2.0, rng=0).std() < 2.1)
    True
    """
    return (std * generator(rng).standard_normal(shape)).astype(mg.get_default_dtype())


def glorot(*shape: int, gain: float = 1.0, rng: Rng = None) -> Array:
    """Uniform in ±gain √(6 / (fan_in + fan_out)): layers around 0 keep the variance.

    Glorot & Bengio 2010.  Shapes: (fan_in, fan_out), or (..., fan_in, fan_out).

    >>> import nn
    >>> nn.init.glorot(3, 4).shape
    (3, 4)
    """
    fan_in, fan_out = _fans("glorot", shape)
    limit = gain * float(np.sqrt(6 / (fan_in + fan_out)))
    return uniform(*shape, low=-limit, high=limit, rng=rng)


def he(*shape: int, rng: Rng = None) -> Array:
    """Normal with variance 2 / fan_in, for relu, which drops half of the signal.

    He et al. 2015.  Shapes: (fan_in, fan_out), or (..., fan_in, fan_out).

    >>> import nn
    >>> bool(0.9 < nn.init.he(200, 100, rng=0).std() * 10 < 1.1)
    True
    """
    return normal(*shape, std=float(np.sqrt(2 / _fans("he", shape)[0])), rng=rng)


def orthogonal(*shape: int, gain: float = 1.0, rng: Rng = None) -> Array:
    """A random matrix whose rows or columns (the fewer) are orthonormal, times gain.

    A recurrent weight that is orthogonal neither shrinks nor stretches the state at the start of
    training (Saxe et al. 2013).  Shapes: (n, m).

    >>> import numpy as np, nn
    >>> W = nn.init.orthogonal(3, 3)
    >>> bool(np.allclose(W @ W.T, np.eye(3), atol=1e-6))
    True
    """
    _fans("orthogonal", shape)
    if len(shape) != 2:
        raise ValueError(f"orthogonal: a shape (n, m) is needed, found {shape}")
    n, m = shape
    q, r = np.linalg.qr(generator(rng).standard_normal((max(n, m), min(n, m))))
    q = q * np.sign(np.diag(r))  # makes the distribution uniform (Mezzadri 2007)
    return (gain * (q if n >= m else q.T)).astype(mg.get_default_dtype())


def gates(*matrices: Array) -> Array:
    """Matrices of several gates side by side, as packed weights hold them.

    Shapes: n times (D, H) give (D, n H).
    """
    return np.concatenate(matrices, axis=-1)


def _fans(who: str, shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) < 2 or not all(n > 0 for n in shape[-2:]):
        raise ValueError(
            f"{who}: a shape (fan_in, fan_out) of positive sizes is needed, found {shape}"
        )
    return shape[-2], shape[-1]


def generator(rng: Rng) -> np.random.Generator:
    """The generator that `rng` stands for."""
    return mg.generator() if rng is None else np.random.default_rng(rng)


if not TYPE_CHECKING:  # so that type checkers still reject unknown names

    def __getattr__(name: str) -> object:
        raise AttributeError(f"nn.init has no {name!r}{habits.advice(habits.OF_INIT, name)}")
