"""Cells from papers, of many shapes: inner loops, grids, trees, matrices, cells inside of cells."""

from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
import nn
from demos.custom_cells.adaptive import AdaptiveCell
from demos.custom_cells.gru_ode import GRUODECell
from demos.custom_cells.mlstm import MLSTMCell
from nn import Parameter
from nn.init import glorot, orthogonal, zeros


class SLSTMState(NamedTuple):
    h: Any
    c: Any
    n: Any
    m: Any


class SLSTMCell(nn.Cell):
    """
    a = x W_x + h_prev W_h + b                     in the order i f z o
    m = max(log σ(a_f) + m_prev, a_i)
    c = exp(log σ(a_f) + m_prev − m) c_prev + exp(a_i − m) tanh(a_z)
    n = exp(log σ(a_f) + m_prev − m) n_prev + exp(a_i − m)
    h = σ(a_o) c / n

    Beck et al., xLSTM, 2024.
    """

    memory = ("c", "n", "m")

    def __init__(self, D, H):
        self.input_size, self.state_size = D, SLSTMState(H, H, H, H)
        self.W_x = Parameter(glorot(D, 4 * H))
        self.W_h = Parameter(glorot(H, 4 * H))
        self.b = Parameter(zeros(4 * H))

    def forward(self, x, state):
        h_prev, c_prev, n_prev, m_prev = state
        a_i, a_f, a_z, a_o = mg.split(x @ self.W_x + h_prev @ self.W_h + self.b, 4, axis=-1)
        log_f = -mg.softplus(-a_f)
        m = np.maximum(log_f + m_prev, a_i)
        keep = np.exp(log_f + m_prev - m)
        write = np.exp(a_i - m)
        c = keep * c_prev + write * np.tanh(a_z)
        n = keep * n_prev + write
        h = mg.sigmoid(a_o) * c / n
        return h, SLSTMState(h, c, n, m)


def legendre(order, theta):
    """Ā and B̄ of the Legendre memory, by the series of the matrix exponential."""
    n = np.arange(order)
    scale = (2 * n + 1)[:, None] / theta
    i, j = np.meshgrid(n, n, indexing="ij")
    A = np.where(i < j, -1.0, (-1.0) ** (i - j + 1)) * scale
    B = ((-1.0) ** n)[:, None] * scale
    M = np.block([[A, B], [np.zeros((1, order + 1))]])
    total = term = np.eye(order + 1)
    for k in range(1, 30):
        term = term @ M / k
        total = total + term
    return total[:order, :order].T, total[:order, order:].T


class LMUCell(nn.Cell):
    """
    u = x e_x + h_prev e_h + m_prev e_m
    m = m_prev Ā + u B̄
    h = tanh(x W_x + h_prev W_h + m W_m)

    Voelker, Kajić & Eliasmith, Legendre memory units, 2019.
    """

    memory = ("m",)

    def __init__(self, D, H, order=3, theta=10.0):
        self.input_size, self.state_size = D, {"h": H, "m": order}
        A, B = legendre(order, theta)
        self.A, self.B = nn.Buffer(A.astype(self.dtype)), nn.Buffer(B.astype(self.dtype))
        self.e_x, self.e_h = Parameter(glorot(D, 1)), Parameter(glorot(H, 1))
        self.e_m = Parameter(glorot(order, 1))
        self.W_x, self.W_h = Parameter(glorot(D, H)), Parameter(orthogonal(H, H))
        self.W_m = Parameter(glorot(order, H))

    def forward(self, x, state):
        u = x @ self.e_x + state["h"] @ self.e_h + state["m"] @ self.e_m
        m = state["m"] @ self.A + u @ self.B
        h = np.tanh(x @ self.W_x + state["h"] @ self.W_h + m @ self.W_m)
        return h, {"h": h, "m": m}


class CoRNNCell(nn.Cell):
    """
    z = z_prev + Δt (tanh(y_prev W + z_prev W_z + x V + b) − γ y_prev − ε z_prev)
    y = y_prev + Δt z

    Rusch & Mishra, Coupled oscillatory recurrent neural network, 2021.
    """

    def __init__(self, D, H, dt=0.1, gamma=2.7, eps=4.7):
        self.input_size, self.state_size = D, (H, H)
        self.dt, self.gamma, self.eps = dt, gamma, eps
        self.W, self.W_z = Parameter(orthogonal(H, H)), Parameter(orthogonal(H, H))
        self.V, self.b = Parameter(glorot(D, H)), Parameter(zeros(H))

    def forward(self, x, state):
        y_prev, z_prev = state
        force = np.tanh(y_prev @ self.W + z_prev @ self.W_z + x @ self.V + self.b)
        z = z_prev + self.dt * (force - self.gamma * y_prev - self.eps * z_prev)
        y = y_prev + self.dt * z
        return y, (y, z)


class LEMCell(nn.Cell):
    """
    d = Δt σ(x V_d + y_prev W_d + b_d)    e = Δt σ(x V_e + y_prev W_e + b_e)
    z = (1 − d) z_prev + d tanh(x V_z + y_prev W_z + b_z)
    y = (1 − e) y_prev + e tanh(x V_y + z W_y + b_y)

    Rusch et al., Long expressive memory for sequence modeling, 2022.
    """

    def __init__(self, D, H, dt=0.5):
        self.input_size, self.state_size, self.dt = D, (H, H), dt
        self.V = {key: Parameter(glorot(D, H)) for key in "dezy"}
        self.W = {key: Parameter(orthogonal(H, H)) for key in "dezy"}
        self.b = {key: Parameter(zeros(H)) for key in "dezy"}

    def pre(self, key, x, s):
        return x @ self.V[key] + s @ self.W[key] + self.b[key]

    def forward(self, x, state):
        y_prev, z_prev = state
        d = self.dt * mg.sigmoid(self.pre("d", x, y_prev))
        e = self.dt * mg.sigmoid(self.pre("e", x, y_prev))
        z = (1 - d) * z_prev + d * np.tanh(self.pre("z", x, y_prev))
        y = (1 - e) * y_prev + e * np.tanh(self.pre("y", x, z))
        return y, (y, z)


class HyperState(NamedTuple):
    h: Any
    c: Any
    hyper: Any


class HyperLSTMCell(nn.Cell):
    """
    s, hyper = LSTM([x, h_prev], hyper_prev)
    a = (s Z_x) ∘ (x W_x) + (s Z_h) ∘ (h_prev W_h) + s Z_b + b     in the order i f g o
    c = σ(a_f) c_prev + σ(a_i) tanh(a_g)
    h = σ(a_o) tanh(c)

    Ha, Dai & Le, HyperNetworks, 2017.
    """

    memory = ("c", "hyper.c")

    def __init__(self, D, H, S=2):
        self.input_size, self.state_size = D, HyperState(H, H, nn.LSTMState(S, S))
        self.hyper = nn.LSTMCell(D + H, S)
        self.W_x, self.W_h = Parameter(glorot(D, 4 * H)), Parameter(glorot(H, 4 * H))
        self.b = Parameter(zeros(4 * H))
        self.Z = [nn.Linear(S, 4 * H) for _ in "xhb"]

    def forward(self, x, state):
        h_prev, c_prev, hyper_prev = state
        s, hyper = self.hyper(np.concatenate([x, h_prev], axis=-1), hyper_prev)
        d_x, d_h, d_b = (Z(s) for Z in self.Z)
        a = d_x * (x @ self.W_x) + d_h * (h_prev @ self.W_h) + d_b + self.b
        i, f, g, o = mg.split(a, 4, axis=-1)
        c = mg.sigmoid(f) * c_prev + mg.sigmoid(i) * np.tanh(g)
        h = mg.sigmoid(o) * np.tanh(c)
        return h, HyperState(h, c, hyper)


class NestedLSTMCell(nn.Cell):
    """
    a = x W_x + h_prev W_h + b                                     in the order i f g o
    c, (·, inner) = LSTM(σ(a_i) tanh(a_g), (σ(a_f) c_prev, inner_prev))
    h = σ(a_o) tanh(c)

    Moniz & Krueger, Nested LSTMs, 2017.
    """

    def __init__(self, D, H):
        self.input_size, self.state_size = D, {"h": H, "c": H, "inner": H}
        self.W_x, self.W_h = Parameter(glorot(D, 4 * H)), Parameter(glorot(H, 4 * H))
        self.b = Parameter(zeros(4 * H))
        self.inner = nn.LSTMCell(H, H)

    def forward(self, x, state):
        a = x @ self.W_x + state["h"] @ self.W_h + self.b
        i, f, g, o = mg.split(a, 4, axis=-1)
        before = nn.LSTMState(mg.sigmoid(f) * state["c"], state["inner"])
        c, (_, inner) = self.inner(mg.sigmoid(i) * np.tanh(g), before)
        h = mg.sigmoid(o) * np.tanh(c)
        return h, {"h": h, "c": c, "inner": inner}


def convolve(x, W):
    """Σ over the 3 × 3 neighbours of x (B, C, M, N), zeros outside, with W (3, 3, C, D)."""
    M, N = x.shape[-2:]
    wide = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(1, 1), (1, 1)])
    y = 0
    for i in range(3):
        for j in range(3):
            part = wide[..., i : i + M, j : j + N]
            y = y + np.einsum("...cmn,cd->...dmn", part, W[i, j])
    return y


class ConvLSTMCell(nn.Cell):
    """
    a = W_x * x + W_h * h_prev + b                                 in the order i f g o
    c = σ(a_f) c_prev + σ(a_i) tanh(a_g)
    h = σ(a_o) tanh(c)

    Shapes: x (B, D, M, N), h and c (B, H, M, N); * is a convolution with 3 × 3 neighbours.
    Shi et al., Convolutional LSTM network, 2015.
    """

    memory = ("c",)

    def __init__(self, D, H, M=3, N=2):
        self.state_size = nn.LSTMState([H, M, N], [H, M, N])
        self.W_x = Parameter(glorot(3, 3, D, 4 * H))
        self.W_h = Parameter(glorot(3, 3, H, 4 * H))
        self.b = Parameter(np.zeros((4 * H, 1, 1), self.dtype))

    def forward(self, x, state):
        h_prev, c_prev = state
        a = convolve(x, self.W_x) + convolve(h_prev, self.W_h) + self.b
        i, f, g, o = mg.split(a, 4, axis=-3)
        c = mg.sigmoid(f) * c_prev + mg.sigmoid(i) * np.tanh(g)
        h = mg.sigmoid(o) * np.tanh(c)
        return h, nn.LSTMState(h, c)


class GridCell(nn.Cell):
    """
    h[i, j] = tanh(x[i, j] W + h[i − 1, j] U + h[i, j − 1] V + b)

    A step is a row of the grid: x (B, N, D), and the state is the row before, (B, N, H).
    Graves, Fernández & Schmidhuber, Multi-dimensional recurrent neural networks, 2007.
    """

    def __init__(self, D, H, N=3):
        self.state_size, self.columns = [N, H], N
        self.W = Parameter(glorot(D, H))
        self.U, self.V = Parameter(orthogonal(H, H)), Parameter(orthogonal(H, H))
        self.b = Parameter(zeros(H))

    def forward(self, x, above):
        left, row = 0 * above[..., 0, :], []
        for j in range(self.columns):
            with mg.time_step(j, axis="col"):
                a = x[..., j, :] @ self.W + above[..., j, :] @ self.U + left @ self.V + self.b
                left = np.tanh(a)
            row.append(left)
        h = np.stack(row, axis=-2)
        return h, h


class TreeState(NamedTuple):
    h: Any
    c: Any
    t: Any


class TreeLSTMCell(nn.Cell):
    """
    h̃ = h_1 + h_2                                   the children's, 0 where there is none
    i, o = σ(x W_x + h̃ W_h + b)    g = tanh(x W_g + h̃ U_g + b_g)
    f_k = σ(x W_f + h_k U_f + b_f)
    c = i g + f_1 c_1 + f_2 c_2
    h = o tanh(c)

    A step is a node, children before parents: x (B, D), children (B, 2) the numbers of their steps,
    or −1.  The state is the table of all nodes so far, (B, nodes, H), and how many there are.
    Tai, Socher & Manning, Improved semantic representations from tree-structured LSTMs, 2015.
    """

    memory = ("c",)

    def __init__(self, D, H, nodes=4):
        self.nodes, self.H = nodes, H
        self.state_size = TreeState([nodes, H], [nodes, H], 1)
        self.W_x, self.W_h = Parameter(glorot(D, 2 * H)), Parameter(glorot(H, 2 * H))
        self.b = Parameter(zeros(2 * H))
        self.W_g, self.U_g, self.b_g = (
            Parameter(glorot(D, H)),
            Parameter(glorot(H, H)),
            Parameter(zeros(H)),
        )
        self.W_f, self.U_f, self.b_f = (
            Parameter(glorot(D, H)),
            Parameter(glorot(H, H)),
            Parameter(zeros(H)),
        )

    def forward(self, x, state):
        x, children = x["x"], np.asarray(x["children"].data)
        # which node is child k, as 0 and 1: (B, nodes, 1)
        picked = [(children[:, k, None, None] == np.arange(self.nodes)[:, None]) for k in (0, 1)]
        h_k = [np.where(which, state.h, 0).sum(axis=1) for which in picked]
        c_k = [np.where(which, state.c, 0).sum(axis=1) for which in picked]
        total = h_k[0] + h_k[1]
        i, o = mg.split(mg.sigmoid(x @ self.W_x + total @ self.W_h + self.b), 2, axis=-1)
        g = np.tanh(x @ self.W_g + total @ self.U_g + self.b_g)
        c = i * g
        for h_child, c_child in zip(h_k, c_k, strict=True):
            c = c + mg.sigmoid(x @ self.W_f + h_child @ self.U_f + self.b_f) * c_child
        h = o * np.tanh(c)
        here = np.arange(self.nodes)[:, None] == np.round(state.t.data)[:, None] % self.nodes
        new_h = np.where(here, h[:, None], state.h)
        new_c = np.where(here, c[:, None], state.c)
        return h, TreeState(new_h, new_c, state.t + 1)


class FastWeightsCell(nn.Cell):
    """
    A = λ A_prev + η h_prev h_prevᵀ
    s_0 = tanh(h_prev W_h + x W_x + b)
    s_k = tanh(LN(h_prev W_h + x W_x + b + A s_{k−1}))
    h = s_S

    Ba et al., Using fast weights to attend to the recent past, 2016.
    """

    memory = ("A",)

    def __init__(self, D, H, inner=2, decay=0.9, rate=0.5):
        self.input_size, self.state_size = D, {"h": H, "A": [H, H]}
        self.inner, self.decay, self.rate = inner, decay, rate
        self.W_h, self.W_x = Parameter(orthogonal(H, H)), Parameter(glorot(D, H))
        self.b, self.norm = Parameter(zeros(H)), nn.LayerNorm(H)

    def forward(self, x, state):
        h_prev, A_prev = state["h"], state["A"]
        A = self.decay * A_prev + self.rate * h_prev[..., :, None] * h_prev[..., None, :]
        a = h_prev @ self.W_h + x @ self.W_x + self.b
        s = np.tanh(a)
        for k in range(self.inner):
            with mg.time_step(k, axis="inner"):
                s = np.tanh(self.norm(a + (A @ s[..., None])[..., 0]))
        return s, {"h": s, "A": A}


T, B, D, H = 4, 2, 3, 4
CHILDREN = np.array(
    [[[-1, -1], [-1, -1]], [[-1, -1], [0, -1]], [[0, 1], [-1, -1]], [[2, -1], [1, 2]]]
)

CELLS = {
    "sLSTM": lambda: SLSTMCell(D, H),
    "mLSTM": lambda: MLSTMCell(D, H),
    "LMU": lambda: LMUCell(D, H),
    "coRNN": lambda: CoRNNCell(D, H),
    "LEM": lambda: LEMCell(D, H),
    "HyperLSTM": lambda: HyperLSTMCell(D, H),
    "nested LSTM": lambda: NestedLSTMCell(D, H),
    "GRU-ODE": lambda: GRUODECell(D, H),
    "conv-LSTM": lambda: ConvLSTMCell(D, 2),
    "grid RNN": lambda: GridCell(D, H),
    "tree-LSTM": lambda: TreeLSTMCell(D, H),
    "adaptive": lambda: AdaptiveCell(D, H),
    "fast weights": lambda: FastWeightsCell(D, H),
}
SHAPES = {"conv-LSTM": (D, 3, 2), "grid RNN": (3, D)}  # of one row of x; the others have (D,)
