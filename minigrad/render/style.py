"""The visual language: shape, colour, pen and size of everything drawn, and the width of text.  Imports nothing.

Shape, not only colour, tells the kind of a thing, so that a picture survives grey print.  Lengths are points.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

FONT = "Helvetica,Arial,Liberation Sans,DejaVu Sans,sans-serif"
INK, GREY, PALE, PANEL = "#202124", "#5F6368", "#A8ADB3", "#F8F9FA"
RAMP = ("#FFF6DC", "#FEE1A8", "#FDBE70", "#F8935A", "#E6654F", "#C23C5E", "#8B2368", "#480F58")
LANES = ("#12A4AF", "#1A73E8", "#8430CE", "#1E8E3E")  # of states; the cell state c has the second
TAP, LOSS, DATA = "#E8710A", "#D93025", "#5F6368"
SMALLEST = 11.0  # the smallest font size in any picture
SMALLEST_PIXELS = 12.0  # of text, at the size that `fit` asks for
TAG_HEIGHT, RAIL_HEIGHT = 14.0, 16.0


class Look(NamedTuple):
    """How one kind of node is drawn; width and height are the least, text widens all but true circles."""

    shape: str  # "circle", "box" (rounded) or "square"
    fill: str
    border: str
    pen: float
    width: float
    height: float
    font: float = 13.0
    ink: str = INK


LOOKS = {
    "input": Look("circle", "#E6F4EA", "#1E8E3E", 1.2, 28, 28),
    "state": Look("circle", "#E0F4F5", "#12A4AF", 1.8, 27, 27, 14),
    "cell state": Look("circle", "#E8F0FE", "#1A73E8", 1.8, 27, 27, 14),
    "state box": Look("box", "#E0F4F5", "#12A4AF", 1.8, 38, 23, 12),
    "matmul": Look("box", "#FFF8E1", "#A67C00", 1.1, 26, 26),
    "nonlinear": Look("box", "#F3E8FD", "#8430CE", 1.1, 38, 23, 12),
    "elementwise": Look("circle", "#FFFFFF", "#5F6368", 1.1, 25, 25, 14),
    "operation": Look("box", "#FFFFFF", "#5F6368", 1.1, 26, 23, 12),
    "cell": Look("box", "#E8F0FE", "#1A73E8", 1.6, 66, 48, 13, "#174EA6"),
    "output": Look("circle", "#E0F4F5", "#12A4AF", 1.2, 28, 28),
    "parameter": Look("box", "#FEF1E0", "#E8710A", 1.0, 30, 22, 12, "#8F4200"),
    "rail": Look("box", "#FEF1E0", "#E8710A", 1.1, 13, RAIL_HEIGHT, SMALLEST, "#8F4200"),
    "tag": Look("box", "#FEF1E0", "#E8710A", 0.9, 13, TAG_HEIGHT, SMALLEST, "#8F4200"),
    "constant tag": Look("box", "#F1F3F4", "#80868B", 0.9, 13, TAG_HEIGHT, SMALLEST),
    "constant": Look("box", "#F1F3F4", "#80868B", 1.0, 26, 21, 12),
    "bus": Look("box", "#FFFFFF", "#5F6368", 1.1, 26, RAIL_HEIGHT, 12),
    "loss": Look("box", "#FCE8E6", "#D93025", 2.0, 34, 25, 13),
    "delay": Look("square", "#202124", "#202124", 1.0, 30, 16, SMALLEST, "#FFFFFF"),
}

SYMBOLS = {
    "add": "+", "subtract": "−", "multiply": "×", "divide": "÷", "matmul": "@", "negative": "−", "power": "xʸ",
    "sigmoid": "σ", "square": "x²", "sqrt": "√", "sum": "Σ", "add_up": "Σ", "maximum": "max", "minimum": "min",
    "concatenate": "concat", "absolute": "abs", "exp": "exp", "log": "log",
}  # fmt: skip
NONLINEAR = {
    *("sigmoid", "tanh", "relu", "softplus", "gelu", "softmax", "log_softmax", "exp", "log", "sin", "cos", "arctan"),
    *("logsumexp", "leaky_relu", "elu", "silu", "sqrt", "square", "power", "absolute", "clip"),
}
PRODUCTS = {"matmul", "dot", "einsum", "outer"}
ELEMENTWISE = {"add", "subtract", "multiply", "divide", "negative"}

# Widths of the printable ASCII characters in Helvetica, in thousandths of the font size, from space to tilde.
_WIDTHS = (
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278), *[556] * 10,
    *(278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778),
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556),
    *(278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500),
    *(334, 260, 334, 584),
)  # fmt: skip
_NARROW = "₀₁₂₃₄₅₆₇₈₉²³ʸ′"


def text_width(text: str, font: float) -> float:
    """How wide a text is at a font size; the widest of its lines.  As DejaVu Sans, which is wider."""
    return max(sum(_advance(c) for c in line) for line in text.split("\n")) * font * 1.12 / 1000


def _advance(character: str) -> int:
    code = ord(character) - 32
    if 0 <= code < len(_WIDTHS):
        return _WIDTHS[code]
    return 400 if character in _NARROW else 1000 if ord(character) > 0x2E7F else 640


@lru_cache(maxsize=4096)
def size(kind: str, text: str) -> tuple[float, float]:
    """Width and height of a node of a kind with a text in it."""
    look = LOOKS[kind]
    lines = text.count("\n") + 1
    height = look.height + (lines - 1) * (look.font + 2)
    width = text_width(text, look.font) + (8 if look.font < 12 else 11)
    if look.shape == "circle" and width <= look.width + 6:
        return look.width, height
    return max(look.width, math.ceil(width)), height


def shorten(text: str, length: int = 28) -> str:
    """A text cut in the middle to at most `length` characters."""
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 10]}…{text[-9:]}"


def subscript(number: int) -> str:
    """A number in subscript digits.

    >>> subscript(12)
    '₁₂'
    """
    return str(number).translate(str.maketrans("-0123456789", "₋₀₁₂₃₄₅₆₇₈₉"))


def ramp(fraction: float) -> str:
    """The colour at a fraction 0 … 1 of the ramp, pale to dark; its luminance falls strictly."""
    place = min(max(fraction, 0.0), 1.0) * (len(RAMP) - 1)
    k = min(int(place), len(RAMP) - 2)
    pairs = zip(_rgb(RAMP[k]), _rgb(RAMP[k + 1]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * (place - k)):02X}" for a, b in pairs)


def ink_on(fill: str) -> str:
    """Black or white, whichever reads better on a fill."""
    light = [(c / 255 / 12.92 if c < 11 else ((c / 255 + 0.055) / 1.055) ** 2.4) for c in _rgb(fill)]
    return INK if 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2] > 0.19 else "#FFFFFF"


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5))
