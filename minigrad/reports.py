"""What was measured, to print, plot and store: flows of gradients, credit, clipping, bias.

Every report prints through `table` and plots through `curves`.  Matplotlib, an extra, is imported
where one plots.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigrad.columns import columns
from minigrad.language import say

Floats = NDArray[np.float64]
FORGOTTEN = 1e-3  # what is left of a gradient that counts as forgotten
HEALTHY = (0.9, 1.1)  # factors per step between which a gradient neither vanishes nor explodes
JSON_FIELDS = ("axis", "scope", "state", "t", "mean_ratio", "memory", "verdict", "evidence")
TABLE_ROWS = (
    12  # of a table by step; of more steps, the first three, the last three, and some between
)


def verdict(ratio: float, steps: int) -> str:
    """The word for a gradient that changes by this factor a step, over so many steps.

    Vanishing: below 0.9 a step, or less than a thousandth left in the end.  Exploding: above 1.1 a
    step, or more than a thousandfold in the end.  Else healthy.

    >>> verdict(0.5, 10), verdict(0.99, 10), verdict(0.99, 1000)
    ('vanishing', 'healthy', 'vanishing')
    """
    change = math.log(ratio or FORGOTTEN) * steps
    if ratio < HEALTHY[0] or change < math.log(FORGOTTEN):
        return "vanishing"
    if ratio > HEALTHY[1] or change > -math.log(FORGOTTEN):
        return "exploding"
    return "healthy"


def table(rows: Iterable[Sequence[Any]]) -> str:
    """Rows of words and numbers in columns, the first to the left; a dot where there is no
    number."""
    return columns([word(cell) for cell in row] for row in rows)


def word(cell: str | float) -> str:
    """A cell of a table: words as they are, a number in four digits, a dot for NaN."""
    if isinstance(cell, str):
        return cell
    return "·" if math.isnan(cell) else f"{cell:.4g}"


def axes(ax: Any) -> Any:
    """Where to plot: the axes that were given, or new ones of Matplotlib."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("plot() needs matplotlib: pip install 'minigrad-bptt[plot]'") from error
    return ax or pyplot.subplots()[1]


def curves(ax: Any, lines: Mapping[str, tuple[Any, Any]], xlabel: str, ylabel: str) -> Any:
    """Draw lines (x, y) by name over a logarithmic scale; returns the axes."""
    ax = axes(ax)
    for name, (x, y) in lines.items():
        ax.plot(x, y, ".:" if name.endswith("before") else ".-", label=name)
    ax.set(yscale="log", xlabel=xlabel, ylabel=ylabel)
    ax.legend(*ax.get_legend_handles_labels())
    return ax


# gradient flow


@dataclass(frozen=True)
class StateFlow:
    """One state on its way back along one axis; arrays have one entry per step, as visited.

    total: ‖∂loss/∂s_t‖.  crossing: the share of it that came back over the boundary of the next
    step.  ratio: what the next step did to the gradient of the whole cell, √(‖dh‖² + ‖dc‖²) at t
    over that at t + 1 (of what crossed alone, where a loss enters at t); NaN where nothing came,
    and beyond the dtype's range.  has_loss: whether a loss sends the state of that step a gradient
    of its own.  Rows of a batch that a `where` kept as they were (sequences that have ended) are no
    evidence, and left out of all three.  jacobian: the root mean square gain of ∂s_t/∂s_{t−1} over
    all directions (estimated from a random one; "exact": its largest gain), NaN where not asked.
    slopes: the mean φ′ of each activation in its scope.  cuts: edits that end it.  cancels: whether
    the gradients are rounding errors of contributions that cancel each other out.
    """

    axis: str
    scope: str
    state: str
    t: list[int]
    total: Floats
    crossing: Floats
    ratio: Floats
    has_loss: NDArray[np.bool_]
    jacobian: Floats
    slopes: dict[str, Floats]
    cuts: int
    cancels: bool = False

    @property
    def _known(self) -> Floats:
        return self.ratio[~np.isnan(self.ratio)]

    @property
    def mean_ratio(self) -> float:
        """The geometric mean of the ratios that are neither 0 nor infinite; 0 where all are 0; NaN
        without any.

        Where some steps hand on only what they got from the steps after them, these are the steps
        that count: a loss that enters at h alone finds its way to c first.
        """
        known = self._known
        handed_on = self.ratio[:-1][~self.has_loss[1:]]
        ratios = handed_on[(handed_on > 0) & np.isfinite(handed_on)]
        if not len(ratios):
            ratios = known[(known > 0) & np.isfinite(known)]
        if len(ratios):
            return float(np.exp(np.mean(np.log(ratios))))
        return 0.0 if len(known) else math.nan

    @property
    def memory(self) -> float:
        """The steps after which less than 1e-3 of the gradient is left; beyond the graph, at the
        mean ratio."""
        with np.errstate(all="ignore"):
            left = np.cumsum(np.log(self._known[::-1]))
        gone = np.flatnonzero(left < math.log(FORGOTTEN))
        if len(gone):
            return float(gone[0] + 1)
        if not self.mean_ratio < 1:
            return math.inf
        return math.ceil(round(math.log(FORGOTTEN) / math.log(self.mean_ratio), 9))

    @property
    def verdict(self) -> str:
        """One of: vanishing, exploding, healthy, cut, cancels, not finite, unknown."""
        if not np.isfinite(self.total).all():
            return "not finite"
        if self.cancels:
            return "cancels"
        known = self._known
        if len(known) == self.cuts:
            return "cut" if self.cuts else "unknown"
        if np.count_nonzero(known == 0) > self.cuts:
            return "vanishing"
        return verdict(self.mean_ratio, int(np.count_nonzero(known)))

    @property
    def is_fed(self) -> bool:
        """Whether steps before the last send gradient to the state beside what crosses: a loss at
        every step does."""
        with np.errstate(invalid="ignore"):
            beside = np.abs(self.total - self.crossing) > 0.01 * self.total
        return bool(beside[:-1].any())

    @property
    def evidence(self) -> str:
        """The verdict with the numbers that it rests on."""
        word, seen = say(self.verdict), np.flatnonzero(self.total)
        if not len(seen):
            return say("{state}: {verdict}, no gradient arrives", state=self.state, verdict=word)
        ends = (say("{size:.3g} at t={t}", size=self.total[k], t=self.t[k]) for k in seen[[-1, 0]])
        name = f"|d{self.state}|"
        if self.is_fed:
            name = say("{name} with what each step adds:", name=name)
        sizes = f"{name} {', '.join(ends)}"
        if self.verdict == "cancels":
            text = "{state}: {verdict}, what flows to it adds up to rounding errors; {sizes}"
            return say(text, state=self.state, verdict=word, sizes=sizes)
        text = "{state}: {verdict}, ×{ratio:.3g} a step"
        parts = [say(text, state=self.state, verdict=word, ratio=self.mean_ratio), sizes]
        if math.isinf(self.memory):
            parts.append(say("memory more steps than can be told"))
        else:
            parts.append(say("memory {n:.0f} steps", n=self.memory))
        if self.slopes:
            means = ", ".join(f"{name} {np.nanmean(phi):.2g}" for name, phi in self.slopes.items())
            parts.append(say("mean φ′ {means}", means=means))
        ends_at = ", ".join(str(self.t[k + 1]) for k in np.flatnonzero(self.ratio == 0))
        if ends_at:
            parts.append(say("nothing gets past t={steps}", steps=ends_at))
        if seen[0] > 0 and not ends_at:
            text = "below the smallest number of its dtype before t={t}"
            parts.append(say(text, t=self.t[seen[0]]))
        return "; ".join(parts)

    def columns(self) -> dict[str, Floats]:
        """The columns of the table by title."""
        titles = ("total", "crossing", "ratio", "jacobian")
        found = {title: getattr(self, title) for title in titles}
        found |= {f"φ′ {name}": slope for name, slope in self.slopes.items()}
        return {title: values for title, values in found.items() if not np.isnan(values).all()}

    def __str__(self) -> str:
        columns, steps = self.columns(), np.arange(len(self.t))[::-1]
        if len(steps) > TABLE_ROWS:
            some = np.linspace(3, len(steps) - 4, TABLE_ROWS - 6).astype(int)
            steps = steps[[0, 1, 2, *some, -3, -2, -1]]
        rows = [[str(self.t[k]), *(values[k] for values in columns.values())] for k in steps]
        titles = ["t", *map(say, columns)]
        return f"{say('axis {axis}', axis=self.axis)}\n{table([titles, *rows])}\n{self.evidence}"


@dataclass(frozen=True, repr=False)
class GradientFlow:
    """The paths of all states of a graph: print it, index it by the name of a state, `plot`,
    `to_json`."""

    paths: tuple[StateFlow, ...]

    def __getitem__(self, state: str) -> StateFlow:
        """The path of a state, "h"; where several axes have it, "axis.h"."""
        found = [path for path in self.paths if state in (path.state, f"{path.axis}.{path.state}")]
        if len(found) != 1:
            choices = ", ".join(f"{path.axis}.{path.state}" for path in self.paths)
            raise KeyError(f"{state!r} names {len(found)} paths; there are: {choices}")
        return found[0]

    @property
    def verdict(self) -> str:
        """The verdict on the whole: a gradient lives that has one healthy path, unless another one
        explodes."""
        found = {path.verdict for path in self.paths}
        order = ("not finite", "exploding", "healthy", "vanishing", "cut", "cancels", "unknown")
        return next(word for word in order if word in found)

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.paths))

    def __repr__(self) -> str:
        return "\n".join(
            f"{say('axis {axis}', axis=path.axis)}, {path.evidence}" for path in self.paths
        )

    def to_json(self) -> str:
        """All numbers and verdicts as JSON; null where there is no number."""
        paths = [
            {name: getattr(path, name) for name in JSON_FIELDS} | path.columns()
            for path in self.paths
        ]
        text = json.dumps(
            {"verdict": self.verdict, "paths": paths}, default=list
        )  # NaN in it is not JSON
        return json.dumps(
            json.loads(text, parse_constant=lambda name: None), ensure_ascii=False, indent=1
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw ‖∂loss/∂s_t‖ over t for each state (needs matplotlib: the extra `plot`); returns the
        axes."""
        lines = {
            f"{p.axis}.{p.state} ×{p.mean_ratio:.3g}: {say(p.verdict)}": (p.t, p.total)
            for p in self.paths
        }
        return curves(ax, lines, "t", "‖∂loss/∂state‖")


# credit and bias


class GradientMatrix(NamedTuple):
    """norms[k, j] = ‖∂loss_{t[k]}/∂s_{t[j]}‖: what the loss of each step says to the state of each
    earlier step."""

    state: str
    t: list[int]
    norms: Floats

    def plot(self, ax: Any = None) -> Any:
        """Draw it as a heat map (needs matplotlib: the extra `plot`); returns the axes."""
        ax = axes(ax)
        with np.errstate(divide="ignore"):
            image = ax.imshow(
                np.log10(self.norms), extent=(self.t[0], self.t[-1] + 1, self.t[-1] + 1, self.t[0])
            )
        ax.figure.colorbar(image, label=f"log₁₀ ‖∂loss/∂{self.state}‖")
        ax.set(xlabel=f"t of {self.state}", ylabel="t of the loss")
        return ax


class TruncationBias(NamedTuple):
    """What truncation to k steps does to the gradient: ‖truncated‖ / ‖full‖, and the angle between
    them in degrees."""

    k: int
    norm_ratio: float
    angle: float
    parameters: dict[str, tuple[float, float]]

    def __str__(self) -> str:
        found = {say("all"): (self.norm_ratio, self.angle)} | self.parameters
        rows = [(name, ratio, f"{angle:.1f}°") for name, (ratio, angle) in found.items()]
        titles = say("truncated to {k}", k=self.k), say("norm ratio"), say("angle")
        return table([titles, *rows])


# clipping


class Clipped(NamedTuple):
    """One application of a limit: to what, at which time step, and the norm before and after."""

    what: str
    t: int | None
    before: float
    after: float


class ClipReport(list[Clipped]):
    """What was clipped while the report was open, in order; prints as a table, `plot` draws it."""

    def of(self, what: str) -> list[Clipped]:
        """The entries of one line of the table."""
        return [entry for entry in self if entry.what == what]

    def __str__(self) -> str:
        if not self:
            return say("nothing met a limit: no clipping ran while the report was open")
        titles = ("", "clipped", "median norm", "largest", "smallest factor")
        rows: list[Sequence[Any]] = [tuple(map(say, titles))]
        for what in dict.fromkeys(entry.what for entry in self):
            before = [entry.before for entry in self.of(what)]
            factors = [e.after / e.before for e in self.of(what) if e.after < e.before * (1 - 1e-5)]
            often = say("{n} of {total}", n=len(factors), total=len(before))
            rows.append(
                (what, often, float(np.median(before)), max(before), min(factors, default=1.0))
            )
        return table(rows)

    def plot(self, ax: Any = None) -> Any:
        """Draw the norms before and after in order of application (needs matplotlib); returns the
        axes."""
        whats, ends = dict.fromkeys(entry.what for entry in self), ("before", "after")
        lines = {
            f"{what}, {end}": [getattr(entry, end) for entry in self.of(what)]
            for what in whats
            for end in ends
        }
        numbered = {name: (range(len(norms)), norms) for name, norms in lines.items()}
        return curves(ax, numbered, "application", "norm of the gradient")


open_report: ContextVar[ClipReport | None] = ContextVar("minigrad.clip_report", default=None)


@contextmanager
def clip_report() -> Iterator[ClipReport]:
    """Note every limit that is applied inside: to crossings (`Graph.clip_edges`) and to parameters.

    >>> import minigrad as mg
    >>> w = mg.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> with mg.clip_report() as report:
    ...     norms = [mg.clip_grad_norm_([w], 2.5) for epoch in range(2)]
    >>> print(report)
                clipped  median norm  largest  smallest factor
    parameters   1 of 2         3.75        5              0.5
    """
    report = ClipReport()
    token = open_report.set(report)
    try:
        yield report
    finally:
        open_report.reset(token)


def record(what: str, t: int | None, before: float, after: float) -> None:
    """Note one application of a limit in the report that is open, if one is."""
    if (report := open_report.get()) is not None:
        report.append(Clipped(what, t, before, after))
