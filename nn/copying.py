"""Trees of modules in `pickle` and `copy`: no recursion, however deep they are."""

from __future__ import annotations

from collections.abc import Collection
from contextvars import ContextVar
from typing import Any

taken: ContextVar[Collection[int]] = ContextVar("nn.copying.taken", default=())


class _Taking:
    """When `pickle` or `copy` comes to it in a list, these modules are taken one by one from
    there on."""

    def __init__(self, modules: Collection[Any]) -> None:
        self.numbers = {id(module) for module in modules}

    def __reduce_ex__(self, protocol: Any) -> Any:
        taken.set(self.numbers)
        return bool, ()  # nothing is left of it


def in_order(modules: list[Any]) -> Any:
    """What `__reduce_ex__` returns for the first of some modules, the others being those below it.

    They are listed with the innermost first, so that each finds those that it holds done already.
    """
    return _outermost, ([_Taking(modules), *reversed(modules), _Taking(())],)


def decides_itself(module: Any) -> bool:
    """Whether the class of a module says by itself what of it is pickled."""
    kind: Any = type(module)
    return kind.__getstate__ is not object.__getstate__ or kind.__reduce__ is not object.__reduce__


def _outermost(modules: list[Any]) -> Any:
    return modules[-2]
