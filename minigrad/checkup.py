"""What is suspicious about a graph: each finding with its evidence and the line it comes from.

Every check is a generator of findings; where all is well none of them yields anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from minigrad import naming
from minigrad.backward import backward_steps, begin
from minigrad.grad_table import GradTable
from minigrad.gradcheck import gradcheck
from minigrad.graph import Graph, per_graph
from minigrad.memory import collector_paused
from minigrad.norms import array_of, norm
from minigrad.primitive import Primitive
from minigrad.tensor import Tensor

SATURATED = 0.95  # of the entries
TOGETHER = 64  # arrays that are looked at in one call
Test = Callable[[Any], Any]
LIMITS: dict[
    str, tuple[Test, str, Test | None, str]
] = {  # where an activation passes on almost nothing, and how that is called
    "sigmoid": (lambda y: y < 0.01, "shut (< 0.01)", lambda y: y > 0.99, "open (> 0.99)"),
    "tanh": (lambda y: y < -0.99, "saturated (< -0.99)", lambda y: y > 0.99, "saturated (> 0.99)"),
    "relu": (lambda y: y == 0, "dead (0)", None, ""),
}
CUTTING = re.compile(r"\.detach\(|\.data\b|\.numpy\(|\.item\(|\.tolist\(|no_grad")
AGREEMENT = 1e-5  # relative error of a derivative in float64
FLAT = 1e3  # a derivative below so many times the rounding of its difference tells nothing


class Finding(NamedTuple):
    """One thing that is suspicious: what kind of thing, what was found, and the line of it."""

    kind: str
    text: str
    line: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" + (f"   ({self.line})" if self.line else "")


class Checkup(tuple[Finding, ...]):
    """The findings of `Graph.checkup`; printed one on each line."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "nothing suspicious was found"

    def __repr__(self) -> str:
        return str(self)

    def of(self, kind: str) -> tuple[Finding, ...]:
        """The findings of one kind."""
        return tuple(finding for finding in self if finding.kind == kind)


class Survey:
    """One backward pass over a graph, and what several checks want to know of it.

    arrives: the size of each node's gradient.  sends: whether anything but zeros goes on from it.
    padding: for each `where` that puts a constant into ended rows, those that the loss reads.
    failure: the error that the pass ended with, or "".
    ran: whether there was a pass; a careful one runs nothing that the program has written.
    """

    def __init__(self, graph: Graph, *, careful: bool = False) -> None:
        self.graph = graph
        self.arrives: dict[Tensor, float] = {}
        self.sends: dict[Tensor, bool] = {}
        self.padding: dict[Tensor, list[int]] = {}
        self.failure = ""
        self.ran = not (careful and any(map(_is_the_programs, graph.order)))
        if self.ran:
            with np.errstate(all="ignore"):
                self._run(graph)

    def _run(self, graph: Graph) -> None:
        table = begin(graph)
        table.hooked = _unhooked  # type: ignore[method-assign]
        try:
            self._look(graph, table)
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"

    def _look(self, graph: Graph, table: GradTable) -> None:
        for step in backward_steps(graph, table):
            node, dy = step.node, array_of(step.grad)
            self.arrives[node] = _size(dy)
            if self.arrives[node]:
                going = [dx for dx in step.sparse_input_grads() if dx is not None]
                sent = (dx if type(dx) is np.ndarray else array_of(dx) for dx in going)
                self.sends[node] = not going or any(map(np.count_nonzero, sent))
            if _fills_padding(node) and dy.ndim > 1:
                rows = _rows_of_padding(np.asarray(node.arrays[0], bool), dy)
                if rows and any(e.target.time is None for e in graph.users[node]):
                    self.padding[node] = rows
        self.arrives |= {leaf: _size(array_of(dx)) for leaf, dx in table.grads.items()}

    def name_of(self, node: Tensor) -> str:
        """What the program calls a node, also an array that it has handed to an operation."""
        name = naming.name_of(self.graph, node)
        if name == "constant" and node.op is None:
            return naming.argument_name(self.graph, node) or name
        return name

    def place(self, node: Tensor) -> str:
        """The user's line of a node: where it was made, and where its module was called."""
        line, scope = str(node.source), node._scope
        if scope is not None and str(scope.called_from) != line:
            return f"{line}, called from {scope.called_from}"
        return line

    def title(self, node: Tensor) -> str:
        """A node's name with its time step."""
        return self.name_of(node) + ("" if node.t is None else f"[{node.t}]")


def checkup(
    graph: Graph,
    parameters: Any = None,
    *,
    frame: FrameType | None = None,
    careful: bool = False,
) -> Checkup:
    """What is suspicious about the graph: findings in plain words, each with its line.

    Parameters that get no gradient, and the line of the cut; parameters that several layers share;
    steps that the loss ignores; where a gradient dies; gates and units saturated or dead in more
    than 95 % of their entries; a softmax over time or the batch; padding that is read; the
    program's own rules against finite differences; history of an earlier loss; two dtypes; numbers
    that are not finite.  Nothing where all is well.

    parameters: a module, an optimiser, or parameters (a list, or a dict by name) of which the loss
    should depend on all; by default those of the modules and optimisers in the variables of
    `frame`, the caller's.
    careful: run no rule that the program has written.
    Runs a pass of its own, without hooks, and writes no `.grad`.

    >>> import minigrad as mg, numpy as np
    >>> w, v = (mg.tensor(1.0, requires_grad=True, name=name) for name in ("w", "v"))
    >>> mg.Graph(np.tanh(w)).checkup({"w": w, "v": v})
    not reached: no gradient reaches v
    """
    groups = _groups(parameters, frame)
    with collector_paused():
        survey = Survey(graph, careful=careful)
        found = [*_not_finite(survey), *_unreached(survey, groups)]
        if not careful:
            found += _wrong_rules(survey)
        found += [*_shared(survey), *_saturated(survey), *_softmax(survey)]
        if survey.ran:
            found += [*_ignored(survey), *_dying(survey), *_padding(survey)]
        found += [*_carried_history(survey), *_dtypes(survey), *_zero(survey)]
    return Checkup(found)


def deaths(graph: Graph) -> list[Finding]:
    """Where the gradient of a state dies: a step that gets one and hands none on."""
    return [*_dying(Survey(graph))]


def _size(array: Any) -> float:
    """Roughly Σ x²: zero only for zeros, not finite only for what is not."""
    square = float(np.vdot(array, array))
    if square == 0:
        return 1e-300 if np.count_nonzero(array) else 0.0
    return square if square < math.inf else norm(array)


def _is_the_programs(node: Tensor) -> bool:
    """Whether a pass over this node runs code of the program: a rule, or a hook."""
    return bool(node._hooks) or not _module(node.op).startswith("minigrad.")


def _unhooked(x: Tensor, dy: Any) -> Any:
    return dy


def _rows_of_padding(inside: Any, dy: Any) -> list[int]:
    """The rows of the batch whose padding matters to a loss, from its gradient (T, B, ...).

    Padding matters where a loss reads nothing else of the row (`y[-1]`), or reads each step in
    another way (a difference to a target).  A sum over all steps treats them alike: it adds zeros.
    """
    ended = np.broadcast_to(~inside, dy.shape)
    other = tuple(axis for axis in range(dy.ndim) if axis != 1)
    reads = np.any(ended & (dy != 0), axis=other)
    nothing_else = ~np.any(~ended & (dy != 0), axis=other)
    low = np.where(ended, dy, np.inf).min(axis=0)
    high = np.where(ended, dy, -np.inf).max(axis=0)
    unlike = np.any(high > low, axis=tuple(range(1, high.ndim)))
    return [int(row) for row in np.flatnonzero(reads & (nothing_else | unlike))]


def _fills_padding(node: Tensor) -> bool:
    """Whether it puts a constant in place of the rows that have ended."""
    mask = node.inputs[0] if node.op.name == "where" else None
    if mask is None or mask.role is None or mask.role.kind != "mask":
        return False
    _, stacked, filling = node.inputs
    is_output = stacked.op is not None and stacked.op.name == "stack"
    return is_output and filling.op is None and not filling.requires_grad


# numbers


def _not_finite(survey: Survey) -> Iterator[Finding]:
    """A loss, or a gradient, that is NaN or infinite, and where the first such number was made."""
    if survey.failure:
        yield Finding("failure", f"the backward pass raises {survey.failure}")
    outputs = survey.graph.outputs
    if all(np.isfinite(y._array).all() for y in outputs):
        bad = [node for node, size in survey.arrives.items() if not math.isfinite(size)]
        if bad:
            node = bad[0]
            text = f"the gradient of {survey.title(node)} is the first of {len(bad)} that are not"
            yield Finding("not finite", text, survey.place(node))
        return
    wrong = np.isnan if any(np.isnan(y._array).any() for y in outputs) else np.isinf
    kind = "NaN" if wrong is np.isnan else "infinite"
    node = next(x for x in survey.graph.nodes if wrong(array_of(x)).any())
    text = f"the loss is {kind}: first so is {_made(survey, node)}"
    while node.op is not None:
        odd = [x for x in node.inputs if x.op and not np.isfinite(array_of(x)).all()]
        if not odd:
            break
        node = odd[0]
        text += f"; that comes from {_made(survey, node)}"
    yield Finding("not finite", text, survey.place(node))


def _made(survey: Survey, node: Tensor) -> str:
    """An operation with its time step and the ranges of its inputs."""
    name, at = survey.name_of(node), "" if node.t is None else f" at t = {node.t}"
    if node.op is None:
        before = ": an earlier step has spoilt it" if node.requires_grad else ""
        return f"{name}{at}, which came in so{before}"
    text = naming.expression(survey.graph, node)
    made = text if text == name else f"{name} = {text}"
    return f"{made}{at}, of {'; '.join(_range(survey, x) for x in node.inputs)}"


def _range(survey: Survey, x: Tensor) -> str:
    """The range of an operand, and how many of its entries are 0 or not finite."""
    values = array_of(x)
    finite = values[np.isfinite(values)]
    text = f"{survey.name_of(x)} in [{finite.min():.3g}, {finite.max():.3g}]" if finite.size else ""
    zeros, odd = np.count_nonzero(values == 0), values.size - finite.size
    text += f", {zeros} of {values.size} are 0" if zeros else ""
    return text + (f", {odd} not finite" if odd else "")


def _dtypes(survey: Survey) -> Iterator[Finding]:
    """An operation in which arrays of two floating dtypes meet."""
    for node in survey.graph.nodes:
        floats = {x.dtype: x for x in node.inputs if x.dtype.kind == "f" and x.ndim}
        counts = node.time is not None or all(x.requires_grad for x in floats.values())
        if len(floats) > 1 and counts:  # the float64 targets of a loss cost nothing
            names = " and ".join(f"{survey.name_of(x)} ({dtype})" for dtype, x in floats.items())
            text = f"{names} meet in {naming.expression(survey.graph, node)}, which is {node.dtype}"
            yield Finding("two dtypes", text, survey.place(node))
            return


# parameters


def _groups(parameters: Any, frame: FrameType | None) -> list[dict[str, Tensor]]:
    """The parameters there are, by name: of what was given, else of the program's variables."""
    if parameters is not None:
        return [_named(parameters)]
    variables: dict[str, Any] = {}
    while frame is not None:
        variables = {**frame.f_globals, **frame.f_locals, **variables}
        frame = frame.f_back
    things = [x for x in variables.values() if not isinstance(x, type)]
    return [group for thing in things if (group := _named(thing))]


def _named(thing: Any) -> dict[str, Tensor]:
    """The parameters of a module, an optimiser, a mapping or an iterable, by name."""
    if isinstance(thing, Mapping):
        pairs: Iterable[tuple[str, Any]] = thing.items()
    elif hasattr(thing, "named_parameters"):
        pairs = thing.named_parameters()
    elif hasattr(thing, "param_groups"):
        leaves = [leaf for group in thing.param_groups for leaf in group["params"]]
        pairs = ((leaf.name or "a parameter", leaf) for leaf in leaves)
    elif isinstance(thing, list | tuple) and thing and all(isinstance(x, Tensor) for x in thing):
        pairs = ((leaf.name or "a parameter", leaf) for leaf in thing)
    else:
        return {}
    kept = ((str(name), x) for name, x in pairs if isinstance(x, Tensor) and x.requires_grad)
    return naming.unique((name, leaf) for name, leaf in kept if leaf.is_leaf)


def _unreached(survey: Survey, groups: list[dict[str, Tensor]]) -> Iterator[Finding]:
    """Parameters that get no gradient, of modules and optimisers that have others that get one."""
    reached = set(survey.graph.parameters.values())
    missing: dict[Tensor, str] = {}
    known: set[str] = set()
    for group in groups:
        if any(leaf in reached for leaf in group.values()):
            for name, leaf in group.items():
                known.add(name)
                if leaf not in reached:
                    missing.setdefault(leaf, name)
    if missing:
        names = _summary([*missing.values()], known - set(missing.values()))
        cuts = list(dict.fromkeys(_cuts(survey)))
        text = f"no gradient reaches {names}"
        if cuts:
            text += f"; cut at {' or '.join(cuts[:3])}"
        yield Finding("not reached", text)


def _zero(survey: Survey) -> Iterator[Finding]:
    """Parameters that the loss depends on, and whose gradient is exactly zero."""
    parameters = survey.graph.parameters.items()
    zero = [name for name, x in parameters if not survey.arrives.get(x, 0.0)]
    if zero and survey.ran and not survey.failure:
        names = _summary(zero, set(survey.graph.parameters) - set(zero))
        yield Finding("gradient zero", f"the gradient of {names} is exactly 0")


def _summary(names: list[str], others: set[str]) -> str:
    """Names, with `encoder.*` for all parameters of a module of which none is among the others."""
    short: dict[str, None] = {}
    for name in names:
        parts = name.split(".")
        prefixes = [".".join(parts[:k]) for k in range(1, len(parts))]
        whole = [p for p in prefixes if not any(other.startswith(f"{p}.") for other in others)]
        short[f"{whole[0]}.*" if whole else name] = None
    return ", ".join(short)


def _cuts(survey: Survey) -> Iterator[str]:
    """Lines of the program that turn a result into a constant, which this graph then uses."""
    for leaf in survey.graph.leaves:
        if leaf.requires_grad or not leaf.ndim:
            continue
        places = [leaf.source] if leaf._code is not None else []
        places += [edge.target.source for edge in survey.graph.users[leaf][:1]]
        for source in places:
            if CUTTING.search(source.text):
                yield f"{source}  {source.text}"
                break


def _shared(survey: Survey) -> Iterator[Finding]:
    """Parameters that several layers or directions use, in one time step or in one call."""
    found: dict[str, list[str]] = {}
    for name, leaf in survey.graph.parameters.items():
        users = [edge.target for edge in survey.graph.users[leaf] if edge.target.time is not None]
        if text := _layers_of(survey, users) or _directions_of(users):
            found.setdefault(text, []).append(name)
    for text, names in found.items():
        yield Finding("shared", f"{', '.join(names)}: {text}")


def _layers_of(survey: Survey, users: list[Tensor]) -> str:
    """How many layers use a parameter: states that one line makes more than once in a time step."""
    sites: dict[Any, list[str]] = {}
    for node in users:
        key = (node.time and node.time.steps, id(node._code), node._instruction, node.op)
        sites.setdefault(key, []).append(node.scope)
    scopes = max(sites.values(), key=len, default=[])
    uses = len(scopes)
    if uses < 2 or len(set(scopes)) < uses > _states_in_a_step(survey, users[0]):
        return ""
    where = f" ({', '.join(dict.fromkeys(scopes))})" if len(set(scopes)) > 1 else ""
    return f"used by {uses} layers in each time step{where}: they are one layer, not {uses}"


def _states_in_a_step(survey: Survey, user: Tensor) -> int:
    """How many states the line that makes a layer's state makes in the time step of a node."""
    sites: dict[Any, int] = {}
    graph = survey.graph
    for node in graph.nodes:
        is_state = node.role is not None and node.role.kind == "state" and node.op is not None
        if is_state and node.scope == user.scope and graph.place(node) == graph.place(user):
            key = id(node._code), node._instruction
            sites[key] = sites.get(key, 0) + 1
    return max(sites.values(), default=0)


def _directions_of(users: list[Tensor]) -> str:
    """The axes of one call of one module that use a parameter."""
    calls: dict[Any, set[str]] = {}
    for node in users:
        scope = node._scope
        while scope is not None and scope.parent is not None:
            scope = scope.parent
        if scope is not None and node.time is not None:
            calls.setdefault(id(scope), set()).add(node.time.axis.name)
    shared = [axes for axes in calls.values() if len(axes) > 1]
    return f"used on the axes {', '.join(sorted(shared[0]))} of one call" if shared else ""


# time


Steps = list[tuple[int, list[Tensor]]]  # t, and the nodes of that step


@per_graph
def _by_step(graph: Graph) -> dict[str, Steps]:
    """For each axis its steps in the order of the backward pass, with their nodes."""
    steps: dict[Any, dict[int, list[Tensor]]] = {}
    for node in graph.order:
        if node.time is not None:
            steps.setdefault(node.time.axis, {}).setdefault(node.time.t, []).append(node)
    return {
        name: sorted(steps.get(axis, {}).items(), key=lambda item: -item[1][0].serial)
        for name, axis in graph.axes.items()
    }


def _ignored(survey: Survey) -> Iterator[Finding]:
    """Steps behind the last one that the loss reads."""
    for axis, steps in _by_step(survey.graph).items():
        silent: list[int] = []
        for t, nodes in steps:
            if any(survey.arrives.get(node, 0.0) != 0 for node in nodes):
                break
            silent.append(t)
        if silent and len(silent) < len(steps):
            first, last = min(silent), max(silent)
            span = f"t = {first}" if first == last else f"t = {first} … {last}"
            line = survey.place(_reader(survey, steps))
            text = f"the loss ignores {span} of axis {axis}: no gradient arrives there"
            yield Finding("ignored", text, line)


def _reader(survey: Survey, steps: Steps) -> Tensor:
    """The operation behind the loop that takes only some of the steps; else the loss."""
    below = {steps[0][1][0]}  # what follows from the last step
    for node in survey.graph.nodes:
        if not below.isdisjoint(node.inputs):
            below.add(node)
            if node.time is None and node.op.name == "getitem":
                return node
    return survey.graph.outputs[0]


def _dying(survey: Survey) -> Iterator[Finding]:
    """The operation in which the gradient of a state dies: something arrives, only zeros go on."""
    for axis, steps in _by_step(survey.graph).items():
        alive = [any(survey.arrives.get(x, 0.0) for x in nodes) for _, nodes in steps]
        if True not in alive or False not in alive[alive.index(True) :]:
            continue
        dead = alive.index(False, alive.index(True))
        if any(alive[dead:]):
            continue  # it comes back: another loss
        t, nodes = steps[dead - 1]
        killers = [x for x in nodes if survey.arrives.get(x, 0.0) and not survey.sends.get(x, True)]
        if killers and not survey.graph.cuts:
            node = killers[0]
            made = f"{survey.name_of(node)} = {naming.expression(survey.graph, node)}"
            text = f"the gradient dies at t = {t} of axis {axis} in {node.op.name}: {made}"
            reached = f"nothing reaches the {len(steps) - dead} steps before"
            yield Finding("gradient dies", f"{text}; {reached}", survey.place(node))


def _padding(survey: Survey) -> Iterator[Finding]:
    """Rows whose padding, behind their length, the loss reads."""
    for node, rows in survey.padding.items():
        users = [edge.target for edge in survey.graph.users[node]]
        line = survey.place(users[0]) if users else survey.place(node)
        shown = ", ".join(map(str, rows[:8])) + (" …" if len(rows) > 8 else "")
        text = f"the loss reads padding, behind the length, of rows {shown} of the batch"
        yield Finding("padding", text, line)


def _carried_history(survey: Survey) -> Iterator[Finding]:
    """Steps that the backward pass of another loss has walked already."""
    loss = survey.graph.outputs[-1].serial
    again = [
        node
        for node in survey.graph.order
        if node.time is not None and getattr(node, "walked", loss) not in (loss, math.inf)
    ]
    if again:
        state = again[0]
        text = f"{survey.title(state)} still carries the history of an earlier loss"
        remedy = "write state = nn.detach_state(state) between the windows"
        yield Finding("history", f"{text}: {remedy}", survey.place(state))


# activations


def _saturated(survey: Survey) -> Iterator[Finding]:
    """Gates and units that are saturated, or dead, in more than 95 % of their entries."""
    sites: dict[Any, list[Tensor]] = {}
    for node in survey.graph.nodes:
        if node.op is not None and node.op.name in LIMITS and node.ndim:
            key = (node.op, id(node._code), node._instruction, node.scope, node.name)
            sites.setdefault(key, []).append(node)
    for nodes in sites.values():
        below, low, above, high = LIMITS[nodes[0].op.name]
        for test, words in ((below, low), (above, high)):
            if test is None:
                continue
            share = _share(test, nodes)
            if share > SATURATED:
                scope = f" of {nodes[0].scope}" if nodes[0].scope else ""
                name = f"{survey.name_of(nodes[0])}{scope}"
                text = f"{name} is {words} in {100 * share:.4g} % of its entries"
                yield Finding("saturated", text, survey.place(nodes[0]))


def _share(test: Test, nodes: list[Tensor]) -> float:
    """The share of the entries of all nodes for which a test holds."""
    hits = 0
    for k in range(0, len(nodes), TOGETHER):  # a test of many small arrays is mostly calls
        values = np.concatenate([node._array for node in nodes[k : k + TOGETHER]], axis=None)
        hits += int(np.count_nonzero(test(values)))
    return hits / sum(node.size for node in nodes)


def _softmax(survey: Survey) -> Iterator[Finding]:
    """A softmax over the axis of time, or of the batch."""
    seen: set[Any] = set()
    for node in survey.graph.nodes:
        if node.op is None or node.op.name not in ("softmax", "log_softmax") or not node.ndim:
            continue
        site = (id(node._code), node._instruction)
        axis = node.constants.get("axis", -1)
        if site in seen or not isinstance(axis, int):
            continue
        seen.add(site)
        axis %= node.ndim
        meaning = _meaning(survey, node, axis)
        if axis != node.ndim - 1 and meaning:
            text = f"softmax over axis {axis}, which is {meaning}, of shape {node.shape}"
            yield Finding("softmax", f"{text}; the last axis is axis=-1", survey.place(node))


def _meaning(survey: Survey, node: Tensor, axis: int) -> str:
    """What an axis of a node is: "the batch", "time", or "" where that is not known."""
    batches = {
        x.shape[0]
        for x in survey.graph.nodes
        if x.role is not None and x.role.kind == "state" and x.ndim > 1
    }
    steps = {len(times) for _, times in _by_step(survey.graph).items()}
    size = node.shape[axis]
    if node.time is not None:
        return "the batch" if axis == 0 and size in batches - steps else ""
    if axis == 0 and size in steps and _read_as_classes(survey, node):
        return "time"
    is_batch = size in batches and (node.ndim, axis) in ((2, 0), (3, 1))
    return "the batch" if is_batch and size not in steps else ""


def _read_as_classes(survey: Survey, node: Tensor) -> bool:
    """Whether probabilities go into a loss, and are not weights of an attention over time."""
    if node.ndim < 2 or node.shape[-1] < 2:
        return False
    users = {edge.target.op.name for edge in survey.graph.users[node] if edge.target.op}
    return node.op.name == "log_softmax" or bool(users & {"log", "getitem", "take_along_axis"})


# rules


def _wrong_rules(survey: Survey) -> Iterator[Finding]:
    """Gradient rules of the program's own operations that finite differences contradict."""
    seen: set[Primitive] = set()
    for node in survey.graph.nodes:
        op = node.op
        if op is None or op in seen or _module(op).startswith("minigrad."):
            continue
        seen.add(op)
        for k, rule in rules_of(node).items():
            try:
                verdict = check_rule(node, k)
            except Exception as error:
                verdict = f"DISAGREES with its inputs: {type(error).__name__}: {error}"
            if verdict.startswith("DISAGREES"):
                text = f"{rule.__name__} {verdict}"
                yield Finding("wrong rule", text, _definition(rule))


def _module(op: Primitive) -> str:
    return str(getattr(op.forward, "__module__", ""))


def _definition(rule: Callable[..., Any]) -> str:
    code = getattr(rule, "__code__", None)
    if code is None:
        return ""
    return f"{code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}"


def rules_of(node: Tensor) -> dict[int, Any]:
    """The rules that run when a pass visits a node, by the number of the input."""
    op = node.op
    if op is None:
        return {}
    rules = [op.joint] * len(node.inputs) if op.joint else op.rules
    pairs = enumerate(zip(node.inputs, rules))
    return {k: rule for k, (x, rule) in pairs if x.requires_grad and rule}


def check_rule(node: Tensor, k: int) -> str:
    """Whether the rule for input k is what finite differences of the forward say.

    First on the arrays of that very call; beside it if there is a kink; and where the operation is
    too flat there to tell, at a point drawn around 0.
    """
    x = np.asarray(node.arrays[k], np.float64)
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        here = _compare(node, k, x)
        if here.startswith("too flat"):
            elsewhere = _compare(node, k, rng.standard_normal(x.shape))
            return f"{elsewhere}, at numbers around 0: it is {here}"
        if here.startswith("DISAGREES"):
            beside = _compare(node, k, x + 1e-3 * rng.uniform(0.5, 1, x.shape))
            if beside.startswith("agrees"):
                return "agrees with finite differences beside a kink"
    return here


def _compare(node: Tensor, k: int, x: Any) -> str:
    """The rule for input k against finite differences at x, the other inputs as they were."""

    def forward(x: Any) -> Any:
        return node.op.record(*node.arrays[:k], x, *node.arrays[k + 1 :], **node.constants)

    y = forward(x)
    if isinstance(y, Tensor) and y.dtype != np.float64:
        return f"cannot be checked: the operation gives {y.dtype}"
    step = 1e-6 * max(1.0, float(np.max(np.abs(x), initial=0.0)))
    worst = gradcheck(forward, x, eps=step, tolerance=math.inf).worst
    size = max(abs(worst.analytic), abs(worst.numeric))
    outputs = y if isinstance(y, tuple | list) else (y,)
    largest = max((float(np.max(np.abs(v._array), initial=0.0)) for v in outputs), default=0.0)
    noise = np.finfo(np.float64).eps * largest * math.sqrt(max(1, x.size)) / step
    difference = abs(worst.analytic - worst.numeric)
    if difference <= AGREEMENT * size + 10 * noise:
        if size < FLAT * noise and x.size:
            return "too flat here to tell"
        return f"agrees with finite differences to {AGREEMENT:g}"
    return f"DISAGREES with finite differences: {worst.analytic:.4g} against {worst.numeric:.4g}"
