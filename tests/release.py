"""Whether a tag may be released: it is the version, and the changelog and the citation say so too.

python -m tests.release v0.2.0           fails and says why, or prints what will be released
python -m tests.release v0.2.0 --notes   print the changes of that version
"""

from __future__ import annotations

import argparse
import re
import sys

from tests.floors import ROOT


def version() -> str:
    """The version that the code says it has."""
    return found(r'^__version__ = "(.+)"$', "minigrad/__init__.py")


def cited() -> str:
    """The version that the citation names."""
    return found(r"^version: (.+)$", "CITATION.cff")


def found(pattern: str, path: str) -> str:
    """The group of a pattern in a file; fails if it is not there."""
    match = re.search(pattern, (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        raise ValueError(f"{path} has no line like {pattern}")
    return match[1]


def changes() -> dict[str, str]:
    """The changes by version, the newest first."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.split(r"^## (\S+).*\n", text, flags=re.MULTILINE)[1:]
    return {name: body.strip() for name, body in zip(sections[::2], sections[1::2], strict=True)}


def problems(tag: str) -> list[str]:
    """Why a tag may not be released; empty if it may."""
    newest = next(iter(changes()))
    wrong = []
    if tag != f"v{version()}":
        wrong.append(f"the tag is {tag}, the version in minigrad/__init__.py is {version()}")
    if newest != version():
        wrong.append(f"the newest version in CHANGELOG.md is {newest}, not {version()}")
    if "unreleased" in found(r"^## (.*)$", "CHANGELOG.md"):
        wrong.append("CHANGELOG.md still calls it unreleased: write the date")
    if cited() != version():
        wrong.append(f"CITATION.cff has the version {cited()}, not {version()}")
    return wrong


def main() -> int:
    """Check a tag, or print its changes; 1 if it may not be released."""
    parser = argparse.ArgumentParser(prog="python -m tests.release", description=__doc__)
    parser.add_argument("tag")
    parser.add_argument("--notes", action="store_true", help="print the changes of that version")
    given = parser.parse_args()
    if given.notes:
        print(changes()[given.tag.removeprefix("v")])
        return 0
    wrong = problems(given.tag)
    print("\n".join(wrong) or f"{given.tag} may be released")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
