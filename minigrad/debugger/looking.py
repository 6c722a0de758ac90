"""Texts about the place where a session stands: what the commands that only look print.  Imports `facts`, `session`."""

from __future__ import annotations

import inspect
import linecache
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minigrad import naming
from minigrad.backward import Step
from minigrad.debugger.breakpoints import nearest
from minigrad.debugger.facts import array_of, is_finite, norm_of, states
from minigrad.debugger.session import Session
from minigrad.graph import Graph
from minigrad.primitive import Scatter
from minigrad.reports import HEALTHY
from minigrad.source import Source
from minigrad.tensor import Tensor

_BARS = "▁▂▃▄▅▆▇█"
_MUCH = 100  # times as large as at the start, on a part of the pass


def called(graph: Graph, node: Tensor) -> str:
    """The name of a node with its time step: h[3]."""
    name = naming.label(graph, node)
    name = name if re.fullmatch(r"[\w.]+", name) else f"({name})"
    return name + ("" if node.t is None else f"[{node.t}]")


def place(graph: Graph, node: Tensor) -> str:
    """Time step, role, forward line and where that line is: the text after "stop"."""
    parts = [] if node.t is None else [f"t = {node.t}" + (f" of {node.time.axis}" if len(graph.axes) > 1 else "")]  # type: ignore[union-attr]
    name, text = naming.label(graph, node), naming.expression(graph, node)
    if node in states(graph):
        parts.append(f"state {name}" + (f" of {node.scope}" if node.scope else ""))
    what = text if text == name else f"{name} = {text}"
    where = str(node.source) + "".join(f", called from {line}" for line in callers(node)[:1])
    return f"{', '.join(parts)}{':   ' if parts else ''}{what}   ({where})"


def callers(node: Tensor) -> list[Source]:
    """The lines that opened the scopes of a node, innermost first, without the node's own line."""
    lines, scope = {str(node.source): node.source}, node._scope
    while scope is not None:
        lines.setdefault(str(scope.called_from), scope.called_from)
        scope = scope.parent
    return [line for name, line in list(lines.items())[1:] if line.code]


def where(session: Session, node: Tensor) -> str:
    """The forward line with its expression underlined, the lines that called it, scope and time step."""
    source, lines = node.source, []
    first, last, column, stop = source._position
    raw = linecache.getline(source.file, first).rstrip()
    if raw:
        start = len(raw.encode()[:column].decode(errors="replace"))
        end = len(raw.encode()[:stop].decode(errors="replace")) if last == first else len(raw)
        lines += [f"{source}:", f"  {raw}", f"  {' ' * start}{'^' * max(1, end - start)}"]
    else:
        lines += [f"{source}:", f"  {naming.label(session.graph, node)} = {naming.expression(session.graph, node)}"]
    lines += [f"called from {line}:\n  {line.text}" for line in callers(node)]
    time = "outside of time" if node.time is None else f"t = {node.t} of axis {node.time.axis}"
    step = f"step {session.step.index} of the pass" if session.step else "no step of the pass"
    return "\n".join([*lines, f"{time}, scope {node.scope or '(none)'}, {step}"])


def listing(node: Tensor) -> str:
    """The program around the forward line."""
    source = node.source
    lines = linecache.getlines(source.file)
    if not lines:
        return f"there is no source text of {source}"
    shown = range(max(1, source.line - 4), min(len(lines), source.line + 4) + 1)
    return "\n".join(f"{n:>5}{' ->' if n == source.line else '   '} {lines[n - 1].rstrip()}" for n in shown)


def array_text(name: str, value: Any) -> str:
    """An array in a few lines: shape, dtype, norm, range, what is not finite; small ones in full."""
    if isinstance(value, Scatter):
        return f"{name}: only at {value.index!r}: " + array_text("value", value.value)
    array = array_of(value)
    text = f"{name}: {array.shape} {array.dtype}"
    if array.size and array.dtype.kind == "f":
        text += f", norm {norm_of(array):.4g}"
        finite = np.isfinite(array)
        if not finite.all():
            first = tuple(int(k) for k in np.argwhere(~finite)[0])
            text += f", {int((~finite).sum())} of {array.size} not finite, the first at {list(first)}: {array[first]}"
        elif array.size > 1:
            text += f", from {array.min():.4g} to {array.max():.4g}"
    return text + ("" if array.size > 24 else "\n" + np.array2string(array, precision=6, separator=", "))


def inputs(session: Session, node: Tensor) -> str:
    """Each input of a node, and the gradient that goes on to it."""
    grads: Sequence[Any] = [None] * len(node.inputs)
    if session.step is not None and session.step.node is node:
        grads = session.step.contributions()
    lines = []
    for x, dx in zip(session.graph.inputs(node), grads, strict=False):
        name = called(session.graph, x)
        norm = f"norm {norm_of(x):.4g}" if x.dtype.kind == "f" else str(x.dtype)
        lines.append(f"{name}: {x.shape}, {norm}" + ("" if dx is None else f"   gets d{name} {naming.number(dx)}"))
    return "\n".join(lines) or "a leaf: nothing flows into it"


def rule(node: Tensor) -> str:
    """The source of the node's gradient rules, under the shapes that they get."""
    if node.op is None:
        return "a leaf has no rule"
    names = [*node.op.inputs, *[f"x{k}" for k in range(len(node.inputs) - len(node.op.inputs))]]
    shapes = [f"{name} {x.shape}" for name, x in zip(names, node.inputs, strict=False)]
    shapes += [f"{name}={value!r}" for name, value in node.constants.items()]
    texts = [f"{node.op.name}: dy {node.shape}, y {node.shape}, {', '.join(shapes)}"]
    for function in rules(node):
        try:
            texts.append(inspect.getsource(function).rstrip())
        except (OSError, TypeError):
            texts.append(f"def {function.__name__}{inspect.signature(function)}: ...  # there is no source text")
    return "\n".join(texts)


def rules(node: Tensor) -> list[Any]:
    """The rules that run when the pass visits a node."""
    op = node.op
    if op is None or op.joint is not None:
        return [] if op is None else [op.joint]
    return [function for x, function in zip(node.inputs, op.rules, strict=False) if x.requires_grad and function]


def contributions(session: Session, node: Tensor) -> str:
    """Who has added what to the gradient of `node` so far."""
    graph = session.graph
    users = {edge.target for edge in graph.users[node]}
    first = min((u for u in users if u in session._places), key=session._places.__getitem__, default=None)
    parts = [f"{_size(session._first.sums[node])} from the start of the pass"] if node in session._first.sums else []
    for step in session.replay(first):
        if step.node in users:
            for x, dx in zip(step.inputs, step.contributions(), strict=True):
                if x is node and dx is not None:
                    text = naming.expression(graph, step.node)
                    parts.append(f"{_size(dx)} from {text}" + ("" if step.t is None else f" (t={step.t})"))
    at_t = "" if node.t is None else f" at t={node.t}"
    name = f"d{naming.label(graph, node)}{at_t}"
    here = session.step is not None and session.step.node is node
    total = f"{_size(session.step.grad)} = " if here and session.step else ""
    changed = "   (then changed by hand)" if node in session.changes else ""
    return f"{name} = {total}{'  +  '.join(parts) or 'nothing yet'}{changed}"


def _size(grad: Any) -> str:
    return naming.number(grad).strip("|")


def pending(session: Session) -> str:
    """The gradients that have arrived and wait for their node, the next one first."""
    waiting = sorted(session.pending.sums.items(), key=lambda item: -item[0].serial)
    lines = []
    for x, dx in waiting:
        parts = dx if isinstance(dx, list) else [dx]
        size = " + ".join(naming.number(part) for part in parts)
        lines.append(f"d{called(session.graph, x)} {size}" + ("   parameter" if x.op is None else ""))
    more = [f"... and {len(lines) - 20} more"] if len(lines) > 20 else []
    return "\n".join([*lines[:20], *more]) or "nothing is pending"


def norms_by_state(session: Session) -> dict[tuple[str, str], dict[int, float]]:
    """(axis, state) → time step → |gradient|, as far as the pass has come, in its order."""
    table: dict[tuple[str, str], dict[int, float]] = {}
    known = states(session.original)
    for step in _so_far(session):
        if step.node in known and step.t is not None:
            table.setdefault(known[step.node], {})[step.t] = norm_of(step.grad)
    return table


def _so_far(session: Session) -> Iterator[Step]:
    yield from session.replay()
    if session.step is not None:
        yield session.step


def flow(session: Session) -> str:
    """One line for each state: the norm of its gradient by time step so far, drawn, and what becomes of it."""
    lines, several = [], len(session.original.axes) > 1
    for (axis, name), norms in norms_by_state(session).items():
        steps = list(norms)
        (first, start), (last, end) = (steps[0], norms[steps[0]]), (steps[-1], norms[steps[-1]])
        text = f"d{name}{f' of {axis}' if several else ''}   t={first} {start:.3g} {_chart(list(norms.values()))}"
        lines.append(text + (f" t={last} {end:.3g}   {_verdict(norms)}" if len(steps) > 1 else ""))
    return "\n".join(lines) or "no state has been passed yet; a state is what crosses from one time step to the next"


def _verdict(norms: dict[int, float]) -> str:
    values = list(norms.values())
    if not all(map(math.isfinite, values)):
        return f"not finite from t={next(t for t, norm in norms.items() if not math.isfinite(norm))} on"
    if values[0] == 0 or values[-1] == 0:
        return "zero" if values[0] == 0 else "vanished"
    rate = (values[-1] / values[0]) ** (1 / (len(values) - 1))
    change = values[-1] / values[0]
    if rate > HEALTHY[1] or change > _MUCH:
        return f"×{rate:.3g} a step: exploding"
    return f"×{rate:.3g} a step: {'vanishing' if rate < HEALTHY[0] or change < 1 / _MUCH else 'healthy'}"


def _chart(values: list[float], width: int = 40) -> str:
    """The values as bars on a logarithmic scale; of many, the largest of each group."""
    group = -(-len(values) // width)
    groups = [values[k : k + group] for k in range(0, len(values), group)]
    tops = [max(part, key=lambda v: math.inf if math.isnan(v) else v) for part in groups]
    logs = [math.log(v) if 0 < v < math.inf else None for v in tops]
    known = [v for v in logs if v is not None]
    low, span = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)
    steps = [None if v is None else round((v - low) / span * 7) if span > 1e-9 else 3 for v in logs]
    return "".join(
        "!" if not math.isfinite(v) else " " if k is None else _BARS[k] for v, k in zip(tops, steps, strict=True)
    )


def check(node: Tensor, grad: Any) -> str:
    """The rules of a node against central differences of its forward, in float64, along three random directions."""
    op, random = node.op, np.random.default_rng(0)
    if op is None:
        return "a leaf has no rule"
    values = [_widened(v) for v in node.arrays]
    dy = _widened(array_of(grad))
    dy = dy / np.linalg.norm(dy) if is_finite(dy) and np.any(dy) else random.standard_normal(dy.shape)
    outputs = op.forward(*values, **node.constants)
    dys = (
        dy
        if node.call is None
        else tuple(dy if k == node.call.which else np.zeros_like(o) for k, o in enumerate(outputs))
    )
    lines = []
    for k, x in enumerate(node.inputs):
        function = op.joint or op.rules[k]
        if not x.requires_grad or function is None:
            continue
        dx = function(dys, outputs, *values, **node.constants)
        error = max(_disagreement(op, node, values, k, dy, dx[k] if op.joint else dx, random) for _ in range(3))
        verdict = "agrees" if error < 1e-5 else "DISAGREES"
        lines.append(f"rule {function.__name__} {verdict} with finite differences: {error:.0e}")
    return "\n".join(dict.fromkeys(lines))


def _disagreement(op: Any, node: Tensor, values: list[Any], k: int, dy: Any, dx: Any, random: Any) -> float:
    """|⟨dx, v⟩ − ⟨dy, (f(x + εv) − f(x − εv)) / 2ε⟩|, relative, for a random direction v."""
    v = random.standard_normal(np.shape(values[k]))
    step = 1e-6 * max(1.0, float(np.max(np.abs(values[k]), initial=0.0)))
    moved = []
    for sign in (1, -1):
        y = op.forward(*[x + sign * step * v if j == k else x for j, x in enumerate(values)], **node.constants)
        moved.append(float(np.sum(dy * (y if node.call is None else y[node.call.which]))))
    measured = (moved[0] - moved[1]) / (2 * step)
    if isinstance(dx, Scatter):
        dx, v = dx.value, v[dx.index]
    claimed = 0.0 if dx is None else float(np.sum(array_of(dx) * v))
    return (
        abs(claimed - measured) / max(abs(claimed), abs(measured), 1e-6)
        if math.isfinite(claimed - measured)
        else math.inf
    )


def _widened(value: Any) -> Any:
    return np.asarray(value, np.float64) if np.asarray(value).dtype.kind == "f" else value


def find(graph: Graph, nodes: Sequence[Tensor], text: str) -> list[Tensor]:
    """Those of the nodes that are called `h[3]` or `h`; raises KeyError with the nearest name if there is none."""
    match = re.fullmatch(r"\s*(.+?)\s*(?:\[\s*(-?\d+)\s*\])?\s*", text)
    name, t = (match[1], match[2]) if match else (text, None)
    labels = [naming.label(graph, node) for node in nodes]
    named = [node for node, label in zip(nodes, labels, strict=True) if name in (label, f"({label})")]
    if not named:
        raise KeyError(f"no node of this pass is called {name!r}{nearest(name, labels)}")
    at_t = [node for node in named if t is None or node.t == int(t)]
    if not at_t:
        steps = sorted({node.t for node in named if node.t is not None})
        there = f"t = {steps[0]} to {steps[-1]}" if steps else "outside of time only"
        raise KeyError(f"there is no {name} at t = {t}; there is one at {there}")
    return at_t
