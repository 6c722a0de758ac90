"""Values, first and second gradients equal to those that PyTorch computed (stored numbers), to 1e-9."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg

HERE = Path(__file__).resolve().parent
SPEC = importlib.util.spec_from_file_location("torch_cases", HERE / "torch_cases.py")
cases = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(cases)
STORED = np.load(HERE / "torch_results.npz")


@pytest.mark.parametrize("name", cases.CASES)
def test_agrees_with_pytorch(name):
    fn, _, arrays = cases.CASES[name]
    inputs = [mg.tensor(x, requires_grad=True) for x in arrays]
    y = fn(*inputs)
    first = mg.grad((y * cases.weights(y.shape, 1)).sum(), inputs, create_graph=True)
    total = sum((dx * cases.weights(dx.shape, 2)).sum() for dx in first)
    second = (
        mg.grad(total, inputs, allow_unused=True) if total.requires_grad else [None] * len(inputs)
    )
    found = [
        y,
        *first,
        *[np.zeros(x.shape) if dx is None else dx for x, dx in zip(inputs, second, strict=True)],
    ]
    for k, value in enumerate(found):
        np.testing.assert_allclose(
            getattr(value, "data", value), STORED[f"{name}/{k}"], rtol=1e-9, atol=1e-9
        )


def test_every_stored_result_is_checked():
    assert {key.rpartition("/")[0] for key in STORED.files} == set(cases.CASES)
