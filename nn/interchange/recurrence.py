"""Cells over time: RNN, LSTM and GRU as ONNX's own operators, every other cell as a Scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from nn.cell import Cell, EachStep, prepared, run_step, step_of
from nn.cells import GRUCell, LSTMCell, RNNCell
from nn.interchange.writing import Array, Block, Port, Writer
from nn.padding import Padded
from nn.structure import flatten, leaf_names, map_structure

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

    xs: a structure of tensors (T, B, ...).  lengths: a tensor (B), or None.
    """

    xs: Any
    lengths: mg.Tensor | None

    @property
    def batch(self) -> int:
        """B."""
        return int(flatten(self.xs)[0].shape[1])

    def inside(self, write: Writer) -> mg.Tensor | None:
        """Which rows have not ended at each step: (T, B)."""
        if self.lengths is None:
            return None
        first = flatten(self.xs)[0]
        count = write("Squeeze", write("Shape", write.value(first), start=0, end=1))
        t = write("Range", write.ints(0, "start"), count, write.ints(1, "step"))
        steps = write.bound(np.arange(first.shape[0]), t)
        return mg.expand_dims(steps, 1) < self.lengths


def tensor_of(x: Any) -> mg.Tensor:
    """A tensor, or an array or list as one."""
    return x if isinstance(x, mg.Tensor) else mg.tensor(np.asarray(x))


def sequence(xs: Any, lengths: Any, batch_first: bool = False) -> Sequence:
    """The input of a layer over time, with time first."""
    if isinstance(xs, Padded):
        xs, lengths = xs
    if isinstance(xs, list):  # of steps
        steps = [map_structure(tensor_of, x) for x in xs]
        xs = map_structure(lambda *same: mg.stack(same), *steps)
    xs = map_structure(tensor_of, xs)
    if batch_first:
        xs = mg.swapaxes(xs, 0, 1)
    for x in flatten(xs):
        if x.ndim < 2 + (x.dtype.kind == "f"):
            raise ValueError(f"to_onnx: x needs a batch axis, found {x.shape}; write x[:, None]")
    return Sequence(xs, None if lengths is None else tensor_of(lengths))


def where_inside(inside: mg.Tensor | None, x: mg.Tensor) -> mg.Tensor:
    """x (T, B, ...), and 0 where a row has ended."""
    if inside is None:
        return x
    return mg.where(mg.expand_dims(inside, tuple(range(2, x.ndim))), x, 0)


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
    lengths = "" if xs.lengths is None else write.operand(xs.lengths, np.dtype(np.int32))
    direction = "reverse" if reverse else "forward"
    if len(cells) == 2:
        direction = "bidirectional"
    attributes: dict[str, Any] = {"hidden_size": size, "direction": direction}
    if kind.op == "RNN":
        attributes["activations"] = [cell.nonlinearity.capitalize() for cell in cells]
    if kind.op == "GRU":
        attributes["linear_before_reset"] = int(cells[0].reset == "after")
    y, *last = write(
        kind.op,
        write.value(xs.xs),
        *names,
        lengths,
        *initial,
        outputs=1 + kind.states,
        **attributes,
    )
    if initial and xs.lengths is not None:
        last = rows_of_length_0(write, xs.lengths, initial, last)
    if len(cells) == 1:
        return str(write("Squeeze", y, write.ints([1], "axes"), name="y")), last
    y = write("Transpose", y, perm=[0, 2, 1, 3])
    return str(write("Reshape", y, write.ints([0, 0, -1]), name="y")), last


def rows_of_length_0(write: Writer, lengths: mg.Tensor, initial: Names, last: Names) -> Names:
    """The last states, where a row without steps keeps its first one; ONNX's operators give 0."""
    none = write("Equal", write.operand(lengths, np.dtype(np.int64)), write.ints(0, "zero"))
    none = write("Unsqueeze", none, write.ints([0, 2], "axes"))
    return [write("Where", none, first, s) for first, s in zip(initial, last, strict=True)]


# every other cell


class Loop(NamedTuple):
    """A Scan while it is written.

    before: the names of the values that it starts from.  scanned: tensors of which each step gets
    its part.  outputs: what a step gives, in the body: the leaves of the state, then those of y.
    """

    before: Names
    scanned: list[mg.Tensor]
    body: Block
    outputs: list[mg.Tensor]


def scan(
    run: Run, cell: Cell, xs: Sequence, state: Any, reverse: bool = False, extras: Any = None
) -> tuple[list[mg.Tensor], list[mg.Tensor]]:
    """A cell as a Scan, whose body is one step of it.

    state: the first state in its structure.  Returns the leaves of y (T, B, ...), and of the last
    state, as tensors that stand for them.
    """
    write, inside = run.write, xs.inside(run.write)
    masked = map_structure(lambda x: where_inside(inside, x), xs.xs)
    own = {name: value for name, value in (extras or {}).items() if cell.takes_extra(name)}
    context = prepared(cell, masked, own)
    loop = record_loop(run, cell, masked, state, context, inside)
    backwards = int(reverse)
    names = write(
        "Scan",
        *loop.before,
        *[write.value(x) for x in loop.scanned],
        outputs=len(loop.outputs),
        body=loop.body,
        num_scan_inputs=len(loop.scanned),
        scan_input_directions=[backwards] * len(loop.scanned),
        scan_output_directions=[backwards] * (len(loop.outputs) - len(loop.before)),
    )
    T, count = flatten(xs.xs)[0].shape[0], len(loop.before)
    last = [write.bound(s.data, name) for s, name in zip(loop.outputs, names)]
    parts = zip(loop.outputs[count:], names[count:], strict=True)
    ys = [write.bound(np.stack([y.data] * T), name) for y, name in parts]
    return [where_inside(inside, y) for y in ys], last[:count]


def record_loop(
    run: Run, cell: Cell, xs: Any, state: Any, context: Any, inside: mg.Tensor | None
) -> Loop:
    """Record one step in the body of a loop.

    It starts from a state that some steps have made, so that it differs from run to run.
    """
    write = run.write
    before = [write.value(s) for s in flatten(state)]
    outer = [part for part in flatten(context) if isinstance(part, mg.Tensor)]
    scanned = [*flatten(xs), *[whole(part) for part in flatten(context) if is_each_step(part)]]
    scanned += [] if inside is None else [inside]
    for x in [*outer, *scanned]:
        write.value(x)  # outside of the body
    step = map_structure(lambda x: mg.tensor(x.data[0]), xs)
    for _ in range(run.number):
        _, state = run.compute(run_step, cell, step, state, step_of(context, 0))
    with write.body() as body:
        outputs = record_step(write, body, cell, xs, state, context, inside)
        names = [*leaf_names(state), *["y"] * len(outputs)]
        for word, x in zip(names, outputs):
            write.copy(x, write.local(word))
    return Loop(before, scanned, body, outputs)


def record_step(
    write: Writer, body: Block, cell: Cell, xs: Any, state: Any, context: Any, inside: Any
) -> list[mg.Tensor]:
    """One step of a cell on inputs of the body: the leaves of the new state, and those of y."""
    names = iter([f"{name}_prev" for name in leaf_names(state)])
    before = map_structure(lambda s: port(write, body, next(names), s.data), state)
    names = iter([f"{name}_t" for name in leaf_names(xs, "x")])
    x_t = map_structure(lambda x: port(write, body, next(names), x.data[0]), xs)
    own = map_structure(lambda part: step_port(write, body, part), context)
    mask = None if inside is None else port(write, body, "inside_t", inside.data[0])
    with mg.scope(cell.scope_name):
        y, after = cell.check_result(run_step(cell, x_t, before, own), before)
    for name, s_prev, s in zip(leaf_names(state), flatten(before), flatten(after), strict=True):
        if s.dtype != s_prev.dtype:
            raise TypeError(
                f"to_onnx: {cell.scope_name}: state {name} goes in as {s_prev.dtype} and comes out "
                f"as {s.dtype}: {s.describe()}"
            )
    if mask is not None:
        after = map_structure(lambda s, s_prev: kept(mask, s, s_prev), after, before)
    return [*flatten(after), *flatten(y)]


def kept(mask: mg.Tensor, s: mg.Tensor, s_prev: mg.Tensor) -> mg.Tensor:
    """The new state in rows that go on, the old one in rows that have ended."""
    if s is s_prev:
        return s
    return mg.where(mg.expand_dims(mask, tuple(range(1, s.ndim))), s, s_prev)


def port(write: Writer, body: Block, word: str, example: Array) -> mg.Tensor:
    """A new input of a body: a tensor that holds an example."""
    name = write.local(word)
    body.inputs.append(Port(name, example.dtype, example.shape))
    return write.bound(example, name)


# contexts


def is_each_step(part: Any) -> bool:
    """Whether a part of a context is another one at each step."""
    return isinstance(part, EachStep)


def whole(part: EachStep) -> mg.Tensor:
    """What `nn.each_step` was given: it was unstacked."""
    a: mg.Tensor = part.values[0].inputs[0]
    return a


def step_port(write: Writer, body: Block, part: Any) -> Any:
    """A part of the context, as one step gets it."""
    if not is_each_step(part):
        return part
    return port(write, body, "context_t", part.values[0].data)
