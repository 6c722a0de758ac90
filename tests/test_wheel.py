"""The wheel: what is in it, and that it works in a clean environment, on each Python here."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests import pythons, release
from tests.floors import ROOT

USE = """
import pathlib, sys
import numpy as np, minigrad as mg, nn
assert mg.__version__ == sys.argv[1]
for package in (mg, nn):
    folder = pathlib.Path(package.__file__).parent
    assert folder.is_relative_to(sys.prefix), folder
    assert (folder / "py.typed").exists()
mg.seed(0)
net = nn.LSTM(2, 4)
optimizer = nn.SGD(net.parameters(), lr=0.1)
losses = []
for _ in range(3):
    ys, _ = net(np.ones((5, 1, 2), np.float32))
    loss = (ys[-1] ** 2).mean()
    net.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
assert losses[0] > losses[-1]
graph = mg.Graph(loss)
assert "digraph" in graph.to_dot(view="cells").source
assert graph.render("cells.gv") == "cells.gv"
print(repr(graph))
"""


def run(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command in an environment that knows nothing of the repository."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(word) for word in words], cwd=cwd, env=clean, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation")
    done = run(*pip, "-w", folder, ROOT, cwd=folder)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_two_packages_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == f"minigrad_bptt-{release.version()}-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    info = f"minigrad_bptt-{release.version()}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"minigrad", "nn", info}
    assert {"minigrad/py.typed", "nn/py.typed", f"{info}/licenses/LICENSE"} <= set(names)
    files = [*ROOT.glob("minigrad/**/*"), *ROOT.glob("nn/**/*")]
    written = {file.relative_to(ROOT).as_posix() for file in files if file.is_file()}
    assert {name for name in written if "__pycache__" not in name} <= set(names)


def test_the_wheel_says_what_it_needs_and_where_its_home_is(wheel: Path) -> None:
    info = f"minigrad_bptt-{release.version()}.dist-info/METADATA"
    lines = zipfile.ZipFile(wheel).read(info).decode().splitlines()
    needed = [
        line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line
    ]
    assert sorted(line.split()[1].split(">")[0] for line in needed) == ["graphviz", "numpy"]
    assert "Requires-Python: >=3.11" in lines
    assert any(line.startswith("Project-URL: Documentation") for line in lines)
    assert any(line.startswith("Provides-Extra: dot") for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("version", pythons.PYTHONS)
def test_the_wheel_works_in_a_clean_environment(wheel: Path, version: str, tmp_path: Path) -> None:
    python = pythons.find_python(version)
    if python is None:
        pytest.skip(f"this machine has no Python {version}")
    assert run(python, "-m", "venv", "--without-pip", "clean", cwd=tmp_path).returncode == 0
    inside = tmp_path / "clean" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", inside)
    installed = run(*pip, "install", "-q", wheel, cwd=tmp_path)
    if installed.returncode:
        pytest.skip(f"NumPy could not be installed: {installed.stderr[-300:]}")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "use.py").write_text(USE)
    used = run(inside, "-W", "error", "use.py", release.version(), cwd=elsewhere)
    assert used.returncode == 0, used.stderr
    assert used.stdout.startswith("Graph: 5 time steps")
    helped = run(inside, "-m", "minigrad.debugger", "--help", cwd=elsewhere)
    assert helped.returncode == 0
    assert "CONDITION" in helped.stdout
