"""The cells: one step of a recurrence, in the order and the letters of its equations.

A cell is a module with `forward(x, state) -> (y, state)`.  It knows nothing of time; `unroll` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from nn import init
from nn.checks import positive
from nn.module import FOLDER, Module
from nn.parameter import Parameter

State = Any  # a tensor, or a (named) tuple of states


class Layers(tuple[State, ...]):
    """The states of the layers of a stack: leaves keep their names, since each layer has a scope of
    its own.
    """


def map_state(function: Callable[..., Any], state: State, *others: State) -> State:
    """`function` of each leaf (and of the leaves of states of the same structure), in the structure
    of the first.
    """
    if not isinstance(state, tuple | list):
        return function(state, *others)
    parts = [map_state(function, *leaves) for leaves in zip(state, *others, strict=True)]
    return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)


def leaves(state: State, name: str = "h") -> Iterator[tuple[str, Any]]:
    """The leaves of a state with their names: `name`; the fields of a named tuple; s0, s1, ... of a
    plain one.
    """
    if not isinstance(state, tuple | list):
        yield name, state
        return
    for k, part in enumerate(state):
        fields = getattr(state, "_fields", None)
        yield from leaves(
            part, fields[k] if fields else name if isinstance(state, Layers) else f"s{k}"
        )


def detach_state(state: State) -> State:
    """The same state, in tuples, lists or dicts, without its history: where truncated BPTT cuts.
    None stays None.

    >>> import minigrad as mg, nn
    >>> h = mg.tensor([1.0], requires_grad=True) * 2
    >>> nn.detach_state((h, h))
    (tensor([2.]), tensor([2.]))
    """
    if isinstance(state, tuple | list):
        return map_state(detach_state, state)
    if isinstance(state, dict):
        return {name: detach_state(part) for name, part in state.items()}
    return mg.tensor(state.data) if isinstance(state, mg.Tensor) else state


class Cell(Module):
    """Base of all cells: write `forward(x, state) -> (y, state)` and set `state_size`.

    Shapes: x (B, D), y (B, ...), each leaf of the state (B, size).  Without a batch axis: x (D),
    leaves (size). `state_size` is a size, or a (named) tuple of sizes for a state that is one; or
    write `initial_state` instead.
    """

    state_size: Any
    memory: tuple[str, ...] = ()  # the leaves of the state that are memories, as c of an LSTM
    over_time = False  # True where `forward` takes whole sequences, as a stack of layers does

    def initial_state(self, batch_size: int | None = None) -> State:
        """Zeros of the parameters' dtype, named h_init, c_init, ...; (size) without a batch size."""
        if not hasattr(self, "state_size"):
            raise TypeError(
                f"{type(self).__name__}: set self.state_size, or write initial_state(batch_size)"
            )
        batch = () if batch_size is None else (batch_size,)
        names = (f"{name}_init" for name, _ in leaves(self.state_size))
        return map_state(
            lambda n: mg.tensor(np.zeros((*batch, n)), False, self.dtype, next(names)),
            self.state_size,
        )

    def check_input(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Raise if one step of input does not fit; here if it has not `input_size` features."""
        size = getattr(self, "input_size", None)
        if size is not None and (len(shape) not in (1, 2) or shape[-1] != size):
            raise ValueError(
                f"{self.scope_name}: x (B, {size}) or ({size},) is needed at each step, found {shape}"
            )
        if size is not None and dtype.kind != "f":
            raise TypeError(
                f"{self.scope_name}: x must hold floats, found {dtype}; write x.astype(np.{self.dtype})"
            )

    def check_state(self, state: State, *batch: int, who: str = "") -> State:
        """The state as tensors, in the structure of the initial one; raises, and names the leaf
        that does not fit.
        """
        if hasattr(self, "state_size"):
            return self.check_like(
                state, self.state_size, f"{who or self.scope_name}: state", batch
            )
        with mg.no_grad():
            return self.check_like(
                state, self.initial_state(*batch), f"{who or self.scope_name}: state", batch
            )

    def check_like(self, state: State, like: Any, where: str, batch: tuple[int, ...] = ()) -> State:
        """The state in the structure of `like`, whose leaves are sizes without the batch, or
        examples; or an error.
        """
        if isinstance(like, tuple):
            fields = getattr(like, "_fields", range(len(like)))
            if not isinstance(state, tuple | list) or len(state) != len(like):
                found = (
                    f"{len(state)} parts"
                    if isinstance(state, tuple | list)
                    else f"one {type(state).__name__}"
                )
                wanted = ", ".join(str(field) for field in fields)
                raise ValueError(f"{where} must be a tuple ({wanted}), found {found}")
            parts = [
                self.check_like(s, l, f"{where}.{field}", batch)
                for field, s, l in zip(fields, state, like)
            ]
            return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)
        shape = (*batch, like) if isinstance(like, int) else like.shape
        if not isinstance(state, mg.Tensor | np.ndarray):
            raise TypeError(f"{where} must be a tensor {shape}, found {type(state).__name__}")
        if state.shape != shape:
            raise ValueError(f"{where} {shape} is needed, found {state.shape}")
        return state if isinstance(state, mg.Tensor) else mg.tensor(state, dtype=self.dtype)

    def __call__(self, x: Any, state: State = None, **options: Any) -> tuple[Any, State]:
        """One step: `forward` after checking x and the state; without a state, from the initial
        one.
        """
        x, state = self._as_tensors(x), self._as_tensors(state)
        if not hasattr(x, "dtype"):
            raise TypeError(
                f"{self.scope_name}: x must be a tensor or an array, found {type(x).__name__}"
            )
        self.check_input(x.shape, x.dtype)
        batch = x.shape[: 1 if x.dtype.kind != "f" else -1]
        state = self.initial_state(*batch) if state is None else self.check_state(state, *batch)
        with mg.scope(self.scope_name, outside=FOLDER):
            return self.check_result(self.forward(x, state, **options))

    def check_result(self, result: Any, like: State = None) -> tuple[Any, State]:
        """What forward returned, if it is (y, state), with a state like the one that went in; or an
        error.
        """
        if not isinstance(result, tuple) or len(result) != 2:
            found = (
                f"{len(result)} parts"
                if isinstance(result, tuple)
                else f"one {type(result).__name__}"
            )
            raise TypeError(f"{type(self).__name__}.forward must return (y, state), found {found}")
        y, new = result
        return y, new if like is None else self.check_like(
            new, like, f"{self.scope_name}: the state that forward returns"
        )

    def describe(self) -> str:
        """The sizes."""
        return ", ".join(
            str(getattr(self, name))
            for name in ("input_size", "hidden_size")
            if hasattr(self, name)
        )


class RNNCell(Cell):
    """
    a = x W_xh + h_prev W_hh + b_h
    h = φ(a)

    Shapes: x (B, D), h (B, H), W_xh (D, H), W_hh (H, H), b_h (H).  φ is tanh, or relu.
    Elman, Finding structure in time, 1990.  W_hh starts orthogonal, W_xh as `init.glorot`, b_h at
    0.

    >>> import numpy as np, nn
    >>> cell = nn.RNNCell(3, 4)
    >>> y, h = cell(np.zeros((2, 3)), cell.initial_state(2))
    >>> y is h, h.shape
    (True, (2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        rng: init.Rng = None,
    ) -> None:
        positive("RNNCell", input_size=input_size, hidden_size=hidden_size)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"RNNCell: nonlinearity must be 'tanh' or 'relu', found {nonlinearity!r}"
            )
        self.input_size, self.hidden_size, self.nonlinearity = input_size, hidden_size, nonlinearity
        self.state_size = hidden_size
        self.W_xh = Parameter(init.glorot(input_size, hidden_size, rng=rng))
        self.W_hh = Parameter(init.orthogonal(hidden_size, hidden_size, rng=rng))
        self.b_h = Parameter(init.zeros(hidden_size)) if bias else None

    def forward(self, x: mg.Tensor, h_prev: mg.Tensor) -> tuple[mg.Tensor, mg.Tensor]:
        """One step."""
        if self.b_h is None:  # noqa: SIM108
            a = x @ self.W_xh + h_prev @ self.W_hh
        else:
            a = x @ self.W_xh + h_prev @ self.W_hh + self.b_h
        h = mg.tanh(a) if self.nonlinearity == "tanh" else mg.relu(a)
        return h, h


class LSTMState(NamedTuple):
    """The state of an LSTM: what it shows, and its memory."""

    h: Any
    c: Any


class LSTMCell(Cell):
    """
    a = x W_xh + h_prev W_hh + b_h
    i = σ(a_i)    f = σ(a_f)    g = tanh(a_g)    o = σ(a_o)
    c = f ∘ c_prev + i ∘ g
    h = o ∘ tanh(c)

    Shapes: x (B, D), h and c (B, H), W_xh (D, 4H), W_hh (H, 4H), b_h (4H); columns in the order i f
    g o. Hochreiter & Schmidhuber, Long short-term memory, 1997; Gers et al., Learning to forget,
    2000. W_hh starts orthogonal in each gate, W_xh as `init.glorot` in each, b_h at 0 but 1 for f:
    a memory that is kept until the network learns to forget (Jozefowicz et al. 2015).

    >>> import numpy as np, nn
    >>> cell = nn.LSTMCell(3, 4)
    >>> y, (h, c) = cell(np.zeros((2, 3)), cell.initial_state(2))
    >>> y is h, c.shape
    (True, (2, 4))
    """

    memory = ("c",)

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, rng: init.Rng = None
    ) -> None:
        positive("LSTMCell", input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.state_size = LSTMState(hidden_size, hidden_size)
        self.W_xh, self.W_hh = _packed_weights(4, input_size, hidden_size, rng)
        zero = init.zeros(hidden_size)
        self.b_h = Parameter(init.gates(zero, init.ones(hidden_size), zero, zero)) if bias else None

    def forward(self, x: mg.Tensor, state: LSTMState) -> tuple[mg.Tensor, LSTMState]:
        """One step."""
        h_prev, c_prev = state
        if self.b_h is None:  # noqa: SIM108
            a = x @ self.W_xh + h_prev @ self.W_hh
        else:
            a = x @ self.W_xh + h_prev @ self.W_hh + self.b_h
        a_i, a_f, a_g, a_o = mg.split(a, 4, axis=-1)
        i = mg.sigmoid(a_i)
        f = mg.sigmoid(a_f)
        g = mg.tanh(a_g)
        o = mg.sigmoid(a_o)
        c = f * c_prev + i * g
        h = o * mg.tanh(c)
        return h, LSTMState(h, c)


class GRUCell(Cell):
    """
    r = σ(x W_xr + h_prev W_hr + b_r)
    z = σ(x W_xz + h_prev W_hz + b_z)
    n = tanh(x W_xn + b_n + r ∘ (h_prev W_hn + b_hn))
    h = (1 − z) ∘ n + z ∘ h_prev

    Shapes: x (B, D), h (B, H), W_xh (D, 3H), W_hh (H, 3H), b_h (3H), columns in the order r z n;
    b_hn (H). That is reset="after" (PyTorch, cuDNN).  With reset="before" there is no b_hn, and the
    candidate is that of Cho et al., Learning phrase representations using RNN encoder–decoder,
    2014:
        n = tanh(x W_xn + (r ∘ h_prev) W_hn + b_n)
    W_hh starts orthogonal in each gate, W_xh as `init.glorot` in each, the biases at 0.

    >>> import numpy as np, nn
    >>> cell = nn.GRUCell(3, 4, reset="before")
    >>> y, h = cell(np.zeros((2, 3)), cell.initial_state(2))
    >>> h.shape, [name for name, _ in cell.named_parameters()]
    ((2, 4), ['W_xh', 'W_hh', 'b_h'])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        reset: str = "after",
        rng: init.Rng = None,
    ) -> None:
        positive("GRUCell", input_size=input_size, hidden_size=hidden_size)
        if reset not in ("after", "before"):
            raise ValueError(f"GRUCell: reset must be 'after' or 'before', found {reset!r}")
        self.input_size, self.hidden_size, self.reset = input_size, hidden_size, reset
        self.state_size = hidden_size
        self.W_xh, self.W_hh = _packed_weights(3, input_size, hidden_size, rng)
        self.b_h = Parameter(init.zeros(3 * hidden_size)) if bias else None
        self.b_hn = Parameter(init.zeros(hidden_size)) if bias and reset == "after" else None

    def forward(self, x: mg.Tensor, h_prev: mg.Tensor) -> tuple[mg.Tensor, mg.Tensor]:
        """One step."""
        a = x @ self.W_xh if self.b_h is None else x @ self.W_xh + self.b_h
        a_r, a_z, a_n = mg.split(a, 3, axis=-1)
        if self.reset == "before":
            return self._before(a_r, a_z, a_n, h_prev)
        u_r, u_z, u_n = mg.split(h_prev @ self.W_hh, 3, axis=-1)
        r = mg.sigmoid(a_r + u_r)
        z = mg.sigmoid(a_z + u_z)
        n = mg.tanh(a_n + r * (u_n if self.b_hn is None else u_n + self.b_hn))
        h = (1 - z) * n + z * h_prev
        return h, h

    def _before(
        self, a_r: mg.Tensor, a_z: mg.Tensor, a_n: mg.Tensor, h_prev: mg.Tensor
    ) -> tuple[mg.Tensor, mg.Tensor]:
        gates = 2 * self.hidden_size
        u_r, u_z = mg.split(h_prev @ self.W_hh[:, :gates], 2, axis=-1)
        r = mg.sigmoid(a_r + u_r)
        z = mg.sigmoid(a_z + u_z)
        n = mg.tanh(a_n + (r * h_prev) @ self.W_hh[:, gates:])
        h = (1 - z) * n + z * h_prev
        return h, h

    def equations(self) -> list[str]:
        """Those of the chosen reset."""
        r, z, n, h = super().equations()
        return [
            r,
            z,
            n if self.reset == "after" else "n = tanh(x W_xn + (r ∘ h_prev) W_hn + b_n)",
            h,
        ]


def _packed_weights(
    gates: int, input_size: int, hidden_size: int, rng: init.Rng
) -> tuple[Parameter, Parameter]:
    """W_xh and W_hh of several gates side by side, each gate initialised as if it stood alone."""
    rng = init.generator(rng)
    W_xh = [init.glorot(input_size, hidden_size, rng=rng) for _ in range(gates)]
    W_hh = [init.orthogonal(hidden_size, hidden_size, rng=rng) for _ in range(gates)]
    return Parameter(init.gates(*W_xh)), Parameter(init.gates(*W_hh))
