"""Commands that change the pass: a gradient by hand, or the graph by an edit.  Imports `prompt`."""

from __future__ import annotations

from typing import Any

from minigrad.debugger.prompt import Edit, Prompt, Refused
from minigrad.edits import clip_edges, cut_edges


def change(prompt: Prompt, text: str) -> str:
    """change EXPRESSION: replace this gradient and go on with it; change off: as if nothing had been changed.

    Example: change grad * 0.1
    """
    if text == "off":
        prompt.session.changes.clear()
        prompt.session.edit(prompt.session.graph)
    elif prompt.here:
        prompt.session.change(prompt.evaluate(text))
    prompt.facts.forget(prompt.session.graph)
    return prompt.place() if text == "off" else f"changed: {prompt.place()}"


def clip(prompt: Prompt, text: str) -> str:
    """clip max_norm=N or max_value=N: this pass, with every gradient that crosses a time step limited; clip off.

    The pass runs again from its start to the present node: the graph is graph.clip_edges(max_norm=N).
    Example: clip max_norm=1
    """
    return _edit(prompt, "clip", text if "=" in text or text == "off" else f"max_norm={text}")


def cut(prompt: Prompt, text: str) -> str:
    """cut [t=N]: let no gradient flow from time step N (by default this one) to the step before; cut off.

    Example: cut t=380
    """
    if not text:
        facts = prompt.facts.of(prompt.find(""))
        text = f"t={facts.t}" + (f", axis={facts.axis!r}" if len(facts.axes) > 1 else "")
    return _edit(prompt, "cut", text if "=" in text or text == "off" else f"t={text}")


def _edit(prompt: Prompt, kind: str, text: str) -> str:
    """The same pass with one edit more, or without those of this kind; all of it or nothing."""
    session, here = prompt.session, prompt.session.step
    before, index = session.graph, session.index
    edits: list[Edit] = [edit for edit in prompt.edits if edit[0] != kind or text != "off"]
    if text != "off":
        edits.append((kind, text, prompt.evaluate(f"dict({text})")))
    graph = session.original
    for name, _, how in edits:
        t: Any = how.get("t") if name == "cut" else None
        if t is not None and not any(edge.target.t == t for edge in session.original.state_edges):
            raise Refused(f"no state comes into t = {t} from the step before")
        graph = (
            cut_edges(graph, **how)
            if name == "cut"
            else clip_edges(graph, None, **{"max_norm": None, "max_value": None, **how})
        )
    try:
        session.edit(graph)
    except BaseException:  # Ctrl-C, too
        session.edit(before)
        session.go(index)
        raise
    prompt.edits = edits
    prompt.facts.forget(graph)
    done = (
        f"edited: {', '.join(f'{name} {typed}' for name, typed, _ in edits)}"
        if edits
        else "no edits: as recorded"
    )
    if here is not None and (session.step is None or session.step.node is not here.node):
        done += "\nno gradient reaches this node any more; the pass stands at the next one that gets one"
    return f"{done}\n{prompt.place()}"
