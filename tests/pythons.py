"""Run the suite on every Python and NumPy that is promised and that this machine has.

    python -m tests.pythons                            all tests
    python -m tests.pythons -m "not slow" tests/nn     with arguments for pytest

Pythons are looked for on the PATH and where pyenv and uv keep them.  Each gets an environment of
its own in .venv/pythons.  A line for each says what passed, or that the machine lacks it.  Fails if
a test fails.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.floors import ROOT

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
OLDEST_NUMPY = "2.0.*"  # has wheels for the first two of these
FOLDERS = (
    ".pyenv/versions/{}.*/bin/python",
    ".local/share/uv/python/cpython-{}.*/bin/python3",
)
VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


class Combination(NamedTuple):
    """A Python and a NumPy, as pip spells it."""

    python: str
    numpy: str

    @property
    def name(self) -> str:
        """For people, and for the folder of the environment."""
        return f"{self.python} numpy {self.numpy.lstrip('=') or 'newest'}"


def combinations() -> Iterator[Combination]:
    """All that are promised."""
    for python in PYTHONS:
        if python in PYTHONS[:2]:
            yield Combination(python, f"=={OLDEST_NUMPY}")
        yield Combination(python, "")


def find_python(version: str) -> str | None:
    """The path of a Python of that version, if the machine has a working one."""
    named = shutil.which(f"python{version}")
    kept = (found for folder in FOLDERS for found in Path.home().glob(folder.format(version)))
    for path in [*filter(None, [named]), *map(str, kept), sys.executable]:
        done = subprocess.run([path, "-c", VERSION], capture_output=True, text=True)
        if done.stdout.strip() == version:
            return path
    return None


def environment(combination: Combination, python: str) -> Path:
    """The Python of an environment with everything the tests need.

    Raises CalledProcessError if it cannot be made.
    """
    folder = ROOT / ".venv" / "pythons" / combination.name.replace(" ", "-").replace("*", "x")
    inside = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    stamp = folder / "installed"
    if stamp.exists() and stamp.stat().st_mtime > (ROOT / "pyproject.toml").stat().st_mtime:
        return inside
    pip = [inside, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    quietly([python, "-m", "venv", "--clear", folder])
    quietly([*pip, "-e", ".[test]", f"numpy{combination.numpy}"])
    stamp.touch()
    return inside


def quietly(words: list[str | Path]) -> None:
    """Run a command, whose output is shown only if it fails; raises CalledProcessError."""
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
    done.check_returncode()


def run(combination: Combination, arguments: list[str]) -> tuple[str, bool]:
    """What to print about one combination, and whether no test failed."""
    python = find_python(combination.python)
    if python is None:
        return "this machine does not have it", True
    try:
        inside = environment(combination, python)
    except subprocess.CalledProcessError as error:
        return f"could not be installed: {' '.join(map(str, error.cmd))}", True
    begun = time.perf_counter()
    words = [inside, "-m", "pytest", "-q", *arguments]
    clean = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=clean)
    lines = done.stdout.strip().splitlines() or [done.stderr.strip()]
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-4000:], sep="\n", file=sys.stderr)
    said = re.sub(r" in [\d.]+s.*", "", lines[-1].strip("= "))
    return f"{said}, {time.perf_counter() - begun:.0f} s", done.returncode == 0


def main(arguments: list[str]) -> int:
    """Run all, print a line for each; 1 if a test failed."""
    good = True
    for combination in combinations():
        print(f"Python {combination.name:<20}", end=" ", flush=True)
        said, passed = run(combination, arguments)
        print(said, flush=True)
        good = good and passed
    return int(not good)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
