"""Differentiable functions: a forward, its gradient rules, and the record of each call.  Imports `tensor` and `scope`.

A primitive is a plain function on arrays.  Its positional parameters are inputs, its keyword-only parameters are
constants.  The rules stand right below it::

    @primitive
    def tanh(x):
        return np.tanh(x)

    @tanh.gradient
    def tanh_dx(dy, y, x):
        return dy * (1 - y * y)
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from sys import _getframe
from typing import Any, overload

import numpy as np

from minigrad.scope import Recording, in_engine, recording
from minigrad.tensor import Array, Call, Tensor, constant, place_text, serials

Rule = Callable[..., Any]

_MAY_HOLD_TENSORS = (Tensor, tuple, list)
_NUMBERS = (int, float, np.generic)
registry: dict[
    str, Primitive
] = {}  # every primitive by name; the test suite asks each for its gradient check


class Scatter:
    """The gradient of an indexing: `value` belongs at `index` of an otherwise zero array.

    The backward loop adds it into one buffer, so that T slices of one array cost T slices and not T whole arrays.
    """

    __slots__ = ("index", "value")

    def __init__(self, index: Any, value: Any) -> None:
        self.index, self.value = index, value

    def dense(self, x: Tensor) -> Array:
        """A new array like `x` with the value in its place."""
        return self.add_into(np.zeros(x.shape, x.dtype))

    def add_into(self, buffer: Array) -> Array:
        """buffer[index] += value, where an element chosen twice gets both."""
        parts = self.index if isinstance(self.index, tuple) else (self.index,)
        if any(
            isinstance(part, Array | list) and np.asarray(part).dtype.kind != "b" for part in parts
        ):
            np.add.at(buffer, self.index, self.value)
        else:
            buffer[self.index] += self.value
        return buffer


class Primitive:
    """A function on arrays that, called with tensors, gives a tensor which knows how it was made.

    Call it with tensors, arrays or numbers.  Positional arguments beyond the inputs fill the constants in order, as
    NumPy's own signatures allow: `sum(x, 0)` is `sum(x, axis=0)`.
    """

    __slots__ = (  # read faster than attributes in a dict, which holds the rest (__doc__, ...)
        *("name", "forward", "inputs", "variadic", "arity", "constants", "defaults"),
        *(
            "rules",
            "joint",
            "once",
            "differentiable",
            "elementwise",
            "blocks",
            "linear",
            "edit",
            "__dict__",
        ),
    )

    def __init__(
        self, forward: Callable[..., Any], once: bool = False, differentiable: bool = True
    ) -> None:
        functools.update_wrapper(self, forward)
        self.name = self.__name__ = forward.__name__
        self.forward, self.once, self.differentiable = forward, once, differentiable
        arguments = inspect.getfullargspec(inspect.unwrap(forward))
        self.inputs, self.variadic = arguments.args, arguments.varargs is not None
        self.arity = -1 if self.variadic else len(self.inputs)
        self.constants = arguments.kwonlyargs
        self.defaults = arguments.kwonlydefaults or NO_CONSTANTS
        self.rules: list[Rule | None] = [None] * len(self.inputs)
        self.joint: Rule | None = None
        self.linear = False  # whether it only sums, averages or rearranges its inputs
        self.edit = False  # whether it is the identity node of an edit
        self.blocks = False  # whether no gradient ever flows back through it
        ufunc = getattr(np, self.name, None)
        self.elementwise = isinstance(ufunc, np.ufunc) and ufunc.signature is None
        registry[self.name] = self

    def with_forward(self, forward: Callable[..., Any], inputs: list[str]) -> Primitive:
        """A primitive beside this one, not registered, that runs another function."""
        other = object.__new__(Primitive)
        for name in Primitive.__slots__:
            setattr(other, name, getattr(self, name))
        other.__dict__ = {**self.__dict__}
        other.name, other.forward, other.inputs = forward.__name__, forward, inputs
        other.arity = -1 if self.variadic else len(inputs)
        return other

    def gradient(self, rule: Rule) -> Rule:
        """Register the rule of one input: `rule(dy, y, *inputs, **constants) -> dx`.

        A rule named `<op>_d<input>` belongs to that input; any other name belongs to the first input without a rule.
        The rule works on arrays and on tensors, with operators and NumPy functions only.  It may return None (zero).
        """
        name = rule.__name__.removeprefix(f"{self.name}_d")
        if name not in self.inputs and None not in self.rules:
            raise TypeError(
                f"{self.name}: every input ({', '.join(self.inputs)}) has a rule; {name} is one more"
            )
        self.rules[self.inputs.index(name) if name in self.inputs else self.rules.index(None)] = (
            self._checked(rule)
        )
        return rule

    def gradients(self, rule: Rule) -> Rule:
        """Register one rule that returns a tuple with the gradient of every input (None for zero).

        For variadic inputs, shared work, and several outputs: then `dy` and `y` are tuples, with None for an output
        that does not reach the loss.
        """
        self.joint = self._checked(rule)
        return rule

    def _checked(self, rule: Rule) -> Rule:
        """The rule, if it can be called as rules are."""
        try:
            inspect.signature(rule).bind(
                *[None] * (2 + len(self.inputs)), **dict.fromkeys(self.constants)
            )
        except TypeError as error:
            wanted = ", ".join(["dy", "y", *self.inputs, *[f"{name}=" for name in self.constants]])
            raise TypeError(
                f"{rule.__name__}: a rule of {self.name} is called as ({wanted}): {error}"
            ) from None
        return rule

    def __call__(self, *args: Any, **constants: Any) -> Any:
        """Compute the forward and record the call: a tensor, or a tuple where the forward gives one.

        What every operation costs, it costs here: few frames, and no work that is not needed.
        """
        now = recording.get()
        if constants or len(args) != self.arity:
            args, constants = self._arguments(args, constants)
        else:
            constants = self.defaults
        arrays: tuple[Any, ...]
        try:
            if len(args) == 2:
                a, b = args
                arrays = a._array, b._array
                needs_grad = a._requires_grad or b._requires_grad
            elif len(args) == 1:
                (a,) = args
                arrays = (a._array,)
                needs_grad = a._requires_grad
            else:
                arrays = tuple([x._array for x in args])
                needs_grad = True in [x._requires_grad for x in args]
        except AttributeError:  # some operand is not a tensor
            args, arrays, needs_grad = self._operands(args)
        try:
            data = self.forward(*arrays, **constants) if constants else self.forward(*arrays)
        except Exception as error:
            error.add_note(self._describe_call(arrays, constants, now))
            raise
        y: Any
        if type(data) is tuple:
            y = self._nodes(data, needs_grad, args, constants, arrays, now)
        else:
            y = node(data, None, needs_grad, self, args, constants, arrays, now)
        if now.check is not None:
            now.check(self, arrays, y)
        return y

    def _nodes(
        self,
        data: tuple[Any, ...],
        needs_grad: bool,
        args: Any,
        constants: Any,
        arrays: Any,
        now: Recording,
    ) -> tuple[Tensor, ...]:
        """The nodes of a call with several outputs, which share it."""
        outputs = tuple([np.asarray(part) for part in data])
        made = []
        for k, part in enumerate(outputs):
            call = Call(outputs, k)
            made.append(node(part, call, needs_grad, self, args, constants, arrays, now))
        return tuple(made)

    def _arguments(
        self, args: tuple[Any, ...], constants: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The inputs, and every constant by name: as given, else its default."""
        if len(args) != self.arity and not self.variadic:
            args, constants = self._bind(args, constants)
        given = {**self.defaults, **constants}
        for name, value in constants.items():
            if isinstance(value, _MAY_HOLD_TENSORS):
                given[name] = self._constant(name, value)
        return args, given

    def _bind(
        self, args: tuple[Any, ...], constants: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Sort the arguments of a call into inputs and constants; an input may also come by name."""
        names = [*self.inputs, *self.constants]
        given = dict(zip(names, args))
        if len(args) > len(names) or not given.keys().isdisjoint(constants):
            raise TypeError(
                f"{self.name}: too many positional arguments ({len(args)}); it takes ({self.signature})"
            )
        given |= constants
        if missing := [name for name in self.inputs if name not in given]:
            raise TypeError(
                f"{self.name}: input {missing[0]!r} is missing; it takes ({self.signature})"
            )
        return tuple([given.pop(name) for name in self.inputs]), given

    def _constant(self, name: str, value: Any) -> Any:
        """A constant with arrays in place of tensors.

        Constants are not differentiated; a tensor that requires grad here is an error.
        """
        if isinstance(value, tuple | list):
            return type(value)([self._constant(name, part) for part in value])
        if not isinstance(value, Tensor):
            return value
        if value._requires_grad and self.differentiable:
            raise TypeError(
                f"{self.name}: {name} has no gradient, and {value!r} requires grad; pass {name}.detach()"
            )
        return value._array

    def _operands(self, args: tuple[Any, ...]) -> tuple[tuple[Tensor, ...], tuple[Any, ...], bool]:
        """Tensors for all inputs, the values to compute with, and whether a gradient is needed."""
        inputs, values, needs_grad = list(args), list(args), False
        for k, x in enumerate(args):
            if isinstance(x, Tensor):
                values[k], needs_grad = x._array, needs_grad or x._requires_grad
            else:
                values[k] = self._value(k, args)
                inputs[k] = constant(values[k])
        return tuple(inputs), tuple(values), needs_grad

    def _value(self, k: int, args: tuple[Any, ...]) -> Any:
        """Input number `k`, which is no tensor: a number as it is, so that it never widens; an array; a list in the
        dtype of the floating tensors beside it, which it must not widen either.
        """
        x = args[k]
        if (
            isinstance(x, _NUMBERS) and not self.variadic
        ):  # NumPy's joining functions know no numbers
            return x.item() if isinstance(x, np.generic) else x
        try:
            floating = [t.dtype for t in args if isinstance(t, Tensor) and t.dtype.kind == "f"]
            if floating and isinstance(x, (list, tuple, *_NUMBERS)):
                x = np.asarray(x)
                x = x.astype(np.result_type(*floating)) if x.dtype.kind in "iuf" else x
            return constant(x)._array
        except (TypeError, ValueError) as error:
            raise TypeError(f"{self.name}: input {self.input_name(k)}: {error}") from None

    def input_name(self, k: int) -> str:
        """How messages call input number `k`."""
        return repr(self.inputs[k]) if k < len(self.inputs) else f"number {k}"

    def missing_rule(self, k: int) -> NotImplementedError:
        """What to say when input number `k` needs a gradient and has no rule."""
        rule = f"@{self.name}.gradient  def {self.name}_d{self.inputs[k]}(dy, y, {', '.join(self.inputs)}): ..."
        problem = f"{self.name} has no gradient rule for its input {self.inputs[k]!r}"
        return NotImplementedError(f"{problem}; write one below it:  {rule}")

    @property
    def signature(self) -> str:
        """The parameters as one writes them: `x, *, axis, keepdims`."""
        return str(inspect.signature(self.forward)).split(")")[0].lstrip("(").replace(" = ", "=")

    def _describe_call(
        self, arrays: tuple[Any, ...], constants: dict[str, Any], now: Recording
    ) -> str:
        found = ", ".join(
            f"{name} {np.shape(a)}" for name, a in zip([*self.inputs, *["x"] * len(arrays)], arrays)
        )
        found += "".join(f", {name}={value!r}" for name, value in constants.items())
        place = f" at {place_text(now.time)}" if now.time else ""
        return f"in {self.name}({found}){place}" + (
            f", scope {now.scope.path}" if now.scope else ""
        )

    def __repr__(self) -> str:
        return f"<primitive {self.name}({self.signature})>"


new = object.__new__
NO_CONSTANTS: dict[str, Any] = {}  # shared by all nodes without constants; nobody writes to it


def node(
    data: Any,
    call: Call | None,
    needs_grad: bool,
    op: Primitive,
    inputs: tuple[Any, ...],
    constants: dict[str, Any],
    arrays: tuple[Any, ...],
    now: Recording,
) -> Tensor:
    """The tensor of one result, with its history where a gradient may be asked for."""
    frame: Any = _getframe(2)
    code = frame.f_code
    while in_engine[code.co_filename]:
        frame = frame.f_back  # somebody outside called the engine
        code = frame.f_code
    if type(data) is not Array:
        data = np.asarray(data)
    data.setflags(False)  # positional: half the time of write=False
    y: Tensor = new(Tensor)
    y._array = data
    needs_grad = needs_grad and op.differentiable
    if now.enabled and (needs_grad or now.tracing):
        y._requires_grad = needs_grad
        y.op = op
        y.inputs = inputs
        y.constants = constants
        y.arrays = arrays
        y.call = call
    else:
        y._requires_grad = False
        y.op = y.call = None
        y.inputs = y.arrays = ()
        y.constants = NO_CONSTANTS
    y._grad = None
    y.name = None
    y.role = None
    y._hooks = ()
    y.serial = next(serials)
    y.time = now.time
    y._scope = now.scope
    y._code = code
    y._instruction = frame.f_lasti
    return y


@overload
def primitive(forward: Callable[..., Any]) -> Primitive: ...
@overload
def primitive(
    *, once: bool = False, differentiable: bool = True
) -> Callable[[Callable[..., Any]], Primitive]: ...
def primitive(forward: Any = None, **options: Any) -> Any:
    """Make a differentiable function of tensors out of a function on arrays.

    once=True: the rules may be arbitrary Python on arrays; differentiating twice through them raises.
    differentiable=False: the result never has a history (comparisons, indices).

    >>> import minigrad as mg
    >>> @mg.primitive
    ... def cube(x):
    ...     return x**3
    >>> @cube.gradient
    ... def cube_dx(dy, y, x):
    ...     return dy * 3 * x**2
    >>> x = mg.tensor(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad
    tensor(12)
    """
    return (
        functools.partial(Primitive, **options)
        if forward is None
        else Primitive(forward, **options)
    )
