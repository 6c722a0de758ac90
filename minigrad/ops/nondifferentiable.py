"""NumPy's functions without a derivative: they give tensors without history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec

from minigrad.operators import Axes, Operand
from minigrad.ops.signatures import np
from minigrad.primitive import NumPyPrimitive, Primitive
from minigrad.tensor import Tensor

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "argpartition",
    "argsort",
    "bincount",
    "bitwise_and",
    "bitwise_count",
    "bitwise_or",
    "bitwise_xor",
    "count_nonzero",
    "digitize",
    "equal",
    "gcd",
    "greater",
    "greater_equal",
    "histogram",
    "invert",
    "isclose",
    "isfinite",
    "isin",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "lcm",
    "left_shift",
    "less",
    "less_equal",
    "lexsort",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "nanargmax",
    "nanargmin",
    "not_equal",
    "right_shift",
    "searchsorted",
    "signbit",
    "unravel_index",
]

P = ParamSpec("P")


def without_gradient(name: str, like: Callable[P, Any]) -> Primitive[Tensor, P]:
    """NumPy's function of that name, whose result never has a history.

    like: a function whose parameters checkers and `help` show.
    """
    forward = numpys(name)
    elementwise = isinstance(getattr(np, name), np.ufunc)
    op: Primitive[Tensor, P] = Primitive(forward, differentiable=False, elementwise=elementwise)
    op.shown = like
    return op


def numpys(name: str) -> Callable[..., Any]:
    """The forward that calls NumPy's function of that name."""
    function = getattr(np, name)

    def forward(*xs: Any, **constants: Any) -> Any:
        return function(*xs, **constants)

    forward.__name__ = forward.__qualname__ = name
    forward.__doc__ = f"As `numpy.{name}`; the result has no history."
    return forward


def counting(name: str, position: int) -> Primitive[Any]:
    """NumPy's function that counts, and at this position takes weights to add up instead.

    They may not require grad: the sums would have a derivative.
    """

    def count(op: Primitive, x: Operand, *args: Any, **keywords: Any) -> Any:
        given = dict(enumerate(args, 1))
        weights = keywords.get("weights", given.get(position))
        if isinstance(weights, Tensor) and weights.requires_grad:
            raise TypeError(
                f"{name}: its weights would drop out of the graph unnoticed; write "
                "mg.one_hot(numbers, n).T @ weights, or pass weights.detach()"
            )
        return op.record(x if isinstance(x, Tensor) else np.asarray(x), *args, **keywords)

    return NumPyPrimitive(numpys(name), numpy=count, differentiable=False)


def of_one(x: Operand) -> None:
    """The parameters of a function of one array."""


def of_two(a: Operand, b: Operand) -> None:
    """The parameters of a function of two arrays."""


def along_axis(a: Operand, axis: int | None = None, keepdims: bool = False) -> None:
    """The parameters of a search along one axis."""


def over_axes(a: Operand, axis: Axes = None, keepdims: bool = False) -> None:
    """The parameters of a reduction."""


def sorting(a: Operand, axis: int | None = -1) -> None:
    """The parameters of a sort."""


def like_numpy(*args: Any, **keywords: Any) -> None:
    """The parameters that NumPy's function has."""


equal = without_gradient("equal", of_two)
not_equal = without_gradient("not_equal", of_two)
greater = without_gradient("greater", of_two)
greater_equal = without_gradient("greater_equal", of_two)
less = without_gradient("less", of_two)
less_equal = without_gradient("less_equal", of_two)
logical_and = without_gradient("logical_and", of_two)
logical_or = without_gradient("logical_or", of_two)
logical_xor = without_gradient("logical_xor", of_two)
isfinite = without_gradient("isfinite", of_one)
isinf = without_gradient("isinf", of_one)
isnan = without_gradient("isnan", of_one)
logical_not = without_gradient("logical_not", of_one)
argmax = without_gradient("argmax", along_axis)
argmin = without_gradient("argmin", along_axis)
argsort = without_gradient("argsort", sorting)
all = without_gradient("all", over_axes)
any = without_gradient("any", over_axes)

argpartition = without_gradient("argpartition", like_numpy)
bincount = counting("bincount", 1)
bitwise_and = without_gradient("bitwise_and", like_numpy)
bitwise_count = without_gradient("bitwise_count", like_numpy)
bitwise_or = without_gradient("bitwise_or", like_numpy)
bitwise_xor = without_gradient("bitwise_xor", like_numpy)
count_nonzero = without_gradient("count_nonzero", like_numpy)
digitize = without_gradient("digitize", like_numpy)
gcd = without_gradient("gcd", like_numpy)
histogram = counting("histogram", 3)
invert = without_gradient("invert", like_numpy)
isclose = without_gradient("isclose", like_numpy)
isin = without_gradient("isin", like_numpy)
isneginf = without_gradient("isneginf", like_numpy)
isposinf = without_gradient("isposinf", like_numpy)
lcm = without_gradient("lcm", like_numpy)
left_shift = without_gradient("left_shift", like_numpy)
lexsort = without_gradient("lexsort", like_numpy)
nanargmax = without_gradient("nanargmax", like_numpy)
nanargmin = without_gradient("nanargmin", like_numpy)
right_shift = without_gradient("right_shift", like_numpy)
searchsorted = without_gradient("searchsorted", like_numpy)
signbit = without_gradient("signbit", like_numpy)
unravel_index = without_gradient("unravel_index", like_numpy)
