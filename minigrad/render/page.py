"""The page one plays: graphs and their backward passes as one HTML file that needs nothing else.

The file is `page.html` with the data in it: no library, no network (its content-security policy
forbids it), and no name, line or value of the user's ever becomes markup.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from minigrad.graph import Graph
from minigrad.language import using
from minigrad.render import graphviz_run, look
from minigrad.render.canvas import beyond
from minigrad.render.draw import undisturbed
from minigrad.render.options import Options
from minigrad.render.tape import HELD, joint_limits, joint_scale, tape
from minigrad.render.words import words
from minigrad.tensor import Array

TEMPLATE = Path(__file__).with_name("page.html")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "


class Page:
    """A page in a notebook: shown in a frame of its own that may run scripts and nothing else."""

    def __init__(self, html: str, height: int = 640) -> None:
        self.html, self.height = html, height

    def _repr_html_(self) -> str:
        return (
            f'<iframe sandbox="allow-scripts" allow="fullscreen" width="100%" '
            f'height="{self.height}" style="border:0" srcdoc="{escape(self.html)}"></iframe>'
        )

    def save(self, path: str | PathLike[str]) -> str:
        """Write the page to a file; returns the path."""
        return graphviz_run.put(path, self.html.encode())


def is_page(path: Any) -> bool:
    """Whether a path asks for a page."""
    return isinstance(path, str | PathLike) and Path(path).suffix[1:].lower() in graphviz_run.PAGES


class Knob(NamedTuple):
    """A slider: the name of a setting, its values, and the number of the one that is shown first."""

    name: str
    values: tuple[Any, ...]
    at: int = 0


@undisturbed()
def make_page(
    settings: Sequence[Mapping[str, Graph]], options: Options, knobs: Sequence[Knob] = ()
) -> Page:
    """The page of one graph, or of several on one scale of colours.

    settings: the graphs by title, for each combination of the values of the knobs, the last knob
    fastest.  A graph that stands in several settings is held once; so are the texts and shapes of
    graphs that differ in their numbers only.
    """
    graphs = {id(graph): graph for setting in settings for graph in setting.values()}
    number = {key: k for k, key in enumerate(graphs)}
    operations = sum(node.op is not None for graph in graphs.values() for node in graph.nodes)
    if knobs and operations > HELD:
        raise ValueError(
            f"{len(settings)} settings have {operations} operations, more than the {HELD} that a "
            "page holds; give fewer values, or graphs of fewer steps"
        )
    with using(options.lang):
        tapes = [tape(graph, options) for graph in graphs.values()]
        said = words()
    texts = [json.dumps(one.book) for one in tapes]
    books = dict(zip(texts, [one.book for one in tapes], strict=True))
    order = list(books)
    told, arrays, size = [], list[Array](), 0
    for one, text in zip(tapes, texts, strict=True):
        told.append({**one.told, "book": order.index(text), "base": size})
        arrays += one.arrays
        size += sum(array.size for array in one.arrays)
    title = options.title or " · ".join(filter(None, settings[0])) or "minigrad"
    scales = [one.scale for one in tapes if one.scale is not None]
    scale = options.scale or joint_scale(scales)
    data = {
        "books": list(books.values()), "tapes": told,
        "settings": [
            [[title, number[id(graph)]] for title, graph in one.items()] for one in settings
        ],
        "knobs": [
            {"name": knob.name, "values": list(map(_shown, knob.values)), "at": knob.at}
            for knob in knobs
        ],
        "scale": scale, "beyond": beyond(scale, [norm for one in tapes for norm in one.extremes]),
        "limits": joint_limits([one.limits for one in tapes if one.limits is not None]),
        "title": title, "view": options.view, "end": options.backward, "words": said,
        "looks": {kind: _styled(one) for kind, one in look.LOOKS.items()},
        "ramp": [_painted(look.ramp(k / 63)) for k in range(64)],
        "zero": _painted("#FFFFFF"), "not_finite": _painted(look.NOT_FINITE),
    }  # fmt: skip
    return Page(_filled(title, options.lang, data, arrays))


def _styled(one: look.Look) -> dict[str, Any]:
    """How one kind of box looks, in the attributes of SVG, with the colour of its text."""
    style = {"fill": one.fill, "stroke": one.border, "stroke-width": one.pen, "ink": one.ink}
    if one.shape == "none":
        style |= {"fill": "none", "stroke": "none"}
    if one.dashed:
        style["stroke-dasharray"] = "4 3"
    return {"shape": one.shape, "font": one.font, "style": style}


def _painted(colour: str) -> list[str]:
    """A colour, and that of the text on it."""
    return [colour, look.ink_on(colour)]


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _filled(title: str, lang: str, data: dict[str, Any], arrays: list[Array]) -> str:
    """The template with its data: JSON and numbers, deflated, as base64."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    head = text.encode(errors="replace")  # a name may hold half of a character
    head += b" " * (-len(head) % 4)
    payload = (
        len(head).to_bytes(4, "little") + head + b"".join(a.astype("<f4").tobytes() for a in arrays)
    )
    before, script, after = _template()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    filled = {
        "LANG": lang,
        "TITLE": escape(title.encode(errors="replace").decode()),
        "POLICY": f"{POLICY}script-src 'sha256-{digest}'",
        "NEEDS": escape(data["words"]["needs"]),
        "DATA": base64.b64encode(zlib.compress(payload, 9)).decode(),
    }
    before = re.sub("%([A-Z]+)%", lambda match: filled.get(match[1], match[0]), before)
    return before + script + after


@lru_cache(maxsize=1)
def _template() -> tuple[str, str, str]:
    """The template up to its script, the script, and what follows."""
    text = TEMPLATE.read_text(encoding="utf-8")
    before, opening, rest = text.rpartition("<script>")
    script, closing, after = rest.partition("</script>")
    return before + opening, script, closing + after
