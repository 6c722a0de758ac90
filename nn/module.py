"""Modules: trees of named parameters that are called with tensors or arrays."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

import minigrad as mg
from nn import copying, habits
from nn.parameter import Buffer, Parameter
from nn.state_dicts import match_entries
from nn.structure import is_structure, map_structure, parts_of

M = TypeVar("M", bound="Module")
FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep  # scopes point to lines outside of it


class Module:
    """Something with parameters and a `forward`; subclasses need not call `super().__init__()`.

    Parameters, buffers and modules are found in attributes, and in lists, tuples and dicts there,
    in order of assignment.  A parameter that is reached in several ways keeps its first name and
    appears once.  Raises ValueError where two of them would have the same name.

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
    _scope_name = ""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Module | Parameter | Buffer | list | tuple | dict):
            check_names((name, value))
        replaced = vars(self).get(name)
        object.__setattr__(self, name, value)
        prefix = f"{self.full_name}." if self.full_name else ""
        if isinstance(value, Parameter | Buffer):
            value.name = value.name or prefix + name
        elif isinstance(value, Module | list | tuple | dict):
            is_new = replaced is None
            self._give_names(prefix, [(name, value)] if is_new else vars(self).items())

    def _give_names(self, prefix: str, values: Iterable[tuple[str, Any]]) -> None:
        """Name everything in the values by its path; what is already found by its name keeps it."""
        for path, own, item in walk(values, prefix):
            if isinstance(item, Module):
                if self._find(item.full_name, prefix) is not item:
                    object.__setattr__(item, "full_name", path)
                    object.__setattr__(item, "_scope_name", own)
            elif item.name is None or self._find(item.name, prefix) is not item:
                item.name = path

    def _find(self, path: str, prefix: str) -> Any:
        """The module, parameter or buffer of this full name, or None."""
        if not path.startswith(prefix):
            return None
        found: Any = self
        for key in path[len(prefix) :].split("."):
            found = _part(found, key)
        return found

    def _walk(self) -> Iterator[tuple[str, Any]]:
        """Every parameter, buffer and module below this one, once, with its dotted name."""
        for path, _, item in walk(vars(self).items()):
            yield path, item

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their names, in order of assignment, each once."""
        for name, item in self._walk():
            if isinstance(item, Parameter):
                item.name = item.name or name  # one that was appended to a list has no name yet
                yield name, item

    def parameters(self) -> list[Parameter]:
        """The parameters, in order of assignment, each once."""
        return [item for _, item in self.named_parameters()]

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """The buffers with their names, in order of assignment, each once."""
        yield from ((name, item) for name, item in self._walk() if isinstance(item, Buffer))

    def buffers(self) -> list[Buffer]:
        """The buffers, in order of assignment, each once."""
        return [item for _, item in self.named_buffers()]

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module (under the name "") and all below it, with their dotted names."""
        yield "", self
        yield from ((name, item) for name, item in self._walk() if isinstance(item, Module))

    def modules(self) -> list[Module]:
        """This module and all below it."""
        return [module for _, module in self.named_modules()]

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below this one, with their names."""
        yield from ((name, item) for name, item in members(self) if isinstance(item, Module))

    def children(self) -> list[Module]:
        """The modules directly below this one."""
        return [module for _, module in self.named_children()]

    def apply(self: M, function: Callable[[Module], Any]) -> M:
        """Call the function with every module below this one, then with this one.

        >>> import nn
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
        >>> def no_bias(module):
        ...     if isinstance(module, nn.Linear): module.b = None
        >>> len(net.apply(no_bias).parameters())
        2
        """
        for module in reversed(self.modules()):
            function(module)
        return self

    def train(self: M, mode: bool = True) -> M:
        """Switch this module and all below it to training, or with mode=False to evaluation."""
        for module in self.modules():
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
        check_names(*vars(self).items())
        return {name: item for name, item in self._walk() if isinstance(item, Parameter | Buffer)}

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """The read-only arrays of all parameters and buffers, by name."""
        return {name: item.data for name, item in self._state().items()}

    def load_state_dict(self, arrays: Mapping[str, Any]) -> None:
        """Set all parameters and buffers; values are cast to the dtype that each has.

        Raises ValueError that lists every missing, unexpected and misshapen entry; then nothing is
        loaded.
        """
        changes = mg.Changes()
        self.prepare_load(arrays, changes)
        changes.commit()

    def prepare_load(self, arrays: Mapping[str, Any], changes: mg.Changes) -> None:
        """Add what `load_state_dict` changes; several objects can so be loaded in one step."""
        given = self.match_load(arrays)
        for name, item in self._state().items():
            changes.data(item, given[name])

    def match_load(self, arrays: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """The entries of a state, if their names and shapes fit; else ValueError."""
        who = f"load_state_dict of {type(self).__name__}"
        return match_entries(who, self.state_dict(), arrays)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """For `pickle` and `copy.deepcopy`: modules inside of modules, without recursion."""
        if not copying.is_taken(self):
            modules = self.modules()
            if not any(map(copying.decides_itself, modules)):
                return copying.in_order(modules)
        return super().__reduce_ex__(protocol)

    def __copy__(self: M) -> M:
        """A module with the same parameters and modules, as `copy.copy` of any object has them."""
        reduced: Any = super().__reduce_ex__(4)
        make, arguments, state = reduced[:3]
        made = make(*arguments)
        if hasattr(made, "__setstate__"):
            made.__setstate__(state)
        else:
            vars(made).update(state or {})
        return made

    # calls

    @property
    def scope_name(self) -> str:
        """The attribute that the module was assigned to; the name of the class in a root."""
        return self._scope_name or type(self).__name__

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the parameters; the default dtype where there are none.

        Raises TypeError where parameters have different dtypes.
        """
        return self._dtype() or mg.get_default_dtype()

    def _dtype(self) -> np.dtype[Any] | None:
        first = None
        for name, p in self.named_parameters():
            first = first or (name, p.dtype)
            if p.dtype != first[1]:
                raise TypeError(
                    f"{self.scope_name}: all parameters must have one dtype, found {first[1]} in "
                    f"{first[0]} and {p.dtype} in {name}; write p.data.astype(...) where it is made"
                )
        return first[1] if first else None

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """`forward`, in a scope of the module's name.

        Arrays of floats become tensors of the parameters' dtype.
        """
        if not hasattr(self, "forward"):
            name = type(self).__name__
            raise TypeError(f"{name} has no forward(...), so it cannot be called; write one")
        with mg.scope(self.scope_name, outside=FOLDER):
            given = {name: self._as_tensors(x) for name, x in options.items()}
            try:
                return self.forward(*map(self._as_tensors, inputs), **given)
            except TypeError as error:
                habits.explain(error, given)
                raise
            except RecursionError as error:
                say_how_deep(error, self.scope_name)
                raise

    def _as_tensors(self, value: Any) -> Any:
        """Arrays of floats as tensors of the module's dtype, also inside structures."""
        if isinstance(value, np.ndarray):
            is_float = value.dtype.kind == "f"
            return mg.tensor(value, dtype=self._dtype()) if is_float else value
        if not is_structure(value) or not any(map(_may_hold_arrays, parts_of(value))):
            return value
        return map_structure(self._as_tensors, value)

    if not TYPE_CHECKING:  # so that type checkers still reject unknown attributes

        def __getattr__(self, name: str) -> Any:
            kind = type(self).__name__
            raise AttributeError(
                f"{kind} has no attribute {name!r}{habits.advice(habits.OF_MODULES, name)}"
            )

    # how it looks

    def describe(self) -> str:
        """The text in brackets behind the class's name when the module is printed."""
        return ""

    def equations(self) -> list[str]:
        """The lines with an equals sign in the first paragraph of the class's docstring."""
        paragraph = inspect.cleandoc(type(self).__doc__ or "").partition("\n\n")[0]
        return [line.strip() for line in paragraph.splitlines() if " = " in line]

    def __repr__(self) -> str:
        lines: list[str] = []
        waiting: list[tuple[str, str, Module]] = [("", "", self)]
        while waiting:
            indent, title, module = waiting.pop()
            lines += [f"{indent}{title}{type(module).__name__}({module.describe()})"]
            indent += "  "
            lines += [indent + line for line in module.equations()]
            own = list(members(module))
            shapes = [f"{name} {x.shape}" for name, x in own if not isinstance(x, Module)]
            lines += [indent + "  ".join(shapes)] if shapes else []
            children = [(indent, f"{name}: ", x) for name, x in own if isinstance(x, Module)]
            waiting += reversed(children)
        return "\n".join(lines)


def say_how_deep(error: RecursionError, name: str) -> None:
    """Say which module reached Python's recursion limit, and what to write; once."""
    limit = sys.getrecursionlimit()
    if "sys.setrecursionlimit" not in str(error):
        error.args = (
            f"{name}: calls of modules inside of modules reach Python's recursion limit, {limit}; "
            f"if they are meant to nest so deep, write sys.setrecursionlimit({10 * limit})",
        )


def members(module: Module) -> Iterator[tuple[str, Any]]:
    """The parameters, buffers and modules that a module itself holds, with their names there."""
    for _, own, item in walk(vars(module).items(), descend=False):
        yield own, item


def walk(
    values: Iterable[tuple[str, Any]], prefix: str = "", descend: bool = True
) -> Iterator[tuple[str, str, Any]]:
    """Every parameter, buffer and module in some values, once: (path, own, item).

    `own` is its name within the innermost module.  descend: also what the modules hold, at any
    depth, without recursion.
    """
    seen: set[int] = set()
    stack = [(prefix, "", iter(values))]
    while stack:
        prefix, own, parts = stack[-1]
        for key, part in parts:
            if id(part) in seen or not isinstance(part, _HOLDERS):
                continue
            seen.add(id(part))
            name = f"{own}{key}"
            if isinstance(part, Module | Parameter | Buffer):
                yield prefix + name, name, part
            if isinstance(part, Module) and descend:
                stack.append((f"{prefix}{name}.", "", iter(vars(part).items())))
                break
            if isinstance(part, list | tuple | dict):
                stack.append((prefix, f"{name}.", _items(part)))
                break
        else:
            stack.pop()


def check_names(*values: tuple[str, Any]) -> None:
    """Raise ValueError if two items have the same name, or if a name cannot be saved."""
    known: dict[str, Any] = {}
    for path, _, item in walk(values):
        if known.setdefault(path, item) is not item:
            raise ValueError(
                f"two parameters or modules would be called {path!r}, and one would be lost; "
                "use other keys"
            )
        if "\0" in path or not _is_encodable(path):
            raise ValueError(f"the name {path!r} cannot be saved in a file; use another one")


def _items(container: Any) -> Iterator[tuple[Any, Any]]:
    return iter(container.items() if isinstance(container, dict) else enumerate(container))


def _part(value: Any, key: str) -> Any:
    """The part of a module or container whose name is `key`, or None."""
    if isinstance(value, Module):
        return vars(value).get(key)
    if isinstance(value, dict):
        return next((part for own, part in value.items() if str(own) == key), None)
    if isinstance(value, list | tuple) and key.isdecimal() and int(key) < len(value):
        return value[int(key)]
    return None


def _may_hold_arrays(value: Any) -> bool:
    return isinstance(value, np.ndarray) or is_structure(value)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_HOLDERS = (Module, Parameter, Buffer, list, tuple, dict)
