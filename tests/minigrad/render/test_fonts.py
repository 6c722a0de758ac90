from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from minigrad import render
from minigrad.render import fonts


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch):
    """A Linux without any font."""
    monkeypatch.setattr(fonts, "FOLDERS", ())
    monkeypatch.setattr(fonts.sys, "platform", "linux")
    monkeypatch.delenv("FONTCONFIG_FILE", raising=False)
    fonts.environment.cache_clear()
    yield
    fonts.environment.cache_clear()


def test_a_machine_without_fonts_gets_those_of_matplotlib(network, tmp_path):
    pytest.importorskip("matplotlib")
    (config,) = fonts.environment().values()
    assert "mpl-data/fonts/ttf" in Path(config).read_text()
    path = tmp_path / "picture.png"
    render.render(network("rnn", 2), path)
    assert path.stat().st_size > 5000


def test_without_any_font_one_is_told(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match="empty boxes"):
        assert fonts.environment() == {}


def test_where_there_are_fonts_nothing_changes(monkeypatch, tmp_path):
    (tmp_path / "some.ttf").touch()
    monkeypatch.setattr(fonts, "FOLDERS", (str(tmp_path),))
    assert fonts.environment() == {}
