"""The functions of neural networks, stable for any input."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, DTypeLike

from minigrad.operators import Axes, Mask, Operand
from minigrad.ops.elementwise import logaddexp, share_of, tanh
from minigrad.ops.joining import unstack
from minigrad.ops.selection import clip
from minigrad.ops.signatures import as_tensor, np, one_axis, with_reduced_axes
from minigrad.primitive import Primitive, primitive
from minigrad.tensor import Tensor, get_default_dtype, kept

__all__ = [
    "elu",
    "gelu",
    "leaky_relu",
    "log_softmax",
    "logcumsumexp",
    "logsumexp",
    "one_hot",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
]


_TOPS = [("e", 11), ("f", 40), ("g", 50), ("d", 40)]
# 1, and where σ(x) rounds to 1 although eˣ does not overflow yet; as 0-d arrays, since NumPy takes
# twice as long for `1 + e` with a Python number
_ONE_AND_TOP: dict[Any, Any] = {np.dtype(d): (np.array(1, d), np.array(top, d)) for d, top in _TOPS}


@primitive(elementwise=True)
def sigmoid(x: Operand) -> Any:
    """Logistic function:  y = σ(x) = 1 / (1 + e⁻ˣ).

    >>> import minigrad as mg
    >>> mg.sigmoid(mg.tensor([-1.0, 0.0, 1.0]))
    tensor([0.2689, 0.5   , 0.7311])
    """
    one, top = _ONE_AND_TOP.get(getattr(x, "dtype", None), (1.0, 40.0))
    e = np.exp(np.minimum(x, top))
    return e / (e + one)


@sigmoid.gradient
def sigmoid_dx(dy, y, x):
    return dy * (y - y * y)


@primitive(elementwise=True)
def relu(x: Operand) -> Any:
    """y = max(x, 0), with derivative 0 at 0.

    >>> import minigrad as mg
    >>> mg.relu(mg.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """
    return np.maximum(x, 0)


@relu.gradient
def relu_dx(dy, y, x):
    return np.where(x > 0, dy, y)  # y is 0, or NaN


@primitive(elementwise=True)
def softplus(x: Operand) -> Any:
    """y = ln(1 + eˣ).

    >>> import minigrad as mg
    >>> mg.softplus(mg.tensor([-1.0, 0.0, 1.0]))
    tensor([0.3133, 0.6931, 1.3133])
    """
    return np.logaddexp(x, 0)


@softplus.gradient
def softplus_dx(dy, y, x):
    return -dy * np.expm1(-y)


def gelu(x: Operand) -> Tensor:
    """Gaussian error linear unit, in its tanh form (Hendrycks and Gimpel, 2016).

    y = x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))

    >>> import minigrad as mg
    >>> mg.gelu(mg.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1588,  0.    ,  0.8412])
    """
    x = as_tensor(x)
    near = clip(x, -20, 20)  # beyond, tanh is ±1, and x³ may overflow
    return 0.5 * x * (1 + tanh(0.7978845608028654 * (near + 0.044715 * near * near * near)))


def silu(x: Operand) -> Tensor:
    """y = x σ(x), also called swish (Elfwing, Uchibe and Doya, 2018).

    >>> import minigrad as mg
    >>> mg.silu(mg.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.    ,  0.7311])
    """
    x = as_tensor(x)
    return x * sigmoid(x)


def elu(x: Operand, alpha: float = 1.0) -> Tensor:
    """y = x where x > 0, else α (eˣ − 1); the derivative at 0 is α (Clevert et al., 2016).

    >>> import minigrad as mg
    >>> mg.elu(mg.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.6321,  0.    ,  1.    ])
    """
    x = as_tensor(x)
    return np.where(x > 0, x, alpha * np.expm1(np.where(x > 0, 0, x)))


def leaky_relu(x: Operand, negative_slope: float = 0.01) -> Tensor:
    """y = x where x > 0, else negative_slope · x; the derivative at 0 is negative_slope
    (Maas, Hannun and Ng, 2013).

    >>> import minigrad as mg
    >>> mg.leaky_relu(mg.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.01,  0.  ,  1.  ])
    """
    x = as_tensor(x)
    return np.where(x > 0, x, negative_slope * clip(x, max=0))


def one_hot(
    indices: ArrayLike, num_classes: int | None = None, dtype: DTypeLike | None = None
) -> Tensor:
    """Rows of zeros with a 1 at the index.  Shapes: indices (...) → (..., num_classes).

    num_classes: by default one more than the greatest index.  dtype: by default the default dtype,
    so that `one_hot(tokens, V) @ W` has the dtype of W.  The result has no history.  Raises
    TypeError unless the indices are whole numbers, and ValueError for one outside of
    0 … num_classes − 1.

    >>> import minigrad as mg
    >>> mg.one_hot([2, 0], 3)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    places = np.asarray(indices.data if isinstance(indices, Tensor) else indices)
    if places.dtype.kind not in "iu" and places.size:
        raise TypeError(
            f"one_hot: the indices must be whole numbers, found dtype {places.dtype}; "
            "write t.astype(np.int64)"
        )
    count = int(places.max(initial=-1)) + 1 if num_classes is None else num_classes
    if places.size and not 0 <= places.min() <= places.max() < count:
        raise ValueError(
            f"one_hot: the indices must be from 0 to {count - 1}, found {places.min()} to "
            f"{places.max()}"
        )
    found = np.asarray(places[..., None] == np.arange(count))
    return kept(found.astype(get_default_dtype() if dtype is None else dtype))


@primitive(numpy=one_axis)
def softmax(x, *, axis=-1):
    """yᵢ = e^xᵢ / Σⱼ e^xⱼ over the axis.

    >>> import minigrad as mg
    >>> mg.softmax(mg.tensor([0.0, 0.0, 0.0, 0.0]))
    tensor([0.25, 0.25, 0.25, 0.25])
    """
    y = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    return y / np.sum(y, axis=axis, keepdims=True)


@softmax.gradient
def softmax_dx(dy, y, x, axis=-1):
    return y * (dy - np.sum(dy * y, axis=axis, keepdims=True))


@primitive(numpy=one_axis)
def log_softmax(x, *, axis=-1):
    """yᵢ = xᵢ − ln Σⱼ e^xⱼ over the axis.

    >>> import minigrad as mg
    >>> mg.log_softmax(mg.tensor([0.0, 0.0]))
    tensor([-0.6931, -0.6931])
    """
    return x - logsumexp.forward(x, axis=axis, keepdims=True)


@log_softmax.gradient
def log_softmax_dx(dy, y, x, axis=-1):
    return dy - np.exp(y) * np.sum(dy, axis=axis, keepdims=True)


def logsumexp_like_numpy(
    op: Primitive,
    x: Operand,
    axis: Axes = -1,
    keepdims: bool = False,
    initial: Operand | None = None,
    where: Mask = True,
) -> Tensor:
    """y = ln Σⱼ e^xⱼ over the axis (an int, several, or None for all); −∞ where all xⱼ are.

    initial: one more xⱼ.  where: only these elements count.

    >>> import minigrad as mg
    >>> mg.logsumexp(mg.tensor([0.0, 0.0]))
    tensor(0.693147)
    """
    if where is not True:
        x = np.where(where, as_tensor(x), -np.inf)
    y = op.record(x, axis=axis, keepdims=keepdims)
    return y if initial is None else logaddexp(y, initial)


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


def logcumsumexp(x: Operand, axis: int = -1) -> Tensor:
    """yₖ = ln (e^x₀ + … + e^xₖ) along the axis: `np.logaddexp.accumulate`.

    >>> import minigrad as mg, numpy as np
    >>> np.exp(mg.logcumsumexp(np.log([1.0, 2.0, 3.0])))
    tensor([1., 3., 6.], dtype=float64)
    """
    first, *others = unstack(as_tensor(x), axis=axis)
    y = [first]
    for x_k in others:
        y.append(logaddexp(y[-1], x_k))
    return np.stack(y, axis)
