"""Does a cell keep the promises that the rest of the package builds on?  One call, one report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

import minigrad as mg
from nn.cell import Cell, prepared, run_step, step_of
from nn.padding import take_apart
from nn.parameter import Buffer, Parameter
from nn.structure import State, flatten, leaf_names, map_structure, named_leaves
from nn.unroll import checked_cell, unroll

FULL = 1000  # up to so many derivatives, each is compared
MAY_BE_KEPT = (np.random.Generator,)  # what forward may change on self


class CellReport(dict[str, str]):
    """The name of each check, and "ok" or what is wrong; `ok` is True if nothing is."""

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(found.startswith("ok") for found in self.values())

    def __repr__(self) -> str:
        parts = [f"{check}: {found}" for check, found in self.items()]
        if not self.ok:
            return "\n".join(parts)
        return "\n".join([" | ".join(parts[:3]), " | ".join(parts[3:])])


def check_cell(
    cell: Cell,
    x: Any = None,
    *,
    steps: int = 4,
    batch_size: int = 3,
    seed: int = 0,
    effort: int = 1_000_000,
    **extras: Any,
) -> CellReport:
    """Check the promises that unrolling, stacking, lengths and the debugger build on.

    The state comes out as it went in (structure, shapes, dtypes); rows of a batch do not touch each
    other; nothing is kept on self; gradients agree with central differences in float64, and so do
    second derivatives.  Reported where they are broken: trained tensors are `nn.Parameter`s of one
    dtype; all numbers are finite; random numbers come from a seeded generator.
    The states are those that the cell reaches from its initial state on random inputs.

    x: one step of input (B, ...), where the size that the cell takes cannot be found by trying, or
    where only some numbers make sense: inputs are then drawn around it.
    effort: how many operations each derivative check may run, about; of a cell with more, a sample
    of the parameters and inputs is checked, and the report says how many.
    Further arguments go to the cell's `prepare`.

    >>> import nn
    >>> report = nn.check_cell(nn.GRUCell(3, 4)); report  # doctest: +ELLIPSIS
    state out = state in: ok | rows of a batch independent: ok | nothing kept on self: ok
    gradients (float64 copy, T = 4): ok, worst ... at ... | second order: ok
    """
    checked_cell("check_cell", cell)
    modes = [(module, module.training) for module in cell.modules()]
    cell.eval()  # dropout and the like are off
    try:
        if found := _owned(cell):
            return CellReport({"parameters": found})
        rng = np.random.default_rng(seed)
        with np.errstate(all="ignore"):  # what is not finite is reported
            sample = _Sample(cell, x, steps, batch_size, rng, extras)
            return _Checks(sample, effort).report()
    finally:
        for module, mode in modes:
            module.training = mode


class _Sample:
    """A cell, and the inputs and the state that it is checked with."""

    def __init__(
        self,
        cell: Cell,
        x: Any,
        steps: int,
        batch_size: int,
        rng: np.random.Generator,
        extras: Mapping[str, Any],
    ) -> None:
        self.cell = cell
        self.extras = extras
        self.before = dict(_attributes(cell))
        self.generators = _generators(cell)
        with mg.no_grad():
            given = x is not None
            like = map_structure(_array, x) if given else example_input(cell, batch_size, extras)
            batch = flatten(like)[0].shape[:1]
            self.initial = cell.initial_state(*batch)
            self.state = self._reached(_draw(like, steps, given, rng, cell.dtype))
            self.xs = _draw(like, steps, given, rng, cell.dtype)
            self.other_xs = _draw(like, steps, given, rng, cell.dtype)
            self.other_state = self._reached(_draw(like, steps, given, rng, cell.dtype))
        names = iter(leaf_names(like, "x"))
        self.xs = map_structure(lambda x: _variable(x, next(names)), self.xs)
        self.names = leaf_names(self.state)
        names = iter([f"{name}_init" for name in self.names])
        self.state = map_structure(lambda s: _variable(s, next(names)), self.state)

    def _reached(self, xs: Any) -> State:
        """The state after a run on xs; the initial one if that fails, which a check will tell."""
        try:
            reached = self.run(xs, self.initial)[1]
        except Exception:
            return self.initial
        if not all(np.isfinite(s.data).all() for s in flatten(reached)):
            return self.initial
        return map_structure(lambda s, like: s.data.astype(like.dtype), reached, self.initial)

    def run(self, xs: Any, state: State) -> tuple[list[Any], State]:
        """The y_t and the last state of a run, which draws the same random numbers each time."""
        for generator, before in self.generators:
            generator.bit_generator.state = before
        return unroll(self.cell, take_apart("check_cell", xs), state, extras=self.extras)

    def outputs(self) -> list[mg.Tensor]:
        """All that comes out of a run."""
        ys, state = self.run(self.xs, self.state)
        return [*flatten(ys), *flatten(state)]

    def name_of(self, k: int) -> str:
        """What output number k is called."""
        return self.names[k - len(self.outputs())] if k >= self.y_count() else "y"

    def y_count(self) -> int:
        """How many of the outputs are parts of y."""
        return len(self.outputs()) - len(self.names)

    def step(self) -> Any:
        """What forward returns for the first step."""
        context = step_of(prepared(self.cell, self.xs, self.extras), 0)
        return run_step(self.cell, map_structure(lambda x: x[0], self.xs), self.state, context)


class _Checks:
    def __init__(self, sample: _Sample, effort: int) -> None:
        self.sample = sample
        self.effort = effort
        self.random = ""  # how two runs on one input differ

    def report(self) -> CellReport:
        report = CellReport()
        report["state out = state in"] = _attempt(self.state_kept)
        if found := _attempt(self.finite):
            report["finite"] = found
            return report
        if found := _attempt(self.seeded):
            report["random numbers"] = found
        report["rows of a batch independent"] = _attempt(self.rows_independent)
        report["nothing kept on self"] = _attempt(self.nothing_kept)
        T = flatten(self.sample.xs)[0].shape[0]
        report[f"gradients (float64 copy, T = {T})"] = _attempt(self.gradients)
        report["second order"] = _attempt(self.second_order)
        return report

    def state_kept(self) -> str:
        sample = self.sample
        _, new = sample.cell.check_result(sample.step(), sample.state)
        for (name, s_prev), s in zip(named_leaves(sample.state), flatten(new), strict=True):
            if s.dtype != s_prev.dtype:
                return (
                    f"FAILED: {name} goes in as {s_prev.dtype} and comes out as {s.dtype}"
                    f"{_other_dtypes(sample.cell)}"
                )
        return "ok"

    def finite(self) -> str:
        """What is not finite, and the line that made it; "" if all is."""
        outputs = [_array(y) for y in self.sample.outputs()]
        if all(np.isfinite(y).all() for y in outputs if y.dtype.kind == "f"):
            return ""
        try:
            with mg.detect_anomaly():
                self.sample.outputs()
        except FloatingPointError as error:
            return f"FAILED: {error}"
        names = [p.name for p in self.sample.cell.parameters() if not np.isfinite(p.data).all()]
        where = f": parameter {names[0]}" if names else ""
        return f"FAILED: outputs are not finite{where}"

    def seeded(self) -> str:
        """Whether random numbers are drawn that no seed repeats; "" if not."""
        first, again = self.sample.outputs(), self.sample.outputs()
        for k, (a, b) in enumerate(zip(first, again, strict=True)):
            if not np.array_equal(a.data, b.data, equal_nan=True):
                name = self.sample.name_of(k)
                self.random = f"two runs on one input give another {name}"
                return (
                    f"FAILED: {self.random}; draw random numbers from mg.generator(), "
                    "or from a generator that is an attribute of the cell"
                )
        return ""

    def rows_independent(self) -> str:
        if self.random:
            return f"FAILED: cannot be told, because {self.random}"
        sample = self.sample
        before, _ = sample.outputs(), None
        xs = map_structure(_with_other_row, sample.xs, sample.other_xs)
        state = map_structure(_with_other_row, sample.state, sample.other_state)
        ys, last = sample.run(xs, state)
        after = [*flatten(ys), *flatten(last)]
        for k, (a, b) in enumerate(zip(before, after, strict=True)):
            if not _close(a.data[1:], b.data[1:]):
                name = sample.name_of(k)
                return f"FAILED: another input in row 0 changes {name} in other rows"
        return "ok"

    def nothing_kept(self) -> str:
        self.sample.step()
        changed = []
        for name, value in _attributes(self.sample.cell):
            before = self.sample.before.get(name, _NOTHING)
            if not _is_same(before, value):
                changed.append(name)
        if changed:
            names = ", ".join(changed)
            return f"FAILED: forward changes {names}; return it as a part of the state"
        return "ok"

    # derivatives

    def inputs(self) -> list[mg.Tensor]:
        """Everything to differentiate by: parameters, floats of the input, leaves of the state.

        A leaf of whole numbers is a counter: it is not differentiated.
        """
        sample = self.sample
        state = [s for s in flatten(sample.state) if not _counts(s.data)]
        found = [*sample.cell.parameters(), *flatten(sample.xs), *state]
        return [x for x in found if x.dtype.kind == "f"]

    def gradients(self) -> str:
        if self.random:
            return f"FAILED: not deterministic: {self.random}"
        inputs = self.inputs()
        size, run = sum(x.size for x in inputs), self._operations()
        full = size <= FULL and 2 * size * run <= self.effort
        count = None if full else self._affordable(inputs, run)
        report = mg.gradcheck(self.sample.outputs, inputs, full=full, sample=count)
        worst = str(report.worst).partition(":")[0]
        return f"ok, worst {worst}{_sampled(count, inputs)}"

    def second_order(self) -> str:
        if self.random:
            return f"FAILED: not deterministic: {self.random}"
        inputs = self.inputs()
        # the gradients of a run are about five times as many operations as the run
        count = self._affordable(inputs, 5 * self._operations())
        mg.gradgradcheck(self.sample.outputs, inputs, sample=count)
        return f"ok{_sampled(count, inputs)}"

    def _operations(self) -> int:
        """How many operations one run has."""
        return len(mg.Graph(*[y for y in self.sample.outputs() if y.requires_grad]))

    def _affordable(self, inputs: list[mg.Tensor], operations: int) -> int:
        """For how many of the inputs the effort suffices, at six runs for each."""
        return min(len(inputs), max(1, self.effort // (6 * operations)))


_NOTHING = object()


def _attempt(check: Callable[[], str]) -> str:
    """What a check found; an error in the cell is a finding too."""
    try:
        return str(check())
    except Exception as error:
        return f"FAILED: {type(error).__name__}: {error}".partition("\n")[0]


def _sampled(count: int | None, inputs: list[mg.Tensor]) -> str:
    if count is None or count == len(inputs):
        return ""
    return f" ({count} of {len(inputs)} parameters and inputs sampled)"


# attributes of a cell


def _owned(cell: Cell) -> str:
    """What is wrong with the parameters of a cell; "" if nothing is."""
    for path, module in cell.named_modules():
        for name, value in vars(module).items():
            for leaf in flatten(value):
                if isinstance(leaf, mg.Tensor) and leaf.requires_grad:
                    problem = _not_a_parameter(
                        leaf, f"self.{path}.{name}" if path else f"self.{name}"
                    )
                    if problem:
                        return f"FAILED: {problem}"
    dtypes = {name: p.dtype for name, p in cell.named_parameters()}
    first = next(iter(dtypes), "")
    for name, dtype in dtypes.items():
        if dtype != dtypes[first]:
            return (
                f"FAILED: parameter {name} is {dtype}, and {first} is {dtypes[first]}; "
                "all need one dtype"
            )
    return ""


def _not_a_parameter(leaf: mg.Tensor, where: str) -> str:
    if isinstance(leaf, Parameter):
        return ""
    if leaf.is_leaf:
        return (
            f"{where} requires grad but is no nn.Parameter, so nobody trains or saves it; "
            f"write {where} = nn.Parameter(...)"
        )
    return (
        f"{where} was computed once, when the cell was made, and does not follow its parameters; "
        "compute it in forward or in prepare"
    )


def _other_dtypes(cell: Cell) -> str:
    """The buffers whose dtype is not that of the parameters, for a message."""
    others = [
        f"buffer {name} is {b.dtype}"
        for name, b in cell.named_buffers()
        if b.dtype.kind == "f" and b.dtype != cell.dtype
    ]
    return f" ({', '.join(others)})" if others else ""


def _attributes(cell: Cell) -> Iterator[tuple[str, Any]]:
    """Every attribute of the cell and of the modules in it, with what tells whether it changed."""
    for path, module in cell.named_modules():
        for name, value in vars(module).items():
            if not isinstance(value, MAY_BE_KEPT):
                yield f"self.{path}.{name}" if path else f"self.{name}", (value, _content(value))


def _content(value: Any) -> Any:
    """What shows a change in place: the size of a container, the data of an array."""
    if isinstance(value, list | dict | set):
        return len(value)
    if isinstance(value, Parameter | Buffer):
        return value.data
    return value.copy() if isinstance(value, np.ndarray) else None


def _is_same(before: Any, now: Any) -> bool:
    if before is _NOTHING or before[0] is not now[0]:
        return False
    if isinstance(now[1], np.ndarray):
        return now[1] is before[1] or np.array_equal(before[1], now[1], equal_nan=True)
    return bool(before[1] == now[1])


def _generators(cell: Cell) -> list[tuple[np.random.Generator, Any]]:
    """The generators that a cell may draw from, with their states."""
    found = [mg.generator()]
    for module in cell.modules():
        found += [value for value in vars(module).values() if isinstance(value, MAY_BE_KEPT)]
    return [(generator, generator.bit_generator.state) for generator in found]


# inputs


def example_input(
    cell: Cell, batch_size: int, extras: Mapping[str, Any] | None = None
) -> np.ndarray[Any, Any]:
    """One step of input (B, D) of the first size that the cell takes.

    That is its `input_size`, or found by trying.  Raises ValueError if it takes none.
    """
    sizes = [n for p in cell.parameters() for n in p.shape]
    tried = [*sizes, *range(1, max([16, *sizes]) + 1)]
    if hasattr(cell, "input_size"):
        tried = [cell.input_size]
    state, problem = cell.initial_state(batch_size), None
    for size in dict.fromkeys(tried):
        x = np.zeros((batch_size, size), cell.dtype)
        try:
            xs = mg.tensor(x[None])
            run_step(cell, xs[0], state, step_of(prepared(cell, xs, extras or {}), 0))
            return x
        except Exception as error:  # whatever a cell does with an input that it does not take
            problem = error
    raise ValueError(
        f"check_cell: {cell.scope_name} takes no input (B, D) that was tried; pass x=: {problem}"
    ) from problem


def _array(x: Any) -> np.ndarray[Any, Any]:
    return np.asarray(x.data if isinstance(x, mg.Tensor) else x)


def _draw(like: Any, steps: int, given: bool, rng: np.random.Generator, dtype: Any) -> Any:
    """A sequence of inputs: random numbers, or numbers around an example; tokens as they are."""

    def draw(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        xs = np.stack([x] * steps)
        if x.dtype.kind != "f":
            return xs
        noise = rng.standard_normal(xs.shape)
        # around an example, numbers keep their sign
        return np.asarray(xs * np.exp(0.1 * noise) if given and x.any() else noise, dtype)

    return map_structure(draw, like)


def _variable(x: Any, name: str) -> mg.Tensor:
    """A leaf that can be differentiated by, if it holds floats."""
    array = _array(x)
    return mg.tensor(array, requires_grad=array.dtype.kind == "f", name=name)


def _with_other_row(x: mg.Tensor, other: Any) -> mg.Tensor:
    """x, but row 0 of another sequence or state; the batch is the axis before a state's sizes."""
    array = np.array(x.data)
    if x.name and x.name.endswith("_init"):
        array[0] = _array(other)[0]
    else:
        array[:, 0] = _array(other)[:, 0]
    return mg.tensor(array)


def _counts(array: np.ndarray[Any, Any]) -> bool:
    """Whether an array holds whole numbers and not only zeros, as a count of steps does."""
    return bool(array.any() and np.array_equal(array, np.round(array)))


def _close(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Whether all numbers are equal up to rounding, relative to the largest."""
    if a.dtype.kind != "f":
        return np.array_equal(a, b)
    scale = max(float(np.abs(a).max(initial=0)), float(np.abs(b).max(initial=0)))
    eps = float(np.finfo(a.dtype).eps)
    return bool(np.allclose(a, b, rtol=1e3 * eps, atol=100 * eps * scale))
