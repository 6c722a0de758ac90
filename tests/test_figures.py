from __future__ import annotations

import html
import re

from tests import figures, floors

CODE = '''\
"""A module of three functions."""

import math


def area(radius):
    """The area of a circle."""
    return math.pi * radius**2  # a comment


class Shape:
    def sides(self):
        a, b = 1, 2
        for side in range(a):
            if side and b:
                return [x for row in side for x in row]
        return a if b else None


def _hidden(): pass
'''


def test_what_is_counted_is_code() -> None:
    code = figures.measure(CODE)
    assert len(code.widths) == 11
    assert max(code.widths) == len("                return [x for row in side for x in row]")
    assert [function.lines for function in code.functions] == [1, 1, 5]
    assert [function.decisions for function in code.functions] == [0, 0, 6]
    assert (code.conditional_expressions, code.nested_comprehensions) == (1, 1)
    assert (code.tuple_assignments, code.assignments) == (1, 1)
    assert (code.documented, code.public) == (1, 3)
    assert figures.measure("x = f(1)").tokens == len(["x", "=", "f", "(", "1", ")"])


def test_the_table_has_every_module_once_and_lines_of_one_shape() -> None:
    parts = figures.parts()
    everything = parts.pop("all")
    assert sorted(name for names in parts.values() for name in names) == sorted(everything)
    assert not [name for name in parts["core"] if not name.startswith("minigrad.")]
    rows = [*figures.own_rows(), *figures.anchor_rows()]
    assert {len(row) for row in rows} == {len(figures.HEADINGS)}
    assert len(figures.table(rows).splitlines()) == len(rows) + 3


def test_circles_are_found() -> None:
    needs = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}
    assert figures.circle_sizes(needs) == {"a": 1, "b": 2, "c": 2, "d": 1}


def test_arrows_imply_every_import() -> None:
    arrows = floors.arrows()
    needs: dict[str, set[str]] = {}
    for name, near in arrows:
        needs.setdefault(name, set()).add(near)
    for name, below in floors.direct_imports().items():
        assert below <= figures.reachable(name, needs)


def test_the_picture_of_the_floors_has_the_imports_of_today() -> None:
    drawn = html.unescape(floors.PICTURE.read_text(encoding="utf-8"))
    titles = re.findall(r"<title>(.*?)</title>", drawn)
    found = {title for title in titles if "->" in title and not title.startswith("floor ")}
    expected = {f"{name}->{near}" for name, near in [("nn", "__init__"), *floors.arrows()]}
    assert found == expected, "run `python -m tests.figures floors`"
