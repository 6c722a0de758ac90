"""The functions of neural networks, stable for any input."""

from __future__ import annotations

from typing import Any

from minigrad.operators import Axes, Operand
from minigrad.ops.elementwise import share_of, tanh
from minigrad.ops.signatures import as_tensor, np, one_axis, with_reduced_axes
from minigrad.primitive import Primitive, primitive
from minigrad.tensor import Tensor

__all__ = ["gelu", "log_softmax", "logsumexp", "relu", "sigmoid", "softmax", "softplus"]


# beyond, σ(x) rounds to 1 and eˣ may overflow; 0-d arrays, which cost less than Python numbers
_SATURATED: dict[Any, Any] = {
    np.dtype(d): np.array(top, d) for d, top in [("e", 11), ("f", 40), ("d", 40)]
}


@primitive
def sigmoid(x: Operand) -> Any:
    """Logistic function:  y = σ(x) = 1 / (1 + e⁻ˣ)."""
    e = np.exp(np.minimum(x, _SATURATED.get(getattr(x, "dtype", None), 40.0)))
    return e / (1 + e)


@sigmoid.gradient
def sigmoid_dx(dy, y, x):
    return dy * y * (1 - y)


@primitive
def relu(x: Operand) -> Any:
    """y = max(x, 0), with derivative 0 at 0."""
    return np.maximum(x, 0)


@relu.gradient
def relu_dx(dy, y, x):
    return np.where(x <= 0, 0, dy)  # a NaN passes on what it gets


@primitive
def softplus(x: Operand) -> Any:
    """y = ln(1 + eˣ)."""
    return np.logaddexp(x, 0)


@softplus.gradient
def softplus_dx(dy, y, x):
    return -dy * np.expm1(-y)


def gelu(x: Operand) -> Tensor:
    """Gaussian error linear unit, in its tanh form (Hendrycks and Gimpel, 2016).

    y = x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))
    """
    x = as_tensor(x)
    return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


@primitive(numpy=one_axis)
def softmax(x, *, axis=-1):
    """yᵢ = e^xᵢ / Σⱼ e^xⱼ over the axis."""
    y = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    return y / np.sum(y, axis=axis, keepdims=True)


@softmax.gradient
def softmax_dx(dy, y, x, axis=-1):
    return y * (dy - np.sum(dy * y, axis=axis, keepdims=True))


@primitive(numpy=one_axis)
def log_softmax(x, *, axis=-1):
    """yᵢ = xᵢ − ln Σⱼ e^xⱼ over the axis."""
    return x - logsumexp.forward(x, axis=axis, keepdims=True)


@log_softmax.gradient
def log_softmax_dx(dy, y, x, axis=-1):
    return dy - np.exp(y) * np.sum(dy, axis=axis, keepdims=True)


def logsumexp_like_numpy(
    op: Primitive, x: Operand, axis: Axes = -1, keepdims: bool = False
) -> Tensor:
    """y = ln Σⱼ e^xⱼ over the axis (an int, several, or None for all); −∞ where all xⱼ are."""
    return op.record(x, axis=axis, keepdims=keepdims)


@primitive(numpy=logsumexp_like_numpy)
def logsumexp(x, *, axis=-1, keepdims=False):
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore", over="ignore"):
        y = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return y if keepdims else np.squeeze(y, axis)


@logsumexp.gradient
def logsumexp_dx(dy, y, x, axis=-1, keepdims=False):
    y = with_reduced_axes(y, axis, keepdims)
    return with_reduced_axes(dy, axis, keepdims) * share_of(x, y)
