"""The tables in docs/coming-from-pytorch.md, from what the errors say: `python -m docs.website.pytorch`."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from minigrad import habits
from nn import habits as nn_habits
from tests.habits import SAYS, WORKS, found, rows

PAGE = Path(__file__).resolve().parent.parent / "coming-from-pytorch.md"
TABLES = {
    "t.": habits.OF_TENSORS,
    "mg.": habits.OF_PACKAGE,
    "nn.": nn_habits.OF_PACKAGE,
    "nn.init.": nn_habits.OF_INIT,
    "module.": nn_habits.OF_MODULES,
    "optimizer.": nn_habits.OF_OPTIMIZERS,
    "mg.f(…) ": {f"{name}=": text for name, text in habits.OF_KEYWORDS.items()},
    "nn.f(…) ": {f"{name}=": text for name, text in nn_habits.OF_KEYWORDS.items()},
}


def table() -> str:
    """PyTorch's names and what the error about each says to write; those of one kind in a row."""
    lines = ["| you type | the error says |", "|---|---|"]
    for owner, names in TABLES.items():
        kinds: dict[str, list[str]] = {}
        for name, said in sorted(names.items(), key=lambda item: item[0].lower()):
            kinds.setdefault(kind(name, said), []).append(f"`{owner}{name}`")
        for said, alike in kinds.items():
            words = said.replace("|", "\\|").replace("*", "\\*")
            lines.append(f"| {', '.join(alike)} | {words} |")
    return "\n".join(lines)


def kind(name: str, said: str) -> str:
    """The advice with NAME in place of the name, which so is the same for several."""
    base = name.removesuffix("_")
    return re.sub(rf"\b(np|mg|t|init)\.{re.escape(base)}\b", r"\1.NAME", said)


def expressions() -> str:
    """How many of the expressions in `tests/habits.py` work, and how many say what to write."""
    counts: dict[str, Counter[str]] = {}
    for habit in rows():
        counts.setdefault(habit.family, Counter())[found(habit)[0]] += 1
    total: Counter[str] = sum(counts.values(), Counter())
    lines = ["| what one types | expressions | work | say what to write |", "|---|---|---|---|"]
    for family, of_family in [*counts.items(), ("all", total)]:
        lines.append(f"| {family} | {of_family.total()} | {of_family[WORKS]} | {of_family[SAYS]} |")
    return "\n".join(lines)


def between(text: str, name: str, new: str) -> str:
    """The page with something new between the marks of this name."""
    begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    before, _, rest = text.partition(begin)
    return f"{before}{begin}{new}{end}{rest.partition(end)[2]}"


def page() -> str:
    """The page with both tables made anew."""
    text = between(PAGE.read_text(encoding="utf-8"), "habits", table())
    return between(text, "expressions", expressions())


def main() -> None:
    """Write the tables into the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
