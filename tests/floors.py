"""The floors of the house: which module may import which, and who imports whom today."""

from __future__ import annotations

import ast
from pathlib import Path

import graphviz

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "pictures" / "floors.svg"
BEGIN, END = "<!-- floors: drawn by `make pictures` -->", "<!-- end of floors -->"

# Lowest first.  Within a floor, modules stand in the order of their names here; a package is one
# entry, and its own modules may import each other as long as that makes no circle.
FLOORS = [
    [
        "cached",
        "columns",
        "habits",
        "language",
        "memory",
        "norms",
        "sparkline",
        "source",
        "paths",
        "scope",
        "doors",
    ],
    ["operators", "tensor"],
    ["changes", "primitive", "naming", "timesteps"],
    ["ops", "graph", "states"],
    ["history", "fitting", "grad_table", "backward"],
    [
        *("reports", "functional", "anomaly", "clip", "edges", "edits", "watch", "flow"),
        *("measures", "gradcheck", "explain", "pickling", "running"),
        *("journal", "runs", "guess", "recorder", "differences"),
        *("survey", "rulecheck", "symptoms", "checkup"),
    ],
    ["render", "program"],
    ["public", "later"],
    ["debugger"],
    ["__init__"],
]
ORDER = [name for floor in FLOORS for name in floor]


def modules(package: str) -> dict[str, Path]:
    """The modules of a package by dotted name."""
    files = sorted((ROOT / package).rglob("*.py"))
    return {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in files}


MODULES = modules("minigrad") | modules("nn")


def imports(file: Path) -> set[str]:
    """The dotted names that a file imports: at the top, inside functions, and for types only."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def imported(name: str, known: dict[str, Path] = MODULES) -> set[str]:
    """The modules of `known` that one of them imports."""
    found = set()
    for path in imports(known[name]):
        while path not in known and f"{path}.__init__" not in known and "." in path:
            path = path.rpartition(".")[0]
        found.add(path if path in known else f"{path}.__init__")
    return found & known.keys() - {name}


def entry(module: str) -> str:
    """The entry of FLOORS that a module of minigrad belongs to: its package, or itself."""
    return module.split(".")[1]


def direct_imports() -> dict[str, set[str]]:
    """For each entry of FLOORS that exists, the entries that its modules import."""
    found: dict[str, set[str]] = {name: set() for name in ORDER if is_built(name)}
    for module in modules("minigrad"):
        found[entry(module)] |= {entry(name) for name in imported(module) if name in MODULES}
    return {name: needs - {name} for name, needs in found.items()}


def is_built(name: str) -> bool:
    """Whether an entry of FLOORS is a module or a package of minigrad."""
    folder = ROOT / "minigrad" / name
    return folder.is_dir() or folder.with_suffix(".py").exists()


def arrows() -> list[tuple[str, str]]:
    """Who imports whom, without what follows from other arrows, from the highest floor down."""
    needs = direct_imports()
    below: dict[str, set[str]] = {}
    found = []
    for name in needs:  # lowest first, so that all below is known
        through = {far for near in needs[name] for far in below[near]}
        below[name] = needs[name] | through
        found += [(name, near) for near in sorted(needs[name] - through, key=ORDER.index)]
    return found[::-1]


def title(name: str) -> str:
    """An entry as `ls` shows it."""
    if name == "__init__":
        return "minigrad"
    return f"{name}/" if (ROOT / "minigrad" / name).is_dir() else name


def as_text() -> str:
    """The floors that are built, the highest first, one line each."""
    lines = ["nn/        on the public names of minigrad only"]
    for number, floor in reversed(list(enumerate(FLOORS))):
        names = "  ".join(title(name) for name in floor if is_built(name))
        lines.append(f"floor {number}    {names}")
    return "\n".join(lines)


def as_dot() -> graphviz.Digraph:
    """The floors as a picture: a row for each, an arrow for each import that no other implies."""
    dot = graphviz.Digraph("floors")
    dot.attr(ranksep="0.45", nodesep="0.2", splines="true", bgcolor="white")
    dot.attr("node", shape="box", style="filled,rounded", fillcolor="#eef3fb", color="#8aa4cc")
    dot.attr("node", fontname="Helvetica", fontsize="13", height="0.35", margin="0.12,0.04")
    dot.attr("edge", color="#667799", arrowsize="0.6")
    for number, floor in enumerate(FLOORS):
        with dot.subgraph() as row:
            row.attr(rank="same")
            row.node(
                f"floor {number}", f"floor {number}", shape="plain", style="", fillcolor="white"
            )
            for name in floor:
                if is_built(name):
                    row.node(name, title(name))
    for number in range(1, len(FLOORS)):
        dot.edge(f"floor {number}", f"floor {number - 1}", style="invis")
    dot.node("nn", "nn/", fillcolor="#eef7ee", color="#7fae83")
    for name, near in [("nn", "__init__"), *arrows()]:
        dot.edge(name, near)
    return dot


def draw() -> None:
    """Write the floors into CONTRIBUTING.md and the picture beside it."""
    page = ROOT / "CONTRIBUTING.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    text = f"{before}{BEGIN}\n```text\n{as_text()}\n```\n{END}{after}"
    page.write_text(text, encoding="utf-8")
    PICTURE.write_text(as_dot().pipe("svg", encoding="utf-8"), encoding="utf-8")
    print(page.relative_to(ROOT), PICTURE.relative_to(ROOT))
