"""Modules: trees of named parameters that are called with tensors or arrays.  Imports `minigrad`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

import minigrad as mg

M = TypeVar("M", bound="Module")
FOLDER = (
    os.path.dirname(os.path.abspath(__file__)) + os.sep
)  # a scope leads to the user's line outside of it


class _Owned(mg.Tensor):
    """A leaf that belongs to a module; it can be copied and pickled."""

    __slots__ = ()

    def __reduce__(self) -> Any:
        return type(self), (np.array(self.data), None, self.name), self.requires_grad

    def __setstate__(self, requires_grad: bool) -> None:
        self.requires_grad = requires_grad


class Parameter(_Owned):
    """A leaf that is trained.  The module that it is assigned to names it; Python numbers get the default dtype.

    >>> import nn
    >>> nn.Parameter([1.0, 2.0], name="w")
    tensor([1., 2.], name='w', requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Any, dtype: DTypeLike | None = None, name: str | None = None) -> None:
        super().__init__(data, True, dtype, name)


class Buffer(_Owned):
    """A tensor that belongs to a module's state and is not trained: saved, loaded, never changed by an optimiser.

    >>> import nn
    >>> net = nn.Module(); net.mean = nn.Buffer([0.5])
    >>> net.state_dict(), net.parameters()
    ({'mean': array([0.5], dtype=float32)}, [])
    """

    __slots__ = ()

    def __init__(self, data: Any, dtype: DTypeLike | None = None, name: str | None = None) -> None:
        super().__init__(data, False, dtype, name)


class Module:
    """Something with parameters and a `forward`; subclasses need not call `super().__init__()`.

    Parameters, buffers and modules are found in attributes, and in lists, tuples and dicts there, in order of
    assignment.  A parameter that is reached in several ways keeps its first name and appears once.

    >>> import numpy as np, nn
    >>> class Scale(nn.Module):
    ...     '''y = k x'''
    ...     def __init__(self): self.k = nn.Parameter([2.0, 3.0])
    ...     def forward(self, x): return self.k * x
    >>> class Net(nn.Module):
    ...     def __init__(self): self.parts = [Scale(), Scale()]
    ...     def forward(self, x): return self.parts[1](self.parts[0](x))
    >>> net = Net(); net(np.ones(2)).data
    array([4., 9.], dtype=float32)
    >>> [name for name, p in net.named_parameters()]
    ['parts.0.k', 'parts.1.k']
    """

    forward: Callable[..., Any]
    training = True
    full_name = ""  # dotted names from the root to this module; "" in a root
    _called = ""

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        start = f"{self.full_name}." if self.full_name else ""
        if isinstance(value, Parameter | Buffer):
            value.name = value.name or start + name
        elif isinstance(value, Module | list | tuple | dict):
            for own, item in members({name: value}):
                if isinstance(item, Module):
                    object.__setattr__(item, "_called", own)
            for path, item in self._walk(start):
                if isinstance(item, Module):
                    object.__setattr__(item, "full_name", path)
                else:
                    item.name = path

    def _walk(self, prefix: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
        """Every parameter, buffer and module below this one, once, with its dotted name."""
        seen = {id(self)} if seen is None else seen
        for name, item in members(vars(self)):
            if id(item) not in seen:
                seen.add(id(item))
                yield prefix + name, item
                if isinstance(item, Module):
                    yield from item._walk(f"{prefix}{name}.", seen)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their names, in order of assignment, each once."""
        for name, item in self._walk():
            if isinstance(item, Parameter):
                item.name = item.name or name  # in a list that has grown, nobody has named it
                yield name, item

    def parameters(self) -> list[Parameter]:
        """The parameters, in order of assignment, each once."""
        return [item for _, item in self.named_parameters()]

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module (under the name "") and all below it, with their dotted names."""
        yield "", self
        yield from ((name, item) for name, item in self._walk() if isinstance(item, Module))

    def train(self: M, mode: bool = True) -> M:
        """Switch this module and all below it to training (dropout works), or with mode=False to evaluation."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Switch to evaluation: `train(False)`."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients: `.grad = None` in every parameter."""
        for parameter in self.parameters():
            parameter.grad = None

    # in and out

    def _state(self) -> dict[str, mg.Tensor]:
        return {name: item for name, item in self._walk() if isinstance(item, Parameter | Buffer)}

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """The read-only arrays of all parameters and buffers, by name."""
        return {name: item.data for name, item in self._state().items()}

    def load_state_dict(self, arrays: Mapping[str, Any]) -> None:
        """Set all parameters and buffers; values are cast to the dtype that each has.

        Raises ValueError that lists every missing, unexpected and misshapen entry; then nothing is loaded.
        """
        given = fitting(f"load_state_dict of {type(self).__name__}", self.state_dict(), arrays)
        for name, item in self._state().items():
            item.data = given[name]

    # calls

    @property
    def called(self) -> str:
        """What the module is called where it was assigned; the name of the class in a root."""
        return self._called or type(self).__name__

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the first parameter; the default dtype where there is none."""
        return self._dtype() or mg.get_default_dtype()

    def _dtype(self) -> np.dtype[Any] | None:
        return next((p.dtype for _, p in self.named_parameters()), None)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """`forward`, in a scope of the module's name; arrays of floats are cast to the parameters' dtype."""
        if not hasattr(self, "forward"):
            raise TypeError(
                f"{type(self).__name__} has no forward(...), so it cannot be called; write one"
            )
        with mg.scope(self.called, outside=FOLDER):
            return self.forward(
                *map(self._adapted, inputs),
                **{name: self._adapted(x) for name, x in options.items()},
            )

    def _adapted(self, value: Any) -> Any:
        """Tensors of the module's dtype for arrays of floats, also inside of tuples and lists."""
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            return mg.tensor(value, dtype=self._dtype())
        if isinstance(value, tuple | list) and any(
            isinstance(part, np.ndarray | tuple | list) for part in value
        ):
            parts = [self._adapted(part) for part in value]
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        return value

    # how it looks

    def describe(self) -> str:
        """What stands behind the class's name when the module is printed."""
        return ""

    def equations(self) -> list[str]:
        """The equations of the class: the lines with an equals sign in the first paragraph of its docstring."""
        paragraph = inspect.cleandoc(type(self).__doc__ or "").partition("\n\n")[0]
        return [line.strip() for line in paragraph.splitlines() if " = " in line]

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}({self.describe()})"]
        own = list(members(vars(self)))
        shapes = [f"{name} {item.shape}" for name, item in own if not isinstance(item, Module)]
        lines += [f"  {line}" for line in self.equations()] + (
            ["  " + "  ".join(shapes)] if shapes else []
        )
        for name, item in own:
            if isinstance(item, Module):
                lines += [f"  {line}" for line in f"{name}: {item!r}".splitlines()]
        return "\n".join(lines)


def fitting(who: str, own: Mapping[str, Any], state: Any) -> dict[str, np.ndarray[Any, Any]]:
    """The entries of a state dict as arrays, if they are numbers of the names and shapes of our own; or an error."""
    given = entries(who, state)
    problems = [f"missing: {name} {np.shape(own[name])}" for name in own if name not in given]
    problems += [f"unexpected: {name} {given[name].shape}" for name in given if name not in own]
    for name in own:
        if name in given and given[name].shape != np.shape(own[name]):
            problems.append(
                f"shape of {name}: {np.shape(own[name])} is needed, found {given[name].shape}"
            )
        elif name in given and given[name].dtype.kind not in "biuf":
            problems.append(f"dtype of {name}: numbers are needed, found {given[name].dtype}")
    refuse(who, problems)
    return given


def entries(who: str, state: Any) -> dict[str, np.ndarray[Any, Any]]:
    """The entries of a state dict as arrays."""
    if not isinstance(state, Mapping):
        raise TypeError(f"{who}: what a state_dict() gave is needed, found {type(state).__name__}")
    return {name: np.asarray(value) for name, value in state.items()}


def refuse(who: str, problems: list[str]) -> None:
    """One error that lists all that does not fit, if there is any."""
    if problems:
        raise ValueError(f"{who}: nothing was loaded;\n  " + "\n  ".join(problems))


def members(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The parameters, buffers and modules among some values, also in lists, tuples and dicts."""
    for name, value in values.items():
        if isinstance(value, Module | Parameter | Buffer):
            yield name, value
        elif isinstance(value, list | tuple):
            yield from members({f"{name}.{k}": part for k, part in enumerate(value)})
        elif isinstance(value, dict):
            yield from members({f"{name}.{key}": part for key, part in value.items()})
