"""A table of the parameters of a module."""

from __future__ import annotations

from nn.module import Module


def summary(module: Module) -> str:
    """A table of the parameters and buffers: name, shape, how many numbers; and the total.

    >>> import nn
    >>> print(nn.summary(nn.LSTM(3, 4)))
    LSTM(3, 4)
    l0.W_xh   (3, 16)        48
    l0.W_hh   (4, 16)        64
    l0.b_h      (16,)        16
    total                   128  (512 bytes)
    """
    state = module.state_dict()
    width = max([len("total"), *map(len, state)])
    shape = max([0, *[len(str(value.shape)) for value in state.values()]]) + 2
    rows = []
    for name, value in state.items():
        rows.append(f"{name:<{width}}{value.shape!s:>{shape}}{value.size:>10}")
    total = sum(value.size for value in state.values())
    size = sum(value.nbytes for value in state.values())
    head = f"{type(module).__name__}({module.describe()})"
    return "\n".join([head, *rows, f"{'total':<{width + shape}}{total:>10}  ({size} bytes)"])
