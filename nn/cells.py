"""The cells of the documents: one step each, in the order and the letters of its equations."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import minigrad as mg
from nn import init
from nn.cell import Cell
from nn.checks import positive
from nn.parameter import Parameter


class RNNCell(Cell):
    """
    a = x W_xh + h_prev W_hh + b_h
    h = φ(a)

    Shapes: x (B, D), h (B, H), W_xh (D, H), W_hh (H, H), b_h (H).  φ is tanh, or relu.
    W_hh starts orthogonal, W_xh as `init.glorot`, b_h at 0.
    Elman, Finding structure in time, 1990.

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
        nonlinearity: Literal["tanh", "relu"] = "tanh",
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
    """The state of an LSTM: the output h and the memory c."""

    h: Any
    c: Any


class LSTMCell(Cell):
    """
    a = x W_xh + h_prev W_hh + b_h
    i = σ(a_i)    f = σ(a_f)    g = tanh(a_g)    o = σ(a_o)
    c = f ∘ c_prev + i ∘ g
    h = o ∘ tanh(c)

    Shapes: x (B, D), h and c (B, H), W_xh (D, 4H), W_hh (H, 4H), b_h (4H).
    Columns stand in the order i f g o.
    W_hh starts orthogonal in each gate, W_xh as `init.glorot` in each, b_h at 0, but at 1 for f,
    so that at first the memory fades slowly (Jozefowicz et al. 2015).
    Hochreiter & Schmidhuber, Long short-term memory, 1997; Gers et al., Learning to forget, 2000.

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

    Shapes: x (B, D), h (B, H), W_xh (D, 3H), W_hh (H, 3H), b_h (3H), b_hn (H).
    Columns stand in the order r z n.
    This is reset="after" (PyTorch, cuDNN).  With reset="before" there is no b_hn, and
        n = tanh(x W_xn + (r ∘ h_prev) W_hn + b_n)
    W_hh starts orthogonal in each gate, W_xh as `init.glorot` in each, the biases at 0.
    Cho et al., Learning phrase representations using RNN encoder–decoder, 2014.

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
        reset: Literal["after", "before"] = "after",
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
    """W_xh and W_hh of several gates side by side; each gate starts as if it stood alone."""
    rng = init.generator(rng)
    W_xh = [init.glorot(input_size, hidden_size, rng=rng) for _ in range(gates)]
    W_hh = [init.orthogonal(hidden_size, hidden_size, rng=rng) for _ in range(gates)]
    return Parameter(init.gates(*W_xh)), Parameter(init.gates(*W_hh))
