"""Why a node of a graph is in no box of its picture; told from its values, not from its boxes."""

from __future__ import annotations

import minigrad as mg
from minigrad.render.names import Names
from minigrad.render.options import Options, one_step, shown_steps
from minigrad.render.picture import Picture
from minigrad.render.read import read


def nodes_in(picture: Picture) -> set[mg.Tensor]:
    """Everything that stands for itself in the picture: in a box, as a parameter."""
    boxes = {node for box in picture.boxes for node in box.nodes}
    return boxes | {tag.parameter for box in picture.boxes for tag in box.tags}


def counted(graph: mg.Graph, picture: Picture, options: Options) -> dict[str, set[mg.Tensor]]:
    """The nodes that are rightly in no box, by the reason why."""
    reading = read(graph)
    drawn, _ = shown_steps(reading, options.view, options.steps)
    if picture.rolled:
        drawn, _ = one_step(reading, options.count_from)
    used = {value.node for value in reading.values if value.uses}
    taken = {source.node for value in drawn for source in value.sources if not source.op}
    reasons = {
        "folded": set(graph.nodes) - used,
        "numbers": Names(reading, {}).leaves.written,
        "sequences": set(picture.sequences),
        "masks": {x for x in graph.nodes if x.role and x.role.kind == "mask"},
        "hidden": used - {value.node for value in drawn} - taken,
    }
    return {why: nodes & set(graph.nodes) - nodes_in(picture) for why, nodes in reasons.items()}
