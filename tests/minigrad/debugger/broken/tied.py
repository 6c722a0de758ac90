"""two layers meant to be separate share one cell by accident: [cell] * 2; also the two directions."""

import numpy as np

import minigrad as mg
import nn

mg.seed(8)
rng = np.random.default_rng(8)
net = nn.Unroll(nn.Stacked([nn.RNNCell(16, 16)] * 3))
head = nn.Linear(16, 4)
inp = nn.Linear(4, 16)
opt = nn.SGD([*inp.parameters(), *net.parameters(), *head.parameters()], lr=0.3)
for it in range(100):
    x = rng.standard_normal((14, 8, 4)).astype(np.float32)
    y, h = net(inp(x))
    loss = nn.mse_loss(head(y), np.roll(x, 2, 0))
    opt.zero_grad()
    loss.backward()
    opt.step()
    if it % 20 == 0:
        print(it, float(loss.data))
