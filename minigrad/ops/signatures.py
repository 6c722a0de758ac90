"""NumPy's arguments on top of primitives: `where=`, `initial=`, sequences of inputs, spread shapes.

Each function here is the adapter of a `@primitive(numpy=...)`: it gets the primitive and what the
user wrote, and calls `op.record(*inputs, **constants)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
from numpy.typing import DTypeLike

from minigrad.operators import Axes, Mask, Operand, functions
from minigrad.primitive import Primitive
from minigrad.tensor import Tensor, constant

np: Any = numpy  # called with tensors it gives tensors, which its annotations do not know

NEUTRAL = {"sum": 0, "prod": 1, "max": -np.inf, "min": np.inf}  # changes nothing in a reduction
OF_TWO = {"sum": "add", "prod": "multiply", "max": "maximum", "min": "minimum"}


def joining(op: Primitive, arrays: Sequence[Operand] | Tensor, axis: int | None = 0) -> Tensor:
    """The inputs come as one sequence, as in `np.concatenate([a, b], axis=1)`."""
    if isinstance(axis, Tensor | numpy.ndarray):
        raise TypeError(f"{op.name}: the arrays come as one list; write np.{op.name}([a, b])")
    return op.record(*arrays, axis=axis)


def reduction(
    op: Primitive,
    a: Operand,
    axis: Axes = None,
    dtype: DTypeLike | None = None,
    keepdims: bool = False,
    initial: Operand | None = None,
    where: Mask = True,
) -> Tensor:
    """NumPy's keywords of a sum, a product or an extreme.

    where: only these elements count; the others are replaced by what changes nothing.  initial:
    combined with the result by the two-argument form of the same reduction.  dtype: cast before
    reducing.
    """
    if where is not True:
        a = functions["where"](where, a, NEUTRAL[op.name])
    if dtype is not None:
        a = cast(op, a, dtype)
    if initial is not None and not np.size(a) and op.name in ("max", "min"):
        y = functions["sum"](a, axis=axis, keepdims=keepdims) + NEUTRAL[op.name]
    else:
        y = op.record(a, axis=axis, keepdims=keepdims)
    return y if initial is None else functions[OF_TWO[op.name]](y, initial)


def cast(op: Primitive, a: Operand, dtype: DTypeLike) -> Tensor:
    """The operand in another dtype; TypeError for True, which says keepdim in PyTorch's order."""
    if isinstance(dtype, bool):
        raise TypeError(f"{op.name}: dtype={dtype} is no dtype; write keepdims={dtype}")
    y: Tensor = functions["astype"](as_tensor(a), dtype)
    return y


def averaging(
    op: Primitive,
    a: Operand,
    axis: Axes = None,
    dtype: DTypeLike | None = None,
    keepdims: bool = False,
    where: Mask = True,
) -> Tensor:
    """NumPy's keywords of a mean; with `where=` it is a quotient of sums."""
    a = as_tensor(a) if dtype is None else cast(op, a, dtype)
    if where is True:
        return op.record(a, axis=axis, keepdims=keepdims)
    y, _ = mean_where(a, axis, where)
    return y if keepdims else functions["squeeze"](y, axis)


def deviation(
    op: Primitive,
    a: Operand,
    axis: Axes = None,
    dtype: DTypeLike | None = None,
    keepdims: bool = False,
    where: Mask = True,
    *,
    ddof: float = 0,
) -> Tensor:
    """NumPy's keywords of a variance or a standard deviation."""
    a = as_tensor(a) if dtype is None else cast(op, a, dtype)
    if where is True:
        return op.record(a, axis=axis, ddof=ddof, keepdims=keepdims)
    mean, count = mean_where(a, axis, where)
    apart, n = functions["where"](where, a - mean, 0), np.maximum(count - ddof, 0)
    if op.name == "std":
        y = functions["norm"](apart, axis=axis, keepdims=True) / np.sqrt(n)
    else:
        y = functions["sum"](functions["square"](apart), axis, keepdims=True) / n
    return y if keepdims else functions["squeeze"](y, axis)


def one_axis(op: Primitive, x: Operand, axis: int = -1) -> Tensor:
    """Along one axis."""
    return op.record(x, axis=axis)


def some_axes(op: Primitive, a: Operand, axis: Axes = None) -> Tensor:
    """Over one axis, several, or None for all."""
    return op.record(a, axis=axis)


def mean_where(a: Tensor, axis: Axes, where: Mask) -> tuple[Tensor, Any]:
    """The mean of the chosen elements, and how many there are, with the reduced axes as 1."""
    chosen = np.broadcast_to(np.asarray(where), a.shape)
    count = np.sum(chosen, axis=axis, keepdims=True).astype(a.dtype)
    total = functions["sum"](functions["where"](where, a, 0), axis, keepdims=True)
    return total / count, count


def as_tensor(x: Operand) -> Tensor:
    """The tensor itself; of an array, a number or a list, a leaf without gradient."""
    return x if isinstance(x, Tensor) else constant(x)


def arrays_of(value: Any) -> Any:
    """The value with arrays in place of tensors, for what has no derivative."""
    if isinstance(value, Tensor):
        return value.data
    return type(value)(map(arrays_of, value)) if type(value) in (tuple, list) else value


# what several rules need


def with_reduced_axes(dy: Any, axis: Any, keepdims: bool) -> Any:
    """The result of a reduction with the reduced axes back, as 1."""
    return dy if keepdims or axis is None else np.expand_dims(dy, axis)


def finite(length: Any) -> Any:
    """A length, and NaN for one that has left the range: what is divided by it is not known."""
    return np.where(np.isinf(length), np.nan, length)


def safe_divide(dy: Any, d: Any) -> Any:
    """dy / d, where a gradient that is zero stays zero: behind a `where`, d may be 0."""
    if type(d) in (int, float):  # not NumPy's own scalars, which come from 0-d arrays
        return dy / d
    return dy / np.where((dy == 0) & (d == 0), 1, d)


def safe_multiply(dy: Any, d: Any) -> Any:
    """dy · d, where a gradient that is zero stays zero: behind a `where`, d may be infinite."""
    return dy * np.where((dy == 0) & np.isinf(d), 0, d)
