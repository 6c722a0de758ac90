"""What users write, and what no type checker may complain about, however strict it is."""

from typing import Any

import numpy as np

import minigrad as mg
import nn


class LeakyCell(nn.Cell):
    """a = σ(x W + h_prev U);  h = (1 − a) h_prev + a tanh(x W)"""

    def __init__(self, D: int, H: int) -> None:
        self.state_size = H
        self.W = nn.Parameter(nn.init.glorot(D, H))
        self.U = nn.Parameter(nn.init.orthogonal(H, H))

    def forward(self, x: mg.Tensor, h_prev: mg.Tensor) -> tuple[mg.Tensor, mg.Tensor]:
        """One step."""
        a = mg.sigmoid(x @ self.W + h_prev @ self.U)
        h = (1 - a) * h_prev + a * mg.tanh(x @ self.W)
        return h, h


def recurrence() -> mg.Graph:
    """The smallest one."""
    w, h = mg.tensor(0.2, requires_grad=True, name="w"), mg.tensor(0.9)
    for t in range(3):
        with mg.time_step(t):
            h = w * h
    return mg.Graph(h)


def look(graph: mg.Graph) -> None:
    """Walk, measure, edit and draw."""
    for step in graph.backward_steps():
        print(step, step.t, step.node.name)
    shares = graph.grad_by_step("w")
    print(shares.shape, graph.gradient_flow().verdict, len(graph), graph.time_steps)
    graph.truncate(2).backward()
    graph.clip_edges(max_norm=1.0).render("clipped.svg", view="cells", backward=True)
    print(graph.render("picture.png", time="rolled", steps="0:2,-2:"))
    dot = graph.to_dot(view="ops")
    print(dot.source, graph.backward_source())


def train() -> float:
    """A layer, a loss, an optimiser."""
    mg.seed(0)
    net = nn.LSTM(3, 8, num_layers=2, dropout=0.1)
    head = nn.Linear(8, 1)
    optimizer = nn.Adam([*net.parameters(), *head.parameters()], lr=0.01)
    xs = np.ones((5, 4, 3), np.float32)
    loss = mg.tensor(0.0)
    for _ in range(3):
        ys, (h, c) = net(xs)
        loss = nn.mse_loss(head(ys[-1]), np.zeros((4, 1), np.float32))
        optimizer.zero_grad()
        loss.backward()
        norm: float = mg.clip_grad_norm_(net, max_norm=1.0)
        optimizer.step()
        print(norm, h.shape, c.shape)
    with mg.no_grad():
        return float(loss)


def derivatives(x: mg.Tensor) -> mg.Tensor:
    """First and second."""
    y = (x * x).sum() + mg.softmax(x, axis=-1).max()
    y = y + mg.elu(mg.silu(x), 0.5).sum() + mg.leaky_relu(x.mT @ mg.one_hot([0, 1], 2)).sum()
    y = y + mg.einsum(x, [0, 1], x, [0, 1]) + mg.einsum("ij,ij", x, x)
    (dx,) = mg.grad(y, [x], create_graph=True)
    assert dx is not None
    (ddx,) = mg.grad(dx.sum(), [x])
    assert ddx is not None
    array: np.ndarray[Any, Any] = ddx.numpy()
    print(array, x.reshape(-1).mean(axis=0, keepdims=True), x.T[0], x > 0, -x, 2 / x, x**2)
    return ddx


def own_cell() -> None:
    """A cell of one's own gets everything."""
    print(nn.check_cell(LeakyCell(3, 8)))
    ys, h = nn.Unroll(nn.Stacked([LeakyCell(3, 8), LeakyCell(8, 8)]))(np.ones((4, 2, 3)))
    print(ys, h)


@mg.primitive
def scaled(x: mg.Tensor, *, factor: float = 2.0) -> mg.Tensor:
    """y = factor · x."""
    return factor * x


@scaled.gradient
def scaled_dx(dy: Any, y: Any, x: Any, *, factor: float) -> Any:
    """dx = factor · dy."""
    return factor * dy


@mg.primitive(once=True)
def halved(x: mg.Tensor) -> mg.Tensor:
    """y = x / 2."""
    return x / 2


@halved.gradient("x")
def any_name(dy: Any, y: Any, x: Any) -> Any:
    """dx = dy / 2."""
    return dy / 2


def functions(x: mg.Tensor) -> mg.Tensor:
    """NumPy's arguments, by position and by name."""
    first, second = mg.split(mg.concatenate([x, x]), 2)
    joined = mg.stack((first, second), axis=1).reshape(2, -1)
    y = mg.sum(joined, 0) + joined.sum(axis=0) + mg.maximum(x, 0) + mg.clip(x, -1, 1)
    y = y + mg.where(x > 0, x, 0.0) + mg.einsum("i,i->i", x, x) + mg.transpose(y)
    y = y + mg.logsumexp(x, axis=None, keepdims=True) + mg.std(x, ddof=1) + mg.pad(x, 1)[1:-1]
    z: mg.Tensor = scaled(halved(y), factor=3.0)
    parts: tuple[mg.Tensor, ...] = mg.unstack(z)
    return mg.matmul(z, z) + parts[0] + mg.tanh([1.0, 2.0]) + mg.exp(0.5) + np.ones(3) * z
