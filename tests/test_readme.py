"""All code in the README and the documentation runs, and prints what it says it prints."""

import ast
import doctest
import importlib.util
import json
import linecache
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import demos
from docs.website import pytorch

ROOT = Path(demos.__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "README.vi.md", *sorted((ROOT / "docs").glob("**/*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def blocks(page, *languages):
    """The fenced blocks of a page in some languages: (first line, language, text)."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if found[1] in languages:
            yield text[: found.start()].count("\n") + 2, found[1], found[2]


RUN = [page for page in PAGES if page.name != "README.vi.md" and page.parent.name != "vi"]


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_code_runs_and_prints_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": f"page {page.relative_to(ROOT)}"}
    exec("import numpy as np, minigrad as mg, nn", namespace)
    flags = doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=flags)
    for line, language, text in blocks(page, "python", "pycon"):
        if "import torch" in text and importlib.util.find_spec("torch") is None:
            continue  # a test of its own runs it where PyTorch is installed
        if language == "python":
            name = f"<{page.name}:{line}>"
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
            exec(compile(text, name, "exec"), namespace)
        else:
            test = doctest.DocTestParser().get_doctest(
                text, {}, f"{page.name}:{line}", str(page), line - 1
            )
            test.globs = namespace
            report = []
            runner.run(test, out=report.append, clear_globs=False)
            assert not report, "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_what_a_page_points_at_exists(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text) + re.findall(r'src="([^"]+)"', text)
    for target in targets:
        assert target.startswith("http") or (page.parent / target).exists(), (
            f"{page.name} points at {target}"
        )


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


def statements(page):
    """The program of a page, without comments, and what it prints."""
    parser = doctest.DocTestParser()
    for _, language, text in blocks(page, "python", "pycon"):
        parts = [(text, "")]
        if language == "pycon":
            parts = [(example.source, example.want) for example in parser.get_examples(text)]
        yield from ((ast.dump(ast.parse(source)), want) for source, want in parts)


TRANSLATED = {ROOT / "README.vi.md": ROOT / "README.md"} | {
    page: ROOT / "docs" / page.name for page in sorted((ROOT / "docs" / "vi").glob("*.md"))
}


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: page.name)
def test_a_translated_page_has_the_programs_sections_tables_and_pictures_of_the_original(page):
    original = TRANSLATED[page]
    assert [*statements(page)] == [*statements(original)]
    if page.parent.name == "vi":
        assert [*transcripts(page)] == [*transcripts(original)]
    shape = re.compile(r"^#+ |^\| |^!\[|<img", re.MULTILINE)
    shapes = [shape.findall(text(p)) for p in (page, original)]
    assert shapes[0] == shapes[1]


def transcripts(page):
    """What is typed into a terminal or a file, and what comes; comments may be translated."""
    for _, _, block in blocks(page, "console", "py", "json"):
        yield re.sub(r"  #.*", "", block)


def test_every_page_is_there_in_vietnamese_too():
    english = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert {page.name for page in (ROOT / "docs" / "vi").glob("*.md")} == english


def text(page):
    """A page without its blocks of code, and without the tables of errors, which are English."""
    whole = page.read_text(encoding="utf-8")
    whole = re.sub(
        r"<!-- (habits|expressions) -->.*?<!-- end of \1 -->", "", whole, flags=re.DOTALL
    )
    return re.sub(r"^```\w+\n.*?^```", "", whole, flags=re.MULTILINE | re.DOTALL)


def test_the_first_page_shows_what_its_code_draws():
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    drawn = re.findall(r'render\("([^"]+\.png)"', page)
    shown = re.findall(r"docs/pictures/([^)\"]+\.png)", page)
    assert len(drawn) > 3
    assert [name for name in shown if name in drawn] == drawn


def test_transcripts_of_demos_are_what_they_print(tmp_path):
    for _, _, text in blocks(ROOT / "README.md", "console"):
        command, *said = text.splitlines()
        if not command.startswith("$ python -m demos."):
            continue
        words = [sys.executable, *shlex.split(command)[2:], "--out", str(tmp_path)]
        if "vanishing" in command:  # its untrained networks are those of a full run
            words += ["--quick", "-T", "30"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            words, capture_output=True, text=True, cwd=ROOT, env=environment, check=True
        )
        printed = robust(done.stdout).splitlines()
        for line in said:
            assert robust(line) in printed


def robust(text):
    """The text without line numbers, and without how exactly a check agrees."""
    return re.sub(r"(finite differences).*", r"\1", re.sub(r"(\.py):\d+", r"\1", text))


def test_the_notebook_runs_and_holds_the_outputs_it_gives(monkeypatch):
    specification = importlib.util.spec_from_file_location(
        "notebook", ROOT / "docs" / "notebook.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    kept = json.loads(module.TARGET.read_text(encoding="utf-8"))
    made = module.notebook()
    assert [cell["source"] for cell in kept["cells"]] == [cell["source"] for cell in made["cells"]]
    for before, now in zip(kept["cells"], made["cells"], strict=True):
        for one, other in zip(before.get("outputs", ()), now.get("outputs", ()), strict=True):
            assert one.get("text") == other.get("text")
            assert one.get("data", {}).keys() == other.get("data", {}).keys()
    drawn = [
        output for cell in made["cells"] for output in cell.get("outputs", ()) if "data" in output
    ]
    assert len(drawn) == 3
    assert all("<svg" in output["data"]["image/svg+xml"] for output in drawn)


def test_the_page_about_pytorch_has_the_table_of_the_errors():
    page = pytorch.PAGE.read_text(encoding="utf-8")
    assert page == pytorch.page(), "run `python -m docs.website.pytorch`"


def test_the_loss_inside_a_pytorch_job_gives_pytorchs_gradients():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    text = pytorch.PAGE.read_text(encoding="utf-8")
    (program,) = [
        code for code in re.findall(r"```python\n(.*?)```", text, re.S) if "torch" in code
    ]
    space: dict[str, object] = {}
    exec(program, space)
    net, xs, target = (space[name] for name in ("net", "xs", "target"))
    found = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    y = net(xs)[0]
    (((y - target) ** 2).mean() + 0.1 * y.diff(dim=0).abs().mean()).backward()
    for dp, p in zip(found, net.parameters(), strict=True):
        torch.testing.assert_close(dp, p.grad)
    x = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    loss = space["Outside"].apply
    aim = torch.randn(4, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: loss(space["smooth_steps"], x, aim), x)
