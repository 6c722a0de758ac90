"""A recording of training: for each pass its figures, what they were like, and its file."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigrad.journal import MAGIC, Row, journal_path, read_journal
from minigrad.reports import curves
from minigrad.sparkline import sparkline

FEW = 4  # passes that tell how large the steps are; twice as many, where the loss goes
WINDOW = 20  # passes that a pass is compared with
# unlike: so many times the median, so many times the usual spread, and beyond what comes at times
FACTOR, SPREADS, BEYOND = 3.0, 6.0, 2.0
GRADIENT_FACTOR = 10.0  # a gradient differs more from batch to batch than a loss
SHOWN = {  # what `history` draws, and how it is called there
    "loss": "loss",
    "max_norm": "max |∂loss/∂state|",
    "grad_norm": "|∂loss/∂θ|",
    "update": "|Δθ| / |θ|",
    "lr": "lr",
}
SMALL_STEP, LARGE_STEP = 1e-6, 0.5  # of |Δθ| / |θ|
SHRUNK = 0.05  # of |θ| at the start
NO_BETTER, NO_WORSE = 0.93, 1.1  # of the loss of a constant
SAME = 1e-12  # of that loss, where all targets are the same
STILL_FALLS = 0.8  # of the loss in the passes before


class Unlike(NamedTuple):
    """The first pass that differs from those before it, and by which figures."""

    number: int
    evidence: tuple[str, ...]
    where: str

    def __str__(self) -> str:
        return f"pass {self.number}: {'; '.join(self.evidence)}{self.where}"


class Run:
    """A recording: for each pass the figures, as columns by name.

    pass, loss.  guess: what the best constant would lose in every fourth pass, where it is known.
    max_norm, where: the largest ‖∂loss/∂state‖, and its state, step and scope.
    norm, grad_norm, update: ‖θ‖, ‖∂loss/∂θ‖ and ‖Δθ‖ / ‖θ‖ over all parameters; of each one
    they are "norm.W", "grad.W" and "update.W".
    line: where the pass was started.  generator: the state of `mg.generator()`.
    And what was noted, as lr by the optimisers.

    Index it by the name of a column; print it for a summary; `plot` draws it.
    """

    def __init__(
        self, table: Mapping[str, NDArray[Any]], program: str = "", damage: str = ""
    ) -> None:
        self._columns = dict(table)
        self.program, self.damage = program, damage

    @property
    def table(self) -> dict[str, NDArray[Any]]:
        """The columns by name, one entry for each pass; NaN or "" where there is none."""
        return self._columns

    def __len__(self) -> int:
        return len(self.table.get("pass", ()))

    def __getitem__(self, column: str) -> NDArray[Any]:
        """A column: one entry for each pass, NaN where there is none."""
        table = self.table
        if column not in table:
            raise KeyError(f"no column {column!r}; there are: {', '.join(table)}")
        return table[column]

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.table)

    @property
    def rows(self) -> Sequence[Row]:
        """For each pass what is known of it, by column."""
        table = self.table
        return [
            {name: x[k].item() for name, x in table.items() if x[k] == x[k] and x[k] != ""}
            for k in range(len(self))
        ]

    def first_unlike(self) -> Unlike | None:
        """The first pass with a figure unlike those of the passes before it, or None.

        Unlike is what is not finite, or further from the median of the last 20 passes than a factor
        (3, of gradients and updates 10), than 6 times their spread (the median deviation of the
        logarithms), and than twice what a tenth of them deviates.
        """
        table = self.table
        found: dict[int, list[str]] = {}
        for column, title in SHOWN.items():
            rows, x = known(table, column)
            k, text = _unlike(x, title)
            if text:
                found.setdefault(int(rows[k]), []).append(text)
        if not found:
            return None
        k = min(found)
        state, line = (str(table[name][k]) if name in table else "" for name in ("where", "line"))
        where = f", at {state}" if state else ""
        return Unlike(int(table["pass"][k]), tuple(found[k]), where + f"   ({line})")

    def findings(self) -> list[str]:
        """What is suspicious about the passes as a whole, each with its figures."""
        table, found = self.table, []
        if lost := self.without_gradient():
            found.append(f"no gradient in any pass: {', '.join(lost)}")
        for check in (_never_changed, _added_up, _twice, _made_anew, _grows, _course):
            found += check(table)
        return found

    def without_gradient(self) -> list[str]:
        """The parameters whose gradient was zero in every pass."""
        return _without(self.table, "grad.")

    def __str__(self) -> str:
        table = self.table
        if not len(self):
            return "nothing is recorded: no backward pass was run"
        first, last = (int(table["pass"][k]) for k in (0, -1))
        of = f" of {self.program}" if self.program else ""
        lines = [f"passes {first} to {last}{of}"]
        for column, title in SHOWN.items():
            _, x = known(table, column)
            if len(x) and not np.isnan(x).all():
                bars = sparkline(x.tolist())
                lines.append(f"{title:<19} {bars}  {x[0]:.3g} … {x[-1]:.3g}, {_extreme(x)}")
        unlike = self.first_unlike()
        no_pass = f"no pass is unlike the {WINDOW} before it"
        lines.append(f"first unlike the {WINDOW} before: {unlike}" if unlike else no_pass)
        compiled = np.count_nonzero(table.get("compiled", np.zeros(0)) == 1)
        if compiled:
            lines.append(
                f"{compiled} passes were compiled steps: the gradients of their states stay "
                "inside; to record them, call the function itself"
            )
        return "\n".join([*lines, *self.findings(), *filter(None, [self.damage])])

    def plot(self, ax: Any = None) -> Any:
        """Draw the figures over the passes (needs matplotlib); returns the axes."""
        table = self.table
        drawn = {title: (table["pass"], table[c]) for c, title in SHOWN.items() if c in table}
        ax = curves(ax, drawn, "pass", "")
        if unlike := self.first_unlike():
            ax.axvline(unlike.number, linestyle=":", color="gray")
        return ax

    def save(self, path: str | PathLike[str]) -> None:
        """Write the columns into an `.npz`, all or nothing."""
        part = f"{os.fspath(path)}.part"
        with open(part, "wb") as file:
            table: dict[str, Any] = self.table
            np.savez(file, **table, program=np.array(self.program))
        os.replace(part, path)


def known(table: Mapping[str, NDArray[Any]], column: str) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """The rows that have a figure, and the figures; a loss and its gradient may also be NaN."""
    x = table.get(column, np.zeros(0))
    there = ~np.isnan(x)
    if column in ("loss", "grad_norm") and len(x):
        there |= _spoilt(table)
    rows = np.flatnonzero(there)
    return rows, x[rows]


def _spoilt(table: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """The passes from the first on whose gradient is NaN.

    Before it a loss of NaN is that of a pass that started from more than one number.
    """
    missing = np.full(len(table["pass"]), np.nan)
    gradient, norm = (table.get(name, missing) for name in ("grad_norm", "norm"))
    return np.logical_or.accumulate(np.isnan(gradient) & ~np.isnan(norm))


def _unlike(x: NDArray[Any], title: str) -> tuple[int, str]:
    """The index of the first entry that is unlike those before it, and what is told about it."""
    for k in range(len(x)):
        before = x[max(0, k - WINDOW) : k]
        if not math.isfinite(x[k]):
            return k, f"{title} is {x[k]:g}"
        before = before[np.isfinite(before) & (before > 0)]
        if len(before) < WINDOW or x[k] <= 0:
            continue
        median = float(np.median(before))
        usual = np.abs(np.log(before / median))
        spread, rare = 1.4826 * float(np.median(usual)), float(np.quantile(usual, 0.9))
        factor = FACTOR if title in (SHOWN["loss"], SHOWN["lr"]) else GRADIENT_FACTOR
        counts = x[k] > median or title == SHOWN["lr"]  # a loss may fall
        limit = max(math.log(factor), SPREADS * spread, BEYOND * rare)
        if counts and abs(math.log(x[k] / median)) > limit:
            return k, f"{title} {x[k]:.3g} is {x[k] / median:.3g} × its median"
    return 0, ""


def _without(table: Mapping[str, NDArray[Any]], kind: str) -> list[str]:
    """The parameters that had nothing but zeros in a kind of column."""
    found = []
    for name, x in table.items():
        known = x[~np.isnan(x)] if name.startswith(kind) else x[:0]
        if len(known) and not known.any():
            found.append(name.removeprefix(kind))
    return found


def _never_changed(table: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    """Parameters that have a gradient, and that no optimiser step has changed."""
    if "lr" not in table or len(table["lr"]) < 2:
        return
    changed = {name.removeprefix("update.") for name in table if name.startswith("update.")}
    known = [name.removeprefix("grad.") for name in table if name.startswith("grad.")]
    still = [name for name in known if name not in changed and table[f"grad.{name}"].any()]
    if still and np.nan_to_num(table["lr"]).any():
        names = ", ".join(still)
        cause = "not in the optimiser?"
        if not changed:
            cause = (
                "does the optimiser hold these, and come zero_grad(), backward() and step() in "
                "this order?"
            )
        yield f"never changed, although a gradient arrives: {names}; {cause}"


def _added_up(table: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    """Passes that began with the gradients of an optimiser step before."""
    kept = table.get("kept_grads", np.zeros(0))
    if count := int(np.count_nonzero(np.nan_to_num(kept))):
        first = int(table["pass"][np.flatnonzero(np.nan_to_num(kept))[0]])
        yield (
            f"{count} passes, the first of them pass {first}, have added to gradients that a step "
            "had used already: write opt.zero_grad() before each"
        )


def _twice(table: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    """Passes from a loss that has just gone backward, whose gradients add up."""
    again = np.flatnonzero(np.nan_to_num(table.get("again", np.zeros(0))))
    if len(again):
        first, line = int(table["pass"][again[0]]), table["line"][again[0]]
        yield (
            f"{len(again)} passes, the first of them pass {first} ({line}), went backward from the "
            "same loss as the pass before: its gradient counts twice"
        )


def _made_anew(table: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    """Optimisers that are thrown away after a step, with what they remember."""
    fresh = int(np.count_nonzero(np.nan_to_num(table.get("fresh", np.zeros(0)))))
    if fresh >= FEW and fresh > len(table["pass"]) / 2:
        yield (
            f"{fresh} of {len(table['pass'])} steps are the first of their optimiser: it is made "
            "anew each time, and its moments are lost; make it before the loop"
        )


def _grows(table: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    """Graphs of which each holds the one before."""
    nodes = table.get("nodes", np.zeros(0))
    nodes = nodes[~np.isnan(nodes)][:WINDOW]
    more = np.diff(nodes)
    if len(nodes) >= FEW and more.min() > 0.5 * nodes[0] and np.ptp(more) < 0.1 * more.min():
        yield (
            f"each pass walks through all passes before it: {nodes[0]:.0f} nodes in the first, "
            f"{nodes[-1]:.0f} in pass {len(nodes)}; write state = nn.detach_state(state)"
        )


def _course(table: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    """Which way the loss goes, if it is not down, and steps that are far too small or too large."""
    loss, update = table["loss"], table.get("update", np.zeros(0))
    update = update[np.isfinite(update)]
    if not len(update):
        return
    if len({*table.get("line", ("",))}) == 1:  # several losses may work against each other
        yield from _constant(table) or _direction(loss[np.isfinite(loss)])
    step = float(np.median(update))
    if len(update) >= FEW and step < SMALL_STEP:
        yield f"the parameters hardly move: |Δθ| / |θ| is {step:.2g} a pass"
    elif step > LARGE_STEP:
        yield f"the steps are as large as the parameters: |Δθ| / |θ| is {step:.2g} a pass"
    norms = table.get("norm", np.zeros(0))
    norms = norms[np.isfinite(norms)]
    if len(norms) and norms[-1] < SHRUNK * norms[0]:
        ends = f"{norms[0]:.3g} in the first pass, {norms[-1]:.3g} in the last"
        yield f"the parameters shrink: |θ| is {ends}; is weight_decay too large?"


def _constant(table: Mapping[str, NDArray[Any]]) -> list[str]:
    """A loss that stays where a guess that knows nothing of the inputs is."""
    asked = np.isfinite(table.get("guess", np.zeros(0)))
    steps = np.count_nonzero(np.isfinite(table["update"]))
    if np.count_nonzero(asked) < FEW:
        return []
    guess, loss = table["guess"][asked], table["loss"][asked]
    if np.abs(guess).max() < SAME:
        return ["all targets so far are the same: a constant guess loses nothing"]
    half, third = len(loss) // 2, len(loss) // 3
    late, best = float(np.mean(loss[half:])), float(np.mean(guess[half:]))
    falls = float(np.mean(loss[-third:])) < STILL_FALLS * float(np.mean(loss[-2 * third : -third]))
    if steps < 5 * WINDOW or falls or not NO_BETTER * best < late < NO_WORSE * best:
        return []
    return [
        f"the loss stays at that of a constant guess, {late:.3g} against {best:.3g}: so far "
        "the inputs tell nothing; do the targets belong to them, in this order and at this step?"
    ]


def _direction(loss: NDArray[Any]) -> Iterator[str]:
    """Whether the loss rises, stays, or falls without end."""
    if len(loss) < 2 * FEW:
        return
    quarter, half = len(loss) // 4, len(loss) // 2
    early, late = (float(np.median(part)) for part in (loss[:quarter], loss[-quarter:]))
    middle = float(np.median(loss[half : half + 3]))
    spread = float(np.median(np.abs(loss[:quarter] - early)))
    told = f"{early:.3g} in the first quarter of the passes, {late:.3g} in the last"
    if late < 0 and middle - loss[-1] > max(loss[0] - middle, 3 * spread):
        yield f"the loss falls without end, below 0 and faster: {told}; has it the wrong sign?"
    elif early > 0 and late - early > max(0.2 * early, 3 * spread):
        yield f"the loss rises: {told}"
    elif len(loss) >= 2 * WINDOW and early > 0 and early - late < min(0.02 * early, spread):
        yield f"the loss does not fall: {told}"


def _extreme(x: NDArray[Any]) -> str:
    """The largest entry, or how many are not finite."""
    finite = x[np.isfinite(x)]
    if len(finite) < len(x):
        return f"{len(x) - len(finite)} not finite"
    return f"largest {finite.max():.3g}"


def read(path: str | PathLike[str]) -> Run:
    """A recording from its file: an `.npz`, or the journal of a run that is not over or was killed.

    Raises ValueError for a file that is no recording.  Of one that is cut off, what is whole is
    returned, and `run.damage` says where it ends.
    """
    name = os.fspath(path)
    if not os.path.exists(name) and os.path.exists(journal_path(name)):
        name = journal_path(name)
    with open(name, "rb") as file:
        head = file.read(len(MAGIC))
        if head == MAGIC:
            columns, program, damage = read_journal(file)
            unfinished = "a journal: the run is not over, or it was killed after this pass"
            return Run(columns.arrays(), program, f"{name} is {damage or unfinished}")
    try:
        with open(name, "rb") as file, np.load(file) as arrays:
            table = {key: arrays[key] for key in arrays.files}
        program = str(table.pop("program"))
        if any(len(x) != len(table["pass"]) for x in table.values()):
            raise ValueError("its columns have different lengths")
    except (KeyError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{name} is no recording of minigrad, or it is cut off") from error
    return Run(table, program)
