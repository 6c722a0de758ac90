"""Recording of training passes: what is kept, what a crash leaves, and what costs memory."""

from __future__ import annotations

import gc
import math
import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad import recorder
from minigrad.backward import backward_steps, driver

ROOT = Path(mg.__file__).parents[1]


def train(passes: int, lr: float = 0.05, jump: int = -1, steps: int = 6) -> None:
    mg.seed(0)
    net, head, rng = nn.RNN(2, 4), nn.Linear(4, 1), np.random.default_rng(0)
    opt = nn.SGD([*net.parameters(), *head.parameters()], lr=lr)
    for k in range(passes):
        opt.param_groups[0]["lr"] = 40 * lr if k == jump else lr
        y, _ = net(rng.standard_normal((steps, 3, 2)))
        loss = ((head(y[-1]) - 1) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()


def test_each_pass_is_a_row_of_what_it_was_like() -> None:
    w, h0 = mg.tensor(0.5, requires_grad=True, name="w"), 1.0
    with mg.record() as run:
        for _ in range(3):
            w.grad, h = None, mg.tensor(h0)
            for t in range(4):
                with mg.time_step(t):
                    h = np.tanh(w * h)
            h.backward()
            mg.note(accuracy=0.25)
            w.data = w.data + 0.1
    assert run["pass"].tolist() == [1, 2, 3]
    assert run["accuracy"].tolist() == [0.25] * 3
    assert run["max_norm"].tolist() == [1, 1, 1]  # the last state; it only shrinks from there
    assert run["where"][0] == "h[3]" or run["where"][0] == "h[2]"
    assert run["norm.w"] == pytest.approx([0.5, 0.6, 0.7])
    assert run["update.w"] == pytest.approx([0.1 / 0.5, 0.1 / 0.6, 0.1 / 0.7])
    assert run["grad.w"][2] == pytest.approx(w.grad.item())
    assert run["line"][0].startswith("tests/minigrad/test_recorder.py:")


def test_the_learning_rate_of_an_optimiser_is_noted_by_itself() -> None:
    with mg.record() as run:
        train(5, lr=0.05)
    assert run["lr"].tolist() == [0.05] * 5
    assert len(run["generator"][0].split()) == 4


def test_a_pass_is_the_same_whether_it_is_recorded_or_not() -> None:
    def gradient() -> np.ndarray:
        mg.seed(1)
        net = nn.LSTM(2, 4)
        (net(np.ones((5, 2, 2)))[0] ** 2).mean().backward()
        return net.l0.W_hh.grad.data

    plain = gradient()
    with mg.record():
        assert np.array_equal(gradient(), plain)
    assert driver.get() is backward_steps


def test_a_file_holds_the_same_columns(tmp_path: Path) -> None:
    with mg.record(tmp_path / "run.npz") as run:
        train(8)
    again = recorder.read(tmp_path / "run.npz")
    assert set(again.columns) == set(run.columns)
    for column in run.columns:
        np.testing.assert_array_equal(again[column], run[column])
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]
    with np.load(tmp_path / "run.npz") as arrays:
        assert arrays["loss"].dtype == np.float64


def test_memory_is_flat_and_no_graph_is_kept(tmp_path: Path) -> None:
    refs = []
    with mg.record(tmp_path / "run.npz", keep=5) as run:
        for _ in range(20):
            x = mg.tensor(2.0, requires_grad=True)
            y = x * x
            refs.append(weakref.ref(y))
            y.backward()
            del x, y
        gc.collect()
        assert len(run.rows) == 5
        assert not any(ref() is not None for ref in refs)
    assert len(recorder.read(tmp_path / "run.npz")) == 20


KILLED = """\
import os, signal
import minigrad as mg
w = mg.tensor(1.0, requires_grad=True, name="w")
with mg.record("run.npz"):
    for k in range(30):
        w.grad = None
        (w * w).backward()
        w.data = w.data * 0.9
        if k == 20:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_can_be_read_up_to_its_last_pass(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, timeout=60)
    assert done.returncode == -signal.SIGKILL
    run = recorder.read(tmp_path / "run.npz")
    assert len(run) == 21
    assert run["loss"][-1] == pytest.approx(0.9**40, rel=1e-5)
    assert "killed after this pass" in str(run)


def test_a_file_that_is_cut_off_is_told_with_the_place(tmp_path: Path) -> None:
    with mg.record(tmp_path / "run.npz"):
        train(6)
        journal = Path(recorder.journal_path(tmp_path / "run.npz")).read_bytes()
    cut = tmp_path / "cut.npz.journal"
    for size in range(len(journal) // 2, len(journal), 7):
        cut.write_bytes(journal[:size])
        run = recorder.read(tmp_path / "cut.npz")
        assert 1 <= len(run) <= 6
        assert run.damage
    cut.write_bytes(journal[:-3])
    assert "cut off or damaged behind pass" in recorder.read(cut).damage
    whole = (tmp_path / "run.npz").read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        (tmp_path / "half.npz").write_bytes(whole[:size])
        with pytest.raises(ValueError, match="no recording of minigrad, or it is cut off"):
            recorder.read(tmp_path / "half.npz")
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    with pytest.raises(ValueError, match="no recording"):
        recorder.read(tmp_path / "other.npz")


def test_a_name_without_npz_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ends in .npz"):
        mg.record(tmp_path / "run.txt")
    assert list(tmp_path.iterdir()) == []


def test_the_first_pass_unlike_those_before_is_told_with_evidence() -> None:
    with mg.record() as run:
        train(60, jump=40)
    unlike = run.first_unlike()
    assert unlike is not None
    assert unlike.number == 41
    assert any(text.startswith("lr 2 is 40 ×") for text in unlike.evidence)
    assert "pass 41" in str(run)
    assert "test_recorder.py" in unlike.where


def test_where_all_is_well_no_pass_is_unlike() -> None:
    with mg.record() as run:
        train(80)
    assert run.first_unlike() is None
    assert "no pass is unlike the 20 before it" in str(run)
    assert "no gradient" not in str(run)


def test_a_loss_that_stops_being_finite_is_unlike() -> None:
    w = mg.tensor(1.0, requires_grad=True, name="w")
    with mg.record() as run, np.errstate(all="ignore"):
        for k in range(5):
            (w * (np.inf if k == 3 else 1.0)).backward()
    assert run.first_unlike().number == 4
    assert run.first_unlike().evidence[0] == "loss is inf"


def test_a_parameter_without_gradient_is_named() -> None:
    w, dead = (mg.tensor(1.0, requires_grad=True, name=name) for name in ("w", "dead"))
    with mg.record() as run:
        for _ in range(3):
            (w * w + dead * 0.0).backward()
    assert run.without_gradient() == ["dead"]
    assert str(run).endswith("no gradient in any pass: dead")


def test_a_pass_that_fails_keeps_its_row_and_its_error(tmp_path: Path) -> None:
    x = mg.tensor(1.0, requires_grad=True)
    y = x * 2
    y.register_hook(lambda dy: 1 / 0)
    with mg.record(tmp_path / "run.npz") as run, pytest.raises(ZeroDivisionError):
        y.backward()
    assert run["loss"].tolist() == [2]
    assert len(recorder.read(tmp_path / "run.npz")) == 1


def test_recordings_inside_each_other_both_record() -> None:
    w = mg.tensor(1.0, requires_grad=True, name="w")
    with mg.record() as outer:
        (w * w).backward()
        with mg.record() as inner:
            (w * w).backward()
            mg.note(lr=3.0)
    assert (len(outer), len(inner)) == (2, 1)
    assert math.isnan(outer["lr"][0])
    assert outer["lr"][1] == inner["lr"][0] == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_child_does_not_write_into_the_file(tmp_path: Path) -> None:
    w = mg.tensor(1.0, requires_grad=True, name="w")
    with mg.record(tmp_path / "run.npz") as run:
        (w * w).backward()
        child = os.fork()
        if child == 0:
            (w * w).backward()
            os._exit(0)
        os.waitpid(child, 0)
    assert len(run) == 1
    assert len(recorder.read(tmp_path / "run.npz")) == 1


def test_columns_are_found_by_name_and_drawn() -> None:
    pytest.importorskip("matplotlib")
    with mg.record() as run:
        train(30, jump=25)
    with pytest.raises(KeyError, match="no column 'los'; there are: pass, loss"):
        run["los"]
    ax = run.plot()
    labels = [line.get_label() for line in ax.get_lines()]
    assert labels[:2] == ["loss", "max |∂loss/∂state|"]
    assert str(mg.record()).startswith("nothing is recorded")
