"""What is drawn, without any coordinates: rows and columns of tiles that hold boxes, and links
between boxes.

`read` and `group` and `link` make a `Picture` of a `Graph`; `arrange` makes a `Layout` of a
`Picture`.  Nothing in a picture changes once `link` has made it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from minigrad.graph import Graph
from minigrad.tensor import Tensor

# Columns stand from left to right in the order of these tuples: the segment of the picture, then
# the
# time step, outermost axis first.  A segment that is no whole number lies outside of time.
Column = tuple[float, ...]


class End(NamedTuple):
    """One edge of the graph: input number `position` of `node`.

    part: if the value holds all time steps, the number of the one that is meant.
    """

    node: Tensor
    position: int
    part: int | None = None


class Part(NamedTuple):
    """A node of the graph, or of a node that holds all time steps the part of one step."""

    node: Tensor
    part: int | None = None


@dataclass(frozen=True, eq=False)
class Row:
    """The tiles of one layer along one axis of time, or of what stands outside of time.

    level: counted from the bottom.  total: how many time steps there are, drawn or not.  reverse:
    time runs from right
    to left.  backward: it holds a traced backward pass.  axes: the names of the axes that its
    columns count.  step: of
    a row of a grid, the axis around and its step.
    """

    name: str
    level: int
    timed: bool = True
    reverse: bool = False
    backward: bool = False
    total: int = 1
    axes: tuple[str, ...] = ()
    step: tuple[tuple[str, int], ...] = ()


class Tile(NamedTuple):
    """Where boxes stand together: one row, one column."""

    row: Row
    column: Column

    @property
    def steps(self) -> tuple[tuple[str, int], ...]:
        """The axes and steps that it stands in, outermost first."""
        steps = (int(t) for t in self.column[1:] if t != inf)
        return (*self.row.step, *zip(self.row.axes, steps, strict=False))

    @property
    def t(self) -> int:
        """The (outermost) time step; outside of time the number of the column."""
        return self.row.step[0][1] if self.row.step else int(self.column[1])


@dataclass(eq=False, slots=True)
class Tag:
    """The use of one parameter, or of one constant that many boxes use, by one box.

    turned: the box takes its transpose.
    """

    parameter: Tensor
    name: str
    ends: list[End] = field(default_factory=list)
    turned: bool = False


@dataclass(eq=False, slots=True)
class Box:
    """One thing drawn: one operation or leaf, or in the folded views several.

    id: its name in the DOT text: l0_t3_k5 is box 5 of step 3 in row 0.
    kind: what it looks like, a key of `look.LOOKS`.
    parts: all that it stands for.  states: those of them that are states, by name.
    beside: "" in its tile; else "before" or "after" it, or "below".
    """

    kind: str
    label: str
    parts: list[Part]
    tile: Tile
    states: list[tuple[str, Part]]
    beside: str = ""
    tags: list[Tag] = field(default_factory=list)
    id: str = ""

    @property
    def nodes(self) -> tuple[Tensor, ...]:
        """The nodes of the graph that it stands for."""
        return tuple(part.node for part in self.parts)

    @property
    def lanes(self) -> tuple[str, ...]:
        """The names of the states that it makes."""
        return tuple(name for name, _ in self.states)


@dataclass(eq=False, slots=True)
class Link:
    """What flows from one box to another: one edge of the graph, or several where boxes are folded.

    lane: the state that it carries to another time step, or "".  state: the state that its source
    is, or "".
    hidden: how many time steps lie between that are not drawn.  mark: of an edited graph, "✂" or "≤
    limit".
    sign: what is written beside the arrowhead: "−", "÷" for the second operand, "ᵀ" for a
    transpose.
    """

    source: Box
    target: Box
    lane: str = ""
    state: str = ""
    hidden: int = 0
    mark: str = ""
    ends: list[End] = field(default_factory=list)
    sign: str = ""


@dataclass(frozen=True, eq=False)
class Picture:
    """All boxes by the tile that they belong to, and the links between them.

    outputs: what the graph puts out.  memories: the states that are gated memories, as an LSTM's c.
    sequences: the arrays from which the inputs of the steps are taken.
    notes: what the picture leaves out or folds, in words; they are written under it.
    """

    graph: Graph
    view: str
    rolled: bool
    tiles: dict[Tile, tuple[Box, ...]]
    links: tuple[Link, ...]
    outputs: frozenset[Part]
    memories: frozenset[str]
    sequences: frozenset[Tensor]
    notes: tuple[str, ...] = ()

    def kind_of_state(self, lane: str) -> str:
        """The kind of box of an operation that makes a state."""
        return "memory" if lane in self.memories else "state"

    @property
    def boxes(self) -> list[Box]:
        """All boxes, tile by tile."""
        return [box for boxes in self.tiles.values() for box in boxes]

    @property
    def tags(self) -> list[Tag]:
        """All tags, box by box."""
        return [tag for box in self.boxes for tag in box.tags]
