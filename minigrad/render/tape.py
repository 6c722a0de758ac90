"""What a page plays: the views of one graph as tiles that repeat, and the numbers of every step.

Columns that look alike share one template; what differs from step to step is numbers, packed as
float32.  Norms of gradients are packed as their logarithm to the base 10, so that what has vanished
to 1e-60 is still told apart from zero.
"""

from __future__ import annotations

import inspect
import math
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad import flow, naming
from minigrad.cached import cached_property
from minigrad.graph import Graph
from minigrad.render import look
from minigrad.render.arrange import Layout, Rect
from minigrad.render.link import make_picture
from minigrad.render.measure import Norms, decades, measure_each
from minigrad.render.names import Names
from minigrad.render.options import Options, shown_steps
from minigrad.render.picture import Box, Column, Link, Part, Picture, Tile
from minigrad.render.read import Reading, op_name, read
from minigrad.render.routes import Routes
from minigrad.render.rows import set_rows
from minigrad.render.splines import Path
from minigrad.render.texts import Texts
from minigrad.source import Source
from minigrad.tensor import Array, Tensor

HELD = 250_000  # operations; of a longer graph a page holds only the last steps
ENTRIES = 40_000  # numbers of small arrays that a page tells in full
LARGEST = 8  # entries of an array that is told in full
BLOCKS = 4_000  # operations up to which a view of the blocks is made beside the others
UNREACHED = 1e9  # in place of a norm: no gradient reaches it
GLOBAL = "g"  # the column of what spans many
Ref = tuple[int | str, int]  # a column, counted from the one that refers to it, and a box in it


class PageTexts(Texts):
    """The texts of a picture whose numbers are not known yet: there is room for them."""

    def cell_lines(self, box: Box) -> list[str]:
        """A line for the gradient of each state."""
        row, lines = box.tile.row, []
        if self.several and row.timed and row.name != box.label:
            lines.append(look.shorten(row.name.split(".")[-1]))
        return lines + [self.room(name) for name in box.lanes]

    def room(self, name: str) -> str:
        """The widest text of the norm of a state's gradient."""
        return f"‖∂L/∂{self.name(name)}{look.subscript(self.last)}‖ = 8.8·10⁻⁸⁸"

    @cached_property
    def last(self) -> int:
        """The largest number of a step."""
        return max((tile.t for tile in self.picture.tiles), default=0)

    def heading(self, tile: Tile) -> str:
        """The step alone."""
        if not tile.row.timed or not self.picture.graph.axes:
            return self.untimed_heading(tile)
        words = ["t = 88888"]
        if tile.row.name and self.several_axes:
            words.insert(0, look.shorten(tile.row.name))
        return "   ".join(words)


@dataclass(eq=False)
class Template:
    """What columns that look alike share; `rows`: the numbers of each of them."""

    number: int
    shape: dict[str, Any]
    rows: list[list[float]] = field(default_factory=list)


def tape(graph: Graph, options: Options) -> tuple[dict[str, Any], list[Array]]:
    """All that a page holds of one graph, and its numbers, template by template."""
    reading = read(graph)
    set_rows(reading)
    pictures, names, notes = _pictures(reading, options)
    has_pass = _has_pass(graph) and any(picture.boxes for picture in pictures)
    keep = _entries(pictures[0])
    norms = measure_each(pictures, keep=keep) if has_pass else [None] * len(pictures)
    if not has_pass:
        notes.append(_why_no_pass(graph, pictures[0]))
    texts = _Infos(reading, names, options)
    views, arrays = {}, list[Array]()
    for picture, found in zip(pictures, norms, strict=True):
        if picture.boxes:
            view = _View(picture, found, options, texts, keep)
            views[picture.view] = view.as_data()
            arrays += view.arrays()
    notes += [note for picture in pictures[:1] for note in picture.notes]
    data = {
        "summary": repr(graph), "scale": _scale(norms, options), "first": options.count_from,
        "notes": list(dict.fromkeys(notes)), "backward": has_pass, "views": views,
        "infos": texts.infos, "lines": texts.lines, "rules": texts.rules,
        "parameters": _parameters(graph, norms[0]), "flow": _flow(graph) if has_pass else [],
        "at": _opens_at(reading, texts, options),
    }  # fmt: skip
    return data, arrays


# pictures


def _pictures(reading: Reading, options: Options) -> tuple[list[Picture], Names, list[str]]:
    """The graph as operations, as cells, in the view asked for and, where they differ, as blocks."""
    graph = reading.graph
    names = Names(reading, options.labels or {}, False, options.count_from)
    notes = []
    steps = "all"
    operations = sum(node.op is not None for node in graph.nodes)
    if operations > HELD and graph.axes:
        longest = max(len(axis) for axis in _steps(graph).values())
        kept = max(1, longest * HELD // operations)
        steps = f"-{kept}:"
        notes.append(
            f"{operations} operations are more than a page holds: it has the last {kept} of "
            f"{longest} steps; mg.Graph(loss).truncate(k) or a shorter run shows others"
        )
    shown, note = shown_steps(reading, "ops", steps)
    found = [
        make_picture(names, shown, view, options.blocks, [note] if note else [])
        for view in _views(graph, options)
    ]
    return [found[0], *_different(found, options.view)], names, notes


def _different(pictures: list[Picture], asked: str) -> list[Picture]:
    """Without views that look like another one: blocks often are the cells, or the operations."""
    sizes = {picture.view: len(picture.boxes) for picture in pictures}
    kept: list[Picture] = []
    for picture in pictures[1:]:
        others = [sizes["ops"], *(sizes[one.view] for one in kept)]
        apart = all(not 0.7 < sizes[picture.view] / (size or 1) < 1.4 for size in others)
        if apart or picture.view == asked:
            kept.append(picture)
    return kept


def _views(graph: Graph, options: Options) -> list[str]:
    """Operations and cells; the view that is asked for; of what is not too long, blocks."""
    views = ["ops", "cells"]
    if len(graph) <= BLOCKS or options.blocks is not None:
        views.append("blocks")
    return list(dict.fromkeys([*views, options.view]))


def _steps(graph: Graph) -> dict[Any, set[int]]:
    found = defaultdict[Any, set[int]](set)
    for axis, t in graph.timeline.outermost:
        found[axis].add(t)
    return found


def _has_pass(graph: Graph) -> bool:
    """Whether there is a backward pass to play: a scalar that depends on something that requires grad."""
    return any(y.size == 1 and y._requires_grad for y in graph.outputs)


def _why_no_pass(graph: Graph, picture: Picture) -> str:
    if not picture.boxes:
        return "there is no operation in this graph"
    shapes = " and ".join(look.shape(y.shape) or "a number" for y in graph.outputs)
    if any(y._requires_grad for y in graph.outputs):
        return f"the output is {shapes}: only a number has a backward pass; add .sum() or a loss"
    return "nothing here requires a gradient: there is no backward pass to play"


def _entries(picture: Picture) -> int:
    """Up to how many entries an array is told in full."""
    return min(LARGEST, ENTRIES // (2 * len(picture.boxes) + 1))


def _scale(norms: Sequence[Norms | None], options: Options) -> list[float]:
    """The decades of the colours."""
    known = next((one.scale for one in norms if one is not None), (0.0, 1.0))
    return list(options.scale or known)


def joint_scale(scales: Iterable[Sequence[float]]) -> list[float]:
    """One scale that holds several."""
    pairs = list(scales)
    return list(decades([10.0 ** min(lo for lo, _ in pairs), 10.0 ** max(hi for _, hi in pairs)]))


def _parameters(graph: Graph, norms: Norms | None) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "shape": look.shape(x.shape),
            "uses": len(graph.users[x]),
            "norm": str(_log(norms.parameters.get(x) if norms is not None else None)),
        }
        for name, x in graph.parameters.items()
    ]


def _flow(graph: Graph) -> list[dict[str, Any]]:
    """The verdict on each state, as the reports give it."""
    if not graph.axes:
        return []
    found = flow.gradient_flow(graph, jacobians=False)
    return [
        {
            "state": path.state,
            "row": path.axis,
            "verdict": path.verdict,
            "ratio": _finite(path.mean_ratio),
        }
        for path in found.paths
    ]


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


def _opens_at(reading: Reading, infos: _Infos, options: Options) -> int | None:
    """Where the page opens: at the first highlighted node, or at the last of the steps asked for."""
    known = set(reading.graph.nodes)
    for node in options.highlight:
        if node not in known:
            raise ValueError(f"highlight: {node!r} is no node of the graph {reading.graph!r}")
    for node in options.highlight:
        while node in reading.folded:
            node = reading.folded[node]
        return next((k for part, k in infos.order.items() if part.node is node), None)
    if options.steps in ("auto", "all"):
        return None
    shown, _ = shown_steps(reading, "ops", options.steps)
    drawn = [value for value in reading.drawn if value.time and shown(value)]
    return infos.order[drawn[-1].key] if drawn else None


def _log(norm: float | None) -> float:
    """The logarithm of a norm, as it is packed."""
    if norm is None:
        return UNREACHED
    return math.log10(norm) if norm > 0 else (norm and math.nan) or -math.inf


# texts that nodes share


class _Infos:
    """Texts about nodes, each held once: names, expressions, source lines and gradient rules."""

    def __init__(self, reading: Reading, names: Names, options: Options) -> None:
        self.graph, self.losses = reading.graph, names.losses
        self.names = options.labels or {}
        self.infos: list[dict[str, Any]] = []
        self.lines: list[dict[str, Any]] = []
        self.rules: list[dict[str, str]] = []
        self.index: dict[Any, int] = {}
        self.line_of: dict[Any, int] = {}
        self.rule_of: dict[Any, int] = {}
        self.order = {value.key: k for k, value in enumerate(reading.values)}

    def info(self, box: Box, label: str) -> int:
        """The number of the texts about a box; boxes of different steps share them."""
        if not box.parts:
            return -1
        node, part = box.parts[-1]
        shape = node.shape if part is None else node.shape[1:]
        known: tuple[Any, ...] = (
            box.lanes,
            label,
            len(box.parts),
            node.site,
            node.name,
            shape,
            node.scope,
        )
        if not node.source.text:
            known = (*known, self.numbers(node))
        if known not in self.index:
            self.index[known] = len(self.infos)
            self.infos.append(self.described(box, node, shape))
        return self.index[known]

    def numbers(self, node: Tensor) -> tuple[str, ...]:
        """The numbers in an expression that is rebuilt, since there is no source text."""
        inputs = self.graph.inputs(node)
        return tuple(repr(x.data) for x in inputs if x.op is None and x.size == 1)

    def described(self, box: Box, node: Tensor, shape: tuple[int, ...]) -> dict[str, Any]:
        """All that is the same in every step."""
        name = self.losses.get(node) or naming.label(self.graph, node)
        if box.lanes:
            name = box.lanes[-1]
        expression = naming.expression(self.graph, node) if node.op is not None else ""
        user = node._scope.called_from if node._scope is not None else None
        return {
            "name": look.shorten(self.names.get(name, name), 60),
            "timed": bool(box.lanes) or node.time is not None,
            "op": op_name(node), "expression": look.shorten(expression, 300),
            "operations": len(box.parts), "shape": look.shape(shape), "dtype": str(node.dtype),
            "size": math.prod(shape), "scope": node.scope,
            "source": str(node.source) if node.source.line else "",
            "user": str(user) if user is not None and user.line else "",
            "lines": self.lines_of(box), "rule": self.rule(node),
        }  # fmt: skip

    def lines_of(self, box: Box) -> list[int]:
        """The lines of the program that make a box, that of its last operation first."""
        nodes = [node for node in reversed(box.nodes) if node.op is not None]
        return list(dict.fromkeys(self.line(node) for node in nodes))

    def line(self, node: Tensor) -> int:
        """The number of a line of the program."""
        source: Source = node.source
        key = source.file, source.line
        text = source.text
        if not text:
            variable = naming.label(self.graph, node)
            text = f"{variable} = {naming.expression(self.graph, node)}"
            key = text, source.line
        if key not in self.line_of:
            self.line_of[key] = len(self.lines)
            function = source.code.co_qualname if source.code is not None else ""
            found = {"text": look.shorten(text, 200), "line": source.line, "function": function}
            self.lines.append(found)
        return self.line_of[key]

    def rule(self, node: Tensor) -> int:
        """The number of the text of an operation's gradient rules."""
        if node.op is None:
            return -1
        if node.op not in self.rule_of:
            self.rule_of[node.op] = len(self.rules)
            rules = [rule for rule in (*node.op.rules, node.op.joint) if rule is not None]
            text = "\n".join(filter(None, map(_source_of, rules)))
            self.rules.append({"op": node.op.name, "text": text})
        return self.rule_of[node.op]


def _source_of(rule: Any) -> str:
    """A rule as it was written, without its decorator."""
    try:
        text = textwrap.dedent(inspect.getsource(inspect.unwrap(rule)))
    except (OSError, TypeError):
        return ""
    lines = [line for line in text.splitlines() if not line.startswith("@")]
    return "\n".join(lines) if len(lines) <= 14 else ""


# one view


class _View:
    """One view of a graph: templates, and which column looks like which."""

    def __init__(
        self, picture: Picture, norms: Norms | None, options: Options, infos: _Infos, keep: int
    ) -> None:
        self.picture, self.norms, self.infos, self.keep = picture, norms, infos, keep
        self.first = options.count_from
        self.texts = PageTexts(picture, None, options.labels or {}, options.count_from)
        layout = Routes(picture, self.texts, {}, None).layout()
        assert layout is not None
        self.layout: Layout = layout
        self.columns = sorted({tile.column for tile in picture.tiles})
        self.at = {column: k for k, column in enumerate(self.columns)}
        self.bars = set(layout.bars)
        self.ref: dict[Box, Ref] = {}
        self.members: dict[int | str, list[Box]] = defaultdict(list)
        for box in picture.boxes:
            where = GLOBAL if box in self.bars else self.at[box.tile.column]
            self.ref[box] = where, len(self.members[where])
            self.members[where].append(box)
        self.links: dict[int | str, list[Link]] = defaultdict(list)
        for link in picture.links:
            self.links[self.home(link)].append(link)
        self.frames: dict[int | str, list[tuple[Tile, Rect]]] = defaultdict(list)
        for tile, frame in layout.frames.items() if self.texts.framed else ():
            self.frames[self.at[tile.column]].append((tile, frame))
        self.top = self.highest()
        self.templates: dict[str, Template] = {}
        self.placed: list[list[Any]] = []
        self.before: dict[tuple[int, int], float] = {}
        for k, column in enumerate(self.columns):
            self.add(k, self.left(k), column)
        self.add(GLOBAL, 0.0, (math.inf,))

    # places

    def rect(self, box: Box) -> Rect:
        """Where a box stands; a bar in its longest piece."""
        if box in self.bars:
            return max(self.layout.bars[box], key=lambda piece: piece.width)
        return self.layout.boxes[box]

    def home(self, link: Link) -> int | str:
        """The column that a link belongs to: that of its target, unless it spans many."""
        (a, _), (b, _) = self.ref[link.source], self.ref[link.target]
        if isinstance(a, int) and b == GLOBAL:
            return a if self.is_steep(link) else GLOBAL
        if isinstance(a, int) and isinstance(b, int) and abs(b - a) <= 1:
            return b
        return GLOBAL

    def is_steep(self, link: Link) -> bool:
        """Whether the way to a bar stays in the column where it begins."""
        xs = [x for x, _ in self.layout.links[link]]
        return max(xs) - min(xs) < 400

    def highest(self) -> float:
        """The top of everything; y is turned to grow downwards."""
        tops = [self.rect(box).corners[3] for box in self.picture.boxes]
        tops += [frame.corners[3] for frame in self.layout.frames.values()]
        tops += [y for path in self.layout.links.values() for _, y in path]
        return max(tops) + 16

    def left(self, k: int) -> float:
        """The left border of a column."""
        found = [rect.corners[0] for _, rect in self.frames.get(k, ())]
        found += [self.rect(box).corners[0] for box in self.members.get(k, ()) if not box.beside]
        found = found or [self.rect(box).corners[0] for box in self.members.get(k, ())]
        return min(found, default=0.0)

    # templates

    def add(self, k: int | str, x: float, column: Column) -> None:
        """One column, as an instance of a template."""
        t = int(column[1]) + self.first if self.is_timed(k) else None
        boxes, links = self.members.get(k, []), self.links.get(k, [])
        if not boxes and not links:
            return
        shape = {
            "boxes": [self.box(box, x, t) for box in boxes],
            "links": [self.link(link, k, x) for link in links],
            "frames": [self.frame(tile, frame, x) for tile, frame in self.frames.get(k, ())],
        }
        if k == 0:  # what has scopes for frames has no time, and one column
            scopes = self.layout.scopes
            shape["frames"] += [{"at": self.place(r, x), "text": name} for name, _, r in scopes]
        key = repr(shape)
        template = self.templates.setdefault(key, Template(len(self.templates), shape))
        number = template.number
        numbers: list[float] = []
        for slot, box in enumerate(boxes):
            numbers += self.numbers(box, (number, slot))
        numbers += [_log(self.norm(link)) for link in links]
        template.rows.append(numbers)
        key = ",".join(f"{c:g}" for c in column)
        self.placed.append([number, round(x, 1), t, key, int(k == GLOBAL)])

    def is_timed(self, k: int | str) -> bool:
        """Whether a column is a time step."""
        boxes = self.members.get(k, [])
        return bool(boxes) and bool(self.picture.graph.axes) and boxes[0].tile.row.timed

    def box(self, box: Box, x: float, t: int | None) -> dict[str, Any]:
        """A box relative to its column."""
        rect = self.rect(box)
        label = self.texts.labels[box]
        if box.kind == "cell" and box.lanes:
            label = "\n".join(label.split("\n")[: -len(box.lanes)])
        if t is not None:
            label = label.replace(look.subscript(t), "\x00")
        inside, rows = self.texts.mask_of((box,))
        found = {
            "kind": box.kind, "label": label, "info": self.infos.info(box, label), "at": self.place(rect, x),
            "lanes": [self.texts.name(lane) for lane in box.lanes], "row": box.tile.row.name,
            "stop": int(bool(box.parts) and box.parts[-1].node.op is not None),
            "tags": [self.tag(tag, x) for tag in box.tags],
            "values": self.value_count(box),
        }  # fmt: skip
        if inside < rows:
            found["rows"] = f"{inside} of {rows}"
        if self.picture.outputs.intersection(box.parts):
            found["output"] = 1
        return found

    def tag(self, tag: Any, x: float) -> dict[str, Any]:
        """A tag; in a cell it has no place."""
        rect = self.layout.tags.get(tag)
        return {
            "label": self.texts.tag(tag), "name": tag.name,
            "grad": int(tag.parameter._requires_grad),
            "at": self.place(rect, x) if rect is not None else None,
        }  # fmt: skip

    def place(self, rect: Rect, x: float) -> list[float]:
        """Centre, width and height."""
        numbers = rect.x - x, self.top - rect.y, rect.width, rect.height
        return [round(number, 1) for number in numbers]

    def link(self, link: Link, k: int | str, x: float) -> dict[str, Any]:
        """A link relative to its column."""
        found: dict[str, Any] = {
            "from": self.relative(self.ref[link.source], k),
            "to": self.relative(self.ref[link.target], k),
            "path": self.path(self.layout.links[link], x),
        }
        lane = link.lane or self.layout.lanes.get(link, "")
        if lane:
            found["lane"] = self.picture.kind_of_state(lane)
        words = {"mark": link.mark, "sign": link.sign}
        if link.lane and link.source.tile != link.target.tile:
            words["text"] = self.texts.name(link.lane)
        found |= {key: text for key, text in words.items() if text}
        if "mark" in found or "text" in found:
            px, py = self.layout.captions[link]
            found["text_at"] = [round(px - x, 1), round(self.top - py, 1)]
        if link.hidden or link.source.kind == "stub" or link.target.kind == "stub":
            found["dashed"] = 1
        return found

    def relative(self, ref: Ref, k: int | str) -> Ref:
        """A box as a column refers to it."""
        column, slot = ref
        if isinstance(column, int) and isinstance(k, int):
            return column - k, slot
        return column, slot

    def path(self, path: Path, x: float) -> list[float]:
        """A spline relative to its column, as one row of numbers."""
        points = _simple([(px - x, self.top - py) for px, py in path])
        return [round(c, 1) for point in points for c in point]

    def frame(self, tile: Tile, frame: Rect, x: float) -> dict[str, Any]:
        """A frame with its heading, without the step."""
        text = self.texts.heading(tile).replace("t = 88888", "").strip()
        inside, rows = self.texts.mask_of(self.picture.tiles[tile])
        found: dict[str, Any] = {"at": self.place(frame, x), "text": text}
        if tile.row.timed and self.picture.graph.axes:
            found["timed"] = 1
        if inside < rows:
            found["rows"] = f"{inside} of {rows}"
        return found

    # numbers

    def norm(self, thing: Any) -> float | None:
        """The norm of the gradient of a thing."""
        return self.norms.get(thing) if self.norms is not None else None

    def value_count(self, box: Box) -> int:
        """How many entries of value and gradient are told: all of a small array, else none."""
        if not box.parts:
            return 0
        size = _array(box.parts[-1]).size
        return size if 0 < size <= max(1, self.keep) else 0

    def numbers(self, box: Box, slot: tuple[int, int]) -> list[float]:
        """What is told of one box in one step."""
        found = [self.order(box, slot), _log(self.norm(box))]
        if len(box.states) > 1:
            for _, part in box.states:
                known = self.norms.parts.get(part) if self.norms is not None else None
                found.append(_log(known))
        found += [_log(self.norm(tag)) for tag in box.tags]
        if not box.parts:
            return found
        array, count = _array(box.parts[-1]), self.value_count(box)
        if not count:
            return found + _range(array)
        found += np.asarray(array, np.float64).ravel().tolist()
        grad = self.norms.entries.get(box.parts[-1]) if self.norms is not None else None
        return found + (grad.tolist() if grad is not None else [math.nan] * count)

    def order(self, box: Box, slot: tuple[int, int]) -> float:
        """When a box is made, as the difference to the step before: so most numbers are alike."""
        if not box.parts:
            return 0.0
        when = float(self.infos.order[box.parts[-1]])
        before = self.before.get(slot, 0.0)
        self.before[slot] = when
        return when - before

    # as data

    def as_data(self) -> dict[str, Any]:
        """Templates and columns; the numbers are in `arrays`, one block for each template."""
        bottom = max([self.top - self.rect(box).corners[1] for box in self.picture.boxes])
        frames = [self.top - frame.corners[1] for frame in self.layout.frames.values()]
        templates = [
            {**one.shape, "count": len(one.rows), "width": len(one.rows[0])}
            for one in self.templates.values()
        ]
        height = round(max([bottom, *frames]) + 16, 1)
        return {"height": height, "templates": templates, "columns": self.placed}

    def arrays(self) -> list[Array]:
        """The numbers of each template, quantity by quantity."""
        with np.errstate(over="ignore"):
            return [np.array(one.rows, np.float32).T for one in self.templates.values()]


def _array(part: Part) -> Array:
    return part.node._array if part.part is None else part.node._array[part.part]


def _range(array: Array) -> list[float]:
    """Mean, least and largest of an array."""
    if not array.size or array.dtype.kind not in "biuf":
        return [math.nan] * 3
    with np.errstate(all="ignore"):
        return [float(np.mean(array, dtype=np.float64)), float(array.min()), float(array.max())]


def _simple(path: Path) -> Path:
    """A spline without the curves that are points."""
    found = path[:1]
    for k in range(0, len(path) - 3, 3):
        if math.dist(path[k], path[k + 3]) > 0.05:
            found += path[k + 1 : k + 4]
    return found if len(found) > 1 else path[:4]
