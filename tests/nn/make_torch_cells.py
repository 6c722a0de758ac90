"""Write what PyTorch computes for the cells of papers: `python tests/nn/make_torch_cells.py`.

Each twin is written from the paper's equations, with PyTorch's own functions and gradients.
Weights, inputs and first states come from `numbers`; outputs, last states and all gradients are
stored in torch_cells.npz, end to end in one vector for each cell.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))
from tests.nn.paper_cells import CHILDREN, legendre  # noqa: E402
from tests.nn.twins import CASES, T, numbers  # noqa: E402

torch.set_default_dtype(torch.float64)


def slstm(p, x, s):
    h, c, n, m = s
    i, f, z, o = (x @ p["W_x"] + h @ p["W_h"] + p["b"]).chunk(4, -1)
    lf = F.logsigmoid(f)
    m2 = torch.maximum(lf + m, i)
    c = torch.exp(lf + m - m2) * c + torch.exp(i - m2) * torch.tanh(z)
    n = torch.exp(lf + m - m2) * n + torch.exp(i - m2)
    h = torch.sigmoid(o) * (c / n)
    return h, [h, c, n, m2]


def mlstm(p, x, s):
    C, n, m = s
    width = n.shape[-1]
    q, k, v = x @ p["W_q"], (x @ p["W_k"]) * width**-0.5, x @ p["W_v"]
    i, lf = x @ p["w_i"] + p["b_i"], F.logsigmoid(x @ p["w_f"] + p["b_f"])
    m2 = torch.maximum(lf + m, i)
    keep, write = torch.exp(lf + m - m2), torch.exp(i - m2)
    C = keep.unsqueeze(-1) * C + write.unsqueeze(-1) * torch.einsum("bi,bj->bij", v, k)
    n = keep * n + write * k
    size = torch.maximum(torch.einsum("bj,bj->b", n, q).abs()[:, None], torch.exp(-m2))
    return torch.sigmoid(x @ p["W_o"]) * torch.einsum("bij,bj->bi", C, q) / size, [C, n, m2]


def lmu(p, x, s):
    h, m = s
    A, B = map(torch.from_numpy, legendre(3, 10.0))
    u = F.linear(x, p["e_x"].T) + F.linear(h, p["e_h"].T) + F.linear(m, p["e_m"].T)
    m = F.linear(m, A.T) + F.linear(u, B.T)
    h = torch.tanh(torch.cat([x, h, m], -1) @ torch.cat([p["W_x"], p["W_h"], p["W_m"]]))
    return h, [h, m]


def cornn(p, x, s):
    y, z = s
    pull = torch.tanh(torch.cat([y, z, x], -1) @ torch.cat([p["W"], p["W_z"], p["V"]]) + p["b"])
    z = z + 0.1 * (pull - 2.7 * y - 4.7 * z)
    y = y + 0.1 * z
    return y, [y, z]


def lem(p, x, s):
    y, z = s

    def pre(key, u):
        return F.linear(x, p[f"V.{key}"].T, p[f"b.{key}"]) + F.linear(u, p[f"W.{key}"].T)

    d, e = 0.5 * torch.sigmoid(pre("d", y)), 0.5 * torch.sigmoid(pre("e", y))
    z = torch.lerp(z, torch.tanh(pre("z", y)), d)
    y = torch.lerp(y, torch.tanh(pre("y", z)), e)
    return y, [y, z]


def lstm(W_xh, W_hh, b, x, h, c):
    """PyTorch's own cell, whose gates stand in the same order."""
    zero = torch.zeros_like(b)
    return torch.lstm_cell(x, (h, c), W_xh.T, W_hh.T, b, zero)


def hyper_lstm(p, x, s):
    h, c, u, v = s
    keys = ("hyper.W_xh", "hyper.W_hh", "hyper.b_h")
    u, v = lstm(*(p[key] for key in keys), torch.cat([x, h], -1), u, v)
    d = [F.linear(u, p[f"Z.{k}.W"].T, p[f"Z.{k}.b"]) for k in range(3)]
    i, f, g, o = (d[0] * (x @ p["W_x"]) + d[1] * (h @ p["W_h"]) + d[2] + p["b"]).chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    h = o.sigmoid() * c.tanh()
    return h, [h, c, u, v]


def nested_lstm(p, x, s):
    h, c, inner = s
    i, f, g, o = (torch.cat([x, h], -1) @ torch.cat([p["W_x"], p["W_h"]]) + p["b"]).chunk(4, -1)
    keys = ("inner.W_xh", "inner.W_hh", "inner.b_h")
    parts = [p[key] for key in keys]
    c, inner = lstm(*parts, i.sigmoid() * g.tanh(), f.sigmoid() * c, inner)
    h = o.sigmoid() * c.tanh()
    return h, [h, c, inner]


def gru_ode(p, x, s):
    (h,) = s

    def slope(h):
        z, r = torch.sigmoid(h @ p["W_z"]), torch.sigmoid(h @ p["W_r"])
        return (1 - z) * (torch.tanh((r * h) @ p["W_n"]) - h)

    dt = 1 / 3
    for _ in range(3):
        k1 = slope(h)
        k2 = slope(h + k1 * dt / 2)
        k3 = slope(h + k2 * dt / 2)
        k4 = slope(h + k3 * dt)
        h = h + (k1 / 6 + k2 / 3 + k3 / 3 + k4 / 6) * dt
    zero = torch.zeros_like(p["jump.b_hn"])
    b_hh = torch.cat([zero, zero, p["jump.b_hn"]])
    h = torch.gru_cell(x, h, p["jump.W_xh"].T, p["jump.W_hh"].T, p["jump.b_h"], b_hh)
    return h, [h]


def conv_lstm(p, x, s):
    h, c = s

    def conv(u, W):
        return F.conv2d(u, W.permute(3, 2, 0, 1), padding=1)

    i, f, g, o = (conv(x, p["W_x"]) + conv(h, p["W_h"]) + p["b"]).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    h = o.sigmoid() * c.tanh()
    return h, [h, c]


def grid_rnn(p, x, s):
    (above,) = s
    left, row = torch.zeros_like(above[:, 0]), []
    for j in range(above.shape[1]):
        pre = F.linear(x[:, j], p["W"].T, p["b"]) + above[:, j] @ p["U"] + left @ p["V"]
        left = pre.tanh()
        row.append(left)
    h = torch.stack(row, 1)
    return h, [h]


def tree_lstm(p, x, s, t):
    """By recursion over each row's tree instead of a table; t is the number of the node."""
    table_h, table_c, count = s
    outputs, new_h, new_c = [], table_h.clone(), table_c.clone()
    for b in range(x.shape[0]):
        total, c = torch.zeros_like(table_h[b, 0]), 0
        kids = [k for k in CHILDREN[t, b] if k >= 0]
        for k in kids:
            total = total + table_h[b, k]
        i, o = torch.sigmoid(x[b] @ p["W_x"] + total @ p["W_h"] + p["b"]).chunk(2, -1)
        c = i * torch.tanh(x[b] @ p["W_g"] + total @ p["U_g"] + p["b_g"])
        for k in kids:
            f = torch.sigmoid(x[b] @ p["W_f"] + table_h[b, k] @ p["U_f"] + p["b_f"])
            c = c + f * table_c[b, k]
        h = o * torch.tanh(c)
        outputs.append(h)
        new_h[b, t], new_c[b, t] = h, c
    return torch.stack(outputs), [new_h, new_c, count + 1]


def adaptive(p, x, s):
    """Row by row, with a loop that each row leaves when it is done."""
    (h_prev,) = s
    rows = []
    for b in range(x.shape[0]):
        u, total, used = h_prev[b], 0, 0
        for k in range(5):
            a = x[b] @ p["W_xs"] + u @ p["W_ss"] + p["b_s"]
            u = torch.tanh(a + p["w_1"] if k == 0 else a)
            q = torch.sigmoid(u @ p["w_p"] + p["b_p"])
            if k == 4 or used + q.item() >= 0.99:
                total = total + (1 - used) * u
                break
            total, used = total + q * u, used + q
        rows.append(total)
    h = torch.stack(rows)
    return h, [h]


def fast_weights(p, x, s):
    h, A = s
    A = 0.9 * A + 0.5 * torch.einsum("bi,bj->bij", h, h)
    a = h @ p["W_h"] + x @ p["W_x"] + p["b"]
    u = torch.tanh(a)
    for _ in range(2):
        pre = a + torch.bmm(A, u.unsqueeze(-1)).squeeze(-1)
        u = torch.tanh(F.layer_norm(pre, pre.shape[-1:], p["norm.gain"], p["norm.b"]))
    return u, [u, A]


TWINS = {
    "sLSTM": slstm,
    "mLSTM": mlstm,
    "LMU": lmu,
    "coRNN": cornn,
    "LEM": lem,
    "HyperLSTM": hyper_lstm,
    "nested LSTM": nested_lstm,
    "GRU-ODE": gru_ode,
    "conv-LSTM": conv_lstm,
    "grid RNN": grid_rnn,
    "tree-LSTM": tree_lstm,
    "adaptive": adaptive,
    "fast weights": fast_weights,
}


def results(name):
    """Outputs, last state, and the gradients by x, the first state and the parameters."""
    case, twin = CASES[name], TWINS[name]
    p = {key: torch.from_numpy(value).requires_grad_() for key, value in case.weights.items()}
    x = torch.from_numpy(case.x).requires_grad_()
    first = [torch.from_numpy(value).requires_grad_() for value in case.first]
    state, ys = first, []
    for t in range(T):
        extra = (t,) if name == "tree-LSTM" else ()
        y, state = twin(p, x[t], state, *extra)
        ys.append(y)
    outputs = [torch.stack(ys), *state]
    loss = sum((y * torch.from_numpy(numbers("out", tuple(y.shape)))).sum() for y in outputs)
    grads = torch.autograd.grad(loss, [x, *first, *p.values()], allow_unused=True)
    leaves = [x, *first, *p.values()]
    grads = [torch.zeros_like(v) if g is None else g for g, v in zip(grads, leaves, strict=True)]
    return np.concatenate([v.detach().numpy().ravel() for v in (*outputs, *grads)])


if __name__ == "__main__":
    np.savez_compressed(HERE / "torch_cells.npz", **{name: results(name) for name in TWINS})
