"""A graph as a `Picture`: its groups as boxes, its edges as links, or as tags where they come from
a parameter."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from minigrad import naming
from minigrad.render import look, typeset
from minigrad.render.group import Group, find_core, group
from minigrad.render.names import MANY, Names, is_computed, is_wrapped
from minigrad.render.picture import Box, Column, Link, Part, Picture, Row, Tag, Tile
from minigrad.render.read import Feed, Reading, Value, forward_of, op_name, role_of, site_of
from minigrad.render.words import counted
from minigrad.tensor import Tensor

NOTHING: Any = Part(None)  # type: ignore[arg-type]  # what a delay or a loose end stands for
SEVERAL = 4  # blocks more than these are counted together
LARGEST = 10_000  # entries of arrays that are compared, to draw one box for equal ones
REASONS = ("folded", "numbers", "sequences", "masks", "hidden", "other")
SIGNS = {"subtract": "−", "divide": "÷"}
Shown = Callable[[Value], bool]


def make_picture(
    names: Names, shown: Shown, view: str, blocks: str | None, notes: Sequence[str]
) -> Picture:
    """The picture of the values that are shown."""
    drawn = [value for value in names.reading.drawn if shown(value)]
    core = find_core(names, drawn)
    maker = _Maker(names, drawn, view, core)
    for one in group(names, drawn, core, view, blocks):
        maker.add_group(one)
    for value in drawn:
        for k, feed in enumerate(value.feeds):
            maker.add_edge(value, k, feed)
    maker.add_stubs()
    return maker.finish(notes)


class _Maker:
    """Boxes by the values in them; links by their ends and their state."""

    def __init__(self, names: Names, drawn: list[Value], view: str, core: set[Value]) -> None:
        self.names, self.reading, self.graph = names, names.reading, names.graph
        self.view, self.rolled, self.drawn = view, names.rolled, drawn
        self.core = core
        self.times = Times(self.reading)
        self.slots = self.times.slots
        self.twins = _Twins(self.reading, drawn) if names.rolled else None
        self.data = _data(self.reading)
        self.boxes: defaultdict[Tile, list[Box]] = defaultdict(list)
        self.box: dict[Any, Box] = {}
        self.values: dict[Box, list[Value]] = {}
        self.links: dict[Any, Link] = {}
        self.wrapped: dict[Any, Box] = {}
        self.gathering: dict[Box, bool] = {}
        self.unrecorded: dict[str, None] = {}
        self.sequences: dict[Tensor, None] = {}
        self.makers: dict[Any, list[tuple[int, Box]]] | None = None

    # boxes

    def add_group(self, one: Group) -> None:
        """The box of a group."""
        box = self.add_box(one.kind, one.label, one.values, one.tile)
        if one.kind == "input" and all(is_leaf(feed.source) for feed in one.last.feeds):
            box.beside = "below" if one.tile.row.timed else ""

    def add_box(
        self, kind: str, label: str, values: list[Value], tile: Tile, beside: str = "",
        lanes: Iterable[str] = (),
    ) -> Box:  # fmt: skip
        """A box in its tile, or beside it; lanes: the states that it stands for."""
        parts = [value.key for value in values]
        states = [(v.state, v.key) for v in values if v.state and not is_leaf(v)]
        if lanes:
            states = [(lane, NOTHING) for lane in lanes]
        box = Box(kind, look.shorten(label, 60), parts, tile, states, beside)
        self.boxes[tile].append(box)
        self.box.update(dict.fromkeys(values, box))
        self.values[box] = values
        return box

    # edges

    def add_edge(self, value: Value, k: int, feed: Feed) -> None:
        """What flows into one value from one other: added to the link or the tag that it belongs
        to."""
        source, target = feed.source, self.box[value]
        if self.box.get(source) is target or source.node in self.names.written:
            return
        if is_leaf(source) and self.names.is_input(value):
            self.sequences[source.node] = None
            return
        position = feed.end.position if feed.end.node is value.node else _position(value, k)
        slot = "", 1
        if forward_of(value.node) is None:
            slot = self.slots.get((site_of(value.node), position), slot)
        if self.is_tag(source, slot):
            self.tag(value, position, feed, target)
        else:
            self.link(value, position, feed, target, slot)

    def is_tag(self, source: Value, slot: tuple[str, int]) -> bool:
        """Whether a leaf is a parameter, or a constant that many boxes use; neither enters a step
        as an input."""
        node = source.node
        if not is_leaf(source) or slot[0] or role_of(node) or node.time is not None:
            return False
        if node in self.data:
            return False
        if node._requires_grad:
            return True
        begins = naming.label(self.graph, node).endswith("_init")
        return source.uses > MANY and source.part is None and not begins

    def tag(self, value: Value, k: int, feed: Feed, target: Box) -> None:
        """The use of a parameter."""
        leaf = feed.source.node
        tag = next((tag for tag in target.tags if tag.parameter is leaf), None)
        if tag is None:
            named = self.names.parameter_names.get(leaf)
            name = named or self.names.constant(feed.source, value, k)
            tag = Tag(leaf, look.shorten(self.names.shown(name), 40))
            target.tags.append(tag)
        if value.part is None or feed.source.part is not None:
            tag.ends.append(feed.end)  # else it is the share of all steps together
        tag.turned |= feed.turned

    def link(self, value: Value, k: int, feed: Feed, target: Box, slot: tuple[str, int]) -> None:
        """The link that an edge belongs to, if it comes from something drawn."""
        source, hidden = self.source_of(value, k, feed, target, slot)
        if source is None or source is target:
            return
        found = self.join(value, feed, source, target, slot, hidden)
        stands_in = self.rolled and not is_leaf(feed.source) and feed.source not in self.box
        if not stands_in or source.kind == "delay":  # else it is the edge of another step
            found.sign = "" if found.ends else self.sign(value, k, feed)
            found.ends.append(feed.end)

    def join(
        self, value: Value, feed: Feed, source: Box, target: Box, slot: Any, hidden: int
    ) -> Link:
        """The link between two boxes that carries a state, or none; made when first needed."""
        steps, state = self.times.between(feed.source, value), feed.source.state
        lane = state if steps else ""
        if source.beside and source.lanes:
            lane = source.lanes[0]
        elif source.tile.row is not target.tile.row:
            lane = lane or slot[0]  # the state of an encoder, say, where a decoder begins
        mark = feed.mark
        if self.twins is not None and source.kind == "delay":
            mark = self.marked(lane)
        key = source, target, lane or state
        if key not in self.links:
            own = "" if source.beside else state
            self.links[key] = Link(source, target, lane, own, hidden, mark)
        return self.links[key]

    def source_of(
        self, value: Value, k: int, feed: Feed, target: Box, slot: tuple[str, int]
    ) -> tuple[Box | None, int]:
        """The box that an edge comes from, and how many steps that are not drawn lie between."""
        source = feed.source
        if is_leaf(source):
            return self.leaf(value, k, source, target, slot), 0
        if source in self.box:
            return self.box[source], 0
        if self.twins is not None:
            return self.delayed(value, k, source, target), 0
        return self.last_shown(source, value, target)

    def sign(self, value: Value, k: int, feed: Feed) -> str:
        """What stands beside the arrowhead: which operand is subtracted, or that it is
        transposed."""
        alone = len(self.values[self.box[value]]) == 1
        number = self.graph.inputs(value.node)[0] in self.names.written  # then the box says 1−
        if k == 1 and value.op in SIGNS and not (alone and number):
            return SIGNS[value.op]
        return "ᵀ" if feed.turned else ""

    # leaves

    def leaf(
        self, value: Value, k: int, leaf: Value, target: Box, slot: tuple[str, int]
    ) -> Box | None:
        """The box of a leaf: an input, an initial state or a constant."""
        node, tile = leaf.node, target.tile
        is_input = role_of(node) == "input" or node in self.data
        known = self.box.get(leaf)
        if known is not None and (is_input or self.serves(known, tile)):
            return known
        begins = role_of(node) == "state" or naming.label(self.graph, node).endswith("_init")
        if not is_input and (begins or slot[0]):
            return self.initial(value, leaf, target, *slot)
        entering = is_input or node.time is not None or leaf.part is not None
        if role_of(node) == "mask" and self.view == "cells":
            return None
        if entering and forward_of(value.node) is None:
            return self.entering(value, k, leaf, tile)
        return self.constant(value, k, leaf, tile)

    def constant(self, value: Value, k: int, leaf: Value, tile: Tile) -> Box:
        """The box of an array that is the same in all steps."""
        label = self.names.constant(leaf, value, k)
        beside = "below" if self.view == "cells" and tile.row.timed else ""
        return self.add_box("constant", look.shorten(label), [leaf], tile, beside=beside)

    def serves(self, box: Box, tile: Tile) -> bool:
        """Whether the box of a leaf stands where a tile can take from it."""
        return box.tile == tile or (box.beside == "before" and box.tile.row is tile.row)

    def entering(self, value: Value, k: int, leaf: Value, tile: Tile) -> Box:
        """The box of an array that enters a step."""
        name = self.names.input_of(leaf, value, k)
        if is_computed(self.graph, leaf.node):
            self.unrecorded[name] = None
        below = tile.row.timed and (self.view == "cells" or value in self.core or not self.core)
        label = look.shorten(self.names.indexed(name, leaf if leaf.time else value))
        return self.once("input", label, leaf, tile, beside="below" if below else "")

    def once(self, kind: str, label: str, leaf: Value, tile: Tile, **more: Any) -> Box:
        """The box of a leaf; an array that several operations of a step wrap has one."""
        node = leaf.node
        if not is_wrapped(node) or node.size > LARGEST:
            return self.add_box(kind, label, [leaf], tile, **more)
        same = tile, label, leaf.part, node.shape, node._array.tobytes()
        if same not in self.wrapped:
            self.wrapped[same] = self.add_box(kind, label, [], tile, **more)
        box = self.box[leaf] = self.wrapped[same]
        box.parts.append(leaf.key)
        self.values[box].append(leaf)
        return box

    def initial(self, value: Value, leaf: Value, target: Box, lane: str, steps: int) -> Box:
        """The box of an initial state, at the beginning of its row also where only a later step
        takes it."""
        name = naming.label(self.graph, leaf.node)
        lane = lane or name.removesuffix("_init")
        index = self.times.index(value) - steps
        tile = target.tile
        beside = "before"
        if index < 0:
            first = self.first_tile(tile)
            if tile.row.step and tile != first:  # it comes from below, as all rows of a grid do
                beside = "below"
            else:
                tile = first
        unnamed = name in ("constant", lane) or re.fullmatch(r"s\d+_init", name)
        if unnamed and index < -1:
            name = typeset.indexed(lane, look.subscript(index + self.names.first))
        elif unnamed:
            name = f"{lane.removesuffix('_t')}_init"
        shown = look.shorten(self.names.shown(name))
        return self.once("constant", shown, leaf, tile, beside=beside, lanes=(lane,))

    def first_tile(self, tile: Tile) -> Tile:
        """Where time begins in the row of a tile."""
        tiles = [other for other in self.boxes if other.row is tile.row]
        order = sorted(tiles, key=lambda other: other.column)
        return order[-1] if tile.row.reverse else order[0]

    # steps that are not drawn

    def made_by(self, row: Row, key: Any) -> list[tuple[int, Box]]:
        """Where a value is made in the steps that are drawn: their positions and boxes."""
        if self.makers is None:
            self.makers = defaultdict(list)
            for value, box in self.box.items():
                if not is_leaf(value) and value.time:
                    found = self.makers[value.row, value.state or site_of(value.node)]
                    found.append((self.times.index(value), box))
        return self.makers.get((row, key), [])

    def last_shown(self, source: Value, value: Value, target: Box) -> tuple[Box | None, int]:
        """The stand-in for a value of a hidden step: the same value in the nearest drawn step
        before it."""
        if not source.time or self.gathers(target):
            return None, 0
        here = self.times.index(source)
        made = self.made_by(source.row, source.state or site_of(source.node))
        way = -1 if value.row.backward else 1
        found = [(way * p, box) for p, box in made if way * p < way * here]
        if not found:
            return self.stub(target, source.state, "before", here + 1), 0
        position, box = max(found, key=lambda pair: pair[0])
        last = (
            way * self.times.index(value) - 1 if self.times.between(source, value) else way * here
        )
        between = range(position + 1, last + 1)
        return box, sum(way * p not in self.times.drawn(self.drawn, source) for p in between)

    def gathers(self, box: Box) -> bool:
        """Whether a box outside of time takes in several steps; those that are hidden need no
        link."""
        if box not in self.gathering:
            feeds = [feed for value in self.values[box] for feed in value.feeds]
            sources = {feed.source.time for feed in feeds if feed.source.time}
            self.gathering[box] = not box.tile.row.timed and len(sources) > 1
        return self.gathering[box]

    def stub(self, box: Box, lane: str, beside: str, steps: int) -> Box:
        """A loose end: what goes on in, or comes from, steps that are not drawn."""
        like = [b for b in self.boxes[box.tile] if b.kind == "stub" and b.beside == beside]
        for other in like:
            if lane in other.lanes or not lane:
                return other
        text = "…" if like else f"… {counted(steps, 'step')}"
        lanes = (lane,) if lane else ()
        return self.add_box("stub", text, [], box.tile, beside=beside, lanes=lanes)

    def add_stubs(self) -> None:
        """A stub for each state that only steps take which are not drawn."""
        if self.rolled:
            return
        leaving = {(link.source, link.state) for link in self.links.values()}
        users = defaultdict[Value, list[Value]](list)
        shown = set(self.drawn)
        states = {value for value in self.drawn if value.state}
        for value in self.reading.drawn:
            for feed in value.feeds:
                if feed.source in states and value not in shown:
                    users[feed.source].append(value)
        for source in self.drawn:
            later = [value for value in users[source] if self.times.between(source, value) > 0]
            box = self.box[source]
            if later and (box, source.state) not in leaving:
                left = self.times.left(source, self.drawn)
                stub = self.stub(box, source.state, "after", left)
                link = Link(box, stub, source.state, source.state, left, "")
                self.links[box, stub, source.state] = link

    # rolled

    def delayed(self, value: Value, k: int, source: Value, target: Box) -> Box | None:
        """The box that stands for an input in all steps; in its own tile, through a delay."""
        assert self.twins is not None
        maker = self.box.get(self.twins.stand_in(source))
        if not self.times.between(source, value):
            return maker
        lane = source.state or naming.label(self.graph, source.node)
        steps = self.times.difference(source, value)
        label = f"t{'−' if steps > 0 else '+'}{abs(steps)}"
        delay = self.delay(label, lane, target.tile)
        if maker is not None:
            loop = Link(maker, delay, lane, source.state, 0, "")
            self.links.setdefault((maker, delay, ""), loop)
        first = self.twins.first(value)
        begun = first.feeds[k].source if k < len(first.feeds) else source
        before = self.box.get(self.twins.stand_in(begun))
        if before is not None and before.tile != target.tile:
            begin = Link(before, delay, lane, begun.state, 0, "")
            link = self.links.setdefault((before, delay, ""), begin)
            link.ends.append(first.feeds[k].end)
        return delay

    def delay(self, label: str, lane: str, tile: Tile) -> Box:
        """The delay box of a state in a tile."""
        for box in self.boxes[tile]:
            if (box.kind, box.label, box.lanes) == ("delay", label, (lane,)):
                return box
        return self.add_box("delay", label, [], tile, beside="before", lanes=(lane,))

    def marked(self, lane: str) -> str:
        """The mark of a state's crossings, and at how many of the steps there is one."""
        every: dict[Any, str] = {}
        for value in self.reading.drawn:
            for feed in value.feeds:
                if feed.source.state == lane and self.times.between(feed.source, value) > 0:
                    every[feed.source] = every.get(feed.source) or feed.mark
        found = [mark for mark in every.values() if mark]
        if 0 < len(found) < len(every):
            return f"{found[0]} at {len(found)} of {len(every)}"
        return found[0] if found else ""

    # the end

    def finish(self, notes: Sequence[str]) -> Picture:
        """The picture: all boxes with their ids, all links, and what is counted instead of
        drawn."""
        order = sorted(self.boxes, key=_tile_order)
        rows = list(dict.fromkeys(tile.row for tile in order))
        if self.view == "cells":
            self.sort_columns()
        for tile in order:
            for k, box in enumerate(self.boxes[tile]):
                box.id = f"{_tile_id(tile, rows)}_k{k}"
        tiles = {tile: tuple(self.boxes[tile]) for tile in order}
        links = tuple(self.links.values())
        outputs = set(self.reading.outputs)
        if self.twins is not None:
            stand_ins = [self.twins.stand_in(v) for v in self.drawn if v.key in outputs]
            outputs |= {value.key for value in stand_ins if value is not None}
        counted = self.counted(tiles)
        words = [*notes, *self.notes(tiles, counted)]
        return Picture(
            self.graph, self.view, self.rolled, tiles, links, frozenset(outputs), self.reading.memories,
            counted, tuple(words),
        )  # fmt: skip

    def sort_columns(self) -> None:
        """Put the boxes of each step in their order from the bottom up."""
        into_cells = {link.source for link in self.links.values() if link.target.kind == "cell"}
        for tile, boxes in self.boxes.items():
            if tile.row.timed:
                boxes.sort(key=lambda box: _height(box, box in into_cells))

    def counted(self, tiles: dict[Tile, tuple[Box, ...]]) -> dict[str, frozenset[Tensor]]:
        """The nodes that are in no box, by the reason why."""
        drawn = {tag.parameter for boxes in tiles.values() for box in boxes for tag in box.tags}
        drawn |= {node for boxes in tiles.values() for box in boxes for node in box.nodes}
        shown = {value.node for value in self.drawn}
        feeds = [feed.source for value in self.drawn for feed in value.feeds]
        shown |= {source.node for source in feeds if is_leaf(source)}
        unused = {value.node for value in self.reading.values if not value.uses}
        found = defaultdict[str, set[Tensor]](set)
        for node in self.graph.nodes:
            if node in drawn:
                continue
            if node in unused or node in self.reading.folded:
                found["folded"].add(node)
            elif node in self.names.written:
                found["numbers"].add(node)
            elif node in self.sequences:
                found["sequences"].add(node)
            elif role_of(node) == "mask":
                found["masks"].add(node)
            else:
                found["other" if node in shown else "hidden"].add(node)
        return {why: frozenset(found[why]) for why in REASONS}

    def notes(
        self, tiles: dict[Tile, tuple[Box, ...]], counted: dict[str, frozenset[Tensor]]
    ) -> Iterable[str]:
        """What is folded, merged or not recorded, in words."""
        if self.rolled:
            yield from _stands_for({tile.row for tile in tiles if tile.row.timed})
        yield from _merged([box for boxes in tiles.values() for box in boxes])
        parts = [value for value in self.reading.drawn if value.part is not None]
        stepwise = dict.fromkeys(value.op for value in parts)
        if stepwise:
            yield f"one operation for all steps, drawn step by step: {', '.join(stepwise)}"
        yield from self.folded(counted["folded"])
        if self.unrecorded:
            made = ", ".join(self.unrecorded)
            yield f"not recorded, since it needs no gradient: what makes {made}"

    def folded(self, nodes: frozenset[Tensor]) -> Iterable[str]:
        """Which operations only rearrange, and how many."""
        found = Counter(op_name(node) for node in self.graph.nodes if node in nodes)
        found.pop("", None)
        if found:
            yield f"folded: {', '.join(f'{n} {op}' for op, n in found.items())}"


def _stands_for(rows: Iterable[Row]) -> Iterable[str]:
    """For how many steps the one that is drawn stands, on each axis where these are not the same."""
    timed = [row for row in rows if row.axes and row.total > 1]
    axes = sorted({(len(row.axes), row.axes[-1], row.total) for row in timed})
    several = len({total for *_, total in axes}) > 1
    counts = [f"{total} of {axis}" if several else str(total) for _, axis, total in axes]
    if counts:
        yield f"one step stands for {', '.join(counts if several else counts[:1])}"


def _merged(boxes: Iterable[Box]) -> Iterable[str]:
    """How many operations the blocks and cells stand for."""
    found = defaultdict[str, dict[str, int]](dict)
    for box in boxes:
        if box.kind == "cell" and len(box.parts) > 1:
            rows, name = found[box.label.split("\n")[0]], box.tile.row.name
            rows[name] = max(rows.get(name, 0), len(box.parts))
    counts = [count for rows in found.values() for count in rows.values()]
    if len(found) > SEVERAL:
        return [f"{len(found)} blocks of {min(counts)} to {max(counts)} operations"]
    words = []
    for title, rows in found.items():
        if len({*rows.values()}) == 1:
            rows = {"": max(rows.values())}
        words += [
            f"{title} {name}".strip() + f": {count} operations" for name, count in rows.items()
        ]
    return words


def _height(box: Box, into_cell: bool) -> int:
    """How far up a box stands in its column: inputs, what a cell takes in, the cell, all others."""
    if box.kind in ("input", "cell"):
        return 0 if box.kind == "input" else 2
    entering = any(role_of(node) == "input" for node in box.nodes)
    return 1 if into_cell and entering else 3


def is_leaf(value: Value) -> bool:
    """Whether no recorded operation made a value."""
    return value.node.op is None


def _position(value: Value, k: int) -> int:
    """The input number of a feed of a value, where it is measured elsewhere."""
    return k if len(value.feeds) == len(value.node.inputs) else 0


def _data(reading: Reading) -> set[Tensor]:
    """What a network without time takes in: what its products multiply with parameters."""
    if reading.graph.axes:
        return set()
    products = [value for value in reading.drawn if value.op in look.PRODUCTS]
    return {feed.source.node for value in products for feed in value.feeds if feed.source.is_data}


def _tile_order(tile: Tile) -> tuple[Any, ...]:
    return tile.row.backward, tile.column[0], tile.row.level, tile.column


def _tile_id(tile: Tile, rows: list[Row]) -> str:
    steps = "_".join(f"{x:g}" for x in tile.column[1:])
    kind = "t" if tile.row.timed else "c"
    return f"l{rows.index(tile.row)}_{kind}{steps}".replace("-", "m").replace(".", "p")


class Times:
    """How the time steps of values lie to each other."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.graph, self.position = reading.graph, reading.graph.timeline.outermost
        self._drawn: dict[Any, set[int]] = {}

    def index(self, value: Value) -> int:
        """The position of a value's step on its outermost axis; of what has no axis its number."""
        if not value.time:
            return 0
        axis, t = value.time[0]
        return t if axis is None else self.position[axis, t]

    def between(self, source: Value, value: Value) -> int:
        """How many steps of their common axis lie from one value to another; 0 if they have none in
        common."""
        if not (source.time and value.time) or source.time[0][0] is not value.time[0][0]:
            return 0
        here, there = self.graph.place(source.node), self.graph.place(value.node)
        for (a, start), (b, end) in zip(here, there, strict=False):
            if a is not b:
                return 0
            if start != end:
                return end - start
        return 0

    def difference(self, source: Value, value: Value) -> int:
        """How much larger the number of a value's step is than that of its source."""
        for (_, s), (_, t) in zip(source.time, value.time, strict=False):
            if s != t:
                return t - s
        return 0

    @property
    def slots(self) -> dict[Any, tuple[str, int]]:
        """By the line of a value and the number of an input: the state that enters there, from how
        long before."""
        found: dict[Any, tuple[str, int]] = {}
        for value in self.reading.values:
            for k, feed in enumerate(value.feeds):
                steps = self.between(feed.source, value) if feed.source.state else 0
                if steps > 0:
                    found[site_of(value.node), _position(value, k)] = feed.source.state, steps
        return found

    def drawn(self, drawn: list[Value], like: Value) -> set[int]:
        """The positions of the steps that are drawn of the axis of a value."""
        axis = like.time[0][0]
        if axis not in self._drawn:
            here = [v for v in drawn if v.time and v.time[0][0] is axis]
            self._drawn[axis] = {self.index(v) for v in here}
        return self._drawn[axis]

    def left(self, value: Value, drawn: list[Value]) -> int:
        """How many steps follow that of a value up to the next one that is drawn, or to the end."""
        axis, here = value.time[0][0], self.index(value)
        steps = [p for (a, _), p in self.position.items() if a is axis and p > here]
        shown = self.drawn(drawn, value)
        later = min((p for p in steps if p in shown), default=here + len(steps) + 1)
        return later - here - 1


class _Twins:
    """Values of different steps that are made in the same way: the one that is drawn stands for
    all."""

    def __init__(self, reading: Reading, drawn: list[Value]) -> None:
        shown, count = set(drawn), Counter[Any]()
        self.twin: dict[Value, Any] = {}
        self.first_of: dict[Any, Value] = {}
        self.drawn_of: dict[Any, Value] = {}
        for value in reading.drawn:
            forward = forward_of(value.node)
            made_for = None if forward is None else site_of(forward)
            key = value.row, site_of(value.node), made_for
            count[value.tile, key] += 1
            twin = (*key, count[value.tile, key])
            self.twin[value] = twin
            self.first_of.setdefault(twin, value)
            if value in shown:
                self.drawn_of[twin] = value

    def stand_in(self, value: Value) -> Value | None:
        """The drawn value that stands for one in all steps."""
        return self.drawn_of.get(self.twin.get(value))

    def first(self, value: Value) -> Value:
        """The value of the first step that is made in the same way."""
        return self.first_of[self.twin[value]]


__all__ = ["Column", "Shown", "Times", "make_picture"]
