"""The layout is the architecture: who imports whom, what start-up loads, what is documented."""

from __future__ import annotations

import inspect
import pkgutil
import re
import subprocess
import sys

import pytest

import minigrad as mg
import nn
from tests import idioms
from tests.floors import (
    BEGIN,
    END,
    MODULES,
    ORDER,
    ROOT,
    as_text,
    entry,
    imported,
    imports,
)


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("minigrad.")])
def test_every_import_goes_to_a_lower_floor(module: str) -> None:
    here = ORDER.index(entry(module))
    there = {entry(name): name for name in imported(module)}
    assert not [name for floor, name in there.items() if ORDER.index(floor) > here]


def test_no_circle_of_imports_anywhere() -> None:
    left = {name: imported(name) for name in MODULES}
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    assert not left


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("nn.")])
def test_the_networks_use_public_names_of_the_engine_only(module: str) -> None:
    assert not {name for name in imported(module) if name.startswith("minigrad.")} - {
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


def test_the_page_for_contributors_shows_the_floors() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = page.partition(BEGIN)[2].partition(END)[0]
    assert as_text() in shown, "run `python -m tests.figures floors`"


def test_the_way_of_a_gradient_can_be_followed() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (way,) = [part for part in page.split("\n\n") if part.startswith("To read how a gradient")]
    names = re.findall(r"`(minigrad\.[\w.]+)`", way)
    assert len(names) > 8
    assert [name for name in names if pkgutil.resolve_name(name) is None] == []


def test_no_line_is_a_puzzle() -> None:
    assert idioms.in_the_house() == {}


def test_no_line_of_the_engine_is_wider_than_100() -> None:
    files = [*(ROOT / "minigrad").glob("*.py"), *(ROOT / "minigrad" / "ops").glob("*.py")]
    wide = []
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if len(line) > 100:
                wide.append(f"{file.name}:{number}")
    assert wide == []


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ('"s" * (n > 1)', "a text multiplied by a condition"),
        ('" of many" * flag', "a text multiplied by a condition"),
        ('f"{x} rows" * (x and y)', "a text multiplied by a condition"),
        ("20 * bool(rows)", "a number multiplied by a condition"),
        ("(not rows) * width", "a number multiplied by a condition"),
        ("a if b else c if d else e", "a conditional expression inside another"),
        ('"-" * width', None),
        ('"ab" * 3', None),
        ("dy * (x > 0)", None),
        ("a if b else c", None),
    ],
)
def test_puzzles_are_found(line: str, wrong: str | None) -> None:
    assert [text for _, text in idioms.found_in(line)] == ([] if wrong is None else [wrong])
