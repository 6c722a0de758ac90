"""The pattern of one tile, made once by dot for all tiles of the same form.

States enter by ports at the left and leave at the right, in the same order; a heavy weight along
each state's way from in to out makes dot draw the straight spine of the textbook.  Boxes that form a column (a
cell, above it its output and its loss) need no dot.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from minigrad.render import graphviz_run
from minigrad.render.look import text_width
from minigrad.render.splines import (
    Outline,
    Path,
    Point,
    clipped,
    rounded,
    straight,
)

# A link of a tile: ("inner", box, box), ("in", port, box) or ("out", state, box).
Key = tuple[str, Any, int]
Memories = frozenset[str]  # the states that are gated memories, as an LSTM's c
SPINE = 60  # the weight of the edges on a state's way
CHANNEL = 7.0  # between the vertical lines of inputs from below
PAD, RISE = 9.0, 22.0
STATE_GAP = 14.0  # between inputs and a state, both from below


class Port(NamedTuple):
    """Where one value enters a tile.

    lane: the state that comes from the left, or "".  boxes: which boxes it enters.  left: whether
    it comes from the
    left; else from below.  again: how many ports of the tile are like it.
    """

    lane: str
    boxes: tuple[int, ...]
    left: bool
    again: int = 0


class Frame(NamedTuple):
    """A frame around boxes of a tile: its title, its boxes, and the number of the frame around
    it."""

    title: str
    boxes: tuple[int, ...]
    around: int | None


class Form(NamedTuple):
    """What decides the pattern of a tile: equal forms share one.

    inner: links from box to box.  outs: ports at the right, as the box that is left and the state
    that it makes or "".
    column: whether the boxes stand one above another.  scopes: frames around boxes, the outer ones
    first.
    """

    outlines: tuple[Outline, ...]
    inner: tuple[tuple[int, int], ...]
    ins: tuple[Port, ...]
    outs: tuple[tuple[int, str], ...]
    column: bool = False
    scopes: tuple[Frame, ...] = ()


class Pattern(NamedTuple):
    """A form with places; the origin is the lower left corner, lengths are points.

    channels: the x of the verticals by which ports are reached from below.
    scopes: the corners of the frames, lower left and upper right.
    """

    width: float
    height: float
    centers: tuple[Point, ...]
    paths: dict[Key, Path]
    channels: dict[Port, float]
    scopes: tuple[tuple[Point, Point], ...] = ()


def lay_out(forms: Iterable[Form], memories: Memories) -> dict[Form, Pattern]:
    """A pattern for each form, the same for all with the same boxes; the states in one order, the
    memories on top; in one run of dot."""
    alike = defaultdict[Any, list[Form]](list)
    for form in forms:
        alike[form.column and form, form.outlines, frozenset(form.inner), form.scopes].append(form)
    whole = {form: _united(group, memories) for group in alike.values() for form in group}
    by_dot = _by_dot([form for form in dict.fromkeys(whole.values()) if not form.column], memories)
    return {
        form: _Column(form, memories).pattern() if form.column else by_dot[whole[form]]
        for form in whole
    }


def _by_dot(forms: list[Form], memories: Memories) -> dict[Form, Pattern]:
    """The patterns by dot; the states in one order from top to bottom, the memories last."""
    lanes = dict.fromkeys(lane for form in forms for lane in _lanes(form))
    order = sorted(lanes, key=lambda lane: lane in memories)
    try:
        answers = graphviz_run.layouts([_template(form, order) for form in forms])
    except graphviz_run.NoGraphvizError:  # the text is made, and drawn where there is a dot
        answers = [_diagonal(form) for form in forms]
    return {form: _read(form, answer) for form, answer in zip(forms, answers, strict=True)}


def _lanes(form: Form) -> list[str]:
    """The states that enter a tile from the left, and those that leave it."""
    lanes = [port.lane for port in form.ins if port.left] + [lane for _, lane in form.outs]
    return [lane for lane in lanes if lane]


def _united(forms: list[Form], memories: Memories) -> Form:
    """The form of tiles with the same boxes: with the ports of all, so that a first and a last step
    look like any."""
    ins = dict.fromkeys(port for form in forms for port in form.ins)
    outs = dict.fromkeys(port for form in forms for port in form.outs)
    order = sorted(ins, key=lambda port: (not port.left, port.lane not in memories))
    return forms[0]._replace(ins=tuple(order), outs=tuple(outs))


def spine_of(form: Form) -> dict[Key, str]:
    """The links on the shortest way of each state from its in-port to its out-port, with the
    state."""
    ports = {port.lane: port for port in form.ins if port.lane and port.left}
    spine: dict[Key, str] = {}
    for goal, lane in () if form.column else form.outs:
        if lane not in ports:
            continue
        before = _reached(form, ports[lane].boxes)
        if goal in before:
            spine["out", lane, goal] = lane
            while before[goal] >= 0:
                spine["inner", before[goal], goal] = lane
                goal = before[goal]
            spine["in", ports[lane], goal] = lane
    return spine


def _reached(form: Form, start: Iterable[int]) -> dict[int, int]:
    """The boxes that are reached from some boxes, each with the one before it on a shortest way; −1
    at the start."""
    before = dict.fromkeys(start, -1)
    queue = list(before)
    for a in queue:  # grows while it is walked
        for source, b in form.inner:
            if source == a and b not in before:
                before[b] = a
                queue.append(b)
    return before


# by dot


def _template(form: Form, order: Sequence[str]) -> str:
    """The DOT text of a tile without any text in it."""
    spine, rank_of = spine_of(form), {lane: k for k, lane in enumerate(order)}
    ins = sorted(form.ins, key=lambda port: (not port.left, rank_of.get(port.lane, len(order))))
    outs = sorted(range(len(form.outs)), key=lambda k: rank_of.get(form.outs[k][1], -1))
    lines = ["digraph {graph [rankdir=LR nodesep=0.13 ranksep=0.26 splines=true]"]
    lines += ['node [shape=box fixedsize=true label="" width=0.02 height=0.2]']
    lines += ["edge [dir=none headclip=false tailclip=false]"]
    for k, box in enumerate(form.outlines):
        height = box.height + (2 * (box.tag_height + 1) if box.tags else 0)
        lines.append(f"n{k} [width={max(box.width, box.tags) / 72:.4f} height={height / 72:.4f}]")
    lines += _clusters(form)
    if not form.ins and not form.outs:  # without time: operands from top to bottom
        lines.append("ordering=in")
    lines += _rank("min", [f"i{form.ins.index(port)}" for port in ins])
    lines += _rank("max", [f"o{k}" for k in outs])
    for key, tail, head in _links(form):
        weight = 1 if key[0] == "inner" else 2
        if key in spine:
            weight = SPINE
        lines.append(f"{tail}->{head} [id={tail}_{head} weight={weight}]")
    return "\n".join([*lines, "}"])


def _clusters(form: Form) -> list[str]:
    """The frames as clusters, one inside another, with room for their titles."""
    inside: dict[int | None, list[int]] = {}
    for k, frame in enumerate(form.scopes):
        inside.setdefault(frame.around, []).append(k)
    lines, waiting = [], inside.get(None, [])[::-1]
    while waiting:
        k = waiting.pop()
        if k < 0:
            lines.append("}")
            continue
        frame = form.scopes[k]
        size = f'fixedsize="true" width="{text_width(frame.title, 12):.0f}" height="14"'
        lines.append(f"subgraph cluster_{k} {{ margin=9")
        lines.append(f'label=<<table border="0" {size}><tr><td></td></tr></table>>')
        lines += [f"n{box}" for box in frame.boxes]
        waiting += [-1, *inside.get(k, [])[::-1]]
    return lines


def _rank(rank: str, ports: list[str]) -> list[str]:
    """The ports of one side in one rank, in their order."""
    if not ports:
        return []
    chain = f"{'->'.join(ports)} [style=invis]" if len(ports) > 1 else ports[0]
    return [f"{{rank={rank}; {'; '.join(ports)}; {chain}}}"]


def _links(form: Form) -> list[tuple[Key, str, str]]:
    """All links of a tile, and the names of their ends in the template."""
    links: list[tuple[Key, str, str]] = [(("inner", a, b), f"n{a}", f"n{b}") for a, b in form.inner]
    for k, port in enumerate(form.ins):
        links += [(("in", port, b), f"i{k}", f"n{b}") for b in port.boxes]
    return links + [(("out", lane, a), f"n{a}", f"o{k}") for k, (a, lane) in enumerate(form.outs)]


def _diagonal(form: Form) -> graphviz_run.Places:
    """In place of dot: everything on a diagonal, joined by straight lines."""
    links = [(tail, head) for _, tail, head in _links(form)]
    ins = [f"i{k}" for k in range(len(form.ins))]
    names = [*ins, *(f"n{k}" for k in range(len(form.outlines)))]
    at = {name: (80.0 * k, 45.0 * k) for k, name in enumerate(names)}
    width, height = 80.0 * len(names), 45.0 * len(names)
    at |= {f"o{k}": (width, 45.0 * (k + len(ins))) for k in range(len(form.outs))}
    edges = {f"{tail}_{head}": straight(at[tail], at[head]) for tail, head in links}
    return at, edges, width, height, {}


def _read(form: Form, answer: graphviz_run.Places) -> Pattern:
    """The pattern from what dot answered: ports moved to the borders, links clipped to the
    outlines."""
    nodes, edges, width, height, frames = answer
    below = [port for port in form.ins if not port.left]
    shift = PAD + CHANNEL * len(below)

    def moved(points: Iterable[Point]) -> Path:
        return [(x + shift, y + PAD) for x, y in points]

    at = dict(zip(nodes, moved(nodes.values()), strict=True))
    outlines = {f"n{k}": outline for k, outline in enumerate(form.outlines)}
    paths: dict[Key, Path] = {}
    for key, tail, head in _links(form):
        path = moved(edges[f"{tail}_{head}"])
        paths[key] = clipped(path, outlines.get(tail), at[tail], outlines.get(head), at[head])
    centers = tuple(at[name] for name in outlines)
    channels = {port: PAD + CHANNEL * k for k, port in enumerate(below)}
    corners = [moved(frames[f"cluster_{k}"]) for k in range(len(form.scopes)) if frames]
    scopes = tuple((low, high) for low, high in corners)
    return Pattern(width + shift + PAD, height + 2 * PAD, centers, paths, channels, scopes)


# a column


class _Column:
    """The textbook's pattern: a cell, above it its output and its loss; states pass through at
    fixed heights."""

    def __init__(self, form: Form, memories: Memories) -> None:
        self.memories = memories
        self.form, self.boxes = form, form.outlines
        from_below = [port for port in form.ins if not port.left]
        self.below = [port for port in from_below if port.boxes == (0,)]
        self.aside = [port for port in from_below if port not in self.below]  # into the output, say
        widest = max(max(box.width, box.tags) for box in self.boxes)
        self.width = widest + 2 * (PAD + CHANNEL * len(self.aside))
        self.middle = self.width / 2
        self.centers: list[Point] = []
        self.top = PAD
        for box in self.boxes:
            self.centers.append((self.middle, self.top + box.height / 2))
            self.top += box.height + box.tag_height + RISE
        self.heights = self.lane_heights()
        self.channels = self.channels_below()
        self.channels |= {p: self.width - 4.0 - CHANNEL * k for k, p in enumerate(self.aside)}

    def channels_below(self) -> dict[Port, float]:
        """The x of the ports under the lowest box; states, as a grid has them, right of inputs."""
        ports = sorted(self.below, key=lambda port: bool(port.lane))
        states = sum(bool(port.lane) for port in ports)
        inputs = len(ports) - states
        begin = self.middle - 7.0 * (len(ports) - 1)
        if inputs and states:
            begin = self.middle + 4.0 - 14.0 * inputs
        found = {}
        for k, port in enumerate(ports):
            gap = STATE_GAP if inputs and port.lane else 0.0
            found[port] = begin + 14.0 * k + gap
        return found

    def lane_heights(self) -> dict[tuple[str, int], float]:
        """The heights at which the states pass through each box: c above h."""
        coming = [(port.lane, min(port.boxes)) for port in self.form.ins if port.left]
        leaving = [(lane, b) for b, lane in self.form.outs]
        passing = list(dict.fromkeys(one for one in (*coming, *leaving) if one[0]))
        passing.sort(key=lambda one: (one[0] not in self.memories, one[0]))  # alike in all steps
        heights: dict[tuple[str, int], float] = {}
        for lane, b in passing:
            beside = [other for other, box in passing if box == b]
            spread = 0.0
            if len(beside) > 1:
                spread = 0.25 - 0.5 * beside.index(lane) / (len(beside) - 1)
            heights[lane, b] = self.centers[b][1] + self.boxes[b].height * spread
        return heights

    def enter(self, port: Port, b: int) -> Path:
        """From a port into a box."""
        x, y = self.middle - self.boxes[b].width / 2, self.centers[b][1]
        if port in self.below:
            low = y - self.boxes[b].height / 2
            return straight((self.channels[port], 0.0), (self.channels[port], low))
        if not port.left:
            side = self.middle + self.boxes[b].width / 2, y + self.boxes[b].height / 4
            return straight((self.channels[port], side[1]), side)
        start = 0.0, self.heights.get((port.lane, min(port.boxes)), self.lowered(b))
        if abs(start[1] - y) < self.boxes[b].height / 2 - 4:
            return straight(start, (x, start[1]))
        margin = PAD / 2  # left of all boxes and tags
        return rounded(start, (margin, start[1]), (margin, y), (x, y))

    def lowered(self, b: int) -> float:
        """The height at which what is no state enters or leaves a box: a little below the
        states."""
        passed = any(box == b for _, box in self.heights)
        return self.centers[b][1] - (6.0 if passed else 0.0)

    def leave(self, lane: str, b: int) -> Path:
        """From a box to the right border."""
        y = self.heights[lane, b] if lane else self.lowered(b)
        return straight((self.middle + self.boxes[b].width / 2, y), (self.width, y))

    def rise(self, a: int, b: int) -> Path:
        """From a box to another: straight up to the next one, else around those between."""
        box = self.boxes[a]
        start = (self.middle, self.centers[a][1] + box.height / 2 + box.tag_height)
        if b - a == 1:
            return straight(start, (self.middle, self.centers[b][1] - self.boxes[b].height / 2))
        sides = [(self.middle + self.boxes[n].width / 2, self.centers[n][1]) for n in (a, b)]
        between = self.boxes[min(a, b) : max(a, b) + 1]
        x = self.middle + max(max(box.width, box.tags) for box in between) / 2 + 7
        return rounded(sides[0], (x, sides[0][1]), (x, sides[1][1]), sides[1])

    def pattern(self) -> Pattern:
        """All places."""
        ways: dict[str, Any] = {"inner": self.rise, "in": self.enter, "out": self.leave}
        paths = {(kind, a, b): ways[kind](a, b) for (kind, a, b), *_ in _links(self.form)}
        height = PAD + self.top - RISE
        return Pattern(self.width, height, tuple(self.centers), paths, self.channels)
