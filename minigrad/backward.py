"""The backward pass: one loop over the graph, last node first.  Imports `graph`, `primitive`, `naming`.

`backward_steps` is all of backpropagation.  On the graph of an unrolled cell it is backpropagation through time.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Generator, Iterable, Sequence
from contextvars import ContextVar
from functools import cache
from typing import Any

import numpy as np

from minigrad import history, naming
from minigrad.changes import Changes
from minigrad.graph import Graph
from minigrad.norms import short
from minigrad.primitive import Primitive, Scatter, primitive
from minigrad.scope import Scope, recorded, recording
from minigrad.source import Source
from minigrad.tensor import Array, Tensor, constant, fitted


def backward_steps(
    graph: Graph, table: GradTable, start: int = 0, index: int = 0
) -> Generator[Step, None, None]:
    """Yield one step for every node that has a gradient; then the table holds those of the leaves.

    start, index: where in `graph.order` to begin, and how many steps went before (to go on from a
    snapshot).
    """
    grads, owned, rewired = table.grads, table.owned, graph.rewired
    for node in graph.order[start:]:
        dy = grads.pop(node, None)
        if type(dy) is Array and not node._hooks and node.call is None and table.plain:
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
        found = step._input_grads or table.rules(node, step._grad, inputs)
        if node.call is not None:
            step._input_grads = found
            table.forget_siblings(node)
        for x, dx in found:
            if dx is None:
                continue
            if x not in grads:
                grads[x] = dx
            elif x in owned and type(dx) is Array:
                np.add(grads[x], dx, grads[x])
            else:
                grads[x] = table.join(x, grads[x], dx)
        index += 1
    table.grads = {x: table.complete(x, grads.pop(x)) for x in graph.leaves if x in grads}


# How `Graph.backward` and `grad` walk a pass; a debugger puts itself here.
InputGrads = list[tuple[Tensor, Any]]  # each input of a node, and its gradient or None

walk: ContextVar[Callable[[Graph, GradTable], Iterable[Step]]] = ContextVar(
    "minigrad.walk", default=backward_steps
)


new = object.__new__


class Step:
    """One step of a backward pass, yielded before its rule runs.

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

        Runs the rule on first access.
        """
        return tuple([self._table.shown(x, dx) for x, dx in self._run()])

    def contributions(self) -> Sequence[Any]:
        """Like `input_grads`, but an indexing contributes a `Scatter` instead of a full array."""
        return [dx for _, dx in self._run()]

    def _run(self) -> InputGrads:
        if self._input_grads is None:
            self._input_grads = self._table.rules(self.node, self._grad, self.inputs)
        return self._input_grads

    def __str__(self) -> str:
        return step_line(self, self.contributions())

    def __repr__(self) -> str:  # what a debugger shows, also from inside the rule: runs no rule
        return step_line(self, [dx for _, dx in self._input_grads or ()])


class GradTable:
    """The gradients of a pass over arrays: how they add up, and how rules are run."""

    plain = True  # whether a finished array is the gradient, and needs nothing but a lock

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.guards = graph.guards_infinities
        self.grads: dict[Tensor, Any] = {}  # arrays and scatters; tensors under create_graph
        self.owned: set[Tensor] = set()  # whose sum is a buffer made here: adding in place is safe
        self.siblings: dict[int, list[Any]] = {}  # gradients of all outputs of a call with several

    def join(self, x: Tensor, before: Any, dx: Any) -> Any:
        """The sum of the contributions so far and one more."""
        if x not in self.owned:
            self.owned.add(x)
            if type(before) is Array and type(dx) is Array:
                return np.asarray(before + dx)
            before = before.dense(x) if type(before) is Scatter else np.array(before)
        return dx.add_into(before) if type(dx) is Scatter else np.add(before, dx, before)

    def complete(self, x: Tensor, dy: Any) -> Any:
        """The gradient that the step of `x` has; dy is what arrived, None if nothing did."""
        dy = None if dy is None else self.arrived(x, dy)
        return dy if x.call is None else self._sibling(x, dy)

    def arrived(self, x: Tensor, dy: Any) -> Any:
        """The gradient of `x`, whole and locked, after its hooks."""
        if type(dy) is Array:
            dy.setflags(False)  # type: ignore[call-arg]
        else:
            dy = self.shown(x, dy)
        return self.hooked(x, dy) if x._hooks else dy

    def shown(self, x: Tensor, dx: Any) -> Any:
        """A gradient of `x`, or a contribution to it, as the user sees it: whole, and locked."""
        if dx is not None:
            dx = dx.dense(x) if type(dx) is Scatter else dx
            dx.setflags(False)
        return dx

    def _sibling(self, x: Tensor, dy: Any) -> Any:
        """The first output of a call is reached last: it stands for all that have a gradient."""
        outputs = x.call.outputs  # type: ignore[union-attr]  # asked of siblings only
        group = self.siblings.get(id(outputs))
        if group is None:
            group = self.siblings[id(outputs)] = [None] * len(outputs)
        unused = dy is None and self.graph.is_first_output(x) and any(d is not None for d in group)
        return self.own(np.zeros(x.shape, x.dtype), x) if unused else dy

    def hooked(self, x: Tensor, dy: Any) -> Any:
        """The gradient of `x` after its hooks."""
        for hook in x._hooks:
            changed = hook(dy)
            dy = dy if changed is None else self.own(changed, x)
        return dy

    def own(self, grad: Any, x: Tensor) -> Any:
        """A gradient that comes from the user, checked, as this pass keeps it."""
        return fitted(grad, x, "a gradient of")._array

    def rules(
        self, node: Tensor, dy: Any, inputs: Sequence[Tensor], y: Any = None, arrays: Any = ()
    ) -> InputGrads:
        """Each input and its gradient, in its shape and dtype; None where it needs none."""
        op: Primitive = node.op
        if y is None:
            y, arrays = node._array, node.arrays
        try:
            if node.call is not None:
                dy = self.gathered(node, dy)
                if dy is None:
                    return [(x, None) for x in inputs]
            if op.joint is not None:
                return self._joint_rule(node, dy, inputs, y, arrays)
            found: InputGrads = []
            arguments, constants = (dy, y, *arrays), node.constants
            for x, rule in zip(inputs, op.rules):
                dx = None
                if x._requires_grad:
                    if rule is None:
                        raise op.missing_rule(len(found))
                    if self.guards and op.elementwise:
                        rule = masked(rule)
                    dx = rule(*arguments, **constants) if constants else rule(*arguments)
                    array = x._array
                    if (
                        type(dx) is not Array
                        or dx.shape != array.shape
                        or dx.dtype is not array.dtype
                    ):
                        dx = fit(dx, x, node, op.rules[len(found)])
                found.append((x, dx))
            return found
        except Exception as error:
            error.add_note(naming.describe(self.graph, node, "in the backward pass of "))
            raise

    def gathered(self, node: Tensor, dy: Any) -> Any:
        """The gradient that the rules get: of several outputs, a tuple for the one reached last.

        The others get None: their rule has to wait.
        """
        if node.call is None or isinstance(dy, tuple):
            return dy
        group = self.siblings[id(node.call.outputs)]
        group[node.call.which] = dy
        return tuple(group) if self.graph.is_first_output(node) else None

    def forget_siblings(self, node: Tensor) -> None:
        """Let the gradients of all outputs of a call go, when its rule has run."""
        if self.graph.is_first_output(node):
            del self.siblings[id(node.call.outputs)]  # type: ignore[union-attr]

    def _joint_rule(
        self, node: Tensor, dy: Any, inputs: Sequence[Tensor], y: Any, arrays: Any
    ) -> InputGrads:
        """One rule for all inputs."""
        op: Primitive = node.op
        assert op.joint is not None
        if node.call is not None and not isinstance(y, tuple):
            y = node.call.outputs
        grads = op.joint(dy, y, *arrays, **node.constants)
        if not isinstance(grads, tuple | list) or len(grads) != len(inputs):
            raise TypeError(
                f"{op.joint.__name__} must return a gradient for each of the {len(inputs)} inputs"
            )
        return [
            (x, fit(dx, x, node, op.joint) if x._requires_grad else None)
            for x, dx in zip(inputs, grads)
        ]


class Traced(GradTable):
    """A pass over tensors (create_graph=True): the same rules, whose operations become nodes of a new graph.

    They stand at the time step, and in a scope "backward" inside the scope, of the node whose rule ran.
    """

    def join(self, x: Tensor, before: Any, dx: Any) -> Any:
        if not isinstance(before, list):
            return [before, dx]
        before.append(dx)
        return before

    def shown(self, x: Tensor, dx: Any) -> Any:
        if isinstance(dx, list | Scatter):
            parts = [
                p if isinstance(p, Scatter) else Scatter(..., p)
                for p in (dx if isinstance(dx, list) else [dx])
            ]
            places = tuple([part.index for part in parts])
            with self.recorded(x):
                dx = add_up(
                    *[part.value for part in parts], places=places, shape=x.shape, dtype=x.dtype
                )
        return dx

    def own(self, grad: Any, x: Tensor) -> Any:
        return fitted(grad, x, "a gradient of")

    def rules(self, node: Tensor, dy: Any, inputs: Sequence[Tensor], *_: Any) -> InputGrads:
        op: Primitive = node.op
        dy = self.gathered(node, dy)
        if dy is None:
            return [(x, None) for x in inputs]
        for k, (x, value) in enumerate(zip(node.inputs, node.arrays)):
            if isinstance(value, Array) and x._array is not value:
                which = (
                    f"create_graph=True: input {op.input_name(k)} of {op.name}, {x.name or x!r},"
                )
                raise RuntimeError(
                    f"{which} was rebound after the forward pass; run the forward pass again"
                )
        with self.recorded(node):
            if op.once:
                arrays = (
                    tuple([None if d is None else d._array for d in dy]) if node.call else dy._array
                )
                grads = super().rules(node, arrays, inputs)
                return [
                    (x, dx if dx is None else once_differentiated(dx, *inputs, op=op.name))
                    for x, dx in grads
                ]
            y = node if node.call is None else op.record(*node.inputs, **node.constants)
            values = [
                x if isinstance(value, Array) else value
                for x, value in zip(node.inputs, node.arrays)
            ]
            return super().rules(node, dy, inputs, y, values)

    def recorded(self, node: Tensor) -> recorded:
        scope = Scope("backward", node._scope, None, node)
        return recorded(enabled=True, tracing=True, time=node.time, scope=scope)


class Sparse(GradTable):
    """A pass over arrays that leaves out exact zeros, so that a cut saves the work behind it."""

    plain = False

    def arrived(self, x: Tensor, dy: Any) -> Any:
        """Like every pass; but of an operation, no gradient in place of zeros."""
        dy = super().arrived(x, dy)
        return dy if x.op is None or not dy.size or dy.item(0) or dy.any() else None


def begin(graph: Graph, grad: Any = None, create_graph: bool = False) -> GradTable:
    """The start of a pass: ∂loss/∂output at each output."""
    pending = (Traced if create_graph else Sparse if graph.cuts else GradTable)(graph)
    for output, seed in zip(graph.outputs, seeds(graph, grad), strict=True):
        own = pending.own(seed, output)
        pending.grads[output] = (
            pending.join(output, pending.grads[output], own) if output in pending.grads else own
        )
    return pending


def seeds(graph: Graph, grad: Any) -> list[Any]:
    """∂loss/∂output for each output, checked."""
    one = len(graph.outputs) == 1
    several = isinstance(grad, tuple | list) and (
        not one or np.shape(grad[0]) == graph.outputs[0].shape
    )
    grads = grad if several else [grad] * len(graph.outputs)
    if len(grads) != len(graph.outputs):
        raise ValueError(
            f"grad: one for each of the {len(graph.outputs)} outputs is needed, found {len(grads)}"
        )
    return [_seed(graph, output, seed) for output, seed in zip(graph.outputs, grads)]


def _seed(graph: Graph, y: Tensor, seed: Any) -> Any:
    value = np.ones(y.shape) if seed is None else getattr(seed, "_array", seed)
    if not y._requires_grad:
        problem = "does not depend on any tensor that requires grad"
    elif seed is None and y.size != 1:
        problem = (
            f"has shape {y.shape}; reduce it with .mean() or .sum(), or pass grad=∂loss/∂output"
        )
    elif np.shape(value) != y.shape:
        problem = f"has shape {y.shape}, and grad= has shape {np.shape(value)}"
    elif not np.isfinite(value).all():
        problem = "cannot start from a gradient that is not finite: grad= holds NaN or infinity"
    else:
        return value if seed is None else seed
    raise ValueError(f"backward: {naming.label(graph, y)} {problem}")


def nested() -> bool:
    """Whether this runs inside a function that is being differentiated: then gradients have a
    history unasked."""
    now = recording.get()
    return now.building and now.enabled


def run(
    graph: Graph, grad: Any = None, *, create_graph: bool = False, retain_grads: bool = False
) -> None:
    """Add the gradient of every leaf to its `.grad`, all or nothing.

    retain_grads: set that of interior nodes, too.
    """
    create_graph = create_graph or nested()
    pending = begin(graph, grad, create_graph)
    if not create_graph:
        history.note_backward(graph)
    retained = [step for step in walk.get()(graph, pending) if retain_grads]
    changes = Changes()
    for step in retained:
        changes.grad(step.node, _as_tensor(step.grad))
    for leaf, dx in pending.grads.items():
        changes.grad(leaf, _as_tensor(dx if leaf._grad is None else leaf._grad + dx))
    changes.commit()


def _as_tensor(grad: Any) -> Tensor:
    return grad if isinstance(grad, Tensor) else constant(grad)


Tensors = Tensor | Iterable[Tensor]


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Any = None,
    *,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """∂(sum of outputs)/∂input for each input, interior ones too; never writes `.grad`.

    Raises ValueError for an input that the outputs do not depend on, unless allow_unused (then: None).

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
            why = (
                "the outputs do not depend on it"
                if x._requires_grad
                else "it does not require grad"
            )
            hint = "or pass allow_unused=True"
            raise ValueError(
                f"grad: no gradient for input number {k}, {x.name or x!r}: {why}; {hint}"
            )
    return tuple([grads.get(x) for x in wanted])


def gradients(
    graph: Graph, wanted: Iterable[Tensor], grad: Any = None, create_graph: bool = False
) -> dict[Tensor, Tensor]:
    """The gradient of each of the wanted tensors, interior ones too, that the outputs depend on."""
    pending = begin(graph, grad, create_graph or nested())
    interior = {x for x in wanted if x.op is not None}
    steps = [step for step in walk.get()(graph, pending) if step.node in interior]
    found = {step.node: step.grad for step in steps} | pending.grads
    return {x: _as_tensor(found[x]) for x in wanted if x in found}


def step_line(step: Step, input_grads: Sequence[Any]) -> str:
    """One step on one line: where, what, the gradient that came and those that go on."""
    graph, node = step.graph, step.node
    name, text = naming.label(graph, node), naming.expression(graph, node)
    what = text if name == text else f"{name} = {text}"
    parts = [
        (f"{_gradient_name(graph, x, node)} {short(dx)}", x)
        for x, dx in zip(graph.inputs(node), input_grads)
        if dx is not None
    ]
    going = "  ".join(part for part, _ in parts)
    if len(parts) > _MOST:  # of a long stack, the last steps are those that the pass reaches next
        last, x = parts[-1]
        place = "" if x.t is None else f" (t={x.t})"
        going = f"{last}{place}  and {len(parts) - 1} more"
    where = " ".join(
        f"{'t' if k == 0 else axis}={t}" for k, (axis, t, _) in enumerate(node.time or ())
    )
    arrived = f"d{naming.spaceless(name)} {short(step.grad)}"
    return f"{where}{'  ' if where else ''}{what}   {arrived} -> {going}".rstrip(" ->")


def _gradient_name(graph: Graph, x: Tensor, node: Tensor) -> str:
    """The name of a gradient that a step hands on: dh, or dh_prev where it goes to an earlier step."""
    move = graph.move(x, node)
    earlier = "_prev" if move is not None and move.start < move.end else ""
    return f"d{naming.spaceless(naming.label(graph, x))}{earlier}"


_MOST = 6  # inputs that a step's line shows one by one


def masked(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of an elementwise operation, where a gradient that is zero stays zero: 0 · ∞ is 0 behind a `where`."""

    def run(dy: Any, *rest: Any, **constants: Any) -> Any:
        with np.errstate(all="ignore"):
            dx = rule(dy, *rest, **constants)
            return None if dx is None else np.where((dy == 0) & np.isnan(dx), 0, dx)

    return run


def fit(dx: Any, x: Tensor, node: Tensor, rule: Callable[..., Any] | None) -> Any:
    """What a rule of the node gave for its input x, with the shape and dtype of x.

    Broadcasting is undone here, and nowhere else: along the axes that the forward broadcast.
    """
    if isinstance(dx, Scatter):
        return dx
    name = getattr(rule, "__name__", node.op.name)
    if dx is None:
        if rule is not None and forgets_to_return(rule):
            raise TypeError(
                f"{name} returned nothing; write return dx, or return None for a gradient of zero"
            )
        return dx
    if recording.get().tracing:
        dx = dx if isinstance(dx, Tensor) else Tensor(dx)
    else:  # a rule may have called a function of tensors on its arrays
        dx = dx._array if isinstance(dx, Tensor) else np.asarray(dx)
    if dx.dtype.kind not in "fiu":
        raise TypeError(
            f"{name} returned a gradient of dtype {dx.dtype}; write a mask as dy * mask"
        )
    if dx.shape != x.shape:
        stretched = _stretched(dx.shape, x.shape, node)
        if stretched is None:
            raise ValueError(
                f"{name} returned a gradient of shape {dx.shape} for an input of shape {x.shape}"
            )
        dx = dx.sum(axis=stretched).reshape(x.shape)
    return dx if dx.dtype == x.dtype else dx.astype(x.dtype)


def _stretched(
    found: tuple[int, ...], wanted: tuple[int, ...], node: Tensor
) -> tuple[int, ...] | None:
    """The axes of a gradient along which the forward broadcast an input of shape `wanted` to its
    result; None where it did not."""
    shape = (1,) * (len(found) - len(wanted)) + wanted
    if len(shape) != len(found):
        return None
    axes = tuple([k for k, n in enumerate(shape) if n != found[k]])
    if any(shape[k] != 1 for k in axes):
        return None
    if node.op.variadic:  # as einsum, whose axes meet by letter
        lengths = {n for x in (node, *node.inputs) for n in x.shape}
        return axes if all(found[k] in lengths for k in axes) else None
    result = (1,) * (len(found) - node.ndim) + node.shape
    result = result[len(result) - len(found) :]
    return axes if all(result[k] == found[k] for k in axes) else None


@cache
def forgets_to_return(rule: Callable[..., Any]) -> bool:
    """Whether a rule can come to its end without a return, and nowhere says `return None`."""
    code = getattr(rule, "__code__", None)
    if code is None:
        return False
    steps = list(dis.get_instructions(code))
    ends = [
        Source(code, step.offset).expression
        for step, following in zip(steps, [*steps[1:], None])
        if step.argval is None
        and (
            step.opname == "RETURN_CONST"
            or (step.opname == "LOAD_CONST" and following and following.opname == "RETURN_VALUE")
        )
    ]
    return bool(ends) and not any(end in ("", "None", "return", "return None") for end in ends)


@primitive
def add_up(*parts: Any, places: Any, shape: Any, dtype: Any) -> Any:
    """All contributions to one gradient in one node:  y = Σ parts, each at its place (...: everywhere)."""
    y = np.zeros(shape, dtype)
    for part, place in zip(parts, places, strict=True):
        Scatter(place, part).add_into(y)
    return y


@add_up.gradients
def add_up_dparts(
    dy: Any, y: Any, *parts: Any, places: Any, shape: Any, dtype: Any
) -> tuple[Any, ...]:
    return tuple(dy if place is ... else dy[place] for place in places)


@primitive
def once_differentiated(dx: Any, *sources: Any, op: str) -> Any:
    """A gradient from a rule in arbitrary Python: a value whose dependence on the sources is not known."""
    return dx


@once_differentiated.gradients
def once_differentiated_dsources(dy: Any, y: Any, dx: Any, *sources: Any, op: str) -> Any:
    raise NotImplementedError(
        f"{op} is a primitive(once=True): its rules cannot be differentiated a second time"
    )
