"""Functions that only move elements: NumPy itself tells, on indices, which goes where."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from minigrad.ops.indexing import getitem
from minigrad.ops.joining import concatenate
from minigrad.ops.selection import where
from minigrad.ops.shaping import ravel
from minigrad.ops.signatures import np
from minigrad.tensor import Array, Tensor

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
    "insert",
    "matrix_transpose",
    "resize",
    "rollaxis",
    "rot90",
    "sliding_window_view",
    "tril",
    "triu",
    "vsplit",
    "vstack",
]


def rearranging(name: str, *data: str) -> Callable[..., Any]:
    """NumPy's function of that name, which only moves elements and puts in zeros.

    data: the arguments that hold the elements, by default the first.  NumPy moves the numbers
    1, 2, 3, ... in place of the elements; one indexing then does the same with the elements.
    """
    function = getattr(np, name, None) or getattr(np.lib.stride_tricks, name)
    signature = inspect.signature(function)
    names = list(signature.parameters)
    data = data or (names[0],)

    def call(*args: Any, **keywords: Any) -> Any:
        parts: list[Tensor] = []
        moved = []
        for k, x in enumerate(args):
            holds_elements = names[min(k, len(names) - 1)] in data
            moved.append(numbered(x, parts) if holds_elements else x)
        for key, x in keywords.items():
            keywords[key] = numbered(x, parts) if key in data else x
        places = function(*moved, **keywords)
        elements = concatenate(parts) if len(parts) > 1 else parts[0]
        if isinstance(places, tuple | list):
            return tuple(pick(elements, place) for place in places)
        return pick(elements, places)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"As `numpy.{name}`: it only moves elements."
    call.__signature__ = signature  # type: ignore[attr-defined]
    return call


def numbered(x: Any, parts: list[Tensor]) -> Any:
    """Numbers in place of the elements of x, or of each array in a list.

    The elements themselves are appended to `parts`, flat.
    """
    if isinstance(x, list | tuple) and any(holds_several(part) for part in x):
        return type(x)(numbered(part, parts) for part in x)
    elements = ravel(x)
    first = 1 + sum(part.size for part in parts)
    parts.append(elements)
    return np.arange(first, first + elements.size).reshape(np.shape(x))


def holds_several(x: Any) -> bool:
    """Whether it is an array, or a list of them."""
    return isinstance(x, Tensor | Array | list | tuple)


def pick(elements: Tensor, places: Any) -> Tensor:
    """The elements with these numbers, and 0 where the number is 0."""
    if np.all(places):
        return getitem(elements, index=places - 1)
    if not elements.size:
        return np.broadcast_to(np.sum(elements), np.shape(places))
    return where(places > 0, getitem(elements, index=np.maximum(places - 1, 0)), 0)


fliplr = rearranging("fliplr")
flipud = rearranging("flipud")
rot90 = rearranging("rot90")
rollaxis = rearranging("rollaxis")
diag = rearranging("diag")
diagflat = rearranging("diagflat")
diagonal = rearranging("diagonal")
matrix_transpose = rearranging("matrix_transpose")
tril = rearranging("tril")
triu = rearranging("triu")
delete = rearranging("delete")
resize = rearranging("resize")
sliding_window_view = rearranging("sliding_window_view")
atleast_1d = rearranging("atleast_1d")
atleast_2d = rearranging("atleast_2d")
atleast_3d = rearranging("atleast_3d")
hsplit = rearranging("hsplit")
vsplit = rearranging("vsplit")
dsplit = rearranging("dsplit")
block = rearranging("block")
hstack = rearranging("hstack")
vstack = rearranging("vstack")
dstack = rearranging("dstack")
column_stack = rearranging("column_stack")
compress = rearranging("compress", "a")
extract = rearranging("extract", "arr")
choose = rearranging("choose", "choices")
append = rearranging("append", "arr", "values")
insert = rearranging("insert", "arr", "values")
