"""Differentiable functions: a forward, its gradient rules, and the record of each call.

A primitive is a plain function on arrays.  Its positional parameters are inputs, its keyword-only
parameters are constants.  The rules stand right below it::

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
import types
from collections.abc import Callable
from sys import _getframe
from types import FrameType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NoReturn, overload

import numpy as np

from minigrad.habits import explain
from minigrad.scope import Recording, in_engine, recording
from minigrad.tensor import Array, Call, Tensor, constant, kept, place_text, serials, unshared

if TYPE_CHECKING:
    from typing_extensions import ParamSpec, TypeVar

    P = ParamSpec("P", default=...)
    R = TypeVar("R", default=Any)
    Rule = TypeVar("Rule", bound=Callable[..., Any])
else:
    from typing import ParamSpec, TypeVar

    P, R = ParamSpec("P"), TypeVar("R")

SCALARS = (int, float, np.generic)
MAY_CHANGE = (Tensor, Array, tuple, list)
NO_CONSTANTS: dict[str, Any] = {}  # shared by all nodes without constants; nobody writes to it
new = object.__new__

registry: dict[str, Primitive] = {}  # every primitive, by module and qualified name


class Scatter:
    """The gradient of an indexing: `value` belongs at `index` of an otherwise zero array.

    The backward loop adds it into one buffer, so that T slices of one array cost T slices and not
    T whole arrays.
    """

    __slots__ = ("index", "value")

    def __init__(self, index: Any, value: Any) -> None:
        self.index, self.value = index, value

    @property
    def repeats(self) -> bool:
        """Whether the index may choose an element more than once, as one of numbers may."""
        parts = self.index if isinstance(self.index, tuple) else (self.index,)
        arrays = [np.asarray(part) for part in parts if isinstance(part, Array | list)]
        return any(part.dtype.kind != "b" for part in arrays)

    def dense(self, x: Tensor) -> Array:
        """A new array like `x` with the value in its place."""
        return self.add_into(np.zeros(x.shape, x.dtype))

    def add_into(self, buffer: Array) -> Array:
        """buffer[index] += value, where an element that is chosen twice gets both values."""
        if self.repeats:
            np.add.at(buffer, self.index, self.value)
        else:
            buffer[self.index] += self.value
        return buffer


class Primitive(Generic[R, P]):
    """A function on arrays that, called with tensors, gives a tensor that knows how it was made.

    Call it with tensors, arrays or numbers.  Positional arguments beyond the inputs fill the
    constants in order, as NumPy's own signatures allow: `sum(x, 0)` is `sum(x, axis=0)`.

    name: what messages and pictures call it.  inputs, constants: the names of its parameters.
    rules: one for each input, None where there is none; joint: one rule for all inputs.
    once: its rules are arbitrary Python.  elementwise: each element of the result depends on the
    elements at its place.  linear: it only sums, averages or rearranges its inputs.
    edit: it is the identity node of an edit; blocks: one that lets no gradient back.
    foreign: it was made outside of the engine, so what it computes is checked.
    shown: a function with the parameters that `help` shows, where the forward takes any.
    """

    __name__: str
    __qualname__: str
    shown: Callable[..., Any] | None = None

    __slots__ = (  # read faster than attributes in a dict, which holds the rest (__doc__, ...)
        *("name", "forward", "inputs", "variadic", "arity", "constants", "defaults", "rules"),
        *("joint", "once", "differentiable", "elementwise", "linear", "edit", "blocks"),
        "foreign",
        *("__dict__", "__weakref__"),
    )

    def __init__(
        self,
        forward: Callable[..., Any],
        *,
        name: str | None = None,
        once: bool = False,
        differentiable: bool = True,
        elementwise: bool = False,
        linear: bool = False,
        edit: bool = False,
        blocks: bool = False,
    ) -> None:
        functools.update_wrapper(self, forward)
        arguments = inspect.getfullargspec(inspect.unwrap(forward))
        self.name: str = name or forward.__name__
        self.forward = forward
        self.inputs, self.variadic = arguments.args, arguments.varargs is not None
        self.arity = -1 if self.variadic else len(self.inputs)
        self.constants = arguments.kwonlyargs
        self.defaults: dict[str, Any] = arguments.kwonlydefaults or NO_CONSTANTS
        self.rules: list[Callable[..., Any] | None] = [None] * len(self.inputs)
        self.joint: Callable[..., Any] | None = None
        self.once, self.differentiable, self.linear = once, differentiable, linear
        self.elementwise, self.edit, self.blocks = elementwise, edit, blocks
        code = getattr(inspect.unwrap(forward), "__code__", None)
        self.foreign = code is None or not in_engine[code.co_filename]
        self._register()

    def __deepcopy__(self, memo: Any) -> Primitive:
        return self

    def _register(self) -> None:
        """Enter the primitive under its qualified name.

        Raises TypeError if another primitive of a module has that name.
        """
        known = registry.get(self.qualified_name)
        if known is not None and self._is_permanent() and not self._same_line(known):
            raise TypeError(
                f"{self.qualified_name} is a primitive already; a graph that was saved could not "
                "tell the two apart: give the new one another name"
            )
        registry[self.qualified_name] = self

    def _is_permanent(self) -> bool:
        """Whether its name finds it: not if it was made inside a function, or at a prompt."""
        return self.__module__ != "__main__" and "<locals>" not in self.qualified_name

    def _same_line(self, other: Primitive) -> bool:
        """Whether the same line made both, because its module was loaded anew."""
        codes = [getattr(inspect.unwrap(op.forward), "__code__", None) for op in (self, other)]
        places = [code and (code.co_filename, code.co_firstlineno) for code in codes]
        return places[0] == places[1]

    @property
    def qualified_name(self) -> str:
        """Module and name, as in `minigrad.ops.elementwise.tanh`; a saved graph refers to it."""
        return f"{self.__module__}.{self.__qualname__}"

    def with_forward(self, forward: Callable[..., Any], inputs: list[str]) -> Primitive:
        """A copy of this primitive that runs another function; it is not registered."""
        other: Primitive = new(Primitive)
        for name in Primitive.__slots__:
            if name != "__weakref__":
                setattr(other, name, getattr(self, name))
        other.__dict__ = {**self.__dict__}
        other.name, other.forward, other.inputs = forward.__name__, forward, inputs
        other.arity = -1 if self.variadic else len(inputs)
        return other

    # rules

    @overload
    def gradient(self, rule: Rule, /) -> Rule: ...
    @overload
    def gradient(self, rule: str, /) -> Callable[[Rule], Rule]: ...
    def gradient(self, rule: Any) -> Any:
        """Register the rule of one input: `rule(dy, y, *inputs, **constants) -> dx`.

        Its name, `<op>_d<input>`, says which input it is for; so does `@op.gradient("input")`.  Of
        a primitive with one input, the rule may have any name.  It works on arrays and on tensors,
        with operators and NumPy functions only.  It may `return None`, which is zero.
        """
        if isinstance(rule, str):
            return functools.partial(self._set_rule, rule)
        return self._set_rule(self._input_of(rule), rule)

    def _input_of(self, rule: Callable[..., Any]) -> str:
        """The input that a rule is for, by its name."""
        named = [x for x in self.inputs if rule.__name__ == f"{self.name}_d{x}"]
        if not named and len(self.inputs) == 1:
            return self.inputs[0]
        if not named:
            wanted = ", ".join(f"{self.name}_d{x}" for x in self.inputs)
            raise TypeError(
                f"{rule.__name__}: which input of {self.name} is it for?  Call it {wanted}, or "
                f'write @{self.name}.gradient("input")'
            )
        return named[0]

    def _set_rule(self, name: str, rule: Rule) -> Rule:
        if name not in self.inputs:
            found = ", ".join(self.inputs)
            raise TypeError(f"{self.name}.gradient({name!r}): its inputs are {found}")
        self.rules[self.inputs.index(name)] = self._checked(rule)
        return rule

    def gradients(self, rule: Rule) -> Rule:
        """Register one rule that returns a tuple with the gradient of every input (None for zero).

        For variadic inputs, shared work, and several outputs: then `dy` and `y` are tuples, with
        None for an output that does not reach the loss.
        """
        self.joint = self._checked(rule)
        return rule

    def _checked(self, rule: Rule) -> Rule:
        """The rule, if it can be called as rules are."""
        arguments = [None] * (2 + len(self.inputs))
        try:
            inspect.signature(rule).bind(*arguments, **dict.fromkeys(self.constants))
        except TypeError as error:
            wanted = ", ".join(["dy", "y", *self.inputs, *[f"{name}=" for name in self.constants]])
            problem = f"{rule.__name__}: a rule of {self.name} is called as ({wanted}): {error}"
            raise TypeError(problem) from None
        return rule

    def missing_rule(self, k: int) -> NoReturn:
        """Say that input number `k` needs a gradient and has no rule."""
        name = self.inputs[k]
        rule = f"def {self.name}_d{name}(dy, y, {', '.join(self.inputs)}): ..."
        problem = f"{self.name} has no gradient rule for its input {name!r}"
        raise NotImplementedError(f"{problem}; write one below it:  @{self.name}.gradient  {rule}")

    # calls

    def record(self, *args: Any, **constants: Any) -> Any:
        """Compute the forward and record the call.

        Returns a tensor, or a tuple of tensors if the forward returns a tuple.  All operations
        pass through here, so it is written for speed: few calls, and nothing computed in vain.
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
            explain(error, constants)
            error.add_note(self._describe_call(arrays, constants, now))
            raise
        frame: Any = _getframe(1)
        while in_engine[frame.f_code.co_filename]:
            frame = frame.f_back  # somebody outside called the engine
        y: Any
        if type(data) is tuple:
            y = self._nodes(data, needs_grad, args, constants, arrays, now, frame)
        else:
            y = node(data, None, needs_grad, self, args, constants, arrays, now, frame)
        if now.check is not None:
            now.check(self, arrays, y)
        return y

    if TYPE_CHECKING:

        def __call__(self, *args: P.args, **keywords: P.kwargs) -> R:
            """Compute the forward and record the call."""

    else:
        __call__ = record

    def _nodes(
        self,
        data: tuple[Any, ...],
        needs_grad: bool,
        args: Any,
        constants: Any,
        arrays: Any,
        now: Recording,
        frame: FrameType,
    ) -> tuple[Tensor, ...]:
        """The nodes of a call with several outputs, which share it."""
        parts = [np.asarray(part) for part in data]
        outputs = tuple([part if part.base is None else unshared(part) for part in parts])
        made, new_tuple = [], tuple.__new__  # half the time of Call(...)
        for k, part in enumerate(outputs):
            call = new_tuple(Call, (outputs, k))
            made.append(node(part, call, needs_grad, self, args, constants, arrays, now, frame))
        return tuple(made)

    def _arguments(
        self, args: tuple[Any, ...], constants: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The inputs, and every constant by name: as given, else its default."""
        if len(args) != self.arity and not self.variadic:
            args, constants = self._bind(args, constants)
        given = {**self.defaults, **constants}
        for name, value in constants.items():
            if isinstance(value, MAY_CHANGE):
                given[name] = self._constant(name, value)
        return args, given

    def _bind(
        self, args: tuple[Any, ...], constants: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Sort the arguments into inputs and constants, where an input is given by its name."""
        names = [*self.inputs, *self.constants]
        given = dict(zip(names, args))
        takes = f"it takes ({self.signature})"
        if len(args) > len(names) or not given.keys().isdisjoint(constants):
            raise TypeError(f"{self.name}: too many positional arguments ({len(args)}); {takes}")
        given |= constants
        if missing := [name for name in self.inputs if name not in given]:
            raise TypeError(f"{self.name}: input {missing[0]!r} is missing; {takes}")
        return tuple([given.pop(name) for name in self.inputs]), given

    def _constant(self, name: str, value: Any) -> Any:
        """A constant with copies of its arrays, and arrays in place of tensors.

        Constants are not differentiated; a tensor that requires grad here is an error.
        """
        if isinstance(value, tuple | list):
            return type(value)([self._constant(name, part) for part in value])
        if isinstance(value, Array):
            return value.copy()  # the user may change it later
        if not isinstance(value, Tensor):
            return value
        if value._requires_grad and self.differentiable:
            raise TypeError(
                f"{self.name}: {name} has no gradient, and {value!r} requires grad; "
                f"pass {name}.detach()"
            )
        return value._array

    def _operands(self, args: tuple[Any, ...]) -> tuple[tuple[Tensor, ...], tuple[Any, ...], bool]:
        """Tensors for all inputs, the values to compute with, and whether a gradient is needed."""
        inputs, values, needs_grad = list(args), list(args), False
        for k, x in enumerate(args):
            if isinstance(x, Tensor):
                values[k], needs_grad = x._array, needs_grad or x._requires_grad
            else:
                value = values[k] = self._value(k, args)
                inputs[k] = kept(value) if type(value) is Array else constant(value)
        return tuple(inputs), tuple(values), needs_grad

    def _value(self, k: int, args: tuple[Any, ...]) -> Any:
        """What the forward gets for input number `k`, which is not a tensor.

        Numbers stay Python numbers and lists take the dtype of the floating tensors in the call,
        so that neither promotes float32 to float64.
        """
        x = args[k]
        if isinstance(x, SCALARS) and not self.variadic:  # np.concatenate rejects numbers
            return x.item() if isinstance(x, np.generic) else x
        try:
            floating = [t.dtype for t in args if isinstance(t, Tensor) and t.dtype.kind == "f"]
            if floating and isinstance(x, (list, tuple, *SCALARS)):
                x = np.asarray(x)
                x = x.astype(np.result_type(*floating)) if x.dtype.kind in "iuf" else x
            return constant(x)._array
        except (TypeError, ValueError) as error:
            raise TypeError(f"{self.name}: input {self.input_name(k)}: {error}") from None

    def input_name(self, k: int) -> str:
        """The name of input number `k` in messages."""
        return repr(self.inputs[k]) if k < len(self.inputs) else f"number {k}"

    def _describe_call(
        self, arrays: tuple[Any, ...], constants: dict[str, Any], now: Recording
    ) -> str:
        names = [*self.inputs, *["x"] * len(arrays)]
        found = [f"{name} {np.shape(a)}" for name, a in zip(names, arrays)]
        found += [f"{name}={value!r}" for name, value in constants.items()]
        text = f"in {self.name}({', '.join(found)})"
        if now.time:
            text += f" at {place_text(now.time)}"
        return f"{text}, scope {now.scope.path}" if now.scope else text

    # how it looks

    @property
    def __signature__(self) -> inspect.Signature:
        return without_annotations(inspect.signature(self.shown or self.forward))

    @property
    def signature(self) -> str:
        """The parameters as one writes them: `x, *, axis=None, keepdims=False`."""
        return str(self.__signature__)[1:-1]

    def __repr__(self) -> str:
        return f"<primitive {self.name}({self.signature})>"

    def __get__(self, owner: Any, kind: Any = None) -> Primitive[R, P]:
        """The primitive itself; because of this method, `help` shows a primitive as a function."""
        return self


class NumPyPrimitive(Primitive[R, P]):
    """A primitive that is called with NumPy's arguments.

    `adapter(op, *args, **keywords)` sorts them out and calls `op.record(*inputs, **constants)`.
    """

    __slots__ = ("adapter",)

    def __init__(
        self, forward: Callable[..., Any], *, numpy: Callable[..., R], **traits: Any
    ) -> None:
        super().__init__(forward, **traits)
        self.adapter = types.FunctionType(
            numpy.__code__, numpy.__globals__, self.name, numpy.__defaults__, numpy.__closure__
        )
        self.adapter.__qualname__ = self.name  # Python's errors show it
        self.adapter.__kwdefaults__ = numpy.__kwdefaults__
        documents = [inspect.getdoc(function) for function in (forward, numpy)]
        self.__doc__ = "\n\n".join(filter(None, documents))

    if not TYPE_CHECKING:

        def __call__(self, *args, **keywords):
            """Call the adapter."""
            try:
                return self.adapter(self, *args, **keywords)
            except TypeError as error:
                explain(error, keywords)
                raise

    @property
    def __signature__(self) -> inspect.Signature:
        signature = without_annotations(inspect.signature(self.adapter))
        return signature.replace(parameters=list(signature.parameters.values())[1:])


def without_annotations(signature: inspect.Signature) -> inspect.Signature:
    """The parameters and their defaults alone."""
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return inspect.Signature(bare)


def node(
    data: Any,
    call: Call | None,
    needs_grad: bool,
    op: Primitive,
    inputs: tuple[Any, ...],
    constants: dict[str, Any],
    arrays: tuple[Any, ...],
    now: Recording,
    frame: FrameType,
) -> Tensor:
    """The tensor of one result; with its history if a gradient may flow through it."""
    if type(data) is not Array:
        data = np.asarray(data)
    if data.base is not None:
        data = unshared(data)
    if op.foreign and data.dtype.kind not in "biuf":
        raise TypeError(f"{op.name} returned {data.dtype}; a tensor holds real numbers")
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
    y._code = frame.f_code
    y._instruction = frame.f_lasti
    return y


@overload
def primitive(forward: Callable[P, Any], /) -> Primitive[Tensor, P]: ...
@overload
def primitive(
    *,
    numpy: Callable[Concatenate[Any, P], R],
    name: str | None = ...,
    once: bool = ...,
    differentiable: bool = ...,
    elementwise: bool = ...,
    linear: bool = ...,
) -> Callable[[Callable[..., Any]], Primitive[R, P]]: ...
@overload
def primitive(
    *,
    numpy: None = ...,
    name: str | None = ...,
    once: bool = ...,
    differentiable: bool = ...,
    elementwise: bool = ...,
    linear: bool = ...,
    edit: bool = ...,
    blocks: bool = ...,
) -> Callable[[Callable[P, Any]], Primitive[Tensor, P]]: ...
def primitive(forward: Any = None, *, numpy: Any = None, **traits: Any) -> Any:
    """Make a differentiable function of tensors out of a function on arrays.

    once=True: the rules may be arbitrary Python on arrays; differentiating twice through them
    raises.  differentiable=False: the result never has a history (comparisons, indices).
    elementwise=True: each element of the result depends on the elements at its place.
    linear=True: it only sums, averages or rearranges its inputs.  numpy: a function
    `adapter(op, ...)` with the arguments that users give, where they are not those of the forward;
    it calls `op.record(*inputs, **constants)`.  name: what it is called in messages and pictures.

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
    if forward is None:
        return functools.partial(primitive, numpy=numpy, **traits)
    if numpy is not None:
        return NumPyPrimitive(forward, numpy=numpy, **traits)
    return Primitive(forward, **traits)
