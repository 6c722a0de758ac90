"""Short texts about nodes, gradients and arrays, and the sizes that they state."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.norms import array_of, norm
from minigrad.primitive import Scatter
from minigrad.source import Source
from minigrad.tensor import Tensor

FULL_SIZE = 24  # elements of an array that is printed in full
MAX_CHOICES = 12  # names in a hint


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a name that matches nothing: "; did you mean h?", or the names there are."""
    names = [name for name in dict.fromkeys(known) if name]
    if close := difflib.get_close_matches(word, names, 1, 0.5):
        return f"; did you mean {close[0]}?"
    if not names:
        return ""
    more = ", ..." if len(names) > MAX_CHOICES else ""
    return f"; there are: {', '.join(names[:MAX_CHOICES])}{more}"


def in_brackets(name: str) -> str:
    """A name as it is; an expression in brackets."""
    return name if re.fullmatch(r"[\w.]+", name) else f"({name})"


def callers(node: Tensor) -> list[Source]:
    """The lines that opened the scopes of a node, innermost first, without the node's own line."""
    lines = {str(node.source): node.source}
    scope = node._scope
    while scope is not None:
        lines.setdefault(str(scope.called_from), scope.called_from)
        scope = scope.parent
    return [line for line in list(lines.values())[1:] if line.code]


def array_text(name: str, value: Any) -> str:
    """An array in a few lines: shape, dtype, norm, range; small ones in full."""
    if isinstance(value, Scatter):
        return f"{name}: only at {value.index!r}: " + array_text("value", value.value)
    array = array_of(value)
    text = f"{name}: {array.shape} {array.dtype}"
    if array.size and array.dtype.kind == "f":
        text += f", norm {norm(array):.4g}{_range_text(array)}"
    if array.size > FULL_SIZE:
        return text
    return f"{text}\n{np.array2string(array, precision=6, separator=', ')}"


def _range_text(array: Any) -> str:
    """The smallest and largest element, or how many are not finite and where the first is."""
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        first = wrong[0].tolist()
        where = f"the first at {first}: {array[tuple(first)]}"
        return f", {len(wrong)} of {array.size} not finite, {where}"
    return f", from {array.min():.4g} to {array.max():.4g}" if array.size > 1 else ""


def value_text(value: Any) -> str:
    """What Python prints of a value; of a large array its shape, norm and range."""
    if isinstance(value, np.ndarray) and value.size > FULL_SIZE:
        return array_text("array", value)
    return repr(value)
