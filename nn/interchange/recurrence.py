"""Cells over time: RNN, LSTM and GRU as ONNX's own operators, every other cell as a Scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from nn.cell import Cell
from nn.cells import GRUCell, LSTMCell, RNNCell
from nn.interchange.writing import Array, Block, Port, Writer
from nn.structure import map_structure, named_leaves

Names = list[str]


class Run:
    """One writing of the network: the writer, which run it is, and random numbers for its examples.

    computing: whether a layer computes its result as ever, and nothing is to be written.
    """

    def __init__(self, write: Writer, number: int) -> None:
        self.write, self.number = write, number
        self.rng = np.random.default_rng(number)
        self.computing = False

    def compute(self, function: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
        """What the function returns, without writing anything."""
        before, self.computing = self.computing, True
        try:
            with mg.no_grad():
                return function(*inputs, **options)
        finally:
            self.computing = before


class Sequence(NamedTuple):
    """The input of a recurrent layer.

    x: the value (T, B, ...).  step: an example of one step.  lengths: the value (B), or None.
    """

    x: str
    step: Array
    lengths: str | None

    def inside(self, write: Writer) -> str | None:
        """Which rows are inside their length at each step: (T, B)."""
        if self.lengths is None:
            return None
        count = write("Squeeze", write("Shape", self.x, start=0, end=1))
        t = write("Range", write.ints(0, "start"), count, write.ints(1, "step"))
        t = write("Unsqueeze", t, write.ints([1], "axes"))
        return str(write("Less", t, write("Unsqueeze", self.lengths, write.ints([0], "axes"))))


def tensor_of(xs: Any) -> mg.Tensor:
    """The steps of a sequence in one tensor."""
    if isinstance(xs, list | tuple):
        xs = mg.stack([x if isinstance(x, mg.Tensor) else mg.tensor(x) for x in xs])
    return xs if isinstance(xs, mg.Tensor) else mg.tensor(xs)


def sequence(run: Run, xs: Any, lengths: Any, batch_first: bool = False) -> Sequence:
    """The input of a layer over time, as a time-major value."""
    write, x = run.write, tensor_of(xs)
    if batch_first:
        x = mg.swapaxes(x, 0, 1)
    if x.ndim < 2 + (x.dtype.kind == "f"):
        raise ValueError(f"to_onnx: x needs a batch axis, found {x.shape}; write x[:, None]")
    value = write.value(x)
    if lengths is None:
        return Sequence(value, x.data[0], None)
    lengths = lengths if isinstance(lengths, mg.Tensor) else mg.tensor(np.asarray(lengths))
    name = write.operand(lengths, np.dtype(np.int64))
    return Sequence(value, x.data[0], name)


# ONNX's own recurrent operators


class Operator(NamedTuple):
    """An ONNX operator: its gates as columns of ours, and how many tensors its state has."""

    op: str
    gates: tuple[int, ...]
    states: int


OPERATORS = {
    RNNCell: Operator("RNN", (0,), 1),
    LSTMCell: Operator("LSTM", (0, 3, 1, 2), 2),  # ours are i f g o, ONNX has i o f g
    GRUCell: Operator("GRU", (1, 0, 2), 1),  # ours are r z n, ONNX has z r n
}


def has_operator(*cells: Any) -> bool:
    """Whether the cells are alike, of a kind that ONNX has, in float32 (runtimes have no other)."""
    kinds = {(type(cell), getattr(cell, "reset", None), cell.dtype) for cell in cells}
    return len(kinds) == 1 and type(cells[0]) in OPERATORS and cells[0].dtype == np.float32


def packed(cell: Any, weights: Array) -> Array:
    """Weights (rows, gates · H), or a bias, as ONNX has them: (gates · H, rows), in its order."""
    gates = OPERATORS[type(cell)].gates
    parts = np.split(np.atleast_2d(weights), len(gates), axis=-1)
    return np.concatenate([parts[k].T for k in gates])


def biases(cell: Any) -> Array:
    """ONNX's two biases, of input and state; only GRU with reset="after" has a second."""
    first = np.zeros(cell.W_xh.shape[1], cell.dtype) if cell.b_h is None else cell.b_h.data
    second = np.zeros_like(first)
    if getattr(cell, "b_hn", None) is not None:
        second[2 * cell.hidden_size :] = cell.b_hn.data
    return np.concatenate([packed(cell, first), packed(cell, second)]).ravel()


def operator(
    write: Writer, cells: list[Any], xs: Sequence, initial: Names, reverse: bool = False
) -> tuple[str, Names]:
    """One layer by ONNX's own operator, in one direction or (two cells) in both.

    initial: the values (directions, B, H) of the first state, or none.
    Returns y (T, B, directions · H) and the last state, in the shape of the first.
    """
    kind, size = OPERATORS[type(cells[0])], cells[0].hidden_size
    weights = {
        "W": [packed(cell, cell.W_xh.data) for cell in cells],
        "R": [packed(cell, cell.W_hh.data) for cell in cells],
        "B": [biases(cell) for cell in cells],
    }
    names = [write.constant(np.stack(arrays), None, word) for word, arrays in weights.items()]
    lengths = "" if xs.lengths is None else write("Cast", xs.lengths, to=np.dtype(np.int32))
    direction = "reverse" if reverse else "forward"
    if len(cells) == 2:
        direction = "bidirectional"
    attributes: dict[str, Any] = {"hidden_size": size, "direction": direction}
    if kind.op == "RNN":
        attributes["activations"] = [cell.nonlinearity.capitalize() for cell in cells]
    if kind.op == "GRU":
        attributes["linear_before_reset"] = int(cells[0].reset == "after")
    y, *last = write(
        kind.op, xs.x, *names, lengths, *initial, outputs=1 + kind.states, **attributes
    )
    if len(cells) == 1:
        return str(write("Squeeze", y, write.ints([1], "axes"), name="y")), last
    y = write("Transpose", y, perm=[0, 2, 1, 3])
    return str(write("Reshape", y, write.ints([0, 0, -1]), name="y")), last


# every other cell


def scan(
    run: Run, cell: Cell, xs: Sequence, state: Any, reverse: bool = False
) -> tuple[str, Names]:
    """A cell as a Scan, whose body is one step of it; returns y (T, B, ...) and the last state.

    state: the first state in its structure.  The recorded step starts from a state that some steps
    have made, so that it differs from run to run.
    """
    write, inside = run.write, xs.inside(run.write)
    scanned = [
        xs.x if inside is None else zeroed(write, inside, xs.x, xs.step.ndim + 1, xs.step.dtype)
    ]
    scanned += [] if inside is None else [inside]
    initial = [write.value(s) for _, s in named_leaves(state)]
    for _ in range(run.number):
        _, state = run.compute(cell, mg.tensor(xs.step), state)
    with write.body() as body:
        outputs = record_step(write, body, cell, xs, state, inside is not None)
        for word, x in outputs:
            write.copy(x, write.local(f"{word}_out"))
    backwards = int(reverse)
    *last, y = write(
        "Scan",
        *initial,
        *scanned,
        outputs=len(outputs),
        body=body,
        num_scan_inputs=len(scanned),
        scan_input_directions=[backwards] * len(scanned),
        scan_output_directions=[backwards],
    )
    y_t = outputs[-1][1]
    if inside is not None:
        y = zeroed(write, inside, y, y_t.ndim + 1, y_t.dtype)
    return y, last


def record_step(
    write: Writer, body: Block, cell: Cell, xs: Sequence, state: Any, masked: bool
) -> list[tuple[str, mg.Tensor]]:
    """One step of a cell, on inputs of the body: name and tensor of each leaf, and of y."""
    names = iter([name for name, _ in named_leaves(state)])
    before = map_structure(lambda s: port(write, body, f"{next(names)}_prev", s.data), state)
    x_t = port(write, body, "x_t", xs.step)
    if masked:
        mask = port(write, body, "inside_t", np.ones(len(xs.step), np.bool_))
    y, after = cell(x_t, before)
    outputs = []
    for (name, s_prev), (_, s) in zip(named_leaves(before), named_leaves(after), strict=True):
        if masked and s is not s_prev:
            s = mg.where(np.reshape(mask, (-1,) + (1,) * (s.ndim - 1)), s, s_prev)
        outputs.append((name, s))
    return [*outputs, ("y", y)]


def port(write: Writer, body: Block, word: str, example: Array) -> mg.Tensor:
    """A new input of a body: a tensor that holds an example."""
    x = mg.tensor(example)
    name = write.local(word)
    body.inputs.append(Port(name, x.dtype, x.shape))
    write.bind(x, name)
    return x


def zeroed(write: Writer, inside: str, x: str, ndim: int, dtype: Any) -> str:
    """x (T, B, ...), and 0 where a row has ended."""
    if ndim > 2:
        inside = write("Unsqueeze", inside, write.ints(range(2, ndim), "axes"))
    return str(write("Where", inside, x, write.constant(0, dtype, "zero")))
