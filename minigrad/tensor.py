"""The tensor: an array, and how and where it was made.  Imports `scope` and `source`; its operators are `ops`.

A tensor is a node of the computation graph.  It points at its inputs, never at its users, so there are no reference
cycles: dropping the loss frees the graph at once.  Arrays are read-only for life; `t.data = array` rebinds.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Iterator
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from minigrad.scope import Role, Scope, TimeLabel, caller, recording
from minigrad.source import Source

if TYPE_CHECKING:
    from minigrad.primitive import Primitive

Array = np.ndarray
serials = itertools.count()
_default_dtype: np.dtype[Any] = np.dtype(np.float32)
_generator: np.random.Generator | None = None  # made when first asked for: numpy.random costs start-up 15 ms


def set_default_dtype(dtype: DTypeLike) -> None:
    """The dtype that Python numbers and lists get: float16, float32 (at the start) or float64."""
    global _default_dtype
    if np.dtype(dtype).kind != "f":
        raise TypeError(f"set_default_dtype: a floating dtype is needed, found {np.dtype(dtype)}")
    _default_dtype = np.dtype(dtype)


def get_default_dtype() -> np.dtype[Any]:
    """The dtype that Python numbers and lists get."""
    return _default_dtype


def seed(n: int | None) -> None:
    """Start the generator that everything random uses when it is given none of its own."""
    global _generator
    _generator = np.random.default_rng(n)


def generator() -> np.random.Generator:
    """The generator that `seed` starts."""
    if _generator is None:
        seed(None)
    assert _generator is not None
    return _generator


class Call(NamedTuple):
    """One call with several outputs, seen from output number `which`."""

    outputs: tuple[NDArray[Any], ...]
    which: int


class Handle:
    """Removes the hook it was returned for."""

    def __init__(self, tensor: Tensor, hook: Callable[[Any], Any]) -> None:
        self._tensor, self._hook = tensor, hook

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._tensor._hooks = tuple(hook for hook in self._tensor._hooks if hook is not self._hook)


def _operator(name: str) -> tuple[Callable[[Tensor, Any], Tensor], Callable[[Tensor, Any], Tensor]]:
    """The two methods of an operator: `self op other`, and reflected, `other op self`."""
    return lambda self, other: getattr(ops, name)(self, other), lambda self, other: getattr(ops, name)(other, self)


class Tensor:
    """An array with a history.  Make one with `minigrad.tensor`; operations make the others.

    Attributes that one reads: `data grad shape dtype ndim size T requires_grad is_leaf name`; the history: `op inputs
    constants`; the place: `t time scope source`.
    """

    __slots__ = (
        *("_array", "_grad", "_requires_grad", "_hooks", "_scope", "_code", "_instruction", "__weakref__"),
        *("name", "op", "inputs", "constants", "arrays", "call", "role", "serial", "time", "walked"),
    )

    def __init__(
        self, data: Any, requires_grad: bool = False, dtype: DTypeLike | None = None, name: str | None = None
    ) -> None:
        now, frame = recording.get(), caller(sys._getframe(1))
        self._array = _own_array(data, dtype)
        self._grad: Tensor | None = None
        self._hooks: tuple[Callable[[Any], Any], ...] = ()
        self._scope: Scope | None = now.scope
        self._code: CodeType | None = frame.f_code if frame else None
        self._instruction = frame.f_lasti if frame else 0
        self.name = name
        self.op: Primitive | None = None  # None in a leaf
        self.inputs: tuple[Tensor, ...] = ()
        self.constants: dict[str, Any] = {}
        self.arrays: Any = ()  # the input arrays of that very call: a rebound input does not change the gradient
        self.call: Call | None = None  # set where one call has several outputs
        self.role: Role | None = None  # told by the unroller
        self.serial = next(serials)  # creation order; reversed, it is a topological order
        self.time: TimeLabel | None = now.time
        self.walked: float  # the loss whose training pass came by here; not set before
        self._requires_grad = False
        self.requires_grad = requires_grad

    # what it is

    @property
    def data(self) -> NDArray[Any]:
        """The read-only array.  Assigning rebinds: same shape, cast to this dtype; only leaves can be rebound."""
        return self._array

    @data.setter
    def data(self, value: Any) -> None:
        if self.op is not None:
            raise ValueError(f"data of {self!r}: it is the output of {self.op.name}; write t = t.detach() first")
        array = _own_array(value, None).astype(self.dtype)
        if array.shape != self.shape:
            raise ValueError(f"data of {self.name or 'tensor'}: shape {self.shape} is needed, found {array.shape}")
        array.setflags(write=False)
        self._array = array

    @property
    def grad(self) -> Tensor | None:
        """∂loss/∂self, a tensor, or None.  Leaves accumulate; assignable from an array of the same shape."""
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None and not isinstance(value, Tensor):
            value = Tensor(value, dtype=self.dtype)
        elif value is not None and value.dtype != self.dtype:
            value = value.astype(self.dtype)
        if value is not None and value.shape != self.shape:
            raise ValueError(f"grad of {self.name or 'tensor'}: shape {self.shape} is needed, found {value.shape}")
        self._grad = value

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow here.  Settable on leaves of floating dtype."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self.dtype.kind != "f":
            raise TypeError(
                f"requires_grad: only floating tensors have gradients, found dtype {self.dtype}; "
                "write tensor(data, dtype=np.float32, requires_grad=True)"
            )
        if self.op is not None and value != self._requires_grad:
            raise ValueError(f"requires_grad of the output of {self.op.name} cannot be changed; use t.detach()")
        self._requires_grad = bool(value)

    @property
    def shape(self) -> tuple[int, ...]:
        """As in NumPy."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """As in NumPy."""
        return self._array.dtype

    @property
    def ndim(self) -> int:
        """As in NumPy."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """As in NumPy."""
        return self._array.size

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made it."""
        return self.op is None

    @property
    def t(self) -> int | None:
        """The time step it was made in, or None."""
        return self.time.t if self.time else None

    @property
    def scope(self) -> str:
        """The dotted path of the module scopes it was made in; "" outside of all."""
        return self._scope.path if self._scope else ""

    @property
    def source(self) -> Source:
        """The place in the program outside the engine where it was made."""
        return Source(self._code, self._instruction)

    def place(self, kind: str, name: str, time: TimeLabel | None = None) -> None:
        """Say what this tensor is to a recurrence (kind "input" or "state", and its name there), and in which step."""
        self.role = Role(kind, name)
        self.time = time or self.time

    # what one does with it

    def item(self) -> Any:
        """The one element, as a Python number."""
        return self._array.item()

    def numpy(self) -> NDArray[Any]:
        """The read-only array."""
        return self._array

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self._array.tolist()

    def detach(self) -> Tensor:
        """The same array without history: a leaf through which no gradient flows."""
        leaf = constant(self._array)
        leaf.time, leaf._scope, leaf.name = self.time, self._scope, self.name
        return leaf

    def register_hook(self, hook: Callable[[Any], Any]) -> Handle:
        """Call `hook(grad)` when this tensor's gradient is complete; what it returns, if not None, replaces it."""
        if not self._requires_grad:
            raise ValueError(f"register_hook: {self!r} does not require grad, so no gradient will arrive")
        self._hooks = (*self._hooks, hook)
        return Handle(self, hook)

    def backward(self, grad: Any = None, *, create_graph: bool = False, retain_grads: bool = False) -> None:
        """Add ∂self/∂leaf to `.grad` of every leaf: `Graph(self).backward(...)`, always unedited.

        grad: ∂loss/∂self, needed unless self has one element.  create_graph: the gradients have a history too.
        retain_grads: interior nodes get `.grad` as well.
        """
        from minigrad.graph import Graph

        Graph(self).backward(grad, create_graph=create_graph, retain_grads=retain_grads)

    def __reduce__(self) -> Any:
        """Copies and pickles are leaves without history, which require grad if this one is a leaf that does."""
        return Tensor, (self._array, self.op is None and self._requires_grad, None, self.name)

    # how it looks

    def __repr__(self) -> str:
        body = "" if self.ndim else f"{self.item():.6g}" if self.dtype.kind == "f" else str(self.item())
        if self.ndim and self.size <= 24:
            body = np.array2string(self._array, precision=4, separator=", ", prefix="tensor(")
        elif self.ndim:
            body = f"shape={self.shape}, norm={np.linalg.norm(self._array.astype(np.float64)):.4g}"
        extra = "" if self.dtype == np.float32 else f", dtype={self.dtype}"
        extra += f", name={self.name!r}" if self.name else ""
        extra += f", op={self.op.name}" if self.op else ", requires_grad=True" if self._requires_grad else ""
        return f"tensor({body}{extra})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return len(self._array)

    def __float__(self) -> float:
        return float(self._array.item())

    def __int__(self) -> int:
        return int(self._array.item())

    def __index__(self) -> int:
        return self._array.__index__()

    def __bool__(self) -> bool:
        return bool(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(ops.unstack(self))

    # NumPy's protocols

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if self._requires_grad:
            raise TypeError(
                f"{self!r} requires grad: as a NumPy array it would drop out of the graph unnoticed; "
                "write t.detach() or t.data where that is meant"
            )
        return np.array(self._array, dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        return ops.call_ufunc(ufunc, method, inputs, keywords)

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        return ops.call_function(function, args, keywords)

    # operators

    __add__, __radd__ = _operator("add")
    __sub__, __rsub__ = _operator("subtract")
    __mul__, __rmul__ = _operator("multiply")
    __truediv__, __rtruediv__ = _operator("divide")
    __floordiv__, __rfloordiv__ = _operator("floor_divide")
    __mod__, __rmod__ = _operator("remainder")
    __divmod__, __rdivmod__ = _operator("divmod")
    __pow__, __rpow__ = _operator("power")
    __matmul__, __rmatmul__ = _operator("matmul")
    __and__, __rand__ = _operator("logical_and")
    __or__, __ror__ = _operator("logical_or")
    __lt__, __gt__ = _operator("less")
    __le__, __ge__ = _operator("less_equal")
    __eq__, __ne__ = _operator("equal")[0], _operator("not_equal")[0]  # type: ignore[assignment]
    __hash__ = object.__hash__

    def __neg__(self) -> Tensor:
        return ops.negative(self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return ops.abs(self)

    def __invert__(self) -> Tensor:
        return ops.logical_not(self)

    def __getitem__(self, index: Any) -> Tensor:
        return ops.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "x[i] = v would change an array that the graph still needs; write x = np.where(mask, v, x), "
            "or build x with np.concatenate or np.stack"
        )

    def _update(self, value: Tensor, operator: str) -> Tensor:
        """`W -= ...`: a leaf that requires grad is rebound inside no_grad; anything else is a new tensor."""
        if self.op is not None or not self._requires_grad:
            return value
        if recording.get().enabled:
            raise ValueError(
                f"{self.name or 'tensor'} {operator} ...: it is a leaf that requires grad, and changing it is not "
                f"differentiable; write `with mg.no_grad(): W {operator} ...`"
            )
        self.data = value._array
        return self

    def __iadd__(self, other: Any) -> Tensor:
        return self._update(self + other, "+=")

    def __isub__(self, other: Any) -> Tensor:
        return self._update(self - other, "-=")

    def __imul__(self, other: Any) -> Tensor:
        return self._update(self * other, "*=")

    def __itruediv__(self, other: Any) -> Tensor:
        return self._update(self / other, "/=")

    # NumPy's methods

    @property
    def T(self) -> Tensor:
        """The axes reversed."""
        return ops.transpose(self)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in ops.METHODS:
            return functools.partial(getattr(ops, name), self)
        raise AttributeError(f"a tensor has no attribute {name!r}")


def _own_array(data: Any, dtype: DTypeLike | None, share: bool = False) -> NDArray[Any]:
    """A read-only array that nobody can change; Python numbers and lists of them get the default dtype.

    share: take an array that nobody can change as it is.
    """
    if isinstance(data, Tensor):
        data = data._array
    elif share and isinstance(data, np.ndarray) and _frozen(data):
        return data
    array = np.array(data, dtype)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"a tensor holds real numbers; found {type(data).__name__} of dtype {array.dtype}")
    if dtype is None and not isinstance(data, np.ndarray | np.generic) and array.dtype.kind != "b":
        array = array.astype(_default_dtype)
    array.setflags(write=False)
    return array


def _frozen(array: NDArray[Any]) -> bool:
    """Whether nobody can change the array: neither through it nor through an array that it is a view of."""
    base = array.base
    return not array.flags.writeable and (base is None or (isinstance(base, np.ndarray) and not base.flags.writeable))


def tensor(data: Any, requires_grad: bool = False, dtype: DTypeLike | None = None, name: str | None = None) -> Tensor:
    """A leaf: a read-only copy of `data` (array, number, nested list, tensor).

    Arrays keep their dtype; Python numbers and lists become `get_default_dtype()`.  Raises TypeError when a tensor of
    another dtype than a floating one should require grad.

    >>> import minigrad as mg
    >>> mg.tensor([1.0, 2.0], requires_grad=True, name="w")
    tensor([1., 2.], name='w', requires_grad=True)
    """
    if isinstance(data, Tensor):
        data = data.__array__()  # raises if the data would drop out of a graph unnoticed
    return Tensor(data, requires_grad, dtype, name)


def constant(value: Any) -> Tensor:
    """A leaf without gradient for an operand that is not a tensor; the line of the operation is not its source."""
    leaf: Tensor = object.__new__(Tensor)  # as __init__ does, without looking for the caller: twice as fast
    if type(value) in (int, float):  # computed with as a number; what the default dtype cannot hold is kept in float64
        leaf._array = np.array(value, _default_dtype if -6e4 < value < 6e4 else np.float64)
    else:
        leaf._array = _own_array(value, None, share=True)
    leaf._array.setflags(write=False)
    now = recording.get()
    leaf.time, leaf._scope, leaf._code, leaf._instruction = now.time, now.scope, None, 0
    leaf.op = leaf.name = leaf.call = leaf.role = leaf._grad = None
    leaf._hooks, leaf.inputs, leaf.arrays, leaf.constants = (), (), (), {}
    leaf._requires_grad, leaf.serial = False, next(serials)
    return leaf


from minigrad import ops  # noqa: E402 - the operators are functions of tensors, so they come last
