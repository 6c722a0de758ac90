"""What a picture is made of: rows of panels (layer × time step) that hold boxes; links and taps between them."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType
from typing import TYPE_CHECKING, Any

from minigrad.source import Source

if TYPE_CHECKING:
    from minigrad.graph import Graph
    from minigrad.tensor import Tensor

End = tuple["Tensor", int]  # one edge of the graph: the node it flows into, and the number of the input


@dataclass(eq=False, slots=True, repr=False)
class Box:
    """One thing drawn: usually one operation or leaf, in the folded views several."""

    kind: str
    label: str
    nodes: list[Tensor]
    panel: Panel
    taps: list[Tap] = field(default_factory=list)
    lanes: tuple[str, ...] = ()  # the states that it makes


@dataclass(eq=False, slots=True, repr=False)
class Tap:
    """The use of one parameter by one box."""

    parameter: Tensor
    box: Box
    ends: list[End]
    name: str = ""
    label: str = ""  # the name, and in a backward picture the share of the gradient


@dataclass(eq=False, slots=True, repr=False)
class Link:
    """What flows from one box to another: one edge of the graph, or several where boxes are folded."""

    source: Box
    target: Box
    ends: list[End]
    lane: str = ""  # of a state edge: the state's name
    state: str = ""  # the state that the source is, on any edge
    hidden: int = 0  # how many steps that are not drawn lie between
    mark: str = ""  # of an edited graph: "cut", or "≤ limit"


@dataclass(eq=False, slots=True, repr=False)
class Panel:
    """The boxes of one layer in one time step, or those of a stretch outside of time."""

    row: Row
    column: int  # the time step; in a row outside of time 0
    boxes: list[Box] = field(default_factory=list)
    outer: list[Box] = field(default_factory=list)  # inputs below the panel, initial states left of it
    inner: list[Link] = field(default_factory=list)
    ins: list[Link] = field(default_factory=list)
    outs: list[Link] = field(default_factory=list)


@dataclass(eq=False, slots=True, repr=False)
class Row:
    """The panels of one layer along one axis."""

    key: tuple[Any, ...]
    name: str
    segment: float  # rows with the same segment share their columns; halves lie between
    level: int = 0  # counted from the bottom
    reverse: bool = False
    total: int = 1  # steps, drawn or not
    panels: dict[int, Panel] = field(default_factory=dict)


@dataclass(eq=False, slots=True, repr=False)
class Picture:
    """Rows of panels, and the links between and within them."""

    graph: Graph
    rows: list[Row]
    links: list[Link]
    taps: list[Tap]
    view: str = "ops"

    def release(self) -> None:
        """Part rows, panels and boxes, which point at each other, so that a drawn graph is freed with its last user."""
        for tap in self.taps:
            tap.box.taps.clear()
        for panel in (panel for row in self.rows for panel in row.panels.values()):
            for part in (panel.boxes, panel.outer, panel.inner, panel.ins, panel.outs):
                part.clear()
        for row in self.rows:
            row.panels.clear()


def operand(node: Tensor, k: int) -> str:
    """The source text of input k of an operation, where there is any: what to call a plain array."""
    return _operand(node._code, node._instruction, k)


@lru_cache(maxsize=1024)
def _operand(code: CodeType | None, instruction: int, k: int) -> str:
    try:
        tree = ast.parse(Source(code, instruction).expression, mode="eval").body
    except SyntaxError:
        return ""
    parts: list[ast.expr] = []
    if isinstance(tree, ast.BinOp):
        parts = [tree.left, tree.right]
    elif isinstance(tree, ast.Call):
        parts = tree.args
    return ast.unparse(parts[k]) if k < len(parts) and not isinstance(parts[k], ast.Constant) else ""


def is_backward(node: Tensor) -> bool:
    """Whether a traced backward pass made the node."""
    return forward_of(node) is not None


def forward_of(node: Tensor) -> Any:
    """The node whose rule made this one in a traced backward pass; None for all others."""
    return node._scope.node if node._scope is not None else None


def is_number(x: Tensor) -> bool:
    """Whether a leaf is an operand that the program wrote as a number."""
    return x.op is None and x._code is None and x.size == 1 and x.role is None
