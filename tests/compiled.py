"""What `mg.compile` takes: every cell that the project knows, in every use; every loss and activation.

`python -m tests.compiled` prints the table.  Each entry is compiled and compared with the eager pass,
at two lengths; what cannot be compiled has to be refused, with a reason.
"""

from __future__ import annotations

import argparse
import importlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
import nn
from demos import custom_cells
from minigrad.columns import columns
from minigrad.program import native
from minigrad.program.draws import Rewinder
from minigrad.program.errors import CompileError
from nn.structure import flatten, map_structure
from tests.nn.paper_cells import CELLS as PAPERS
from tests.nn.paper_cells import SHAPES

B, D, H = 2, 3, 4
LENGTHS = (9, 5)

LIBRARY: dict[str, Callable[[], nn.Cell]] = {
    "RNN": lambda: nn.RNNCell(D, H),
    "RNN, relu": lambda: nn.RNNCell(D, H, nonlinearity="relu"),
    "LSTM": lambda: nn.LSTMCell(D, H),
    "GRU": lambda: nn.GRUCell(D, H),
    "GRU, reset before": lambda: nn.GRUCell(D, H, reset="before"),
    "residual": lambda: nn.Residual(nn.GRUCell(H, H)),
    "zoneout": lambda: nn.Zoneout(nn.LSTMCell(D, H)),
    "recurrent dropout": lambda: nn.RecurrentDropout(nn.LSTMCell(D, H)),
    "learned start": lambda: nn.LearnedInitialState(nn.LSTMCell(D, H)),
    "stacked": lambda: nn.Stacked([nn.LSTMCell(D, H), nn.GRUCell(H, H)], dropout=0.3),
}


def demo(name: str) -> Callable[[], nn.Cell]:
    """A cell of the folder of custom cells."""
    kind = getattr(importlib.import_module(f"demos.custom_cells.{name}"), custom_cells.CELLS[name])
    return lambda: kind(D, H)


CELLS = LIBRARY | {f"demo {name}": demo(name) for name in custom_cells.CELLS}
CELLS |= {f"paper {name}": made for name, made in PAPERS.items() if name not in ("tree-LSTM",)}


def shape_of(name: str) -> tuple[int, ...]:
    """Of one row of x."""
    return SHAPES.get(name.removeprefix("paper "), (H,) if name == "residual" else (D,))


def squares(parts: Any) -> Any:
    """The mean squares of all arrays in a structure, added up."""
    return sum((part * part).mean() for part in flatten(parts))


def every(net, xs):
    return squares(net(xs)[0])


def last(net, xs):
    return squares(map_structure(lambda y: y[-1], net(xs)[0]))


def final_state(net, xs):
    return squares(net(xs)[1])


def two_losses(net, xs):
    y, state = net(xs)
    return squares(y) + 0.1 * squares(state)


def running(net, xs):
    state, loss = net.cell.initial_state(B), 0.0
    for _, x in mg.timesteps(xs):
        y, state = net.cell(x, state)
        loss = loss + squares(y)
    return loss / len(xs)


def window(net, xs, state):
    y, state = net(xs, state)
    return squares(y), state


def with_lengths(net, xs, lengths):
    y, state = net(xs, lengths=lengths)
    return squares(y) + squares(state)


def truncated(net, xs):
    return mg.Graph(every(net, xs)).truncate(3)


def clipped(net, xs):
    return mg.Graph(every(net, xs)).clip_edges(max_norm=1e-3)


def cut(net, xs):
    graph = mg.Graph(every(net, xs))
    return graph.cut(name=graph.states[0].name)


def both(*cells):
    return nn.Bidirectional(*cells, join=-1)


class Use(NamedTuple):
    """A function of a network and a sequence, what else it takes, and what is built around the cell."""

    loss_fn: Callable[..., Any]
    extra: Callable[[Any, int], tuple[Any, ...]] = lambda net, T: ()
    layer: Callable[[Any], Any] = nn.Unroll
    dtype: Any = np.float32
    cells: int = 1


def plain_state(net: Any, T: int) -> tuple[Any, ...]:
    """A first state in arrays."""
    return (map_structure(lambda part: part.data + 0, net.cell.initial_state(B)),)


def learned_state(net: Any, T: int) -> tuple[Any, ...]:
    """A first state that requires grad."""

    def leaf(part: Any) -> Any:
        if part.dtype.kind != "f":  # a count of steps
            return part.data + 0
        return mg.tensor(part.data, requires_grad=True, name=part.name)

    return (map_structure(leaf, net.cell.initial_state(B)),)


USES = {
    "loss at each step": Use(every),
    "one loss": Use(last),
    "last state": Use(final_state),
    "several losses": Use(two_losses),
    "running sum": Use(running),
    "window": Use(window, plain_state),
    "learned state": Use(window, learned_state),
    "lengths": Use(with_lengths, lambda net, T: (np.array([T, 2]),)),
    "two directions": Use(every, layer=both, cells=2),
    "truncate": Use(truncated),
    "clip_edges": Use(clipped),
    "cut": Use(cut),
    "float64": Use(every, dtype=np.float64),
}


class Outcome(NamedTuple):
    """ok: the program gives eager's numbers.  mark: C, numpy, refused, WRONG.  why: what was said."""

    mark: str
    why: str = ""


def compared(step: Any, arguments: tuple[Any, ...]) -> float:
    """The largest relative difference of a gradient from eager's."""
    bound = step._bound(arguments, {})
    random = Rewinder(bound)
    grads = step(*arguments)[1]
    random.rewind()
    wanted = step.eager(bound).grads
    worst = 0.0
    largest = max(float(np.linalg.norm(dx)) for dx in wanted.values())
    for name, dx in wanted.items():
        size = max(float(np.linalg.norm(dx)), 1e-3 * largest, 1e-30)  # what cancels is rounding
        worst = max(worst, float(np.linalg.norm(grads[name] - dx)) / size)
    return worst


def outcome(cell: str, use: Use, backend: str) -> Outcome:
    """Compile one cell in one use."""
    mg.set_default_dtype(use.dtype)
    rng = np.random.default_rng(0)
    try:
        mg.seed(0)
        cells = [CELLS[cell]() for _ in range(use.cells)]
        net = use.layer(*cells)
        step = mg.compile(use.loss_fn, backend=backend)
        for T in LENGTHS:
            xs = rng.standard_normal((T, B, *shape_of(cell))).astype(use.dtype)
            difference = compared(step, (net, xs, *use.extra(net, T)))
            if difference > (3e-6 if use.dtype == np.float32 else 1e-12):
                return Outcome("WRONG", f"{difference:.1e}")
    except CompileError as refusal:
        return Outcome("refused", str(refusal))
    except Exception as error:
        return Outcome("ERROR", f"{type(error).__name__}: {error}")
    finally:
        mg.set_default_dtype(np.float32)
    return Outcome("C" if step._latest.built.c_source else "numpy")


def activations() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Functions of one array that one puts into a cell."""
    for name in (
        *("tanh", "sigmoid", "relu", "softplus", "exp", "sin", "cos", "arctan", "abs", "square"),
        *(
            "sqrt",
            "log1p",
            "expm1",
            "softmax",
            "log_softmax",
            "sign",
            "log",
            "sinh",
            "cosh",
            "cbrt",
        ),
    ):
        function = getattr(mg, name, None) or getattr(np, name)
        yield name, function


def with_activation(function: Callable[..., Any]) -> Callable[..., Any]:
    """The loss of a cell that has this activation."""

    def loss_fn(p, xs):
        h = mg.tensor(np.full((B, H), 0.1), dtype=np.float32)
        for _, x in mg.timesteps(xs):
            h = 0.3 * function(0.5 + np.tanh(x @ p["W"] + h @ p["U"]) ** 2) + 0.1 * h
        return (h * h).mean()

    return loss_fn


LOSSES: dict[str, Callable[..., Any]] = {
    "mse_loss": lambda y, target, tokens: nn.mse_loss(y, target),
    "cross_entropy": lambda y, target, tokens: nn.cross_entropy(y, tokens),
    "nll_loss": lambda y, target, tokens: nn.nll_loss(mg.log_softmax(y, axis=-1), tokens),
    "binary_cross_entropy_with_logits": (
        lambda y, target, tokens: nn.binary_cross_entropy_with_logits(y, target)
    ),
    "absolute": lambda y, target, tokens: np.abs(y - target).mean(),
    "huber": lambda y, target, tokens: huber(y - target),
    "logsumexp": lambda y, target, tokens: mg.logsumexp(y, axis=-1).mean(),
}


def huber(d: Any) -> Any:
    """Squares near 0, lines further away."""
    return np.where(np.abs(d) < 1, 0.5 * d * d, np.abs(d) - 0.5).mean()


def loss_outcome(loss: Callable[..., Any], backend: str) -> Outcome:
    """Compile a GRU with this loss at each step."""

    def loss_fn(net, xs, target, tokens):
        return loss(net(xs)[0], target, tokens)

    rng = np.random.default_rng(0)
    step = mg.compile(loss_fn, backend=backend)
    return found(
        step,
        lambda T: (
            nn.GRU(D, H),
            rng.standard_normal((T, B, D)).astype(np.float32),
            rng.random((T, B, H)).astype(np.float32),
            rng.integers(0, H, (T, B)),
        ),
    )


def activation_outcome(function: Callable[..., Any], backend: str) -> Outcome:
    """Compile a cell with this activation."""
    rng = np.random.default_rng(0)
    p = {
        name: mg.tensor(rng.uniform(-0.4, 0.4, (n, H)).astype(np.float32), requires_grad=True)
        for name, n in (("W", D), ("U", H))
    }
    step = mg.compile(with_activation(function), backend=backend)
    return found(step, lambda T: (p, rng.standard_normal((T, B, D)).astype(np.float32)))


def found(step: Any, arguments: Callable[[int], tuple[Any, ...]]) -> Outcome:
    """How a step does on arguments of both lengths."""
    try:
        differences = [compared(step, arguments(T)) for T in LENGTHS]
    except CompileError as refusal:
        return Outcome("refused", str(refusal))
    except Exception as error:
        return Outcome("ERROR", f"{type(error).__name__}: {error}")
    if max(differences) > 3e-6:
        return Outcome("WRONG", f"{max(differences):.1e}")
    return Outcome("C" if step._latest.built.c_source else "numpy")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser("python -m tests.compiled", description=__doc__)
    parser.add_argument("--backend", default="auto", choices=("auto", "numpy", "c"))
    parser.add_argument("--cell", default="", help="only cells whose names hold this")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    native.FLAGS = tuple("-O1" if flag == "-O3" else flag for flag in native.FLAGS)
    rows, reasons, counts = [], [], dict.fromkeys(("C", "numpy", "refused", "WRONG", "ERROR"), 0)
    for cell in CELLS:
        if options.cell in cell:
            made = {use: outcome(cell, USES[use], options.backend) for use in USES}
            rows.append([cell, *(one.mark for one in made.values())])
            for use, one in made.items():
                counts[one.mark] += 1
                if one.why:
                    reasons.append(f"{cell}, {use}: {one.why}")
            print(".", end="", flush=True)
    print("\n\n" + columns([["", *USES], *rows], headings=1))
    single: dict[str, Outcome] = {}
    if not options.cell:
        single = {name: loss_outcome(loss, options.backend) for name, loss in LOSSES.items()}
        single |= {name: activation_outcome(f, options.backend) for name, f in activations()}
    print("\n" + columns([[name, one.mark] for name, one in single.items()]))
    for name, one in single.items():
        counts[one.mark] += 1
        if one.why:
            reasons.append(f"{name}: {one.why}")
    print("\n" + "\n".join(reasons))
    print("\n" + ", ".join(f"{n} {mark}" for mark, n in counts.items()))


if __name__ == "__main__":
    main()
