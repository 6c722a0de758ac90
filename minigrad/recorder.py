"""A flight recorder of training: what each backward pass was like, kept also through a crash.

While a `Recorder` is open it drives every pass that starts in its thread: each pass becomes a row.
A file is first a journal, to which every pass is appended; closing turns it into an `.npz`.
"""

from __future__ import annotations

import math
import os
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar, Token
from operator import is_
from os import PathLike
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import naming
from minigrad.backward import Step, backward_steps, driver
from minigrad.grad_table import GradTable
from minigrad.graph import Graph
from minigrad.guess import ConstantGuess
from minigrad.journal import Columns, Journal, Row, journal_path
from minigrad.norms import norm
from minigrad.runs import Run, read
from minigrad.scope import caller
from minigrad.tensor import Tensor, used_generator

__all__ = ["Recorder", "note", "open_recorder", "read", "record"]


KINDS = ("grad", "norm", "update")  # of columns, each with one for each parameter
GUESSED = 4  # the targets of every so many passes are looked at
FEW_STATES, MAX_STRIDE = 4, 9  # so many gradients of states are measured, or every ninth


class StatePlaces:
    """Where the states of a pass are made.

    sites: in the program, code and instruction.
    measured: the positions in `graph.order` of those whose gradients are measured.
    """

    def __init__(self, graph: Graph) -> None:
        states = {node for node in graph.order if node.role and node.role.kind == "state"}
        if not states:  # the unroller was not there to say so
            states = {source for source, _ in graph.crossings if source.op is not None}
        self.sites = {(id(node._code), node._instruction) for node in states}
        self.find(graph)

    def find(self, graph: Graph) -> None:
        """Find the positions anew, in a graph of another length."""
        self.size = len(graph.order)
        positions = [k for k, node in enumerate(graph.order) if self.is_made_by(node)]
        stride = min(len(positions) // FEW_STATES | 1, MAX_STRIDE)  # odd: it meets both h and c
        self.measured = sorted({*positions[::stride], *positions[-len(self.sites) :]})

    def is_made_by(self, node: Tensor) -> bool:
        """Whether a node is made where states are."""
        return (id(node._code), node._instruction) in self.sites


class Recorder(Run):
    """Records every backward pass that starts while it is open; see `record`."""

    def __init__(self, path: str | PathLike[str] | None = None, keep: int = 1000) -> None:
        if path is not None and not os.fspath(path).endswith(".npz"):
            raise ValueError(f"record(path): a name that ends in .npz is needed, found {path!r}")
        if path is not None and not os.path.isdir(folder := os.path.dirname(path) or "."):
            raise FileNotFoundError(f"record(path): there is no folder {folder}")
        super().__init__({}, os.path.basename(sys.argv[0]) if sys.argv else "")
        self._rows: deque[Row] = deque(maxlen=keep)
        self.path = path
        self.passes = 0
        self.now: Row = {}  # the pass that runs, or the last one
        self._noted: dict[str, float] = {}  # of it, since it was written
        self._journal: Journal | None = None
        self._process = os.getpid()
        self._leaves: list[weakref.ref[Tensor]] = []  # the parameters of the last pass
        self._arrays: list[NDArray[Any]] = []  # of them, before the optimiser steps
        self._norms: list[float] = []  # of these
        self._used = set[int]()  # the parameters whose gradient of an earlier step was not zeroed
        self._columns_of = {kind: list[str]() for kind in KINDS}  # the names of their columns
        self._titles: dict[Any, tuple[str, str]] = {}
        self._places: dict[Any, StatePlaces] = {}  # by the line of the loss
        self._generator: tuple[Any, str] = None, ""
        self._guess = ConstantGuess()
        self._loss: weakref.ref[Tensor] | None = None  # of the last pass

    @property
    def rows(self) -> deque[Row]:
        """The last passes, each as its figures by column."""
        return self._rows

    @property
    def table(self) -> dict[str, NDArray[Any]]:
        """The columns of the last passes by name."""
        columns = Columns()
        for row in self._rows:
            columns.add({name: value for name, value in row.items() if value != ""})
        return columns.arrays()

    def __len__(self) -> int:
        return len(self._rows)

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

    def series(self, column: str) -> list[Any]:
        """A column of the passes before the present one, without what is missing."""
        rows = list(self._rows)[:-1] if self._rows and self._rows[-1] is self.now else self._rows
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
        loss = graph.outputs[0]
        self._begin(loss._array if loss.size == 1 else math.nan, sys._getframe(1))
        self.now["nodes"] = len(graph)
        if self._loss is not None and self._loss() is loss and self._holds_gradients():
            self.now["again"] = 1.0
        self._loss = weakref.ref(loss)
        is_due = self.passes % GUESSED == 1
        self.now["guess"] = self._guess.loss(graph) if is_due else math.nan
        places = self._state_places(graph)
        measured = iter(places.measured)
        due, largest, at = next(measured, math.inf), -1.0, None
        try:
            for step in driver(graph, pending):
                if step.index >= due and places.is_made_by(step.node):
                    size, due = norm(step._grad), next(measured, math.inf)
                    if not size <= largest:  # a new maximum, or NaN
                        largest, at = size, step.node
                yield step
        except BaseException:  # the pass fails, or is left: what is known of it is kept
            self._write()
            raise
        if at is not None:
            self.now["max_norm"] = largest
            self.now["where"] = self._title(graph, at)
        leaves = list(pending.grads)
        self._end(graph, leaves, [pending.grads[leaf] for leaf in leaves])

    def note_step(self, loss: Any, grads: Mapping[Tensor, Any]) -> None:
        """A pass that a compiled step has run: its loss, and the gradient of each parameter.

        The gradients of its states stay inside of the program, and are not recorded.
        """
        if os.getpid() == self._process:
            self._begin(loss, sys._getframe(1))
            self.now["compiled"] = 1.0
            self._end(None, list(grads), list(grads.values()))
        if self._around is not None:
            self._around.note_step(loss, grads)

    def _begin(self, loss: Any, frame: FrameType | None) -> None:
        self._note_updates()
        self.passes += 1
        self.now = {
            "pass": self.passes,
            "loss": float(loss),
            "where": "",
            "line": _line(caller(frame)),
            "generator": self._generator_state(),
        }
        self._rows.append(self.now)

    def _end(self, graph: Graph | None, leaves: list[Tensor], grads: list[Any]) -> None:
        self._name_columns(graph, leaves)
        arrays = [leaf._array for leaf in leaves]
        sizes, norms = [*map(norm, grads)], [*map(norm, arrays)]
        now = self.now
        now.update(zip(self._columns_of["grad"], sizes))
        now.update(zip(self._columns_of["norm"], norms))
        if leaves:
            now["grad_norm"], now["norm"] = math.hypot(*sizes), math.hypot(*norms)
        self._arrays, self._norms = arrays, norms
        self._write()

    def _holds_gradients(self) -> bool:
        """Whether a parameter of the last pass has kept its gradient."""
        leaves = [ref() for ref in self._leaves]
        return any(leaf is not None and leaf._grad is not None for leaf in leaves)

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
        """Note what the optimiser has changed since the last pass, as ‖Δθ‖ / ‖θ‖.

        And how many parameters it has changed by a gradient that holds one it had used before.
        """
        changes, kept = dict[str, float](), 0
        used = set[int]()  # the parameters that still hold the gradient of this step
        squares = 0.0
        for k, (ref, before) in enumerate(zip(self._leaves, self._arrays)):
            leaf = ref()
            if leaf is None or leaf._array is before:
                continue
            change, size = norm(leaf._array - before), self._norms[k]
            changes[self._columns_of["update"][k]] = change / size if size else math.nan
            squares += change * change
            kept += id(leaf) in self._used
            if leaf._grad is not None and np.count_nonzero(leaf._grad._array):
                used.add(id(leaf))
        if changes and (whole := math.hypot(*self._norms)):
            self.note(**changes, update=math.sqrt(squares) / whole)
        if kept:
            self.note(kept_grads=kept)
        self._used = used
        if self._journal is not None and self._noted:
            self._journal.add(self._noted)
        self._arrays, self._noted = [], {}

    def _name_columns(self, graph: Graph | None, leaves: list[Tensor]) -> None:
        """The columns of the leaves; named only where they are others than in the last pass."""
        known = [ref() for ref in self._leaves]
        if len(known) == len(leaves) and all(map(is_, known, leaves)):
            return
        labels = (
            naming.label(graph, leaf) if graph is not None else leaf.name or "parameter"
            for leaf in leaves
        )
        names = naming.unique(zip(labels, leaves))
        self._columns_of = {kind: [f"{kind}.{name}" for name in names] for kind in KINDS}
        self._leaves = [weakref.ref(leaf) for leaf in leaves]

    def _state_places(self, graph: Graph) -> StatePlaces:
        """Where states are made: found once for each line that makes a loss."""
        loss = graph.outputs[0]
        key = (id(loss._code), loss._instruction, len(graph.outputs))
        places = self._places.get(key)
        if places is None:
            places = self._places[key] = StatePlaces(graph)
        elif places.size != len(graph.order):
            places.find(graph)
        return places

    def _generator_state(self) -> str:
        """The state of `mg.generator()`, if it has been used."""
        generator = used_generator()
        if generator is None:
            return ""
        state = generator.bit_generator.state
        if state != self._generator[0]:
            text = ""
            if state["bit_generator"] == "PCG64":
                numbers = state["state"]
                text = f"{numbers['state']:x} {numbers['inc']:x}"
                text += f" {state['has_uint32']} {state['uinteger']}"
            self._generator = state, text
        return self._generator[1]


_open_recorder: ContextVar[Recorder | None] = ContextVar("minigrad.recorder", default=None)


def open_recorder() -> Recorder | None:
    """The recorder that is open in this thread, or None."""
    return _open_recorder.get()


def driven_plainly() -> bool:
    """Whether nothing drives the passes of this thread but the plain loop and recorders."""
    found = driver.get()
    while isinstance(recorder := getattr(found, "__self__", None), Recorder):
        found = recorder._outside
    return found is backward_steps


def record(path: str | PathLike[str] | None = None, keep: int = 1000) -> Recorder:
    """Record every backward pass inside the block: its loss, norms and updates.

    path: an `.npz` to write; every pass is on the disk as soon as it is over, so that a run that is
    killed can be read with `minigrad.recorder.read(path)`.  keep: how many passes stay in memory.
    The recorder is a `Run`: print it, index it by column, `plot` it.

    Of a sequence of more than 7 states the gradients of some are measured: the last one, those of
    the first time step, and between them some at equal distances, at least every ninth.  Of a
    compiled step (`mg.compile`) the program's own loss and gradients are recorded; what its states
    get stays inside of the program.

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
