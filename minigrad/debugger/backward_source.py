"""The backward pass of one graph, written out as a NumPy program.  Imports `templates`, `loops`, `backward`.

The rules are run on tensors, as for higher orders.  What each of them builds is written down as one expression, and
its result becomes a variable, so the program has the lines that one would write by hand.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import naming
from minigrad.backward import Traced, backward_steps
from minigrad.debugger.loops import Line, looped
from minigrad.debugger.templates import Helpers, index_text, literal
from minigrad.graph import Graph
from minigrad.primitive import Primitive, Scatter
from minigrad.tensor import Array, Tensor

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
    for output, seed in zip(graph.outputs, graph._seeds(grad), strict=True):
        writer.start(output, np.asarray(getattr(seed, "_array", seed), output.dtype))
    for _ in backward_steps(graph, writer):
        pass
    return writer.text()


class _Names:
    """A variable for every node: `h_3` for what the program calls h at t = 3."""

    def __init__(self, graph: Graph) -> None:
        self.of: dict[Tensor, str] = {}
        self.timed: dict[str, tuple[str, str, int]] = {}  # variable → stem, axis, t
        self.taken: set[str] = {"np", "t", "T"}
        self.stems: dict[tuple[str, str], str] = {}
        nodes = [(node, _identifier(node, naming.label(graph, node))) for node in graph.nodes]
        for node, label in nodes:
            if node.time is not None and not (node.op is None and node.requires_grad):
                self._name_timed(node, label)
        named = {leaf: _identifier(leaf, name) for name, leaf in graph.parameters.items()}
        for node, label in nodes:
            if node not in self.of:
                name = named.get(node, label)
                init = f"{name}_init" if name in self.taken and node.op is None else name
                self.of[node] = self._unused(init)

    def _name_timed(self, node: Tensor, label: str) -> None:
        assert node.time is not None
        axis, t = node.time.axis.name, node.time.t
        stem, count = self._stem(axis, label), 1
        while f"{stem}_{t}" in self.timed:
            count += 1
            stem = self._stem(axis, f"{label}{count}")
        self.of[node] = f"{stem}_{t}"
        self.timed[f"{stem}_{t}"] = stem, axis, t
        self.timed[f"d{stem}_{t}"] = f"d{stem}", axis, t
        self.taken |= {f"{stem}_{t}", f"d{stem}_{t}"}

    def _stem(self, axis: str, label: str) -> str:
        if (axis, label) not in self.stems:
            self.stems[axis, label] = self._unused(label if label not in self.taken else f"{label}_{_plain(axis)}")
        return self.stems[axis, label]

    def _unused(self, name: str) -> str:
        candidate, count = name, 1
        while candidate in self.taken or f"d{candidate}" in self.taken:
            count += 1
            candidate = f"{name}_v{count}"
        self.taken |= {candidate, f"d{candidate}"}
        return candidate


def _plain(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_")


def _identifier(node: Tensor, label: str) -> str:
    """A label as a variable's name; an expression gives the name of its operation."""
    simple = re.fullmatch(r"[\w.]+", label)
    name = _plain(label) if simple else node.op.name if node.op else "constant"
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"v_{name}"


class _Writer(Traced):
    """A traced pass that writes every gradient down as soon as its rule has run."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph, self.names = graph, _Names(graph)
        self.helpers = Helpers(self.names.taken)
        self.lines: list[Line] = []
        self.needed: set[Tensor] = set()  # nodes whose value the backward lines use
        self.values: dict[Tensor, Any] = {}  # the numbers of the pending gradients
        self.mine: set[Tensor] = set()  # whose gradient is a variable of its own, not another name of an array
        self.variables: dict[Tensor, str] = {}  # tensors that stand for gradients
        self.called: dict[Tensor, str] = {}  # gradients without a line: they are that of the node's only user
        self.seeds: dict[str, Any] = {}
        self.notes: dict[Tensor, str] = {}

    def start(self, output: Tensor, seed: Any) -> None:
        """∂loss/∂output is a parameter of the program."""
        name = f"d{self.names.of[output]}"
        if output in self.values:
            raise ValueError("backward_source: the graph has the same output twice")
        self.seeds[name], self.values[output] = seed, seed
        self.sums[output] = Tensor(seed)

    # the pass

    def join(self, x: Tensor, before: Any, dx: Any) -> Any:
        """The sum stands in `values`."""
        return before

    def pop(self, x: Tensor) -> Any:
        """The gradient of `x` as the variable it was written to."""
        if self.sums.pop(x, None) is None:
            return None
        if x._hooks:
            raise ValueError(f"backward_source: {self.names.of[x]} has a hook, which cannot be written as source")
        dy = Tensor(self.values.pop(x))
        self.variables[dy] = self.called.get(x, f"d{self.names.of[x]}")
        return dy

    def rules(self, node: Tensor, dy: Any, inputs: Sequence[Tensor], *_: Any) -> list[Any]:
        """Run the rules on tensors; write what they built."""
        assert node.op is not None
        grads: list[Any] = self._once(node, dy, inputs) if node.op.once else super().rules(node, dy, inputs)
        built = [dx.value if isinstance(dx, Scatter) else dx for dx in grads]
        built = [Tensor(dx) if isinstance(dx, Array) else dx for dx in built]  # a rule that gives constant zeros
        shared = self._shared(node, [dx for dx in built if dx is not None])
        for x, dx, value in zip(inputs, grads, built, strict=True):
            if dx is not None and not self._renamed(node, x, dx, shared):
                self._write(node, x, dx, ast.unparse(self.expression(value, shared)))
            if dx is not None:
                buffer = np.array(self.values[x]) if x in self.values else np.zeros(x.shape, x.dtype)
                Scatter(dx.index if isinstance(dx, Scatter) else ..., value.data).add_into(buffer)
                self.values[x] = buffer
        return grads

    def _once(self, node: Tensor, dy: Any, inputs: Sequence[Tensor]) -> list[Any]:
        """Rules in arbitrary Python are not taken apart: the program calls copies of them."""
        op = node.op
        grads: list[Any] = []
        assert op is not None
        if op.joint is not None or node.call is not None:
            raise ValueError(f"backward_source: {op.name} is a primitive(once=True) with one rule for all its inputs")
        with self.recorded(node):
            for x, rule in zip(inputs, op.rules, strict=False):
                written = Primitive.__new__(Primitive)
                grads.append(None)
                if x.requires_grad and rule is not None:
                    written.__dict__.update(
                        op.__dict__, name=rule.__name__, forward=rule, inputs=["dy", "y", *op.inputs]
                    )
                    written.arity = len(written.inputs)
                    grads[-1] = written(dy, node, *node.inputs, **node.constants)
        return grads

    def _shared(self, node: Tensor, grads: list[Tensor]) -> dict[Tensor, str]:
        """What the rules of a node use more than once gets a variable first."""
        uses: Counter[Tensor] = Counter(grads)
        found = list(dict.fromkeys(grads))
        for x in found:  # grows
            if x.op is not None and x not in self.variables and x not in self.names.of:
                found += [part for part in dict.fromkeys(x.inputs) if part not in uses]
                uses.update(x.inputs)
        shared: dict[Tensor, str] = {}
        for x in sorted(found, key=lambda x: x.serial):
            if uses[x] > 1 and x.op is not None and x not in self.variables and x not in self.names.of:
                name = f"part_{len(shared) + 1}"
                self._line(node, name, "=", ast.unparse(self.expression(x, shared)))
                shared[x] = name
        return shared

    def _renamed(self, node: Tensor, x: Tensor, dx: Any, shared: dict[Tensor, str]) -> bool:
        """The gradient of a part of an expression that is just the gradient of the whole needs no line."""
        if x.op is None or isinstance(dx, Scatter) or len(self.graph.users[x]) > 1 or x in self.values:
            return False
        if naming.variable(self.graph, x) or x.name or x.role or dx not in self.variables:
            return False
        self.called[x] = self.variables[dx]
        return True

    def _write(self, node: Tensor, x: Tensor, dx: Any, value: str) -> None:
        name, first = f"d{self.names.of[x]}", x not in self.values
        if isinstance(dx, Scatter):
            if first and x.op is not None:
                self._line(node, name, "=", f"np.zeros({x.shape}, np.{x.dtype})")
            elif x.op is not None and x not in self.mine:
                self._line(node, name, "=", f"np.array({name})")
            self.mine.add(x)
            several = isinstance(dx.index, Array) or (
                isinstance(dx.index, tuple) and any(isinstance(part, Array | list) for part in dx.index)
            )
            index = ast.unparse(literal(dx.index)) if several else index_text(dx.index)
            self._line(node, name, "at" if several else "[]", value, index)
        else:
            self._line(node, name, "+=" if x.op is None else "=" if first else "+", value)
            if not first:
                self.mine.add(x)

    def _line(self, node: Tensor, target: str, sign: str, value: str, index: str = "") -> None:
        if node not in self.notes:
            text, name = naming.expression(self.graph, node), naming.label(self.graph, node)
            self.notes[node] = f"{text if text == name else f'{name} = {text}'}   ({node.source})"
        time = (node.time.axis.name, node.time.t) if node.time else None
        self.lines.append(Line(time, target, sign, value, index, self.notes[node]))

    # expressions

    def expression(self, x: Tensor, shared: dict[Tensor, str]) -> ast.expr:
        """A tensor as an expression of variables."""
        if x in self.variables:
            return ast.Name(self.variables[x], ast.Load())
        if x in shared:
            return ast.Name(shared[x], ast.Load())
        if x in self.names.of:
            self.needed.add(x)
            return ast.Name(self.names.of[x], ast.Load())
        if x.op is None:
            return literal(x.data)
        if x.op.name == "reshape" and x.shape == x.inputs[0].shape:
            return self.expression(x.inputs[0], shared)
        return self._called(x, [
            self.expression(part, shared) if isinstance(value, Array) else literal(value)
            for part, value in zip(x.inputs, x.arrays, strict=True)
        ])  # fmt: skip

    def _called(self, x: Tensor, inputs: list[ast.expr]) -> ast.expr:
        assert x.op is not None
        call = self.helpers.call(x.op, inputs, x.constants)
        return call if x.call is None else ast.Subscript(call, ast.Constant(x.call.which), ast.Load())

    def _forward(self) -> list[Line]:
        """The lines that compute what the backward lines need."""
        closure = set(self.needed)
        uses: Counter[Tensor] = Counter()
        for node in reversed(self.graph.nodes):
            if node in closure:
                closure.update(node.inputs)
                uses.update(node.inputs)
        lines, inlined, depth = [], dict[Tensor, ast.expr](), dict[Tensor, int]()
        kept = {_kind(node) for node in self.needed}  # what one step needs has a line in every step
        for node in self.graph.nodes:
            if node not in closure or node.op is None:
                continue
            parts = zip(node.inputs, node.arrays, strict=True)
            call = self._called(node, [
                literal(value) if not isinstance(value, Array) else
                inlined.get(x) or ast.Name(self.names.of[x], ast.Load())
                for x, value in parts
            ])  # fmt: skip
            depth[node] = 1 + max(depth.get(x, 0) if x in inlined else 0 for x in node.inputs)
            if (
                _kind(node) not in kept
                and uses[node] == 1
                and depth[node] < _NESTED
                and not naming.variable(self.graph, node)
            ):
                inlined[node] = call
                continue
            time = (node.time.axis.name, node.time.t) if node.time else None
            lines.append(Line(time, self.names.of[node], "=", ast.unparse(call), "", ""))
        self.used = closure
        return lines

    # the program

    def text(self) -> BackwardSource:
        """The whole program."""
        forward = self._forward()
        arguments, given = self._arguments()
        small = {name: a for name, a in arguments.items() if isinstance(a, Array) and a.size <= _SMALL}
        signature = [name for name in arguments if name not in small]
        signature += [f"{name}={ast.unparse(literal(value))}" for name, value in small.items()]
        parameters = {name: self.names.of[leaf] for name, leaf in self.graph.parameters.items()}
        reached = {line.target for line in self.lines} | set(self.seeds)
        zeros = [f"    d{v} = np.zeros_like({v})" for v in parameters.values() if f"d{v}" not in self.seeds]
        result = ", ".join(f"{name!r}: d{v}" for name, v in parameters.items() if f"d{v}" in reached)

        def function(name: str, about: str, body: list[str]) -> str:
            head = f"def {name}({', '.join(signature)}):"
            if len(head) > _WIDE:
                head = f"def {name}(\n    " + ",\n    ".join(signature) + ",\n):"
            return "\n".join([head, f'    """{about}"""', *zeros, *body, f"    return {{{result}}}"])

        parts = ['"""A backward pass, written out: NumPy is all that it needs."""\n\nimport numpy as np']
        parts += self.helpers.texts.values()
        unrolled = [self._given(text, given) for text in _unrolled(forward, self.lines)]
        parts.append(function("backward", "∂loss/∂parameter, by name.", unrolled))
        timed = self.names.timed
        loop = looped(forward, self.lines, timed, given, [name for name in self.seeds if name in timed])
        if loop is not None:
            parts.append(function("backward_loop", "The same, with the steps that are alike as loops.", loop))
        source = BackwardSource("\n\n\n".join(parts) + "\n")
        source.arguments = arguments
        return source

    def _arguments(self) -> tuple[dict[str, Any], set[str]]:
        """The arrays that the program starts from, by name; and which of them are sequences, by time step."""
        arguments: dict[str, Any] = {}
        steps: dict[str, dict[int, Any]] = {}
        for leaf in self.graph.leaves:
            name = self.names.of[leaf]
            if name in self.names.timed and leaf in self.used:
                stem, _, t = self.names.timed[name]
                steps.setdefault(stem, {})[t] = leaf.data
            elif leaf in self.used or leaf.requires_grad:
                arguments[name] = leaf.data
        for stem, found in steps.items():
            whole = sorted(found) == list(range(len(found))) and len({a.shape for a in found.values()}) == 1
            arguments[stem] = np.stack([found[t] for t in range(len(found))]) if whole else found
        return arguments | self.seeds, set(steps)

    def _given(self, text: str, given: set[str]) -> str:
        """Steps of a sequence that is a parameter: x_3 is x[3]."""

        def indexed(match: re.Match[str]) -> str:
            stem, _, t = self.names.timed.get(match[0], ("", "", 0))
            return f"{stem}[{t}]" if stem in given else match[0]

        return text if text.lstrip().startswith("#") else re.sub(r"\b[A-Za-z_]\w*\b", indexed, text)


def _kind(node: Tensor) -> Any:
    """The same for nodes that the same part of the program has made in different steps."""
    return node._code, node._instruction, node.op, node.call and node.call.which, node.time and node.time.axis


def _unrolled(forward: list[Line], backward: list[Line]) -> list[str]:
    """All lines, each backward line under the forward line it comes from."""
    texts = ["    # the forward pass", *[f"    {line.text()}" for line in forward], "    # the backward pass"]
    time, note = None, ""
    for line in backward:
        if line.time is not None and line.time != time:
            texts.append(f"    # t = {line.time[1]}")
        if line.note != note or line.time != time:
            texts.append(f"    # {line.note}")
        texts.append(f"    {line.text()}")
        time, note = line.time, line.note
    return texts
