"""The backward pass: one loop over the graph, last node first.

`backward_steps` is all of backpropagation.  On the graph of an unrolled cell it is backpropagation
through time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from minigrad import history, naming
from minigrad.changes import Changes
from minigrad.grad_table import GradTable, InputGrads, Sparse, Traced
from minigrad.graph import Graph
from minigrad.norms import array_of, short
from minigrad.scope import recording
from minigrad.tensor import Array, Tensor, kept

Tensors = Tensor | Iterable[Tensor]
new = object.__new__


def backward_steps(
    graph: Graph, table: GradTable, start: int = 0, index: int = 0
) -> Generator[Step, None, None]:
    """Yield one step for every node that has a gradient, before its rules run.

    Nodes come after all their users, so the gradient of a node is complete when its turn comes.
    At the end, the table holds the gradients of the leaves.
    start, index: where in `graph.order` to begin, and how many steps went before (to go on from a
    snapshot).
    """
    grads, owned, rewired, plain = table.grads, table.owned, graph.rewired, table.plain
    for node in graph.order[start:]:
        dy = grads.pop(node, None)
        # the usual case, written out for speed: an array, no hook, an operation with one output
        if plain and type(dy) is Array and not node._hooks and node.call is None:
            dy.setflags(False)  # type: ignore[call-arg]  # positional: half the time of write=False
        else:
            dy = table.complete(node, dy)
            if dy is None:
                continue
        inputs = rewired.get(node, node.inputs) if rewired else node.inputs
        step = new(Step)  # set here, which costs half of a call of __init__
        step.graph, step.node, step.inputs, step.index = graph, node, inputs, index
        step._table, step._grad, step._input_grads = table, dy, None
        yield step
        # whoever was given the step may have looked at the gradients of the inputs already
        found = step._input_grads or table.rules(node, step._grad, inputs)
        if node.call is not None:  # one of several outputs; the step can be looked at later, too
            step._input_grads = found
            table.forget_siblings(node)
        for x, dx in found:
            before = grads.get(x)
            if before is None:
                if dx is not None:
                    grads[x] = dx
            elif type(dx) is Array and x in owned:
                np.add(before, dx, before)
            elif dx is not None:
                grads[x] = table.join(x, before, dx)
        index += 1
    table.grads = {x: table.complete(x, grads.pop(x)) for x in graph.leaves if x in grads}


class Step:
    """One step of a backward pass, yielded before its rules run.

    node, inputs: the operation and what flows into it.  grad: ∂loss/∂node, assignable.  t: its time
    step.  index: the number of the step.
    """

    __slots__ = ("_grad", "_input_grads", "_table", "graph", "index", "inputs", "node")

    graph: Graph
    node: Tensor
    inputs: tuple[Tensor, ...]
    index: int
    _grad: Any
    _table: GradTable
    _input_grads: InputGrads | None  # what the rules gave, once they have run

    @property
    def t(self) -> int | None:
        """The time step that the node was made in, or None."""
        return self.node.t

    @property
    def grad(self) -> Any:
        """∂loss/∂node: a read-only array (a tensor under create_graph).

        Assign another one to change the pass.
        """
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        self._grad = self._table.own(value, self.node)
        self._input_grads = None

    @property
    def input_grads(self) -> tuple[Any, ...]:
        """∂loss/∂input along each edge into the node; None where none is needed.

        Runs the rules on first access.
        """
        return tuple([self._table.shown(x, dx) for x, dx in self._run()])

    def sparse_input_grads(self) -> Sequence[Any]:
        """Like `input_grads`, but an indexing contributes a `Scatter` instead of a full array."""
        return [dx for _, dx in self._run()]

    def _run(self) -> InputGrads:
        if self._input_grads is None:
            self._input_grads = self._table.rules(self.node, self._grad, self.inputs)
        return self._input_grads

    def __str__(self) -> str:
        return step_line(self, self.sparse_input_grads())

    def __repr__(self) -> str:  # a debugger shows it, also from inside the rule: runs no rule
        return step_line(self, [dx for _, dx in self._input_grads or ()])


# The function that drives a pass.  The debugger and detect_anomaly replace it.
driver: ContextVar[Callable[[Graph, GradTable], Iterable[Step]]] = ContextVar(
    "minigrad.driver", default=backward_steps
)


# the start of a pass


def begin(
    graph: Graph, grad: Any = None, create_graph: bool = False, *, sparse: bool = False
) -> GradTable:
    """The table that a pass starts from: ∂loss/∂output at each output.

    sparse: leave out the steps of operations whose gradient is zero.
    """
    kind = GradTable
    if create_graph:
        kind = Traced
    elif sparse or graph.cuts:
        kind = Sparse
    table = kind(graph)
    for output, seed in zip(graph.outputs, seeds(graph, grad), strict=True):
        dy = table.own(seed, output)
        if output in table.grads:
            dy = table.join(output, table.grads[output], dy)
        table.grads[output] = dy
    return table


def seeds(graph: Graph, grad: Any) -> list[Any]:
    """∂loss/∂output for each output, checked."""
    outputs = graph.outputs
    grads = grad if _is_one_for_each(grad, outputs) else [grad] * len(outputs)
    if len(grads) != len(outputs):
        problem = f"one for each of the {len(outputs)} outputs is needed, found {len(grads)}"
        raise ValueError(f"grad: {problem}")
    return [_seed(graph, output, seed) for output, seed in zip(outputs, grads)]


def _is_one_for_each(grad: Any, outputs: tuple[Tensor, ...]) -> bool:
    """Whether grad is a sequence of gradients, and not the rows of a single one."""
    if not isinstance(grad, tuple | list):
        return False
    return len(outputs) > 1 or np.shape(grad[0]) == outputs[0].shape


def _seed(graph: Graph, y: Tensor, seed: Any) -> Any:
    value = np.ones(y.shape) if seed is None else array_of(seed)
    if not y._requires_grad:
        problem = "does not depend on any tensor that requires grad"
    elif seed is None and y.size != 1:
        hint = "reduce it with .mean() or .sum(), or pass grad=∂loss/∂output"
        problem = f"has shape {y.shape}; {hint}"
    elif np.shape(value) != y.shape:
        problem = f"has shape {y.shape}, and grad= has shape {np.shape(value)}"
    elif not np.isfinite(value).all():
        problem = "cannot start from a gradient that is not finite: grad= holds NaN or infinity"
    else:
        return value if seed is None else seed
    raise ValueError(f"backward: {naming.label(graph, y)} {problem}")


def nested() -> bool:
    """Whether this runs inside a function that is being differentiated.

    Then gradients have a history without being asked for it.
    """
    now = recording.get()
    return now.building and now.enabled


# whole passes


def run(
    graph: Graph, grad: Any = None, *, create_graph: bool = False, retain_grads: bool = False
) -> None:
    """Add the gradient of every leaf to its `.grad`, all or nothing.

    retain_grads: set that of interior nodes, too.
    """
    create_graph = create_graph or nested()
    table = begin(graph, grad, create_graph)
    if not create_graph:
        history.note_backward(graph)
    steps = driver.get()(graph, table)
    retained = [step for step in steps if retain_grads]  # going through the steps is the pass
    changes = Changes()
    for step in retained:
        changes.grad(step.node, _as_tensor(step.grad))
    for leaf, dx in table.grads.items():
        changes.grad(leaf, _as_tensor(dx if leaf._grad is None else leaf._grad + dx))
    changes.commit()


def _as_tensor(grad: Any) -> Tensor:
    return grad if isinstance(grad, Tensor) else kept(grad)


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Any = None,
    *,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """∂(sum of outputs)/∂input for each input, interior ones too; never writes `.grad`.

    Raises ValueError for an input that the outputs do not depend on, unless allow_unused: then its
    gradient is None.

    >>> import minigrad as mg
    >>> x = mg.tensor(3.0, requires_grad=True)
    >>> (dx,) = mg.grad(x**3, x, create_graph=True)
    >>> dx, mg.grad(dx, x)
    (tensor(27, op=multiply), (tensor(18),))
    """
    graph = Graph(*([outputs] if isinstance(outputs, Tensor) else outputs))
    wanted = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if strangers := [type(x).__name__ for x in wanted if not isinstance(x, Tensor)]:
        raise TypeError(f"grad: the inputs must be tensors, found {', '.join(strangers)}")
    grads = gradients(graph, wanted, grad_outputs, create_graph)
    for k, x in enumerate(wanted):
        if x not in grads and not allow_unused:
            raise ValueError(f"grad: no gradient for input number {k}, {_why_unused(x)}")
    return tuple([grads.get(x) for x in wanted])


def _why_unused(x: Tensor) -> str:
    why = "the outputs do not depend on it"
    if not x._requires_grad:
        why = "it does not require grad"
    return f"{x.name or x!r}: {why}; or pass allow_unused=True"


def gradients(
    graph: Graph, wanted: Iterable[Tensor], grad: Any = None, create_graph: bool = False
) -> dict[Tensor, Tensor]:
    """The gradient of each of the wanted tensors, interior ones too, that the outputs depend on."""
    table = begin(graph, grad, create_graph or nested())
    interior = {x for x in wanted if x.op is not None}
    found: dict[Tensor, Any] = {}
    for step in driver.get()(graph, table):
        if step.node in interior:
            found[step.node] = step.grad
    found |= table.grads
    return {x: _as_tensor(found[x]) for x in wanted if x in found}


# how a step looks

MOST_INPUTS = 6  # so many gradients the line of a step shows one by one


def step_line(step: Step, input_grads: Sequence[Any]) -> str:
    """One step on one line: where, what, the gradient that came and those that go on."""
    graph, node = step.graph, step.node
    name = naming.label(graph, node)
    line = f"{naming.equation(graph, node, name)}   d{naming.spaceless(name)} {short(step.grad)}"
    if going_on := _going_on(step, input_grads):
        line += f" -> {going_on}"
    coordinates = [f"{axis}={t}" for axis, t, _ in node.time or ()]
    if coordinates:
        coordinates[0] = f"t={node.t}"
        line = f"{' '.join(coordinates)}  {line}"
    return line


def _going_on(step: Step, input_grads: Sequence[Any]) -> str:
    """The gradients that a step hands on; of many inputs, that of the last one alone."""
    parts = [(x, dx) for x, dx in zip(step.inputs, input_grads) if dx is not None]
    if len(parts) <= MOST_INPUTS:
        return "  ".join(_named_gradient(step, x, dx) for x, dx in parts)
    x, dx = parts[-1]
    place = "" if x.t is None else f" (t={x.t})"
    return f"{_named_gradient(step, x, dx)}{place}  and {len(parts) - 1} more"


def _named_gradient(step: Step, x: Tensor, dx: Any) -> str:
    """A gradient with its name: dh, or dh_prev if it goes to an earlier step."""
    move = step.graph.move(x, step.node)
    earlier = "_prev" if move is not None and move.start < move.end else ""
    return f"d{naming.spaceless(naming.label(step.graph, x))}{earlier} {short(dx)}"
