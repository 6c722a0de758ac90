"""What is placed where: the pinned nodes, lines and frames of a picture.  Imports `paths`, `style`."""

from __future__ import annotations

from dataclasses import dataclass, field

from minigrad.render.paths import Path, Point
from minigrad.render.style import Look


@dataclass(slots=True)
class Node:
    """A pinned node: its centre, size and look."""

    id: str
    center: Point
    width: float
    height: float
    label: str
    look: Look
    tooltip: str = ""
    dashed: bool = False


@dataclass(slots=True)
class Line:
    """A pinned edge."""

    tail: str
    head: str
    path: Path
    colour: str
    pen: float
    arrow: bool = True
    dashed: bool = False
    label: str = ""
    label_at: Point = (0.0, 0.0)
    font: float = 11.0
    ink: str = "#5F6368"
    sign: str = ""  # beside the arrowhead: which operand is subtracted
    tooltip: str = ""


@dataclass(slots=True)
class Frame:
    """A pinned cluster: a panel with its heading, or (without members) a text alone."""

    id: str
    left: float
    bottom: float
    right: float
    top: float
    label: str
    label_at: Point
    members: list[str] = field(default_factory=list)
    visible: bool = True
    dimmed: bool = False
    font: float = 12.0
    ink: str = "#5F6368"


@dataclass(slots=True)
class Scene:
    """Everything of one picture."""

    nodes: list[Node] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    legend: str = ""  # the colour bar, as an HTML-like label
    title: str = ""

    def add(self, other: Scene, dx: float, dy: float, prefix: str) -> None:
        """Another scene beside what is here, shifted; its ids get a prefix."""
        for node in other.nodes:
            node.id, node.center = prefix + node.id, (node.center[0] + dx, node.center[1] + dy)
        for line in other.lines:
            line.tail, line.head, line.path = prefix + line.tail, prefix + line.head, line.path.moved(dx, dy)
            line.label_at = (line.label_at[0] + dx, line.label_at[1] + dy)
        for frame in other.frames:
            frame.id, frame.members = prefix + frame.id, [prefix + member for member in frame.members]
            frame.left, frame.right = frame.left + dx, frame.right + dx
            frame.bottom, frame.top = frame.bottom + dy, frame.top + dy
            frame.label_at = (frame.label_at[0] + dx, frame.label_at[1] + dy)
        self.nodes += other.nodes
        self.lines += other.lines
        self.frames += other.frames

    def box(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top of everything."""
        xs, ys = [], []
        for node in self.nodes:
            xs += [node.center[0] - node.width / 2, node.center[0] + node.width / 2]
            ys += [node.center[1] - node.height / 2, node.center[1] + node.height / 2]
        for frame in self.frames:
            xs += [frame.left, frame.right]
            ys += [frame.bottom, frame.top]
        for line in self.lines:
            xs += [x for x, _ in line.path.points]
            ys += [y for _, y in line.path.points]
        return min(xs), min(ys), max(xs), max(ys)
