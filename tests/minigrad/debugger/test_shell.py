from __future__ import annotations

import io
import re
import signal

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.debugger import Debugger
from minigrad.debugger.prompt import ALIASES, COMMANDS, split
from tests.minigrad.debugger.dialogue import chain, said, talk


def test_moving() -> None:
    graph, _ = chain()
    text = talk(
        graph,
        "step",
        "step 2",
        "undo",
        "earlier",
        "until h[1]",
        "goto t=3",
        "goto 5",
        "goto 0",
        "undo",
        "c",
    )
    assert said(text, "step") == "t=3  a = w * h   da 0.9968"
    assert said(text, "step 2") == "t=2  a = w * h   da 0.492"
    assert said(text, "undo") == "t=2  h = np.tanh(a)   dh 0.4984"
    assert said(text, "earlier") == "t=1  h = np.tanh(a)   dh 0.246"
    assert said(text, "until h[1]").startswith("h[1] is here")
    assert said(text, "goto t=3") == "t=3  h = np.tanh(a)   dh 1"
    assert said(text, "goto 5") == "t=1  a = w * h   da 0.2333"
    assert said(text, "goto 0") == "t=3  h = np.tanh(a)   dh 1"
    assert text.rstrip().endswith("finished after 8 steps")


def test_until_goes_to_nodes_and_conditions() -> None:
    graph, _ = chain()
    text = talk(graph, "until a[2]", "until norm < 0.12", "until t == 0", "continue")
    assert said(text, "until a[2]") == "t=2  a = w * h   da 0.492"
    assert said(text, "until norm < 0.12") == "t=0  h = np.tanh(a)   dh 0.1167"
    assert said(text, "until t == 0") == "t=0  a = w * h   da 0.09175"


def test_the_pass_that_is_stepped_is_the_pass_that_trains() -> None:
    mg.seed(3)
    net, x = nn.LSTM(3, 4), np.random.default_rng(0).standard_normal((5, 2, 3))
    loss = (net(x)[0] ** 2).mean()
    loss.backward()
    wanted = {name: p.grad.data for name, p in net.named_parameters()}
    net.zero_grad()
    talk(
        mg.Graph(loss),
        *["step"] * 30,
        "undo 4",
        "goto t=4",
        "earlier",
        "contributions",
        "flow",
        "inputs",
        "continue",
    )
    assert all(np.array_equal(p.grad.data, wanted[name]) for name, p in net.named_parameters())


@pytest.mark.parametrize("end", ["quit", ""])
def test_stopping_midway_writes_nothing(end: str) -> None:
    graph, w = chain()
    w.grad = 7.0
    text = talk(graph, "step 3", end)
    assert w.grad.item() == 7.0
    assert text.endswith("quit: nothing is written\n")
    graph.backward()  # and the graph is as it was
    assert w.grad.item() != 7.0


def test_past_the_end_one_stays_and_can_go_back() -> None:
    graph, w = chain()
    text = talk(graph, "step 100", "step", "grad", "undo", "step 3", "continue")
    assert said(text, "step 100").startswith("the pass is at its end")
    assert said(text, "step").startswith("the pass is over: there is no next step")
    assert said(text, "grad").startswith("no step is here")
    assert said(text, "undo") == "t=0  a = w * h   da 0.09175"
    assert w.grad is not None


def test_retained_gradients_are_those_of_the_pass_that_was_finished() -> None:
    graph, _ = chain()
    nodes = {node.t: node for node in graph.find(name="h")}
    out = io.StringIO()
    lines = io.StringIO("step 6\ncut t=3\ngoto t=1\nundo 2\ncontinue\n")
    with Debugger(stdin=lines, stdout=out):
        graph.backward(retain_grads=True)
    assert nodes[3].grad.item() == 1
    assert "edited: cut t=3" in out.getvalue()


def test_a_changed_gradient_is_marked_and_used() -> None:
    graph, w = chain()
    graph.backward()
    whole = w.grad.item()
    w.grad = None
    text = talk(graph, "step 2", "change grad * 0", "undo", "step", "continue")
    assert (
        said(text, "change grad * 0") == "changed: t=2  h = np.tanh(a)   dh 0   (changed by hand)"
    )
    assert "(bptt*) undo" in text
    assert said(text, "step") == "t=2  h = np.tanh(a)   dh 0   (changed by hand)"
    assert "1 of them changed by hand" in text
    assert 0 < w.grad.item() < whole
    w.grad = None
    talk(graph, "step 2", "!step.grad = step.grad * 0", "change off", "continue")
    assert w.grad.item() == whole


def test_clip_and_cut_are_the_edits_of_the_graph() -> None:
    graph, w = chain()
    for command, edited in (
        ("clip max_norm=0.01", graph.clip_edges(max_norm=0.01)),
        ("cut t=2", graph.cut(t=2)),
    ):
        w.grad = None
        edited.backward()
        wanted, w.grad = w.grad.item(), None
        text = talk(graph, "step 4", f"{command}; continue")
        assert w.grad.item() == wanted
        assert f"edited: {command}" in text
    assert "max |dh| = 1.00; 1 of 3 crossings clipped" in talk(graph, "clip 0.4", "continue")
    assert "no edits" in talk(graph, "clip 0.4", "clip off", "continue")


def test_looking() -> None:
    graph, _ = chain()
    commands = [
        "goto h[2]",
        "where",
        "rule",
        "inputs",
        "contributions",
        "pending",
        "value",
        "grad",
        "check",
        "flow",
    ]
    text = talk(graph, *commands, "contributions h[3]", "grad w", "grad h[3]", "value a[0]", "quit")
    where = said(text, "where").splitlines()
    assert where[1].strip() == "h = np.tanh(a)"
    assert where[1][where[2].index("^") : where[2].rindex("^") + 1] == "np.tanh(a)"
    assert where[3] == "t = 2 of axis time, scope (none), step 2 of the pass"
    assert "def tanh_dx(dy, y, x):" in said(text, "rule")
    assert said(text, "inputs") == "a[2]: (), norm 0.1135   gets da[2] 0.492"
    assert said(text, "contributions") == "dh at t=2 = 0.4984 = 0.4984 from w * h (t=3)"
    assert said(text, "pending") == "dw 0.1127   parameter"
    assert said(text, "value").startswith("h[2]: () float32, norm 0.113")
    assert said(text, "grad").startswith("dh: () float32, norm 0.4984")
    assert said(text, "check") == "rule tanh_dx agrees with finite differences to 1e-05"
    assert said(text, "flow") == "dh   t=3 1 █▁ t=2 0.498   ×0.489 a step: vanishing"
    assert said(text, "contributions h[3]") == "dh at t=3 = 1 from the start of the pass"
    assert said(text, "grad w").startswith("dw, so far: () float32, norm 0.1127")
    assert said(text, "grad h[3]") == "dh[3] has been used; goto dh[3] goes back to it"
    assert said(text, "value a[0]").startswith("a[0]: () float32, norm 0.5")


def test_flow_names_where_a_gradient_dies_as_soon_as_it_is_asked() -> None:
    w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
    for t in range(4):
        with mg.time_step(t):
            h = mg.relu(w * h - (3.0 if t == 2 else 0.0))
    text = talk(mg.Graph((h - 2.0) ** 2), "until h[3]", "flow", "quit")
    assert "the gradient dies at t = 3 of axis time in relu: h = " in said(text, "flow")
    assert "test_shell.py" in said(text, "flow")


def test_contributions_name_every_user() -> None:
    w, x = mg.tensor(2.0, requires_grad=True, name="w"), mg.tensor(3.0)
    a = w * x
    b = a * a
    c = b + a
    text = talk(mg.Graph(c), "until a", "contributions", "quit")
    assert said(text, "contributions") == "da = 13 = 1 from b + a  +  6 from a * a  +  6 from a * a"


def test_a_rule_that_is_wrong_is_found() -> None:
    @mg.primitive
    def cube(x):
        return x**3

    @cube.gradient
    def cube_dx(dy, y, x):
        return dy * 2 * x**2

    y = cube(mg.tensor([1.0, 2.0], requires_grad=True))
    text = talk(mg.Graph(y.sum()), "until op == cube", "check", "quit")
    assert said(text, "check").startswith("rule cube_dx DISAGREES with finite differences")


def test_breakpoints_are_listed_deleted_and_hit_once() -> None:
    graph, _ = chain()
    text = talk(
        graph,
        "break op == tanh and t < 3",
        "break",
        "until a[2]",
        "c",
        "c",
        "delete 1",
        "break",
        "c",
    )
    assert said(text, "break").splitlines() == ["1: op == tanh and t < 3"]
    stops = re.findall(r"^stop: .* at t = (\d)", text, re.M)
    assert stops == ["2", "1", "0"]
    assert "deleted 1: op == tanh and t < 3   hit 3 times" in text
    assert "no breakpoints" in text


def test_a_condition_that_raises_stops_and_is_shown() -> None:
    text = talk(chain()[0], "continue", "quit", at=("1 / t > 2",))
    assert "stop: condition '1 / t > 2' raised ZeroDivisionError: division by zero at t = 0" in text


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("stpe", "stpe: neither a command nor a name here; did you mean step?"),
        ("until hh[1]", "nothing in this pass has name hh; did you mean h?"),
        ("until h[9]", "nothing in this pass has t 9; there are: 0 to 3"),
        ("goto t=9", "nothing in this pass has t 9; there are: 0 to 3"),
        ("goto", "goto NODE, CONDITION or number of a step?  for example: goto t=3"),
        ("break op == tann", "nothing in this pass has op tann; did you mean tanh?"),
        ("break nrm > 3", "condition 'nrm > 3': unknown field 'nrm'; did you mean norm?"),
        ("break norm >", "condition 'norm >' cannot be read"),
        ("delete 4", "there is no breakpoint 4; there are: none"),
        ("step x", "a number of steps above 0 is needed, found 'x'"),
        ("undo", "the pass begins at step 0, 0 steps back from here"),
        ("clip", "clip max_norm=N or max_value=N?  for example: clip max_norm=1"),
        ("cut t=9", "no state comes into t = 9"),
        ("cut here", "NameError: name 'here' is not defined"),
        ("change", "change EXPRESSION?  for example: change grad * 0.1"),
        ("change np.zeros(3)", "ValueError: a gradient of shape () is needed, found (3,)"),
        ("change nan_", "NameError: name 'nan_' is not defined"),
        ("help brek", "there is no command 'brek'; did you mean break?"),
        ("display 1 +", "SyntaxError"),
        ("!1 / 0", "ZeroDivisionError: division by zero"),
        ("clip max_norm=-1", "ValueError: max_norm: a number"),
    ],
)
def test_mistakes_are_answered_and_change_nothing(line: str, answer: str) -> None:
    graph, w = chain()
    text = talk(graph, line, "continue")
    assert said(text, line).startswith(answer)
    graph.backward()
    assert w.grad.item() == pytest.approx(2 * 0.5 * w.grad.item())


def test_python_sees_the_step_and_the_variables_of_the_program() -> None:
    graph, w = chain()
    grad, other = "mine", "theirs"
    out, lines = (
        io.StringIO(),
        [
            "!grad",
            "other",
            "print w.item()",
            "dh",
            "!z = 3",
            "z + t",
            "graph",
            "[g for g in range(t)]",
            "leave",
        ],
    )
    mg.debug(graph, commands=lines, stdin=io.StringIO(), stdout=out)
    text = out.getvalue()
    assert said(text, "!grad") == "'mine'"  # the program's, whatever the debugger calls so
    assert said(text, "other") == "'theirs'" == repr(other)
    assert grad == "mine"
    assert said(text, "print w.item()") == "0.5"
    assert said(text, "dh") == "array(1., dtype=float32)"
    assert said(text, "z + t") == "6"
    assert said(text, "graph").startswith("Graph: 4 time steps")
    assert said(text, "[g for g in range(t)]") == "[0, 1, 2]"
    assert w.grad is None


def test_displayed_expressions_are_shown_at_every_stop() -> None:
    text = talk(chain()[0], "display t * 10", "step 2", "undisplay", "step", "quit")
    assert said(text, "step 2").splitlines()[1] == "  t * 10: 20"
    assert "t * 10" not in said(text, "step")


def test_help_has_an_example_for_each_command_and_the_example_works() -> None:
    graph, _ = chain()
    names = list(COMMANDS)
    assert set(ALIASES.values()) <= set(names)
    text = talk(graph, "help", *[f"help {name}" for name in names], "quit")
    overview = said(text, "help")
    for name in names:
        example = said(text, f"help {name}").splitlines()[-1]
        assert example.startswith(f"Example: {name}")
        assert example.removeprefix("Example: ") in overview
    assert "fraction < 1e-3" in said(text, "help break")


def test_draw_writes_the_neighbourhood(tmp_path) -> None:
    path = tmp_path / "here.svg"
    text = talk(chain(30)[0], "goto t=15", f"draw {path}", "quit")
    assert said(text, f"draw {path}") == f"written: {path}"
    assert "<svg" in path.read_text()


def test_into_is_pdb_in_the_rule_with_its_node_above() -> None:
    graph, w = chain()
    text = talk(graph, "step 2", "into", "p dy, y", "up", "c", "continue")
    inside = text.partition(") into\n")[2]
    assert "return dy * (1 - y * y)" in inside.splitlines()[1]
    assert "array(0.4984" in inside
    assert "t=2  h = np.tanh(a)   dh 0.4984" in inside.partition("rules()")[2]
    graph.backward()
    assert w.grad.item() == pytest.approx(2 * w.grad.item() / 2)


def test_nan_of_the_forward_pass_is_found_before_the_pass_begins() -> None:
    w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
    with np.errstate(invalid="ignore"):
        for t in range(4):
            with mg.time_step(t):
                a = w * h
                h = np.log(a - 0.2) if t == 2 else np.tanh(a)
    text = talk(mg.Graph(h), "where", "grad", "value", "inputs", "step", "quit", at=("nonfinite",))
    assert "stop: NaN was born in the forward pass at t = 2, state h:   h = np.log(a - 0.2)" in text
    assert said(text, "grad").startswith("dh[2]: nothing has arrived yet")
    assert said(text, "value").startswith("h[2]: () float32, norm nan, 1 of 1 not finite")
    assert (
        said(text, "step")
        == "stop: nonfinite: |dh| = 1 at t = 3, state h:   "
        + text.split("state h:   ")[2].split("\n")[0]
    )


def test_an_error_in_a_rule_stops_before_it_and_is_raised_on_going_on() -> None:
    @mg.primitive
    def brittle(x):
        return x * 1

    @brittle.gradient
    def brittle_dx(dy, y, x):
        return dy[5, 5]

    w = mg.tensor(1.0, requires_grad=True)
    y = brittle(w * 2)
    out = io.StringIO()
    with pytest.raises(IndexError):
        mg.debug(y, "t == 99", stdin=io.StringIO("inputs\nrule\ncontinue\n"), stdout=out)
    text = out.getvalue()
    assert "IndexError: too many indices" in text
    assert "stop: the pass failed after y = brittle(w * 2)" in text
    assert "def brittle_dx" in said(text, "rule")
    assert said(text, "inputs").startswith("IndexError")
    assert w.grad is None


def test_several_passes_are_counted_and_one_is_stopped_in() -> None:
    out, lines = io.StringIO(), io.StringIO("where\ncontinue\n")
    with Debugger(["pass == 3 and t == 1"], stdin=lines, stdout=out):
        for _ in range(4):
            chain(2)[0].backward()
    assert out.getvalue().count("backward pass") == 1
    assert "(bptt 3) where" in out.getvalue()


def test_an_interrupt_in_the_last_step_of_a_pass_stops_the_next_pass() -> None:
    calls = []

    @mg.primitive(once=True)
    def pressed(x):
        return x * 1

    @pressed.gradient
    def pressed_dx(dy, y, x):
        calls.append(y)
        if len(calls) == 1:
            signal.raise_signal(signal.SIGINT)
        return dy

    x, out = mg.tensor(3.0, requires_grad=True), io.StringIO()
    # A test runner in the background ignores interrupts, and the debugger would leave it so.
    outside = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Debugger(["norm > 1e9"], stdin=io.StringIO("where\ncontinue\n"), stdout=out):
            for _ in range(3):
                y = pressed(x)
                (y * y).backward()
    finally:
        signal.signal(signal.SIGINT, outside)
    assert len(calls) == 3
    assert out.getvalue().count("interrupted at") == 1
    assert "(bptt 2) where" in out.getvalue()


def test_outside_of_the_debugger_passes_are_plain_again() -> None:
    graph, w = chain()
    with mg.Breakpoint("norm > 1e9"):
        graph.backward()
    assert mg.backward.driver.get() is mg.backward.backward_steps
    talk(graph, "quit")
    assert mg.backward.driver.get() is mg.backward.backward_steps
    assert w.grad is not None


def test_mg_grad_is_walked_too() -> None:
    x, out = mg.tensor(3.0, requires_grad=True), io.StringIO()
    y = x * x
    with Debugger(stdin=io.StringIO("step 9\nundo\ncontinue\n"), stdout=out):
        assert mg.grad(y * y, [x, y])[1].item() == 18


def test_lines_are_split_at_semicolons_outside_of_brackets() -> None:
    assert split("clip max_norm=1; continue") == ["clip max_norm=1", "continue"]
    assert split("print 'a;b'; print [1, (2, 3)]") == ["print 'a;b'", "print [1, (2, 3)]"]
    assert split("!a = 1; b = 2") == ["!a = 1; b = 2"]
    assert split(" ; ") == []
