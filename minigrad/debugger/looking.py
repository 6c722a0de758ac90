"""Commands that look: at a node, its gradient, its place in the program and in time.  Imports `prompt`, `gradcheck`."""

from __future__ import annotations

import inspect
import linecache
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import naming
from minigrad.debugger.facts import (
    FIELDS,
    array_text,
    called,
    callers,
    is_finite,
    nearest,
    norm_of,
    spelled,
)
from minigrad.debugger.prompt import COMMANDS, SHORT, Prompt, Refused, usage_of
from minigrad.edits import clip_gradient, cut
from minigrad.gradcheck import gradcheck
from minigrad.reports import HEALTHY
from minigrad.tensor import Tensor

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 40  # bars of a chart at most
_MOST, _ROWS = 12, 20  # contributions on one line, rows of a table
_MUCH = 100  # times as large as at the start, on a part of the pass
_AGREES = 1e-5  # relative, of a derivative in float64


def grad(prompt: Prompt, node: Tensor) -> str:
    """grad [NODE]: the gradient of this node, or one that is pending.

    Example: grad h[3]
    """
    session = prompt.session
    name = f"d{called(prompt.facts, node)}"
    if session.step is not None and session.step.node is node:
        mark = "   (changed by hand)" if node in session.changes else ""
        return array_text(f"d{spelled(prompt.facts.of(node).name)}", session.step.grad) + mark
    waiting = session.pending.sums.get(node)
    if waiting is None:
        if any(step.node is node for step in session.replay(node)):
            raise Refused(f"{name} has been used; goto {name} goes back to it")
        raise Refused(f"{name}: nothing has arrived yet")
    parts = waiting if isinstance(waiting, list) else [waiting]
    return "\n".join(array_text(f"{name}, so far", part) for part in parts)


def value(prompt: Prompt, node: Tensor) -> str:
    """value [NODE]: what a node holds since the forward pass.

    Example: value h[3]
    """
    return array_text(called(prompt.facts, node), node)


def inputs(prompt: Prompt, node: Tensor) -> str:
    """inputs [NODE]: what flows into the node, and the gradients that go on to it (this runs the rule).

    Example: inputs
    """
    step = prompt.session.step
    here = step is not None and step.node is node
    grads: Sequence[Any] = step.contributions() if here and step else [None] * len(node.inputs)
    lines = []
    for x, dx in zip(prompt.session.graph.inputs(node), grads, strict=True):
        name = called(prompt.facts, x)
        norm = f"norm {norm_of(x):.4g}" if x.dtype.kind == "f" else str(x.dtype)
        lines.append(
            f"{name}: {x.shape}, {norm}"
            + ("" if dx is None else f"   gets d{name} {naming.number(dx)}")
        )
    if here and not prompt.session.graph.is_first(node):
        lines.append(
            "one of several outputs: the rule runs at the first of them, with the gradients of all"
        )
    return "\n".join(lines) or "a leaf: nothing flows into it"


def contributions(prompt: Prompt, node: Tensor) -> str:
    """contributions [NODE]: who has added what to the gradient.

    Example: contributions
    """
    session = prompt.session
    users = {edge.target for edge in session.graph.users[node]}
    parts = (
        [f"{_size(session.beginning.sums[node])} from the start of the pass"]
        if node in session.beginning.sums
        else []
    )
    for step in session.replay(max(users, key=lambda user: user.serial, default=node)):
        for x, dx in (
            zip(step.inputs, step.contributions(), strict=True) if step.node in users else ()
        ):
            if x is node and dx is not None:
                at = "" if step.t is None else f" (t={step.t})"
                parts.append(f"{_size(dx)} from {naming.expression(session.graph, step.node)}{at}")
    name = f"d{spelled(prompt.facts.of(node).name)}" + ("" if node.t is None else f" at t={node.t}")
    if len(parts) > _MOST:
        parts = [*parts[:_MOST], f"{len(parts) - _MOST} more"]
    total = f"{_size(session.step.grad)} = " if session.step and session.step.node is node else ""
    by = "by hand" if node in session.changes else "by a hook" if node in session.hooked else ""
    changed = f"   (then changed {by})" if by else ""
    return f"{name} = {total}{'  +  '.join(parts) or 'nothing yet'}{changed}"


def _size(grad: Any) -> str:
    return naming.number(grad).strip("|")


def where(prompt: Prompt, node: Tensor) -> str:
    """where [NODE]: the forward line with its expression underlined, the lines that called it, scope and time step.

    Example: where
    """
    session, source = prompt.session, node.source
    first, last, column, stop = source._position
    raw = linecache.getline(source.file, first).rstrip()
    if raw:
        before = len(raw.encode()[:column].decode(errors="replace"))
        after = len(raw.encode()[:stop].decode(errors="replace")) if last == first else len(raw)
        lines = [f"{source}:", f"  {raw}", f"  {' ' * before}{'^' * max(1, after - before)}"]
    else:
        lines = [
            f"{source}:",
            f"  {prompt.facts.of(node).name} = {naming.expression(session.graph, node)}",
        ]
    lines += [f"called from {line}:\n  {line.text}" for line in callers(node)]
    time = (
        "outside of time"
        if node.t is None
        else f"t = {node.t} of axis {prompt.facts.of(node).axis}"
    )
    here = session.step is not None and session.step.node is node
    step = (
        f"step {session.index}" if here else "not the present step" if session.step else "no step"
    )
    return "\n".join([*lines, f"{time}, scope {node.scope or '(none)'}, {step} of the pass"])


def list_(prompt: Prompt, node: Tensor) -> str:
    """list [NODE]: the program around the forward line.

    Example: list
    """
    source = node.source
    lines = linecache.getlines(source.file)
    shown = range(max(1, source.line - 4), min(len(lines), source.line + 4) + 1)
    rows = [f"{n:>5}{' ->' if n == source.line else '   '} {lines[n - 1].rstrip()}" for n in shown]
    return "\n".join(rows) or f"there is no source text of {source}"


def rule(prompt: Prompt, node: Tensor) -> str:
    """rule [NODE]: the source of the gradient rules, with the actual shapes.

    Example: rule
    """
    op, texts = node.op, []
    if op is None:
        return "a leaf has no rule"
    shapes = [f"{op.input_name(k).strip(chr(39))} {x.shape}" for k, x in enumerate(node.inputs)]
    shapes += [f"{name}={value!r}" for name, value in node.constants.items()]
    for function in dict.fromkeys(_rules(node).values()):
        try:
            texts.append(inspect.getsource(function).rstrip())
        except (OSError, TypeError):
            texts.append(
                f"def {function.__name__}{inspect.signature(function)}: ...  # there is no source text"
            )
    return "\n".join([f"{op.name}: dy {node.shape}, y {node.shape}, {', '.join(shapes)}", *texts])


def _rules(node: Tensor) -> dict[int, Any]:
    """The rules that run when the pass visits a node, by the number of the input."""
    rules = (
        []
        if node.op is None
        else [node.op.joint] * len(node.inputs)
        if node.op.joint
        else node.op.rules
    )
    return {
        k: rule for k, (x, rule) in enumerate(zip(node.inputs, rules)) if x.requires_grad and rule
    }


def check(prompt: Prompt, node: Tensor) -> str:
    """check [NODE]: the rules of a node against finite differences of its forward, on the arrays of that very call.

    Example: check
    """
    if node.op in (cut, clip_gradient):
        raise Refused("an edit is no derivative: it is there to change the gradient")
    if not all(map(is_finite, node.arrays)):
        raise Refused(
            "the rule cannot be checked here: not all that goes into the operation is finite"
        )
    verdicts = {
        f"rule {rule.__name__} {_verdict_on(node, k)}": None for k, rule in _rules(node).items()
    }
    return "\n".join(verdicts) or "a leaf has no rule"


def _verdict_on(node: Tensor, k: int) -> str:
    """Whether the gradient of input number k is what finite differences say, here or else beside this point."""
    x = np.asarray(node.arrays[k], np.float64)

    def forward(x: Any) -> Any:
        return node.op(*node.arrays[:k], x, *node.arrays[k + 1 :], **node.constants)

    def error(x: Any) -> float:
        step = 1e-6 * max(1.0, float(np.max(np.abs(x), initial=0.0)))
        return gradcheck(forward, x, eps=step, tolerance=math.inf).worst.error

    with np.errstate(all="ignore"):
        here, beside = error(x), x + 1e-3 * np.random.default_rng(0).uniform(0.5, 1, x.shape)
        if here < _AGREES:
            return f"agrees with finite differences to {_AGREES:g}"
        if node.call is None and forward(x).dtype != np.float64:
            return f"cannot be checked: the operation gives {forward(x).dtype}"
        kink = error(beside) < _AGREES
    return (
        "agrees with finite differences beside a kink"
        if kink
        else f"DISAGREES with finite differences: {here:.0e}"
    )


def pending(prompt: Prompt, _: str) -> str:
    """pending: the gradients that have arrived and wait, the next one first.

    Example: pending
    """
    sums, lines = prompt.session.pending.sums, []
    for x, dx in sorted(sums.items(), key=lambda item: -item[0].serial):
        parts = dx if isinstance(dx, list) else [dx]
        if any(map(norm_of, parts)):
            kind = "   parameter" if x.op is None else ""
            lines.append(
                f"d{called(prompt.facts, x)} {' + '.join(map(naming.number, parts))}{kind}"
            )
    rest = [f"... and {len(lines) - _ROWS} more"] if len(lines) > _ROWS else []
    rest += [f"... and {len(sums) - len(lines)} that are zero"] if len(sums) > len(lines) else []
    return "\n".join([*lines[:_ROWS], *rest]) or "nothing is pending"


def flow(prompt: Prompt, _: str) -> str:
    """flow: the norm of each state's gradient by time step so far, drawn, and how it changes from step to step.

    Example: flow
    """
    states: dict[str, dict[Any, float]] = {}
    for step in [*prompt.session.replay(), *filter(None, [prompt.session.step])]:
        if step.node in prompt.facts.states:
            states.setdefault(prompt.facts.states[step.node], {})[step.t] = norm_of(step.grad)
    lines = []
    for name, norms in states.items():
        first, last = next(iter(norms)), next(reversed(norms))
        end = f" t={last} {norms[last]:.3g}   {_verdict(norms)}" if len(norms) > 1 else ""
        lines.append(f"d{name}   t={first} {norms[first]:.3g} {_chart(list(norms.values()))}{end}")
    return (
        "\n".join(lines)
        or "no state has been passed yet; a state is what crosses from one time step to the next"
    )


def _verdict(norms: dict[Any, float]) -> str:
    values = list(norms.values())
    if not all(map(math.isfinite, values)):
        return f"not finite from t={next(t for t, norm in norms.items() if not math.isfinite(norm))} on"
    if values[0] == 0 or values[-1] == 0:
        return "zero" if values[0] == 0 else "vanished"
    change = values[-1] / values[0]
    rate = change ** (1 / (len(values) - 1))
    grows, shrinks = rate > HEALTHY[1] or change > _MUCH, rate < HEALTHY[0] or change < 1 / _MUCH
    return f"×{rate:.3g} a step: {'exploding' if grows else 'vanishing' if shrinks else 'healthy'}"


def _chart(values: list[float]) -> str:
    """The values as bars on a logarithmic scale, ! where not finite; of many, the largest of each group."""
    group = -(-len(values) // _WIDTH)
    groups = [values[k : k + group] for k in range(0, len(values), group)]
    tops = [max(part, key=lambda v: math.inf if math.isnan(v) else v) for part in groups]
    logs = [math.log(v) for v in tops if 0 < v < math.inf]
    low, span = min(logs, default=0.0), max(logs, default=0.0) - min(logs, default=0.0)

    def bar(v: float) -> str:
        if not 0 < v < math.inf:
            return " " if v == 0 else "!"
        return _BARS[round((math.log(v) - low) / span * 7) if span > 1e-9 else 3]

    return "".join(map(bar, tops))


def draw(prompt: Prompt, text: str) -> str:
    """draw [PATH]: a picture of the neighbourhood with this node lit (by default backward.svg).

    Example: draw here.png
    """
    from minigrad.render import render

    node = prompt.find("")
    steps = "auto" if node.t is None else f"{max(0, node.t - 1)}:{node.t + 2}"
    return f"written: {render(prompt.session.graph, text or 'backward.svg', steps=steps, highlight=[node])}"


def print_(prompt: Prompt, text: str) -> str | None:
    """print EXPRESSION: evaluate Python; so does a line that is no command, and any line after !.

    Example: print grad.max()
    """
    return prompt.python(text)


def watch(prompt: Prompt, text: str) -> str:
    """watch [EXPRESSION]: show its value at every stop; without one, forget all.

    Example: watch abs(grad).max()
    """
    if text:
        compile(text, "<watch>", "eval")
    prompt.watched = [*prompt.watched, text] if text else []
    return prompt.watches()


def help_(prompt: Prompt, text: str) -> str:
    """help [COMMAND]: all commands, or one.

    Example: help goto
    """
    name = SHORT.get(text, text)
    if name in COMMANDS:
        fields = "\n".join(f"  {field:<10} {meaning}" for field, meaning in FIELDS.items())
        return (inspect.getdoc(COMMANDS[name]) or "").replace("{fields}", fields)
    if text:
        raise Refused(f"there is no command {text!r}{nearest(text, COMMANDS)}")
    lines: dict[str, None] = {}
    for function in COMMANDS.values():
        usage, example = usage_of(function)
        lines[f"{function.__module__.rpartition('.')[2]}:"] = None
        lines[f"  {usage:<30} {example}"] = None
    return "\n".join(
        [*lines, "anything else is Python; !c is a variable even where a command is called so"]
    )
