"""Doors out of the graph: which call takes a tensor's numbers, and what keeps the history.

NumPy and Python ask a tensor for its numbers through `__array__` and `__float__`, and do not say
what for.  The instruction of the caller says it: `a[i] = t` is another one than `float(t)`.
"""

from __future__ import annotations

import ast
import os
from functools import lru_cache
from opcode import opname
from types import CodeType, FrameType

import numpy as np

from minigrad.scope import caller, in_engine
from minigrad.source import Source

NUMPY = os.path.dirname(np.__file__)
STORE = "a[i] = t"  # what `entered` says of an assignment to an element

NUMBER = "as a Python number it would drop out of the graph unnoticed"
ARRAY = "as a NumPy array it would drop out of the graph unnoticed"
STACK = "collect the tensors in a list and write np.stack(list)"

# Called with a tensor, these ask for its number: (name, what keeps the history).
TAKES_A_NUMBER = {
    STORE: STACK,
    "fill": "write t + np.zeros(shape), or np.broadcast_to(t, shape)",
    "fromiter": STACK,
    "array": "use the tensor itself as an array",
    "fsum": "write np.sum(t), or sum(list) for a list of tensors",
    "pow": "write t ** n",
    "hypot": "write np.hypot(a, b)",
    "dist": "write np.linalg.norm(a - b)",
    "atan2": "write np.arctan2(a, b)",
    "fmod": "write np.fmod(a, b)",
    "copysign": "write np.copysign(a, b)",
    "fabs": "write np.abs(t)",
    "erf": "give it a gradient rule with @mg.primitive",
    **{f"a{name}": f"write np.arc{name}(t)" for name in ("sin", "cos", "tan")},
    **{f"a{name}": f"write np.arc{name}(t)" for name in ("sinh", "cosh", "tanh")},
    **{name: f"write np.{name}(t)" for name in ("exp", "exp2", "expm1", "log", "log1p", "log2")},
    **{name: f"write np.{name}(t)" for name in ("log10", "sqrt", "cbrt", "sin", "cos", "tan")},
    **{name: f"write np.{name}(t)" for name in ("sinh", "cosh", "tanh", "degrees", "radians")},
}

# Called with a tensor, these ask for an array, or for a function of NumPy that has no rule.
TAKES_AN_ARRAY = {
    "dot": "write np.dot(array, t)",
    "full": "write np.broadcast_to(t, shape)",
    "full_like": "write np.broadcast_to(t, array.shape)",
    "arange": "write t * np.arange(n)",
    "copyto": "write np.where(mask, t, array)",
    "put": "write np.where(mask, t, array)",
    "putmask": "write np.where(mask, t, array)",
    "place": "write np.where(mask, t, array)",
    "clip": "write np.clip(array, low, high)",
    "normal": "write mean + deviation * rng.standard_normal(shape)",
    "uniform": "write low + (high - low) * rng.random(shape)",
    "choice": "write t[rng.integers(len(t), size=n)]",
    "vectorize": "write the function on whole arrays",
    "apply_along_axis": "write the function on whole arrays, with axis=",
    "piecewise": "write np.where(condition, a, b)",
    "at": "write np.stack, np.where, or array + t",
    **{name: f"write t.astype(np.{name})" for name in ("int64", "int32", "intp", "float32")},
    "r_": "write np.concatenate([a, b])",
    "c_": "write np.column_stack([a, b])",
    "as_strided": "write np.lib.stride_tricks.sliding_window_view(t, window)",
    "eig": "eigenvalues may be complex; write np.linalg.eigh(t) for a symmetric matrix",
    "eigvals": "eigenvalues may be complex; write np.linalg.eigvalsh(t) for a symmetric matrix",
}


@lru_cache(maxsize=512)
def entered(code: CodeType, instruction: int) -> str:
    """What an instruction hands its operand to: `STORE`, or the last name of what it calls; ""
    where neither is known."""
    if opname[code.co_code[instruction]] in ("STORE_SUBSCR", "STORE_SLICE"):
        return STORE
    try:
        expression = ast.parse(Source(code, instruction).expression, mode="eval").body
    except SyntaxError:
        return ""
    function = expression
    while isinstance(function, ast.Call):  # twice in np.vectorize(f)(t)
        function = function.func
    if isinstance(function, ast.Subscript):  # np.r_[t, u]
        function = function.value
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def number_leaves(frame: FrameType) -> str:
    """What to write instead, where this frame takes the number of a tensor to compute with it; ""
    where it converts it by name, as float(t) does.

    NumPy hides what `__float__` raises behind "setting an array element with a sequence", and keeps
    it as the cause.
    """
    if in_engine[frame.f_code.co_filename]:
        return ""
    name = entered(frame.f_code, frame.f_lasti)
    if name not in TAKES_A_NUMBER:
        return ""
    return f"{TAKES_A_NUMBER[name]}; t.item() where the number alone is meant"


def array_leaves(frame: FrameType | None) -> str:
    """What to write instead, where the user's line takes the array of a tensor that requires
    grad."""
    alone = "t.detach() or t.data where the numbers alone are meant"
    remedy = advice(frame) or "write np.stack(list) for a list of tensors"
    return f"{remedy}; {alone}"


def advice(frame: FrameType | None, name: str = "") -> str:
    """What keeps the history in place of what the user's line calls, or of NumPy's function of that
    name; "" where nothing is known."""
    frame = caller(frame, NUMPY)
    called = entered(frame.f_code, frame.f_lasti) if frame else ""
    known = {**TAKES_AN_ARRAY, STORE: STACK}
    return known.get(called) or known.get(name, "")
