from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pexpect
import pytest

import minigrad
import nn

ROOT = Path(minigrad.__file__).parents[1]
TRAIN = """\
import sys
import numpy as np
import minigrad as mg

w = mg.tensor(0.5, requires_grad=True, name="w")
for epoch in range(3):
    h = mg.tensor(1.0)
    for t in range(4):
        with mg.time_step(t):
            a = w * h
            h = np.tanh(a)
    loss = (h - 1) ** 2
    loss.backward()
    print("epoch", epoch, "grad", f"{w.grad.item():.4f}", *sys.argv[1:])
    w.grad = None
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text(TRAIN)
    return path


def debug(
    program: Path, *options: str, lines: str = "", arguments: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "minigrad.debugger", *options, program.name, *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        command,
        input=lines,
        capture_output=True,
        text=True,
        cwd=program.parent,
        env=environment,
        timeout=60,
    )


def test_it_stops_at_the_first_backward_pass_and_leaves_the_program_as_it_is(program: Path) -> None:
    ran = debug(program, lines="where\ncontinue\n", arguments=("--verbose", "1"))
    plain = subprocess.run(
        [sys.executable, program, "--verbose", "1"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    said = ran.stdout.splitlines()
    assert said[0] == "backward pass 1 from train.py:13, loss 0.8903, T = 4, 14 nodes"
    assert [line for line in said if line.startswith("epoch")] == plain.stdout.splitlines()
    assert ran.returncode == 0
    assert ran.stderr == ""


def test_breakpoints_and_commands_of_the_command_line(program: Path) -> None:
    ran = debug(program, "-b", "pass == 2 and t == 1", "-b", "h[0]", "-c", "grad; delete; continue")
    assert "epoch 0" not in ran.stdout.partition("backward pass 1")[0]
    assert "stop: h[0]: |dh| = " in ran.stdout
    assert "deleted 1: pass == 2 and t == 1" in ran.stdout
    assert "backward pass 2" not in ran.stdout


def test_options_may_stand_behind_the_program(program: Path) -> None:
    ran = debug(
        program,
        arguments=("-b", "pass == 2 and t == 1", "--fast", "-c", "continue", "--", "-b", "mine"),
        lines="c\n" * 9,
    )
    assert "(bptt 2) continue" in ran.stdout
    assert "--fast -b mine" in ran.stdout
    assert debug(program, arguments=("-b",)).returncode == 2


def test_a_breakpoint_that_is_never_hit_is_told(program: Path) -> None:
    ran = debug(program, "-b", "norm > 1e9")
    assert (
        ran.stdout.splitlines()[-1]
        == "train.py finished: 3 backward passes, and no breakpoint was hit"
    )


def test_a_breakpoint_on_what_is_not_there_offers_the_nearest(program: Path) -> None:
    ran = debug(program, "-b", "op == tahn")
    assert (
        "breakpoint 1, op == tahn: nothing in this pass has op tahn; did you mean tanh?"
        in ran.stdout
    )
    assert ran.stdout.count("did you mean") == 1


def test_quit_ends_the_program(program: Path) -> None:
    ran = debug(program, lines="step 3\nquit\n")
    assert "epoch" not in ran.stdout
    assert "quit: nothing is written" in ran.stdout
    assert ran.returncode == 1


def test_closed_input_is_told_and_is_no_traceback(program: Path) -> None:
    for ran in (debug(program), debug(program, lines="step")):
        assert ran.stdout.splitlines()[-2:] == ["end of input", "quit: nothing is written"]
        assert ran.stderr == ""
        assert ran.returncode == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-b", "nrm > 3"], "unknown field 'nrm'; did you mean norm?"),
        (["-b", "norm >"], "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_program_runs(
    program: Path, options: list[str], message: str
) -> None:
    ran = debug(program, *options)
    assert message in ran.stderr
    assert ran.returncode == 2
    assert ran.stdout == ""


def test_a_missing_program(tmp_path: Path) -> None:
    ran = debug(tmp_path / "absent.py")
    assert "there is no file absent.py" in ran.stderr
    assert ran.returncode == 2


def test_the_errors_and_the_exit_status_of_the_program_are_its_own(program: Path) -> None:
    program.write_text("def f():\n    raise KeyError('mine')\nf()\n")
    ran = debug(program)
    assert ran.returncode == 1
    assert "KeyError: 'mine'" in ran.stderr
    assert "runpy" not in ran.stderr
    assert "debugger" not in ran.stderr
    program.write_text("import sys; sys.exit(7)\n")
    assert debug(program).returncode == 7


def test_post_mortem(program: Path) -> None:
    program.write_text(
        TRAIN.replace("h = np.tanh(a)", "h = odd(a)").replace(
            "w = mg",
            "@mg.primitive\ndef odd(x):\n    return x * 1\n\n\n@odd.gradient\ndef odd_dx(dy, y, x):\n"
            "    return dy / y if y > 0.4 else dy[1]\n\n\nw = mg",
            1,
        )
    )
    ran = debug(program, "-b", "t == 99", lines="where\nrule\nundo\ncontinue\n")
    assert "IndexError: too many indices for array" in ran.stdout
    assert "stop: the pass failed after t = 3, state h:   h = odd(a)" in ran.stdout
    assert "def odd_dx(dy, y, x):" in ran.stdout
    assert ran.returncode == 1
    assert ran.stderr.rstrip().splitlines()[-1].strip().startswith("train.py:")


def test_nan_in_the_forward_pass(program: Path) -> None:
    program.write_text(
        TRAIN.replace("h = np.tanh(a)", "h = np.sqrt(a - 0.2) if t == 2 else np.tanh(a)")
    )
    ran = debug(program, "-b", "nonfinite", lines="value\nquit\n")
    assert (
        "stop: NaN was born in the forward pass at t = 2, state h:   h = np.sqrt(a - 0.2)"
        in ran.stdout
    )


def test_a_module_as_the_program(program: Path) -> None:
    command = [sys.executable, "-m", "minigrad.debugger", "-m", "-c", "continue", "train", "--fast"]
    ran = subprocess.run(
        command, capture_output=True, text=True, cwd=program.parent, env={"PYTHONPATH": str(ROOT)}
    )
    assert "backward pass 1 from train.py:13" in ran.stdout
    assert ran.stdout.count("--fast") == 3


# a person at a terminal


def heed_interrupts() -> None:
    """Also where the tests themselves run in the background, which ignores Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def terminal(program: Path):
    child = pexpect.spawn(
        sys.executable,
        ["-m", "minigrad.debugger", program.name],
        cwd=program.parent,
        env={
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm",
            "PATH": "/usr/bin:/bin",
            "MINIGRAD_HISTORY": str(program.parent / "typed"),
        },
        encoding="utf-8",
        timeout=20,
        dimensions=(40, 200),
        preexec_fn=heed_interrupts,
    )
    yield child
    child.close(force=True)


def test_a_person_types_completes_repeats_and_goes_on(
    terminal: pexpect.spawn, program: Path
) -> None:
    terminal.expect(r"backward pass 1 from train.py:13")
    terminal.expect(r"\(bptt\) ")
    terminal.sendline("step 3")
    terminal.expect(r"t=3  a = w \* h")
    terminal.expect(r"\(bptt\) ")
    terminal.sendline("step")
    terminal.expect(r"t=2  h = np\.tanh\(a\)")
    terminal.sendline("")  # the last command once more
    terminal.expect(r"t=2  a = w \* h")
    terminal.send("contr\t")
    terminal.expect("contributions")
    terminal.sendline("")
    terminal.expect(r"da at t=2 = ")
    terminal.sendline("\x1b[A\x1b[A")  # two up in the history: step
    terminal.expect(r"t=1  h = np\.tanh\(a\)")
    terminal.sendline("until h[\t")
    terminal.expect(r"\(bptt\) ")
    terminal.sendline("break h[0]; continue")
    terminal.expect("\x1b\\[1mstop: .*t = 0")  # bold, on a terminal
    terminal.expect(r"\(bptt\) ")
    terminal.sendline("into")
    terminal.expect(r"\(Pdb\) ")
    terminal.sendline("p dy.shape")
    terminal.expect(r"\(\)")
    terminal.sendline("c")
    terminal.expect(r"\(bptt\) ")
    terminal.sendline("delete; until pass == 3")
    terminal.expect("epoch 1")
    terminal.expect(r"\(bptt 3\) ")
    terminal.sendline("continue")
    terminal.expect("epoch 2")
    terminal.expect(pexpect.EOF)
    typed = (program.parent / "typed").read_text().splitlines()
    assert typed[0] == "step 3"
    assert typed[-1] == "continue"


def test_interrupts_and_the_end_of_input_are_no_tracebacks(terminal: pexpect.spawn) -> None:
    terminal.expect(r"\(bptt\) ")
    time.sleep(0.3)  # nobody is faster than readline needs to wait for a key
    terminal.sendintr()
    terminal.expect("interrupted")
    terminal.expect(r"\(bptt\) ")
    terminal.sendeof()
    terminal.expect("quit: nothing is written")
    terminal.expect(pexpect.EOF)
    assert "Traceback" not in terminal.before


def test_plain_pdb_sees_the_rule_the_node_and_the_loop(tmp_path: Path) -> None:
    program = tmp_path / "plain.py"
    program.write_text(
        "import numpy as np\nimport minigrad as mg\n\n\n@mg.primitive\ndef double(x):\n    return x * 2\n\n\n"
        "@double.gradient\ndef double_dx(dy, y, x):\n    breakpoint()\n    dx = dy * 2\n    return dx\n\n\n"
        'w = mg.tensor(np.ones((300, 4)), requires_grad=True, name="w")\nwith mg.time_step(5):\n    h = double(w)\n'
        "for step in mg.Graph(h.sum()).backward_steps():\n    pass\n"
    )
    lines = "p dy.shape, x.shape\nn\np dx.shape\nup\np node\nup\nup\np step\nup\np step.t\nc\n"
    ran = subprocess.run(
        [sys.executable, program.name], input=lines, capture_output=True, text=True, cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)}, timeout=60,
    )  # fmt: skip
    assert "((300, 4), (300, 4))" in ran.stdout
    assert "tensor(shape=(300, 4), norm=69.28, dtype=float64, op=double)" in ran.stdout
    assert (
        "t=5  h = double(w)   dh |34.64|" in ran.stdout
    )  # a step says where it is without running its rule again
    assert ran.stdout.rstrip().endswith("(Pdb)")
    assert max(map(len, ran.stdout.splitlines())) < 200
    assert ran.returncode == 0


def test_after_the_program_only_b_and_c_are_the_debuggers(program: Path) -> None:
    ran = debug(program, arguments=("--help", "-bs", "32", "-model", "x", "-m", "-c", "continue"))
    assert "--help -bs 32 -model x -m\n" in ran.stdout
    assert ran.returncode == 0


def test_the_traceback_of_a_program_has_all_its_frames(program: Path) -> None:
    program.write_text(
        "def f():\n    return g()\ndef g():\n    raise KeyError('mine')\nif __name__ == '__main__':\n    f()\n"
    )
    ran = debug(program)
    plain = subprocess.run(
        [sys.executable, program.name], capture_output=True, text=True, cwd=program.parent
    )
    places = [line.split(", ")[1:] for line in plain.stderr.splitlines() if "File" in line]
    assert [line.split(", ")[1:] for line in ran.stderr.splitlines() if "File" in line] == places
    missing = subprocess.run(
        [sys.executable, "-m", "minigrad.debugger", "-m", "nope"], capture_output=True, text=True,
        cwd=program.parent, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert missing.stderr == "ImportError: No module named nope\n"


SLOW = """\
import time
import numpy as np
import minigrad as mg


@mg.primitive
def slow(x):
    return x * 1


@slow.gradient
def slow_dx(dy, y, x):
    time.sleep(0.05)
    return dy


w = mg.tensor(0.5, requires_grad=True, name="w")
for epoch in range(3):
    h = w
    for t in range(40):
        with mg.time_step(t):
            h = slow(h)
    print("epoch", epoch, flush=True)
    h.backward()
    w.grad = None
    time.sleep(0.5)
"""


@pytest.mark.slow
def test_an_interrupt_stops_a_pass_where_it_is_and_the_next_one_between_passes(
    program: Path,
) -> None:
    program.write_text(SLOW)
    child = pexpect.spawn(
        sys.executable, ["-m", "minigrad.debugger", program.name], cwd=program.parent,
        env={"PYTHONPATH": str(ROOT), "TERM": "xterm", "NO_COLOR": "1", "MINIGRAD_HISTORY": ""},
        encoding="utf-8", timeout=20, preexec_fn=heed_interrupts,
    )  # fmt: skip
    try:
        child.expect(r"\(bptt\) ")
        child.sendline("continue")
        time.sleep(0.5)
        child.sendintr()
        child.expect(r"interrupted at t = \d+, state h:   h = slow\(h\)")
        child.expect(r"\(bptt\) ")
        child.sendline("step")
        child.expect(r"t=\d+  h = slow\(h\)")
        child.sendline("continue")
        child.expect("finished after 40 steps")
        time.sleep(0.2)
        child.sendintr()
        child.expect("the next backward pass stops at its first step")
        child.expect(r"\(bptt 2\) ")
        child.sendline("goto t=0")
        time.sleep(0.3)
        child.sendintr()
        child.expect(r"interrupted at t = \d+")
        child.expect(r"\(bptt 2\) ")
        child.sendline("quit")
        child.expect(pexpect.EOF)
        assert "Traceback" not in child.before
    finally:
        child.close(force=True)


def test_replay_of_a_torch_job_needs_only_its_arrays(tmp_path: Path) -> None:
    """The replayed network is that of the job: same layout, two biases summed."""
    rng = np.random.default_rng(0)
    shapes = {
        "weight_ih_l0": (16, 3),
        "weight_hh_l0": (16, 4),
        "bias_ih_l0": (16,),
        "bias_hh_l0": (16,),
    }
    arrays = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    np.savez(
        tmp_path / "bad.npz",
        x=rng.standard_normal((5, 2, 3)),
        y=rng.standard_normal((2, 4)),
        **arrays,
    )
    bad, net = np.load(tmp_path / "bad.npz"), nn.LSTM(3, 4)
    nn.load_torch_state_dict(net, {k: bad[k] for k in bad if k not in "xy"})
    y, _ = net(bad["x"])
    x, h, c = bad["x"].astype(np.float32), np.zeros((2, 4)), np.zeros((2, 4))
    for x_t in x:  # the equations of torch.nn.LSTM
        a = (
            x_t @ bad["weight_ih_l0"].T
            + bad["bias_ih_l0"]
            + h @ bad["weight_hh_l0"].T
            + bad["bias_hh_l0"]
        )
        i, f, g, o = np.split(a, 4, axis=1)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
    np.testing.assert_allclose(y[-1].data, h, rtol=1e-4)


def test_breakpoints_may_stand_behind_the_program_and_the_rest_is_its_own(program: Path) -> None:
    ran = debug(
        program,
        lines="continue\n",
        arguments=("data", "-b", "pass == 2 and t == 1", "--lr", "3", "--", "-b"),
    )
    assert ran.returncode == 0, ran.stderr
    assert "backward pass 2" in ran.stdout
    assert "backward pass 1" not in ran.stdout
    assert next(
        line.split()[4:] for line in ran.stdout.splitlines() if line.startswith("epoch")
    ) == [
        "data",
        "--lr",
        "3",
        "-b",
    ]
