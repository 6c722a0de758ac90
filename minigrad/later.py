"""Names of `minigrad` that are loaded when they are asked for."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import numpy as np

from minigrad import ops
from minigrad.habits import advice, explaining

MODULES = {
    "Breakpoint": "debugger",
    "clear_cache": "program",
    "compare": "render",
    "compile": "program",
    "debug": "debugger",
}


ANY_NUMBER = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
ELSEWHERE = {
    "flatten": "t.flatten()",
    "getitem": "t[index]",
    "sliding_window_view": "np.lib.stride_tricks.sliding_window_view(t, window_shape)",
}


def attribute(name: str) -> Any:
    """An attribute of `minigrad` that is not there yet.

    The debugger, the pictures and the programs take longer to load than all the rest.  Of any
    other name the error says what to write: `np.tan(t)` for `mg.tan`.
    """
    if name in MODULES:
        return getattr(importlib.import_module(f"minigrad.{MODULES[name]}"), name)
    remedy = advice(name) or in_numpy(name)
    raise AttributeError(f"module 'minigrad' has no attribute {name!r}{remedy}")


def in_numpy(name: str) -> str:
    """A semicolon and what to write for a function that has a gradient rule under NumPy's name."""
    function = ops.differentiable.get(name)
    if function is None:
        return ""
    for path, module in (("np", np), ("np.linalg", np.linalg)):
        if hasattr(module, name):
            given = inspect.signature(function).parameters.values()
            needed = [x.name for x in given if x.default is x.empty and x.kind not in ANY_NUMBER]
            return f"; write {path}.{name}({', '.join(needed) if len(needed) > 1 else 't'})"
    return f"; write {ELSEWHERE.get(name, f'np.{name}, which a later NumPy has')}"


def explained(value: Any) -> Any:
    """A function of ours that is plain Python: its error about an unknown keyword says what to
    write; others say so themselves."""
    if not inspect.isfunction(value):
        return value
    function = explaining(value)
    function.__module__ = "minigrad"  # where pickle finds it again
    return function
