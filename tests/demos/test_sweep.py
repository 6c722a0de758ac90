"""The same rows in the same order, in one process, in several, and on a cluster."""

from __future__ import annotations

import os
import sys
from functools import partial

import numpy as np
import pytest

from demos import cli
from demos.long_memory import experiment
from demos.sweep import Failed, chosen_map, grid, in_processes, sweep

POINTS = grid(task=["adding"], T=[5, 1, 6], cell=["GRU"], seed=range(2), updates=[2])


def half(n: int) -> float:
    """n / 2; some numbers end the process, some raise."""
    if n == 2:
        os._exit(7)
    return n / (n - 4) * (n - 4) / 2


def alike(rows, others):
    assert len(rows) == len(others) == len(POINTS)
    for row, other in zip(rows, others, strict=True):
        assert type(row) is type(other)
        assert row[:-1] == other[:-1]
        if not isinstance(row, Failed):
            for name, value in row.weights.items():
                np.testing.assert_array_equal(value, other.weights[name])


@pytest.fixture(scope="module")
def rows():
    return sweep(experiment, POINTS)


def test_a_sweep_has_a_row_for_each_point_and_tells_impossible_ones(rows):
    failed = [row for row in rows if isinstance(row, Failed)]
    assert [row.point for row in failed] == [point for point in POINTS if point["T"] == 1]
    assert str(failed[0]).startswith("failed: task='adding', T=1, cell='GRU', seed=0")
    assert "ValueError" in failed[0].problem


def test_the_same_arguments_give_the_same_row_whatever_ran_before(rows):
    assert experiment(**POINTS[-1])[:-1] == rows[-1][:-1]


@pytest.mark.slow
def test_in_several_processes(rows):
    alike(rows, sweep(experiment, POINTS, partial(in_processes, 2)))


@pytest.mark.slow
def test_a_process_that_dies_takes_no_other_with_it():
    points = grid(n=[1, 2, 3, 4])
    found = sweep(half, points, partial(in_processes, 2))
    assert [row for row in found if not isinstance(row, Failed)] == [0.5, 1.5]
    lost, raised = (row for row in found if isinstance(row, Failed))
    assert lost.point == {"n": 2}
    assert "BrokenProcessPool" in lost.problem
    assert (raised.point, raised.problem) == ({"n": 4}, "ZeroDivisionError: division by zero")


def test_an_engine_that_stops_leaves_no_row_out():
    points = grid(n=range(3))
    found = sweep(half, points, lambda run, points: iter([run(points[0])]))
    assert found[0] == 0
    assert [row.point for row in found[1:]] == points[1:]


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    from distributed import LocalCluster

    with LocalCluster(2, threads_per_worker=1, dashboard_address=None) as local:
        yield local


@pytest.mark.slow
def test_on_a_cluster(rows, cluster):
    with chosen_map(1, cluster.scheduler_address) as map:
        alike(rows, sweep(experiment, POINTS, map))


@pytest.mark.slow
def test_a_worker_that_is_lost_takes_its_run_with_it_and_no_other(cluster):
    with chosen_map(1, cluster.scheduler_address) as map:
        found = sweep(half, grid(n=range(6)), map)
    assert [row.point["n"] for row in found if isinstance(row, Failed)] == [2, 4]
    assert "KilledWorker" in found[2].problem


def test_what_cannot_be_done_is_said(monkeypatch):
    pytest.importorskip("distributed")
    with (
        pytest.raises(cli.UsageError, match="no scheduler answers there"),
        chosen_map(1, "tpc://x"),
    ):
        pass
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(cli.UsageError, match=r"pip install 'minigrad-bptt\[dask\]'"):
        chosen_map(1, "tcp://127.0.0.1:1").__enter__()
