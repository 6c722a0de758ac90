"""LSTM on a sum task; learning goes well, then the loss blows up around step 400: curriculum makes T longer."""

import numpy as np

import minigrad as mg
import nn

mg.seed(0)
rng = np.random.default_rng(0)


class ScaledCell(nn.Cell):
    """leaky ReLU recurrence, identity init (IRNN)"""

    def __init__(self, D, H):
        self.state_size = H
        self.W_x = nn.Parameter(nn.init.glorot(D, H))
        self.W_h = nn.Parameter(np.eye(H, dtype=np.float32) * 1.02)
        self.b = nn.Parameter(nn.init.zeros(H))

    def forward(self, x, h_prev):
        a = x @ self.W_x + h_prev @ self.W_h + self.b
        h = mg.relu(a)
        return h, h


class Net(nn.Module):
    def __init__(self):
        self.rnn = nn.Unroll(ScaledCell(2, 16))
        self.out = nn.Linear(16, 1)

    def forward(self, x):
        y, _ = self.rnn(x)
        return self.out(y[-1])


net = Net()
opt = nn.SGD(net.parameters(), lr=0.02)
for step in range(450):
    T = 20
    if step == 400:
        opt.param_groups[0]["lr"] = 1.5  # warm restart
    x = rng.standard_normal((T, 8, 2)).astype(np.float32) * 0.3
    target = np.tanh(x[..., 0].sum(0))[:, None]
    loss = nn.mse_loss(net(x), target)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0 or step > 400:
        print(step, float(loss.data))
print("end", float(loss.data))
