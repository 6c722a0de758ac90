"""The graph as users have it: the data structure, with the tools as methods.  Imports all tools.

Each method is one line: the tool says what it does, here is what it is called.
"""

from __future__ import annotations

from collections.abc import Generator
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

from minigrad import by_step, edits, flow, graph, naming, pickling
from minigrad.backward import Step, backward_steps, begin, run
from minigrad.operators import functions
from minigrad.reports import Credit, GradientFlow, TruncationBias
from minigrad.tensor import Array, Tensor

if TYPE_CHECKING:
    from minigrad.render.options import PictureOptions


class Graph(graph.Graph):
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

    # backpropagation

    def backward_steps(
        self, grad: Any = None, *, create_graph: bool = False
    ) -> Generator[Step, None, None]:
        """Walk the backward pass node by node; see `backward.Step`.  Never writes `.grad`.

        grad: ∂loss/∂output (a tuple for several outputs), needed unless each output has one element.
        """
        return backward_steps(self, begin(self, grad, create_graph))

    def backward(
        self, grad: Any = None, *, create_graph: bool = False, retain_grads: bool = False
    ) -> None:
        """Add the gradient of every leaf to its `.grad`, all or nothing; retain_grads: write interior `.grad` too."""
        run(self, grad, create_graph=create_graph, retain_grads=retain_grads)

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
        from minigrad.program import backward_source

        return backward_source(self, grad)

    # edits

    def cut(self, edges: edits.Edges = None, *, mask: Any = None, **where: Any) -> Graph:
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
        self,
        edges: edits.Edges = None,
        max_norm: float | None = None,
        max_value: float | None = None,
        **where: Any,
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

    def grad_by_step(
        self, parameter: Tensor | str, norms: bool = False, axis: str | None = None
    ) -> Array:
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

    def to_dot(self, **options: Unpack[PictureOptions]) -> Any:
        """The picture as a `graphviz.Digraph` with every position pinned.

        view: "ops" every operation; "affine" sums of products with parameters as one; "blocks" one
        box for each module or scope; "cells" one box for each cell.  blocks: the block to open.
        time: "unrolled"; "rolled" one step for all, its states through delays; "both".
        steps: "all"; slices as "0:2,-2:"; "auto" leaves out the middle of what is too long to read.
        backward: edges reversed, coloured and widened by the gradient on that very edge.
        fit: "slide" or "column": no text under 12 pixels there, else wrapped, folded or elided.
        per_row: how many steps stand in one row before the next begins.
        scale: the decades (lo, hi) of the colours.  highlight: nodes with a thick red border.
        count_from: the number of the first step.  title: a line over the picture.
        legend: what the shapes mean.  labels: other names for values, as {"h": "H"}.
        values: data and gradient of what is one number, shape and mean of what is not.
        Raises TypeError or ValueError for an option that is none, before anything is drawn.
        """
        from minigrad import render

        return render.to_dot(self, **options)

    def render(self, path: str | PathLike[str], **options: Unpack[PictureOptions]) -> str:
        """Draw into a file whose suffix says the format (svg, png, pdf, gv, ...); returns the path.

        The options are those of `to_dot`: view, time, steps, backward, fit, per_row, scale,
        highlight, count_from, blocks, title, legend, labels, values.
        """
        from minigrad import render

        return render.render(self, path, **options)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from minigrad import render

        return render.mimebundle(self, include, exclude)

    def to_networkx(self) -> Any:
        """A `networkx.MultiDiGraph` (extra `networkx`): nodes by unique label, edges with their input position."""
        import networkx

        names = {
            node: name
            for name, node in naming.unique((naming.label(self, n), n) for n in self.nodes).items()
        }
        graph = networkx.MultiDiGraph()
        for node, name in names.items():
            graph.add_node(
                name,
                op=node.op.name if node.op else None,
                t=node.t,
                scope=node.scope,
                shape=node.shape,
            )
        graph.add_edges_from(
            (names[e.source], names[e.target], {"position": e.position}) for e in self.edges
        )
        return graph

    def __reduce__(self) -> Any:
        """Copies and pickles hold the nodes as a flat list; see `pickling`."""
        return pickling.build, pickling.flatten(self)


def _backward(loss: Tensor, *args: Any, **options: Any) -> None:
    Graph(loss).backward(*args, **options)


functions["backward"] = _backward
