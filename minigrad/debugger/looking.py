"""Commands that look: at a node, its gradient, its place in the program and in time.  Imports `prompt`, `gradcheck`."""

from __future__ import annotations

import inspect
import linecache
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import naming
from minigrad.debugger.facts import FIELDS, Facts, array_of, is_finite, nearest, norm_of, spelled
from minigrad.debugger.prompt import COMMANDS, SHORT, Prompt, Refused, command
from minigrad.debugger.session import Session
from minigrad.edits import clip_gradient, cut
from minigrad.gradcheck import gradcheck
from minigrad.primitive import Scatter
from minigrad.reports import HEALTHY
from minigrad.source import Source
from minigrad.tensor import Tensor

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 40  # bars of a chart at most
_MOST = 12  # contributions on one line
_MUCH = 100  # times as large as at the start, on a part of the pass
_AGREES = 1e-5  # relative, of a derivative in float64


@command("grad")
def grad(prompt: Prompt, text: str) -> str:
    """grad [NODE]: the gradient of this node, or one that is pending.

    Example: grad h[3]
    """
    node, session = prompt.find(text), prompt.session
    name = f"d{called(prompt.facts, node)}"
    if session.step is not None and session.step.node is node:
        mark = "   (changed by hand)" if node in session.changes else ""
        return array_text(f"d{spelled(prompt.facts.of(node).name)}", session.step.grad) + mark
    waiting = session.pending.sums.get(node)
    if waiting is None:
        if any(step.node is node for step in session.replay(node)):
            raise Refused(f"{name} has been used; goto {text} goes back to it")
        raise Refused(f"{name}: nothing has arrived yet")
    parts = waiting if isinstance(waiting, list) else [waiting]
    return "\n".join(array_text(f"{name}, so far", part) for part in parts)


@command("value")
def value(prompt: Prompt, text: str) -> str:
    """value [NODE]: what a node holds since the forward pass.

    Example: value h[3]
    """
    node = prompt.find(text)
    return array_text(called(prompt.facts, node), node)


@command("inputs")
def inputs(prompt: Prompt, text: str) -> str:
    """inputs [NODE]: what flows into the node, and the gradients that go on to it (this runs the rule).

    Example: inputs
    """
    node, step = prompt.find(text), prompt.session.step
    here = step is not None and step.node is node
    grads: Sequence[Any] = step.contributions() if here and step else [None] * len(node.inputs)
    lines = []
    for x, dx in zip(prompt.session.graph.inputs(node), grads, strict=True):
        name = called(prompt.facts, x)
        norm = f"norm {norm_of(x):.4g}" if x.dtype.kind == "f" else str(x.dtype)
        lines.append(f"{name}: {x.shape}, {norm}" + ("" if dx is None else f"   gets d{name} {naming.number(dx)}"))
    if here and not prompt.session.graph.is_first(node):
        lines.append("one of several outputs: the rule runs at the first of them, with the gradients of all")
    return "\n".join(lines) or "a leaf: nothing flows into it"


@command("contributions")
def contributions(prompt: Prompt, text: str) -> str:
    """contributions [NODE]: who has added what to the gradient.

    Example: contributions
    """
    node, session = prompt.find(text), prompt.session
    users = {edge.target for edge in session.graph.users[node]}
    parts = [f"{_size(session.start.sums[node])} from the start of the pass"] if node in session.start.sums else []
    for step in session.replay(max(users, key=lambda user: user.serial, default=node)):
        for x, dx in zip(step.inputs, step.contributions(), strict=True) if step.node in users else ():
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


@command("where", "w")
def where(prompt: Prompt, text: str) -> str:
    """where [NODE]: the forward line with its expression underlined, the lines that called it, scope and time step.

    Example: where
    """
    node, session = prompt.find(text), prompt.session
    source = node.source
    first, last, column, stop = source._position
    raw = linecache.getline(source.file, first).rstrip()
    if raw:
        before = len(raw.encode()[:column].decode(errors="replace"))
        after = len(raw.encode()[:stop].decode(errors="replace")) if last == first else len(raw)
        lines = [f"{source}:", f"  {raw}", f"  {' ' * before}{'^' * max(1, after - before)}"]
    else:
        lines = [f"{source}:", f"  {prompt.facts.of(node).name} = {naming.expression(session.graph, node)}"]
    lines += [f"called from {line}:\n  {line.text}" for line in _callers(node)]
    time = "outside of time" if node.t is None else f"t = {node.t} of axis {prompt.facts.of(node).axis}"
    here = session.step is not None and session.step.node is node
    step = f"step {session.index}" if here else "not the present step" if session.step else "no step"
    return "\n".join([*lines, f"{time}, scope {node.scope or '(none)'}, {step} of the pass"])


def _callers(node: Tensor) -> list[Source]:
    """The lines that opened the scopes of a node, innermost first, without the node's own line."""
    lines, scope = {str(node.source): node.source}, node._scope
    while scope is not None:
        lines.setdefault(str(scope.called_from), scope.called_from)
        scope = scope.parent
    return [line for line in list(lines.values())[1:] if line.code]


@command("list", "l")
def listing(prompt: Prompt, text: str) -> str:
    """list [NODE]: the program around the forward line.

    Example: list
    """
    source = prompt.find(text).source
    lines = linecache.getlines(source.file)
    shown = range(max(1, source.line - 4), min(len(lines), source.line + 4) + 1)
    rows = [f"{n:>5}{' ->' if n == source.line else '   '} {lines[n - 1].rstrip()}" for n in shown]
    return "\n".join(rows) or f"there is no source text of {source}"


@command("rule")
def rule(prompt: Prompt, text: str) -> str:
    """rule [NODE]: the source of the gradient rules, with the actual shapes.

    Example: rule
    """
    node = prompt.find(text)
    op, texts = node.op, []
    if op is None:
        return "a leaf has no rule"
    shapes = [f"{op.input_name(k).strip(chr(39))} {x.shape}" for k, x in enumerate(node.inputs)]
    shapes += [f"{name}={value!r}" for name, value in node.constants.items()]
    for function in dict.fromkeys(_rules(node).values()):
        try:
            texts.append(inspect.getsource(function).rstrip())
        except (OSError, TypeError):
            texts.append(f"def {function.__name__}{inspect.signature(function)}: ...  # there is no source text")
    return "\n".join([f"{op.name}: dy {node.shape}, y {node.shape}, {', '.join(shapes)}", *texts])


def _rules(node: Tensor) -> dict[int, Any]:
    """The rules that run when the pass visits a node, by the number of the input."""
    rules = [] if node.op is None else [node.op.joint] * len(node.inputs) if node.op.joint else node.op.rules
    return {k: rule for k, (x, rule) in enumerate(zip(node.inputs, rules)) if x.requires_grad and rule}


@command("check")
def check(prompt: Prompt, text: str) -> str:
    """check [NODE]: the rules of a node against finite differences of its forward, on the arrays of that very call.

    Example: check
    """
    node = prompt.find(text)
    if node.op in (cut, clip_gradient):
        raise Refused("an edit is no derivative: it is there to change the gradient")
    if not all(map(is_finite, node.arrays)):
        raise Refused("the rule cannot be checked here: not all that goes into the operation is finite")
    verdicts = {f"rule {rule.__name__} {_verdict_on(node, k)}": None for k, rule in _rules(node).items()}
    return "\n".join(verdicts) or "a leaf has no rule"


def _verdict_on(node: Tensor, k: int) -> str:
    """Whether the gradient of input number k is what finite differences say, here or else beside this point."""
    x = np.asarray(node.arrays[k], np.float64)

    def forward(x: Any) -> Any:
        return node.op(*node.arrays[:k], x, *node.arrays[k + 1 :], **node.constants)  # type: ignore[misc]

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
    return "agrees with finite differences beside a kink" if kink else f"DISAGREES with finite differences: {here:.0e}"


@command("pending")
def pending(prompt: Prompt, _: str) -> str:
    """pending: the gradients that have arrived and wait, the next one first.

    Example: pending
    """
    lines = []
    for x, dx in sorted(prompt.session.pending.sums.items(), key=lambda item: -item[0].serial):
        size = " + ".join(naming.number(part) for part in (dx if isinstance(dx, list) else [dx]))
        lines.append(f"d{called(prompt.facts, x)} {size}" + ("   parameter" if x.op is None else ""))
    more = [f"... and {len(lines) - 20} more"] if len(lines) > 20 else []
    return "\n".join([*lines[:20], *more]) or "nothing is pending"


@command("flow")
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
    return "\n".join(lines) or "no state has been passed yet; a state is what crosses from one time step to the next"


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


@command("draw")
def draw(prompt: Prompt, text: str) -> str:
    """draw [PATH]: a picture of the neighbourhood with this node lit (by default backward.svg).

    Example: draw here.png
    """
    node = prompt.find("")
    steps = "auto" if node.t is None else f"{max(0, node.t - 1)}:{node.t + 2}"
    return f"written: {prompt.session.graph.render(text or 'backward.svg', steps=steps, highlight=[node])}"


@command("print", "p")
def print_(prompt: Prompt, text: str) -> str | None:
    """print EXPRESSION: evaluate Python; so does a line that is no command, and any line after !.

    Example: print grad.max()
    """
    if not text:
        raise Refused("print what?  for example: print grad.max()")
    return prompt.python(text)


@command("watch")
def watch(prompt: Prompt, text: str) -> str:
    """watch [EXPRESSION]: show its value at every stop; without one, forget all.

    Example: watch abs(grad).max()
    """
    if text:
        compile(text, "<watch>", "eval")
    prompt.watched = [*prompt.watched, text] if text else []
    return prompt.watches()


@command("help", "?")
def help_(prompt: Prompt, text: str) -> str:
    """help [COMMAND]: all commands, or one.

    Example: help goto
    """
    if text and text not in SHORT:
        raise Refused(f"there is no command {text!r}{nearest(text, COMMANDS)}")
    if text:
        fields = "\n".join(f"  {field:<10} {meaning}" for field, meaning in FIELDS.items())
        return (inspect.getdoc(COMMANDS[SHORT[text]]) or "").replace("{fields}", fields)
    lines: dict[str, None] = {}
    for function in COMMANDS.values():
        first, *_, example = (inspect.getdoc(function) or "").splitlines()
        lines[f"{function.__module__.rpartition('.')[2]}:"] = None
        lines[f"  {first.split(':')[0]:<30} {example.removeprefix('Example: ')}"] = None
    return "\n".join([*lines, "anything else is Python; !c is a variable even where a command is called so"])


# texts


def called(facts: Facts, node: Tensor) -> str:
    """The name of a node with its time step: h[3]."""
    return spelled(facts.of(node).name) + ("" if node.t is None else f"[{node.t}]")


def place(facts: Facts, node: Tensor) -> str:
    """Time step, role, forward line and where that line is: the text after "stop"."""
    name, text = facts.of(node).name, naming.expression(facts.graph, node)
    several = f" of {facts.axis}" if len(facts.axes) > 1 else ""
    parts = [] if node.t is None else [f"t = {node.t}{several}"]
    if node in facts.states:
        parts.append(f"state {name}" + (f" of {node.scope}" if node.scope else ""))
    what = text if text == name else f"{name} = {text}"
    lines = str(node.source) + "".join(f", called from {line}" for line in _callers(node)[:1])
    return f"{', '.join(parts)}{':   ' if parts else ''}{what}   ({lines})"


def finished(session: Session, facts: Facts) -> str:
    """What to say at the end of a pass; of an edited one, how large the gradients of the states were."""
    text = f"finished after {session.index} steps"
    if session.graph is session.original:
        return text + (f", {len(session.changes)} of them changed by hand" if session.changes else "")
    largest, clipped = dict[str, float](), list[bool]()
    for step in session.replay():
        if state := facts.states.get(step.node):
            largest[state] = max(largest.get(state, 0.0), norm_of(step.grad))
        elif step.node.op is clip_gradient:
            clipped.append(norm_of(step.input_grads[0]) < norm_of(step.grad) * (1 - 1e-6))
    text += "".join(f"; max |d{state}| = {norm:.2f}" for state, norm in largest.items())
    return text + (f"; {sum(clipped)} of {len(clipped)} crossings clipped" if clipped else "")


def array_text(name: str, value: Any) -> str:
    """An array in a few lines: shape, dtype, norm, range, what is not finite; small ones in full."""
    if isinstance(value, Scatter):
        return f"{name}: only at {value.index!r}: " + array_text("value", value.value)
    array = array_of(value)
    text = f"{name}: {array.shape} {array.dtype}"
    if array.size and array.dtype.kind == "f":
        text += f", norm {norm_of(array):.4g}"
        wrong = np.argwhere(~np.isfinite(array))
        if len(wrong):
            first = wrong[0].tolist()
            text += f", {len(wrong)} of {array.size} not finite, the first at {first}: {array[tuple(first)]}"
        elif array.size > 1:
            text += f", from {array.min():.4g} to {array.max():.4g}"
    return text + ("" if array.size > 24 else "\n" + np.array2string(array, precision=6, separator=", "))
