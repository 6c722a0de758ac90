"""The gradients of a pass: how they add up, how rules are run, over arrays or over tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad import naming
from minigrad.fitting import fit
from minigrad.graph import Graph
from minigrad.primitive import Primitive, Scatter, primitive
from minigrad.scope import Scope, recorded
from minigrad.tensor import Array, Tensor, fitted

InputGrads = list[tuple[Tensor, Any]]  # each input of a node, and its gradient or None


class GradTable:
    """The gradients of a pass over arrays, and what the loop does with them.

    When the loop comes to a node, its gradient is made `complete` (whole, locked, changed by
    hooks).  The `rules` of the node turn it into one gradient for each input, and `join` adds
    these to what other users of the input have sent.

    grads: the sum of what has arrived at each node so far: an array, or a `Scatter` from an
    indexing.  owned: the nodes whose sum is an array made here, to which the loop may add in
    place.  siblings: the gradients of all outputs of a call with several.
    plain: whether an array that has arrived is the gradient as it is, and is only locked.
    """

    plain = True

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.guards = graph.guards_infinities
        self.grads: dict[Tensor, Any] = {}
        self.owned: set[Tensor] = set()
        self.siblings: dict[int, list[Any]] = {}

    # gradients that arrive

    def join(self, x: Tensor, before: Any, dx: Any) -> Any:
        """The sum of the contributions to the gradient of x so far, and one more.

        The first sum is a new array, because `before` may also be the gradient of another node.
        """
        if x not in self.owned:
            self.owned.add(x)
            if type(before) is Array and type(dx) is Array:
                return np.asarray(before + dx)
            before = before.dense(x) if type(before) is Scatter else np.array(before)
        return dx.add_into(before) if type(dx) is Scatter else np.add(before, dx, before)

    def complete(self, x: Tensor, dy: Any) -> Any:
        """The gradient of x, complete; None if x needs no step.

        dy: the sum of what has arrived, or None.  One of several outputs may get zeros: the rule
        of all outputs runs at the one that the loop reaches last, even if nothing arrived there.
        """
        if dy is not None:
            dy = self.arrived(x, dy)
        if dy is None and x in self.graph.first_outputs:
            assert x.call is not None
            if id(x.call.outputs) in self.siblings:
                dy = self.own(np.zeros(x.shape, x.dtype), x)
        return dy

    def arrived(self, x: Tensor, dy: Any) -> Any:
        """The gradient of x, whole and locked, after its hooks."""
        if type(dy) is Array:
            dy.setflags(False)  # type: ignore[call-arg]  # positional: half the time
        else:
            dy = self.shown(x, dy)
        return self.hooked(x, dy) if x._hooks else dy

    def shown(self, x: Tensor, dx: Any) -> Any:
        """A gradient of x, or one contribution to it, as a whole array that is locked."""
        if dx is None:
            return None
        dx = dx.dense(x) if type(dx) is Scatter else dx
        dx.setflags(False)
        return dx

    def hooked(self, x: Tensor, dy: Any) -> Any:
        """The gradient of x after its hooks."""
        for hook in x._hooks:
            changed = hook(dy)
            dy = dy if changed is None else self.own(changed, x)
        return dy

    def own(self, grad: Any, x: Tensor) -> Any:
        """A gradient from the user as this pass keeps it; ValueError if its shape is another."""
        return fitted(grad, x, "a gradient of")._array

    # rules

    def rules(
        self, node: Tensor, dy: Any, inputs: Sequence[Tensor], y: Any = None, arrays: Any = ()
    ) -> InputGrads:
        """Run the rules of a node: each input and its gradient, in its shape and dtype.

        The gradient is None where the input needs none.  y, arrays: the result and the operands
        that the rules get, by default the arrays of the call.
        """
        if y is None:
            y, arrays = node._array, node.arrays
        op: Primitive = node.op
        try:
            if op.joint is not None or node.call is not None or node.constants or self.guards:
                return self._any_rules(node, dy, inputs, y, arrays)
            if len(inputs) == 2:  # written out: a loop over two rules costs half as much again
                (a, b), (x, z), (one, two) = arrays, inputs, op.rules
                da = db = None
                if x._requires_grad:
                    one = one or op.missing_rule(0)
                    da = fit(one(dy, y, a, b), x, node, one)
                if z._requires_grad:
                    two = two or op.missing_rule(1)
                    db = fit(two(dy, y, a, b), z, node, two)
                return [(x, da), (z, db)]
            if len(inputs) == 1:
                (a,), (x,), (one,) = arrays, inputs, op.rules
                one = one or op.missing_rule(0)
                return [(x, fit(one(dy, y, a), x, node, one) if x._requires_grad else None)]
            return self._any_rules(node, dy, inputs, y, arrays)
        except Exception as error:
            error.add_note(naming.describe(self.graph, node, "in the backward pass of "))
            raise

    def _any_rules(
        self, node: Tensor, dy: Any, inputs: Sequence[Tensor], y: Any, arrays: Any
    ) -> InputGrads:
        """Run the rules of any node: one for all inputs, or one for each."""
        op: Primitive = node.op
        if node.call is not None:
            dy = self.gathered(node, dy)
            if dy is None:
                return [(x, None) for x in inputs]
        if op.joint is not None:
            return self._joint_rule(node, dy, inputs, y, arrays)
        found: InputGrads = []
        for k, x in enumerate(inputs):
            dx = None
            if x._requires_grad:
                rule = op.rules[k] or op.missing_rule(k)
                run = guarded(rule) if self.guards and op.elementwise else rule
                dx = fit(run(dy, y, *arrays, **node.constants), x, node, rule)
            found.append((x, dx))
        return found

    def _joint_rule(
        self, node: Tensor, dy: Any, inputs: Sequence[Tensor], y: Any, arrays: Any
    ) -> InputGrads:
        """Run the one rule for all inputs."""
        op: Primitive = node.op
        assert op.joint is not None
        if node.call is not None and not isinstance(y, tuple):
            y = node.call.outputs
        grads = op.joint(dy, y, *arrays, **node.constants)
        if not isinstance(grads, tuple | list) or len(grads) != len(inputs):
            wanted = f"a gradient for each of the {len(inputs)} inputs"
            raise TypeError(f"{op.joint.__name__} must return {wanted}")
        found: InputGrads = []
        for x, dx in zip(inputs, grads):
            found.append((x, fit(dx, x, node, op.joint) if x._requires_grad else None))
        return found

    # calls with several outputs: their rule runs once, at the output that the loop reaches last

    def gathered(self, node: Tensor, dy: Any) -> Any:
        """The gradient that the rules get: for the output reached last, those of all, as a tuple.

        The other outputs get None: their rule has to wait.
        """
        if node.call is None or isinstance(dy, tuple):
            return dy
        outputs, which = node.call
        group = self.siblings.get(id(outputs))
        if group is None:
            group = self.siblings[id(outputs)] = [None] * len(outputs)
        group[which] = dy
        return tuple(group) if node in self.graph.first_outputs else None

    def forget_siblings(self, node: Tensor) -> None:
        """Let the gradients of all outputs of a call go, once its rule has run."""
        if node in self.graph.first_outputs:
            del self.siblings[id(node.call.outputs)]  # type: ignore[union-attr]


class Sparse(GradTable):
    """A pass over arrays that leaves out exact zeros, so that a cut saves the work behind it."""

    plain = False

    def arrived(self, x: Tensor, dy: Any) -> Any:
        """Like every pass; but of an operation, no gradient in place of zeros."""
        dy = super().arrived(x, dy)
        return dy if x.op is None or not dy.size or dy.item(0) or dy.any() else None


class Traced(GradTable):
    """A pass over tensors (create_graph=True): the operations in the rules become nodes too.

    A new node gets the time step of the forward node whose rule made it, and the scope
    `<its scope>.backward`.
    """

    def join(self, x: Tensor, before: Any, dx: Any) -> Any:
        """A list of the contributions: one node adds all of them up, when they are complete."""
        if not isinstance(before, list):
            return [before, dx]
        before.append(dx)
        return before

    def shown(self, x: Tensor, dx: Any) -> Any:
        """The sum of a list of contributions, or the one that there is, as a tensor."""
        if not isinstance(dx, list | Scatter):
            return dx
        parts, places = [], []
        for part in dx if isinstance(dx, list) else [dx]:
            part = part if isinstance(part, Scatter) else Scatter(..., part)
            parts.append(part.value)
            places.append(part.index)
        with self.recorded(x):
            return add_up(*parts, places=tuple(places), shape=x.shape, dtype=x.dtype)

    def own(self, grad: Any, x: Tensor) -> Any:
        """A gradient that the user gives, checked; it keeps its history."""
        return fitted(grad, x, "a gradient of")

    def rules(self, node: Tensor, dy: Any, inputs: Sequence[Tensor], *_: Any) -> InputGrads:
        """Run the rules on tensors, and record what they do."""
        dy = self.gathered(node, dy)
        if dy is None:
            return [(x, None) for x in inputs]
        check_operands(node)
        op: Primitive = node.op
        with self.recorded(node):
            if op.once:
                return self._once(node, dy, inputs)
            y = node if node.call is None else op.record(*node.inputs, **node.constants)
            operands = [
                x if isinstance(value, Array) else value
                for x, value in zip(node.inputs, node.arrays)
            ]
            return super().rules(node, dy, inputs, y, operands)

    def _once(self, node: Tensor, dy: Any, inputs: Sequence[Tensor]) -> InputGrads:
        """Run rules in arbitrary Python on arrays; what they give cannot be differentiated."""
        several = dy if node.call is not None else (dy,)
        arrays = tuple([None if d is None else d._array for d in several])
        found: InputGrads = []
        for x, dx in super().rules(node, arrays if node.call else arrays[0], inputs):
            if dx is not None:
                dx = once_differentiated(dx, *inputs, op=node.op.name)
            found.append((x, dx))
        return found

    def recorded(self, node: Tensor) -> recorded:
        """Record operations at the place of a forward node, in a scope `backward`."""
        scope = Scope("backward", node._scope, None, node)
        return recorded(enabled=True, tracing=True, time=node.time, scope=scope)


def check_operands(node: Tensor) -> None:
    """Raise if an input has got other numbers since the forward pass."""
    for k, (x, value) in enumerate(zip(node.inputs, node.arrays)):
        if isinstance(value, Array) and x._array is not value:
            which = f"input {node.op.input_name(k)} of {node.op.name}, {x.name or x!r},"
            raise RuntimeError(
                f"create_graph=True: {which} was rebound after the forward pass; "
                "run the forward pass again"
            )


def guarded(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of an elementwise operation, in which a gradient of zero stays zero.

    Behind a `where` that hides an infinity, 0 · ∞ is 0.
    """

    def run(dy: Any, *rest: Any, **constants: Any) -> Any:
        with np.errstate(all="ignore"):
            dx = rule(dy, *rest, **constants)
            return None if dx is None else np.where((dy == 0) & np.isnan(dx), 0, dx)

    return run


@primitive
def add_up(*parts: Any, places: Any, shape: Any, dtype: Any) -> Any:
    """All contributions to one gradient in one node:  y = Σ parts, each at its place.

    The place `...` is the whole array.
    """
    y = np.zeros(shape, dtype)
    for part, place in zip(parts, places, strict=True):
        Scatter(place, part).add_into(y)
    return y


@add_up.gradients
def add_up_dparts(
    dy: Any, y: Any, *parts: Any, places: Any, shape: Any, dtype: Any
) -> tuple[Any, ...]:
    """Each part gets what flows back from its place."""
    return tuple([dy if place is ... else dy[place] for place in places])


@primitive
def once_differentiated(dx: Any, *sources: Any, op: str) -> Any:
    """A gradient from a rule in arbitrary Python: nobody knows how it depends on the sources."""
    return dx


@once_differentiated.gradients
def once_differentiated_dsources(dy: Any, y: Any, dx: Any, *sources: Any, op: str) -> Any:
    """Refuse."""
    raise NotImplementedError(
        f"{op} is a primitive(once=True): its rules cannot be differentiated a second time"
    )
