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
# Called with a tensor, these give a number by their very names; beside them, another call as in
# list(map(float, losses)), cannot be told from a loss.
CONVERTS = {
    *("float", "int", "bool", "complex", "round", "format", "str", "print", "item"),
    *("floor", "ceil", "trunc", "isnan", "isinf", "isfinite", "isclose", "approx"),
    *("float16", "float32", "float64", "longdouble", "half", "single", "double"),
}

OF_PYTHON = {"sum", "max", "min"}  # which call the function they are given, as in key=float

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
    **dict.fromkeys(
        ("erf", "erfc", "gamma", "lgamma"), "give it a gradient rule with @mg.primitive"
    ),
    "ldexp": "write t * 2.0 ** n",
    "modf": "write np.modf(t)",
    "remainder": "write t - n * np.round(t / n)",
    "sumprod": "write np.dot(a, b)",
    **dict.fromkeys(("__setitem__", "setitem", "append"), STACK),
    "sum": "write np.sum(array) + t",
    "prod": "write np.prod(array) * t",
    "max": "write np.maximum(np.max(array), t)",
    "min": "write np.minimum(np.min(array), t)",
    "reduce": "combine t with the result",
    "interp": "write np.interp(x, xp, fp) with tensors among these three alone",
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
    function = expression(code, instruction)
    while isinstance(function, ast.Call):  # twice in np.vectorize(f)(t)
        function = function.func
    if isinstance(function, ast.Subscript):  # np.r_[t, u]
        function = function.value
    return name_of(function)


@lru_cache(maxsize=512)
def converts(code: CodeType, instruction: int) -> bool:
    """Whether an instruction gives a number by its name: no call at all, or one that names a
    conversion."""
    found = expression(code, instruction)
    if not isinstance(found, ast.Call):
        return True
    return any(name_of(part) in CONVERTS for part in ast.walk(found))


def expression(code: CodeType, instruction: int) -> ast.AST | None:
    """The expression that an instruction computes, where there is source text."""
    try:
        return ast.parse(Source(code, instruction).expression, mode="eval").body
    except SyntaxError:
        return None


def name_of(part: ast.AST | None) -> str:
    """The name itself, or the last one of a.b.c; "" of anything else."""
    if isinstance(part, ast.Attribute):
        return part.attr
    return part.id if isinstance(part, ast.Name) else ""


def number_leaves(frame: FrameType) -> str:
    """What to write instead, where this frame takes the number of a tensor to compute with it; ""
    where it converts it by name, as float(t) does.

    NumPy hides what `__float__` raises behind "setting an array element with a sequence", and keeps
    it as the cause.
    """
    if in_engine[frame.f_code.co_filename]:
        return ""
    name = entered(frame.f_code, frame.f_lasti)
    if converts(frame.f_code, frame.f_lasti) and name not in TAKES_A_NUMBER.keys() - OF_PYTHON:
        return ""
    user = caller(frame, NUMPY)  # of np.sum(a, initial=t), not the line within NumPy
    called = entered(user.f_code, user.f_lasti) if user else ""
    name = called if called in TAKES_A_NUMBER else name
    remedy = TAKES_A_NUMBER.get(name, f"{name or 'this'} computes without a history")
    return f"{remedy}; t.item() where the number alone is meant"


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
