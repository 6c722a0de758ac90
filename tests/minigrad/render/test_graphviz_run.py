from __future__ import annotations

import json
import re
import sys

import pytest

import minigrad as mg
from minigrad import render
from minigrad.render import graphviz_run as engine
from minigrad.render.plans import PlanBox, PlanPart, draw_plan


@pytest.fixture
def without_dot(monkeypatch):
    """As on a machine that has no dot program, only pygraphviz."""
    monkeypatch.setattr(engine.shutil, "which", lambda name: None)


@pytest.mark.parametrize(
    ("suffix", "start"),
    [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF"), ("gv", b"digraph")],
)
def test_formats_by_suffix(network, tmp_path, suffix, start):
    path = tmp_path / f"picture.{suffix}"
    assert render.render(network("rnn", 2), path) == str(path)
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_pygraphviz_serves_where_there_is_no_dot(network, tmp_path, without_dot, suffix, capfd):
    path = tmp_path / f"picture.{suffix}"
    render.render(network("lstm", 2), path, backward=True)
    assert path.stat().st_size > 1000
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(
    engine.shutil.which("dot") is None, reason="needs the dot program to compare with"
)
def test_dot_and_pygraphviz_draw_the_same_picture(network, monkeypatch):
    text = render.to_dot(network("lstm", 3), backward=True).source
    with_dot = places(json.loads(engine.run(text, "json0")))
    monkeypatch.setattr(engine.shutil, "which", lambda name: None)
    without = places(json.loads(engine.run(text, "json0")))
    assert with_dot.keys() == without.keys()
    assert len(with_dot) > 100
    for key, found in with_dot.items():
        assert found == pytest.approx(without[key], abs=0.5)


def places(graph):
    """All positions in a picture, by what they belong to."""
    names = {item["_gvid"]: item["name"] for item in graph["objects"]}
    things = [((item["name"],), item) for item in graph["objects"]]
    things += [((names[edge["tail"]], names[edge["head"]]), edge) for edge in graph["edges"]]
    keys = ("pos", "bb", "lp")
    return {
        (*name, key): numbers(thing[key]) for name, thing in things for key in keys if key in thing
    }


def numbers(text):
    return [float(n) for n in text.replace(",", " ").replace("e ", "").split() if n != "e"]


def test_a_long_picture_is_the_same_from_a_process_of_its_own(network, without_dot, monkeypatch):
    text = render.to_dot(network("rnn", 2)).source
    alone = engine.run(text, "svg")
    monkeypatch.setattr(engine, "LONG", 0)
    assert engine.run(text, "svg") == alone
    with pytest.raises(RuntimeError, match="could not write"):
        engine.run("digraph {", "svg")


def test_without_any_graphviz_the_text_is_written_and_the_error_says_so(
    network, tmp_path, without_dot, monkeypatch
):
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    with pytest.raises(engine.NoGraphvizError, match=r"pip install.*picture\.gv"):
        render.render(network("rnn", 2), tmp_path / "picture.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["picture.gv"]
    text = (tmp_path / "picture.gv").read_text()
    monkeypatch.undo()
    assert b"<svg" in engine.run(text, "svg")


def test_an_unknown_suffix_names_the_formats(network, tmp_path):
    with pytest.raises(ValueError, match=r"\.svg, \.png, \.pdf"):
        render.render(network("rnn", 2), tmp_path / "picture.bmpx")


def test_a_directory_that_does_not_exist_is_named(network, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        render.render(network("rnn", 2), tmp_path / "nowhere" / "picture.svg")


def test_a_failed_write_leaves_nothing_behind_and_keeps_the_old_file(
    network, tmp_path, monkeypatch
):
    path = tmp_path / "picture.svg"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(engine.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        render.render(network("rnn", 2), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_graphviz_refuses_becomes_an_error(capfd):
    with pytest.raises(RuntimeError, match="dot could not|pygraphviz could not|syntax"):
        engine.run("digraph {", "svg")
    assert "syntax" not in capfd.readouterr().err


def test_a_notebook_gets_svg_and_a_line_of_text(network):
    bundle = render.mimebundle(network("rnn", 2))
    assert bundle["image/svg+xml"].startswith("<?xml")
    assert bundle["text/plain"].startswith("Graph: 2 time steps")


def test_a_notebook_never_raises(network, without_dot, monkeypatch):
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    bundle = render.mimebundle(network("rnn", 2))
    assert list(bundle) == ["text/plain"]
    assert "no dot program" in bundle["text/plain"]


def test_a_notebook_gets_text_alone_where_every_picture_is_too_large(network, monkeypatch):
    monkeypatch.setattr(render, "LARGEST", 1000)
    bundle = render.mimebundle(network("rnn", 2))
    assert list(bundle) == ["text/plain"]
    assert "no picture: more than 0 MB in every view" in bundle["text/plain"]


def test_a_drawing_shows_itself_where_there_is_no_dot(network, without_dot):
    shown = render.to_dot(network("rnn", 2))._repr_mimebundle_(None, None)
    assert shown["image/svg+xml"].startswith("<?xml")


def test_strips_and_flip_books_leave_their_text_where_there_is_no_graphviz(
    network, tmp_path, without_dot, monkeypatch
):
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    with pytest.raises(engine.NoGraphvizError, match=r"flow\.gv"):
        render.compare({"a": network("rnn", 2)}).render(tmp_path / "flow.svg")
    with pytest.raises(engine.NoGraphvizError, match=r"0000\.gv"):
        render.frames(network("rnn", 2), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0000.gv", "flow.gv"]


@pytest.mark.parametrize("path", [None, 3])
def test_a_path_that_is_none_is_refused(network, path):
    with pytest.raises(TypeError, match="render: a path is needed"):
        render.render(network("rnn", 2), path)


def test_a_directory_is_no_file(network, tmp_path):
    (tmp_path / "x.svg").mkdir()
    with pytest.raises(IsADirectoryError, match=r"x\.svg"):
        render.render(network("rnn", 2), tmp_path / "x.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["x.svg"]


def test_browsers_show_an_index_below_its_letter_and_keep_spaces(network, tmp_path):
    path = tmp_path / "picture.svg"
    render.render(network("rnn", 2), path, view="cells", backward=True)
    svg = path.read_text(encoding="utf-8")
    assert "baseline-shift" not in svg
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert texts == [text.strip(" ") for text in texts]
    assert any(text.startswith("&#160;") for text in texts)
    found = re.search(r' y="([-\d.]+)"[^>]*>[^<]*W</text>\s*<text[^>]* y="([-\d.]+)"', svg)
    assert 2 < float(found[2]) - float(found[1]) < 4


@pytest.mark.parametrize(
    "drawn",
    [
        lambda graph: graph.to_dot(),
        lambda graph: mg.compare({"a": graph}).to_dot(),
        lambda graph: draw_plan([PlanPart("loop", (PlanBox("a", "a", "once", "operation"),))], []),
    ],
)
def test_an_svg_is_not_cut_off(network, drawn):
    """Graphviz 2.43 scales what has a dpi, but not its view."""
    svg = drawn(network("rnn", 3)).pipe("svg", encoding="utf-8")
    assert "scale(1 1)" in svg


def test_an_image_is_sharp_and_not_larger_than_it_can_be():
    short, long = (f'digraph {{\n\tgraph [bb="0,0,{n},9"]\n}}' for n in (500, 40_000))
    assert "dpi=144 " in engine._sharp(short)
    assert "dpi=57 " in engine._sharp(long)
    slide = 'digraph {\n\tgraph [bb="0,0,9,9" size="20,11!"]\n}'
    assert engine._sharp(slide) == slide
