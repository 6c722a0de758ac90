"""The operators and NumPy methods of a tensor: each looks its function up in one table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, Never, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from minigrad.habits import unknown_keyword

# functions of tensors by name: `ops` puts every operation in, `public` the function "backward"
functions: dict[str, Callable[..., Any]] = {}
ufuncs: dict[np.ufunc, Callable[..., Any]] = {}  # the same, by NumPy's function

Axes = int | Sequence[int] | None
Mask = Any  # a bool array, or True for all


Result = TypeVar("Result")  # what operations give: `Tensor`, which stands above this module


class Operators(Generic[Result]):
    """What a tensor computes with itself and with others: NumPy's operators and methods.

    >>> import minigrad as mg
    >>> x = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> (x @ x).sum(axis=0)
    tensor([22., 32.])
    """

    __slots__ = ()

    # arithmetic

    def __add__(self, other: Operand) -> Result:
        return functions["add"](self, other)

    def __radd__(self, other: Operand) -> Result:
        return functions["add"](other, self)

    def __sub__(self, other: Operand) -> Result:
        return functions["subtract"](self, other)

    def __rsub__(self, other: Operand) -> Result:
        return functions["subtract"](other, self)

    def __mul__(self, other: Operand) -> Result:
        return functions["multiply"](self, other)

    def __rmul__(self, other: Operand) -> Result:
        return functions["multiply"](other, self)

    def __truediv__(self, other: Operand) -> Result:
        return functions["divide"](self, other)

    def __rtruediv__(self, other: Operand) -> Result:
        return functions["divide"](other, self)

    def __floordiv__(self, other: Operand) -> Result:
        return functions["floor_divide"](self, other)

    def __rfloordiv__(self, other: Operand) -> Result:
        return functions["floor_divide"](other, self)

    def __mod__(self, other: Operand) -> Result:
        return functions["remainder"](self, other)

    def __rmod__(self, other: Operand) -> Result:
        return functions["remainder"](other, self)

    def __divmod__(self, other: Operand) -> tuple[Result, Result]:
        return functions["divmod"](self, other)

    def __rdivmod__(self, other: Operand) -> tuple[Result, Result]:
        return functions["divmod"](other, self)

    def __pow__(self, other: Operand) -> Result:
        return functions["power"](self, other)

    def __rpow__(self, other: Operand) -> Result:
        return functions["power"](other, self)

    def __matmul__(self, other: Operand) -> Result:
        return functions["matmul"](self, other)

    def __rmatmul__(self, other: Operand) -> Result:
        return functions["matmul"](other, self)

    def __neg__(self) -> Result:
        return functions["negative"](self)

    def __pos__(self) -> Result:
        return self  # type: ignore[return-value]  # a tensor is one

    def __abs__(self) -> Result:
        return functions["absolute"](self)

    # comparison and logic: results without history

    def __lt__(self, other: Operand) -> Result:
        return functions["less"](self, other)

    def __le__(self, other: Operand) -> Result:
        return functions["less_equal"](self, other)

    def __gt__(self, other: Operand) -> Result:
        return functions["greater"](self, other)

    def __ge__(self, other: Operand) -> Result:
        return functions["greater_equal"](self, other)

    def __eq__(self, other: Operand) -> Result:  # type: ignore[override]  # elementwise
        return functions["equal"](self, other)

    def __ne__(self, other: Operand) -> Result:  # type: ignore[override]  # elementwise
        return functions["not_equal"](self, other)

    __hash__ = object.__hash__

    def __and__(self, other: Operand) -> Result:
        return functions["logical_and"](self, other)

    def __rand__(self, other: Operand) -> Result:
        return functions["logical_and"](other, self)

    def __or__(self, other: Operand) -> Result:
        return functions["logical_or"](self, other)

    def __ror__(self, other: Operand) -> Result:
        return functions["logical_or"](other, self)

    def __invert__(self) -> Result:
        return functions["logical_not"](self)

    # indexing

    # Python 3.11 and 3.12 inline a plain __getitem__ that is called often, and from then on tell
    # another place for its line; one with *_ they call.
    def __getitem__(self, index: Any, *_: Any) -> Result:
        return functions["getitem"](self, index)

    # reductions

    def sum(
        self,
        axis: Axes = None,
        dtype: DTypeLike | None = None,
        *,
        keepdims: bool = False,
        initial: Operand | None = None,
        where: Mask = True,
        **others: Never,
    ) -> Result:
        """Σ over the axis, `minigrad.sum`."""
        if others:
            raise unknown_keyword("Tensor.sum", others)
        return functions["sum"](self, axis, dtype, keepdims, initial, where)

    def prod(
        self,
        axis: Axes = None,
        dtype: DTypeLike | None = None,
        *,
        keepdims: bool = False,
        initial: Operand | None = None,
        where: Mask = True,
        **others: Never,
    ) -> Result:
        """Π over the axis, `minigrad.prod`."""
        if others:
            raise unknown_keyword("Tensor.prod", others)
        return functions["prod"](self, axis, dtype, keepdims, initial, where)

    def max(
        self,
        axis: Axes = None,
        out: None = None,
        *,
        keepdims: bool = False,
        initial: Operand | None = None,
        where: Mask = True,
        **others: Never,
    ) -> Result:
        """The greatest element over the axis, `minigrad.max`."""
        if out is not None:
            raise TypeError(f"Tensor.max: out={out!r}: use the result; or write keepdims=True")
        if others:
            raise unknown_keyword("Tensor.max", others)
        return functions["max"](self, axis, None, keepdims, initial, where)

    def min(
        self,
        axis: Axes = None,
        out: None = None,
        *,
        keepdims: bool = False,
        initial: Operand | None = None,
        where: Mask = True,
        **others: Never,
    ) -> Result:
        """The smallest element over the axis, `minigrad.min`."""
        if out is not None:
            raise TypeError(f"Tensor.min: out={out!r}: use the result; or write keepdims=True")
        if others:
            raise unknown_keyword("Tensor.min", others)
        return functions["min"](self, axis, None, keepdims, initial, where)

    def mean(
        self,
        axis: Axes = None,
        dtype: DTypeLike | None = None,
        *,
        keepdims: bool = False,
        where: Mask = True,
        **others: Never,
    ) -> Result:
        """Σ / n over the axis, `minigrad.mean`."""
        if others:
            raise unknown_keyword("Tensor.mean", others)
        return functions["mean"](self, axis, dtype, keepdims, where)

    def var(
        self,
        axis: Axes = None,
        dtype: DTypeLike | None = None,
        *,
        ddof: float = 0,
        keepdims: bool = False,
        where: Mask = True,
        **others: Never,
    ) -> Result:
        """The variance over the axis, `minigrad.var`."""
        if others:
            raise unknown_keyword("Tensor.var", others)
        return functions["var"](self, axis, dtype, keepdims, where, ddof=ddof)

    def std(
        self,
        axis: Axes = None,
        dtype: DTypeLike | None = None,
        *,
        ddof: float = 0,
        keepdims: bool = False,
        where: Mask = True,
        **others: Never,
    ) -> Result:
        """The standard deviation over the axis, `minigrad.std`."""
        if others:
            raise unknown_keyword("Tensor.std", others)
        return functions["std"](self, axis, dtype, keepdims, where, ddof=ddof)

    def cumsum(self, axis: int | None = None, **others: Never) -> Result:
        """Running sums along the axis, `minigrad.cumsum`."""
        if others:
            raise unknown_keyword("Tensor.cumsum", others)
        return functions["cumsum"](self, axis=axis)

    def cumprod(self, axis: int | None = None, **others: Never) -> Result:
        """Running products along the axis, `minigrad.cumprod`."""
        if others:
            raise unknown_keyword("Tensor.cumprod", others)
        return functions["cumprod"](self, axis=axis)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1, **others: Never) -> Result:
        """The sum of a diagonal, `minigrad.trace`."""
        if others:
            raise unknown_keyword("Tensor.trace", others)
        return functions["trace"](self, offset=offset, axis1=axis1, axis2=axis2)

    def all(self, axis: Axes = None, keepdims: bool = False, **others: Never) -> Result:
        """Whether all elements over the axis are true; no history."""
        if others:
            raise unknown_keyword("Tensor.all", others)
        return functions["all"](self, axis=axis, keepdims=keepdims)

    def any(self, axis: Axes = None, keepdims: bool = False, **others: Never) -> Result:
        """Whether some element over the axis is true; no history."""
        if others:
            raise unknown_keyword("Tensor.any", others)
        return functions["any"](self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None, keepdims: bool = False, **others: Never) -> Result:
        """The index of the greatest element over the axis; no history."""
        if others:
            raise unknown_keyword("Tensor.argmax", others)
        return functions["argmax"](self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False, **others: Never) -> Result:
        """The index of the smallest element over the axis; no history."""
        if others:
            raise unknown_keyword("Tensor.argmin", others)
        return functions["argmin"](self, axis=axis, keepdims=keepdims)

    # order

    def argsort(self, axis: int | None = -1, **others: Never) -> Result:
        """The indices that sort along the axis; no history."""
        if others:
            raise unknown_keyword("Tensor.argsort", others)
        return functions["argsort"](self, axis=axis)

    def argpartition(self, kth: int | Sequence[int], axis: int | None = -1) -> Result:
        """The indices that partition around element kth along the axis; no history."""
        return functions["argpartition"](self, kth, axis=axis)

    def searchsorted(self, v: Operand, side: str = "left") -> Result:
        """Where v would be inserted to keep this order; no history."""
        return functions["searchsorted"](self, v, side=side)

    # shape

    def reshape(self, *shape: Any) -> Result:
        """The elements in another shape, `minigrad.reshape`; one length may be −1."""
        return functions["reshape"](self, *shape)

    def ravel(self, order: Literal["C"] = "C") -> Result:
        """The elements in one axis, `minigrad.ravel`."""
        if order != "C":
            raise TypeError(f"Tensor.ravel: the only order is 'C', found {order!r}")
        return functions["ravel"](self)

    def flatten(self, order: Literal["C"] = "C", **others: Never) -> Result:
        """The elements in one axis, `minigrad.ravel`."""
        if others:
            raise unknown_keyword("Tensor.flatten", others)
        if order != "C":
            raise TypeError(
                f"Tensor.flatten: the only order is 'C', found {order!r}; to keep the first axis "
                "write t.reshape(len(t), -1)"
            )
        return functions["ravel"](self)

    def squeeze(self, axis: Axes = None, **others: Never) -> Result:
        """Without axes of length 1, `minigrad.squeeze`."""
        if others:
            raise unknown_keyword("Tensor.squeeze", others)
        return functions["squeeze"](self, axis=axis)

    def transpose(self, *axes: Any, **others: Never) -> Result:
        """The axes in another order, by default reversed, `minigrad.transpose`."""
        if others:
            raise unknown_keyword("Tensor.transpose", others)
        return functions["transpose"](self, *axes)

    @property
    def T(self) -> Result:
        """The axes reversed."""
        return functions["transpose"](self)

    @property
    def mT(self) -> Result:
        """The last two axes exchanged."""
        return functions["matrix_transpose"](self)

    def swapaxes(self, axis1: int, axis2: int, **others: Never) -> Result:
        """Two axes exchanged, `minigrad.swapaxes`."""
        if others:
            raise unknown_keyword("Tensor.swapaxes", others)
        return functions["swapaxes"](self, axis1, axis2)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1, **others: Never) -> Result:
        """A diagonal, `minigrad.diagonal`."""
        if others:
            raise unknown_keyword("Tensor.diagonal", others)
        return functions["diagonal"](self, offset=offset, axis1=axis1, axis2=axis2)

    def repeat(self, repeats: Any, axis: int | None = None, **others: Never) -> Result:
        """Each element several times, `minigrad.repeat`."""
        if others:
            raise unknown_keyword("Tensor.repeat", others)
        return functions["repeat"](self, repeats, axis=axis)

    # elements

    def astype(self, dtype: DTypeLike, copy: bool = True) -> Result:
        """In another dtype, `minigrad.astype`; if that is not floating, without history."""
        return functions["astype"](self, dtype, copy)

    def copy(self) -> Result:
        """A node of its own with the same elements, `minigrad.copy`."""
        return functions["copy"](self)

    def conjugate(self) -> Result:
        """The same elements: they are real."""
        return functions["copy"](self)

    def round(self, decimals: int = 0, **others: Never) -> Result:
        """Rounded, with derivative 0, `minigrad.round`."""
        if others:
            raise unknown_keyword("Tensor.round", others)
        return functions["round"](self, decimals=decimals)

    def clip(
        self, min: Operand | None = None, max: Operand | None = None, **others: Never
    ) -> Result:
        """Limited to an interval, `minigrad.clip`."""
        if others:
            raise unknown_keyword("Tensor.clip", others)
        return functions["clip"](self, min, max)

    def take(self, indices: ArrayLike, axis: int | None = None, **others: Never) -> Result:
        """The elements at these indices along the axis, `minigrad.take`."""
        if others:
            raise unknown_keyword("Tensor.take", others)
        return functions["take"](self, indices, axis)

    def choose(self, choices: Any) -> Result:
        """Elements of several arrays, chosen by these numbers, `minigrad.choose`."""
        return functions["choose"](self, choices)

    def dot(self, b: Operand) -> Result:
        """NumPy's dot product, `minigrad.dot`."""
        return functions["dot"](self, b)

    # functions of networks, as methods

    def tanh(self) -> Result:
        """tanh(x), elementwise, `minigrad.tanh`."""
        return functions["tanh"](self)

    def exp(self) -> Result:
        """eˣ, elementwise, `minigrad.exp`."""
        return functions["exp"](self)

    def log(self) -> Result:
        """ln x, elementwise, `minigrad.log`."""
        return functions["log"](self)

    def sqrt(self) -> Result:
        """√x, elementwise, `minigrad.sqrt`."""
        return functions["sqrt"](self)

    def sigmoid(self) -> Result:
        """σ(x) = 1 / (1 + e⁻ˣ), elementwise, `minigrad.sigmoid`."""
        return functions["sigmoid"](self)

    def relu(self) -> Result:
        """max(x, 0), elementwise, `minigrad.relu`."""
        return functions["relu"](self)

    def softmax(self, axis: int = -1, **others: Never) -> Result:
        """e^xᵢ / Σⱼ e^xⱼ over the axis, `minigrad.softmax`."""
        if others:
            raise unknown_keyword("Tensor.softmax", others)
        return functions["softmax"](self, axis=axis)

    def log_softmax(self, axis: int = -1, **others: Never) -> Result:
        """xᵢ − ln Σⱼ e^xⱼ over the axis, `minigrad.log_softmax`."""
        if others:
            raise unknown_keyword("Tensor.log_softmax", others)
        return functions["log_softmax"](self, axis=axis)

    # NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if method == "__call__" and not keywords and ufunc in ufuncs:
            return ufuncs[ufunc](*inputs)
        return functions["call_ufunc"](ufunc, method, inputs, keywords)

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        return functions["call_function"](function, args, keywords)


if not TYPE_CHECKING:  # errors about arguments show the name that users know
    for _name, _method in vars(Operators).items():
        if inspect.isfunction(_method):
            _method.__qualname__ = f"Tensor.{_name}"

# what operations take beside tensors
Operand: TypeAlias = (
    Operators[Any] | NDArray[Any] | np.generic | float | list[Any] | tuple[Any, ...]
)
