"""Types that hold: both checkers find every planted mistake, and accept what users write."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.floors import ROOT

FOLDER = ROOT / "tests" / "typing"
MYPY = """
[mypy]
strict = true
mypy_path = {root}
cache_dir = {root}/.mypy_cache/users
follow_imports = silent
"""


def mistakes() -> set[int]:
    """The lines of wrong.py that say that they are wrong."""
    lines = (FOLDER / "wrong.py").read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if "  # wrong:" in line}


def complaints(output: str, file: str) -> set[int]:
    """The lines of a file in which a checker found an error."""
    found = re.findall(rf"{file}:(\d+).*?\berror\b", output)
    return set(map(int, found))


def mypy(folder: Path) -> str:
    """What mypy says of a folder of programs, as strict as it can be."""
    (folder / "mypy.ini").write_text(MYPY.format(root=ROOT.as_posix()))
    words = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "wrong.py", "right.py"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=600).stdout


def pyright(folder: Path) -> str:
    """What pyright says of a folder of programs, as strict as it can be."""
    pytest.importorskip("pyright", reason="needs the extra lint")
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(ROOT)], "include": ["."]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    words = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=600)
    if not re.search(r"^\d+ errors?, ", done.stdout, re.MULTILINE):
        pytest.skip(f"pyright could not be fetched: {done.stderr[-300:]}")
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("check", [mypy, pyright])
def test_every_mistake_is_found_and_nothing_else(check, tmp_path: Path) -> None:
    for file in FOLDER.glob("*.py"):
        shutil.copy(file, tmp_path)
    said = check(tmp_path)
    assert len(mistakes()) >= 35
    assert complaints(said, "wrong.py") == mistakes(), said
    assert complaints(said, "right.py") == set(), said
