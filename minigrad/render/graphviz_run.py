"""Running Graphviz: the dot program if there is one, else pygraphviz.  Imports graphviz and
pygraphviz when needed.

Nothing that Graphviz prints reaches the user; what it refuses becomes an error of ours.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minigrad.render import fonts
from minigrad.render.splines import Point

FORMATS = ("svg", "png", "pdf", "gv", "dot", "jpg", "json", "ps")
PAGES = ("html", "htm")  # which Graphviz has no part in
WITH_FONTS = ("png", "pdf", "jpg", "ps")  # an SVG leaves its text to whoever shows it
PIXELS = ("png", "jpg")
MOST_PIXELS = 32_000  # of a side of an image
SHARP, READABLE = 144, 79  # pixels an inch; with the latter the smallest text has twelve
INSTALL = (
    "pip install 'minigrad-bptt[dot]' (from the clone: pip install '.[dot]'), "
    "or Graphviz itself, which has dot"
)
# Characters of text from which Graphviz takes longer to free a layout than to make it (the time
# grows with the square of the length, 40 s at 4 000 steps): a process is begun that frees nothing.
LONG = 2_000_000
CHILD = """
import os, sys, pygraphviz
pygraphviz.graphviz.gvFreeLayout = lambda *_: None
graph = pygraphviz.AGraph(string=sys.stdin.read())
sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog="dot"))
sys.stdout.flush()
os._exit(0)
"""
INDEX = re.compile(
    rb' y="(?P<y>[-\d.]+)"(?P<before>[^>]*?) baseline-shift="sub"'
    rb'(?P<after>[^>]*? font-size="(?P<size>[\d.]+)")'
)
SHIFT = 0.25  # by how much of its own size an index stands lower
SPACED = re.compile(rb"(<text[^>]*>)( [^<]*|[^<]* )(?=</text>)")
ENDS = re.compile(rb"\A +| +\Z")  # spaces that browsers drop
# Nodes, edges, width, height, and the corners of clusters.
Places = tuple[dict[str, Point], dict[str, list[Point]], float, float, dict[str, list[Point]]]


class NoGraphvizError(RuntimeError):
    """Neither the dot program nor pygraphviz is there."""


def run(text: str, form: str) -> bytes:
    """What dot makes of DOT text in a format."""
    made = _run(_sharp(text) if form in PIXELS else text, form)
    return _for_browsers(made) if form == "svg" else made


def _sharp(text: str) -> str:
    """The text with as many pixels an inch as its image may have.

    They are no part of the text itself: Graphviz 2.43 cuts off an SVG that has a dpi.
    """
    header, dpi = text.partition("\n\t")[2].partition("\n")[0], 110.0
    if " size=" in header:  # that of a slide, in pixels
        return text
    if found := re.search(r'\bbb="([^"]*)"', header):
        left, bottom, right, top = map(float, found[1].split(","))
        longest = max(right - left, top - bottom) + 100
        dpi = min(SHARP if longest < 4000 else READABLE, MOST_PIXELS * 72 / longest)
    return text.replace("graph [", f"graph [dpi={dpi:.0f} ", 1)


def _for_browsers(svg: bytes) -> bytes:
    """Spaces at the ends of texts are kept, and an index is lowered by its place: of browsers some
    drop them and do not know `baseline-shift`, and some shift further than there is room."""

    def lowered(found: re.Match[bytes]) -> bytes:
        y = float(found["y"]) + SHIFT * float(found["size"])
        return b' y="%.2f"%b%b' % (y, found["before"], found["after"])

    def spaced(found: re.Match[bytes]) -> bytes:
        return found[1] + ENDS.sub(lambda spaces: b"&#160;" * len(spaces[0]), found[2])

    return INDEX.sub(lowered, SPACED.sub(spaced, svg))


def _run(text: str, form: str) -> bytes:
    font = fonts.environment() if form in WITH_FONTS else {}
    if shutil.which("dot"):
        return _output(["dot", f"-T{form}"], text, form, font)
    try:
        import pygraphviz
    except ImportError:
        raise NoGraphvizError(f"no dot program and no pygraphviz; install one: {INSTALL}") from None
    if len(text) > LONG:
        return _output([sys.executable, "-c", CHILD, form], text, form, font)
    with warnings.catch_warnings(action="ignore"), _silent_stderr():
        os.environ.update(font)
        try:
            answer = pygraphviz.AGraph(string=text).draw(format=form, prog="dot")
        except Exception as error:
            raise RuntimeError(f"pygraphviz could not write {form}: {error}") from None
    if not answer:
        raise RuntimeError(f"pygraphviz could not write {form}")
    return bytes(answer)


def _output(command: list[str], text: str, form: str, font: dict[str, str]) -> bytes:
    """What a program writes when it is given the text."""
    done = subprocess.run(
        command, input=text.encode(), capture_output=True, check=False, env={**os.environ, **font}
    )
    if done.returncode or not done.stdout:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise RuntimeError(f"dot could not write {form}: {said[-1]}")
    return done.stdout


class _silent_stderr:
    """The C library of Graphviz writes to file 2 itself, past Python."""

    def __enter__(self) -> None:
        self.kept = os.dup(2)
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 2)
        os.close(sink)

    def __exit__(self, *error: object) -> None:
        os.dup2(self.kept, 2)
        os.close(self.kept)


def layouts(texts: Sequence[str]) -> list[Places]:
    """The places of nodes and edges in several small graphs: one run of dot for all of them."""
    together = ["\n".join(texts)] if texts and shutil.which("dot") else texts
    answers = b"".join(run(text, "json0") for text in together)
    graphs = json.loads(b"[%b]" % answers.replace(b"}\n{", b"},\n{"))
    return [_places(graph) for graph in graphs]


def _places(graph: dict[str, Any]) -> Places:
    """The places that dot has written; its lower left corner is the origin."""
    things = graph.get("objects", ())
    nodes = {item["name"]: _points(item["pos"])[0] for item in things if "pos" in item}
    edges = {edge["id"]: _points(edge["pos"]) for edge in graph.get("edges", ()) if "id" in edge}
    frames = {item["name"]: _points(item["bb"]) for item in things if "bb" in item}
    _, (width, height) = _points(graph["bb"])
    return nodes, edges, width, height, frames


def _points(text: str) -> list[Point]:
    """The points that a text lists as x,y x,y or, of two corners, as x,y,x,y."""
    numbers = [float(number) for number in re.split("[ ,]", text)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def check(path: str | os.PathLike[str], more: Sequence[str] = ()) -> str:
    """The format that a path asks for; raises if there is none such, or no directory to write to.

    more: formats that are allowed beside those of Graphviz.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"render: a path is needed, found {path!r}")
    target = Path(path)
    form = target.suffix.lstrip(".").lower()
    if form not in (*FORMATS, *more):
        known = ", .".join([*FORMATS, *more])
        raise ValueError(f"render: {target.name!r}: the suffix must be one of .{known}")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"render: the directory {str(target.parent)!r} does not exist")
    if target.is_dir():
        raise IsADirectoryError(f"render: {str(target)!r} is a directory; a file is needed")
    return form


def write(path: str | os.PathLike[str], text: str) -> str:
    """DOT text as a picture in the format of the path's suffix: all of it, or no file at all."""
    form = check(path)
    return put(path, text.encode() if form in ("gv", "dot") else run(text, form))


def put(path: str | os.PathLike[str], data: bytes) -> str:
    """Write a file: all of it, or no file at all; returns the path."""
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
    try:  # to move it into place when it is whole
        draft.write_bytes(data)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return str(path)
