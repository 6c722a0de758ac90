"""Everything that only moves elements: which element goes where is computed on indices, by NumPy itself.

Imports `front` and other operations.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.ops.indexing import getitem
from minigrad.ops.joining import concatenate
from minigrad.ops.selection import where
from minigrad.ops.shaping import ravel
from minigrad.tensor import Tensor

__all__ = [
    "append",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "block",
    "choose",
    "column_stack",
    "compress",
    "delete",
]
__all__ += [
    "diag",
    "diagflat",
    "diagonal",
    "dsplit",
    "dstack",
    "extract",
    "fliplr",
    "flipud",
    "hsplit",
    "hstack",
]
__all__ += ["insert", "matrix_transpose", "resize", "rollaxis", "rot90", "tril", "triu", "vsplit"]
__all__ += ["vstack"]


def moving(name: str, *data: str) -> Callable[..., Any]:
    """NumPy's function of that name, which only moves elements (and puts zeros) from the arguments named in `data`.

    NumPy moves the numbers 1, 2, 3 ... in place of the elements; one indexing then does the same with the elements.
    """
    function = getattr(np, name)
    names = list(inspect.signature(function).parameters)
    data = data or (names[0],)

    def call(*args: Any, **keywords: Any) -> Any:
        parts: list[Any] = []
        moved = [
            number(x, parts) if names[min(k, len(names) - 1)] in data else x
            for k, x in enumerate(args)
        ]
        places = function(
            *moved, **{key: number(x, parts) if key in data else x for key, x in keywords.items()}
        )
        elements = concatenate(parts) if len(parts) > 1 else parts[0]
        if isinstance(places, tuple | list):
            return tuple(pick(elements, place) for place in places)
        return pick(elements, places)

    call.__name__, call.__doc__ = name, f"As `numpy.{name}`: it only moves elements."
    return call


def number(x: Any, parts: list[Any]) -> Any:
    """Numbers in place of the elements of x (or of each array in a list); the elements themselves go to `parts`."""
    if isinstance(x, list | tuple) and any(
        isinstance(part, Tensor | np.ndarray | list | tuple) for part in x
    ):
        return type(x)(number(part, parts) for part in x)
    flat = ravel(x)
    first = 1 + sum(part.size for part in parts)
    parts.append(flat)
    return np.arange(first, first + flat.size).reshape(np.shape(x))


def pick(elements: Any, places: Any) -> Any:
    """The elements with these numbers, and 0 where the number is 0."""
    if np.all(places):
        return getitem(elements, index=places - 1)
    return where(places > 0, getitem(elements, index=np.maximum(places - 1, 0)), 0)


fliplr, flipud, rot90, rollaxis = map(moving, ("fliplr", "flipud", "rot90", "rollaxis"))
diag, diagflat, diagonal, matrix_transpose = map(
    moving, ("diag", "diagflat", "diagonal", "matrix_transpose")
)
tril, triu, delete, resize = map(moving, ("tril", "triu", "delete", "resize"))
atleast_1d, atleast_2d, atleast_3d = map(moving, ("atleast_1d", "atleast_2d", "atleast_3d"))
hsplit, vsplit, dsplit, block = map(moving, ("hsplit", "vsplit", "dsplit", "block"))
hstack, vstack, dstack, column_stack = map(moving, ("hstack", "vstack", "dstack", "column_stack"))
compress, extract, choose = (
    moving("compress", "a"),
    moving("extract", "arr"),
    moving("choose", "choices"),
)
append, insert = moving("append", "arr", "values"), moving("insert", "arr", "values")
