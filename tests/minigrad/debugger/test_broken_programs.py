"""Broken programs, each of whose causes is named by `checkup`, `history`, or a few commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import minigrad as mg

ROOT = Path(mg.__file__).parents[1]
FOLDER = Path(__file__).parent / "broken"


def debug(*words: str, lines: str = "", folder: Path = FOLDER) -> str:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "minigrad.debugger", *words], input=lines,
        capture_output=True, text=True, cwd=folder, timeout=120,
        env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    return ran.stdout


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        (
            "deadrelu.py",
            "h of Unroll.cell is dead (0) in 100 % of its entries   (broken/deadrelu.py:",
        ),
        ("deadrelu.py", "the gradient dies at t = 19 of axis cell in relu: h = mg.relu("),
        ("gate.py", "f of LSTM.l0 is shut (< 0.01) in 100 % of its entries"),
        ("rule.py", "wrong rule: softsign_dx DISAGREES with finite differences"),
        ("tied.py", "used by 3 layers in each time step"),
        ("laststeps.py", "the loss ignores t = 15 … 19 of axis l0: no gradient arrives there"),
        (
            "seq2seq.py",
            "no gradient reaches encoder.*; cut at broken/seq2seq.py:20  h = mg.tensor(",
        ),
    ],
)
def test_checkup_names_the_cause_and_its_line(program: str, cause: str) -> None:
    assert cause in debug(program, lines="checkup\nquit\n")


@pytest.mark.parametrize("program", ["gate.py", "tied.py", "seq2seq.py", "deadrelu.py"])
def test_the_first_stop_says_the_most_suspicious_in_one_line(program: str) -> None:
    second = debug(program, lines="quit\n").splitlines()[1]
    assert second.startswith("checkup: ")
    assert "Traceback" not in second


def test_an_explosion_is_found_in_the_history(tmp_path: Path) -> None:
    record = str(tmp_path / "run.npz")
    debug("--record", record, "-b", "norm > 1e35", "explode.py")
    told = debug("--history", record)
    assert "first unlike the 20 before: pass 401: " in told
    assert "lr 1.5 is 75 × its median" in told
    assert "explode.py:47" in told


def test_an_explosion_is_stopped_where_the_loss_rises() -> None:
    told = debug("-b", "loss > 10 * median(loss)", "explode.py", lines="history\nquit\n")
    assert "stop: loss > 10 * median(loss): loss = " in told
    assert "pass 401: " in told


def test_a_logarithm_of_zero_is_found_where_it_is_born() -> None:
    told = debug("-b", "nonfinite", "logzero.py", lines="inputs\ncheckup\nquit\n")
    assert "stop: NaN was born in the forward pass at t = 4" in told
    assert "that comes from np.log(p) at t = 4, of p in [0, 1], 1 of 20 are 0" in told
