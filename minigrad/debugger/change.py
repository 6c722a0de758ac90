"""Commands that change the pass: a gradient by hand, or the graph by an edit."""

from __future__ import annotations

from typing import Any

from minigrad.debugger.prompt import Answer, CommandError, Prompt, command
from minigrad.edits import clip_edges, cut_edges
from minigrad.graph import Graph


@command("change EXPRESSION", example="change grad * 0.1")
def change(prompt: Prompt, text: str) -> Answer:
    """Replace this gradient and go on with it; `change off`: as if nothing had been changed.

    In the expression `grad` is the gradient of this step, whatever the program calls so.
    """
    session = prompt.session
    if text == "off":
        session.changes.clear()
        session.edit(session.graph)
    elif prompt.here:
        session.change(prompt.evaluate(text, step_first=True))
    prompt.info.begin_again(session.graph)
    return prompt.status() if text == "off" else f"changed: {prompt.status()}"


@command("clip max_norm=N or max_value=N", example="clip max_norm=1")
def clip(prompt: Prompt, text: str) -> Answer:
    """Limit every gradient that crosses a time step of this pass; `clip off` takes it back.

    The pass runs again from its start to the present node: over graph.clip_edges(max_norm=N).
    """
    return _edit(prompt, "clip", text if "=" in text or text == "off" else f"max_norm={text}")


@command("cut [t=N]", example="cut t=380")
def cut(prompt: Prompt, text: str) -> Answer:
    """Let no gradient flow from time step N to the step before; `cut off` takes it back.

    N is by default the present time step.
    """
    if not text:
        info = prompt.info.node(prompt.find(""))
        if info.node.t is None:
            raise CommandError("this node is in no time step: cut t=N says where to cut")
        axis = f", axis={info.axis!r}" if len(prompt.info.axes) > 1 else ""
        text = f"t={info.t}{axis}"
    return _edit(prompt, "cut", text if "=" in text or text == "off" else f"t={text}")


def _edit(prompt: Prompt, kind: str, text: str) -> str:
    """The same pass with one edit more, or without those of this kind; all of it or nothing."""
    session = prompt.session
    before, index, here = session.graph, session.index, session.step
    edits = [edit for edit in prompt.edits if edit[0] != kind or text != "off"]
    if text != "off":
        edits.append((kind, text, prompt.evaluate(f"dict({text})")))
    graph = session.original
    for name, _, options in edits:
        graph = _edited(graph, name, options)
    try:
        session.edit(graph)
    except BaseException:  # Ctrl-C, too
        session.edit(before)
        session.go(index)
        raise
    prompt.edits = edits
    prompt.info.begin_again(graph)
    typed = ", ".join(f"{name} {text}" for name, text, _ in edits)
    lines = [f"edited: {typed}" if edits else "no edits: as recorded"]
    if here is not None and (session.step is None or session.step.node is not here.node):
        lines.append(
            "no gradient reaches this node any more; the pass stands at the next one that gets one"
        )
    return "\n".join([*lines, prompt.status()])


def _edited(graph: Graph, name: str, options: dict[str, Any]) -> Graph:
    """The graph with one edit more."""
    if name == "clip":
        limits = {"max_norm": None, "max_value": None} | options
        return clip_edges(graph, None, **limits)
    t = options.get("t")
    if t is not None and not any(edge.target.t == t for edge in graph.state_edges):
        raise CommandError(f"no state comes into t = {t} from the step before")
    return cut_edges(graph, **options)
