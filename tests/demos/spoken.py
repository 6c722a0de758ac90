"""Every text that the demos say: found in their source, and in the tables that they say row by row."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import demos
from demos import (
    bptt_is_the_chain_rule,
    clipping,
    debugger_tour,
    long_memory,
    tasks,
    vanishing_and_exploding,
)

FOLDER = Path(demos.__file__).parent
FILES = [*sorted(FOLDER.glob("*.py")), FOLDER / "custom_cells" / "__main__.py"]
TABLES = [
    vanishing_and_exploding.CAPTIONS.values(),
    long_memory.CHANCE,
    long_memory.CHANCE.values(),
    debugger_tour.HISTORY.values(),
    debugger_tour.HUNT.values(),
    debugger_tour.TOUR.values(),
    bptt_is_the_chain_rule.WAYS,
    clipping.LIMITS,
    [task.about for task in tasks.TASKS.values()],
    ["name a digit read pixel by pixel"],
]


def texts() -> set[str]:
    """All of them."""
    said = {text for table in TABLES for text in table}
    for file in FILES:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name(node.func) == "say":
                said |= set(_literals(node.args[0], tree))
            if isinstance(node, ast.Call) and _name(node.func) == "map":
                said |= (
                    set(_literals(node.args[1], tree)) if _name(node.args[0]) == "say" else set()
                )
            if isinstance(node, ast.Dict):
                keys = [getattr(key, "value", None) for key in node.keys]
                told = node.values[keys.index("help")] if "help" in keys else None
                if isinstance(told, ast.Constant):
                    said.add(str(told.value))
    return said


def _literals(node: ast.expr, tree: ast.AST) -> Iterator[str]:
    """The strings in an expression; of a variable, those that the module assigns to it."""
    if isinstance(node, ast.Subscript):
        return  # the text of a key
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value
    if isinstance(node, ast.Name):
        for statement in ast.walk(tree):
            assigned = isinstance(statement, ast.Assign) and _name(statement.targets[0])
            if assigned == node.id and isinstance(statement.value, ast.Constant | ast.IfExp):
                yield from _literals(statement.value, tree)


def _name(node: ast.expr) -> str:
    return getattr(node, "id", getattr(node, "attr", ""))


def unsaid() -> list[str]:
    """Where a demo prints English words without `say`."""
    found = []
    for file in FILES:
        if file.parent == FOLDER and file.stem in ("__main__", "medians", "__init__"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) == "print":
                found += [f"{file.name}:{node.lineno}" for word in _bare(node) if _is_text(word)]
    return found


def _bare(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and _name(child.func) == "say":
            continue
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.value
        yield from _bare(child)


def _is_text(words: str) -> bool:
    return sum(word.isalpha() and len(word) > 2 for word in words.split()) > 1
