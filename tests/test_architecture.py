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


# The floors of the house, lowest first.  Within a floor, modules stand in the order of their names
# here; a package is one entry, and its own modules may import each other as long as that makes no circle.
FLOORS = [
    ["norms", "source", "scope"],
    ["operators", "tensor"],
    ["primitive", "naming", "timesteps"],
    ["ops", "graph"],
    ["history", "backward"],
    "reports functional anomaly clip edits flow by_step gradcheck explain pickling".split(),  # noqa: SIM905
    ["render", "program"],
    ["public"],
    ["debugger"],
    ["__init__"],
]
ORDER = [name for floor in FLOORS for name in floor]


def modules(package: str) -> dict[str, Path]:
    """The modules of a package by dotted name."""
    found = {}
    for file in sorted((ROOT / package).rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts)] = file
    return found


def imports(file: Path) -> set[str]:
    """The dotted names that a file imports, at the top, inside functions, and for types only."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def imported(name: str, known: dict[str, Path]) -> set[str]:
    """The modules of `known` that one of them imports."""
    found = set()
    for path in imports(known[name]):
        while path not in known and f"{path}.__init__" not in known and "." in path:
            path = path.rpartition(".")[0]
        found.add(path if path in known else f"{path}.__init__")
    return found & known.keys() - {name}


MODULES = modules("minigrad") | modules("nn")


def floor_entry(module: str) -> str:
    """The entry of FLOORS that a module of minigrad belongs to."""
    return module.split(".")[1]


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("minigrad.")])
def test_every_import_goes_to_a_lower_floor(module: str) -> None:
    here = ORDER.index(floor_entry(module))
    there = {floor_entry(name): name for name in imported(module, MODULES)}
    assert not [name for entry, name in there.items() if ORDER.index(entry) > here]


def test_no_circle_of_imports_anywhere() -> None:
    left = {name: imported(name, MODULES) for name in MODULES}
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    assert not left


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("nn.")])
def test_the_networks_use_public_names_of_the_engine_only(module: str) -> None:
    assert not {name for name in imported(module, MODULES) if name.startswith("minigrad.")} - {
        "minigrad.__init__"
    }


@pytest.mark.parametrize("module", MODULES)
def test_the_engine_never_imports_what_stands_on_it(module: str) -> None:
    above = {"demos", "benchmarks", "tests"} | ({"nn"} if module.startswith("minigrad.") else set())
    assert not {name for name in imports(MODULES[module]) if name.split(".")[0] in above}


def test_start_up_loads_numpy_and_nothing_heavy() -> None:
    program = (
        "import sys, minigrad, nn; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    heavy = {
        "graphviz",
        "pygraphviz",
        "matplotlib",
        "networkx",
        "safetensors",
        "pdb",
        "readline",
        "tqdm",
        "pytest",
    }
    assert not heavy & set(loaded.stdout.split())


@pytest.mark.parametrize("package", [mg, nn])
def test_every_public_name_is_documented(package: object) -> None:
    names = getattr(
        package, "__all__", [name for name in vars(package) if not name.startswith("_")]
    )
    assert len(names) == len(set(names))
    undocumented = [
        name
        for name in names
        if callable(getattr(package, name))
        and not (inspect.getdoc(getattr(package, name)) or "").strip()
    ]
    assert undocumented == []


@pytest.mark.parametrize("package", ["minigrad", "nn"])
def test_the_packages_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()
