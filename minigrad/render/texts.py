"""Everything that is written into one picture: labels of boxes and tags, headings, tooltips, lists
of parameters."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from minigrad import naming
from minigrad.cached import cached_property
from minigrad.language import say
from minigrad.render import look, typeset
from minigrad.render.measure import Norms, told
from minigrad.render.nodes import op_name, role_of
from minigrad.render.picture import Box, Link, Part, Picture, Tag, Tile
from minigrad.render.words import counted
from minigrad.tensor import Tensor

TOOLTIPS = 2000  # in a graph of more nodes an SVG with tooltips takes half a minute to load


class Texts:
    """The texts of a picture."""

    def __init__(
        self, picture: Picture, norms: Norms | None, labels: Mapping[str, str], first: int = 0,
        *, values: bool = False,
    ) -> None:  # fmt: skip
        self.picture, self.norms = picture, norms or Norms()
        self.names, self.first, self.values = labels, first, values
        self.parameters = {leaf: name for name, leaf in picture.graph.parameters.items()}
        self.has_tips = len(picture.graph) <= TOOLTIPS
        self.timed = bool(picture.graph.axes)
        self.framed = picture.view != "cells" and (self.timed or len(picture.tiles) > 1)
        self.axes = {tile.row.name for tile in picture.tiles if tile.row.name}
        if len(self.axes) == 1:  # told if the program calls it so, and not after a module
            self.axes -= {"time", *_modules(picture)}
        self.cells = [box for box in picture.boxes if box.kind == "cell"]
        forward = [box.tile.row for box in self.cells if not box.tile.row.backward]
        self.several_layers = len({row.name for row in forward}) > 1
        uses = {frozenset(tag.parameter for tag in box.tags) for box in self.cells}
        self.alike = len(uses) == 1  # then the list of all parameters tells those of each cell
        self.masks = {box: mask for box in picture.boxes if (mask := _mask(box))}
        self.labels = {box: self.label(box) for box in picture.boxes}
        self.tags = {tag: self.tag(tag) for tag in picture.tags}

    def tapped(self) -> list[Box]:
        """The cells into which taps go from the bar of parameters: one cell a step, one row."""
        cells = [box for box in self.cells if box.tags]
        tiles = {box.tile for box in self.cells}
        one_row = len({tile.row for tile in tiles}) == 1 and len(tiles) == len(self.cells)
        return cells if one_row and self.timed and self.picture.view == "cells" else []

    def name(self, name: str) -> str:
        """A name as the reader wants to see it."""
        return typeset.renamed(name, self.names)

    # boxes

    def label(self, box: Box) -> str:
        """What is written into a box."""
        lines = [box.label]
        if box.kind == "cell":
            lines += self.cell_lines(box)
        elif self.values and box.parts:
            lines.append(self.value(box.parts[-1]))
        return "\n".join(filter(None, lines))

    def cell_lines(self, box: Box) -> list[str]:
        """The further lines of a cell: its layer, its weights, its gradients, how many rows are not
        padding."""
        row = box.tile.row
        lines = []
        if self.several_layers and not row.backward and row.timed and row.name != box.label:
            lines.append(look.shorten(row.name.split(".")[-1]))
        if not self.alike and box.tags:
            weights = " ".join(self.short(tag) for tag in box.tags)
            lines.append(weights if len(weights) < 20 else say("{n} weights", n=len(box.tags)))
        lines += [self.told(name, part, box.tile) for name, part in self.gradients(box)]
        return lines + self.rows_of((box,))

    def gradients(self, box: Box) -> list[tuple[str, Part]]:
        """The states of a box whose gradients are told."""
        states = [] if box.beside else box.states
        return [(name, part) for name, part in states if part in self.norms.parts]

    def told(self, name: str, part: Part, tile: Tile) -> str:
        """The norm of the gradient of a state, in words."""
        index = ",".join(look.subscript(t + self.first) for _, t in tile.steps or (("t", tile.t),))
        named = typeset.indexed(self.name(name), index)
        return f"‖∂L/∂{named}‖ = {look.figure(self.norms.parts[part])}"

    def value(self, part: Part) -> str:
        """Value and gradient of a number; shape and mean of an array."""
        array = part.node.data if part.part is None else part.node.data[part.part]
        if array.size != 1:
            mean = (
                f" {say('mean')} {np.mean(array):.2g}"
                if array.dtype.kind in "fiu" and array.size
                else ""
            )
            return f"{look.shape(array.shape)}{mean}"
        text = f"{array.item():.4g}"
        grad = self.norms.entries.get(part)
        return text if grad is None else f"{text} | {grad.item():.4g}"

    # parameters

    def short(self, tag: Tag) -> str:
        """The name of a parameter, as short as is clear in the whole picture, and ᵀ where it is
        transposed."""
        last = _ending(tag)
        name = last if self.endings[last] < 2 else tag.name
        return look.shorten(self.name(name), 20) + ("ᵀ" if tag.turned else "")

    @cached_property
    def endings(self) -> Counter[str]:
        """How many parameters have names with each ending."""
        different = {(tag.parameter, _ending(tag)) for tag in self.picture.tags}
        return Counter(ending for _, ending in different)

    def tag(self, tag: Tag) -> str:
        """What is written on a tag: the name, and a number's value or how much this use adds to the
        gradient."""
        norm, x = self.norms.get(tag), tag.parameter
        if not self.tells_share(tag):
            if norm is None or len(self.picture.graph.users[x]) == 1:
                return f"{self.short(tag)} = {self.value(Part(x))}"
            return f"{self.short(tag)} = {x.item():.4g} | ‖{look.figure(norm)}‖"
        return self.short(tag) if norm is None else f"{self.short(tag)} {look.figure(norm)}"

    def tells_share(self, tag: Tag) -> bool:
        """Whether a tag tells how much its use adds to the gradient, and not values."""
        return not self.values or tag.parameter.size != 1

    @cached_property
    def tag_widths(self) -> dict[Tensor, float]:
        """The width of the tags of a parameter: one in all steps, which then look alike."""
        widths = defaultdict[Tensor, float](float)
        for tag, text in self.tags.items():
            width = look.size("tag", text)[0]
            widths[tag.parameter] = max(widths[tag.parameter], width)
        return widths

    def joint(self, box: Box) -> float | None:
        """The norm of all shares of a box together."""
        tags = [tag for tag in box.tags if tag.parameter in self.parameters]
        shares = [self.norms.of[tag] for tag in tags if tag in self.norms.of]
        return math.hypot(*shares) if shares else None

    def shares(self, box: Box) -> str:
        """What is written on the tap into a cell: the norm of all its shares together."""
        joint = self.joint(box)
        return f"∂θ {look.figure(joint)}" if joint is not None else ""

    def parameter(self, x: Tensor, marked: bool = False) -> str:
        """A parameter's name, its shape, how often it is used where that is not seen, and its
        gradient."""
        name = look.shorten(self.name(self.parameters[x]), 40)
        unseen = self.picture.rolled or any(link.hidden for link in self.picture.links)
        count = len(self.picture.graph.users[x]) if unseen else 1
        words = [f"{'▶ ' if marked else ''}{name}  {look.shape(x.shape)}".strip()]
        if count > 1:
            words.append(f"({counted(count, 'time')})")
        total = self.norms.parameters.get(x)
        if total is not None:
            words.append(f"  ‖∂L/∂{name}‖ = {look.figure(total)}")
        return " ".join(words)

    def list_of(self, parameters: list[Tensor], marked: set[Tensor], width: float) -> str:
        """Several parameters, in lines of at most this width."""
        lines = [""]
        for text in (self.parameter(x, x in marked) for x in parameters):
            longer = f"{lines[-1]}  ·  {text}"
            if lines[-1] and look.text_width(longer, look.SMALLEST) > width:
                lines.append(text)
            else:
                lines[-1] = longer if lines[-1] else text
        return "\n".join(lines)

    # tiles

    def heading(self, tile: Tile) -> str:
        """What stands over a tile: its step, and the gradients of its states."""
        row, boxes = tile.row, self.picture.tiles[tile]
        if not row.timed or not self.timed:
            return self.untimed_heading(tile)
        time, rows = self.time_of(tile), self.rows_of(boxes)
        if row.backward:
            return "   ".join([say("backward, {step}", step=time), *rows])
        names_axis = row.name in self.axes and len(tile.steps) == 1
        axis = [look.shorten(row.name)] if names_axis else []
        told = [(name, part) for box in boxes for name, part in self.gradients(box)]
        told.sort(key=lambda one: one[0] not in self.picture.memories)
        norms = [self.told(name, part, tile) for name, part in told]
        return "   ".join([*axis, time, *norms, *rows])

    def time_of(self, tile: Tile) -> str:
        """The time step of a tile, or the steps that it stands for."""
        first, total, steps = self.first, tile.row.total, tile.steps
        if self.picture.rolled and len(steps) > 1:  # the outer steps are told around
            return self.numbered(steps[1:])
        if len(steps) < 2:
            steps = (("t", tile.t),)
        if not self.picture.rolled or total == 1:
            return self.numbered(steps)
        if self.norms.parts or self.values:
            return say("{step}, one of {total} steps", step=self.numbered(steps), total=total)
        return f"t = {first} … {first + total - 1}"

    def outer_heading(self, tile: Tile) -> str:
        """What stands over all inner steps of one step."""
        if self.picture.rolled:
            return say("any step of {name}", name=tile.steps[0][0])
        return self.numbered(tile.steps[:1])

    def numbered(self, steps: Iterable[tuple[str, int]]) -> str:
        """The numbers of steps on several axes."""
        return ", ".join(f"{name} = {t + self.first}" for name, t in steps)

    def untimed_heading(self, tile: Tile) -> str:
        """What stands over a tile outside of time."""
        boxes = self.picture.tiles[tile]
        if tile.row.backward:
            return say("backward")
        if any(box.kind == "loss" for box in boxes):
            return say("loss")
        made = [box.nodes[-1] for box in boxes if box.nodes and box.nodes[-1].op is not None]
        scope = made[0].scope if made and not self.timed else ""
        return look.shorten(scope)

    def heading_widths(self) -> dict[Tile, float]:
        """How much room the headings need."""
        if not self.framed:
            return {}
        return {
            tile: look.text_width(self.heading(tile) or " ", 12) + 16 for tile in self.picture.tiles
        }

    def mask_of(self, boxes: tuple[Box, ...]) -> tuple[int, int]:
        """How many rows of the batch are not padding in some boxes, and of how many."""
        found = (self.masks[box] for box in boxes if box in self.masks)
        return next(found, (1, 1))

    def rows_of(self, boxes: tuple[Box, ...]) -> list[str]:
        """How many rows are not padding, in words, where some are."""
        inside, rows = self.mask_of(boxes)
        return [say("{n} of {rows} rows", n=inside, rows=rows)] if inside < rows else []

    # what things say when they are pointed at

    def tooltip(self, box: Box) -> str:
        """Expression, shape, gradient and line of a box."""
        if not box.parts:
            return say("{states} of another step", states=" ".join(box.lanes))
        if not self.has_tips:
            return ""
        graph, part = self.picture.graph, told(box)[-1]
        node = part.node
        if len(box.parts) == 1 or box.kind == "input":
            text = naming.expression(graph, node)
        else:
            text = say("{n} operations", n=len(box.parts))
        words = [look.shorten(text, 200), look.shape(node.shape) or say("a number")]
        norm = self.norms.parts.get(part)
        if norm is not None:
            words.append(f"‖∂L/∂{self.name(naming.label(graph, node))}‖ = {norm:.3g}")
        if node.op is not None:
            words.append(str(node.source))
        return look.shorten("  ".join(words), 300)

    def crossing(self, link: Link) -> str:
        """The state that a link carries, as it is written beside the link: h, or h_{t−1} behind a
        delay."""
        name = self.name(link.lane).removesuffix("_t")
        return f"{name}_{{{link.source.label}}}" if link.source.kind == "delay" else name

    def hidden(self, link: Link) -> str:
        """How many steps a link hides, and how the gradient of its state changes over them."""
        text = f"… {counted(link.hidden, 'step')}"
        norms = self.norms.parts
        made = [one for box in self.picture.tiles[link.target.tile] for one in box.states]
        early = [norms.get(part) for name, part in link.source.states if name == link.state]
        late = [norms.get(part) for name, part in made if name == link.state and part in norms]
        if early and late and early[0] and late[0]:
            name = self.name(link.state)
            return f"{text}, ‖∂L/∂{name}‖ ×{look.figure(early[0] / late[0])}"
        return text

    def flows(self, link: Link) -> str:
        """What flows along a link."""
        if link.state or not self.has_tips or not link.source.nodes:
            return self.name(link.state or link.lane)
        return look.shorten(naming.label(self.picture.graph, link.source.nodes[-1]), 60)


def _ending(tag: Tag) -> str:
    """The last part of the name of a parameter."""
    return tag.name.split(".")[-1]


def _modules(picture: Picture) -> set[str]:
    """The names of the modules in time, whole and in parts."""
    scopes = {node.scope for node in picture.graph.nodes if node.time is not None}
    return {name for scope in scopes for name in (scope, *scope.split("."))}


def _mask(box: Box) -> tuple[int, int] | None:
    """How many rows of the batch a padded step still computes, and of how many: the unroller's mask
    tells."""
    for node, _ in box.parts:
        if node.time is not None and op_name(node) == "where":
            mask = node.inputs[0]
            if role_of(mask) == "mask":
                return int(mask.data.sum()), mask.size
    return None
