"""Mistakes that people make, each in a small program: the debugger names the cause and its line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.recorder import Recorder

ROOT = Path(mg.__file__).parents[1]
BEGINNING = """\
import numpy as np
import minigrad as mg, nn

mg.seed(0)
rng = np.random.default_rng(0)
net, head = nn.RNN(2, 8), nn.Linear(8, 1)


def draw(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def optimiser(*parts, lr=0.05):
    return nn.SGD([p for part in parts for p in part.parameters()], lr=lr)


"""
LOOP = """\
opt = optimiser(net, head)
for k in range(40):
    x = draw(6, 4, 2)
    y, _ = net(x)
    loss = nn.mse_loss(head(y[-1]), x[-1, :, :1])
    opt.zero_grad()
    loss.backward()
    opt.step()
"""


def changed(*changes: tuple[str, str]) -> str:
    """The loop with a mistake in it."""
    text = LOOP
    for right, wrong in changes:
        assert right in text
        text = text.replace(right, wrong)
    return text


CELL = """\
class Cell(nn.Cell):
    def __init__(self, D, H):
        self.state_size = H
        self.W, self.U = nn.Parameter(nn.init.glorot(D, H)), nn.Parameter({U})

    def forward(self, x, h_prev):
        h = {phi}(x @ self.W + h_prev @ self.U)
        return h, h


net = nn.Unroll(Cell(2, 8))
"""
WRONG_RULE = """\
@mg.primitive
def gap(a, b):
    return (a - b) ** 2


@gap.gradient
def gap_da(dy, y, a, b):
    return 2 * dy * (a - b)


@gap.gradient
def gap_db(dy, y, a, b):
    return 2 * dy * (a - b)


"""
NO_GRAD = """\
class Net(nn.Module):
    def __init__(self):
        self.encoder, self.head = nn.GRU(2, 8), nn.Linear(8, 1)

    def forward(self, x):
        with mg.no_grad():
            y, _ = self.encoder(x)
        return self.head(y[-1])


net = Net()
opt = nn.SGD(net, lr=0.05)
x = draw(6, 4, 2)
loss = nn.mse_loss(net(x), x[0, :, :1])
loss.backward()
"""
SCALE = NO_GRAD.replace("nn.GRU(2, 8), ", "nn.RNN(2, 8), ").replace(
    "        with mg.no_grad():\n            y, _", "        y, _"
)
SCALE = SCALE.replace(
    "self.encoder, ", "self.scale = nn.Parameter(np.float32(1))\n        self.encoder, "
)
SCALE = SCALE.replace("self.head(y[-1])\n", "self.head(y[-1]) * float(self.scale)\n")
HAND_WRITTEN = """\
cell = nn.RNNCell(2, 8)
x, h = draw(6, 4, 2), np.zeros((4, 8), np.float32)
for t, x_t in mg.timesteps(x):
    y, h = cell(x_t, h)
    h = h.detach()
loss = nn.mse_loss(head(y), x[0, :, :1])
loss.backward()
"""
ATTENTION = """\
score = nn.Linear(8, 1)
y, _ = net(draw(7, 5, 2))
weights = mg.softmax(score(y), axis=1)
loss = (head((weights * y).sum(axis=0)) ** 2).mean()
loss.backward()
"""
EMBEDDING = """\
embedding = nn.Embedding(10, 2)
ids = rng.random((6, 8)).astype(int)
y, _ = net(embedding(ids))
loss = nn.cross_entropy(nn.Linear(8, 2)(y[-1]), rng.integers(0, 2, 8))
loss.backward()
"""
PADDED = """\
out, lengths = nn.Linear(8, 5), np.array([6, 3, 5, 2])
targets = np.where(np.arange(6)[:, None] < lengths, rng.integers(1, 5, (6, 4)), 0)
y, _ = net(draw(6, 4, 2), lengths=lengths)
loss = nn.cross_entropy(out(y), targets)
loss.backward()
"""
CHECKUPS = {
    "a softmax over the batch": (
        ATTENTION,
        ("softmax over axis 1, which is the batch, of shape (7, 5, 1)", "weights = mg.softmax"),
    ),
    "a softmax before a loss that takes logits": (
        changed(("nn.mse_loss(head(y[-1]), x[-1, :, :1])",
                 "nn.cross_entropy(mg.softmax(y[-1], axis=-1), rng.integers(0, 8, 4))")),
        ("softmax twice: softmax is a softmax already", "nn.cross_entropy"),
    ),
    "detach in every step": (
        HAND_WRITTEN,
        ("detached: a constant within the loop, h = h.detach(), goes into t = 5", "h.detach"),
    ),
    "an encoder under no_grad": (
        NO_GRAD, ("no gradient reaches encoder.*; perhaps cut at", "with mg.no_grad()")
    ),
    "a parameter as a Python number": (
        SCALE, ("no gradient reaches scale; cut at", "float(self.scale)")
    ),
    "a parameter's .data": (
        changed(("head(y[-1])", "y[-1] @ head.W.data")),
        ("no gradient reaches W, b; cut at", "head.W.data"),
    ),
    "a prediction (4, 1) and a target (4,)": (
        changed(("nn.mse_loss(head(y[-1]), x[-1, :, :1])", "((head(y[-1]) - x[-1, :, 0]) ** 2).mean()")),
        ("(4, 1) and x[-1, :, 0] (4,) are broadcast to (4, 4)", "x[-1, :, 0]"),
    ),
    "a batch that comes first": (
        changed(("head(y[-1])", "head(y)[:, -1]"), ("x[-1, :, :1]", "draw(6, 1)")),
        ("the loss ignores rows 0, 1, 2 of the batch of 4", "net(x)"),
    ),
    "inputs that are not normalised": (
        changed(("draw(6, 4, 2)", "1e4 * draw(6, 4, 2)")),
        ("h of RNN.l0 is saturated (< -0.99) or saturated (> 0.99) in 100 %", "net(x)"),
    ),
    "weights that start alike": (
        "for p in net.parameters():\n    p.data = np.full(p.shape, 0.1, np.float32)\n" + LOOP,
        ("symmetric: all 8 units of h[5] are equal", "net(x)"),
    ),
    "weights that are zero": (
        "for p in (*net.parameters(), *head.parameters()):\n    p.data = 0 * p.data\n" + LOOP,
        ("the gradient of l0.*, W is exactly 0; it dies in matmul", "head(y[-1])"),
    ),
    "a clip that lets nothing through": (
        "head.b.data = head.b.data + 9\n" + changed(("head(y[-1])", "np.clip(head(y[-1]), 0, 1)")),
        ("is exactly 0; it dies in clip", "np.clip"),
    ),
    "a gain above 1": (
        CELL.format(U="2.5 * nn.init.orthogonal(H, H)", phi="mg.relu")
        + changed(("draw(6, 4, 2)", "draw(40, 4, 2)")),
        ("explodes: the gradient of h explodes: ", "at t = 39"),
    ),
    "a sigmoid for a state": (
        CELL.format(U="nn.init.orthogonal(H, H)", phi="mg.sigmoid")
        + changed(("draw(6, 4, 2)", "draw(40, 4, 2)"), ("x[-1, :, :1]", "x[0, :, :1]")),
        ("vanishes: the gradient of h vanishes: ", "a step"),
    ),
    "a rule with a wrong sign for its second input": (
        WRONG_RULE + changed(("nn.mse_loss(head(y[-1]), x[-1, :, :1])",
                              "gap(x[-1, :, :1], head(y[-1])).mean()")),
        ("wrong rule: gap_db DISAGREES with finite differences", "gap.gradient"),
    ),
    "a hook that makes zeros": (
        changed(("    loss =", "    y.register_hook(lambda dy: dy * (abs(dy) > 10))\n    loss =")),
        ("hook: a hook on y makes zeros of its gradient", "register_hook"),
    ),
    "a hook that turns a gradient round": (
        "net.l0.W_hh.register_hook(lambda dy: -dy)\n" + LOOP,
        ("hook: a hook on l0.W_hh turns its gradient round", "register_hook"),
    ),
    "a truncation that is too short": (
        changed(("loss.backward()", "mg.Graph(loss).truncate(1).backward()"),
                ("nn.mse_loss(head(y[-1]), x[-1, :, :1])", "nn.mse_loss(head(y[2:]), x[:-2, :, :1])")),
        ("truncated: cuts turn the gradient of l0.W_xh by", "°"),
    ),
    "indices that are all the same": (
        EMBEDDING, ("same index: all 48 indices into W (10, 2) are 0", "embedding(ids)")
    ),
    "a loss of padding": (
        PADDED, ("the loss reads padding, behind the length, of rows 1, 2, 3", "out(y)")
    ),
    "a state that is reset in each step": (
        "cell = nn.RNNCell(2, 8)\n" + changed(
            ("    y, _ = net(x)\n", "    for t, x_t in mg.timesteps(x):\n"
             "        y, h = cell(x_t, np.zeros((4, 8), np.float32))\n"), ("head(y[-1])", "head(y)")),
        ("the gradient of W_hh is exactly 0; it dies in matmul", "cell(x_t"),
    ),
    "a loss that is made of its number": (
        changed(("    opt.zero_grad()", "    loss = mg.tensor(loss.item(), requires_grad=True)\n    opt.zero_grad()")),
        ("no history: no gradient goes back further than loss = mg.tensor(loss.item()", "mg.tensor(loss.item()"),
    ),
    "a prediction that is made of its numbers": (
        changed(("head(y[-1])", "mg.tensor(head(y[-1]).numpy(), requires_grad=True)")),
        ("no history: no gradient goes back further than loss = nn.mse_loss(mg.tensor(", ".numpy()"),
    ),
    "a rule with a wrong factor": (
        "@mg.primitive\ndef square(a):\n    return a**2\n\n\n"
        "@square.gradient\ndef square_da(dy, y, a):\n    return dy * a\n\n\n"
        + changed(("nn.mse_loss(head(y[-1]), x[-1, :, :1])", "square(head(y[-1]) - x[-1, :, :1]).mean()")),
        ("wrong rule: square_da DISAGREES with finite differences", "@square.gradient"),
    ),
    "an entry that is in other units": (
        changed(("draw(6, 4, 2)", "draw(20, 4, 2)"), ("    y, _", "    x[3, 1] *= 1000\n    y, _")),
        ("at t = 3 is ", "net(x)"),
    ),
    "a column of a million": (
        changed(("    y, _", "    x[..., 1] = 1e6\n    y, _")),
        ("h of RNN.l0 is saturated (< -0.99) or saturated (> 0.99) in 100 %", "net(x)"),
    ),
    "an output that cannot reach its targets": (
        changed(("head(y[-1]), x[-1, :, :1]", "np.tanh(9 + head(y[-1])), 5 + x[-1, :, :1]")),
        ("is saturated (> 0.99) in 100 %", "np.tanh(9"),
    ),
    "an output that is cut off at 0": (
        changed(("head(y[-1]), x[-1, :, :1]", "mg.relu(head(y[-1]) - 9), -5 - x[-1, :, :1]")),
        ("is dead (0) in 100 % of its entries", "mg.relu"),
    ),
    "a mask that is turned round": (
        "L = np.array([6, 3, 5, 2])\n" + changed(
            ("net(x)", "net(x, lengths=L)"),
            ("nn.mse_loss(head(y[-1]), x[-1, :, :1])",
             "(np.float32(np.arange(6)[:, None, None] >= L[:, None]) * (head(y) - x[..., :1]) ** 2).mean()")),
        ("the loss reads padding, behind the length, of rows 1, 2, 3 of the batch", "head(y)"),
    ),
    "a state that doubles itself": (
        CELL.format(U="nn.init.orthogonal(H, H)", phi="h_prev + h_prev + ")
        + changed(("draw(6, 4, 2)", "draw(30, 4, 2)")),
        ("explodes: the gradient of h explodes: ", "net(x)"),
    ),
    "a layer that nothing reads": (
        "more = nn.GRU(8, 8)\n" + changed(("    loss =", "    z, _ = more(y)\n    loss ="),
            ("optimiser(net, head)", "optimiser(net, more, head)")),
        ("no gradient reaches more.*", ""),
    ),
    "float64 among float32": (
        changed(("net(x)", "net(x, mg.tensor(np.zeros((1, 4, 8))))")),
        ("(float64) and l0.W_hh (float32) meet in h_prev @ W_hh", "net(x"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKUPS)
def test_checkup_names_the_cause_and_the_line(name: str, tmp_path: Path) -> None:
    program, (cause, line) = CHECKUPS[name]
    text = BEGINNING + program
    (tmp_path / "program.py").write_text(text)
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "minigrad.debugger", "program.py"],
        input="checkup\nleave\nquit\n", capture_output=True, text=True, cwd=tmp_path, timeout=120,
        env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    told = [t for t in ran.stdout.partition("(bptt) checkup\n")[2].splitlines() if cause in t]
    assert told, ran.stdout + ran.stderr
    numbers = [k for k, one in enumerate(text.splitlines(), 1) if line in one]
    assert line in told[0] or any(f"program.py:{k}" in told[0] for k in numbers), told[0]


def test_of_the_same_programs_without_a_mistake_nothing_is_told() -> None:
    names: dict[str, object] = {}
    exec(BEGINNING + LOOP, names)
    assert str(mg.Graph(names["loss"]).checkup([names["net"], names["head"]])) == (
        "nothing suspicious was found"
    )


HISTORIES = {
    "a forgotten zero_grad": (
        changed(("    opt.zero_grad()\n", "")),
        "39 passes, the first of them pass 2, have added to gradients that a step had used",
    ),
    "a parameter that is not in the optimiser": (
        changed(("optimiser(net, head)", "optimiser(net)")),
        "never changed, although a gradient arrives: W, b; not in the optimiser?",
    ),
    "a layer that was replaced behind the optimiser's back": (
        changed(("for k", "head = nn.Linear(8, 1)\nfor k")),
        "never changed, although a gradient arrives: W, b; not in the optimiser?",
    ),
    "a state that carries its history": (
        changed(("for k in range(40)", "state = None\nfor k in range(8)"),
                ("y, _ = net(x)", "y, state = net(x, state)")),
        "each pass walks through all passes before it: ",
    ),
    "a loss with the wrong sign": (
        changed(("nn.mse_loss", "-nn.mse_loss")),
        "the loss falls without end, below 0 and faster",
    ),
    "a sum for a mean": (
        changed(("nn.mse_loss(head(y[-1]), x[-1, :, :1])", "((head(y) - x[:, :, :1]) ** 2).sum()"),
                ("draw(6, 4, 2)", "draw(20, 32, 2)")),
        "the steps are as large as the parameters: |Δθ| / |θ| is ",
    ),
    "targets that are shuffled against their inputs": (
        changed(("x[-1, :, :1]", "x[-1, rng.permutation(16), :1]"), ("6, 4, 2", "6, 16, 2"),
                ("range(40)", "range(120)")),
        "the loss stays at that of a constant guess, ",
    ),
    "targets that are shifted by a step": (
        changed(("head(y[-1]), x[-1, :, :1]", "head(y[:-1]), x[1:, :, :1]"),
                ("range(40)", "range(120)")),
        "the loss stays at that of a constant guess, ",
    ),
    "classes that are shuffled": (
        changed(("nn.mse_loss(head(y[-1]), x[-1, :, :1])",
                 "nn.cross_entropy(out(y[-1]), rng.integers(0, 3, 4))"),
                ("opt = optimiser(net, head)", "out = nn.Linear(8, 3)\nopt = optimiser(net, out, lr=0.01)"),
                ("range(40)", "range(120)")),
        "the loss stays at that of a constant guess, ",
    ),
    "targets that a cast to integers has made 0": (
        changed(("x[-1, :, :1]", "rng.uniform(0, 1, (4, 1)).astype(int)")),
        "all targets so far are the same: a constant guess loses nothing",
    ),
    "backward that is called twice": (
        changed(("    loss.backward()\n", "    loss.backward()\n    loss.backward()\n")),
        "40 passes, the first of them pass 2 (<string>:24), went backward from the same loss",
    ),
    "an optimiser that is made in the loop": (
        changed(("    opt.zero", "    opt = nn.Adam([*net.parameters(), *head.parameters()], 0.01)\n    opt.zero")),
        "40 of 40 steps are the first of their optimiser",
    ),
    "a weight decay that is too large": (
        changed(("optimiser(net, head)",
                 "nn.SGD([*net.parameters(), *head.parameters()], 0.05, weight_decay=10)")),
        "the parameters shrink: |θ| is ",
    ),
    "a step before the backward pass": (
        changed(("    loss.backward()\n    opt.step()\n", "    opt.step()\n    loss.backward()\n")),
        "does the optimiser hold these, and come zero_grad(), backward() and step() in this order?",
    ),
    "gradients that are zeroed before the step": (
        changed(("    opt.zero_grad()\n    loss.backward()\n", "    loss.backward()\n    opt.zero_grad()\n")),
        "does the optimiser hold these, and come zero_grad(), backward() and step() in this order?",
    ),
    "the optimiser of another network": (
        changed(("optimiser(net, head)", "optimiser(nn.RNN(2, 8))")),
        "never changed, although a gradient arrives: l0.W_xh, l0.W_hh, l0.b_h, W, b; ",
    ),
    "a parameter that was replaced behind the optimiser's back": (
        changed(("for k", "net.l0.W_hh = nn.Parameter(nn.init.orthogonal(8, 8))\nfor k")),
        "never changed, although a gradient arrives: l0.W_hh; not in the optimiser?",
    ),
    "a clip that leaves nothing": (
        changed(("    opt.step()",
                 "    mg.clip_grad_norm_([*net.parameters(), *head.parameters()], 1e-7)\n    opt.step()")),
        "the parameters hardly move: |Δθ| / |θ| is ",
    ),
    "a schedule that ends at once": (
        changed(("for k", "schedule = nn.ExponentialLR(opt, 0.1)\nfor k"),
                ("    opt.step()", "    opt.step()\n    schedule.step()")),
        "the parameters hardly move: |Δθ| / |θ| is ",
    ),
    "gradients that are accumulated and not divided": (
        changed(("    opt.zero_grad()\n", ""), ("range(40)", "range(96)"),
                ("    opt.step()\n", "    if k % 32 == 31:\n        opt.step()\n        opt.zero_grad()\n")),
        "the steps are as large as the parameters: |Δθ| / |θ| is ",
    ),
    "a learning rate that is a thousand times too large": (
        changed(("optimiser(net, head)", "optimiser(net, head, lr=50)")),
        "the steps are as large as the parameters: |Δθ| / |θ| is ",
    ),
    "a momentum that has no end": (
        changed(("optimiser(net, head)",
                 "nn.SGD([*net.parameters(), *head.parameters()], 0.5, momentum=0.99)"),
                ("range(40)", "range(80)")),
        "the loss rises: ",
    ),
    "a gradient that is added": (
        changed(("    opt.step()",
                 "    for p in opt.param_groups[0]['params']:\n        p.data = p.data + 0.05 * p.grad.data")),
        "the loss rises: ",
    ),
    "a penalty with the wrong sign": (
        changed(("x[-1, :, :1])", "x[-1, :, :1]) - 0.1 * sum((p**2).sum() for p in net.parameters())"),
                ("range(40)", "range(80)")),
        "the loss falls without end, below 0 and faster",
    ),
    "a square root at 0": (
        changed(("nn.mse_loss(head(y[-1]), x[-1, :, :1])", "np.sqrt(((0 * head(y[-1])) ** 2).sum())")),
        "first unlike the 20 before: pass 1: |∂loss/∂θ| is nan",
    ),
    "a softmax of a row that is masked out": (
        "mask = np.arange(6)[:, None, None] < np.array([6, 3, 0, 2])[:, None]\n"
        + changed(("nn.mse_loss(head(y[-1]), x[-1, :, :1])",
                   "(mg.softmax(np.where(mask, head(y), -np.inf), axis=0) * y).mean()")),
        "first unlike the 20 before: pass 1: loss is nan",
    ),
    "a column that is divided by its spread, 0": (
        changed(("    y, _", "    x[..., 1] = 1\n    x = (x - x.mean(axis=(0, 1))) / x.std(axis=(0, 1))\n    y, _")),
        "first unlike the 20 before: pass 1: loss is nan",
    ),
    "a target that is wrong by four digits": (
        changed(("    y, _", "    x[-1, 2, 0] *= 1 if k != 30 else 1e4\n    y, _"), ("x[-1, :, :1]", "x[-1, :, :1]")),
        "first unlike the 20 before: pass 31: loss ",
    ),
    "a sum of losses that is never begun anew": (
        changed(("for k in range(40)", "total = 0\nfor k in range(8)"),
                ("loss.backward()", "total = total + loss\n    total.backward()")),
        "each pass walks through all passes before it: ",
    ),
    "a learning rate of nothing": (
        changed(("optimiser(net, head)", "optimiser(net, head, lr=1e-9)")),
        "the parameters hardly move: |Δθ| / |θ| is ",
    ),
    "a learning rate that rises late": (
        changed(("    x =", "    opt.param_groups[0]['lr'] = 0.05 if k < 30 else 3.0\n    x =")),
        "lr 3 is 60 × its median",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", HISTORIES)
def test_history_names_the_cause(name: str) -> None:
    program, cause = HISTORIES[name]
    with np.errstate(all="ignore"), Recorder() as run:
        exec(BEGINNING + program, {})
    assert cause in str(run)


def test_the_history_of_the_program_without_a_mistake_tells_nothing() -> None:
    with Recorder() as run:
        exec(BEGINNING + changed(("range(40)", "range(80)")), {})
    assert run.findings() == []
    assert "no pass is unlike the 20 before it" in str(run)
