"""Every piece of code in the README and the documentation runs, and prints what it says it prints."""

import doctest
import importlib.util
import linecache
import re
import shlex
from pathlib import Path

import pytest

import demos

ROOT = Path(demos.__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "README.vi.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def blocks(page, *languages):
    """The fenced blocks of a page in some languages: (first line, language, text)."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if found[1] in languages:
            yield text[: found.start()].count("\n") + 2, found[1], found[2]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_code_runs_and_prints_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    exec("import numpy as np, minigrad as mg, nn", namespace)
    flags = doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=flags)
    for line, language, text in blocks(page, "python", "pycon"):
        if language == "python":
            name = f"<{page.name}:{line}>"
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
            exec(compile(text, name, "exec"), namespace)
        else:
            test = doctest.DocTestParser().get_doctest(text, {}, f"{page.name}:{line}", str(page), line - 1)
            test.globs = namespace
            report = []
            runner.run(test, out=report.append, clear_globs=False)
            assert not report, "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_what_a_page_points_at_exists(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text) + re.findall(r'src="([^"]+)"', text)
    for target in targets:
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name} points at {target}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_name_what_there_is(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for _, _, text in blocks(page, "console"):
        for line in re.findall(r"^\$ (.*)", text, re.MULTILINE):
            words = shlex.split(line, comments=True)
            for first, second, *_ in (words[k : k + 3] for k in range(len(words) - 1)):
                if first == "make":
                    assert f"\n{second}:" in makefile
                elif first == "-m" and second.startswith("demos."):
                    assert second.removeprefix("demos.") in demos.NAMES
                elif first == "-m":
                    assert importlib.util.find_spec(second)
