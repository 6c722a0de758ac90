"""Programs in which nothing is wrong: neither checkup nor history says that something is."""

from __future__ import annotations

import pytest

import minigrad as mg
from minigrad.recorder import Recorder

BEGINNING = """\
import numpy as np
import minigrad as mg, nn

mg.seed(0)
rng = np.random.default_rng(0)
T, B, D, H, V = 8, 6, 3, 8, 7


def draw(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def train(predict, *parts, passes=44, opt=None, target=lambda x: x.mean(axis=(0, 2))[:, None]):
    opt = opt or nn.Adam([p for part in parts for p in part.parameters()], lr=0.01)
    for k in range(passes):
        x = draw(T, B, D)
        loss = nn.mse_loss(predict(x), target(x))
        opt.zero_grad()
        loss.backward()
        opt.step()
    return loss


head = nn.Linear(H, 1)
"""
CELL = """\
class Leaky(nn.Cell):
    def __init__(self, D, H):
        self.state_size = H
        self.W, self.U = nn.Parameter(nn.init.glorot(D, H)), nn.Parameter(nn.init.orthogonal(H, H))
        self.b = nn.Parameter(nn.init.zeros(H))

    def forward(self, x, h_prev):
        n = np.tanh(x @ self.W + h_prev @ self.U + self.b)
        h = 0.8 * h_prev + 0.2 * n
        return h, h


"""
PROGRAMS = {
    **{
        kind: f"net = nn.{kind}(D, H)\nloss = train(lambda x: head(net(x)[0][-1]), net, head)\n"
        for kind in ("RNN", "LSTM", "GRU")
    },
    "a cell of one's own": CELL + """\
net = nn.Unroll(Leaky(D, H))
loss = train(lambda x: head(net(x)[0][-1]), net, head)
""",
    "two layers": CELL + """\
net = nn.Unroll(nn.Stacked([Leaky(D, H), nn.GRUCell(H, H)]))
loss = train(lambda x: head(net(x)[0][-1]), net, head)
""",
    "a loss at each step": """\
net = nn.LSTM(D, H)
loss = train(lambda x: head(net(x)[0]), net, head, target=lambda x: x[:, :, :1])
""",
    "both directions": """\
net, head = nn.GRU(D, H, bidirectional=True), nn.Linear(2 * H, 1)
loss = train(lambda x: head(net(x)[0].mean(axis=0)), net, head)
""",
    "an encoder, a decoder and attention": """\
encoder, decoder = nn.GRU(D, H), nn.GRUCell(H, H)
attention, out = nn.GeneralAttention(H, H), nn.Linear(2 * H, D)


def predict(x):
    memory, state = encoder(x)
    h, y, outputs = state[0], np.zeros((B, H), np.float32), []
    for t in mg.timesteps(range(T)):
        y, h = decoder(y, h)
        context, weights = attention(h, memory)
        outputs.append(out(mg.concatenate([h, context], axis=-1)))
    return mg.stack(outputs)


loss = train(predict, encoder, decoder, attention, out, target=lambda x: x[::-1])
""",
    "lengths and padding": """\
net, lengths = nn.LSTM(D, H), np.array([8, 3, 5, 2, 7, 6])
loss = train(lambda x: head(net(x, lengths=lengths)[1].h[0]), net, head)
""",
    "a masked loss of padded sequences": """\
net, lengths = nn.GRU(D, H), np.array([8, 3, 5, 2, 7, 6])
mask = (np.arange(T)[:, None] < lengths)[..., None].astype(np.float32)
opt = nn.Adam([*net.parameters(), *head.parameters()], lr=0.01)
for k in range(44):
    x = draw(T, B, D)
    y, _ = net(x, lengths=lengths)
    loss = ((head(y) - x[..., :1]) ** 2 * mask).sum() / mask.sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
    "frozen embeddings": """\
embedding, net, out = nn.Embedding(V, D), nn.GRU(D, H), nn.Linear(H, V)
embedding.W.requires_grad = False
opt = nn.Adam([*net.parameters(), *out.parameters()], lr=0.01)
for k in range(44):
    ids = np.cumsum(np.ones((T + 1, B), int), axis=0) + rng.integers(0, V, B)
    y, _ = net(embedding(ids[:-1] % V))
    loss = nn.cross_entropy(out(y), ids[1:] % V)
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
    "weights that are shared on purpose": """\
embedding, net = nn.Embedding(V, H), nn.GRU(H, H)
opt = nn.Adam([*embedding.parameters(), *net.parameters()], lr=0.01)
for k in range(44):
    ids = np.cumsum(np.ones((T + 1, B), int), axis=0) + rng.integers(0, V, B)
    y, _ = net(embedding(ids[:-1] % V))
    loss = nn.cross_entropy(y @ embedding.W.T, ids[1:] % V)
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
    "an echo state network": """\
class Echo(nn.Cell):
    def __init__(self, D, H):
        self.state_size = H
        W = np.random.default_rng(1).standard_normal((H, H))
        self.W = nn.Buffer(np.float32(0.9 * W / abs(np.linalg.eigvals(W)).max()))
        self.W_in = nn.Buffer(np.random.default_rng(2).uniform(-1, 1, (D, H)).astype(np.float32))

    def forward(self, x, h_prev):
        h = np.tanh(x @ self.W_in + h_prev @ self.W)
        return h, h


net = nn.Unroll(Echo(D, H))
loss = train(lambda x: head(net(x)[0][-1]), head)
""",
    "a reservoir whose states are data": """\
cell = nn.RNNCell(D, H)
for p in cell.parameters():
    p.requires_grad = False
net = nn.Unroll(cell)
loss = train(lambda x: head(net(x)[0][-1]), head)
""",
    "windows with a detached state": """\
net, series = nn.GRU(1, H), np.sin(np.arange(1000) / 5).astype(np.float32)
opt, state = nn.Adam([*net.parameters(), *head.parameters()], lr=0.01), None
for k in range(44):
    part = series[8 * k : 8 * k + 9].reshape(9, 1, 1)
    y, state = net(part[:-1], state)
    loss = nn.mse_loss(head(y), part[1:])
    opt.zero_grad()
    loss.backward()
    opt.step()
    state = nn.detach_state(state)
""",
    "tbptt": """\
net, series = nn.LSTM(1, H), np.sin(np.arange(481) / 5).astype(np.float32).reshape(-1, 1, 1)
opt = nn.Adam([*net.parameters(), *head.parameters()], lr=0.01)
for window in nn.tbptt(net, series[:-1], 8):
    loss = nn.mse_loss(head(window.y), series[1:][window.start : window.stop])
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
    "dropout": """\
net, drop = nn.LSTM(D, H), nn.Dropout(0.2)
loss = train(lambda x: head(drop(net(x)[0][-1])), net, head)
""",
    "layer normalisation": """\
net, norm = nn.GRU(D, H), nn.LayerNorm(H)
loss = train(lambda x: head(norm(net(x)[0][-1])), net, head, norm)
""",
    "two networks against each other": """\
generator, critic = nn.GRU(D, D), nn.Unroll(nn.GRUCell(D, H))
makes, judges = nn.Adam(generator, lr=1e-3), nn.Adam([*critic.parameters(), *head.parameters()], lr=1e-3)
for k in range(44):
    fake, _ = generator(draw(T, B, D))
    logits = head(critic(np.concatenate([draw(T, B, D), fake.detach()], axis=1))[0][-1])
    loss = nn.binary_cross_entropy_with_logits(logits, np.repeat([1.0, 0.0], B)[:, None].astype(np.float32))
    judges.zero_grad()
    loss.backward()
    judges.step()
    loss = nn.binary_cross_entropy_with_logits(head(critic(fake)[0][-1]), np.ones((B, 1), np.float32))
    makes.zero_grad()
    loss.backward()
    makes.step()
""",
    "float64": """\
mg.set_default_dtype(np.float64)
net, head = nn.GRU(D, H), nn.Linear(H, 1)
mg.set_default_dtype(np.float32)
loss = train(lambda x: head(net(x.astype(float))[0][-1]), net, head)
""",
    "accumulated gradients": """\
net = nn.GRU(D, H)
opt = nn.Adam([*net.parameters(), *head.parameters()], lr=0.01)
for k in range(44):
    x = draw(T, B, D)
    loss = nn.mse_loss(head(net(x)[0][-1]), x.mean(axis=(0, 2))[:, None]) / 2
    loss.backward()
    if k % 2:
        opt.step()
        opt.zero_grad()
""",
    "clipped gradients and a schedule": """\
net = nn.LSTM(D, H)
opt = nn.SGD([*net.parameters(), *head.parameters()], lr=0.1, momentum=0.9)
schedule = nn.CosineAnnealingLR(opt, T_max=60)
for k in range(44):
    x = draw(T, B, D)
    loss = nn.mse_loss(head(net(x)[0][-1]), x.mean(axis=(0, 2))[:, None])
    opt.zero_grad()
    loss.backward()
    mg.clip_grad_norm_([*net.parameters(), *head.parameters()], 1.0)
    opt.step()
    schedule.step()
""",
    "a warm-up": """\
net = nn.GRU(D, H)
opt = nn.Adam([*net.parameters(), *head.parameters()], lr=0.01)
schedule = nn.WarmupLR(opt, 20)
for k in range(44):
    x = draw(T, B, D)
    loss = nn.mse_loss(head(net(x)[0][-1]), x.mean(axis=(0, 2))[:, None])
    opt.zero_grad()
    loss.backward()
    opt.step()
    schedule.step()
""",
    "a loss of several parts": """\
net = nn.GRU(D, H)
opt = nn.Adam([*net.parameters(), *head.parameters()], lr=0.01)
for k in range(44):
    x = draw(T, B, D)
    y, _ = net(x)
    decay = sum((p**2).sum() for p in net.parameters())
    loss = nn.mse_loss(head(y[-1]), x.mean(axis=(0, 2))[:, None]) + 1e-4 * decay
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
    "a long memory with a loss at its end": """\
net = nn.RNN(1, H)
loss = train(lambda x: head(net(draw(100, B, 1))[0][-1]), net, head, passes=4)
""",
    "batches of one length after the other": """\
net = nn.GRU(D, H)
opt = nn.Adam([*net.parameters(), *head.parameters()], lr=0.01)
for k in range(44):
    x = draw(3 + k % 9, B, D)
    loss = nn.mse_loss(head(net(x)[0][-1]), x.mean(axis=(0, 2))[:, None])
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
    "a last batch that is smaller": """\
net = nn.GRU(D, H)
opt = nn.Adam([*net.parameters(), *head.parameters()], lr=0.01)
for k in range(80):
    x = draw(T, 2 if k % 5 == 4 else 32, D)
    loss = nn.mse_loss(head(net(x)[0][-1]), x.mean(axis=(0, 2))[:, None])
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
    "no loop over time": """\
net = nn.Sequential(nn.Linear(D, H), mg.relu, nn.Linear(H, 1))
opt = nn.Adam(net, lr=0.01)
for k in range(44):
    x = draw(B * T, D)
    loss = nn.mse_loss(net(x), x.sum(axis=1, keepdims=True))
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
    "an initial state that is learned": """\
net = nn.Unroll(nn.LearnedInitialState(nn.GRUCell(D, H)))
loss = train(lambda x: head(net(x)[0][-1]), net, head)
""",
    "a hidden Markov model": """\
logits, emit = mg.tensor(draw(4, 4), requires_grad=True, name="A"), mg.tensor(draw(4, V), requires_grad=True, name="E")
opt = nn.Adam([logits, emit], lr=0.05)
for k in range(44):
    ids = np.repeat(rng.integers(0, V, T // 2), 2)
    A, E = mg.log_softmax(logits, axis=-1), mg.log_softmax(emit, axis=-1)
    alpha = E[:, ids[0]] - np.log(4)
    for t, i in mg.timesteps(ids[1:]):
        alpha = mg.logsumexp(alpha[:, None] + A, axis=0) + E[:, i]
    loss = -mg.logsumexp(alpha, axis=0) / T
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
    "a policy that is trained by its reward": """\
net, out = nn.GRU(D, H), nn.Linear(H, 3)
opt = nn.Adam([*net.parameters(), *out.parameters()], lr=0.01)
for k in range(44):
    x = draw(T, B, D)
    logp = mg.log_softmax(out(net(x)[0]), axis=-1)
    with mg.no_grad():
        p = np.exp(logp).numpy()
    action = np.array([[rng.choice(3, p=q / q.sum()) for q in row] for row in p])
    reward = (action == x.argmax(axis=-1)).astype(np.float32)
    chosen = np.take_along_axis(logp, action[..., None], axis=-1)[..., 0]
    loss = -(chosen * (reward - reward.mean())).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
""",
    "evaluation between passes": """\
net = nn.GRU(D, H)
opt = nn.Adam([*net.parameters(), *head.parameters()], lr=0.01)
for k in range(44):
    x = draw(T, B, D)
    loss = nn.mse_loss(head(net(x)[0][-1]), x.mean(axis=(0, 2))[:, None])
    opt.zero_grad()
    loss.backward()
    opt.step()
    with mg.no_grad():
        test = nn.mse_loss(head(net(x)[0][-1]), x[-1, :, :1])
    history = [float(loss), float(test)]
""",
    "fine-tuning of a head": """\
net = nn.GRU(D, H)
for p in net.parameters():
    p.requires_grad = False
loss = train(lambda x: head(net(x)[0][-1]), head)
""",
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_is_said_of_a_program_in_which_nothing_is_wrong(name: str) -> None:
    names: dict[str, object] = {}
    with Recorder() as run:
        exec(compile(BEGINNING + PROGRAMS[name], "program.py", "exec"), names)
        found = mg.Graph(names["loss"]).checkup(names.get("opt"))
        told = [str(finding) for finding in found]
    assert told + run.findings() == []
    assert run.first_unlike() is None, str(run)
