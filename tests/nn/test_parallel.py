"""Two processes take the step that one takes; when one fails, none goes on with half a gradient."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import nn
from tests.nn import two_processes

ROOT = Path(nn.__file__).parent.parent
MPIEXEC = Path(sys.executable).parent / "mpiexec"


def start(case: str, folder: Path, expected: int = 0) -> str:
    """Run a case in two processes; what they print on stderr."""
    pytest.importorskip("mpi4py", reason="the extra mpi is not installed")
    if not MPIEXEC.exists():
        pytest.skip("there is no mpiexec beside Python: on Windows the extra brings none")
    words = [MPIEXEC, "-n", "2", sys.executable, two_processes.__file__, case, folder]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [*map(str, words)], capture_output=True, text=True, timeout=60, env=environment
    )
    assert (done.returncode != 0) == expected, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("case", ["even", "uneven", "compiled"])
def test_two_processes_compute_what_one_computes(case: str, tmp_path: Path) -> None:
    wanted = getattr(two_processes, case)(nn.Parallel())
    start(case, tmp_path)
    for rank in (0, 1):
        found = np.load(tmp_path / f"{rank}.npz")
        assert set(found) == set(wanted)
        for name, value in wanted.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-12, atol=1e-12)


def test_an_error_in_one_process_ends_all_with_its_traceback(tmp_path: Path) -> None:
    said = start("raises", tmp_path, expected=1)
    assert "process 1 of 2 has failed" in said
    assert "ZeroDivisionError: a bad row in process 1" in said
    assert {path.name for path in tmp_path.iterdir()} <= {"0-0", "1-0"}


def test_who_ends_early_is_named_and_nothing_is_averaged(tmp_path: Path) -> None:
    start("exits", tmp_path)
    assert (tmp_path / "0-0").exists()


def test_a_process_that_disappears_ends_the_run(tmp_path: Path) -> None:
    start("killed", tmp_path, expected=1)
    assert not list(tmp_path.iterdir())


def test_other_networks_in_other_processes_are_refused_everywhere(tmp_path: Path) -> None:
    start("differ", tmp_path)
    expected = {f"{rank}-{word}" for rank in (0, 1) for word in ("broadcast", "average")}
    assert expected <= {path.name for path in tmp_path.iterdir()}


# without MPI


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> nn.Parallel:
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    return nn.Parallel()


def test_without_mpi_it_is_one_process(alone: nn.Parallel) -> None:
    assert (alone.rank, alone.size) == (0, 1)
    net = alone.broadcast(nn.Linear(2, 1))
    x = np.arange(6.0).reshape(3, 2)
    assert alone.shard(x, axis=0).tolist() == x.tolist()
    net(x).sum().backward()
    before: Any = net.W.grad
    alone.average(net, weight=3)
    np.testing.assert_array_equal(net.W.grad.data, before.data)
    assert alone.average({"loss": mg.tensor(2.0)})["loss"] == 2


def test_under_mpiexec_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setenv("PMI_SIZE", "4")
    with pytest.raises(ImportError, match=r"pip install 'minigrad-bptt\[mpi\]'"):
        nn.Parallel()


class Fourth:
    """Stands for a communicator of which this process is number 3 of 4."""

    rank, size = 3, 4


def test_shards_are_even_parts_of_an_axis() -> None:
    parallel = nn.Parallel()
    parallel.rank, parallel.size = Fourth.rank, Fourth.size
    x = np.arange(16).reshape(2, 8)
    assert parallel.shard(x, axis=1).tolist() == [[6, 7], [14, 15]]
    assert parallel.shard(mg.tensor(x), axis=-1).tolist() == [[6, 7], [14, 15]]
    with pytest.raises(ValueError, match=r"7 rows of axis 0 .* evenly by 4 processes; take 4"):
        parallel.shard(np.zeros((7, 2)), axis=0)
