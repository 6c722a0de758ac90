"""Is this cell a cell?  One call, one report.  And a table of a module's parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import minigrad as mg
from nn.cell import Cell, run_step
from nn.module import Module
from nn.padding import take_apart
from nn.structure import leaf_names, map_structure, named_leaves
from nn.unroll import checked_cell, unroll


class CellReport(dict[str, str]):
    """What was checked, and "ok" or what is wrong; `ok` is True when nothing is."""

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(found.startswith("ok") for found in self.values())

    def __repr__(self) -> str:
        parts = [f"{what}: {found}" for what, found in self.items()]
        return "\n".join([" | ".join(parts[:3]), " | ".join(parts[3:])] if self.ok else parts)


def check_cell(
    cell: Cell, x: Any = None, *, steps: int = 4, batch_size: int = 3, seed: int = 0
) -> CellReport:
    """Check that a cell keeps the promises that unrolling, stacking, lengths and the debugger build
    on.

    The state comes out as it went in (structure, shapes, dtypes); rows of a batch do not touch each
    other; nothing is kept on self; gradients agree with central differences in float64, and so do
    second derivatives. x: one step of input (B, D), where the size that the cell takes cannot be
    found by trying.

    >>> import nn
    >>> report = nn.check_cell(nn.GRUCell(3, 4)); report  # doctest: +ELLIPSIS
    state out = state in: ok | rows of a batch independent: ok | nothing kept on self: ok
    gradients (float64 copy, T = 4): ok, worst ... at ... | second order: ok
    """
    checked_cell("check_cell", cell)
    training = [(module, module.training) for _, module in cell.named_modules()]
    cell.eval()  # random numbers off
    try:
        return _Checks(cell, x, steps, batch_size, np.random.default_rng(seed)).report()
    finally:
        for module, mode in training:
            module.training = mode


class _Checks:
    def __init__(
        self, cell: Cell, x: Any, steps: int, batch_size: int, rng: np.random.Generator
    ) -> None:
        self.cell, self.steps, self.rng = cell, steps, rng
        self.before = dict(_attributes(cell))
        with mg.no_grad():
            x = example_input(cell, batch_size) if x is None else np.asarray(x)
            state = cell.initial_state(*x.shape[:1])
        real = x.dtype.kind == "f"  # else tokens
        xs = (
            rng.standard_normal((steps, *x.shape)).astype(cell.dtype)
            if real
            else np.stack([x] * steps)
        )
        self.x = mg.tensor(xs, requires_grad=real, name="x")
        names = iter([f"{name}_init" for name in leaf_names(state)])
        self.state = map_structure(lambda s: self._random_state(s, next(names)), state)

    def _random_state(self, like: mg.Tensor, name: str) -> mg.Tensor:
        return mg.tensor(
            0.5 * self.rng.standard_normal(like.shape).astype(like.dtype),
            requires_grad=True,
            name=name,
        )

    def report(self) -> CellReport:
        inputs = [*self.cell.parameters(), self.x, *[s for _, s in named_leaves(self.state)]]
        full = sum(x.size for x in inputs) <= 1000
        checks: dict[str, Callable[[], Any]] = {
            "state out = state in": self.state_kept,
            "rows of a batch independent": self.rows_independent,
            "nothing kept on self": self.nothing_kept,
            f"gradients (float64 copy, T = {self.steps})": lambda: (
                f"ok, worst {str(mg.gradcheck(self.outputs, inputs, full=full).worst).partition(':')[0]}"
            ),
            "second order": lambda: mg.gradgradcheck(self.outputs, inputs) and "ok",
        }
        return CellReport({what: _attempt(check) for what, check in checks.items()})

    def outputs(self) -> list[mg.Tensor]:
        """All that comes out of some steps."""
        ys, state = unroll(self.cell, take_apart("check_cell", self.x), self.state)
        return [*ys, *[s for _, s in named_leaves(state)]]

    def state_kept(self) -> str:
        _, new = self.cell.check_result(run_step(self.cell, self.x[0], self.state), self.state)
        for (name, s_prev), (_, s) in zip(named_leaves(self.state), named_leaves(new), strict=True):
            if s.dtype != s_prev.dtype:
                return f"FAILED: {name} goes in as {s_prev.dtype} and comes out as {s.dtype}"
        return "ok"

    def rows_independent(self) -> str:
        before, x, state = self.outputs(), self.x, self.state
        first = x.data[:, :1] + 1 if x.requires_grad else x.data[:, 1:2]
        self.x = mg.tensor(np.concatenate([first, x.data[:, 1:]], axis=1))
        self.state = map_structure(
            lambda s: mg.tensor(np.concatenate([s.data[:1] + 1, s.data[1:]])), state
        )
        after, (self.x, self.state) = self.outputs(), (x, state)
        for a, b in zip(before, after, strict=True):
            if not np.allclose(a.data[1:], b.data[1:], rtol=1e-4, atol=1e-6):
                return f"FAILED: another input in row 0 changes {a.role.name if a.role else 'y'} in other rows"
        return "ok"

    def nothing_kept(self) -> str:
        run_step(self.cell, self.x[0], self.state)
        changed = []
        for name, (value, size) in _attributes(self.cell):
            old, old_size = self.before.get(name, (None, 0))
            changed += [name] if old is not value or old_size != size else []
        return (
            f"FAILED: forward changes {', '.join(changed)}; return it as a part of the state"
            if changed
            else "ok"
        )


def _attempt(check: Callable[[], Any]) -> str:
    """What a check found; an error in the cell is a finding too."""
    try:
        return str(check())
    except Exception as error:
        return f"FAILED: {type(error).__name__}: {error}".partition("\n")[0]


def _attributes(cell: Cell) -> Iterator[tuple[str, Any]]:
    """Every attribute of the cell and of the modules in it, and its size, which tells whether a
    container has grown.
    """
    for path, module in cell.named_modules():
        for name, value in vars(module).items():
            size = len(value) if isinstance(value, list | dict | set) else 0
            yield f"self.{path}.{name}" if path else f"self.{name}", (value, size)


def example_input(cell: Cell, batch_size: int) -> np.ndarray[Any, Any]:
    """One step of input, of the first size that the cell takes: its `input_size`, or found by
    trying.
    """
    sizes = [n for p in cell.parameters() for n in p.shape]
    tried = (
        [cell.input_size]
        if hasattr(cell, "input_size")
        else [*sizes, *range(1, max([16, *sizes]) + 1)]
    )
    state, problem = cell.initial_state(batch_size), None
    for size in dict.fromkeys(tried):
        x = np.zeros((batch_size, size), cell.dtype)
        try:
            run_step(cell, mg.tensor(x), state)
            return x
        except Exception as error:  # whatever a cell does with an input that it does not take
            problem = error
    raise ValueError(
        f"check_cell: {cell.scope_name} takes no input (B, D) that was tried; pass x=: {problem}"
    ) from problem


def summary(module: Module) -> str:
    """A table of the parameters and buffers: name, shape, how many numbers; and the total.

    >>> import nn
    >>> print(nn.summary(nn.LSTM(3, 4)))
    LSTM(3, 4)
    l0.W_xh   (3, 16)        48
    l0.W_hh   (4, 16)        64
    l0.b_h      (16,)        16
    total                   128  (512 bytes)
    """
    state = module.state_dict()
    width = max([len("total"), *map(len, state)])
    shape = max([0, *[len(str(value.shape)) for value in state.values()]]) + 2
    rows = [
        f"{name:<{width}}{value.shape!s:>{shape}}{value.size:>10}" for name, value in state.items()
    ]
    total = sum(value.size for value in state.values())
    size = sum(value.nbytes for value in state.values())
    head = f"{type(module).__name__}({module.describe()})"
    return "\n".join([head, *rows, f"{'total':<{width + shape}}{total:>10}  ({size} bytes)"])
