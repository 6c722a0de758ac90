"""A public name stays what it is, also where a module of the package is called alike."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import minigrad
import nn
from conftest import PACKAGES

ROOT = Path(minigrad.__file__).parents[1]


def namesakes(package: str) -> list[str]:
    """The modules of a package that are called like something else in it."""
    loaded = import_module(package)
    modules = [module.name for module in pkgutil.iter_modules(loaded.__path__)]
    return [name for name in modules if not isinstance(getattr(loaded, name, loaded), ModuleType)]


def test_there_are_such_modules_and_each_package_is_loaded_first() -> None:
    found = {package: namesakes(package) for package in PACKAGES}
    assert "explain" in found["minigrad"]
    assert "page" in found["minigrad.render"]
    packages = {module.name for module in pkgutil.walk_packages([str(ROOT)]) if module.ispkg}
    ours = {name for name in packages if name.split(".")[0] in ("minigrad", "nn")}
    assert not [name for name in ours - set(PACKAGES) if namesakes(name)]


@pytest.mark.parametrize("package", [minigrad, nn])
def test_importing_a_module_leaves_the_public_name_alone(package: ModuleType) -> None:
    for name in namesakes(package.__name__):
        before = getattr(package, name)
        import_module(f"{package.__name__}.{name}")
        assert getattr(package, name) is before


def test_the_examples_of_such_a_module_run_when_it_is_collected_first() -> None:
    files = [
        f"{package}/{name}.py" for package in ("minigrad", "nn") for name in namesakes(package)
    ]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *files],
        capture_output=True, text=True, cwd=ROOT, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
