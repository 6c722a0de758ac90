"""The properties that every cell should have: a suite that a user's cell can run, too.

@pytest.mark.parametrize("name", nn.testing.PROPERTIES)
def test_my_cell(name):
    nn.testing.check(name, lambda: MyCell(3, 4), xs)
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

import minigrad as mg
from nn.cell import Cell, prepared, run_step, step_of
from nn.check import check_cell
from nn.checkpoint import load, save
from nn.layers import Bidirectional, Stacked
from nn.padding import Steps, take_apart
from nn.structure import flatten, map_structure
from nn.truncated import tbptt
from nn.unroll import Unroll

Make = Callable[[], Cell]


class PropertyError(AssertionError):
    """A property that a cell has not."""


class _Setting:
    """A cell in float64 and evaluation mode, a sequence for it, and what its layers put out."""

    def __init__(self, make: Make, xs: Any, extras: Mapping[str, Any]) -> None:
        self.make = make
        self.xs = xs
        self.extras = dict(extras)
        self.cell = self.new()
        self.taken: Steps = take_apart("testing", map_structure(_float64, xs))

    def new(self) -> Cell:
        """A cell with the parameters of the first one."""
        mg.seed(0)
        return self.make().eval()

    def unrolled(self, cell: Cell, xs: Any = None, **options: Any) -> tuple[Any, Any]:
        """The outputs and the last state of a cell over the sequence."""
        return Unroll(cell)(self.taken.xs if xs is None else xs, **options, **self.extras)


def check(name: str, make: Make, xs: Any, **extras: Any) -> None:
    """Raise PropertyError unless the cell has one of the PROPERTIES.

    make: a function that makes the cell.  It is called with float64 as the default dtype.
    xs: a sequence (T, B, ...) for it, with T and B at least 2; a tensor, an array, a tuple or dict.
    Further arguments go to the cell's `prepare`.

    >>> import numpy as np, nn
    >>> nn.testing.check("lengths", lambda: nn.GRUCell(3, 4), np.ones((5, 2, 3)))
    """
    with _double():
        PROPERTIES[name](_Setting(make, xs, extras))


def suite(make: Make, xs: Any, **extras: Any) -> dict[str, str]:
    """Every property of a cell: "ok", or what is wrong.  Arguments as for `check`."""
    found = {}
    for name in PROPERTIES:
        try:
            check(name, make, xs, **extras)
            found[name] = "ok"
        except Exception as error:
            found[name] = f"FAILED: {type(error).__name__}: {error}"
    return found


def table(cells: Mapping[str, tuple[Make, Any]]) -> str:
    """The properties of several cells, one a row: a name → (make, xs).

    >>> import numpy as np, nn
    >>> print(nn.testing.table({"GRU": (lambda: nn.GRUCell(3, 4), np.ones((5, 2, 3)))}))
    cell  check_cell  unroll  stack  both ways  lengths  windows  save  numbers
    GRU   ok          ok      ok     ok         ok       ok       ok    ok
    """
    width = max([4, *map(len, cells)])
    lines = ["  ".join([f"{'cell':{width}}", *PROPERTIES])]
    for name, (make, xs) in cells.items():
        found = suite(make, xs)
        marks = [f"{found[key].partition(':')[0]:{len(key)}}" for key in PROPERTIES]
        lines.append("  ".join([f"{name:{width}}", *marks]).rstrip())
    return "\n".join(lines)


# the properties


def _passes_check_cell(setting: _Setting) -> None:
    x = map_structure(lambda x: x[0], setting.taken.xs)
    report = check_cell(setting.cell, x, effort=50_000, **setting.extras)
    _need(report.ok, repr(report))


def _unrolls(setting: _Setting) -> None:
    """Unrolling is the loop that one would write."""
    cell, taken = setting.cell, setting.taken
    y, last = setting.unrolled(cell)
    state = cell.initial_state(flatten(taken.steps[0])[0].shape[0])
    context = prepared(cell, taken.xs, setting.extras)
    for k, x in enumerate(taken.steps):
        y_t, state = run_step(cell, x, state, step_of(context, k))
        _same(map_structure(lambda part, k=k: part[k], y), y_t, f"y[{k}]")
    _same(last, state, "the last state")


def _stacks(setting: _Setting) -> None:
    """A stack of cells is one layer after the other."""
    upper = _Average()
    y, states = setting.unrolled(Stacked([setting.cell, upper]))
    below, state = setting.unrolled(setting.cell)
    above, _ = Unroll(upper)(below)
    _same(y, above, "y of the stack")
    _same(states[0], state, "the state of the lower layer")


def _runs_both_ways(setting: _Setting) -> None:
    """Two directions are one unrolling forwards and one in reverse."""
    other = setting.new()
    both = Bidirectional(setting.cell, other, join=lambda y, z: (y, z))
    (y, z), _ = both(setting.taken.xs, **setting.extras)
    _same(y, setting.unrolled(setting.cell)[0], "y forwards")
    _same(z, setting.unrolled(other, reverse=True)[0], "y backwards")


def _takes_lengths(setting: _Setting) -> None:
    """A row of a padded batch is that row alone, whatever the padding holds.

    With extras, which have batches of their own, only that padding changes nothing.
    """
    T, B = flatten(setting.taken.xs)[0].shape[:2]
    lengths = [max(1, T - b) for b in range(B)]
    padded = map_structure(lambda x: _with_padding(x, lengths), setting.taken.xs)
    y, state = setting.unrolled(setting.cell, padded, lengths=lengths)
    for b, n in enumerate(lengths):
        _need(not any(part.data[n:, b].any() for part in flatten(y)), f"y of row {b} after its end")
        if setting.extras:
            continue
        row = map_structure(lambda x, b=b, n=n: x[:n, b : b + 1], setting.taken.xs)
        y_b, state_b = setting.unrolled(setting.cell, row)
        _same(map_structure(lambda part, b=b, n=n: part[:n, b : b + 1], y), y_b, f"y of row {b}")
        _same(map_structure(lambda s, b=b: s[b : b + 1], state), state_b, f"state of row {b}")


def _runs_in_windows(setting: _Setting) -> None:
    """Windows of truncated BPTT put out what the whole sequence does."""
    y, state = setting.unrolled(setting.cell)
    layer = Unroll(setting.cell)
    windows = list(tbptt(layer, setting.taken.xs, k1=2, k2=3, **setting.extras))
    parts = [window.y for window in windows]
    _same(map_structure(lambda *ys: mg.concatenate(ys), *parts), y, "y in windows")
    _same(windows[-1].state, state, "the last state in windows")


def _saves_and_loads(setting: _Setting) -> None:
    """A file holds all that a cell's outputs depend on."""
    other = setting.make().eval()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "cell.npz")
        save(setting.cell, path)
        load(other, path)
    _same(setting.unrolled(other)[0], setting.unrolled(setting.cell)[0], "y after loading")


def _tells_true_numbers(setting: _Setting) -> None:
    """What gradient flow tells of a state is the gradient of that state, as `mg.grad` gives it."""
    y, last = setting.unrolled(setting.cell)
    loss = sum((part * part).sum() for part in [*flatten(y), *flatten(last)])
    graph = mg.Graph(loss)
    states = {(s.axis.name, s.scope, s.name): s for s in graph.states}
    paths = graph.gradient_flow(jacobians=False).paths
    _need(bool(paths), "gradient flow finds no state")
    for path in paths:
        state = states[path.axis, path.scope, path.state]
        for t, told in zip(path.t, path.total, strict=True):
            (gradient,) = mg.grad(loss, state.nodes[(t,)])
            true = 0.0 if gradient is None else float(np.linalg.norm(gradient.data))
            text = f"d{path.state} at t = {t} is {true:.6g}, and gradient flow tells {told:.6g}"
            _need(bool(np.isclose(told, true, rtol=1e-9, atol=1e-12)), text)


PROPERTIES: dict[str, Callable[[_Setting], None]] = {
    "check_cell": _passes_check_cell,
    "unroll": _unrolls,
    "stack": _stacks,
    "both ways": _runs_both_ways,
    "lengths": _takes_lengths,
    "windows": _runs_in_windows,
    "save": _saves_and_loads,
    "numbers": _tells_true_numbers,
}


class _Average(Cell):
    """s = (s_prev + mean of all parts of x) / 2: a layer that takes the output of any cell."""

    state_size = 1

    def forward(self, x: Any, s_prev: mg.Tensor) -> tuple[mg.Tensor, mg.Tensor]:
        """One step."""
        means = [part.reshape(len(part), -1).mean(axis=1, keepdims=True) for part in flatten(x)]
        s = (s_prev + sum(means) / len(means)) / 2
        return s, s


@contextmanager
def _double() -> Iterator[None]:
    before = mg.get_default_dtype()
    mg.set_default_dtype(np.float64)
    try:
        yield
    finally:
        mg.set_default_dtype(before)


def _float64(x: Any) -> mg.Tensor:
    array = np.asarray(x.data if isinstance(x, mg.Tensor) else x)
    return mg.tensor(array.astype(np.float64) if array.dtype.kind == "f" else array)


def _with_padding(x: mg.Tensor, lengths: list[int]) -> np.ndarray[Any, Any]:
    """x with NaN in the padding; tokens are repeated there."""
    array = np.array(x.data)
    if array.dtype.kind == "f":
        for b, n in enumerate(lengths):
            array[n:, b] = np.nan
    return array


def _need(holds: bool, text: str) -> None:
    if not holds:
        raise PropertyError(text)


def _same(found: Any, wanted: Any, name: str) -> None:
    """Raise unless two structures are equal up to rounding."""
    a, b = flatten(found), flatten(wanted)
    _need(len(a) == len(b), f"{name}: {len(a)} parts instead of {len(b)}")
    for x, y in zip(a, b, strict=True):
        _need(x.shape == y.shape, f"{name}: shape {x.shape} instead of {y.shape}")
        scale = max(1.0, float(np.abs(y.data).max(initial=0.0)))
        close = np.allclose(x.data, y.data, rtol=0, atol=1e-9 * scale)
        _need(close, f"{name}: differs by {np.abs(x.data - y.data).max(initial=0.0):.1e}")
