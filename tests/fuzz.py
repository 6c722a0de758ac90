"""Random programs, edits and recurrent networks, each computed in two ways.

    python -m tests.fuzz 10             for ten minutes; prints seeds, counts and, shrunk, what fails
    python -m tests.fuzz 1 --seed 4711  that seed again

Programs: values and derivatives to third order against PyTorch, where it is installed, else against
central differences.  Edits: truncate, cut and clip_edges against `detach`, and a rule of its own,
at the same places by hand.  Networks: a batch with lengths against its rows one by one, and against
PyTorch.
"""

from __future__ import annotations

import argparse
import copy
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import hypothesis
import numpy as np
from hypothesis import strategies as st

import minigrad as mg
import nn

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

counts: Counter[str] = Counter()
SHAPES = [(), (3,), (2, 3), (2, 1), (1, 3), (2, 2, 3)]


class Program(NamedTuple):
    """Leaves of some shapes, with numbers from a seed, and steps: an operation on earlier values."""

    shapes: tuple[tuple[int, ...], ...]
    seed: int
    steps: tuple[tuple[str, int, int], ...]


class Ours:
    """What programs are written with, here."""

    def __getattr__(self, name: str) -> Any:
        return getattr(mg if name in ("sigmoid", "relu", "softplus") else np, name)

    def along(self, name: str, x: Any, axis: int) -> Any:
        return {"cummax": mg.cummax, "softmax": mg.softmax, "log_softmax": mg.log_softmax}.get(
            name, getattr(np, name, None)
        )(x, axis=axis)

    def reduced(self, name: str, x: Any, axis: int, keepdims: bool) -> Any:
        if name == "logsumexp":
            return mg.logsumexp(x, axis=axis, keepdims=keepdims)
        if name == "norm":
            return np.linalg.norm(x, axis=axis, keepdims=keepdims)
        return getattr(np, name)(x, axis=axis, keepdims=keepdims)

    def detach(self, x: Any) -> Any:
        return x.detach()

    def constant(self, x: Any) -> Any:
        with mg.no_grad():
            return np.tanh(x)

    def hooked(self, x: Any) -> Any:
        y = x * 1.0
        y.register_hook(lambda g: g * 0.5)
        return y

    def rounded(self, x: Any) -> Any:
        return x.astype(np.float32).astype(np.float64)

    def pieces(self, x: Any) -> list[Any]:
        return [*np.array_split(x, 2)]

    def rows(self, x: Any) -> list[Any]:
        return [*mg.unstack(x)]


class Theirs:
    """The same in PyTorch."""

    def __getattr__(self, name: str) -> Any:
        return {"arctan2": torch.atan2, "softplus": torch.nn.functional.softplus}.get(
            name, getattr(torch, name, None)
        )

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return torch.where(condition, a, b)

    def along(self, name: str, x: Any, axis: int) -> Any:
        if name == "flip":
            return torch.flip(x, (axis,))
        y = {"cummax": torch.cummax, "sort": torch.sort}.get(name, getattr(torch, name))(x, axis)
        return y.values if name in ("cummax", "sort") else y

    def reduced(self, name: str, x: Any, axis: int, keepdims: bool) -> Any:
        function = {"max": torch.amax, "min": torch.amin, "norm": torch.linalg.vector_norm}
        options = {"correction": 0} if name in ("var", "std") else {}
        call = function.get(name, getattr(torch, name, None))
        return call(x, dim=axis, keepdim=keepdims, **options)

    def detach(self, x: Any) -> Any:
        return x.detach()

    def constant(self, x: Any) -> Any:
        with torch.no_grad():
            return torch.tanh(x)

    def hooked(self, x: Any) -> Any:
        y = x * 1.0
        if y.requires_grad:
            y.register_hook(lambda g: g * 0.5)
        return y

    def rounded(self, x: Any) -> Any:
        return x.float().double()

    def concatenate(self, xs: Any, axis: int) -> Any:
        return torch.cat(xs, axis)

    def stack(self, xs: Any, axis: int) -> Any:
        return torch.stack(xs, axis)

    def transpose(self, x: Any) -> Any:
        return x.permute(*range(x.ndim - 1, -1, -1))

    def broadcast_to(self, x: Any, shape: Any) -> Any:
        return torch.broadcast_to(x, shape)

    def expand_dims(self, x: Any, axis: int) -> Any:
        return x.unsqueeze(axis)

    def roll(self, x: Any, shift: int, axis: int) -> Any:
        return torch.roll(x, shift, axis)

    def pieces(self, x: Any) -> list[Any]:
        return [*torch.tensor_split(x, 2)]

    def rows(self, x: Any) -> list[Any]:
        return [*torch.unbind(x)]


def mask_of(x: Any) -> Any:
    """A mask by place, with something chosen."""
    return np.arange(int(np.prod(x.shape))).reshape(tuple(x.shape)) % 2 == 0


ELEMENTWISE: dict[str, Callable[[Any, Any], Any]] = {
    "tanh": lambda L, a: L.tanh(a),
    "sin": lambda L, a: L.sin(a),
    "exp": lambda L, a: L.exp(L.tanh(a)),
    "log": lambda L, a: L.log(1 + a * a),
    "sqrt": lambda L, a: L.sqrt(1 + a * a),
    "abs": lambda L, a: L.abs(a),
    "sigmoid": lambda L, a: L.sigmoid(a),
    "relu": lambda L, a: L.relu(a),
    "softplus": lambda L, a: L.softplus(a),
    "square": lambda L, a: L.tanh(a * a),
    "cube": lambda L, a: L.tanh(a) ** 3,
}
OF_TWO: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda L, a, b: a + b,
    "subtract": lambda L, a, b: a - b,
    "multiply": lambda L, a, b: L.tanh(a * b),
    "divide": lambda L, a, b: a / (1 + b * b),
    "power": lambda L, a, b: (a * a + 0.5) ** L.tanh(b),
    "maximum": lambda L, a, b: L.maximum(a, b),
    "minimum": lambda L, a, b: L.minimum(a, b),
    "where": lambda L, a, b: L.where(a > b, L.sin(a), b),
    "hypot": lambda L, a, b: L.hypot(a, b * b + 1),
    "arctan2": lambda L, a, b: L.arctan2(a, b * b + 1),
    "logaddexp": lambda L, a, b: L.logaddexp(a, b),
}
ALONG = ("cumsum", "flip", "sort", "softmax", "log_softmax", "cummax")
REDUCED = ("sum", "mean", "max", "min", "var", "prod", "logsumexp", "norm")
MOVED: dict[str, Callable[[Any, Any, int], Any]] = {
    "reshape": lambda L, a, k: a.reshape(-1),
    "transpose": lambda L, a, k: L.transpose(a),
    "expand_dims": lambda L, a, k: L.expand_dims(a, 0),
    "broadcast_to": lambda L, a, k: L.broadcast_to(a, (2, *a.shape)),
    "roll": lambda L, a, k: L.roll(a, 1 + k, 0),
    "repeated index": lambda L, a, k: a[[0, -1, 0]],
    "slice": lambda L, a, k: a[k % 2 :: 2],
    "last": lambda L, a, k: a[..., -1],
    "mask": lambda L, a, k: a[mask_of(a)],
    "concatenate": lambda L, a, k: L.concatenate([a, L.tanh(a), a], k % a.ndim),
    "gram": lambda L, a, k: L.tanh(L.transpose(a) @ a) if a.ndim == 2 else a * a,
    "einsum": lambda L, a, k: L.einsum("i,j->ij", a.reshape(-1)[:2], a.reshape(-1)[-2:]),
}
STOPPED: dict[str, Callable[[Any, Any], Any]] = {
    "no_grad": lambda L, a: a * L.constant(a),
    "detach": lambda L, a: L.sin(a) * L.detach(a),
    "hook": lambda L, a: L.hooked(a),
    "float32": lambda L, a: L.rounded(L.tanh(a)),
}
NAMES = [
    *ELEMENTWISE,
    *OF_TWO,
    *ALONG,
    *REDUCED,
    *MOVED,
    *STOPPED,
    "hook on it",
    "stack",
    "split",
    "unstack",
]


def results(L: Any, name: str, a: Any, b: Any, k: int) -> list[Any]:
    """What one step adds to the values."""
    if name in ELEMENTWISE:
        return [ELEMENTWISE[name](L, a)]
    if name in STOPPED:
        return [STOPPED[name](L, a)]
    if name == "hook on it":  # of other values, rules that use their results see it, each its own
        if a.requires_grad and a.is_leaf:
            a.register_hook(lambda g: g * 0.5 if k % 2 else None)
        return []
    if name in OF_TWO:
        return [OF_TWO[name](L, a, b if fits(a, b) else b.sum())]
    if name == "stack":
        return [L.stack([a, L.tanh(a), a * b.sum()], 0)]
    a = a if a.ndim else a.reshape(1)
    if name in ALONG:
        return [L.along(name, a, k % a.ndim)]
    if name in REDUCED:
        return [L.reduced(name, L.tanh(a) + 2 if name == "prod" else a, k % a.ndim, k % 2 == 0)]
    if name == "split":
        return [part for part in L.pieces(a) if part.shape[0]]
    if name == "unstack":
        return L.rows(a)[:2]
    return [MOVED[name](L, a, k)]


def fits(a: Any, b: Any) -> bool:
    try:
        return len(np.broadcast_shapes(tuple(a.shape), tuple(b.shape))) < 4
    except ValueError:
        return False


def value_of(L: Any, program: Program, leaves: list[Any], weight: Callable[[Any], Any]) -> Any:
    """The loss: Σ w · v over the last values."""
    values = list(leaves)
    for name, i, k in program.steps:
        a, b = values[-1 - i % len(values)], values[-1 - (i // 3) % len(values)]
        for y in results(L, name, a, b, k):
            size = int(np.prod(y.shape))
            if 0 < size <= 64 and y.ndim <= 3:
                values.append(y)
    return sum((weight(v) * v).sum() for v in values[-3:])


def numbers(program: Program) -> list[Any]:
    rng = np.random.default_rng(program.seed)
    return [rng.standard_normal(shape) for shape in program.shapes]


def weights(shape: Any) -> Any:
    return np.cos(1 + np.arange(int(np.prod(shape)))).reshape(tuple(shape))


def derivatives(program: Program, order: int) -> list[list[Any]]:
    """The value, and the gradients to the given order, each of Σ w · the one before."""
    xs = [mg.tensor(x, requires_grad=True) for x in numbers(program)]
    total = value_of(Ours(), program, xs, lambda v: weights(v.shape))
    found = [[total.data]]
    for _ in range(order):
        grads = [None] * len(xs)
        if total.requires_grad:
            grads = [*mg.grad(total, xs, create_graph=True, allow_unused=True)]
        found.append([np.zeros(x.shape) if g is None else g.data for g, x in zip(grads, xs)])
        total = sum(((g * weights(g.shape)).sum() for g in grads if g is not None), mg.tensor(0.0))
    return found


def torch_derivatives(program: Program, order: int) -> list[list[Any]]:
    """The same by PyTorch."""
    xs = [torch.tensor(x, requires_grad=True) for x in numbers(program)]
    total = value_of(Theirs(), program, xs, lambda v: torch.tensor(weights(v.shape)))
    found = [[total.detach().numpy(force=True)]]
    for _ in range(order):
        grads = [None] * len(xs)
        if total.requires_grad:
            grads = [*torch.autograd.grad(total, xs, create_graph=True, allow_unused=True)]
        found.append(
            [
                np.zeros(x.shape) if g is None else g.detach().numpy(force=True)
                for g, x in zip(grads, xs)
            ]
        )
        total = sum(
            ((g * torch.tensor(weights(g.shape))).sum() for g in grads if g is not None),
            torch.zeros(()),
        )
    return found


@st.composite
def programs(draw: Any) -> Program:
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3))
    step = st.tuples(st.sampled_from(NAMES), st.integers(0, 11), st.integers(0, 5))
    steps = draw(st.lists(step, min_size=1, max_size=14))
    return Program(tuple(shapes), draw(st.integers(0, 999)), tuple(steps))


def check_program(program: Program) -> None:
    """To third order against PyTorch; to second order against differences without it."""
    names = {name for name, _, _ in program.steps}
    counts["programs"] += 1
    if torch is None:
        if not names & {*STOPPED, "hook on it"}:
            check_by_differences(program)
        return
    loose = "float32" in names
    for order, (ours, theirs) in enumerate(
        zip(derivatives(program, 3), torch_derivatives(program, 3), strict=True)
    ):
        scale = max([1.0, *[float(np.max(np.abs(t), initial=0)) for t in theirs]])
        counts["derivatives"] += sum(t.size for t in theirs)
        for x, y in zip(ours, theirs, strict=True):
            tolerance = (1e-3 if loose else 1e-8) * scale * 10**order
            np.testing.assert_allclose(x, y, rtol=0, atol=tolerance, err_msg=f"order {order}")


def check_by_differences(program: Program) -> None:
    def loss(*xs: Any) -> Any:
        return value_of(Ours(), program, list(xs), lambda v: weights(v.shape))

    mg.gradcheck(loss, tuple(numbers(program)), tolerance=1e-4)
    mg.gradgradcheck(loss, tuple(numbers(program)), tolerance=1e-4)


# edits


class Loop(NamedTuple):
    """A loop over steps with two states, an output at each step or at the last, and an edit."""

    steps: int
    lag: bool
    every: bool
    edit: str
    k: int
    limit: float
    seed: int


@mg.primitive
def limited(x, *, norm):
    return x


@limited.gradient
def limited_dx(dy, y, x, norm):
    size = np.sqrt(np.sum(dy * dy))
    return dy * np.where(size > norm, norm / np.where(size > norm, size, 1), 1)


def run_loop(loop: Loop, by_hand: bool) -> tuple[Any, list[Any]]:
    """The loss of a loop, and its leaves; by hand: with the edit inside of the program."""
    rng = np.random.default_rng(loop.seed)
    w, v, u = (mg.tensor(rng.standard_normal((2, 2)), requires_grad=True) for _ in range(3))
    h, c, before = (mg.tensor(rng.standard_normal((3, 2)), requires_grad=True) for _ in range(3))
    h.name, c.name = "h", "c"
    leaves, losses = [w, v, u], []
    for t, x in mg.timesteps(rng.standard_normal((loop.steps, 3, 2))):
        if by_hand and t:
            h, c, before = edited(loop, t, h, c, before)
        a = np.tanh(x + h @ w + (before @ u if loop.lag else c * 0.3))
        before, c = h, mg.sigmoid(h @ v) * c + a
        h = np.tanh(c) * mg.sigmoid(h @ u + a)
        losses.append((h * rng.standard_normal((3, 2))).sum())
    return (sum(losses) if loop.every else losses[-1]), leaves


def edited(loop: Loop, t: int, h: Any, c: Any, before: Any) -> tuple[Any, Any, Any]:
    """The states as they enter step t."""
    if loop.edit == "truncate" and (loop.steps - t) % loop.k == 0:
        return h.detach(), c.detach(), before.detach()
    if loop.edit == "cut" and t == loop.k:
        return h.detach(), c.detach(), before.detach()
    if loop.edit == "cut c" and t == loop.k:
        return h, c.detach(), before
    if loop.edit == "clip_edges":
        return (
            limited(h, norm=loop.limit),
            limited(c, norm=loop.limit),
            (limited(before, norm=loop.limit) if t > 1 else before),
        )
    return h, c, before


def check_loop(loop: Loop) -> None:
    counts["edits"] += 1
    loss, leaves = run_loop(loop, by_hand=False)
    graph = mg.Graph(loss)
    hand, others = run_loop(loop, by_hand=True)
    if loop.edit == "truncate":
        graph = graph.truncate(loop.k)
    elif loop.edit == "clip_edges":
        graph = graph.clip_edges(max_norm=loop.limit)
    elif loop.k < loop.steps:
        graph = graph.cut(t=loop.k, **({"name": "c"} if loop.edit == "cut c" else {}))
    graph.backward()
    hand.backward()
    for x, y in zip(leaves, others, strict=True):
        found, wanted = (np.zeros((2, 2)) if g.grad is None else g.grad.data for g in (x, y))
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-11)


loops = st.builds(
    Loop,
    st.integers(2, 6),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["truncate", "cut", "cut c", "clip_edges"]),
    st.integers(1, 5),
    st.floats(0.05, 2),
    st.integers(0, 999),
)


# recurrent networks


class Net(NamedTuple):
    """A recurrent network and the lengths of a batch."""

    kind: str
    sizes: tuple[int, int, int]
    both: bool
    batch_first: bool
    lengths: tuple[int, ...]
    padding: int
    dropout: float
    seed: int


nets = st.builds(
    Net,
    st.sampled_from(["RNN", "LSTM", "GRU"]),
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3)),
    st.booleans(),
    st.booleans(),
    st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple),
    st.integers(0, 2),
    st.sampled_from([0.0, 0.0, 0.3]),
    st.integers(0, 999),
)


def parts(y: Any, state: Any) -> list[Any]:
    return [y, *(state if isinstance(state, tuple) else (state,))]


def check_net(config: Net) -> None:
    """A batch against its rows, and against PyTorch; with dropout, against itself."""
    counts["networks"] += 1
    d, h, layers = config.sizes
    dropout = config.dropout if layers > 1 else 0.0
    mg.seed(config.seed)
    options = {"bidirectional": config.both, "batch_first": config.batch_first}
    net = getattr(nn, config.kind)(d, h, layers, dropout=dropout, **options)
    rng = np.random.default_rng(config.seed)
    lengths, steps = list(config.lengths), max(config.lengths) + config.padding
    xs = rng.standard_normal((steps, len(lengths), d))
    given = xs.swapaxes(0, 1) if config.batch_first else xs

    def whole() -> tuple[list[Any], list[Any]]:
        x = mg.tensor(given, requires_grad=True)
        outputs = parts(*net(x, lengths=lengths))
        loss = sum((v * weights(v.shape)).sum() for v in outputs)
        grads = mg.grad(loss, [x, *net.parameters()])
        return [v.data for v in outputs], [g.data for g in grads]

    if dropout:
        runs = []
        for _ in range(2):
            mg.seed(config.seed)
            runs.append(whole())
        same(runs[0], runs[1])
        net.eval()
    found = whole()
    same(found, row_by_row(config, net, xs))
    if torch is not None:
        same(found, torch_net(config, net, given))


def same(one: Any, two: Any) -> None:
    for group, other in zip(one, two, strict=True):
        for x, y in zip(group, other, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-10)


def row_by_row(config: Net, net: Any, xs: Any) -> tuple[list[Any], list[Any]]:
    """Each sequence alone, without padding."""
    x = mg.tensor(xs, requires_grad=True)
    steps, rows = xs.shape[:2]
    ys, states, shape = [], [], xs.shape[:2]
    for b, n in enumerate(config.lengths):
        row = x[:n, b : b + 1]
        y, *state = parts(*net(np.swapaxes(row, 0, 1) if config.batch_first else row))
        y = np.swapaxes(y, 0, 1) if config.batch_first else y
        ys.append(np.concatenate([y, np.zeros((steps - n, 1, y.shape[-1]))]))
        states.append(state)
    assert shape == (steps, rows)
    y = np.concatenate(ys, 1)
    y = np.swapaxes(y, 0, 1) if config.batch_first else y
    outputs = [y, *[np.concatenate(list(group), 1) for group in zip(*states)]]
    loss = sum((v * weights(v.shape)).sum() for v in outputs)
    dx, *grads = mg.grad(loss, [x, *net.parameters()])
    dx = np.swapaxes(dx, 0, 1) if config.batch_first else dx
    return [v.data for v in outputs], [dx.data, *[g.data for g in grads]]


def torch_net(config: Net, net: Any, given: Any) -> tuple[list[Any], list[Any]]:
    """PyTorch's layer with the same weights, on packed sequences."""
    d, h, layers = config.sizes
    options = {"bidirectional": config.both, "batch_first": config.batch_first}
    theirs = getattr(torch.nn, config.kind)(d, h, layers, **options).double()
    theirs.load_state_dict(
        {k: torch.tensor(np.array(v)) for k, v in nn.to_torch_state_dict(net).items()}
    )
    x = torch.tensor(np.array(given), requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        x, torch.tensor(config.lengths), config.batch_first, enforce_sorted=False
    )
    y, state = theirs(packed)
    total = given.shape[1 if config.batch_first else 0]
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, config.batch_first, total_length=total)
    outputs = parts(y, state)
    sum((v * torch.tensor(weights(v.shape))).sum() for v in outputs).backward()
    arrays = {k: p.grad.numpy() for k, p in theirs.named_parameters()}
    return [v.detach().numpy(force=True) for v in outputs], [
        x.grad.numpy(),
        *their_grads(net, arrays),
    ]


def their_grads(net: Any, arrays: dict[str, Any]) -> Iterator[Any]:
    """PyTorch's gradients in the form of our parameters.  Of the two biases, which are one here,
    the first has the gradient; but the n of a GRU has a second one here, too."""
    only_first = {}
    for name, dx in arrays.items():
        kept = np.zeros_like(dx) if name.startswith("bias_hh") else dx
        if name.startswith("bias_hh") and isinstance(net, nn.GRU):
            kept[len(dx) // 3 * 2 :] = dx[len(dx) // 3 * 2 :]
        only_first[name] = kept
    twin = copy.deepcopy(net)
    nn.load_torch_state_dict(twin, only_first)
    yield from (p.data for p in twin.parameters())


CHECKS: dict[str, tuple[Any, Callable[[Any], None]]] = {
    "programs": (programs(), check_program),
    "edits": (loops, check_loop),
    "networks": (nets, check_net),
}


def fuzz(name: str, examples: int, seed: int) -> None:
    """So many examples of one kind from a seed; raises, with the smallest example, what fails."""
    strategy, check = CHECKS[name]

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    @hypothesis.given(strategy)
    def run(example: Any) -> None:
        mg.set_default_dtype(np.float64)
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                check(example)
        finally:
            mg.set_default_dtype(np.float32)

    run()


def main() -> None:
    """Run until the time is over, seed after seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("minutes", type=float)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    end, seed, failed = time.monotonic() + 60 * arguments.minutes, arguments.seed, 0
    print(f"against {'PyTorch ' + torch.__version__ if torch else 'differences'}, seed {seed}")
    while time.monotonic() < end:
        for name in CHECKS:
            try:
                fuzz(name, 50, seed)
            except Exception as error:
                failed += 1
                print(f"FAILED {name}, seed {seed}: {type(error).__name__}: {error}")
                print("\n".join(getattr(error, "__notes__", [])), flush=True)
        seed += 1
    print(f"seeds {arguments.seed} to {seed - 1}, {failed} failed: {dict(counts)}")


if __name__ == "__main__":
    main()
