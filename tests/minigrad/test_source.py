from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg


def label_of(node: mg.Tensor) -> str:
    return node.source.variable(node.call.which if node.call else None)


def test_file_line_expression_and_variable() -> None:
    w = mg.tensor(2.0, requires_grad=True)
    gate = np.tanh(w * 3)
    assert gate.source.file == __file__
    assert gate.source.expression == "np.tanh(w * 3)"
    assert gate.source.text == "gate = np.tanh(w * 3)"
    assert gate.source.variable() == "gate"
    assert gate.inputs[0].source.expression == "w * 3"
    assert gate.inputs[0].source.variable() == ""
    assert str(gate.source).endswith(f"test_source.py:{gate.source.line}")


def test_a_line_keeps_its_place_however_often_it_runs() -> None:
    x = mg.tensor(np.ones((2, 3)), requires_grad=True)
    made = [(x[0, 1], x[0], np.tanh(x), x @ x.T, -x, mg.sigmoid(x), x.sum()) for _ in range(60)]
    for nodes in zip(*made, strict=True):
        assert len({node.site for node in nodes}) == 1


def test_a_variable_keeps_its_name_however_often_its_line_runs() -> None:
    def run() -> mg.Tensor:
        w = mg.tensor(1.0, requires_grad=True)
        losses = [w * 1.0, w * 2.0]
        loss: mg.Tensor = sum(
            losses
        )  # Python calls a builtin in another way once it is called often
        return loss

    assert [label_of(run()) for _ in range(30)] == ["loss"] * 30


def test_an_expression_over_several_lines_is_joined() -> None:
    w = mg.tensor(2.0, requires_grad=True)
    # fmt: off
    total = np.add(
        w,
        w,
    )
    # fmt: on
    assert total.source.expression == "np.add( w, w, )"
    assert total.source.variable() == "total"


def test_every_kind_of_assignment() -> None:
    class Box:
        h: Any

    w = mg.tensor(2.0, requires_grad=True)
    box, table = Box(), {}
    box.h = w * 1
    a = b = w * 2
    table["k"] = w * 3
    assert [label_of(n) for n in (box.h, a, b, table["k"])] == ["h", "a", "a", "k"]
    i, f = np.split(mg.tensor([1.0, 2.0], requires_grad=True), 2)
    assert [label_of(i), label_of(f)] == ["i", "f"]
    assert label_of([w * 4][0]) == ""
    assert label_of(walrus := w * 5) == "walrus"
    assert walrus.item() == 10


def test_variables_are_known_where_there_is_no_source_text() -> None:
    program = """
import minigrad as mg
w = mg.tensor(0.2, requires_grad=True); h = mg.tensor(0.9)
for t in range(2):
    with mg.time_step(t): h = w * h
graph = mg.Graph(h); print(graph)
for step in graph.backward_steps(): print(step)
"""
    run = [sys.executable, "-c", program]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines() == [
        "Graph: 2 time steps, 2 operations, 1 parameter: w () used 2 times",
        "t=1  h = w * h   dh 1 -> dw 0.18  dh_prev 0.2",
        "t=0  h = w * h   dh 0.2 -> dw 0.18",
    ]
    run = [sys.executable, "-i", "-q"]  # the plain REPL
    out = subprocess.run(
        run,
        input=program.replace("h = w * h\n", "h = w * h\n\n") + "\n",
        capture_output=True,
        text=True,
    )
    assert "t=1  h = w * h   dh 1 -> dw 0.18  dh_prev 0.2" in out.stdout


def test_the_engines_own_lines_are_never_the_source() -> None:
    x = mg.tensor(np.ones(3), requires_grad=True)
    spread = x.var()
    for node in mg.Graph(spread).nodes:
        assert node.source.file in (__file__, "")


def test_a_node_without_a_frame_has_an_empty_source() -> None:
    x = mg.tensor(1.0, requires_grad=True) * 2.5
    constant = x.inputs[1]
    assert constant.source.file == constant.source.expression == constant.source.variable() == ""
    assert (constant.source.line, str(constant.source)) == (0, "unknown line")


@pytest.mark.parametrize("first", [True, False])
def test_a_conditional_expression_has_the_variable_it_is_assigned_to(first: bool) -> None:
    x = mg.tensor(1.0, requires_grad=True)
    h = np.tanh(x) if first else np.exp(x)
    twice = (np.tanh(x) if first else np.exp(x)) * 2
    assert h.source.variable() == "h"
    assert [twice.inputs[0].source.variable(), twice.source.variable()] == ["", "twice"]


def test_equal_code_in_two_files_is_two_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = []
    for name in ("first.py", "second.py"):
        (tmp_path / name).write_text("h = w * 2\n")
        found = {"w": mg.tensor(1.0, requires_grad=True)}
        exec(compile("h = w * 2\n", str(tmp_path / name), "exec"), found)
        nodes.append(found["h"])
    monkeypatch.chdir(tmp_path)
    assert nodes[0]._code == nodes[1]._code
    assert [str(node.source) for node in nodes] == ["first.py:1", "second.py:1"]
    assert [node.source.file for node in nodes] == [node._code.co_filename for node in nodes]
    monkeypatch.chdir(tmp_path.parent)
    assert str(nodes[0].source) == os.path.join(tmp_path.name, "first.py:1")


def test_nodes_that_one_line_makes_share_their_place() -> None:
    w = mg.tensor(2.0, requires_grad=True)
    first, second = (w * k for k in (1, 2))
    assert first.source is second.source
    assert first.source is not w.source
