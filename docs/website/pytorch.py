"""The table in docs/coming-from-pytorch.md, from what the errors say: `make pictures`."""

from __future__ import annotations

from pathlib import Path

from minigrad import habits
from nn import habits as nn_habits

PAGE = Path(__file__).resolve().parent.parent / "coming-from-pytorch.md"
BEGIN, END = "<!-- habits -->\n", "\n<!-- end of habits -->"
TABLES = {
    "t.": habits.OF_TENSORS,
    "mg.": habits.OF_PACKAGE,
    "nn.": nn_habits.OF_PACKAGE,
    "module.": nn_habits.OF_MODULES,
}


def table() -> str:
    """PyTorch's names and what the error about each says to write."""
    lines = ["| you type | the error says |", "|---|---|"]
    for owner, names in TABLES.items():
        for name, said in sorted(names.items(), key=lambda item: item[0].lower()):
            words = said.replace("|", "\\|").replace("*", "\\*")
            lines.append(f"| `{owner}{name}` | {words} |")
    return "\n".join(lines)


def main() -> None:
    """Write the table into the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}{table()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
