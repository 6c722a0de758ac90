"""Derivatives of functions: vjp, jvp, jacobian, hessian, hvp.

`inputs` is one argument, or a tuple or list of them; an argument is a tensor, an array, or nested
tuples, lists and dicts of those; whole numbers pass through.  Results have the structure of the
inputs.

Every call differentiates with respect to variables of its own, which stand in place of the floating
inputs: a tensor that the function takes from around it is a constant, even where it is an input as
well.  Inside a function that is being differentiated, every derivative has a history, so that calls
nest to any depth.  A function that takes no arguments uses its inputs by itself: the parameters of
a module (`hessian(lambda: loss(net(x)), net)`), or any leaves; these are the variables.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minigrad.backward import gradients, nested
from minigrad.graph import Graph
from minigrad.operators import functions
from minigrad.ops.reductions import sum as sum_of
from minigrad.scope import recorded
from minigrad.tensor import Tensor, kept

Function = Callable[..., Any]

# nested tuples, lists and dicts


def mapped(change: Callable[[str, Any], Any], tree: Any, path: str = "") -> Any:
    """The same structure with change(path, leaf) in place of each leaf; a module is the dict of its
    parameters."""
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
    arguments = inputs if type(inputs) in (tuple, list) else (inputs,)
    if parameters(fn) == []:
        arguments = ()
    outputs = fn(*arguments)
    if strangers := [type(y).__name__ for _, y in flatten(outputs) if not isinstance(y, Tensor)]:
        found = ", ".join(strangers)
        raise TypeError(f"the function must return tensors computed from its inputs, found {found}")
    return outputs


def _run(fn: Function, inputs: Any) -> tuple[Any, Any]:
    """The variables in the structure of the inputs, and the outputs that fn computes from them."""
    if not any(is_real(x) for _, x in flatten(inputs)):
        kinds = [str(getattr(x, "dtype", type(x).__name__)) for _, x in flatten(inputs)]
        raise TypeError(
            f"inputs: only floating numbers have derivatives, found "
            f"{', '.join(kinds) or 'nothing'}; write x.astype(np.float64)"
        )
    variable = _itself if parameters(fn) == [] else _fresh
    with recorded(enabled=True, building=True):
        variables = mapped(variable, inputs)
        return variables, call(fn, variables)


def _fresh(path: str, x: Any) -> Any:
    """A variable in place of a floating leaf: what x was computed from stays behind it."""
    if not is_real(x):
        return x
    if not getattr(x, "requires_grad", False):
        return Tensor(x, requires_grad=True)
    variable = functions["copy"](x)
    variable.name = x.name
    return variable


def _itself(path: str, x: Any) -> Any:
    """A leaf that the function uses by itself."""
    if is_real(x) and not getattr(x, "requires_grad", False):
        raise ValueError(
            f"input {path or 'number 0'} does not require grad, and the function takes no arguments"
        )
    return x


def _pull(outputs: Any, variables: Any, v: Any = None, create_graph: bool = False) -> list[Tensor]:
    """Σ v · ∂outputs/∂x for each variable x; zeros where nothing depends on it."""
    ys, xs = real_leaves(outputs), real_leaves(variables)
    seeds = [None] * len(ys) if v is None else [x for _, x in flatten(v)]
    used = [(y, seed) for y, seed in zip(ys, seeds) if y.requires_grad]
    found: dict[Tensor, Tensor] = {}
    if used:
        graph = Graph(*[y for y, _ in used], rewired=dict.fromkeys(xs, ()))
        start = [seed for _, seed in used] if len(used) > 1 else used[0][1]
        found = gradients(graph, xs, start, create_graph)
    return [found[x] if x in found else kept(np.zeros_like(x.data)) for x in xs]


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


def _rows(outputs: Any, variables: Any, create_graph: bool) -> Any:
    """∂y/∂x for each variable and each of the outputs, one backward pass for each element of it."""

    def block(path: str, y: Any) -> Any:
        if y is None:  # of an input that has no derivative
            return None
        if not y.size:
            nothing = [kept(np.zeros(y.shape + x.shape, x.dtype)) for x in real_leaves(variables)]
            return _like(variables, nothing)
        units = np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape)
        rows = [_pull([y], variables, [unit], create_graph) for unit in units]
        blocks = [
            np.stack(column).reshape(y.shape + column[0].shape)
            for column in zip(*rows, strict=True)
        ]
        return _like(variables, blocks)

    return mapped(block, outputs)


def _without_nesting(create_graph: bool) -> tuple[bool, recorded]:
    """Whether the result of a call has a history; and how its own passes are recorded."""
    return create_graph or nested(), recorded(enabled=True, building=False)


def vjp(fn: Function, inputs: Any, v: Any = None, *, create_graph: bool = False) -> tuple[Any, Any]:
    """The outputs, and  vᵀ ∂outputs/∂inputs  in the structure of the inputs.

    v: like the outputs; may be left out where the output is one number.  create_graph: the result
    has a history, as it has unasked inside a function that is being differentiated.

    >>> import minigrad as mg
    >>> mg.vjp(lambda x: x**2, mg.tensor([1.0, 2.0]), mg.tensor([1.0, 10.0]))[1]
    tensor([ 2., 40.])
    """
    create_graph, passes = _without_nesting(create_graph)
    variables, outputs = _run(fn, inputs)
    with passes:
        return outputs, _like(variables, _pull(outputs, variables, v, create_graph))


def jvp(fn: Function, inputs: Any, v: Any, *, create_graph: bool = False) -> tuple[Any, Any]:
    """The outputs, and  ∂outputs/∂inputs · v  in the structure of the outputs: forward mode.

    The reverse rules are linear in dy, dx = Jᵀ dy; so the derivative of (Jᵀ u)·v with respect to u
    is J v.  create_graph: as in `vjp`.

    >>> import minigrad as mg
    >>> mg.jvp(lambda x: (x**2).sum(), mg.tensor([1.0, 2.0]), mg.tensor([1.0, 10.0]))[1]
    tensor(42)
    """
    create_graph, passes = _without_nesting(create_graph)
    variables, outputs = _run(fn, inputs)
    with passes:
        u = [Tensor(np.ones_like(y.data), requires_grad=True) for y in real_leaves(outputs)]
        slopes = _pull(outputs, variables, u, create_graph=True)
        pairs = zip(slopes, _tangents(variables, v), strict=True)
        total = [sum_of(dx * tangent) for dx, tangent in pairs if dx.requires_grad]
        return outputs, _like(outputs, _pull(total, u, None, create_graph))


def jacobian(fn: Function, inputs: Any, *, create_graph: bool = False) -> Any:
    """∂outputs/∂inputs: for each output (in its structure) and each input (in its) a tensor
    (*y.shape, *x.shape).

    One backward pass for each element of the outputs.  create_graph: as in `vjp`.

    >>> import minigrad as mg
    >>> mg.jacobian(lambda x: x**2, mg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])

    Inside the function, other derivatives are functions of the variables:

    >>> x = mg.tensor([1.0, 2.0])
    >>> mg.jacobian(lambda x: mg.grad((x**3).sum(), x)[0], x)
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    create_graph, passes = _without_nesting(create_graph)
    variables, outputs = _run(fn, inputs)
    with passes:
        return _rows(outputs, variables, create_graph)


def hessian(fn: Function, inputs: Any, *, create_graph: bool = False) -> Any:
    """∂²fn/∂inputs² of a function with one number as result: for each pair of inputs a tensor
    (*x.shape, *z.shape).  create_graph: as in `vjp`.

    >>> import minigrad as mg
    >>> mg.hessian(lambda x, y: x * x * y, (mg.tensor(3.0), mg.tensor(5.0)))
    ((tensor(10), tensor(6)), (tensor(6), tensor(0)))
    """
    create_graph, passes = _without_nesting(create_graph)
    variables, output = _run(fn, inputs)
    with passes:
        slopes = _like(variables, _pull(output, variables, create_graph=True))
        return _rows(slopes, variables, create_graph)


def hvp(fn: Function, inputs: Any, v: Any, *, create_graph: bool = False) -> tuple[Any, Any]:
    """The output of a function with one number as result, and the product of its Hessian with v,
    without the Hessian.  create_graph: as in `vjp`.

    >>> import minigrad as mg
    >>> mg.hvp(lambda x: (x**3).sum(), mg.tensor([1.0, 2.0]), mg.tensor([1.0, 10.0]))
    (tensor(9, op=sum), tensor([  6., 120.]))
    """
    create_graph, passes = _without_nesting(create_graph)
    variables, output = _run(fn, inputs)
    with passes:
        slopes = _pull(output, variables, create_graph=True)
        product = _pull(slopes, variables, _tangents(variables, v), create_graph)
        return output, _like(variables, product)
