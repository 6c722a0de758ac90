"""How operations are written in NumPy: for one step, for all steps at once, and outside of time.

A form is told the texts of its operands and of the array to write into, and returns lines.  `lead` is
1 where arrays have a leading axis of steps, else 0.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import numpy as np

from minigrad.program.ir import (
    OPERANDS,
    Every,
    Moving,
    Row,
    Size,
    Statement,
    is_basic,
    moves,
    parts_of,
)

UFUNCS = {name for name, f in vars(np).items() if isinstance(f, np.ufunc) and not f.signature}
REDUCTIONS = {"sum", "mean", "max", "min", "prod", "var", "std"}
ALONG_AXIS = {"softmax", "log_softmax", "logsumexp"}


class Named(NamedTuple):
    """An index array in the constants of an operation, as it is called where the operation stands."""

    text: str
    dtype: np.dtype[Any]


class Call(NamedTuple):
    """One operation to be written: its operands, the target, the axis of steps in front, if any.

    function: the name of a function that is not NumPy's.  number: how a number is written.
    exact: eager's bits are wanted.  whole: the target is an array without gaps.
    """

    s: Statement
    x: list[str]
    out: str | None
    lead: int
    function: Callable[[Any], str]
    number: Callable[[Any], str]
    exact: bool = False
    whole: bool = False

    def assigned(self, expression: str) -> list[str]:
        """The value of an expression, in its place."""
        if self.out is None:
            return [f"{self.s.name} = {expression}"]
        return [f"{self.out}[...] = {expression}"]

    def called(self, name: str, *operands: str) -> list[str]:
        """A call that writes into its place by itself."""
        if self.out is None:
            return [f"{self.s.name} = {name}({', '.join(operands)})"]
        out = f"out={self.out}" if name in ("maximum", "minimum") else self.out
        return [f"{name}({', '.join([*operands, out])})"]

    @property
    def target(self) -> str:
        """What the lines after the first one go on with."""
        return self.out or self.s.name


def literal(value: Any) -> str:
    """A constant as Python writes it."""
    if isinstance(value, Size):
        return f"({value})" if value.inverse else str(value)
    if isinstance(value, Moving):
        text = "t" if value.factor == 1 else f"{value.factor} * t"
        return f"{text} + {value.constant}" if value.constant else text
    if isinstance(value, np.dtype):
        return f"np.{value}"
    if value is ...:
        return "..."
    if isinstance(value, slice):
        return f"slice({literal(value.start)}, {literal(value.stop)}, {literal(value.step)})"
    if type(value) in (tuple, list):
        inner = ", ".join(map(literal, value))
        closing = "," if len(value) == 1 and isinstance(value, tuple) else ""
        return f"({inner}{closing})" if isinstance(value, tuple) else f"[{inner}]"
    if isinstance(value, np.generic):
        return literal(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return {"inf": "np.inf", "-inf": "-np.inf", "nan": "np.nan"}[str(value)]
    if isinstance(value, type) and issubclass(value, np.generic):
        return f"np.{value.__name__}"
    if value is None or isinstance(value, bool | int | float | str | range):
        return repr(value)
    raise ValueError(
        f"compile: a constant of type {type(value).__name__} cannot be written: {value!r}"
    )


def lines(call: Call) -> list[str]:
    """The lines of an operation."""
    form = FORMS.get(call.s.kind)
    if form is not None:
        return form(call)
    if call.s.kind in UFUNCS and getattr(call.s.op, "elementwise", False):
        return call.called(call.s.kind, *call.x)
    return _general(call)


def has_batch(s: Statement) -> bool:
    """Whether an operation can be written for all steps at once."""
    if moves(s.constants):
        return False
    if s.kind in UFUNCS and getattr(s.op, "elementwise", False):
        return True
    check = BATCHED.get(s.kind)
    return bool(check and check(s))


def _general(call: Call) -> list[str]:
    constants = [f"{name}={literal(v)}" for name, v in call.s.constants.items()]
    name = call.function(call.s.op.forward)  # type: ignore[union-attr]
    which = "" if call.s.which is None else f"[{call.s.which}]"  # of several results
    return call.assigned(f"{name}({', '.join([*call.x, *constants])}){which}")


# forms


def _sigmoid(call: Call) -> list[str]:
    (x,), y = call.x, call.target
    if call.exact:
        top = 11.0 if call.s.dtype == np.float16 else 40.0
        lines = call.called("minimum", x, call.number(top))
        return [*lines, f"exp({y}, {y})", f"divide({y}, {y} + {call.number(1)}, {y})"]
    if call.out is None:
        return [f"{y} = 1 / (1 + exp(-{x}))"]
    one = call.number(1)
    return [
        f"negative({x}, {y})",
        f"exp({y}, {y})",
        f"add({y}, {one}, {y})",
        f"reciprocal({y}, {y})",
    ]


def _relu(call: Call) -> list[str]:
    return call.called("maximum", call.x[0], call.number(0))


def _softplus(call: Call) -> list[str]:
    return call.called("logaddexp", call.x[0], call.number(0))


def _add_up(call: Call) -> list[str]:
    first, *others = call.x
    if call.s.constants.get("places") is not None:
        return _scattered(call)
    if not others:
        return call.assigned(first) if call.out else [f"{call.s.name} = {first}"]
    found = call.called("add", first, others[0])
    return found + [f"add({call.target}, {x}, {call.target})" for x in others[1:]]


def _scattered(call: Call) -> list[str]:
    """Contributions at their places in an array of zeros."""
    y = call.target
    start = f"{y}[...] = 0" if call.out else f"{y} = {zeros(call.s)}"
    pairs = zip(call.x, call.s.constants["places"], strict=True)
    return [start, *(added(y, x, place) for x, place in pairs)]


def zeros(s: Statement) -> str:
    """An array of zeros for a statement."""
    return f"np.zeros({literal_shape(s.shape)}, np.{s.dtype})"


def added(y: str, x: str, place: Any) -> str:
    """x added into y at a place."""
    if place is None or place is ...:
        return f"add({y}, {x}, {y})"
    if is_advanced(place):
        return f"np.add.at({y}, {subscript(place)}, {x})"
    return f"{y}[{brackets(place)}] += {x}"


def is_advanced(place: Any) -> bool:
    """Whether an index holds an array of integers, so that an element may be chosen twice."""
    return any(isinstance(part, Named) and part.dtype.kind != "b" for part in parts_of(place))


def subscript(index: Any) -> str:
    """An index as it stands in brackets or as an argument."""
    if isinstance(index, Named):
        return index.text
    if type(index) is tuple:
        inner = ", ".join(map(subscript, index))
        return f"({inner}{',' if len(index) == 1 else ''})"
    return literal(index)


def literal_shape(shape: tuple[Any, ...]) -> str:
    """A shape as a tuple."""
    inner = ", ".join(str(n) for n in shape)
    return f"({inner}{',' if len(shape) == 1 else ''})"


def _matmul(call: Call) -> list[str]:
    a, b = call.s.operands
    left, right = _step_shape(a), _step_shape(b)
    x, y = call.x
    if call.lead and len(right) == 2 and len(left) >= 2 and b.offset is None:  # type: ignore[union-attr]
        x = f"{x}.reshape(-1, {left[-1]})"
        if call.out:
            return [f"matmul({x}, {y}, {call.out}.reshape(-1, {right[-1]}))"]
    elif call.lead and len(left) == 2 and len(right) == 1 and b.offset is not None:  # type: ignore[union-attr]
        return call.assigned(f"matmul({x}, {y}[..., None])[..., 0]")
    flat = call.whole and not call.lead and len(left) <= 2 and len(right) <= 2
    return call.called("dot" if flat and not call.exact else "matmul", x, y)


def _step_shape(x: Any) -> tuple[Any, ...]:
    """The shape of an operand in one step, or of the whole outside of time."""
    if isinstance(x, Every):
        return ("T", *_step_shape(Row(x.statement, 0)))
    one = isinstance(x, Row) or x.offset is not None
    return x.statement.shape[1:] if one and not x.statement.timed else x.statement.shape


def _where(call: Call) -> list[str]:
    return call.assigned(f"np.where({', '.join(call.x)})")


_REDUCED = {"sum": "add", "mean": "add", "max": "maximum", "min": "minimum", "prod": "multiply"}


def _reduction(call: Call) -> list[str]:
    axis, keepdims, kind = call.s.constants["axis"], call.s.constants["keepdims"], call.s.kind
    shape = _step_shape(call.s.operands[0])
    if call.lead:
        axes = range(len(shape)) if axis is None else np.atleast_1d(axis).tolist()
        axis = tuple(int(k) % len(shape) + 1 for k in axes)
    count = _count(shape, call.s.constants["axis"])
    name = f"{_REDUCED[kind]}.reduce" if kind in _REDUCED else f"np.{kind}"
    if kind == "mean" and (call.exact or count is None):
        name = "np.mean"
    given = (
        [call.x[0], literal(axis)] if ".reduce" in name else [call.x[0], f"axis={literal(axis)}"]
    )
    given += ["keepdims=True"] if keepdims else []
    given += [f"ddof={call.s.constants['ddof']}"] if call.s.constants.get("ddof") else []
    given += [f"out={call.out}"] if call.out else []
    text = f"{name}({', '.join(given)})"
    if kind == "mean" and name != "np.mean":
        y = call.target
        return (
            [f"{text}", f"divide({y}, {count}, {y})"] if call.out else [f"{y} = {text} / {count}"]
        )
    return [text if call.out else f"{call.s.name} = {text}"]


def _count(shape: tuple[Any, ...], axis: Any) -> int | None:
    """How many numbers go into one of a mean; None where that depends on a length."""
    axes = range(len(shape)) if axis is None else np.atleast_1d(axis).tolist()
    sizes = [shape[int(k)] for k in axes]
    return prod(sizes) if all(isinstance(n, int) for n in sizes) else None


def _along_axis(call: Call) -> list[str]:
    constants = dict(call.s.constants)
    if call.lead:
        constants["axis"] = _axes_from_the_end(constants["axis"], call.s.operands[0])
    given = [call.x[0], *(f"{k}={literal(v)}" for k, v in constants.items())]
    return call.assigned(f"{call.function(call.s.op.forward)}({', '.join(given)})")  # type: ignore[union-attr]


def _axes_from_the_end(axis: Any, x: Any) -> int | tuple[int, ...]:
    """The axes of one step, counted so that an axis of steps in front does not matter."""
    n = len(_step_shape(x))
    if axis is None:
        return tuple(range(-n, 0))
    if isinstance(axis, tuple):
        return tuple(k % n - n for k in axis)
    return axis % n - n


def _concatenate(call: Call) -> list[str]:
    axis = call.s.constants["axis"]
    if axis is not None and axis >= 0:
        axis += call.lead
    elif axis is not None:
        axis = axis + len(call.s.shape) + call.lead
    text = f"np.concatenate(({', '.join(call.x)},), {axis}"
    return [f"{text}, out={call.out})"] if call.out else [f"{call.s.name} = {text})"]


def _stack(call: Call) -> list[str]:
    axis = call.s.constants["axis"]
    x = call.s.operands[0]
    if len(call.x) == 1 and not call.lead and not isinstance(x, OPERANDS[:2]):
        text = call.x[0] if axis == 0 else f"np.moveaxis({call.x[0]}, 0, {axis})"
        return [f"{call.s.name} = {text}"]
    axis = axis + call.lead if axis >= 0 else axis
    return call.assigned(f"np.stack(({', '.join(call.x)},), {axis})")


def _unstack(call: Call) -> list[str]:
    axis = call.s.constants["axis"]
    axis = axis + call.lead if axis >= 0 else axis
    return call.assigned(f"np.moveaxis({call.x[0]}, {axis}, 0)[{call.s.which}]")


def _getitem(call: Call) -> list[str]:
    steps = ":, " if call.lead and _from_steps(call) else ""
    return call.assigned(f"{call.x[0]}[{steps}{brackets(call.s.constants['index'])}]")


def brackets(index: Any) -> str:
    """An index without the parentheses of its tuple; an empty one takes everything."""
    return ", ".join(map(_in_brackets, parts_of(index))) or "..."


def _in_brackets(part: Any) -> str:
    """A part of an index, with colons for a slice."""
    if not isinstance(part, slice):
        return subscript(part)
    start, stop, step = (
        "" if k is None else literal(k) for k in (part.start, part.stop, part.step)
    )
    return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"


def _from_steps(call: Call) -> bool:
    x = call.s.operands[0]
    return x.offset is not None  # type: ignore[union-attr]


def _reshape(call: Call) -> list[str]:
    shape = (call.s.steps, *call.s.shape) if call.lead else call.s.shape
    return call.assigned(f"{call.x[0]}.reshape({literal_shape(shape)})")


def _filled(call: Call) -> list[str]:
    c = call.s.constants
    return call.assigned(
        f"np.full({literal_shape(c['shape'])}, {literal(c['value'])}, np.{c['dtype']})"
    )


def _counted(call: Call) -> list[str]:
    c = call.s.constants
    return call.assigned(
        f"np.arange({c['n']}, dtype=np.{c['dtype']}).reshape({literal_shape(c['shape'])})"
    )


def _before_the_end(call: Call) -> list[str]:
    c = call.s.constants
    text = f"(np.arange({c['n']})[:, None] < {call.x[0]}).reshape({literal_shape(c['shape'])})"
    return call.assigned(text)


def _differs_from(call: Call) -> list[str]:
    c = call.s.constants
    return call.assigned(f"({call.x[0]} != {c['value']}).reshape({literal_shape(c['shape'])})")


def _shaped(call: Call) -> list[str]:
    c, (x,) = call.s.constants, call.s.operands
    text = call.x[0]
    if x.statement.shape != c["shape"]:  # type: ignore[union-attr]
        text = f"{text}.reshape({literal_shape(c['shape'])})"
    if x.statement.dtype != c["dtype"]:  # type: ignore[union-attr]
        text = f"{text}.astype(np.{c['dtype']})"
    return call.assigned(text)


def _product_over_steps(call: Call) -> list[str]:
    n, m = call.s.shape
    return call.assigned(f"{call.x[0]}.reshape(-1, {n}).T @ {call.x[1]}.reshape(-1, {m})")


def _sum_over_rows(call: Call) -> list[str]:
    return call.assigned(f"np.add.reduce({call.x[0]}.reshape(-1, {call.s.shape[0]}), 0)")


def _astype(call: Call) -> list[str]:
    if call.out is not None:
        return call.assigned(call.x[0])
    return call.assigned(f"{call.x[0]}.astype({literal(call.s.constants['dtype'])})")


def _copied(call: Call) -> list[str]:
    return call.assigned(call.x[0])


# views: an expression of the whole array, with the axis of steps in front


def view(s: Statement, x: str, lead: int) -> str:
    """A view of an array, as an expression."""
    c, ndim = s.constants, len(_step_shape(s.operands[0]))
    if s.kind == "split":
        ends, axis = list(c["ends"]), c["axis"] % ndim
        which = s.which or 0
        start = ends[which - 1] if which else 0
        before = "".join([":, "] * (axis + lead))
        return f"{x}[{before}{start}:{ends[which]}]"
    if s.kind == "getitem":
        inside = brackets(c["index"])
        if not s.shape and not lead and "..." not in inside:
            inside += ", ..."  # `a[1]` is no view of a vector
        return f"{x}[{':, ' if lead else ''}{inside}]"
    if s.kind == "transpose":
        axes = c["axes"] or range(ndim)[::-1]
        order = [*range(lead), *(k % ndim + lead for k in axes)]
        return f"{x}.transpose({', '.join(map(str, order))})"
    if s.kind == "swapaxes":
        return f"{x}.swapaxes({c['axis1'] % ndim + lead}, {c['axis2'] % ndim + lead})"
    if s.kind == "moveaxis":
        pair = [np.add(np.mod(c[k], ndim), lead).tolist() for k in ("source", "destination")]
        return f"np.moveaxis({x}, {pair[0]}, {pair[1]})"
    if s.kind == "expand_dims":
        axes = np.mod(np.atleast_1d(c["axis"]), len(s.shape)) + lead
        return f"np.expand_dims({x}, {tuple(axes.tolist())})"
    if s.kind == "flip":
        axes = range(ndim) if c["axis"] is None else np.atleast_1d(c["axis"]) % ndim
        return f"np.flip({x}, {tuple(int(k) + lead for k in axes)})"
    shape = (f"len({x})", *s.shape) if lead else s.shape
    missing = len(s.shape) - ndim
    spread = f"{x}[:{new_axes(missing)}]" if lead and missing else x
    return f"np.broadcast_to({spread}, {literal_shape(shape)})"


def new_axes(n: int) -> str:
    """So many axes of length 1 more, behind the first one in brackets."""
    return "".join([", None"] * n)


def _viewed(call: Call) -> list[str]:
    return call.assigned(view(call.s, call.x[0], call.lead))


FORMS: dict[str, Callable[[Call], list[str]]] = {
    "sigmoid": _sigmoid, "relu": _relu, "softplus": _softplus, "add_up": _add_up,
    "matmul": _matmul, "where": _where, "concatenate": _concatenate, "stack": _stack,
    "unstack": _unstack, "getitem": _getitem, "reshape": _reshape, "ravel": _reshape, "squeeze": _reshape,
    "filled": _filled, "counted": _counted, "shaped": _shaped,
    "before_the_end": _before_the_end, "differs_from": _differs_from,
    "product_over_steps": _product_over_steps, "sum_over_rows": _sum_over_rows,
    "astype": _astype, "cut": _copied, "clip_gradient": _copied,
}  # fmt: skip
FORMS |= dict.fromkeys(REDUCTIONS, _reduction)
FORMS |= dict.fromkeys(ALONG_AXIS, _along_axis)
FORMS |= dict.fromkeys(
    ("split", "transpose", "swapaxes", "moveaxis", "expand_dims", "broadcast_to", "flip"), _viewed
)


def _always(s: Statement) -> bool:
    return True


def _product_has_batch(s: Statement) -> bool:
    a, b = s.operands
    left, right = len(_step_shape(a)), len(_step_shape(b))
    if a.offset is not None and b.offset is None:  # type: ignore[union-attr]
        return right == 2
    alike = left == right >= 2 or (left, right) == (2, 1)
    return a.offset is not None and alike  # type: ignore[union-attr]


def _parts_have_batch(s: Statement) -> bool:
    """What is the same in all steps, such as zeros for an unused part, has no axis of steps."""
    of_steps = all(x.offset is not None for x in s.operands)  # type: ignore[union-attr]
    return of_steps and s.constants["axis"] is not None


def _sum_has_batch(s: Statement) -> bool:
    return s.constants.get("places") is None


BATCHED: dict[str, Callable[[Statement], bool]] = dict.fromkeys(
    (
        *(
            "astype",
            "sigmoid",
            "relu",
            "softplus",
            "where",
            "reshape",
            "ravel",
            "squeeze",
        ),
        *REDUCTIONS,
        *ALONG_AXIS,
        *("split", "transpose", "swapaxes", "moveaxis", "expand_dims", "broadcast_to", "flip"),
    ),
    _always,
)
BATCHED |= {
    "matmul": _product_has_batch,
    "add_up": _sum_has_batch,
    "concatenate": _parts_have_batch,
}


def _getitem_has_batch(s: Statement) -> bool:
    x, index = s.operands[0], s.constants["index"]
    if is_basic(index):
        return x.offset is not None  # type: ignore[union-attr]
    return False


BATCHED["getitem"] = _getitem_has_batch
