"""What a picture is made of: rows of panels (layer × time step) that hold boxes; links and taps between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from minigrad.graph import Graph
from minigrad.tensor import Tensor

End = tuple[
    Tensor, int
]  # one edge of the graph: the node it flows into, and the number of the input
Panel = tuple["Row", int]  # a row and a column in it: a time step, or a stretch outside of time


@dataclass(eq=False, slots=True, repr=False)
class Row:
    """The panels of one layer along one axis, or those outside of time; rows with one segment share their columns."""

    key: tuple[Any, ...]
    name: str
    segment: float
    depth: int = 0  # of a traced backward pass: 1; of a backward pass through that: 2
    reverse: bool = False
    total: int = 1  # steps, drawn or not
    level: int = 0  # counted from the bottom

    @property
    def timed(self) -> bool:
        """Whether its columns are time steps."""
        return self.segment == int(self.segment)


@dataclass(eq=False, slots=True, repr=False)
class Tap:
    """The use of one parameter by one box."""

    parameter: Tensor
    ends: list[End]
    name: str = ""
    turned: bool = False  # it is transposed there
    label: str = ""  # the name, and in a backward picture the share of the gradient
    width: float = 0.0  # as a tag


@dataclass(eq=False, slots=True, repr=False)
class Box:
    """One thing drawn: usually one operation or leaf, in the folded views several."""

    kind: str
    label: str
    nodes: list[Tensor]
    panel: Panel
    lanes: tuple[str, ...] = ()  # the states that it makes
    outside: bool = False  # it stands beside its panel: an input below it, an initial state or a delay in front of it
    taps: dict[Tensor, Tap] = field(default_factory=dict)  # by the parameter
    name: str = ""  # in the DOT text


@dataclass(eq=False, slots=True, repr=False)
class Link:
    """What flows from one box to another: one edge of the graph, or several where boxes are folded."""

    source: Box
    target: Box
    ends: list[End]
    lane: str = ""  # of a state edge: the state's name
    state: str = ""  # the state that the source is, on any edge
    hidden: int = 0  # how many steps that are not drawn lie between
    mark: str = ""  # of an edited graph: "✂", or "≤ limit"
    turned: bool = False  # it is transposed at its target
    total: bool = False  # the lane is that of a running total, not of a state


@dataclass(eq=False, slots=True, repr=False)
class Picture:
    """Rows of panels, and the links between and within them."""

    graph: Graph
    view: str
    rolled: bool
    panels: dict[Panel, list[Box]]
    links: list[Link]
    outputs: set[Tensor]  # or what is drawn in their place

    @property
    def boxes(self) -> list[Box]:
        """All boxes, panel by panel."""
        return [box for boxes in self.panels.values() for box in boxes]
