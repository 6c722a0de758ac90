"""Where nobody sits at a terminal: nothing hangs, and the exit status tells."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad as mg
from minigrad.debugger import Quit
from tests.minigrad.debugger.dialogue import chain

ROOT = Path(mg.__file__).parents[1]
LOOP = """\
import numpy as np
import minigrad as mg, nn
mg.seed(0)
net = nn.RNN(1, 4)
opt = nn.SGD(net, lr=0.1)
for k in range(3):
    y, _ = net(np.ones((5, 2, 1)))
    loss = (y ** 2).mean()
    opt.zero_grad()
    mg.debug(loss, "norm > 1e-9")
    opt.step()
print("trained without a gradient")
"""
FORKED = """\
import os, sys, numpy as np, minigrad as mg, nn

def work():
    y, _ = nn.RNN(2, 4)(np.ones((4, 1, 2)))
    (y[-1] ** 2).mean().backward()

pids = []
for k in range(2):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(7)
    pids.append(pid)
print("children", [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids])
work()
"""
THREAD = """\
import threading, time, numpy as np, minigrad as mg
def work():
    w = mg.tensor(0.5, requires_grad=True, name="w")
    mg.debug(np.tanh(w * 1.0), commands=["quit"])
thread = threading.Thread(target=work)
thread.start()
thread.join()
time.sleep(5)
print("the program has gone on")
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}


def run(
    folder: Path, text: str, *words: str, **options: object
) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(text)
    command = [sys.executable, *words, "program.py"]
    return subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, **options
    )  # type: ignore[call-overload]


def test_a_debugger_left_in_a_program_ends_it_where_there_is_no_input(tmp_path: Path) -> None:
    ran = run(tmp_path, LOOP, stdin=subprocess.DEVNULL)
    assert ran.returncode == 1
    assert "trained" not in ran.stdout
    assert ran.stdout.endswith("end of input\nquit: nothing is written\n")


def test_also_where_the_input_is_closed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(LOOP)
    command = f"{sys.executable} program.py <&-"
    ran = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert ran.returncode == 1
    assert "no commands can be read here" in ran.stderr
    assert "trained" not in ran.stdout


def test_also_under_nohup(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(LOOP)
    ran = subprocess.run(
        ["nohup", sys.executable, "program.py"], cwd=tmp_path, env=ENVIRONMENT, timeout=60,
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 1
    assert "trained" not in ran.stdout


def test_captured_input_raises_and_does_not_loop() -> None:
    class Captured(io.StringIO):
        reads = 0

        def readline(self, *_: object) -> str:
            self.reads += 1
            raise OSError("reading from stdin while output is captured")

    graph, w = chain()
    captured = Captured()
    with pytest.raises(Quit, match="captured.*-s"):
        mg.debug(graph, stdin=captured, stdout=io.StringIO())
    assert captured.reads == 1
    assert w.grad is None


def test_under_pytest_a_test_with_a_debugger_fails(tmp_path: Path) -> None:
    (tmp_path / "test_left.py").write_text(
        "import numpy as np, minigrad as mg\n\ndef test_a():\n"
        "    w = mg.tensor(0.5, requires_grad=True)\n    mg.debug(np.tanh(w * 1.0))\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_left.py"]
    ran = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 1
    assert "1 failed" in ran.stdout
    assert "no commands can be read here" in ran.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_forked_children_are_not_debugged(tmp_path: Path) -> None:
    ran = run(tmp_path, FORKED, "-m", "minigrad.debugger", input="where\ncontinue\n")
    assert "children [7, 7]" in ran.stdout
    assert ran.stdout.count("(bptt) ") == 2
    assert ran.returncode == 0


def test_quit_in_a_thread_ends_the_program(tmp_path: Path) -> None:
    ran = run(tmp_path, THREAD, stdin=subprocess.DEVNULL)
    assert ran.returncode != 0
    assert "gone on" not in ran.stdout


def test_a_notebook_is_asked_through_its_own_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook replaces `input`; its standard input is no terminal."""
    lines = iter(["grad", "continue"])
    monkeypatch.setattr("builtins.input", lambda prompt="": next(lines))
    monkeypatch.setattr("sys.stdin", None)
    monkeypatch.setenv("MINIGRAD_HISTORY", "")
    graph, w = chain()
    out = io.StringIO()
    mg.debug(graph, stdout=out)
    assert "dh: () float32, norm 1" in out.getvalue()
    assert w.grad is not None


def test_a_notebook_that_cannot_ask_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    class StdinNotImplementedError(NotImplementedError):
        pass

    def refuse(prompt: str = "") -> str:
        raise StdinNotImplementedError(
            "raw_input was called, but this frontend does not support it"
        )

    monkeypatch.setattr("builtins.input", refuse)
    monkeypatch.setenv("MINIGRAD_HISTORY", "")
    graph, w = chain()
    with pytest.raises(SystemExit, match="no commands can be read here"):
        mg.debug(graph, stdout=io.StringIO())
    assert w.grad is None


def test_it_works_without_graphviz(tmp_path: Path) -> None:
    text = (
        "import sys\nsys.modules['graphviz'] = None\nimport numpy as np, minigrad as mg\n"
        "w = mg.tensor(0.5, requires_grad=True, name='w')\nmg.debug(np.tanh(w * 1.0))\n"
        "print('dw', w.grad)\n"
    )
    ran = run(tmp_path, text, input="where\ncheckup\ncontinue\n")
    assert ran.returncode == 0, ran.stderr
    assert "dw tensor(0.786448)" in ran.stdout


def test_output_that_is_cut_off_ends_the_program(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(LOOP)
    command = f"yes where | {sys.executable} program.py | head -2"
    ran = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True,
        timeout=60, preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL),
    )  # fmt: skip
    assert len(ran.stdout.splitlines()) == 2
