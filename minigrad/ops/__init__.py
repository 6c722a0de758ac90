"""Differentiable functions under NumPy's names, by family; and how NumPy's own functions find them."""

from typing import Any

from minigrad.ops.arithmetic import *  # noqa: F403

METHODS: set[str] = set()


def call_ufunc(ufunc: Any, method: str, inputs: Any, keywords: Any) -> Any:
    """NumPy called a ufunc on a tensor."""
    return globals()[ufunc.__name__](*inputs)
