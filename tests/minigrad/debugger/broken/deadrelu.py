"""ReLU RNN with a negative bias: dead."""

import numpy as np

import minigrad as mg
import nn

mg.seed(4)
rng = np.random.default_rng(4)


class ReLUCell(nn.Cell):
    def __init__(self, D, H):
        self.state_size = H
        self.W_x = nn.Parameter(nn.init.glorot(D, H))
        self.W_h = nn.Parameter(nn.init.orthogonal(H, H))
        self.b = nn.Parameter(nn.init.zeros(H) - 3)

    def forward(self, x, h_prev):
        h = mg.relu(x @ self.W_x + h_prev @ self.W_h + self.b)
        return h, h


net = nn.Unroll(ReLUCell(2, 16))
head = nn.Linear(16, 1)
opt = nn.SGD([*net.parameters(), *head.parameters()], lr=0.1)
for it in range(60):
    x = rng.standard_normal((20, 8, 2)).astype(np.float32)
    y, h = net(x)
    loss = nn.mse_loss(head(y[-1]), x.sum((0, 2))[:, None])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if it % 20 == 0:
        print(it, float(loss.data))
