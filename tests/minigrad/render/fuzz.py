"""Random programs with random options of their pictures, checked in what Graphviz laid out.

    python -m tests.minigrad.render.fuzz 3000 [first seed]

No crash; no two boxes on each other; no line through a box; no text outside of its box, by the
widths that Graphviz measured, and no box on a text beside a line or over a panel; every node of the
graph drawn or counted.
"""

from __future__ import annotations

import json
import random
import sys
import traceback
from collections import Counter
from typing import Any

import numpy as np

from minigrad import render
from minigrad.render import graphviz_run
from minigrad.render.draw import plan
from minigrad.render.options import checked
from tests.minigrad.render.accounting import counted, nodes_in
from tests.minigrad.render.conftest import Drawing, Node
from tests.minigrad.render.programs import random_graph, random_options

SLACK = 1.5  # points that fonts may differ by
Corners = tuple[float, float, float, float]


class LaidOut(Drawing):
    """The places of everything as Graphviz has them.

    inside: of each box with a text, the text's width and height.  outside: the corners of all other
    texts.
    """

    def __init__(self, source: str) -> None:
        data = json.loads(graphviz_run.run(source, "json"))
        self.nodes, self.edges, self.source = {}, [], source
        self.inside: dict[str, tuple[float, float]] = {}
        self.outside: list[tuple[str, Corners]] = []
        names = {item["_gvid"]: item["name"] for item in data["objects"]}
        for item in data["objects"]:
            texts = [one for one in item.get("_ldraw_", ()) if one["op"] in "TF"]
            if "pos" not in item:
                self.outside += written(item["name"], texts)
                continue
            x, y = map(float, item["pos"].split(","))
            size = float(item["width"]) * 72, float(item["height"]) * 72
            corners = [corners for _, corners in written("", texts)]
            if corners:
                lefts, bottoms, rights, tops = zip(*corners, strict=True)
                written_size = max(rights) - min(lefts), max(tops) - min(bottoms)
                if item["shape"] == "plain":  # a text without a box, which is as large as it is
                    size = written_size
                self.inside[item["name"]] = written_size
            self.nodes[item["name"]] = Node(x, y, *size, item.get("label", ""), 12.0, item["shape"])
        for edge in data.get("edges", ()):
            ends = names[edge["tail"]], names[edge["head"]]
            self.edges.append((*ends, self.points(edge["pos"]), edge))
            self.outside += written(f"{ends}", edge.get("_ldraw_", ()))

    def spilled(self) -> list[str]:
        """Boxes that are smaller than their texts."""
        found = []
        for name, (width, height) in self.inside.items():
            node = self.nodes[name]
            if width > node.width + SLACK or height > node.height + 2 * SLACK:
                found.append(f"{name}: {node.label}")
        return found

    def covered(self) -> list[tuple[str, str]]:
        """Texts beside lines or over panels, and the boxes that stand on them."""
        if not self.outside or not self.nodes:
            return []
        names = list(self.nodes)
        boxes = np.array([self.nodes[name][:4] for name in names])
        found = []
        for owner, (left, bottom, right, top) in self.outside:
            dx = (right - left + boxes[:, 2]) / 2 - abs(boxes[:, 0] - (left + right) / 2)
            dy = (top - bottom + boxes[:, 3]) / 2 - abs(boxes[:, 1] - (bottom + top) / 2)
            under = np.flatnonzero(np.minimum(dx, dy) > 2 * SLACK)
            found += [(owner, names[k]) for k in under]
        return found


def written(owner: str, drawing: Any) -> list[tuple[str, Corners]]:
    """The texts among drawing operations, with their owner and corners."""
    found, font = [], 12.0
    for one in drawing:
        if one["op"] == "F":
            font = one["size"]
        elif one["op"] == "T" and one["text"].strip():
            x, y = one["pt"]
            left = x - {"l": 0.0, "c": 0.5, "r": 1.0}[one["align"]] * one["width"]
            found.append((owner, (left, y - 0.15 * font, left + one["width"], y + 0.7 * font)))
    return found


def faults(seed: int) -> list[Any]:
    """What is wrong with the picture of one random program."""
    r = random.Random(seed)
    graph, options = random_graph(r), random_options(r)
    if not any(node.op is not None for node in graph.nodes):
        return []
    laid = LaidOut(render.to_dot(graph, **options).source)
    found = [("on each other", pair) for pair in laid.overlaps()]
    found += [("text too large", one) for one in laid.spilled()]
    found += [("line through a box", one) for one in laid.crossed()]
    found += [("box on a text", one) for one in laid.covered()]
    if "fit" not in options and options["time"] != "both":
        asked = checked(**options)
        picture = plan(graph, asked).picture
        known = nodes_in(picture).union(*counted(graph, picture, asked).values())
        missing = set(graph.nodes) - known
        found += [("missing", node) for node in missing]
    return [(kind, fault, options) for kind, fault in found]


def main(words: list[str]) -> int:
    """Try as many programs as asked for; 1 if something is wrong with any of them."""
    count, first = int(words[0]) if words else 300, int(words[1]) if len(words) > 1 else 0
    kinds, wrong = Counter[str](), 0
    for seed in range(first, first + count):
        try:
            found = faults(seed)
        except Exception:
            found = [("crash", traceback.format_exc(limit=-3), {})]
        kinds.update({kind for kind, *_ in found})
        wrong += bool(found)
        if found:
            kind, fault, options = found[0]
            print(f"seed {seed}: {kind}: {fault}  {options}", flush=True)
    told = ", ".join(f"{kind} {n}" for kind, n in kinds.items()) or "nothing"
    print(f"{count} programs from seed {first}: {wrong} with faults ({told})")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
