"""Primitives behind NumPy's signatures: sequences of inputs, `where=` and `initial=`.  Imports `primitive`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.operators import functions
from minigrad.primitive import Primitive
from minigrad.tensor import Tensor


class Front:
    """The public form of a primitive: calling it calls `call(...)`, and rules are registered through it."""

    def __init__(
        self, op: Primitive, call: Callable[..., Any], like: Callable[..., Any] | None = None
    ) -> None:
        self.op, self._call = op, call
        self.__name__, self.__doc__, self.__module__ = op.name, op.__doc__, op.__module__
        self.__signature__ = inspect.signature(like or call)
        self.gradient, self.gradients = op.gradient, op.gradients

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self._call(*args, **keywords)

    def __repr__(self) -> str:
        return f"<{self.__name__}{self.__signature__}>"


def named(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The name of a primitive whose public form is a function of the same name with NumPy's arguments."""

    def rename(forward: Callable[..., Any]) -> Callable[..., Any]:
        forward.__name__ = name
        return forward

    return rename


def sequence(op: Primitive) -> Front:
    """The inputs come as one sequence, as in `np.concatenate([a, b], axis=1)`."""

    def call(arrays: Any, axis: int = 0) -> Any:
        return op(*arrays, axis=axis)

    return Front(op, call)


def shaped(op: Primitive) -> Front:
    """The constant may be spread over several arguments, as in `t.reshape(2, 3)` beside `t.reshape((2, 3))`."""
    (name,) = op.constants

    def call(a: Any, *value: Any, **keywords: Any) -> Any:
        if not value:
            return op(a, **keywords)
        return op(a, **{name: value[0] if len(value) == 1 else value})

    return Front(op, call, like=op.forward)


def reduction(neutral: Any) -> Callable[[Primitive], Front]:
    """NumPy's keywords of a reduction on top of `op(a, axis, keepdims)`.

    where: only these elements count; the others are replaced by `neutral`, which changes nothing.
    initial: combined with the result by the two-argument form of the same reduction.  dtype: cast before reducing.
    """

    def decorate(op: Primitive) -> Front:
        def call(
            a: Any,
            axis: Any = None,
            dtype: Any = None,
            keepdims: bool = False,
            initial: Any = None,
            where: Any = True,
        ) -> Any:
            if where is not True:
                a = functions["where"](where, a, neutral)
            if dtype is not None:
                a = functions["astype"](a, dtype)
            y = op(a, axis=axis, keepdims=keepdims)
            return y if initial is None else functions[_TWO[op.name]](y, initial)

        return Front(op, call)

    return decorate


def averaging(op: Primitive) -> Front:
    """NumPy's keywords of a mean on top of `op(a, axis, keepdims)`; with `where=` it is a quotient of sums."""

    def call(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        keepdims: bool = False,
        where: Any = True,
        **ddof: Any,
    ) -> Any:
        a = a if dtype is None else functions["astype"](a, dtype)
        if where is True or ddof.keys() - set(
            op.constants
        ):  # the primitive itself refuses what it does not know
            return op(a, axis=axis, keepdims=keepdims, **ddof)
        count = np.sum(
            np.broadcast_to(np.asarray(where), a.shape), axis=axis, keepdims=True
        ).astype(a.dtype)
        a = functions["where"](where, a, 0)
        y = functions["sum"](a, axis, keepdims=True) / count
        if op.name != "mean":
            count = np.maximum(count - ddof.get("ddof", 0), 0)
            y = (
                functions["sum"](functions["square"](a - y), axis, where=where, keepdims=True)
                / count
            )
        if op.name == "std":
            y = functions["where"](y == 0, 0, functions["sqrt"](functions["where"](y == 0, 1, y)))
        return y if keepdims else functions["squeeze"](y, axis)

    return Front(op, call)


_TWO = {"sum": "add", "prod": "multiply", "max": "maximum", "min": "minimum"}


def bare(value: Any) -> Any:
    """The value with arrays in place of tensors, whether they require grad or not: for what has no derivative."""
    if isinstance(value, Tensor):
        return value.data
    return type(value)(map(bare, value)) if type(value) in (tuple, list) else value


def restored(dy: Any, axis: Any, keepdims: bool) -> Any:
    """The result of a reduction with the reduced axes back, as 1."""
    return dy if keepdims or axis is None else np.expand_dims(dy, axis)


def over(dy: Any, d: Any) -> Any:
    """dy / d, where a gradient that is zero stays zero: behind a `where`, d may be 0."""
    if type(d) in (int, float):  # not NumPy's own scalars, which come from 0-d arrays
        return dy / d
    return dy / np.where((dy == 0) & (d == 0), 1, d)


def times(dy: Any, d: Any) -> Any:
    """dy · d, where a gradient that is zero stays zero: behind a `where`, d may be infinite."""
    return dy * np.where((dy == 0) & np.isinf(d), 0, d)
