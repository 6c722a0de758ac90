import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import benchmarks
from benchmarks import chain, growth, lstm, scaling
from benchmarks.measure import Times, peer, race, table, verdict

ROOT = Path(benchmarks.__file__).parent.parent


def test_all_contestants_of_the_chain_compute_the_same():
    results = [run() for run in chain.contestants().values()]
    for result in results[1:]:
        assert np.allclose(result, results[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("size", [(5, 1, 3, 4), (4, 3, 2, 5)])
def test_all_written_out_lstms_compute_the_same(size):
    data = lstm.arrays(*size)
    runs = [lstm.by_hand, lstm.minigrad] + ([lstm.torch_eager] if peer("torch") else [])
    expected, *others = [run(*data) for run in runs]
    for result in others:
        for one, other in zip(expected, result, strict=True):
            assert np.allclose(one, other, rtol=1e-3, atol=1e-6)


def test_a_race_runs_everybody_equally_often_and_in_turn():
    order = []
    times = race({name: lambda name=name: order.append(name) for name in "ab"}, repeats=3)
    assert order == ["a", "b"] * 4  # one turn to warm up
    assert all(isinstance(t, Times) and 0 <= t.best <= t.median for t in times.values())


def test_a_verdict_names_the_target_and_whether_it_is_kept():
    assert "kept" in verdict(0.8, 0.8)
    assert "MISSED" in verdict(0.81, 0.8)
    assert "0.8" in verdict(0.81, 0.8)


def test_a_table_is_aligned(capsys):
    table("title", ["", "ms"], [["a", "1"], ["long name", "10"]])
    assert capsys.readouterr().out.splitlines()[1:] == [
        "title",
        "             ms",
        "  ---------  --",
        "  a           1",
        "  long name  10",
    ]


def test_growth_measures_nodes_in_proportion_to_steps():
    few, many = (growth.measure(growth.sliced_loss, T, 1) for T in (10, 20))
    nodes = [int(row[1]) for row in (few, many)]
    assert nodes[1] - nodes[0] == 10 * 5  # five nodes a step


def test_the_model_of_many_processes():
    link = scaling.Link("a link", latency=1e-3, bandwidth=1e6)
    assert link.all_reduce(1, 10**6) == 0
    assert link.all_reduce(2, 10**6) == pytest.approx(4e-3 + 1)
    times = {max(1, scaling.BATCH // n): 1.0 for n in scaling.PROCESSES}
    one, two, *_, last = scaling.rows_of(times, 0, [link, scaling.Link("slow", 1.0, 1e6)])
    assert one[:3] == ["1", "256", "1000.0"]
    assert one[-2:] == ["1.0", "1"]
    assert two[-2:] == ["0.2", "0"]  # over the slower link
    assert last[-2] == "–"  # 256 rows cannot be shared by 1000


def test_a_step_of_the_model_trains():
    step = scaling.step_of(T=3, D=2, H=4, B=5)
    assert step() is None
    assert scaling.gradient_bytes(2, 4) == 4 * (16 * (2 + 4 + 1) + 4 + 1)


def test_the_command_line():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "imports", "--quick"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0
    assert "minigrad and nn above it" in done.stdout
    refused = subprocess.run(
        [sys.executable, "-m", "benchmarks", "speed"], capture_output=True, text=True, cwd=ROOT
    )
    assert refused.returncode == 2
    assert "there are chain, lstm" in refused.stderr
