"""Which step of which loop a recorded node belongs to.

A node that was made in a labelled step belongs to it; a node of a backward pass to the step of its
forward node.  What a program does outside of the labels, once for each step (`[f(y) for y in ys]`,
`total = total + loss`), is found by its site: as often as there are steps, each time on another one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from minigrad.program.labels import Place, extreme, label_of
from minigrad.program.record import RuleScope
from minigrad.source import Source
from minigrad.tensor import Tensor


class Clock:
    """The place of each node that has one, and the number of steps of each axis."""

    def __init__(self, nodes: Iterable[Tensor], answers: dict[Tensor, Tensor]) -> None:
        self.nodes, self.answers = list(nodes), answers
        labelled = {n: found for n in self.nodes if (found := label_of(n)) is not None}
        first = extreme(labelled.values(), min)
        self._labelled = {n: (axis, t - first[axis]) for n, (axis, t) in labelled.items()}
        self._rejected: set[Any] = set()
        self.places: dict[Tensor, Place] = {}
        while self._place_all():
            pass
        self.steps = {axis: 1 + t for axis, t in extreme(self.places.values(), max).items()}

    def _place_all(self) -> bool:
        """Place every node; False when all groups of unlabelled nodes are as regular as steps are."""
        self.places = {}
        groups: dict[Any, list[Place]] = defaultdict(list)
        for node in self.nodes:
            place, free = self._place(node)
            if place is None:
                continue
            if free:
                group = site(node), place[0]
                if group in self._rejected:
                    continue
                groups[group].append(place)
            self.places[node] = place
        steps = {axis: 1 + t for axis, t in extreme(self.places.values(), max).items()}
        bad = {g for g, places in groups.items() if not _regular(places, steps[g[1]])}
        self._rejected |= bad
        return bool(bad)

    def _place(self, node: Tensor) -> tuple[Place | None, bool]:
        """Where a node belongs, and whether that is a guess from its inputs."""
        if node in self._labelled and node.op is not None:
            return self._labelled[node], False
        if isinstance(node._scope, RuleScope):
            owner = node._scope.node
            return self.places.get(owner) or self._answered(node), False
        if node.op is None:
            return self._labelled.get(node), False
        if node.op.name == "unstack" and node.call is not None:
            return self.places.get(node.inputs[0]) or (id(node.inputs[0]), node.call.which), True
        if node.op.name == "getitem" and node.inputs[0] not in self.places:
            index = node.constants["index"]
            index = index[0] if isinstance(index, tuple) and len(index) == 1 else index
            if type(index) is int:
                return (id(node.inputs[0]), index % len(node.inputs[0]._array)), True
        found = [self.places[x] for x in node.inputs if x in self.places]
        if not found or len({t for _, t in found}) > 2:
            return None, True
        return max(found, key=lambda place: place[1]), True

    def _answered(self, node: Tensor) -> Place | None:
        """The step of the input whose gradient this is: of the parts of a stack's gradient."""
        x = self.answers.get(node)
        return self.places.get(x) if x is not None else None


def _regular(places: list[Place], steps: int) -> bool:
    """Whether a site was visited equally often in each step, but for one at an end."""
    visits = Counter(t for _, t in places)
    return steps > 2 and len(visits) >= steps - 1 and len(set(visits.values())) == 1


def site(node: Tensor) -> Any:
    """What is the same for nodes that one line of the program has made, in whatever step."""
    which = node.call.which if node.call and node.op.name != "unstack" else None
    return node.scope, node._code, position(node._code, node._instruction), node.op, which


@lru_cache(maxsize=4096)
def position(code: Any, instruction: int) -> Any:
    """Where an instruction stands in the text: the interpreter may replace one by two, in one place."""
    found = Source(code, instruction)._position
    return found if found[0] else instruction
