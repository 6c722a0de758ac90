"""Lines of code of each part against its budget: docstrings, comments and blank lines do not count."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORE = ("tensor", "primitive", "graph", "backward", "scope", "source", "__init__")
TOOLS = ("edits", "clip", "flow", "by_step", "reports", "anomaly", "gradcheck", "functional", "explain", "pickling")
# part: its budget, the ceiling that the check enforces, its files.  A part over its budget does not grow unseen:
# its ceiling is what it has, and who raises it says in the message of that change what for.
BUDGETS = {
    "engine core": (800, 1025, [f"minigrad/{name}.py" for name in CORE]),
    "operations": (1200, 1200, ["minigrad/ops/**/*.py"]),
    "graph tools": (700, 1180, [f"minigrad/{name}.py" for name in TOOLS]),
    "render": (1400, 2531, ["minigrad/render/**/*.py", "minigrad/naming.py"]),
    "debugger": (900, 1724, ["minigrad/debugger/**/*.py"]),
    "nn": (1500, 1500, ["nn/**/*.py"]),
}
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(text: str) -> int:
    """The number of lines that hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in SILENT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                lines.difference_update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return len(lines)


def main() -> int:
    """Print the table; 1 if some part is over its ceiling or some file belongs to no part."""
    counted: set[Path] = set()
    failed = False
    print(f"{'part':<14}{'files':>6}{'lines':>7}{'budget':>8}{'over by':>9}")
    for part, (budget, ceiling, patterns) in BUDGETS.items():
        files = sorted({file for pattern in patterns for file in ROOT.glob(pattern)})
        counted.update(files)
        total = sum(code_lines(file.read_text()) for file in files)
        failed |= total > ceiling
        over = f"{total - budget:>9}" if total > budget else ""
        too_many = f"  more than its ceiling of {ceiling}" if total > ceiling else ""
        print(f"{part:<14}{len(files):>6}{total:>7}{budget:>8}{over}{too_many}")
    for file in sorted({*ROOT.glob("minigrad/**/*.py"), *ROOT.glob("nn/**/*.py")} - counted):
        print(f"{file.relative_to(ROOT)} belongs to no part")
        failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
