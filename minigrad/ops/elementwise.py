"""Functions of one number, applied to every element.  Imports `primitive` and `front`."""

from __future__ import annotations

import numpy as np

from minigrad.ops.front import over, times
from minigrad.primitive import primitive

__all__ = ["abs", "absolute", "exp", "expm1", "log", "sqrt", "square", "tanh"]


@primitive
def exp(x):
    """y = eˣ."""
    return np.exp(x)


@exp.gradient
def exp_dx(dy, y, x):
    return times(dy, y)


@primitive
def expm1(x):
    """y = eˣ − 1, exact for small x."""
    return np.expm1(x)


@expm1.gradient
def expm1_dx(dy, y, x):
    return times(dy, y + 1)


@primitive
def log(x):
    """Natural logarithm:  y = ln x."""
    return np.log(x)


@log.gradient
def log_dx(dy, y, x):
    return over(dy, x)


@primitive
def sqrt(x):
    """y = √x."""
    return np.sqrt(x)


@sqrt.gradient
def sqrt_dx(dy, y, x):
    return over(0.5 * dy, y)


@primitive
def square(x):
    """y = x²."""
    return np.square(x)


@square.gradient
def square_dx(dy, y, x):
    return dy * (2 * x)


@primitive
def tanh(x):
    """Hyperbolic tangent:  y = tanh(x)."""
    return np.tanh(x)


@tanh.gradient
def tanh_dx(dy, y, x):
    return dy * (1 - y * y)


@primitive
def absolute(x):
    """y = |x|, with derivative 0 at 0."""
    return np.absolute(x)


@absolute.gradient
def absolute_dx(dy, y, x):
    return dy * np.sign(x)


abs = absolute
