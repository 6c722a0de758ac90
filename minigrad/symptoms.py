"""Signs of trouble in one pass: in time, in activations, in shapes, in what hooks do."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import naming
from minigrad.graph import Graph, per_graph
from minigrad.norms import norm
from minigrad.survey import Finding, Survey
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
REDUCTIONS = ("sum", "mean", "max", "min", "average")
BILINEAR = ("matmul", "multiply", "divide", "einsum", "dot", "where")
LARGE_GROWTH, SMALL_REST = 1e3, 1e-6  # of a gradient over all steps
FAST_DECAY = 0.5  # a step: no cell whose weights start as usual forgets as fast
ALIKE = 1e-6  # of the largest: units that differ by less are one
MANY_INDICES = 8
FEW_ROWS, SAMPLED_ROWS, FAR = (
    16,
    4096,
    100.0,
)  # an outlier: so many times what nine of ten entries stay below
TURNED = 45.0  # degrees
DETACHING = re.compile(r"\.detach\(|\.data\b|\.numpy\(")


# time


Steps = list[tuple[int, list[Tensor]]]  # t, and the nodes of that step


@per_graph
def by_step(graph: Graph) -> dict[str, Steps]:
    """For each axis its steps in the order of the backward pass, with their nodes."""
    steps: dict[Any, dict[int, list[Tensor]]] = {}
    for node in graph.order:
        if node.time is not None:
            steps.setdefault(node.time.axis, {}).setdefault(node.time.t, []).append(node)
    return {
        name: sorted(steps.get(axis, {}).items(), key=lambda item: -item[1][0].serial)
        for name, axis in graph.axes.items()
    }


def ignored(survey: Survey) -> Iterator[Finding]:
    """Steps behind the last one that the loss reads."""
    for axis, steps in by_step(survey.graph).items():
        silent: list[int] = []
        for t, nodes in steps:
            if any(survey.arrives.get(node, 0.0) != 0 for node in nodes):
                break
            silent.append(t)
        if not 0 < len(silent) < len(steps):
            continue
        reader = _reader(survey, steps)
        if not _takes_by_mask(reader):
            first, last = min(silent), max(silent)
            span = f"t = {first}" if first == last else f"t = {first} … {last}"
            line = survey.place(reader)
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


def _takes_by_mask(node: Tensor) -> bool:
    """Whether an operation takes what a mask says, so that the rest is left out on purpose."""
    index = node.constants.get("index", ())
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, np.ndarray) and part.dtype == bool for part in parts)


def dying(survey: Survey) -> Iterator[Finding]:
    """The operation in which the gradient of a state dies: something arrives, only zeros go on."""
    for axis, steps in by_step(survey.graph).items():
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
            made = naming.equation(survey.graph, node, survey.name_of(node))
            text = f"the gradient dies at t = {t} of axis {axis} in {node.op.name}: {made}"
            reached = f"nothing reaches the {len(steps) - dead} steps before"
            yield Finding("gradient dies", f"{text}; {reached}", survey.place(node))


def padding(survey: Survey) -> Iterator[Finding]:
    """Rows whose padding, behind their length, the loss reads."""
    for node, read in survey.padding.items():
        rows = read.all if _read_step_by_step(survey.graph, node) else read.certain
        if not rows:
            continue
        users = [edge.target for edge in survey.graph.users[node]]
        line = survey.place(users[0]) if users else survey.place(node)
        shown = ", ".join(map(str, rows[:8])) + (" …" if len(rows) > 8 else "")
        text = f"the loss reads padding, behind the length, of rows {shown} of the batch"
        yield Finding("padding", text, line)


def _read_step_by_step(graph: Graph, node: Tensor) -> bool:
    """Whether something that is not linear is computed of each step, before a sum over the steps.

    A plain sum over the steps of y adds zeros for padding; a loss of each step is none for them.
    """
    found = [node]
    seen = {node}
    for x in found:  # grows while it is walked
        for edge in graph.users[x]:
            op = edge.target.op
            pools = op.name in REDUCTIONS or edge.target.constants.get("axis") == 0
            if pools or edge.target in seen:
                continue
            seen.add(edge.target)
            if not op.linear and op.name not in BILINEAR:
                return True
            found.append(edge.target)
    return False


def carried_history(survey: Survey) -> Iterator[Finding]:
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


def saturated(survey: Survey) -> Iterator[Finding]:
    """Gates and units that are saturated, or dead, in more than 95 % of their entries."""
    sites: dict[Any, list[Tensor]] = {}
    for node in survey.graph.nodes:
        if node.op is not None and node.op.name in LIMITS and node.ndim:
            key = (node.op, id(node._code), node._instruction, node.scope, node.name)
            sites.setdefault(key, []).append(node)
    for nodes in sites.values():
        share, words = _worst(nodes)
        if share > SATURATED:
            scope = f" of {nodes[0].scope}" if nodes[0].scope else ""
            name = f"{survey.name_of(nodes[0])}{scope}"
            text = f"{name} is {words} in {100 * share:.4g} % of its entries"
            yield Finding("saturated", text, survey.place(nodes[0]))


def _worst(nodes: list[Tensor]) -> tuple[float, str]:
    """The share of the entries of an activation that are saturated, and at which end."""
    below, low, above, high = LIMITS[nodes[0].op.name]
    ends = [(_share(test, nodes), words) for test, words in ((below, low), (above, high)) if test]
    worst = max(ends)
    if worst[0] > SATURATED:
        return worst
    return sum(share for share, _ in ends), f"{low} or {high}"


def _share(test: Test, nodes: list[Tensor]) -> float:
    """The share of the entries of all nodes for which a test holds."""
    hits = 0
    for k in range(0, len(nodes), TOGETHER):  # a test of many small arrays is mostly calls
        values = np.concatenate([node._array for node in nodes[k : k + TOGETHER]], axis=None)
        hits += int(np.count_nonzero(test(values)))
    return hits / sum(node.size for node in nodes)


def softmax(survey: Survey) -> Iterator[Finding]:
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
    steps = {len(times) for _, times in by_step(survey.graph).items()}
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


def softmax_twice(survey: Survey) -> Iterator[Finding]:
    """A softmax of what is a softmax already, as in a loss that takes logits."""
    names = ("softmax", "log_softmax")
    for node in survey.graph.nodes:
        if node.op is not None and node.op.name in names and node.inputs[0].op is not None:
            before = node.inputs[0]
            if before.op.name in names:
                text = (
                    f"{survey.name_of(before)} is a {before.op.name} already, and goes into another"
                )
                yield Finding("softmax twice", f"{text}: give it logits", survey.place(before))
                return


# the flow of gradients


def detached(survey: Survey) -> Iterator[Finding]:
    """Constants that a line of the program makes of a state within the loop over time."""
    graph = survey.graph
    by_axis = by_step(graph)
    seen = set()
    for leaf in graph.leaves:
        if leaf.requires_grad or leaf._code is None or leaf.role is not None or not leaf.ndim:
            continue
        times = [e.target.time for e in graph.users[leaf] if e.target.time is not None]
        line = str(leaf.source)
        if not times or line in seen or not DETACHING.search(leaf.source.text):
            continue
        steps = by_axis[graph.axis_name(times[0].axis)]
        is_first = times[0].t == steps[-1][0]
        if not is_first or (len(steps) == 1 and times[0].t):
            seen.add(line)
            text = f"a constant within the loop, {leaf.source.text}, goes into t = {times[0].t}"
            yield Finding("detached", f"{text}: no gradient goes back further", line)


def grows(survey: Survey) -> Iterator[Finding]:
    """States whose gradient explodes, or vanishes at a rate that no usual cell has, over all steps.

    What a long sequence forgets at the usual rate is for `flow` to tell: it may be meant.
    """
    sizes: dict[Any, dict[Any, float]] = {}
    states: dict[Any, Tensor] = {}
    for node in survey.states:
        if node.time is None:
            continue
        cell = node.time.axis, node.scope
        square = survey.arrives.get(node, 0.0)
        sizes.setdefault(cell, {}).setdefault(node.t, 0.0)
        sizes[cell][node.t] += square
        states.setdefault(cell, node)
    for cell, squares in sizes.items():
        steps = [(t, math.sqrt(square)) for t, square in squares.items() if square]
        if len(steps) < 3 or not math.isfinite(sum(size for _, size in steps)):
            continue
        (end, first), (start, last) = steps[0], steps[-1]
        change = last / first
        ratio = change ** (1 / (len(steps) - 1))
        vanishes = change < SMALL_REST and ratio < FAST_DECAY
        if change > LARGE_GROWTH or vanishes:
            word = "vanishes" if vanishes else "explodes"
            name = survey.name_of(states[cell])
            ends = f"{first:.3g} at t = {end}, {last:.3g} at t = {start}"
            text = f"the gradient of {name} {word}: {ends}, ×{ratio:.3g} a step"
            if vanishes:
                text += _lost_in_rounding(states[cell], steps)
            yield Finding(word, text, survey.place(states[cell]))


def _lost_in_rounding(state: Tensor, steps: list[tuple[Any, float]]) -> str:
    """How many of the steps teach nothing: what they add to a sum over the steps is rounded off."""
    smallest = float(np.finfo(state.dtype).eps) * steps[0][1]
    lost = sum(size < smallest for _, size in steps)
    told = f"; {lost} of {len(steps)} steps add less to the gradients of the weights than rounding"
    return told if lost else ""


def truncated(survey: Survey) -> Iterator[Finding]:
    """Cuts that turn the gradient of a parameter into another direction."""
    if not survey.graph.cuts:
        return
    whole = Survey(Graph(*survey.graph.outputs))
    worst, name = 0.0, ""
    for label, leaf in survey.graph.parameters.items():
        pair = [np.asarray(x.grads[leaf], float) for x in (survey, whole) if leaf in x.grads]
        if len(pair) == 2 and (sizes := math.prod(map(norm, pair))):
            cosine = float(np.vdot(*pair)) / sizes
            angle = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
            if angle > worst:
                worst, name = angle, label
    if worst > TURNED:
        text = f"cuts turn the gradient of {name} by {worst:.0f}° from that of the whole graph"
        yield Finding("truncated", f"{text}: they leave out steps that matter")


def hooks(survey: Survey) -> Iterator[Finding]:
    """Hooks that turn a gradient round, or make zeros of it."""
    for node, (hook, what) in survey.hooked.items():
        code = getattr(hook, "__code__", None)
        line = f"{code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}" if code else ""
        text = f"a hook on {survey.title(node)} {what}"
        yield Finding("hook", text, line or survey.place(node))


# shapes and values


def ignored_rows(survey: Survey) -> Iterator[Finding]:
    """Rows of the batch of which the loss knows nothing, if they are most."""
    for node, read in survey.rows.items():
        ignored = np.flatnonzero(~read)
        if read.any() and len(ignored) * 2 >= len(read) and len(read) > 1:
            shown = ", ".join(map(str, ignored[:8])) + (" …" if len(ignored) > 8 else "")
            text = f"the loss ignores rows {shown} of the batch of {len(read)}"
            what = f"{survey.name_of(node)} has shape {node.shape}; is its first axis the batch?"
            yield Finding("ignored rows", f"{text}: {what}", survey.place(node))


def symmetric(survey: Survey) -> Iterator[Finding]:
    """States of which all units are equal: what starts alike stays alike."""
    seen = set()
    for node in survey.states:
        if (node.time, node.scope) in seen or node.ndim < 2 or node.shape[-1] < 2:
            continue
        axis = node.time and node.time.axis
        if (axis, node.scope) in seen:
            continue
        seen.add((axis, node.scope))
        values = node._array
        if values.any() and np.ptp(values, axis=-1).max() <= ALIKE * np.abs(values).max():
            text = f"all {node.shape[-1]} units of {survey.title(node)} are equal"
            yield Finding("symmetric", f"{text}: start the weights at random", survey.place(node))


def broadcast(survey: Survey) -> Iterator[Finding]:
    """A column and a row that meet in a table: (n, 1) and (n,) in (n, n)."""
    for node in survey.graph.nodes:
        if node.op is None or not node.op.elementwise or len(node.inputs) != 2:
            continue
        for column, row in (node.inputs, node.inputs[::-1]):
            alike = column.shape == (*row.shape, 1) and row.size > 1
            if alike and (column.op is None or column.op.name not in RESHAPING):
                names = (
                    f"{survey.name_of(column)} {column.shape} and {survey.name_of(row)} {row.shape}"
                )
                text = f"{names} are broadcast to {node.shape}"
                yield Finding("broadcast", text, survey.place(node))
                return


def outliers(survey: Survey) -> Iterator[Finding]:
    """An entry of the data that is far larger than almost all others of its feature."""
    groups: dict[Any, list[Tensor]] = {}
    for leaf in survey.graph.leaves:
        users = survey.graph.users[leaf]
        if leaf.ndim and leaf.dtype.kind == "f" and not leaf.requires_grad and users:
            user = users[0].target
            site = id(user._code), user._instruction, user.scope
            groups.setdefault((site, leaf.shape[-1] if leaf.ndim > 1 else 1), []).append(leaf)
    for (_, features), leaves in groups.items():
        rows = np.concatenate([np.abs(leaf._array).reshape(-1, features) for leaf in leaves])
        if len(rows) < FEW_ROWS or not np.isfinite(rows).all():
            continue
        usual = np.quantile(rows[:: len(rows) // SAMPLED_ROWS + 1], 0.9, axis=0)
        ratio = np.divide(rows.max(axis=0), usual, out=np.zeros(features), where=usual > 0)
        if ratio.max() > FAR:
            yield _outlier(survey, leaves, usual)


def _outlier(survey: Survey, leaves: list[Tensor], usual: NDArray[Any]) -> Finding:
    """The entry that is furthest from what is usual for its feature."""
    scales = np.where(usual > 0, usual, np.inf)
    far = [np.abs(leaf._array).reshape(-1, len(usual)) / scales for leaf in leaves]
    leaf, ratio = max(zip(leaves, far, strict=True), key=lambda pair: float(pair[1].max()))
    at = np.unravel_index(int(ratio.argmax()), leaf.shape)
    user = survey.graph.users[leaf][0].target
    when = "" if user.t is None else f" at t = {user.t}"
    text = f"{survey.name_of(leaf)}{[int(k) for k in at]}{when} is {leaf._array[at]:.3g}"
    limit = f"{ratio.max():.3g} × what nine of ten entries of its feature stay below"
    return Finding("outlier", f"{text}, {limit}", survey.place(user))


RESHAPING = ("getitem", "expand_dims", "reshape")


def same_indices(survey: Survey) -> Iterator[Finding]:
    """A lookup in a parameter whose indices are all the same."""
    for node in survey.graph.nodes:
        if node.op is None or not node.inputs or node.inputs[0].op is not None:
            continue
        index = node.constants.get("index", node.constants.get("indices"))
        if not isinstance(index, np.ndarray) or index.dtype.kind not in "iu":
            continue
        if index.size >= MANY_INDICES and (index == index.flat[0]).all():
            table = survey.name_of(node.inputs[0])
            text = (
                f"all {index.size} indices into {table} {node.inputs[0].shape} are {index.flat[0]}"
            )
            yield Finding("same index", text, survey.place(node))
            return
