"""The loops of a program as C: products through BLAS, everything else element by element, fused.

What the C computes is what NumPy computes, operation by operation, without contraction and without
any assumption about NaN, infinities or the sign of zero; only sums run in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigrad.program.emit_numpy import plus
from minigrad.program.ir import Moving, Number, Operand, Ref, Size, Statement, is_basic, parts_of
from minigrad.program.schedule import Loop
from minigrad.program.storage import Storage, guarded

TYPES = {"float32": "float", "float64": "double", "bool": "unsigned char"}
PRELUDE = Path(__file__).with_name("prelude.c")

BINARY = {
    "add": "{} + {}", "subtract": "{} - {}", "multiply": "{} * {}", "divide": "{} / {}",
    "greater": "{} > {}", "less": "{} < {}", "greater_equal": "{} >= {}", "less_equal": "{} <= {}",
    "equal": "{} == {}", "not_equal": "{} != {}",
    "logical_and": "{} && {}", "logical_or": "{} || {}",
}  # fmt: skip
FUNCTIONS = {
    "tanh": 1, "sigmoid": 1, "exp": 1, "log": 1, "sqrt": 1, "sin": 1, "cos": 1, "absolute": 1,
    "relu": 1, "softplus": 1, "log1p": 1, "expm1": 1, "sign": 1, "maximum": 2, "minimum": 2,
    "clip": 3, "square": 1, "isnan": 1, "isinf": 1, "isfinite": 1, "hypot": 2, "arctan": 1, "sinh": 1, "cosh": 1,
}  # fmt: skip
COPIES = ("positive", "cut", "reshape", "ravel", "squeeze", "concatenate_part")
MOVERS = ("split", "transpose", "swapaxes", "expand_dims", "broadcast_to", "getitem")


class UnsupportedError(Exception):
    """A loop that C cannot do; it stays in NumPy."""


class Place(NamedTuple):
    """Where the elements of an operand are: a pointer expression, and the step along each axis."""

    pointer: str
    strides: tuple[int, ...]
    shape: tuple[int, ...]
    base: Any  # what must not be written while this is read: a statement

    @property
    def is_plain(self) -> bool:
        """Whether the elements lie one behind the other."""
        return self.strides == contiguous(self.shape)


def contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of an array without gaps."""
    return tuple(prod(shape[k + 1 :]) for k in range(len(shape)))


@dataclass
class Group:
    """Statements that run in one nest of loops over elements."""

    shape: tuple[int, ...]
    guard: tuple[int, int]
    body: list[Statement] = field(default_factory=list)


class CLoop:
    """One loop over time as a C function; `arrays` are the texts of the arrays it is bound to."""

    def __init__(self, name: str, loop: Loop, storage: Storage, lengths: list[str]) -> None:
        self.name, self.loop, self.storage, self.lengths = name, loop, storage, lengths
        self.pointers: dict[str, str] = {}  # name in C → its type
        self.arrays: list[str] = []
        self.copied: dict[Statement, str] = {}  # what comes from outside → the array for it
        self.inside = set(loop.body)
        self._users: dict[Statement, list[Statement]] = {}
        for s in loop.body:
            for x in s.operands:
                if isinstance(x, Ref) and x.offset == 0:
                    self._users.setdefault(x.statement, []).append(s)
        self.text = self._function()

    # the function

    def _function(self) -> str:
        body = [line for part in self._parts() for line in part]
        steps = c_size(self.loop.steps)
        head = f"for (long long t = 0; t < {steps}; t++) {{"
        if self.loop.backwards:
            head = f"for (long long t = {steps} - 1; t >= 0; t--) {{"
        declared = [
            f"    {kind} *restrict {name} = table[{k}];"
            for k, (name, kind) in enumerate(self.pointers.items())
        ]
        sizes = [f"    const long long {n} = sizes[{k}];" for k, n in enumerate(self.lengths)]
        unused = [f"    (void){n};" for n in self.lengths]
        inner = [f"    {head}", *[f"        {line}" for line in body], "    }"]
        signature = f"void {self.name}(const long long *sizes, void **table) {{"
        return "\n".join([signature, *sizes, *unused, *declared, *inner, "}"])

    def _parts(self) -> list[list[str]]:
        """The lines of one step, product by product and group by group."""
        parts: list[list[str]] = []
        for item in self._groups():
            if isinstance(item, Group):
                parts.append(self._nest(item))
                parts += [self._cut(s) for s in item.body if s.period]
            elif item.kind == "matmul":
                parts.append(guard(guarded(item), self.loop.steps, self._product(item)))
                parts += [self._cut(item)] if item.period else []
            else:
                parts.append(guard(guarded(item), self.loop.steps, self._reduction(item)))
        return parts

    def _cut(self, s: Statement) -> list[str]:
        """Zeros in the steps at which a gradient is cut."""
        place = self._timed(s, 0)
        size = prod(place.shape)
        if not place.is_plain:
            raise UnsupportedError("a cut in a part of an array")
        return [
            f"if (t && ({c_size(s.steps)} - t) % {s.period} == 0)",
            f"    for (int i = 0; i < {size}; i++) ({place.pointer})[i] = 0;",
        ]

    def _groups(self) -> list[Group | Statement]:
        found: list[Group | Statement] = []
        for s in self.loop.body:
            check_types(s)
            if s in self.storage.views:
                continue
            if s.kind == "matmul" or s.kind in ("sum", "mean"):
                found.append(s)
                continue
            if s.kind == "concatenate":
                if s.constants["axis"] not in (-1, len(s.shape) - 1):
                    raise UnsupportedError("parts joined along another axis than the last")
                for part in self._copied_parts(s):
                    self._join(found, part)
                continue
            if not is_elementwise(s):
                raise UnsupportedError(f"{s.kind} is not written in C")
            self._join(found, s)
        return found

    def _join(self, found: list[Group | Statement], s: Statement) -> None:
        """Into the last group, where nothing stands in the way, else into a new one."""
        shape, limits = _ints(s.shape), guarded(s)
        last = found[-1] if found else None
        if isinstance(last, Group) and last.shape == shape and last.guard == limits:
            written = {self._base(x) for x in last.body}
            reads = (x.statement for x in s.operands if isinstance(x, Ref) and x.offset == 0)
            if all(r in last.body or self._base(r) not in written for r in reads):
                last.body.append(s)
                return
        found.append(Group(shape, limits, [s]))

    def _copied_parts(self, s: Statement) -> list[Statement]:
        """The operands of a `concatenate` that are not computed in their place, as copies."""
        parts, start = [], 0
        for x in s.operands:
            assert isinstance(x, Ref)
            shape = x.statement.shape[1:] if self._is_row_of_outside(x) else x.statement.shape
            width = int(shape[-1])
            if self.storage.parts.get(x.statement, (None,))[0] is not s:
                part = Statement(None, {"start": start}, shape, s.dtype, s.steps, operands=[x])
                part.name, part.which = f"{s.name}_{start}", None
                part.constants["into"] = s
                parts.append(part)
            start += width
        return parts

    def _is_row_of_outside(self, x: Ref) -> bool:
        return x.offset is not None and not x.statement.timed

    # places

    def _base(self, s: Statement) -> Statement:
        """The statement whose array holds the values."""
        while True:
            if s in self.storage.views:
                s = self.storage.views[s]
            elif s in self.storage.parts:
                s = self.storage.parts[s][0]
            elif "into" in s.constants:
                s = s.constants["into"]
            else:
                return s

    def place(self, x: Operand) -> Place:
        """Where an operand is."""
        assert isinstance(x, Ref)
        s, offset = x.statement, x.offset
        if offset is None:
            shape = _ints(s.shape)
            return Place(self._outside(s), contiguous(shape), shape, s)
        if not s.timed:
            shape = _ints(s.shape[1:])
            pointer = f"{self._outside(s)} + {_row(offset, prod(shape))}"
            return Place(pointer, contiguous(shape), shape, s)
        return self._timed(s, offset)

    def _timed(self, s: Statement, offset: int) -> Place:
        storage = self.storage
        if "into" in s.constants:
            whole = self._timed(s.constants["into"], offset)
            return whole._replace(
                pointer=f"{whole.pointer} + {s.constants['start']}", shape=_ints(s.shape)
            )
        if s in storage.parts:
            base, start, _ = storage.parts[s]
            whole = self._timed(base, offset)
            return whole._replace(pointer=f"{whole.pointer} + {start}", shape=_ints(s.shape))
        if s in storage.views:
            base = storage.views[s]
            given = Ref(base, offset)
            whole = self._timed(base, offset) if base.timed else self.place(given)
            return seen_as(s, whole)
        shape = _ints(s.shape)
        if s not in storage.kept:
            return Place(self._array(s.name, s), contiguous(shape), shape, s)
        before = storage.padding.get(s, (0, 0))[0]
        pointer = f"{self._array(f'{s.name}_all', s)} + {_row(before + offset, prod(shape))}"
        return Place(pointer, contiguous(shape), shape, s)

    def _array(self, text: str, s: Statement) -> str:
        name = f"p_{s.name}"
        if name not in self.pointers:
            self.pointers[name] = c_type(s)
            self.arrays.append(text)
        return name

    def _outside(self, s: Statement) -> str:
        """The pointer to what a loop takes from outside: a copy, which stays where it is."""
        if s not in self.copied:
            self.copied[s] = f"{s.name}_given"
        return self._array(self.copied[s], s)

    # statements

    def _product(self, s: Statement) -> list[str]:
        """A matrix product; vectors are matrices of one row."""
        a, b, y = self.place(s.operands[0]), self.place(s.operands[1]), self._timed(s, 0)
        if len(a.shape) not in (1, 2) or len(b.shape) != 2:
            raise UnsupportedError("a product of other than matrices")
        rows, inner = (1, *a.shape)[-2:]
        (lead_a, turn_a), (lead_b, turn_b) = _leading(a), _leading(b)
        (lead_y, turn_y) = _leading(y)
        if turn_y or s.dtype.name not in ("float32", "float64"):
            raise UnsupportedError("a product into a transposed array")
        name = "gemm_float" if s.dtype.name == "float32" else "gemm_double"
        sizes = f"{rows}, {b.shape[1]}, {inner}"
        left = f"{a.pointer}, {lead_a}, {int(turn_a)}"
        right = f"{b.pointer}, {lead_b}, {int(turn_b)}"
        return [f"{name}({sizes}, {left}, {right}, {y.pointer}, {lead_y});"]

    def _reduction(self, s: Statement) -> list[str]:
        """A sum or mean over some axes of one step."""
        x, y = self.place(s.operands[0]), self._timed(s, 0)
        axis, ndim = s.constants["axis"], len(x.shape)
        axes = range(ndim) if axis is None else np.atleast_1d(axis).tolist()
        over = sorted(int(k) % ndim for k in axes)
        kept = [k for k in range(ndim) if k not in over]
        if s.constants["keepdims"]:
            y = y._replace(strides=tuple(y.strides[k] for k in kept))
        names = [f"i{k}" for k in range(ndim)]
        source = _element(x, names)
        target = _indexed(y.pointer, y.strides, [names[k] for k in kept])
        kind = c_type(s)
        inner = [f"sum += {source};"]
        for k in reversed(over):
            inner = [f"for (int {names[k]} = 0; {names[k]} < {x.shape[k]}; {names[k]}++)", *inner]
        count = f" / {prod(x.shape[k] for k in over)}" if s.kind == "mean" else ""
        lines = [f"{kind} sum = 0;", *inner, f"{target} = sum{count};"]
        for k in reversed(kept):
            head = f"for (int {names[k]} = 0; {names[k]} < {x.shape[k]}; {names[k]}++) {{"
            lines = [head, *lines, "}"]
        return lines if kept else ["{", *lines, "}"]

    def _nest(self, group: Group) -> list[str]:
        """One nest of loops over the elements of a group."""
        reads = [
            self.place(x)
            for s in group.body
            for x in s.operands
            if not self._is_register(x, group, s)
        ]
        writes = [self._timed(s, 0) for s in group.body if self._is_stored(s, group)]
        shape = group.shape
        flat = shape != () and all(p.shape in (shape, ()) and p.is_plain for p in (*reads, *writes))
        if flat:
            shape = (prod(shape),)
        names = [f"i{k}" for k in range(len(shape))]
        lines: list[str] = []
        for s in group.body:
            operands = [self._value(x, group, s, names, flat) for x in s.operands]
            register = f"v_{s.name}"
            lines.append(f"{c_type(s)} {register} = {expression(s, operands)};")
            if self._is_stored(s, group):
                place = self._timed(s, 0)
                place = _flattened(place) if flat else place
                lines.append(f"{_indexed(place.pointer, place.strides, names)} = {register};")
        for k in reversed(range(len(shape))):
            head = f"for (int {names[k]} = 0; {names[k]} < {shape[k]}; {names[k]}++) {{"
            pragma = ["IVDEP"] if k == len(shape) - 1 else []
            lines = [*pragma, head, *[f"    {line}" for line in lines], "}"]
        return guard(group.guard, self.loop.steps, lines if shape else ["{", *lines, "}"])

    def _is_register(self, x: Operand, group: Group, s: Statement) -> bool:
        """Whether an operand is a number, or was computed in the same nest just before."""
        if isinstance(x, Number):
            return True
        near = isinstance(x, Ref) and x.offset == 0 and x.statement in group.body
        return near and _ints(x.statement.shape) == _ints(s.shape)

    def _is_stored(self, s: Statement, group: Group) -> bool:
        """Whether something outside of the nest reads the value."""
        if "into" in s.constants or s in self.storage.kept or s in self.storage.parts:
            return True
        users = self._users.get(s, [])
        viewed = s in self.storage.views.values()
        return viewed or any(u not in group.body for u in users)

    def _value(self, x: Operand, group: Group, s: Statement, names: list[str], flat: bool) -> str:
        if isinstance(x, Number):
            return number(x.value, s)
        if self._is_register(x, group, s):
            return f"v_{x.statement.name}"
        place = self.place(x)
        if flat:
            place = _flattened(place)
        return _element(place, names)


# text


def seen_as(s: Statement, x: Place) -> Place:
    """The place of a view."""
    c, ndim = s.constants, len(x.shape)
    shape = _ints(s.shape)
    if s.kind == "split":
        axis, which, ends = c["axis"] % ndim, s.which or 0, list(c["ends"])
        start = ends[which - 1] if which else 0
        return Place(f"{x.pointer} + {start * x.strides[axis]}", x.strides, shape, x.base)
    if s.kind in ("transpose", "swapaxes"):
        order = list(c.get("axes") or range(ndim)[::-1])
        if s.kind == "swapaxes":
            order = list(range(ndim))
            one, two = c["axis1"] % ndim, c["axis2"] % ndim
            order[one], order[two] = two, one
        return x._replace(strides=tuple(x.strides[k] for k in order), shape=shape)
    if s.kind == "broadcast_to":
        new = (0,) * (len(shape) - ndim)
        kept = zip(x.strides, x.shape, shape[len(new) :], strict=True)
        spread = tuple(0 if n != m else stride for stride, n, m in kept)
        return x._replace(strides=(*new, *spread), shape=shape)
    if s.kind == "expand_dims":
        axes = {int(k) % len(shape) for k in np.atleast_1d(c["axis"])}
        left = iter(x.strides)
        return x._replace(
            strides=tuple(0 if k in axes else next(left) for k in range(len(shape))), shape=shape
        )
    if s.kind == "getitem":
        return _taken(s, x)
    raise UnsupportedError(f"{s.kind} is not written in C")


def _taken(s: Statement, x: Place) -> Place:
    """The place of a part that an index takes: whole numbers and slices."""
    parts = parts_of(s.constants["index"])
    if not all(isinstance(part, int | slice) for part in parts) or not is_basic(parts):
        raise UnsupportedError("an index that is not a slice")
    start, strides = 0, []
    for axis, (n, stride) in enumerate(zip(x.shape, x.strides, strict=True)):
        part = parts[axis] if axis < len(parts) else slice(None)
        if isinstance(part, int):
            start += part % n * stride
        else:
            first, _, step = part.indices(n)
            start += first * stride
            strides.append(step * stride)
    return Place(f"{x.pointer} + {start}", tuple(strides), _ints(s.shape), x.base)


def is_elementwise(s: Statement) -> bool:
    """Whether every element of a statement is an expression of elements of its operands."""
    known = s.kind in BINARY or s.kind in FUNCTIONS or s.kind in ("negative", "where", "add_up")
    copied = s.kind in ("positive", "cut")
    power = s.kind == "power" and isinstance(s.operands[1], Number) and s.operands[1].value == 2
    plain = s.kind != "add_up" or s.constants.get("places") is None
    if s.dtype.kind == "f" and s.operands:  # of truth values NumPy makes float64
        plain &= not all(isinstance(x, Number) or x.statement.dtype == bool for x in s.operands)
    return (known or copied or power) and plain


def expression(s: Statement, x: list[str]) -> str:
    """The value of one element."""
    if s.op is None or s.kind in ("positive", "cut") or (len(x) == 1 and s.kind == "clip"):
        return x[0]
    if s.kind in BINARY:
        return BINARY[s.kind].format(*x)
    if s.kind == "add_up":
        return " + ".join(x)
    if s.kind == "negative":
        return f"-{x[0]}"
    if s.kind == "where":
        return f"{x[0]} ? {x[1]} : {x[2]}"
    if s.kind == "power":
        return f"{x[0]} * {x[0]}"
    suffix = "double" if _computes_in_double(s) else "float"
    return f"{s.kind}_{suffix}({', '.join(x)})"


def _computes_in_double(s: Statement) -> bool:
    kinds = [x.statement.dtype.name for x in s.operands if not isinstance(x, Number)]
    return "float64" in kinds


def number(value: Any, s: Statement) -> str:
    """A number as C writes it, in the type of what it meets, without a change of a bit."""
    double = _computes_in_double(s)
    kind = "double" if double else "float"
    if isinstance(value, Size):
        text = c_size(value)
        return f"({kind})({text})"
    if isinstance(value, Moving):
        return f"({kind})(t * {value.factor} + {value.constant})"
    exact = float(value) if double else float(np.float32(value))
    if not np.isfinite(exact):
        return {"inf": "INFINITY", "-inf": "-INFINITY", "nan": "NAN"}[str(exact)]
    return f"{exact.hex()}{'' if double else 'f'}"


def c_size(size: Any) -> str:
    """A length as C writes it."""
    text = str(size)
    return f"1.0 / {text.removeprefix('1 / ')}" if text.startswith("1 / ") else text


def c_type(s: Statement) -> str:
    """The type of the elements."""
    if s.dtype.name not in TYPES:
        raise UnsupportedError(f"{s.dtype} is not written in C")
    return TYPES[s.dtype.name]


def check_types(s: Statement) -> None:
    """Raise for a dtype that the C does not know, or a mixture of two."""
    floats = {s.dtype.name} if s.dtype.kind == "f" else set()
    c_type(s)
    for x in s.operands:
        if not isinstance(x, Number):
            c_type(x.statement)
            if x.statement.dtype.kind == "f":
                floats.add(x.statement.dtype.name)
    if len(floats) > 1:
        raise UnsupportedError("float32 and float64 in one operation")


def guard(limits: tuple[int, int], steps: Any, lines: list[str]) -> list[str]:
    """The lines, for the steps that have them."""
    skipped, left = limits
    if not (skipped or left):
        return lines
    last = f" && t < {c_size(steps)} - {left}" if left else ""
    return [f"if (t >= {skipped}{last}) {{", *[f"    {line}" for line in lines], "}"]


def _row(offset: int, size: int) -> str:
    return f"({plus('t', offset)}) * {size}"


def _indexed(pointer: str, strides: Sequence[int], names: Sequence[str]) -> str:
    terms = [f"{n} * {k}" if k != 1 else n for n, k in zip(names, strides, strict=True) if k]
    return f"({pointer})[{' + '.join(terms) or '0'}]"


def _element(x: Place, names: Sequence[str]) -> str:
    """An element of an operand, whose axes are the last ones of the nest."""
    own = names[len(names) - len(x.strides) :] if x.strides else []
    strides = [k if n != 1 else 0 for k, n in zip(x.strides, x.shape, strict=True)]
    return _indexed(x.pointer, strides, own)


def _flattened(x: Place) -> Place:
    return x._replace(strides=(1,) if x.shape else (), shape=(prod(x.shape),) if x.shape else ())


def _leading(x: Place) -> tuple[int, bool]:
    """The distance of rows of a matrix, and whether it is transposed."""
    if len(x.shape) == 1:
        if x.strides[0] != 1:
            raise UnsupportedError("a product of a column")
        return x.shape[0], False
    rows, columns = x.strides
    if columns == 1 and (rows >= x.shape[1] or x.shape[0] == 1):
        return max(rows, x.shape[1]), False
    if rows == 1 and (columns >= x.shape[0] or x.shape[1] == 1):
        return max(columns, x.shape[0]), True
    raise UnsupportedError("a product of a strided matrix")


def _ints(shape: Sequence[Any]) -> tuple[int, ...]:
    """A shape of numbers; one that depends on a length is not for C."""
    if not all(isinstance(n, int | np.integer) for n in shape):
        raise UnsupportedError("a shape that depends on the length of another sequence")
    return tuple(int(n) for n in shape)


def written(
    loops: Sequence[Loop], storage: Storage, lengths: list[str], why: Callable[[str], None]
) -> dict[Loop, CLoop]:
    """The loops that C can do."""
    found: dict[Loop, CLoop] = {}
    for k, loop in enumerate(loops):
        if all(s in storage.views for s in loop.body):
            continue
        try:
            found[loop] = CLoop(f"loop_{k}", loop, storage, lengths)
        except UnsupportedError as problem:
            why(str(problem))
    return found


def source(loops: Sequence[CLoop]) -> str:
    """The whole C file."""
    return "\n\n".join([PRELUDE.read_text(), *(loop.text for loop in loops)]) + "\n"
