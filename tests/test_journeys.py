"""Three users, end to end: a teacher, an engineer with an LSTM that diverges, a researcher."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import minigrad as mg
import nn

ROOT = Path(mg.__file__).parent.parent

REPLAY = """\
import numpy as np, nn
bad = np.load("bad.npz"); net = nn.LSTM(4, 8)
nn.load_torch_state_dict(net, {k: bad[k] for k in bad if k not in "xy"})
y, _ = net(bad["x"]); loss = nn.mse_loss(y[-1], bad["y"]); loss.backward()
"""

CELL = '''\
import numpy as np, minigrad as mg, nn

class LeakyCell(nn.Cell):
    """a = σ(x W_xa + h_prev W_ha + b_a);  n = tanh(x W_xn + h_prev W_hn + b_n);  h = (1 − a) h_prev + a n"""
    def __init__(self, D, H):
        self.state_size = H
        self.W_xa, self.W_ha = nn.Parameter(nn.init.glorot(D, H)), nn.Parameter(nn.init.orthogonal(H, H))
        self.W_xn, self.W_hn = nn.Parameter(nn.init.glorot(D, H)), nn.Parameter(nn.init.orthogonal(H, H))
        self.b_a, self.b_n = nn.Parameter(nn.init.zeros(H)), nn.Parameter(nn.init.zeros(H))
    def forward(self, x, h_prev):
        a = mg.sigmoid(x @ self.W_xa + h_prev @ self.W_ha + self.b_a)
        n = np.tanh(x @ self.W_xn + h_prev @ self.W_hn + self.b_n)
        h = (1 - a) * h_prev + a * n
        return h, h
'''


def python(folder, *words, typed=""):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, *words]
    return subprocess.run(
        command,
        input=typed,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=120,
    )


def test_a_teacher_types_into_the_plain_prompt(tmp_path):
    typed = """\
import numpy as np, minigrad as mg, nn
w = mg.tensor(0.2, requires_grad=True, name="w"); h = mg.tensor(0.9)
for t in range(3):
    with mg.time_step(t): h = w * h

graph = mg.Graph(h); graph
for step in graph.backward_steps(): print(step)

graph.grad_by_step(w), w.grad
graph.backward(); w.grad
y, h = nn.RNN(1, 8)(np.random.randn(6, 1, 1)); loss = (y[-1] ** 2).mean()
mg.Graph(loss).render("rolled.pdf", view="cells", time="both")
mg.Graph(loss).render("back.png", backward=True, fit="slide")
mg.compare({"one": mg.Graph(loss), "two": mg.Graph(loss)}).render("flow.svg")
"""
    done = python(tmp_path, "-i", typed=typed)
    assert "Traceback" not in done.stderr
    for line in (
        "Graph: 3 time steps, 3 operations, 1 parameter: w () used 3 times",
        "t=2  h = w * h   dh 1 -> dw 0.036  dh_prev 0.2",
        "(array([0.036, 0.036, 0.036], dtype=float32), None)",
        "tensor(0.108)",
    ):
        assert line in done.stdout.splitlines()
    assert (tmp_path / "rolled.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "back.png").read_bytes()[16:20] == (1920).to_bytes(4)
    assert "gradient norm" in (tmp_path / "flow.svg").read_text(encoding="utf-8").replace(
        "&#160;", " "
    )


def test_an_engineer_replays_a_bad_batch_in_the_debugger(tmp_path):
    rng = np.random.default_rng(0)
    weights = {
        "weight_ih_l0": 0.1 * rng.standard_normal((32, 4)),
        "weight_hh_l0": 4 * rng.standard_normal((32, 8)),
    }
    biases = {
        "bias_ih_l0": 0.1 * rng.standard_normal(32),
        "bias_hh_l0": 0.1 * rng.standard_normal(32),
    }
    x, y = rng.standard_normal((60, 2, 4)).astype(np.float32), np.zeros((2, 8), np.float32)
    np.savez(tmp_path / "bad.npz", x=x, y=y, **weights, **biases)
    (tmp_path / "replay.py").write_text(REPLAY)
    typed = "flow\ncontributions\nearlier\nundo\ncheck\nclip max_norm=1; continue\n"
    done = python(tmp_path, "-m", "minigrad.debugger", "replay.py", "-b", "norm > 10", typed=typed)
    assert done.returncode == 0, done.stderr
    for words in (
        "backward pass 1 from replay.py:4",
        "> 10 at t = ",
        "nn/cells.py",
        "called from replay.py:4",
    ):
        assert words in done.stdout
    for words in ("agrees with finite differences", "edited: clip max_norm=1", "crossings clipped"):
        assert words in done.stdout


def test_a_researcher_gets_everything_for_a_cell_of_ten_lines(tmp_path):
    (tmp_path / "mycell.py").write_text(CELL, encoding="utf-8")
    namespace = {}
    exec(compile(CELL, str(tmp_path / "mycell.py"), "exec"), namespace)
    cell = namespace["LeakyCell"]
    assert "second order: ok" in str(nn.check_cell(cell(3, 8)))
    xs = np.random.default_rng(0).standard_normal((5, 2, 3))
    y, _ = nn.Unroll(nn.Stacked([cell(3, 8), cell(8, 8)]))(xs)
    assert y.shape == (5, 2, 8)
    ys, _ = nn.Unroll(cell(3, 8))(xs)
    graph = mg.Graph((ys[-1] ** 2).mean())
    assert graph.values_by_step("a").shape == (5, 2, 8)
    assert graph.gradient_flow().verdict in ("healthy", "vanishing")
    assert graph.render(tmp_path / "cell.pdf", view="ops", time="rolled") == str(
        tmp_path / "cell.pdf"
    )
    words = (
        "-m",
        "demos.long_memory",
        "--quick",
        "--cell",
        "mycell:LeakyCell",
        "--T",
        "5",
        "8",
        "--out",
        "out",
    )
    done = python(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("LeakyCell, T = ") == 2
