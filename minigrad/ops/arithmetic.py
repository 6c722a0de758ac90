from __future__ import annotations

import numpy as np

from minigrad.primitive import primitive


@primitive
def add(a, b):
    return np.add(a, b)


@add.gradient
def add_da(dy, y, a, b):
    return dy


@add.gradient
def add_db(dy, y, a, b):
    return dy


@primitive
def multiply(a, b):
    return np.multiply(a, b)


@multiply.gradient
def multiply_da(dy, y, a, b):
    return dy * b


@multiply.gradient
def multiply_db(dy, y, a, b):
    return dy * a


@primitive
def matmul(a, b):
    return np.matmul(a, b)


@matmul.gradient
def matmul_da(dy, y, a, b):
    return dy @ b.T


@matmul.gradient
def matmul_db(dy, y, a, b):
    return a.T @ dy


@primitive
def tanh(x):
    return np.tanh(x)


@tanh.gradient
def tanh_dx(dy, y, x):
    return dy * (1 - y * y)


@primitive
def power(a, b):
    return np.power(a, b)


@power.gradient
def power_da(dy, y, a, b):
    return dy * b * a ** (b - 1)
