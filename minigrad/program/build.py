"""From an aligned program to a function: simplified, scheduled, written, loaded."""

from __future__ import annotations

import functools
import linecache
from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

from minigrad.program import cache, emit_c
from minigrad.program.emit_numpy import NumpyEmitter, Results
from minigrad.program.forms import has_batch
from minigrad.program.ir import Program, Statement
from minigrad.program.names import Names, give_names
from minigrad.program.native import Native, NativeError
from minigrad.program.reassociate import reassociate
from minigrad.program.schedule import Block, Loop, schedule
from minigrad.program.simplify import simplify
from minigrad.program.specialise import Specialised
from minigrad.program.storage import VIEWS, Storage, allocate, share_arrays
from minigrad.program.widen import widen

LARGE = 2048  # bytes of a step


class Built(NamedTuple):
    """A program as text and as a function of the lengths, which makes the step.

    arguments: the paths of the step's arguments.  lengths: the names of the lengths, in order.
    notes: why some loop, or all, are not native code.
    """

    make: Callable[..., Callable[..., Any]]
    source: str
    c_source: str
    file: str
    arguments: list[str]
    lengths: list[str]
    program: Program
    blocks: list[Block]
    storage: Storage
    notes: list[str]


def build(specialised: Specialised, exact: bool, backend: str) -> Built:
    """Write the program and load it."""
    program, recording = specialised.program, specialised.recording
    paths = {s: s.name for s in program.arguments}
    simplify(program, exact)
    names = Names()
    give_names(program, recording, names)
    lengths = sorted({*specialised.lengths.values()})
    results = results_of(specialised)
    notes: list[str] = []
    if backend != "numpy" and not exact:
        blocks = schedule(program, _is_for_c)
        storage = allocate(program, blocks)
        loops = [block for block in blocks if isinstance(block, Loop)]
        in_c = emit_c.written(loops, storage, lengths, notes.append)
        native = _native(emit_c.source(list(in_c.values())), notes) if in_c else None
    else:
        native, in_c = None, {}
    if native is None:
        if not exact:
            reassociate(program, names)
            widen(program, names)
            give_names(program, recording, names)
        blocks = schedule(program, lambda s: exact or not has_batch(s), _is_large)
        storage = allocate(program, blocks)
        share_arrays(program, storage)
        in_c = {}
    emitter = NumpyEmitter(program, blocks, storage, names, results, exact)
    emitter.native = in_c
    source = emitter.text(lengths)
    file = keep(source)
    namespace: dict[str, Any] = dict(emitter.functions)
    exec(compile(source, file, "exec"), namespace)
    make = namespace["program"]
    if native is not None:
        make = functools.partial(make, native=native)
    used = [paths[s] for s in program.arguments if s in set(program.statements)]
    text = native.source if native is not None else ""
    return Built(make, source, text, file, used, lengths, program, blocks, storage, notes)


def _native(source: str, notes: list[str]) -> Native | None:
    try:
        return Native(source)
    except NativeError as problem:
        notes.append(str(problem))
        return None


def _is_large(s: Statement) -> bool:
    """Whether an operation on all steps at once would leave the cache of the processor; or is a view."""
    if s.kind in VIEWS:
        return True
    if not s.is_elementwise or not all(isinstance(n, int) for n in s.shape):
        return False
    return prod(s.shape) * s.dtype.itemsize > LARGE


def _is_for_c(s: Statement) -> bool:
    """Whether a statement runs in a loop of C: products leave it, the rest costs least there."""
    return emit_c.is_elementwise(s) or s.kind in _STAY or not has_batch(s)


_STAY = ("concatenate", *emit_c.MOVERS)


def results_of(specialised: Specialised) -> Results:
    """What the step returns."""
    loss, *rest = specialised.program.results
    paths = list(specialised.recording.grads)
    return Results(loss, dict(zip(paths, rest, strict=False)), rest[len(paths) :])


def keep(source: str) -> str:
    """The file of a program, which debuggers step through; a name for `linecache` where none can be written."""
    name = f"step_{cache.key(source)}.py"
    place = cache.folder()
    if place is not None:
        file = place / name
        if cache.holds(file, source.encode()) or cache.write(file, source.encode()):
            return str(file)
    file_name = f"<{name}>"
    linecache.cache[file_name] = (len(source), None, source.splitlines(keepends=True), file_name)
    return file_name


def in_loops(built: Built) -> set[Statement]:
    """The statements that run step by step."""
    return {s for block in built.blocks if isinstance(block, Loop) for s in block.body}
