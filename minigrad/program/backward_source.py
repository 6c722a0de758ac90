"""The backward pass of one graph, written out as a NumPy program.  Imports `expressions`, `loops`, `backward`.

The rules are run on tensors, as for higher orders.  What each of them builds is written down as one expression, and
its result becomes a variable, so the program has the lines that one would write by hand.
"""

from __future__ import annotations

import ast
import builtins
import functools
import itertools
import keyword
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minigrad import naming
from minigrad.backward import InputGrads, Traced, backward_steps, fit, seeds
from minigrad.graph import Graph
from minigrad.primitive import Scatter
from minigrad.program.expressions import Helpers, literal, text
from minigrad.program.loops import ADD, SET, TIMED, Line, looped, unrolled
from minigrad.tensor import Array, Call, Tensor

_SMALL = 8  # elements of an argument that is written into the signature
_NESTED = 6  # operations in one expression
_WIDE = 100  # characters of a signature on one line


class BackwardSource(str):
    """The text of a program; `arguments` holds the arrays by the parameters of `backward`."""

    __slots__ = ("arguments",)
    arguments: dict[str, Any]


def backward_source(graph: Graph, grad: Any = None) -> BackwardSource:
    """See `Graph.backward_source`."""
    writer = _Writer(graph)
    for output, seed in zip(graph.outputs, seeds(graph, grad), strict=True):
        writer.start(output, np.asarray(getattr(seed, "_array", seed), output.dtype))
    for _ in backward_steps(graph, writer):
        pass
    return writer.program()


class _Names:
    """A variable for every node: h⟦3⟧ for what the program calls h at t = 3."""

    def __init__(self, graph: Graph) -> None:
        self.of: dict[Tensor, str] = {}
        self.taken = {"np", "t", *dir(builtins), *keyword.kwlist}
        self.axes = {axis: name for name, axis in graph.axes.items()}
        label_of = functools.partial(naming.name_of, graph, roles=False)
        labels = {node: _identifier(node, label_of(node)) for node in graph.nodes}
        labels |= {leaf: _identifier(leaf, name) for name, leaf in graph.parameters.items()}
        made = {(node.time.axis, labels[node]) for node in graph.nodes if node.op and node.time}
        stems: dict[Any, str] = {}
        count: Counter[Any] = Counter()
        for node, label in labels.items():
            data = (
                node.op is None
                and node.time
                and (node.requires_grad or (node.time.axis, label) in made)
            )
            if node.time and not data:
                key = label, node.time.axis, count[label, node.time.steps[:1]]
                count[label, node.time.steps[:1]] += 1
                if key not in stems:
                    stems[key] = self.unused(label, f"{label}_{_plain(self.axes[node.time.axis])}")
                self.of[node] = f"{stems[key]}⟦{node.t}⟧"
        for node, label in labels.items():
            if node not in self.of:
                self.of[node] = self.unused(label, *[f"{label}_init"] * (node.op is None))

    def unused(self, *wished: str) -> str:
        """The first of these names that is free, or the first of all with a number; it is taken then."""
        numbered = (f"{wished[0]}_v{k}" for k in itertools.count(2))
        name = next(filter(self._is_free, itertools.chain(wished, numbered)))
        self.taken |= {name, f"d{name}"}
        return name

    def _is_free(self, name: str) -> bool:
        """Whether neither name nor dname is in use; h_3 is, where h is a variable of time steps."""
        stem = re.sub(r"_m?\d+$", "", name)
        return not {name, f"d{name}"} & self.taken and (stem == name or stem not in self.taken)


def _plain(label: str) -> str:
    return re.sub(r"\W+", "_", label).strip("_")


def _identifier(node: Tensor, label: str) -> str:
    """A label as a variable's name; an expression gives the name of its operation."""
    simple = re.fullmatch(r"[\w.]+", label)
    name = _plain(label) if simple else node.op.name if node.op else "constant"
    return name if name.isidentifier() else f"v_{name}"


class _Writer(Traced):
    """A traced pass that writes every gradient down as soon as its rule has run.

    written: how each tensor is written.  gradients: the variable of each node's gradient.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.names = _Names(graph)
        self.helpers = Helpers(self.names.unused)
        self.lines: list[Line] = []
        self.seeds: dict[str, Any] = {}
        self.variables = {node: ast.Name(name, ast.Load()) for node, name in self.names.of.items()}
        self.written: dict[Tensor, ast.expr] = {**self.variables}
        self.gradients = {node: f"d{name}" for node, name in self.names.of.items()}
        self.needed: set[Tensor] = set()  # nodes whose value the backward lines use
        self.notes: dict[Tensor, str] = {}
        self.begun: set[Tensor] = set()  # whose gradient has a line
        self.mine: set[Tensor] = (
            set()
        )  # whose gradient is an array of its own, not another name of one
        self.parts: list[str] = []  # names for what a rule uses more than once

    def start(self, output: Tensor, seed: Any) -> None:
        """∂loss/∂output is a parameter of the program."""
        name = self.gradients[output]
        self.seeds[name] = np.asarray(seed + self.seeds.get(name, 0))
        self.grads[output] = Tensor(self.seeds[name])
        self.begun.add(output)

    # the pass

    def arrived(self, x: Tensor, dy: Any) -> Any:
        """The gradient of `x` as the variable it was written to."""
        if x._hooks:
            raise ValueError(
                f"backward_source: {unrolled(self.names.of[x])} has a hook, which has no source here"
            )
        dy = Tensor(super().arrived(x, dy).data)
        self.written[dy] = ast.Name(self.gradients[x], ast.Load())
        return dy

    def rules(self, node: Tensor, dy: Any, inputs: Sequence[Tensor], *_: Any) -> InputGrads:
        """Run the rules on tensors; write what they built."""
        assert node.op is not None
        found = self._once(node, dy, inputs) if node.op.once else super().rules(node, dy, inputs)
        grads = [dx for _, dx in found]
        parts = [dx.value if isinstance(dx, Scatter) else dx for dx in grads]
        parts = [
            Tensor(dx) if isinstance(dx, Array) else dx for dx in parts
        ]  # a rule that gives constant zeros
        built = [dx for dx in parts if dx is not None]
        for k, (x, value) in enumerate(self._assigned(built, lambda x, uses: uses > 1)):
            if k == len(self.parts):
                self.parts.append(self.names.unused(f"part_{k + 1}"))
            self._line(node, self.parts[k], SET, text(value))
            self.written[x] = ast.Name(self.parts[k], ast.Load())
        for x, dx, part in zip(inputs, grads, parts, strict=True):
            if part is not None:
                self._write(node, x, dx, part, is_dy=part is dy)
        return found

    def _once(self, node: Tensor, dy: Any, inputs: Sequence[Tensor]) -> InputGrads:
        """Rules in arbitrary Python are not taken apart: the program calls copies of them."""
        op: Any = node.op
        if node.call is not None:
            raise ValueError(
                f"backward_source: {op.name} is a primitive(once=True) with several outputs"
            )
        arguments, arrays = (dy, node, *node.inputs), (dy.data, node.data, *node.arrays)
        grads: list[Any] = [None] * len(inputs)
        for k, x in enumerate(inputs):
            rule = op.joint or op.rules[k]
            if x.requires_grad:
                found = rule(*arrays, **node.constants)
                dx = Tensor(found[k] if op.joint else found)
                written = op.with_forward(rule, ["dy", "y", *op.inputs])  # the rule as an operation
                dx.op, dx.inputs, dx.arrays, dx.constants = (
                    written,
                    arguments,
                    arrays,
                    node.constants,
                )
                dx.call = Call(found, k) if op.joint else None
                with self.recorded(node):
                    grads[k] = fit(dx, x, node, None)
        return [*zip(inputs, grads)]

    def _write(self, node: Tensor, x: Tensor, dx: Any, part: Tensor, is_dy: bool) -> None:
        """One contribution to the gradient of x."""
        name, value, first = (
            self.gradients[x],
            text(self._expression(part, part.data)),
            x not in self.begun,
        )
        if first and is_dy and dx is part and self._has_no_name(x):
            self.gradients[x] = (
                value  # the gradient of a part of an expression that is just that of the whole
            )
            return
        self.begun.add(x)
        if not isinstance(dx, Scatter):
            self._line(node, name, "{0} += {1}" if x.op is None else SET if first else ADD, value)
            return
        if x.op is not None and x not in self.mine:
            self._line(
                node,
                name,
                SET,
                f"np.zeros({x.shape}, np.{x.dtype})" if first else f"np.array({name})",
            )
        self.mine.add(x)
        places = dx.index if isinstance(dx.index, tuple) else (dx.index,)
        index = text(ast.Subscript(ast.Name("x", ast.Load()), literal(dx.index), ast.Load()))[2:-1]
        twice = any(isinstance(place, Array | list) for place in places)
        index = f"({index})" if twice and isinstance(dx.index, tuple) else index
        self._line(
            node,
            name,
            f"np.add.at({{0}}, {index}, {{1}})" if twice else f"{{0}}[{index}] += {{1}}",
            value,
        )

    def _has_no_name(self, x: Tensor) -> bool:
        """Whether x is a part of an expression, which nothing else uses."""
        named = x.op is None or x.name or x.role or naming.variable(self.graph, x)
        return not named and len(self.graph.users[x]) == 1

    def _line(self, node: Tensor, target: str, form: str, value: str) -> None:
        if node not in self.notes:
            expression, name = naming.expression(self.graph, node), naming.label(self.graph, node)
            what = expression if expression == name else f"{name} = {expression}"
            self.notes[node] = f"{in_one_line(what)}   ({in_one_line(str(node.source))})"
        self.lines.append(Line(self._time(node), target, form, value, self.notes[node]))

    def _time(self, node: Tensor) -> tuple[str, int] | None:
        return (self.names.axes[node.time.axis], node.time.t) if node.time else None

    # expressions

    def _assigned(
        self, outputs: list[Tensor], has_line: Callable[..., Any]
    ) -> Iterator[tuple[Tensor, ast.expr]]:
        """What `outputs` are computed from, inputs first, as far as it gets a variable; all else goes where it is used.

        Whoever takes a pair from here writes the line, and the variable into `written`.
        """
        uses, found, depth = Counter(outputs), list(dict.fromkeys(outputs)), Counter[Tensor]()
        for x in found:  # grows
            self.needed.add(x)
            if x.op is not None and x not in self.written:
                found += [part for part in dict.fromkeys(x.inputs) if part not in uses]
                uses.update(x.inputs)
        for x in sorted(found, key=lambda x: x.serial):
            if x.op is not None and x not in self.written:
                depth[x] = 1 + max(depth[part] for part in x.inputs)
                value = self._call(x)
                if has_line(x, uses[x]) or depth[x] > _NESTED:
                    depth[x] = 0
                    yield x, value
                else:
                    self.written[x] = value

    def _call(self, x: Tensor) -> ast.expr:
        """The operation that made a tensor, on its inputs as they are written."""
        assert x.op is not None
        inputs = [
            self._expression(part, value) for part, value in zip(x.inputs, x.arrays, strict=True)
        ]
        if x.op.name == "reshape" and x.shape == x.inputs[0].shape:
            return inputs[0]
        call = self.helpers.call(x.op, inputs, x.constants)
        return (
            call if x.call is None else ast.Subscript(call, ast.Constant(x.call.which), ast.Load())
        )

    def _expression(self, x: Tensor, value: Any) -> ast.expr:
        """How a tensor is written: as an expression of variables, or as the number that an operation was given."""
        return self.written[x] if isinstance(value, Array) and x in self.written else literal(value)

    def _forward(self) -> list[Line]:
        """The lines that compute what the backward lines need."""
        needed = [node for node in self.graph.nodes if node in self.needed]
        named = {
            _kind(node): True for node in needed
        }  # what one step needs has a line in every step

        def has_line(node: Tensor, uses: int) -> bool:
            kind = _kind(node)
            if kind not in named:
                named[kind] = bool(naming.variable(self.graph, node))
            return named[kind] or uses > 1

        self.written = {leaf: self.variables[leaf] for leaf in self.graph.leaves}
        lines = []
        for node, value in self._assigned(needed, has_line):
            lines.append(
                (node.call, Line(self._time(node), self.names.of[node], SET, text(value), ""))
            )
            self.written[node] = self.variables[node]
        return list(_joined(lines))

    # the program

    def program(self) -> BackwardSource:
        """The whole program."""
        forward = self._forward()
        arguments, given = self._arguments()
        small = {
            name: a for name, a in arguments.items() if isinstance(a, Array) and a.size <= _SMALL
        }
        signature = [name for name in arguments if name not in small]
        signature += [f"{name}={text(literal(value))}" for name, value in small.items()]
        head = f"({', '.join(signature)})"
        head = head if len(head) < _WIDE else "(\n    " + ",\n    ".join(signature) + ",\n)"
        parameters = {name: self.names.of[leaf] for name, leaf in self.graph.parameters.items()}
        zeros = [
            f"    d{v} = np.zeros_like({v})"
            for v in parameters.values()
            if f"d{v}" not in self.seeds
        ]
        reached = {line.target for line in self.lines} | set(self.seeds)
        result = ", ".join(
            f"{name!r}: d{v}" for name, v in parameters.items() if f"d{v}" in reached
        )
        bodies = {"backward": ("∂loss/∂parameter, by name.", _unrolled(forward, self.lines, given))}
        if loop := looped(forward, self.lines, given, list(self.seeds)):
            bodies["backward_loop"] = "The same, with the steps that are alike as loops.", loop
        parts = [
            '"""A backward pass, written out: NumPy is all that it needs."""\n\nimport numpy as np'
        ]
        parts += self.helpers.texts
        for name, (about, body) in bodies.items():
            lines = [
                f"def {name}{head}:",
                f'    """{about}"""',
                *zeros,
                *body,
                f"    return {{{result}}}",
            ]
            parts.append("\n".join(lines))
        source = BackwardSource("\n\n\n".join(parts) + "\n")
        source.arguments = arguments
        return source

    def _arguments(self) -> tuple[dict[str, Any], set[str]]:
        """The arrays that the program starts from, by name; and which of them are sequences, by time step."""
        arguments: dict[str, Any] = {}
        steps: dict[str, dict[int, Any]] = {}
        for leaf in self.graph.leaves:
            if leaf in self.needed or leaf.requires_grad:
                if timed := TIMED.fullmatch(self.names.of[leaf]):
                    steps.setdefault(timed[1], {})[int(timed[2])] = leaf.data
                else:
                    arguments[self.names.of[leaf]] = leaf.data
        for stem, found in steps.items():
            whole = (
                sorted(found) == list(range(len(found)))
                and len({a.shape for a in found.values()}) == 1
            )
            arguments[stem] = np.stack([found[t] for t in range(len(found))]) if whole else found
        return arguments | {unrolled(name): seed for name, seed in self.seeds.items()}, set(steps)


def in_one_line(text: str) -> str:
    """A text of the user's as it may stand in a comment: names are data, and never become code."""
    return "".join(c if c.isprintable() else " " for c in text)


def _kind(node: Tensor) -> Any:
    """The same for nodes that the same part of the program has made in different steps."""
    return (
        node._code,
        node._instruction,
        node.op,
        node.call and node.call.which,
        node.time and node.time.axis,
    )


def _joined(lines: list[tuple[Call | None, Line]]) -> Iterator[Line]:
    """The lines; outputs of one call that all have a line share one: a, b = split(x)."""
    for _, group in itertools.groupby(lines, key=lambda pair: pair[0] and id(pair[0].outputs)):
        calls, own = zip(*group, strict=True)
        if calls[0] is not None and 1 < len(own) == len(calls[0].outputs):
            yield own[0]._replace(
                target=", ".join(line.target for line in own), value=own[0].value[:-3]
            )  # without [0]
        else:
            yield from own


def _unrolled(forward: list[Line], backward: list[Line], given: set[str]) -> list[str]:
    """All lines, each backward line under the forward line it comes from."""
    texts = ["# the forward pass", *[line.text() for line in forward], "# the backward pass"]
    time = None
    for (here, note), group in itertools.groupby(backward, key=lambda line: (line.time, line.note)):
        if here is not None and here != time:
            texts.append(f"# t = {here[1]}")
        texts += [f"# {note}", *[line.text() for line in group]]
        time = here
    return [f"    {unrolled(text, given)}" for text in texts]
