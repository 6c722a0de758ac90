"""A graph as a flat list, for `pickle` and `copy`: no recursion, however long it is.

What is kept is all that drawing and stepping need.  Code objects cannot be kept, so the names that
come from the source are written down as names; primitives are kept by qualified name and found
again among those that are loaded.
"""

from __future__ import annotations

import copyreg
import pickle
from typing import Any

from minigrad import naming
from minigrad.graph import Graph
from minigrad.primitive import NumPyPrimitive, Primitive, registry
from minigrad.scope import Scope
from minigrad.tensor import Array, Tensor, serials

KEPT = (
    "_array",
    "_requires_grad",
    "op",
    "constants",
    "arrays",
    "call",
    "role",
    "time",
)  # as they are


def primitive_named(name: str) -> Primitive:
    """The primitive of that qualified name; ValueError if it is not loaded."""
    if name not in registry:
        module, _, own_name = name.rpartition(".")
        problem = (
            f"this graph uses the primitive {own_name}; import the module that defines it first"
        )
        raise ValueError(f"{problem}: {module}")
    return registry[name]


def _by_name(op: Primitive) -> Any:
    if "<locals>" in op.qualified_name:
        raise pickle.PicklingError(
            f"{op.qualified_name} is a primitive that a function makes anew each time, so a saved "
            "graph could not find this one by its name; make it outside of functions"
        )
    return primitive_named, (op.qualified_name,)


copyreg.pickle(Primitive, _by_name)
copyreg.pickle(NumPyPrimitive, _by_name)
copyreg.pickle(Scope, lambda scope: (Scope, (scope.name, scope.parent, None)))

Scopes = list[tuple[str, int | None]]  # the name of each, and the number of the one around it


def flatten(
    graph: Graph,
) -> tuple[type[Graph], list[Any], list[int], dict[int, list[int]], Scopes]:
    """The nodes with numbers in place of their inputs and scopes; the numbers of the outputs, and
    of edited inputs; the scopes, outer ones first."""
    number = {node: k for k, node in enumerate(graph.nodes)}
    names = [x.name or naming.variable(graph, x) or None for x in graph.nodes]
    inputs = [[number[y] for y in x.inputs] for x in graph.nodes]
    values = [[getattr(x, field) for field in KEPT] for x in graph.nodes]
    numbers: dict[Scope, int] = {}
    scopes = [_numbered(x._scope, numbers) for x in graph.nodes]
    rewired = {number[x]: [number[y] for y in inputs] for x, inputs in graph.rewired.items()}
    return (
        type(graph),
        [*zip(values, names, inputs, scopes, strict=True)],
        [number[y] for y in graph.outputs],
        rewired,
        [(scope.name, numbers[scope.parent] if scope.parent else None) for scope in numbers],
    )


def _numbered(scope: Scope | None, numbers: dict[Scope, int]) -> int | None:
    """The number of a scope, which is entered after those around it."""
    if scope is None:
        return None
    chain: list[Scope] = []
    outer: Scope | None = scope
    while outer is not None and outer not in numbers:
        chain.append(outer)
        outer = outer.parent
    for one in reversed(chain):
        numbers[one] = len(numbers)
    return numbers[scope]


def build(
    kind: type[Graph],
    records: list[Any],
    outputs: list[int],
    rewired: dict[int, list[int]],
    around: Scopes,
) -> Graph:
    """The graph of such a list, on new tensors."""
    scopes: list[Scope] = []
    for name, outer in around:
        scopes.append(Scope(name, None if outer is None else scopes[outer], None))
    nodes: list[Tensor] = []
    for values, name, inputs, scope in records:
        node: Tensor = object.__new__(Tensor)
        for field, value in zip(KEPT, values, strict=True):
            setattr(node, field, value)
        node.name, node.inputs, node.serial = name, tuple(nodes[k] for k in inputs), next(serials)
        node._scope = None if scope is None else scopes[scope]
        node._grad, node._hooks, node._code, node._instruction = None, (), None, 0
        for array in (node._array, *node.arrays, *(node.call.outputs if node.call else ())):
            if isinstance(array, Array):
                array.setflags(write=False)
        nodes.append(node)
    edited = {nodes[k]: tuple(nodes[j] for j in inputs) for k, inputs in rewired.items()}
    ys = [nodes[k] for k in outputs]
    return kind(*ys, rewired=edited)
