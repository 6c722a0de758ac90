"""Derivatives of functions: vjp, jvp, jacobian, hessian, hvp.  Imports `graph`, `tensor` and operations.

`inputs` is one argument, or a tuple or list of them; an argument is a tensor, an array, or nested tuples, lists and
dicts of those; whole numbers pass through.  Tensors that require grad are used as they are.  A function that takes no
arguments uses its inputs by itself: the parameters of a module (`hessian(lambda: loss(net(x)), net)`), or any leaves.
Results have the structure of the inputs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad.graph import grad
from minigrad.ops.reductions import sum as sum_of
from minigrad.tensor import Tensor, constant


def flatten(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested tuples, lists and dicts (and of a module: its parameters), each with its path."""
    tree = dict(tree.named_parameters()) if hasattr(tree, "named_parameters") else tree
    if isinstance(tree, dict):
        for key, part in tree.items():
            yield from flatten(part, f"{path}[{key!r}]" if path else str(key))
    elif isinstance(tree, tuple | list):
        names = getattr(tree, "_fields", None)
        for k, part in enumerate(tree):
            yield from flatten(part, f"{path}.{names[k]}" if names else f"{path}[{k}]")
    else:
        yield path, tree


def rebuild(tree: Any, leaves: Iterator[Any]) -> Any:
    """The same structure with other leaves, taken in the order of `flatten`."""
    tree = dict(tree.named_parameters()) if hasattr(tree, "named_parameters") else tree
    if isinstance(tree, dict):
        return {key: rebuild(part, leaves) for key, part in tree.items()}
    if isinstance(tree, tuple | list):
        parts = [rebuild(part, leaves) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return next(leaves)


def is_real(leaf: Any) -> bool:
    """Whether a leaf can have a gradient: a floating tensor, array or number."""
    return leaf is not None and np.dtype(getattr(leaf, "dtype", type(leaf))).kind == "f"


def prepare(fn: Callable[..., Any], inputs: Any) -> Any:
    """The inputs with a tensor that requires grad in place of each floating leaf that does not."""

    def leaf(path: str, x: Any) -> Any:
        if not is_real(x) or getattr(x, "requires_grad", False):
            return x
        if takes_nothing(fn):
            raise ValueError(f"input {path or 'number 0'} does not require grad, and the function takes no arguments")
        return Tensor(x, requires_grad=True)

    found = [x for _, x in flatten(inputs)]
    if not any(is_real(x) for x in found):
        kinds = ", ".join(str(getattr(x, "dtype", type(x).__name__)) for x in found) or "nothing"
        raise TypeError(f"inputs: only floating numbers have derivatives, found {kinds}; write x.astype(np.float64)")
    return rebuild(inputs, iter([leaf(path, x) for path, x in flatten(inputs)]))


def real_leaves(tree: Any) -> list[Tensor]:
    """The floating tensors in nested tuples, lists and dicts."""
    return [x for _, x in flatten(tree) if isinstance(x, Tensor) and is_real(x)]


def call(fn: Callable[..., Any], inputs: Any) -> Any:
    """fn(*inputs); a function without parameters is called without."""
    several = type(inputs) in (tuple, list)
    outputs = fn() if takes_nothing(fn) else fn(*inputs) if several else fn(inputs)
    if strangers := [type(y).__name__ for _, y in flatten(outputs) if not isinstance(y, Tensor)]:
        raise TypeError(f"the function must return tensors computed from its inputs, found {', '.join(strangers)}")
    return outputs


def takes_nothing(fn: Callable[..., Any]) -> bool:
    """Whether a function has no parameters: then its inputs are tensors that it uses by itself."""
    try:
        return not inspect.signature(fn).parameters
    except ValueError:
        return False


def _like(inputs: Any, grads: Iterator[Any]) -> Any:
    """One gradient for each floating leaf, None for the others, in the structure of the inputs."""
    return rebuild(inputs, iter([next(grads) if is_real(x) else None for _, x in flatten(inputs)]))


def _grads(outputs: Any, inputs: Any, v: Any, create_graph: bool) -> list[Tensor]:
    """Σ v · ∂outputs/∂leaf for each floating leaf of the inputs; zeros where nothing depends on it."""
    leaves, seeds = real_leaves(inputs), None if v is None else [x for _, x in flatten(v)]
    found: list[tuple[Tensor, Any]] = list(zip(real_leaves(outputs), seeds or [None] * len(real_leaves(outputs))))
    found = [(y, seed) for y, seed in found if y.requires_grad]
    if not found:
        return [constant(np.zeros_like(x.data)) for x in leaves]
    ys, seeds = [y for y, _ in found], [seed for _, seed in found]
    grads = grad(ys, leaves, seeds if len(ys) > 1 else seeds[0], create_graph=create_graph, allow_unused=True)
    return [constant(np.zeros_like(x.data)) if dx is None else dx for x, dx in zip(leaves, grads, strict=True)]


def vjp(fn: Callable[..., Any], inputs: Any, v: Any = None, *, create_graph: bool = False) -> tuple[Any, Any]:
    """The outputs, and  vᵀ ∂outputs/∂inputs  in the structure of the inputs.

    v: like the outputs; may be left out where the output is one number.

    >>> import minigrad as mg
    >>> mg.vjp(lambda x: x**2, mg.tensor([1.0, 2.0]), mg.tensor([1.0, 10.0]))[1]
    tensor([ 2., 40.])
    """
    inputs = prepare(fn, inputs)
    outputs = call(fn, inputs)
    return outputs, _like(inputs, iter(_grads(outputs, inputs, v, create_graph)))


def jvp(fn: Callable[..., Any], inputs: Any, v: Any, *, create_graph: bool = False) -> tuple[Any, Any]:
    """The outputs, and  ∂outputs/∂inputs · v  in the structure of the outputs: forward mode.

    The reverse rules are linear in dy, dx = Jᵀ dy; so the derivative of (Jᵀ u)·v with respect to u is J v.

    >>> import minigrad as mg
    >>> mg.jvp(lambda x: (x**2).sum(), mg.tensor([1.0, 2.0]), mg.tensor([1.0, 10.0]))[1]
    tensor(42)
    """
    inputs = prepare(fn, inputs)
    outputs = call(fn, inputs)
    u = [Tensor(np.ones_like(y.data), requires_grad=True) for y in real_leaves(outputs)]
    pulled = _grads(outputs, inputs, u, create_graph=True)
    tangents = _tangents(inputs, v)
    total = [sum_of(dx * tangent) for dx, tangent in zip(pulled, tangents, strict=True) if dx.requires_grad]
    return outputs, _like(outputs, iter(_grads(total, u, None, create_graph)))


def _tangents(inputs: Any, v: Any) -> list[Any]:
    """The leaves of v that belong to the floating leaves of the inputs, checked."""
    pairs = list(zip(flatten(inputs), flatten(v), strict=True))
    for (path, x), (_, tangent) in pairs:
        if is_real(x) and np.shape(tangent) != x.shape:
            raise ValueError(f"v{path} must have the shape of its input, {x.shape}, found {np.shape(tangent)}")
    return [tangent for (_, x), (_, tangent) in pairs if is_real(x)]


def jacobian(fn: Callable[..., Any], inputs: Any, *, create_graph: bool = False) -> Any:
    """∂outputs/∂inputs: for each output (in its structure) and each input (in its) a tensor (*y.shape, *x.shape).

    One backward pass for each element of the outputs.

    >>> import minigrad as mg
    >>> mg.jacobian(lambda x: x**2, mg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    inputs = prepare(fn, inputs)
    outputs = call(fn, inputs)
    return rebuild(outputs, iter([_rows(y, inputs, create_graph) for _, y in flatten(outputs)]))


def _rows(y: Tensor, inputs: Any, create_graph: bool) -> Any:
    """∂y/∂inputs, one row for each element of y."""
    units = np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape)
    rows = [_grads([y], inputs, [unit], create_graph) for unit in units]
    blocks = [np.stack(column).reshape(y.shape + column[0].shape) for column in zip(*rows, strict=True)]
    return _like(inputs, iter(blocks))


def hessian(fn: Callable[..., Any], inputs: Any) -> Any:
    """∂²fn/∂inputs² of a function with one number as result: for each pair of inputs a tensor (*x.shape, *z.shape).

    >>> import minigrad as mg
    >>> mg.hessian(lambda x, y: x * x * y, (mg.tensor(3.0), mg.tensor(5.0)))
    ((tensor(10), tensor(6)), (tensor(6), tensor(0)))
    """
    inputs = prepare(fn, inputs)
    slopes = vjp(fn, inputs, create_graph=True)[1]
    return rebuild(slopes, iter([None if y is None else _rows(y, inputs, False) for _, y in flatten(slopes)]))


def hvp(fn: Callable[..., Any], inputs: Any, v: Any) -> tuple[Any, Any]:
    """The output of a function with one number as result, and the product of its Hessian with v, without the Hessian.

    >>> import minigrad as mg
    >>> mg.hvp(lambda x: (x**3).sum(), mg.tensor([1.0, 2.0]), mg.tensor([1.0, 10.0]))
    (tensor(9, op=sum), tensor([  6., 120.]))
    """
    inputs = prepare(fn, inputs)
    output, slopes = vjp(fn, inputs, create_graph=True)
    return output, _like(inputs, iter(_grads(real_leaves(slopes), inputs, _tangents(inputs, v), False)))
