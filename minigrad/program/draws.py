"""Random numbers in a program: drawn anew at every call, from the generators that the function draws from.

While a step is recorded, every generator of the arguments, and that of `mg.seed`, is replaced by a
`Recorder`, whose numbers are nodes of the graph.  The program draws first, all steps in the order in
which the function does, so that it has the function's numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from minigrad.primitive import primitive
from minigrad.program.arguments import is_module, leaves
from minigrad.program.errors import CompileError
from minigrad.program.ir import Statement
from minigrad.program.labels import Place
from minigrad.tensor import Array, Tensor, generator, kept

GLOBAL = "mg.generator()"  # the path of the generator that is there without being an argument
PLAIN = (bool, int, float, str, type(None), type, np.dtype, np.generic)
AT_ONCE = ("random", "standard_normal")  # an array of T draws is T draws, one after the other
_drawn: list[Array] = []


@primitive(differentiable=False)
def drawn(source: Any, *, method: str, args: Any, options: Any) -> Any:
    """What a generator gave."""
    return _drawn.pop()


class Recorder(np.random.Generator):
    """A generator whose numbers are nodes; `source` stands for it in the graph."""

    def __init__(self, path: str, seed: int) -> None:
        super().__init__(np.random.default_rng(seed).bit_generator)
        self.path = path
        self.source = kept(np.zeros(()))


def _recorded(method: str) -> Callable[..., Any]:
    def draw(self: Recorder, *args: Any, **options: Any) -> Any:
        found = getattr(super(Recorder, self), method)(*args, **options)
        for part in _parts((*args, *options.values())):
            if not isinstance(part, PLAIN):
                raise CompileError(
                    f"compile: {self.path}.{method} draws with an array as a parameter; draw standard "
                    "numbers, and compute with them"
                )
        _drawn.append(np.asarray(found))
        return drawn(self.source, method=method, args=args, options=options)

    return draw


def _refused(method: str) -> Callable[..., Any]:
    def refuse(self: Recorder, *args: Any, **options: Any) -> Any:
        raise CompileError(f"compile: {self.path}.{method} cannot be part of a program")

    return refuse


_METHODS = (
    *("random", "standard_normal", "normal", "uniform", "integers", "exponential", "laplace"),
    *("binomial", "poisson", "standard_exponential", "gumbel", "standard_gamma", "gamma", "beta"),
)
for _name in dir(np.random.Generator):
    if not _name.startswith("_") and _name != "bit_generator":
        _made = _recorded(_name) if _name in _METHODS else _refused(_name)
        setattr(Recorder, _name, _made)


def _parts(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, tuple | list):
            yield from _parts(value)
        else:
            yield value


# the generators of a call


def generators(bound: dict[str, Any]) -> dict[str, np.random.Generator]:
    """All that the function may draw from, by path."""
    found = {
        path: leaf for path, leaf in leaves(bound).items() if isinstance(leaf, np.random.Generator)
    }
    return found | {GLOBAL: generator()}


class Rewinder:
    """The states of the generators of a call, to draw the same numbers again."""

    def __init__(self, bound: dict[str, Any]) -> None:
        self.states = [(g, g.bit_generator.state) for g in generators(bound).values()]

    def rewind(self) -> None:
        """Put all of them back."""
        for own, state in self.states:
            own.bit_generator.state = state


@contextmanager
def recorders(bound: dict[str, Any], seed: int) -> Iterator[None]:
    """Recorders in the place of the generators of all networks, and of that of `mg.seed`."""
    before = [(GLOBAL, generator.__globals__, "_generator", generator())]
    for name, value in bound.items():
        before += _held(value, name, set())
    try:
        for path, holder, key, _ in before:
            holder[key] = Recorder(path, seed)
        yield
    finally:
        for _, holder, key, own in before:
            holder[key] = own


def _held(value: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any, Any, Any]]:
    """The generators in a network, with what holds each, and under which key."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if is_module(value):
        items: Any = vars(value).items()
        value = vars(value)
    elif isinstance(value, dict):
        items = value.items()
    elif isinstance(value, tuple | list):
        items = enumerate(value)
    else:
        return
    for key, part in list(items):
        if isinstance(part, np.random.Generator) and not isinstance(value, tuple):
            yield f"{path}.{key}", value, key, part
        else:
            yield from _held(part, f"{path}.{key}", seen)


# their order


class Draws(NamedTuple):
    """Numbers that are drawn together: once, or step by step in the steps of a loop."""

    steps: Any  # None: once
    statements: list[Statement]
    backwards: bool = False


def in_order(
    nodes: list[Tensor], statement: Callable[[Tensor], tuple[Statement, Place | None]]
) -> list[Draws]:
    """The draws of a recording, in groups; statement: what a node belongs to, and where it stands."""
    found: list[Draws] = []
    placed = [statement(node) for node in nodes]
    for axis, group in itertools.groupby(placed, key=lambda one: one[1] and one[1][0]):
        if axis is None:
            found += [Draws(None, [one]) for one, _ in group]
            continue
        steps = [
            (t, [one for one, _ in same])
            for t, same in itertools.groupby(group, key=lambda one: one[1][1])  # type: ignore[index]
        ]
        first = steps[0][1]
        order, ts = [t for t, _ in steps], list(range(int(first[0].shape[0])))
        if order not in (ts, ts[::-1]) or any(same != first for _, same in steps):
            raise CompileError(
                "compile: random numbers are drawn in another order in some of the steps:\n  "
                f"{first[0].node.describe() if first[0].node is not None else ''}"
            )
        found.append(Draws(first[0].shape[0], first, order != ts))
    return found
