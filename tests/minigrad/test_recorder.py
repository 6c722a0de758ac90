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


def test_a_compiled_step_is_recorded_as_the_same_step_without_a_program_is() -> None:
    def recorded(compiled: bool) -> recorder.Recorder:
        mg.seed(0)
        net = nn.LSTM(2, 4)
        opt = nn.SGD(net, lr=0.1)

        def loss_fn(net: nn.LSTM, xs: np.ndarray) -> mg.Tensor:
            return (net(xs)[0] ** 2).mean()

        step = mg.compile(loss_fn, backend="numpy")
        with mg.record() as run:
            for k in range(4):
                opt.zero_grad()
                xs = np.full((5, 2, 2), 1.0 + k, np.float32)
                if compiled:
                    step.backward(net, xs)
                else:
                    loss_fn(net, xs).backward()
                opt.step()
        return run

    program, engine = recorded(True), recorded(False)
    assert len(program) == len(engine) == 4
    for column in ("loss", "grad_norm", "norm", "update", "grad.l0.W_hh", "update.l0.b_h", "lr"):
        np.testing.assert_allclose(program[column], engine[column], rtol=1e-4)
    assert mg.first_difference(program, engine, tolerance=1e-4) is None
    assert "max_norm" not in program.columns
    assert "4 passes were compiled steps" in str(program)
    assert "compiled" not in str(engine)


def test_of_long_sequences_some_states_are_measured_and_all_where_the_gradient_rises() -> None:
    mg.seed(0)
    cell = nn.RNNCell(2, 8)
    cell.W_hh.data = 1.3 * cell.W_hh.data
    net, xs = nn.Unroll(cell), 0.01 * np.ones((60, 2, 2), np.float32)
    measured = 0

    def counting(x: np.ndarray) -> float:
        nonlocal measured
        measured += np.shape(x) == (2, 8)
        return norm(x)

    norm, recorder.norm = recorder.norm, counting
    try:
        with mg.record() as run:
            for last in (True, True, False, False):
                measured = 0
                ys, _ = net(xs)
                (ys[-1] if last else ys[0]).sum().backward()
    finally:
        recorder.norm = norm
    assert run["max_norm"][0] == run["max_norm"][1] > 100  # it rises down to the first step
    assert run["where"][1] == "h[0] of Unroll.cell"
    assert measured < 20


def test_what_is_wrong_with_a_training_as_a_whole_is_told() -> None:
    def told(
        sign: float = 1.0, zeroed: bool = True, lr: float = 0.05, left_out: bool = False
    ) -> list[str]:
        rng = np.random.default_rng(0)
        mg.seed(0)
        net, head = nn.Linear(3, 4), nn.Linear(4, 1)
        mine = head.parameters() if left_out else [*net.parameters(), *head.parameters()]
        opt = nn.SGD(mine, lr=lr)
        with mg.record() as run, np.errstate(all="ignore"):
            for _ in range(60):
                x = rng.standard_normal((8, 3)).astype(np.float32)
                loss = sign * nn.mse_loss(head(np.tanh(net(x))), x[:, :1])
                if zeroed:
                    opt.zero_grad()
                loss.backward()
                opt.step()
        return run.findings()

    assert told() == []
    (text,) = told(left_out=True)
    assert text == "never changed, although a gradient arrives: W, b; not in the optimiser?"
    assert "59 passes, the first of them pass 2, have added to gradients" in told(zeroed=False)[0]
    assert "falls without end, below 0" in told(sign=-1.0, lr=0.01)[0]
    assert any("the loss rises" in text for text in told(lr=30.0))
    assert any("the parameters hardly move" in text for text in told(lr=1e-9))


def test_a_loss_of_nan_is_told_from_a_file_too(tmp_path: Path) -> None:
    w = mg.tensor(1.0, requires_grad=True, name="w")
    with mg.record(tmp_path / "run.npz"), np.errstate(all="ignore"):
        for k in range(5):
            (w * (np.nan if k == 3 else 1.0)).backward()
    unlike = recorder.read(tmp_path / "run.npz").first_unlike()
    assert unlike is not None
    assert (unlike.number, unlike.evidence[0]) == (4, "loss is nan")


def test_a_damaged_journal_is_read_up_to_the_damage(tmp_path: Path) -> None:
    with mg.record(tmp_path / "run.npz"):
        train(6)
        whole = Path(recorder.journal_path(tmp_path / "run.npz")).read_bytes()
    bad = tmp_path / "bad.npz.journal"
    for k in range(30, len(whole), 11):
        bad.write_bytes(whole[:k] + bytes([whole[k] ^ 255]) + whole[k + 1 :])
        assert len(recorder.read(bad)) <= 6


GUESSES = {
    "a mean of squares": lambda w, t: ((w - t) ** 2).mean(),
    "a sum of squares": lambda w, t: 3 * np.square(t - w).sum(),
    "squares with the wrong sign": lambda w, t: -((w - t) ** 2).mean(),
}


@pytest.mark.parametrize("name", GUESSES)
def test_the_loss_of_a_constant_guess_is_that_of_the_mean_of_the_targets(name: str) -> None:
    t = np.random.default_rng(0).standard_normal((16, 2))
    w = mg.tensor(np.zeros((16, 2)), requires_grad=True)
    with mg.record() as run:
        GUESSES[name](w, t).backward()
    best = GUESSES[name](mg.tensor(np.broadcast_to(t.mean(axis=0), t.shape).copy()), t)
    assert run["guess"][0] == pytest.approx(best.item())


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_of_classes_it_is_that_of_their_frequencies(scale: float) -> None:
    classes, x = np.array([0, 0, 0, 1]), mg.tensor(np.zeros((4, 2)), requires_grad=True)
    with mg.record() as run:
        (scale * nn.cross_entropy(x, classes)).backward()
    best = nn.cross_entropy(np.log(np.tile([0.75, 0.25], (4, 1))), classes).item()
    assert run["guess"][0] == pytest.approx(scale * best)


def test_of_another_loss_no_constant_guess_is_known() -> None:
    x = mg.tensor(np.zeros((4, 2)), requires_grad=True)
    for loss in (mg.logsumexp(x, axis=1).mean(), ((x - 1) ** 2).mean() + x.sum()):
        with mg.record() as run:
            loss.backward()
        assert np.isnan(run["guess"][0])
