"""The visual language: shape, colour, pen and size of everything drawn, and texts.

Shape, not only colour, tells the kind of a thing, so that a picture survives grey print.  Lengths
are points.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from minigrad.primitive import Primitive
from minigrad.render import typeset

FONT = "Helvetica,Arial,Liberation Sans,DejaVu Sans,sans-serif"
INK, GREY, PALE, PANEL, RED = "#202124", "#5F6368", "#A8ADB3", "#F8F9FA", "#B31412"
RAMP = ("#FFF6DC", "#FEE1A8", "#FDBE70", "#F8935A", "#E6654F", "#C23C5E", "#8B2368", "#480F58")
FAINTEST = 0.28  # where on the ramp a scale begins: paler would vanish on a panel
NOT_FINITE = "#00E5FF"  # of NaN and infinity: no colour of the ramp
MASKED = "#E8EAED"  # of a step in which rows of the batch are padding
TAP, LOSS, DATA, FRAME = "#4F7A1A", "#D93025", "#5F6368", "#DADCE0"
SMALLEST = 11.0  # the smallest font size in any picture
TAG_HEIGHT, BAR_HEIGHT = 14.0, 16.0
TEXTBOOK = ("cell", "output", "loss")  # what one step holds in the view of cells


class Look(NamedTuple):
    """How one kind of box is drawn; width and height are the least, text widens all but true
    circles."""

    shape: str  # "circle", "box" (rounded) or "square"
    fill: str
    border: str
    pen: float
    width: float
    height: float
    font: float = 13.0
    ink: str = INK
    dashed: bool = False

    @lru_cache(maxsize=1024)  # noqa: B019  # a look is a value of a few words
    def attributes(self) -> str:
        """The look as DOT attributes."""
        if self.shape == "none":
            return f'shape=plain fontcolor="{self.ink}" fontsize={self.font:g}'
        shape = "ellipse" if self.shape == "circle" else "box"
        words = ["rounded"] if self.shape == "box" else []
        words += ["filled", "dashed"] if self.dashed else ["filled"]
        return (
            f'shape={shape} style="{",".join(words)}" fillcolor="{self.fill}" '
            f'color="{self.border}" penwidth={self.pen:.2f} '
            f'fontcolor="{self.ink}" fontsize={self.font:g}'
        )


LOOKS = {
    "input": Look("circle", "#E6F4EA", "#1E8E3E", 1.2, 28, 28),
    "state": Look("circle", "#E0F4F5", "#12A4AF", 1.8, 27, 27, 14),
    "memory": Look("circle", "#E8F0FE", "#1A73E8", 1.8, 27, 27, 14),
    "state box": Look("box", "#E0F4F5", "#12A4AF", 1.8, 38, 23, 12),
    "matmul": Look("box", "#FFF0C2", "#5C4300", 1.1, 26, 26),
    "nonlinear": Look("box", "#F3E8FD", "#8430CE", 1.1, 38, 23, 12),
    "elementwise": Look("circle", "#FFFFFF", "#5F6368", 1.1, 25, 25, 14),
    "operation": Look("box", "#FFFFFF", "#5F6368", 1.1, 26, 23, 12),
    "cell": Look("box", "#E8F0FE", "#1A73E8", 1.6, 66, 48, 13),
    "output": Look("box", "#E0F4F5", "#12A4AF", 1.2, 34, 24, 12),
    "rail": Look("box", "#E9F2B8", TAP, 1.1, 13, BAR_HEIGHT, SMALLEST),
    "tag": Look("box", "#E9F2B8", TAP, 0.9, 13, TAG_HEIGHT, SMALLEST),
    "constant tag": Look("box", "#F1F3F4", "#80868B", 0.9, 13, TAG_HEIGHT, SMALLEST),
    "constant": Look("box", "#F1F3F4", "#80868B", 1.0, 26, 21, 12),
    "bar": Look("box", "#FFFFFF", "#5F6368", 1.1, 26, BAR_HEIGHT, 12),
    "loss": Look("box", "#FCE8E6", "#D93025", 2.0, 26, 23, 12),
    "delay": Look("square", "#202124", "#202124", 1.0, 30, 16, SMALLEST, "#FFFFFF"),
    "stub": Look("none", "#FFFFFF", "#FFFFFF", 0.0, 18, 14, SMALLEST),
}

SYMBOLS = {
    "add": "+", "subtract": "−", "multiply": "×", "divide": "÷", "matmul": "@", "negative": "−",
    "power": "xʸ", "sigmoid": "σ", "square": "x²", "sqrt": "√", "sum": "Σ", "add_up": "Σ",
    "maximum": "max", "minimum": "min", "concatenate": "concat", "absolute": "abs",
    "getitem": "pick",
}  # fmt: skip
# beside the elementwise functions of one argument, of which these only scale
NONLINEAR = {"power", "clip", "softmax", "log_softmax", "logsumexp"}
SCALING = {"positive", "negative", "deg2rad", "rad2deg"}
PRODUCTS = {"matmul", "dot", "einsum", "outer"}
ELEMENTWISE = {"add", "subtract", "multiply", "divide", "negative"}

# Widths of the characters in DejaVu Sans, the widest font of the list, in thousandths of its size:
# the printable ones of ASCII in order, and some others.
_ASCII = (
    "318 401 460 838 636 950 780 275 390 390 500 838 318 361 318 337 636 636 636 636 636 636 "
    "636 636 636 636 337 337 838 838 838 531 1000 684 686 698 770 632 575 775 752 295 295 "
    "656 557 863 748 787 603 787 695 635 611 732 684 989 685 611 685 390 337 390 838 500 500 "
    "613 635 550 635 615 352 635 634 278 278 579 278 974 634 612 635 635 411 521 392 634 592 "
    "818 592 592 525 636 337 636 838"
)
_OTHERS = {401: "₀₁₂₃₄₅₆₇₈₉⁰¹²³⁴⁵⁶⁷⁸⁹ʸₜ", 517: "‖∂⁻", 840: "×÷−", 318: "·", 227: "′"}
_WIDTHS = {chr(code): int(width) for code, width in enumerate(_ASCII.split(), 32)}
_WIDTHS |= {character: width for width, characters in _OTHERS.items() for character in characters}


def text_width(text: str, font: float) -> float:
    """How wide a text is at a font size; the widest of its lines.

    Below 12 points hinting keeps letters as wide.
    """
    return max(map(_line_width, text.split("\n"))) * max(font, 12) / 1000


@lru_cache(maxsize=4096)
def _line_width(line: str) -> float:
    """The width of a line, in thousandths of its font size."""
    width = 0.0
    for text, below in typeset.pieces(line):
        width += sum(map(_advance, text)) * (typeset.SMALL if below else 1.0)
    return width


@lru_cache(maxsize=1024)
def _advance(character: str) -> int:
    if character in _WIDTHS:
        return _WIDTHS[character]
    if character > "\u2e7f":
        return 1000
    if character > "\u201f":
        return 840
    return 700 if character < "\u0400" else 1100


@lru_cache(maxsize=4096)
def size(kind: str, text: str) -> tuple[float, float]:
    """Width and height of a box of a kind with a text in it."""
    look = LOOKS[kind]
    height = look.height + typeset.further_height(text, look.font)
    width = text_width(text, look.font) + (6 if look.font < 12 else 10)
    if look.shape == "circle" and width <= look.width + 8:
        return look.width, height
    return max(look.width, math.ceil(width)), height


def is_nonlinear(op: Primitive) -> bool:
    """Whether an operation is a nonlinearity, one of the engine or of the user."""
    function = op.elementwise and len(op.inputs) == 1 and op.name not in SCALING
    return function or op.name in NONLINEAR


def figure(norm: float) -> str:
    """A norm in two digits, or all of a whole number of up to four.

    >>> figure(0.01234), figure(137.4), figure(2.5e-7)
    ('0.012', '137', '2.5·10⁻⁷')
    """
    if 99.5 <= norm < 9999.5:
        return f"{norm:.0f}"
    mantissa, _, exponent = f"{norm:.2g}".partition("e")
    return f"{mantissa}·{power(int(exponent))}" if exponent else mantissa


def power(exponent: float) -> str:
    """A power of ten.

    >>> power(-4)
    '10⁻⁴'
    """
    return "10" + f"{exponent:g}".translate(str.maketrans("-0123456789.", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹·"))


def shape(sizes: tuple[int, ...]) -> str:
    """The shape of an array: 3×16."""
    return "×".join(map(str, sizes))


@lru_cache(maxsize=4096)
def shorten(text: str, length: int = 28) -> str:
    """A text cut in the middle to at most `length` characters; what cannot be printed shows as
    �."""
    lines = text.split("\n")
    if len(lines) > 1:
        return "\n".join(shorten(line, length) for line in lines)
    text = "".join(c if c.isprintable() else "�" for c in " ".join(text.split()))
    return text if len(text) <= length else f"{text[: length - 10]}…{text[-9:]}"


def subscript(number: int) -> str:
    """A number in subscript digits.

    >>> subscript(12)
    '₁₂'
    """
    return str(number).translate(str.maketrans("-0123456789", "₋₀₁₂₃₄₅₆₇₈₉"))


@lru_cache(maxsize=4096)
def ramp(fraction: float) -> str:
    """The colour at a fraction 0 … 1 of a scale, pale to dark; its luminance falls strictly."""
    place = (FAINTEST + (1 - FAINTEST) * min(max(fraction, 0.0), 1.0)) * (len(RAMP) - 1)
    k = min(int(place), len(RAMP) - 2)
    pairs = zip(rgb(RAMP[k]), rgb(RAMP[k + 1]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * (place - k)):02X}" for a, b in pairs)


@lru_cache(maxsize=4096)
def ink_on(fill: str) -> str:
    """Black or white, whichever has more contrast to a fill."""
    return "#000000" if (luminance(fill) + 0.05) ** 2 > 0.05 * 1.05 else "#FFFFFF"


def luminance(colour: str) -> float:
    """The relative luminance of a colour, 0 … 1, as the guidelines for accessible text define
    it."""
    parts = [c / 255 for c in rgb(colour)]
    light = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]


def rgb(colour: str) -> tuple[int, ...]:
    """Red, green and blue of a colour, 0 … 255."""
    return tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5))
