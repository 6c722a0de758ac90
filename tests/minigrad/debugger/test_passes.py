"""The debugger across passes: conditions on the history, replaying, and comparing runs."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.debugger import Debugger, Quit
from tests.minigrad.debugger.dialogue import chain, said

ROOT = Path(mg.__file__).parents[1]
TRAIN = """\
import sys
import numpy as np
import minigrad as mg, nn
from settings import LR, JUMP

mg.seed(0)
rng = np.random.default_rng({seed})
net, head = nn.RNN(2, 4), nn.Linear(4, 1)
opt = nn.SGD([*net.parameters(), *head.parameters()], lr=LR)
for step in range(40):
    opt.param_groups[0]["lr"] = 300 * LR if step == JUMP else LR
    y, _ = net(rng.standard_normal((6, 3, 2)))
    loss = ((head(y[-1]) - 1) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
print("trained", step)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "settings.py").write_text("LR, JUMP = 0.05, 30\nprint('imported')\n")
    path = tmp_path / "train.py"
    path.write_text(TRAIN.replace("{seed}", "0"))
    return path


def debug(program: Path, *options: str, lines: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "minigrad.debugger", *options]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        command, input=lines, capture_output=True, text=True, cwd=program.parent, env=environment,
        timeout=60,
    )  # fmt: skip


def test_a_recording_tells_the_pass_and_the_figure(program: Path) -> None:
    ran = debug(program, "--record", "run.npz", "-b", "norm > 1e30", "train.py")
    assert ran.returncode == 0, ran.stderr
    told = debug(program, "--history", "run.npz")
    assert "passes 1 to 40 of train.py" in told.stdout
    unlike = told.stdout.partition("first unlike the 20 before: ")[2]
    assert unlike.startswith("pass 31: ")
    assert "lr 15 is 300 × its median" in unlike
    assert "(train.py:15)" in unlike


def test_history_of_what_is_no_recording_is_refused(program: Path) -> None:
    (program.parent / "bad.npz").write_bytes(b"PK nothing")
    ran = debug(program, "--history", "bad.npz")
    assert ran.returncode == 2
    assert "bad.npz is no recording of minigrad" in ran.stderr
    assert debug(program, "--history", "absent.npz").returncode == 2


def test_a_condition_on_the_history_stops_once_at_the_start_of_the_pass(program: Path) -> None:
    lines = "history\ncontinue\n" * 9
    ran = debug(program, "-b", "loss > 10 * median(loss)", "train.py", lines=lines)
    stop = next(line for line in ran.stdout.splitlines() if line.startswith("stop:"))
    assert stop.startswith("stop: loss > 10 * median(loss): loss = ")
    assert ", median(loss) = " in stop
    assert ran.stdout.count("backward pass 33 from train.py:15") == 1
    assert ran.stdout.count("(bptt 33) continue") == 1
    assert "first unlike the 20 before: pass 31" in ran.stdout


def passes(condition: str, losses: list[float]) -> list[int]:
    """In which passes a condition on the pass stops."""
    out = io.StringIO()
    w = mg.tensor(1.0, requires_grad=True, name="w")
    with Debugger([condition], stdin=io.StringIO("c\n" * 99), stdout=out):
        for loss in losses:
            w.data = w.data + 0.5
            (w * w * 0 + loss).backward()
            mg.note(lr=loss)
    found = [line.split()[2] for line in out.getvalue().splitlines() if "backward pass" in line]
    return [int(number) for number in found]


@pytest.mark.parametrize(
    ("condition", "stops"),
    [
        ("loss > 10 * median(loss)", [8]),
        ("loss > 5 * mean(loss)", [8]),
        ("rises(loss, 3)", [4, 8]),
        ("rises(loss)", []),
        ("rises(loss) or pass == 2", [2]),
        ("pass in (3, 5)", [3, 5]),
        ('param("w").norm > 4.9', [8, 9]),
        ('param("w").update > 0.24', [2, 3]),
        ("lr > 50", [9]),
        ("loss == 2.5", [3]),
    ],
)
def test_conditions_on_passes(condition: str, stops: list[int]) -> None:
    assert passes(condition, [1.0, 2.0, 2.5, 3.0, 2.0, 1.5, 1.0, 90.0, 1.0]) == stops


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("median(norm) > 3", "is not a comparison"),
        ("median(loss, 3) > 3", "is not a comparison"),
        ("open('x') > 3", "is not a comparison"),
        ('param("w") > 3', "is not a comparison"),
        ('param("w").size > 3', 'write param("W").norm > 100'),
        ("median(loss.real) > 1", "is not a comparison"),
    ],
)
def test_what_is_no_condition_on_passes_is_refused(condition: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        mg.Breakpoint(condition)
    assert message in str(error.value)


def test_a_condition_that_raises_is_told_with_its_text() -> None:
    out = io.StringIO()
    with Debugger(['param("v").norm > 1'], stdin=io.StringIO("c\n"), stdout=out):
        chain()[0].backward()
    assert "condition 'param(\"v\").norm > 1' raised ValueError" in out.getvalue()
    assert "0 parameters are called v; did you mean w?" in out.getvalue() or "there are: w" in (
        out.getvalue()
    )


def test_replay_runs_the_program_again_and_stops_in_that_pass(program: Path) -> None:
    lines = "!kept = 1\nreplay 12\np step\np loss.item() < 5\nhistory\nquit\n"
    ran = debug(program, "-b", "pass == 20", "train.py", lines=lines)
    assert ran.stdout.count("imported") == 2  # its modules are imported anew
    assert "(bptt 20) replay 12" in ran.stdout
    assert said(ran.stdout, "p step") == "11"
    assert "passes 1 to 12 of train.py" in ran.stdout
    assert "not met again" not in ran.stdout
    assert ran.returncode == 1


def test_replay_tells_a_program_that_is_not_deterministic(program: Path) -> None:
    program.write_text(TRAIN.replace("{seed}", "None"))
    ran = debug(program, "train.py", lines="until pass == 5\nreplay 3\nquit\n")
    assert "the recorded run is not met again: pass 1: loss" in ran.stdout
    assert "not deterministic: seed its generators" in ran.stdout
    assert "(bptt 3) quit" in ran.stdout


def test_replay_on_the_command_line(program: Path) -> None:
    ran = debug(program, "--replay", "9", "train.py", lines="p step\nquit\n")
    assert "backward pass 9 from train.py:15" in ran.stdout
    assert said(ran.stdout, "p step") == "8"


def test_replay_needs_a_program_that_can_run_again() -> None:
    out = io.StringIO()
    mg.debug(chain()[0], commands=["replay 3", "replay x", "continue"], stdout=out)
    assert "only the debugger's own program can run again" in out.getvalue()


def test_against_stops_where_the_runs_part(program: Path) -> None:
    assert debug(program, "--record", "a.npz", "-b", "norm > 1e30", "train.py").returncode == 0
    same = debug(program, "--against", "a.npz", "train.py")
    assert "no breakpoint was hit" in same.stdout
    (program.parent / "settings.py").write_text("LR, JUMP = 0.05, 25\n")
    ran = debug(program, "--against", "a.npz", "train.py", lines="p step\nquit\n")
    assert "stop: the runs part in pass 26: lr 0.05 against 15" in ran.stdout
    assert "replay 26 goes back to it" in ran.stdout
    other = program.with_name("other.py")
    other.write_text("pass\n")
    refused = debug(program, "--against", "a.npz", "other.py")
    assert refused.returncode == 2
    assert "a.npz is a recording of train.py, not of other.py" in refused.stderr


def test_leaving_a_pass_writes_nothing_and_goes_on() -> None:
    graph, w = chain()
    out = io.StringIO()
    with Debugger(stdin=io.StringIO("step 3\nleave\n"), stdout=out):
        graph.backward()
        assert w.grad is None
        graph.backward()
    assert w.grad is not None
    assert "left: nothing of this pass is written" in out.getvalue()


def test_quit_ends_the_program_also_where_it_catches_errors() -> None:
    graph, w = chain()
    with pytest.raises(SystemExit) as ended, Debugger(stdin=io.StringIO("quit\n")):
        try:
            graph.backward()
        except Exception:
            pytest.fail("quit was caught")
    assert ended.value.code == 1
    assert isinstance(ended.value, Quit)
    assert w.grad is None
    assert np.isfinite(graph.outputs[0].data)
