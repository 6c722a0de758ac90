"""The compiled step that users hold: it records, checks itself against eager, and runs the program."""

from __future__ import annotations

import functools
import inspect
import os
import threading
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigrad.backward import backward_steps, begin, driver
from minigrad.changes import Changes
from minigrad.graph import Graph
from minigrad.program.align import tensors
from minigrad.program.arguments import flat, leaves, names_of_gradients, plain_values
from minigrad.program.build import Built, build
from minigrad.program.clock import site
from minigrad.program.draws import Rewinder
from minigrad.program.errors import CompileError, WrongProgramError
from minigrad.program.labels import steps_of, window_of
from minigrad.program.record import outcome
from minigrad.program.specialise import specialise
from minigrad.recorder import driven_plainly, open_recorder
from minigrad.tensor import Array, Tensor, generator

Given = tuple[list[Any], list[Any]]  # the leaves of the arguments, and what is plain beside them
KEPT = 4  # lengths for which a program keeps its arrays


class Result(NamedTuple):
    """What one step gives: the loss, the gradients by name, what else the function returned.

    owners: the leaves whose gradients these are, by the same names.
    """

    loss: Any
    grads: dict[str, Array]
    aux: Any
    owners: dict[str, Tensor]


class Variant:
    """The program for arguments of one shape and dtype, whatever their lengths."""

    def __init__(self, step: Step, bound: dict[str, Any], steps: set[int], window: int) -> None:
        specialised = specialise(step.loss_fn, bound, steps, window)
        self.built: Built = build(specialised, step.exact, step.backend)
        if self.built.notes and step.backend == "c" and not self.built.c_source:
            warnings.warn(
                f"compile: {self.built.notes[0]}; the program runs in NumPy", stacklevel=5
            )
        self.lengths, self.aux = specialised.lengths, specialised.recording.aux
        self.window = specialised.recording.window
        self.sites = {site(node) for node in specialised.recording.made}
        self._outside = plain_values(step.loss_fn)
        self._around = self._outside()
        self.paths = list(leaves(bound))
        self._timed = [path in self.lengths for path in self.paths]
        self._lengths = [(k, self.lengths[p]) for k, p in enumerate(self.paths) if self._timed[k]]
        found, self._static = flat(bound)
        self._own = self._forms(found)
        place = {path: k for k, path in enumerate(self.paths)}
        self._given = [place.get(path) for path in self.built.arguments]  # None: `mg.generator()`
        names = names_of_gradients(bound)
        self._owners = [(path, name, place[path]) for path, name in names.items()]
        self.checked: dict[str, tuple[int, int]] = {}  # the least and the greatest length
        self._ready: dict[tuple[int, ...], Any] = {}  # the latest last
        self.calls = 0
        self._lock = threading.Lock()  # the arrays of a program serve one call at a time

    def _forms(self, found: list[Any]) -> list[Any]:
        """Type, shape without the lengths, and dtype of every leaf."""
        forms = []
        for leaf, timed in zip(found, self._timed, strict=True):
            array = leaf._array if isinstance(leaf, Tensor) else leaf
            shape = getattr(array, "shape", ())
            forms.append((type(leaf), shape[1:] if timed else shape, getattr(array, "dtype", None)))
        return forms

    def sizes(self, given: Given) -> dict[str, int] | None:
        """The lengths of the sequences; None if the program does not serve these arguments."""
        found, static = given
        if len(found) != len(self.paths) or static != self._static:
            return None
        if self._outside() != self._around or self._forms(found) != self._own:
            return None
        sizes: dict[str, int] = {}
        for k, name in self._lengths:
            n = len(found[k])
            if sizes.setdefault(name, n) != n:
                return None
        return sizes

    def run(self, given: Given, sizes: dict[str, int]) -> Result:
        """The program on these arguments."""
        with self._lock:
            return self._run(given, sizes)

    def _run(self, given: Given, sizes: dict[str, int]) -> Result:
        lengths = tuple([sizes[name] for name in self.built.lengths])
        if lengths not in self._ready:
            while len(self._ready) >= KEPT:
                del self._ready[next(iter(self._ready))]
            self._ready[lengths] = self.built.make(*lengths)
        found = given[0]
        arguments = [generator() if k is None else _value(found[k]) for k in self._given]
        with np.errstate(all="ignore"):
            loss, by_path, others = self._ready[lengths](*arguments)
        aux = None if self.aux is None else rebuilt(self.aux, iter(others))
        owners = [(path, name, found[k]) for path, name, k in self._owners if path in by_path]
        grads = {name: by_path[path] for path, name, _ in owners}
        return Result(loss, grads, aux, {name: leaf for _, name, leaf in owners})

    def is_new(self, sizes: dict[str, int]) -> bool:
        """Whether some sequence is longer, or shorter, than all that were checked."""
        for name, n in sizes.items():
            least, most = self.checked.get(name, (n + 1, n - 1))
            if not least <= n <= most:
                return True
        return not self.calls

    def is_shorter(self, sizes: dict[str, int]) -> bool:
        """Whether some sequence is shorter than all that were found right."""
        return any(name in self.checked and n < self.checked[name][0] for name, n in sizes.items())

    def note_checked(self, sizes: dict[str, int]) -> None:
        """These lengths, and those between them and others, are known to be right."""
        for name, n in sizes.items():
            least, most = self.checked.get(name, (n, n))
            self.checked[name] = min(least, n), max(most, n)


class Step:
    """A training step as a program; see `compile`."""

    def __init__(
        self, loss_fn: Callable[..., Any], backend: str, exact: bool, check_every: int
    ) -> None:
        functools.update_wrapper(self, loss_fn)
        self.loss_fn, self.backend, self.exact = loss_fn, backend, exact
        self.check_every = check_every
        self.variants: list[Variant] = []
        self._signature = inspect.signature(loss_fn)
        kinds = [p.kind for p in self._signature.parameters.values()]
        plain = all(kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for kind in kinds)
        self._parameters = list(self._signature.parameters) if plain else []
        self._latest: Variant | None = None

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """The loss and the gradients by name, `(loss, grads)`; `(loss, grads, aux)` where there is more."""
        return self._returned(self._result(self._bound(args, keywords)))

    def backward(self, *args: Any, **keywords: Any) -> Any:
        """Run the step and add the gradients to `.grad` of the parameters; returns the loss, or (loss, aux)."""
        bound = self._bound(args, keywords)
        result = self._result(bound)
        changes = Changes()
        for name, dx in result.grads.items():
            leaf = result.owners[name]
            changes.grad(leaf, dx if leaf._grad is None else leaf._grad.data + dx)
        changes.commit()
        return result.loss if result.aux is None else (result.loss, result.aux)

    def _result(self, bound: dict[str, Any]) -> Result:
        """What the program gives; in a debugger, or in search of anomalies, what the engine gives.

        A recorder gets the loss and the gradients of the program, not of the engine's comparison.
        """
        if not driven_plainly():
            return self.eager(bound)
        recorder = open_recorder()
        if recorder is None:
            return self._run(bound)
        plain = driver.set(backward_steps)
        try:
            result = self._run(bound)
        finally:
            driver.reset(plain)
        grads = {result.owners[name]: dx for name, dx in result.grads.items()}
        recorder.note_step(result.loss, grads)
        return result

    @property
    def source(self) -> str:
        """The text of the program that ran last."""
        return self._last().built.source

    @property
    def file(self) -> str:
        """The file of the program that ran last: set breakpoints there."""
        return self._last().built.file

    def explain(self) -> str:
        """What left the loops and what stayed, and why, in words."""
        from minigrad.program.explanation import explanation

        return explanation(self._last().built)

    def render(self, path: str | os.PathLike[str], title: str = "") -> str:
        """Draw the plan of the program that ran last to a file: what is computed once, for all
        steps at once, step by step, or summed up after the loops.  Returns the path."""
        from minigrad.program.picture import picture
        from minigrad.render.draw import save

        built = self._last().built
        return save(path, lambda: picture(built, title))

    def _last(self) -> Variant:
        if self._latest is None:
            raise ValueError("compile: nothing is compiled yet; call the step once")
        return self._latest

    def _bound(self, args: Any, keywords: Any) -> dict[str, Any]:
        if not keywords and len(args) == len(self._parameters):
            return dict(zip(self._parameters, args, strict=True))
        bound = self._signature.bind(*args, **keywords)
        bound.apply_defaults()
        return dict(bound.arguments)

    def _returned(self, result: Result) -> Any:
        if result.aux is None:
            return result.loss, result.grads
        return result.loss, result.grads, result.aux

    def _run(self, bound: dict[str, Any]) -> Result:
        given = flat(bound)
        latest = self._latest
        if latest is not None and (sizes := latest.sizes(given)) is not None:
            return self._served(latest, bound, given, sizes)
        for variant in self.variants:
            sizes = variant.sizes(given)
            if sizes is not None:
                self._latest = variant
                return self._served(variant, bound, given, sizes)
        return self._first(bound, given)

    def _served(
        self, variant: Variant, bound: dict[str, Any], given: Given, sizes: dict[str, int]
    ) -> Result:
        """Run the program, and compare it where that is due."""
        due = self.check_every and variant.calls % self.check_every == 0
        if not due and not variant.is_new(sizes):
            variant.calls += 1
            return variant.run(given, sizes)
        graphs: list[Graph] = []
        random = Rewinder(bound)
        wanted = self.eager(bound, graphs)
        random.rewind()
        if window_of(graphs[0]) not in (0, variant.window):
            self.variants.remove(variant)  # it was made of a step too short to be cut
            self._latest = None
            return self._first(bound, given)
        try:
            return self._checked(variant, given, sizes, wanted, graphs[0])
        except WrongProgramError:
            if variant.is_shorter(sizes):  # too short for a step like the others: it runs eagerly
                return wanted
            raise

    def _first(self, bound: dict[str, Any], given: Given) -> Result:
        """Run eagerly, make a program, and compare the two."""
        graphs: list[Graph] = []
        random = Rewinder(bound)
        wanted = self.eager(bound, graphs)
        random.rewind()
        variant = Variant(self, bound, steps_of(graphs[0].nodes), window_of(graphs[0]))
        sizes = variant.sizes(given)
        if sizes is None:
            raise CompileError("compile: sequences that go together have different lengths")
        try:
            result = self._checked(variant, given, sizes, wanted, graphs[0])
        except WrongProgramError:
            raise
        except Exception as error:
            raise CompileError(
                f"compile: what the function does depends on the length of a sequence in a way that no "
                f"program can follow ({error}); compute it from all steps, or pass it as an argument"
            ) from error
        self.variants.append(variant)
        self._latest = variant
        return result

    def _checked(
        self,
        variant: Variant,
        given: Given,
        sizes: dict[str, int],
        wanted: Result,
        graph: Graph,
    ) -> Result:
        """Run the program; raise where it differs from the engine, with the first line that it lacks."""
        found = variant.run(given, sizes)
        try:
            compare(found, wanted, self.exact)
        except WrongProgramError as error:
            other = (x for x in graph.nodes if x.op is not None and site(x) not in variant.sites)
            unknown = next(other, None)
            if unknown is None:
                raise
            text = f"{error}\n  the first operation that was not recorded:  {unknown.describe()}"
            raise WrongProgramError(text) from None
        variant.note_checked(sizes)
        variant.calls += 1
        return found

    def eager(self, bound: dict[str, Any], graphs: list[Graph] | None = None) -> Result:
        """The same step by the engine; its graph is added to `graphs`."""
        graph, aux = outcome(self.loss_fn(**bound))
        if graphs is not None:
            graphs.append(graph)
        table = begin(graph)
        for _ in driver.get()(graph, table):
            pass
        given, sums = leaves(bound), table.grads
        named = {name: given[path] for path, name in names_of_gradients(bound).items()}
        owners = {name: leaf for name, leaf in named.items() if leaf in sums}
        grads = {name: sums[leaf] for name, leaf in owners.items()}
        plain = None if aux is None else rebuilt(aux, iter([x.data for x in tensors(aux)]))
        return Result(graph.outputs[0].data[()], grads, plain, owners)


def compare(found: Result, wanted: Result, exact: bool) -> None:
    """Raise `WrongProgramError` where the program and the engine give different numbers."""
    pairs = [("the loss", found.loss, wanted.loss)]
    missing = found.grads.keys() ^ wanted.grads.keys()
    if missing:
        raise WrongProgramError(
            f"compile: gradients of {', '.join(sorted(missing))} in one of two passes"
        )
    pairs += [(f"the gradient of {k}", found.grads[k], dx) for k, dx in wanted.grads.items()]
    others = zip(arrays(found.aux), arrays(wanted.aux), strict=True)
    pairs += [(f"output number {k}", mine, its) for k, (mine, its) in enumerate(others, 1)]
    sizes = [float(np.max(np.abs(dx), initial=0)) for dx in wanted.grads.values()]
    largest = max([size for size in sizes if np.isfinite(size)], default=0.0)
    for name, mine, its in pairs:
        if not alike(np.asarray(mine), np.asarray(its), exact, largest):
            raise WrongProgramError(
                f"compile: {name} differs from eager's: {_largest(mine, its):.3g} at most, "
                f"of values up to {float(np.max(np.abs(its), initial=0)):.3g}; "
                "where a comparison decides between equal numbers, exact=True keeps eager's order of "
                "operations; else please report it, with the function"
            )


def alike(mine: Array, its: Array, exact: bool, largest: float = 0.0) -> bool:
    """Whether two arrays agree: to the bit, or relative to their largest entry.

    Terms that cancel may leave rounding errors of the size of the largest gradient of all.
    """
    if mine.shape != its.shape or mine.dtype != its.dtype:
        return False
    if exact:
        return np.array_equal(mine, its, equal_nan=True)
    finite = np.isfinite(its)
    if not np.array_equal(finite, np.isfinite(mine)):
        return False
    size = float(np.max(np.abs(its[finite]), initial=0))
    limit = 1e-3 if its.dtype == np.float32 else 1e-8
    rounding = 8 * np.finfo(its.dtype).eps * largest if its.dtype.kind == "f" else 0
    return bool(_largest(mine[finite], its[finite]) <= limit * size + rounding)


def arrays(aux: Any) -> list[Array]:
    """The arrays in a structure, in order."""
    if isinstance(aux, Array | np.generic):
        return [np.asarray(aux)]
    if isinstance(aux, dict):
        return [x for part in aux.values() for x in arrays(part)]
    if isinstance(aux, tuple | list):
        return [x for part in aux for x in arrays(part)]
    return []


def _largest(mine: Any, its: Any) -> float:
    difference = np.abs(np.asarray(mine, np.float64) - np.asarray(its, np.float64))
    return float(np.max(difference, initial=0))


def rebuilt(aux: Any, parts: Any) -> Any:
    """The structure of aux with arrays in place of its tensors."""
    if isinstance(aux, Tensor):
        return next(parts)
    if isinstance(aux, dict):
        return {key: rebuilt(part, parts) for key, part in aux.items()}
    if isinstance(aux, tuple | list):
        found = [rebuilt(part, parts) for part in aux]
        return type(aux)(*found) if hasattr(aux, "_fields") else type(aux)(found)
    return aux


def _value(leaf: Any) -> Any:
    return leaf._array if isinstance(leaf, Tensor) else leaf


def compile(
    loss_fn: Callable[..., Any] | None = None,
    *,
    backend: str = "auto",
    exact: bool = False,
    check_every: int = 0,
) -> Any:
    """A training step as a program: its forward and backward pass, written out once and run fast.

    loss_fn(net, xs, targets, ...) returns a loss, a `Graph` of one (edited, if you like), or
    (loss, aux) with aux a structure of tensors.  `step = compile(loss_fn)`, or as a decorator; then
    `loss, grads = step(net, xs, targets)`, grads by the names of the parameters; `step.backward(...)`
    adds them to `.grad`.  T, the length of the sequences, may change from call to call.

    backend: "numpy", "c" (the loops as native code), or "auto": C where a compiler is found.
    exact: no sum is reordered, so that the NumPy program gives eager's numbers bit for bit.
    check_every: compare with eager at every so many calls; the first call is always compared.

    Raises ValueError (`CompileError`) for what cannot be compiled, with the line and the remedy.

    >>> import minigrad as mg, numpy as np
    >>> def loss_fn(w, xs):
    ...     h = mg.tensor(0.0)
    ...     for t, x in mg.timesteps(xs): h = np.tanh(w * h + x)
    ...     return h * h
    >>> step = mg.compile(loss_fn, backend="numpy")
    >>> w = mg.tensor(0.5, requires_grad=True, name="w")
    >>> loss, grads = step(w, np.linspace(0, 1, 20, dtype=np.float32))
    >>> f"{loss:.4f} {grads['w']:.4f}"
    '0.7989 0.3565'
    """
    if backend not in ("auto", "numpy", "c"):
        raise ValueError(f"compile: backend must be 'auto', 'numpy' or 'c', found {backend!r}")
    if loss_fn is None:
        return functools.partial(compile, backend=backend, exact=exact, check_every=check_every)
    if not callable(loss_fn):
        raise TypeError(f"compile: a function is needed, found {type(loss_fn).__name__}")
    return Step(loss_fn, backend, exact, check_every)
