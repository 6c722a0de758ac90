from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.debugger.facts import PassInfo
from minigrad.norms import norm


def chain(steps: int = 4, w: float = 2.0) -> mg.Graph:
    """h = w * h, doubling its gradient at every step back."""
    weight, h = mg.tensor(w, requires_grad=True, name="w"), mg.tensor(1.0)
    for t in range(steps):
        with mg.time_step(t), mg.scope("cell"):
            h = weight * h
    return mg.Graph(h)


@pytest.mark.parametrize(
    ("condition", "steps"),
    [
        ("t == 3", [3]),
        ("t=3", [3]),
        ("norm > 3", [1, 0]),
        ("norm < 2", [3]),
        ("fraction >= 4", [1, 0]),
        ("2 <= norm <= 4", [2, 1]),
        ("op == multiply and t < 2", [1, 0]),
        ("op != multiply", []),
        ("op in (multiply, tanh) and not t == 0", [3, 2, 1]),
        ("h", [3, 2, 1, 0]),
        ("h[2]", [2]),
        ("name == h and index == 1", [2]),
        ("scope == cell", [3, 2, 1, 0]),
        ("scope == cel", []),
        ("axis == time and t > 2", [3]),
        ("t * 2 == 4", [2]),
        ("pass == 1 and t == 0", [0]),
        ("test_breakpoints.py:17", [3, 2, 1, 0]),
        ("debugger/test_breakpoints.py:99 or t == 1", [1]),
        ("nonfinite", []),
    ],
)
def test_conditions(condition: str, steps: list[int]) -> None:
    found, graph = mg.Breakpoint(condition), chain()
    facts = PassInfo(graph)
    assert [step.t for step in graph.backward_steps() if found.test(facts.step(step))] == steps


def test_lines_of_two_files_that_are_equal_are_told_apart(tmp_path: Path) -> None:
    h: mg.Tensor = mg.tensor(1.0, requires_grad=True)
    for name in ("first.py", "second.py"):
        variables = {"h": h}
        exec(compile("h = h * 2.0", str(tmp_path / name), "exec"), variables)
        h = variables["h"]
    graph, found = mg.Graph(h), mg.Breakpoint("first.py:1")
    facts = PassInfo(graph)
    assert [found.test(facts.step(step)) for step in graph.backward_steps()] == [False, True]


def test_keywords_functions_and_calls() -> None:
    graph = chain()
    assert [s.t for s in graph.backward_steps() if mg.Breakpoint(t=2, op="multiply")(s)] == [2]
    assert [s.t for s in graph.backward_steps() if mg.Breakpoint(lambda step: step.t == 1)(s)] == [
        1
    ]
    assert repr(mg.Breakpoint("t == 1", once=True)) == "Breakpoint('t == 1', once=True)"


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("", "a condition is needed"),
        ("nrm > 3", "unknown field 'nrm'; did you mean norm?"),
        ("norm >", "cannot be read"),
        ("__import__('os').system('true')", "is not a comparison"),
        ("[t for t in ()]", "is not a comparison"),
        ("(lambda: 1)()", "is not a comparison"),
        ("norm > graph", "unknown field 'graph'"),
    ],
)
def test_what_is_no_condition_is_refused(condition: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        mg.Breakpoint(condition)


def test_a_condition_holds_nothing_that_could_run() -> None:
    with pytest.raises(ValueError, match="not a comparison"):
        mg.Breakpoint("norm.__class__() > 3")
    assert not mg.Breakpoint("name == __builtins__")(next(chain().backward_steps()))


def test_nonfinite_stops_where_it_is_born_and_not_after() -> None:
    x = mg.tensor([4.0, 0.0, 1.0], requires_grad=True, name="x")
    a = x * 1
    s = np.sqrt(a)
    graph, born = mg.Graph(np.sum(s * 2)), mg.Breakpoint("nonfinite")
    facts = PassInfo(graph)
    with np.errstate(divide="ignore"):
        assert [
            step.node.op.name for step in graph.backward_steps() if born.test(facts.step(step))
        ] == ["sqrt"]


def test_norms_neither_overflow_nor_vanish() -> None:
    for size in (1e-30, 1e-5, 1.0, 1e30):
        assert norm(np.full((3, 3), size, np.float32)) == pytest.approx(3 * size, rel=1e-5)


def test_states_are_found_to_the_last_step() -> None:
    assert list(PassInfo(chain()).states.values()) == ["h"] * 4
