"""Trees of modules in `pickle` and `copy`: no recursion, however deep they are."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

_waiting: ContextVar[dict[int, None]] = ContextVar("nn.copying.waiting", default={})  # noqa: B039


class _Taking:
    """When `pickle` or `copy` comes to it in a list, these modules are taken one by one from
    there on."""

    def __init__(self, modules: list[Any]) -> None:
        self.modules = modules

    def __reduce_ex__(self, protocol: Any) -> Any:
        _waiting.set({id(module): None for module in self.modules})
        return bool, ()  # nothing is left of it


def is_taken(module: Any) -> bool:
    """Whether a module is taken by itself now, as one of a list.

    The list goes on behind it, so that one that an error has broken off is soon over.
    """
    waiting = _waiting.get()
    if id(module) not in waiting:
        return False
    while waiting.popitem()[0] != id(module):
        pass  # the innermost come first; these were pickled before
    return True


def in_order(modules: list[Any]) -> Any:
    """What `__reduce_ex__` returns for the first of some modules, the others being those below it.

    They are listed with the innermost first, so that each finds those that it holds done already.
    """
    return _outermost, ([_Taking(modules), *reversed(modules), _Taking([])],)


def decides_itself(module: Any) -> bool:
    """Whether the class of a module says by itself what of it is pickled."""
    kind: Any = type(module)
    return kind.__getstate__ is not object.__getstate__ or kind.__reduce__ is not object.__reduce__


def _outermost(modules: list[Any]) -> Any:
    return modules[-2]
