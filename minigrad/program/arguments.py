"""The arguments of a training step as leaves by path, and with changed values for a recording."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad.tensor import Array, Tensor

Leaves = dict[str, Any]


def leaves(bound: dict[str, Any]) -> Leaves:
    """Every tensor, array, number and generator that the arguments hold, by path."""
    found: Leaves = {}
    seen: set[int] = set()
    for name, value in bound.items():
        for path, leaf in _walk(value, name):
            if not isinstance(leaf, Tensor) or id(leaf) not in seen:
                found[path] = leaf
                seen.add(id(leaf))
    return found


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if is_leaf(value):
        yield path, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _walk(part, f"{path}[{key!r}]")
    elif isinstance(value, tuple | list):
        for key, part in _items(value):
            yield from _walk(part, f"{path}{key}")
    elif is_module(value):
        yield from _members(value, path, set())


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    fields = getattr(value, "_fields", None)
    for k, part in enumerate(value):
        yield f".{fields[k]}" if fields else f"[{k}]", part


def _members(value: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """The tensors, arrays and generators in the attributes of a module, with its own dotted names."""
    if isinstance(value, Tensor | Array | np.random.Generator):
        yield path, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _members(part, f"{path}.{key}", seen)
    elif isinstance(value, tuple | list):
        for k, part in enumerate(value):
            yield from _members(part, f"{path}.{k}", seen)
    elif is_module(value) and id(value) not in seen:
        seen.add(id(value))
        for name, part in vars(value).items():
            yield from _members(part, f"{path}.{name}", seen)


def is_module(value: Any) -> bool:
    """Whether it is a network: an object with named parameters."""
    return hasattr(value, "named_parameters") and hasattr(value, "__dict__")


def is_leaf(value: Any) -> bool:
    """Whether it is something that a step computes with, and not what holds such things."""
    return isinstance(value, Tensor | Array | float | np.floating | np.random.Generator)


def names_of_gradients(bound: dict[str, Any]) -> dict[str, str]:
    """How the gradients are called, by the path of their leaf: as the network calls its parameters."""
    named: dict[str, str] = {}
    for path, leaf in leaves(bound).items():
        if isinstance(leaf, Tensor) and leaf.requires_grad:
            argument, _, rest = path.partition(".")
            inside = is_module(bound.get(argument)) and rest
            own = rest if inside else leaf.name or path
            named[path] = path if own in named.values() else own
    return named


def flat(bound: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """The leaves, in the order of `leaves`, and everything plain beside them: numbers, texts, flags.

    This runs at every call: it makes no paths.
    """
    found: list[Any] = []
    static: list[Any] = []
    seen: set[int] = set()
    for value in bound.values():
        _flatten(value, found, static, seen, False)
    return found, static


def _flatten(value: Any, found: list[Any], static: list[Any], seen: set[int], inside: bool) -> None:
    kind = type(value)
    if kind in _TEXTS or (inside and kind is float):
        static.append(value)
    elif kind is Array or kind is float:
        found.append(value)
    elif kind is Tensor or isinstance(value, Tensor):
        if id(value) not in seen:
            seen.add(id(value))
            found.append(value)
    elif isinstance(value, Array | np.random.Generator) or (not inside and is_leaf(value)):
        found.append(value)
    elif isinstance(value, dict):
        for part in value.values():
            _flatten(part, found, static, seen, inside)
    elif isinstance(value, tuple | list):
        for part in value:
            _flatten(part, found, static, seen, inside)
    elif is_module(value):
        if id(value) not in seen:
            seen.add(id(value))
            static.append(getattr(value, "training", None))
            for part in vars(value).values():
                _flatten(part, found, static, seen, True)
    else:
        static.append(value)


def plain_values(function: Callable[..., Any]) -> Callable[[], list[Any]]:
    """What tells the numbers, texts and flags that a function takes from outside of its arguments."""
    code = getattr(function, "__code__", None)
    cells = list(getattr(function, "__closure__", None) or ())
    around = getattr(function, "__globals__", {})
    names = [name for name in code.co_names if name in around] if code else []

    own = getattr(getattr(function, "__self__", None), "__dict__", {})  # of a method

    def values() -> list[Any]:
        found = [_content(cell) for cell in cells] + [around.get(name) for name in names]
        found += own.values()
        return [value for value in found if type(value) in _PLAIN]

    return values


_PLAIN = (bool, int, float, str)
_TEXTS = {bool, int, str, type(None)}


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def substituted(value: Any, change: Callable[[str, Any], Any], path: str) -> Any:
    """The same structure with other leaves; networks stay what they are."""
    if is_leaf(value):
        return change(path, value)
    if isinstance(value, dict):
        return {k: substituted(part, change, f"{path}[{k!r}]") for k, part in value.items()}
    if isinstance(value, tuple | list):
        parts = [substituted(part, change, f"{path}{key}") for key, part in _items(value)]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


class GivenFloat(float):
    """A number that is an argument: found again by identity, not by value."""

    __slots__ = ()


class Changed:
    """Leaves with other values and other lengths, and the same meaning: what a recording computes with.

    lengths: old number of rows → new one, for the arrays in `timed`.  Entries are the array's own ones,
    drawn anew, and floats are moved a little, towards zero, so that what was in a range stays in it.
    Whole numbers from 1 to a length are lengths of rows: they are drawn anew up to the new one.
    recorded: arrays of real numbers and truth values are tensors, so that what the function computes
    of them is part of the program.
    """

    def __init__(
        self, lengths: dict[int, int], timed: frozenset[str], seed: int, recorded: bool = False
    ) -> None:
        self.lengths, self.timed, self.seed, self.recorded = lengths, timed, seed, recorded
        self.made: dict[int, Any] = {}

    def __call__(self, path: str, leaf: Any) -> Any:
        """What stands in the place of a leaf."""
        if not isinstance(leaf, Tensor):
            return self._other(path, leaf)
        if id(leaf) not in self.made:
            self.made[id(leaf)] = self._other(path, leaf)
        return self.made[id(leaf)]

    def _other(self, path: str, leaf: Any) -> Any:
        rng = np.random.default_rng((self.seed, zlib.crc32(path.encode())))
        if type(leaf) is float:
            return GivenFloat(leaf * (1 - 1e-3 * rng.random()) + (leaf == 0) * 1e-3)
        if isinstance(leaf, np.floating):
            return type(leaf)(leaf * (1 - 1e-2 * rng.random()) + (leaf == 0) * 1e-2)
        array = leaf.data if isinstance(leaf, Tensor) else leaf
        longest = next((n for n in self.lengths if _are_lengths(array, n)), None)
        if longest is not None:
            return _drawn_lengths(array, self.lengths[longest], rng)
        other = changed(array, self.lengths.get(len(array)) if path in self.timed else None, rng)
        if not isinstance(leaf, Tensor):
            wanted = self.recorded and other.dtype.kind in "fb" and other.dtype != np.longdouble
            return Tensor(other, dtype=other.dtype) if wanted else other
        return Tensor(other, leaf.requires_grad, leaf.dtype, leaf.name)


def _are_lengths(array: Array, longest: int) -> bool:
    """Whether an array may hold the lengths of the rows of a batch of sequences."""
    whole = array.ndim == 1 and array.dtype.kind in "iu" and array.size > 0
    return whole and array.min() >= 1 and array.max() <= longest


def _drawn_lengths(array: Array, longest: int, rng: np.random.Generator) -> Array:
    """Other lengths, of which one is 1: so that every step but the first has a row that has ended."""
    other = rng.integers(1, longest, array.shape, array.dtype, endpoint=True)
    other[rng.integers(array.size)] = 1 if array.size > 1 else (longest + 1) // 2
    return other


def changed(array: Array, rows: int | None, rng: np.random.Generator) -> Array:
    """An array like this one, of `rows` rows, whose entries are drawn from its own; truth is drawn."""
    if rows is not None:
        array = np.resize(array, (rows, *array.shape[1:]))
    if array.size == 0:
        return array.copy()
    if array.dtype == bool:
        return rng.random(array.shape) < 0.5
    other = rng.permuted(array.reshape(-1)).reshape(array.shape)
    if array.dtype.kind != "f":
        return other
    moved = other * (1 - 1e-3 * rng.random(array.shape)) + (other == 0) * 1e-3 * rng.random(
        array.shape
    )
    return moved.astype(array.dtype)
