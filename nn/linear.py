"""The affine layer, and modules in a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import minigrad as mg
from nn import init
from nn.checks import check_features, positive
from nn.module import Module
from nn.parameter import Parameter


class Linear(Module):
    """
    y = x W + b

    Shapes: x (..., D), y (..., Q), W (D, Q), b (Q).
    W starts as `init.glorot`, b at 0; `bias=False` leaves b out.

    >>> import numpy as np, nn
    >>> nn.Linear(3, 2)(np.zeros((5, 3))).shape
    (5, 2)
    """

    def __init__(
        self, input_size: int, output_size: int, bias: bool = True, rng: init.Rng = None
    ) -> None:
        positive("Linear", input_size=input_size, output_size=output_size)
        self.input_size, self.output_size = input_size, output_size
        self.W = Parameter(init.glorot(input_size, output_size, rng=rng))
        self.b = Parameter(init.zeros(output_size)) if bias else None

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """(..., D) to (..., Q)."""
        check_features(self, x, self.input_size)
        y = x @ self.W
        return y if self.b is None else y + self.b

    def describe(self) -> str:
        """The sizes."""
        return f"{self.input_size}, {self.output_size}"


class Sequential(Module):
    """One after the other: each module, or function, is called with what the one before returned.

    >>> import numpy as np, nn
    >>> net = nn.Sequential(nn.Linear(3, 4), np.tanh, nn.Linear(4, 1))
    >>> net(np.zeros((2, 3))).shape, [name for name, _ in net.named_parameters()]
    ((2, 1), ['0.W', '0.b', '2.W', '2.b'])
    """

    def __init__(self, *modules: Any) -> None:
        for k, module in enumerate(modules):
            if not callable(module):
                remedy = "; write nn.Sequential(*modules)" if isinstance(module, list) else ""
                raise TypeError(f"Sequential: number {k} is not callable: {module!r}{remedy}")
            setattr(self, str(k), module)
        self.count = len(modules)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, str(k)) for k in range(self.count))

    def __getitem__(self, index: int | slice) -> Any:
        """One of the modules; for a slice, a `Sequential` that shares them."""
        found = list(self)[index]
        if not isinstance(index, slice):
            return found
        part = Sequential()
        part.count = len(found)
        vars(part).update({str(k): module for k, module in enumerate(found)})  # keeps their names
        return part

    def forward(self, x: Any) -> Any:
        """Through all of them."""
        for module in self:
            x = module(x)
        return x
