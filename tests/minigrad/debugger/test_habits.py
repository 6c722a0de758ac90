"""What people are used to from pdb, gdb and rr."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.debugger import Debugger
from tests.minigrad.debugger.dialogue import chain, said, talk


def debugged(*commands: str, graph: mg.Graph | None = None, at: tuple[str, ...] = ()) -> str:
    out = io.StringIO()
    mg.debug(graph or chain()[0], *at, commands=[*commands, "leave"], stdout=out)
    return out.getvalue()


def train(rate: float) -> str:
    graph, secret = chain()[0], "of train"
    text = step(graph)
    assert secret, rate
    return text


def step(graph: mg.Graph) -> str:
    out, inner = io.StringIO(), "of step"
    lines = ["inner", "up", "secret", "rate * 2", "bt", "down", "inner", "down", "up 99", "leave"]
    mg.debug(graph, commands=lines, stdout=out)
    return out.getvalue() + inner[:0]


def test_up_and_down_lead_through_the_frames_of_the_program() -> None:
    text = train(0.25)
    assert said(text, "inner") == "'of step'"
    assert "test_habits.py:" in said(text, "up")
    assert said(text, "up").endswith("-> text = step(graph)")
    assert said(text, "secret") == "'of train'"
    assert said(text, "rate * 2") == "0.5"
    trace = said(text, "bt")
    assert trace.index("train") < trace.index(" step\n")
    assert ">" in trace
    assert said(text, "down").endswith("stdout=out)")
    assert text.count("'of step'") == 2
    assert "there is no frame below this one" in text
    assert said(text, "up 99") == "there is no frame above this one"


def test_breakpoints_are_disabled_enabled_ignored_and_changed() -> None:
    text = debugged(
        *("break op == tanh", "disable 1", "continue", "leave"),
        at=("t == 2",),
    )
    assert said(text, "break op == tanh") == "2: op == tanh"
    assert said(text, "disable 1") == "1: t == 2   disabled   hit 1 times"
    assert "stop: op == tanh" in said(text, "continue")
    text = debugged(
        *("break op == multiply", "ignore 1 2", "continue", "condition 1 t == 0", "continue"),
        *("disable", "enable 1", "delete 7", "ignore 1 x", "condition 9 t == 1"),
    )
    assert said(text, "ignore 1 2") == "1: op == multiply   ignored 2 times more"
    assert "at t = 1" in said(text, "continue")
    assert said(text, "condition 1 t == 0").startswith("1: t == 0   hit 3 times")
    assert "stop: t == 0: |dh| = 0.117 at t = 0" in text
    assert said(text, "disable").startswith("1: t == 0   disabled")
    assert said(text, "enable 1").startswith("1: t == 0   hit")
    assert said(text, "delete 7") == "there is no breakpoint 7; there are: 1"
    assert said(text, "ignore 1 x") == "ignore N COUNT: a count is needed, found 'x'"
    assert said(text, "condition 9 t == 1").startswith("there is no breakpoint 9")


def test_commands_run_by_themselves_where_a_breakpoint_stops() -> None:
    text = debugged(
        "break op == tanh and t < 3", "commands 1 p t * 100; continue", "break", "continue"
    )
    assert said(text, "break") == "1: op == tanh and t < 3   then: p t * 100; continue"
    assert [line for line in text.splitlines() if line in ("200", "100", "0")] == [
        "200",
        "100",
        "0",
    ]
    text = talk(
        chain()[0], "break t == 1", "commands 1", "p t + 41", "end", "continue", "break", "quit"
    )
    assert "(com) p t + 41" in text
    assert text.splitlines()[-7:-5] != []
    assert "\n42\n" in text


def test_conditions_stop_once_in_a_pass_a_step_or_at_each_node() -> None:
    def stops(condition: str) -> int:
        return talk(chain()[0], *["continue"] * 20, at=(condition,)).count("stop: ")

    assert stops("pass == 1") == 1
    assert stops("t == 2") == 1
    assert stops("t >= 1") == 3
    assert stops("norm > 0.1") == 4
    assert stops("op == tanh") == 4
    assert stops("h[2] or a[2]") == 2
    assert stops("pass == 1 and t == 3") == 1


def test_reverse_continue_goes_to_the_last_stop_before_here() -> None:
    text = talk(
        chain()[0],
        *("goto t=0", "break op == tanh", "reverse-continue", "rc", "continue", "delete", "step 2"),
        *("rc", "goto 0", "rc", "quit"),
    )
    assert said(text, "reverse-continue") == "t=1  h = np.tanh(a)   dh 0.246"
    assert said(text, "rc") == "t=2  h = np.tanh(a)   dh 0.4984"
    assert "stop: op == tanh: |dh| = 0.246 at t = 1" in said(text, "continue")


def test_display_shows_values_at_each_stop_until_it_is_undone() -> None:
    text = debugged("display t * 10", "step", "display grad", "undisplay t * 10", "step", "display")
    assert said(text, "step") == "t=3  a = w * h   da 0.9968\n  t * 10: 30"
    assert "t * 10" not in said(text, "display")
    assert "x is not displayed" in debugged("undisplay x")


def test_source_runs_a_file_of_commands_or_prints_an_object(tmp_path: Path) -> None:
    script = tmp_path / "look.txt"
    script.write_text("# where we are\nstep 2; p t  # two on\nundo\n")
    text = debugged(f"source {script}", "source chain", "source np.pi")
    assert "(bptt) step 2" in text
    assert said(text, "p t") == "2"
    assert said(text, "source chain").startswith("def chain(steps: int = 4)")
    assert "Error" in said(text, "source np.pi")


def test_pp_prints_over_several_lines() -> None:
    text = debugged("pp {k: 'x' * 30 for k in range(4)}")
    assert len(said(text, "pp {k: 'x' * 30 for k in range(4)}").splitlines()) == 4


def test_a_stop_is_saved_as_a_script_that_needs_numpy_only(tmp_path: Path) -> None:
    mg.seed(0)
    net = nn.GRU(2, 3)
    y, _ = net(np.ones((4, 2, 2)))
    path = tmp_path / "repro.py"
    out = io.StringIO()
    lines = ["until t == 2", f"save {path}", "save repro.txt", "continue"]
    mg.debug((y[-1] ** 2).mean(), commands=lines, stdout=out)
    assert said(out.getvalue(), f"save {path}").startswith(f"written: {path}")
    assert "a name that ends in .py is needed" in said(out.getvalue(), "save repro.txt")
    assert path.read_text().startswith("# Written by the debugger, which stood at:  t=2  h = ")
    ran = subprocess.run([sys.executable, "-I", path], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    printed = ran.stdout.partition("l0.b_hn [")[2].partition("]")[0]
    np.testing.assert_allclose(np.array(printed.split(), float), net.l0.b_hn.grad.data, rtol=1e-5)


def test_a_name_without_a_step_is_that_of_the_step_where_one_stands() -> None:
    text = debugged("goto t=1", "value a", "grad a", "value h[3]")
    assert said(text, "value a").startswith("a[1]: ()")
    assert said(text, "value h[3]").startswith("h[3]: ()")


def test_names_mean_the_layer_where_one_stands_and_ambiguity_is_asked() -> None:
    mg.seed(0)
    y, _ = nn.LSTM(2, 4, num_layers=2)(np.ones((5, 2, 2)))
    graph = mg.Graph((y**2).mean())
    text = debugged(
        *(
            "until h[2]",
            "until l1:h[2]",
            "value h[2]",
            "value l0:h[2]",
            "goto l0:c[3]",
            "value h[2]",
        ),
        *("until h[2]", "goto nosuch:h[2]"),
        graph=graph,
    )
    asked = "h[2] is in several layers: which one?  l1:h[2], l0:h[2]"
    assert said(text, "until h[2]") == asked
    assert said(text, "until l1:h[2]").startswith("t=2 of l1  h = ")
    layers = {node.scope: node for node in graph.find(t=2) if node.role and node.role.name == "h"}
    sizes = {scope: f"norm {np.linalg.norm(node.data):.4g}" for scope, node in layers.items()}
    values = [part.splitlines()[0] for part in text.split(") value h[2]\n")[1:]]
    assert sizes["LSTM.l1"] in values[0]
    assert sizes["LSTM.l0"] in values[1]
    assert sizes["LSTM.l0"] in said(text, "value l0:h[2]")
    assert "nothing in this pass has layer nosuch" in text


def test_layers_of_one_loop_are_told_apart_by_their_scopes() -> None:
    mg.seed(0)
    net = nn.Unroll(nn.Stacked([nn.RNNCell(2, 2), nn.RNNCell(2, 2)]))
    y, _ = net(np.ones((4, 1, 2)))
    text = debugged("until h[2]", "until l0:h[2]", "step", graph=mg.Graph((y**2).mean()))
    assert said(text, "until h[2]").startswith("h[2] is in several layers")
    assert said(text, "until l0:h[2]").startswith("t=2 of l0  h = ")


def test_a_step_of_an_inner_loop_is_named_by_its_axis() -> None:
    w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
    for t in range(3):
        with mg.time_step(t):
            for k in range(2):
                with mg.time_step(k, "rk4"):
                    h = np.tanh(w * h)
    graph = mg.Graph(h)
    text = debugged("until t == 1", "until rk4 == 0", "break rk4x == 1", graph=graph)
    assert said(text, "until t == 1").startswith("t=1 rk4=1")
    assert said(text, "until rk4 == 0").startswith("t=1 rk4=0")
    assert said(text, "break rk4x == 1").startswith("nothing in this pass has axis rk4x")
    stops = talk(graph, *["continue"] * 9, at=("rk4 == 1",))
    assert stops.count("stop: rk4 == 1") == 3


def test_arrays_of_the_program_bear_its_names() -> None:
    w = mg.tensor(np.ones((2, 2)), requires_grad=True, name="w")
    batch = {"x": np.ones((3, 2)), "mask": np.array([1.0, 0.0, 1.0])[:, None]}
    offsets = np.full((3, 2), 2.0)
    y = (np.tanh(batch["x"] @ w) * batch["mask"] + offsets).sum()
    text = debugged("until op == multiply", "inputs", "value offsets", graph=mg.Graph(y))
    assert "batch['mask']" in said(text, "inputs")
    assert said(text, "value offsets").startswith("offsets: (3, 2) float64")


def test_attributes_are_completed() -> None:
    graph, found = chain()[0], []

    class Person(io.StringIO):
        def readline(self, *_: object) -> str:
            found.append(debugger.completenames("np.linalg.no"))
            found.append(debugger.completenames("contr"))
            found.append(debugger.completenames("fract"))
            return "leave\n"

    debugger = Debugger(stdin=Person(), stdout=io.StringIO())
    with debugger:
        graph.backward()
    assert "np.linalg.norm(" in found[0]
    assert found[1] == ["contributions"]
    assert found[2] == ["fraction"]


@pytest.mark.parametrize("word", ["list", "restart", "tbreak", "watch"])
def test_what_others_carry_is_gone(word: str) -> None:
    from minigrad.debugger.prompt import COMMANDS

    assert word not in COMMANDS
