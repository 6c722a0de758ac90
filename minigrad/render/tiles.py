"""The layout of one panel, made once by dot for all panels of the same shape.  Imports `engine`, `paths`.

States enter by ports at the left and leave at the right, in the same order; a heavy weight along each state's way from
in to out makes dot draw the straight spine of the textbook.  The few orders of the ports are tried; the one with the
fewest crossings is kept.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from minigrad.render import engine
from minigrad.render.paths import Outline, Path, Point, crossings, rounded, straight, swing

SPINE = 60  # the weight of the edges on a state's way
CHANNEL = 7.0  # between the vertical lines of inputs from below
PAD = 9.0


class Shape(NamedTuple):
    """What decides the layout of a panel: equal shapes share one tile."""

    outlines: tuple[Outline, ...]  # of the boxes
    tags: tuple[float, ...]  # the width of the tags on each box, 0 for none
    inner: tuple[tuple[int, int], ...]  # links from box to box
    ins: tuple[tuple[bool, tuple[int, ...]], ...]  # ports at the left: does it carry a state; the boxes it enters
    outs: tuple[tuple[int, int], ...]  # ports at the right: the box it leaves; the in-port of the same state or -1
    column: bool = False  # boxes one above the other, as in the textbook, instead of a layout by dot


class Tile(NamedTuple):
    """A laid out panel; the origin is its lower left corner, lengths are points."""

    width: float
    height: float
    centers: tuple[Point, ...]
    inner: tuple[Path, ...]
    ins: tuple[tuple[Path, ...], ...]  # from each in-port to each of its boxes
    outs: tuple[Path, ...]
    in_points: tuple[Point, ...]
    out_points: tuple[Point, ...]
    channels: tuple[float, ...]  # the x of the vertical by which each in-port is reached from below
    spine: dict[tuple[str, int, int], int]  # the links on a state's way → its in-port


def lay_out(shapes: Iterable[Shape], tag_height: float) -> dict[Shape, Tile]:
    """A tile for each shape; all of them in one run of dot."""
    shapes = list(shapes)
    wanted = [(shape, order) for shape in shapes if not shape.column for order in _orders(shape)]
    answers = engine.layouts([_template(shape, order, tag_height) for shape, order in wanted])
    best: dict[Shape, tuple[float, Tile]] = {
        shape: (0.0, _column(shape, tag_height)) for shape in shapes if shape.column
    }
    for (shape, _), answer in zip(wanted, answers, strict=True):
        tile = _read(shape, answer)
        cost = crossings([*tile.inner, *itertools.chain(*tile.ins), *tile.outs]) * 1000 + tile.height
        if shape not in best or cost < best[shape][0] - 200:
            best[shape] = (cost, tile)
    return {shape: tile for shape, (_, tile) in best.items()}


def _orders(shape: Shape) -> list[tuple[int, ...]]:
    """The orders of the state ports from top to bottom that are tried."""
    lanes = [k for k, (state, _) in enumerate(shape.ins) if state]
    return list(itertools.permutations(lanes)) if len(lanes) <= 3 else [tuple(lanes)]


def spine_of(shape: Shape) -> dict[tuple[str, int, int], int]:
    """The links on the shortest way of each state from its in-port to its out-port → the in-port."""
    after: dict[int, list[int]] = {}
    for a, b in shape.inner:
        after.setdefault(a, []).append(b)
    spine: dict[tuple[str, int, int], int] = {}
    for out, (goal, port) in enumerate(shape.outs):
        if port < 0:
            continue
        before: dict[int, int] = dict.fromkeys(shape.ins[port][1], -1)
        queue = deque(before)
        while queue and goal not in before:
            a = queue.popleft()
            for b in after.get(a, ()):
                if b not in before:
                    before[b] = a
                    queue.append(b)
        if goal not in before:
            continue
        spine["out", out, goal] = port
        while before[goal] >= 0:
            spine["inner", before[goal], goal] = port
            goal = before[goal]
        spine["in", port, goal] = port
    return spine


def _template(shape: Shape, order: Sequence[int], tag_height: float) -> str:
    """The DOT text of a panel without any text in it."""
    spine = spine_of(shape)
    below = [k for k, (state, _) in enumerate(shape.ins) if not state]
    outs_of = {port: k for k, (_, port) in enumerate(shape.outs) if port >= 0}
    free = [k for k, (_, port) in enumerate(shape.outs) if port < 0]
    lines = ["digraph {graph [rankdir=LR nodesep=0.13 ranksep=0.26 splines=true]"]
    lines += [
        'node [shape=box fixedsize=true label="" width=0.02 height=0.2] edge [dir=none headclip=false tailclip=false]'
    ]
    for k, (outline, tags) in enumerate(zip(shape.outlines, shape.tags, strict=True)):
        height = outline.height + (2 * tag_height + 2 if tags else 0)
        lines.append(f"n{k} [width={max(outline.width, tags) / 72:.4f} height={height / 72:.4f}]")
    for rank, ports in (
        ("min", [f"i{k}" for k in (*order, *below)]),
        ("max", [f"o{k}" for k in (*free, *(outs_of[k] for k in order if k in outs_of))]),
    ):
        if ports:
            chain = f"{'->'.join(ports)} [style=invis]" if len(ports) > 1 else ports[0]
            lines.append(f"{{rank={rank}; {'; '.join(ports)}; {chain}}}")
    for a, b in shape.inner:
        lines.append(f"n{a}->n{b} [id=n{a}_n{b} weight={SPINE if ('inner', a, b) in spine else 1}]")
    for k, (_, targets) in enumerate(shape.ins):
        lines += [f"i{k}->n{b} [id=i{k}_n{b} weight={SPINE if ('in', k, b) in spine else 2}]" for b in targets]
    for k, (a, _) in enumerate(shape.outs):
        lines.append(f"n{a}->o{k} [id=n{a}_o{k} weight={SPINE if ('out', k, a) in spine else 2}]")
    return "\n".join([*lines, "}"])


def _read(shape: Shape, answer: engine.Layout) -> Tile:
    """The tile from what dot answered: ports moved to the borders, links clipped to the outlines."""
    below = sum(not state for state, _ in shape.ins)
    left = PAD + CHANNEL * below if shape.ins else PAD
    nodes, edges, width, height = answer
    shift = (left, PAD)

    def at(name: str) -> Point:
        return nodes[name][0] + shift[0], nodes[name][1] + shift[1]

    def path(name: str) -> list[Point]:
        return [(x + shift[0], y + shift[1]) for x, y in edges[name]]

    outlines = [o._replace(tags=tags) for o, tags in zip(shape.outlines, shape.tags, strict=True)]
    right = width + left + PAD
    return Tile(
        right,
        height + 2 * PAD,
        tuple(at(f"n{k}") for k in range(len(outlines))),
        tuple(
            Path(path(f"n{a}_n{b}")).clipped(outlines[a], at(f"n{a}"), outlines[b], at(f"n{b}")) for a, b in shape.inner
        ),
        tuple(
            tuple(Path(path(f"i{k}_n{b}")).clipped(None, (0, 0), outlines[b], at(f"n{b}")) for b in targets)
            for k, (_, targets) in enumerate(shape.ins)
        ),
        tuple(
            Path(path(f"n{a}_o{k}")).clipped(outlines[a], at(f"n{a}"), None, (0, 0))
            for k, (a, _) in enumerate(shape.outs)
        ),
        tuple(at(f"i{k}") for k in range(len(shape.ins))),
        tuple(at(f"o{k}") for k in range(len(shape.outs))),
        tuple(PAD + CHANNEL * sum(not state for state, _ in shape.ins[:k]) for k in range(len(shape.ins))),
        spine_of(shape),
    )


def _column(shape: Shape, tag_height: float) -> Tile:
    """The textbook's layout: a cell, above it its output and its loss; states pass through at fixed heights."""
    aside = [k for k, (left, targets) in enumerate(shape.ins) if not left and min(targets) > 0]
    width = max(*(outline.width for outline in shape.outlines), *shape.tags) + 2 * (PAD + CHANNEL * len(aside))
    centers, y = [], PAD
    for outline, tags in zip(shape.outlines, shape.tags, strict=True):
        centers.append((width / 2, y + outline.height / 2))
        y += outline.height + 22 + (tag_height if tags else 0)
    lanes = [k for k, (left, _) in enumerate(shape.ins) if left]
    below = [k for k, (left, _) in enumerate(shape.ins) if not left and k not in aside]
    channels = [
        width / 2 + 14.0 * (below.index(k) - (len(below) - 1) / 2) if k in below else 0.0 for k in range(len(shape.ins))
    ]
    for n, k in enumerate(aside):
        channels[k] = 4.0 + CHANNEL * n

    def height(box: int, port: int, ports: list[int]) -> float:
        return centers[box][1] + (13.0 - 26.0 * ports.index(port) / max(len(ports) - 1, 1) if len(ports) > 1 else 0.0)

    ins: list[tuple[Path, ...]] = []
    in_points: list[Point] = []
    for k, (left, targets) in enumerate(shape.ins):
        first = min(targets)
        sides = [(centers[b][0] - shape.outlines[b].width / 2, centers[b][1]) for b in targets]
        if k in below:
            bottom = centers[first][1] - shape.outlines[first].height / 2
            in_points.append((channels[k], bottom - 6))
            ends = [(channels[k], bottom) if b == first else side for b, side in zip(targets, sides, strict=True)]
        else:
            in_points.append((0.0, height(first, k, lanes)) if left else (channels[k] + 1, centers[first][1]))
            y_in = in_points[-1][1]
            ends = [(x, y_in if b == first else y) for b, (x, y) in zip(targets, sides, strict=True)]
        ins.append(tuple(straight(in_points[-1], end) if k in below else swing(in_points[-1], end) for end in ends))
    outs, out_points = [], []
    for b, port in shape.outs:
        y_out = in_points[port][1] if port >= 0 else centers[b][1] - 4
        if port < 0 and sum(a == b for a, _ in shape.outs) > 1:
            y_out = centers[b][1] + 13.0 - 26.0 * [o for o in shape.outs if o[0] == b].index((b, port))
        start, end = (centers[b][0] + shape.outlines[b].width / 2, y_out), (width, y_out)
        outs.append(straight(start, end))
        out_points.append(end)
    tops = [
        y + outline.height / 2 + (tag_height if tags else 0)
        for (_, y), outline, tags in zip(centers, shape.outlines, shape.tags, strict=True)
    ]
    inner = tuple(_upward(centers, shape.outlines, tops[a], a, b) for a, b in shape.inner)
    return Tile(
        width,
        PAD + y - 22,
        tuple(centers),
        inner,
        tuple(ins),
        tuple(outs),
        tuple(in_points),
        tuple(out_points),
        tuple(channels),
        {},
    )


def _upward(centers: Sequence[Point], outlines: Sequence[Outline], top: float, a: int, b: int) -> Path:
    """From box a up to box b; past the boxes between them, if there are any."""
    (ax, ay), (bx, by) = centers[a], centers[b]
    if b - a == 1:
        return straight((ax, top), (bx, by - outlines[b].height / 2))
    start, end = (ax + outlines[a].width / 2, ay + 8), (bx + outlines[b].width / 2, by)
    x = max(start[0], end[0]) + 7
    return rounded(start, (x, start[1]), (x, end[1]), end)
