"""State dictionaries of PyTorch, read and written without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from nn.cells import GRUCell, LSTMCell, RNNCell
from nn.convolution import Conv1d
from nn.embedding import Embedding
from nn.linear import Linear
from nn.module import Module, members
from nn.normalization import LayerNorm
from nn.parameter import Parameter
from nn.recurrent import GRU, LSTM, RNN
from nn.state_dicts import match_entries

Array = np.ndarray[Any, Any]
Convert = Callable[[Array], Array]


class _Share(NamedTuple):
    """The share of one entry of PyTorch's in one parameter of ours.

    A parameter is the sum of `ours(entry)` over its shares, an entry the sum of `theirs(value)`.
    """

    parameter: Parameter
    entry: str
    ours: Convert
    theirs: Convert


def load_torch_state_dict(module: Module, arrays: Mapping[str, Any]) -> None:
    """Set the parameters of a module from the state dictionary of PyTorch's module like it.

    Known are RNN, LSTM, GRU, their cells, Linear, Embedding, LayerNorm and Conv1d, alone or inside
    other modules under the same attribute names; other parameters keep their names.  PyTorch's two
    biases of a cell are summed into one.
    Raises ValueError that lists every missing, unexpected and misshapen entry; then nothing is
    loaded.

    >>> import numpy as np, nn
    >>> net = nn.Linear(2, 1)
    >>> nn.load_torch_state_dict(net, {"weight": np.array([[1.0, 2.0]]), "bias": np.array([3.0])})
    >>> net(np.ones((1, 2)))
    tensor([[6.]], op=add)
    """
    given = match_entries(
        f"load_torch_state_dict of {type(module).__name__}", to_torch_state_dict(module), arrays
    )
    sums: dict[Parameter, Array] = {}
    for parameter, entry, ours, _ in _shares(module):
        value = ours(given[entry])
        sums[parameter] = sums[parameter] + value if parameter in sums else value
    changes = mg.Changes()
    for parameter, value in sums.items():
        changes.data(parameter, value)
    changes.commit()


def to_torch_state_dict(module: Module) -> dict[str, Array]:
    """The state dictionary that PyTorch's module like this one loads.

    Of the two biases of a cell, the second is 0.

    >>> import nn
    >>> {name: value.shape for name, value in nn.to_torch_state_dict(nn.GRU(3, 4)).items()}
    {'weight_ih_l0': (12, 3), 'weight_hh_l0': (12, 4), 'bias_ih_l0': (12,), 'bias_hh_l0': (12,)}
    """
    arrays: dict[str, Array] = {}
    for parameter, entry, _, theirs in _shares(module):
        value = theirs(parameter.data)
        arrays[entry] = arrays[entry] + value if entry in arrays else np.array(value)
    return arrays


def _shares(module: Module, prefix: str = "") -> Iterator[_Share]:
    if isinstance(module, RNNCell | LSTMCell | GRUCell):
        yield from _cell(module, prefix, "")
        return
    names = _NAMES.get(type(module), {})
    for name, item in members(module):
        if isinstance(item, Parameter):
            entry, convert = names.get(name, (name, _same))
            yield _Share(item, prefix + entry, convert, convert)
        elif isinstance(module, RNN | LSTM | GRU):
            yield from _cell(item, prefix, f"_{name}")
        elif isinstance(item, Module):
            yield from _shares(item, f"{prefix}{name}.")


def _cell(cell: Any, prefix: str, suffix: str) -> Iterator[_Share]:
    weight, bias = f"{prefix}weight_{{}}{suffix}", f"{prefix}bias_{{}}{suffix}"
    yield _Share(cell.W_xh, weight.format("ih"), np.transpose, np.transpose)
    yield _Share(cell.W_hh, weight.format("hh"), np.transpose, np.transpose)
    if isinstance(cell, GRUCell) and cell.reset != "after":
        raise ValueError(
            f"{cell.scope_name}: PyTorch's GRU has reset='after', this one has reset={cell.reset!r}"
        )
    if cell.b_h is None:
        return
    yield _Share(cell.b_h, bias.format("ih"), _same, _same)
    if not isinstance(cell, GRUCell):
        yield _Share(cell.b_h, bias.format("hh"), _same, np.zeros_like)
        return
    n = slice(
        2 * cell.hidden_size, None
    )  # the candidate's second bias stands inside of r ∘ (...), so it stays apart
    yield _Share(cell.b_h, bias.format("hh"), lambda b: _placed(b, n, 0), np.zeros_like)
    assert cell.b_hn is not None
    yield _Share(
        cell.b_hn,
        bias.format("hh"),
        lambda b: b[n],
        lambda b: _placed(np.zeros(3 * len(b), b.dtype), n, b),
    )


def _placed(array: Array, where: slice, value: Any) -> Array:
    array = np.array(array)
    array[where] = value
    return array


def _same(array: Array) -> Array:
    return array


_NAMES: dict[type, dict[str, tuple[str, Convert]]] = {
    Linear: {"W": ("weight", np.transpose), "b": ("bias", _same)},
    Embedding: {"W": ("weight", _same)},
    Conv1d: {"W": ("weight", np.transpose), "b": ("bias", _same)},
    LayerNorm: {"gain": ("weight", _same), "b": ("bias", _same)},
}
