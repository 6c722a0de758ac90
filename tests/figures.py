"""How dense the code is, part by part, beside code that is loved: figures to look at, not limits.

    python -m tests.figures          the table that `make lint` prints; it fails for nothing
    python -m tests.figures floors   draw the floors, in CONTRIBUTING.md and docs/pictures

Docstrings, comments and blank lines do not count.  A decision is a branch, a loop, an `except`, a
chain of `and` or `or`, or one `for` of a comprehension.  A nested comprehension has two of these,
or another comprehension inside.
"""

from __future__ import annotations

import argparse
import ast
import io
import statistics
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from minigrad.columns import columns
from tests import floors

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DOCUMENTED = (*FUNCTIONS, ast.ClassDef)
DECISIONS = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.While,
    ast.ExceptHandler,
    ast.BoolOp,
    ast.comprehension,
)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
SILENT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
MANY = 12  # decisions in one function
WIDE = 100  # characters

TOOLS = floors.FLOORS[5]
PACKAGES = {
    "operations": "minigrad/ops",
    "render": "minigrad/render",
    "programs": "minigrad/program",
    "debugger": "minigrad/debugger",
    "nn": "nn",
}

HEADINGS = (
    "part",
    "files",
    "lines",
    "tokens",
    "tokens\n/ line",
    "width\np90",
    "lines\n> 100",
    "function\nmedian / max",
    "decisions\nmean",
    "functions\nwith >= 12",
    "x if c else y\n/ 100 lines",
    "nested for\n/ 100 lines",
    "a, b = x, y\nof all =",
    "public\ndocumented",
    "biggest\ncircle",
)

# Measured once, in the same way, on the versions of that day.
ANCHORS = """
HIPS autograd     37  3503  35639  10.2   74   2.0%  3 / 54   1.2  0.7%  0.9  0.1   3.7%   9%  18
graphviz          33  1657  11850   7.2   69   0.5%  3 / 44   1.2  0.7%  1.1  0.0   0.0%  84%   6
micrograd          3   107      -     -   67   0.0%  1 / 12     -     -  5.6  1.9      -   0%   1
DeZero            13  2481  20976   8.5   57   0.3%  3 / 32   0.7  0.0%  1.0  0.0   2.6%   5%  12
equinox           72  9020  59185   6.6   71   0.1%  4 / 252  1.3  0.8%  0.7  0.0   0.1%  36%   2
haiku recurrent    1   351   2868   8.2   65   0.9%  5 / 26   1.1  0.0%  0.9  0.0      -  38%   -
chainer rnn        -   656   5610   8.6   64   0.0%  4 / 44   1.4  1.6%  0.3  0.6   1.9%  33%   -
tinygrad         215  3405  59527  17.5  116  16.7%  1 / 666  2.1  3.0%  7.1  0.5      -  11%  81
"""


class Function(NamedTuple):
    """Lines of a function's body, and its decisions."""

    lines: int
    decisions: int


class Code(NamedTuple):
    """What one file holds, as numbers that can be added up over files."""

    widths: list[int]  # one for each line of code
    tokens: int
    functions: list[Function]
    conditional_expressions: int
    nested_comprehensions: int
    assignments: int
    tuple_assignments: int
    public: int
    documented: int


def docstring_lines(tree: ast.AST) -> set[int]:
    """The numbers of the lines that docstrings take."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (*DOCUMENTED, ast.Module)) and ast.get_docstring(node) is not None:
            first = node.body[0]
            lines.update(range(first.lineno, last_line(first) + 1))
    return lines


def last_line(node: ast.stmt) -> int:
    """The last line of a statement."""
    assert node.end_lineno is not None
    return node.end_lineno


def code_tokens(text: str, docstrings: set[int]) -> list[tokenize.TokenInfo]:
    """The tokens of a file that are code."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [
        token
        for token in tokens
        if token.type not in SILENT and not docstrings.issuperset(span(token))
    ]


def span(token: tokenize.TokenInfo) -> range:
    """The lines that a token stands on."""
    return range(token.start[0], token.end[0] + 1)


def count(nodes: Iterable[ast.AST], *kinds: type[ast.AST]) -> int:
    """How many of the nodes are of one of these kinds."""
    return sum(isinstance(node, kinds) for node in nodes)


def is_nested(node: ast.AST) -> bool:
    """Whether a comprehension has a second `for`, or another comprehension inside."""
    if not isinstance(node, COMPREHENSIONS):
        return False
    return len(node.generators) > 1 or count(ast.walk(node), *COMPREHENSIONS) > 1


def is_tuple_assignment(node: ast.AST) -> bool:
    """Whether a statement is like `a, b = x, y`."""
    if not isinstance(node, ast.Assign):
        return False
    return isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple)


def public_definitions(tree: ast.Module | ast.ClassDef) -> Iterator[ast.AST]:
    """The functions, classes and methods whose names do not begin with an underscore."""
    for node in tree.body:
        if isinstance(node, DOCUMENTED) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node)


def measure_function(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: set[int]) -> Function:
    """The length of a function's body without its docstring, and how often it decides."""
    body = range(node.body[0].lineno, last_line(node) + 1)
    return Function(len(lines.intersection(body)), count(ast.walk(node), *DECISIONS))


def measure(text: str) -> Code:
    """The numbers of one file."""
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))
    tokens = code_tokens(text, docstring_lines(tree))
    lines = {line for token in tokens for line in span(token)}
    written = text.splitlines()
    public = list(public_definitions(tree))
    return Code(
        widths=[len(written[line - 1]) for line in sorted(lines)],
        tokens=len(tokens),
        functions=[measure_function(node, lines) for node in nodes if isinstance(node, FUNCTIONS)],
        conditional_expressions=count(nodes, ast.IfExp),
        nested_comprehensions=sum(map(is_nested, nodes)),
        assignments=count(nodes, ast.Assign, ast.AugAssign),
        tuple_assignments=sum(map(is_tuple_assignment, nodes)),
        public=len(public),
        documented=sum(ast.get_docstring(node) is not None for node in public),
    )


def parts() -> dict[str, list[str]]:
    """The modules of each part of the house, by dotted name."""
    found: dict[str, list[str]] = {"core": [], "operations": [], "tools": []}
    found |= {part: [] for part in PACKAGES}
    for module, file in floors.MODULES.items():
        found[part_of(module, file)].append(module)
    found["all"] = list(floors.MODULES)
    return found


def part_of(module: str, file: Path) -> str:
    """The part that a module belongs to."""
    path = file.relative_to(floors.ROOT).as_posix()
    for part, package in PACKAGES.items():
        if path.startswith(f"{package}/"):
            return part
    return "tools" if floors.entry(module) in TOOLS else "core"


def circle_sizes(needs: dict[str, set[str]]) -> dict[str, int]:
    """The number of modules that import each other in a circle with each one, itself included."""
    reached = {module: reachable(module, needs) for module in needs}
    return {
        module: 1 + sum(module in reached[other] for other in reached[module] - {module})
        for module in needs
    }


def reachable(start: str, needs: dict[str, set[str]]) -> set[str]:
    """The modules that one of them imports, directly or through others."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = needs.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def percent(some: int, all_of_them: int) -> str:
    """A share in per cent, for example "2.0%"."""
    return f"{100 * some / max(all_of_them, 1):.1f}%"


def row(part: str, files: list[Code], circle: int) -> list[str]:
    """One line of the table."""
    widths = sorted(width for file in files for width in file.widths)
    functions = [function for file in files for function in file.functions]
    lengths = [function.lines for function in functions] or [0]
    decisions = [function.decisions for function in functions] or [0]
    lines = max(len(widths), 1)
    tokens = sum(file.tokens for file in files)
    conditional = sum(file.conditional_expressions for file in files)
    nested = sum(file.nested_comprehensions for file in files)
    tuples = sum(file.tuple_assignments for file in files)
    documented = sum(file.documented for file in files)
    return [
        part,
        str(len(files)),
        str(len(widths)),
        str(tokens),
        f"{tokens / lines:.1f}",
        str(widths[int(0.9 * len(widths))]),
        percent(sum(width > WIDE for width in widths), lines),
        f"{statistics.median(lengths):.0f} / {max(lengths)}",
        f"{statistics.mean(decisions):.1f}",
        percent(sum(number >= MANY for number in decisions), len(decisions)),
        f"{100 * conditional / lines:.1f}",
        f"{100 * nested / lines:.1f}",
        percent(tuples, sum(file.assignments for file in files)),
        percent(documented, sum(file.public for file in files)),
        str(circle),
    ]


def anchor_rows() -> list[list[str]]:
    """The lines of the table that stand in `ANCHORS`."""
    rows = []
    for line in ANCHORS.strip().splitlines():
        name, rest = line[:16].strip(), line[16:].replace(" / ", "/").split()
        rows.append([name, *(cell.replace("/", " / ") for cell in rest)])
    return rows


def own_rows() -> list[list[str]]:
    """One line of the table for each part of the house."""
    measured = {
        module: measure(file.read_text(encoding="utf-8")) for module, file in floors.MODULES.items()
    }
    circles = circle_sizes({module: floors.imported(module) for module in floors.MODULES})
    return [
        row(part, [measured[name] for name in names], max(circles[name] for name in names))
        for part, names in parts().items()
    ]


def table(rows: list[list[str]]) -> str:
    """The rows under their headings of two lines."""
    headings = [heading.rpartition("\n") for heading in HEADINGS]
    above = [[first for first, _, _ in headings], [second for _, _, second in headings]]
    return columns([*above, *rows], headings=2)


def main() -> None:
    """Print the table, or draw the floors."""
    parser = argparse.ArgumentParser(prog="python -m tests.figures", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["code", "floors"], default="code")
    if parser.parse_args().what == "floors":
        floors.draw()
    else:
        print(table([*own_rows(), *anchor_rows()]))


if __name__ == "__main__":
    main()
