"""Writes torch_clip.json beside itself: what PyTorch's clipping makes of small gradients.  Needs PyTorch."""

import json
import math
from pathlib import Path

import numpy as np
import torch

rng = np.random.default_rng(0)
grads = [rng.standard_normal((3, 2)) * 3, rng.standard_normal(4), np.array(-2.5)]
cases = []
for p in (0.5, 1.0, 2.0, 3.0, math.inf):
    for limit in (0.0, 1.0, 100.0):
        leaves = [torch.tensor(np.zeros_like(g), requires_grad=True) for g in grads]
        for leaf, g in zip(leaves, grads, strict=True):
            leaf.grad = torch.tensor(g)
        norm = torch.nn.utils.clip_grad_norm_(leaves, limit, norm_type=p).item()
        after = [leaf.grad.numpy().tolist() for leaf in leaves]
        cases.append({"p": str(p), "limit": limit, "norm": norm, "after": after})
leaves = [torch.tensor(np.zeros_like(g), requires_grad=True) for g in grads]
for leaf, g in zip(leaves, grads, strict=True):
    leaf.grad = torch.tensor(g)
torch.nn.utils.clip_grad_value_(leaves, 0.7)
by_value = [leaf.grad.numpy().tolist() for leaf in leaves]
table = {"grads": [g.tolist() for g in grads], "cases": cases, "value": 0.7, "by_value": by_value}
Path(__file__).with_name("torch_clip.json").write_text(json.dumps(table) + "\n")
