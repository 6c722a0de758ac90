"""The adapter that runs autograd's tests tells what passes, is refused, is wrong, is about something else."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import minigrad as mg
from tests.floors import ROOT

SAMPLE = """
import autograd.numpy as np
from autograd import deriv, grad, hessian, make_jvp, value_and_grad
from autograd.builtins import tuple
from autograd.extend import defvjp, primitive
from autograd.test_util import check_equivalent, check_grads, combo_check


def test_right():
    combo_check(np.tanh, [0])([0.3, np.ones((2, 3)), 1j])
    check_grads(lambda x, y: tuple((x @ y, x * 2)), order=3)(np.ones((2, 2)), np.eye(2))
    check_equivalent(hessian(lambda x: (x**3).sum())(np.ones(2)), 6 * np.eye(2))
    assert grad(grad(lambda x: x**3))(2.0) == deriv(lambda x: 3 * x**2)(2.0) == 12
    assert value_and_grad(lambda x, y: x * y, 1)(2.0, 3.0) == (6, 2)
    check_grads(grad(lambda x: np.sin(x) * x))(0.7)


def test_refused():
    grad(lambda x: np.array([x, x]).sum())(1.0)


def test_complex():
    check_grads(np.exp)(1j)


def test_wrong():
    @primitive
    def double(x):
        return 2 * x

    defvjp(double, lambda y, x: lambda dy: 2.1 * dy)
    check_grads(double)(1.0)
"""


def test_each_kind_of_outcome_is_told(tmp_path):
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    command = [sys.executable, "-m", "tests.autograd_suite", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=100)
    lines = done.stdout.splitlines()
    (row,) = [line.split() for line in lines if line.startswith("test_sample.py")]
    assert row[1:] == ["1", "1", "1", "0", "1", "0"], done.stdout + done.stderr
    (refused,) = [line for line in lines if line.startswith("refused")]
    assert "write np.stack(list)" in refused
    (wrong,) = [line for line in lines if line.startswith("FAIL ")]
    assert "disagree with central differences" in wrong
    assert done.returncode == 1


def test_a_gradient_inside_a_checked_function_has_a_history():
    def slope(x):
        return mg.grad((x**3).sum(), x, create_graph=False)[0]

    assert mg.gradcheck(slope, np.array([1.0, 2.0]))
    assert mg.gradgradcheck(slope, np.array([1.0, 2.0]))
    with pytest.raises(mg.GradcheckError):
        mg.gradcheck(lambda x: slope(x).detach() * x, np.array([1.0, 2.0]))
