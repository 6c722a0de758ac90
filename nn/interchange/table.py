"""The table primitive → ONNX operators (opset 18), and the primitives that have none.

A translation is called as `translation(write, node)`: it writes the operators that compute the node
from its inputs, and returns the name of the result (a tuple of names where the primitive has
several outputs).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Translation = Callable[..., Any]
TABLE: dict[str, Translation] = {}
REASONS = {
    "arctan2": "ONNX has no angle of a point",
    "cholesky": "ONNX has no matrix decompositions",
    "copysign": "ONNX does not see the sign of a zero",
    "eigh": "ONNX has no matrix decompositions",
    "floor_divide": "NumPy computes it from an exact remainder",
    "inv": "ONNX has no inverse",
    "pinv": "ONNX has no inverse",
    "qr": "ONNX has no matrix decompositions",
    "share": "it stands in backward passes only",
    "once_differentiated": "it stands in backward passes only",
    "slogdet": "ONNX has the determinant only",
    "solve": "ONNX has no solver",
    "svd": "ONNX has no matrix decompositions",
}  # the differentiable primitives that are refused, and why


def translates(*names: str) -> Callable[[Translation], Translation]:
    """Register the translation of these primitives."""

    def register(translation: Translation) -> Translation:
        TABLE.update(dict.fromkeys(names, translation))
        return translation

    return register
