"""softsign as a custom primitive with a sign error in its rule."""

import numpy as np

import minigrad as mg
import nn

mg.seed(6)
rng = np.random.default_rng(6)


@mg.primitive
def softsign(x):
    """y = x / (1 + |x|)"""
    return x / (1 + np.abs(x))


@softsign.gradient
def softsign_dx(dy, y, x):
    return dy / (1 - np.abs(x)) ** 2  # should be 1 + |x|


class SoftCell(nn.Cell):
    def __init__(self, D, H):
        self.state_size = H
        self.W_x = nn.Parameter(nn.init.glorot(D, H))
        self.W_h = nn.Parameter(nn.init.orthogonal(H, H))

    def forward(self, x, h_prev):
        a = x @ self.W_x + h_prev @ self.W_h
        h = softsign(a)
        return h, h


cell = SoftCell(2, 16)
net = nn.Unroll(cell)
head = nn.Linear(16, 1)
opt = nn.SGD([*net.parameters(), *head.parameters()], lr=0.05)
for it in range(100):
    x = rng.standard_normal((12, 8, 2)).astype(np.float32)
    y, h = net(x)
    loss = nn.mse_loss(head(y[-1]), np.tanh(x.sum((0, 2)))[:, None])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if it % 20 == 0:
        print(it, float(loss.data))
