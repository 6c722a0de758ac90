"""The leaves that belong to a module: parameters, which are trained, and buffers, which are not."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import minigrad as mg
from nn import habits


class _Owned(mg.Tensor):
    """A leaf that belongs to a module; it can be copied and pickled."""

    __slots__ = ()

    def _made_by_caller(self) -> None:
        """The line that calls the class, not one of the class, is where this leaf is made."""
        frame = sys._getframe(2)
        while frame.f_code.co_filename == habits.__file__ and frame.f_back:  # what wraps the class
            frame = frame.f_back
        self._code, self._instruction = frame.f_code, frame.f_lasti

    def __reduce__(self) -> Any:
        return type(self), (np.array(self.data), None, self.name), self.requires_grad

    def __setstate__(self, requires_grad: bool) -> None:
        self.requires_grad = requires_grad


class Parameter(_Owned):
    """A leaf that is trained.  Python numbers get the default dtype.

    The module that a parameter is assigned to gives it its name.

    >>> import nn
    >>> nn.Parameter([1.0, 2.0], name="w")
    tensor([1., 2.], name='w', requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Any, dtype: DTypeLike | None = None, name: str | None = None) -> None:
        super().__init__(data, True, dtype, name)
        self._made_by_caller()


class Buffer(_Owned):
    """A tensor of a module that is saved and loaded, but never changed by an optimiser.

    >>> import nn
    >>> net = nn.Module(); net.mean = nn.Buffer([0.5])
    >>> net.state_dict(), net.parameters()
    ({'mean': array([0.5], dtype=float32)}, [])
    """

    __slots__ = ()

    def __init__(self, data: Any, dtype: DTypeLike | None = None, name: str | None = None) -> None:
        super().__init__(data, False, dtype, name)
        self._made_by_caller()
