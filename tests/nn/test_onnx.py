"""Exported networks give in onnxruntime what they give here, at any T and B."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import nn
from demos import custom_cells
from minigrad.primitive import registry
from nn.interchange import elementwise, indexing, reductions, shaping  # noqa: F401
from nn.interchange.model import build
from nn.interchange.sizes import Merged
from nn.interchange.table import REASONS, TABLE
from nn.interchange.writing import Port, Writer
from nn.structure import flatten
from tests.minigrad.ops.test_derivatives import CHECKS

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

QUIET = onnxruntime.SessionOptions()
QUIET.log_severity_level = 3  # it warns of every input that may be left out
SIZES = [(5, 3), (1, 1), (12, 7)]


def session(model: Any) -> Any:
    return onnxruntime.InferenceSession(model, QUIET)


def exported(net: nn.Module, folder: Path, *example: Any, **options: Any) -> Any:
    path = folder / "net.onnx"
    nn.to_onnx(net, path, *example, **options)
    return session(str(path))


def arrays(result: Any) -> list[Any]:
    return [y.data for y in flatten(result)]


def compare(found: Any, wanted: Any, tolerance: float = 1e-6) -> None:
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=tolerance)


def numbers(*shape: int) -> Any:
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


class Leaky(nn.Cell):
    """A cell of ten lines: comparisons, a second output, an embedded constant."""

    def __init__(self, D: int, H: int) -> None:
        self.W, self.U = nn.Parameter(numbers(D, H)), nn.Parameter(0.3 * numbers(H, H))
        self.rates = np.linspace(0.1, 0.9, H).astype(np.float32)
        self.state_size = (H, H)

    def forward(self, x: Any, state: Any) -> Any:
        h_prev, s_prev = state
        a = x @ self.W + h_prev @ self.U
        kept = mg.where(a > 0, a, 0.1 * a)
        h = self.rates * h_prev + (1 - self.rates) * np.tanh(kept)
        s = np.maximum(s_prev, h)
        return np.concatenate([h, s[:, ::-1]], axis=-1), (h, s)


class Tokens(nn.Cell):
    """A cell that takes tokens."""

    def __init__(self) -> None:
        self.embedding, self.cell = nn.Embedding(10, 3, padding=0), nn.GRUCell(3, 4)
        self.state_size = 4

    def forward(self, x: Any, h_prev: Any) -> Any:
        return self.cell(self.embedding(x), h_prev)


LAYERS = {
    "RNN": lambda: nn.RNN(3, 4),
    "RNN relu, two ways": lambda: nn.RNN(3, 4, bidirectional=True, nonlinearity="relu"),
    "LSTM": lambda: nn.LSTM(3, 4),
    "LSTM, no bias": lambda: nn.LSTM(3, 4, bias=False),
    "LSTM, deep, two ways": lambda: nn.LSTM(3, 4, num_layers=3, bidirectional=True),
    "GRU": lambda: nn.GRU(3, 4),
    "GRU before": lambda: nn.GRU(3, 4, num_layers=2, reset="before", bidirectional=True),
    "Unroll LSTM": lambda: nn.Unroll(nn.LSTMCell(3, 4)),
    "Unroll own cell": lambda: nn.Unroll(Leaky(3, 4)),
    "Unroll wrapped": lambda: nn.Unroll(nn.Residual(nn.Zoneout(nn.GRUCell(3, 3)))),
    "learned start": lambda: nn.Unroll(nn.LearnedInitialState(nn.LSTMCell(3, 4))),
    "dropped state": lambda: nn.Unroll(nn.RecurrentDropout(nn.LSTMCell(3, 4))),
    "stacked cells": lambda: nn.Unroll(nn.Stacked([nn.LSTMCell(3, 4), Leaky(4, 5)], dropout=0.5)),
    "two cells, two ways": lambda: nn.Bidirectional(nn.GRUCell(3, 4), Leaky(3, 2)),
    "one kind, two ways": lambda: nn.Bidirectional(nn.LSTMCell(3, 4), nn.LSTMCell(3, 5)),
    "stacked layers": lambda: nn.Stacked(
        [nn.Bidirectional(nn.GRUCell(3, 2), nn.GRUCell(3, 2)), nn.Unroll(Leaky(4, 5))]
    ),
}  # fmt: skip


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
def test_recurrent_layers_with_and_without_lengths(make: Any, tmp_path: Path) -> None:
    net = make().eval()
    run = exported(net, tmp_path).run
    for T, B in SIZES:
        x = numbers(T, B, 3)
        compare(run(None, {"x": x}), arrays(net(x)))
        lengths = np.random.default_rng(0).integers(1, T + 1, B)
        x[np.arange(T)[:, None] >= lengths] = np.nan  # padding is not looked at
        compare(run(None, {"x": x, "lengths": lengths}), arrays(net(x, lengths=lengths)))


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
def test_the_first_state_is_an_input_where_one_asks_for_it(make: Any, tmp_path: Path) -> None:
    net = make().eval()
    model = exported(net, tmp_path, state=True, lengths=False)
    x = numbers(4, 3, 3)
    state = nn.detach_state(net(x)[1])
    names = [given.name for given in model.get_inputs()]
    assert names[0] == "x"
    assert all("_init" in name for name in names[1:])
    feeds = dict(zip(names, [x, *arrays(state)], strict=True))
    compare(model.run(None, feeds), arrays(net(x, state)))
    lengths = np.array([0, 4, 2])  # a row that has ended before keeps its state
    run = exported(net, tmp_path, state=True).run
    wanted = arrays(net(x, state, lengths=lengths))
    compare(run(None, {**feeds, "lengths": lengths}), wanted)


def test_batch_first(tmp_path: Path) -> None:
    net = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    run = exported(net, tmp_path).run
    for T, B in SIZES:
        x, lengths = numbers(B, T, 3), np.arange(B) % T + 1
        compare(run(None, {"x": x}), arrays(net(x)))
        compare(run(None, {"x": x, "lengths": lengths}), arrays(net(x, lengths=lengths)))


def test_in_float64_every_cell_is_a_scan(tmp_path: Path) -> None:
    mg.set_default_dtype(np.float64)
    try:
        net = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    finally:
        mg.set_default_dtype(np.float32)
    model = exported(net, tmp_path)
    x = numbers(6, 2, 3).astype(np.float64)
    feeds = {"x": x, "lengths": np.array([2, 6])}
    compare(model.run(None, feeds), arrays(net(x, lengths=[2, 6])), 1e-12)


@pytest.mark.parametrize(
    "net",
    [
        nn.Linear(3, 2),
        nn.Linear(3, 2, bias=False),
        nn.LayerNorm(3),
        nn.Sequential(nn.Linear(3, 4), np.tanh, nn.Dropout(0.5), nn.Linear(4, 1)),
    ],
    ids=repr,
)
def test_layers_without_time(net: nn.Module, tmp_path: Path) -> None:
    run = exported(net.eval(), tmp_path).run
    for T, B in SIZES:
        compare(run(None, {"x": numbers(T, B, 3)}), arrays(net(numbers(T, B, 3))))
    run = exported(net, tmp_path, numbers(4, 3)).run
    compare(run(None, {"x": numbers(9, 3)}), arrays(net(numbers(9, 3))))


class Tagger(nn.Module):
    """Tokens to a class for each step, and one for the whole."""

    def __init__(self) -> None:
        self.embedding, self.rnn = nn.Embedding(10, 3, padding=0), nn.LSTM(3, 4, bidirectional=True)
        self.head = nn.Linear(8, 5)

    def forward(self, tokens: Any, lengths: Any = None) -> Any:
        y, (h_n, _) = self.rnn(self.embedding(tokens), lengths=lengths)
        T, B = tokens.shape
        mean = y.sum(axis=0) / T
        flat = y.reshape(T * B, 8)
        last = np.concatenate([h_n[0], h_n[1]], axis=-1) + mean * mg.tensor(np.ones((B, 1)))
        return mg.softmax(self.head(y)), self.head(last), self.head(flat), y[-1], y[T - 2 :]


def test_a_network_of_ones_own(tmp_path: Path) -> None:
    net = Tagger().eval()
    rng = np.random.default_rng(0)
    run = exported(net, tmp_path, rng.integers(0, 10, (6, 4))).run
    for T, B in SIZES[::2]:
        tokens, lengths = rng.integers(0, 10, (T, B)), rng.integers(1, T + 1, B)
        compare(run(None, {"tokens": tokens}), arrays(net(tokens)))
        compare(run(None, {"tokens": tokens, "lengths": lengths}), arrays(net(tokens, lengths)))
    model = exported(net, tmp_path, rng.integers(0, 10, (6, 4)), np.array([1, 2, 6, 4]))
    assert [x.name for x in model.get_inputs()] == ["tokens", "lengths"]
    compare(model.run(None, {"tokens": tokens, "lengths": lengths}), arrays(net(tokens, lengths)))


def test_attention_over_two_sequences_of_different_lengths(tmp_path: Path) -> None:
    class Attended(nn.Module):
        def __init__(self) -> None:
            self.encoder, self.decoder = nn.GRU(3, 4), nn.GRU(2, 4)
            self.attention = nn.GeneralAttention(4, 4)

        def forward(self, source: Any, target: Any) -> Any:
            memory, h = self.encoder(source)
            queries, _ = self.decoder(target, h)
            return np.einsum("tbh,sbh->tbs", queries, memory)

    net = Attended()
    model = exported(net, tmp_path, numbers(6, 2, 3), numbers(5, 2, 2))
    shapes = [x.shape for x in model.get_inputs()]
    assert shapes == [["T", "B", 3], ["T_target", "B", 2]]
    fed = {"source": numbers(3, 4, 3), "target": numbers(9, 4, 2)}
    compare(model.run(None, fed), arrays(net(*fed.values())))


def test_a_cell_that_takes_tokens_and_holds_layers(tmp_path: Path) -> None:
    net = nn.Unroll(Tokens())
    tokens = np.random.default_rng(0).integers(0, 10, (7, 3))
    run = exported(net, tmp_path).run
    fed = {"x": tokens, "lengths": np.array([7, 1, 3])}
    compare(run(None, fed), arrays(net(tokens, lengths=[7, 1, 3])))


@pytest.mark.parametrize("name", list(custom_cells.CELLS))
def test_the_custom_cells_of_the_demos(name: str, tmp_path: Path) -> None:
    module = importlib.import_module(f"demos.custom_cells.{name}")
    net = nn.Unroll(getattr(module, custom_cells.CELLS[name])(3, 4))
    fed = {"x": numbers(9, 5, 3), "lengths": np.array([9, 1, 4, 2, 8])}
    run = exported(net, tmp_path).run
    compare(run(None, fed), arrays(net(fed["x"], lengths=fed["lengths"])))


class Attending(nn.Cell):
    """Hoisted products, a memory of another length, and structures as input, output and state."""

    def __init__(self, H: int) -> None:
        self.W, self.U = nn.Parameter(numbers(3, H)), nn.Parameter(0.3 * numbers(H, H))
        self.b = nn.Parameter(numbers(2, H))
        self.state_size = {"h": H, "grid": [2, H]}

    def prepare(self, xs: Any, memory: Any) -> Any:
        keys = np.tanh(memory @ self.U)
        return nn.each_step(xs["x"] @ self.W), (memory, keys), 0.5

    def forward(self, x: Any, state: Any, context: Any) -> Any:
        a, (memory, keys), share = context
        h_prev, grid = state["h"], state["grid"]
        weights = mg.softmax((keys * h_prev).sum(axis=-1), axis=0)
        read = (weights[..., None] * memory).sum(axis=0)
        h = np.tanh(a + h_prev @ self.U + share * read) * x["gate"]
        grid = 0.9 * grid + self.b * h[:, None, :]
        return {"h": h, "weights": weights.T}, {"h": h, "grid": grid}


def test_contexts_extras_and_structures(tmp_path: Path) -> None:
    net = nn.Unroll(Attending(4))

    def inputs(T: int, B: int, S: int) -> Any:
        return {"x": numbers(T, B, 3), "gate": np.abs(numbers(T, B, 1))}, numbers(S, B, 4)

    x, memory = inputs(6, 4, 3)
    run = exported(net, tmp_path, x, memory=memory).run
    for T, B, S in [(5, 3, 7), (2, 1, 1)]:
        x, memory = inputs(T, B, S)
        lengths = np.arange(B) % T + 1
        fed = {**x, "memory": memory}
        compare(run(None, fed), arrays(net(x, memory=memory)))
        wanted = arrays(net(x, lengths=lengths, memory=memory))
        compare(run(None, {**fed, "lengths": lengths}), wanted)


class Blurred(nn.Cell):
    """A cell on small pictures (B, C, N, N)."""

    def __init__(self) -> None:
        self.k = nn.Parameter(numbers(3, 1, 1))
        self.state_size = [3, 5, 5]

    def forward(self, x: Any, h_prev: Any) -> Any:
        wide = np.pad(h_prev, ((0, 0), (0, 0), (1, 1), (0, 0)))
        blurred = (wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]) / 3
        h = np.tanh(x * self.k + blurred)
        return h.sum(axis=(2, 3)), h


def test_states_with_more_axes(tmp_path: Path) -> None:
    net = nn.Unroll(Blurred())
    with pytest.raises(ValueError, match="Blurred takes could not be found .* pass an example"):
        nn.to_onnx(net, tmp_path / "net.onnx")
    run = exported(net, tmp_path, numbers(4, 2, 3, 5, 5)).run
    fed = {"xs": numbers(6, 3, 3, 5, 5), "lengths": np.array([1, 6, 3])}
    compare(run(None, fed), arrays(net(fed["xs"], lengths=fed["lengths"])))
    step = exported(Blurred(), tmp_path, numbers(2, 3, 5, 5)).run
    fed = {"x": numbers(4, 3, 5, 5), "h_init": 0.1 * numbers(4, 3, 5, 5)}
    compare(step(None, fed), arrays(Blurred()(*fed.values())))


@pytest.mark.parametrize("join", [None, -1, 1, np.add, lambda y, z: np.concatenate([z, y * z], 1)])
def test_directions_are_joined_as_the_layer_joins_them(join: Any, tmp_path: Path) -> None:
    net = nn.Bidirectional(nn.GRUCell(3, 4), Leaky(3, 2), join=join)
    run = exported(net, tmp_path).run
    compare(run(None, {"x": numbers(7, 2, 3)}), arrays(net(numbers(7, 2, 3))))


def test_examples_of_states_and_lengths_are_inputs_of_the_model(tmp_path: Path) -> None:
    net = nn.LSTM(3, 4, num_layers=2)
    state = numbers(2, 3, 4), numbers(2, 3, 4)
    model = exported(net, tmp_path, numbers(5, 3, 3), state=state, lengths=np.array([1, 2, 3]))
    names = [x.name for x in model.get_inputs()]
    assert names == ["x", "lengths", "s0", "s1"]
    state = numbers(2, 6, 4), 2 * numbers(2, 6, 4)
    lengths = np.array([1, 2, 8, 3, 1, 1])
    fed = dict(zip(names, [numbers(8, 6, 3), lengths, *state], strict=True))
    compare(model.run(None, fed), arrays(net(numbers(8, 6, 3), state, lengths=lengths)))


def test_numbers_and_words_among_the_keywords_are_settings(tmp_path: Path) -> None:
    class Scaled(nn.Module):
        def forward(self, x: Any, factor: float = 1.0, mode: str = "up") -> Any:
            return x * factor if mode == "up" else x / factor

    model = exported(Scaled(), tmp_path, numbers(4, 3), factor=2.0, mode="down")
    assert [x.name for x in model.get_inputs()] == ["x"]
    compare(model.run(None, {"x": numbers(2, 3)}), [numbers(2, 3) / 2])


@pytest.mark.parametrize("cell", [nn.LSTMCell(3, 4), Leaky(3, 4)], ids=lambda c: type(c).__name__)
def test_one_step_of_a_cell(cell: nn.Cell, tmp_path: Path) -> None:
    model = exported(cell, tmp_path)
    x, state = numbers(5, 3), cell.initial_state(5)
    _, state = cell(x, state)
    names = [given.name for given in model.get_inputs()]
    feeds = dict(zip(names, [x, *arrays(nn.detach_state(state))], strict=True))
    compare(model.run(None, feeds), arrays(cell(x, state)))


# what the file looks like


def test_operators_and_names(tmp_path: Path) -> None:
    nn.to_onnx(nn.LSTM(3, 4, num_layers=2), tmp_path / "net.onnx", lengths=False)
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert [node.op_type for node in graph.node if node.op_type == "LSTM"] == ["LSTM"] * 2
    assert not [node for node in graph.node if node.op_type == "Scan"]
    assert {"LSTM/l0/W", "LSTM/l0/R", "LSTM/l1/B"} <= {array.name for array in graph.initializer}
    assert [y.name for y in graph.output] == ["y", "h_n", "c_n"]
    assert [str(d.dim_param or d.dim_value) for d in graph.output[0].type.tensor_type.shape.dim] \
        == ["T", "B", "4"]  # fmt: skip


def test_the_body_of_a_scan_has_the_names_of_the_program(tmp_path: Path) -> None:
    nn.to_onnx(nn.Unroll(Leaky(3, 4)), tmp_path / "net.onnx", lengths=False)
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert "Identity" not in {node.op_type for node in graph.node}
    (scan,) = [node for node in graph.node if node.op_type == "Scan"]
    body = next(a.g for a in scan.attribute if a.name == "body")
    made = {name.split("/")[-1] for node in body.node for name in node.output}
    assert {"a", "kept", "h", "s"} <= made
    assert {"cell.W", "cell.U"} <= {array.name for array in graph.initializer}


def test_the_module_is_not_changed_and_stays_in_training(tmp_path: Path) -> None:
    net = nn.LSTM(3, 4, num_layers=2, dropout=0.5)
    before = dict(vars(net))
    nn.to_onnx(net, tmp_path / "net.onnx")
    assert vars(net) == before
    assert net.training
    assert type(net(numbers(2, 2, 3))[0]) is mg.Tensor


# primitives

BY_NAME = {op.__name__: op for op in registry.values()}
PRIMITIVES = sorted(name for name, op in BY_NAME.items() if op.differentiable and name in CHECKS)
CASES = [
    pytest.param(name, case[0], case[1:], id=f"{name}-{k}")
    for name in PRIMITIVES
    for k, case in enumerate(CHECKS[name])
    if name not in REASONS
]


def test_every_differentiable_primitive_is_translated_or_refused() -> None:
    folder = str(Path(mg.__file__).parent)
    own = {
        name
        for name, op in BY_NAME.items()
        if op.differentiable and op.forward.__code__.co_filename.startswith(folder)
    }
    assert not TABLE.keys() & REASONS.keys()
    assert own == (own & TABLE.keys()) | (own & REASONS.keys())
    assert REASONS.keys() <= own


def both(function: Any, *inputs: Any) -> tuple[list[Any], list[Any]]:
    """What onnxruntime and what the engine makes of some arrays."""
    write = Writer("net", {})
    feeds = {f"x{k}": np.asarray(x, np.float32) for k, x in enumerate(inputs)}
    given = []
    for key, array in feeds.items():
        given.append(mg.tensor(array))
        write.block.inputs.append(Port(key, array.dtype, array.shape))
        write.bind(given[-1], key)
    with mg.tracing(), np.errstate(all="ignore"):
        result = function(*given)
        parts = result if isinstance(result, tuple | list) else (result,)
        for k, y in enumerate(parts):
            write.copy(y, f"y{k}")
    model = build(onnx, Merged([write], [{}], {}), "net").SerializeToString()
    return session(model).run(None, feeds), [y.data for y in parts]


@pytest.mark.parametrize(("name", "function", "inputs"), CASES)
def test_a_primitive_gives_the_same_value(name: str, function: Any, inputs: Any) -> None:
    compare(*both(function, *inputs), 2e-6)


SPECIAL = np.array(
    [np.nan, np.inf, -np.inf, 0, -0.0, 1e20, -1e20, 1e-8, -1e-8, 1, -1, 0.5, 3.7, -88, 100, -3.7],
    np.float32,
)
ELEMENTWISE = [
    name
    for name in PRIMITIVES
    if (BY_NAME[name].elementwise and BY_NAME[name].arity < 3)
    or name in ("sigmoid", "relu", "softplus")
]


@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if name not in REASONS])
def test_a_primitive_gives_the_same_where_numbers_are_special(name: str) -> None:
    op = BY_NAME[name]
    pairs = [x.ravel() for x in np.meshgrid(SPECIAL, SPECIAL)]
    compare(*both(op, *pairs[: op.arity]), 1e-6)


@mg.primitive
def swish(x: Any, *, slope: float = 1.0) -> Any:
    """x σ(slope x)."""
    return x / (1 + np.exp(-slope * x))


@mg.primitive
def tallied(x: Any) -> Any:
    """The sum, made by what takes no tensors."""
    return np.asarray(sum(float(v) for v in np.ravel(x).tolist()), x.dtype)


def test_a_primitive_of_ones_own_is_written_by_its_forward(tmp_path: Path) -> None:
    net = nn.Unroll(Odd(lambda x, h: swish(x, slope=2.0) - h))
    run = exported(net, tmp_path).run
    x = numbers(4, 2, 3).astype(np.float64)
    compare(run(None, {"x": x}), arrays(net(x)))
    with pytest.raises(NotImplementedError, match="tallied|changes with the input"):
        nn.to_onnx(nn.Unroll(Odd(lambda x, h: x * tallied(x))), tmp_path / "net.onnx")


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.where((x > 0) & ~(x > 1), x, 0),
        lambda x: np.where((x == x[0]) | (x != 2), x, 0) + (x >= 1) * (x < 2),
        lambda x: np.where(np.isfinite(x / x), x, 1) * ~np.isnan(x) * ~np.isinf(x),
        lambda x: x * np.argmax(x, axis=-1)[:, None] + np.argmin(x),
        lambda x: np.where(np.logical_xor(x > 0, x <= 1), x, 2),
        lambda x: x / np.float32(3) + 2 * x**2 - 1,
    ],
)
def test_comparisons_and_numbers_without_history(function: Any, tmp_path: Path) -> None:
    class Net(nn.Module):
        def forward(self, x: Any) -> Any:
            return function(x)

    x = np.array([[1.0, 2.0], [-1.0, 0.5], [0.25, -3.0]], np.float32)
    compare(exported(Net(), tmp_path, x).run(None, {"x": x}), arrays(Net()(mg.tensor(x))))


# refusals


class Odd(nn.Cell):
    """A cell whose step is given."""

    def __init__(self, step: Any) -> None:
        self.step, self.state_size, self.input_size = step, 3, 3
        self.w = nn.Parameter(np.ones(3))

    def forward(self, x: Any, h: Any) -> Any:
        h = self.step(x * self.w, h)
        return h, h


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda x, h: np.arctan2(x, h), r"arctan2 .*angle.*\n.*test_onnx.py:\d+:  np.arctan2"),
        (lambda x, h: np.copysign(x, h), "copysign"),
        (lambda x, h: x + x.data.max(), "changes with the input"),
        (lambda x, h: x + float(x.data[0, 0]), "changes with the input"),
        (lambda x, h: x if x.data[0, 0] > 0 else -x, "another program"),
        (lambda x, h: h + x * np.random.default_rng().random(), "changes with the input"),
    ],
)
def test_what_has_no_operator_is_refused_with_its_line(
    step: Any, words: str, tmp_path: Path
) -> None:
    with pytest.raises(NotImplementedError, match=words):
        nn.to_onnx(nn.Unroll(Odd(step)), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_a_loop_over_time_outside_of_a_cell_is_refused(tmp_path: Path) -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            self.cell = nn.GRUCell(3, 4)

        def forward(self, x: Any) -> Any:
            h = self.cell.initial_state(x.shape[1])
            for x_t in x:
                _, h = self.cell(x_t, h)
            return h

    with pytest.raises(NotImplementedError, match=r"another T or B.*(\n.*)*under nn.Unroll"):
        nn.to_onnx(Loop(), tmp_path / "net.onnx", numbers(5, 3, 3))


def test_a_state_that_changes_its_dtype_is_named(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="state h goes in as float64 and comes out as float32"):
        nn.to_onnx(nn.Unroll(Odd(lambda x, h: x.astype(np.float32))), tmp_path / "a.onnx")


def test_other_mistakes(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"an nn.Module is needed, found list"):
        nn.to_onnx([], tmp_path / "net.onnx")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="T and B differ"):
        nn.to_onnx(nn.GRU(3, 4), tmp_path / "net.onnx", numbers(2, 2, 3))
    with pytest.raises(ValueError, match="pass an example"):
        nn.to_onnx(nn.Sequential(np.tanh), tmp_path / "net.onnx")
    with pytest.raises(ValueError, match="batch axis"):
        nn.to_onnx(nn.GRU(3, 4), tmp_path / "net.onnx", numbers(2, 3))
    with pytest.raises(OSError, match="cannot write here"):
        nn.to_onnx(nn.GRU(3, 4), tmp_path / "nowhere" / "net.onnx")


def test_without_the_extra_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'minigrad-bptt\[onnx\]'"):
        nn.to_onnx(nn.GRU(3, 4), tmp_path / "net.onnx")
