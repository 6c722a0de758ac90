"""LSTM whose forget bias was meant to be 1 and is -10 (gate order confusion / sign)."""

import numpy as np

import minigrad as mg
import nn

mg.seed(5)
rng = np.random.default_rng(5)
net = nn.LSTM(1, 16)
head = nn.Linear(16, 1)
b = net.l0.b_h.data.copy()
b[16:32] = -10
net.l0.b_h.data = b
opt = nn.Adam([*net.parameters(), *head.parameters()], lr=1e-2)
for it in range(100):
    x = rng.standard_normal((30, 8, 1)).astype(np.float32)
    y, _ = net(x)
    loss = nn.mse_loss(head(y[-1]), x[0])  # remember the first one
    opt.zero_grad()
    loss.backward()
    opt.step()
    if it % 20 == 0:
        print(it, float(loss.data))
