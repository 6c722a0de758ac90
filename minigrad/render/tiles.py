"""The layout of one panel, made once by dot for all panels of the same shape.  Imports `engine`, `paths`.

States enter by ports at the left and leave at the right, in the same order; a heavy weight along each state's way from
in to out makes dot draw the straight spine of the textbook.  The few orders of the ports are tried; the one with the
fewest crossings is kept.  Boxes that form a column (a cell, above it its output and its loss) need no dot.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from minigrad.render import engine, style
from minigrad.render.paths import Outline, Path, Point, clipped, crossings, rounded, straight, swing

Key = tuple[
    str, Any, int
]  # a link of a panel: "inner", two boxes; "in", the port, the box; "out", the state, the box
SPINE = 60  # the weight of the edges on a state's way
CHANNEL = 7.0  # between the vertical lines of inputs from below
PAD = 9.0


class Port(NamedTuple):
    """Where one value enters a panel."""

    lane: str  # the state that comes from the left, or ""
    boxes: tuple[int, ...]  # that it enters
    left: bool  # whether it is reached from the left; else from below
    again: int = 0  # how many ports of the panel are like it


class Shape(NamedTuple):
    """What decides the layout of a panel: equal shapes share one tile."""

    outlines: tuple[Outline, ...]  # of the boxes
    inner: tuple[tuple[int, int], ...]  # links from box to box
    ins: tuple[Port, ...]
    outs: tuple[
        tuple[int, str], ...
    ]  # ports at the right: the box it leaves, and the state that it is or ""
    column: bool = False


class Tile(NamedTuple):
    """A laid out panel; the origin is its lower left corner, lengths are points."""

    width: float
    height: float
    centers: tuple[Point, ...]
    paths: dict[Key, Path]
    channels: dict[Port, float]  # the x of the verticals by which in-ports are reached from below


def lay_out(shapes: Iterable[Shape]) -> dict[Shape, Tile]:
    """A tile for each shape, the same for all with the same boxes, the states in one order; in one run of dot."""
    alike: defaultdict[Any, list[Shape]] = defaultdict(list)
    for shape in shapes:
        alike[shape.column and shape, shape.outlines, frozenset(shape.inner)].append(shape)
    whole = {shape: _united(group) for group in alike.values() for shape in group}
    tried = list(dict.fromkeys(shape for shape in whole.values() if not shape.column))
    orders = _orders(tried)
    try:
        answers = engine.layouts([_template(shape, order) for order in orders for shape in tried])
    except engine.NoGraphvizError:  # the picture's text can be made, and drawn where there is one
        answers = [_ranked(shape) for _ in orders for shape in tried]
    best: tuple[float, dict[Shape, Tile]] = (math.inf, {})
    for k, order in enumerate(orders):
        found = answers[k * len(tried) : (k + 1) * len(tried)]
        tiles = {shape: _read(shape, answer) for shape, answer in zip(tried, found, strict=True)}
        cost = sum(
            1000 * crossings(list(tile.paths.values())) + tile.height for tile in tiles.values()
        )
        cost += 300.0 * any(map(style.is_memory, order[1:]))  # the memory runs on top
        if cost < best[0] - 200:
            best = (cost, tiles)
    return {s: _column(s) if s.column else best[1][w] for s, w in whole.items()}


def _united(shapes: list[Shape]) -> Shape:
    """The shape of panels with the same boxes: with the ports of all, so that a first and a last step look like any."""
    ins = dict.fromkeys(port for shape in shapes for port in shape.ins)
    outs = dict.fromkeys(port for shape in shapes for port in shape.outs)
    order = sorted(ins, key=lambda port: (not port.left, not style.is_memory(port.lane)))
    return shapes[0]._replace(ins=tuple(order), outs=tuple(outs))


def _orders(shapes: Iterable[Shape]) -> list[tuple[str, ...]]:
    """The orders of the states from top to bottom that are tried."""
    passing = [port.lane for shape in shapes for port in shape.ins if port.left]
    passing += [lane for shape in shapes for _, lane in shape.outs]
    lanes = sorted(filter(None, dict.fromkeys(passing)), key=lambda lane: not style.is_memory(lane))
    return list(itertools.permutations(lanes)) if len(lanes) <= 3 else [tuple(lanes)]


def spine_of(shape: Shape) -> dict[Key, str]:
    """The links on the shortest way of each state from its in-port to its out-port → the state; in a column none."""
    ports = {port.lane: port for port in shape.ins if port.lane and port.left}
    spine: dict[Key, str] = {}
    for goal, lane in () if shape.column else shape.outs:
        before: dict[int, int] = dict.fromkeys(ports[lane].boxes, -1) if lane in ports else {}
        queue = list(before)
        for a in queue:  # grows while it is walked
            for b in [b for source, b in shape.inner if source == a and b not in before]:
                before[b] = a
                queue.append(b)
        if goal in before:
            spine["out", lane, goal] = lane
            while before[goal] >= 0:
                spine["inner", before[goal], goal] = lane
                goal = before[goal]
            spine["in", ports[lane], goal] = lane
    return spine


def _template(shape: Shape, order: tuple[str, ...]) -> str:
    """The DOT text of a panel without any text in it."""
    spine, rank_of = spine_of(shape), {lane: k for k, lane in enumerate(order)}
    ins = sorted(shape.ins, key=lambda port: (not port.left, rank_of.get(port.lane, len(order))))
    outs = sorted(range(len(shape.outs)), key=lambda k: rank_of.get(shape.outs[k][1], -1))
    lines = ["digraph {graph [rankdir=LR nodesep=0.13 ranksep=0.26 splines=true]"]
    lines += ['node [shape=box fixedsize=true label="" width=0.02 height=0.2]']
    lines += ["edge [dir=none headclip=false tailclip=false]"]
    for k, box in enumerate(shape.outlines):
        height = box.height + 2 * (box.tag_height + bool(box.tags))
        lines.append(f"n{k} [width={max(box.width, box.tags) / 72:.4f} height={height / 72:.4f}]")
    for rank, ports in (
        ("min", [f"i{shape.ins.index(port)}" for port in ins]),
        ("max", [f"o{k}" for k in outs]),
    ):
        if ports:
            chain = f"{'->'.join(ports)} [style=invis]" if len(ports) > 1 else ports[0]
            lines.append(f"{{rank={rank}; {'; '.join(ports)}; {chain}}}")
    for key, tail, head in _links(shape):
        weight = SPINE if key in spine else 1 if key[0] == "inner" else 2
        lines.append(f"{tail}->{head} [id={tail}_{head} weight={weight}]")
    return "\n".join([*lines, "}"])


def _links(shape: Shape) -> list[tuple[Key, str, str]]:
    """All links of a panel, and the names of their ends in the template."""
    links: list[tuple[Key, str, str]] = [
        (("inner", a, b), f"n{a}", f"n{b}") for a, b in shape.inner
    ]
    links += [
        (("in", port, b), f"i{k}", f"n{b}") for k, port in enumerate(shape.ins) for b in port.boxes
    ]
    return links + [(("out", lane, a), f"n{a}", f"o{k}") for k, (a, lane) in enumerate(shape.outs)]


def _ranked(shape: Shape) -> engine.Layout:
    """In place of dot's layout: what is as far from the ports stands one below another, joined by straight lines."""
    links = [(tail, head) for _, tail, head in _links(shape)]
    rank = {f"n{k}": 1 for k in range(len(shape.outlines))} | {
        tail: 0 for tail, _ in links if tail[0] == "i"
    }
    for _ in list(rank):
        rank.update(
            {head: rank[tail] + 1 for tail, head in links if rank.get(head, 0) <= rank[tail]}
        )
    rank.update({head: max(rank.values()) for _, head in links if head[0] == "o"})
    at = {
        name: (80.0 * rank[name], 45.0 * k)
        for k, name in enumerate(sorted(rank, key=rank.__getitem__))
    }
    edges = {f"{tail}_{head}": straight(at[tail], at[head]) for tail, head in links}
    return at, edges, 80.0 * max(rank.values()), 45.0 * len(rank)


def _read(shape: Shape, answer: engine.Layout) -> Tile:
    """The tile from what dot answered: ports moved to the borders, links clipped to the outlines."""
    nodes, edges, width, height = answer
    below = [port for port in shape.ins if not port.left]
    shift = PAD + CHANNEL * len(below)

    def moved(points: Iterable[Point]) -> Path:
        return [(x + shift, y + PAD) for x, y in points]

    at = dict(zip(nodes, moved(nodes.values())))
    outlines = {f"n{k}": outline for k, outline in enumerate(shape.outlines)}
    paths: dict[Key, Path] = {}
    for key, tail, head in _links(shape):
        path = moved(edges[f"{tail}_{head}"])
        paths[key] = clipped(path, outlines.get(tail), at[tail], outlines.get(head), at[head])
    centers = tuple(at[name] for name in outlines)
    channels = {port: PAD + CHANNEL * k for k, port in enumerate(below)}
    return Tile(width + shift + PAD, height + 2 * PAD, centers, paths, channels)


def _column(shape: Shape) -> Tile:
    """The textbook's layout: a cell, above it its output and its loss; states pass through at fixed heights."""
    boxes = shape.outlines
    below = [port for port in shape.ins if not port.left and port.boxes == (0,)]
    aside = [
        port for port in shape.ins if not port.left and port not in below
    ]  # into the output, say
    width = max(max(box.width, box.tags) for box in boxes) + 2 * (PAD + CHANNEL * len(aside))
    middle, centers, y = width / 2, list[Point](), PAD
    for box in boxes:
        centers.append((middle, y + box.height / 2))
        y += box.height + 22 + box.tag_height
    coming = [(port.lane, min(port.boxes)) for port in shape.ins if port.left]
    leaving = sorted(
        [(lane, b) for b, lane in shape.outs], key=lambda out: not style.is_memory(out[0])
    )
    passing = list(
        dict.fromkeys(state for state in (*coming, *leaving) if state[0])
    )  # states, by box
    heights: dict[tuple[str, int], float] = {}
    for lane, b in passing:
        beside = [other for other, box in passing if box == b]
        spread = 0.25 - 0.5 * beside.index(lane) / (len(beside) - 1) if len(beside) > 1 else 0.0
        heights[lane, b] = centers[b][1] + boxes[b].height * spread
    full = {b for _, b in passing}
    channels = {port: middle + 14.0 * (k - (len(below) - 1) / 2) for k, port in enumerate(below)}
    channels |= {port: 4.0 + CHANNEL * k for k, port in enumerate(aside)}

    def enter(port: Port, b: int) -> Path:
        x, y = middle - boxes[b].width / 2, centers[b][1]
        if port in below:
            return straight((channels[port], 0.0), (channels[port], y - boxes[b].height / 2))
        passed = heights.get((port.lane, min(port.boxes)), y - 6.0 * (b in full))
        start = (0.0, passed) if port.left else (channels[port] + 1, y)
        return (
            straight(start, (x, start[1]))
            if abs(start[1] - y) < boxes[b].height / 2 - 4
            else swing(start, (x, y))
        )

    def leave(lane: str, b: int) -> Path:
        y = heights[lane, b] if lane else centers[b][1] - 4.0 * (b in full)
        return straight((middle + boxes[b].width / 2, y), (width, y))

    def rise(a: int, b: int) -> Path:
        start = (middle, centers[a][1] + boxes[a].height / 2 + boxes[a].tag_height)
        if b - a == 1:
            return straight(start, (middle, centers[b][1] - boxes[b].height / 2))
        sides = [(middle + boxes[n].width / 2, centers[n][1]) for n in (a, b)]
        x = (
            middle
            + max(max(box.width, box.tags) for box in boxes[min(a, b) : max(a, b) + 1]) / 2
            + 7
        )
        return rounded(sides[0], (x, sides[0][1]), (x, sides[1][1]), sides[1])

    ways: dict[str, Any] = {"inner": rise, "in": enter, "out": leave}
    paths: dict[Key, Path] = {(kind, a, b): ways[kind](a, b) for (kind, a, b), *_ in _links(shape)}
    return Tile(width, PAD + y - 22, tuple(centers), paths, channels)
