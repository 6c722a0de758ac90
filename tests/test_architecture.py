"""The layout is the architecture: who imports whom, what start-up loads, what is documented."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad as mg
import nn

ROOT = Path(__file__).resolve().parent.parent


def imported(file: Path) -> set[str]:
    """The dotted names of all modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("file", sorted((ROOT / "minigrad").rglob("*.py")), ids=lambda f: str(f.relative_to(ROOT)))
def test_the_engine_never_imports_the_networks(file: Path) -> None:
    assert not {name for name in imported(file) if name.split(".")[0] in ("nn", "demos", "benchmarks", "tests")}


@pytest.mark.parametrize("file", sorted((ROOT / "nn").rglob("*.py")), ids=lambda f: str(f.relative_to(ROOT)))
def test_the_networks_use_public_names_of_the_engine_only(file: Path) -> None:
    assert not {name for name in imported(file) if name.startswith("minigrad.")}


def test_start_up_loads_numpy_and_nothing_heavy() -> None:
    program = "import sys, minigrad, nn; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    heavy = {"graphviz", "pygraphviz", "matplotlib", "networkx", "safetensors", "pdb", "readline", "tqdm", "pytest"}
    assert not heavy & set(loaded.stdout.split())


@pytest.mark.parametrize("package", [mg, nn])
def test_every_public_name_is_documented(package: object) -> None:
    names = getattr(package, "__all__", [name for name in vars(package) if not name.startswith("_")])
    assert len(names) == len(set(names))
    undocumented = [
        name
        for name in names
        if callable(getattr(package, name)) and not (inspect.getdoc(getattr(package, name)) or "").strip()
    ]
    assert undocumented == []


@pytest.mark.parametrize("package", ["minigrad", "nn"])
def test_the_packages_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()
