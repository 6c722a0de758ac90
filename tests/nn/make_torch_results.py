"""Write what PyTorch computes: `python tests/nn/make_torch_results.py`, where PyTorch is installed.

Weights and inputs come from `numbers`, so only results are stored: torch_layers.npz,
torch_sequences.npz.
"""

import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from torch_cases import B, D, H, T, cases, numbers  # noqa: E402

torch.set_default_dtype(torch.float64)


def filled(module):
    """The module, with weights that depend on their names alone."""
    with torch.no_grad():
        for name, p in module.named_parameters():
            p.copy_(torch.from_numpy(numbers(name, p.shape)))
    return module


def layer(kind, layers, two, bias, state, batch_first):
    """y, the final states, and all gradients of one layer, end to end in one vector."""
    options = {"nonlinearity": kind} if kind in ("tanh", "relu") else {}
    cls = {"tanh": torch.nn.RNN, "relu": torch.nn.RNN, "LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}[
        kind
    ]
    net = filled(
        cls(D, H, layers, bias=bias, batch_first=batch_first, bidirectional=two, **options)
    )
    x = torch.from_numpy(numbers("x", (B, T, D) if batch_first else (T, B, D))).requires_grad_()
    rows = layers * (2 if two else 1)
    first = [
        torch.from_numpy(numbers(name, (rows, B, H))).requires_grad_()
        for name in ("h", "c")[: 1 + (kind == "LSTM")]
    ]
    given = tuple(first) if kind == "LSTM" else first[0]
    y, last = net(x, given if state else None)
    last = last if isinstance(last, tuple) else (last,)
    loss = sum((out * torch.from_numpy(numbers("out", out.shape))).sum() for out in (y, *last))
    loss.backward()
    leaves = [x, *(first if state else []), *net.parameters()]
    return np.concatenate(
        [v.detach().numpy().ravel() for v in (y, *last, *[leaf.grad for leaf in leaves])]
    )


OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "sgd_momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "sgd_nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.8, 0.95), weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1),
    "rmsprop_all": lambda p: torch.optim.RMSprop(
        p, lr=0.1, momentum=0.5, centered=True, weight_decay=0.01
    ),
    "groups": lambda p: torch.optim.Adam(
        [{"params": p[:1], "lr": 0.3}, {"params": p[1:]}], lr=0.01
    ),
}
SCHEDULES = {
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5),
    "exponential": lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 8, 0.01),
    "linear": lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.25, 1.0, 6),
}


def optimiser(make):
    """Two parameters over 12 steps of a bumpy valley."""
    p = [torch.nn.Parameter(torch.from_numpy(numbers(name, (3,)))) for name in "pq"]
    opt, found = make(p), []
    for _ in range(12):
        opt.zero_grad()
        loss = ((p[0] - 1) ** 2).sum() + torch.sin(3 * p[1]).sum() + (p[0] * p[1]).sum()
        loss.backward()
        opt.step()
        found.append(torch.cat(p).detach().numpy().copy())
    return np.stack(found)


def schedule(make):
    """The learning rates of 20 steps."""
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    scheduler, found = make(opt), []
    for _ in range(20):
        found.append(opt.param_groups[0]["lr"])
        opt.step()
        scheduler.step()
    return np.array(found)


def plateau():
    """The learning rates while a loss stops falling twice."""
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    scheduler, found = (
        torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.3, patience=2, cooldown=1),
        [],
    )
    for loss in [
        5,
        4,
        3,
        3,
        3,
        3,
        2.9999,
        2.9999,
        2.9999,
        2.9999,
        2.9999,
        1,
        1,
        1,
        1,
        1,
        1,
        1,
        1,
        1,
    ]:
        scheduler.step(loss)
        found.append(opt.param_groups[0]["lr"])
    return np.array(found)


def losses():
    """Losses and their gradients."""
    found = {}
    a = numbers("logits", (5, 4))
    target, weight = torch.tensor([0, 3, 2, 3, 1]), torch.tensor([1.0, 2.0, 0.5, 3.0])
    f = torch.nn.functional
    for name, fn in {
        "ce": lambda x: f.cross_entropy(x, target),
        "ce_ignore": lambda x: f.cross_entropy(x, target, ignore_index=3),
        "ce_weight": lambda x: f.cross_entropy(x, target, weight=weight),
        "ce_both": lambda x: f.cross_entropy(x, target, weight=weight, ignore_index=2),
        "nll": lambda x: f.nll_loss(x, target),
        "mse": lambda x: f.mse_loss(x, torch.from_numpy(numbers("target", (5, 4)))),
        "bce": lambda x: f.binary_cross_entropy_with_logits(
            x, torch.from_numpy(numbers("target", (5, 4)) ** 2)
        ),
        "layer_norm": lambda x: (filled(torch.nn.LayerNorm(4))(x) * x).sum(),
    }.items():
        x = torch.from_numpy(a).requires_grad_()
        loss = fn(x)
        loss.backward()
        found[name] = np.concatenate([[loss.item()], x.grad.numpy().ravel()])
    return found


def layers_over_time():
    """Convolutions, batch normalisation and CTC: outputs and gradients."""
    f, found = torch.nn.functional, {}
    x = torch.from_numpy(numbers("x", (7, 3, 4))).requires_grad_()
    for name, options in CONVOLUTIONS.items():
        W = torch.from_numpy(numbers("W", (3, 4, 2))).requires_grad_()
        b = torch.from_numpy(numbers("b", (2,))).requires_grad_()
        left, right = options.pop("sides", (0, 0))
        wide = f.pad(x.permute(1, 2, 0), (left, right))
        y = f.conv1d(wide, W.permute(2, 1, 0), b, **options).permute(2, 0, 1)
        found[f"conv_{name}"] = with_gradients(y, [x, W, b])
    norm = filled(torch.nn.BatchNorm1d(4))
    with torch.no_grad():
        norm.running_mean.zero_(), norm.running_var.fill_(1)
    y = norm(x.permute(1, 2, 0)).permute(2, 0, 1)
    values = with_gradients(y, [x, norm.weight, norm.bias])
    running = np.concatenate([norm.running_mean.numpy(), norm.running_var.numpy()])
    found["batch_norm"] = np.concatenate([values, running])
    targets, steps = torch.tensor([[1, 2, 2], [3, 0, 0], [2, 1, 0]]), torch.tensor([7, 4, 5])
    counts = torch.tensor([3, 1, 2])
    log_p = f.log_softmax(x, -1)
    loss = f.ctc_loss(log_p, targets, steps, counts, reduction="none").mean()
    found["ctc"] = with_gradients(loss[None], [x])
    return found


CONVOLUTIONS = {
    "plain": {},
    "stride": {"stride": 2, "padding": 2},
    "same": {"sides": (1, 1)},
    "causal": {"sides": (4, 0), "dilation": 2},
}


def with_gradients(y, leaves):
    """y, and the gradients of its weighted sum, in one vector."""
    loss = (y * torch.from_numpy(numbers("out", tuple(y.shape)))).sum()
    grads = torch.autograd.grad(loss, leaves)
    return np.concatenate([v.detach().numpy().ravel() for v in (y, *grads)])


if __name__ == "__main__":
    parts = [layer(*case) for case in cases()]
    ends = np.cumsum([len(part) for part in parts])
    np.savez_compressed(HERE / "torch_layers.npz", values=np.concatenate(parts), ends=ends)
    sequences = {f"optimiser_{name}": optimiser(make) for name, make in OPTIMISERS.items()}
    sequences |= {f"schedule_{name}": schedule(make) for name, make in SCHEDULES.items()}
    sequences |= {"schedule_plateau": plateau()} | {
        f"loss_{name}": value for name, value in losses().items()
    }
    np.savez_compressed(HERE / "torch_sequences.npz", **sequences, **layers_over_time())
