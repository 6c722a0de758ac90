"""The fixture that holds every test to leave the recording as it was is held to notice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad as mg
from minigrad.scope import Recording, recording
from tests.floors import ROOT

LEAKY = """
import contextlib, minigrad as mg

def test_well_behaved():
    with mg.no_grad(), mg.time_step(1):
        pass

def test_leaky():
    mg.{manager}.__enter__()

def test_after_it():
    pass
"""


def test_every_test_begins_as_a_program_does() -> None:
    assert recording.get() == Recording()


@pytest.mark.parametrize("manager", ["no_grad()", "scope('encoder')", "time_step(3)"])
def test_a_test_that_leaves_a_mark_fails(manager: str, tmp_path: Path) -> None:
    file = tmp_path / "test_leak.py"
    file.write_text(LEAKY.format(manager=manager))
    words = [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider", file]
    done = subprocess.run(
        words,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert "3 passed, 1 error" in done.stdout
    assert "ERROR test_leak.py::test_leaky" in done.stdout
    assert "the test leaves this behind: {'minigrad.recording'" in done.stdout
    assert mg.tensor(1.0).t is None
