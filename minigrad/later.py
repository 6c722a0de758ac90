"""Names of `minigrad` that are loaded when they are asked for."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from minigrad import ops
from minigrad.habits import advice, explaining

MODULES = {
    "Breakpoint": "debugger",
    "clear_cache": "program",
    "compare": "render",
    "compile": "program",
    "debug": "debugger",
}


def attribute(name: str) -> Any:
    """An attribute of `minigrad` that is not there yet.

    The debugger, the pictures and the programs take longer to load than all the rest.  Functions
    of NumPy that `minigrad` does not list are found too; `np.name(t)` is how they are written.
    """
    if name in MODULES:
        return getattr(importlib.import_module(f"minigrad.{MODULES[name]}"), name)
    if name in ops.differentiable:
        return explained(ops.differentiable[name])
    raise AttributeError(f"module 'minigrad' has no attribute {name!r}{advice(name)}")


def explained(value: Any) -> Any:
    """A function of ours that is plain Python: its error about an unknown keyword says what to
    write; others say so themselves."""
    return explaining(value) if inspect.isfunction(value) else value
