"""The affine layer, and modules in a row.  Imports `minigrad`, `module`, `init`."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from nn import init
from nn.module import Module, Parameter


def positive(who: str, **sizes: Any) -> None:
    """Check that sizes are positive integers; the error names the one that is not."""
    for name, size in sizes.items():
        if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{who}: {name} must be a positive integer, found {size!r}")


def in_range(who: str, below: float = np.inf, **numbers: Any) -> None:
    """Check that numbers are in [0, below); the error names the one that is not."""
    for name, value in numbers.items():
        if np.ndim(value) or np.asarray(value).dtype.kind not in "biuf" or not 0 <= value < below:
            wanted = "0 or more" if below == np.inf else f"in [0, {below})"
            raise ValueError(f"{who}: {name} must be {wanted}, found {value!r}")


def flags(who: str, **values: Any) -> None:
    """Check that switches are True or False; the error names the one that is not."""
    for name, value in values.items():
        if not isinstance(value, bool):
            raise TypeError(f"{who}: {name} must be True or False, found {value!r}")


def check_features(module: Module, x: Any, size: int) -> None:
    """Check that x is a tensor of floats (..., size)."""
    if not isinstance(x, mg.Tensor) or x.dtype.kind != "f":
        found = getattr(x, "dtype", type(x).__name__)
        raise TypeError(
            f"{module.called}: x must hold floats, found {found}; write np.asarray(x, np.{module.dtype})"
        )
    if not x.ndim or x.shape[-1] != size:
        raise ValueError(f"{module.called}: x (..., {size}) is needed, found {x.shape}")


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
                raise TypeError(f"Sequential: number {k} is not callable: {module!r}")
            setattr(self, str(k), module)
        self.count = len(modules)

    def forward(self, x: Any) -> Any:
        """Through all of them."""
        for k in range(self.count):
            x = getattr(self, str(k))(x)
        return x
