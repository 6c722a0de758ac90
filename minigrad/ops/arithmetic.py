"""Arithmetic and matrix products."""

from __future__ import annotations

import math
from typing import Any

from minigrad.operators import Operand
from minigrad.ops.elementwise import part_of
from minigrad.ops.signatures import np, safe_divide, safe_multiply
from minigrad.primitive import primitive

__all__ = ["add", "divide", "matmul", "multiply", "power", "subtract"]


@primitive(elementwise=True, linear=True)
def add(a: Operand, b: Operand) -> Any:
    """Sum, elementwise:  y = a + b."""
    return np.add(a, b)


@add.gradient
def add_da(dy, y, a, b):
    return dy


@add.gradient
def add_db(dy, y, a, b):
    return dy


@primitive(elementwise=True, linear=True)
def subtract(a: Operand, b: Operand) -> Any:
    """Difference, elementwise:  y = a − b."""
    return np.subtract(a, b)


@subtract.gradient
def subtract_da(dy, y, a, b):
    return dy


@subtract.gradient
def subtract_db(dy, y, a, b):
    return -dy


@primitive(elementwise=True)
def multiply(a: Operand, b: Operand) -> Any:
    """Product, elementwise:  y = a · b."""
    return np.multiply(a, b)


@multiply.gradient
def multiply_da(dy, y, a, b):
    return dy * b


@multiply.gradient
def multiply_db(dy, y, a, b):
    return dy * a


@primitive(elementwise=True)
def divide(a: Operand, b: Operand) -> Any:
    """Quotient, elementwise:  y = a / b."""
    return np.divide(a, b)


@divide.gradient
def divide_da(dy, y, a, b):
    return safe_divide(dy, b)


@divide.gradient
def divide_db(dy, y, a, b):
    return -safe_multiply(safe_divide(dy, b), y)


@primitive(elementwise=True)
def power(a: Operand, b: Operand) -> Any:
    """Power, elementwise:  y = aᵇ.  The derivative of x⁰ is 0, at x = 0 too.

    >>> import minigrad as mg
    >>> mg.power(mg.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    return np.power(a, b)


@power.gradient
def power_da(dy, y, a, b):
    if not isinstance(b, int | float):
        if not getattr(b, "requires_grad", False):
            spared = np.where((b == 0) | ((dy == 0) & (a == 0)), 1, a)  # behind a `where`, or · 0
            return dy * b * spared ** (b - 1)
        spared = np.where(((b == 0) | (dy == 0)) & (a == 0), 1, a)
        return dy * part_of(b, np.where((b == 0) & (a == 0), 0.0, 1.0)) * spared ** (b - 1)
    if b == 2:
        return dy * (2 * a)
    if b < 1:
        return dy * (b * np.where((b == 0) | ((dy == 0) & (a == 0)), 1, a) ** (b - 1))
    return dy * (b * a ** (b - 1))


@power.gradient
def power_db(dy, y, a, b):
    steep = (a == 0) & (b > 0) & (b <= 1)  # 0 here, and falling to −∞ beside it
    return dy * part_of(y, np.where(steep, 0.0, 1.0)) * np.log(np.where((a == 0) & (b > 0), 1, a))


@primitive(elementwise=False)  # editors cannot infer the result under a bare decorator
def matmul(a: Operand, b: Operand) -> Any:
    """Matrix product over the last two axes, batched over the others:  y = a b.

    Shapes: (..., n, k) @ (..., k, m) → (..., n, m).  A vector on the left is a row, and one on the
    right is a column.

    >>> import minigrad as mg
    >>> mg.matmul(mg.tensor([[1.0, 2.0]]), mg.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    return np.matmul(a, b)


@matmul.gradient
def matmul_da(dy, y, a, b):
    if b.ndim == 1:
        return np.expand_dims(dy, -1) * b
    if a.ndim == 1:
        return np.matmul(b, np.expand_dims(dy, -1))[..., 0]
    return dy @ (b.T if b.ndim == 2 else np.swapaxes(b, -1, -2))


@matmul.gradient
def matmul_db(dy, y, a, b):
    if a.ndim == b.ndim == 2:
        if len(a) == 1:  # an outer product: np.dot lets BLAS do it, np.matmul does not
            return np.dot(a.T, dy)
        return a.T @ dy
    if a.ndim == 1:
        return (a * np.expand_dims(dy, -1)).swapaxes(-1, -2) if b.ndim > 1 else dy * a
    if b.ndim == 1:
        return np.reshape(a, (dy.size, a.shape[-1])).T @ np.reshape(dy, -1)
    if b.ndim == 2:  # one matrix for the whole batch: its gradient is one product, not a batch
        rows = math.prod(a.shape[:-1])
        return np.reshape(a, (rows, a.shape[-1])).T @ np.reshape(dy, (rows, dy.shape[-1]))
    return np.swapaxes(a, -1, -2) @ dy
