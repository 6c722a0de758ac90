"""All or nothing: changes that are computed first, and then made in one step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import starmap
from operator import call
from typing import Any

from minigrad.tensor import Tensor, fitted

# the setters of the slots: unlike those of the properties, they run no line of Python
_set_data: Callable[..., None] = Tensor._array.__set__  # type: ignore[attr-defined, misc]
_set_grad: Callable[..., None] = Tensor._grad.__set__  # type: ignore[union-attr, misc]


class Changes:
    """Changes of leaves and of attributes, made together by `commit`.

    Each method checks its values and computes what will be set; it changes nothing.  `commit` runs
    no line of Python, so that after an interrupt, or a warning that is an error, either all changes
    are made or none.

    >>> import minigrad as mg
    >>> a, b = mg.tensor(1.0), mg.tensor(2.0)
    >>> changes = mg.Changes()
    >>> changes.data(a, 3.0); changes.data(b, 4.0); a.item()
    1.0
    >>> changes.commit(); a.item(), b.item()
    (3.0, 4.0)
    """

    def __init__(self) -> None:
        self._calls: list[tuple[Any, ...]] = []

    def data(self, leaf: Tensor, value: Any) -> None:
        """Rebind `leaf.data`: the same shape, cast to its dtype; only of leaves."""
        if leaf.op is not None:
            raise ValueError(
                f"data of {leaf!r}: it is the output of {leaf.op.name}; write t = t.detach() first"
            )
        array = fitted(value, leaf, f"data of {leaf.name or 'tensor'}:")._array
        self._calls.append((_set_data, leaf, array))

    def grad(self, leaf: Tensor, value: Any) -> None:
        """Set `leaf.grad` to an array or tensor of its shape, or to None."""
        if value is not None:
            value = fitted(value, leaf, f"grad of {leaf.name or 'tensor'}:")
        self._calls.append((_set_grad, leaf, value))

    def attribute(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute of an object, without its `__setattr__`."""
        self._calls.append((object.__setattr__, owner, name, value))

    def by(self, setter: Callable[..., Any], *values: Any) -> None:
        """Call a setter that is written in C and cannot fail with these values."""
        self._calls.append((setter, *values))

    def commit(self) -> None:
        """Make all changes."""
        deque(starmap(call, self._calls), maxlen=0)
