"""The backward pass of one graph, written out as a NumPy program.

Each rule is run once on tensors, as for higher orders, for all nodes of one form; what it builds is an
expression with holes, in which the variables of each node are put.  So the program has the lines
that one would write by hand, and a long graph takes no more than its lines.
"""

from __future__ import annotations

import ast
import builtins
import functools
import itertools
import keyword
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad import naming
from minigrad.backward import backward_steps, seeds
from minigrad.fitting import fit
from minigrad.grad_table import GradTable, InputGrads
from minigrad.graph import Graph
from minigrad.memory import collector_paused
from minigrad.ops.indexing import getitem
from minigrad.primitive import Scatter
from minigrad.program.expressions import HOLE, Helpers, Patterns, Value, literal, parsed
from minigrad.program.ir import NOTHING
from minigrad.program.lines import (
    ADD,
    MORE,
    PART,
    PLACES,
    SET,
    SHORTEST,
    At,
    Leaf,
    Line,
    Steps,
    Writer,
    looped,
    unrolled,
)
from minigrad.program.names import identifier
from minigrad.scope import recorded
from minigrad.tensor import Array, Call, Tensor, kept

_SMALL = 8  # elements of an argument that is written into the signature
_NESTED = 6  # operations in one expression
_WIDE = 100  # characters of a signature on one line


class BackwardSource(str):
    """The text of a program; `arguments` holds the arrays by the parameters of `backward`."""

    __slots__ = ("arguments",)
    arguments: dict[str, Any]


def backward_source(graph: Graph, grad: Any = None) -> BackwardSource:
    """See `Graph.backward_source`."""
    with collector_paused():
        written = _Pass(graph)
        for output, seed in zip(graph.outputs, seeds(graph, grad), strict=True):
            written.start(output, np.asarray(getattr(seed, "_array", seed), output.dtype))
        for _ in backward_steps(graph, written):
            pass
        return written.program()


class _Names:
    """A variable for every node: At("h", 3) for what the program calls h at t = 3."""

    def __init__(self, graph: Graph) -> None:
        self.of: dict[Tensor, str | At] = {}
        self.taken = {"np", "t", *dir(builtins), *keyword.kwlist}
        self.numbers: dict[str, int] = {}  # the next one to try behind a name
        self.axes = {axis: name for name, axis in graph.axes.items()}
        label_of = functools.partial(naming.name_of, graph, roles=False)
        labels = {node: _identifier(node, label_of(node)) for node in graph.nodes}
        labels |= {leaf: _identifier(leaf, name) for name, leaf in graph.parameters.items()}
        made = {(node.time.axis, labels[node]) for node in graph.nodes if node.op and node.time}
        stems: dict[Any, str] = {}
        count: Counter[Any] = Counter()
        for node, label in labels.items():
            time = node.time
            if not time or (node.op is None and (node.requires_grad or (time.axis, label) in made)):
                continue
            visit = label, time.steps[:1]
            key = label, time.axis, count[visit]
            count[visit] += 1
            if key not in stems:
                stems[key] = self.unused(label, f"{label}_{identifier(self.axes[time.axis])}")
            self.of[node] = At(stems[key], node.t)
        for node, label in labels.items():
            if node not in self.of:
                wished = [label] if node.op else [label, f"{label}_init"]
                self.of[node] = self.unused(*wished)

    def unused(self, *wished: str) -> str:
        """The first of these names that is free, or the first of all with a number; it is taken then."""
        first = wished[0]
        numbers = itertools.count(self.numbers.get(first, 2))
        numbered = ((f"{first}_v{k}", k) for k in numbers)
        candidates = itertools.chain([(name, 1) for name in wished], numbered)
        name, number = next(one for one in candidates if self._is_free(one[0]))
        if number > 1:
            self.numbers[first] = number + 1
        self.taken |= {name, f"d{name}"}
        return name

    def _is_free(self, name: str) -> bool:
        """Whether neither name nor dname is in use; h_3 is, where h is a variable of time steps."""
        stem, _, step = name.rpartition("_")
        is_step = step.removeprefix("m").isdigit()
        used = {name, f"d{name}"} & self.taken or (is_step and stem in self.taken)
        return not used and not name.startswith(HOLE)


def _identifier(node: Tensor, label: str) -> str:
    """A label as a variable's name; an expression gives the name of its operation."""
    simple = label.replace(".", "_").isidentifier()
    if simple or not node.op:
        return identifier(label if simple else "constant")
    return identifier(node.op.name)


class _Contribution(NamedTuple):
    """What a rule gives for one input: a value of the variables in its slots, whole or at a place."""

    input: int
    value: Value
    place: Value | None
    is_dy: bool


class _Rule(NamedTuple):
    """What the rules of an operation build: parts that are used twice, then the contributions."""

    parts: list[Value]
    contributions: list[_Contribution]


class _ValueRead(Exception):  # noqa: N818
    """A rule decides by numbers: the program calls a copy of it."""


def _note_reading(x: Tensor, how: str) -> None:
    raise _ValueRead


class _Pass(GradTable):
    """A pass that writes down the gradients: in the place of each stands the node that it belongs to.

    gradients: the variable of each node's gradient.  needed: nodes whose value the backward lines use.
    """

    plain = False

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.names = _Names(graph)
        self.helpers = Helpers(self.names.unused)
        self.patterns = Patterns()
        self.lines: list[Line] = []
        self.seeds: dict[Leaf, Any] = {}
        self.written: dict[Tensor, Value] = {}  # how the tensors at hand are written
        self.variables = self.names.of
        self.gradients: dict[Tensor, Leaf] = {
            node: At(f"d{v.name}", v.t) if isinstance(v, At) else f"d{v}"
            for node, v in self.variables.items()
        }
        self.outputs = {
            (id(node.call.outputs), node.call.which): node for node in graph.nodes if node.call
        }
        self.needed: set[Tensor] = set()
        self.begun: set[Tensor] = set()  # whose gradient has a line
        self.mine: set[Tensor] = set()  # whose gradient is an array of its own, not another's
        self.parts: list[str] = []  # names for what a rule uses more than once
        self._rules: dict[Any, _Rule] = {}
        self._notes: dict[Any, str] = {}
        self._named: dict[Any, bool] = {}

    def start(self, output: Tensor, seed: Any) -> None:
        """∂loss/∂output is a parameter of the program."""
        name = self.gradients[output]
        self.seeds[name] = np.asarray(seed + self.seeds.get(name, 0))
        self.grads[output] = output
        self.begun.add(output)

    # the pass

    def join(self, x: Tensor, before: Any, dx: Any) -> Any:
        """A gradient that was reached before."""
        return before

    def arrived(self, x: Tensor, dy: Any) -> Any:
        """A gradient that is complete."""
        if x._hooks:
            name = Writer(self.patterns, set()).name(self.variables[x])
            raise ValueError(f"backward_source: {name} has a hook, which has no source here")
        return dy

    def own(self, grad: Any, x: Tensor) -> Any:
        """Of the first output of a call, which nothing has reached."""
        return NOTHING

    def rules(self, node: Tensor, dy: Any, inputs: Sequence[Tensor], *_: Any) -> InputGrads:
        """The lines of the rules of a node."""
        assert node.op is not None
        arrived = self.gathered(node, dy)
        if arrived is None:
            return [(x, None) for x in inputs]
        arrived = arrived if isinstance(arrived, tuple) else (arrived,)
        reached = tuple([part is not None and part is not NOTHING for part in arrived])
        key = self._form(node, inputs, reached)
        if key not in self._rules:
            self._rules[key] = self._traced(node, inputs, reached)
        rule, slots = self._rules[key], self._slots(node, reached)
        for k, value in enumerate(rule.parts):
            if k == len(self.parts):
                self.parts.append(self.names.unused(f"part_{k + 1}"))
            slots["part", k] = self.parts[k]
            self._line(node, SET, self.parts[k], self._put(value, slots, node))
        for one in rule.contributions:
            self._write(node, inputs[one.input], one, self._put(one.value, slots, node))
        given = {one.input for one in rule.contributions}
        return [(x, x if k in given else None) for k, x in enumerate(inputs)]

    def _form(self, node: Tensor, inputs: Sequence[Tensor], reached: tuple[bool, ...]) -> Any:
        """What decides how the rules of a node are written."""
        values = [
            (a.shape, a.dtype, x.requires_grad) if isinstance(a, Array) else (type(a), a)
            for a, x in zip(node.arrays, inputs, strict=True)
        ]
        constants = _key(node.constants, node.op is getitem)
        return node.op, node.shape, node.dtype, tuple(values), constants, reached

    def _slots(self, node: Tensor, reached: tuple[bool, ...]) -> dict[Any, Leaf]:
        """The variables that the rules of a node may use."""
        slots: dict[Any, Leaf] = {("in", k): self.variables[x] for k, x in enumerate(node.inputs)}
        slots["y", 0] = self.variables[node]
        if node.call is None:
            slots["dy", 0] = self.gradients[node]
            return slots
        for k, is_reached in enumerate(reached):
            if is_reached:
                slots["dy", k] = self.gradients[self.outputs[id(node.call.outputs), k]]
        return slots

    def _put(self, value: Value, slots: dict[Any, Leaf], node: Tensor) -> Value:
        """A value of slots with the variables of a node in them."""
        for leaf in value.leaves:
            if type(leaf) is tuple and leaf[0] == "in":
                self.needed.add(node.inputs[leaf[1]])
            elif leaf == ("y", 0):
                self.needed.add(node)
        return Value(value.pattern, tuple([slots.get(leaf, leaf) for leaf in value.leaves]))

    def _traced(self, node: Tensor, inputs: Sequence[Tensor], reached: tuple[bool, ...]) -> _Rule:
        """Run the rules on tensors, and write what they build."""
        op: Any = node.op
        values = [kept(a) if isinstance(a, Array) else a for a in node.arrays]
        shapes = node.call.outputs if node.call else (node._array,)
        dys = [
            kept(np.ones_like(y)) if there else None
            for y, there in zip(shapes, reached, strict=True)
        ]
        y: Any = kept(node._array)
        self.written = {y: self.patterns.leaf(("y", 0))}
        self.written |= {
            x: self.patterns.leaf(("in", k)) for k, x in enumerate(values) if isinstance(x, Tensor)
        }
        for k, dy in enumerate(dys):
            if dy is not None:
                self.written[dy] = self.patterns.leaf(("dy", k))
        given: Any = tuple(dys) if node.call else dys[0]
        with recorded(enabled=True, tracing=True, time=None, scope=None, on_read=_note_reading):
            try:
                if op.once:
                    raise _ValueRead
                if node.call:
                    y = op.record(*values, **node.constants)
                found = super().rules(node, given, inputs, y, values)
            except _ValueRead:
                found = self._called(node, given, y, inputs, values)
        rule = _Rule([], [])
        grads = [(k, dx) for k, (_, dx) in enumerate(found) if dx is not None]
        parts = [(k, dx.value if isinstance(dx, Scatter) else dx) for k, dx in grads]
        parts = [(k, kept(dx) if isinstance(dx, Array) else dx) for k, dx in parts]
        for x, value in self._assigned([dx for _, dx in parts], lambda x, uses: uses > 1):
            self.written[x] = self.patterns.leaf(("part", len(rule.parts)))
            rule.parts.append(value)
        for (k, part), (_, dx) in zip(parts, grads, strict=True):
            place = self._index(dx.index) if isinstance(dx, Scatter) else None
            value = self._expression(part, part._array)
            rule.contributions.append(_Contribution(k, value, place, part is given))
        return rule

    def _called(
        self, node: Tensor, dy: Any, y: Any, inputs: Sequence[Tensor], values: Sequence[Any]
    ) -> InputGrads:
        """Rules in arbitrary Python are not taken apart: the program calls copies of them."""
        op: Any = node.op
        if node.call is not None:
            raise ValueError(
                f"backward_source: {op.name} is a primitive(once=True) with several outputs"
            )
        arguments, arrays = (dy, y, *values), (dy._array, node._array, *node.arrays)
        grads: list[Any] = [None] * len(inputs)
        for k, x in enumerate(inputs):
            rule = op.joint or op.rules[k]
            if x.requires_grad:
                with (
                    recorded(enabled=False, tracing=False, on_read=None),
                    np.errstate(all="ignore"),
                ):
                    found = rule(*arrays, **node.constants)
                dx = Tensor(found[k] if op.joint else found)
                dx.op = op.with_forward(rule, ["dy", "y", *op.inputs])  # the rule as an operation
                dx.inputs, dx.arrays, dx.constants = arguments, arrays, node.constants
                dx.call = Call(found, k) if op.joint else None
                grads[k] = fit(dx, x, node, rule)
        return [*zip(inputs, grads, strict=True)]

    def _write(self, node: Tensor, x: Tensor, one: _Contribution, value: Value) -> None:
        """One contribution to the gradient of x."""
        target, first = self.gradients[x], x not in self.begun
        if first and one.is_dy and one.place is None and self._has_no_name(x):
            self.gradients[x] = value.leaves[0]  # of a part of an expression: that of the whole
            return
        self.begun.add(x)
        if one.place is None:
            later = MORE if x.op is None else ADD
            self._line(node, SET if first and x.op is not None else later, target, value)
            return
        if x.op is not None and x not in self.mine:
            zeros = self._text(f"np.zeros({x.shape}, np.{x.dtype})")
            again = self.patterns.joined("a copy", [self.patterns.leaf(target)], _copy)
            self._line(node, SET, target, zeros if first else again)
        self.mine.add(x)
        index = node.constants["index"] if node.op is getitem else None
        place = one.place if index is None else self._index(index)
        parts = index if isinstance(index, tuple) else (index,)
        twice = any(isinstance(part, Array | list) for part in parts)
        self._line(node, PLACES if twice else PART, target, value, place)

    def _has_no_name(self, x: Tensor) -> bool:
        """Whether x is a part of an expression, which nothing else uses."""
        if x.op is None or x.name or x.role or len(self.graph.users[x]) != 1:
            return False
        return not self._has_variable(x)

    def _has_variable(self, x: Tensor) -> bool:
        """Whether the user's program has a variable for a node; asked once for each of its lines."""
        kind = _kind(x)
        if kind not in self._named:
            self._named[kind] = bool(naming.variable(self.graph, x))
        return self._named[kind]

    def _line(
        self, node: Tensor, form: str, target: Leaf, value: Value, place: Value | None = None
    ) -> None:
        where = () if place is None else place.leaves
        pattern = None if place is None else place.pattern
        leaves = (target, *where, *value.leaves)
        note = self._note(node)
        self.lines.append(Line(self._time(node), form, 1, value.pattern, pattern, leaves, note))

    def _note(self, node: Tensor) -> str:
        """The line of the user's program that a rule belongs to."""
        key = _kind(node), node.name, node.role and node.role[:2]
        if key not in self._notes:
            what = naming.equation(self.graph, node)
            self._notes[key] = f"{in_one_line(what)}   ({in_one_line(str(node.source))})"
        return self._notes[key]

    def _time(self, node: Tensor) -> tuple[str, int] | None:
        return (self.names.axes[node.time.axis], node.time.t) if node.time else None

    # expressions

    def _text(self, written: str) -> Value:
        """An expression without variables."""
        return Value(
            self.patterns.made(written, 0, lambda: ast.parse(written, mode="eval").body), ()
        )

    def _assigned(
        self, outputs: list[Tensor], has_line: Callable[..., Any]
    ) -> Iterator[tuple[Tensor, Value]]:
        """What `outputs` are computed from, inputs first, as far as it gets a variable; all else goes where it is used.

        Whoever takes a pair from here writes the line, and the variable into `written`.
        """
        uses, depth = dict(Counter(outputs)), dict[Tensor, int]()
        found = list(uses)
        for x in found:  # grows
            self.needed.add(x)
            if x.op is not None and x not in self.written:
                for part in x.inputs:
                    if part not in uses:
                        found.append(part)
                    uses[part] = uses.get(part, 0) + 1
        for x in sorted(found, key=lambda x: x.serial):
            if x.op is not None and x not in self.written:
                depth[x] = 1 + max([depth.get(part, 0) for part in x.inputs], default=0)
                value = self._call(x)
                if has_line(x, uses[x]) or depth[x] > _NESTED:
                    depth[x] = 0
                    yield x, value
                else:
                    self.written[x] = value

    def _call(self, x: Tensor) -> Value:
        """The operation that made a tensor, on its inputs as they are written."""
        if x.op is not None and x.op.name == "reshape" and x.shape == x.inputs[0].shape:
            return self._expression(x.inputs[0], x.arrays[0])
        called = self._called_once(x)
        if x.call is None:
            return called
        which = self.patterns.leaf(x.call.which)
        return self.patterns.joined("output", [called, which], _subscript)

    def _called_once(self, x: Tensor) -> Value:
        """The call itself, which may have several outputs."""
        op: Any = x.op
        inputs = [self._expression(a, value) for a, value in zip(x.inputs, x.arrays, strict=True)]
        if op is getitem:
            return self.patterns.joined(
                op, [*inputs, self._index(x.constants["index"])], _subscript
            )
        if op.variadic and not op.inputs:
            inputs = self._steps(inputs)
        is_list = any(type(leaf) is Steps for leaf in inputs[0].leaves) if inputs else False

        def build(*operands: ast.expr) -> ast.expr:
            constants = {name: literal(value) for name, value in x.constants.items()}
            given = [ast.Starred(operands[0], ast.Load())] if is_list else list(operands)
            return self.helpers.call(op, given, constants)

        return self.patterns.joined((op, _key(x.constants), is_list), inputs, build)

    def _steps(self, inputs: list[Value]) -> list[Value]:
        """The variables of all steps, in order, as one list."""
        first = inputs[0].leaves[0] if inputs and inputs[0].leaves else None
        if len(inputs) >= SHORTEST and isinstance(first, At):
            row = [self.patterns.leaf(At(first.name, t)) for t in range(len(inputs))]
            if inputs == row:
                return [self.patterns.leaf(Steps(first.name, len(row)))]
        return inputs

    def _index(self, index: Any) -> Value:
        """What stands in brackets; its whole numbers may move from step to step."""
        leaves: list[Any] = []

        def whole(k: int) -> ast.expr:
            leaves.append(k)
            return ast.Name(f"{HOLE}{len(leaves) - 1}", ast.Load())

        tree = literal(index, whole)
        key = "index", _key(index, True)
        return Value(self.patterns.made(key, len(leaves), lambda: tree), tuple(leaves))

    def _expression(self, x: Tensor, value: Any) -> Value:
        """How a tensor is written: as an expression of variables, or as the number that an operation was given."""
        if isinstance(value, Array) and x in self.written:
            return self.written[x]
        return Value(self.patterns.made(("literal", _key(value)), 0, lambda: literal(value)), ())

    def _forward(self) -> list[Line]:
        """The lines that compute what the backward lines need."""
        needed = [node for node in self.graph.nodes if node in self.needed]
        named = {_kind(node) for node in needed}  # what one step needs has a line in every step

        def has_line(node: Tensor, uses: int) -> bool:
            return _kind(node) in named or uses > 1 or self._has_variable(node)

        self.written = {
            leaf: self.patterns.leaf(self.variables[leaf]) for leaf in self.graph.leaves
        }
        lines = []
        for node, value in self._assigned(needed, has_line):
            target = self.variables[node]
            leaves = (target, *value.leaves)
            line = Line(self._time(node), SET, 1, value.pattern, None, leaves, "")
            lines.append((node, line))
            self.written[node] = self.patterns.leaf(target)
        return list(self._joined(lines))

    def _joined(self, lines: list[tuple[Tensor, Line]]) -> Iterator[Line]:
        """The lines; outputs of one call that all have a line share one: a, b = split(x)."""
        for _, group in itertools.groupby(
            lines, lambda pair: pair[0].call and id(pair[0].call.outputs)
        ):
            nodes, own = zip(*group, strict=True)
            call = nodes[0].call
            if call is None or not 1 < len(own) == len(call.outputs):
                yield from own
                continue
            whole = self._called_once(nodes[0])
            leaves = (*[line.target for line in own], *whole.leaves)
            yield own[0]._replace(targets=len(own), value=whole.pattern, leaves=leaves)

    # the program

    def program(self) -> BackwardSource:
        """The whole program."""
        forward = self._forward()
        arguments, given = self._arguments()
        writer = Writer(self.patterns, given)
        head = _signature(arguments)
        parameters = {name: self.variables[leaf] for name, leaf in self.graph.parameters.items()}
        reached = {line.target for line in self.lines} | set(self.seeds)
        zeros = [
            f"    d{v} = np.zeros_like({v})"
            for v in parameters.values()
            if f"d{v}" not in self.seeds
        ]
        result = [f"{name!r}: d{v}" for name, v in parameters.items() if f"d{v}" in reached]
        bodies = {"backward": ("∂loss/∂parameter, by name.", unrolled(forward, self.lines, writer))}
        loop = looped(forward, self.lines, writer, list(self.seeds))
        if loop:
            bodies["backward_loop"] = "The same, with the steps that are alike as loops.", loop
        parts = [
            '"""A backward pass, written out: NumPy is all that it needs."""\n\nimport numpy as np'
        ]
        parts += self.helpers.texts
        for name, (about, body) in bodies.items():
            lines = [f"def {name}{head}:", f'    """{about}"""', *zeros, *body]
            parts.append("\n".join([*lines, f"    return {{{', '.join(result)}}}"]))
        source = BackwardSource("\n\n\n".join(parts) + "\n")
        source.arguments = arguments
        return source

    def _arguments(self) -> tuple[dict[str, Any], set[str]]:
        """The arrays that the program starts from, by name; and which of them are sequences, by time step."""
        arguments: dict[str, Any] = {}
        steps: dict[str, dict[int, Any]] = {}
        for leaf in self.graph.leaves:
            if leaf in self.needed or leaf.requires_grad:
                variable = self.variables[leaf]
                if isinstance(variable, At):
                    steps.setdefault(variable.name, {})[variable.t] = leaf.data
                else:
                    arguments[variable] = leaf.data
        for stem, found in steps.items():
            alike = len({a.shape for a in found.values()}) == 1
            whole = sorted(found) == list(range(len(found))) and alike
            arguments[stem] = np.stack([found[t] for t in range(len(found))]) if whole else found
        writer = Writer(self.patterns, set())
        return arguments | {writer.name(x): seed for x, seed in self.seeds.items()}, set(steps)


def _signature(arguments: dict[str, Any]) -> str:
    """The parameters of the functions: small arrays are their defaults."""
    small = {name: a for name, a in arguments.items() if isinstance(a, Array) and a.size <= _SMALL}
    signature = [name for name in arguments if name not in small]
    signature += [f"{name}={ast.unparse(literal(value))}" for name, value in small.items()]
    head = f"({', '.join(signature)})"
    return head if len(head) < _WIDE else "(\n    " + ",\n    ".join(signature) + ",\n)"


def in_one_line(text: str) -> str:
    """A text of the user's as it may stand in a comment: names are data, and never become code."""
    return "".join(c if c.isprintable() else " " for c in text)


def _kind(node: Tensor) -> Any:
    """The same for nodes that the same part of the program has made in different steps."""
    which = node.call and node.call.which
    return node._code, node._instruction, node.op, which, node.time and node.time.axis


def _key(value: Any, any_number: bool = False) -> Any:
    """The same for constants that are written alike; any_number: whole numbers do not count."""
    if isinstance(value, dict):
        return tuple([(name, _key(part, any_number)) for name, part in value.items()])
    if isinstance(value, tuple | list):
        return type(value), tuple([_key(part, any_number) for part in value])
    if isinstance(value, slice):
        return _key((value.start, value.stop, value.step), any_number)
    if isinstance(value, Array):
        return "array", value.shape, str(value.dtype), value.tobytes()
    if type(value) is int and any_number:
        return int
    try:
        return type(value), hash(value) and value
    except TypeError:
        return "object", id(value)


def _copy(tree: ast.expr) -> ast.expr:
    return ast.Call(parsed("np.array"), [tree], [])


def _subscript(tree: ast.expr, index: ast.expr) -> ast.expr:
    return ast.Subscript(tree, index, ast.Load())
