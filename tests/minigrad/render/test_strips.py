from __future__ import annotations

import re
from pathlib import Path

import pytest

import minigrad as mg
from minigrad import render


def test_a_flip_book_is_drawn_to_fit(network, tmp_path):
    paths = render.frames(network("lstm", 12), tmp_path, "gv", view="cells", fit="column")
    assert len(paths) >= 4
    for path in paths:
        source = Path(path).read_text()
        left, bottom, right, top = map(float, re.search(r' bb="([^"]*)"', source)[1].split(","))
        assert 'size="8.33333,12.5!"' in source
        assert 11 * min(800 / (right - left + 20), 1200 / (top - bottom + 20)) >= 12


def test_a_flip_book_needs_a_folder(network, tmp_path):
    (tmp_path / "book").write_text("a file")
    with pytest.raises(FileExistsError, match="a folder is needed"):
        render.frames(network("rnn", 2), tmp_path / "book", "gv")


def test_strips_are_a_page_too(network, tmp_path):
    path = tmp_path / "x.html"
    graphs = {"a": network("rnn", 3), "b": network("lstm", 3)}
    assert mg.compare(graphs).render(path) == str(path)
    assert path.read_text().startswith("<!DOCTYPE html>")


def test_long_titles_do_not_widen_strips(network):
    title = "a vanilla recurrent network with orthogonal matrices and a tanh"
    picture = (
        mg.compare({title: network("rnn", 20), "LSTM": network("lstm", 20)})
        .to_dot(fit="column")
        .source
    )
    left, _, right, _ = map(float, re.search(r' bb="([^"]*)"', picture)[1].split(","))
    assert right - left < 720
    assert "no smaller picture" not in picture


def test_strips_have_a_title(network):
    graphs = {"a": network("rnn", 3), "b": network("lstm", 3)}
    source = mg.compare(graphs).to_dot(title="Two networks").source
    assert source.count('label="Two networks"') == 1
