"""The transcripts in the documentation are what a user gets who types the same."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad

ROOT = Path(minigrad.__file__).parents[1]
PAGE = (ROOT / "docs" / "debugger.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`(\w+\.py)`[^\n]*:\n\n```py\n(.*?)```", PAGE, re.DOTALL))
TRANSCRIPTS = re.findall(
    r"```console\n\$ python (-m minigrad.debugger [^\n]*)\n(.*?)```", PAGE, re.DOTALL
)
NUMBER = r"(?<![\w.\[])-?\d+\.?\d*(?:e[+-]?\d+)?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    run(tmp_path, ["job.py"], "")
    return tmp_path


def run(folder: Path, words: list[str], lines: str) -> str:
    command = [sys.executable, "-W", "ignore", *words]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        command,
        input=lines,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout


def test_the_page_has_its_programs_and_transcripts() -> None:
    assert {"train.py", "rnn.py", "nan.py", "job.py", "replay.py"} <= FILES.keys()
    assert len(TRANSCRIPTS) >= 4


@pytest.mark.parametrize(
    ("command", "said"), TRANSCRIPTS, ids=[command for command, _ in TRANSCRIPTS]
)
def test_transcripts(folder: Path, command: str, said: str) -> None:
    typed = re.findall(r"^\(bptt[^)]*\) (.*)$", said, re.MULTILINE)
    if "--history" in command:
        run(
            folder,
            ["-m", "minigrad.debugger", "--record", "run.npz", "-b", "t == -1", "train.py"],
            "",
        )
    printed = run(folder, shlex.split(command), "\n".join(typed) + "\n")
    assert shape(printed) == shape(said)
    for found, shown in zip(numbers(printed), numbers(said), strict=True):
        assert found == pytest.approx(shown, rel=0.02, abs=1e-6)


def shape(text: str) -> list[str]:
    """A transcript without its numbers, bars and line numbers."""
    plain = re.sub(r"[▁▂▃▄▅▆▇█]+", "▁", re.sub(r"(\.py):\d+", r"\1", text))
    return re.sub(NUMBER, "N", plain).split("\n")


def numbers(text: str) -> list[float]:
    plain = re.sub(r"(\.py):\d+", r"\1", text)
    return [float(number) for number in re.findall(NUMBER, plain)]
