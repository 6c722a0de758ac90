"""The tensor: an array, and how and where it was made.

A tensor is a node of the computation graph.  It refers to its inputs and never to its users, so
there are no reference cycles: dropping the loss frees the graph at once.  Arrays are read-only for
life; `t.data = array` gives the tensor another array.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from operator import attrgetter
from types import CodeType, FrameType
from typing import Any, NamedTuple, Never, Protocol

import numpy as np
from numpy.typing import DTypeLike

from minigrad import doors
from minigrad.habits import Habits, unknown_keyword
from minigrad.operators import Operand, Operators, functions
from minigrad.paths import Path, Role
from minigrad.scope import caller, recording
from minigrad.source import Source

Array = np.ndarray
serials = itertools.count()
_default_dtype: np.dtype[Any] = np.dtype(np.float32)
# made at its first use: importing numpy.random would add 15 ms to the start
_generator: np.random.Generator | None = None


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
    global _generator
    _generator = _generator or np.random.default_rng()
    return _generator


def used_generator() -> np.random.Generator | None:
    """The generator that `seed` starts, if anything random has been used yet."""
    return _generator


class Operation(Protocol):
    """What a tensor knows of the operation that made it; `Primitive` is one."""

    name: str
    differentiable: bool


class Call(NamedTuple):
    """One call with several outputs, seen from output number `which`."""

    outputs: tuple[Array, ...]
    which: int


class Site(NamedTuple):
    """The line of the program that made a node; nodes of different steps share it.

    op: the operation.  output: which output it is, of an operation with several.
    """

    scope: str
    code: CodeType | None
    instruction: int
    op: Any
    output: int | None


def _of_array(name: str) -> Any:
    """A property that reads an attribute of the tensor's array, without a frame of Python."""
    return property(attrgetter(f"_array.{name}"), doc="As in NumPy.")


class Handle:
    """What `register_hook` returns: `handle.remove()` removes that hook, and no other one.

    A function that is registered twice is two hooks.
    """

    def __init__(self, tensor: Tensor, hook: Callable[[Any], Any]) -> None:
        self.tensor, self.hook = tensor, hook
        self._done = False

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        if self._done:
            return
        self._done = True
        hooks = list(self.tensor._hooks)
        position = next((k for k, hook in enumerate(hooks) if hook is self.hook), None)
        if position is not None:
            del hooks[position]
            self.tensor._hooks = tuple(hooks)


class Tensor(Operators["Tensor"], Habits):
    """An array with a history.  `minigrad.tensor` makes leaves; operations make all other tensors.

    The array: `data shape dtype ndim size T`.  The gradient: `grad requires_grad is_leaf`.  The
    history: `op inputs constants`.  The place: `name t time scope source`.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = (
        *("_array", "_grad", "_requires_grad", "_hooks", "_scope", "_code", "_instruction"),
        *("name", "op", "inputs", "constants", "arrays", "call", "role", "serial", "time"),
        *("walked", "__weakref__"),
    )

    def __init__(
        self,
        data: Any,
        requires_grad: bool = False,
        dtype: DTypeLike | None = None,
        name: str | None = None,
    ) -> None:
        data = np.asarray(data) if isinstance(data, Tensor) else data
        self._begin(_own_array(data, dtype), caller(sys._getframe(1)), name)
        self.requires_grad = requires_grad

    def _begin(self, array: Array, frame: FrameType | None, name: str | None = None) -> Tensor:
        """Become a leaf with this array, which is locked; the place is the present one."""
        now = recording.get()
        array.setflags(write=False)
        self._array = array
        self._grad: Tensor | None = None
        self._requires_grad = False
        self._hooks: tuple[Callable[[Any], Any], ...] = ()
        self._scope, self.time = now.scope, now.time
        self._code: CodeType | None = frame.f_code if frame else None
        self._instruction = frame.f_lasti if frame else 0
        self.name = name
        self.op: Any = None  # None in a leaf
        self.inputs: tuple[Tensor, ...] = ()
        self.constants: dict[str, Any] = {}
        # the arrays of the call, so that an input that gets other data does not change the gradient
        self.arrays: Any = ()
        self.call: Call | None = None  # for one of several outputs
        self.role: Role | None = None  # for the recurrence; `mark` sets it
        self.serial: float = next(serials)  # creation order; reversed, it is a topological order
        # serial number of the last loss that ran backward through this node; unset before the first
        self.walked: float
        return self

    # what it is

    shape: tuple[int, ...] = _of_array("shape")
    dtype: np.dtype[Any] = _of_array("dtype")
    ndim: int = _of_array("ndim")
    size: int = _of_array("size")

    @property
    def data(self) -> Array:
        """The array, as a read-only view, which nobody can unlock.

        A leaf can be assigned another one of the same shape; it is cast to this dtype.
        """
        return self._array.view()

    @data.setter
    def data(self, value: Any) -> None:
        if self.op is not None:
            raise ValueError(
                f"data of {self!r}: it is the output of {self.op.name}; write t = t.detach() first"
            )
        self._array = fitted(value, self, f"data of {self.name or 'tensor'}:")._array

    @property
    def grad(self) -> Tensor | None:
        """∂loss/∂self, a tensor, or None before the first backward pass.

        Each backward pass adds to it.  An array of the same shape, or None, can be assigned.
        """
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        self._grad = (
            None if value is None else fitted(value, self, f"grad of {self.name or 'tensor'}:")
        )

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow here.  It can be set for leaves of floating dtype."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not isinstance(value, bool | np.bool_):
            raise TypeError(
                f"requires_grad must be True or False, found {value!r}; for zeros of a shape write "
                "mg.tensor(np.zeros(shape))"
            )
        if value and self.dtype.kind != "f":
            problem = (
                f"requires_grad: only floating tensors have gradients, found dtype {self.dtype}"
            )
            raise TypeError(f"{problem}; write tensor(data, dtype=np.float32, requires_grad=True)")
        if self.op is not None and value != self._requires_grad:
            raise ValueError(
                f"requires_grad of the output of {self.op.name} cannot be changed; use t.detach()"
            )
        self._requires_grad = bool(value)

    @property
    def is_leaf(self) -> bool:
        """Whether this is an input of the program: no recorded operation made it."""
        return self.op is None

    @property
    def t(self) -> int | None:
        """The step of the outermost time axis in which this tensor was made, or None."""
        return self.time[0].t if self.time else None

    @property
    def coordinates(self) -> dict[str, int]:
        """The step on each axis around this tensor, outermost first: {"time": 3, "rk4": 1}."""
        return {axis.name: t for axis, t, _ in self.time or ()}

    @property
    def site(self) -> Site:
        """The line of the program that made this node; equal for its nodes in other steps."""
        output = self.call.which if self.call else None
        return Site(self.scope, self._code, self._instruction, self.op, output)

    @property
    def scope(self) -> str:
        """The dotted path of the module scopes around this tensor; "" outside of all scopes."""
        return self._scope.path if self._scope else ""

    @property
    def source(self) -> Source:
        """The line of the user's program that made this tensor."""
        return Source.at(self._code, self._instruction)

    def mark(
        self,
        kind: str,
        name: str,
        *,
        time: Path | None = None,
        leaf: int = 0,
        memory: bool = False,
    ) -> None:
        """Say what this tensor is to the recurrence of the innermost open axis: see `Role`.

        kind: "input", "state" or "mask".  time: the step that the tensor belongs to, by default
        the step in which it was made.
        """
        self.time = time or self.time
        now = recording.get().time
        axis = now[-1].axis if now else None
        outer = self.role if self.op is not None and kind == "state" else None
        if outer is not None and (outer.kind != "state" or outer.axis is axis):
            outer = None
        self.role = Role(kind, name, axis, leaf, memory, outer)

    def describe(self, before: str = "") -> str:
        """What this tensor is, for error messages: op, shapes, time step, scope, forward line."""
        shapes = ", ".join(str(x.shape) for x in self.inputs)
        place = f" at {place_text(self.time)}" if self.time else ""
        text = f"{before}{self.op.name if self.op else 'leaf'}({shapes}) -> {self.shape}{place}"
        if self._scope is not None:
            text += f", scope {self.scope} (called from {self._scope.called_from})"
        name, expression = self.name or self.source.variable(), self.source.expression
        return f"{text}\n  {self.source}:  " + " = ".join(filter(None, [name, expression]))

    # what one does with it

    def item(self) -> Any:
        """The one element, as a Python number."""
        return self._read("item()").item()

    def _read(self, how: str) -> Array:
        """The array, for Python to compute with; tells `Recording.on_read` about it."""
        if (on_read := recording.get().on_read) is not None:
            on_read(self, how)
        return self._array

    def numpy(self) -> Array:
        """The array, as a read-only view, which nobody can unlock."""
        return self._array.view()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self._read("tolist()").tolist()

    def detach(self) -> Tensor:
        """The same array without history: a leaf through which no gradient flows."""
        frame = caller(sys._getframe(1))
        leaf = kept(self._array)
        leaf._code, leaf._instruction = (frame.f_code, frame.f_lasti) if frame else (None, 0)
        leaf.name = self.name
        return leaf

    def register_hook(self, hook: Callable[[Any], Any]) -> Handle:
        """Call `hook(grad)` when the gradient of this tensor is complete.

        If the hook returns something other than None, that replaces the gradient.

        >>> import minigrad as mg
        >>> x = mg.tensor(2.0, requires_grad=True)
        >>> handle = x.register_hook(lambda grad: 10 * grad)
        >>> (3 * x).backward()
        >>> x.grad.item()
        30.0
        """
        if not callable(hook):
            raise TypeError(f"register_hook: a function of the gradient is needed, found {hook!r}")
        if not self._requires_grad:
            raise ValueError(
                f"register_hook: {self!r} does not require grad, so no gradient will arrive"
            )
        self._hooks = (*self._hooks, hook)
        return Handle(self, hook)

    def backward(
        self,
        grad: Any = None,
        *,
        create_graph: bool = False,
        retain_grads: bool = False,
        **others: Never,
    ) -> None:
        """Add ∂self/∂leaf to `.grad` of every leaf: `Graph(self).backward(...)`, without edits.

        grad: ∂loss/∂self, needed unless self has one element.  create_graph: the gradients have a
        history too.  retain_grads: interior nodes get `.grad` as well.
        """
        if others:
            raise unknown_keyword("Tensor.backward", others)
        functions["backward"](self, grad, create_graph=create_graph, retain_grads=retain_grads)

    def __copy__(self) -> Tensor:
        """A leaf like this one; of the output of an operation, a node of its own in the graph."""
        if self.op is not None and self._requires_grad:
            return functions["copy"](self)
        return _as_pickled(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """A leaf like this one; TypeError for an output, whose history would be lost."""
        if self.op is not None and self._requires_grad:
            raise TypeError(
                f"copy.deepcopy of {self!r} would drop it out of the graph unnoticed; write "
                "t.copy() to keep the history, copy.deepcopy(t.detach()) where the numbers alone "
                "are meant"
            )
        memo[id(self)] = new = _as_pickled(self)
        return new

    def __reduce__(self) -> Any:
        """A pickled tensor is a leaf without history; it requires grad if this leaf does."""
        return Tensor, (self._array, self.op is None and self._requires_grad, None, self.name)

    # how it looks

    def __repr__(self) -> str:
        if self.ndim and self.size <= 24:
            parts = [np.array2string(self._array, precision=4, separator=", ", prefix="tensor(")]
        elif self.ndim:
            norm = np.linalg.norm(self._array.astype(np.float64))
            parts = [f"shape={self.shape}, norm={norm:.4g}"]
        else:
            parts = [f"{self.item():.6g}" if self.dtype.kind == "f" else str(self.item())]
        if self.dtype != np.float32:
            parts.append(f"dtype={self.dtype}")
        if self.name:
            parts.append(f"name={self.name!r}")
        if self.op:
            parts.append(f"op={self.op.name}")
        elif self._requires_grad:
            parts.append("requires_grad=True")
        return f"tensor({', '.join(parts)})"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the short text."""
        return {"text/plain": repr(self)}

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    # Python's protocols

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a 0-d tensor has no length, and nothing to loop over")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return iter(functions["unstack"](self) if len(self) else ())

    def __float__(self) -> float:
        if self._requires_grad and recording.get().enabled:
            remedy = doors.number_leaves(sys._getframe(1))
            if remedy:
                raise TypeError(f"{self!r} requires grad: {doors.NUMBER}; {remedy}")
        return float(self._read("float()").item())

    def __round__(self, decimals: int = 0) -> Tensor:
        return self.round(decimals)

    def __int__(self) -> int:
        return int(self._read("int()").item())

    __trunc__ = __int__

    def __index__(self) -> int:
        if self.size != 1 or self.dtype.kind not in "biu":
            raise TypeError(f"an index must be one whole number, found {self!r}; write int(t)")
        return self._read("index").item().__index__()

    def __bool__(self) -> bool:
        return bool(self._read("bool()"))

    # NumPy's protocols

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        if self._requires_grad:
            remedy = doors.array_leaves(sys._getframe(1))
            raise TypeError(f"{self!r} requires grad: {doors.ARRAY}; {remedy}")
        return np.array(self._array, dtype, copy=copy)

    # updates in place

    def __iadd__(self, other: Operand) -> Tensor:
        return self._updated(self + other, "+=")

    def __isub__(self, other: Operand) -> Tensor:
        return self._updated(self - other, "-=")

    def __imul__(self, other: Operand) -> Tensor:
        return self._updated(self * other, "*=")

    def __itruediv__(self, other: Operand) -> Tensor:
        return self._updated(self / other, "/=")

    def _updated(self, value: Tensor, sign: str) -> Tensor:
        """The result of `W += ...`: inside no_grad a leaf that requires grad is rebound."""
        if self.op is not None or not self._requires_grad:
            return value
        if recording.get().enabled:
            problem = f"{self.name or 'tensor'} {sign} ... would change a leaf that requires grad"
            raise ValueError(f"{problem}; write `with mg.no_grad(): W {sign} ...`")
        self.data = value
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        problem = "x[i] = v would change an array that the graph still needs"
        raise TypeError(
            f"{problem}; write x = np.where(mask, v, x), or build x with np.concatenate or np.stack"
        )

    def __delitem__(self, index: Any) -> None:
        raise TypeError("a tensor keeps its shape; write t = np.delete(t, index, axis)")


def _as_pickled(x: Any) -> Tensor:
    """The tensor that unpickling would make of x."""
    kind, arguments, *state = x.__reduce__()
    made: Any = kind(*arguments)
    for values in state:
        made.__setstate__(values)
    return made


def place_text(path: Path) -> str:
    """Where in time, in words: "t = 3 of axis time, t = 1 of axis rk4"."""
    return ", ".join(f"t = {t} of axis {axis}" for axis, t, _ in path)


def fitted(value: Any, x: Tensor, what: str) -> Tensor:
    """A value that a user gives for x, as a tensor with the dtype of x; a tensor keeps its history.

    what: the beginning of the message of the ValueError that is raised for another shape, and for
    numbers that whole numbers or truth values cannot hold.
    """
    if not isinstance(value, Tensor):
        value = Tensor(value, dtype=x.dtype) if x.dtype.kind == "f" else Tensor(np.asarray(value))
    if value.shape != x.shape:
        where = x.describe() if x.op else f"{x.name or 'a leaf'}, made in {x.source}"
        raise ValueError(f"{what} shape {x.shape} is needed, found {value.shape}, for {where}")
    if value.dtype == x.dtype:
        return value
    if x.dtype.kind != "f":
        _check_whole(value._array, x.dtype, what, exact=True)
    return functions["astype"](value, x.dtype)


def _check_whole(array: Array, dtype: DTypeLike, what: str, exact: bool) -> None:
    """Raise ValueError where a dtype without fractions does not have these numbers.

    exact: not even up to truncation.
    """
    with np.errstate(all="ignore"):
        wanted = array if exact else np.trunc(array)
        wrong = array[np.asarray(array.astype(dtype) != wanted)]
    if wrong.size:
        raise ValueError(f"{what} {np.dtype(dtype)} does not have the number {wrong.flat[0]}")


def _own_array(data: Any, dtype: DTypeLike | None = None) -> Array:
    """A new array of real numbers; Python numbers and lists of them get the default dtype."""
    array = np.array(data._array if isinstance(data, Tensor) else data)
    has_dtype = isinstance(data, Array | np.generic | Tensor) or array.dtype.kind == "b"
    if dtype is None and not has_dtype:
        dtype = _default_dtype
    if dtype is not None and array.dtype.kind in "biuf":
        if np.dtype(dtype).kind in "iu" and array.dtype != dtype:
            _check_whole(array, dtype, "a tensor:", exact=False)
        array = array.astype(dtype, copy=False)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"a tensor holds real numbers; found {type(data).__name__} of dtype {array.dtype}"
        )
    return array


def tensor(
    data: Any, requires_grad: bool = False, dtype: DTypeLike | None = None, name: str | None = None
) -> Tensor:
    """A leaf: a read-only copy of `data` (array, number, nested list, tensor).

    Arrays keep their dtype; Python numbers and lists become `get_default_dtype()`.  Raises
    TypeError for requires_grad=True where the dtype is not a floating one.

    >>> import minigrad as mg
    >>> mg.tensor([1.0, 2.0], requires_grad=True, name="w")
    tensor([1., 2.], name='w', requires_grad=True)
    """
    return Tensor(data, requires_grad, dtype, name)


def constant(value: Any) -> Tensor:
    """A leaf without gradient for an operand that is not a tensor: a copy of it.

    Twice as fast as `Tensor(value)`, because it does not look up the caller.
    """
    leaf: Tensor = object.__new__(Tensor)
    if type(value) in (int, float):
        dtype = _default_dtype if -6e4 < value < 6e4 else np.float64  # float16 ends at 65504
        return leaf._begin(np.array(value, dtype), None)
    return leaf._begin(_own_array(value), None)


def kept(array: Array) -> Tensor:
    """A leaf without gradient with this very array, which the engine has made itself.

    Of a user's array, not even a read-only one may be kept: its owner can unlock it, and there may
    be a view of it that is not locked.
    """
    leaf: Tensor = object.__new__(Tensor)
    return leaf._begin(array if array.base is None else unshared(array), None)


def unshared(view: Array) -> Array:
    """A view of an array that is locked; of any other, a copy."""
    base = view.base
    return view if type(base) is Array and not base.flags.writeable else view.copy()
