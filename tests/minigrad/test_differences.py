"""The first place where two graphs or two recordings part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import nn


@mg.primitive
def double(x):
    return 2 * x


@double.gradient
def double_dx(dy, y, x):
    return 2 * dy


def recurrence(at: int = -1, factor: float = 1.0, data: float = 1.0, w0: float = 0.5) -> mg.Graph:
    w, h = mg.tensor(w0, requires_grad=True, name="w"), mg.tensor(data, name="x")
    for t in range(5):
        with mg.time_step(t):
            a = w * h
            h = np.tanh(a) * (factor if t == at else 1.0)
    return mg.Graph(double(h))


def test_equal_graphs_do_not_part() -> None:
    assert mg.first_difference(recurrence(), recurrence()) is None


def test_the_first_node_step_and_line_are_named() -> None:
    found = mg.first_difference(recurrence(), recurrence(at=3, factor=1.01))
    assert (found.kind, found.t) == ("value", 3)
    assert "1.01 at t = 3, a constant of np.tanh(a) * (factor" in str(found)
    assert "test_differences.py:29" in str(found)
    assert found.line.endswith("test_differences.py:29")


def test_data_and_parameters_come_before_what_follows_from_them() -> None:
    assert mg.first_difference(recurrence(), recurrence(data=2.0)).name == "x"
    found = mg.first_difference(recurrence(), recurrence(w0=0.25))
    assert (found.name, found.size) == ("w", 0.5)
    assert "0.5 against 0.25" in str(found)


def test_a_tolerance_is_relative() -> None:
    small = recurrence(at=2, factor=1 + 1e-4)
    assert mg.first_difference(recurrence(), small, tolerance=1e-3) is None
    assert mg.first_difference(recurrence(), small, tolerance=1e-5) is not None


def test_a_program_that_takes_another_way_is_told_as_such() -> None:
    def program(relu: bool) -> mg.Graph:
        x = mg.tensor(1.0, requires_grad=True, name="x")
        y = mg.relu(x) if relu else np.tanh(x)
        return mg.Graph(y * 2.0)

    found = mg.first_difference(program(True), program(False))
    assert found.kind == "structure"
    assert "mg.relu(x)" in str(found)
    assert "np.tanh(x)" in str(found)
    one = mg.first_difference(program(True), mg.relu(mg.tensor(1.0, requires_grad=True)))
    assert one.kind == "structure"


def test_gradients_part_where_a_rule_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = recurrence(), recurrence()
    calls = []

    def forgetful(dy, y, x):
        calls.append(dy)
        return 2 * dy if len(calls) == 1 else dy

    monkeypatch.setattr(double, "rules", [forgetful])
    found = mg.first_difference(good, bad)
    assert (found.kind, found.t) == ("gradient", 4)
    assert "sent by double" in str(found)
    assert "test_differences.py" in str(found)


def test_nan_on_both_sides_is_no_difference() -> None:
    def nan(x: float) -> mg.Graph:
        w = mg.tensor([x, 1.0], requires_grad=True, name="w")
        return mg.Graph((w * 2).sum())

    assert mg.first_difference(nan(np.nan), nan(np.nan)) is None
    assert mg.first_difference(nan(np.nan), nan(1.0)).name == "w"


def test_recordings_part_in_a_pass_and_a_figure(tmp_path: Path) -> None:
    def run(path: Path, scale: float) -> None:
        mg.seed(0)
        net = nn.Linear(2, 1)
        opt = nn.SGD(net, lr=0.1)
        with mg.record(path):
            for k in range(6):
                x = np.ones((3, 2)) * (scale if k == 3 else 1)
                loss = (net(x) ** 2).mean()
                opt.zero_grad()
                loss.backward()
                opt.step()

    for name, scale in (("a.npz", 1.0), ("b.npz", 1.0), ("c.npz", 1.5)):
        run(tmp_path / name, scale)
    assert mg.first_difference(tmp_path / "a.npz", tmp_path / "b.npz") is None
    found = mg.first_difference(str(tmp_path / "a.npz"), tmp_path / "c.npz")
    assert (found.number, found.name) == (4, "loss")
    assert "test_differences.py" in found.line


def test_anything_else_is_refused() -> None:
    with pytest.raises(TypeError, match="losses, graphs or recordings, found int"):
        mg.first_difference(3, recurrence())
