"""Checks of arguments; every error names the argument and shows what was found."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from nn.module import Module


def positive(who: str, **sizes: Any) -> None:
    """Raise ValueError unless every size is a positive integer."""
    for name, size in sizes.items():
        if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{who}: {name} must be a positive integer, found {size!r}")


def in_range(who: str, below: float = np.inf, **numbers: Any) -> None:
    """Raise ValueError unless every number is in [0, below)."""
    for name, value in numbers.items():
        if not _is_number(value) or not 0 <= value < below:
            wanted = "0 or more" if below == np.inf else f"in [0, {below})"
            raise ValueError(f"{who}: {name} must be {wanted}, found {value!r}")


def flags(who: str, **values: Any) -> None:
    """Raise TypeError unless every value is True or False."""
    for name, value in values.items():
        if not isinstance(value, bool):
            raise TypeError(f"{who}: {name} must be True or False, found {value!r}")


def check_features(module: Module, x: Any, size: int) -> None:
    """Raise unless x is a tensor of floats (..., size)."""
    if not isinstance(x, mg.Tensor) or x.dtype.kind != "f":
        found = getattr(x, "dtype", type(x).__name__)
        raise TypeError(
            f"{module.scope_name}: x must hold floats, found {found}; "
            f"write np.asarray(x, np.{module.dtype})"
        )
    if not x.ndim or x.shape[-1] != size:
        raise ValueError(f"{module.scope_name}: x (..., {size}) is needed, found {x.shape}")


def _is_number(value: Any) -> bool:
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf"
