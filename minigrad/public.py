"""The graph as users have it: the data structure, with the tools as methods.

Each method is one line.  The docstring stands where the code stands; `documented` copies it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from os import PathLike
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from minigrad import edits, flow, graph, measures, pickling, states
from minigrad.backward import Step, backward_steps, begin, run
from minigrad.cached import cached_property
from minigrad.checkup import checkup
from minigrad.edges import Edges
from minigrad.graph import Axes
from minigrad.operators import functions
from minigrad.reports import GradientFlow, GradientMatrix, TruncationBias
from minigrad.scope import caller
from minigrad.states import State
from minigrad.survey import Checkup
from minigrad.tensor import Array, Tensor

if TYPE_CHECKING:
    from minigrad.render.options import PictureOptions

F = TypeVar("F", bound=Callable[..., Any])


def documented(tool: Callable[..., Any]) -> Callable[[F], F]:
    """Give a method the docstring of the tool that it calls."""

    def copy(method: F) -> F:
        method.__doc__ = tool.__doc__
        return method

    return copy


class Graph(graph.Graph):
    """Everything that `outputs` were computed from.

    Reading: `len`, `nodes` (inputs before users), `leaves`, `parameters` (name → leaf), `edges`,
    `state_edges`, `states`, `axes`, `time_steps`, `at(t, axis)`, `find(op=, name=, t=, scope=)`.
    A graph is immutable: an edit returns a new graph on the same nodes.

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

    @cached_property
    def states(self) -> tuple[State, ...]:
        """Every state variable as one object: axis, scope, name, and its node in each step; see
        `states.State`."""
        return states.find(self)

    # backpropagation

    def backward_steps(
        self, grad: Any = None, *, create_graph: bool = False
    ) -> Generator[Step, None, None]:
        """Walk the backward pass node by node; see `backward.Step`.  Never writes `.grad`.

        grad: ∂loss/∂output (a tuple for several outputs), needed unless each output has one
        element.
        """
        return backward_steps(self, begin(self, grad, create_graph))

    @documented(run)
    def backward(
        self, grad: Any = None, *, create_graph: bool = False, retain_grads: bool = False
    ) -> None:
        run(self, grad, create_graph=create_graph, retain_grads=retain_grads)

    def backward_source(self, grad: Any = None) -> Any:
        """The backward pass of this very graph as a NumPy program: a text with `.arguments`, the
        arrays it starts from.

        It defines `backward(...)`, line by line under the forward lines, with the program's own
        names (`dh_3` is ∂loss/∂h at t = 3), and `backward_loop(...)` where time steps are alike.
        Both return ∂loss/∂parameter by name. Raises ValueError where something cannot be written
        down: a hook, a function without source text.

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

    @documented(edits.cut_edges)
    def cut(self, edges: Edges = None, *, mask: Any = None, **where: Any) -> Self:
        return edits.cut_edges(self, edges, mask=mask, **where)

    @documented(edits.truncate)
    def truncate(self, k: int, axis: Axes = None) -> Self:
        return edits.truncate(self, k, axis)

    @documented(edits.clip_edges)
    def clip_edges(
        self,
        edges: Edges = None,
        max_norm: float | None = None,
        max_value: float | None = None,
        *,
        mask: Any = None,
        **where: Any,
    ) -> Self:
        return edits.clip_edges(self, edges, max_norm, max_value, mask=mask, **where)

    # measures

    @documented(flow.gradient_flow)
    def gradient_flow(self, jacobians: bool | str = True, axis: Axes = None) -> GradientFlow:
        return flow.gradient_flow(self, jacobians, axis)

    @documented(checkup)
    def checkup(self, parameters: Any = None) -> Checkup:
        return checkup(self, parameters, frame=caller(sys._getframe(1)))

    @documented(measures.grad_by_step)
    def grad_by_step(
        self, parameter: Tensor | str, norms: bool = False, axis: Axes = None
    ) -> Array:
        return measures.grad_by_step(self, parameter, norms, axis)

    @documented(measures.values_by_step)
    def values_by_step(self, name: str, axis: str | None = None, scope: str | None = None) -> Array:
        return measures.values_by_step(self, name, axis, scope)

    @documented(measures.gradient_matrix)
    def gradient_matrix(self, state: str | None = None) -> GradientMatrix:
        return measures.gradient_matrix(self, state)

    @documented(measures.truncation_bias)
    def truncation_bias(self, k: int, axis: Axes = None) -> TruncationBias:
        return measures.truncation_bias(self, k, axis)

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
        """Draw into a file; its suffix says the format (svg, png, pdf, gv, html, ...).

        Returns the path.

        "x.html" is a page in which one plays the backward pass; lang="vi" writes Vietnamese there.

        The options are those of `to_dot`: view, time, steps, backward, fit, per_row, scale,
        highlight, count_from, blocks, title, legend, labels, values.
        """
        from minigrad import render

        return render.render(self, path, **options)

    def page(self, **options: Unpack[PictureOptions]) -> Any:
        """The graph as a page that one plays, in a frame of a notebook.

        The options are those of `to_dot`, and lang="vi"; `render("x.html")` writes it to a file.
        """
        from minigrad import render

        return render.page(self, **options)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from minigrad import render

        return render.mimebundle(self, include, exclude)

    def __reduce__(self) -> Any:
        """Copies and pickles hold the nodes as a flat list; see `pickling`."""
        return pickling.build, pickling.flatten(self)


def _backward(loss: Tensor, *args: Any, **options: Any) -> None:
    Graph(loss).backward(*args, **options)


functions["backward"] = _backward
