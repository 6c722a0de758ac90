"""seq2seq: the encoder gets no gradient, since the state is passed through .data (a copy "for safety")."""

import numpy as np

import minigrad as mg
import nn

mg.seed(11)
rng = np.random.default_rng(11)


class Seq2Seq(nn.Module):
    def __init__(self):
        self.encoder = nn.GRU(3, 16)
        self.decoder = nn.Unroll(nn.GRUCell(3, 16))
        self.out = nn.Linear(16, 3)

    def forward(self, x, y):
        _, h = self.encoder(x)
        h = mg.tensor(np.array(h[-1].data if h.ndim == 3 else h.data))
        ys, _ = self.decoder(y, h)
        return self.out(ys)


net = Seq2Seq()
opt = nn.Adam(net.parameters(), lr=1e-2)
for it in range(100):
    x = rng.standard_normal((8, 4, 3)).astype(np.float32)
    inp = np.concatenate([np.zeros((1, 4, 3), np.float32), x[:-1]])
    loss = nn.mse_loss(net(x, inp), x)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if it % 20 == 0:
        print(it, float(loss.data))
