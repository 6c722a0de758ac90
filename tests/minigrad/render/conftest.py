from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
from minigrad.render import look as style
from tests.minigrad.render.networks import NETWORKS

Point = tuple[float, float]
ATTRIBUTE = r'(\w+)=("(?:[^"\\]|\\.)*"|<(?:[^<>]|<[^<>]*>)*>|[^\s"]+)'


def unset(label: str) -> str:
    """The text of a DOT label, with names as they are written in a program."""
    if not label.startswith("<"):
        return label.replace("\\n", "\n").replace("&amp;", "&")
    return html.unescape(plain(label[1:-1]))


def plain(source: str) -> str:
    """DOT text with names as they are written in a program."""
    text = source.replace("<br/>", "\n")
    text = re.sub(r'<font point-size="[\d.]+"> </font>', "", text)
    text = re.sub(r"<sub><font[^<>]*>([A-Za-z]\w*)(?:,(\w+))?</font></sub>", _joined, text)
    return re.sub(r"<sub><font[^<>]*>([^<>]*)</font></sub>", r"_{\1}", text)


def _joined(found: re.Match[str]) -> str:
    return "_" + "_".join(filter(None, found.groups()))


class Node(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    label: str
    font: float
    shape: str


class Drawing:
    """The pinned positions of a picture, read back from its DOT text."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.nodes: dict[str, Node] = {}
        self.edges: list[tuple[str, str, list[Point], dict[str, str]]] = []
        for line in source.splitlines():
            found = re.match(r"\t(\w+)(?: -> (\w+))? \[(.*)\]$", line)
            if not found or found[1] in ("graph", "node", "edge"):
                continue
            attributes = {k: v.strip('"') for k, v in re.findall(ATTRIBUTE, found[3])}
            if found[2]:
                self.edges.append((found[1], found[2], self.points(attributes["pos"]), attributes))
            else:
                x, y = map(float, attributes["pos"].split(","))
                size = float(attributes["width"]) * 72, float(attributes["height"]) * 72
                label = unset(attributes["label"])
                self.nodes[found[1]] = Node(
                    x, y, *size, label, float(attributes["fontsize"]), attributes["shape"]
                )

    @staticmethod
    def points(text: str) -> list[Point]:
        return [tuple(map(float, part.split(",")[-2:])) for part in text.split()]  # type: ignore[misc]

    def overlaps(self) -> list[tuple[str, str]]:
        """Pairs of nodes that lie on one another by more than a border's width."""
        items = sorted(self.nodes.items(), key=lambda item: item[1].x - item[1].width / 2)
        found = []
        for k, (a, p) in enumerate(items):
            for b, q in items[k + 1 :]:
                if q.x - q.width / 2 > p.x + p.width / 2:
                    break
                dx = (p.width + q.width) / 2 - abs(p.x - q.x)
                dy = (p.height + q.height) / 2 - abs(p.y - q.y)
                if min(dx, dy) > 1.0:
                    found.append((a, b))
        return found

    def spilled(self) -> list[str]:
        """Nodes whose text is wider than they are."""
        return [
            n.label
            for n in self.nodes.values()
            if style.text_width(n.label, n.font) > n.width + 0.1
        ]

    def crossed(self) -> list[tuple[str, str, str]]:
        """Edges that run over a node that is not one of their ends; bars hide what passes behind
        them."""
        hidden = ("bar", "weights")
        names = [
            name
            for name in self.nodes
            if not name.split("_", 1)[-1].startswith(hidden) and not name.startswith(hidden)
        ]
        if not names:
            return []
        boxes = np.array([self.nodes[name][:4] for name in names])
        found = []
        for tail, head, points, _ in self.edges:
            if re.search(r"_w\d+$", tail + " " + head) or re.search(r"_w\d+ ", tail + " "):
                continue
            away = np.abs(np.array(sampled(points))[:, None, :] - boxes[:, :2]) - boxes[:, 2:] / 2
            under = [names[k] for k in np.flatnonzero((away.max(axis=2) < -2.0).any(axis=0))]
            found += [
                (tail, head, name)
                for name in under
                if not re.match(f"({tail}|{head})(_w\\d+)?$", name)
            ]
        return found

    def fonts(self) -> list[float]:
        """Every font size in the picture."""
        return [float(size) for size in re.findall(r"fontsize=([\d.]+)", self.source)]


def sampled(points: list[Point]) -> Any:
    """Points along a spline; the first of an arrow is its tip."""
    spline = np.array(points[len(points) % 3 == 2 :])
    a, b, c, d = (spline[k : len(spline) - 3 + k : 3, None] for k in range(4))
    t = np.linspace(0, 1, 9)[:, None]
    curves = a * (1 - t) ** 3 + 3 * b * t * (1 - t) ** 2 + 3 * c * t * t * (1 - t) + d * t**3
    return curves.reshape(-1, 2)


@pytest.fixture
def network() -> Callable[[str, int], mg.Graph]:
    """Builds a graph by the name of its network and its number of steps."""
    return lambda name, steps=3: mg.Graph(NETWORKS[name](steps))


@pytest.fixture
def twice(network: Callable[[str, int], mg.Graph]) -> Callable[[str, int], mg.Graph]:
    """A loss and, traced, the gradients of all its parameters."""

    def graph(name: str, steps: int = 2) -> mg.Graph:
        first = network(name, steps)
        (loss,) = first.outputs
        return mg.Graph(loss, *mg.grad(loss, list(first.parameters.values()), create_graph=True))

    return graph


@pytest.fixture
def drawing() -> type[Drawing]:
    return Drawing
