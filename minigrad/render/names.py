"""What the things in a picture are called, and what is written into a box of one operation."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minigrad import naming
from minigrad.cached import cached_property
from minigrad.graph import Graph
from minigrad.language import say
from minigrad.operators import functions
from minigrad.render import look, typeset
from minigrad.render.nodes import RESHAPES, TRANSPOSES, forward_of, op_name
from minigrad.render.operands import (
    MAKERS,
    in_library,
    is_private,
    is_taken,
    operand,
    singular,
)
from minigrad.render.read import Feed, Reading, Value
from minigrad.tensor import Tensor

MANY = 2  # an operation on more values than this says how many


class Leaves(NamedTuple):
    """Arrays that enter operations.

    written: operands that the program wrote as numbers, which stand in the boxes: not one that is
    not the same in all steps, or is taken out of an array, or stands where later steps have a
    state.  entering: those in whose place other steps have others, or that are taken out of an
    array in each step.  constants: those that are the same in all steps, though each step makes a
    leaf of them.
    """

    written: set[Tensor]
    entering: set[Tensor]
    constants: set[Tensor]


class Names:
    """Names of values.

    labels: what the reader wants to see in place of a name.  rolled: one step stands for all, with
    the number t.  first: the number of the first step.
    """

    def __init__(
        self, reading: Reading, labels: Mapping[str, str], rolled: bool = False, first: int = 0
    ) -> None:
        self.reading, self.graph = reading, reading.graph
        self.labels, self.rolled, self.first = labels, rolled, first
        scalars = [y for y in dict.fromkeys(self.graph.outputs) if y.size == 1]
        called = [(self.result_of(y) or "L", y) for y in scalars if forward_of(y) is None]
        self.losses = {y: name for name, y in naming.unique(called).items()}

    def shown(self, name: str) -> str:
        """A name as the reader wants to see it."""
        return typeset.renamed(name, self.labels)

    def indexed(self, name: str, value: Value) -> str:
        """A name as the reader wants to see it, with the step of a value as a subscript."""
        return typeset.indexed(self.shown(name), self.number(value))

    def number(self, value: Value) -> str:
        """The step of a value as a subscript."""
        if self.rolled and value.time:
            return "ₜ"
        return ",".join(look.subscript(t + self.first) for _, t in value.time)

    # names

    def variable(self, node: Tensor) -> str:
        """The variable that a node was assigned to; local variables of the library are nobody's
        business."""
        if node.name:
            return node.name
        if forward_of(node) is not None:
            return ""
        name = "" if is_private(node._code) else naming.variable(self.graph, node)
        return name or self.name_of_view(node)

    def name_of_view(self, node: Tensor) -> str:
        """The variable that a value was assigned to after it was only rearranged: y of `y =
        f(x).T`."""
        users = self.graph.users.get(node, ())
        view = users[0].target if len(users) == 1 else None
        if view is None or op_name(view) not in TRANSPOSES | RESHAPES:
            return ""
        return self.variable(view) if view in self.reading.folded else ""

    def result_of(self, node: Tensor) -> str:
        """What a node is called by the nearest assignment: of itself, or of the call that returns
        it."""
        name, returned = self.variable(node), node._scope
        while not name and forward_of(node) is None and self.last_of.get(returned) is node:
            assert returned is not None
            if node.time is not None and returned in self.loops:
                break  # what one step makes is not all that is returned
            name, returned = returned.called_from.variable(), returned.parent
        return name

    @cached_property
    def last_of(self) -> dict[Any, Tensor]:
        """What each call of a module returns, as far as one can tell: the last value made in it."""
        found: dict[Any, Tensor] = {}
        for value in reversed(self.reading.drawn):
            scope = value.node._scope
            while scope is not None and scope not in found:
                found[scope] = value.node
                scope = scope.parent
        return found

    @cached_property
    def loops(self) -> set[Any]:
        """The calls of modules that make something in several steps."""
        times = defaultdict[Any, set[Any]](set)
        for value in self.reading.drawn:
            scope = value.node._scope if value.node.time is not None else None
            while scope is not None and value.time not in times[scope]:
                times[scope].add(value.time)
                scope = scope.parent
        return {scope for scope, found in times.items() if len(found) > 1}

    def origin(self, node: Tensor) -> Any:
        """The call of a module, or the file of the library's functions, in which a node was
        made."""
        code = node._code
        return node._scope or (code.co_filename if code and in_library(code) else "")

    def function(self, values: Sequence[Value]) -> str:
        """The function of the library that made some values, and no module's: "cross_entropy"."""
        made = [(value.node._code, value.node._scope) for value in values]
        codes = [
            code for code, scope in made if code and (scope is None or scope.name == code.co_name)
        ]
        names = [code.co_name for code in codes if in_library(code) and code.co_name[0] != "_"]
        alone = all(in_library(code) for code, _ in made)
        return names[0] if names and alone else ""

    def class_of(self, values: Sequence[Value], layer: str) -> str:
        """The class of the cell that some values are computed by: the one whose `forward` the layer
        calls."""
        for value in reversed(values):
            scope: Any = value.node._scope
            code = value.node._code
            while scope is not None and scope.path != layer and scope.path.startswith(layer):
                scope, code = scope.parent, scope.code
            parts = (code.co_qualname if code else "").split(".")
            if len(parts) > 1 and parts[-1] == "forward":
                return parts[-2].removesuffix("Cell").lstrip("_") or parts[-2]
        return ""

    # labels

    @cached_property
    def slots(self) -> dict[Any, dict[Tensor, Value]]:
        """The arrays that enter each input of each line of the program, and who takes them."""
        found = defaultdict[Any, dict[Tensor, Value]](dict)
        for value in self.reading.values:
            for feed in value.feeds:
                if not (feed.source.op or feed.source.node._requires_grad):
                    found[value.site, feed.position][feed.source.node] = value
        return found

    @cached_property
    def leaves(self) -> Leaves:
        """The arrays that enter operations, told apart by all that enter at their place."""
        found = Leaves(set(), set(), set())
        states = {(value.site, feed.position) for value, feed, _ in self.reading.crossings}
        for (site, k), users in self.slots.items():
            leaves, user = [*users], next(iter(users.values())).node
            wrapped, taken = [x for x in leaves if is_wrapped(x)], is_taken(user, k)
            numbers = {x: x.item() for x in wrapped if x.ndim == 0}
            changes = bool(user.time) and len({*numbers.values()}) > 1
            if not (changes or taken or (site, k) in states):
                found.written.update(numbers)
            if len({value.time for value in users.values()}) > 1:
                if taken or _differ(leaves):
                    found.entering.update(leaves)
                elif k < len(user.inputs):
                    found.constants.update(wrapped)
        found.constants.difference_update(found.entering)
        return found

    def numbers(self, node: Tensor) -> list[str]:
        """For each input the number that it is, or "" where it is not a bare number."""
        inputs = self.graph.inputs(node)
        numbers = [f"{x.item():g}" if x in self.leaves.written else "" for x in inputs]
        begins = op_name(node) == "add" and "0" in numbers  # what Python's sum begins with
        return [""] * len(numbers) if begins else numbers

    def symbol(self, node: Tensor) -> str:
        """The sign of an operation, with the numbers in it."""
        op, numbers = op_name(node), self.numbers(node)
        symbol = look.SYMBOLS.get(op, op)
        if op == "power" and numbers[1]:
            return "x²" if numbers[1] == "2" else f"x^{numbers[1]}"
        if any(numbers) and op in look.ELEMENTWISE:
            return symbol.join(numbers) if len(numbers) > 1 else symbol
        if op in ("stack", "concatenate") and len(node.inputs) > MANY:
            return say("{symbol} of {n}", symbol=symbol, n=len(node.inputs))
        return symbol

    def describe(self, value: Value) -> tuple[str, str]:
        """Kind and label of the box of one operation."""
        if value.is_input:
            return "input", self.input_name(value)
        symbol, name = self.symbol(value.node), self.losses.get(value.node)
        sign = value.op in look.ELEMENTWISE and len(symbol) == 1
        if value.state:
            return self.reading.kind_of_state(value.state) if sign else "state box", symbol
        if name is not None:
            return "loss", f"{symbol} {self.shown(name)}"
        name = self.beside_symbol(value)
        if name and name != value.op:
            symbol, sign = f"{symbol} {self.shown(name)}", False
        if sign:
            return "elementwise", symbol
        if look.is_nonlinear(value.node.op):
            return "nonlinear", symbol
        return "matmul" if value.op in look.PRODUCTS else "operation", symbol

    def beside_symbol(self, value: Value) -> str:
        """The name that stands beside the sign of an operation: its variable, or what it stacks."""
        if value.forward is not None:
            return self.gradient_name(value)
        name = self.variable(value.node)
        if name or value.op not in ("stack", "concatenate"):
            return name
        states = {source.state for source in value.sources}
        return states.pop() if len(states) == 1 else ""

    def gradient_name(self, value: Value) -> str:
        """In a traced backward pass: whose gradient is summed up in a value."""
        forward = value.forward
        if forward is None or value.op != "add_up":
            return ""
        name = forward.role.name if forward.role is not None else self.variable(forward)
        if not name and forward.op is None:
            name = naming.label(self.graph, forward)
        return f"∂{name.split('.')[-1]}" if name else ""

    def operations(self, values: Sequence[Value]) -> str:
        """The operations that a box stands for, in a few characters."""
        symbols = [self.symbol(value.node) for value in values]
        text = " ".join(symbols)
        if len(values) <= 4 and len(text) <= 16:
            return text
        return self.function(values) or say("{n} operations", n=len(values))

    # leaves

    def input_name(self, value: Value) -> str:
        """What an input of a time step is called."""
        node = value.node
        name = node.role.name if node.role is not None and value.role == "input" else ""
        if not name and value.op:
            name = self.variable(node) or singular(naming.label(self.graph, node.inputs[0]))
        return self.indexed(name, value)

    def own(self, leaf: Tensor) -> str:
        """The variable that the program, and not the library, assigned a leaf to."""
        return "" if in_library(leaf._code) else naming.variable(self.graph, leaf)

    def array(self, user: Value, feed: Feed) -> str:
        """What an array is called that enters a step: its name, its variable, its text in the
        program; else x."""
        node = feed.source.node
        role = node.role.name if node.role is not None else ""
        name = node.name or role or self.own(node) or operand(user.node, feed.position)
        if feed.source.part is not None:
            name = singular(name)
        if not re.fullmatch(r"[\w.]*|.*\)", name):  # an expression, before the number of its step
            name = f"({name})"
        if not name and feed.position == len(user.node.inputs):
            return "index"
        if not name and user.op in look.PRODUCTS:
            return "x"
        scope = user.node._scope if is_private(user.node._code) else None
        return name or (scope.name if scope is not None else "array")  # the mask of Dropout, say

    def initial(self, leaf: Value, lane: str, step: int) -> str:
        """What the initial value of a state is called; step: the number of the one it stands
        for."""
        name = naming.label(self.graph, leaf.node)
        if name in ("constant", lane) or re.fullmatch(r"s\d+_init", name):
            name = f"{lane.removesuffix('_t')}_init"
            if step < -1:
                name = typeset.indexed(lane, look.subscript(step + self.first))
        return self.shown(name)

    def parameter(self, user: Value, feed: Feed) -> str:
        """What the tag of a parameter, or of a constant that many use, says."""
        name = self.parameter_names.get(feed.source.node)
        return self.shown(name) if name else self.constant(user, feed)

    @cached_property
    def parameter_names(self) -> dict[Tensor, str]:
        """The parameters of the graph by their names."""
        return {leaf: name for name, leaf in self.graph.parameters.items()}

    def constant(self, user: Value, feed: Feed) -> str:
        """What is written into the box of a leaf that is no parameter, no input and no state."""
        node = feed.source.node
        if node.dtype.kind == "b":
            return say("mask {n} of {total}", n=int(node.data.sum()), total=node.size)
        role = node.role.name if node.role is not None else ""
        name = node.name or (role if user.forward is not None else self.own(node) or role)
        if name:
            return self.shown(name)
        if user.forward is None and (text := operand(user.node, feed.position)):
            return self.shown(text)
        return f"{node.item():g}" if node.size == 1 else look.shape(node.shape)


def _differ(leaves: Sequence[Tensor]) -> bool:
    """Whether arrays are not all the same."""
    first = leaves[0]._array
    return not all(np.array_equal(first, leaf._array) for leaf in leaves)


def is_wrapped(x: Tensor) -> bool:
    """Whether a leaf is an operand that an operation made a tensor of."""
    return x.op is None and x._code is None and x.role is None and x.name is None


def is_computed(graph: Graph, x: Tensor) -> bool:
    """Whether a leaf is the result of operations that were not recorded, since they need no
    gradient."""
    if x.op is not None or x._code is None or x._requires_grad or not x.time:
        return False
    return _computes(x.source.expression)


@lru_cache(maxsize=4096)
def _computes(expression: str) -> bool:
    tree = naming.parsed(expression)
    if isinstance(tree, ast.Call):
        name = ast.unparse(tree.func).split(".")[-1]
        return name in functions and name not in MAKERS
    return isinstance(tree, ast.BinOp | ast.UnaryOp | ast.Subscript)
