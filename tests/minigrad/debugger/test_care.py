"""What goes wrong at the prompt and around it: nothing is lost, nothing untrue is said."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.debugger import Debugger, Quit
from tests.minigrad.debugger.dialogue import chain, said, talk


def test_a_goal_that_never_comes_leaves_the_pass_where_it_stood() -> None:
    graph, w = chain()
    for line in ("until norm > 1e9", "goto 9999", "goto norm > 1e9"):
        text = talk(graph, "step 2", line, "where", "quit")
        assert said(text, line).startswith("that does not come in the rest of the pass")
        assert "step 2 of the pass" in said(text, "where")
    assert w.grad is None


def test_nothing_goes_on_from_the_end_but_continue() -> None:
    graph, w = chain()
    text = talk(graph, "step 99", "until h[1]", "goto 9999", "earlier", "step", "quit")
    assert said(text, "until h[1]").startswith("the pass is over")
    assert said(text, "goto 9999").startswith("the pass is over")
    assert "finished" not in text
    assert w.grad is None


def test_earlier_at_the_first_time_step_stays() -> None:
    text = talk(chain()[0], "goto t=0", "earlier", "where", "quit")
    assert said(text, "earlier").startswith("that does not come")
    assert "t = 0" in said(text, "where")


def test_two_axes_of_one_name_are_two() -> None:
    mg.seed(0)
    x = np.random.default_rng(0).standard_normal((4, 2, 3))
    _, state = nn.LSTM(3, 4)(x)
    y, _ = nn.LSTM(3, 4)(x[:3], state)
    graph = mg.Graph((y**2).mean())
    assert list(graph.axes) == ["l0", "l0_2"]
    text = talk(graph, "until axis == l0", "where", "flow", "cut", "quit")
    assert "of axis l0," in said(text, "where")
    flows = [line.split("   ")[0] for line in said(text, "flow").splitlines()]
    assert flows == ["dh of l0_2", "dc of l0_2", "dh of l0"]
    assert said(text, "cut").startswith("edited: cut t=3, axis='l0'")
    assert "of l0_2, state h" in talk(graph, "quit", at=("axis == l0_2 and name == h",))


def test_the_variables_of_the_program_are_never_hidden_and_those_of_the_step_never_lost() -> None:
    graph, _ = chain()
    h, grad, step = "the program's", 7.0, 42
    lines = [
        *("p h", "p grad", "p step", "bptt.grad", "bptt.h.t", "change grad / 7", "node.t"),
        *("!h = 5", "h", "leave"),
    ]
    mg.debug(graph, commands=lines, stdout=(out := io.StringIO()))
    text = out.getvalue()
    assert said(text, "p h") == '"the program\'s"'
    assert said(text, "p grad") == "7.0"
    assert said(text, "p step") == "42"
    assert said(text, "bptt.grad") == "array(1., dtype=float32)"
    assert said(text, "bptt.h.t") == "3"
    assert said(text, "change grad / 7").startswith("changed: t=3  h = np.tanh(a)   dh 0.1429")
    assert said(text, "node.t") == "3"
    assert said(text, "h") == "5"
    assert (h, grad, step) == ("the program's", 7.0, 42)


def nan_at_3() -> tuple[mg.Graph, mg.Tensor]:
    w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
    with np.errstate(invalid="ignore"):
        for t in range(6):
            with mg.time_step(t):
                a = w * h
                h = np.sqrt(a - 0.3) if t == 3 else np.tanh(a)
    return mg.Graph(h), w


def test_an_edit_at_the_birth_of_a_nan_stays_there() -> None:
    graph, _ = nan_at_3()
    text = talk(graph, "cut t=3", "where", "clip 1", "where", "quit", at=("nonfinite",))
    assert said(text, "cut t=3").startswith("edited: cut t=3")
    assert "no step of the pass" in said(text, "where")
    assert "(bptt*) clip 1" in text


def test_an_edit_that_fails_changes_nothing() -> None:
    graph, w = nan_at_3()
    with np.errstate(all="ignore"):
        text = talk(graph, "goto t=0", "clip max_norm=1", "where", "quit")
    assert said(text, "clip max_norm=1").startswith("FloatingPointError")
    assert "(bptt) where" in text
    assert "t = 0" in said(text, "where")
    assert w.grad is None


def test_a_cut_outside_of_time_says_what_to_write() -> None:
    graph = mg.Graph((chain()[0].outputs[0] - 1) ** 2)
    text = talk(graph, "cut", "quit")
    assert said(text, "cut") == "this node is in no time step: cut t=N says where to cut"


def test_an_edit_says_when_the_present_node_gets_no_gradient_any_more() -> None:
    text = talk(chain()[0], "goto t=1", "cut t=3", "cut off", "quit")
    assert "no gradient reaches this node any more" in said(text, "cut t=3")
    assert "no edits" in said(text, "cut off")


def test_off_takes_back_edits_of_its_own_kind() -> None:
    text = talk(chain()[0], "cut t=2", "clip 1", "clip off", "quit")
    assert said(text, "clip off").startswith("edited: cut t=2")


def test_leaving_python_is_quitting() -> None:
    for line in ("exit()", "raise SystemExit", "quit()"):
        graph, w = chain()
        assert talk(graph, line).endswith("quit: nothing is written\n")
        assert w.grad is None


def test_a_debugger_inside_a_debugger_stops_its_own_passes_and_the_outer_one_the_others() -> None:
    graph, _ = chain()
    out, inner = io.StringIO(), io.StringIO()
    with Debugger(["t == 3 and op == tanh"], stdin=io.StringIO("c\n" * 9), stdout=out):
        mg.debug(graph, "t == 1 and op == tanh", commands=["c"], stdout=inner)
        graph.backward()
    assert inner.getvalue().count("stop: t == 1") == 1
    assert out.getvalue().count("stop:") == out.getvalue().count("stop: t == 3") == 1


def test_gradients_that_are_zero_are_only_counted() -> None:
    x = np.random.default_rng(0).standard_normal((6, 2, 3))
    y, _ = nn.RNN(3, 4)(x)
    text = talk(mg.Graph((y[-1] ** 2).sum()), "until t == 4", "pending", "quit")
    assert "... and 4 that are zero" in said(text, "pending")
    assert "|0|" not in said(text, "pending")


def test_a_program_that_catches_quit_does_not_go_on_undebugged() -> None:
    graph, w = chain()
    with Debugger(stdin=io.StringIO("quit\n"), stdout=io.StringIO()):
        for _ in range(2):
            with pytest.raises(Quit):
                graph.backward()
    assert w.grad is None


def test_source_lines_are_found_by_any_path() -> None:
    source = next(chain()[0].backward_steps()).node.source
    for file in (source.file, "./dialogue.py", "debugger/dialogue.py"):
        place = f"{file}:{source.line}"
        assert [s.t for s in chain()[0].backward_steps() if mg.Breakpoint(place)(s)] == [3, 2, 1, 0]
    assert "nothing in this pass has line dialogue.py:1;" in talk(
        chain()[0], "break dialogue.py:1", "quit"
    )


def test_nodes_are_found_under_every_name_that_is_printed() -> None:
    w, s = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
    for t in range(4):
        with mg.time_step(t):
            s = np.tanh(w * s - 0.1)
    text = talk(
        mg.Graph(s),
        "until w * s - 0.1",
        "until (w * s - 0.1)[1]",
        "goto ds[2]",
        "value (w * s)[0]",
        "quit",
    )
    assert said(text, "until w * s - 0.1").startswith("t=3  w * s - 0.1   d(w * s - 0.1)")
    assert said(text, "until (w * s - 0.1)[1]").startswith("t=1  w * s - 0.1")
    assert said(text, "goto ds[2]").startswith("t=2  s = ")
    assert said(text, "value (w * s)[0]").startswith("(w * s)[0]: () float32, norm 0.5")


@pytest.mark.parametrize(
    "condition", ["h - 1", "9**9**9 > t", "name == h[1]", "t", "h[1:2]", "h + 1 and t == 3"]
)
def test_what_compares_nothing_is_refused(condition: str) -> None:
    with pytest.raises(ValueError, match="condition"):
        mg.Breakpoint(condition)


def test_negative_steps_and_missing_names_are_told() -> None:
    text = talk(chain()[0], "break h[-1]", "break 'tan' in op", "break pass == 7", "quit")
    assert said(text, "break h[-1]") == "nothing in this pass has t -1; there are: 0 to 3"
    assert said(text, "break 'tan' in op") == "1: 'tan' in op"


def test_until_a_later_pass() -> None:
    out = io.StringIO()
    lines = io.StringIO("until pass == 3\nwhere\nquit\n")
    with pytest.raises(Quit), Debugger(stdin=lines, stdout=out):
        for _ in range(4):
            chain(2)[0].backward()
    assert "(bptt 3) where" in out.getvalue()


def test_a_breakpoint_as_a_predicate_remembers_the_pass() -> None:
    small = mg.Breakpoint("fraction < 0.3")
    for _ in range(2):
        assert [s.t for s in chain()[0].backward_steps() if small(s)] == [1, 0]


def test_statements_at_the_prompt() -> None:
    text = talk(
        chain()[0],
        "for k in range(2): x = k",
        "x",
        "def f(x): return x + 1",
        "f(2)",
        "c = 3",
        "!c",
        "quit",
    )
    assert said(text, "x") == "1"
    assert said(text, "f(2)") == "3"
    assert said(text, "!c") == "3"


def test_an_operator_after_a_short_word_is_python() -> None:
    w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(2.0, name="h")
    text = talk(mg.Graph(w * h), "w * h", "grad + 1", "quit")
    assert said(text, "w * h").startswith("tensor(1")
    assert said(text, "grad + 1") == "np.float32(2.0)"


def test_arguments_that_mean_nothing_are_refused() -> None:
    text = talk(chain()[0], "leave foo", "into 3", "check a[1]", "print", "quit")
    assert said(text, "leave foo") == "leave takes no argument, found 'foo'"
    assert said(text, "into 3").startswith("into takes no argument")
    assert said(text, "check a[1]").startswith("rule multiply_da agrees")
    assert said(text, "print").startswith("print EXPRESSION?  for example")


@pytest.mark.parametrize(
    ("function", "verdict"),
    [
        (lambda x: mg.relu(x), "beside a kink"),
        (lambda x: np.sqrt(x), "beside a kink"),
        (lambda x: np.clip(x, 0, 1), "beside a kink"),
        (lambda x: x.astype(np.float32), "cannot be checked"),
    ],
)
def test_check_raises_no_false_alarm(function, verdict) -> None:
    with np.errstate(all="ignore"):
        x = mg.tensor(np.array([0.0, 2.0]), requires_grad=True)
        text = talk(mg.Graph(function(x * 1.0).sum()), "step", "check", "quit")
    assert verdict in said(text, "check")
    assert "DISAGREES" not in text


def test_an_edit_is_not_checked() -> None:
    text = talk(chain()[0], "clip 0.1", "until op == clip", "check", "quit")
    assert said(text, "check").startswith("an edit is no derivative")


def test_stops_at_birth_are_those_that_were_asked_for() -> None:
    for condition, born in (
        ("nonfinite and t == 5", False),
        ("not nonfinite and t == 5", False),
        ("nonfinite", True),
    ):
        with np.errstate(all="ignore"):
            assert ("was born" in talk(nan_at_3()[0], "quit", at=(condition,))) == born


def test_nan_from_the_data_leads_to_the_line_that_uses_them() -> None:
    w, x = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(np.array([1.0, np.nan]))
    text = talk(mg.Graph((w * x).sum()), "where", "quit", at=("nonfinite",))
    assert "NaN came into the forward pass at w * x   (" in text
    assert "mg.Graph((w * x).sum())" in said(text, "where")


def test_an_outer_tracer_stays() -> None:
    def tracer(*_):
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        talk(chain()[0], "into", "c", "quit")
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)


def test_a_hook_is_named_when_it_fails_and_when_it_changes() -> None:
    w, h = mg.tensor(0.5, requires_grad=True, name="w"), mg.tensor(1.0)
    for t in range(3):
        with mg.time_step(t):
            h = w * h
            if t == 1:
                h.register_hook(lambda dh: dh * 2)
    text = talk(mg.Graph(h), "until t == 1", "contributions", "quit")
    assert said(text, "contributions").endswith("(then changed by a hook)")
    h.inputs[1].register_hook(lambda dh: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        mg.debug(h, "t == 99", stdin=io.StringIO("c\n"), stdout=(out := io.StringIO()))
    assert "in a hook on the gradient of multiply" in out.getvalue()


def test_a_hook_that_fails_before_the_first_step_stops_too_and_writes_nothing() -> None:
    graph, w = chain()
    graph.outputs[0].register_hook(lambda dh: 1 / 0)
    out = io.StringIO()
    with pytest.raises(ZeroDivisionError):
        mg.debug(graph, stdin=io.StringIO("where\nvalue h[3]\ncontinue\n"), stdout=out)
    assert "stop: the pass failed before its first step" in out.getvalue()
    assert said(out.getvalue(), "where").startswith("no step is here: the pass has not begun")
    assert said(out.getvalue(), "value h[3]").startswith("h[3]: ()")
    assert w.grad is None


def test_into_after_a_failure_is_where_it_failed() -> None:
    @mg.primitive
    def brittle(x):
        return x * 1

    @brittle.gradient
    def brittle_dx(dy, y, x):
        wrong = dy[5, 5]
        return wrong * 2

    y, out = brittle(mg.tensor(1.0, requires_grad=True) * 2), io.StringIO()
    with pytest.raises(IndexError):
        mg.debug(y, "t == 99", stdin=io.StringIO("into\np dy\nq\nc\n"), stdout=out)
    assert "wrong = dy[5, 5]" in out.getvalue()
    assert "array(1., dtype=float32)" in out.getvalue()


def test_one_of_several_outputs_says_when_its_rule_runs() -> None:
    x = mg.tensor(np.arange(4.0), requires_grad=True)
    a, b = np.split(x, 2)
    text = talk(mg.Graph((a * b).sum()), "until op == split", "inputs", "into", "quit")
    assert "the rule runs at the first of them" in said(text, "inputs")
    assert said(text, "into").startswith("one of several outputs")


def test_a_debugger_that_never_stops_says_so() -> None:
    assert (
        talk(chain()[0], at=("norm > 1e9",)) == "the pass is finished, and no breakpoint was hit\n"
    )


def test_many_contributions_are_counted() -> None:
    text = talk(chain(40)[0], "step 9999", "contributions w", "quit")
    assert said(text, "contributions w").endswith("28 more")
