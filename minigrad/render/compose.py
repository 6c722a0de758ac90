"""One picture from the options: which steps, rolled or not, how it fits.  Imports all stages of the drawing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from minigrad.render import style
from minigrad.render.dress import Dresser, label
from minigrad.render.gradients import measure
from minigrad.render.plain import unpinned
from minigrad.render.scene import Frame, Scene
from minigrad.render.views import Viewer

if TYPE_CHECKING:
    from minigrad.graph import Graph

VIEWS, TIMES = ("ops", "affine", "cells"), ("unrolled", "rolled", "both")
FITS = {"slide": (1920.0, 1080.0), "column": (800.0, 1200.0)}  # pixels
MANY, MANY_CELLS = 400, 40  # operations, or steps of cells, that one picture holds before it leaves steps out


def defaults(**options: Any) -> dict[str, Any]:
    """All options of a picture, checked; those not given have their defaults."""
    known = {"view": "ops", "time": "unrolled", "steps": "auto", "backward": False, "fit": None, "per_row": None}
    known |= {"scale": None, "highlight": (), "count_from": 0}
    for name in options:
        if name not in known:
            raise TypeError(f"there is no option {name!r} of a picture; the options: {', '.join(known)}")
    asked = known | options
    for name, choices in (("view", VIEWS), ("time", TIMES), ("fit", (None, *FITS))):
        if asked[name] not in choices:
            raise ValueError(f"{name}: one of {', '.join(map(repr, choices))} is needed, found {asked[name]!r}")
    per_row = asked["per_row"]
    if per_row is not None and (not isinstance(per_row, int) or per_row < 1):
        raise ValueError(f"per_row: a positive number of steps is needed, found {per_row!r}")
    return asked


def page(fit: str | None, scene: Scene | None = None) -> dict[str, str]:
    """The attributes of the graph that say how large it is shown: PNG is sharp, and within its 32 767 pixels."""
    if fit is not None:
        return {"size": f"{FITS[fit][0] / 96:g},{FITS[fit][1] / 96:g}!"}
    left, bottom, right, top = scene.box() if scene else (0, 0, 1, 1)
    longest = max(right - left, top - bottom) + 100
    return {"dpi": f"{min(144 if longest < 4000 else 96, 32_000 * 72 / longest):.0f}"}


def compose(graph: Graph, options: dict[str, Any]) -> tuple[Scene, dict[str, str]]:
    """The scene, and the attributes of the graph that say how large it is shown."""
    fit = options.pop("fit")
    if fit is None:
        scene = scene_of(graph, **options)
        return scene, page(fit, scene)
    width, height = FITS[fit]
    for attempt in attempts(options):
        scene = scene_of(graph, **attempt)
        left, _, right, _ = scene.box()
        columns = len({frame.left for frame in scene.frames if frame.members})
        per_row = int(columns * width / style.SMALLEST_PIXELS * style.SMALLEST / (right - left))
        for n in (per_row, per_row - 1) if not options["per_row"] else ():
            if n > 0 and not fits(scene, width, height):
                scene = scene_of(graph, **{**attempt, "per_row": n})
        if fits(scene, width, height):
            break
    scene.title = changes(options, attempt)
    return scene, page(fit)


def attempts(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The options as asked, then ever smaller pictures: fewer steps, folded operations, whole cells."""
    for view in VIEWS[VIEWS.index(options["view"]) :]:
        for steps in dict.fromkeys((options["steps"], "0:2,-2:", "0:1,-1:")):
            yield {**options, "view": view, "steps": steps}


def fits(scene: Scene, width: float, height: float) -> bool:
    """Whether the smallest text is large enough when the scene fills so many pixels."""
    left, bottom, right, top = scene.box()
    scale = min(width / (right - left + 20), height / (top - bottom + 60))
    return scale * style.SMALLEST >= style.SMALLEST_PIXELS


def changes(asked: dict[str, Any], drawn: dict[str, Any]) -> str:
    """What is not as it was asked for, in words."""
    words = [f'{key}="{drawn[key]}"' for key in ("view", "steps") if drawn[key] != asked[key]]
    return f"drawn with {' and '.join(words)}: more does not fit" if words else ""


def scene_of(graph: Graph, *, time: str = "unrolled", **options: Any) -> Scene:
    """The scene of a graph, rolled, unrolled, or both side by side."""
    if time != "both":
        return dresser(graph, rolled=time == "rolled", **options).scene_of()
    drawn = dresser(graph, **options)
    unrolled = drawn.scene_of()
    rolled = dresser(graph, rolled=True, **{**options, "scale": drawn.scale}).scene_of()
    right, left = rolled.box()[2], unrolled.box()[0]
    x, y = right + 34, sum(rolled.box()[1::2]) / 2
    rolled.frames.append(Frame("equals", x - 12, y - 12, x + 12, y + 12, "=", (x, y), visible=False, font=26))
    rolled.add(unrolled, right + 68 - left, y - sum(unrolled.box()[1::2]) / 2, "u_")
    return rolled


def dresser(
    graph: Graph,
    *,
    view: str,
    steps: str,
    backward: bool,
    scale: Any = None,
    rolled: bool = False,
    limit: Any = None,
    **look: Any,
) -> Dresser:
    """What draws a graph, rolled or unrolled; of the backward pass all, or only the first steps of it."""
    shown = one_step(graph) if rolled else shown_steps(graph, view, steps)
    picture = Viewer(graph, view, shown, look.get("count_from", 0), rolled).picture()
    flow = measure(picture, limit) if backward else None
    return Dresser(picture, flow, scale, {"rolled": rolled, "quiet": limit is not None, **look})


def one_step(graph: Graph) -> Callable[[Any, int], bool]:
    """The step that stands for all of its axis: the second, whose states come from a step before."""
    ranked: dict[Any, list[tuple[int, int]]] = {}
    for (axis, t), position in graph._positions.items():
        ranked.setdefault(axis, []).append((position, t))
    chosen = {axis: sorted(found)[:2][-1][1] for axis, found in ranked.items()}
    chosen[None] = next(iter(chosen.values()), 0)
    return lambda axis, t: chosen[axis] == t


def shown_steps(graph: Graph, view: str, steps: str) -> Callable[[Any, int], bool]:
    """Which steps of which axis are drawn."""
    of_axis: dict[Any, list[int]] = {}
    for axis, t in graph._positions:
        of_axis.setdefault(axis, []).append(t)
    if steps == "auto":
        longest = max(map(len, of_axis.values()), default=0)
        much = longest > MANY_CELLS if view == "cells" else sum(n.op is not None for n in graph.nodes) > MANY
        steps = "all" if not much else "0:3,-3:" if view == "cells" else "0:2,-2:"
    kept = {axis: set(_chosen(sorted(ts), steps)) for axis, ts in of_axis.items()}
    kept[None] = set().union(*kept.values())
    return lambda axis, t: t in kept[axis]


def _chosen(ts: list[int], steps: str) -> list[int]:
    if steps == "all":
        return ts
    chosen: list[int] = []
    for part in steps.split(","):
        try:
            bounds = [int(bound) if bound.strip() else None for bound in part.split(":")]
            chosen += ts[slice(*bounds)] if len(bounds) > 1 else [ts[bounds[0] or 0]]
        except (ValueError, IndexError, TypeError):
            raise ValueError(f'steps: "auto", "all" or slices such as "0:2,-2:" are needed, found {steps!r}') from None
    return chosen


def unpinned_text(graph: Graph, **options: Any) -> str:
    """The text of the picture without positions, which only Graphviz can find."""
    asked = defaults(**options)
    shown = shown_steps(graph, asked["view"], asked["steps"])
    picture = Viewer(graph, asked["view"], shown, asked["count_from"]).picture()
    label(picture, None)
    return unpinned(picture)
