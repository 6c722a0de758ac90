"""Structures of tensors: a tensor, or a (named) tuple, list or dict of structures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

import minigrad as mg

State: TypeAlias = Any  # a structure of tensors
Path: TypeAlias = tuple[str, ...]  # the keys that lead to a leaf


class Layers(tuple[State, ...]):
    """The states of the layers of a stack.  Each layer names its own leaves."""


def is_structure(value: Any) -> bool:
    """Whether a value has parts, so that it is no leaf."""
    return isinstance(value, tuple | list | dict)


def map_structure(function: Callable[..., Any], first: Any, *others: Any) -> Any:
    """`function` of the leaves of structures that are alike, in the structure of the first.

    >>> import nn
    >>> nn.map_structure(lambda a, b: a + b, {"h": 1, "c": (2, 3)}, {"h": 10, "c": (20, 30)})
    {'h': 11, 'c': (22, 33)}
    """
    if isinstance(first, dict):
        parts: Any = [map_structure(function, *(s[key] for s in (first, *others))) for key in first]
        return dict(zip(first, parts, strict=True))
    if not isinstance(first, tuple | list):
        return function(first, *others)
    parts = [map_structure(function, *same) for same in zip(first, *others, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)


def flatten(structure: Any) -> list[Any]:
    """The leaves of a structure, in order."""
    if not isinstance(structure, tuple | list | dict):
        return [structure]
    parts = structure.values() if isinstance(structure, dict) else structure
    return [leaf for part in parts for leaf in flatten(part)]


def keys_of(structure: Any) -> list[str]:
    """The names of the parts: keys of a dict, fields of a named tuple; s0, s1, ... else."""
    if isinstance(structure, dict):
        return [str(key) for key in structure]
    return list(getattr(structure, "_fields", [f"s{k}" for k in range(len(structure))]))


def parts_of(structure: Any) -> list[Any]:
    """The parts of a tuple, list or dict."""
    return list(structure.values() if isinstance(structure, dict) else structure)


def leaf_names(structure: Any, name: str = "h") -> list[str]:
    """The name of each leaf: the keys that lead to it, with dots between them.

    A structure that is one leaf is called `name`.

    >>> import nn
    >>> from nn.structure import leaf_names
    >>> leaf_names({"h": 0, "inner": nn.LSTMState(h=0, c=0)}), leaf_names((0, 0)), leaf_names(0)
    (['h', 'inner.h', 'inner.c'], ['s0', 's1'], ['h'])
    """
    if isinstance(structure, Layers):
        return [own for layer in structure for own in leaf_names(layer, name)]
    if not is_structure(structure):
        return [name]
    return [".".join(path) for path in _paths(structure)]


def _paths(structure: Any, path: Path = ()) -> Iterator[Path]:
    if not is_structure(structure):
        yield path
        return
    for key, part in zip(keys_of(structure), parts_of(structure), strict=True):
        yield from _paths(part, (*path, key))


def named_leaves(structure: Any, name: str = "h") -> list[tuple[str, Any]]:
    """The leaves of a structure with their names."""
    return list(zip(leaf_names(structure, name), flatten(structure), strict=True))


def detach_state(state: State) -> State:
    """The same state without its history: where truncated BPTT cuts.  None stays None.

    >>> import minigrad as mg, nn
    >>> h = mg.tensor([1.0], requires_grad=True) * 2
    >>> nn.detach_state((h, h))
    (tensor([2.]), tensor([2.]))
    """

    def detached(leaf: Any) -> Any:
        return mg.tensor(leaf.data) if isinstance(leaf, mg.Tensor) else leaf

    return map_structure(detached, state)


def check_like(
    state: State, like: Any, where: str, batch: tuple[int, ...] = (), dtype: DTypeLike | None = None
) -> State:
    """The state as tensors, in the structure of `like`.

    The leaves of `like` are tensors, or sizes without the batch.  Raises ValueError or TypeError
    that says what is needed, what was found, and where.
    """
    if is_structure(like) and not is_shape(like):
        return _check_parts(state, like, where, batch, dtype)
    shape = like.shape if isinstance(like, mg.Tensor) else (*batch, *leaf_shape(like))
    if not isinstance(state, mg.Tensor | np.ndarray):
        raise TypeError(f"{where} must be a tensor {shape}, found {type(state).__name__}")
    if state.shape != shape:
        raise ValueError(f"{where} {shape} is needed, found {state.shape}")
    return state if isinstance(state, mg.Tensor) else mg.tensor(state, dtype=dtype)


def _check_parts(
    state: State, like: Any, where: str, batch: tuple[int, ...], dtype: DTypeLike | None
) -> State:
    is_dict = isinstance(like, dict)
    keys = list(like) if is_dict else list(getattr(like, "_fields", range(len(like))))
    kind = "dict" if is_dict else "tuple"
    fits = isinstance(state, dict) == is_dict and is_structure(state) and len(state) == len(keys)
    if not fits or (is_dict and state.keys() != like.keys()):
        wanted = ", ".join(map(str, keys))
        raise ValueError(f"{where} must be a {kind} ({wanted}), found {_shown(state)}")
    given = [state[key] for key in keys] if is_dict else state
    parts = [
        check_like(part, one, f"{where}.{key}", batch, dtype)
        for key, part, one in zip(keys, given, parts_of(like), strict=True)
    ]
    if is_dict:
        return dict(zip(keys, parts, strict=True))
    return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)


def is_shape(size: Any) -> bool:
    """Whether a size is a list of integers: the shape of one leaf with several axes."""
    return isinstance(size, list) and all(isinstance(n, int | np.integer) for n in size)


def leaf_shape(size: Any) -> tuple[int, ...]:
    """The shape of a leaf of this size, without the batch."""
    return tuple(size) if is_shape(size) else (size,)


def _shown(state: Any) -> str:
    if isinstance(state, dict):
        return f"a dict ({', '.join(map(str, state))})"
    return f"{len(state)} parts" if is_structure(state) else f"one {type(state).__name__}"
