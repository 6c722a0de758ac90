"""The page one plays: graphs and their backward passes as one HTML file that needs nothing else.

The file is `page.html` with the data in it: no library, no network (its content-security policy
forbids it), and no name, line or value of the user's ever becomes markup.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

from minigrad.graph import Graph
from minigrad.render import graphviz_run, look
from minigrad.render.options import Options
from minigrad.render.tape import joint_scale, tape

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


def make_page(graphs: Mapping[str, Graph], options: Options) -> Page:
    """The page of one graph, or of several on one scale of colours."""
    tapes = {title: tape(graph, options) for title, graph in graphs.items()}
    books = [{**data, "title": title} for title, (data, _) in tapes.items()]
    scale = options.scale or joint_scale(book["scale"] for book in books)
    data = {
        "graphs": [{**book, "scale": list(scale)} for book in books],
        "title": options.title, "lang": options.lang, "view": options.view,
        "end": options.backward, "looks": {k: one._asdict() for k, one in look.LOOKS.items()},
        "ramp": [look.ramp(k / 63) for k in range(64)], "not_finite": look.NOT_FINITE,
    }  # fmt: skip
    packed = [a.astype("<f4").tobytes() for _, arrays in tapes.values() for a in arrays]
    titles = [options.title, *graphs]
    return Page(_filled(next(filter(None, titles), "minigrad"), options.lang, data, packed))


def _filled(title: str, lang: str, data: dict[str, Any], numbers: list[bytes]) -> str:
    """The template with its data: JSON and numbers, deflated, as base64."""
    head = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    head += b" " * (-len(head) % 4)
    payload = len(head).to_bytes(4, "little") + head + b"".join(numbers)
    before, script, after = _template()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    filled = {
        "LANG": lang,
        "TITLE": escape(title),
        "POLICY": f"{POLICY}script-src 'sha256-{digest}'",
        "DATA": base64.b64encode(zlib.compress(payload, 9)).decode(),
    }
    for name, value in filled.items():
        before = before.replace(f"%{name}%", value)
    return before + script + after


@lru_cache(maxsize=1)
def _template() -> tuple[str, str, str]:
    """The template up to its script, the script, and what follows."""
    text = TEMPLATE.read_text(encoding="utf-8")
    before, opening, rest = text.rpartition("<script>")
    script, closing, after = rest.partition("</script>")
    return before + opening, script, closing + after
