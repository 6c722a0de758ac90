"""A tensor's name is data: no text of a user breaks a picture, a page, a report or a program."""

from __future__ import annotations

import pickle
import xml.dom.minidom
from typing import Any

import numpy as np
import pytest

import minigrad as mg

NAMES = [
    *(
        "a'b",
        'a"b',
        "a\nb",
        "a\rb",
        "a\tb",
        "\0",
        "\x01",
        "\x7f",
        "\ud800",
        "\ufffe",
        "\u202e",
        "\u2028",
    ),
    *(
        "\\N",
        "\\l\\r",
        "a\\",
        "{x}",
        "${x}",
        "{",
        "}",
        "{0}",
        "{{",
        "%s",
        "%(a)s",
        "%TITLE%",
        "%DATA%",
    ),
    *("<b>&amp;", "]]>", "-->", "</script>", "<script>alert(1)</script>", "&#0;", "#", "a;b", "//"),
    *("h\n    open('x', 'w')", "lambda", "None", "1", "a.b", "a/b", "é中", " ", "W_{x", "x" * 300),
]


def graph_named(name: str) -> mg.Graph:
    w, h = mg.tensor([1.0, 2.0], requires_grad=True, name=name), mg.tensor([1.0, 1.0])
    for _, x in mg.timesteps(np.ones((3, 2))):
        with mg.scope(name):
            h = np.tanh(w * h + x)
        h.name = name
    return mg.Graph((h * h).sum())


def texts(graph: Any) -> list[str]:
    """What is told of a graph, as text."""
    loss, w = graph.outputs[0], next(x for x in graph.leaves if x.requires_grad)
    reports = [graph, graph.gradient_flow(), graph.gradient_matrix(), graph.checkup()]
    steps = [*graph.backward_steps(), mg.explain(loss, w), w, w.describe()]
    return [str(thing) for thing in (*reports, *steps)]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_is_data(name, tmp_path):
    graph = graph_named(name)
    assert all(texts(graph))
    compile(str(graph.backward_source()), "source", "exec")
    graph.render(str(tmp_path / "a.svg"), title=name)
    xml.dom.minidom.parse(str(tmp_path / "a.svg"))
    assert "<script>alert" not in (tmp_path / "a.svg").read_text(encoding="utf-8")
    graph.page(title=name).save(tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count("<script") == page.count("</script>") == 2
    again = pickle.loads(pickle.dumps(graph))
    assert [x.name for x in again.leaves if x.requires_grad] == [name]
