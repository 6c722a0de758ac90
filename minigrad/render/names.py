"""What the things in a picture are called, and what is written into a box of one operation."""

from __future__ import annotations

import ast
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

from minigrad import naming
from minigrad.cached import cached_property
from minigrad.graph import Graph
from minigrad.language import say
from minigrad.operators import functions
from minigrad.render import look, typeset
from minigrad.render.read import (
    RESHAPES,
    TRANSPOSES,
    Feed,
    Reading,
    Value,
    forward_of,
    op_name,
    scopes_of,
)
from minigrad.tensor import Tensor

LONGEST = 24  # characters of an expression that still serves as a name
MANY = 2  # an operation on more values than this says how many
LIBRARY = os.path.join(os.path.abspath(__file__).rsplit(os.sep, 3)[0], "nn", "")
MAKERS = {"tensor", "Tensor", "Parameter"}


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
        called = [(self.variable(y) or "L", y) for y in scalars if forward_of(y) is None]
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
        name = "" if _is_library(node._code) else naming.variable(self.graph, node)
        return name or self.name_of_view(node)

    def name_of_view(self, node: Tensor) -> str:
        """The variable that a value was assigned to after it was only rearranged: y of `y =
        f(x).T`."""
        users = self.graph.users.get(node, ())
        view = users[0].target if len(users) == 1 else None
        if view is None or op_name(view) not in TRANSPOSES | RESHAPES:
            return ""
        return self.variable(view) if view in self.reading.folded else ""

    def assigned(self, value: Value) -> str:
        """What a value is called by the nearest assignment: of itself, or of the call that returns
        it."""
        name, returned = self.variable(value.node), value.node._scope
        while not name and value.forward is None and self.last_of.get(returned) is value.node:
            assert returned is not None
            name, returned = returned.called_from.variable(), returned.parent
        return name

    @cached_property
    def last_of(self) -> dict[Any, Tensor]:
        """What each call of a module returns, as far as one can tell: the last value made in it."""
        found: dict[Any, Tensor] = {}
        for value in self.reading.drawn:
            found.update(dict.fromkeys(scopes_of(value.node), value.node))
        return found

    def origin(self, node: Tensor) -> Any:
        """The call of a module, or the file of the library's functions, in which a node was
        made."""
        code = node._code
        inside = code is not None and code.co_filename.startswith(LIBRARY)
        return node._scope or (code.co_filename if inside and code else "")

    def function(self, values: Sequence[Value]) -> str:
        """The function of the library that made some values: "cross_entropy", say."""
        codes = [value.node._code for value in values if value.node._scope is None]
        names = [code.co_name for code in codes if code and code.co_filename.startswith(LIBRARY)]
        return next((name for name in names if not name.startswith("_")), "")

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
                return parts[-2].removesuffix("Cell") or parts[-2]
        return ""

    # labels

    @cached_property
    def written(self) -> set[Tensor]:
        """The operands that the program wrote as numbers, which stand in the boxes.

        A number that is not the same in all steps, or is taken out of an array, enters its step as
        an input; one that stands where later steps have a state is the first of these.
        """
        found = defaultdict[Any, list[Tensor]](list)
        entering = {(value.site, feed.position) for value, feed, _ in self.reading.crossings}
        for value in self.reading.values:
            for feed in value.feeds:
                leaf, slot = feed.source.node, (value.site, feed.position)
                if feed.source.op or leaf.ndim or leaf._requires_grad or not is_wrapped(leaf):
                    continue
                found[slot].append(leaf)
                if _is_taken(value.node, feed.position):
                    entering.add(slot)
        for slot, leaves in found.items():
            if leaves[0].time and len({leaf.item() for leaf in leaves}) > 1:
                entering.add(slot)
        return {x for slot, leaves in found.items() if slot not in entering for x in leaves}

    def numbers(self, node: Tensor) -> list[str]:
        """For each input the number that it is, or "" where it is not a bare number."""
        inputs = self.graph.inputs(node)
        numbers = [f"{x.item():g}" if x in self.written else "" for x in inputs]
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
        if value.op in look.NONLINEAR:
            return "nonlinear", symbol
        return "matmul" if value.op in look.PRODUCTS else "operation", symbol

    def beside_symbol(self, value: Value) -> str:
        """The name that stands beside the sign of an operation: its variable, or what it stacks."""
        if value.forward is not None:
            return self.gradient_name(value)
        name = self.variable(value.node)
        if name or value.op not in ("stack", "concatenate"):
            return name
        states = {feed.source.state for feed in value.feeds}
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
        return (
            text if len(values) <= 4 and len(text) <= 16 else say("{n} operations", n=len(values))
        )

    # leaves

    def input_name(self, value: Value) -> str:
        """What an input of a time step is called."""
        node = value.node
        name = node.role.name if node.role is not None and value.role == "input" else ""
        if not name and value.op:
            name = self.variable(node) or _singular(naming.label(self.graph, node.inputs[0]))
        return self.indexed(name, value)

    def array(self, user: Value, feed: Feed) -> str:
        """What an array is called that enters a step: its name, its variable, its text in the
        program; else x."""
        node = feed.source.node
        role = node.role.name if node.role is not None else ""
        name = node.name or role or naming.variable(self.graph, node)
        if not name and not _is_library(user.node._code):
            name = _operand(user.node, feed.position)
        if feed.source.part is not None:
            name = _singular(name)
        if not re.fullmatch(r"[\w.]*|.*\)", name):  # an expression, before the number of its step
            name = f"({name})"
        return name or ("x" if user.op in look.PRODUCTS else "array")

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
        name = naming.label(self.graph, node)
        if name != "constant" and (node.name or node.role or user.forward is None):
            return self.shown(name)
        if user.forward is None and (text := _operand(user.node, feed.position)):
            return self.shown(text)
        return f"{node.item():g}" if node.size == 1 else look.shape(node.shape)


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
    tree = _parsed(expression)
    if isinstance(tree, ast.Call):
        name = ast.unparse(tree.func).split(".")[-1]
        return name in functions and name not in MAKERS
    return isinstance(tree, ast.BinOp | ast.UnaryOp | ast.Subscript)


def _is_library(code: CodeType | None) -> bool:
    """Whether a function is one of the library's own, other than the equations of its cells."""
    return code is not None and _is_private(code.co_filename, code.co_qualname)


@lru_cache(maxsize=4096)
def _is_private(file: str, qualname: str) -> bool:
    return os.path.abspath(file).startswith(LIBRARY) and "Cell." not in qualname


def _singular(name: str) -> str:
    """One of several: x of xs."""
    return name.removesuffix("s") if len(name) > 1 else name


@lru_cache(maxsize=4096)
def _parsed(expression: str) -> Any:
    try:
        return ast.parse(expression, mode="eval").body
    except SyntaxError:
        return None


def _operand_tree(node: Tensor, k: int) -> Any:
    """The source of input k of an operation, as a tree; None where there is none."""
    tree = _parsed(node.source.expression)
    parts: list[Any] = []
    if isinstance(tree, ast.BinOp):
        parts = [tree.left, tree.right]
    elif isinstance(tree, ast.Call):
        parts = list(tree.args)
    return parts[k] if k < len(parts) else None


def _is_taken(node: Tensor, k: int) -> bool:
    """Whether input k of an operation is written as an element of an array: y[t]."""
    tree = _operand_tree(node, k)
    if not isinstance(tree, ast.Subscript):
        return False
    return not (isinstance(tree.slice, ast.Constant) and isinstance(tree.slice.value, str))


def _is_step(index: ast.expr) -> bool:
    """Whether an index is one variable, as in x[t] and x[:, t]."""
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    named = [part for part in parts if isinstance(part, ast.Name)]
    rest = [ast.unparse(part) for part in parts if not isinstance(part, ast.Name)]
    return len(named) == 1 and {*rest} <= {":", "..."}


def _operand(node: Tensor, k: int) -> str:
    """The source text of input k of an operation, where there is any: what to call a plain
    array."""
    part = _operand_tree(node, k)
    if part is None or isinstance(part, ast.Constant):
        return ""
    if isinstance(part, ast.Call) and ast.unparse(part.func).split(".")[-1] in MAKERS:
        return ""
    if isinstance(part, ast.Subscript) and _is_step(part.slice):
        whole = ast.unparse(part.value).replace("self.", "")
        return _singular(whole) if whole.replace(".", "").isidentifier() else ""
    text = re.sub(r"\b(?:self|np|numpy|mg|minigrad)\.", "", ast.unparse(part))
    if len(text) <= LONGEST:
        return text
    return f"{ast.unparse(part.func).split('.')[-1]}(…)" if isinstance(part, ast.Call) else ""
