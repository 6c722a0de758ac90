"""The computation graph of one or more outputs, as an immutable object.  Imports `backward`, `naming`, `tensor`.

Its methods lead to the tools (`edits`, `flow`, `by_step`, ...), which are functions of a graph.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from functools import cached_property
from operator import attrgetter
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigrad import naming
from minigrad.backward import Numbers, Step, Traced, backward_steps, walk
from minigrad.scope import Axis
from minigrad.tensor import Array, Tensor, constant

if TYPE_CHECKING:
    from minigrad.edits import Edges
    from minigrad.reports import Credit, GradientFlow, TruncationBias

Tensors = Tensor | Iterable[Tensor]
Wanted = str | None  # a name to look for; None: any


class Edge(NamedTuple):
    """A value that flows from its producer `source` into input number `position` of `target`."""

    source: Tensor
    target: Tensor
    position: int


class Graph:
    """Everything that `outputs` were computed from.

    >>> import minigrad as mg
    >>> w, h = mg.tensor(0.2, requires_grad=True, name="w"), mg.tensor(0.9)
    >>> for t in range(3):
    ...     with mg.time_step(t): h = w * h
    >>> graph = mg.Graph(h); graph
    Graph: 3 time steps, 3 operations, 1 parameter: w () used 3 times
    >>> for step in graph.backward_steps(): print(step)
    t=2  h = w * h   dh 1 -> dw 0.036  dh_prev 0.2
    t=1  h = w * h   dh 0.2 -> dw 0.036  dh_prev 0.04
    t=0  h = w * h   dh 0.04 -> dw 0.036
    """

    numbers: type[Numbers] = Numbers  # how a pass over arrays adds up

    def __init__(self, *outputs: Tensor) -> None:
        if not outputs or not all(isinstance(y, Tensor) for y in outputs):
            found = ", ".join(type(y).__name__ for y in outputs) or "nothing"
            raise TypeError(f"Graph(loss, ...): tensors are needed, found {found}")
        self.outputs = outputs
        self.nodes: tuple[Tensor, ...] = tuple(self._walk())

    def inputs(self, node: Tensor) -> tuple[Tensor, ...]:
        """The tensors that flow into a node."""
        return node.inputs

    def _walk(self) -> list[Tensor]:
        """All nodes, inputs before users: creation order."""
        found = list(dict.fromkeys(self.outputs))
        seen = set(found)
        for node in found:  # grows while it is walked
            for x in self.inputs(node):
                if x not in seen:
                    seen.add(x)
                    found.append(x)
        found.sort(key=attrgetter("serial"))
        return found

    # what it holds

    @cached_property
    def order(self) -> list[Tensor]:
        """The nodes that the backward loop visits: operations on the way to a gradient, last first."""
        return [node for node in reversed(self.nodes) if node.op is not None and node._requires_grad]

    @cached_property
    def _first_siblings(self) -> set[Tensor]:
        return {*{id(node.call.outputs): node for node in self.order if node.call is not None}.values()}

    def is_first(self, node: Tensor) -> bool:
        """Whether the node is the earliest of those outputs of its call that are in the graph (or its only one)."""
        return node.call is None or node in self._first_siblings

    @cached_property
    def masking(self) -> bool:
        """Whether some `where` hides values that are not finite."""
        wheres = [node for node in self.order if node.op.name == "where"]  # type: ignore[union-attr]
        return not all(np.isfinite(v).all() for y in wheres for x, v in zip(y.inputs, y.arrays) if x._requires_grad)

    @cached_property
    def leaves(self) -> tuple[Tensor, ...]:
        """The nodes that no operation made."""
        return tuple(node for node in self.nodes if node.op is None)

    @cached_property
    def parameters(self) -> dict[str, Tensor]:
        """The leaves that require grad, by name."""
        return naming.unique((naming.label(self, leaf), leaf) for leaf in self.leaves if leaf._requires_grad)

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """All edges, in the order of their targets."""
        return tuple(Edge(x, node, k) for node in self.nodes for k, x in enumerate(self.inputs(node)))

    @cached_property
    def users(self) -> dict[Tensor, tuple[Edge, ...]]:
        """The edges out of each node."""
        table: dict[Tensor, list[Edge]] = {node: [] for node in self.nodes}
        for edge in self.edges:
            table[edge.source].append(edge)
        return {node: tuple(edges) for node, edges in table.items()}

    # time

    @cached_property
    def _positions(self) -> dict[tuple[Axis, int], int]:
        """The position of each step of each axis, axis by axis, in the order of their first visits in this graph."""
        visits: dict[Axis, dict[int, int]] = {}
        for node in self.nodes:
            if node.time is not None:
                visits.setdefault(node.time.axis, {}).setdefault(node.time.t, node.time.position)
        return {(axis, t): k for axis, at in visits.items() for k, t in enumerate(sorted(at, key=at.__getitem__))}

    @cached_property
    def axes(self) -> dict[str, Axis]:
        """The time axes by name, in order of appearance."""
        return naming.unique((axis.name, axis) for axis in dict.fromkeys(axis for axis, _ in self._positions))

    @cached_property
    def time_steps(self) -> tuple[int, ...]:
        """The steps that some node belongs to, axis by axis, in the order in which they were visited."""
        return tuple(dict.fromkeys(t for _, t in self._positions))

    def position(self, node: Tensor) -> tuple[Axis, int] | None:
        """The axis of a node and the position of its step there; None for a node outside of time."""
        return None if node.time is None else (node.time.axis, self._positions[node.time.axis, node.time.t])

    def at(self, t: int, axis: str | None = None) -> tuple[Tensor, ...]:
        """The nodes of one time step, of one axis or of all."""
        if axis is not None and axis not in self.axes:
            raise KeyError(f"axis {axis!r} is not in the graph; its axes: {', '.join(self.axes) or 'none'}")
        return tuple(n for n in self.find(t=t) if axis is None or (n.time and n.time.axis is self.axes[axis]))

    def find(
        self, *, op: Wanted = None, name: Wanted = None, t: int | None = None, scope: Wanted = None
    ) -> tuple[Tensor, ...]:
        """The nodes that match all that is given: operation, label, time step, a prefix of the scope's path."""
        prefix = "" if scope is None else f"{scope.rstrip('.')}."
        found = (
            n for n in self.nodes if op in (None, _op(n)) and t in (None, n.t) and f"{n.scope}.".startswith(prefix)
        )
        return tuple(node for node in found if name is None or naming.label(self, node) == name)

    @cached_property
    def state_edges(self) -> tuple[Edge, ...]:
        """The edges that carry state: they join consecutive positions of one axis.

        Edges that only accumulate the losses of the steps, and edges between axes, are not among them.
        """
        return tuple(e for e in self._between_steps() if self._is_consecutive(e) and not self._accumulates_loss(e))

    def _between_steps(self) -> Generator[Edge, None, None]:
        """The edges between steps: few of all, so that `edges` need not be made."""
        for node in self.nodes:
            if node.time is not None:
                for k, x in enumerate(self.inputs(node)):
                    if x.time is not None and x.time is not node.time:
                        yield Edge(x, node, k)

    @cached_property
    def crossings(self) -> dict[tuple[Tensor, int], tuple[Edge, ...]]:
        """The state edges from one source into one step, taken together: (source, position of the step) → edges."""
        table: dict[tuple[Tensor, int], tuple[Edge, ...]] = {}
        for edge in self.state_edges:
            crossing = edge.source, self.position(edge.target)[1]  # type: ignore[index]  # state is in time
            table[crossing] = (*table.get(crossing, ()), edge)
        return table

    def _is_consecutive(self, edge: Edge) -> bool:
        source, target = self.position(edge.source), self.position(edge.target)
        return source is not None and target == (source[0], source[1] + 1)

    @cached_property
    def _summed(self) -> set[Tensor]:
        """The nodes whose every path to an output only sums: add, subtract, sum, mean, negative, constant factors."""
        summed: set[Tensor] = set()
        for node in reversed(self.nodes):
            last = node.size == 1  # what the total goes through after the last step does not matter
            if all(e.target in summed and _sums(e) for e in self.users[node] if not (last and e.target.time is None)):
                summed.add(node)
        return summed

    def _accumulates_loss(self, edge: Edge) -> bool:
        """Whether an edge between steps only adds to a total: another loss is added to it, and nothing else done.

        What an unroller calls a state is one, and so is what its next step reads in another way, scales, or what has
        several features.  A hand-written `h = h + w` of one number with a linear readout looks like a total, and counts
        as one.
        """
        source, node, position = edge
        return (
            (_op(node) in ("add", "concatenate", "stack") or (_op(node), position) == ("subtract", 0))
            and source.role is None
            and (source.ndim < 2 or source.shape[-1] < 2)
            and all(_sums(e) and e.target in self._summed for e in self.users[source] if e.target.time == node.time)
            and all(x.op is not None or x._requires_grad for x in self.inputs(node))
        )

    # backpropagation

    def backward_steps(self, grad: Any = None, *, create_graph: bool = False) -> Generator[Step, None, None]:
        """Walk the backward pass node by node; see `backward.Step`.  Never writes `.grad`.

        grad: ∂loss/∂output (a tuple for several outputs), needed unless each output has one element.
        """
        return backward_steps(self, self._pending(grad, create_graph))

    def backward(self, grad: Any = None, *, create_graph: bool = False, retain_grads: bool = False) -> None:
        """Add the gradient of every leaf to its `.grad`, all or nothing; retain_grads: write interior `.grad` too."""
        pending = self._pending(grad, create_graph)
        if not create_graph:
            anomaly.note_walk(self)
        retained = [step for step in walk.get()(self, pending) if retain_grads]
        for step in retained:
            step.node._grad = _as_tensor(step.grad)
        for leaf, dx in pending.sums.items():
            leaf._grad = _as_tensor(dx if leaf._grad is None else leaf._grad + dx)

    def backward_source(self, grad: Any = None) -> Any:
        """The backward pass of this very graph as a NumPy program: a text with `.arguments`, the arrays it starts from.

        It defines `backward(...)`, line by line under the forward lines, with the program's own names (`dh_3` is
        ∂loss/∂h at t = 3), and `backward_loop(...)` where time steps are alike.  Both return ∂loss/∂parameter by name.
        Raises ValueError where something cannot be written down: a hook, a function without source text.

        >>> import minigrad as mg
        >>> w, h = mg.tensor(0.2, requires_grad=True, name="w"), mg.tensor(0.9)
        >>> for t in range(3):
        ...     with mg.time_step(t): h = w * h
        >>> source, program = mg.Graph(h).backward_source(), {}
        >>> exec(source, program)
        >>> program["backward"](**source.arguments)
        {'w': array(0.108, dtype=float32)}
        """
        from minigrad.debugger.backward_source import backward_source

        return backward_source(self, grad)

    def _pending(self, grad: Any, create_graph: bool) -> Numbers:
        """The start of a pass: ∂loss/∂output at each output."""
        pending = Traced(self.masking) if create_graph else self.numbers(self.masking)
        for output, seed in zip(self.outputs, self._seeds(grad), strict=True):
            own = pending.own(seed, output)
            pending.sums[output] = pending.join(output, pending.sums[output], own) if output in pending.sums else own
        return pending

    def _seeds(self, grad: Any) -> list[Any]:
        """∂loss/∂output for each output, checked."""
        one = len(self.outputs) == 1
        several = isinstance(grad, tuple | list) and (not one or np.shape(grad[0]) == self.outputs[0].shape)
        grads = grad if several else [grad] * len(self.outputs)
        if len(grads) != len(self.outputs):
            raise ValueError(f"grad: one for each of the {len(self.outputs)} outputs is needed, found {len(grads)}")
        return [self._seed(output, seed) for output, seed in zip(self.outputs, grads)]

    def _seed(self, y: Tensor, seed: Any) -> Any:
        value = np.ones(y.shape) if seed is None else getattr(seed, "_array", seed)
        if not y._requires_grad:
            problem = "does not depend on any tensor that requires grad"
        elif seed is None and y.size != 1:
            problem = f"has shape {y.shape}; reduce it with .mean() or .sum(), or pass grad=∂loss/∂output"
        elif np.shape(value) != y.shape:
            problem = f"has shape {y.shape}, and grad= has shape {np.shape(value)}"
        elif not np.isfinite(value).all():
            problem = "cannot start from a gradient that is not finite: grad= holds NaN or infinity"
        else:
            return value if seed is None else seed
        raise ValueError(f"backward: {naming.label(self, y)} {problem}")

    # edits

    def cut(self, edges: Edges = None, *, mask: Any = None, **where: Any) -> Graph:
        """The graph with no gradient along the chosen edges.

        edges: an `Edge`, several, a predicate, or None: all that carry state.  where: which of them, by name= or op=
        of the source (an LSTM's "h" or "c"), t= of the step led into, axis=, scope= of the source.
        mask: bool (B), or (T, B) by time step: cut those rows of the batch only.
        Warns of parameters that get no gradient any more.
        """
        return edits.cut_edges(self, edges, mask=mask, **where)

    def truncate(self, k: int) -> Graph:
        """The graph in which no gradient path has more than k steps of any axis: truncated BPTT.

        Crossings are cut at every k-th boundary, counted back from the last step; k ≥ T changes nothing.
        """
        return edits.truncate(self, k)

    def clip_edges(
        self, edges: Edges = None, max_norm: float | None = None, max_value: float | None = None, **where: Any
    ) -> Graph:
        """The graph in which the gradient that crosses each time step has at most this norm, or these values.

        edges, where, mask=: as in `cut`; with mask= the limit holds for each chosen row by itself.  Several edges
        from one source into one step are one crossing: the limit is for their sum.  The backward pass raises
        FloatingPointError for a gradient that is not finite.

        >>> import minigrad as mg
        >>> w, h = mg.tensor(3.0, requires_grad=True), mg.tensor(1.0)
        >>> for t in range(3):
        ...     with mg.time_step(t): h = w * h
        >>> graph = mg.Graph(h)
        >>> graph.backward(); w.grad
        tensor(27)
        >>> w.grad = None; graph.clip_edges(max_norm=1).backward(); w.grad
        tensor(13)
        """
        return edits.clip_edges(self, edges, max_norm, max_value, **where)

    # measures: each runs a pass of its own

    def gradient_flow(self, jacobians: bool | str = True) -> GradientFlow:
        """How ∂loss/∂state changes from step to step, with a verdict for each state: a `reports.GradientFlow`.

        jacobians: True estimates the gain of ∂s_t/∂s_{t−1} at some steps, for a tenth of a pass; "all" at
        all steps; "exact" is its largest singular value at all steps; False leaves it out.

        >>> import minigrad as mg
        >>> w, h = mg.tensor(0.5, requires_grad=True), mg.tensor(1.0)
        >>> for t in range(4):
        ...     with mg.time_step(t): h = w * h
        >>> print(mg.Graph(h).gradient_flow(jacobians="all"))
        axis time
        t  total  crossing  ratio  jacobian
        3      1         ·      ·       0.5
        2    0.5       0.5    0.5       0.5
        1   0.25      0.25    0.5       0.5
        0  0.125     0.125    0.5         ·
        h: vanishing, ×0.5 a step; |dh| 1 at t=3, 0.125 at t=0; memory 10 steps
        """
        return flow.gradient_flow(self, jacobians)

    def grad_by_step(self, parameter: Tensor | str, norms: bool = False, axis: str | None = None) -> Array:
        """The gradient that each time step adds to a shared parameter: (T, *shape), in the order of t.

        norms: only their norms (T), without holding T copies.  axis: needed where several axes use the parameter.
        Raises ValueError for a parameter that is not used in a time step.  Warns of a part that arises outside.
        """
        return by_step.grad_by_step(self, parameter, norms, axis)

    def values_by_step(self, name: str, axis: str | None = None, scope: str | None = None) -> Array:
        """The values of a variable or state, one row per time step that has it: (T, *shape), in the order of t.

        Of stacked layers in which the name occurs: those of the last one, unless `scope` says which.
        """
        return by_step.values_by_step(self, name, axis, scope)

    def credit(self, state: str | None = None) -> Credit:
        """‖∂loss_t'/∂state_t‖ for all pairs of steps, a `reports.Credit`: which past each step's loss speaks to."""
        return by_step.credit(self, state)

    def truncation_bias(self, k: int) -> TruncationBias:
        """How much gradient `truncate(k)` throws away: norm ratio and angle to the full gradient, per parameter."""
        return by_step.truncation_bias(self, k)

    # how it looks

    def to_dot(self, **options: Any) -> Any:
        """The picture as a `graphviz.Digraph`; the options are those of `minigrad.render.to_dot`."""
        from minigrad import render

        return render.to_dot(self, **options)

    def render(self, path: str | PathLike[str], **options: Any) -> str:
        """Draw into a file whose suffix says the format (svg, png, pdf, gv, ...); returns the path."""
        from minigrad import render

        return render.render(self, path, **options)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from minigrad import render

        return render.mimebundle(self, include, exclude)

    def to_networkx(self) -> Any:
        """A `networkx.MultiDiGraph` (extra `networkx`): nodes by unique label, edges with their input position."""
        import networkx

        names = {node: name for name, node in naming.unique((naming.label(self, n), n) for n in self.nodes).items()}
        graph = networkx.MultiDiGraph()
        for node, name in names.items():
            graph.add_node(name, op=node.op.name if node.op else None, t=node.t, scope=node.scope, shape=node.shape)
        graph.add_edges_from((names[e.source], names[e.target], {"position": e.position}) for e in self.edges)
        return graph

    def __reduce__(self) -> Any:
        """Copies and pickles hold the nodes as a flat list; see `pickling`."""
        return pickling.build, pickling.flatten(self)

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        return naming.summary(self)


def _op(node: Tensor) -> str:
    return node.op.name if node.op else ""


def _sums(edge: Edge) -> bool:
    """Whether the target only sums: it is linear with constant factors, and reduces or adds."""
    name, k = _op(edge.target), edge.position
    if name == "multiply" or (name, k) == ("divide", 0):
        return not edge.target.inputs[1 - k]._requires_grad
    return name in ("add", "subtract", "negative", "sum", "mean", "stack", "concatenate", "reshape", "expand_dims")


def _as_tensor(grad: Any) -> Tensor:
    return grad if isinstance(grad, Tensor) else constant(grad)


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
    pending, interior = graph._pending(grad_outputs, create_graph), {x for x in wanted if x.op is not None}
    found = {step.node: step for step in walk.get()(graph, pending) if step.node in interior}
    grads = {node: step.grad for node, step in found.items()} | pending.sums
    for k, x in enumerate(wanted):
        if x not in grads and not allow_unused:
            why = "the outputs do not depend on it" if x._requires_grad else "it does not require grad"
            hint = "or pass allow_unused=True"
            raise ValueError(f"grad: no gradient for input number {k}, {x.name or x!r}: {why}; {hint}")
    return tuple([_as_tensor(grads[x]) if x in grads else None for x in wanted])


from minigrad import anomaly, by_step, edits, flow, pickling  # noqa: E402 - the tools are functions of graphs
