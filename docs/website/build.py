"""Build the documentation: `make docs`, or `python -m docs.website.build`.

Material for MkDocs, because the pages are Markdown that code hosts show too, its search works from
a folder without a server, and it warns of every link that leads nowhere.  (Zensical, its successor
by the same people, builds the same settings.)  The site is written to out/site, in English, and
under vi/ in Vietnamese; a warning fails the build.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

import minigrad
import nn
from docs.website import links, reference

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
REPOSITORY = reference.SOURCE
ORDER = [
    "tutorial",
    "lesson",
    "draw",
    "page",
    "clip",
    "truncate",
    "measure",
    "find-a-nan",
    "debugger",
    "custom-cell",
    "beyond-chains",
]
GALLERY = """\
# Gallery

Each picture leads to the page that makes it.

<div class="gallery" markdown="1">
{}
</div>
"""
ENGLISH = {
    "README.md": "index.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
}
VIETNAMESE = {"README.vi.md": "index.md"}
WORDS = {
    "en": {
        "start": "Start",
        "how": "How to",
        "reference": "Reference",
        "project": "Project",
        "play": "A backward pass to step through",
    },
    "vi": {
        "start": "Bắt đầu",
        "how": "Hướng dẫn",
        "play": "Một lượt lan truyền ngược để đi từng bước",
    },
}


def assemble(source: Path) -> None:
    """Write the pages of both languages, as MkDocs wants them, into a folder."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "docs" / "pictures", source / "en" / "pictures")
    shutil.copytree(ROOT / "docs" / "pictures", source / "vi" / "pictures")
    for language, pages in (("en", ENGLISH), ("vi", VIETNAMESE)):
        for extra in ("style.css", "iframe-worker.js"):
            shutil.copy(HERE / extra, source / language)
        for name, target in pages.items():
            text = (ROOT / name).read_text(encoding="utf-8")
            write(source / language / target, moved(text, language, ""))
    for page in sorted((ROOT / "docs").glob("*.md")):
        write(source / "en" / page.name, moved(page.read_text(encoding="utf-8"), "en", "docs/"))
    for page in sorted((ROOT / "docs" / "vi").glob("*.md")):
        write(source / "vi" / page.name, moved(page.read_text(encoding="utf-8"), "vi", "docs/vi/"))
    for language in ("en", "vi"):
        play(source / language, language)
    write(source / "en" / "notebook.md", notebook(source / "en" / "pictures"))
    write(source / "en" / "gallery.md", gallery(source / "en"))
    for name, text in reference.pages().items():
        write(source / "en" / "reference" / name, text)


def play(folder: Path, language: str) -> None:
    """Put a page that one plays on the first page, under its first picture."""
    minigrad.seed(0)
    xs = np.random.default_rng(0).standard_normal((5, 1, 2))
    ys, _ = nn.Unroll(nn.RNNCell(2, 3))(xs)
    minigrad.Graph((ys[-1] ** 2).mean()).render(folder / "play.html", lang=language)
    index = folder / "index.md"
    frame = f'<iframe class="play" src="play.html" title="{WORDS[language]["play"]}"></iframe>'
    text = index.read_text(encoding="utf-8")
    first = re.sub(r"(^!\[.*\]\(.*\)$)", rf"\1\n\n{frame}", text, count=1, flags=re.MULTILINE)
    index.write_text(first, encoding="utf-8")


def write(file: Path, text: str) -> None:
    """Write a page, with its folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def moved(text: str, language: str, folder: str) -> str:
    """A page of the repository with links to pages of the site, or to files of the repository."""

    def lead(found: re.Match[str]) -> str:
        before, target, after = found.groups()
        return f"{before}{new_address(target, language, folder)}{after}"

    text = re.sub(r"<!-- badges -->.*<!-- end of badges -->\n", "", text, flags=re.DOTALL)
    text = re.sub(r"(\]\()([^)\s]+)(\))", lead, text)
    return re.sub(r'(src=")([^"]+)(")', lead, text)


def new_address(target: str, language: str, folder: str) -> str:
    """Where a link of a file in `folder` leads to on the site."""
    if re.match(r"\w+:|#", target):
        return target
    path, mark, place = target.partition("#")
    path = (ROOT / folder / path).resolve().relative_to(ROOT).as_posix()
    mine, other = (ENGLISH, VIETNAMESE) if language == "en" else (VIETNAMESE, ENGLISH)
    up = "vi/" if language == "en" else "../"
    own_folder, other_folder = ("docs/", "docs/vi/") if language == "en" else ("docs/vi/", "docs/")
    if path in mine:
        return mine[path] + mark + place
    if path in other:
        return up + other[path].replace(".md", ".html") + mark + place
    if path == "docs/bptt.ipynb":
        return "notebook.md" if language == "en" else "../notebook.html"
    if path.startswith("docs/pictures/"):
        return path.removeprefix("docs/")
    if path.endswith(".md") and Path(path).parent.as_posix() + "/" == own_folder:
        return path.removeprefix(own_folder) + mark + place
    if path.endswith(".md") and Path(path).parent.as_posix() + "/" == other_folder:
        return up + path.removeprefix(other_folder).replace(".md", ".html") + mark + place
    return f"{REPOSITORY}/{path}{mark}{place}"


def notebook(pictures: Path) -> str:
    """The notebook as a page: its text, its code, and what that printed and drew."""
    cells = json.loads((ROOT / "docs" / "bptt.ipynb").read_text(encoding="utf-8"))["cells"]
    parts = []
    for number, cell in enumerate(cells):
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        for output in cell.get("outputs", ()):
            if "text" in output:
                parts.append("```text\n{}\n```".format("".join(output["text"]).rstrip()))
            elif "image/svg+xml" in output["data"]:
                drawn = "".join(output["data"]["image/svg+xml"])
                write(pictures / f"notebook-{number}.svg", drawn)
                parts.append(f"![What the cell above draws](pictures/notebook-{number}.svg)")
    return "\n\n".join(parts) + "\n"


def gallery(folder: Path) -> str:
    """Every picture of the documentation, with its words and the page that explains it."""
    found: dict[str, tuple[str, str]] = {}
    for page in sorted(folder.glob("*.md"), key=lambda page: page.name == "index.md"):
        text = page.read_text(encoding="utf-8")
        shown = re.findall(r"!\[([^\]]*)\]\((pictures/[^)]+)\)", text)
        shown += [
            (alt, src) for src, alt in re.findall(r'src="(pictures/[^"]+)".*?alt="([^"]*)"', text)
        ]
        for words, picture in shown:
            found.setdefault(picture, (words, page.name))
    figures = [figure(picture, *words) for picture, words in sorted(found.items())]
    return GALLERY.format("\n".join(figures))


def figure(picture: str, words: str, page: str) -> str:
    """A picture of the gallery that leads to its page."""
    caption = f"<figcaption>{words}</figcaption>"
    return f'<figure markdown="1">\n[![{words}]({picture})]({page})\n{caption}\n</figure>\n'


def navigation(folder: Path, language: str) -> list[dict[str, object]]:
    """The pages in order: what leads in first, then what one looks up."""
    words = WORDS[language]
    known = {"index", "changes", "contributing", "gallery", "notebook"}
    names = {page.stem for page in folder.glob("*.md")} - known
    ordered = [name for name in ORDER if name in names] + sorted(names - {*ORDER})
    lead_in = [
        name for name in ("index", "tutorial", "notebook", "gallery") if is_page(folder, name)
    ]
    parts: list[dict[str, object]] = [{words["start"]: [f"{name}.md" for name in lead_in]}]
    how_to = [f"{name}.md" for name in ordered if name != "tutorial"]
    if how_to:
        parts.append({words["how"]: how_to})
    if language == "en":
        parts.append({words["reference"]: [f"reference/{name}" for name in reference.pages()]})
        parts.append({words["project"]: ["contributing.md", "changes.md"]})
    return parts


def is_page(folder: Path, name: str) -> bool:
    """Whether the site has a page of that name."""
    return (folder / f"{name}.md").exists()


def configuration(source: Path, site: Path, language: str) -> Path:
    """Write MkDocs' settings for one language; returns their file."""
    home, other = ("./", "vi/") if language == "en" else ("../", "./")
    text = (HERE / "mkdocs.yml").read_text(encoding="utf-8")
    text = text.replace("{english}", home + "index.html").replace(
        "{vietnamese}", other + "index.html"
    )
    settings = yaml.safe_load(text)
    settings |= {
        "docs_dir": str(source / language),
        "site_dir": str(site if language == "en" else site / "vi"),
        "nav": navigation(source / language, language),
    }
    settings["theme"]["language"] = language
    file = source / f"mkdocs.{language}.yml"
    write(file, yaml.safe_dump(settings, allow_unicode=True, sort_keys=False))
    return file


def build(folder: Path) -> list[str]:
    """Build both languages under a folder; returns what is wrong with the links of the result."""
    source, site = folder / "pages", folder / "site"
    assemble(source)
    for language in ("en", "vi"):  # the Vietnamese site lies inside of the English one
        settings = configuration(source, site, language)
        words = [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--quiet",
            "--strict",
            "-f",
            str(settings),
        ]
        subprocess.run(words, check=True, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})
    for page in site.rglob("404.html"):  # a page for servers; its links are of their root
        page.unlink()
    return links.problems(site)


def main() -> int:
    """Build into out/, say where, or what is wrong; 1 if anything is."""
    wrong = build(ROOT / "out")
    print("\n".join(wrong) or "out/site/index.html")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
