"""The documentation site: every public name is described, and every link leads somewhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import minigrad as mg
import nn
from docs.website import links, reference


def test_every_public_name_is_described_once() -> None:
    text = "".join(reference.pages().values())
    described = re.findall(r"^## .*\{ #(\S+) \}$", text, re.MULTILINE)
    assert len(described) == len(set(described))
    for package in (mg, nn):
        for name in reference.public_names(package):
            if not hasattr(getattr(package, name), "__spec__"):
                assert f"{package.__name__}.{name}" in described
    assert {"nn.init.glorot", "minigrad.tanh", "minigrad.Graph", "nn.GRU"} <= set(described)
    assert "{ #minigrad.Graph.truncate }" in text


def test_every_description_has_words() -> None:
    for entry in reference.entries():
        assert reference.summary(entry.value), entry.written


def test_an_entry_shows_signature_shapes_example_and_source() -> None:
    entry = next(e for e in reference.entries() if e.written == "nn.GRUCell")
    text = reference.described(entry)
    assert text.startswith("## `nn.GRUCell` { #nn.GRUCell }")
    assert "```python\nnn.GRUCell(\n    input_size: int,\n" in text
    assert "```text\nr = σ(x W_xr + h_prev W_hr + b_r)\n" in text
    assert "```pycon\n>>> import numpy as np, nn\n" in text
    assert re.search(r"\[nn/cells.py\]\(https://\S+/nn/cells.py#L\d+\)", text)


DOCSTRING = """\
Limit what crosses * a step.

max_norm: the limit,
counted as a norm.
mask: bool (B).

Raises ValueError for `a_b` and
    an indented line

>>> f(1)
2
"""


def test_a_docstring_becomes_markdown() -> None:
    assert reference.markdown(DOCSTRING) == (
        "Limit what crosses \\* a step.\n\n"
        "- `max_norm`: the limit,\ncounted as a norm.\n\n- `mask`: bool (B).\n\n"
        "Raises ValueError for `a_b` and\n\n```text\n    an indented line\n```\n\n"
        "```pycon\n>>> f(1)\n2\n```"
    )


def test_long_signatures_have_a_line_for_each_parameter() -> None:
    def short(x: int, y: str = "a, b") -> str: ...
    def long(x: int, y: dict[str, int], *, z: str = "a, b, c, d, e", w: float = 0.5) -> str: ...

    assert reference.call("short", short) == "short(x: int, y: str = 'a, b') -> str"
    assert reference.call("long", long).splitlines()[1:4] == [
        "    x: int,",
        "    y: dict[str, int],",
        "    *,",
    ]


def test_names_in_sentences_lead_to_their_entries() -> None:
    known = {"Graph.cut": "graphs.md#cut"}
    text = "See `Graph.cut` and `Graph.none`.\n\n```pycon\n>>> `Graph.cut`\n```"
    assert reference.linked(text, known) == text.replace(
        "See `Graph.cut`", "See [`Graph.cut`](graphs.md#cut)"
    )


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<h1 id="top"></h1><a href="b.html#there">b</a>')
    (tmp_path / "b.html").write_text(
        '<p id="there"><a href="a.html#top"></a><a href="https://example.org">'
    )
    assert links.problems(tmp_path) == []
    (tmp_path / "b.html").write_text(
        '<a href="c.html"></a><a href="a.html#no"></a>'
        '<script src="https://example.org/x.js"></script>'
    )
    assert links.problems(tmp_path) == [
        "a.html points at b.html#there, which is not there",
        "b.html loads https://example.org/x.js from elsewhere",
        "b.html points at a.html#no, which is not there",
        "b.html points at c.html, which is not there",
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="needs the extra docs")
    from docs.website import build

    folder = tmp_path_factory.mktemp("docs")
    assert build.build(folder) == []
    return folder / "site"


@pytest.mark.slow
def test_the_site_is_built_in_two_languages_with_a_search(site: Path) -> None:
    english = (site / "index.html").read_text(encoding="utf-8")
    vietnamese = (site / "vi" / "index.html").read_text(encoding="utf-8")
    assert '<html lang="en"' in english
    assert '<html lang="vi"' in vietnamese
    assert 'href="vi/index.html"' in english
    assert 'href="../index.html"' in vietnamese
    for page in (english, vietnamese):
        assert "play.html" in page
    index = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    entries = json.loads(index.partition("=")[2])["docs"]
    assert any(entry["location"].endswith("#minigrad.Graph.truncate") for entry in entries)
    assert len(list(site.glob("*.html"))) > 12


@pytest.mark.slow
def test_the_search_answers_from_a_folder_without_a_server(site: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs Chromium")
    words = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=9000"]
    address = f"{(site / 'index.html').as_uri()}?q=truncate"
    page = subprocess.run(
        [*words, "--dump-dom", address], capture_output=True, text=True, timeout=120
    ).stdout
    assert re.search(r"\d+ matching documents", page)
