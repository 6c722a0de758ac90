"""How NumPy's own functions find ours: one table, by name.

`np.tanh(t)` asks the tensor; the tensor asks `call_ufunc` or `call_function`; they look NumPy's
function up here.
"""

from __future__ import annotations

import inspect
import itertools
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import Any, NoReturn

import numpy as np

from minigrad import doors
from minigrad.operators import functions, ufuncs
from minigrad.ops.signatures import arrays_of
from minigrad.primitive import NumPyPrimitive, Primitive
from minigrad.scope import caller
from minigrad.source import Source
from minigrad.tensor import Tensor

by_name: dict[str, Callable[..., Any]] = {}  # every function of ours
table: dict[Any, Callable[..., Any]] = {}  # NumPy's function → ours
quick: dict[Any, Callable[..., Any]] = {}  # the same, with fewer frames
direct_calls: set[Any] = set()  # (function, positional arguments, keywords) that mean ours as well
# functions about shapes and dtypes, or for people: they run on the arrays, and give arrays
PLAIN = (
    "shape ndim size zeros_like ones_like empty_like allclose array_equal array_equiv result_type "
    "can_cast min_scalar_type common_type iscomplexobj isrealobj iscomplex isreal imag nonzero "
    "flatnonzero argwhere array2string array_repr array_str save savez savez_compressed savetxt "
    "may_share_memory shares_memory"
)
METHODS = {  # (universal function, method) → ours
    ("add", "reduce"): "sum",
    ("add", "accumulate"): "cumsum",
    ("multiply", "reduce"): "prod",
    ("multiply", "accumulate"): "cumprod",
    ("maximum", "reduce"): "max",
    ("maximum", "accumulate"): "cummax",
    ("minimum", "reduce"): "min",
    ("minimum", "accumulate"): "cummin",
    ("logaddexp", "reduce"): "logsumexp",
    ("logaddexp", "accumulate"): "logcumsumexp",
    ("logical_and", "reduce"): "all",
    ("logical_or", "reduce"): "any",
}
ALIASES = (
    "amax max",
    "amin min",
    "around round",
    "degrees rad2deg",
    "radians deg2rad",
    "real positive",
    "real_if_close positive",
)
RENAMED = {"newshape": "shape"}  # a parameter's name in NumPy 2.0, and in later versions
OUT = "out= would change an array that the graph still needs; use the result"


def fill(
    ours: Mapping[str, Callable[..., Any]], of_linalg: Mapping[str, Callable[..., Any]]
) -> None:
    """Enter every function of ours whose name NumPy has.

    of_linalg: those that mean something else in `np.linalg`.
    """
    by_name.update(ours)
    for module in (np, np.lib.stride_tricks):
        enter_all(module, ours)
    enter_all(np.linalg, {**ours, **of_linalg})
    for alias, name in map(str.split, ALIASES):
        enter(getattr(np, alias), ours[name])
    for name in PLAIN.split():
        enter(getattr(np, name), on_arrays(getattr(np, name)))
    enter(np.linalg.matrix_rank, on_arrays(np.linalg.matrix_rank))


def enter_all(module: Any, ours: Mapping[str, Callable[..., Any]]) -> None:
    """Enter the functions whose name a module of NumPy has."""
    for name, function in ours.items():
        if hasattr(module, name):
            enter(getattr(module, name), function)


def enter(theirs: Any, ours: Callable[..., Any]) -> None:
    """Let a function of NumPy lead to one of ours."""
    table[theirs], quick[theirs] = ours, direct(ours)
    if isinstance(theirs, np.ufunc):
        ufuncs[theirs] = quick[theirs]


def direct(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a call of a function comes down to: a bound method is called faster than an object."""
    if isinstance(function, NumPyPrimitive):
        return partial(function.adapter, function)
    return function.record if isinstance(function, Primitive) else function


def on_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's function itself, called with arrays in place of tensors."""

    def call(*args: Any, **keywords: Any) -> Any:
        keywords = {name: arrays_of(value) for name, value in keywords.items()}
        return function(*arrays_of(args), **keywords)

    return call


def call_ufunc(
    ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], keywords: dict[str, Any]
) -> Any:
    """Answer a call of a universal function, or of a method such as `np.add.reduce`, on a tensor.

    Raises TypeError for a function or a keyword that has no gradient here.
    """
    called = method == "__call__"
    if called and ufunc in table and keywords.keys() <= parameters(table[ufunc]).keys():
        return quick[ufunc](*inputs, **keywords)
    name = ufunc.__name__ if called else f"{ufunc.__name__}.{method}"
    if keywords.get("out") is not None:
        refuse(name, inputs, f"{OUT}, as in a = a + t")
    if called and ufunc in table:
        given = ", ".join(keywords)
        refuse(name, inputs, f"the keywords {given} of a universal function are not supported")
    if method == "outer" and ufunc in table and not keywords:
        a, b = inputs
        return table[ufunc](functions["reshape"](a, np.shape(a) + (1,) * np.ndim(b)), b)
    if (ufunc.__name__, method) not in METHODS:
        refuse(name, inputs)
    known = parameters(by_name[METHODS[ufunc.__name__, method]])
    takes_any = any(p.kind is p.VAR_KEYWORD for p in known.values())
    unknown = ", ".join(sorted(keywords.keys() - known.keys()))
    if unknown and not takes_any:
        refuse(name, inputs, f"{unknown} is not supported; supported: {', '.join(known)}")
    x, *axis = inputs
    ours = functions[METHODS[ufunc.__name__, method]]
    return ours(x, **{"axis": axis[0] if axis else 0, **keywords})


def call_function(function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Answer a call of any other function of NumPy that has a tensor among its arguments.

    Arguments go by position as far as NumPy's signature and ours agree, and else by name.  Raises
    TypeError for a function or a keyword that has no gradient here.
    """
    if function is np.where and len(args) + len(keywords) == 1:
        function = np.nonzero  # `np.where(condition)` is the same
    call = (function, len(args), *keywords)
    if call in direct_calls:
        return quick[function](*args, **keywords)
    ours = table.get(function)
    name = f"{function.__module__}.{function.__name__}".removeprefix("numpy.")
    if ours is None:
        refuse(name, (*args, *keywords.values()))
    theirs, known = parameters(function), parameters(ours)
    # older versions of NumPy do not tell the parameters of functions that are written in C
    alike = not theirs or len(args) <= agreement(function)
    alike = alike and keywords.keys() <= known.keys()
    if alike and "out" not in keywords:
        direct_calls.add(call)
        return ours(*args, **keywords)
    keywords = {RENAMED.get(key, key): value for key, value in keywords.items()}
    if theirs and not any(p.kind is p.VAR_POSITIONAL for p in theirs.values()):
        args, named = by_position_and_name(theirs, args)
        keywords = {**named, **keywords}
    keywords = {key: x for key, x in keywords.items() if not default(x, theirs.get(key))}
    if "out" in keywords:
        refuse(name, args, OUT)
    if keywords.keys() - known.keys() and not any(p.kind is p.VAR_KEYWORD for p in known.values()):
        unknown = ", ".join(sorted(keywords.keys() - known.keys()))
        refuse(name, args, f"{unknown} is not supported; supported: {', '.join(known)}")
    return ours(*args, **keywords)


def by_position_and_name(
    theirs: Mapping[str, inspect.Parameter], args: tuple[Any, ...]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional arguments of NumPy's function: the first one, and the others by their names."""
    first, named = [], {}
    for k, ((key, parameter), x) in enumerate(zip(theirs.items(), args)):
        if k == 0 or parameter.kind is parameter.POSITIONAL_ONLY:
            first.append(x)
        else:
            named[key] = x
    return tuple(first), named


def default(value: Any, parameter: inspect.Parameter | None) -> bool:
    """Whether an argument only says what NumPy would do without it."""
    expected = parameter.default if parameter else inspect.Parameter.empty
    if value is expected or value is np._NoValue:
        return True
    return isinstance(value, str) and value == expected


@cache
def parameters(function: Any) -> dict[str, inspect.Parameter]:
    """The parameters of a function by name; {} where Python cannot tell them."""
    if isinstance(function, Primitive) and not isinstance(function, NumPyPrimitive):
        function = function.forward
    try:
        found = inspect.signature(function).parameters
    except ValueError:
        return {}
    return {RENAMED.get(name, name): parameter for name, parameter in found.items()}


@cache
def agreement(function: Any) -> int:
    """How many positional arguments mean the same to NumPy's function and to ours."""
    pairs = zip(parameters(function), parameters(table[function]))
    return len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)))


def refuse(name: str, values: Iterable[Any], why: str = "") -> NoReturn:
    """Raise TypeError: which function of NumPy cannot be differentiated, where, what to write."""
    found = ", ".join(f"{x.dtype} {x.shape}" for x in tensors(values))
    frame = caller(sys._getframe(), doors.NUMPY)
    place = Source(frame.f_code, frame.f_lasti) if frame else "unknown line"
    remedy = doors.advice(frame, name.rpartition(".")[2])
    if remedy:
        why = f"{remedy}; t.data where no gradient is needed"
    why = why or (
        "it has no gradient rule here; write it with functions that have one, "
        "give it one with @mg.primitive, or pass t.data where no gradient is needed"
    )
    raise TypeError(f"np.{name} on a tensor ({found}), {place}: {why}")


def tensors(values: Iterable[Any]) -> list[Tensor]:
    """The tensors among the values, also inside lists and tuples."""
    found = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += tensors(value)
    return found
