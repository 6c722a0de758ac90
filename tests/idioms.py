"""Lines that the house does not write: each is a puzzle where an `if` would be a sentence."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.floors import ROOT

FOLDERS = ("minigrad", "nn", "demos", "benchmarks", "docs", "tests")


def found_in(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a Python file with such an idiom, and what is wrong with them."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            yield from products(node)
        elif isinstance(node, ast.IfExp) and has_another(node):
            yield node.lineno, "a conditional expression inside another"


def products(node: ast.BinOp) -> Iterator[tuple[int, str]]:
    """A product that stands for an `if`."""
    for one, other in ((node.left, node.right), (node.right, node.left)):
        if is_text(one):
            if is_condition(other) or not (is_filling(one) or isinstance(other, ast.Constant)):
                yield node.lineno, "a text multiplied by a condition"
        elif is_truth_value(other):
            yield node.lineno, "a number multiplied by a condition"


def has_another(node: ast.IfExp) -> bool:
    """Whether a conditional expression holds another one."""
    return any(isinstance(part, ast.IfExp) for part in ast.walk(node) if part is not node)


def is_text(node: ast.AST) -> bool:
    """Whether an expression is a text that is written out."""
    literal = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return literal or isinstance(node, ast.JoinedStr)


def is_filling(node: ast.AST) -> bool:
    """Whether a text is one to repeat: a single character, or spaces."""
    return isinstance(node, ast.Constant) and len(str(node.value).strip()) <= 1


def is_truth_value(node: ast.AST) -> bool:
    """Whether an expression is `bool(x)`, `not x`, or a chain of `and` or `or`."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "bool"
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not)
    return isinstance(node, ast.BoolOp)


def is_condition(node: ast.AST) -> bool:
    """Whether an expression is a truth value or a comparison."""
    return is_truth_value(node) or isinstance(node, ast.Compare)


def in_the_house() -> dict[str, list[tuple[int, str]]]:
    """For each file with such idioms, the lines and what is wrong with them."""
    found = {}
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            lines = sorted(found_in(file.read_text(encoding="utf-8")))
            if lines:
                found[file.relative_to(ROOT).as_posix()] = lines
    return found
