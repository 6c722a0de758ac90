"""State dictionaries: arrays by name, compared with what is needed before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def match_entries(who: str, own: Mapping[str, Any], state: Any) -> dict[str, Array]:
    """The entries of `state` as arrays, if they have the names and shapes of `own`.

    Raises ValueError that lists every missing, unexpected and misshapen entry, and every one whose
    numbers its dtype does not have: 2.7 for integers, 1e300 for float32.
    """
    given = as_arrays(who, state)
    problems = [f"missing: {name} {np.shape(own[name])}" for name in own if name not in given]
    problems += [f"unexpected: {name} {given[name].shape}" for name in given if name not in own]
    for name in own:
        if name in given:
            problems += _mismatch(name, own[name], given[name])
    raise_problems(who, problems)
    return given


def as_arrays(who: str, state: Any) -> dict[str, Array]:
    """The entries of a state dict as arrays."""
    if not isinstance(state, Mapping):
        found = type(state).__name__
        raise TypeError(f"{who}: what a state_dict() gave is needed, found {found}")
    return {name: np.asarray(value) for name, value in state.items()}


def raise_problems(who: str, problems: list[str]) -> None:
    """Raise one ValueError that lists all problems, if there are any."""
    if problems:
        raise ValueError(f"{who}: nothing was loaded;\n  " + "\n  ".join(problems))


def _mismatch(name: str, own: Any, found: Array) -> list[str]:
    if found.shape != np.shape(own):
        return [f"shape of {name}: {np.shape(own)} is needed, found {found.shape}"]
    if found.dtype.kind not in "biuf":
        return [f"dtype of {name}: numbers are needed, found {found.dtype}"]
    if isinstance(own, np.ndarray):  # else a Python number, which has any value
        wrong = ~_representable(found, own.dtype)
        if np.any(wrong):
            return [f"{name}: {own.dtype} does not have the number {found[wrong][0]}"]
    return []


def _representable(values: Array, dtype: np.dtype[Any]) -> Any:
    """Which numbers a dtype has; of a floating one, up to rounding."""
    if values.dtype == dtype:
        return np.True_
    with np.errstate(all="ignore"):
        cast = values.astype(dtype)
    if dtype.kind == "f":
        return np.isfinite(cast) | ~np.isfinite(values)
    return cast == values
