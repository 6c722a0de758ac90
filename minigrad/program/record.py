"""One training step, run to be written down: its forward and its backward pass as one graph."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad import edits
from minigrad.backward import backward_steps, seeds
from minigrad.fitting import fit
from minigrad.grad_table import InputGrads, Traced
from minigrad.graph import Graph
from minigrad.primitive import Primitive
from minigrad.program.errors import CompileError
from minigrad.program.labels import window_of
from minigrad.scope import Scope, caller, recorded
from minigrad.source import Source
from minigrad.tensor import Array, Tensor, kept

_SILENT = Tensor(np.zeros(()))  # stands for inputs whose rule is not to run now


class _ValueRead(Exception):  # noqa: N818
    """A rule has asked for a value."""


def _note_reading(x: Tensor, how: str) -> None:
    raise _ValueRead


class RuleScope(Scope):
    """The scope of a rule: the forward node that it belongs to, and the number of the input."""

    __slots__ = ("input",)

    def __init__(self, node: Tensor, k: int | None) -> None:
        super().__init__("backward", node._scope, None, node)
        self.input = k


class Joint(Traced):
    """A backward pass over tensors in which every node tells whose rule has made it.

    Rules that Python must run on numbers (once=True, clipping) become one operation each.
    answers: the input whose gradient a tensor is a contribution to.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.made: list[Tensor] = []
        self.answers: dict[Tensor, Tensor] = {}
        self._input: int | None = None

    def recorded(self, node: Tensor) -> recorded:
        """As in every traced pass, and with the number of the input whose rule runs."""
        scope = RuleScope(node, self._input)
        traced = {"enabled": True, "tracing": True, "time": node.time, "scope": scope}
        return recorded(**traced, on_read=_note_reading, check=noted(self.made))

    def rules(self, node: Tensor, dy: Any, inputs: Sequence[Tensor], *_: Any) -> InputGrads:
        """Each input and its gradient, where it needs one."""
        op: Primitive = node.op
        if is_opaque(op):
            found = [*zip(inputs, self._called(node, dy, inputs), strict=True)]
        elif op.joint is not None:
            found = super().rules(node, dy, inputs)
        else:
            found = [(x, self._rule(node, dy, inputs, k)) for k, x in enumerate(inputs)]
        found = [(x, kept(dx) if isinstance(dx, Array) else dx) for x, dx in found]
        for x, dx in found:
            if dx is not None:
                self.answers.setdefault(getattr(dx, "value", dx), x)
        return found

    def _rule(self, node: Tensor, dy: Any, inputs: Sequence[Tensor], k: int) -> Any:
        """The rule of input k alone, so that what it builds can be told from that of others."""
        if not inputs[k].requires_grad:
            return None
        alone = [x if j == k else _SILENT for j, x in enumerate(inputs)]
        self._input = k
        try:
            return super().rules(node, dy, alone)[k][1]
        except _ValueRead:  # the rule decides by numbers: it is called as it is
            return self._called(node, dy, alone)[k]
        finally:
            self._input = None

    def _called(self, node: Tensor, dy: Any, inputs: Sequence[Tensor]) -> list[Any]:
        """The rules as operations of their own, which are called and not taken apart."""
        op: Any = node.op
        if node.call is not None:
            text = f"compile: {op.name} is a primitive(once=True) with several outputs"
            raise ValueError(f"{text}\n  {node.source}")
        grads: list[Any] = [None] * len(inputs)
        for k, x in enumerate(inputs):
            rule = op.joint or op.rules[k]
            if rule is not None and x.requires_grad:
                self._input = k
                with self.recorded(node):
                    call = rule_as_operation(op, rule, k)
                    dx = call(dy, node, *node.inputs, **node.constants)
                    grads[k] = fit(dx, x, node, rule)
                self._input = None
        return grads


_operations: dict[Any, Primitive] = {}


def rule_as_operation(op: Primitive, rule: Callable[..., Any], which: int) -> Primitive:
    """The rule of an input as a primitive of its own; it is made once, and not registered."""
    if (rule, which) not in _operations:
        made = op.with_forward(_part(rule, which, op.joint is not None), ["dy", "y", *op.inputs])
        made.name = made.__name__ = rule.__name__
        made.elementwise, made.joint, made.rules = False, None, [None] * len(made.inputs)
        _operations[rule, which] = made
    return _operations[rule, which]


def _part(rule: Callable[..., Any], which: int, joint: bool) -> Callable[..., Any]:
    """The rule for one input; its dtype does not depend on what the rule decides."""

    def part(dy: Any, y: Any, *arrays: Any, **constants: Any) -> Any:
        found = rule(dy, y, *arrays, **constants)
        found = found[which] if joint else found
        dtype = getattr(arrays[which], "dtype", None)
        return (
            found if dtype is None or found is None else np.asarray(found).astype(dtype, copy=False)
        )

    return part


def is_opaque(op: Primitive) -> bool:
    """Whether the rules of an operation are called with arrays, and not taken apart."""
    return op.once or op is edits.clip_gradient


class Recording(NamedTuple):
    """A step that was run: its outputs and gradients, and what belongs to whom.

    arguments: the leaves by path.  answers: see `Joint`.  made: all nodes in the order in which they
    were made, those too that nothing came of.  window: after how many steps the gradient
    is cut; 0 if it is not.
    """

    loss: Tensor
    grads: dict[str, Tensor]
    aux: Any
    arguments: dict[str, Any]
    answers: dict[Tensor, Tensor]
    made: list[Tensor]
    window: int = 0


def record(
    loss_fn: Callable[..., Any], bound: dict[str, Any], arguments: dict[str, Any]
) -> Recording:
    """Run the step on these arguments, forward and backward, with everything recorded."""
    made: list[Tensor] = []
    watching = {"on_read": refuse_reading, "check": noted(made)}
    with recorded(enabled=True, tracing=True, time=None, scope=None, **watching):
        graph, aux = outcome(loss_fn(**bound))
    refuse_hooks(graph)
    table = Joint(graph)
    for output, seed in zip(graph.outputs, seeds(graph, None), strict=True):
        table.grads[output] = table.own(seed, output)
    for _ in backward_steps(graph, table):
        pass
    grads = {
        path: table.grads[leaf]
        for path, leaf in arguments.items()
        if isinstance(leaf, Tensor) and leaf in table.grads
    }
    window = window_of(graph)
    return Recording(
        graph.outputs[0], grads, aux, arguments, table.answers, made + table.made, window
    )


def outcome(result: Any) -> tuple[Graph, Any]:
    """What a loss function returns, as the graph to walk and the rest: a tensor, a graph, or a pair."""
    first, aux = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
    graph = Graph(first) if isinstance(first, Tensor) else first
    if not isinstance(graph, Graph) or len(graph.outputs) != 1:
        found = type(first).__name__
        raise TypeError(
            f"compile: the function must return a loss, a graph of one, or (loss, aux); found {found}"
        )
    return graph, aux


def noted(made: list[Tensor]) -> Callable[..., None]:
    """What puts the results of every operation into a list."""

    def note(op: Primitive, arrays: Any, results: Any) -> None:
        made.extend(results if isinstance(results, tuple | list) else (results,))

    return note


def refuse_reading(x: Tensor, how: str) -> None:
    """What Python decides by a value is decided once, for a program: so it must not read one."""
    frame = caller(sys._getframe(1))
    where = Source(frame.f_code if frame else None, frame.f_lasti if frame else 0)
    raise CompileError(
        f"compile: {how} reads the value of a tensor, which changes from call to call; choose with "
        f"np.where, or return the value beside the loss\n  {where}:  {where.text}"
    )


def refuse_hooks(graph: Graph) -> None:
    """A hook is arbitrary Python, which a program would leave out."""
    for node in graph.nodes:
        if node._hooks:
            raise CompileError(
                f"compile: a tensor has a hook, which a program cannot call:\n  {node.describe()}"
            )
