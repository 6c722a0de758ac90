"""A graph as a `Picture`: its groups as boxes, its edges as links, or as tags where they come from
a parameter."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from minigrad import naming
from minigrad.cached import cached_property
from minigrad.graph import Move
from minigrad.language import say
from minigrad.paths import Axis
from minigrad.render import look, typeset
from minigrad.render.group import Group, find_core, group
from minigrad.render.names import MANY, Names, is_computed, is_wrapped
from minigrad.render.notes import notes_of
from minigrad.render.picture import Box, Link, Part, Picture, Row, Tag, Tile
from minigrad.render.read import Feed, Value
from minigrad.render.words import counted
from minigrad.tensor import Tensor

NOTHING: Any = Part(None)  # type: ignore[arg-type]  # what a delay or a loose end stands for
LARGEST = 10_000  # entries of arrays that are compared, to draw one box for equal ones
SIGNS = {"subtract": "−", "divide": "÷"}


def make_picture(
    names: Names, drawn: list[Value], view: str, blocks: str | None, notes: Sequence[str]
) -> Picture:
    """The picture of the values that are drawn."""
    maker = _Maker(names, drawn, view)
    for one in group(names, drawn, maker.core, view, blocks):
        maker.add_group(one)
    for value in drawn:
        for feed in value.feeds:
            maker.add_edge(value, feed)
    maker.add_stubs()
    picture = maker.picture()
    found = [*maker.beginnings(), *notes_of(picture, names.reading, maker.unrecorded)]
    return replace(picture, notes=(*notes, *found))


class _Maker:
    """Boxes by the values in them; links by their ends and their state.

    entries: by the line of a value and the number of an input, the state that enters there in later
    steps, and from how many steps before.  begun: in a rolled picture, by a row and the
    number of its step, what stands there in place of a state.
    """

    def __init__(self, names: Names, drawn: list[Value], view: str) -> None:
        self.names, self.reading, self.graph = names, names.reading, names.graph
        self.view, self.rolled, self.drawn = view, names.rolled, drawn
        self.core = find_core(names, drawn)
        self.entries = {
            (value.site, feed.position): (feed.source.state, steps)
            for value, feed, steps in self.reading.crossings
            if steps > 0
        }
        self.boxes: defaultdict[Tile, list[Box]] = defaultdict(list)
        self.box: dict[Value, Box] = {}
        self.links: dict[tuple[Box, Box, str], Link] = {}
        self.wrapped: dict[Any, Box] = {}
        self.gathering: set[Box] = set()  # the boxes outside of time that take in several steps
        self.unrecorded: dict[str, None] = {}
        self.begun = defaultdict[tuple[Row, str], dict[str, None]](dict)
        self.sequences: set[Tensor] = set()

    # boxes

    def add_group(self, one: Group) -> None:
        """The box of a group."""
        timed = one.tile.row.timed
        enters = one.kind == "input" and not any(source.op for source in one.last.sources)
        beside = "below" if enters and timed else ""
        box = self.add_box(one.kind, one.label, one.values, one.tile, beside)
        if not timed:
            sources = [source for value in one.values for source in value.sources]
            if len({source.time for source in sources if source.time}) > 1:
                self.gathering.add(box)

    def add_box(
        self, kind: str, label: str, values: list[Value], tile: Tile, beside: str = "",
        lane: str = "",
    ) -> Box:  # fmt: skip
        """A box in its tile, or beside it; lane: the state that it stands for."""
        states = [(value.state, value.key) for value in values if value.state]
        if lane:
            states = [(lane, NOTHING)]
        parts = [value.key for value in values]
        box = Box(kind, look.shorten(label, 60), parts, tile, states, beside)
        self.boxes[tile].append(box)
        self.box.update(dict.fromkeys(values, box))
        return box

    # edges

    def add_edge(self, value: Value, feed: Feed) -> None:
        """What flows into one value from one other: added to the link or the tag that it belongs
        to."""
        source, target = feed.source, self.box[value]
        if self.box.get(source) is target or source.node in self.names.leaves.written:
            return
        if source.op:
            self.link(value, feed, *self.source_of(value, feed))
        elif value.is_input:
            self.sequences.add(source.node)
        elif (kind := self.kind_of_leaf(value, feed)) == "tag":
            self.tag(value, feed, target)
        elif kind:
            self.link(value, feed, self.leaf(value, feed, kind))

    def tag(self, value: Value, feed: Feed, target: Box) -> None:
        """The use of a parameter."""
        leaf = feed.source
        tag = next((tag for tag in target.tags if tag.parameter is leaf.node), None)
        if tag is None:
            tag = Tag(leaf.node, look.shorten(self.names.parameter(value, feed), 40))
            target.tags.append(tag)
        if value.part is None or leaf.part is not None:
            tag.ends.append(feed.end)  # else it is the share of all steps together
        tag.turned |= feed.turned

    def link(self, value: Value, feed: Feed, source: Box | None, hidden: int = 0) -> None:
        """The link that an edge belongs to, if it comes from something drawn."""
        target, state = self.box[value], feed.source.state
        if source is None or source is target:
            return
        lane, own = self.lane(value, feed, source), "" if source.beside else state
        mark = self.marked(lane) if source.kind == "delay" else feed.mark
        found = self.join(source, target, lane or state, lane, own, hidden, mark)
        stands_in = self.rolled and feed.source.op and feed.source not in self.box
        if not stands_in or source.kind == "delay":  # else it is the edge of another step
            found.sign = "" if found.ends else self.sign(value, feed)
            if feed.position < len(value.node.inputs):  # else it is an index
                found.ends.append(feed.end)

    def lane(self, value: Value, feed: Feed, source: Box) -> str:
        """The state that a link carries into another step, or ""."""
        state = feed.source.state
        if source.beside and source.lanes:
            return source.lanes[0]
        if state and self.reading.move(feed.source, value):
            return state
        within = source.tile.row is self.box[value].tile.row
        return "" if within else self.entry(value, feed)[0]  # as where a decoder begins

    def join(self, source: Box, target: Box, name: str, *facts: Any) -> Link:
        """The link between two boxes that has a name; made when first needed."""
        key = source, target, name
        if key not in self.links:
            self.links[key] = Link(source, target, *facts)
        return self.links[key]

    def entry(self, value: Value, feed: Feed) -> tuple[str, int]:
        """The state that enters by this input in later steps, or "", and from how many before."""
        nothing = "", 1
        if value.forward is not None:
            return nothing
        return self.entries.get((value.site, feed.position), nothing)

    def sign(self, value: Value, feed: Feed) -> str:
        """What stands beside the arrowhead: which operand is subtracted, or that it is
        transposed."""
        if feed.position == 1 and value.op in SIGNS:
            number = self.graph.inputs(value.node)[0] in self.names.leaves.written
            if not number or len(self.box[value].parts) > 1:  # else the box says 1−
                return SIGNS[value.op]
        return "ᵀ" if feed.turned else ""

    # leaves

    def kind_of_leaf(self, value: Value, feed: Feed) -> str:
        """What a leaf is drawn as: "input", "initial" (of a state), "tag" (a parameter, or a
        constant that many use), "constant", or "" for nothing."""
        leaf, node = feed.source, feed.source.node
        if leaf.role != "input":
            if leaf.role == "state" or self.entry(value, feed)[0]:
                return "initial"
            if node._requires_grad and not leaf.role and node.time is None:
                return "tag"
            if naming.label(self.graph, node).endswith("_init"):
                return "initial"
            if leaf.role == "mask" and self.view == "cells":
                return ""
            index = feed.position == len(value.node.inputs)
            enters = node in self.names.leaves.entering or (index and value.time)
            if node.time is None and leaf.part is None and not enters:
                return "tag" if leaf.uses > MANY and not leaf.role else "constant"
        constant = value.forward is not None or node in self.names.leaves.constants
        return "constant" if constant else "input"

    def leaf(self, value: Value, feed: Feed, kind: str) -> Box:
        """The box of a leaf: an input, an initial state or a constant."""
        leaf, tile = feed.source, self.box[value].tile
        known = self.box.get(leaf)
        if known is not None and (leaf.role == "input" or _serves(known, tile)):
            return known
        if kind == "initial":
            return self.initial(value, feed, tile)
        low = self.view == "cells"
        if kind == "constant":
            label = look.shorten(self.names.constant(value, feed))
            return self.add_box(kind, label, [leaf], tile, _below(low, tile))
        name = self.names.array(value, feed)
        if is_computed(self.graph, leaf.node):
            self.unrecorded[name] = None
        label = look.shorten(self.names.indexed(name, leaf if leaf.time else value))
        low = low or value in self.core or not self.core
        return self.once(kind, label, leaf, tile, _below(low, tile))

    def once(
        self, kind: str, label: str, leaf: Value, tile: Tile, beside: str, lane: str = ""
    ) -> Box:
        """The box of a leaf; an array that several operations of a step wrap has one."""
        node = leaf.node
        if not is_wrapped(node) or node.size > LARGEST:
            return self.add_box(kind, label, [leaf], tile, beside, lane)
        same = tile, label, leaf.part, node.shape, node._array.tobytes()
        if same not in self.wrapped:
            self.wrapped[same] = self.add_box(kind, label, [], tile, beside, lane)
        box = self.box[leaf] = self.wrapped[same]
        box.parts.append(leaf.key)
        return box

    def initial(self, value: Value, feed: Feed, tile: Tile) -> Box:
        """The box of an initial state, at the beginning of its row also where only a later step
        takes it."""
        leaf, (lane, steps) = feed.source, self.entry(value, feed)
        lane = lane or naming.label(self.graph, leaf.node).removesuffix("_init")
        step, beside = self.index(value) - steps, "before"
        if step < 0:
            row = [other for other in self.boxes if other.row is tile.row]
            columns = sorted(row, key=lambda other: other.column, reverse=tile.row.reverse)
            if tile.row.step and tile != columns[0]:
                beside = "below"  # as in all rows of a grid
            else:
                tile = columns[0]
        label = look.shorten(self.names.initial(leaf, lane, step))
        return self.once("constant", label, leaf, tile, beside, lane)

    # values that are not drawn

    def source_of(self, value: Value, feed: Feed) -> tuple[Box | None, int]:
        """The box that an operation's result comes from, and how many steps that are not drawn lie
        between."""
        if feed.source in self.box:
            return self.box[feed.source], 0
        if self.rolled:
            return self.delayed(value, feed), 0
        return self.last_shown(value, feed)

    def stand_ins(self, value: Value, before: float = math.inf) -> list[Value]:
        """The drawn values that are made in the same way as one, before a moment: those of the same
        inner steps, if there are any."""
        alike = self.reading.alike.get(value, ())
        drawn = [other for other in alike if other in self.box and other.node.serial < before]
        return [other for other in drawn if other.time[1:] == value.time[1:]] or drawn

    def index(self, value: Value) -> int:
        """The position of a value's step on its outermost axis; of what has no axis its number."""
        if not value.time:
            return 0
        axis, t = value.time[0]
        return t if axis is None else self.graph.timeline.outermost[axis, t]

    @cached_property
    def hidden(self) -> dict[Axis | None, set[int]]:
        """The positions of the steps that are not drawn, by their outermost axis."""
        shown = {value.time[0] for value in self.drawn if value.time}
        found = defaultdict[Axis | None, set[int]](set)
        for value in self.reading.drawn:
            if value.time and value.time[0] not in shown:
                found[value.time[0][0]].add(self.index(value))
        return found

    def last_shown(self, value: Value, feed: Feed) -> tuple[Box | None, int]:
        """The stand-in for a value of a hidden step: the same value in the nearest drawn step
        before it."""
        source, target = feed.source, self.box[value]
        if not source.time or target in self.gathering:
            return None, 0
        here, before = self.index(source), self.stand_ins(source, source.node.serial)
        if not before:
            return self.loose_end("stub", _steps(here + 1), target.tile, "before", source.state), 0
        until = value if self.reading.move(source, value) else source
        first, last = sorted((self.index(before[-1]), self.index(until)))
        hidden = self.hidden[source.time[0][0]].intersection(range(first, last + 1))
        return self.box[before[-1]], len(hidden)

    def loose_end(self, kind: str, label: str, tile: Tile, beside: str, lane: str) -> Box:
        """What stands for a state of other steps: a "delay", or a "stub" of what goes on in, or
        comes from, steps that are not drawn; these are counted once."""
        like = [box for box in self.boxes[tile] if (box.kind, box.beside) == (kind, beside)]
        for box in like:
            if lane in ("", *box.lanes) and (kind == "stub" or box.label == label):
                return box
        text = "…" if kind == "stub" and like else label
        return self.add_box(kind, text, [], tile, beside, lane)

    def add_stubs(self) -> None:
        """A stub for each state that only steps take which are not drawn."""
        if self.rolled:
            return
        leaving = {(link.source, link.state) for link in self.links.values()}
        taken = {
            feed.source
            for value, feed, steps in self.reading.crossings
            if steps > 0 and value not in self.box
        }
        for source in self.drawn if taken else ():
            box, state = self.box[source], source.state
            if source in taken and (box, state) not in leaving:
                hidden, after = self.hidden[source.time[0][0]], self.index(source) + 1
                left = next(n for n in itertools.count() if after + n not in hidden)
                stub = self.loose_end("stub", _steps(left), box.tile, "after", state)
                self.join(box, stub, state, state, state, left)

    # rolled

    def delayed(self, value: Value, feed: Feed) -> Box | None:
        """The box that stands for an input in all steps; if it is of another step, a delay."""
        source, tile = feed.source, self.box[value].tile
        makers = self.stand_ins(source)
        move = self.reading.move(source, value)
        if move is None:
            return self.box[makers[-1]] if makers else None
        lane = source.state or naming.label(self.graph, source.node)
        steps = value.time[move.depth][1] - source.time[move.depth][1]
        label = f"t{'−' if steps > 0 else '+'}{abs(steps)}"
        delay = self.loose_end("delay", label, tile, "before", lane)
        earlier = f"ₜ{look.subscript(-steps) if steps > 0 else '₊' + look.subscript(-steps)}"
        state = typeset.indexed(self.names.shown(lane).removesuffix("_t"), earlier)
        self.note_beginning(value, feed.position, move, state)
        for maker in makers[-1:]:
            self.join(self.box[maker], delay, "", lane, source.state).ends.append(feed.end)
        first = self.reading.alike[value][0]
        for begun in [one for one in first.feeds if one.position == feed.position]:
            for maker in self.stand_ins(begun.source)[-1:]:
                if maker.tile != tile:
                    link = self.join(self.box[maker], delay, "", lane, begun.source.state)
                    link.ends.append(begun.end)
        return delay

    def note_beginning(self, value: Value, position: int, move: Move, state: str) -> None:
        """What the first steps take where one that stands for all takes a state of another."""
        across = self.graph.axis_name(move.axis) if move.depth else "t"
        for other in self.reading.alike[value]:
            for begun in other.feeds:
                lane, steps = self.entry(other, begun)
                if lane and begun.position == position and not begun.source.op:
                    t = other.time[move.depth][1] + self.names.first
                    name = self.names.initial(begun.source, lane, self.index(other) - steps)
                    instead = say("{name} in place of {state}", name=name, state=state)
                    self.begun[value.tile.row, f"{across} = {t}"][instead] = None

    def beginnings(self) -> list[str]:
        """With what the first steps of a rolled picture begin, in words; of which rows, if not of
        all."""
        rows = {tile.row for tile in self.boxes if tile.row.timed and not tile.row.backward}
        alike = defaultdict[tuple[str, str], list[str]](list)
        for (row, step), instead in self.begun.items():
            alike[step, ", ".join(instead)].append(row.name)
        told = []
        for (step, found), names in alike.items():
            if len(names) < len(rows) and all(len(row.axes) == 1 for row in rows):
                step = say("{n} of {axis}", n=step, axis=", ".join(names))
            told.append(say("at {step}: {found}", step=step, found=found))
        return told

    def marked(self, lane: str) -> str:
        """The mark of a state's crossings, and at how many of the steps there is one."""
        every: dict[Value, str] = {}
        for _, feed, steps in self.reading.crossings:
            if feed.source.state == lane and steps > 0:
                every[feed.source] = every.get(feed.source) or feed.mark
        found = [mark for mark in every.values() if mark]
        if 0 < len(found) < len(every):
            return say("{limit} at {n} of {total}", limit=found[0], n=len(found), total=len(every))
        return found[0] if found else ""

    # the end

    def picture(self) -> Picture:
        """All boxes with their ids, and all links."""
        order = sorted(self.boxes, key=_tile_order)
        rows = list(dict.fromkeys(tile.row for tile in order))
        if self.view == "cells":
            self.sort_columns()
        for tile in order:
            name = _tile_id(tile, rows)
            for k, box in enumerate(self.boxes[tile]):
                box.id = f"{name}_k{k}"
        return Picture(
            self.graph, self.view, self.rolled, {tile: tuple(self.boxes[tile]) for tile in order},
            tuple(self.links.values()), self.reading.outputs, self.reading.memories, frozenset(self.sequences),
        )  # fmt: skip

    def sort_columns(self) -> None:
        """Put the boxes of each step in their order from the bottom up."""
        into_cells = {link.source for link in self.links.values() if link.target.kind == "cell"}
        for tile, boxes in self.boxes.items():
            if tile.row.timed:
                boxes.sort(key=lambda box: _height(box, box in into_cells))


def _height(box: Box, into_cell: bool) -> int:
    """How far up a box stands in its column: inputs, what a cell takes in, the cell, all others."""
    if box.kind in ("input", "cell"):
        return 0 if box.kind == "input" else 2
    roles = [part.node.role for part in box.parts]
    entering = any(role is not None and role.kind == "input" for role in roles)
    return 1 if into_cell and entering else 3


def _steps(n: int) -> str:
    """What a stub says that stands for some steps."""
    return f"… {counted(n, 'step')}"


def _serves(box: Box, tile: Tile) -> bool:
    """Whether the box of a leaf stands where a tile can take from it."""
    return box.tile == tile or (box.beside == "before" and box.tile.row is tile.row)


def _below(low: bool, tile: Tile) -> str:
    """Where a leaf stands: if it is to stand low, below its step."""
    return "below" if low and tile.row.timed else ""


def _tile_order(tile: Tile) -> tuple[Any, ...]:
    return tile.row.backward, tile.column[0], tile.row.level, tile.column


def _tile_id(tile: Tile, rows: list[Row]) -> str:
    steps = "_".join(f"{x:g}" for x in tile.column[1:])
    kind = "t" if tile.row.timed else "c"
    return f"l{rows.index(tile.row)}_{kind}{steps}".replace("-", "m").replace(".", "p")
