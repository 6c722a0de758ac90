"""Write torch_results.npz: values, first and second gradients of the functions in torch_cases.py, by PyTorch.

Run by hand, where PyTorch is installed:  python tests/minigrad/ops/make_torch_results.py
The second gradient is that of  Σₖ w · ∂(Σ w y)/∂xₖ  with the same fixed weights on both sides.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[2])]

from torch_cases import CASES, weights  # noqa: E402


def results(text, arrays):
    """The value, the first gradients and the second gradients."""
    inputs = [torch.tensor(x, requires_grad=True) for x in arrays]
    y = eval(text, {"torch": torch, "F": functional, **dict(zip("abc", inputs, strict=False))})
    total = (y * torch.tensor(weights(tuple(y.shape), 1))).sum()
    first = torch.autograd.grad(total, inputs, create_graph=True)
    total = sum((dx * torch.tensor(weights(tuple(dx.shape), 2))).sum() for dx in first)
    second = [None] * len(inputs)
    if total.requires_grad:
        second = torch.autograd.grad(total, inputs, allow_unused=True)
    zeros = [torch.zeros_like(x) if d is None else d for x, d in zip(inputs, second, strict=True)]
    return [v.detach().numpy(force=True) for v in (y, *first, *zeros)]


if __name__ == "__main__":
    table = {
        f"{name}/{k}": value
        for name, (_, text, arrays) in CASES.items()
        for k, value in enumerate(results(text, arrays))
    }
    np.savez_compressed(HERE / "torch_results.npz", **table)
    print(
        f"PyTorch {torch.__version__}: {len(CASES)} functions, {len(table)} arrays -> {HERE / 'torch_results.npz'}"
    )
