"""What stands around the code agrees with it: versions, workflows, templates, the citation."""

from __future__ import annotations

import re
import tomllib
from operator import attrgetter

import pytest
import yaml

import minigrad as mg
from tests import release
from tests.floors import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
YAML = [
    *sorted(ROOT.glob(".github/**/*.yml")),
    ROOT / ".pre-commit-config.yaml",
    ROOT / "CITATION.cff",
]
NAME = attrgetter("name")
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def read(path: str) -> dict:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", YAML, ids=NAME)
def test_every_yaml_file_can_be_read(file) -> None:
    assert yaml.safe_load(file.read_text(encoding="utf-8"))


def test_one_version_is_said_everywhere() -> None:
    assert mg.__version__ == release.version() == release.cited() == next(iter(release.changes()))


def test_a_tag_is_released_only_if_all_agree_on_it() -> None:
    said = release.problems("v9.9.9")
    assert any("the tag is v9.9.9" in line for line in said)
    tag = f"v{release.version()}"
    assert not [line for line in release.problems(tag) if "unreleased" not in line]


def test_changes_of_every_version_are_told() -> None:
    assert all(len(text.split()) > 30 for text in release.changes().values())


def test_the_promised_pythons_are_those_that_the_workflow_runs() -> None:
    said = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if ":: 3." in line]
    matrix = read(".github/workflows/ci.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert said == matrix["python"] == PYTHONS
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    oldest = next(need for need in PROJECT["dependencies"] if need.startswith("numpy"))
    assert {f"numpy>={line['numpy'].removesuffix('.*')}" for line in matrix["include"]} == {oldest}


def test_before_a_commit_the_same_linters_run_as_in_the_suite() -> None:
    pinned = set(PROJECT["optional-dependencies"]["lint"])
    hooks = read(".pre-commit-config.yaml")["repos"][-1]["hooks"]
    used = {need for hook in hooks for need in hook["additional_dependencies"] if "==" in need}
    assert used <= pinned
    assert {need.partition("==")[0] for need in used} == {"ruff", "mypy"}


@pytest.mark.parametrize("workflow", sorted(ROOT.glob(".github/workflows/*.yml")), ids=NAME)
def test_what_workflows_run_exists(workflow) -> None:
    text = workflow.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake (\w+)", text):
        assert f"\n{target}:" in makefile
    for module in re.findall(r"python -m (tests\.\w+)", text):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists()
    for path in re.findall(r"\btests/\w+\.py", text):
        assert (ROOT / path).exists()


def test_all_links_into_the_repository_have_one_home() -> None:
    home = PROJECT["urls"]["Homepage"]
    assert read("CITATION.cff")["repository-code"] == home
    for name in ("Source", "Issues", "Changes"):
        assert PROJECT["urls"][name].startswith(home)
    for link in read(".github/ISSUE_TEMPLATE/config.yml")["contact_links"]:
        assert link["url"].startswith(home)
