"""Derivatives of functions: vjp, jvp, jacobian, hessian, hvp.  Imports `graph`, `tensor` and operations.

`inputs` is one argument, or a tuple or list of them; an argument is a tensor, an array, or nested tuples, lists and
dicts of those; whole numbers pass through.  Tensors that require grad are used as they are.  A function that takes no
arguments uses its inputs by itself: the parameters of a module (`hessian(lambda: loss(net(x)), net)`), or any leaves.
Results have the structure of the inputs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minigrad.backward import grad
from minigrad.ops.reductions import sum as sum_of
from minigrad.tensor import Tensor, constant

Function = Callable[..., Any]

# nested tuples, lists and dicts


def mapped(change: Callable[[str, Any], Any], tree: Any, path: str = "") -> Any:
    """The same structure with change(path, leaf) in place of each leaf; a module is the dict of its parameters."""
    tree = dict(tree.named_parameters()) if hasattr(tree, "named_parameters") else tree
    if isinstance(tree, dict):
        return {
            key: mapped(change, part, f"{path}[{key!r}]" if path else str(key))
            for key, part in tree.items()
        }
    if not isinstance(tree, tuple | list):
        return change(path, tree)
    names = [f".{name}" for name in getattr(tree, "_fields", ())] or [
        f"[{k}]" for k in range(len(tree))
    ]
    parts = [mapped(change, part, path + name) for name, part in zip(names, tree, strict=True)]
    return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)


def flatten(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """The leaves, each with its path."""
    found: list[tuple[str, Any]] = []
    mapped(lambda *leaf: found.append(leaf), tree, path)
    return found


def rebuild(tree: Any, leaves: Iterable[Any]) -> Any:
    """The same structure with other leaves, taken in the order of `flatten`."""
    following = iter(leaves)
    return mapped(lambda path, leaf: next(following), tree)


def is_real(leaf: Any) -> bool:
    """Whether a leaf can have a gradient: a floating tensor, array or number."""
    return leaf is not None and np.dtype(getattr(leaf, "dtype", type(leaf))).kind == "f"


def real_leaves(tree: Any) -> list[Tensor]:
    """The floating tensors."""
    return [x for _, x in flatten(tree) if isinstance(x, Tensor) and is_real(x)]


# functions of them


def parameters(fn: Function) -> list[str] | None:
    """The names of a function's parameters; None where it does not tell."""
    try:
        return list(inspect.signature(fn).parameters)
    except ValueError:
        return None


def call(fn: Function, inputs: Any) -> Any:
    """fn(*inputs); a function without parameters is called without."""
    arguments = (
        () if parameters(fn) == [] else inputs if type(inputs) in (tuple, list) else (inputs,)
    )
    outputs = fn(*arguments)
    if strangers := [type(y).__name__ for _, y in flatten(outputs) if not isinstance(y, Tensor)]:
        raise TypeError(
            f"the function must return tensors computed from its inputs, found {', '.join(strangers)}"
        )
    return outputs


def _run(fn: Function, inputs: Any) -> tuple[Any, Any]:
    """The inputs, with a tensor that requires grad in place of each floating leaf that does not; and the outputs."""

    def leaf(path: str, x: Any) -> Any:
        if not is_real(x) or getattr(x, "requires_grad", False):
            return x
        if parameters(fn) == []:
            raise ValueError(
                f"input {path or 'number 0'} does not require grad, and the function takes no arguments"
            )
        return Tensor(x, requires_grad=True)

    if not any(is_real(x) for _, x in flatten(inputs)):
        kinds = (
            ", ".join(str(getattr(x, "dtype", type(x).__name__)) for _, x in flatten(inputs))
            or "nothing"
        )
        raise TypeError(
            f"inputs: only floating numbers have derivatives, found {kinds}; write x.astype(np.float64)"
        )
    inputs = mapped(leaf, inputs)
    return inputs, call(fn, inputs)


def _pull(outputs: Any, inputs: Any, v: Any = None, create_graph: bool = False) -> list[Tensor]:
    """Σ v · ∂outputs/∂leaf for each floating leaf of the inputs; zeros where nothing depends on it."""
    ys, leaves = real_leaves(outputs), real_leaves(inputs)
    seeds = [None] * len(ys) if v is None else [x for _, x in flatten(v)]
    used = [(y, seed) for y, seed in zip(ys, seeds) if y.requires_grad]
    if not used:
        return [constant(np.zeros_like(x.data)) for x in leaves]
    start = [seed for _, seed in used] if len(used) > 1 else used[0][1]
    grads = grad([y for y, _ in used], leaves, start, create_graph=create_graph, allow_unused=True)
    return [
        constant(np.zeros_like(x.data)) if dx is None else dx
        for x, dx in zip(leaves, grads, strict=True)
    ]


def _like(inputs: Any, grads: Iterable[Any]) -> Any:
    """One gradient for each floating leaf, None for the others, in the structure of the inputs."""
    following = iter(grads)
    return mapped(lambda path, x: next(following) if is_real(x) else None, inputs)


def _tangents(inputs: Any, v: Any) -> list[Any]:
    """The leaves of v that belong to the floating leaves of the inputs, checked."""
    pairs = [
        (path, x, t)
        for (path, x), (_, t) in zip(flatten(inputs), flatten(v), strict=True)
        if is_real(x)
    ]
    for path, x, tangent in pairs:
        if np.shape(tangent) != x.shape:
            raise ValueError(
                f"v{path} must have the shape of its input, {x.shape}, found {np.shape(tangent)}"
            )
    return [tangent for _, _, tangent in pairs]


def _rows(outputs: Any, inputs: Any, create_graph: bool) -> Any:
    """∂y/∂inputs for each of the outputs, one backward pass for each element of it."""

    def block(path: str, y: Any) -> Any:
        if y is None:  # of an input that has no derivative
            return None
        units = np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape)
        rows = [_pull([y], inputs, [unit], create_graph) for unit in units]
        blocks = [
            np.stack(column).reshape(y.shape + column[0].shape)
            for column in zip(*rows, strict=True)
        ]
        return _like(inputs, blocks)

    return mapped(block, outputs)


def vjp(fn: Function, inputs: Any, v: Any = None, *, create_graph: bool = False) -> tuple[Any, Any]:
    """The outputs, and  vᵀ ∂outputs/∂inputs  in the structure of the inputs.

    v: like the outputs; may be left out where the output is one number.

    >>> import minigrad as mg
    >>> mg.vjp(lambda x: x**2, mg.tensor([1.0, 2.0]), mg.tensor([1.0, 10.0]))[1]
    tensor([ 2., 40.])
    """
    inputs, outputs = _run(fn, inputs)
    return outputs, _like(inputs, _pull(outputs, inputs, v, create_graph))


def jvp(fn: Function, inputs: Any, v: Any, *, create_graph: bool = False) -> tuple[Any, Any]:
    """The outputs, and  ∂outputs/∂inputs · v  in the structure of the outputs: forward mode.

    The reverse rules are linear in dy, dx = Jᵀ dy; so the derivative of (Jᵀ u)·v with respect to u is J v.

    >>> import minigrad as mg
    >>> mg.jvp(lambda x: (x**2).sum(), mg.tensor([1.0, 2.0]), mg.tensor([1.0, 10.0]))[1]
    tensor(42)
    """
    inputs, outputs = _run(fn, inputs)
    u = [Tensor(np.ones_like(y.data), requires_grad=True) for y in real_leaves(outputs)]
    pairs = zip(_pull(outputs, inputs, u, create_graph=True), _tangents(inputs, v), strict=True)
    total = [sum_of(dx * tangent) for dx, tangent in pairs if dx.requires_grad]
    return outputs, _like(outputs, _pull(total, u, None, create_graph))


def jacobian(fn: Function, inputs: Any, *, create_graph: bool = False) -> Any:
    """∂outputs/∂inputs: for each output (in its structure) and each input (in its) a tensor (*y.shape, *x.shape).

    One backward pass for each element of the outputs.

    >>> import minigrad as mg
    >>> mg.jacobian(lambda x: x**2, mg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    inputs, outputs = _run(fn, inputs)
    return _rows(outputs, inputs, create_graph)


def hessian(fn: Function, inputs: Any) -> Any:
    """∂²fn/∂inputs² of a function with one number as result: for each pair of inputs a tensor (*x.shape, *z.shape).

    >>> import minigrad as mg
    >>> mg.hessian(lambda x, y: x * x * y, (mg.tensor(3.0), mg.tensor(5.0)))
    ((tensor(10), tensor(6)), (tensor(6), tensor(0)))
    """
    inputs, output = _run(fn, inputs)
    return _rows(_like(inputs, _pull(output, inputs, create_graph=True)), inputs, False)


def hvp(fn: Function, inputs: Any, v: Any) -> tuple[Any, Any]:
    """The output of a function with one number as result, and the product of its Hessian with v, without the Hessian.

    >>> import minigrad as mg
    >>> mg.hvp(lambda x: (x**3).sum(), mg.tensor([1.0, 2.0]), mg.tensor([1.0, 10.0]))
    (tensor(9, op=sum), tensor([  6., 120.]))
    """
    inputs, output = _run(fn, inputs)
    slopes = _pull(output, inputs, create_graph=True)
    return output, _like(inputs, _pull(slopes, inputs, _tangents(inputs, v)))
