"""A flight recorder of training: what each backward pass was like, kept also through a crash.

While a `Recorder` is open it drives every pass that starts in its thread: each pass becomes a row.
A file is first a journal, to which every pass is appended; closing turns it into an `.npz`.
"""

from __future__ import annotations

import json
import math
import os
import struct
import sys
import weakref
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar, Token
from os import PathLike
from types import FrameType
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigrad import naming
from minigrad.backward import Step, driver
from minigrad.grad_table import GradTable
from minigrad.graph import Graph
from minigrad.norms import norm
from minigrad.reports import curves
from minigrad.scope import caller
from minigrad.sparkline import sparkline
from minigrad.tensor import Tensor, used_generator

Row = dict[str, float | str]  # a pass: numbers, and the texts in TEXTS
TEXTS = ("where", "line", "generator")
WINDOW = 20  # passes that a pass is compared with
FACTOR, SPREADS = 3.0, 6.0  # unlike: so many times the median, and so many times the usual spread
SHOWN = {  # what `history` draws, and how it is called there
    "loss": "loss",
    "max_norm": "max |∂loss/∂state|",
    "grad_norm": "|∂loss/∂θ|",
    "update": "|Δθ| / |θ|",
    "lr": "lr",
}


class Unlike(NamedTuple):
    """The first pass that differs from those before it, and by which figures."""

    number: int
    evidence: tuple[str, ...]
    where: str

    def __str__(self) -> str:
        return f"pass {self.number}: {'; '.join(self.evidence)}{self.where}"


class Run:
    """A recording: for each pass the figures, as columns by name.

    pass, loss.
    max_norm, where: the largest ‖∂loss/∂state‖, and its state, step and scope.
    norm, grad_norm, update: ‖θ‖, ‖∂loss/∂θ‖ and ‖Δθ‖ / ‖θ‖ over all parameters; of each one
    they are "norm.W", "grad.W" and "update.W".
    line: where the pass was started.  generator: the state of `mg.generator()`.
    And what was noted, as lr by the optimisers.

    Index it by the name of a column; print it for a summary; `plot` draws it.
    """

    def __init__(self, rows: Iterable[Row], program: str = "", damage: str = "") -> None:
        self.rows = list(rows)
        self.program, self.damage = program, damage

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, column: str) -> NDArray[Any]:
        """A column: one entry for each pass, NaN where there is none."""
        if column not in self.columns:
            raise KeyError(f"no column {column!r}; there are: {', '.join(self.columns)}")
        missing: Any = "" if column in TEXTS else math.nan
        return np.array([row.get(column, missing) for row in self.rows])

    def known(self, column: str) -> tuple[list[int], NDArray[Any]]:
        """The rows that have an entry in a column, and the entries."""
        rows = [k for k, row in enumerate(self.rows) if column in row]
        return rows, np.array([self.rows[k][column] for k in rows])

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def first_unlike(self) -> Unlike | None:
        """The first pass with a figure unlike those of the passes before it, or None.

        Unlike is what is not finite, or further from the median of the last 20 passes than a factor
        of 3 and than 6 times their spread (the median deviation of the logarithms).
        """
        found: dict[int, list[str]] = {}
        for column, title in SHOWN.items():
            rows, values = self.known(column)
            k, text = _unlike(values, title)
            if text:
                found.setdefault(rows[k], []).append(text)
        if not found:
            return None
        k = min(found)
        row = self.rows[k]
        where = f", at {row['where']}" if row.get("where") else ""
        line = f"   ({row['line']})" if row.get("line") else ""
        return Unlike(int(row["pass"]), tuple(found[k]), where + line)

    def without_gradient(self) -> list[str]:
        """The parameters whose gradient was zero in every pass."""
        columns = [name for name in self.columns if name.startswith("grad.")]
        return [
            name.removeprefix("grad.") for name in columns if not np.nan_to_num(self[name]).any()
        ]

    def __str__(self) -> str:
        if not self.rows:
            return "nothing is recorded: no backward pass was run"
        first, last = (int(self.rows[k]["pass"]) for k in (0, -1))
        of = f" of {self.program}" if self.program else ""
        lines = [f"passes {first} to {last}{of}"]
        for column, title in SHOWN.items():
            _, x = self.known(column)
            if len(x):
                bars = sparkline(x.tolist())
                lines.append(f"{title:<19} {bars}  {x[0]:.3g} … {x[-1]:.3g}, {_extreme(x)}")
        unlike = self.first_unlike()
        no_pass = f"no pass is unlike the {WINDOW} before it"
        lines.append(f"first unlike the {WINDOW} before: {unlike}" if unlike else no_pass)
        if lost := self.without_gradient():
            lines.append(f"no gradient in any pass: {', '.join(lost)}")
        return "\n".join([*lines, *filter(None, [self.damage])])

    def plot(self, ax: Any = None) -> Any:
        """Draw the figures over the passes (needs matplotlib); returns the axes."""
        passes = self["pass"]
        drawn = {title: (passes, self[c]) for c, title in SHOWN.items() if c in self.columns}
        ax = curves(ax, drawn, "pass", "")
        if unlike := self.first_unlike():
            ax.axvline(unlike.number, linestyle=":", color="gray")
        return ax

    def save(self, path: str | PathLike[str]) -> None:
        """Write the columns into an `.npz`, all or nothing."""
        part = f"{os.fspath(path)}.part"
        with open(part, "wb") as file:
            arrays: dict[str, Any] = {name: self[name] for name in self.columns}
            np.savez(file, **arrays, program=np.array(self.program))
        os.replace(part, path)


def _unlike(x: NDArray[Any], title: str) -> tuple[int, str]:
    """The index of the first entry that is unlike those before it, and what is told about it."""
    for k in range(1, len(x)):
        before = x[max(0, k - WINDOW) : k]
        if not math.isfinite(x[k]):
            if np.isnan(before).all():
                continue  # a pass that starts from more than one number has no loss
            return k, f"{title} is {x[k]:g}"
        before = before[np.isfinite(before) & (before > 0)]
        if len(before) < WINDOW or x[k] <= 0:
            continue
        median = float(np.median(before))
        spread = 1.4826 * float(np.median(np.abs(np.log(before / median))))
        counts = x[k] > median or title == SHOWN["lr"]  # a loss may fall
        if counts and abs(math.log(x[k] / median)) > max(math.log(FACTOR), SPREADS * spread):
            return k, f"{title} {x[k]:.3g} is {x[k] / median:.3g} × its median"
    return 0, ""


def _extreme(x: NDArray[Any]) -> str:
    """The largest entry, or how many are not finite."""
    finite = x[np.isfinite(x)]
    if len(finite) < len(x):
        return f"{len(x) - len(finite)} not finite"
    return f"largest {finite.max():.3g}"


class Recorder(Run):
    """Records every backward pass that starts while it is open; see `record`."""

    rows: Any  # a ring of the last passes

    def __init__(self, path: str | PathLike[str] | None = None, keep: int = 1000) -> None:
        if path is not None and not os.fspath(path).endswith(".npz"):
            raise ValueError(f"record(path): a name that ends in .npz is needed, found {path!r}")
        super().__init__((), os.path.basename(sys.argv[0]) if sys.argv else "")
        self.rows = deque(maxlen=keep)
        self.path = path
        self.passes = 0
        self.now: Row = {}  # the pass that runs, or the last one
        self._noted: dict[str, float] = {}  # of it, since it was written
        self._journal: Journal | None = None
        self._process = os.getpid()
        self._arrays: list[Any] = []  # of the parameters, before the optimiser steps
        self._leaves: list[weakref.ref[Tensor]] = []
        self._names: list[str] = []
        self._titles: dict[Any, tuple[str, str]] = {}
        self._sites: dict[Any, set[Any]] = {}  # where states are made, by the line of the loss

    def __enter__(self) -> Recorder:
        if self.path is not None:
            self._journal = Journal.create(journal_path(self.path), self.program)
        self._outside = driver.get()
        self._around = _open_recorder.get()
        self._tokens: tuple[Token[Any], Token[Any]]
        self._tokens = driver.set(self.drive), _open_recorder.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        driver.reset(self._tokens[0])
        _open_recorder.reset(self._tokens[1])
        self._note_updates()
        if self._journal is not None and self.path is not None:
            self._journal.close()
            name = journal_path(self.path)
            read(name).save(self.path)
            os.remove(name)
            self._journal = None

    def note(self, **values: float) -> None:
        """Add figures to the present pass, or to the last one."""
        self.now |= values
        self._noted |= values

    def series(self, column: str) -> list[float]:
        """A column of the passes before the present one, without what is missing."""
        rows = list(self.rows)[:-1] if self.rows and self.rows[-1] is self.now else self.rows
        return [value for row in rows if (value := row.get(column)) is not None]

    # one pass

    def drive(self, graph: Graph, pending: GradTable) -> Iterator[Step]:
        """The steps of a pass, looked at as they come by."""
        return self.observe(self._outside, graph, pending)

    def observe(
        self, driver: Callable[[Graph, GradTable], Iterable[Step]], graph: Graph, pending: GradTable
    ) -> Iterator[Step]:
        """The steps that a driver gives, looked at as they come by; at the end a row is written."""
        if os.getpid() != self._process:  # a forked child does not write into its parent's file
            yield from driver(graph, pending)
            return
        self._begin(graph, sys._getframe(1))
        sites = self._state_sites(graph)
        largest, at = -1.0, None
        try:
            for step in driver(graph, pending):
                node = step.node
                if node._instruction in sites and (id(node._code), node._instruction) in sites:
                    size = norm(step._grad)
                    if not size <= largest:  # NaN, too
                        largest, at = size, node
                yield step
        except BaseException:  # the pass fails, or is left: what is known of it is kept
            self._write()
            raise
        self._end(graph, pending, largest, at)

    def _begin(self, graph: Graph, frame: FrameType | None) -> None:
        self._note_updates()
        self.passes += 1
        loss = graph.outputs[0]
        self.now = {
            "pass": self.passes,
            "loss": float(loss._array.item()) if loss.size == 1 else math.nan,
            "line": _line(caller(frame)),
            "generator": _generator_state(),
        }
        self.rows.append(self.now)

    def _end(self, graph: Graph, pending: GradTable, largest: float, at: Tensor | None) -> None:
        row: Row = {}
        if at is not None:
            row["max_norm"] = largest
            row["where"] = self._title(graph, at)
        leaves = list(pending.grads)
        names = self._parameter_names(graph, leaves)
        self._arrays = [leaf._array for leaf in leaves]
        total = squares = 0.0
        for name, leaf in zip(names, leaves):
            grad, size = norm(pending.grads[leaf]), norm(leaf._array)
            row["grad." + name], row["norm." + name] = grad, size
            total += grad * grad
            squares += size * size
        row["grad_norm"], row["norm"] = math.sqrt(total), math.sqrt(squares)
        self.now |= row
        self._write()

    def _title(self, graph: Graph, node: Tensor) -> str:
        """A state with its time step and scope; its name is looked up once for each line."""
        site = node._code, node._instruction, node._scope and node._scope.name
        if site not in self._titles:
            scope = f" of {node.scope}" if node.scope else ""
            self._titles[site] = naming.name_of(graph, node), scope
        name, scope = self._titles[site]
        return f"{name}[{node.t}]{scope}"

    def _write(self) -> None:
        if self._journal is not None:
            self._journal.begin(self.now)

    def _note_updates(self) -> None:
        """What the optimiser has changed since the last pass, as ‖Δθ‖ / ‖θ‖."""
        squares, row = 0.0, dict[str, float]()
        for name, ref, before in zip(self._names, self._leaves, self._arrays):
            leaf = ref()
            if leaf is None or leaf._array is before:
                continue
            change = norm(leaf._array - before)
            size = float(self.now.get(f"norm.{name}", 0.0))
            row[f"update.{name}"] = change / size if size else math.nan
            squares += change * change
        whole = float(self.now.get("norm", 0.0))
        if row and whole:
            self.note(**row, update=math.sqrt(squares) / whole)
        if self._journal is not None and self._noted:
            self._journal.add(self._noted)
        self._arrays, self._noted = [], {}

    def _parameter_names(self, graph: Graph, leaves: list[Tensor]) -> list[str]:
        """The names of the leaves; looked up only where they are others than in the last pass."""
        known = [ref() for ref in self._leaves]
        if len(known) != len(leaves) or any(a is not b for a, b in zip(known, leaves)):
            named = naming.unique((naming.label(graph, leaf), leaf) for leaf in leaves)
            self._names = list(named)
            self._leaves = [weakref.ref(leaf) for leaf in leaves]
        return self._names

    def _state_sites(self, graph: Graph) -> set[Any]:
        """Where in the program states are made: found once for each line that makes a loss."""
        loss = graph.outputs[0]
        key = (id(loss._code), loss._instruction, len(graph.outputs))
        if key not in self._sites:
            states = {node for node in graph.order if node.role and node.role.kind == "state"}
            if not states:  # the unroller was not there to say so
                states = {source for source, _ in graph.crossings if source.op is not None}
            found = {(id(node._code), node._instruction) for node in states}
            self._sites[key] = found | {instruction for _, instruction in found}
        return self._sites[key]


_open_recorder: ContextVar[Recorder | None] = ContextVar("minigrad.recorder", default=None)


def open_recorder() -> Recorder | None:
    """The recorder that is open in this thread, or None."""
    return _open_recorder.get()


def record(path: str | PathLike[str] | None = None, keep: int = 1000) -> Recorder:
    """Record every backward pass inside the block: its loss, norms and updates.

    path: an `.npz` to write; every pass is on the disk as soon as it is over, so that a run that is
    killed can be read with `minigrad.recorder.read(path)`.  keep: how many passes stay in memory.
    The recorder is a `Run`: print it, index it by column, `plot` it.

    >>> import minigrad as mg
    >>> w = mg.tensor(1.0, requires_grad=True, name="w")
    >>> with mg.record() as run:
    ...     for step in range(3):
    ...         w.grad = None
    ...         (w * w).backward()
    ...         w.data = w.data - 0.25 * w.grad.data
    >>> run["loss"].tolist(), run["grad.w"].tolist(), run["update.w"].tolist()
    ([1.0, 0.25, 0.0625], [2.0, 1.0, 0.5], [0.5, 0.5, 0.5])
    """
    return Recorder(path, keep)


def note(**values: float) -> None:
    """Add figures to the present pass of the recorder that is open, if one is.

    Optimisers note their learning rate as `lr`.

    >>> import minigrad as mg
    >>> mg.note(accuracy=0.5)                       # nobody records: nothing happens
    """
    recorder = _open_recorder.get()
    while recorder is not None:
        recorder.note(**values)
        recorder = recorder._around


def _generator_state() -> str:
    """The state of `mg.generator()`, if it has been used."""
    generator = used_generator()
    if generator is None:
        return ""
    state = generator.bit_generator.state
    if state["bit_generator"] != "PCG64":
        return ""
    numbers = state["state"]
    return f"{numbers['state']:x} {numbers['inc']:x} {state['has_uint32']} {state['uinteger']}"


_lines: dict[Any, str] = {}


def _line(frame: FrameType | None) -> str:
    """File and line of a frame of the program."""
    if frame is None:
        return ""
    key = frame.f_code.co_filename, frame.f_lineno
    if key not in _lines:
        name = key[0] if key[0].startswith("<") else os.path.relpath(key[0])
        _lines[key] = f"{name}:{key[1]}"
    return _lines[key]


# the journal


def journal_path(path: str | PathLike[str]) -> str:
    """Where the passes are written until the recording is closed."""
    return f"{os.fspath(path)}.journal"


MAGIC = b"minigrad recording 1\n"
_LENGTH = struct.Struct("<cI")  # kind of record, length of what follows


class Journal:
    """A file of records that only grows; each is on the disk as soon as it is written.

    T: a text that has changed.  P: a new pass, and A: figures that are added to the last one; each
    holds a number for each of the names that p or a has listed before.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._names: dict[bytes, list[str]] = {}
        self._texts: dict[str, Any] = {}
        self._added = b""

    @classmethod
    def create(cls, path: str, program: str) -> Journal:
        """A new journal; one that a crash has left there is kept under another name."""
        if os.path.exists(path):
            os.replace(path, f"{path}.old")
        journal = cls(open(path, "wb", buffering=0))  # noqa: SIM115  # closed by `close`
        journal._file.write(MAGIC + _packed(b"T", ["program", program]))
        return journal

    def begin(self, row: Row) -> None:
        """Append a pass."""
        numbers = {name: value for name, value in row.items() if not isinstance(value, str)}
        records = b""
        for name in TEXTS:
            text = row.get(name, "")
            if self._texts.get(name) != text:
                self._texts[name] = text
                records += _packed(b"T", [name, text])
        self._file.write(self._added + records + self._numbers(b"P", numbers))
        self._added = b""

    def add(self, values: Mapping[str, float]) -> None:
        """Append figures of the last pass, together with the next one: a write costs time."""
        self._added += self._numbers(b"A", values)

    def _numbers(self, kind: bytes, values: Mapping[str, float]) -> bytes:
        """A record of numbers, behind one of their names if those have changed."""
        names, records = list(values), b""
        if names != self._names.get(kind):
            self._names[kind] = names
            records = _packed(kind.lower(), names)
        packed = struct.pack(f"<{len(names)}d", *values.values())
        return records + _LENGTH.pack(kind, len(packed)) + packed

    def close(self) -> None:
        """Nothing more follows."""
        self._file.write(self._added)
        self._file.close()


def _packed(kind: bytes, value: Any) -> bytes:
    text = json.dumps(value).encode()
    return _LENGTH.pack(kind, len(text)) + text


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
            return _read_journal(file, name)
    try:
        with open(name, "rb") as file, np.load(file) as arrays:
            columns = {key: arrays[key] for key in arrays.files}
        program = str(columns.pop("program"))
        passes = len(columns["pass"])
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        problem = "is no recording of minigrad, or it is cut off"
        raise ValueError(f"{name} {problem} ({type(error).__name__}: {error})") from error
    rows = [
        {key: x[k].item() for key, x in columns.items() if x[k] == x[k] and x[k] != ""}
        for k in range(passes)
    ]
    return Run(rows, program)


def _read_journal(file: BinaryIO, name: str) -> Run:
    rows: list[Row] = []
    names: dict[bytes, list[str]] = {}
    texts: dict[str, str] = {}
    damage = f"{name} is a journal: the run is not over, or it was killed after this pass"
    while head := file.read(_LENGTH.size):
        kind, length = _LENGTH.unpack(head) if len(head) == _LENGTH.size else (b"", 1)
        body = file.read(length)
        if len(body) < length or kind not in (b"T", b"P", b"A", b"p", b"a"):
            damage = f"{name} is cut off or damaged behind pass {len(rows)}"
            break
        if kind == b"T":
            key, text = json.loads(body)
            texts[key] = text
        elif kind.islower():
            names[kind.upper()] = json.loads(body)
        else:
            numbers = struct.unpack(f"<{len(body) // 8}d", body)
            if kind == b"P":
                rows.append({})
            rows[-1] |= dict(zip(names[kind], numbers, strict=True))
            rows[-1] |= {name: text for name, text in texts.items() if name in TEXTS and text}
    return Run(rows, texts.get("program", ""), damage)
