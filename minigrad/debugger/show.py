"""Commands that look: at a node, its gradient, its place in the program and in time."""

from __future__ import annotations

import inspect
import linecache
import math
from collections.abc import Sequence
from typing import Any

from minigrad import naming
from minigrad.backward import Step
from minigrad.checkup import checkup as check_up
from minigrad.debugger.facts import PassInfo
from minigrad.debugger.prompt import Answer, CommandError, Prompt, command
from minigrad.debugger.texts import array_text, callers, in_brackets
from minigrad.edits import clip_gradient, cut
from minigrad.explain import explain as explain_gradient
from minigrad.flow import gradient_flow, state_lines
from minigrad.graph import Graph
from minigrad.language import say
from minigrad.norms import is_finite, norm, short
from minigrad.reports import StateFlow, verdict
from minigrad.rulecheck import check_rule, rules_of
from minigrad.sparkline import sparkline
from minigrad.survey import Survey
from minigrad.symptoms import dying
from minigrad.tensor import Tensor

MAX_PARTS = 12  # contributions on one line
TABLE_ROWS = 20
MEASURED_NODES = 30_000  # of a larger graph, what was passed so far is judged


@command("grad [NODE]", example="grad h[3]")
def grad(prompt: Prompt, text: str) -> Answer:
    """The gradient of this node, or one that is pending."""
    session, node = prompt.session, prompt.find(text)
    name = f"d{prompt.info.title(node)}"
    if session.step is not None and session.step.node is node:
        changed = "   (changed by hand)" if node in session.changes else ""
        short = f"d{in_brackets(prompt.info.name_of(node))}"
        return array_text(short, session.step.grad) + changed
    waiting = session.pending.grads.get(node)
    if waiting is None:
        if any(step.node is node for step in session.replay(node)):
            raise CommandError(f"{name} has been used; goto {name} goes back to it")
        raise CommandError(f"{name}: nothing has arrived yet")
    parts = waiting if isinstance(waiting, list) else [waiting]
    return "\n".join(array_text(f"{name}, so far", part) for part in parts)


@command("value [NODE]", example="value h[3]")
def value(prompt: Prompt, text: str) -> Answer:
    """What a node holds since the forward pass."""
    node = prompt.find(text)
    return array_text(prompt.info.title(node), node)


@command("inputs [NODE]", example="inputs")
def inputs(prompt: Prompt, text: str) -> Answer:
    """What flows into the node, and the gradients that go on to it (this runs the rule)."""
    step, node = prompt.session.step, prompt.find(text)
    here = step is not None and step.node is node
    grads: Sequence[Any] = step.sparse_input_grads() if here and step else [None] * len(node.inputs)
    lines = []
    for x, dx in zip(prompt.session.graph.inputs(node), grads, strict=True):
        name = prompt.info.title(x)
        size = f"norm {norm(x):.4g}" if x.dtype.kind == "f" else str(x.dtype)
        gets = "" if dx is None else f"   gets d{name} {short(dx)}"
        lines.append(f"{name}: {x.shape}, {size}{gets}")
    if here and not prompt.session.graph.is_first_output(node):
        lines.append(
            "one of several outputs: the rule runs at the first of them, with the gradients of all"
        )
    return "\n".join(lines) or "a leaf: nothing flows into it"


@command("contributions [NODE]", example="contributions")
def contributions(prompt: Prompt, text: str) -> Answer:
    """Which operations have added what to the gradient."""
    session, node = prompt.session, prompt.find(text)
    users = {edge.target for edge in session.graph.users[node]}
    parts = []
    if node in session.beginning.grads:
        parts.append(f"{_size(session.beginning.grads[node])} from the start of the pass")
    for step in session.replay(max(users, key=lambda user: user.serial, default=node)):
        if step.node in users:
            parts += _parts(prompt, step, node)
    name = f"d{in_brackets(prompt.info.name_of(node))}"
    at = "" if node.t is None else f" at t={node.t}"
    here = session.step is not None and session.step.node is node
    total = f"{_size(session.step.grad)} = " if here and session.step else ""
    if len(parts) > MAX_PARTS:
        parts = [*parts[:MAX_PARTS], f"{len(parts) - MAX_PARTS} more"]
    found = "  +  ".join(parts) or "nothing yet"
    return f"{name}{at} = {total}{found}{_changed(prompt, node)}"


def _parts(prompt: Prompt, step: Step, node: Tensor) -> list[str]:
    """What one step adds to the gradient of a node, once for each input that the node is."""
    at = "" if step.t is None else f" (t={step.t})"
    expression = naming.expression(prompt.session.graph, step.node)
    return [
        f"{_size(dx)} from {expression}{at}"
        for x, dx in zip(step.inputs, step.sparse_input_grads(), strict=True)
        if x is node and dx is not None
    ]


def _changed(prompt: Prompt, node: Tensor) -> str:
    """By what a gradient was changed after it was summed."""
    if node in prompt.session.changes:
        return "   (then changed by hand)"
    return "   (then changed by a hook)" if node in prompt.session.hooked else ""


def _size(grad: Any) -> str:
    return short(grad).strip("|")


@command("where [NODE]", example="where")
def where(prompt: Prompt, text: str) -> Answer:
    """The forward line with its expression underlined, the lines that called it, scope, step."""
    session, node = prompt.session, prompt.find(text)
    lines = _marked_source(prompt, node)
    lines += [f"called from {line}:\n  {line.text}" for line in callers(node)]
    info = prompt.info.node(node)
    time = "outside of time" if node.t is None else f"t = {node.t} of axis {info.axis}"
    if session.step is not None and session.step.node is node:
        step = f"step {session.index}"
    else:
        step = "not the present step" if session.step else "no step"
    return "\n".join([*lines, f"{time}, scope {node.scope or '(none)'}, {step} of the pass"])


def _marked_source(prompt: Prompt, node: Tensor) -> list[str]:
    """The source line of a node and a line of ^ below its expression."""
    source = node.source
    first, last, column, stop = source._position
    raw = linecache.getline(source.file, first).rstrip()
    if not raw:
        expression = naming.expression(prompt.session.graph, node)
        return [f"{source}:", f"  {prompt.info.name_of(node)} = {expression}"]
    before = len(raw.encode()[:column].decode(errors="replace"))
    after = len(raw)
    if last == first:
        after = len(raw.encode()[:stop].decode(errors="replace"))
    marks = "^" * max(1, after - before)
    return [f"{source}:", f"  {raw}", f"  {' ' * before}{marks}"]


@command("rule [NODE]", example="rule")
def rule(prompt: Prompt, text: str) -> Answer:
    """The source of the gradient rules, with the actual shapes."""
    node = prompt.find(text)
    op = node.op
    if op is None:
        return "a leaf has no rule"
    shapes = [f"{op.input_name(k).strip(chr(39))} {x.shape}" for k, x in enumerate(node.inputs)]
    shapes += [f"{name}={value!r}" for name, value in node.constants.items()]
    head = f"{op.name}: dy {node.shape}, y {node.shape}, {', '.join(shapes)}"
    return "\n".join([head, *map(_source_text, dict.fromkeys(rules_of(node).values()))])


def _source_text(function: Any) -> str:
    """The source of a function; its signature where there is none."""
    try:
        return inspect.getsource(function).rstrip()
    except (OSError, TypeError):
        name = getattr(function, "__name__", repr(function))
        return f"def {name}{inspect.signature(function)}: ...  # there is no source text"


@command("check [NODE]", example="check")
def check(prompt: Prompt, text: str) -> Answer:
    """The rules of a node against finite differences of its forward, on the arrays of that call.

    Where the operation is too flat there to tell, also at numbers around 0.
    """
    node = prompt.find(text)
    if node.op in (cut, clip_gradient):
        raise CommandError("an edit is no derivative: it is there to change the gradient")
    if not all(map(is_finite, node.arrays)):
        problem = "not all that goes into the operation is finite"
        raise CommandError(f"the rule cannot be checked here: {problem}")
    verdicts = [f"rule {rule.__name__} {check_rule(node, k)}" for k, rule in rules_of(node).items()]
    return "\n".join(dict.fromkeys(verdicts)) or "a leaf has no rule"


@command("checkup", example="checkup")
def checkup(prompt: Prompt, _: str) -> Answer:
    """What is suspicious about this pass, each finding with its evidence and line.

    Parameters without gradient or shared, steps that the loss ignores, saturated gates, a softmax
    over the batch, padding that is read, wrong rules, history that is carried on, two dtypes.
    """
    frame = prompt.stack[0] if prompt.stack else None
    return str(check_up(prompt.session.original, frame=frame))


@command("explain [NODE]", example="explain W_hh")
def explain(prompt: Prompt, text: str) -> Answer:
    """Why the gradient of a node is zero, not finite, huge or small: where it became so."""
    return str(explain_gradient(prompt.find(text), prompt.session.graph))


@command("pending", example="pending")
def pending(prompt: Prompt, _: str) -> Answer:
    """The gradients that have arrived and wait, the next one first."""
    sums, lines = prompt.session.pending.grads, []
    for x, dx in sorted(sums.items(), key=lambda item: -item[0].serial):
        parts = dx if isinstance(dx, list) else [dx]
        if any(map(norm, parts)):
            kind = "   parameter" if x.op is None else ""
            numbers = " + ".join(map(short, parts))
            lines.append(f"d{prompt.info.title(x)} {numbers}{kind}")
    rest = [f"... and {len(lines) - TABLE_ROWS} more"] if len(lines) > TABLE_ROWS else []
    if len(sums) > len(lines):
        rest.append(f"... and {len(sums) - len(lines)} that are zero")
    return "\n".join([*lines[:TABLE_ROWS], *rest]) or "nothing is pending"


@command("flow", example="flow")
def flow(prompt: Prompt, _: str) -> Answer:
    """The norm of each state's gradient by time step so far, drawn, and what becomes of it.

    The words are those of `graph.gradient_flow()`, about the whole pass; of a pass that was changed
    by hand, or of a very large one, they are about what was passed so far.
    """
    session, graph = prompt.session, prompt.session.graph
    arrived: dict[Tensor, float] = {}
    for step in [*session.replay(), *filter(None, [session.step])]:
        if step.node in prompt.info.states:
            arrived[step.node] = norm(step.grad)
    if not arrived:
        meaning = "a state is what crosses from one time step to the next"
        return f"no state has been passed yet; {meaning}"
    by_state: dict[str, dict[Any, float]] = {}
    for node, size in arrived.items():
        by_state.setdefault(prompt.info.states[node], {})[node.t] = size
    whole = not session.changes and len(graph) <= MEASURED_NODES
    words = _whole_pass(prompt, graph) if whole else _so_far(arrived, prompt.info)
    lines = [_flow_line(name, norms, words[name]) for name, norms in by_state.items()]
    if whole:
        lines += [f"{finding.text}   ({finding.line})" for finding in dying(Survey(graph))]
    return "\n".join(lines)


def _flow_line(name: str, norms: dict[Any, float], word: str) -> str:
    """The norms of one state's gradient as bars, with both ends and a verdict."""
    first, last = next(iter(norms)), next(reversed(norms))
    line = f"d{name}   t={first} {norms[first]:.3g} {sparkline(list(norms.values()))}"
    return f"{line} t={last} {norms[last]:.3g}   {word}".rstrip() if len(norms) > 1 else line


def _whole_pass(prompt: Prompt, graph: Graph) -> dict[str, str]:
    """What `gradient_flow` says of each state."""
    tracks = state_lines(graph, "flow")
    reports = gradient_flow(graph, jacobians=False).paths
    pairs = zip(tracks, reports, strict=True)
    return {prompt.info.states[track.states[0]]: _word(report) for track, report in pairs}


def _so_far(arrived: dict[Tensor, float], run: PassInfo) -> dict[str, str]:
    """A verdict on the steps that were passed: of the whole gradient of the states of one cell."""
    squares: dict[str, dict[Any, float]] = {}
    for node, size in arrived.items():
        by_step = squares.setdefault(node.scope, {})
        by_step[node.t] = by_step.get(node.t, 0.0) + size * size
    words = {}
    for node in arrived:
        sizes = [math.sqrt(square) for square in squares[node.scope].values() if square]
        steps = max(1, len(sizes) - 1)
        ratio = (sizes[-1] / sizes[0]) ** (1 / steps) if sizes and sizes[0] else 0.0
        word = say(verdict(ratio, steps))
        text = "×{ratio:.3g} a step so far: {verdict}"
        words[run.states[node]] = say(text, ratio=ratio, verdict=word)
    return words


def _word(report: StateFlow) -> str:
    """What a report says of a state in a few words."""
    if report.verdict in ("unknown", "not finite", "cut", "cancels"):
        return say(report.verdict)
    word = say(report.verdict)
    return say("×{ratio:.3g} a step: {verdict}", ratio=report.mean_ratio, verdict=word)


@command("draw [PATH]", example="draw here.png")
def draw(prompt: Prompt, text: str) -> Answer:
    """A picture of the neighbourhood with this node lit (by default backward.svg)."""
    from minigrad.render import render

    node = prompt.find("")
    steps = "auto" if node.t is None else f"{max(0, node.t - 1)}:{node.t + 2}"
    path = text or "backward.svg"
    return f"written: {render(prompt.session.graph, path, steps=steps, highlight=[node])}"
