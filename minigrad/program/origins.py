"""Where the arrays of a recording come from: from the arguments, or from nothing but shapes.

No array of a recording may stand in a program as it is.  An array that reached the graph through NumPy
is an argument, or a step of one, if its values say so; a constant fill and a count 0, 1, 2, ... are
written as such; everything else is refused, with its line.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.primitive import Primitive, primitive
from minigrad.program.arguments import GivenFloat
from minigrad.program.draws import Recorder
from minigrad.program.errors import CompileError
from minigrad.program.ir import Operand, Ref, Row, Statement
from minigrad.tensor import Array, Tensor


@primitive(differentiable=False)
def filled(*, shape: Any, value: Any, dtype: Any) -> Any:
    """An array whose entries are one number."""
    return np.full(shape, value, dtype)


@primitive(differentiable=False)
def counted(*, n: Any, shape: Any, dtype: Any) -> Any:
    """0, 1, 2, ... in a shape."""
    return np.arange(n, dtype=dtype).reshape(shape)


@primitive(differentiable=False)
def before_the_end(lengths: Any, *, n: Any, shape: Any) -> Any:
    """Which rows are inside of their length at each of n steps."""
    return (np.arange(n)[:, None] < lengths).reshape(shape)


@primitive(differentiable=False)
def differs_from(x: Any, *, value: Any, shape: Any) -> Any:
    """Where the entries are not this one: where a token is no padding."""
    return (x != value).reshape(shape)


@primitive(differentiable=False)
def shaped(x: Any, *, shape: Any, dtype: Any) -> Any:
    """The same values in another shape and dtype."""
    return x.reshape(shape).astype(dtype, copy=False)


class Origins:
    """The statements of the arguments, and of what arrays are made of."""

    def __init__(self, arguments: dict[str, Any], nodes: Iterable[Tensor]) -> None:
        self.arguments = {
            path: Statement(None, {}, np.shape(_array(leaf)), _array(leaf).dtype, name=path)
            for path, leaf in arguments.items()
            if isinstance(leaf, Tensor | Array | float | np.floating)
        }
        self.values = {path: arguments[path] for path in self.arguments}
        sources = {path: leaf for path, leaf in arguments.items() if isinstance(leaf, Recorder)}
        self.arguments |= {
            path: Statement(None, {}, (), np.dtype(object), name=path) for path in sources
        }
        self.numbers = {
            id(leaf): self.arguments[path] for path, leaf in self.values.items() if _is_number(leaf)
        }
        self.by_id = {
            id(_array(leaf)): self.arguments[path]
            for path, leaf in self.values.items()
            if isinstance(leaf, Tensor | Array)
        }
        self.by_id |= {id(r.source._array): self.arguments[path] for path, r in sources.items()}
        self.computed = {id(node._array): node for node in nodes if node.op is not None}
        self.made: dict[Any, Statement] = {}
        self.rows: dict[int, tuple[Statement, int]] = {}  # by the identity of arrays
        self.steady: set[int] = set()  # the identities of those that are the same in all steps
        self.steps = 0  # of the loop whose operands are looked up
        self.user: Tensor | None = None  # the node whose operands are looked up

    def number(self, value: Any) -> Statement | None:
        """The argument that a Python number is; None for a number of the program itself."""
        return self.numbers.get(id(value)) if _is_number(value) else None

    def statement(self, leaf: Tensor) -> Statement:
        """What a leaf outside of time is; one that is trained must be an argument."""
        if leaf._requires_grad and id(leaf._array) not in self.by_id:
            raise CompileError(
                f"compile: {leaf.name or 'a tensor'} of shape {leaf.shape} requires grad and is no "
                f"argument, so it would have no gradient; pass it, or the module that holds it\n"
                f"  {leaf.describe()}"
            )
        found = self.known(leaf._array)
        if found is None:
            raise CompileError(_unknown(leaf, self.user))
        return found

    def known(self, array: Array) -> Statement | None:
        """The statement of an array, by identity, by its values, or by its form."""
        if id(array) in self.by_id:
            return self.by_id[id(array)]
        for path, value in self.values.items():
            given = _array(value)
            alike = array.size > 1 or given.dtype.kind == array.dtype.kind  # 1 is no length of 1
            if given.size == array.size and array.size and alike and _same(given, array):
                return self._shaped(self.arguments[path], array)
        return self._regular(array) or self._derived(array)

    def _derived(self, array: Array) -> Statement | None:
        """A mask: of the lengths of sequences, or of one token."""
        if array.dtype != bool:
            return None
        for path, value in self.values.items():
            given = _array(value)
            if given.dtype.kind in "iu" and given.size:
                found = self._length_mask(path, given, array) or self._token_mask(
                    path, given, array
                )
                if found is not None:
                    return found
        return None

    def _length_mask(self, path: str, given: Array, array: Array) -> Statement | None:
        n, rest = divmod(array.size, given.size)
        if given.ndim != 1 or rest or not n:
            return None
        inside = np.arange(n)[:, None] < given
        if not np.array_equal(inside.ravel(), array.ravel()):
            return None
        return self._mask(before_the_end, path, {"n": n, "shape": array.shape}, array)

    def _token_mask(self, path: str, given: Array, array: Array) -> Statement | None:
        if given.size != array.size or array.all():
            return None
        value = given.ravel()[~array.ravel()][0]
        if not np.array_equal((given != value).ravel(), array.ravel()):
            return None
        return self._mask(differs_from, path, {"value": int(value), "shape": array.shape}, array)

    def _mask(self, op: Any, path: str, constants: dict[str, Any], array: Array) -> Statement:
        key = op, path, *map(str, constants.items())
        if key not in self.made:
            operands: list[Operand] = [Ref(self.arguments[path], None)]
            made = Statement(op, constants, array.shape, array.dtype, operands=operands)
            self.made[key] = made
        return self.made[key]

    def note_rows(self, arrays: dict[int, Any]) -> None:
        """Note of arrays, one for each step, that they are rows of an argument, if they are."""
        rows = self.rows_of(arrays)
        for t, x in arrays.items():
            if t in rows:
                self.rows[id(x)] = rows[t]
        first = next(iter(arrays.values()))
        if first.dtype.kind in "iu" and all(np.array_equal(x, first) for x in arrays.values()):
            self.steady |= {id(x) for x in arrays.values()}

    def rows_of(self, arrays: dict[int, Any]) -> dict[int, tuple[Statement, int]]:
        """The argument of which arrays, one for each step, are rows: of this step, or the one before.

        A row alone may look like a fill with one number; all of them together do not.
        """
        first = next(iter(arrays.values()))
        if any(np.shape(x) != np.shape(first) for x in arrays.values()):
            return {}
        steady = all(np.array_equal(x, first) for x in arrays.values())
        for path, value in self.values.items():
            given = _array(value)
            for earlier in (0, 1):
                wanted = {t - earlier: x for t, x in arrays.items() if t >= earlier}
                if given.ndim == 0 or len(wanted) < 2 or not _are_rows(given, wanted):
                    continue
                if steady and _is_uniform(given) and given.dtype.kind in "iu":
                    raise CompileError(
                        f"compile: all entries of {path} are {given.flat[0]}, so that it cannot be told "
                        "from a constant; call the step first with other ones"
                    )
                if not steady:
                    argument = self._shaped(self.arguments[path], np.asarray(first), len(given))
                    return {t + earlier: (argument, t) for t in wanted}
        return {}

    def noted_row(self, array: Any) -> tuple[Statement, int] | None:
        """The argument and the step of it that an array was found to be."""
        return self.rows.get(id(array))

    def element(self, leaf: Tensor, t: int) -> Statement | None:
        """The argument of whose rows a leaf is row t; None if it is none."""
        return self.element_of(leaf._array, t)

    def element_of(self, array: Array, t: int) -> Statement | None:
        """As `element`, of an array."""
        if id(array) in self.by_id or id(array) in self.steady:
            return None
        if array.dtype == bool and (mask := self._row_of_mask(array, t)) is not None:
            return mask
        for path, value in self.values.items():
            given = _array(value)
            rows = given.ndim > 0 and len(given) > t and given[t].size == array.size > 0
            if rows and _same(given[t], array) and not _is_uniform(array):
                return self._shaped(self.arguments[path], array, rows=len(given))
        return None

    def _row_of_mask(self, array: Array, t: int) -> Statement | None:
        """The mask of some lengths, of which an array is the row of step t."""
        for path, value in self.values.items():
            given = _array(value)
            if given.dtype.kind not in "iu" or given.shape != (array.size,):
                continue
            if np.array_equal(array.ravel(), t < given):
                steps = np.arange(self.steps)[:, None] < given
                whole = steps.reshape(self.steps, *array.shape)
                constants = {"n": self.steps, "shape": whole.shape}
                return self._mask(before_the_end, path, constants, whole)
        return None

    def row(self, array: Array) -> Row | None:
        """The argument, and the step of it, that an array is; None if it is none."""
        for path, value in self.values.items():
            given = _array(value)
            if given.ndim == 0 or given[:1].size != array.size or _is_uniform(array):
                continue
            for t, one in enumerate(given):
                if _same(one, array):
                    statement = self._shaped(self.arguments[path], array, rows=len(given))
                    return Row(statement, from_the_end(t, len(given)))
        return None

    def index(self, array: Array, t: int | None, node: Tensor) -> Any:
        """An array in the constants of an operation, as an operand."""
        if (known := self.noted_row(array)) is not None:
            argument, step = known
            if t is None:
                return Row(argument, from_the_end(step, argument.shape[0]))
            return Ref(argument, step - t)
        if t is not None and (element := self.element_of(array, t)) is not None:
            return Ref(element, 0)
        found = self.known(array)
        if found is None:
            raise CompileError(
                "compile: an array is computed by NumPy from other arrays, and would stay what it is "
                f"now; compute it from the arguments with NumPy's functions on tensors, or pass it\n"
                f"  {node.describe()}"
            )
        return Ref(found, None)

    def _shaped(self, argument: Statement, array: Array, rows: int | None = None) -> Statement:
        """An argument in the shape and dtype in which it is used."""
        shape = array.shape if rows is None else (rows, *array.shape)
        if argument.shape == shape and argument.dtype == array.dtype:
            return argument
        key = argument, shape, array.dtype
        if key not in self.made:
            constants = {"shape": shape, "dtype": array.dtype}
            made = Statement(shaped, constants, shape, array.dtype, operands=[Ref(argument, None)])
            self.made[key] = made
        return self.made[key]

    def _regular(self, array: Array) -> Statement | None:
        """A fill with one number, or a count."""
        constants: dict[str, Any] = {"shape": array.shape, "dtype": array.dtype}
        op: Primitive | None = None
        if _is_uniform(array):
            op, constants["value"] = filled, array.flat[0].item() if array.size else 0
        elif array.dtype.kind in "iu" and np.array_equal(array.ravel(), np.arange(array.size)):
            op, constants["n"] = counted, array.size
        if op is None:
            return None
        key = op, *map(str, constants.items())
        if key not in self.made:
            self.made[key] = Statement(op, constants, array.shape, array.dtype)
        return self.made[key]


def from_the_end(t: int, steps: int) -> int:
    """A step, counted from the end (< 0) where that is nearer."""
    return t if t < steps // 2 else t - steps


def _array(leaf: Any) -> Array:
    return leaf._array if isinstance(leaf, Tensor) else np.asarray(leaf)


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, GivenFloat)


def _same(given: Array, array: Array) -> bool:
    return np.array_equal(given.astype(array.dtype).ravel(), array.ravel())


def _are_rows(given: Array, rows: dict[int, Any]) -> bool:
    """Whether arrays are the rows of one, each with its number."""
    size = given[:1].size
    return all(
        t < len(given) and np.size(x) == size > 0 and _same(given[t], np.asarray(x))
        for t, x in rows.items()
    )


def _is_uniform(array: Array) -> bool:
    return array.size == 0 or bool((array == array.flat[0]).all())


def _unknown(leaf: Tensor, user: Tensor | None) -> str:
    known = leaf if leaf._code is not None or user is None else user
    return (
        f"compile: {leaf.name or 'an array'} of shape {leaf.shape} is made inside of the function and "
        f"is no argument, so the program would keep it as it is now; pass it as an argument (random "
        f"numbers too: draw them outside)\n"
        f"  {known.describe()}"
    )
