"""What is printed for people is there in Vietnamese; what programs compare stays English."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.language import VARIABLES, language, say
from tests.floors import ROOT


@pytest.fixture
def vietnamese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGRAD_LANG", "vi")


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("vi", "vi"),
        ("vi_VN.UTF-8", "vi"),
        ("VI", "vi"),
        ("en_GB.UTF-8", "en"),
        ("C", "en"),
        ("", "en"),
    ],
)
def test_the_environment_chooses(
    variable: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    assert language() == expected


def test_ours_comes_before_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "vi_VN.UTF-8")
    monkeypatch.setenv("MINIGRAD_LANG", "en")
    assert language() == "en"


def sources() -> Iterator[Path]:
    yield from sorted((ROOT / "minigrad").rglob("*.py"))


def constants(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def said(file: Path) -> Iterator[str]:
    """The texts that a file gives to `say` as they stand there."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say":
            text = node.args[0]
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                yield text.value


def test_every_text_that_is_said_has_a_translation() -> None:
    missing = {text for file in sources() for text in said(file)} - say.keys()
    assert not missing


def test_every_translation_is_of_a_text_that_is_said() -> None:
    known = {text for file in sources() if file.name != "language.py" for text in constants(file)}
    assert not say.keys() - known


def fields(text: str) -> set[Any]:
    return {(name, form) for _, name, form, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("text", say)
def test_a_translation_tells_the_same_values(text: str) -> None:
    assert fields(say[text]) == fields(text)


def flow() -> Any:
    mg.seed(0)
    ys, _ = nn.Unroll(nn.RNNCell(2, 4))(np.ones((12, 1, 2)))
    return mg.Graph((ys[-1] ** 2).mean()).gradient_flow(jacobians=False)


@pytest.mark.usefixtures("vietnamese")
def test_a_verdict_is_printed_in_vietnamese_and_compared_in_english() -> None:
    report = flow()
    assert report.verdict == "vanishing"
    assert "h: biến mất, ×" in str(report)
    assert "mỗi bước" in repr(report)
    assert "nhớ được" in str(report)
    assert "vanishing" not in str(report)


@pytest.mark.usefixtures("vietnamese")
def test_other_reports_too() -> None:
    ys, _ = nn.Unroll(nn.RNNCell(2, 4))(np.ones((12, 1, 2)))
    graph = mg.Graph((ys[-1] ** 2).mean())
    assert str(graph.truncation_bias(4)).startswith("rút ngắn còn 4")
    with mg.clip_report() as report:
        graph.clip_edges(max_norm=1e-6).backward()
    assert "hệ số nhỏ nhất" in str(report)


@pytest.mark.usefixtures("vietnamese")
def test_a_page_speaks_the_language_of_its_reader(tmp_path: Path) -> None:
    ys, _ = nn.Unroll(nn.RNNCell(2, 4))(np.ones((3, 1, 2)))
    path = tmp_path / "x.html"
    mg.Graph(ys[-1].sum()).render(path)
    assert '<html lang="vi">' in path.read_text(encoding="utf-8")
    mg.Graph(ys[-1].sum()).render(path, lang="en")
    assert '<html lang="en">' in path.read_text(encoding="utf-8")
