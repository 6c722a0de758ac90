"""What a page says of each state over time: how fast its gradient changes, why, and where it fades.

Between two steps the gradient of a state takes many ways.  The strongest one, the widest path in
the picture of the operations, tells what each operation on it does: its local factor is the norm
that it hands on along the path over the norm that it has received; what joins from elsewhere is
the factor of the other paths.  The product of all is the ratio of the two states' norms, which is
that of a verdict only where no loss joins on the way.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from minigrad import flow, states
from minigrad.graph import Graph
from minigrad.language import say
from minigrad.render import look
from minigrad.render.infos import Infos, is_made
from minigrad.render.measure import Norms
from minigrad.render.picture import Box, Link, Picture

FADED = 1e-3  # of the peak: from where on a page says that hardly anything is left
UNCHANGED = 0.005  # the logarithm of a factor that is not told
Pair = tuple[tuple[Box, float], tuple[Box, float]]  # two steps of a state, each with its norm
Factors = list[tuple[str, float]]  # what an operation is called, and the logarithm of its factor


@dataclass
class Series:
    """One state of one row: the boxes that make it with their norms, in the order of the pass.

    memory: it is one that is only added to and scaled, as the c of an LSTM.
    """

    row: str
    lane: str
    memory: bool
    boxes: list[Box] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)


def series(
    found: Sequence[Series], picture: Picture, norms: Norms, infos: Infos
) -> list[dict[str, Any]]:
    """What is told of each state, first the memories c, then the states h; without states one
    series for the whole pass."""
    several = len({one.row for one in found}) > 1
    verdicts = _verdicts(picture.graph)
    into = defaultdict[Box, list[Link]](list)
    for link in picture.links:
        into[link.target].append(link)
    told = []
    for one in sorted(found, key=lambda one: not one.memory):
        alike = [path for path in verdicts if path.state == one.lane]
        exact = [path for path in alike if path.axis == one.row]
        path = next(iter(alike if len(alike) == 1 else exact), None)
        nested = sum(c != math.inf for c in one.boxes[0].tile.column[1:]) > 1  # ratios are of runs
        pairs = [] if nested or path is None else _pairs(one, path)
        factors, whole = mean_factors(pairs, norms, into, infos)
        name = f"‖∂L/∂{one.lane}ₜ‖"
        told.append(
            {
                "row": one.row, "lane": one.lane,
                "name": name + (f"  {one.row}" if several else ""),
                **_verdict(path, factors, whole, name), **_fading(one, infos),
            }
        )  # fmt: skip
    return told or [
        {"row": "", "lane": "", "name": say("all nodes, in the order of the pass"), "peak": None}
    ]


def _verdict(path: Any, factors: Factors, whole: float, name: str) -> dict[str, str]:
    """How the gradient changes from step to step, and why.

    The verdict is of what crosses the steps.  Where losses join on the way, or several states share
    a verdict, the norm that the factors multiply to changes otherwise: both are told.
    """
    if path is None:
        return {}
    verdict, mean, product = say(path.verdict), path.mean_ratio, 10**whole
    known = math.isfinite(mean)
    alike = known and look.figure(mean) == look.figure(product)
    if not factors or alike:
        ratio = " " + say("×{ratio} a step", ratio=look.figure(mean)) if known else ""
        return {"verdict": verdict + ratio, "why": _product(factors, look.figure)}
    if known:
        verdict += " " + say("×{ratio} a step along the recurrence", ratio=_exact(mean)) + ";"
    changes = say("×{ratio} a step", ratio=_exact(product))
    return {"verdict": verdict, "why": f"{name} {changes} {_product(factors, _exact)}"}


def _product(factors: Factors, figure: Callable[[float], str]) -> str:
    told = [f"{text} ×{figure(10**log)}" for text, log in factors]
    return "= " + " · ".join(told) if told else ""


def _exact(ratio: float) -> str:
    """A ratio in three digits, so that one can multiply."""
    return f"{ratio:.3g}" if 1e-3 <= ratio < 1e3 else look.figure(ratio)


def _fading(one: Series, infos: Infos) -> dict[str, Any]:
    """The peak of the norms, and from where on less than a thousandth of it is left."""
    peak = max((n for n in one.norms if 0 < n < math.inf), default=None)
    if peak is None:
        return {"peak": None}
    kept = max(k for k, n in enumerate(one.norms) if not n < FADED * peak)
    found = {"peak": math.log10(peak), "faded": say("never below a thousandth of its peak")}
    if kept + 1 < len(one.boxes):
        box = one.boxes[kept + 1]
        t = infos.when(box.tile.column)
        faded = say("below a thousandth of its peak from t = {t} back", t=t)
        found |= {"low": infos.order_of(box), "faded": faded}
    return found


def limits(found: Sequence[Series], norms: Norms) -> tuple[int, int]:
    """The decades that hold all norms of the states; of everything where there are no states."""
    sizes = [n for one in found for n in one.norms] or norms.of.values()
    known = [n for n in sizes if 0 < n < math.inf] or [0.1]
    highest = math.ceil(math.log10(max(known)) + 1e-9)
    return min(math.floor(math.log10(min(known))), highest - 1), highest


def states_over_time(picture: Picture, norms: Norms, infos: Infos) -> list[Series]:
    """Every state that is made at two steps or more."""
    found: dict[tuple[str, str], Series] = {}
    timed = [box for box in picture.boxes if is_made(box) and box.tile.row.timed]
    for box in sorted(timed, key=infos.order_of, reverse=True) if picture.graph.axes else ():
        for name, part in box.states:
            key = box.tile.row.name, infos.lane(name)
            one = found.setdefault(key, Series(*key, name in picture.memories))
            one.boxes.append(box)
            one.norms.append(norms.parts.get(part, 0.0))
    return [one for one in found.values() if len(one.boxes) > 1]


def _verdicts(graph: Graph) -> Sequence[Any]:
    """The flow of each state that crosses steps of the outermost time; there is none where gradients
    stand beside the loss."""
    if any(y.size != 1 for y in graph.outputs):
        return ()
    outermost = graph.chosen_axes(None)
    if not any(state.axis in outermost for state in states.find(graph)):
        return ()
    return flow.gradient_flow(graph, jacobians=False).paths


# why


def _pairs(one: Series, path: Any) -> list[Pair]:
    """The steps that count, as in the mean ratio of the verdict: those that hand on what they got
    from the steps after them, where there are any."""
    made = list(pairwise(zip(one.boxes, one.norms, strict=True)))
    loses = {t for t, has_loss in zip(path.t, path.has_loss, strict=True) if has_loss}
    return [pair for pair in made if pair[0][0].tile.t not in loses] or made


def mean_factors(
    pairs: Sequence[Pair], norms: Norms, into: Mapping[Box, Sequence[Link]], infos: Infos
) -> tuple[Factors, float]:
    """What each operation does to the gradient from one step to the one before, on average, and the
    logarithm of what all of them do.

    Of those that leave it as it is only products with matrices are told.
    """
    sums: dict[str, float] = defaultdict(float)
    whole = 0.0
    products: set[str] = set()
    count = 0
    for (later, received), (earlier, left) in pairs:
        path = strongest_path(later, earlier, norms, into, infos.order_of)
        if not path or not min(received, left) > 0:
            continue
        count += 1
        rest = math.log10(left) - math.log10(received)
        whole += rest
        for box, handed_on in path:
            factor = math.log10(handed_on / norms.of[box])
            text = infos.operation(box)
            sums[text] += factor
            if box.kind == "matmul":
                products.add(text)
            rest -= factor
        sums[say("other paths")] += rest
    means = [(text, total / count) for text, total in sums.items()]
    told = [one for one in means if abs(one[1]) > UNCHANGED or one[0] in products]
    return told, whole / max(1, count)


def strongest_path(
    later: Box,
    earlier: Box,
    norms: Norms,
    into: Mapping[Box, Sequence[Link]],
    order: Callable[[Box], float],
) -> list[tuple[Box, float]]:
    """The way on which most of the gradient goes back from one box to an earlier one.

    It is the widest one: its least norm is the largest.  Given as its boxes, each with the norm
    that it hands on; empty if there is no way, or one whose norms are zero or not finite.
    """
    widest = {later: math.inf}
    came: dict[Box, tuple[Box, float]] = {}
    ahead = [(-order(later), 0, later)]
    first = order(earlier)
    while ahead:
        _, _, box = heapq.heappop(ahead)
        if box is earlier:
            break
        for link in into.get(box, ()):
            source, size = link.source, norms.of.get(link, 0.0)
            if not 0 < size < math.inf or not source.parts or order(source) < first:
                continue
            if source not in widest:
                heapq.heappush(ahead, (-order(source), len(widest), source))
            width = min(widest[box], size)
            if width > widest.get(source, 0.0):
                widest[source] = width
                came[source] = box, size
    path: list[tuple[Box, float]] = []
    box = earlier
    while box in came:
        path.append(came[box])
        box = came[box][0]
    finite = all(0 < norms.of.get(one, 0.0) < math.inf for one in (later, earlier, *widest))
    return path[::-1] if finite and box is later else []
