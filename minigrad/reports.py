"""What was measured, to print, plot and store: flows of gradients, credit, clipping, bias.  Imports NumPy only.

Matplotlib, an extra, is imported where something is plotted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
LOST = 1e-3  # what is left of a gradient that counts as forgotten
HEALTHY = 0.9, 1.1  # factors per step between which a gradient neither vanishes nor explodes


def pyplot() -> Any:
    """Matplotlib's, which is an extra."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("plot() needs matplotlib: pip install 'minigrad-bptt[plot]'") from error
    return pyplot


# gradient flow


@dataclass(frozen=True)
class Path:
    """One state on its way back along one axis; arrays with one entry per step, in the order of the steps' visits.

    total: ‖∂loss/∂s_t‖.  crossing: the norm of that part of it which came back over the boundary of the next step.
    ratio: crossing_t / total_{t+1}, what one step does to the gradient.  jacobian: the root mean square gain of
    ∂s_t/∂s_{t−1} over all directions (estimated from a random one; "exact": its largest gain), NaN where not asked.
    slopes: the mean φ′ of each activation of the axis.
    """

    axis: str
    state: str
    t: list[int]
    total: Numbers
    crossing: Numbers
    jacobian: Numbers
    slopes: dict[str, Numbers]

    @property
    def ratio(self) -> Numbers:
        """What each step does to the gradient; NaN at the last step, and where nothing arrives."""
        later = np.append(self.total[1:], math.nan)
        with np.errstate(invalid="ignore"):  # where both are infinite
            return np.divide(self.crossing, later, out=np.full(len(later), math.nan), where=later > 0)

    @property
    def mean_ratio(self) -> float:
        """The geometric mean of the ratios; NaN without any."""
        ratios = self.ratio[(self.ratio > 0) & np.isfinite(self.ratio)]
        return float(np.exp(np.mean(np.log(ratios)))) if len(ratios) else math.nan

    @property
    def memory(self) -> float:
        """The steps after which less than 1e-3 of the gradient is left; beyond the graph, at the mean ratio."""
        with np.errstate(all="ignore"):
            left = np.cumsum(np.log([r for r in self.ratio[::-1] if not math.isnan(r)]))
        gone = np.flatnonzero(left < math.log(LOST))
        if len(gone):
            return float(gone[0] + 1)
        return math.ceil(round(math.log(LOST) / math.log(self.mean_ratio), 9)) if self.mean_ratio < 1 else math.inf

    @property
    def verdict(self) -> str:
        """One of: vanishing, exploding, healthy, cut, not finite, unknown."""
        ratios = self.ratio[~np.isnan(self.ratio)]
        if not np.isfinite(self.total).all():
            return "not finite"
        if not len(ratios) or not (ratios > 0).any():
            return "cut" if len(ratios) else "unknown"
        change = math.log(self.mean_ratio) * np.count_nonzero(ratios)
        if self.mean_ratio < HEALTHY[0] or change < math.log(LOST):
            return "vanishing"
        return "exploding" if self.mean_ratio > HEALTHY[1] or change > -math.log(LOST) else "healthy"

    @property
    def evidence(self) -> str:
        """The verdict with the numbers that it rests on."""
        seen = np.flatnonzero(self.total)
        if not len(seen):
            return f"{self.state}: {self.verdict}, no gradient arrives"
        first, last = seen[-1], seen[0]
        slopes = ", ".join(f"{name} {np.nanmean(slope):.2g}" for name, slope in self.slopes.items())
        ends = [str(self.t[k + 1]) for k in np.flatnonzero(self.ratio == 0)]
        memory = "more steps than can be told" if self.memory == math.inf else f"{self.memory:.0f} steps"
        return (
            f"{self.state}: {self.verdict}, ×{self.mean_ratio:.3g} a step; |d{self.state}| {self.total[first]:.3g} at "
            f"t={self.t[first]}, {self.total[last]:.3g} at t={self.t[last]}; memory {memory}"
            + (f"; mean φ′ {slopes}" if slopes else "")
            + (f"; nothing gets past t={', '.join(ends)}" if ends else "")
        )

    def columns(self) -> dict[str, Numbers]:
        """The columns of the table by title."""
        table = {"total": self.total, "crossing": self.crossing, "ratio": self.ratio, "jacobian": self.jacobian}
        return {title: values for title, values in (table | self.slopes).items() if not np.isnan(values).all()}

    def __str__(self) -> str:
        columns, count = self.columns(), len(self.t)
        rows = range(count) if count <= 12 else [*range(3), *np.linspace(3, count - 4, 6).astype(int), *range(-3, 0)]
        wide = {title: max(10, len(title) + 2) for title in columns}
        lines = [f"axis {self.axis}", "     t" + "".join(f"{title:>{wide[title]}}" for title in columns)]
        for k in reversed(rows):
            cells = {title: "·" if math.isnan(values[k]) else f"{values[k]:.3g}" for title, values in columns.items()}
            lines.append(f"{self.t[k]:>6}" + "".join(f"{cell:>{wide[title]}}" for title, cell in cells.items()))
        return "\n".join([*lines, self.evidence])


class GradientFlow:
    """The paths of all states of a graph: print it, index it by the name of a state, `plot`, `to_json`."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self.paths = paths

    def __getitem__(self, state: str) -> Path:
        """The path of a state, "h"; where several axes have it, "axis.h"."""
        found = [path for path in self.paths if state in (path.state, f"{path.axis}.{path.state}")]
        if len(found) != 1:
            choices = ", ".join(f"{path.axis}.{path.state}" for path in self.paths)
            raise KeyError(f"{state!r} names {len(found)} paths; there are: {choices}")
        return found[0]

    @property
    def verdict(self) -> str:
        """The verdict on the whole: a gradient lives that has one healthy path, unless another one explodes."""
        found = {path.verdict for path in self.paths}
        return next(
            word for word in ("not finite", "exploding", "healthy", "vanishing", "cut", "unknown") if word in found
        )

    def __str__(self) -> str:
        return "\n\n".join(str(path) for path in self.paths)

    def __repr__(self) -> str:
        return "\n".join(f"axis {path.axis}, {path.evidence}" for path in self.paths)

    def to_json(self) -> str:
        """All numbers and verdicts as JSON; null where there is no number."""

        def plain(value: Any) -> Any:
            if isinstance(value, list):
                return [plain(item) for item in value]
            return value if not isinstance(value, float) or math.isfinite(value) else None

        names = ("axis", "state", "t", "mean_ratio", "memory", "verdict", "evidence")
        paths = [
            {name: plain(getattr(path, name)) for name in names}
            | {title: plain(values.tolist()) for title, values in path.columns().items()}
            for path in self.paths
        ]
        return json.dumps({"verdict": self.verdict, "paths": paths}, ensure_ascii=False, indent=1)

    def plot(self, ax: Any = None) -> Any:
        """Draw ‖∂loss/∂s_t‖ over t for each state (needs matplotlib: the extra `plot`); returns the axes."""
        ax = ax or pyplot().subplots()[1]
        for path in self.paths:
            ax.plot(path.t, path.total, ".-", label=f"{path.axis}.{path.state} ×{path.mean_ratio:.3g}: {path.verdict}")
        ax.set(yscale="log", xlabel="t", ylabel="‖∂loss/∂state‖")
        ax.legend()
        return ax


# credit and bias


class Credit(NamedTuple):
    """norms[k, j] = ‖∂loss_{t[k]}/∂s_{t[j]}‖: what the loss of each step says to the state of each earlier step."""

    state: str
    t: list[int]
    norms: NDArray[np.float64]

    def plot(self, ax: Any = None) -> Any:
        """Draw it as a heat map (needs matplotlib: the extra `plot`); returns the axes."""
        ax = ax or pyplot().subplots()[1]
        with np.errstate(divide="ignore"):
            image = ax.imshow(np.log10(self.norms), extent=(self.t[0], self.t[-1] + 1, self.t[-1] + 1, self.t[0]))
        ax.figure.colorbar(image, label=f"log₁₀ ‖∂loss/∂{self.state}‖")
        ax.set(xlabel=f"t of {self.state}", ylabel="t of the loss")
        return ax


class TruncationBias(NamedTuple):
    """What truncation to k steps does to the gradient: ‖truncated‖ / ‖full‖, and the angle between them in degrees."""

    k: int
    norm_ratio: float
    angle: float
    parameters: dict[str, tuple[float, float]]

    def __str__(self) -> str:
        rows = {"all": (self.norm_ratio, self.angle)} | self.parameters
        lines = [f"{name:<20}{ratio:>12.4g}{angle:>9.1f}°" for name, (ratio, angle) in rows.items()]
        return "\n".join([f"{f'truncated to {self.k}':<20}{'norm ratio':>12}{'angle':>10}", *lines])


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
        lines = [f"{'':<20}{'clipped':>14}{'median norm':>13}{'largest':>10}{'smallest factor':>17}"]
        for what in dict.fromkeys(entry.what for entry in self):
            entries = self.of(what)
            before = [entry.before for entry in entries]
            factors = [entry.after / entry.before for entry in entries if entry.after < entry.before * (1 - 1e-5)]
            often = f"{len(factors)} of {len(entries)}"
            lines.append(
                f"{what:<20}{often:>14}{np.median(before):>13.4g}{max(before):>10.4g}{min(factors, default=1.0):>17.4g}"
            )
        return "\n".join(lines) if self else "nothing met a limit: no clipping ran while the report was open"

    def plot(self, ax: Any = None) -> Any:
        """Draw the norms before and after in order of application (needs matplotlib); returns the axes."""
        ax = ax or pyplot().subplots()[1]
        for what in dict.fromkeys(entry.what for entry in self):
            (line,) = ax.plot([entry.before for entry in self.of(what)], ":", label=f"{what}, before")
            ax.plot([entry.after for entry in self.of(what)], color=line.get_color(), label=f"{what}, after")
        ax.set(yscale="log", xlabel="application", ylabel="norm of the gradient")
        ax.legend()
        return ax


_report: ContextVar[ClipReport | None] = ContextVar("minigrad.clip_report", default=None)


@contextmanager
def clip_report() -> Iterator[ClipReport]:
    """Note every limit that is applied inside: to crossings (`Graph.clip_edges`) and to parameters.

    >>> import minigrad as mg
    >>> w = mg.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> with mg.clip_report() as report:
    ...     norms = [mg.clip_grad_norm_([w], 2.5) for epoch in range(2)]
    >>> print(report)
                               clipped  median norm   largest  smallest factor
    parameters                  1 of 2         3.75         5              0.5
    """
    report = ClipReport()
    token = _report.set(report)
    try:
        yield report
    finally:
        _report.reset(token)


def reporting() -> bool:
    """Whether a report is open."""
    return _report.get() is not None


def record(what: str, t: int | None, before: float, after: float) -> None:
    """Note one application of a limit in the report that is open, if one is."""
    report = _report.get()
    if report is not None:
        report.append(Clipped(what, t, before, after))
