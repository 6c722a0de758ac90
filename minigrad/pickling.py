"""A graph as a flat list, for `pickle` and `copy`: no recursion, however long it is.  Imports the engine and `naming`.

What is kept is all that drawing and stepping need.  Code objects cannot be kept, so the names that come from the source
are written down as names; primitives are kept by name and found again among those that are loaded.
"""

from __future__ import annotations

from typing import Any

from minigrad import naming
from minigrad.graph import Graph
from minigrad.primitive import registry
from minigrad.scope import Scope
from minigrad.tensor import Array, Tensor, serials


def flatten(graph: Graph) -> tuple[list[Any], list[Any], list[int]]:
    """The nodes with numbers in place of their inputs and scopes; the scopes; the numbers of the outputs."""
    if type(graph) is not Graph:
        raise TypeError(
            "an edited graph cannot be copied or pickled: copy the graph that it was made from, and edit that"
        )
    number = {node: k for k, node in enumerate(graph.nodes)}
    scopes: dict[Scope | None, int] = {None: -1}
    records = []
    for node in graph.nodes:
        chain, scope = [], node._scope
        while scope not in scopes:
            chain.append(scope)
            scope = scope.parent if scope else None
        for scope in reversed(chain):
            scopes[scope] = len(scopes) - 1
        name = node.name or naming.variable(graph, node) or None
        history = (
            node.op.name if node.op else None,
            [number[x] for x in node.inputs],
            node.constants,
            list(node.arrays),
        )
        records.append(
            (node._array, node._requires_grad, name, history, node.call, node.role, node.time, scopes[node._scope])
        )
    listed = [(scope.name, scopes[scope.parent]) for scope in scopes if scope]
    return records, listed, [number[output] for output in graph.outputs]


def build(records: list[Any], listed: list[Any], outputs: list[int]) -> Graph:
    """The graph of such a list, on new tensors."""
    scopes: list[Scope] = []
    for name, parent in listed:
        scopes.append(Scope(name, scopes[parent] if parent >= 0 else None, None))
    nodes: list[Tensor] = []
    for data, requires_grad, name, (op, inputs, constants, arrays), call, role, time, scope in records:
        if op is not None and op not in registry:
            raise ValueError(f"this graph uses the primitive {op}; import the module that defines it first")
        node: Tensor = object.__new__(Tensor)
        for array in (data, *arrays, *(call.outputs if call else ())):
            if isinstance(array, Array):
                array.setflags(write=False)
        node._array, node._requires_grad, node.name, node._grad, node._hooks = data, requires_grad, name, None, ()
        node.op = registry[op] if op else None
        node.inputs, node.constants, node.arrays = tuple(nodes[k] for k in inputs), constants, arrays
        node.call, node.role, node.time, node.serial = call, role, time, next(serials)
        node._scope, node._code, node._instruction = scopes[scope] if scope >= 0 else None, None, 0
        nodes.append(node)
    return Graph(*[nodes[k] for k in outputs])
